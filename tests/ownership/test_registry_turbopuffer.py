"""turbopuffer as a registry: what its API says of namespaces, what of it is kept, and what of it is not known."""

import json
import logging
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from auditor import cli, scan
from auditor.config import load
from auditor.connectors.registry_turbopuffer import Account, TurbopufferRegistry
from auditor.connectors.wire import Wire
from auditor.embedded.turbopuffer import customer_managed
from auditor.errors import ReadOnlyError, UsageError
from auditor.findings import Finding, Judgement, Status, Verdict
from auditor.locks import held
from auditor.model import Gap, Reason
from auditor.ports import Asking
from tests.clouds import GOOGLE_KEY
from tests.test_fleet import NoProgress
from tests.turbopuffer_cloud import API_KEY, OTHER_KEY, Registered, a_registered_cloud, gaps_of

RULES = {"wrong-key", "not-customer-managed", "orphan-objects", "foreign-tenant-key"}


@pytest.fixture
def cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Registered]:
    with a_registered_cloud(tmp_path, monkeypatch) as running:
        yield running


def found(judgement: Judgement) -> dict[str, Finding]:
    """The open findings that registries have a part in, by rule."""
    return {one.rule: one for one in judgement.findings if one.rule in RULES and one.status is Status.OPEN}


def the_gap(judgement: Judgement) -> Gap:
    (one,) = gaps_of(judgement)
    return one


def metadata(cloud: Registered) -> list[str]:
    """The namespaces that were asked about so far."""
    return [one.split("/")[3] for one in cloud.asked("/metadata")]


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


def test_data_under_no_key_where_it_names_one_is_found(cloud: Registered) -> None:
    cloud.platform.put("plain", customer_managed(GOOGLE_KEY))
    (one,) = found(cloud.scanned()).values()
    assert (one.rule, one.extent.objects) == ("not-customer-managed", 1)


@pytest.mark.parametrize(
    "encryption",
    [
        {"cmek": {"key_name": OTHER_KEY}},
        {"mode": "customer-managed", "key_name": OTHER_KEY, "encryption_context": {"team": "a"}},
        {"mode": "customer-managed", "key_name": OTHER_KEY, "cmek": None},
    ],
)
def test_a_key_is_understood_in_every_form_that_the_platform_has_written_it_in(
    cloud: Registered, encryption: dict[str, Any]
) -> None:
    cloud.platform.put("new", encryption)
    assert set(found(cloud.scanned())) == {"wrong-key"}


@pytest.mark.parametrize("encryption", [{"mode": "default"}, {"sse": True}, {"mode": "default", "key_name": None}])
def test_no_customers_key_is_understood_in_every_form_as_well(cloud: Registered, encryption: dict[str, Any]) -> None:
    cloud.platform.put("plain", encryption)
    judgement = cloud.scanned()
    assert (found(judgement), gaps_of(judgement)) == ({}, [])


ODD: dict[str, tuple[object, str]] = {
    "nothing": (None, "in no form that is known"),
    "a word": ("default", "in no form that is known"),
    "another mode": ({"mode": "hybrid"}, "in no form that is known"),
    "no key": ({"mode": "customer-managed"}, "in no form that is known"),
    "a key and none": ({"mode": "default", "key_name": GOOGLE_KEY}, "in no form that is known"),
    "no sse": ({"sse": False}, "in no form that is known"),
    "1 for true": ({"sse": 1}, "in no form that is known"),
    "two ways at once": ({"sse": True, "cmek": {"key_name": GOOGLE_KEY}}, "in no form that is known"),
    "an alias": (customer_managed("arn:aws:kms:us-east-1:111122223333:alias/main"), "its key is an alias"),
    "a version": (customer_managed(f"{GOOGLE_KEY}/cryptoKeyVersions/1"), "its key is a key version"),
    "no key's name": (customer_managed("main\x1b[31m"), "its key is not the full name of a key"),
}


@pytest.mark.parametrize(("encryption", "why"), ODD.values(), ids=ODD)
def test_what_is_said_of_a_key_in_no_known_form_is_unknown_and_never_none(
    cloud: Registered, encryption: object, why: str
) -> None:
    cloud.platform.put("plain", encryption)
    judgement = cloud.scanned()
    assert found(judgement) == {}, "the namespace is known all the same"
    gap = the_gap(judgement)
    assert gap.reason is Reason.MALFORMED
    assert gap.effect.startswith("of 1 of 3 namespaces the registry's key is not known: ")
    assert why in gap.effect


