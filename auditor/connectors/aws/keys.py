"""KMS keys through boto3: the state of each, the store and the imported material behind it, who may use it."""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from botocore.exceptions import ClientError

from auditor.connectors.aws.access import AwsAccess
from auditor.connectors.aws.answers import MALFORMED
from auditor.connectors.aws.errors import FAULTS, HINTS, code_of, reason_of
from auditor.connectors.aws.policy import access_of_managed
from auditor.connectors.aws.rotation import AwsRotations
from auditor.connectors.aws.session import AwsClients
from auditor.connectors.digest import digest
from auditor.connectors.pace import Pace, Paces
from auditor.connectors.reading import Reader
from auditor.connectors.trail import Trail
from auditor.model import (
    ROTATED,
    AwsKey,
    Cloud,
    CustomKeyStore,
    Evidence,
    KeyGone,
    KeyManager,
    KeyName,
    KeyReading,
    KeyUnread,
    Material,
    Reason,
    Rotation,
)
from auditor.ports import KeyNeed

_STILL_CREATING: Final = 3
"""How often a key that is still Creating is asked again: it takes a few seconds."""

WITH_MATERIAL: Final = frozenset({"Enabled", "Disabled", "PendingImport", "Updating"})
"""States in which it matters which material is there: what waits for its deletion is lost with or without."""

_HINTS: Final = {
    **HINTS,
    Reason.ACCESS_DENIED: "the key's owner grants kms:DescribeKey to the auditor in the key policy",
    Reason.NOT_VISIBLE: "only the key's own account can tell; give [[account]] a role there",
}


class AwsKeys:
    """Known keys of any account and Region; needs `kms:DescribeKey` on each and nothing that decrypts or changes.

    With `kms:GetKeyPolicy`, `kms:ListGrants`, `kms:ListKeyRotations` and `kms:GetKeyRotationStatus` it also tells who
    may use a key, which imported material is missing, and how it is rotated. `lists` are the paces of the two lists,
    whose quota is small: they answer to a key's own account alone, so that it is that account's. `policies` is the pace
    of the rest.
    """

    def __init__(
        self, clients: AwsClients, pace: Pace, clock: Callable[[], datetime], policies: Pace, lists: Paces
    ) -> None:
        self._clients = clients
        self._pace = pace
        self._lists = lists
        self._clock = clock
        self._access = AwsAccess(clients, policies, lists, clock)
        self._rotations = AwsRotations(clients, policies, lists, clock)
        self._reader = Reader()

    @property
    def cloud(self) -> Cloud:
        """AWS."""
        return Cloud.AWS

    def read(self, needs: Iterable[KeyNeed]) -> Iterator[KeyReading]:
        """Yield one reading for each need; what could not be read is a `KeyUnread`."""
        stores = _Stores(self._clients)
        return self._reader.each(needs, lambda need: self._read(need, stores))

    def _read(self, need: KeyNeed, stores: "_Stores") -> KeyReading:
        name = need.name
        try:
            told, request_id = self._describe(name)
        except FAULTS as error:
            return self._not_read(name, error)
        key = parse_key(name, told)
        store = stores.find(name, told["CustomKeyStoreId"]) if told.get("CustomKeyStoreId") else None
        facts = {**key, "name": name.text, "store": [store.id, store.connection_state] if store else None}
        evidence = [Evidence("kms:DescribeKey", name.text, self._clock(), request_id, digest(facts))]
        if store is not None:
            told_store = digest([store.id, store.connection_state, store.error_code])
            evidence.append(Evidence("kms:DescribeCustomKeyStores", store.id, self._clock(), None, told_store))
        materials: tuple[Material, ...] | None = None
        unread: Reason | None = None
        if key["origin"] == "EXTERNAL" and key["state"] in WITH_MATERIAL:
            found = self._materials(name, waits=key["state"] == "PendingImport")
            materials, unread = (None, found) if isinstance(found, Reason) else (found, None)
            if materials is not None:
                told_digest = digest(repr(materials))
                evidence.append(Evidence("kms:ListKeyRotations", name.text, self._clock(), None, told_digest))
        rotation: Rotation | Reason | None = None
        if is_rotated(key):
            rotation, more = self._rotations.read(key)
            evidence.extend(more)
        if key["manager"] is KeyManager.PROVIDER:
            access = access_of_managed(name, need.principals)
        else:
            access, more = self._access.read(name, need.principals)
            evidence.extend(more)
        return AwsKey(
            **key,
            store=store,
            materials=materials,
            materials_unread=unread,
            rotation=None if isinstance(rotation, Reason) else rotation,
            rotation_unread=rotation if isinstance(rotation, Reason) else None,
            access=access,
            evidence=tuple(evidence),
        )

    def _materials(self, name: KeyName, *, waits: bool) -> tuple[Material, ...] | Reason:
        """All materials of a key, the first and the pending ones included; only the key's own account may ask.

        `waits`: for material, the only state in which it may have none.
        """
        caller = self._clients.caller(name.owner)
        if not isinstance(caller, Reason) and caller[0] != name.owner:
            return Reason.NOT_VISIBLE
        client = self._clients.kms(name.location, name.owner)
        asked: dict[str, Any] = {"KeyId": name.text, "IncludeKeyMaterial": "ALL_KEY_MATERIAL", "Limit": 1000}
        rotations: list[Mapping[str, Any]] = []
        trail = Trail()
        try:
            while True:
                self._lists.of(name.owner, name.location).wait()
                page: Mapping[str, Any] = client.list_key_rotations(**asked)
                rotations.extend(page.get("Rotations", ()))
                if not page.get("Truncated"):
                    # Where there is none the key would be waiting for its first.
                    return parse_materials(rotations) if rotations or waits else Reason.MALFORMED
                asked["Marker"] = page.get("NextMarker")
                if not trail.leads_on(asked["Marker"]):
                    return Reason.MALFORMED
        except FAULTS as error:
            return reason_of(error)

    def _describe(self, name: KeyName) -> tuple[Mapping[str, Any], str | None]:
        client = self._clients.kms(name.location, name.owner)
        for attempt in range(_STILL_CREATING):
            self._pace.wait()
            told = client.describe_key(KeyId=name.text)
            if told["KeyMetadata"].get("Arn") != name.text:
                raise ClientError({"Error": {"Code": MALFORMED, "Message": "about another key"}}, "DescribeKey")
            if told["KeyMetadata"].get("KeyState") != "Creating" or attempt == _STILL_CREATING - 1:
                break
            threading.Event().wait(0.5)
        return told["KeyMetadata"], told["ResponseMetadata"].get("RequestId")

    def _not_read(self, name: KeyName, error: Exception) -> KeyReading:
        reason, code = reason_of(error), code_of(error)
        if code.isdigit() and reason in {Reason.ACCESS_DENIED, Reason.NOT_FOUND}:
            reason = Reason.MALFORMED  # KMS names its errors; a bare status is somebody else's word
        request_id = None
        if isinstance(error, ClientError):
            request_id = error.response.get("ResponseMetadata", {}).get("RequestId")
        evidence = (Evidence("kms:DescribeKey", name.text, self._clock(), request_id, digest({"error": code})),)
        if reason is Reason.NOT_FOUND:
            # Only the key's own account is told the truth about a key that is not there.
            caller = self._clients.caller(name.owner)
            if not isinstance(caller, Reason) and caller[0] == name.owner:
                return KeyGone(name, proven=False, evidence=evidence)
            reason = caller if isinstance(caller, Reason) else Reason.NOT_VISIBLE
        hint = _HINTS.get(reason, "look at the network between the auditor and KMS")
        return KeyUnread(name, reason, code, hint, evidence)


