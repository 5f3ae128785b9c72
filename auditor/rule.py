"""What a rule is, and all that it may read."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from auditor.feeds.silence import Ear, Untold
from auditor.findings import (
    Assessment,
    Basis,
    BucketCoverage,
    Confidence,
    Contradiction,
    Demand,
    Finding,
    Member,
    Outcome,
    Readability,
    Severity,
    Subject,
    SubjectKind,
    Undo,
    Verdict,
    in_order,
    member_of,
)
from auditor.model import (
    ROTATED,
    AwsKey,
    Cloud,
    Evidence,
    GcpKey,
    GcpKeyVersion,
    Holding,
    KeyAccess,
    KeyGone,
    KeyManager,
    KeyName,
    Reason,
    Rotation,
)
from auditor.ownership.owned import HeardRegistry, OwnedBucket, OwnedKey, PlacedKey
from auditor.ownership.registered import Portion
from auditor.policy import Policy
from auditor.questions.retire.standing import Candidate
from auditor.readability import KeyView, is_gone
from auditor.waiver import GivenWaiver


@dataclass(frozen=True, slots=True)
class Cause:
    """All data that one thing makes readable or not: the subject of the reading rules."""

    subject: Subject
    readability: Readability
    basis: Basis
    text: str
    confidence: Confidence
    keys: tuple[KeyName, ...]
    """The keys of the data, sorted; empty for data under no KMS key."""
    members: tuple[Member, ...]
    final_at: datetime | None = None
    since: datetime | None = None
    undo: tuple[Undo, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    contradictions: tuple[Contradiction, ...] = ()
    """Where a probe of the data parts from what the key says."""
    probed: bool = False
    """A probe of the data is known."""
    users_known: bool = True
    """Who must be able to decrypt is known for all of the data."""
    possible: bool = False
    """A version of a key that registries name, and not its primary one: the data need not be under it."""


@dataclass(frozen=True, slots=True)
class HeldKey:
    """One needed key as a whole, with the data under it: the subject of the rules about keys."""

    view: KeyView
    last_read: datetime | None
    """Aware, UTC: when it last gave a state; None when it never did."""
    platform: tuple[str, ...]
    """The principals that must be able to use it, sorted; empty where they are not known."""
    assessments: tuple[Assessment, ...]
    """One for each holding under it."""
    members: tuple[Member, ...]
    holdings: tuple[Holding, ...] = ()
    """The data under it, version by version."""
    candidates: tuple[Candidate, ...] = ()
    """What each of its versions was there for, by the judgement before; empty where there was none."""

    @property
    def name(self) -> KeyName:
        """The key."""
        return self.view.name

    @property
    def subject(self) -> Subject:
        """The key."""
        return Subject(SubjectKind.KEY, self.name.text)

    @property
    def known(self) -> AwsKey | GcpKey | None:
        """What is known of the key: the newest answer that gave a state."""
        return self.view.known

    def is_told(self, at: "Context") -> bool:
        """Whether what is known of it counts for now: it answers, or did so a short while ago and denied nothing since.

        Of one that never gave a state nothing is known that could be too old.
        """
        memory = self.view.memory
        if isinstance(self.view.reading, AwsKey | GcpKey) or memory is None or memory.last_at is None:
            return True
        if self.view.denied or memory.missing_since is not None or isinstance(self.view.reading, KeyGone):
            return False
        return abs(at.now - memory.last_at) <= at.policy.poll_max_age

    def is_gone(self, at: "Context") -> bool:
        """Whether the service has settled that it does not exist any more."""
        return is_gone(self.view, at.policy, at.now)

    def is_lost(self, at: "Context") -> bool:
        """Whether it is not there any more, so that nothing can be demanded of it.

        On AWS data is lost with its key alone; on Google Cloud a version may be gone from a key that is there. What is
        only inferred ends no demand.
        """
        if self.is_gone(at):
            return True
        is_whole = self.name.cloud is Cloud.AWS and bool(self.assessments)
        return is_whole and all(
            one.readability is Readability.LOST and one.confidence is Confidence.PROVEN for one in self.assessments
        )

    @property
    def provider_managed(self) -> bool:
        """Whether the provider manages the key, so that nobody else can change its policy."""
        return isinstance(self.known, AwsKey) and self.known.manager is KeyManager.PROVIDER

    @property
    def evidence(self) -> tuple[Evidence, ...]:
        """The calls that what is known stands on, and those that it told nothing to."""
        told = self.known.evidence if self.known is not None else ()
        asked = self.view.word.evidence if self.view.word is not None else ()
        return tuple(dict.fromkeys((*told, *asked)))


@dataclass(frozen=True, slots=True)
class SweptBucket:
    """One configured bucket and how well it is known: the subject of the sweep rules."""

    coverage: BucketCoverage
    members: tuple[Member, ...]
    unresolved: tuple[Member, ...] = ()
    """Those of them whose encryption could not be learnt."""

    @property
    def subject(self) -> Subject:
        """The bucket."""
        return Subject(SubjectKind.BUCKET, self.coverage.bucket)


@dataclass(frozen=True, slots=True)
class Excepted:
    """One exception and the findings that it is about: the subject of the rules about waivers."""

    given: GivenWaiver
    open: tuple[Finding, ...]
    """Those of them that nothing waives, worst first."""
    members: tuple[Member, ...]
    """All data of all of them."""
    portions: tuple[Portion, ...] = ()
    """Which portions of it, where all of them are about some."""

    @property
    def subject(self) -> Subject:
        """The exception."""
        return Subject(SubjectKind.WAIVER, self.given.waiver.name)


@dataclass(frozen=True, slots=True)
class Caused:
    """What somebody's call has led to, with all findings on it: the subject of the rule about unattributed changes."""

    findings: tuple[Finding, ...]
    """Those that still stand; one at least, and all of one subject."""

    @property
    def subject(self) -> Subject:
        """What they are about."""
        return self.findings[0].subject

    @property
    def members(self) -> tuple[Member, ...]:
        """All data of all of them."""
        return in_order({member for one in self.findings for member in one.members})


