"""How data leaves a key version, by itself and by a plan: the values of an answer."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from auditor.ports import NamespaceRow


@dataclass(frozen=True, slots=True)
class Trend:
    """How much was under a version some time ago, and what that makes of its end."""

    since: datetime
    """Aware, UTC: the moment from which on it is told."""
    then: int
    """Bytes under it at that moment."""
    empty_at: datetime | None
    """Aware, UTC: when nothing would be left, if it went on so; None where it does not become less."""


@dataclass(frozen=True, slots=True)
class Move:
    """What is under one version that takes no new data, or a key of AWS as a whole, and what it takes to move it."""

    version: str | None
    state: str
    objects: int
    size: int
    """Bytes."""
    namespaces: int
    idle: int | None
    """Those of them with nothing under a newer version, or on AWS under another key: nothing new was stored there. None
    where nobody can tell: new data comes under an older version."""
    trend: Trend | None
    """None where it was watched for too short a time."""
    deadline: datetime | None
    """Aware, UTC: when some of it becomes unreadable for good, or for now; None where no date is known."""
    first: str | None
    """What must be done before any of it can be moved; None where it can be read."""
    copying: timedelta
    """How long the platform would take, one namespace after the other."""
    usd: float
    """What rewriting each object in place costs by list price: an estimate."""
    largest: tuple[NamespaceRow, ...]
    """The namespaces with most of it."""
    newer: bool = False
    """It is newer than the primary version: somebody has made an older one the primary one again."""

    def fits(self, now: datetime) -> bool | None:
        """Whether copying would end before the deadline; None where there is none."""
        return None if self.deadline is None else now + self.copying <= self.deadline


@dataclass(frozen=True, slots=True)
class Plan:
    """How all data that stays under one key could be moved."""

    moves: tuple[Move, ...] = ()
    """The nearest deadline first."""
    not_known: tuple[str, ...] = ()
    """Why there may be more of it than they tell."""
    barred: str | None = None
    """Why nothing can be rewritten to the primary version now, and what to do first; None where it can be."""
    by_operator: bool = False
    """Whoever asks sees no bucket, so that others have to move it."""
