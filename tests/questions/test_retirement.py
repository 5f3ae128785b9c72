"""Nothing is called unused that may hold data, and nothing is to be destroyed that was not disabled long enough."""

import json
import shlex
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from io import StringIO
from itertools import count
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from auditor import cli, scan
from auditor.action import Action
from auditor.config import load
from auditor.findings import BucketCoverage, Status, Verdict
from auditor.inventory.folders import folder_name
from auditor.model import AwsKey, GcpKey, Holding, KeyManager, KeyMemory, KeyName, Population, Rotation
from auditor.outputs import retire_json, retire_table, terminal, words
from auditor.policy import Policy
from auditor.questions.impact.foreseeing import foresee
from auditor.questions.retire.retirement import Seen, next_step, standings
from auditor.questions.retire.retiring import retiring
from auditor.questions.retire.standing import Candidate, Next, Retiring, Standing, Step, Use
from auditor.readability import KeyView
from auditor.rule import Context, HeldKey
from auditor.rules import retirable_version
from auditor.wiring import Assembly, assemble
from tests.clouds import GOOGLE_KEY, Clock, an_aws_cloud
from tests.core_builders import AWS_KEY, GCP_KEY, NOW, a_gcp_key, a_holding, a_version, an_aws_key, days
from tests.small import Small, a_small_cloud
from tests.test_fleet import NoProgress

HOUR = timedelta(hours=1)
SHORT = "acme/us-east1/tpuf/main"
LONG_AGO = NOW - days(100)
SWEPT = BucketCoverage(
    bucket="gs://data",
    complete=True,
    listed=10,
    resolved=10,
    unresolved=0,
    outside=0,
    uploads_in_progress=0,
    sweep_started=NOW - HOUR,
    sweep_ended=NOW - HOUR / 2,
    oldest_verified=NOW - HOUR,
)
ON_S3 = replace(SWEPT, bucket="s3://data")
TWO = a_gcp_key(a_version("1"), a_version("2"), primary="2")
QUARANTINE = days(14)


def memory(key: AwsKey | GcpKey, *, changed: dict[str, datetime] | None = None, **resting: datetime) -> KeyMemory:
    since = {name.removeprefix("v"): date for name, date in resting.items()}
    return KeyMemory(key, NOW, resting=since, changed=changed or {})


def first(
    key: AwsKey | GcpKey = TWO,
    *under: Holding,
    known: KeyMemory | None = None,
    bucket: BucketCoverage | None = SWEPT,
    elsewhere: int | None = 0,
    left: tuple[str, ...] = (),
) -> Standing:
    """The standing of version 1, or of a key of AWS."""
    buckets = (bucket,) if bucket is not None else ()
    return standings(key, known or memory(key, v1=LONG_AGO), under, Seen(buckets, elsewhere, left), NOW)[0]


def test_a_version_that_was_replaced_long_before_everything_was_seen_and_holds_nothing_is_unused() -> None:
    found = first(TWO, a_holding(GCP_KEY, "2"))
    assert found == Standing("1", "ENABLED", Use.UNUSED, resting=LONG_AGO, looked=NOW - HOUR)


BLIND: dict[str, tuple[dict[str, Any], str]] = {
    "never swept": ({"bucket": replace(SWEPT, complete=False)}, "was never swept to its end"),
    "a population left out": (
        {"bucket": replace(SWEPT, left_out=(Population.SOFT_DELETED,))},
        "its soft-deleted objects",
    ),
    "keys not known": ({"bucket": replace(SWEPT, unresolved=24)}, "the key of 24 objects is not known"),
    "an upload": ({"bucket": replace(SWEPT, uploads_in_progress=1)}, "1 unfinished upload,"),
    "uploads not known": ({"bucket": replace(SWEPT, uploads_in_progress=None)}, "whether uploads are unfinished"),
    "swept before": ({"bucket": replace(SWEPT, sweep_started=LONG_AGO)}, "new data may have come until 2026-08-17"),
    "verified before": ({"bucket": replace(SWEPT, oldest_verified=LONG_AGO)}, "were looked at from 2026-08-16"),
    "replaced just now": ({"known": memory(TWO, v1=NOW - HOUR)}, "new data may have come until 2026-11-25"),
    "swept by a clock that was ahead": (
        {"bucket": replace(SWEPT, sweep_started=NOW + HOUR, oldest_verified=None)},
        "by a clock that was ahead",
    ),
    "a bucket that left the config": ({"left": ("gs://once", "s3://once")}, "gs://once: it has left the config"),
    "other buckets": ({"elsewhere": 2}, "2 buckets of the accounts in use in no config"),
    "nobody knows of others": ({"elsewhere": None}, "which buckets no config names is not known"),
    "no bucket at all": ({"bucket": None}, "no bucket of its cloud"),
    "only buckets of the other cloud": ({"bucket": ON_S3}, "no bucket of its cloud"),
}


@pytest.mark.parametrize(("how", "why"), BLIND.values(), ids=BLIND)
def test_what_was_not_seen_proves_nothing(how: dict[str, Any], why: str) -> None:
    found = first(**how)
    assert found.use is Use.NOT_PROVEN
    assert len(found.reasons) == 1
    assert why in found.reasons[0]
    assert next_step(found, QUARANTINE, NOW) == Next(Step.NONE)


