"""waiver-ending: who accepted something until a date hears of it in time.

Source: NIST SP 800-53 Rev. 5, CA-5 (plan of action and milestones).
"""

from datetime import timedelta
from typing import Final

from auditor.findings import Outcome, Severity
from auditor.moments import second
from auditor.rule import Context, Excepted, Rule, failed, not_applicable, passed

_SOON: Final = timedelta(days=14)


def check(one: Excepted, at: Context) -> Outcome:
    """Fail within two weeks of the date where something is waived still."""
    waiver = one.given.waiver
    if at.now >= waiver.until:
        return not_applicable("its date has passed: waiver-expired speaks of it")
    if not one.given.covers:
        return not_applicable("it waives nothing now")
    if waiver.until - at.now > _SOON:
        return passed(f"it counts until {second(waiver.until)}")
    what = f"{len(one.given.covers)} findings" if len(one.given.covers) > 1 else "a finding"
    return failed(
        f"the waiver of {waiver.name} ends at {second(waiver.until)}; then {what} that {waiver.owner} "
        "answers for will be open again"
    )


RULE = Rule(
    id="waiver-ending",
    title="No waiver ends within two weeks",
    subject=Excepted,
    severity=Severity.LOW,
    source="NIST SP 800-53 Rev. 5, CA-5",
    remedy="Ask the waiver's owner: end what it waives, or have it approved anew, before the date.",
    check=check,
)
