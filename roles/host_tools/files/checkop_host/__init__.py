"""What a CheckOP host does by itself: configure, claim an address, drain, expire, check its mount.

Runs under CentOS 7's Python 2.7 and under Python 3. Logic takes plain data and clients; only `cli` and `aws` make them.
"""
