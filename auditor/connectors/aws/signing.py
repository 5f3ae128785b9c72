"""Requests to one S3 bucket, who signs them, and what their answers are worth."""

import re
import time
from collections.abc import Callable
from typing import Final
from urllib.parse import quote, urlencode, urlsplit

import pycurl
from botocore.credentials import Credentials, ReadOnlyCredentials

from auditor.connectors.aws.answers import MALFORMED
from auditor.connectors.aws.encryption import parse_headers
from auditor.connectors.aws.listing import NoPageError, parse_page
from auditor.connectors.aws.sheets import Sheet
from auditor.connectors.aws.signature import HeadSignature
from auditor.connectors.transfers import Handle, Outcome, Transfer

_SUCCESS: Final = 200
_LOOK_AGAIN: Final = 1.0
"""Seconds after which the SDK is asked whether the credentials have been renewed."""
_DOTS: Final = frozenset({".", ".."})
_SAFE: Final = "/-_.~"
_PLAIN: Final = re.compile(r"[A-Za-z0-9/_.~-]*")
"""Names that a path holds as they are; most do, and this is quicker than to quote them."""
_SAFE_IN_QUERY: Final = "-_.~"
_CODE: Final = (b"<Code>", b"</Code>")
_OK: Final = Outcome("ok")
_NONE: Final = Outcome(MALFORMED, again=True)


class S3Signer:
    """Signs for one bucket; of one thread."""

    def __init__(
        self,
        credentials: Credentials,
        bucket: str,
        place: tuple[str, str],
        clock: Callable[[], float] = time.monotonic,
        *,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._credentials = credentials
        self._bucket = bucket
        self.moved(*place)
        self._clock = clock
        self._wall = now
        self.whole = True
        """Every page of the listing is decoded at once."""

    def moved(self, base: str, region: str) -> None:
        """The bucket is in another Region than it was thought to be."""
        self.base, self._region = base, region
        self._root = base if urlsplit(base).path else f"{base}/"
        self._looked = -_LOOK_AGAIN
        self._frozen: ReadOnlyCredentials | None = None
        self._second = -1
        self._signature: HeadSignature | None = None

    def page(self, asked: dict[str, str], *, versions: bool, tag: object = None, encoded: bool = True) -> Transfer:
        """A request for one page: of the listing, a `Sheet`; of what begins with a `prefix`, a `Page`."""
        kind = {"versions": ""} if versions else {"list-type": "2"}
        operation = ("s3", "ListObjectVersions" if versions else "ListObjectsV2")
        encoding = {"encoding-type": "url"} if encoded else {}
        query = urlencode({**kind, **encoding, **asked}, quote_via=quote, safe=_SAFE_IN_QUERY)
        return Transfer(operation, f"{self._root}?{query}", tag, asked=asked)

    def version(self, name: str, version: str | None, tag: object = None) -> Transfer:
        """A HEAD of one version of an object."""
        url = f"{self.base}/{name if _PLAIN.fullmatch(name) else quote(name, safe=_SAFE)}"
        if version is not None:
            url = f"{url}?versionId={quote(version, safe=_SAFE_IN_QUERY)}"
        as_is = "." in name and not _DOTS.isdisjoint(name.split("/"))
        return Transfer(("s3", "HeadObject"), url, tag, head=True, as_is=as_is)

    def sign(self, curl: Handle, transfer: Transfer) -> None:
        """Put credentials on a handle."""
        frozen = self._now()
        if transfer.head:
            curl.setopt(pycurl.HTTPHEADER, self._signing(frozen).headers(transfer.url))
        elif curl.signed != (frozen, self._region):
            curl.setopt(pycurl.AWS_SIGV4, f"aws:amz:{self._region}:s3")
            curl.setopt(pycurl.USERNAME, frozen.access_key)
            curl.setopt(pycurl.PASSWORD, frozen.secret_key)
            if frozen.token:
                curl.setopt(pycurl.HTTPHEADER, [f"x-amz-security-token: {frozen.token}"])
            else:
                # An empty list would change nothing.
                curl.unsetopt(pycurl.HTTPHEADER)
            curl.signed = frozen, self._region

    def look(self, transfer: Transfer) -> Outcome:
        """Tell the outcome; what is no answer of S3's to this request is asked for again."""
        if transfer.status == _SUCCESS:
            transfer.answer = parse_headers(transfer.headers) if transfer.head else self._page(transfer)
            return _OK if transfer.answer is not None else _NONE
        return Outcome(code_of(transfer))

    def _page(self, transfer: Transfer) -> object:
        versions = transfer.operation[1] == "ListObjectVersions"
        try:
            if "prefix" in transfer.asked:
                return parse_page(transfer.body, self._bucket, versions=versions, asked=transfer.asked)
            return Sheet(transfer.body, self._bucket, versions=versions, asked=transfer.asked, whole=self.whole)
        except NoPageError:
            return None

    def _now(self) -> ReadOnlyCredentials:
        now = self._clock()
        if self._frozen is None or now - self._looked >= _LOOK_AGAIN:
            self._looked = now
            found = self._credentials.get_frozen_credentials()
            if self._frozen is None or found != self._frozen:
                self._frozen = found
                self._signature = None
        return self._frozen

    def _signing(self, frozen: ReadOnlyCredentials) -> HeadSignature:
        second = int(self._wall())
        if self._signature is None or second != self._second:
            self._second = second
            self._signature = HeadSignature(frozen, self._region, self.base, second)
        return self._signature


def code_of(transfer: Transfer) -> str:
    """The service's own code, else the status in words as the SDK has it; never free text."""
    if transfer.lost:
        return transfer.lost
    if transfer.status == _SUCCESS:
        return MALFORMED
    _, start, rest = transfer.body.partition(_CODE[0])
    code, end, _ = rest.partition(_CODE[1])
    if start and end and len(code) <= 64 and code.isalnum():  # noqa: PLR2004 - no code of S3's is longer
        return code.decode("ascii", "replace")
    return str(transfer.status)
