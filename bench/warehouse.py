"""A foreign inventory into dependencies: python -m bench.warehouse ROWS [PYTHON] prints a line for each part.

DuckDB runs the statement over ROWS objects in Parquet, on two threads in 2 GB, and takes in the answer; a table of
Iceberg is added up as a sweep with `s3_metadata` does. PYTHON is an
interpreter of an environment with pyspark, which needs Java, and zetasql. Spark then runs its own text over the same
file, in local mode, and the hashes of all rows of both are compared; ZetaSQL analyses BigQuery's text, names and types.
"""

import hashlib
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
import pyarrow.parquet as pq
from pyiceberg.catalog.sql import SqlCatalog

from auditor.errors import CollectError
from auditor.inventory.layout import Layout
from auditor.inventory_report import ByReport
from auditor.model import Cloud, Population, Reason
from auditor.warehouse.aggregate import COLUMNS, aggregate
from auditor.warehouse.answer import Answer
from auditor.warehouse.dialects import written
from auditor.warehouse.metadata_table import MetadataTable

LAYOUT: Final = Layout.parse("{org}/{namespace}/")
_EACH: Final = 400
"""Objects of a namespace."""
_AT_ONCE: Final = 2_000_000
"""Rows of a file of the table."""
_INVENTORY: Final = """
COPY (
    SELECT 'bench' AS bucket,
           'org' || lpad((i // {each} % 1000)::VARCHAR, 4, '0') || '/ns' || lpad((i // {each})::VARCHAR, 8, '0')
               || '/segment/' || lpad(i::VARCHAR, 12, '0') AS key,
           lpad(to_hex(i), 20, '0') AS sequence_number, false AS is_delete_marker, i % 1000000 AS size,
           TIMESTAMP '2026-01-01' + INTERVAL (i % 10000000) SECOND AS last_modified_date,
           'STANDARD' AS storage_class, CASE WHEN i % 50 = 0 THEN 'SSE-S3' ELSE 'SSE-KMS' END AS encryption_status,
           CASE WHEN i % 50 <> 0 AND i % 1000 <> 1
                THEN 'arn:aws:kms:us-east-1:111122223333:key/00000000-0000-4000-8000-'
                     || lpad((i // {each} % 700)::VARCHAR, 12, '0')
           END AS kms_key_arn
    FROM range({rows}) AS t(i)
) TO '{path}' (FORMAT parquet, COMPRESSION zstd)
"""
_SPARK: Final = """
import json, sys, time
from pyspark.sql import SparkSession
began = time.perf_counter()
made = SparkSession.builder.master("local[2]").config("spark.sql.session.timeZone", "UTC")
spark = made.config("spark.ui.enabled", "false").config("spark.driver.memory", "4g").getOrCreate()
started = time.perf_counter()
spark.read.parquet(sys.argv[1]).createOrReplaceTempView("inventory")
rows = spark.sql(open(sys.argv[2]).read()).drop("asked").collect()
ended = time.perf_counter()
told = [[str(one) if one is not None and not isinstance(one, (int, str)) else one for one in row] for row in rows]
json.dump({"rows": told, "start": started - began, "run": ended - started}, sys.stdout)
"""


_ZETASQL: Final = """
import sys
from zetasql.api import Analyzer, CatalogBuilder, TableBuilder
from zetasql.types import AnalyzerOptions, LanguageOptions, TypeKind, ZetaSQLBuiltinFunctionOptions
table = TableBuilder("inventory")
for one in ("bucket", "key", "sequence_number", "storage_class", "encryption_status", "kms_key_arn"):
    table = table.add_column(one, TypeKind.TYPE_STRING)
for one, kind in (("is_delete_marker", "BOOL"), ("size", "INT64"), ("last_modified_date", "DATETIME")):
    table = table.add_column(one, getattr(TypeKind, "TYPE_" + kind))
words = LanguageOptions.maximum_features()
functions = ZetaSQLBuiltinFunctionOptions(language_options=words)
catalog = CatalogBuilder("lake").add_table(table.build()).with_builtin_functions(functions).build()
analyzer = Analyzer(AnalyzerOptions(language_options=words), catalog)
text = sys.stdin.read()
print(" ".join(one.name for one in analyzer.analyze_statement(text).output_column_list))
for wrong in (text.replace("`size`", "`sise`", 1), text.replace("REGEXP_EXTRACT", "SPLIT_PART", 1)):
    try:
        analyzer.analyze_statement(wrong)
    except Exception:
        continue
    sys.exit("it takes what is wrong")
"""


