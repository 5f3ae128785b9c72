"""What differs between two judgements: the values of an answer."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from auditor.findings import Finding, Judgement, Readability, Severity, Status
from auditor.model import Encryption, Extent, Gap, KeyName, Population

READABLE: Final = frozenset({Readability.READABLE, Readability.EXPIRING})
_RANKED: Final = (
    Readability.READABLE,
    Readability.EXPIRING,
    Readability.UNREACHABLE,
    Readability.REVOKED,
    Readability.UNREADABLE,
    Readability.DOOMED,
    Readability.LOST,
)
"""How bad each is that is proven, best first: the order in which proven obstacles rank."""


class Turn(StrEnum):
    """What became of the readability of data, the worst first."""

    STOPPED = "stopped"
    """It could be read, or nobody knew, and provably cannot be any more."""
    WORSE = "worse"
    """It is worse than before: stops at a date now, or is harder to bring back."""
    NOT_KNOWN = "not_known"
    """It was known, and is not any more."""
    RESTORED = "restored"
    """It provably could not be read, and can be."""
    BETTER = "better"
    """It is less bad than before."""
    KNOWN = "known"
    """It was not known whether it can be read, and it can."""
    SAME = "same"


GOT_WORSE: Final = frozenset({Turn.STOPPED, Turn.WORSE, Turn.NOT_KNOWN})


def turn(before: Readability | None, after: Readability | None) -> Turn:
    """Tell what became of data; None: it was not there, or is not there any more."""
    if after is None or before is after:
        return Turn.SAME
    if after is Readability.UNKNOWN:
        # Data that came is no loss of knowledge: that it is unknown is a gap, or its writer's will.
        return Turn.SAME if before is None else Turn.NOT_KNOWN
    if before is None or before is Readability.UNKNOWN:
        better = Turn.SAME if before is None else Turn.KNOWN
        return better if after in READABLE else Turn.STOPPED
    was, is_ = _RANKED.index(before), _RANKED.index(after)
    if before in READABLE and after not in READABLE:
        return Turn.STOPPED
    if before not in READABLE and after in READABLE:
        return Turn.RESTORED
    return Turn.WORSE if is_ > was else Turn.BETTER


class Change(StrEnum):
    """What became of data itself."""

    STAYED = "stayed"
    """Under the same key version; what differs is whether it can be read."""
    MOVED = "moved"
    """Less under one key version, and as much more under another, in the same namespace: written anew."""
    POPULATION = "population"
    """It was replaced, deleted or brought back, and is still stored under the same key version."""
    UNRESOLVED = "unresolved"
    """Which key it is under was not known on one side."""
    APPEARED = "appeared"
    VANISHED = "vanished"
    FEWER = "fewer"
    """Where one side is known as a sum only: less is under a key version, whatever became of it."""
    MORE = "more"
    """Likewise."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where data stands: under which key version, and whether it can be read."""

    encryption: Encryption
    key: str | None
    key_version: str | None
    readability: Readability
    population: Population | None
    """None where it is known as a sum of all populations only."""


@dataclass(frozen=True, slots=True)
class Group:
    """Data of one bucket that changed alike."""

    change: Change
    turn: Turn
    bucket: str
    before: Place | None
    """None: it was not there."""
    after: Place | None
    """None: it is not there any more."""
    objects: int
    size: int
    """Bytes."""
    namespaces: int | None
    """None where it is not known."""
    samples: tuple[str, ...] = ()
    """`bucket/namespace` of the ten with most such objects."""


@dataclass(frozen=True, slots=True)
class Total:
    """All groups of one kind together."""

    objects: int = 0
    size: int = 0
    namespaces: int | None = 0
    """Each counted once; None where it is not known."""


@dataclass(frozen=True, slots=True)
class Data:
    """What became of all data that can be compared."""

    groups: tuple[Group, ...]
    """The worst first; data that is as before is in none of them."""
    by_turn: Mapping[Turn, Total]
    by_change: Mapping[Change, Total]
    unchanged: int
    """Objects that are as before."""
    not_compared: tuple[int, int]
    """Objects that the earlier and the later judgement know in buckets that are not compared."""


class How(StrEnum):
    """How far the data of a bucket is compared."""

    NAMESPACES = "namespaces"
    """By namespace."""
    SAME_SWEEP = "same_sweep"
    """Both judgements stand on one sweep: only whether its data can be read may differ."""
    SUMS = "sums"
    """Only by how much is under each key version."""
    NOT = "not"
    """Not at all."""


