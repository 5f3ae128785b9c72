"""key-public: the key's policy does not let everybody use it.

Source: AWS Security Hub control KMS.5; CIS Google Cloud benchmark, Cloud KMS keys not public.
"""

from auditor.findings import Outcome, Severity
from auditor.rule import Context, HeldKey, Rule, access_of, failed, passed, unknown


def check(key: HeldKey, _at: Context) -> Outcome:
    """Fail when a statement or binding for everybody stands without a condition."""
    access = access_of(key)
    if isinstance(access, Outcome):
        return access
    if access.public is None:
        return unknown("the policy could not be read, or names everybody under a condition that settles nothing")
    if access.public:
        return failed(f"the policy of key {key.name} lets everybody use it, or hand it on")
    return passed("no policy that was read lets everybody use it")


RULE = Rule(
    id="key-public",
    title="No key is open to everybody",
    subject=HeldKey,
    severity=Severity.HIGH,
    source="AWS Security Hub, KMS.5; CIS Google Cloud Platform Foundation Benchmark, Cloud KMS keys not public",
    remedy="Take the statement or binding for everybody out of the policy, or tie it to named accounts.",
    check=check,
    quotable=True,
)
