"""What a ledger tells of a period: the values of an answer.

All times are aware, UTC, by the clouds' clocks, as judgements told them.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from auditor.findings import Readability, Severity, Subject
from auditor.model import Gap
from auditor.questions.period.stretches import NOTHING, Stretch

STOPPED: Final = frozenset(Readability) - {Readability.READABLE, Readability.EXPIRING, Readability.UNKNOWN}
"""Encryption stops a read."""


class Ending(StrEnum):
    """What a finding came to, as far as the period goes."""

    OPEN = "open"
    """It stood when somebody looked last."""
    REPAIRED = "repaired"
    """Its data can be read again; of a finding that is not about reading, its rule does not fail any more."""
    FOLLOWED = "followed"
    """Another finding about the same subject took over from it."""
    OTHERWISE = "otherwise"
    """Some of its data cannot be read still, for another cause."""
    NOT_KNOWN = "not_known"
    """Whether its data can be read is not provable any more."""
    DATA_GONE = "data_gone"
    """None of its data is known any more: deleted, moved to another key, or not in the config any more."""


@dataclass(frozen=True, slots=True)
class Much:
    """An amount of data; None: nobody saw it, or tells."""

    objects: int | None = 0
    size: int | None = 0
    """Bytes."""
    namespaces: int = 0

    def or_more(self, other: "Much | None") -> "Much":
        """The larger number of each; what one side does not know is not known."""
        if other is None:
            return self
        return Much(
            _larger(self.objects, other.objects), _larger(self.size, other.size), max(self.namespaces, other.namespaces)
        )


def _larger(one: int | None, other: int | None) -> int | None:
    return None if one is None or other is None else max(one, other)


@dataclass(frozen=True, slots=True)
class Span:
    """One finding, from when it opened until it ended."""

    id: str
    """Of the finding, which may come back: another span has the same."""
    rule: str
    severity: Severity
    """The worst of all that it had."""
    subject: Subject
    readability: Readability | None
    """The one that it was told with last; None where it is not about reading."""
    cause: str
    since: datetime
    """When it became so, as far as `since_source` can tell; of one that took over from another, when it did."""
    since_source: str
    first_seen: datetime
    """Of the judgement that told it first."""
    last_seen: datetime
    """Of the last judgement that told it."""
    ended: datetime | None
    """Of the first judgement that did not; None: there was none in the period."""
    ending: Ending
    worst: Much | None
    """The most that hung on it in the period; None: it was told in no judgement of it."""
    last: Much
    """What hung on it at its end, or at that of the period."""
    lasted: timedelta
    """From `since` on, while time went forwards: what a clock that was set back told twice counts as it passed."""
    in_period: timedelta
    """How much of that was in the period."""
    unobserved: timedelta
    """For how much of that nobody looked, or its key did not tell: it may have been otherwise meanwhile."""
    waived: tuple[Stretch, ...]
    """When somebody accepted it; it is no less unreadable then."""
    succeeds: str | None
    """Id of the finding that this one took over from."""
    followed_by: tuple[str, ...]
    """Ids of those that took over from this one."""
    turned_back: bool
    """The clock was set back while it stood, so that its moments are in no order."""

    @property
    def is_stopped(self) -> bool:
        """Whether encryption stopped a read of its data."""
        return self.readability in STOPPED


@dataclass(frozen=True, slots=True)
class Incident:
    """Findings that took over from one another: one story of one subject."""

    spans: tuple[Span, ...]
    """In the order in which they opened; also those that were over before the period, where a later one was not."""
    lasted: timedelta
    """From the first `since` on, while time went forwards."""
    stopped: timedelta
    """For how much of that encryption stopped a read of its data."""
    stopped_in_period: timedelta

    @property
    def since(self) -> datetime:
        """When it became so."""
        return self.spans[0].since

    @property
    def first_seen(self) -> datetime:
        """Of the judgement that told it first."""
        return self.spans[0].first_seen

    @property
    def ending(self) -> Ending:
        """What it came to: whatever of it is open, or else what ended last."""
        endings = [one.ending for one in self.spans if one.ending is not Ending.FOLLOWED]
        return Ending.OPEN if Ending.OPEN in endings else endings[-1]

    @property
    def ended(self) -> datetime | None:
        """Of the first judgement without it; None: it is open."""
        if self.ending is Ending.OPEN:
            return None
        return next(one.ended for one in reversed(self.spans) if one.ending is not Ending.FOLLOWED)

    @property
    def severity(self) -> Severity:
        """The worst of its findings'."""
        return max((one.severity for one in self.spans), key=lambda severity: severity.rank)

    @property
    def worst(self) -> Much:
        """The most that hung on any of its findings in the period."""
        return _most(one.worst for one in self.spans)

    @property
    def is_stopped(self) -> bool:
        """Whether encryption stopped a read of its data at some time."""
        return any(one.is_stopped for one in self.spans)

    @property
    def is_waived(self) -> bool:
        """Whether somebody accepted it at some time."""
        return any(one.waived for one in self.spans)


