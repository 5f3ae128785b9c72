"""One holder at a time, by a lock on a file that ends with its process, however that ends."""

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from auditor.errors import AuditorError, LedgerError

_PAUSE: Final = 0.1
"""Seconds between two tries."""


@contextmanager
def held(path: Path, busy: AuditorError, seconds: float = 0.0) -> Iterator[Callable[[], bool]]:
    """Hold the lock on a file, against all other processes and threads; the file stays.

    `busy` is raised where another one holds it, `seconds` how long to wait before. It yields how to ask whether it is
    held still: who takes the file away lets somebody else lock another one of its name.

    Raises:
        LedgerError: the file cannot be opened or locked at all.
    """
    deadline = time.monotonic() + seconds
    while (file := _taken(path)) is None:
        if time.monotonic() >= deadline:
            raise busy
        time.sleep(_PAUSE)
    try:
        yield lambda: _is_there(path, file)
    finally:
        os.close(file)


def is_held(path: Path) -> bool:
    """Whether somebody holds the lock on a file; a file that is not there is made by nobody for that.

    Raises:
        OSError: it cannot be told.
    """
    try:
        file = os.open(path, os.O_RDONLY)
    except (FileNotFoundError, NotADirectoryError):
        return False
    try:
        # Let go at once: only who wants it in this very moment sees it.
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(file)
    return False


def _taken(path: Path) -> int | None:
    """Open and lock the file that is there now; None where another one holds it, or somebody takes it away."""
    file = _opened(path)
    is_ours = False
    try:
        is_ours = _locked(path, file) and _is_there(path, file)
    finally:
        if not is_ours:
            os.close(file)
    return file if is_ours else None


def _opened(path: Path) -> int:
    try:
        return os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
    except OSError as error:
        raise _useless(path, error) from None


def _locked(path: Path, file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        raise _useless(path, error) from None
    return True


def _is_there(path: Path, file: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(file))
    except OSError:
        return False


def _useless(path: Path, error: OSError) -> LedgerError:
    return LedgerError(f"cannot lock {path}: {error.strerror}", "look at `state` in the config and its rights")
