"""A fleet in pieces: python -m bench.fleet [ROWS [ROWS_A_PIECE]] prints what was measured, and what follows from it.

Rows of S3 Metadata are made in DuckDB, added up by the statement of `cmek-auditor aggregate` piece by piece, on two
threads in 2 GB, and the pieces are added up to one answer. Nothing is read from a disk, so that making the rows is
measured by itself, and taken off. What the answer must be is known beforehand, and compared.
"""

import json
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

import duckdb

from auditor.inventory.layout import Layout
from auditor.prices import PRICES
from auditor.warehouse.aggregate import aggregate

ROWS: Final = 1_000_000_000
PIECE: Final = 50_000_000
LAYOUT: Final = Layout.parse("{org}/{namespace}/")
_EACH: Final = 400
"""Objects of a namespace."""
_KEYS: Final = 700
_SIZE: Final = 1_000_000
_MADE: Final = """
SELECT 'fleet' AS bucket,
       'org' || lpad((i // {each} % 1000)::VARCHAR, 4, '0') || '/ns' || lpad((i // {each})::VARCHAR, 8, '0')
           || '/segment/' || lpad(i::VARCHAR, 12, '0') AS key,
       '1' AS sequence_number, false AS is_delete_marker, i % {size} AS size,
       TIMESTAMP '2026-01-01' + INTERVAL (i % 10000000) SECOND AS last_modified_date, 'STANDARD' AS storage_class,
       'SSE-KMS' AS encryption_status,
       'arn:aws:kms:us-east-1:111122223333:key/00000000-0000-4000-8000-'
           || lpad((i // {each} % {keys})::VARCHAR, 12, '0') AS kms_key_arn
FROM range({first}, {behind}) AS t(i)
"""
_READ: Final = "SELECT max(hash({columns})) FROM inventory"
_TOGETHER: Final = """
SELECT count(*), sum(objects)::BIGINT, sum(bytes)::BIGINT, count(DISTINCT key), count(DISTINCT namespace) FROM (
    SELECT namespace, population, encryption, key, key_version, sum(objects) AS objects, sum(bytes) AS bytes
    FROM read_parquet('{folder}/*.parquet') GROUP BY ALL
)
"""


def main() -> None:
    """Measure, compare, extrapolate."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else ROWS
    piece = int(sys.argv[2]) if len(sys.argv) > 2 else PIECE  # noqa: PLR2004 - the second argument
    making = adding = making_cpu = adding_cpu = 0.0
    with tempfile.TemporaryDirectory() as folder, duckdb.connect() as database:
        setup = (
            f"SET TimeZone = 'UTC'; SET threads = 2; SET memory_limit = '2GB'; SET temp_directory = '{folder}/spill'"
        )
        database.execute(setup)
        statement = aggregate("s3-metadata", LAYOUT, "inventory", "s3://fleet", never_versioned=True)
        for number, first in enumerate(range(0, count, piece)):
            behind = min(count, first + piece)
            made = _MADE.format(first=first, behind=behind, each=_EACH, keys=_KEYS, size=_SIZE)
            database.execute(f"CREATE OR REPLACE VIEW inventory AS {made}")
            began, used = time.perf_counter(), time.process_time()
            database.execute(_READ.format(columns="key, size, last_modified_date, kms_key_arn")).fetchall()
            between, used_between = time.perf_counter(), time.process_time()
            database.execute(f"COPY ({statement}) TO '{folder}/{number:06}.parquet' (FORMAT parquet)")
            making, making_cpu = making + between - began, making_cpu + used_between - used
            adding += time.perf_counter() - between
            adding_cpu += time.process_time() - used_between
            print(f"{behind:,} rows: {making:.0f} s to make them, {adding:.0f} s to make and add up", flush=True)
        began = time.perf_counter()
        (found,) = database.execute(_TOGETHER.format(folder=folder)).fetchall()
        together = time.perf_counter() - began
        answer = sum(one.stat().st_size for one in Path(folder).glob("*.parquet"))
    namespaces, sizes = -(-count // _EACH), sum(range(_SIZE)) * (count // _SIZE) + sum(range(count % _SIZE))
    if found != (namespaces, count, sizes, min(_KEYS, namespaces), namespaces):
        raise SystemExit(f"it adds up to {found}")
    net = adding - making
    measured = {
        "rows": count,
        "rows_a_piece": piece,
        "namespaces": namespaces,
        "seconds_to_add_up": round(net),
        "cpu_seconds_to_add_up": round(adding_cpu - making_cpu),
        "seconds_to_make_rows": round(making),
        "cpu_seconds_to_make_rows": round(making_cpu),
        "seconds_to_put_pieces_together": round(together, 1),
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "answer_mib": answer >> 20,
    }
    price = PRICES[0]
    extrapolated = {
        "cpu_seconds_to_add_up_5_G": round((adding_cpu - making_cpu) * 5_000_000_000 / count),
        "usd_to_list_and_head_1_G_once": round(1e6 / 1e3 * price.lists + 1e9 / 1e3 * price.others),
        "prices": f"{price.place}, {price.as_of}; {price.source}",
    }
    print(json.dumps({"measured": measured, "extrapolated": extrapolated}))


if __name__ == "__main__":
    main()
