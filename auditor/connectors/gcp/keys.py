"""Cloud KMS keys: each key with all its versions, the HSM behind it, and who may decrypt with it."""

import re
import threading
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar

from google.api_core import exceptions as api
from google.protobuf.json_format import MessageToDict

from auditor.connectors.digest import digest
from auditor.connectors.gcp.calls import KmsCalls
from auditor.connectors.gcp.errors import FAULTS, HINTS, code_of, reason_of, status_of
from auditor.connectors.gcp.policy import Binding, Policies, access_of, granted_on_ring, parse_policy
from auditor.connectors.gcp.session import GcpClients
from auditor.connectors.pace import Pace
from auditor.connectors.reading import Reader
from auditor.model import (
    LIST_OF_RING,
    SINGLE_TENANT,
    Cloud,
    EkmConnection,
    Evidence,
    GcpKey,
    GcpKeyVersion,
    HsmInstance,
    KeyAccess,
    KeyGone,
    KeyName,
    KeyReading,
    KeyUnread,
    Reason,
    Rotation,
)
from auditor.ports import KeyNeed

T = TypeVar("T")

_PAGE: Final = 1000
_HINTS: Final = {
    **HINTS,
    Reason.ACCESS_DENIED: "the key's owner grants the auditor's role (deploy/gcp-auditor-role.yaml) on key or project",
}


class GcpKeys:
    """Keys by name; needs get and list on keys and versions, and better also IAM policies, nothing that decrypts."""

    def __init__(
        self, clients: GcpClients, pace: Pace, clock: Callable[[], datetime], *, verify_connectivity: bool = False
    ) -> None:
        self._verify = verify_connectivity
        self._clients = clients
        self._calls = KmsCalls(clients.wire, pace)
        self._clock = clock
        self._reader = Reader()

    @property
    def cloud(self) -> Cloud:
        """Google Cloud."""
        return Cloud.GCP

    def read(self, needs: Iterable[KeyNeed]) -> Iterator[KeyReading]:
        """Yield one reading for each need; what could not be read is a `KeyUnread`."""
        shared = _Shared(self._clients, self._calls)
        return self._reader.each(needs, lambda need: self._read(need, shared))

    def _read(self, need: KeyNeed, shared: "_Shared") -> KeyReading:
        name = need.name
        client = self._clients.keys(name.owner)
        operation = "GetCryptoKey"
        try:
            key = self._calls.call(operation, client.get_crypto_key, {"name": name.text})
            # Whoever is asked by the number of a project may answer by its id.
            called = _called(key.name, name)
            delay, rotation, created = _times(key)
            operation = "ListCryptoKeyVersions"
            request = {"parent": name.text, "page_size": _PAGE}
            pages = self._calls.pages(operation, client.list_crypto_key_versions, request)
            told_versions = [one for page in pages for one in page.crypto_key_versions]
            listed = len(told_versions)
            total = max(page.total_size for page in pages)
            if not all(_is_version_of(called, one.name) for one in told_versions):
                raise api.InvalidArgument("the answer is about versions of another key")
            if listed < max(total, "primary" in key):
                raise api.InvalidArgument("fewer versions are listed than the key has")
            if listed > len({one.name for one in told_versions}):
                raise api.InvalidArgument("a version is listed twice")
            versions = _parsed(told_versions, key.crypto_key_backend)
        except FAULTS as error:
            return self._not_read(name, operation, error)
        connections = self._connections(versions, shared)
        instance = shared.instance(name, key.crypto_key_backend) if _is_single_tenant(versions) else None
        access = shared.access(name, need.principals)
        at = self._clock()
        reasons = _access_reasons(key)
        primary = key.primary.name.rpartition("/")[2] or None if "primary" in key else None
        purpose = _enum_name(key, "purpose")
        told: dict[str, object] = {
            "GetCryptoKey": (primary, purpose, reasons, delay, rotation, key.import_only),
            "ListCryptoKeyVersions": versions,
            "GetIamPolicy": access,
        }
        return GcpKey(
            name=name,
            versions=versions,
            primary=primary,
            purpose=purpose,
            destroy_delay=delay,
            rotation=rotation,
            import_only=key.import_only,
            access_reasons=reasons,
            hsm_instance=instance,
            access=access,
            connections=connections,
            counted=bool(total),
            created=created,
            evidence=tuple(
                Evidence(f"cloudkms:{call}", resource, at, None, digest(repr(facts)))
                for call, resource, facts in (
                    *((call, name.text, facts) for call, facts in told.items()),
                    *(("VerifyConnectivity", one.name, one) for one in connections),
                    *(("GetSingleTenantHsmInstance", one.name, one) for one in (instance,) if one is not None),
                )
            ),
        )

    def _connections(self, versions: Iterable[GcpKeyVersion], shared: "_Shared") -> tuple[EkmConnection, ...]:
        """Verify the EKM connections behind versions that could be used, where that is asked for."""
        if not self._verify:
            return ()
        names = {one.ekm_connection for one in versions if one.ekm_connection and one.state == "ENABLED"}
        return tuple(shared.connection(one) for one in sorted(names))

    def _not_read(self, name: KeyName, operation: str, error: Exception) -> KeyReading:
        reason, code = reason_of(error), code_of(error)
        evidence = (Evidence(f"cloudkms:{operation}", name.text, self._clock(), None, digest({"error": code})),)
        if reason is Reason.NOT_FOUND:
            retired = self._is_retired(name)
            if retired is not False:
                return KeyGone(name, proven=bool(retired), evidence=evidence)
            # Deleted keys are on that list for good: here somebody answers who does not know this key.
            told = f"{operation}: {code}, and it is not among the deleted keys of its location"
            return KeyUnread(name, reason, told, "is this the right endpoint, and the key's full name?", evidence)
        hint = _HINTS.get(reason, "look at the network between the auditor and Cloud KMS")
        return KeyUnread(name, reason, f"{operation}: {code}", hint, evidence)

    def _is_retired(self, name: KeyName) -> bool | None:
        """Whether the service lists the name among deleted keys, where it never leaves; None where nobody may ask."""
        client = self._clients.keys(name.owner)
        parent = f"projects/{name.owner}/locations/{name.location}"
        try:
            pages = self._calls.pages(
                "ListRetiredResources", client.list_retired_resources, {"parent": parent, "page_size": _PAGE}
            )
        except FAULTS:
            return None  # not settled: it must be heard again, minutes later
        return any(_is_name_of(name, one.original_resource) for page in pages for one in page.retired_resources)


