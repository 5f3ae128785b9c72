"""How many namespaces have data in which holdings: distinct counts for any set of holdings, without the rows."""

from collections import Counter, defaultdict
from collections.abc import Iterable


class Alike:
    """Namespaces by the set of holdings that their data is in; of a million there are some thousand such sets."""

    def __init__(self, counted: Iterable[tuple[Iterable[int], int]]) -> None:
        counts: Counter[tuple[int, ...]] = Counter()
        for holdings, namespaces in counted:
            counts[tuple(sorted(set(holdings)))] += namespaces
        self._counts = tuple(counts.values())
        self._of: dict[int, list[int]] = defaultdict(list)
        for number, holdings in enumerate(counts):
            for one in holdings:
                self._of[one].append(number)

    def count(self, holdings: Iterable[int]) -> int:
        """How many namespaces have data in one of these holdings or more, each counted once."""
        return sum(map(self._counts.__getitem__, {number for one in holdings for number in self._of.get(one, ())}))
