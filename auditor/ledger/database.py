"""The ledger's database: opened, migrated, locked for writing, its errors told in words."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.exc import SQLAlchemyError

from auditor.errors import LedgerError
from auditor.ledger.tables import DAMAGED, METADATA

_MIGRATIONS: Final = Path(__file__).parent / "migrations"
_WRITING: Final = "cmek_writing"
_WAIT_MILLISECONDS: Final = 15_000
_OURS: Final = frozenset({"alembic_version", *METADATA.tables})


class Database:
    """One SQLite file; safe to use from many threads and processes.

    `looking`: it is opened to be read alone, as it is: nothing is made, and no older schema is brought up to date.
    """

    def __init__(self, path: Path, *, looking: bool = False) -> None:
        self._path = path
        try:
            if not looking:
                path.parent.mkdir(parents=True, mode=0o700, exist_ok=True)
            # Made with its mode before the first byte; SQLite gives its side files the same.
            file = os.open(path, os.O_RDONLY if looking else os.O_CREAT | os.O_RDWR, 0o600)
            self._file = os.fstat(file)
            os.close(file)
        except OSError as error:
            raise LedgerError(
                f"cannot open the ledger {path}: {error.strerror}", "look at `state` in the config and its rights"
            ) from None
        self._engine = _engine(path, looking=looking)
        if looking:
            with self.reading() as connection:
                self._demand_this_schema(connection)
            return
        with self.writing() as connection:
            self._migrate(connection)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """One consistent view of the ledger.

        Raises:
            LedgerError: it cannot be read.
        """
        self._still_there()
        with self._told(), self._engine.begin() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """One transaction that excludes all other writers; an exception undoes it.

        Raises:
            LedgerError: it cannot be written.
        """
        self._still_there()
        with self._told(), self._engine.execution_options(**{_WRITING: True}).begin() as connection:
            yield connection

    def close(self) -> None:
        """Let go of the file."""
        self._engine.dispose()

    def _still_there(self) -> None:
        """SQLite goes on to read a file that was deleted or moved away: nobody would see that the ledger is gone."""
        try:
            there = os.path.samestat(self._path.stat(), self._file)
        except OSError:
            there = False
        if not there:
            raise LedgerError(
                f"the ledger {self._path} was deleted, moved or replaced while it was in use",
                "put it back, or start the auditor again to begin with what is there now",
            )

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except UnicodeDecodeError:
            raise LedgerError(f"ledger {self._path}: it holds bytes that are no text", DAMAGED) from None
        except SQLAlchemyError as error:
            # SQLite quotes what it cannot decode, and that may be half of a row.
            cause, _, _ = str(getattr(error, "orig", None) or type(error).__name__).partition(" with text ")
            raise LedgerError(f"ledger {self._path}: {cause}", _hint(cause)) from None
        except CommandError:
            raise LedgerError(f"ledger {self._path}: it does not say which version wrote it", DAMAGED) from None

    def _demand_this_schema(self, connection: Connection) -> None:
        script = ScriptDirectory(str(_MIGRATIONS))
        have = MigrationContext.configure(connection).get_current_revision()
        if have == script.get_current_head():
            return
        if have is None:
            raise OlderSchemaError(f"ledger {self._path} is empty", "the next command that judges begins it")
        if have in {one.revision for one in script.walk_revisions()}:
            raise OlderSchemaError(
                f"ledger {self._path} was written by an older version (its schema is {have})",
                "the next command that judges brings it up to date; keep a copy if you may go back",
            )
        raise LedgerError(
            f"ledger {self._path} was written by a newer version (its schema is {have})", "use that version"
        )

    def _migrate(self, connection: Connection) -> None:
        config = Config()
        config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
        script = ScriptDirectory.from_config(config)
        have = MigrationContext.configure(connection).get_current_revision()
        if have == script.get_current_head():
            return
        if have is not None and have not in {one.revision for one in script.walk_revisions()}:
            raise LedgerError(
                f"ledger {self._path} was written by a newer version (its schema is {have})", "use that version"
            )
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


class OlderSchemaError(LedgerError):
    """A ledger that is read as it is has an older schema than this version writes."""


def _engine(path: Path, *, looking: bool) -> Engine:
    engine = create_engine(_looking_at(path) if looking else URL.create("sqlite", database=str(path)))

    @event.listens_for(engine, "connect")
    def _settle(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # transactions begin where we say so, below
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout = {_WAIT_MILLISECONDS}")
        _refuse_others(path, {name for (name,) in cursor.execute("SELECT name FROM sqlite_master")})
        if not looking:
            cursor.execute("PRAGMA journal_mode = WAL")
            cursor.execute("PRAGMA synchronous = FULL")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        # IMMEDIATE: two writers queue at the start instead of failing at the end.
        writing = connection.get_execution_options().get(_WRITING)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")

    return engine


def _looking_at(path: Path) -> str:
    """Without a journal nobody works with it, and SQLite itself would leave files beside it."""
    journal = path.with_name(f"{path.name}-wal")
    alone = not (journal.exists() and journal.stat().st_size)
    return f"sqlite:///file:{quote(str(path))}?mode=ro&uri=true{'&immutable=1' if alone else ''}"


def _refuse_others(path: Path, names: set[str]) -> None:
    """Change nothing in a database that somebody else made; one that is empty becomes ours."""
    if names and not names >= _OURS:
        raise LedgerError(
            f"{path} is a database of something else, no ledger; nothing in it was changed",
            "name another folder as `state` in the config, or move that file away",
        )


def _hint(told: str) -> str:
    if "locked" in told:
        return "another process writes to it; try again, or stop the other one"
    if "full" in told or "disk I/O" in told:
        return "make room on the disk, or look whether it fails"
    if "readonly" in told or "unable to open" in told:
        return "look at the rights of the file and its folder"
    return DAMAGED
