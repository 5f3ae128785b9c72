"""What an earlier sweep learnt of a bucket, read in the order in which it is listed again."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from auditor import rows

_ROWS_AT_ONCE: Final = 10_000
_EMPTY: Final = rows.SCHEMA.empty_table()


class KnownRows:
    """The rows of one snapshot, page after page; of one thread."""

    def __init__(self, path: Path) -> None:
        self._batches = self._read(path)
        self._held = _EMPTY
        """What was read and may be asked for still."""

    def of(self, names: Sequence[str]) -> pa.Table:
        """The rows of these names, which are in order and do not begin before the last that were asked for."""
        wanted, last = pa.array(names, pa.string()), names[-1]
        found: list[pa.Table] = []
        while True:
            count = _up_to(self._held, last)
            some, self._held = self._held.slice(0, count), self._held.slice(count)
            found.append(some.filter(pc.is_in(some.column("name"), wanted)))
            following = None if self._held.num_rows else next(self._batches, None)
            if following is None:
                break
            self._held = pa.Table.from_batches([following])
        together = pa.concat_tables(found)
        # Versions of one name may go on in the next page.
        again = together.filter(pc.equal(together.column("name"), pa.scalar(last)))
        self._held = pa.concat_tables([again, self._held])
        return together

    @staticmethod
    def _read(path: Path) -> Iterator[pa.RecordBatch]:
        with pq.ParquetFile(path, pre_buffer=False) as file:
            for some in file.iter_batches(batch_size=_ROWS_AT_ONCE, columns=rows.SCHEMA.names):
                yield some.cast(rows.SCHEMA)


def _up_to(held: pa.Table, last: str) -> int:
    names = held.column("name").cast(pa.binary())
    count: int = pc.sum(pc.less_equal(names, pa.scalar(last.encode(), pa.binary())).cast(pa.int64())).as_py() or 0
    return count
