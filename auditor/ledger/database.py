"""The ledger's database: opened, migrated, locked for writing, its errors told in words."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from auditor.errors import LedgerError
from auditor.ledger.postgres import PostgresDatabase
from auditor.ledger.sqlite import SqliteFile
from auditor.ledger.tables import DAMAGED, WRITING

_MIGRATIONS: Final = Path(__file__).parent / "migrations"


class Database:
    """A SQLite file, or a database of PostgreSQL by its URL; safe to use from many threads and processes.

    `looking`: it is opened to be read alone, as it is: nothing is made, and no older schema is brought up to date.
    """

    def __init__(self, where: Path | str, *, looking: bool = False) -> None:
        self._place = SqliteFile(where, looking=looking) if isinstance(where, Path) else PostgresDatabase(where)
        if looking:
            with self.reading() as connection:
                self._demand_this_schema(connection)
            return
        with self.writing() as connection:
            self._migrate(connection)

    @property
    def name(self) -> str:
        """What errors call it."""
        return self._place.name

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """One consistent view of the ledger.

        Raises:
            LedgerError: it cannot be read.
        """
        self._place.still_there()
        with self._told(), self._place.engine.begin() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """One transaction that excludes all other writers; an exception undoes it.

        Raises:
            LedgerError: it cannot be written.
        """
        self._place.still_there()
        with self._told(), self._place.engine.execution_options(**{WRITING: True}).begin() as connection:
            yield connection

    def held(self, what: str, busy: LedgerError, seconds: float) -> AbstractContextManager[Callable[[], bool]]:
        """Hold one of the locks that go with the ledger, against everybody who works with it.

        `busy` is raised where another one holds it, `seconds` how long to wait before. It gives how to ask whether it
        is held still.
        """
        return self._place.held(what, busy, seconds)

    def close(self) -> None:
        """Let go of the file, or the connections."""
        self._place.engine.dispose()

    @contextmanager
    def _told(self) -> Iterator[None]:
        name = self._place.name
        try:
            yield
        except UnicodeDecodeError:
            raise LedgerError(f"ledger {name}: it holds bytes that are no text", DAMAGED) from None
        except SQLAlchemyError as error:
            # SQLite quotes what it cannot decode, and that may be half of a row; PostgreSQL adds lines with details.
            cause, _, _ = str(getattr(error, "orig", None) or type(error).__name__).partition(" with text ")
            cause = cause.strip().partition("\n")[0]
            raise LedgerError(f"ledger {name}: {cause}", self._place.hint(cause)) from None
        except CommandError:
            raise LedgerError(f"ledger {name}: it does not say which version wrote it", DAMAGED) from None

    def _demand_this_schema(self, connection: Connection) -> None:
        script = ScriptDirectory(str(_MIGRATIONS))
        have = MigrationContext.configure(connection).get_current_revision()
        if have == script.get_current_head():
            return
        if have is None:
            raise OlderSchemaError(f"ledger {self._place.name} is empty", "the next command that judges begins it")
        if have in {one.revision for one in script.walk_revisions()}:
            raise OlderSchemaError(
                f"ledger {self._place.name} was written by an older version (its schema is {have})",
                "the next command that judges brings it up to date; keep a copy if you may go back",
            )
        raise LedgerError(
            f"ledger {self._place.name} was written by a newer version (its schema is {have})", "use that version"
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
                f"ledger {self._place.name} was written by a newer version (its schema is {have})", "use that version"
            )
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


class OlderSchemaError(LedgerError):
    """A ledger that is read as it is has an older schema than this version writes."""
