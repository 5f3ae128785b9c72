"""From an operator's sweep to a customer's alarm: each answer tells what another saw, and takes it for no proof."""

import contextlib
import html
import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from auditor.config import load
from auditor.daemon import serving, timers
from auditor.doctoring.bundles import of_bundles
from auditor.embedded.aws import AwsCloud
from auditor.findings import Basis, Confidence, Finding, Judgement, Severity, Status, Verdict
from auditor.outputs import diff_json, impact_json, retire_json, revocation_json, scan_json, summary
from auditor.web.readings import Loaded
from auditor.wiring import assemble
from tests.bundles import BUCKET, BUNDLE, Customer, Operator, a_customer, a_signer, an_operator, run
from tests.clouds import GOOGLE_KEY, Clock, an_aws_cloud
from tests.core_builders import AWS_KEY, NOW
from tests.handover.test_bundle_read import anew
from tests.keys_only import FILE
from tests.web.test_web import ask

VERSION = f"{GOOGLE_KEY}/cryptoKeyVersions"


@pytest.fixture
def operator(tmp_path: Path) -> Iterator[Operator]:
    with an_operator(tmp_path) as running:
        yield running


@pytest.fixture
def customer(operator: Operator) -> Customer:
    found = a_customer(operator)
    operator.hand_over(found)
    return found


def opened(judgement: Judgement) -> dict[tuple[str, str], Finding]:
    return {
        (one.rule, one.subject.id.rpartition("/")[2]): one for one in judgement.findings if one.status is Status.OPEN
    }


def told(customer: Customer, capsys: pytest.CaptureFixture[str], *argv: str) -> tuple[int, str]:
    capsys.readouterr()
    code = run(argv[0], "--config", str(customer.config), *argv[1:])
    return code, capsys.readouterr().out


