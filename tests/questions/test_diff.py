"""What changed between two judgements is what was done in between, and what nobody saw has not changed."""

import json
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import jsonschema
import pytest

from auditor import cli, scan
from auditor.config import load
from auditor.embedded.google.store import StoredObject
from auditor.errors import UsageError
from auditor.findings import Judgement, Readability, Severity, Status
from auditor.model import Population, Reason
from auditor.outputs import diff_json
from auditor.ports import History, Made
from auditor.questions.diff.answer import Change, ChangedFinding, Difference, How, Turn, turn
from auditor.questions.diff.comparing import compare
from auditor.questions.diff.pairing import pair
from auditor.wiring import Assembly, assemble
from tests.clouds import GOOGLE_KEY, Clock, an_aws_cloud
from tests.small import Small, a_small_cloud
from tests.test_denied import AWS_CONFIG, AWS_KEY
from tests.test_fleet import NoProgress
from tests.test_silence import damage

R, T = Readability, Turn
OTHER_KEY = GOOGLE_KEY.replace("main", "other")
SECOND = '\n[[bucket]]\nurl = "gs://second"\nlayout = "{org}/{namespace}/"\naccount = "acme"\n'


@dataclass
class Watched:
    """A small cloud, and what looks at it; the command runs as users run it."""

    small: Small
    folder: Path
    clock: Clock
    assembly: Assembly

    @property
    def objects(self) -> list[StoredObject]:
        return self.small.cloud.store.buckets["data"].objects

    def scan(self, *buckets: str) -> Judgement:
        self.clock.ahead += timedelta(minutes=1)
        return scan.scan(self.assembly.parts, NoProgress(), only=frozenset(buckets))

    def poll(self) -> Judgement:
        self.clock.ahead += timedelta(minutes=1)
        return scan.poll(self.assembly.parts, NoProgress())

    def configure(self, text: str) -> None:
        self.assembly.close()
        self.small.config.write_text(text)
        self.assembly = assemble(load(self.small.config), self.clock)

    def found(self, before: Judgement | None = None, after: Judgement | None = None) -> Difference:
        ids = (one.run.id if one is not None else None for one in (before, after))
        return compare(self.assembly.ledger, self.assembly.inventory, *ids)

    def run(self, *more: str) -> int:
        return cli._run(self.small.argv("diff", *more))  # noqa: SLF001 - the command without the end of the process

    def told(self, *more: str) -> tuple[int, dict[str, Any]]:
        """Exit code and JSON, which is as its schema says."""
        path = self.folder / "diff.json"
        code = self.run(*more, "--format", "json", "--output", str(path))
        told: dict[str, Any] = json.loads(path.read_text())
        jsonschema.Draft202012Validator(diff_json.schema()).validate(told)
        return code, told


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    with a_small_cloud(tmp_path) as small:
        clock = Clock()
        small.cloud.store.clock = clock
        one = Watched(small, tmp_path, clock, assemble(load(small.config), clock))
        yield one
        one.assembly.close()


def groups(one: Difference) -> set[tuple[Change, Turn, str | None, str | None, int, int | None]]:
    """(change, turn, version before, version after, objects, namespaces)."""
    return {
        (
            each.change,
            each.turn,
            each.before.key_version if each.before else None,
            each.after.key_version if each.after else None,
            each.objects,
            each.namespaces,
        )
        for each in one.data.groups
    }


def test_data_of_a_version_that_was_disabled_cannot_be_read_any_more_and_can_be_again(watched: Watched) -> None:
    first = watched.scan()
    watched.small.set_state(1, "DISABLED")
    off = watched.poll()
    one = watched.found(first, off)
    assert groups(one) == {(Change.STAYED, T.STOPPED, "1", "1", 10, 1)}
    assert one.data.groups[0].samples == ("gs://data/acme/old",)
    assert (one.data.unchanged, one.data.by_turn[T.STOPPED].namespaces, one.worse) == (10, 1, True)
    (key,) = one.keys
    assert (key.fact, key.before, key.after, key.at) == ("version 1", "ENABLED", "DISABLED", off.now)
    assert [each.rule for each in one.opened] == ["data-unreadable"]
    assert (one.closed, one.changed, one.passed, one.gaps) == ((), (), (), ())
    code, told = watched.told()
    assert (code, told["worse"], told["groups"][0]["after"]["readability"]) == (1, True, "unreadable")

    watched.small.set_state(1, "ENABLED")
    on = watched.poll()
    back = watched.found(off, on)
    assert groups(back) == {(Change.STAYED, T.RESTORED, "1", "1", 10, 1)}
    assert ([each.rule for each in back.closed], back.worse) == (["data-unreadable"], False)
    assert watched.told(off.run.id, on.run.id)[0] == 0


