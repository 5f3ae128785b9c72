"""Files of the state folder in a bucket of our own: put there by who writes them, fetched by who lacks them."""

import os
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from auditor.errors import CollectError, DiskError, GoneError
from auditor.inventory import files
from auditor.ports import Depot

_HINT: Final = "look at the bucket that `inventory` names, and at the rights on it"


class Copies:
    """Of the files below one folder; nobody is asked before one is put or lacks."""

    def __init__(self, root: Path, url: str, depot: Callable[[], Depot]) -> None:
        """`depot`: makes what puts and fetches at `url`, s3://BUCKET/FOLDER or gs://BUCKET/FOLDER."""
        self._root = root
        self.url = url
        self._make = depot

    def put(self, paths: Iterable[Path]) -> None:
        """Put files there, unless the same are there already; names in a bucket are those below the folder.

        Raises:
            DiskError: one of them could not be put: as long as it is not there, nobody else can judge by it.
        """
        depot = self._make()
        for path in paths:
            try:
                depot.put_file(self._named(path), path)
            except CollectError as error:
                raise DiskError(f"what was learnt is kept here alone: {error}", error.hint or _HINT) from None
            except OSError as error:
                why = error.strerror or type(error).__name__
                raise DiskError(f"{path} cannot be copied to {self.url}: {why}", f"look at {self._root}") from None

    def fetch(self, path: Path, digest: str | None = None) -> None:
        """Put a file in its place that is not here; `digest`: SHA-256 of what it is to be, where somebody knows.

        Raises:
            GoneError: it is not there either, cannot be read, or is another.
            DiskError: it cannot be written.
        """
        name = self._named(path)
        unfinished = path.with_name(f"{files.UNFINISHED}{os.getpid()}-{threading.get_ident()}-{path.name}")
        try:
            files.make_folder(path.parent, self._root)
            try:
                with unfinished.open("wb") as out:
                    self._make().fetch(name, out)
                if digest is not None and files.digest(unfinished) != digest:
                    raise GoneError(
                        f"{name} at {self.url} is not what was put there", "somebody changed it; sweep again"
                    )
                files.put(unfinished, path)
            finally:
                unfinished.unlink(missing_ok=True)
        except CollectError as error:
            raise GoneError(f"{name} is not here, and cannot be had elsewhere: {error}", error.hint or _HINT) from None
        except OSError as error:
            why = error.strerror or type(error).__name__
            raise DiskError(f"{path} cannot be written: {why}", f"look at disk and rights of {self._root}") from None

    def _named(self, path: Path) -> str:
        """What a file is called in the bucket.

        Raises:
            GoneError: it is none below the folder: somebody has changed what names it.
        """
        if ".." in path.parts or not path.is_relative_to(self._root):
            raise GoneError(f"{path} is no file of the state folder", "somebody changed what names it; sweep again")
        return path.relative_to(self._root).as_posix()
