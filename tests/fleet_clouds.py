"""Both embedded clouds with the demo's fleet, and the config that points the product at them."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from auditor.embedded import fleet, owned
from auditor.embedded.aws import AwsCloud
from auditor.embedded.google import GoogleCloud
from auditor.embedded.google import Store as GoogleStore
from tests.clouds import Clock, an_aws_cloud

SEED = 7


@dataclass(frozen=True)
class Clouds:
    google: GoogleCloud
    aws: AwsCloud
    config: Path


@contextmanager
def the_fleet(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Iterator[Clouds]:
    # The embedded Cloud KMS has no quota, and waiting for one would be most of the time of a test.
    monkeypatch.setattr("auditor.clouds.gcp._KMS_QUOTA", 1_000.0)
    monkeypatch.setattr("auditor.connectors.aws.audit_log._QUOTA", 1_000.0)
    store = GoogleStore(Clock())
    fleet.fill_google(store, SEED)
    with GoogleCloud(store) as google, an_aws_cloud(monkeypatch) as aws:
        fleet.fill_aws(aws.store, SEED)
        config = folder / "auditor.toml"
        config.write_text(fleet.config(google.endpoint, (store.clock() + timedelta(days=60)).date()))
        owned.write(folder)
        yield Clouds(google, aws, config)