def test_what_broke_and_was_mended_in_between_is_told_and_is_no_failure(watched: Watched) -> None:
    watched.scan()
    watched.small.set_state(1, "DISABLED")
    watched.poll()
    watched.small.set_state(1, "ENABLED")
    watched.poll()
    one = watched.found()
    assert (one.data.groups, one.opened, one.closed) == ((), (), ())
    assert [(each.rule, each.status) for each in one.passed] == [("data-unreadable", Status.RESOLVED)]
    assert [(each.fact, each.is_back, each.times) for each in one.keys] == [("version 1", True, 2)]
    code, told = watched.told()
    assert (code, [each["rule"] for each in told["findings"]["opened_and_closed"]]) == (0, ["data-unreadable"])


def test_data_that_was_rewritten_moved_to_the_new_version(watched: Watched) -> None:
    watched.scan()
    for one in [each for each in watched.objects if each.version == 1][:4]:
        one.version = 2
    watched.scan()
    found = watched.found()
    assert groups(found) == {(Change.MOVED, T.SAME, "1", "2", 4, 1)}
    assert (found.data.unchanged, found.data.by_change[Change.MOVED].size) == (16, 400)
    assert (found.buckets[0].how, found.worse, watched.told()[0]) == (How.NAMESPACES, False, 0)


def test_data_that_left_a_disabled_version_can_be_read_again(watched: Watched) -> None:
    watched.small.set_state(1, "DISABLED")
    watched.scan()
    for one in [each for each in watched.objects if each.version == 1]:
        one.version = 2
    watched.scan()
    found = watched.found()
    assert groups(found) == {(Change.MOVED, T.RESTORED, "1", "2", 10, 1)}
    assert ([each.rule for each in found.closed], watched.told()[0]) == (["data-unreadable"], 0)


def test_data_that_came_and_went_is_told_by_namespace(watched: Watched) -> None:
    watched.scan()
    gone = [one for one in watched.objects if one.name.startswith("acme/new/")][:3]
    for one in gone:
        watched.objects.remove(one)
    for place in ("acme/first/1", "acme/second/1", "acme/second/2", "outside"):
        watched.small.cloud.store.put("data", place, key=GOOGLE_KEY, version=2, size=7)
    watched.scan()
    found = watched.found()
    assert groups(found) == {
        (Change.VANISHED, T.SAME, "2", None, 3, 1),
        (Change.APPEARED, T.SAME, None, "2", 4, 2),
    }
    assert found.data.by_change[Change.APPEARED].size == 28
    assert (found.data.unchanged, found.worse, watched.told()[0]) == (17, False, 0)


def test_data_that_was_deleted_and_may_come_back_has_not_vanished(watched: Watched) -> None:
    watched.scan()
    for one in watched.objects[:2]:
        one.soft_deleted_since = watched.clock()
    watched.scan()
    (group,) = watched.found().data.groups
    assert (group.change, group.turn, group.objects) == (Change.POPULATION, T.SAME, 2)
    assert group.before is not None
    assert group.after is not None
    assert (group.before.population, group.after.population) == (Population.LIVE, Population.SOFT_DELETED)


def test_data_that_came_under_a_version_that_cannot_be_used_is_worse_than_before(watched: Watched) -> None:
    watched.small.set_state(1, "DISABLED")
    watched.scan()
    watched.small.cloud.store.put("data", "acme/old/late", key=GOOGLE_KEY, version=1)
    watched.scan()
    found = watched.found()
    assert groups(found) == {(Change.APPEARED, T.STOPPED, None, "1", 1, 1)}
    (changed,) = found.changed
    assert (changed.after.rule, dict(changed.fields)) == ("data-unreadable", {"objects": (10, 11)})
    assert (found.worse, watched.told()[0]) == (True, 1)


