"""data-revoked: the platform may still decrypt with every key that its data depends on.

Source: Cloud KMS docs, Permissions and roles; Key Access Justifications
"""

from auditor.findings import Outcome, Readability, Severity, Verdict
from auditor.rule import MEANT, Cause, Context, Rule, fails_when, unknown

_judged = fails_when(Readability.REVOKED)


def check(cause: Cause, at: Context) -> Outcome:
    """Fail for revoked data; that nobody is named who must be able to decrypt is no pass."""
    found = _judged(cause, at)
    if found.verdict is Verdict.PASSED and not cause.users_known:
        return unknown("who must be able to decrypt is not known")
    return found


RULE = Rule(
    id="data-revoked",
    title="The platform may use the keys of its data",
    subject=Cause,
    severity=Severity.CRITICAL,
    source="Cloud KMS docs, Permissions and roles; Key Access Justifications",
    remedy="Give the named principal its right back on this key; no data needs copying for that.",
    otherwise=MEANT,
    check=check,
    quotable=True,
)
