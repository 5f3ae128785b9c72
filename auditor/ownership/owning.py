"""What the rules about ownership are asked about: the data of keys and buckets, and registries."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from auditor.findings import Assessed, BucketCoverage, Member, in_order, member_of
from auditor.model import AwsKey, BucketFacts, Cloud, Encryption, GcpKey, KeyName, KeyUnread, Reason, cloud_of
from auditor.ownership.owned import HeardRegistry, OwnedBucket, OwnedKey, Place, PlacedKey
from auditor.ownership.registered import (
    NOTHING_DECLARED,
    NOTHING_SAID,
    Declared,
    Disputed,
    Mismatch,
    Portion,
    Registered,
    Word,
)
from auditor.ownership.spelling import EACH_ITS_OWN, NamesOfKeys, Spelling
from auditor.readability import KeyView

_NAMED: Final = 3


@dataclass(frozen=True, slots=True)
class Sayings:
    """What is said of buckets, keys and namespaces by others than data and KMS."""

    registered: Registered = NOTHING_SAID
    declared: Declared = NOTHING_DECLARED
    tenants: Mapping[KeyName, str] = field(default_factory=dict)
    """Key -> whose it is, where somebody says so."""
    buckets: Mapping[str, BucketFacts] = field(default_factory=dict)
    """What each bucket said of itself, by its URL."""
    spoken_of: frozenset[KeyName] = frozenset()
    """Keys that open findings speak of: each is decided over, though nothing names it any more."""
    otherwise_cut: frozenset[str] = frozenset()
    """Buckets that were swept by another layout than the config has: their namespaces are not the registries'."""
    spelling: Spelling = EACH_ITS_OWN
    """Which names are of one key."""
    parted: frozenset[KeyName] = frozenset()
    """Names of keys of which the config says two tenants."""

    def knows(self, bucket: str) -> bool | None:
        """Whether registries know all namespaces of a bucket; None where that cannot be told now."""
        known = self.registered.knows(bucket)
        return None if known and bucket in self.otherwise_cut else known

    def owners(self) -> "Owners":
        """Whose keys are, by whatever name."""
        return Owners(
            self.spelling,
            self.spelling.together(self.tenants.items()),
            frozenset(map(self.spelling.one_of_all, self.parted)),
            NamesOfKeys((*self.tenants, *self.parted), self.spelling),
        )


@dataclass(frozen=True, slots=True)
class Owners:
    """Whose keys are: made once for all keys of a judgement."""

    spelling: Spelling
    told: Mapping[str, frozenset[str]]
    """What is the same for all names of a key -> whose it is said to be."""
    parted: frozenset[str]
    names: NamesOfKeys
    """All that are said to be somebody's."""

    def of(self, key: KeyName) -> str | None:
        """Whose a key is, by any name or replica of it; None where nobody says so, or they part."""
        told = self.told.get(self.spelling.one_of_all(key), frozenset())
        return min(told) if len(told) == 1 else None

    def is_open(self, key: KeyName) -> bool:
        """Whether somebody may say whose a key is, and nobody knows that of it."""
        return self.spelling.one_of_all(key) in self.parted or bool(self.names.doubtful(key))


NOBODY_SAYS: Final = Sayings()


@dataclass(frozen=True, slots=True)
class Ground:
    """Data and keys, as far as ownership hangs on them."""

    assessed: tuple[Assessed, ...]
    portions: Mapping[Member, tuple[Portion, ...]]
    coverage: tuple[BucketCoverage, ...]
    keys: Mapping[KeyName, KeyView]
    gone: Callable[[KeyView], bool]
    """Whether it is settled that a key does not exist any more."""


def subjects(said: Sayings, on: Ground) -> Iterator[OwnedKey | OwnedBucket | PlacedKey | HeardRegistry]:
    """Yield the data of each key and bucket, each key with the buckets that it is for, and each registry."""
    by_key: dict[str, list[Assessed]] = defaultdict(list)
    by_bucket: dict[str, list[Assessed]] = defaultdict(list)
    for one in on.assessed:
        by_bucket[one.holding.bucket].append(one)
        if one.holding.key:
            by_key[one.holding.key].append(one)
    yield from _keys(said, on, by_key)
    for coverage in on.coverage:
        yield _bucket(said, on, coverage, by_bucket[coverage.bucket])
    for bucket, group in sorted(by_bucket.items()):
        if told := [one for one in group if one.holding.is_told]:
            yield _told_bucket(said, on, bucket, told)
    # Where a bucket is that others have looked into nobody here knows.
    here = {key: mine for key, group in by_key.items() if (mine := [one for one in group if not one.holding.is_told])}
    yield from _placed(said, on, here)
    yield from _heard(said, on)


