"""The dependencies of some sweeps, read through DuckDB: sums for the judge, rows for outputs."""

import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import duckdb

from auditor.errors import LedgerError
from auditor.findings import Assessed, Member, Readability, member_of
from auditor.inventory.files import very_file
from auditor.inventory.snapshot import moment
from auditor.model import Dependency, Encryption, Extent, Holding, Population
from auditor.ports import NamespaceRow

_COLUMNS: Final = (
    "bucket VARCHAR, namespace VARCHAR, tenant VARCHAR, population VARCHAR, encryption VARCHAR, key VARCHAR, "
    "key_version VARCHAR, objects BIGINT, bytes BIGINT, archived BIGINT, oldest TIMESTAMPTZ, newest TIMESTAMPTZ, "
    "first_name VARCHAR, last_name VARCHAR"
)
_TENANTS: Final = 20
_SAMPLES: Final = 10
_PAGE: Final = 5_000

# What a bucket says of its sizes may add up to more than 64 bits hold: too much to count is no error.
_TOTAL: Final = """
CREATE MACRO total(amount) AS least(coalesce(sum(amount), 0), 9223372036854775807)::BIGINT
"""
_HOLDINGS: Final = """
SELECT bucket, encryption, key, key_version, total(objects), total(bytes), total(archived),
       count(DISTINCT namespace), epoch_us(min(oldest)), epoch_us(max(newest))
FROM dependency GROUP BY ALL ORDER BY bucket, encryption, key NULLS FIRST, key_version NULLS FIRST
"""
_CHOSEN: Final = """
WITH member AS (
    SELECT unnest($buckets::VARCHAR[]) AS bucket, unnest($encryptions::VARCHAR[]) AS encryption,
           unnest($keys::VARCHAR[]) AS key, unnest($versions::VARCHAR[]) AS key_version,
           unnest($ranks::BIGINT[]) AS rank
), chosen AS (
    SELECT dependency.*, member.rank FROM dependency JOIN member
    ON dependency.bucket = member.bucket AND dependency.encryption = member.encryption
    AND dependency.key IS NOT DISTINCT FROM member.key
    AND dependency.key_version IS NOT DISTINCT FROM member.key_version
)
"""
_SUMS: Final = (
    _CHOSEN
    + """
SELECT total(objects), total(bytes),
       count(DISTINCT (bucket, namespace)) FILTER (namespace IS NOT NULL) FROM chosen
"""
)
_TENANT_NAMES: Final = _CHOSEN + "SELECT DISTINCT tenant FROM chosen WHERE tenant IS NOT NULL ORDER BY 1 LIMIT $most"
_NAMESPACES: Final = (
    _CHOSEN
    + """
SELECT bucket, namespace, min(tenant), total(objects) AS held, total(bytes) FROM chosen
WHERE namespace IS NOT NULL GROUP BY bucket, namespace ORDER BY held DESC, bucket, namespace LIMIT $most OFFSET $skip
"""
)
_BY_RANK: Final = (
    _CHOSEN
    + """
SELECT bucket, rank, count(DISTINCT namespace) FROM chosen GROUP BY bucket, rank
"""
)
_WORST: Final = (
    _CHOSEN
    + """
, space AS (
    SELECT bucket, namespace, rank, min(tenant) AS tenant, total(objects) AS held, total(bytes) AS bytes
    FROM chosen WHERE namespace IS NOT NULL GROUP BY bucket, namespace, rank
    QUALIFY row_number() OVER (PARTITION BY bucket, namespace ORDER BY rank DESC) = 1
)
SELECT bucket, namespace, tenant, held, bytes, rank FROM space
ORDER BY rank DESC, held DESC, bucket, namespace LIMIT $most
"""
)
_ROWS: Final = """
SELECT bucket, namespace, tenant, population, encryption, key, key_version, objects, bytes, archived,
       epoch_us(oldest), epoch_us(newest), first_name, last_name
FROM dependency
ORDER BY bucket, namespace NULLS FIRST, tenant NULLS FIRST, population, encryption, key NULLS FIRST,
         key_version NULLS FIRST
LIMIT $most OFFSET $skip
"""

# How bad each is for a namespace, best first: the same order in which proven obstacles rank (design.md, 3).
_RANKED: Final = (
    Readability.READABLE,
    Readability.EXPIRING,
    Readability.UNKNOWN,
    Readability.UNREACHABLE,
    Readability.REVOKED,
    Readability.UNREADABLE,
    Readability.DOOMED,
    Readability.LOST,
)


