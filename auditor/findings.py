"""What the judge says: readability, outcomes of rules, findings, the whole judgement."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from auditor.model import Cloud, Encryption, Evidence, Extent, Gap, Holding, Population, Reason, Requests
from auditor.ownership.registered import NOTHING_SAID, Portion, Registered
from auditor.waiver import GivenWaiver


class Readability(StrEnum):
    """Would encryption stop a read of this data? In the order of the design's table."""

    READABLE = "readable"
    EXPIRING = "expiring"
    UNREADABLE = "unreadable"
    DOOMED = "doomed"
    UNREACHABLE = "unreachable"
    REVOKED = "revoked"
    LOST = "lost"
    UNKNOWN = "unknown"


STOPPED: Final = (
    Readability.LOST,
    Readability.DOOMED,
    Readability.UNREADABLE,
    Readability.REVOKED,
    Readability.UNREACHABLE,
)
"""Encryption stops a read now; the worst first."""


DETECTIONS: Final = frozenset(
    {"data-doomed", "data-expiring", "data-lost", "data-revoked", "data-unreachable", "data-unreadable"}
)
"""Rules whose findings tell of an event, that data cannot be read or will not be; all others are checks."""


class Basis(StrEnum):
    """On what a readability stands; each proves more than the one before."""

    REGISTRY = "registry"
    """The key's state, for data that a registry says is under it: nobody saw an object."""
    BUNDLE = "bundle"
    """The key's state, for data that an operator's signed bundle says is under it: another one saw the objects."""
    STATE = "state"
    POLICY = "policy"
    PROBE = "probe"


class Confidence(StrEnum):
    """Whether an answer says it, or several answers together leave no other reading."""

    PROVEN = "proven"
    INFERRED = "inferred"


class Severity(StrEnum):
    """What is lost: data now, data soon, a control, tidiness."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        """0 for low to 3 for critical."""
        return _RANKS[self]


_RANKS: Final = {one: number for number, one in enumerate(Severity)}


class Verdict(StrEnum):
    """The four outcomes of a rule."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_APPLICABLE = "not_applicable"
    UNKNOWN = "unknown"


class Status(StrEnum):
    """Where a finding stands; `resolved` since the previous judgement."""

    OPEN = "open"
    WAIVED = "waived"
    RESOLVED = "resolved"


_STANDINGS: Final = {one: number for number, one in enumerate(Status)}


class SubjectKind(StrEnum):
    """What a finding is about."""

    KEY_VERSION = "key_version"
    KEY = "key"
    KEY_STORE = "key_store"
    HSM_INSTANCE = "hsm_instance"
    EKM_CONNECTION = "ekm_connection"
    PRINCIPAL = "principal"
    BUCKET = "bucket"
    WAIVER = "waiver"
    REGISTRY = "registry"
    AUDIT_LOG = "audit_log"
    FEED = "feed"


_NAMES: Final = {
    Cloud.AWS: ("arn:", "s3://", "https://", "cloudtrail/"),
    Cloud.GCP: ("projects/", "gs://"),
}
"""How names of each cloud's keys, buckets, queues and logs begin."""


@dataclass(frozen=True, slots=True, order=True)
class Subject:
    """One thing that a finding is about, by its canonical name."""

    kind: SubjectKind
    id: str

    @property
    def cloud(self) -> Cloud | None:
        """Whose it is, by its name; None where it is of no cloud, as a waiver, or the name does not tell."""
        if self.kind is SubjectKind.KEY_STORE:
            return Cloud.AWS
        return next((cloud for cloud, names in _NAMES.items() if self.id.rpartition(" -> ")[2].startswith(names)), None)

    def __str__(self) -> str:
        return f"{self.kind}:{self.id}"


@dataclass(frozen=True, slots=True)
class Undo:
    """How to bring the data back: the exact call, who can make it, the state that it lands in."""

    call: str
    """A command line that can be pasted; where no single command does it, one sentence that says what to call."""
    who: str
    lands_in: str
    until: datetime | None = None
    """Aware, UTC: after this moment the call no longer helps."""


@dataclass(frozen=True, slots=True)
class Contradiction:
    """What a key says of itself and what a probe found part."""

    text: str
    probe_failed: bool
    """The probe was refused though the key is said to work; else it passed though the key is said not to."""


