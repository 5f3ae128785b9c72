"""Cloud Storage buckets: one listing page carries the key version of a thousand objects."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from typing import Any, Final

import msgspec
import pyarrow as pa
from google.api_core import exceptions as api
from google.cloud.storage import Client
from google.cloud.storage.retry import DEFAULT_RETRY

from auditor import rows
from auditor.connectors.gcp.errors import FAULTS, code_of, hint_for, reason_of, status_of
from auditor.connectors.gcp.listing import FIELDS, LARGEST, Item
from auditor.connectors.gcp.settings import parse_data_locations, parse_new_objects
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
    KeyName,
    Listing,
    Population,
    Reason,
    Requests,
    StoredObject,
    split_version,
)
from auditor.ports import Coming, Known, Shard

_PAGE: Final = 1000
_TIMEOUT: Final = 60
_RETRY: Final = DEFAULT_RETRY.with_timeout(60.0)
"""How long, in seconds, one page is asked for again after 429, 503 and lost connections."""


class GcsBucket:
    """One bucket; needs `storage.objects.list`, and no right on any key, to see which key version each object names."""

    def __init__(
        self,
        client: Client,
        url: str,
        populations: tuple[Population, ...],
        pace: Pace,
        *,
        clock: Callable[[], datetime],
        uploads: Callable[[str, Pace], int],
        counts: Callable[[str | None], CloudCount | Gap] | None = None,
    ) -> None:
        """`counts`: asks for the cloud's own count, in a project; None: nobody wants to know."""
        self._counts = counts
        self._project: str | None = None
        self._client = client
        self._uploads = uploads
        self._url = url
        self._bucket = client.bucket(url.removeprefix("gs://"))
        self._populations = populations or tuple(Population)
        self._pace = pace
        self._clock = clock
        self._keeps_deleted: bool | None = None

    @property
    def url(self) -> str:
        """`gs://NAME`, as configured."""
        return self._url

    @property
    def endpoint(self) -> str:
        """Where it is asked."""
        return str(self._client.api_endpoint)

    @property
    def left_out(self) -> tuple[Population, ...]:
        """The populations that the bucket may have and the config leaves out."""
        return tuple(one for one in Population if one not in self._populations)

    def facts(self) -> BucketFacts | Gap:
        """Read location, versioning, default key and who decrypts; a Gap when one of them is not readable."""
        permission = "storage.buckets.get"
        try:
            bucket = self._client.get_bucket(self._bucket.name, timeout=_TIMEOUT, retry=_RETRY)
            if bucket.id not in {None, self._bucket.name}:
                return self._without_settings(Reason.MALFORMED, "an answer about another bucket", permission)
            permission = "resourcemanager.projects.get"
            agent = self._client.get_service_account_email(
                project=str(bucket.project_number), timeout=_TIMEOUT, retry=_RETRY
            )
        except FAULTS as error:
            return self._without_settings(reason_of(error), code_of(error), permission)
        self._project = str(bucket.project_number) if bucket.project_number else None
        self._keeps_deleted = bool(bucket.soft_delete_policy.retention_duration_seconds)
        resource = bucket._properties  # noqa: SLF001 - it has no other name for all that it was told
        default_key = bucket.default_kms_key_name
        return BucketFacts(
            url=self._url,
            cloud=Cloud.GCP,
            location=bucket.location.lower() if bucket.location else None,
            versioned=bool(bucket.versioning_enabled),
            default_key=_key_name(default_key) if default_key else None,
            service_agent=agent,
            data_locations=parse_data_locations(resource),
            new_objects=parse_new_objects(resource),
        )

    def _without_settings(self, reason: Reason, why: str, permission: str) -> Gap:
        return Gap(
            self._url,
            reason,
            f"the bucket's settings and who must be able to decrypt are not known ({why})",
            hint_for(reason, permission),
        )

    def borders(self, many: int, known: Sequence[str]) -> list[str]:  # noqa: ARG002 - as below
        """It is listed in one go."""
        return []

    def names_behind(self, name: str | None) -> list[str]:
        """The names on the first page behind one, of the configured populations.

        Raises:
            CollectError: it could not be read.
        """
        listing = self.listings[0]
        return [one.name for one in islice(self.objects(listing, Shard(name)), _PAGE)]

    def uploads_in_progress(self) -> int | Gap:
        """Count unfinished multipart uploads of the XML API, the only ones that can be listed."""
        try:
            return self._uploads(self._bucket.name, self._pace)
        except FAULTS as error:
            return Gap(
                self._url,
                reason_of(error),
                f"unfinished multipart uploads are not counted ({code_of(error)})",
                hint_for(reason_of(error), "storage.multipartUploads.list"),
            )

    @property
    def markers(self) -> None:
        """There are none."""

    def cloud_count(self) -> CloudCount | Gap | None:
        """Ask Cloud Monitoring, in the bucket's project, how many objects it counts."""
        return self._counts(self._project) if self._counts is not None else None

    def needs(self, stored: Mapping[Population, int], known: Known | None) -> Requests:  # noqa: ARG002 - as below
        """Tell what a sweep of so many objects would ask, retries aside."""
        live, noncurrent, soft_deleted = (stored.get(one, 0) for one in Population)
        shown = {
            Listing.STORED: live if self._populations == (Population.LIVE,) else live + noncurrent,
            Listing.SOFT_DELETED: soft_deleted,
        }
        # One page of uploads; buckets.get, beside what is asked of the project.
        return Requests(lists=sum(pages(shown[one]) for one in self.listings) + 1, others=1)

    @property
    def listings(self) -> tuple[Listing, ...]:
        """One after the other: what is deleted while the first pass runs is there for the second."""
        stored = () if self._populations == (Population.SOFT_DELETED,) else (Listing.STORED,)
        return (*stored, *((Listing.SOFT_DELETED,) if Population.SOFT_DELETED in self._populations else ()))

    def shards(
        self,
        listing: Listing,
        shards: Sequence[Shard],
        known: Known | None = None,  # noqa: ARG002 - every page tells the keys
        *,
        split: bool = True,  # noqa: ARG002 - one is listed after the other
    ) -> Iterator[tuple[Shard, Coming]]:
        """Yield every stored generation in some shards once, of the configured populations.

        Raises:
            OrderError: names do not come in the order that shards need.
            CollectError: a page could not be read, so the listing is not complete.
        """
        return one_after_the_other(shards, partial(self.objects, listing))

    def objects(self, listing: Listing = Listing.STORED, shard: Shard = EVERYTHING) -> Iterator[StoredObject]:
        """Yield all behind the beginning of a shard one by one, in the order of the listing.

        Raises:
            OrderError: names do not come in order, and the shard is not everything.
            CollectError: a page could not be read, so the listing is not complete.
        """
        soft_deleted = listing is Listing.SOFT_DELETED
        versions = not soft_deleted and self._populations != (Population.LIVE,)
        for one in self._pass(shard, versions=versions, soft_deleted=soft_deleted):
            if one.name != shard.after:
                yield one

    def _pass(self, shard: Shard, *, versions: bool, soft_deleted: bool) -> Iterator[StoredObject]:
        # What is false is not sent: the two may not be combined.
        more: dict[str, Any] = {"versions": True} if versions else {"soft_deleted": True} if soft_deleted else {}
        if (after := shard.after) is not None:
            more["start_offset"] = after
        order = Order(shard, self._url)
        try:
            self._pace.wait()
            blobs = self._client.list_blobs(
                self._bucket, fields=FIELDS, page_size=_PAGE, timeout=_TIMEOUT, retry=_RETRY, **more
            )
            trail = Trail()
            pages = 0
            for page in blobs.pages:
                at = self._clock()
                pages += 1
                if page.raw_page.get("prefixes"):
                    raise self.no_object()
                # The raw page: a Blob has no public name for a customer's own key, and costs more than the page.
                found = [self._parsed(one, at, soft_deleted=soft_deleted) for one in page.raw_page.get("items", [])]
                order.follow(one.name for one in found)
                token, end = blobs.next_page_token, (found[-1].name, found[-1].version) if found else None
                if token and not (trail.leads_on(token) and trail.gets_on(end)):
                    raise self.endless()
                yield from (one for one in found if one.population in self._populations)
                self._pace.wait()
        except FAULTS as error:
            is_googles = isinstance(error, api.BadRequest) and status_of(error) is not None
            if soft_deleted and pages == 0 and is_googles and self.may_refuse_soft_deleted(after):
                return
            raise self.broken_off(code_of(error), reason_of(error)) from None

    def _parsed(self, told: Mapping[str, Any], at: datetime, *, soft_deleted: bool) -> StoredObject:
        try:
            return parse_object(told, at, soft_deleted=soft_deleted)
        except (ValueError, OverflowError):
            raise self.no_object() from None

    def may_refuse_soft_deleted(self, after: str | None) -> bool:
        """Whether a bad request for the first page may mean that the bucket has no soft-deleted objects.

        A bucket without a soft-delete policy refuses the question; one that says it has one must not. Behind a name
        the question may be bad for another reason, unless the bucket says that it has none.
        """
        return self._keeps_deleted is False or (self._keeps_deleted is None and after is None)

    def endless(self) -> CollectError:
        """What a listing ends with that would never end."""
        return CollectError(
            f"cannot list {self._url}: its pages say that there is more, and lead nowhere",
            "scan again; if it stays so, report it to the storage's operator",
            reason=Reason.MALFORMED,
        )

    def broken_off(self, code: str, reason: Reason) -> CollectError:
        """What a listing ends with that did not reach its last page."""
        return CollectError(
            f"cannot list {self._url}: {code}; an older whole sweep, if any, stays in force",
            hint_for(reason, "storage.objects.list"),
            reason=reason,
        )

    def no_object(self) -> CollectError:
        """What a listing ends with that tells of something else than objects."""
        return CollectError(
            f"cannot list {self._url}: an entry of a page is no object; an older sweep, if any, stays in force",
            "look at the endpoint in the config: is it Cloud Storage?",
            reason=Reason.MALFORMED,
        )


