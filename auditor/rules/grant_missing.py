"""grant-missing: the platform holds every right on a key that storage needs besides reading.

Source: Amazon S3 User Guide, SSE-KMS and UpdateObjectEncryption; Cloud Storage docs, Customer-managed encryption keys.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from auditor.findings import Confidence, Outcome, Severity
from auditor.model import DECRYPT, Cloud, Grant, Right
from auditor.rule import Context, HeldKey, Rule, access_of, failed, not_applicable, not_told, passed, unknown

_LACKING = frozenset({Grant.ABSENT, Grant.DENIED})
_OPEN = frozenset({Grant.UNREAD, Grant.WITHDRAWN})
_MOVING: Final = "data cannot be moved to another key in place"
_BESIDES_STORING: Final[Mapping[str, str]] = {
    "kms:Encrypt": _MOVING,
    "kms:ReEncryptFrom": _MOVING,
    "kms:DescribeKey": "the platform cannot look at the key",
}
"""Rights that neither uploads nor downloads need -> what does not work without one."""


def check(key: HeldKey, _at: Context) -> Outcome:
    """Fail for a right that is provably not there, where the right to decrypt is not lacking as well."""
    if not key.platform:
        return not_told("who must be able to use the key is not known: [platform] names nobody")
    access = access_of(key)
    if isinstance(access, Outcome):
        return access
    decrypt = DECRYPT[key.name.cloud]
    readers = {one for one in key.platform if access.grant(one, decrypt) not in _LACKING}
    rights = [one for one in access.rights if one.principal in readers and one.action != decrypt]
    if lacking := [one for one in rights if one.grant in _LACKING]:
        sure = Confidence.PROVEN if key.name.cloud is Cloud.AWS else Confidence.INFERRED
        told = failed(f"on key {key.name}, {_told(lacking)}", sure)
        return told if any(one.action not in _BESIDES_STORING for one in lacking) else _minor(told, lacking)
    if not readers:
        return not_applicable("it cannot even decrypt: data-revoked speaks of it")
    if any(one.grant in _OPEN for one in rights):
        return unknown("a policy that could grant a right could not be read")
    return passed("nothing proves that a right is lacking")


def _minor(told: Outcome, lacking: list[Right]) -> Outcome:
    """Lower what stops no write: the platform asks for these rights all the same."""
    what = " and ".join(dict.fromkeys(_BESIDES_STORING[one.action] for one in lacking))
    return replace(told, text=f"{told.text}: {what}", severity=Severity.LOW)


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
    otherwise="low where new writes work",
    check=check,
    of_data=True,
    quotable=True,
)
