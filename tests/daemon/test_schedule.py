import gc
import logging
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
from apscheduler.events import EVENT_JOB_MAX_INSTANCES, JobSubmissionEvent
from apscheduler.job import Job
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.interval import IntervalTrigger

from auditor.config import Schedule
from auditor.daemon.due import AtOnce
from auditor.daemon.loops import Fault, StoppedError, Turn, answers_of_polls
from auditor.daemon.timers import Daemon, Inherited
from auditor.errors import LedgerError
from auditor.feeds.silence import Ear
from auditor.findings import Finding
from auditor.model import KeyName, Population
from auditor.probing import Budget
from auditor.run import Headway

if TYPE_CHECKING:
    from auditor.run import Parts

WITHIN = 30.0
NO_PROBES = Budget(reads=False, dry_runs=False, per_hour=1)


def judged_by(config: str, *findings: Finding) -> Any:
    """A judgement, as far as the log tells of it."""
    return SimpleNamespace(
        findings=findings,
        gaps=(),
        registered=SimpleNamespace(bundles=()),
        coverage=SimpleNamespace(buckets=()),
        run=SimpleNamespace(config_digest=config),
    )


def parts_of(worlds: "Worlds", judgement: Callable[[], object], probing: Budget | None = None) -> "Parts":
    """What a daemon that only polls works with."""
    ledger = SimpleNamespace(
        sweeps=lambda: (),
        failed_attempts=lambda: (),
        probes=lambda: (),
        judgement=judgement,
        follow=lambda: NOTHING_TOLD,
    )
    parts = SimpleNamespace(
        clock=lambda: worlds.wall,
        skew=timedelta,
        buckets=(),
        is_keys_only=False,
        left=frozenset(),
        sources=(),
        handed=(),
        probing=probing or NO_PROBES,
        ledger=ledger,
        config_digest="mine",
        inventory=NO_INVENTORY,
    )
    return cast("Parts", parts)


def raising(error: Exception) -> Callable[..., None]:
    """What fails whenever it is called."""

    def fails(*_: Any, **__: Any) -> None:
        raise error

    return fails


NOTHING_FOUND = judged_by("mine")
NOTHING_TOLD = SimpleNamespace(turns=lambda: ())
NO_INVENTORY = SimpleNamespace(unusable=lambda _: {})


def test_turns_of_a_loop_never_overlap_and_missed_ones_come_together(monkeypatch: pytest.MonkeyPatch) -> None:
    began, may_end, missed = threading.Semaphore(0), threading.Semaphore(0), threading.Semaphore(0)
    running, most, turns = 0, 0, 0
    lock = threading.Lock()

    def slow(_: Daemon) -> None:
        nonlocal running, most, turns
        with lock:
            running += 1
            turns += 1
            most = max(most, running)
        began.release()
        may_end.acquire(timeout=WITHIN)
        with lock:
            running -= 1

    monkeypatch.setattr(Daemon, "_judge", slow)
    parts = SimpleNamespace(
        clock=lambda: datetime.now(UTC),
        buckets=(),
        is_keys_only=False,
        left=frozenset(),
        sources=(),
        probing=NO_PROBES,
        handed=(),
        config_digest="mine",
        ledger=parts_of(Worlds(), lambda: None).ledger,
        inventory=NO_INVENTORY,
        rules=(),
    )
    schedule = Schedule.model_construct(sweep="0 0 1 1 *", key_poll=0.05)  # faster than users may
    daemon = Daemon(cast("Parts", parts), schedule)
    daemon._scheduler.add_listener(  # noqa: SLF001 - it alone knows which turns were due
        lambda _: missed.release(), EVENT_JOB_MAX_INSTANCES
    )
    daemon.start()
    for turn in (1, 2):
        assert began.acquire(timeout=WITHIN)
        assert all(missed.acquire(timeout=WITHIN) for _ in range(3))
        assert (running, most, turns) == (1, 1, turn)
        may_end.release()
    may_end.release(100)
    assert daemon.stop()


