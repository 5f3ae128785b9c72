"""material-expires: imported key material does not run out, and none of it is missing.

Source: AWS KMS Developer Guide, Importing key material; How unusable KMS keys affect data keys.
"""

from dataclasses import replace

from auditor.findings import Outcome, Readability, Severity
from auditor.model import AwsKey
from auditor.moments import second
from auditor.readability.aws import expiry, missing_materials
from auditor.rule import Context, HeldKey, Rule, failed, never_told, not_applicable, passed, unknown


def check(key: HeldKey, _at: Context) -> Outcome:
    """Fail for a missing material, and for an expiry of which no data speaks yet, or in whose way something stands."""
    known = key.known
    if known is None:
        return never_told()
    if not isinstance(known, AwsKey) or known.origin != "EXTERNAL":
        return not_applicable("its material was not imported")
    if missing := missing_materials(known):
        return failed(f"key material {', '.join(missing)} of key {key.name} is missing; it is unusable without it")
    date = expiry(known)
    if date is None:
        if known.materials is None and known.state not in {"Enabled", "Updating"}:
            return unknown("which of its materials are missing could not be read")
        return passed(f"no imported material of key {key.name} expires")
    if any(one.readability is Readability.EXPIRING for one in key.assessments):
        return not_applicable("it expires within the horizon: data-expiring speaks of it")
    told = f"imported material of key {key.name} expires at {second(date)}"
    return replace(failed(f"{told}; then nothing under the key can be read"), final_at=date)


RULE = Rule(
    id="material-expires",
    title="Imported key material does not run out",
    subject=HeldKey,
    severity=Severity.LOW,
    source="AWS KMS Developer Guide, Importing key material",
    remedy="Import the very same material again, without an expiry; keep the original bytes as long as the data lives.",
    check=check,
    quotable=True,
)
