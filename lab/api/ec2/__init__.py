"""Amazon EC2: instances that run when the runtime says so, images with real content, addresses of the runtime."""
