"""What is foreseen of an action on a key is what becomes of its data once somebody has taken it."""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path

import jsonschema
import pytest

from auditor import cli, scan
from auditor.action import Action
from auditor.config import load
from auditor.embedded.aws import AwsCloud
from auditor.embedded.aws.store import default_policy
from auditor.findings import Judgement, Readability
from auditor.gaps import OBJECTS
from auditor.model import Gap, KeyName, Population, Reason
from auditor.outputs import impact_json, words
from auditor.questions.impact.answer import Impact
from auditor.questions.impact.foreseeing import foresee
from auditor.wiring import Assembly, assemble
from tests.clouds import GOOGLE_KEY, RING
from tests.core_builders import AWS_KEY
from tests.small import Small, a_small_cloud
from tests.test_denied import AWS_KEY as KEY_ON_AWS
from tests.test_fleet import NoProgress
from tests.test_refusals import on_aws, on_google

R = Readability
MONTH = timedelta(days=30)
SHORT = "acme/us-east1/tpuf/main"


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Small]:
    with a_small_cloud(tmp_path) as running:
        yield running


def asked(
    assembly: Assembly, judgement: Judgement, action: Action, version: str | None = None, key: str = GOOGLE_KEY
) -> Impact:
    """What is foreseen from the whole judgement, and from as much of it as is about the key: it is to be the same."""
    moment = assembly.parts.clock()
    parts = replace(assembly.parts, clock=lambda: moment)
    about = assembly.ledger.judgement_about(KeyName(key))
    assert about is not None
    assert about.run == judgement.run
    alone = replace(judgement, assessed=about.assessed, findings=())
    told, same = (
        foresee(parts, one, assembly.rows(one), (KeyName(key), version, action)) for one in (judgement, alone)
    )
    assert told == same
    return told


def objects(judgement: Judgement) -> Counter[R]:
    found: Counter[R] = Counter()
    for one in judgement.assessed:
        found[one.assessment.readability] += one.holding.objects or 0
    return found


def foreseen(judgement: Judgement, impact: Impact) -> Counter[R]:
    """How many objects are so, once what was foreseen has happened."""
    found = objects(judgement)
    for one in impact.shifts:
        found[one.before] -= one.extent.objects or 0
        found[one.after] += one.extent.objects or 0
    return +found


def set_states(small: Small, state: str, *versions: int, until: datetime | None = None) -> None:
    key = small.cloud.store.key(GOOGLE_KEY)
    assert key is not None
    for number in versions:
        key.versions[number].state = state
        key.versions[number].destroy_time = until


def revoke(small: Small) -> None:
    store = small.cloud.store
    store.revoke(RING, f"serviceAccount:{store.agent('acme')}")


ON_GOOGLE: dict[str, tuple[Action, str | None, Callable[[Small], None]]] = {
    "a version is disabled": (Action.DISABLE, "1", lambda one: set_states(one, "DISABLED", 1)),
    "the primary version is disabled": (Action.DISABLE, "2", lambda one: set_states(one, "DISABLED", 2)),
    "all versions are disabled": (Action.DISABLE, None, lambda one: set_states(one, "DISABLED", 1, 2)),
    "a version is destroyed": (
        Action.DESTROY,
        "1",
        lambda one: set_states(one, "DESTROY_SCHEDULED", 1, until=datetime.now(UTC) + MONTH),
    ),
    "access is revoked": (Action.REVOKE, None, revoke),
}


@pytest.mark.parametrize("before", ["all well", "version 1 disabled", "access revoked", "one object without version"])
@pytest.mark.parametrize(("action", "version", "act"), ON_GOOGLE.values(), ids=ON_GOOGLE)
def test_on_google_what_is_foreseen_is_what_happens(
    tmp_path: Path, before: str, action: Action, version: str | None, act: Callable[[Small], None]
) -> None:
    with on_google(tmp_path) as (small, assembly, clock):
        match before:
            case "version 1 disabled":
                set_states(small, "DISABLED", 1)
            case "access revoked":
                revoke(small)
            case "one object without version":
                small.cloud.store.put("data", "acme/old/unnamed", key=GOOGLE_KEY, version=None, size=7)
        judgement = scan.scan(assembly.parts, NoProgress())
        impact = asked(assembly, judgement, action, version)
        asked_of_clouds = len(small.cloud.traffic.requests)
        act(small)
        clock.ahead += timedelta(hours=3)
        assert objects(scan.poll(assembly.parts, NoProgress())) == foreseen(judgement, impact)
        assert len(small.cloud.traffic.requests) > asked_of_clouds
        assert impact.extent.objects == sum(one.extent.objects or 0 for one in impact.shifts)
        assert sum(count for count, _ in impact.populations.values()) == impact.extent.objects


