"""Two runs at the same time on one state folder: the answer is that of the later one."""

import os
import shutil
import signal
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from auditor import run, scan, sweeping
from auditor.config import load
from auditor.errors import LedgerError
from auditor.findings import Judgement
from auditor.model import KeyName, Sweep
from auditor.wiring import Assembly, assemble
from tests.clouds import GOOGLE_KEY
from tests.daemon.test_daemon import eventually, serving
from tests.forked import Forked
from tests.small import Small, a_small_cloud
from tests.test_fleet import NoProgress


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Small]:
    with a_small_cloud(tmp_path) as running:
        yield running


@contextmanager
def assembled(small: Small) -> Iterator[Assembly]:
    assembly = assemble(load(small.config))
    yield assembly
    assembly.close()


def objects(judgement: Judgement) -> int:
    return sum(one.holding.objects or 0 for one in judgement.assessed)


class OnceRead(NoProgress):
    """Lets something happen when the keys are read, and not judged yet."""

    def __init__(self, act: Callable[[], object]) -> None:
        self._act = act

    def polled(self, read: int, of: int, needed: Collection[KeyName]) -> None:  # noqa: ARG002 - the port's shape
        self._act()


class Meanwhile(NoProgress):
    """Lets something happen once, when a bucket is listed and not written yet."""

    def __init__(self, act: Callable[[], object]) -> None:
        self._acts = [act]

    def sweeping(self, at: run.Headway) -> None:
        if at.listed and self._acts:
            self._acts.pop()()


def test_a_sweep_that_began_before_and_ended_after_another_is_not_put_in_force(small: Small) -> None:
    def newer() -> None:
        small.cloud.store.put("data", "acme/new/later", key=GOOGLE_KEY, version=2, size=100)
        with assembled(small) as other:
            assert objects(scan.scan(other.parts, NoProgress())) == 21

    with assembled(small) as assembly:
        assert objects(scan.scan(assembly.parts, Meanwhile(newer))) == 21
        assert objects(scan.poll(assembly.parts, NoProgress())) == 21
        (in_force,) = assembly.ledger.sweeps()
        folders = [path.parent.name for path in (small.config.parent / "state").rglob("dependencies.parquet")]
        assert folders == [in_force.id], "the files of the older one are gone"
        assert assembly.ledger.verify() == assembly.ledger.head()[0]


def test_sweeps_that_nobody_judged_by_take_nothing_from_the_judgement_before(small: Small) -> None:
    small.config.write_text(small.config.read_text() + "[retention]\nsnapshots = 1\nweekly_snapshots = 0\n")
    with assembled(small) as assembly:
        judgement = scan.scan(assembly.parts, NoProgress())
        for hours in range(9, 3, -1):
            for folder in (small.config.parent / "state" / "inventory").glob("*/*"):
                os.utime(folder, times=(0, folder.stat().st_mtime - 3600 * hours))
            sweeping.sweep_all(assembly.parts, NoProgress())  # and the process is killed before it judges
    with assembled(small) as another:
        assert another.ledger.judgement() == judgement
        assert sum(row.objects or 0 for row, _ in another.rows(judgement).rows(judgement.assessed)) == 20
        scan.poll(another.parts, NoProgress())
        scan.scan(another.parts, NoProgress())
        assert len(list((small.config.parent / "state").rglob("dependencies.parquet"))) == 3


def test_an_attempt_that_began_before_a_whole_sweep_and_failed_after_it_leaves_no_gap(small: Small) -> None:
    def newer_then_fail() -> None:
        with assembled(small) as other:
            scan.scan(other.parts, NoProgress())
        raise ZeroDivisionError

    with assembled(small) as assembly:
        judgement = scan.scan(assembly.parts, Meanwhile(newer_then_fail))
        assert (objects(judgement), judgement.gaps) == (20, ())


def test_a_poll_waits_for_one_that_has_read_the_keys_before(small: Small) -> None:
    def poll() -> None:
        with assembled(small) as other:
            scan.poll(other.parts, NoProgress())

    later = threading.Thread(target=poll)

    def disable_and_poll() -> None:
        small.set_state(1, "DISABLED")
        later.start()
        later.join(timeout=1.0)
        assert later.is_alive(), "it waits"

    with assembled(small) as assembly:
        scan.scan(assembly.parts, NoProgress())
        scan.poll(assembly.parts, OnceRead(disable_and_poll))
        assert assembly.ledger.findings() == ()
        later.join()
        assert [one.rule for one in assembly.ledger.findings()] == ["data-unreadable"]


def test_a_poll_whose_lock_was_taken_away_keeps_nothing_over_what_somebody_read_later(small: Small) -> None:
    def lose_the_lock_and_disable_and_poll() -> None:
        (small.config.parent / "state" / "poll.lock").unlink()
        small.set_state(1, "DISABLED")
        with assembled(small) as other:
            scan.poll(other.parts, NoProgress())

    with assembled(small) as assembly:
        scan.scan(assembly.parts, NoProgress())
        with pytest.raises(LedgerError, match="lock was lost while keys were asked, so that this poll is not kept"):
            scan.poll(assembly.parts, OnceRead(lose_the_lock_and_disable_and_poll))
        assert [one.rule for one in assembly.ledger.findings()] == ["data-unreadable"]


