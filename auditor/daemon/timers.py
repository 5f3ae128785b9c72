"""The daemon's loops: sweep, poll, probes and reports, each on its timer, and one for each feed of events."""

import contextlib
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from apscheduler.events import EVENT_JOB_MAX_INSTANCES, JobSubmissionEvent
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.interval import IntervalTrigger

from auditor import garbage, run, scan, sweeping
from auditor.config import Schedule
from auditor.daemon.detecting import Detections
from auditor.daemon.due import AtOnce
from auditor.daemon.loops import Fault, Health, StoppedError, Turn, WallClock, Watch
from auditor.errors import AuditorError, LedgerError
from auditor.feeds.feeding import Listener, Memory
from auditor.feeds.silence import Ear, alone
from auditor.findings import Judgement
from auditor.model import Gap, KeyName, Sweep
from auditor.overtaking import Lane
from auditor.ownership.spelling import EACH_ITS_OWN, Spelling, spelling_by
from auditor.ports import Asking, Feed, Follower, Keeping
from auditor.run import Parts
from auditor.skew import plausible
from auditor.telling import bundles, lines

_log = logging.getLogger(__name__)

_LAST_WORDS: Final = timedelta(seconds=6)
"""How long a stop waits for running jobs; together with the web server's end it stays below ten seconds."""
_PROBES_EACH: Final = 60
"""Seconds between two rounds of probes."""
_UPLOADS_EACH: Final = 300
"""Seconds between two looks whether reports wait to be uploaded; a new one is at once."""
_REPORT_AGAIN: Final = timedelta(hours=1)
"""After a report that could not be kept, unless one is due before."""
_HUNG_AFTER_INTERVALS: Final = 10
_SWEEP_HUNG_AFTER: Final = timedelta(hours=1)
"""Without one object more; a first sweep may take days."""
_PROBES_HUNG_AFTER: Final = timedelta(hours=1)
_REPORT_HUNG_AFTER: Final = timedelta(hours=1)
_LOOKS_APART: Final = 0.2
"""Seconds between two looks whether a poll that runs can be overtaken by now."""
_GIVEN_UP_AFTER: Final = timedelta(hours=24)
_POLL_GIVEN_UP_AFTER: Final = timedelta(minutes=45)
"""Without one answer more, or ten intervals where that is longer: a poll of tens of thousands of keys takes hours at
its share of the quotas, and one may wait for half an hour until another one lets the ledger go."""


@dataclass(frozen=True, slots=True)
class Inherited:
    """What loops know that others go on with."""

    swept: Mapping[tuple[str, str], int]
    """As `Daemon.swept_objects` tells it."""
    last_poll: float | None
    """When keys were polled last, by the clock of the loops."""
    told: Follower | None
    """How far the log knows what judgements found."""
    sweeping: bool
    """Whether a sweep was broken off, or was due."""
    config: str | None = None
    """Digest of theirs."""
    feeds: Mapping[str, Memory] = field(default_factory=dict)
    """What each feed has told, by its name."""
    detections: Detections = field(default_factory=Detections)
    health: Health = field(default_factory=Health)


