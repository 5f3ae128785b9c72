"""Objects under SSE-KMS of which a table of S3 Metadata does not tell the key: they are asked for it."""

import logging
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Final, Protocol

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from auditor import rows
from auditor.errors import CollectError
from auditor.inventory.files import very_file
from auditor.inventory.sql import quoted
from auditor.inventory_report import ByReport
from auditor.model import Reason
from auditor.warehouse import report_rows

_log = logging.getLogger(__name__)

_AT_ONCE: Final = 1_000
COLUMNS: Final = ("version_id", "e_tag")
"""What is read of the table for this alone."""
LACKS: Final = """
encryption_status IN ('SSE-KMS', 'DSSE-KMS') AND kms_key_arn IS NULL AND NOT COALESCE(is_delete_marker, FALSE)
"""
"""Of which rows that is so."""
# A version without an id can be asked for where it is the only one of its name. Which is the newest does not matter
# here, and takes all names to be sorted.
_ASKED: Final = f"""
COPY (
    SELECT key AS name, version_id AS version, FALSE AS newest, size,
        replace(CAST(last_modified_date AS VARCHAR), ' ', 'T') || 'Z' AS modified, NULLIF(trim(e_tag, '"'), '') AS etag,
        COALESCE(NULLIF(storage_class, ''), 'STANDARD') AS class, encryption_status AS status, FALSE AS archived
    FROM inventory WHERE {LACKS} AND (version_id IS NOT NULL OR hash(key) NOT IN (SELECT h FROM twice))
    ORDER BY name, modified DESC, version
) TO '{{asked}}' (FORMAT parquet)
"""  # noqa: S608 - words of our own
_ANSWERED: Final = """
CREATE TEMP TABLE answered AS
SELECT asked.name, asked.version, learnt.name IS NULL AS silent, learnt.encryption, learnt.key
FROM read_parquet('{asked}') AS asked LEFT JOIN read_parquet('{learnt}') AS learnt
    ON learnt.name = asked.name AND learnt.version IS NOT DISTINCT FROM asked.version
"""
# Whoever is silent though all were asked is there no more.
_KNOWN: Final = """
CREATE TEMP VIEW known AS
SELECT told.* REPLACE (
    CASE answered.encryption WHEN 'provider' THEN 'SSE-S3' WHEN 'customer_supplied' THEN 'SSE-C' WHEN 'none' THEN NULL
        ELSE told.encryption_status END AS encryption_status,
    COALESCE(answered.key, told.kms_key_arn) AS kms_key_arn)
FROM told LEFT JOIN answered
    ON answered.name = told.key AND answered.version IS NOT DISTINCT FROM told.version_id
    AND told.encryption_status IN ('SSE-KMS', 'DSSE-KMS') AND told.kms_key_arn IS NULL
WHERE NOT (COALESCE(answered.silent, FALSE) AND {is_whole})
"""


class Asking(Protocol):
    """Who asks objects."""

    def ask(self, report: ByReport) -> Iterator[pa.RecordBatch]:
        """HEAD what a report lists; yield what is known of each, as `rows.SCHEMA`, leaving out what is there no more.

        Raises:
            CollectError: it broke off.
        """


def learn(session: duckdb.DuckDBPyConnection, objects: Asking, folder: Path, now: datetime) -> str:
    """Make a view of `told`, of which some lack, in which keys stand that it lacked; return its name.

    Raises:
        OSError, duckdb.OperationalError: the disk fails.
    """
    asked, learnt = folder / "asked.parquet", folder / "learnt.parquet"
    try:
        session.execute(_ASKED.format(asked=quoted(asked)))
        is_whole = _ask(objects, asked, learnt, now)
        files = {"asked": quoted(very_file(asked)), "learnt": quoted(very_file(learnt))}
        session.execute(_ANSWERED.format(**files))
        session.execute(_KNOWN.format(is_whole=str(is_whole).lower()))
        return "known"
    finally:
        asked.unlink(missing_ok=True)
        learnt.unlink(missing_ok=True)


def _ask(objects: Asking, asked: Path, learnt: Path, now: datetime) -> bool:
    """Ask all of them; False: not all were asked, and nobody knows of the others."""
    heard = refused = 0
    with asked.open("rb") as file, pq.ParquetWriter(learnt, rows.SCHEMA) as out:
        try:
            for some in objects.ask(ByReport(now, lambda: report_rows.read(file, _AT_ONCE))):
                out.write_batch(some)
                heard += some.num_rows
                refused += some.column("problem").to_pylist().count(Reason.ACCESS_DENIED.value)
                if refused == heard >= _AT_ONCE:
                    # To whom this is not granted it will not be a million times either.
                    return False
        except CollectError as error:
            _log.warning("keys that its table lacks: %s; %s", error, error.hint)
            return False
    return True
