"""How data leaves the versions of a key on which it stays: at its present pace, and what moving it would take."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import groupby, takewhile
from typing import Final

from auditor.findings import Assessed, Judgement, Readability, in_order, member_of
from auditor.model import AwsKey, Cloud, Encryption, GcpKey, KeyMemory, KeyName
from auditor.plurals import agreed, counted
from auditor.ports import Ledger, OpenInventory, Stood
from auditor.prices import price_of
from auditor.questions.retire.move import Move, Plan, Trend
from auditor.readability.lines import google_version
from auditor.states import being

COPIED_A_SECOND: Final = 72_000_000
"""Bytes that a copy of one namespace was seen to move. Source: turbopuffer docs, limits, 2026."""
_WINDOW: Final = timedelta(days=30)
_SHORTEST: Final = timedelta(days=1)
_LARGEST: Final = 10
_CAN_BE_READ: Final = frozenset({Readability.READABLE, Readability.EXPIRING})


def plan_of(
    name: KeyName,
    memory: KeyMemory | None,
    judgement: Judgement,
    stored: tuple[OpenInventory, Ledger],
    now: datetime,
    *,
    others: Sequence[KeyName] = (),
) -> Plan:
    """Tell how the data that stays under a key could be moved, and what of that is not known.

    `others`: names by which data names it besides.

    Raises:
        LedgerError: the ledger or the inventory cannot be read.
    """
    names = {name.text, *(one.text for one in others)}
    under = [one.holding for one in judgement.assessed if one.holding.key in names]
    if memory is None or memory.last is None:
        objects = sum(one.objects or 0 for one in under)
        held = (
            "" if judgement.is_keys_only else f"; {counted(objects, 'object')} {agreed(objects, 'is', 'are')} under it"
        )
        told = f"the key never gave a state, so that which versions it has is not known{held}"
        return Plan(not_known=(told,), by_operator=judgement.is_keys_only)
    key = memory.last
    not_known: list[str] = []
    if isinstance(key, GcpKey) and key.primary is None:
        not_known.append("the key tells no primary version, so that which of its versions are old is not known")
    if judgement.is_keys_only and (claimed := sum(one.namespaces for one in under if one.is_claimed)):
        whose = f"{claimed:,} namespaces" if claimed > 1 else "a namespace"
        not_known.append(
            f"under which version the data of {whose} is that registries name the key for nobody here sees"
        )
    return Plan(
        moves=planning(key, judgement, *stored, now, others=others),
        not_known=tuple(not_known),
        barred=_barred(memory, key),
        by_operator=judgement.is_keys_only,
    )


def _barred(memory: KeyMemory, key: AwsKey | GcpKey) -> str | None:
    """Why nothing can be rewritten to the primary version; on AWS data moves to another key."""
    if isinstance(key, AwsKey):
        return None
    if memory.denied_since is not None or memory.missing_since is not None:
        return "the key tells nothing now, so that whether its primary version works is not known: poll it first"
    primary = next((one for one in key.versions if one.number == key.primary), None)
    if primary is None or primary.unlisted_since is not None:
        return (
            "which version is its primary one, and whether that works, is not known: make a new primary version first"
        )
    if primary.state == "ENABLED":
        return None
    is_ = f"its primary version {primary.number} is {being(primary.state, Cloud.GCP)}"
    if primary.state == "DISABLED":
        enable = google_version("enable")(f"{key.name}/cryptoKeyVersions/{primary.number}")
        return f"{is_}: enable it first (`{enable}`), or make another one the primary one"
    return f"{is_}: make a new primary version first"


def planning(
    key: AwsKey | GcpKey,
    judgement: Judgement,
    rows: OpenInventory,
    ledger: Ledger,
    now: datetime,
    *,
    others: Sequence[KeyName] = (),
) -> tuple[Move, ...]:
    """Tell it of each version with data that takes no new one, and of a key of AWS; the nearest deadline first.

    `key`: what it says now, or said last. What is lost cannot be moved.

    Raises:
        LedgerError: the ledger or the inventory cannot be read.
    """
    movable = [one for one in judgement.assessed if one.assessment.readability is not Readability.LOST]
    # Of what nobody saw there is nothing to plan by.
    names = (key.name.text, *(one.text for one in others))
    under = [one for one in movable if one.holding.key in names and not one.holding.is_claimed]
    stood = tuple(_stood(names, ledger))
    found = [
        _move(key, version, mine, _newer(key, version, movable, names), (rows, stood, now))
        for version in _left_behind(key)
        if (mine := [one for one in under if one.holding.key_version == version])
    ]
    return tuple(sorted(found, key=lambda one: (one.deadline is None, one.deadline or now, -one.size)))


def _left_behind(key: AwsKey | GcpKey) -> Iterator[str | None]:
    """Versions that take no new data; of AWS nobody knows which material new data gets."""
    if isinstance(key, AwsKey):
        yield None
    elif key.primary is not None:
        yield from (one.number for one in key.versions if one.number != key.primary)


def _is_newer(key: AwsKey | GcpKey, version: str | None) -> bool:
    """Whether a version is newer than the primary one."""
    if not isinstance(key, GcpKey) or key.primary is None or version is None:
        return False
    return int(version) > int(key.primary)


def _stood(names: Sequence[str], ledger: Ledger) -> Iterator[Stood]:
    """How much stood under each version of a key, by all its names together, the oldest first."""
    found = sorted(((one, name) for name in names for one in ledger.stood(name)), key=lambda pair: pair[0].at)
    held: dict[str | None, dict[str, Stood]] = defaultdict(dict)
    for at, some in groupby(found, lambda pair: pair[0].at):
        changed: dict[str | None, None] = {}
        for one, name in some:
            held[one.version][name] = one
            changed[one.version] = None
        for version in changed:
            each = held[version].values()
            yield Stood(at, version, sum(one.objects for one in each), sum(one.size for one in each))


def _newer(
    key: AwsKey | GcpKey, version: str | None, every: Iterable[Assessed], names: Collection[str]
) -> list[Assessed] | None:
    """What would tell that a namespace has stored something since; None where nothing does.

    What is under an older version that is the primary one again may be of before.
    """
    if isinstance(key, AwsKey):
        return [
            one for one in every if one.encryption is Encryption.CMEK and one.holding.key not in {None, key.name.text}
        ]
    if _is_newer(key, version):
        return None
    return [
        one
        for one in every
        if one.holding.key in names
        and one.holding.key_version is not None
        and int(one.holding.key_version) > int(version or 0)
    ]


def _move(
    key: AwsKey | GcpKey,
    version: str | None,
    mine: Sequence[Assessed],
    newer: Sequence[Assessed] | None,
    seen: tuple[OpenInventory, Sequence[Stood], datetime],
) -> Move:
    rows, stood, now = seen
    old, young = (in_order(member_of(one.holding) for one in some) for some in (mine, newer or ()))
    measured = rows.measured([old], _LARGEST)
    together = rows.measured([old, young], 0) if young else measured
    younger = together.each[1].namespaces if young else 0
    size = measured.together.size or 0
    state = key.state if isinstance(key, AwsKey) else next(one.state for one in key.versions if one.number == version)
    return Move(
        version=version,
        state=state,
        objects=measured.together.objects or 0,
        size=size,
        namespaces=measured.together.namespaces,
        idle=together.together.namespaces - younger if newer is not None else None,
        trend=_trend([one for one in stood if one.version == version], size, now),
        deadline=min((one.assessment.final_at for one in mine if one.assessment.final_at is not None), default=None),
        first=_first(mine),
        copying=timedelta(seconds=size / COPIED_A_SECOND),
        usd=sum((one.holding.objects or 0) * price_of(one.holding.bucket).lists / 1000 for one in mine),
        largest=measured.worst,
        newer=_is_newer(key, version),
    )


def _first(mine: Iterable[Assessed]) -> str | None:
    """What bars a move now: it reads through the old version."""
    barred = [one.assessment for one in mine if one.assessment.readability not in _CAN_BE_READ]
    return barred[0].cause if barred else None


def _trend(stood: Sequence[Stood], size: int, now: datetime) -> Trend | None:
    """How it went in the last month, or since it was first seen."""
    begun = now - _WINDOW
    before = list(takewhile(lambda one: one.at <= begun, stood))
    first = before[-1] if before else (stood[0] if stood else None)
    if first is None:
        return None
    since = max(first.at, begun)
    if now - since < _SHORTEST:
        return None
    gone = first.size - size
    return Trend(since, first.size, now + (now - since) * (size / gone) if gone > 0 else None)
