"""The process of `serve`: loops and pages of one config, until another takes its place."""

import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from starlette.applications import Starlette
from starlette.types import Receive, Scope, Send

from auditor import log
from auditor.config import Config, load
from auditor.daemon import Daemon
from auditor.errors import AuditorError, UsageError
from auditor.listening import make_server, open_listener, raise_file_limit
from auditor.locks import held
from auditor.outputs import metrics
from auditor.registering import ready
from auditor.reporting import demands, html_of
from auditor.tls import Certificate
from auditor.web.app import make_app
from auditor.web.doors import hosts_of, logins_of
from auditor.web.logins import Logins
from auditor.web.readings import Loaded, Readings
from auditor.wiring import Assembly, assemble

_log = logging.getLogger(__name__)

_LOOK_AGAIN: Final = 60
"""Seconds until the certificate's files are looked at again."""


def only_daemon(state: Path) -> AbstractContextManager[None]:
    """Keep other daemons from a state folder; commands may use it meanwhile.

    Raises:
        UsageError: another daemon works on it.
    """
    busy = UsageError(
        f"another daemon works on the state folder {state}", "stop it first, or give this one a `state` of its own"
    )
    return held(state / "daemon.lock", busy)


class Serving:
    """The loops and the pages of one config; another one takes their place as a whole, or not at all."""

    def __init__(self, path: Path, config: Config, assembly: Assembly, *, verbose: bool = False) -> None:
        self._path = path
        self._config = config
        self._assembly = assembly
        self._verbose = verbose
        self._loaded = Loaded(config.digest, datetime.now(UTC))
        self._loops = Daemon(assembly.parts, config.schedule)
        web = config.web
        self.certificate = Certificate(web.tls_cert, web.tls_key) if web.tls_cert and web.tls_key else None
        self._logins = logins_of(web)
        self._app = self._made()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request by the config that counts now."""
        await self._app(scope, receive, send)

    def _made(self) -> Starlette:
        hosts = hosts_of(self._config.web, self.certificate.names if self.certificate else None)
        return make_app(readings(self._assembly, self._loops, lambda: self._loaded), hosts, self._logins)

    @property
    def listen(self) -> str:
        """Address and port to answer on."""
        return self._config.web.listen

    def start(self) -> None:
        """Start the loops."""
        self._loops.start()

    def mind_the_clock(self) -> None:
        """Plan all turns anew when the wall clock was set."""
        self._loops.mind_the_clock()

    def stop(self) -> bool:
        """Stop the loops; False when one still runs, which then keeps the ledger open."""
        done = self._loops.stop()
        if done:
            self._assembly.close()
        return done

    def mind_the_certificate(self) -> None:
        """Take the certificate anew where it was renewed on disk."""
        if self.certificate is not None and self.certificate.renew():
            self._app = self._made()

    def reload(self) -> None:
        """Read the config anew and go on by it; where that cannot be, the one of before stays, and it is told."""
        try:
            config = self._read()
            self.mind_the_certificate()
            # Whatever can be refused comes before anything is changed.
            logins = logins_of(config.web)
            hosts_of(config.web, self.certificate.names if self.certificate else None)
            self._take_over(config, self._assembled(config), logins)
        except AuditorError as error:
            self._refuse(f"{error}; {error.hint}" if error.hint else str(error))
        except Exception as error:  # noqa: BLE001 - a defect in reading must not end a daemon that works
            self._refuse(f"the auditor itself failed: {type(error).__name__}")

    def _read(self) -> Config:
        config = load(self._path)
        for what, now, then in (
            ("state", self._config.state, config.state),
            ("[web] listen", self._config.web.listen, config.web.listen),
            ("[web] tls_cert", self._config.web.tls_cert, config.web.tls_cert),
            ("[web] tls_key", self._config.web.tls_key, config.web.tls_key),
        ):
            if now != then:
                raise UsageError(f"{what} cannot change while the daemon runs", "restart it")
        return config

    def _assembled(self, config: Config) -> Assembly:
        # What was counted, and how far the clouds' clocks are off, goes on.
        assembly = assemble(config, wire=self._assembly.wire)
        try:
            ready(assembly.parts)
        except AuditorError:
            assembly.close()
            raise
        return assembly

    def _take_over(self, config: Config, assembly: Assembly, logins: Logins | None) -> None:
        log.start(json_lines=config.log.json_lines, verbose=self._verbose)
        if not self.stop():
            _log.warning("a turn of the loops by the config of before still runs; it ends by itself")
        self._config, self._assembly, self._logins = config, assembly, logins
        self._loaded = Loaded(config.digest, datetime.now(UTC))
        self._loops = Daemon(assembly.parts, config.schedule, inherited=self._loops.handed_on())
        self._app = self._made()
        self._loops.start()
        _log.info("the config was read anew: %s, SHA-256 %s", self._path, config.digest)

    def _refuse(self, why: str) -> None:
        self._loaded = Loaded(self._loaded.digest, self._loaded.at, (datetime.now(UTC), why))
        _log.error("the config was not read anew, and the one of before stays: %s", why)


def readings(assembly: Assembly, loops: Daemon, loaded: Callable[[], Loaded]) -> Readings:
    """Everything that the web side shows, from the ledger and the inventory of one process."""
    ledger, parts = assembly.ledger, assembly.parts
    return Readings(
        judgement=ledger.judgement,
        ended=ledger.ended,
        rows=assembly.rows,
        report=lambda judgement: html_of(assembly, judgement, linked=True),
        demands=demands(assembly),
        metrics=metrics.registry(
            metrics.JudgementCollector(
                ledger.judgement,
                assembly.rows,
                assembly.wire.counts,
                loops.swept_objects,
                reloaded=lambda: loaded().refused is None,
                rules=tuple((rule.id, rule.severity) for rule in parts.rules),
                version=(parts.version, parts.rules_version),
            )
        ),
        loops_alive=loops.loops_alive,
        failing=loops.failing,
        memory=ledger.memory,
        clock=parts.clock,
        loaded=loaded,
    )


def serve(serving: Serving, started: Callable[[str], None]) -> bool:
    """Run loops and web server until SIGTERM or SIGINT, and read the config anew at SIGHUP.

    `started` is told the address.

    Returns:
        False when a job still ran at the end: the caller ends the process without waiting for it.

    Raises:
        UsageError: the address cannot be listened on.
    """
    host, _, port = serving.listen.rpartition(":")
    raise_file_limit()
    certificate = serving.certificate
    server = make_server(serving, tls=certificate.context if certificate is not None else None)
    listener = open_listener(host.strip("[]"), int(port))
    stop, again = threading.Event(), threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    signal.signal(signal.SIGHUP, lambda *_: again.set())
    # In a thread of its own, so that the signals stay ours.
    web = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True, name="web")
    web.start()
    serving.start()
    started(f"{'http' if certificate is None else 'https'}://{_address(listener)}")
    looked = time.monotonic()
    while not stop.wait(1.0):
        if not web.is_alive():
            raise AuditorError(
                f"the web server on {serving.listen} ended by itself", "look at the log lines before this one"
            )
        if again.is_set():
            again.clear()
            serving.reload()
        serving.mind_the_clock()
        if time.monotonic() - looked >= _LOOK_AGAIN:
            looked = time.monotonic()
            serving.mind_the_certificate()
    _log.info("stopping")
    done = serving.stop()
    server.should_exit = True
    web.join(timeout=3)
    return done


def leave(*, at_once: bool) -> None:
    """End the process without waiting for a thread that hangs in a request; what it wrote is only temporary."""
    if at_once:
        os._exit(0)


def _address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
