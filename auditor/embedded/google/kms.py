"""Cloud KMS itself: one method an RPC, named as the RPC."""

from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

from google.cloud import kms_v1 as kms
from google.iam.v1 import iam_policy_pb2, policy_pb2
from google.protobuf.json_format import MessageToDict, ParseDict

from auditor.embedded.google.store import Key, Store, Version

_KEY: Final = "/cryptoKeys/"
_VERSION: Final = "/cryptoKeyVersions/"
_PAGE: Final = 100
_Reasons: Any = kms.AccessReason
_States: Any = kms.CryptoKeyVersion.CryptoKeyVersionState


class FailedRpcError(Exception):
    """An RPC that fails: the status code's name, the text, perhaps the violated precondition's type."""

    def __init__(self, code: str, text: str, violation: tuple[str, str] | None = None) -> None:
        super().__init__(text)
        self.code = code
        self.violation = violation


class KeyService:
    """Answers from a store; every RPC takes the client's own request class and gives its reply class."""

    def __init__(self, store: Store) -> None:
        self._store = store

    # Reading

    def GetKeyRing(self, ask: Any) -> Any:
        self._need_ring(ask.name)
        return kms.KeyRing(name=ask.name)

    def ListKeyRings(self, ask: Any) -> Any:
        rings = sorted(one for one in self._store.rings if one.startswith(f"{ask.parent}/keyRings/"))
        page, token = _page(rings, ask)
        return kms.ListKeyRingsResponse(key_rings=[kms.KeyRing(name=one) for one in page], next_page_token=token)

    def ListCryptoKeys(self, ask: Any) -> Any:
        self._check("cloudkms.cryptoKeys.list", ask.parent)
        self._need_ring(ask.parent)
        page, token = _page(self._store.keys(self._store.by_id(ask.parent)), ask)
        return kms.ListCryptoKeysResponse(crypto_keys=[_key(one) for one in page], next_page_token=token)

    def GetCryptoKey(self, ask: Any) -> Any:
        return _key(self._called(self._need_key("cloudkms.cryptoKeys.get", ask.name), ask.name))

    def ListCryptoKeyVersions(self, ask: Any) -> Any:
        key = self._called(self._need_key("cloudkms.cryptoKeyVersions.list", ask.parent), ask.parent)
        page, token = _page([key.versions[number] for number in sorted(key.versions)], ask)
        return kms.ListCryptoKeyVersionsResponse(
            crypto_key_versions=[_version(key, one) for one in page],
            next_page_token=token,
            total_size=len(key.versions),
        )

    def GetCryptoKeyVersion(self, ask: Any) -> Any:
        key, version = self._need_version("cloudkms.cryptoKeyVersions.get", ask.name)
        return _version(key, version)

    def ListRetiredResources(self, ask: Any) -> Any:
        self._check("cloudkms.retiredResources.list", ask.parent)
        names = sorted(one for one in self._store.retired if one.startswith(f"{ask.parent}/keyRings/"))
        page, token = _page(names, ask)
        resources = [
            kms.RetiredResource(
                name=f"{ask.parent}/retiredResources/{number}",
                original_resource=one,
                resource_type="cloudkms.googleapis.com/CryptoKey",
                delete_time=self._store.retired[one],
            )
            for number, one in enumerate(page)
        ]
        return kms.ListRetiredResourcesResponse(retired_resources=resources, next_page_token=token)

    def GetSingleTenantHsmInstance(self, ask: Any) -> Any:
        self._check("cloudkms.singleTenantHsmInstances.get", ask.name)
        found = self._store.instances.get(ask.name)
        if found is None:
            raise FailedRpcError("NOT_FOUND", f"SingleTenantHsmInstance {ask.name} not found.")
        told = kms.SingleTenantHsmInstance(name=found.name, state=found.state)
        if found.disable_time:
            told.disable_time = found.disable_time
        return told

    def VerifyConnectivity(self, ask: Any) -> Any:
        self._check("cloudkms.ekmConnections.verifyConnectivity", ask.name)
        reachable = self._store.connections.get(ask.name)
        if reachable is None:
            raise FailedRpcError("NOT_FOUND", f"EkmConnection {ask.name} not found.")
        if not reachable:
            text = "The external key manager could not be reached."
            raise FailedRpcError("FAILED_PRECONDITION", text, ("EXTERNAL_UNREACHABLE", ask.name))
        return kms.VerifyConnectivityResponse()

    # Who may

    def GetIamPolicy(self, ask: Any) -> Any:
        kind = "cryptoKeys" if _KEY in ask.resource else "keyRings"
        self._check(f"cloudkms.{kind}.getIamPolicy", ask.resource)
        if kind == "cryptoKeys":
            self._need_key("cloudkms.cryptoKeys.getIamPolicy", ask.resource)
        else:
            self._need_ring(ask.resource)
        return ParseDict({"bindings": self._store.policy(ask.resource), "version": 3}, policy_pb2.Policy())

    def SetIamPolicy(self, ask: Any) -> Any:
        told = MessageToDict(ask.policy, preserving_proto_field_name=True)
        before = _pairs(self._store.policy(ask.resource))
        self._store.set_policy(ask.resource, told.get("bindings", []))
        after = _pairs(self._store.policy(ask.resource))
        deltas = [
            {"action": action, "role": role, "member": member}
            for action, pairs in (("REMOVE", before - after), ("ADD", after - before))
            for role, member in sorted(pairs)
        ]
        self._store.note("SetIamPolicy", ask.resource, serviceData={"policyDelta": {"bindingDeltas": deltas}})
        return ask.policy

    def TestIamPermissions(self, ask: Any) -> Any:
        held = [one for one in ask.permissions if not self._store.denied(one, ask.resource)]
        return iam_policy_pb2.TestIamPermissionsResponse(permissions=held)

    # Changing: what a customer does, never the auditor

    def CreateKeyRing(self, ask: Any) -> Any:
        name = f"{ask.parent}/keyRings/{ask.key_ring_id}"
        self._check("cloudkms.keyRings.create", ask.parent)
        if name in self._store.rings:
            raise FailedRpcError("ALREADY_EXISTS", f"KeyRing {name} already exists.")
        self._store.rings.add(name)
        self._store.note("CreateKeyRing", name)
        return kms.KeyRing(name=name)

    def CreateCryptoKey(self, ask: Any) -> Any:
        name = f"{ask.parent}{_KEY}{ask.crypto_key_id}"
        self._check("cloudkms.cryptoKeys.create", ask.parent)
        self._need_ring(ask.parent)
        if self._store.key(name) is not None or name in self._store.retired:
            raise FailedRpcError("ALREADY_EXISTS", f"CryptoKey {name} already exists.")
        key = self._store.add_key(name, purpose=ask.crypto_key.purpose.name, labels=dict(ask.crypto_key.labels))
        if ask.crypto_key.destroy_scheduled_duration:
            key.destroy_after = ask.crypto_key.destroy_scheduled_duration
        self._store.note("CreateCryptoKey", name)
        return _key(key)

    def UpdateCryptoKey(self, ask: Any) -> Any:
        key = self._need_key("cloudkms.cryptoKeys.update", ask.crypto_key.name)
        if "key_access_justifications_policy" in list(ask.update_mask.paths):
            policy = ask.crypto_key.key_access_justifications_policy
            key.access_reasons = [one.name for one in policy.allowed_access_reasons]
        self._store.note("UpdateCryptoKey", key.name)
        return _key(key)

    def UpdateCryptoKeyPrimaryVersion(self, ask: Any) -> Any:
        key = self._need_key("cloudkms.cryptoKeys.update", ask.name)
        key.primary = int(ask.crypto_key_version_id)
        self._store.note("UpdateCryptoKeyPrimaryVersion", key.name)
        return _key(key)

    def CreateCryptoKeyVersion(self, ask: Any) -> Any:
        key = self._need_key("cloudkms.cryptoKeyVersions.create", ask.parent)
        version = Version(max(key.versions, default=0) + 1, self._store.clock())
        key.versions[version.number] = version
        self._store.note("CreateCryptoKeyVersion", key.name)
        return _version(key, version)

    def UpdateCryptoKeyVersion(self, ask: Any) -> Any:
        key, version = self._need_version("cloudkms.cryptoKeyVersions.update", ask.crypto_key_version.name)
        wanted = ask.crypto_key_version.state.name
        if version.state not in {"ENABLED", "DISABLED"} or wanted not in {"ENABLED", "DISABLED"}:
            raise self._wrong_state(key, version)
        version.state = wanted
        told = {"cryptoKeyVersion": {"name": ask.crypto_key_version.name, "state": wanted}, "updateMask": "state"}
        self._store.note("UpdateCryptoKeyVersion", ask.crypto_key_version.name, told)
        return _version(key, version)

    def DestroyCryptoKeyVersion(self, ask: Any) -> Any:
        key, version = self._need_version("cloudkms.cryptoKeyVersions.destroy", ask.name)
        if version.state not in {"ENABLED", "DISABLED"}:
            raise self._wrong_state(key, version)
        version.state = "DESTROY_SCHEDULED"
        version.destroy_time = self._store.clock() + key.destroy_after
        self._store.note("DestroyCryptoKeyVersion", ask.name)
        return _version(key, version)

    def RestoreCryptoKeyVersion(self, ask: Any) -> Any:
        key, version = self._need_version("cloudkms.cryptoKeyVersions.restore", ask.name)
        if version.state != "DESTROY_SCHEDULED":
            raise self._wrong_state(key, version)
        version.state, version.destroy_time = "DISABLED", None
        self._store.note("RestoreCryptoKeyVersion", ask.name)
        return _version(key, version)

    def Encrypt(self, ask: Any) -> Any:
        key = self._need_key("cloudkms.cryptoKeyVersions.useToEncrypt", ask.name.partition(_VERSION)[0])
        version = key.versions[key.primary]
        if version.state != "ENABLED":
            raise self._wrong_state(key, version)
        name = f"{key.name}{_VERSION}{version.number}"
        return kms.EncryptResponse(name=name, ciphertext=f"{version.number}:".encode() + ask.plaintext[::-1])

    def Decrypt(self, ask: Any) -> Any:
        key = self._need_key("cloudkms.cryptoKeyVersions.useToDecrypt", ask.name)
        number, _, hidden = ask.ciphertext.partition(b":")
        version = key.versions.get(int(number)) if number.isdigit() else None
        if version is None:
            raise FailedRpcError("INVALID_ARGUMENT", "Decryption failed: the ciphertext is invalid.")
        if version.state != "ENABLED":
            raise self._wrong_state(key, version)
        return kms.DecryptResponse(plaintext=hidden[::-1])

    # What every RPC asks first

    def _check(self, permission: str, resource: str) -> None:
        if self._store.denied(permission, resource):
            raise FailedRpcError(
                "PERMISSION_DENIED",
                f"Permission '{permission}' denied on resource '{resource}' (or it may not exist).",
            )

    def _called(self, key: Key, name: str) -> Key:
        """Let a key be told by the name that it was asked for by."""
        return key if self._store.tells_ids else replace(key, name=name)

    def _need_ring(self, name: str) -> None:
        if not {name, self._store.by_id(name)}.intersection(self._store.rings):
            raise FailedRpcError("NOT_FOUND", f"KeyRing {name} not found.")

    def _need_key(self, permission: str, name: str) -> Key:
        self._check(permission, name)
        key = self._store.key(name)
        if key is None:
            raise FailedRpcError("NOT_FOUND", f"CryptoKey {name} not found.")
        return key

    def _need_version(self, permission: str, name: str) -> tuple[Key, Version]:
        parent, _, number = name.partition(_VERSION)
        key = self._need_key(permission, parent)
        version = key.versions.get(int(number)) if number.isdigit() else None
        if version is None:
            raise FailedRpcError("NOT_FOUND", f"CryptoKeyVersion {name} not found.")
        return key, version

    def _wrong_state(self, key: Key, version: Version) -> FailedRpcError:
        name = f"{key.name}{_VERSION}{version.number}"
        text = f"{name} is not enabled, current state is: {version.state}."
        return FailedRpcError("FAILED_PRECONDITION", text, (f"KEY_{version.state}", name))


