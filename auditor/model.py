"""What the clouds told us, as immutable values: objects, keys, dependencies, gaps."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, Self

# Anchored, one expression for keys and versions (domain-scoped project ids contain a colon). Cloud KMS resource names.
_GCP_KEY: Final = re.compile(
    r"projects/([^/\s]+)/locations/([^/\s]+)/keyRings/([A-Za-z0-9_-]{1,63})/cryptoKeys/([A-Za-z0-9_-]{1,63})"
    r"(?:/cryptoKeyVersions/([1-9][0-9]{0,17}))?"
)
_AWS_KEY: Final = re.compile(r"arn:(aws[a-z-]*):kms:([a-z0-9-]+):([0-9]{12}):key/([A-Za-z0-9-]{1,128})")


class Cloud(StrEnum):
    """Whose KMS or bucket it is."""

    AWS = "aws"
    GCP = "gcp"


def cloud_of(url: str) -> Cloud:
    """Whose bucket it is."""
    return Cloud.AWS if url.startswith("s3://") else Cloud.GCP


@dataclass(frozen=True, slots=True, order=True)
class KeyName:
    """The full canonical name of a key, never an alias, a bare id or a version."""

    text: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Check that the text is a key's full name.

        Raises:
            ValueError: it is an alias, a bare id, a version's name or something else.
        """
        if _AWS_KEY.fullmatch(text) or ((hit := _GCP_KEY.fullmatch(text)) and hit[5] is None):
            return cls(text)
        raise ValueError(f"{text!r} is not the full name of a key")

    @property
    def cloud(self) -> Cloud:
        """The cloud that the shape of the name tells."""
        return Cloud.AWS if self.text.startswith("arn:") else Cloud.GCP

    @property
    def location(self) -> str:
        """AWS Region or Cloud KMS location."""
        return self.text.split(":")[3] if self.cloud is Cloud.AWS else self.text.split("/")[3]

    @property
    def owner(self) -> str:
        """AWS account id or Google project (id or number, as the name has it)."""
        return self.text.split(":")[4] if self.cloud is Cloud.AWS else self.text.split("/")[1]

    @property
    def ring(self) -> str:
        """The key ring's full name; only Google Cloud has rings."""
        return self.text.rpartition("/cryptoKeys/")[0]

    @property
    def common(self) -> str:
        """What all names of the key have in common: of a Google key all but its project, of one of AWS everything."""
        return self.text if self.cloud is Cloud.AWS else self.text.partition("/")[2].partition("/")[2]

    def may_be(self, other: "KeyName") -> bool:
        """Whether another name may be of the same key: one gives its project by the number, and one by the id."""
        if Cloud.AWS in {self.cloud, other.cloud} or self.text.split("/")[2:] != other.text.split("/")[2:]:
            return False
        return self.owner.isdigit() != other.owner.isdigit()

    def is_replica_of(self, other: "KeyName") -> bool:
        """Whether both are of one multi-Region key, each in a Region of its own."""
        if self.cloud is not Cloud.AWS or not self.text.rpartition("/")[2].startswith("mrk-"):
            return False
        mine, others = self.text.split(":"), other.text.split(":")
        return [*mine[:3], *mine[4:]] == [*others[:3], *others[4:]]

    def __str__(self) -> str:
        return self.text


def split_version(text: str) -> tuple[KeyName, str | None]:
    """Split what an object or a rule calls its key into the key and the version number, where there is one.

    Raises:
        ValueError: the text names neither a key nor a key version.
    """
    if (hit := _GCP_KEY.fullmatch(text)) and hit[5] is not None:
        return KeyName(text.rpartition("/cryptoKeyVersions/")[0]), hit[5]
    return KeyName.parse(text), None


class Listing(StrEnum):
    """One pass over a bucket; what is deleted while one runs is there for the next."""

    STORED = "stored"
    """Live and noncurrent objects."""
    SOFT_DELETED = "soft_deleted"


class Population(StrEnum):
    """Where a stored version stands; all three pin the key version that they were written under."""

    LIVE = "live"
    NONCURRENT = "noncurrent"
    SOFT_DELETED = "soft_deleted"


class Encryption(StrEnum):
    """Who holds the key of an object."""

    CMEK = "cmek"
    """Under a named KMS key. On S3 the judge turns it into `provider_kms` once the key says that AWS manages it."""
    PROVIDER_KMS = "provider_kms"
    PROVIDER = "provider"
    CUSTOMER_SUPPLIED = "customer_supplied"
    NONE = "none"
    UNKNOWN = "unknown"


