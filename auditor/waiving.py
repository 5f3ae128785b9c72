"""Findings that somebody has accepted for a time are waived, and only as long as that time."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from enum import Enum, auto
from typing import Final

from auditor.findings import Finding, Member, Status, SubjectKind
from auditor.model import split_version
from auditor.waiver import GivenWaiver, Waiver, fits

Beyond = Callable[[Sequence[Member], str | None, str | None], tuple[int, int]]
"""(holdings, pattern of namespaces, of tenants) -> objects that are within both, and objects that are not."""
_OF_KEYS: Final = frozenset({SubjectKind.KEY, SubjectKind.KEY_VERSION, SubjectKind.PRINCIPAL})


class _Reach(Enum):
    """How much of a finding an exception is about."""

    NONE = auto()
    PART = auto()
    ALL = auto()


def waive(
    findings: Iterable[Finding], waivers: Iterable[Waiver], now: datetime, beyond: Beyond
) -> tuple[tuple[Finding, ...], tuple[GivenWaiver, ...]]:
    """Give findings the status that exceptions give them now, and tell of each exception what it is about.

    A finding that is not wholly within an exception stays open: part of a loss is not accepted by whoever accepted
    another part. Of several exceptions, the one that ends last counts.
    """
    by_id: dict[str, Finding] = {}
    for one in findings:
        by_id[one.id] = replace(one, status=Status.OPEN, waived_until=None) if one.status is Status.WAIVED else one
    given = []
    ends: dict[str, datetime] = {}
    for waiver in waivers:
        reach = _reaches(waiver, by_id, beyond)
        covers = tuple(name for name, one in reach.items() if one is _Reach.ALL)
        given.append(GivenWaiver(waiver, covers, tuple(name for name, one in reach.items() if one is _Reach.PART)))
        if now < waiver.until:
            ends.update({name: max(waiver.until, ends.get(name, waiver.until)) for name in covers})
    waived = {name: replace(by_id[name], status=Status.WAIVED, waived_until=until) for name, until in ends.items()}
    return tuple(waived.get(name, one) for name, one in by_id.items()), tuple(given)


def _reaches(waiver: Waiver, findings: Mapping[str, Finding], beyond: Beyond) -> Mapping[str, _Reach]:
    mine = {name: one for name, one in findings.items() if one.rule == waiver.rule and one.status is Status.OPEN}
    return {name: _reach(waiver, one, beyond) for name, one in mine.items()}


def _reach(waiver: Waiver, one: Finding, beyond: Beyond) -> _Reach:
    within = [member for member in one.members if _is_within(waiver, member)]
    if not one.members:
        is_all = waiver.namespace is None and waiver.tenant is None and _is_about(waiver, one)
        return _Reach.ALL if is_all else _Reach.NONE
    if not within:
        return _Reach.NONE
    is_part = len(within) < len(one.members)
    if waiver.namespace is not None or waiver.tenant is not None:
        objects, others = beyond(within, waiver.namespace, waiver.tenant)
        if not objects:
            return _Reach.NONE
        is_part = is_part or others > 0
    return _Reach.PART if is_part else _Reach.ALL


def _is_within(waiver: Waiver, member: Member) -> bool:
    bucket, _, key, version = member
    if waiver.bucket is not None and not fits(waiver.bucket, bucket):
        return False
    return waiver.key is None or (key is not None and _is_key(waiver.key, key, version))


def _is_about(waiver: Waiver, one: Finding) -> bool:
    """Whether a finding that no data hangs on is about what an exception names."""
    name = one.subject.id.rpartition(" -> ")[2]
    if waiver.bucket is not None and not (one.subject.kind is SubjectKind.BUCKET and fits(waiver.bucket, name)):
        return False
    if waiver.key is None:
        return True
    if one.subject.kind not in _OF_KEYS:
        return False
    key, version = split_version(name)
    return _is_key(waiver.key, key.text, version)


def _is_key(pattern: str, key: str, version: str | None) -> bool:
    named = f"{key}/cryptoKeyVersions/{version}" if version is not None else key
    return fits(pattern, key) or fits(pattern, named)
