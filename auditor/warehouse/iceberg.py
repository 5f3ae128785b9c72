"""Which files a table of Iceberg consists of just now: its metadata is read by pyiceberg, its rows by nobody here."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Final, Protocol

from auditor.errors import CollectError, ReadOnlyError, UsageError
from auditor.model import Reason

_MOST: Final = 100_000
"""Files of a table: to read ten thousand of them takes longer than a sweep."""
_ENTRIES: Final = 2 * _MOST
"""What manifests may tell of: files that were just compacted stand there as well, as removed."""
_MANIFESTS: Final = 10_000
_METADATA: Final = 256 << 20
"""Bytes that all metadata may have, packed and unpacked: a file is told of in 1 KB or so."""
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

    def read(url: str) -> bytes:
        _demand_own(home, url)
        return objects.read(url)

    # An extra, and slow to import.
    manifests = import_module("auditor.warehouse.manifests")
    files = manifests.Files(read, manifests.Room(_METADATA, _MANIFESTS, _ENTRIES))
    told = files.metadata(metadata)
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
    found = tuple(_file(one) for one in files.plan(told, newest))
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
