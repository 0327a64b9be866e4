"""Progresus-ELB: access logs, ACM certificate, target group, load balancer and listeners."""
