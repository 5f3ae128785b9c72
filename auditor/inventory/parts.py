"""The finished parts of a listing, each all rows between two names: a killed sweep is gone on with behind them."""

import json
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from auditor.inventory import files
from auditor.model import Listing

_SECONDS: Final = 60.0
"""After that a part is finished at the next name: so much work is lost by a kill."""
_PREFIX: Final = "part-"
_ABOUT: Final = "part"
DISORDER: Final = "no-order"
"""A file that says that names came in no order: what was listed behind one is not known then."""


@dataclass(frozen=True, slots=True)
class Part:
    """All rows of a listing behind one name and up to another."""

    path: Path
    listing: Listing
    after: str | None
    """None: from the beginning."""
    until: str | None
    """None: to the end."""
    rows: int
    repeated: bool = False
    """A version came twice in it."""


def finished(folder: Path) -> list[Part]:
    """Every whole part in a folder; what is no whole part is no part."""
    return [part for path in sorted(folder.glob(f"{_PREFIX}*.parquet")) if (part := _part(path)) is not None]


def chain(parts: Iterable[Part], listing: Listing) -> list[Part]:
    """The parts of a listing that follow each other from its beginning: of two that begin alike the longer one."""
    by_beginning: dict[str | None, Part] = {}
    for part in parts:
        known = by_beginning.get(part.after)
        if part.listing is listing and (known is None or _is_longer(part, known)):
            by_beginning[part.after] = part
    found: list[Part] = []
    at: str | None = None
    while at in by_beginning:
        found.append(by_beginning.pop(at))
        at = found[-1].until
        if at is None:
            break
    return found


def is_whole(parts: list[Part]) -> bool:
    """Whether a chain reaches the listing's end."""
    return bool(parts) and parts[-1].until is None


def forget(parts: Iterable[Part], listing: Listing) -> None:
    """Remove what was finished of a listing."""
    for one in parts:
        if one.listing is listing:
            one.path.unlink(missing_ok=True)


def clear(folder: Path) -> None:
    """Remove every part, finished or not, and what was noted of them."""
    (folder / DISORDER).unlink(missing_ok=True)
    # From the last on: what is left, should it end here, is what a listing begins with.
    for path in (*folder.glob(f"{files.UNFINISHED}*"), *sorted(folder.glob(f"{_PREFIX}*"), reverse=True)):
        path.unlink(missing_ok=True)


def _is_longer(part: Part, other: Part) -> bool:
    return part.until is None or (other.until is not None and part.until > other.until)


def _part(path: Path) -> Part | None:
    found = files.about(path)
    if found is None:
        return None
    rows, about = found
    try:
        told = json.loads(about[_ABOUT])
        return Part(path, Listing(told["listing"]), told["after"], told["until"], rows, bool(told["repeated"]))
    except (KeyError, ValueError, TypeError, RecursionError):
        return None


class Writer:
    """Writes one listing from where its finished parts end, and finishes a part every minute."""

    def __init__(
        self,
        folder: Path,
        listing: Listing,
        done: list[Part],
        look: Callable[[pa.Table], None] | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder = folder
        self._listing = listing
        self._parts = list(done)
        self._look = look
        self._clock = clock
        self.order = Order(done[-1].until if done else None)

    def write(self, batches: Iterable[pa.RecordBatch]) -> list[Part]:
        """Write all that is left of the listing; return all its parts."""
        coming = iter(batches)
        following = next(coming, None)
        while following is not None or not is_whole(self._parts):
            following = self._write_part(following, coming)
        return self._parts

    def _write_part(self, first: pa.RecordBatch | None, coming: Iterator[pa.RecordBatch]) -> pa.RecordBatch | None:
        """Write one part; return the rows with which the next one begins."""
        # Of a version that two parts tell the one counts whose file comes later by name.
        order = list(Listing).index(self._listing)
        path = self._folder / f"{_PREFIX}{order}-{self._listing}-{len(self._parts):06}.parquet"
        began = self._clock()
        after = self._parts[-1].until if self._parts else None
        until: str | None = None
        rows = 0
        following = first
        with files.RowFile(path, self._look) as file:
            while following is not None:
                self._follow(following)
                rows += following.num_rows
                file.add(following)
                following = next(coming, None)
                if self._may_end(began, following):
                    until = self.order.last
                    break
            repeated = self.order.repeated
            told = {"listing": self._listing.value, "after": after, "until": until, "repeated": repeated}
            file.finish({_ABOUT: json.dumps(told)})
        self._parts.append(Part(path, self._listing, after, until, rows, repeated))
        return following

    def _follow(self, some: pa.RecordBatch) -> None:
        before = self.order.kept
        self.order.follow(some)
        if before and not self.order.kept:
            (self._folder / DISORDER).touch()

    def _may_end(self, began: float, following: pa.RecordBatch | None) -> bool:
        """Whether a part may end before these rows: never within a name, nor where names have no order."""
        if following is None or not following.num_rows or not self.order.kept or self.order.last is None:
            return False
        return self._clock() - began >= _SECONDS and str(following.column("name")[0].as_py()) > self.order.last


class Order:
    """Watches whether names come in the order of their bytes, and no version of one comes twice."""

    def __init__(self, last: str | None) -> None:
        self.kept = True
        """Names came in order so far."""
        self.repeated = False
        """A version came twice under one name."""
        self.last = last
        """The last name; text has the order of its UTF-8 bytes."""
        self._versions: set[str | None] = set()

    def follow(self, some: pa.RecordBatch) -> None:
        """Look at the rows that come next."""
        if not self.kept or not some.num_rows:
            return
        names = some.column("name").cast(pa.binary())
        firsts, nexts = names[:-1], names[1:]
        first = str(some.column("name")[0].as_py())
        in_order = pc.all(pc.less_equal(firsts, nexts), min_count=0).as_py()
        if not in_order or (self.last is not None and first < self.last):
            self.kept = False
        elif first == self.last or pc.any(pc.equal(firsts, nexts), min_count=0).as_py():
            self._look_closely(some.column("name").to_pylist(), some.column("version").to_pylist())
        else:
            self.last = str(some.column("name")[-1].as_py())
            self._versions = {some.column("version")[-1].as_py()}

    def _look_closely(self, names: list[str | None], versions: list[str | None]) -> None:
        for name, version in zip(names, versions, strict=True):
            if name != self.last:
                self.last, self._versions = name, set()
            self.repeated |= version in self._versions
            self._versions.add(version)
