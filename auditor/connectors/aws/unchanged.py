"""Which versions of a page are listed as they were when they were last HEADed, so that they need no HEAD now.

What a listing shows is not all: UpdateObjectEncryption changes a key and leaves ETag, date and size alone. So each
version is HEADed again within a period, in a slot of its own, so that every sweep does an equal part of it.

Source: Amazon S3 API Reference, UpdateObjectEncryption.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import reduce
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from auditor import rows
from auditor.connectors.aws.listing import Page
from auditor.model import Encryption

SETTLED: Final = timedelta(minutes=5)
"""A version that was written shortly before it was HEADed may have been overwritten within the same second since."""


class Comparison:
    """A page beside what was learnt before of its names.

    `before` has the columns of `rows.SCHEMA`; `now` is aware; every version is asked for again within `period`.
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


def _trusted(before: pa.Table, now: datetime, period: timedelta) -> Any:
    seconds = int(period.total_seconds())
    if seconds <= 0:
        return pa.chunked_array([pa.repeat(pa.scalar(False), before.num_rows)])
    verified, modified = before.column("verified"), before.column("modified")
    at = pa.scalar(now, rows.TIME)
    # Without an ETag too little would be compared.
    told = pc.is_valid(before.column("etag"))
    known = pc.not_equal(before.column("encryption"), pa.scalar(Encryption.UNKNOWN.value))
    not_later = pc.less_equal(verified, at)
    settled = pc.greater_equal(pc.subtract(verified, modified), pa.scalar(SETTLED, pa.duration("us")))
    # A slot that hangs on what does not change, and that differs between versions.
    slot = _rest(pc.add(_seconds(modified), before.column("size")), seconds)
    then, today = (pc.divide(pc.subtract(_seconds(one), slot), pa.scalar(seconds)) for one in (verified, at))
    conditions: tuple[Any, ...] = (told, known, not_later, settled, pc.equal(then, today))
    return pc.fill_null(reduce(pc.and_, conditions), pa.scalar(False))


def _seconds(moment: Any) -> Any:
    """Whole seconds since 1970, of one moment or of many."""
    return pc.divide(pc.cast(moment, pa.int64()), pa.scalar(1_000_000))


def _rest(numbers: Any, by: int) -> Any:
    return pc.subtract(numbers, pc.multiply(pc.divide(numbers, pa.scalar(by)), pa.scalar(by)))
