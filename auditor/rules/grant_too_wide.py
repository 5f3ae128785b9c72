"""grant-too-wide: nobody but the platform may decrypt, and the platform only with the keys of its data.

Source: NIST SP 800-53 Rev. 5, AC-6 (least privilege).
"""

from collections.abc import Iterable

from auditor.findings import Outcome, Severity
from auditor.model import LIST_OF_RING, KeyName
from auditor.rule import Context, HeldKey, Rule, access_of, failed, not_told, passed, unknown

_SHOWN = 5


def check(key: HeldKey, at: Context) -> Outcome:
    """Fail for a stranger who may decrypt, and for a grant on the ring that covers keys without a use here."""
    if not key.platform:
        return not_told("who must be able to use the key is not known: [platform] names nobody")
    access = access_of(key)
    if isinstance(access, Outcome):
        return access
    strangers = access.others or ()
    spare = tuple(one for one in access.ring_keys if KeyName(one) not in at.keys)
    told: list[str] = []
    if strangers:
        told.append(f"{_some(strangers)} may decrypt with key {key.name} as well")
    if spare:
        told.append(
            f"the platform's grant on {key.name.ring} covers keys that none of its data uses: {_some(spare)} "
            "(vendors do prescribe a grant on the ring; a ring of its own for the platform's keys keeps it narrow)"
        )
    if told:
        return failed("; ".join(told))
    if access.others is None:
        return unknown("a policy that could name others could not be read")
    if any(call == LIST_OF_RING for call, _ in access.unread):
        return unknown("which other keys the grant on the ring covers could not be read")
    return passed("only the platform is named")


def _some(names: Iterable[str]) -> str:
    shown = tuple(names)
    more = f" and {len(shown) - _SHOWN} more" if len(shown) > _SHOWN else ""
    return ", ".join(shown[:_SHOWN]) + more


RULE = Rule(
    id="grant-too-wide",
    title="Only the platform may decrypt, and only its own keys",
    subject=HeldKey,
    severity=Severity.LOW,
    source="NIST SP 800-53 Rev. 5, AC-6",
    remedy="Take the named principals out of the policy, or move the grant from the ring to the keys.",
    check=check,
)
