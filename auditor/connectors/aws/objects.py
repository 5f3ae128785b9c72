"""S3 buckets through boto3: list every version, then HEAD each, because no listing tells the key."""

import itertools
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from auditor.connectors.aws.answers import MALFORMED
from auditor.connectors.aws.encryption import (
    CONTRADICTORY,
    Asked,
    Head,
    Told,
    is_amazons,
    is_archive,
    is_encrypted_by_amazon,
    parse_head,
)
from auditor.connectors.aws.errors import FAULTS, code_of, hint_for, reason_of
from auditor.connectors.aws.listing import LARGEST, is_alias, is_certain
from auditor.connectors.aws.names import is_plain, sibling
from auditor.connectors.aws.places import behind, decoded, is_garbled, readings
from auditor.connectors.aws.settings import BEFORE_ANY, full_name, parse_new_objects
from auditor.connectors.pace import Pace
from auditor.connectors.pages import pages
from auditor.connectors.shards import EVERYTHING, Order, one_after_the_other
from auditor.connectors.trail import Trail
from auditor.errors import CollectError
from auditor.model import (
    BucketFacts,
    Cloud,
    CloudCount,
    Encryption,
    Gap,
    Listing,
    NewObjects,
    Population,
    Reason,
    Requests,
    StoredObject,
)
from auditor.ports import Coming, Known, Shard

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

_HEADS_AT_ONCE: Final = 16
_PAGES_AHEAD: Final = 2
MOST_WAITING: Final = 50_000
"""Versions that may wait for a control; from then on the first of them stays unresolved."""
_CONTROLS: Final = 8
"""Versions that answered lately: one or the other may be deleted before it is asked again."""
_NOT_FOUND: Final = frozenset({"404", "405"})
"""Of a version: it is not there, or is a delete marker by now. Source: S3 API Reference, HeadObject."""
_KINDS: Final = ("Contents", "Versions", "DeleteMarkers")
_ENCODED: Final = frozenset({"Prefix", "Delimiter", "StartAfter", "KeyMarker"})
"""What a page repeats encoded. The places of a page stay as they are written."""
_NOT_ENCODED: Final = "none"
_BARE: Final = "400"
"""What HEAD answers without a body, and so without a code of the service's own."""


@dataclass(frozen=True, slots=True)
class Listed:
    """One version as a listing shows it."""

    name: str
    version: str | None
    newest: bool
    size: int
    modified: datetime
    etag: str | None
    storage_class: str


