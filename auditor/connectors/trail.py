"""Where the pages of one listing have led so far, so that a listing that would never end does."""

from typing import Final

_EMPTY_PAGES: Final = 1_000
"""Pages in a row without an entry. Both clouds may send fewer than they were asked for, down to none, for example where
what they looked at was deleted. At a thousand a page a million such names pass, and what never ends does in minutes."""
_PAGES_AGAIN: Final = 3
"""Pages in a row that end as an earlier one did. Where a service goes on at a version that was deleted meanwhile it may
tell the end of a page once more; each such page may have a thousand objects, which are all asked for again."""


class Trail:
    """The places (tokens, markers) at which the pages of one listing went on, and the entries with which they ended."""

    def __init__(self) -> None:
        # Digests alone: a token may be long, and a large bucket has a hundred thousand pages.
        self._been: set[int] = set()
        self._ends: set[int] = set()
        self._empty = 0
        self._again = 0

    def leads_on(self, place: str | tuple[object, ...] | None) -> bool:
        """Whether the place says where to go on, and the listing was not there before."""
        if not place or hash(place) in self._been:
            return False
        self._been.add(hash(place))
        return True

    def gets_on(self, end: bytes | tuple[object, ...] | None) -> bool:
        """Whether, after a page that ends with this entry, there is hope for an end; None: it has no entry."""
        if end is None:
            self._empty += 1
        elif hash(end) in self._ends:
            self._again += 1
        else:
            self._ends.add(hash(end))
            self._empty = self._again = 0
        return self._empty < _EMPTY_PAGES and self._again < _PAGES_AGAIN
