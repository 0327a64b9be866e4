"""A small application that does what the operator's document says of the real one, for rehearsals and tests."""
