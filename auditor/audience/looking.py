"""How much of what there may be of a tenant the operator looked at."""

from auditor import gaps
from auditor.findings import Judgement
from auditor.handover.bundle import Seen
from auditor.ownership.registered import Doubt
from auditor.ports import TenantRows
from auditor.run import Parts


def seen_of(parts: Parts, judgement: Judgement, rows: TenantRows, doubt: Doubt) -> Seen:
    """Tell it without a name of anybody's."""
    registered = judgement.registered
    names = {one.name for one in registered.registries}
    # Whose a namespace is a registry tells without naming keys.
    told = (gaps.registry_keyless(one.name, one.namespaces) for one in registered.registries if one.namespaces)
    # By other columns it says something else of what to do.
    keyless = {(one.what, one.reason, one.effect) for one in told}
    is_unheard = any(one.unusable for one in registered.registries) or any(
        gap.what in names and (gap.what, gap.reason, gap.effect) not in keyless for gap in judgement.gaps
    )
    left: set[str] = set()
    if not parts.policy.no_data_elsewhere:
        # An earlier bundle told of it, and nobody looks there any more.
        left = {one.bucket for one in parts.ledger.sweeps()}.difference(parts.buckets)
    return Seen(
        elsewhere=judgement.coverage.buckets_not_configured,
        registries=registered.is_whole and not is_unheard,
        unclear=rows.of_nobody(doubt),
        unswept=sum(not one.complete for one in judgement.coverage.buckets) + len(left),
    )
