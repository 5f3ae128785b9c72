"""Everything that the embedded Google Cloud holds, and whether an object can be read."""

import base64
import hashlib
import threading
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from auditor.embedded.content import content

DECRYPTERS: Final = frozenset({"roles/cloudkms.cryptoKeyEncrypterDecrypter", "roles/cloudkms.cryptoKeyDecrypter"})
ENCRYPTERS: Final = frozenset({"roles/cloudkms.cryptoKeyEncrypterDecrypter", "roles/cloudkms.cryptoKeyEncrypter"})
CUSTOMER_INITIATED: Final = "CUSTOMER_INITIATED_ACCESS"
_NOT_GRANTED: Final = (
    "Permission denied on Cloud KMS key. Please ensure that your Cloud Storage service account has been "
    "authorized to use this key."
)


@dataclass
class Version:
    """One key version; `state` is an enum's name, or a number that no client knows yet."""

    number: int
    created: datetime
    state: str | int = "ENABLED"
    protection: str = "SOFTWARE"
    destroy_time: datetime | None = None
    destroyed_time: datetime | None = None
    reimport_eligible: bool = False
    imported: datetime | None = None
    failure: str | None = None
    ekm_connection: str | None = None
    """The connection that it uses instead of its key's."""
    reads_as: str | None = None
    """The state that uses of it meet while a change still spreads; None for the state that it says."""


@dataclass
class Key:
    """One key with its versions by number."""

    name: str
    created: datetime
    versions: dict[int, Version] = field(default_factory=dict)
    primary: int = 1
    destroy_after: timedelta = timedelta(days=30)
    access_reasons: list[str] | None = None
    """Key Access Justifications: allowed reasons; None for no policy."""
    backend: str | None = None
    """The single-tenant HSM instance or EKM connection behind it."""
    purpose: str = "ENCRYPT_DECRYPT"
    rotated_every: timedelta | None = timedelta(days=90)
    """None while it is not rotated by itself."""
    import_only: bool = False
    labels: dict[str, str] = field(default_factory=dict)


@dataclass
class HsmInstance:
    """A single-tenant HSM instance."""

    name: str
    state: str = "ACTIVE"
    disable_time: datetime | None = None


@dataclass
class StoredObject:
    """One generation; its bytes are computed from its name, unless they came over the wire."""

    bucket: str
    name: str
    generation: int
    size: int
    created: datetime
    storage_class: str = "STANDARD"
    key: str | None = None
    version: int | None = None
    named: bool = True
    """Listings tell the version; without it they tell the key alone, as an old object may."""
    customer_key_hash: str | None = None
    """Base64 of the SHA-256 of a customer-supplied key."""
    noncurrent_since: datetime | None = None
    soft_deleted_since: datetime | None = None
    data: bytes | None = None
    metadata: dict[str, str] | None = None
    """The writer's own."""

    @property
    def order(self) -> tuple[bytes, int]:
        """Listings go by the UTF-8 bytes of the name, then by generation."""
        return self.name.encode(), self.generation

    def content(self, start: int, end: int) -> bytes:
        """Bytes from start to before end, which only this generation has."""
        if self.data is not None:
            return self.data[start:end]
        return content(f"{self.bucket}\n{self.name}\n{self.generation}", start, end)


@dataclass
class Bucket:
    """A bucket and all that was ever put into it and not purged."""

    name: str
    project: str
    location: str
    versioned: bool = False
    soft_delete: timedelta = timedelta(days=7)
    default_key: str | None = None
    enforced: dict[str, str] = field(default_factory=dict)
    """`googleManaged`, `customerManaged` or `customerSupplied` -> restriction mode of new objects of the kind."""
    data_locations: tuple[str, ...] = ()
    """The regions of a dual-region that somebody chose."""
    objects: list[StoredObject] = field(default_factory=list)
    uploads: list[str] = field(default_factory=list)
    """Names of unfinished multipart uploads."""
    measured: dict[tuple[str, str], list[tuple[datetime, int | None]]] = field(default_factory=dict)
    """(type, storage class) -> (when, how many objects), the oldest first: what Cloud Monitoring has of it.

    None: the series has ended."""
    labels: dict[str, str] = field(default_factory=dict)
    unsorted: bool = False


