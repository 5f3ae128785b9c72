"""rotation-overdue: what new data is encrypted with is no older than the policy allows.

Source: AWS KMS API Reference, GetKeyRotationStatus, ListKeyRotations; google-cloud-kms, CryptoKeyVersion.create_time.
"""

from datetime import datetime

from auditor.findings import Outcome, Severity
from auditor.model import AwsKey, GcpKey, Rotation
from auditor.moments import day
from auditor.rule import Context, HeldKey, Rule, failed, passed, rotation_of, unknown


def check(key: HeldKey, at: Context) -> Outcome:
    """Fail for a current material, or primary version, that is older than the policy allows."""
    rotation = rotation_of(key)
    if isinstance(rotation, Outcome):
        return rotation
    known = key.known
    since = _since(known, rotation)
    made = known.created if isinstance(known, AwsKey) else None
    shared = isinstance(known, AwsKey) and known.multi_region
    if (earliest := since or made) is None:
        return unknown("since when its current material is in use was not told")
    is_young = at.now - earliest <= at.policy.rotation_period
    if since is None and shared and is_young:
        return unknown("it has the material of the other Regions, which may be older than itself")
    if is_young:
        return passed(f"its current material is in use since {day(earliest)}{'' if since else ', or later'}")
    if since is None and not (shared and rotation.latest_unread is None):
        return unknown(f"it was made on {day(earliest)}, and when it was rotated last could not be read")
    since = since or earliest
    told = f"what key {key.name} encrypts with is in use since {day(since)}"
    return failed(f"{told}; the policy demands a new one every {at.policy.rotation_period.days} days")


def _since(known: AwsKey | GcpKey | None, rotation: Rotation) -> datetime | None:
    """Since when it encrypts with what it encrypts with; None where that was not told."""
    if not isinstance(known, GcpKey):
        return rotation.latest
    primary = next((one for one in known.versions if one.number == known.primary), None)
    return primary.created if primary is not None else None


RULE = Rule(
    id="rotation-overdue",
    title="What new data is encrypted with is not too old",
    subject=HeldKey,
    severity=Severity.MEDIUM,
    source="AWS KMS API Reference, ListKeyRotations; google-cloud-kms, CryptoKeyVersion.create_time",
    remedy="Rotate the key now, and turn automatic rotation on; old material must stay as long as data is under it.",
    check=check,
    quotable=True,
)
