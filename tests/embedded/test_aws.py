"""The embedded AWS refuses what the real one refuses, with its codes."""

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import boto3
import pytest
from botocore.exceptions import ClientError

from auditor.embedded.aws import AwsCloud
from tests.clouds import ACCESS_KEY, Clock, an_aws_cloud
from tests.hostile import NAMES

ARN = "arn:aws:kms:us-east-1:111122223333:key/1f3c0f5e-0000-4000-8000-000000000001"


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[AwsCloud]:
    with an_aws_cloud(monkeypatch) as running:
        running.store.add_bucket("data")
        running.store.add_key(ARN)
        yield running


def s3() -> Any:
    return boto3.client("s3", region_name="us-east-1")


def kms(region: str = "us-east-1") -> Any:
    return boto3.client("kms", region_name=region)


def code(call: Any, **arguments: Any) -> tuple[int, str]:
    try:
        call(**arguments)
    except ClientError as error:
        return error.response["ResponseMetadata"]["HTTPStatusCode"], error.response["Error"]["Code"]
    return 200, ""


GETS: dict[str, tuple[dict[str, Any], tuple[int, str]]] = {
    "Enabled": ({"state": "Enabled"}, (200, "")),
    "Updating": ({"state": "Updating"}, (200, "")),
    "Disabled": ({"state": "Disabled"}, (400, "KMS.DisabledException")),
    "PendingDeletion": ({"state": "PendingDeletion"}, (400, "KMS.KMSInvalidStateException")),
    "PendingReplicaDeletion": ({"state": "PendingReplicaDeletion"}, (400, "KMS.KMSInvalidStateException")),
    "PendingImport": ({"state": "PendingImport"}, (400, "KMS.KMSInvalidStateException")),
    "Creating": ({"state": "Creating"}, (400, "KMS.KMSInvalidStateException")),
}


@pytest.mark.parametrize(("how", "expected"), GETS.values(), ids=GETS)
def test_a_get_goes_by_the_keys_state_and_a_head_never_does(
    cloud: AwsCloud, how: dict[str, Any], expected: tuple[int, str]
) -> None:
    cloud.store.add_key(ARN, **how)
    cloud.store.put("data", "a", sse="aws:kms", key=ARN)
    assert code(s3().get_object, Bucket="data", Key="a") == expected
    assert s3().head_object(Bucket="data", Key="a")["SSEKMSKeyId"] == ARN


