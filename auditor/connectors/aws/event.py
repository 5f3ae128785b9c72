"""What events of AWS are read with: a table is a table, and a moment has its zone, whatever somebody sends."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any


def table(told: object) -> Mapping[str, Any]:
    """What should be an object of JSON, or an empty one."""
    return told if isinstance(told, dict) else {}


def moment(told: object) -> datetime | None:
    """What should be a time in ISO 8601 with its zone: aware, UTC; None where it is none."""
    if not isinstance(told, str):
        return None
    try:
        found = datetime.fromisoformat(told)
        return found.astimezone(UTC) if found.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None
