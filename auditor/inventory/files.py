"""How objects stand in Parquet files: columns, encodings, and the key-value lines of a file's footer."""

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Self

import pyarrow as pa
import pyarrow.parquet as pq

from auditor import rows

_BEFORE: Final = [pa.field("bucket", pa.string(), nullable=False)]
_AFTER: Final[list["pa.Field[Any]"]] = [  # quoted: the class takes no parameters at run time
    pa.field("namespace", pa.string()),
    pa.field("tenant", pa.string()),
]
SCHEMA: Final = pa.schema([*_BEFORE, *rows.SCHEMA, *_AFTER])
UNFINISHED: Final = ".writing-"
"""What the name of a file begins with that is not whole yet."""
_ROWS_A_GROUP: Final = 30_000
"""Rows that are compressed together: few enough to keep memory flat, enough to compress well."""
_ROWS_AT_ONCE: Final = 10_000
_BY_VALUE: Final = {"name": "DELTA_BYTE_ARRAY", "modified": "DELTA_BINARY_PACKED", "size": "DELTA_BINARY_PACKED"}
"""Columns whose values hardly repeat: a dictionary of them would only cost."""
_REPEATING: Final = [name for name in SCHEMA.names if name not in {*_BY_VALUE, "version", "etag"}]


class RowFile:
    """Writes rows under another name, and puts the file in place whole or not at all; `look` sees rows go by."""

    def __init__(self, path: Path, look: Callable[[pa.Table], None] | None = None) -> None:
        self._path = path
        self._unfinished = path.with_name(f"{UNFINISHED}{path.name}")
        self._look = look
        self._waiting: list[pa.RecordBatch] = []
        self._held = 0
        self._writer = pq.ParquetWriter(
            self._unfinished,
            SCHEMA,
            compression="zstd",
            use_dictionary=_REPEATING,  # type: ignore[arg-type] # the stubs know of no list
            column_encoding=_BY_VALUE,
            write_statistics=["name"],
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is not None:
            self._writer.close()
            self._unfinished.unlink(missing_ok=True)

    def add(self, some: pa.RecordBatch) -> None:
        """Write some rows, at once or a little later."""
        self._waiting.append(some)
        self._held += some.num_rows
        if self._held >= _ROWS_A_GROUP:
            self._write_group()

    def finish(self, about: Mapping[str, str]) -> None:
        """Write what is left, and what stands in the footer; from then on the file is there, whatever happens."""
        self._write_group()
        if about:
            self._writer.add_key_value_metadata(dict(about))
        self._writer.close()
        with self._unfinished.open("rb") as file:
            os.fsync(file.fileno())
        self._unfinished.replace(self._path)

    def _write_group(self) -> None:
        if not self._waiting:
            return
        group = pa.Table.from_batches(self._waiting, SCHEMA)
        self._writer.write_table(group, row_group_size=_ROWS_A_GROUP)
        self._waiting, self._held = [], 0
        if self._look is not None:
            self._look(group)


def write(path: Path, batches: Iterable[pa.RecordBatch], look: Callable[[pa.Table], None] | None = None) -> None:
    """Write a whole file of rows."""
    with RowFile(path, look) as file:
        for some in batches:
            file.add(some)
        file.finish({})


def read(paths: Iterable[Path]) -> Iterator[pa.RecordBatch]:
    """Yield the rows of some files, one file after the other."""
    for path in paths:
        with pq.ParquetFile(path, pre_buffer=False) as file:
            yield from file.iter_batches(batch_size=_ROWS_AT_ONCE)


def about(path: Path) -> tuple[int, Mapping[str, str]] | None:
    """How many rows a file has and what its footer says; None where it is no whole file of rows."""
    try:
        found = pq.read_metadata(path)
        return found.num_rows, {name.decode(): value.decode() for name, value in (found.metadata or {}).items()}
    except (OSError, pa.ArrowInvalid, UnicodeDecodeError):
        return None


def very_file(path: Path) -> str:
    """Write the path so that DuckDB, which reads it as a pattern, finds this file and no other."""
    return re.sub(r"[*?\[]", r"[\g<0>]", str(path))
