"""data-expiring: no date inside `horizon_days` takes data away.

Source: AWS KMS Developer Guide, Imported key material; google-cloud-kms, SingleTenantHsmInstance.disable_time
"""

from auditor.findings import Readability, Severity
from auditor.rule import Cause, Rule, fails_when

RULE = Rule(
    id="data-expiring",
    title="No date close by takes data away",
    subject=Cause,
    severity=Severity.HIGH,
    source="AWS KMS Developer Guide, Imported key material; google-cloud-kms, SingleTenantHsmInstance.disable_time",
    remedy="Import the same material again with a later date, or refresh the instance, before the date.",
    check=fails_when(Readability.EXPIRING),
    quotable=True,
)
