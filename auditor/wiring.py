"""Config -> everything that a run works with; the one place that knows the concrete parts."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final

from auditor import __version__, rules
from auditor.config import Account, Bucket, Config
from auditor.connectors.aws.buckets import AwsBuckets
from auditor.connectors.aws.census import S3Census
from auditor.connectors.aws.keys import AwsKeys
from auditor.connectors.aws.objects import S3Bucket
from auditor.connectors.aws.probes import AwsProbes
from auditor.connectors.aws.session import AwsClients, AwsIdentity
from auditor.connectors.gcp.buckets import GcsBuckets
from auditor.connectors.gcp.census import GcsCensus
from auditor.connectors.gcp.keys import GcpKeys
from auditor.connectors.gcp.objects import GcsBucket
from auditor.connectors.gcp.probes import GcpProbes
from auditor.connectors.gcp.session import Endpoints, GcpClients, GcpIdentity
from auditor.connectors.pace import Pace
from auditor.connectors.probes import Paced
from auditor.connectors.wire import Wire
from auditor.findings import Judgement
from auditor.inventory.layout import Layout
from auditor.inventory.store import FileInventory, Keep
from auditor.ledger.store import LedgerStore
from auditor.model import Cloud, KeyName
from auditor.ports import BucketLister, KeySource, ObjectSource, OpenInventory, Prober
from auditor.probing import Budget
from auditor.scan import Parts, plausible

_AWS_KMS_QUOTA: Final = 2_000
"""DescribeKey requests a second, account and Region. Source: AWS KMS Developer Guide, Request quotas."""
_AWS_POLICY_QUOTA: Final = 1_000
"""GetKeyPolicy requests a second. Source: the same."""
_AWS_LIST_QUOTA: Final = 100
"""ListGrants and ListKeyRotations requests a second, each. Source: the same."""
_GCP_KMS_QUOTA: Final = 600 / 60
"""Read tokens a second, project and region. Source: Cloud KMS docs, Quotas (600 a minute by default)."""
_CONNECTIONS: Final = 64


@dataclass(frozen=True, slots=True)
class Assembly:
    """The parts of one process and the handles that outputs need."""

    parts: Parts
    ledger: LedgerStore
    inventory: FileInventory
    wire: Wire

    def rows(self, judgement: Judgement) -> OpenInventory:
        """Open the dependencies that a judgement stands on.

        Raises:
            LedgerError: they are not there any more, or are not what the sweeps wrote.
        """
        return self.inventory.open(self.ledger.published(judgement.sweeps))

    def close(self) -> None:
        """Let go of the ledger."""
        self.ledger.close()


def assemble(config: Config, clock: Callable[[], datetime] | None = None, *, by_sdk: bool = False) -> Assembly:
    """Make all parts; nothing is asked of a cloud yet. `by_sdk`: buckets are listed through the SDKs.

    Raises:
        LedgerError: the ledger cannot be opened.
        UsageError: there are no credentials where the config needs them.
    """
    now = clock or (lambda: datetime.now(UTC))
    # Time passes as a clock that is given says; only the system's own can be set while it does.
    wire = Wire(now) if clock is None else Wire(now, lambda: now().timestamp())
    agent = f"cmek-auditor/{__version__}"
    aws = AwsClients({one.id: _aws_identity(one) for one in config.account if one.id}, wire, agent, _CONNECTIONS)
    endpoints = Endpoints(config.gcp.storage_endpoint, config.gcp.kms_endpoint, config.gcp.iam_endpoint)
    gcp = GcpClients({one.project: _gcp_identity(one) for one in config.account if one.project}, endpoints, wire, agent)
    ledger = LedgerStore(config.state / "ledger.db")
    layouts = {one.url: Layout.parse(one.layout, one.tenant_field) for one in config.bucket}
    kept = config.retention
    inventory = FileInventory(config.state / "inventory", layouts, Keep(kept.snapshots, kept.weekly_snapshots))
    agents = config.platform.gcp_service_agents
    limits = config.limits
    keys: dict[Cloud, KeySource] = {
        Cloud.AWS: AwsKeys(
            aws,
            Pace(_AWS_KMS_QUOTA * limits.kms_quota_share),
            now,
            policies=Pace(_AWS_POLICY_QUOTA * limits.kms_quota_share),
            lists=Pace(_AWS_LIST_QUOTA * limits.kms_quota_share),
        ),
        Cloud.GCP: GcpKeys(
            gcp,
            _gcp_pace(limits.gcp_kms_quota_share),
            now,
            verify_connectivity=config.probe.verify_connectivity,
        ),
    }

    def corrected() -> datetime:
        """What the clouds' clocks say, against whose dates it is held."""
        return now() + plausible(wire.skew())

    def identity() -> tuple[str, ...]:
        return tuple(sorted({*aws.identity(), *gcp.identity()}))

    parts = Parts(
        sources=tuple(_source(one, config, (aws, gcp), corrected, by_sdk=by_sdk) for one in config.bucket),
        listers=_listers(config, aws, gcp),
        keys=keys,
        inventory=inventory,
        ledger=ledger,
        rules=rules.load(),
        policy=config.judging,
        watched=tuple(KeyName(one.name) for one in config.key),
        agents={Cloud.AWS: config.platform.aws_principals, Cloud.GCP: None if agents == "bucket" else tuple(agents)},
        probing=Budget(config.probe.reads, config.probe.dry_runs, config.probe.per_hour, config.probe.per_second),
        probers=_probers(config, aws, gcp, corrected),
        clock=now,
        skew=wire.skew,
        sent=wire.sent,
        identity=identity,
        version=__version__,
        rules_version=rules.version(),
        config_digest=config.digest,
        by_sdk=by_sdk,
    )
    return Assembly(parts, ledger, inventory, wire)


