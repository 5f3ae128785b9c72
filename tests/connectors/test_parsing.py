"""What is taken from one answer, and for what each error is taken."""

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import grpc
import pytest
import requests
from botocore.exceptions import (
    ClientError,
    ConnectionClosedError,
    NoCredentialsError,
    PartialCredentialsError,
    TokenRetrievalError,
)
from botocore.parsers import ResponseParserError
from google.api_core import exceptions as api
from google.auth.exceptions import DefaultCredentialsError, GoogleAuthError, RefreshError, TransportError
from google.cloud import kms_v1
from google.protobuf.json_format import ParseError

from auditor.connectors.aws import errors as aws_errors
from auditor.connectors.aws.answers import MALFORMED
from auditor.connectors.aws.encryption import Asked, Head, Told, is_encrypted_by_amazon, parse_head, parse_headers
from auditor.connectors.aws.keys import parse_key, parse_materials
from auditor.connectors.aws.objects import Listed, headed, parse_listed
from auditor.connectors.gcp import errors as gcp_errors
from auditor.connectors.gcp.keys import _access_reasons, _is_single_tenant, _violation, parse_version
from auditor.connectors.gcp.listing import LARGEST, NoPageError, columns, parse_page
from auditor.connectors.gcp.objects import _key_name, parse_object
from auditor.model import Encryption, GcpKeyVersion, KeyManager, Material, Population, Reason, StoredObject
from tests.core_builders import AWS_KEY, GCP_KEY, a_version

WHEN = datetime(2027, 1, 31, 6, 30, tzinfo=UTC)
ELSEWHERE = WHEN.astimezone(timezone(timedelta(hours=9)))

AWS_CODES: dict[Reason, tuple[str, ...]] = {
    Reason.ACCESS_DENIED: (
        *("AccessDenied", "AccessDeniedException", "AllAccessDisabled", "UnauthorizedOperation", "403"),
    ),
    Reason.NOT_FOUND: ("NoSuchBucket", "NoSuchKey", "NoSuchVersion", "NotFoundException", "404", "405"),
    Reason.EXPIRED_CREDENTIALS: (
        *("ExpiredToken", "ExpiredTokenException", "InvalidToken", "InvalidAccessKeyId", "InvalidClientTokenId"),
        *("UnrecognizedClientException", "SignatureDoesNotMatch", "RequestTimeTooSkewed"),
    ),
    Reason.THROTTLED: (
        *("SlowDown", "503", "429", "Throttling", "ThrottlingException", "TooManyRequestsException"),
        "RequestLimitExceeded",
    ),
    Reason.MALFORMED: ("InvalidArnException", "ValidationException", "PermanentRedirect", "301"),
    Reason.UNSUPPORTED: (
        *("UnknownOperationException", "UnsupportedOperationException", "NotImplemented", "InvalidObjectState"),
    ),
    Reason.TIMEOUT: ("InternalError", "500", "DependencyTimeoutException", "ACodeOfTheFuture"),
}


@pytest.mark.parametrize(("reason", "code"), [(reason, code) for reason, codes in AWS_CODES.items() for code in codes])
def test_each_code_of_aws_has_its_reason(reason: Reason, code: str) -> None:
    error = ClientError({"Error": {"Code": code, "Message": "free text"}}, "Operation")
    assert (aws_errors.reason_of(error), aws_errors.code_of(error)) == (reason, code)


AWS_HINTS: dict[Reason, str] = {
    Reason.ACCESS_DENIED: "grant kms:DescribeKey to the auditor",
    Reason.NOT_FOUND: "the name and the account",
    Reason.EXPIRED_CREDENTIALS: "credentials",
    Reason.THROTTLED: "lower requests_per_second",
    Reason.MALFORMED: "the name and the `region`",
    Reason.UNSUPPORTED: "the endpoint",
    Reason.TIMEOUT: "the network",
    Reason.NOT_VISIBLE: "the network",
}


@pytest.mark.parametrize(("reason", "told"), AWS_HINTS.items())
def test_each_reason_on_aws_has_its_hint(reason: Reason, told: str) -> None:
    assert told in aws_errors.hint_for(reason, "kms:DescribeKey")


