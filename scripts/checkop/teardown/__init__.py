"""Remove an environment that is no production: what carries its marks of ownership, in an order that AWS accepts."""
