"""AWS resources as a table: a row (`Kind`) says what is particular to a kind, one engine makes all of them true."""