class Reason(StrEnum):
    """Why something could not be read; a metric label, so the set is closed."""

    ACCESS_DENIED = "access_denied"
    THROTTLED = "throttled"
    NOT_FOUND = "not_found"
    TIMEOUT = "timeout"
    UNSUPPORTED = "unsupported"
    MALFORMED = "malformed"
    EXPIRED_CREDENTIALS = "expired_credentials"
    NOT_VISIBLE = "not_visible"


LIST_OF_RING: Final = "cloudkms.cryptoKeys.list"
"""Permission that tells which keys a ring has."""
DENIALS: Final = frozenset({Reason.ACCESS_DENIED, Reason.NOT_VISIBLE})
"""The service answered, and would not tell."""


@dataclass(frozen=True, slots=True)
class Gap:
    """Something that could not be read: it travels with the facts and shows in every output."""

    what: str
    """The bucket, key or other resource, by its full name."""
    reason: Reason
    effect: str
    """What the answer lacks because of it."""
    hint: str
    objects: int | None = None
    """How many listed objects it leaves unresolved; None where it is not about objects."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """Which call said so, and when."""

    call: str
    resource: str
    at: datetime
    """Aware, UTC."""
    request_id: str | None
    answer_digest: str
    """SHA-256 of the answer's facts in canonical JSON, hexadecimal."""


@dataclass(frozen=True, slots=True)
class StoredObject:
    """One stored version or generation of an object, as a sweep saw it."""

    name: str
    """As the service decodes it: any Unicode text; hostile."""
    version: str | None
    """Generation on GCS, version id on S3; None in a bucket that never had versioning."""
    population: Population
    size: int
    """Bytes."""
    modified: datetime
    """Aware, UTC: when this version was written."""
    etag: str | None
    storage_class: str
    archived: bool
    """A read needs a restore first."""
    encryption: Encryption
    key: str | None
    """Full key name without a version; None without a KMS key."""
    key_version: str | None
    verified: datetime | None
    """Aware, UTC: when the key was last read for this very version; None if never."""
    problem: Reason | None = None
    """Why the encryption could not be learnt; set exactly when `encryption` is unknown."""


class KeyManager(StrEnum):
    """Who manages a KMS key."""

    CUSTOMER = "customer"
    PROVIDER = "provider"


@dataclass(frozen=True, slots=True)
class CustomKeyStore:
    """The AWS custom key store behind a key (CloudHSM cluster or external key store)."""

    id: str
    connection_state: str | None
    """`CONNECTED`, `CONNECTING`, `FAILED`, `DISCONNECTED`, `DISCONNECTING`; None when it could not be read."""
    error_code: str | None = None
    older: bool = False
    """It could not be read this time: what stands here is what it said before."""
    at: datetime | None = None
    """Aware, UTC: when it said so; None where that was now."""
    unread: Reason | None = None
    """Why it could not be read this time; None where it was, or is not of the accounts in use."""


@dataclass(frozen=True, slots=True)
class Material:
    """One key material of an AWS key with imported material, as ListKeyRotations shows it."""

    id: str
    state: str
    """`CURRENT`, `NON_CURRENT`, `PENDING_ROTATION` or `PENDING_MULTI_REGION_IMPORT_AND_ROTATION`, as answered."""
    imported: bool
    """False while it is missing (`PENDING_IMPORT`)."""
    valid_to: datetime | None = None
    """Aware, UTC: when it expires; None where it never does."""

    @property
    def permanent(self) -> bool:
        """Tied to the key for good, so that its loss stops the whole key; pending materials encrypt nothing yet."""
        return not self.state.startswith("PENDING_")


class Grant(StrEnum):
    """What the policies and grants that were read say of one principal's right."""

    DIRECT = "direct"
    """It is granted by name and without a condition, by what suffices alone."""
    POSSIBLE = "possible"
    """Something may grant it: a group, a condition, a custom role, an IAM policy that was not read."""
    UNREAD = "unread"
    """Nothing that was read grants it, and not all that could grant it was read."""
    ABSENT = "absent"
    """Everything that could grant it in the key's own reach was read, and nothing does."""
    DENIED = "denied"
    """AWS: a Deny without a condition names the principal."""
    WITHDRAWN = "withdrawn"
    """Google: key and ring were read and can not grant it; the project's policy could not be read."""


