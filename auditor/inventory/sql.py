"""DuckDB as every file is read and sorted with it: little memory, and what does not fit goes to the disk."""

from pathlib import Path

import duckdb


def settle(database: duckdb.DuckDBPyConnection, folder: Path) -> None:
    """Bound what it takes; `folder` is where it puts what does not fit."""
    database.execute(f"SET temp_directory = '{quoted(folder / 'spill')}'")
    database.execute("SET memory_limit = '512MB'")
    database.execute("SET threads = 2")
    database.execute("SET TimeZone = 'UTC'")


def quoted(path: Path | str) -> str:
    """Write a path as SQL wants it between quotes."""
    return str(path).replace("'", "''")
