"""The files of a report of S3 Inventory -> one file of its rows in the order of names, as a listing has them.

Source: Amazon S3 User Guide, "Amazon S3 Inventory list". In CSV names are URL-encoded, a `+` being a blank, and columns
have no head; ORC and Parquet have columns of their own, and names as they are.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, BinaryIO, Final

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from auditor.errors import CollectError
from auditor.inventory.files import UNFINISHED, put, very_file
from auditor.inventory.sql import quoted, working
from auditor.model import Reason
from auditor.plurals import counted
from auditor.warehouse.unreadable import refused_by

ROWS: Final[Mapping[str, str]] = {
    "name": "VARCHAR",
    "version": "VARCHAR",
    "newest": "BOOLEAN",
    "size": "BIGINT",
    "modified": "VARCHAR",
    "etag": "VARCHAR",
    "class": "VARCHAR",
    "status": "VARCHAR",
    "archived": "BOOLEAN",
}
"""Columns of the file, delete markers left out; `modified` is ISO 8601, UTC."""
_CALLED: Final = {
    "Bucket": "bucket",
    "Key": "key",
    "VersionId": "version_id",
    "IsLatest": "is_latest",
    "IsDeleteMarker": "is_delete_marker",
    "Size": "size",
    "LastModifiedDate": "last_modified_date",
    "ETag": "e_tag",
    "StorageClass": "storage_class",
    "EncryptionStatus": "encryption_status",
    "IntelligentTieringAccessTier": "intelligent_tiering_access_tier",
}
"""In CSV -> in ORC and Parquet."""
_ALWAYS: Final = ("bucket", "key", "size", "last_modified_date", "e_tag", "storage_class", "encryption_status")
_OF_VERSIONS: Final = ("version_id", "is_latest", "is_delete_marker")
_TIER: Final = "intelligent_tiering_access_tier"
_RESTORED_FIRST: Final = "('ARCHIVE', 'ARCHIVE_ACCESS', 'DEEP_ARCHIVE', 'DEEP_ARCHIVE_ACCESS')"
"""Access tiers of which nothing is read without a restore. Source: S3 User Guide, S3 Intelligent-Tiering."""
_LARGEST: Final = 1 << 50
"""Bytes: twenty times as much as an object may have."""
_TOLD: Final = """
CREATE TEMP VIEW told AS SELECT
    bucket,
    {name} AS name,
    {version} AS version,
    {newest} AS newest,
    {marker} AS marker,
    TRY_CAST(size AS BIGINT) AS size,
    TRY_CAST(last_modified_date AS TIMESTAMPTZ) AS modified,
    NULLIF(trim(e_tag, '"'), '') AS etag,
    COALESCE(NULLIF(storage_class, ''), 'STANDARD') AS class,
    NULLIF(encryption_status, '') AS status,
    {archived} AS archived
FROM report
"""
_ODD: Final = f"""
SELECT count(*), count(*) FILTER (WHERE bucket IS DISTINCT FROM $bucket),
    count(*) FILTER (WHERE name IS NULL OR name = '' OR newest IS NULL OR marker IS NULL OR modified IS NULL
        OR (NOT marker AND (size IS NULL OR size < 0 OR size > {_LARGEST})))
