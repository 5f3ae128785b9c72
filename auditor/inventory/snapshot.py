"""One sweep's objects in the order of their names, and the dependencies summed up from them."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial, reduce
from pathlib import Path
from secrets import token_hex
from typing import Final, cast

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from auditor import plurals, rows
from auditor.errors import CollectError, LedgerError, OrderError
from auditor.inventory import files, parts
from auditor.inventory.layout import Layout
from auditor.inventory.parts import Names, Part, Writer
from auditor.inventory.runs import merged
from auditor.inventory.sql import quoted, working
from auditor.inventory.totals import Told, Totals
from auditor.model import Listing, Reason, Sample
from auditor.ports import Coming, Passes, Shard, Written
from auditor.rows import Done

DEPENDENCIES: Final = "dependencies.parquet"

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
class _Made:
    """One listing in parts, by name."""

    parts: list[Part]
    in_order: bool
    """Names came in order."""

    @property
    def is_plain(self) -> bool:
        """Names came in order, and no version twice."""
        return self.in_order and not any(one.repeated for one in self.parts)


def write(folder: Path, bucket: str, layout: Layout, passes: Passes) -> Written:
    """Write snapshot and dependencies; `files` of the answer is left for the caller to fill.

    What finished parts in the folder tell is not listed again. What arrives in the order of the names' bytes is written
    as it comes; anything else is sorted afterwards.

    Raises:
        CollectError: an object says something that no object can say, or pages overlap.
        LedgerError: rows were lost on the way.
    """
    made = _listed(folder, bucket, layout, passes, Shard())
    due = sum(one.rows for each in made for one in each.parts)
    if all(one.is_plain for one in made) and sum(any(one.rows for one in each.parts) for each in made) <= 1:
        whole = [one for each in made for one in each.parts]
    else:
        whole, twice = _put_together(folder, bucket, made)
        due -= twice
    written = _summed_up(folder, bucket, whole, due)
    parts.publish(folder, whole)
    return written


def write_shard(folder: Path, bucket: str, layout: Layout, passes: Passes, within: Shard) -> list[Part]:
    """Write the parts of one shard of each listing; they are all that there is of it then.

    What finished parts in the folder tell is not listed again.

    Raises:
        CollectError: an object says something that no object can say, or names come in no order.
        LedgerError: some of it was not listed.
    """
    made = _listed(folder, bucket, layout, passes, within)
    if not all(one.in_order for one in made):
        # Whoever puts shards together sorts none.
        raise OrderError(bucket)
    return [one for each in made for one in each.parts]


def whole_shard(folder: Path, listings: Iterable[Listing], within: Shard) -> list[Part]:
    """What there is of one shard: of each listing all, up to the first of which something lacks.

    What a later listing tells stands on those before it, as `write` has it.
    """
    before = parts.finished(folder)
    whole: list[Part] = []
    for listing in listings:
        found = parts.disjoint(before, listing)
        if parts.left(found, within):
            break
        whole += found
    return whole


def _listed(folder: Path, bucket: str, layout: Layout, passes: Passes, within: Shard) -> list[_Made]:
    """List what finished parts in the folder do not tell."""
    before = parts.finished(folder)
    made: list[_Made] = []
    anew = False
    for listing in passes.listings:
        # What a later pass finished before stands on passes before it that were whole: what is deleted while one is
        # made is there for the next.
        found = [] if anew else parts.disjoint(before, listing)
        stays = {one.name for one in found}
        parts.forget(one for one in before if one.listing is listing and one.name not in stays)
        if shards := parts.left(found, within):
            anew = True
            arriving = _placed(bucket, layout, _safely(bucket, passes.shards(listing, shards)))
            made.append(_write_shards(folder, bucket, listing, found, arriving, whole=within))
        else:
            made.append(_Made(found, in_order=True))
    return made


def _write_shards(
    folder: Path,
    bucket: str,
    listing: Listing,
    found: list[Part],
    arriving: Iterable[tuple[Shard, Coming]],
    *,
    whole: Shard,
) -> _Made:
    """Write what is left of a listing, or of the one shard that is the `whole` of it, beside the parts that were found.

    Raises:
        OrderError: names come in no order, and more than one shard is listed, or was before.
        LedgerError: some of it was not listed.
    """
    names = Names(listing, found=found)
    writers: dict[Shard, Writer] = {}
    try:
        for shard, some in arriving:
            writer = writers.get(shard)
            if writer is None:
                writer = writers[shard] = Writer(folder, listing, names, shard)
            writer.take(some)
            if not writer.order.kept and (len(writers) > 1 or shard.after is not None or shard.until is not None):
                raise OrderError(bucket)
    finally:
        for writer in writers.values():
            writer.give_up()
    every = [*found, *(part for writer in writers.values() for part in writer.parts)]
    if not all(one.order.kept for one in writers.values()):
        return _Made(every, in_order=False)
    every = parts.in_turn(every)
    within = all(one.until is None or one.last is None or one.last <= one.until for one in every)
    if not within or parts.left(every, whole) or parts.disjoint(every, listing) != every:
        raise LedgerError(
            f"the sweep of {bucket} ended before all of it was listed, once and not twice",
            "scan it again; if that does not help, report it: rows must not get lost",
        )
    return _Made(every, in_order=True)


def again(folder: Path, bucket: str) -> Written:
    """Tell of a sweep that was written, and that nobody heard of.

    Raises:
        LedgerError: some of it is not there any more, or is another.
    """
    found = parts.found_in(folder)
    try:
        whole = parts.published(folder)
    except ValueError:
        whole = []
    if not whole or found != whole:
        raise LedgerError(f"what was written of {bucket} is damaged", "sweep it again")
    return _summed_up(folder, bucket, whole, sum(one.rows for one in whole))


def _summed_up(folder: Path, bucket: str, whole: list[Part], due: int) -> Written:
    """Write the dependencies, and tell of all parts together; so many rows are due.

    Raises:
        LedgerError: rows were lost on the way.
    """
    told = Told()
    for one in whole:
        told.add(one.told)
    kept = _sum_up(folder, whole)
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


def _put_together(folder: Path, bucket: str, made: list[_Made]) -> tuple[list[Part], int]:
    """Make one row of parts of all; tell how many versions were told twice as well."""
    counted: list[int] = []
    if all(one.is_plain for one in made):
        together = reduce(partial(merged, twice=counted.append), [parts.rows_of(each.parts) for each in made])
        return _write_whole(folder, together), sum(counted)
    with working(folder) as database:
        for each in made:
            again = _count_twice(database, each.parts)
            if again and not each.in_order:
                raise CollectError(
                    f"cannot list {bucket}: its pages tell {plurals.counted(again, 'version')} twice, in no order",
                    "sweep again; if it stays so, report it to the storage's operator",
                    reason=Reason.MALFORMED,
                )
        every = [one for each in made for one in each.parts]
        twice = _count_twice(database, every)
        target = folder / f"{files.UNFINISHED}sorted"
        arrived = [files.very_file(one.path) for one in every]
        database.execute(_SORT.format(target=quoted(target)), {"arrived": arrived})
    # DuckDB keeps no account of what may not be null.
    told = (some.cast(files.SCHEMA) for some in files.read([target]))
    return _write_whole(folder, told), twice


def _write_whole(folder: Path, together: Iterable[pa.RecordBatch]) -> list[Part]:
    writer = Writer(folder, Listing.STORED, Names(Listing.STORED, parts.WHOLE), Shard())
    try:
        for some in together:
            writer.take(some)
        writer.take(Done())
    finally:
        writer.give_up()
    return writer.parts


def _sum_up(folder: Path, whole: Iterable[Part]) -> int:
    """Write the dependencies of all parts; return how many objects are in them."""
    # Several processes at once may tell of a sweep that nobody heard of.
    unfinished = folder / f"{files.UNFINISHED}{token_hex(8)}-{DEPENDENCIES}"
    totals = Totals(unfinished)
    objects = 0
    for one in whole:
        with pq.ParquetFile(one.sums, pre_buffer=False) as file:
            sums = file.read(use_threads=False)
        objects += pc.sum(sums.column("objects"), min_count=0).as_py()
        totals.add_sums(sums)
    totals.close()
    files.put(unfinished, folder / DEPENDENCIES)
    return objects


def _count_twice(database: duckdb.DuckDBPyConnection, some: Iterable[Part]) -> int:
    arrived = [files.very_file(one.path) for one in some]
    told: int = database.execute(_TWICE, {"arrived": arrived}).fetchall()[0][0]
    return told


def _safely(bucket: str, coming: Iterable[tuple[Shard, Coming]]) -> Iterator[tuple[Shard, Coming]]:
    try:
        for shard, some in coming:
            if isinstance(some, pa.RecordBatch):
                _refuse_what_cannot_be(some)
            yield shard, some
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


def samples(folder: Path, whole: Iterable[Part]) -> tuple[Sample, ...]:
    """Choose a few stored versions under each key version: small, of a cheap class, the oldest first."""
    paths = [files.very_file(one.path) for one in whole]
    if not paths:
        return ()
    with working(folder) as database:
        found = database.execute(_SAMPLES, {"snapshot": paths, "most": _SAMPLES_EACH}).fetchall()
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


def _placed(bucket: str, layout: Layout, coming: Iterable[tuple[Shard, Coming]]) -> Iterator[tuple[Shard, Coming]]:
    for shard, some in coming:
        yield shard, with_namespaces(bucket, layout, some) if isinstance(some, pa.RecordBatch) else some


def with_namespaces(bucket: str, layout: Layout, some: pa.RecordBatch) -> pa.RecordBatch:
    """Put the bucket, and namespace and tenant cut out of the names, beside what a sweep saw."""
    spaces, tenants = layout.read_all(cast("list[str]", some.column("name").to_pylist()))
    columns = [pa.repeat(bucket, some.num_rows), *some.columns, spaces, tenants]
    return pa.RecordBatch.from_arrays(columns, schema=files.SCHEMA)