class _Stores:
    """Custom key stores, read once a poll for each account and Region that has a key on one."""

    def __init__(self, clients: AwsClients) -> None:
        self._clients = clients
        self._lock = threading.Lock()
        self._known: dict[tuple[str, str], Mapping[str, CustomKeyStore] | Reason] = {}

    def find(self, name: KeyName, store_id: str) -> CustomKeyStore:
        """One store; without a connection state when it could not be read."""
        with self._lock:
            place = name.owner, name.location
            if place not in self._known:
                self._known[place] = self._read(name)
            known = self._known[place]
            if isinstance(known, Reason):
                return CustomKeyStore(store_id, None, unread=known)
            return known.get(store_id, CustomKeyStore(store_id, None))

    def _read(self, name: KeyName) -> Mapping[str, CustomKeyStore] | Reason:
        client = self._clients.kms(name.location, name.owner)
        found: dict[str, CustomKeyStore] = {}
        try:
            # Listing works in the caller's own account only.
            asked: dict[str, Any] = {}
            trail = Trail()
            while True:
                page = client.describe_custom_key_stores(**asked)
                for one in page["CustomKeyStores"]:
                    found[one["CustomKeyStoreId"]] = CustomKeyStore(
                        one["CustomKeyStoreId"], one.get("ConnectionState"), one.get("ConnectionErrorCode")
                    )
                asked = {"Marker": page.get("NextMarker")}
                if not (page.get("Truncated") and trail.leads_on(asked["Marker"])):
                    break  # a store that was not come to has no state, which is told as a gap
        except FAULTS as error:
            return reason_of(error)  # each key's store then has no state, which is told as a gap
        return found


def parse_key(name: KeyName, told: Mapping[str, Any]) -> dict[str, Any]:
    """Read DescribeKey's KeyMetadata into the fields of an AwsKey; a state is kept as it was told."""
    return {
        "name": name,
        "state": str(told.get("KeyState", "")),
        "manager": KeyManager.PROVIDER if told.get("KeyManager") == "AWS" else KeyManager.CUSTOMER,
        "origin": str(told.get("Origin", "")),
        "created": _utc(told.get("CreationDate")),
        "deletion_date": _utc(told.get("DeletionDate")),
        "pending_window_days": told.get("PendingDeletionWindowInDays"),
        "valid_to": _utc(told.get("ValidTo")),
        "multi_region": bool(told.get("MultiRegion")),
        "material": told.get("CurrentKeyMaterialId"),
        "spec": told.get("KeySpec") or "",
        "usage": told.get("KeyUsage") or "",
    }


def is_rotated(key: Mapping[str, Any]) -> bool:
    """Whether AWS can rotate a key, of whose fields these are some, and does so while it is in this state."""
    symmetric = (key["spec"], key["usage"]) == ("SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT")
    made_here = key["manager"] is KeyManager.CUSTOMER and key["origin"] == "AWS_KMS"
    return symmetric and made_here and key["state"] in ROTATED


def parse_materials(told: Iterable[Mapping[str, Any]]) -> tuple[Material, ...]:
    """Read ListKeyRotations' entries, by id; a material told twice counts as missing if one entry says so."""
    found: dict[str, Material] = {}
    for one in told:
        material = Material(
            id=str(one.get("KeyMaterialId", "")),
            state=str(one.get("KeyMaterialState", "")),
            imported=one.get("ImportState") == "IMPORTED",
            valid_to=_utc(one.get("ValidTo")) if one.get("ExpirationModel") == "KEY_MATERIAL_EXPIRES" else None,
        )
        before = found.get(material.id)
        found[material.id] = min(before, material, key=lambda each: each.imported) if before else material
    return tuple(found[material_id] for material_id in sorted(found))


def _utc(moment: datetime | None) -> datetime | None:
    return moment.astimezone(UTC) if moment else None