def test_an_id_that_no_namespace_can_have_is_a_gap_and_is_asked_about_by_nobody(cloud: Registered) -> None:
    for name in ("a/b", "..", "x" * 129, "a\x1b[2J"):
        cloud.platform.put(name)
    judgement = cloud.scanned()
    assert "4 of its entries are not heeded; the first is entry 1 of the odd ones: its id" in the_gap(judgement).effect
    assert sorted(metadata(cloud)) == ["new", "old", "plain"]
    assert "\x1b" not in the_gap(judgement).effect


def test_data_of_namespaces_that_are_gone_from_the_list_is_orphaned(cloud: Registered) -> None:
    cloud.scanned()
    cloud.platform.delete("old")
    judgement = cloud.scanned()
    (one,) = found(judgement).values()
    assert (one.rule, one.extent.sample_namespaces) == ("orphan-objects", ("gs://data/acme/old",))
    assert "branches" not in one.cause


def test_leftovers_of_a_namespace_with_branches_may_be_needed_and_that_is_told(cloud: Registered) -> None:
    cloud.platform.put("branch", customer_managed(GOOGLE_KEY), branching={"parent": "old"})
    cloud.platform.delete("old")
    (one,) = found(cloud.scanned()).values()
    assert one.rule == "orphan-objects"
    assert "knows branches of some of them, which may still need that data" in one.cause


def test_a_branch_of_one_that_is_there_explains_no_leftovers_of_another(cloud: Registered) -> None:
    cloud.platform.put("branch", customer_managed(GOOGLE_KEY), branching={"parent": "new"})
    cloud.platform.delete("old")
    (one,) = found(cloud.scanned()).values()
    assert "branches" not in one.cause


def test_a_namespace_that_is_deleted_between_list_and_metadata_leaves(cloud: Registered) -> None:
    cloud.service.traffic.fail("/old/metadata", status=404)
    cloud.service.traffic.fail("prefix=old", status=200, body=b'{"namespaces": [{"id": "older"}]}')
    judgement = cloud.scanned()
    assert gaps_of(judgement) == []
    assert set(found(judgement)) == {"orphan-objects"}


@pytest.mark.parametrize("more", [{}, {"next_cursor": "x"}, None])
def test_one_that_is_listed_still_stays_whatever_its_metadata_answers(
    cloud: Registered, more: dict[str, str] | None
) -> None:
    cloud.service.traffic.fail("/metadata", status=404)
    if more is None:
        cloud.service.traffic.fail("prefix=", status=500)
    elif more:
        cloud.service.traffic.fail("prefix=", status=200, body=json.dumps({"namespaces": [], **more}).encode())
    judgement = cloud.scanned()
    assert found(judgement) == {}, "a path that this region does not have empties no registry"
    assert "of 3 of 3 namespaces the registry's key is not known: it does not tell" in the_gap(judgement).effect
    assert judgement.registered.registries[0].namespaces == 3


