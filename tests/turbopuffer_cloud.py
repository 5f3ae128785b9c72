"""A small fleet whose namespaces turbopuffer tells of: the small Google Cloud, and the platform's API beside it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from auditor import scan
from auditor.config import load
from auditor.embedded.turbopuffer import Platform, Turbopuffer, customer_managed
from auditor.findings import Judgement
from auditor.model import Gap
from auditor.wiring import Assembly, assemble
from tests.clouds import GOOGLE_KEY, Clock
from tests.small import Small, a_small_cloud
from tests.test_fleet import NoProgress

API_KEY = "tpuf_A1b2C3d4E5f6"
OTHER_KEY = f"{GOOGLE_KEY}-2"
SETTINGS = """
[[registry]]
kind = "turbopuffer"
base_url = "{endpoint}"
region = "gcp-us-east1"
api_key_env = "TPUF_KEY_OF_TESTS"
bucket = "gs://data"
fields = {{ org = "acme" }}
requests_per_second = 1000
"""


@dataclass(frozen=True)
class Registered:
    """`acme/old`, `acme/new` and `acme/plain`; turbopuffer knows all three."""

    small: Small
    service: Turbopuffer
    clock: Clock

    @property
    def platform(self) -> Platform:
        return self.service.platform

    @property
    def state(self) -> Path:
        return self.small.config.parent / "state"

    def set(self, **settings: object) -> None:
        """Give settings of the registry other values."""
        lines = "".join(f"{name} = {value}\n" for name, value in settings.items())
        self.small.config.write_text(self.small.config.read_text() + lines)

    def assembled(self) -> Assembly:
        return assemble(load(self.small.config), self.clock)

    def scanned(self) -> Judgement:
        assembly = self.assembled()
        try:
            return scan.scan(assembly.parts, NoProgress())
        finally:
            assembly.close()

    def polled(self) -> Judgement:
        assembly = self.assembled()
        try:
            return scan.poll(assembly.parts, NoProgress())
        finally:
            assembly.close()

    def asked(self, what: str = "/v") -> list[str]:
        """The requests that reached turbopuffer so far."""
        return [one.target for one in self.service.traffic.requests if what in one.target]


def gaps_of(judgement: Judgement) -> list[Gap]:
    return [one for one in judgement.gaps if one.what.startswith("registry")]


@contextmanager
def a_registered_cloud(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Registered]:
    monkeypatch.setenv("TPUF_KEY_OF_TESTS", API_KEY)
    # A namespace that is refused waits for nobody here.
    monkeypatch.setattr("turbopuffer._base_client.INITIAL_RETRY_DELAY", 0.0)
    with a_small_cloud(folder) as small:
        clock = Clock()
        small.cloud.store.clock = clock
        small.cloud.store.add_key(OTHER_KEY)
        small.cloud.store.put("data", "acme/plain/0", size=10)
        platform = Platform(clock, API_KEY)
        for name in ("old", "new"):
            platform.put(name, customer_managed(GOOGLE_KEY))
        platform.put("plain")
        with Turbopuffer(platform) as service:
            small.config.write_text(small.config.read_text() + SETTINGS.format(endpoint=service.endpoint))
            yield Registered(small, service, clock)
