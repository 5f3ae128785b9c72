"""Which versions of a page are listed as they were when they were last HEADed, so that they need no HEAD now.

What a listing shows is not all: UpdateObjectEncryption changes a key and leaves ETag, date and size alone. So each
version is HEADed again within a period. Versions that are kept together have one slot in it, so that every sweep does a
part of them and leaves the others alone.

Source: Amazon S3 API Reference, UpdateObjectEncryption.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from auditor import rows
from auditor.connectors.aws.encryption import ARCHIVES
from auditor.connectors.aws.listing import Page
from auditor.model import Encryption, Population
from auditor.ports import Stretch

_ARCHIVES: Final = pa.array(sorted(ARCHIVES), pa.string())
_ASKED_AGAIN: Final = pa.array([Encryption.UNKNOWN.value, Encryption.CUSTOMER_SUPPLIED.value], pa.string())
"""Of a key that only the writer has nothing is told but refusals, which may have had another reason."""
SETTLED: Final = timedelta(minutes=5)
"""A version that was written shortly before it was HEADed may have been overwritten within the same second since."""


class Comparison:
    """A page beside what was learnt before of its names.

    `before` has the columns of `rows.SCHEMA` and `slot`; `now` is aware; every version is asked for again within
    `period`.
    """

    def __init__(self, page: Page, before: pa.Table, now: datetime, period: timedelta) -> None:
        self._listed: dict[str, Any] = {
            "name": pa.array(page.names, pa.string()),
            "version": pa.array(page.versions, pa.string()),
            "etag": pa.array(page.etags, pa.string()),
            "size": pa.array(page.sizes, pa.int64()),
            "modified": pa.array(page.modified, pa.string()).cast(rows.TIME),
            "storage_class": pa.array(page.classes, pa.string()),
        }
        self._before: list[Any] = [before.column(name).combine_chunks() for name in self._listed]
        self._trusted = _trusted(before, now, period)

    @property
    def whole(self) -> bool:
        """Whether row after row tells the page's entries, and needs no HEAD."""
        pairs = zip(self._before, self._listed.values(), strict=True)
        return bool(pc.all(self._trusted, min_count=0).as_py()) and all(one.equals(other) for one, other in pairs)

    def places(self) -> Sequence[int | None]:
        """For each entry of the page the row that tells its encryption still; None where HEAD must."""
        keys = zip(*(one.to_pylist() for one in self._before), strict=True)
        known = {key: place for place, key in enumerate(keys)}
        found = (known.get(key) for key in zip(*(one.to_pylist() for one in self._listed.values()), strict=True))
        trusted = self._trusted.to_pylist()
        return [place if place is not None and trusted[place] else None for place in found]


def lasts(some: pa.RecordBatch) -> bool:
    """Whether all that is told of some rows can be trusted until they are due, should they be listed as they were."""
    return bool(pc.all(pc.fill_null(_lasting(some), pa.scalar(False)), min_count=0).as_py())


def is_due(stretch: Stretch, now: datetime, period: timedelta) -> bool:
    """Whether something of a stretch whose rows last has to be asked again by now."""
    seconds, verified = int(period.total_seconds()), stretch.verified
    if seconds <= 0 or verified is None or verified[1] > now:
        return True
    then, today = (_round(int(one.timestamp()), stretch.slot, seconds) for one in (verified[0], now))
    return then != today


def due(before: Iterable[pa.Table], populations: Iterable[Population], now: datetime, period: timedelta) -> int:
    """Count the versions of these populations that must be HEADed again, though they may be listed as they were."""
    chosen = pa.array([one.value for one in populations], pa.string())
    count = 0
    for some in before:
        asked = pc.and_(pc.is_in(some.column("population"), chosen), pc.invert(_trusted(some, now, period)))
        count += pc.sum(asked, min_count=0).as_py()
    return count


def _trusted(before: pa.Table, now: datetime, period: timedelta) -> Any:
    seconds = int(period.total_seconds())
    if seconds <= 0:
        return pa.chunked_array([pa.repeat(pa.scalar(False), before.num_rows)])
    verified = before.column("verified")
    at = pa.scalar(now, rows.TIME)
    not_later = pc.less_equal(verified, at)
    slot = _rest(before.column("slot"), seconds)
    then, today = (pc.divide(pc.subtract(_seconds(one), slot), pa.scalar(seconds)) for one in (verified, at))
    return pc.fill_null(pc.and_(pc.and_(_lasting(before), not_later), pc.equal(then, today)), pa.scalar(False))


def _lasting(some: Any) -> Any:
    """Of each row, whether what it tells lasts until it is due."""
    # Without an ETag too little would be compared.
    told = pc.is_valid(some.column("etag"))
    known = pc.invert(pc.is_in(some.column("encryption"), _ASKED_AGAIN))
    # A copy of an archived object is there for a time.
    restored = pc.and_(pc.is_in(some.column("storage_class"), _ARCHIVES), pc.invert(some.column("archived")))
    known = pc.and_(known, pc.invert(restored))
    age = pc.subtract(some.column("verified"), some.column("modified"))
    return pc.and_(pc.and_(told, known), pc.greater_equal(age, pa.scalar(SETTLED, pa.duration("us"))))


def _round(moment: int, slot: int, seconds: int) -> int:
    """How often it was the turn of a slot until a moment."""
    return (moment - slot % seconds) // seconds


def _seconds(moment: Any) -> Any:
    """Whole seconds since 1970, of one moment or of many."""
    return pc.divide(pc.cast(moment, pa.int64()), pa.scalar(1_000_000))


def _rest(numbers: Any, by: int) -> Any:
    return pc.subtract(numbers, pc.multiply(pc.divide(numbers, pa.scalar(by)), pa.scalar(by)))
