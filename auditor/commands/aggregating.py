"""`aggregate`: the statement for a warehouse."""

import sys
from pathlib import Path

from auditor.config import load
from auditor.errors import UsageError
from auditor.inventory.layout import Layout
from auditor.warehouse.aggregate import aggregate
from auditor.warehouse.dialects import written


def print_statement(
    path: Path, bucket: str, kind: str, table: str, dialect: str, *, never_versioned: bool = False
) -> int:
    """Print what adds up a bucket of the config out of a table of some kind, in a dialect."""
    config = load(path)
    found = next((one for one in config.bucket if one.url == bucket), None)
    if found is None:
        named = ", ".join(one.url for one in config.bucket) or "none"
        raise UsageError(f"{bucket!r} is no bucket of the config", f"buckets are {named}")
    if kind == "s3-metadata" and not bucket.startswith("s3://"):
        raise UsageError(f"{bucket} has no table of S3 Metadata", "name a table in the normal form: --from normal")
    layout = Layout.parse(found.layout, found.tenant_field)
    statement = written(aggregate(kind, layout, table, bucket, never_versioned=never_versioned), dialect)
    if sys.stdout is not None:
        sys.stdout.write(f"{statement};\n")
    return 0
