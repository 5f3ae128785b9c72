"""Two embedded clouds whose keys change under a daemon, and what the ledger must have told of it afterwards."""

import os
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Final

from auditor.embedded.aws import AwsCloud
from auditor.embedded.aws import Store as AwsStore
from auditor.embedded.aws.store import Key
from auditor.embedded.google import GoogleCloud
from auditor.embedded.google import Store as GoogleStore
from auditor.embedded.google.store import Version

ACCOUNT: Final = "111122223333"
_KEYS: Final = 4
"""Of each cloud."""
_OBJECTS: Final = 25
"""Under each key of AWS and each version of Google Cloud."""
_RING: Final = "projects/acme/locations/us-east1/keyRings/tpuf"
_FINAL: Final = timedelta(days=20)
_CONFIG: Final = """
state = "state"
[schedule]
sweep = "* * * * *"
[web]
listen = "127.0.0.1:{port}"
[[account]]
project = "acme"
[[account]]
id = "{account}"
[gcp]
storage_endpoint = "{google}"
kms_endpoint = "{google}"
logging_endpoint = "{google}"
iam_endpoint = "{google}"
[[bucket]]
url = "gs://data"
layout = "{{org}}/{{namespace}}/"
account = "acme"
[[bucket]]
url = "s3://data"
layout = "{{org}}/{{namespace}}/"
region = "us-east-1"
account = "{account}"
"""


@dataclass
class Subject:
    """A key of AWS, or a version of Google Cloud: all that anybody changes is its state."""

    name: str
    rules: dict[str, str | None]
    """State -> which finding it is; the first is the one that all is well in."""
    put: Callable[[str], None]
    states: list[str] = field(default_factory=list)
    """All that it was in, the newest last."""

    def __post_init__(self) -> None:
        self.states.append(next(iter(self.rules)))

    @property
    def finding(self) -> str | None:
        """Which finding it is now."""
        return self.rules[self.states[-1]]

    def change(self) -> None:
        """Bring it into another state."""
        state = random.choice([one for one in self.rules if one != self.states[-1]])  # noqa: S311 - any
        self.put(state)
        self.states.append(state)

    @property
    def findings(self) -> list[str]:
        """Every finding that must have opened, in order."""
        return [rule for state in self.states if (rule := self.rules[state]) is not None]


@contextmanager
def a_world(folder: Path) -> Iterator[tuple[list[Subject], Callable[[int], Path], dict[str, str]]]:
    """Run both clouds; it yields what changes, who writes a config for a port, and a daemon's environment."""
    google_store, aws_store = GoogleStore(_now), AwsStore(_now)
    subjects = [*_fill_google(google_store), *_fill_aws(aws_store)]
    with GoogleCloud(google_store) as google, AwsCloud(aws_store) as aws:

        def config(port: int) -> Path:
            path = folder / f"{port}.toml"
            path.write_text(_CONFIG.format(port=port, account=ACCOUNT, google=google.endpoint))
            return path

        own = {f"AWS_ENDPOINT_URL_{service}": aws.endpoint for service in ("S3", "KMS", "STS", "CLOUDTRAIL")}
        own |= {"AWS_ACCESS_KEY_ID": f"AKIA{ACCOUNT}SOAK", "AWS_SECRET_ACCESS_KEY": "secret"}
        own |= {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}
        others = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        yield subjects, config, {**others, **own}


def _fill_google(store: GoogleStore) -> Iterator[Subject]:
    agent = store.add_project("acme", 123456)
    store.grant(_RING, "roles/cloudkms.cryptoKeyEncrypterDecrypter", f"serviceAccount:{agent}")
    store.add_bucket("data", "acme", "us-east1")
    rules: dict[str, str | None] = {"ENABLED": None, "DISABLED": "data-unreadable", "DESTROY_SCHEDULED": "data-doomed"}
    for number in range(_KEYS):
        key = f"{_RING}/cryptoKeys/main{number}"
        versions = store.add_key(key, versions=2).versions

        def put(version: int, state: str, *, numbered: dict[int, Version] = versions) -> None:
            with store.lock:
                numbered[version].state = state
                numbered[version].destroy_time = _now() + _FINAL if state == "DESTROY_SCHEDULED" else None

        for version in versions:
            for each in range(_OBJECTS):
                store.put("data", f"acme/space{number}-{version}/{each}", key=key, version=version)
            yield Subject(f"{key}/cryptoKeyVersions/{version}", dict(rules), partial(put, version))


def _fill_aws(store: AwsStore) -> Iterator[Subject]:
    store.add_bucket("data", "us-east-1")
    for number in range(_KEYS):
        arn = f"arn:aws:kms:us-east-1:{ACCOUNT}:key/00000000-0000-0000-0000-{number:012}"
        key = store.add_key(arn)
        for each in range(_OBJECTS):
            store.put("data", f"acme/space{number}/{each}", key=arn, sse="aws:kms")

        def put(state: str, *, one: Key = key) -> None:
            with store.lock:
                one.state, one.deletion_date = state, _now() + _FINAL if state == "PendingDeletion" else None

        yield Subject(arn, {"Enabled": None, "Disabled": "data-unreadable", "PendingDeletion": "data-doomed"}, put)


def _now() -> datetime:
    return datetime.now(UTC)
