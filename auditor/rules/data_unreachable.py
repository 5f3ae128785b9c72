"""data-unreachable: what stands behind the key (key store, external key manager, HSM) can be reached.

Source: AWS KMS Developer Guide, Custom key stores; google-cloud-kms, SingleTenantHsmInstance
"""

from auditor.findings import Readability, Severity
from auditor.rule import Cause, Rule, fails_when

RULE = Rule(
    id="data-unreachable",
    title="The stores behind the keys can be reached",
    subject=Cause,
    severity=Severity.CRITICAL,
    source="AWS KMS Developer Guide, Custom key stores; google-cloud-kms, SingleTenantHsmInstance",
    remedy="Bring back what stands behind the keys (store, connection or HSM instance); keys and data are still there.",
    check=fails_when(Readability.UNREACHABLE),
    quotable=True,
)
