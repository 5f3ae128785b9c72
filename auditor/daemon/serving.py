"""The process of `serve`: loops and pages of one config, until another takes its place."""

import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from math import nan
from pathlib import Path
from typing import Final

from starlette.applications import Starlette
from starlette.types import Receive, Scope, Send

from auditor import log
from auditor.config import Config, load
from auditor.daemon.keeping import Keeper
from auditor.daemon.leading import Leadership
from auditor.daemon.listening import Answering, make_server, open_listener, raise_file_limit
from auditor.daemon.loops import Health, answers_of_polls
from auditor.daemon.timers import Daemon
from auditor.daemon.tls import Certificate
from auditor.errors import AuditorError, LedgerError, UsageError
from auditor.executors import crew_of
from auditor.outputs import metrics
from auditor.ownership.registering import ready
from auditor.ports import LogStanding
from auditor.reporting import content_of, demands
from auditor.shelf import Shelf
from auditor.telling.sending import Sender
from auditor.web.app import make_app
from auditor.web.doors import hosts_of, logins_of
from auditor.web.logins import Logins
from auditor.web.readings import Loaded, Readings
from auditor.wiring import Assembly, assemble

_log = logging.getLogger(__name__)

_LAST_ENTRY: Final = 1.0
"""Seconds that a stop waits for a request to our own log: together with the loops it stays below ten."""
_PATIENCE: Final = 2.0
"""Seconds in which threads may still end, once all else has."""
_LOOK_AGAIN: Final = 60
"""Seconds until the certificate's files are looked at again."""


