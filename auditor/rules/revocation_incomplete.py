"""revocation-incomplete: under a key that was revoked on purpose nothing can be read any more.

Source: GDPR, Art. 17 by cryptographic erasure; NIST SP 800-88 Rev. 1, cryptographic erase.
"""

from auditor.findings import Confidence, Outcome, Readability, Severity
from auditor.rule import Context, HeldKey, Rule, failed, not_applicable, passed

_READS = frozenset({Readability.READABLE, Readability.EXPIRING})
_DEAD = frozenset({Readability.UNREADABLE, Readability.DOOMED, Readability.REVOKED, Readability.LOST})


def check(key: HeldKey, at: Context) -> Outcome:
    """Fail when data under a key meant to be dead can be read, or when nothing proves that it cannot."""
    if key.name not in at.policy.revoked:
        return not_applicable("the key is meant to work")
    since = at.policy.revoked[key.name]
    if since is not None and not at.policy.means_revoked(key.name, at.now):
        return not_applicable(f"the key is meant to work until {since:%Y-%m-%dT%H:%M:%SZ}")
    told = f"key {key.name} is meant to be revoked"
    if any(one.readability in _READS for one in key.assessments):
        return failed(f"{told}, and data under it can still be read")
    if any(one.readability not in _DEAD for one in key.assessments):
        return failed(f"{told}, and nothing proves that its data cannot be read")
    if any(one.confidence is Confidence.INFERRED for one in key.assessments):
        return failed(f"{told}; that its data cannot be read is only inferred", Confidence.INFERRED)
    return passed(f"{told}, and nothing under it can be read")


RULE = Rule(
    id="revocation-incomplete",
    title="What was revoked on purpose can not be read",
    subject=HeldKey,
    severity=Severity.HIGH,
    source="NIST SP 800-88 Rev. 1, Cryptographic erase",
    remedy="Disable the key or withdraw the grant; or set intended_state back, if the key is meant to work.",
    check=check,
)
