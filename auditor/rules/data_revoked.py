"""data-revoked: the platform may still decrypt with every key that its data depends on.

Source: Cloud KMS docs, Permissions and roles; Key Access Justifications
"""

from auditor.findings import Readability, Severity
from auditor.rule import MEANT, Cause, Rule, fails_when

RULE = Rule(
    id="data-revoked",
    title="The platform may use the keys of its data",
    subject=Cause,
    severity=Severity.CRITICAL,
    source="Cloud KMS docs, Permissions and roles; Key Access Justifications",
    remedy="Give the named principal its right back on this key; no data needs copying for that.",
    otherwise=MEANT,
    check=fails_when(Readability.REVOKED),
)
