"""A canned S3 that takes its time, and refuses everything for a while: python -m bench.slow OBJECTS [FROM SECONDS].

Each answer leaves HOLD seconds after its request came. HEADs that come between FROM seconds after the first one and
SECONDS later are refused as S3 refuses them, with a 503 and no body. Prints its address; GET /told answers what it saw.

It is one process on one thread, of as little Python as can be, so that it is not what is measured.
"""

import json
import re
import select
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import formatdate
from pathlib import Path
from typing import Final
from urllib.request import urlopen

from bench.canned import ETAG, write_pages

HOLD: Final = 0.015
TICKS: Final = 10
"""Counts a second."""
_AWAKE: Final = 0.002
"""Seconds before an answer is due in which the loop does not sleep: it would oversleep."""
_KEY: Final = b"arn:aws:kms:us-east-1:111122223333:key/00000000-0000-4000-8000-0000000000"
_OBJECT: Final = re.compile(rb"([0-9]{10})([0-9]{2})[.]seg ")
_TOKEN: Final = re.compile(rb"continuation-token=([0-9]+)-")
_REFUSED: Final = b"HTTP/1.1 503 Slow Down\r\nx-amz-request-id: canned\r\nContent-Length: 0\r\n\r\n"
_DATE: Final = formatdate(usegmt=True).encode()
_FOUND: Final = (
    b'HTTP/1.1 200 OK\r\nDate: %s\r\nETag: "%s%s"\r\nx-amz-request-id: canned\r\n'
    b"x-amz-server-side-encryption: aws:kms\r\nx-amz-server-side-encryption-aws-kms-key-id: %s%s\r\n"
    b"Content-Length: 0\r\n\r\n"
)


class Server:
    """Answers many connections, each after the same time."""

    def __init__(self, pages: Path, begins: float, lasts: float) -> None:
        self._pages = {
            one.stem: b"HTTP/1.1 200 OK\r\nContent-Type: application/xml\r\nContent-Length: %d\r\n\r\n%s"
            % (one.stat().st_size, one.read_bytes())
            for one in pages.iterdir()
        }
        self._begins, self._ends = begins, begins + lasts
        self._first: float | None = None
        self._answered: Counter[int] = Counter()
        self._refused: Counter[int] = Counter()
        self._sent, self._late = 0, 0.0
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self._listener.setblocking(False)
        self.port: int = self._listener.getsockname()[1]

    def serve(self) -> None:
        """Answer until the process is ended."""
        poll = select.epoll()
        poll.register(self._listener, select.EPOLLIN)
        open_: dict[int, socket.socket] = {}
        due: deque[tuple[float, socket.socket, bytes]] = deque()
        while True:
            left = due[0][0] - time.perf_counter() - _AWAKE if due else 1.0
            for number, _ in poll.poll(max(0.0, left)):
                if number == self._listener.fileno():
                    one, _ = self._listener.accept()
                    one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    open_[one.fileno()] = one
                    poll.register(one, select.EPOLLIN)
                    continue
                try:
                    asked = open_[number].recv(65536)
                except ConnectionResetError:
                    asked = b""
                if not asked:
                    open_.pop(number).close()
                    continue
                now = time.perf_counter()
                due.append((now + HOLD, open_[number], self._answer(asked, now)))
            now = time.perf_counter()
            while due and due[0][0] <= now:
                at, to, answer = due.popleft()
                if to.fileno() >= 0:
                    to.sendall(answer)
                    self._sent += 1
                    self._late += now - at

    def _answer(self, asked: bytes, now: float) -> bytes:
        if not asked.startswith(b"HEAD "):
            return self._page(asked)
        if self._first is None:
            self._first = now
        since = now - self._first
        if self._begins <= since < self._ends:
            self._refused[int(since * TICKS)] += 1
            return _REFUSED
        self._answered[int(since * TICKS)] += 1
        hit = _OBJECT.search(asked)
        number, key = hit.groups() if hit else (b"", b"")
        return _FOUND % (_DATE, ETAG.encode(), number, _KEY, key)

    def _page(self, asked: bytes) -> bytes:
        if asked.startswith(b"GET /told "):
            held = HOLD + self._late / max(1, self._sent)
            body = json.dumps({"answered": self._answered, "refused": self._refused, "held": held}).encode()
            return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
        hit = _TOKEN.search(asked)
        return self._pages[hit[1].decode() if hit else "first"]


@contextmanager
def serving(objects: int, begins: float = 0.0, lasts: float = 0.0) -> Iterator[str]:
    """Serve a bucket, `bucket`, with so many objects, as a process of its own; yield its address."""
    argv = [sys.executable, "-m", "bench.slow", str(objects), str(begins), str(lasts)]
    server = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[1])
    try:
        assert server.stdout is not None  # noqa: S101 - it is piped
        yield server.stdout.readline().strip()
    finally:
        server.terminate()
        server.wait()


@dataclass(frozen=True, slots=True)
class Told:
    """What the server saw; a tick is a tenth of a second since the first HEAD."""

    answered: dict[int, int]
    refused: dict[int, int]
    held: float
    """Seconds from request to answer, as they came out."""


def told(address: str) -> Told:
    """Ask what the server saw."""
    with urlopen(f"{address}/told") as answer:  # noqa: S310 - the server above
        found = json.load(answer)
    answered, refused = ({int(tick): count for tick, count in found[one].items()} for one in ("answered", "refused"))
    return Told(answered, refused, found["held"])


def main() -> None:
    """Serve."""
    objects, begins, lasts = int(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3])
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "s3").mkdir()
        (Path(folder) / "gcs").mkdir()
        write_pages(Path(folder), objects)
        server = Server(Path(folder) / "s3", begins, lasts)
    print(f"http://127.0.0.1:{server.port}", flush=True)
    server.serve()


if __name__ == "__main__":
    main()
