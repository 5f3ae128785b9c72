"""What the newest judgement tells of one tenant's data, and nothing of anybody else's."""

from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime
from difflib import get_close_matches
from typing import Final

from auditor import gaps
from auditor.errors import UsageError
from auditor.findings import BucketCoverage, Judgement, Member, member_of
from auditor.handover.bundle import LARGEST, Bundle, Data, NamespaceSums, Open, Seen, SweptBucket
from auditor.model import Dependency, Encryption, KeyName, Population
from auditor.ownership.registered import Doubt
from auditor.ownership.spelling import spelling_by
from auditor.ports import OpenInventory
from auditor.run import Parts

_MOST: Final = LARGEST // 64
"""Namespaces and what they hang on: no more fit into a bundle, whatever they are called."""
_NAMED: Final = 5
"""Tenants that a hint names."""
_ALIKE: Final = 0.7
"""From which share on a name counts as misspelt."""
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
    if judgement.is_keys_only:
        raise UsageError("the newest judgement saw no bucket, so that there is nothing to tell", "configure [[bucket]]")
    if judgement.run.config_digest != parts.config_digest:
        raise UsageError("the newest judgement was made by another config, which may say whose what is", "poll first")
    doubt = _doubt(parts, judgement)
    encryptions = {member_of(one.holding): one.encryption for one in judgement.assessed}
    mine = _Mine(parts, judgement, rows, tenant, doubt)
    sums: dict[_Place, dict[str, NamespaceSums]] = defaultdict(dict)
    for count, row in enumerate(rows.of_tenant(tenant, doubt)):
        if count >= _MOST:
            raise UsageError(f"the data of tenant {tenant!r} does not fit into one bundle", "give it several tenants")
        _add(sums, row, _encryption(row, encryptions), mine)
    if not sums:
        raise UsageError(f"no data is known to be of tenant {tenant!r}", _meant(tenant, rows, doubt))
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
        seen=_seen(parts, judgement, rows, doubt),
        tenant=tenant,
        version=parts.version,
    )


def _meant(tenant: str, rows: OpenInventory, doubt: Doubt) -> str:
    """Which tenant may be meant, else some of those that there are."""
    some, count = rows.tenants_like(tenant, doubt, _NAMED)
    if not count:
        return "of no namespace it is certain whose it is: a registry that can be read, or `tenant_field`, says so"
    spelt = {one.casefold(): one for one in some}
    if alike := get_close_matches(tenant.casefold(), spelt, 1, _ALIKE):
        return f"did you mean {spelt[alike[0]]!r}?"
    more = f" and {count - len(some):,} more" if count > len(some) else ""
    named = ", ".join(repr(one) for one in some)
    return f"tenants with data are {named}{more}; a registry or `tenant_field` says whose a namespace is"


class _Mine:
    """Which keys may be named to a tenant."""

    def __init__(self, parts: Parts, judgement: Judgement, rows: OpenInventory, tenant: str, doubt: Doubt) -> None:
        said = judgement.registered.digest
        self._tenant = tenant
        self._tenants = parts.registry.tenants(said)
        self._spelling = spelling_by(parts.ledger.memory())
        # Whose a key is of which the config says two tenants nobody knows.
        self._others = (
            parts.registry.shared(said)
            | parts.registry.parted(said)
            | {KeyName(one) for one in rows.keys_of_others(tenant, doubt)}
        )

    def named(self, key: str) -> bool:
        """Whether this one may."""
        name = KeyName(key)
        owners = {tenant for one, tenant in self._tenants.items() if self._may_be(one, name)}
        return owners == {self._tenant} or not (owners or any(self._may_be(one, name) for one in self._others))

    def _may_be(self, one: KeyName, other: KeyName) -> bool:
        return self._spelling.is_one(one, other) is not False


def _encryption(row: Dependency, encryptions: Mapping[Member, Encryption]) -> Encryption:
    return encryptions.get((row.bucket, row.encryption, row.key, row.key_version), row.encryption)


def _add(sums: dict[_Place, dict[str, NamespaceSums]], row: Dependency, encryption: Encryption, mine: _Mine) -> None:
    is_named = encryption is Encryption.CMEK and row.key is not None and mine.named(row.key)
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


def _doubt(parts: Parts, judgement: Judgement) -> Doubt:
    """Where what names say of namespaces may be otherwise: a registry that would say so was not, or not all, heard."""
    registered = judgement.registered
    layouts = {one.bucket: one.layout for one in parts.ledger.sweeps()}
    buckets = [one.bucket for one in judgement.coverage.buckets]
    return Doubt(
        buckets=tuple(
            one
            for one in buckets
            if registered.knows(one) is None or layouts.get(one) not in {None, parts.inventory.layout(one)}
        ),
        unregistered=tuple(one for one in buckets if not registered.is_sound(one)),
    )


def _seen(parts: Parts, judgement: Judgement, rows: OpenInventory, doubt: Doubt) -> Seen:
    registered = judgement.registered
    names = {one.name for one in registered.registries}
    # Whose a namespace is a registry tells without naming keys.
    keyless = {gaps.registry_keyless(one.name, one.namespaces) for one in registered.registries if one.namespaces}
    is_unheard = any(one.unusable for one in registered.registries) or any(
        gap.what in names and gap not in keyless for gap in judgement.gaps
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