def _keys(said: Sayings, on: Ground, by_key: Mapping[str, list[Assessed]]) -> Iterator[OwnedKey]:
    owners = said.owners()
    for name, names in sorted(said.spelling.each(map(KeyName, by_key)).items()):
        group = [one for each in names for one in by_key[each.text]]
        known = {_compares(said, one) for one in group}
        tenant = owners.of(name)
        yield OwnedKey(
            members=_members(group),
            portions=on.portions,
            known=None if None in known else True in known,
            sound=_is_sound(said, on, group),
            key=name,
            provider_managed=any(one.encryption is Encryption.PROVIDER_KMS for one in group),
            tenant=tenant,
            compared=bool(said.registered.digest),
            owners_told=said.registered.is_whole and (tenant is not None or not owners.is_open(name)),
        )


def _compares(said: Sayings, one: Assessed) -> bool | None:
    """Whether registries know all namespaces of the bucket of some data; whoever told of the data is none of them."""
    if not one.holding.is_told:
        return said.knows(one.holding.bucket)
    own = tuple(each for each in said.registered.registries if each.bundle is None)
    return replace(said.registered, registries=own).knows(one.holding.bucket)


def _is_sound(said: Sayings, on: Ground, group: Iterable[Assessed]) -> bool:
    every = list(group)
    disputed = any(Portion.DISPUTED in on.portions.get(member_of(one.holding), ()) for one in every)
    return not disputed and all(said.registered.is_sound(one.holding.bucket) for one in every)


def _bucket(said: Sayings, on: Ground, coverage: BucketCoverage, group: Sequence[Assessed]) -> OwnedBucket:
    unresolved = any(one.holding.encryption is Encryption.UNKNOWN for one in group)
    return OwnedBucket(
        members=_members(group),
        portions=on.portions,
        known=said.knows(coverage.bucket),
        sound=_is_sound(said, on, group) and said.registered.is_sound(coverage.bucket),
        bucket=coverage.bucket,
        swept=coverage.complete,
        providers=_members(one for one in group if one.encryption is Encryption.PROVIDER_KMS),
        unresolved=unresolved,
        compared=bool(said.registered.digest),
        facts=said.buckets.get(coverage.bucket),
        declared=_declared(said, coverage.bucket, group, all_seen=coverage.complete and not unresolved),
        spelling=said.spelling,
    )


def _told_bucket(said: Sayings, on: Ground, bucket: str, group: Sequence[Assessed]) -> OwnedBucket:
    known = {_compares(said, one) for one in group}
    return OwnedBucket(
        members=_members(group),
        portions=on.portions,
        known=None if None in known else True in known,
        sound=_is_sound(said, on, group),
        bucket=bucket,
        swept=False,
        providers=_members(one for one in group if one.encryption is Encryption.PROVIDER_KMS),
        unresolved=any(one.holding.encryption is Encryption.UNKNOWN for one in group),
        compared=bool(said.registered.digest),
        told=True,
    )


def _declared(said: Sayings, bucket: str, group: Iterable[Assessed], *, all_seen: bool) -> tuple[KeyName, ...] | None:
    """The keys that registries name for the namespaces of a bucket; else those of its keys whose owner is told."""
    if named := said.declared.of_buckets.get(bucket):
        return tuple(map(KeyName, named))
    held = {KeyName(one.holding.key) for one in group if one.holding.key}
    if owned := tuple(sorted(held.intersection(said.tenants))):
        return owned
    is_open = said.registered.knows(bucket) is None or (said.tenants and not all_seen)
    return None if is_open else ()


def _placed(said: Sayings, on: Ground, by_key: Mapping[str, list[Assessed]]) -> Iterator[PlacedKey]:
    places: dict[KeyName, dict[str, list[Member]]] = {KeyName(key): {} for key in by_key}
    for key, group in by_key.items():
        for one in group:
            places[KeyName(key)].setdefault(one.holding.bucket, []).append(member_of(one.holding))
    declared = tuple(_declared_for(said, on))
    defaults = tuple(_defaults(said, on))
    known = {*declared, *defaults, *((bucket, name) for name, mine in places.items() for bucket in mine)}
    there = {(bucket, said.spelling.one_of_all(one)) for bucket, one in known if one.location == _region(bucket, said)}
    for bucket, name in declared:
        # What is said of one replica is said of all; but data that names one elsewhere is wrong.
        is_served = name.location != _region(bucket, said) and (bucket, said.spelling.one_of_all(name)) in there
        if name.cloud is not Cloud.AWS or not is_served:
            places.setdefault(name, {}).setdefault(bucket, [])
    for bucket, name in defaults:
        # New writes name just this one, whatever serves data that is there.
        places.setdefault(name, {}).setdefault(bucket, [])
    told = all(one.namespaces is not None for one in said.registered.registries)
    held = {name for name, mine in places.items() if any(mine.values())}
    for name, names in sorted(said.spelling.each({*places, *on.keys, *said.spoken_of}, held).items()):
        mine: dict[str, list[Member]] = defaultdict(list)
        for each in names:
            for url, some in places[each].items() if each in places else ():
                mine[url].extend(some)
        found = tuple(Place(_facts(said, url), in_order(some)) for url, some in sorted(mine.items()))
        yield PlacedKey(name, found, told)


