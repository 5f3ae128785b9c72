"""A finding about a key's state or who may use it says who did it, by the cloud's audit log, or why nobody is told."""

import csv
import io
import json
import logging
import re
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud.logging_v2 import Client

from auditor.attribution import inquiring
from auditor.attribution.logged import Change, Inquiry, Reply
from auditor.connectors.aws import audit_log
from auditor.connectors.gcp.audit_log import parse_entry
from auditor.connectors.pace import Pace
from auditor.embedded.aws import Store as AwsStore
from auditor.errors import ReadOnlyError, UsageError
from auditor.findings import Finding, Judgement, Status, Verdict
from auditor.model import KeyName, Reason
from auditor.outputs import metrics, scan_json
from auditor.policy import Policy
from auditor.rule import Caused, Context
from auditor.rules import unattributed_change
from auditor.telling.lines import tell
from tests.clouds import GOOGLE_KEY, RING, Clock, a_google_store
from tests.logged_changes import AWS_KEY, VERSION, WORLDS, World


@pytest.fixture(params=WORLDS)
def world(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """Each cloud in turn."""
    with WORLDS[request.param](tmp_path, monkeypatch) as running:
        yield running


@pytest.fixture
def aws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    with WORLDS["aws"](tmp_path, monkeypatch) as running:
        yield running


@pytest.fixture
def google(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    with WORLDS["google"](tmp_path, monkeypatch) as running:
        yield running


def rules(judgement: Judgement) -> set[str]:
    return {one.rule for one in judgement.findings if one.status is Status.OPEN}


def who(one: Finding) -> str | None:
    return one.actor.principal if one.actor is not None else None


# What is told


def test_who_disabled_a_key_is_told_in_every_output(
    world: World, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    world.run(capsys, "scan")
    world.by(world.alice, world.disable)
    told = world.told(capsys)
    jsonschema.validate(told, scan_json.schema())
    (one,) = [each for each in told["findings"] if each["rule"] == "data-unreadable"]
    call = "DisableKey" if world.is_aws else "UpdateCryptoKeyVersion"
    actor = one["actor"]
    assert (actor["principal"], actor["call"], actor["source"]) == (world.alice, call, "203.0.113.7")
    assert one["actor"]["event_id"] in {each.get("eventID") or each.get("insertId") for each in world.log}
    assert (one["unattributed"], one["since"], one["since_source"]) == (None, one["actor"]["time"], "audit_log")
    assert told["gaps"] == []
    _, explained = world.run(capsys, "explain", one["id"])
    at = one["actor"]["time"][:19].replace("T", " ")
    assert f"actor       {world.alice} by {call} at {at} UTC from 203.0.113.7" in explained
    assert world.alice in world.run(capsys, "poll", "--fail-on", "low")[1], "the table has room for it"
    world.run(capsys, "report", "--as", "html,csv", "--output", str(tmp_path / "out"))
    (page,) = tmp_path.glob("out*.html")
    assert f'Done by <span class="name">{world.alice} by {call}' in page.read_text()
    (table,) = tmp_path.glob("out.csv")
    rows = list(csv.DictReader(io.StringIO(table.read_text())))
    (row,) = [each for each in rows if each["rule"] == "data-unreadable"]
    assert (row["actor"], row["actor_call"]) == (world.alice, call)


def test_the_metric_of_a_finding_names_who_did_it_and_the_log_line_too(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.scanned()
    following = world._assembled().ledger.follow()  # noqa: SLF001 - as the daemon does
    world.by(world.alice, world.disable)
    after = world.polled()
    named = metrics._named(after)["cmek_finding_info"]  # noqa: SLF001 - as scraped
    (info,) = [labels for labels, _ in named if labels[1] == "data-unreadable"]
    assert info[-1] == world.alice
    with caplog.at_level(logging.INFO):
        tell(following.turns())
    lines = [one.getMessage() for one in caplog.records]
    assert any(f", by {world.alice}, id " in one for one in lines)
    assert any(one.startswith("key changed: ") and one.endswith(f", by {world.alice}") for one in lines)


def test_a_quiet_fleet_asks_nothing_and_who_is_known_is_not_asked_about_again(world: World) -> None:
    world.scanned()
    world.polled()
    assert world.asked == 0
    world.by(world.alice, world.disable)
    assert who(world.found()) == world.alice
    asked = world.asked
    world.later(minutes=1)
    again = world.found()
    assert (who(again), again.unattributed) == (world.alice, None)
    assert world.asked == asked > 0


def test_with_the_setting_off_nobody_is_asked_and_the_finding_says_so(world: World) -> None:
    world.config.write_text(f"{world.config.read_text()}\n[audit_log]\nattribute = false\n")
    world.scanned()
    world.by(world.alice, world.disable)
    after = world.polled()
    one = world.of("data-unreadable", after)
    assert (one.actor, one.unattributed, world.asked) == (None, "[audit_log] attribute is off", 0)
    assert (after.gaps, rules(after) & {"audit-log-off", "unattributed-change"}) == ((), set())


def test_what_could_not_be_read_is_no_gap_any_more_once_nobody_wants_to_know(google: World) -> None:
    google.scanned()
    google.deny()
    google.by(google.alice, google.disable)
    assert "audit-log-off" in rules(google.polled())
    google.close()
    google.config.write_text(f"{google.config.read_text()}\n[audit_log]\nattribute = false\n")
    after = google.scanned()
    assert (after.gaps, "audit-log-off" in rules(after)) == ((), False)


def test_keys_of_a_test_cloud_are_looked_for_in_no_log_of_the_real_one(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL_CLOUDTRAIL", raising=False)
    world.config.write_text(re.sub("logging_endpoint.*\n", "", world.config.read_text()))
    world.scanned()
    world.by(world.alice, world.disable)
    one = world.found()
    assert (one.actor, world.asked) == (None, 0)
    assert one.unattributed is not None
    assert one.unattributed.endswith("is not set")


# When entries come late, or never


def test_an_entry_that_comes_late_is_found_when_it_is_there(world: World) -> None:
    world.scanned()
    world.lag(timedelta(minutes=8))
    world.by(world.alice, world.disable)
    first = world.found()
    assert first.unattributed is not None
    assert first.unattributed.startswith("no entry of its audit log explains it yet")
    assert (who(first), first.since_source) == (None, "between_polls")
    asked = world.asked
    for _ in range(16):
        world.later(minutes=1)
        found = world.found()
    assert (who(found), found.unattributed, found.since_source) == (world.alice, None, "audit_log")
    assert found.since < first.since
    assert world.asked - asked < 30, "more and more seldom"


def test_a_change_without_an_entry_is_a_finding_once_the_lag_is_over_and_nobody_asks_any_more(world: World) -> None:
    world.scanned()
    world.later(minutes=5)
    world.forget()
    assert "unattributed-change" not in rules(world.polled())
    world.later(hours=3)
    after = world.polled()
    one = world.of("unattributed-change", after)
    assert (one.severity, one.extent.objects, after.gaps) == ("medium", 4, ())
    assert "none may come late any more" in one.cause
    asked = world.asked
    world.later(hours=5)
    assert "unattributed-change" in rules(world.polled())
    assert world.asked == asked
    world.enable()
    assert "unattributed-change" not in rules(world.polled()), "it ends with what it is about"


def test_what_was_so_when_it_was_first_read_is_looked_for_as_far_as_the_log_reaches(world: World) -> None:
    world.by(world.alice, world.disable)
    world.later(days=80)
    assert who(world.of("data-unreadable", world.scanned())) == world.alice


def test_what_is_older_than_the_log_is_no_change_without_an_entry(world: World) -> None:
    world.by(world.alice, world.disable)
    world.later(days=500)
    world.scanned()
    world.later(hours=3)
    after = world.polled()
    one = world.of("data-unreadable", after)
    assert one.unattributed is not None
    assert "which reaches back to" in one.unattributed
    assert ("unattributed-change" in rules(after), after.gaps) == (False, ())


# Which entry it is


def test_of_two_changes_the_one_that_counts_now_is_told(world: World) -> None:
    world.scanned()
    world.later(minutes=1)
    world.by(world.alice, world.disable)
    world.later(minutes=1)
    world.by(world.bob, world.enable)
    world.later(minutes=1)
    world.by(world.bob, world.disable)
    assert who(world.found()) == world.bob


def test_what_changed_nothing_is_not_what_did_it(world: World) -> None:
    world.scanned()
    world.later(minutes=1)
    world.by(world.alice, world.disable)
    world.later(seconds=20)
    world.by(world.bob, world.disable)
    assert who(world.found()) == world.alice


def test_entries_that_come_out_of_their_order_accuse_nobody_for_long(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.scanned()
    world.later(minutes=1)
    world.by(world.alice, world.disable)
    world.later(seconds=20)
    world.by(world.bob, world.enable)
    world.later(seconds=20)
    world.by(world.bob, world.disable)
    late = [world.log.pop(), world.log.pop()]
    before = world.polled()
    assert who(world.of("data-unreadable", before)) == world.alice
    following = world._assembled().ledger.follow()  # noqa: SLF001 - as the daemon does
    world.log.extend(late)
    world.later(minutes=15)
    after = world.polled()
    assert who(world.of("data-unreadable", after)) == world.bob
    with caplog.at_level(logging.WARNING):
        tell(following.turns())
    assert any(f"not led to by {world.alice} after all" in one.getMessage() for one in caplog.records)
    world.later(hours=2)
    world.polled()
    asked = world.asked
    world.later(hours=2)
    assert (who(world.found()), world.asked) == (world.bob, asked)


def test_a_version_that_is_destroyed_after_it_was_disabled_has_another_actor_under_the_same_finding(
    google: World,
) -> None:
    google.scanned()
    version, store = f"{GOOGLE_KEY}/cryptoKeyVersions/11", google.store
    store.key(GOOGLE_KEY).primary = 11
    google.polled()
    store.key(GOOGLE_KEY).versions[11].state = "DISABLED"
    state = {"cryptoKeyVersion": {"state": "DISABLED"}}
    google.by(google.alice, lambda: store.note("UpdateCryptoKeyVersion", version, state))
    assert who(google.found("primary-unusable")) == google.alice
    google.later(hours=1)
    store.key(GOOGLE_KEY).versions[11].state = "DESTROY_SCHEDULED"
    store.key(GOOGLE_KEY).versions[11].destroy_time = store.clock() + timedelta(days=30)
    google.by(google.bob, lambda: store.note("DestroyCryptoKeyVersion", version))
    assert who(google.found("primary-unusable")) == google.bob


def test_a_change_that_one_of_several_made_has_its_entries_in_the_log(aws: World) -> None:
    aws.scanned()
    aws.later(minutes=1)
    aws.by(aws.alice, aws.disable)
    aws.by(aws.bob, aws.disable)
    aws.log[-1]["eventTime"] = aws.log[-2]["eventTime"]
    first = aws.found()
    assert who(first) is None
    assert all(name in (first.unattributed or "") for name in (aws.alice, aws.bob))
    aws.later(hours=3)
    after = aws.polled()
    assert (after.gaps, "unattributed-change" in rules(after)) == ((), False)
    caused = Caused((aws.of("data-unreadable", after),))
    assert unattributed_change.RULE.check(caused, Context(after.now, Policy(), {})).verdict is Verdict.PASSED


def test_what_was_undone_since_explains_nothing_while_the_newest_entry_is_missing(world: World) -> None:
    world.by(world.alice, world.disable)
    world.later(days=2)
    world.by(world.bob, world.enable)
    world.later(days=2)
    world.forget()
    assert who(world.of("data-unreadable", world.scanned())) is None


def test_a_key_that_is_disabled_again_has_its_own_actor(world: World) -> None:
    world.scanned()
    world.by(world.alice, world.disable)
    assert who(world.found()) == world.alice
    world.later(minutes=20)
    world.by(world.alice, world.enable)
    assert "data-unreadable" not in rules(world.polled())
    world.later(minutes=20)
    world.by(world.bob, world.disable)
    assert who(world.found()) == world.bob


def test_what_happens_after_a_finding_opened_did_not_cause_it(world: World) -> None:
    world.scanned()
    world.forget()
    world.found()
    world.later(minutes=30)
    world.by(world.bob, world.disable)
    assert who(world.found()) is None


def test_a_finding_that_succeeds_another_has_its_own_actor_and_both_dates(world: World) -> None:
    world.scanned()
    world.by(world.alice, world.disable)
    disabled = world.found()
    world.later(hours=1)
    destroy(world, world.bob)
    doomed = world.found("data-doomed")
    assert (who(doomed), doomed.succeeds, doomed.since) == (world.bob, disabled.id, disabled.since)
    assert doomed.actor is not None
    assert doomed.actor.time > doomed.since + timedelta(minutes=59)


def destroy(world: World, by: str) -> None:
    if world.is_aws:
        world.by(by, lambda: world.kms().schedule_key_deletion(KeyId=AWS_KEY, PendingWindowInDays=30))
        return
    version = world.store.key(GOOGLE_KEY).versions[1]
    version.state, version.destroy_time = "DESTROY_SCHEDULED", world.store.clock() + timedelta(days=30)
    world.by(by, lambda: world.store.note("DestroyCryptoKeyVersion", VERSION))


def test_what_was_lost_by_itself_is_traced_back_to_who_scheduled_it(world: World) -> None:
    world.scanned()
    destroy(world, world.bob)
    world.later(days=31)
    if world.is_aws:
        world.store.note("DeleteKey", AWS_KEY, eventType="AwsServiceEvent", userIdentity={"invokedBy": "kms"})
        world.polled()
        world.later(minutes=10)
    one = world.found("data-lost")
    assert (who(one), one.actor.call if one.actor else None) == (
        world.bob,
        "ScheduleKeyDeletion" if world.is_aws else "DestroyCryptoKeyVersion",
    )


def test_once_told_it_stays_told_when_the_log_says_nothing_any_more(world: World) -> None:
    world.scanned()
    world.by(world.alice, world.disable)
    assert who(world.found()) == world.alice
    world.deny()
    world.log.clear()
    world.later(days=1)
    after = world.polled()
    assert (who(world.of("data-unreadable", after)), after.gaps) == (world.alice, ())


# A log that cannot be read


def test_a_log_that_may_not_be_read_is_a_gap_and_a_finding_where_there_was_something_to_look_up(world: World) -> None:
    world.deny()
    before = world.scanned()
    assert (before.gaps, "audit-log-off" in rules(before)) == ((), False)
    world.by(world.alice, world.disable)
    after = world.polled()
    one = world.of("data-unreadable", after)
    assert one.unattributed == "its audit log could not be read (access denied)"
    (gap,) = after.gaps
    assert (gap.reason, gap.what) == ("access_denied", world.of("audit-log-off", after).subject.id)
    assert ("cloudtrail:LookupEvents" if world.is_aws else "logging.logEntries.list") in gap.hint
    assert world.of("audit-log-off", after).severity == "medium"
    world.allow()
    world.later(minutes=2)
    mended = world.polled()
    assert (who(world.of("data-unreadable", mended)), mended.gaps) == (world.alice, ())
    assert "audit-log-off" not in rules(mended)


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ({"status": 429, "code": "ThrottlingException"}, "throttled"),
        ({"body": b'{"other": []}', "status": 200}, "malformed"),
    ],
    ids=["throttled", "another kind"],
)
def test_a_log_that_answers_wrongly_turns_no_verdict(
    world: World, monkeypatch: pytest.MonkeyPatch, how: dict[str, Any], reason: str
) -> None:
    monkeypatch.setattr("auditor.connectors.gcp.session._RETRY_POLICY", lambda ask: ask)
    world.scanned()
    world.by(world.alice, world.disable)
    fault = "cloudtrail " if world.is_aws else "logging "
    world.cloud.traffic.fail(fault, **how)
    after = world.polled()
    one = world.of("data-unreadable", after)
    assert (one.severity, one.extent.objects, who(one)) == ("critical", 4, None)
    assert [gap.reason for gap in after.gaps] == [reason]
    assert ("audit-log-off" in rules(after)) == (reason == "malformed")
    world.cloud.traffic.heal()
    world.later(minutes=2)
    assert who(world.found()) == world.alice


class Slow:
    """An audit log that answers when it is let."""

    silent = None

    def __init__(self) -> None:
        self.let = threading.Event()
        self.asked = 0

    def place(self, key: KeyName) -> str:
        return key.owner

    def name(self, key: KeyName) -> str:
        return f"log of {key.owner}"

    def read(self, inquiries: Sequence[Inquiry]) -> Iterator[tuple[Reply, ...]]:
        self.asked += 1
        self.let.wait(10)
        yield tuple(Reply(one) for one in inquiries)


def test_a_log_that_hangs_keeps_no_poll_waiting_and_what_comes_later_is_not_lost() -> None:
    log, now = Slow(), [0.0]
    inquirer = inquiring.Inquirer(lambda _: log, within=0, stall=30, clock=lambda: now[0])
    one = Inquiry(KeyName(AWS_KEY), frozenset({"DisableKey"}), None, datetime.now(UTC), datetime.now(UTC))
    other = replace(one, key=KeyName(AWS_KEY[:-1] + "2"))
    assert inquirer.ask([one, other]) == {}, "it may only be slow"
    now[0] = 30.0
    assert {reply.unread for reply in inquirer.ask([one, other]).values()} == {Reason.TIMEOUT}
    assert log.asked == 1, "it is not asked again while it hangs"
    log.let.set()
    for thread in threading.enumerate():
        if thread.name.startswith("audit log "):
            thread.join()
    late = inquirer.ask([one])[one.key]
    assert (late.unread, log.asked) == (None, 1), "the answer that came too late"


def test_a_defect_in_reading_a_log_ends_no_poll_and_a_request_that_must_not_leave_does() -> None:
    class Broken(Slow):
        def read(self, inquiries: Sequence[Inquiry]) -> Iterator[tuple[Reply, ...]]:
            yield from super().read(inquiries[:0])
            raise self.error

        error: Exception = RuntimeError()

    log = Broken()
    log.let.set()
    one = Inquiry(KeyName(AWS_KEY), frozenset({"DisableKey"}), None, datetime.now(UTC), datetime.now(UTC))
    inquirer = inquiring.Inquirer(lambda _: log, within=5)
    assert inquirer.ask([one])[one.key].unread is Reason.UNSUPPORTED
    log.error = UsageError("no credentials", "log in")
    assert inquirer.ask([one])[one.key].unread is Reason.EXPIRED_CREDENTIALS
    log.error = ReadOnlyError("refused", "nothing was sent")
    with pytest.raises(ReadOnlyError):
        inquirer.ask([one])


def test_that_a_log_is_silent_for_a_time_does_not_end_that_it_may_not_be_read(aws: World) -> None:
    aws.scanned()
    aws.deny()
    aws.by(aws.alice, aws.disable)
    assert "audit-log-off" in rules(aws.polled())
    aws.cloud.traffic.fail("cloudtrail ", status=400, code="ThrottlingException")
    aws.later(minutes=1)
    after = aws.polled()
    assert ([gap.reason for gap in after.gaps], "audit-log-off" in rules(after)) == (["throttled"], True)


def test_the_library_that_google_cloud_is_asked_with_may_be_missing(
    google: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    google.scanned()
    google.by(google.alice, google.disable)
    monkeypatch.setitem(sys.modules, "google.cloud.logging_v2", None)
    (gap,) = google.polled().gaps
    assert (gap.reason, "pip install 'cmek-auditor[logging]'" in gap.hint) == ("unsupported", True)


def test_who_changed_a_key_of_another_account_nobody_else_is_told(aws: World) -> None:
    foreign = AWS_KEY.replace("111122223333", "444455556666")
    aws.store.add_key(foreign, state="Disabled")
    aws.store.put("objects", "acme/other/1", sse="aws:kms", key=foreign)
    after = aws.scanned()
    (gap,) = [one for one in after.gaps if one.what.startswith("cloudtrail/")]
    assert (gap.what, gap.reason, aws.asked) == ("cloudtrail/444455556666", "not_visible", 0)
    assert "give [[account]] a role there" in gap.hint


# How much is asked


def test_cloudtrail_is_asked_no_more_than_twice_in_any_second() -> None:
    now, asked = [0.0], []

    def sleep(seconds: float) -> None:
        now[0] += seconds

    pace = Pace(2 * audit_log._SHARE, audit_log._BURST, lambda: now[0], sleep)  # noqa: SLF001 - as it is
    for _ in range(50):
        pace.wait()
        asked.append(now[0])
    assert max(sum(start <= one < start + 1 for one in asked) for start in asked) == 2


def test_many_keys_are_asked_about_at_once_on_google_cloud_and_page_by_page(
    google: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("auditor.connectors.gcp.log_pages._PAGE", 3)
    for number in range(5):
        name = f"{RING}/cryptoKeys/more-{number}"
        google.store.add_key(name).versions[1].state = "DISABLED"
        google.store.put("data", f"acme/more/{number}", key=name, version=1)
        state = {"cryptoKeyVersion": {"state": "DISABLED"}}
        at = google.store.clock() - timedelta(hours=1)
        google.store.note("UpdateCryptoKeyVersion", f"{name}/cryptoKeyVersions/1", state, at=at)
    found = [one for one in google.scanned().findings if one.rule == "data-unreadable"]
    assert ([who(one) for one in found], google.asked) == (["key-admin@customer.example"] * 5, 2)


def test_a_busy_key_of_aws_is_found_by_the_calls_names_and_so_is_one_that_its_arn_does_not_find(aws: World) -> None:
    aws.scanned()
    aws.by(aws.alice, aws.disable)
    for _ in range(120):
        aws.store.note("Decrypt", AWS_KEY, readOnly=True, errorCode="DisabledException")
    assert who(aws.found()) == aws.alice
    aws.store.history_by_arn = False
    aws.by(aws.bob, aws.enable)
    aws.polled()
    aws.later(minutes=5)
    aws.by(aws.bob, aws.disable)
    assert who(aws.found()) == aws.bob


def test_the_part_of_a_busy_keys_history_that_was_read_names_nobody_by_itself(aws: World) -> None:
    aws.scanned()
    aws.by(aws.alice, aws.disable)
    aws.later(seconds=2)
    for _ in range(120):
        aws.store.note("Decrypt", AWS_KEY, readOnly=True, errorCode="DisabledException")
    aws.later(seconds=2)
    aws.by(aws.bob, aws.disable)
    assert who(aws.found()) == aws.alice


def test_whoever_may_have_been_undone_where_nobody_looked_is_not_named(
    aws: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("auditor.connectors.aws.audit_log._PAGE", 1)
    aws.scanned()
    aws.by(aws.alice, aws.disable)
    aws.later(seconds=2)
    aws.by(aws.bob, aws.enable)
    aws.forget()
    for number in range(9):
        aws.later(seconds=2)
        aws.store.note("EnableKey", AWS_KEY[:-1] + str(number + 2))
        aws.store.note("Decrypt", AWS_KEY, readOnly=True)
    after = aws.polled()
    assert who(aws.of("data-unreadable", after)) is None
    assert [gap.reason for gap in after.gaps] == ["timeout"]


def test_more_entries_than_are_looked_through_are_told_as_such(aws: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("auditor.connectors.aws.audit_log._PAGE", 1)
    aws.scanned()
    aws.forget()
    for number in range(9):
        aws.store.note("DisableKey", AWS_KEY[:-1] + str(number + 1), errorCode="AccessDenied")
    aws.later(hours=3)
    after = aws.polled()
    assert [(gap.reason, gap.what) for gap in after.gaps] == [("timeout", "cloudtrail/111122223333")]
    assert "unattributed-change" not in rules(after)


def test_an_entry_that_comes_twice_is_one(world: World) -> None:
    world.scanned()
    world.by(world.alice, world.disable)
    world.log.append(dict(world.log[-1]))
    assert who(world.found()) == world.alice


def test_the_clouds_own_client_reads_the_same_log(google: World) -> None:
    google.by(google.alice, google.disable)
    client = Client(
        project="acme",
        credentials=AnonymousCredentials(),
        client_options={"api_endpoint": google.cloud.endpoint},
        _use_grpc=False,
    )
    asked = 'log_id("cloudaudit.googleapis.com/activity") AND protoPayload.methodName="UpdateCryptoKeyVersion"'
    (entry,) = client.list_entries(filter_=asked)
    assert entry.payload["authenticationInfo"]["principalEmail"] == google.alice
    assert "timestamp" in json.loads(google.cloud.traffic.requests[-1].body)["filter"], "the last day, by itself"


# Hostile entries


EVIL = "\x1b[31m<script>alert(1)</script>\u202e" + "x" * 100_000


def test_a_hostile_entry_forges_nothing_and_floods_nothing(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.run(capsys, "scan")
    world.by(EVIL, world.disable)
    if world.is_aws:
        world.log[-1]["sourceIPAddress"] = "=cmd|' /C calc'!A0"
    told = world.told(capsys)
    (one,) = [each for each in told["findings"] if each["rule"] == "data-unreadable"]
    assert one["actor"]["principal"].isprintable()
    assert len(one["actor"]["principal"]) < 400
    _, explained = world.run(capsys, "explain", one["id"])
    assert "\x1b" not in explained
    world.run(capsys, "report", "--as", "html,csv", "--output", str(world.folder / "out"))
    (page,) = world.folder.glob("out*.html")
    assert "<script>alert(1)" not in page.read_text()
    (table,) = world.folder.glob("out.csv")
    assert not [row for row in csv.reader(io.StringIO(table.read_text())) if any(cell.startswith("=") for cell in row)]


NOT_AN_ACTOR: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "it failed": ({"errorCode": "AccessDenied"}, {"status": {"code": 7}}),
    "it only reads": ({"readOnly": True}, {"methodName": "GetCryptoKeyVersion"}),
    "another key": (
        {"resources": [{"ARN": AWS_KEY + "2", "type": "AWS::KMS::Key"}], "requestParameters": {"keyId": AWS_KEY + "2"}},
        {"resourceName": VERSION.replace("main", "main2")},
    ),
    "another version, or Region": ({"awsRegion": "eu-west-1"}, {"resourceName": f"{VERSION}0"}),
    "another service": ({"eventSource": "s3.amazonaws.com"}, {"serviceName": "storage.googleapis.com"}),
    "another account": ({"recipientAccountId": "444455556666"}, {"resourceName": VERSION.replace("acme", "zeta")}),
    "a service did it": ({"eventType": "AwsServiceEvent"}, {"authenticationInfo": {}}),
    "wrong types": (
        {"resources": {"ARN": 7}, "requestParameters": [AWS_KEY], "userIdentity": "me"},
        {"request": [], "response": 7, "authenticationInfo": "me", "requestMetadata": []},
    ),
    "types that no table takes": (
        {"recipientAccountId": [], "resources": [[], {"ARN": []}], "errorCode": ["AccessDenied"]},
        {"status": {"code": []}, "serviceName": [], "serviceData": {"policyDelta": {"bindingDeltas": [[], 7]}}},
    ),
    "nobody is named": ({"userIdentity": {"arn": {}, "principalId": 7}}, {"authenticationInfo": {"principalEmail": 7}}),
}


def of_aws(**fields: Any) -> Change | None:
    """What is read out of a record about a DisableKey, with some of its fields otherwise."""
    record = AwsStore(Clock()).note("DisableKey", AWS_KEY, **fields)
    told = audit_log.record_of({"CloudTrailEvent": json.dumps(record)})
    asked = Inquiry(KeyName(AWS_KEY), frozenset({"DisableKey"}), None, datetime.now(UTC), datetime.now(UTC))
    return audit_log.parse_record(told, asked) if told is not None else None


def of_google(**fields: Any) -> Change | None:
    """The same of an entry about a version that was disabled; what is about another version, as such."""
    state = {"cryptoKeyVersion": {"state": "DISABLED"}}
    entry = a_google_store().note("UpdateCryptoKeyVersion", VERSION, state)
    entry["protoPayload"].update(fields)
    found = parse_entry(entry, "acme")
    return found if found is not None and (found.about, found.lands_in) == (VERSION, "DISABLED") else None


@pytest.mark.parametrize("fields", NOT_AN_ACTOR.values(), ids=NOT_AN_ACTOR)
def test_an_entry_that_is_no_such_change_names_nobody(fields: tuple[dict[str, Any], dict[str, Any]]) -> None:
    assert of_aws() is not None
    assert of_google() is not None
    for found in (of_aws(**fields[0]), of_google(**fields[1])):
        assert found is None or found.principal is None or found.call not in {"DisableKey", "UpdateCryptoKeyVersion"}


def test_a_key_is_known_by_its_id_as_well_and_a_project_by_its_number() -> None:
    short = {"keyId": AWS_KEY.rpartition("/")[2]}
    assert of_aws(resources=[], requestParameters=short) is not None
    assert of_google(resourceName=VERSION.replace("acme", "123456"), methodName="kms.v1.UpdateCryptoKeyVersion")


def test_what_takes_no_right_to_a_key_away_or_gives_one_to_others_is_not_what_did_it() -> None:
    deltas: list[Any] = [
        {"action": "REMOVE", "role": "roles/logging.viewer", "member": "user:a"},
        {"action": "REMOVE", "role": "roles/cloudkms.cryptoKeyEncrypterDecrypter", "member": "user:b"},
        {"action": "ADD", "role": "roles/cloudkms.viewer", "member": "allUsers"},
        {"action": "REMOVE", "role": [], "member": []},
        7,
    ]
    entry = a_google_store().note("SetIamPolicy", RING, serviceData={"policyDelta": {"bindingDeltas": deltas}})
    found = parse_entry(entry, "acme")
    assert found is not None
    assert (found.deprived, found.given) == (frozenset({"user:b"}), frozenset({"allUsers"}))


@pytest.mark.parametrize("event", [7, None, [], {}, {"EventName": []}, {"EventName": {}, "CloudTrailEvent": 7}])
def test_an_event_of_another_shape_is_no_record_and_may_be_the_one(event: object) -> None:
    asked = Inquiry(KeyName(AWS_KEY), frozenset({"DisableKey"}), None, datetime.now(UTC), datetime.now(UTC))
    found = audit_log._Found()  # noqa: SLF001 - what a page leaves
    found.add([event], asked)
    assert (found.changes, found.odd) == ({}, True)


RAW = ["", "[]", "7", '{"eventName": 7}', "{" * 100_000, '{"a": 1, "a": 2}', "x" * 400_000]


@pytest.mark.parametrize("raw", RAW, ids=range(len(RAW)))
def test_a_record_of_aws_that_is_none_is_not_read(raw: str) -> None:
    assert audit_log.record_of({"CloudTrailEvent": raw}) is None


def test_a_record_of_aws_that_cannot_be_read_is_a_gap(aws: World) -> None:
    aws.scanned()
    aws.by(aws.alice, aws.disable)
    aws.log[-1]["raw"] = "{"
    assert [gap.reason for gap in aws.polled().gaps] == ["malformed"]


@pytest.mark.parametrize("field", ["insertId", "timestamp"])
def test_an_entry_of_google_cloud_that_cannot_be_read_is_a_gap(google: World, field: str) -> None:
    google.scanned()
    google.by(google.alice, google.disable)
    entry = {**google.log[-1], field: "never"} if field == "timestamp" else {**google.log[-1], field: ""}
    body = json.dumps({"entries": [entry, {}, {"protoPayload": 7}]}).encode()
    google.cloud.traffic.fail("logging ", status=200, body=body)
    assert [gap.reason for gap in google.polled().gaps] == ["malformed"]


def test_a_role_a_service_and_a_delegation_are_told_as_what_it_went_through(world: World) -> None:
    world.scanned()
    world.by(world.alice, world.disable)
    if world.is_aws:
        issuer = {"sessionContext": {"sessionIssuer": {"arn": "arn:aws:iam::111122223333:role/admin"}}}
        session = "arn:aws:sts::111122223333:assumed-role/admin/alice"
        world.log[-1]["userIdentity"] = {"arn": session, "invokedBy": "cloudformation.amazonaws.com", **issuer}
    else:
        first = {"firstPartyPrincipal": {"principalEmail": "deputy@customer.example"}}
        world.log[-1]["protoPayload"]["authenticationInfo"] = {
            "principalSubject": "principal://iam.googleapis.com/pool/subject/alice",
            "serviceAccountDelegationInfo": [first, {"principalSubject": "another"}, 7],
        }
    actor = world.found().actor
    assert actor is not None
    assert (actor.principal, actor.via) == (
        (
            "arn:aws:sts::111122223333:assumed-role/admin/alice",
            "arn:aws:iam::111122223333:role/admin by cloudformation.amazonaws.com",
        )
        if world.is_aws
        else ("principal://iam.googleapis.com/pool/subject/alice", "deputy@customer.example by another")
    )
