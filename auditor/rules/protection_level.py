"""protection-level: keys are kept as safely as the policy demands.

Source: google-cloud-kms, ProtectionLevel.
"""

from dataclasses import replace

from auditor.findings import Outcome, Severity
from auditor.model import AwsKey
from auditor.rule import (
    Context,
    HeldKey,
    Rule,
    failed,
    members_under,
    never_told,
    not_applicable,
    not_told,
    passed,
    versions_in_use,
)


def check(key: HeldKey, at: Context) -> Outcome:
    """Fail for each version in use whose protection level is not among those allowed."""
    allowed = at.policy.allowed_protection_levels
    if not allowed:
        return not_told("[policy] allowed_protection_levels names none, so that every one is allowed")
    known = key.known
    if known is None:
        return never_told()
    if isinstance(known, AwsKey):
        return not_applicable("AWS keys have no protection level")
    if others := [one for one in versions_in_use(key, known) if one.protection_level not in allowed]:
        told = ", ".join(f"version {one.number} is {one.protection_level}" for one in others)
        outcome = failed(f"of key {key.name}, {told}; allowed: {', '.join(sorted(allowed))}")
        return replace(outcome, members=members_under(key, others))
    return passed("every version in use has a level that is allowed")


RULE = Rule(
    id="protection-level",
    title="Keys are kept as safely as the policy demands",
    subject=HeldKey,
    severity=Severity.MEDIUM,
    source="google-cloud-kms, ProtectionLevel",
    remedy="A version keeps its level: make a key of an allowed one, store new data under it, and rewrite the old.",
    check=check,
    of_data=True,
    quotable=True,
)
