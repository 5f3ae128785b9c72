"""The least that AWS must grant for a config as it is: one IAM policy an identity, one statement for others' keys.

Source: Service Authorization Reference for Amazon S3, Amazon S3 Tables, AWS KMS, AWS STS, AWS CloudTrail, Amazon SQS
and Amazon CloudWatch.
"""

from collections.abc import Iterable
from typing import Any, Final

from auditor.config import Account, Bucket, Config, Report
from auditor.connectors.aws.queue import queue_of
from auditor.grants import AwsGrants, IamPolicy, KeyStatement
from auditor.model import Cloud, KeyName, Population

DEFAULT: Final = "the identity whose credentials the SDK finds"
AUDITOR: Final = "arn:aws:iam::AUDITOR_ACCOUNT:role/AUDITOR_ROLE"
"""Stands where nobody but the reader knows the name."""
_OF_BUCKET: Final = (
    *("s3:GetBucketVersioning", "s3:GetEncryptionConfiguration", "s3:ListBucket", "s3:ListBucketMultipartUploads"),
)
_STATE: Final = "kms:DescribeKey"
_OF_KEY: Final = ("kms:GetKeyPolicy", "kms:GetKeyRotationStatus", "kms:ListKeyRotations")
_STORES: Final = "kms:DescribeCustomKeyStores"
_HISTORY: Final = "cloudtrail:LookupEvents"
_LAST_USE: Final = "kms:GetKeyLastUsage"
"""Only `retire --last-usage` asks for it: a statement of its own, which can be left out."""

_TABLE: Final = "s3:GetBucketMetadataTableConfiguration"
_REPORTS: Final = "s3:GetInventoryConfiguration"
"""Where reports lie the config does not say: what it takes to read them is granted on that bucket."""
_OF_TABLE: Final = ("s3tables:GetTableData", "s3tables:GetTableMetadataLocation")
_OF_QUEUE: Final = ("sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage")


def aws_grants(config: Config, keys: Iterable[KeyName]) -> AwsGrants:
    """Work it out from the config and from the keys that it or what is stored names."""
    mine = [one for one in config.bucket if one.url.startswith("s3://")]
    known = sorted({one for one in keys if one.cloud is Cloud.AWS})
    if not (mine or known or config.own_folders("s3://")):
        return AwsGrants((), ())
    # Accounts that are reached by the same credentials have one policy.
    named = {one.id: _whose(one) for one in config.account if one.id}
    identities = sorted({DEFAULT, *named.values()}, key=lambda one: (one != DEFAULT, one))
    policies = []
    for identity in identities:
        read = [one for one in mine if named.get(one.account or "", DEFAULT) == identity]
        accounts = sorted(account for account, who in named.items() if who == identity)
        owned = [one for one in known if named.get(one.owner, DEFAULT) == identity]
        assumed = [one.role_arn for one in config.account if one.role_arn and identity == (one.profile or DEFAULT)]
        statements = [
            *_of_buckets(read, config),
            *_of_keys(_places(read, owned, accounts, mine), config),
            *_of_feeds(one for one in config.account if one.id and _whose(one) == identity),
            *_of_uploads(config.report, named.get(config.report.upload_account or "", DEFAULT) == identity),
            *_of_copies(config, named.get(config.inventory_account or "", DEFAULT) == identity),
            *_assume(sorted(assumed)),
        ]
        if statements:
            policies.append(IamPolicy(identity, {"Version": "2012-10-17", "Statement": [*statements, *_never(config)]}))
    others = sorted({one.owner for one in known}.difference(named))
    return AwsGrants(tuple(policies), tuple(_statement(one, known) for one in others))


def _whose(account: Account) -> str:
    return account.role_arn or account.profile or DEFAULT


def _of_buckets(read: list[Bucket], config: Config) -> Iterable[dict[str, Any]]:
    listed = [one for one in read if not one.s3_metadata]
    live = [one for one in listed if one.populations == (Population.LIVE,)]
    whole = [one for one in listed if one not in live]
    if read:
        yield _allow("ReadBucketSettings", _OF_BUCKET, [_arn(one) for one in read])
    if whole:
        yield _allow("ListVersions", ("s3:ListBucketVersions",), [_arn(one) for one in whole])
        objects = [f"{_arn(one)}/*" for one in whole]
        yield _allow("HeadVersions", ("s3:GetObjectVersion",), objects)
    if live:
        yield _allow("HeadLiveObjects", ("s3:GetObject",), [f"{_arn(one)}/*" for one in live])
    if read:
        yield _allow("CountBucketsThatNobodyConfigured", ("s3:ListAllMyBuckets",), ["*"])
    if tables := [one for one in read if one.s3_metadata]:
        yield _allow("FindInventoryTables", (_TABLE,), [_arn(one) for one in tables])
        yield _allow("ReadInventoryTables", _OF_TABLE, sorted({_tables(one) for one in tables}))
    if reported := [one for one in read if one.s3_inventory is not None]:
        yield _allow("FindInventoryReports", (_REPORTS,), [_arn(one) for one in reported])
    if read and config.sweep.cloud_counts:
        # It knows no resource: whoever has it reads every metric of the account.
        yield _allow("CompareWithTheCloudsOwnCounts", ("cloudwatch:GetMetricStatistics",), ["*"])
    if read and config.probe.reads:
        ways = sorted({f"s3.{one.region or '*'}.amazonaws.com" for one in read})
        condition = {"StringLike": {"kms:ViaService": ways}}
        yield {**_allow("ProbeReads", ("kms:Decrypt",), ["*"]), "Condition": condition}


