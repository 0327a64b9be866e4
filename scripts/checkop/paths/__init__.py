"""Which flows pass the perimeter: proved from the inventory's data, without a call to AWS."""
