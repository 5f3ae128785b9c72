"""The live inventory table of S3 Metadata -> dependencies: its files are fetched, and added up here."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Final, Protocol

from auditor.errors import CollectError
from auditor.inventory.files import very_file
from auditor.inventory.sql import quoted, working
from auditor.model import Reason
from auditor.plurals import counted
from auditor.ports import Taken
from auditor.warehouse import iceberg, lacking
from auditor.warehouse.aggregate import S3_METADATA_COLUMNS, statement
from auditor.warehouse.answer import Answer
from auditor.warehouse.unreadable import refused_by

_WHAT: Final = "S3 Metadata"
_HINT: Final = "sweep again later, or leave `s3_metadata` away"
_TEXT: Final = ("VARCHAR", ("string",))
_COLUMNS: Final = {
    **dict.fromkeys(S3_METADATA_COLUMNS, _TEXT),
    "is_delete_marker": ("BOOLEAN", ("boolean",)),
    "size": ("BIGINT", ("int", "long")),
    "last_modified_date": ("TIMESTAMP", ("timestamp", "timestamptz")),
    **dict.fromkeys(lacking.COLUMNS, _TEXT),
}
"""Which are read, as what, and of which types of Iceberg they may be."""
# Sums pass over what is NULL, and less than nothing makes them smaller: neither is seen in them any more.
_ODD: Final = """
bucket IS NULL OR key IS NULL OR sequence_number IS NULL
OR (NOT COALESCE(is_delete_marker, FALSE) AND (size IS NULL OR size < 0 OR last_modified_date IS NULL))
"""
# The newest of a name has the greatest sequence number. To sort all names for it takes most of the time and memory,
# and most names have one version: a digest that stands there once is such a one's for certain.
_TWICE: Final = "CREATE TEMP TABLE twice AS SELECT hash(key) AS h FROM inventory GROUP BY 1 HAVING count(*) > 1"
_TOLD: Final = """
CREATE TEMP VIEW told AS
SELECT *, 1 AS nth FROM inventory WHERE hash(key) NOT IN (SELECT h FROM twice)
UNION ALL
SELECT *, ROW_NUMBER() OVER (PARTITION BY key ORDER BY sequence_number DESC) AS nth
FROM inventory WHERE hash(key) IN (SELECT h FROM twice)
"""
_TWO_OF_ONE: Final = """
SELECT count(*) FROM (
    SELECT 1 FROM inventory WHERE hash(key) IN (SELECT h FROM twice) GROUP BY key, sequence_number HAVING count(*) > 1
)
"""


class Table(lacking.Asking, Protocol):
    """A table of S3 Metadata, where its files lie, and who asks the objects that it tells of."""

    def place(self) -> str:
        """The URL of its metadata as it is just now.

        Raises:
            CollectError: there is none, it is not whole yet, or nobody may know.
        """

    def read(self, url: str) -> bytes:
        """Read a small file whole.

        Raises:
            CollectError: it cannot be read.
        """

    def fetch(self, url: str, target: Path, size: int) -> None:
        """Put a file on the disk; one of more than `size` bytes is given up as soon as it has them.

        Raises:
            CollectError: it cannot be read.
            OSError: it cannot be written.
        """


@dataclass(frozen=True, slots=True)
class MetadataTable:
    """The table of one bucket."""

    table: Table
    answer: Answer
    """Of the same bucket, at whatever path: each row is checked as one of a warehouse is."""

    @property
    def told_by(self) -> str:
        """As gaps call it."""
        return _WHAT

    def put(self, folder: Path, target: Path, now: datetime) -> Taken:
        """Write its dependencies; `folder` is where files and what does not fit in memory go.

        Raises:
            CollectError: it cannot be read, is not whole, or tells what no bucket can.
            OSError, duckdb.OperationalError: the disk fails.
        """
        place = self.table.place()
        try:
            return self._put(place, folder, target, now)
        except CollectError as error:
            # What is compacted goes after a while, and to whoever may not list S3 says that it may not be read.
            if error.reason not in {Reason.NOT_FOUND, Reason.ACCESS_DENIED}:
                raise
            newest = self.table.place()
            if newest == place:
                raise
        return self._put(newest, folder, target, now)

    def _put(self, place: str, folder: Path, target: Path, now: datetime) -> Taken:
        columns = {name: types for name, (_, types) in _COLUMNS.items()}
        found = iceberg.snapshot(self.table, place, columns)
        if not found.rows:
            raise _refused("its table has no row: an empty bucket cannot be told from one that it knows nothing of")
        answer = folder / "answer.parquet"
        with self._fetched(folder, found) as paths, refused_by(_refused), working(folder) as session:
            files = ", ".join(f"'{quoted(very_file(one))}'" for one in paths)
            given = f"read_parquet([{files}], schema = {_schema(found.fields)}, hive_partitioning = false)"
            session.execute(f"CREATE TEMP VIEW inventory AS SELECT * FROM {given}")  # noqa: S608 - ours
            kinds = f"count(*), count(*) FILTER (WHERE {_ODD}), count(*) FILTER (WHERE {lacking.LACKS})"
            counts = f"SELECT {kinds} FROM inventory"  # noqa: S608 - ours
            ((rows, odd, keyless),) = session.execute(counts).fetchall()
            if rows != found.rows:
                raise _refused(f"its files have {counted(rows, 'row')}, and its metadata says {found.rows:,}")
            if odd:
                raise _refused(f"in {counted(odd, 'row')} a name, a size or a time is missing, or a size is below 0")
            # With more it takes no less time, and what does not fit goes to the disk.
            session.execute("SET memory_limit = '320MB'")
            session.execute(_TWICE)
            ((again,),) = session.execute(_TWO_OF_ONE).fetchall()
            if again:
                raise _refused(f"it tells {counted(again, 'version')} more than once")
            session.execute(_TOLD)
            # By the clock of the cloud, as a warehouse's own is, and as of before the table was looked for.
            asked = f"TIMESTAMPTZ '{now.isoformat()}'"
            source = lacking.learn(session, self.table, folder, now) if keyless else "told"
            text = statement("s3-metadata", self.answer.layout, source, self.answer.bucket, place="nth", asked=asked)
            session.execute(f"COPY ({text}) TO '{quoted(str(answer))}' (FORMAT parquet)")
        try:
            return replace(self.answer, path=answer, named=_WHAT, hint=_HINT).put(folder, target, now)
        finally:
            answer.unlink(missing_ok=True)

    @contextmanager
    def _fetched(self, folder: Path, found: iceberg.Snapshot) -> Iterator[list[Path]]:
        paths: list[Path] = []
        try:
            for number, one in enumerate(found.files):
                paths.append(folder / f"table-{number:06}.parquet")
                self.table.fetch(one.url, paths[-1], one.size)
                if paths[-1].stat().st_size != one.size:
                    raise _refused(f"a file of its table has not the {one.size:,} bytes that its metadata says")
            yield paths
        finally:
            for path in paths:
                path.unlink(missing_ok=True)


def _schema(fields: Mapping[str, int]) -> str:
    """What is read of a file, by what it knows its columns by: not by names, and nothing else that it has."""
    columns = (
        f"{fields[name]}: {{name: '{name}', type: '{kind}', default_value: NULL}}"
        for name, (kind, _) in _COLUMNS.items()
    )
    return f"MAP {{{', '.join(columns)}}}"


def _refused(why: str) -> CollectError:
    return CollectError(f"{_WHAT}: {why}", _HINT, reason=Reason.MALFORMED)
