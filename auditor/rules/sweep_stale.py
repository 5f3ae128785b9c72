"""sweep-stale: the newest complete sweep of each bucket is younger than `sweep_max_age_hours`.

Source: NIST SP 800-53 Rev. 5, CA-7.
"""

from auditor.findings import Outcome, Severity
from auditor.moments import second
from auditor.rule import Context, Rule, SweptBucket, failed, not_applicable, passed


def check(bucket: SweptBucket, at: Context) -> Outcome:
    """Judge the age of the sweep by its start: what was written later may be missing.

    A start in the future is as old as it is far away: a clock was wrong then or is now.
    """
    started = bucket.coverage.sweep_started
    if started is None:
        return not_applicable("there is no complete sweep yet: sweep-incomplete speaks of it")
    text = f"the newest complete sweep of {bucket.coverage.bucket} began at {second(started)}"
    return passed(text) if abs(at.now - started) <= at.policy.sweep_max_age else failed(text)


RULE = Rule(
    id="sweep-stale",
    title="Every bucket was swept lately",
    subject=SweptBucket,
    severity=Severity.MEDIUM,
    source="NIST SP 800-53 Rev. 5, CA-7",
    remedy="Look why the sweep does not finish, or sweep more often; objects written since are not in this answer.",
    check=check,
    quotable=True,
)
