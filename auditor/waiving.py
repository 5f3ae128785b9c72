"""Findings that somebody has accepted for a time are waived, and only as long as that time."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum, auto
from typing import Final

from auditor.findings import Finding, Member, Status, SubjectKind
from auditor.model import KeyName, split_version
from auditor.ownership.registered import Portion
from auditor.ownership.spelling import EACH_ITS_OWN, NamesOfKeys
from auditor.waiver import GivenWaiver, Waiver, fits

Beyond = Callable[
    [Sequence[tuple[Sequence[Member], tuple[Portion, ...]]], str | None, str | None], Sequence[tuple[int, int]]
]
"""(portions of sets of holdings, pattern of namespaces, of tenants) -> of each, objects that are within both, and
objects that are not."""
NO_NAMES: Final = NamesOfKeys((), EACH_ITS_OWN)
"""Where each key has one name alone."""
_OF_KEYS: Final = frozenset({SubjectKind.KEY, SubjectKind.KEY_VERSION, SubjectKind.PRINCIPAL})


@dataclass(frozen=True, slots=True)
class Sight:
    """What is to be known of findings beside themselves."""

    of_data: Collection[str]
    """Rules whose findings are about data; others are about a key, or a bucket, as a whole."""
    hidden: Collection[str]
    """Buckets of which something is not seen, or not which key it is under: there namespaces prove nothing."""
    beyond: Beyond
    tenants_open: Collection[str] = ()
    """Buckets of which registries may say other tenants than are known: there tenants prove nothing."""
    names: NamesOfKeys = NO_NAMES
    """What keys are called that have several names: an exception names a key by any of them."""


class _Reach(Enum):
    """How much of a finding an exception is about."""

    NONE = auto()
    PART = auto()
    ALL = auto()


def waive(
    findings: Iterable[Finding], waivers: Iterable[Waiver], now: datetime, sight: Sight
) -> tuple[tuple[Finding, ...], tuple[GivenWaiver, ...]]:
    """Give findings the status that exceptions give them now, and tell of each exception what it is about.

    A finding that is not wholly within an exception stays open: part of a loss is not accepted by whoever accepted
    another part. Of several exceptions, the one that ends last counts.
    """
    by_id = _unwaived(findings)
    given = []
    ends: dict[str, datetime] = {}
    for waiver in waivers:
        reach = _reaches(waiver, by_id, sight)
        covers = tuple(name for name, one in reach.items() if one is _Reach.ALL)
        given.append(GivenWaiver(waiver, covers, tuple(name for name, one in reach.items() if one is _Reach.PART)))
        if now < waiver.until:
            ends.update({name: max(waiver.until, ends.get(name, waiver.until)) for name in covers})
    waived = {name: replace(by_id[name], status=Status.WAIVED, waived_until=until) for name, until in ends.items()}
    return tuple(waived.get(name, one) for name, one in by_id.items()), tuple(given)


def reaches_any(waiver: Waiver, findings: Iterable[Finding], sight: Sight) -> bool:
    """Whether an exception is about any of some findings, or about a part of one."""
    return any(one is not _Reach.NONE for one in _reaches(waiver, _unwaived(findings), sight).values())


def _unwaived(findings: Iterable[Finding]) -> dict[str, Finding]:
    by_id: dict[str, Finding] = {}
    for one in findings:
        status = Status.OPEN if one.status is Status.WAIVED else one.status
        by_id[one.id] = replace(one, status=status, waived_until=None)
    return by_id


def _reaches(waiver: Waiver, findings: Mapping[str, Finding], sight: Sight) -> Mapping[str, _Reach]:
    mine = {name: one for name, one in findings.items() if one.rule == waiver.rule and one.status is Status.OPEN}
    whole = {name for name, one in mine.items() if waiver.rule not in sight.of_data or not one.members}
    within = {
        name: [
            each for each in one.members if is_within(waiver, each, sight.names, _version_of(one, each, sight.names))
        ]
        for name, one in mine.items()
    }
    within = {name: some for name, some in within.items() if some and name not in whole}
    counts = dict.fromkeys(within, (1, 0))
    by_names = waiver.namespace is not None or waiver.tenant is not None
    if within and by_names:
        asked = [(some, mine[name].portions) for name, some in within.items()]
        found = sight.beyond(asked, waiver.namespace, waiver.tenant)
        counts = dict(zip(within, found, strict=True))
    reach = {
        name: _Reach.ALL if name in whole and is_about(waiver, one, sight.names) else _Reach.NONE
        for name, one in mine.items()
    }
    for name, some in within.items():
        objects, others = counts[name]
        open_ = {*sight.hidden, *(sight.tenants_open if waiver.tenant is not None else ())}
        is_sure = not by_names or all(bucket not in open_ for bucket, *_ in some)
        is_all = len(some) == len(mine[name].members) and not others and is_sure
        reach[name] = _Reach.NONE if not objects else _Reach.ALL if is_all else _Reach.PART
    return reach


def is_within(waiver: Waiver, member: Member, names: NamesOfKeys, said: str | None = None) -> bool:
    """Whether a holding is of a key and in a bucket that an exception names.

    `said` is the version that a finding is about, where the data itself names none.
    """
    bucket, _, key, version = member
    if waiver.bucket is not None and not fits(waiver.bucket, bucket):
        return False
    return waiver.key is None or (key is not None and is_key(waiver.key, KeyName(key), version or said, names))


def _version_of(one: Finding, member: Member, names: NamesOfKeys) -> str | None:
    """The version of a holding's key that a finding is about: without buckets data may be under any of them."""
    key = member[2]
    if key is None or one.subject.kind is not SubjectKind.KEY_VERSION:
        return None
    about, version = split_version(one.subject.id)
    return version if about == KeyName(key) or about in names.same(KeyName(key)) else None


def is_about(waiver: Waiver, one: Finding, names: NamesOfKeys) -> bool:
    """Whether a finding on a key or a bucket as a whole is about what an exception names."""
    if waiver.namespace is not None or waiver.tenant is not None:
        return False
    name = one.subject.id.rpartition(" -> ")[2]
    if waiver.bucket is not None and not (one.subject.kind is SubjectKind.BUCKET and fits(waiver.bucket, name)):
        return False
    if waiver.key is None:
        return True
    if one.subject.kind not in _OF_KEYS:
        return False
    key, version = split_version(name)
    return is_key(waiver.key, key, version, names)


def is_key(pattern: str, key: KeyName, version: str | None, names: NamesOfKeys) -> bool:
    """Whether a key, or a version of it, is what a pattern says, by any name of its own."""
    below = f"/cryptoKeyVersions/{version}" if version is not None else ""
    return any(fits(pattern, one.text) or fits(pattern, f"{one}{below}") for one in (key, *names.same(key)))
