"""A ledger in a SQLite file beside the inventory."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from errno import EACCES
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from sqlalchemy import URL, Connection, Engine, create_engine, event

from auditor.errors import LedgerError
from auditor.ledger.tables import DAMAGED, OURS, WRITING
from auditor.locks import held

_WAIT_MILLISECONDS: Final = 15_000


class SqliteFile:
    """One file; safe to use from many threads and processes of one machine."""

    def __init__(self, path: Path, *, looking: bool) -> None:
        self._path = path
        self.name = str(path)
        """What errors call it."""
        try:
            if not looking:
                path.parent.mkdir(parents=True, mode=0o700, exist_ok=True)
                _make(path)
            # A file that is there is never opened but by SQLite: who closes it takes every lock of this process off it,
            # also those that SQLite holds for another handle, and then somebody else removes the journal under that.
            self._file = path.stat()
            if not os.access(path, os.R_OK if looking else os.R_OK | os.W_OK):
                raise PermissionError(EACCES, os.strerror(EACCES))
        except OSError as error:
            raise LedgerError(
                f"cannot open the ledger {path}: {error.strerror}", "look at `state` in the config and its rights"
            ) from None
        self.engine = _engine(path, looking=looking)

    def still_there(self) -> None:
        """SQLite goes on to read a file that was deleted or moved away: nobody would see that the ledger is gone.

        Raises:
            LedgerError: it is.
        """
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
    def held(self, what: str, busy: LedgerError, seconds: float) -> Iterator[Callable[[], bool]]:
        """Hold one of the locks that go with the ledger, against all other processes and threads.

        It yields how to ask whether it is held still: it is lost with the file.

        Raises:
            LedgerError: `busy`, where another one holds it for longer; or it cannot be locked at all.
        """
        with held(self._path.with_name(f"{what}.lock"), busy, seconds) as still:
            yield still

    def hint(self, told: str) -> str:
        """What to do about a fault."""
        if "locked" in told:
            return "another process writes to it; try again, or stop the other one"
        if "full" in told or "disk I/O" in told:
            return "make room on the disk, or look whether it fails"
        if "readonly" in told or "unable to open" in told:
            return "look at the rights of the file and its folder"
        return DAMAGED


def _make(path: Path) -> None:
    """Make the file where it is not there, with its mode before the first byte.

    SQLite gives its side files the same.
    """
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))


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
        writing = connection.get_execution_options().get(WRITING)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")

    return engine


def _looking_at(path: Path) -> str:
    """Without a journal nobody works with it, and SQLite itself would leave files beside it."""
    journal = path.with_name(f"{path.name}-wal")
    alone = not (journal.exists() and journal.stat().st_size)
    return f"sqlite:///file:{quote(str(path))}?mode=ro&uri=true{'&immutable=1' if alone else ''}"


def _refuse_others(path: Path, names: set[str]) -> None:
    """Change nothing in a database that somebody else made; one that is empty becomes ours."""
    if names and not names >= OURS:
        raise LedgerError(
            f"{path} is a database of something else, no ledger; nothing in it was changed",
            "name another folder as `state` in the config, or move that file away",
        )