class S3Bucket:
    """One bucket; needs `s3:ListBucketVersions`, or `s3:ListBucket` for live objects alone, and `s3:GetObject*`.

    A HEAD needs no right on any key and says nothing about whether the data can be read.
    """

    def __init__(
        self,
        client: "S3Client",
        url: str,
        populations: tuple[Population, ...],
        pace: Pace,
        clock: Callable[[], datetime],
        *,
        counts: Callable[[str | None], CloudCount | Gap] | None = None,
    ) -> None:
        """`counts`: asks for the cloud's own count, in a Region; None: nobody wants to know."""
        self._counts = counts
        self._region: str | None = None
        self._markers: int | None = None
        self._client = client
        self._url = url
        self._bucket = url.removeprefix("s3://")
        self._populations = populations or (Population.LIVE, Population.NONCURRENT)
        self._pace = pace
        self._clock = clock
        events: Any = client.meta.events  # the stubs do not know what an event is called with
        events.register_first("request-created.s3", self._let_go)
        events.register("before-call.s3.ListObjectVersions", _as_it_is)

    def _let_go(self, request: Any, **_: Any) -> None:
        """Hold a request until its turn, before it is signed: the SDK makes some again, and some to find the bucket."""
        if request.context.get("cmek_bucket") == self._url:
            self._pace.wait()

    @property
    def url(self) -> str:
        """`s3://NAME`, as configured."""
        return self._url

    @property
    def endpoint(self) -> str:
        """Where it is asked."""
        return self._client.meta.endpoint_url

    @property
    def left_out(self) -> tuple[Population, ...]:
        """The populations that the bucket may have and the config leaves out."""
        return tuple(one for one in (Population.LIVE, Population.NONCURRENT) if one not in self._populations)

    def facts(self) -> BucketFacts | Gap:
        """Read Region, versioning and default key; a Gap when one of them is not readable."""
        permission = "s3:ListBucket"
        try:
            head = self._client.head_bucket(Bucket=self._bucket)
            region = head.get("BucketRegion") or head["ResponseMetadata"]["HTTPHeaders"].get("x-amz-bucket-region")
            permission = "s3:GetBucketVersioning"
            versioning = self._client.get_bucket_versioning(Bucket=self._bucket)
            permission = "s3:GetEncryptionConfiguration"
            new_objects = self._new_objects()
        except FAULTS as error:
            return Gap(
                self._url,
                reason_of(error),
                f"the bucket's settings are not known ({code_of(error)})",
                hint_for(reason_of(error), permission),
            )
        self._region = region
        return BucketFacts(
            url=self._url,
            cloud=Cloud.AWS,
            location=region,
            versioned=versioning.get("Status") in {"Enabled", "Suspended"},
            default_key=full_name(new_objects),
            new_objects=new_objects,
        )

    def _new_objects(self) -> NewObjects:
        try:
            return parse_new_objects(self._client.get_bucket_encryption(Bucket=self._bucket))
        except ClientError as error:
            if code_of(error) == "ServerSideEncryptionConfigurationNotFoundError":
                return BEFORE_ANY
            raise

    def borders(self, many: int, known: Sequence[str]) -> list[str]:  # noqa: ARG002 - as below
        """It is listed in one go."""
        return []

    def names_behind(self, name: str | None) -> list[str]:
        """The names on the first page behind one, of the configured populations.

        Raises:
            CollectError: it could not be read.
        """
        return [one.name for one in next(self._pages(Shard(name)), [])]

    def uploads_in_progress(self) -> int | Gap:
        """Count unfinished multipart uploads; their key is not knowable."""
        count = 0
        asked: dict[str, Any] = {}
        trail = Trail()
        try:
            while True:
                page = self._client.list_multipart_uploads(Bucket=self._bucket, EncodingType="url", **asked)
                found = page.get("Uploads", [])
                if self._is_of_others(page, asked):
                    return self._uncounted(Reason.MALFORMED, MALFORMED)
                count += len(found)
                if not page.get("IsTruncated"):
                    return count
                name, upload = page.get("NextKeyMarker") or "", page.get("NextUploadIdMarker")
                last = (found[-1].get("Key"), found[-1].get("UploadId")) if found else None
                encoded = page.get("EncodingType") == "url"
                # What names the last upload means just that.
                meant = readings(name, encoded=encoded)
                ends = meant & {decoded(one["Key"]) if encoded else one["Key"] for one in found[-1:]}
                if not ends and len(meant) > 1 and not is_amazons(self.endpoint):
                    # If it means the other, some are skipped.
                    return self._uncounted(Reason.MALFORMED, MALFORMED)
                name = behind(name, ends, encoded=encoded)
                back = not name or name < asked.get("KeyMarker", "")
                if back or not (trail.leads_on((name, upload)) and trail.gets_on(last)):
                    return self._uncounted(Reason.MALFORMED, MALFORMED)
                asked = {"KeyMarker": name, **({"UploadIdMarker": upload} if upload else {})}
        except FAULTS as error:
            return self._uncounted(reason_of(error), code_of(error))
        except (UnicodeDecodeError, TypeError, AttributeError):
            # A name that is no text, or a place that is told twice.
            return self._uncounted(Reason.MALFORMED, MALFORMED)

    def _is_of_others(self, page: Mapping[str, Any], asked: Mapping[str, str]) -> bool:
        """Whether a page of uploads is of another bucket, begins elsewhere than it was to, or leaves names out."""
        echoes = {"Bucket": self._bucket, "Prefix": "", "Delimiter": "", "KeyMarker": "", "UploadIdMarker": "", **asked}
        told = {name: str(page.get(name, due)) for name, due in echoes.items()}
        if is_alias(self._bucket):
            del told["Bucket"]
        return "CommonPrefixes" in page or any(
            echoes[name] not in readings(one, encoded=True) for name, one in told.items()
        )

    def _uncounted(self, reason: Reason, code: str) -> Gap:
        told = f"unfinished multipart uploads are not counted ({code})"
        return Gap(self._url, reason, told, hint_for(reason, "s3:ListBucketMultipartUploads"))

    @property
    def markers(self) -> int | None:
        """Delete markers that its last listing showed; None where versions were not listed."""
        return self._markers

    def cloud_count(self) -> CloudCount | Gap | None:
        """Ask CloudWatch, in the bucket's Region, how many objects it counts."""
        return self._counts(self._region or self._client.meta.region_name) if self._counts is not None else None

    def needs(self, stored: Mapping[Population, int], known: Known | None) -> Requests:  # noqa: ARG002 - it asks for each
        """Tell what a sweep of so many objects would ask, retries aside."""
        live_only = self._populations == (Population.LIVE,)
        shown = self._populations if live_only else (Population.LIVE, Population.NONCURRENT)
        listed, heads = (sum(stored.get(one, 0) for one in group) for group in (shown, self._populations))
        # One page of uploads; HeadBucket, GetBucketVersioning and GetBucketEncryption.
        return Requests(lists=pages(listed) + 1, heads=heads, others=3)

    @property
    def listings(self) -> tuple[Listing, ...]:
        """One pass shows them all."""
        return (Listing.STORED,)

    def shards(
        self,
        listing: Listing,  # noqa: ARG002 - there is one pass
        shards: Sequence[Shard],
        known: Known | None = None,  # noqa: ARG002 - each version is asked
        *,
        split: bool = True,  # noqa: ARG002 - one is listed after the other
    ) -> Iterator[tuple[Shard, Coming]]:
        """Yield every stored version in some shards once, of every configured population.

        Raises:
            OrderError: names do not come in the order that shards need.
            CollectError: a page could not be read, so the listing is not complete.
        """
        heads = self._heads()
        self._markers = None
        return one_after_the_other(shards, lambda shard: self._objects(shard, heads))

    def objects(self, shard: Shard = EVERYTHING) -> Iterator[StoredObject]:
        """Yield all behind the beginning of a shard one by one, in the order of the listing.

        Raises:
            OrderError: names do not come in order, and the shard is not everything.
            CollectError: a page could not be read, so the listing is not complete.
        """
        return self._objects(shard, self._heads())

    def _heads(self) -> "_Heads":
        return _Heads(self._client, self._bucket, self._clock, versions=self._populations != (Population.LIVE,))

    def _objects(self, shard: Shard, heads: "_Heads") -> Iterator[StoredObject]:
        heads.begin()
        with ThreadPoolExecutor(_HEADS_AT_ONCE) as pool:
            ahead: deque[list[Future[StoredObject | _Undecided | None]]] = deque()
            try:
                for page in self._pages(shard):
                    ahead.append([pool.submit(heads.learn, one) for one in page])
                    if len(ahead) > _PAGES_AHEAD:
                        yield from heads.settle(ahead.popleft())
                while ahead:
                    yield from heads.settle(ahead.popleft())
                yield from heads.rest()
            finally:
                pool.shutdown(wait=False, cancel_futures=True)

    def _pages(self, shard: Shard) -> Iterator[list[Listed]]:
        after = shard.after
        order = Order(shard, self._url)
        pages = self._live_pages(after) if self._populations == (Population.LIVE,) else self._version_pages(after)
        try:
            for page in pages:
                order.follow(one.name for one in page)
                yield [one for one in page if one.name != after]
        except FAULTS as error:
            raise self.broken_off(code_of(error), reason_of(error)) from None
        except (ValueError, KeyError, TypeError, AttributeError):
            # An entry that says what no object can say, or leaves out what every object has.
            raise self.broken_off(MALFORMED, Reason.MALFORMED) from None

    def _live_pages(self, after: str | None) -> Iterator[list[Listed]]:
        more = {} if after is None else {"StartAfter": after}
        trail = Trail()
        while True:
            page = _read(self._client.list_objects_v2(Bucket=self._bucket, EncodingType="url", **more))  # type: ignore[arg-type]  # one optional text
            self._check(page, {"ContinuationToken": "", **more}, [one["Key"] for one in page.get("Contents", [])])
            yield [parse_listed(one, newest=True, versioned=False) for one in page.get("Contents", [])]
            if not page.get("IsTruncated"):
                return
            token = page.get("NextContinuationToken")
            if not (token and trail.leads_on(token) and trail.gets_on(_end_of(page.get("Contents", [])))):
                raise self.endless()
            more = {"ContinuationToken": token}

    def _version_pages(self, after: str | None) -> Iterator[list[Listed]]:
        more = {} if after is None else {"KeyMarker": after}
        trail = Trail()
        while True:
            page = self._page_of_versions(more)
            self._markers = (self._markers or 0) + len(page.get("DeleteMarkers", []))
            versions = (parse_listed(one, newest=one["IsLatest"], versioned=True) for one in page.get("Versions", []))
            yield [one for one in versions if _population(one) in self._populations]
            if not page.get("IsTruncated"):
                return
            name, version = page.get("NextKeyMarker") or "", page.get("NextVersionIdMarker") or ""
            kinds = page.get("Versions", []), page.get("DeleteMarkers", [])
            encoded = page.get("EncodingType") == "url"
            ends = [some[-1]["Key"] for some in kinds if some]
            if name and ends:
                told, name = readings(name, encoded=encoded), behind(name, ends, encoded=encoded)
                version = (version if name in told else "") or _last_version(name, *kinds)
            elif name and not version:
                # Behind the name alone, versions of it would be skipped that are not listed yet.
                raise self.broken_off(MALFORMED, Reason.MALFORMED)
            elif name:
                name = behind(name, (), encoded=encoded)
            if not (name and trail.leads_on((name, version)) and trail.gets_on(_end_of(*kinds))):
                raise self.endless()
            more = {"KeyMarker": name, **({"VersionIdMarker": version} if version else {})}

    def _page_of_versions(self, more: Mapping[str, str]) -> Mapping[str, Any]:
        """One page, asked for again where it has no entry to tell by whether the place is encoded where it goes on."""
        page = self._ask_for_versions(more, "url")
        if not _is_doubtful(page) or is_amazons(self.endpoint):
            return page
        page = self._ask_for_versions(more, _NOT_ENCODED)
        names = [one["Key"] for one in (*page.get("Versions", []), *page.get("DeleteMarkers", []))]
        if _is_doubtful(page) or is_garbled(*names, page.get("NextKeyMarker") or ""):
            raise self.broken_off(MALFORMED, Reason.MALFORMED)
        return page

    def _ask_for_versions(self, more: Mapping[str, str], encoding: str) -> Mapping[str, Any]:
        client: Any = self._client  # the stubs know but one encoding
        page: Mapping[str, Any] = _read(client.list_object_versions(Bucket=self._bucket, EncodingType=encoding, **more))
        asked = {"KeyMarker": "", "VersionIdMarker": "", **more}
        self._check(page, asked, [one["Key"] for one in page.get("Versions", [])])
        return page

    def _check(self, page: Mapping[str, Any], asked: Mapping[str, str], names: Sequence[str]) -> None:
        """Refuse a page that begins elsewhere than it was to, leaves names out, or says another number of entries."""
        echoes = {"Prefix": "", "Delimiter": "", "StartAfter": "", **asked}
        told = page.get("Name")
        encoded = page.get("EncodingType") == "url"
        # Ceph encodes names and repeats what was asked as it was.
        elsewhere = any(
            due not in readings(page.get(name, due), encoded=encoded and name in _ENCODED)
            for name, due in echoes.items()
        )
        another = told != self._bucket and not (told and is_alias(self._bucket))
        before = bool(names) and min(names) < asked.get("KeyMarker", "")
        if elsewhere or another or before or "CommonPrefixes" in page or page.get("KeyCount", len(names)) != len(names):
            raise self.broken_off(MALFORMED, Reason.MALFORMED)

    def endless(self) -> CollectError:
        """What a listing ends with that would never end."""
        return CollectError(
            f"cannot list {self._url}: its pages say that there is more, and lead nowhere",
            "sweep again; if it stays so, report it to the storage's operator",
            reason=Reason.MALFORMED,
        )

    def broken_off(self, code: str, reason: Reason) -> CollectError:
        """What a listing ends with that did not reach its last page."""
        live_only = self._populations == (Population.LIVE,)
        permission = "s3:ListBucket" if live_only else "s3:ListBucketVersions"
        return CollectError(
            f"cannot list {self._url}: {code}; an older whole sweep, if any, stays in force",
            hint_for(reason, permission),
            reason=reason,
        )


