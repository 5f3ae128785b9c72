"""Which two judgements are compared."""

from collections import defaultdict
from itertools import islice
from typing import Final

from auditor.errors import UsageError
from auditor.ports import History, Made

_NEWEST: Final = 5
"""Ids that a hint names."""
_LONGEST: Final = 64
"""Characters: twice as long as an id is."""


def pair(history: History, first: str | None, last: str | None) -> tuple[Made, Made]:
    """The earlier and the later one, by their ids or what these begin with; `first` alone: with the newest.

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
    found = history.named(prefix) if prefix else ()
    if len(found) == 1:
        return found[0]
    what = "begins the ids of several judgements" if found else "begins the id of no judgement"
    raise UsageError(f"{prefix!r} {what}", _hint(history, "the newest are"))


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
