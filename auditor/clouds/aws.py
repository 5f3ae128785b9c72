"""Amazon S3 and AWS KMS, as the config wants them to be asked."""

import os
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from datetime import timedelta
from typing import Final

from auditor.checkup import Choosing, Doctor, Gone
from auditor.clouds import ATTEMPTS, CONNECTIONS, PATIENCE, Clocks
from auditor.config import Account, Bucket, Config
from auditor.connectors.aws.audit_log import AwsAuditLog
from auditor.connectors.aws.buckets import AwsBuckets
from auditor.connectors.aws.census import S3Census
from auditor.connectors.aws.counts import S3Counts
from auditor.connectors.aws.doctor import AwsDoctor
from auditor.connectors.aws.doctor_buckets import S3Place
from auditor.connectors.aws.doctor_keys import Wanted
from auditor.connectors.aws.endpoints import demand_usable
from auditor.connectors.aws.feed import AwsFeed
from auditor.connectors.aws.keys import AwsKeys
from auditor.connectors.aws.objects import S3Bucket
from auditor.connectors.aws.probes import AwsProbes
from auditor.connectors.aws.queue import queue_of
from auditor.connectors.aws.reports import S3Reports
from auditor.connectors.aws.session import AwsClients, AwsIdentity
from auditor.connectors.aws.tables import S3Tables
from auditor.connectors.aws.uploading import S3Uploads
from auditor.connectors.aws.usage import AwsLastUses
from auditor.connectors.pace import Pace, Paces, of_a_bucket
from auditor.connectors.wire import Wire
from auditor.inventory.folders import folder_name
from auditor.inventory_report import ByReport
from auditor.model import KeyName, Listing, Population
from auditor.ports import BucketLister, Coming, Depot, Feed, LastUses, ObjectSource, Shard, Uploads
from auditor.warehouse.reported import Reported

_KMS_QUOTA: Final = 2_000
"""DescribeKey requests a second, account and Region. Source: AWS KMS Developer Guide, Request quotas."""
_POLICY_QUOTA: Final = 1_000
"""GetKeyPolicy requests a second. Source: the same."""
_LIST_QUOTA: Final = 100
"""ListGrants and ListKeyRotations requests a second, account and Region, each. Source: the same."""
_LAST_USE_QUOTA: Final = 5
"""GetKeyLastUsage requests a second. Source: the same."""