@dataclass(frozen=True, slots=True)
class ComparedBucket:
    """How far one bucket is compared."""

    bucket: str
    how: How
    before: datetime | None
    """Aware, UTC: when the sweep of the earlier judgement began; None where it stands on none."""
    after: datetime | None
    why: str = ""
    """Why it is not compared, or by sums only."""
    left_out: tuple[Population, ...] = ()
    """Populations that one side left out, so that they are not compared."""


@dataclass(frozen=True, slots=True)
class KeyChange:
    """One fact of a key that is otherwise, or was in between."""

    key: KeyName
    fact: str
    """`answer`, `state`, `primary`, `version 3`, `right PRINCIPAL` and so on."""
    before: str | None
    """In the service's own word; None where there was none yet, or it was never read before."""
    after: str | None
    at: datetime
    """Aware, UTC: the poll that saw it change last."""
    times: int
    """How often it was seen to change."""
    read_before: bool = True
    """The key had told of itself before; else None in `before` says that nobody knows how it was."""

    @property
    def is_back(self) -> bool:
        """It is as it was before."""
        return self.before == self.after


@dataclass(frozen=True, slots=True)
class Between:
    """What happened from one judgement to another."""

    keys: tuple[KeyChange, ...]
    passed: tuple[Finding, ...]
    """Findings that opened and ended, so that neither of the two has them."""


@dataclass(frozen=True, slots=True)
class ChangedFinding:
    """A finding of both judgements that is otherwise."""

    before: Finding
    after: Finding

    @property
    def fields(self) -> Mapping[str, tuple[object, object]]:
        """What of it is otherwise: each with what it was and what it is."""
        pairs = {name: (told, _told(self.after)[name]) for name, told in _told(self.before).items()}
        return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}

    @property
    def is_worse(self) -> bool:
        """It is graver than before, or nobody accepts it any more."""
        return self.after.severity.rank > self.before.severity.rank or (
            self.before.status is Status.WAIVED and self.after.status is Status.OPEN
        )


def _told(one: Finding) -> dict[str, object]:
    extent: Extent = one.extent
    return {
        "severity": one.severity,
        "status": one.status,
        "readability": one.readability,
        "final_at": one.final_at,
        "objects": extent.objects,
        "namespaces": extent.namespaces,
    }


@dataclass(frozen=True, slots=True)
class Difference:
    """The whole answer; it stands on what is stored alone, and no cloud is asked."""

    before: Judgement
    after: Judgement
    buckets: tuple[ComparedBucket, ...]
    data: Data
    keys: tuple[KeyChange, ...]
    opened: tuple[Finding, ...]
    closed: tuple[Finding, ...]
    """As they were."""
    changed: tuple[ChangedFinding, ...]
    passed: tuple[Finding, ...]
    unseen: frozenset[str]
    """Ids of opened and closed findings all whose data, and of changed ones some of whose data, is not compared."""
    gaps: tuple[Gap, ...]
    """What of the two cannot be compared."""
    gaps_opened: tuple[Gap, ...]
    gaps_closed: tuple[Gap, ...]
    gaps_standing: tuple[Gap, ...]
    """As the later judgement tells them."""
    otherwise: tuple[str, ...]
    """What else differs between how the two were judged, in words."""

    @property
    def is_keys_only(self) -> bool:
        """Whether neither side saw an object, because no bucket was configured."""
        return self.before.is_keys_only and self.after.is_keys_only

    @property
    def worse(self) -> bool:
        """Something cannot be read that could be, is worse, or is not known any more."""
        return any(one.turn in GOT_WORSE for one in self.data.groups)

    def alarming(self, level: Severity) -> bool:
        """Whether a finding at or above a level is open that was not, or has got so grave."""
        return any(one.status is Status.OPEN and one.severity.rank >= level.rank for one in self.opened) or any(
            one.is_worse and one.after.status is Status.OPEN and one.after.severity.rank >= level.rank
            for one in self.changed
        )

    @property
    def all_gaps(self) -> tuple[Gap, ...]:
        """Everything that leaves the comparison open, on whichever side."""
        return (*self.gaps, *self.gaps_opened, *self.gaps_standing, *self.gaps_closed)
