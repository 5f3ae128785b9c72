"""The inventory's folder: one folder a sweep, put in place whole or not at all."""

import fcntl
import hashlib
import json
import logging
import os
import re
import shutil
import threading
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Final

import duckdb

from auditor.errors import CollectError, LedgerError
from auditor.inventory import parts, snapshot
from auditor.inventory.dependencies import Dependencies, told
from auditor.inventory.known import KnownRows
from auditor.inventory.layout import Layout
from auditor.model import Reason, Sample, Sweep
from auditor.ports import Begun, Passes, Written

_log = logging.getLogger(__name__)

_UNFINISHED: Final = ".unfinished-"
_OWNER: Final = ".owner"
_BEGUN: Final = ".begun"
_RESUMABLE: Final = 24 * 3600.0
"""Seconds after its last finished part in which a sweep can be gone on with."""
_TRIES: Final = 20
_PAUSE: Final = 0.05
"""How often, and after how many seconds, a folder is locked again."""
_LONG: Final = 3600.0
"""Seconds after which nobody still judges by a sweep that was replaced, or is about to publish or to lock one."""


class FileInventory:
    """Snapshots below one folder; one process writes a bucket at a time."""

    def __init__(self, root: Path, layouts: Mapping[str, Layout]) -> None:
        self._root = root
        self._layouts = layouts
        self._lock = threading.Lock()
        self._open: dict[tuple[str, ...], Dependencies] = {}
        self._proven: dict[str, tuple[int, int, int]] = {}
        """File -> what it looked like when its digest was right."""
        self._samples: dict[str, tuple[Sample, ...]] = {}

    def layout(self, bucket: str) -> str:
        """How the config says that namespaces are cut out of the names in a bucket."""
        return str(self._layouts[bucket])

    def known(self, sweep: Sweep) -> KnownRows | None:
        """What a sweep learnt; None where its snapshot is not what it wrote."""
        for name, digest in (sweep.files or {}).items():
            if name.endswith(f"/{snapshot.SNAPSHOT}"):
                try:
                    with self._lock:
                        self._prove(sweep.bucket, name, digest)
                except LedgerError:
                    return None
                return KnownRows(self._root / name)
        return None

    def begun(self, bucket: str, settings: str) -> Begun | None:
        """The newest sweep that broke off or was killed lately, and can be gone on with."""
        home = self._root / folder_name(bucket)
        try:
            found = [path for path in home.iterdir() if path.name.startswith(_UNFINISHED)]
        except OSError:
            return None
        kept = (_kept(path) for path in found if _is_dead(path))
        return max(
            (one for one in kept if one is not None and one.kept and one.settings == settings),
            key=lambda one: (one.after, one.started),
            default=None,
        )

    def write(self, bucket: str, begun: Begun, passes: Passes) -> Written:
        """Write one bucket's snapshot and dependencies atomically; of a listing that breaks off, finished parts stay.

        Raises:
            CollectError: the listing broke off.
            LedgerError: the disk cannot be written.
        """
        home = self._root / folder_name(bucket)
        unfinished = home / f"{_UNFINISHED}{begun.id}"
        stays = True
        if not begun.kept:
            # Nobody goes on any more with what was left before.
            self._remove_dead(home)
        try:
            unfinished.mkdir(parents=True, mode=0o700, exist_ok=bool(begun.kept))
            with _owned(unfinished):
                stays = False
                _keep(unfinished, begun)
                written = snapshot.write(unfinished, bucket, self._layouts[bucket], passes)
                shutil.rmtree(unfinished / "spill", ignore_errors=True)
                digests = {
                    f"{home.name}/{begun.id}/{name}": _digest(unfinished / name)
                    for name in (snapshot.SNAPSHOT, snapshot.DEPENDENCIES)
                }
                (unfinished / _BEGUN).unlink()
                os.replace(unfinished, home / begun.id)  # noqa: PTH105 - the atomic call by its own name
            (home / begun.id / _OWNER).unlink()
        except (OSError, duckdb.OperationalError) as error:
            why = (error.strerror if isinstance(error, OSError) else None) or type(error).__name__
            raise LedgerError(
                f"cannot write the inventory of {bucket}: {why}", f"look at disk and rights of {self._root}"
            ) from None
        except CollectError as error:
            kept = _kept(unfinished)
            # An answer that cannot be one to where it was to go on would be the same again.
            stays = kept is not None and kept.kept > 0 and not (begun.kept and error.reason is Reason.MALFORMED)
            raise
        finally:
            if not stays:
                shutil.rmtree(unfinished, ignore_errors=True)
        return replace(written, files=digests)

    def unusable(self, sweeps: Iterable[Sweep]) -> Mapping[str, LedgerError]:
        """Of each of these sweeps whose dependencies nobody may judge by: the bucket and why."""
        found: dict[str, LedgerError] = {}
        with self._lock:
            for one in sweeps:
                try:
                    self._prove(one.bucket, *_dependencies(one))
                except LedgerError as error:
                    found[one.bucket] = error
        return found

    def open(self, sweeps: Iterable[Sweep]) -> Dependencies:
        """Open the dependencies of these sweeps; the same sweeps again cost next to nothing.

        Raises:
            LedgerError: a file that a sweep names is not there, or is not what the sweep wrote.
        """
        wanted = tuple((one.bucket, *_dependencies(one)) for one in sweeps)
        names = tuple(name for _, name, _ in wanted)
        with self._lock:
            for bucket, name, digest in wanted:
                self._prove(bucket, name, digest)
            if names not in self._open:
                # Two at most: the newest judgement's, and that of sweeps which are published and not judged yet.
                for old in tuple(self._open)[:-1]:
                    del self._open[old]
                self._open[names] = Dependencies(self._root / name for name in names)
                used = {name for group in self._open for name in group}
                self._proven = {name: seen for name, seen in self._proven.items() if name in used}
            return self._open[names]

    def _prove(self, bucket: str, name: str, digest: str) -> None:
        """Compare a file with the digest that the ledger keeps, once and again whenever it was touched.

        Raises:
            LedgerError: it is not there, or not what the sweep wrote.
        """
        path = self._root / name
        try:
            found = path.stat()
            seen = found.st_ino, found.st_size, found.st_ctime_ns
            if self._proven.get(name) == seen:
                return
            same = _digest(path) == digest
        except OSError:
            raise LedgerError(
                f"the inventory of {bucket} lacks {name}, which its sweep in the ledger names",
                "sweep this bucket again; the ledger and the inventory belong together",
            ) from None
        if not same:
            raise LedgerError(
                f"the inventory of {bucket} cannot be used: {name} is not what the sweep wrote",
                "somebody or the disk changed it; sweep this bucket again",
            )
        self._proven[name] = seen

    def samples(self, sweeps: Iterable[Sweep]) -> tuple[Sample, ...]:
        """A few stored versions under each key version of each bucket that a probe may read, the best first.

        Of a bucket whose snapshot is missing, damaged or not what the sweep wrote there are none, and the log says so.
        """
        found: dict[str, tuple[Sample, ...]] = {}
        for one in sweeps:
            for name, digest in (one.files or {}).items():
                if name.endswith(f"/{snapshot.SNAPSHOT}"):
                    known = self._samples.get(name)
                    try:
                        found[name] = known if known is not None else self._chosen(one.bucket, name, digest)
                    except LedgerError as error:
                        _log.warning("no probe reads %s: %s; %s", one.bucket, error, error.hint)
        self._samples = found
        return tuple(sample for name in sorted(found) for sample in found[name])

    def _chosen(self, bucket: str, name: str, digest: str) -> tuple[Sample, ...]:
        # A few bytes an object, and it is read to its end for the choice anyway.
        self._prove(bucket, name, digest)
        with told():
            return snapshot.samples(self._root / name)

    def prune(self, bucket: str, needed: Collection[str]) -> None:
        """Remove what killed sweeps left, and the sweeps of a bucket that are not needed and were replaced long ago.

        Others may do so at the same time; what cannot be removed now is left for the next time.
        """
        home = self._root / folder_name(bucket)
        try:
            found = list(home.iterdir())
        except OSError:
            return
        dead = [path for path in found if path.name.startswith(_UNFINISHED) and _is_dead(path)]
        whole = sorted((path for path in found if not path.name.startswith(_UNFINISHED)), key=_age, reverse=True)
        # It was replaced when the next one was put in place, or later.
        replaced = (one for one, following in pairwise(whole) if _age(following) > _LONG)
        for path in [*dead, *(one for one in replaced if one.name not in needed)]:
            shutil.rmtree(path, ignore_errors=True)

    def _remove_dead(self, home: Path) -> None:
        try:
            found = [path for path in home.iterdir() if path.name.startswith(_UNFINISHED)]
        except OSError:
            return
        for path in found:
            if _is_dead(path):
                shutil.rmtree(path, ignore_errors=True)

    def remove(self, sweep: Sweep) -> None:
        """Remove the files of a sweep that never was in force, so that nothing stands on them."""
        shutil.rmtree(self._root / folder_name(sweep.bucket) / sweep.id, ignore_errors=True)