def disable(cloud: AwsCloud) -> None:
    key = cloud.store.key(KEY_ON_AWS)
    assert key is not None
    key.state = "Disabled"


def delete(cloud: AwsCloud) -> None:
    key = cloud.store.key(KEY_ON_AWS)
    assert key is not None
    key.state, key.deletion_date = "PendingDeletion", cloud.store.clock() + MONTH


def bar(cloud: AwsCloud) -> None:
    key = cloud.store.key(KEY_ON_AWS)
    assert key is not None
    key.policy = default_policy(key.account)
    key.policy["Statement"].append(
        {
            "Effect": "Deny",
            "Principal": {"AWS": "arn:aws:iam::111122223333:role/storage"},
            "Action": "kms:Decrypt",
            "Resource": "*",
        }
    )


ON_AWS = {"disabled": (Action.DISABLE, disable), "deleted": (Action.DESTROY, delete), "revoked": (Action.REVOKE, bar)}


@pytest.mark.parametrize("before", ["Enabled", "Disabled"])
@pytest.mark.parametrize(("action", "act"), ON_AWS.values(), ids=ON_AWS)
def test_on_aws_what_is_foreseen_is_what_happens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: str, action: Action, act: Callable[[AwsCloud], None]
) -> None:
    with on_aws(tmp_path, monkeypatch) as (cloud, key, assembly, clock):
        key.state = before
        judgement = scan.scan(assembly.parts, NoProgress())
        impact = asked(assembly, judgement, action, key=KEY_ON_AWS)
        act(cloud)
        clock.ahead += timedelta(hours=3)
        assert objects(scan.poll(assembly.parts, NoProgress())) == foreseen(judgement, impact)
        assert impact.extent.objects == (0 if before == "Disabled" and action is not Action.DESTROY else 2)
        # A right that is taken from a key that is disabled besides changes what must be undone, and no read.
        assert impact.untouched == 2 - impact.extent.objects


def test_an_undo_leads_back_to_what_was_and_no_further(tmp_path: Path) -> None:
    with on_google(tmp_path) as (small, assembly, _):
        set_states(small, "DISABLED", 1)
        judgement = scan.scan(assembly.parts, NoProgress())
        impact = asked(assembly, judgement, Action.DESTROY)
    steps = [(one.call.split()[4], one.call.split()[5], one.lands_in) for one in impact.undo]
    assert steps == [("restore", "1", "DISABLED"), ("restore", "2", "DISABLED"), ("enable", "2", "ENABLED")]
    assert {one.until for one in impact.undo} == {impact.final_at}
    assert impact.final_at is not None
    assert abs(impact.final_at - impact.now - MONTH) < timedelta(seconds=1)


def test_only_a_destruction_is_ever_for_good(tmp_path: Path) -> None:
    with on_google(tmp_path) as (_, assembly, _):
        judgement = scan.scan(assembly.parts, NoProgress())
        for action in (Action.DISABLE, Action.REVOKE):
            found = asked(assembly, judgement, action)
            assert (found.final_at, found.final) == (None, "never by itself")
            assert {one.until for one in found.undo} == {None}


def test_new_data_fails_where_the_primary_version_goes(tmp_path: Path) -> None:
    with on_google(tmp_path) as (small, assembly, _):
        small.cloud.store.buckets["data"].default_key = GOOGLE_KEY
        judgement = scan.scan(assembly.parts, NoProgress())
        old, new, whole = (asked(assembly, judgement, Action.DISABLE, one).writes for one in ("1", "2", None))
    assert (old.fail, old.buckets, old.namespaces) == (False, (), 0)
    assert old.text == "new data is written under version 2"
    for one in (new, whole):
        assert (one.fail, one.buckets, one.namespaces) == (True, ("gs://data",), 2)


def test_deleted_objects_are_counted_with_their_population(tmp_path: Path) -> None:
    with on_google(tmp_path) as (small, assembly, _):
        small.cloud.store.buckets["data"].soft_delete = timedelta(days=7)
        for one in islice(small.cloud.store.objects("data", versions=False, soft_deleted=False), 3):
            one.soft_deleted_since = small.cloud.store.clock()
        judgement = scan.scan(assembly.parts, NoProgress())
        found = asked(assembly, judgement, Action.DISABLE)
    assert found.populations == {Population.LIVE: (17, 1_700), Population.SOFT_DELETED: (3, 300)}


