"""What would become of the data under a key, if somebody acted on it: the values of an answer."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from auditor.action import Action
from auditor.findings import Member, Readability, Undo
from auditor.model import Extent, Gap, KeyName, Population
from auditor.ports import NamespaceRow


@dataclass(frozen=True, slots=True)
class Shift:
    """Data that would go from one readability to another."""

    before: Readability
    after: Readability
    extent: Extent


@dataclass(frozen=True, slots=True)
class Writes:
    """Whether new data could still be written under the key."""

    fail: bool | None
    """None where it is not known."""
    text: str
    namespaces: int = 0
    """With data under the key, in whatever version."""
    buckets: tuple[str, ...] = ()
    """Whose default key it is."""
    registries: tuple[str, ...] = ()
    """That name the key for their namespaces, so that more data may be meant to come under it."""


@dataclass(frozen=True, slots=True)
class Known:
    """How much of the buckets that could hold such data is known, and from when."""

    listed: int | None
    """None: no bucket is configured, and registries alone say what depends on the key."""
    resolved: int | None
    """Objects whose key is known; None with `listed`."""
    swept: datetime | None
    """Aware, UTC: when the oldest of the sweeps began; None where there is none."""
    buckets: int
    """Buckets of the key's cloud that the config names."""
    lacking: int
    """How many of them have no complete sweep in force."""
    elsewhere: int | None
    """Buckets of the accounts in use that no config names, of both clouds; None where nobody could list them."""
    told: datetime | None = None
    """Aware, UTC: when the oldest of the sweeps began that operators' bundles tell of; None where there are none."""
    heard: bool = True
    """Some registry has said what depends on keys."""


@dataclass(frozen=True, slots=True)
class Impact:
    """The whole answer; nothing was done, and nothing was asked of a cloud."""

    key: KeyName
    version: str | None
    action: Action
    now: datetime
    """Aware, UTC, by the clouds' clocks as far as known: the moment for which it is told."""
    judged: datetime
    """Aware, UTC: the moment of the judgement that it goes by."""
    state: str
    """What the key or the version said last, in the service's own word."""
    state_read: datetime | None
    """Aware, UTC; None where it was never read."""
    idle: str | None
    """Why the action would change nothing, or cannot be taken; None where it can."""
    shifts: tuple[Shift, ...]
    """The worst first; data that stays as it is is in none of them."""
    extent: Extent
    """All of the shifts together."""
    members: tuple[Member, ...]
    """What they are made of."""
    worst: tuple[NamespaceRow, ...]
    """The ten namespaces with most of such objects."""
    populations: Mapping[Population, tuple[int, int]]
    """Objects and bytes of them; populations without any are not in it."""
    untouched: int | None
    """Objects under the same key or version that would stay as they are."""
    writes: Writes
    takes_effect: str
    final: str
    """When the loss would be for good, in words."""
    final_at: datetime | None
    """Aware, UTC: when, were it done now; None where never by itself."""
    undo: tuple[Undo, ...]
    not_covered: tuple[str, ...]
    """What no answer can tell, and what this one leaves out."""
    known: Known
    gaps: tuple[Gap, ...]
    """What could hold more of such data, and could not be read."""
    untold: bool = False
    """Nobody told of any data at all, so that how much depends on the key is not known, and not nothing."""
    stands: tuple[tuple[Readability, int | None], ...] = ()
    """What those that would stay as they are can be read for now, the worst first; None where nobody saw objects."""
    stands_until: datetime | None = None
    """Aware, UTC: the first date at which some of those are lost for good or stop being readable."""
    others: tuple[KeyName, ...] = ()
    """Other names of the key by which data names it: that data is in all of this."""