@dataclass(frozen=True, slots=True)
class AskedLog:
    """An audit log that was asked who did something: the subject of the rule about logs that do not tell."""

    name: str
    unread: tuple[Reason, ...]
    """Why it told nothing when it was asked last; none: it told."""
    findings: tuple[Finding, ...]
    """For which it was asked; they still stand."""

    @property
    def subject(self) -> Subject:
        """The log."""
        return Subject(SubjectKind.AUDIT_LOG, self.name)

    @property
    def members(self) -> tuple[Member, ...]:
        """None: it is about no data, whatever the findings are about."""
        return ()


@dataclass(frozen=True, slots=True)
class ConfiguredFeed:
    """A feed of the config and what it has not told of: the subject of the rule about feeds that tell nothing."""

    ear: Ear
    untold: tuple[Untold, ...] = ()
    """The oldest first, and last those of keys that may be of another project."""

    @property
    def subject(self) -> Subject:
        """The feed."""
        return Subject(SubjectKind.FEED, self.ear.feed)

    @property
    def members(self) -> tuple[Member, ...]:
        """None: it is about no data, whatever keys it tells of."""
        return ()


@dataclass(frozen=True, slots=True)
class Context:
    """All that a rule may read besides its subject."""

    now: datetime
    policy: Policy
    keys: Mapping[KeyName, KeyView]


RuleSubject = (
    Cause
    | HeldKey
    | SweptBucket
    | OwnedKey
    | OwnedBucket
    | PlacedKey
    | HeardRegistry
    | Excepted
    | Caused
    | AskedLog
    | ConfiguredFeed
)


