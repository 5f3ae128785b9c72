"""What AWS recorded of a key's last use speaks against a proof, never for one; who does not say is a gap."""

import json
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import boto3
import jsonschema
import pytest

from auditor import cli, scan
from auditor.config import load
from auditor.embedded.aws import AwsCloud
from auditor.embedded.aws.uses import KeyUse
from auditor.model import AwsKey, KeyMemory, Reason
from auditor.outputs import retire_json
from auditor.questions.retire.retirement import Seen, counted_anew, spoken_against, standings
from auditor.questions.retire.standing import LastUse, Standing, Use
from auditor.wiring import assemble
from tests.clouds import GOOGLE_KEY, Clock, an_aws_cloud
from tests.core_builders import NOW, an_aws_key, days
from tests.questions.test_retirement import HOUR, LONG_AGO, ON_AWS, ON_S3, S3, memory
from tests.small import a_small_cloud
from tests.test_fleet import NoProgress

FULL, EMPTY, FOREIGN = f"{ON_AWS}1", f"{ON_AWS}2", f"{ON_AWS}3".replace("111122223333", "444455556666")
CONFIG = S3.replace("[policy]", "[limits]\nkms_quota_share = 1\n[policy]")
ASKED = "kms GetKeyLastUsage"


# What a use does to a proof


OFF = an_aws_key("Disabled")
USED_AT = LONG_AGO + days(3)


def weighed(
    last: LastUse, key: AwsKey = OFF, known: KeyMemory | None = None, swept: Any = ON_S3
) -> tuple[Standing, Standing]:
    """A key of AWS that nothing is under, without its last use and with it."""
    found = known or (memory(key, v=LONG_AGO) if key.state == "Disabled" else memory(key))
    seen = Seen((swept,), 0)
    (before,) = standings(key, found, (), seen, NOW)
    (after,) = standings(key, counted_anew(found, last, NOW), (), seen, NOW)
    return before, spoken_against(after, found, last, seen)


@pytest.mark.parametrize("at", [None, LONG_AGO - days(9), LONG_AGO], ids=["none", "before", "just then"])
def test_a_key_that_was_not_used_since_it_takes_no_new_data_stands_as_it_stood(at: Any) -> None:
    before, after = weighed(LastUse(LONG_AGO, None, at, "Decrypt"))
    assert before == after
    assert before.use is Use.UNUSED


def test_a_use_that_no_sweep_has_looked_behind_ends_a_proof_and_says_so() -> None:
    late = replace(ON_S3, sweep_started=USED_AT + HOUR, oldest_verified=None)
    before, after = weighed(LastUse(LONG_AGO, None, USED_AT, "GenerateDataKey"), swept=late)
    assert (before.use, after.use) == (Use.UNUSED, Use.NOT_PROVEN)
    assert after.reasons[0] == (
        f"AWS recorded that it was used at {USED_AT:%Y-%m-%d %H:%M} UTC (GenerateDataKey), "
        "after it was seen to take no new data: all counts anew from then"
    )
    assert f"new data may have come until {USED_AT + timedelta(hours=24):%Y-%m-%d %H:%M} UTC" in after.reasons[1]


def test_a_use_that_everything_was_looked_behind_lets_rest_and_quarantine_begin_with_it() -> None:
    before, after = weighed(LastUse(LONG_AGO, None, USED_AT, "Decrypt"))
    assert (before.use, before.resting, before.disabled) == (Use.UNUSED, LONG_AGO, LONG_AGO)
    assert (after.use, after.resting, after.disabled, after.reasons) == (Use.UNUSED, USED_AT, USED_AT, ())


def test_the_moment_from_which_a_sweep_looks_behind_a_use_is_a_day_after_it() -> None:
    for at, use in ((NOW - HOUR - days(1), Use.UNUSED), (NOW - HOUR - days(1) + timedelta(seconds=1), Use.NOT_PROVEN)):
        assert weighed(LastUse(LONG_AGO, None, at, "Decrypt"))[1].use is use


