"""Reports that the daemon keeps: when they are due, what is in them, and what the log says of them."""

import contextlib
import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from auditor import scan
from auditor.config import Schedule, load
from auditor.daemon.keeping import Keeper
from auditor.daemon.timers import Daemon
from auditor.errors import AuditorError
from auditor.shelf import Kept, Shelf
from auditor.wiring import Assembly, assemble
from tests.daemon.test_schedule import HOUR, Worlds, due, parts_of
from tests.small import Small, a_small_cloud
from tests.test_fleet import NoProgress

DAILY = Schedule(sweep="0 0 1 1 *", report="0 6 * * *")


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Small]:
    with a_small_cloud(tmp_path) as running:
        yield running


@pytest.fixture
def assembly(small: Small) -> Iterator[Assembly]:
    with contextlib.closing(assemble(load(small.config))) as made:
        yield made


def test_all_that_was_asked_for_is_kept_and_the_log_can_bear_witness(
    small: Small, assembly: Assembly, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    small.set_state(1, "DISABLED")
    judgement = scan.scan(assembly.parts, NoProgress())
    shelf = Shelf(tmp_path / "reports", 5)
    with caplog.at_level(logging.INFO):
        Keeper(assembly, shelf, ("html", "json", "csv", "ocsf", "oscal")).keep()
    ((name, one),) = shelf.listed()
    assert isinstance(one, Kept)
    names = ["report-dependencies.csv", "report-gaps.csv", "report.csv"]
    names += ["report.html", "report.json", "report.ocsf.jsonl", "report.oscal.json"]
    assert [each.name for each in one.files] == names
    assert (one.told.judgement, one.told.judged) == (judgement.run.id, judgement.now)
    assert one.told.verdict == "10 of 20 objects cannot be read now."
    assert (one.told.events, one.told.head) == assembly.ledger.chain().end_of(judgement.run.id)
    page = (shelf.read(name, "report.html") or b"").decode()
    assert one.told.head in page
    assert json.loads(shelf.read(name, "report.json") or b"")["totals"]["objects"] == 20
    told = caplog.messages[-1]
    assert all(each in told for each in (name, one.told.head, *(file.sha256 for file in one.files)))


def test_before_anything_is_judged_none_is_kept_and_it_is_told(assembly: Assembly, tmp_path: Path) -> None:
    shelf = Shelf(tmp_path / "reports", 5)
    with pytest.raises(AuditorError, match="nothing is judged yet"):
        Keeper(assembly, shelf, ("html",)).keep()
    assert shelf.listed() == ()


@dataclass
class Reports:
    """Stands in for what makes reports."""

    last: datetime | None = None
    made: list[datetime] = field(default_factory=list)
    fails: bool = False

    def newest(self) -> datetime | None:
        if self.fails:
            raise AuditorError("nobody can tell")
        return self.last

    def keep(self) -> None:
        self.made.append(datetime.now(UTC))
        if self.fails:
            raise AuditorError("no room")


def planned(reports: Reports, schedule: Schedule = DAILY) -> Daemon:
    """A daemon that is about to start, whose timers start no turn by themselves."""
    worlds = Worlds()
    made = Daemon(parts_of(worlds, lambda: None), schedule, lambda: worlds.ticks, reports=reports)
    made._scheduler.start(paused=True)  # noqa: SLF001 - else the machine's own clock would have a say
    return made


SEVEN = datetime(2026, 11, 28, 7, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("ago", "owes"),
    [(None, False), (timedelta(0), False), (HOUR, False), (HOUR + timedelta(seconds=2), True), (25 * HOUR, True)],
    ids=["none yet", "just now", "the one of six", "before six", "yesterday"],
)
def test_one_that_was_due_while_nobody_worked_is_made_up_for(ago: timedelta | None, owes: bool) -> None:  # noqa: FBT001 - a case
    daemon = planned(Reports(SEVEN - ago if ago is not None else None))
    assert daemon._owes_report(SEVEN) is owes  # noqa: SLF001 - what start() asks
    daemon._scheduler.shutdown()  # noqa: SLF001 - as above


def test_where_nobody_can_tell_the_turn_itself_says_why(caplog: pytest.LogCaptureFixture) -> None:
    reports = Reports(fails=True)
    daemon = planned(reports)
    assert daemon._owes_report(datetime.now(UTC))  # noqa: SLF001 - what start() asks
    for _ in range(3):
        daemon._report()  # noqa: SLF001 - what the timer calls
    assert (len(reports.made), daemon.failing()) == (3, ("report",))
    assert "report failed: no room" in caplog.text
    daemon._scheduler.shutdown()  # noqa: SLF001 - as above


def test_a_clock_that_is_set_ahead_makes_none_at_once_and_skips_none() -> None:
    worlds = Worlds()
    daemon = Daemon(parts_of(worlds, lambda: None), DAILY, lambda: worlds.ticks, reports=Reports())
    daemon._scheduler.start(paused=True)  # noqa: SLF001 - as above
    missed = worlds.wall + HOUR
    daemon._scheduler.modify_job("report", next_run_time=missed)  # noqa: SLF001 - as above
    worlds.wall += 3 * HOUR
    daemon.mind_the_clock()
    assert due(daemon, "report") == missed
    daemon._scheduler.shutdown()  # noqa: SLF001 - as above


def test_where_none_is_asked_for_no_loop_makes_any() -> None:
    daemon = planned(Reports(), Schedule(sweep="0 0 1 1 *"))
    assert "report" not in daemon.loops_alive()
    assert daemon._scheduler.get_job("report") is None  # noqa: SLF001 - as above
    daemon._scheduler.shutdown()  # noqa: SLF001 - as above


def test_between_two_reports_days_may_go_by() -> None:
    daemon = planned(Reports())
    assert daemon.loops_alive()["report"]
    daemon._scheduler.shutdown()  # noqa: SLF001 - as above
