"""EFS ChOp-Temp (file system, mount targets, access point, policy, lifecycle, backup), and S3 buckets."""
