"""What each SQLite ledger works out anew, worked out once: tests make thousands of them.

Files, connections and rows are still each test's own; what is shared says how tables are made and how statements read.
"""

import functools
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite as Dialect

from auditor.ledger import sqlite
from auditor.ledger.database import Database


def share() -> None:
    """Let the ledgers of this process share it."""
    _share_tables()
    _share_statements()


def _share_statements() -> None:
    # They are remembered by dialect, and all dialects of one process are the same.
    Dialect.__eq__ = lambda self, other: type(self) is type(other)  # type: ignore[method-assign]  # for that
    Dialect.__hash__ = lambda self: hash(type(self))  # type: ignore[method-assign]  # for that
    known: dict[str, Any] = {"compiled_cache": {}}
    make = functools.partial(sqlite.create_engine, execution_options=known)  # type: ignore[attr-defined]  # it imports it
    sqlite.create_engine = make  # type: ignore[attr-defined]  # for that


def _share_tables() -> None:
    """New ledgers get the tables that the first one got from the migrations."""
    migrate, made = Database._migrate, list[tuple[str, tuple[str, ...]]]()  # noqa: SLF001 - there is no other place

    def migrate_once(self: Any, connection: Connection) -> None:
        if connection.dialect.name != "sqlite" or _tables(connection):
            migrate(self, connection)
        elif made:
            for statement, values in made:
                connection.exec_driver_sql(statement, values)
        else:
            migrate(self, connection)
            made.extend((table, ()) for table in _tables(connection))
            version = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar_one()
            made.append(("INSERT INTO alembic_version VALUES (?)", (version,)))

    Database._migrate = migrate_once  # type: ignore[method-assign]  # noqa: SLF001 - for that


def _tables(connection: Connection) -> list[str]:
    """Statements that made what is there."""
    found = connection.exec_driver_sql("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY rowid")
    return [str(sql) for sql in found.scalars()]
