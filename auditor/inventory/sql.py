"""DuckDB as every file is read and sorted with it: little memory, and what does not fit goes to the disk."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import duckdb

_IDLE: Final[list[duckdb.DuckDBPyConnection]] = []
"""Databases that nobody works with: to open one takes as long as to sort a small file."""
_KEPT: Final = 4


@contextmanager
def working(folder: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """Work with an empty database that nobody else has; `folder` is where it puts what does not fit.

    Tables and views in it must be temporary: they are gone afterwards.
    """
    spill = folder / "spill"
    database = _taken()
    try:
        database.execute(f"SET temp_directory = '{quoted(spill)}'")
        with database.cursor() as session:
            session.execute("SET TimeZone = 'UTC'")
            yield session
    except BaseException:
        database.close()
        raise
    # What has once spilled stays with its folder, which the next one does not share.
    if spill.exists() or len(_IDLE) >= _KEPT:
        database.close()
    else:
        _IDLE.append(database)


def _taken() -> duckdb.DuckDBPyConnection:
    with suppress(IndexError):
        return _IDLE.pop()
    database = duckdb.connect()
    database.execute("SET memory_limit = '512MB'")
    database.execute("SET threads = 2")
    return database


def quoted(path: Path | str) -> str:
    """Write a path as SQL wants it between quotes."""
    return str(path).replace("'", "''")
