"""The registries of one run: each read where it says something new, and all put together."""

from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from auditor import gaps
from auditor.errors import AuditorError, LedgerError
from auditor.handover import lacking
from auditor.model import Gap, KeyName
from auditor.ownership.registered import Declared, Registered, Registry
from auditor.ownership.spelling import Spelling
from auditor.ports import BundleSource, KeptRegistry, Recalled, RegistrySource
from auditor.run import Parts, Progress
from auditor.skew import plausible

_AT_ONCE: Final = 4


@dataclass(frozen=True, slots=True)
class Heard:
    """What registries say, and what of it is not known."""

    registered: Registered
    of_each: tuple[Gap, ...] = ()
    """What of each of them is not known; all together part or agree as far as is known of the names of keys."""
    is_told: bool = True
    """Whether every registry tells of all its namespaces which key they are under, be it none."""
    kept: tuple[KeptRegistry, ...] = ()
    unread: tuple[Registry, ...] = ()

    @property
    def gaps(self) -> tuple[Gap, ...]:
        """All that is not known of what they say."""
        return *self.of_each, *_of_all(self.registered)

    def not_beside(self, error: LedgerError) -> "Heard":
        """The same where it cannot be put beside the data."""
        unread = tuple(replace(one, namespaces=None) for one in self.registered.registries)
        return Heard(Registered("", unread), (*self.gaps, gaps.registries_not_beside(error)), self.is_told)


def ready(parts: Parts) -> None:
    """Make sure, before a sweep of hours, that all registries can be asked.

    Raises:
        UsageError: the config, the environment or what is installed does not allow it.
    """
    for one in parts.services:
        one.ready()


def ask_all(parts: Parts, progress: Progress) -> None:
    """Ask all registries that are services, where no bucket is swept."""
    for one in parts.services:
        one.refresh(progress.asking)
    ask(parts, progress, [bucket for one in parts.services for bucket in one.buckets])


def refresh(parts: Parts, progress: Progress, bucket: str) -> None:
    """Ask the registries of one bucket that are services which namespaces there are.

    After the bucket was swept, so that whatever was found in it is known to them, if it is to anybody.
    """
    for one in parts.services:
        if bucket in one.buckets:
            one.refresh(progress.asking)


def ask(parts: Parts, progress: Progress, buckets: Collection[str]) -> None:
    """Ask the registries of some buckets that are services about the namespaces whose turn it is."""
    chosen = [one for one in parts.services if not set(buckets).isdisjoint(one.buckets)]
    pool = ThreadPoolExecutor(_AT_ONCE)
    try:
        for done in [pool.submit(one.ask, progress.asking) for one in chosen]:
            done.result()
    finally:
        # Whoever interrupts does not wait for those that may have hours to go.
        pool.shutdown(wait=False, cancel_futures=True)


def hear(parts: Parts, spelling: Spelling) -> Heard:
    """Read what registries say anew; where one cannot be read, what it said last counts, and a gap says so.

    `spelling`: which names are of one key.
    """
    kept: list[KeptRegistry] = []
    unread: list[Registry] = []
    found: list[Gap] = []
    recalled = {one.name: told for one in parts.services if (told := one.recalled()) is not None}
    for source in parts.registries:
        one, gap = _read(parts, source, recalled.get(source.name))
        found.extend([gap] if gap is not None else [])
        if one is None:
            unread.append(Registry(source.name, source.buckets, None, None))
        else:
            kept.append(one)
            found.extend(_unusable(one))
            named = one.registry.namespaces or 0
            if parts.is_keys_only and 0 < one.keyed < named and source.name not in recalled:
                found.append(gaps.registry_lacks_keys(source.name, named - one.keyed, named))
            # A service that names none was either not asked yet, which is told, or its data is under no customer's key.
            if one.registry.namespaces and not one.keyed and source.name not in recalled:
                gap = gaps.registry_keyless(source.name, one.registry.namespaces, alone=parts.is_keys_only)
                columns = (
                    f"; its columns are: {', '.join(one.fields)}; the key is read from `key`" if one.fields else ""
                )
                found.append(replace(gap, hint=f"{gap.hint}{columns}"))
    is_told = all(_tells_keys(one, recalled.get(one.registry.name)) for one in kept)
    now = parts.clock() + plausible(parts.skew())
    for each in parts.handed:
        one, gap = _believed(parts, each.source, now)
        found.extend([gap] if gap is not None else [])
        if one is None or one.registry.bundle is None:
            unread.append(Registry(each.source.name, (), None, None))
        else:
            kept.append(one)
            found.extend(lacking.of_bundle(each.source.name, one.registry.bundle, now, each.max_age))
            is_told = is_told and one.registry.bundle.is_whole
    try:
        registered = parts.registry.together(kept, unread, spelling)
    except LedgerError as error:
        every = (*(one.registry for one in kept), *unread)
        return Heard(Registered("", every), tuple(found)).not_beside(error)
    for name, told in recalled.items():
        found.extend(gaps.of_service(name, told, parts.clock() - parts.policy.sweep_max_age))
    return Heard(registered, tuple(found), is_told, tuple(kept), tuple(unread))


