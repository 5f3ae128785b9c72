"""The entries of all registries, put together to what they say of each namespace, a part after the other."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from auditor.inventory import files
from auditor.inventory.placing import SAME, SEVERAL, SPELLING, SPELT
from auditor.inventory.sql import quoted

_ROWS_AT_ONCE: Final = 100_000
"""Entries that are put together at a time, about."""
_MEMORY: Final = "256MB"
"""Entries are sorted within so much: what does not fit goes to the disk, and more makes it no faster."""
# A registry may not say in which bucket its namespaces are. Where bundles tell of one of that name in one bucket alone,
# and under the same key, it is taken for that one.
_HOMES: Final = f"""
told AS (
    SELECT DISTINCT bucket, namespace, key FROM read_parquet($told, hive_partitioning = false)
    WHERE namespace IS NOT NULL
), alone AS (
    SELECT namespace FROM told GROUP BY namespace HAVING min(bucket) = max(bucket)
), {SPELT}, home AS (
    SELECT DISTINCT told.bucket, told.namespace, coalesce(spelt.one, {SAME.format(key="told.key")}) AS same
    FROM told JOIN alone ON alone.namespace = told.namespace LEFT JOIN spelt ON spelt.name = told.key
    WHERE told.key IS NOT NULL
)
"""  # noqa: S608 - words of our own
_AT_HOME: Final = f"""
LEFT JOIN spelt AS its ON its.name = entry.key
LEFT JOIN home ON entry.bucket IN (SELECT unnest($nowhere::VARCHAR[])) AND home.namespace = entry.namespace
    AND home.same = coalesce(its.one, {SAME.format(key="entry.key")})
"""
_SORTED: Final = f"""
COPY (
    WITH {_HOMES}, entry AS (SELECT * FROM read_parquet($files, hive_partitioning = false))
    SELECT entry.* REPLACE (coalesce(home.bucket, entry.bucket) AS bucket) FROM entry {_AT_HOME}
    ORDER BY bucket, namespace
) TO '{{target}}' (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {_ROWS_AT_ONCE})
"""  # noqa: S608 - words of our own
_UNPLACED: Final = f"""
WITH {_HOMES}, entry AS (
    SELECT * FROM read_parquet($files, hive_partitioning = false) WHERE bucket = $nowhere[1] AND key IS NOT NULL
)
SELECT count(DISTINCT entry.namespace) FILTER (home.namespace IS NOT NULL),
    count(DISTINCT entry.namespace) FILTER (home.namespace IS NULL AND entry.namespace IN (SELECT namespace FROM told))
FROM entry {_AT_HOME}
"""  # noqa: S608 - words of our own
# Least and greatest part where any two do, and hold a few numbers and texts a namespace instead of all. Of names that
# are of one key any stands for it. Two that may be of one key are no two words, nor one: the first is `key`, and
# `other` is the second.
_MERGED: Final = f"""
WITH {SPELT}, {SPELLING.format(keys="SELECT DISTINCT key FROM part WHERE key IS NOT NULL")}
SELECT bucket, namespace, if({SEVERAL}, NULL, min(part.key)) AS key,
    if(min(named) <> max(named) AND NOT {SEVERAL}, max(part.key), NULL) AS other,
    if(min(tenant) <> max(tenant), NULL, min(tenant)) AS tenant,
    if(min(owner) <> max(owner), NULL, min(owner)) AS owner, if(min(team) <> max(team), NULL, min(team)) AS team,
    any_value(parent) AS parent,
    {SEVERAL} OR coalesce(min(tenant) <> max(tenant), false) AS contradicted,
    coalesce(min(owner) <> max(owner), false) OR coalesce(min(team) <> max(team), false) AS parted,
    list_sort(list_distinct(list(part.key))) AS keys, max(size) AS size
FROM part LEFT JOIN spelling ON spelling.key = part.key
GROUP BY bucket, namespace ORDER BY bucket, namespace
"""  # noqa: S608 - words of our own
_TEXTS: Final = ("bucket", "namespace", "key", "other", "tenant", "owner", "team", "parent")
_FIELDS: Final[list[tuple[str, pa.DataType]]] = [
    *((name, pa.string()) for name in _TEXTS),
    *((name, pa.bool_()) for name in ("contradicted", "parted")),
    ("keys", pa.list_(pa.field("l", pa.string()))),
    ("size", pa.int64()),
]
MERGED: Final = pa.schema(_FIELDS)
"""What registries say together."""
Names = Mapping[str, Sequence[str]]
"""Which names are of one key, as queries take it."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What is put together: what each registry says, by its name, and what operators' bundles tell is there."""

    registries: Mapping[str, Path]
    told: Path
    names: Names

    def asked(self, nowhere: Collection[str], of: Iterable[Path]) -> dict[str, Any]:
        """Values of a query of entries in some files; `nowhere`: registries whose name stands for their bucket."""
        paths = {"files": [files.very_file(one) for one in of], "told": [files.very_file(self.told)]}
        return {**paths, "nowhere": list(nowhere), **self.names}


def merge(database: duckdb.DuckDBPyConnection, heard: Heard, target: Path) -> None:
    """Write what registries say of each namespace, in the order of buckets and namespaces.

    All entries are written in that order first, beside `target`, so that it takes bounded memory whatever their number.
    """
    if not heard.registries:
        pq.write_table(MERGED.empty_table(), target)
        return
    beside = target.with_name(f"{target.name}-sorted")
    try:
        database.execute(f"SET memory_limit = '{_MEMORY}'")
        asked = heard.asked(heard.registries, heard.registries.values())
        database.execute(_SORTED.format(target=quoted(beside)), asked)
        _put_together(database, beside, target, heard.names)
    finally:
        beside.unlink(missing_ok=True)


def unplaced(database: duckdb.DuckDBPyConnection, heard: Heard) -> Iterator[tuple[str, int, int]]:
    """Of each registry that says of namespaces not in which bucket they are, where bundles tell of any of that name.

    Its name, how many were taken for those that bundles tell of, and of how many it is not known.
    """
    for name, path in heard.registries.items():
        ((taken, open_),) = database.execute(_UNPLACED, heard.asked([name], [path])).fetchall()
        if taken or open_:
            yield name, taken, open_


def _put_together(database: duckdb.DuckDBPyConnection, entries: Path, target: Path, names: Names) -> None:
    with ExitStack() as stack:
        writer: pq.ParquetWriter | None = None
        for some in _whole(entries):
            database.register("part", some)
            found = database.sql(_MERGED, params=dict(names)).to_arrow_table()
            database.unregister("part")
            writer = writer or stack.enter_context(pq.ParquetWriter(target, found.schema, compression="zstd"))
            writer.write_table(found)


def _whole(entries: Path) -> Iterator[pa.Table]:
    """Yield all entries, some at a time, none of a namespace apart from its others; once none if there is none."""
    with pq.ParquetFile(entries) as file:
        left = file.schema_arrow.empty_table()
        for batch in file.iter_batches(batch_size=_ROWS_AT_ONCE):
            some = pa.concat_tables([left, pa.Table.from_batches([batch])])
            last = {name: some.column(name)[-1] for name in ("bucket", "namespace")}
            is_last = pc.and_(*(pc.equal(some.column(name), one) for name, one in last.items()))
            first = some.num_rows - is_last.to_pylist().count(True)
            if first:
                yield some.slice(0, first)
            left = some.slice(first)
    yield left
