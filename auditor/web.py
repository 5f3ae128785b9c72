"""The web side: metrics, health, the latest report, the API. It reads the ledger and nothing else."""

import base64
import ipaddress
import json
import logging
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain, islice
from typing import Any, Final

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from auditor.errors import AuditorError
from auditor.findings import Finding, Judgement
from auditor.model import KeyMemory, KeyName
from auditor.outputs import scan_json, words
from auditor.ports import OpenInventory

_log = logging.getLogger(__name__)

_MOST: Final = 1000
_USUAL: Final = 100
_LIMIT: Final = re.compile(r"[0-9]{1,4}")
_VERSIONS: Final = re.compile(r"version=([^;,]*)")
_VERSION: Final = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,3}){0,2}")
_HOST: Final = re.compile(r"(?:\[(?P<six>[^\]]*)\]|(?P<name>[^:\[\]]*))(?::[0-9]*)?")
_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


@dataclass(frozen=True, slots=True)
class Loaded:
    """Which config the daemon works by. All times are aware, UTC, by this machine's clock."""

    digest: str
    at: datetime
    refused: tuple[datetime, str] | None = None
    """When another was to take its place since and could not, and why."""


@dataclass(frozen=True, slots=True)
class Readings:
    """Where the pages get what they show."""

    judgement: Callable[[], Judgement | None]
    ended: Callable[[str], Sequence[Finding]]
    """Findings whose id begins so, as they were when they ended."""
    rows: Callable[[Judgement], OpenInventory]
    """The dependencies that the judgement stands on."""
    report: Callable[[Judgement], str]
    metrics: CollectorRegistry
    loops_alive: Callable[[], Mapping[str, bool]]
    failing: Callable[[], tuple[str, ...]]
    """Loops whose last turns all failed."""
    memory: Callable[[], Mapping[KeyName, KeyMemory]]
    """What is remembered of every key."""
    clock: Callable[[], datetime]
    loaded: Callable[[], Loaded]


def make_app(readings: Readings) -> Starlette:
    """Make the application; every page is read-only."""
    pages = _Pages(readings)
    routes = [
        Route("/", pages.report),
        Route("/metrics", pages.metrics),
        Route("/healthz", pages.healthz),
        Route("/readyz", pages.readyz),
        Route("/api/v1/status", pages.status),
        Route("/api/v1/judgement", pages.judgement),
        Route("/api/v1/findings", pages.findings),
        Route("/api/v1/findings/{id}", pages.finding),
        Route("/api/v1/findings/{id}/namespaces", pages.namespaces),
        Route("/api/v1/dependencies", pages.dependencies),
        Route("/api/v1/keys", pages.keys),
    ]
    return Starlette(
        routes=routes,
        middleware=[Middleware(_Headers), Middleware(_OnlyLocal)],
        exception_handlers={HTTPException: _refused, AuditorError: _broken},
    )


class _Headers:
    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                told = [(name.lower().encode(), value.encode()) for name, value in _HEADERS.items()]
                message["headers"] = [*message.get("headers", []), *told]
            await send(message)

        await self._app(scope, receive, with_headers)