class _Shared:
    """What many keys have in common, read once a poll: rings' and projects' policies, HSM instances."""

    def __init__(self, clients: GcpClients, calls: KmsCalls) -> None:
        self._clients = clients
        self._calls = calls
        self._lock = threading.Lock()
        self._policies: dict[str, tuple[Binding, ...] | Reason] = {}
        self._rings: dict[str, tuple[str, ...] | Reason] = {}
        self._instances: dict[str, HsmInstance] = {}
        self._connections: dict[str, EkmConnection | Reason] = {}

    def access(self, name: KeyName, agents: tuple[str, ...]) -> KeyAccess:
        """What key, ring and project say of the right to use one key."""
        project = name.owner
        told = {
            "cloudkms.cryptoKeys.getIamPolicy": self._policy(
                name.text, lambda: self._resource_policy(project, name.text)
            ),
            "cloudkms.keyRings.getIamPolicy": self._policy(
                name.ring, lambda: self._resource_policy(project, name.ring)
            ),
            "resourcemanager.projects.getIamPolicy": self._policy(
                project, lambda: parse_policy(self._clients.project_policy(project))
            ),
        }
        unread = {call: said for call, said in told.items() if isinstance(said, Reason)}
        policies = Policies(*(None if isinstance(said, Reason) else said for said in told.values()))
        others: tuple[str, ...] = ()
        if granted_on_ring(agents, policies):
            found = self._once(self._rings, name.ring, lambda: self._keys_of(project, name.ring))
            if isinstance(found, Reason):
                unread[LIST_OF_RING] = found
            else:
                others = tuple(one for one in found if one != name.text)
        return access_of(agents, policies, unread, others)

    def instance(self, name: KeyName, backend: str) -> HsmInstance:
        """The single-tenant HSM instance behind a key; without a state when it could not be read."""
        if not backend:
            # A key that does not say which instance it is: there is one, by the key's own name for want of another.
            return HsmInstance(name.text, None)
        with self._lock:
            if backend not in self._instances:
                self._instances[backend] = self._read_instance(name.owner, backend)
            return self._instances[backend]

    def connection(self, name: str) -> EkmConnection:
        """One EKM connection, verified once a poll."""
        found = self._once(self._connections, name, lambda: self._verified(name))
        return EkmConnection(name, None, found.value) if isinstance(found, Reason) else found

    def _verified(self, name: str) -> EkmConnection:
        client = self._clients.ekm(name.split("/")[1])
        try:
            self._calls.call("VerifyConnectivity", client.verify_connectivity, {"name": name})
        except api.BadRequest as error:
            # FAILED_PRECONDITION over gRPC, a plain 400 over REST: Cloud KMS could not reach the manager.
            if status_of(error) != "FAILED_PRECONDITION":
                raise
            return EkmConnection(name, reachable=False, detail=_violation(error))
        return EkmConnection(name, reachable=True)

    def _policy(self, resource: str, read: Callable[[], tuple[Binding, ...]]) -> tuple[Binding, ...] | Reason:
        return self._once(self._policies, resource, read)

    def _once(self, kept: dict[str, T | Reason], name: str, read: Callable[[], T]) -> T | Reason:
        with self._lock:
            if name in kept:
                return kept[name]
        found: T | Reason
        try:
            found = read()
        except FAULTS as error:
            found = reason_of(error)
        except (AttributeError, KeyError, TypeError, ValueError):
            found = Reason.MALFORMED
        with self._lock:
            kept[name] = found
        return found

    def _keys_of(self, project: str, ring: str) -> tuple[str, ...]:
        client = self._clients.keys(project)
        pages = self._calls.pages("ListCryptoKeys", client.list_crypto_keys, {"parent": ring, "page_size": _PAGE})
        return tuple(sorted(one.name for page in pages for one in page.crypto_keys))

    def _resource_policy(self, project: str, resource: str) -> tuple[Binding, ...]:
        client = self._clients.keys(project)

        def ask(request: Any, retry: None, timeout: float) -> Any:
            return client.get_iam_policy(request=request, retry=retry, timeout=timeout)

        request = {"resource": resource, "options": {"requested_policy_version": 3}}
        policy = self._calls.call("GetIamPolicy", ask, request)
        if not (policy.etag or policy.version or policy.bindings):
            raise api.InvalidArgument("the answer is no policy: even one without bindings has an etag")
        return parse_policy(MessageToDict(policy, preserving_proto_field_name=True))

    def _read_instance(self, project: str, backend: str) -> HsmInstance:
        client = self._clients.hsm(project)
        try:
            told = self._calls.call(
                "GetSingleTenantHsmInstance", client.get_single_tenant_hsm_instance, {"name": backend}
            )
        except FAULTS as error:
            return HsmInstance(backend, None, unread=reason_of(error))
        disable_time = _utc(told.disable_time) if "disable_time" in told else None
        return HsmInstance(backend, _enum_name(told, "state"), disable_time)


