"""Baking the base-chop AMI: key, Packer, gates, publication."""
