"""wrong-key: data is under the key that the registry names for its namespace.

Source: PCI DSS v4.0.1, 3.7.7.
"""

from auditor.findings import Outcome, Severity, Verdict
from auditor.ownership.owned import OwnedKey
from auditor.ownership.registered import Portion
from auditor.rule import Context, Rule, not_applicable, of_registry, unknown


def check(key: OwnedKey, at: Context) -> Outcome:  # noqa: ARG001 - every check has this shape
    """Fail for data of namespaces for which registries name another key."""
    if key.provider_managed:
        return not_applicable("the provider manages the key: not-customer-managed speaks of its data")
    told = f"data is under key {key.key}, and registries name other keys for its namespaces"
    outcome = of_registry(key, told, Portion.WRONG_KEY)
    if outcome.verdict is Verdict.PASSED and key.otherwise(Portion.NAMESAKE):
        return unknown("whether it is the key that registries name by the other name of its project nobody says")
    return outcome


RULE = Rule(
    id="wrong-key",
    title="Data is under the key that the registry names",
    subject=OwnedKey,
    severity=Severity.HIGH,
    source="PCI DSS v4.0.1, 3.7.7",
    remedy="Find out which is right. Where it is the registry, re-key the data while its present key is usable.",
    check=check,
    of_data=True,
    quotable=True,
)