DECRYPT: Final = {Cloud.AWS: "kms:Decrypt", Cloud.GCP: "cloudkms.cryptoKeyVersions.useToDecrypt"}
"""The right that a read needs."""


@dataclass(frozen=True, slots=True)
class Right:
    """One right of one principal of the platform on a key."""

    principal: str
    """AWS: ARN of a role or user; Google: e-mail address of a service account."""
    action: str
    grant: Grant
    above: bool | None = False
    """Google: the project lets it as well, or may, by a group, say; None where the project's policy was not read."""


@dataclass(frozen=True, slots=True)
class KeyAccess:
    """Who may do what with a key, as far as the policies that were read tell."""

    rights: tuple[Right, ...] = ()
    """For each principal of the platform each right that it needs."""
    others: tuple[str, ...] | None = None
    """Principals beside the platform's that may decrypt, sorted, at most 20; None where it could not be read."""
    public: bool | None = None
    """Everybody may use the key; None where it could not be read, or hangs on a condition."""
    administered: bool | None = None
    """Somebody may change the key's policy; None where nothing that was read settles it."""
    ring_keys: tuple[str, ...] = ()
    """Google: the other keys of the ring, where the platform's grant is on the ring; sorted."""
    unread: tuple[tuple[str, Reason], ...] = ()
    """(call, why) of each policy or list that could not be read."""

    def grant(self, principal: str, action: str) -> Grant | None:
        """What is known of one right; None where nobody asked."""
        return next((one.grant for one in self.rights if (one.principal, one.action) == (principal, action)), None)


ROTATED: Final = frozenset({"Enabled", "Updating"})
"""AWS: states of a key in which it is rotated. Source: AWS KMS API Reference, GetKeyRotationStatus."""


@dataclass(frozen=True, slots=True)
class Rotation:
    """How a key gets new material; old data stays under the old."""

    period: timedelta | None
    """How often by itself; None where that is off."""
    due: datetime | None = None
    """Aware, UTC: when next; None where it is off, or was not told."""
    latest: datetime | None = None
    """AWS: since when the current material is in use (aware, UTC); None where nobody tells."""
    latest_unread: Reason | None = None
    """Why nobody tells."""


@dataclass(frozen=True, slots=True)
class AwsKey:
    """What DescribeKey and DescribeCustomKeyStores say of one key; AWS keys are usable or not as a whole."""

    name: KeyName
    state: str
    """`KeyState` as answered, known to us or not."""
    manager: KeyManager
    origin: str
    created: datetime | None = None
    deletion_date: datetime | None = None
    """Aware, UTC; only in PendingDeletion."""
    pending_window_days: int | None = None
    """Only in PendingReplicaDeletion: the wait that starts when the last replica is gone."""
    valid_to: datetime | None = None
    """Aware, UTC: the earliest expiry of any imported material tied to the key."""
    store: CustomKeyStore | None = None
    multi_region: bool = False
    material: str | None = None
    """`CurrentKeyMaterialId`, where the key has one."""
    materials: tuple[Material, ...] | None = None
    """All materials of a key with imported material, by id; None for other keys, and where they could not be listed."""
    materials_unread: Reason | None = None
    """Why they could not be listed."""
    spec: str = "SYMMETRIC_DEFAULT"
    """`KeySpec` as answered; empty where it was not."""
    usage: str = "ENCRYPT_DECRYPT"
    """`KeyUsage` as answered; empty where it was not."""
    rotation: Rotation | None = None
    """None where the key cannot be rotated, and where it could not be read."""
    rotation_unread: Reason | None = None
    """Why it could not be read."""
    access: KeyAccess | None = None
    """None where nobody asked who may use the key."""
    evidence: tuple[Evidence, ...] = ()

    @property
    def use(self) -> Mapping[str, object]:
        """What decides whether the key can be used, fact by fact; None for one that was not told."""
        store = {"store": self.store.connection_state} if self.store is not None else {}
        # A key is used all the same while its Region changes.
        state = "Enabled" if self.state == "Updating" else self.state
        return {"state": state, **store, **_told_rights(self.access)}


