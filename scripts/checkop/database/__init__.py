"""RDS dbprogressus: subnet group, parameter group, the master password in Secrets Manager, and the instance."""
