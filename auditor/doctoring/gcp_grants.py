"""The least that Google Cloud must grant for a config as it is: a custom role in each project of buckets or keys.

Source: the IAM references of Cloud Storage, Cloud KMS, Resource Manager, Cloud Logging and Cloud Monitoring; IAM docs,
Create short-lived credentials for a service account; Google Cloud docs, Set the quota project.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Final

from auditor.config import Config
from auditor.grants import GcpGrants, ProjectRole, QuotaProject, Subscription, UploadBucket
from auditor.model import Cloud, KeyName

_OF_BUCKETS: Final = frozenset(
    {
        "resourcemanager.projects.get",
        "storage.buckets.get",
        "storage.buckets.list",
        "storage.multipartUploads.list",
        "storage.objects.list",
    }
)
_OF_KEYS: Final = frozenset(
    {
        "cloudkms.cryptoKeyVersions.list",
        "cloudkms.cryptoKeys.get",
        "cloudkms.cryptoKeys.getIamPolicy",
        "cloudkms.cryptoKeys.list",
        "cloudkms.keyRings.getIamPolicy",
        "cloudkms.retiredResources.list",
        "cloudkms.singleTenantHsmInstances.get",
        "resourcemanager.projects.getIamPolicy",
    }
)


def gcp_grants(config: Config, keys: Iterable[KeyName]) -> GcpGrants:
    """Work it out from the config and from the keys that it or what is stored names.

    While no key is known, keys are taken to be in the projects of the buckets.
    """
    mine = [one for one in config.bucket if one.url.startswith("gs://")]
    known = sorted({one for one in keys if one.cloud is Cloud.GCP})
    members = {one.project: one.impersonate for one in config.account if one.project}
    buckets: defaultdict[str | None, list[str]] = defaultdict(list)
    for one in mine:
        buckets[one.account].append(one.url)
    of_buckets = _OF_BUCKETS | ({"storage.objects.get"} if config.probe.reads else set())
    of_buckets |= {"monitoring.timeSeries.list"} if config.sweep.cloud_counts else set()
    of_keys = _OF_KEYS | ({"logging.logEntries.list"} if config.audit_log.attribute else set())
    of_keys |= {"cloudkms.ekmConnections.verifyConnectivity"} if config.probe.verify_connectivity else set()
    wanted: defaultdict[str | None, set[str]] = defaultdict(set)
    for project in buckets:
        wanted[project] |= of_buckets
    for account in config.account:
        if account.project and account.feed == f"projects/{account.project}":
            wanted[account.project].add("logging.logEntries.list")
    places: set[str | None] = {one.owner for one in known}
    for project in places or set(buckets):
        wanted[project] |= of_keys
    if config.log.project is not None:
        wanted[config.log.project].add("logging.logEntries.create")
    return GcpGrants(
        tuple(
            ProjectRole(
                project, tuple(buckets.get(project, ())), members.get(project or ""), tuple(sorted(permissions))
            )
            for project, permissions in sorted(wanted.items(), key=lambda one: one[0] or "")
        ),
        *_of_identities(config if wanted else None),
        tuple(
            Subscription(account.feed, account.impersonate)
            for account in config.account
            if account.feed and "/subscriptions/" in account.feed and account.project
        ),
        _uploads(config, members),
    )


def _uploads(config: Config, members: Mapping[str, str | None]) -> tuple[UploadBucket, ...]:
    found = []
    if place := config.report.upload_to("gs://"):
        found.append(UploadBucket(_bucket(place), members.get(config.report.upload_account or "")))
    member = members.get(config.inventory_account or "")
    read = (UploadBucket(_bucket(one), member, is_read=True) for one in config.own_folders("gs://", copies=True))
    return (*found, *read)


def _bucket(place: str) -> str:
    return f"gs://{place.partition('/')[0]}"


def _of_identities(config: Config | None) -> tuple[tuple[str, ...], tuple[QuotaProject, ...]]:
    """Whom to act as, and what requests count against; of every account, as keys of each may be found later."""
    accounts = [one for one in config.account if one.project] if config is not None else []
    quotas = {(one.quota_project, one.impersonate) for one in accounts if one.quota_project}
    return (
        tuple(sorted({one.impersonate for one in accounts if one.impersonate})),
        tuple(QuotaProject(*one) for one in sorted(quotas, key=lambda one: (one[0], one[1] or ""))),
    )
