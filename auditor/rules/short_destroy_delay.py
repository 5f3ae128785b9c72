"""short-destroy-delay: whoever destroys a version by mistake has time to notice.

Source: google-cloud-kms, CryptoKey.destroy_scheduled_duration; AWS KMS API Reference, ScheduleKeyDeletion.
"""

from datetime import timedelta

from auditor.findings import Outcome, Severity
from auditor.model import AwsKey
from auditor.rule import Context, HeldKey, Rule, failed, never_told, not_applicable, passed, unknown


def check(key: HeldKey, at: Context) -> Outcome:
    """Fail for a key whose versions are destroyed sooner than the policy allows."""
    known = key.known
    if known is None:
        return never_told()
    if isinstance(known, AwsKey):
        return not_applicable("AWS KMS asks for the waiting period with each deletion, not with the key")
    if known.destroy_delay is None:
        return unknown("how long its versions stay scheduled was not told")
    least = at.policy.min_destroy_delay
    if known.destroy_delay < least:
        told = f"a version of key {key.name} is destroyed {_days(known.destroy_delay)} after it was scheduled"
        return failed(f"{told}; the policy demands {_days(least)}")
    return passed(f"its versions stay scheduled for {_days(known.destroy_delay)}")


def _days(time: timedelta) -> str:
    number = f"{time / timedelta(days=1):.6g}"
    return f"{number} day" if number == "1" else f"{number} days"


RULE = Rule(
    id="short-destroy-delay",
    title="A destruction by mistake can be noticed in time",
    subject=HeldKey,
    severity=Severity.MEDIUM,
    source="google-cloud-kms, CryptoKey.destroy_scheduled_duration",
    remedy="A key keeps its delay: make one with a longer delay, store new data under it, and rewrite the old.",
    check=check,
    quotable=True,
)
