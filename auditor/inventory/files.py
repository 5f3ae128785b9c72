"""How objects stand in Parquet files: columns and encodings, each file in place whole or not at all."""

import hashlib
import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from auditor import rows

_BEFORE: Final = [pa.field("bucket", pa.string(), nullable=False)]
_AFTER: Final[list["pa.Field[Any]"]] = [  # quoted: the class takes no parameters at run time
    pa.field("namespace", pa.string()),
    pa.field("tenant", pa.string()),
]
SCHEMA: Final = pa.schema([*_BEFORE, *rows.SCHEMA, *_AFTER])
Seen = tuple[int, int, int]
"""Inode, size and time of the last change."""
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

    def __init__(self, path: Path, look: Callable[[pa.Table], None]) -> None:
        self._path = path
        self._unfinished = path.with_name(f"{UNFINISHED}{path.name}")
        self._look = look
        self._waiting: list[pa.RecordBatch] = []
        self._held = 0
        # It may be another name of a file that a whole sweep has: a sweep was killed that was about to take it over.
        self._unfinished.unlink(missing_ok=True)
        self._writer = pq.ParquetWriter(
            self._unfinished,
            SCHEMA,
            compression="zstd",
            use_dictionary=_REPEATING,  # type: ignore[arg-type] # the stubs know of no list
            column_encoding=_BY_VALUE,
            write_statistics=["name"],
        )

    def add(self, some: pa.RecordBatch) -> None:
        """Write some rows, at once or a little later."""
        self._waiting.append(some)
        self._held += some.num_rows
        if self._held >= _ROWS_A_GROUP:
            self._write_group()

    def finish(self) -> None:
        """Write what is left; from then on the file is there, whatever happens."""
        self._write_group()
        self._writer.close()
        put(self._unfinished, self._path)

    def give_up(self) -> None:
        """Leave nothing."""
        self._writer.close()
        self._unfinished.unlink(missing_ok=True)

    def _write_group(self) -> None:
        if not self._waiting:
            return
        group = pa.Table.from_batches(self._waiting, SCHEMA)
        self._writer.write_table(group, row_group_size=_ROWS_A_GROUP)
        self._waiting, self._held = [], 0
        self._look(group)


def make_folder(path: Path, root: Path) -> None:
    """Make a folder and those above it from `root` on.

    What `root` is in is there, or was moved away while a daemon works: made anew it would keep it from coming back.

    Raises:
        OSError: it cannot be made.
    """
    for each in (root, *reversed(path.relative_to(root).parents[:-1]), path):
        with suppress(FileExistsError):
            (root / each).mkdir(mode=0o700)


def put(unfinished: Path, path: Path) -> None:
    """Give a file that is whole its name, once the disk has it."""
    with unfinished.open("rb") as file:
        os.fsync(file.fileno())
    unfinished.replace(path)


def read(paths: Iterable[Path]) -> Iterator[pa.RecordBatch]:
    """Yield the rows of some files, one file after the other."""
    for path in paths:
        with pq.ParquetFile(path, pre_buffer=False) as file:
            yield from file.iter_batches(batch_size=_ROWS_AT_ONCE)


def digest(path: Path) -> str:
    """SHA-256 of a file, hexadecimal.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def seen(path: Path) -> Seen:
    """What a file looks like; it looks otherwise whenever somebody touched it.

    Raises:
        OSError: it is not there.
    """
    found = path.stat()
    return found.st_ino, found.st_size, found.st_ctime_ns


def very_file(path: Path) -> str:
    """Write the path so that DuckDB, which reads it as a pattern, finds this file and no other."""
    return re.sub(r"[*?\[]", r"[\g<0>]", str(path))