@pytest.mark.parametrize("at", [NOW + HOUR, NOW + days(20_000), datetime.max.replace(tzinfo=UTC)])
def test_a_use_that_is_dated_ahead_ends_a_proof_all_the_same(at: Any) -> None:
    assert weighed(LastUse(LONG_AGO, None, at, "Decrypt"))[1].use is Use.NOT_PROVEN


def test_what_is_not_proven_is_never_proven_by_a_use_or_by_none() -> None:
    for swept in (replace(ON_S3, complete=False), replace(ON_S3, unresolved=1), replace(ON_S3, sweep_started=LONG_AGO)):
        for at in (None, LONG_AGO - days(9), USED_AT):
            before, after = weighed(LastUse(LONG_AGO, LONG_AGO, at, "Decrypt"), swept=swept)
            assert (before.use, after.use) == (Use.NOT_PROVEN, Use.NOT_PROVEN)
            assert before == after or at == USED_AT


def test_an_enabled_key_says_whether_it_was_used_after_everything_was_looked_at() -> None:
    on = an_aws_key()
    after = weighed(LastUse(LONG_AGO, None, NOW - HOUR / 2, "Decrypt"), on)[1]
    assert after.use is Use.TAKES_NEW_DATA
    assert after.reasons[0].endswith("(Decrypt), after everything was looked at: what used it was not seen")
    quiet = (LastUse(LONG_AGO, None, NOW - HOUR, "Decrypt"), LastUse(LONG_AGO, LONG_AGO))
    for last, swept in [*((one, ON_S3) for one in quiet), (replace(quiet[0], at=NOW), replace(ON_S3, complete=False))]:
        before, after = weighed(last, on, swept=swept)
        assert before == after


# The command


@dataclass
class World:
    cloud: AwsCloud
    config: Path
    clock: Clock
    capsys: pytest.CaptureFixture[str] = field(init=False)

    def scan(self, ahead: timedelta = timedelta(0)) -> None:
        """Time passes, then everything is looked at; the data is always new."""
        self.clock.ahead += ahead
        self.cloud.store.put("objects", "acme/a/1", sse="aws:kms", key=FULL)
        assembly = assemble(load(self.config), self.clock)
        scan.scan(assembly.parts, NoProgress())
        assembly.close()

    def used(self, ago: timedelta, key: str = EMPTY, **how: str) -> None:
        found = self.cloud.store.key(key)
        assert found is not None
        found.last_use = KeyUse(how.pop("operation", "Decrypt"), self.clock() - ago, **how)

    def retire(self, *more: str) -> tuple[int, str]:
        argv = ["retire", "--config", str(self.config), *more]
        code = cli._run(argv)  # noqa: SLF001 - the command without the end of the process
        out, err = self.capsys.readouterr()
        assert err == ""
        return code, out

    def document(self, *more: str) -> tuple[int, dict[str, dict[str, Any]], list[dict[str, Any]]]:
        """Exit code, what is told of each key, gaps."""
        code, out = self.retire("--format", "json", *more)
        told = json.loads(out)
        schema = jsonschema.Draft202012Validator(retire_json.schema(), format_checker=jsonschema.FormatChecker())
        schema.validate(told)
        return code, {one["key"]: one for one in told["key_versions"]}, told["gaps"]

    def asked(self) -> list[str]:
        return [one.body for one in self.cloud.traffic.requests if one.verb == "GetKeyLastUsage"]


