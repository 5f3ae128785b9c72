"""What a key said last counts for a short while; then rules about keys can neither uphold nor refute anything by it."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from auditor import scan
from auditor.config import load
from auditor.embedded.google.store import Version
from auditor.engine import Facts, judge
from auditor.findings import Confidence, Judgement, Readability, Severity, Status, SubjectKind
from auditor.model import (
    AwsKey,
    CustomKeyStore,
    Gap,
    KeyAccess,
    KeyGone,
    KeyMemory,
    KeyName,
    KeyReading,
    Reason,
    Rotation,
)
from auditor.policy import Policy
from auditor.readability import KeyView
from auditor.rules import load as rules
from auditor.wiring import Assembly, assemble
from tests.clouds import GOOGLE_KEY, RING, Clock, an_aws_cloud
from tests.core_builders import (
    AWS_KEY,
    GCP_KEY,
    NOW,
    FixedHoldings,
    a_gcp_key,
    a_holding,
    a_version,
    an_aws_key,
    days,
    denied,
    remembered,
)
from tests.small import Small, a_small_cloud
from tests.test_denied import AWS_CONFIG, PLATFORM
from tests.test_denied import AWS_KEY as KEY_ON_AWS
from tests.test_fleet import NoProgress
from tests.test_silence import FOR_AN_ADMINISTRATOR

PUBLIC = an_aws_key(access=KeyAccess(public=True))
OVERDUE = an_aws_key(created=NOW - days(800), rotation=Rotation(timedelta(days=365), latest=NOW - days(400)))
OTHER = KeyName(f"{AWS_KEY.text[:-4]}beef")
THROTTLED = denied(reason=Reason.THROTTLED)
SILENT: dict[str, tuple[KeyReading | None, dict[str, Any], bool]] = {
    "throttled a minute ago": (THROTTLED, {}, True),
    "throttled for an hour": (THROTTLED, {"age": timedelta(hours=1)}, False),
    "not asked for an hour": (None, {"age": timedelta(hours=1)}, False),
    "by a clock that was ahead": (THROTTLED, {"age": -timedelta(hours=1)}, False),
    "denied": (denied(), {}, False),
    "denied, and throttled since": (THROTTLED, {"denied_since": NOW}, False),
    "not found once": (KeyGone(AWS_KEY, proven=False), {"missing_since": NOW}, False),
}


def judged(reading: KeyReading | None, memory: KeyMemory | None, **more: Any) -> Any:
    views = {AWS_KEY: KeyView(AWS_KEY, reading, memory)}
    return judge(Facts(FixedHoldings(a_holding()), views, {}, (), Policy(**more), NOW), rules())


@pytest.mark.parametrize(("reading", "memory", "counts"), SILENT.values(), ids=SILENT)
@pytest.mark.parametrize(("last", "rule"), [(PUBLIC, "key-public"), (OVERDUE, "rotation-overdue")])
def test_a_rule_about_keys_cannot_tell_by_what_was_said_long_ago(
    last: AwsKey, rule: str, reading: KeyReading | None, memory: dict[str, Any], *, counts: bool
) -> None:
    (before,) = [one for one in judged(last, None).findings if one.rule == rule]
    age = memory.get("age", timedelta(minutes=1))
    kept = remembered(last, age, **{name: value for name, value in memory.items() if name != "age"})
    now = judged(reading, kept)
    assert (rule in {one.rule for one in now.findings}) is counts
    assert (before.id in now.undecided) is not counts
    well = judged(reading, remembered(an_aws_key(access=KeyAccess(public=False)), age, **_without_age(memory)))
    (tally,) = [one.counts for one in well.tallies if one.rule == "key-public"]
    assert bool(tally["passed"]) is counts, "nor is anything well by it"


def _without_age(memory: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in memory.items() if name != "age"}


def test_of_a_key_that_is_gone_nothing_is_demanded() -> None:
    (before,) = [one for one in judged(PUBLIC, None).findings if one.rule == "key-public"]
    now = judged(KeyGone(AWS_KEY, proven=True), remembered(PUBLIC))
    assert "key-public" not in {one.rule for one in now.findings}
    assert before.id not in now.undecided


def test_that_a_key_was_disabled_long_ago_proves_no_revocation() -> None:
    meant: dict[str, Any] = {"revoked": {AWS_KEY: None}}
    last = an_aws_key("Disabled")
    for reading, age, rule in (
        (last, timedelta(0), False),
        (THROTTLED, timedelta(minutes=1), False),
        (THROTTLED, days(30), True),
        (denied(), timedelta(minutes=1), True),
    ):
        found = {one.rule for one in judged(reading, remembered(last, age), **meant).findings}
        assert ("revocation-incomplete" in found) is rule


def test_a_key_that_denies_the_auditor_is_barred_by_its_store_all_the_same() -> None:
    def on_store(name: KeyName, state: str, key: str = "Enabled") -> AwsKey:
        return an_aws_key(key, name=name, store=CustomKeyStore("cks-1", state))

    views = {
        AWS_KEY: KeyView(AWS_KEY, denied(), remembered(on_store(AWS_KEY, "CONNECTED"))),
        OTHER: KeyView(OTHER, on_store(OTHER, "DISCONNECTED", "Unavailable"), None),
    }
    result = judge(Facts(FixedHoldings(a_holding()), views, {}, (), Policy(), NOW), rules())
    found = result.assessed[0].assessment
    assert (found.readability, found.subject.kind) == (Readability.UNREACHABLE, SubjectKind.KEY_STORE)
    assert {"data-unreachable", "key-access-withdrawn"} <= {one.rule for one in result.findings}
    views[OTHER] = KeyView(OTHER, on_store(OTHER, "CONNECTED"), None)
    result = judge(Facts(FixedHoldings(a_holding()), views, {}, (), Policy(), NOW), rules())
    assert result.assessed[0].assessment.readability is Readability.UNKNOWN


def told(judgement: Judgement) -> set[tuple[str, Reason]]:
    return {(gap.what, gap.reason) for gap in judgement.gaps}


def test_a_poll_of_one_key_leaves_the_gaps_of_all_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hidden, silent = KEY_ON_AWS[:-4] + "beef", KEY_ON_AWS[:-4] + "dead"
    with an_aws_cloud(monkeypatch) as cloud:
        cloud.store.add_bucket("objects")
        for name in (KEY_ON_AWS, hidden, silent):
            cloud.store.add_key(name).describe_denied = name == silent
        for name in (KEY_ON_AWS, hidden):
            cloud.store.put("objects", f"acme/a/{name[-4:]}", sse="aws:kms", key=name)
        for operation in ("GetKeyPolicy", "ListGrants"):
            asked = f'kms {operation} / {{"KeyId": "{hidden}"'
            cloud.traffic.fail(asked, status=400, code="AccessDeniedException")
        config = tmp_path / "auditor.toml"
        config.write_text(f'state = "state"\n{PLATFORM}{AWS_CONFIG}[[key]]\nname = "{silent}"\n')
        assembly = assemble(load(config))
        before = told(scan.scan(assembly.parts, NoProgress()))
        assert {hidden, silent} <= {name for name, _ in before}
        assert told(scan.poll(assembly.parts, NoProgress(), frozenset({KeyName(KEY_ON_AWS)}))) == before
        assembly.close()


@pytest.fixture
def small(tmp_path: Path) -> Any:
    with a_small_cloud(tmp_path) as running:
        yield running


def assembled(small: Small, more: str = "") -> Assembly:
    if more:
        small.config.write_text(small.config.read_text() + more)
    return assemble(load(small.config), Clock())


def lists(judgement: Judgement) -> list[Gap]:
    return [gap for gap in judgement.gaps if gap.what == "list of all buckets"]


def test_that_nobody_listed_the_buckets_since_the_config_names_other_places_is_a_gap(small: Small) -> None:
    assembly = assembled(small)
    assert not lists(scan.scan(assembly.parts, NoProgress()))
    assert not lists(scan.poll(assembly.parts, NoProgress()))
    assembly.close()
    assembly = assembled(small, '[[account]]\nproject = "another"\n')
    for _ in range(2):
        judgement = scan.poll(assembly.parts, NoProgress())
        assert [gap.reason for gap in lists(judgement)] == [Reason.NOT_FOUND]
        assert judgement.coverage.buckets_not_configured is None
    assert not lists(scan.scan(assembly.parts, NoProgress()))
    assembly.close()


def test_a_bucket_whose_account_was_not_listed_leaves_open_how_many_others_there_are(small: Small) -> None:
    small.cloud.store.add_project("cust", 77)
    text = small.config.read_text()
    small.config.write_text(text.replace('project = "acme"', 'project = "cust"').replace('account = "acme"\n', ""))
    assembly = assembled(small)
    judgement = scan.scan(assembly.parts, NoProgress())
    assembly.close()
    assert [(gap.reason, "gs://data" in gap.effect) for gap in lists(judgement)] == [(Reason.NOT_VISIBLE, True)]
    assert judgement.coverage.buckets_not_configured is None


def test_a_primary_version_that_is_off_is_told_beside_data_without_a_version(small: Small) -> None:
    store = small.cloud.store
    key = store.key(GOOGLE_KEY)
    assert key is not None
    key.versions[3] = Version(3, store.clock(), state="DISABLED")
    key.primary = 3
    store.put("data", "acme/new/bare", key=GOOGLE_KEY, version=2, named=False)
    assembly = assembled(small)
    found = {one.rule: one for one in scan.scan(assembly.parts, NoProgress()).findings}
    assembly.close()
    assert (found["primary-unusable"].severity, found["primary-unusable"].status) == (Severity.HIGH, Status.OPEN)


def test_a_key_by_the_number_of_its_project_may_be_the_one_by_its_id() -> None:
    by_id, by_number = KeyName(f"{RING}/cryptoKeys/main"), KeyName(f"{RING.replace('acme', '77', 1)}/cryptoKeys/main")
    assert by_id.may_be(by_number)
    assert by_number.may_be(by_id)
    assert not by_id.may_be(by_id)
    assert not by_number.may_be(KeyName(by_number.text.replace("77", "78")))
    assert not by_number.may_be(KeyName(f"{RING}/cryptoKeys/other"))
    assert not AWS_KEY.may_be(by_id)


def test_a_key_some_of_whose_versions_are_gone_is_still_a_key() -> None:
    last = a_gcp_key(a_version("1", "DESTROYED"), a_version("2"), primary="2", access=KeyAccess(public=True))
    holdings = FixedHoldings(a_holding(GCP_KEY, "1"))

    def put(reading: KeyReading | None, memory: KeyMemory | None) -> Any:
        return judge(Facts(holdings, {GCP_KEY: KeyView(GCP_KEY, reading, memory)}, {}, (), Policy(), NOW), rules())

    (before,) = [one for one in put(last, None).findings if one.rule == "key-public"]
    now = put(denied(GCP_KEY, Reason.THROTTLED), remembered(last, timedelta(hours=1)))
    assert [one.assessment.readability for one in now.assessed] == [Readability.LOST]
    assert before.id in now.undecided, "that its data is lost is no word of the key"
    gone = put(KeyGone(GCP_KEY, proven=True), remembered(last))
    assert before.id not in gone.undecided


GONE: dict[str, tuple[KeyReading | None, dict[str, Any], bool]] = {
    "not found for an hour": (KeyGone(AWS_KEY, proven=False), {"missing_since": NOW - timedelta(hours=1)}, True),
    "not found just now": (KeyGone(AWS_KEY, proven=False), {"missing_since": NOW}, False),
    "not found for an hour, and not asked": (
        None,
        {"missing_since": NOW - timedelta(hours=1), "missing_until": NOW - timedelta(minutes=20)},
        True,
    ),
    "not found just now, where one reading must do": (KeyGone(AWS_KEY, proven=False), {}, False),
    "not found once, and throttled": (THROTTLED, {"missing_since": NOW, "missing_until": NOW}, False),
}


@pytest.mark.parametrize(("reading", "memory", "is_gone"), GONE.values(), ids=GONE)
def test_of_a_key_that_is_gone_for_good_nothing_is_demanded_whatever_data_there_is(
    reading: KeyReading | None, memory: dict[str, Any], *, is_gone: bool
) -> None:
    view = KeyView(AWS_KEY, reading, remembered(PUBLIC, timedelta(hours=2), **memory))
    (before,) = [one for one in judged(PUBLIC, None).findings if one.rule == "key-public"]
    meant = Policy(revoked={AWS_KEY: None}, one_reading="missing_since" not in memory)
    for holdings in (FixedHoldings(), FixedHoldings(a_holding())):
        now = judge(Facts(holdings, {AWS_KEY: view}, {}, (), meant, NOW), rules())
        assert (before.id in now.undecided) is not is_gone
        raised = {one.rule for one in now.findings}
        assert not is_gone or raised.isdisjoint({"poll-stale", "revocation-incomplete", "key-public"})


REPLICA = KeyName("arn:aws:kms:us-east-1:111122223333:key/mrk-1f3c0f5e00004000800000000000dddd")


@pytest.mark.parametrize("reading", [None, denied(REPLICA, Reason.THROTTLED), denied(REPLICA)])
def test_a_replica_that_is_silent_may_have_been_made_anew(reading: KeyReading | None) -> None:
    """Its name comes back, unlike that of any other key: who hears nothing of it cannot tell."""
    an_hour, last = timedelta(hours=1), an_aws_key(name=REPLICA, access=KeyAccess(public=True))
    gone = {"missing_since": NOW - an_hour, "missing_until": NOW - timedelta(minutes=1)}
    view = KeyView(REPLICA, reading, remembered(last, 2 * an_hour, **gone))
    meant = Policy(revoked={REPLICA: None})
    now = judge(Facts(FixedHoldings(a_holding(REPLICA)), {REPLICA: view}, {}, (), meant, NOW), rules())
    assert [one.assessment.readability for one in now.assessed] == [Readability.UNKNOWN]
    assert "revocation-incomplete" in {one.rule for one in now.findings}
    heard = replace(view, reading=KeyGone(REPLICA, proven=False))
    now = judge(Facts(FixedHoldings(a_holding(REPLICA)), {REPLICA: heard}, {}, (), meant, NOW), rules())
    assert [(one.assessment.readability, one.assessment.confidence) for one in now.assessed] == [
        (Readability.LOST, Confidence.INFERRED)
    ]
    assert "unless a related key is replicated there anew" in now.assessed[0].assessment.cause
    assert "revocation-incomplete" not in {one.rule for one in now.findings}


def test_who_is_barred_stays_so_while_nobody_sees_the_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sweep is denied its HEADs, the next one is not, and the key's policy is throttled then."""
    monkeypatch.setattr("auditor.connectors.aws.session._ATTEMPTS", 1)
    with an_aws_cloud(monkeypatch) as cloud:
        cloud.store.add_bucket("objects")
        cloud.store.add_key(KEY_ON_AWS, policy=FOR_AN_ADMINISTRATOR)
        stored = cloud.store.put("objects", "acme/a/1", sse="aws:kms", key=KEY_ON_AWS)
        config = tmp_path / "auditor.toml"
        watched = f'\n[limits]\nreverify_days = 0\n[[key]]\nname = "{KEY_ON_AWS}"\n'
        config.write_text(f'state = "state"\n{PLATFORM}{AWS_CONFIG}{watched}')
        assembly = assemble(load(config))
        assert "data-revoked" in {one.rule for one in scan.scan(assembly.parts, NoProgress()).findings}
        stored.head_denied = True
        hidden = scan.scan(assembly.parts, NoProgress())
        assert [one.holding.key for one in hidden.assessed] == [None]
        stored.head_denied = False
        cloud.traffic.fail("GetKeyPolicy", status=400, code="ThrottlingException")
        seen = scan.scan(assembly.parts, NoProgress())
        assembly.close()
    assert [one.assessment.readability for one in seen.assessed] == [Readability.REVOKED]
    open_now = {one.rule for one in seen.findings if one.status is Status.OPEN}
    assert "data-revoked" in open_now