AWS_FAULTS: dict[str, tuple[Exception, Reason, str]] = {
    "no credentials": (NoCredentialsError(), Reason.EXPIRED_CREDENTIALS, "NoCredentialsError"),
    "half of them": (
        PartialCredentialsError(provider="env", cred_var="x"),
        Reason.EXPIRED_CREDENTIALS,
        "PartialCredentialsError",
    ),
    "no token": (
        TokenRetrievalError(provider="sso", error_msg="x"),
        Reason.EXPIRED_CREDENTIALS,
        "TokenRetrievalError",
    ),
    "connection closed": (ConnectionClosedError(endpoint_url="x"), Reason.TIMEOUT, "ConnectionClosedError"),
    "an answer that nobody can parse": (ResponseParserError("x"), Reason.MALFORMED, "ResponseParserError"),
    "another answer than was asked for": (
        ClientError({"Error": {"Code": MALFORMED}}, "Operation"),
        Reason.MALFORMED,
        MALFORMED,
    ),
    "no right to take a role": (
        ClientError({"Error": {"Code": "AccessDenied"}}, "AssumeRole"),
        Reason.EXPIRED_CREDENTIALS,
        "AccessDenied",
    ),
    "no right to take a role as a workload": (
        ClientError({"Error": {"Code": "AccessDenied"}}, "AssumeRoleWithWebIdentity"),
        Reason.EXPIRED_CREDENTIALS,
        "AccessDenied",
    ),
    "too many who take roles": (
        ClientError({"Error": {"Code": "Throttling"}}, "AssumeRole"),
        Reason.THROTTLED,
        "Throttling",
    ),
    "an answer without a code": (ClientError({}, "Operation"), Reason.TIMEOUT, "unknown"),
}


@pytest.mark.parametrize(("error", "reason", "code"), AWS_FAULTS.values(), ids=AWS_FAULTS)
def test_a_fault_on_the_way_to_aws_has_its_reason(error: Exception, reason: Reason, code: str) -> None:
    assert (aws_errors.reason_of(error), aws_errors.code_of(error)) == (reason, code)
    assert isinstance(error, aws_errors.FAULTS)


def over_http(status: int) -> requests.HTTPError:
    response = requests.Response()
    response.status_code = status
    return requests.HTTPError(response=response)


STATUS = {
    400: Reason.MALFORMED,
    401: Reason.EXPIRED_CREDENTIALS,
    403: Reason.ACCESS_DENIED,
    404: Reason.NOT_FOUND,
    412: Reason.TIMEOUT,
    429: Reason.THROTTLED,
    500: Reason.TIMEOUT,
    501: Reason.UNSUPPORTED,
    503: Reason.TIMEOUT,
}


@pytest.mark.parametrize(("status", "reason"), STATUS.items())
def test_each_status_of_google_has_its_reason(status: int, reason: Reason) -> None:
    for error in (over_http(status), api.from_http_status(status, "free text")):
        assert gcp_errors.reason_of(error) is reason
        assert isinstance(error, gcp_errors.FAULTS)
    assert gcp_errors.code_of(over_http(status)) == f"HTTP {status}"
    assert gcp_errors.code_of(api.from_http_status(418, "free text")) == "HTTP 418"


def answered(status: int, body: bytes) -> Any:
    response = requests.Response()
    response.status_code = status
    response._content = body  # noqa: SLF001 - what a transport does
    return api.from_http_status(status, "free text", response=response)


PAGES = [
    *(b"", b"<html>403</html>", b"[" * 100_000, b"[]", b"{}"),
    *(b'{"error": "PERMISSION_DENIED"}', b'{"message": "no"}'),
]


@pytest.mark.parametrize("body", PAGES, ids=lambda body: repr(body[:30]))
def test_a_refusal_that_google_did_not_write_is_none(body: bytes) -> None:
    for status in (400, 401, 403, 404):
        error = answered(status, body)
        assert (gcp_errors.reason_of(error), gcp_errors.status_of(error)) == (Reason.MALFORMED, None)
    assert gcp_errors.reason_of(answered(429, body)) is Reason.THROTTLED
    assert gcp_errors.reason_of(answered(503, body)) is Reason.TIMEOUT


@pytest.mark.parametrize(
    ("told", "status"),
    [
        ({"code": 403, "status": "PERMISSION_DENIED"}, "PERMISSION_DENIED"),
        ({"status": "PERMISSION_DENIED"}, "PERMISSION_DENIED"),
        ({"code": 403}, "403"),
    ],
    ids=["Cloud KMS", "the status alone", "Cloud Storage"],
)
def test_a_refusal_of_google_names_its_status(told: dict[str, Any], status: str) -> None:
    error = answered(403, json.dumps({"error": told}).encode())
    assert (gcp_errors.reason_of(error), gcp_errors.status_of(error)) == (Reason.ACCESS_DENIED, status)


def test_an_error_over_grpc_has_its_status_and_our_own_its_code() -> None:
    assert gcp_errors.status_of(api.from_grpc_status(grpc.StatusCode.PERMISSION_DENIED, "x")) == "PERMISSION_DENIED"
    assert gcp_errors.status_of(api.from_http_status(418, "x")) == "418"


GOOGLE_HINTS: dict[Reason, str] = {
    Reason.ACCESS_DENIED: "grant cloudkms.cryptoKeys.get to the auditor",
    Reason.NOT_FOUND: "the name in the config",
    Reason.EXPIRED_CREDENTIALS: "credentials",
    Reason.THROTTLED: "lower requests_per_second",
    Reason.MALFORMED: "the name and the endpoint",
    Reason.UNSUPPORTED: "the endpoint: it does not know this call",
    Reason.TIMEOUT: "the network",
    Reason.NOT_VISIBLE: "the network",
}