def test_of_a_key_that_was_never_read_nothing_is_fine(tmp_path: Path) -> None:
    other = f"{GOOGLE_KEY}-2"
    with on_google(tmp_path) as (_, assembly, _):
        found = asked(assembly, scan.scan(assembly.parts, NoProgress()), Action.DISABLE, "1", key=other)
    assert (found.state, found.state_read, found.extent.objects) == ("never read", None, 0)
    assert [(one.what, one.reason) for one in found.gaps] == [(other, Reason.NOT_VISIBLE)]


def test_a_key_that_may_not_be_read_is_foreseen_as_if_it_worked(tmp_path: Path) -> None:
    with on_google(tmp_path) as (small, assembly, _):
        small.cloud.store.deny("cloudkms.cryptoKeys.get", GOOGLE_KEY)
        judgement = scan.scan(assembly.parts, NoProgress())
        assert set(objects(judgement)) == {R.UNKNOWN}
        found = asked(assembly, judgement, Action.DISABLE, "1")
    assert [(one.before, one.after, one.extent.objects) for one in found.shifts] == [(R.UNKNOWN, R.UNREADABLE, 10)]
    assert {one.what for one in found.gaps} == {GOOGLE_KEY}


def test_where_nobody_knows_who_decrypts_that_is_a_gap_and_no_command(tmp_path: Path) -> None:
    with on_google(tmp_path) as (small, assembly, _):
        small.cloud.traffic.fail("serviceAccount", status=403)
        judgement = scan.scan(assembly.parts, NoProgress())
        found = asked(assembly, judgement, Action.REVOKE)
    assert [(one.after, one.extent.objects) for one in found.shifts] == [(R.REVOKED, 20)]
    assert found.undo == ()
    assert "who decrypts for it is not known" in {one.effect for one in found.gaps}


def test_what_could_hide_more_of_such_data_is_a_gap(tmp_path: Path) -> None:
    with on_google(tmp_path) as (small, assembly, _):
        scan.scan(assembly.parts, NoProgress())
        text = small.config.read_text()
        small.config.write_text(
            text + '\n[[bucket]]\nurl = "gs://more"\nlayout = "{org}/{namespace}/"\naccount = "acme"\n'
        )
        with_more = assemble(load(small.config))
        judgement = scan.poll(with_more.parts, NoProgress())
        found = asked(with_more, judgement, Action.DISABLE, "1")
        with_more.close()
    assert (found.known.buckets, found.known.lacking) == (2, 1)
    assert "gs://more" in {one.what for one in found.gaps}


def test_what_nobody_looked_at_is_a_gap(tmp_path: Path) -> None:
    with on_google(tmp_path) as (small, _, _):
        small.cloud.traffic.fail("storage GET /storage/v1/b?", status=403)
        less = 'account = "acme"\npopulations = ["live"]\n'
        small.config.write_text(small.config.read_text().replace('account = "acme"\n', less))
        smaller = assemble(load(small.config))
        judgement = scan.scan(smaller.parts, NoProgress())
        found = asked(smaller, judgement, Action.DESTROY, "1")
        smaller.close()
    assert {(one.what, one.effect.partition(":")[0]) for one in found.gaps} == {
        ("gs://data", "nothing is known of its noncurrent and soft-deleted objects"),
        ("list of all buckets", "how many buckets are not configured is not known"),
    }


def test_what_may_be_under_the_key_and_was_not_seen_is_a_gap(tmp_path: Path) -> None:
    with on_google(tmp_path) as (small, assembly, clock):
        store = small.cloud.store
        store.add_bucket("unnamed", "acme", "us-east1")
        number = store.projects["acme"]
        by_number = GOOGLE_KEY.replace("acme", str(number), 1)
        store.put("data", "acme/old/by-number", key=by_number, version=1)
        store.deny("cloudkms.cryptoKeys.get", by_number)
        scan.scan(assembly.parts, NoProgress())
        clock.ahead += timedelta(days=2)
        found = asked(assembly, scan.poll(assembly.parts, NoProgress()), Action.DISABLE, "2")
    told = [one.effect for one in found.gaps]
    assert "1 bucket of the accounts in use is in no config: nobody looked there" in told
    assert any(one.startswith("what was written since ") for one in told)
    assert any(f"data names the key projects/{number}/" in one for one in told)


