"""One row of a state table, and which of several proven obstacles counts."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

from auditor.findings import Assessment, Basis, Readability, Subject, Undo
from auditor.model import Evidence, KeyMemory
from auditor.policy import Policy

# The worst that is proven wins; `unknown` never hides a proven obstacle and never counts as readable.
_RANK: Final = {
    Readability.LOST: 7,
    Readability.DOOMED: 6,
    Readability.UNREADABLE: 5,
    Readability.REVOKED: 4,
    Readability.UNREACHABLE: 3,
    Readability.UNKNOWN: 2,
    Readability.EXPIRING: 1,
    Readability.READABLE: 0,
}


@dataclass(frozen=True, slots=True)
class Standpoint:
    """From where a key is judged, apart from the key itself."""

    agents: tuple[str, ...]
    """The principals that decrypt for the bucket in question; empty where they are not known."""
    memory: KeyMemory | None
    policy: Policy
    now: datetime
    """Aware, UTC, by the clouds' clocks."""


@dataclass(frozen=True, slots=True)
class Step:
    """One call of an undo; the name of the resource that it is made on gives the call."""

    call: Callable[[str], str]
    who: str
    lands_in: str


@dataclass(frozen=True, slots=True)
class StateRow:
    """What one provider state means for data that depends on it."""

    readability: Readability
    cause: str
    """One clause after the resource's name."""
    undo: tuple[Step, ...] = ()

    def assessment(
        self,
        subject: Subject,
        name: str,
        *,
        what: str,
        final_at: datetime | None = None,
        since: datetime | None = None,
        evidence: tuple[Evidence, ...] = (),
    ) -> Assessment:
        """Fill the row in for one resource; `what` is how the cause names it."""
        return Assessment(
            readability=self.readability,
            basis=Basis.STATE,
            cause=f"{what} {self.cause}",
            subject=subject,
            final_at=final_at,
            since=since,
            undo=tuple(Undo(step.call(name), step.who, step.lands_in, until=final_at) for step in self.undo),
            evidence=evidence,
        )


def worst(candidates: Iterable[Assessment]) -> Assessment:
    """Choose the assessment that stands; at equal rank the earlier candidate, of two dates the nearer one.

    The others that are not well are named in it.
    """
    far = datetime.max.replace(tzinfo=UTC)
    every = tuple(candidates)

    def order(one: Assessment) -> tuple[int, datetime]:
        return -_RANK[one.readability], one.final_at or far

    found = min(every, key=order)
    for one in every:
        if one is not found:
            found = before(found, one)
    return found


def before(found: Assessment, other: Assessment) -> Assessment:
    """Name in an assessment another of the same data that it stands before."""
    itself, behind = (found.subject, found.readability), (other.subject, other.readability)
    every = dict.fromkeys((*found.shadowed, behind, *other.shadowed))
    return replace(found, shadowed=tuple(one for one in every if one != itself and one[1] is not Readability.READABLE))
