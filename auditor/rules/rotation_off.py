"""rotation-off: keys get new material by themselves where they can.

Source: AWS KMS Developer Guide, Rotate AWS KMS keys; Cloud KMS docs, Key rotation.
"""

from auditor.findings import Outcome, Severity
from auditor.rule import Context, HeldKey, Rule, failed, passed, rotation_of


def check(key: HeldKey, _at: Context) -> Outcome:
    """Fail for a key that could be rotated automatically and is not."""
    rotation = rotation_of(key)
    if isinstance(rotation, Outcome):
        return rotation
    if rotation.period is None:
        return failed(f"key {key.name} is not rotated automatically")
    return passed(f"it is rotated every {rotation.period.days} days")


RULE = Rule(
    id="rotation-off",
    title="Keys are rotated automatically",
    subject=HeldKey,
    severity=Severity.MEDIUM,
    source="AWS KMS Developer Guide, Rotate AWS KMS keys; Cloud KMS docs, Key rotation",
    remedy="Turn automatic rotation on; old data stays where it is, and old material must stay as well.",
    check=check,
    quotable=True,
)
