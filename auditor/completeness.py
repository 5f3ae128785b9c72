"""What a sweep listed, beside what the cloud itself counts in the bucket.

Source: Amazon S3 User Guide, Metrics and dimensions (NumberOfObjects: once a day, best effort, with noncurrent versions
and the parts of unfinished uploads); Google Cloud metrics, storage/v2/total_count (measured once a day, by type).
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from auditor.findings import Agreement, Compared
from auditor.model import EarlierSweep, Population, Sweep

_SHARE: Final = 100
"""The tolerance is a hundredth of the cloud's count ..."""
_FLOOR: Final = 1_000
"""... and at least so many objects: in a small bucket as many come and go between two moments."""
_PARTS: Final = 10_000
"""Parts of one upload, at most. Source: Amazon S3 User Guide, Multipart upload limits."""
_IMPRECISE: Final = timedelta(days=1)
"""By so much the moment of a value may be wrong: it names a day, or is repeated for one."""
_LATE: Final = timedelta(days=3)
"""A value may be of a moment so long ago."""
_MOST: Final = 32
"""Earlier sweeps that are kept for the comparison."""


def compare(sweep: Sweep) -> Compared | None:
    """Judge the count that was asked for when a sweep had ended; None: nobody asked, or the sweep is not whole."""
    told = sweep.counted
    if told is None or not sweep.complete:
        return None
    if told.unread is not None:
        return Compared(Agreement.NOT_READ, told.read_at)
    if told.total is None or told.measured_at is None:
        return Compared(Agreement.NOT_KNOWN, told.read_at)
    left_out = sweep.left_out or ()
    if told.populations is not None:
        count = sum(number for one, number in told.populations.items() if one not in left_out)
        beside: int | None = 0
    else:
        count, beside = told.total, _counted_beside(sweep)
    difference = count - sweep.listed
    tolerance = max(_FLOOR, count // _SHARE)
    allowed = tolerance + beside if beside is not None else None
    agreement = _judged(sweep, count, tolerance, beside, since=told.measured_at - _IMPRECISE)
    return Compared(agreement, told.read_at, told.measured_at, count, difference, allowed)


def _counted_beside(sweep: Sweep) -> int | None:
    """How much else than what was listed may be in one number for everything, at most; None where nobody knows.

    Whether delete markers are in it AWS does not say.
    """
    never_versioned = sweep.facts.versioned is False
    hidden = set(sweep.left_out or ()).difference({Population.NONCURRENT} if never_versioned else ())
    markers = 0 if never_versioned else sweep.markers
    if hidden or markers is None or sweep.uploads_in_progress is None:
        return None
    return markers + sweep.uploads_in_progress * _PARTS


def _judged(sweep: Sweep, count: int, tolerance: int, beside: int | None, *, since: datetime) -> Agreement:
    more = count - sweep.listed
    if more < -tolerance:
        return Agreement.FEWER_COUNTED
    if more <= tolerance:
        # Whatever else is in the count only adds to it.
        return Agreement.AGREES
    if beside is None:
        return Agreement.NOT_COMPARABLE
    # What went away since the cloud counted was there for the sweeps of then.
    were = max((one.listed for one in of_then(sweep.earlier, since)), default=0)
    return Agreement.EXPLAINED if count - max(were, sweep.listed) <= tolerance + beside else Agreement.UNEXPLAINED


def of_then(earlier: Iterable[EarlierSweep], since: datetime) -> tuple[EarlierSweep, ...]:
    """The last of some sweeps that ended before a moment, and all since."""
    every = sorted(earlier, key=lambda one: one.ended)
    before = [one for one in every if one.ended < since]
    return (*before[-1:], *every[len(before) :])


def handed_on(before: Sweep | None, left_out: tuple[Population, ...], now: datetime) -> tuple[EarlierSweep, ...]:
    """What the next sweep of a bucket is to know of those before; `before` is the one in force.

    One that looked at other populations counted something else.
    """
    if before is None or before.left_out != left_out:
        return ()
    every = (*before.earlier, EarlierSweep(before.ended, before.listed))
    kept = of_then(every, now - _LATE - _IMPRECISE)
    # Only the most that was listed decides.
    most = sorted(kept, key=lambda one: -one.listed)[:_MOST]
    return tuple(sorted(most, key=lambda one: one.ended))
