"""What is told of namespaces by the set of holdings that their data is in, so that most questions need no rows."""

import heapq
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

TENANTS: Final = 20
"""As many tenants of some data are told, and owners and teams."""
SAMPLES: Final = 10
_SETS: Final = 20_000
"""Of more sets than that nothing is kept: it would grow with the fleet."""
Sample = tuple[int | None, str, str]
"""Fewer than none by so many objects, and the bucket and the name of a namespace. None: nobody saw any."""


@dataclass(slots=True)
class Told:
    """The first tenants of some namespaces, and those with the most objects."""

    tenants: set[str] = field(default_factory=set)
    samples: list[Sample] = field(default_factory=list)

    def add(self, tenants: Iterable[str], samples: Iterable[Sample]) -> None:
        """Tell of others as well."""
        self.tenants = set(sorted({*self.tenants, *tenants})[:TENANTS])
        self.samples = heapq.nsmallest(SAMPLES, [*self.samples, *samples], by_amount)

    @property
    def names(self) -> tuple[str, ...]:
        """How the largest are called."""
        return tuple(f"{bucket}/{namespace}" for _, bucket, namespace in self.samples)


class Largest:
    """The largest namespaces of each set of holdings, where there are not too many sets."""

    def __init__(self) -> None:
        self.is_full = False
        self._told: dict[frozenset[int], Told] = {}
        self._of: dict[int, list[frozenset[int]]] = defaultdict(list)

    def add(self, holdings: Iterable[int], tenants: Iterable[str], samples: Iterable[Sample]) -> None:
        """Tell of some namespaces whose data is in all of these holdings and in no other."""
        if self.is_full:
            return
        together = frozenset(holdings)
        if together not in self._told:
            self._told[together] = Told()
            for one in together:
                self._of[one].append(together)
        self._told[together].add(tenants, samples)
        if len(self._told) > _SETS:
            self.is_full = True
            self._told.clear()
            self._of.clear()

    def of(self, holdings: Iterable[int]) -> Told | None:
        """What is told of all namespaces with data in some of these.

        None where one has data in others as well, as nobody knows then how much of it is in these.
        """
        wanted = frozenset(holdings)
        sets = {some for one in wanted for some in self._of.get(one, ())}
        if self.is_full or not all(some <= wanted for some in sets):
            return None
        found = Told()
        each = [self._told[some] for some in sets]
        found.add((name for one in each for name in one.tenants), (name for one in each for name in one.samples))
        return found


def by_amount(row: tuple[Any, ...]) -> tuple[bool, int, str, str]:
    """Most objects first, which stand there as fewer than none; last those of which nobody saw any."""
    held, bucket, namespace, *_ = row
    return held is None, held or 0, bucket, namespace