def test_what_two_measurements_of_the_clocks_differ_by_is_no_clock_that_was_ahead() -> None:
    for apart, expected in ((timedelta(minutes=1), Use.UNUSED), (timedelta(minutes=1, seconds=1), Use.NOT_PROVEN)):
        swept = replace(SWEPT, sweep_started=NOW + apart, oldest_verified=None)
        assert first(bucket=swept).use is expected


def test_of_several_buckets_the_one_that_was_looked_at_longest_ago_counts() -> None:
    late = replace(SWEPT, bucket="gs://late", sweep_started=NOW - HOUR / 2, oldest_verified=None)
    for buckets in ((SWEPT, late), (late, SWEPT), (late, SWEPT, replace(ON_S3, sweep_started=LONG_AGO))):
        found = standings(TWO, memory(TWO, v1=LONG_AGO), (), Seen(buckets, 0), NOW)[0]
        assert (found.use, found.looked) == (Use.UNUSED, NOW - HOUR)


def test_the_moment_at_which_the_sweep_may_begin_is_a_day_after_the_last_new_data() -> None:
    since = NOW - HOUR - timedelta(hours=24)
    assert first(known=memory(TWO, v1=since)).use is Use.UNUSED
    assert first(known=memory(TWO, v1=since + timedelta(seconds=1))).use is Use.NOT_PROVEN


def test_data_under_it_or_maybe_under_it_keeps_a_version() -> None:
    found = first(TWO, a_holding(GCP_KEY, "1"), a_holding(GCP_KEY, "2"))
    one = a_holding(GCP_KEY, "1")
    assert (found.use, found.objects, found.size) == (Use.IN_USE, one.objects, one.size)
    found = first(TWO, a_holding(GCP_KEY, None))
    assert (found.use, "bare name" in found.reasons[0]) == (Use.NOT_PROVEN, True)


def test_the_primary_version_takes_new_data() -> None:
    for key, known in ((a_gcp_key(primary="1"), memory(TWO)), (a_gcp_key(), None)):
        assert first(key, known=known or memory(key)).use is Use.TAKES_NEW_DATA


def test_that_automatic_rotation_made_the_primary_version_long_ago_proves_nothing_of_before_the_first_look() -> None:
    made = NOW - days(60)
    versions = (a_version("1", "DISABLED"), a_version("2", created=made))
    key = a_gcp_key(*versions, primary="2", rotation=Rotation(days(90), made + days(90)))
    found = first(key, known=memory(key, v1=NOW))
    assert (found.use, found.resting, found.disabled) == (Use.NOT_PROVEN, NOW, NOW)


@pytest.mark.parametrize("state", ["DESTROYED", "PENDING_GENERATION", "IMPORT_FAILED", "77"])
def test_versions_that_are_gone_or_not_there_yet_are_not_told(state: str) -> None:
    key = a_gcp_key(a_version("1", state), a_version("2"), a_version("3", unlisted_since=NOW), primary="2")
    assert [one.version for one in standings(key, memory(key), (), Seen((SWEPT,), 0), NOW)] == ["2"]


AWS: dict[str, tuple[AwsKey, tuple[Holding, ...], KeyMemory | None, Use]] = {
    "enabled, without data": (an_aws_key(), (), None, Use.TAKES_NEW_DATA),
    "enabled, with data": (an_aws_key(), (a_holding(AWS_KEY),), None, Use.IN_USE),
    "disabled long ago": (an_aws_key("Disabled"), (), memory(an_aws_key(), v=LONG_AGO), Use.UNUSED),
    "disabled just now": (an_aws_key("Disabled"), (), memory(an_aws_key(), v=NOW), Use.NOT_PROVEN),
    "AWS's own": (an_aws_key(manager=KeyManager.PROVIDER), (), memory(an_aws_key(), v=LONG_AGO), Use.IN_USE),
}


@pytest.mark.parametrize(("key", "under", "known", "use"), AWS.values(), ids=AWS)
def test_a_key_of_aws_is_unused_only_once_it_is_disabled(
    key: AwsKey, under: tuple[Holding, ...], known: KeyMemory | None, use: Use
) -> None:
    assert first(key, *under, known=known or memory(key), bucket=ON_S3).use is use


def test_data_under_a_key_that_aws_manages_is_counted() -> None:
    found = first(an_aws_key(manager=KeyManager.PROVIDER), a_holding(AWS_KEY), bucket=ON_S3)
    assert (found.use, found.objects, found.size) == (Use.IN_USE, a_holding(AWS_KEY).objects, a_holding(AWS_KEY).size)
    assert (found.objects or 0) > 0
    one = Candidate(AWS_KEY, found, Next(Step.NONE), None)
    out = StringIO()
    terminal.plain(out).print(retire_table.retiring(Retiring(NOW, NOW, (one,), ())))
    assert "nothing: AWS manages it" in out.getvalue()


def test_a_key_of_aws_says_since_when_it_is_disabled_and_why_nothing_is_proven_of_it() -> None:
    off = an_aws_key("Disabled")
    assert first(off, known=memory(off, v=LONG_AGO), bucket=ON_S3).disabled == LONG_AGO
    waits = an_aws_key("PendingImport")
    assert first(waits, known=memory(waits, v=LONG_AGO), bucket=ON_S3).disabled is None
    assert "disable it, then sweep" in first(an_aws_key(), bucket=ON_S3).reasons[0]
    assert first(an_aws_key(manager=KeyManager.PROVIDER)).reasons == ("AWS manages it",)
    assert "primary version" in first(a_gcp_key(primary="1")).reasons[0]