class _OnlyLocal:
    """Answers only who asks for this machine by a name of its own.

    A web page elsewhere may let its own name point to 127.0.0.1, and a browser would then let it read every answer.
    Whoever sends no Host at all is no browser.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            host = Headers(scope=scope).get("host")
            if host is not None and not _local(host):
                refusal = JSONResponse(
                    {"error": "this server answers only to 127.0.0.1, [::1] and localhost, with any port"},
                    status_code=421,
                )
                await refusal(scope, receive, send)
                return
        await self._app(scope, receive, send)


def _local(host: str) -> bool:
    found = _HOST.fullmatch(host)
    if found is None:
        return False
    name = found["six"] or found["name"].lower()
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


class _Pages:
    """One method a page; they are plain functions, so that Starlette runs them beside its loop."""

    def __init__(self, readings: Readings) -> None:
        self._read = readings
        self._kept: tuple[str, str] | None = None

    def report(self, _request: Request) -> Response:
        judgement = self._read.judgement()
        if judgement is None:
            return HTMLResponse(
                "<!doctype html><html lang=en><title>cmek-auditor</title><p>The first judgement is not made yet.",
                status_code=503,
            )
        if self._kept is None or self._kept[0] != judgement.run.id:
            self._kept = judgement.run.id, self._read.report(judgement)
        return HTMLResponse(self._kept[1])

    def metrics(self, request: Request) -> Response:
        accept = request.headers.get("accept", "")
        # The library compares whatever stands there as a version, and fails on what is none.
        known = all(_VERSION.fullmatch(one) for one in _VERSIONS.findall(accept))
        encoder, kind = choose_encoder(accept if known else "")
        return Response(encoder(self._read.metrics), headers={"Content-Type": kind})

    def healthz(self, _request: Request) -> Response:
        return PlainTextResponse("ok\n")

    def readyz(self, _request: Request) -> Response:
        self._read.judgement()
        alive = self._read.loops_alive()
        hung = sorted(loop for loop, lives in alive.items() if not lives)
        if hung:
            return PlainTextResponse(f"not ready: {', '.join(hung)} not alive\n", status_code=503)
        failing = self._read.failing()
        if failing:
            return PlainTextResponse(f"not ready: {', '.join(failing)} failed again and again\n", status_code=503)
        return PlainTextResponse("ok\n")

    def status(self, _request: Request) -> Response:
        judgement = self._read.judgement()
        loops = dict(self._read.loops_alive())
        config = self._config()
        if judgement is None:
            return JSONResponse({"judged": None, "loops": loops, "config": config})
        head = scan_json.head(judgement)
        return JSONResponse(
            {
                "judged": _time(judgement.now),
                "loops": loops,
                "config": config,
                "scan": head["scan"],
                "coverage": head["coverage"],
                "gaps": len(judgement.gaps),
                "gaps_by_reason": dict(sorted(Counter(one.reason.value for one in judgement.gaps).items())),
                "buckets_failed": [
                    {"bucket": one.bucket, "why": one.last_attempt_failed}
                    for one in judgement.coverage.buckets
                    if one.last_attempt_failed is not None
                ],
                "keys_not_read": self._keys_not_read(judgement),
                # Below zero when this machine's clock went back since.
                "last_poll_age_seconds": round((self._read.clock() - judgement.run.ended).total_seconds(), 3),
                "findings": sum(one.status.value == "open" for one in judgement.findings),
                "next_loss": _time(judgement.next_loss),
            }
        )

    def _config(self) -> dict[str, Any]:
        loaded = self._read.loaded()
        refused = {"at": _time(loaded.refused[0]), "why": loaded.refused[1]} if loaded.refused else None
        return {"digest": loaded.digest, "read": _time(loaded.at), "refused_since": refused}

    def _keys_not_read(self, judgement: Judgement) -> list[dict[str, Any]]:
        """Keys of which the newest poll learnt no state: why, and when one was last read."""
        reasons = {gap.what: gap.reason for gap in reversed(judgement.gaps)}
        memory = self._read.memory()
        return [
            {"key": name.text, "reason": reasons[name.text].value, "last_read": _time(kept.last_at)}
            for name, kept in sorted(memory.items())
            if name.text in reasons and kept.last_at != judgement.now
        ]

    def judgement(self, _request: Request) -> Response:
        judgement = self._needed()
        gaps = [scan_json.gap(one) for one in judgement.gaps[:_MOST]]
        return JSONResponse({**scan_json.head(judgement), "gaps": gaps, "gaps_total": len(judgement.gaps)})

    def findings(self, request: Request) -> Response:
        return _page(request, (scan_json.finding(one) for one in self._needed().findings))

    def finding(self, request: Request) -> Response:
        return JSONResponse(scan_json.finding(self._one(request)))

    def namespaces(self, request: Request) -> Response:
        judgement, one = self._needed(), self._one(request)
        if one not in judgement.findings:
            raise HTTPException(404, "this finding has ended: all namespaces of then are not kept")
        start, limit = _place(request)
        rows = self._read.rows(judgement).namespaces(one.members, start, limit + 1, one.portions)
        first = next(rows, None)
        if first is None and not start and one.extent.namespaces:
            raise HTTPException(404, words.NAMESPACES_NOT_KEPT)
        some = chain(() if first is None else (first,), rows)
        return _page(request, map(scan_json.namespace, some), skipped=True)

    def dependencies(self, request: Request) -> Response:
        judgement = self._needed()
        start, limit = _place(request)
        rows = self._read.rows(judgement).rows(judgement.assessed, start, limit + 1)
        return _page(request, (scan_json.dependency(row, assessed) for row, assessed in rows), skipped=True)

    def keys(self, request: Request) -> Response:
        return _page(request, scan_json.keys(self._needed()))

    def _needed(self) -> Judgement:
        judgement = self._read.judgement()
        if judgement is None:
            raise HTTPException(503, "the first judgement is not made yet")
        return judgement

    def _one(self, request: Request) -> Finding:
        asked = request.path_params["id"]
        found: Sequence[Finding] = [one for one in self._needed().findings if one.id.startswith(asked)]
        if not found:
            found = self._read.ended(asked)
        if len(found) > 1:
            raise HTTPException(404, f"the ids of {len(found)} findings begin so: give more of the id")
        if found:
            return found[0]
        raise HTTPException(404, "there neither is nor was such a finding")


def _time(moment: datetime | None) -> str | None:
    return moment.isoformat().replace("+00:00", "Z") if moment else None


def _page(request: Request, items: Iterable[Mapping[str, Any]], *, skipped: bool = False) -> Response:
    """One page and the cursor of the next; `skipped` says that the items begin at the page already."""
    start, limit = _place(request)
    found = list(islice(items, 0 if skipped else start, limit + 1 if skipped else start + limit + 1))
    more = len(found) > limit
    following = base64.urlsafe_b64encode(str(start + limit).encode()).decode() if more else None
    return JSONResponse({"items": found[:limit], "next": following})


def _place(request: Request) -> tuple[int, int]:
    asked = request.query_params
    unknown = sorted(set(asked) - {"limit", "cursor"})
    if unknown:
        raise HTTPException(400, f"there is no parameter {unknown[0]!r}; limit and cursor are")
    limit = asked.get("limit", str(_USUAL))
    if not (_LIMIT.fullmatch(limit) and 1 <= int(limit) <= _MOST):
        raise HTTPException(400, f"limit is a number from 1 to {_MOST}")
    cursor = asked.get("cursor")
    if cursor is None:
        return 0, int(limit)
    try:
        start = int(base64.urlsafe_b64decode(cursor.encode("ascii")))
    except ValueError:
        raise HTTPException(400, "cursor is not one that a page before gave") from None
    if not 0 <= start < 2**53:
        raise HTTPException(400, "cursor is not one that a page before gave")
    return start, int(limit)


def _refused(_request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise TypeError(type(error).__name__)
    return JSONResponse({"error": error.detail}, status_code=error.status_code, headers=error.headers)


def _broken(_request: Request, error: Exception) -> Response:
    _log.error("%s", error)
    # The text names files of ours, not of the clouds; the page is on loopback alone.
    return Response(json.dumps({"error": str(error)}), status_code=503, media_type="application/json")
