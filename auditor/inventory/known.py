"""What an earlier sweep learnt of a bucket, read in the order in which it is listed again."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from auditor import rows
from auditor.inventory.parts import Part
from auditor.model import Encryption

_ROWS_AT_ONCE: Final = 10_000
_MANY: Final = 10_000
"""Versions of one name that are held at once."""
_FEW: Final = 3
_NOT_PLAIN: Final = pa.array([Encryption.CUSTOMER_SUPPLIED.value, Encryption.UNKNOWN.value], pa.string())
_SLOT: Final[list["pa.Field[Any]"]] = [pa.field("slot", pa.int64())]  # quoted: it takes no parameters at run time
_EMPTY: Final = pa.schema([*rows.SCHEMA, *_SLOT]).empty_table()


class KnownRows:
    """The rows of one sweep, page after page; of one thread."""

    def __init__(self, whole: Sequence[Part], *, as_is: bool = True) -> None:
        self.stretches = tuple(whole) if as_is else ()
        """All of it, where rows would look the same today."""
        self._parts = whole
        self._wanted = ""
        self._batches = self._read()
        self._held = _EMPTY
        """What was read and may be asked for still."""

    def of(self, names: Sequence[str], versions: Sequence[str | None], newest: str) -> pa.Table:
        """The rows of these entries, which are in order and do not begin before the last that were asked for.

        `newest`: when the first version of the last name that is among them was written (ISO 8601).
        """
        wanted = pa.array(names, pa.string()), pa.array(versions, pa.string())
        self._wanted = names[0]
        found = [_EMPTY]
        while True:
            count = _before(self._held, names[-1])
            found.append(_chosen(self._held.slice(0, count), *wanted))
            self._held = self._held.slice(count)
            if self._held.num_rows or not self._read_on():
                break
        found.append(_chosen(self._of_last(names[-1], wanted[1], newest), *wanted))
        return pa.concat_tables(found)

    def _of_last(self, last: str, versions: Any, newest: str) -> pa.Table:
        """The rows of the name with which a page ends; its versions may go on in the next one."""
        while True:
            count = _before(self._held, last, itself=True)
            if count > _MANY:
                # What is newer than all that is listed still was deleted.
                mine, others = self._held.slice(0, count), self._held.slice(count)
                mine = mine.filter(pc.less_equal(mine.column("modified"), pa.scalar(newest).cast(rows.TIME)))
                self._held = pa.concat_tables([mine, others])
                count = mine.num_rows
            if count > _MANY or count < self._held.num_rows or not self._read_on():
                break
        count = _before(self._held, last, itself=True)
        mine = self._held.slice(0, count)
        if count > _MANY:
            # They come in the order in which they came before: what stands before the last that is here is done with.
            here = pc.indices_nonzero(pc.is_in(mine.column("version"), versions))
            done = here[-1].as_py() + 1 if len(here) else 0
            mine, self._held = mine.slice(0, done), self._held.slice(done)
        return mine

    def _read_on(self) -> bool:
        """Read more rows, if there are any."""
        following = next(self._batches, None)
        if following is not None:
            self._held = pa.concat_tables([self._held, following]) if self._held.num_rows else following
        return following is not None

    def anew(self) -> "KnownRows":
        """The same, to be read from its beginning."""
        return KnownRows(self._parts, as_is=bool(self.stretches))

    @property
    def newest(self) -> datetime | None:
        """When the last of them was verified."""
        return max((one.verified[1] for one in self._parts if one.verified is not None), default=None)

    def answered(self) -> list[tuple[str, str | None]]:
        """Name and version of a few that were HEADed without a key of their own."""
        # From all over the bucket first: what is deleted or throttled is so by its prefix.
        spread = self._parts[:: max(1, len(self._parts) // _FEW)]
        found: list[tuple[str, str | None]] = []
        for part in (*spread, *(one for one in self._parts if one not in spread)):
            found += self._plain(part, _FEW if part in spread else 1)
            if len(found) >= _FEW and part not in spread:
                break
        return found[:: max(1, len(found) // _FEW)][:_FEW]

    def _plain(self, part: "Part", most: int) -> list[tuple[str, str | None]]:
        """A few of one part that were HEADed without a key of their own."""
        with pq.ParquetFile(part.path, pre_buffer=False) as file:
            for some in file.iter_batches(batch_size=_ROWS_AT_ONCE, columns=["name", "version", "encryption"]):
                plain = some.filter(pc.invert(pc.is_in(some.column("encryption"), _NOT_PLAIN)))
                if plain.num_rows:
                    places = range(0, plain.num_rows, max(1, plain.num_rows // most))
                    return [(plain["name"][one].as_py(), plain["version"][one].as_py()) for one in places][:most]
        return []

    def rest(self) -> Iterator[pa.Table]:
        """All rows, to be counted; of somebody who asks for none by name."""
        yield from self._batches

    def _read(self) -> Iterator[pa.Table]:
        for part in self._parts:
            # Nobody asks any more for what ends before.
            if part.last is None or part.last < self._wanted:
                continue
            with pq.ParquetFile(part.path, pre_buffer=False) as file:
                for some in file.iter_batches(batch_size=_ROWS_AT_ONCE, columns=rows.SCHEMA.names):
                    told = pa.Table.from_batches([some.cast(rows.SCHEMA)])
                    yield told.append_column(_SLOT[0], pa.repeat(pa.scalar(part.slot, pa.int64()), told.num_rows))


def _before(held: pa.Table, name: str, *, itself: bool = False) -> int:
    """How many rows have a name before this one, or up to it."""
    names = held.column("name").cast(pa.binary())
    before = (pc.less_equal if itself else pc.less)(names, pa.scalar(name.encode(), pa.binary()))
    count: int = pc.sum(before.cast(pa.int64())).as_py() or 0
    return count


def _chosen(some: pa.Table, names: Any, versions: Any) -> pa.Table:
    return some.filter(pc.and_(pc.is_in(some.column("name"), names), pc.is_in(some.column("version"), versions)))
