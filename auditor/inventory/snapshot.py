"""One sweep's objects as a key-sorted Parquet file, and the dependencies aggregated from it."""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial, reduce
from pathlib import Path
from typing import Any, Final, cast

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from auditor import rows
from auditor.errors import CollectError, LedgerError
from auditor.inventory.layout import Layout
from auditor.inventory.runs import merged
from auditor.inventory.totals import Told, Totals
from auditor.model import Reason, Sample
from auditor.ports import Written

SNAPSHOT: Final = "snapshot.parquet"
DEPENDENCIES: Final = "dependencies.parquet"

_BEFORE: Final = [pa.field("bucket", pa.string(), nullable=False)]
_AFTER: Final[list["pa.Field[Any]"]] = [  # quoted: the class takes no parameters at run time
    pa.field("namespace", pa.string()),
    pa.field("tenant", pa.string()),
]
SCHEMA: Final = pa.schema([*_BEFORE, *rows.SCHEMA, *_AFTER])
_ROWS_A_GROUP: Final = 30_000
"""Rows that are compressed together: few enough to keep memory flat, enough to compress well."""
_ROWS_AT_ONCE: Final = 10_000
_RUNS_TO_MERGE: Final = 4
"""Passes that are merged row by row; more of them are no passes but a listing in no order."""
_BY_VALUE: Final = {"name": "DELTA_BYTE_ARRAY", "modified": "DELTA_BINARY_PACKED", "size": "DELTA_BINARY_PACKED"}
"""Columns whose values hardly repeat: a dictionary of them would only cost."""
_PLAIN: Final = ("version", "etag")
_FIRST_DATE: Final = pa.scalar(datetime(1970, 1, 1, tzinfo=UTC), rows.TIME)
_NO_MORE_DATES: Final = pa.scalar(datetime(2200, 1, 1, tzinfo=UTC), rows.TIME)
"""No object was written before either service began, nor is one in a future that nobody lives to see."""

# As `runs.merged` does it: the later word counts, and nothing is known of a version that is told under two keys. DuckDB
# compares text by its UTF-8 bytes, which is the order in which both clouds list.
_SORT: Final = """
COPY (
    SELECT * EXCLUDE (filename, file_row_number, contradicted) REPLACE (
        if(contradicted, 'unknown', encryption) AS encryption, if(contradicted, NULL, key) AS key,
        if(contradicted, NULL, key_version) AS key_version, if(contradicted, NULL, verified) AS verified,
        if(contradicted, 'malformed', problem) AS problem
    )
    FROM (
        SELECT *, min(hash(encryption, key, key_version)) OVER told <> max(hash(encryption, key, key_version)) OVER told
            AS contradicted
        FROM read_parquet($arrived, filename = true, file_row_number = true, hive_partitioning = false)
        WINDOW told AS (
            PARTITION BY name, version ORDER BY filename DESC, file_row_number DESC
            ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING
        )
        QUALIFY row_number() OVER told = 1
    )
    ORDER BY name, version NULLS FIRST
) TO '{target}' (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 122880)
"""
_TWICE: Final = """
SELECT coalesce(sum(told - 1), 0)::BIGINT
FROM (SELECT count(*) AS told FROM read_parquet($arrived, hive_partitioning = false) GROUP BY name, version)
"""
# A name of dots alone is a step in a path to many a client on the way: another object will do.
_SAMPLES_EACH: Final = 3
_SAMPLES: Final = """
SELECT bucket, key, key_version, name, version FROM read_parquet($snapshot, hive_partitioning = false)
WHERE key IS NOT NULL AND size > 0 AND NOT archived AND population <> 'soft_deleted' AND name NOT IN ('.', '..')
QUALIFY row_number() OVER (
    PARTITION BY key, key_version
    ORDER BY storage_class <> 'STANDARD', size > 1048576, modified, name, version
) <= $most
ORDER BY key, key_version, storage_class <> 'STANDARD', size > 1048576, modified, name, version
"""


@dataclass(frozen=True, slots=True)
class _Run:
    """The rows of one pass over the bucket."""

    path: Path
    in_order: bool


