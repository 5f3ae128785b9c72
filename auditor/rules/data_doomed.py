"""data-doomed: no data depends on a key that is scheduled for destruction: it is unreadable already.

Source: Cloud KMS docs, Key version states; AWS KMS Developer Guide, Key states of AWS KMS keys
"""

from auditor.findings import Readability, Severity
from auditor.rule import POSSIBLE, Cause, Rule, fails_when

RULE = Rule(
    id="data-doomed",
    title="No data depends on a key that is scheduled for destruction",
    subject=Cause,
    severity=Severity.CRITICAL,
    source="Cloud KMS docs, Key version states; AWS KMS Developer Guide, Key states of AWS KMS keys",
    remedy="Cancel the destruction before the date, enable the key again, then move the data before any new attempt.",
    otherwise=POSSIBLE,
    check=fails_when(Readability.DOOMED),
    quotable=True,
)