@contextmanager
def a_world(monkeypatch: pytest.MonkeyPatch, folder: Path, clock: Clock) -> Iterator[World]:
    """A key with data, and one that was disabled long ago."""
    monkeypatch.setattr("auditor.ledger.store._WITHOUT_A_BREAK", days(60))
    monkeypatch.setattr("auditor.commands.answering.assemble", partial(assemble, clock=clock))
    config = folder / "auditor.toml"
    config.write_text(CONFIG)
    with an_aws_cloud(monkeypatch) as cloud:
        cloud.store.clock = clock
        cloud.store.add_bucket("objects")
        cloud.store.add_key(FULL)
        cloud.store.add_key(EMPTY, state="Disabled", created=clock() - days(400))
        yield World(cloud, config, clock)


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is stored three weeks after the first look."""
    folder = tmp_path_factory.mktemp("lived")
    with pytest.MonkeyPatch.context() as patch, a_world(patch, folder, Clock()) as made:
        made.scan()
        made.scan(days(21))
    (folder / "state").rename(folder / "lived")
    return folder


@pytest.fixture
def world(lived: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[World]:
    """Of the key without data it is proven that it is unused, and it may be destroyed."""
    # In the same place: the config's digest hangs on it.
    shutil.rmtree(lived / "state", ignore_errors=True)
    shutil.copytree(lived / "lived", lived / "state")
    clock = Clock()
    clock.ahead = days(21)
    with a_world(monkeypatch, lived, clock) as made:
        made.capsys = capsys
        yield made


def test_without_the_flag_nobody_is_asked_and_that_is_told(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    before = len(world.cloud.traffic.requests)
    code, out = world.retire()
    assert (code, "Last use: not asked. --last-usage asks AWS" in out) == (0, True)
    code, keys, gaps = world.document()
    assert (code, keys[EMPTY]["last_use"]["recorded"], gaps) == (0, "not_asked", [])
    assert len(world.cloud.traffic.requests) == before


def test_a_last_use_stands_beside_a_proof_that_it_does_not_speak_against(world: World) -> None:
    world.used(days(30), event="2cfd5892")
    code, out = world.retire("--last-usage")
    assert code == 0
    assert "1 proven unused" in out
    assert "Last use, as AWS recorded it; that there is none proves nothing:\n" in out
    when = world.clock() - days(30)
    assert f"Decrypt at {when:%Y-%m-%d %H:%M} UTC, 30 d 0 h ago, CloudTrail event 2cfd5892" in out
    assert "Data that nobody reads leaves no record" in out
    code, keys, gaps = world.document("--last-usage")
    assert (code, keys[EMPTY]["use"], keys[EMPTY]["next"], gaps) == (0, "unused", "destroy", [])
    told = keys[EMPTY]["last_use"]
    assert (told["recorded"], told["operation"], told["event_id"]) == ("used", "Decrypt", "2cfd5892")
    assert told["at"] is not None
    assert told["tracked_since"] is not None


def test_a_read_after_the_sweep_that_found_nothing_ends_the_proof(world: World) -> None:
    """Somebody enabled the key for a minute and read what no config names, between two polls."""
    store = world.cloud.store
    store.add_bucket("elsewhere")
    store.put("elsewhere", "a", sse="aws:kms", key=EMPTY)
    client = boto3.client("kms", region_name="us-east-1")
    client.enable_key(KeyId=EMPTY)
    boto3.client("s3", region_name="us-east-1").get_object(Bucket="elsewhere", Key="a")
    client.disable_key(KeyId=EMPTY)
    assert "schedule-key-deletion" in world.retire("--destroy")[1], "without the flag nobody knows"
    code, out = world.retire("--destroy", "--last-usage")
    assert (code, "schedule-key-deletion" in out) == (0, False)
    code, out = world.retire("--last-usage")
    assert "1 without known data, which is not proven" in out
    assert "AWS recorded that it was used at" in out
    code, keys, _ = world.document("--last-usage")
    assert (code, keys[EMPTY]["use"], keys[EMPTY]["next"]) == (0, "not_proven", "none")
    world.scan(days(2))
    _, keys, _ = world.document("--last-usage")
    assert (keys[EMPTY]["use"], keys[EMPTY]["next"]) == ("unused", "wait"), "everything was looked at behind it"
    world.scan(days(13))
    assert world.document("--last-usage")[1][EMPTY]["next"] == "destroy", "and nobody missed it for long enough"


def test_what_the_readme_shows_of_it_is_what_it_prints(world: World) -> None:
    def without_times(text: str) -> str:
        return re.sub(r"\d{4}-\d{2}-\d{2} \d{2}:\d{2}", "", text)

    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    (shown,) = re.findall(r"```text\n(Of 2 key versions: 1 without known.*?)```", readme, re.DOTALL)
    world.used(timedelta(hours=2), event="2cfd5892-ea8c-4342-ad49-4b9594b06a8b")
    printed = without_times(world.retire("--last-usage")[1]).splitlines()
    assert [line for line in without_times(shown).splitlines() if line not in printed] == []


def test_that_no_use_is_recorded_proves_nothing(world: World) -> None:
    world.config.write_text(CONFIG.replace("no_data_elsewhere = true", ""))
    world.cloud.store.add_bucket("elsewhere")
    world.scan()
    code, out = world.retire("--last-usage")
    assert (code, "1 without known data, which is not proven" in out) == (0, True)
    assert f"no use since it was made, {world.clock() - days(400):%Y-%m-%d}" in out
    world.cloud.store.tracks_since = world.clock() - days(100)
    assert f"no use since recording began, {world.clock() - days(100):%Y-%m-%d}" in world.retire("--last-usage")[1]
    assert world.document("--last-usage")[1][EMPTY]["last_use"]["recorded"] == "no_record"


REFUSED: dict[str, tuple[dict[str, Any], Reason, str]] = {
    "denied": ({"status": 400, "code": "AccessDeniedException"}, Reason.ACCESS_DENIED, "grant kms:GetKeyLastUsage"),
    "throttled": ({"status": 400, "code": "ThrottlingException"}, Reason.THROTTLED, "five of these a second"),
    "an endpoint that does not know it": (
        {"status": 400, "code": "UnknownOperationException"},
        Reason.UNSUPPORTED,
        "it does not know GetKeyLastUsage",
    ),
    "gone": ({"status": 400, "code": "NotFoundException"}, Reason.NOT_FOUND, "poll the key"),
    "nonsense": ({"status": 200, "body": b"{}"}, Reason.MALFORMED, "it answers something else"),
}


@pytest.mark.parametrize(("fault", "reason", "hint"), REFUSED.values(), ids=REFUSED)
def test_who_does_not_say_is_a_gap_and_nothing_is_told_to_be_destroyed(
    world: World, monkeypatch: pytest.MonkeyPatch, fault: dict[str, Any], reason: Reason, hint: str
) -> None:
    monkeypatch.setattr("auditor.connectors.aws.session._ATTEMPTS", 1)
    world.cloud.traffic.fail(ASKED, **fault)
    code, keys, (gap,) = world.document("--last-usage")
    assert (code, keys[EMPTY]["use"], keys[EMPTY]["next"]) == (3, "unused", "none")
    assert keys[EMPTY]["last_use"] == {
        "recorded": "not_known",
        **dict.fromkeys(("at", "operation", "event_id", "tracked_since")),
    }
    assert (gap["what"], gap["reason"], hint in gap["hint"]) == (EMPTY, reason, True)
    code, out = world.retire("--last-usage")
    assert (code, f"not known [{reason}]" in out, hint in out) == (3, True, True)
    code, out = world.retire("--last-usage", "--destroy")
    assert (code, "schedule-key-deletion" in out, hint in out) == (3, False, True)
    assert out.startswith("Nothing that is proven unused and whose last use is known has been disabled for as long")
    assert world.retire("--last-usage", "--allow-gaps", str(reason))[0] == 0


def test_without_the_right_it_is_a_gap_that_names_it(world: World) -> None:
    world.cloud.store.permits = lambda _account, action, _resource: action != "kms:GetKeyLastUsage"
    code, out = world.retire("--last-usage")
    assert (code, "[access_denied]; grant kms:GetKeyLastUsage on the key" in out) == (3, True)


def test_without_credentials_it_is_a_gap(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    code, _, (gap,) = world.document("--last-usage")
    assert (code, gap["reason"], gap["hint"]) == (
        3,
        "expired_credentials",
        "give the auditor credentials, or renew them",
    )


def test_a_key_of_another_account_is_a_gap_and_is_not_asked(world: World) -> None:
    world.config.write_text(f'{CONFIG}[[key]]\nname = "{FOREIGN}"\n')
    world.cloud.store.add_key(FOREIGN, state="Disabled")
    world.scan()
    code, keys, gaps = world.document("--last-usage")
    (gap,) = (one for one in gaps if one["what"] == FOREIGN)
    assert (code, gap["reason"], "give [[account]] a role there" in gap["hint"]) == (3, "not_visible", True)
    assert keys[EMPTY]["last_use"]["recorded"] == "never_used", "the others are told"
    assert [FOREIGN in one for one in world.asked()] == [False]


def test_of_all_keys_those_are_asked_that_hold_nothing_and_of_one_that_one(world: World) -> None:
    world.used(HOUR, FULL)
    code, out = world.retire("--last-usage")
    assert (code, "and 1 that hold data, not asked; retire KEY --last-usage asks" in out) == (0, True)
    assert [EMPTY in one for one in world.asked()] == [True]
    code, keys, _ = world.document("--last-usage", FULL)
    assert (keys[FULL]["use"], keys[FULL]["last_use"]["recorded"]) == ("in_use", "used")


def test_a_key_that_the_auditor_knows_nothing_of_is_not_asked(world: World) -> None:
    world.config.write_text(f'{CONFIG}[[key]]\nname = "{ON_AWS}7"\n')
    world.scan()
    world.retire("--last-usage")
    assert not any(f"{ON_AWS}7" in one for one in world.asked())


def test_an_enabled_key_that_something_unseen_uses_says_so(world: World) -> None:
    found = world.cloud.store.key(EMPTY)
    assert found is not None
    found.state = "Enabled"
    world.scan(HOUR)
    world.clock.ahead += HOUR
    world.used(HOUR / 2)
    _, keys, _ = world.document("--last-usage")
    assert keys[EMPTY]["use"] == "takes_new_data"
    assert "after everything was looked at: what used it was not seen" in keys[EMPTY]["reasons"][0]


def test_what_a_service_calls_an_operation_reaches_no_terminal_as_it_is(world: World) -> None:
    world.used(days(30), operation="\x1b[31mDecrypt", event="\x1b]0;x\x07")
    for more in ((), ("--destroy",)):
        out = world.retire("--last-usage", *more)[1]
        assert ("Decrypt at" in out, "\x1b" in out, "\x07" in out) == (True, False, False)


def test_commands_that_destroy_stand_below_the_last_use(world: World) -> None:
    world.used(days(30))
    out = world.retire("--destroy", "--last-usage")[1]
    last, call = (
        next(place for place, line in enumerate(out.splitlines()) if one in line)
        for one in ("# last use: Decrypt at", "schedule-key-deletion")
    )
    assert last < call
    assert "# last use" not in world.retire("--destroy")[1]


def test_where_all_keys_are_googles_nobody_is_asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with a_small_cloud(tmp_path) as small:
        assert cli._run(small.argv("scan", "-q")) == 0  # noqa: SLF001 - the command without the end of the process
        capsys.readouterr()
        assert cli._run(small.argv("retire", "--last-usage", GOOGLE_KEY)) == 0  # noqa: SLF001 - as above
        nobody = "Last use: nobody was asked: only AWS tells it, and none of these is a key of AWS that gave a state.\n"
        assert nobody in capsys.readouterr().out
        assert cli._run(small.argv("retire", GOOGLE_KEY)) == 0  # noqa: SLF001 - as above
        assert "Last use" not in capsys.readouterr().out
        assert cli._run(small.argv("retire", "--last-usage", "--format", "json")) == 0  # noqa: SLF001 - as above
        assert {one["last_use"] for one in json.loads(capsys.readouterr().out)["key_versions"]} == {None}


def test_a_profile_that_is_not_there_is_a_wrong_config(world: World) -> None:
    world.config.write_text(f'{CONFIG}[[account]]\nid = "111122223333"\nprofile = "nowhere"\n')
    argv = ["retire", "--last-usage", "--config", str(world.config)]
    assert cli._run(argv) == 2  # noqa: SLF001 - the command without the end of the process
    assert "AWS profile nowhere" in world.capsys.readouterr().err
    assert cli._run(["retire", "--config", str(world.config)]) == 0  # noqa: SLF001 - as above
