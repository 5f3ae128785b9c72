"""Cloud Storage and Cloud KMS, as the config wants them to be asked."""

import os
from collections.abc import Collection
from functools import partial
from importlib.util import find_spec
from typing import Final

from auditor.checkup import Choosing, Doctor, Gone
from auditor.clouds import Clocks
from auditor.config import Account, Bucket, Config
from auditor.connectors.gcp.audit_log import GcpAuditLog
from auditor.connectors.gcp.buckets import GcsBuckets
from auditor.connectors.gcp.calls import KmsCalls
from auditor.connectors.gcp.census import GcsCensus
from auditor.connectors.gcp.counts import GcsCounts
from auditor.connectors.gcp.doctor import GcpDoctor, GcsPlace
from auditor.connectors.gcp.feed import PubSubFeed
from auditor.connectors.gcp.keys import GcpKeys
from auditor.connectors.gcp.log_feed import LogFeed
from auditor.connectors.gcp.objects import GcsBucket
from auditor.connectors.gcp.own_log import GcpOwnLog
from auditor.connectors.gcp.probes import GcpProbes
from auditor.connectors.gcp.session import Endpoints, GcpClients, GcpIdentity
from auditor.connectors.gcp.uploading import GcsUploads
from auditor.connectors.pace import Pace, of_a_bucket
from auditor.connectors.wire import Wire
from auditor.errors import UsageError
from auditor.model import KeyName, Population
from auditor.ports import BucketLister, Depot, Feed, LogSink, ObjectSource, Uploads

_KMS_QUOTA: Final = 600 / 60
"""Read tokens a second. Source: Cloud KMS docs, Quotas (600 a minute by default, a *calling* project and region).

Requests count against the project that makes them, whichever projects the keys are in: one pace is for all of them. It
stays one where accounts name quota projects of their own, and for all regions. Nobody tells us against which project
credentials without one count, nor in which region a key of a multi-region is served, so that two paces might be of one
quota, and together more than their share.
"""
_OTHER_PLACES: Final = ("STORAGE_EMULATOR_HOST", "API_ENDPOINT_OVERRIDE")
"""Variables by which the SDK's client for Cloud Storage goes elsewhere. Source: google-cloud-storage, Client."""


class Gcp:
    """`clouds.Made`."""

    def __init__(self, config: Config, wire: Wire, agent: str, clocks: Clocks) -> None:
        self._config = config
        _demand_one_place(config)
        self._clients = _clients(config, wire, agent)
        self._clock = clocks.corrected
        self.keys = GcpKeys(
            self._clients,
            _pace(config.limits.gcp_kms_quota_share),
            clocks.own,
            verify_connectivity=config.probe.verify_connectivity,
        )
        self.audit_log = GcpAuditLog(self._clients, clocks.corrected, _no_log_beside(config))
        places = {one.url: one.account for one in config.bucket}
        self.prober = GcpProbes(self._clients, places, clocks.corrected)

    def source(self, bucket: Bucket, *, by_sdk: bool) -> ObjectSource:
        """One bucket."""
        limits = self._config.limits
        rate = limits.requests_per_second
        client = self._clients.storage(bucket.account)
        uploads = partial(self._clients.count_uploads, bucket.account)
        series = partial(self._clients.time_series, bucket.account)
        counts = GcsCounts(series, bucket.url, self._clock) if self._config.sweep.cloud_counts else None
        plain = GcsBucket(
            client,
            bucket.url,
            bucket.populations,
            of_a_bucket(rate),
            clock=self._clock,
            uploads=uploads,
            counts=counts.read if counts is not None else None,
        )
        if by_sdk:
            return plain
        return GcsCensus(
            plain,
            self._clients,
            bucket.account,
            bucket.populations,
            ceiling=rate,
            clock=self._clock,
            streams=limits.streams,
        )

    def table(self, bucket: Bucket) -> None:
        """None is read."""

    def lister(self) -> BucketLister | None:
        """Who lists the buckets of the projects that configured ones are read with; None where there are none."""
        return GcsBuckets(self._clients, self._projects()) if self._mine() else None

    def last_uses(self) -> None:
        """Cloud KMS has no call that tells it."""

    def own_log(self) -> LogSink | None:
        """The log of ours that the config names; None where it names none.

        Raises:
            UsageError: google-cloud-logging is not installed.
        """
        name = self._config.log.cloud_logging
        if name is None:
            return None
        try:
            installed = find_spec("google.cloud.logging_v2") is not None
        except ModuleNotFoundError:
            installed = False
        if not installed:
            raise UsageError(
                "[log] cloud_logging is set, and google-cloud-logging is not installed",
                "pip install 'cmek-auditor[logging]'",
            )
        return GcpOwnLog(self._clients, name)

    def poll_takes(self, keys: Collection[KeyName]) -> float:
        """GetCryptoKey, ListCryptoKeyVersions and GetIamPolicy for each; all count against one quota."""
        return 3 * len(keys) / (_KMS_QUOTA * self._config.limits.gcp_kms_quota_share)

    def doctor(self, choose: Choosing, gone: Gone) -> Doctor:
        """Who asks once and little."""
        mine, probe = self._mine(), self._config.probe
        return GcpDoctor(
            self._clients,
            KmsCalls(self._clients.wire, _pace(self._config.limits.gcp_kms_quota_share)),
            tuple(GcsPlace(one.url, one.account, one.populations == (Population.LIVE,)) for one in mine),
            tuple(self._projects()) if mine else (),
            probe.reads,
            probe.verify_connectivity,
            self.audit_log.silent if self._config.audit_log.attribute else "[audit_log] attribute is off",
            self.prober,
            choose,
            gone,
            self._config.log.cloud_logging,
            _feeds(self._config),
            self._clock if self._config.sweep.cloud_counts else None,
        )

    def _mine(self) -> list[Bucket]:
        return [one for one in self._config.bucket if one.url.startswith("gs://")]

    def _projects(self) -> list[str]:
        """Projects whose buckets are counted."""
        mine = self._mine()
        projects = {one.account for one in mine if one.account}
        if not all(one.account for one in mine):
            projects.update(one.project for one in self._config.account if one.project)
        return sorted(projects)

    def uploads(self, url: str) -> Uploads:
        """The folder of a bucket, where the config wants reports to be put."""
        return GcsUploads(self._clients, url, self._config.report.upload_account)

    def depot(self, url: str) -> Depot:
        """The folder of a bucket, where the config wants what sweeps learnt to be put as well."""
        return GcsUploads(self._clients, url, self._config.inventory_account)

    def feed(self, account: Account) -> Feed:
        """The subscription of a project, or its audit log."""
        name, project = account.feed or "", account.project or ""
        if _is_subscription(name):
            return PubSubFeed(self._clients, name, project)
        return LogFeed(self._clients, project, self._clock)

    def identity(self) -> tuple[str, ...]:
        """As whom it is asked."""
        return tuple(self._clients.identity())


