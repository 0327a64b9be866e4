"""The rehearsal cloud: a local AWS whose instances, balancer, file system and database are real processes."""
