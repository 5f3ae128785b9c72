"""What keys that answer tell of the stores, instances and connections that they share with keys that do not."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from auditor.model import (
    ROTATED,
    AwsKey,
    CustomKeyStore,
    EkmConnection,
    Evidence,
    GcpKey,
    HsmInstance,
    KeyName,
    Reason,
    is_being_made,
)
from auditor.readability.assess import KeyView
from auditor.readability.aws import STORE_DISCONNECTED, store_name

_CALLS: Final = frozenset(
    {"kms:DescribeCustomKeyStores", "cloudkms:GetSingleTenantHsmInstance", "cloudkms:VerifyConnectivity"}
)
"""The calls that tell of what stands behind keys."""


Shared = CustomKeyStore | HsmInstance | EkmConnection


@dataclass(frozen=True, slots=True)
class _Word:
    """What was told of something that stands behind keys, when, and by which calls."""

    at: datetime
    told: Shared
    evidence: tuple[Evidence, ...]


def beside_others(keys: Mapping[KeyName, KeyView], now: datetime) -> Mapping[KeyName, KeyView]:
    """Put beside what each key tells, or said last, what others have told since of all that stands behind both.

    A key whose store, instance or connection could not be read tells nothing newer of it either.
    """
    words: dict[str, _Word] = {}
    for view in keys.values():
        for key, at in _said(view, now):
            for name, told, since in _behind(key, at, now):
                if name not in words or since > words[name].at:
                    words[name] = _Word(since, told, tuple(one for one in key.evidence if one.call in _CALLS))
    return {name: _beside(view, words, now) for name, view in keys.items()} if words else keys


def _answers(view: KeyView) -> AwsKey | GcpKey | None:
    reading = view.reading
    return reading if isinstance(reading, AwsKey | GcpKey) and not is_being_made(reading) else None


def _said(view: KeyView, now: datetime) -> Iterator[tuple[AwsKey | GcpKey, datetime]]:
    """What a key says now, and said last, and when that was."""
    memory = view.memory
    if (key := _answers(view)) is not None:
        yield key, now
    if memory is not None and memory.last is not None and memory.last_at is not None:
        yield memory.last, _before(memory.last_at, now)


def _behind(key: AwsKey | GcpKey, at: datetime, now: datetime) -> Iterator[tuple[str, Shared, datetime]]:
    """(name, what was told, when) of everything behind a key of which something was told, by a key that spoke then.

    What a clock that was ahead has dated is older than what is told now.
    """
    for name, one in _told_behind(key):
        is_of_then = one.older is None or one.older is False
        if (since := one.at or (at if is_of_then else None)) is not None:
            yield name, one, since if one.at is None and at == now else _before(since, now)


def _told_behind(key: AwsKey | GcpKey) -> Iterator[tuple[str, Shared]]:
    if isinstance(key, AwsKey):
        store = key.store
        if store is not None and store.connection_state is not None:
            yield store_name(key.name, store.id), store
        elif store is not None and key.state == "Unavailable":
            # Its keys are so while it is not connected.
            yield store_name(key.name, store.id), replace(store, connection_state=STORE_DISCONNECTED)
        return
    if key.hsm_instance is not None and key.hsm_instance.state is not None:
        yield key.hsm_instance.name, key.hsm_instance
    yield from ((one.name, one) for one in key.connections if one.reachable is not None)


def _beside(view: KeyView, words: Mapping[str, _Word], now: datetime) -> KeyView:
    if (key := _answers(view)) is not None:
        known = _with(key, now, words, now)
        return replace(view, reading=known) if known != key else view
    memory = view.memory
    if memory is None or memory.last is None or memory.last_at is None:
        return view
    known = _with(memory.last, _before(memory.last_at, now), words, now)
    return replace(view, beside=known) if known != memory.last else view


def _with(said: AwsKey | GcpKey, at: datetime, words: Mapping[str, _Word], now: datetime) -> AwsKey | GcpKey:
    """What a key said at some moment, with what is newer of all that stands behind it."""
    own = {name: since for name, _, since in _behind(said, at, now)}
    if isinstance(said, AwsKey):
        behind = {store_name(said.name, said.store.id)} if said.store is not None else set()
    else:
        behind = {said.hsm_instance.name} if said.hsm_instance is not None else set()
        behind |= {one.ekm_connection for one in said.versions if one.ekm_connection is not None}
    newer = [
        words[name]
        for name in sorted(behind & words.keys())
        if (name not in own or words[name].at > own[name]) and not _refuted(words[name], said, at)
    ]
    if not newer:
        return said
    evidence = (*said.evidence, *(each for one in newer for each in one.evidence))
    told = [_older(one) for one in newer]
    if isinstance(said, AwsKey):
        return replace(said, store=next(one for one in told if isinstance(one, CustomKeyStore)), evidence=evidence)
    connections = {one.name: one for one in told if isinstance(one, EkmConnection)}
    return replace(
        said,
        hsm_instance=next((one for one in told if isinstance(one, HsmInstance)), said.hsm_instance),
        connections=(*(one for one in said.connections if one.name not in connections), *connections.values()),
        evidence=evidence,
    )


def _before(moment: datetime, now: datetime) -> datetime:
    return min(moment, now - timedelta(microseconds=1))


def _refuted(word: _Word, said: AwsKey | GcpKey, at: datetime) -> bool:
    """Whether a store was said to be disconnected before a key of it was Enabled, which then would be Unavailable."""
    if not isinstance(said, AwsKey) or not isinstance(word.told, CustomKeyStore):
        return False
    return said.state in ROTATED and word.told.connection_state == STORE_DISCONNECTED and word.at <= at


def _older(word: _Word) -> Shared:
    """A word of another key, or of another time, with its date."""
    if isinstance(word.told, EkmConnection):
        return replace(word.told, older=word.told.older or Reason.NOT_VISIBLE, at=word.at)
    return replace(word.told, older=True, at=word.at)