def test_objects_whose_key_nobody_read_may_be_under_it(tmp_path: Path) -> None:
    unread = Gap(OBJECTS, Reason.ACCESS_DENIED, "the key of 3 objects is not known", "grant it", 3)
    of_another = Gap("gs://data-of-others", Reason.ACCESS_DENIED, "it could not be listed", "grant it")
    with on_google(tmp_path) as (_, assembly, _):
        judgement = replace(scan.scan(assembly.parts, NoProgress()), gaps=(unread, of_another))
        found = asked(assembly, judgement, Action.DISABLE, "1")
    assert unread in found.gaps
    assert of_another not in found.gaps


def test_an_upload_that_is_unfinished_may_become_data_under_the_key(tmp_path: Path) -> None:
    with on_google(tmp_path) as (small, assembly, _):
        small.cloud.store.buckets["data"].uploads.append("acme/old/unfinished")
        found = asked(assembly, scan.scan(assembly.parts, NoProgress()), Action.DISABLE, "1")
    assert "an upload is unfinished, of which nobody tells the key" in {one.effect for one in found.gaps}


def test_buckets_that_somebody_answers_for_are_no_gap(tmp_path: Path) -> None:
    with on_google(tmp_path) as (small, _, _):
        small.cloud.store.add_bucket("unnamed", "acme", "us-east1")
        small.config.write_text(small.config.read_text() + "\n[policy]\nno_data_elsewhere = true\n")
        sure = assemble(load(small.config))
        found = asked(sure, scan.scan(sure.parts, NoProgress()), Action.DISABLE, "1")
        sure.close()
    assert found.gaps == ()


def test_data_with_the_bare_name_of_the_key_may_hang_on_any_version(tmp_path: Path) -> None:
    with on_google(tmp_path) as (small, assembly, _):
        small.cloud.store.put("data", "acme/old/unnamed", key=GOOGLE_KEY, version=None, size=7)
        set_states(small, "DISABLED", 2)
        judgement = scan.scan(assembly.parts, NoProgress())
        found = asked(assembly, judgement, Action.DISABLE, "2")
    assert found.idle is not None
    assert found.untouched == 11


def test_new_data_that_fails_already_is_told_so(tmp_path: Path) -> None:
    with on_google(tmp_path) as (small, assembly, _):
        set_states(small, "DISABLED", 2)
        found = asked(assembly, scan.scan(assembly.parts, NoProgress()), Action.DISABLE, "1").writes
    assert (found.fail, "version 2, the primary one, is DISABLED" in found.text) == (True, True)


def test_that_nothing_changes_does_not_hide_that_new_data_fails_already(
    small: Small, capsys: pytest.CaptureFixture[str]
) -> None:
    set_states(small, "DISABLED", 2)
    swept(small, capsys)
    _, out, _ = told(capsys, small, f"{SHORT}/2")
    assert "\nwrites      new data cannot be written already: version 2, the primary one, is DISABLED\n" in out
    set_states(small, "DISABLED", 1)
    set_states(small, "ENABLED", 2)
    cli._run(["poll", "--config", str(small.config), "--quiet"])  # noqa: SLF001 - as above
    assert "\nwrites " not in told(capsys, small, f"{SHORT}/1")[1]


def test_whether_new_data_fails_under_a_state_of_tomorrow_is_not_known(tmp_path: Path) -> None:
    with on_google(tmp_path) as (small, assembly, _):
        key = small.cloud.store.key(GOOGLE_KEY)
        assert key is not None
        key.versions[2].state = 77
        judgement = scan.scan(assembly.parts, NoProgress())
        found = asked(assembly, judgement, Action.DISABLE, "1").writes
        whole = asked(assembly, judgement, Action.DISABLE)
    assert found.fail is None
    assert found.text == (
        "whether new data can be written is not known: version 2, the primary one, is in a state that this version "
        "does not know (77)"
    )
    assert whole.state == "ENABLED, a state that this version does not know (77)"


@pytest.mark.parametrize("gone", ["version", "key"])
def test_data_that_is_lost_already_is_told(tmp_path: Path, gone: str) -> None:
    with on_google(tmp_path) as (small, assembly, clock):
        scan.scan(assembly.parts, NoProgress())
        if gone == "key":
            small.cloud.store.delete_key(GOOGLE_KEY)
            clock.ahead += timedelta(days=40)
        else:
            set_states(small, "DESTROYED", 1)
        judgement = scan.poll(assembly.parts, NoProgress())
        found = asked(assembly, judgement, Action.DESTROY, "1")
    assert (found.extent.objects, found.untouched) == (0, 10)
    assert found.stands == ((R.LOST, 10),)


