"""Elastic Load Balancing v2: measured health, real draining, complete attributes, AWS's names."""