FROM told
"""  # noqa: S608 - numbers of our own
_IN_ORDER: Final = """
COPY (
    SELECT name, version, newest, size,
        replace(CAST(CAST(modified AS TIMESTAMP) AS VARCHAR), ' ', 'T') || 'Z' AS modified,
        etag, class, status, archived
    FROM told WHERE NOT marker ORDER BY name, newest DESC, modified DESC, version
) TO '{target}' (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 40960)
"""
_HINT: Final = "sweep again later, or leave `s3_inventory` away and list the bucket from here"


def write(form: str, columns: Sequence[str], files: Sequence[Path], bucket: str, target: Path) -> None:
    """Put the rows of some files in order; what does not fit in memory goes beside `target`.

    `form`: CSV, ORC or Parquet. `columns`: of CSV, as the service calls them.

    Raises:
        CollectError: they tell what no bucket can, or lack a column.
        OSError, duckdb.OperationalError: the disk fails.
    """
    unfinished = target.with_name(f"{UNFINISHED}{target.name}")
    with refused_by(lambda why: _refused(f"it {why}")), working(target.parent) as session:
        given = [_from_orc(one) for one in files] if form == "ORC" else files
        session.execute(f"CREATE TEMP VIEW report AS SELECT * FROM {_given(form, columns, given)}")  # noqa: S608 - ours
        _demand_sense(session, form, bucket)
        session.execute(_IN_ORDER.format(target=quoted(unfinished)))
    put(unfinished, target)


def _demand_sense(session: duckdb.DuckDBPyConnection, form: str, bucket: str) -> None:
    """See that files tell what a bucket can hold; nothing is written for that.

    Raises:
        CollectError: they do not.
    """
    try:
        found = {str(name): str(kind) for name, kind, *_ in session.execute("DESCRIBE report").fetchall()}
        if lacking := [one for one in _ALWAYS if one not in found]:
            raise _refused(f"it lacks {', '.join(lacking)}", Reason.UNSUPPORTED)
        if blobs := [name for name, kind in found.items() if kind == "BLOB"]:
            raise _refused(f"{', '.join(blobs)} is no text", Reason.UNSUPPORTED)
        session.execute(_TOLD.format(**_columns(form, found)))
        ((rows, elsewhere, odd),) = session.execute(_ODD, {"bucket": bucket}).fetchall()
    except duckdb.IOException as error:
        raise _refused(f"it cannot be read: {str(error).partition(chr(10))[0][:200]}") from None
    if not rows:
        raise _refused("it has no row: an empty bucket cannot be told from one that it knows nothing of")
    if elsewhere:
        raise _refused(f"{counted(elsewhere, 'row')} of it are of another bucket")
    if odd:
        raise _refused(f"in {counted(odd, 'row')} of it a name, a size or a time is missing, or is none")


def has_versions(rows: BinaryIO) -> bool:
    """Whether each version was told, and not only the newest; of what has delete markers alone it was."""
    file = pq.ParquetFile(rows)
    if not file.num_row_groups:
        return True
    found = file.read_row_group(0, columns=["version"]).column("version")
    return found.null_count < len(found)


def read(rows: BinaryIO, at_once: int) -> Iterator[Mapping[str, list[Any]]]:
    """Yield the rows of such a file some at a time, by column.

    Raises:
        CollectError: a version is told twice, or a name has two newest ones.
    """
    last, seen = "", set[str | None]()
    with pq.ParquetFile(rows) as file:
        for some in file.iter_batches(at_once, columns=list(ROWS)):
            found = some.to_pydict()
            for name, version, newest in zip(found["name"], found["version"], found["newest"], strict=True):
                if name != last:
                    last, seen = name, set()
                elif newest or version in seen:
                    raise _refused("it tells a version more than once")
                seen.add(version)
            yield found


def _from_orc(path: Path) -> Path:
    """Write the columns that matter as Parquet, in the place of a file that DuckDB does not read."""
    # Slow to import, and of no other format.
    orc = import_module("pyarrow.orc")
    target = path.with_suffix(".parquet")
    try:
        file = orc.ORCFile(path)
        fields = [one for one in file.schema if one.name in _CALLED.values()]
        names = [one.name for one in fields]
        with pq.ParquetWriter(target, pa.schema(fields)) as out:
            # A stripe at a time: what reads ahead takes twice the memory.
            for number in range(file.nstripes):
                out.write_batch(file.read_stripe(number, columns=names))
    except (pa.ArrowException, OSError) as error:
        raise _refused(f"it cannot be read: {type(error).__name__}") from None
    path.unlink()
    return target


def _given(form: str, columns: Sequence[str], files: Sequence[Path]) -> str:
    paths = ", ".join(f"'{quoted(very_file(one))}'" for one in files)
    if form != "CSV":
        return f"read_parquet([{paths}], hive_partitioning = false, union_by_name = true)"
    names = [_CALLED.get(one, f"other_{place}") for place, one in enumerate(columns)]
    told = ", ".join(f"'{one}': 'VARCHAR'" for one in names)
    how = "auto_detect = false, header = false, delim = ',', quote = '\"', escape = '\"', compression = 'gzip'"
    return f"read_csv([{paths}], {how}, columns = {{{told}}}, hive_partitioning = false)"


def _columns(form: str, found: Collection[str]) -> dict[str, str]:
    """How each is made of what there is: a report of the newest versions alone says nothing of versions."""
    versions = all(one in found for one in _OF_VERSIONS)
    tier = f"COALESCE(upper({_TIER}) IN {_RESTORED_FIRST}, false)" if _TIER in found else "false"
    name = "url_decode(replace(key, '+', '%20'))" if form == "CSV" else "key"
    if not versions:
        return {"name": name, "version": "NULL::VARCHAR", "newest": "true", "marker": "false", "archived": tier}
    return {
        "name": name,
        # What was stored before the bucket had versions.
        "version": "COALESCE(NULLIF(version_id, ''), 'null')",
        "newest": "TRY_CAST(is_latest AS BOOLEAN)",
        "marker": "TRY_CAST(is_delete_marker AS BOOLEAN)",
        "archived": tier,
    }


def _refused(why: str, reason: Reason = Reason.MALFORMED) -> CollectError:
    return CollectError(f"its report of S3 Inventory: {why}", _HINT, reason=reason)
