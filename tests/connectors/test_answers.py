"""Which answers are whole and of the kind that was asked for, and how one that is not is told."""

import json
import re
from xml.etree import ElementTree as ET

import pytest

from auditor.connectors.aws.answers import MALFORMED, as_error, is_sound
from auditor.connectors.gcp import answers as gcp_answers

ROOTS = {
    "ListBuckets": "ListAllMyBucketsResult",
    "GetBucketVersioning": "VersioningConfiguration",
    "GetBucketEncryption": "ServerSideEncryptionConfiguration",
    "ListObjectsV2": "ListBucketResult",
    "ListObjectVersions": "ListVersionsResult",
    "ListMultipartUploads": "ListMultipartUploadsResult",
}
PAGED = ["ListObjectsV2", "ListObjectVersions", "ListMultipartUploads"]
WRAPPED = {"GetCallerIdentity": "GetCallerIdentityResult", "AssumeRole": "AssumeRoleResult"}
MEMBERS = {
    "DescribeKey": "KeyMetadata",
    "DescribeCustomKeyStores": "CustomKeyStores",
    "GetKeyPolicy": "Policy",
    "ListGrants": "Grants",
    "ListKeyRotations": "Rotations",
    "GetKeyRotationStatus": "KeyRotationEnabled",
}


CREDENTIALS = (
    "<Credentials><AccessKeyId>a</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken>"
    "<Expiration>2026-01-01T00:00:00Z</Expiration></Credentials>"
)


def sound(operation: str, body: bytes = b"", status: int = 200, **headers: str) -> bool:
    return is_sound(operation, status, {name.replace("_", "-"): value for name, value in headers.items()}, body)


@pytest.mark.parametrize(("operation", "root"), ROOTS.items())
def test_an_answer_of_s3_is_the_document_that_was_asked_for(operation: str, root: str) -> None:
    rest = "<IsTruncated>false</IsTruncated>" if operation in PAGED else ""
    assert sound(operation, f"<{root}>{rest}</{root}>".encode())
    assert sound(operation, f'<{root} xmlns="http://s3.amazonaws.com/doc/2006-03-01/">{rest}</{root}>'.encode())
    for other in (f"<a><{root}/></a>", "<Error/>", f"<{root}>", "", "no XML"):
        assert not sound(operation, other.encode()), other


@pytest.mark.parametrize(("operation", "inner"), WRAPPED.items())
def test_an_answer_of_sts_holds_what_was_asked_for(operation: str, inner: str) -> None:
    told = f"<{inner}>{CREDENTIALS}</{inner}>"
    assert sound(operation, f'<a xmlns="https://sts"><Before/>{told}<After/></a>'.encode())
    for other in (f"<{inner}/>", "<a><Other/></a>", f"<a><b><{inner}/></b></a>", "<a>", ""):
        assert not sound(operation, other.encode()), other


@pytest.mark.parametrize("lacking", ["AccessKeyId", "SecretAccessKey", "SessionToken", "Expiration", "Credentials"])
def test_a_roles_credentials_are_all_there(lacking: str) -> None:
    told = f"<a><AssumeRoleResult>{CREDENTIALS}</AssumeRoleResult></a>"
    assert sound("AssumeRole", told.encode())
    assert not sound("AssumeRole", told.replace(lacking, "Another").encode())
    for never in ("soon", "2026-01-01T00:00:00"):
        assert not sound("AssumeRole", told.replace("2026-01-01T00:00:00Z", never).encode()), never
    assert not sound("AssumeRole", re.sub(f"<{lacking}>.*</{lacking}>", f"<{lacking}/>", told).encode())


