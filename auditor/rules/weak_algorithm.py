"""weak-algorithm: the key is of the kind that storage encryption needs.

Source: google-cloud-kms, CryptoKeyPurpose and CryptoKeyVersionAlgorithm; Amazon S3 User Guide, SSE-KMS.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from auditor.findings import Outcome, Severity
from auditor.model import AwsKey, GcpKey
from auditor.rule import Context, HeldKey, Rule, failed, members_under, never_told, passed, unknown, versions_in_use

_GOOGLE: Final = frozenset({"GOOGLE_SYMMETRIC_ENCRYPTION", "EXTERNAL_SYMMETRIC_ENCRYPTION"})
_PURPOSE: Final = "ENCRYPT_DECRYPT"
_SPEC: Final = "SYMMETRIC_DEFAULT"


def check(key: HeldKey, _at: Context) -> Outcome:
    """Fail for another purpose than encryption, or another algorithm than the symmetric one."""
    known = key.known
    if known is None:
        return never_told()
    told = tuple(_told(known, key))
    if any(not said or said.isdecimal() for _, said, _ in told):
        return unknown(f"of what kind key {key.name} is was not told, or is newer than what is known here")
    if others := [f"{what} is {said}" for what, said, due in told if said not in due]:
        outcome = failed(f"of key {key.name}, {', '.join(others)}; storage encryption needs a symmetric key")
        if isinstance(known, AwsKey) or known.purpose != _PURPOSE:
            return outcome
        weak = [one for one in versions_in_use(key, known) if one.algorithm not in _GOOGLE]
        return replace(outcome, members=members_under(key, weak))
    return passed("it is a symmetric key for encryption")


def _told(known: AwsKey | GcpKey, key: HeldKey) -> Iterator[tuple[str, str, frozenset[str]]]:
    """(what, as it was told, what is due) of everything that makes a key what it is."""
    if isinstance(known, AwsKey):
        yield "the usage", known.usage, frozenset({_PURPOSE})
        yield "the spec", known.spec, frozenset({_SPEC})
    else:
        yield "the purpose", known.purpose, frozenset({_PURPOSE})
        for one in versions_in_use(key, known):
            yield f"the algorithm of version {one.number}", one.algorithm, _GOOGLE


RULE = Rule(
    id="weak-algorithm",
    title="Keys are of the kind that storage encryption needs",
    subject=HeldKey,
    severity=Severity.MEDIUM,
    source="google-cloud-kms, CryptoKeyVersionAlgorithm; Amazon S3 User Guide, SSE-KMS",
    remedy="Make a symmetric key for encryption, store new data under it, and move the old to it.",
    check=check,
    of_data=True,
    quotable=True,
)
