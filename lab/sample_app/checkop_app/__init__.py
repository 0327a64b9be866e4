"""CheckOP's sample application: Python 2.7 and 3, the standard library and PyMySQL."""
