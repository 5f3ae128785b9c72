"""What was refused stays refused until it is told or seen otherwise, whatever else happens to the key."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from auditor import scan
from auditor.config import load
from auditor.embedded.aws import AwsCloud
from auditor.embedded.aws.store import Key
from auditor.findings import Basis, Judgement, Readability, Status
from auditor.wiring import Assembly, assemble
from tests.clouds import ACCESS_KEY, GOOGLE_KEY, RING, Clock, an_aws_cloud
from tests.small import Small, a_small_cloud
from tests.test_denied import AWS_CONFIG, AWS_KEY, PLATFORM
from tests.test_fleet import NoProgress
from tests.test_silence import FOR_AN_ADMINISTRATOR, damage

R = Readability
ROLE = "arn:aws:iam::111122223333:role/storage"
PROBE = "\n[probe]\nreads = true\nper_second = 100\n"
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


@contextmanager
def on_aws(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, store: str | None = None
) -> Iterator[tuple[AwsCloud, Key, Assembly, Clock]]:
    """One key, data under it in two buckets, of which one has archived objects alone, and the platform reads."""
    with an_aws_cloud(monkeypatch) as cloud:
        clock = Clock()
        cloud.store.clock = clock
        cloud.store.principals[ACCESS_KEY] = ROLE
        cloud.store.by_iam.add(ROLE)
        if store is not None:
            cloud.store.add_key_store(store, "us-east-1", works=False)
        key = cloud.store.add_key(AWS_KEY, store=store)
        for bucket, kind in (("objects", "STANDARD"), ("second", "GLACIER")):
            cloud.store.add_bucket(bucket)
            cloud.store.put(bucket, "acme/s3/1", size=9, sse="aws:kms", key=AWS_KEY, storage_class=kind)
        config = tmp_path / "auditor.toml"
        second = AWS_CONFIG.replace("objects", "second")
        config.write_text('state = "state"\n' + PLATFORM + AWS_CONFIG + second + PROBE)
        assembly = assemble(load(config), clock)
        yield cloud, key, assembly, clock
        assembly.close()


@contextmanager
def on_google(tmp_path: Path) -> Iterator[tuple[Small, Assembly, Clock]]:
    with a_small_cloud(tmp_path) as small:
        clock = Clock()
        small.cloud.store.clock = clock
        small.config.write_text(small.config.read_text() + PROBE)
        assembly = assemble(load(small.config), clock)
        yield small, assembly, clock
        assembly.close()


def judged(judgement: Judgement) -> dict[str, Readability]:
    """Bucket, or key version on Google Cloud, and what its data was judged as."""
    return {
        one.holding.key_version or one.holding.bucket: one.assessment.readability
        for one in judgement.assessed
        if one.holding.key
    }


def open_ones(judgement: Judgement) -> set[str]:
    return {
        one.rule for one in judgement.findings if one.status is not Status.RESOLVED and one.rule.startswith("data-")
    }


def test_who_decrypts_for_a_bucket_whose_inventory_is_damaged_is_no_stranger(tmp_path: Path) -> None:
    with on_google(tmp_path) as (small, assembly, clock):
        store = small.cloud.store
        agents = store.agent("acme"), store.add_project("beta", 777)
        store.add_bucket("two", "beta", "us-east1")
        store.put("two", "acme/z/1", key=GOOGLE_KEY, version=2, size=5)
        store.set_policy(RING, [])
        for one in agents:
            store.grant(GOOGLE_KEY, "roles/cloudkms.cryptoKeyEncrypterDecrypter", f"serviceAccount:{one}")
        more = '[[bucket]]\nurl = "gs://two"\nlayout = "{org}/{namespace}/"\naccount = "beta"\n'
        small.config.write_text(f'{small.config.read_text()}\n{more}[[account]]\nproject = "beta"\n')
        both = assemble(load(small.config), clock)
        assert "grant-too-wide" not in {one.rule for one in scan.scan(both.parts, NoProgress()).findings}
        (damaged,) = tmp_path.glob("state/inventory/gs-data-*/*/dependencies.parquet")
        damaged.write_bytes(b"no inventory")
        assert "grant-too-wide" not in {one.rule for one in scan.poll(both.parts, NoProgress()).findings}
        both.close()
        assembly.close()


def test_of_two_reasons_the_one_that_is_over_takes_the_other_with_it_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with on_aws(tmp_path, monkeypatch) as (cloud, key, assembly, clock):
        cloud.store.by_iam.clear()
        assert open_ones(scan.scan(assembly.parts, NoProgress())) == {"data-revoked"}
        key.state = "Disabled"
        clock.ahead += MINUTE
        assert open_ones(scan.poll(assembly.parts, NoProgress())) == {"data-revoked", "data-unreadable"}
        clock.ahead += HOUR
        scan.probe(assembly.parts, NoProgress())
        assert open_ones(scan.poll(assembly.parts, NoProgress())) == {"data-revoked", "data-unreadable"}
        key.state = "Enabled"
        clock.ahead += 20 * MINUTE
        for _ in range(2):
            found = scan.poll(assembly.parts, NoProgress())
            assert (judged(found)["s3://objects"], open_ones(found)) == (R.REVOKED, {"data-revoked"})
        cloud.store.by_iam.add(ROLE)
        scan.probe(assembly.parts, NoProgress())
        assert open_ones(scan.poll(assembly.parts, NoProgress())) == set()


def test_a_store_that_does_not_work_does_not_because_its_key_was_disabled_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with on_aws(tmp_path, monkeypatch, store="cks-1") as (cloud, key, assembly, clock):
        parts = assembly.parts
        assert open_ones(scan.scan(parts, NoProgress())) == {"data-unreachable"}
        unwanted = replace(parts, probing=replace(parts.probing, reads=False))
        for state, found in (
            ("Disabled", {"data-unreachable", "data-unreadable"}),
            ("Enabled", {"data-unreachable"}),
            ("Enabled", {"data-unreachable"}),
        ):
            key.state = state
            clock.ahead += 30 * MINUTE
            assert open_ones(scan.poll(unwanted, NoProgress())) == found
        cloud.store.key_stores["111122223333", "us-east-1", "cks-1"].works = True
        scan.probe(parts, NoProgress())
        assert open_ones(scan.poll(parts, NoProgress())) == set()


def test_a_key_that_refuses_through_one_bucket_is_not_readable_through_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with on_aws(tmp_path, monkeypatch) as (cloud, key, assembly, clock):
        key.reads_as = "PendingImport"
        both = {"s3://objects": R.UNREADABLE, "s3://second": R.UNREADABLE}
        assert judged(scan.scan(assembly.parts, NoProgress())) == both
        cloud.store.delete("objects", "acme/s3/1", None)
        clock.ahead += 40 * HOUR
        found = scan.scan(assembly.parts, NoProgress())
        assert judged(found) == {"s3://second": R.UNREADABLE}
        assert any("none has told otherwise since" in one.effect for one in found.gaps)
        key.reads_as = None
        cloud.store.put("objects", "acme/s3/1", size=9, sse="aws:kms", key=AWS_KEY)
        assert set(judged(scan.scan(assembly.parts, NoProgress())).values()) == {R.READABLE}


def test_a_read_that_is_refused_forgets_no_date_that_a_silent_key_had(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with on_aws(tmp_path, monkeypatch) as (_, key, assembly, clock):
        key.state, key.deletion_date = "PendingDeletion", clock() + timedelta(days=9)
        scan.scan(assembly.parts, NoProgress())
        key.describe_denied = True
        for _ in range(2):
            clock.ahead += 65 * MINUTE
            scan.probe(assembly.parts, NoProgress())
            found = scan.poll(assembly.parts, NoProgress())
            assert "data-doomed" in open_ones(found)
            assert found.next_loss == key.deletion_date
            (doomed,) = (one for one in found.findings if one.rule == "data-doomed")
            assert doomed.undo


def test_a_right_that_is_refused_on_google_cloud_is_for_all_versions_of_the_key(tmp_path: Path) -> None:
    with on_google(tmp_path) as (small, assembly, clock):
        store = small.cloud.store
        member = f"serviceAccount:{store.agent('acme')}"
        store.set_policy(RING, [])
        store.grant(RING, "roles/cloudkms.cryptoKeyEncrypterDecrypter", member, condition="false")
        for one in store.buckets["data"].objects:
            if one.version == 2:
                one.size = 0
        assert judged(scan.scan(assembly.parts, NoProgress())) == {"1": R.REVOKED, "2": R.REVOKED}
        store.grant(RING, "roles/cloudkms.cryptoKeyEncrypterDecrypter", member)
        clock.ahead += 30 * MINUTE
        scan.probe(assembly.parts, NoProgress())
        assert judged(scan.poll(assembly.parts, NoProgress())) == {"1": R.READABLE, "2": R.READABLE}


def test_a_grant_that_has_moved_to_the_project_is_not_missed_on_the_ring(tmp_path: Path) -> None:
    with a_small_cloud(tmp_path) as small:
        store = small.cloud.store
        assembly = assemble(load(small.config), Clock())
        scan.scan(assembly.parts, NoProgress())
        store.set_policy(RING, [])
        member = f"serviceAccount:{store.agent('acme')}"
        store.grant("projects/acme", "roles/cloudkms.cryptoKeyEncrypterDecrypter", member)
        assert set(judged(scan.poll(assembly.parts, NoProgress())).values()) == {R.READABLE}
        small.cloud.traffic.fail("projects/acme:getIamPolicy", status=403)
        found = scan.poll(assembly.parts, NoProgress())
        assert set(judged(found).values()) == {R.READABLE}
        assert found.gaps
        store.set_policy(RING, [])
        assembly.close()


def test_a_version_that_refuses_is_blamed_itself_whatever_else_is_in_the_way(tmp_path: Path) -> None:
    with on_google(tmp_path) as (small, assembly, clock):
        key = small.cloud.store.key(GOOGLE_KEY)
        assert key is not None
        key.versions[1].reads_as = "DISABLED"

        def blamed(judgement: Judgement) -> set[str]:
            return {
                one.subject.id.rpartition("/")[2]
                for one in judgement.findings
                if one.rule == "data-unreadable" and one.status is not Status.RESOLVED
            }

        assert blamed(scan.scan(assembly.parts, NoProgress())) == {"1"}
        small.cloud.traffic.fail("cryptoKeys", status=403)
        clock.ahead += 3 * MINUTE
        assert blamed(scan.poll(assembly.parts, NoProgress())) == {"1"}
        small.cloud.traffic.heal()
        small.cloud.store.set_policy(RING, [])
        clock.ahead += 3 * MINUTE
        assert blamed(scan.poll(assembly.parts, NoProgress())) == {"1"}


def test_a_refusal_right_behind_a_repair_ends_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with on_aws(tmp_path, monkeypatch, store="cks-1") as (cloud, _, assembly, clock):
        store = cloud.store.key_stores["111122223333", "us-east-1", "cks-1"]
        for state in ("CONNECTED", "DISCONNECTED", "CONNECTED"):
            store.state = state
            assert open_ones(scan.scan(assembly.parts, NoProgress())) == {"data-unreachable"}
            clock.ahead += HOUR
        clock.ahead += 5 * MINUTE - HOUR
        scan.probe(assembly.parts, NoProgress())
        assert open_ones(scan.poll(assembly.parts, NoProgress())) == {"data-unreachable"}
        store.works = True
        clock.ahead += 5 * MINUTE
        scan.probe(assembly.parts, NoProgress())
        assert open_ones(scan.poll(assembly.parts, NoProgress())) == set()


def test_a_refusal_that_was_too_early_to_count_does_not_count_when_the_key_changes_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with on_aws(tmp_path, monkeypatch) as (_, key, assembly, clock):
        key.state = "Disabled"
        scan.scan(assembly.parts, NoProgress())
        key.state, key.reads_as = "Enabled", "Disabled"
        clock.ahead += MINUTE
        scan.poll(assembly.parts, NoProgress())
        clock.ahead += 3 * MINUTE
        scan.probe(assembly.parts, NoProgress())
        assert open_ones(scan.poll(assembly.parts, NoProgress())) == set(), "it may not have spread yet"
        key.reads_as = None
        for state, found in (("Disabled", {"data-unreadable"}), ("Enabled", set())):
            key.state = state
            clock.ahead += 10 * HOUR
            assert open_ones(scan.poll(assembly.parts, NoProgress())) == found


def test_what_a_policy_told_before_it_was_hidden_stands_behind_no_later_refusal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with on_aws(tmp_path, monkeypatch) as (cloud, key, assembly, clock):
        key.policy = FOR_AN_ADMINISTRATOR
        assert open_ones(scan.scan(assembly.parts, NoProgress())) == {"data-revoked"}
        cloud.traffic.fail("GetKeyPolicy", status=400, code="AccessDeniedException")
        key.policy = None
        cloud.store.by_iam.clear()
        for _ in range(3):
            scan.poll(assembly.parts, NoProgress())
            clock.ahead += HOUR
            scan.probe(assembly.parts, NoProgress())
        cloud.traffic.heal()
        found = scan.poll(assembly.parts, NoProgress())
        assert (judged(found)["s3://objects"], open_ones(found)) == (R.REVOKED, {"data-revoked"})


def test_of_two_agents_the_right_of_one_is_not_the_others(tmp_path: Path) -> None:
    with a_small_cloud(tmp_path) as small:
        store, clock = small.cloud.store, Clock()
        store.clock = clock
        store.projects["beta"] = 777777
        store.add_bucket("other", "beta", "us-east1")
        store.put("other", "beta/x/1", key=GOOGLE_KEY, version=1)
        more = '[[account]]\nproject = "beta"\n[[bucket]]\nurl = "gs://other"\nlayout = "{org}/"\naccount = "beta"\n'
        small.config.write_text(f"{small.config.read_text()}\n{more}{PROBE}")
        role = "roles/cloudkms.cryptoKeyEncrypterDecrypter"
        store.set_policy(RING, [])
        for project in ("acme", "beta"):
            store.grant(RING, role, f"serviceAccount:{store.agent(project)}", condition="false")
        assembly = assemble(load(small.config), clock)

        def by_bucket(judgement: Judgement) -> set[tuple[str, Readability]]:
            return {(one.holding.bucket, one.assessment.readability) for one in judgement.assessed if one.holding.key}

        both = {("gs://data", R.REVOKED), ("gs://other", R.REVOKED)}
        assert by_bucket(scan.scan(assembly.parts, NoProgress())) == both
        store.grant(RING, role, f"serviceAccount:{store.agent('beta')}")
        clock.ahead += 20 * MINUTE
        one = {("gs://data", R.REVOKED), ("gs://other", R.READABLE)}
        assert by_bucket(scan.poll(assembly.parts, NoProgress())) == one
        clock.ahead += HOUR
        scan.probe(assembly.parts, NoProgress())
        assert by_bucket(scan.poll(assembly.parts, NoProgress())) == one
        assembly.close()


def test_a_store_that_fails_one_key_leaves_the_others_unknown_until_they_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with on_aws(tmp_path, monkeypatch, store="cks-1") as (cloud, _, assembly, clock):
        other = AWS_KEY.replace("000001", "000002")
        cloud.store.add_key(other, store="cks-1")
        cloud.store.delete("second", "acme/s3/1", None)
        cloud.store.put("second", "acme/s3/2", size=9, sse="aws:kms", key=other, storage_class="GLACIER")
        found = scan.scan(assembly.parts, NoProgress())
        assert judged(found) == {"s3://objects": R.UNREACHABLE, "s3://second": R.UNKNOWN}
        assert {(one.rule, one.subject.id) for one in found.findings if one.readability is R.UNKNOWN} == {
            ("key-state-unknown", "111122223333/us-east-1/cks-1")
        }
        assert any("whether its other keys work" in one.effect for one in found.gaps)
        cloud.store.key_stores["111122223333", "us-east-1", "cks-1"].works = True
        clock.ahead += 5 * MINUTE
        scan.probe(assembly.parts, NoProgress())
        assert set(judged(scan.poll(assembly.parts, NoProgress())).values()) == {R.READABLE}


@pytest.mark.parametrize("then", ["disabled", "denied", "not found", "damaged", "hidden"])
def test_a_store_that_failed_one_key_is_not_well_because_something_else_happens_to_that_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, then: str
) -> None:
    with on_aws(tmp_path, monkeypatch, store="cks-1") as (cloud, key, assembly, clock):
        other = AWS_KEY.replace("000001", "000002")
        cloud.store.add_key(other, store="cks-1")
        cloud.store.delete("second", "acme/s3/1", None)
        cloud.store.put("second", "acme/s3/2", size=9, sse="aws:kms", key=other, storage_class="GLACIER")
        first = scan.scan(assembly.parts, NoProgress())
        (store,) = (one for one in first.findings if one.rule == "data-unreachable")
        match then:
            case "disabled":
                key.state = "Disabled"
            case "denied":
                key.describe_denied = True
            case "not found":
                cloud.store.remove_key(AWS_KEY)
            case "hidden":
                cloud.store.put("objects", "acme/s3/1", size=99, sse="aws:kms", key=AWS_KEY)
                cloud.traffic.fail("HEAD /objects/", status=403)
                scan.scan(assembly.parts, NoProgress(), frozenset({"s3://objects"}))
            case _:
                damage(tmp_path / "auditor.toml", "s3-objects")
        for _ in range(2):
            clock.ahead += MINUTE
            found = scan.poll(assembly.parts, NoProgress())
            assert judged(found)["s3://second"] is R.UNKNOWN
            (kept,) = (one for one in found.findings if one.rule == "data-unreachable")
            assert (kept.id, kept.status, kept.since) == (store.id, Status.OPEN, store.since)
            assert ("data-unreadable" in open_ones(found)) is (then == "disabled"), "the store is to blame, not the key"


def test_a_read_that_a_clock_ahead_has_dated_ends_no_refusal_when_its_time_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with on_aws(tmp_path, monkeypatch) as (cloud, key, assembly, clock):
        clock.ahead = 48 * HOUR
        assert set(judged(scan.scan(assembly.parts, NoProgress())).values()) == {R.READABLE}
        clock.ahead = timedelta(0)
        scan.poll(assembly.parts, NoProgress())
        cloud.store.principals[ACCESS_KEY] = f"{ROLE}-2"
        key.reads_as = "Disabled"
        clock.ahead = HOUR
        scan.probe(assembly.parts, NoProgress())
        unwanted = replace(assembly.parts, probing=replace(assembly.parts.probing, reads=False))
        for hours in (2, 47, 49, 99):
            clock.ahead = hours * HOUR
            assert judged(scan.poll(unwanted, NoProgress()))["s3://objects"] is R.UNREADABLE


def test_a_read_that_a_clock_ahead_has_dated_proves_nothing_when_its_time_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with on_aws(tmp_path, monkeypatch) as (_, _, assembly, clock):
        clock.ahead = 48 * HOUR
        scan.scan(assembly.parts, NoProgress())
        for hours in (0, 48):
            clock.ahead = hours * HOUR
            found = scan.poll(assembly.parts, NoProgress())
            assert {one.assessment.basis for one in found.assessed} == {Basis.STATE}


def test_a_bar_that_a_read_has_lifted_stays_so_when_probes_are_switched_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with on_aws(tmp_path, monkeypatch) as (cloud, key, assembly, clock):
        key.policy = FOR_AN_ADMINISTRATOR
        assert open_ones(scan.scan(assembly.parts, NoProgress())) == {"data-revoked"}
        cloud.traffic.fail("GetKeyPolicy", status=400, code="AccessDeniedException")
        key.policy = None
        clock.ahead += HOUR
        scan.probe(assembly.parts, NoProgress())
        assert judged(scan.poll(assembly.parts, NoProgress()))["s3://objects"] is R.READABLE
        unwanted = replace(assembly.parts, probing=replace(assembly.parts.probing, reads=False))
        for _ in range(2):
            clock.ahead += 2 * HOUR
            assert judged(scan.poll(unwanted, NoProgress()))["s3://objects"] is R.READABLE


@pytest.mark.parametrize("known", [False, True])
def test_a_key_that_is_being_made_explains_no_refusal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, known: bool
) -> None:
    with on_aws(tmp_path, monkeypatch, store="cks-1") as (_, key, assembly, clock):
        unwanted = replace(assembly.parts, probing=replace(assembly.parts.probing, reads=False))
        key.state = "Creating"
        if known:
            scan.scan(unwanted, NoProgress())
            clock.ahead += MINUTE
            scan.probe(assembly.parts, NoProgress())
        else:
            scan.scan(assembly.parts, NoProgress())
        key.state = "Enabled"
        for _ in range(2):
            clock.ahead += 30 * MINUTE
            assert open_ones(scan.poll(unwanted, NoProgress())) == {"data-unreachable"}


def test_a_refusal_that_is_over_stays_so_when_the_key_says_again_what_it_said_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with on_aws(tmp_path, monkeypatch) as (cloud, key, assembly, clock):
        cloud.store.by_iam.clear()
        scan.scan(assembly.parts, NoProgress())
        clock.ahead += HOUR
        scan.probe(assembly.parts, NoProgress())
        assert open_ones(scan.poll(assembly.parts, NoProgress())) == {"data-revoked"}
        by_name = {"Effect": "Allow", "Principal": {"AWS": ROLE}, "Action": "kms:*", "Resource": "*"}
        for policy in ({"Statement": [by_name]}, None):
            key.policy = policy
            cloud.store.by_iam.add(ROLE)
            clock.ahead += 14 * 24 * HOUR
            found = scan.poll(assembly.parts, NoProgress())
            assert (judged(found)["s3://objects"], open_ones(found)) == (R.READABLE, set())


def test_a_refusal_is_not_over_because_the_key_has_become_worse_for_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with on_aws(tmp_path, monkeypatch) as (cloud, key, assembly, clock):
        cloud.store.by_iam.clear()
        scan.scan(assembly.parts, NoProgress())
        clock.ahead += HOUR
        scan.probe(assembly.parts, NoProgress())
        root = {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:root"}, "Action": "kms:*"}
        whole = {**root, "Resource": "*"}
        denied = {"Effect": "Deny", "Principal": {"AWS": ROLE}, "Action": "kms:Decrypt", "Resource": "*"}
        for policy in (None, {"Statement": [whole, denied]}, {"Statement": [whole]}):
            key.policy = policy
            clock.ahead += HOUR
            found = scan.poll(assembly.parts, NoProgress())
            assert (judged(found)["s3://objects"], open_ones(found)) == (R.REVOKED, {"data-revoked"})
