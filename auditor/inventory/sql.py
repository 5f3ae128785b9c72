"""DuckDB as every file is read and sorted with it: little memory, and what does not fit goes to the disk."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final
from weakref import finalize

import duckdb

_IDLE: Final[list[duckdb.DuckDBPyConnection]] = []
"""Databases that nobody works with: to open one takes as long as to sort a small file."""
_READ: Final[list[duckdb.DuckDBPyConnection]] = []
"""Databases that nobody reads through any more."""
_KEPT: Final = 4
_MEMORY: Final = "SET memory_limit = '512MB'"


@contextmanager
def working(folder: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """Work with an empty database that nobody else has; `folder` is where it puts what does not fit.

    Tables and views in it must be temporary: they are gone afterwards.
    """
    spill = folder / "spill"
    # Whoever had it before may have asked for less memory.
    database = _set_up(_taken(_IDLE), f"SET temp_directory = '{quoted(spill)}'; {_MEMORY}")
    try:
        with database.cursor() as session:
            session.execute("SET TimeZone = 'UTC'")
            yield session
    except BaseException:
        database.close()
        raise
    # What has once spilled stays with its folder, which the next one does not share.
    if spill.exists():
        database.close()
    else:
        _given_back(_IDLE, database)


def reader(owner: object, setup: str) -> duckdb.DuckDBPyConnection:
    """Give a database that `owner` has for as long as it lives.

    `setup` makes all that is made in it, or replaces it: what stood there before is still there.
    """
    database = _set_up(_taken(_READ), setup)
    finalize(owner, _given_back, _READ, database).atexit = False
    return database


def _set_up(database: duckdb.DuckDBPyConnection, setup: str) -> duckdb.DuckDBPyConnection:
    """Make this in it, or in a new one where it can do no more."""
    try:
        database.execute(setup)
    except duckdb.Error:
        # Whatever the last one did to it, a new one does not have: once spilled, it takes no other folder.
        database.close()
        return lonely_reader(setup)
    return database


def lonely_reader(setup: str) -> duckdb.DuckDBPyConnection:
    """Give a database that was nobody's before, and is nobody's after."""
    database = _new()
    database.execute(setup)
    return database


def _taken(idle: list[duckdb.DuckDBPyConnection]) -> duckdb.DuckDBPyConnection:
    with suppress(IndexError):
        return idle.pop()
    return _new()


def _given_back(idle: list[duckdb.DuckDBPyConnection], database: duckdb.DuckDBPyConnection) -> None:
    if len(idle) < _KEPT:
        idle.append(database)
    else:
        database.close()


def _new() -> duckdb.DuckDBPyConnection:
    database = duckdb.connect()
    database.execute(_MEMORY)
    database.execute("SET threads = 2")
    return database


def quoted(path: Path | str) -> str:
    """Write a path as SQL wants it between quotes."""
    return str(path).replace("'", "''")
