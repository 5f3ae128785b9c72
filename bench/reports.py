"""What a report of S3 Inventory costs before anything is asked: python -m bench.reports [ROWS] prints lines of JSON.

Files are made by a process of their own; another one puts their rows in the order of names and reads them to the end,
as a sweep with `s3_inventory` does. Fetching them is not in it.
"""

import hashlib
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

import duckdb
from pyarrow import orc

from auditor.warehouse import report_rows

_ROWS: Final = 10_000_000
_FILES: Final = 4
_ENDS: Final = {"CSV": "csv.gz", "ORC": "orc", "Parquet": "parquet"}
_COLUMNS: Final = (
    *("Bucket", "Key", "VersionId", "IsLatest", "IsDeleteMarker"),
    *("Size", "LastModifiedDate", "ETag", "StorageClass", "EncryptionStatus"),
)
# In an order that is none, as the service writes them.
_MADE: Final = """
SELECT 'data' AS bucket,
    'org' || (h % 1000) || '/ns' || (h // 1000 % 100000) || '/segment/' || lpad(i::VARCHAR, 12, '0') AS key,
    md5(i::VARCHAR) AS version_id, true AS is_latest, false AS is_delete_marker, h % 1000000 AS size,
    TIMESTAMP '2026-01-01' + INTERVAL (h % 10000000) SECOND AS last_modified_date, md5((i + 1)::VARCHAR) AS e_tag,
    'STANDARD' AS storage_class, if(h % 2 = 0, 'SSE-KMS', 'SSE-S3') AS encryption_status
FROM (SELECT i, (hash(i) % 100000000000)::BIGINT AS h FROM range({first}, {behind}) AS t(i))
"""


def _make(form: str, folder: Path, rows: int) -> None:
    with duckdb.connect() as database:
        for number in range(_FILES):
            text = _MADE.format(first=rows * number // _FILES, behind=rows * (number + 1) // _FILES)
            path = folder / f"{number}.{_ENDS[form]}"
            if form == "ORC":
                orc.write_table(database.sql(text).to_arrow_table(), path, compression="ZLIB")
                continue
            how = "FORMAT csv, HEADER false, COMPRESSION gzip" if form == "CSV" else "FORMAT parquet"
            database.execute(f"COPY ({text}) TO '{path}' ({how})")


def _measure(form: str, folder: Path) -> None:
    files = sorted(folder.glob(f"*.{_ENDS[form]}"))
    size = sum(one.stat().st_size for one in files)
    began, used = time.perf_counter(), time.process_time()
    target = folder / "rows.parquet"
    report_rows.write(form, _COLUMNS if form == "CSV" else (), files, "data", target)
    sorted_at, sorted_used = time.perf_counter(), time.process_time()
    told, rows = hashlib.sha256(), 0
    with target.open("rb") as file:
        for some in report_rows.read(file, 1_000):
            rows += len(some["name"])
            told.update(some["name"][-1].encode())
    found = {
        "format": form,
        "rows": rows,
        "mib": size >> 20,
        "sorted_mib": target.stat().st_size >> 20,
        "seconds_to_sort": round(sorted_at - began, 1),
        "cpu_to_sort": round(sorted_used - used, 1),
        "seconds_to_read": round(time.perf_counter() - sorted_at, 1),
        "cpu_to_read": round(time.process_time() - sorted_used, 1),
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "names": told.hexdigest()[:16],
    }
    print(json.dumps(found), flush=True)


def main() -> None:
    """Make and measure, each in a process of its own; what is read must be the same of all formats."""
    match sys.argv[1:]:
        case ["make", form, folder, rows]:
            _make(form, Path(folder), int(rows))
        case ["measure", form, folder]:
            _measure(form, Path(folder))
        case [*rows]:
            names = set()
            for form in _ENDS:
                with tempfile.TemporaryDirectory() as folder:
                    command = [sys.executable, "-m", "bench.reports"]
                    subprocess.run([*command, "make", form, folder, rows[0] if rows else str(_ROWS)], check=True)
                    done = subprocess.run(
                        [*command, "measure", form, folder], check=True, stdout=subprocess.PIPE, text=True
                    )
                    print(done.stdout, end="", flush=True)
                    names.add(json.loads(done.stdout)["names"])
            if len(names) != 1:
                raise SystemExit("the formats tell different rows")


if __name__ == "__main__":
    main()
