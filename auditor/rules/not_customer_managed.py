"""not-customer-managed: what is to be under a customer's key is under one.

Source: NIST SP 800-53 Rev. 5, SC-28(1).
"""

from dataclasses import replace

from auditor.findings import Outcome, Severity, Verdict, in_order
from auditor.ownership.owned import OwnedBucket
from auditor.ownership.registered import Portion
from auditor.rule import BY_OTHERS, Context, Rule, failed, of_registry, unknown


def check(bucket: OwnedBucket, at: Context) -> Outcome:  # noqa: ARG001 - every check has this shape
    """Fail for data under no customer's key of namespaces for which registries name one."""
    if not (bucket.swept or bucket.told):
        return unknown("no whole sweep of the bucket is in force")
    # Under keys of the provider it is, by what a sweep sees, under another key than the registry's.
    wrong = set(bucket.otherwise(Portion.WRONG_KEY)).intersection(bucket.providers)
    found = in_order({*bucket.otherwise(Portion.NOT_CUSTOMER_MANAGED), *wrong})
    told = f"data in {bucket.bucket} is under no customer's key, and registries name one for its namespaces"
    if wrong:
        return replace(failed(told), members=found, portions=(Portion.WRONG_KEY, Portion.NOT_CUSTOMER_MANAGED))
    outcome = of_registry(bucket, told, Portion.NOT_CUSTOMER_MANAGED)
    if outcome.verdict is Verdict.PASSED and bucket.told:
        return BY_OTHERS
    if outcome.verdict is Verdict.PASSED and bucket.unresolved:
        return unknown("the encryption of some of its data is not known")
    return outcome


RULE = Rule(
    id="not-customer-managed",
    title="What is to be under a customer's key is under one",
    subject=OwnedBucket,
    severity=Severity.HIGH,
    source="NIST SP 800-53 Rev. 5, SC-28(1)",
    remedy="Re-key the data to the key that the registry names: the platform's copy, S3 UpdateObjectEncryption or a "
    "rewrite on Cloud Storage.",
    check=check,
    of_data=True,
    quotable=True,
)
