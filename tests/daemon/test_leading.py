"""Of several daemons one works; when it ends, however that is, the next one goes on."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import pytest

from auditor import scan
from auditor.config import load
from auditor.daemon.leading import Leadership
from auditor.daemon.serving import Serving, readings
from auditor.daemon.timers import Daemon
from auditor.errors import LedgerError
from auditor.ledger.store import LedgerStore
from auditor.run import Parts
from auditor.web.readings import Loaded
from auditor.wiring import assemble
from tests.core_builders import NOW
from tests.daemon.test_daemon import eventually, serving
from tests.small import Small, a_small_cloud
from tests.test_fleet import NoProgress


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Small]:
    with a_small_cloud(tmp_path) as running:
        yield running


def test_who_waits_tells_the_same_asks_nobody_and_takes_over_when_the_other_is_killed(small: Small) -> None:
    with ExitStack() as stack:
        first = stack.enter_context(serving(small.config))
        eventually(lambda: first.metric("cmek_dependent_objects", readability="readable") == 20)
        assert first.metric("cmek_leader") == 1

        second = stack.enter_context(serving(small.config, "--standby"))
        assert second.said.endswith("; another daemon works, and this one waits\n")
        assert second.metric("cmek_leader") == 0
        assert second.metric("cmek_dependent_objects", readability="readable") == 20
        assert (second.json("/api/v1/status")["leader"], second.json("/api/v1/status")["loops"]) == (False, {})
        assert second.get("/readyz")[0] == 200
        assert second.metric("cmek_api_requests_total") is None, "it asks no cloud"

        first.process.kill()
        small.set_state(1, "DISABLED")
        eventually(lambda: second.metric("cmek_leader") == 1)
        eventually(lambda: second.metric("cmek_findings", rule="data-unreadable", status="open") == 1)
        assert second.get("/readyz")[0] == 200


class Ticks:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_one_daemon_works_at_a_time_and_looks_for_it_each_five_seconds(tmp_path: Path) -> None:
    ticks = Ticks()
    ledgers = [LedgerStore(tmp_path / "ledger.db") for _ in range(2)]
    first, second = (Leadership(one, ticks) for one in ledgers)
    for one in (first, second):
        one.look()
    assert (bool(first), bool(second)) == (True, False)
    first.let_go()
    second.look()
    assert not second, "it has just looked"
    ticks.now = 5.0
    second.look()
    first.look()
    assert (bool(first), bool(second)) == (False, True)


def test_who_takes_the_lock_file_away_makes_no_second_daemon_for_longer_than_to_the_next_look(tmp_path: Path) -> None:
    ticks = Ticks()
    first, second = (Leadership(LedgerStore(tmp_path / "ledger.db"), ticks) for _ in range(2))
    first.look()
    (tmp_path / "daemon.lock").unlink()
    second.look()
    assert second
    ticks.now = 5.0
    for one in (first, second):
        one.look()
    assert (bool(first), bool(second)) == (False, True)


class Broken(LedgerStore):
    """A ledger in which asking for the lock fails as nobody has thought of, before it is held or once it is."""

    held = False

    @contextmanager
    def leading(self) -> Iterator[Callable[[], bool]]:
        if not self.held:
            raise ValueError("no lock of ours")
        with super().leading():
            yield self._fail

    def _fail(self) -> bool:
        raise ValueError("no answer of ours")


def test_who_cannot_look_for_a_reason_that_nobody_has_thought_of_leads_nobody(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ticks, ledger = Ticks(), Broken(tmp_path / "ledger.db")
    leadership = Leadership(ledger, ticks)
    told = []
    for ticks.now, ledger.held in ((0.0, False), (5.0, False), (10.0, True), (15.0, True)):
        leadership.look()
        told.append(bool(leadership))
    assert told == [False, False, True, False]
    assert caplog.text.count("whether another daemon works cannot be told: the auditor itself failed: ValueError") == 2
    other = Leadership(LedgerStore(tmp_path / "ledger.db"))
    other.look()
    assert other, "the lock was let go"


class Mute(LedgerStore):
    """A ledger whose server takes the question whether the lock is held still, and answers when it is let."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.answers = threading.Event()
        self.asked = threading.Event()

    @contextmanager
    def leading(self) -> Iterator[Callable[[], bool]]:
        with super().leading():
            yield self._wait

    def _wait(self) -> bool:
        self.asked.set()
        return self.answers.wait(60)


