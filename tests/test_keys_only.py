"""Keys-only: without a bucket, data depends on keys as registries say, and nothing is told that nobody saw."""

import contextlib
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from auditor import cli
from auditor.config import load
from auditor.daemon import serving, timers
from auditor.embedded.turbopuffer import Platform, Turbopuffer, customer_managed
from auditor.errors import UsageError
from auditor.findings import Basis, Confidence, Readability, Severity, Status, Verdict
from auditor.model import Reason
from auditor.outputs import diff_json, impact_json, retire_json, revocation_json, scan_json, summary
from auditor.web.readings import Loaded
from tests.clouds import GOOGLE_KEY, Clock, an_aws_cloud
from tests.core_builders import AGENT, AWS_KEY, NOW
from tests.keys_only import FILE, OTHER_KEY, KeysOnly, a_cloud_of_keys, opened
from tests.small import a_small_cloud
from tests.web.test_web import ask

BUCKET = '[[bucket]]\nurl = "gs://data"\nlayout = "{namespace}/"\n'
FILE_OF_BUCKET = f'{FILE}bucket = "gs://data"\n'
TURBOPUFFER = '[[registry]]\nkind = "turbopuffer"\nregion = "gcp-us-east1"\napi_key_env = "KEY"\n'
HEADER = "bucket,namespace,key,tenant"
API_KEY = "tpuf_A1b2C3d4E5f6"
NOT_SEEN = "no bucket is configured"


@pytest.fixture
def keys(tmp_path: Path) -> Iterator[KeysOnly]:
    with a_cloud_of_keys(tmp_path) as running:
        yield running


def told(keys: KeysOnly, capsys: pytest.CaptureFixture[str], *argv: str) -> tuple[int, str]:
    capsys.readouterr()
    code = cli._run([argv[0], "--config", str(keys.config), *argv[1:]])  # noqa: SLF001 - the command without the end of the process
    return code, capsys.readouterr().out


def a_service(service: Turbopuffer) -> str:
    return (
        '[[registry]]\nkind = "turbopuffer"\nregion = "gcp-us-east1"\napi_key_env = "TPUF_KEY_OF_TESTS"\n'
        f'requests_per_second = 1000\nbase_url = "{service.endpoint}"\n'
    )