@dataclass(frozen=True, slots=True)
class _Undecided:
    """A bare 400: a customer's own key, expired credentials or a wrong Region; only a control HEAD can tell."""

    listed: Listed
    unresolved: StoredObject


class _Heads:
    """HEADs of one sweep and the control object that tells a customer's key from bad credentials."""

    def __init__(self, client: "S3Client", bucket: str, clock: Callable[[], datetime], *, versions: bool) -> None:
        self._client = client
        self._bucket = bucket
        self._versions = versions
        self._clock = clock
        self._lock = threading.Lock()
        self._controls: tuple[Listed, ...] = ()
        """Replaced as a whole: other threads look through it meanwhile."""
        self._waiting: deque[_Undecided | StoredObject] = deque()
        """The first cannot be decided yet, and nothing overtakes it: parts of a sweep rely on the order of names."""
        self._refused: Reason | None = None
        """Why the last that was known to answer did not."""

    def begin(self) -> None:
        """Begin with another shard; who answered in the one before it may do so again."""
        self._waiting.clear()

    def learn(self, listed: Listed) -> "StoredObject | _Undecided | None":
        """HEAD one version; a failure leaves it unresolved, never lost. None for one that was deleted meanwhile."""
        plain = _unresolved(listed, Reason.TIMEOUT)
        try:
            told = self._head(listed)
        except FAULTS as error:
            if code_of(error) == _BARE:
                return _Undecided(listed, replace(plain, problem=Reason.UNSUPPORTED))
            if code_of(error) in _NOT_FOUND and self._is_gone(listed):
                return None
            return replace(plain, problem=reason_of(error))
        with self._lock:
            self._controls = (*self._controls, listed)[-_CONTROLS:]
        self._refused = None
        return self._headed(listed, told)

    def settle(self, page: "list[Future[StoredObject | _Undecided | None]]") -> Iterator[StoredObject]:
        """Yield the objects of pages in their order; from the first undecided one on, all wait for a control."""
        for future in page:
            found = future.result()
            if isinstance(found, _Undecided) or (found is not None and self._waiting):
                self._waiting.append(found)
            elif found is not None:
                yield found
            yield from self._until_undecided()

    def rest(self) -> Iterator[StoredObject]:
        """Yield those that wait still: without any control, undecided ones stay unresolved."""
        while self._waiting:
            yield from self._settled(self._waiting.popleft())

    def _until_undecided(self) -> Iterator[StoredObject]:
        while self._waiting and (
            self._controls or isinstance(self._waiting[0], StoredObject) or len(self._waiting) > MOST_WAITING
        ):
            yield from self._settled(self._waiting.popleft())

    def _settled(self, one: "StoredObject | _Undecided") -> Iterator[StoredObject]:
        if isinstance(one, StoredObject):
            yield one
        elif self._controls:
            yield from self._decided(one)
        else:
            yield replace(one.unresolved, problem=self._refused or one.unresolved.problem)

    def _decided(self, found: _Undecided) -> Iterator[StoredObject]:
        one = self._decide(found)
        if one is not None:
            yield one

    def _decide(self, found: _Undecided) -> StoredObject | None:
        """Ask for an object that is known to answer, then again: the same credentials, the same Region.

        What is refused while another is answered in between wants the key of whoever wrote it.
        """
        problem = self._ask_a_control()
        if problem is not None:
            return replace(found.unresolved, problem=problem)
        try:
            return self._headed(found.listed, self._head(found.listed))
        except FAULTS as error:
            if code_of(error) in _NOT_FOUND and self._is_gone(found.listed):
                return None
            if code_of(error) != _BARE:
                return replace(found.unresolved, problem=reason_of(error))
            if not _has_number(error):
                return replace(found.unresolved, problem=Reason.MALFORMED)
        # Credentials may have run out in between: then it is refused like everybody.
        problem = self._ask_a_control()
        if problem is not None:
            return replace(found.unresolved, problem=problem)
        problem = self._ask_for_sibling(found.listed.name)
        if problem is not None:
            return replace(found.unresolved, problem=problem)
        return replace(found.unresolved, encryption=Encryption.CUSTOMER_SUPPLIED, problem=None, verified=self._clock())

    def _ask_a_control(self) -> Reason | None:
        """Why those that are known to answer do not; None where one does."""
        while controls := self._controls:
            control = controls[-1]
            try:
                self._head(control)
            except FAULTS as error:
                # That it was deleted, overwritten or throttled meanwhile says nothing of others. Another thread may
                # have seen that as well.
                with self._lock:
                    self._controls = tuple(one for one in self._controls if one is not control)
                if code_of(error) not in _NOT_FOUND:
                    self._refused = Reason.EXPIRED_CREDENTIALS if code_of(error) == _BARE else reason_of(error)
            else:
                return None
        return self._refused or Reason.UNSUPPORTED

    def _ask_for_sibling(self, name: str) -> Reason | None:
        """Why a name much like it, that is not there, is not just not found; None where it is not the name's fault."""
        if is_plain(name):
            return None
        try:
            self._client.head_object(Bucket=self._bucket, Key=sibling(name))
        except FAULTS as error:
            if code_of(error) == "404":
                return None
            return Reason.UNSUPPORTED if code_of(error) == _BARE else reason_of(error)
        return Reason.MALFORMED

    def _is_gone(self, listed: Listed) -> bool:
        """Whether a version that HEAD did not find is not listed any more either: then it hangs on no key."""
        page = self._page_about(listed)
        return page is not None and _is_gone(page, listed)

    def _page_about(self, listed: Listed) -> "_About | None":
        """List a name once more; None where that tells nothing of it."""
        most = 1000 if self._versions else 1
        where = {"Bucket": self._bucket, "Prefix": listed.name, "MaxKeys": most, "EncodingType": "url"}
        client: Any = self._client  # the stubs tell the two answers apart, which are read alike here
        try:
            if self._versions:
                page = _read(client.list_object_versions(**where))
                found = [parse_listed(one, newest=True, versioned=True) for one in page.get("Versions", [])]
            else:
                page = _read(client.list_objects_v2(**where))
                found = [parse_listed(one, newest=True, versioned=False) for one in page.get("Contents", [])]
        except (*FAULTS, ValueError, KeyError, AttributeError):
            return None
        another = page.get("Name") != self._bucket and not is_alias(self._bucket)
        others = listed.name not in readings(page.get("Prefix") or "", encoded=page.get("EncodingType") == "url")
        rolled_up = bool(page.get("Delimiter")) or "CommonPrefixes" in page
        if another or others or rolled_up or page.get("MaxKeys", most) != most:
            return None
        return _About(found, bool(page["IsTruncated"]))

    def _headed(self, listed: Listed, answer: Mapping[str, Any]) -> StoredObject | None:
        """Put what HEAD says beside what the listing says; None where it was deleted meanwhile."""
        encrypted = is_encrypted_by_amazon(self._client.meta.endpoint_url, listed.modified.isoformat())
        head = parse_head(answer)
        told = head.about(Asked(listed.etag, listed.version, listed.size, encrypted))
        if told is None:
            page = self._page_about(listed)
            if page is not None and _is_gone(page, listed):
                return None
            told = head.told if page is not None and _is_listed(page, listed, head) else CONTRADICTORY
        return headed(listed, told, self._clock())

    def _head(self, listed: Listed) -> Mapping[str, Any]:
        if listed.version is None:
            return self._client.head_object(Bucket=self._bucket, Key=listed.name)
        return self._client.head_object(Bucket=self._bucket, Key=listed.name, VersionId=listed.version)


