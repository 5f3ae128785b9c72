"""Two runs of rows, each in the order of its names -> one, with no version twice.

What is deleted between two passes over a bucket is told by both; the later word counts. Its key cannot change
meanwhile: of a version that is told under two keys, none is known.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import reduce
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from auditor.model import Encryption, Reason

_RANK: Final = "rank"
_KEY: Final = ("encryption", "key", "key_version")
_NOT_KNOWN: Final = {
    "encryption": Encryption.UNKNOWN.value,
    "key": None,
    "key_version": None,
    "verified": None,
    "problem": Reason.MALFORMED.value,
}


def merged(
    earlier: Iterable[pa.RecordBatch], later: Iterable[pa.RecordBatch], twice: Callable[[int], object]
) -> Iterator[pa.RecordBatch]:
    """Yield the rows of both in the order of their names; `twice` is told of how many versions both speak."""
    sides = _Side(iter(earlier)), _Side(iter(later))
    while all(side.fill() for side in sides):
        # A name that ends a batch may go on in the next: only what comes before it is known whole.
        end = min((side.last for side in sides if not side.ended), default=None)
        first, second = (side.before(end) for side in sides)
        yield from _together(first, second, twice)
        for side in sides:
            if not side.ended and side.last == end:
                side.more()
    for side in sides:
        yield from side.rest()


class _Side:
    """One run and what of it was not handed on yet."""

    def __init__(self, batches: Iterator[pa.RecordBatch]) -> None:
        self._batches = batches
        self._held: list[pa.RecordBatch] = []
        self.ended = False

    @property
    def last(self) -> bytes:
        """The last name that is held, as the service orders names."""
        return str(self._held[-1].column("name")[-1].as_py()).encode() if self._held else b""

    def fill(self) -> bool:
        """Hold at least one row; False when there is none left."""
        while not self._held and not self.ended:
            self.more()
        return bool(self._held)

    def more(self) -> None:
        """Take one more batch."""
        batch = next(self._batches, None)
        if batch is None:
            self.ended = True
        elif batch.num_rows:
            self._held.append(batch)

    def before(self, end: bytes | None) -> list[pa.RecordBatch]:
        """Hand on the rows whose names come before this one; all of them where there is no end."""
        given: list[pa.RecordBatch] = []
        kept: list[pa.RecordBatch] = []
        for batch in self._held:
            count = batch.num_rows
            if end is not None:
                names = batch.column("name").cast(pa.binary())
                count = pc.sum(pc.less(names, pa.scalar(end, pa.binary())).cast(pa.int64())).as_py() or 0
            if count:
                given.append(batch.slice(0, count))
            if count < batch.num_rows:
                kept.append(batch.slice(count))
        self._held = kept
        return given

    def rest(self) -> Iterator[pa.RecordBatch]:
        """Hand on all that is left."""
        yield from self._held
        self._held = []
        yield from self._batches


def _together(
    earlier: list[pa.RecordBatch], later: list[pa.RecordBatch], twice: Callable[[int], object]
) -> Iterator[pa.RecordBatch]:
    if not earlier or not later:
        yield from earlier or later
        return
    ranked = (
        pa.Table.from_batches(side).append_column(_RANK, pa.array([rank] * sum(map(len, side)), pa.int8()))
        for rank, side in enumerate((earlier, later))
    )
    table = pa.concat_tables(ranked)
    table = table.sort_by([("name", "ascending"), ("version", "ascending"), (_RANK, "ascending")]).combine_chunks()
    names, versions = (table.column(name).combine_chunks() for name in ("name", "version"))
    again = pc.and_(pc.equal(names[:-1], names[1:]), _same(versions[:-1], versions[1:]))
    if count := pc.sum(again.cast(pa.int64())).as_py():
        twice(count)
        keys = (table.column(name).combine_chunks() for name in _KEY)
        agreed = reduce(pc.and_, [_same(one[:-1], one[1:]) for one in keys])
        table = _unknown(table, pa.concat_arrays([pa.array([False]), pc.and_not(again, agreed)]))
    keep = pa.concat_arrays([pc.invert(again), pa.array([True])])
    yield from table.filter(keep).drop_columns([_RANK]).to_batches()


def _unknown(table: pa.Table, rows: pa.BooleanArray) -> pa.Table:
    """Take away from these rows what they say of their key."""
    for name, value in _NOT_KNOWN.items():
        place = table.schema.get_field_index(name)
        field = table.schema.field(place)
        table = table.set_column(place, field, pc.if_else(rows, pa.scalar(value, field.type), table.column(name)))
    return table


def _same(some: "pa.Array[Any]", others: "pa.Array[Any]") -> pa.BooleanArray:  # quoted: takes no parameters at run time
    """Whether two versions are equal; where a bucket has none, none equals only none."""
    return pc.coalesce(pc.equal(some, others), pc.and_(pc.is_null(some), pc.is_null(others)))
