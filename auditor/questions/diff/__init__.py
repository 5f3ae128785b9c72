"""`diff`: what differs between two judgements."""
