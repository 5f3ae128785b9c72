"""What the inventory costs beside unsorted rows: python -m bench.inventory [OBJECTS [gcs|s3|s3-versions]].

Every figure is a ratio within one run on one machine, so that it means something on another.
"""

import base64
import random
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from auditor.findings import member_of
from auditor.inventory import files, snapshot
from auditor.inventory.layout import Layout
from auditor.inventory.store import FileInventory
from auditor.model import BucketFacts, Cloud, Encryption, Listing, Population, StoredObject, Sweep
from auditor.ports import Begun, Coming, Shard
from auditor.rows import Done, batched

BUCKETS = {"gcs": "gs://bench", "s3": "s3://bench", "s3-versions": "s3://bench"}
"""Version ids of S3 hold nothing that compresses, so that a bucket that has them is a case of its own."""
START = datetime(2026, 1, 1, tzinfo=UTC)


def objects(what: str, count: int) -> Iterator[StoredObject]:
    """Ten thousand namespaces, three thousand keys or versions, names in no order, ETags without a pattern."""
    chance = random.Random(7)  # noqa: S311 - the same objects each time
    on_s3 = what != "gcs"
    for number in range(count):
        place = number * 7919 % count
        org = place % 1000
        written = START + timedelta(seconds=chance.random() * 10_000_000)
        key = f"projects/keys/locations/us-east1/keyRings/r/cryptoKeys/k{org:04}"
        version: str | None = str(int(written.timestamp() * 1e6))
        if on_s3:
            key = f"arn:aws:kms:us-east-1:111122223333:key/0000{org:04}-1111-4222-8333-{place % 3:012}"
            version = base64.b64encode(chance.randbytes(24), b"._").decode() if what == "s3-versions" else None
        yield StoredObject(
            name=f"org-{org:04}/ns-{place % 10_000:05}/{place:010}.seg",
            version=version,
            population=Population.LIVE,
            size=int(chance.random() * 4_000_000),
            modified=written.replace(microsecond=0) if on_s3 else written,
            etag=chance.randbytes(16).hex() if on_s3 else None,
            storage_class="STANDARD",
            archived=False,
            encryption=Encryption.CMEK,
            key=key,
            key_version=None if on_s3 else str(1 + place % 3),
            verified=START + timedelta(seconds=number // 500),
        )


def timed(call: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds and the answer."""
    began = time.perf_counter()
    answer = call()
    return time.perf_counter() - began, answer


class OnePass:
    """All objects in one listing."""

    listings = (Listing.STORED,)

    def __init__(self, what: str, count: int) -> None:
        self._what, self._count = what, count

    def shards(self, _listing: Listing, shards: Sequence[Shard]) -> Iterator[tuple[Shard, Coming]]:
        """Yield them all."""
        (shard,) = shards
        for some in batched(objects(self._what, self._count)):
            yield shard, some
        yield shard, Done()


def main() -> None:
    """Measure and print."""
    told = dict(zip(("count", "what"), sys.argv[1:], strict=False))
    count, what = int(told.get("count", 1_000_000)), told.get("what", "gcs")
    bucket = BUCKETS[what]
    layout = Layout.parse("{org}/{namespace}/")
    with tempfile.TemporaryDirectory() as folder:
        making, _ = timed(lambda: sum(1 for _ in objects(what, count)))

        def plain() -> None:
            with pq.ParquetWriter(Path(folder) / "plain.parquet", files.SCHEMA) as writer:
                for some in batched(objects(what, count)):
                    writer.write_batch(snapshot.with_namespaces(bucket, layout, some))

        unsorted, _ = timed(plain)
        inventory = FileInventory(Path(folder) / "inventory", {bucket: layout})
        whole, written = timed(lambda: inventory.write(bucket, Begun("s1", START, ""), OnePass(what, count)))
        sweep = Sweep(
            id="s1",
            bucket=bucket,
            started=START,
            ended=START,
            complete=True,
            listed=written.listed,
            resolved=written.resolved,
            outside=written.outside,
            uploads_in_progress=0,
            oldest_verified=START,
            facts=BucketFacts(bucket, Cloud.GCP if what == "gcs" else Cloud.AWS),
            files=written.files,
        )
        opened = inventory.open([sweep])
        reading, holdings = timed(opened.holdings)
        one_key = [member_of(one) for one in holdings if one.key == holdings[0].key]
        asking, extent = timed(lambda: opened.extents([one_key])[0])
        size = sum(path.stat().st_size for path in (Path(folder) / "inventory").rglob("*.parquet"))
    print(f"objects {written.listed:,}, key versions with data {len(holdings):,}, one key holds {extent.objects:,}")
    print(f"making the rows               {making:6.1f} s   1.0")
    print(f"rows to an unsorted file      {unsorted:6.1f} s   {unsorted / making:4.1f}")
    print(
        f"sorted snapshot, dependencies {whole:6.1f} s   {whole / making:4.1f}   ({whole / unsorted:.2f} of unsorted)"
    )
    print(f"all holdings for the judge    {reading:6.2f} s")
    print(f"blast radius of one key       {asking:6.3f} s")
    print(f"bytes an object on disk       {size / written.listed:6.1f}")
    print(f"peak memory                   {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:6.0f} MiB")


if __name__ == "__main__":
    main()
