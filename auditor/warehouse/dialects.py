"""The statement in the dialect of another engine, rewritten by sqlglot and checked for what no engine lacks."""

from typing import Final

from auditor.errors import UsageError

DIALECTS: Final = ("duckdb", "athena", "trino", "bigquery", "spark")
_FUNCTIONS: Final = frozenset(
    {"Case", "Cast", "Coalesce", "Count", "CurrentTimestamp", "If", "Max", "Min", "Nullif", "Or", "And"}
    | {"RegexpExtract", "RegexpReplace", "RowNumber", "Sum"}
)
"""What each of the engines has and reads alike: sqlglot hands on what one lacks, and says nothing."""


def written(statement: str, dialect: str) -> str:
    """Write a statement of DuckDB's for an engine, in which every name is quoted; for DuckDB it is what it is.

    Raises:
        UsageError: the extra that rewrites it is not installed.
    """
    if dialect == "duckdb":
        return statement
    try:
        import sqlglot  # noqa: PLC0415 - an extra, and slow to import
        from sqlglot import ErrorLevel, exp  # noqa: PLC0415 - as above
    except ImportError:
        raise UsageError(
            f"SQL for {dialect} needs the extra `warehouse`", "install cmek-auditor[warehouse], or ask for duckdb"
        ) from None
    tree = sqlglot.parse_one(statement, read="duckdb")
    used = {type(one).__name__ for one in tree.find_all(exp.Func)}
    if foreign := sorted(used - _FUNCTIONS):
        raise AssertionError(f"not all engines have {', '.join(foreign)}")
    return tree.sql(dialect=dialect, identify=True, pretty=True, unsupported_level=ErrorLevel.RAISE)
