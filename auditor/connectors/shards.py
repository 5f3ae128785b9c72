"""Which shards of one listing are listed at once, and where one is split so that no stream has nothing to do."""

from bisect import bisect_left, bisect_right
from collections import defaultdict, deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import takewhile
from typing import Final, Protocol

from auditor import rows
from auditor.errors import OrderError
from auditor.model import StoredObject
from auditor.ports import Coming, Shard
from auditor.rows import Done

EVERYTHING: Final = Shard()
STREAMS: Final = 4
"""Shards of one bucket that are listed at once, where the cloud itself is asked: of others nobody knows the order."""
_PLAIN: Final = "-./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz"
"""In the order of their bytes. Nobody between here and a bucket has an own idea of what these mean."""
_PAGES: Final = 4
"""Nothing is split at a guessed name before so many have come, so that small buckets are listed in one go."""
_MISSES: Final = 20
_PAGES_A_MISS: Final = 5
"""Guesses behind which nothing was found: so many are made, and one more for so many pages that were listed."""


class Running(Protocol):
    """A shard that is being listed."""

    shard: Shard
    at: str | None
    """The last name that was listed; None before the first page."""
    pages: int
    """Listed so far, or since it was split last."""
    ended: bool
    """No further page comes."""


class Shards:
    """Of one listing, whose first `left` are to be listed, at most so many `streams` at once.

    `borders` are names, in order, at which it may be split, as an earlier sweep knows them. Where it knows none, names
    are guessed from those that were listed.
    """

    def __init__(self, left: Sequence[Shard], borders: Sequence[str] = (), streams: int = 1) -> None:
        self._left = deque(left)
        self._borders = borders
        self._streams = streams
        self._seen: defaultdict[int, set[str]] = defaultdict(set)
        self._pages = 0
        self._misses = 0
        self._guessed: set[Shard] = set()
        self._in_order = True
        self._look_again = _PAGES
        """So many pages must have come before a name is looked for again, where there was none to be guessed."""

    @property
    def left(self) -> bool:
        """Some are not being listed yet."""
        return bool(self._left)

    def following(self, running: Sequence[Running]) -> Shard | None:
        """What is to be listed beside these by now: a shard that waits, or one that was split off; None for none."""
        if len(running) >= self._streams:
            return None
        if self._left:
            return self._left.popleft()
        going_on = [one for one in running if not one.ended]
        if not going_on or not self._in_order:
            return None
        return self._split_at_border(going_on) or self._split_by_guess(going_on)

    def listed(self, one: Running, last: str | None) -> None:
        """A page of a shard has come, which ends with this name; None where it has none."""
        self._pages += 1
        one.pages += 1
        if last is None:
            if one.at is None and one.shard in self._guessed:
                self._misses += 1
            return
        if one.at is not None and last < one.at:
            self._in_order = False
        one.at = last
        for place, char in enumerate(last):
            self._seen[place].add(char)

    def _split_at_border(self, running: Sequence[Running]) -> Shard | None:
        """Split where the most lies behind, by what is known."""

        def inside(one: Running) -> tuple[int, int]:
            at = one.at if one.at is not None else one.shard.after
            first = 0 if at is None else bisect_right(self._borders, at)
            until = one.shard.until
            return first, len(self._borders) if until is None else bisect_left(self._borders, until)

        longest = max(running, key=lambda one: inside(one)[1] - inside(one)[0])
        first, end = inside(longest)
        return _split(longest.shard, self._borders[(first + end) // 2]) if first < end else None

    def _split_by_guess(self, running: Sequence[Running]) -> Shard | None:
        if self._misses >= _MISSES + self._pages // _PAGES_A_MISS or self._pages < self._look_again:
            return None
        for one in sorted(running, key=lambda one: -one.pages):
            name = between(one.at, one.shard.until, self._seen) if one.at and one.pages else None
            if name is not None:
                one.pages = 0
                split = _split(one.shard, name)
                self._guessed.add(split)
                return split
        self._look_again = self._pages + _PAGES
        return None


def _split(shard: Shard, name: str) -> Shard:
    rest = Shard(name, shard.until)
    shard.until = name
    return rest


def is_plain(name: str) -> bool:
    """Whether everybody between here and a bucket reads a name as it is written."""
    return all(one in _PLAIN for one in name)


def between(at: str, until: str | None, seen: Mapping[int, Collection[str]]) -> str | None:
    """Guess a name about half-way between two, from the characters `seen` at each place of names; None for none.

    First it is asked whether anything lies behind all that begins alike; then what is guessed shares as little as can
    be of its beginning with the first name, so that much may lie before it.
    """
    behind: str | None = None
    for place, char in enumerate(at):
        here = seen.get(place, ())
        if char not in _PLAIN or (behind is not None and len(here) > 1):
            break
        known = [one for one in _PLAIN if one > char and one in here]
        beyond = _PLAIN[_PLAIN.index(known[-1] if known else char) + 1 :][:1]
        names: list[str] = [at[:place] + one for one in (*known, *beyond)]
        fitting = [one for one in names if until is None or one < until]
        if fitting and len(here) > 1:
            return fitting[(len(fitting) - 1) // 2]
        behind = fitting[-1] if fitting else behind
    return behind


def one_after_the_other(
    shards: Iterable[Shard], objects: Callable[[Shard], Iterator[StoredObject]]
) -> Iterator[tuple[Shard, Coming]]:
    """List shards in turn, each from what lists all objects behind its beginning, in the order of names."""
    for shard in shards:
        until = shard.until
        within = objects(shard) if until is None else _up_to(until, objects(shard))
        for some in rows.batched(within):
            yield shard, some
        yield shard, Done()


class Order:
    """Sees whether the names of one listing come in order, as they must where a shard has a beginning or an end."""

    def __init__(self, shard: Shard, bucket: str) -> None:
        self._last = shard.after
        self._matters = shard.after is not None or shard.until is not None
        self._bucket = bucket

    def follow(self, page: Iterable[str]) -> None:
        """Look at the names of the next page, before any of them is told.

        Raises:
            OrderError: one stands before the one before it.
        """
        for name in page if self._matters else ():
            if self._last is not None and name < self._last:
                raise OrderError(self._bucket)
            self._last = name


def _up_to(until: str, objects: Iterator[StoredObject]) -> Iterator[StoredObject]:
    return takewhile(lambda one: one.name <= until, objects)
