"""Progresus-ELB: access-log bucket, ACM certificate, target group, load balancer and listeners."""
