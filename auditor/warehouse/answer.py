"""What a warehouse answered, a file of CSV or Parquet -> dependencies, each row checked before any counts."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from stat import S_ISREG
from typing import Any, Final

import duckdb

from auditor.errors import CollectError
from auditor.inventory.files import very_file
from auditor.inventory.layout import Layout
from auditor.inventory.layout_sql import namespace_of, tenant_of
from auditor.inventory.sql import quoted, working
from auditor.model import Cloud, Encryption, KeyName, Population, Reason
from auditor.moments import minute
from auditor.plurals import counted
from auditor.ports import Taken
from auditor.warehouse.aggregate import COLUMNS

_AHEAD: Final = timedelta(minutes=5)
"""By so much a warehouse's clock may be ahead of ours."""
_HINT: Final = "run the statement of `cmek-auditor aggregate` again, and save its whole answer with its head"
_ENCRYPTIONS: Final = tuple(one for one in Encryption if one is not Encryption.PROVIDER_KMS)
"""Which a table may tell: that somebody's KMS key is the provider's own is what the key says, and no table."""
_NUMBERS: Final = ("objects", "bytes", "archived", "answer_rows")
_TIMES: Final = ("oldest", "newest", "asked")
# All is said: what DuckDB finds out by a file's first rows may be wrong of those behind, and a folder that is named as
# partitions are (`asked=2026-01-01`) would tell a column in the place of the rows, as a name that ends in `.gz` that
# it is compressed.
_CSV: Final = (
    """header = true, all_varchar = true, nullstr = '', strict_mode = true, hive_partitioning = false, """
    """delim = ',', quote = '"', escape = '"', comment = '', skip = 0, filename = false, """
    """compression = 'none'"""
)
_FOREIGN: Final = {
    b"\xff\xfe": "is written in UTF-16",
    b"\xfe\xff": "is written in UTF-16",
    b"\x1f\x8b": "is compressed",
    b"PK\x03\x04": "is compressed",
    b"\x28\xb5\x2f\xfd": "is compressed",
}
"""What a file begins with that is neither Parquet nor CSV as it is read here -> what it is."""
_READ: Final = """
CREATE TEMP TABLE told AS
SELECT row_number() OVER () AS line, {columns} FROM {file}
"""
# Each row says one thing only; which is wrong with the first wrong one is told.
_WRONG: Final = """
SELECT line, why FROM (
    SELECT line, CASE
        WHEN bucket IS DISTINCT FROM '{bucket}' THEN 'is of another bucket'
        WHEN population IS NULL OR population NOT IN ({populations}) THEN 'population is none that there is'
        WHEN encryption IS NULL OR encryption NOT IN ({encryptions}) THEN 'encryption is none that there is'
        WHEN encryption = 'cmek' AND key IS NULL THEN 'a key is missing'
        WHEN encryption <> 'cmek' AND key IS NOT NULL THEN 'a key is named where none can be'
        WHEN key IS NULL AND key_version IS NOT NULL THEN 'a key version is named without its key'
        WHEN {version} THEN 'key_version is none'
        WHEN objects IS NULL OR objects < 1 THEN 'objects is no number above 0'
        WHEN bytes IS NULL OR bytes < 0 THEN 'bytes is no number'
        WHEN archived IS NULL OR archived < 0 OR archived > objects THEN 'archived is no number up to objects'
        WHEN oldest IS NULL OR newest IS NULL OR oldest > newest THEN 'oldest and newest are no times in this order'
        WHEN oldest < TIMESTAMPTZ '1970-01-01 00:00:00+00' OR newest >= TIMESTAMPTZ '2200-01-01 00:00:00+00'
            THEN 'a time is none that an object can have'
        WHEN first_name IS NULL OR last_name IS NULL OR first_name > last_name
            THEN 'first_name and last_name are no names in this order'
        WHEN namespace IS DISTINCT FROM {first} OR namespace IS DISTINCT FROM {last}
            THEN 'namespace is not the one that the layout of the config reads out of the names'
        WHEN asked IS NULL THEN 'asked is no time'
    END AS why FROM told
) WHERE why IS NOT NULL ORDER BY line LIMIT 1
"""
_TWICE: Final = """
SELECT max(line) FROM told GROUP BY namespace, population, encryption, key, key_version HAVING count(*) > 1
ORDER BY 1 LIMIT 1
"""
_VERSIONS: Final = {
    Cloud.AWS: "key_version IS NOT NULL",
    Cloud.GCP: "NOT regexp_full_match(coalesce(key_version, '1'), '[1-9][0-9]{0,17}')",
}
"""What no key version can be: on S3 no object tells one."""
_KEYS: Final = "SELECT DISTINCT key FROM told WHERE key IS NOT NULL"
_TWICE_NAMED: Final = re.compile(rf"({'|'.join(COLUMNS)})_[0-9]+", re.IGNORECASE)
_ASKED: Final = """
SELECT epoch_us(min(asked)), epoch_us(max(asked)), count(*),
       count(*) FILTER (WHERE answer_rows = (SELECT count(*) FROM told)), max(answer_rows)
FROM told
"""
# A key whose name is none is not known, as where a HEAD tells such a one. Names of others' populations are left out.
_KEPT: Final = """
SELECT '{bucket}' AS bucket, namespace, {tenant} AS tenant, population,
       if(key IN ({none}), 'unknown', encryption) AS encryption,
       if(key IN ({none}), NULL, key) AS key, if(key IN ({none}), NULL, key_version) AS key_version,
       objects, bytes, archived, oldest, newest, first_name, last_name
FROM told WHERE population IN ({populations})
"""
_SUMS: Final = """
SELECT coalesce(sum(objects), 0)::BIGINT,
       coalesce(sum(objects) FILTER (WHERE encryption <> 'unknown'), 0)::BIGINT,
       coalesce(sum(objects) FILTER (WHERE namespace IS NULL), 0)::BIGINT
FROM kept
"""
_WRITTEN: Final = """
COPY (
    SELECT bucket, namespace, any_value(tenant) AS tenant, population, encryption, key, key_version,
           sum(objects)::BIGINT AS objects, sum(bytes)::BIGINT AS bytes, sum(archived)::BIGINT AS archived,
           min(oldest) AS oldest, max(newest) AS newest, min(first_name) AS first_name, max(last_name) AS last_name
    FROM kept GROUP BY bucket, namespace, population, encryption, key, key_version ORDER BY namespace NULLS LAST
) TO '{target}' (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 122880)
"""


