"""What speaks against it that a key meant to be revoked is dead to everybody: one sentence for each such thing."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Final

from auditor.findings import Assessed, Basis, Readability
from auditor.model import KeyMemory, KeyName, Probe, ProbeKind, ProbeOutcome, concerns
from auditor.moments import second
from auditor.overruling import CLOCKS_APART
from auditor.principals import same_principal

DEAD: Final = frozenset({Readability.UNREADABLE, Readability.DOOMED, Readability.REVOKED, Readability.LOST})
"""What data is judged to be that nobody can read."""


def silence(memory: KeyMemory | None, now: datetime) -> Iterator[str]:
    """That a key which gave no answer now says nothing of now."""
    if memory is not None and memory.missing_since is None and memory.last_at != now:
        yield "the key gave no answer now, and what it said before may be over"


def reads_since(probes: Sequence[Probe], memory: KeyMemory | None) -> Iterator[str]:
    """Reads that passed since what decides over them was seen to change last, and that no later one was refused after.

    Whatever the key says of itself, somebody could read then.
    """
    for place, one in enumerate(probes):
        if (one.kind, one.outcome) != (ProbeKind.READ, ProbeOutcome.PASSED) or _is_over(one, memory):
            continue
        if not any(_refused_after(later, one) for later in probes[place + 1 :]):
            yield f"a read in {one.bucket} passed at {second(one.at)}, and none like it was refused since"


def _is_over(read: Probe, memory: KeyMemory | None) -> bool:
    """Whether the key was seen to change after a read in what decides over the same read."""
    changed = memory.changed if memory is not None else {}
    who = (read.principal,) if read.principal is not None else ()
    # Two readings of the clocks differ: what was seen within a minute may have come in the other order.
    before = read.at + CLOCKS_APART
    return any(before < date for fact, date in changed.items() if concerns(fact, read.key_version, who))


def _refused_after(later: Probe, read: Probe) -> bool:
    is_alike = (later.kind, later.bucket, later.key_version) == (read.kind, read.bucket, read.key_version)
    is_same = same_principal(later.principal or "", read.principal or "")
    return later.outcome is ProbeOutcome.REFUSED and is_alike and is_same


def old_refusals(under: Iterable[Assessed], probes: Sequence[Probe], asked: datetime) -> Iterator[str]:
    """Data that is judged dead by an attempt of before, which nobody has made again now."""
    refused = [one for one in probes if one.outcome is ProbeOutcome.REFUSED]
    now = [one for one in refused if one.at >= asked - CLOCKS_APART]
    for one in under:
        if one.assessment.basis is not Basis.PROBE or one.assessment.readability not in DEAD:
            continue
        grounds = set(one.assessment.evidence)
        if not any(not grounds.isdisjoint(each.evidence) for each in now):
            yield f"that data in {one.holding.bucket} cannot be read is told by an attempt of before alone"


def replicas(key: KeyName, assessed: Iterable[Assessed]) -> Iterator[str]:
    """Data under the same key in other Regions that is not dead: replicas of a key are one key."""
    alive: dict[str, Readability] = {}
    for one in assessed:
        name, found = one.holding.key, one.assessment.readability
        if name is not None and name != key.text and found not in DEAD and KeyName(name).is_replica_of(key):
            alive[name] = found
    for name, found in sorted(alive.items()):
        yield f"{name} is a replica of the key, and data under it is {found}"
