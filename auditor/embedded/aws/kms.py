"""AWS KMS over JSON 1.1: one function an operation."""

import json
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any, Final

from auditor.embedded.aws.store import Key, Material, RefusedError, Store
from auditor.embedded.aws.uses import last_usage

CHANGES: Final = frozenset(
    {"CreateKey", "EnableKey", "DisableKey", "ScheduleKeyDeletion", "CancelKeyDeletion", "DeleteImportedKeyMaterial"}
    | {"PutKeyPolicy"}
)
"""What the event history has of what this cloud can do."""
_COLONS: Final = 5


@dataclass(frozen=True)
class Caller:
    """Who signed the request, and for which Region."""

    account: str
    region: str
    access_key: str = ""


class KeyService:
    """Answers from a store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._operations: dict[str, Callable[[Mapping[str, Any], Caller], dict[str, Any]]] = {
            "DescribeKey": self._describe,
            "ListKeys": self._list,
            "GetKeyPolicy": self._policy,
            "PutKeyPolicy": self._put_policy,
            "ListGrants": self._grants,
            "ListKeyRotations": self._rotations,
            "GetKeyRotationStatus": self._rotation,
            "GetKeyLastUsage": self._last_usage,
            "DescribeCustomKeyStores": self._key_stores,
            "ListResourceTags": self._tags,
            "CreateKey": self._create,
            "EnableKey": self._enable,
            "DisableKey": self._disable,
            "ScheduleKeyDeletion": self._schedule,
            "CancelKeyDeletion": self._cancel,
            "DeleteImportedKeyMaterial": self._delete_material,
            **{
                name: partial(self._use, f"kms:{name}")
                for name in ("Decrypt", "GenerateDataKey", "GenerateDataKeyWithoutPlaintext")
            },
        }

    def answer(self, operation: str, asked: Mapping[str, Any], caller: Caller) -> dict[str, Any]:
        """Answer one call.

        Raises:
            RefusedError: in the words of KMS.
        """
        found = self._operations.get(operation)
        if found is None:
            raise RefusedError(400, "UnknownOperationException", f"{operation} is not part of this embedded cloud")
        if operation not in CHANGES:
            return found(asked, caller)
        try:
            told = found(asked, caller)
        except RefusedError as refusal:
            self._note(operation, asked, caller, errorCode=refusal.code)
            raise
        self._note(operation, {**asked, "KeyId": told.get("KeyMetadata", {}).get("Arn", asked.get("KeyId"))}, caller)
        return told

    def _note(self, operation: str, asked: Mapping[str, Any], caller: Caller, **more: Any) -> None:
        """Let the event history have a change, or that somebody tried it."""
        name = str(asked.get("KeyId", ""))
        arn = name if name.startswith("arn:") else f"arn:aws:kms:{caller.region}:{caller.account}:key/{name}"
        given = {f"{field[:1].lower()}{field[1:]}": value for field, value in asked.items()}
        if arn.count(":") == _COLONS:
            self._store.note(operation, arn, given, principal=self._store.principals.get(caller.access_key), **more)

    def _key(self, asked: Mapping[str, Any], caller: Caller) -> Key:
        name = str(asked.get("KeyId", ""))
        arn = name if name.startswith("arn:") else f"arn:aws:kms:{caller.region}:{caller.account}:key/{name}"
        parts = arn.split(":")
        if len(parts) != 6 or parts[2] != "kms":  # noqa: PLR2004 - an ARN of KMS has six parts
            raise RefusedError(400, "InvalidArnException", f"Invalid arn {name}")
        if parts[3] != caller.region:
            raise RefusedError(400, "InvalidArnException", f"Invalid arn {parts[3]}")
        key = self._store.key(arn)
        if key is None:
            if parts[4] != caller.account:
                raise RefusedError(400, "AccessDeniedException", f"The caller may not use {arn}, or it does not exist")
            raise RefusedError(400, "NotFoundException", f"Key '{arn}' does not exist")
        return key

    def _describe(self, asked: Mapping[str, Any], caller: Caller) -> dict[str, Any]:
        key = self._key(asked, caller)
        if key.describe_denied:
            text = f"User is not authorized to perform: kms:DescribeKey on resource: {key.arn}"
            raise RefusedError(400, "AccessDeniedException", text)
        return {"KeyMetadata": self._metadata(key)}

    def _metadata(self, key: Key) -> dict[str, Any]:
        state = self._store.state(key)
        told: dict[str, Any] = {
            "AWSAccountId": key.account,
            "KeyId": key.arn.rpartition("/")[2],
            "Arn": key.arn,
            "CreationDate": key.created.timestamp(),
            "Enabled": state == "Enabled",
            "KeyState": state,
            "KeyManager": key.manager,
            "Origin": key.origin,
            "KeySpec": key.spec,
            "KeyUsage": key.usage,
            "MultiRegion": key.multi_region,
        }
        if key.origin in {"AWS_KMS", "EXTERNAL"}:
            current = [one.id for one in key.materials if one.state == "CURRENT"]
            told["CurrentKeyMaterialId"] = current[0] if current else "0" * 64
        if state == "PendingDeletion" and key.deletion_date:
            told["DeletionDate"] = key.deletion_date.timestamp()
        if state == "PendingReplicaDeletion":
            told["PendingDeletionWindowInDays"] = key.pending_window_days or 30
        dates = [one.valid_to for one in key.materials if one.permanent and one.valid_to]
        if earliest := min([*dates, *([key.valid_to] if key.valid_to else [])], default=None):
            told |= {"ExpirationModel": "KEY_MATERIAL_EXPIRES", "ValidTo": earliest.timestamp()}
        if key.store:
            told["CustomKeyStoreId"] = key.store
        return told

    def _list(self, asked: Mapping[str, Any], caller: Caller) -> dict[str, Any]:
        keys = self._store.keys(caller.account, caller.region)
        return _page("Keys", [{"KeyId": key.arn.rpartition("/")[2], "KeyArn": key.arn} for key in keys], asked, 100)

    def _own_key(self, asked: Mapping[str, Any], caller: Caller, operation: str) -> Key:
        """A key for the calls that no other account may make, whatever its policy says."""
        key = self._key(asked, caller)
        denied = self._store.denied
        if key.account != caller.account or {(operation, key.arn), (operation, caller.account)} & denied:
            text = f"User is not authorized to perform: kms:{operation} on resource: {key.arn}"
            raise RefusedError(400, "AccessDeniedException", text)
        return key

    def _policy(self, asked: Mapping[str, Any], caller: Caller) -> dict[str, Any]:
        key = self._own_key(asked, caller, "GetKeyPolicy")
        name = asked.get("PolicyName") or "default"
        document = {"default": key.policies[0], "AWS_RAM": key.shared}.get(str(name))
        if document is None:
            raise RefusedError(400, "NotFoundException", f"No such policy exists {name}")
        text = key.policy_text if name == "default" and key.policy_text is not None else json.dumps(document)
        return {"Policy": text, "PolicyName": name}

    def _put_policy(self, asked: Mapping[str, Any], caller: Caller) -> dict[str, Any]:
        self._key(asked, caller).policy = json.loads(asked["Policy"])
        return {}

    def _grants(self, asked: Mapping[str, Any], caller: Caller) -> dict[str, Any]:
        key = self._own_key(asked, caller, "ListGrants")
        rows = [{"KeyId": key.arn, "GrantId": f"{place:064}", **one} for place, one in enumerate(key.grants)]
        return _page("Grants", rows, asked, 50)

    def _rotation(self, asked: Mapping[str, Any], caller: Caller) -> dict[str, Any]:
        key = self._key(asked, caller)
        if {("GetKeyRotationStatus", key.arn), ("GetKeyRotationStatus", caller.account)} & self._store.denied:
            text = f"User is not authorized to perform: kms:GetKeyRotationStatus on resource: {key.arn}"
            raise RefusedError(400, "AccessDeniedException", text)
        if key.origin == "EXTERNAL":
            # What AWS answers of imported material is not confirmed: the live kit asks.
            text = "GetKeyRotationStatus is not part of this embedded cloud for imported material"
            raise RefusedError(400, "UnknownOperationException", text)
        if key.store or key.usage != "ENCRYPT_DECRYPT":
            raise RefusedError(400, "UnsupportedOperationException", f"{key.arn} is not rotated")
        days = key.rotated_every if key.state != "PendingDeletion" else None
        told: dict[str, Any] = {"KeyId": key.arn, "KeyRotationEnabled": days is not None}
        if days is not None:
            due, period = key.created, timedelta(days=days)
            while due <= max([self._store.clock(), *key.rotated]):
                due += period
            told |= {"RotationPeriodInDays": days, "NextRotationDate": due.timestamp()}
        return told

    def _last_usage(self, asked: Mapping[str, Any], caller: Caller) -> dict[str, Any]:
        if "alias/" in str(asked.get("KeyId", "")):
            # That it takes none is documented, with which error not.
            raise RefusedError(400, "UnknownOperationException", "what KMS answers to an alias here is not documented")
        key = self._own_key(asked, caller, "GetKeyLastUsage")
        return last_usage(key.arn, key.created, self._store.tracks_since, key.last_use)

    def _rotations(self, asked: Mapping[str, Any], caller: Caller) -> dict[str, Any]:
        key = self._own_key(asked, caller, "ListKeyRotations")
        if key.store:
            raise RefusedError(400, "UnsupportedOperationException", f"{key.arn} is in a custom key store")
        whole = asked.get("IncludeKeyMaterial") == "ALL_KEY_MATERIAL"
        found = _materials(key, self._store.state(key))
        rows = [
            {
                "KeyId": key.arn,
                "KeyMaterialId": one.id,
                "KeyMaterialState": one.state,
                **(
                    {"ImportState": "IMPORTED" if one.imported else "PENDING_IMPORT"}
                    if key.origin == "EXTERNAL"
                    else {}
                ),
                **(
                    {"ExpirationModel": "KEY_MATERIAL_EXPIRES", "ValidTo": one.valid_to.timestamp()}
                    if one.valid_to
                    else {}
                ),
            }
            for place, one in enumerate(found)
            # The first material and the pending ones came by no rotation.
            if whole or (place and one.permanent)
        ]
        rotated = key.rotations(self._store.clock())
        rows += [
            {
                "KeyId": key.arn,
                "KeyMaterialId": f"{place:064x}",
                "KeyMaterialState": "CURRENT" if one == max(rotated) else "NON_CURRENT",
                "RotationDate": one.timestamp(),
                "RotationType": "ON_DEMAND" if key.rotated_every is None else "AUTOMATIC",
            }
            for place, one in enumerate(rotated, 1)
        ]
        return _page("Rotations", rows, asked, 100)

    def _key_stores(self, asked: Mapping[str, Any], caller: Caller) -> dict[str, Any]:
        if ("DescribeCustomKeyStores", caller.account) in self._store.denied:
            raise RefusedError(400, "AccessDeniedException", "not authorized to perform: kms:DescribeCustomKeyStores")
        mine = [
            one
            for (account, region, _), one in sorted(self._store.key_stores.items())
            if (account, region) == (caller.account, caller.region) and asked.get("CustomKeyStoreId") in {None, one.id}
        ]
        told = [
            {
                "CustomKeyStoreId": one.id,
                "CustomKeyStoreName": one.id,
                "CustomKeyStoreType": one.kind,
                "ConnectionState": one.state,
                **({"ConnectionErrorCode": one.error} if one.error else {}),
            }
            for one in mine
        ]
        return {"CustomKeyStores": told, "Truncated": False}

    def _tags(self, asked: Mapping[str, Any], caller: Caller) -> dict[str, Any]:
        tags = self._own_key(asked, caller, "ListResourceTags").tags
        return _page("Tags", [{"TagKey": name, "TagValue": value} for name, value in tags.items()], asked, 50)

    def _create(self, asked: Mapping[str, Any], caller: Caller) -> dict[str, Any]:
        origin = asked.get("Origin", "AWS_KMS")
        if origin not in {"AWS_KMS", "EXTERNAL"} or {"KeySpec", "KeyUsage", "Policy"} & set(asked):
            raise RefusedError(400, "UnknownOperationException", "this embedded cloud makes no such keys")
        arn = f"arn:aws:kms:{caller.region}:{caller.account}:key/{uuid.uuid4()}"
        tags = {one["TagKey"]: one["TagValue"] for one in asked.get("Tags", ())}
        state = "Enabled" if origin == "AWS_KMS" else "PendingImport"
        return {"KeyMetadata": self._metadata(self._store.add_key(arn, state=state, origin=origin, tags=tags))}

    def _enable(self, asked: Mapping[str, Any], caller: Caller) -> dict[str, Any]:
        self._move(self._key(asked, caller), {"Enabled", "Disabled"}, "Enabled")
        return {}

    def _disable(self, asked: Mapping[str, Any], caller: Caller) -> dict[str, Any]:
        self._move(self._key(asked, caller), {"Enabled", "Disabled"}, "Disabled")
        return {}

    def _schedule(self, asked: Mapping[str, Any], caller: Caller) -> dict[str, Any]:
        key = self._key(asked, caller)
        self._move(key, {"Enabled", "Disabled", "PendingImport", "Unavailable"}, "PendingDeletion")
        key.deletion_date = self._store.clock() + timedelta(days=int(asked.get("PendingWindowInDays") or 30))
        return {"KeyId": key.arn, "KeyState": key.state, "DeletionDate": key.deletion_date.timestamp()}

    def _cancel(self, asked: Mapping[str, Any], caller: Caller) -> dict[str, Any]:
        key = self._key(asked, caller)
        self._move(key, {"PendingDeletion", "PendingReplicaDeletion"}, "Disabled")
        key.deletion_date = None
        return {"KeyId": key.arn}

    def _delete_material(self, asked: Mapping[str, Any], caller: Caller) -> dict[str, Any]:
        key = self._key(asked, caller)
        if key.origin != "EXTERNAL":
            raise RefusedError(400, "UnsupportedOperationException", f"{key.arn} origin is {key.origin}")
        self._move(key, {"Enabled", "Disabled"}, "PendingImport")
        return {"KeyId": key.arn}

    def _use(self, action: str, asked: Mapping[str, Any], caller: Caller) -> dict[str, Any]:
        key = self._key(asked, caller)
        if asked.get("DryRunModifiers") and self._store.state(key) != "Enabled":
            raise RefusedError(400, "UnknownOperationException", "what KMS answers here is not documented")
        self._store.refuse_use(key, key.arn, self._store.call(caller.access_key, action))
        if not asked.get("DryRun"):
            raise RefusedError(400, "UnsupportedOperationException", "this embedded cloud only takes dry runs")
        raise RefusedError(412, "DryRunOperationException", "The request would have succeeded")

    def _move(self, key: Key, allowed: set[str], state: str) -> None:
        if self._store.state(key) not in allowed:
            text = f"{key.arn} is {self._store.state(key)}."
            raise RefusedError(400, "KMSInvalidStateException", text)
        key.state = state


def _page(field: str, rows: list[dict[str, Any]], asked: Mapping[str, Any], usual: int) -> dict[str, Any]:
    start = int(asked.get("Marker") or 0)
    end = start + int(asked.get("Limit") or usual)
    more = end < len(rows)
    return {field: rows[start:end], "Truncated": more, **({"NextMarker": str(end)} if more else {})}


def _materials(key: Key, state: str) -> list[Material]:
    """All materials; a key that names none has one, which its state and expiry are about."""
    return key.materials or [Material("0" * 64, imported=state != "PendingImport", valid_to=key.valid_to)]
