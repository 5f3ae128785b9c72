"""One entry of an audit log, as Cloud Logging tells it.

Source: the reference of `LogEntry` and `AuditLog`; Cloud Logging docs, Logging query language.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from auditor.moments import exact

ACTIVITY: Final = "cloudaudit.googleapis.com/activity"
SYSTEM_EVENT: Final = "cloudaudit.googleapis.com/system_event"
KMS: Final = "cloudkms.googleapis.com"
PROJECTS: Final = "cloudresourcemanager.googleapis.com"


def table(told: object) -> Mapping[str, Any]:
    """The object that is told; an empty one where it is none."""
    return told if isinstance(told, dict) else {}


def moment(told: object) -> datetime | None:
    """The moment that is told, aware, UTC; None where it is none."""
    if not isinstance(told, str):
        return None
    try:
        found = datetime.fromisoformat(re.sub(r"(\.[0-9]{6})[0-9]+", r"\1", told))
        return found.astimezone(UTC) if found.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None


def has_failed(payload: Mapping[str, Any]) -> bool:
    """Whether the call of an audit entry was refused or broke off, so that it changed nothing."""
    # A code of another kind is none that says that all went well.
    return table(payload.get("status")).get("code") not in (None, 0)


def stamp(at: datetime) -> str:
    """A moment as a filter names it."""
    return exact(at)


def quoted(text: str) -> str:
    """A text as a filter holds it."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
