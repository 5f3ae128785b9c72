"""retirable-version: key versions that hold nothing are put out of use.

Source: NIST SP 800-57 Part 1 Rev. 5, section 8.3.4; Cloud KMS docs, Destroy and restore key versions.
"""

from dataclasses import replace

from auditor.findings import Outcome, Severity
from auditor.model import AwsKey, GcpKey
from auditor.retirement import standings
from auditor.rule import Context, HeldKey, Rule, failed, never_told, not_applicable, passed
from auditor.standing import Use


def check(key: HeldKey, at: Context) -> Outcome:
    """Fail for a key with an enabled version under which provably nothing is stored.

    What is not proven any more is no finding any more: this one tells somebody to put the version out of use.
    """
    known = key.known
    if known is None:
        return never_told()
    if not isinstance(key.view.reading, AwsKey | GcpKey):
        return not_applicable("the key tells nothing now, which proves nothing")
    if isinstance(known, AwsKey):
        return not_applicable("an AWS key is usable or not as a whole, and while it is, new data may come under it")
    found = [one for one in standings(known, key.view.memory, key.holdings, at.seen, at.now) if one.state == "ENABLED"]
    if unused := [one.version or "" for one in found if one.use is Use.UNUSED]:
        what = "version" if len(unused) == 1 else "versions"
        told = f"nothing is stored under {what} {', '.join(unused)} of key {key.name} in any bucket of the config"
        return replace(failed(told), members=())
    if open_ones := [one for one in found if one.use is Use.NOT_PROVEN]:
        return not_applicable(
            f"not proven: nothing is known under version {open_ones[0].version}, but {open_ones[0].reasons[0]}"
        )
    return passed("each enabled version holds data, or takes new data")


RULE = Rule(
    id="retirable-version",
    title="Key versions that hold nothing are put out of use",
    subject=HeldKey,
    severity=Severity.LOW,
    source="NIST SP 800-57 Part 1 Rev. 5, 8.3.4; Cloud KMS docs, Destroy and restore key versions",
    remedy="Disable the version, which can be undone; destroy it only once nobody has missed it for quarantine_days.",
    check=check,
)
