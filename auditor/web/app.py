"""The application: which address shows what, to whom."""

import logging
import re
from functools import cache
from typing import Final

from prometheus_client.exposition import choose_encoder
from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from auditor.errors import AuditorError
from auditor.media_types import media_type_of
from auditor.outputs import html
from auditor.web.api import Api
from auditor.web.hosts import HEALTH, Hosts, OnlyKnownHosts
from auditor.web.logins import Logins, OnlyWhoMay
from auditor.web.pages import POLICY, STYLE, Pages
from auditor.web.readings import Readings

_log = logging.getLogger(__name__)

_VERSIONS: Final = re.compile(r"version=([^;,]*)")
_VERSION: Final = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,3}){0,2}")
_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}

_LOCAL: Final = Hosts(local=True)
_WRONG_METHOD: Final = 405
_NO_ADDRESS: Final = "there is no such address: /api/v1/openapi.json names those of the API, and / links to the pages"


def make_app(readings: Readings, hosts: Hosts = _LOCAL, logins: Logins | None = None) -> Starlette:
    """Make the application; every page is read-only. Without `logins` everybody who reaches it may read."""
    own, pages, api = _Own(readings), Pages(readings), Api(readings, logins.challenges if logins is not None else ())
    routes = [
        Route("/", own.report),
        Route("/metrics", own.metrics),
        Route(HEALTH, own.healthz),
        Route("/readyz", own.readyz),
        Route(STYLE, pages.style),
        Route("/findings", pages.findings),
        Route("/findings/{id}", pages.finding),
        Route("/keys", pages.keys),
        Route("/keys/{name:path}", pages.key),
        Route("/namespaces", pages.namespaces),
        Route("/namespaces/one", pages.namespace),
        Route("/reports", pages.reports),
        Route("/reports/{name}/{file}", own.kept),
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
    refusals = _Refusals(pages)
    return Starlette(
        routes=routes,
        middleware=guards,
        exception_handlers={HTTPException: refusals.refused, AuditorError: refusals.broken},
    )


class _Headers:
    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, with_headers)


class _Own:
    """The report, and what machines ask of the process itself."""

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
        return HTMLResponse(self._kept[1], headers={"Content-Security-Policy": _report_policy()})

    def kept(self, request: Request) -> Response:
        shelf, name, file = self._read.shelf, request.path_params["name"], request.path_params["file"]
        content = shelf.read(name, file) if shelf is not None else None
        if content is None:
            raise HTTPException(404, "no such report is kept")
        if file.endswith(".html"):
            page = content.decode()
            # Its style is that of the version which made it.
            return HTMLResponse(page, headers={"Content-Security-Policy": _policy_of(html.style_of(page))})
        headers = {"Content-Disposition": f'attachment; filename="{name}-{file}"'}
        return Response(content, media_type=media_type_of(file), headers=headers)

    def metrics(self, request: Request) -> Response:
        accept = request.headers.get("accept", "")
        # The library compares whatever stands there as a version, and fails on what is none.
        known = all(_VERSION.fullmatch(one) for one in _VERSIONS.findall(accept))
        encoder, kind = choose_encoder(accept if known else "")
        return Response(encoder(self._read.metrics), headers={"Content-Type": kind})

    async def healthz(self, _request: Request) -> Response:
        # Beside the threads of all others: where the ledger answers nothing, those wait for it.
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


class _Refusals:
    """Why something is not answered: as a page to whoever reads pages, else as JSON."""

    def __init__(self, pages: Pages) -> None:
        self._pages = pages

    def refused(self, request: Request, error: Exception) -> Response:
        if not isinstance(error, HTTPException):
            raise TypeError(type(error).__name__)
        if self._is_page(request) and error.status_code != _WRONG_METHOD:
            return self._pages.message(error.status_code, error.detail)
        # Where no address fits, the framework says no more than this.
        told = _NO_ADDRESS if error.detail == "Not Found" else error.detail
        return JSONResponse({"error": told}, status_code=error.status_code, headers=error.headers)

    def broken(self, request: Request, error: Exception) -> Response:
        _log.error("%s", error)
        # The text names files of ours, not of the clouds; whoever reads it may read the judgement too.
        return (
            self._pages.message(503, str(error)) if self._is_page(request) else JSONResponse({"error": str(error)}, 503)
        )

    @staticmethod
    def _is_page(request: Request) -> bool:
        return request.url.path.split("/")[1] in {"findings", "keys", "namespaces", "reports"}


@cache
def _report_policy() -> str:
    return _policy_of(html.report_style())


def _policy_of(style: str) -> str:
    """A report stands on its own: its style and its script are in it, and are known by their hashes."""
    own = html.sources(style)
    return POLICY.replace("style-src 'self'", own).replace("form-action 'self'", "form-action 'none'")
