"""A small HTTP/1.1 server on loopback for the embedded clouds: raw paths in, whole answers out."""

import os
import socket
import struct
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import Enum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final


@dataclass(frozen=True)
class Asked:
    """One request, nothing decoded: object names may hold anything."""

    verb: str
    target: str
    """Path and query as sent."""
    headers: Mapping[str, str]
    """By lower-case name."""
    body: bytes


class Ending(Enum):
    """What becomes of the connection after an answer."""

    KEEPS = "it stays open"
    CLOSES = "it is closed behind the last byte"
    RESETS = "it is reset, and no byte of the answer is sent"


@dataclass(frozen=True)
class Answer:
    """One answer; `length` overrides the body's for answers to HEAD."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    length: int | None = None
    ends: Ending = Ending.KEEPS


def cut(answer: Answer) -> Answer:
    """Promise the whole body, send half of it and hang up; of an answer to HEAD, send half of the header lines."""
    half = answer.body[: len(answer.body) // 2]
    return replace(answer, body=half, length=len(answer.body), ends=Ending.CLOSES)


RESET: Final = Answer(0, ends=Ending.RESETS)


class HttpServer:
    """Answers each request by one function, which returns None to hang up without a word."""

    def __init__(self, port: int, answer: Callable[[Asked], Answer | None], clock: Callable[[], datetime]) -> None:
        self._server = _Server(("127.0.0.1", port), _handler(answer, clock))
        self.endpoint = f"http://127.0.0.1:{self._server.server_address[1]}"

    def start(self) -> None:
        """Serve in a thread of its own."""
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True, name="embedded-cloud").start()

    def stop(self) -> None:
        """Stop serving and let go of the port."""
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Stay silent when a client hangs up."""


def _handler(answer: Callable[[Asked], Answer | None], clock: Callable[[], datetime]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # a small answer must not wait for an acknowledgement

        def serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            target = self.requestline.split(" ")[1]  # `self.path` has its leading slashes folded
            headers = {name.lower(): value for name, value in self.headers.items()}
            told = answer(Asked(self.command, target, headers, body))
            if told is None:
                self.close_connection = True
                return
            if told.ends is Ending.RESETS:
                # Closed with data still to be sent and no time to wait for it: that sends a reset.
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                os.close(self.connection.detach())
                self.close_connection = True
                return
            self.send_response_only(told.status)
            self.send_header("Date", self.date_time_string(clock().timestamp()))
            cut_off = self.command == "HEAD" and told.ends is Ending.CLOSES
            for name, value in list(told.headers.items())[: len(told.headers) // 2 if cut_off else None]:
                self.send_header(name, value)
            if cut_off:
                self.flush_headers()
                self.close_connection = True
                return
            self.send_header("Content-Length", str(len(told.body) if told.length is None else told.length))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(told.body)
            if told.ends is Ending.CLOSES:
                self.close_connection = True

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = serve

        def log_message(self, *_: object) -> None:
            """Write no log: the traffic keeps one."""

    return Handler
