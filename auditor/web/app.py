"""The application: which address shows what, to whom."""

import json
import logging
import re
from typing import Final

from prometheus_client.exposition import choose_encoder
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from auditor.errors import AuditorError
from auditor.web.api import Api
from auditor.web.hosts import HEALTH, Hosts, OnlyKnownHosts
from auditor.web.logins import Logins, OnlyWhoMay
from auditor.web.readings import Readings

_log = logging.getLogger(__name__)

_VERSIONS: Final = re.compile(r"version=([^;,]*)")
_VERSION: Final = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,3}){0,2}")
_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
_LOCAL: Final = Hosts(local=True)


def make_app(readings: Readings, hosts: Hosts = _LOCAL, logins: Logins | None = None) -> Starlette:
    """Make the application; every page is read-only. Without `logins` everybody who reaches it may read."""
    pages, api = _Pages(readings), Api(readings, logins.challenges if logins is not None else ())
    routes = [
        Route("/", pages.report),
        Route("/metrics", pages.metrics),
        Route(HEALTH, pages.healthz),
        Route("/readyz", pages.readyz),
        Route("/api/v1/status", api.status),
        Route("/api/v1/judgement", api.judgement),
        Route("/api/v1/findings", api.findings),
        Route("/api/v1/findings/{id}", api.finding),
        Route("/api/v1/findings/{id}/namespaces", api.namespaces_of),
        Route("/api/v1/namespaces", api.namespaces),
        Route("/api/v1/namespaces/dependencies", api.dependencies_of),
        Route("/api/v1/dependencies", api.dependencies),
        Route("/api/v1/keys", api.keys),
        Route("/api/v1/openapi.json", api.described),
    ]
    guards = [Middleware(_Headers), Middleware(OnlyKnownHosts, hosts)]
    if logins is not None:
        guards.append(Middleware(OnlyWhoMay, logins))
    return Starlette(
        routes=routes, middleware=guards, exception_handlers={HTTPException: _refused, AuditorError: _broken}
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


def _refused(_request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise TypeError(type(error).__name__)
    return JSONResponse({"error": error.detail}, status_code=error.status_code, headers=error.headers)


def _broken(_request: Request, error: Exception) -> Response:
    _log.error("%s", error)
    # The text names files of ours, not of the clouds; whoever reads it may read the judgement too.
    return Response(json.dumps({"error": str(error)}), status_code=503, media_type="application/json")