def document(keys: KeysOnly, capsys: pytest.CaptureFixture[str], *argv: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(told(keys, capsys, *argv, "--format", "json")[1])
    return found


def test_namespaces_depend_on_the_key_that_a_registry_names_and_their_objects_are_not_known(keys: KeysOnly) -> None:
    judgement = keys.scanned()
    held = {one.holding.key: one for one in judgement.assessed}
    assert len(held) == len(judgement.assessed), "each is judged once"
    assert {key: one.holding.namespaces for key, one in held.items()} == {GOOGLE_KEY: 3, OTHER_KEY: 1}
    for one in held.values():
        assert one.assessment.readability is Readability.READABLE
        assert one.assessment.basis is Basis.REGISTRY
        assert one.assessment.confidence is Confidence.INFERRED
        assert one.holding.objects is None
        assert one.holding.size is None
        assert "registry" in {each.call for each in one.assessment.evidence}
    assert opened(judgement) == {}
    assert [gap.what for gap in judgement.gaps if NOT_SEEN in gap.effect] == ["objects"]
    assert judgement.coverage.buckets_not_configured is None


@pytest.mark.parametrize(
    ("state", "rule"),
    [("DISABLED", "data-unreadable"), ("DESTROY_SCHEDULED", "data-doomed"), ("DESTROYED", "data-lost")],
)
def test_a_primary_version_that_cannot_be_used_is_critical_for_all_namespaces_of_the_key(
    keys: KeysOnly, state: str, rule: str
) -> None:
    keys.scanned()
    if state == "DESTROY_SCHEDULED":
        key = keys.cloud.store.key(GOOGLE_KEY)
        assert key is not None
        key.versions[3].destroy_time = keys.cloud.store.clock() + timedelta(days=5)
    keys.set_state(3, state)
    judgement = keys.polled()
    one = opened(judgement)[rule, "3"]
    assert (one.severity, one.confidence) == (Severity.CRITICAL, Confidence.INFERRED)
    assert (one.extent.objects, one.extent.size, one.extent.namespaces) == (None, None, 3)
    assert one.extent.tenants == ("acme",)
    assert "a registry says" in one.cause
    if state == "DESTROY_SCHEDULED":
        assert one.final_at is not None
        assert judgement.next_loss == one.final_at
    assert not any(rule == "primary-unusable" for rule, _ in opened(judgement))


@pytest.mark.parametrize("state", ["DISABLED", "DESTROYED"])
def test_an_old_version_that_cannot_be_used_is_never_an_all_clear(keys: KeysOnly, state: str) -> None:
    keys.scanned()
    keys.set_state(1, state)
    judgement = keys.polled()
    ((name, one),) = opened(judgement).items()
    assert name == ("data-unreadable" if state == "DISABLED" else "data-lost", "1")
    assert (one.severity, one.extent.namespaces, one.extent.objects) == (Severity.HIGH, 3, None)
    assert "nobody saw under which versions" in one.cause
    assert [step.call.split()[4] for step in one.undo] == (["enable"] if state == "DISABLED" else [])
    (held,) = (each for each in judgement.assessed if each.holding.key == GOOGLE_KEY)
    assert held.assessment.readability is Readability.UNKNOWN
    (gap,) = (each for each in judgement.gaps if each.what == GOOGLE_KEY)
    assert f"version 1 is {state}" in gap.effect
    assert "it is not known whether all of it can be read" in summary.verdict(judgement)


def test_each_version_is_a_cause_of_its_own_and_the_newest_is_not_hidden_by_an_older(keys: KeysOnly) -> None:
    keys.scanned()
    keys.set_state(1, "DESTROYED")
    keys.polled()
    keys.set_state(2, "DISABLED")
    assert set(opened(keys.polled())) == {("data-lost", "1"), ("data-unreadable", "2")}
    keys.set_state(2, "ENABLED")
    judgement = keys.polled()
    assert set(opened(judgement)) == {("data-lost", "1")}
    assert [one.subject.id[-1] for one in judgement.findings if one.status is Status.RESOLVED] == ["2"]


def test_a_second_deleted_version_is_a_loss_of_its_own_and_the_first_stays(keys: KeysOnly) -> None:
    keys.scanned()
    for number, lost in ((1, {"1"}), (2, {"1", "2"})):
        key = keys.cloud.store.key(GOOGLE_KEY)
        assert key is not None
        keys.set_state(number, "DESTROYED")
        keys.polled()
        del key.versions[number]
        judgement = keys.polled()
        assert set(opened(judgement)) == {("data-lost", one) for one in lost}
        assert [one.subject.id[-1] for one in judgement.findings if one.status is Status.RESOLVED] == []


def test_a_version_that_never_had_material_holds_no_data(keys: KeysOnly) -> None:
    keys.set_state(1, "GENERATION_FAILED")
    judgement = keys.scanned()
    assert opened(judgement) == {}
    assert {one.assessment.readability for one in judgement.assessed} == {Readability.READABLE}


def test_an_import_of_the_same_material_ends_no_loss_until_it_is_back(keys: KeysOnly) -> None:
    keys.scanned()
    keys.set_state(1, "DESTROYED")
    keys.polled()
    for _ in range(2):
        keys.set_state(1, "PENDING_IMPORT")
        judgement = keys.polled()
        assert set(opened(judgement)) == {("data-lost", "1"), ("key-state-unknown", "1")}
        (gap,) = (each for each in judgement.gaps if each.what == GOOGLE_KEY)
        assert "version 1 is PENDING_IMPORT" in gap.effect
    keys.set_state(1, "ENABLED")
    assert opened(keys.polled()) == {}


def test_when_all_versions_are_off_all_namespaces_count_as_unreadable(keys: KeysOnly) -> None:
    keys.scanned()
    for version in (1, 2, 3):
        keys.set_state(version, "DISABLED")
    judgement = keys.polled()
    assert "3 of 4 namespaces are under keys that cannot be used now" in summary.verdict(judgement)
    assert set(opened(judgement)) == {("data-unreadable", str(version)) for version in (1, 2, 3)}


def test_access_that_is_withdrawn_is_the_finding_of_the_key(keys: KeysOnly) -> None:
    keys.scanned()
    keys.set_state(1, "DISABLED")
    keys.polled()
    keys.cloud.store.deny("cloudkms.cryptoKeys.get", GOOGLE_KEY)
    keys.cloud.store.deny("cloudkms.cryptoKeyVersions.list", GOOGLE_KEY)
    judgement = keys.polled()
    one = opened(judgement)["key-access-withdrawn", "main"]
    assert (one.severity, one.extent.namespaces, one.extent.objects) == (Severity.CRITICAL, 3, None)
    # That nobody tells of the version any more does not end what was found of it.
    assert ("data-unreadable", "1") in opened(judgement)


def test_a_registry_that_cannot_be_read_keeps_its_last_answer_with_its_age(keys: KeysOnly) -> None:
    keys.scanned()
    keys.set_state(3, "DISABLED")
    (keys.config.parent / "namespaces.csv").unlink()
    judgement = keys.polled()
    assert opened(judgement)["data-unreadable", "3"].extent.namespaces == 3
    (gap,) = (one for one in judgement.gaps if one.what.startswith("registry"))
    assert "what it said on" in gap.effect


def test_what_no_registry_tells_any_more_ends_no_finding(keys: KeysOnly) -> None:
    keys.scanned()
    keys.set_state(3, "DISABLED")
    keys.polled()
    (keys.config.parent / "namespaces.csv").unlink()
    for path in sorted((keys.config.parent / "state" / "registry").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    judgement = keys.polled()
    assert not judgement.assessed
    assert ("data-unreadable", "3") in opened(judgement)


def test_a_file_that_is_cut_off_ends_no_finding_within_half_a_minute(keys: KeysOnly) -> None:
    clock = keys.cloud.store.clock = Clock()
    keys.say(f"other,{OTHER_KEY},zeta", f"search,{GOOGLE_KEY},acme", f"chat,{GOOGLE_KEY},acme")
    keys.set_state(3, "DISABLED")
    before = opened(keys.scanned())
    keys.say(f"other,{OTHER_KEY},zeta")
    first = keys.polled()
    assert opened(first).keys() == before.keys()
    (gap,) = (one for one in first.gaps if one.what == "registry namespaces.csv")
    assert gap.reason is Reason.MALFORMED
    assert gap.effect.startswith("it is only the beginning of what it was: 1 of 3 entries is left; what it said on 20")
    assert opened(keys.polled()).keys() == before.keys(), "somebody polls at once"
    clock.ahead += timedelta(seconds=30)
    then = keys.polled()
    assert ("data-unreadable", "3") not in opened(then)
    assert not [one for one in then.gaps if one.what == "registry namespaces.csv"]


def test_an_entry_that_became_unusable_ends_no_finding(keys: KeysOnly) -> None:
    keys.scanned()
    keys.set_state(3, "DISABLED")
    keys.polled()
    keys.say(*(f"{name},alias/main,acme" for name in ("search", "chat", "mail")), f"other,{OTHER_KEY},zeta")
    assert ("data-unreadable", "3") in opened(keys.polled())


@pytest.mark.parametrize("other", [f"other,{OTHER_KEY},zeta", "other,,zeta"])
def test_entries_whose_key_became_blank_end_no_finding_until_a_key_is_told_of_each(keys: KeysOnly, other: str) -> None:
    keys.scanned()
    keys.set_state(3, "DISABLED")
    keys.polled()
    keys.say("search,,acme", "chat,,acme", "mail,,acme", other)
    for _ in range(2):
        assert ("data-unreadable", "3") in opened(keys.polled())
    keys.say(*(f"{name},{OTHER_KEY},acme" for name in ("search", "chat", "mail", "other")))
    assert opened(keys.polled()) == {}


@pytest.mark.parametrize("now", [{"mode": "new-mode", "key": "x"}, customer_managed("alias/x")])
def test_a_service_that_tells_the_key_no_more_ends_no_finding_and_one_that_tells_of_none_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, now: dict[str, Any]
) -> None:
    monkeypatch.setenv("TPUF_KEY_OF_TESTS", API_KEY)
    platform = Platform(Clock(), API_KEY)
    platform.put("search", customer_managed(GOOGLE_KEY))
    with Turbopuffer(platform) as service, a_cloud_of_keys(tmp_path, a_service(service)) as keys:
        keys.cloud.store.clock = clock = Clock()
        keys.set_state(3, "DISABLED")
        assert ("data-unreadable", "3") in opened(keys.scanned())
        clock.ahead = timedelta(days=30)
        platform.put("search", now)
        judgement = keys.scanned()
        assert judgement.assessed == ()
        assert ("data-unreadable", "3") in opened(judgement)
        clock.ahead = timedelta(days=60)
        platform.put("search")
        assert opened(keys.scanned()) == {}


def test_a_service_that_nobody_asked_yet_is_no_gap_that_whoever_sees_no_bucket_allows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TPUF_KEY_OF_TESTS", API_KEY)
    with (
        Turbopuffer(Platform(Clock(), API_KEY)) as service,
        a_cloud_of_keys(tmp_path, a_service(service) + FILE) as keys,
    ):
        assert told(keys, capsys, "poll", "--allow-gaps", "not_visible")[0] == 3
        (gap,) = [one for one in keys.polled().gaps if "was not asked yet" in one.effect]
        assert gap.reason is Reason.NOT_FOUND


@pytest.mark.parametrize(
    ("header", "lines"),
    [
        ("namespace,kms_key_arn,tenant", (f"search,{GOOGLE_KEY},acme", f"zeta,{OTHER_KEY},zeta")),
        ("namespace,key,tenant", ("search,,acme", f"zeta,{OTHER_KEY},zeta")),
    ],
    ids=["another column", "blank"],
)
def test_a_file_that_names_no_key_is_no_gap_that_whoever_sees_no_bucket_allows(
    keys: KeysOnly, capsys: pytest.CaptureFixture[str], header: str, lines: tuple[str, ...]
) -> None:
    allowed = ("--allow-gaps", "not_visible")
    assert told(keys, capsys, "scan", *allowed)[0] == 0
    keys.say(*lines, header=header)
    for version in (1, 2, 3):
        keys.set_state(version, "DISABLED")
    assert told(keys, capsys, "poll", *allowed)[0] == 3
    assert told(keys, capsys, "impact", GOOGLE_KEY, *allowed)[0] == 3


def test_a_key_that_nobody_asked_yet_is_no_gap_that_whoever_sees_no_bucket_allows(
    keys: KeysOnly, capsys: pytest.CaptureFixture[str]
) -> None:
    assert told(keys, capsys, "poll", OTHER_KEY, "--allow-gaps", "not_visible")[0] == 3


def test_namespaces_that_left_the_registry_end_their_finding(keys: KeysOnly) -> None:
    keys.scanned()
    keys.set_state(3, "DISABLED")
    keys.polled()
    keys.say(f"other,{OTHER_KEY},zeta")
    judgement = keys.polled()
    assert opened(judgement) == {}
    assert [gap.what for gap in judgement.gaps] == ["[platform] gcp_service_agents", "objects"]


@pytest.mark.parametrize("place", ["", "gs://theirs"])
@pytest.mark.parametrize("stays", [True, False])
def test_a_registry_that_left_the_config_ends_its_findings_beside_a_gap(
    tmp_path: Path, place: str, *, stays: bool
) -> None:
    other = FILE.replace("namespaces", "other")
    with a_cloud_of_keys(tmp_path, f'{FILE}{other}[[key]]\nname = "{OTHER_KEY}"\n') as keys:
        keys.say(f"{place},search,{GOOGLE_KEY},acme", header=HEADER)
        (tmp_path / "other.csv").write_text(f"{HEADER}\n{place},x,{OTHER_KEY},zeta\n")
        keys.set_state(1, "DISABLED", OTHER_KEY)
        assert ("data-unreadable", "1") in opened(keys.scanned())
        whole = keys.config.read_text()
        keys.config.write_text(whole.replace(other, "") if stays else whole.replace(other, "").replace(FILE, ""))
        judgement = keys.polled()
        assert ("data-unreadable", "1") not in opened(judgement)
        left = {gap.what for gap in judgement.gaps if "the config leaves out this registry now" in gap.effect}
        assert left == {"registry other.csv"} | (set() if stays else {"registry namespaces.csv"})
        assert not [gap for gap in keys.polled().gaps if "leaves out" in gap.effect]


DISPUTE = (f"search,{GOOGLE_KEY},acme", f"search,{GOOGLE_KEY},zeta", f"chat,{GOOGLE_KEY},acme")
UNUSABLE = ("search,alias/main,zeta", f"chat,{GOOGLE_KEY},acme")
KEYLESS = ("search,,zeta", f"chat,{GOOGLE_KEY},acme")
TOLD = (f"chat,{GOOGLE_KEY},acme",)
UNREAD = FILE.replace("namespaces", "other")


@pytest.mark.parametrize(
    ("lines", "more", "match", "status"),
    [
        (DISPUTE, "", 'tenant = "acme"', Status.OPEN),
        (UNUSABLE, "", 'tenant = "acme"', Status.OPEN),
        (UNUSABLE, "", 'namespace = "chat"', Status.OPEN),
        (KEYLESS, "", 'tenant = "acme"', Status.OPEN),
        (KEYLESS, "", 'namespace = "chat"', Status.OPEN),
        (TOLD, UNREAD, 'tenant = "acme"', Status.OPEN),
        (TOLD, UNREAD, 'namespace = "chat"', Status.OPEN),
        (TOLD, "", 'tenant = "acme"', Status.WAIVED),
        (TOLD, "", 'namespace = "chat"', Status.WAIVED),
        (DISPUTE, "", 'namespace = "*ch*"', Status.WAIVED),
        (UNUSABLE, UNREAD, f'key = "{GOOGLE_KEY}"', Status.WAIVED),
    ],
)
def test_a_waiver_by_names_covers_nothing_while_registries_may_know_others_under_the_key(
    keys: KeysOnly, lines: tuple[str, ...], more: str, match: str, status: Status
) -> None:
    until = keys.cloud.store.clock() + timedelta(days=30)
    waiver = (
        f'[[waiver]]\nrule = "data-unreadable"\nmatch = {{ {match} }}\nreason = "accepted"\n'
        f'until = {until:%Y-%m-%d}\nowner = "ann"\napproved_by = "bob"\n'
    )
    keys.config.write_text(f"{keys.config.read_text()}{more}{waiver}")
    keys.say(*lines)
    keys.set_state(3, "DISABLED")
    for judgement in (keys.scanned(), keys.polled()):
        (found,) = (one for one in judgement.findings if one.rule == "data-unreadable")
        assert found.status is status


@pytest.mark.parametrize("more", ["", ', tenant = "acme"'])
def test_a_waiver_of_a_version_covers_what_is_found_of_it_and_of_no_other(keys: KeysOnly, more: str) -> None:
    until = keys.cloud.store.clock() + timedelta(days=30)
    waiver = (
        f'[[waiver]]\nrule = "data-unreadable"\nmatch = {{ key = "{GOOGLE_KEY}/cryptoKeyVersions/1"{more} }}\n'
        f'reason = "accepted"\nuntil = {until:%Y-%m-%d}\nowner = "ann"\napproved_by = "bob"\n'
    )
    keys.config.write_text(f"{keys.config.read_text()}{waiver}")
    keys.set_state(1, "DISABLED")
    keys.scanned()
    keys.set_state(3, "DISABLED")
    found = {one.subject.id.rpartition("/")[2]: one.status for one in keys.polled().findings}
    assert (found["1"], found["3"]) == (Status.WAIVED, Status.OPEN)


def test_a_namespace_of_which_entries_name_two_keys_depends_on_both(keys: KeysOnly) -> None:
    keys.say(f"search,{GOOGLE_KEY},acme", f"search,{OTHER_KEY},acme")
    keys.set_state(1, "DISABLED", OTHER_KEY)
    judgement = keys.scanned()
    assert opened(judgement)["data-unreadable", "1"].extent.namespaces == 1
    assert {one.holding.key for one in judgement.assessed} == {GOOGLE_KEY, OTHER_KEY}


def test_a_namespace_without_a_key_is_a_gap_and_no_dependency(keys: KeysOnly) -> None:
    keys.say(f"search,{GOOGLE_KEY},acme", "chat,,acme")
    judgement = keys.scanned()
    assert sum(one.holding.namespaces for one in judgement.assessed) == 1
    (gap,) = (one for one in judgement.gaps if one.what.startswith("registry"))
    assert "it names no key for 1 of its 2 namespaces" in gap.effect


def test_a_bucket_that_the_registry_names_is_told_and_not_looked_at(keys: KeysOnly) -> None:
    keys.say(f"gs://theirs,search,{GOOGLE_KEY},acme", header="bucket,namespace,key,tenant")
    judgement = keys.scanned()
    assert [one.holding.bucket for one in judgement.assessed] == ["gs://theirs"]
    assert not any("theirs" in one.target for one in keys.cloud.traffic.requests)


def test_only_keys_are_a_config_too_and_tell_their_states_alone(tmp_path: Path) -> None:
    with a_cloud_of_keys(tmp_path, f'[[key]]\nname = "{GOOGLE_KEY}"\n') as keys:
        keys.set_state(3, "DISABLED")
        judgement = keys.scanned()
        assert judgement.coverage.keys_read == 1
        assert judgement.assessed == ()
        assert opened(judgement)["primary-unusable", "main"].severity is Severity.LOW
        assert "No data is known" in summary.verdict(judgement)
        assert [one.what for one in judgement.gaps] == ["[platform] gcp_service_agents", "objects"]


def test_an_empty_config_is_one_clear_error_with_a_hint(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "auditor.toml"
    config.write_text('state = "state"\n')
    assert cli._run(["scan", "--config", str(config)]) == 2  # noqa: SLF001 - as above
    said = capsys.readouterr().err
    assert "no bucket, no registry and no key is configured" in said
    assert "hint:" in said


def test_json_says_null_where_nobody_saw_an_object_and_fits_its_schema(
    keys: KeysOnly, capsys: pytest.CaptureFixture[str]
) -> None:
    keys.set_state(1, "DISABLED")
    found = document(keys, capsys, "scan")
    Draft202012Validator(scan_json.schema()).validate(found)
    assert (found["totals"]["objects"], found["totals"]["bytes"], found["totals"]["namespaces"]) == (None, None, 4)
    assert found["totals"]["by_readability"]["unknown"] == {"objects": None, "bytes": None, "namespaces": 3}
    assert [(one["objects"], one["namespaces"]) for one in found["findings"]] == [(None, 3)]
    names = {one["namespace"] for one in found["dependencies"]}
    assert names == {"search", "chat", "mail", "other"}
    nothing = {(one["objects"], one["population"], one["oldest"], one["basis"]) for one in found["dependencies"]}
    assert nothing == {(None, None, None, "registry")}
    assert found["coverage"]["buckets"] == []


def test_no_text_says_0_objects_of_what_nobody_saw(keys: KeysOnly, capsys: pytest.CaptureFixture[str]) -> None:
    keys.set_state(1, "DISABLED")
    code, said = told(keys, capsys, "scan")
    assert code == 1
    assert "not known" in said
    finding = next(iter(opened(keys.polled()).values()))
    for argv in (
        ["scan"],
        ["poll"],
        ["explain", finding.id],
        ["impact", f"{GOOGLE_KEY}/2"],
        ["impact", GOOGLE_KEY],
        ["impact", GOOGLE_KEY, "--action", "destroy"],
        ["retire"],
        ["retire", GOOGLE_KEY],
        ["diff"],
        ["report", "--as", "html", "--output", "-"],
        ["report", "--as", "csv", "--output", "-"],
    ):
        _, said = told(keys, capsys, *argv)
        assert said, argv
        for wrong in ("0 objects", " 0 B", ">0 object"):
            assert wrong not in said, (argv, wrong)


def test_a_poll_without_findings_ends_with_3_until_the_gap_is_allowed(
    keys: KeysOnly, capsys: pytest.CaptureFixture[str]
) -> None:
    assert told(keys, capsys, "scan")[0] == 3
    assert told(keys, capsys, "poll", "--allow-gaps", "not_visible")[0] == 0
    assert not [one for one in keys.cloud.traffic.requests if "/storage/" in one.target]


def test_on_aws_a_disabled_key_is_critical_for_all_that_a_registry_names_it_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with an_aws_cloud(monkeypatch) as cloud, a_cloud_of_keys(tmp_path) as keys:
        arn = AWS_KEY.text
        cloud.store.add_key(arn)
        keys.say(f"search,{arn},acme", f"other,{OTHER_KEY},zeta")
        assert opened(keys.scanned()) == {}
        key = cloud.store.key(arn)
        assert key is not None
        key.state = "Disabled"
        one = opened(keys.polled())["data-unreadable", arn.rpartition("/")[2]]
        assert (one.severity, one.extent.namespaces, one.extent.objects) == (Severity.CRITICAL, 1, None)


def test_turbopuffer_tells_namespaces_keys_and_logical_bytes_without_a_bucket(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TPUF_KEY_OF_TESTS", API_KEY)
    platform = Platform(Clock(), API_KEY)
    for name in ("search", "chat"):
        platform.put(name, customer_managed(GOOGLE_KEY), approx_logical_bytes=3000)
    platform.put("plain")
    with Turbopuffer(platform) as service, a_cloud_of_keys(tmp_path, a_service(service)) as keys:
        keys.set_state(3, "DISABLED")
        one = opened(keys.scanned())["data-unreadable", "3"]
        assert (one.extent.objects, one.extent.size, one.extent.namespaces) == (None, 6000, 2)
        assert {each.resource for each in one.evidence if each.call == "registry"} == {
            "registry turbopuffer gcp-us-east1 by TPUF_KEY_OF_TESTS"
        }
        platform.put("mail", customer_managed(GOOGLE_KEY), approx_logical_bytes="many")
        one = opened(keys.scanned())["data-unreadable", "3"]
        assert (one.extent.size, one.extent.namespaces) == (None, 3)


def test_what_registries_say_is_not_compared_with_itself(keys: KeysOnly) -> None:
    tallies = {one.rule: one.counts for one in keys.scanned().tallies}
    for rule in ("wrong-key", "not-customer-managed", "orphan-objects", "foreign-tenant-key", "mixed-keys"):
        assert tallies[rule][Verdict.PASSED] == 0, rule


def test_impact_tells_of_a_version_that_no_finding_is_about_whatever_others_say(
    keys: KeysOnly, capsys: pytest.CaptureFixture[str]
) -> None:
    keys.set_state(1, "DISABLED")
    keys.scanned()
    found = document(keys, capsys, "impact", f"{GOOGLE_KEY}/2")
    Draft202012Validator(impact_json.schema()).validate(found)
    assert (found["affected"]["objects"], found["affected"]["namespaces"]) == (None, 3)
    assert [(one["before"], one["after"]) for one in found["shifts"]] == [("readable", "unreadable")]
    assert "what of them is under version 2 would be affected" in found["verdict"]
    assert found["known"]["listed"] is None
    assert any("which objects are under the key" in one for one in found["not_covered"])
    assert [step["call"].split()[5] for step in found["undo"]] == ["2"]
    whole = document(keys, capsys, "impact", GOOGLE_KEY, "--action", "destroy")
    assert [(one["before"], one["after"]) for one in whole["shifts"]] == [("readable", "doomed")]
    none = document(keys, capsys, "impact", f"{GOOGLE_KEY}/1")
    assert none["as_before"] is None
    assert told(keys, capsys, "impact", f"{GOOGLE_KEY}/1")[0] == 1


def test_retire_proves_nothing_unused(keys: KeysOnly, capsys: pytest.CaptureFixture[str]) -> None:
    for version in (1, 2):
        keys.set_state(version, "DISABLED")
    keys.scanned()
    found = document(keys, capsys, "retire")
    Draft202012Validator(retire_json.schema()).validate(found)
    assert {(one["use"], one["objects"], one["call"]) for one in found["key_versions"]} == {("not_proven", None, None)}
    assert all(any("a registry names the key for" in why for why in one["reasons"]) for one in found["key_versions"])
    assert told(keys, capsys, "retire")[0] == 3
    assert "Nothing that is proven unused" in told(keys, capsys, "retire", "--destroy")[1]


@pytest.mark.parametrize(
    "text", ["", f"namespace,key\nchat,{GOOGLE_KEY}\nodd,alias/main\n"], ids=["not believed", "not usable"]
)
def test_retire_tells_that_a_registry_does_not_tell_all_now(
    keys: KeysOnly, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    allowed = ("retire", "--allow-gaps", "not_visible")
    keys.scanned()
    assert told(keys, capsys, *allowed)[0] == 0
    (keys.config.parent / "namespaces.csv").write_text(text)
    keys.polled()
    code, said = told(keys, capsys, *allowed)
    assert (code, "gap: registry namespaces.csv: " in said) == (3, True)


def test_prove_revoked_says_that_objects_are_not_covered_and_proves_nothing(
    keys: KeysOnly, capsys: pytest.CaptureFixture[str]
) -> None:
    keys.config.write_text(f'{keys.config.read_text()}[[key]]\nname = "{OTHER_KEY}"\nintended_state = "revoked"\n')
    keys.set_state(1, "DISABLED", OTHER_KEY)
    keys.scanned()
    found = document(keys, capsys, "prove-revoked", OTHER_KEY)
    Draft202012Validator(revocation_json.schema()).validate(found)
    assert found["proof"] == "not_proven"
    assert found["data"]["objects"] is None
    assert any(one.startswith("the objects:") for one in found["not_covered"])
    assert told(keys, capsys, "prove-revoked", OTHER_KEY)[0] == 3


def test_diff_tells_of_keys_and_findings_and_that_data_is_not_compared(
    keys: KeysOnly, capsys: pytest.CaptureFixture[str]
) -> None:
    keys.scanned()
    keys.set_state(3, "DISABLED")
    keys.polled()
    code, said = told(keys, capsys, "diff")
    assert code == 1
    assert "what data came, moved or went is not known" in said
    assert "version 3 ENABLED -> DISABLED" in said
    assert "opened critical data-unreadable" in said
    found = document(keys, capsys, "diff")
    Draft202012Validator(diff_json.schema()).validate(found)
    assert (found["unchanged_objects"], found["worse"]) == (None, None)
    counts = [*found["by_turn"].values(), *found["by_change"].values(), found["not_compared"]]
    assert {number for one in counts for number in one.values()} == {None}


def test_metrics_have_namespaces_and_no_number_of_objects(keys: KeysOnly) -> None:
    keys.set_state(3, "DISABLED")
    keys.scanned()
    with contextlib.closing(keys.assembled()) as assembly:
        loops = timers.Daemon(assembly.parts, load(keys.config).schedule)
        read = serving.readings(assembly, loops, lambda: Loaded("0" * 64, NOW))
        lines = ask("/metrics", read).text.splitlines()
        assert not [one for one in lines if one.startswith(("cmek_dependent_objects{", "cmek_dependent_bytes{"))]
        assert 'cmek_dependent_namespaces{bucket="registry namespaces.csv",readability="unknown"} 3.0' in lines
        assert 'cmek_findings{rule="data-unreadable",severity="critical",status="open"} 1.0' in lines
        rows = json.loads(ask("/api/v1/keys", read).text)["items"]
        assert [(one["objects"], one["namespaces"]) for one in rows] == [(None, 3), (None, 1)]
        (one,) = json.loads(ask("/api/v1/findings", read).text)["items"]
        named = json.loads(ask(f"/api/v1/findings/{one['id']}/namespaces", read).text)["items"]
        assert [(each["namespace"], each["objects"]) for each in named] == [
            ("chat", None),
            ("mail", None),
            ("search", None),
        ]
        assert "3 namespaces by the registry, objects not known" in ask("/", read).text


@pytest.mark.parametrize("rows", [None, "gs://data", "gs://elsewhere"])
def test_a_bucket_that_was_never_swept_ends_nothing_that_registries_told(
    keys: KeysOnly, capsys: pytest.CaptureFixture[str], rows: str | None
) -> None:
    if rows is not None:
        keys.say(f"{rows},search,{GOOGLE_KEY},acme", header=HEADER)
    keys.set_state(3, "DISABLED")
    keys.scanned()
    keys.cloud.store.add_bucket("data", "acme", "us-east1")
    keys.cloud.store.put("data", "mail/1", key=OTHER_KEY, version=1, size=100)
    keys.config.write_text(keys.config.read_text().replace(FILE, f'{BUCKET}account = "acme"\n{FILE_OF_BUCKET}'))
    for _ in range(2):
        assert ("data-unreadable", "3") in opened(keys.polled())
    found = document(keys, capsys, "poll")
    Draft202012Validator(scan_json.schema()).validate(found)
    assert ("data-unreadable", "open", None) in {
        (one["rule"], one["status"], one["objects"]) for one in found["findings"]
    }
    assert told(keys, capsys, "poll", "--allow-gaps", "not_visible")[0] == 1
    judgement = keys.scanned()
    assert ("data-unreadable", "3") not in opened(judgement)
    left = [gap.what for gap in judgement.gaps if "what a registry alone says counts no more" in gap.effect]
    # The bucket that was swept since then is told by its sweep.
    assert left == ([] if rows == "gs://data" else [rows or "registry namespaces.csv"])


def test_a_sweep_goes_on_with_what_a_registry_told_or_ends_it_beside_a_gap(keys: KeysOnly) -> None:
    keys.set_state(3, "DISABLED")
    keys.set_state(1, "DISABLED", OTHER_KEY)
    claims = opened(keys.scanned())
    keys.cloud.store.add_bucket("data", "acme", "us-east1")
    keys.cloud.store.put("data", "search/1", key=GOOGLE_KEY, version=3, size=100)
    keys.config.write_text(keys.config.read_text().replace(FILE, f'{BUCKET}account = "acme"\n{FILE_OF_BUCKET}'))
    census = keys.scanned()
    one = opened(census)["data-unreadable", "3"]
    assert (one.id, one.extent.objects) == (claims["data-unreadable", "3"].id, 1)
    assert {bucket for bucket, *_ in one.members} == {"gs://data"}
    assert [each.subject.id for each in census.findings if each.status is Status.RESOLVED] == [
        f"{OTHER_KEY}/cryptoKeyVersions/1"
    ]
    (gap,) = (each for each in census.gaps if each.what == "registry namespaces.csv")
    assert gap.effect.startswith("a finding is told as resolved without a look at all of its data")
    assert not [each for each in keys.polled().gaps if each.what == "registry namespaces.csv"]


def test_a_config_that_lost_its_buckets_says_so_and_keeps_census_and_claims_apart(tmp_path: Path) -> None:
    with a_small_cloud(tmp_path) as small:
        whole = small.config.read_text()
        (tmp_path / "namespaces.csv").write_text(f"namespace,key\nacme/old,{GOOGLE_KEY}\n")
        small.config.write_text(f"{whole}{FILE}")
        keys = KeysOnly(small.cloud, small.config)
        keys.set_state(1, "DISABLED")
        census = keys.scanned()
        assert {one.holding.is_claimed for one in census.assessed} == {False}
        assert opened(census)["data-unreadable", "1"].extent.objects == 10
        small.config.write_text(whole[: whole.index("[[bucket]]")] + FILE)
        claims = keys.polled()
        assert {one.holding.is_claimed for one in claims.assessed} == {True}
        one = opened(claims)["data-unreadable", "1"]
        assert (one.extent.objects, one.extent.namespaces) == (None, 1)
        small.config.write_text(f"{whole}{FILE}")
        assert {one.holding.is_claimed for one in keys.polled().assessed} == {False}


def test_a_file_may_say_how_much_a_namespace_is(keys: KeysOnly) -> None:
    keys.set_state(3, "DISABLED")
    keys.say(f"search,{GOOGLE_KEY},3000", f"chat,{GOOGLE_KEY},0", header="namespace,key,bytes")
    assert opened(keys.scanned())["data-unreadable", "3"].extent.size == 3000
    keys.say(f"search,{GOOGLE_KEY},3000", f"chat,{GOOGLE_KEY},", header="namespace,key,bytes")
    extent = opened(keys.scanned())["data-unreadable", "3"].extent
    assert (extent.size, extent.namespaces) == (None, 2), "of one nobody said it"


@pytest.mark.parametrize("size", ["many", "-1", "1.5", "1" * 19, " 7"])
def test_what_is_no_number_of_bytes_is_told(keys: KeysOnly, size: str) -> None:
    keys.say(f"search,{GOOGLE_KEY},{size}", f"chat,{GOOGLE_KEY},1", header="namespace,key,bytes")
    assert any("line 2: bytes is no whole number" in one.effect for one in keys.scanned().gaps)


def test_what_was_seen_in_a_bucket_that_leaves_the_config_ends_beside_a_gap(tmp_path: Path) -> None:
    """Though a registry names the bucket: of that data it says nothing."""
    with a_small_cloud(tmp_path) as small:
        store = small.cloud.store
        store.add_key(OTHER_KEY)
        store.put("data", "acme/rogue/1", key=OTHER_KEY, version=1, size=100)
        key = store.key(OTHER_KEY)
        assert key is not None
        key.versions[1].state = "DISABLED"
        (tmp_path / "namespaces.csv").write_text(f"bucket,namespace,key\ngs://data,acme/old,{GOOGLE_KEY}\n")
        whole = small.config.read_text()
        small.config.write_text(f"{whole}{FILE}")
        keys = KeysOnly(small.cloud, small.config)
        assert ("data-unreadable", "1") in opened(keys.scanned())
        small.config.write_text(f"{whole[: whole.index('[[bucket]]')]}{FILE}")
        judgement = keys.polled()
        assert ("data-unreadable", "1") not in opened(judgement)
        assert any(
            one.what == "gs://data" and "told as resolved without a look" in one.effect for one in judgement.gaps
        )


@pytest.mark.parametrize(
    ("setting", "expected"),
    [("", True), ("gcp_service_agents = []", True), (f'gcp_service_agents = ["{AGENT}"]', False)],
)
def test_that_nobody_is_named_who_must_be_able_to_decrypt_is_a_gap(
    keys: KeysOnly, setting: str, *, expected: bool
) -> None:
    keys.config.write_text(f"{keys.config.read_text()}\n[platform]\n{setting}\n")
    told = [one.effect for one in keys.scanned().gaps if one.what == "[platform] gcp_service_agents"]
    assert bool(told) is expected
    assert all("2 Google keys is not judged" in one for one in told)


def test_an_empty_list_of_service_agents_is_a_gap_with_buckets_as_well(tmp_path: Path) -> None:
    with a_small_cloud(tmp_path) as small:
        keys = KeysOnly(small.cloud, small.config)
        named = [one.what for one in keys.scanned().gaps]
        assert "[platform] gcp_service_agents" not in named, "each bucket tells its own"
        small.config.write_text(f"{small.config.read_text()}\n[platform]\ngcp_service_agents = []\n")
        (gap,) = (one for one in keys.scanned().gaps if one.what == "[platform] gcp_service_agents")
        assert "a Google key is not judged" in gap.effect


@pytest.mark.parametrize("size", [[], {}, [1], True, 1.5])
def test_what_is_no_number_of_bytes_in_json_is_told_as_well(keys: KeysOnly, size: object) -> None:
    keys.config.write_text(keys.config.read_text().replace("namespaces.csv", "namespaces.jsonl"))
    told = [{"namespace": "search", "key": GOOGLE_KEY, "bytes": size}, {"namespace": "chat", "key": GOOGLE_KEY}]
    (keys.config.parent / "namespaces.jsonl").write_text("\n".join(map(json.dumps, told)))
    assert any("line 1: bytes is no whole number" in one.effect for one in keys.scanned().gaps)


def test_who_answers_for_a_namespace_is_told_by_its_registry_or_by_its_key(keys: KeysOnly) -> None:
    keys.say(
        f"search,{GOOGLE_KEY},acme,ann,storage",
        f"other,{OTHER_KEY},zeta,,",
        header="namespace,key,tenant,owner,team",
    )
    keys.config.write_text(f'{keys.config.read_text()}\n[[key]]\nname = "{OTHER_KEY}"\nteam = "search"\n')
    keys.set_state(3, "DISABLED")
    keys.set_state(1, "DISABLED", OTHER_KEY)
    found = opened(keys.scanned())
    assert [
        (found["data-unreadable", one].extent.owners, found["data-unreadable", one].extent.teams) for one in "31"
    ] == [
        (("ann",), ("storage",)),
        ((), ("search",)),
    ]


def test_who_answers_for_data_under_a_replica_is_told_by_any_replica_of_its_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = AWS_KEY.text.replace("key/", "key/mrk-")
    there = here.replace(AWS_KEY.location, "eu-west-1")
    with an_aws_cloud(monkeypatch) as cloud, a_cloud_of_keys(tmp_path) as keys:
        for arn in (here, there):
            cloud.store.add_key(arn, multi_region=True, state="Disabled")
        keys.say(f"search,{there},")
        of_the_key = f'\n[[key]]\nname = "{here}"\ntenant = "acme"\nowner = "keys"\nteam = "desk"\n'
        keys.config.write_text(keys.config.read_text() + of_the_key)
        extent = opened(keys.scanned())["data-unreadable", there.rpartition("/")[2]].extent
        assert (extent.tenants, extent.owners, extent.teams) == (("acme",), ("keys",), ("desk",))


def test_where_registries_part_no_key_says_who_answers_or_whose_the_data_is(keys: KeysOnly) -> None:
    keys.say(
        f"search,{GOOGLE_KEY},acme,ann,storage",
        f"search,{GOOGLE_KEY},zeta,bob,storage",
        header="namespace,key,tenant,owner,team",
    )
    of_the_key = f'\n[[key]]\nname = "{GOOGLE_KEY}"\ntenant = "acme"\nowner = "keys"\nteam = "desk"\n'
    keys.config.write_text(keys.config.read_text() + of_the_key)
    keys.set_state(3, "DISABLED")
    extent = opened(keys.scanned())["data-unreadable", "3"].extent
    assert (extent.tenants, extent.owners, extent.teams) == ((), (), ("storage",))


def test_entries_that_name_no_namespace_or_no_bucket_are_not_heeded(keys: KeysOnly) -> None:
    keys.say(f"gs://theirs,,{GOOGLE_KEY},", f"theirs,chat,{GOOGLE_KEY},", f",mail,{GOOGLE_KEY},", header=HEADER)
    judgement = keys.scanned()
    assert [(one.holding.bucket, one.holding.namespaces) for one in judgement.assessed] == [
        ("registry namespaces.csv", 1)
    ]
    (gap,) = (one for one in judgement.gaps if one.what.startswith("registry"))
    assert "2 of its entries are not heeded" in gap.effect


def test_what_registries_call_things_reaches_no_terminal_unescaped(
    keys: KeysOnly, capsys: pytest.CaptureFixture[str]
) -> None:
    keys.set_state(3, "DISABLED")
    keys.say(f"gs://a\x1b[2Jb,<script>\x1b[31m,{GOOGLE_KEY},ten\x1b]0;ant", header=HEADER)
    judgement = keys.scanned()
    (finding,) = opened(judgement).values()
    for argv in (["poll"], ["explain", finding.id], ["impact", GOOGLE_KEY], ["retire"], ["diff"]):
        assert "\x1b" not in told(keys, capsys, *argv)[1], argv
    _, page = told(keys, capsys, "report", "--as", "html", "--output", "-")
    assert "\x1b" not in page
    assert "<script>\\x1b" not in page


@pytest.mark.parametrize(
    ("more", "wrong"),
    [
        (f'{FILE}fields = {{ org = "acme" }}\n', "gives fields, which only the layout of a [[bucket]] has"),
        ('[[registry]]\nkind = "turbopuffer"\nregion = "aws-us-east-1"\n', "api_key_env is missing"),
        (
            f"{BUCKET}{TURBOPUFFER}",
            "bucket is missing",
        ),
    ],
)
def test_a_config_that_cannot_be_meant_is_refused(tmp_path: Path, more: str, wrong: str) -> None:
    config = tmp_path / "auditor.toml"
    config.write_text(more)
    with pytest.raises(UsageError, match=re.escape(wrong)):
        load(config)


def test_an_estimate_without_buckets_tells_what_registries_would_be_asked(
    keys: KeysOnly, capsys: pytest.CaptureFixture[str]
) -> None:
    before = len(keys.cloud.traffic.requests)
    code, said = told(keys, capsys, "scan", "--estimate")
    assert (code, "No request was made to any bucket" in said) == (0, True)
    assert "No bucket is configured: a scan sweeps none." in said
    assert "sweep, by what the last one counted" not in said
    assert "at least" not in said
    assert len(keys.cloud.traffic.requests) == before


def test_a_namespace_under_several_keys_counts_once(keys: KeysOnly, capsys: pytest.CaptureFixture[str]) -> None:
    keys.say(*(f"{name},{key},acme" for name in ("search", "chat") for key in (GOOGLE_KEY, OTHER_KEY)))
    for version in (1, 2, 3):
        keys.set_state(version, "DISABLED")
    judgement = keys.scanned()
    assert judgement.spaces == keys.polled().spaces, "as the ledger kept it"
    assert "2 of 2 namespaces are under keys that cannot be used now" in summary.verdict(judgement)
    totals = document(keys, capsys, "poll")["totals"]
    each = {name: one["namespaces"] for name, one in totals["by_readability"].items() if one["namespaces"]}
    assert (totals["namespaces"], each) == (2, {"unreadable": 2, "readable": 2})
    _, page = told(keys, capsys, "report", "--as", "html", "--output", "-")
    assert "2 namespaces by registries" in page
    keys.set_state(1, "DISABLED", OTHER_KEY)
    assert "2 of 2 namespaces are under keys" in summary.verdict(keys.polled())


def test_what_an_older_version_judged_says_that_it_counted_some_twice(keys: KeysOnly) -> None:
    keys.say(*(f"{name},{key},acme" for name in ("search", "chat") for key in (GOOGLE_KEY, OTHER_KEY)))
    older = replace(keys.scanned(), spaces=None)
    assert "4 namespaces (one under several keys counted with each)" in summary.verdict(older)
    assert scan_json.head(older)["totals"]["namespaces"] is None


def test_what_a_registry_says_twice_of_a_namespace_counts_once(keys: KeysOnly) -> None:
    twice = (f"search,{GOOGLE_KEY},acme", "mail,,acme") * 2
    keys.say(*twice, f"mail,{GOOGLE_KEY},acme")
    judgement = keys.scanned()
    assert judgement.registered.registries[0].namespaces == 2
    assert "1 of 1 registry read (2 namespaces)," in summary.complete(judgement)
    assert not [one for one in judgement.gaps if one.what.startswith("registry")], "of each it names a key"


def test_a_dispute_tells_the_namespaces_that_it_is_about_and_no_objects(keys: KeysOnly) -> None:
    keys.say(f"search,{GOOGLE_KEY},acme", f"search,{OTHER_KEY},zeta", f"chat,{GOOGLE_KEY},acme")
    ((_, one),) = opened(keys.scanned()).items()
    assert (one.rule, one.extent.objects, one.extent.size, one.extent.namespaces) == (
        "registry-mismatch",
        None,
        None,
        1,
    )
    assert one.extent.sample_namespaces == ("registry namespaces.csv/search",)
    keys.say(f"search,{GOOGLE_KEY},acme", f"mail,{OTHER_KEY},zeta", f"chat,{GOOGLE_KEY},acme")
    assert not opened(keys.polled())


def test_the_coverage_line_sums_up_no_registries_that_may_name_the_same_namespaces(keys: KeysOnly) -> None:
    keys.config.write_text(keys.config.read_text() + UNREAD)
    (keys.config.parent / "other.csv").write_text(f"namespace,key\nsearch,{GOOGLE_KEY}\nmine,alias/main\n")
    keys.say(f"search,{GOOGLE_KEY},acme", f"chat,{GOOGLE_KEY},acme", "mail,alias/main,acme")
    # An entry that cannot be used is a gap of a registry that was read now.
    assert "2 of 2 registries read (2 and 1 namespaces)," in summary.complete(keys.scanned())
    (keys.config.parent / "other.csv").unlink()
    told = "2 of 2 registries read (1 of them not now but before; 2 and 1 namespaces),"
    assert told in summary.complete(keys.polled())


def test_of_many_registries_the_sum_is_called_one(keys: KeysOnly) -> None:
    every = [f"r{number}" for number in range(6)]
    keys.config.write_text(keys.config.read_text() + "".join(FILE.replace("namespaces", one) for one in every))
    for one in every:
        (keys.config.parent / f"{one}.csv").write_text(f"namespace,key\nsearch,{GOOGLE_KEY}\n")
    told = "7 of 7 registries read (10 namespaces, one that several name counted with each),"
    assert told in summary.complete(keys.scanned())


def test_no_text_says_registry_twice_of_one(keys: KeysOnly, capsys: pytest.CaptureFixture[str]) -> None:
    keys.set_state(3, "DISABLED")
    keys.scanned()
    keys.say(f"search,{GOOGLE_KEY},acme", f"chat,{GOOGLE_KEY}/cryptoKeyVersions/1,acme")
    found = opened(keys.polled())
    _, said = told(keys, capsys, "diff")
    assert "registry namespaces.csv: 4 namespaces" in said
    texts = [said, told(keys, capsys, "report", "--as", "html", "--output", "-")[1]]
    texts += [told(keys, capsys, "explain", one.id)[1] for one in found.values()]
    assert any(one.rule == "registry-mismatch" for one in found.values())
    for text in texts:
        assert not re.search(r"registry\s+(<[^>]*>)*registr", text)


def test_what_is_not_known_of_a_denied_key_is_called_proven_by_nothing(
    keys: KeysOnly, capsys: pytest.CaptureFixture[str]
) -> None:
    keys.config.write_text(f'{keys.config.read_text()}[[key]]\nname = "{GOOGLE_KEY}"\nintended_state = "revoked"\n')
    for call in ("cryptoKeys.get", "cryptoKeyVersions.list"):
        keys.cloud.store.deny(f"cloudkms.{call}", GOOGLE_KEY)
    keys.scanned()
    (line,) = (one for one in told(keys, capsys, "prove-revoked", GOOGLE_KEY)[1].splitlines() if one[:4] == "data")
    assert " unknown: " in line
    assert "proven by" not in line
    assert "inferred by" not in line
    found = document(keys, capsys, "prove-revoked", GOOGLE_KEY)
    Draft202012Validator(revocation_json.schema()).validate(found)
    assert {(one["readability"], one["confidence"]) for one in found["parts"]} == {("unknown", None)}


def test_who_did_it_is_found_by_any_name_of_the_key(keys: KeysOnly) -> None:
    by_number = GOOGLE_KEY.replace("projects/acme/", "projects/123456/")
    logging = f'logging_endpoint = "{keys.cloud.endpoint}"\nkms_endpoint'
    table = f'[[key]]\nname = "{GOOGLE_KEY}"\n'
    keys.config.write_text(keys.config.read_text().replace("kms_endpoint", logging) + table)
    keys.say(f"chat,{by_number},acme")
    keys.scanned()
    keys.set_state(3, "DISABLED")
    state = {"cryptoKeyVersion": {"state": "DISABLED"}}
    keys.cloud.store.note("UpdateCryptoKeyVersion", f"{GOOGLE_KEY}/cryptoKeyVersions/3", state)
    found = {one.subject.id: one for one in keys.polled().findings if one.rule == "data-unreadable"}
    assert found.keys() == {f"{by_number}/cryptoKeyVersions/3"}
    assert all(one.actor is not None for one in found.values()), [one.unattributed for one in found.values()]
