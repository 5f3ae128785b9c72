"""What a key tells under one of its names, put in place of what it tells less of under another."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from auditor.model import DENIALS, KeyMemory, KeyName, KeyReading, KeyUnread, Reason
from auditor.ownership.spelling import Spelling, spelling_by
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

    While nothing needs a key by one of its names, it is not asked by that one. Also that the key is not there any more,
    or will not tell, is told.
    """
    newest: dict[str, KeyMemory] = {}
    for name, one in spelling.ones.items():
        known = memory.get(name)
        if known is not None and (one not in newest or _word_at(known) > _word_at(newest[one])):
            newest[one] = known
    found = dict(memory)
    for name, one in spelling.ones.items():
        mine, other = memory.get(name), newest.get(one)
        if mine is not None and other is not None and _word_at(mine) < _word_at(other):
            found[name] = _remembered(name, mine, other)
    return found


def by_any_name(memory: Mapping[KeyName, KeyMemory]) -> Mapping[KeyName, KeyMemory]:
    """The same, where what is remembered tells alone which names are of one key."""
    return remembered_by_any_name(memory, spelling_by(memory))


def with_last_word(told: KeyMemory, others: Iterable[KeyMemory]) -> KeyMemory:
    """What is remembered of a key by one of its names, with its last word by any other, where that is no state."""
    newer = max((told, *others), key=_word_at)
    return replace(
        told,
        missing_since=newer.missing_since,
        missing_until=newer.missing_until,
        missing_proven=newer.missing_proven,
        denied_since=newer.denied_since,
        silence=newer.silence,
    )


def _remembered(name: KeyName, mine: KeyMemory, newer: KeyMemory) -> KeyMemory:
    """What is remembered of a key by a name where it said its last word under another one."""
    told = with_last_word(newer if _told_at(newer) > _told_at(mine) else mine, (newer,))
    return replace(
        told,
        last=replace(told.last, name=name) if told.last is not None else None,
        silence=replace(told.silence, name=name) if told.silence is not None else None,
        granted=tuple(sorted({*mine.granted, *newer.granted})),
        barred=tuple(sorted({*mine.barred, *newer.barred})),
    )


def _told_at(memory: KeyMemory) -> datetime:
    return memory.last_at or _NEVER


def _word_at(memory: KeyMemory) -> datetime:
    """When the service said its last word of a key, be it that it will not tell; of that, when it said so first."""
    return max(at or _NEVER for at in (memory.last_at, memory.missing_until, memory.denied_since))


def _tells(reading: KeyReading) -> int:
    """How much an answer tells: of the key itself most, then that the service will not tell; a fault tells nothing.

    Whoever does not find a key that is not among the deleted ones either was not asked rightly.
    """
    match reading:
        case KeyUnread(reason=reason):
            return 2 if reason in DENIALS else int(reason is Reason.NOT_FOUND)
        case _:
            return 3
