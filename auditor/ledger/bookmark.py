"""How far a log of one's own was told what the ledger keeps: a small file beside it."""

import os
from dataclasses import dataclass
from pathlib import Path

from auditor.errors import LedgerError
from auditor.ledger import codec


@dataclass(frozen=True, slots=True)
class Bookmark:
    """One place in one ledger, for one log."""

    log: str
    number: int
    """Of the event up to which all is told."""
    hash: str
    """Of that event: in another ledger it is another one."""
    anew: bool = False
    """What stood there is not told yet."""


class BookmarkFile:
    """`ports.Bookmarks` in a file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> Bookmark | None:
        """The one that was kept; None where there is none that can be read."""
        try:
            return codec.load(Bookmark, self._path.read_text(encoding="utf-8"))
        except (OSError, ValueError, LedgerError):
            return None

    def keep(self, mark: Bookmark) -> None:
        """Keep one in the place of the other, whole or not at all.

        Raises:
            LedgerError: it cannot be written.
        """
        writing = self._path.with_name(f"{self._path.name}.new")
        try:
            with writing.open("w", encoding="utf-8") as file:
                file.write(codec.dump(mark))
                file.flush()
                os.fsync(file.fileno())
            writing.replace(self._path)
        except OSError as error:
            raise LedgerError(f"cannot write {self._path}: {error.strerror}", "look at the disk") from None
