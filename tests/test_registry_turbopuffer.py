"""turbopuffer as a registry: what its API says of namespaces, what of it is kept, and what of it is not known."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from auditor.embedded.turbopuffer import customer_managed
from auditor.findings import Finding, Judgement, Status
from tests.turbopuffer_cloud import OTHER_KEY, Registered, a_registered_cloud, gaps_of

RULES = {"wrong-key", "not-customer-managed", "orphan-objects", "foreign-tenant-key"}


@pytest.fixture
def cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Registered]:
    with a_registered_cloud(tmp_path, monkeypatch) as running:
        yield running


def found(judgement: Judgement) -> dict[str, Finding]:
    return {one.rule: one for one in judgement.findings if one.rule in RULES and one.status is Status.OPEN}


def effects(judgement: Judgement) -> list[str]:
    return [one.effect for one in gaps_of(judgement)]


def test_nothing_is_found_and_nothing_is_unknown_where_all_is_as_it_says(cloud: Registered) -> None:
    judgement = cloud.scanned()
    assert (found(judgement), gaps_of(judgement)) == ({}, [])
    (registry,) = judgement.registered.registries
    assert (registry.name, registry.namespaces) == ("registry turbopuffer gcp-us-east1 org=acme of gs://data", 3)


def test_data_under_another_key_than_it_says_is_found(cloud: Registered) -> None:
    cloud.platform.put("new", customer_managed(OTHER_KEY))
    judgement = cloud.scanned()
    (one,) = found(judgement).values()
    assert (one.rule, one.extent.sample_namespaces) == ("wrong-key", ("gs://data/acme/new",))
    assert judgement.coverage.keys_needed == 2, "the key that it names is watched"