def disabled(
    since: datetime | None, use: Use = Use.UNUSED, state: str = "DISABLED", looked: datetime | None = NOW
) -> Standing:
    return Standing("1", state, use, resting=LONG_AGO, disabled=since, looked=looked)


STEPS: dict[str, tuple[Standing, Next]] = {
    "enabled": (Standing("1", "ENABLED", Use.UNUSED), Next(Step.DISABLE)),
    "disabled today": (disabled(NOW), Next(Step.WAIT, NOW + QUARANTINE)),
    "disabled almost long enough": (
        disabled(NOW - QUARANTINE + timedelta(seconds=1)),
        Next(Step.WAIT, NOW + timedelta(seconds=1)),
    ),
    "disabled long enough": (disabled(NOW - QUARANTINE), Next(Step.DESTROY, NOW)),
    "disabled long enough, and not looked at since": (
        disabled(NOW - QUARANTINE, looked=NOW - timedelta(seconds=1)),
        Next(Step.WAIT, NOW),
    ),
    "disabled long enough, in use": (disabled(LONG_AGO, Use.IN_USE), Next(Step.NONE)),
    "disabled long enough, not proven": (disabled(LONG_AGO, Use.NOT_PROVEN), Next(Step.NONE)),
    "about to be destroyed": (disabled(None, state="DESTROY_SCHEDULED"), Next(Step.NONE)),
    "enabled, new data comes": (Standing("1", "ENABLED", Use.TAKES_NEW_DATA), Next(Step.NONE)),
}


@pytest.mark.parametrize(("standing", "step"), STEPS.values(), ids=STEPS)
def test_first_it_is_disabled_then_it_waits_and_only_then_it_is_destroyed(standing: Standing, step: Next) -> None:
    assert next_step(standing, QUARANTINE, NOW) == step


def test_since_when_it_is_disabled_is_since_its_state_changed_or_since_the_first_look() -> None:
    key = a_gcp_key(a_version("1", "DISABLED"), a_version("2"), primary="2")
    assert first(key, known=memory(key, v1=LONG_AGO)).disabled == LONG_AGO
    assert first(key, known=memory(key, changed={"version 1": NOW - days(3)}, v1=LONG_AGO)).disabled == NOW - days(3)
    again = memory(key, changed={"version 1": LONG_AGO}, v1=NOW - days(3))
    assert first(key, known=again).disabled == NOW - days(3), "nobody knows what it was while it was hidden"
    assert first(TWO).disabled is None


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Small]:
    """Nothing is under version 1 any more."""
    with a_small_cloud(tmp_path) as running:
        home = running.cloud.store.buckets["data"]
        home.objects = [one for one in home.objects if one.name.startswith("acme/new/")]
        yield running