def _type_of(one: StoredObject) -> str:
    """As a metric calls it."""
    if one.soft_deleted_since is not None:
        return "soft-deleted-object"
    return "noncurrent-object" if one.noncurrent_since is not None else "live-object"


class RefusedError(Exception):
    """A request that the cloud refuses: HTTP status, the reason in its error list, the text."""

    def __init__(self, status: int, reason: str, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.reason = reason
        self.text = text


class Store:
    """All state; safe to use from many threads. Time comes from `clock`: aware, UTC."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self.clock = clock
        self.lock = threading.RLock()
        self.changed = threading.Condition(self.lock)
        """Told of each entry of the log."""
        self.projects: dict[str, int] = {}
        self.buckets: dict[str, Bucket] = {}
        self.rings: set[str] = set()
        self.retired: dict[str, datetime] = {}
        """Deleted keys: name -> when."""
        self.instances: dict[str, HsmInstance] = {}
        self.connections: dict[str, bool] = {}
        """EKM connection -> whether its external key manager answers."""
        self.log: list[dict[str, Any]] = []
        self.caller = "key-admin@customer.example"
        """Who makes the changes, as the log tells it."""
        self.log_lag = timedelta(0)
        """How long after its time an entry of the log can be seen."""
        self.tells_ids = False
        """Keys are told by the id of their project, whatever they are asked for by."""
        self._keys: dict[str, Key] = {}
        self._policies: dict[str, list[dict[str, Any]]] = {}
        self._denied: set[tuple[str, str]] = set()
        self.permits: Callable[[str, str], bool] = lambda _permission, _resource: True
        """Whether IAM gives the auditor a permission on a resource."""
        self._generation = 1_700_000_000_000_000

    # What exists

    def add_project(self, project: str, number: int) -> str:
        """Make a project and return the e-mail of its storage service agent."""
        self.projects[project] = number
        return self.agent(project)

    def agent(self, project: str) -> str:
        """The e-mail of a project's storage service agent."""
        return f"service-{self.projects[project]}@gs-project-accounts.iam.gserviceaccount.com"

    def add_bucket(self, name: str, project: str, location: str, **more: Any) -> Bucket:
        """Make a bucket."""
        self.buckets[name] = Bucket(name, project, location, **more)
        return self.buckets[name]

    def add_key(self, name: str, versions: int = 1, **more: Any) -> Key:
        """Make a key with enabled versions 1 to N, the last one primary; its ring comes with it."""
        now = self.clock()
        self.rings.add(name.rpartition("/cryptoKeys/")[0])
        numbered = {number: Version(number, now) for number in range(1, versions + 1)}
        self._keys[name] = Key(name, more.pop("created", now), numbered, versions, **more)
        return self._keys[name]

    def add_instance(self, name: str, state: str = "ACTIVE", disable_time: datetime | None = None) -> None:
        """Make a single-tenant HSM instance."""
        self.instances[name] = HsmInstance(name, state, disable_time)

    def measure(self, bucket: str, ago: timedelta = timedelta(hours=20), **counts: int) -> None:
        """Let Cloud Storage count the objects of a bucket as if it had done so some time ago.

        `counts`: what it finds instead, by the type with underscores.
        """
        home = self.buckets[bucket]
        with self.lock:
            found = Counter((_type_of(one), one.storage_class) for one in home.objects)
            found.update({("multipart-upload", "STANDARD"): len(home.uploads)})
            for name, number in counts.items():
                kind = name.replace("_", "-")
                found = Counter({place: told for place, told in found.items() if place[0] != kind})
                found[kind, "STANDARD"] = number
            at = self.clock() - ago
            for place in home.measured.keys() | found.keys():
                home.measured.setdefault(place, []).append((at, found.get(place)))

    def put(self, bucket: str, name: str, size: int = 10, **more: Any) -> StoredObject:
        """Put one generation; without `generation` it becomes the live one and the one before is kept or deleted.

        `key` alone takes the key's primary version; `version` names an older one, as an old write would have left it.
        """
        home = self.buckets[bucket]
        with self.lock:
            self._generation += 1
            key = more.pop("key", home.default_key)
            named = self.key(key) if key else None
            version = more.pop("version", named.primary if named is not None else None)
            created = more.pop("created", None) or self.clock()
            one = StoredObject(
                bucket, name, self._generation, size, created, key=key, version=version if key else None, **more
            )
            home.objects.append(one)
            home.unsorted = True
        return one

    def delete_key(self, name: str) -> None:
        """Delete a key: its name is retired for ever."""
        del self._keys[name]
        self.retired[name] = self.clock()

    def keys(self, ring: str) -> list[Key]:
        """All keys of a ring, by name."""
        return [key for name, key in sorted(self._keys.items()) if name.rpartition("/cryptoKeys/")[0] == ring]

    def by_id(self, resource: str) -> str:
        """The name of a resource with its project called by its id, where it is called by its number."""
        kind, _, rest = resource.partition("/")
        called, slash, rest = rest.partition("/")
        if kind != "projects" or not called.isdigit():
            return resource
        numbers = {str(number): project for project, number in self.projects.items()}
        return f"{kind}/{numbers.get(called, called)}{slash}{rest}"

    def key(self, name: str) -> Key | None:
        """A key whose scheduled destructions have been carried out up to now; None when there is none."""
        with self.lock:
            key = self._keys.get(name) or self._keys.get(self.by_id(name))
            now = self.clock()
            for one in key.versions.values() if key else ():
                if one.state == "DESTROY_SCHEDULED" and one.destroy_time is not None and one.destroy_time <= now:
                    one.state, one.destroyed_time, one.destroy_time = "DESTROYED", one.destroy_time, None
            return key

    # Who may

    def policy(self, resource: str) -> list[dict[str, Any]]:
        """The bindings set on a key, a ring or a project (`projects/ID`)."""
        return self._policies.setdefault(self.by_id(resource), [])

    def grant(self, resource: str, role: str, member: str, condition: str | None = None) -> None:
        """Bind a role on a key, a ring or a project."""
        binding: dict[str, Any] = {"role": role, "members": [member]}
        if condition:
            binding["condition"] = {"title": "a condition", "expression": condition}
        self.policy(resource).append(binding)

    def revoke(self, resource: str, member: str) -> None:
        """Take all bindings of a member on a resource away."""
        self._policies[self.by_id(resource)] = [one for one in self.policy(resource) if member not in one["members"]]

    def set_policy(self, resource: str, bindings: list[dict[str, Any]]) -> None:
        """Replace all bindings of a resource."""
        self._policies[self.by_id(resource)] = bindings

    def deny(self, permission: str, resource: str) -> None:
        """Refuse the auditor one permission on one resource."""
        self._denied.add((permission, resource))

    def allow(self, permission: str, resource: str) -> None:
        """Take a denial back."""
        self._denied.discard((permission, resource))

    def denied(self, permission: str, resource: str) -> bool:
        """Whether the auditor lacks a permission on a resource."""
        names = {resource, self.by_id(resource)}
        return any((permission, one) in self._denied for one in names) or not self.permits(permission, resource)

    def may_decrypt(self, agent: str, key: str) -> bool:
        """Whether key, ring or project let an agent decrypt."""
        return self._holds(agent, key, DECRYPTERS)

    def _holds(self, agent: str, key: str, roles: frozenset[str]) -> bool:
        ring = key.rpartition("/cryptoKeys/")[0]
        member = f"serviceAccount:{agent}"
        return any(
            binding["role"] in roles and member in binding["members"] and "condition" not in binding
            for resource in (key, ring, "/".join(key.split("/")[:2]))
            for binding in self.policy(resource)
        )

    # Objects

    def objects(
        self, bucket: str, *, versions: bool, soft_deleted: bool, after: tuple[bytes, int] | None = None
    ) -> Iterator[StoredObject]:
        """Walk a bucket's generations in listing order, from behind a place on."""
        home = self.buckets[bucket]
        with self.lock:
            if home.unsorted:
                home.objects.sort(key=lambda one: one.order)
                home.unsorted = False
            start = bisect_right(home.objects, after, key=lambda one: one.order) if after else 0
            chosen = home.objects[start:]
        for one in chosen:
            told = versions or soft_deleted or one.noncurrent_since is None
            if told and soft_deleted == (one.soft_deleted_since is not None):
                yield one

    def find(self, bucket: str, name: str, generation: int | None) -> StoredObject | None:
        """One generation, or the live one."""
        home = self.buckets.get(bucket)
        for one in home.objects if home else ():
            if one.name == name and (
                one.generation == generation
                if generation is not None
                else one.noncurrent_since is None and one.soft_deleted_since is None
            ):
                return one
        return None

    def refuse_read(self, one: StoredObject, customer_key: bytes | None) -> None:
        """Do nothing when the object's bytes can be read.

        Raises:
            RefusedError: encryption stops the read, in the words of Cloud Storage.
        """
        if one.customer_key_hash is not None:
            given = base64.b64encode(hashlib.sha256(customer_key or b"").digest()).decode()
            if given != one.customer_key_hash:
                raise RefusedError(400, "customerEncryptionKeyIsIncorrect", "The provided encryption key is incorrect.")
        if one.key is None or one.version is None:
            return
        key = self.key(one.key)
        version = key.versions.get(one.version) if key else None
        if key is None or version is None:
            raise RefusedError(400, "cloudKmsDecryptionKeyNotFound", "The Cloud KMS key of this object was not found.")
        connection = version.ekm_connection or key.backend or ""
        if (version.reads_as or version.state) != "ENABLED" or not self.connections.get(connection, True):
            text = "Cloud KMS key is disabled, destroyed, or scheduled to be destroyed."
            raise RefusedError(400, "cloudKmsDisabledKey", text)
        instance = self.instances.get(key.backend or "")
        if instance is not None and instance.state != "ACTIVE":
            raise RefusedError(400, "cloudKmsDisabledKey", "The single-tenant HSM instance of this key is not active.")
        agent = self.agent(self.buckets[one.bucket].project)
        allowed = key.access_reasons is None or CUSTOMER_INITIATED in key.access_reasons
        if not allowed or not self.may_decrypt(agent, one.key):
            raise RefusedError(403, "forbidden", _NOT_GRANTED)

    def refuse_write(self, home: Bucket, key_name: str) -> None:
        """Do nothing when an object can be written under a key.

        Raises:
            RefusedError: in the words of Cloud Storage.
        """
        if "/cryptoKeyVersions/" in key_name:
            raise RefusedError(400, "invalid", "Malformed Cloud KMS crypto key: " + key_name)
        key = self.key(key_name)
        if key is None:
            raise RefusedError(400, "cloudKmsEncryptionKeyNotFound", "The Cloud KMS key was not found.")
        primary = key.versions.get(key.primary)
        if primary is None or primary.state != "ENABLED":
            text = "Cloud KMS key is disabled, destroyed, or scheduled to be destroyed."
            raise RefusedError(400, "cloudKmsDisabledKey", text)
        if not self._holds(self.agent(home.project), key_name, ENCRYPTERS):
            raise RefusedError(403, "forbidden", _NOT_GRANTED)

    def note(
        self,
        method: str,
        resource: str,
        request: Mapping[str, Any] | None = None,
        *,
        at: datetime | None = None,
        service: str = "cloudkms.googleapis.com",
        **payload: Any,
    ) -> dict[str, Any]:
        """Write an Admin Activity entry; `payload` are more fields of its `protoPayload`, or others than usual."""
        with self.lock:
            entry = {
                "logName": f"{'/'.join(resource.split('/')[:2])}/logs/cloudaudit.googleapis.com%2Factivity",
                "insertId": f"{len(self.log) + 1:08}",
                "timestamp": (at or self.clock()).isoformat().replace("+00:00", "Z"),
                "receiveTimestamp": self.clock().isoformat().replace("+00:00", "Z"),
                "protoPayload": {
                    "@type": "type.googleapis.com/google.cloud.audit.AuditLog",
                    "serviceName": service,
                    "methodName": method,
                    "resourceName": resource,
                    "authenticationInfo": {"principalEmail": self.caller},
                    "requestMetadata": {"callerIp": "203.0.113.7"},
                    **({"request": request} if request is not None else {}),
                    **payload,
                },
            }
            self.log.append(entry)
            self.changed.notify_all()
            return entry
