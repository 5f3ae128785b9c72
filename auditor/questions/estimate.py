"""What a sweep of each bucket would ask, told from what the last ones counted; nobody is asked anything."""

from collections.abc import Mapping
from dataclasses import replace

from auditor import attempting, scan
from auditor.model import Population, Sweep
from auditor.ports import ObjectSource
from auditor.prices import Estimate, RegistryEstimate
from auditor.run import Parts


def estimate(parts: Parts, only: frozenset[str] = frozenset()) -> tuple[Estimate, ...]:
    """Tell it of every configured bucket, or of those named; what was written since the last sweep is not in it.

    Raises:
        LedgerError: the ledger or the inventory cannot be read.
    """
    sweeps, unusable = scan.usable(parts)
    in_force = {one.bucket: one for one in sweeps}
    tried = {one.bucket for one in parts.ledger.failed_attempts()}
    stored = parts.inventory.open(sweeps).populations()
    found = []
    for source in parts.sources:
        bucket = source.url
        if only and bucket not in only:
            continue
        if bucket in in_force:
            counts = {one: stored.get((bucket, one), 0) for one in Population}
            found.append(_by_the_last(parts, source, in_force[bucket], counts))
        elif bucket in unusable:
            found.append(Estimate(bucket, unknown="what its last sweep wrote cannot be used"))
        else:
            found.append(Estimate(bucket, unknown=f"never swept{' to its end' if bucket in tried else ''}"))
    return tuple(found)


def estimate_registries(parts: Parts, only: frozenset[str] = frozenset()) -> tuple[RegistryEstimate, ...]:
    """Tell what sweeps of the buckets would ask of their registries; no registry is asked anything.

    Raises:
        LedgerError: what is kept of them cannot be read.
    """
    found = []
    for one in parts.services:
        for bucket in one.buckets:
            if not only or bucket in only:
                pages, metadata = one.needs() or (None, None)
                found.append(RegistryEstimate(one.name, bucket, pages, metadata, one.per_sweep))
    return tuple(found)


def _by_the_last(parts: Parts, source: ObjectSource, last: Sweep, stored: Mapping[Population, int]) -> Estimate:
    needed = source.needs(stored, attempting.learnt(parts, source))
    if last.sent is not None and not last.kept and last.left_out == source.left_out:
        # Delete markers fill pages as well, and nothing but the pages themselves ever told how many there are.
        needed = replace(needed, lists=max(needed.lists, last.sent.lists))
    return Estimate(
        source.url,
        needed,
        objects=sum(count for one, count in stored.items() if one not in source.left_out),
        swept=last.ended,
        lacking=tuple(one for one in last.left_out or () if one not in source.left_out),
    )
