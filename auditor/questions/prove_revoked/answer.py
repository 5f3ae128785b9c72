"""What proves that a key revoked on purpose lets nobody read any more: the values of an answer."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from auditor.findings import Assessment, Undo
from auditor.model import Evidence, Extent, Gap, KeyName, Population, Probe, ProbeOutcome
from auditor.questions.impact.answer import Known


class Proof(StrEnum):
    """What the newest judgement says of all data under the key that is seen."""

    READABLE = "readable"
    """Some of it can still be read."""
    NOT_PROVEN = "not_proven"
    """That it cannot be read is not known, or only inferred."""
    REVOKED = "revoked"
    """None of it can be read, and that is proven; somebody may undo it."""
    ERASED = "erased"
    """None of it can ever be read again, and that is proven."""


@dataclass(frozen=True, slots=True)
class Part:
    """Data under the key that is judged alike."""

    found: Assessment
    extent: Extent


@dataclass(frozen=True, slots=True)
class ToDo:
    """One thing that is still to be done: the exact call, who can make it, the state that it lands in."""

    call: str
    """A command line that can be pasted; where no command does it, one sentence."""
    who: str
    lands_in: str


@dataclass(frozen=True, slots=True)
class Revocation:
    """The whole answer, of the moment at which the key was just asked."""

    key: KeyName
    meant_since: datetime | None
    """Aware, UTC: since when the config means it; None for ever since."""
    now: datetime
    """Aware, UTC, by the clouds' clocks as far as known."""
    proof: Proof
    why: str
    """What stands in the way of a proof; empty where there is one."""
    state: str
    """What the key said last, in the service's own word."""
    state_read: datetime | None
    """Aware, UTC; None where it was never read."""
    changed: datetime | None
    """Aware, UTC: when what decides over its use was last seen to change; None where it never was."""
    parts: tuple[Part, ...]
    """The most readable first."""
    extent: Extent
    """All of them together."""
    populations: Mapping[Population, tuple[int, int]]
    """Objects and bytes of them; populations without any are not in it."""
    probes: tuple[Probe, ...]
    """What attempts on its data found, the oldest first."""
    to_do: tuple[ToDo, ...]
    """What is still to be done before the key works for nobody; empty where it is proven dead, and where nothing of it
    is known to work."""
    undo: tuple[Undo, ...]
    """How somebody may make the data readable again; empty where nobody can, and where it is not revoked yet: what was
    done so far is to be gone on with there, and not undone."""
    evidence: tuple[Evidence, ...]
    """The calls that it stands on."""
    not_covered: tuple[str, ...]
    """What no answer of this kind can tell."""
    known: Known
    gaps: tuple[Gap, ...]
    """About the key, and what could hold more of such data, that could not be read."""
    events: int
    """How many events the ledger holds, this judgement's among them."""
    head: str
    """The hash of the newest: whoever keeps it can tell later whether the ledger was changed."""
    untold: bool = False
    """Nobody told of any data at all, so that how much is under the key is not known, and not nothing."""
    others: tuple[KeyName, ...] = ()
    """Other names of the key by which data names it: that data counts as well."""

    @property
    def refused_first(self) -> datetime | None:
        """When an attempt was first refused since the last change that was seen, of those that are kept."""
        after = [
            one.at for one in self.probes if one.outcome is ProbeOutcome.REFUSED and one.at >= (self.changed or one.at)
        ]
        return min(after, default=None)
