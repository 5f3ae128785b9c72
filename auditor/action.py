"""What somebody may do to a key, or to a key version."""

from enum import StrEnum


class Action(StrEnum):
    """One of them."""

    DISABLE = "disable"
    DESTROY = "destroy"
    """Schedule its destruction, or on AWS its deletion."""
    REVOKE = "revoke"
    """Take away the platform's right to use it."""