@dataclass(frozen=True, slots=True)
class Repair:
    """How long it took until incidents of one severity were over."""

    severity: Severity
    incidents: int
    repaired: int
    median: timedelta | None
    """Of those that were repaired; None where none was."""
    worst: timedelta | None
    open: int
    """Not repaired at the end of the period, or when somebody looked last."""
    longest_open: timedelta | None
    """How long the oldest of them has stood by then."""
    otherwise: int
    """Ended without a repair: the data is gone, is not known any more, or cannot be read for another cause."""
    waived: int
    """How many of all somebody accepted at some time."""


def repairs(incidents: Iterable[Incident]) -> tuple[Repair, ...]:
    """Repairs by severity, the worst first; each severity is there."""
    some = tuple(incidents)
    return tuple(
        _repair(severity, [one for one in some if one.severity is severity]) for severity in reversed(Severity)
    )


def _repair(severity: Severity, some: list[Incident]) -> Repair:
    took = [one.lasted for one in some if one.ending is Ending.REPAIRED]
    left = [one.lasted for one in some if one.ending is Ending.OPEN]
    return Repair(
        severity=severity,
        incidents=len(some),
        repaired=len(took),
        median=_median(took),
        worst=max(took, default=None),
        open=len(left),
        longest_open=max(left, default=None),
        otherwise=len(some) - len(took) - len(left),
        waived=sum(one.is_waived for one in some),
    )


def _median(some: list[timedelta]) -> timedelta | None:
    if not some:
        return None
    half, ordered = len(some) // 2, sorted(some)
    return ordered[half] if len(some) % 2 else (ordered[half - 1] + ordered[half]) / 2


@dataclass(frozen=True, slots=True)
class Polls:
    """How often keys were asked, and when nobody asked them."""

    whole: int
    """Polls of all needed keys."""
    few: int
    """Polls of a few keys, which say nothing of the others."""
    silent: int
    """Polls of all needed keys in which none of them told anything: they count as not made."""
    promised: tuple[timedelta, timedelta] | None
    """The shortest and the longest time between two polls that the daemon promised; None: it promised none."""
    observed: timedelta
    """For how much of the time polls were made as promised."""
    blind: tuple[Stretch, ...]
    """When they were not, in order."""

    @property
    def longest_blind(self) -> timedelta:
        """The longest of the times in which nobody looked."""
        return max((one.length for one in self.blind), default=NOTHING)


@dataclass(frozen=True, slots=True)
class KeyWatch:
    """How long one key was looked at."""

    key: str
    needed: timedelta
    """For how much of the time data hung on it, or the config watched it."""
    observed: timedelta
    """For how much of that it told its state, and polls were made as promised."""
    longest_blind: timedelta
    silent: tuple[Stretch, ...]
    """When it did not tell although it was asked, in order."""


@dataclass(frozen=True, slots=True)
class BucketWatch:
    """How one bucket was swept."""

    bucket: str
    configured: timedelta
    """For how much of the time judgements knew it by the config."""
    complete: int
    """Complete sweeps that ended in the period."""
    failed: int
    """Attempts that ended in it, and were not complete."""
    last_complete: datetime | None
    """When the newest complete sweep ended; None: there was none, before the period neither."""
    longest_without: timedelta | None
    """The longest time between two ends of complete sweeps, or to the end of the period; None: it never had one."""
    unswept: timedelta
    """How long no complete sweep of it was in force."""
    incomplete: timedelta
    """How long the encryption of some of its objects was not known, that without a sweep included."""
    least_coverage: float | None
    """The least share of its objects whose encryption was known, 0 to 1; None: nobody judged it in the period."""