@pytest.mark.parametrize(("operation", "member"), MEMBERS.items())
def test_an_answer_of_kms_holds_what_was_asked_for(operation: str, member: str) -> None:
    whole: dict[str, object] = {"KeyMetadata": {"Arn": "arn", "KeyState": "Enabled"}, "Policy": "{}"}
    told = {**whole, "KeyRotationEnabled": False}.get(member, [])
    others: tuple[object, ...] = (None, 5, [5], ["a"], [None], [[]])
    for value in others:
        assert not sound(operation, json.dumps({member: value}).encode())
    twice = json.dumps({member: told})[1:-1]
    assert not sound(operation, f"{{{twice},{twice}}}".encode()), "of two nobody knows which one is meant"
    assert sound(operation, json.dumps({"More": 1, member: told}).encode())
    for other in ({}, {"More": 1}, [member], member, None, 1):
        assert not sound(operation, json.dumps(other).encode()), other
    assert not sound(operation, b'{"' + member.encode())
    assert not sound(operation, b"[" * 60_000)


USAGES: dict[str, tuple[dict[str, object], bool]] = {
    "used": ({"KeyLastUsage": {"Timestamp": 2.0, "Operation": "Decrypt", "CloudTrailEventId": "e"}}, True),
    "never used": ({"KeyLastUsage": {}}, True),
    "without the element": ({}, True),
    "a use without a time": ({"KeyLastUsage": {"Operation": "Decrypt"}}, False),
    "a time that is a text": ({"KeyLastUsage": {"Timestamp": "2026"}}, False),
    "a time that is a truth": ({"KeyLastUsage": {"Timestamp": True}}, False),
    "an operation that is no text": ({"KeyLastUsage": {"Timestamp": 2.0, "Operation": 5}}, False),
    "no use at all": ({"KeyLastUsage": None}, False),
    "a list of uses": ({"KeyLastUsage": []}, False),
    "of no key": ({"KeyId": ""}, False),
    "of a key that is a number": ({"KeyId": 5}, False),
    "no time of tracking": ({"TrackingStartDate": None}, False),
    "no date of the key": ({"KeyCreationDate": None}, False),
}


@pytest.mark.parametrize(("told", "found"), USAGES.values(), ids=USAGES)
def test_a_last_use_is_about_a_key_and_has_times(told: dict[str, object], *, found: bool) -> None:
    whole = {"KeyId": "k", "TrackingStartDate": 1.5, "KeyCreationDate": 1, **told}
    assert sound("GetKeyLastUsage", json.dumps(whole).encode()) is found


@pytest.mark.parametrize(("days", "found"), [(90, True), (2560, True), (None, True), ("90", False), (-1, False)])
def test_the_time_between_two_rotations_is_a_number_of_days(days: object, *, found: bool) -> None:
    told = {"KeyRotationEnabled": True, "RotationPeriodInDays": days}
    assert sound("GetKeyRotationStatus", json.dumps(told).encode()) is found


NO_METADATA: dict[str, object] = {
    "nothing": None,
    "a list of what it needs": ["Arn", "KeyState"],
    "no name": {"KeyState": "Enabled"},
    "no state": {"Arn": "arn"},
    "an empty name": {"Arn": "", "KeyState": "Enabled"},
    "an empty state": {"Arn": "arn", "KeyState": ""},
    "a number for a name": {"Arn": 1, "KeyState": "Enabled"},
    "a number for a state": {"Arn": "arn", "KeyState": 1},
    **{
        f"{value!r} for {member}": {"Arn": "arn", "KeyState": "Enabled", member: value}
        for member, value in (
            ("Origin", 5),
            ("CustomKeyStoreId", 5),
            ("CurrentKeyMaterialId", {"a": 1}),
            ("KeySpec", 5),
            ("KeyUsage", []),
            ("PendingDeletionWindowInDays", "7"),
            ("PendingDeletionWindowInDays", 7.5),
            ("PendingDeletionWindowInDays", -1),
            ("PendingDeletionWindowInDays", 3651),
            ("PendingDeletionWindowInDays", 10**40),
        )
    },
}


@pytest.mark.parametrize("told", NO_METADATA.values(), ids=NO_METADATA)
def test_every_key_has_a_name_and_a_state(told: object) -> None:
    assert not sound("DescribeKey", json.dumps({"KeyMetadata": told}).encode())