def test_a_turn_that_fails_is_not_the_end_of_its_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    turns = 0

    def failing(*_: Any, **__: Any) -> None:
        nonlocal turns
        turns += 1
        raise OSError

    monkeypatch.setattr("auditor.scan.poll", failing)
    parts = SimpleNamespace(
        clock=lambda: datetime.now(UTC),
        buckets=(),
        is_keys_only=False,
        left=frozenset(),
        sources=(),
        probing=NO_PROBES,
        handed=(),
        config_digest="mine",
        ledger=parts_of(Worlds(), lambda: None).ledger,
        inventory=NO_INVENTORY,
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


class Worlds:
    """A wall clock that can be set, and ticks that pass only when they are told to."""

    def __init__(self) -> None:
        self.ticks = 1000.0
        self.wall = datetime(2026, 1, 1, 12, 30, tzinfo=UTC)

    def pass_by(self, seconds: float) -> None:
        self.ticks += seconds
        self.wall += timedelta(seconds=seconds)


@pytest.fixture
def worlds() -> Worlds:
    return Worlds()


@pytest.fixture
def daemon(worlds: Worlds) -> Iterator[Daemon]:
    """A daemon whose timers start no turn by themselves."""
    parts = parts_of(worlds, lambda: None, Budget(reads=True, dry_runs=False, per_hour=60))
    made = Daemon(parts, Schedule(sweep="0 * * * *", key_poll=60), lambda: worlds.ticks)
    made._scheduler.start(paused=True)  # noqa: SLF001 - else the machine's own clock would have a say
    yield made
    made._scheduler.shutdown()  # noqa: SLF001 - as above


def due(daemon: Daemon, loop: str) -> datetime:
    found: datetime = daemon._scheduler.get_job(loop).next_run_time  # noqa: SLF001 - nobody else needs to know
    return found


def plan(daemon: Daemon, moment: datetime) -> None:
    for loop in ("sweep", "key_poll", "probe"):
        daemon._scheduler.modify_job(loop, next_run_time=moment)  # noqa: SLF001 - as above


HOUR = timedelta(hours=1)


def test_a_clock_that_is_set_back_stops_no_loop(daemon: Daemon, worlds: Worlds) -> None:
    plan(daemon, worlds.wall + HOUR / 2)
    worlds.pass_by(1)
    worlds.wall -= HOUR
    daemon.mind_the_clock()
    assert due(daemon, "key_poll") == due(daemon, "probe") == worlds.wall
    assert due(daemon, "sweep") == datetime(2026, 1, 1, 12, 0, tzinfo=UTC)


def test_a_clock_that_is_set_ahead_skips_no_sweep(daemon: Daemon, worlds: Worlds) -> None:
    missed = worlds.wall + HOUR / 2
    plan(daemon, missed)
    worlds.wall += 3 * HOUR
    daemon.mind_the_clock()
    assert due(daemon, "key_poll") == worlds.wall
    assert due(daemon, "sweep") == missed


class AtIt(AtOnce):
    """A trigger that is asked while the scheduler begins the turn that is due, and plans the next one."""

    job: Job

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime | None:
        due = super().get_next_fire_time(previous_fire_time, now)
        self.job.modify(next_run_time=due)
        return due


def test_a_sweep_that_a_clock_set_ahead_has_made_due_is_begun_once(daemon: Daemon, worlds: Worlds) -> None:
    trigger = AtIt(CronTrigger.from_crontab("0 * * * *", timezone=UTC))
    trigger.job = daemon._scheduler.get_job("sweep")  # noqa: SLF001 - as above
    trigger.job.modify(trigger=trigger, next_run_time=worlds.wall + HOUR / 2)
    worlds.wall += 3 * HOUR
    daemon.mind_the_clock()
    assert due(daemon, "sweep") == datetime(2026, 1, 1, 16, 0, tzinfo=UTC)


@pytest.mark.parametrize("ahead", [timedelta(days=400), timedelta(days=365 * 56)])
def test_what_a_clock_set_ahead_has_made_due_is_one_turn_and_not_counted_up(ahead: timedelta) -> None:
    for trigger in (IntervalTrigger(seconds=60), CronTrigger.from_crontab("* * * * *", timezone=UTC)):
        first = datetime(2026, 11, 28, 6, 0, tzinfo=UTC)
        now = first + ahead
        job = Job(BackgroundScheduler(), trigger=AtOnce(trigger), func=len, args=([],), kwargs={}, next_run_time=first)
        assert job._get_run_times(now) == [first]  # noqa: SLF001 - what the scheduler asks of each job
        assert job.trigger.get_next_fire_time(first, now) == now + timedelta(minutes=1)


def test_all_loops_are_planned_so(worlds: Worlds) -> None:
    schedule = Schedule(sweep="* * * * *", report="* * * * *")
    reports = SimpleNamespace(uploads=True)
    parts = parts_of(worlds, lambda: None, probing=Budget(reads=True, dry_runs=False, per_hour=1))
    daemon = Daemon(parts, schedule, lambda: worlds.ticks, reports=cast("Any", reports))
    jobs = daemon._scheduler.get_jobs()  # noqa: SLF001 - the timers are what this is about
    assert {one.id for one in jobs} == {"sweep", "key_poll", "probe", "report", "upload"}
    assert all(isinstance(one.trigger, AtOnce) for one in jobs)


def test_a_clock_that_drifts_changes_no_plan(daemon: Daemon, worlds: Worlds) -> None:
    planned = worlds.wall + HOUR
    plan(daemon, planned)
    for _ in range(100):
        worlds.pass_by(1)
        worlds.wall += timedelta(seconds=0.5)
        daemon.mind_the_clock()
    assert due(daemon, "key_poll") == due(daemon, "sweep") == planned


def test_polls_that_do_not_end_well_are_no_life(
    daemon: Daemon, worlds: Worlds, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: Any, **__: Any) -> None:
        raise LedgerError("gone", "free some room")

    turns = daemon._poll, daemon._probe  # noqa: SLF001 - what the timers call
    monkeypatch.setattr("auditor.scan.probe", lambda *_: None)
    monkeypatch.setattr("auditor.scan.poll", failing)
    told = []
    for seconds in (0, 300, 599, 1):
        worlds.pass_by(seconds)
        worlds.wall -= HOUR  # the wall clock has no say
        for turn in turns:
            turn()
        told.append((daemon.loops_alive()["key_poll"], daemon.failing()))
    assert told == [(True, ()), (True, ()), (True, ("key_poll",)), (False, ("key_poll",))]
    assert daemon.loops_alive() == {"key_poll": False, "sweep": True, "probe": True}
    assert daemon.faults() == {"key_poll": Fault(4, "gone; free some room")}
    monkeypatch.setattr("auditor.scan.poll", lambda *_, **__: NOTHING_FOUND)
    daemon._poll()  # noqa: SLF001 - as above
    assert (daemon.loops_alive()["key_poll"], daemon.failing(), daemon.faults()) == (True, (), {})


def test_a_round_of_probes_that_gets_on_lives_however_long_it_is(
    daemon: Daemon, worlds: Worlds, monkeypatch: pytest.MonkeyPatch
) -> None:
    alive = []

    def slow(*_: Any) -> None:
        for made in range(4):
            daemon.probed(made, 5)
            worlds.pass_by(3000)
            alive.append(daemon.loops_alive()["probe"])
        worlds.pass_by(3000)
        alive.append(daemon.loops_alive()["probe"])

    monkeypatch.setattr("auditor.scan.probe", slow)
    daemon._probe()  # noqa: SLF001 - what its timer calls
    assert alive == [True, True, True, True, False]


def test_a_sweep_that_gets_on_lives_however_long_it_is_and_one_that_hangs_is_given_up(
    daemon: Daemon, worlds: Worlds, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = []

    def slow(_parts: object, progress: Daemon, *_only: object) -> None:
        for _ in range(100):
            progress.sweeping(Headway("gs://data", 1, 0, 0, 1, None))
            worlds.pass_by(3000)
            told.append((daemon.loops_alive()["sweep"], daemon.hung()))
        for seconds in (599, 1, 22 * 3600 + 1799, 1801):
            worlds.pass_by(seconds)
            told.append((daemon.loops_alive()["sweep"], daemon.hung()))

    monkeypatch.setattr("auditor.sweeping.sweep_all", slow)
    monkeypatch.setattr("auditor.scan.poll", lambda *_, **__: NOTHING_FOUND)
    daemon._sweep()  # noqa: SLF001 - what its timer calls
    assert told == [(True, ())] * 101 + [(False, ())] * 2 + [(False, ("sweep",))]
    assert daemon.hung() == ()
    daemon.sweeping(Headway("gs://data", 1, 0, 0, 1, None))
    worlds.pass_by(48 * 3600)
    assert daemon.hung() == (), "who gets on between two turns begins none"


def test_a_poll_that_no_key_answers_any_more_is_given_up_and_one_that_gets_answers_is_not(
    worlds: Worlds, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = 0
    told: list[tuple[str, ...]] = []

    def slow(*_: Any, **__: Any) -> object:
        nonlocal answers
        for _turn in range(10):
            worlds.pass_by(2600)
            answers += 1
            told.append(made.hung())
        for seconds in (2699, 1):
            worlds.pass_by(seconds)
            told.append(made.hung())
        return NOTHING_FOUND

    monkeypatch.setattr("auditor.scan.poll", slow)
    made = Daemon(parts_of(worlds, lambda: None), Schedule(key_poll=60), lambda: worlds.ticks, answered=lambda: answers)
    made._poll()  # noqa: SLF001 - what its timer calls
    assert told == [()] * 11 + [("key_poll",)]
    assert made.hung() == (), "it has ended"


@pytest.mark.parametrize(("own", "hung"), [(None, ("key_poll",)), (0, ())], ids=["hangs", "gets an answer"])
def test_a_poll_that_hangs_beside_a_busy_feed_is_given_up(
    worlds: Worlds, monkeypatch: pytest.MonkeyPatch, own: int | None, hung: tuple[str, ...]
) -> None:
    key = KeyName("projects/123/locations/us/keyRings/r/cryptoKeys/k")
    answers = 0
    told: list[tuple[str, ...]] = []

    def poll(_parts: object, progress: Daemon, only: frozenset[KeyName], **_: Any) -> object:
        nonlocal answers
        if only:
            answers += 1
            told.append(made.hung())
            progress.polled(1, 1, {key})
            return NOTHING_FOUND
        with made._lane.reading():  # noqa: SLF001 - what `scan.poll` does with it
            for turn in range(27):
                worlds.pass_by(100)
                answers += turn == own
                made.follow(frozenset({key}))
                told.append(made.hung())
        return NOTHING_FOUND

    monkeypatch.setattr("auditor.scan.poll", poll)
    made = Daemon(parts_of(worlds, lambda: None), Schedule(key_poll=60), lambda: worlds.ticks, answered=lambda: answers)
    made._poll()  # noqa: SLF001 - what its timer calls
    assert told == [()] * 52 + [hung] * 2


def test_answers_of_probes_and_sweeps_are_none_of_a_poll() -> None:
    counts = {
        ("kms", "DescribeKey", "ok"): 1,
        ("cloudkms", "GetCryptoKey", "HTTP 403"): 2,
        ("logging", "entries.list", "ok"): 4,
        ("kms", "Decrypt", "ok"): 8,
        ("logging", "entries.write", "ok"): 16,
        ("s3", "HeadObject", "ok"): 32,
        ("sqs", "ReceiveMessage", "ok"): 64,
    }
    assert answers_of_polls(counts) == 3, "a feed may read a log as well, each few seconds"


def test_turns_that_take_longer_than_from_one_to_the_next_are_told_once(
    daemon: Daemon, caplog: pytest.LogCaptureFixture
) -> None:
    def turn(due_meanwhile: int) -> None:
        with Turn(daemon._watch, "key_poll"):  # noqa: SLF001 - what its timer calls
            for _ in range(due_meanwhile):
                daemon._scheduler._dispatch_event(  # noqa: SLF001 - as it does where a turn still runs
                    JobSubmissionEvent(EVENT_JOB_MAX_INSTANCES, "key_poll", "default", [])
                )

    for due_meanwhile in (3, 2, 0, 1):
        turn(due_meanwhile)
    assert caplog.text.count("a turn of key_poll takes longer than until the next one is due") == 2
    assert not logging.getLogger("apscheduler.scheduler").isEnabledFor(logging.WARNING)


def test_an_inventory_that_is_lost_is_swept_at_once_and_once(
    worlds: Worlds, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    lost: set[str] = set()
    swept: list[int] = []

    def poll(*_: Any, **__: Any) -> object:
        found = judged_by("mine")
        found.coverage = SimpleNamespace(
            buckets=[SimpleNamespace(complete=not lost, last_attempt_failed="it lacks a file" if lost else None)]
        )
        return found

    parts = parts_of(worlds, lambda: None)
    monkeypatch.setattr("auditor.scan.poll", poll)
    monkeypatch.setattr("auditor.scan.usable", lambda _: ((), dict.fromkeys(lost)))
    monkeypatch.setattr("auditor.sweeping.sweep_all", lambda *_: swept.append(1))
    made = Daemon(parts, Schedule(sweep="0 0 1 1 *"), lambda: worlds.ticks)
    made._scheduler.start(paused=True)  # noqa: SLF001 - the turns are made here
    planned = due(made, "sweep")
    told = []
    for now_lost, turn in (
        ("", made._poll),  # noqa: SLF001 - what its timers call
        ("a", made._poll),  # noqa: SLF001 - as above
        ("a", made._sweep),  # noqa: SLF001 - as above
        ("ab", made._poll),  # noqa: SLF001 - as above
        ("", made._poll),  # noqa: SLF001 - as above
        ("a", made._poll),  # noqa: SLF001 - as above
    ):
        lost = set(now_lost)
        turn()
        told.append(due(made, "sweep") < planned)
        made._scheduler.modify_job("sweep", next_run_time=planned)  # noqa: SLF001 - as once it was made
    made._scheduler.shutdown()  # noqa: SLF001 - as above
    assert told == [False, True, False, True, False, True]
    assert "the inventory of a is damaged or gone, though the ledger knows a whole sweep of it" in caplog.text
    assert swept == [1]


def test_what_keys_said_of_their_names_is_asked_of_the_ledger_once_a_judgement(daemon: Daemon) -> None:
    asked: list[int] = []

    def memory() -> dict[KeyName, object]:
        asked.append(1)
        if len(asked) == 1:
            raise LedgerError("gone")
        return {}

    cast("Any", daemon._parts).ledger.memory = memory  # noqa: SLF001 - the ledger of this test
    listener = SimpleNamespace(ear=lambda: Ear("projects/acme/feed", "acme"))
    daemon._listeners = cast("Any", (listener,))  # noqa: SLF001 - a feed that nobody has to listen to
    by_number = KeyName("projects/123/locations/us/keyRings/r/cryptoKeys/k")
    daemon._needed = frozenset({by_number})  # noqa: SLF001 - as a poll leaves it
    for _ in range(4):
        assert daemon.polled_alone() is None
    assert len(asked) == 2, "what could not be read is asked for again"
    daemon._known = judged_by("mine")  # noqa: SLF001 - as a poll leaves it
    assert daemon.polled_alone() is None
    assert len(asked) == 3


class Ring:
    def __init__(self) -> None:
        self.itself = self


@pytest.mark.usefixtures("tidied")
def test_a_poll_leaves_nothing_to_collect_for_the_next_scrape_and_keeps_nothing_for_ever(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("auditor.scan.poll", lambda *_, **__: NOTHING_FOUND)
    first, second = Ring(), Ring()
    gone, stands = weakref.ref(first), weakref.ref(second)
    del first
    try:
        daemon._poll()  # noqa: SLF001 - what its timer calls
        assert gone() is None
        assert gc.get_freeze_count() > 0
        del second
        daemon._poll()  # noqa: SLF001 - as above
        assert stands() is None, "it had been set aside"
    finally:
        gc.freeze()  # as each test begins


def test_a_stop_is_no_failure_and_mends_none(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    told = []
    for error in (StoppedError("the daemon is ending"), OSError("no answer"), StoppedError("the daemon is ending")):
        monkeypatch.setattr("auditor.scan.probe", raising(error))
        for _ in range(3):
            daemon._probe()  # noqa: SLF001 - what its timer calls
        told.append((daemon.failing(), sum(one.turns for one in daemon.faults().values())))
    assert told == [((), 0), (("probe",), 3), (("probe",), 3)]


def test_what_fails_goes_on_failing_when_a_config_is_read_anew(worlds: Worlds, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("auditor.scan.poll", raising(LedgerError("gone")))
    monkeypatch.setattr("auditor.sweeping.sweep_all", raising(LedgerError("gone")))
    parts, inherited, told = parts_of(worlds, lambda: None), None, []
    for _ in range(4):  # as where SIGHUP is sent oftener than anything can be found to hang
        made = Daemon(parts, Schedule(key_poll=60), lambda: worlds.ticks, inherited)
        made._scheduler.start(paused=True)  # noqa: SLF001 - else the machine's own clock would have a say
        made._watch.start()  # noqa: SLF001 - as `start` does
        told.append((made.failing(), made.loops_alive()["key_poll"]))
        made._poll()  # noqa: SLF001 - what its timer calls
        if inherited is None:
            made._sweep()  # noqa: SLF001 - as above
        worlds.pass_by(350)
        assert made.stop()
        inherited = made.handed_on()
        assert inherited.sweeping, "the config may have been the fault"
    assert told == [((), True), ((), True), ((), True), (("key_poll",), False)]


@pytest.mark.parametrize("reloads", [0, 1, 2])
def test_who_has_waited_for_long_owes_no_turn_of_that_time(
    worlds: Worlds, monkeypatch: pytest.MonkeyPatch, reloads: int
) -> None:
    may_end = threading.Event()
    monkeypatch.setattr(Daemon, "_judge", lambda _: may_end.wait(WITHIN))
    made = Daemon(parts_of(worlds, lambda: None), Schedule(sweep="0 0 1 1 *"), lambda: worlds.ticks)
    worlds.pass_by(48 * 3600)
    for _ in range(reloads):  # as where SIGHUP reaches a standby
        made = Daemon(made._parts, Schedule(sweep="0 0 1 1 *"), lambda: worlds.ticks, made.handed_on())  # noqa: SLF001 - as they are
        worlds.pass_by(48 * 3600)
    made.start()
    assert made.loops_alive() == {"key_poll": True, "sweep": True}
    may_end.set()
    assert made.stop()


def test_the_interval_between_two_polls_is_told_by_the_ticks(
    daemon: Daemon, worlds: Worlds, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[timedelta] = []

    def poll(*_: Any, interval: timedelta, **__: Any) -> object:
        told.append(interval)
        return NOTHING_FOUND

    monkeypatch.setattr("auditor.scan.poll", poll)
    for jump in (0, -2, 5):
        daemon._poll()  # noqa: SLF001 - what its timer calls
        worlds.pass_by(90)
        worlds.wall += jump * HOUR
    assert [one.total_seconds() for one in told] == [60, 90, 90]


def as_swept(
    left_out: tuple[Population, ...] | None = (),
    layout: str | None = "{org}/",
    made_by: str | None = "1.0 http://a",
    *,
    years: int = 0,
    ended: int | None = None,
    complete: bool = True,
) -> SimpleNamespace:
    how = SimpleNamespace(bucket="gs://data", left_out=left_out, layout=layout, made_by=made_by)
    how.started, how.ended = (
        datetime.now(UTC) - timedelta(days=366 * ago) for ago in (years, years if ended is None else ended)
    )
    how.complete = complete
    return how


EVERY, THAT_ONE = frozenset[str](), frozenset({"gs://data"})
SWEPT: dict[str, tuple[tuple[SimpleNamespace, ...], set[str], frozenset[str] | None]] = {
    "never": ((), set(), THAT_ONE),
    "as the config asks": ((as_swept(),), set(), None),
    "and was due since": ((as_swept(years=1),), set(), EVERY),
    "and failed when it was due": ((as_swept(years=1), as_swept(complete=False)), set(), None),
    "and failed again, gone on with": ((as_swept(years=2), as_swept(years=1, ended=0, complete=False)), set(), None),
    "to an end behind the next that was due": ((as_swept(years=1, ended=0),), set(), None),
    "to an end by a clock that was ahead": ((as_swept(years=1, ended=-1),), set(), EVERY),
    "and failed by a clock that was ahead": ((as_swept(years=1), as_swept(years=-1, complete=False)), set(), EVERY),
    "by a clock that was ahead": ((as_swept(years=-1),), set(), None),
    "by an older version, which did not say how": ((as_swept(None, None, None),), set(), None),
    "without what the config asks for": ((as_swept((Population.NONCURRENT,)),), set(), THAT_ONE),
    "by another layout": ((as_swept(layout="{namespace}/"),), set(), THAT_ONE),
    "at another endpoint": ((as_swept(made_by="1.0 http://b"),), set(), THAT_ONE),
    "and its inventory is damaged": ((as_swept(),), {"gs://data"}, THAT_ONE),
}


@pytest.mark.parametrize(("sweeps", "unusable", "at_once"), SWEPT.values(), ids=SWEPT)
def test_a_bucket_that_was_not_swept_as_the_config_asks_is_swept_at_once(
    worlds: Worlds,
    monkeypatch: pytest.MonkeyPatch,
    sweeps: tuple[SimpleNamespace, ...],
    unusable: set[str],
    at_once: frozenset[str] | None,
) -> None:
    swept, polled = threading.Event(), threading.Event()
    told: list[frozenset[str]] = []

    def sweep(_parts: object, _progress: object, only: frozenset[str]) -> None:
        told.append(only)
        swept.set()

    def poll(*_: Any, **__: Any) -> object:
        polled.set()
        return NOTHING_FOUND

    monkeypatch.setattr("auditor.sweeping.sweep_all", sweep)
    monkeypatch.setattr("auditor.scan.poll", poll)
    parts = SimpleNamespace(
        clock=lambda: worlds.wall,
        skew=timedelta,
        buckets=("gs://data",),
        is_keys_only=False,
        left=frozenset(),
        sources=(SimpleNamespace(url="gs://data", left_out=(), endpoint="http://a"),),
        probing=NO_PROBES,
        handed=(),
        config_digest="mine",
        ledger=SimpleNamespace(
            sweeps=lambda: [one for one in sweeps if one.complete],
            failed_attempts=lambda: [one for one in sweeps if not one.complete],
            judgement=lambda: None,
            follow=lambda: NOTHING_TOLD,
        ),
        inventory=SimpleNamespace(layout=lambda _: "{org}/", unusable=lambda _: unusable),
    )
    made = Daemon(cast("Parts", parts), Schedule(sweep="0 0 1 1 *"))
    made.start()
    assert (swept if at_once is not None else polled).wait(10)
    assert made.stop()
    assert told == ([at_once] if at_once is not None else [])
    assert made._only == frozenset(), "of all the next time"  # noqa: SLF001 - what a timer would call takes a day


def test_a_daemon_says_once_that_somebody_judged_by_another_config(
    worlds: Worlds, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    last = [judged_by("mine")]
    parts = parts_of(worlds, lambda: last[0])
    monkeypatch.setattr("auditor.scan.poll", lambda *_, **__: judged_by("mine"))

    def turn(loops: Daemon, before: str) -> bool:
        last[0] = judged_by(before)
        caplog.clear()
        loops._poll()  # noqa: SLF001 - what its timer calls
        return "made by another config" in caplog.text

    made = Daemon(parts, Schedule(), lambda: worlds.ticks)
    found = [turn(made, one) for one in ("mine", "other", "other", "mine", "other", "third", "third")]
    assert found == [False, True, False, False, False, True, False]

    # What the one before was judged by is no news after SIGHUP; that somebody goes on by it is.
    old = Inherited({}, None, None, sweeping=False, config="old")
    after = Daemon(parts, Schedule(), lambda: worlds.ticks, old)
    assert [turn(after, one) for one in ("old", "mine", "old", "old")] == [False, False, True, False]
    assert after.handed_on().config == "mine"
