"""A ledger's database behind the ledger's back."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine


def sql(where: Path | str, statement: str, values: Sequence[object] = ()) -> tuple[int, list[Any]]:
    """Run one statement: (rows that it changed or gave, what it gave)."""
    if isinstance(where, Path):
        with closing(sqlite3.connect(where)) as database, database:
            done = database.execute(statement, values)
            return done.rowcount, done.fetchall()
    engine = create_engine(where, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        told = connection.exec_driver_sql(statement.replace("?", "%s"), tuple(values) or None)
        found = [tuple(row) for row in told] if told.returns_rows else []
        count = len(found) if told.returns_rows else told.rowcount
    engine.dispose()
    return count, found