def test_what_becomes_unknown_under_a_key_that_is_not_asked_is_a_gap_beside_those_of_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = f"{KEY_ON_AWS[:-4]}beef"
    with an_aws_cloud(monkeypatch) as cloud:
        cloud.store.add_bucket("objects")
        store = cloud.store.add_key_store("cks-1", "us-east-1")
        for name in (KEY_ON_AWS, other):
            cloud.store.add_key(name, store="cks-1")
            cloud.store.put("objects", f"acme/{name[-4:]}/1", sse="aws:kms", key=name)
        cloud.traffic.fail("ListGrants", status=400, code="AccessDeniedException")
        config = tmp_path / "auditor.toml"
        config.write_text(f'state = "state"\n{PLATFORM}{AWS_CONFIG}')
        assembly = assemble(load(config))
        scan.scan(assembly.parts, NoProgress())
        store.state = "DISCONNECTED"
        scan.poll(assembly.parts, NoProgress())
        store.state = "CONNECTED"
        for _ in range(2):
            found = scan.poll(assembly.parts, NoProgress(), frozenset({KeyName(KEY_ON_AWS)}))
            unknown = [one for one in found.assessed if one.assessment.readability is Readability.UNKNOWN]
            assert [one.holding.key for one in unknown] == [other]
            mine = {(gap.reason, gap.effect) for gap in found.gaps if gap.what == other}
            assert {reason for reason, _ in mine} == {Reason.ACCESS_DENIED, Reason.NOT_FOUND}
            assert unknown[0].assessment.cause in {effect for _, effect in mine}
        assembly.close()