ROLE = "arn:aws:iam::111122223333:role/storage"
ALLOW = {"Effect": "Allow", "Principal": {"AWS": ROLE}, "Action": "kms:Decrypt", "Resource": "*"}
VIA = {"StringEquals": {"kms:ViaService": "s3.us-east-1.amazonaws.com"}}
ALL_BUT = {"Effect": "Deny", "Action": "*", "Resource": "*"}
VARIABLE = "arn:aws:kms:*:${aws:PrincipalAccount}:key/*"
NOBODY = {
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"AWS": "arn:aws:iam::111122223333:role/nobody"},
            "Action": "kms:*",
            "Resource": "*",
        }
    ]
}
READERS: dict[str, tuple[dict[str, Any], bool, int]] = {
    "by the account's IAM policies": ({}, True, 200),
    "the account lets nobody": ({}, False, 403),
    "named": ({"policy": {"Statement": [ALLOW]}}, False, 200),
    "another role is named": (
        {"policy": {"Statement": [{**ALLOW, "Principal": {"AWS": f"{ROLE}-2"}}]}},
        True,
        403,
    ),
    "through S3": ({"policy": {"Statement": [{**ALLOW, "Condition": VIA}]}}, False, 200),
    "denied by its account": (
        {"policy": {"Statement": [ALLOW, {**ALLOW, "Effect": "Deny", "Principal": {"AWS": "111122223333"}}]}},
        True,
        403,
    ),
    "denied everybody but it, and so its account": (
        {"policy": {"Statement": [ALLOW, {**ALL_BUT, "NotPrincipal": {"AWS": ROLE}}]}},
        True,
        403,
    ),
    "denied everybody but it and its account": (
        {"policy": {"Statement": [ALLOW, {**ALL_BUT, "NotPrincipal": {"AWS": [ROLE, "111122223333"]}}]}},
        False,
        200,
    ),
    "denied everybody but everybody": (
        {"policy": {"Statement": [ALLOW, {**ALL_BUT, "NotPrincipal": "*"}]}},
        False,
        200,
    ),
    "denied without a resource": (
        {"policy": {"Statement": [ALLOW, {"Effect": "Deny", "Principal": "*", "Action": "*"}]}},
        False,
        200,
    ),
    "denied without an action": (
        {"policy": {"Statement": [ALLOW, {"Effect": "Deny", "Principal": "*", "Resource": "*"}]}},
        False,
        200,
    ),
    "denied by a variable": (
        {"policy": {"Statement": [ALLOW, {**ALLOW, "Effect": "Deny", "Resource": VARIABLE}]}},
        False,
        403,
    ),
    "named without a resource": (
        {"policy": {"Statement": [{one: told for one, told in ALLOW.items() if one != "Resource"}]}},
        True,
        403,
    ),
    "named by a path": (
        {"policy": {"Statement": [{**ALLOW, "Principal": {"AWS": ROLE.replace("role/", "role/team/a/")}}]}},
        False,
        200,
    ),
    "named with the sign of Kelvin": (
        {"policy": {"Statement": [{**ALLOW, "Action": "\u212ams:*"}]}},
        True,
        403,
    ),
    "by the policy of a share": ({"policy": NOBODY, "shared": {"Statement": ALLOW}}, False, 200),
    "by a grant": (
        {"policy": NOBODY, "grants": [{"GranteePrincipal": ROLE, "Operations": ["Decrypt"]}]},
        False,
        200,
    ),
    "by a grant to encrypt": (
        {"policy": NOBODY, "grants": [{"GranteePrincipal": ROLE, "Operations": ["Encrypt"]}]},
        True,
        403,
    ),
}


@pytest.mark.parametrize(("how", "by_iam", "status"), READERS.values(), ids=READERS)
def test_a_get_goes_by_the_readers_right(
    cloud: AwsCloud,
    how: dict[str, Any],
    by_iam: bool,  # noqa: FBT001 - a case
    status: int,
) -> None:
    cloud.store.principals[ACCESS_KEY] = ROLE
    cloud.store.by_iam.update({ROLE} if by_iam else ())
    cloud.store.add_key(ARN, **how)
    cloud.store.put("data", "a", sse="aws:kms", key=ARN)
    assert code(s3().get_object, Bucket="data", Key="a")[0] == status


def test_a_deleted_key_and_a_store_that_is_down_stop_a_get(cloud: AwsCloud) -> None:
    cloud.store.put("data", "a", sse="aws:kms", key=ARN)
    cloud.store.add_key_store("cks-1", "us-east-1", state="FAILED")
    cloud.store.add_key(ARN, store="cks-1")
    assert code(s3().get_object, Bucket="data", Key="a") == (400, "KMS.KMSInvalidStateException")
    cloud.store.remove_key(ARN)
    assert code(s3().get_object, Bucket="data", Key="a") == (403, "AccessDenied")


def test_a_customers_own_key_is_needed_for_get_and_head(cloud: AwsCloud) -> None:
    cloud.store.put("data", "a", sse=None, customer_key=b"k" * 32)
    assert code(s3().head_object, Bucket="data", Key="a") == (400, "400")
    assert code(s3().get_object, Bucket="data", Key="a") == (400, "InvalidRequest")
    right = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": "k" * 32}
    assert code(s3().get_object, Bucket="data", Key="a", **right) == (200, "")
    wrong = {**right, "SSECustomerKey": "w" * 32}
    assert code(s3().get_object, Bucket="data", Key="a", **wrong) == (403, "AccessDenied")


