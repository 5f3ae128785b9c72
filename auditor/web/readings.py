"""Where the web side gets what it shows."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from prometheus_client import CollectorRegistry

from auditor.daemon.loops import Fault
from auditor.feeds.silence import Ear
from auditor.findings import Demand, Finding, Judgement
from auditor.model import KeyMemory, KeyName
from auditor.ports import LogStanding, OpenInventory
from auditor.shelf import Shelf


@dataclass(frozen=True, slots=True)
class Loaded:
    """Which config the daemon works by. All times are aware, UTC, by this machine's clock."""

    digest: str
    """SHA-256 of the settings in force."""
    at: datetime
    refused: tuple[datetime, str] | None = None
    """When another was to take its place since and could not, and why."""
    file_digest: str | None = None
    """SHA-256 of the file as it was read."""


@dataclass(frozen=True, slots=True)
class Readings:
    """Where the pages get what they show."""

    judgement: Callable[[], Judgement | None]
    ended: Callable[[str], Sequence[Finding]]
    """Findings whose id begins so, as they were when they ended."""
    rows: Callable[[Judgement], OpenInventory]
    """The dependencies that the judgement stands on."""
    report: Callable[[Judgement], str]
    demands: tuple[Demand, ...]
    """What the rules demand."""
    metrics: CollectorRegistry
    loops_alive: Callable[[], Mapping[str, bool]]
    failing: Callable[[], tuple[str, ...]]
    """Loops whose last turns all failed."""
    memory: Callable[[], Mapping[KeyName, KeyMemory]]
    """What is remembered of every key."""
    clock: Callable[[], datetime]
    loaded: Callable[[], Loaded]
    leads: Callable[[], bool]
    """Whether this daemon works, and does not wait while another one does."""
    faults: Callable[[], Mapping[str, Fault]] = dict
    """Loops whose last turn failed, and why."""
    own_log: Callable[[], LogStanding | None] = lambda: None
    """How our own log is; None where there is none."""
    ears: Callable[[], tuple[Ear, ...]] = tuple
    """How feeds are listened to."""
    polled_alone: Callable[[], int | None] = lambda: None
    """How many needed keys no feed tells of; None where that is not known yet."""
    shelf: Shelf | None = None
    """The reports that are kept."""