@dataclass(frozen=True, slots=True)
class Point:
    """The most that was told of one small part of the period."""

    stretch: Stretch
    observed: timedelta
    """For how much of it polls were made as promised."""
    stopped: Much | None
    """The most that could not be read, each number by itself; None: nobody looked."""
    unknown: Much | None
    """The most of which nobody knew whether it can; likewise."""


@dataclass(frozen=True, slots=True)
class GapSpan:
    """Something that could not be read, from when that was told first until it could."""

    gap: Gap
    first_seen: datetime
    ended: datetime | None
    """None: it was open when somebody looked last."""
    in_period: timedelta


@dataclass(frozen=True, slots=True)
class Judge:
    """By what was judged from some judgement on."""

    first: datetime
    version: str
    rules_version: str
    config_digest: str


@dataclass(frozen=True, slots=True)
class SetBack:
    """A judgement that says that it is earlier than the one before it."""

    at: datetime
    """What it says."""
    by: timedelta


@dataclass(frozen=True, slots=True)
class Chain:
    """The ledger that an answer stands on."""

    events: int
    head: str
    """Hash of its newest event."""
    began: datetime | None
    """Of its first judgement; None: it has none."""
    newest: datetime | None = None
    """Of the newest one that was made before the period ended; None likewise."""


@dataclass(frozen=True, slots=True)
class Chronicle:
    """All that a ledger tells of a period."""

    period: Stretch
    asked: datetime
    """When it was asked: of what comes later nobody can tell."""
    until: datetime
    """The end of the period, or when it was asked where that is earlier."""
    chain: Chain
    polls: Polls
    keys: tuple[KeyWatch, ...]
    """Those that were looked at least first."""
    buckets: tuple[BucketWatch, ...]
    """By name."""
    incidents: tuple[Incident, ...]
    """All that stood at some time of the period, in the order in which they began."""
    course: tuple[Point, ...]
    """The whole period in parts of the same length."""
    gaps: tuple[GapSpan, ...]
    """All that stood at some time of the period, in the order in which they were first told."""
    judges: tuple[Judge, ...]
    """By what was judged, each change of it."""
    set_back: tuple[SetBack, ...]
    """Each time that the clock was found set back."""

    @property
    def over(self) -> Stretch:
        """As much of the period as is over."""
        return Stretch(self.period.begin, max(self.period.begin, self.until))

    @property
    def share(self) -> float | None:
        """The observed share of what is over, 0 to 1; None: nothing of it is."""
        return self.polls.observed / self.over.length if self.over.length else None

    @property
    def silent_keys(self) -> tuple[KeyWatch, ...]:
        """Keys that did not tell at some time although they were asked."""
        return tuple(one for one in self.keys if one.silent)

    @property
    def stopped(self) -> tuple[Incident, ...]:
        """Incidents in which encryption stopped a read in the period."""
        return tuple(one for one in self.incidents if one.stopped_in_period or _was_stopped(one, self.over))

    @property
    def worst(self) -> Much:
        """The most that could not be read at one time, as far as anybody looked."""
        return _most(one.stopped for one in self.course)


def _most(some: Iterable[Much | None]) -> Much:
    """The most of all that are told."""
    first, *others = [one for one in some if one is not None] or [Much()]
    for one in others:
        first = first.or_more(one)
    return first


def _was_stopped(one: Incident, over: Stretch) -> bool:
    """Whether it was told so by a judgement of the period, were it for no time at all."""
    return any(each.is_stopped and over.begin <= each.first_seen < over.end for each in one.spans)


def with_unobserved(one: Incident, blind: Iterable[timedelta]) -> Incident:
    """Tell of each of its spans for how long nobody looked."""
    spans = (replace(span, unobserved=length) for span, length in zip(one.spans, blind, strict=True))
    return replace(one, spans=tuple(spans))
