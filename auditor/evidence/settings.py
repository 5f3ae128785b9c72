"""The settings of a config as evidence tells them: what decides the answer, and nothing that opens a door."""

from collections.abc import Iterator
from typing import Any, Final

from auditor.config import Config

KEPT_BACK: Final = frozenset(
    {
        "state",
        "ledger",
        *("inventory", "inventory_region", "inventory_account"),
        "account.external_id",
        "account.profile",
        "bucket.answer",
        *("report.upload", "report.upload_region", "report.upload_account", "report.security_hub"),
        "registry.path",
        "registry.signer",
        "registry.api_key_env",
        "web.tls_cert",
        "web.tls_key",
        "web.token_env",
        "web.users_file",
        "workers.dask",
        "workers.tls_ca",
        "workers.tls_cert",
        "workers.tls_key",
    }
)
"""What lets somebody in, and where things lie on the auditor's machine; no answer hangs on it."""
TOLD: Final = frozenset(
    {
        *(f"schedule.{one}" for one in ("sweep", "key_poll", "report")),
        *(f"account.{one}" for one in ("id", "project", "role_arn", "impersonate", "quota_project", "feed")),
        *(f"platform.{one}" for one in ("gcp_service_agents", "aws_principals")),
        *(f"bucket.{one}" for one in ("url", "layout", "tenant_field", "region", "account", "populations")),
        *(f"bucket.{one}" for one in ("swept_by", "s3_metadata", "s3_inventory")),
        *(f"registry.{one}" for one in ("kind", "bucket", "fields", "tenant", "max_age_hours", "region", "base_url")),
        *(f"registry.{one}" for one in ("metadata_per_sweep", "reread_days", "requests_per_second")),
        *(f"key.{one}" for one in ("name", "intended_state", "tenant", "owner", "team", "since")),
        *(f"gcp.{one}_endpoint" for one in ("storage", "kms", "iam", "logging", "pubsub", "monitoring")),
        "audit_log.attribute",
        "sweep.cloud_counts",
        *(f"limits.{one}" for one in ("requests_per_second", "streams", "reverify_days")),
        *(f"limits.{one}" for one in ("kms_quota_share", "gcp_kms_quota_share")),
        "workers.processes",
        *(f"report.{one}" for one in ("formats", "keep")),
        *(f"retention.{one}" for one in ("snapshots", "weekly_snapshots")),
        *(f"probe.{one}" for one in ("reads", "dry_runs", "verify_connectivity", "per_hour", "per_second")),
        *(f"policy.{one}_days" for one in ("horizon", "rotation_period", "stale_version")),
        *(f"policy.{one}_days" for one in ("min_destroy_delay", "quarantine")),
        *(f"policy.{one}_minutes" for one in ("poll_max_age", "feed_max_silence", "propagation", "confirm_missing")),
        *(f"policy.{one}" for one in ("sweep_max_age_hours", "min_coverage", "no_data_elsewhere")),
        "policy.allowed_protection_levels",
        *(f"waiver.{one}" for one in ("rule", "until", "owner", "approved_by", "reason")),
        *(f"waiver.match.{one}" for one in ("key", "bucket", "namespace", "tenant")),
        *(f"web.{one}" for one in ("listen", "hosts")),
        *(f"log.{one}" for one in ("json", "cloud_logging")),
    }
)
"""All others; a setting that is in neither is kept back."""


def told(config: Config) -> dict[str, Any]:
    """The settings in force, without those that are kept back."""
    given = config.model_dump(mode="json", by_alias=True)
    return {name: one for name, one in _told(given, "") if one is not None}


def kept_back(config: Config) -> tuple[str, ...]:
    """Names of settings that are given and not told."""
    given = config.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    return tuple(sorted({name for name in _names(given, "") if name not in TOLD}))


def _told(given: dict[str, Any], where: str) -> Iterator[tuple[str, Any]]:
    for name, one in given.items():
        path = f"{where}{name}"
        if path in TOLD:
            yield name, one
        elif isinstance(one, dict) and _is_table(path):
            yield name, dict(_told(one, f"{path}."))
        elif isinstance(one, list) and _is_table(path):
            yield name, [dict(_told(each, f"{path}.")) for each in one]


def _names(given: dict[str, Any], where: str) -> Iterator[str]:
    for name, one in given.items():
        path = f"{where}{name}"
        if not _is_table(path):
            yield path
            continue
        for each in one if isinstance(one, list) else [one]:
            yield from _names(each, f"{path}.")


def _is_table(path: str) -> bool:
    return any(one.startswith(f"{path}.") for one in TOLD)
