"""Which two judgements are compared."""

import re
from collections import defaultdict
from contextlib import suppress
from datetime import UTC, datetime
from itertools import islice
from typing import Final

from auditor.errors import UsageError
from auditor.ports import History, Made

_NEWEST: Final = 5
"""Ids that a hint names."""
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_NO_SIGNS: Final = str.maketrans("", "", "-:")
_LONGEST: Final = 64
"""Characters: twice as long as an id is."""


def pair(history: History, first: str | None, last: str | None) -> tuple[Made, Made]:
    """The earlier and the later one, by ids, what these begin with, or times; `first` alone: with the newest.

    None: the newest one, and the newest that was made before the last sweep of each bucket.

    Raises:
        UsageError: there are no two judgements, or an id names none, several, or the later one first.
    """
    later = _named(history, last) if last is not None else _newest(history)
    earlier = _named(history, first) if first is not None else _before_the_last_sweeps(history, later)
    if earlier.number == later.number:
        raise UsageError(f"judgement {later.id} would be compared with itself", _hint(history, "the newest are"))
    if earlier.number > later.number:
        raise UsageError(f"judgement {earlier.id} was made after {later.id}", "name the earlier one first")
    return earlier, later


def _newest(history: History) -> Made:
    found = next(iter(history.made()), None)
    if found is None:
        raise UsageError("there is no judgement yet", "run `cmek-auditor scan` first")
    return found


def _named(history: History, prefix: str) -> Made:
    _newest(history)
    if len(prefix) > _LONGEST:
        told = f"{prefix[:_LONGEST]!r} and what follows, {len(prefix)} characters, is longer than any id"
        raise UsageError(told, _hint(history, "the newest are"))
    if (moment := _moment(prefix)) is not None:
        return _made_until(history, prefix, moment)
    found = history.named(prefix) if prefix else ()
    if len(found) == 1:
        return found[0]
    if found:
        hint = (
            f"write more of one, or a time as 2026-11-25T09:00, for the newest until then; the first is {found[0].id}"
        )
        raise UsageError(
            f"{prefix!r} begins the ids of several judgements", f"{hint}, {_hint(history, 'the newest are')}"
        )
    raise UsageError(f"{prefix!r} begins the id of no judgement", _hint(history, "the newest are"))


def _moment(text: str) -> datetime | None:
    """The time that is meant, with dashes as no id has them; a date is its beginning, and no zone is UTC."""
    if not _DATE.match(text):
        return None
    with suppress(ValueError, OverflowError):
        found = datetime.fromisoformat(text)
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    return None


def _made_until(history: History, text: str, moment: datetime) -> Made:
    """The newest judgement that was begun until then: what was known at that time."""
    until = moment.replace(tzinfo=None).isoformat(timespec="microseconds").translate(_NO_SIGNS)
    oldest: Made | None = None
    for one in history.made():
        # Ids begin with the time in digits of the same number, which stand in its order.
        if one.id[: len(until)] <= until:
            return one
        oldest = one
    first = f"the first one is {oldest.id}" if oldest is not None else "scan first"
    raise UsageError(f"there was no judgement yet at {text}", first)


def _hint(history: History, told: str) -> str:
    newest = ", ".join(one.id for one in islice(history.made(), _NEWEST))
    return f"{told} {newest}; `scan.id` of any `--format json` is one"


def _before_the_last_sweeps(history: History, later: Made) -> Made:
    """Go back until a bucket would be two sweeps behind: whatever was swept last was not swept yet then.

    A bucket that is swept no more holds up none of the others. Where nothing was swept twice, the first judgement
    counts.
    """
    bucket_of: dict[str, str] = {}
    seen: defaultdict[str, set[str]] = defaultdict(set)
    stood: tuple[str, ...] | None = None
    found: Made | None = None
    oldest = later
    for one in history.made():
        if one.number > later.number:
            continue
        oldest = one
        if one.sweeps == stood:
            continue
        bucket_of.update((each.id, each.bucket) for each in history.published(set(one.sweeps).difference(bucket_of)))
        for each in one.sweeps:
            seen[bucket_of[each]].add(each)
        if any(len(ids) > 2 for ids in seen.values()):  # noqa: PLR2004 - its last sweep, and the one before
            break
        if stood is not None:
            found = one
        stood = one.sweeps
    chosen = found or oldest
    if chosen.number == later.number:
        raise UsageError(
            "there is only one judgement, and nothing to compare it with", "scan or poll again; then compare"
        )
    return chosen
