"""What a new answer leaves out, and what cannot follow on the one before."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from auditor.model import (
    SINGLE_TENANT,
    AwsKey,
    CustomKeyStore,
    EkmConnection,
    GcpKey,
    GcpKeyVersion,
    HsmInstance,
    KeyMemory,
    KeyReading,
    Reason,
)

_DELETABLE: Final = frozenset(
    {"DESTROYED", "IMPORT_FAILED", "GENERATION_FAILED", "PENDING_IMPORT", "PENDING_GENERATION"}
)
"""States from which a version can be deleted, or fall into one from which it can, at any moment.

Source: google-cloud-kms, DeleteCryptoKeyVersion.
"""
_SOONEST: Final = timedelta(hours=24)
"""The shortest way of a version into one of them. Source: Cloud KMS docs, destroy scheduled duration."""


def continued(reading: KeyReading, memory: KeyMemory | None, now: datetime) -> KeyReading:
    """Put a new answer beside the last one that gave a state.

    The state of what stands behind a key stays as it was last told while a fault hides it, and is marked as older. A
    version that is not listed any more and cannot be gone yet is kept as such, for as long as it cannot be.
    """
    match reading, memory.last if memory is not None else None:
        case AwsKey() as key, AwsKey() as last:
            # A key that was not available, and is, tells that its store may have come back.
            healed = _was_unavailable(last) and key.state in {"Enabled", "Updating"}
            last_at = memory.last_at if memory is not None else None
            if healed or (key.state == "Unavailable" and _was_connected(last)):
                # Its state and what was told of its store before cannot both be so.
                return key
            return replace(key, store=_store(key.store, last.store, last_at))
        case GcpKey() as key, GcpKey() as last if memory is not None:
            missing = _impossibly_missing(key, last, memory.last_at, now)
            before = {one.name: one for one in last.connections}
            told = {one.name for one in key.connections}
            versions = (*key.versions, *missing)
            enabled = {one.ekm_connection for one in versions if one.state == "ENABLED"}
            switched_off = {one.ekm_connection for one in versions} - enabled
            unasked = [one for one in last.connections if one.name not in told]
            # Nobody asks for the instance of versions that are not listed.
            on_instance = any(one.protection_level == SINGLE_TENANT for one in missing)
            return replace(
                key,
                versions=tuple(sorted(versions, key=lambda one: int(one.number))),
                hsm_instance=_instance(key.hsm_instance, last.hsm_instance, memory.last_at, kept=on_instance),
                connections=(
                    *(_connection(one, before.get(one.name), memory.last_at) for one in key.connections),
                    # Of versions that are switched off the connections are not asked for; that heals none.
                    *(_dated(one, memory.last_at) for one in unasked if one.name in switched_off),
                    # Nor does it where nobody wants to know any more.
                    *(
                        replace(_dated(one, memory.last_at), older=one.older or Reason.NOT_VISIBLE)
                        for one in unasked
                        if one.reachable is False and one.name in enabled
                    ),
                ),
            )
        case _:
            return reading


def _was_unavailable(key: AwsKey) -> bool:
    """Whether a key was out of reach for its store's sake, also where another state hides that it still is."""
    off = key.store is not None and key.store.older and key.store.connection_state == "DISCONNECTED"
    return key.state == "Unavailable" or off


def _was_connected(key: AwsKey) -> bool:
    return key.store is not None and key.store.connection_state == "CONNECTED"


def _dated(one: EkmConnection, at: datetime | None) -> EkmConnection:
    return replace(one, at=one.at or at)


def _store(now: CustomKeyStore | None, before: CustomKeyStore | None, at: datetime | None) -> CustomKeyStore | None:
    if now is None or before is None or now.id != before.id or now.connection_state is not None:
        return now
    is_told = before.connection_state is not None
    return replace(before, older=is_told, at=(before.at or at) if is_told else None, unread=now.unread)


def _instance(
    now: HsmInstance | None, before: HsmInstance | None, at: datetime | None, *, kept: bool
) -> HsmInstance | None:
    is_told = now is not None and (before is None or now.name != before.name or now.state is not None)
    if is_told or before is None or (now is None and not kept):
        return now
    was_told = before.state is not None
    unread = now.unread if now is not None else None
    return replace(before, older=was_told, at=(before.at or at) if was_told else None, unread=unread)


def _connection(now: EkmConnection, before: EkmConnection | None, at: datetime | None) -> EkmConnection:
    if before is None or before.reachable is None or now.reachable is not None:
        return now
    return replace(before, older=Reason(now.detail), at=before.at or at)


def _impossibly_missing(
    key: GcpKey, last: GcpKey, last_at: datetime | None, now: datetime
) -> tuple[GcpKeyVersion, ...]:
    listed = {one.number for one in key.versions}
    return tuple(
        replace(one, unlisted_since=one.unlisted_since or now)
        for one in last.versions
        if one.number not in listed and not _may_be_gone(one, one.unlisted_since or last_at, now)
    )


def _may_be_gone(version: GcpKeyVersion, seen: datetime | None, now: datetime) -> bool:
    """Whether a version may be gone that was last listed then; a moment in the future was none."""
    due = version.state == "DESTROY_SCHEDULED" and version.destroy_time is not None and version.destroy_time <= now
    return due or version.state in _DELETABLE or seen is None or abs(now - seen) >= _SOONEST
