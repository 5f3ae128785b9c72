"""Whether an answer of AWS is whole and of the kind that was asked for.

The SDK takes a page of another kind, half a document and no document at all for an answer that says nothing: a bucket
without objects, an object without encryption, a key without grants.

Source: Amazon S3, AWS STS and Amazon SQS API References, response syntax of each operation; botocore's kms, cloudtrail
and cloudwatch models.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final, TypeGuard
from urllib.parse import unquote_plus
from xml.etree import ElementTree as ET

import pyarrow as pa

from auditor.connectors.documents import parse_once
from auditor.rows import TIME

MALFORMED: Final = "MalformedAnswer"
"""The error code that stands for such an answer; no service uses it."""

_SUCCESS: Final = 200
_REDIRECTS: Final = 300
_INTERNAL: Final = 500
_MOST_DAYS: Final = 3650
"""No waiting period of a key is a hundredth of it, and no time between two rotations as long."""
_ROOTS: Final = {
    "ListBuckets": "ListAllMyBucketsResult",
    "GetBucketVersioning": "VersioningConfiguration",
    "GetBucketEncryption": "ServerSideEncryptionConfiguration",
    "ListObjectsV2": "ListBucketResult",
    "ListObjectVersions": "ListVersionsResult",
    "ListMultipartUploads": "ListMultipartUploadsResult",
    "GetBucketMetadataConfiguration": "GetBucketMetadataConfigurationResult",
    "GetBucketInventoryConfiguration": "InventoryConfiguration",
}
_PAGED: Final = frozenset({"ListObjectsV2", "ListObjectVersions", "ListMultipartUploads"})
_ENTRIES: Final = {"ListObjectsV2": "Contents", "ListObjectVersions": "Version"}
_OF_AN_ENTRY: Final = frozenset({"Key", "Size", "LastModified", "ETag", "StorageClass", "VersionId", "IsLatest"})
_ONCE: Final = frozenset({"IsTruncated", "EncodingType"})
_SAID: Final = frozenset({"true", "false"})
"""What a page may say of whether there is more; the SDK takes silence for a last page, and two words for none."""
_SETTINGS: Final = frozenset(
    {
        *("GetBucketVersioning", "GetBucketEncryption"),
        *("GetBucketMetadataConfiguration", "GetBucketInventoryConfiguration"),
    }
)
_SEVERAL: Final = frozenset({"Rule", "EncryptionType", "Field"})
"""What a bucket's settings may have more of than one; of anything else the SDK makes a list where a text is due."""
_WRAPPED: Final = {"GetCallerIdentity": "GetCallerIdentityResult", "AssumeRole": "AssumeRoleResult"}
_CREDENTIALS: Final = ("AccessKeyId", "SecretAccessKey", "SessionToken", "Expiration")
"""What the SDK takes for granted of a role's."""
_TEXTS_OF_KEY: Final = (
    *("Arn", "KeyState", "Origin", "CustomKeyStoreId", "CurrentKeyMaterialId", "KeySpec", "KeyUsage"),
)
_MEMBERS: Final = {
    "DescribeKey": "KeyMetadata",
    "DescribeCustomKeyStores": "CustomKeyStores",
    "GetKeyPolicy": "Policy",
    "ListGrants": "Grants",
    "ListKeyRotations": "Rotations",
    "GetKeyRotationStatus": "KeyRotationEnabled",
    "GetKeyLastUsage": "TrackingStartDate",
    "LookupEvents": "Events",
    "GetMetricStatistics": "Label",
    "GetTableMetadataLocation": "warehouseLocation",
}

_OF_QUEUES: Final = frozenset({"ReceiveMessage", "DeleteMessageBatch", "GetQueueAttributes"})


def is_sound(operation: str, status: int, headers: Mapping[str, str], body: bytes) -> bool:
    """Tell whether a success is one; `headers` are looked up without regard to case."""
    if status == _INTERNAL and body:
        # The SDK gives this status to an S3 answer that it cannot parse, whatever the service gave.
        return operation in _MEMBERS or operation in _OF_QUEUES or _root(body) is not None
    if status >= _REDIRECTS:
        return True
    if operation == "HeadObject":
        return status == _SUCCESS and "etag" in headers
    if operation == "PutObject":
        # A page that somebody on the way has put in its place may have the one, but says something.
        return status == _SUCCESS and "etag" in headers and not body
    if operation in {"HeadBucket", "GetObject"}:
        # No header of the one is promised by all who speak S3; the body of the other is the object's, and stays unread.
        return True
    if status != _SUCCESS:
        return False
    promised = headers.get("content-length")
    if promised not in {None, str(len(body))} and "content-encoding" not in headers:
        return False
    if operation in _MEMBERS:
        return _has_member(body, _MEMBERS[operation])
    if operation in _OF_QUEUES:
        return _is_of_queue(body, operation)
    return _has_root(body, operation)


