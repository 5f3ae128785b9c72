"""no-key-administrator: somebody who exists may change the key's policy.

Source: AWS KMS Developer Guide, Default key policy (a key nobody can manage needs AWS Support).
"""

from auditor.findings import Outcome, Severity
from auditor.model import Cloud
from auditor.rule import Context, HeldKey, Rule, access_of, failed, not_applicable, passed, unknown


def check(key: HeldKey, _at: Context) -> Outcome:
    """Fail when the policy was read and nobody in it may change it."""
    if key.name.cloud is Cloud.GCP:
        return not_applicable("whoever owns the folder or the organisation can change every policy below it")
    access = access_of(key)
    if isinstance(access, Outcome):
        return access
    if access.administered is None:
        return unknown("the key policy could not be read, or says it under conditions")
    if access.administered:
        return passed("the key policy lets somebody change it")
    return failed(f"nobody who exists may change the policy of key {key.name}: what it denies stays denied")


RULE = Rule(
    id="no-key-administrator",
    title="Every key has somebody who may change its policy",
    subject=HeldKey,
    severity=Severity.HIGH,
    source="AWS KMS Developer Guide, Default key policy; NIST SP 800-57 Part 2 Rev. 1, key management roles",
    remedy="Ask AWS Support to restore access to the key's policy; then let the account's root administer it.",
    check=check,
    quotable=True,
)
