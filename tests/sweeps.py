"""Sweeps as tests write them: into an inventory, from rows at hand."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from auditor.inventory.parts import published, rows_of
from auditor.inventory.store import FileInventory
from auditor.model import BucketFacts, Cloud, Listing, Sweep
from auditor.ports import Begun, Coming, Known, ObjectSource, Passes, Shard, Written
from auditor.rows import Done
from tests.core_builders import NOW


class InTurn(ABC):
    """A fake that lists one shard after the other, each by its own `batches`."""

    @abstractmethod
    def batches(self, listing: Listing, after: str | None) -> Iterator[Coming]:
        """All that is listed behind a name."""

    def shards(self, listing: Listing, shards: Sequence[Shard]) -> Iterator[tuple[Shard, Coming]]:
        for shard in shards:
            for some in self.batches(listing, shard.after):
                if isinstance(some, pa.RecordBatch) and shard.until is not None:
                    within = pc.less_equal(
                        some.column("name").cast(pa.binary()), pa.scalar(shard.until.encode(), pa.binary())
                    )
                    some = some.filter(within)  # noqa: PLW2901 - what of it is in the shard
                yield shard, some
            yield shard, Done()


def batches(
    source: ObjectSource, listing: Listing = Listing.STORED, after: str | None = None, known: Known | None = None
) -> Iterator[Coming]:
    """All that a source lists behind a name, in one go."""
    for _, some in source.shards(listing, [Shard(after)], known, split=False):
        if not isinstance(some, Done):
            yield some


class Streams(InTurn):
    """Passes over a bucket, each made of rows at hand, which are handed on whatever name they are to come behind."""

    def __init__(self, *streams: Iterable[Coming]) -> None:
        self.listings = tuple(Listing)[: len(streams)]
        self._streams = dict(zip(self.listings, streams, strict=True))
        self.asked: list[tuple[Listing, str | None]] = []

    def batches(self, listing: Listing, after: str | None) -> Iterator[Coming]:
        self.asked.append((listing, after))
        yield from self._streams[listing]


def begun(sweep_id: str = "s1", started: datetime = NOW, settings: str = "") -> Begun:
    return Begun(sweep_id, started, settings)


def settled(inventory: FileInventory, bucket: str, sweep_id: str) -> None:
    """As when a ledger knows of the sweep."""
    inventory.settle(Sweep(sweep_id, bucket, NOW, NOW, True, 0, 0, 0, 0, None, BucketFacts(bucket, Cloud.GCP)))


def write(inventory: FileInventory, bucket: str, *streams: Iterable[Coming], sweep_id: str = "s1") -> Written:
    """Write a sweep of one pass or two, which is known to some ledger then."""
    written = inventory.write(bucket, begun(sweep_id), Streams(*streams))
    settled(inventory, bucket, sweep_id)
    return written


def snapshot(folder: Path) -> list[dict[str, Any]]:
    """The rows of a whole sweep, in their order, and that their files alone are there."""
    whole = published(folder)
    assert {path.name for path in folder.glob("*.parquet")} == {
        "dependencies.parquet",
        *(path.name for one in whole for path in (one.path, one.sums)),
    }
    return [row for some in rows_of(whole) for row in some.to_pylist()]


def everything(source: Passes) -> Iterator[Coming]:
    """All that a source lists, pass after pass."""
    for listing in source.listings:
        for _, some in source.shards(listing, [Shard()]):
            yield some