@dataclass(frozen=True, slots=True)
class Answer:
    """The file, and of which bucket it is."""

    path: Path
    bucket: str
    cloud: Cloud
    layout: Layout
    populations: tuple[Population, ...]
    """Which the config wants."""
    named: str | None = None
    """What it is told as, where that is not its path."""
    hint: str = _HINT

    @property
    def told_by(self) -> None:
        """A warehouse, and nobody knows which."""

    def put(self, folder: Path, target: Path, now: datetime) -> Taken:
        """Write its dependencies; `folder` is where what does not fit in memory goes.

        Raises:
            CollectError: it cannot be read, is no whole answer to the statement, or is of another layout.
            duckdb.OperationalError: the disk fails.
        """
        try:
            with working(folder) as session:
                return self._put(session, target, now)
        except duckdb.OperationalError:
            raise  # the file was open: it is the disk where the work is done
        except duckdb.Error as error:
            why = str(error).partition("\n")[0][:200]
            raise self._refused(f"cannot be read: {why}", Reason.MALFORMED) from None

    def _put(self, session: duckdb.DuckDBPyConnection, target: Path, now: datetime) -> Taken:
        self._open(session)
        asked = self._asked(session, now)
        texts = {
            "bucket": quoted(self.bucket),
            "populations": _listed(Population),
            "encryptions": _listed(_ENCRYPTIONS),
            "version": _VERSIONS[self.cloud],
            "first": namespace_of(self.layout, "first_name"),
            "last": namespace_of(self.layout, "last_name"),
        }
        for line, why in session.execute(_WRONG.format(**texts)).fetchall():
            raise self._refused(f"row {line}: {why}", Reason.MALFORMED)
        for (line,) in session.execute(_TWICE).fetchall():
            raise self._refused(f"row {line} tells again what one before has told", Reason.MALFORMED)
        none = [key for (key,) in session.execute(_KEYS).fetchall() if not self._is_key(key)]
        kept = _KEPT.format(
            bucket=quoted(self.bucket),
            tenant=tenant_of(self.layout),
            none=", ".join(f"'{quoted(one)}'" for one in none) or "NULL",
            populations=_listed(self.populations),
        )
        session.execute(f"CREATE TEMP VIEW kept AS {kept}")
        session.execute(_WRITTEN.format(target=quoted(target)))
        ((listed, resolved, outside),) = session.execute(_SUMS).fetchall()
        return Taken(asked, listed, resolved, outside, unresolved=listed - resolved)

    def _open(self, session: duckdb.DuckDBPyConnection) -> None:
        try:
            if not S_ISREG(self.path.stat().st_mode):
                raise self._refused("is no file", Reason.NOT_FOUND)
            with self.path.open("rb") as file:
                begins = file.read(4)
        except OSError as error:
            reason = Reason.NOT_FOUND if isinstance(error, FileNotFoundError) else Reason.ACCESS_DENIED
            raise self._refused(f"cannot be read: {error.strerror}", reason) from None
        where = f"'{quoted(very_file(self.path))}'"
        if foreign := [what for bytes_, what in _FOREIGN.items() if begins.startswith(bytes_)]:
            raise self._refused(f"{foreign[0]}: save it as plain CSV in UTF-8, or as Parquet", Reason.MALFORMED)
        is_parquet = begins == b"PAR1"
        rows = f"read_parquet({where}, hive_partitioning = false)" if is_parquet else f"read_csv({where}, {_CSV})"
        names = {row[0] for row in self._read(session, f"DESCRIBE SELECT * FROM {rows}")}  # noqa: S608 - ours
        if lacking := [one for one in COLUMNS if one not in names]:
            raise self._refused(f"has no column {lacking[0]}", Reason.MALFORMED)
        # DuckDB calls the second of two that are called alike so, and nobody knows which of them is meant.
        if twice := sorted(hit[1] for hit in map(_TWICE_NAMED.fullmatch, names) if hit):
            raise self._refused(f"has the column {twice[0]} twice", Reason.MALFORMED)
        columns = ", ".join(f"{_cast(one)} AS {one}" for one in COLUMNS)
        self._read(session, _READ.format(columns=columns, file=rows))

    def _read(self, session: duckdb.DuckDBPyConnection, statement: str) -> list[tuple[Any, ...]]:
        try:
            return session.execute(statement).fetchall()
        except duckdb.IOException as error:
            # The rows are put on the disk meanwhile, which may fail as well: of that the message names other files.
            why = str(error).partition("\n")[0]
            if not any(name in why for name in (str(self.path), very_file(self.path))):
                raise
            raise self._refused(f"cannot be read: {why[:200]}", Reason.MALFORMED) from None

    def _asked(self, session: duckdb.DuckDBPyConnection, now: datetime) -> datetime:
        """When the warehouse was asked: all rows of one answer say the same."""
        ((first, last, rows, right, whole),) = session.execute(_ASKED).fetchall()
        if not rows:
            told = "has no row: a bucket that is empty cannot be told from a statement that failed"
            raise self._refused(told, Reason.MALFORMED)
        if first is None:
            raise self._refused("row 1: asked is no time", Reason.MALFORMED)
        if first != last:
            raise self._refused("is of several answers: its rows were asked for at different times", Reason.MALFORMED)
        if right != rows:
            told = f"has {counted(rows, 'row')}, and the warehouse answered with {whole or 'others'}"
            raise self._refused(f"{told}: it was cut off, or put together", Reason.MALFORMED)
        asked = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=first)
        if asked > now + _AHEAD:
            raise self._refused(f"was asked for on {minute(asked)}, which is still to come", Reason.MALFORMED)
        return min(asked, now)

    def _is_key(self, text: str) -> bool:
        try:
            return KeyName.parse(text).cloud is self.cloud
        except ValueError:
            return False

    def _refused(self, why: str, reason: Reason) -> CollectError:
        return CollectError(f"{self.named or self.path}: {why}", self.hint, reason=reason)


def _cast(column: str) -> str:
    """Tell how a column is read: NULL where it cannot be."""
    if column in _NUMBERS:
        # By itself a cast rounds what is no whole number.
        return f'CASE WHEN TRY_CAST("{column}" AS DOUBLE) % 1 = 0 THEN TRY_CAST("{column}" AS BIGINT) END'
    if column in _TIMES:
        # Python has no other years, and no sweep. `year` would tell those before our era like those of it.
        told = f'TRY_CAST("{column}" AS TIMESTAMPTZ)'
        return f"CASE WHEN {told} BETWEEN TIMESTAMPTZ '1900-01-01' AND TIMESTAMPTZ '9000-01-01' THEN {told} END"
    return f'TRY_CAST("{column}" AS VARCHAR)'


def _listed(some: Iterable[StrEnum]) -> str:
    return ", ".join(f"'{one.value}'" for one in some)