def test_the_list_is_read_page_by_page(cloud: Registered, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("auditor.embedded.turbopuffer._LARGEST_PAGE", 100)
    for number in range(250):
        cloud.platform.put(f"more-{number}")
    judgement = cloud.scanned()
    assert judgement.registered.registries[0].namespaces == 253
    assert len(cloud.asked("/v1/namespaces?")) == 3
    assert found(judgement) == {}


def test_a_poll_asks_nothing_and_judges_by_what_is_kept(cloud: Registered) -> None:
    cloud.scanned()
    before = len(cloud.asked())
    cloud.platform.put("new", customer_managed(OTHER_KEY))
    judgement = cloud.polled()
    assert (len(cloud.asked()), found(judgement), gaps_of(judgement)) == (before, {}, [])


def test_metadata_is_read_once_and_again_only_when_it_is_old(cloud: Registered) -> None:
    cloud.scanned()
    assert sorted(metadata(cloud)) == ["new", "old", "plain"]
    cloud.scanned()
    assert len(metadata(cloud)) == 3
    cloud.platform.put("new", customer_managed(OTHER_KEY))
    cloud.clock.ahead = timedelta(days=6, hours=23)
    assert found(cloud.scanned()) == {}
    cloud.clock.ahead = timedelta(days=7, hours=1)
    assert set(found(cloud.scanned())) == {"wrong-key"}
    assert len(metadata(cloud)) == 6


def test_a_sweep_asks_about_no_more_namespaces_than_it_may_and_never_first(cloud: Registered) -> None:
    cloud.set(metadata_per_sweep=2)
    judgement = cloud.scanned()
    gap = the_gap(judgement)
    assert (gap.reason, len(metadata(cloud))) == (Reason.NOT_FOUND, 2)
    assert "of 1 of 3 namespaces the registry's key is not known: it was not asked about them yet" in gap.effect
    assert found(judgement) == {}, "it is known that they exist"
    assert gaps_of(cloud.scanned()) == []
    assert sorted(metadata(cloud)) == ["new", "old", "plain"]
    cloud.platform.put("later", customer_managed(GOOGLE_KEY))
    cloud.clock.ahead = timedelta(days=8)
    cloud.scanned()
    assert "later" in metadata(cloud)[3:], "of the new one nothing is known at all"
    assert len(metadata(cloud)) == 5


def test_only_its_list_and_metadata_are_ever_asked_for(cloud: Registered) -> None:
    cloud.scanned()
    seen = {(one.verb, re.sub(r"/(old|new|plain)/", "/*/", one.target)) for one in cloud.service.traffic.requests}
    assert seen == {("GET", "/v1/namespaces?page_size=1000"), ("GET", "/v2/namespaces/*/metadata")}


def test_a_request_that_changes_something_is_refused_before_it_is_sent(cloud: Registered) -> None:
    account = Account(cloud.service.endpoint, "TPUF_KEY_OF_TESTS", 1_000.0)
    registry = TurbopufferRegistry(account, "registry x", Wire(cloud.clock), "cmek-auditor/test", retries=0)
    registry.ready()
    for call in ("delete_all", "hint_cache_warm", "query", "write", "schema"):
        with pytest.raises(ReadOnlyError):
            registry._answered(lambda client, call=call: getattr(client._one._namespaces, call)(namespace="old"))  # type: ignore[misc]  # noqa: SLF001 - what no method of ours asks for
    assert cloud.asked() == []


def test_whoever_was_killed_had_kept_what_was_said_until_then(cloud: Registered) -> None:
    class Killed(NoProgress):
        def asking(self, at: Asking) -> None:
            if at.described == 2:
                raise KeyboardInterrupt

    assembly = cloud.assembled()
    with pytest.raises(KeyboardInterrupt):
        scan.scan(assembly.parts, Killed())
    assert [one.bucket for one in assembly.ledger.sweeps()] == ["gs://data"], "no sweep waits for metadata"
    assembly.close()
    (learnt,) = cloud.state.glob("registry/service-*/learnt.jsonl")
    kept = {json.loads(line)["name"] for line in learnt.read_text().splitlines()}
    with learnt.open("a") as file:
        file.write('{"name": "pla')
    before = len(metadata(cloud))
    assert (gaps_of(cloud.scanned()), len(kept) >= 1) == ([], True)
    # What was asked when it was killed may arrive only now.
    assert set(metadata(cloud)[before:]) == {"new", "old", "plain"} - kept


def test_two_processes_do_not_ask_it_at_once(cloud: Registered) -> None:
    cloud.scanned()
    before = len(cloud.asked())
    (home,) = cloud.state.glob("registry/service-*")
    with held(home / "lock", UsageError("busy")):
        judgement = cloud.scanned()
    assert (len(cloud.asked()), gaps_of(judgement)) == (before, [])


def test_what_is_kept_and_was_changed_is_asked_anew(cloud: Registered) -> None:
    cloud.scanned()
    (table,) = cloud.state.glob("registry/service-*/known-*.parquet")
    table.write_bytes(table.read_bytes()[:-9])
    judgement = cloud.scanned()
    assert (found(judgement), gaps_of(judgement), len(metadata(cloud))) == ({}, [], 6)


PAGE = json.dumps({"namespaces": [{"id": "old"}], "next_cursor": "old"}).encode()
UNREAD: dict[str, tuple[dict[str, Any], Reason, str]] = {
    "its key is not taken": ({"status": 401}, Reason.EXPIRED_CREDENTIALS, "HTTP 401"),
    "it is refused": ({"status": 403}, Reason.ACCESS_DENIED, "HTTP 403"),
    "it is not there": ({"status": 404}, Reason.NOT_FOUND, "HTTP 404"),
    "it is asked too often": ({"status": 429}, Reason.THROTTLED, "HTTP 429"),
    "it is out of order": ({"status": 500}, Reason.TIMEOUT, "HTTP 500"),
    "it hangs up": ({"drop": True}, Reason.TIMEOUT, "no answer (RemoteProtocolError)"),
    "it breaks off": ({"cut": True}, Reason.TIMEOUT, "no answer (RemoteProtocolError)"),
    "it leads elsewhere": (
        {"status": 302, "body": b"", "headers": {"Location": "http://127.0.0.1:1/"}},
        Reason.TIMEOUT,
        "HTTP 302",
    ),
    "it is no JSON": ({"status": 200, "body": b"<html>"}, Reason.MALFORMED, "cannot be understood"),
    "it is no list": ({"status": 200, "body": b"[]"}, Reason.MALFORMED, "cannot be understood"),
    "an entry has no id": ({"status": 200, "body": b'{"namespaces": [{}]}'}, Reason.MALFORMED, "cannot be understood"),
    "a cursor is no text": (
        {"status": 200, "body": b'{"namespaces": [], "next_cursor": 1}'},
        Reason.MALFORMED,
        "cannot be understood",
    ),
    "it is packed": (
        {"status": 200, "body": b"\x1f\x8b", "headers": {"Content-Encoding": "gzip"}},
        Reason.MALFORMED,
        "no answer (TooMuchError)",
    ),
    "it goes round in a circle": ({"status": 200, "body": PAGE}, Reason.MALFORMED, "round in a circle"),
}


@pytest.mark.parametrize(("fault", "reason", "told"), UNREAD.values(), ids=UNREAD)
def test_what_it_said_last_counts_where_its_list_cannot_be_read(
    cloud: Registered, fault: dict[str, Any], reason: Reason, told: str
) -> None:
    cloud.platform.put("new", customer_managed(OTHER_KEY))
    cloud.scanned()
    cloud.service.traffic.fail("/v1/namespaces", **fault)
    for judgement in (cloud.scanned(), cloud.polled()):
        assert set(found(judgement)) == {"wrong-key"}
        gap = the_gap(judgement)
        assert gap.reason is reason
        assert told in gap.effect
        assert "; what it said on 20" in gap.effect
        assert judgement.registered.registries[0].namespaces == 3
    cloud.service.traffic.heal()
    assert gaps_of(cloud.scanned()) == []


def test_where_it_cannot_be_listed_nothing_is_paid_for(cloud: Registered) -> None:
    cloud.scanned()
    cloud.clock.ahead = timedelta(days=8)
    cloud.service.traffic.fail("/v1/namespaces", status=500)
    cloud.scanned()
    assert len(metadata(cloud)) == 3


def test_what_another_process_could_ask_meanwhile_is_no_failure_any_more(cloud: Registered) -> None:
    cloud.service.traffic.fail("/v1/namespaces", status=500)
    daemon = cloud.assembled()
    assert len(gaps_of(scan.scan(daemon.parts, NoProgress()))) == 1
    cloud.service.traffic.heal()
    cloud.scanned()
    assert gaps_of(scan.poll(daemon.parts, NoProgress())) == []
    daemon.close()


def test_a_list_that_breaks_off_half_way_is_none(cloud: Registered) -> None:
    cloud.scanned()
    cloud.platform.delete("new")
    cloud.service.traffic.fail("page_size=1000", status=200, body=PAGE, times=1)
    cloud.service.traffic.fail("cursor=old", status=500)
    judgement = cloud.scanned()
    assert found(judgement) == {}
    assert judgement.registered.registries[0].namespaces == 3
    assert the_gap(judgement).reason is Reason.TIMEOUT


def test_a_list_of_empty_pages_without_end_is_given_up(cloud: Registered) -> None:
    def answers(number: int) -> bytes:
        return json.dumps({"namespaces": [], "next_cursor": str(number)}).encode()

    for number in range(200):
        cloud.service.traffic.fail("/v1/namespaces", status=200, body=answers(number), times=1)
    judgement = cloud.scanned()
    assert the_gap(judgement).reason is Reason.MALFORMED
    assert len(cloud.asked("/v1/namespaces?")) < 150


def test_where_it_was_never_read_nothing_is_refuted(cloud: Registered) -> None:
    cloud.service.traffic.fail("/v1/namespaces", status=401)
    judgement = cloud.scanned()
    assert found(judgement) == {}
    gap = the_gap(judgement)
    assert (gap.reason, "which key data is to be under is not known" in gap.effect) == (
        Reason.EXPIRED_CREDENTIALS,
        True,
    )
    counts = {one.rule: one.counts for one in judgement.tallies}["wrong-key"]
    assert (counts[Verdict.UNKNOWN], counts[Verdict.PASSED]) == (1, 0)


def test_before_the_first_sweep_a_poll_says_that_it_was_not_asked(cloud: Registered) -> None:
    gap = the_gap(cloud.polled())
    assert (gap.reason, "was not asked yet" in gap.effect, cloud.asked()) == (Reason.NOT_FOUND, True, [])


def test_whoever_is_asked_to_wait_waits_and_reads_on(cloud: Registered) -> None:
    body = b'{"status": "error", "error": "slow down"}'
    for match in ("/v1/namespaces", "/old/metadata"):
        cloud.service.traffic.fail(match, status=429, body=body, headers={"Retry-After": "0.01"}, times=2)
    assert gaps_of(cloud.scanned()) == []
    assert metadata(cloud).count("old") == 3


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ({"status": 400}, Reason.MALFORMED),
        ({"status": 403}, Reason.ACCESS_DENIED),
        ({"status": 500}, Reason.TIMEOUT),
        ({"status": 200, "body": b"{"}, Reason.MALFORMED),
        ({"status": 200, "body": b"[]"}, Reason.MALFORMED),
        ({"status": 200, "body": b'{"encryption": {"sse": true}, "encryption": 1}'}, Reason.MALFORMED),
    ],
)
def test_a_namespace_that_tells_nothing_any_more_keeps_what_was_said_of_it(
    cloud: Registered, fault: dict[str, Any], reason: Reason
) -> None:
    cloud.platform.put("new", customer_managed(OTHER_KEY))
    cloud.scanned()
    cloud.clock.ahead = timedelta(days=8)
    cloud.service.traffic.fail("/new/metadata", **fault)
    judgement = cloud.scanned()
    assert set(found(judgement)) == {"wrong-key"}
    gap = the_gap(judgement)
    assert gap.reason is reason
    assert gap.effect.startswith("of 1 of 3 namespaces it tells nothing now (")
    assert "what it said of them counts, the oldest of 20" in gap.effect