@dataclass(frozen=True, slots=True)
class _About:
    """A page of the names that begin with one."""

    found: list[Listed]
    truncated: bool


def _is_gone(page: _About, listed: Listed) -> bool:
    """Whether the page shows that a version is not there any more."""
    names = [one.name for one in page.found]
    to_its_end = not page.truncated or any(name != listed.name for name in names)
    about_it = is_certain(listed.name) and all(name.startswith(listed.name) for name in names)
    there = any(one.name == listed.name and listed.version in {None, one.version} for one in page.found)
    return about_it and to_its_end and not there


def _is_listed(page: _About, listed: Listed, head: Head) -> bool:
    """Whether the page lists a version as HEAD describes it."""
    described = listed.name, head.etag
    mine = [one for one in page.found if listed.version in {None, one.version}]
    return any((one.name, one.etag) == described and head.size in {None, one.size} for one in mine)


def _as_it_is(params: dict[str, Any], **_: Any) -> None:
    """Ask for names that are not encoded by asking for no encoding: without this the SDK asks for one by itself."""
    if params["query_string"].get("encoding-type") == _NOT_ENCODED:
        del params["query_string"]["encoding-type"]


def _is_doubtful(page: Mapping[str, Any]) -> bool:
    """Whether a page has no entry, and may go on behind one name or another."""
    empty = page.get("IsTruncated") and not page.get("Versions") and not page.get("DeleteMarkers")
    return bool(empty) and len(readings(page.get("NextKeyMarker") or "", encoded=page.get("EncodingType") == "url")) > 1


