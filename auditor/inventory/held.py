"""The rows of files with dependencies, of all data or of one tenant's alone, as SQL that asks for them."""

from collections.abc import Iterable
from typing import Final

import duckdb

from auditor.inventory import tenancy
from auditor.inventory.sql import quoted
from auditor.ownership.registered import Tenancy

# What was put beside registries by an older version, or beside none, names nobody.
_NOBODY: Final = "SELECT NULL::VARCHAR AS owner, NULL::VARCHAR AS team WHERE false"
# No view takes values, so that they stand in tables: one row, and one row a key.
_WHOSE: Final = """
CREATE OR REPLACE TABLE whose AS
SELECT $tenant::VARCHAR AS tenant, $doubted::VARCHAR[] AS doubted, $unsound::VARCHAR[] AS unsound
"""
_CALLED: Final = """
CREATE OR REPLACE TABLE called AS SELECT unnest($keys::VARCHAR[]) AS key, unnest($names::VARCHAR[]) AS name,
    unnest($labelled::BOOLEAN[]) AS labelled
"""
# Who answers for data may be told of its key alone, and so be whoever answers for another tenant's.
_ALONE: Final = f"""
SELECT held.* REPLACE (
    coalesce(called.name, held.key) AS key, if(called.labelled, NULL, held.owner) AS owner,
    if(called.labelled, NULL, held.team) AS team, NULL::VARCHAR AS first_name, NULL::VARCHAR AS last_name
) FROM ({{rows}}) AS held CROSS JOIN whose LEFT JOIN called ON called.key = held.key
WHERE held.tenant = whose.tenant AND {tenancy.certain("whose.doubted", "whose.unsound")}
"""  # noqa: S608 - a number of our own


def rows_of(plain: Iterable[str], beside: Iterable[str]) -> str:
    """All rows of some files; of those `beside` registries they tell more."""
    both = (list(plain), "*, 0::BIGINT AS portions"), (list(beside), "*")
    return " UNION ALL BY NAME ".join([_NOBODY, *(_read(some, columns) for some, columns in both if some)])


def rows_alone(database: duckdb.DuckDBPyConnection, rows: str, of: Tenancy) -> str:
    """Those of one tenant among `rows`, without names of objects, and each key by the name that it is told by."""
    database.execute(_WHOSE, {"tenant": of.tenant, **tenancy.doubted(of.doubt)})
    labelled = [one in of.labelled for one in of.called]
    database.execute(_CALLED, {"keys": list(of.called), "names": list(of.called.values()), "labelled": labelled})
    return _ALONE.format(rows=rows)


def _read(paths: Iterable[str], columns: str) -> str:
    listed = ", ".join(f"'{quoted(path)}'" for path in paths)
    # A folder named `key=value` is no column.
    return f"SELECT {columns} FROM read_parquet([{listed}], hive_partitioning = false, union_by_name = true)"  # noqa: S608 - quoted
