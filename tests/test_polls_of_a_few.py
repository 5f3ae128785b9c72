"""A poll of a few keys, as a feed or `poll KEY` makes it, says nothing of all others, and costs nothing for them."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import pytest

from auditor import scan
from auditor.config import load
from auditor.findings import Judgement, Status
from auditor.model import Cloud, KeyName
from auditor.outputs import metrics
from auditor.overtaking import Lane
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
