"""A flood of messages while the leader loses its lock: none is acknowledged that was not polled and kept."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from auditor import scan
from auditor.config import Schedule, load
from auditor.daemon.loops import StoppedError
from auditor.daemon.timers import Daemon
from auditor.errors import LedgerError
from auditor.findings import Status
from auditor.ledger.store import LedgerStore
from auditor.model import Cloud, KeyName, KeyReading
from auditor.ports import Heard, Hint, KeyNeed, KeySource
from auditor.wiring import Assembly, assemble
from tests.logged_changes import AWS_KEY, World, an_aws_world
from tests.test_fleet import NoProgress

MANY = 3_000
AT_ONCE = 100


@dataclass
class Flood:
    """A queue of thousands of messages, which lends each out and gives it again unless it is acknowledged."""

    world: World
    name: str = "arn:aws:sqs:us-east-1:111122223333:q"
    waiting: list[str] = field(default_factory=list)
    lent: list[str] = field(default_factory=list)
    acknowledged: list[str] = field(default_factory=list)
    on_acknowledged: Callable[[], None] = lambda: None

    def hear(self, wait: float) -> Heard:  # noqa: ARG002 - it never waits
        some, self.waiting = self.waiting[:AT_ONCE], self.waiting[AT_ONCE:]
        self.lent += some
        now = self.world.store.clock()
        return Heard(tuple(Hint(KeyName(AWS_KEY), "DisableKey", now, one) for one in some), tuple(some))

    def handled(self, heard: Heard) -> None:
        self.on_acknowledged()
        self.acknowledged += heard.receipts
        gone = set(heard.receipts)
        self.lent = [one for one in self.lent if one not in gone]

    def overdue(self) -> None:
        """What nobody has acknowledged comes again."""
        self.waiting, self.lent = self.lent + self.waiting, []


class LosingTheLock:
    """A key source in whose every reading somebody takes the lock of the ledger away."""

    cloud = Cloud.AWS

    def __init__(self, source: KeySource, lock: Path) -> None:
        self._source = source
        self._lock = lock
        self.loses = True

    def read(self, needs: Iterable[KeyNeed]) -> Iterator[KeyReading]:
        yield from self._source.read(needs)
        if self.loses:
            self._lock.unlink()


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    with an_aws_world(tmp_path, monkeypatch) as running:
        running.config.write_text(f"{running.config.read_text()}[audit_log]\nattribute = false\n")
        yield running


def found(ledger: LedgerStore) -> bool:
    judgement = ledger.judgement()
    assert judgement is not None
    return any(one.rule == "data-unreadable" and one.status is Status.OPEN for one in judgement.findings)


def a_daemon(assembly: Assembly, flood: Flood, ticks: Callable[[], float] = lambda: 0.0) -> Daemon:
    return Daemon(assembly.parts, Schedule(), ticks, feeds=[("111122223333", flood)])


def test_what_a_leader_could_not_keep_stays_in_the_queue_for_the_next_one(world: World) -> None:
    flood, ticks = Flood(world), [0.0]
    first = assemble(load(world.config), world.store.clock)
    second = assemble(load(world.config), world.store.clock)
    try:
        scan.scan(first.parts, NoProgress())
        source = LosingTheLock(first.parts.keys[Cloud.AWS], world.folder / "state" / "poll.lock")
        leader = a_daemon(replace(first, parts=replace(first.parts, keys={Cloud.AWS: source})), flood)
        (listener,) = leader._listeners  # noqa: SLF001 - turned by hand
        world.disable()
        flood.waiting = [str(number) for number in range(MANY)]
        for _ in range(2):
            with pytest.raises(LedgerError, match="lock was lost"):
                listener.turn()
            assert (flood.acknowledged, len(flood.lent) + len(flood.waiting)) == ([], MANY)
            flood.overdue()
        source.loses = False
        leader._stopping.set()  # noqa: SLF001 - as `stop` does, once another daemon may work
        with pytest.raises(StoppedError):
            listener.turn()
        assert (flood.acknowledged, found(second.ledger)) == ([], False)

        flood.overdue()
        kept: list[bool] = []
        flood.on_acknowledged = lambda: kept.append(found(second.ledger))
        (listener,) = a_daemon(second, flood, lambda: ticks[0])._listeners  # noqa: SLF001 - likewise
        while flood.waiting or flood.lent:
            assert ticks[0] < 600.0
            listener.turn()
            ticks[0] += 10.0
    finally:
        first.close()
        second.close()
    assert sorted(flood.acknowledged, key=int) == [str(number) for number in range(MANY)]
    assert len(kept) == MANY // AT_ONCE
    assert all(kept), "the judgement is kept before any message goes"


def test_a_leader_that_ends_in_a_storm_acknowledges_nothing_that_waits(world: World) -> None:
    flood, ticks = Flood(world), [0.0]
    assembly = assemble(load(world.config), world.store.clock)
    try:
        scan.scan(assembly.parts, NoProgress())
        leader = a_daemon(assembly, flood, lambda: ticks[0])
        (listener,) = leader._listeners  # noqa: SLF001 - turned by hand
        leader._judge()  # noqa: SLF001 - as its timer does when it starts
        flood.waiting = ["before"]
        listener.turn()
        assert flood.acknowledged == ["before"]
        world.disable()
        flood.waiting = ["after"]
        listener.turn()
        assert (flood.acknowledged, flood.lent) == (["before"], ["after"]), "the key was read a moment ago"
        ticks[0] = 1.0
        leader._stopping.set()  # noqa: SLF001 - as `stop` does
        with pytest.raises(StoppedError):
            listener.turn()
        assert (flood.lent, found(assembly.ledger)) == (["after"], False)

        flood.overdue()
        (listener,) = a_daemon(assembly, flood, lambda: ticks[0])._listeners  # noqa: SLF001 - the next one's
        listener.turn()
        assert (flood.acknowledged, found(assembly.ledger)) == (["before", "after"], True)
    finally:
        assembly.close()
