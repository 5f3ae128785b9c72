"""What the newest judgement tells of one tenant's data, and nothing of anybody else's."""

from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime
from typing import Final

from auditor.audience.certain import doubt_of, no_data_of
from auditor.audience.looking import seen_of
from auditor.audience.nameable import Nameable, nameable_to
from auditor.errors import UsageError
from auditor.findings import BucketCoverage, Judgement, Member, member_of
from auditor.handover.bundle import LARGEST, Bundle, Data, NamespaceSums, Open, SweptBucket
from auditor.model import Dependency, Encryption, KeyName, Population
from auditor.ports import OpenInventory
from auditor.run import Parts

_MOST: Final = LARGEST // 64
"""Namespaces and what they hang on: no more fit into a bundle, whatever they are called."""
_ALL: Final = 2**63 - 1

_Place = tuple[str, Encryption, str | None, str | None, Population]
"""Bucket, encryption, key, version and population."""


def bundling(
    parts: Parts, judgement: Judgement, rows: OpenInventory, *, tenant: str, operator: str | None, now: datetime
) -> Bundle:
    """Tell a tenant what is known of its data.

    A key is named where somebody says that it is the tenant's, or where nobody says whose it is and nothing is under
    it but the tenant's: the name of any other may be another tenant's.

    Raises:
        LedgerError: the inventory, or what registries said, cannot be read.
        UsageError: nothing is known of such a tenant, or there is too much of it, or no bucket was swept.
    """
    doubt = doubt_of(parts, judgement)
    encryptions = {member_of(one.holding): one.encryption for one in judgement.assessed}
    nameable = nameable_to(tenant, doubt, parts, judgement, (rows,))
    sums: dict[_Place, dict[str, NamespaceSums]] = defaultdict(dict)
    for count, row in enumerate(rows.of_tenant(tenant, doubt)):
        if count >= _MOST:
            raise UsageError(f"the data of tenant {tenant!r} does not fit into one bundle", "give it several tenants")
        _add(sums, row, _encryption(row, encryptions), nameable)
    if not sums:
        raise no_data_of(tenant, rows, doubt)
    data = [
        Data(bucket, encryption, key, tuple(some[name] for name in sorted(some)), population, version)
        for (bucket, encryption, key, version, population), some in sums.items()
    ]
    buckets = {one.bucket for one in data}
    about = buckets.union(one.key for one in data if one.key is not None)
    return Bundle(
        buckets=tuple(
            _swept(one)
            for one in sorted(judgement.coverage.buckets, key=lambda one: one.bucket)
            if one.bucket in buckets
        ),
        data=tuple(sorted(data, key=lambda one: one.place)),
        gaps=tuple(
            Open(*one) for one in sorted({(gap.what, gap.reason) for gap in judgement.gaps if gap.what in about})
        ),
        judgement=judgement.run.id,
        made=now,
        operator=operator,
        seen=seen_of(parts, judgement, rows, doubt),
        tenant=tenant,
        version=parts.version,
    )


def _encryption(row: Dependency, encryptions: Mapping[Member, Encryption]) -> Encryption:
    return encryptions.get((row.bucket, row.encryption, row.key, row.key_version), row.encryption)


def _add(
    sums: dict[_Place, dict[str, NamespaceSums]], row: Dependency, encryption: Encryption, nameable: Nameable
) -> None:
    is_named = encryption is Encryption.CMEK and row.key is not None and nameable.may_be(KeyName(row.key))
    key, version = (row.key, row.key_version) if is_named else (None, None)
    if row.namespace is None or row.population is None or row.oldest is None or row.newest is None:
        raise ValueError(f"a row of {row.bucket} tells of no object")
    told = row.namespace, row.objects or 0, row.size or 0, row.archived or 0, row.oldest, row.newest
    some = sums[row.bucket, encryption, key, version, row.population]
    some[row.namespace] = _both(some[row.namespace], told) if row.namespace in some else told


def _both(one: NamespaceSums, other: NamespaceSums) -> NamespaceSums:
    """Of one namespace, what is under several keys that are not named."""
    objects, size, archived = (min(_ALL, mine + others) for mine, others in zip(one[1:4], other[1:4], strict=True))
    return one[0], objects, size, archived, min(one[4], other[4]), max(one[5], other[5])


def _swept(one: BucketCoverage) -> SweptBucket:
    if one.sweep_started is None or one.sweep_ended is None:
        raise ValueError(f"{one.bucket} has data and no sweep")
    return SweptBucket(
        bucket=one.bucket,
        started=one.sweep_started,
        ended=one.sweep_ended,
        verified=min(one.oldest_verified or one.sweep_started, one.sweep_ended),
        left_out=tuple(one.left_out),
        outside=bool(one.outside),
        uploads=None if one.uploads_in_progress is None else bool(one.uploads_in_progress),
    )