@pytest.fixture
def clock(small: Small, monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Time that passes in steps of days, and still without a break."""
    monkeypatch.setattr("auditor.ledger.store._WITHOUT_A_BREAK", days(7))
    made = Clock()
    small.cloud.store.clock = made
    return made


def watched(small: Small, clock: Clock) -> Assembly:
    """After two days everything was looked at a day after the first look at the key."""
    assembly = assemble(load(small.config), clock)
    for _ in range(2):
        scan.scan(assembly.parts, NoProgress())
        clock.ahead += days(2)
    scan.scan(assembly.parts, NoProgress())
    return assembly


def use(assembly: Assembly) -> tuple[Use, tuple[str, ...]]:
    judgement = assembly.ledger.judgement()
    assert judgement is not None
    found = retiring(assembly.parts, judgement, None).candidates[0].standing
    return found.use, found.reasons


def judged_at(small: Small, clock: Clock) -> datetime:
    """The moment of the newest judgement: by now the clock may show another minute, or day."""
    with closing(assemble(load(small.config), clock, asking=False)) as assembly:
        judgement = assembly.ledger.judgement()
        assert judgement is not None
        return judgement.now


def told(capsys: pytest.CaptureFixture[str], small: Small, *argv: str) -> tuple[int, str]:
    code = cli._run([argv[0], "--config", str(small.config), *argv[1:]])  # noqa: SLF001 - without the end of the process
    out, err = capsys.readouterr()
    assert "error" not in err
    return code, out


def test_a_version_goes_its_whole_way_and_no_command_comes_before_its_time(small: Small, clock: Clock) -> None:
    assembly = assemble(load(small.config), clock)
    calls: list[list[str]] = []

    def step() -> str:
        """Scan, look, and do what is told; then time passes."""
        judgement = scan.scan(assembly.parts, NoProgress())
        (one, two) = retiring(assembly.parts, judgement, KeyName(GOOGLE_KEY)).candidates
        assert two.standing.use is Use.IN_USE
        if one.call is not None:
            calls.append(shlex.split(one.call)[4:6])
            small.set_state(1, "DISABLED" if one.next.step is Step.DISABLE else "DESTROY_SCHEDULED")
        clock.ahead += days(6)
        return one.next.step.value

    # It is seen disabled by the next poll, and from then on it waits.
    assert [step() for _ in range(6)] == ["none", "disable", "wait", "wait", "wait", "destroy"]
    assert calls == [["disable", "1"], ["destroy", "1"]]
    assert step() == "none"
    assembly.close()


def test_what_happened_while_nobody_heard_of_the_key_is_not_known(
    small: Small, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    assembly = watched(small, clock)
    assert use(assembly)[0] is Use.UNUSED
    monkeypatch.setattr("auditor.ledger.store._WITHOUT_A_BREAK", timedelta(minutes=15))
    clock.ahead += timedelta(minutes=14)
    scan.poll(assembly.parts, NoProgress())
    assert use(assembly)[0] is Use.UNUSED
    clock.ahead += timedelta(minutes=16)
    scan.poll(assembly.parts, NoProgress())
    assert use(assembly)[0] is Use.NOT_PROVEN
    assembly.close()


@pytest.mark.parametrize("hidden", ["denied", "throttled"])
def test_a_key_that_was_hidden_begins_anew(small: Small, clock: Clock, hidden: str) -> None:
    assembly = watched(small, clock)
    small.set_state(1, "DISABLED")
    scan.poll(assembly.parts, NoProgress())
    if hidden == "denied":
        small.cloud.store.deny("cloudkms.cryptoKeys.get", GOOGLE_KEY)
    else:
        small.cloud.traffic.fail("kms GetCryptoKey", status=503)
    for _ in range(2):
        clock.ahead += days(10)
        scan.poll(assembly.parts, NoProgress())
    small.cloud.store.allow("cloudkms.cryptoKeys.get", GOOGLE_KEY)
    small.cloud.traffic.heal()
    clock.ahead += days(1)
    judgement = scan.scan(assembly.parts, NoProgress())
    one = retiring(assembly.parts, judgement, None).candidates[0]
    assert (one.standing.use, one.standing.disabled, one.call) == (Use.NOT_PROVEN, judgement.now, None)
    assembly.close()


def test_a_version_that_was_the_primary_one_again_begins_anew(small: Small, clock: Clock) -> None:
    assembly = watched(small, clock)
    key = small.cloud.store.key(GOOGLE_KEY)
    assert key is not None
    key.primary = 1
    scan.poll(assembly.parts, NoProgress())
    assert use(assembly)[0] is Use.TAKES_NEW_DATA
    key.primary = 2
    scan.poll(assembly.parts, NoProgress())
    assert use(assembly)[0] is Use.NOT_PROVEN
    assembly.close()


@pytest.mark.parametrize(
    ("back", "expected"), [(timedelta(seconds=30), Use.UNUSED), (timedelta(minutes=10), Use.NOT_PROVEN)]
)
def test_a_measurement_of_the_clocks_that_is_seconds_off_is_no_break(
    small: Small, clock: Clock, back: timedelta, expected: Use
) -> None:
    assembly = watched(small, clock)
    scan.poll(assembly.parts, NoProgress())
    clock.ahead -= back
    scan.poll(assembly.parts, NoProgress())
    assert use(assembly)[0] is expected
    assembly.close()


def test_a_judgement_is_dated_by_one_measurement_of_the_clocks(small: Small, clock: Clock) -> None:
    assembly = assemble(load(small.config), clock)
    minutes = count()
    parts = replace(assembly.parts, skew=lambda: timedelta(minutes=next(minutes)))
    began = clock()
    judgement = scan.poll(parts, NoProgress())
    assert began <= judgement.now - judgement.run.skew <= clock()
    assembly.close()


def test_a_bucket_that_nobody_judged_yet_or_a_wrong_clock_leaves_nothing_proven(small: Small, clock: Clock) -> None:
    assembly = watched(small, clock)
    assembly.close()
    alone = small.config.read_text()
    more = '[[bucket]]\nurl = "gs://more"\nlayout = "{org}/{namespace}/"\naccount = "acme"\n'
    small.config.write_text(f"{alone}\n{more}")
    wider = assemble(load(small.config), clock)
    assert use(wider) == (
        Use.NOT_PROVEN,
        (
            "the last judgement was made by another config: poll first",
            "gs://more: it is in the config since the last judgement",
        ),
    )
    wider.close()
    small.config.write_text(alone)
    ahead = assemble(load(small.config), lambda: clock() + days(15))
    scan.poll(ahead.parts, NoProgress())
    assert use(ahead)[0] is Use.NOT_PROVEN
    ahead.close()


def test_commands_that_destroy_never_stand_beside_commands_that_disable(
    small: Small, clock: Clock, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    watched(small, clock).close()
    monkeypatch.setattr("auditor.commands.answering.assemble", partial(assemble, clock=clock))
    code, out = told(capsys, small, "retire")
    assert (code, "versions disable 1" in out, "destroy" in out) == (0, True, False)
    assert "Of 2 key versions: 1 proven unused; 1 in use." in out
    assert "estimated: $0.12 a month for all by list price; the proven unused save $0.06 (" in out
    code, out = told(capsys, small, "retire", "--destroy")
    assert (code, "gcloud" in out) == (0, False)
    for more in ((), ("--destroy",)):
        document = json.loads(told(capsys, small, "retire", "--format", "json", *more)[1])
        schema = jsonschema.Draft202012Validator(retire_json.schema(), format_checker=jsonschema.FormatChecker())
        schema.validate(document)
        calls = [one["call"] for one in document["key_versions"]]
        assert [one is not None for one in calls] == ([] if more else [True, False])
        assert [one["usd_month"] for one in document["key_versions"]] == ([] if more else [0.06, 0.06])


def test_a_key_of_which_nothing_is_proven_ends_with_3_and_says_what_to_do_next(
    small: Small, clock: Clock, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("auditor.commands.answering.assemble", partial(assemble, clock=clock))
    told(capsys, small, "scan", "-q")
    settled = judged_at(small, clock) + days(1)
    code, out = told(capsys, small, "retire", SHORT)
    assert (code, f"scan after {settled:%Y-%m-%d %H:%M} UTC, see below" in out) == (3, True), out
    assert told(capsys, small, "retire")[0] == 0, "of all keys there is always one that is not proven"
    clock.ahead += days(2)
    told(capsys, small, "poll", "-q")
    code, out = told(capsys, small, "retire", SHORT)
    assert (code, "mend what is told below, then scan" in out) == (3, True), out
    told(capsys, small, "scan", "-q")
    code, out = told(capsys, small, "retire", SHORT)
    assert (code, "disable it" in out) == (0, True), out


NOT_YET = {
    "old data": (Use.IN_USE, LONG_AGO, GOOGLE_KEY, "move its data first"),
    "primary with data": (Use.IN_USE, None, GOOGLE_KEY, "nothing, while new data comes"),
    "primary": (Use.TAKES_NEW_DATA, None, GOOGLE_KEY, "nothing, while it is the primary version"),
    "key of AWS": (Use.TAKES_NEW_DATA, None, AWS_KEY.text, "ask `impact`: only once it is disabled"),
}


@pytest.mark.parametrize(("use", "since", "key", "expected"), NOT_YET.values(), ids=NOT_YET)
def test_each_version_is_told_with_what_is_next(use: Use, since: datetime | None, key: str, expected: str) -> None:
    one = Candidate(KeyName(key), Standing("1", "ENABLED", use, resting=since), Next(Step.NONE), None)
    out = StringIO()
    terminal.plain(out).print(retire_table.retiring(Retiring(NOW, NOW, (one,), ())))
    assert expected in out.getvalue()


def test_what_stands_in_the_way_of_all_alike_is_told_once() -> None:
    def lines(*reasons: tuple[str, ...]) -> list[str]:
        some = tuple(
            Candidate(GCP_KEY, Standing(str(number), "ENABLED", Use.NOT_PROVEN, why), Next(Step.NONE), None)
            for number, why in enumerate(reasons, 1)
        )
        out = StringIO()
        terminal.plain(out).print(retire_table.retiring(Retiring(NOW, NOW, some, ())))
        return out.getvalue().partition("Not proven:\n")[2].splitlines()

    short = words.short(GCP_KEY.text)
    assert lines(("a bucket", "its own"), ("a bucket",)) == ["all 2 of them: a bucket", f"{short} version 1: its own"]
    assert lines(("a bucket",)) == [f"{short} version 1: a bucket"]
    assert lines(("one",), ("another",)) == [f"{short} version 1: one", f"{short} version 2: another"]


def test_a_key_that_was_never_read_ends_with_3(small: Small, capsys: pytest.CaptureFixture[str]) -> None:
    small.config.write_text(f'{small.config.read_text()}\n[[key]]\nname = "{GOOGLE_KEY}-2"\n')
    told(capsys, small, "scan", "--quiet")
    code, out = told(capsys, small, "retire")
    assert (code, f"gap: {SHORT}-2: " in out) == (3, True)
    assert "gap: " not in told(capsys, small, "retire", "acme/us-east1/tpuf/main")[1]


def test_a_key_that_has_fallen_silent_proves_nothing(small: Small, clock: Clock) -> None:
    assembly = watched(small, clock)
    small.cloud.store.deny("cloudkms.cryptoKeys.get", GOOGLE_KEY)
    scan.poll(assembly.parts, NoProgress())
    found = use(assembly)
    assembly.close()
    assert (found[0], "the key tells nothing now" in found[1][0]) == (Use.NOT_PROVEN, True)


def test_data_of_a_bucket_that_left_the_config_is_not_gone(small: Small, clock: Clock) -> None:
    store = small.cloud.store
    store.add_project("beta", 777)
    store.add_bucket("more", "beta", "us-east1")
    store.put("more", "acme/x/1", key=GOOGLE_KEY, version=1, size=1)
    alone = small.config.read_text()
    more = '[[bucket]]\nurl = "gs://more"\nlayout = "{org}/{namespace}/"\naccount = "beta"\n'
    small.config.write_text(f'{alone}\n{more}[[account]]\nproject = "beta"\n')
    both = watched(small, clock)
    assert use(both)[0] is Use.IN_USE
    both.close()
    small.config.write_text(alone)
    assembly = assemble(load(small.config), clock)
    for how in (scan.poll, scan.poll, scan.scan, scan.poll):
        clock.ahead += days(1)
        judgement = how(assembly.parts, NoProgress())
        told = use(assembly)
        assert told[0] is Use.NOT_PROVEN
        assert "gs://more: it has left the config, and nobody looks there" in told[1]
    found = foresee(assembly.parts, judgement, assembly.rows(judgement), (KeyName(GOOGLE_KEY), "1", Action.DESTROY))
    assert (found.extent.objects, "gs://more" in {one.what for one in found.gaps}) == (0, True)
    assembly.close()


def test_what_others_hold_is_left_out_only_where_somebody_says_that_it_is_nothing(small: Small, clock: Clock) -> None:
    small.cloud.store.add_bucket("more", "acme", "us-east1")
    for setting, expected in (("", Use.NOT_PROVEN), ("\n[policy]\nno_data_elsewhere = true\n", Use.UNUSED)):
        small.config.write_text(small.config.read_text() + setting)
        assembly = watched(small, clock)
        assert use(assembly)[0] is expected
        assembly.close()


def test_a_bucket_that_was_never_swept_to_its_end_and_left_is_not_forgotten(small: Small, clock: Clock) -> None:
    store = small.cloud.store
    store.add_project("beta", 777)
    store.add_bucket("more", "beta", "us-east1")
    store.put("more", "acme/x/1", key=GOOGLE_KEY, version=1, size=1)
    small.cloud.traffic.fail("storage GET /storage/v1/b/more/o?", status=403)
    alone = small.config.read_text()
    more = '[[bucket]]\nurl = "gs://more"\nlayout = "{org}/{namespace}/"\naccount = "beta"\n'
    small.config.write_text(f'{alone}\n{more}[[account]]\nproject = "beta"\n')
    watched(small, clock).close()
    small.config.write_text(alone)
    assembly = watched(small, clock)
    assert use(assembly) == (Use.NOT_PROVEN, ("gs://more: it has left the config, and nobody looks there",))
    assembly.close()


def test_a_sweep_that_a_gap_doubts_proves_nothing(small: Small, clock: Clock) -> None:
    assembly = watched(small, clock)
    assert use(assembly)[0] is Use.UNUSED
    assembly.close()
    small.config.write_text(small.config.read_text().replace("{org}/{namespace}/", "{org}/"))
    other = assemble(load(small.config), clock)
    scan.poll(other.parts, NoProgress())
    found = use(other)
    other.close()
    assert (found[0], any("gs://data: " in one for one in found[1])) == (Use.NOT_PROVEN, True)


def _later(clock: Clock, ahead: timedelta) -> datetime:
    return clock() + ahead


def test_a_sweep_by_a_wrong_clock_proves_nothing_also_when_its_time_has_come(small: Small, clock: Clock) -> None:
    for ahead in (timedelta(0), timedelta(hours=40)):
        assembly = assemble(load(small.config), partial(_later, clock, ahead))
        scan.scan(assembly.parts, NoProgress())
        assembly.close()
    clock.ahead += days(3)
    right = assemble(load(small.config), clock)
    scan.poll(right.parts, NoProgress())
    clock.ahead += timedelta(minutes=5)
    scan.poll(right.parts, NoProgress())
    found = use(right)
    right.close()
    assert found[0] is Use.NOT_PROVEN
    assert "gs://data: it was swept by a clock that was more than a day wrong: sweep it again" in found[1]


def test_a_sweep_by_a_clock_that_was_hours_ahead_proves_no_more_than_it_saw(small: Small, clock: Clock) -> None:
    small.cloud.store.buckets["data"].objects.clear()
    small.config.write_text(f'{small.config.read_text()}[[key]]\nname = "{GOOGLE_KEY}"\n')
    for ahead in (timedelta(0), timedelta(hours=23)):
        assembly = assemble(load(small.config), partial(_later, clock, ahead))
        scan.scan(assembly.parts, NoProgress())
        assembly.close()
        clock.ahead += HOUR
    clock.ahead += days(1)
    right = assemble(load(small.config), clock)
    scan.poll(right.parts, NoProgress())
    kind, reasons = use(right)
    right.close()
    assert kind is Use.NOT_PROVEN
    assert any(one.startswith("gs://data: its objects were looked at from ") for one in reasons)


@pytest.mark.parametrize("known", [True, False])
def test_data_that_names_the_key_by_the_number_of_its_project_keeps_it(
    small: Small, clock: Clock, *, known: bool
) -> None:
    store = small.cloud.store
    store.buckets["data"].objects = [one for one in store.buckets["data"].objects if "/old/" not in one.name]
    by_number = GOOGLE_KEY.replace("acme", str(store.projects["acme"]), 1)
    store.put("data", "acme/old/by-number", key=by_number, version=1)
    if not known:
        store.deny("cloudkms.cryptoKeys.get", by_number)
    assembly = watched(small, clock)
    judgement = assembly.ledger.judgement()
    assert judgement is not None
    (one, _) = retiring(assembly.parts, judgement, KeyName(GOOGLE_KEY)).candidates
    assembly.close()
    told = f"data names the key {by_number}, which may be this one by the other name of its project"
    assert (one.standing.use, told in one.standing.reasons) == (Use.IN_USE if known else Use.NOT_PROVEN, not known)


def test_where_no_key_is_known_that_is_no_proof_that_there_is_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with a_small_cloud(tmp_path) as small:
        assert cli._run(small.argv("poll", "-q")) == 3  # noqa: SLF001 - without the end of the process
        capsys.readouterr()
        assert cli._run(small.argv("retire")) == 3  # noqa: SLF001 - without the end of the process
        assert "it was never swept" in capsys.readouterr().out


REGISTRY = '\n[[registry]]\nkind = "file"\npath = "namespaces.csv"\n'
ON_AWS = "arn:aws:kms:us-east-1:111122223333:key/1f3c0f5e-0000-4000-8000-00000000000"
S3 = f"""
state = "state"
[policy]
no_data_elsewhere = true
[platform]
aws_principals = ["arn:aws:iam::111122223333:role/storage"]
[[bucket]]
url = "s3://objects"
region = "us-east-1"
layout = "{{org}}/{{namespace}}/"
[[key]]
name = "{ON_AWS}2"
"""
GOOD = f"acme/old,{ON_AWS}1\n"
NAMED_BY = {
    "no registry": (None, None, None),
    "it names another key": (GOOD, GOOD, None),
    "it names the key": (f"acme/old,{ON_AWS}2\n", f"acme/old,{ON_AWS}2\n", "a registry names it for its namespaces"),
    "it was never read": ("", None, "what registries name is not known: registry namespaces.csv: "),
    "it can be read no more": (GOOD, "", "what registries name is not known: registry namespaces.csv: "),
    "an entry cannot be used": (GOOD, f"{GOOD}acme/new,alias/x\n", "1 of its entries is not heeded"),
    "what it said is lost": (GOOD, "lost", "what registries name is not known: registries: "),
}


@pytest.mark.parametrize("said", NAMED_BY.values(), ids=NAMED_BY)
def test_a_key_that_a_registry_names_or_may_name_is_never_unused(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch, said: tuple[str | None, str | None, str | None]
) -> None:
    first, last, why = said
    config, registry = tmp_path / "aws" / "auditor.toml", tmp_path / "aws" / "namespaces.csv"
    config.parent.mkdir()
    config.write_text(S3 + (REGISTRY if first is not None else ""))
    with an_aws_cloud(monkeypatch) as cloud:
        cloud.store.clock = clock
        cloud.store.add_bucket("objects")
        cloud.store.add_key(f"{ON_AWS}1")
        cloud.store.add_key(f"{ON_AWS}2", state="Disabled")
        cloud.store.put("objects", "acme/old/1", sse="aws:kms", key=f"{ON_AWS}1")
        if first:
            registry.write_text(f"namespace,key\n{first}")
        assembly = assemble(load(config), clock)
        for _ in range(2):
            scan.scan(assembly.parts, NoProgress())
            clock.ahead += days(2)
            cloud.store.put("objects", "acme/old/1", sse="aws:kms", key=f"{ON_AWS}1")
        if last == "lost":
            shutil.rmtree(config.parent / "state" / "registry")
            (config.parent / "state" / "registry").write_text("")
        elif last:
            registry.write_text(f"namespace,key\n{last}")
        else:
            registry.unlink(missing_ok=True)
        judgement = scan.scan(assembly.parts, NoProgress())
        (one,) = retiring(assembly.parts, judgement, KeyName(f"{ON_AWS}2")).candidates
        assembly.close()
    if why is None:
        assert (one.standing.use, one.next.step) == (Use.UNUSED, Step.WAIT)
    else:
        assert (one.standing.use, one.next.step, one.call) == (Use.NOT_PROVEN, Step.NONE, None)
        assert any(why in each for each in one.standing.reasons)


@pytest.mark.parametrize(("primary", "expected"), [("ENABLED", Use.UNUSED), ("DISABLED", Use.NOT_PROVEN)])
def test_no_data_comes_under_an_old_version_of_a_key_that_a_registry_names_while_the_new_one_works(
    small: Small, clock: Clock, primary: str, expected: Use
) -> None:
    small.config.write_text(small.config.read_text() + REGISTRY)
    (small.config.parent / "namespaces.csv").write_text(f"namespace,key\nacme/new,{GOOGLE_KEY}\n")
    small.set_state(2, primary)
    assembly = watched(small, clock)
    kind, reasons = use(assembly)
    assembly.close()
    assert (kind, any("a registry names it" in one for one in reasons)) == (expected, expected is not Use.UNUSED)


OTHER_CLOUD = '\n[[bucket]]\nurl = "s3://objects"\nregion = "us-east-1"\nlayout = "{org}/{namespace}/"\n'


@pytest.mark.parametrize("how", ["refused", "damaged", "new"])
def test_a_bucket_of_which_nothing_is_known_is_told_whatever_its_cloud(
    small: Small, clock: Clock, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    with an_aws_cloud(monkeypatch) as cloud:
        cloud.store.clock = clock
        cloud.store.add_bucket("objects")
        cloud.store.put("objects", "acme/a/1")
        if how == "new":
            told(capsys, small, "scan", "-q")
            assert told(capsys, small, "retire")[0] == 0
        small.config.write_text(small.config.read_text() + OTHER_CLOUD)
        if how == "refused":
            cloud.traffic.fail("s3 GET /objects", status=403, code="AccessDenied")
            cloud.traffic.fail("s3 HEAD /objects", status=403, code="AccessDenied")
        if how != "new":
            told(capsys, small, "scan", "-q")
        if how == "damaged":
            assert told(capsys, small, "retire")[0] == 0
            shutil.rmtree(small.config.parent / "state" / "inventory" / folder_name("s3://objects"))
            told(capsys, small, "poll", "-q")
        code, out = told(capsys, small, "retire")
        assert (code, "gap: s3://objects: " in out) == (3, True), out
        code, out = told(capsys, small, "retire", SHORT)
        assert (code, "gap: " in out) == (3, False), "it is not proven unused, which another cloud has no part in"


def test_a_bucket_of_its_cloud_of_which_nothing_is_known_is_told_where_a_key_is_not_proven_unused_for_it(
    small: Small, capsys: pytest.CaptureFixture[str]
) -> None:
    small.cloud.store.add_bucket("more", "acme", "us-east1")
    more = '[[bucket]]\nurl = "gs://more"\nlayout = "{org}/{namespace}/"\naccount = "acme"\n'
    small.config.write_text(f"{small.config.read_text()}\n{more}")
    told(capsys, small, "scan", "-q", "--bucket", "gs://data")
    code, out = told(capsys, small, "retire", SHORT)
    assert (code, "gap: gs://more: nothing is known of its objects" in out) == (3, True), out


def retirable(assembly: Assembly) -> list[str]:
    """What the finding says of the key, as the next poll tells it."""
    findings = scan.poll(assembly.parts, NoProgress()).findings
    return [one.cause for one in findings if one.rule == "retirable-version" and one.status is Status.OPEN]


def test_what_is_proven_unused_is_a_finding_until_it_is_on_its_way_out(small: Small, clock: Clock) -> None:
    assembly = watched(small, clock)
    (told,) = retirable(assembly)
    assert told.startswith(f"nothing is under version 1 of key {GOOGLE_KEY}, and everything was seen since ")
    assert told.endswith("; $0.06 a month by list price")
    small.set_state(1, "DISABLED")
    seen = scan.poll(assembly.parts, NoProgress()).now
    (told,) = retirable(assembly)
    assert f"; disabled, and to be left so until {seen + QUARANTINE:%Y-%m-%d}" in told
    assert not any(word in told for word in ("gcloud", "destroy"))
    small.set_state(1, "DESTROY_SCHEDULED")
    scan.poll(assembly.parts, NoProgress())
    assert retirable(assembly) == []
    assembly.close()


def test_a_version_is_told_once_by_whatever_names_data_has_its_key(small: Small, clock: Clock) -> None:
    store = small.cloud.store
    by_number = GOOGLE_KEY.replace("acme", str(store.projects["acme"]), 1)
    store.put("data", "acme/new/by-number", key=by_number, version=2)
    assembly = watched(small, clock)
    (told,) = retirable(assembly)
    assert told.startswith(f"nothing is under version 1 of key {GOOGLE_KEY}, ")
    assembly.close()


def a_primary_again(small: Small) -> None:
    key = small.cloud.store.key(GOOGLE_KEY)
    assert key is not None
    key.primary = 1


def with_data_again(small: Small) -> None:
    small.cloud.store.put("data", "acme/old/again", key=GOOGLE_KEY, version=1, size=100)


def silent(small: Small) -> None:
    small.cloud.store.deny("cloudkms.cryptoKeys.get", GOOGLE_KEY)


def among_new_buckets(small: Small) -> None:
    """There may be data in one that nobody looks into."""
    small.cloud.store.add_bucket("more", "acme", "us-east1")


@pytest.mark.parametrize("what", [a_primary_again, with_data_again, silent, among_new_buckets])
def test_what_is_not_proven_any_more_is_no_finding_any_more(
    small: Small, clock: Clock, what: Callable[[Small], None]
) -> None:
    assembly = watched(small, clock)
    assert retirable(assembly)
    what(small)
    scan.scan(assembly.parts, NoProgress())
    if what is not among_new_buckets:
        now = assembly.ledger.judgement()
        assert now is not None
        open_ = {one.rule for one in now.findings if one.status is Status.OPEN}
        assert "retirable-version" not in open_, "at once"
    assert retirable(assembly) == []
    assembly.close()


def test_of_a_key_of_aws_the_whole_key_is_told() -> None:
    over = NOW + days(3)
    standing = Standing(None, "Disabled", Use.UNUSED, resting=LONG_AGO, disabled=LONG_AGO, looked=NOW)
    for step, more in (
        (Next(Step.WAIT, over), f"until {over:%Y-%m-%d}"),
        (Next(Step.DESTROY, over), "nobody has missed"),
    ):
        one = Candidate(AWS_KEY, standing, step, None, 1.0)
        key = HeldKey(KeyView(AWS_KEY, an_aws_key("Disabled"), None), NOW, (), (), (), candidates=(one,))
        found = retirable_version.RULE.check(key, Context(NOW, Policy(), {}))
        assert (found.verdict, found.text.startswith(f"nothing is under key {AWS_KEY}, and ")) == (Verdict.FAILED, True)
        assert more in found.text
        assert "; $1.00 a month by list price; " in found.text
        assert found.text.endswith(": `retire KEY --last-usage` asks AWS, before anything is done"), "nobody asked yet"
        enabled = replace(key, view=KeyView(AWS_KEY, an_aws_key(), None))
        assert retirable_version.RULE.check(enabled, Context(NOW, Policy(), {})).verdict is Verdict.PASSED
