"""A key that a feed names is not kept waiting by a poll of all keys, and what that one read before counts no more."""

import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from auditor import scan
from auditor.config import Schedule, load
from auditor.daemon.loops import StoppedError
from auditor.daemon.timers import Daemon
from auditor.errors import LedgerError
from auditor.findings import Judgement, Readability
from auditor.model import Cloud, KeyName, KeyReading
from auditor.overtaking import Lane
from auditor.ports import KeyNeed, KeySource
from auditor.wiring import assemble
from tests.logged_changes import AWS_KEY, an_aws_world
from tests.test_fleet import NoProgress

if TYPE_CHECKING:
    from auditor.run import Parts

OTHER = f"{AWS_KEY[:-1]}2"
WITHIN = 30.0
NOTHING_FOUND = SimpleNamespace(
    findings=(), gaps=(), registered=SimpleNamespace(bundles=()), coverage=SimpleNamespace(buckets=())
)


class OnceAllIsRead:
    """A key source that lets something happen behind the last reading of a poll of all keys."""

    cloud = Cloud.AWS

    def __init__(self, source: KeySource) -> None:
        self._source = source
        self.act: Any = None

    def read(self, needs: Iterable[KeyNeed]) -> Iterator[KeyReading]:
        yield from self._source.read(needs)
        act, self.act = self.act, None
        if act is not None:
            act()


def readability(judgement: Judgement) -> dict[str | None, Readability]:
    return {one.holding.key: one.assessment.readability for one in judgement.assessed}


def test_what_was_read_before_it_was_overtaken_does_not_undo_what_was_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with an_aws_world(tmp_path, monkeypatch) as world:
        world.store.add_key(OTHER)
        world.store.put("objects", "acme/other/1", size=100, sse="aws:kms", key=OTHER)
        assembly = assemble(load(world.config), world.store.clock)
        source = OnceAllIsRead(assembly.parts.keys[Cloud.AWS])
        parts = replace(assembly.parts, keys={Cloud.AWS: source})
        lane = Lane()
        keys = frozenset({KeyName(AWS_KEY)})
        found: list[Judgement] = []

        def overtake() -> None:
            world.disable()
            world.store.key(OTHER).state = "Disabled"
            poll = lambda: found.append(scan.poll(parts, NoProgress(), keys, lane=lane, overtakes=True))  # noqa: E731 - used in the next line alone
            assert lane.overtake(keys, poll)

        try:
            scan.scan(parts, NoProgress())
            source.act = overtake
            after = scan.poll(parts, NoProgress(), lane=lane)
            assert readability(found[0]) == {AWS_KEY: Readability.UNREADABLE, OTHER: Readability.READABLE}
            assert readability(after) == readability(found[0]), "the other key was read before it was disabled"
            assert after.gaps == found[0].gaps
            assert set(readability(scan.poll(parts, NoProgress(), lane=lane)).values()) == {Readability.UNREADABLE}
        finally:
            assembly.close()


def test_what_overtakes_is_not_kept_where_the_ledger_is_not_held_any_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with an_aws_world(tmp_path, monkeypatch) as world:
        assembly = assemble(load(world.config), world.store.clock)
        lane, keys = Lane(), frozenset({KeyName(AWS_KEY)})
        try:
            before = scan.scan(assembly.parts, NoProgress())
            world.disable()
            lane.still = lambda: False
            with lane.reading(), pytest.raises(LedgerError, match="is not kept"):
                lane.overtake(keys, lambda: scan.poll(assembly.parts, NoProgress(), keys, lane=lane, overtakes=True))
            assert assembly.ledger.judgement() == before
        finally:
            assembly.close()


def test_nobody_overtakes_where_no_poll_of_all_reads() -> None:
    lane, done = Lane(), []
    keys = frozenset({KeyName(AWS_KEY)})
    assert not lane.overtake(keys, lambda: done.append(1))
    with lane.reading() as overtaken:
        assert lane.overtake(keys, lambda: done.append(2))
    assert (done, overtaken) == ([2], {KeyName(AWS_KEY)})
    assert not lane.overtake(keys, lambda: done.append(3))


def test_a_poll_that_overtakes_tells_all_that_it_has_read_and_may_keep_it_while_nobody_says_otherwise() -> None:
    lane, asked, also = Lane(), KeyName(AWS_KEY), KeyName(OTHER)
    assert lane.still()
    with lane.reading() as overtaken:
        assert lane.overtake(frozenset({asked}), lambda: lane.has_read([also]))
        assert overtaken == {asked, also}
    with lane.reading() as overtaken:
        assert lane.overtake((), lambda: None)
    assert overtaken == set(), "what was read before is not read now"


