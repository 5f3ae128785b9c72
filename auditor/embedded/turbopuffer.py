"""turbopuffer in small: the list of an organisation's namespaces and their metadata, on loopback.

Source: turbopuffer docs, Authentication, List namespaces, Namespace metadata; the types of its Python client 3.1.0.
"""

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Self
from urllib.parse import parse_qsl, unquote

from auditor.embedded.http import RESET, Answer, Asked, HttpServer, cut
from auditor.embedded.traffic import Fault, Request, Traffic

DEFAULT: Final = {"mode": "default"}
_PAGE: Final = 100
_LARGEST_PAGE: Final = 1000


def customer_managed(key: str) -> dict[str, Any]:
    """What the metadata of a namespace says of its encryption that is under a customer's key."""
    return {"mode": "customer-managed", "key_name": key}


@dataclass
class Platform:
    """The namespaces of one organisation in one region; safe to use from many threads."""

    clock: Callable[[], datetime]
    api_key: str
    namespaces: dict[str, dict[str, Any]] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def put(self, name: str, encryption: object = DEFAULT, **more: Any) -> None:
        """Make a namespace, or change one; `more` are further fields of its metadata."""
        now = self.clock().isoformat().replace("+00:00", "Z")
        told = {
            "approx_logical_bytes": 1024,
            "approx_row_count": 16,
            "created_at": now,
            "updated_at": now,
            "encryption": encryption,
            "index": {"status": "up-to-date"},
            "schema": {"id": {"type": "string"}},
        }
        with self.lock:
            self.namespaces[name] = {**told, **more}

    def delete(self, name: str) -> None:
        """Delete a namespace."""
        with self.lock:
            del self.namespaces[name]

    def page(self, asked: Mapping[str, str]) -> dict[str, Any]:
        """One page of names; a cursor is the name behind which the next one begins."""
        size = min(int(asked.get("page_size", _PAGE)), _LARGEST_PAGE)
        with self.lock:
            found = sorted(one for one in self.namespaces if one.startswith(asked.get("prefix", "")))
        found = [one for one in found if one > asked.get("cursor", "")]
        told: dict[str, Any] = {"namespaces": [{"id": one} for one in found[:size]]}
        return {**told, "next_cursor": found[size - 1]} if len(found) > size else told

    def metadata(self, name: str) -> dict[str, Any] | None:
        """What is said of one namespace; None where there is none."""
        with self.lock:
            return self.namespaces.get(name)


class Turbopuffer:
    """A running region; leaving the context stops it."""

    def __init__(self, platform: Platform, port: int = 0) -> None:
        self.platform = platform
        self.traffic = Traffic()
        self._http = HttpServer(port, self._serve, platform.clock)
        self.endpoint = self._http.endpoint

    def __enter__(self) -> Self:
        self._http.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.stop()

    def _serve(self, asked: Asked) -> Answer | None:
        fault = self.traffic.arrived(Request("turbopuffer", asked.verb, asked.target))
        if fault is not None and not fault.cut:
            return _faulty(fault)
        answer = self._answer(asked)
        return cut(answer) if fault is not None else answer

    def _answer(self, asked: Asked) -> Answer:
        if asked.headers.get("authorization") != f"Bearer {self.platform.api_key}":
            return _error(401, "invalid API key")
        path, _, query = asked.target.partition("?")
        match asked.verb, path.strip("/").split("/"):
            case "GET", ["v1", "namespaces"]:
                return _answer(200, self.platform.page(dict(parse_qsl(query))))
            case "GET", ["v1" | "v2", "namespaces", name, "metadata"]:
                told = self.platform.metadata(unquote(name))
                return _error(404, "namespace not found") if told is None else _answer(200, told)
        return _error(404, "not part of this embedded platform")


def _answer(status: int, told: dict[str, Any]) -> Answer:
    return Answer(status, json.dumps(told).encode(), {"Content-Type": "application/json"})


def _error(status: int, text: str) -> Answer:
    return _answer(status, {"status": "error", "error": text})


def _faulty(fault: Fault) -> Answer | None:
    if fault.drop:
        return None
    if fault.reset:
        return RESET
    if fault.body is not None:
        return Answer(fault.status, fault.body, {"Content-Type": "application/json", **fault.headers})
    return _error(fault.status, fault.message)