def test_a_key_that_is_denied_leaves_its_data_unknown_and_that_is_worse(watched: Watched) -> None:
    watched.scan()
    watched.small.cloud.store.deny("cloudkms.cryptoKeyVersions.list", GOOGLE_KEY)
    watched.poll()
    found = watched.found()
    assert {each.turn for each in found.data.groups} == {T.NOT_KNOWN}
    assert (found.data.by_turn[T.NOT_KNOWN].objects, found.worse) == (20, True)
    assert "answer" in {each.fact for each in found.keys}
    assert [each.what for each in found.gaps_opened] == [GOOGLE_KEY]
    assert watched.told()[0] == 1


def test_a_version_of_a_key_that_was_never_read_before_was_not_read_and_a_new_one_was_not_there(
    watched: Watched, capsys: pytest.CaptureFixture[str]
) -> None:
    store = watched.small.cloud.store
    store.deny("cloudkms.cryptoKeyVersions.list", GOOGLE_KEY)
    watched.scan()
    store.allow("cloudkms.cryptoKeyVersions.list", GOOGLE_KEY)
    watched.small.set_state(1, "DISABLED")
    read = watched.poll()
    watched.run()
    out = capsys.readouterr().out
    assert ("version 1 not read -> DISABLED" in out, "not there" in out) == (True, False)
    keys = watched.told()[1]["keys"]
    assert {one["read_before"] for one in keys if one["fact"] == "version 1"} == {False}
    key = store.key(GOOGLE_KEY)
    assert key is not None
    key.versions[3] = replace(key.versions[2], number=3)
    watched.poll()
    watched.run(read.run.id)
    out = capsys.readouterr().out
    assert ("version 3 not there -> ENABLED" in out, "not read" in out) == (True, False)


def test_a_bucket_that_one_config_did_not_name_is_not_compared(watched: Watched) -> None:
    config = watched.small.config.read_text()
    watched.small.cloud.store.add_bucket("second", "acme", "us-east1")
    watched.small.cloud.store.put("second", "acme/there/1", key=GOOGLE_KEY, version=1)
    watched.small.set_state(1, "DISABLED")
    alone = watched.scan()
    watched.configure(config + SECOND)
    both = watched.scan()
    watched.configure(config)
    again = watched.scan()
    for before, after, lacking in ((alone, both, (0, 1)), (both, again, (1, 0))):
        found = watched.found(before, after)
        assert not found.data.groups
        assert (found.data.not_compared, found.data.unchanged) == (lacking, 20)
        assert {one.bucket: one.how for one in found.buckets} == {
            "gs://data": How.NAMESPACES,
            "gs://second": How.NOT,
        }
        assert [(gap.what, gap.reason) for gap in found.gaps] == [("gs://second", Reason.NOT_VISIBLE)]
        assert "judged by another config" in found.otherwise
        code, told = watched.told(before.run.id, after.run.id)
        assert code == 3
        assert "1 of 2 buckets cannot be compared" in told["verdict"]
        assert "no data moved" not in told["verdict"]


def test_a_finding_of_a_bucket_that_was_not_seen_is_told_so(watched: Watched) -> None:
    config = watched.small.config.read_text()
    watched.small.cloud.store.add_bucket("second", "acme", "us-east1")
    watched.small.cloud.store.add_key(OTHER_KEY, versions=1)
    watched.small.cloud.store.put("second", "acme/there/1", key=OTHER_KEY, version=1)
    other = watched.small.cloud.store.key(OTHER_KEY)
    assert other is not None
    other.versions[1].state = "DISABLED"
    alone = watched.scan()
    watched.configure(config + SECOND)
    both = watched.scan()
    opened = watched.found(alone, both)
    of_data = [one for one in opened.opened if one.rule == "data-unreadable"]
    assert [one.id in opened.unseen for one in of_data] == [True]
    code, told = watched.told(alone.run.id, both.run.id)
    (shown,) = [one for one in told["findings"]["opened"] if one["finding"]["rule"] == "data-unreadable"]
    assert (code, shown["compared"]) == (1, False)
    watched.configure(config)
    closed = watched.found(both, watched.scan())
    assert {one.rule for one in closed.closed if one.id in closed.unseen} >= {"data-unreadable"}


