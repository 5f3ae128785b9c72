"""Which exceptions of the config a tenant is told of, and in which words."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Final, Protocol

from auditor.model import split_version
from auditor.ports import OpenInventory
from auditor.waiver import GivenWaiver, Waiver, fits

NOT_TOLD: Final = "not told in this view"


class Reach(Protocol):
    """How far patterns of namespaces reach."""

    @property
    def rows(self) -> OpenInventory:
        """Of the tenant alone."""

    def reaches(self, pattern: str, /) -> bool:
        """Whether a pattern fits some of the tenant's namespaces, and of nobody else's."""


class Exceptions:
    """An exception is the tenant's own where it names nothing but the tenant, a key of its own or its namespaces.

    One that names no other, but more than the tenant, is told without the words that somebody wrote about it.
    """

    def __init__(self, tenant: str, buckets: frozenset[str], keys: frozenset[str], reach: Reach) -> None:
        self._tenant = tenant
        self._buckets = buckets
        self._keys = keys
        self._reach = reach

    def of_its_own(self, given: Iterable[GivenWaiver]) -> frozenset[str]:
        """Names of those that are the tenant's own."""
        return frozenset(one.waiver.name for one in given if self._is_own(one.waiver))

    def told(self, given: Iterable[GivenWaiver], findings: frozenset[str]) -> Iterator[GivenWaiver]:
        """Those of the tenant's own, and others that are about its `findings`; of these alone they tell."""
        for one in given:
            covers = tuple(name for name in one.covers if name in findings)
            in_part = tuple(name for name in one.in_part if name in findings)
            if self._is_own(one.waiver):
                yield replace(one, covers=covers, in_part=in_part)
            elif (covers or in_part) and self._names_no_other(one.waiver):
                words = replace(one.waiver, owner=NOT_TOLD, approved_by=NOT_TOLD, reason=NOT_TOLD)
                yield GivenWaiver(words, covers, in_part)

    def _is_own(self, one: Waiver) -> bool:
        is_own = (
            one.tenant == self._tenant
            or (one.key is not None and _whole(one.key) in self._keys)
            or (one.namespace is not None and self._reach.reaches(one.namespace))
        )
        return is_own and self._names_no_other(one)

    def _names_no_other(self, one: Waiver) -> bool:
        """Whether each pattern fits something of the tenant's: what it spells out is a part of that then."""
        return (
            (one.tenant is None or fits(one.tenant, self._tenant))
            and (one.bucket is None or any(fits(one.bucket, each) for each in self._buckets))
            and (one.key is None or any(_fits_key(one.key, each) for each in self._keys))
            and (one.namespace is None or self._has(one.namespace))
        )

    def _has(self, namespace: str) -> bool:
        rows = self._reach.rows
        members = [(each.bucket, each.encryption, each.key, each.key_version) for each in rows.holdings()]
        return rows.beyond([(members, ())], namespace, None)[0][0] > 0


def _whole(pattern: str) -> str:
    """The key of a version's name; any other text as it is."""
    try:
        return split_version(pattern)[0].text
    except ValueError:
        return pattern


def _fits_key(pattern: str, key: str) -> bool:
    return fits(pattern, key) or fits(pattern.partition("/cryptoKeyVersions/")[0], key)
