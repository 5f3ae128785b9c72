"""The parts that a snapshot is made of, each all rows between two names: a killed sweep lists what they do not hold."""

import hashlib
import os
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from auditor.inventory import files, notes
from auditor.inventory.totals import Told, Totals
from auditor.model import Listing
from auditor.ports import Coming, Same, Shard
from auditor.rows import Done, End, Fingerprint

SNAPSHOT: Final = "snapshot.json"
"""What a whole sweep's rows are in: one line for each part, with the digests of its files."""
_SECONDS: Final = 60.0
"""After that a part is finished at the next name: so much work is lost by a kill."""
_ROWS: Final = 40_000
"""So many rows end a part as well, so that little is written anew where little changes."""
_OF_LISTING: Final = "part"
WHOLE: Final = "whole"
"""What the names of parts begin with that belong to no listing, as all were put together."""
_SUMS: Final = ".sums.parquet"
_ROWS_FILE: Final = ".rows.parquet"
_ABOUT: Final = ".json"
EVERYTHING: Final = Shard()
DISORDER: Final = "no-order"
"""A file that says that names came in no order: what was listed behind one is not known then."""


@dataclass(frozen=True, slots=True)
class Part:
    """All rows of a listing behind one name and up to another, their sums, and what is told of both."""

    folder: Path
    name: str
    """Of its files, without the ending."""
    listing: Listing
    after: str | None
    """None: from the beginning."""
    until: str | None
    """None: to the end."""
    first: str | None
    last: str | None
    """The first name in it, and the last."""
    told: Told
    digests: tuple[str, str]
    """SHA-256 of rows and of sums, hexadecimal."""
    repeated: bool = False
    """A version came twice in it."""
    fingerprint: Fingerprint | None = None

    @property
    def path(self) -> Path:
        """Where its rows are."""
        return self.folder / f"{self.name}{_ROWS_FILE}"

    @property
    def note(self) -> Path:
        """What makes it a part, where it is one of no whole snapshot yet."""
        return self.folder / f"{self.name}{_ABOUT}"

    @property
    def sums(self) -> Path:
        """Where its sums are."""
        return self.folder / f"{self.name}{_SUMS}"

    @property
    def rows(self) -> int:
        """How many."""
        return self.told.listed

    @property
    def verified(self) -> tuple[datetime, datetime] | None:
        """When the first of its rows was verified, and the last."""
        first, last = self.told.oldest_verified, self.told.newest_verified
        return None if first is None or last is None else (first, last)

    @property
    def slot(self) -> int:
        """A number that spreads over time when parts are verified again."""
        return int.from_bytes(hashlib.sha256((self.last or "").encode()).digest()[:6])


def found_in(folder: Path) -> list[Part]:
    """Every whole part in a folder: those of a snapshot, or of listings that are not at their end."""
    try:
        return [one for one in published(folder) if one.digests == _digests(one)]
    except FileNotFoundError:
        return finished(folder)
    except (OSError, ValueError):
        return []


def finished(folder: Path) -> list[Part]:
    """Every whole part of a listing in a folder; what is no whole part is no part."""
    found: list[Part] = []
    for path in _notes(folder):
        try:
            part = _part(folder, notes.read(path))
            if part.name == path.name.removesuffix(_ABOUT) and part.digests == _digests(part):
                found.append(part)
        except (OSError, KeyError, ValueError, TypeError):
            continue
    return found


def rows_noted(folder: Path, seen: set[str]) -> tuple[int, int]:
    """How many rows finished parts tell of, and how many of these say no key, of those whose notes nobody has seen."""
    rows = resolved = 0
    for path in _notes(folder):
        if str(path) not in seen:
            seen.add(str(path))
            try:
                told = notes.read(path)["told"]
                rows, resolved = rows + told["listed"], resolved + told["resolved"]
            except (OSError, KeyError, ValueError, TypeError):
                continue
    return rows, rows - resolved


def notes_in(folder: Path) -> list[Path]:
    """What was written when something was finished in a folder: a part each, or all of a snapshot."""
    return [*_notes(folder), *folder.glob(SNAPSHOT)]


