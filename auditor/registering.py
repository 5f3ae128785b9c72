"""The registries of one run: each read where it says something new, and all put together."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from auditor import gaps
from auditor.errors import AuditorError, LedgerError
from auditor.model import Gap, KeyName
from auditor.ports import KeptRegistry, RegistrySource
from auditor.registered import Declared, Registered, Registry
from auditor.run import Parts


@dataclass(frozen=True, slots=True)
class Heard:
    """What registries say, and what of it is not known."""

    registered: Registered
    gaps: tuple[Gap, ...] = ()

    def not_beside(self, error: LedgerError) -> "Heard":
        """The same where it cannot be put beside the data."""
        unread = tuple(replace(one, namespaces=None) for one in self.registered.registries)
        return Heard(Registered("", unread), (*self.gaps, gaps.registries_not_beside(error)))


def hear(parts: Parts) -> Heard:
    """Read what registries say anew; where one cannot be read, what it said last counts, and a gap says so."""
    kept: list[KeptRegistry] = []
    unread: list[Registry] = []
    found: list[Gap] = []
    for source in parts.registries:
        one, gap = _read(parts, source)
        found.extend([gap] if gap is not None else [])
        if one is None:
            unread.append(Registry(source.name, source.buckets, None, None))
        else:
            kept.append(one)
            found.extend(_unusable(one))
    try:
        registered = parts.registry.together(kept, unread)
    except LedgerError as error:
        every = (*(one.registry for one in kept), *unread)
        return Heard(Registered("", every), tuple(found)).not_beside(error)
    if registered.conflicts:
        found.append(gaps.registries_disagree(registered.conflicts))
    return Heard(registered, tuple(found))


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


def declared_by(parts: Parts, heard: Heard) -> Declared:
    """Which keys registries name, and in what they part.

    Raises:
        LedgerError: what they said was removed meanwhile.
    """
    return parts.registry.declared(heard.registered.digest)


def _read(parts: Parts, source: RegistrySource) -> tuple[KeptRegistry | None, Gap | None]:
    before = parts.registry.kept(source)
    try:
        version = source.version()
        if before is not None and before.version == version:
            return before, None
        return parts.registry.keep(source, version, parts.clock()), None
    except AuditorError as error:
        read_at = before.registry.read_at if before is not None else None
        return before, gaps.registry_unread(source.name, error, read_at)


def _unusable(one: KeptRegistry) -> Iterator[Gap]:
    if one.registry.unusable:
        yield gaps.registry_unusable(one.registry.name, one.registry.unusable, one.first_unusable or "unknown")