def document(customer: Customer, capsys: pytest.CaptureFixture[str], *argv: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(told(customer, capsys, *argv, "--format", "json")[1])
    return found


def test_a_version_that_the_customer_disables_names_the_tenants_objects_and_bytes(customer: Customer) -> None:
    customer.polled()
    customer.set_state(1, "DISABLED")
    judgement = customer.polled()
    ((name, one),) = opened(judgement).items()
    assert name == ("data-unreadable", "1")
    assert (one.severity, one.extent.objects, one.extent.size, one.extent.namespaces) == (
        Severity.CRITICAL,
        10,
        1000,
        1,
    )
    assert one.extent.sample_namespaces == ("gs://data/acme/search",)
    assert one.extent.tenants == ("acme",)
    assert one.confidence is Confidence.INFERRED
    assert "an operator's bundle says" in one.cause
    (said,) = [each for each in one.evidence if each.call == "bundle"]
    (registry,) = judgement.registered.bundles
    assert registry.bundle is not None
    assert (said.at, said.answer_digest) == (registry.bundle.made, registry.bundle.digest)
    assert registry.bundle.signer in said.resource
    assert {each.assessment.basis for each in judgement.assessed} == {Basis.BUNDLE}
    customer.set_state(1, "ENABLED")
    assert opened(customer.polled()) == {}


def test_a_version_that_no_data_is_told_of_bars_nothing(customer: Customer) -> None:
    """ADR 20 takes each version for one that data may be under; a bundle says which."""
    customer.polled()
    store = customer.cloud.store
    key = store.key(GOOGLE_KEY)
    assert key is not None
    # It was the newest one when the operator swept, and another was made since: it took data in between, or none.
    key.versions[3].state = "DISABLED"
    judgement = customer.polled()
    assert not [name for name in opened(judgement) if name[0].startswith("data-")]
    (gap,) = [one for one in judgement.gaps if one.what == GOOGLE_KEY]
    assert "version 3 cannot be used now, and may have taken new data since" in gap.effect
    key.versions[3].state = "ENABLED"
    assert not [one for one in customer.polled().gaps if one.what == GOOGLE_KEY]


def test_a_rule_on_a_key_that_fails_by_what_is_told_is_inferred_and_says_who_told(customer: Customer) -> None:
    key = customer.cloud.store.key(GOOGLE_KEY)
    assert key is not None
    for one in key.versions.values():
        one.created -= timedelta(days=400)
    found = opened(customer.polled())["stale-version", "main"]
    assert (found.extent.objects, found.confidence) == (20, Confidence.INFERRED)
    assert "bundle" in {one.call for one in found.evidence}


def test_a_poll_without_findings_ends_with_3_until_the_gap_is_allowed(
    customer: Customer, capsys: pytest.CaptureFixture[str]
) -> None:
    assert told(customer, capsys, "poll")[0] == 3
    assert told(customer, capsys, "poll", "--allow-gaps", "not_visible")[0] == 0


def test_each_text_tells_whose_word_it_is_and_how_old(customer: Customer, capsys: pytest.CaptureFixture[str]) -> None:
    customer.set_state(1, "DISABLED")
    _, said = told(customer, capsys, "scan")
    assert said.startswith("By what an operator's bundle of ")
    assert "10 of 20 objects cannot be read now" in said
    assert "bundle of an operator for acme made " in said
    (registry,) = customer.polled().registered.bundles
    assert registry.bundle is not None
    assert f"signed by sha256:{registry.bundle.signer[:16]}" in said
    (finding,) = opened(customer.polled()).values()
    for argv in (["explain", finding.id], ["report", "--as", "html", "--output", "-"], ["impact", GOOGLE_KEY]):
        _, said = told(customer, capsys, *argv)
        assert "operator's bundle" in html.unescape(said), argv
    _, said = told(customer, capsys, "explain", finding.id, "--namespaces")
    assert said.splitlines()[1:] == ["gs://data,acme/search,acme,,,10,1000"]


def test_json_tells_the_signer_and_fits_its_schema(customer: Customer, capsys: pytest.CaptureFixture[str]) -> None:
    customer.set_state(1, "DISABLED")
    found = document(customer, capsys, "poll")
    Draft202012Validator(scan_json.schema()).validate(found)
    (registry,) = found["coverage"]["registries"]
    bundle = registry["bundle"]
    assert (bundle["tenant"], bundle["operator"], bundle["objects"], bundle["bytes"]) == ("acme", None, 20, 2000)
    assert bundle["signer"].startswith("sha256:")
    assert bundle["oldest_sweep"] <= bundle["made"]
    assert (found["totals"]["objects"], found["totals"]["by_readability"]["unreadable"]["objects"]) == (20, 10)
    assert {one["basis"] for one in found["dependencies"]} == {"bundle"}
    assert sum(one["objects"] for one in found["dependencies"]) == 20


def test_impact_tells_what_hangs_on_a_version(customer: Customer, capsys: pytest.CaptureFixture[str]) -> None:
    customer.polled()
    found = document(customer, capsys, "impact", f"{VERSION}/2")
    Draft202012Validator(impact_json.schema()).validate(found)
    assert (found["affected"]["objects"], found["affected"]["bytes"]) == (10, 1000)
    assert any("since the sweeps" in one for one in found["not_covered"])
    assert any("a bundle of" in one["effect"] for one in found["gaps"])
    code, said = told(customer, capsys, "impact", f"{VERSION}/3")
    assert code != 0
    assert "not everything is known" in said


@pytest.mark.parametrize("settings", ["", "[policy]\nno_data_elsewhere = true\n"])
def test_retire_takes_no_bundle_for_a_proof_that_a_version_is_empty(
    customer: Customer, operator: Operator, capsys: pytest.CaptureFixture[str], settings: str
) -> None:
    operator.remove("acme/search")
    operator.hand_over(customer)
    customer.configure(BUNDLE + settings)
    customer.set_state(1, "DISABLED")
    customer.polled()
    clock = operator.cloud.store.clock
    assert isinstance(clock, Clock)
    clock.ahead += timedelta(days=2)
    customer.polled()
    found = document(customer, capsys, "retire")
    Draft202012Validator(retire_json.schema()).validate(found)
    used = {one["key_version"]: (one["use"], one["objects"]) for one in found["key_versions"]}
    assert used == {"1": ("not_proven", None), "2": ("in_use", 10), "3": ("not_proven", None)}
    assert "Nothing that is proven unused" in told(customer, capsys, "retire", "--destroy")[1]
    assert not [one for one in customer.polled().findings if one.rule == "retirable-version"]


def test_a_key_of_which_a_bundle_tells_nothing_is_not_proven_unused(
    customer: Customer, operator: Operator, capsys: pytest.CaptureFixture[str]
) -> None:
    other = f"{GOOGLE_KEY}-2"
    operator.cloud.store.add_key(other)
    customer.configure(f'{BUNDLE}[[key]]\nname = "{other}"\n[policy]\nno_data_elsewhere = true\n')
    customer.polled()
    found = document(customer, capsys, "retire", other)
    assert [one["use"] for one in found["key_versions"]] == ["not_proven"]


def test_prove_revoked_takes_no_bundle_for_a_proof(customer: Customer, capsys: pytest.CaptureFixture[str]) -> None:
    customer.configure(f'{BUNDLE}[[key]]\nname = "{GOOGLE_KEY}"\nintended_state = "revoked"\n')
    for version in (1, 2, 3):
        customer.set_state(version, "DISABLED")
    customer.polled()
    found = document(customer, capsys, "prove-revoked", GOOGLE_KEY)
    Draft202012Validator(revocation_json.schema()).validate(found)
    assert (found["proof"], found["data"]["objects"]) == ("not_proven", 20)
    assert any(one.startswith("the objects:") for one in found["not_covered"])
    assert told(customer, capsys, "prove-revoked", GOOGLE_KEY)[0] == 3


def test_diff_compares_keys_and_findings(customer: Customer, capsys: pytest.CaptureFixture[str]) -> None:
    customer.polled()
    customer.set_state(1, "DISABLED")
    customer.polled()
    code, said = told(customer, capsys, "diff")
    assert code == 1
    assert "opened critical data-unreadable" in said
    Draft202012Validator(diff_json.schema()).validate(document(customer, capsys, "diff"))


def test_metrics_and_the_web_side_have_the_objects_that_are_told(customer: Customer) -> None:
    customer.set_state(1, "DISABLED")
    (registry,) = customer.polled().registered.bundles
    assert registry.bundle is not None
    swept = registry.bundle.swept.timestamp()
    with contextlib.closing(assemble(load(customer.config), customer.cloud.store.clock)) as assembly:
        loops = timers.Daemon(assembly.parts, load(customer.config).schedule)
        read = serving.readings(assembly, loops, lambda: Loaded("0" * 64, NOW))
        lines = ask("/metrics", read).text.splitlines()
        assert 'cmek_dependent_objects{basis="bundle",bucket="gs://data",readability="unreadable"} 10.0' in lines
        (old,) = [one for one in lines if one.startswith("cmek_bundle_oldest_sweep_timestamp_seconds{")]
        assert old.startswith('cmek_bundle_oldest_sweep_timestamp_seconds{registry="registry acme.json"} ')
        assert float(old.rpartition(" ")[2]) == pytest.approx(swept)
        rows = json.loads(ask("/api/v1/keys", read).text)["items"]
        assert [(one["key_version"], one["objects"]) for one in rows] == [("1", 10), ("2", 10)]
        assert "20 objects by an operator&#39;s bundle" in ask("/", read).text


def test_no_rule_about_registries_or_buckets_judges_what_is_told(customer: Customer) -> None:
    judgement = customer.polled()
    for one in judgement.tallies:
        if one.rule in {"wrong-key", "not-customer-managed", "orphan-objects", "mixed-keys", "sweep-stale"}:
            assert one.counts[Verdict.PASSED] == 0, one.rule


def a_file(customer: Customer, *lines: str) -> None:
    (customer.folder / "namespaces.csv").write_text("\n".join(["bucket,namespace,key,team", *lines]) + "\n")
    customer.configure(BUNDLE + FILE)


def test_what_a_bundle_tells_of_is_claimed_no_more_and_the_rest_is(
    customer: Customer, capsys: pytest.CaptureFixture[str]
) -> None:
    a_file(customer, f"gs://data,acme/search,{GOOGLE_KEY},search", f"gs://data,acme/new,{GOOGLE_KEY},new")
    judgement = customer.polled()
    held = {one.holding.key_version: one.holding for one in judgement.assessed}
    assert {version: (one.objects, one.namespaces) for version, one in held.items()} == {
        None: (None, 1),
        "1": (10, 1),
        "2": (10, 1),
    }
    assert "By what registries and an operator's bundle say" in summary.verdict(judgement)
    assert [one.what for one in judgement.gaps if "no bucket is configured" in one.effect] == [
        "objects",
        "registry acme.json",
    ]
    customer.set_state(1, "DISABLED")
    found = opened(customer.polled())
    # The new one may be under it as well: nobody saw how much of it there is.
    one = found["data-unreadable", "1"]
    assert (one.extent.objects, one.extent.namespaces, one.extent.teams) == (None, 2, ("new", "search"))
    assert (
        "10 objects that an operator's bundle tells of among them." in told(customer, capsys, "impact", GOOGLE_KEY)[1]
    )


def test_without_a_bucket_json_of_claims_and_told_data_says_null_for_all_objects(
    customer: Customer, capsys: pytest.CaptureFixture[str]
) -> None:
    a_file(customer, f"gs://data,acme/new,{GOOGLE_KEY},new")
    found = document(customer, capsys, "poll")
    Draft202012Validator(scan_json.schema()).validate(found)
    assert (found["totals"]["objects"], found["totals"]["namespaces"]) == (None, 3)


def test_of_two_bundles_of_one_bucket_and_tenant_the_newer_sweep_counts(customer: Customer, operator: Operator) -> None:
    (customer.folder / "older.json").write_bytes(customer.bundle.read_bytes())
    operator.put("acme/new", 3)
    operator.hand_over(customer)
    customer.configure(BUNDLE + BUNDLE.replace("acme.json", "older.json"))
    judgement = customer.polled()
    assert sum(one.holding.objects or 0 for one in judgement.assessed) == 30
    assert len(judgement.registered.bundles) == 2


def test_no_other_signer_takes_away_what_a_bundle_tells_by_a_newer_sweep(
    customer: Customer, operator: Operator
) -> None:
    customer.set_state(1, "DISABLED")
    (name,) = opened(customer.polled())
    other = customer.folder / "vendor.json"
    other.write_bytes(operator.made.read_bytes())

    def later(one: dict[str, Any]) -> None:
        one["data"] = [some for some in one["data"] if some["version"] != "1"]
        one["buckets"][0] |= {"started": one["made"], "ended": one["made"]}

    anew(other, a_signer(customer.folder, "vendor"), later)
    customer.configure(BUNDLE + BUNDLE.replace("acme.json", "vendor.json").replace("operator.pub", "vendor.pub"))
    assert opened(customer.polled()).keys() == {name}
    # Of the same signer it does.
    customer.configure(BUNDLE + BUNDLE.replace("acme.json", "vendor.json"))
    anew(other, operator.key, later)
    assert opened(customer.polled()) == {}


def test_a_census_ends_what_a_bundle_told_only_once_the_bucket_was_looked_at(customer: Customer) -> None:
    customer.set_state(1, "DISABLED")
    one = opened(customer.polled())["data-unreadable", "1"]
    customer.configure(BUCKET)
    assert opened(customer.polled())["data-unreadable", "1"].id == one.id
    assert run("scan", "-q", "-c", str(customer.config)) == 1
    found = opened(customer.polled())["data-unreadable", "1"]
    assert (found.id, found.confidence) == (one.id, Confidence.PROVEN)
    customer.configure()
    assert opened(customer.polled())["data-unreadable", "1"].id == one.id


def test_a_bundle_that_left_the_config_ends_its_findings_beside_a_gap(customer: Customer) -> None:
    customer.set_state(1, "DISABLED")
    customer.polled()
    customer.configure(f'[[key]]\nname = "{GOOGLE_KEY}"\n')
    judgement = customer.polled()
    assert "data-unreadable" not in {rule for rule, _ in opened(judgement)}
    assert "registry acme.json" in {one.what for one in judgement.gaps}


def test_no_cloud_but_that_of_the_keys_is_asked(customer: Customer) -> None:
    before = len(customer.cloud.traffic.requests)
    customer.polled()
    assert {one.service for one in customer.cloud.traffic.requests[before:]} <= {"kms", "iam"}


def test_a_doctor_says_whether_it_would_be_believed(customer: Customer, operator: Operator) -> None:
    (one,) = of_bundles(load(customer.config), "config")
    assert one.answer == "ok"
    assert "signed by sha256:" in one.told
    customer.bundle.write_text("{}")
    (one,) = of_bundles(load(customer.config), "config")
    assert one.answer == "missing"
    customer.given(operator)
    customer.configure(f"{BUNDLE}max_age_hours = 0.0000001\n")
    (one,) = of_bundles(load(customer.config), "config")
    assert (one.answer, "max_age_hours" in (one.todo or "")) == ("missing", True)


def test_hostile_names_reach_no_terminal_and_no_report_unescaped(
    operator: Operator, capsys: pytest.CaptureFixture[str]
) -> None:
    customer = a_customer(operator)
    operator.put("acme/\x1b[31mred<script>", 1)
    operator.scanned()
    operator.bundle("-q", "--operator", "<script>alert(1)</script>")
    customer.given(operator)
    customer.set_state(1, "DISABLED")
    for argv in (["poll"], ["impact", GOOGLE_KEY], ["report", "--as", "html", "--output", "-"]):
        _, said = told(customer, capsys, *argv)
        assert "\x1b[31mred" not in said
        if argv[0] == "report":
            assert "<script>alert" not in said
            assert "red<script>" not in said


def test_on_aws_a_disabled_key_is_critical_for_what_the_operator_saw_under_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with an_aws_cloud(monkeypatch) as cloud, an_operator(tmp_path, "") as operator:
        on_aws(cloud, operator)
        customer = a_customer(operator)
        operator.hand_over(customer)
        (held,) = [one.holding for one in customer.polled().assessed]
        assert (held.key, held.objects, held.archived) == (AWS_KEY.text, 3, 1)
        assert opened(customer.polled()) == {}
        key = cloud.store.key(AWS_KEY.text)
        assert key is not None
        key.state = "Disabled"
        one = opened(customer.polled())["data-unreadable", AWS_KEY.text.rpartition("/")[2]]
        assert (one.extent.objects, one.extent.size, one.extent.namespaces) == (3, 30, 1)
        # Of a namespace that a registry names and no bundle tells of nobody saw how much it is.
        a_file(customer, f"s3://data,acme/new,{AWS_KEY.text},new")
        one = opened(customer.polled())["data-unreadable", AWS_KEY.text.rpartition("/")[2]]
        assert (one.extent.objects, one.extent.namespaces) == (None, 2)


def test_what_a_bundle_tells_under_one_replica_is_not_claimed_under_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = AWS_KEY.text.replace("key/", "key/mrk-")
    there = here.replace(AWS_KEY.location, "eu-west-1")
    with an_aws_cloud(monkeypatch) as cloud, an_operator(tmp_path, "") as operator:
        on_aws(cloud, operator, here)
        cloud.store.add_key(there, multi_region=True)
        customer = a_customer(operator)
        operator.hand_over(customer)
        a_file(customer, f"s3://data,acme/search,{there},acme", f"s3://data,acme/new,{there},acme")
        key = cloud.store.key(there)
        assert key is not None
        key.state = "Disabled"
        judgement = customer.polled()
        assert {one.holding.key: one.holding.objects for one in judgement.assessed} == {here: 3, there: None}
        assert opened(judgement)["data-unreadable", there.rpartition("/")[2]].extent.namespaces == 1, "acme/new"


def on_aws(cloud: AwsCloud, operator: Operator, arn: str = AWS_KEY.text) -> None:
    """The operator's bucket is on S3: three objects of acme, one of zeta."""
    cloud.store.add_key(arn, multi_region="/mrk-" in arn)
    cloud.store.add_bucket("data", AWS_KEY.location)
    for number, more in enumerate(({}, {}, {"storage_class": "GLACIER"})):
        cloud.store.put("data", f"acme/search/{number}", sse="aws:kms", key=arn, size=10, **more)
    cloud.store.put("data", "zeta/secret/0", size=10)
    operator.configure(
        BUCKET.replace("gs://data", "s3://data").replace("layout", f'region = "{AWS_KEY.location}"\nlayout')
    )
