"""A bucket whose objects a warehouse has added up: nothing of it is listed."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path

from auditor.model import BucketFacts, Gap, Listing, Population, Reason, Requests
from auditor.ports import Coming, Known, ObjectSource, Shard, Taken
from auditor.warehouse.answer import Answer
from auditor.warehouse.metadata_table import MetadataTable


class AddedUp:
    """As the bucket itself, but for its objects; what it says of itself is still asked of it."""

    def __init__(self, bucket: ObjectSource, answer: Answer | MetadataTable) -> None:
        self._bucket = bucket
        self._answer = answer

    @property
    def url(self) -> str:
        """As configured."""
        return self._bucket.url

    @property
    def told_by(self) -> str | None:
        """What tells of its objects; None: a file that somebody has put there."""
        return self._answer.told_by

    @property
    def endpoint(self) -> str:
        """Where the bucket itself is asked."""
        return self._bucket.endpoint

    @property
    def left_out(self) -> tuple[Population, ...]:
        """The populations that the config leaves out."""
        return self._bucket.left_out

    @property
    def listings(self) -> tuple[Listing, ...]:
        """None: nothing is listed."""
        return ()

    @property
    def markers(self) -> None:
        """Nobody counts them."""

    def facts(self) -> BucketFacts | Gap:
        """What the bucket says of itself."""
        return self._bucket.facts()

    def put(self, folder: Path, target: Path, now: datetime) -> Taken:
        """Write the dependencies; `folder` is where what does not fit in memory goes.

        Raises:
            CollectError: the answer cannot be used.
        """
        return self._answer.put(folder, target, now)

    def shards(self, *_: object, **__: object) -> Iterator[tuple[Shard, Coming]]:
        """List nothing."""
        yield from ()

    def borders(self, *_: object) -> list[str]:
        """There is nothing to be cut."""
        return []

    def uploads_in_progress(self) -> Gap:
        """Nobody counts them: what came since is not known either."""
        return Gap(self.url, Reason.NOT_VISIBLE, "unfinished uploads are not counted", "")

    def cloud_count(self) -> None:
        """Nobody compares: the cloud's count is of another time."""

    def needs(self, stored: Mapping[Population, int], known: Known | None) -> Requests:
        """Tell what a sweep asks: what the bucket says of itself, and no object."""
        return Requests(others=self._bucket.needs(stored, known).others)