class Serving:
    """The loops and the pages of one config; another one takes their place as a whole, or not at all."""

    def __init__(
        self, path: Path, config: Config, assembly: Assembly, leadership: Leadership, *, verbose: bool = False
    ) -> None:
        self._path = path
        self._config = config
        self._assembly = assembly
        self._verbose = verbose
        self._loaded = _loaded(config)
        self._leadership = leadership
        self._loops = Daemon(
            *(assembly.parts, config.schedule),
            feeds=assembly.feeds,
            reports=self._keeper(),
            answered=self._answered,
        )
        self._sender = assembly.sender(None)
        self._works = False
        self._waits = False
        """Whether a reload waits for the ledger."""
        web = config.web
        self.certificate = Certificate(web.tls_cert, web.tls_key) if web.tls_cert and web.tls_key else None
        self._logins = logins_of(web)
        self._app = self._made()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request by the config that counts now."""
        await self._app(scope, receive, send)

    def _made(self) -> Starlette:
        hosts = hosts_of(self._config.web, self.certificate.names if self.certificate else None)
        sender = self._sender
        own_log = (lambda: sender.standing) if sender is not None else (lambda: None)
        shelf = _shelf(self._config)
        read = readings(self._assembly, self._loops, lambda: self._loaded, lambda: self._works, own_log, shelf=shelf)
        return make_app(read, hosts, self._logins)

    @property
    def listen(self) -> str:
        """Address and port to answer on."""
        return self._config.web.listen

    def lead_or_wait(self) -> None:
        """Start the loops where this daemon has come to lead, and stop them where it does no more."""
        self._leadership.look()
        if self._leadership and not self._works:
            self._begin()
        elif self._works and not self._leadership:
            self._rest()
            # How another daemon fares meanwhile nobody knows here.
            self._loops = self._successors(Health())
            self._app = self._made()

    def _begin(self) -> None:
        """Start the loops; where the ledger cannot be read for that, somebody else may try until the next look."""
        try:
            self._loops.start()
        except LedgerError as error:
            _log.error("the loops cannot start, which is tried again: %s", error)
            self._leadership.let_go()
            return
        self._works = True
        if self._sender is not None:
            self._sender.start()
        _log.info("this daemon works")

    def _successors(self, health: Health | None = None) -> Daemon:
        """Loops by the config that counts now, in place of those that were stopped."""
        assembly, inherited = self._assembly, self._loops.handed_on()
        if health is not None:
            inherited = replace(inherited, health=health)
        return Daemon(
            *(assembly.parts, self._config.schedule),
            inherited=inherited,
            feeds=assembly.feeds,
            reports=self._keeper(),
            answered=self._answered,
        )

    def _answered(self) -> int:
        return answers_of_polls(self._assembly.wire.counts())

    def _keeper(self) -> Keeper:
        return Keeper(self._assembly, _shelf(self._config), self._config.report.formats)

    def _rest(self) -> bool:
        """Stop the loops where they run; False when a turn still does."""
        if not self._works:
            return True
        self._works = False
        done = self._loops.stop()
        done = (self._sender is None or self._sender.stop(_LAST_ENTRY)) and done
        if not done:
            _log.warning("a turn of the loops still runs; it ends by itself")
        return done

    def mind_the_loops(self) -> None:
        """Plan all turns anew when the wall clock was set; end where a turn hangs for good.

        Raises:
            AuditorError: one does, and only another process can go on.
        """
        if not self._works:
            return
        self._loops.mind_the_clock()
        if hung := self._loops.hung():
            raise AuditorError(
                f"{', '.join(hung)} has hung for too long, so this process ends; another daemon may work from then on",
                "have it started again by whatever supervises it; the log lines before tell what it did last",
            )

    def stop(self) -> bool:
        """Stop the loops, and let another daemon work; False when one still runs, which then keeps the ledger open."""
        done = self._rest()
        self._leadership.let_go()
        if done:
            self._assembly.close()
        return done

    def mind_the_certificate(self) -> None:
        """Take the certificate anew where it was renewed on disk."""
        if self.certificate is None:
            return
        # One without names is refused here as it is at the start: nobody could call us any more.
        if self.certificate.renew(lambda names: hosts_of(self._config.web, names)):
            self._app = self._made()

    def hung_up(self) -> bool:
        """Read the config anew; False: not yet, as the ledger is silent, and signals would wait for it as well."""
        if self._leadership.answers():
            self._waits = False
            self.lead_or_wait()
            self.reload()
            return True
        if not self._waits:
            _log.warning("the ledger does not answer: the config is read anew as soon as it does")
        self._waits = True
        return False

    def reload(self) -> None:
        """Read the config anew and go on by it; where that cannot be, the one of before stays, and it is told."""
        try:
            config = self._read()
            self.mind_the_certificate()
            # Whatever can be refused comes before anything is changed.
            logins = logins_of(config.web)
            hosts_of(config.web, self.certificate.names if self.certificate else None)
            assembly = self._assembled(config)
            self._take_over(config, assembly, assembly.sender(self._sender), logins)
        except AuditorError as error:
            self._refuse(f"{error}; {error.hint}" if error.hint else str(error))
        except Exception as error:  # noqa: BLE001 - a defect in reading must not end a daemon that works
            self._refuse(f"the auditor itself failed: {type(error).__name__}")

    def _read(self) -> Config:
        config = load(self._path, again=True)
        for what, now, then in (
            ("state", self._config.state, config.state),
            ("ledger", self._config.ledger, config.ledger),
            ("[web] listen", self._config.web.listen, config.web.listen),
            ("[web] tls_cert", self._config.web.tls_cert, config.web.tls_cert),
            ("[web] tls_key", self._config.web.tls_key, config.web.tls_key),
        ):
            if now != then:
                raise UsageError(f"{what} cannot change while the daemon runs", "restart it")
        return config

    def _assembled(self, config: Config) -> Assembly:
        # What was counted, and how far the clouds' clocks are off, goes on, and so does the handle on the ledger.
        assembly = assemble(config, after=self._assembly, crew=crew_of(config, verbose=self._verbose))
        ready(assembly.parts)
        return assembly

    def _take_over(self, config: Config, assembly: Assembly, sender: Sender | None, logins: Logins | None) -> None:
        log.start(json_lines=config.log.json_lines, verbose=self._verbose)
        was_working = self._works
        self._rest()
        self._config, self._assembly, self._sender, self._logins = config, assembly, sender, logins
        self._loaded = _loaded(config)
        self._loops = self._successors()
        self._app = self._made()
        _log.info(
            "the config was read anew: %s, SHA-256 %s, digest of its settings without waivers %s",
            *(self._path, config.file_digest, config.digest),
        )
        if was_working:
            self._begin()

    def _refuse(self, why: str) -> None:
        self._loaded = replace(self._loaded, refused=(datetime.now(UTC), why))
        _log.error("the config was not read anew, and the one of before stays: %s", why)


def _shelf(config: Config) -> Shelf:
    return Shelf(config.state / "reports", config.report.keep)


def _loaded(config: Config) -> Loaded:
    return Loaded(config.digest, datetime.now(UTC), file_digest=config.file_digest)


def readings(
    assembly: Assembly,
    loops: Daemon,
    loaded: Callable[[], Loaded],
    works: Callable[[], bool] = lambda: True,
    own_log: Callable[[], LogStanding | None] = lambda: None,
    *,
    shelf: Shelf | None = None,
) -> Readings:
    """Everything that the web side shows, from the ledger and the inventory of one process."""
    ledger, parts = assembly.ledger, assembly.parts

    def waiting() -> float | None:
        if shelf is None or assembly.uploads is None:
            return None
        with suppress(AuditorError):
            return len(shelf.waiting(assembly.uploads.url))
        return nan  # it is an alert as well

    return Readings(
        judgement=ledger.judgement,
        ended=ledger.ended,
        rows=assembly.rows,
        report=lambda judgement: content_of(assembly, judgement).html(linked=True),
        demands=demands(assembly),
        metrics=metrics.registry(
            metrics.JudgementCollector(
                ledger.judgement,
                assembly.rows,
                assembly.wire.counts,
                loops.swept_objects,
                reloaded=lambda: loaded().refused is None,
                leads=works,
                own_log=own_log,
                rules=tuple((rule.id, rule.severity) for rule in parts.rules),
                version=(parts.version, parts.rules_version),
                ears=loops.ears,
                latencies=loops.detections.latencies,
                waiting=waiting,
            )
        ),
        # Of one that waits none is expected to live.
        loops_alive=lambda: loops.loops_alive() if works() else {},
        failing=lambda: loops.failing() if works() else (),
        faults=lambda: loops.faults() if works() else {},
        memory=ledger.memory,
        clock=parts.clock,
        loaded=loaded,
        leads=works,
        own_log=own_log,
        ears=loops.ears,
        polled_alone=loops.polled_alone,
        shelf=shelf,
    )


def hang_ups() -> threading.Event:
    """Take SIGHUP from now on: it sets the event. Before that it would end a daemon that is starting."""
    again = threading.Event()
    signal.signal(signal.SIGHUP, lambda *_: again.set())
    return again


def serve(serving: Serving, started: Callable[[str], None], again: threading.Event) -> bool:
    """Run loops and web server until SIGTERM or SIGINT, and read the config anew whenever `again` is set.

    `started` is told the address.

    Returns:
        False when a job still ran at the end: the caller ends the process without waiting for it.

    Raises:
        UsageError: the address cannot be listened on.
    """
    host, _, port = serving.listen.rpartition(":")
    raise_file_limit()
    certificate = serving.certificate
    answering = Answering()
    server = make_server(serving, answering, tls=certificate.context if certificate is not None else None)
    listener = open_listener(host.strip("[]"), int(port), answering)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    # In a thread of its own, so that the signals stay ours.
    web = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True, name="web")
    web.start()
    serving.lead_or_wait()
    started(f"{'http' if certificate is None else 'https'}://{_address(listener)}")
    looked = time.monotonic()
    while not stop.wait(1.0):
        if not web.is_alive():
            raise AuditorError(
                f"the web server on {serving.listen} ended by itself", "look at the log lines before this one"
            )
        if again.is_set():
            again.clear()
            if not serving.hung_up():
                again.set()
        serving.lead_or_wait()
        serving.mind_the_loops()
        if time.monotonic() - looked >= _LOOK_AGAIN:
            looked = time.monotonic()
            serving.mind_the_certificate()
    _log.info("stopping")
    done = serving.stop()
    server.should_exit = True
    web.join(timeout=3)
    return done


def leave(*, at_once: bool) -> None:
    """End the process without waiting for a thread that hangs in a request; what it wrote is only temporary.

    `at_once`: one is known to hang. A poll that gave such a thread up has ended long ago.
    """
    until = time.monotonic() + _PATIENCE
    others = [one for one in threading.enumerate() if not one.daemon and one is not threading.main_thread()]
    for one in () if at_once else others:
        one.join(max(0.0, until - time.monotonic()))
    if at_once or any(one.is_alive() for one in others):
        logging.shutdown()
        os._exit(0)


def _address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