def _read(page: Any) -> Any:
    """A page with its entries' names as they are: what is asked to be encoded, the SDK leaves so.

    Raises:
        UnicodeDecodeError: a name is no text.
    """
    if page.get("EncodingType") == "url":
        for one in itertools.chain(*(page.get(kind, ()) for kind in _KINDS)):
            one["Key"] = decoded(one["Key"])
    return page


def _has_number(error: Exception) -> bool:
    """Whether it is the service's own refusal: one that somebody on the way makes has no number."""
    told: Mapping[str, Any] = error.response if isinstance(error, ClientError) else {}
    return "x-amz-request-id" in told.get("ResponseMetadata", {}).get("HTTPHeaders", {})


def _end_of(*kinds: Sequence[Mapping[str, Any]]) -> tuple[object, ...] | None:
    """The last entry of each kind on a page; None where it has none of any."""
    return tuple((some[-1].get("Key"), some[-1].get("VersionId")) for some in kinds if some) or None


def _last_version(name: str, *kinds: Sequence[Mapping[str, Any]]) -> str:
    """The last version of a name on a page, or one before it: what is listed behind that one comes again."""
    ends = [some[-1] for some in kinds if some and some[-1]["Key"] == name]
    oldest = min(ends, key=lambda one: one["LastModified"], default=None)
    return str(oldest.get("VersionId") or "") if oldest is not None else ""


