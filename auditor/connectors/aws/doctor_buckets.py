"""One harmless request for each permission that a bucket of S3 and its objects are read with."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

from auditor.checkup import Answer, Check, Question, Told
from auditor.connectors.aws.counts import PERMISSION as COUNT
from auditor.connectors.aws.counts import S3Counts
from auditor.connectors.aws.doctor_told import endpoint_of, group_of, not_told, of_probe, tried
from auditor.connectors.aws.errors import FAULTS, code_of
from auditor.connectors.aws.probes import AwsProbes
from auditor.connectors.aws.reports import CONFIGURED as REPORT
from auditor.connectors.aws.reports import S3Reports
from auditor.connectors.aws.session import AwsClients
from auditor.connectors.aws.tables import CONFIGURED as TABLE
from auditor.connectors.aws.tables import S3Tables
from auditor.errors import CollectError
from auditor.model import KeyName, Reason, Sample
from auditor.moments import minute
from auditor.skew import plausible

_NOWHERE: Final = "a name that cmek-auditor asks for and nobody uses"
_NOT_THERE: Final = frozenset({"404", "405"})
_BARE: Final = "400"
_SOME_KEY: Final = "arn:aws:kms:us-east-1:000000000000:key/none"
"""A probe names a key, whatever the object is under."""


@dataclass(frozen=True, slots=True)
class S3Place:
    """One bucket, and how it is read."""

    url: str
    region: str | None
    account: str | None
    live_only: bool
    by_table: bool = False
    """Its objects are told by S3 Metadata."""
    reports: str | None = None
    """Its objects are listed by the reports of this inventory configuration."""

    @property
    def name(self) -> str:
        """The bucket's own name."""
        return self.url.removeprefix("s3://")

    @property
    def listing(self) -> str:
        """The permission that a sweep lists with."""
        return "s3:ListBucket" if self.live_only else "s3:ListBucketVersions"


@dataclass(slots=True)
class Seen:
    """What earlier rounds were told of one bucket."""

    name: str | None = None
    version: str | None = None
    listed: bool = False
    region: str | None = None
    there: bool = False
    """HeadBucket was answered, so that a name that is not there is told of as such."""
    key: str | None = None
    default_key: str | None = None

    def named(self) -> Iterator[KeyName]:
        """Keys that an object or the bucket names in full."""
        for text in (self.key, self.default_key):
            try:
                if text:
                    yield KeyName.parse(text)
            except ValueError:
                continue


