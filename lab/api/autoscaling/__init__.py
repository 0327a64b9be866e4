"""Amazon EC2 Auto Scaling: groups that keep their instances true, lifecycle hooks and instance refreshes."""
