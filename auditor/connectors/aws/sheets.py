"""Pages of S3 listings as bytes, whose entries are decoded only when somebody wants to know them."""

import re
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from itertools import pairwise
from typing import Final
from urllib.parse import unquote_plus

from auditor.connectors.aws.listing import NOTHING, NoPageError, Page, parse_page

_OF_OBJECTS: Final = (b"Contents",)
_OF_VERSIONS: Final = (b"Version", b"DeleteMarker")
_NEAR: Final = 8_192
"""Bytes from the end in which the last entry ends, but for odd pages."""
_ENTRY: Final = re.compile(rb"<(Contents|Version|DeleteMarker)>")
_KEY: Final = re.compile(rb"<Key>([^<]*)</Key>")
_MARKER: Final = b"DeleteMarker"


@dataclass(frozen=True, slots=True)
class Entry:
    """Where an entry begins among the bytes of all, and what it is."""

    at: int
    name: bytes
    """As the service wrote it."""
    is_row: bool
    """It is no delete marker."""


class Sheet:
    """One page of a listing; what stands around its entries is read and checked at once.

    Raises:
        NoPageError: it is no page, or one of another bucket, or one that begins elsewhere.
    """

    def __init__(
        self, body: bytes, bucket: str, *, versions: bool, asked: Mapping[str, str] = NOTHING, whole: bool = True
    ) -> None:
        self._body = body
        self._about = bucket, versions, dict(asked)
        tags = _OF_VERSIONS if versions else _OF_OBJECTS
        begin, end = _entries(body, tags)
        self._page: Page | None = None
        around: Page | None = None
        if not whole and begin < end:
            some, rows = _first_and_last(body[begin:end], tags)
            count = None if versions else body.count(b"<Contents>", begin, end)
            around = self._parse(body[:begin] + some + body[end:], count)
            # Entries in other words stand around those that were found.
            around = around if len(around.names) == rows else None
        if around is None:
            self._page = around = self._parse(body)
            told = sum(body.count(b"<%s>" % tag, begin, end) for tag in tags if tag != _MARKER)
            plain = told == len(around.names)
        else:
            plain = True
        # What is not encoded is not decoded either: its bytes are compared with none.
        plain = plain and bool(around.dialect) and _is_in_order(body[begin:end])
        self.following, self.doubtful = around.following, around.doubtful
        self.dialect = around.dialect if plain else ""
        """What the same bytes must stand in to mean the same; empty where no bytes can be compared."""
        self.entries = memoryview(body)[begin:end]
        """The bytes from the first entry to the end of the last."""

    def page(self) -> Page:
        """Decode it.

        Raises:
            NoPageError: it cannot be decoded.
        """
        if self._page is None:
            self._page = self._parse(self._body)
        return self._page

    @property
    def markers(self) -> int:
        """How many delete markers are among its entries, as far as their bytes tell."""
        return bytes(self.entries).count(b"<%s>" % _MARKER)

    def up_to(self, name: str) -> "Sheet":
        """The same without what comes behind a name, with which the listing ends then; itself where nothing does.

        Raises:
            NoPageError: its entries cannot be told apart.
        """
        last = self.last()
        if last is not None and decoded(last) <= name:
            return self
        page = self.page()
        if last is None:
            # Of odd pages nobody compares the bytes.
            if not page.names or max(page.names) <= name:
                return self
            return self._cut(page.only([place for place, one in enumerate(page.names) if one <= name]), 0)
        entries = self.split()
        end = next(one.at for one in entries if decoded(one.name) > name)
        rows = (one for one in entries if one.is_row)
        return self._cut(page.only([place for place, one in enumerate(rows) if one.at < end]), end)

    def going_on(self, following: Mapping[str, str] | None) -> "Sheet":
        """The same, once it is known what the place means where it goes on."""
        found = copy(self)
        found.following, found.doubtful = following, False
        return found

    def _cut(self, page: Page, end: int) -> "Sheet":
        found = copy(self)
        found._page, found.entries, found.following = page, self.entries[:end], None  # noqa: SLF001 - of its own kind
        return found

    def last(self) -> bytes | None:
        """The name of the last entry, as the service wrote it; None where there is none to be seen."""
        return last_name(self.entries) if self.dialect else None

    def end(self) -> bytes | tuple[object, ...] | None:
        """What its last entry looks like, to be told from that of another page; None where it has no entry."""
        if len(self.entries):
            return bytes(self.entries[-_NEAR:])
        page = self.page()
        return (page.names[-1], page.versions[-1]) if page.names else None

    def split(self) -> Sequence[Entry]:
        """Where each entry begins.

        Raises:
            NoPageError: its bytes tell other entries than it has.
        """
        raw = bytes(self.entries)
        begins = list(_ENTRY.finditer(raw))
        names = list(_KEY.finditer(raw))
        found = [Entry(begin.start(), name[1], begin[1] != _MARKER) for begin, name in zip(begins, names, strict=False)]
        follows = all(one.at < name.start() for one, name in zip(found, names, strict=False))
        if len(begins) != len(names) or not follows or sum(one.is_row for one in found) != len(self.page().names):
            raise NoPageError("entries that cannot be told apart")
        return found

    def _parse(self, body: bytes, entries: int | None = None) -> Page:
        bucket, versions, asked = self._about
        return parse_page(body, bucket, versions=versions, asked=asked, entries=entries)