def _probers(config: Config, aws: AwsClients, gcp: GcpClients, clock: Callable[[], datetime]) -> Mapping[Cloud, Prober]:
    pace = Pace(config.probe.per_second, burst=1)
    return {
        Cloud.AWS: Paced(AwsProbes(aws, {one.url: (one.region, one.account) for one in config.bucket}, clock), pace),
        Cloud.GCP: Paced(GcpProbes(gcp, {one.url: one.account for one in config.bucket}, clock), pace),
    }


def _gcp_pace(share: float) -> Pace:
    """A minute's budget may go at once, as the quota itself counts by the minute."""
    return Pace(_GCP_KMS_QUOTA * share, burst=_GCP_KMS_QUOTA * share * 60)


def _source(
    bucket: Bucket,
    config: Config,
    clients: tuple[AwsClients, GcpClients],
    clock: Callable[[], datetime],
    *,
    by_sdk: bool,
) -> ObjectSource:
    aws, gcp = clients
    rate, streams = config.limits.requests_per_second, config.limits.streams
    pace = Pace(rate)
    if bucket.url.startswith("s3://"):
        place = bucket.region, bucket.account
        plain = S3Bucket(aws.s3(*place), bucket.url, bucket.populations, pace, clock)
        if by_sdk:
            return plain
        reverify = timedelta(days=config.limits.reverify_days)
        return S3Census(
            plain, aws, place, bucket.populations, ceiling=rate, clock=clock, reverify=reverify, streams=streams
        )
    client = gcp.storage(bucket.account)
    uploads = partial(gcp.count_uploads, bucket.account)
    plain_gcs = GcsBucket(client, bucket.url, bucket.populations, pace, clock=clock, uploads=uploads)
    if by_sdk:
        return plain_gcs
    return GcsCensus(plain_gcs, gcp, bucket.account, bucket.populations, ceiling=rate, clock=clock, streams=streams)


def _listers(config: Config, aws: AwsClients, gcp: GcpClients) -> tuple[BucketLister, ...]:
    """One for each cloud that has a configured bucket, over the accounts that those buckets are read with."""
    found: list[BucketLister] = []
    aws_accounts = {one.account for one in config.bucket if one.url.startswith("s3://")}
    if aws_accounts:
        found.append(AwsBuckets(aws, sorted(aws_accounts, key=lambda one: one or "")))
    if any(one.url.startswith("gs://") for one in config.bucket):
        projects = {one.account for one in config.bucket if one.url.startswith("gs://") and one.account}
        found.append(GcsBuckets(gcp, sorted(projects or {one.project for one in config.account if one.project})))
    return tuple(found)


def _aws_identity(account: Account) -> AwsIdentity:
    return AwsIdentity(account.role_arn, account.external_id, account.profile)


def _gcp_identity(account: Account) -> GcpIdentity:
    return GcpIdentity(account.impersonate, account.quota_project)
