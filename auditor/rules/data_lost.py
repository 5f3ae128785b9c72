"""data-lost: no data depends on a key version that can never decrypt again.

Source: Cloud KMS docs, Key version states; AWS KMS Developer Guide, Key states of AWS KMS keys
"""

from auditor.findings import Readability, Severity
from auditor.rule import POSSIBLE, Cause, Rule, fails_when

RULE = Rule(
    id="data-lost",
    title="No data depends on a key that is gone",
    subject=Cause,
    severity=Severity.CRITICAL,
    source="Cloud KMS docs, Key version states; AWS KMS Developer Guide, Key states of AWS KMS keys",
    remedy="Restore the data from a copy under another key; keep the evidence, and look at who destroyed the key.",
    otherwise=POSSIBLE,
    check=fails_when(Readability.LOST),
    quotable=True,
)