@dataclass(frozen=True, slots=True)
class GcpKeyVersion:
    """One version as ListCryptoKeyVersions shows it."""

    number: str
    state: str
    """The enum's name; a value that the client does not know is kept as its number in text."""
    protection_level: str = "SOFTWARE"
    algorithm: str = "GOOGLE_SYMMETRIC_ENCRYPTION"
    created: datetime | None = None
    destroy_time: datetime | None = None
    """Aware, UTC: when a scheduled destruction becomes final."""
    destroyed_time: datetime | None = None
    reimport_eligible: bool = False
    imported: datetime | None = None
    """Aware, UTC: when its material was imported last; None of one that was generated, or never had any."""
    failure: str | None = None
    """Generation, import or external destruction failure as the service words it."""
    ekm_connection: str | None = None
    """Full name of the EKM connection behind an EXTERNAL_VPC version."""
    unlisted_since: datetime | None = None
    """Aware, UTC: since when it is not listed although it cannot be gone yet; its state is the one before."""

    @property
    def external(self) -> bool:
        """An external key manager holds the material, so that no state of Google's proves that it answers."""
        return self.protection_level in {"EXTERNAL", "EXTERNAL_VPC"}


SINGLE_TENANT: Final = "HSM_SINGLE_TENANT"
"""Protection level of versions on an instance of their own."""


@dataclass(frozen=True, slots=True)
class HsmInstance:
    """The single-tenant HSM instance behind a key."""

    name: str
    state: str | None
    """None when it could not be read."""
    disable_time: datetime | None = None
    """Aware, UTC: when it disables itself unless it is refreshed."""
    older: bool = False
    """It could not be read this time: what stands here is what it said before."""
    at: datetime | None = None
    """Aware, UTC: when it said so; None where that was now."""
    unread: Reason | None = None
    """Why it could not be read this time; None where it was, or the key does not name it."""


@dataclass(frozen=True, slots=True)
class EkmConnection:
    """An EKM connection, as VerifyConnectivity found it."""

    name: str
    reachable: bool | None
    """None when it could not be verified."""
    detail: str = ""
    """The service's own code where it is not reachable; why it could not be verified where that is not known."""
    older: Reason | None = None
    """Why it could not be verified this time: what stands here is what was found before."""
    at: datetime | None = None
    """Aware, UTC: when that was found; None where it was now."""


CUSTOMER_INITIATED: Final = "CUSTOMER_INITIATED_ACCESS"
"""The access reason of ordinary reads. Source: google-cloud-kms, AccessReason."""


@dataclass(frozen=True, slots=True)
class GcpKey:
    """What Cloud KMS says of one key and all its versions."""

    name: KeyName
    versions: tuple[GcpKeyVersion, ...]
    """All that the service lists, by number; a number that data names and that is not here was deleted."""
    primary: str | None = None
    purpose: str = "ENCRYPT_DECRYPT"
    destroy_delay: timedelta | None = None
    """How long a version stays scheduled before it is destroyed, set once for the key; None where it was not told."""
    rotation: Rotation | None = None
    """None where it was not told."""
    import_only: bool = False
    """All its material is imported."""
    access_reasons: tuple[str, ...] | None = None
    """Key Access Justifications: the allowed reasons; None without a policy (all allowed), empty = nothing allowed."""
    hsm_instance: HsmInstance | None = None
    access: KeyAccess | None = None
    """None where nobody asked who may use the key."""
    connections: tuple[EkmConnection, ...] = ()
    """The EKM connections behind its versions, by name; empty where they are not verified."""
    counted: bool = True
    """The service said how many versions there are: one that is not listed is not there."""
    created: datetime | None = None
    """Aware, UTC: when it was made, which is told alike under each name of the key; None where it was not told."""
    evidence: tuple[Evidence, ...] = ()

    @property
    def use(self) -> Mapping[str, object]:
        """What decides whether the key can be used, fact by fact; None for one that was not told."""
        return {
            **{f"version {one.number}": one.state for one in self.versions},
            **({"instance": self.hsm_instance.state} if self.hsm_instance is not None else {}),
            "reasons": self.access_reasons is None or CUSTOMER_INITIATED in self.access_reasons,
            **{f"connection {number}": reachable for number, reachable in self._reachable()},
            **_told_rights(self.access),
        }

    def _reachable(self) -> Iterator[tuple[str, bool | None]]:
        """For each version behind an EKM connection, whether Cloud KMS reaches its external key manager."""
        reachable = {one.name: one.reachable for one in self.connections}
        for one in self.versions:
            if one.ekm_connection in reachable:
                yield one.number, reachable[one.ekm_connection]