def main() -> None:
    """Measure, and compare."""
    count = int(sys.argv[1])
    with tempfile.TemporaryDirectory() as kept:
        folder = Path(kept)
        path, answer = folder / "inventory.parquet", folder / "answer.parquet"
        with duckdb.connect() as database:
            database.execute(_INVENTORY.format(each=_EACH, rows=count, path=path))
        # Processes of their own, so that their peaks are their own.
        told = _in_a_process("statement", path, answer)
        print(f"statement: {count:,} rows to {told['rows']:,}, {told['seconds']:.1f} s, {told['mib']} MiB")
        told = _in_a_process("never-versioned", path, folder / "quick.parquet")
        print(f"never versioned: to {told['rows']:,}, {told['seconds']:.1f} s, {told['mib']} MiB")
        told = _in_a_process("iceberg", path, folder / "table")
        print(f"S3 Metadata from Iceberg: to {told['rows']:,}, {told['seconds']:.1f} s, {told['mib']} MiB")
        told = _in_a_process("iceberg-versions", path, folder / "versions")
        print(f"the same, half of the names twice: to {told['rows']:,}, {told['seconds']:.1f} s, {told['mib']} MiB")
        told = _in_a_process("answer", answer, folder / "dependencies.parquet")
        print(f"answer taken in: {told['rows']:,} rows, {told['seconds']:.1f} s, {told['mib']} MiB")
        if len(sys.argv) > 2:  # noqa: PLR2004 - an argument more
            _compare(Path(sys.argv[2]), path, answer, folder)
            _analysed(Path(sys.argv[2]))


