"""AWS KMS over JSON 1.1: one function an operation."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from auditor.embedded.aws.store import Key, RefusedError, Store

_PAGE: Final = 100


@dataclass(frozen=True)
class Caller:
    """Who signed the request, and for which Region."""

    account: str
    region: str


class KeyService:
    """Answers from a store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._operations = {
            "DescribeKey": self._describe,
            "ListKeys": self._list,
            "DescribeCustomKeyStores": self._key_stores,
            "EnableKey": self._enable,
            "DisableKey": self._disable,
            "ScheduleKeyDeletion": self._schedule,
            "CancelKeyDeletion": self._cancel,
            "DeleteImportedKeyMaterial": self._delete_material,
            "Decrypt": self._use,
            "GenerateDataKey": self._use,
            "GenerateDataKeyWithoutPlaintext": self._use,
        }

    def answer(self, operation: str, asked: Mapping[str, Any], caller: Caller) -> dict[str, Any]:
        """Answer one call.

        Raises:
            RefusedError: in the words of KMS.
        """
        found = self._operations.get(operation)
        if found is None:
            raise RefusedError(400, "UnknownOperationException", f"{operation} is not part of this embedded cloud")
        return found(asked, caller)

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
            "KeySpec": "SYMMETRIC_DEFAULT",
            "KeyUsage": "ENCRYPT_DECRYPT",
            "MultiRegion": key.multi_region,
        }
        if key.origin in {"AWS_KMS", "EXTERNAL"}:
            told["CurrentKeyMaterialId"] = "0" * 64
        if state == "PendingDeletion" and key.deletion_date:
            told["DeletionDate"] = key.deletion_date.timestamp()
        if state == "PendingReplicaDeletion":
            told["PendingDeletionWindowInDays"] = key.pending_window_days or 30
        if key.valid_to:
            told |= {"ExpirationModel": "KEY_MATERIAL_EXPIRES", "ValidTo": key.valid_to.timestamp()}
        if key.store:
            told["CustomKeyStoreId"] = key.store
        return told

    def _list(self, asked: Mapping[str, Any], caller: Caller) -> dict[str, Any]:
        keys = self._store.keys(caller.account, caller.region)
        start = int(asked.get("Marker") or 0)
        end = start + int(asked.get("Limit") or _PAGE)
        page = [{"KeyId": key.arn.rpartition("/")[2], "KeyArn": key.arn} for key in keys[start:end]]
        more = end < len(keys)
        return {"Keys": page, "Truncated": more, **({"NextMarker": str(end)} if more else {})}

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

    def _use(self, asked: Mapping[str, Any], caller: Caller) -> dict[str, Any]:
        key = self._key(asked, caller)
        self._store.refuse_use(key, key.arn)
        if not asked.get("DryRun"):
            raise RefusedError(400, "UnsupportedOperationException", "this embedded cloud only takes dry runs")
        raise RefusedError(412, "DryRunOperationException", "The request would have succeeded")

    def _move(self, key: Key, allowed: set[str], state: str) -> None:
        if self._store.state(key) not in allowed:
            text = f"{key.arn} is {self._store.state(key)}."
            raise RefusedError(400, "KMSInvalidStateException", text)
        key.state = state