def _told_rights(access: KeyAccess | None) -> Mapping[str, object]:
    untold = {Grant.UNREAD, Grant.WITHDRAWN}
    return {
        f"right {one.principal}": None if one.grant in untold else one.grant
        for one in (access.rights if access is not None else ())
        if one.action in DECRYPT.values()
    }


def is_being_made(reading: object) -> bool:
    """Whether a key is in the few seconds of its life that tell nothing of how it was or will be."""
    return isinstance(reading, AwsKey) and reading.state == "Creating"


def resting(key: AwsKey | GcpKey) -> frozenset[str]:
    """What of a key takes no new data: the versions that are not the primary one, or not enabled; empty: all of it."""
    if isinstance(key, AwsKey):
        return frozenset() if key.state in ROTATED else frozenset({""})
    return frozenset(
        one.number
        for one in key.versions
        if one.unlisted_since is None and (one.state != "ENABLED" or key.primary not in {None, one.number})
    )


def told_use(key: AwsKey | GcpKey) -> dict[str, str]:
    """The facts of `use` that were told, each as a text that is equal exactly when the fact is."""
    return {fact: repr(value) for fact, value in key.use.items() if value is not None}


def use_changes(before: Mapping[str, str], key: AwsKey | GcpKey) -> frozenset[str]:
    """Name the facts of `use` that differ from when they were last told: a read may do otherwise for some minutes.

    What a fault hides, or the config asks for anew, is no change.
    """
    now = told_use(key)
    return frozenset(fact for fact in before.keys() & now.keys() if before[fact] != now[fact])


def concerns(fact: str, version: str | None, principals: Iterable[str]) -> bool:
    """Whether a fact of `use` decides over reads of this version (None: of any) by one of these principals."""
    kind, _, which = fact.partition(" ")
    if kind in {"version", "connection"}:
        return version is None or which == version
    return kind != "right" or which in principals


@dataclass(frozen=True, slots=True)
class KeyGone:
    """The service says that the key does not exist, to a caller that could have seen it."""

    name: KeyName
    proven: bool
    """True when one answer settles it (a retired resource of this name); else it must be heard twice, minutes apart."""
    evidence: tuple[Evidence, ...] = ()


@dataclass(frozen=True, slots=True)
class KeyUnread:
    """The key's state could not be read; nothing follows about the key itself."""

    name: KeyName
    reason: Reason
    detail: str
    """The service's own code, never its free text."""
    hint: str
    evidence: tuple[Evidence, ...] = ()


KeyReading = AwsKey | GcpKey | KeyGone | KeyUnread
"""One answer about one key."""


@dataclass(frozen=True, slots=True)
class KeyMemory:
    """What is remembered of a key from earlier polls."""

    last: AwsKey | GcpKey | None
    """The last reading that gave a state; None when none ever did."""
    last_at: datetime | None
    """Aware, UTC: when that state was last confirmed; None with `last`."""
    missing_since: datetime | None = None
    """Aware, UTC: the first of an unbroken row of "does not exist" answers."""
    missing_until: datetime | None = None
    """Aware, UTC: the last one of that row."""
    missing_proven: bool = False
    """One answer of that row settled it by itself."""
    granted: tuple[str, ...] = ()
    """Principals that were ever seen with a direct grant to decrypt, sorted."""
    barred: tuple[str, ...] = ()
    """Principals that provably could not decrypt when it could last be told, sorted."""
    changed: Mapping[str, datetime] = field(default_factory=dict)
    """Fact of its `use` -> when it was seen to change last: aware, UTC; facts that never were are not in it."""
    told: Mapping[str, str] = field(default_factory=dict)
    """Fact of its `use` -> what it was when it was last told."""
    denied_since: datetime | None = None
    """Aware, UTC: since when the service's last word is that it will not tell; None when that is a state."""
    highest_version: int = 0
    """Google: the highest version number ever listed."""
    resting: Mapping[str, datetime] = field(default_factory=dict)
    """Version (empty: all of a key of AWS) -> since when every answer told that it takes no new data (aware, UTC).

    Versions that take new data are not in it.
    """
    first_at: datetime | None = None
    """Aware, UTC: when it gave a state first, or first again after a time of which nobody knows what it was.

    None where that was not kept.
    """
    silence: KeyGone | KeyUnread | None = None
    """The service's last word, where that is no state: that the key is not there, or that it will not tell.

    Of one that never gave a state any other reason as well. None where that was not kept.
    """


