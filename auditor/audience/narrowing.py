"""A judgement as one tenant may read it: its own data, keys and what is said of them, and nothing of anybody else's."""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from auditor import gaps
from auditor.audience import lacking
from auditor.audience.waiving import Exceptions
from auditor.findings import (
    Actor,
    Assessed,
    Assessment,
    BucketCoverage,
    Counted,
    Coverage,
    Finding,
    Judgement,
    Member,
    Readability,
    Status,
    Subject,
    SubjectKind,
    Tally,
    Undo,
    Verdict,
    View,
    in_order,
    member_of,
    spaces_of,
)
from auditor.handover.bundle import Seen
from auditor.model import Cloud, Encryption, Evidence, Extent, Gap, KeyName, cloud_of, split_version
from auditor.ownership.owned import HeardRegistry
from auditor.ownership.registered import NOTHING_SAID, Tenancy
from auditor.ownership.spelling import EACH_ITS_OWN, Spelling
from auditor.ports import OpenInventory, Portions
from auditor.rule import AskedLog, Cause, ConfiguredFeed, Excepted, Rule

UNNAMED: Final = "(not named here)"
"""Stands for the name of what is shared with others, and may tell whose it is."""
_NOT_TOLD: Final = "which key it is under this view does not tell: it may be another tenant's"
_NOBODY_TOLD: Final = "who did it this view does not tell: the key may be another tenant's"
_NOT_ALONE: Final = "who did it this view does not tell: keys of others stand on it as well"
_NOT_THEN: Final = "who did it this view does not tell: others may have had data under the key then"
_OF_OTHERS: Final = "why it is so this view does not tell: it would name what is not this tenant's"
_NOT_FINISHED: Final = "the operator knows why"
_OF_STORE: Final = "CustomKeyStore"
"""How calls to AWS end that are about what stands behind several keys."""
_BEHIND: Final = frozenset({SubjectKind.KEY_STORE, SubjectKind.HSM_INSTANCE, SubjectKind.EKM_CONNECTION})
_OF_KEYS: Final = frozenset({SubjectKind.KEY, SubjectKind.KEY_VERSION, SubjectKind.PRINCIPAL})
_OPERATORS: Final = (HeardRegistry, ConfiguredFeed, AskedLog, Excepted)
"""What these are is the operator's: of a tenant nothing follows from that they are well."""
_NAMES: Final = re.compile(r"(?:arn:|projects/|s3://|gs://)[^\s,;()]*")
"""What looks like the name of something in a cloud."""


@dataclass(frozen=True, slots=True)
class Audience:
    """What is to be known of a tenant, beside a judgement, to tell it its part of that."""

    tenancy: Tenancy
    rows: OpenInventory
    """Of this tenant alone."""
    owned: frozenset[KeyName]
    """Keys of which somebody says that they are the tenant's."""
    principals: frozenset[str]
    """Of the platform."""
    behind: Mapping[KeyName, frozenset[str]]
    """Key -> the stores, instances and connections behind it."""
    read: Mapping[KeyName, datetime]
    """Key -> when its state was known last; those of which it never was are not in it."""
    rules: tuple[Rule, ...]
    homes: Mapping[str, str]
    """Sweep -> its bucket."""
    seen: Seen
    reaches: Callable[[str], bool]
    """Whether a pattern of namespaces fits some of the tenant's, and of nobody else's."""
    more_buckets: frozenset[str] = frozenset()
    """Buckets that are told of though nothing of the tenant is in them by this judgement."""
    wholly: frozenset[KeyName] = frozenset()
    """Keys of which all that they say may be told, word by word."""
    spelling: Spelling = EACH_ITS_OWN
    """Which names are of one key."""
    names: frozenset[KeyName] = frozenset()
    """Other names of keys that are named, which may be told as well: a finding may speak of a key by any."""


