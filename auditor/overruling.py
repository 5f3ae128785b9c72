"""Which older probes a newer one leaves nothing of."""

from datetime import timedelta
from typing import Final

from auditor.model import NO_RIGHT, Cloud, KeyName, Probe, ProbeKind, ProbeOutcome
from auditor.principals import same_principal

OUTLIVES_BUCKET_KEYS: Final = timedelta(days=1)
"""After so long a read through a bucket key has asked KMS: AWS calls them short-lived, and tells no number."""
CLOCKS_APART: Final = timedelta(minutes=1)
"""How far two readings of the clocks may differ."""
OF_THE_VERSION: Final = frozenset({"DisabledException", "NotFoundException", "cloudKmsDisabledKey"})
"""What is said of key or version itself, whatever bucket it was asked through."""


def overrules(later: Probe, earlier: Probe) -> bool:
    """Whether what an earlier probe under the same key version told is over by what a later one tells.

    A success is over by a refusal of the same principal, tried the same way. A refusal is over by a success: of a right
    only by one of the same principal, and on Google Cloud reads are always the storage service agent's; through another
    bucket only what key or version said of itself; through a bucket key only a day later. A dry run that passes tells
    of dry runs alone: that it looks at the key's state is not documented. A success that is dated behind what came
    after it proves nothing: a clock was wrong.
    """
    if later.key != earlier.key:
        return False
    if earlier.outcome is ProbeOutcome.PASSED and earlier.at > later.at + CLOCKS_APART:
        return True
    if later.key_version != earlier.key_version:
        # On Google Cloud the right is on the key as a whole.
        is_read = (later.outcome, later.kind) == (ProbeOutcome.PASSED, ProbeKind.READ)
        return is_read and earlier.code == NO_RIGHT and later.principal == earlier.principal
    is_here = later.bucket == earlier.bucket
    match later.outcome, earlier.outcome:
        case ProbeOutcome.REFUSED, ProbeOutcome.PASSED:
            is_alike = later.kind is earlier.kind and same_principal(later.principal or "", earlier.principal or "")
            return is_here and not earlier.cached and is_alike
        case ProbeOutcome.PASSED, ProbeOutcome.REFUSED if not is_here:
            is_of_the_key = not later.cached and earlier.code in OF_THE_VERSION
            return is_of_the_key and (later.kind is ProbeKind.READ or _tells_otherwise(later, earlier))
        case ProbeOutcome.PASSED, ProbeOutcome.REFUSED if later.cached:
            return later.at - earlier.at >= OUTLIVES_BUCKET_KEYS and _tells_otherwise(later, earlier)
        case ProbeOutcome.PASSED, ProbeOutcome.REFUSED:
            return _tells_otherwise(later, earlier)
        case _:
            return False


def _tells_otherwise(passed: Probe, refused: Probe) -> bool:
    by_agent = KeyName(refused.key).cloud is Cloud.GCP
    is_same = by_agent or same_principal(passed.principal or "", refused.principal or "-")
    if passed.kind is ProbeKind.DRY_RUN:
        return refused.kind is ProbeKind.DRY_RUN and is_same
    return is_same or refused.code != NO_RIGHT