def _times(key: Any) -> tuple[timedelta | None, Rotation, datetime | None]:
    """(how long a destruction waits, how it is rotated, when it was made)."""
    try:
        period = key.rotation_period if "rotation_period" in key else None
        due = _utc(key.next_rotation_time) if "next_rotation_time" in key else None
        delay = key.destroy_scheduled_duration if "destroy_scheduled_duration" in key else None
        return delay, Rotation(period, due), _utc(key.create_time) if "create_time" in key else None
    except (ValueError, OverflowError):
        raise api.InvalidArgument("a key tells a time that no calendar has") from None


def _parsed(told: Iterable[Any], backend: str) -> tuple[GcpKeyVersion, ...]:
    try:
        return tuple(sorted((parse_version(one, backend) for one in told), key=_by_number))
    except (ValueError, OverflowError):
        raise api.InvalidArgument("a version tells a time that no clock has") from None


def parse_version(told: Any, backend: str = "") -> GcpKeyVersion:
    """Read one CryptoKeyVersion; an enum value that this client does not know is kept as its number.

    `backend` is the key's own, which a version may override.
    """
    external = told.external_protection_level_options
    in_vpc = _enum_name(told, "protection_level") == "EXTERNAL_VPC"
    failure = (
        told.generation_failure_reason or told.import_failure_reason or told.external_destruction_failure_reason or None
    )
    return GcpKeyVersion(
        number=told.name.rpartition("/")[2],
        state=_enum_name(told, "state"),
        protection_level=_enum_name(told, "protection_level"),
        algorithm=_enum_name(told, "algorithm"),
        created=_utc(told.create_time) if "create_time" in told else None,
        destroy_time=_utc(told.destroy_time) if "destroy_time" in told else None,
        destroyed_time=_utc(told.destroy_event_time) if "destroy_event_time" in told else None,
        reimport_eligible=bool(told.reimport_eligible),
        imported=_utc(told.import_time) if "import_time" in told else None,
        failure=failure,
        ekm_connection=(external.ekm_connection_backend_override or backend or None) if in_vpc else None,
    )


