"""Whom a judgement is told to: a tenant is told of its own data and keys, and of nothing else."""
