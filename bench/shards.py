"""What shards are worth where pages take their time: python -m bench.shards [OBJECTS] prints one line of JSON.

A first sweep of a bucket of an embedded Cloud Storage, each of whose pages takes 0.2 s, on one stream and on four.
"""

import json
import multiprocessing
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final

from auditor.connectors.gcp.census import GcsCensus
from auditor.connectors.gcp.objects import GcsBucket
from auditor.connectors.gcp.session import Endpoints, GcpClients
from auditor.connectors.pace import Pace
from auditor.connectors.wire import Wire
from auditor.embedded.google import GoogleCloud, Store
from auditor.embedded.traffic import Fault, Request
from auditor.inventory.layout import Layout
from auditor.inventory.store import FileInventory
from auditor.model import Population
from auditor.ports import Begun

OBJECTS: Final = 100_000
DELAY: Final = 0.2
STREAMS: Final = 4
_KEY: Final = "projects/acme/locations/us-east1/keyRings/ring/cryptoKeys/main"


def clock() -> datetime:
    """Now."""
    return datetime.now(UTC)


def serve(objects: int, delay: float, pipe: Connection) -> None:
    """Serve the bucket until the process is ended."""
    store = Store(clock)
    store.add_project("acme", 123456)
    store.add_bucket("bucket", "acme", "us-east1")
    store.add_key(_KEY)
    for number in range(objects):
        name = f"org-{number % 40:02}/ns-{number * 2_654_435_761 % 2**32:08x}/{number:010}"
        store.put("bucket", name, key=_KEY, version=1, size=number)
    with GoogleCloud(store) as cloud:
        arrived = cloud.traffic.arrived

        def late(request: Request) -> Fault | None:
            time.sleep(delay)
            return arrived(request)

        cloud.traffic.arrived = late  # type: ignore[method-assign] # it does as it did, and later
        pipe.send(cloud.endpoint)
        pipe.recv()


@contextmanager
def serving(objects: int, delay: float = DELAY) -> Iterator[str]:
    """Serve in a process of its own, each answer so many seconds late; yield the address."""
    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=serve, args=(objects, delay, there), daemon=True)
    process.start()
    yield here.recv()
    process.terminate()
    process.join()


def sweep(address: str, objects: int, streams: int) -> dict[str, float]:
    """Sweep into a snapshot, as a scan does."""
    wire = Wire(clock)
    clients = GcpClients({}, Endpoints(address, address, address), wire, "cmek-auditor/bench")
    uploads = partial(clients.count_uploads, None)
    plain = GcsBucket(clients.storage(None), "gs://bucket", (Population.LIVE,), Pace(1e6), clock=clock, uploads=uploads)
    source = GcsCensus(plain, clients, None, (Population.LIVE,), ceiling=1e6, clock=clock, streams=streams)
    with tempfile.TemporaryDirectory() as folder:
        inventory = FileInventory(Path(folder), {source.url: Layout.parse("{org}/{namespace}/")})
        began = time.perf_counter()
        written = inventory.write(source.url, Begun("s1", clock(), ""), source)
        seconds = time.perf_counter() - began
    if written.listed != objects:
        raise RuntimeError(f"{written.listed} of {objects} objects were listed")
    return {"seconds": seconds, "requests": wire.requests("storage")}


def main() -> None:
    """Measure both."""
    objects = int(sys.argv[1]) if len(sys.argv) > 1 else OBJECTS
    with serving(objects) as address:
        one, several = (sweep(address, objects, streams) for streams in (1, STREAMS))
    mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"objects": objects, "one": one, "several": several, "mib": mib}))


if __name__ == "__main__":
    main()
