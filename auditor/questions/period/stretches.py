"""Stretches of time: which of it is in a set, how much that is, and what is not in it."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from typing import Final

NOTHING: Final = timedelta(0)


@dataclass(frozen=True, slots=True, order=True)
class Stretch:
    """A time from one moment, which is in it, to another, which is not."""

    begin: datetime
    """Aware, UTC."""
    end: datetime
    """Aware, UTC."""

    @property
    def length(self) -> timedelta:
        """How long it is; of one that a clock turned round, nothing."""
        return max(NOTHING, self.end - self.begin)

    def within(self, other: "Stretch") -> "Stretch":
        """The part of it that is in another one; one without a length where there is none."""
        begin = max(self.begin, other.begin)
        return Stretch(begin, max(begin, min(self.end, other.end)))


class Stretches:
    """A set of moments, as the fewest stretches in order; what is added last is mostly behind all others."""

    def __init__(self, some: Iterable[Stretch] = ()) -> None:
        self._begins: list[datetime] = []
        self._ends: list[datetime] = []
        self._sums: list[timedelta] | None = None
        """How long all before each place are together; None: to be summed up."""
        self._longest: tuple[Stretch, timedelta] | None = None
        """How long the longest part of one stretch is that is not in it; None: to be looked for."""
        for one in some:
            self.add(one.begin, one.end)

    def __iter__(self) -> Iterator[Stretch]:
        return map(Stretch, self._begins, self._ends)

    @property
    def length(self) -> timedelta:
        """How long all of it is."""
        return sum((one.length for one in self), NOTHING)

    @property
    def longest(self) -> timedelta:
        """How long the longest stretch is; nothing where there is none."""
        return max((one.length for one in self), default=NOTHING)

    def add(self, begin: datetime, end: datetime) -> None:
        """Take a stretch in; one that ends before it begins has no moment."""
        if end <= begin:
            return
        begins, ends = self._begins, self._ends
        self._sums = self._longest = None
        if not begins or begin > ends[-1]:
            begins.append(begin)
            ends.append(end)
            return
        # All that touches it becomes one with it.
        first, last = bisect_left(ends, begin), bisect_right(begins, end)
        if first < last:
            begin, end = min(begin, begins[first]), max(end, ends[last - 1])
        begins[first:last] = [begin]
        ends[first:last] = [end]

    def within(self, one: Stretch) -> "Stretches":
        """What of it is in a stretch."""
        first, last = bisect_right(self._ends, one.begin), bisect_left(self._begins, one.end)
        return Stretches(each.within(one) for each in map(Stretch, self._begins[first:last], self._ends[first:last]))

    def length_within(self, one: Stretch) -> timedelta:
        """How much of it is in a stretch, without a look at each part of that."""
        first, last = bisect_right(self._ends, one.begin), bisect_left(self._begins, one.end)
        if first >= last:
            return NOTHING
        if self._sums is None:
            self._sums = [NOTHING, *accumulate(each.length for each in self)]
        before = max(NOTHING, one.begin - self._begins[first])
        behind = max(NOTHING, self._ends[last - 1] - one.end)
        return self._sums[last] - self._sums[first] - before - behind

    def widened(self, one: Stretch) -> Stretch:
        """A stretch with all around it that is not in the set."""
        place = bisect_left(self._begins, one.begin)
        begin = one.begin
        if place == 0 or self._ends[place - 1] <= begin:
            begin = self._ends[place - 1] if place else datetime.min.replace(tzinfo=UTC)
        place = bisect_right(self._ends, one.end)
        end = one.end
        if place == len(self._ends) or self._begins[place] >= end:
            end = self._begins[place] if place < len(self._begins) else datetime.max.replace(tzinfo=UTC)
        return Stretch(begin, end)

    def missing(self, one: Stretch) -> "Stretches":
        """What of a stretch is not in it."""
        found, begin = Stretches(), one.begin
        for each in self.within(one):
            found.add(begin, each.begin)
            begin = each.end
        found.add(begin, one.end)
        return found

    def longest_missing(self, one: Stretch) -> timedelta:
        """How long the longest part of a stretch is that is not in it; many ask it of the same one."""
        if self._longest is None or self._longest[0] != one:
            self._longest = one, self.missing(one).longest
        return self._longest[1]

    def without(self, other: "Stretches") -> "Stretches":
        """What of it is not in another set."""
        return Stretches(each for one in self for each in other.missing(one))

    def joined(self, other: "Stretches") -> "Stretches":
        """What is in either."""
        return Stretches(sorted((*self, *other)))
