"""The calls that the AWS experiments make, in one Region of a throw-away account."""

import base64
import functools
import hashlib
import json
import re
import secrets
import uuid
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from tests.live.kit import CONTENT, LABEL, Answer, Made, NotAnsweredError, Run, accepted

if TYPE_CHECKING:
    from mypy_boto3_kms.client import KMSClient
    from mypy_boto3_s3.client import S3Client

EXAMPLE_ACCOUNT: Final = "111122223333"
OTHER_ACCOUNT: Final = "444455556666"
"""Both are accounts of AWS's own examples: the one stands for the caller's in what is recorded, the other is asked."""

_NO_ANSWER: Final = frozenset(
    {
        *("UnknownOperationException", "ThrottlingException", "SlowDown", "RequestTimeout", "RequestTimeTooSkewed"),
        *("ExpiredToken", "ExpiredTokenException", "InvalidClientTokenId", "UnrecognizedClientException"),
        *("InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidSignatureException", "IncompleteSignature"),
    }
)
"""Codes that speak of the caller or of the moment, not of what was asked."""

# What a key's administrator may do, without kms:Decrypt. Source: AWS KMS Developer Guide, Default key policy.
_ALL_BUT_DECRYPT: Final = (
    *("kms:Create*", "kms:Describe*", "kms:Enable*", "kms:List*", "kms:Put*", "kms:Update*", "kms:Revoke*"),
    *("kms:Disable*", "kms:Get*", "kms:Delete*", "kms:TagResource", "kms:UntagResource"),
    *("kms:ScheduleKeyDeletion", "kms:CancelKeyDeletion", "kms:Encrypt", "kms:GenerateDataKey*"),
)
_SHORTEST_WINDOW: Final = 7
"""Days. Source: AWS KMS API reference, ScheduleKeyDeletion."""

_ARN_ACCOUNT: Final = re.compile(rf"(arn:aws[\w-]*:[\w-]*:[\w-]*:)(?!{OTHER_ACCOUNT})[0-9]{{12}}(?=:)")
_PRINCIPAL: Final = re.compile(r"(arn:aws[\w-]*:(?:iam|sts)::[0-9]{12}:)[^\s\"',\\]+")
_ACCESS_KEY: Final = re.compile(r"\b(?:AKIA|ASIA|AROA|AIDA)[A-Z0-9]{12,}\b")

_CONFIG: Final = Config(
    retries={"mode": "standard", "total_max_attempts": 3},
    connect_timeout=10,
    read_timeout=30,
    request_checksum_calculation="when_required",
    response_checksum_validation="when_required",
    user_agent_extra=LABEL,
)


