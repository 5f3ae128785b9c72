"""All namespaces cut into parts, one after the other, so that what is asked of them takes bounded memory."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

ROWS_AT_ONCE: Final = 400_000
"""Rows whose namespaces are told apart at a time, about: what that takes in memory does not grow with the fleet."""
_STARTS: Final = """
SELECT stats_min_value, row_group_num_rows FROM parquet_metadata($files)
WHERE path_in_schema = 'namespace' AND stats_min_value IS NOT NULL ORDER BY 1
"""


@dataclass(frozen=True, slots=True)
class Cut:
    """Some namespaces, one after the other in their order; or all rows that are in none; or all rows."""

    first: str | None = None
    until: str | None = None
    """The first that is not of this part."""
    outside: bool = False
    everything: bool = False

    @property
    def text(self) -> str:
        """The condition, which holds for these rows alone."""
        if self.everything:
            return "true"
        if self.outside:
            return "namespace IS NULL"
        sides = {"first": "namespace >= $first", "until": "namespace < $until"}
        return " AND ".join(["namespace IS NOT NULL", *(sides[name] for name in self.values)])

    @property
    def values(self) -> Mapping[str, str]:
        """What stands for its names."""
        told = {"first": self.first, "until": self.until}
        return {name: value for name, value in told.items() if value is not None}

    def within(self, other: "Cut") -> "Cut | None":
        """What is in both; None where nothing can be."""
        first = max((one for one in (self.first, other.first) if one is not None), default=None)
        until = min((one for one in (self.until, other.until) if one is not None), default=None)
        return None if first is not None and until is not None and until <= first else Cut(first, until)


OUTSIDE: Final = Cut(outside=True)
EVERYTHING: Final = Cut(everything=True)


def cut(
    files: list[str], ask: Callable[[str, Mapping[str, Any]], list[tuple[Any, ...]]], rows_at_once: int
) -> Iterator[Cut]:
    """Yield all namespaces in their order, about so many rows a part.

    Rows stand in the order of namespaces, so that each part of the files is read once.
    """
    begun = ask(_STARTS, {"files": files}) if files else ()
    yield from (Cut(first, until) for first, until in pairwise([*starts(begun, rows_at_once), None]))


def starts(begun: Iterable[tuple[Any, ...]], rows_at_once: int) -> Iterator[str | None]:
    """Yield where parts begin, the first of them before all namespaces.

    `begun`: the first namespace of rows that are compressed together, and how many they are, in this order.
    """
    before: str | None = None
    yield before
    rows = 0
    for start, count in begun:
        if rows >= rows_at_once and start != before:
            yield start
            before, rows = start, 0
        rows += count
