"""One sweep of the canned bucket by this project's own clients: ours.py s3|s3-list|s3-again|gcs|gcs-list ADDRESS CERTS.

Prints one line of JSON: objects, seconds, CPU seconds, peak MiB.
"""

import json
import os
import resource
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from auditor.connectors.pace import Pace
from auditor.connectors.transfers import Handle, Outcome, Transfer, Transfers
from auditor.connectors.wire import Wire
from auditor.inventory.known import KnownRows
from auditor.inventory.layout import Layout
from auditor.inventory.parts import published
from auditor.inventory.store import FileInventory
from auditor.model import Listing, Population
from auditor.ports import Begun, Coming, ObjectSource, Shard

FASTER_THAN_ANY_SERVER = 1e6


def be_somebody() -> None:
    """Have credentials, and only these."""
    os.environ.update(AWS_ACCESS_KEY_ID="AKIA111122223333TEST", AWS_SECRET_ACCESS_KEY="secret")
    os.environ.update(AWS_CONFIG_FILE="/nonexistent", AWS_SHARED_CREDENTIALS_FILE="/nonexistent")


def clock() -> datetime:
    """Now."""
    return datetime.now(UTC)


def s3(address: str, ceiling: float = FASTER_THAN_ANY_SERVER) -> ObjectSource:
    """The canned S3 bucket through libcurl, asked so often a second at most."""
    from auditor.connectors.aws.census import S3Census
    from auditor.connectors.aws.objects import S3Bucket
    from auditor.connectors.aws.session import AwsClients

    os.environ["AWS_ENDPOINT_URL_S3"] = address
    clients = AwsClients({}, Wire(clock), "cmek-auditor/bench", 16)
    place = "us-east-1", None
    plain = S3Bucket(clients.s3(*place), "s3://bucket", (Population.LIVE,), Pace(ceiling), clock)
    return S3Census(
        plain,
        clients,
        place,
        (Population.LIVE,),
        ceiling=ceiling,
        clock=clock,
        reverify=timedelta(days=30),
    )


def gcs(address: str) -> ObjectSource:
    """The canned Cloud Storage bucket through libcurl."""
    from google.auth.credentials import AnonymousCredentials

    from auditor.connectors.gcp.census import GcsCensus
    from auditor.connectors.gcp.objects import GcsBucket
    from auditor.connectors.gcp.session import Endpoints, GcpClients

    class Anonymous(GcpClients):
        """Nobody in particular, over TLS as well: the canned server asks for no name."""

        def _credentials(self, _endpoint: str | None, _project: str | None) -> Any:
            return AnonymousCredentials()

    clients = Anonymous({}, Endpoints(address, address, address), Wire(clock), "cmek-auditor/bench")
    uploads = partial(clients.count_uploads, None)
    pace = Pace(FASTER_THAN_ANY_SERVER)
    plain = GcsBucket(clients.storage(None), "gs://bucket", (Population.LIVE,), pace, clock=clock, uploads=uploads)
    return GcsCensus(plain, clients, None, (Population.LIVE,), ceiling=FASTER_THAN_ANY_SERVER, clock=clock)


class Again:
    """A source that is swept once before it counts, and then knows what it learnt."""

    def __init__(self, source: ObjectSource, folder: Path) -> None:
        self._source = source
        inventory = FileInventory(folder, {source.url: Layout.parse("{org}/{namespace}/")})
        inventory.write(source.url, Begun("s0", clock(), ""), source)
        (whole,) = folder.glob("*/s0")
        self._known = KnownRows(published(whole))
        self.listings, self.url = source.listings, source.url

    def shards(self, listing: Listing, shards: Sequence[Shard]) -> Iterator[tuple[Shard, Coming]]:
        """Yield what is listed now."""
        return self._source.shards(listing, shards, self._known)


def swept(source: ObjectSource | Again) -> int:
    """Sweep into a snapshot, as a scan does."""
    with tempfile.TemporaryDirectory() as folder:
        inventory = FileInventory(Path(folder), {source.url: Layout.parse("{org}/{namespace}/")})
        return inventory.write(source.url, Begun("s1", clock(), ""), source).listed


class _Listing:
    """Lists and decodes, and keeps nothing: the floor under every sweep of S3."""

    def __init__(self) -> None:
        from auditor.connectors.aws.listing import parse_page

        self._parse = parse_page

    def sign(self, curl: Handle, transfer: Transfer) -> None:
        """The canned server asks for no name."""

    def look(self, transfer: Transfer) -> Outcome:
        """Decode one page."""
        transfer.answer = self._parse(transfer.body, "bucket", versions=False)
        return Outcome("ok")


def listed(address: str) -> int:
    """List and decode alone."""
    transfers = Transfers(
        _Listing(),
        Wire(clock),
        ceiling=FASTER_THAN_ANY_SERVER,
        agent="cmek-auditor/bench",
        certificates=os.environ["AWS_CA_BUNDLE"],
    )
    count, token = 0, ""
    while True:
        url = f"{address}/bucket/?list-type=2&encoding-type=url&{token}"
        transfers.start(Transfer(("s3", "ListObjectsV2"), url))
        (page,) = (one.answer for one in transfers.settled(60))
        count += len(page.names)  # type: ignore[attr-defined] # what _Listing put there
        following = page.following  # type: ignore[attr-defined] # the same
        if following is None:
            return count
        token = f"continuation-token={following['continuation-token']}"


def main() -> None:
    """Run one and print what it took."""
    what, address, certificates = sys.argv[1:]
    be_somebody()
    os.environ.update(AWS_CA_BUNDLE=certificates, REQUESTS_CA_BUNDLE=certificates)
    made: ObjectSource | Again | None = None
    if what != "s3-list":
        made = {"s3": s3, "s3-again": s3, "gcs": gcs, "gcs-list": gcs}[what](address)
    if what == "s3-again" and made is not None and not isinstance(made, Again):
        made = Again(made, Path(tempfile.mkdtemp()))
    began, used = time.perf_counter(), time.process_time()
    if made is None:
        objects = listed(address)
    elif what.endswith("-list"):
        arriving = made.shards(Listing.STORED, [Shard()])
        objects = sum(getattr(some, "num_rows", 0) for _, some in arriving)
    else:
        objects = swept(made)
    told = {
        "objects": objects,
        "seconds": time.perf_counter() - began,
        "cpu": time.process_time() - used,
        "mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    sys.stdout.write(json.dumps(told) + "\n")


if __name__ == "__main__":
    main()