def test_archived_objects_need_a_restore(cloud: AwsCloud) -> None:
    one = cloud.store.put("data", "a", storage_class="GLACIER")
    assert code(s3().get_object, Bucket="data", Key="a") == (403, "InvalidObjectState")
    one.restored = True
    assert code(s3().get_object, Bucket="data", Key="a") == (200, "")


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_any_name_reads_back_its_own_bytes(cloud: AwsCloud, name: str) -> None:
    one = cloud.store.put("data", name, size=40)
    assert s3().get_object(Bucket="data", Key=name)["Body"].read() == one.content(0, 40)
    assert s3().get_object(Bucket="data", Key=name, Range="bytes=33-34")["Body"].read() == one.content(33, 35)


def test_keys_take_the_ways_that_the_guide_draws(cloud: AwsCloud) -> None:
    calls = kms()
    calls.disable_key(KeyId=ARN)
    assert code(calls.decrypt, CiphertextBlob=b"x", KeyId=ARN, DryRun=True) == (400, "DisabledException")
    calls.enable_key(KeyId=ARN)
    assert code(calls.decrypt, CiphertextBlob=b"x", KeyId=ARN, DryRun=True) == (412, "DryRunOperationException")
    calls.schedule_key_deletion(KeyId=ARN, PendingWindowInDays=7)
    assert code(calls.enable_key, KeyId=ARN) == (400, "KMSInvalidStateException")
    calls.cancel_key_deletion(KeyId=ARN)
    assert calls.describe_key(KeyId=ARN)["KeyMetadata"]["KeyState"] == "Disabled"
    calls.schedule_key_deletion(KeyId=ARN, PendingWindowInDays=7)
    assert isinstance(cloud.store.clock, Clock)
    cloud.store.clock.ahead = timedelta(days=8)
    assert code(calls.describe_key, KeyId=ARN) == (400, "NotFoundException")


def test_imported_material_expires_and_can_be_deleted(cloud: AwsCloud) -> None:
    cloud.store.add_key(ARN, origin="EXTERNAL", valid_to=cloud.store.clock() + timedelta(days=1))
    assert isinstance(cloud.store.clock, Clock)
    cloud.store.clock.ahead = timedelta(days=2)
    assert kms().describe_key(KeyId=ARN)["KeyMetadata"]["KeyState"] == "PendingImport"
    cloud.store.add_key(ARN, origin="EXTERNAL")
    kms().delete_imported_key_material(KeyId=ARN)
    assert kms().describe_key(KeyId=ARN)["KeyMetadata"]["KeyState"] == "PendingImport"


def test_regions_and_accounts_are_kept_apart(cloud: AwsCloud) -> None:
    assert code(kms("eu-west-1").describe_key, KeyId=ARN) == (400, "InvalidArnException")
    other = ARN.replace("111122223333", "444455556666")
    assert code(kms().describe_key, KeyId=other) == (400, "AccessDeniedException")
    cloud.store.add_key(other)
    assert [one["KeyArn"] for one in kms().list_keys()["Keys"]] == [ARN]
    assert code(kms().create_alias, AliasName="alias/a", TargetKeyId=ARN) == (400, "UnknownOperationException")


def test_an_expired_session_is_a_bare_400_on_head_and_told_elsewhere(cloud: AwsCloud) -> None:
    cloud.store.put("data", "a")
    cloud.store.expired.add("AKIA111122223333TEST")
    assert code(s3().head_object, Bucket="data", Key="a") == (400, "400")
    assert code(s3().list_objects_v2, Bucket="data") == (400, "ExpiredToken")
    assert code(kms().describe_key, KeyId=ARN) == (400, "ExpiredTokenException")


def test_it_listens_on_loopback_only(cloud: AwsCloud) -> None:
    assert urlsplit(cloud.endpoint).hostname == "127.0.0.1"