class Aws:
    """`clouds.Made`."""

    def __init__(self, config: Config, wire: Wire, agent: str, clocks: Clocks) -> None:
        demand_usable(os.environ)
        self._config = config
        self._identities = {one.id: _identity(one) for one in config.account if one.id}
        self._wire, self._agent = wire, agent
        self._queues = frozenset(one.feed for one in config.account if one.id and one.feed)
        self._reported = frozenset(one.url.removeprefix("s3://") for one in config.bucket if one.s3_inventory)
        self._clients = AwsClients(
            self._identities,
            wire,
            agent,
            CONNECTIONS,
            queues=self._queues,
            own_uploads=config.own_folders("s3://"),
            own_copies=config.own_folders("s3://", copies=True),
            reported=self._reported,
        )
        self._clock = clocks.corrected
        self._are_counts_wanted = config.sweep.cloud_counts
        share = config.limits.kms_quota_share
        self.keys = AwsKeys(
            self._clients,
            Pace(_KMS_QUOTA * share),
            clocks.own,
            policies=Pace(_POLICY_QUOTA * share),
            lists=Paces(lambda: Pace(_LIST_QUOTA * share)),
        )
        self.audit_log = AwsAuditLog(self._clients, clocks.corrected, _no_log_beside(os.environ))
        places = {one.url: (one.region, one.account) for one in config.bucket}
        self.prober = AwsProbes(self._clients, places, clocks.corrected)

    def source(self, bucket: Bucket, *, by_sdk: bool) -> ObjectSource:
        """One bucket."""
        plain = self._plain(bucket)
        if by_sdk:
            return plain
        census = self._census(bucket, plain)
        if bucket.s3_inventory is None:
            return census
        reports = S3Reports(
            self._clients, bucket.url, bucket.s3_inventory, (bucket.region, bucket.account), self._clock
        )
        state = self._config.state
        return Reported(census, reports, state, state / "s3-inventory" / folder_name(bucket.url))

    def table(self, bucket: Bucket) -> S3Tables:
        """The live inventory table of one bucket's S3 Metadata."""
        # Of whatever age a version is: the table does not say of each which is the newest.
        census = self._census(bucket.model_copy(update={"populations": ()}), self._plain(bucket))

        def heads(report: ByReport) -> Iterator[Coming]:
            return (some for _, some in census.shards(Listing.STORED, [Shard()], report=report))

        return S3Tables(self._clients, bucket.url, bucket.region, bucket.account, heads=heads)

    def _census(self, bucket: Bucket, plain: S3Bucket) -> S3Census:
        limits, place = self._config.limits, (bucket.region, bucket.account)
        return S3Census(
            plain,
            self._clients,
            place,
            bucket.populations,
            ceiling=limits.requests_per_second,
            clock=self._clock,
            reverify=timedelta(days=limits.reverify_days),
            streams=limits.streams,
        )

    def _plain(self, bucket: Bucket) -> S3Bucket:
        counts = S3Counts(self._clients, bucket.url, bucket.account, self._clock) if self._are_counts_wanted else None
        return S3Bucket(
            self._clients.s3(bucket.region, bucket.account),
            bucket.url,
            bucket.populations,
            of_a_bucket(self._config.limits.requests_per_second),
            self._clock,
            counts=counts.read if counts is not None else None,
        )

    def lister(self) -> BucketLister | None:
        """Who lists the buckets of the accounts that configured ones are read with; None where there are none."""
        accounts = {one.account for one in self._config.bucket if one.url.startswith("s3://")}
        return AwsBuckets(self._clients, sorted(accounts, key=lambda one: one or "")) if accounts else None

    def last_uses(self) -> LastUses:
        """Who tells when its keys were used last."""
        return AwsLastUses(self._clients, Pace(_LAST_USE_QUOTA * self._config.limits.kms_quota_share, burst=1))

    def poll_takes(self, keys: Collection[KeyName]) -> float:
        """ListGrants for each: its quota is the smallest. Each account and Region has its own."""
        most = max(Counter((one.owner, one.location) for one in keys).values(), default=0)
        return most / (_LIST_QUOTA * self._config.limits.kms_quota_share)

    def doctor(self, choose: Choosing, gone: Gone) -> Doctor:
        """Who asks once and little, by clients of their own: those of a sweep wait longer."""
        clients = AwsClients(
            self._identities,
            self._wire,
            self._agent,
            CONNECTIONS,
            ATTEMPTS,
            patience=PATIENCE,
            queues=self._queues,
            reported=self._reported,
        )
        mine = [one for one in self._config.bucket if one.url.startswith("s3://")]
        live = (Population.LIVE,)
        places = tuple(
            S3Place(one.url, one.region, one.account, one.populations == live, one.s3_metadata, one.s3_inventory)
            for one in mine
        )
        where = {one.url: (one.region, one.account) for one in mine}
        probe = self._config.probe
        return AwsDoctor(
            clients,
            places,
            {account: one.role_arn for account, one in self._identities.items()},
            Wanted(self._config.platform.aws_principals, probe.reads, probe.dry_runs, self._no_history()),
            AwsProbes(clients, where, self._clock),
            choose,
            gone,
            tuple((queue_of(one.feed), one.id) for one in self._config.account if one.id and one.feed),
            self._clock if self._are_counts_wanted else None,
        )

    def _no_history(self) -> str | None:
        """Why nobody asks who changed keys; None: somebody does."""
        return self.audit_log.silent if self._config.audit_log.attribute else "[audit_log] attribute is off"

    def own_log(self) -> None:
        """No log of this cloud can be named."""

    def uploads(self, url: str) -> Uploads:
        """The folder of a bucket, where the config wants reports to be put."""
        report = self._config.report
        return S3Uploads(self._clients, url, report.upload_region, report.upload_account)

    def depot(self, url: str) -> Depot:
        """The folder of a bucket, where the config wants what sweeps learnt to be put as well."""
        return S3Uploads(self._clients, url, self._config.inventory_region, self._config.inventory_account)

    def feed(self, account: Account) -> Feed:
        """The queue of an account."""
        return AwsFeed(self._clients, queue_of(account.feed or ""), account.id)

    def identity(self) -> tuple[str, ...]:
        """As whom it is asked."""
        return tuple(self._clients.identity())


def _no_log_beside(environment: Mapping[str, str]) -> str | None:
    """Why no history is asked: keys of a test cloud are in none of Amazon's own."""
    elsewhere = environment.get("AWS_ENDPOINT_URL_KMS", "").startswith("http://")
    if elsewhere and not any(environment.get(one) for one in ("AWS_ENDPOINT_URL_CLOUDTRAIL", "AWS_ENDPOINT_URL")):
        return "AWS_ENDPOINT_URL_KMS is another one than Amazon's, and AWS_ENDPOINT_URL_CLOUDTRAIL is not set"
    return None


def _identity(account: Account) -> AwsIdentity:
    return AwsIdentity(account.role_arn, account.external_id, account.profile)


make = Aws
