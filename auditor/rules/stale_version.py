"""stale-version: data does not stay on old versions for ever.

Source: Cloud KMS docs, Key rotation; Cloud Storage docs, Customer-managed encryption keys.
"""

from dataclasses import replace
from datetime import datetime

from auditor.findings import Outcome, Readability, Severity
from auditor.model import AwsKey, GcpKey, GcpKeyVersion
from auditor.moments import day
from auditor.questions.retire.standing import SETTLES
from auditor.rule import (
    Context,
    HeldKey,
    Rule,
    failed,
    members_under,
    never_told,
    not_applicable,
    passed,
    unknown,
)


def check(key: HeldKey, at: Context) -> Outcome:
    """Fail for data under an old version that is new, or whose version is older than the policy allows.

    What is lost can not be moved, and is not asked to be.
    """
    known = key.known
    if known is None:
        return never_told()
    if isinstance(known, AwsKey):
        return not_applicable("AWS tells of no object which material it is under")
    primary = next((one for one in known.versions if one.number == known.primary), None)
    if primary is None or primary.created is None:
        return unknown("since when which version is the primary one was not told")
    pairs = zip(key.holdings, key.assessments, strict=True)
    key = replace(key, holdings=tuple(one for one, found in pairs if found.readability is not Readability.LOST))
    named = {one.key_version for one in key.holdings}
    replaced = [one for one in known.versions if one.number in named and int(one.number) < int(primary.number)]
    if late := _late(key, known, replaced):
        told = f"objects were stored under {_listed(late)} of key {key.name}, the last on {day(_last(key, late))}"
        more = f"although version {primary.number} took their place on {day(primary.created)}"
        return replace(failed(f"{told}, {more}"), severity=Severity.MEDIUM, members=members_under(key, late))
    longest = at.policy.stale_version
    if old := [one for one in replaced if one.created is not None and at.now - one.created > longest]:
        told = f"data is still under {_listed(old)} of key {key.name}, made more than {longest.days} days ago"
        outcome = failed(f"{told}; version {primary.number} is the primary one")
        return replace(outcome, members=members_under(key, old))
    if None in named:
        return unknown("some of its data names no version")
    return passed("no data is under an old version")


def _late(key: HeldKey, known: GcpKey, replaced: list[GcpKeyVersion]) -> list[GcpKeyVersion]:
    """The versions under which something was stored a day and more after the primary one had taken their place."""
    if (since := _rotated_at(known)) is None:
        return []
    late = {one.key_version for one in key.holdings if one.newest is not None and one.newest - since > SETTLES}
    return [one for one in replaced if one.number in late]


def _rotated_at(key: GcpKey) -> datetime | None:
    """When the primary version took the place of those before; None where automatic rotation did not make it so.

    Only of a version that it made is known that it was the primary one at once.
    """
    primary = next((one for one in key.versions if one.number == key.primary), None)
    rotation = key.rotation
    if primary is None or primary.created is None or rotation is None or rotation.period is None:
        return None
    if rotation.due is None or abs(rotation.due - rotation.period - primary.created) > SETTLES:
        return None
    return primary.created


def _last(key: HeldKey, versions: list[GcpKeyVersion]) -> datetime:
    numbers = {one.number for one in versions}
    return max(one.newest for one in key.holdings if one.key_version in numbers and one.newest is not None)


def _listed(versions: list[GcpKeyVersion]) -> str:
    word = "version" if len(versions) == 1 else "versions"
    return f"{word} {', '.join(one.number for one in versions)}"


RULE = Rule(
    id="stale-version",
    title="Data does not stay on old versions for ever",
    subject=HeldKey,
    severity=Severity.LOW,
    source="Cloud KMS docs, Key rotation; Cloud Storage docs, Customer-managed encryption keys",
    remedy="Once the objects can be read, rewrite them with the bare name of the key: they move to its primary "
    "version; then retire the old.",
    otherwise="medium where objects were stored under an old version after it was replaced",
    check=check,
    of_data=True,
    quotable=True,
)
