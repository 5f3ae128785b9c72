"""What a key tells under one of its names, put in place of what it tells less of under another."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from auditor.model import DENIALS, KeyMemory, KeyName, KeyReading, KeyUnread, Reason
from auditor.ownership.spelling import Spelling
from auditor.ports import KeyNeed

_NEVER: Final = datetime.min.replace(tzinfo=UTC)


def needed_by_any_name(needs: Iterable[KeyNeed], spelling: Spelling) -> tuple[KeyNeed, ...]:
    """The same needs, each with all who must decrypt with the key by any name: one may answer for another."""
    every = tuple(needs)
    principals: dict[str, set[str]] = defaultdict(set)
    for need in every:
        principals[spelling.one(need.name)].update(need.principals)
    return tuple(replace(one, principals=tuple(sorted(principals[spelling.one(one.name)]))) for one in every)


def answered_by_any_name(asked: Mapping[KeyName, KeyReading], spelling: Spelling) -> Mapping[KeyName, KeyReading]:
    """The same answers; a name under which a key tells less than under another that is known to be its own tells that.

    What stands in the evidence names the resource that was asked for. Two that both tell something are left as they
    are: which of them is the newer one nobody knows.
    """
    told: dict[str, KeyReading] = {}
    for name, reading in asked.items():
        one = spelling.ones.get(name)
        if one is not None and (one not in told or _tells(reading) > _tells(told[one])):
            told[one] = reading
    found = dict(asked)
    for name, reading in asked.items():
        other = told.get(spelling.ones.get(name, ""), reading)
        if isinstance(reading, KeyUnread) and _tells(other) > _tells(reading):
            found[name] = replace(other, name=name)
    return found


def remembered_by_any_name(memory: Mapping[KeyName, KeyMemory], spelling: Spelling) -> Mapping[KeyName, KeyMemory]:
    """The same memory; what another name of the key told since counts for one that told its last before.

    While nothing needs a key by one of its names, it is not asked by that one.
    """
    last: dict[str, KeyMemory] = {}
    for name, one in spelling.ones.items():
        known = memory.get(name)
        if known is not None and known.last_at is not None and known.last_at > _told_at(last.get(one)):
            last[one] = known
    found = dict(memory)
    for name, one in spelling.ones.items():
        mine, other = memory.get(name), last.get(one)
        if mine is None or other is None or other.last is None or other.last_at is None:
            continue
        if all(at is None or at < other.last_at for at in (mine.last_at, mine.missing_until, mine.denied_since)):
            found[name] = replace(
                other,
                last=replace(other.last, name=name),
                silence=replace(other.silence, name=name) if other.silence is not None else None,
                granted=tuple(sorted({*mine.granted, *other.granted})),
                barred=tuple(sorted({*mine.barred, *other.barred})),
            )
    return found


def _told_at(memory: KeyMemory | None) -> datetime:
    return memory.last_at if memory is not None and memory.last_at is not None else _NEVER


def _tells(reading: KeyReading) -> int:
    """How much an answer tells: of the key itself most, then that the service will not tell; a fault tells nothing."""
    match reading:
        case KeyUnread(reason=reason):
            return 1 if reason in DENIALS or reason is Reason.NOT_FOUND else 0
        case _:
            return 2
