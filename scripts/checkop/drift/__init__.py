"""Does AWS still equal the inventory? The roles themselves answer, in check mode; this reads their answers."""
