"""One sweep's objects as a key-sorted Parquet file, and the dependencies aggregated from it."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from itertools import islice
from pathlib import Path
from typing import Any, Final

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from auditor.errors import CollectError
from auditor.inventory.layout import Layout
from auditor.model import Reason, Sample, StoredObject
from auditor.ports import Written

SNAPSHOT: Final = "snapshot.parquet"
DEPENDENCIES: Final = "dependencies.parquet"

_TIME: Final = pa.timestamp("us", tz="UTC")
_FIELDS: Final[list["pa.Field[Any]"]] = [  # quoted: the class takes no parameters at run time
    pa.field("bucket", pa.string(), nullable=False),
    pa.field("name", pa.string(), nullable=False),
    pa.field("version", pa.string()),
    pa.field("population", pa.string(), nullable=False),
    pa.field("size", pa.int64(), nullable=False),
    pa.field("modified", _TIME, nullable=False),
    pa.field("etag", pa.string()),
    pa.field("storage_class", pa.string(), nullable=False),
    pa.field("archived", pa.bool_(), nullable=False),
    pa.field("encryption", pa.string(), nullable=False),
    pa.field("key", pa.string()),
    pa.field("key_version", pa.string()),
    pa.field("namespace", pa.string()),
    pa.field("tenant", pa.string()),
    pa.field("verified", _TIME),
    pa.field("problem", pa.string()),
    pa.field("told", pa.int64(), nullable=False),
]
SCHEMA: Final = pa.schema(_FIELDS)
_BATCH: Final = 20_000
_AGGREGATE: Final = files("auditor.inventory").joinpath("aggregate.sql").read_text(encoding="utf-8")

# Told twice happens when an object is deleted between two passes of a listing: the later word counts. DuckDB compares
# text by its UTF-8 bytes, which is the order in which both clouds list.
_SORT: Final = """
COPY (
    SELECT * EXCLUDE (told) FROM read_parquet($arrived)
    QUALIFY row_number() OVER (PARTITION BY name, version ORDER BY told DESC) = 1
    ORDER BY name, version NULLS FIRST
) TO '{target}' (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 122880)
"""
_COUNTS: Final = """
SELECT count(*), count(*) FILTER (encryption <> 'unknown'), count(*) FILTER (namespace IS NULL),
       epoch_us(min(verified)) FROM snapshot
"""
# A name of dots alone is a step in a path to many a client on the way: another object will do.
_SAMPLES_EACH: Final = 3
_SAMPLES: Final = """
SELECT bucket, key, key_version, name, version FROM read_parquet($snapshot)
WHERE key IS NOT NULL AND size > 0 AND NOT archived AND population <> 'soft_deleted' AND name NOT IN ('.', '..')
QUALIFY row_number() OVER (
    PARTITION BY key, key_version
    ORDER BY storage_class <> 'STANDARD', size > 1048576, modified, name, version
) <= $most
ORDER BY key, key_version, storage_class <> 'STANDARD', size > 1048576, modified, name, version
"""
_UNRESOLVED: Final = "SELECT problem, count(*) FROM snapshot WHERE encryption = 'unknown' GROUP BY 1 ORDER BY 1"


def write(folder: Path, bucket: str, layout: Layout, objects: Iterable[StoredObject]) -> Written:
    """Write snapshot and dependencies into an empty folder; `files` of the answer is left for the caller to fill.

    Raises:
        CollectError: an object says something that no object can say.
    """
    arrived = folder / "arrived.parquet"
    with pq.ParquetWriter(arrived, SCHEMA, compression="snappy") as writer:
        for batch in batches(bucket, layout, objects):
            writer.write_batch(batch)
    with duckdb.connect() as database:
        _settle(database, folder)
        database.execute(_SORT.format(target=_quoted(folder / SNAPSHOT)), {"arrived": str(arrived)})
        arrived.unlink()
        # A view takes no parameters; the path is ours, and quoted.
        database.execute(f"CREATE VIEW snapshot AS FROM read_parquet('{_quoted(folder / SNAPSHOT)}')")
        database.execute(
            f"COPY ({_AGGREGATE}) TO '{_quoted(folder / DEPENDENCIES)}' (FORMAT parquet, COMPRESSION zstd)"
        )
        listed, resolved, outside, verified = database.execute(_COUNTS).fetchall()[0]
        problems = database.execute(_UNRESOLVED).fetchall()
    return Written(
        files={},
        listed=listed,
        resolved=resolved,
        outside=outside,
        oldest_verified=moment(verified) if verified is not None else None,
        unresolved=tuple((Reason(problem), count) for problem, count in problems),
    )


def samples(path: Path) -> tuple[Sample, ...]:
    """Choose a few stored versions under each key version: small, of a cheap class, the oldest first."""
    with duckdb.connect() as database:
        _settle(database, path.parent)
        rows = database.execute(_SAMPLES, {"snapshot": str(path), "most": _SAMPLES_EACH}).fetchall()
    return tuple(Sample(*row) for row in rows)


def moment(microseconds: int) -> datetime:
    """Turn microseconds since 1970 into an aware time, UTC, without rounding."""
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)


def _settle(database: duckdb.DuckDBPyConnection, folder: Path) -> None:
    database.execute(f"SET temp_directory = '{_quoted(folder / 'spill')}'")
    database.execute("SET memory_limit = '512MB'")
    database.execute("SET threads = 2")
    database.execute("SET TimeZone = 'UTC'")


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")


def batches(bucket: str, layout: Layout, objects: Iterable[StoredObject]) -> Iterator[pa.RecordBatch]:
    """Turn objects into rows, with namespace and tenant cut out of their names.

    Raises:
        CollectError: an object says something that no object can say.
    """
    told = 0
    arriving = iter(objects)
    while batch := list(islice(arriving, _BATCH)):
        spaces = [layout.read(one.name) for one in batch]
        columns: list[list[object]] = [
            [bucket] * len(batch),
            [one.name for one in batch],
            [one.version for one in batch],
            [one.population.value for one in batch],
            [one.size for one in batch],
            [one.modified for one in batch],
            [one.etag for one in batch],
            [one.storage_class for one in batch],
            [one.archived for one in batch],
            [one.encryption.value for one in batch],
            [one.key for one in batch],
            [one.key_version for one in batch],
            [namespace for namespace, _ in spaces],
            [tenant for _, tenant in spaces],
            [one.verified for one in batch],
            [one.problem.value if one.problem else None for one in batch],
            list(range(told, told + len(batch))),
        ]
        told += len(batch)
        try:
            yield pa.RecordBatch.from_arrays(
                [pa.array(values, kind.type) for values, kind in zip(columns, SCHEMA, strict=True)], schema=SCHEMA
            )
        except (pa.ArrowInvalid, UnicodeEncodeError, OverflowError) as error:
            raise CollectError(
                f"an object of {bucket} cannot be stored: {type(error).__name__}",
                "its name, size or date is no valid text or number",
                reason=Reason.MALFORMED,
            ) from None