class ProbeKind(StrEnum):
    """How a probe tried."""

    READ = "read"
    """A ranged read of one object."""
    DRY_RUN = "dry_run"
    """A KMS Decrypt that checks the caller's right and decrypts nothing."""


class ProbeOutcome(StrEnum):
    """What a probe found."""

    PASSED = "passed"
    REFUSED = "refused"
    """The key stopped it."""
    INCONCLUSIVE = "inconclusive"
    """Something else stopped it, which says nothing about the key."""


NO_RIGHT: Final = "no right to decrypt"
"""The code of a refusal that concerns one principal; connectors give it when only the right is left as the cause."""


@dataclass(frozen=True, slots=True)
class Probe:
    """One attempt to use a key for the data of one bucket."""

    bucket: str
    key: str
    key_version: str | None
    kind: ProbeKind
    at: datetime
    """Aware, UTC, by the clouds' clocks."""
    outcome: ProbeOutcome
    code: str
    """The service's own code; `ok` where it passed."""
    principal: str | None
    """Whose right it tried: the caller on AWS, the bucket's storage service agent for a read on Google Cloud."""
    cached: bool = False
    """S3 had a bucket key at hand, so that KMS may not have been asked at all."""
    reason: Reason | None = None
    """Why it is inconclusive; None where it is not."""
    evidence: tuple[Evidence, ...] = ()
    told: Mapping[str, str] = field(default_factory=dict, hash=False)
    """Of a refusal, the facts of the key's `use` that may stand behind it, as the key told them next to it."""
    early: bool = False
    """Of a refusal, that it was made too soon behind a change to count, and never before nor later."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One stored version that a probe may read: neither empty nor archived nor deleted."""

    bucket: str
    key: str
    key_version: str | None
    name: str
    version: str | None


@dataclass(frozen=True, slots=True)
class Holding:
    """All data of one bucket under one key version: what the judge sees of a sweep."""

    bucket: str
    encryption: Encryption
    key: str | None
    key_version: str | None
    objects: int | None
    """None: nobody saw any, a registry says that the namespaces are under the key."""
    size: int | None
    """Bytes; None where nobody tells."""
    archived: int
    namespaces: int
    """Distinct namespaces; names outside the layout are not among them."""
    oldest: datetime | None
    """None with `objects`."""
    newest: datetime | None
    is_told: bool = False
    """An operator's bundle says that it is there: somebody looked, and not this auditor."""

    @property
    def is_claimed(self) -> bool:
        """Whether a registry says that it is there, and nobody looked."""
        return self.objects is None

    @property
    def is_seen(self) -> bool:
        """Whether this auditor looked."""
        return not (self.is_claimed or self.is_told)


@dataclass(frozen=True, slots=True)
class Extent:
    """How much data a set of holdings is, each namespace counted once."""

    objects: int | None = 0
    """None: nobody saw any, a registry names the namespaces."""
    size: int | None = 0
    """Bytes; None where nobody tells."""
    namespaces: int = 0
    tenants: tuple[str, ...] = ()
    """The first 20 by name."""
    sample_namespaces: tuple[str, ...] = ()
    """`bucket/namespace` of the ten with most objects."""
    owners: tuple[str, ...] = ()
    """The first 20 by name."""
    teams: tuple[str, ...] = ()
    """Likewise."""


@dataclass(frozen=True, slots=True)
class Dependency:
    """One row of the design's dependency table."""

    bucket: str
    namespace: str | None
    """The layout's fields joined by `/`; None outside the layout."""
    tenant: str | None
    population: Population | None
    """None with `objects`."""
    encryption: Encryption
    key: str | None
    key_version: str | None
    objects: int | None
    """None: nobody saw any, a registry says that the namespace is under the key."""
    size: int | None
    """Bytes; None where nobody tells."""
    archived: int | None
    oldest: datetime | None
    newest: datetime | None
    samples: tuple[str, ...]
    """A few object names; hostile."""
    owner: str | None = None
    """Who answers for the namespace, where a registry or the config says so; hostile."""
    team: str | None = None
    """In which team; likewise."""


