"""A poll of a few keys, as a feed or `poll KEY` makes it, says nothing of all others, and costs nothing for them."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from auditor import scan
from auditor.config import load
from auditor.findings import Judgement, Readability, Status
from auditor.model import Cloud, Evidence, Gap, KeyName, KeyReading, KeyUnread, Reason
from auditor.outputs import metrics
from auditor.overtaking import Lane
from auditor.ports import KeyNeed, KeySource
from auditor.wiring import Assembly, assemble
from tests.logged_changes import AWS_KEY, World, an_aws_world
from tests.test_fleet import NoProgress
from tests.test_overtaking import OTHER, OnceAllIsRead

ONE = frozenset({KeyName(AWS_KEY)})


@dataclass
class Fleet:
    """Two keys with data."""

    world: World
    assembly: Assembly

    def poll(self, only: frozenset[KeyName] = frozenset()) -> Judgement:
        return scan.poll(self.assembly.parts, NoProgress(), only)

    def events(self, only: frozenset[KeyName] = frozenset()) -> int:
        """How many events of the ledger a poll adds."""
        before, _ = self.assembly.ledger.head()
        self.poll(only)
        return self.assembly.ledger.head()[0] - before

    def read_at(self, key: str) -> datetime | None:
        return self.assembly.ledger.memory()[KeyName(key)].last_at


@pytest.fixture
def fleet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Fleet]:
    with an_aws_world(tmp_path, monkeypatch) as world:
        world.store.add_key(OTHER)
        world.store.put("objects", "acme/other/1", size=100, sse="aws:kms", key=OTHER)
        assembly = assemble(load(world.config), world.store.clock)
        try:
            scan.scan(assembly.parts, NoProgress())
            yield Fleet(world, assembly)
        finally:
            assembly.close()


def shown(fleet: Fleet) -> float | None:
    """What Prometheus is told of the newest poll."""
    ledger, rows = fleet.assembly.ledger, fleet.assembly.rows
    collector = metrics.JudgementCollector(
        ledger.judgement, rows, dict, dict, reloaded=bool, leads=bool, rules=(), version=("0", "r")
    )
    return metrics.registry(collector).get_sample_value("cmek_key_poll_last_success_timestamp_seconds")


def test_polls_of_one_key_do_not_hide_that_the_others_are_polled_no_more(fleet: Fleet) -> None:
    whole = fleet.poll()
    for _ in range(4):
        fleet.world.later(minutes=5)
        some = fleet.poll(ONE)
    assert shown(fleet) == whole.run.ended.timestamp()
    assert some.whole_poll == whole.run.ended
    assert some.oldest_key_read == whole.now
    (stale,) = [one for one in some.findings if one.rule == "poll-stale"]
    assert (stale.subject.id, stale.status) == (OTHER, Status.OPEN)
    again = fleet.poll()
    assert shown(fleet) == again.run.ended.timestamp() > whole.run.ended.timestamp()
    assert [one.status for one in again.findings if one.rule == "poll-stale"] == [Status.RESOLVED]


def test_a_first_poll_of_one_key_is_none_of_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with an_aws_world(tmp_path, monkeypatch) as world:
        world.config.write_text(f'{world.config.read_text()}[[key]]\nname = "{AWS_KEY}"\n')
        assembly = assemble(load(world.config), world.store.clock)
        fleet = Fleet(world, assembly)
        try:
            some = fleet.poll(ONE)
            assert (some.whole_poll, shown(fleet), fleet.read_at(AWS_KEY)) == (None, None, some.now)
        finally:
            assembly.close()


def test_a_poll_of_one_key_keeps_nothing_of_the_others(fleet: Fleet) -> None:
    fleet.poll()
    whole = fleet.poll()
    for number in range(5):
        key = f"{AWS_KEY[:-2]}{number}9"
        fleet.world.store.add_key(key)
        fleet.world.store.put("objects", f"acme/more{number}/1", size=100, sse="aws:kms", key=key)
    scan.scan(fleet.assembly.parts, NoProgress())
    fleet.poll()
    most = 3  # the poll, the one key, and how many keys told nothing now
    assert fleet.events(ONE) <= most
    assert fleet.events(ONE) <= most
    assert fleet.events() <= most, "what was not asked had not ceased to answer"
    fleet.assembly.ledger.verify()
    assert whole.findings == fleet.poll().findings


def test_what_each_key_said_last_is_dated_by_the_poll_that_asked_it(fleet: Fleet) -> None:
    whole = fleet.poll()
    fleet.world.later(minutes=1)
    some = fleet.poll(ONE)
    assert (fleet.read_at(AWS_KEY), fleet.read_at(OTHER)) == (some.now, whole.now)
    fleet.world.later(minutes=1)
    for key in (AWS_KEY, OTHER):
        fleet.world.store.key(key).describe_denied = True
    fleet.poll()
    assert (fleet.read_at(AWS_KEY), fleet.read_at(OTHER)) == (some.now, whole.now)


def test_a_key_that_is_gone_for_long_is_as_old_as_the_newest_poll_of_all(fleet: Fleet) -> None:
    fleet.world.store.remove_key(OTHER)
    for _ in range(10):
        fleet.world.later(minutes=5)
        whole = fleet.poll()
    fleet.world.later(minutes=1)
    assert (whole.oldest_key_read, fleet.poll(ONE).oldest_key_read) == (whole.now, whole.now)
    fleet.world.later(minutes=1)
    some = fleet.poll(frozenset({KeyName(OTHER)}))
    assert fleet.assembly.ledger.memory()[KeyName(OTHER)].missing_until == some.now


def test_a_key_that_a_poll_of_all_left_to_the_one_that_overtook_it_is_as_old_as_that_one_says(fleet: Fleet) -> None:
    lane, found = Lane(), []
    source = OnceAllIsRead(fleet.assembly.parts.keys[Cloud.AWS])
    parts = replace(fleet.assembly.parts, keys={Cloud.AWS: source})

    def overtake() -> None:
        poll = lambda: found.append(scan.poll(parts, NoProgress(), ONE, lane=lane, overtakes=True))  # noqa: E731 - used in the next line alone
        assert lane.overtake(ONE, poll)
        fleet.world.later(minutes=1)

    source.act = overtake
    whole = scan.poll(parts, NoProgress(), lane=lane)
    assert whole.now > found[0].now
    assert (fleet.read_at(AWS_KEY), fleet.read_at(OTHER)) == (found[0].now, whole.now)
    assert not [one for one in whole.findings if one.rule == "poll-stale"]


def of_other(judgement: Judgement) -> tuple[list[Any], list[Any], list[Gap]]:
    """All that a judgement says of the other key, without the moments at which it was asked."""
    findings = [one for one in judgement.findings if one.subject.id == OTHER and one.status is not Status.RESOLVED]
    said = [(one.rule, one.severity, one.confidence, one.cause, calls(one.evidence)) for one in findings]
    told = [(one.assessment, one.holding) for one in judgement.assessed if one.holding.key == OTHER]
    words = [(one.readability, one.basis, one.confidence, one.cause, calls(one.evidence)) for one, _ in told]
    return said, words, [one for one in judgement.gaps if one.what == OTHER]


def calls(evidence: Iterable[Evidence]) -> list[str]:
    return [one.call for one in evidence]


@dataclass
class Broken:
    """A source that has no answer for one key."""

    source: KeySource
    key: str = OTHER
    cloud: Cloud = Cloud.AWS

    def read(self, needs: Iterable[KeyNeed]) -> Iterator[KeyReading]:
        for one in self.source.read(needs):
            is_silent = one.name.text == self.key
            yield KeyUnread(one.name, Reason.TIMEOUT, "ConnectTimeout", "poll again") if is_silent else one


SILENT = {
    "gone": lambda fleet: fleet.world.store.remove_key(OTHER),
    "denied": lambda fleet: setattr(fleet.world.store.key(OTHER), "describe_denied", True),
}


@pytest.mark.parametrize("one_reading", [False, True])
@pytest.mark.parametrize("silence", SILENT.values(), ids=SILENT)
def test_a_poll_of_one_key_says_of_another_that_tells_nothing_what_a_poll_of_all_said(
    fleet: Fleet, silence: Callable[[Fleet], object], *, one_reading: bool
) -> None:
    policy = replace(fleet.assembly.parts.policy, one_reading=one_reading)
    fleet.assembly = replace(fleet.assembly, parts=replace(fleet.assembly.parts, policy=policy))
    fleet.poll()
    silence(fleet)
    for _ in range(2):  # not found once, and once more
        fleet.world.later(minutes=6)
        whole = of_other(fleet.poll())
        assert of_other(fleet.poll(ONE)) == whole
        assert fleet.events(ONE) == fleet.events(ONE) <= 3, "the poll, the key, the coverage: nothing of the other"


@pytest.mark.parametrize("silence", SILENT.values(), ids=SILENT)
def test_a_fault_that_has_hidden_its_last_word_since_stays_the_gap(
    fleet: Fleet, silence: Callable[[Fleet], object]
) -> None:
    parts = fleet.assembly.parts
    broken = replace(parts, keys={Cloud.AWS: Broken(parts.keys[Cloud.AWS])})
    fleet.poll()
    silence(fleet)
    for _ in range(2):
        fleet.world.later(minutes=1)
        fleet.poll()
        (gap,) = of_other(scan.poll(broken, NoProgress()))[2]
        assert gap.reason is Reason.TIMEOUT
        assert of_other(fleet.poll(ONE))[2] == [gap]


def test_a_silent_key_that_grows_old_has_one_gap(fleet: Fleet) -> None:
    parts = fleet.assembly.parts
    broken = replace(parts, keys={Cloud.AWS: Broken(parts.keys[Cloud.AWS])})
    fleet.poll()
    fleet.world.later(minutes=1)
    scan.poll(broken, NoProgress())
    fleet.world.later(minutes=16)
    some = of_other(fleet.poll(ONE))[2]
    assert some == of_other(scan.poll(broken, NoProgress()))[2]
    assert len(some) == 1


def test_a_replica_that_was_gone_counts_as_gone_for_as_long_as_a_reading_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replica = OTHER.replace("key/", "key/mrk-")
    with an_aws_world(tmp_path, monkeypatch) as world:
        world.store.add_key(replica)
        world.store.put("objects", "acme/other/1", size=100, sse="aws:kms", key=replica)
        assembly = assemble(load(world.config), world.store.clock)
        fleet = Fleet(world, assembly)
        try:
            scan.scan(assembly.parts, NoProgress())
            world.store.remove_key(replica)
            for _ in range(2):
                world.later(minutes=6)
                fleet.poll()
            seen = []
            for minutes in (14, 2):
                world.later(minutes=minutes)
                some = fleet.poll(ONE)
                seen.append({one.assessment.readability for one in some.assessed if one.holding.key == replica})
            assert seen == [{Readability.LOST}, {Readability.UNKNOWN}], "it may have been made anew since"
        finally:
            assembly.close()


def test_what_never_was_read_is_told_in_the_words_of_the_poll_that_asked(fleet: Fleet) -> None:
    key, parts = OTHER.replace("0002", "0003"), fleet.assembly.parts
    fleet.world.store.put("objects", "acme/more/1", size=100, sse="aws:kms", key=key)
    whole = scan.scan(replace(parts, keys={Cloud.AWS: Broken(parts.keys[Cloud.AWS], key)}), NoProgress())
    some = fleet.poll(ONE)
    for told in (some, whole):
        (cause,) = (one.assessment.cause for one in told.assessed if one.holding.key == key)
        assert cause == f"key {key} could not be read (ConnectTimeout) and never was"
    assert [one for one in some.gaps if key in one.what] == [one for one in whole.gaps if key in one.what]


def test_a_gap_of_before_does_not_say_by_what_a_key_is_judged_that_is_not_judged_by_it_any_more(fleet: Fleet) -> None:
    parts = fleet.assembly.parts
    broken = replace(parts, keys={Cloud.AWS: Broken(parts.keys[Cloud.AWS])})
    fleet.poll()
    fleet.world.later(minutes=1)
    (gap,) = of_other(scan.poll(broken, NoProgress()))[2]
    assert "it is judged by its state of" in gap.effect
    fleet.world.later(minutes=20)
    told = [one.effect for one in fleet.poll(ONE).gaps if one.what == OTHER]
    assert not [one for one in told if "it is judged by its state of" in one]
    assert [one for one in told if one.startswith("no new answer (ConnectTimeout)") and "counts as unknown" in one]
    # And the other way round, where what it said last counts for longer now.
    patient = replace(parts, policy=replace(parts.policy, poll_max_age=timedelta(hours=1)))
    (again,) = of_other(scan.poll(patient, NoProgress(), ONE))[2]
    assert again == gap
