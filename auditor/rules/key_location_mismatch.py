"""key-location-mismatch: a key is where the buckets are that it is for.

Source: NIST SP 800-53 Rev. 5, SA-9(5); CSA CCM v4, DSP-17.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from auditor.findings import Outcome, Severity, in_order
from auditor.locations import needed_location, serves
from auditor.ownership.owned import Place, PlacedKey
from auditor.rule import Context, Rule, failed, not_applicable, passed, unknown

_NAMED: Final = 3


def check(key: PlacedKey, at: Context) -> Outcome:  # noqa: ARG001 - every check has this shape
    """Fail where the location of the key does not serve the location of a bucket."""
    answers = [(one, serves(key.key, one.facts)) for one in key.places]
    if wrong := [one for one, answer in answers if answer is False]:
        told = f"key {key.key} is in {key.key.location}, which does not serve {_listed(wrong)}"
        return replace(failed(told), members=in_order(member for one in wrong for member in one.members))
    if open_ := [one.facts.url for one, answer in answers if answer is None]:
        return unknown(f"which key location serves {open_[0]} is not known")
    if not key.told:
        return unknown("a registry that may name the key for other buckets was never read")
    if not answers:
        return not_applicable("no bucket is known that it is for")
    return passed(f"its location {key.key.location} serves all buckets that it is for")


def _listed(wrong: Sequence[Place]) -> str:
    named = ", ".join(f"{one.facts.url} ({_needs(one)})" for one in wrong[:_NAMED])
    return named if len(wrong) <= _NAMED else f"{named} and {len(wrong) - _NAMED} more"


def _needs(place: Place) -> str:
    needed = needed_location(place.facts)
    return f"which needs a key in {needed}" if needed is not None else "whatever it needs, it is no key there"


RULE = Rule(
    id="key-location-mismatch",
    title="A key is where the buckets are that it is for",
    subject=PlacedKey,
    severity=Severity.MEDIUM,
    source="NIST SP 800-53 Rev. 5, SA-9(5); CSA CCM v4, DSP-17",
    remedy="Have a key made in the location that the bucket needs, and name that in the registry, or as the bucket's "
    "default: new data cannot be written under this one.",
    check=check,
    of_data=True,
)
