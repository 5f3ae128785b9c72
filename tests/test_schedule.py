import threading
import time
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from auditor.config import Schedule
from auditor.daemon import Daemon
from auditor.probing import Budget

if TYPE_CHECKING:
    from auditor.scan import Parts

NO_PROBES = Budget(reads=False, dry_runs=False, per_hour=1)


def test_turns_of_a_loop_never_overlap_and_missed_ones_come_together(monkeypatch: pytest.MonkeyPatch) -> None:
    running, most, turns = 0, 0, 0
    lock = threading.Lock()

    def slow(*_: Any, **__: Any) -> None:
        nonlocal running, most, turns
        with lock:
            running += 1
            turns += 1
            most = max(most, running)
        time.sleep(0.2)
        with lock:
            running -= 1

    monkeypatch.setattr("auditor.scan.poll", slow)
    parts = SimpleNamespace(
        clock=lambda: datetime.now(UTC),
        sources=(),
        probing=NO_PROBES,
        ledger=SimpleNamespace(sweeps=lambda: ()),
        rules=(),
    )
    # Forty turns would be due in this time.
    schedule = Schedule.model_construct(sweep="0 0 1 1 *", key_poll=0.05)  # faster than users may
    daemon = Daemon(cast("Parts", parts), schedule)
    daemon.start()
    time.sleep(2.0)
    assert daemon.stop()
    assert most == 1
    assert 3 <= turns <= 11


def test_a_turn_that_fails_is_not_the_end_of_its_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    turns = 0

    def failing(*_: Any, **__: Any) -> None:
        nonlocal turns
        turns += 1
        raise OSError

    monkeypatch.setattr("auditor.scan.poll", failing)
    parts = SimpleNamespace(
        clock=lambda: datetime.now(UTC), sources=(), probing=NO_PROBES, ledger=SimpleNamespace(sweeps=lambda: ())
    )
    schedule = Schedule.model_construct(sweep="0 0 1 1 *", key_poll=0.05)
    daemon = Daemon(cast("Parts", parts), schedule)
    daemon.start()
    deadline = time.monotonic() + 10
    while turns < 3 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert turns >= 3
    assert daemon.loops_alive() == {"key_poll": True, "sweep": True}
    daemon.stop()
