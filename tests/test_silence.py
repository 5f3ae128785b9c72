"""What was found of a key stays while nobody hears of it, for as long as nothing else is known."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from auditor import scan, sweeping
from auditor.config import load
from auditor.embedded.aws import AwsCloud
from auditor.findings import Finding, Judgement, Readability, Status, SubjectKind
from auditor.model import Gap
from auditor.wiring import assemble
from tests.clouds import GOOGLE_KEY, Clock, an_aws_cloud
from tests.small import Small, a_small_cloud
from tests.test_denied import AWS_CONFIG, AWS_KEY, PLATFORM
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

    sweeping.sweep_all(assembly.parts, NoProgress())
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


def open_findings(judgement: Judgement) -> set[tuple[str, SubjectKind]]:
    return {
        (one.rule, one.subject.kind)
        for one in judgement.findings
        if one.status is not Status.RESOLVED and one.rule.startswith("data-")
    }


@pytest.mark.parametrize("silence", ["not found, and who asks for deleted keys is refused", "refused", "unavailable"])
def test_what_stops_data_is_not_over_because_the_key_is_not_heard(small: Small, silence: str) -> None:
    store = small.cloud.store
    key = store.key(GOOGLE_KEY)
    assert key is not None
    clock = Clock()
    key.versions[1].state, key.versions[1].destroy_time = "DESTROY_SCHEDULED", clock() + timedelta(days=3)
    key.versions[2].state = "DISABLED"
    assembly = assemble(load(small.config), clock)
    sweeping.sweep_all(assembly.parts, NoProgress())
    before = open_findings(scan.poll(assembly.parts, NoProgress()))
    assert before == {("data-doomed", SubjectKind.KEY_VERSION), ("data-unreadable", SubjectKind.KEY_VERSION)}
    match silence:
        case "refused":
            small.cloud.traffic.fail("cryptoKeys", status=403)
        case "unavailable":
            small.cloud.traffic.fail("cryptoKeys", status=503)
        case _:
            not_found = b'{"error":{"code":404,"message":"x","status":"NOT_FOUND"}}'
            small.cloud.traffic.fail("cryptoKeys/main", status=404, body=not_found)
            small.cloud.traffic.fail("etiredResources", status=503)
    for _ in range(3):
        clock.ahead += timedelta(minutes=1)
        assert open_findings(scan.poll(assembly.parts, NoProgress())) == before
    small.cloud.traffic.heal()
    key.versions[1].state = key.versions[2].state = "ENABLED"
    clock.ahead += timedelta(minutes=1)
    assert open_findings(scan.poll(assembly.parts, NoProgress())) == set()
    assembly.close()


def test_a_store_that_is_down_is_not_up_because_a_key_is_not_found_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with an_aws_cloud(monkeypatch) as cloud:
        cloud.store.add_bucket("objects")
        cloud.store.add_key_store("cks-1", "us-east-1", state="DISCONNECTED")
        cloud.store.add_key(AWS_KEY, store="cks-1", origin="AWS_CLOUDHSM")
        cloud.store.put("objects", "acme/s3/a", sse="aws:kms", key=AWS_KEY)
        config = tmp_path / "auditor.toml"
        config.write_text('state = "state"\n' + PLATFORM + AWS_CONFIG)
        clock = Clock()
        assembly = assemble(load(config), clock)
        sweeping.sweep_all(assembly.parts, NoProgress())
        before = open_findings(scan.poll(assembly.parts, NoProgress()))
        assert before == {("data-unreachable", SubjectKind.KEY_STORE)}
        cloud.traffic.fail("DescribeKey", status=400, code="NotFoundException")
        clock.ahead += timedelta(minutes=1)
        assert open_findings(scan.poll(assembly.parts, NoProgress())) == before
        cloud.traffic.heal()
        (store,) = cloud.store.key_stores.values()
        store.state = "CONNECTED"
        clock.ahead += timedelta(minutes=1)
        assert open_findings(scan.poll(assembly.parts, NoProgress())) == set()
        assembly.close()


def test_a_key_that_is_not_among_the_deleted_ones_is_not_called_lost_for_ever(small: Small) -> None:
    """One reading says that it is gone while nobody may ask for deleted keys; then somebody may."""
    clock = Clock()
    assembly = assemble(load(small.config), clock)
    parts = replace(assembly.parts, policy=replace(assembly.parts.policy, one_reading=True))
    sweeping.sweep_all(parts, NoProgress())
    assert open_findings(scan.poll(parts, NoProgress())) == set()
    not_found = b'{"error":{"code":404,"message":"x","status":"NOT_FOUND"}}'
    small.cloud.traffic.fail("cryptoKeys/main", status=404, body=not_found)
    refused = small.cloud.traffic.fail("etiredResources", status=503)
    clock.ahead += timedelta(minutes=1)
    assert open_findings(scan.poll(parts, NoProgress())) == {("data-lost", SubjectKind.KEY)}
    refused.times = 0
    for _ in range(2):
        clock.ahead += timedelta(minutes=20)
        judgement = scan.poll(parts, NoProgress())
        assert {one.assessment.readability for one in judgement.assessed} == {Readability.UNKNOWN}
        assert any("not among the deleted keys" in one.effect for one in judgement.gaps)
    small.cloud.traffic.heal()
    small.cloud.traffic.fail("cryptoKeys", status=503)
    clock.ahead += timedelta(minutes=20)
    judgement = scan.poll(parts, NoProgress())
    assert {one.assessment.readability for one in judgement.assessed} == {Readability.UNKNOWN}
    assembly.close()


@contextmanager
def an_aws_fleet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: str = "") -> Iterator[tuple[AwsCloud, Path]]:
    """Seven objects under one key, in one bucket."""
    with an_aws_cloud(monkeypatch) as cloud:
        cloud.store.add_bucket("objects")
        cloud.store.add_key(AWS_KEY)
        for number in range(7):
            cloud.store.put("objects", f"acme/s3/{number}", sse="aws:kms", key=AWS_KEY)
        config = tmp_path / "auditor.toml"
        config.write_text('state = "state"\n' + PLATFORM + AWS_CONFIG + more)
        yield cloud, config


@pytest.mark.parametrize("by_sdk", [False, True])
def test_objects_that_may_not_be_asked_any_more_heal_no_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, by_sdk: bool
) -> None:
    with an_aws_fleet(tmp_path, monkeypatch) as (cloud, config):
        key = cloud.store.key(AWS_KEY)
        assert key is not None
        key.state = "Disabled"
        clock = Clock()
        assembly = assemble(load(config), clock, by_sdk=by_sdk)
        before = open_findings(scan.scan(assembly.parts, NoProgress()))
        assert before == {("data-unreadable", SubjectKind.KEY)}
        refused = cloud.traffic.fail("HEAD /objects/", status=403)
        for _ in range(2):
            clock.ahead += timedelta(days=40)
            assert open_findings(scan.scan(assembly.parts, NoProgress())) == before
        refused.times = 0
        cloud.store.buckets["objects"].objects.clear()
        cloud.store.put("objects", "acme/s3/new")
        assert open_findings(scan.scan(assembly.parts, NoProgress())) == set(), "nothing is left under the key"
        assembly.close()


def test_a_store_is_up_where_one_of_its_keys_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with an_aws_fleet(tmp_path, monkeypatch) as (cloud, config):
        other = AWS_KEY[:-4] + "beef"
        store = cloud.store.add_key_store("cks-1", "us-east-1", state="DISCONNECTED")
        for name in (AWS_KEY, other):
            cloud.store.add_key(name, store="cks-1")
        cloud.store.put("objects", "acme/s4/x", sse="aws:kms", key=other)
        clock = Clock()
        assembly = assemble(load(config), clock)
        down = {("data-unreachable", SubjectKind.KEY_STORE)}
        assert open_findings(scan.scan(assembly.parts, NoProgress())) == down
        hidden = cloud.store.key(other)
        assert hidden is not None
        hidden.describe_denied = True
        clock.ahead += timedelta(minutes=1)
        assert open_findings(scan.poll(assembly.parts, NoProgress())) == down
        store.state = "CONNECTED"
        clock.ahead += timedelta(minutes=1)
        assert open_findings(scan.poll(assembly.parts, NoProgress())) == set()
        assembly.close()


def test_a_store_that_was_down_meanwhile_gives_nobody_his_right_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with an_aws_fleet(tmp_path, monkeypatch) as (cloud, config):
        store = cloud.store.add_key_store("cks-1", "us-east-1")
        cloud.store.add_key(AWS_KEY, store="cks-1", policy=FOR_AN_ADMINISTRATOR)
        assembly = assemble(load(config), Clock())
        revoked, down = ("data-revoked", SubjectKind.PRINCIPAL), ("data-unreachable", SubjectKind.KEY_STORE)
        assert open_findings(scan.scan(assembly.parts, NoProgress())) == {revoked}
        cloud.traffic.fail("GetKeyPolicy", status=403, code="AccessDeniedException")
        assert open_findings(scan.poll(assembly.parts, NoProgress())) == {revoked}
        store.state = "DISCONNECTED"
        assert open_findings(scan.poll(assembly.parts, NoProgress())) == {revoked, down}
        store.state = "CONNECTED"
        assert open_findings(scan.poll(assembly.parts, NoProgress())) == {revoked}, "the store tells that it is up"
        cloud.traffic.heal()
        assert open_findings(scan.poll(assembly.parts, NoProgress())) == {revoked}
        key = cloud.store.key(AWS_KEY)
        assert key is not None
        key.policy = None
        assert open_findings(scan.poll(assembly.parts, NoProgress())) == set()
        assembly.close()


FOR_AN_ADMINISTRATOR = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"AWS": "arn:aws:iam::111122223333:role/admin"},
            "Action": "kms:*",
            "Resource": "*",
        }
    ],
}

SECOND = AWS_CONFIG.replace("objects", "second")


@contextmanager
def two_buckets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: str = "") -> Iterator[tuple[AwsCloud, Path]]:
    """A key that is disabled, and data under it in two buckets."""
    with an_aws_fleet(tmp_path, monkeypatch, SECOND + more) as (cloud, config):
        cloud.store.add_bucket("second")
        cloud.store.put("second", "acme/s3/1", sse="aws:kms", key=AWS_KEY)
        key = cloud.store.key(AWS_KEY)
        assert key is not None
        key.state = "Disabled"
        yield cloud, config


def damage(config: Path, bucket: str) -> None:
    for path in config.parent.glob(f"state/inventory/{bucket}-*/*/dependencies.parquet"):
        path.write_bytes(b"x")


UNREADABLE = {("data-unreadable", SubjectKind.KEY)}


@pytest.mark.parametrize("how", ["damaged", "hidden"])
def test_data_that_is_not_seen_is_remembered_while_other_data_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    with two_buckets(tmp_path, monkeypatch) as (cloud, config):
        clock = Clock()
        assembly = assemble(load(config), clock, by_sdk=True)
        assert open_findings(scan.scan(assembly.parts, NoProgress())) == UNREADABLE
        if how == "damaged":
            damage(config, "s3-objects")
        else:
            cloud.traffic.fail("HEAD /objects/", status=403)
        second = frozenset({"s3://second"})
        assert open_findings(scan.scan(assembly.parts, NoProgress(), second if how == "damaged" else frozenset()))
        cloud.store.delete("second", "acme/s3/1", None)
        for _ in range(2):
            clock.ahead += timedelta(minutes=1)
            assert open_findings(scan.scan(assembly.parts, NoProgress(), second)) == UNREADABLE
        cloud.traffic.heal()
        key = cloud.store.key(AWS_KEY)
        assert key is not None
        key.state = "Enabled"
        assert open_findings(scan.scan(assembly.parts, NoProgress())) == set()
        assembly.close()


def test_a_key_that_is_heard_enabled_is_not_held_to_be_disabled_for_what_is_hidden(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with two_buckets(tmp_path, monkeypatch) as (cloud, config):
        cloud.store.put("objects", "acme/s3/odd")
        cloud.traffic.fail("HEAD /objects/acme/s3/odd", status=403)
        assembly = assemble(load(config), Clock(), by_sdk=True)
        assert open_findings(scan.scan(assembly.parts, NoProgress())) == UNREADABLE
        for number in range(7):
            cloud.store.delete("objects", f"acme/s3/{number}", None)
        key = cloud.store.key(AWS_KEY)
        assert key is not None
        key.state = "Enabled"
        assert open_findings(scan.scan(assembly.parts, NoProgress())) == set()
        assembly.close()


def test_a_watched_key_whose_data_nobody_sees_keeps_its_finding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with two_buckets(tmp_path, monkeypatch, f'\n[[key]]\nname = "{AWS_KEY}"\n') as (_, config):
        assembly = assemble(load(config))
        assert open_findings(scan.scan(assembly.parts, NoProgress())) == UNREADABLE
        for bucket in ("s3-objects", "s3-second"):
            damage(config, bucket)
        judgement = scan.poll(assembly.parts, NoProgress())
        assert open_findings(judgement) == UNREADABLE
        assert not any("names none of its roles" in one.effect for one in judgement.gaps), "the config names them"
        assembly.close()


def test_findings_on_a_key_stay_while_its_data_is_hidden(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with an_aws_fleet(tmp_path, monkeypatch) as (cloud, config):
        assembly = assemble(load(config), by_sdk=True)
        scan.scan(assembly.parts, NoProgress())
        key = cloud.store.key(AWS_KEY)
        assert key is not None
        key.describe_denied = True

        def withdrawn() -> list[Status]:
            found = scan.scan(assembly.parts, NoProgress()).findings
            return [one.status for one in found if one.rule == "key-access-withdrawn"]

        assert withdrawn() == [Status.OPEN]
        cloud.traffic.fail("HEAD /objects/", status=403)
        assert withdrawn() == [Status.OPEN]
        cloud.traffic.heal()
        key.describe_denied = False
        assert withdrawn() == [Status.RESOLVED]
        assembly.close()


def test_an_instance_that_hides_itself_over_its_date_keeps_its_finding(small: Small) -> None:
    store = small.cloud.store
    store.add_instance(INSTANCE, "ACTIVE", disable_time=store.clock() + timedelta(days=10))
    key = store.key(GOOGLE_KEY)
    assert key is not None
    key.backend = INSTANCE
    for version in key.versions.values():
        version.protection = "HSM_SINGLE_TENANT"
    clock = Clock()
    assembly = assemble(load(small.config), clock)
    before = open_findings(scan.scan(assembly.parts, NoProgress()))
    assert before == {("data-expiring", SubjectKind.HSM_INSTANCE)}
    small.cloud.traffic.fail("ingleTenantHsmInstance", status=403)
    for days in (1, 10, 1):
        clock.ahead += timedelta(days=days)
        assert open_findings(scan.poll(assembly.parts, NoProgress())) == before
    assembly.close()


def test_a_bucket_that_leaves_the_config_takes_no_finding_with_it_in_silence(small: Small) -> None:
    small.cloud.store.add_bucket("another", "acme", "us-east1")
    key = small.cloud.store.key(GOOGLE_KEY)
    assert key is not None
    key.versions[1].state = "DISABLED"
    assembly = assemble(load(small.config), Clock())
    assert ("data-unreadable", SubjectKind.KEY_VERSION) in open_findings(scan.scan(assembly.parts, NoProgress()))
    assembly.close()
    small.config.write_text(small.config.read_text().replace("gs://data", "gs://another"))
    assembly = assemble(load(small.config), Clock())
    first = scan.scan(assembly.parts, NoProgress())
    assert open_findings(first) == set()
    assert [one.what for one in first.gaps if "without a look" in one.effect] == ["gs://data"]
    later = scan.poll(assembly.parts, NoProgress())
    assert not [one for one in later.gaps if "without a look" in one.effect], "told once, with the findings"
    assembly.close()


def test_populations_that_leave_the_config_take_no_finding_with_them_in_silence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with an_aws_cloud(monkeypatch) as cloud:
        cloud.store.add_bucket("objects")
        cloud.store.buckets["objects"].versioned = True
        other = AWS_KEY.replace("000001", "000002")
        cloud.store.add_key(AWS_KEY).state = "Disabled"
        cloud.store.add_key(other)
        for key in (AWS_KEY, other):
            cloud.store.put("objects", "acme/s3/1", sse="aws:kms", key=key)
        config = tmp_path / "auditor.toml"
        told = 'state = "state"\n' + PLATFORM + AWS_CONFIG
        found = []
        for text in (told, told.replace('url = "s3://objects"', 'url = "s3://objects"\npopulations = ["live"]')):
            config.write_text(text)
            assembly = assemble(load(config), Clock())
            found.append(scan.scan(assembly.parts, NoProgress()))
            assembly.close()
        assert [open_findings(one) for one in found] == [UNREADABLE, set()]
        gaps = [[gap.what for gap in one.gaps if "leaves out its noncurrent objects" in gap.effect] for one in found]
        assert gaps == [[], ["s3://objects"]]


def test_a_list_of_all_buckets_that_cannot_be_read_ends_no_scan(small: Small) -> None:
    class Broken:
        def buckets(self) -> frozenset[str] | Gap:
            raise TypeError

    assembly = assemble(load(small.config), Clock())
    found = scan.scan(replace(assembly.parts, listers=(Broken(),)), NoProgress())
    assert found.assessed
    assert any(one.effect == "how many buckets are not configured is not known" for one in found.gaps)
    assembly.close()
