"""What keys that answer tell of the stores, instances and connections that they share with keys that do not."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from auditor.model import (
    AwsKey,
    CustomKeyStore,
    EkmConnection,
    Evidence,
    GcpKey,
    HsmInstance,
    KeyName,
    is_being_made,
)
from auditor.readability.assess import KeyView
from auditor.readability.aws import store_name

_CALLS: Final = frozenset(
    {"kms:DescribeCustomKeyStores", "cloudkms:GetSingleTenantHsmInstance", "cloudkms:VerifyConnectivity"}
)
"""The calls that tell of what stands behind keys."""


@dataclass(frozen=True, slots=True)
class _Word:
    """What was told of something that stands behind keys, when, and by which calls."""

    at: datetime
    told: CustomKeyStore | HsmInstance | EkmConnection
    evidence: tuple[Evidence, ...]


def beside_others(keys: Mapping[KeyName, KeyView], now: datetime) -> Mapping[KeyName, KeyView]:
    """Put beside what silent keys said last what others have told since of all that stands behind both."""
    words: dict[str, _Word] = {}
    for view in keys.values():
        for key, at in _said(view, now):
            for name, told in _behind(key):
                if name not in words or at > words[name].at:
                    words[name] = _Word(at, told, tuple(one for one in key.evidence if one.call in _CALLS))
    return {name: _beside(view, words) for name, view in keys.items()} if words else keys


def _answers(view: KeyView) -> AwsKey | GcpKey | None:
    reading = view.reading
    return reading if isinstance(reading, AwsKey | GcpKey) and not is_being_made(reading) else None


def _said(view: KeyView, now: datetime) -> Iterator[tuple[AwsKey | GcpKey, datetime]]:
    """What a key says now, or said last, and when that was."""
    memory = view.memory
    if (key := _answers(view)) is not None:
        yield key, now
    elif memory is not None and memory.last is not None and memory.last_at is not None:
        yield memory.last, min(memory.last_at, now)


def _behind(key: AwsKey | GcpKey) -> Iterator[tuple[str, CustomKeyStore | HsmInstance | EkmConnection]]:
    """(name, what was told) of everything behind a key of which something was told next to it."""
    if isinstance(key, AwsKey):
        if key.store is not None and key.store.connection_state is not None and not key.store.older:
            yield store_name(key.name, key.store.id), key.store
        return
    if key.hsm_instance is not None and key.hsm_instance.state is not None and not key.hsm_instance.older:
        yield key.hsm_instance.name, key.hsm_instance
    for one in key.connections:
        if one.reachable is not None and one.older is None:
            yield one.name, one


def _beside(view: KeyView, words: Mapping[str, _Word]) -> KeyView:
    memory = view.memory
    if _answers(view) is not None or memory is None or memory.last is None or memory.last_at is None:
        return view
    said = memory.last
    newer = {name: one for name, one in words.items() if one.at > memory.last_at}
    known = _with(said, newer)
    return replace(view, beside=known) if known != said else view


def _with(said: AwsKey | GcpKey, newer: Mapping[str, _Word]) -> AwsKey | GcpKey:
    """What a key said last, with what is newer of all that stands behind it."""
    if isinstance(said, AwsKey):
        word = newer.get(store_name(said.name, said.store.id)) if said.store is not None else None
        if word is None or not isinstance(word.told, CustomKeyStore):
            return said
        return replace(said, store=word.told, evidence=(*said.evidence, *word.evidence))
    behind = {said.hsm_instance.name} if said.hsm_instance is not None else set()
    behind |= {one.ekm_connection for one in said.versions if one.ekm_connection is not None}
    told = [newer[one] for one in sorted(behind & newer.keys())]
    instances = [one.told for one in told if isinstance(one.told, HsmInstance)]
    connections = {one.told.name: one.told for one in told if isinstance(one.told, EkmConnection)}
    return replace(
        said,
        hsm_instance=instances[0] if instances else said.hsm_instance,
        connections=(*(one for one in said.connections if one.name not in connections), *connections.values()),
        evidence=(*said.evidence, *(evidence for one in told for evidence in one.evidence)),
    )
