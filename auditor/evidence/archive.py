"""An evidence bundle as a file: written so that the same files give the same bytes, and read believing none of them."""

import hashlib
import json
import os
import shutil
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from stat import S_ISREG
from typing import Any, BinaryIO, Final, NoReturn

from auditor.errors import RefusedError, UsageError
from auditor.evidence import statement, zipped
from auditor.evidence.statement import MANIFEST, PAYLOAD_TYPE, SEAL, Statement
from auditor.evidence.verified import Check
from auditor.evidence.zipped import Entry, Found
from auditor.plurals import agreed, counted
from auditor.signing import envelope
from auditor.signing.envelope import PublicKey, Signer

_PIECE: Final = 1024 * 1024
_LONGEST_NAME: Final = 100
"""Bytes of a name that are shown."""
_ANOTHER: Final = "it was packed anew by another program, as {} shows"
_AGAIN: Final = "get it once more from whoever made it; `cmek-auditor report --bundle` writes it"
_AS_IT_WAS: Final = "verify the file as it was handed over: what was unpacked and packed anew is another file"
_OTHER_KEY: Final = (
    f"{_AGAIN}; if they sign with another key now, have them give you the public one on a way that you trust"
)


@dataclass(frozen=True, slots=True)
class Archive:
    """An archive of which each byte is signed, or follows from what is; without a key nobody knows by whom."""

    path: Path
    statement: Statement
    digest: str
    """SHA-256 of what is signed, hexadecimal."""
    signer: str | None
    """Fingerprint of the key that the signature was verified with; None: it was not."""
    named: str | None
    """Fingerprint of the key that the file names; nobody vouches for that."""
    size: int
    _file: BinaryIO
    _places: Mapping[str, tuple[int, int, str]]
    """Name of a file -> where it begins, its bytes and its digest."""

    def lines(self, name: str, longest: int) -> Iterator[bytes]:
        """Yield the lines of a file; what they are is believed only once the last one was read.

        Raises:
            RefusedError: one is longer than any can be, or the file was changed since it was looked at.
        """
        at, left, digest = self._places[name]
        seen = hashlib.sha256()
        while left:
            self._file.seek(at)
            text = self._file.readline(min(left, longest + 1))
            if not text or len(text) > longest:
                raise RefusedError(Check.FILES, f"{self.path}: {name} is no list of lines as a bundle has it", _AGAIN)
            at, left = at + len(text), left - len(text)
            seen.update(text)
            yield text
        if seen.hexdigest() != digest:
            raise RefusedError(Check.FILES, f"{self.path}: {name} was changed while it was read", "verify it once more")


def schema() -> dict[str, Any]:
    """The JSON Schema of what is signed."""
    text = files("auditor.schemas").joinpath("evidence-1.schema.json").read_text(encoding="utf-8")
    told: dict[str, Any] = json.loads(text)
    return told


@dataclass(frozen=True, slots=True)
class Content:
    """A file that is to stand in an archive."""

    path: Path
    size: int
    sha256: str
    crc: int


def measure(path: Path) -> Content:
    """Read a file once for all that is told of it."""
    seen, crc, size = hashlib.sha256(), 0, 0
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            seen.update(piece)
            crc = zlib.crc32(piece, crc)
            size += len(piece)
    return Content(path, size, seen.hexdigest(), crc)


def write(told: Statement, contents: Mapping[str, Content], key: Signer, file: BinaryIO) -> None:
    """Sign what is told of some files and write all of it.

    Raises:
        UsageError: nobody could read it: it is more than an archive takes, or what is told cannot be.
    """
    payload = statement.pack(told)
    try:
        statement.unpack(payload)
    except ValueError as error:
        raise UsageError(f"nobody could read the bundle: {error}", "scan again, and look what is odd there") from None
    sealed = envelope.seal(payload, PAYLOAD_TYPE, key)
    first = tuple(Entry(name, len(one), zlib.crc32(one)) for name, one in ((SEAL, sealed), (MANIFEST, payload)))
    each = tuple(Entry(name, size, contents[name].crc) for name, size, _ in told.files)
    if (size := zipped.size_of((*first, *each))) > zipped.LARGEST:
        raise UsageError(
            f"the evidence has {size:,} bytes, and an archive takes no more than {zipped.LARGEST:,}",
            "configure fewer buckets in one auditor.toml, and make a bundle of each",
        )
    for entry, whole in zip(first, (sealed, payload), strict=True):
        file.write(zipped.local(entry))
        file.write(whole)
    for entry in each:
        file.write(zipped.local(entry))
        with contents[entry.name].path.open("rb") as one:
            shutil.copyfileobj(one, file, _PIECE)
    file.write(zipped.directory((*first, *each)))


