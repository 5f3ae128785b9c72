"""waiver-expired: what somebody accepted until a date is over by then, or accepted anew.

Source: NIST SP 800-53 Rev. 5, CA-5 (plan of action and milestones).
"""

from dataclasses import replace
from typing import Final

from auditor.findings import Outcome, Severity
from auditor.moments import second
from auditor.rule import Context, Excepted, Rule, failed, not_applicable, passed

_SHOWN: Final = 10


def check(one: Excepted, at: Context) -> Outcome:
    """Fail where the date has passed and a finding is open that was waived, as badly as that finding is."""
    until = one.given.waiver.until
    if at.now < until:
        return passed(f"it counts until {second(until)}")
    if not one.open:
        return not_applicable("nothing is open that it was about")
    count = f"{len(one.open)} findings are" if len(one.open) > 1 else "a finding is"
    named = ", ".join(each.id for each in one.open[:_SHOWN])
    told = failed(
        f"the waiver of {one.given.waiver.name} ended at {second(until)}, and {count} open that it was "
        f"about: {named}{', ...' if len(one.open) > _SHOWN else ''}"
    )
    return replace(told, severity=max((each.severity for each in one.open), key=lambda severity: severity.rank))


RULE = Rule(
    id="waiver-expired",
    title="What was accepted until a date is over by then",
    subject=Excepted,
    severity=Severity.MEDIUM,
    source="NIST SP 800-53 Rev. 5, CA-5",
    remedy="End what the finding says, or have the waiver approved anew, with a later date.",
    otherwise="as bad as the finding that it waived",
    check=check,
)