def _of_keys(places: list[tuple[str, str, str]], config: Config) -> Iterable[dict[str, Any]]:
    """Key policies say the rest: who may see a key of another account its owner decides."""
    if not places:
        return
    keys = [f"arn:{partition}:kms:{region}:{account}:key/*" for partition, region, account in places]
    grants = ("kms:ListGrants",) if config.platform.aws_principals else ()
    probes = ("kms:Decrypt",) if config.probe.dry_runs else ()
    yield _allow("ReadKeyStates", (_STATE,), keys)
    yield _allow("ReadWhoMayUseKeysAndRotation", tuple(sorted((*_OF_KEY, *grants))), keys)
    yield _allow("ReadCustomKeyStores", (_STORES,), ["*"])
    if config.audit_log.attribute:
        yield _allow("ReadWhoChangedKeys", (_HISTORY,), ["*"])
    yield _allow("ReadLastUseForRetire", (_LAST_USE,), keys)
    if probes:
        yield _allow("ProbeDryRuns", probes, keys)


def _places(
    read: list[Bucket], owned: list[KeyName], accounts: list[str], mine: list[Bucket]
) -> list[tuple[str, str, str]]:
    """(partition, Region, account) in which keys are: those of the buckets' Regions may be anybody's.

    Of an account where no bucket is read there are keys in the Regions of all buckets.
    """
    places = {(one.text.split(":")[1], one.location, one.owner) for one in owned}
    wide = {(_partition(one.region), one.region or "*", "*") for one in read}
    places |= wide
    if not wide:
        regions = {(_partition(one.region), one.region or "*") for one in mine}
        places |= {(partition, region, account) for partition, region in regions for account in accounts}
    covered = {(partition, region) for partition, region, account in wide if account == "*"}
    return sorted(one for one in places if one[2] == "*" or one[:2] not in covered)


def _of_feeds(accounts: Iterable[Account]) -> Iterable[dict[str, Any]]:
    queues = sorted(queue_of(one.feed).arn for one in accounts if one.feed is not None)
    if queues:
        yield _allow("ListenToFeeds", _OF_QUEUE, queues)


def _of_uploads(report: Report, is_mine: bool) -> Iterable[dict[str, Any]]:  # noqa: FBT001 - private
    """Put what is new, and look at what is there: with both no report is replaced, and none put a second time."""
    place = report.upload_to("s3://")
    if place is not None and is_mine:
        folder = f"arn:{_partition(report.upload_region)}:s3:::{place}/*"
        yield _allow("UploadReports", ("s3:GetObject", "s3:PutObject"), [folder])


def _of_copies(config: Config, is_mine: bool) -> Iterable[dict[str, Any]]:  # noqa: FBT001 - private
    """Put what is new, and read it again on other machines."""
    for place in config.own_folders("s3://", copies=True) if is_mine else ():
        folder = f"arn:{_partition(config.inventory_region)}:s3:::{place}/*"
        yield _allow("KeepCopiesOfTheInventory", ("s3:GetObject", "s3:PutObject"), [folder])


def _assume(roles: list[str]) -> Iterable[dict[str, Any]]:
    if roles:
        yield _allow("BecomeTheAuditorOfOtherAccounts", ("sts:AssumeRole",), roles)


def _never(config: Config) -> Iterable[dict[str, Any]]:
    """A HEAD needs no right on any key: with this a stolen credential reads no object under a customer's key."""
    if not (config.probe.reads or config.probe.dry_runs):
        yield {"Sid": "NeverDecrypt", "Effect": "Deny", "Action": "kms:Decrypt", "Resource": "*"}


def _statement(account: str, known: list[KeyName]) -> KeyStatement:
    statement = {
        "Sid": "LetTheAuditorSeeTheState",
        "Effect": "Allow",
        "Principal": {"AWS": AUDITOR},
        "Action": [_STATE],
        "Resource": "*",
    }
    return KeyStatement(account, tuple(one.text for one in known if one.owner == account), statement)


def _allow(name: str, actions: Iterable[str], resources: list[str]) -> dict[str, Any]:
    return {"Sid": name, "Effect": "Allow", "Action": list(actions), "Resource": resources}


def _arn(one: Bucket) -> str:
    return f"arn:{_partition(one.region)}:s3:::{one.url.removeprefix('s3://')}"


def _tables(one: Bucket) -> str:
    """The tables of all buckets of an account and Region lie in one table bucket, which Amazon manages."""
    return f"arn:{_partition(one.region)}:s3tables:{one.region or '*'}:*:bucket/aws-s3/table/*"


def _partition(region: str | None) -> str:
    """The partition that a Region is in. Source: botocore, partitions.json."""
    begins = {
        "cn-": "aws-cn",
        "us-gov-": "aws-us-gov",
        "eusc-": "aws-eusc",
        "us-iso-": "aws-iso",
        "us-isob-": "aws-iso-b",
    }
    return next((name for prefix, name in begins.items() if (region or "").startswith(prefix)), "aws")
