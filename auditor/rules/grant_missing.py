"""grant-missing: the platform holds every right on a key that storage needs besides reading.

Source: Amazon S3 User Guide, SSE-KMS; Cloud Storage docs, Customer-managed encryption keys.
"""

from auditor.findings import Confidence, Outcome, Severity
from auditor.model import DECRYPT, Cloud, Grant, Right
from auditor.rule import Context, HeldKey, Rule, access_of, failed, not_applicable, passed, unknown

_LACKING = frozenset({Grant.ABSENT, Grant.DENIED})
_OPEN = frozenset({Grant.UNREAD, Grant.WITHDRAWN})


def check(key: HeldKey, _at: Context) -> Outcome:
    """Fail for a right that is provably not there, where the right to decrypt is not lacking as well."""
    if not key.platform:
        return not_applicable("who must be able to use the key is not known: [platform] names nobody")
    access = access_of(key)
    if isinstance(access, Outcome):
        return access
    decrypt = DECRYPT[key.name.cloud]
    readers = {one for one in key.platform if access.grant(one, decrypt) not in _LACKING}
    rights = [one for one in access.rights if one.principal in readers and one.action != decrypt]
    if lacking := [one for one in rights if one.grant in _LACKING]:
        sure = Confidence.PROVEN if key.name.cloud is Cloud.AWS else Confidence.INFERRED
        return failed(f"on key {key.name}, {_told(lacking)}", sure)
    if not readers:
        return not_applicable("it cannot even decrypt: data-revoked speaks of it")
    if any(one.grant in _OPEN for one in rights):
        return unknown("a policy that could grant a right could not be read")
    return passed("nothing proves that a right is lacking")


def _told(lacking: list[Right]) -> str:
    by_principal: dict[str, list[str]] = {}
    for one in lacking:
        by_principal.setdefault(one.principal, []).append(one.action)
    return "; ".join(f"{who} lacks {', '.join(what)}" for who, what in sorted(by_principal.items()))


RULE = Rule(
    id="grant-missing",
    title="The platform holds every right that storage needs",
    subject=HeldKey,
    severity=Severity.HIGH,
    source="Amazon S3 User Guide, SSE-KMS; Cloud Storage docs, Customer-managed encryption keys",
    remedy="Grant the named rights: without them new writes fail, or data cannot be moved to another key.",
    check=check,
)