def as_error(service: str) -> bytes:
    """An error body in the words of one service."""
    if service in {"kms", "cloudtrail", "sqs", "cloudwatch", "s3tables"}:
        return json.dumps({"__type": MALFORMED, "message": "the answer is not what was asked for"}).encode()
    inner = f"<Error><Code>{MALFORMED}</Code><Message>the answer is not what was asked for</Message></Error>"
    return (inner if service == "s3" else f"<ErrorResponse>{inner}</ErrorResponse>").encode()


def _has_member(body: bytes, member: str) -> bool:
    try:
        told = parse_once(body)
    except (ValueError, RecursionError):
        return False
    if not isinstance(told, dict) or member not in told:
        return False
    match member:
        case "KeyMetadata":
            return _is_metadata(told[member])
        case "CustomKeyStores":
            return _are_stores(told[member])
        case "Policy":
            return isinstance(told[member], str)
        case "warehouseLocation":
            # A table that nobody has written to yet has no metadata.
            return isinstance(told[member], str) and isinstance(told.get("metadataLocation"), str | None)
        case "TrackingStartDate":
            return _is_last_usage(told)
        case "Events":
            texts = ("EventId", "EventName", "CloudTrailEvent")
            return _are_objects(told[member]) and all(_are_texts(one, texts) for one in told[member])
        case "Label":
            return _are_statistics(told)
        case "KeyRotationEnabled":
            days = told.get("RotationPeriodInDays")
            return isinstance(told[member], bool) and (days is None or _is_number_of_days(days))
        case _:
            return _are_objects(told[member])


def _is_of_queue(body: bytes, operation: str) -> bool:
    """An answer without messages may be an empty object, which has nothing else in it then."""
    try:
        told = parse_once(body)
    except (ValueError, RecursionError):
        return False
    if not isinstance(told, dict):
        return False
    match operation:
        case "ReceiveMessage":
            messages = told.get("Messages", [])
            texts = ("Body", "ReceiptHandle")
            return told.keys() <= {"Messages"} and (
                messages is None
                or (
                    _are_objects(messages) and all(isinstance(one.get(text), str) for one in messages for text in texts)
                )
            )
        case "DeleteMessageBatch":
            return bool(told.keys() & {"Successful", "Failed"}) and all(
                told.get(one) is None or _are_objects(told[one]) for one in ("Successful", "Failed")
            )
        case _:
            return isinstance(told.get("Attributes"), dict)


def _is_metadata(told: object) -> bool:
    """Every key has a name and a state, whatever else it has; what is read of it is of its own kind."""
    if not isinstance(told, dict) or not all(told.get(one) for one in ("Arn", "KeyState")):
        return False
    days = told.get("PendingDeletionWindowInDays")
    return (days is None or _is_number_of_days(days)) and _are_texts(told, _TEXTS_OF_KEY)


def _is_last_usage(told: Mapping[str, object]) -> bool:
    """It is about a key, and each of its times is one; a use that has no time is none that can be told."""
    use = told.get("KeyLastUsage", {})
    if not isinstance(use, dict) or not told.get("KeyId") or not _are_texts(told, ("KeyId",)):
        return False
    times = (told["TrackingStartDate"], told.get("KeyCreationDate", 0), use.get("Timestamp", 0))
    timed = "Timestamp" in use or not use
    return timed and all(map(_is_number, times)) and _are_texts(use, ("Operation", "CloudTrailEventId"))


def _are_statistics(told: Mapping[str, object]) -> bool:
    """Each value has its time; an answer without values may have no list of them."""
    points = told.get("Datapoints", [])
    numbers = ("Timestamp", "Average")
    return _are_texts(told, ("Label",)) and (
        _are_objects(points) and all(_is_number(one.get(name)) for one in points for name in numbers)
    )


