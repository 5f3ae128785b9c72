"""retirable-version: no key version is kept that is proven unused.

Source: NIST SP 800-57 Part 1 Rev. 5, key states and transitions; Cloud KMS docs, Destroy and restore key versions.
"""

from collections.abc import Sequence

from auditor.findings import Outcome, Severity
from auditor.model import Cloud, GcpKey, resting
from auditor.moments import day
from auditor.questions.retire.standing import Candidate, Step, Use
from auditor.rule import Context, HeldKey, Rule, failed, never_told, not_applicable, not_told, passed


def check(key: HeldKey, at: Context) -> Outcome:
    """Fail for versions, or a key of AWS, that nothing is under, where all was seen after data could have come."""
    if key.known is None:
        return never_told()
    if key.provider_managed:
        return not_applicable("the provider manages it")
    if not key.is_told(at):
        return not_told("it tells nothing now, so that nothing is proven of it")
    under = {one.key_version for one in key.holdings}
    if None in under and isinstance(key.known, GcpKey):
        return not_told("data that names no version may be under any of them")
    still = resting(key.known)
    empty = [
        one for one in key.candidates if one.standing.version not in under and (one.standing.version or "") in still
    ]
    if unused := [one for one in empty if one.next.step is not Step.NONE]:
        told = f"nothing is under {_listed(unused)}key {key.name}"
        return failed(f"{told}, and everything was seen since data could have come{_advice(unused)}")
    if any(one.standing.use is Use.NOT_PROVEN for one in empty):
        return not_told("of none is it proven that nothing is under it: `retire` tells what is in the way")
    return passed("each of its versions holds data, takes new data, or is on its way out")


def _listed(unused: Sequence[Candidate]) -> str:
    """The versions before the key's name; a key of AWS has none."""
    versions = [one.standing.version for one in unused if one.standing.version is not None]
    if not versions:
        return ""
    return f"version{'s' if len(versions) > 1 else ''} {', '.join(versions)} of "


def _advice(unused: Sequence[Candidate]) -> str:
    """How far they are on their way out; no command, so that none is at hand before its time."""
    waiting = [one.next.at for one in unused if one.next.step is Step.WAIT and one.next.at is not None]
    over = any(one.next.step is Step.DESTROY for one in unused)
    until = f"; disabled, and to be left so until {day(min(waiting))}" if waiting else ""
    month = sum(one.month for one in unused if one.month is not None)
    price = f"; ${month:,.2f} a month by list price"
    return f"{until}{'; nobody has missed it for the quarantine' if over else ''}{price}{_not_asked(unused)}"


def _not_asked(unused: Sequence[Candidate]) -> str:
    """What speaks against it that no poll asks for: the quota of last uses is small, and shared with everybody."""
    if unused[0].key.cloud is not Cloud.AWS:
        return ""
    return "; whether it was used lately was not asked: `retire KEY --last-usage` asks AWS, before anything is done"


RULE = Rule(
    id="retirable-version",
    title="No version that is proven unused is kept",
    subject=HeldKey,
    severity=Severity.LOW,
    source="NIST SP 800-57 Part 1 Rev. 5, Key states and transitions",
    remedy="Ask `retire KEY` for the next step, of a key of AWS with --last-usage: disable it, leave it so for "
    "quarantine_days, look again; only then schedule its destruction.",
    check=check,
    of_silence=True,
    quotable=True,
)
