"""What the auditor's answers lack without each permission: docs/permissions.md tells the same."""

from collections.abc import Mapping
from typing import Final

_COUNT: Final = "the count is null, with a gap"
_OBJECTS: Final = "the objects count as unknown, with a gap"
_TABLE: Final = "with s3_metadata the bucket is not swept, and sweep-incomplete says so"
_COMPARED: Final = "what a sweep listed is not compared with the cloud's own count, with a gap"
_NUMBER: Final = "their number is null, with a gap"
_BUCKET: Final = "the bucket: its last whole sweep stays in force, with a gap"
_SETTINGS: Final = "the settings, with a gap"
_KEY: Final = "all data under the key counts as unknown, with a gap"
_REVOKED: Final = "revoked cannot be found for the key, with a gap"
_OF_BUCKET: Final = "revoked cannot be found for the bucket, with a gap"
_ACTOR: Final = "who did what findings on its keys say is not known, with a gap and audit-log-off"
_FEED: Final = "changes of its keys are found by polling alone, and feed-silent fails"
_PROBE: Final = "no probe of it proves anything, with a gap"

LOST: Final[Mapping[str, str]] = {
    "s3:ListBucketVersions": _BUCKET,
    "s3:ListBucket": 'the bucket\'s Region; with populations = ["live"] the bucket',
    "s3:GetObject": 'with populations = ["live"] the objects count as unknown, with a gap',
    "s3:GetObjectVersion": _OBJECTS,
    "s3:GetBucketVersioning": _SETTINGS,
    "s3:GetEncryptionConfiguration": _SETTINGS,
    "s3:ListBucketMultipartUploads": _COUNT,
    "s3:ListAllMyBuckets": _NUMBER,
    "kms:DescribeKey": _KEY,
    "kms:DescribeCustomKeyStores": "the key is judged by its own state, with a gap",
    "kms:GetKeyPolicy": _REVOKED,
    "kms:ListGrants": _REVOKED,
    "kms:ListKeyRotations": "materials are not named, and rotation-overdue stays unknown for keys "
    "older than the policy allows, with a gap",
    "kms:GetKeyRotationStatus": "rotation-off and rotation-overdue stay unknown for the key, with a gap",
    "kms:GetKeyLastUsage": "retire --last-usage tells no last use of the key, with a gap",
    "kms:Decrypt": _PROBE,
    "cloudtrail:LookupEvents": _ACTOR,
    "cloudwatch:GetMetricStatistics": _COMPARED,
    "s3:GetBucketMetadataTableConfiguration": _TABLE,
    "s3:GetInventoryConfiguration": "with s3_inventory the bucket is not swept, and sweep-incomplete says so",
    "s3tables:GetTableMetadataLocation": _TABLE,
    "s3tables:GetTableData": _TABLE,
    "sqs:ReceiveMessage": _FEED,
    "sqs:DeleteMessage": "each event comes again and again, until the queue drops it",
    "sqs:GetQueueAttributes": "the doctor cannot tell whether the queue is there",
    "sts:AssumeRole": "everything in those accounts",
    "storage.objects.list": _BUCKET,
    "storage.buckets.get": _OF_BUCKET,
    "resourcemanager.projects.get": _OF_BUCKET,
    "storage.multipartUploads.list": _COUNT,
    "storage.buckets.list": _NUMBER,
    "storage.objects.get": _PROBE,
    "cloudkms.cryptoKeys.get": _KEY,
    "cloudkms.cryptoKeyVersions.list": _KEY,
    "cloudkms.cryptoKeys.getIamPolicy": _REVOKED,
    "cloudkms.keyRings.getIamPolicy": _REVOKED,
    "cloudkms.cryptoKeys.list": "how far the grant reaches is not known, with a gap",
    "resourcemanager.projects.getIamPolicy": "revoked is found only for a principal whose grant was seen before",
    "cloudkms.retiredResources.list": "a missing key counts as gone only minutes later",
    "cloudkms.singleTenantHsmInstances.get": "the keys on it are judged by their own state, with a gap",
    "cloudkms.ekmConnections.verifyConnectivity": _PROBE,
    "monitoring.timeSeries.list": _COMPARED,
    "logging.logEntries.list": _ACTOR,
    "pubsub.subscriptions.get": "a change of a key may be heard again and again, and polls made for nothing",
    "pubsub.subscriptions.consume": "changes of keys are found by the next poll, and not within seconds",
}
"""Permission -> what is lost without it."""