def parse_listed(told: Mapping[str, Any], *, newest: bool, versioned: bool) -> Listed:
    """Read one entry of a listing.

    Raises:
        ValueError: it says what no object can say.
    """
    if not 0 <= told["Size"] <= LARGEST:
        raise ValueError("a size that no object has")
    return Listed(
        name=told["Key"],
        version=told.get("VersionId") or None if versioned else None,
        newest=newest,
        size=told["Size"],
        modified=told["LastModified"].astimezone(UTC),
        etag=str(told["ETag"]).strip('"') if told.get("ETag") else None,
        storage_class=told.get("StorageClass") or "STANDARD",
    )


def headed(listed: Listed, told: Told, at: datetime) -> StoredObject:
    """Put what HEAD told of one version beside what the listing says."""
    return replace(
        _unresolved(listed, told.problem),
        archived=told.is_archived(listed.storage_class),
        encryption=told.encryption,
        key=told.key,
        verified=at if told.problem is None else None,
    )


def _population(listed: Listed) -> Population:
    return Population.LIVE if listed.newest else Population.NONCURRENT


def _unresolved(listed: Listed, problem: Reason | None) -> StoredObject:
    return StoredObject(
        name=listed.name,
        version=listed.version,
        population=_population(listed),
        size=listed.size,
        modified=listed.modified,
        etag=listed.etag,
        storage_class=listed.storage_class,
        archived=is_archive(listed.storage_class),
        encryption=Encryption.UNKNOWN,
        key=None,
        key_version=None,
        verified=None,
        problem=problem,
    )
