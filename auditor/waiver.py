"""An exception that somebody answers for, until a date; it turns no finding green."""

from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Final

FIELDS: Final = ("key", "bucket", "namespace", "tenant")
"""What an exception may be narrowed to."""


@dataclass(frozen=True, slots=True)
class Waiver:
    """Findings of one rule that are accepted for a time; of those, the ones whose data is all within what it names."""

    rule: str
    until: datetime
    """Aware, UTC: from this moment on it counts no more."""
    owner: str
    """Who answers for it."""
    approved_by: str
    reason: str
    key: str | None = None
    """Full name of a key by any of its names, or of a version of it, with `*` for any text; None: any. The others
    likewise."""
    bucket: str | None = None
    namespace: str | None = None
    tenant: str | None = None

    @property
    def name(self) -> str:
        """Rule and scope: no two exceptions share it."""
        told = ", ".join(f"{field} {value}" for field in FIELDS if (value := getattr(self, field)) is not None)
        return f"{self.rule}: {told}"


@dataclass(frozen=True, slots=True)
class GivenWaiver:
    """An exception, and the findings that it is about now."""

    waiver: Waiver
    covers: tuple[str, ...] = ()
    """Ids of the findings that are waived by it or, where it is over, would be."""
    in_part: tuple[str, ...] = ()
    """Ids of findings some of whose data is beyond what it names: they stay open."""


def last_day(until: datetime) -> date:
    """The day (UTC) on which something counts for the last time that from `until` on counts no more."""
    return (until.astimezone(UTC) - datetime.resolution).date()


def fits(pattern: str, text: str) -> bool:
    """Whether a text is what a pattern says, in which `*` stands for any text and nothing else is special."""
    first, *rest = pattern.split("*")
    if not rest:
        return text == first
    *middle, last = rest
    if not text.startswith(first) or len(text) < len(first) + len(last) or not text.endswith(last):
        return False
    place, end = len(first), len(text) - len(last)
    for one in middle:
        place = text.find(one, place, end)
        if place < 0:
            return False
        place += len(one)
    return True