@pytest.mark.parametrize(("reason", "told"), GOOGLE_HINTS.items())
def test_each_reason_on_google_cloud_has_its_hint(reason: Reason, told: str) -> None:
    assert told in gcp_errors.hint_for(reason, "cloudkms.cryptoKeys.get")


GOOGLE_FAULTS: dict[str, tuple[Exception, Reason, str]] = {
    "not refreshed": (RefreshError("x"), Reason.EXPIRED_CREDENTIALS, "RefreshError"),
    "no credentials": (DefaultCredentialsError("x"), Reason.EXPIRED_CREDENTIALS, "DefaultCredentialsError"),
    "no way to the tokens": (TransportError("x"), Reason.TIMEOUT, "TransportError"),
    "another fault of the credentials": (GoogleAuthError("x"), Reason.TIMEOUT, "GoogleAuthError"),
    "no JSON": (requests.JSONDecodeError("x", "y", 0), Reason.MALFORMED, "JSONDecodeError"),
    "connection dropped": (requests.ConnectionError(), Reason.TIMEOUT, "ConnectionError"),
    "an error without an answer": (requests.HTTPError(), Reason.TIMEOUT, "HTTPError"),
    "no message of gRPC": (ParseError("x"), Reason.MALFORMED, "ParseError"),
    "retried for too long, and denied": (
        api.RetryError("x", api.PermissionDenied("free text")),
        Reason.ACCESS_DENIED,
        "PERMISSION_DENIED",
    ),
    "retried for too long": (api.RetryError("x", None), Reason.TIMEOUT, "RetryError"),
    "an error without a status": (api.GoogleAPICallError("x"), Reason.TIMEOUT, "HTTP 0"),
    "denied over gRPC": (api.PermissionDenied("free text"), Reason.ACCESS_DENIED, "PERMISSION_DENIED"),
    "not found over gRPC": (api.NotFound("free text"), Reason.NOT_FOUND, "NOT_FOUND"),
}


@pytest.mark.parametrize(("error", "reason", "code"), GOOGLE_FAULTS.values(), ids=GOOGLE_FAULTS)
def test_a_fault_on_the_way_to_google_has_its_reason(error: Exception, reason: Reason, code: str) -> None:
    assert (gcp_errors.reason_of(error), gcp_errors.code_of(error)) == (reason, code)
    assert isinstance(error, gcp_errors.FAULTS)


def test_an_aws_key_is_read_field_by_field() -> None:
    told = {
        "KeyState": "PendingDeletion",
        "KeyManager": "AWS",
        "Origin": "EXTERNAL",
        "CreationDate": ELSEWHERE,
        "DeletionDate": ELSEWHERE + timedelta(days=7),
        "PendingDeletionWindowInDays": 7,
        "ValidTo": ELSEWHERE + timedelta(days=9),
        "MultiRegion": True,
        "CurrentKeyMaterialId": "a",
        "KeySpec": "RSA_2048",
        "KeyUsage": "SIGN_VERIFY",
    }
    found = parse_key(AWS_KEY, told)
    assert found == {
        "name": AWS_KEY,
        "state": "PendingDeletion",
        "manager": KeyManager.PROVIDER,
        "origin": "EXTERNAL",
        "created": WHEN,
        "deletion_date": WHEN + timedelta(days=7),
        "pending_window_days": 7,
        "valid_to": WHEN + timedelta(days=9),
        "multi_region": True,
        "spec": "RSA_2048",
        "usage": "SIGN_VERIFY",
        "material": "a",
    }
    assert {one.tzinfo for one in found.values() if isinstance(one, datetime)} == {UTC}
    nothing = {"created": None, "deletion_date": None, "pending_window_days": None, "valid_to": None, "material": None}
    assert parse_key(AWS_KEY, {}) == {
        **nothing,
        "name": AWS_KEY,
        "state": "",
        "manager": KeyManager.CUSTOMER,
        "origin": "",
        "multi_region": False,
        "spec": "",
        "usage": "",
    }


def a_rotation(name: str, **more: Any) -> dict[str, Any]:
    return {"KeyMaterialId": name, "KeyMaterialState": "NON_CURRENT", "ImportState": "IMPORTED", **more}