def test_a_new_principal_that_nobody_asked_for_is_a_gap_beside_those_of_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = f"{KEY_ON_AWS[:-4]}beef"
    more = PLATFORM.replace('storage"]', 'storage", "arn:aws:iam::111122223333:role/reader"]')
    with an_aws_cloud(monkeypatch) as cloud:
        cloud.store.add_bucket("objects")
        for name in (KEY_ON_AWS, other):
            cloud.store.add_key(name)
            cloud.store.put("objects", f"acme/{name[-4:]}/1", sse="aws:kms", key=name)
        cloud.traffic.fail("ListGrants", status=400, code="AccessDeniedException")
        config = tmp_path / "auditor.toml"
        config.write_text(f'state = "state"\n{PLATFORM}{AWS_CONFIG}')
        assembly = assemble(load(config))
        scan.scan(assembly.parts, NoProgress())
        assembly.close()
        assert more != PLATFORM
        config.write_text(f'state = "state"\n{more}{AWS_CONFIG}')
        assembly = assemble(load(config))
        found = scan.poll(assembly.parts, NoProgress(), frozenset({KeyName(KEY_ON_AWS)}))
        assembly.close()
    told = [gap.effect for gap in found.gaps if gap.what == other]
    assert "whether arn:aws:iam::111122223333:role/reader may decrypt was never asked" in told
    assert len(told) == 2


