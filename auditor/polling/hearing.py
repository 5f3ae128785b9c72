"""What registries and bundles say, as a judgement needs it."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace

from auditor.errors import LedgerError
from auditor.findings import BucketCoverage, Finding, Judgement, Status, SubjectKind
from auditor.model import Encryption, Evidence, KeyName, Sweep
from auditor.ownership.owning import Sayings
from auditor.ownership.registered import Registered
from auditor.ownership.registering import Heard, declared_by, parted_over, tenants_of
from auditor.ownership.spelling import Spelling
from auditor.ports import OpenInventory
from auditor.run import Parts


def sayings(
    parts: Parts, heard: Heard, spelling: Spelling, sweeps: Iterable[Sweep], before: Iterable[Finding]
) -> Sayings:
    """What others than data and KMS say, for the judge."""
    return Sayings(
        registered=heard.registered,
        declared=declared_by(parts, heard),
        tenants=tenants_of(parts, heard),
        buckets={one.bucket: one.facts for one in parts.ledger.sweeps()},
        spoken_of=frozenset(KeyName(one.subject.id) for one in before if one.subject.kind is SubjectKind.KEY),
        otherwise_cut=frozenset(
            one.bucket for one in sweeps if one.layout not in {None, parts.inventory.layout(one.bucket)}
        ),
        spelling=spelling,
        parted=parted_over(parts, heard),
    )


def keys_held(holdings: OpenInventory) -> frozenset[KeyName]:
    """The keys of all data."""
    return frozenset(KeyName(one.key) for one in holdings.holdings() if one.key is not None)


def for_registries(parts: Parts, spelling: Spelling) -> Spelling:
    """The same as registries are put beside data: what is there keeps its names, by whatever findings speak of it."""
    return spelling if parts.is_keys_only else replace(spelling, called={})


def beside(parts: Parts, sweeps: Iterable[Sweep], heard: Heard) -> tuple[Heard, OpenInventory]:
    """The dependencies of some sweeps beside what registries say; alone where that cannot be.

    Raises:
        LedgerError: they are not there any more, or are not what the sweeps wrote.
    """
    if parts.is_keys_only:
        return heard, parts.inventory.claimed(heard.registered.digest)
    try:
        holdings = parts.inventory.open(sweeps, heard.registered.digest)
        holdings.portions()
    except LedgerError as error:
        if not heard.registered.digest:
            raise
        # Whether data can be read is judged all the same.
        return heard.not_beside(error), parts.inventory.open(sweeps)
    return heard, holdings


def of_unknown_tenants(said: Sayings, buckets: Iterable[BucketCoverage], holdings: OpenInventory) -> Iterator[str]:
    """Buckets of some of whose data registries may say another tenant than is known now."""
    if said.registered.conflicts:
        yield from _claims(holdings)
    for one in buckets:
        parted = said.registered.conflicts and said.registered.knows(one.bucket)
        if said.knows(one.bucket) is None or not said.registered.is_sound(one.bucket) or parted:
            yield one.bucket


def claimed_before(before: Judgement | None) -> frozenset[str]:
    """Where the data is of which registries alone told, as findings of before speak of it: no config named it."""
    named = {one.bucket for one in before.coverage.buckets} if before is not None else set()
    return _places(before).difference(named)


def looked_at(before: Judgement | None) -> frozenset[str]:
    """Buckets of which the judgement before told."""
    return frozenset(one.bucket for one in (before.coverage.buckets if before is not None else ()))


def unheard_places(parts: Parts, heard: Heard, before: Judgement | None, swept: Collection[str]) -> frozenset[str]:
    """Where data may be that findings speak of and nobody tells of now, though some may know it.

    Beside buckets, what registries alone told counts no more once all of them were looked at.
    """
    if parts.is_keys_only:
        return frozenset() if _is_all_told(heard) else _places(before)
    configured = {one.url for one in parts.sources}
    if before is None or configured.issubset(swept):
        return frozenset()
    known = {one.bucket for one in before.coverage.buckets if one.complete or one.bucket not in configured}
    return _places(before).difference(known)


def is_all_by_bundles(heard: Heard) -> bool:
    """Whether all that is told of data operators' bundles tell, who looked; each says so in a gap of its own."""
    every = heard.registered.registries
    return bool(every) and all(one.bundle is not None for one in every)


def spoken_for(heard: Heard, holdings: OpenInventory, claimed: frozenset[str]) -> frozenset[str]:
    """Where registries tell of data that nobody looks for, or did before: no config ever named it."""
    told = claimed | _claims(holdings)
    return told.union(*(one.buckets for one in heard.registered.registries)) if told else told


def words_of(registered: Registered, *, bundles: bool) -> Mapping[str, tuple[Evidence, ...]]:
    """Which registries, or which `bundles`, say what is in each bucket, or in what stands for it; and when they did."""
    spoken: dict[str, tuple[Evidence, ...]] = defaultdict(tuple)
    for one in registered.registries:
        if one.bundle is not None:
            word = Evidence(
                "bundle", f"{one.name} signed by sha256:{one.bundle.signer}", one.bundle.made, None, one.bundle.digest
            )
        elif one.read_at is not None:
            word = Evidence("registry", one.name, one.read_at, None, registered.digest)
        else:
            continue
        for bucket in one.buckets if (one.bundle is not None) is bundles else ():
            spoken[bucket] += (word,)
    return spoken


def names_of_registries(registered: Registered) -> frozenset[str]:
    """What registries are called."""
    return frozenset(one.name for one in registered.registries)


def spoken_of(heard: Heard, before: Judgement | None) -> Iterator[KeyName]:
    """Keys that findings speak of, while registries that may name them cannot be heard: they are needed still."""
    if before is not None and not heard.registered.is_whole:
        for one in before.findings:
            if one.subject.kind is SubjectKind.KEY and one.status is not Status.RESOLVED:
                yield KeyName(one.subject.id)


def not_all_seen(holdings: OpenInventory, heard: Heard, unusable: Iterable[str]) -> frozenset[str]:
    """Buckets whose inventory cannot be used, or of some of whose data nobody knows the encryption.

    Where registries alone tell of data, what they do not tell may be anywhere.
    """
    found = {one.bucket for one in holdings.holdings() if one.encryption is Encryption.UNKNOWN}
    return frozenset(found).union(unusable, () if _is_all_told(heard) else _claims(holdings))


def _places(before: Judgement | None) -> frozenset[str]:
    """Where the data is that findings of before speak of."""
    return frozenset(bucket for one in (before.findings if before is not None else ()) for bucket, *_ in one.members)


def _is_all_told(heard: Heard) -> bool:
    """Whether registries tell all that there is, and which key each of it is under."""
    told = heard.registered
    return told.is_whole and heard.is_told and not any(one.unusable for one in told.registries)


def _claims(holdings: OpenInventory) -> frozenset[str]:
    """Where registries or bundles tell of data that nobody looks for."""
    return frozenset(one.bucket for one in holdings.holdings() if not one.is_seen)
