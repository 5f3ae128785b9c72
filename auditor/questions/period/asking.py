"""A period as it is asked for: `A/B`, dates or date-times."""

from contextlib import suppress
from datetime import UTC, date, datetime, time, timedelta
from typing import Final

from auditor.errors import UsageError
from auditor.questions.period.stretches import Stretch

_HINT: Final = "write two dates, as 2026-10-01/2026-12-31, or two times, as 2026-10-01T08:00Z/2026-10-02T08:00Z"


def period_of(text: str) -> Stretch:
    """Read a period; a date at its end is meant as a whole day, and a time without a zone is UTC.

    Raises:
        UsageError: it is none.
    """
    first, slash, last = text.partition("/")
    if not slash:
        raise UsageError(f"--period {text!r} is no period", _HINT)
    begin, end = _moment(text, first, days=0), _moment(text, last, days=1)
    if end <= begin:
        raise UsageError(f"--period {text!r} ends before it begins", _HINT)
    return Stretch(begin, end)


def _moment(text: str, part: str, *, days: int) -> datetime:
    """`days`: how many days behind the beginning of a date are meant."""
    given = part.strip()
    with suppress(ValueError, OverflowError):
        day = date.fromisoformat(given)
        return datetime.combine(day, time(), UTC) + timedelta(days=days)
    with suppress(ValueError, OverflowError):
        found = datetime.fromisoformat(given)
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    raise UsageError(f"--period {text!r}: {given!r} is neither a date nor a time in ISO 8601", _HINT)