EXPIRES = {"ExpirationModel": "KEY_MATERIAL_EXPIRES", "ValidTo": ELSEWHERE}
NEVER = {"ExpirationModel": "KEY_MATERIAL_DOES_NOT_EXPIRE", "ValidTo": ELSEWHERE}
MISSING = {"ImportState": "PENDING_IMPORT"}
MATERIALS: dict[str, tuple[list[dict[str, Any]], tuple[Material, ...]]] = {
    "none": ([], ()),
    "by id": (
        [a_rotation("b"), a_rotation("a", KeyMaterialState="CURRENT")],
        (Material("a", "CURRENT", imported=True), Material("b", "NON_CURRENT", imported=True)),
    ),
    "one that expires": ([a_rotation("a", **EXPIRES)], (Material("a", "NON_CURRENT", imported=True, valid_to=WHEN),)),
    "one that does not": ([a_rotation("a", **NEVER)], (Material("a", "NON_CURRENT", imported=True),)),
    "one that is missing": ([a_rotation("a", **MISSING)], (Material("a", "NON_CURRENT", imported=False),)),
    "missing in the second of two entries": (
        [a_rotation("a"), a_rotation("a", **MISSING)],
        (Material("a", "NON_CURRENT", imported=False),),
    ),
    "missing in the first of two entries": (
        [a_rotation("a", **MISSING), a_rotation("a")],
        (Material("a", "NON_CURRENT", imported=False),),
    ),
    "nothing said": ([{}], (Material("", "", imported=False),)),
}


@pytest.mark.parametrize(("told", "expected"), MATERIALS.values(), ids=MATERIALS)
def test_materials_are_read_entry_by_entry(told: list[dict[str, Any]], expected: tuple[Material, ...]) -> None:
    found = parse_materials(told)
    assert found == expected
    assert all(one.valid_to is None or one.valid_to.tzinfo is UTC for one in found)


def listed(storage_class: str = "STANDARD", *, newest: bool = True) -> Listed:
    return Listed("a", "v1", newest=newest, size=17, modified=WHEN, etag="e", storage_class=storage_class)


def test_an_entry_of_an_s3_listing_is_read_field_by_field() -> None:
    told = {"Key": "a", "VersionId": "v1", "Size": 17, "LastModified": ELSEWHERE, "ETag": '"e"', "StorageClass": "X"}
    found = parse_listed(told, newest=True, versioned=True)
    assert (found, found.modified.tzinfo) == (listed("X"), UTC)
    plain = parse_listed(
        {"Key": "a", "VersionId": "v1", "Size": 17, "LastModified": WHEN}, newest=False, versioned=False
    )
    assert plain == Listed("a", None, newest=False, size=17, modified=WHEN, etag=None, storage_class="STANDARD")


KEY = AWS_KEY.text
HEADS: dict[str, tuple[dict[str, Any], tuple[Encryption, str | None, Reason | None]]] = {
    "nothing": ({}, (Encryption.NONE, None, None)),
    "AES256": ({"ServerSideEncryption": "AES256"}, (Encryption.PROVIDER, None, None)),
    "KMS": ({"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": KEY}, (Encryption.CMEK, KEY, None)),
    "KMS twice": ({"ServerSideEncryption": "aws:kms:dsse", "SSEKMSKeyId": KEY}, (Encryption.CMEK, KEY, None)),
    "KMS without a key": ({"ServerSideEncryption": "aws:kms"}, (Encryption.UNKNOWN, None, Reason.MALFORMED)),
    "an alias": (
        {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "alias/x"},
        (Encryption.UNKNOWN, None, Reason.MALFORMED),
    ),
    "of tomorrow": ({"ServerSideEncryption": "aws:new"}, (Encryption.UNKNOWN, None, Reason.UNSUPPORTED)),
}


@pytest.mark.parametrize(("told", "expected"), HEADS.values(), ids=HEADS)
def test_a_head_tells_the_encryption(
    told: dict[str, Any], expected: tuple[Encryption, str | None, Reason | None]
) -> None:
    encryption, key, problem = expected
    assert headed(listed(newest=False), parse_head({"ETag": "e", **told}).told, WHEN) == StoredObject(
        name="a",
        version="v1",
        population=Population.NONCURRENT,
        size=17,
        modified=WHEN,
        etag="e",
        storage_class="STANDARD",
        archived=False,
        encryption=encryption,
        key=key,
        key_version=None,
        verified=WHEN if problem is None else None,
        problem=problem,
    )
    assert headed(listed(), parse_head({"ETag": "e", **told}).told, WHEN).population is Population.LIVE


RESTORED = {"Restore": 'ongoing-request="false", expiry-date="Fri, 21 Dec 2029 00:00:00 GMT"'}
ARCHIVED: dict[str, tuple[str, dict[str, str], bool]] = {
    "standard": ("STANDARD", {}, False),
    "glacier": ("GLACIER", {}, True),
    "deep archive": ("DEEP_ARCHIVE", {}, True),
    "instant retrieval": ("GLACIER_IR", {}, False),
    "being restored": ("GLACIER", {"Restore": 'ongoing-request="true"'}, True),
    "restored": ("GLACIER", RESTORED, False),
    "an archive tier": ("INTELLIGENT_TIERING", {"ArchiveStatus": "ARCHIVE_ACCESS"}, True),
    "an archive tier, once restored": ("INTELLIGENT_TIERING", {"ArchiveStatus": "ARCHIVE_ACCESS", **RESTORED}, True),
}


