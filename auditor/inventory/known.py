"""What an earlier sweep learnt of a bucket, read in the order in which it is listed again."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from auditor import rows
from auditor.inventory.parts import Part
from auditor.model import Encryption

_ROWS_AT_ONCE: Final = 10_000
_FEW: Final = 3
_NOT_PLAIN: Final = pa.array([Encryption.CUSTOMER_SUPPLIED.value, Encryption.UNKNOWN.value], pa.string())
_SLOT: Final[list["pa.Field[Any]"]] = [pa.field("slot", pa.int64())]  # quoted: it takes no parameters at run time
_EMPTY: Final = pa.schema([*rows.SCHEMA, *_SLOT]).empty_table()


class KnownRows:
    """The rows of one sweep, page after page; of one thread."""

    def __init__(self, whole: Sequence[Part], *, as_is: bool = True) -> None:
        self.stretches = tuple(whole) if as_is else ()
        """All of it, where rows would look the same today."""
        self._parts = whole
        self._wanted = ""
        self._batches = self._read()
        self._held = _EMPTY
        """What was read and may be asked for still."""

    def of(self, names: Sequence[str]) -> pa.Table:
        """The rows of these names, which are in order and do not begin before the last that were asked for."""
        wanted, last = pa.array(names, pa.string()), names[-1]
        self._wanted = names[0]
        found: list[pa.Table] = []
        while True:
            count = _up_to(self._held, last)
            some, self._held = self._held.slice(0, count), self._held.slice(count)
            found.append(some.filter(pc.is_in(some.column("name"), wanted)))
            following = None if self._held.num_rows else next(self._batches, None)
            if following is None:
                break
            self._held = following
        together = pa.concat_tables(found)
        # Versions of one name may go on in the next page.
        again = together.filter(pc.equal(together.column("name"), pa.scalar(last)))
        self._held = pa.concat_tables([again, self._held])
        return together

    def anew(self) -> "KnownRows":
        """The same, to be read from its beginning."""
        return KnownRows(self._parts, as_is=bool(self.stretches))

    @property
    def newest(self) -> datetime | None:
        """When the last of them was verified."""
        return max((one.verified[1] for one in self._parts if one.verified is not None), default=None)

    def answered(self) -> list[tuple[str, str | None]]:
        """Name and version of a few that were HEADed without a key of their own."""
        for part in self._parts:
            with pq.ParquetFile(part.path, pre_buffer=False) as file:
                some = next(file.iter_batches(batch_size=_ROWS_AT_ONCE, columns=["name", "version", "encryption"]))
            plain = pc.invert(pc.is_in(some.column("encryption"), _NOT_PLAIN))
            if found := some.filter(plain).slice(0, _FEW).to_pylist():
                return [(one["name"], one["version"]) for one in found]
        return []

    def rest(self) -> Iterator[pa.Table]:
        """All rows, to be counted; of somebody who asks for none by name."""
        yield from self._batches

    def _read(self) -> Iterator[pa.Table]:
        for part in self._parts:
            # Nobody asks any more for what ends before.
            if part.last is None or part.last < self._wanted:
                continue
            with pq.ParquetFile(part.path, pre_buffer=False) as file:
                for some in file.iter_batches(batch_size=_ROWS_AT_ONCE, columns=rows.SCHEMA.names):
                    told = pa.Table.from_batches([some.cast(rows.SCHEMA)])
                    yield told.append_column(_SLOT[0], pa.repeat(pa.scalar(part.slot, pa.int64()), told.num_rows))


def _up_to(held: pa.Table, last: str) -> int:
    names = held.column("name").cast(pa.binary())
    count: int = pc.sum(pc.less_equal(names, pa.scalar(last.encode(), pa.binary())).cast(pa.int64())).as_py() or 0
    return count
