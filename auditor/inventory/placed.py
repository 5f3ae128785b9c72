"""How rows beside registries are written: one part while the next is made."""

from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Final, Self

import pyarrow as pa
import pyarrow.parquet as pq

_REPEATING: Final = [
    *("bucket", "tenant", "population", "encryption", "key", "key_version"),
    *("objects", "archived", "owner", "team", "portions"),
]
"""Columns with few values; a dictionary of others only costs."""
_RISING: Final = dict.fromkeys(("bytes", "oldest", "newest"), "DELTA_BINARY_PACKED")
_FAST: Final = 1
"""Of the levels of zstd: anybody can make this file anew, so it is not to be small above all."""


class Writer:
    """Writes rows into a file as they come; what waits in memory is two parts at most."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: pq.ParquetWriter | None = None
        self._waiting: pa.Table | None = None
        self._busy: Future[None] | None = None
        self._pool = ThreadPoolExecutor(1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        # A thread that still writes needs the file.
        self._pool.shutdown()
        try:
            if kind is None:
                self._finish()
        finally:
            if self._file is not None:
                self._file.close()

    def write(self, rows: pa.Table) -> None:
        """Take some rows, which come after all before; all have the same columns."""
        if self._waiting is not None and self._waiting.num_rows:
            if self._busy is not None:
                self._busy.result()
            self._busy = self._pool.submit(self._write, self._waiting)
        self._waiting = rows

    def _finish(self) -> None:
        """What came last is written here: of a small file that is all, and no thread is begun."""
        if self._busy is not None:
            self._busy.result()
        if self._waiting is not None:
            self._write(self._waiting)

    def _write(self, rows: pa.Table) -> None:
        if self._file is None:
            # What repeats itself may be held as a dictionary, and is text to whoever reads the file.
            self._file = pq.ParquetWriter(
                self._path,
                rows.schema,
                compression="zstd",
                compression_level=_FAST,
                use_dictionary=_REPEATING,  # type: ignore[arg-type] # the stubs know of no list
                column_encoding=_RISING,
                write_statistics=["namespace"],
                store_schema=False,
            )
        self._file.write_table(rows)