def parse_object(told: Mapping[str, Any], at: datetime, *, soft_deleted: bool) -> StoredObject:
    """Read one entry of a listing page.

    Raises:
        ValueError, OverflowError: it is not an object as the JSON API tells them.
    """
    one = msgspec.convert(told, Item)
    if not all(each.isascii() and each.isdecimal() for each in (one.size, one.generation)) or int(one.size) > LARGEST:
        raise ValueError("no object has such a size or generation")
    # As columns are read: of the many ways to write a time both clients know the same.
    created: Any = pa.scalar(one.time_created, pa.string()).cast(rows.TIME).as_py()  # the stubs have no times
    encryption, key, version, problem = _encryption(one)
    population = Population.NONCURRENT if one.time_deleted else Population.LIVE
    return StoredObject(
        name=one.name,
        version=one.generation,
        population=Population.SOFT_DELETED if soft_deleted else population,
        size=int(one.size),
        modified=created.astimezone(UTC),
        etag=one.etag,
        storage_class=one.storage_class or "STANDARD",
        archived=False,  # every class of Cloud Storage can be read at once
        encryption=encryption,
        key=key,
        key_version=version,
        verified=at if problem is None else None,
        problem=problem,
    )


def _encryption(one: Item) -> tuple[Encryption, str | None, str | None, Reason | None]:
    if one.kms_key_name is not None:
        try:
            key, version = split_version(one.kms_key_name)
        except ValueError:
            return Encryption.UNKNOWN, None, None, Reason.MALFORMED
        if key.cloud is not Cloud.GCP:
            return Encryption.UNKNOWN, None, None, Reason.MALFORMED
        return Encryption.CMEK, key.text, version, None
    if one.customer_encryption is not None:
        # Empty as well: whatever it leaves out, somebody brought a key.
        return Encryption.CUSTOMER_SUPPLIED, None, None, None
    return Encryption.PROVIDER, None, None, None


def _key_name(text: str) -> str | None:
    try:
        return KeyName.parse(text).text
    except ValueError:
        return None