def test_many_that_overtake_do_not_keep_a_poll_of_all_from_its_end() -> None:
    lane, done = Lane(), []
    keys = frozenset({KeyName(AWS_KEY)})
    inside, read = threading.Event(), threading.Event()

    def first() -> None:
        inside.set()
        read.wait(WITHIN)
        for _ in range(5000):
            if not lane._open:  # noqa: SLF001 - the poll of all has come to its end, and waits for this one
                break
            time.sleep(0.001)

    late = threading.Thread(target=lambda: lane.overtake(keys, lambda: done.append(1)), daemon=True)
    with lane.reading() as overtaken:
        threading.Thread(target=lambda: lane.overtake(keys, first), daemon=True).start()
        assert inside.wait(WITHIN)
        late.start()
        read.set()
    assert overtaken == keys
    late.join(WITHIN)
    assert done == []


def test_what_failed_to_overtake_has_read_nothing() -> None:
    def fail() -> None:
        raise OSError

    lane = Lane()
    with lane.reading() as overtaken, pytest.raises(OSError):  # noqa: PT011 - raised by this test
        lane.overtake(frozenset({KeyName(AWS_KEY)}), fail)
    assert overtaken == set()


def a_daemon() -> Daemon:
    """One that only polls."""
    parts = SimpleNamespace(
        clock=lambda: datetime.now(UTC),
        probing=SimpleNamespace(reads=False, dry_runs=False),
        skew=timedelta,
        buckets=(),
        handed=(),
        config_digest="mine",
        ledger=SimpleNamespace(judgement=lambda: None, follow=lambda: SimpleNamespace(turns=lambda: ())),
    )
    return Daemon(cast("Parts", parts), Schedule())


def test_the_daemon_polls_a_hinted_key_while_a_poll_of_all_still_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    reads, hinted, over = threading.Event(), threading.Event(), threading.Event()

    def poll(_parts: object, _progress: object, only: frozenset[KeyName], **more: Any) -> object:
        if only:
            assert more["overtakes"]
            hinted.set()
        else:
            with more["lane"].reading():
                reads.set()
                if hinted.wait(WITHIN):
                    over.set()
        return NOTHING_FOUND

    monkeypatch.setattr("auditor.scan.poll", poll)
    daemon = a_daemon()
    whole = threading.Thread(target=daemon._poll, daemon=True)  # noqa: SLF001 - what its timer does
    whole.start()
    assert reads.wait(WITHIN)
    daemon.follow(frozenset({KeyName(AWS_KEY)}))
    whole.join(WITHIN)
    assert over.is_set()


class Busy:
    """A lock that others always have."""

    def __init__(self) -> None:
        self.asked = threading.Event()

    def acquire(self, timeout: float) -> bool:
        self.asked.set()
        time.sleep(min(timeout, 0.001))
        return False


def test_whoever_waits_for_a_poll_of_all_makes_none_where_one_began_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    polls: list[frozenset[KeyName]] = []

    def poll(_parts: object, _progress: object, only: frozenset[KeyName], **_: Any) -> object:
        polls.append(only)
        return NOTHING_FOUND

    monkeypatch.setattr("auditor.scan.poll", poll)
    daemon, busy = a_daemon(), Busy()
    daemon._judging = cast("threading.Lock", busy)  # noqa: SLF001 - as if other polls followed each other
    wait = [
        threading.Thread(target=daemon.follow, args=[keys], daemon=True)
        for keys in (frozenset[KeyName](), frozenset({KeyName(AWS_KEY)}))
    ]
    for one in wait:
        busy.asked.clear()
        one.start()
        assert busy.asked.wait(WITHIN)
    daemon._judged()  # noqa: SLF001 - what the timer's poll does
    for one in wait:
        one.join(WITHIN)
        assert not one.is_alive()
    assert polls == [frozenset()]


def test_a_poll_of_all_that_fails_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    polls: list[str] = []

    def poll(*_: Any, **__: Any) -> object:
        polls.append("tried")
        if len(polls) == 1:
            raise LedgerError("the disk is full")
        return NOTHING_FOUND

    monkeypatch.setattr("auditor.scan.poll", poll)
    daemon = a_daemon()
    with pytest.raises(LedgerError):
        daemon.follow(frozenset())
    daemon.follow(frozenset())
    assert len(polls) == 2


def test_whoever_waits_for_a_poll_ends_with_the_loops() -> None:
    daemon = a_daemon()
    daemon._judging.acquire()  # noqa: SLF001 - as a poll that hangs
    daemon._stopping.set()  # noqa: SLF001 - as `stop` does at first
    ended: list[bool] = []

    def wait() -> None:
        with pytest.raises(StoppedError):
            daemon.follow(frozenset())
        ended.append(True)

    waiting = threading.Thread(target=wait, daemon=True)
    waiting.start()
    waiting.join(WITHIN)
    assert ended == [True]