@dataclass(frozen=True, slots=True)
class Rule:
    """One demand: what it is about, how bad its failure is, where it comes from, what to do."""

    id: str
    """Public for ever: a metric label and a report anchor; never reused."""
    title: str
    subject: type[RuleSubject]
    severity: Severity
    source: str
    remedy: str
    check: Callable[[Any, Context], Outcome]
    otherwise: str | None = None
    """Which severity it has where; None where it always is the one above."""
    of_data: bool = False
    """Of a rule on a key: what data is under it decides, so that what is not seen of it may be why it passes."""
    of_silence: bool = False
    """Of a rule on a key: it also speaks of one that tells nothing; others cannot tell then."""
    quotable: bool = False
    """What it says of a failure names its subject and the platform's principals, and nothing else: whoever may know of
    the subject may read it. Else a tenant is told only that the demand is not met."""

    @property
    def is_about_data(self) -> bool:
        """Whether its findings are about data, and not about a key or a bucket as a whole."""
        return self.subject is Cause or self.of_data

    @property
    def demand(self) -> Demand:
        """The same without the check, for people."""
        return Demand(self.id, self.title, self.severity, self.source, self.remedy, self.otherwise)

    def finding_id(self, subject: Subject) -> str:
        """Same rule and subject, same id, for ever."""
        return hashlib.sha256(f"{self.id}\n{subject}".encode()).hexdigest()[:16]


def passed(text: str) -> Outcome:
    """The demand is met."""
    return Outcome(Verdict.PASSED, text)


def failed(text: str, confidence: Confidence = Confidence.PROVEN) -> Outcome:
    """The demand is not met."""
    return Outcome(Verdict.FAILED, text, confidence)


def not_applicable(text: str) -> Outcome:
    """The demand does not concern this subject; the text says why."""
    return Outcome(Verdict.NOT_APPLICABLE, text)


def not_told(text: str) -> Outcome:
    """The demand may concern this subject, and nobody says, or looked, what to judge it by; the text says what lacks.

    For people that is no more than not applicable. It is no full coverage either: docs/adr/0030-what-a-control-says.md.
    """
    return Outcome(Verdict.NOT_APPLICABLE, text, untold=True)


def unknown(text: str) -> Outcome:
    """The facts to judge by are missing; the text says which."""
    return Outcome(Verdict.UNKNOWN, text)


BY_OTHERS: Final = not_told("an operator's bundle tells of its data: what that leaves out would make it pass")
"""What a rule about a bucket says of one that others alone looked into, where they tell of nothing that fails."""


def access_of(key: HeldKey) -> KeyAccess | Outcome:
    """What is known of who may use the key; or, where nothing is or need be, what a rule about it says."""
    if key.known is None:
        return never_told()
    if key.provider_managed:
        return not_applicable("the provider manages the key and its policy")
    return key.known.access or unknown("nobody asked who may use the key")


def never_told() -> Outcome:
    """What a rule about a key says of one that never gave a state."""
    return unknown("the key never gave a state: key-state-unknown speaks of it")


def rotation_of(key: HeldKey) -> Rotation | Outcome:
    """How a key is rotated; or, where it cannot be or nobody told, what a rule about it says."""
    known = key.known
    if known is None:
        return never_told()
    if key.provider_managed:
        return not_applicable("the provider rotates it as it sees fit")
    if (why := _never_rotated(known)) is not None:
        return not_applicable(why)
    return known.rotation or unknown("how it is rotated could not be read")


def _never_rotated(known: AwsKey | GcpKey) -> str | None:
    """Why a key gets no new material by itself, whatever is set."""
    match known:
        case AwsKey(origin=origin) if origin != "AWS_KMS":
            return "AWS rotates no key whose material it did not make"
        case AwsKey(state=state) if state not in ROTATED:
            return f"a key that is {state} is not rotated"
        case AwsKey(usage=usage) if usage not in {"ENCRYPT_DECRYPT", ""}:
            return "only symmetric keys are rotated: weak-algorithm speaks of it"
        case GcpKey(purpose=purpose) if purpose != "ENCRYPT_DECRYPT":
            return "only symmetric keys are rotated: weak-algorithm speaks of it"
        case GcpKey(import_only=True):
            return "all its material is imported"
        case GcpKey() if any(one.external for one in known.versions):
            return "an external key manager holds its material"
        case GcpKey() if all(one.state != "ENABLED" for one in known.versions):
            return "none of its versions is enabled"
        case _:
            return None