def test_what_is_read_of_a_key_and_of_stores_is_of_its_kind() -> None:
    more = {"Origin": "EXTERNAL", "CustomKeyStoreId": "cks-1", "CurrentKeyMaterialId": "a", "Other": 5}
    for days in (0, 30, 3650):
        told = {"Arn": "arn", "KeyState": "Enabled", **more, "PendingDeletionWindowInDays": days}
        assert sound("DescribeKey", json.dumps({"KeyMetadata": told}).encode())
    store = {"CustomKeyStoreId": "cks-1", "ConnectionState": "FAILED", "ConnectionErrorCode": "NETWORK_ERRORS"}
    stores: tuple[tuple[object, bool], ...] = (
        ([store, {"CustomKeyStoreId": "cks-2"}], True),
        ([store, {"CustomKeyStoreId": 5}], False),
        ([{**store, "ConnectionState": 5}], False),
        ([{**store, "ConnectionErrorCode": []}], False),
        ([{"ConnectionState": "CONNECTED"}], False),
        (["cks-1"], False),
        ({}, False),
    )
    for each, found in stores:
        assert sound("DescribeCustomKeyStores", json.dumps({"CustomKeyStores": each}).encode()) is found


def test_a_document_that_nobody_described_need_only_be_one() -> None:
    assert sound("AnOperationOfTheFuture", b"<Anything/>")
    assert not sound("AnOperationOfTheFuture", b"")


@pytest.mark.parametrize(("operation", "found"), [("HeadObject", False), ("HeadBucket", True), ("GetObject", True)])
def test_where_the_body_says_nothing_the_headers_do(operation: str, *, found: bool) -> None:
    assert sound(operation) is found
    assert sound(operation, etag='"0"')
    assert sound(operation, status=206, etag='"0"') is (operation != "HeadObject")
    assert sound(operation, b"x", etag='"0"', content_length="7")


@pytest.mark.parametrize("operation", PAGED)
def test_a_page_says_whether_there_is_more(operation: str) -> None:
    for said, found in (("true", True), ("false", True), ("", False), ("TRUE", False), ("maybe", False)):
        told = f"<{ROOTS[operation]}><IsTruncated>{said}</IsTruncated></{ROOTS[operation]}>"
        assert sound(operation, told.encode()) is found, said
    assert not sound(operation, f"<{ROOTS[operation]}/>".encode())
    other = "<Error><IsTruncated>false</IsTruncated></Error>"
    assert not sound(operation, other.encode())
    twice = "<IsTruncated>false</IsTruncated><IsTruncated>true</IsTruncated>"
    assert not sound(operation, f"<{ROOTS[operation]}>{twice}</{ROOTS[operation]}>".encode())
    pieces, once = "<IsTruncated>false<b/>true</IsTruncated>", "<IsTruncated>false</IsTruncated>"
    for told in (pieces, once + pieces, once + once):
        assert not sound(operation, f"<{ROOTS[operation]}>{told}</{ROOTS[operation]}>".encode())


@pytest.mark.parametrize("operation", PAGED)
@pytest.mark.parametrize("name", ["EncodingType", "NextKeyMarker", "NextContinuationToken", "NextUploadIdMarker"])
def test_a_page_says_where_and_how_once(operation: str, name: str) -> None:
    """Of two the SDK makes a list, which is neither a place nor `url`."""
    for times, found in ((1, True), (2, False)):
        told = f"<IsTruncated>true</IsTruncated>{f'<{name}>url</{name}>' * times}"
        assert sound(operation, f"<{ROOTS[operation]}>{told}</{ROOTS[operation]}>".encode()) is found


KMS_TWICE = "<SSEAlgorithm>aws:kms</SSEAlgorithm>" * 2
SETTINGS = {
    "its status": ("GetBucketVersioning", "<Status>Enabled</Status>", False),
    "the rule": ("GetBucketEncryption", "<Rule/>", True),
    "what is blocked": ("GetBucketEncryption", "<Rule><BlockedEncryptionTypes/></Rule>", True),
}