def _is_number(told: object) -> bool:
    return isinstance(told, int | float) and not isinstance(told, bool)


def _is_number_of_days(days: object) -> bool:
    return isinstance(days, int) and 0 <= days <= _MOST_DAYS


def _are_stores(told: object) -> bool:
    members = ("CustomKeyStoreId", "ConnectionState", "ConnectionErrorCode")
    return _are_objects(told) and all(one.get("CustomKeyStoreId") and _are_texts(one, members) for one in told)


def _are_objects(told: object) -> TypeGuard[list[dict[str, object]]]:
    return isinstance(told, list) and all(isinstance(one, dict) for one in told)


def _are_texts(told: Mapping[str, object], members: Iterable[str]) -> bool:
    return all(isinstance(told.get(one), str | None) for one in members)


def _has_root(body: bytes, operation: str) -> bool:
    root = _root(body)
    if root is None:
        return False
    if operation in _WRAPPED:
        inner = _child(root, _WRAPPED[operation])
        return inner is not None and (operation != "AssumeRole" or _has_credentials(inner))
    if operation in _PAGED and not _says_where(root):
        return False
    if operation in _SETTINGS and not _tells_once(root):
        return False
    if operation in _ENTRIES and not _are_entries(root, _ENTRIES[operation]):
        return False
    return operation not in _ROOTS or _bare(root.tag) == _ROOTS[operation]


def _says_where(root: ET.Element) -> bool:
    """Whether a page says, once and in a text, whether there is more, and where."""
    told = [one for one in root if (name := _bare(one.tag)) in _ONCE or name.startswith("Next")]
    texts = {_bare(one.tag): one.text for one in told}
    return len(texts) == len(told) and not any(len(one) for one in told) and texts.get("IsTruncated") in _SAID


def _tells_once(root: ET.Element) -> bool:
    counts = (Counter(_bare(inner.tag) for inner in one) for one in root.iter())
    return all(count == 1 or name in _SEVERAL for each in counts for name, count in each.items())


def _are_entries(root: ET.Element, row: str) -> bool:
    """Whether each entry has a name and a time and says nothing twice, and each version whether it is the newest.

    The SDK takes the first or the last of several, every word but `true` for `false`, half a word for a time and makes
    a name of what is none.
    """
    encoded = any(_bare(one.tag) == "EncodingType" and one.text == "url" for one in root)
    times: list[str | None] = []
    for entry in root:
        if _bare(entry.tag) != row:
            continue
        told = [one for one in entry if _bare(one.tag) in _OF_AN_ENTRY]
        texts = {_bare(one.tag): one.text for one in told}
        if len(texts) != len(told) or any(len(one) for one in told) or not texts.get("Key"):
            return False
        if row == "Version" and not (
            texts.get("IsLatest") == "true" or (texts.get("IsLatest") == "false" and texts.get("VersionId"))
        ):
            return False
        if encoded and not _is_text(texts["Key"] or ""):
            return False
        times.append(texts.get("LastModified"))
    return _are_times(times)


def _is_text(encoded: str) -> bool:
    try:
        unquote_plus(encoded, errors="strict")
    except UnicodeDecodeError:
        return False
    return True


def _are_times(told: list[str | None]) -> bool:
    """Whether all are times as libcurl's client keeps them."""
    try:
        return pa.array(told, pa.string()).cast(TIME).null_count == 0
    except pa.ArrowInvalid:
        return False


def _has_credentials(inner: ET.Element) -> bool:
    found = {_bare(one.tag): one.text for one in _child(inner, "Credentials") or ()}
    return all(found.get(one) for one in _CREDENTIALS) and _is_time(found["Expiration"] or "")


def _is_time(text: str) -> bool:
    """Whether it is one in ISO 8601 with its zone, without which nobody could tell when that is."""
    try:
        return datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False


def _child(element: ET.Element, name: str) -> ET.Element | None:
    return next((one for one in element if _bare(one.tag) == name), None)


def _root(body: bytes) -> ET.Element | None:
    try:
        # The service's own answer; expat fetches nothing and bounds what entities may grow to.
        return ET.fromstring(body)  # noqa: S314 - as said above
    except ET.ParseError:
        return None


def _bare(tag: str) -> str:
    return tag.rpartition("}")[2]
