"""One holder at a time, by a lock on a file that ends with its process, however that ends."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from auditor.errors import AuditorError, LedgerError

_PAUSE: Final = 0.1
"""Seconds between two tries."""


@contextmanager
def held(path: Path, busy: AuditorError, seconds: float = 0.0) -> Iterator[None]:
    """Hold the lock on a file, against all other processes and threads; the file stays.

    `busy` is raised where another one holds it, `seconds` how long to wait before.

    Raises:
        LedgerError: the file cannot be opened or locked at all.
    """
    deadline = time.monotonic() + seconds
    file = _opened(path)
    try:
        while not _locked(path, file):
            if time.monotonic() >= deadline:
                raise busy
            time.sleep(_PAUSE)
        yield
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


def _useless(path: Path, error: OSError) -> LedgerError:
    return LedgerError(f"cannot lock {path}: {error.strerror}", "look at `state` in the config and its rights")
