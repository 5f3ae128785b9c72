"""A Google Cloud whose keys alone are audited: its config has no bucket, and a file says which namespaces there are."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from auditor import scan
from auditor.config import load
from auditor.embedded.google import GoogleCloud
from auditor.findings import Finding, Judgement, Status
from auditor.wiring import Assembly, assemble
from tests.clouds import GOOGLE_KEY, Clock, a_google_store
from tests.test_fleet import NoProgress

OTHER_KEY = f"{GOOGLE_KEY}-2"
CONFIG = """
state = "state"
[[account]]
project = "acme"
[web]
listen = "127.0.0.1:0"
[gcp]
storage_endpoint = "{endpoint}"
kms_endpoint = "{endpoint}"
iam_endpoint = "{endpoint}"
"""
FILE = '[[registry]]\nkind = "file"\npath = "namespaces.csv"\n'


@dataclass(frozen=True)
class KeysOnly:
    """`search`, `chat` and `mail` of acme under the first key, whose versions are 1 to 3; `zeta` under the second."""

    cloud: GoogleCloud
    config: Path

    def say(self, *lines: str, header: str = "namespace,key,tenant") -> None:
        (self.config.parent / "namespaces.csv").write_text("\n".join([header, *lines]) + "\n")

    def set_state(self, version: int, state: str, name: str = GOOGLE_KEY) -> None:
        key = self.cloud.store.key(name)
        assert key is not None
        key.versions[version].state = state

    def assembled(self) -> Assembly:
        return assemble(load(self.config), self.cloud.store.clock)

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


def opened(judgement: Judgement) -> dict[tuple[str, str], Finding]:
    """Open findings by rule and the last part of what they are about."""
    return {
        (one.rule, one.subject.id.rpartition("/")[2]): one for one in judgement.findings if one.status is Status.OPEN
    }


@contextmanager
def a_cloud_of_keys(folder: Path, settings: str = FILE) -> Iterator[KeysOnly]:
    store = a_google_store()
    store.clock = Clock()
    store.add_key(GOOGLE_KEY, versions=3)
    store.add_key(OTHER_KEY)
    with GoogleCloud(store) as cloud:
        config = folder / "auditor.toml"
        config.write_text(CONFIG.format(endpoint=cloud.endpoint) + settings)
        running = KeysOnly(cloud, config)
        running.say(
            f"search,{GOOGLE_KEY},acme",
            f"chat,{GOOGLE_KEY},acme",
            f"mail,{GOOGLE_KEY},acme",
            f"other,{OTHER_KEY},zeta",
        )
        yield running