class Aws:
    """Makes keys and one bucket, takes keys away, asks; all that it makes bears the run's suffix and tag."""

    errors: tuple[type[Exception], ...] = (ClientError, BotoCoreError)
    sdk = f"boto3 {boto3.__version__}"

    def __init__(self, session: boto3.session.Session, region: str, run: Run, endpoint: str | None = None) -> None:
        self.run = run
        self.region = region
        self.made = Made()
        more: dict[str, Any] = {"region_name": region, "config": _CONFIG, "endpoint_url": endpoint}
        self._s3: S3Client = session.client("s3", **more)
        self._kms: KMSClient = session.client("kms", **more)
        self.account = session.client("sts", **more).get_caller_identity()["Account"]
        self.where = f"account {self.account}, {region}"
        self._bucket_is_ours = False
        self._keys: list[str] = []
        self._objects = 0

    def mask(self, text: str) -> str:
        text = text.replace(self.account, EXAMPLE_ACCOUNT)
        text = _ARN_ACCOUNT.sub(rf"\g<1>{EXAMPLE_ACCOUNT}", text)
        return _ACCESS_KEY.sub("AKIAIOSFODNN7EXAMPLE", _PRINCIPAL.sub(r"\g<1>user/someone", text))

    # What it makes

    @functools.cached_property
    def bucket(self) -> str:
        """The run's bucket, made when it is first needed."""
        name = self.run.name
        self.made.note(f"bucket s3://{name}", lambda: self._remove_bucket(name))
        elsewhere: dict[str, Any] = {"CreateBucketConfiguration": {"LocationConstraint": self.region}}
        self._s3.create_bucket(Bucket=name, **({} if self.region == "us-east-1" else elsewhere))
        self._bucket_is_ours = True
        self._s3.put_bucket_tagging(Bucket=name, Tagging={"TagSet": [{"Key": LABEL, "Value": self.run.suffix}]})
        return name

    def create_key(self, *, external: bool = False) -> str:
        """Make a symmetric key, for material of one's own where `external`; its ARN."""
        if not self._keys:  # a key whose answer never arrives has no name here: its tag finds it
            self.made.note(f"KMS keys tagged {LABEL}={self.run.suffix} in {self.region}", self._remove_tagged)
        told = self._kms.create_key(
            Description=f"{LABEL}: made for an experiment, to be deleted",
            Origin="EXTERNAL" if external else "AWS_KMS",
            Tags=[{"TagKey": LABEL, "TagValue": self.run.suffix}],
        )
        arn = told["KeyMetadata"]["Arn"]
        self._keys.append(arn)
        self.made.note(f"KMS key {arn}", lambda: self._remove_key(arn))
        accepted(lambda: self.describe(arn), self.run.setting_up)
        return arn

    def put_object(self, key: str, *, bucket_key: bool = False) -> str:
        """Put an object with a stored checksum under a key, as soon as S3 takes it; its name."""
        self._objects += 1
        name = f"object-{self._objects}"
        arguments: dict[str, Any] = {
            "Bucket": self.bucket,
            "Key": name,
            "Body": CONTENT,
            "ServerSideEncryption": "aws:kms",
            "SSEKMSKeyId": key,
            "ChecksumSHA256": base64.b64encode(hashlib.sha256(CONTENT).digest()).decode(),
            **({"BucketKeyEnabled": True} if bucket_key else {}),
        }
        put = functools.partial(self._asked, "PutObject", self._s3.put_object, ("SSEKMSKeyId",), **arguments)
        if accepted(put, self.run.setting_up).told.get("SSEKMSKeyId") != key:
            raise NotAnsweredError(f"{name} was not stored under {key}")
        return name

    def import_material(self, key: str) -> None:
        """Import 32 random bytes, which are kept nowhere."""
        told = self._kms.get_parameters_for_import(
            KeyId=key, WrappingAlgorithm="RSAES_OAEP_SHA_256", WrappingKeySpec="RSA_2048"
        )
        self._kms.import_key_material(
            KeyId=key,
            ImportToken=told["ImportToken"],
            EncryptedKeyMaterial=wrapped(secrets.token_bytes(32), told["PublicKey"]),
            ExpirationModel="KEY_MATERIAL_DOES_NOT_EXPIRE",
        )

    # How it takes a key away

    def disable(self, key: str) -> None:
        """Disable a key."""
        self._kms.disable_key(KeyId=key)

    def schedule_deletion(self, key: str) -> None:
        """Let a key wait for its deletion."""
        self._kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=_SHORTEST_WINDOW)

    def delete_material(self, key: str) -> None:
        """Delete imported material."""
        self._kms.delete_imported_key_material(KeyId=key)

    def remove_decrypt(self, key: str) -> None:
        """Let the key's policy allow the account everything but to decrypt."""
        partition = key.split(":")[1]
        statement = {
            "Effect": "Allow",
            "Principal": {"AWS": f"arn:{partition}:iam::{self.account}:root"},
            "Action": list(_ALL_BUT_DECRYPT),
            "Resource": "*",
        }
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        self._kms.put_key_policy(KeyId=key, PolicyName="default", Policy=policy)

    # What it asks

    def get(self, name: str) -> Answer:
        """GET a whole object."""
        try:
            told = self._s3.get_object(Bucket=self.bucket, Key=name)
        except ClientError as error:
            return _refusal("GetObject", error)
        with told["Body"] as body:
            same = body.read() == CONTENT
        return Answer("GetObject", told["ResponseMetadata"]["HTTPStatusCode"], told={"as_written": same})

    def head(self, name: str, *, checksum: bool = False) -> Answer:
        """HEAD an object, for its stored checksum too where asked."""
        fields = ("ServerSideEncryption", "SSEKMSKeyId", "BucketKeyEnabled", "ChecksumSHA256", "ChecksumType")
        mode: dict[str, Any] = {"ChecksumMode": "ENABLED"} if checksum else {}
        call = "HeadObject with ChecksumMode" if checksum else "HeadObject"
        return self._asked(call, self._s3.head_object, fields, Bucket=self.bucket, Key=name, **mode)

    def dry_run(self, key: str) -> Answer:
        """Decrypt without ciphertext, as a dry run."""
        arguments: dict[str, Any] = {"KeyId": key, "DryRun": True, "DryRunModifiers": ["IGNORE_CIPHERTEXT"]}
        return self._asked("Decrypt with IGNORE_CIPHERTEXT", self._kms.decrypt, **arguments)

    def describe(self, key: str) -> Answer:
        """Tell a key's state."""
        answer = self._asked("DescribeKey", self._kms.describe_key, ("KeyMetadata",), KeyId=key)
        about = answer.told.get("KeyMetadata", {})
        return replace(answer, told={name: about[name] for name in ("KeyState", "Origin") if name in about})

    def rotation_status(self, key: str) -> Answer:
        """Tell whether a key rotates."""
        fields = ("KeyRotationEnabled", "RotationPeriodInDays")
        return self._asked("GetKeyRotationStatus", self._kms.get_key_rotation_status, fields, KeyId=key)

    def made_up_key(self, account: str) -> str:
        """Make up the ARN of a key that no account has."""
        return f"arn:{self._kms.meta.partition}:kms:{self.region}:{account}:key/{uuid.uuid4()}"

    def _asked(self, call: str, send: Callable[..., Any], fields: Iterable[str] = (), **arguments: Any) -> Answer:
        try:
            told = send(**arguments)
        except ClientError as error:
            return _refusal(call, error)
        status = told["ResponseMetadata"]["HTTPStatusCode"]
        return Answer(call, status, told={name: told[name] for name in fields if name in told})

    # How it removes what it made

    def _remove_bucket(self, name: str) -> None:
        # Where the answer to its making was lost it holds nothing; one that holds something is somebody else's.
        try:
            for page in self._s3.get_paginator("list_objects_v2").paginate(Bucket=name) if self._bucket_is_ours else ():
                for one in page.get("Contents", ()):
                    self._s3.delete_object(Bucket=name, Key=one["Key"])
            self._s3.delete_bucket(Bucket=name)
        except ClientError as error:
            if error.response["Error"]["Code"] != "NoSuchBucket":
                raise

    def _remove_key(self, key: str) -> None:
        if self._kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"] != "PendingDeletion":
            self.schedule_deletion(key)

    def _remove_tagged(self) -> None:
        for page in self._kms.get_paginator("list_keys").paginate():
            for one in page["Keys"]:
                if one["KeyArn"] in self._keys:
                    continue
                try:
                    tags = self._kms.list_resource_tags(KeyId=one["KeyId"])["Tags"]
                except ClientError:
                    continue  # no tag of ours can be seen on it, so it is not touched
                if {"TagKey": LABEL, "TagValue": self.run.suffix} in tags:
                    self._remove_key(one["KeyId"])


def wrapped(material: bytes, public_key: bytes) -> bytes:
    """Encrypt key material under the wrapping key that KMS gave, DER in and as KMS wants it out."""
    key = serialization.load_der_public_key(public_key)
    if not isinstance(key, rsa.RSAPublicKey):
        raise NotAnsweredError("the wrapping key is no RSA key")
    return key.encrypt(material, padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None))


def _refusal(call: str, error: ClientError) -> Answer:
    told = error.response["Error"]
    status = error.response["ResponseMetadata"]["HTTPStatusCode"]
    code, message = told.get("Code", ""), told.get("Message", "")
    if status >= 500 or code in _NO_ANSWER:
        raise NotAnsweredError(f"{call}: {status} {code}: {message}") from error
    return Answer(call, status, code, message)
