"""A judgement with all that it stands on, in one signed archive that others can verify without trusting us."""
