"""The web server's socket: who may hold a connection, how many, and for how long."""

import asyncio
import contextlib
import functools
import logging
import resource
import socket
import ssl
import time
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
_SLOW: Final = 10.0
"""Seconds after which who takes an answer gives way to others, where nobody else can."""
_SELDOM: Final = 60.0
"""Seconds until the same complaint about clients is logged again."""


class Answering:
    """The connections that are being answered, by their file descriptor: since when, by a clock that nobody sets."""

    def __init__(self, ticks: Callable[[], float] = time.monotonic) -> None:
        self._ticks = ticks
        self._since: dict[int, float] = {}

    def begin(self, connection: int) -> None:
        """Tell that a whole request came."""
        self._since.setdefault(connection, self._ticks())

    def end(self, connection: int) -> None:
        """Tell that it is answered, or over."""
        self._since.pop(connection, None)

    def has_for(self, connection: int) -> float:
        """Seconds for which it is being answered; below zero where we wait for the client."""
        since = self._since.get(connection)
        return self._ticks() - since if since is not None else -1.0


def make_server(
    app: ASGIApp,
    answering: Answering,
    *,
    patience: float = _PATIENCE,
    life: float = _LIFE,
    tls: ssl.SSLContext | None = None,
) -> uvicorn.Server:
    """Make a server that clients cannot wear out; `answering`: what the listener is told with."""
    for name in (__name__, "auditor.web.app", "asyncio", "uvicorn.error"):
        logging.getLogger(name).addFilter(Seldom())
    config = uvicorn.Config(
        app,
        http=_protocol(answering, patience, life),
        ws="none",
        loop="asyncio",
        log_config=None,
        access_log=False,
        server_header=False,
        # Whose address a login comes from decides how often it may fail: no header is believed.
        proxy_headers=False,
        backlog=_AT_ONCE,
        # The listener bounds them; those that it has hung up are counted here for a moment more.
        limit_concurrency=2 * _most(),
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


def open_listener(host: str, port: int, answering: Answering, most: int | None = None) -> socket.socket:
    """Open the listening socket; `most` connections at once.

    Raises:
        UsageError: the address cannot be listened on.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = Listener(family, answering, _most() if most is None else most)
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
    """Accepts whoever comes; where there is no room, who has come first and sent no request gives way.

    So many clients that begin requests and never end them keep no scrape out. Who finds no room is closed at once: left
    to wait, it would hide who comes later.
    """

    def __init__(self, family: int, answering: Answering, most: int) -> None:
        super().__init__(family, socket.SOCK_STREAM)
        self._answering = answering
        self._most = most
        self._accepted: list[socket.socket] = []
        self._crowded = False

    def accept(self) -> tuple[socket.socket, Any]:
        """Accept one connection.

        Raises:
            BlockingIOError: there is none, or no room for it; or it is to wait, so that who came before is heard first.
        """
        if self._crowded:
            self._crowded = False
            raise BlockingIOError
        connection, address = super().accept()
        self._accepted = [one for one in self._accepted if one.fileno() >= 0]
        if len(self._accepted) >= self._most:
            self._crowded = True
            if not self._make_room():
                connection.close()
                _log.warning("%d connections are being answered; others are refused until one ends", self._most)
                raise BlockingIOError
            _log.warning("%d connections are open; those that have sent no request give way to others", self._most)
        self._accepted.append(connection)
        return connection, address

    def _make_room(self) -> bool:
        """Hang up on who waits for nothing or, where all wait, on who takes the longest; False where nobody may be."""
        taken = {one: self._answering.has_for(one.fileno()) for one in self._accepted}
        idle = next((one for one, seconds in taken.items() if seconds < 0), None)
        slow = max(taken, key=lambda one: taken[one])
        gone = idle or (slow if taken[slow] > _SLOW else None)
        if gone is None:
            return False
        self._accepted.remove(gone)
        # Its transport closes it: it learns of this as of a client that went away.
        with contextlib.suppress(OSError):
            gone.shutdown(socket.SHUT_RDWR)
        return True


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


def _protocol(answering: Answering, patience: float, life: float) -> type[asyncio.Protocol]:
    class Patient(H11Protocol):
        """HTTP/1.1 for clients that send a whole request in time; uvicorn itself bounds only the time between two."""

        _lasts: asyncio.TimerHandle | None = None
        _late: asyncio.TimerHandle | None = None
        _file = -1

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn's
            super().connection_made(transport)
            self._file = transport.get_extra_info("socket").fileno()
            self._lasts = self.loop.call_later(life, transport.abort)
            self._mind()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self._mind()

        def connection_lost(self, exc: Exception | None) -> None:
            for timer in (self._lasts, self._late):
                if timer is not None:
                    timer.cancel()
            answering.end(self._file)
            super().connection_lost(exc)

        def on_response_complete(self) -> None:
            # What the client has not taken yet is still on its way to it.
            if not self.transport.get_write_buffer_size():
                answering.end(self._file)
            super().on_response_complete()
            # It may have sent the next request already.
            self._tell(owes=self._owes())

        def _mind(self) -> None:
            """Start the client's time with the first byte that it owes, and never anew for a few bytes more."""
            owes = self._owes()
            if owes and self._late is None:
                self._late = self.loop.call_later(patience, self.transport.abort)
            elif not owes and self._late is not None:
                self._late.cancel()
                self._late = None
            self._tell(owes=owes)

        def _owes(self) -> bool:
            return self.conn.their_state in {h11.IDLE, h11.SEND_BODY}

        def _tell(self, *, owes: bool) -> None:
            if not owes and not self.transport.is_closing():
                answering.begin(self._file)

    return Patient


def _most() -> int:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _MOST if soft == resource.RLIM_INFINITY else max(2, min(_MOST, soft // _SHARE))