LESS_TO_SEE = {
    "a bucket left": (SECOND, ""),
    "a population was left out": ("", 'populations = ["live", "noncurrent"]\n'),
}


@pytest.mark.parametrize(("first", "then"), LESS_TO_SEE.values(), ids=LESS_TO_SEE)
def test_a_finding_that_only_the_config_made_smaller_is_told_so(
    watched: Watched, capsys: pytest.CaptureFixture[str], first: str, then: str
) -> None:
    config, store = watched.small.config.read_text(), watched.small.cloud.store
    store.add_bucket("second", "acme", "us-east1")
    store.put("second", "acme/there/1", key=GOOGLE_KEY, version=1)
    watched.objects[0].soft_deleted_since = watched.clock()
    watched.small.set_state(1, "DISABLED")
    watched.configure(config + first)
    before = watched.scan()
    watched.configure(config + then)
    after = watched.scan()
    assert watched.run(before.run.id, after.run.id) == 3
    (line,) = [one for one in capsys.readouterr().out.splitlines() if one.startswith("changed critical")]
    assert line.endswith("(part of its data is not compared, and may be as it was)")
    (changed,) = watched.told(before.run.id, after.run.id)[1]["findings"]["changed"]
    assert (changed["finding"]["rule"], changed["compared"]) == ("data-unreadable", False)
    store.put("data", "acme/old/more", key=GOOGLE_KEY, version=1)
    watched.scan()
    (changed,) = watched.told(after.run.id)[1]["findings"]["changed"]
    assert changed["compared"], "both sides saw all that either counts"


def test_a_key_that_nobody_asked_has_not_changed(watched: Watched) -> None:
    config, store = watched.small.config.read_text(), watched.small.cloud.store
    store.add_bucket("second", "acme", "us-east1")
    store.add_key(OTHER_KEY, versions=1)
    store.put("second", "acme/there/1", key=OTHER_KEY, version=1)
    watched.configure(config + SECOND)
    both = watched.scan()
    watched.configure(config)
    alone = watched.scan()
    assert watched.found(both, alone).keys == ()
    watched.configure(config + SECOND)
    store.deny("cloudkms.cryptoKeyVersions.list", OTHER_KEY)
    (one,) = watched.found(alone, watched.scan()).keys
    assert (one.before, one.after) == ("answered", "denied")


def test_a_finding_about_part_of_the_data_of_a_namespace_is_told_as_the_schema_says(watched: Watched) -> None:
    watched.small.cloud.store.add_key(OTHER_KEY, versions=1)
    watched.scan()
    watched.small.cloud.store.put("data", watched.objects[0].name + "x", key=OTHER_KEY, version=1)
    watched.scan()
    _, told = watched.told()
    (mixed,) = [one["finding"] for one in told["findings"]["opened"] if one["finding"]["rule"] == "mixed-keys"]
    assert mixed["portions"] == ["mixed_keys"]


def test_a_sweep_that_failed_leaves_the_bucket_as_the_one_before_saw_it(watched: Watched) -> None:
    first = watched.scan()
    watched.small.cloud.store.deny("storage.objects.list", "data")
    watched.objects.clear()
    second = watched.scan()
    found = watched.found(first, second)
    assert (found.data.groups, found.buckets[0].how) == ((), How.SAME_SWEEP)
    assert (found.data.unchanged, bool(found.gaps_opened)) == (20, True)
    code, told = watched.told(first.run.id, second.run.id)
    assert (code, told["verdict"]) == (3, "No data that was compared became readable or unreadable.")


def test_an_inventory_that_was_damaged_when_it_was_judged_is_not_compared(watched: Watched) -> None:
    watched.scan()
    damage(watched.small.config, "gs-data")
    watched.poll()
    found = watched.found()
    assert (found.buckets[0].how, found.data.groups, found.data.not_compared) == (How.NOT, (), (20, 0))
    assert watched.told()[0] == 3


HOW_GONE: dict[str, tuple[Callable[[Path], object], Reason]] = {
    "pruned": (Path.unlink, Reason.NOT_FOUND),
    "damaged": (lambda path: path.write_bytes(b"x"), Reason.UNSUPPORTED),
}


