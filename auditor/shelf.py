"""Reports that are kept: each in a folder of its own, there whole or not at all, and the oldest ones go."""

import errno
import hashlib
import logging
import os
import re
import shutil
from collections.abc import Callable, Collection, Iterator
from datetime import datetime
from itertools import chain, count
from pathlib import Path
from stat import S_ISREG
from typing import Annotated, Final

import msgspec

from auditor.errors import AuditorError
from auditor.moments import stamp

_log = logging.getLogger(__name__)

_ABOUT: Final = "kept.json"
_UNFINISHED: Final = ".unfinished-"
_UPLOADED: Final = ".uploaded"
_NAME: Final = re.compile(r"[0-9]{4,5}-[0-9]{2}-[0-9]{2}T[0-9]{2}-[0-9]{2}-[0-9]{2}Z(?:-[0-9]{1,9})?")
_FILE: Final = re.compile(r"report(?:-[a-z]+)?\.[a-z]+(?:\.[a-z]+)?")
_LARGEST_NOTE: Final = 1 << 20
"""Bytes of what is known of a report, at most; they are read at each scrape."""
_NO_JSON: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What reading something else than what was written may raise."""
_Moment = Annotated[datetime, msgspec.Meta(tz=True)]
_Digest = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]


class KeptFile(msgspec.Struct, frozen=True):
    """One file of a report."""

    name: str
    size: Annotated[int, msgspec.Meta(ge=0)]
    """Bytes."""
    sha256: _Digest


class Told(msgspec.Struct, frozen=True):
    """What a report is of. All times are aware, UTC."""

    judgement: str
    """Id of the run that judged."""
    judged: _Moment
    made: _Moment
    verdict: str
    """The sentence that its first page begins with."""
    version: str
    """Of the program that made it."""
    events: int
    """Number of the last event of the ledger that the judgement was kept as."""
    head: _Digest
    """Hash of that event: what anybody who has written it down can hold the ledger against."""


class Kept(msgspec.Struct, frozen=True):
    """A report that is kept whole."""

    told: Told
    files: tuple[KeptFile, ...]


class Uploaded(msgspec.Struct, frozen=True):
    """That a report is somewhere else as well."""

    to: str
    """The URL of the folder that it was put into."""
    at: _Moment
    """Aware, UTC."""


class Damaged(msgspec.Struct, frozen=True):
    """A report of which nobody can tell what it was."""

    why: str


class ChangedError(AuditorError):
    """What is kept is not what was written."""


class UntoldError(AuditorError):
    """That a report is somewhere else as well cannot be written down."""


class Shelf:
    """The reports in one folder; safe to read from many threads while one writes."""

    def __init__(self, folder: Path, keep: int) -> None:
        """Look nowhere yet. `keep`: how many stay, the newest."""
        self._folder = folder
        self._keep = keep

    def put(self, told: Told, write: Callable[[Path], None], to: str | None = None) -> tuple[str, Kept]:
        """Keep one more, and remove the oldest; `write` gets a folder to put its files into.

        `to`: where reports are uploaded to; one that is removed and not known to be there is told in the log.

        Returns:
            What it is called, and what is in it.

        Raises:
            AuditorError: it cannot be written; nothing is left of it.
        """
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            for one in self._folder.glob(f"{_UNFINISHED}*"):
                # Only one daemon works on a folder: this is of one that was killed.
                shutil.rmtree(one, ignore_errors=True)
            name = self._free(stamp(told.made).replace(":", "-"))
            writing = self._folder / f"{_UNFINISHED}{name}"
            writing.mkdir(mode=0o700)
            try:
                write(writing)
                kept = Kept(told, tuple(_measured(one) for one in sorted(writing.iterdir())))
                (writing / _ABOUT).write_bytes(msgspec.json.encode(kept))
                for one in (*writing.iterdir(), writing):
                    _settle(one)
                writing.rename(self._folder / name)
            finally:
                shutil.rmtree(writing, ignore_errors=True)
            _settle(self._folder)
            # Where a clock was ahead, those of then are called later than this one: it stays all the same.
            for old in [one for one in self._names() if one != name][self._keep - 1 :]:
                if to is not None and not self._is_at(to, old):
                    _log.warning("report %s is removed, as newer ones are kept, and is not known to be in %s", old, to)
                shutil.rmtree(self._folder / old, ignore_errors=True)
        except OSError as error:
            raise AuditorError(
                f"cannot keep a report in {self._folder}: {error.strerror}", "see that there is room, and who may write"
            ) from None
        return name, kept

    def listed(self) -> tuple[tuple[str, Kept | Damaged], ...]:
        """All that are kept, the newest first: what each is called and what it is of."""
        return tuple((name, self._about(name)) for name in self._names())

    def newest(self, until: datetime) -> datetime | None:
        """When the last one up to a moment was made that can be read; None: there is none.

        Those of later moments were made while the clock was ahead, and say nothing of what is due.
        """
        made = (one.told.made for _, one in self.listed() if isinstance(one, Kept))
        return next((at for at in made if at <= until), None)

    def read(self, name: str, file: str) -> bytes | None:
        """What is in a file of a report; None: there is no such file.

        Raises:
            ChangedError: it is not what was written.
        """
        if not (_NAME.fullmatch(name) and _FILE.fullmatch(file)) or name not in self._names():
            return None
        about = self._about(name)
        if isinstance(about, Damaged):
            raise ChangedError(f"what report {name} was is not known: {about.why}", "take it from a copy")
        known = next((one for one in about.files if one.name == file), None)
        if known is None:
            return None
        try:
            content = self._bytes(name, file, known.size)
        except OSError as error:
            raise ChangedError(f"{file} of report {name} cannot be read: {error.strerror}", "look there") from None
        if hashlib.sha256(content).hexdigest() != known.sha256:
            raise ChangedError(f"{file} of report {name} was changed since it was written", "take it from a copy")
        return content

    def content(self, name: str) -> Iterator[tuple[str, bytes]]:
        """Yield all files of a report, and at last the one that says what it is: where that is, all of it is.

        Raises:
            ChangedError: something in it is not what was written.
        """
        about = self._about(name)
        if isinstance(about, Damaged):
            raise ChangedError(f"what report {name} was is not known: {about.why}", "take it from a copy")
        for one in about.files:
            content = self.read(name, one.name)
            if content is None:
                raise ChangedError(f"report {name} was removed meanwhile")
            yield one.name, content
        yield _ABOUT, msgspec.json.encode(about)

    def waiting(self, to: str) -> tuple[str, ...]:
        """Those that were not uploaded there yet, the oldest first.

        Raises:
            AuditorError: which there are cannot be read.
        """
        return tuple(name for name in reversed(self._names()) if not self._is_at(to, name))

    def uploaded(self, name: str) -> Uploaded | None:
        """Where a report was uploaded to last, and when; None: nowhere, as far as anybody knows."""
        try:
            return msgspec.json.decode(self._bytes(name, _UPLOADED, _LARGEST_NOTE), type=Uploaded)
        except (OSError, *_NO_JSON):
            return None

    def tell_uploaded(self, name: str, one: Uploaded) -> None:
        """Know from now on that a report is there as well.

        Raises:
            UntoldError: it cannot be written down; it will be uploaded again, which changes nothing there.
        """
        path = self._folder / name / _UPLOADED
        writing = path.with_name(f"{_UPLOADED}-writing")
        try:
            # Whatever lies there, where it leads to is not written to.
            writing.unlink(missing_ok=True)
            with writing.open("xb") as file:
                file.write(msgspec.json.encode(one))
            _settle(writing)
            writing.rename(path)
        except OSError as error:
            raise UntoldError(
                f"cannot write down in {self._folder} that report {name} was uploaded: {error.strerror}",
                "see that there is room, and who may write",
            ) from None

    def _is_at(self, to: str, name: str) -> bool:
        one = self.uploaded(name)
        return one is not None and one.to == to

    def _names(self) -> list[str]:
        try:
            found: Collection[str] = [one.name for one in self._folder.iterdir()]
        except FileNotFoundError:
            found = ()
        except OSError as error:
            raise AuditorError(f"cannot read {self._folder}: {error.strerror}", "see who may read it") from None
        return sorted((one for one in found if _NAME.fullmatch(one)), key=_order, reverse=True)

    def _about(self, name: str) -> Kept | Damaged:
        try:
            return msgspec.json.decode(self._bytes(name, _ABOUT, _LARGEST_NOTE), type=Kept)
        except OSError as error:
            return Damaged(f"{_ABOUT}: {error.strerror}")
        except _NO_JSON:
            return Damaged(f"{_ABOUT} is not what was written")

    def _bytes(self, name: str, file: str, largest: int) -> bytes:
        """Read a file of a report that is one, and in its folder: no pipe is waited for, and no link followed.

        Raises:
            OSError: it is another thing, larger, or not there.
        """
        folder = os.open(self._folder / name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            handle = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
        finally:
            os.close(folder)
        with open(handle, "rb") as opened:  # noqa: PTH123 - a handle, no path
            looks = os.fstat(handle)
            if not S_ISREG(looks.st_mode):
                raise OSError(errno.EINVAL, "is no file")
            content = opened.read(largest + 1)
        if len(content) > largest:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
        return content

    def _free(self, name: str) -> str:
        there = set(self._names())
        return next(one for one in chain([name], (f"{name}-{number}" for number in count(2))) if one not in there)


def _order(name: str) -> tuple[str, int]:
    moment, _, number = name.partition("Z")
    return moment, int(number[1:] or 1) if number else 1


def _measured(path: Path) -> KeptFile:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return KeptFile(path.name, path.stat().st_size, digest)


def _settle(path: Path) -> None:
    """See that the disk has it."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