@pytest.mark.parametrize(("storage_class", "told", "archived"), ARCHIVED.values(), ids=ARCHIVED)
def test_a_head_tells_what_needs_a_restore_first(
    storage_class: str,
    told: dict[str, str],
    archived: bool,  # noqa: FBT001 - a case
) -> None:
    assert headed(listed(storage_class), parse_head({"ETag": "e", **told}).told, WHEN).archived is archived


VERSION = f"{GCP_KEY}/cryptoKeyVersions/7"
BLOBS: dict[str, tuple[dict[str, Any], tuple[Encryption, str | None, str | None, Reason | None]]] = {
    "a key version": ({"kmsKeyName": VERSION}, (Encryption.CMEK, GCP_KEY.text, "7", None)),
    "a key": ({"kmsKeyName": GCP_KEY.text}, (Encryption.CMEK, GCP_KEY.text, None, None)),
    "a key of AWS": ({"kmsKeyName": KEY}, (Encryption.UNKNOWN, None, None, Reason.MALFORMED)),
    "no key": ({"kmsKeyName": "x"}, (Encryption.UNKNOWN, None, None, Reason.MALFORMED)),
    "a customer's own": ({"customerEncryption": {"keySha256": "x"}}, (Encryption.CUSTOMER_SUPPLIED, None, None, None)),
    "nothing": ({}, (Encryption.PROVIDER, None, None, None)),
    "a customer's own, of which nothing more is told": (
        {"customerEncryption": {}},
        (Encryption.CUSTOMER_SUPPLIED, None, None, None),
    ),
    "nothing, in so many words": (
        {"kmsKeyName": None, "customerEncryption": None},
        (Encryption.PROVIDER, None, None, None),
    ),
    "a key without a name": ({"kmsKeyName": ""}, (Encryption.UNKNOWN, None, None, Reason.MALFORMED)),
    "a version that is written otherwise": (
        {"kmsKeyName": f"{GCP_KEY}/cryptoKeyVersions/02"},
        (Encryption.UNKNOWN, None, None, Reason.MALFORMED),
    ),
}


@pytest.mark.parametrize(("told", "expected"), BLOBS.values(), ids=BLOBS)
def test_an_entry_of_a_listing_of_cloud_storage_tells_the_encryption(
    told: dict[str, Any], expected: tuple[Encryption, str | None, str | None, Reason | None]
) -> None:
    encryption, key, version, problem = expected
    entry = {"name": "a", "generation": "1", "size": "0", "timeCreated": "2027-01-31T15:30:00+09:00", "etag": "e"}
    found = parse_object({**entry, **told, "storageClass": "X"}, WHEN, soft_deleted=False)
    assert found == StoredObject(
        name="a",
        version="1",
        population=Population.LIVE,
        size=0,
        modified=WHEN,
        etag="e",
        storage_class="X",
        archived=False,
        encryption=encryption,
        key=key,
        key_version=version,
        verified=WHEN if problem is None else None,
        problem=problem,
    )
    assert found.modified.tzinfo is UTC
    assert parse_object({**entry, **told}, WHEN, soft_deleted=False).storage_class == "STANDARD"
    page = parse_page(json.dumps({"kind": "storage#objects", "items": [{**entry, **told}]}).encode())
    (row,) = columns(page, WHEN, tuple(Population), soft_deleted=False).to_pylist()
    assert (row["encryption"], row["key"], row["key_version"], row["problem"]) == (encryption, key, version, problem)


def test_a_default_key_that_is_no_name_of_a_key_is_none() -> None:
    assert _key_name(GCP_KEY.text) == GCP_KEY.text
    assert _key_name("x") is None


POPULATIONS = {
    (None, False): Population.LIVE,
    ("2027-02-01T00:00:00Z", False): Population.NONCURRENT,
    (None, True): Population.SOFT_DELETED,
    ("2027-02-01T00:00:00Z", True): Population.SOFT_DELETED,
}


@pytest.mark.parametrize(("deleted", "soft"), POPULATIONS)
def test_an_entry_of_cloud_storage_stands_where_its_dates_say(deleted: str | None, soft: bool) -> None:  # noqa: FBT001 - a case
    entry = {"name": "a", "generation": "1", "size": "1", "timeCreated": "2027-01-31T06:30:00Z", "timeDeleted": deleted}
    assert parse_object(entry, WHEN, soft_deleted=soft).population is POPULATIONS[deleted, soft]


def test_an_object_of_cloud_storage_may_be_as_large_as_any_to_both_clients() -> None:
    entry = {"name": "a", "generation": "1", "timeCreated": "2027-01-31T06:30:00Z", "size": str(LARGEST)}
    assert parse_object(entry, WHEN, soft_deleted=False).size == LARGEST
    page = parse_page(json.dumps({"kind": "storage#objects", "items": [entry]}).encode())
    assert columns(page, WHEN, tuple(Population), soft_deleted=False).to_pylist()[0]["size"] == LARGEST