def disjoint(parts: Iterable[Part], listing: Listing) -> list[Part]:
    """Parts of a listing of which no two hold the same name, by name: of two that begin alike the longer one."""
    found: list[Part] = []
    longest_first = sorted(parts, key=lambda one: (one.until is None, one.until or ""), reverse=True)
    for part in in_turn(longest_first):
        if part.listing is listing and (not found or _follows(part, found[-1])):
            found.append(part)
    return found


def left(found: Iterable[Part], within: Shard = EVERYTHING) -> list[Shard]:
    """What of a listing, or of one shard of it, is in none of some disjoint parts of it, which come by name."""
    gaps: list[Shard] = []
    at: str | None = within.after
    for part in found:
        if part.after != at:
            gaps.append(Shard(at, part.after))
        at = part.until
        if at == within.until:
            return gaps
    return [*gaps, Shard(at, within.until)]


def in_turn(found: Iterable[Part]) -> list[Part]:
    """Bring parts of one listing into the order of their names."""
    return sorted(found, key=lambda one: (one.after is not None, one.after or ""))


def forget(parts: Iterable[Part]) -> None:
    """Remove some parts: first what makes each a part."""
    for one in parts:
        one.note.unlink(missing_ok=True)
        one.path.unlink(missing_ok=True)
        one.sums.unlink(missing_ok=True)


def publish(folder: Path, parts: Iterable[Part]) -> None:
    """Write down which parts make the snapshot, and remove everything else of parts."""
    kept = [one for one in parts if one.rows]
    notes.write(folder / SNAPSHOT, [_told(one) for one in kept])
    stays = {path.name for one in kept for path in (one.path, one.sums)}
    for pattern in (f"{_OF_LISTING}-*", f"{WHOLE}-*", f"{files.UNFINISHED}*", DISORDER):
        # From the last on: what is left, should it end here, is what a listing begins with.
        for path in sorted(folder.glob(pattern), reverse=True):
            if path.name not in stays:
                path.unlink(missing_ok=True)


def published(folder: Path) -> list[Part]:
    """The parts of a whole sweep.

    Raises:
        OSError, ValueError: its list of parts is not there, or none.
    """
    try:
        return [_part(folder, one) for one in notes.read(folder / SNAPSHOT)]
    except (KeyError, TypeError) as error:
        raise ValueError(str(error)) from None


def _notes(folder: Path) -> list[Path]:
    return sorted(folder.glob(f"{_OF_LISTING}-*{_ABOUT}"))


def _follows(part: Part, other: Part) -> bool:
    return other.until is not None and part.after is not None and part.after >= other.until


def _told(part: Part) -> dict[str, Any]:
    return {
        "name": part.name,
        "listing": part.listing.value,
        **{field: getattr(part, field) for field in ("after", "until", "first", "last", "digests", "repeated")},
        "told": {each.name: getattr(part.told, each.name) for each in fields(part.told)},
        "fingerprint": None if part.fingerprint is None else asdict(part.fingerprint),
    }


def _part(folder: Path, told: dict[str, Any]) -> Part:
    sums = told["told"]
    moments = {
        name: None if sums[name] is None else datetime.fromisoformat(sums[name])
        for name in ("oldest_verified", "newest_verified")
    }
    rows, summed = told["digests"]
    return Part(
        folder=folder,
        name=told["name"],
        listing=Listing(told["listing"]),
        after=told["after"],
        until=told["until"],
        first=told["first"],
        last=told["last"],
        told=Told(**{**sums, **moments, "unresolved": Counter(sums["unresolved"])}),
        digests=(rows, summed),
        repeated=told["repeated"],
        fingerprint=None if told["fingerprint"] is None else Fingerprint(**told["fingerprint"]),
    )


def _digests(part: Part) -> tuple[str, str]:
    return files.digest(part.path), files.digest(part.sums)