def _in_a_process(what: str, source: Path, target: Path) -> dict[str, Any]:
    command = [sys.executable, "-m", "bench.warehouse", "--part", what, str(source), str(target)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def _part(what: str, source: Path, target: Path) -> None:
    if what.startswith("iceberg"):
        _iceberg(source, target, versions=what.endswith("versions"))
        return
    began = time.perf_counter()
    if what != "answer":
        with duckdb.connect() as database:
            spill = target.parent / "spill"
            setup = f"SET TimeZone = 'UTC'; SET threads = 2; SET memory_limit = '2GB'; SET temp_directory = '{spill}'"
            database.execute(setup)
            database.execute(f"CREATE VIEW inventory AS SELECT * FROM read_parquet('{source}')")  # noqa: S608 - ours
            statement = aggregate(
                "s3-metadata", LAYOUT, "inventory", "s3://data", never_versioned=what == "never-versioned"
            )
            ((rows,),) = database.execute(f"COPY ({statement}) TO '{target}' (FORMAT parquet)").fetchall()
    else:
        one = Answer(source, "s3://bench", Cloud.AWS, LAYOUT, tuple(Population))
        one.put(target.parent, target, datetime.now(UTC))
        with duckdb.connect() as database:
            counting = f"SELECT count(*) FROM read_parquet('{target}')"  # noqa: S608 - ours
            ((rows,),) = database.execute(counting).fetchall()
    seconds = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    sys.stdout.write(json.dumps({"rows": rows, "seconds": seconds, "mib": peak}))


class _Disk:
    """A table whose files lie on this disk: what the network takes is not measured."""

    def __init__(self, metadata: str) -> None:
        self._metadata = metadata

    def place(self) -> str:
        return self._metadata

    def read(self, url: str) -> bytes:
        return Path(url.removeprefix("file://")).read_bytes()

    def fetch(self, url: str, target: Path, _size: int) -> None:
        target.symlink_to(url.removeprefix("file://"))

    def ask(self, _report: ByReport) -> Iterator[pa.RecordBatch]:
        # What HEADs take is no business of this: who is not answered is unknown.
        raise CollectError("nobody is asked here", reason=Reason.UNSUPPORTED)


def _iceberg(source: Path, target: Path, *, versions: bool) -> None:
    """Make a table of the file in a process of its own, which is not measured; then add it up."""
    target.mkdir()
    command = [sys.executable, "-m", "bench.warehouse", "--table", str(source), str(target), str(int(versions))]
    metadata = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    began = time.perf_counter()
    one = Answer(source, "s3://bench", Cloud.AWS, LAYOUT, tuple(Population))
    MetadataTable(_Disk(metadata), one).put(target, target / "dependencies.parquet", datetime.now(UTC))
    seconds = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    with duckdb.connect() as database:
        counted = f"SELECT count(*) FROM read_parquet('{target / 'dependencies.parquet'}')"  # noqa: S608 - ours
        ((rows,),) = database.execute(counted).fetchall()
    sys.stdout.write(json.dumps({"rows": rows, "seconds": seconds, "mib": peak}))


def _table(source: Path, folder: Path, *, versions: bool) -> str:
    """Write a table of Iceberg; half of its names twice, with `versions`. Return where its metadata is."""
    name = "CASE WHEN number % 3 = 0 THEN lag(key, 1, key) OVER (ORDER BY number) ELSE key END" if versions else "key"
    numbered = f"SELECT *, row_number() OVER () AS number FROM '{source}'"  # noqa: S608 - ours
    others = "md5(number::VARCHAR) AS version_id, md5(key) AS e_tag"
    rows = f"SELECT * EXCLUDE key, {name} AS key, {others} FROM ({numbered})"  # noqa: S608 - ours
    kept = folder / "rows.parquet"
    with duckdb.connect() as database:
        database.execute(f"COPY (SELECT * EXCLUDE number FROM ({rows})) TO '{kept}' (FORMAT parquet)")  # noqa: S608 - ours
    catalog = SqlCatalog("bench", uri=f"sqlite:///{folder / 'catalog.db'}", warehouse=f"file://{folder}")
    catalog.create_namespace("b_bench")
    table = catalog.create_table("b_bench.inventory", pq.read_schema(kept))
    # As the cloud writes it: files that are added as they are know no ids of their columns.
    with pq.ParquetFile(kept) as rows_of:
        for some in rows_of.iter_batches(_AT_ONCE):
            table.append(pa.Table.from_batches([some]))
    return table.metadata_location


def _compare(python: Path, source: Path, answer: Path, folder: Path) -> None:
    text = folder / "spark.sql"
    text.write_text(written(aggregate("s3-metadata", LAYOUT, "inventory", "s3://data"), "spark"))
    done = subprocess.run(
        [python, "-c", _SPARK, str(source), str(text)], check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    told = json.loads(done.stdout)
    columns = ", ".join(f'"{one}"' for one in COLUMNS if one != "asked")
    with duckdb.connect() as database:
        rows = database.execute(f"SELECT {columns} FROM read_parquet('{answer}')").fetchall()  # noqa: S608 - ours
    ours = [[str(one) if one is not None and not isinstance(one, int | str) else one for one in row] for row in rows]
    hashes = [_digest(some) for some in (ours, told["rows"])]
    print(f"Spark: started in {told['start']:.1f} s, ran {told['run']:.1f} s, {len(told['rows']):,} rows")
    print(f"hashes {'are equal' if hashes[0] == hashes[1] else 'DIFFER'}: {hashes[0]}")
    if hashes[0] != hashes[1]:
        sys.exit(1)


def _analysed(python: Path) -> None:
    text = written(aggregate("s3-metadata", LAYOUT, "inventory", "s3://data"), "bigquery")
    done = subprocess.run([python, "-c", _ZETASQL], check=True, input=text, stdout=subprocess.PIPE, text=True)
    columns = tuple(done.stdout.split())
    print(f"ZetaSQL: {'understood' if columns == COLUMNS else 'OTHER COLUMNS'}, and refused two that are wrong")


def _digest(rows: list[list[Any]]) -> str:
    whole = hashlib.sha256()
    for row in sorted(json.dumps(one) for one in rows):
        whole.update(row.encode())
    return whole.hexdigest()


if __name__ == "__main__":
    if sys.argv[1] == "--part":
        _part(sys.argv[2], Path(sys.argv[3]), Path(sys.argv[4]))
    elif sys.argv[1] == "--table":
        print(_table(Path(sys.argv[2]), Path(sys.argv[3]), versions=sys.argv[4] == "1"))
    else:
        main()
