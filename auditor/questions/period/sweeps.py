"""How buckets were swept in a period, and how much of each was known."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from auditor.questions.period.answer import BucketWatch
from auditor.questions.period.stretches import NOTHING, Stretch
from auditor.questions.period.told import BucketTold, Moment, SweepTold


@dataclass(slots=True)
class _Bucket:
    """What is known of one bucket."""

    told: BucketTold | None = None
    """What the last judgement knew of it; None: the config did not name it."""
    since: Moment | None = None
    """Since which judgement."""
    begun: datetime | None = None
    """The end of the last complete sweep; before there is one, when the config named it first."""
    last_complete: datetime | None = None
    complete: int = 0
    failed: int = 0
    longest: timedelta = NOTHING
    configured: timedelta = NOTHING
    unswept: timedelta = NOTHING
    incomplete: timedelta = NOTHING
    least: float | None = None


class Sweeps:
    """Takes ends of sweeps in, and what judgements knew of each bucket."""

    def __init__(self, window: Stretch) -> None:
        self._window = window
        self._buckets: dict[str, _Bucket] = {}

    def swept(self, told: SweepTold) -> None:
        """Take the end of one sweep in."""
        one = self._buckets.setdefault(told.bucket, _Bucket())
        is_in = self._window.begin <= told.ended < self._window.end
        if not told.complete:
            one.failed += is_in
            return
        one.complete += is_in
        self._without(one, told.ended)
        one.begun = one.last_complete = told.ended

    def judged(self, buckets: Iterable[BucketTold], at: Moment) -> None:
        """Take in what a judgement knows of all buckets, where that is otherwise than before."""
        told = {one.bucket: one for one in buckets}
        for name in told.keys() | self._buckets.keys():
            one = self._buckets.setdefault(name, _Bucket())
            self._stood(one, at)
            if one.begun is None and name in told:
                one.begun = at.now
            if one.told is not None and name not in told:
                self._without(one, at.now)
                one.begun = None
            one.told, one.since = told.get(name), at

    def told(self, end: Moment) -> Iterator[BucketWatch]:
        """How each bucket was swept that the config named in the period; `end`: where it ends."""
        for name, one in sorted(self._buckets.items()):
            self._stood(one, end)
            one.since = end
            if one.told is not None:
                self._without(one, self._window.end)
            if one.configured or one.least is not None:
                yield BucketWatch(
                    bucket=name,
                    configured=one.configured,
                    complete=one.complete,
                    failed=one.failed,
                    last_complete=one.last_complete,
                    longest_without=one.longest if one.last_complete is not None else None,
                    unswept=one.unswept,
                    incomplete=one.incomplete,
                    least_coverage=one.least,
                )

    def _without(self, one: _Bucket, until: datetime) -> None:
        """Count how long it was since the last complete sweep, where some of that is in the period."""
        if one.begun is not None and until > self._window.begin and one.begun < self._window.end:
            one.longest = max(one.longest, min(until, self._window.end) - one.begun)

    def _stood(self, one: _Bucket, at: Moment) -> None:
        """Count for how long it was as it was told last."""
        if one.told is None or one.since is None:
            return
        length = at.counted - one.since.counted
        if not length and not self._window.begin <= one.since.now < self._window.end:
            return
        one.configured += length
        share = _share(one.told)
        one.least = share if one.least is None else min(one.least, share)
        if not one.told.complete:
            one.unswept += length
        if share < 1:
            one.incomplete += length


def _share(one: BucketTold) -> float:
    if not one.complete:
        return 0.0
    return one.resolved / one.listed if one.listed else 1.0
