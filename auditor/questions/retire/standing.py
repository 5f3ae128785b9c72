"""What key versions are there for, and which may go: the values of an answer."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from auditor.model import Gap, KeyName, Reason

SETTLES: Final = timedelta(hours=24)
"""How long after another version became the primary one new data may still come under the old. Source: Cloud KMS docs,
Resource consistency: hours at most. An upload that was begun before may end later: the sweep after the wait sees it."""


MANAGED: Final = "AWS manages it"
"""Why a key is in use whatever is under it: nobody else can disable or delete it."""


class Use(StrEnum):
    """What a key version is there for."""

    IN_USE = "in_use"
    """Data is under it, or may be by its name."""
    TAKES_NEW_DATA = "takes_new_data"
    """Nothing is under it that is known, and new data may come at any moment."""
    NOT_PROVEN = "not_proven"
    """Nothing is under it that is known, and not everything was seen."""
    UNUSED = "unused"
    """Everything that the config names was seen after the last data could have come, and nothing is under it."""


@dataclass(frozen=True, slots=True)
class Standing:
    """One version of a key, or a key of AWS as a whole."""

    version: str | None
    state: str
    use: Use
    reasons: tuple[str, ...] = ()
    """Why it is so; what would have to be seen for a proof."""
    resting: datetime | None = None
    """Aware, UTC: since when no new data comes, as far as it was seen; None where it may come."""
    disabled: datetime | None = None
    """Aware, UTC: since when it was seen disabled without a break; None where it is not."""
    looked: datetime | None = None
    """Aware, UTC: from when on everything was looked at, at the latest; None where data is under it, or may come."""
    objects: int | None = 0
    """None: no bucket is configured, so that nobody looked."""
    size: int | None = 0
    """Bytes; None with `objects`."""


class Step(StrEnum):
    """What may be done next with a version that nothing is under."""

    DISABLE = "disable"
    """It can be undone at any time."""
    WAIT = "wait"
    """It is disabled, and not yet for as long as the policy asks."""
    DESTROY = "destroy"
    """Nobody has missed it for so long."""
    NONE = "none"
    """Nothing, or its destruction is scheduled already."""


@dataclass(frozen=True, slots=True)
class Next:
    """The next step, and from when on it may be taken."""

    step: Step
    at: datetime | None = None
    """Aware, UTC: of `wait`, until when; of `destroy`, since when."""


class Recorded(StrEnum):
    """What a service recorded of the uses of a key."""

    USED = "used"
    NEVER_USED = "never_used"
    """Not since it was made."""
    NO_RECORD = "no_record"
    """Not since recording began, which was after the key was made: of before nobody knows."""
    NOT_KNOWN = "not_known"
    """It was asked, and did not say."""
    NOT_ASKED = "not_asked"


@dataclass(frozen=True, slots=True)
class LastUse:
    """What AWS recorded of the uses of one key."""

    since: datetime
    """Aware, UTC: from when on uses are recorded."""
    created: datetime | None
    """Aware, UTC: when the key was made."""
    at: datetime | None = None
    """Aware, UTC: when it was used last; None: no use is recorded."""
    operation: str | None = None
    """In the service's own word."""
    event: str | None = None
    """The id of its event in CloudTrail."""

    @property
    def recorded(self) -> Recorded:
        """What it comes to."""
        if self.at is not None:
            return Recorded.USED
        whole = self.created is not None and self.created >= self.since
        return Recorded.NEVER_USED if whole else Recorded.NO_RECORD


@dataclass(frozen=True, slots=True)
class Candidate:
    """One key version, or key of AWS, and what may be done with it."""

    key: KeyName
    standing: Standing
    next: Next
    call: str | None
    """The command line of the next step; None where nothing is to be done now."""
    month: float | None = None
    """What it costs a month by list price, in USD; None where that is not known."""
    last_use: LastUse | Reason | None = None
    """Of a key of AWS: what is recorded, or why nobody says; None: not asked."""
    others: tuple[KeyName, ...] = ()
    """Other names of the key by which data names it: that data counts as well."""

    @property
    def recorded(self) -> Recorded:
        """What its last use comes to."""
        if isinstance(self.last_use, LastUse):
            return self.last_use.recorded
        return Recorded.NOT_ASKED if self.last_use is None else Recorded.NOT_KNOWN

    @property
    def name(self) -> str:
        """Its full name."""
        version = self.standing.version
        return f"{self.key}/cryptoKeyVersions/{version}" if version is not None else self.key.text


@dataclass(frozen=True, slots=True)
class Retiring:
    """The whole answer."""

    now: datetime
    """Aware, UTC, by the clouds' clocks as far as known."""
    judged: datetime
    """Aware, UTC: the moment of the judgement that it goes by."""
    candidates: tuple[Candidate, ...]
    gaps: tuple[Gap, ...]
    """Keys of which nothing can be told, and buckets that may hold data under keys that nobody knows."""
    last_uses_asked: bool = False
    """Last uses were to be asked for."""