@dataclass(frozen=True, slots=True)
class BucketQuestions:
    """Asks about some buckets, and keeps in `seen` what it was told of each, by URL."""

    clients: AwsClients
    prober: AwsProbes
    reads: bool
    seen: Mapping[str, Seen]
    counting: Callable[[], datetime] | None = None
    """The clock, where the cloud is asked for its own count."""

    def of_bucket(self, place: S3Place) -> Iterator[Question | Check]:
        """Yield what a sweep asks of the bucket itself."""
        seen, bucket = self.seen[place.url], {"Bucket": place.name}

        def question(what: str, permission: str, ask: Callable[[Any], str | Told]) -> Question:
            return Question(
                group_of(place.account),
                f"{place.url}: {what}",
                lambda: tried(lambda: ask(self.clients.s3(place.region, place.account)), permission),
                permission,
                endpoint_of(self.clients, "s3", place.account, place.region),
            )

        def head(client: Any) -> str | Told:
            told = client.head_bucket(**bucket)
            seen.there = True
            seen.region = region = told.get("BucketRegion") or told["ResponseMetadata"]["HTTPHeaders"].get(
                "x-amz-bucket-region"
            )
            if region and place.region not in {None, region}:
                text = f"it is in {region}, and the config says {place.region}"
                return Told(None, text, f"set its `region` to {region}", Answer.MISSING)
            return f"in {region}" if region else "there"

        def encryption(client: Any) -> str:
            for rule in client.get_bucket_encryption(**bucket)["ServerSideEncryptionConfiguration"]["Rules"]:
                seen.default_key = rule.get("ApplyServerSideEncryptionByDefault", {}).get("KMSMasterKeyID")
            return f"default key {seen.default_key}" if seen.default_key else "no default key of a customer"

        def listed(client: Any) -> str:
            if place.live_only:
                rows = client.list_objects_v2(**bucket, MaxKeys=1).get("Contents", [])
            else:
                # Delete markers may come first, and cannot be asked anything.
                rows = client.list_object_versions(**bucket, MaxKeys=20).get("Versions", [])
            seen.listed = True
            if rows:
                seen.name, seen.version = rows[0]["Key"], rows[0].get("VersionId")
            return "answered" if rows else "answered; no object was seen"

        def uploads(client: Any) -> str:
            client.list_multipart_uploads(**bucket, MaxUploads=1)
            return "answered"

        if place.by_table:
            yield _off(place, "list", place.listing)
        else:
            yield question("list", place.listing, listed)
        yield question("is there", "s3:ListBucket", head)
        versioning = "s3:GetBucketVersioning"
        yield question(
            "versioning", versioning, lambda one: one.get_bucket_versioning(**bucket).get("Status") or "never had it"
        )
        yield question("default encryption", "s3:GetEncryptionConfiguration", encryption)
        yield question("unfinished uploads", "s3:ListBucketMultipartUploads", uploads)
        if place.by_table:
            yield self._table(place)
        if place.reports is not None:
            yield self._report(place, place.reports)

    def of_object(self, place: S3Place) -> Iterator[Question | Check]:
        """Yield what is asked of one object; of a name that is not there, where none was seen."""
        seen = self.seen[place.url]
        permission = "s3:GetObject" if place.live_only else "s3:GetObjectVersion"
        if place.by_table:
            yield _off(place, "HEAD of one object", permission)
            return
        asked: dict[str, Any] = {"Bucket": place.name, "Key": seen.name or _NOWHERE}
        if not place.live_only:
            asked["VersionId"] = seen.version or "null"

        def ask() -> Told:
            try:
                told = self.clients.s3(place.region, place.account).head_object(**asked)
                seen.key = told.get("SSEKMSKeyId")
            except FAULTS as error:
                code = code_of(error)
                if code in _NOT_THERE:
                    return Told(None, "answered: there is no such object")
                if code == _BARE and seen.listed:
                    return Told(None, "answered as of data under its writer's own key")
                if code == "403" and seen.name is None and not (seen.listed and seen.there):
                    text = "refused, of a name that is not there: to whom may not list, that says nothing"
                    return Told(Reason.NOT_VISIBLE, text, "grant what the listing needs, and ask again")
                found = not_told(error, permission)
                if seen.version == "null" and found.reason is Reason.ACCESS_DENIED:
                    # Which of the two S3 wants for a version that has no id, it does not say.
                    return replace(found, todo=f"{found.todo}; where that is so already, s3:GetObject as well")
                return found
            return Told(None, f"under {seen.key}" if seen.key else "answered")

        yield self._count(place, seen)
        endpoint = endpoint_of(self.clients, "s3", place.account, place.region)
        group = group_of(place.account)
        yield Question(group, f"{place.url}: HEAD of one object", ask, permission, endpoint)
        if not self.reads:
            yield Check(group, f"{place.url}: read one byte", Answer.OFF, "[probe] reads is off", "kms:Decrypt")
            return
        yield Question(
            group, f"{place.url}: read one byte", lambda: self._read_byte(place, seen), "kms:Decrypt", endpoint
        )

    def _count(self, place: S3Place, seen: Seen) -> Question | Check:
        """In the Region that the bucket has said it is in."""
        group, what = group_of(place.account), f"{place.url}: the cloud's own count"
        if self.counting is None:
            return Check(group, what, Answer.OFF, "[sweep] cloud_counts is off", COUNT)
        counts, region = S3Counts(self.clients, place.url, place.account, self.counting), seen.region or place.region

        def ask() -> str:
            told = counts.ask(region)
            return "answered" if told.total is not None else "answered: there is no value yet"

        endpoint = endpoint_of(self.clients, "cloudwatch", place.account, region)
        return Question(group, what, lambda: tried(ask, COUNT), COUNT, endpoint)

    def _table(self, place: S3Place) -> Question:
        tables = S3Tables(self.clients, place.url, place.region, place.account)

        def ask() -> Told:
            try:
                tables.place()
            except CollectError as error:
                return Told(error.reason, str(error), error.hint or "")
            return Told(None, "answered: it is whole")

        endpoint = endpoint_of(self.clients, "s3", place.account, place.region)
        return Question(group_of(place.account), f"{place.url}: table of S3 Metadata", ask, TABLE, endpoint)

    def _now(self) -> datetime:
        """What time it is by the cloud's clock, as far as it is known."""
        return datetime.now(UTC) + plausible(self.clients.wire.skew())

    def _report(self, place: S3Place, name: str) -> Question:
        reports = S3Reports(self.clients, place.url, name, (place.region, place.account), self._now)

        def ask() -> Told:
            try:
                found = reports.newest()
            except CollectError as error:
                return Told(error.reason, str(error), error.hint or "")
            return Told(None, f"answered: the newest was begun on {minute(found.created)}")

        endpoint = endpoint_of(self.clients, "s3", place.account, place.region)
        return Question(group_of(place.account), f"{place.url}: report of S3 Inventory", ask, REPORT, endpoint)

    def _read_byte(self, place: S3Place, seen: Seen) -> Told:
        if seen.name is None:
            return Told(Reason.NOT_VISIBLE, "no object was seen that could be read")
        key = next((one.text for one in seen.named() if one.text == seen.key), _SOME_KEY)
        return of_probe(self.prober.read(Sample(place.url, key, None, seen.name, seen.version), ()))

    def all_buckets(self, account: str | None) -> Question:
        """Make the question for the list of all buckets of an account."""
        permission = "s3:ListAllMyBuckets"

        def ask() -> str:
            self.clients.s3(None, account).list_buckets(MaxBuckets=1)
            return "answered"

        endpoint = endpoint_of(self.clients, "s3", account)
        return Question(group_of(account), "list of all buckets", lambda: tried(ask, permission), permission, endpoint)


def _off(place: S3Place, what: str, permission: str) -> Check:
    """Say that a right is not needed: what it is for a table tells."""
    told = "s3_metadata is on: nothing is listed, and only what lacks a key there is asked about"
    return Check(group_of(place.account), f"{place.url}: {what}", Answer.OFF, told, permission)
