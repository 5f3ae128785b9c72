"""Which key locations serve a bucket: the tables of the clouds.

Source: Cloud Storage docs, customer-managed encryption keys; S3 User Guide, SSE-KMS.
"""

import re
from typing import Final

from auditor.model import BucketFacts, Cloud, KeyName

_GLOBAL: Final = "global"
_REGION: Final = re.compile(r"[a-z]+-[a-z]+[0-9]+")
_SERVED_BY: Final = {"us": "us", "eu": "europe", "asia": "asia", "asia1": "asia1", "eur4": "eur4", "nam4": "nam4"}
"""Multi-region, or dual-region with a name of its own -> the one key location that serves it."""
_REGIONS_OF: Final = {"us": "us-", "eu": "europe-", "asia": "asia-"}
"""What the regions of a chosen dual-region begin with; that others go with the same multi-region is not documented."""


def serves(key: KeyName, bucket: BucketFacts) -> bool | None:
    """Whether a bucket can encrypt with a key of that place; None where nobody can tell."""
    if key.cloud is not bucket.cloud:
        return False
    location = key.location.lower()
    if location == _GLOBAL:
        return False
    needed = needed_location(bucket)
    return None if needed is None else location == needed


def needed_location(bucket: BucketFacts) -> str | None:
    """Where a key must be to serve a bucket; None where nobody can tell."""
    place = bucket.location.lower() if bucket.location is not None else None
    if place is None or bucket.cloud is Cloud.AWS or _REGION.fullmatch(place):
        return place
    first = _REGIONS_OF.get(place)
    if bucket.data_locations and not (first and all(one.startswith(first) for one in bucket.data_locations)):
        return None
    return _SERVED_BY.get(place)