@pytest.mark.parametrize(("operation", "told", "found"), SETTINGS.values(), ids=SETTINGS)
def test_settings_say_nothing_twice_of_which_there_is_one(operation: str, told: str, *, found: bool) -> None:
    root = ROOTS[operation]
    assert sound(operation, f"<{root}>{told}</{root}>".encode())
    assert sound(operation, f"<{root}>{told * 2}</{root}>".encode()) is found
    inner = f"<ApplyServerSideEncryptionByDefault>{KMS_TWICE}</ApplyServerSideEncryptionByDefault>"
    assert not sound(operation, f"<{root}><Rule>{inner}</Rule></{root}>".encode())
    kinds = "<EncryptionType>SSE-C</EncryptionType>" * 2
    assert sound(
        operation, f"<{root}><Rule><BlockedEncryptionTypes>{kinds}</BlockedEncryptionTypes></Rule></{root}>".encode()
    )


@pytest.mark.parametrize("status", [201, 206, 299])
def test_half_a_document_is_none(status: int) -> None:
    told = b"<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>"
    assert sound("ListObjectsV2", told)
    assert not sound("ListObjectsV2", told, status=status)
    assert not sound("DescribeKey", b'{"KeyMetadata": {"Arn": "a", "KeyState": "Enabled"}}', status=status)


WHOLE = b"<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>"
LENGTHS = {
    "as promised": (str(len(WHOLE)), None, True),
    "nothing promised": (None, None, True),
    "more promised": (str(len(WHOLE) + 1), None, False),
    "less promised": (str(len(WHOLE) - 1), None, False),
    "something else than a number promised": ("much", None, False),
    "packed": ("7", "gzip", True),
    "packed, and nothing promised": (None, "gzip", True),
}


@pytest.mark.parametrize(("promised", "encoding", "found"), LENGTHS.values(), ids=LENGTHS)
def test_a_body_is_as_long_as_promised(promised: str | None, encoding: str | None, *, found: bool) -> None:
    told = {"content-length": promised, "content-encoding": encoding}
    headers = {name: value for name, value in told.items() if value is not None}
    assert is_sound("ListObjectsV2", 200, headers, WHOLE) is found


FAILURES = {
    "a redirect": ("ListObjectsV2", b"no XML", 300, True),
    "a denial": ("HeadObject", b"", 403, True),
    "the last success": ("ListObjectsV2", b"no XML", 299, False),
    "a failure of S3": ("ListObjectsV2", b"<Error/>", 500, True),
    "a failure of S3 without a body": ("ListObjectsV2", b"", 500, True),
    "what the SDK could not parse": ("ListObjectsV2", b"no XML", 500, False),
    "a failure of KMS, which speaks JSON": ("DescribeKey", b"{}", 500, True),
    "a failure that the SDK passes on": ("ListObjectsV2", b"no XML", 501, True),
    "another failure that the SDK passes on": ("ListObjectsV2", b"no XML", 499, True),
}


@pytest.mark.parametrize(("operation", "body", "status", "found"), FAILURES.values(), ids=FAILURES)
def test_a_failure_is_told_by_its_own_code_where_the_sdk_can_read_it(
    operation: str, body: bytes, status: int, *, found: bool
) -> None:
    assert sound(operation, body, status) is found


def test_an_answer_that_is_not_sound_is_told_in_the_words_of_its_service() -> None:
    assert MALFORMED == "MalformedAnswer"
    told = json.loads(as_error("kms"))
    assert (told["__type"], bool(told["message"])) == (MALFORMED, True)
    for service, root, code in (("s3", "Error", "Code"), ("sts", "ErrorResponse", "Error/Code")):
        document = ET.fromstring(as_error(service))  # noqa: S314 - our own
        assert (document.tag, document.findtext(code)) == (root, MALFORMED)


KINDS = {
    "buckets.list": "storage#buckets",
    "buckets.get": "storage#bucket",
    "objects.list": "storage#objects",
    "projects.serviceAccount.get": "storage#serviceAccount",
}


