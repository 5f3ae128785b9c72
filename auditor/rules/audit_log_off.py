"""audit-log-off: the audit log that tells who changed a key is there, and the auditor may read it.

Source: NIST SP 800-53 Rev. 5, AU-12; PCI DSS v4.0.1, 10.2 and 10.3.
"""

from typing import Final

from auditor.findings import Outcome, Severity
from auditor.model import Reason
from auditor.rule import AskedLog, Context, Rule, failed, passed, unknown

_PASSING: Final = frozenset({Reason.THROTTLED, Reason.TIMEOUT})
"""What a log that is there says, or does not, for a time."""


def check(log: AskedLog, _at: Context) -> Outcome:
    """Fail when something had to be looked up in the log, and it could not be read."""
    lasting = [one for one in log.unread if one not in _PASSING]
    if lasting:
        why = lasting[0].replace("_", " ")
        return failed(f"the audit log could not be read ({why}): its silence does not mean that nobody did it")
    return unknown("the audit log gave no answer") if log.unread else passed("the audit log was read")


RULE = Rule(
    id="audit-log-off",
    title="The audit log that tells who changed a key can be read",
    subject=AskedLog,
    severity=Severity.MEDIUM,
    source="NIST SP 800-53 Rev. 5, AU-12; PCI DSS v4.0.1, 10.2 and 10.3",
    remedy="Let the auditor read the log: docs/permissions.md names the right, and the gap of the log what is missing.",
    check=check,
    quotable=True,
)