NO_OBJECTS: tuple[dict[str, Any], ...] = (
    {"name": 7},
    *({"size": size} for size in ("-1", " 5 ", "1_000", "\u0665", 5, True, "9" * 30, str(LARGEST + 1))),
    *({"generation": generation} for generation in ("", 7, "+1")),
    *({"timeCreated": time} for time in ("2027-01-31T06:30:00", "20270131T063000Z", "2027-01-31T06:30:00,5Z")),
    {"timeDeleted": False},
    {"etag": 7},
    {"storageClass": ["STANDARD"]},
    {"customerEncryption": False},
)


@pytest.mark.parametrize("wrong", NO_OBJECTS, ids=repr)
def test_what_is_no_object_is_refused_by_both_clients(wrong: dict[str, Any]) -> None:
    entry = {"name": "a", "generation": "1", "size": "1", "timeCreated": "2027-01-31T06:30:00Z"}
    page = json.dumps({"kind": "storage#objects", "items": [{**entry, **wrong}]}).encode()
    assert parse_object(entry, WHEN, soft_deleted=False).version == "1"
    with pytest.raises(ValueError, match=r"no object has|zone offset|type timestamp|Expected"):
        parse_object({**entry, **wrong}, WHEN, soft_deleted=False)
    with pytest.raises(NoPageError):
        columns(parse_page(page), WHEN, (), soft_deleted=True)


EKM = "projects/acme/locations/us-east1/ekmConnections/one"
OTHER_EKM = "projects/acme/locations/us-east1/ekmConnections/two"


def version(backend: str = "", **told: Any) -> GcpKeyVersion:
    return parse_version(kms_v1.CryptoKeyVersion(name=VERSION, **told), backend)


def test_a_key_version_is_read_field_by_field() -> None:
    found = version(
        state="DESTROYED",
        protection_level="HSM",
        algorithm="AES_256_GCM",
        create_time=WHEN,
        destroy_time=WHEN + timedelta(days=1),
        destroy_event_time=WHEN + timedelta(days=2),
        reimport_eligible=True,
        import_time=WHEN + timedelta(days=3),
    )
    assert found == GcpKeyVersion(
        number="7",
        state="DESTROYED",
        protection_level="HSM",
        algorithm="AES_256_GCM",
        created=WHEN,
        destroy_time=WHEN + timedelta(days=1),
        destroyed_time=WHEN + timedelta(days=2),
        reimport_eligible=True,
        imported=WHEN + timedelta(days=3),
    )
    plain = version(state="ENABLED", protection_level="SOFTWARE", algorithm="GOOGLE_SYMMETRIC_ENCRYPTION")
    assert plain == GcpKeyVersion("7", "ENABLED")
    assert version(state=77).state == "77"


def test_whatever_failed_is_told() -> None:
    told = [
        version(**{f"{kind}_failure_reason": kind}).failure for kind in ("generation", "import", "external_destruction")
    ]
    assert told == ["generation", "import", "external_destruction"]


BEHIND: dict[str, tuple[str, str, str | None, str | None]] = {
    "its key's": ("EXTERNAL_VPC", EKM, None, EKM),
    "its own": ("EXTERNAL_VPC", EKM, OTHER_EKM, OTHER_EKM),
    "none told": ("EXTERNAL_VPC", "", None, None),
    "none, over the internet": ("EXTERNAL", EKM, OTHER_EKM, None),
    "none, in an HSM": ("HSM_SINGLE_TENANT", EKM, None, None),
}


@pytest.mark.parametrize(("level", "backend", "override", "expected"), BEHIND.values(), ids=BEHIND)
def test_the_connection_behind_a_version_is_its_own_or_its_keys(
    level: str, backend: str, override: str | None, expected: str | None
) -> None:
    options = {"ekm_connection_backend_override": override} if override else {}
    assert (
        version(backend, protection_level=level, external_protection_level_options=options).ekm_connection == expected
    )


def test_an_instance_stands_behind_a_key_when_any_version_is_on_one() -> None:
    soft, hard = a_version("1"), a_version("2", protection_level="HSM_SINGLE_TENANT")
    assert [_is_single_tenant(one) for one in ((soft, hard), (soft,), ())] == [True, False, False]


def test_access_reasons_keep_none_nothing_and_what_is_newer_apart() -> None:
    assert _access_reasons(kms_v1.CryptoKey()) is None
    reasons: list[Any] = [[], ["CUSTOMER_INITIATED_ACCESS", 77]]
    keys = [kms_v1.CryptoKey(key_access_justifications_policy={"allowed_access_reasons": one}) for one in reasons]
    assert [_access_reasons(one) for one in keys] == [(), ("CUSTOMER_INITIATED_ACCESS", "77")]


VIOLATIONS: dict[str, tuple[list[Any], str]] = {
    "a kind": ([{"violations": [{"type": "EXTERNAL_UNREACHABLE"}]}], "EXTERNAL_UNREACHABLE"),
    "a kind after other details": ([{}, {"violations": [{}, {"type": "X_Y"}]}], "X_Y"),
    "free text": ([{"violations": [{"type": "see http://x"}]}], "INVALID_ARGUMENT"),
    "nothing": ([], "INVALID_ARGUMENT"),
}