HOLDER = """
import sys, time
from pathlib import Path
from auditor.ledger.store import LedgerStore
with LedgerStore(Path(sys.argv[1])).judging():
    print("held", flush=True)
    time.sleep(600)
"""


@contextmanager
def a_poll_that_hangs(small: Small) -> Iterator[Forked]:
    ledger = small.config.parent / "state" / "ledger.db"
    with Forked(HOLDER, str(ledger)) as holder:
        assert holder.stdout.readline() == "held\n"
        try:
            yield holder
        finally:
            holder.kill()


def test_a_poll_waits_no_longer_than_some_minutes_and_not_for_the_dead(
    small: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    with assembled(small) as assembly, a_poll_that_hangs(small) as holder:
        with monkeypatch.context() as patch:
            patch.setattr("auditor.ledger.store._WAIT_SECONDS", 0.3)
            with pytest.raises(LedgerError, match="another poll with this ledger did not end") as refused:
                scan.poll(assembly.parts, NoProgress())
        assert refused.value.hint
        assert assembly.ledger.judgement() is None
        holder.kill()
        scan.poll(assembly.parts, NoProgress())


def test_a_daemon_ends_while_its_poll_waits_for_another(small: Small) -> None:
    with serving(small.config) as daemon:
        eventually(lambda: daemon.metric("cmek_dependent_objects", readability="readable") == 20)
        with a_poll_that_hangs(small):
            threading.Event().wait(6)  # its next poll has begun to wait
            daemon.process.send_signal(signal.SIGTERM)
            assert daemon.process.wait(timeout=10) == 0


def test_what_other_buckets_were_listed_in_is_kept_where_one_cannot_be_published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with a_small_cloud(tmp_path) as small:
        small.cloud.store.add_bucket("more", "acme", "us-east1")
        small.config.write_text(small.config.read_text() + '[[bucket]]\nurl = "gs://more"\nlayout = "{org}/"\n')
        with assembled(small) as assembly:
            publish = assembly.ledger.publish

            def locked(sweep: Sweep) -> bool:
                if sweep.bucket == "gs://data":
                    raise LedgerError("it is locked")
                return publish(sweep)

            monkeypatch.setattr(assembly.ledger, "publish", locked)
            with pytest.raises(LedgerError, match="locked"):
                sweeping.sweep_all(assembly.parts, NoProgress())
            assert [one.bucket for one in assembly.ledger.sweeps()] == ["gs://more"]
            monkeypatch.undo()
            time.sleep(0.01)
            later = datetime.now(UTC)
            small.cloud.store.put("data", "acme/new/later", key=GOOGLE_KEY, version=2, size=100)
            published: list[Sweep] = []

            def noted(sweep: Sweep) -> bool:
                published.append(sweep)
                return publish(sweep)

            monkeypatch.setattr(assembly.ledger, "publish", noted)
            sweeping.sweep_all(assembly.parts, NoProgress())
            old, new = (one for one in published if one.bucket == "gs://data")
            assert (old.listed, old.ended < later) == (20, True), "what was listed is handed over, as old as it is"
            assert (new.listed, new.started > later) == (21, True), "and is no answer to whoever scans now"
            assert new.id in {one.id for one in assembly.ledger.sweeps()}


def test_what_somebody_has_judged_by_is_not_removed_by_who_hands_it_over_too_late(
    small: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    with assembled(small) as first, assembled(small) as second:
        publish = second.ledger.publish

        def locked(_: Sweep) -> bool:
            raise LedgerError("it is locked")

        monkeypatch.setattr(first.ledger, "publish", locked)
        with pytest.raises(LedgerError, match="locked"):
            sweeping.sweep_all(first.parts, NoProgress())
        monkeypatch.undo()
        judged: list[Judgement] = []

        def late(sweep: Sweep) -> bool:
            """The other one has published the same, somebody has judged by it, and the bucket was swept anew."""
            if not judged:
                judged.append(Judgement.__new__(Judgement))
                assert first.ledger.publish(sweep)
                judged[0] = scan.poll(first.parts, NoProgress())
                first.inventory.settle(sweep)
                sweeping.sweep_all(first.parts, NoProgress())
            return publish(sweep)

        monkeypatch.setattr(second.ledger, "publish", late)
        sweeping.sweep_all(second.parts, NoProgress())
        with assembled(small) as reader:
            assert reader.rows(judged[0]).holdings()


def test_a_sweep_that_another_process_has_published_stays_for_whoever_is_about_to_judge_by_it(
    small: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was found whole before its writer could publish it, and a later one was published between the two."""
    assembly = assemble(load(small.config))
    scan.scan(assembly.parts, NoProgress())
    (first,) = assembly.ledger.sweeps()
    scan.scan(assembly.parts, NoProgress())
    monkeypatch.setattr(sweeping, "sweep", lambda *_: (first, True))
    sweeping.sweep_all(assembly.parts, NoProgress())
    assert assembly.inventory.open([first]).holdings()
    never = replace(first, id="20200101T000000Z-00000000")
    shutil.copytree(folder := next(small.config.parent.glob(f"state/inventory/*/{first.id}")), folder.parent / never.id)
    monkeypatch.setattr(sweeping, "sweep", lambda *_: (never, True))
    sweeping.sweep_all(assembly.parts, NoProgress())
    assert not (folder.parent / never.id).exists(), "one that nobody published is removed"
    assembly.close()
