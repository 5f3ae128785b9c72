"""All dependencies of a judgement as one Parquet file: the same fields as in the JSON, for tables of millions."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from operator import attrgetter
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from auditor.findings import Assessed
from auditor.model import Dependency
from auditor.ports import EachDependency

_AT_ONCE: Final = 50_000
_MOMENT: Final = pa.timestamp("us", tz="UTC")
_COLUMNS: Final[dict[str, tuple[pa.DataType, str]]] = {
    "bucket": (pa.string(), "bucket"),
    "namespace": (pa.string(), "namespace"),
    "tenant": (pa.string(), "tenant"),
    "owner": (pa.string(), "owner"),
    "team": (pa.string(), "team"),
    "population": (pa.string(), "population"),
    "encryption": (pa.string(), "assessed.encryption"),
    "key": (pa.string(), "key"),
    "key_version": (pa.string(), "key_version"),
    "readability": (pa.string(), "assessed.assessment.readability"),
    "basis": (pa.string(), "assessed.assessment.basis"),
    "cause": (pa.string(), "assessed.assessment.cause"),
    "final_at": (_MOMENT, "assessed.assessment.final_at"),
    "objects": (pa.int64(), "objects"),
    "bytes": (pa.int64(), "size"),
    "archived": (pa.int64(), "archived"),
    "oldest": (_MOMENT, "oldest"),
    "newest": (_MOMENT, "newest"),
}
"""Column -> its type, and where it stands in a dependency, or in what was assessed of it."""
_OF_ASSESSED: Final = "assessed."
_SCHEMA: Final = pa.schema({name: kind for name, (kind, _) in _COLUMNS.items()})


@contextmanager
def copying(rows: EachDependency, path: Path) -> Iterator[EachDependency]:
    """Give the same rows, each of which is written into a file as it passes: they are read once for all.

    Memory stays flat however many there are.

    Raises:
        OSError: it cannot be written.
    """
    with pq.ParquetWriter(path, _SCHEMA, compression="zstd") as writer:
        yield _Copied(rows, writer)


class _Copied:
    """Rows on their way to somebody who reads all of them."""

    def __init__(self, rows: EachDependency, writer: pq.ParquetWriter) -> None:
        self._rows = rows
        self._writer = writer

    def rows(
        self, assessed: Iterable[Assessed], offset: int = 0, limit: int | None = None
    ) -> Iterator[tuple[Dependency, Assessed]]:
        """Yield every dependency with its assessment."""
        some: list[tuple[Dependency, Assessed]] = []
        for one in self._rows.rows(assessed, offset, limit):
            some.append(one)
            if len(some) == _AT_ONCE:
                self._writer.write_batch(_batch(some))
                some = []
            yield one
        self._writer.write_batch(_batch(some))


def _batch(some: list[tuple[Dependency, Assessed]]) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([_column(some, *of) for of in _COLUMNS.values()], schema=_SCHEMA)


def _column(some: list[tuple[Dependency, Assessed]], kind: pa.DataType, where: str) -> "pa.Array[Any]":
    place = attrgetter(where.removeprefix(_OF_ASSESSED))
    which = 1 if where.startswith(_OF_ASSESSED) else 0
    return pa.array([place(one[which]) for one in some], kind)