def _pairs(bindings: list[dict[str, Any]]) -> set[tuple[str, str]]:
    return {(one["role"], member) for one in bindings for member in one.get("members", ())}


def _page(items: list[Any], ask: Any) -> tuple[list[Any], str]:
    start = int(ask.page_token or 0)
    end = start + min(ask.page_size or _PAGE, _PAGE)
    return items[start:end], str(end) if end < len(items) else ""


def _key(key: Key) -> Any:
    told = kms.CryptoKey(
        name=key.name,
        purpose=key.purpose,
        labels=key.labels,
        create_time=key.created,
        destroy_scheduled_duration=timedelta(seconds=key.destroy_after.total_seconds()),
    )
    if key.purpose == "ENCRYPT_DECRYPT" and key.primary in key.versions:
        told.primary = _version(key, key.versions[key.primary])
    if key.rotated_every is not None:
        newest = max((one.created for one in key.versions.values()), default=key.created)
        told.rotation_period, told.next_rotation_time = key.rotated_every, newest + key.rotated_every
    told.import_only = key.import_only
    if key.backend:
        told.crypto_key_backend = key.backend
    if key.access_reasons is not None:
        reasons = [_Reasons[one] for one in key.access_reasons]
        told.key_access_justifications_policy = kms.KeyAccessJustificationsPolicy(allowed_access_reasons=reasons)
    return told


def _version(key: Key, version: Version) -> Any:
    told = kms.CryptoKeyVersion(
        name=f"{key.name}{_VERSION}{version.number}",
        protection_level=version.protection,
        algorithm="GOOGLE_SYMMETRIC_ENCRYPTION",
        create_time=version.created,
        reimport_eligible=version.reimport_eligible,
    )
    # A number that no client knows goes straight into the message, as a newer server would send it.
    kms.CryptoKeyVersion.pb(told).state = (
        version.state if isinstance(version.state, int) else _States[version.state].value
    )
    if version.destroy_time:
        told.destroy_time = version.destroy_time
    if version.destroyed_time:
        told.destroy_event_time = version.destroyed_time
    if version.imported:
        told.import_time = version.imported
    if version.failure:
        told.generation_failure_reason = version.failure
    if version.ekm_connection:
        told.external_protection_level_options = kms.ExternalProtectionLevelOptions(
            ekm_connection_backend_override=version.ekm_connection
        )
    return told
