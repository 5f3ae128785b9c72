"""What the Google documents leave open and a verdict depends on: one function a question."""

from collections.abc import Callable, Iterator
from typing import Final

from tests.live.gcp import Google, with_version_told
from tests.live.kit import Answer, Experiment, NotAnsweredError, experiment, insist, watched


def get_disabled(cloud: Google) -> Iterator[Answer]:
    """With which status and reason is a media read refused while the object's key version is disabled?"""
    yield from _refused(cloud, cloud.disable)


def get_destroy_scheduled(cloud: Google) -> Iterator[Answer]:
    """With which status and reason is a media read refused while the key version is scheduled for destruction?"""
    yield from _refused(cloud, cloud.schedule_destruction)


def get_grant_removed(cloud: Google) -> Iterator[Answer]:
    """With which status and reason is a media read refused once the storage service agent has lost its grant?"""
    yield from _refused(cloud, cloud.remove_grant)


def disable_until_refused(cloud: Google) -> Iterator[Answer]:
    """How long after a key version was disabled do media reads go on working?"""
    yield from _taken_away(cloud, cloud.disable)


def metadata_disabled(cloud: Google) -> Iterator[Answer]:
    """Does a metadata read leave out crc32c and md5Hash while the object's key version is disabled?"""
    key = cloud.create_key()
    name = cloud.put_object(key)
    before = cloud.metadata(name)
    yield before
    if "crc32c" not in before.told:
        raise NotAnsweredError("no checksum is told while the key works, so its absence later would tell nothing")
    cloud.disable(key)
    insist(watched(lambda: cloud.get(name), cloud.run.patience))
    yield cloud.metadata(name)


def list_key_version(cloud: Google) -> Iterator[Answer]:
    """Does kmsKeyName in a listing carry the key version, and do checksums stand beside it?"""
    name = cloud.put_object(cloud.create_key())
    yield with_version_told(cloud.listed(name, cloud.bucket))


def soft_deleted_list(cloud: Google) -> Iterator[Answer]:
    """Does a listing of soft-deleted objects carry kmsKeyName with the key version?"""
    name = cloud.put_object(cloud.create_key(), cloud.soft_bucket)
    cloud.delete_object(name, cloud.soft_bucket)
    yield with_version_told(cloud.listed(name, cloud.soft_bucket, soft_deleted=True))


def soft_deleted_refused(cloud: Google) -> Iterator[Answer]:
    """With which status and reason is a listing of soft-deleted objects refused where the bucket keeps none?"""
    name = cloud.put_object(cloud.create_key())
    yield cloud.listed(name, cloud.bucket, soft_deleted=True)


def count_versions(cloud: Google) -> Iterator[Answer]:
    """Does a listing of key versions without a filter tell totalSize?"""
    yield cloud.versions(cloud.create_key())


def restore_disabled(cloud: Google) -> Iterator[Answer]:
    """Can a soft-deleted object be restored while its key version is disabled?"""
    key = cloud.create_key()
    witness = cloud.put_object(key)
    name = cloud.put_object(key, cloud.soft_bucket)
    cloud.delete_object(name, cloud.soft_bucket)
    cloud.disable(key)
    insist(watched(lambda: cloud.get(witness), cloud.run.patience))
    yield cloud.restore(name, cloud.soft_bucket)


def rewrite_versioned_key(cloud: Google) -> Iterator[Answer]:
    """Is a rewrite refused when destinationKmsKeyName names a key version, and with which reason?"""
    key = cloud.create_key()
    name = cloud.put_object(key)
    yield cloud.rewrite(name, f"{key}/cryptoKeyVersions/1")


def made_up_key(cloud: Google) -> Iterator[Answer]:
    """Is it PERMISSION_DENIED or NOT_FOUND for a made-up version, key, ring, location and project?"""
    key = cloud.create_key()
    yield cloud.describe(f"{key}/cryptoKeyVersions/999")
    yield cloud.describe(f"{cloud.ring}/cryptoKeys/made-up")
    yield cloud.describe(f"{cloud.ring}-made-up/cryptoKeys/made-up")
    yield cloud.describe(f"projects/{cloud.project}/locations/made-up/keyRings/made-up/cryptoKeys/made-up")
    yield cloud.describe(f"projects/{cloud.run.name}/locations/{cloud.location}/keyRings/made-up/cryptoKeys/made-up")


def _refused(cloud: Google, take_away: Callable[[str], None]) -> Iterator[Answer]:
    readable, refused = _taken_away(cloud, take_away)
    yield from (readable, refused)
    insist(refused)


def _taken_away(cloud: Google, take_away: Callable[[str], None]) -> Iterator[Answer]:
    key = cloud.create_key()
    name = cloud.put_object(key)
    yield cloud.get(name)
    take_away(key)
    yield watched(lambda: cloud.get(name), cloud.run.patience)


TABLE: Final[tuple[Experiment[Google], ...]] = (
    experiment("gcp", get_disabled),
    experiment("gcp", get_destroy_scheduled),
    experiment("gcp", get_grant_removed),
    experiment("gcp", disable_until_refused),
    experiment("gcp", metadata_disabled),
    experiment("gcp", list_key_version),
    experiment("gcp", soft_deleted_list),
    experiment("gcp", soft_deleted_refused),
    experiment("gcp", count_versions),
    experiment("gcp", restore_disabled),
    experiment("gcp", rewrite_versioned_key),
    experiment("gcp", made_up_key),
)
