"""A Cloud Storage bucket through libcurl: one page carries the key versions of a thousand objects."""

import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any, Final
from urllib.parse import quote, urlencode

import certifi
import pyarrow as pa
import pycurl
from google.auth.exceptions import GoogleAuthError
from google.auth.transport.requests import Request

from auditor.connectors.gcp.errors import code_of, reason_of, reason_of_status, status_in
from auditor.connectors.gcp.listing import FIELDS, NoPageError, Page, columns, parse_page
from auditor.connectors.gcp.objects import GcsBucket
from auditor.connectors.gcp.session import GcpClients
from auditor.connectors.trail import Trail
from auditor.connectors.transfers import TOO_LONG, Handle, Outcome, Transfer, Transfers
from auditor.model import BucketFacts, Gap, Listing, Population, Reason, Requests
from auditor.ports import Known

_STORAGE: Final = "https://storage.googleapis.com"
_ALWAYS: Final = {"fields": FIELDS, "maxResults": "1000", "projection": "noAcl", "prettyPrint": "false"}
_PAGES_AHEAD: Final = 2
_SUCCESS: Final = 200
_BAD_REQUEST: Final = 400
_UNAUTHORIZED: Final = 401


class GcsCensus:
    """`ports.ObjectSource` over `Transfers`; settings and uploads are the SDK's business."""

    def __init__(
        self,
        by_sdk: GcsBucket,
        clients: GcpClients,
        project: str | None,
        populations: tuple[Population, ...],
        *,
        ceiling: float,
        clock: Callable[[], datetime],
    ) -> None:
        self._by_sdk = by_sdk
        self._clients = clients
        self._project = project
        self._populations = populations or tuple(Population)
        self._ceiling = ceiling
        self._clock = clock

    @property
    def url(self) -> str:
        """`gs://NAME`, as configured."""
        return self._by_sdk.url

    @property
    def endpoint(self) -> str:
        """Where it is asked."""
        return self._by_sdk.endpoint

    @property
    def left_out(self) -> tuple[Population, ...]:
        """The populations that the bucket may have and the config leaves out."""
        return self._by_sdk.left_out

    def facts(self) -> BucketFacts | Gap:
        """Read location, versioning, default key and who decrypts; a Gap when one of them is not readable."""
        return self._by_sdk.facts()

    def uploads_in_progress(self) -> int | Gap:
        """Count unfinished multipart uploads of the XML API, the only ones that can be listed."""
        return self._by_sdk.uploads_in_progress()

    def needs(self, stored: Mapping[Population, int], known: Known | None) -> Requests:
        """Tell what a sweep of so many objects would ask, retries aside."""
        return self._by_sdk.needs(stored, known)

    @property
    def listings(self) -> tuple[Listing, ...]:
        """One after the other: what is deleted while the first pass runs is there for the second."""
        return self._by_sdk.listings

    def batches(
        self,
        listing: Listing = Listing.STORED,
        after: str | None = None,
        known: Known | None = None,  # noqa: ARG002 - every page tells the keys
    ) -> Iterator[pa.RecordBatch]:
        """Yield every stored generation behind a name of the configured populations, to the end of the last page.

        Raises:
            CollectError: a page could not be read, so the listing is not complete.
        """
        clients = self._clients
        signer = _Signer(clients.credentials(self._project), clients.endpoint or _STORAGE)
        transfers = Transfers(signer, clients.wire, ceiling=self._ceiling, agent=clients.agent, bucket=self.url)
        # What is false is not sent: the two may not be combined.
        kind = {"softDeleted": "true"} if listing is Listing.SOFT_DELETED else {"versions": "true"}
        if listing is Listing.STORED and self._populations == (Population.LIVE,):
            kind = {}
        try:
            yield from _Pass(self._by_sdk, self._populations, self._clock, (signer, transfers), kind).batches(after)
        except GoogleAuthError as error:
            raise self._by_sdk.broken_off(code_of(error), reason_of(error)) from None
        finally:
            transfers.close()


