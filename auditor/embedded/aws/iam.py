"""Which permission a request needs, and on what.

Source: Service Authorization Reference for Amazon S3, Amazon S3 Tables, Amazon SQS, Amazon CloudWatch, AWS KMS and AWS
STS; written apart from the auditor's own table.
"""

import json
from collections.abc import Iterator
from typing import Final
from urllib.parse import parse_qsl, unquote

from auditor.embedded.aws.kms import Caller
from auditor.embedded.http import Asked

_OF_BUCKET: Final = {
    "location": "s3:GetBucketLocation",
    "versioning": "s3:GetBucketVersioning",
    "encryption": "s3:GetEncryptionConfiguration",
    "uploads": "s3:ListBucketMultipartUploads",
    "versions": "s3:ListBucketVersions",
    "inventory": "s3:GetInventoryConfiguration",
    "metadataConfiguration": "s3:GetBucketMetadataTableConfiguration",
}
_OF_QUEUE: Final = {"DeleteMessageBatch": "DeleteMessage"}
_WITHOUT_RESOURCE: Final = frozenset({"DescribeCustomKeyStores", "ListKeys", "CreateKey"})


def needed(asked: Asked, service: str, operation: str, caller: Caller) -> Iterator[tuple[str, str]]:
    """Yield (action, ARN of the resource) of what must be allowed for a request that reads, or puts an object."""
    if service == "sts":
        told = dict(parse_qsl(asked.body.decode()))
        if told.get("Action") == "AssumeRole":
            yield "sts:AssumeRole", told["RoleArn"]
    elif service == "cloudtrail":
        yield f"cloudtrail:{operation}", "*"
    elif service == "cloudwatch":
        yield f"cloudwatch:{operation}", "*"
    elif service == "s3tables":
        _, _, arn, _, name, _ = unquote(asked.target).replace("bucket/", "bucket|").split("/")
        yield "s3tables:GetTableMetadataLocation", f"{arn.replace('|', '/')}/table/{name}"
    elif service == "sqs":
        account, name = str(json.loads(asked.body or b"{}").get("QueueUrl", "")).split("/")[-2:] or ("", "")
        action = _OF_QUEUE.get(operation, operation)
        yield f"sqs:{action}", f"arn:aws:sqs:{caller.region}:{account}:{name}"
    elif service == "kms":
        name = str(json.loads(asked.body or b"{}").get("KeyId", ""))
        arn = name if name.startswith("arn:") else f"arn:aws:kms:{caller.region}:{caller.account}:key/{name}"
        yield f"kms:{operation}", "*" if operation in _WITHOUT_RESOURCE else arn
    elif asked.verb in {"GET", "HEAD", "PUT"}:
        yield from _of_s3(asked)


def _of_s3(asked: Asked) -> Iterator[tuple[str, str]]:
    path, _, query = asked.target.partition("?")
    given = dict(parse_qsl(query, keep_blank_values=True))
    bucket, _, name = path.removeprefix("/").partition("/")
    if asked.verb == "PUT":
        if name and not query.replace("x-id=PutObject", ""):
            yield "s3:PutObject", f"arn:aws:s3:::{bucket}/{unquote(name)}"
        return
    if not bucket:
        yield "s3:ListAllMyBuckets", "*"
        return
    if name and bucket.endswith("--table-s3"):
        yield "s3tables:GetTableData", f"arn:aws:s3tables:::{bucket}"
        return
    if name:
        action = "s3:GetObjectVersion" if "versionId" in given else "s3:GetObject"
        yield action, f"arn:aws:s3:::{bucket}/{unquote(name)}"
        return
    action = next((action for word, action in _OF_BUCKET.items() if word in given), "s3:ListBucket")
    yield action, f"arn:aws:s3:::{bucket}"