def _violation(error: api.GoogleAPICallError) -> str:
    """The kind of failure that the service names; never its free text."""
    for detail in error.details:
        violations = detail.get("violations", []) if isinstance(detail, dict) else getattr(detail, "violations", [])
        for one in violations:
            kind = one.get("type") if isinstance(one, dict) else getattr(one, "type", None)
            if kind and re.fullmatch(r"[A-Z_]{1,64}", str(kind)):
                return str(kind)
    return code_of(error)


def _enum_name(message: Any, field: str) -> str:
    """The enum's name, or the bare number of a value that is newer than the client; never a guess."""
    raw = type(message).pb(message)
    number = getattr(raw, field)
    known = raw.DESCRIPTOR.fields_by_name[field].enum_type.values_by_number.get(number)
    return str(known.name) if known is not None else str(number)


def _access_reasons(key: Any) -> tuple[str, ...] | None:
    if "key_access_justifications_policy" not in key:
        return None
    raw = type(key).pb(key).key_access_justifications_policy
    known = raw.DESCRIPTOR.fields_by_name["allowed_access_reasons"].enum_type.values_by_number
    return tuple(str(known[one].name) if one in known else str(one) for one in raw.allowed_access_reasons)


def _called(told: str, asked: KeyName) -> KeyName:
    if not _is_name_of(asked, told):
        raise api.InvalidArgument("the answer is about no key or another one")
    return KeyName(told)


def _is_name_of(asked: KeyName, told: str) -> bool:
    """Whether a service that was asked by one name of a project means the same key by what it tells."""
    try:
        name = KeyName.parse(told)
    except ValueError:
        return False
    return name == asked or name.may_be(asked)


def _is_version_of(name: KeyName, version: str) -> bool:
    parent, _, number = version.rpartition("/cryptoKeyVersions/")
    return parent == name.text and number.isdecimal()


def _is_single_tenant(versions: Iterable[GcpKeyVersion]) -> bool:
    return any(one.protection_level == SINGLE_TENANT for one in versions)


def _by_number(version: GcpKeyVersion) -> int:
    return int(version.number)


def _utc(moment: datetime) -> datetime:
    """A plain datetime in UTC instead of the client's own class with nanoseconds."""
    return datetime.fromtimestamp(moment.timestamp(), UTC)
