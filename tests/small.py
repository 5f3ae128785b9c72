"""A small Google Cloud and the config for it: enough for commands, daemon and web."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from auditor.embedded.google import GoogleCloud
from tests.clouds import GOOGLE_KEY, a_google_store

CONFIG = """
state = "state"
[schedule]
key_poll = 5
[web]
listen = "127.0.0.1:0"
[[account]]
project = "acme"
[gcp]
storage_endpoint = "{endpoint}"
kms_endpoint = "{endpoint}"
logging_endpoint = "{endpoint}"
iam_endpoint = "{endpoint}"
monitoring_endpoint = "{endpoint}"
[[bucket]]
url = "gs://data"
layout = "{{org}}/{{namespace}}/"
account = "acme"
"""


@dataclass(frozen=True)
class Small:
    cloud: GoogleCloud
    config: Path

    def argv(self, command: str, *more: str) -> list[str]:
        return [command, "--config", str(self.config), *more]

    def set_state(self, version: int, state: str) -> None:
        key = self.cloud.store.key(GOOGLE_KEY)
        assert key is not None
        key.versions[version].state = state


@contextmanager
def a_small_cloud(folder: Path) -> Iterator[Small]:
    """Two namespaces of ten objects: `acme/old` under version 1, `acme/new` under version 2."""
    store = a_google_store()
    store.add_bucket("data", "acme", "us-east1")
    store.add_key(GOOGLE_KEY, versions=2)
    for number in range(10):
        store.put("data", f"acme/old/{number}", key=GOOGLE_KEY, version=1, size=100)
        store.put("data", f"acme/new/{number}", key=GOOGLE_KEY, version=2, size=100)
    with GoogleCloud(store) as cloud:
        config = folder / "auditor.toml"
        config.write_text(CONFIG.format(endpoint=cloud.endpoint))
        yield Small(cloud, config)