def write(folder: Path, bucket: str, layout: Layout, batches: Iterable[pa.RecordBatch]) -> Written:
    """Write snapshot and dependencies into an empty folder; `files` of the answer is left for the caller to fill.

    `batches` have the columns of `rows.SCHEMA`. What arrives in the order of the names' bytes is written as it comes;
    anything else is sorted afterwards. Dependencies are summed up on the way.

    Raises:
        CollectError: an object says something that no object can say.
        LedgerError: rows were lost on the way.
    """
    runs, arrived, told = _written(folder, bucket, layout, batches)
    twice = 0
    if told is not None:
        runs[0].path.rename(folder / SNAPSHOT)
    else:
        twice = _put_in_order(folder, runs)
        told = _summed_up(folder)
    kept = pq.read_metadata(folder / SNAPSHOT).num_rows
    due = arrived - twice
    if not told.listed == kept == due:
        raise LedgerError(
            f"the inventory of {bucket} would have {min(told.listed, kept)} objects where {due} were listed",
            "scan it again; if that does not help, report it: rows must not get lost",
        )
    return Written(
        files={},
        listed=told.listed,
        resolved=told.resolved,
        outside=told.outside,
        oldest_verified=told.oldest_verified,
        unresolved=tuple((Reason(problem), count) for problem, count in sorted(told.unresolved.items())),
    )


def _put_in_order(folder: Path, runs: list[_Run]) -> int:
    """Make one snapshot of several runs; return how many versions were told twice."""
    paths = [one.path for one in runs]
    if len(runs) <= _RUNS_TO_MERGE and all(one.in_order for one in runs):
        counted: list[int] = []
        _write(folder / SNAPSHOT, reduce(partial(merged, twice=counted.append), [_read(path) for path in paths]))
        twice = sum(counted)
    else:
        with duckdb.connect() as database:
            _settle(database, folder)
            arrived = {"arrived": [very_file(path) for path in paths]}
            database.execute(_SORT.format(target=_quoted(folder / SNAPSHOT)), arrived)
            twice = database.execute(_TWICE, arrived).fetchall()[0][0]
    for path in paths:
        path.unlink(missing_ok=True)
    return twice


def _summed_up(folder: Path) -> Told:
    totals = Totals(folder / DEPENDENCIES)
    for some in _read(folder / SNAPSHOT):
        totals.add(pa.Table.from_batches([some]))
    return totals.close()


def _written(
    folder: Path, bucket: str, layout: Layout, batches: Iterable[pa.RecordBatch]
) -> tuple[list[_Run], int, Told | None]:
    """Write the rows as they come, in a new file where a new pass begins.

    Returns:
        The files, how many rows arrived, and what they tell where there is one file and it is in order.
    """
    order = _Order()
    arrived = 0
    runs: list[_Run] = []
    coming = (with_namespaces(bucket, layout, some) for some in _safely(bucket, batches))
    following = next(coming, None)

    def until_a_new_pass() -> Iterator[pa.RecordBatch]:
        nonlocal following, arrived
        while following is not None:
            arrived += following.num_rows
            yield following
            following = next(coming, None)
            if following is not None and order.begins_anew(following):
                return

    totals = Totals(folder / DEPENDENCIES)
    while not runs or following is not None:
        path = folder / f"arrived-{len(runs):05}.parquet"
        order.begin()
        _write(path, order.followed(until_a_new_pass()), None if runs else totals.add)
        runs.append(_Run(path, order.kept))
    told = totals.close()
    return runs, arrived, told if len(runs) == 1 and order.kept else None


def _write(path: Path, batches: Iterable[pa.RecordBatch], look: Callable[[pa.Table], None] | None = None) -> None:
    """Write rows as they come; `look` is shown them as they go by."""
    settings: dict[str, Any] = {
        "compression": "zstd",
        "use_dictionary": [name for name in SCHEMA.names if name not in {*_BY_VALUE, *_PLAIN}],
        "column_encoding": _BY_VALUE,
        "write_statistics": ["name"],
    }
    waiting: list[pa.RecordBatch] = []
    with pq.ParquetWriter(path, SCHEMA, **settings) as writer:

        def write_group() -> None:
            if waiting:
                group = pa.Table.from_batches(waiting, SCHEMA)
                writer.write_table(group, row_group_size=_ROWS_A_GROUP)
                waiting.clear()
                if look is not None:
                    look(group)

        held = 0
        for some in batches:
            waiting.append(some)
            held += some.num_rows
            if held >= _ROWS_A_GROUP:
                write_group()
                held = 0
        write_group()