def test_a_gap_of_what_is_unknown_outlives_a_poll_of_another_key_that_shares_its_instance(tmp_path: Path) -> None:
    """The instance is heard of again, and what is behind it stays unknown."""
    ring = GOOGLE_KEY.partition("/cryptoKeys/")[0]
    instance = "projects/acme/locations/us-east1/singleTenantHsmInstances/one"
    with a_small_cloud(tmp_path) as small:
        store, clock = small.cloud.store, Clock()
        store.clock = clock
        store.add_instance(instance, "CREATING")
        behind = store.add_key(f"{ring}/cryptoKeys/behind", versions=1)
        behind.backend = instance
        behind.versions[1].protection = "HSM_SINGLE_TENANT"
        store.put("data", "acme/behind/1", key=behind.name, version=1, size=5)
        assembly = assemble(load(small.config), clock)
        told = [scan.scan(assembly.parts, NoProgress())]
        for _ in range(2):
            clock.ahead += timedelta(minutes=1)
            told.append(scan.poll(assembly.parts, NoProgress(), only=frozenset({KeyName(GOOGLE_KEY)})))
        assembly.close()
    for judgement in told:
        unknown = [one for one in judgement.assessed if one.holding.key == behind.name]
        assert [one.assessment.readability for one in unknown] == [Readability.UNKNOWN]
        assert any(one.what == instance for one in judgement.gaps)
