"""Clients that hold connections, and never end what they began."""

import asyncio
import logging
import resource
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from auditor.daemon.listening import Answering, Listener, Seldom, make_server, open_listener


async def hello(_request: Request) -> Response:
    return PlainTextResponse("hello\n")


async def who(request: Request) -> Response:
    return PlainTextResponse(f"you are {request.client.host}\n" if request.client else "")


APP = Starlette(routes=[Route("/", hello), Route("/who", who)])
WHOLE = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
OWED = {
    "nothing": b"",
    "half a header": WHOLE[:-2],
    "a body": WHOLE[:-2] + b"Content-Length: 9\r\n\r\n",
}


@contextmanager
def serving(*, patience: float = 10.0, life: float = 300.0, most: int = 64) -> Iterator[tuple[str, int]]:
    answering = Answering()
    listener = open_listener("127.0.0.1", 0, answering, most)
    server = make_server(APP, answering, patience=patience, life=life)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    address: tuple[str, int] = listener.getsockname()
    thread.start()
    try:
        yield address
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture
def address() -> Iterator[tuple[str, int]]:
    """A server that waits a fifth of a second for a request."""
    with serving(patience=0.2) as found:
        yield found


def connect(address: tuple[str, int]) -> socket.socket:
    return socket.create_connection(address, timeout=20)


def read_to_the_end(client: socket.socket) -> bytes:
    found = b""
    while True:
        try:
            more = client.recv(1000)
        except ConnectionResetError:
            return found
        if not more:
            return found
        found += more


def lasts(client: socket.socket, *, first: bytes, then: bytes) -> float:
    """Send something every ten milliseconds for as long as the server lets us; the seconds until it does not."""
    began = time.monotonic()
    try:
        client.sendall(first)
        while time.monotonic() - began < 20:
            client.sendall(then)
            time.sleep(0.01)
    except OSError:
        pass
    return time.monotonic() - began


@pytest.mark.parametrize("sent", OWED.values(), ids=OWED)
def test_who_owes_the_rest_of_a_request_is_cut_off(address: tuple[str, int], sent: bytes) -> None:
    began = time.monotonic()
    with connect(address) as client:
        client.sendall(sent)
        read_to_the_end(client)
    assert time.monotonic() - began < 4, "uvicorn itself would have waited five seconds, or for ever"


def test_a_few_bytes_more_win_no_time(address: tuple[str, int]) -> None:
    with connect(address) as client:
        assert lasts(client, first=WHOLE[:-2] + b"X: ", then=b"x") < 10
    with connect(address) as client:
        client.sendall(WHOLE)
        assert client.recv(1000)
        assert lasts(client, first=WHOLE[:-2] + b"X: ", then=b"x") < 10, "nor in a later request"


def test_a_connection_that_is_kept_serves_again_and_again(address: tuple[str, int]) -> None:
    with connect(address) as client:
        for _ in range(3):
            client.sendall(WHOLE)
            told = b""
            while b"hello" not in told:
                more = client.recv(1000)
                assert more, "it was cut off"
                told += more


def test_nobody_keeps_a_connection_for_ever() -> None:
    with serving(life=0.3) as address, connect(address) as client:
        assert lasts(client, first=WHOLE, then=WHOLE) < 10


def test_no_more_connections_are_held_than_there_is_room_for() -> None:
    with ExitStack() as open_ones:
        now = 0.0
        answering = Answering(lambda: now)
        listener = open_ones.enter_context(Listener(socket.AF_INET, answering, 2))
        listener.bind(("127.0.0.1", 0))
        listener.listen(8)
        clients = [open_ones.enter_context(connect(listener.getsockname())) for _ in range(3)]
        held = [open_ones.enter_context(listener.accept()[0]) for _ in range(2)]
        for one in held:
            answering.begin(one.fileno())
        now = 10.0
        with pytest.raises(BlockingIOError):
            listener.accept()
        assert read_to_the_end(clients[2]) == b""
        answering.end(held[0].fileno())
        held[0].close()
        with pytest.raises(BlockingIOError):
            listener.accept()
        clients.append(open_ones.enter_context(connect(listener.getsockname())))
        connection, _ = listener.accept()
        with connection:
            connection.sendall(b"room again")
        assert read_to_the_end(clients[3]) == b"room again"