@pytest.mark.parametrize(("operation", "kind"), KINDS.items())
def test_an_answer_of_cloud_storage_is_of_the_kind_that_was_asked_for(operation: str, kind: str) -> None:
    told = json.dumps({"kind": kind, "email_address": "a@b"})
    assert gcp_answers.is_sound(operation, told.encode())
    assert not gcp_answers.is_sound(operation, f'{told[:-1]}, "kind": "{kind}"}}'.encode()), "told twice"
    for other in ({"kind": "storage#object", "email_address": "a@b"}, {}, {kind: 1}, [kind], None):
        assert not gcp_answers.is_sound(operation, json.dumps(other).encode()), other
    for raw in (b"", b"<html>", b"[" * 60_000):
        assert not gcp_answers.is_sound(operation, raw)


@pytest.mark.parametrize(
    ("operation", "told", "found"),
    [
        ("buckets.get", {"location": "US", "encryption": {"defaultKmsKeyName": "k"}}, True),
        ("buckets.get", {"encryption": {}}, True),
        ("buckets.get", {"location": 5}, False),
        ("buckets.get", {"encryption": 5}, False),
        ("buckets.get", {"encryption": {"defaultKmsKeyName": 5}}, False),
        ("buckets.get", {"projectNumber": "1", "versioning": {"enabled": True}, "id": "data"}, True),
        ("buckets.get", {"softDeletePolicy": {"retentionDurationSeconds": "604800"}}, True),
        ("buckets.get", {"softDeletePolicy": {"retentionDurationSeconds": "long"}}, False),
        ("buckets.get", {"softDeletePolicy": []}, False),
        ("buckets.get", {"versioning": {"enabled": "no"}}, False),
        ("buckets.get", {"projectNumber": "none"}, False),
        ("buckets.get", {"id": 5}, False),
        ("buckets.list", {"items": [{"name": "data", "id": "data"}], "nextPageToken": "x"}, True),
        ("buckets.list", {"items": [{"id": "data"}]}, False),
        ("buckets.list", {"items": "data"}, False),
        ("buckets.list", {"nextPageToken": 5}, False),
        ("objects.list", {"items": [{"name": "a", "generation": "1", "size": "1", "timeCreated": "2026"}]}, True),
        ("objects.list", {"items": [{"name": 5, "generation": "1", "size": "1", "timeCreated": "2026"}]}, False),
        ("objects.list", {"items": ["a"]}, False),
        ("objects.list", {"nextPageToken": 5}, False),
        ("projects.serviceAccount.get", {"email_address": "a@b"}, True),
        ("projects.serviceAccount.get", {"email_address": "a"}, True),
        ("projects.serviceAccount.get", {"email_address": []}, False),
        ("projects.serviceAccount.get", {"email_address": ""}, False),
        ("projects.serviceAccount.get", {"email_address": None}, False),
        ("projects.serviceAccount.get", {}, False),
        ("objects.list", {"encryption": 5}, True),
    ],
)
def test_what_is_read_of_a_bucket_and_of_its_agent_is_of_its_kind(
    operation: str, told: dict[str, object], *, found: bool
) -> None:
    assert gcp_answers.is_sound(operation, json.dumps({"kind": KINDS[operation], **told}).encode()) is found


def test_a_policy_of_a_project_has_an_etag_and_what_nobody_described_is_an_object() -> None:
    assert gcp_answers.is_sound("projects.getIamPolicy", b'{"etag": "x"}')
    assert gcp_answers.is_sound("projects.getIamPolicy", b'{"etag": "x", "bindings": [{"role": "r"}]}')
    for raw in (b"{}", b'["etag"]', b"etag", b'{"etag": "x", "bindings": ["r"]}', b'{"etag": "x", "bindings": {}}'):
        assert not gcp_answers.is_sound("projects.getIamPolicy", raw)
    assert gcp_answers.is_sound("an.operation.of.the.future", b"{}")
    assert gcp_answers.is_sound("an.operation.of.the.future", b'{"kind": "any"}')
    assert not gcp_answers.is_sound("an.operation.of.the.future", b"[]")
    assert gcp_answers.is_sound("multipartUploads.list", b"<xml/>"), "parse_uploads looks at it"