def spelt_anew(parts: Parts, heard: Heard, spelling: Spelling) -> Heard:
    """The same words where more is known of the names of keys; nothing is read again."""
    if not heard.registered.digest:
        return heard
    try:
        return replace(heard, registered=parts.registry.together(heard.kept, heard.unread, spelling))
    except LedgerError as error:
        return heard.not_beside(error)


def keys_of(parts: Parts, heard: Heard) -> tuple[KeyName, ...]:
    """Every key that registries name.

    Raises:
        LedgerError: what they said was removed meanwhile.
    """
    return parts.registry.keys(heard.registered.digest)


def tenants_of(parts: Parts, heard: Heard) -> Mapping[KeyName, str]:
    """Whose each key is, as far as config and registries tell.

    Raises:
        LedgerError: what they said was removed meanwhile.
    """
    return parts.registry.tenants(heard.registered.digest)


def parted_over(parts: Parts, heard: Heard) -> frozenset[KeyName]:
    """Every key of which the config says two tenants, by several of its names.

    Raises:
        LedgerError: what they said was removed meanwhile.
    """
    return parts.registry.parted(heard.registered.digest)


def declared_by(parts: Parts, heard: Heard) -> Declared:
    """Which keys registries name, and in what they part.

    Raises:
        LedgerError: what they said was removed meanwhile.
    """
    return parts.registry.declared(heard.registered.digest)


def _of_all(registered: Registered) -> Iterator[Gap]:
    if registered.conflicts:
        yield gaps.registries_disagree(registered.conflicts)
    if registered.doubtful:
        yield gaps.registries_may_disagree(registered.doubtful)
    if registered.parted_labels:
        yield gaps.registries_part_in_labels(registered.parted_labels)


def _read(parts: Parts, source: RegistrySource, recalled: Recalled | None) -> tuple[KeptRegistry | None, Gap | None]:
    before = parts.registry.kept(source)
    try:
        version = source.version()
        if before is not None and before.version == version:
            parts.registry.unchanged(source)
            return before, None
        return parts.registry.keep(source, version, recalled.listed_at if recalled else parts.clock()), None
    except AuditorError as error:
        read_at = before.registry.read_at if before is not None else None
        return _from_before(before), gaps.registry_unread(source.name, error, read_at)


def _believed(parts: Parts, source: BundleSource, now: datetime) -> tuple[KeptRegistry | None, Gap | None]:
    """What a bundle says; where it is not believed now, the one that was believed last, and why."""
    before = parts.bundles.kept(source)
    try:
        version = source.version()
        if before is not None and before.version == version:
            return before, None
        return parts.bundles.keep(source, version, now), None
    except AuditorError as error:
        bundle = before.registry.bundle if before is not None else None
        return _from_before(before), lacking.not_believed(source.name, error, bundle)


def _from_before(one: KeptRegistry | None) -> KeptRegistry | None:
    return replace(one, registry=replace(one.registry, is_from_before=True)) if one is not None else None


def _tells_keys(one: KeptRegistry, recalled: Recalled | None) -> bool:
    """Whether a registry tells of all its namespaces which key they are under; only a service can tell of none."""
    if recalled is not None:
        return not (recalled.unasked or recalled.silent or recalled.unclear)
    return one.keyed >= (one.registry.namespaces or 0)


def _unusable(one: KeptRegistry) -> Iterator[Gap]:
    if not one.registry.namespaces and not one.registry.unusable:
        yield gaps.registry_empty(one.registry.name)
    if one.registry.unusable:
        yield gaps.registry_unusable(one.registry.name, one.registry.unusable, one.first_unusable or "unknown")
