"""unattributed-change: each change of a key's state or policy has an entry in the audit log.

Source: NIST SP 800-53 Rev. 5, AU-10 and AU-12; PCI DSS v4.0.1, 10.2.
"""

from auditor.findings import Outcome, Severity
from auditor.rule import Caused, Context, Rule, failed, not_applicable, passed, unknown


def check(caused: Caused, _at: Context) -> Outcome:
    """Fail when a log that was read whole after its lag explains a change by nothing that was seen happening."""
    for one in caused.findings:
        if one.sought is not None and one.sought.vain and one.actor is None:
            return failed(f"{one.cause}, and {one.unattributed}")
    if any(one.actor is not None for one in caused.findings):
        return passed("the audit log tells who did it")
    for one in caused.findings:
        if one.sought is None or not one.sought.settled:
            return unknown(one.unattributed or "its audit log was not read yet")
    if any(one.sought is not None and one.sought.after is not None for one in caused.findings):
        return passed("the audit log has entries for it, though they do not tell which one it was, or by whom")
    return not_applicable("nobody saw it change in the time that the log reaches back to")


RULE = Rule(
    id="unattributed-change",
    title="Every change of a key has an entry in the audit log",
    subject=Caused,
    severity=Severity.MEDIUM,
    source="NIST SP 800-53 Rev. 5, AU-10 and AU-12; PCI DSS v4.0.1, 10.2",
    remedy="Ask the key's owner what happened; look whether entries are excluded from the log, or kept elsewhere.",
    check=check,
    quotable=True,
)
