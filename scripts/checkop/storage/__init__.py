"""EFS ChOp-Temp: file system, mount targets, access point, policy, lifecycle and backup."""
