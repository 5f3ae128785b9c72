"""turbopuffer's own list of an organisation's namespaces, and their metadata: two GETs, through its client."""

import os
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from auditor.connectors.pace import Pace
from auditor.connectors.trail import Trail
from auditor.connectors.turbopuffer_answers import Page, parse_metadata, parse_page
from auditor.connectors.wire import Wire
from auditor.errors import CollectError, ReadOnlyError, UsageError
from auditor.model import Reason
from auditor.ports import Described, Names, Undescribed

if TYPE_CHECKING:
    from auditor.connectors.turbopuffer_client import Client

_AT_ONCE: Final = 8
_PAGE: Final = 1_000
_EMPTY_PAGES: Final = 100
"""Pages in a row without a name after which nobody waits for the end of the list."""
_GIVE_UP_AFTER: Final = 50
"""Namespaces in a row of which nothing is said, after which nobody else is asked about now."""
_GONE: Final = 404
_STATUS: Final = {
    400: Reason.MALFORMED,
    401: Reason.EXPIRED_CREDENTIALS,
    403: Reason.ACCESS_DENIED,
    _GONE: Reason.NOT_FOUND,
    422: Reason.MALFORMED,
    429: Reason.THROTTLED,
}
_HINTS: Final = {
    Reason.EXPIRED_CREDENTIALS: "give the environment variable another API key: this one is not taken",
    Reason.ACCESS_DENIED: "give an API key that may list namespaces; one that may only read is enough",
    Reason.NOT_FOUND: "look at base_url and region in the config",
    Reason.THROTTLED: "lower requests_per_second of the registry",
    Reason.MALFORMED: "look at base_url in the config, and at who answers there",
}
_LOOK: Final = "look at the network between the auditor and turbopuffer, and scan again"


@dataclass(frozen=True, slots=True)
class Account:
    """Where and as whom an organisation's namespaces are asked for."""

    url: str
    key_env: str
    """The environment variable that holds the API key."""
    requests_per_second: float


class _NoAnswerError(Exception):
    """A request that told nothing, after all tries; `status`: of the last answer, None where there was none."""

    def __init__(self, reason: Reason, told: str, status: int | None = None) -> None:
        super().__init__(told)
        self.reason = reason
        self.status = status