@pytest.mark.parametrize(("details", "expected"), VIOLATIONS.values(), ids=VIOLATIONS)
def test_the_kind_of_a_violation_is_told_and_never_its_text(details: list[Any], expected: str) -> None:
    assert _violation(api.InvalidArgument("free text", details=details)) == expected


def test_a_size_of_more_digits_than_any_object_has_is_none() -> None:
    for digits, size in ((18, 10**18 - 1), (19, None), (5_000, None)):
        found = parse_headers(b'HTTP/1.1 200 OK\r\nETag: "0"\r\nContent-Length: ' + b"9" * digits + b"\r\n\r\n")
        assert found == Head(Told(Encryption.NONE), "0", None, size)


def test_headers_without_an_etag_are_those_of_no_object() -> None:
    assert parse_headers(b"HTTP/1.1 200 OK\r\nx-amz-server-side-encryption: AES256\r\n\r\n") is None
    assert parse_headers(b'HTTP/1.1 200 OK\r\nETag: "0"\r\n\r\n') == Head(Told(Encryption.NONE), "0", None)


def test_both_ways_of_reading_a_head_tell_its_length() -> None:
    whole = parse_headers(b'HTTP/1.1 200 OK\r\nETag: "0"\r\nContent-Length: 7\r\n\r\n')
    assert whole == parse_head({"ETag": '"0"', "ContentLength": 7}) == Head(Told(Encryption.NONE), "0", None, 7)


def test_of_an_object_whose_head_tells_nothing_its_class_tells_whether_it_is_archived() -> None:
    assert Told(Encryption.CUSTOMER_SUPPLIED).is_archived("DEEP_ARCHIVE")
    assert not Told(Encryption.CUSTOMER_SUPPLIED).is_archived("STANDARD")


PLAIN = Told(Encryption.PROVIDER)
NO_ANSWER = Told(Encryption.UNKNOWN, problem=Reason.MALFORMED)
ABOUT: dict[str, tuple[Head, Asked, Told | None]] = {
    "the version that was asked for": (Head(PLAIN, "e", "v"), Asked("e", "v"), PLAIN),
    "a version that it does not name": (Head(PLAIN, "e", None), Asked("e", "v"), PLAIN),
    "a version whose listing had no ETag": (Head(PLAIN, "e", "v"), Asked(None, "v"), PLAIN),
    "another version": (Head(PLAIN, "e", "w"), Asked("e", "v"), NO_ANSWER),
    "another content": (Head(PLAIN, "f", "v"), Asked("e", "v"), NO_ANSWER),
    "the version without an id": (Head(PLAIN, "e", "null"), Asked("e", "null"), PLAIN),
    "the version without an id, perhaps overwritten": (Head(PLAIN, "f", "null"), Asked("e", "null"), None),
    "another than the version without an id": (Head(PLAIN, "e", "w"), Asked("e", "null"), NO_ANSWER),
    "whatever is there": (Head(PLAIN, "e", "w"), Asked("e", None), PLAIN),
    "whatever is there, perhaps overwritten": (Head(PLAIN, "f", "w"), Asked("e", None), None),
    "whatever is there, with another length": (Head(PLAIN, "e", "w", 2), Asked("e", None, 1), None),
    "the version, with another length": (Head(PLAIN, "e", "v", 2), Asked("e", "v", 1), NO_ANSWER),
    "the version, with its length": (Head(PLAIN, "e", "v", 1), Asked("e", "v", 1), PLAIN),
    "an empty version, with another length": (Head(PLAIN, "e", "v", 1), Asked("e", "v", 0), NO_ANSWER),
    "the version, with a length that the listing lacks": (Head(PLAIN, "e", "v", 1), Asked("e", "v"), PLAIN),
    "the version, without a length": (Head(PLAIN, "e", "v"), Asked("e", "v", 1), PLAIN),
    "plain where it may be": (Head(Told(Encryption.NONE), "e", "v"), Asked("e", "v"), Told(Encryption.NONE)),
    "plain where it cannot be": (Head(Told(Encryption.NONE), "e", None), Asked("e", None, encrypted=True), NO_ANSWER),
    "encrypted where it must be": (Head(PLAIN, "e", None), Asked("e", None, encrypted=True), PLAIN),
}


@pytest.mark.parametrize(("head", "asked", "told"), ABOUT.values(), ids=ABOUT)
def test_an_answer_about_another_version_or_that_cannot_be_tells_nothing(
    head: Head, asked: Asked, told: Told | None
) -> None:
    assert head.about(asked) == told


