"""What a registry says is under a key, judged by the key: nobody saw the objects, nor which versions they are under."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice
from typing import Final

from auditor.findings import Assessed, Assessment, Basis, Confidence, Readability, Subject, SubjectKind
from auditor.model import Evidence, GcpKey, GcpKeyVersion, Holding, KeyMemory, use_changes
from auditor.policy import Policy
from auditor.readability.assess import KeyView, assess
from auditor.readability.gcp import version_name
from auditor.readability.table import before, worst

_HEARSAY: Final = "that data is under it a registry says, and nobody saw the objects"
_BY_BUNDLE: Final = "that the data is there an operator's bundle says, and nobody here saw it"
_MOST_MISSING: Final = 10_000
"""A version each day for 27 years. Their numbers are whatever the service says."""
_NEVER_USED: Final = frozenset({"PENDING_GENERATION", "GENERATION_FAILED"})
"""States of versions that never had key material. Source: Cloud KMS docs, Key version states."""
_NOT_IMPORTED: Final = frozenset({"PENDING_IMPORT", "IMPORT_FAILED"})
"""A version that was destroyed is in them again while its material is imported anew; so is one that was just made."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What is judged of the namespaces of one place that a registry names one key for."""

    assessed: Assessed
    """By which they count."""
    bars: tuple[tuple[Assessment, bool], ...]
    """What bars them, or may, each cause by itself; and whether it is a version that they need not be under."""


def assess_claim(
    holding: Holding,
    view: KeyView,
    agents: tuple[str, ...],
    policy: Policy,
    now: datetime,
    *,
    said: tuple[Evidence, ...] = (),
) -> Claim:
    """Judge by the key, and on Google Cloud by each version that data may be under; `said` is the registry's word.

    Where versions differ it is not known whether the namespaces can be read: what they hold may be under any of them.
    """

    def judged(version: str | None) -> Assessed:
        return assess(replace(holding, key_version=version), view, agents, policy, now)

    numbers = tuple(versions_of(view))
    if not isinstance(view.known, GcpKey) or not numbers:
        found = judged(None)
        one = _told(found.assessment, said, _HEARSAY)
        return Claim(replace(found, assessment=one), ((one, False),))
    each = {number: judged(number) for number in numbers}
    primary = view.known.primary
    every = {number: _told(one.assessment, said, _clause(view.known, number)) for number, one in each.items()}
    bars = {
        one.subject: (one, one.subject.kind is SubjectKind.KEY_VERSION and number != primary)
        for number, one in every.items()
        if one.readability is not Readability.READABLE
    }
    if len({one.readability for one in every.values()}) > 1:
        together = _not_known(view.known, tuple(every.values()))
    else:
        together = every.get(primary or "") or worst(every.values())
        for one, _ in bars.values():
            together = before(together, one)
    causes = tuple(bars.values()) or ((together, False),)
    return Claim(replace(each[numbers[0]], holding=holding, assessment=together), causes)


def as_told(found: Assessed, said: tuple[Evidence, ...]) -> Assessed:
    """An assessment of data that an operator's bundle tells of; `said` is its word.

    It names the version, so that what bars that one bars the data, and no other does.
    """
    one = found.assessment
    told = replace(
        one,
        basis=Basis.BUNDLE,
        confidence=Confidence.INFERRED,
        cause=f"{one.cause}; {_BY_BUNDLE}",
        evidence=(*one.evidence, *said),
    )
    return replace(found, assessment=told)


def versions_of(view: KeyView) -> Iterator[str]:
    """The versions that data may be under: all that ever had material, and those that are not there any more."""
    known = view.known
    if not isinstance(known, GcpKey):
        return
    listed = {one.number for one in known.versions}
    yield from (one.number for one in known.versions if _may_hold_data(one, known, view.memory))
    highest = max([*map(int, listed), view.memory.highest_version if view.memory is not None else 0])
    missing = (str(number) for number in range(1, highest + 1) if str(number) not in listed)
    yield from islice(missing, _MOST_MISSING)


def _may_hold_data(one: GcpKeyVersion, key: GcpKey, memory: KeyMemory | None) -> bool:
    if one.state in _NEVER_USED:
        return False
    if one.state not in _NOT_IMPORTED or one.imported is not None or one.number == key.primary:
        return True
    # Whatever a version was before it waits for material, it had some, or was to have it at least.
    fact = f"version {one.number}"
    return memory is not None and (fact in memory.changed or fact in use_changes(memory.told, key))


def _clause(key: GcpKey, number: str) -> str:
    if number == key.primary:
        return _HEARSAY
    return (
        f"a registry says that data is under the key, and nobody saw under which versions: what was written while "
        f"version {number} was the primary one is under it"
    )


def _told(one: Assessment, said: tuple[Evidence, ...], clause: str) -> Assessment:
    """An assessment as far as it may be believed of what nobody saw."""
    return replace(
        one,
        basis=Basis.REGISTRY,
        confidence=Confidence.INFERRED,
        cause=f"{one.cause}; {clause}",
        evidence=(*one.evidence, *said),
    )


def _not_known(key: GcpKey, every: tuple[Assessment, ...]) -> Assessment:
    off = {one.subject.id for one in every if one.readability is not Readability.READABLE}
    states = [f"{one.number} is {one.state}" for one in key.versions if version_name(key, one.number) in off]
    which = f" (version {', '.join(states)})" if states else ""
    found = Assessment(
        readability=Readability.UNKNOWN,
        basis=Basis.REGISTRY,
        cause=f"registries name key {key.name} for the data, its versions differ{which}, and nobody saw which of them "
        "the objects are under",
        subject=Subject(SubjectKind.KEY, key.name.text),
        confidence=Confidence.INFERRED,
        final_at=min((one.final_at for one in every if one.final_at is not None), default=None),
        evidence=every[0].evidence,
    )
    for one in every:
        found = before(found, one)
    return found