class Names:
    """Names for the parts of one listing, each given once."""

    def __init__(self, listing: Listing, kind: str = _OF_LISTING, found: Iterable[Part] = ()) -> None:
        # Of a version that two parts tell the one counts whose file comes later by name.
        self._begin = f"{kind}-{list(Listing).index(listing)}-{listing}-"
        taken = (part.name.removeprefix(self._begin) for part in found)
        self._number = max((int(number) for number in taken if number.isdigit()), default=-1)

    def following(self) -> str:
        """One that no part has."""
        self._number += 1
        return f"{self._begin}{self._number:06}"


class Writer:
    """Writes one shard of a listing, and finishes a part where the listing or time says so."""

    def __init__(
        self,
        folder: Path,
        listing: Listing,
        names: Names,
        shard: Shard,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder = folder
        self._listing = listing
        self._names = names
        self._shard = shard
        self._clock = clock
        self._open: _Open | None = None
        self._unbroken = True
        """No part was finished since the listing last told that a name ends."""
        self.order = Order(shard.after)
        self.parts: list[Part] = []
        """Those that are finished, by name."""

    def take(self, some: Coming) -> None:
        """Write what comes next."""
        match some:
            case pa.RecordBatch():
                self._add(some)
            case End(fingerprint):
                self._finish(fingerprint if self._unbroken else None)
                self._unbroken = True
            case Same(stretch):
                assert isinstance(stretch, Part)  # noqa: S101 - this folder's own, handed back
                self._take_over(stretch)
            case Done():
                self._end()

    def give_up(self) -> None:
        """Leave nothing of a part that is not finished."""
        if self._open is not None:
            self._open.give_up()
            self._open = None

    def _add(self, some: pa.RecordBatch) -> None:
        if not some.num_rows:
            return
        if self._may_end(some):
            self._finish(None)
            self._unbroken = False
        self._follow(lambda: self.order.follow(some))
        if self._open is None:
            self._open = self._begin()
        self._open.add(some)

    def _follow(self, look: Callable[[], None]) -> None:
        """Look at the names that come next; what names in no order leave is remembered as such."""
        before = self.order.kept
        look()
        if self._shard.until is not None and self.order.last is not None and self.order.last > self._shard.until:
            self.order.kept = False
        if before and not self.order.kept:
            (self._folder / DISORDER).touch()

    def _may_end(self, following: pa.RecordBatch) -> bool:
        """Whether a part may end before these rows: never within a name, nor where names have no order."""
        if self._open is None or not self.order.kept or self.order.last is None:
            return False
        enough = self._open.rows >= _ROWS or self._clock() - self._open.began >= _SECONDS
        return enough and str(following.column("name")[0].as_py()) > self.order.last

    def _finish(self, fingerprint: Fingerprint | None, *, at_end: bool = False) -> None:
        """Put the open part in place: from then on it is there, whatever happens."""
        if self._open is None:
            return
        opened, self._open = self._open, None
        self.order.ended = True
        name, first, (told, digests) = opened.name, opened.first, opened.close()
        last = None if first is None else self.order.last
        self._put(
            Part(
                folder=self._folder,
                name=name,
                listing=self._listing,
                after=self._at,
                until=self._shard.until if at_end else last,
                first=first,
                last=last,
                told=told,
                digests=digests,
                repeated=self.order.repeated,
                fingerprint=fingerprint if self.order.kept and not self.order.repeated else None,
            )
        )

    def _take_over(self, known: Part) -> None:
        """Take a part of an earlier sweep for the same rows."""
        self._finish(None)
        self._unbroken = True
        self._follow(lambda: self.order.pass_over(known.first, known.last))
        part = replace(
            known,
            folder=self._folder,
            name=self._names.following(),
            listing=self._listing,
            after=self._at,
            until=known.last,
        )
        _link(known.path, part.path)
        _link(known.sums, part.sums)
        self._put(part)

    def _end(self) -> None:
        """Say of the last part that it reaches to the shard's end; where there is no part, an empty one does."""
        if self._open is None and self.parts:
            self._put(replace(self.parts.pop(), until=self._shard.until))
            return
        self._open = self._open or self._begin()
        self._finish(None, at_end=True)

    def _begin(self) -> "_Open":
        return _Open(self._folder, self._names.following(), self._clock())

    @property
    def _at(self) -> str | None:
        return self.parts[-1].until if self.parts else self._shard.after

    def _put(self, part: Part) -> None:
        notes.write(part.note, _told(part))
        self.parts.append(part)


class _Open:
    """A part that is being written."""

    def __init__(self, folder: Path, name: str, began: float) -> None:
        self.name = name
        self.began = began
        self.rows = 0
        self.first: str | None = None
        self._rows, self._sums = folder / f"{name}{_ROWS_FILE}", folder / f"{name}{_SUMS}"
        self._unfinished = folder / f"{files.UNFINISHED}{name}{_SUMS}"
        self._totals = Totals(self._unfinished)
        self._file = files.RowFile(self._rows, self._totals.add)

    def add(self, some: pa.RecordBatch) -> None:
        """Write some rows, at once or a little later."""
        self.first = str(some.column("name")[0].as_py()) if self.first is None else self.first
        self.rows += some.num_rows
        self._file.add(some)

    def close(self) -> tuple[Told, tuple[str, str]]:
        """Put both files in place; tell what the rows tell, and the digests.

        What cannot be put in place stays unfinished, and whoever begins a part of that name removes it.
        """
        self._file.finish()
        told = self._totals.close()
        files.put(self._unfinished, self._sums)
        return told, (files.digest(self._rows), files.digest(self._sums))

    def give_up(self) -> None:
        """Leave nothing."""
        self._file.give_up()
        self._totals.close()
        self._unfinished.unlink(missing_ok=True)


def _link(path: Path, target: Path) -> None:
    """Let a file have one name more, so that neither folder needs the other; where that cannot be, copy it."""
    writing = target.with_name(f"{files.UNFINISHED}{target.name}")
    writing.unlink(missing_ok=True)
    try:
        os.link(path, writing)
    except FileNotFoundError:
        raise
    except OSError:
        shutil.copyfile(path, writing)
    writing.replace(target)


class Order:
    """Watches whether names come in the order of their bytes, and no version of one comes twice."""

    def __init__(self, last: str | None) -> None:
        self.kept = True
        """Names came in order so far."""
        self.repeated = False
        """A version came twice under one name."""
        self.last = last
        """The last name; text has the order of its UTF-8 bytes."""
        self.ended = False
        """A part was finished behind the last name: whoever goes on there gets none of it any more."""
        self._versions: set[str | None] = set()

    def follow(self, some: pa.RecordBatch) -> None:
        """Look at the rows that come next."""
        if not self.kept or not some.num_rows:
            return
        names = some.column("name").cast(pa.binary())
        firsts, nexts = names[:-1], names[1:]
        first = str(some.column("name")[0].as_py())
        in_order = pc.all(pc.less_equal(firsts, nexts), min_count=0).as_py()
        before = self.last is not None and (first < self.last or (self.ended and first == self.last))
        self.ended = False
        if before or not in_order:
            self.kept = False
        elif first == self.last or pc.any(pc.equal(firsts, nexts), min_count=0).as_py():
            self._look_closely(some.column("name").to_pylist(), some.column("version").to_pylist())
        else:
            self.last = str(some.column("name")[-1].as_py())
            self._versions = {some.column("version")[-1].as_py()}

    def pass_over(self, first: str | None, last: str | None) -> None:
        """Rows come that are known to be in order, from one name to another."""
        if self.last is not None and (first is None or first <= self.last):
            self.kept = False
        self.last, self._versions, self.ended = last, set(), True

    def _look_closely(self, names: list[str | None], versions: list[str | None]) -> None:
        for name, version in zip(names, versions, strict=True):
            if name != self.last:
                self.last, self._versions = name, set()
            self.repeated |= version in self._versions
            self._versions.add(version)


def handed_on(part: Part, folder: Path, name: str) -> Part:
    """Put a part into another folder as well, under another name there."""
    handed = replace(part, folder=folder, name=name)
    _link(part.path, handed.path)
    _link(part.sums, handed.sums)
    notes.write(handed.note, _told(handed))
    return handed


def rows_of(parts: Iterable[Part]) -> Iterator[pa.RecordBatch]:
    """Yield the rows of some parts, one part after the other."""
    return files.read(one.path for one in parts)