def test_that_nothing_changes_is_told_with_what_is_wrong_already_and_until_when(
    small: Small, capsys: pytest.CaptureFixture[str]
) -> None:
    until = datetime.now(UTC) + timedelta(hours=19, minutes=1)
    set_states(small, "DESTROY_SCHEDULED", 1, until=until)
    swept(small, capsys)
    _, out, _ = told(capsys, small, f"{SHORT}/1", "--action", "destroy")
    assert f"\nalready     10 objects doomed; the first date is {words.instant(until)}, in 19 h " in out
    as_json = json.loads(told(capsys, small, f"{SHORT}/1", "--action", "destroy", "--format", "json")[1])
    assert as_json["as_before_by_readability"] == {"doomed": 10}
    assert datetime.fromisoformat(as_json["as_before_until"]) == until
    _, out, _ = told(capsys, small, f"{SHORT}/2", "--action", "destroy")
    assert "already " not in out, "nothing else is under version 2"


def told(capsys: pytest.CaptureFixture[str], small: Small, *more: str) -> tuple[int, str, str]:
    code = cli._run(["impact", "--config", str(small.config), *more])  # noqa: SLF001 - without the end of the process
    out, err = capsys.readouterr()
    return code, out, err


def swept(small: Small, capsys: pytest.CaptureFixture[str]) -> None:
    cli._run(["scan", "--config", str(small.config), "--quiet"])  # noqa: SLF001 - as above
    capsys.readouterr()


NAMES = {
    "full": (GOOGLE_KEY, None),
    "full version": (f"{GOOGLE_KEY}/cryptoKeyVersions/1", "1"),
    "full, slash": (f"{GOOGLE_KEY}/1", "1"),
    "as in tables": (SHORT, None),
    "version as in tables": (f"{SHORT} version 1", "1"),
    "short, slash": (f"{SHORT}/1", "1"),
}


@pytest.mark.parametrize(("name", "version"), NAMES.values(), ids=NAMES)
def test_a_key_or_version_is_named_as_people_have_it(
    small: Small, capsys: pytest.CaptureFixture[str], name: str, version: str | None
) -> None:
    swept(small, capsys)
    code, out, _ = told(capsys, small, name, "--format", "json")
    document = json.loads(out)
    jsonschema.Draft202012Validator(impact_json.schema(), format_checker=jsonschema.FormatChecker()).validate(document)
    assert (code, document["key"], document["key_version"]) == (1, GOOGLE_KEY, version)
    assert document["affected"]["objects"] == (10 if version else 20)


def test_the_terminal_tells_the_answer_the_way_back_and_how_sure_it_is(
    small: Small, capsys: pytest.CaptureFixture[str]
) -> None:
    swept(small, capsys)
    code, out, _ = told(capsys, small, f"{SHORT}/1")
    assert code == 1
    for text in (
        "10 objects (1.0 kB) in 1 namespace would be affected.",
        "readable  unreadable       10",
        "populations 10 live",
        "namespaces  gs://data/acme/old (10 objects)",
        "writes      new data is written under version 2",
        "undo 1      gcloud kms keys versions enable 1 ",
        "known       the key of 20 of 20 objects in 1 of 1 bucket",
    ):
        assert text in out


def test_all_namespaces_that_would_be_affected_come_as_csv(small: Small, capsys: pytest.CaptureFixture[str]) -> None:
    swept(small, capsys)
    code, out, _ = told(capsys, small, SHORT, "--namespaces")
    assert (code, out.splitlines()) == (
        1,
        [
            "bucket,namespace,tenant,owner,team,objects,bytes",
            "gs://data,acme/new,acme,,,10,1000",
            "gs://data,acme/old,acme,,,10,1000",
        ],
    )


