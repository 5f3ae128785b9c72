"""One attempt to list a bucket: what it begins with, what it builds on, whom it tells how it gets on."""

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

import pyarrow as pa

from auditor import rows
from auditor.errors import CollectError
from auditor.model import Cloud, Listing, Requests, cloud_of
from auditor.ports import Begun, Coming, Known, ObjectSource, Same, Shard, Stretch
from auditor.run import Headway, Parts, Progress, new_id
from auditor.warehouse.reported import Reported

_NOTHING: Final = rows.batch([[] for _ in rows.SCHEMA])
"""Says that a shard was listed further, and that no row of it came."""


def anew(parts: Parts, source: ObjectSource) -> Begun:
    """Begin a sweep."""
    after, head = parts.ledger.head()
    started = parts.clock()
    layout = parts.inventory.layout(source.url)
    settings = [parts.version, parts.config_digest, source.endpoint, source.left_out, layout, parts.by_sdk]
    if isinstance(source, Reported) and source.report is not None:
        settings.append(source.report.digest)
    return Begun(new_id(started), started, json.dumps(settings), after, head)


def learnt(parts: Parts, source: ObjectSource, *, in_bytes: bool = True) -> Known | None:
    """What the sweep in force learnt, if by the same words: what they meant then may have been wrong.

    `in_bytes`: stretches of a listing are compared as well, and not only its rows.
    """
    if cloud_of(source.url) is Cloud.GCP:
        return None  # every page tells the keys
    in_force = next((one for one in parts.ledger.sweeps() if one.bucket == source.url), None)
    if in_force is None or in_force.made_by != made_by(parts, source):
        return None
    same = (in_force.layout, in_force.left_out) == (parts.inventory.layout(source.url), source.left_out)
    return parts.inventory.known(in_force, as_is=in_bytes and same)


def made_by(parts: Parts, source: ObjectSource) -> str:
    """Whose words, and whose answers: a copy of a bucket at another endpoint keeps ids and dates, and not the keys."""
    return f"{parts.version} {source.endpoint}"


def lent(parts: Parts, source: ObjectSource, *, in_bytes: bool = True) -> "Lent | None":
    """What is learnt, to be lent to a source."""
    known = learnt(parts, source, in_bytes=in_bytes)
    return None if known is None else Lent(known)


class Lent:
    """What is known, as a source is given it: whether that took any stretches is noted."""

    def __init__(self, known: Known, taken: threading.Event | None = None) -> None:
        self._known = known
        self._taken = taken or threading.Event()

    @property
    def offered(self) -> bool:
        """Somebody took stretches; whoever takes none does the same without them."""
        return self._taken.is_set()

    @property
    def stretches(self) -> tuple[Stretch, ...]:
        """Those that may stand as they are."""
        found = self._known.stretches
        if found:
            self._taken.set()
        return found

    def of(self, names: Sequence[str], versions: Sequence[str | None], newest: str) -> pa.Table:
        """The rows of these entries."""
        return self._known.of(names, versions, newest)

    def anew(self) -> "Lent":
        """The same, to be read from its beginning."""
        return Lent(self._known.anew(), self._taken)

    @property
    def newest(self) -> datetime | None:
        """When the last of them was verified."""
        return self._known.newest

    def answered(self) -> Sequence[tuple[str, str | None]]:
        """A few that were HEADed without a key of their own."""
        return self._known.answered()

    def rest(self) -> Iterator[pa.Table]:
        """All rows."""
        return self._known.rest()


@dataclass(frozen=True, slots=True)
class Attempt:
    """One way to list a bucket."""

    begun: Begun
    known: Lent | None
    in_bytes: bool = True
    """Stretches of the listing are compared as well, where they are known."""
    split: bool = True
    """It may be listed in shards."""


class Told:
    """A source whose progress is told."""

    def __init__(
        self,
        source: ObjectSource,
        progress: Progress,
        at: Headway,
        attempt: Attempt,
        sent: Callable[[], Requests],
    ) -> None:
        self._attempt = attempt
        self._source = source
        self._progress = progress
        self._at = at
        self._sent = sent
        self.listings = source.listings

    def shards(self, listing: Listing, shards: Sequence[Shard]) -> Iterator[tuple[Shard, Coming]]:
        """Hand on what the source lists."""
        self._tell()
        heads = self._sent().heads
        try:
            yield from self._listed(listing, shards)
        except CollectError:
            known = self._attempt.known
            # Something may have been listed that was held back: it was to be compared, or its HEADs were under way.
            compared = known is not None and known.offered
            if compared or (len(shards) == 1 and self._sent().heads > heads):
                yield from ((shard, _NOTHING) for shard in shards)
            raise
        if listing is self.listings[-1]:
            self._at = replace(self._at, expected=self._at.listed)
            self._tell()

    def _listed(self, listing: Listing, shards: Sequence[Shard]) -> Iterator[tuple[Shard, Coming]]:
        how = self._attempt
        for shard, some in self._source.shards(listing, shards, how.known, split=how.split):
            match some:
                case pa.RecordBatch():
                    self._saw(some.num_rows, some.num_rows - some.column("problem").null_count)
                case Same(stretch):
                    self._saw(stretch.rows, 0)
            yield shard, some

    def _saw(self, listed: int, unresolved: int) -> None:
        at = self._at
        self._at = replace(at, listed=at.listed + listed, unresolved=at.unresolved + unresolved)
        self._tell()

    def _tell(self) -> None:
        self._progress.sweeping(replace(self._at, requests=self._sent().total))