def test_a_customer_makes_and_deletes_buckets_objects_and_keys(cloud: AwsCloud) -> None:
    s3().create_bucket(Bucket="new")
    assert code(s3().create_bucket, Bucket="new") == (409, "BucketAlreadyOwnedByYou")
    s3().put_bucket_tagging(Bucket="new", Tagging={"TagSet": [{"Key": "a&b", "Value": "<c>"}]})
    assert cloud.store.buckets["new"].tags == {"a&b": "<c>"}
    made = kms().create_key(Tags=[{"TagKey": "a", "TagValue": "b"}])["KeyMetadata"]
    assert made["KeyState"] == "Enabled"
    assert kms().list_resource_tags(KeyId=made["KeyId"])["Tags"] == [{"TagKey": "a", "TagValue": "b"}]
    assert kms().create_key(Origin="EXTERNAL")["KeyMetadata"]["KeyState"] == "PendingImport"
    with_key = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": made["Arn"]}
    assert s3().put_object(Bucket="new", Key="a b", Body=b"hello", **with_key)["SSEKMSKeyId"] == made["Arn"]
    assert s3().get_object(Bucket="new", Key="a b")["Body"].read() == b"hello"
    assert code(s3().delete_bucket, Bucket="new") == (409, "BucketNotEmpty")
    kms().disable_key(KeyId=made["KeyId"])
    put = {"Bucket": "new", "Key": "c", "Body": b"", "ServerSideEncryption": "aws:kms"}
    assert code(s3().put_object, SSEKMSKeyId=made["Arn"], **put) == (400, "KMS.DisabledException")
    assert code(s3().put_object, SSEKMSKeyId=f"{made['Arn']}0", **put) == (400, "KMS.NotFoundException")
    s3().delete_object(Bucket="new", Key="a b")
    s3().delete_bucket(Bucket="new")
    assert "new" not in cloud.store.buckets


def test_a_delete_in_a_versioned_bucket_is_a_marker_until_the_version_is_named(cloud: AwsCloud) -> None:
    cloud.store.add_bucket("kept", versioned=True)
    version = s3().put_object(Bucket="kept", Key="a", Body=b"hello")["VersionId"]
    s3().delete_object(Bucket="kept", Key="a")
    assert code(s3().get_object, Bucket="kept", Key="a") == (404, "NoSuchKey")
    assert s3().get_object(Bucket="kept", Key="a", VersionId=version)["Body"].read() == b"hello"
    s3().delete_object(Bucket="kept", Key="a", VersionId=version)
    assert code(s3().get_object, Bucket="kept", Key="a", VersionId=version) == (404, "NoSuchVersion")


def test_a_writer_needs_a_right_of_its_own(cloud: AwsCloud) -> None:
    cloud.store.principals[ACCESS_KEY] = ROLE
    put = {"Bucket": "data", "Key": "a", "Body": b"x", "ServerSideEncryption": "aws:kms", "SSEKMSKeyId": ARN}
    kms().put_key_policy(KeyId=ARN, Policy=json.dumps({"Statement": [ALLOW]}))
    assert code(s3().put_object, **put) == (403, "AccessDenied")
    kms().put_key_policy(KeyId=ARN, Policy=json.dumps({"Statement": [{**ALLOW, "Action": "kms:GenerateDataKey*"}]}))
    assert code(s3().put_object, **put) == (200, "")
    assert code(s3().get_object, Bucket="data", Key="a") == (403, "AccessDenied")


def test_what_the_documents_leave_open_is_not_answered(cloud: AwsCloud) -> None:
    cloud.store.put("data", "a", sse="aws:kms", key=ARN)
    assert code(s3().head_object, Bucket="data", Key="a", ChecksumMode="ENABLED") == (501, "501")
    dry = {"KeyId": ARN, "DryRun": True, "DryRunModifiers": ["IGNORE_CIPHERTEXT"]}
    assert code(kms().decrypt, **dry) == (412, "DryRunOperationException")
    kms().disable_key(KeyId=ARN)
    assert code(kms().decrypt, **dry) == (400, "UnknownOperationException")


def test_a_page_that_ends_in_a_name_with_a_blank_leads_on_behind_it(cloud: AwsCloud) -> None:
    cloud.store.add_bucket("blanks")
    names = ["a b", "a+b", "a,b", "a/b"]
    for name in names:
        cloud.store.put("blanks", name)
    pages = s3().get_paginator("list_objects_v2").paginate(Bucket="blanks", PaginationConfig={"PageSize": 1})
    assert [one["Key"] for page in pages for one in page["Contents"]] == sorted(names)


