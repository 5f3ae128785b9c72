"""Which keys are asked: a few of each place, those first that somebody named or that were silent last."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Final

from auditor.checkup import Answer, Check, Choosing
from auditor.model import AwsKey, Cloud, KeyMemory, KeyName

MOST: Final = 3
"""Keys of one account and Region, or of one key ring."""


def chooser(configured: frozenset[KeyName], memory: Mapping[KeyName, KeyMemory]) -> Choosing:
    """Choose by what the config names, and by what is remembered of each key."""

    def choose(keys: Iterable[KeyName]) -> tuple[tuple[KeyName, ...], tuple[Check, ...]]:
        places: defaultdict[str, list[KeyName]] = defaultdict(list)
        for name in sorted(keys):
            places[_place(name)].append(name)
        chosen: list[KeyName] = []
        told: list[Check] = []
        for place, mine in sorted(places.items()):
            some = _some(mine, configured, memory)
            chosen.extend(some)
            if len(some) < len(mine):
                text = f"{len(some)} of {len(mine)} known ones are asked, those that were silent last among them"
                told.append(Check(_group(mine[0]), f"{place}: keys that are asked", Answer.OK, text))
        return tuple(chosen), tuple(told)

    return choose


def _some(mine: list[KeyName], configured: frozenset[KeyName], memory: Mapping[KeyName, KeyMemory]) -> list[KeyName]:
    """Silent ones first, then one of each kind, because each kind needs other permissions, then the rest."""
    seen: set[tuple[str, ...]] = set()
    ranked: list[tuple[int, KeyName]] = []
    for name in mine:
        known = memory.get(name)
        silent = known is not None and (known.denied_since is not None or known.last is None)
        new = (kind := _kind(known)) not in seen
        seen.add(kind)
        ranked.append((0 if silent else 1 if name in configured else 2 if new else 3, name))
    return [name for _, name in sorted(ranked)[:MOST]]


def _kind(known: KeyMemory | None) -> tuple[str, ...]:
    last = known.last if known is not None else None
    if isinstance(last, AwsKey):
        return last.origin, last.manager, "in a store" if last.store else ""
    return tuple(sorted({one.protection_level for one in last.versions})) if last is not None else ()


def _place(name: KeyName) -> str:
    return f"{name.owner}/{name.location}" if name.cloud is Cloud.AWS else name.ring


def _group(name: KeyName) -> str:
    return f"AWS account {name.owner}" if name.cloud is Cloud.AWS else f"Google project {name.owner}"
