"""mixed-keys: the data of a namespace is under one key, unless a registry says which.

Source: NIST SP 800-53 Rev. 5, CM-6; PCI DSS v4.0.1, 3.6.1.4.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from auditor.findings import Member, Outcome, Severity
from auditor.ownership.owned import OwnedBucket
from auditor.ownership.registered import Portion
from auditor.rule import BY_OTHERS, Context, Rule, failed, passed, unknown

_NAMED: Final = 3


def check(bucket: OwnedBucket, at: Context) -> Outcome:  # noqa: ARG001 - every check has this shape
    """Fail for live data of namespaces that have live data under another key, or under none, besides."""
    if bucket.told:
        return BY_OTHERS
    if not bucket.swept:
        return unknown("no whole sweep of the bucket is in force")
    if bucket.known is None:
        return unknown("a registry that may name the one key was never read")
    if not bucket.compared:
        return unknown("the keys of its namespaces could not be put beside each other")
    # A key that the provider manages is, beside its others, no second key.
    found = tuple(one for one in bucket.otherwise(Portion.MIXED_KEYS) if one not in bucket.providers)
    keys = sorted({key for _, _, key, _ in found if key is not None})
    if keys:
        told = (
            f"live data of one namespace in {bucket.bucket} is under several keys, and no registry says which is right"
        )
        return replace(failed(f"{told}: {_listed(keys, found)}"), members=found, portions=(Portion.MIXED_KEYS,))
    if bucket.unresolved:
        return unknown("the encryption of some of its data is not known")
    if bucket.otherwise(Portion.MIXED_NAMES):
        return unknown("whether names of keys that differ in their project alone are of one key nobody says")
    return passed("each namespace is under one key, or a registry says under which it is to be")


def _listed(keys: Sequence[str], found: Sequence[Member]) -> str:
    named = ", ".join(keys[:_NAMED])
    more = f" and {len(keys) - _NAMED} more" if len(keys) > _NAMED else ""
    none = ", and no customer's key" if any(key is None for _, _, key, _ in found) else ""
    return f"{named}{more}{none}"


RULE = Rule(
    id="mixed-keys",
    title="The data of a namespace is under one key",
    subject=OwnedBucket,
    severity=Severity.MEDIUM,
    source="NIST SP 800-53 Rev. 5, CM-6; PCI DSS v4.0.1, 3.6.1.4",
    remedy="Find out which key the namespace is to be under and name it in a registry; then re-key the rest while its "
    "present key is usable.",
    check=check,
    of_data=True,
)
