"""Of several daemons one works; when it ends, however that is, the next one goes on."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from auditor.leading import Leadership
from auditor.ledger.store import LedgerStore
from tests.small import Small, a_small_cloud
from tests.test_daemon import eventually, serving


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