@dataclass(frozen=True, slots=True)
class NewObjects:
    """What a bucket makes of a new object whose writer names no key, and which kinds of encryption it refuses."""

    default: Encryption
    """`provider`, `provider_kms` or `cmek`; `unknown` where it is of a kind that is not known here."""
    named: str | None = None
    """Of `cmek`, the key as the bucket names it: in full, or on S3 by its id alone or an alias."""
    refused: tuple[Encryption, ...] = ()
    """Kinds of which it takes no new object, sorted."""
    unclear: tuple[Encryption, ...] = ()
    """Kinds of which it says something that is not known here, sorted."""


@dataclass(frozen=True, slots=True)
class BucketFacts:
    """What the bucket itself says, read once a sweep."""

    url: str
    cloud: Cloud
    location: str | None = None
    versioned: bool | None = None
    default_key: str | None = None
    service_agent: str | None = None
    """Google: the e-mail of the storage service agent of the bucket's project, which must be able to decrypt."""
    data_locations: tuple[str, ...] = ()
    """Google: the regions of a dual-region that somebody chose, in lower case, sorted."""
    new_objects: NewObjects | None = None
    """None where nobody told."""


@dataclass(frozen=True, slots=True)
class Requests:
    """How many requests there are about one bucket, each retry counted."""

    lists: int = 0
    """Pages of objects, and of unfinished uploads."""
    heads: int = 0
    """HEADs of objects."""
    others: int = 0
    """Whatever asks for the bucket's settings."""

    @property
    def total(self) -> int:
        """All of them."""
        return self.lists + self.heads + self.others

    def __add__(self, other: "Requests") -> "Requests":
        return Requests(self.lists + other.lists, self.heads + other.heads, self.others + other.others)

    def __sub__(self, other: "Requests") -> "Requests":
        return Requests(self.lists - other.lists, self.heads - other.heads, self.others - other.others)


@dataclass(frozen=True, slots=True)
class CloudCount:
    """How many objects the cloud itself counts in a bucket, by its own metrics; asked once, when a sweep has ended."""

    read_at: datetime
    """Aware, UTC: when it was asked."""
    measured_at: datetime | None = None
    """Aware, UTC: the moment that the value bears, which may be a day off; None where there is no value."""
    total: int | None = None
    """All that it counts, of whatever kind; None where there is no value."""
    populations: Mapping[Population, int] | None = None
    """How many of them are of each; None where the cloud tells one number for everything."""
    unread: Reason | None = None
    """Why it could not be read; None: it was answered."""


@dataclass(frozen=True, slots=True)
class EarlierSweep:
    """What a whole sweep before listed, for whoever compares with a count of then."""

    ended: datetime
    listed: int


@dataclass(frozen=True, slots=True)
class Sweep:
    """One listing of one bucket, finished or not."""

    id: str
    bucket: str
    started: datetime
    ended: datetime
    complete: bool
    """Every page of every population was listed; unresolved objects do not make it incomplete, they lower coverage."""
    listed: int
    resolved: int
    outside: int
    uploads_in_progress: int | None
    """None where it could not be counted."""
    oldest_verified: datetime | None
    facts: BucketFacts
    gaps: tuple[Gap, ...] = ()
    files: Mapping[str, str] | None = None
    """File name below the inventory -> SHA-256; None for a sweep that died."""
    skew: timedelta = timedelta(0)
    after: int = 0
    """The ledger's newest event when it began: which of two sweeps began later, whatever clocks say."""
    left_out: tuple[Population, ...] | None = None
    """The populations that it was told to leave out; None where an older version kept it: as the config says now."""
    layout: str | None = None
    """How it cut namespaces out of names; None likewise."""
    made_by: str | None = None
    """The version of this program, and the endpoint that answered; None of one whose snapshot is not read again."""
    sent: Requests | None = None
    """The requests that it made; None where an older version kept it, which counted none."""
    kept: int = 0
    """Objects that an attempt before had listed, which it went on with: what that one sent is not in `sent`."""
    counted: CloudCount | None = None
    """None: nobody asked the cloud for its own count."""
    markers: int | None = None
    """Delete markers that were listed beside the objects, at most; None where they were not counted."""
    earlier: tuple[EarlierSweep, ...] = ()
    """Whole sweeps before that the cloud's count may be of, the oldest first; none where nobody asked for it."""
    as_of: bool = False
    """It tells of what somebody else had listed or added up when it `started`, which may be long before it was made."""

    @property
    def unresolved(self) -> int:
        """Objects that were listed and whose encryption could not be learnt."""
        return self.listed - self.resolved
