"""What events tell that counts for a period, and by which clock judgements were made."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from auditor.findings import Member, Readability, Severity, Status, Subject
from auditor.questions.period.answer import SetBack
from auditor.questions.period.stretches import NOTHING, Stretch

_NOISE: Final = timedelta(seconds=5)
"""How far the clouds' clocks are off is learnt from whole seconds, at each poll anew: so much back is no change."""


def is_set_back(before: datetime, now: datetime) -> bool:
    """Whether a clock was set back between two moments that it told."""
    return before - now > _NOISE


@dataclass(frozen=True, slots=True)
class PollTold:
    """One poll."""

    interval: timedelta | None
    """The time between two polls that the daemon promised, or more where this one came late; None: no daemon."""
    before: Any = None
    """None: it was one of all keys."""


@dataclass(frozen=True, slots=True)
class BucketTold:
    """How much of one bucket a judgement knows."""

    bucket: str
    complete: bool
    listed: int
    resolved: int


@dataclass(frozen=True, slots=True)
class CoverageTold:
    """The same of all."""

    buckets: tuple[BucketTold, ...]


@dataclass(frozen=True, slots=True)
class ContextTold:
    """By what a judgement was made."""

    version: str
    rules_version: str
    config_digest: str
    coverage: CoverageTold


@dataclass(frozen=True, slots=True)
class SweepsTold:
    """On which sweeps a judgement stands, by their ids."""

    sweeps: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class KeyTold:
    """How one key answered."""

    answered: bool
    asked: bool = True
    last_at: datetime | None = None
    missing_proven: bool = False
    denied_since: datetime | None = None

    @property
    def is_gone(self) -> bool:
        """Whether its service has said that it is not there any more: that is known then, for good."""
        return not self.answered and self.missing_proven and self.denied_since is None

    @property
    def tells(self) -> bool:
        """Whether its state is known by this answer."""
        return self.answered or self.is_gone


@dataclass(frozen=True, slots=True)
class SweepTold:
    """The end of one sweep."""

    bucket: str
    ended: datetime
    complete: bool


@dataclass(frozen=True, slots=True)
class HoldingTold:
    """How much one holding is."""

    objects: int | None
    size: int | None
    namespaces: int


@dataclass(frozen=True, slots=True)
class AssessmentTold:
    """Whether it can be read."""

    readability: Readability


@dataclass(frozen=True, slots=True)
class AssessedTold:
    """Both."""

    holding: HoldingTold
    assessment: AssessmentTold


@dataclass(frozen=True, slots=True)
class FindingTold:
    """One finding."""

    rule: str
    severity: Severity
    status: Status
    subject: Subject
    readability: Readability | None
    cause: str
    extent: HoldingTold
    members: tuple[Member, ...]
    since: datetime
    since_source: str
    succeeds: str | None = None


class Moment(NamedTuple):
    """When a judgement was made; a tuple, because a year has half a million."""

    now: datetime
    """As it says itself."""
    steady: datetime
    """The same by a clock that is never set back: it goes on from where it was when the other one is."""
    counted: timedelta
    """How much time of the period had passed by then, by that clock."""


class Clock:
    """The moments of judgements, in the order in which they were kept."""

    def __init__(self, window: Stretch) -> None:
        self._window = window
        self._last: Moment | None = None
        self._set_back: list[SetBack] = []

    def at(self, now: datetime) -> Moment:
        """Take the next one."""
        last = self._last
        if last is None:
            found = Moment(now, now, NOTHING)
        elif now < last.now:
            if is_set_back(last.now, now):
                self._set_back.append(SetBack(now, last.now - now))
            found = Moment(now, last.steady, last.counted)
        else:
            passed = now - last.now
            is_whole = self._window.begin <= last.now and now <= self._window.end
            counted = passed if is_whole else Stretch(last.now, now).within(self._window).length
            found = Moment(now, last.steady + passed, last.counted + counted)
        self._last = found
        return found

    def set_back(self) -> Iterator[SetBack]:
        """Each time that it was set back to a moment of the period, or over its end."""
        for one in self._set_back:
            if one.at < self._window.end and one.at + one.by >= self._window.begin:
                yield one
