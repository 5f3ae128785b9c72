"""orphan-objects: every namespace that has data is known to the registry.

Source: NIST SP 800-53 Rev. 5, CM-8.
"""

from dataclasses import replace

from auditor.findings import Confidence, Outcome, Severity, Verdict
from auditor.ownership.owned import OwnedBucket
from auditor.ownership.registered import Portion
from auditor.rule import BY_OTHERS, Context, Rule, of_registry, unknown


def check(bucket: OwnedBucket, at: Context) -> Outcome:  # noqa: ARG001 - every check has this shape
    """Fail for data in namespaces that no registry of the bucket names."""
    if bucket.told:
        return BY_OTHERS
    if not bucket.swept:
        return unknown("no whole sweep of the bucket is in force")
    told = f"{bucket.bucket} has data in namespaces that no registry knows"
    if bucket.otherwise(Portion.BRANCHED):
        told += "; a registry knows branches of some of them, which may still need that data"
    outcome = of_registry(bucket, told, Portion.UNREGISTERED)
    if outcome.verdict is Verdict.FAILED and not bucket.sound:
        more = "; entries that cannot be used may be of these namespaces"
        return replace(outcome, text=outcome.text + more, confidence=Confidence.INFERRED)
    return outcome


RULE = Rule(
    id="orphan-objects",
    title="Every namespace that has data is known to the registry",
    subject=OwnedBucket,
    severity=Severity.LOW,
    source="NIST SP 800-53 Rev. 5, CM-8",
    remedy="Look whether the namespaces were deleted and left data behind, or are missing in the registry; a branch "
    "may need the data of the namespace that it was made from, also when that is gone.",
    check=check,
    of_data=True,
)
