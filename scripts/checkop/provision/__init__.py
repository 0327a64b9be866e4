"""One module per system: what the inventory wants, compared with AWS and made true."""