def test_who_waits_for_nothing_gives_way_and_then_who_takes_an_answer_for_too_long() -> None:
    now = 0.0
    answering = Answering(lambda: now)
    with ExitStack() as open_ones:
        listener = open_ones.enter_context(Listener(socket.AF_INET, answering, 2))
        listener.bind(("127.0.0.1", 0))
        listener.listen(8)

        def come() -> tuple[socket.socket, socket.socket]:
            client = open_ones.enter_context(connect(listener.getsockname()))
            with suppress(BlockingIOError):
                return client, open_ones.enter_context(listener.accept()[0])
            return client, open_ones.enter_context(listener.accept()[0])  # who came before was to be heard first

        scraper, scraped = come()
        answering.begin(scraped.fileno())
        idle, _ = come()
        now = 1.0
        other, answered = come()
        answering.begin(answered.fileno())
        assert idle.recv(1) == b"", "who sent nothing, though it came later than who is being answered"
        now = 10.1
        come()
        assert scraper.recv(1) == b"", "all are being answered, this one for longer than ten seconds"
        other.setblocking(False)
        with pytest.raises(BlockingIOError):
            other.recv(1)


def test_half_open_connections_keep_nobody_else_out() -> None:
    with serving(most=4) as address, ExitStack() as open_ones:
        for _ in range(20):
            open_ones.enter_context(connect(address)).sendall(WHOLE[:-2])
        for _ in range(3):
            with connect(address) as client:
                client.sendall(WHOLE)
                assert client.recv(12) == b"HTTP/1.1 200"


def test_the_same_complaint_is_logged_once_a_minute() -> None:
    now = 0.0
    seldom = Seldom(lambda: now)

    def passes(message: str, error: type[Exception] | None = None) -> bool:
        told = (error, error(), None) if error else None
        return seldom.filter(logging.LogRecord("asyncio", logging.ERROR, "", 0, message, (), told))

    assert passes("socket.accept() out of system resource\nsocket: 7", OSError)
    assert not passes("socket.accept() out of system resource\nsocket: 8", OSError)
    assert passes("another complaint")
    assert passes("another complaint", ValueError)
    now = 59.9
    assert not passes("another complaint")
    now = 60.1
    assert passes("another complaint")


def test_what_asyncio_says_when_no_file_can_be_opened_is_one_line(caplog: pytest.LogCaptureFixture) -> None:
    make_server(APP, Answering())
    loop = asyncio.new_event_loop()
    for number in range(50):
        error = OSError(24, "Too many open files")
        loop.call_exception_handler({"message": "socket.accept() is tired", "exception": error, "socket": number})
    loop.close()
    assert len(caplog.records) == 1


LIMITS = {"roomy": (4096, 64), "tight": (128, 32)}


@pytest.mark.parametrize(("limit", "most"), LIMITS.values(), ids=LIMITS)
def test_all_files_that_the_system_grants_are_used_and_few_of_them_for_clients(limit: int, most: int) -> None:
    code = (
        "import resource; from auditor.daemon import listening\n"
        f"resource.setrlimit(resource.RLIMIT_NOFILE, (64, {limit}))\n"
        "listening.raise_file_limit()\n"
        "print(resource.getrlimit(resource.RLIMIT_NOFILE)[0], listening._most())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(limit), str(most)]


def test_the_server_bounds_what_it_does_at_once() -> None:
    server = make_server(APP, Answering())
    assert server.config.limit_concurrency is not None
    assert server.config.limit_concurrency <= min(128, resource.getrlimit(resource.RLIMIT_NOFILE)[0])


def test_nobody_can_say_that_a_request_comes_from_another_address() -> None:
    asked = WHOLE.replace(b"GET /", b"GET /who").replace(
        b"\r\n\r\n", b"\r\nX-Forwarded-For: 10.9.9.9\r\nConnection: close\r\n\r\n"
    )
    with serving() as address, connect(address) as client:
        client.sendall(asked)
        assert b"you are 127.0.0.1" in read_to_the_end(client)
