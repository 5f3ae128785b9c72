"""A file that nobody but its owner may read, put in place whole or not at all."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Final

from auditor.errors import AuditorError

_LEFT: Final = 3600
"""Seconds after which a file that is not whole is nobody's any more: whoever writes one writes all the time."""


@contextmanager
def private_file(target: Path) -> Iterator[BinaryIO]:
    """Give a file to write, which takes the place of the target once all of it is written, and no error ended that.

    Raises:
        AuditorError: it cannot be written.
    """
    writing = target.with_name(f".writing-{os.getpid()}-{target.name}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            # What another process left there is none of ours, whoever may read it.
            writing.unlink(missing_ok=True)
            _tidy(target)
            with os.fdopen(os.open(writing, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600), "w+b") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            writing.replace(target)
        finally:
            writing.unlink(missing_ok=True)
    except OSError as error:
        raise AuditorError(f"cannot write {target}: {error.strerror}", "choose another --output") from None


def _tidy(target: Path) -> None:
    """Remove what processes left that were killed while they wrote this very file."""
    name = f"-{target.name}"
    for path in target.parent.iterdir():
        pid = path.name.removeprefix(".writing-").removesuffix(name)
        if path.name == f".writing-{pid}{name}" and pid.isascii() and pid.isdigit():
            with suppress(OSError):
                if time.time() - path.lstat().st_mtime > _LEFT:
                    path.unlink()