class Daemon:
    """Sweeps and polls on their timers until it is stopped; the two never wait for each other."""

    def __init__(
        self,
        parts: Parts,
        schedule: Schedule,
        ticks: Callable[[], float] = time.monotonic,
        inherited: Inherited | None = None,
        *,
        feeds: Iterable[tuple[str, Feed]] = (),
        reports: Keeping | None = None,
        answered: Callable[[], int] = lambda: 0,
    ) -> None:
        """Plan the loops; `inherited`: of the stopped ones of another config, whose place these take.

        `feeds`: each with the account or project whose keys it tells of. `reports`: what keeps them, where the schedule
        asks for any. `answered`: how many answers polls have had so far.
        """
        self._parts = parts
        self._interval = timedelta(seconds=schedule.key_poll)
        self._stopping = threading.Event()
        self._judging = threading.Lock()
        self._lane = Lane()
        self._begun = self._ended = 0
        """How many polls of all keys began, and the number of the one that was kept last."""
        self._ticks = ticks
        self._wall_clock = WallClock(parts.clock, ticks)
        self._counting = threading.Lock()
        before = inherited or Inherited({}, None, None, sweeping=False)
        self._watch = Watch(ticks, before.health)
        self._swept = Counter({at: some for at, some in before.swept.items() if at[0] in parts.buckets})
        self._last_poll = before.last_poll
        self._told = before.told
        self._known: Judgement | None = None
        self._taken_over = before.config
        self._other_configs: set[str] = set()
        self.detections = before.detections
        self._owes_sweep = before.sweeping
        self._only: frozenset[str] = frozenset()
        """Buckets that the next sweep is of; none: of all."""
        self._unconfigured: int | Gap | None = None
        self._lost: frozenset[str] = frozenset()
        self._answered = answered
        self._answers = 0
        self._overtaken = False
        """Whether a few keys are being asked beside a poll of all, one such poll at a time."""
        self._spelt: tuple[Judgement | None, Spelling] | None = None
        self._needed: frozenset[KeyName] | None = None
        self._effective = self._interval
        self._listeners = tuple(
            Listener(
                feed,
                owner,
                self,
                clock=self._now,
                ticks=ticks,
                memory=before.feeds.get(feed.name),
            )
            for owner, feed in feeds
        )
        self._scheduler = BackgroundScheduler(timezone=UTC)
        # Its own lines come with every turn that was due, and name our methods.
        logging.getLogger("apscheduler.scheduler").setLevel(logging.ERROR)
        self._scheduler.add_listener(self._tell_late, EVENT_JOB_MAX_INSTANCES)
        # One run at a time: what comes due while one runs is left out, and what was missed is made up for by one.
        rules = {"max_instances": 1, "coalesce": True, "misfire_grace_time": None}
        self._scheduler.add_job(
            self._sweep, AtOnce(CronTrigger.from_crontab(schedule.sweep, timezone=UTC)), id="sweep", **rules
        )
        if parts.probing.reads or parts.probing.dry_runs:
            self._scheduler.add_job(self._probe, AtOnce(IntervalTrigger(seconds=_PROBES_EACH)), id="probe", **rules)
        self._scheduler.add_job(self._poll, AtOnce(IntervalTrigger(seconds=schedule.key_poll)), id="key_poll", **rules)
        self._reports = reports if schedule.report is not None else None
        if schedule.report is not None and reports is not None:
            self._scheduler.add_job(
                self._report, AtOnce(CronTrigger.from_crontab(schedule.report, timezone=UTC)), id="report", **rules
            )
        if self._uploads:
            self._scheduler.add_job(self._upload, AtOnce(IntervalTrigger(seconds=_UPLOADS_EACH)), id="upload", **rules)

    @property
    def _uploads(self) -> bool:
        return self._reports is not None and self._reports.uploads

    def start(self) -> None:
        """Start the timers; keys are polled at once, and each bucket swept that never was as the config asks.

        All are where a sweep was broken off for this config's sake, failed by the one before, or was due while nobody
        worked. A report that was due or failed so is made up for, behind the first poll.

        Raises:
            LedgerError: which sweeps there are cannot be read; nothing was started.
        """
        now = datetime.now(UTC)
        wanting = scan.wanting(self._parts)
        owes_sweep = self._owes_sweep or self._missed("sweep", scan.tried(self._parts, now), now)
        owes_report = self._owes_report(now) or "report" in self.faults()
        # One that can never be listed costs no sweep of all the others at each start.
        self._only = frozenset() if owes_sweep else wanting
        self._watch.start()
        self._scheduler.start()
        if owes_sweep or wanting:
            self._scheduler.modify_job("sweep", next_run_time=now)
        if owes_report:
            self._scheduler.modify_job("report", next_run_time=now + self._interval)
        if self._uploads:
            self._scheduler.modify_job("upload", next_run_time=now + self._interval)
        self._scheduler.modify_job("key_poll", next_run_time=now)
        for one in self._listeners:
            # One that hangs in a request must not keep the process from ending.
            threading.Thread(target=one.run, args=(self._watch, self._stopping), daemon=True, name=one.loop).start()

    def stop(self) -> bool:
        """Stop the timers and wait a little for running jobs; False when one still runs."""
        self._owes_sweep = self._is_sweeping() or "sweep" in self._watch.faults()
        self._stopping.set()
        self._scheduler.pause()
        deadline = self._ticks() + _LAST_WORDS.total_seconds()
        loops = (*self._loops(), *self._heard_by())
        while self._ticks() < deadline and any(self._watch.running_for(one) for one in loops):
            threading.Event().wait(0.05)
        done = not any(self._watch.running_for(one) for one in loops)
        self._scheduler.shutdown(wait=False)
        return done

    def handed_on(self) -> Inherited:
        """What those that take the place of these go on with; after `stop`."""
        feeds = {one.name: one.memory for one in self._listeners}
        return Inherited(
            self.swept_objects(),
            self._last_poll,
            self._told,
            sweeping=self._owes_sweep,
            config=self._parts.config_digest,
            feeds=feeds,
            detections=self.detections,
            health=self._watch.health(self._loops()),
        )

    def _owes_report(self, now: datetime) -> bool:
        try:
            newest = self._reports.newest(now) if self._reports is not None else None
        except AuditorError:
            return True  # whatever it is, the turn will tell it
        return self._missed("report", newest, now)

    def _missed(self, loop: str, last: datetime | None, now: datetime) -> bool:
        """Whether a turn was due since the last one; where none is known, there is nothing to make up for."""
        if last is None:
            return False
        due = self._scheduler.get_job(loop).trigger.get_next_fire_time(None, last + timedelta(seconds=1))
        return due is not None and due <= now

    def _tell_late(self, event: JobSubmissionEvent) -> None:
        """Say once that turns take longer than from one to the next; again only after one that did not."""
        if self._watch.is_late(event.job_id):
            _log.warning(
                "a turn of %s takes longer than until the next one is due: those that come due meanwhile are left out",
                event.job_id,
            )

    def _is_sweeping(self) -> bool:
        job = self._scheduler.get_job("sweep")
        is_due = job.next_run_time is not None and job.next_run_time <= datetime.now(UTC)
        return is_due or bool(self._watch.running_for("sweep"))

    def loops_alive(self) -> Mapping[str, bool]:
        """Loop -> whether its turns come to an end and, where they are regular, one ended well not too long ago."""
        every = (*self._loops(), *self._heard_by())
        return {loop: self._scheduler.running and self._quiet_for(loop) < self._limit(loop) for loop in every}

    def hung(self) -> tuple[str, ...]:
        """Loops whose present turn has not got on for so long that it never will: threads cannot be ended."""
        if not self._overtaken:
            self._mind_the_answers()
        return tuple(loop for loop in self._loops() if self._watch.running_for(loop) >= self._given_up_after(loop))

    def _mind_the_answers(self) -> None:
        answers = self._answered()
        if answers != self._answers:
            self._answers = answers
            self._watch.moves("key_poll")

    @contextlib.contextmanager
    def _beside_a_poll(self) -> Iterator[None]:
        """Let keys be asked beside a poll of all; what they answer meanwhile is no sign that that one gets on."""
        self._mind_the_answers()
        self._overtaken = True
        try:
            yield
        finally:
            self._answers = self._answered()
            self._overtaken = False

    def _given_up_after(self, loop: str) -> timedelta:
        if loop == "key_poll":
            return max(_POLL_GIVEN_UP_AFTER, _HUNG_AFTER_INTERVALS * self._interval)
        return _GIVEN_UP_AFTER

    def failing(self) -> tuple[str, ...]:
        """Loops whose last turns, three in a row, all failed; feeds and uploads apart: polls go on without them."""
        return tuple(loop for loop in self._loops() if loop != "upload" and self._watch.failing(loop))

    def faults(self) -> Mapping[str, Fault]:
        """The loops whose last turn failed; how feeds fail their ears tell."""
        found = self._watch.faults()
        return {loop: found[loop] for loop in self._loops() if loop in found}

    def mind_the_clock(self) -> None:
        """Plan all turns anew when the wall clock was set: the timers run on it, and might wait for hours."""
        jump = self._wall_clock.jumped()
        if not jump:
            return
        _log.warning("the clock was set by %+.0f s; all loops are planned anew", jump.total_seconds())
        now = self._parts.clock()
        for loop in self._loops():
            if loop not in {"sweep", "report"}:
                self._scheduler.modify_job(loop, next_run_time=now)
                continue
            # A sweep costs too much to be made at every jump, and a report is of a day. What a jump ahead has made due
            # stays due, and is not touched: the scheduler may just be at it, and would begin it once more.
            job = self._scheduler.get_job(loop)
            planned, again = job.next_run_time, job.trigger.get_next_fire_time(None, now)
            if again is not None and (planned is None or again < planned):
                self._scheduler.modify_job(loop, next_run_time=again)

    def _quiet_for(self, loop: str) -> timedelta:
        running = self._watch.running_for(loop)
        # Between two sweeps there may be days: the schedule says how many. A feed that fails has a finding, and uploads
        # that do have an alert.
        if loop in {"sweep", "report", "upload", *self._heard_by()}:
            return running
        return max(running, self._watch.since_success(loop))

    def _limit(self, loop: str) -> timedelta:
        match loop:
            case "sweep":
                return _SWEEP_HUNG_AFTER
            case "probe":
                return _PROBES_HUNG_AFTER
            case "report" | "upload":
                return _REPORT_HUNG_AFTER
            case _:
                return _HUNG_AFTER_INTERVALS * self._interval + timedelta(minutes=5)

    def _loops(self) -> tuple[str, ...]:
        probing = self._parts.probing.reads or self._parts.probing.dry_runs
        more = (*(["probe"] if probing else []), *(["report"] if self._reports is not None else []))
        more = (*more, *(["upload"] if self._uploads else []))
        return ("key_poll", "sweep", *more)

    def _heard_by(self) -> tuple[str, ...]:
        """The loops that listen to feeds; no timer makes their turns."""
        return tuple(one.loop for one in self._listeners)

    def polled_alone(self) -> int | None:
        """How many needed keys are of accounts and projects without a feed; None before the first poll.

        None as well where nobody knows that of one that names its project by the number.
        """
        needed = self._needed
        if needed is None:
            return None
        told = alone(needed, self.ears(), EACH_ITS_OWN)
        if told is None:
            # What keys said of their names is asked for only where it matters.
            with contextlib.suppress(LedgerError):
                return alone(needed, self.ears(), self._spelling())
        return told

    def _spelling(self) -> Spelling:
        """What keys said of their names, as of the newest judgement; the ledger is asked for it once a judgement."""
        known, kept = self._known, self._spelt
        if kept is None or kept[0] is not known:
            kept = self._spelt = known, spelling_by(self._parts.ledger.memory())
        return kept[1]

    def ears(self) -> tuple[Ear, ...]:
        """How each feed is listened to."""
        return tuple(one.ear() for one in self._listeners)

    def sweeping(self, at: run.Headway) -> None:
        """Break a sweep off when the loops are ending.

        Raises:
            StoppedError: they are.
        """
        if self._stopping.is_set():
            raise StoppedError(f"sweep of {at.bucket} broken off: its loops are ending")
        self._watch.get_on("sweep")  # however long it may be

    def swept(self, sweep: Sweep) -> None:
        """Log one bucket's end, and count its objects."""
        if sweep.complete:
            with self._counting:
                self._swept[sweep.bucket, "resolved"] += sweep.resolved
                self._swept[sweep.bucket, "unresolved"] += sweep.unresolved
            _log.info("swept %s: %d objects, %d unresolved", sweep.bucket, sweep.listed, sweep.unresolved)
        else:
            _log.warning("sweep of %s did not finish: %s", sweep.bucket, sweep.gaps[-1].effect)

    def swept_objects(self) -> Mapping[tuple[str, str], int]:
        """(bucket, `resolved` or `unresolved`) -> objects that complete sweeps of this process have listed."""
        with self._counting:
            return dict(self._swept)

    def polling(self, needed: int) -> None:
        """Break a poll off when the loops are ending: what it waited for may have been by another config.

        Raises:
            StoppedError: they are.
        """
        if self._stopping.is_set():
            raise StoppedError(f"poll of {needed} keys broken off: its loops are ending")

    def polled(self, read: int, of: int, needed: Collection[KeyName]) -> None:
        """Log one poll and keep which keys are needed; break it off when the loops end: their successors poll at once.

        Raises:
            StoppedError: they are.
        """
        self.polling(len(needed))
        if not self._overtaken:  # else it is the few that are asked beside it
            self._watch.moves("key_poll")
        _log.debug("polled %d of %d keys", read, of)
        self._needed = frozenset(needed)

    def needed(self) -> frozenset[KeyName] | None:
        """All keys that the newest poll of these loops found needed; None before the first."""
        return self._needed

    def follow(self, keys: frozenset[KeyName]) -> None:
        """Poll these keys now, or all where there are none: all of them after a poll that runs, a few beside it.

        A poll of all that begins meanwhile is as good: however many ask for one, one is made.

        Raises:
            StoppedError: the loops are ending.
        """
        begun = self._begun
        while self._ended <= begun:
            self.polling(len(keys))
            if keys and self._lane.overtake(keys, lambda: self._overtake(keys)):
                break
            if self._judging.acquire(timeout=_LOOKS_APART):
                try:
                    self._judged(keys)
                finally:
                    self._judging.release()
                break
        garbage.tidy()

    def _overtake(self, keys: frozenset[KeyName]) -> None:
        with self._beside_a_poll():
            self._judged(keys, overtakes=True)

    def probed(self, made: int, chosen: int) -> None:
        """Log one round of probes, and break it off when the loops are ending.

        Raises:
            StoppedError: they are.
        """
        if self._stopping.is_set():
            raise StoppedError("probing broken off: its loops are ending")
        if made:
            self._watch.get_on("probe")  # however long the round may be
        if made == chosen:
            _log.debug("made %d probes in this round", made)

    def asking(self, at: Asking) -> None:
        """Break the asking of a registry off when the loops are ending.

        Raises:
            StoppedError: they are.
        """
        if self._stopping.is_set():
            raise StoppedError(f"asking of {at.registry} broken off: its loops are ending")
        self._watch.get_on("sweep")  # which asks the registries of its buckets

    def _sweep(self) -> None:
        with Turn(self._watch, "sweep"):
            only, self._only = self._only, frozenset()
            self._unconfigured = sweeping.sweep_all(self._parts, self, only)
            self._judge()

    def _poll(self) -> None:
        with Turn(self._watch, "key_poll"):
            self._judge()

    def _probe(self) -> None:
        with Turn(self._watch, "probe"):
            scan.probe(self._parts, self)

    def _report(self) -> None:
        if self._reports is not None:
            with Turn(self._watch, "report"):
                self._reports.keep()
            if not self._stopping.is_set():
                self._after_a_report(datetime.now(UTC))
            garbage.tidy()

    def _after_a_report(self, now: datetime) -> None:
        if "report" in self._watch.faults():
            # The next one may be due in a day, and whatever it was may be over in a minute.
            again = self._scheduler.get_job("report").next_run_time, now + _REPORT_AGAIN
            self._scheduler.modify_job("report", next_run_time=min(filter(None, again)))
        elif self._uploads:
            self._scheduler.modify_job("upload", next_run_time=now)

    def _upload(self) -> None:
        if self._reports is not None:
            with Turn(self._watch, "upload"):
                self._reports.upload(self._uploading)

    def _uploading(self) -> None:
        """Break uploads off when the loops are ending: their successors may put them elsewhere, or nowhere.

        Raises:
            StoppedError: they are.
        """
        if self._stopping.is_set():
            raise StoppedError("uploads broken off: their loops are ending")
        self._watch.moves("upload")  # however many there may be

    def _judge(self) -> None:
        with self._judging:
            self._watch.moves("key_poll")  # what it waited for was not its own
            self._mind_other_configs(self._parts.ledger.judgement())
            self._mind_the_inventory(self._judged())
        garbage.tidy()

    def _mind_the_inventory(self, judgement: Judgement) -> None:
        """Sweep at once where what a sweep has written is gone; once for each loss, as a sweep may fail as well."""
        blind = [one for one in judgement.coverage.buckets if not one.complete and one.last_attempt_failed is not None]
        lost = frozenset(scan.usable(self._parts)[1]) if blind else frozenset()
        if lost <= self._lost:
            self._lost = lost
        elif not self._is_sweeping():
            _log.warning(
                "the inventory of %s is damaged or gone, though the ledger knows a whole sweep of it: all is swept now",
                ", ".join(sorted(lost)),
            )
            self._lost = lost
            self._scheduler.modify_job("sweep", next_run_time=datetime.now(UTC))

    def _judged(self, only: frozenset[KeyName] = frozenset(), *, overtakes: bool = False) -> Judgement:
        began = self._ticks()
        if not only:
            self._begun += 1
        if not only and self._last_poll is not None:
            self._effective = max(timedelta(seconds=began - self._last_poll), self._interval)
        # What an earlier process found is not new after a restart.
        self._told = self._told or self._parts.ledger.follow()
        self._known = self._known or self._parts.ledger.judgement()
        judgement = scan.poll(
            self._parts,
            self,
            only,
            unconfigured=self._unconfigured,
            interval=self._effective,
            ears=self.ears(),
            strict=False,
            lane=self._lane,
            overtakes=overtakes,
        )
        if not only:
            self._last_poll, self._ended = began, self._begun
        # Another poll may have overtaken this one, and told what it found.
        before = self._known
        lines.tell(self._told.turns())
        bundles.announce(before, judgement, {one.source.name for one in self._parts.handed})
        if before is not None or judgement.findings:
            self.detections.judged(before.findings if before is not None else (), judgement.findings, self._now())
        self._known = judgement  # at last: what could not be told now is told with the next one
        return judgement

    def _now(self) -> datetime:
        """What the clouds' clocks say."""
        return self._parts.clock() + plausible(self._parts.skew())

    def _mind_other_configs(self, last: Judgement | None) -> None:
        """Say once of each other config that somebody judges by it beside this daemon: each undoes the other."""
        digest = last.run.config_digest if last is not None else self._parts.config_digest
        if digest not in {self._parts.config_digest, self._taken_over, *self._other_configs}:
            self._other_configs.add(digest)
            _log.warning(
                "the judgement before was made by another config; if that one is newer, send SIGHUP to this process"
            )
        # That the one whose place this one takes was judged by is no news, but once only.
        self._taken_over = None
