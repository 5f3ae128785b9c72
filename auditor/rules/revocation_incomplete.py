"""revocation-incomplete: under a key that was revoked on purpose nothing can be read any more.

Source: GDPR, Art. 17 by cryptographic erasure; NIST SP 800-88 Rev. 1, cryptographic erase.
"""

from collections.abc import Iterator

from auditor.findings import Assessment, Confidence, Outcome, Readability, Severity, SubjectKind
from auditor.model import DECRYPT, AwsKey, GcpKey, Grant
from auditor.moments import second
from auditor.principals import same_principal
from auditor.readability.access import ANY_PRINCIPAL
from auditor.rule import Context, HeldKey, Rule, failed, not_applicable, passed

_READS = frozenset({Readability.READABLE, Readability.EXPIRING})
_LACKING = frozenset({Grant.ABSENT, Grant.DENIED})
_DEAD = frozenset({Readability.UNREADABLE, Readability.DOOMED, Readability.REVOKED, Readability.LOST})


def check(key: HeldKey, at: Context) -> Outcome:
    """Fail when data under a key meant to be dead can be read, or when nothing proves that it cannot."""
    if key.name not in at.policy.revoked:
        return not_applicable("the key is meant to work")
    since = at.policy.revoked[key.name]
    if since is not None and not at.policy.means_revoked(key.name, at.now):
        return not_applicable(f"the key is meant to work until {second(since)}")
    told = f"key {key.name} is meant to be revoked"
    if any(one.readability in _READS for one in key.assessments):
        return failed(f"{told}, and data under it can still be read")
    if any(one.readability not in _DEAD for one in key.assessments):
        return failed(f"{told}, and nothing proves that its data cannot be read")
    if not key.is_told(at) and not key.is_lost(at):
        return failed(
            f"{told}; it tells nothing now, and what it said last is too old to prove it", Confidence.INFERRED
        )
    works = None if key.is_lost(at) else _works(key.known)
    if works is not None and not any(True for one in key.assessments for _ in _barred(one)):
        return failed(f"{told}, and {works}: whatever comes under it can be read")
    if others := _who_may_still(key, works):
        return failed(f"{told}, and nothing proves that {', '.join(others)} cannot decrypt with it")
    if not key.is_gone(at) and any(one.confidence is Confidence.INFERRED for one in key.assessments):
        return failed(f"{told}; that its data cannot be read is only inferred", Confidence.INFERRED)
    return passed(f"{told}, and nothing under it can be read")


def _works(known: AwsKey | GcpKey | None) -> str | None:
    """Which part of a key works by its own word, whatever data is known under it."""
    match known:
        case AwsKey(state="Enabled"):
            return "it is Enabled"
        case GcpKey(versions=versions):
            working = [one.number for one in versions if one.state == "ENABLED"]
            return f"its version {', '.join(working)} is ENABLED" if working else None
        case _:
            return None


def _who_may_still(key: HeldKey, works: str | None) -> tuple[str, ...]:
    """Those of the platform who are not barred while others are: the key itself works."""
    revoked = [
        one for one in key.assessments if any(True for _ in _barred(one)) and (works is not None or not _is_dead(one))
    ]
    barred = {who for one in revoked for who in _barred(one)}
    if not revoked or ANY_PRINCIPAL in barred:
        return ()
    access, decrypt = key.known.access if key.known is not None else None, DECRYPT[key.name.cloud]
    if access is not None:
        barred |= {who for who in key.platform if access.grant(who, decrypt) in _LACKING}
    # A read is made in a session of the role that the config names.
    return tuple(who for who in key.platform if not any(same_principal(who, one) for one in barred))


def _is_dead(found: Assessment) -> bool:
    """Whether something bars the data in the shadow for whoever reads."""
    return any(subject.kind is not SubjectKind.PRINCIPAL and one in _DEAD for subject, one in found.shadowed)


def _barred(found: Assessment) -> Iterator[str]:
    for subject, readability in ((found.subject, found.readability), *found.shadowed):
        if subject.kind is SubjectKind.PRINCIPAL and readability is Readability.REVOKED:
            yield subject.id.partition(" -> ")[0]


RULE = Rule(
    id="revocation-incomplete",
    title="What was revoked on purpose can not be read",
    subject=HeldKey,
    severity=Severity.HIGH,
    source="NIST SP 800-88 Rev. 1, Cryptographic erase",
    remedy="Disable the key or withdraw the grant; or set intended_state back, if the key is meant to work.",
    check=check,
    of_data=True,
    of_silence=True,
    quotable=True,
)
