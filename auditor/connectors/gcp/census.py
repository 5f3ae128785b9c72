"""A Cloud Storage bucket through libcurl: one page carries the key versions of a thousand objects."""

import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from urllib.parse import quote, urlencode, urlsplit

import certifi
import msgspec
import pyarrow as pa
import pycurl
from google.auth.exceptions import GoogleAuthError
from google.auth.transport.requests import Request

from auditor.connectors.borders import borders
from auditor.connectors.gcp.errors import code_of, reason_of, reason_of_status, status_in
from auditor.connectors.gcp.listing import FIELDS, NoPageError, Page, columns, parse_page
from auditor.connectors.gcp.objects import GcsBucket
from auditor.connectors.gcp.session import GcpClients
from auditor.connectors.shards import STREAMS, Shards
from auditor.connectors.trail import Trail
from auditor.connectors.transfers import TOO_LONG, Handle, Outcome, Transfer, Transfers
from auditor.errors import OrderError
from auditor.model import BucketFacts, CloudCount, Gap, Listing, Population, Reason, Requests
from auditor.ports import Coming, Known, Shard
from auditor.rows import Done

_STORAGE: Final = "https://storage.googleapis.com"
_ALWAYS: Final = {"fields": FIELDS, "maxResults": "1000", "projection": "noAcl", "prettyPrint": "false"}
_GOOGLE: Final = ".googleapis.com"
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
        streams: int | None = None,
    ) -> None:
        self._streams = streams
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

    def borders(self, many: int, known: Sequence[str]) -> list[str]:
        """Names that cut the bucket into so many shards at most; none where nobody knows in which order it lists.

        Raises:
            CollectError: a page could not be read.
        """
        return borders(many, known, self._by_sdk.names_behind) if self._most_streams > 1 else []

    @property
    def _most_streams(self) -> int:
        host = urlsplit(self._clients.endpoint or _STORAGE).hostname or ""
        return self._streams or (STREAMS if host.endswith(_GOOGLE) else 1)

    def uploads_in_progress(self) -> int | Gap:
        """Count unfinished multipart uploads of the XML API, the only ones that can be listed."""
        return self._by_sdk.uploads_in_progress()

    @property
    def markers(self) -> None:
        """There are none."""

    def cloud_count(self) -> CloudCount | Gap | None:
        """Ask Cloud Monitoring how many objects it counts."""
        return self._by_sdk.cloud_count()

    def needs(self, stored: Mapping[Population, int], known: Known | None) -> Requests:
        """Tell what a sweep of so many objects would ask, retries aside."""
        return self._by_sdk.needs(stored, known)

    @property
    def listings(self) -> tuple[Listing, ...]:
        """One after the other: what is deleted while the first pass runs is there for the second."""
        return self._by_sdk.listings

    def shards(
        self,
        listing: Listing,
        shards: Sequence[Shard],
        known: Known | None = None,  # noqa: ARG002 - every page tells the keys
        *,
        split: bool = True,
    ) -> Iterator[tuple[Shard, Coming]]:
        """Yield every stored generation in some shards once, of the configured populations.

        Raises:
            OrderError: names do not come in the order that shards need.
            CollectError: a page could not be read, so the listing is not complete.
        """
        clients = self._clients
        base = clients.endpoint or _STORAGE
        signer = _Signer(clients.credentials(self._project), base)
        transfers = Transfers(
            signer,
            clients.wire,
            ceiling=self._ceiling,
            agent=clients.agent,
            certificates=_certificates(),
            bucket=self.url,
        )
        # What is false is not sent: the two may not be combined.
        kind = {"softDeleted": "true"} if listing is Listing.SOFT_DELETED else {"versions": "true"}
        if listing is Listing.STORED and self._populations == (Population.LIVE,):
            kind = {}
        plan = Shards(shards, streams=self._most_streams if split else 1)
        about = _Pass(self._by_sdk, self._populations, self._clock, signer, transfers, kind)
        try:
            yield from about.shards(plan)
        except GoogleAuthError as error:
            raise self._by_sdk.broken_off(code_of(error), reason_of(error)) from None
        finally:
            transfers.close()


@dataclass(slots=True)
class _Pass:
    """One listing, of which several shards may be listed at once."""

    by_sdk: GcsBucket
    populations: tuple[Population, ...]
    clock: Callable[[], datetime]
    signer: "_Signer"
    transfers: Transfers
    kind: dict[str, str]
    """Which of its listings it is."""

    @property
    def soft_deleted(self) -> bool:
        """It lists what is deleted and can be restored."""
        return "softDeleted" in self.kind

    def shards(self, plan: Shards) -> Iterator[tuple[Shard, Coming]]:
        """Yield the rows of all shards, page by page, now of one and then of another."""
        runs: list[_Run] = []
        while True:
            while (shard := plan.following(runs)) is not None:
                runs.append(_Run(self, shard))
            if not runs:
                return
            for run in tuple(runs):
                if (batch := run.out()) is not None:
                    yield run.shard, batch
                if run.done:
                    runs.remove(run)
                    yield run.shard, Done()
            if any(run.has_page for run in runs):
                continue
            for transfer in self.transfers.settled() if runs else ():
                assert isinstance(transfer.tag, _Run)  # noqa: S101 - whatever is asked, a run asks for it
                transfer.tag.take(transfer, plan)


