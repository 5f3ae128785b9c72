"""foreign-tenant-key: no tenant's data is under another tenant's key.

Source: ISO/IEC 27001:2022, A.5.23; CSA CCM v4, CEK-08.
"""

from dataclasses import replace

from auditor.findings import Outcome, Severity
from auditor.ownership.owned import OwnedKey
from auditor.ownership.registered import Portion
from auditor.rule import Context, Rule, failed, not_told, passed, unknown


def check(key: OwnedKey, at: Context) -> Outcome:  # noqa: ARG001 - every check has this shape
    """Fail for data of other tenants than the key's."""
    if key.tenant is None and not key.owners_told:
        return unknown(
            "whose key it is is not known: a registry that may tell cannot be heard now, or what is said of one of its "
            "names parts, or may be said of another key"
        )
    if key.tenant is None:
        return not_told("neither [[key]] nor a registry says whose key it is, or several tenants share it")
    if members := key.otherwise(Portion.FOREIGN_TENANT):
        told = f"data of other tenants is under key {key.key}, which belongs to {key.tenant}"
        return replace(failed(told), members=members, portions=(Portion.FOREIGN_TENANT,))
    if key.known is None or not key.compared or not key.sound:
        return unknown("whose data is under it is not known")
    return passed("all data under it whose tenant is known is its tenant's")


RULE = Rule(
    id="foreign-tenant-key",
    title="No tenant's data is under another tenant's key",
    subject=OwnedKey,
    severity=Severity.HIGH,
    source="ISO/IEC 27001:2022, A.5.23; CSA CCM v4, CEK-08",
    remedy="Find out whose data it is, then re-key it to its tenant's own key; whoever owns this key can take it away.",
    check=check,
    of_data=True,
)
