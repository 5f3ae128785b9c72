"""What Cloud Storage tells of a bucket's place, and of new objects: recorded answers in, values out."""

from collections.abc import Mapping
from typing import Any, Final

from auditor.model import Encryption, NewObjects

_ENFORCED: Final = {
    "customerManagedEncryptionEnforcementConfig": Encryption.CMEK,
    "customerSuppliedEncryptionEnforcementConfig": Encryption.CUSTOMER_SUPPLIED,
    "googleManagedEncryptionEnforcementConfig": Encryption.PROVIDER,
}
"""In the order of the kinds' names. Source: google-cloud-storage, BucketEncryption."""
_REFUSED: Final = "FullyRestricted"
_TAKEN: Final = frozenset({None, "NotRestricted"})


def parse_new_objects(bucket: Mapping[str, Any]) -> NewObjects:
    """What the bucket resource says of new objects whose writer names no key."""
    told = bucket.get("encryption") or {}
    modes = {kind: (told.get(name) or {}).get("restrictionMode") for name, kind in _ENFORCED.items()}
    key = told.get("defaultKmsKeyName")
    return NewObjects(
        Encryption.CMEK if key else Encryption.PROVIDER,
        named=key or None,
        refused=tuple(kind for kind, mode in modes.items() if mode == _REFUSED),
        unclear=tuple(kind for kind, mode in modes.items() if mode not in {*_TAKEN, _REFUSED}),
    )


def parse_data_locations(bucket: Mapping[str, Any]) -> tuple[str, ...]:
    """The regions of a dual-region that somebody chose, in lower case; none for any other place."""
    told = (bucket.get("customPlacementConfig") or {}).get("dataLocations") or ()
    return tuple(sorted(one.lower() for one in told))
