"""The digest that an evidence bears: what an answer said, without when it was asked."""

import hashlib
import json
from datetime import datetime
from enum import Enum


def digest(told: object) -> str:
    """SHA-256 of plain values in canonical JSON, hexadecimal; times in ISO 8601, enums by value."""
    return hashlib.sha256(json.dumps(told, sort_keys=True, separators=(",", ":"), default=_plain).encode()).hexdigest()


def _plain(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value.value) if isinstance(value, Enum) else repr(value)
