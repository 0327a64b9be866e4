"""The environment's AMIs: listing, pruning, recalling."""
