"""What was found of a key stays while nobody hears of it, for as long as nothing else is known."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from auditor import scan
from auditor.config import load
from auditor.findings import Finding, Status
from auditor.wiring import assemble
from tests.clouds import GOOGLE_KEY, Clock
from tests.small import Small, a_small_cloud
from tests.test_fleet import NoProgress

INSTANCE = "projects/acme/locations/us-east1/singleTenantHsmInstances/one"


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Small]:
    with a_small_cloud(tmp_path) as running:
        yield running


def test_a_date_that_comes_is_told_while_the_key_is_silent(small: Small) -> None:
    store = small.cloud.store
    store.add_instance(INSTANCE, "ACTIVE", disable_time=store.clock() + timedelta(days=10))
    key = store.key(GOOGLE_KEY)
    assert key is not None
    key.backend = INSTANCE
    for version in key.versions.values():
        version.protection = "HSM_SINGLE_TENANT"
    clock = Clock()
    assembly = assemble(load(small.config), clock)

    def expiring() -> Finding:
        (found,) = (one for one in scan.poll(assembly.parts, NoProgress()).findings if one.rule == "data-expiring")
        return found

    scan.sweep_all(assembly.parts, NoProgress())
    first = expiring()
    assert first.status is Status.OPEN
    small.cloud.traffic.fail("cryptoKeys", status=503)
    clock.ahead = timedelta(hours=2)
    silent = expiring()
    assert (silent.status, silent.final_at, silent.since) == (Status.OPEN, first.final_at, first.since)
    small.cloud.traffic.heal()
    heard = expiring()
    assert (heard.status, heard.since) == (Status.OPEN, first.since)
    for version in key.versions.values():
        version.protection = "SOFTWARE"
    assert expiring().status is Status.RESOLVED
    assembly.close()