@pytest.mark.parametrize("side", ["earlier", "later"])
@pytest.mark.parametrize(("spoil", "reason"), HOW_GONE.values(), ids=HOW_GONE)
def test_where_an_inventory_is_not_there_any_more_only_sums_are_compared(
    watched: Watched, side: str, spoil: Callable[[Path], object], reason: Reason
) -> None:
    sweeps = {"earlier": watched.scan().sweeps[0]}
    watched.small.set_state(1, "DISABLED")
    moving = [one for one in watched.objects if one.version == 1][:4]
    for one in moving:
        one.version = 2
    sweeps["later"] = watched.scan().sweeps[0]
    (path,) = watched.folder.glob(f"state/inventory/gs-data-*/{sweeps[side]}/dependencies.parquet")
    spoil(path)
    found = watched.found()
    assert groups(found) == {
        (Change.STAYED, T.STOPPED, "1", "1", 6, None),
        (Change.FEWER, T.SAME, "1", None, 4, None),
        (Change.MORE, T.SAME, None, "2", 4, None),
    }
    assert (found.data.unchanged, found.data.by_turn[T.STOPPED].namespaces) == (10, None)
    assert [(gap.what, gap.reason) for gap in found.gaps] == [("gs://data", reason)]
    assert side in found.gaps[0].effect
    assert watched.told()[0] == 1
    watched.small.set_state(1, "ENABLED")
    ids = [one.id for one in watched.assembly.ledger.made()]
    watched.scan()
    newest = next(watched.assembly.ledger.made()).id
    code, _ = watched.told(ids[1 if side == "earlier" else 0], newest)
    assert code == 3
    code, _ = watched.told(ids[1 if side == "earlier" else 0], newest, "--allow-gaps", reason)
    assert code == 0


def test_a_population_that_one_sweep_left_out_is_not_compared(watched: Watched) -> None:
    config = watched.small.config.read_text()
    watched.objects[0].soft_deleted_since = watched.clock()
    all_of_it = watched.scan()
    watched.configure(config + 'populations = ["live", "noncurrent"]\n')
    watched.objects.pop()
    less = watched.scan()
    found = watched.found(all_of_it, less)
    assert groups(found) == {(Change.VANISHED, T.SAME, "1", None, 1, 1)}
    assert (found.buckets[0].how, found.buckets[0].left_out) == (How.NAMESPACES, (Population.SOFT_DELETED,))
    assert ["its soft-deleted objects" in gap.effect for gap in found.gaps] == [True]
    assert watched.told(all_of_it.run.id, less.run.id)[0] == 3
    # Sums are of all populations, so that nothing is left to be compared.
    (path,) = watched.folder.glob(f"state/inventory/gs-data-*/{all_of_it.sweeps[0]}/dependencies.parquet")
    path.unlink()
    found = watched.found(all_of_it, less)
    assert (found.buckets[0].how, found.data.groups, len(found.gaps)) == (How.NOT, (), 2)


def test_by_another_layout_namespaces_are_others(watched: Watched) -> None:
    first = watched.scan()
    watched.configure(watched.small.config.read_text().replace("{org}/{namespace}/", "{org}/"))
    found = watched.found(first, watched.scan())
    assert (found.buckets[0].how, found.data.groups, found.data.unchanged) == (How.SUMS, (), 20)
    assert ["layout" in gap.effect for gap in found.gaps] == [True]


def test_polls_are_not_compared_but_the_sweeps_before_the_last_ones(watched: Watched) -> None:
    first = watched.scan()
    watched.poll()
    late = watched.poll()
    second = watched.scan()
    watched.poll()
    watched.small.set_state(1, "DISABLED")
    last = watched.poll()
    one = watched.found()
    assert (one.before.run.id, one.after.run.id) == (late.run.id, last.run.id)
    assert groups(one) == {(Change.STAYED, T.STOPPED, "1", "1", 10, 1)}
    assert watched.found(None, second).before.run.id == late.run.id
    assert watched.found(None, late).before.run.id == first.run.id
    assert watched.found(first).after.run.id == last.run.id


