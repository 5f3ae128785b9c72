"""Which names of keys cannot be of one key: they were read at one time, and told what cannot both be so."""

from collections.abc import Callable, Mapping
from typing import Final

from auditor.model import GcpKey, KeyMemory, KeyName, KeyReading, told_use

Apart = Callable[[KeyName, KeyName], bool]
"""Whether two names cannot be of one key, by what it told under each."""
_OWN: Final = frozenset({"version", "reasons"})
"""Facts that the key itself tells: of rights and connections others do, each when it hears of a change."""


def contradict(one: GcpKey, other: GcpKey) -> bool:
    """Whether two answers of one moment cannot be of one key."""
    mine, others = _told(one), _told(other)
    if (
        one.counted
        and other.counted
        and {each.number for each in one.versions} != {each.number for each in other.versions}
    ):
        return True
    return any(mine[fact] != others[fact] for fact in mine.keys() & others.keys())


def apart_by(memory: Mapping[KeyName, KeyMemory], asked: Mapping[KeyName, KeyReading] | None = None) -> Apart:
    """Tell by what both have just told where both were `asked`; else by what is remembered of the time of the older."""
    told = {name: one for name, one in (asked or {}).items() if isinstance(one, GcpKey)}

    def apart(one: KeyName, other: KeyName) -> bool:
        if one in told and other in told:
            return contradict(told[one], told[other])
        mine, others = memory.get(one), memory.get(other)
        return mine is not None and others is not None and _contradicted(mine, others)

    return apart


def _contradicted(one: KeyMemory, other: KeyMemory) -> bool:
    """Whether two names contradicted each other when both were read last.

    Of the one that was read since, what it told then is known, where it has told all the time and that has not changed.
    """
    if one.last_at is None or other.last_at is None:
        return False
    older, newer = (one, other) if one.last_at <= other.last_at else (other, one)
    then, last, newest = older.last_at, older.last, newer.last
    if then is None or not isinstance(last, GcpKey) or not isinstance(newest, GcpKey):
        return False
    if newer.last_at == then:
        return contradict(last, newest)
    if newer.first_at is None or newer.first_at > then:
        return False
    told, now = _told(last), _told(newest)
    if any(int(each.number) > newer.highest_version for each in last.versions):
        return True
    facts = told.keys() & now.keys()
    return any(told[fact] != now[fact] and newer.changed.get(fact, then) <= then for fact in facts)


def _told(key: GcpKey) -> Mapping[str, str]:
    return {fact: word for fact, word in told_use(key).items() if fact.partition(" ")[0] in _OWN}