class _Pass:
    """One listing from its first page to its last."""

    def __init__(
        self,
        by_sdk: GcsBucket,
        populations: tuple[Population, ...],
        clock: Callable[[], datetime],
        wire: tuple["_Signer", Transfers],
        kind: dict[str, str],
    ) -> None:
        self._by_sdk = by_sdk
        self._populations = populations
        self._clock = clock
        self._signer, self._transfers = wire
        self._kind = kind
        self._asked = kind
        self._after: str | None = None
        self._trail = Trail()
        self._soft_deleted = "softDeleted" in kind
        self._pages: deque[tuple[Page, datetime]] = deque()
        self._listing = False
        self._ended = False

    def batches(self, after: str | None) -> Iterator[pa.RecordBatch]:
        """Yield the rows of each page that are behind a name."""
        if after is not None:
            self._after = after
            self._kind = self._asked = {**self._kind, "startOffset": after}
        self._list()
        while self._pages or not self._ended:
            while not self._pages and not self._ended:
                for transfer in self._transfers.settled():
                    self._take(transfer)
            if self._pages:
                page, at = self._pages.popleft()
                self._list()
                batch = self._columns(page, at)
                if batch.num_rows:
                    yield batch

    def _take(self, transfer: Transfer) -> None:
        """One page has come, or will not."""
        self._listing = False
        page = transfer.answer
        if not isinstance(page, Page):
            is_googles = transfer.status == _BAD_REQUEST and status_in(transfer.body) is not None
            first = self._asked is self._kind and self._after is None
            if self._soft_deleted and first and is_googles and self._by_sdk.may_refuse_soft_deleted:
                self._ended = True
                return
            raise self._by_sdk.broken_off(_code(transfer), _reason(transfer))
        self._pages.append((page, self._clock()))
        if not page.next_page_token:
            self._ended = True
        elif not self._trail.leads_on(page.next_page_token):
            raise self._by_sdk.endless()
        else:
            self._asked = {"pageToken": page.next_page_token, **self._kind}
            self._list()

    def _list(self) -> None:
        if not self._listing and not self._ended and len(self._pages) < _PAGES_AHEAD:
            self._listing = True
            self._transfers.start(self._signer.page(self._by_sdk.url.removeprefix("gs://"), self._asked))

    def _columns(self, page: Page, at: datetime) -> pa.RecordBatch:
        try:
            return columns(page, at, self._populations, self._after, soft_deleted=self._soft_deleted)
        except NoPageError:
            raise self._by_sdk.no_object() from None


class _Signer:
    """Puts a bearer token on requests to one endpoint; of one thread."""

    def __init__(self, credentials: Any, base: str) -> None:
        self._credentials = credentials
        self._base = base
        self._headers: list[str] | None = None
        self._trusted = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or certifi.where()

    def page(self, bucket: str, asked: dict[str, str]) -> Transfer:
        """A request for one page of the listing."""
        query = urlencode({**asked, **_ALWAYS})
        url = f"{self._base}/storage/v1/b/{quote(bucket, safe='')}/o?{query}"
        return Transfer(("storage", "objects.list"), url)

    def sign(self, curl: Handle, transfer: Transfer) -> None:
        """Put credentials on a handle, renewed where they have run out.

        Raises:
            google.auth.exceptions.GoogleAuthError: they can not be renewed.
        """
        if self._headers is None or not self._credentials.valid:
            found: dict[str, str] = {}
            self._credentials.before_request(Request(), "GET", transfer.url, found)
            self._headers = [f"{name}: {value}" for name, value in found.items()]
        if curl.signed is not self._headers:
            curl.setopt(pycurl.HTTPHEADER, self._headers)
            curl.setopt(pycurl.CAINFO, self._trusted)
            curl.signed = self._headers

    def look(self, transfer: Transfer) -> Outcome:
        """Tell the outcome; what is no answer of Cloud Storage's to this request is asked for again."""
        if transfer.status == _SUCCESS:
            try:
                transfer.answer = parse_page(transfer.body)
            except NoPageError:
                return Outcome("malformed", again=True)
            return Outcome("ok")
        if transfer.status == _UNAUTHORIZED and transfer.attempts == 1 and self._headers:
            self._headers = None  # as the SDK does: a token may be revoked before its time
            return Outcome(_code(transfer), again=True)
        return Outcome(_code(transfer))


def _code(transfer: Transfer) -> str:
    if transfer.status == _SUCCESS:
        return "an answer that is none"
    return transfer.lost or f"HTTP {transfer.status}"


def _reason(transfer: Transfer) -> Reason:
    if transfer.lost:
        return Reason.MALFORMED if transfer.lost == TOO_LONG else Reason.TIMEOUT
    return Reason.MALFORMED if transfer.status == _SUCCESS else reason_of_status(transfer.status)
