"""What the AWS documents leave open and a verdict depends on: one function a question."""

from collections.abc import Callable, Iterator
from typing import Final

from tests.live.aws import OTHER_ACCOUNT, Aws
from tests.live.kit import Answer, Experiment, experiment, insist, watched


def head_disabled(cloud: Aws) -> Iterator[Answer]:
    """Does HEAD answer 200 with the key's ARN while the object's key is disabled?"""
    yield cloud.head(_unreadable(cloud, cloud.disable))


def head_pending_deletion(cloud: Aws) -> Iterator[Answer]:
    """Does HEAD answer 200 with the key's ARN while the object's key waits for its deletion?"""
    yield cloud.head(_unreadable(cloud, cloud.schedule_deletion))


def head_checksum_disabled(cloud: Aws) -> Iterator[Answer]:
    """What does HEAD with ChecksumMode=ENABLED answer under a disabled key: an error, or 200 without the checksum?"""
    key = cloud.create_key()
    name = cloud.put_object(key)
    yield cloud.head(name, checksum=True)
    cloud.disable(key)
    insist(watched(lambda: cloud.get(name), cloud.run.patience))
    yield cloud.head(name, checksum=True)


def get_disabled(cloud: Aws) -> Iterator[Answer]:
    """With which status and code does S3 refuse a GET while the object's key is disabled?"""
    yield from _refused(cloud, cloud.disable)


def get_pending_deletion(cloud: Aws) -> Iterator[Answer]:
    """With which status and code does S3 refuse a GET while the object's key waits for its deletion?"""
    yield from _refused(cloud, cloud.schedule_deletion)


def get_decrypt_removed(cloud: Aws) -> Iterator[Answer]:
    """With which status and code does S3 refuse a GET once the key's policy allows kms:Decrypt to nobody?"""
    yield from _refused(cloud, cloud.remove_decrypt)


def get_pending_import(cloud: Aws) -> Iterator[Answer]:
    """With which status and code does S3 refuse a GET once the key's imported material was deleted?"""
    key = cloud.create_key(external=True)
    cloud.import_material(key)
    name = cloud.put_object(key)
    yield cloud.get(name)
    cloud.delete_material(key)
    yield cloud.describe(key)
    refused = watched(lambda: cloud.get(name), cloud.run.patience)
    yield refused
    insist(refused)


def disable_until_refused(cloud: Aws) -> Iterator[Answer]:
    """How long after DisableKey does GET go on working without a bucket key?"""
    yield from _taken_away(cloud, cloud.disable)


def disable_until_refused_bucket_key(cloud: Aws) -> Iterator[Answer]:
    """How long after DisableKey does GET go on working through a bucket key that a GET has used before?"""
    yield from _taken_away(cloud, cloud.disable, bucket_key=True)


def dry_run_enabled(cloud: Aws) -> Iterator[Answer]:
    """What does a Decrypt dry run with IGNORE_CIPHERTEXT answer on an enabled key?"""
    yield cloud.dry_run(cloud.create_key())


def dry_run_disabled(cloud: Aws) -> Iterator[Answer]:
    """Does a Decrypt dry run with IGNORE_CIPHERTEXT look at the key's state, that is, does it fail when disabled?"""
    key = cloud.create_key()
    name = cloud.put_object(key)
    cloud.disable(key)
    insist(watched(lambda: cloud.get(name), cloud.run.patience))
    yield cloud.dry_run(key)


def rotation_status_external(cloud: Aws) -> Iterator[Answer]:
    """Does GetKeyRotationStatus answer on a key with Origin EXTERNAL, or is it an UnsupportedOperationException?"""
    yield cloud.rotation_status(cloud.create_key(external=True))


def describe_made_up_own(cloud: Aws) -> Iterator[Answer]:
    """What does DescribeKey answer for a made-up key id in the caller's own account?"""
    yield cloud.describe(cloud.made_up_key(cloud.account))


def describe_made_up_other(cloud: Aws) -> Iterator[Answer]:
    """What does DescribeKey answer for a made-up key id in another account?"""
    yield cloud.describe(cloud.made_up_key(OTHER_ACCOUNT))


def _refused(cloud: Aws, take_away: Callable[[str], None]) -> Iterator[Answer]:
    readable, refused = _taken_away(cloud, take_away)
    yield from (readable, refused)
    insist(refused)


def _taken_away(cloud: Aws, take_away: Callable[[str], None], *, bucket_key: bool = False) -> Iterator[Answer]:
    key = cloud.create_key()
    name = cloud.put_object(key, bucket_key=bucket_key)
    yield cloud.get(name)
    take_away(key)
    yield watched(lambda: cloud.get(name), cloud.run.patience)


def _unreadable(cloud: Aws, take_away: Callable[[str], None]) -> str:
    key = cloud.create_key()
    name = cloud.put_object(key)
    take_away(key)
    insist(watched(lambda: cloud.get(name), cloud.run.patience))
    return name


TABLE: Final[tuple[Experiment[Aws], ...]] = (
    experiment("aws", head_disabled),
    experiment("aws", head_pending_deletion),
    experiment("aws", head_checksum_disabled),
    experiment("aws", get_disabled),
    experiment("aws", get_pending_deletion),
    experiment("aws", get_decrypt_removed),
    experiment("aws", get_pending_import),
    experiment("aws", disable_until_refused),
    experiment("aws", disable_until_refused_bucket_key),
    experiment("aws", dry_run_enabled),
    experiment("aws", dry_run_disabled),
    experiment("aws", rotation_status_external),
    experiment("aws", describe_made_up_own, keys=0),
    experiment("aws", describe_made_up_other, keys=0),
)
