"""The one table of requests that the auditor may send; whatever is not in it is refused before it is sent.

What arrives at a feed of the config is acknowledged, its own log written, reports and copies of the inventory uploaded:
those are the only changes that it makes in a cloud, each off unless configured.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

from auditor.errors import ReadOnlyError


def _always(_params: Mapping[str, Any]) -> bool:
    return True


def _one_byte(params: Mapping[str, Any]) -> bool:
    return params.get("Range") == "bytes=0-0"


def _nobodys_data(params: Mapping[str, Any]) -> bool:
    """Whether none is read, but one byte as a probe, tables (whose buckets alone end so), reports, and own copies."""
    is_table = str(params.get("Bucket", "")).endswith("--table-s3")
    return _one_byte(params) or is_table or _of_report(params) or _is_in(params, "own_copies")


def _of_report(params: Mapping[str, Any]) -> bool:
    """Whether it is named as files of S3 Inventory's reports on buckets are, of which the config wants them."""
    name = f"/{params.get('Key', '')}"
    about = any(f"/{one}/" in name for one in params.get("reported", ()))
    return about and name.endswith((".csv.gz", ".orc", ".parquet", "/manifest.json", "/manifest.checksum"))


def _one_byte_or_own(params: Mapping[str, Any]) -> bool:
    """Whether nobody's data is read: one byte as a probe, or what the auditor has put there itself."""
    return _one_byte(params) or _is_in(params, "own_copies")


def _dry_run(params: Mapping[str, Any]) -> bool:
    return params.get("DryRun") is True


def _own_log(params: Mapping[str, Any]) -> bool:
    """Whether what is written goes to the one log that the config names, and to no other."""
    mine = params.get("own_log")
    return isinstance(mine, str) and params.get("logs") == (mine,)


def _own_upload(params: Mapping[str, Any]) -> bool:
    """Whether something new is put into a folder that the config names, and replaces nothing."""
    return _is_in(params, "own_uploads") and params.get("IfNoneMatch") == "*"


def _is_in(params: Mapping[str, Any], folders: str) -> bool:
    """Whether an object is in one of those folders, which no name leads out of."""
    name = f"{params.get('Bucket')}/{params.get('Key')}"
    if not {"", ".", ".."}.isdisjoint(name.split("/")):
        return False
    return any(name.startswith(f"{one}/") for one in params.get(folders, ()))


@dataclass(frozen=True, slots=True)
class Allowed:
    """One operation of one service and the condition under which it changes nothing that is not the auditor's own."""

    service: str
    operation: str
    when: Callable[[Mapping[str, Any]], bool] = _always
    of_feed: str | None = None
    """The parameter that must name a feed of the config; None: it is about none."""


_TABLE: Final = (
    Allowed("s3", "ListBuckets"),
    Allowed("s3", "HeadBucket"),
    Allowed("s3", "GetBucketVersioning"),
    Allowed("s3", "GetBucketEncryption"),
    Allowed("s3", "ListObjectsV2"),
    Allowed("s3", "ListObjectVersions"),
    Allowed("s3", "ListMultipartUploads"),
    Allowed("s3", "HeadObject"),
    Allowed("s3", "GetObject", _nobodys_data),
    Allowed("s3", "GetBucketInventoryConfiguration"),
    Allowed("s3", "GetBucketMetadataConfiguration"),
    Allowed("s3tables", "GetTableMetadataLocation"),
    Allowed("s3", "PutObject", _own_upload),
    Allowed("sts", "GetCallerIdentity"),
    Allowed("sts", "AssumeRole"),
    Allowed("kms", "DescribeKey"),
    Allowed("kms", "DescribeCustomKeyStores"),
    Allowed("kms", "GetKeyPolicy"),
    Allowed("kms", "ListGrants"),
    Allowed("kms", "ListKeyRotations"),
    Allowed("kms", "GetKeyRotationStatus"),
    Allowed("kms", "GetKeyLastUsage"),
    Allowed("kms", "Decrypt", _dry_run),
    Allowed("kms", "GenerateDataKey", _dry_run),
    Allowed("kms", "GenerateDataKeyWithoutPlaintext", _dry_run),
    Allowed("storage", "buckets.get"),
    Allowed("storage", "buckets.list"),
    Allowed("storage", "objects.list"),
    Allowed("storage", "objects.get", _one_byte_or_own),
    Allowed("storage", "objects.insert", _own_upload),
    Allowed("storage", "projects.serviceAccount.get"),
    Allowed("storage", "multipartUploads.list"),
    Allowed("cloudkms", "GetCryptoKey"),
    Allowed("cloudkms", "ListCryptoKeys"),
    Allowed("cloudkms", "ListCryptoKeyVersions"),
    Allowed("cloudkms", "ListRetiredResources"),
    Allowed("cloudkms", "GetIamPolicy"),
    Allowed("cloudkms", "GetSingleTenantHsmInstance"),
    Allowed("cloudkms", "VerifyConnectivity"),
    Allowed("cloudresourcemanager", "projects.getIamPolicy"),
    Allowed("cloudresourcemanager", "projects.testIamPermissions"),
    Allowed("logging", "entries.list"),
    Allowed("logging", "entries.write", _own_log),
    Allowed("monitoring", "timeSeries.list"),
    Allowed("pubsub", "subscriptions.get", of_feed="name"),
    Allowed("pubsub", "subscriptions.pull", of_feed="name"),
    Allowed("pubsub", "subscriptions.acknowledge", of_feed="name"),
    Allowed("cloudtrail", "LookupEvents"),
    Allowed("cloudwatch", "GetMetricStatistics"),
    Allowed("sqs", "ReceiveMessage", of_feed="QueueUrl"),
    Allowed("sqs", "DeleteMessageBatch", of_feed="QueueUrl"),
    Allowed("sqs", "GetQueueAttributes", of_feed="QueueUrl"),
    Allowed("turbopuffer", "namespaces.list"),
    Allowed("turbopuffer", "namespaces.metadata"),
)
TABLE: Final[Mapping[tuple[str, str], Allowed]] = {(row.service, row.operation): row for row in _TABLE}


def check(service: str, operation: str, params: Mapping[str, Any], feeds: Collection[str] = ()) -> None:
    """Refuse a request that is not in the table; `feeds` are those of the config, as requests name them.

    Raises:
        ReadOnlyError: the operation is not in the table, or not under this condition.
    """
    row = TABLE.get((service, operation))
    is_other = row is not None and row.of_feed is not None and params.get(row.of_feed) not in feeds
    if row is None or is_other or not row.when(params):
        raise ReadOnlyError(
            f"refused to send {service} {operation}: it is not in the table of read-only requests",
            "this is a defect of the auditor; nothing was sent",
        )