@contextmanager
def opened(path: Path, key: PublicKey | None) -> Iterator[Archive]:
    """Open an archive and look at each byte of it; nothing of it is believed before its signature was verified.

    Without `key` nobody knows who signed it: all else is looked at.

    Raises:
        RefusedError: it is none, or not as it was signed.
        UsageError: it cannot be read.
    """
    try:
        # A pipe would be waited for.
        if not S_ISREG(path.stat().st_mode):
            raise UsageError(f"{path} is no file", "name what `cmek-auditor report --bundle` has written")
        file = path.open("rb")
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}", "look at path and rights") from None
    with file:
        try:
            yield read(path, file, key)
        except OSError as error:
            raise UsageError(f"{path} cannot be read: {error.strerror}", "look at the disk") from None


def read(path: Path, file: BinaryIO, key: PublicKey | None) -> Archive:
    """Look at each byte of an archive that is open; `path`: what it is called.

    Raises:
        RefusedError: it is none, or not as it was signed.
    """
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    return _Reading(path, file, size).all(key)


class _Reading:
    """One archive that is read from its beginning to its end."""

    def __init__(self, path: Path, file: BinaryIO, size: int) -> None:
        self._path = path
        self._file = file
        self._size = size
        self._entries: list[Entry] = []

    def all(self, key: PublicKey | None) -> Archive:
        """Look at all of it."""
        sealed = self._seal()
        payload, named = self._signed(sealed, key)
        try:
            told = statement.unpack(payload)
        except ValueError as error:
            self._refuse(Check.SIGNATURE, f"it is not believed: {error}", _AGAIN)
        known = {SEAL, MANIFEST, *(one.name for one in told.subject)}
        places: dict[str, tuple[int, int, str]] = {}
        digest = hashlib.sha256(payload).hexdigest()
        for name, size, wanted in ((MANIFEST, len(payload), digest), *told.files):
            self._header(name, size, known)
            places[name] = self._file.tell(), size, wanted
            self._content(name, size, wanted)
        self._end()
        signer = envelope.fingerprint(key) if key is not None else None
        return Archive(self._path, told, digest, signer, named, self._size, self._file, places)

    def _seal(self) -> bytes:
        header = self._file.read(zipped.LOCAL.size)
        found = zipped.looked_at(header)
        if found is None:
            self._refuse(Check.FILES, f"it is no evidence bundle: {_instead(header)}", _hint_instead(header))
        name = self._file.read(found.name_bytes)
        if name != SEAL.encode():
            self._refuse(Check.FILES, f"it begins with {_shown(name)}, and an evidence bundle with {SEAL}", _AS_IT_WAS)
        self._demand_ours(found, SEAL)
        if found.size > statement.LARGEST:
            told = f"{SEAL} has {found.size:,} bytes, and no more than {statement.LARGEST:,} are read"
            self._refuse(Check.SIGNATURE, told, _AGAIN)
        whole = self._file.read(found.size)
        if len(whole) < found.size:
            self._cut_off(SEAL)
        self._entries.append(Entry(SEAL, found.size, found.crc))
        if zlib.crc32(whole) != found.crc:
            self._refuse(Check.FILES, f"it is damaged: {SEAL} is not what its checksum says", _AGAIN)
        if header + name != zipped.local(self._entries[-1]):
            self._refuse(Check.FILES, _ANOTHER.format(SEAL), _AS_IT_WAS)
        return whole

    def _signed(self, sealed: bytes, key: PublicKey | None) -> tuple[bytes, str | None]:
        """What is signed, and the key that the file names."""
        try:
            cover = json.loads(sealed)
            payload, named = envelope.unsealed(cover, PAYLOAD_TYPE)
            if key is not None:
                payload = envelope.unseal(cover, PAYLOAD_TYPE, key)
            ours = envelope.rewritten(cover, PAYLOAD_TYPE)
        except RecursionError:
            self._refuse(Check.SIGNATURE, f"it is not believed: {SEAL} is too deep", _AGAIN)
        except envelope.NotSignedError as error:
            self._refuse(Check.SIGNATURE, f"it is not believed: {error}", _OTHER_KEY)
        except (json.JSONDecodeError, UnicodeDecodeError):
            self._refuse(Check.SIGNATURE, f"it is not believed: {SEAL} is no JSON", _AGAIN)
        except ValueError as error:
            self._refuse(Check.SIGNATURE, f"it is not believed: {error}", _AGAIN)
        if sealed != ours:
            self._refuse(Check.SIGNATURE, f"it is not believed: {SEAL} was written by another program", _AGAIN)
        if key is not None and named != envelope.fingerprint(key):
            told = f"it is not believed: {SEAL} names another key than has signed it: it was changed"
            self._refuse(Check.SIGNATURE, told, _AGAIN)
        return payload, named

    def _header(self, name: str, size: int, known: Iterable[str]) -> None:
        """See that a file begins here, and that it is this one."""
        header = self._file.read(zipped.LOCAL.size)
        found = zipped.looked_at(header)
        if found is None:
            if len(header) < zipped.LOCAL.size:
                self._cut_off(name)
            if header.startswith(b"PK\1\2"):
                self._refuse(Check.FILES, f"it lacks {name}, which is signed, and perhaps others", _AS_IT_WAS)
            self._refuse(Check.FILES, f"it has something that nobody signed where {name} is to begin", _AGAIN)
        written = self._file.read(found.name_bytes)
        if written != name.encode():
            is_known = written.decode("utf-8", "replace") in known
            told = (
                f"it lacks {name}, or it stands elsewhere: {_shown(written)} is there"
                if is_known
                else f"it has {_shown(written)} where {name} is to be: nobody signed that"
            )
            self._refuse(Check.FILES, told, _AS_IT_WAS)
        self._demand_ours(found, name)
        self._entries.append(Entry(name, size, found.crc))
        if header + written != zipped.local(self._entries[-1]):
            told = f"{name} is said to have {found.size:,} bytes, and {size:,} are signed" if found.size != size else ""
            self._refuse(Check.FILES, told or f"what stands before {name} is not as it was written", _AS_IT_WAS)

    def _content(self, name: str, size: int, wanted: str) -> None:
        seen, crc, count = hashlib.sha256(), 0, 0
        for piece in _pieces(self._file, size):
            seen.update(piece)
            crc = zlib.crc32(piece, crc)
            count += len(piece)
        if count < size:
            self._cut_off(name)
        if seen.hexdigest() != wanted:
            self._refuse(Check.FILES, f"{name} is not what was signed", _AGAIN)
        if crc != self._entries[-1].crc:
            self._refuse(Check.FILES, f"the archive has another checksum of {name} than it has", _AGAIN)

    def _end(self) -> None:
        """See that nothing stands behind the files but what has to."""
        wanted = zipped.directory(tuple(self._entries))
        found = self._file.read(len(wanted))
        if found != wanted:
            following = zipped.looked_at(found)
            if following is not None:
                name = found[zipped.LOCAL.size :][: following.name_bytes]
                self._refuse(Check.FILES, f"it has {_shown(name)} behind its files: nobody signed that", _AS_IT_WAS)
            if len(found) < len(wanted) and wanted.startswith(found):
                self._cut_off("its directory")
            self._refuse(Check.FILES, "its directory is not that of its files", _AS_IT_WAS)
        if behind := self._size - self._file.tell():
            self._refuse(
                Check.FILES,
                f"{counted(behind, 'byte')} {agreed(behind, 'stands', 'stand')} behind its end: nobody signed that",
                _AGAIN,
            )

    def _demand_ours(self, found: Found, name: str) -> None:
        if found.is_packed or found.has_more:
            self._refuse(Check.FILES, _ANOTHER.format(name), _AS_IT_WAS)

    def _cut_off(self, name: str) -> NoReturn:
        self._refuse(Check.FILES, f"it is cut off: it ends after {self._size:,} bytes, in or before {name}", _AGAIN)

    def _refuse(self, check: Check, what: str, hint: str) -> NoReturn:
        raise RefusedError(check, f"{self._path}: {what}", hint)


def _pieces(file: BinaryIO, size: int) -> Iterator[bytes]:
    while size and (piece := file.read(min(size, _PIECE))):
        size -= len(piece)
        yield piece


def _instead(header: bytes) -> str:
    """What a file is that does not begin as an archive does."""
    if not header:
        return "it is empty"
    if header.lstrip().startswith(b"{"):
        return "it is JSON"
    return "it does not begin as a ZIP file does"


def _hint_instead(header: bytes) -> str:
    if header.lstrip().startswith(b"{"):
        return "`cmek-auditor show` looks at what `bundle` writes; this looks at what `report --bundle` does"
    return _AGAIN


def _shown(name: bytes) -> str:
    """A name that somebody else has written: short, on one line."""
    text = name[:_LONGEST_NAME].decode("utf-8", "replace")
    return repr("".join(char if char.isprintable() else "?" for char in text))
