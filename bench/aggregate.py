"""Objects into dependencies: python -m bench.aggregate OBJECTS [SQL_OBJECTS] prints one line of JSON.

The product sums up while rows pass by on their way into a snapshot: measured is what that adds for each object. With
SQL_OBJECTS the same sums are also made afterwards, from a file, by one query in DuckDB with 300 MB.
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from auditor import rows
from auditor.inventory import files
from auditor.inventory.totals import Totals

ROWS_EACH: Final = 1_000
"""Objects of a dependency: a hundred million have a hundred thousand."""
_AT_ONCE: Final = 30_000
"""As many as a snapshot hands on at a time."""
_QUERY: Final = Path(__file__).parents[1] / "tests" / "inventory" / "aggregate.sql"
_MOMENT: Final = pa.scalar(datetime(2026, 1, 1, tzinfo=UTC), rows.TIME)


def tables(objects: int) -> Iterator[pa.Table]:
    """Rows of a snapshot, in the order of their names."""
    for first in range(0, objects, _AT_ONCE):
        yield _table(pa.array(range(first, min(objects, first + _AT_ONCE)), pa.int64()))


def _table(numbers: Any) -> pa.Table:
    count = len(numbers)
    groups = pc.divide(numbers, ROWS_EACH)
    orgs = pc.utf8_lpad(pc.cast(pc.divide(groups, 100), pa.string()), 6, "0")
    tenant = pc.binary_join_element_wise("org", orgs, "-")
    namespace = pc.binary_join_element_wise(tenant, pc.utf8_lpad(pc.cast(groups, pa.string()), 8, "0"), "/")
    segment = pc.utf8_lpad(pc.cast(numbers, pa.string()), 12, "0")
    columns: dict[str, Any] = {
        "bucket": pa.repeat("s3://bench", count),
        "name": pc.binary_join_element_wise(namespace, "index/segments", segment, "/"),
        "population": pa.repeat("live", count),
        "size": pc.multiply(numbers, 7),
        "modified": pa.repeat(_MOMENT, count),
        "storage_class": pa.repeat("STANDARD", count),
        "archived": pa.repeat(False, count),
        "encryption": pa.repeat("cmek", count),
        "key": pc.binary_join_element_wise("arn:aws:kms:us-east-1:111122223333:key/00000000-0000-4000-8000", orgs, "-"),
        "verified": pa.repeat(_MOMENT, count),
        "namespace": namespace,
        "tenant": tenant,
    }
    return pa.Table.from_arrays(
        [columns.get(one.name, pa.nulls(count, one.type)) for one in files.SCHEMA], schema=files.SCHEMA
    )


def passing_by(folder: Path, objects: int) -> dict[str, float]:
    """CPU seconds that sums cost for each object that passes by."""
    totals = Totals(folder / "dependencies.parquet")
    spent = 0.0
    for one in tables(objects):
        began = time.process_time()
        totals.add(one)
        spent += time.process_time() - began
    began = time.process_time()
    told = totals.close()
    spent += time.process_time() - began
    groups = pq.read_metadata(folder / "dependencies.parquet").num_rows
    if (told.listed, groups) != (objects, -(-objects // ROWS_EACH)):
        raise RuntimeError(f"{told.listed} objects in {groups} dependencies")
    return {"cpu": spent / objects}


def afterwards(folder: Path, objects: int) -> dict[str, float]:
    """Write a file, and let a process of its own sum it up."""
    file = folder / "snapshot.parquet"
    writing = files.RowFile(file, lambda _: None)
    for one in tables(objects):
        for batch in one.to_batches():
            writing.add(batch)
    writing.finish()
    argv = [sys.executable, "-m", "bench.aggregate", "query", str(file)]
    done = subprocess.run(argv, check=True, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[1])
    told: dict[str, float] = json.loads(done.stdout)
    if told.pop("groups") != -(-objects // ROWS_EACH):
        raise RuntimeError("the query lost dependencies")
    return told


def query(file: str) -> dict[str, float]:
    """Sum up a file by the query that the tests compare the sums with."""
    with duckdb.connect() as database:
        database.execute("SET memory_limit = '300MB'")
        database.execute("SET threads = 2")
        database.from_parquet(file).create_view("snapshot")
        began = time.perf_counter()
        found = database.sql(_QUERY.read_text()).to_arrow_table()
        seconds = time.perf_counter() - began
    mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"seconds": seconds, "mib": mib, "groups": found.num_rows}


def main() -> None:
    """Measure."""
    match sys.argv[1:]:
        case ["query", file]:
            told: Any = query(file)
        case [objects, *by_sql]:
            with tempfile.TemporaryDirectory() as folder:
                told = {
                    "passing": passing_by(Path(folder), int(objects)),
                    "sql": afterwards(Path(folder), int(by_sql[0])) if by_sql else None,
                }
        case _:
            raise SystemExit(__doc__)
    print(json.dumps(told))


if __name__ == "__main__":
    main()
