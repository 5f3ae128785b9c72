"""Which older probes a newer one leaves nothing of."""

from auditor.model import NO_RIGHT, Cloud, KeyName, Probe, ProbeKind, ProbeOutcome
from auditor.principals import same_principal


def overrules(later: Probe, earlier: Probe) -> bool:
    """Whether what an earlier probe of the same data told is over by what a later one tells.

    A success is over by a refusal of the same principal, tried the same way. A refusal is over by a success: of a right
    only by one of the same principal, and on Google Cloud reads are always the storage service agent's. A dry run that
    passes tells of dry runs alone: that it looks at the key's state is not documented.
    """
    if (later.bucket, later.key, later.key_version) != (earlier.bucket, earlier.key, earlier.key_version):
        return False
    match later.outcome, earlier.outcome:
        case ProbeOutcome.REFUSED, ProbeOutcome.PASSED:
            return not earlier.cached and (later.kind, later.principal) == (earlier.kind, earlier.principal)
        case ProbeOutcome.PASSED, ProbeOutcome.REFUSED:
            return not later.cached and _tells_otherwise(later, earlier)
        case _:
            return False


def _tells_otherwise(passed: Probe, refused: Probe) -> bool:
    by_agent = KeyName(refused.key).cloud is Cloud.GCP
    is_same = by_agent or same_principal(passed.principal or "", refused.principal or "-")
    if passed.kind is ProbeKind.DRY_RUN:
        return refused.kind is ProbeKind.DRY_RUN and is_same
    return is_same or refused.code != NO_RIGHT
