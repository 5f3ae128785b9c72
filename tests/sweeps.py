"""Sweeps as tests write them: into an inventory, from rows at hand."""

from collections.abc import Iterable, Iterator
from datetime import datetime

import pyarrow as pa

from auditor.inventory.store import FileInventory
from auditor.model import Listing
from auditor.ports import Begun, Passes, Written
from tests.core_builders import NOW


class Streams:
    """Passes over a bucket, each made of rows at hand, which are handed on whatever name they are to come behind."""

    def __init__(self, *streams: Iterable[pa.RecordBatch]) -> None:
        self.listings = tuple(Listing)[: len(streams)]
        self._streams = dict(zip(self.listings, streams, strict=True))
        self.asked: list[tuple[Listing, str | None]] = []

    def batches(self, listing: Listing, after: str | None) -> Iterator[pa.RecordBatch]:
        self.asked.append((listing, after))
        yield from self._streams[listing]


def begun(sweep_id: str = "s1", started: datetime = NOW, settings: str = "") -> Begun:
    return Begun(sweep_id, started, settings)


def write(inventory: FileInventory, bucket: str, *streams: Iterable[pa.RecordBatch], sweep_id: str = "s1") -> Written:
    """Write a sweep of one pass or two."""
    return inventory.write(bucket, begun(sweep_id), Streams(*streams))


def everything(source: Passes) -> Iterator[pa.RecordBatch]:
    """All that a source lists, pass after pass."""
    for listing in source.listings:
        yield from source.batches(listing, None)