class TurbopufferRegistry:
    """The namespaces that one API key sees; needs no more than the right to read."""

    def __init__(self, account: Account, name: str, wire: Wire, agent: str, retries: int = 4) -> None:
        self._account = account
        self._name = name
        self._wire = wire
        self._agent = agent
        self._retries = retries
        self._pace = Pace(account.requests_per_second, burst=1)
        self._client: Client | None = None
        self._lock = threading.Lock()

    def ready(self) -> None:
        """Make the client; nothing is asked yet.

        Raises:
            UsageError: it is not installed, or there is no API key where the config says.
        """
        self._made()

    def names(self) -> Iterator[Names]:
        """Yield the names of all namespaces, page by page.

        Raises:
            CollectError: a page could not be read.
        """
        for page in self._pages():
            yield Names(page.names, page.odd)

    def describe(self, names: Sequence[str]) -> Iterator[Described | Undescribed]:
        """Yield the metadata of these namespaces; it ends early where one after the other tells nothing.

        Raises:
            ReadOnlyError: a request was about to leave that must not.
        """
        waiting = deque(names)
        failed = 0
        pool = ThreadPoolExecutor(_AT_ONCE)
        asked: set[Future[Described | Undescribed]] = set()
        try:
            while asked or (waiting and failed < _GIVE_UP_AFTER):
                while waiting and len(asked) < _AT_ONCE and failed < _GIVE_UP_AFTER:
                    asked.add(pool.submit(self._describe, waiting.popleft()))
                done, asked = wait(asked, return_when=FIRST_COMPLETED)
                for one in done:
                    found = one.result()
                    is_silent = isinstance(found, Undescribed) and found.reason is not Reason.NOT_FOUND
                    failed = failed + 1 if is_silent else 0
                    yield found
        finally:
            # Whoever breaks off does not wait for answers that may take minutes.
            pool.shutdown(wait=False, cancel_futures=True)

    def _describe(self, name: str) -> Described | Undescribed:
        try:
            return parse_metadata(name, self._answered(lambda client: client.metadata(name)))
        except _NoAnswerError as error:
            if error.status == _GONE and self._is_listed(name):
                return Undescribed(name, Reason.UNSUPPORTED)
            return Undescribed(name, error.reason)
        except (ValueError, RecursionError):
            return Undescribed(name, Reason.MALFORMED)

    def _is_listed(self, name: str) -> bool:
        """Whether the list still has it, or nobody can tell: only what is in no list has gone away."""
        try:
            page = self._page(None, name)
        except CollectError:
            return True
        # Of the order of the list nothing is documented, so that a part of it proves nothing.
        return page.cursor is not None or name in page.names

    def _pages(self) -> Iterator[Page]:
        trail = Trail()
        cursor: str | None = None
        empty = 0
        while True:
            page = self._page(cursor, None)
            yield page
            if page.cursor is None:
                return
            empty = 0 if page.names else empty + 1
            if not trail.leads_on(page.cursor) or empty >= _EMPTY_PAGES:
                raise self._broken(_NoAnswerError(Reason.MALFORMED, "its pages go round in a circle"))
            cursor = page.cursor

    def _page(self, cursor: str | None, prefix: str | None) -> Page:
        try:
            return parse_page(self._answered(lambda client: client.page(cursor, prefix, _PAGE)))
        except _NoAnswerError as error:
            raise self._broken(error) from None
        except (ValueError, RecursionError):
            raise self._broken(_NoAnswerError(Reason.MALFORMED, "a page of it cannot be understood")) from None

    def _broken(self, error: _NoAnswerError) -> CollectError:
        told = f"cannot list the namespaces of {self._name}: {error}"
        return CollectError(told, _HINTS.get(error.reason, _LOOK), reason=error.reason)

    def _answered(self, ask: "Callable[[Client], bytes]") -> bytes:
        from auditor.connectors import turbopuffer_client as client  # noqa: PLC0415 - the SDK is slow to import

        try:
            return ask(self._made())
        except client.STATUS_ERROR as error:
            status = int(error.status_code)
            raise _NoAnswerError(_STATUS.get(status, Reason.TIMEOUT), f"HTTP {status}", status) from None
        except client.FAULTS as error:
            if isinstance(error.__cause__, ReadOnlyError):
                raise error.__cause__ from None
            told = type(error.__cause__ or error).__name__
            reason = Reason.MALFORMED if told == client.TOO_MUCH else Reason.TIMEOUT
            raise _NoAnswerError(reason, f"no answer ({told})") from None

    def _made(self) -> "Client":
        with self._lock:
            if self._client is None:
                self._client = self._make()
            return self._client

    def _make(self) -> "Client":
        key = os.environ.get(self._account.key_env, "")
        if not key:
            raise UsageError(
                f"{self._name}: environment variable {self._account.key_env} is not set",
                "put the API key there; one that may only read is enough",
            )
        if not (key.isascii() and key.isprintable() and " " not in key):
            raise UsageError(
                f"{self._name}: what environment variable {self._account.key_env} holds is no API key",
                "it has characters that no key has; look for a line break or a quote",
            )
        try:
            from auditor.connectors.turbopuffer_client import Client  # noqa: PLC0415 - the SDK is an extra, and slow
        except ModuleNotFoundError as error:
            raise UsageError(
                f"{self._name}: the client of turbopuffer is not installed ({error.name} is missing)",
                "install the extra: pip install 'cmek-auditor[turbopuffer]'",
            ) from None
        return Client(self._account.url, key, self._wire, self._pace, agent=self._agent, retries=self._retries)
