"""An operator's signed bundle for one tenant: made, handed over, read."""