def _feeds(config: Config) -> tuple[tuple[str, str], ...]:
    """(name, project whose identity hears it) of each feed."""
    return tuple((one.feed, one.project) for one in config.account if one.project and one.feed)


def _is_subscription(feed: str) -> bool:
    return "/subscriptions/" in feed


def _clients(config: Config, wire: Wire, agent: str) -> GcpClients:
    own = config.gcp
    endpoints = Endpoints(
        own.storage_endpoint,
        own.kms_endpoint,
        own.iam_endpoint,
        own.logging_endpoint,
        own.pubsub_endpoint,
        own.monitoring_endpoint,
    )
    identities = {one.project: _identity(one) for one in config.account if one.project}
    heard = [name for name, _ in _feeds(config) if _is_subscription(name)]
    return GcpClients(
        *(identities, endpoints, wire, agent),
        own_log=config.log.cloud_logging,
        feeds=heard,
        own_uploads=config.own_folders("gs://"),
        own_copies=config.own_folders("gs://", copies=True),
    )


def _demand_one_place(config: Config) -> None:
    """See that no variable sends the SDK elsewhere than the rest: half of an answer would be of another cloud.

    Raises:
        UsageError: one does.
    """
    is_open = config.gcp.storage_endpoint is None and any(one.url.startswith("gs://") for one in config.bucket)
    name = next((one for one in _OTHER_PLACES if os.environ.get(one)), None)
    if is_open and name is not None:
        raise UsageError(
            f"environment variable {name} is set, and not all requests would go there",
            "write the place as [gcp] storage_endpoint, or unset the variable",
        )


def _no_log_beside(config: Config) -> str | None:
    """Why no log is asked: keys of a test cloud are in no log of Google's own."""
    if (config.gcp.kms_endpoint or "").startswith("http://") and config.gcp.logging_endpoint is None:
        return "[gcp] kms_endpoint is another one than Google's, and logging_endpoint is not set"
    return None


def _pace(share: float) -> Pace:
    """Of one, for all keys. A minute's budget may go at once, as the quota itself counts by the minute."""
    return Pace(_KMS_QUOTA * share, burst=_KMS_QUOTA * share * 60)


def _identity(account: Account) -> GcpIdentity:
    return GcpIdentity(account.impersonate, account.quota_project)


make = Gcp