class Dependencies:
    """Immutable once made; safe to use from many threads."""

    def __init__(self, files: Iterable[Path]) -> None:
        self._database = duckdb.connect()
        self._database.execute("SET memory_limit = '512MB'")
        self._database.execute("SET threads = 2")
        self._database.execute(_TOTAL)
        paths = [very_file(file) for file in files]
        if paths:
            listed = ", ".join("'" + path.replace("'", "''") + "'" for path in paths)
            with told():
                # A folder named `key=value` is no column.
                rows = f"read_parquet([{listed}], hive_partitioning = false)"
                self._database.execute(f"CREATE VIEW dependency AS SELECT * FROM {rows}")
        else:
            self._database.execute(f"CREATE TABLE dependency ({_COLUMNS})")
        self._lock = threading.Lock()
        self._extents: dict[tuple[Member, ...], Extent] = {}
        self._holdings: tuple[Holding, ...] | None = None

    def holdings(self) -> tuple[Holding, ...]:
        """All holdings, sorted by (bucket, encryption, key, key version)."""
        if self._holdings is None:
            self._holdings = tuple(
                Holding(
                    bucket=bucket,
                    encryption=Encryption(encryption),
                    key=key,
                    key_version=version,
                    objects=objects,
                    size=size,
                    archived=archived,
                    namespaces=namespaces,
                    oldest=moment(oldest),
                    newest=moment(newest),
                )
                for bucket, encryption, key, version, objects, size, archived, namespaces, oldest, newest in self._ask(
                    _HOLDINGS
                )
            )
        return self._holdings

    def extent(self, members: Iterable[Member]) -> Extent:
        """How much data these holdings are together, each namespace counted once; remembered, as nothing changes."""
        asked = tuple(members)
        if not asked:
            return Extent()
        with self._lock:
            known = self._extents.get(asked)
        if known is not None:
            return known
        chosen = _chosen([(member, 0) for member in asked])
        objects, size, namespaces = self._ask(_SUMS, chosen)[0]
        extent = Extent(
            objects=objects,
            size=size,
            namespaces=namespaces,
            tenants=tuple(row[0] for row in self._ask(_TENANT_NAMES, {**chosen, "most": _TENANTS})),
            sample_namespaces=tuple(f"{row.bucket}/{row.namespace}" for row in self.namespaces(asked, limit=_SAMPLES)),
        )
        with self._lock:
            self._extents[asked] = extent
        return extent

    def namespaces(
        self, members: Iterable[Member], offset: int = 0, limit: int | None = None
    ) -> Iterator[NamespaceRow]:
        """Yield the namespaces of these holdings, most objects first."""
        chosen = _chosen([(member, 0) for member in members])
        for bucket, namespace, tenant, objects, size in self._ask(
            _NAMESPACES, {**chosen, "most": limit if limit is not None else 2**62, "skip": offset}
        ):
            yield NamespaceRow(bucket, namespace, tenant, objects, size)

    def worst_namespaces(self, assessed: Iterable[Assessed], limit: int) -> tuple[NamespaceRow, ...]:
        """Rank all namespaces by the worst of their data, then by how much is so."""
        found = self._ask(_WORST, {**_chosen(_ranks(assessed)), "most": limit})
        return tuple(
            NamespaceRow(bucket, namespace, tenant, objects, size, _RANKED[rank])
            for bucket, namespace, tenant, objects, size, rank in found
        )

    def namespaces_by_readability(self, assessed: Iterable[Assessed]) -> Mapping[tuple[str, Readability], int]:
        """Count namespaces for each (bucket, readability); one namespace may stand under several."""
        found = self._ask(_BY_RANK, _chosen(_ranks(assessed)))
        return {(bucket, _RANKED[rank]): count for bucket, rank, count in found}

    def rows(
        self, assessed: Iterable[Assessed], offset: int = 0, limit: int | None = None
    ) -> Iterator[tuple[Dependency, Assessed]]:
        """Yield every dependency with its assessment, in an order that only the data decides."""
        by_member = {member_of(one.holding): one for one in assessed}
        left = limit if limit is not None else 2**62
        while left > 0:
            page = self._ask(_ROWS, {"most": min(left, _PAGE), "skip": offset})
            for row in page:
                found = _dependency(row)
                yield found, by_member[found.bucket, found.encryption, found.key, found.key_version]
            if len(page) < min(left, _PAGE):
                return
            offset += len(page)
            left -= len(page)

    def _ask(self, text: str, values: Mapping[str, Any] | None = None) -> list[tuple[Any, ...]]:
        with told(), self._database.cursor() as cursor:
            return cursor.execute(text, values or None).fetchall()


@contextmanager
def told() -> Iterator[None]:
    """Put what DuckDB says of a missing or damaged file into words.

    Raises:
        LedgerError: it says so.
    """
    try:
        yield
    except duckdb.Error as error:
        raise LedgerError(
            f"the inventory cannot be read: {type(error).__name__}", "a file is missing or damaged; scan again"
        ) from None


def _ranks(assessed: Iterable[Assessed]) -> list[tuple[Member, int]]:
    return [(member_of(one.holding), _RANKED.index(one.assessment.readability)) for one in assessed]


def _chosen(members: list[tuple[Member, int]]) -> dict[str, Any]:
    return {
        "buckets": [member[0] for member, _ in members],
        "encryptions": [member[1].value for member, _ in members],
        "keys": [member[2] for member, _ in members],
        "versions": [member[3] for member, _ in members],
        "ranks": [rank for _, rank in members],
    }


def _dependency(row: tuple[Any, ...]) -> Dependency:
    (
        bucket,
        namespace,
        tenant,
        population,
        encryption,
        key,
        version,
        objects,
        size,
        archived,
        oldest,
        newest,
        *names,
    ) = row
    return Dependency(
        bucket=bucket,
        namespace=namespace,
        tenant=tenant,
        population=Population(population),
        encryption=Encryption(encryption),
        key=key,
        key_version=version,
        objects=objects,
        size=size,
        archived=archived,
        oldest=moment(oldest),
        newest=moment(newest),
        samples=tuple(dict.fromkeys(names)),
    )