@dataclass(frozen=True, slots=True)
class Assessment:
    """The readability of the data of one bucket under one key version, with its grounds."""

    readability: Readability
    basis: Basis
    cause: str
    """One sentence: the state and what follows from it."""
    subject: Subject
    """Whose fault it is; data with the same cause shares it."""
    confidence: Confidence = Confidence.PROVEN
    final_at: datetime | None = None
    """Aware, UTC: when the loss becomes final, or for `expiring` begins."""
    since: datetime | None = None
    """Aware, UTC: since when, where the service itself says so."""
    undo: tuple[Undo, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    contradiction: Contradiction | None = None
    shadowed: tuple[tuple[Subject, Readability], ...] = ()
    """What else bars this data, or may, behind the worst: each with what it would make of the data."""


Member = tuple[str, Encryption, str | None, str | None]
"""(bucket, encryption as swept, key, key version): names one holding."""


def member_of(holding: Holding) -> Member:
    """Name the holding."""
    return holding.bucket, holding.encryption, holding.key, holding.key_version


def in_order(members: Iterable[Member]) -> tuple[Member, ...]:
    """Sort members as findings name them."""
    return tuple(sorted(members, key=lambda one: (one[0], one[1], one[2] or "", one[3] or "")))


@dataclass(frozen=True, slots=True)
class Assessed:
    """One holding and its assessment."""

    holding: Holding
    encryption: Encryption
    """The holding's encryption, corrected by what the key says of itself (`provider_kms`)."""
    assessment: Assessment


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one rule says of one subject."""

    verdict: Verdict
    text: str
    confidence: Confidence = Confidence.PROVEN
    severity: Severity | None = None
    """Another severity than the rule's own, where this case is worse or better."""
    final_at: datetime | None = None
    """Aware, UTC: when what the outcome speaks of happens."""
    meant: bool = False
    """The config says that it is to be so: there is nothing to undo."""
    members: "tuple[Member, ...] | None" = None
    """Which of the subject's data it is about; None for all."""
    portions: tuple[Portion, ...] = ()
    """Which of that data, by what registries say of it; none for all."""
    untold: bool = False
    """It is not applicable only because nobody says, or looked, what to judge this subject by."""


@dataclass(frozen=True, slots=True)
class Actor:
    """Who did it, as the cloud's audit log tells: hostile text that only printable characters are left of."""

    principal: str
    call: str
    """Name of the operation, as the service has it."""
    time: datetime
    """Aware, UTC: when the call was made, by the log."""
    source: str | None
    """Address that the call came from; None where the log does not tell."""
    via: str | None
    """The role, service or delegation through which it was made; None where the principal made it itself."""
    event_id: str
    """Of the log's entry."""


@dataclass(frozen=True, slots=True)
class Sought:
    """How far the search for who did it has got."""

    after: datetime | None
    """Aware, UTC: the last reading that told otherwise; None where nobody saw it change."""
    first: datetime | None = None
    """Aware, UTC: when the log was asked first; None: it was not yet."""
    last: datetime | None = None
    """Aware, UTC: when it was asked last."""
    unread: Reason | None = None
    """Why it told nothing then."""
    log: str | None = None
    """Which log was asked."""
    settled: bool = False
    """Nobody asks any more. Until all entries are there a later one may tell better who it was."""
    vain: bool = False
    """It was read whole after its lag, and explains a change that was seen by nothing."""
    state: str | None = None
    """The state of the key, or of its version, that somebody is looked for; None where the rule tells it."""
    seen: datetime | None = None
    """Aware, UTC: when it was first seen so, if that is later than the finding."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One cause with its whole blast radius."""

    id: str
    """Hexadecimal hash of rule and subject: the same for ever."""
    rule: str
    severity: Severity
    status: Status
    subject: Subject
    readability: Readability | None
    """None where the finding is not about reading."""
    cause: str
    confidence: Confidence
    extent: Extent
    members: tuple[Member, ...]
    """The holdings it is made of, sorted; empty where no data hangs on it."""
    final_at: datetime | None
    since: datetime
    """Aware, UTC: when it became so, as far as `since_source` can tell."""
    since_source: str
    """Who dates it: `audit_log` (the call that did it), `key_state` (the service), `between_polls` (seen changing) or
    `first_read` (so when first looked at)."""
    evidence: tuple[Evidence, ...]
    undo: tuple[Undo, ...]
    first_seen: datetime
    last_seen: datetime
    """Aware, UTC: when it was last upheld; when it ended, of one that is resolved."""
    succeeds: str | None = None
    """Id of the finding about the same subject that this one took over from."""
    waived_until: datetime | None = None
    """Aware, UTC: until when somebody accepts it; None where it is not waived."""
    meant: bool = False
    """The config says that it is to be so: it is told, and there is nothing to undo."""
    portions: tuple[Portion, ...] = ()
    """Which data of its holdings it is about, by what registries say; none for all."""
    actor: Actor | None = None
    """Who did it; stays for as long as the finding does."""
    unattributed: str | None = None
    """Why nobody is told, in words; None with `actor`, and where the finding is about nothing that a call changes."""
    sought: Sought | None = None
    """None: nobody was looked for yet."""
    is_held: bool = False
    """Nothing upholds it now and nothing refutes it: `last_seen` stays as it was."""


def worst_first(one: Finding) -> tuple[int, int, int, str]:
    """Sort key of every list of findings: open, waived, resolved; then severity, then how much hangs on it."""
    return _STANDINGS[one.status], -one.severity.rank, -(one.extent.objects or 0), one.id


class Agreement(StrEnum):
    """What the cloud's own count of a bucket says of the sweep in force."""

    AGREES = "agrees"
    """Both are the same, within the tolerance."""
    FEWER_COUNTED = "fewer_counted"
    """The cloud had counted fewer: what came since explains that."""
    EXPLAINED = "explained"
    """It counts more, and no more than what it counts beside objects, or than what was there at the time."""
    UNEXPLAINED = "unexplained"
    """It counts more objects than the sweep listed, and nothing that is known explains it."""
    NOT_COMPARABLE = "not_comparable"
    """It counts what the sweep did not look at, or could not count, together with what it did."""
    NOT_KNOWN = "not_known"
    """The cloud has no value yet."""
    NOT_READ = "not_read"
    """It could not be asked: a gap says why."""


@dataclass(frozen=True, slots=True)
class Compared:
    """What a sweep listed beside what the cloud itself counts."""

    agreement: Agreement
    read_at: datetime
    """Aware, UTC: when the cloud was asked."""
    measured_at: datetime | None = None
    """Aware, UTC: the moment that the cloud's value bears."""
    count: int | None = None
    """The cloud's, of the populations that the sweep looked at where the cloud tells them apart, else of everything."""
    difference: int | None = None
    """The cloud's count without what was listed; below zero where more was listed."""
    allowed: int | None = None
    """How much more than listed the cloud may count: the tolerance, and what it counts beside objects, at most."""


@dataclass(frozen=True, slots=True)
class BucketCoverage:
    """How much of one bucket the judgement knows, and from when."""

    bucket: str
    complete: bool
    """A complete sweep is in force."""
    listed: int
    resolved: int
    unresolved: int
    outside: int
    uploads_in_progress: int | None
    sweep_started: datetime | None
    sweep_ended: datetime | None
    oldest_verified: datetime | None
    last_attempt_failed: str | None = None
    """Why the newest attempt did not finish, or what it found cannot be used; an older sweep may be in force."""
    left_out: tuple[Population, ...] = ()
    """What the sweep left out of its data, as the config said then: nobody looked there."""
    sent: Requests | None = None
    """The requests of the newest attempt, finished or not; None before the first, and where they were not counted."""
    kept: int = 0
    """Objects that it did not list itself: it went on with an attempt before, whose requests are not in `sent`."""
    compared: Compared | None = None
    """What was listed beside the cloud's own count; None: nobody asked for it, or there is no whole sweep."""

    @property
    def cloud_count(self) -> int | None:
        """The cloud's own object count, where one was read."""
        return self.compared.count if self.compared is not None else None

    @property
    def ratio(self) -> float:
        """Resolved share of the listed objects, 0 to 1; 0 without a complete sweep, 1 for an empty bucket."""
        if not self.complete:
            return 0.0
        return self.resolved / self.listed if self.listed else 1.0


@dataclass(frozen=True, slots=True)
class Coverage:
    """How complete the answer is."""

    buckets: tuple[BucketCoverage, ...]
    """All of the config; none: it has keys and registries only, so that nobody saw an object (keys-only)."""
    keys_needed: int
    keys_read: int
    """Keys whose state the judgement knows, gone ones included."""
    buckets_not_configured: int | None
    """Buckets of the accounts in use that no config names; None where listing them was not allowed."""
    keys_from_before: int = 0
    """How many of the keys read told nothing now, so that an earlier answer counts."""
    places_digest: str | None = None
    """Of the settings by which buckets were listed; None where a version judged that did not keep it."""

    @property
    def keys_unknown(self) -> int:
        """Needed keys without a known state."""
        return self.keys_needed - self.keys_read


@dataclass(frozen=True, slots=True)
class Spaces:
    """How many namespaces there are, each counted once, under however many keys its data is."""

    total: int
    stopped: int
    """Encryption stops a read of some of their data now."""
    ending: int
    """That is so, or will be at a known date."""
    by_readability: Mapping[Readability, int]
    """Some of their data is so; one that has data of several kinds counts with each."""


def spaces_of(assessed: Iterable[Assessed], count: Callable[[Iterable[Member]], int]) -> Spaces:
    """Count the namespaces of what was judged; `count`: how many some holdings have together."""
    members: dict[Readability, list[Member]] = {one: [] for one in Readability}
    for one in assessed:
        members[one.assessment.readability].append(member_of(one.holding))

    def together(some: Iterable[Readability]) -> int:
        return count([each for one in some for each in members[one]])

    return Spaces(
        total=together(Readability),
        stopped=together(STOPPED),
        ending=together((*STOPPED, Readability.EXPIRING)),
        by_readability={one: count(some) for one, some in members.items()},
    )


@dataclass(frozen=True, slots=True)
class Run:
    """Who judged, when and with what."""

    id: str
    started: datetime
    ended: datetime
    version: str
    identity: tuple[str, ...]
    """The principals that the answers were given to."""
    config_digest: str
    """SHA-256 of the settings in force."""
    rules_version: str
    skew: timedelta
    """Median of the clouds' clocks minus ours."""
    config_file_digest: str | None = None
    """SHA-256 of the config file as it was read; None where nobody kept it."""


@dataclass(frozen=True, slots=True)
class Demand:
    """A rule as people read it: what it demands, how bad its failure is, where it comes from, what to do."""

    id: str
    title: str
    severity: Severity
    source: str
    remedy: str
    otherwise: str | None = None
    """Where the severity is another one; None where it never is."""


@dataclass(frozen=True, slots=True)
class Counted:
    """How often one rule gave each outcome to what is of one cloud."""

    cloud: Cloud | None
    """None: what is of no cloud, as registries and waivers are."""
    counts: Mapping[Verdict, int]
    untold: int = 0
    """To how many it is not applicable only because nobody says what to judge them by."""
    whys: tuple[str, ...] = ()
    """Why it is unknown, or nobody says: the most frequent reasons, in words that may be hostile."""


@dataclass(frozen=True, slots=True)
class Tally:
    """How often one rule gave each outcome."""

    rule: str
    counts: Mapping[Verdict, int]
    parts: tuple[Counted, ...] | None = None
    """The same cloud by cloud; None where an older version judged, which did not tell them apart."""


@dataclass(frozen=True, slots=True)
class View:
    """For whom all else was left out of a judgement.

    How often a rule is met is not counted by tenant: its tallies tell of passes, and of what is not known, only whether
    there are any.
    """

    tenant: str


@dataclass(frozen=True, slots=True)
class Judgement:
    """Newest complete sweep of each bucket and the key states at one moment, judged."""

    run: Run
    now: datetime
    """Aware, UTC: the moment that was judged, by the clouds' clocks."""
    coverage: Coverage
    assessed: tuple[Assessed, ...]
    findings: tuple[Finding, ...]
    """Open, waived and resolved ones, worst first."""
    gaps: tuple[Gap, ...]
    tallies: tuple[Tally, ...]
    sweeps: tuple[str, ...]
    """Ids of the sweeps that it stands on."""
    waivers: tuple[GivenWaiver, ...] = ()
    """All exceptions of the config, and what each is about."""
    registered: Registered = NOTHING_SAID
    """What registries said of namespaces."""
    poll_interval: timedelta | None = None
    """The effective time between two key polls; None outside the daemon."""
    whole_poll: datetime | None = None
    """Aware, UTC: when the newest poll of all needed keys ended, this one or one before; None before the first."""
    oldest_key_read: datetime | None = None
    """Aware, UTC: the oldest of the newest successful readings of the needed keys; None before the first."""
    spaces: Spaces | None = None
    """Only where the config had no bucket. None as well where an older version judged, which did not count them."""
    view: View | None = None
    """Of a tenant's view: whose. A key that may be another's has in it, in place of its name, what is no key's name.

    None: everything is here.
    """
    besides: frozenset[bool] = frozenset()
    """Of a judgement about one key: whether bundles tell of data, each answer that some of all there is gives."""

    @property
    def is_keys_only(self) -> bool:
        """Whether the config had no bucket, so that all data is what registries say of it."""
        return not self.coverage.buckets

    @property
    def is_by_bundles(self) -> bool:
        """Whether it is, and operators' bundles tell of objects of all of it."""
        return self.is_keys_only and self._told() == {True}

    @property
    def is_untold(self) -> bool:
        """Whether nobody told of any data, so that how much there is, and what of it can be read, is not known.

        No bucket has a whole sweep in force; or there is none, and no registry, or one that was not or not all read, or
        that names no key for its namespaces.
        """
        if self._told():
            return False
        if not self.is_keys_only:
            return not any(one.complete for one in self.coverage.buckets)
        every = self.registered.registries
        return not every or any(one.namespaces != 0 or one.unusable for one in every)

    def _told(self) -> frozenset[bool]:
        """Whether bundles tell of data: each answer that some of all data gives; empty where there is none."""
        return self.besides.union(one.holding.is_told for one in self.assessed)

    @property
    def next_loss(self) -> datetime | None:
        """When the next data is lost, or taken away, at a date; None when no date is known."""
        dates = [one.assessment.final_at for one in self.assessed if one.holding.objects != 0]
        dates += [
            one.final_at for one in self.findings if one.status is not Status.RESOLVED and one.extent.objects != 0
        ]
        return min((date for date in dates if date is not None and date > self.now), default=None)
