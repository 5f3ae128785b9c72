"""Namespaces a span after the other, in their order: what a query takes in memory does not grow with the fleet."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import duckdb

_ROWS_AT_ONCE: Final = 400_000
"""Rows whose namespaces are told apart at a time, about."""
_STARTS: Final = """
SELECT stats_min_value, row_group_num_rows FROM parquet_metadata($files)
WHERE path_in_schema = 'namespace' AND stats_min_value IS NOT NULL ORDER BY 1
"""


@dataclass(frozen=True, slots=True)
class Span:
    """Some namespaces, one after the other in their order; or all rows that are in none."""

    first: str | None = None
    until: str | None = None
    """The first that is not of this span."""
    outside: bool = False

    @property
    def text(self) -> str:
        """The condition, which holds for these rows alone."""
        if self.outside:
            return "namespace IS NULL"
        sides = {"first": "namespace >= $first", "until": "namespace < $until"}
        return " AND ".join(["namespace IS NOT NULL", *(sides[name] for name in self.values)])

    @property
    def values(self) -> Mapping[str, str]:
        """What stands for its names."""
        told = {"first": self.first, "until": self.until}
        return {name: value for name, value in told.items() if value is not None}


OUTSIDE: Final = Span(outside=True)


def cut(database: duckdb.DuckDBPyConnection, files: Sequence[str], most: int | None = None) -> tuple[Span, ...]:
    """All namespaces in their order, about so many rows a span.

    Rows stand in the order of namespaces, so that each part of the files is read once.
    """
    most = most or _ROWS_AT_ONCE
    starts: list[str | None] = [None]
    rows = 0
    found = database.execute(_STARTS, {"files": list(files)}).fetchall() if files else []
    for start, count in found:
        if rows >= most and start != starts[-1]:
            starts.append(start)
            rows = 0
        rows += count
    return tuple(Span(first, until) for first, until in pairwise([*starts, None]))