IMPOSSIBLE: dict[str, tuple[bytes, dict[str, Any]]] = {
    "a key and no encryption": (
        f"x-amz-server-side-encryption-aws-kms-key-id: {AWS_KEY}".encode(),
        {"SSEKMSKeyId": AWS_KEY.text},
    ),
    "a key and the provider's encryption": (
        f"x-amz-server-side-encryption: AES256\r\nx-amz-server-side-encryption-aws-kms-key-id: {AWS_KEY}".encode(),
        {"ServerSideEncryption": "AES256", "SSEKMSKeyId": AWS_KEY.text},
    ),
    "a customer's own key that nobody gave": (
        b"x-amz-server-side-encryption-customer-algorithm: AES256",
        {"SSECustomerAlgorithm": "AES256"},
    ),
    "a delete marker": (b"x-amz-delete-marker: true", {"DeleteMarker": True}),
}


@pytest.mark.parametrize(("lines", "told"), IMPOSSIBLE.values(), ids=IMPOSSIBLE)
def test_headers_that_no_object_can_have_tell_nothing(lines: bytes, told: dict[str, Any]) -> None:
    found = parse_headers(b'HTTP/1.1 200 OK\r\nETag: "0"\r\n' + lines + b"\r\n\r\n")
    assert found == parse_head({"ETag": '"0"', **told}) == Head(NO_ANSWER, "0", None)


def test_headers_are_read_like_what_the_sdk_makes_of_them() -> None:
    lines = b'ETag: "0"\r\nX-Amz-Version-Id: v \r\nx-amz-delete-marker: false\r\nx-amz-server-side-encryption: AES256'
    told = {"ETag": '"0"', "VersionId": "v", "DeleteMarker": False, "ServerSideEncryption": "AES256"}
    assert parse_headers(b"HTTP/1.1 200 OK\r\n" + lines + b"\r\n\r\n") == parse_head(told) == Head(PLAIN, "0", "v")


WHOLE = b'HTTP/1.1 200 OK\r\nETag: "0"\r\nx-amz-server-side-encryption: AES256\r\n\r\n'
CUT: dict[str, bytes] = {
    "before the empty line": WHOLE[:-2],
    "between two lines": WHOLE[: WHOLE.index(b"x-amz")],
    "within a line": WHOLE[: WHOLE.index(b"AES256") + 2],
    "within a name": WHOLE[: WHOLE.index(b"side")] + b"\r\n\r\n",
    "a name with a blank": WHOLE.replace(b"encryption:", b"encryption :"),
    "a line that goes on in the next": WHOLE.replace(b": AES256", b":\r\n AES256"),
    "a line that is none": WHOLE.replace(b"ETag", b"hello\r\nETag"),
    "two answers to one question": WHOLE[:-2] + b"x-amz-server-side-encryption: aws:kms\r\n\r\n",
    "two contents": WHOLE.replace(b"x-amz", b'ETag: "1"\r\nx-amz'),
    "a line within it that begins like another answer": WHOLE.replace(
        b": AES256", b": AES256\r\nHTTP/1.1 200 OK: x"
    ).replace(b"ETag", b"x: y\r\nETag"),
    "the end of it that begins like another answer": WHOLE.replace(b'ETag: "0"', b"HTTP/1.1 200 OK: x").replace(
        b"AES256", b'AES256\r\nETag: "0"'
    ),
    "an interim answer alone": b"HTTP/1.1 103 Early Hints\r\nx-amz-server-side-encryption: AES256\r\n\r\n",
}


@pytest.mark.parametrize("raw", CUT.values(), ids=CUT)
def test_headers_that_are_cut_off_or_contradict_themselves_are_no_answer(raw: bytes) -> None:
    assert parse_headers(WHOLE) == Head(PLAIN, "0", None)
    assert parse_headers(raw) is None


def test_headers_of_an_interim_answer_are_not_the_objects() -> None:
    early = b"HTTP/1.1 103 Early Hints\r\nx-amz-server-side-encryption: AES256\r\n\r\n"
    plain = b'HTTP/1.1 200 OK\r\nETag: "0"\r\nContent-Length: 7\r\n\r\n'
    assert parse_headers(early + plain) == Head(Told(Encryption.NONE), "0", None, 7)
    assert parse_headers(WHOLE.replace(b"\r\n\r\n", b'\r\netag: "0"\r\n\r\n')) == Head(PLAIN, "0", None)


def test_amazon_encrypts_all_that_is_stored_since_2023() -> None:
    amazon = "https://data.s3.us-east-1.amazonaws.com"
    assert is_encrypted_by_amazon(amazon, "2026-01-01T00:00:00.000Z")
    assert is_encrypted_by_amazon("https://s3.cn-north-1.amazonaws.com.cn/data", "2023-02-01T00:00:00Z")
    assert not is_encrypted_by_amazon(amazon, "2023-01-31T23:59:59Z")
    assert not is_encrypted_by_amazon("https://data.amazonaws.com.example", "2026-01-01T00:00:00Z")
    assert not is_encrypted_by_amazon("http://127.0.0.1:9000", "2026-01-01T00:00:00Z")
