"""data-unreadable: no data depends on a key version that is switched off.

Source: Cloud KMS docs, Key version states; AWS KMS Developer Guide, Key states of AWS KMS keys
"""

from auditor.findings import Readability, Severity
from auditor.rule import MEANT, POSSIBLE, Cause, Rule, fails_when

RULE = Rule(
    id="data-unreadable",
    title="No data depends on a key that is switched off",
    subject=Cause,
    severity=Severity.CRITICAL,
    source="Cloud KMS docs, Key version states; AWS KMS Developer Guide, Key states of AWS KMS keys",
    remedy="Enable the key again, or import its material again; no data needs copying for that.",
    otherwise=f"{MEANT}; {POSSIBLE}",
    check=fails_when(Readability.UNREADABLE),
    quotable=True,
)