def versions_in_use(key: HeldKey, known: GcpKey) -> tuple[GcpKeyVersion, ...]:
    """The versions that data is under, and the primary one, which the next data will be under.

    Data that names no version may be under any.
    """
    named = {one.key_version for one in key.holdings}
    return tuple(one for one in known.versions if None in named or one.number in {*named, known.primary})


def members_under(key: HeldKey, versions: Iterable[GcpKeyVersion]) -> tuple[Member, ...]:
    """The data that is, or may be, under some versions of a key."""
    numbers = {None, *(one.number for one in versions)}
    return in_order(member_of(one) for one in key.holdings if one.key_version in numbers)


def of_registry(one: OwnedKey | OwnedBucket, what: str, *portions: Portion) -> Outcome:
    """Fail for the data that is so; `what` says of it in words how it is."""
    if found := one.otherwise(*portions):
        return replace(failed(what), members=found, portions=portions)
    if one.known is None:
        return unknown("a registry that speaks of it was never read, or its namespaces were cut by another layout")
    if one.known and not one.sound:
        return unknown("entries of registries that may speak of its data cannot be used, or part")
    return passed("registries say nothing else of its data") if one.known else not_told("no registry knows it")


_MEANT_BY_REVOKED: Final = frozenset({Readability.UNREADABLE, Readability.REVOKED, Readability.UNKNOWN})
"""What a revocation on purpose leads to; a destruction goes further, and a store that fails is something else."""
POSSIBLE: Final = "high where only a registry names the key, and the version is not its primary one"
MEANT: Final = 'low where [[key]] says intended_state = "revoked"'


def as_meant(
    outcome: Outcome, at: Context, keys: Iterable[KeyName], readability: Readability, members: Iterable[Member]
) -> Outcome:
    """Lower a failure to `low` where the customer wants all keys of the data revoked, and say so."""
    if not all(at.policy.means_revoked(key, at.now) for key in keys):
        return outcome
    if readability in _MEANT_BY_REVOKED and not any(map(_is_destroyed, _states(keys, members, at))):
        text = f"{outcome.text}; that is meant: [[key]] says that the key is revoked on purpose"
        return replace(outcome, text=text, severity=Severity.LOW, meant=True)
    return replace(outcome, text=f"{outcome.text}; [[key]] says only that the key is revoked on purpose")


def _states(keys: Iterable[KeyName], members: Iterable[Member], at: Context) -> Iterator[str]:
    """The last states that were told of some keys, on Google Cloud of the versions that the data is under."""
    versions = {version for _, _, _, version in members}
    for name in keys:
        match at.keys[name].known if name in at.keys else None:
            case AwsKey(state=state):
                yield state
            case GcpKey() as key:
                yield from (one.state for one in key.versions if one.number in versions or None in versions)
            case _:
                pass


def _is_destroyed(state: str) -> bool:
    """Whether a destruction is under way, or done: more than a revocation."""
    return state.startswith(("Pending", "DESTROY")) and state != "PendingImport"


def fails_when(readability: Readability) -> Callable[[Cause, Context], Outcome]:
    """Make the check of a reading rule: it fails for data of exactly this readability."""

    def check(cause: Cause, at: Context) -> Outcome:
        if not cause.keys:
            return not_applicable(cause.text)
        if cause.readability is readability:
            found = failed(cause.text)
            # What nobody saw under it may be well.
            told = replace(found, severity=Severity.HIGH) if cause.possible else found
            return as_meant(told, at, cause.keys, cause.readability, cause.members)
        if cause.readability is Readability.UNKNOWN:
            return unknown(cause.text)
        return passed(cause.text)

    return check
