"""rotation-overdue: what new data is encrypted with is no older than the policy allows.

Source: AWS KMS API Reference, GetKeyRotationStatus, ListKeyRotations; google-cloud-kms, CryptoKeyVersion.create_time.
"""

from datetime import datetime

from auditor.findings import Confidence, Outcome, Severity
from auditor.model import AwsKey, GcpKey, Rotation
from auditor.rule import Context, HeldKey, Rule, failed, passed, rotation_of, unknown


def check(key: HeldKey, at: Context) -> Outcome:
    """Fail for a current material, or primary version, that is older than the policy allows."""
    rotation = rotation_of(key)
    if isinstance(rotation, Outcome):
        return rotation
    since, sure = _since(key.known, rotation)
    if since is None:
        return unknown("since when its current material is in use was not told")
    if at.now - since <= at.policy.rotation_period:
        return passed(f"its current material is in use since {since:%Y-%m-%d}, or later")
    if not sure and rotation.period is None:
        return unknown(f"it was made on {since:%Y-%m-%d}, and whether it was rotated by hand since could not be read")
    told = f"what key {key.name} encrypts with is in use since {since:%Y-%m-%d}"
    demands = f"the policy demands a new one every {at.policy.rotation_period.days} days"
    if sure:
        return failed(f"{told}; {demands}")
    return failed(f"{told}, unless it was rotated by hand since; {demands}", Confidence.INFERRED)


def _since(known: AwsKey | GcpKey | None, rotation: Rotation) -> tuple[datetime | None, bool]:
    """Since when it encrypts with what it encrypts with, at the earliest; and whether exactly since then."""
    if isinstance(known, GcpKey):
        primary = next((one for one in known.versions if one.number == known.primary), None)
        return (primary.created if primary is not None else None), True
    if rotation.latest is not None:
        return rotation.latest, True
    created = known.created if known is not None else None
    if rotation.period is None or rotation.due is None:
        return created, False
    by_itself = rotation.due - rotation.period
    return max(by_itself, created or by_itself), False


RULE = Rule(
    id="rotation-overdue",
    title="What new data is encrypted with is not too old",
    subject=HeldKey,
    severity=Severity.MEDIUM,
    source="AWS KMS API Reference, ListKeyRotations; google-cloud-kms, CryptoKeyVersion.create_time",
    remedy="Rotate the key now, and turn automatic rotation on; old material must stay as long as data is under it.",
    check=check,
)
