"""The SQL that adds up a foreign inventory to dependencies: thousands of rows for any number of objects.

It is DuckDB's dialect, and of it what all engines read alike once it is rewritten (`dialects`). Judging is never in it.
"""

import re
from collections.abc import Mapping
from typing import Final

from auditor.errors import UsageError
from auditor.inventory.layout import Layout
from auditor.inventory.layout_sql import namespace_of

COLUMNS: Final = (
    *("namespace", "population", "encryption", "key", "key_version"),
    *("objects", "bytes", "archived", "oldest", "newest", "first_name", "last_name"),
    *("bucket", "asked", "answer_rows"),
)
"""Of the answer, in their order; they mean what those of `scan --format json` do.

`bucket`: of which it is, so that no other's answer passes for its own; `asked`: when the engine was; `answer_rows`: how
many rows it answered with, so that one that was cut off is noticed.
"""
_PART: Final = re.compile(r'"([^"]+)"|([A-Za-z0-9_$/-]+)')
_NAME: Final = re.compile(rf"(?:{_PART.pattern})(?:\.(?:{_PART.pattern}))*")

# One row for each version. The newest of a name has the greatest sequence number: where that is a delete marker, none
# of the name is live. SSE-KMS without a key is what the table could not learn; no status may mean that, or that nothing
# is encrypted. Amazon S3 User Guide, "S3 Metadata live inventory tables schema".
_S3_METADATA: Final = """
SELECT 's3://' || bucket AS bucket, key AS name, size, CAST(last_modified_date AS TIMESTAMP) AS modified,
       CASE WHEN place = 1 THEN 'live' ELSE 'noncurrent' END AS population,
       CASE WHEN encryption_status IN ('SSE-KMS', 'DSSE-KMS') AND kms_key_arn LIKE 'arn:%' THEN 'cmek'
            WHEN encryption_status = 'SSE-S3' THEN 'provider'
            WHEN encryption_status = 'SSE-C' THEN 'customer_supplied'
            ELSE 'unknown' END AS encryption,
       CASE WHEN encryption_status IN ('SSE-KMS', 'DSSE-KMS') THEN kms_key_arn END AS kms_key,
       CASE WHEN storage_class IN ('GLACIER', 'DEEP_ARCHIVE') THEN 1 ELSE 0 END AS archived
FROM (SELECT *, {place} AS place FROM {table}) AS versions
WHERE NOT COALESCE(is_delete_marker, FALSE)
"""
S3_METADATA_COLUMNS: Final = (
    *("bucket", "key", "sequence_number", "is_delete_marker", "size", "last_modified_date"),
    *("storage_class", "encryption_status", "kms_key_arn"),
)
"""Which of its columns are read."""
_PLACE: Final = "ROW_NUMBER() OVER (PARTITION BY key ORDER BY sequence_number DESC)"
_ONLY: Final = "1"
"""Of the only version of a name: to sort all names takes most of the time and memory."""
_NORMAL: Final = """
SELECT '{bucket}' AS bucket, name, size, modified, population, encryption, kms_key, archived FROM {table}
"""
SOURCES: Final[Mapping[str, str]] = {"s3-metadata": _S3_METADATA, "normal": _NORMAL}
"""Kind of table -> the SELECT that brings it into the normal form."""

_AGGREGATE: Final = """
SELECT {namespace} AS namespace, population, encryption,
       CASE WHEN encryption = 'cmek' THEN REGEXP_REPLACE(kms_key, '/cryptoKeyVersions/[0-9]+$', '') END AS key,
       CASE WHEN encryption = 'cmek'
            THEN NULLIF(REGEXP_EXTRACT(kms_key, '/cryptoKeyVersions/([0-9]+)$', 1), '') END AS key_version,
       COUNT(*) AS objects, CAST(SUM(size) AS BIGINT) AS bytes, CAST(SUM(archived) AS BIGINT) AS archived,
       MIN(modified) AS oldest, MAX(modified) AS newest, MIN(name) AS first_name, MAX(name) AS last_name,
       bucket, MAX({asked}) AS asked, COUNT(*) OVER () AS answer_rows
FROM ({normal}) AS objects
GROUP BY 1, 2, 3, 4, 5, bucket
"""


def aggregate(source: str, layout: Layout, table: str, bucket: str, *, never_versioned: bool = False) -> str:
    """The statement, in DuckDB's dialect.

    `source`: which kind of table it is, a name of `SOURCES`. `table`: parts with dots between them, those with other
    characters than letters, digits, `_`, `$`, `/` and `-` in double quotes. `bucket`: whose it is, as a URL; S3
    Metadata says so itself. `never_versioned`: each name stands in it once.

    Raises:
        UsageError: the table is no such name, or the layout cannot be told in SQL.
    """
    return statement(source, layout, table, bucket, place=_ONLY if never_versioned else _PLACE)


def statement(
    source: str, layout: Layout, table: str, bucket: str, *, place: str, asked: str = "CURRENT_TIMESTAMP"
) -> str:
    """The same; `place` is what tells, of each version of a name, which it is, the newest being 1.

    `asked`: what tells when the engine was asked.

    Raises:
        UsageError: as above.
    """
    if not _NAME.fullmatch(table):
        hint = 'write it as catalog.schema.table, with "double quotes" where a part needs them'
        raise UsageError(f"{table!r} names no table", hint)
    quoted = ".".join(f'"{given or plain}"' for given, plain in _PART.findall(table))
    normal = SOURCES[source].format(table=quoted, bucket=bucket, place=place).strip()
    return _AGGREGATE.format(namespace=namespace_of(layout), normal=normal, asked=asked).strip()