def decoded(name: bytes) -> str:
    """Read a name as the service wrote it in a page that is encoded.

    Raises:
        NoPageError: it is no text.
    """
    try:
        return unquote_plus(name.decode(), errors="strict")
    except UnicodeDecodeError:
        raise NoPageError("a name that is no text") from None


def name_at(entries: memoryview) -> bytes | None:
    """The name of the entry that begins here, as the service wrote it; None where none begins."""
    some = bytes(entries[:_NEAR])
    begin, name = _ENTRY.match(some), _KEY.search(some)
    return name[1] if begin and name else None


def last_name(entries: memoryview) -> bytes | None:
    """The name of the last of some entries, as the service wrote it; None where none is to be seen."""
    begin = _last_entry(bytes(entries[-_NEAR:]), 0)
    return name_at(entries[-_NEAR:][begin:]) if begin >= 0 else None


def _entries(body: bytes, tags: tuple[bytes, ...]) -> tuple[int, int]:
    """Where the first entry begins and the last ends; twice the same where there is none."""
    begin = len(body)
    for tag in tags:
        found = body.find(b"<%s>" % tag, 0, begin)
        begin = found if found >= 0 else begin
    ends = [b"</%s>" % tag for tag in tags]
    for start in (max(begin, len(body) - _NEAR), begin):
        end = max((at + len(one) for one in ends if (at := body.rfind(one, start)) >= 0), default=-1)
        if end > begin:
            return begin, end
    return 0, 0


def _first_and_last(entries: bytes, tags: tuple[bytes, ...]) -> tuple[bytes, int]:
    """The first of some entries and the last of each kind, and how many of these are no delete markers."""
    lasts = sorted(at for tag in tags if (at := entries.rfind(b"<%s>" % tag)) > 0)
    ends = [found.start() if (found := _ENTRY.search(entries, at + 1)) else len(entries) for at in (0, *lasts)]
    some = b"".join(entries[at:end] for at, end in zip((0, *lasts), ends, strict=True))
    return some, sum(one[1] != _MARKER for one in _ENTRY.finditer(some))


def _is_in_order(entries: bytes) -> bool:
    """Whether versions and delete markers stand together in the order of their names.

    Some list one kind behind the other: what stands last on such a page is not the last name on it.
    """
    if any(b"<%s>" % tag not in entries for tag in _OF_VERSIONS):
        return True
    names = _KEY.findall(entries)
    if b"%" in entries or b"+" in entries:
        return all(one <= other for one, other in pairwise(map(decoded, names)))
    return names == sorted(names)


def _last_entry(entries: bytes, start: int) -> int:
    return max(entries.rfind(b"<%s>" % tag, start) for tag in (*_OF_OBJECTS, *_OF_VERSIONS))