class _Run:
    """One shard from its first page to its last."""

    def __init__(self, about: _Pass, shard: Shard) -> None:
        self.shard = shard
        self.at: str | None = None
        self.pages = 0
        self.ended = False
        self._about = about
        self._after = shard.after
        self._kind = about.kind if shard.after is None else {**about.kind, "startOffset": shard.after}
        self._asked = self._kind
        self._trail = Trail()
        self._waiting: deque[tuple[Page, datetime]] = deque()
        self._listing = False
        self._list()

    @property
    def has_page(self) -> bool:
        """A page waits to leave."""
        return bool(self._waiting)

    @property
    def done(self) -> bool:
        """Everything has left."""
        return self.ended and not self._waiting

    def take(self, transfer: Transfer, plan: Shards) -> None:
        """One page has come, or will not."""
        self._listing = False
        about, page = self._about, transfer.answer
        if not isinstance(page, Page):
            is_googles = transfer.status == _BAD_REQUEST and status_in(transfer.body) is not None
            first = self._asked is self._kind and is_googles
            if about.soft_deleted and first and about.by_sdk.may_refuse_soft_deleted(self._after):
                self.ended = True
                return
            raise about.by_sdk.broken_off(_code(transfer), _reason(transfer))
        after, until = self._after, self.shard.until
        if after is not None and any(one.name < after for one in page.items):
            raise OrderError(about.by_sdk.url)
        if until is not None and any(one.name > until for one in page.items):
            within = [one for one in page.items if one.name <= until]
            page = msgspec.structs.replace(page, items=within, next_page_token=None)
        plan.listed(self, page.items[-1].name if page.items else None)
        self._waiting.append((page, about.clock()))
        if not page.next_page_token:
            self.ended = True
        elif not (self._trail.leads_on(page.next_page_token) and self._trail.gets_on(_end_of(page))):
            raise about.by_sdk.endless()
        else:
            self._asked = {"pageToken": page.next_page_token, **self._kind}
            self._list()

    def out(self) -> pa.RecordBatch | None:
        """The rows of one page, if one has come and has some."""
        if not self._waiting:
            return None
        page, at = self._waiting.popleft()
        self._list()
        about = self._about
        try:
            batch = columns(page, at, about.populations, self._after, soft_deleted=about.soft_deleted)
        except NoPageError:
            raise about.by_sdk.no_object() from None
        return batch if batch.num_rows else None

    def _list(self) -> None:
        if not self._listing and not self.ended and len(self._waiting) < _PAGES_AHEAD:
            self._listing = True
            about = self._about
            asked = about.signer.page(about.by_sdk.url.removeprefix("gs://"), self._asked, self)
            about.transfers.start(asked)


def _end_of(page: Page) -> tuple[object, ...] | None:
    """The last entry of a page; None where it has none."""
    return (page.items[-1].name, page.items[-1].generation) if page.items else None


def _certificates() -> str:
    """File of the certificates that are trusted, as the SDK would choose it."""
    return os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or certifi.where()


class _Signer:
    """Puts a bearer token on requests to one endpoint; of one thread."""

    def __init__(self, credentials: Any, base: str) -> None:
        self._credentials = credentials
        self._base = base
        self._headers: list[str] | None = None
        self._refused = False
        """A token that is valid by its date was refused."""

    def page(self, bucket: str, asked: dict[str, str], tag: object) -> Transfer:
        """A request for one page of the listing."""
        query = urlencode({**asked, **_ALWAYS})
        url = f"{self._base}/storage/v1/b/{quote(bucket, safe='')}/o?{query}"
        return Transfer(("storage", "objects.list"), url, tag)

    def sign(self, curl: Handle, transfer: Transfer) -> None:
        """Put credentials on a handle, renewed where they have run out.

        Raises:
            google.auth.exceptions.GoogleAuthError: they can not be renewed.
        """
        if self._refused:
            # Though it is valid by its date: as the SDK does.
            self._refused = False
            with suppress(GoogleAuthError):  # some cannot be renewed: then it is refused again, and told
                self._credentials.refresh(Request())
        if self._headers is None or not self._credentials.valid:
            found: dict[str, str] = {}
            self._credentials.before_request(Request(), "GET", transfer.url, found)
            self._headers = [f"{name}: {value}" for name, value in found.items()]
        if curl.signed is not self._headers:
            curl.setopt(pycurl.HTTPHEADER, self._headers)
            curl.signed = self._headers

    def look(self, transfer: Transfer) -> Outcome:
        """Tell the outcome; what is no answer of Cloud Storage's to this request is asked for again."""
        if transfer.status == _SUCCESS:
            try:
                transfer.answer = parse_page(transfer.body)
            except NoPageError:
                return Outcome("malformed", again=True)
            return Outcome("ok")
        if transfer.status == _UNAUTHORIZED and not transfer.renewed:
            # Several requests may be out with the token that was refused first: it is renewed once.
            self._refused = self._refused or self._headers is not None
            self._headers = None
            transfer.renewed = True
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
