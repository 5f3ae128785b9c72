"""Everything that the embedded AWS holds, and whether an object can be read."""

import base64
import hashlib
import threading
import uuid
from bisect import bisect_left
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from auditor.embedded.aws.events import Queue, as_event
from auditor.embedded.aws.policy import Call, allowed
from auditor.embedded.aws.uses import KeyUse
from auditor.embedded.content import content

BUCKET_KEY_LASTS: Final = timedelta(minutes=5)
"""How long a bucket key goes on; AWS does not say how long its own do."""
ACCOUNT: Final = "111122223333"
"""The account of callers whose access key names no other."""


@dataclass
class KeyStore:
    """A custom key store: a CloudHSM cluster or an external key manager."""

    id: str
    account: str
    region: str
    state: str = "CONNECTED"
    error: str | None = None
    kind: str = "EXTERNAL_KEY_STORE"
    works: bool = True
    """Connected or not, the key behind it answers."""


def default_policy(account: str) -> dict[str, Any]:
    """The policy of a new key: the account decides by its IAM policies."""
    root = f"arn:aws:iam::{account}:root"
    allow = {"Sid": "Enable IAM User Permissions", "Effect": "Allow", "Principal": {"AWS": root}}
    return {"Version": "2012-10-17", "Statement": [{**allow, "Action": "kms:*", "Resource": "*"}]}


@dataclass
class Material:
    """One material of a key with imported material."""

    id: str
    state: str = "CURRENT"
    imported: bool = True
    valid_to: datetime | None = None

    @property
    def permanent(self) -> bool:
        """Without it the key does not work."""
        return self.state in {"CURRENT", "NON_CURRENT"}