def test_one_that_never_told_anything_is_known_to_exist_and_asked_again_each_time(cloud: Registered) -> None:
    cloud.platform.put("new", customer_managed(OTHER_KEY))
    cloud.service.traffic.fail("/new/metadata", status=403)
    for _ in range(2):
        judgement = cloud.scanned()
        assert found(judgement) == {}
        gap = the_gap(judgement)
        assert gap.reason is Reason.ACCESS_DENIED
        assert "of 1 of 3 namespaces the registry's key is not known: it does not tell (access denied)" in gap.effect
    assert metadata(cloud).count("new") == 2
    cloud.service.traffic.heal()
    assert set(found(cloud.scanned())) == {"wrong-key"}


def test_one_that_is_out_of_order_is_not_asked_about_all_others(cloud: Registered) -> None:
    for number in range(300):
        cloud.platform.put(f"more-{number}")
    cloud.service.traffic.fail("/metadata", status=403)
    cloud.scanned()
    first = set(metadata(cloud))
    assert 50 <= len(first) < 70
    cloud.service.traffic.heal()
    cloud.scanned()
    assert set(metadata(cloud)[len(first) :]) | first == {*(f"more-{one}" for one in range(300)), "old", "new", "plain"}


def test_what_nobody_asked_for_long_is_told(cloud: Registered) -> None:
    cloud.scanned()
    cloud.clock.ahead = timedelta(hours=25)
    gap = the_gap(cloud.polled())
    assert (gap.reason, "it was not asked since" in gap.effect) == (Reason.TIMEOUT, True)