def test_a_ledger_that_does_not_answer_holds_nobody_up_and_leads_nobody(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("auditor.daemon.leading._AT_ONCE", 0.0)
    ticks, ledger = Ticks(), Mute(tmp_path / "ledger.db")
    leadership = Leadership(ledger, ticks)
    leadership.look()
    ticks.now = 5.0
    leadership.look()
    assert ledger.asked.wait(60)
    ticks.now = 24.9
    leadership.look()
    assert leadership, "it may be slow"
    for ticks.now in (25.0, 26.0):
        leadership.look()
        assert not leadership, "somebody else may have been given the lock"
    assert caplog.text.count("the ledger does not answer: another daemon may work now, so this one stops") == 1
    leadership.let_go()
    ledger.answers.set()
    eventually(lambda: leadership)  # it was held all the time


def test_a_reload_waits_for_a_ledger_that_does_not_answer_and_holds_nobody_up(
    small: Small, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    reloads: list[int] = []
    monkeypatch.setattr("auditor.daemon.leading._AT_ONCE", 0.0)
    config, ledger = load(small.config), Mute(tmp_path / "mute.db")
    leadership = Leadership(ledger)
    leadership.look()
    served = Serving(small.config, config, assemble(config), leadership)
    monkeypatch.setattr(served, "reload", partial(reloads.append, 1))
    monkeypatch.setattr(served, "lead_or_wait", int)
    assert [served.hung_up() for _ in range(3)] == [False, False, False]
    assert caplog.text.count("the ledger does not answer: the config is read anew as soon as it does") == 1
    assert reloads == []
    ledger.answers.set()
    assert leadership._looking is not None  # noqa: SLF001 - when it has ended nobody else can tell
    leadership._looking.join(60)  # noqa: SLF001 - as above
    ledger.answers.clear()
    assert served.hung_up(), "also where each answer takes longer than is waited for"
    assert reloads == [1]
    assert served.stop()


def test_of_turns_that_failed_before_another_daemon_led_nothing_is_told(
    small: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Daemon, "start", lambda _: None)
    monkeypatch.setattr(Daemon, "stop", lambda _: True)
    config, ticks = load(small.config), Ticks()
    assembly = assemble(config)
    leadership = Leadership(assembly.ledger, ticks)
    served = Serving(small.config, config, assembly, leadership)
    served.lead_or_wait()
    before = served._loops  # noqa: SLF001 - what the pages ask
    for _ in range(3):
        before._watch.end("key_poll", "no answer")  # noqa: SLF001 - as where its turn fails
    for works in (True, False):
        read = readings(assembly, before, lambda: Loaded("0" * 64, NOW), partial(bool, works))
        assert (bool(read.failing()), bool(read.faults())) == (works, works)
    leadership._still = lambda: False  # noqa: SLF001 - as when the connection that holds it is cut
    ticks.now = 5.0
    served.lead_or_wait()
    assert not leadership
    assert (served._loops is before, served._loops.faults()) == (False, {})  # noqa: SLF001 - as above
    assert served.stop()


def test_loops_that_cannot_start_let_another_daemon_try_and_start_later(
    small: Small, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = load(small.config)
    assembly = assemble(config)
    scan.scan(assembly.parts, NoProgress())
    ticks = Ticks()
    leadership = Leadership(assembly.ledger, ticks)
    served = Serving(small.config, config, assembly, leadership)
    with monkeypatch.context() as broken:
        broken.setattr(scan, "wanting", _out_of_reach)
        served.lead_or_wait()
    assert not leadership
    assert "the loops cannot start, which is tried again: the server is out of reach" in caplog.text
    ticks.now = 5.0
    served.lead_or_wait()
    assert leadership
    with monkeypatch.context() as broken:
        broken.setattr(scan, "wanting", _out_of_reach)
        served.reload()
    assert not leadership
    assert "the config was not read anew" not in caplog.text
    ticks.now = 10.0
    served.lead_or_wait()
    assert leadership
    assert served.stop()


def _out_of_reach(_parts: Parts) -> bool:
    raise LedgerError("the server is out of reach")


def test_a_lock_that_is_lost_is_given_up_and_tried_for_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    ticks = Ticks()
    leadership = Leadership(LedgerStore(tmp_path / "ledger.db"), ticks)
    leadership.look()
    leadership._still = lambda: False  # noqa: SLF001 - as when the connection that holds it is cut
    ticks.now = 5.0
    leadership.look()
    assert not leadership
    assert "the ledger's lock was lost" in caplog.text
    ticks.now = 10.0
    leadership.look()
    assert leadership
