"""What KMS records of the uses of a key, and how it tells it.

Source: AWS KMS API Reference, GetKeyLastUsage; AWS KMS Developer Guide, Determine past usage of a KMS key.
"""

import uuid
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True)
class KeyUse:
    """One successful cryptographic operation with a key; told at once here, by AWS up to an hour later."""

    operation: str
    at: datetime
    event: str = field(default_factory=lambda: str(uuid.uuid4()))
    """Its id in CloudTrail."""
    request: str = field(default_factory=lambda: str(uuid.uuid4()))


def last_usage(arn: str, created: datetime, since: datetime, use: KeyUse | None) -> dict[str, Any]:
    """The answer about one key; without a use its element is there, and empty."""
    told: dict[str, Any] = {}
    if use is not None:
        told = {
            "Operation": use.operation,
            "Timestamp": float(int(use.at.timestamp())),
            "CloudTrailEventId": use.event,
            "KmsRequestId": use.request,
        }
    return {
        "KeyId": arn.rpartition("/")[2],
        "KeyLastUsage": told,
        "TrackingStartDate": max(created, since).timestamp(),
        "KeyCreationDate": created.timestamp(),
    }
