"""A second opinion: the S3 and KMS that moto plays, which nobody here wrote."""

from collections.abc import Iterator

import boto3
import pytest
from moto import mock_aws

from auditor.connectors.aws.keys import AwsKeys
from auditor.connectors.aws.objects import S3Bucket
from auditor.connectors.pace import Pace, Paces
from auditor.model import AwsKey, Encryption, KeyName, Population
from auditor.ports import KeyNeed
from tests.clouds import Clock, aws_clients


@pytest.fixture(autouse=True)
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    for name in ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL_KMS", "AWS_ENDPOINT_URL_STS", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    with mock_aws():
        yield


def test_versions_keys_and_pages_are_read_as_moto_plays_them() -> None:
    kms = boto3.client("kms", region_name="us-east-1")
    arn = kms.create_key()["KeyMetadata"]["Arn"]
    s3 = boto3.client("s3", region_name="us-east-1")
    s3.create_bucket(Bucket="data")
    s3.put_bucket_versioning(Bucket="data", VersioningConfiguration={"Status": "Enabled"})
    for number in range(1_050):
        s3.put_object(Bucket="data", Key=f"acme/{number:05} ü", Body=b"x")
    s3.put_object(Bucket="data", Key="acme/00007 ü", Body=b"y", ServerSideEncryption="aws:kms", SSEKMSKeyId=arn)
    s3.delete_object(Bucket="data", Key="acme/00008 ü")
    bucket = S3Bucket(aws_clients().s3("us-east-1", None), "s3://data", (), Pace(100_000), Clock())
    found = list(bucket.objects())
    assert len(found) == 1_051
    assert [(one.name, one.key, one.population) for one in found if one.encryption is Encryption.CMEK] == [
        ("acme/00007 ü", arn, Population.LIVE)
    ]
    assert sum(one.population is Population.NONCURRENT for one in found) == 2
    kms.disable_key(KeyId=arn.rpartition("/")[2])
    (key,) = AwsKeys(aws_clients(), Pace(1000), Clock(), Pace(1000), Paces(lambda: Pace(1000))).read(
        [KeyNeed(KeyName(arn))]
    )
    assert isinstance(key, AwsKey)
    assert key.state == "Disabled"
