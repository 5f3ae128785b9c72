"""How findings live on from judgement to judgement: what they become, and what ends them."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Final

from auditor.findings import (
    Assessed,
    Assessment,
    Confidence,
    Finding,
    Member,
    Readability,
    Status,
    Subject,
    SubjectKind,
    in_order,
    member_of,
    worst_first,
)
from auditor.model import AwsKey, Encryption, GcpKey, Holding, KeyName, is_being_made
from auditor.readability import KeyView
from auditor.readability.access import ANY_PRINCIPAL, principal_subject
from auditor.readability.aws import store_name
from auditor.readability.gcp import version_name
from auditor.supposing import NOTHING_SUPPOSED, Supposed

_NOT_STOPPED: Final = frozenset({Readability.EXPIRING, Readability.UNKNOWN})
"""What a finding may say and tells nothing of how long the data has not been readable."""
_WELL: Final = frozenset({Readability.READABLE, Readability.EXPIRING})
_BY_THEIR_RULE: Final = frozenset({SubjectKind.BUCKET, SubjectKind.REGISTRY})
"""Subjects that are there whether their data is seen or not: their rules say where they cannot tell."""
_OF_DATA: Final = frozenset(Readability) - {Readability.UNKNOWN}
"""What a finding on data says; others are on a key as a whole."""


def carry_on(
    fresh: Iterable[Finding], before: Iterable[Finding], now: datetime, undecided: frozenset[str] = frozenset()
) -> tuple[Finding, ...]:
    """Give fresh findings their past, and add those of `before` that nothing upholds any more as resolved.

    What is `undecided`, by its id, stays as it was: that a rule cannot tell any more is no all-clear, and no proof.

    A finding about the same subject under another rule takes over from the one that ended; where the data could not be
    read under that one either, it inherits its `since`.
    """
    old: Mapping[str, Finding] = {one.id: one for one in before if one.status is not Status.RESOLVED}
    current = {one.id: one for one in fresh}
    ended: dict[Subject, Finding] = {
        one.subject: one for one in old.values() if one.id not in current and one.readability is not None
    }
    standing = [_untold(one, now) for one in old.values() if one.id not in current and one.id in undecided]
    carried = [_with_past(one, old.get(one.id), ended) for one in current.values()]
    stays = undecided.union(current)
    resolved = [
        replace(one, status=Status.RESOLVED, last_seen=now, is_held=False)
        for one in old.values()
        if one.id not in stays
    ]
    return tuple(sorted([*carried, *standing, *resolved], key=worst_first))


def _with_past(one: Finding, same: Finding | None, ended: Mapping[Subject, Finding]) -> Finding:
    if same is not None:
        return replace(
            one,
            first_seen=same.first_seen,
            since=same.since,
            since_source=same.since_source,
            succeeds=same.succeeds,
            actor=same.actor,
            unattributed=same.unattributed,
            sought=same.sought,
        )
    heir_of = ended.get(one.subject) if one.readability is not None else None
    if heir_of is None:
        return one
    if heir_of.readability in _NOT_STOPPED:
        return replace(one, succeeds=heir_of.id)
    return replace(one, since=heir_of.since, since_source=heir_of.since_source, succeeds=heir_of.id)


def _untold(one: Finding, now: datetime) -> Finding:
    """What is left of a finding of which nothing is told any more: no proof, and no undo that comes too late."""
    undo = tuple(each for each in one.undo if each.until is None or each.until > now)
    return replace(one, confidence=Confidence.INFERRED, undo=undo, is_held=True)


def undecided(
    before: Iterable[Finding],
    assessed: Iterable[Assessed],
    unusable: Collection[str],
    keys: Mapping[KeyName, KeyView],
    failing: Collection[Subject] = (),
    *,
    of_data: Collection[str] = (),
    supposed: Supposed = NOTHING_SUPPOSED,
) -> frozenset[str]:
    """Name the findings that nothing upholds now and nothing refutes, by id: what is not told is no all-clear.

    `unusable` are buckets of which nothing is judged, because their inventory cannot be used; `keys` those that were
    needed; `failing` are stores that are known to fail one key, which no other key refutes; `of_data` are rules on keys
    that pass or fail by the data under them. A finding on data is left open where, of some of its data,

    - the key tells nothing,
    - the finding's subject is unknown, or bars it as before in the shadow of something worse,
    - nobody knows whether it is there (of a finding on a portion of it: whether more of it is as the portion says), or
    - it may be `supposed`: nobody knows whether what is there has another name of its key, which does not tell that it
      can be read,

    and nothing that is told now refutes it: its subject as something else, or data that is readable with nothing of
    that subject in the shadow. One on a key as a whole is left open only where the key is needed by hidden data alone,
    be it watched or not, and by such a rule where some of its data is hidden; one that says that the key tells nothing,
    where it tells nothing still.
    """
    sight = _Sight(assessed, unusable, keys, failing, supposed)
    named = {Subject(SubjectKind.KEY, name.text) for name in keys}

    def is_seen(one: Finding) -> bool:
        return one.subject in (sight.keys if one.readability is None else named)

    return frozenset(
        one.id
        for one in before
        if sight.hides_a_portion(one)
        or (
            one.subject.kind not in _BY_THEIR_RULE
            and (
                sight.leaves_open(one)
                if one.readability in _OF_DATA
                else (not is_seen(one) and sight.hides(one))
                or (one.rule in of_data and sight.hides_some(one))
                or ((one.rule in of_data or one.portions) and sight.supposes_some(one))
            )
        )
    )


def hidden_keys(
    before: Iterable[Finding], holdings: Iterable[Holding], unusable: Collection[str]
) -> frozenset[KeyName]:
    """Name the keys of data that open findings speak of and that is not seen, although it may be there."""
    hides = _Hiding(map(member_of, holdings), unusable)
    members = {member for one in before if one.status is not Status.RESOLVED for member in one.members}
    return frozenset(KeyName(one[2]) for one in members if one[2] is not None and hides(one))


def with_what_is_hidden(
    findings: Iterable[Finding],
    before: Iterable[Finding],
    assessed: Iterable[Assessed],
    unusable: Collection[str],
    supposed: Supposed = NOTHING_SUPPOSED,
) -> Iterator[Finding]:
    """Let findings remember data that is not seen for a time: it is not over when what is seen of it is."""
    hiding = _Hiding((member_of(one.holding) for one in assessed), unusable)

    def hides(member: Member) -> bool:
        return hiding(member) or (not hiding.sees(member) and bool(supposed.of(member)))

    known = {one.id: one for one in before}
    for one in findings:
        same = known.get(one.id)
        more = set(filter(hides, same.members)).difference(one.members) if same is not None else set()
        if same is None or not more:
            yield one
            continue
        # What seems to concern no data any more is as bad as it was.
        as_bad = same.severity if not (one.members or one.meant or same.meant) else one.severity
        yield replace(one, members=in_order((*one.members, *more)), severity=as_bad)


class _Hiding:
    """Tells whether data may be there although it is not seen."""

    def __init__(self, seen: Iterable[Member], unusable: Collection[str]) -> None:
        self._seen = frozenset(seen)
        self._buckets = {one[0] for one in self._seen if one[1] is Encryption.UNKNOWN}.union(unusable)
        """Where nothing is judged, or nobody knows what encrypts some of the data: any other may be among it."""

    def __call__(self, member: Member) -> bool:
        return member not in self._seen and self.may_hold(member[0])

    def sees(self, member: Member) -> bool:
        """Whether data is seen."""
        return member in self._seen

    def may_hold(self, bucket: str) -> bool:
        """Whether some data of a bucket may be any other than it seems."""
        return bucket in self._buckets


class _Sight:
    """What one judgement tells of the data that findings were made of."""

    def __init__(
        self,
        assessed: Iterable[Assessed],
        unusable: Collection[str],
        keys: Mapping[KeyName, KeyView],
        failing: Collection[Subject],
        supposed: Supposed,
    ) -> None:
        self._failing = failing
        self._supposed = supposed
        self._of = {member_of(one.holding): one.assessment for one in assessed}
        self._is_hidden = _Hiding(self._of, unusable)
        self._answers = {key: _answer(keys, key) for key in {one[2] for one in self._of}}
        self.keys = frozenset(Subject(SubjectKind.KEY, one[2]) for one in self._of if one[2] is not None)
        """The keys that data needs which is seen."""
        self._on: defaultdict[Subject, list[Assessment]] = defaultdict(list)
        """What is told now, by its subject."""
        self._well: defaultdict[Subject, list[tuple[Member, Assessment]]] = defaultdict(list)
        """What can be read, by all that was told now and could bar it."""
        for member, found in self._of.items():
            answer = self._answers[member[2]]
            told = set(_told_of(answer, member[3])) if answer is not None else set()
            if found.subject in told or found.readability is Readability.LOST:
                self._on[found.subject].append(found)
            if found.readability in _WELL:
                for subject in told:
                    self._well[subject].append((member, found))

    def hides(self, one: Finding) -> bool:
        """Whether data of a finding is hidden, and nothing else is told of what the finding is about."""
        return self.hides_some(one) and not self._is_refuted(one)

    def hides_some(self, one: Finding) -> bool:
        """Whether some of the data of a finding is hidden."""
        return any(map(self._is_hidden, one.members))

    def supposes_some(self, one: Finding) -> bool:
        """Whether some of the data of a finding is not seen by its name, and may be called otherwise."""
        return any(member not in self._of and self._supposed.of(member) for member in one.members)

    def hides_a_portion(self, one: Finding) -> bool:
        """Whether what a finding is about is part of some data, and may be where nobody knows the key of some."""
        return bool(one.portions) and any(self._is_hidden.may_hold(bucket) for bucket, *_ in one.members)

    def leaves_open(self, one: Finding) -> bool:
        """Whether some of a finding's data leaves it open, and none of what is told refutes it."""
        return any(self._is_open(one, member) for member in one.members) and not self._is_refuted(one)

    def _is_open(self, one: Finding, member: Member) -> bool:
        found = self._of.get(member)
        if found is None:
            return self._is_hidden(member) or self._may_still_be(one, member)
        is_inferred = found.confidence is Confidence.INFERRED
        if found.readability is Readability.LOST and not is_inferred:
            return False  # whatever else barred it bars nothing any more
        unknown = (found.subject, Readability.UNKNOWN)
        pairs = {*found.shadowed, *([unknown] if found.readability is Readability.UNKNOWN else [])}
        answer = self._answers[member[2]]
        if answer is not None and one.subject in _untold_of(answer):
            return True
        if answer is None:
            # The key is silent, and with it everything behind it.
            own = (Subject(SubjectKind.KEY, member[2] or ""), Readability.UNKNOWN)
            if own in pairs or found.readability is Readability.LOST:
                return True
        return _bars(one, pairs)

    def _may_still_be(self, one: Finding, member: Member) -> bool:
        """Whether data that is not seen by its name would be barred by what a finding is about, or nobody could tell.

        However: nothing else would tell that it has become worse.
        """
        silent = (Subject(SubjectKind.KEY, member[2] or ""), Readability.UNKNOWN)
        return any(
            pair == silent or (pair[0] == one.subject and pair[1] is not Readability.READABLE)
            for found in self._supposed.of(member)
            for pair in ((found.subject, found.readability), *found.shadowed)
        )

    def _is_refuted(self, one: Finding) -> bool:
        if any(
            found.readability is not Readability.UNKNOWN and not _bars(one, found.shadowed)
            for found in self._on[one.subject]
        ):
            return True  # it is told, and not as the finding says
        return one.subject not in self._failing and any(
            all(subject != one.subject for subject, _ in found.shadowed)
            # Another bucket's data is another principal's to read.
            and (one.subject.kind is not SubjectKind.PRINCIPAL or member in one.members)
            for member, found in self._well[one.subject]
        )


