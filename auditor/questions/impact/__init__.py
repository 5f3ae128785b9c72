"""`impact`: what would become of the data if somebody acted on a key."""