def test_a_key_that_nothing_depends_on_ends_with_0_one_that_nobody_read_with_3_and_one_that_nothing_names_with_2(
    small: Small, capsys: pytest.CaptureFixture[str]
) -> None:
    key = small.cloud.store.key(GOOGLE_KEY)
    assert key is not None
    small.cloud.store.add_key(f"{GOOGLE_KEY}-idle", versions=1)
    small.config.write_text(f'{small.config.read_text()}\n[[key]]\nname = "{GOOGLE_KEY}-idle"\n')
    swept(small, capsys)
    code, out, _ = told(capsys, small, f"{SHORT}-idle")
    assert (code, "Nothing that is known depends on it.\n" in out) == (0, True)
    small.config.write_text(f'{small.config.read_text()}\n[[key]]\nname = "{GOOGLE_KEY}-unread"\n')
    code, out, _ = told(capsys, small, f"{SHORT}-unread")
    assert (code, "Nothing that is known depends on it, and not everything is known.\n" in out) == (3, True)
    assert told(capsys, small, f"{SHORT}-unread", "--allow-gaps", "not_visible")[0] == 0
    assert told(capsys, small, f"{GOOGLE_KEY}-typo", "--allow-gaps", "not_visible")[0] == 2


@pytest.mark.parametrize(
    ("argv", "error"),
    [
        (
            ("acme/nonsense",),
            f"no known key is called 'acme/nonsense', and it is not the full name of a key\nhint: known are {SHORT};",
        ),
        ((f"{SHORT[:-1]}/1",), f"\nhint: did you mean {SHORT}?"),
        ((f"{SHORT}/9",), "has no version 9\nhint: its versions are 1, 2"),
        ((f"{AWS_KEY}/3",), "is not the full name of a key"),
        ((f"{GOOGLE_KEY}/1", "--action", "revoke"), "a right is on the key"),
        ((GOOGLE_KEY, "--action", "rotate"), "invalid value for '--action'"),
        ((f"{GOOGLE_KEY}/9",), "has no version 9"),
    ],
)
def test_what_cannot_be_asked_is_one_error_and_one_hint(
    small: Small, capsys: pytest.CaptureFixture[str], argv: tuple[str, ...], error: str
) -> None:
    swept(small, capsys)
    code, out, err = told(capsys, small, *argv)
    assert (code, out) == (2, "")
    assert error in err
    assert err.count("\n") == 2


def test_before_the_first_judgement_there_is_nothing_to_go_by(small: Small, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = told(capsys, small, GOOGLE_KEY)
    assert (code, "there is no judgement yet" in err) == (2, True)


MEANT = f"{GOOGLE_KEY}-idle"
SAYING: dict[str, tuple[str | None, str, str, int, str]] = {
    "names it": (MEANT, "ENABLED", "", 1, "a registry names it for its namespaces: new data would fail.\n"),
    "names it by the project's number": (MEANT.replace("acme", "123456", 1), "ENABLED", "", 1, "a registry names it"),
    "names it, which is disabled": (MEANT, "DISABLED", "", 1, "; a registry names it for its namespaces.\n"),
    "names it, of its primary version": (MEANT, "ENABLED", "/2", 1, "a registry names it"),
    "names it, of its old version": (MEANT, "ENABLED", "/1", 0, "Nothing that is known depends on it.\n"),
    "names another": (GOOGLE_KEY, "ENABLED", "", 0, "Nothing that is known depends on it.\n"),
    "was never read": (None, "ENABLED", "", 3, "which key data is to be under is not known"),
    "was never read, of an old version": (None, "ENABLED", "/1", 0, "Nothing that is known depends on it.\n"),
}


@pytest.mark.parametrize("case", SAYING.values(), ids=SAYING)
def test_data_that_a_registry_means_to_come_under_a_key_depends_on_it(
    small: Small, capsys: pytest.CaptureFixture[str], case: tuple[str | None, str, str, int, str]
) -> None:
    named, state, version, expected, text = case
    small.cloud.store.add_key(MEANT, versions=2)
    key = small.cloud.store.key(MEANT)
    assert key is not None
    for one in key.versions.values():
        one.state = state
    registry = '[[registry]]\nkind = "file"\npath = "namespaces.csv"\n'
    small.config.write_text(f'{small.config.read_text()}\n[[key]]\nname = "{MEANT}"\n{registry}')
    if named is not None:
        (small.config.parent / "namespaces.csv").write_text(f"namespace,key\nacme/new,{named}\n")
    swept(small, capsys)
    code, out, _ = told(capsys, small, MEANT + version)
    assert (code, text in out) == (expected, True), out
    document = json.loads(told(capsys, small, MEANT + version, "--format", "json")[1])
    jsonschema.Draft202012Validator(impact_json.schema()).validate(document)
    assert document["writes"]["named_by"] == (["registry namespaces.csv"] if expected == 1 else [])
    assert told(capsys, small, MEANT + version, "--allow-gaps", ",".join(Reason))[0] == expected % 3