def test_buckets_that_are_swept_one_after_the_other_are_each_compared_with_their_sweep_before(
    watched: Watched,
) -> None:
    watched.small.cloud.store.add_bucket("second", "acme", "us-east1")
    watched.configure(watched.small.config.read_text() + SECOND)
    watched.scan()
    whole = watched.scan()
    watched.scan("gs://data")
    watched.scan("gs://second")
    one = watched.found()
    assert one.before.run.id == whole.run.id
    assert {each.how for each in one.buckets} == {How.NAMESPACES}
    # A bucket that is swept no more keeps the others from nothing.
    third = watched.scan("gs://data")
    watched.scan("gs://data")
    one = watched.found()
    assert one.before.run.id == third.run.id
    assert {each.bucket: each.how for each in one.buckets} == {
        "gs://data": How.NAMESPACES,
        "gs://second": How.SAME_SWEEP,
    }


def test_ids_that_name_no_two_judgements_are_refused_with_those_that_are_there(watched: Watched) -> None:
    def refused(*ids: str) -> str:
        with pytest.raises(UsageError) as error:
            compare(watched.assembly.ledger, watched.assembly.inventory, *ids)
        assert error.value.hint
        return f"{error.value}; {error.value.hint}"

    assert "no judgement yet" in refused()
    assert "no judgement yet" in refused("2")
    first = watched.scan().run.id
    assert "only one judgement" in refused()
    last = watched.poll().run.id
    for ids, why in (
        (("zzz",), "'zzz' begins the id of no judgement"),
        (("",), "begins the id of no judgement"),
        (("2",), "'2' begins the ids of several judgements"),
        ((last,), "compared with itself"),
        (("a" * 100_000,), f"'{'a' * 64}' and what follows, 100000 characters, is longer than any id"),
        ((first, f"{last}{'%' * 60}"), "is longer than any id"),
    ):
        told = refused(*ids)
        assert why in told
        assert f"{last}, {first}" in told
    assert "was made after" in refused(last, first)
    assert watched.run("zzz") == watched.run("a" * 100_000) == 2
    assert (
        watched.found().before.run.id
        == compare(watched.assembly.ledger, watched.assembly.inventory, first[:-1], last[:-1]).before.run.id
    )


def test_a_judgement_is_named_by_a_time_for_the_newest_until_then() -> None:
    ids = [f"202611{day}T{hour}0000.000000Z-{day}{hour}" for day in ("24", "25") for hour in ("09", "10")]
    made = [Made(number, one, ()) for number, one in enumerate(ids)]

    class Kept:
        def made(self) -> Iterator[Made]:
            return iter(reversed(made))

        def named(self, prefix: str) -> tuple[Made, ...]:
            return tuple(one for one in made if one.id.startswith(prefix))[:2]

    kept = cast("History", Kept())

    def found(*asked: str) -> tuple[int, int]:
        earlier, later = pair(kept, asked[0], asked[1] if len(asked) > 1 else None)
        return earlier.number, later.number

    assert found("2026-11-25") == (1, 3), "what was known when the day began"
    assert found("2026-11-24T09:00") == (0, 3), "what was begun at that moment as well"
    assert found("2026-11-24T10:59:59Z", "2026-11-25T11:30+02:00") == (1, 2), "in any zone"
    with pytest.raises(UsageError, match="there was no judgement yet at 2026-11-24T08:59") as early:
        found("2026-11-24T08:59")
    assert early.value.hint == f"the first one is {ids[0]}"
    with pytest.raises(UsageError, match="'2026-11-31' begins the id of no judgement"):
        found("2026-11-31")
    with pytest.raises(UsageError, match="begins the ids of several judgements") as several:
        found("20261124")
    assert f"or a time as 2026-11-25T09:00, for the newest until then; the first is {ids[0]}" in str(several.value.hint)


