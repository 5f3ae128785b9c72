"""Rows in the order of their names -> dependencies, summed up while the rows pass by."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Literal

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from auditor.model import Encryption
from auditor.rows import TIME

_GROUP: Final = ["namespace", "population", "encryption", "key", "key_version"]
"""Tells dependencies of one bucket apart: the tenant is part of the namespace."""
# What a bucket says of its sizes may add up to more than 64 bits hold: too much to count is no error.
_WIDE: Final = pa.decimal128(38, 0)
_MOST: Final = pa.scalar(2**63 - 1).cast(_WIDE)
_FIELDS: Final[list["pa.Field[Any]"]] = [  # quoted: the class takes no parameters at run time
    *(pa.field(name, pa.string()) for name in ("bucket", "namespace", "tenant")),
    *(pa.field(name, pa.string()) for name in ("population", "encryption", "key", "key_version")),
    pa.field("objects", pa.int64()),
    pa.field("bytes", pa.int64()),
    pa.field("archived", pa.int64()),
    pa.field("oldest", TIME),
    pa.field("newest", TIME),
    pa.field("first_name", pa.string()),
    pa.field("last_name", pa.string()),
]
SCHEMA: Final = pa.schema(_FIELDS)
_Sum = tuple[str, Literal["count", "sum", "min", "max", "first", "last"]]
_OF_ROWS: Final[list[_Sum]] = [
    *(("bucket", "first"), ("tenant", "first")),
    *(("name", "count"), ("size", "sum"), ("archived", "sum")),
    *(("modified", "min"), ("modified", "max"), ("name", "first"), ("name", "last")),
]
_OF_SUMS: Final[list[_Sum]] = [
    *(("bucket", "first"), ("tenant", "first")),
    *(("objects", "sum"), ("bytes", "sum"), ("archived", "sum")),
    *(("oldest", "min"), ("newest", "max"), ("first_name", "first"), ("last_name", "last")),
]
_SUMMED: Final = (*("bucket", "tenant", "objects", "bytes", "archived", "oldest", "newest", "first_name", "last_name"),)
_COLUMNS: Final = ["bucket", *_GROUP, "tenant", "size", "archived", "modified", "name"]
_SUMS_HELD: Final = 50_000
"""Rows of sums that may wait: whatever is complete leaves then, so that memory stays flat."""


@dataclass(slots=True)
class Told:
    """What all rows together tell."""

    listed: int = 0
    resolved: int = 0
    outside: int = 0
    oldest_verified: datetime | None = None
    newest_verified: datetime | None = None
    unresolved: Counter[str] = field(default_factory=Counter)
    """Why it is not known what an object is encrypted with -> how many."""

    def add(self, other: "Told") -> None:
        """Tell what others tell as well."""
        self.listed += other.listed
        self.resolved += other.resolved
        self.outside += other.outside
        self.saw(other.oldest_verified, other.newest_verified)
        self.unresolved.update(other.unresolved)

    def saw(self, oldest: datetime | None, newest: datetime | None) -> None:
        """Widen the time in which all were verified."""
        if oldest is not None and (self.oldest_verified is None or oldest < self.oldest_verified):
            self.oldest_verified = oldest
        if newest is not None and (self.newest_verified is None or newest > self.newest_verified):
            self.newest_verified = newest


class Totals:
    """Writes the dependencies of rows that come in the order of their names' bytes.

    All names of one namespace begin alike, so they come one after the other: once another namespace begins, its sums
    are complete.
    """

    def __init__(self, path: Path) -> None:
        # As with rows: a sweep that was killed may have left a second name of another's file.
        path.unlink(missing_ok=True)
        self._writer = pq.ParquetWriter(path, SCHEMA, compression="zstd")
        self._waiting: list[pa.Table] = []
        self._held = 0
        self._told = Told()

    def add(self, rows: pa.Table) -> None:
        """Sum up some rows, which come after all before."""
        if not rows.num_rows:
            return
        self._look(rows)
        chosen = rows.select(_COLUMNS)
        wide = chosen.set_column(_COLUMNS.index("size"), "size", chosen.column("size").cast(_WIDE))
        self._hold(_grouped(wide, _OF_ROWS))
        if self._held > _SUMS_HELD:
            self._let_go(rows.column("namespace")[-1])

    def add_sums(self, sums: pa.Table) -> None:
        """Sum up what another one wrote of rows that come after all before."""
        if not sums.num_rows:
            return
        place = sums.schema.get_field_index("bytes")
        self._hold(sums.set_column(place, "bytes", sums.column("bytes").cast(_WIDE)))
        if self._held > _SUMS_HELD:
            begun = sums.column("namespace").drop_null()
            self._let_go(begun[-1] if len(begun) else pa.scalar(None, pa.string()))

    def close(self) -> Told:
        """Write what is left, and tell what was counted of rows."""
        if self._waiting:
            self._write(self._together())
        self._writer.close()
        return self._told

    def _look(self, rows: pa.Table) -> None:
        told = self._told
        resolved = pc.not_equal(rows.column("encryption"), pa.scalar(Encryption.UNKNOWN.value))
        known: int = pc.sum(resolved.cast(pa.int64()), min_count=0).as_py()
        told.listed += rows.num_rows
        told.resolved += known
        told.outside += rows.column("namespace").null_count
        told.saw(pc.min(rows.column("verified")).as_py(), pc.max(rows.column("verified")).as_py())
        if known < rows.num_rows:
            problems = rows.column("problem").filter(pc.invert(resolved)).to_pylist()
            told.unresolved.update(str(one) for one in problems)

    def _hold(self, sums: pa.Table) -> None:
        self._waiting.append(sums)
        self._held += sums.num_rows

    def _let_go(self, current: "pa.Scalar[Any]") -> None:  # quoted: the class takes no parameters at run time
        """Write all that no further row can belong to: not the current namespace, nor what is outside the layout."""
        sums = self._together()
        stays = pc.is_null(sums.column("namespace"))
        if current.is_valid:
            stays = pc.or_kleene(stays, pc.equal(sums.column("namespace"), current))
        self._write(sums.filter(pc.invert(stays)))
        self._waiting, self._held = [], 0
        self._hold(sums.filter(stays).combine_chunks())

    def _together(self) -> pa.Table:
        return _grouped(pa.concat_tables(self._waiting), _OF_SUMS)

    def _write(self, sums: pa.Table) -> None:
        total = pc.min_element_wise(sums.column("bytes"), _MOST).cast(pa.int64())
        self._writer.write_table(sums.set_column(sums.schema.get_field_index("bytes"), "bytes", total).cast(SCHEMA))


def _grouped(rows: pa.Table, what: list[_Sum]) -> pa.Table:
    # The first and the last of a group have a meaning on one thread alone.
    sums = rows.group_by(_GROUP, use_threads=False).aggregate(what)
    names = dict(zip((f"{column}_{function}" for column, function in what), _SUMMED, strict=True))
    return sums.select([*_GROUP, *names]).rename_columns([*_GROUP, *names.values()]).select(SCHEMA.names)