@dataclass
class Key:
    """One KMS key."""

    arn: str
    created: datetime
    state: str = "Enabled"
    origin: str = "AWS_KMS"
    manager: str = "CUSTOMER"
    spec: str = "SYMMETRIC_DEFAULT"
    usage: str = "ENCRYPT_DECRYPT"
    deletion_date: datetime | None = None
    pending_window_days: int | None = None
    valid_to: datetime | None = None
    store: str | None = None
    multi_region: bool = False
    describe_denied: bool = False
    """Its policy does not let the auditor describe it."""
    policy: dict[str, Any] | None = None
    """Its key policy; None for the policy of a new key."""
    policy_text: str | None = None
    """What GetKeyPolicy answers instead of `policy`, for a policy that is none."""
    shared: dict[str, Any] | None = None
    """The policy of its share through RAM."""
    grants: list[dict[str, Any]] = field(default_factory=list)
    reads_as: str | None = None
    """The state that uses of it meet while a change still spreads; None for the state that it says."""
    materials: list[Material] = field(default_factory=list)
    """Only for origin EXTERNAL; without any, one that `valid_to` and `state` speak of."""
    tags: dict[str, str] = field(default_factory=dict)
    rotated_every: int | None = 365
    """Days between two rotations by AWS; None while that is off."""
    rotated: list[datetime] = field(default_factory=list)
    """When it got new material."""
    last_use: KeyUse | None = None

    def rotations(self, now: datetime) -> list[datetime]:
        """When it got new material until now, by hand or by AWS."""
        if self.rotated_every is None or self.origin != "AWS_KMS":
            return self.rotated
        period = timedelta(days=self.rotated_every)
        return sorted(
            [*self.rotated, *(self.created + period * one for one in range(1, (now - self.created) // period + 1))]
        )

    @property
    def policies(self) -> list[dict[str, Any]]:
        """All policies in force."""
        if self.manager == "AWS":
            # Everybody in the account, through S3; nobody changes it, and no other account gets in.
            home = {"kms:CallerAccount": self.account, "kms:ViaService": f"s3.{self.region}.amazonaws.com"}
            allow = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "kms:*", "Resource": "*"}
            return [{"Statement": [{**allow, "Condition": {"StringEquals": home}}]}]
        return [self.policy or default_policy(self.account), *([self.shared] if self.shared else [])]

    @property
    def region(self) -> str:
        """The Region in the ARN."""
        return self.arn.split(":")[3]

    @property
    def account(self) -> str:
        """The account in the ARN."""
        return self.arn.split(":")[4]


@dataclass
class StoredVersion:
    """One object version or delete marker; its bytes are computed from its name, unless they came over the wire."""

    bucket: str
    name: str
    size: int
    modified: datetime
    version_id: str | None
    """None in a bucket that never had versioning."""
    storage_class: str = "STANDARD"
    restored: bool = False
    sse: str | None = "AES256"
    """The header's value; None for an object stored plain before 2023, or under a customer's key."""
    key: str | None = None
    customer_key: bytes | None = None
    delete_marker: bool = False
    head_denied: bool = False
    bucket_key: bool = False
    data: bytes | None = None
    metadata: dict[str, str] | None = None
    """The writer's own, as headers without their `x-amz-meta-`."""

    @property
    def etag(self) -> str:
        """Entity tag without quotes."""
        return hashlib.md5(f"{self.name}\n{self.version_id}".encode(), usedforsecurity=False).hexdigest()

    def content(self, start: int, end: int) -> bytes:
        """Bytes from start to before end, which only this version has."""
        if self.data is not None:
            return self.data[start:end]
        return content(f"{self.bucket}\n{self.name}\n{self.version_id}", start, end)


@dataclass
class InventoryTable:
    """Where the live inventory table of a bucket is, and how far it has got."""

    metadata: str
    """URL of its newest metadata file."""
    status: str = "ACTIVE"
    state: str = "ENABLED"
    arn: str = f"arn:aws:s3tables:us-east-1:{ACCOUNT}:bucket/aws-s3"


@dataclass
class InventoryConfiguration:
    """Which reports S3 Inventory makes of a bucket."""

    home: str
    """The bucket that they are put into."""
    prefix: str = ""
    form: str = "CSV"
    enabled: bool = True
    filter: str = ""
    versions: str = "All"
    fields: tuple[str, ...] = ("Size", "LastModifiedDate", "StorageClass", "ETag", "EncryptionStatus")
    account: str = ACCOUNT


@dataclass
class Bucket:
    """A bucket; versions of one name are kept newest first."""

    name: str
    region: str
    versioned: bool = False
    default_key: str | None = None
    default_sse: str | None = None
    """What encrypts new objects by default; None: the default key, else S3 itself."""
    blocked: tuple[str, ...] = ()
    """`SSE-C`, where new objects may not be so."""
    objects: dict[str, list[StoredVersion]] = field(default_factory=dict)
    uploads: list[tuple[str, str]] = field(default_factory=list)
    """(name, upload id) of unfinished multipart uploads."""
    tags: dict[str, str] = field(default_factory=dict)
    table: "InventoryTable | None" = None
    """Of its objects, by S3 Metadata."""
    inventories: dict[str, InventoryConfiguration] = field(default_factory=dict)
    """By their ids."""
    measured: list[tuple[datetime, int]] = field(default_factory=list)
    """(beginning of a day, objects that were counted on it), the oldest first: what CloudWatch has of it."""
    _sorted: list[tuple[bytes, str]] | None = None

    def names_from(self, start: bytes) -> list[str]:
        """All names at or behind a place, by their UTF-8 bytes."""
        if self._sorted is None:
            self._sorted = sorted((name.encode(), name) for name in self.objects)
        return [name for _, name in self._sorted[bisect_left(self._sorted, (start, "")) :]]


class RefusedError(Exception):
    """A request that AWS refuses: HTTP status, error code, message."""

    def __init__(self, status: int, code: str, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.headers = headers or {}


class Store:
    """All state; safe to use from many threads. Time comes from `clock`: aware, UTC."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self.clock = clock
        self.lock = threading.RLock()
        self.buckets: dict[str, Bucket] = {}
        self.key_stores: dict[tuple[str, str, str], KeyStore] = {}
        self.expired: set[str] = set()
        """Access keys whose session has expired."""
        self.denied: set[tuple[str, str]] = set()
        """(operation, bucket or account) that the auditor may not call."""
        self.permits: Callable[[str, str, str], bool] = lambda _account, _action, _resource: True
        """Whether IAM lets an identity of an account do an action to a resource, by its ARN."""
        self.principals: dict[str, str] = {}
        """Access key -> ARN of the role or user that it belongs to; others are let use every key."""
        self.by_iam: set[str] = set()
        """Principals whose own IAM policies allow everything with every key."""
        self.tracks_since = datetime.min.replace(tzinfo=UTC)
        """From when on uses are recorded, of keys that are older; AWS does not document its own date."""
        self.history: list[dict[str, Any]] = []
        """CloudTrail records."""
        self.history_lag = timedelta(0)
        """How long after its time an event can be looked up."""
        self.history_by_arn = True
        """Whether keys are found by their ARNs, which nobody promises."""
        self.caller = f"arn:aws:iam::{ACCOUNT}:user/key-admin"
        """Who makes changes with an access key that belongs to nobody, as the history tells it."""
        self.queues: dict[str, Queue] = {}
        """By their URLs."""
        self._warm: dict[tuple[str, str, str], datetime] = {}
        self._keys: dict[str, Key] = {}
        self._count = 0

    def _now(self) -> datetime:
        return self.clock()  # which may be given another one meanwhile

    def add_bucket(self, name: str, region: str = "us-east-1", **more: Any) -> Bucket:
        """Make a bucket."""
        self.buckets[name] = Bucket(name, region, **more)
        return self.buckets[name]

    def add_key(self, arn: str, **more: Any) -> Key:
        """Make a key."""
        self._keys[arn] = Key(arn, more.pop("created", self.clock()), **more)
        return self._keys[arn]

    def add_key_store(self, store_id: str, region: str, account: str = ACCOUNT, **more: Any) -> KeyStore:
        """Make a custom key store."""
        made = KeyStore(store_id, account, region, **more)
        self.key_stores[account, region, store_id] = made
        return made

    def remove_key(self, arn: str) -> None:
        """Let a key be gone, as after its deletion date."""
        del self._keys[arn]

    def keys(self, account: str, region: str) -> list[Key]:
        """All keys of an account and Region, by ARN."""
        return [key for arn, key in sorted(self._keys.items()) if (key.account, key.region) == (account, region)]

    def key(self, arn: str) -> Key | None:
        """A key as it stands now: deletion dates and expiries that have passed have had their effect."""
        with self.lock:
            key = self._keys.get(arn)
            now = self.clock()
            if key is None:
                return None
            if key.state == "PendingDeletion" and key.deletion_date is not None and key.deletion_date <= now:
                del self._keys[arn]
                return None
            for one in key.materials:
                if one.valid_to is not None and one.valid_to <= now:
                    one.imported, one.valid_to = False, None
            expired = key.valid_to is not None and key.valid_to <= now
            missing = any(one.permanent and not one.imported for one in key.materials)
            if key.state == "Enabled" and (expired or missing):
                key.state, key.valid_to = "PendingImport", None
            return key

    def state(self, key: Key) -> str:
        """What DescribeKey says: a disconnected store shows as Unavailable."""
        store = self.key_stores.get((key.account, key.region, key.store or ""))
        disconnected = store is not None and store.state == "DISCONNECTED"
        return "Unavailable" if disconnected and key.state == "Enabled" else key.state

    def put(self, bucket: str, name: str, size: int = 10, **more: Any) -> StoredVersion:
        """Put one version; in a bucket without versioning it replaces what was there."""
        home = self.buckets[bucket]
        with self.lock:
            self._count += 1
            version_id = more.pop("version_id", f"v{self._count:08}" if home.versioned else None)
            modified = more.pop("modified", None) or self.clock()
            if home.default_key and "sse" not in more and "customer_key" not in more:
                more = {"sse": "aws:kms", "key": home.default_key, **more}
            one = StoredVersion(bucket, name, size, modified, version_id, **more)
            before = home.objects.get(name)
            if before is None:
                home._sorted = None  # noqa: SLF001 - the bucket's own store
            home.objects[name] = [one, *(before or [])] if home.versioned else [one]
        return one

    def measure(self, bucket: str, days_ago: int = 1, count: int | None = None) -> None:
        """Let S3 count the objects of a bucket as if some days ago; delete markers are not among them."""
        home = self.buckets[bucket]
        with self.lock:
            versions = sum(not one.delete_marker for some in home.objects.values() for one in some)
            day = self.clock().replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=days_ago)
            home.measured.append((day, versions + len(home.uploads) if count is None else count))
            home.measured.sort()

    def delete(self, bucket: str, name: str, version_id: str | None) -> None:
        """Delete one version; without a version id a versioned bucket keeps all and gets a delete marker."""
        home = self.buckets[bucket]
        if version_id is None and home.versioned:
            self.put(bucket, name, 0, sse=None, delete_marker=True)
            return
        with self.lock:
            before = home.objects.pop(name, [])
            kept = [one for one in before if version_id is not None and (one.version_id or "null") != version_id]
            if kept:
                home.objects[name] = kept
            home._sorted = None  # noqa: SLF001 - the bucket's own store

    def find(self, bucket: str, name: str, version_id: str | None) -> StoredVersion | None:
        """One version, or the newest."""
        home = self.buckets.get(bucket)
        for one in home.objects.get(name, []) if home else []:
            if version_id is None or (one.version_id or "null") == version_id:
                return one
        return None

    def refuse_use(self, key: Key | None, arn: str, call: Call | None, prefix: str = "") -> None:
        """Do nothing when a key can decrypt; `prefix` is what S3 puts before KMS's error codes.

        `call` is who uses it; None for one whom no policy stops.

        Raises:
            RefusedError: the key's state, store or policy stops it.
        """
        if key is None:
            if prefix:
                text = "The ciphertext refers to a customer master key that does not exist, does not exist in this "
                raise RefusedError(403, "AccessDenied", f"{text}region, or you are not allowed to access.")
            raise RefusedError(400, "NotFoundException", f"Key '{arn}' does not exist")
        state = key.reads_as or self.state(key)
        if state == "Disabled":
            raise RefusedError(400, f"{prefix}DisabledException", f"{arn} is disabled.")
        if state not in {"Enabled", "Updating"}:
            told = {
                "PendingDeletion": "pending deletion",
                "PendingImport": "pending import",
                "PendingReplicaDeletion": "pending replica deletion",
                "Unavailable": "unavailable",
            }.get(state, state)
            raise RefusedError(400, f"{prefix}KMSInvalidStateException", f"{arn} is {told}.")
        store = self.key_stores.get((key.account, key.region, key.store or ""))
        if store is not None and (store.state != "CONNECTED" or not store.works):
            raise RefusedError(400, f"{prefix}KMSInvalidStateException", "The custom key store is not connected.")
        if call is not None and not allowed(
            call, key.arn, key.policies, key.grants, by_iam=call.principal in self.by_iam
        ):
            text = f"User: {call.principal} is not authorized to perform: {call.action} on resource: {arn}"
            raise RefusedError(403, "AccessDenied" if prefix else "AccessDeniedException", text)

    def call(self, access_key: str, action: str, via: str | None = None) -> Call | None:
        """The use of a key by whoever an access key belongs to; None for one whom no policy stops."""
        principal = self.principals.get(access_key)
        return Call(principal, action, via) if principal else None

    def refuse_read(self, one: StoredVersion, customer_key: str | None, access_key: str = "") -> None:
        """Do nothing when the version's bytes can be read; `customer_key` is base64, as the header has it.

        Raises:
            RefusedError: encryption or archive stops the read, in the words of S3.
        """
        if one.storage_class in {"GLACIER", "DEEP_ARCHIVE"} and not one.restored:
            text = "The operation is not valid for the object's storage class"
            raise RefusedError(403, "InvalidObjectState", text)
        self.refuse_customer_key(one, customer_key)
        if one.key is not None:
            via = f"s3.{self.buckets[one.bucket].region}.amazonaws.com"
            warm = one.bucket, one.key, access_key
            if (
                one.bucket_key
                and self.clock() - self._warm.get(warm, datetime.min.replace(tzinfo=UTC)) < BUCKET_KEY_LASTS
            ):
                return  # S3 still holds a bucket key, and asks KMS nothing
            key = self.key(one.key)
            self.refuse_use(key, one.key, self.call(access_key, "kms:Decrypt", via), prefix="KMS.")
            if key is not None:
                self.used(key, "Decrypt")
            self._warm[warm] = self.clock()

    def note(
        self,
        call: str,
        arn: str,
        asked: Mapping[str, Any] | None = None,
        *,
        at: datetime | None = None,
        principal: str | None = None,
        **fields: Any,
    ) -> dict[str, Any]:
        """Write an event about a key into the history; `fields` are more of the record's, or others than usual."""
        region, account = arn.split(":")[3:5]
        who = principal or self.caller
        with self.lock:
            record = {
                "eventVersion": "1.11",
                "userIdentity": {"type": "IAMUser", "principalId": "AIDAEXAMPLE", "arn": who, "accountId": account},
                "eventTime": f"{at or self.clock():%Y-%m-%dT%H:%M:%SZ}",
                "eventSource": "kms.amazonaws.com",
                "eventName": call,
                "awsRegion": region,
                "sourceIPAddress": "203.0.113.7",
                "requestParameters": dict(asked) if asked is not None else {"keyId": arn},
                "readOnly": False,
                "eventID": str(uuid.UUID(int=len(self.history) + 1)),
                "resources": [{"accountId": account, "type": "AWS::KMS::Key", "ARN": arn}],
                "eventType": "AwsApiCall",
                "recipientAccountId": account,
                **fields,
            }
            self.history.append(record)
            queues = [one for one in self.queues.values() if (one.hears_of, one.region) == (account, region)]
        for queue in queues:
            queue.put(as_event(record))
        return record

    def add_queue(self, name: str, region: str = "us-east-1", account: str = ACCOUNT) -> Queue:
        """Make a queue that is told of each change of a key in its account and Region."""
        made = Queue(name, region, account, self._now)
        self.queues[made.url] = made
        return made

    def used(self, key: Key, operation: str) -> None:
        """Record a successful operation, as `GetKeyLastUsage` tells it; dry runs and refusals are none."""
        now = self.clock()
        if now >= self.tracks_since:
            key.last_use = KeyUse(operation, now)

    def refuse_customer_key(self, one: StoredVersion, customer_key: str | None) -> None:
        """Do nothing when a customer-supplied key is the right one, or none is needed.

        Raises:
            RefusedError: as S3 does, for GET and HEAD alike.
        """
        if one.customer_key is None:
            return
        if customer_key is None:
            text = "The object was stored using a form of Server Side Encryption."
            raise RefusedError(400, "InvalidRequest", text)
        if base64.b64decode(customer_key) != one.customer_key:
            raise RefusedError(403, "AccessDenied", "Access Denied")
