"""The daemon: the timer of sweep and poll, the signals, the web server beside them."""

import logging
import os
import signal
import socket
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

import uvicorn
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.interval import IntervalTrigger
from starlette.applications import Starlette

from auditor import scan
from auditor.config import Schedule
from auditor.errors import AuditorError
from auditor.model import Gap, Sweep
from auditor.scan import Parts

_log = logging.getLogger(__name__)

_LAST_WORDS: Final = timedelta(seconds=6)
"""How long a stop waits for running jobs; together with the web server's end it stays below ten seconds."""
_PROBES_EACH: Final = 60
"""Seconds between two rounds of probes."""
_HUNG_AFTER_INTERVALS: Final = 10
_SWEEP_HUNG_AFTER: Final = timedelta(hours=24)
_PROBES_HUNG_AFTER: Final = timedelta(hours=1)


class StoppedError(AuditorError):
    """The daemon is ending, so a sweep breaks off; the last whole one stays in force."""


class _Watch:
    """When each loop began its present turn and ended its last."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._began: dict[str, datetime] = {}
        self._lock = threading.Lock()

    def begin(self, loop: str) -> datetime:
        with self._lock:
            self._began[loop] = self._clock()
            return self._began[loop]

    def end(self, loop: str) -> None:
        with self._lock:
            self._began.pop(loop, None)

    def running_for(self, loop: str) -> timedelta:
        with self._lock:
            began = self._began.get(loop)
        return self._clock() - began if began else timedelta(0)


class Daemon:
    """Sweeps and polls on their timers until it is stopped; the two never wait for each other."""

    def __init__(self, parts: Parts, schedule: Schedule) -> None:
        self._parts = parts
        self._interval = timedelta(seconds=schedule.key_poll)
        self._stopping = threading.Event()
        self._judging = threading.Lock()
        self._watch = _Watch(parts.clock)
        self._counting = threading.Lock()
        self._swept: Counter[tuple[str, str]] = Counter()
        self._last_poll: datetime | None = None
        self._unconfigured: int | Gap | None = None
        self._scheduler = BackgroundScheduler(timezone=UTC)
        # Overlapping runs coalesce: one at a time, and what was missed meanwhile is made up for by one run.
        rules = {"max_instances": 1, "coalesce": True, "misfire_grace_time": None}
        self._scheduler.add_job(
            self._sweep, CronTrigger.from_crontab(schedule.sweep, timezone=UTC), id="sweep", **rules
        )
        if parts.probing.reads or parts.probing.dry_runs:
            self._scheduler.add_job(self._probe, IntervalTrigger(seconds=_PROBES_EACH), id="probe", **rules)
        self._scheduler.add_job(self._poll, IntervalTrigger(seconds=schedule.key_poll), id="key_poll", **rules)

    def start(self) -> None:
        """Start the timers; buckets that were never swept are swept at once, keys are polled at once."""
        swept = {one.bucket for one in self._parts.ledger.sweeps()}
        now = datetime.now(UTC)
        self._scheduler.start()
        if any(source.url not in swept for source in self._parts.sources):
            self._scheduler.modify_job("sweep", next_run_time=now)
        self._scheduler.modify_job("key_poll", next_run_time=now)

    def stop(self) -> bool:
        """Stop the timers and wait a little for running jobs; False when one still runs."""
        self._stopping.set()
        self._scheduler.pause()
        deadline = datetime.now(UTC) + _LAST_WORDS
        while datetime.now(UTC) < deadline and any(self._watch.running_for(one) for one in self._loops()):
            threading.Event().wait(0.05)
        done = not any(self._watch.running_for(one) for one in self._loops())
        self._scheduler.shutdown(wait=False)
        return done

    def loops_alive(self) -> Mapping[str, bool]:
        """Loop -> whether its timer ticks and its present turn is not hung."""
        limits = {
            "key_poll": _HUNG_AFTER_INTERVALS * self._interval + timedelta(minutes=5),
            "sweep": _SWEEP_HUNG_AFTER,
            "probe": _PROBES_HUNG_AFTER,
        }
        return {
            loop: self._scheduler.running and self._watch.running_for(loop) < limits[loop] for loop in self._loops()
        }

    def _loops(self) -> tuple[str, ...]:
        probing = self._parts.probing.reads or self._parts.probing.dry_runs
        return ("key_poll", "sweep", "probe") if probing else ("key_poll", "sweep")

    def sweeping(self, bucket: str, listed: int, expected: int | None) -> None:  # noqa: ARG002 - the port's shape
        """Break a sweep off when the daemon is ending.

        Raises:
            StoppedError: it is.
        """
        if self._stopping.is_set():
            raise StoppedError(f"sweep of {bucket} broken off: the daemon is ending")

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

    def polled(self, read: int, needed: int) -> None:
        """Log one poll."""
        _log.debug("polled %d of %d keys", read, needed)

    def probed(self, made: int, chosen: int) -> None:
        """Log one round of probes, and break it off when the daemon is ending.

        Raises:
            StoppedError: it is.
        """
        if self._stopping.is_set():
            raise StoppedError("probing broken off: the daemon is ending")
        if made == chosen:
            _log.debug("probed %d keys in use", made)

    def _sweep(self) -> None:
        with _Turn(self._watch, "sweep"):
            self._unconfigured = scan.sweep_all(self._parts, self)
            self._judge()

    def _poll(self) -> None:
        with _Turn(self._watch, "key_poll"):
            self._judge()

    def _probe(self) -> None:
        with _Turn(self._watch, "probe"):
            scan.probe(self._parts, self)

    def _judge(self) -> None:
        with self._judging:
            began = self._parts.clock()
            interval = began - self._last_poll if self._last_poll else self._interval
            scan.poll(self._parts, self, unconfigured=self._unconfigured, interval=max(interval, self._interval))
            self._last_poll = began


class _Turn:
    """One turn of a loop: it is timed, and whatever it raises is logged and ends the turn, not the loop."""

    def __init__(self, watch: _Watch, loop: str) -> None:
        self._watch = watch
        self._loop = loop

    def __enter__(self) -> None:
        self._watch.begin(self._loop)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _trace: object) -> bool:
        self._watch.end(self._loop)
        if isinstance(error, StoppedError):
            _log.info("%s", error)
        elif isinstance(error, AuditorError):
            _log.error("%s failed: %s%s", self._loop, error, f"; {error.hint}" if error.hint else "")
        elif error is not None:
            _log.error("%s failed: %s: %s", self._loop, type(error).__name__, error)
        return isinstance(error, Exception)


def serve(daemon: Daemon, app: Starlette, listen: str, started: Callable[[str], None]) -> bool:
    """Run the daemon and the web server until SIGTERM or SIGINT; `started` is told the address.

    Returns:
        False when a job still ran at the end: the caller ends the process without waiting for it.

    Raises:
        AuditorError: the address cannot be listened on.
    """
    host, _, port = listen.rpartition(":")
    server = uvicorn.Server(
        uvicorn.Config(app, log_config=None, access_log=False, server_header=False, timeout_graceful_shutdown=2)
    )
    listener = _listener(host.strip("[]"), int(port))
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    # In a thread of its own, so that the signals stay ours.
    web = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True, name="web")
    web.start()
    daemon.start()
    started(f"http://{_address(listener)}")
    while not stop.wait(1.0):
        if not web.is_alive():
            raise AuditorError(f"the web server on {listen} ended by itself", "look at the log lines before this one")
    _log.info("stopping")
    done = daemon.stop()
    server.should_exit = True
    web.join(timeout=3)
    return done


def leave(*, at_once: bool) -> None:
    """End the process without waiting for a thread that hangs in a request; what it wrote is only temporary."""
    if at_once:
        os._exit(0)


def _listener(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise AuditorError(
            f"cannot listen on {host}:{port}: {error.strerror}", "choose another port in [web] listen"
        ) from None
    listener.listen(128)
    return listener


def _address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
