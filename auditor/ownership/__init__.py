"""Whose data and keys they are: what registries say, for the rules that ask."""
