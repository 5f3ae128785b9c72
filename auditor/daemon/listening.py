"""The web server's socket: who may hold a connection, how many, and for how long."""

import asyncio
import functools
import logging
import resource
import socket
import ssl
import time
import weakref
from collections.abc import Callable
from typing import Any, Final

import h11
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from auditor.errors import UsageError

_log = logging.getLogger(__name__)

_MOST: Final = 64
"""Open connections: a browser or two, Prometheus, a health check, and room."""
_SHARE: Final = 4
"""The web side takes no more than one in so many file descriptors; the others are for the daemon's work."""
_AT_ONCE: Final = 16
"""Connections that one turn of the event loop accepts."""
_MANY: Final = 65_536
"""File descriptors to ask for where there is no limit."""
_PATIENCE: Final = 10.0
"""Seconds that a client has to send one whole request."""
_LIFE: Final = 300.0
"""Seconds that a connection may last: who takes no answer must not keep its place."""
_SELDOM: Final = 60.0
"""Seconds until the same complaint about clients is logged again."""


def make_server(
    app: ASGIApp, *, patience: float = _PATIENCE, life: float = _LIFE, tls: ssl.SSLContext | None = None
) -> uvicorn.Server:
    """Make a server that clients cannot wear out."""
    for name in (__name__, "auditor.web.app", "asyncio", "uvicorn.error"):
        logging.getLogger(name).addFilter(Seldom())
    config = uvicorn.Config(
        app,
        http=_protocol(patience, life),
        ws="none",
        loop="asyncio",
        log_config=None,
        access_log=False,
        server_header=False,
        # Whose address a login comes from decides how often it may fail: no header is believed.
        proxy_headers=False,
        backlog=_AT_ONCE,
        limit_concurrency=_most(),
        timeout_graceful_shutdown=2,
    )
    if tls is None:
        return uvicorn.Server(config)
    config.load()
    config.ssl = tls
    return _TlsServer(config, patience)


class _TlsServer(uvicorn.Server):
    """Waits for a handshake no longer than for a request; uvicorn leaves that to asyncio, which waits for a minute."""

    def __init__(self, config: uvicorn.Config, patience: float) -> None:
        super().__init__(config)
        self._patience = patience

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        loop = asyncio.get_running_loop()
        patient = functools.partial(
            loop.create_server, ssl_handshake_timeout=self._patience, ssl_shutdown_timeout=self._patience
        )
        loop.create_server = patient  # type: ignore[method-assign] # no setting of uvicorn's reaches it
        await super().startup(sockets)


def open_listener(host: str, port: int, most: int | None = None) -> socket.socket:
    """Open the listening socket; `most` connections at once.

    Raises:
        UsageError: the address cannot be listened on.
    """
    listener = Listener(socket.AF_INET6 if ":" in host else socket.AF_INET, _most() if most is None else most)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise UsageError(
            f"cannot listen on {host}:{port}: {error.strerror}", "choose another address or port in [web] listen"
        ) from None
    listener.listen(_AT_ONCE)
    return listener


def raise_file_limit() -> None:
    """Take as many file descriptors as the system grants without being asked for more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MANY if hard == resource.RLIM_INFINITY else hard
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    except (OSError, ValueError) as error:
        _log.warning("the limit of open files stays at %d: %s", soft, error)


class Listener(socket.socket):
    """Accepts what there is room for, and closes the rest at once: left to wait, it would hide who comes later."""

    def __init__(self, family: int, most: int) -> None:
        super().__init__(family, socket.SOCK_STREAM)
        self._most = most
        self._accepted: weakref.WeakSet[socket.socket] = weakref.WeakSet()

    def accept(self) -> tuple[socket.socket, Any]:
        """Accept one connection.

        Raises:
            BlockingIOError: there is none, or no room for it.
        """
        connection, address = super().accept()
        if sum(one.fileno() >= 0 for one in self._accepted) >= self._most:
            connection.close()
            _log.warning("%d connections are open; others are refused until one ends", self._most)
            raise BlockingIOError
        self._accepted.add(connection)
        return connection, address


class Seldom(logging.Filter):
    """Lets the same complaint pass once a minute: a client must not fill the disk with them."""

    def __init__(self, ticks: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._ticks = ticks
        self._told: dict[tuple[str, object], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is to be logged."""
        now = self._ticks()
        # asyncio names the client's socket on the lines that follow.
        what = record.getMessage().partition("\n")[0], record.exc_info and record.exc_info[0]
        self._told = {one: at for one, at in self._told.items() if now - at < _SELDOM}
        if what in self._told:
            return False
        self._told[what] = now
        return True


def _protocol(patience: float, life: float) -> type[asyncio.Protocol]:
    class Patient(H11Protocol):
        """HTTP/1.1 for clients that send a whole request in time; uvicorn itself bounds only the time between two."""

        _lasts: asyncio.TimerHandle | None = None
        _late: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn's
            super().connection_made(transport)
            self._lasts = self.loop.call_later(life, transport.abort)
            self._mind()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self._mind()

        def connection_lost(self, exc: Exception | None) -> None:
            for timer in (self._lasts, self._late):
                if timer is not None:
                    timer.cancel()
            super().connection_lost(exc)

        def _mind(self) -> None:
            """Start the client's time with the first byte that it owes, and never anew for a few bytes more."""
            owes = self.conn.their_state in {h11.IDLE, h11.SEND_BODY}
            if owes and self._late is None:
                self._late = self.loop.call_later(patience, self.transport.abort)
            elif not owes and self._late is not None:
                self._late.cancel()
                self._late = None

    return Patient


def _most() -> int:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _MOST if soft == resource.RLIM_INFINITY else max(2, min(_MOST, soft // _SHARE))
