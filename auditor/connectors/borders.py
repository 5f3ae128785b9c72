"""Names at which a bucket is cut into shards of about one size, for workers who list them apart from each other."""

from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from auditor.connectors.shards import between, is_plain

_LOOKS_EACH: Final = 4
_LOOKS: Final = 20
"""Pages that are asked for: so many for each shard that is wanted, and so many beside."""


def borders(many: int, known: Sequence[str], page: Callable[[str | None], Sequence[str]]) -> list[str]:
    """Choose names that make `many` shards at most: of those that are `known`, where they are enough, else by looking.

    `page` lists the first names behind one, in order; from the beginning, for None.
    """
    usable = [one for one in known if is_plain(one)]
    if len(usable) >= many - 1:
        return [usable[number * len(usable) // many] for number in range(1, many)]
    return sorted(_found(many, page))


@dataclass(slots=True)
class _Open:
    """A range of names that may be cut."""

    at: str
    """A name of it; what lies before is known to be little."""
    until: str | None


def _found(many: int, page: Callable[[str | None], Sequence[str]]) -> list[str]:
    """Cut the widest range that there is, again and again, half-way between the characters that were seen in names."""
    seen: defaultdict[int, set[str]] = defaultdict(set)
    found: list[str] = []
    first = _learnt(page(None), seen)
    ranges = deque([_Open(first[-1], None)] if first else [])
    looks = _LOOKS + _LOOKS_EACH * many
    while ranges and looks and len(found) < many - 1:
        one = ranges.popleft()
        name = between(one.at, one.until, seen)
        if name is None:
            continue
        looks -= 1
        behind = _learnt(page(name), seen)
        if behind and (one.until is None or behind[0] <= one.until):
            found.append(name)
            if one.until is None or behind[-1] < one.until:
                ranges.append(_Open(behind[-1], one.until))
        one.until = name
        ranges.append(one)
    return found


def _learnt(names: Sequence[str], seen: defaultdict[int, set[str]]) -> Sequence[str]:
    # Those of one page begin alike: a few of them tell as much.
    for name in (*names[:: max(1, len(names) // 20)], *names[-1:]):
        for place, char in enumerate(name):
            seen[place].add(char)
    return names
