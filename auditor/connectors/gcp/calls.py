"""One way to call Cloud KMS: past the table, at its pace, counted, retried, with a timeout."""

import random
import time
from collections.abc import Callable
from typing import Any, Final, TypeVar

import requests
from google.api_core import exceptions as api
from google.protobuf.json_format import ParseError

from auditor.connectors.gcp.errors import FAULTS, code_of
from auditor.connectors.pace import Pace
from auditor.connectors.trail import Trail
from auditor.connectors.wire import Wire

T = TypeVar("T")

_ATTEMPTS: Final = 4
_TIMEOUT: Final = 8.0
"""Seconds that one attempt may take."""
_WITHIN: Final = 20.0
_WITHIN_BESIDES: Final = 5.0
"""Seconds after which a call is not tried again: for a key's state, and for whatever else is asked about a key.

Both together stay below what a poll waits for a key, so that policies that hang hide no state.
"""
_OF_THE_STATE: Final = frozenset({"GetCryptoKey", "ListCryptoKeyVersions"})
_FIRST_WAIT: Final = 0.25

# The client itself never retries RESOURCE_EXHAUSTED, and IAM calls not at all.
_RETRIED: Final = (
    api.ResourceExhausted,
    api.TooManyRequests,
    api.ServiceUnavailable,
    api.DeadlineExceeded,
    api.GatewayTimeout,
    api.InternalServerError,
    requests.ConnectionError,
    requests.Timeout,
    requests.exceptions.ChunkedEncodingError,
)


class KmsCalls:
    """Safe to use from many threads."""

    def __init__(
        self,
        wire: Wire,
        pace: Pace,
        sleep: Callable[[float], object] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self._wire = wire
        self._pace = pace
        self._sleep = sleep

    def call(self, operation: str, method: Callable[..., T], request: Any) -> T:
        """Call one method of a client.

        Raises:
            FAULTS: after the last attempt.
        """
        within = _WITHIN if operation in _OF_THE_STATE else _WITHIN_BESIDES
        began: float | None = None
        for attempt in range(1, _ATTEMPTS + 1):
            self._wire.allow("cloudkms", operation, {})
            self._pace.wait()
            # Waiting for one's turn is no silence of the service.
            began = self._clock() if began is None else began
            try:
                answer = _read(method, request, min(_TIMEOUT, within))
            except FAULTS as error:
                self._wire.answered("cloudkms", operation, code_of(error))
                late = self._clock() - began >= within
                if attempt == _ATTEMPTS or late or not isinstance(error, _RETRIED):
                    raise
                self._sleep(_FIRST_WAIT * 2**attempt * random.uniform(0.5, 1.0))  # noqa: S311 - jitter, no secret
            else:
                self._wire.answered("cloudkms", operation, "ok")
                return answer
        raise AssertionError("the last attempt returns or raises")

    def pages(self, operation: str, method: Callable[..., Any], request: dict[str, Any]) -> list[Any]:
        """Call a listing method page by page, to the end.

        Raises:
            FAULTS: a page could not be read.
        """
        found: list[Any] = []
        trail, token = Trail(), ""
        while True:
            pager = self.call(operation, method, {**request, "page_token": token})
            page = next(iter(pager.pages))
            found.append(page)
            token = page.next_page_token
            if not token:
                return found
            if not trail.leads_on(token):
                raise api.InvalidArgument("the pages go round in a circle")


def _read(method: Callable[..., T], request: Any, timeout: float) -> T:
    try:
        return method(request=request, retry=None, timeout=timeout)
    except FAULTS:
        raise
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
        # Over plain http the client breaks so on JSON of another kind.
        raise ParseError(type(error).__name__) from None