def _bars(one: Finding, pairs: Iterable[tuple[Subject, Readability]]) -> bool:
    """Whether what a finding is about bars data as the finding says, or may."""
    return any(
        subject == one.subject and readability in {one.readability, Readability.UNKNOWN}
        for subject, readability in pairs
    )


def _answer(keys: Mapping[KeyName, KeyView], key: str | None) -> AwsKey | GcpKey | None:
    """What a key says of itself now; None where that is nothing."""
    view = keys.get(KeyName(key)) if key is not None else None
    reading = view.reading if view is not None else None
    return reading if isinstance(reading, AwsKey | GcpKey) and not is_being_made(reading) else None


def _told_of(key: AwsKey | GcpKey, version: str | None) -> Iterator[Subject]:
    """Everything that could bar data under a key, as far as the key tells of it now, and not only as it was before."""
    yield Subject(SubjectKind.KEY, key.name.text)
    for right in key.access.rights if key.access is not None else ():
        yield principal_subject(right.principal, key.name)
    if isinstance(key, AwsKey):
        told = key.store is not None and not key.store.older and key.store.connection_state is not None
        if key.store is not None and (told or key.state in {"Enabled", "Updating"}):
            yield Subject(SubjectKind.KEY_STORE, store_name(key.name, key.store.id))
        return
    if version is not None:
        yield Subject(SubjectKind.KEY_VERSION, version_name(key, version))
    yield principal_subject(ANY_PRINCIPAL, key.name)
    if key.hsm_instance is not None and not key.hsm_instance.older and key.hsm_instance.state is not None:
        yield Subject(SubjectKind.HSM_INSTANCE, key.hsm_instance.name)
    own = {one.ekm_connection for one in key.versions if version in {None, one.number}}
    for one in key.connections:
        if one.name in own and one.older is None and one.reachable is not None:
            yield Subject(SubjectKind.EKM_CONNECTION, one.name)


def _untold_of(key: AwsKey | GcpKey) -> Iterator[Subject]:
    """What stands behind a key and is told by nobody: neither now, nor was it before."""
    if isinstance(key, AwsKey):
        # One that is Enabled would be Unavailable if its store were down.
        if key.store is not None and key.store.connection_state is None and key.state not in {"Enabled", "Updating"}:
            yield Subject(SubjectKind.KEY_STORE, store_name(key.name, key.store.id))
        return
    if key.hsm_instance is not None and key.hsm_instance.state is None:
        yield Subject(SubjectKind.HSM_INSTANCE, key.hsm_instance.name)
    for one in key.connections:
        if one.reachable is None:
            yield Subject(SubjectKind.EKM_CONNECTION, one.name)
