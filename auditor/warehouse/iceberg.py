"""Which files a table of Iceberg consists of just now: its metadata is read by pyiceberg, its rows by nobody here."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib import import_module
from importlib.util import find_spec
from io import BytesIO
from typing import Any, Final, Protocol

from auditor.errors import CollectError, ReadOnlyError, UsageError
from auditor.model import Reason

_MOST: Final = 100_000
"""Files of a table: to read ten thousand of them takes longer than a sweep."""
_PARQUET: Final = "PARQUET"
_LATER: Final = "sweep again later, or leave `s3_metadata` away"


class Objects(Protocol):
    """Where the files of a table lie."""

    def read(self, url: str) -> bytes:
        """Read a small one whole.

        Raises:
            CollectError: it cannot be read.
        """


@dataclass(frozen=True, slots=True)
class File:
    """Some rows of a table, in Parquet."""

    url: str
    size: int
    """Bytes."""
    rows: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A table as it was when it was changed last."""

    files: tuple[File, ...]
    changed: datetime | None
    """Aware, UTC; None where nothing was ever put into it."""
    fields: Mapping[str, int]
    """Name of a column -> what its files know it by: names may have changed since they were written."""

    @property
    def rows(self) -> int:
        """How many it has."""
        return sum(one.rows for one in self.files)


def demand_reader() -> None:
    """See that tables can be read at all.

    Raises:
        UsageError: the extra is not installed.
    """
    if find_spec("pyiceberg") is None:
        raise UsageError("[[bucket]] s3_metadata needs the extra `iceberg`", "install cmek-auditor[iceberg]")


def snapshot(objects: Objects, metadata: str, columns: Mapping[str, Collection[str]]) -> Snapshot:
    """Read what a metadata file says of the newest snapshot.

    `columns`: those that it must have, and of which types of Iceberg each may be.

    Raises:
        CollectError: some of it cannot be read, or rows in it were deleted in a way that its files do not tell.
    """
    try:
        return _snapshot(objects, metadata, columns)
    except (CollectError, ReadOnlyError):
        raise
    except Exception as error:  # noqa: BLE001 - whatever its files hold that none can hold
        why = f"its metadata cannot be read: {type(error).__name__}"
        raise CollectError(why, _LATER, reason=Reason.MALFORMED) from None


def _snapshot(objects: Objects, metadata: str, columns: Mapping[str, Collection[str]]) -> Snapshot:
    home = "".join(f"{part}/" for part in metadata.split("/")[:3])
    # An extra, and slow to import.
    io, table, serializers = (import_module(f"pyiceberg.{one}") for one in ("io", "table", "serializers"))

    class Whole(io.InputFile):  # type: ignore[name-defined,misc] # as said above
        """A file that is read at once: metadata is small beside the rows."""

        def __init__(self, url: str) -> None:
            super().__init__(url)
            _demand_own(home, url)
            self._content = objects.read(url)

        def __len__(self) -> int:
            return len(self._content)

        def exists(self) -> bool:
            return True

        def open(self, seekable: bool = True) -> BytesIO:  # noqa: ARG002, FBT001, FBT002 - its shape
            return BytesIO(self._content)

    class Reading(io.FileIO):  # type: ignore[name-defined,misc] # as said above
        """Nothing is ever written or removed: whoever tries is refused."""

        def new_input(self, location: str) -> Whole:
            return Whole(location)

        def new_output(self, location: str) -> Any:
            raise ReadOnlyError(f"refused to write {location}")

        def delete(self, location: Any) -> None:
            raise ReadOnlyError(f"refused to remove {location}")

    files = Reading()
    told = serializers.FromInputFile.table_metadata(files.new_input(metadata))
    fields = {one.name: one for one in told.schema().fields}
    for name, types in columns.items():
        if name not in fields:
            raise CollectError(f"the table has no column {name}", _LATER, reason=Reason.UNSUPPORTED)
        if (kind := str(fields[name].field_type)) not in types:
            why = f"the column {name} of the table is of the type {kind}"
            raise CollectError(why, _LATER, reason=Reason.UNSUPPORTED)
    ids = {name: int(fields[name].field_id) for name in columns}
    newest = told.current_snapshot()
    if newest is None:
        return Snapshot((), None, ids)
    found = tuple(_file(one) for one in table.DataScan(told, files).plan_files())
    if len(found) > _MOST:
        why = f"the table has {len(found):,} files, and {_MOST:,} are read at most"
        raise CollectError(why, "wait until S3 Tables has compacted it", reason=Reason.UNSUPPORTED)
    for one in found:
        _demand_own(home, one.url)
    changed = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=newest.timestamp_ms)
    return Snapshot(found, changed, ids)


def _demand_own(home: str, url: str) -> None:
    """See that a file lies in the bucket of the table's metadata: each table of S3 Tables has one of its own."""
    if not url.startswith(home) or not {".", ".."}.isdisjoint(url.split("/")):
        raise CollectError("its metadata names a file that is not the table's", _LATER, reason=Reason.MALFORMED)


def _file(task: Any) -> File:
    if task.delete_files:
        why = "rows of the table were deleted beside its files, which is not read yet"
        raise CollectError(why, "wait until S3 Tables has compacted it", reason=Reason.UNSUPPORTED)
    if task.file.file_format.name != _PARQUET:
        raise CollectError("a file of the table is not in Parquet", _LATER, reason=Reason.UNSUPPORTED)
    return File(task.file.file_path, task.file.file_size_in_bytes, task.file.record_count)