def _read(path: Path) -> Iterator[pa.RecordBatch]:
    with pq.ParquetFile(path, pre_buffer=False) as file:
        yield from file.iter_batches(batch_size=_ROWS_AT_ONCE)


def _safely(bucket: str, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    try:
        for some in batches:
            _refuse_what_cannot_be(some)
            yield some
    except (pa.ArrowInvalid, UnicodeEncodeError, OverflowError) as error:
        raise CollectError(
            f"an object of {bucket} cannot be stored: {type(error).__name__}",
            "its name, size or date is no valid text or number",
            reason=Reason.MALFORMED,
        ) from None


def _refuse_what_cannot_be(some: pa.RecordBatch) -> None:
    if some.num_rows and pc.min(some.column("size")).as_py() < 0:
        raise OverflowError
    for name in ("modified", "verified"):
        dates = some.column(name)
        # Arrow also holds dates that Python cannot: they are compared there.
        if pc.any(pc.or_(pc.less(dates, _FIRST_DATE), pc.greater_equal(dates, _NO_MORE_DATES)), min_count=0).as_py():
            raise OverflowError


class _Order:
    """Watches whether names come in the order of their bytes, and no version of one twice in one run."""

    def __init__(self) -> None:
        self.kept = True
        self._last: bytes | None = None
        self._versions: set[str | None] = set()

    def begin(self) -> None:
        """A new run."""
        self._last, self._versions = None, set()

    def begins_anew(self, some: pa.RecordBatch) -> bool:
        """Whether these rows go back behind the last, as the first of a new pass do."""
        return self._last is not None and bool(some.num_rows) and _first(some) < self._last

    def followed(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Hand batches on and look at each."""
        for some in batches:
            if self.kept and some.num_rows:
                self._follow(some)
            yield some

    def _follow(self, some: pa.RecordBatch) -> None:
        names = some.column("name").cast(pa.binary())
        firsts, nexts = names[:-1], names[1:]
        if not pc.all(pc.less_equal(firsts, nexts), min_count=0).as_py():
            self.kept = False
        elif _first(some) == self._last or pc.any(pc.equal(firsts, nexts), min_count=0).as_py():
            self._look_closely(names.to_pylist(), some.column("version").to_pylist())
        else:
            self._last, self._versions = names[-1].as_py(), {some.column("version")[-1].as_py()}

    def _look_closely(self, names: list[bytes | None], versions: list[str | None]) -> None:
        for name, version in zip(names, versions, strict=True):
            if name != self._last:
                self._last, self._versions = name, set()
            if version in self._versions:
                self.kept = False
                return
            self._versions.add(version)


def samples(path: Path) -> tuple[Sample, ...]:
    """Choose a few stored versions under each key version: small, of a cheap class, the oldest first."""
    with duckdb.connect() as database:
        _settle(database, path.parent)
        found = database.execute(_SAMPLES, {"snapshot": very_file(path), "most": _SAMPLES_EACH}).fetchall()
    return tuple(Sample(*row) for row in found)


def moment(microseconds: int) -> datetime:
    """Turn microseconds since 1970 into an aware time, UTC, without rounding.

    Raises:
        LedgerError: there is no such time.
    """
    try:
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)
    except OverflowError:
        raise LedgerError("the inventory holds a date that cannot be", "sweep again") from None


def _settle(database: duckdb.DuckDBPyConnection, folder: Path) -> None:
    database.execute(f"SET temp_directory = '{_quoted(folder / 'spill')}'")
    database.execute("SET memory_limit = '512MB'")
    database.execute("SET threads = 2")
    database.execute("SET TimeZone = 'UTC'")


def very_file(path: Path) -> str:
    """Write the path so that DuckDB, which reads it as a pattern, finds this file and no other."""
    return re.sub(r"[*?\[]", r"[\g<0>]", str(path))


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")


def _first(some: pa.RecordBatch) -> bytes:
    return str(some.column("name")[0].as_py()).encode()


def with_namespaces(bucket: str, layout: Layout, some: pa.RecordBatch) -> pa.RecordBatch:
    """Put the bucket, and namespace and tenant cut out of the names, beside what a sweep saw."""
    spaces, tenants = layout.read_all(cast("list[str]", some.column("name").to_pylist()))
    columns = [pa.repeat(bucket, some.num_rows), *some.columns, spaces, tenants]
    return pa.RecordBatch.from_arrays(columns, schema=SCHEMA)