def _keep(folder: Path, begun: Begun) -> None:
    """Write down which sweep it is, for whoever goes on with it."""
    told = {
        "id": begun.id,
        "started": begun.started.isoformat(),
        "after": begun.after,
        "settings": begun.settings,
    }
    writing = folder / f".writing{_BEGUN}"
    writing.write_text(json.dumps(told), encoding="utf-8")
    writing.replace(folder / _BEGUN)


def _kept(folder: Path) -> Begun | None:
    """The sweep in a folder, with what of it is finished; None where nobody can go on with it."""
    try:
        told = json.loads((folder / _BEGUN).read_text(encoding="utf-8"))
        started = datetime.fromisoformat(told["started"])
        begun = Begun(str(told["id"]), started, str(told["settings"]), int(told["after"]))
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    named = folder.name == f"{_UNFINISHED}{begun.id}" and started.tzinfo is not None
    if not named or (folder / parts.DISORDER).exists():
        return None
    found = parts.finished(folder)
    if min((_age(one.path) for one in found), default=_RESUMABLE) >= _RESUMABLE:
        return None
    return replace(begun, kept=sum(one.rows for one in found))


@contextmanager
def _owned(folder: Path) -> Iterator[None]:
    """Hold a lock that ends with the process, so that others can tell a running sweep from a killed one.

    It moves along with the folder.
    """
    with (folder / _OWNER).open("w") as file:
        for tries in range(_TRIES, -1, -1):
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                # Somebody who looks whether it is dead, for an instant; or somebody who goes on with it.
                if not tries:
                    raise LedgerError("another process goes on with this sweep", "wait until it has ended") from None
                time.sleep(_PAUSE)
        yield


def _dependencies(sweep: Sweep) -> tuple[str, str]:
    """Name and digest of the file that every whole sweep has."""
    for name, digest in (sweep.files or {}).items():
        if name.endswith(f"/{snapshot.DEPENDENCIES}"):
            return name, digest
    raise LedgerError(
        f"sweep {sweep.id} of {sweep.bucket} names no dependencies, and every whole sweep has some",
        "somebody changed the ledger; restore it from a copy, or sweep again",
    )


def _is_dead(folder: Path) -> bool:
    try:
        with (folder / _OWNER).open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        # About to be locked, moved into place by now, or left by a version that unlocked before it was.
        return _age(folder) > _LONG
    except OSError:
        return False
    return True


def _age(path: Path) -> float:
    """Seconds since a folder was last written into; none for one that is not there any more."""
    try:
        return time.time() - path.lstat().st_mtime
    except OSError:
        return 0.0


def folder_name(bucket: str) -> str:
    """Name a bucket's folder: readable, and different for any two buckets."""
    readable = re.sub(r"[^a-z0-9-]", "-", bucket.replace("://", "-"))[:60]
    return f"{readable}-{hashlib.sha256(bucket.encode()).hexdigest()[:8]}"


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