class Narrowing:
    """One judgement for one tenant: all that is not the tenant's is left out.

    The same judgement and audience give the same. What it asks of the inventory may raise a `LedgerError`.
    """

    def __init__(self, judgement: Judgement, audience: Audience) -> None:
        self._judgement = judgement
        self._audience = audience
        self._tenant = audience.tenancy.tenant
        self._called = audience.tenancy.called
        self._holdings = {member_of(one): one for one in audience.rows.holdings()}
        self._buckets = frozenset(one.bucket for one in self._holdings.values()) | audience.more_buckets
        unnamed = frozenset(self._called.values())
        held = frozenset(one.key for one in self._holdings.values() if one.key is not None)
        self._visible = frozenset((*(held - unnamed), *(one.text for one in (*audience.owned, *audience.names))))
        self._keys = frozenset(map(KeyName, self._visible))
        self._above = frozenset(above for key in self._visible for above in _above(key))
        hidden = {KeyName(key): name for key, name in self._called.items() if name in held}
        self._hidden = {**_by_any_name(hidden, audience.spelling), **hidden}
        """Key that is not named -> what stands for it; a finding may speak of it by a name that no data has."""
        self._behind = frozenset(name for key in self._keys for name in audience.behind.get(key, ()))
        others = (names for key, names in audience.behind.items() if key not in self._keys)
        self._behind_others = frozenset[str]().union(*others)
        self._behind_of = {key.text: names for key, names in audience.behind.items()}
        self._behind_hidden: dict[str, list[str]] = defaultdict(list)
        for key in sorted(self._hidden):
            for name in audience.behind.get(key, frozenset()) - self._behind:
                self._behind_hidden[name].append(self._hidden[key])
        self._rules = {one.id: one for one in audience.rules}

    def done(self) -> Judgement:
        """The tenant's part."""
        one = self._judgement
        exceptions = Exceptions(self._tenant, self._buckets, self._visible, self._audience)
        found = self._findings(exceptions.of_its_own(one.waivers))
        read = self._read()
        assessed = tuple(self._assessed())
        return replace(
            one,
            run=replace(one.run, identity=()),
            coverage=Coverage(
                buckets=tuple(self._bucket(each) for each in one.coverage.buckets if each.bucket in self._buckets),
                keys_needed=len(self._ones),
                keys_read=len(read),
                buckets_not_configured=None,
                keys_from_before=sum(at < one.now for at in read.values()),
            ),
            assessed=assessed,
            findings=found,
            gaps=self._gaps(found),
            tallies=tuple(self._tallies(found)),
            sweeps=tuple(each for each in one.sweeps if self._audience.homes.get(each) in self._buckets),
            waivers=tuple(exceptions.told(one.waivers, frozenset(each.id for each in found))),
            registered=NOTHING_SAID,
            oldest_key_read=min(read.values(), default=None),
            spaces=spaces_of(assessed, self._audience.rows.count_namespaces) if one.spaces is not None else None,
            view=View(self._tenant),
        )

    def finding(self, one: Finding) -> Finding | None:
        """The tenant's part of one finding; None where it has none."""
        (found,) = self._told_of([one], frozenset())
        return found

    def ended(self, some: Iterable[Finding]) -> Iterator[Finding]:
        """The tenant's part of findings that ended before, of those of which it has one.

        Who had data under their keys then nobody knows now: who did it is told where somebody says that the key is the
        tenant's.
        """
        for one in self._told_of(some, frozenset()):
            if one is not None:
                is_told = one.actor is None or KeyName(_key_of(one.subject)) in self._audience.owned
                yield one if is_told else replace(one, actor=None, unattributed=_NOT_THEN)

    @property
    def keys(self) -> frozenset[KeyName]:
        """Those that are told by their names."""
        return self._keys

    @property
    def buckets(self) -> frozenset[str]:
        """Those that are told of."""
        return self._buckets

    @property
    def _ones(self) -> frozenset[str]:
        """What stands for each key, once, whatever it is called."""
        return frozenset(map(self._audience.spelling.one, (*self._keys, *self._hidden)))

    def _read(self) -> Mapping[str, datetime]:
        """When the state of each of them was known last, by any of its names; without those of which it never was."""
        found: dict[str, datetime] = {}
        for key, at in self._audience.read.items():
            one = self._audience.spelling.one(key)
            found[one] = max(at, found.get(one, at))
        return {one: found[one] for one in self._ones if one in found}

    def _mine(self, members: Iterable[Member]) -> tuple[Member, ...]:
        """Those that have data of the tenant, as they are told."""
        called = ((bucket, how, self._called.get(key or "", key), version) for bucket, how, key, version in members)
        return in_order({one for one in called if one in self._holdings})

    def _bucket(self, one: BucketCoverage) -> BucketCoverage:
        """Counted by the tenant's data alone."""
        mine = [each for each in self._holdings.values() if each.bucket == one.bucket]
        listed = sum(each.objects or 0 for each in mine)
        unresolved = self._unresolved(one.bucket)
        return replace(
            one,
            listed=listed,
            resolved=listed - unresolved,
            unresolved=unresolved,
            outside=0,
            uploads_in_progress=0 if one.uploads_in_progress == 0 else None,
            last_attempt_failed=_NOT_FINISHED if one.last_attempt_failed is not None else None,
            compared=None,
            sent=None,
            kept=0,
        )

    def _unresolved(self, bucket: str) -> int:
        mine = (each for each in self._holdings.values() if each.bucket == bucket)
        return sum(each.objects or 0 for each in mine if each.encryption is Encryption.UNKNOWN)

    def _assessed(self) -> Iterator[Assessed]:
        for one in self._judgement.assessed:
            for member in self._mine([member_of(one.holding)]):
                held = self._holdings[member]
                yield replace(one, holding=held, assessment=self._assessment(one.assessment, held.key))

    def _assessment(self, one: Assessment, key: str | None) -> Assessment:
        hidden = key in self._called.values()
        subject = self._subject(one.subject)
        if hidden or subject is None or not self._is_own(subject):
            subject = Subject(SubjectKind.KEY, key or UNNAMED)
        return replace(
            one,
            subject=subject,
            cause=_NOT_TOLD if hidden else one.cause if self._speaks_of_own(one.cause) else _OF_OTHERS,
            undo=() if hidden else self._undo(one.undo),
            evidence=() if hidden else self._evidence(one.evidence),
            contradiction=None,
            shadowed=(),
        )

    def _subject(self, one: Subject) -> Subject | None:
        """What it is called in this view; None where it is no matter of the tenant's."""
        if one.kind in _OF_KEYS:
            try:
                key, version = split_version(one.id.rpartition(" -> ")[2])
            except ValueError:
                return None
            if key in self._keys:
                return one
            if key in self._hidden:
                called = self._hidden[key]
                return Subject(one.kind, f"{called} version {version}" if version is not None else called)
            return None
        if one.kind in _BEHIND:
            return one if one.id in self._behind else Subject(one.kind, UNNAMED)
        return one if one.kind is SubjectKind.BUCKET and one.id in self._buckets else None

    def _is_own(self, one: Subject) -> bool:
        """Whether it is called by its own name."""
        return not (one.id == UNNAMED or one.id.startswith(tuple(self._called.values())))

    def _findings(self, waivers: frozenset[str]) -> tuple[Finding, ...]:
        every = [one for one in self._judgement.findings if one.subject.kind is not SubjectKind.AUDIT_LOG]
        found = [one for one in self._told_of(every, waivers) if one is not None]
        logs = {one.sought.log for one in found if one.sought is not None}
        about = [one for one in self._judgement.findings if one.subject.kind is SubjectKind.AUDIT_LOG]
        by_id = {one.id: one for one in (*found, *(self._of_log(one) for one in about if one.subject.id in logs))}
        return tuple(by_id[one.id] for one in self._judgement.findings if one.id in by_id)

    def _of_log(self, one: Finding) -> Finding:
        return replace(one, cause=self._cause(one, one.subject), extent=Extent(), members=(), evidence=())

    def _told_of(self, every: Iterable[Finding], waivers: frozenset[str]) -> Iterator[Finding | None]:
        """The tenant's part of each."""
        findings = list(every)
        mine = [self._mine(one.members) for one in findings]
        parts = [(members, one.portions) for one, members in zip(findings, mine, strict=True)]
        extents = self._extents(parts)
        for one, members, extent in zip(findings, mine, extents, strict=True):
            yield self._told(one, members if extent.namespaces else (), extent, waivers)

    def _extents(self, parts: list[tuple[tuple[Member, ...], Portions]]) -> list[Extent]:
        """All at once: a fleet may have a finding for each of its keys."""
        some = self._audience.rows.extents_of([one for one in dict.fromkeys(parts) if one[0]])
        found = dict(zip([one for one in dict.fromkeys(parts) if one[0]], some, strict=True))
        return [found.get(one, Extent()) for one in parts]

    def _told(
        self, one: Finding, members: tuple[Member, ...], extent: Extent, waivers: frozenset[str]
    ) -> Finding | None:
        if one.subject.kind is SubjectKind.WAIVER:
            subject = one.subject if one.subject.id in waivers else None
        else:
            subject = self._subject(one.subject) if members or self._is_whole(one) else None
        if subject is None:
            return None
        if one.status is Status.RESOLVED and one.members and not members:
            extent = Extent(objects=None, size=None)  # it is not under this any more
        own = self._is_own(subject)
        alone = own and not self._is_of_shared(subject, one.actor)
        hides_actor = not alone and (one.actor is not None or one.unattributed is not None)
        return replace(
            one,
            subject=subject,
            cause=self._cause(one, subject),
            extent=extent,
            members=members,
            evidence=self._evidence(one.evidence) if own else (),
            undo=self._undo(one.undo) if own else (),
            actor=one.actor if alone else None,
            unattributed=(_NOT_ALONE if own else _NOBODY_TOLD) if hides_actor else one.unattributed,
            sought=one.sought if own else None,
        )

    def _is_of_shared(self, subject: Subject, actor: Actor | None) -> bool:
        """Whether who did it did it to what keys of others stand on as well: that may be one of theirs."""
        stands_on = {subject.id}
        if actor is not None and actor.call.endswith(_OF_STORE):
            name = subject.id.rpartition(" -> ")[2]
            stands_on.update(self._behind_of.get(_key_in(name), ()))
        return not stands_on.isdisjoint(self._behind_others)

    def _is_whole(self, one: Finding) -> bool:
        """Whether it is the tenant's though no data of its own is in it: about its key as a whole, or about a bucket.

        One that ended is about data that may have moved since.
        """
        rule = self._rules.get(one.rule)
        if one.subject.kind in _OF_KEYS:
            name = one.subject.id.rpartition(" -> ")[2]
            is_of_data = bool(one.portions) or rule is None or rule.is_about_data
            is_over = one.status is Status.RESOLVED
            return (is_over or not is_of_data) and _key_in(name) in self._visible
        return one.subject.kind is SubjectKind.BUCKET and not one.members

    def _cause(self, one: Finding, subject: Subject) -> str:
        rule = self._rules.get(one.rule)
        if subject.kind is SubjectKind.WAIVER or (
            rule is not None and rule.quotable and self._is_own(subject) and self._speaks_of_own(one.cause)
        ):
            return one.cause
        told = f"not met: {rule.title if rule is not None else one.rule}"
        return told if self._is_own(subject) else f"{told}; {_NOT_TOLD}"

    def _speaks_of_own(self, text: str) -> bool:
        """Whether every name of something in a cloud in it is the tenant's, or the platform's."""
        return all(self._is_known(name.rstrip(":.'\"")) for name in _NAMES.findall(text))

    def _is_known(self, name: str) -> bool:
        known = self._buckets, self._behind, self._audience.principals, self._above
        return _key_in(name) in self._visible or any(name in some for some in known)

    def _evidence(self, some: Iterable[Evidence]) -> tuple[Evidence, ...]:
        stores = {name.rpartition("/")[2] for name in self._behind}
        return tuple(one for one in some if self._is_known(one.resource) or one.resource in stores)

    def _undo(self, some: Iterable[Undo]) -> tuple[Undo, ...]:
        return tuple(one for one in some if self._speaks_of_own(one.call))

    def _gaps(self, found: Iterable[Finding]) -> tuple[Gap, ...]:
        logs = {one.sought.log for one in found if one.sought is not None}
        clouds = {key.cloud for key in (*self._keys, *self._hidden)}
        by_bucket = Counter(gap.what for gap in self._judgement.gaps if gap.objects is not None)
        told: list[Gap] = []
        for one in self._judgement.gaps:
            if one.what in self._buckets:
                alone = by_bucket[one.what] == 1
                told.extend(lacking.of_bucket(one, self._unresolved(one.what), alone=alone))
            elif _key_in(one.what) in self._visible or one.what in self._behind:
                is_own = self._speaks_of_own(f"{one.effect} {one.hint}")
                told.append(one if is_own else lacking.of_part(one, one.what))
            elif KeyName(_key_in(one.what)) in self._hidden:
                told.append(lacking.of_part(one, self._hidden[KeyName(_key_in(one.what))]))
            elif one.what in self._behind_hidden:
                told.extend(lacking.of_part(one, called) for called in self._behind_hidden[one.what])
            elif one.what in logs:
                told.append(lacking.of_log(one))
            elif one.what in {gaps.PRINCIPALS[cloud] for cloud in clouds}:
                told.append(lacking.of_principals(one))
            elif one.what == gaps.CLOCKS:
                told.append(one)
        coverage = [one for one in self._judgement.coverage.buckets if one.bucket in self._buckets]
        told.extend(lacking.of_view(self._tenant, self._audience.seen, coverage))
        return tuple(sorted(dict.fromkeys(told), key=lambda gap: (gap.what, gap.reason, gap.effect)))

    def _tallies(self, found: Iterable[Finding]) -> Iterator[Tally]:
        told = frozenset(one.id for one in found if one.status is not Status.RESOLVED)
        clouds = Counter((one.rule, one.subject.cloud) for one in self._judgement.findings if one.id in told)
        for one in self._judgement.tallies:
            rule = self._rules.get(one.rule)
            if rule is None or rule.subject in _OPERATORS:
                continue
            parts = one.parts
            if parts is not None:
                parts = tuple(self._counted(rule, each, clouds[rule.id, each.cloud]) for each in parts)
            failed = sum(count for (name, _), count in clouds.items() if name == rule.id)
            yield Tally(rule.id, {Verdict.FAILED: failed}, parts)

    def _counted(self, rule: Rule, one: Counted, failed: int) -> Counted:
        """Whether there is any pass, and anything that is not known, where that may be the tenant's."""
        passed, unknown = bool(one.counts.get(Verdict.PASSED)), bool(one.counts.get(Verdict.UNKNOWN))
        if rule.subject is Cause:
            # What such a rule finds hangs on the readability of data alone.
            mine = {
                held.assessment.readability is Readability.UNKNOWN
                for held in self._assessed()
                if held.holding.key is not None and cloud_of(held.holding.bucket) is one.cloud
            }
            passed, unknown = False in mine, True in mine or self._is_behind_open(one.cloud)
        counts = {Verdict.PASSED: int(passed), Verdict.FAILED: failed, Verdict.UNKNOWN: int(unknown)}
        return Counted(one.cloud, counts, int(bool(one.untold)))

    def _is_behind_open(self, cloud: Cloud | None) -> bool:
        """Whether it is not known how something is that is behind a key which is not named."""
        return cloud is Cloud.GCP and any(one.what in self._behind_hidden for one in self._judgement.gaps)


def _by_any_name(called: Mapping[KeyName, str], spelling: Spelling) -> Mapping[KeyName, str]:
    """What stands for keys, by each of their names."""
    of_keys = {spelling.one(key): name for key, name in sorted(called.items(), reverse=True)}
    return {key: of_keys[one] for key, one in spelling.ones.items() if one in of_keys}


def _key_in(name: str) -> str:
    """The key of a version's name; any other name as it is."""
    return name.partition("/cryptoKeyVersions/")[0]


def _key_of(one: Subject) -> str:
    """The key that it is about, or is of."""
    return _key_in(one.id.rpartition(" -> ")[2])


def _above(key: str) -> Iterator[str]:
    """What a name of a key spells out of what it is in: ring and project on Google Cloud."""
    while (key := key.rpartition("/")[0]).startswith("projects/"):
        yield key