def test_it_asks_no_cloud_and_needs_no_credentials(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "auditor.toml"
    with an_aws_cloud(monkeypatch) as cloud:
        cloud.store.add_bucket("objects")
        other = AWS_KEY[:-1] + "2"
        for key in (AWS_KEY, other):
            cloud.store.add_key(key)
        for number in range(6):
            cloud.store.put("objects", f"acme/s3/{number}", size=9, sse="aws:kms", key=AWS_KEY)
        config.write_text('state = "state"\n' + AWS_CONFIG)
        argv = ["scan", "-q", "--config", str(config), "--output", str(tmp_path / "scan")]
        assert cli._run(argv) in {0, 3}  # noqa: SLF001 - the command without the end of the process
        for number in range(4):
            cloud.store.put("objects", f"acme/s3/{number}", size=9, sse="aws:kms", key=other)
        cloud.store.delete("objects", "acme/s3/5", None)
        assert cli._run(argv) in {0, 3}  # noqa: SLF001 - as above
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL_KMS"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    capsys.readouterr()
    code = cli._run(["diff", "--config", str(config), "--allow-gaps", ",".join(Reason)])  # noqa: SLF001 - as above
    told = capsys.readouterr().out
    assert code == 0, told
    assert (
        "4 objects (36 B) in 1 namespace moved to another key or version; 1 object (9 B) in 1 namespace vanished"
        in told
    )
    rows = [" ".join(line.split()) for line in told.splitlines()]
    short, short_other = (key.rpartition("/")[2] for key in (AWS_KEY, other))
    assert any(
        row.startswith("moved to another key or version s3://objects 111122223333/us-east-1/")
        and row.endswith("readable 4 36 B 1")
        and short in row
        and short_other in row
        for row in rows
    )


def test_data_whose_key_is_not_told_any_more_has_neither_moved_nor_vanished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with an_aws_cloud(monkeypatch) as cloud:
        cloud.store.add_bucket("objects")
        cloud.store.add_key(AWS_KEY)
        cloud.store.put("objects", "acme/s3/1", size=9, sse="aws:kms", key=AWS_KEY)
        (tmp_path / "auditor.toml").write_text('state = "state"\n' + AWS_CONFIG)
        assembly = assemble(load(tmp_path / "auditor.toml"))
        scan.scan(assembly.parts, NoProgress())
        cloud.store.put("objects", "acme/s3/1", size=9, sse="aws:kms", key=AWS_KEY, head_denied=True)
        scan.scan(assembly.parts, NoProgress())
        found = compare(assembly.ledger, assembly.inventory)
        assembly.close()
    assert groups(found) == {(Change.UNRESOLVED, T.NOT_KNOWN, None, None, 1, 1)}


def test_a_ledger_that_somebody_changed_is_refused(watched: Watched, capsys: pytest.CaptureFixture[str]) -> None:
    watched.scan()
    watched.small.set_state(1, "DISABLED")
    watched.scan()
    with sqlite3.connect(watched.folder / "state" / "ledger.db") as database:
        assert database.execute(
            "UPDATE event SET body = replace(body, 'readable', 'lost') WHERE kind = 'assessment_changed' AND seq < 12"
        ).rowcount
    database.close()
    assert watched.run() == 70
    assert "chain breaks at event" in capsys.readouterr().err


def test_the_report_has_the_same_answer_or_says_why_there_is_none(watched: Watched) -> None:
    page = watched.folder / "report.html"
    argv = watched.small.argv("report", "-q", "--output", str(page))
    watched.scan()
    assert cli._run(argv) == 0  # noqa: SLF001 - the command without the end of the process
    assert "Not compared: there is only one judgement" in page.read_text()
    watched.small.set_state(1, "DISABLED")
    watched.scan()
    assert cli._run(argv) == 0  # noqa: SLF001 - as above
    text = page.read_text()
    for told in (
        "<strong>10 objects (1.0 kB) in 1 namespace cannot be read any more; no data moved, appeared or vanished.<",
        "acme/us-east1/tpuf/main</span> version 1 ENABLED -&gt; DISABLED",
        'opened: critical <span class="mono">data-unreadable</span>',
    ):
        assert told in text


def test_gaps_of_either_side_leave_the_comparison_open(watched: Watched) -> None:
    watched.small.cloud.store.deny("storage.buckets.list", "acme")
    watched.scan()
    second = watched.scan()
    found = watched.found()
    assert found.gaps_standing
    assert (found.gaps, found.gaps_opened, found.gaps_closed) == ((), (), ())
    assert watched.told()[0] == 3
    assert watched.told("--allow-gaps", "access_denied,not_visible")[0] == 0
    watched.small.cloud.store.allow("storage.buckets.list", "acme")
    third = watched.scan()
    found = watched.found(second, third)
    assert found.gaps_closed
    assert (found.gaps, found.gaps_opened, found.gaps_standing) == ((), (), ())
    assert watched.told()[0] == 3


def test_a_finding_that_opened_fails_by_its_severity_though_all_data_can_be_read(watched: Watched) -> None:
    watched.scan()
    key = watched.small.cloud.store.key(GOOGLE_KEY)
    assert key is not None
    key.rotated_every = None
    watched.scan()
    found = watched.found()
    assert [(one.rule, one.severity) for one in found.opened] == [("rotation-off", Severity.MEDIUM)]
    assert not found.worse
    assert watched.told()[0] == 0
    assert watched.told("--fail-on", "medium")[0] == 1


def test_waivers_that_came_and_went_are_told(watched: Watched) -> None:
    config = watched.small.config.read_text()
    key = watched.small.cloud.store.key(GOOGLE_KEY)
    assert key is not None
    key.rotated_every = None
    plain = watched.scan()
    until = (watched.clock() + timedelta(days=90)).date()
    waiver = (
        f'[[waiver]]\nrule = "rotation-off"\nmatch = {{ key = "{GOOGLE_KEY}" }}\nuntil = {until}\n'
        'owner = "a@acme.example"\napproved_by = "b"\nreason = "c"\n'
    )
    watched.configure(config + waiver)
    waived = watched.poll()
    found = watched.found(plain, waived)
    (new,) = [one for one in found.otherwise if one.startswith("waiver of rotation-off")]
    assert ("new" in new, f"until {until}" in new) == (True, True), "by its last day, as the config has it"
    (changed,) = found.changed
    assert (changed.fields["status"], changed.is_worse) == ((Status.OPEN, Status.WAIVED), False)
    watched.configure(config)
    found = watched.found(waived, watched.poll())
    assert [one for one in found.otherwise if one.startswith("waiver of rotation-off") and one.endswith("gone")]
    assert [one.is_worse for one in found.changed] == [True]
    assert watched.told(waived.run.id, "--fail-on", "medium")[0] == 1
    assert watched.told(waived.run.id)[0] == 0


TURNS: dict[tuple[Readability | None, Readability | None], Turn] = {
    (R.READABLE, R.READABLE): T.SAME,
    (R.UNKNOWN, R.UNKNOWN): T.SAME,
    (R.LOST, None): T.SAME,
    (None, R.READABLE): T.SAME,
    (None, R.EXPIRING): T.SAME,
    (None, R.UNKNOWN): T.SAME,
    (None, R.LOST): T.STOPPED,
    (R.READABLE, R.EXPIRING): T.WORSE,
    (R.EXPIRING, R.READABLE): T.BETTER,
    (R.READABLE, R.UNREACHABLE): T.STOPPED,
    (R.EXPIRING, R.REVOKED): T.STOPPED,
    (R.UNKNOWN, R.UNREADABLE): T.STOPPED,
    (R.READABLE, R.UNKNOWN): T.NOT_KNOWN,
    (R.DOOMED, R.UNKNOWN): T.NOT_KNOWN,
    (R.UNKNOWN, R.READABLE): T.KNOWN,
    (R.UNKNOWN, R.EXPIRING): T.KNOWN,
    (R.UNREADABLE, R.DOOMED): T.WORSE,
    (R.DOOMED, R.LOST): T.WORSE,
    (R.UNREACHABLE, R.REVOKED): T.WORSE,
    (R.REVOKED, R.UNREADABLE): T.WORSE,
    (R.DOOMED, R.UNREADABLE): T.BETTER,
    (R.DOOMED, R.READABLE): T.RESTORED,
    (R.UNREACHABLE, R.EXPIRING): T.RESTORED,
}


@pytest.mark.parametrize(("pair", "told"), TURNS.items(), ids=str)
def test_what_became_of_readability_is_told_by_what_is_proven(
    pair: tuple[Readability | None, Readability | None], told: Turn
) -> None:
    assert turn(*pair) is told


def test_a_finding_is_worse_by_its_severity_and_by_nothing_that_is_less(watched: Watched) -> None:
    watched.small.set_state(1, "DISABLED")
    one = watched.scan().findings[0]
    low = replace(one, severity=Severity.LOW)
    assert ChangedFinding(low, one).is_worse
    assert not ChangedFinding(one, low).is_worse
    assert not ChangedFinding(one, replace(one, final_at=one.since)).is_worse
    assert not ChangedFinding(one, replace(one, last_seen=one.since)).fields
