"""A ledger in a PostgreSQL database, which several machines may share."""

import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final

from sqlalchemy import URL, Connection, Engine, ExceptionContext, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from auditor.errors import LedgerError, UsageError
from auditor.ledger.tables import OURS, WRITING

_WAIT_MILLISECONDS: Final = 15_000
_PAUSE: Final = 0.5
"""Seconds between two tries to get a lock."""
_LONGEST_MILLISECONDS: Final = 600_000
"""Of one statement; the largest reads the whole chain."""
_SETTINGS: Final = {
    "lock_timeout": _WAIT_MILLISECONDS,
    "statement_timeout": _LONGEST_MILLISECONDS,
    # Between two statements of one view, years of the chain may be read: an administrator's seconds would end that.
    "idle_in_transaction_session_timeout": _LONGEST_MILLISECONDS,
    # Who holds a lock and is cut off has lost it within half a minute, on both sides.
    "tcp_keepalives_idle": 5,
    "tcp_keepalives_interval": 5,
    "tcp_keepalives_count": 3,
}
_CONNECTING: Final = {
    "connect_timeout": 10,
    "application_name": "cmek-auditor",
    "client_encoding": "utf8",
    "keepalives_idle": 5,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
    "options": " ".join(f"-c {name}={value}" for name, value in _SETTINGS.items()),
}
_KEEP_IDLE: Final = (
    "SELECT set_config(name, '0', false) FROM pg_catalog.pg_settings WHERE name = 'idle_session_timeout'"
)
"""A lock is held by saying nothing, for as long as a poll takes; before PostgreSQL 14 there was no such setting."""
_READ_ONLY: Final = "25006"
"""What a server says that lets nothing be written. Source: PostgreSQL documentation, appendix A, error codes."""
_TABLES: Final = (
    "SELECT tablename FROM pg_catalog.pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
)

_LOOK_THERE: Final = "look into the server's own log; where that tells of damage, restore the database from a copy"
_HINTS: Final = (
    (("lock timeout",), "another process writes to it; try again, or stop the other one"),
    # What the driver tells of a connection that it did not get begins alike, whatever the reason.
    (("authentication", "password"), "give the password as PGPASSWORD, or in a file as ~/.pgpass"),
    (("pg_hba.conf",), "let the server's pg_hba.conf admit this user from this machine"),
    (
        ("too many c", "connection slots"),
        "close connections of others, or let the server and the user have more: a daemon takes up to 17",
    ),
    ((" does not exist",), "look whether `ledger` in the config names the right database, and who took what away"),
    (("read-only",), "look why the server lets nothing be written: its disk may be full, or it only follows another"),
    (("permission denied",), "the database's user must own it, or be granted all on its schema"),
    (("disk", "space"), "make room on the server's disk, or look whether it fails"),
    (("statement timeout", "due to user request"), "look what keeps the server busy, or who cancels statements there"),
    (
        ("onnection", "resolve", "server closed", "starting up", "shut", "recovery", "TimeoutError"),
        "look whether the server runs and can be reached; `ledger` in the config names it",
    ),
)
"""Words that the server or its driver says, and what to do then; the first that fits counts."""


class PostgresDatabase:
    """One database, in which nothing else is; safe to use from many threads, processes and machines."""

    def __init__(self, url: str) -> None:
        where = _url(url)
        self.name = where.render_as_string(hide_password=True)
        """What errors call it: without a password."""
        self.engine = _engine(where)
        # Not of the pool: a lock is its connection's, and ends with it.
        self._for_locks = create_engine(
            where, poolclass=NullPool, isolation_level="AUTOCOMMIT", connect_args=_CONNECTING, hide_parameters=True
        )
        with self._told():
            self._refuse_others()

    def still_there(self) -> None:
        """A database that is gone answers no statement."""

    @contextmanager
    def held(self, what: str, busy: LedgerError, seconds: float) -> Iterator[Callable[[], bool]]:
        """Hold one of the locks that go with the ledger, against everybody who shares the database.

        It is let go with the connection, however that ends; it yields how to ask whether it is held still.

        Raises:
            LedgerError: `busy`, where another one holds it for longer; or the database does not answer.
        """
        deadline = time.monotonic() + seconds
        with self._told():
            connection = self._for_locks.connect()
        try:
            with self._told():
                connection.exec_driver_sql(_KEEP_IDLE)
            while True:
                with self._told():
                    got = connection.exec_driver_sql("SELECT pg_try_advisory_lock(%s)", (_number(what),)).scalar()
                if got:
                    break
                if time.monotonic() >= deadline:
                    raise busy
                time.sleep(_PAUSE)
            yield lambda: _answers(connection)
        finally:
            with suppress(SQLAlchemyError):
                connection.close()

    def hint(self, told: str) -> str:
        """What to do about a fault."""
        return _hint(told)

    def _refuse_others(self) -> None:
        """Change nothing in a database that somebody else made; one that is empty becomes ours."""
        with self.engine.connect() as connection:
            if connection.exec_driver_sql("SHOW server_encoding").scalar() != "UTF8":
                raise UsageError(f"database {self.name} holds no UTF-8", "make it with ENCODING 'UTF8'")
            names = {name for (name,) in connection.exec_driver_sql(_TABLES)}
        if names and not names >= OURS:
            raise LedgerError(
                f"database {self.name} holds something else, no ledger; nothing in it was changed",
                "make a database for the ledger alone",
            )

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except SQLAlchemyError as error:
            # Its first line: those behind it may quote what was sent.
            cause = str(getattr(error, "orig", None) or type(error).__name__).strip().partition("\n")[0]
            raise LedgerError(f"ledger {self.name}: {cause}", self.hint(cause)) from None


def _hint(told: str) -> str:
    return next((hint for words, hint in _HINTS if any(one in told for one in words)), _LOOK_THERE)


def _url(text: str) -> URL:
    try:
        where = make_url(text)
        where.get_dialect().import_dbapi()
    except (ArgumentError, NoSuchModuleError):
        raise UsageError(
            "`ledger` names no PostgreSQL database", "write postgresql+psycopg://USER@HOST:PORT/DATABASE"
        ) from None
    except ImportError:
        raise UsageError(
            "a ledger in PostgreSQL needs its driver, which is not installed", "pip install 'cmek-auditor[postgres]'"
        ) from None
    return where


def _engine(where: URL) -> Engine:
    engine = create_engine(where, pool_pre_ping=True, connect_args=_CONNECTING, hide_parameters=True)

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        if connection.get_execution_options().get(WRITING):
            # Two writers queue at the start, so that each sees what the other has written.
            connection.exec_driver_sql("SELECT pg_advisory_xact_lock(%s)", (_number("writing"),))
        else:
            connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")

    @event.listens_for(engine, "handle_error")
    def _part(context: ExceptionContext) -> None:
        # A session stays as it began, however long the server may be written to again: others take the place of all.
        if getattr(context.original_exception, "sqlstate", None) == _READ_ONLY:
            context.is_disconnect = True

    return engine


def _answers(connection: Connection) -> bool:
    try:
        connection.exec_driver_sql("SELECT 1")
    except SQLAlchemyError:
        return False
    return True


def _number(what: str) -> int:
    """Locks of PostgreSQL have numbers, of 64 bits with a sign."""
    return int.from_bytes(hashlib.sha256(f"cmek-auditor {what}".encode()).digest()[:8], "big", signed=True)
