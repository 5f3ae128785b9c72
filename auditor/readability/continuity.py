"""What a new answer leaves out, and what cannot follow on the one before."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from auditor.model import (
    AwsKey,
    CustomKeyStore,
    EkmConnection,
    GcpKey,
    GcpKeyVersion,
    HsmInstance,
    KeyMemory,
    KeyReading,
    KeyUnread,
    Reason,
)

_DELETABLE: Final = frozenset({"DESTROYED", "IMPORT_FAILED", "GENERATION_FAILED"})
"""States from which a version can be deleted. Source: google-cloud-kms, DeleteCryptoKeyVersion."""
_SOONEST: Final = timedelta(hours=24)
"""The shortest way of a version into one of them. Source: Cloud KMS docs, destroy scheduled duration."""


def continued(reading: KeyReading, memory: KeyMemory | None, now: datetime) -> KeyReading:
    """Put a new answer beside the last one that gave a state.

    The state of what stands behind a key stays as it was last told while a fault hides it, and is marked as older. An
    answer that lacks a version which cannot be gone yet is none.
    """
    match reading, memory.last if memory is not None else None:
        case AwsKey() as key, AwsKey() as last:
            return replace(key, store=_store(key.store, last.store))
        case GcpKey() as key, GcpKey() as last if memory is not None:
            missing = _impossibly_missing(key, last, memory.last_at, now)
            if missing:
                told = f"version {', '.join(one.number for one in missing)} is not listed, which cannot be gone yet"
                hint = "look at the endpoint: is it Cloud KMS? poll again"
                return KeyUnread(key.name, Reason.MALFORMED, told, hint, key.evidence)
            before = {one.name: one for one in last.connections}
            return replace(
                key,
                hsm_instance=_instance(key.hsm_instance, last.hsm_instance),
                connections=tuple(_connection(one, before.get(one.name)) for one in key.connections),
            )
        case _:
            return reading


def _store(now: CustomKeyStore | None, before: CustomKeyStore | None) -> CustomKeyStore | None:
    if now is None or before is None or now.id != before.id or now.connection_state is not None:
        return now
    return replace(before, older=before.connection_state is not None)


def _instance(now: HsmInstance | None, before: HsmInstance | None) -> HsmInstance | None:
    if now is None or before is None or now.name != before.name or now.state is not None:
        return now
    return replace(before, older=before.state is not None)


def _connection(now: EkmConnection, before: EkmConnection | None) -> EkmConnection:
    if before is None or before.reachable is None or now.reachable is not None:
        return now
    return replace(before, older=Reason(now.detail))


def _impossibly_missing(
    key: GcpKey, last: GcpKey, last_at: datetime | None, now: datetime
) -> tuple[GcpKeyVersion, ...]:
    if last_at is None or now - last_at >= _SOONEST:
        return ()
    listed = {one.number for one in key.versions}
    return tuple(one for one in last.versions if one.number not in listed and not _may_be_deleted(one, now))


def _may_be_deleted(version: GcpKeyVersion, now: datetime) -> bool:
    due = version.state == "DESTROY_SCHEDULED" and version.destroy_time is not None and version.destroy_time <= now
    return due or version.state in _DELETABLE
