"""Which of a listing's pages are to the byte what an earlier sweep was listed in, so that nobody decodes them again.

Bytes are compared stretch by stretch, wherever pages end: what is new or gone in one stretch moves only the borders of
pages, not those of the stretches behind it.
"""

import hashlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from auditor.connectors.aws.listing import Page
from auditor.connectors.aws.sheets import Sheet, decoded, last_name, name_at
from auditor.ports import Same, Stretch
from auditor.rows import End, Fingerprint

ROWS: Final = 20_000
"""A stretch ends behind so many: at the default rate they are HEADed within a minute."""
_FEW: Final = 4
"""With less than this part of it a stretch that was changed does not end, lest they become ever smaller."""
_LONGEST: Final = 32 << 20
"""Bytes that may wait for the end of a stretch to be compared."""


@dataclass(slots=True)
class _Piece:
    """The bytes of one page that were not handed on yet."""

    sheet: Sheet
    start: int = 0

    @property
    def size(self) -> int:
        return len(self.sheet.entries) - self.start


class Stretches:
    """Takes the pages of one listing, and hands on what is to be decoded of them, and what is as it was.

    `known` are the stretches of an earlier sweep; `trusted` says of which nothing has to be asked again by now. The
    listing begins behind the name `after`.
    """

    def __init__(
        self, known: Sequence[Stretch] = (), after: str | None = None, trusted: Callable[[Stretch], bool] | None = None
    ) -> None:
        self._known = deque(one for one in known if one.last is not None and (after is None or one.last > after))
        self._trusted = trusted or (lambda _: False)
        self._waiting: deque[_Piece] = deque()
        self._size = 0
        self._current: _Decoded | None = None
        begun = bool(self._known) and after is not None and (self._known[0].after or "") < after
        self._comparing = self._may_compare() and not begun

    def add(self, sheet: Sheet) -> Iterator[Page | End | Same]:
        """Take one more page.

        Raises:
            NoPageError: a page that was taken before can not be decoded.
        """
        self._waiting.append(_Piece(sheet))
        self._size += len(sheet.entries)
        if not sheet.dialect:
            # Its bytes tell nothing; nor is it known any more where a stretch ends.
            self._known.clear()
            self._comparing = False
        ended = sheet.following is None
        while self._waiting and (taken := self._as_it_was(ended=ended)) is not None:
            if taken:
                yield Same(self._known.popleft())
                self._comparing = self._may_compare()
            else:
                yield from self._hand_on()
        if ended:
            yield from self._end()

    def _as_it_was(self, *, ended: bool) -> bool | None:
        """Take away what waits if it is what a stretch was listed in; None where more of it must come first."""
        if not self._comparing:
            return False
        wanted = self._known[0].fingerprint
        assert wanted is not None  # noqa: S101 - it would not be compared
        if not ended and self._size <= wanted.size <= _LONGEST:
            return None
        self._comparing = self._begins_with(wanted)
        if self._comparing:
            self._drop(wanted.size)
        return self._comparing

    def _may_compare(self) -> bool:
        return bool(self._known) and self._known[0].fingerprint is not None and self._trusted(self._known[0])

    def _begins_with(self, wanted: Fingerprint) -> bool:
        """Whether what waits begins with these bytes, and their last name ends there."""
        dialects = {piece.sheet.dialect for piece in self._waiting}
        told, left = hashlib.sha256("".join(dialects).encode()), wanted.size
        for piece in self._waiting:
            some = piece.sheet.entries[piece.start : piece.start + left]
            told.update(some)
            left -= len(some)
            if piece.size > len(some):
                following = name_at(piece.sheet.entries[piece.start + len(some) :])
                if following is None or following == wanted.last.encode():
                    return False
                break
        return not left and len(dialects) == 1 and told.hexdigest() == wanted.digest

    def _drop(self, size: int) -> None:
        self._size -= size
        while size and self._waiting[0].size <= size:
            size -= self._waiting.popleft().size
        if size:
            self._waiting[0].start += size

    def _hand_on(self) -> Iterator[Page | End]:
        """Hand on the first page that waits, up to the end of the stretch if that is in it."""
        piece = self._waiting[0]
        sheet, start = piece.sheet, piece.start
        border = self._border()
        last = sheet.last()
        beyond = border is not None and last is not None and decoded(last) > border
        if not beyond and not start:
            self._size -= self._waiting.popleft().size
            yield from self._decode(sheet.page(), sheet.entries, sheet.dialect)
            return
        entries = sheet.split()
        ends = (one.at for one in entries if one.at >= start and border is not None and decoded(one.name) > border)
        end = next(ends, len(sheet.entries))
        rows = (one for one in entries if one.is_row)
        page = sheet.page().only([place for place, one in enumerate(rows) if start <= one.at < end])
        self._drop(end - start)
        yield from self._decode(page, sheet.entries[start:end], sheet.dialect)
        if beyond or end == start:
            # Where names come in no order one from behind the border may be followed by others from before it.
            self._known.popleft()
            if self._current is not None and self._current.rows >= ROWS // _FEW:
                yield from self._end()
            self._comparing = self._current is None and self._may_compare()

    def _decode(self, page: Page, entries: memoryview, dialect: str) -> Iterator[Page | End]:
        """Hand on a page, or some of it; behind enough rows a stretch ends before it."""
        now = self._current
        if now is not None and now.rows >= ROWS and page.names and page.names[0] != now.last_name:
            yield from self._end()
        if self._current is None:
            self._current = _Decoded(dialect)
        self._current.add(page, entries, dialect)
        if page.names:
            yield page

    def _end(self) -> Iterator[End]:
        """End here what was decoded."""
        if self._current is not None and self._current.rows:
            yield End(self._current.fingerprint)
        self._current = None

    def _border(self) -> str | None:
        """The last name of the stretch in which what waits begins; None behind the last stretch."""
        if not self._known:
            return None
        first = self._known[0]
        # Of delete markers at its end only the bytes tell.
        return first.last if first.fingerprint is None else decoded(first.fingerprint.last.encode())


class _Decoded:
    """The stretch that is being decoded."""

    def __init__(self, dialect: str) -> None:
        self.rows = 0
        self.last_name: str | None = None
        self._dialect = dialect
        self._told = hashlib.sha256(dialect.encode())
        self._size = 0
        self._comparable = True
        self._tail = memoryview(b"")

    def add(self, page: Page, entries: memoryview, dialect: str) -> None:
        """Remember of a page, or some of it, what the next sweep compares."""
        self._comparable = self._comparable and bool(dialect) and dialect == self._dialect
        self._told.update(entries)
        self._size += len(entries)
        self._tail = entries if len(entries) else self._tail
        if page.names:
            self.rows += len(page.names)
            self.last_name = page.names[-1]

    @property
    def fingerprint(self) -> Fingerprint | None:
        """Of all that was added; None where the same bytes could mean something else."""
        last = last_name(self._tail)
        if not self._comparable or last is None:
            return None
        return Fingerprint(self._size, self._told.hexdigest(), last.decode("ascii", "replace"))
