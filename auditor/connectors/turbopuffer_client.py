"""turbopuffer's own client, with the read-only hook under it; slow to import, so whoever asks imports it."""

import logging
import re
import time
from typing import Any, Final

import httpx2
import turbopuffer
from turbopuffer import Turbopuffer, omit

from auditor.connectors.pace import Pace
from auditor.connectors.wire import Wire
from auditor.errors import ReadOnlyError

# TURBOPUFFER_LOG lets them tell headers and bodies of answers, as they came.
for _log in ("turbopuffer", "httpx2"):
    logging.getLogger(_log).setLevel(logging.WARNING)

STATUS_ERROR: Final = turbopuffer.APIStatusError
FAULTS: Final = (turbopuffer.TurbopufferError, httpx2.HTTPError, httpx2.InvalidURL)
"""Everything that a call can raise instead of an answer."""

_SERVICE: Final = "turbopuffer"
# Each request that may leave. Source: turbopuffer docs, List namespaces and Namespace metadata.
_OPERATIONS: Final = (
    (re.compile(r"GET /v1/namespaces"), "namespaces.list"),
    (re.compile(r"GET /v2/namespaces/[A-Za-z0-9._-]{1,128}/metadata"), "namespaces.metadata"),
)
_TIMEOUT: Final = httpx2.Timeout(30.0, connect=5.0)
_LARGEST: Final = 16 * 1024 * 1024
"""Bytes of one answer: many times a page of names, or a schema."""


_LONGEST: Final = 60.0
"""Seconds that one answer may take to come, however steadily it comes."""


class TooMuchError(httpx2.TransportError):
    """An answer that is too long, or packed, so that nobody knows how long it is."""


TOO_MUCH: Final = TooMuchError.__name__


class Client:
    """The two requests; what they raise is in `FAULTS`, and a request that must not leave is the cause of one."""

    def __init__(self, url: str, key: str, wire: Wire, pace: Pace, *, agent: str, retries: int) -> None:
        http = httpx2.Client(transport=_Guarded(wire, pace), timeout=_TIMEOUT, follow_redirects=False)
        # Of a URL without a place for the region the client wants no region, and takes one from the environment.
        client = Turbopuffer(
            api_key=key,
            base_url="{region}",
            region=url,
            http_client=http,
            max_retries=retries,
            timeout=_TIMEOUT,
            telemetry=False,
            default_headers={"User-Agent": agent, "Accept-Encoding": "identity"},
        )
        self._list = client.with_raw_response
        self._one = client.namespace("none").with_raw_response

    def page(self, cursor: str | None, prefix: str | None, size: int) -> bytes:
        """One page of the list of namespaces."""
        asked = self._list.namespaces(cursor=cursor or omit, prefix=prefix or omit, page_size=size)
        return asked.read()

    def metadata(self, name: str) -> bytes:
        """What is said of one namespace."""
        return self._one.metadata(namespace=name).read()


class _Guarded(httpx2.HTTPTransport):
    """Refuses what is not in the table, keeps to the pace, counts every answer, and takes none that has no end."""

    def __init__(self, wire: Wire, pace: Pace) -> None:
        super().__init__(limits=httpx2.Limits(max_connections=16, max_keepalive_connections=16))
        self._wire = wire
        self._pace = pace

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send one request and read the whole answer."""
        operation = _operation(request)
        self._wire.allow(_SERVICE, operation, {})
        self._pace.wait()
        try:
            answer = super().handle_request(request)
            try:
                body = _read(answer)
            finally:
                answer.close()
        except httpx2.TransportError as error:
            self._wire.answered(_SERVICE, operation, type(error).__name__)
            raise
        # What its clock says is of no use for dates of keys.
        self._wire.answered(_SERVICE, operation, "ok" if answer.is_success else str(answer.status_code))
        return httpx2.Response(answer.status_code, headers=answer.headers, content=body, extensions=answer.extensions)


def _operation(request: httpx2.Request) -> str:
    told = f"{request.method} {request.url.path}"
    for pattern, operation in _OPERATIONS:
        if pattern.fullmatch(told):
            return operation
    raise ReadOnlyError(f"refused to send {told}: it is not in the table of read-only requests", "nothing was sent")


def _read(answer: httpx2.Response) -> bytes:
    """Read an answer's body as it comes.

    Raises:
        TooMuchError: it is longer than any that is meant, or packed.
        httpx2.TransportError: it breaks off, or does not end.
    """
    if answer.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise TooMuchError("it is packed")
    body = bytearray()
    stream: Any = answer.stream
    until = time.monotonic() + _LONGEST
    for some in stream:
        body += some
        if time.monotonic() > until:
            raise httpx2.ReadTimeout("it does not end")
        if len(body) > _LARGEST:
            raise TooMuchError("it is too long")
    return bytes(body)