def test_a_disk_that_takes_nothing_is_a_gap_and_ends_no_sweep(cloud: Registered) -> None:
    cloud.scanned()
    (home,) = cloud.state.glob("registry/service-*")
    assembly = cloud.assembled()
    (home / ".writing-listed").mkdir()
    try:
        judgement = scan.scan(assembly.parts, NoProgress())
    finally:
        assembly.close()
    gap = the_gap(judgement)
    assert (gap.reason, "what a registry says cannot be kept: " in gap.effect) == (Reason.UNSUPPORTED, True)
    assert all(one.complete for one in judgement.coverage.buckets)


def test_a_defect_of_ours_is_a_gap_and_ends_no_sweep(cloud: Registered, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("auditor.connectors.registry_turbopuffer.parse_page", broken)
    judgement = cloud.scanned()
    assert "by a defect: ZeroDivisionError" in the_gap(judgement).effect
    assert all(one.complete for one in judgement.coverage.buckets)


def test_the_clients_own_log_stays_closed_whatever_its_environment_asks_for(cloud: Registered) -> None:
    echo = {"X-Echo": f"{API_KEY}\x07"}
    cloud.service.traffic.fail("/new/metadata", status=400, message="no", headers=echo)
    code = "from auditor.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, *cloud.small.argv("scan", "--verbose")],
        env={**os.environ, "TURBOPUFFER_LOG": "debug"},
        check=False,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, "registry turbopuffer" in done.stdout) == (3, True)
    for told in (API_KEY, "X-Echo", "x-echo", "HTTP Request", "\x07"):
        assert told not in done.stdout + done.stderr