def _declared_for(said: Sayings, on: Ground) -> Iterator[tuple[str, KeyName]]:
    """(bucket, key) that registries name, of the buckets that are configured."""
    for one in on.coverage:
        for key in said.declared.of_buckets.get(one.bucket, ()):
            yield one.bucket, KeyName(key)


def _defaults(said: Sayings, on: Ground) -> Iterator[tuple[str, KeyName]]:
    """(bucket, key) of the defaults of the buckets that are configured."""
    for one in on.coverage:
        default = _facts(said, one.bucket).default_key
        if default is not None:
            yield one.bucket, KeyName(default)


def _region(bucket: str, said: Sayings) -> str | None:
    return _facts(said, bucket).location


def _facts(said: Sayings, bucket: str) -> BucketFacts:
    return said.buckets.get(bucket) or BucketFacts(bucket, cloud_of(bucket))


def _heard(said: Sayings, on: Ground) -> Iterator[HeardRegistry]:
    registries = said.registered.registries
    there = NamesOfKeys((name for name, view in on.keys.items() if _exists(view, on)), said.spelling)
    for one in registries:
        read = one.namespaces is not None
        told = {flawed.mismatch: flawed for flawed in one.flawed}
        for mismatch in (Mismatch.VERSION, Mismatch.ALIAS):
            flawed = told.get(mismatch)
            count, samples = (flawed.count, (f"the first is {flawed.first}",)) if flawed is not None else (0, ())
            yield HeardRegistry(one.name, mismatch, read, bool(one.namespaces or one.unusable), count, samples)
        named = said.declared.by_registries.get(one.name, ())
        exist = {key: _exists_by(there, on.keys[KeyName(key)], on) for key in named if KeyName(key) in on.keys}
        gone = [key for key, answer in exist.items() if answer is False]
        namesakes = [
            f"{key} may be {others[0]}, which is there"
            for key, answer in exist.items()
            if answer is None and (others := there.doubtful(KeyName(key)))
        ]
        yield HeardRegistry(
            name=one.name,
            mismatch=Mismatch.MISSING_KEY,
            # What could not be put together is not known, though it was read.
            read=read and bool(said.registered.digest),
            applies=bool(named),
            count=len(gone),
            samples=_some(gone),
            untold=sum(answer is None for answer in exist.values()),
            namesakes=_some(namesakes),
        )
    if registries:
        yield HeardRegistry(
            name="registries",
            mismatch=Mismatch.DISPUTE,
            read=bool(said.registered.digest) and all(one.namespaces is not None for one in registries),
            applies=any(one.namespaces for one in registries),
            count=said.registered.conflicts,
            samples=tuple(map(_told, said.declared.disputed)),
            untold=said.registered.doubtful,
            members=in_order(member for member, some in on.portions.items() if Portion.DISPUTED in some),
        )


def _exists(view: KeyView, on: Ground) -> bool | None:
    """Whether a key exists; None where nobody can tell. One that was never there is not known to the service."""
    if isinstance(view.reading, AwsKey | GcpKey):
        return True
    if on.gone(view):
        return False
    is_unknown_there = isinstance(view.word, KeyUnread) and view.word.reason is Reason.NOT_FOUND
    return False if is_unknown_there and (view.memory is None or view.memory.last is None) else None


def _exists_by(there: NamesOfKeys, view: KeyView, on: Ground) -> bool | None:
    """The same by whatever name: `there` are all that are of keys that exist.

    One that is known by no name of its own may be one of these.
    """
    answer = _exists(view, on)
    if answer is not False:
        return answer
    return True if there.same(view.name) else None if there.doubtful(view.name) else False


def _some(names: Sequence[str]) -> tuple[str, ...]:
    more = (f"{len(names) - _NAMED} more",) if len(names) > _NAMED else ()
    return (*names[:_NAMED], *more)


def _told(one: Disputed) -> str:
    return f"{one.bucket}/{one.namespace}: {', '.join(map(_word, one.words))}"


def _word(one: Word) -> str:
    told = [f"key {one.key}" if one.key else "", f"tenant {one.tenant}" if one.tenant else ""]
    return f"{one.registry} says {' and '.join(filter(None, told)) or 'nothing'}"


def _members(group: Iterable[Assessed]) -> tuple[Member, ...]:
    return in_order(member_of(one.holding) for one in group)