def last_usage() -> dict[str, Any]:
    told: dict[str, Any] = kms().get_key_last_usage(KeyId=ARN)
    return told


def test_a_key_without_a_use_has_an_empty_one_and_says_since_when_uses_are_recorded(cloud: AwsCloud) -> None:
    told = last_usage()
    key = cloud.store.key(ARN)
    assert key is not None
    assert (told["KeyId"], told["KeyLastUsage"]) == (ARN.rpartition("/")[2], {})
    assert told["TrackingStartDate"] == told["KeyCreationDate"]
    cloud.store.tracks_since = key.created + timedelta(days=1)
    assert last_usage()["TrackingStartDate"] - told["KeyCreationDate"] == timedelta(days=1)


def test_the_last_use_that_succeeded_is_recorded_and_nothing_else_is(cloud: AwsCloud) -> None:
    clock = Clock()
    cloud.store.clock = clock
    s3().put_object(Bucket="data", Key="a", Body=b"a", ServerSideEncryption="aws:kms", SSEKMSKeyId=ARN)
    first = last_usage()["KeyLastUsage"]
    assert first["Operation"] == "GenerateDataKey"
    clock.ahead += timedelta(hours=1)
    s3().head_object(Bucket="data", Key="a")
    assert code(kms().generate_data_key, KeyId=ARN, KeySpec="AES_256", DryRun=True) == (412, "DryRunOperationException")
    kms().describe_key(KeyId=ARN)
    assert last_usage()["KeyLastUsage"] == first, "no operation with the key"
    s3().get_object(Bucket="data", Key="a")
    last = last_usage()["KeyLastUsage"]
    assert (last["Operation"], last["Timestamp"].microsecond) == ("Decrypt", 0)
    assert timedelta(minutes=59) < last["Timestamp"] - first["Timestamp"] < timedelta(minutes=61)
    assert last["CloudTrailEventId"] != first["CloudTrailEventId"]
    assert last["KmsRequestId"] != first["KmsRequestId"]
    kms().disable_key(KeyId=ARN)
    assert code(s3().get_object, Bucket="data", Key="a") == (400, "KMS.DisabledException")
    assert last_usage()["KeyLastUsage"] == last, "a refusal is no use"


def test_reads_through_a_bucket_key_are_recorded_once(cloud: AwsCloud) -> None:
    cloud.store.put("data", "a", sse="aws:kms", key=ARN, bucket_key=True)
    s3().get_object(Bucket="data", Key="a")
    first = last_usage()["KeyLastUsage"]
    s3().get_object(Bucket="data", Key="a")
    assert last_usage()["KeyLastUsage"] == first


def test_what_happened_before_recording_began_is_not_recorded(cloud: AwsCloud) -> None:
    cloud.store.tracks_since = cloud.store.clock() + timedelta(days=1)
    s3().put_object(Bucket="data", Key="a", Body=b"a", ServerSideEncryption="aws:kms", SSEKMSKeyId=ARN)
    assert last_usage()["KeyLastUsage"] == {}


def test_a_last_use_is_told_to_the_keys_own_account_where_the_right_is_given(cloud: AwsCloud) -> None:
    foreign = ARN.replace("111122223333", "444455556666")
    cloud.store.add_key(foreign)
    ask = kms().get_key_last_usage
    assert code(ask, KeyId=foreign) == (400, "AccessDeniedException")
    assert code(ask, KeyId=f"{ARN[:-1]}9") == (400, "NotFoundException")
    assert code(ask, KeyId=ARN.replace("us-east-1", "eu-west-1")) == (400, "InvalidArnException")
    assert code(ask, KeyId="alias/data") == (400, "UnknownOperationException")
    cloud.store.denied.add(("GetKeyLastUsage", ARN))
    assert code(ask, KeyId=ARN) == (400, "AccessDeniedException")