def test_its_key_is_written_down_nowhere(
    cloud: Registered, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    cloud.service.traffic.fail("/new/metadata", status=401, message=f"no key {API_KEY}")
    for how in ("json", "table"):
        cli._run(cloud.small.argv("scan", "--verbose", "--format", how))  # noqa: SLF001 - as a user would
    cloud.service.traffic.fail("/v1/namespaces", status=200, body=json.dumps({"error": API_KEY}).encode())
    cli._run(cloud.small.argv("scan", "--verbose"))  # noqa: SLF001 - as a user would
    out, err = capsys.readouterr()
    ours = [one.getMessage() for one in caplog.records if one.name.startswith(("auditor", "turbopuffer", "httpx2"))]
    kept = b"".join(one.read_bytes() for one in cloud.state.rglob("*") if one.is_file())
    assert "registry turbopuffer" in out
    for told in (out, err, "\n".join(ours), cloud.small.config.read_text()):
        assert API_KEY not in told
    assert API_KEY.encode() not in kept


@pytest.mark.parametrize(
    ("key", "told"),
    [(None, "environment variable TPUF_KEY_OF_TESTS is not set"), ("tpuf_x\n", "holds is no API key")],
)
def test_without_a_key_a_scan_begins_nothing_and_a_poll_needs_none(
    cloud: Registered,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    key: str | None,
    told: str,
) -> None:
    cloud.scanned()
    before = len(cloud.asked()), len(cloud.small.cloud.traffic.requests)
    monkeypatch.delenv("TPUF_KEY_OF_TESTS")
    if key is not None:
        monkeypatch.setenv("TPUF_KEY_OF_TESTS", key)
    assert cli._run(cloud.small.argv("scan")) == 2  # noqa: SLF001 - as a user would
    err = capsys.readouterr().err
    assert told in err
    assert "hint: " in err
    assert "tpuf_x" not in err
    assert (len(cloud.asked()), len(cloud.small.cloud.traffic.requests)) == before
    assert gaps_of(cloud.polled()) == []


def test_without_its_client_the_extra_is_named(
    cloud: Registered, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delitem(sys.modules, "auditor.connectors.turbopuffer_client", raising=False)
    monkeypatch.setitem(sys.modules, "turbopuffer", None)
    assert cli._run(cloud.small.argv("scan")) == 2  # noqa: SLF001 - as a user would
    err = capsys.readouterr().err
    assert "the client of turbopuffer is not installed" in err
    assert "pip install 'cmek-auditor[turbopuffer]'" in err


SETTINGS = {
    "kind": '"turbopuffer"',
    "region": '"gcp-us-east1"',
    "api_key_env": '"TPUF_KEY"',
    "bucket": '"gs://data"',
    "fields": '{ org = "acme" }',
}
REFUSED: dict[str, tuple[dict[str, str | None], str]] = {
    "no variable": ({"api_key_env": None}, 'api_key_env is missing: kind = "turbopuffer" needs it'),
    "no bucket": ({"bucket": None}, 'bucket is missing: kind = "turbopuffer" needs it'),
    "no place": ({"region": None}, "region is missing"),
    "the key itself": ({"api_key_env": '"tpuf_SECRETSECRET"'}, "is not the name of an environment variable"),
    "no name": ({"api_key_env": '"MY KEY"'}, "is not the name of an environment variable"),
    "a setting of a file": ({"path": '"a.csv"'}, 'path is a setting of kind = "file"'),
    "a field too few": ({"fields": None}, "does not give field 'org' of layout"),
    "a field too many": ({"fields": '{ org = "acme", team = "x" }'}, "gives field 'team', which layout"),
    "its own field": ({"fields": '{ org = "acme", namespace = "x" }'}, "gives field 'namespace', which its ids are"),
    "another cloud": ({"region": '"aws-us-east-1"'}, "is in another cloud than region aws-us-east-1"),
    "two regions": ({"base_url": '"https://gcp-us-west1.turbopuffer.com"'}, "base_url is of region gcp-us-west1"),
    "no region": ({"region": '"us-east1"'}, "is not the name of a region of turbopuffer"),
    "plain http": ({"base_url": '"http://10.0.0.1"'}, "would send the API key over plain http"),
    "a path": ({"base_url": '"https://host/v1"'}, "is not an endpoint"),
    "a password": ({"base_url": '"https://u:SECRETSECRET@host"'}, "'https://...@host' is not an endpoint"),
    "a password in a list": ({"base_url": '["https://u:SECRETSECRET@host"]'}, "not ['https://...@host']"),
    "a long password": ({"base_url": f'"https://u:{"SECRETSECRET" * 40}@host"'}, "'https://...@host' is not"),
    "no budget": ({"metadata_per_sweep": "0"}, "greater than or equal to 1"),
    "unknown setting": ({"api_key": '"tpuf_SECRETSECRET"'}, "there is no such setting"),
    "an unknown kind": ({"kind": '"api"'}, "'file', 'turbopuffer' or 'bundle'"),
}


def a_config(folder: Path, changed: Mapping[str, str | None], layout: str = "{org}/{namespace}/") -> Path:
    path = folder / "auditor.toml"
    lines = [f"{name} = {value}" for name, value in {**SETTINGS, **changed}.items() if value is not None]
    path.write_text(f'[[bucket]]\nurl = "gs://data"\nlayout = "{layout}"\n[[registry]]\n' + "\n".join(lines))
    return path


@pytest.mark.parametrize(("changed", "told"), REFUSED.values(), ids=REFUSED)
def test_a_config_that_cannot_be_is_refused_and_tells_no_key(
    tmp_path: Path, changed: dict[str, str | None], told: str
) -> None:
    with pytest.raises(UsageError) as refused:
        load(a_config(tmp_path, changed))
    assert told in str(refused.value)
    assert refused.value.hint
    assert "SECRETSECRET" not in f"{refused.value}{refused.value.hint}"


def test_a_layout_without_the_field_that_its_ids_are_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"has no field \{namespace\}, which its ids are"):
        load(a_config(tmp_path, {}, layout="{org}/{space}/"))


def test_a_file_without_a_path_is_refused(tmp_path: Path) -> None:
    changed = {**dict.fromkeys(("region", "api_key_env", "fields")), "kind": '"file"'}
    with pytest.raises(UsageError, match=r'path is missing: kind = "file" needs it'):
        load(a_config(tmp_path, changed))


def test_a_region_alone_says_where_its_api_is(tmp_path: Path) -> None:
    (one,) = load(a_config(tmp_path, {})).registry
    assert (one.url, one.metadata_per_sweep, one.reread_days) == ("https://gcp-us-east1.turbopuffer.com", 20_000, 7)
    private = a_config(tmp_path, {"base_url": '"https://privatelink.gcp-us-east1.turbopuffer.com/"'})
    assert load(private).registry[0].url == "https://privatelink.gcp-us-east1.turbopuffer.com"


def test_the_estimate_names_what_a_sweep_would_ask(
    cloud: Registered, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for page in ("connectors.registry_turbopuffer._PAGE", "inventory.asked._A_PAGE"):
        monkeypatch.setattr(f"auditor.{page}", 100)
    argv = cloud.small.argv("scan", "--estimate")
    cli._run(argv)  # noqa: SLF001 - as a user would
    name = "registry turbopuffer gcp-us-east1 org=acme of gs://data"
    never = f"{name}: never asked: pages of its list, and metadata of 20,000 namespaces at most"
    assert never in capsys.readouterr().out.replace("\n", " ")
    for number in range(150):
        cloud.platform.put(f"more-{number}")
    cloud.set(metadata_per_sweep=100)
    cloud.scanned()
    before = len(cloud.asked())
    cli._run(argv)  # noqa: SLF001 - as a user would
    out = capsys.readouterr().out.replace("\n", " ")
    assert f"{name}: 2 pages of its list, metadata of 53 namespaces" in out
    assert "no price of it is known here" in out
    assert len(cloud.asked()) == before
    cloud.scanned()
    assert len(cloud.asked()) == before + 2 + 53
    cli._run([*argv, "--format", "json"])  # noqa: SLF001 - as a user would
    (told,) = json.loads(capsys.readouterr().out)["registries"]
    assert told == {
        "registry": name,
        "bucket": "gs://data",
        "list_pages": 2,
        "metadata": 0,
        "metadata_at_most": 100,
    }


def test_the_same_list_makes_the_same_registry(cloud: Registered) -> None:
    first, second = cloud.scanned(), cloud.scanned()
    assert first.registered.digest == second.registered.digest
    assert first.registered.registries[0].read_at < second.registered.registries[0].read_at  # type: ignore[operator] # both were read
    assert len(list(cloud.state.glob("registry/service-*/known-*"))) == 1


def test_another_fields_value_needs_no_request_and_is_as_old_as_the_list(cloud: Registered) -> None:
    read_at = cloud.scanned().registered.registries[0].read_at
    before = len(cloud.asked())
    cloud.clock.ahead = timedelta(hours=5)
    cloud.small.config.write_text(cloud.small.config.read_text().replace('org = "acme"', 'org = "zeta"'))
    judgement = cloud.polled()
    assert set(found(judgement)) == {"orphan-objects"}
    assert len(cloud.asked()) == before
    assert judgement.registered.registries[0].read_at == read_at


def test_a_registry_of_one_bucket_is_not_asked_when_another_is_swept(cloud: Registered) -> None:
    cloud.small.cloud.store.add_bucket("more", "acme", "us-east1")
    text = cloud.small.config.read_text()
    cloud.small.config.write_text(
        text.replace("[[registry]]", '[[bucket]]\nurl = "gs://more"\nlayout = "{n}/"\naccount = "acme"\n[[registry]]')
    )
    assembly = cloud.assembled()
    scan.scan(assembly.parts, NoProgress(), frozenset({"gs://more"}))
    assembly.close()
    assert cloud.asked() == []


def test_a_clock_that_was_ahead_when_it_was_asked_keeps_nothing_from_being_asked_again(cloud: Registered) -> None:
    cloud.clock.ahead = timedelta(days=300)
    cloud.scanned()
    cloud.clock.ahead = timedelta(0)
    cloud.scanned()
    assert len(metadata(cloud)) == 6


def test_what_is_learnt_bit_by_bit_is_read_anew_once(cloud: Registered, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("auditor.inventory.asked._AT_ONCE", 1)
    told: list[tuple[int, int, int, int]] = []
    versions: list[str] = []

    class Watching(NoProgress):
        def asking(self, at: Asking) -> None:
            kept = service.recalled()
            told.append((at.listed, at.described, at.chosen, kept.unasked if kept is not None else -1))
            versions.extend([service.version()] if at.described else [])

    assembly = cloud.assembled()
    (service,) = assembly.parts.services
    judgement = scan.scan(assembly.parts, Watching())
    assembly.close()
    assert gaps_of(judgement) == []
    assert told == [(3, 0, 0, -1), (3, 1, 1, 3), (3, 2, 2, 2), (3, 3, 3, 1)]
    assert len(set(versions)) == 1, "polls make nothing anew meanwhile"
    assert service.version() not in versions
