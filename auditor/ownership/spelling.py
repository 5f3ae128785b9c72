"""Which names are of one key: a Google project has an id and a number, and a multi-Region key of AWS has replicas.

That two names look as if they were of one Google key proves nothing: a fleet calls its rings and keys alike in every
project. When the key was made does, as it is told under each name: no two keys are made at the same moment. Where what
they tell else cannot be of one key (`contradicting`), they are two all the same.
"""

from collections import defaultdict
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain
from operator import attrgetter
from typing import Final, TypeVar

from auditor.model import AwsKey, Cloud, GcpKey, KeyMemory, KeyName
from auditor.ownership.contradicting import Apart, apart_by

T = TypeVar("T")
_PAIR: Final = 2


@dataclass(frozen=True, slots=True)
class Spelling:
    """What is known of the names of keys."""

    ones: Mapping[KeyName, str] = field(default_factory=dict)
    """Name of a Google key that may have another name -> what is the same for all names of that key alone."""
    called: Mapping[str, KeyName] = field(default_factory=dict)
    """What is the same for all names of a key -> the one by which open findings speak of it."""

    def is_one(self, key: KeyName, other: KeyName) -> bool | None:
        """Whether two names are of one key; None where that is not known."""
        if key == other or key.is_replica_of(other):
            return True
        if not key.may_be(other):
            return False
        mine, others = self.ones.get(key), self.ones.get(other)
        return None if mine is None or others is None else mine == others

    def one(self, key: KeyName) -> str:
        """What is the same for all names of a key, as far as known; each replica is by itself."""
        return self.ones.get(key, key.text)

    def one_of_all(self, key: KeyName) -> str:
        """The same, which all replicas of a key have in common: whatever is said of one is said of all."""
        if key.cloud is Cloud.AWS and (replicated := key.text.rpartition("/")[2]).startswith("mrk-"):
            return f"{key.text.split(':')[1]}:{key.owner}:{replicated}"
        return self.one(key)

    def each(self, names: Iterable[KeyName], of_data: Container[KeyName] = ()) -> Mapping[KeyName, tuple[KeyName, ...]]:
        """Each key once, by the name that it is called by -> those of the names that are its own.

        That is the one by which findings speak of it, whatever else names it now; else one by which data does
        (`of_data`), and that by its project's id.
        """
        found: dict[str, list[KeyName]] = defaultdict(list)
        for name in sorted(set(names), key=lambda one: (one not in of_data, by_id_first(one))):
            found[self.one(name)].append(name)
        return {self.called.get(one, same[0]): tuple(same) for one, same in found.items()}

    def by_id(self) -> Mapping[KeyName, KeyName]:
        """Name of a key by its project's number -> its name by the id, where both are known."""
        ids = {one: name for name, one in self.ones.items() if not name.owner.isdigit()}
        return {name: ids[one] for name, one in self.ones.items() if name.owner.isdigit() and one in ids}

    def of_owner(self, owner: str, cloud: Cloud) -> "Owned":
        """Whose keys are an account's, or a project's by its id or its number."""
        return Owned(owner, cloud, {number.owner: name.owner for number, name in self.by_id().items()})

    def together(self, told: Iterable[tuple[KeyName, T]]) -> Mapping[str, frozenset[T]]:
        """All that is told of each key, by what is the same for all its names."""
        found: dict[str, set[T]] = defaultdict(set)
        for name, value in told:
            found[self.one_of_all(name)].add(value)
        return {one: frozenset(some) for one, some in found.items()}

    def spread(self, told: Iterable[tuple[KeyName, T]]) -> Mapping[KeyName, frozenset[T]]:
        """All that is told of each key, by each of its names that is told of, and each other one that is known."""
        found = tuple(told)
        of_keys = self.together(found)
        names = dict.fromkeys((*(name for name, _ in found), *self.ones))
        return {name: of_keys[one] for name in names if (one := self.one_of_all(name)) in of_keys}


@dataclass(frozen=True, slots=True)
class Owned:
    """The keys of one account or project."""

    owner: str
    """Its id, or its number."""
    cloud: Cloud
    ids: Mapping[str, str]
    """Number of a project -> its id, of all that are known."""

    def has(self, key: KeyName) -> bool | None:
        """Whether a key is one of them; None where one is named by a project's number, and nobody knows of which."""
        return self.is_called(key.owner) if key.cloud is self.cloud else False

    def is_called(self, owner: str) -> bool | None:
        """Whether it is called so as well; None where nobody knows."""
        if owner == self.owner:
            return True
        if self.cloud is Cloud.AWS or owner.isdigit() is self.owner.isdigit():
            return False
        number, name = (owner, self.owner) if owner.isdigit() else (self.owner, owner)
        if (known := self.ids.get(number)) is not None:
            return known == name
        # A project has one number.
        return False if name in self.ids.values() else None


EACH_ITS_OWN: Final = Spelling()
"""Nothing is known of other names."""


def spelling_of(keys: Iterable[AwsKey | GcpKey | None], apart: Apart = lambda *_: False) -> Spelling:
    """Tell it from what keys say of themselves, each under one name; `apart`: which names are not of one key."""
    alike: dict[str, dict[KeyName, datetime]] = defaultdict(dict)
    for key in keys:
        if isinstance(key, GcpKey) and key.created is not None:
            alike[key.name.common][key.name] = key.created
    ones: dict[KeyName, str] = {}
    for left, made in alike.items():
        if len({name.owner.isdigit() for name in made}) > 1:
            ones.update(_ones(left, made, apart))
    return Spelling(ones)


def spelling_by(memory: Mapping[KeyName, KeyMemory]) -> Spelling:
    """Tell it from what keys said of themselves last."""
    return spelling_of((one.last for one in memory.values()), apart_by(memory))


def _ones(left: str, made: Mapping[KeyName, datetime], apart: Apart) -> Iterable[tuple[KeyName, str]]:
    at: dict[datetime, list[KeyName]] = defaultdict(list)
    for name, moment in made.items():
        at[moment].append(name)
    for moment, names in at.items():
        others = {
            name: [one for one in names if one.owner.isdigit() != name.owner.isdigit() and not apart(name, one)]
            for name in names
        }
        for name, mine in others.items():
            # Two numbers are of two projects: where their keys were made at one moment, that moment proves nothing.
            if not mine:
                yield name, f"{left} {moment.isoformat()}{'' if len(names) == 1 else f' {name.owner}'}"
            elif len(mine) == 1 and others[mine[0]] == [name]:
                yield name, f"{left} {moment.isoformat()}{'' if len(names) <= _PAIR else f' {max(name, *mine).owner}'}"


def by_id_first(key: KeyName) -> tuple[bool, KeyName]:
    """Sorts names by the ids of projects before those by their numbers."""
    return key.owner.isdigit(), key


class NamesOfKeys:
    """Names of keys, to be asked which of them are of one key: what that takes does not grow with their number."""

    def __init__(self, names: Iterable[KeyName], spelling: Spelling) -> None:
        self._spelling = spelling
        self._alike: dict[str, list[KeyName]] = defaultdict(list)
        for name in sorted(set(names), key=attrgetter("text")):
            if name.cloud is Cloud.GCP:
                self._alike[name.common].append(name)

    def others(self, key: KeyName) -> tuple[KeyName, ...]:
        """Those that are other names of a Google key, or may be."""
        every = self._alike.get(key.common, ())
        return tuple(one for one in every if one != key and self._spelling.is_one(one, key) is not False)

    def same(self, key: KeyName) -> tuple[KeyName, ...]:
        """Those that are known to be other names of a key."""
        return tuple(one for one in self.others(key) if self._spelling.is_one(one, key))

    def known_by(self, key: KeyName) -> tuple[KeyName, ...]:
        """The same, where the key's own name is none of them all."""
        return () if key in self._alike.get(key.common, ()) else self.same(key)

    def every(self, keys: Iterable[KeyName]) -> frozenset[KeyName]:
        """Keys by all of these names that are known to be theirs; what is called by none of them keeps its own."""
        return frozenset(chain.from_iterable(self.known_by(key) or (key, *self.same(key)) for key in keys))

    def doubtful(self, key: KeyName) -> tuple[KeyName, ...]:
        """Those of which nobody knows whether they are of a key."""
        return tuple(one for one in self.others(key) if self._spelling.is_one(one, key) is None)

    def doubtful_of(self, names: Sequence[KeyName]) -> tuple[KeyName, ...]:
        """Those of which nobody knows whether they are of a key; `names`: all that are known to be its own."""
        every = dict.fromkeys(chain.from_iterable(map(self.doubtful, names)))
        return tuple(one for one in every if all(self._spelling.is_one(one, name) is None for name in names))

    def undecided(self, key: KeyName) -> tuple[KeyName, ...]:
        """Those that may be names of a key by all that is known of either; a project has one number."""
        found = self.doubtful_of((key, *self.same(key)))
        is_one = self._spelling.is_one
        return tuple(one for one in found if all(is_one(key, name) is not False for name in self.same(one)))

    def told(self, key: KeyName, meaning: str) -> tuple[str, ...]:
        """Each of the others with what it is to a key; `meaning`: how the key is called there."""
        return tuple(
            f"{one}, which {'may be' if self._spelling.is_one(one, key) is None else 'is'} {meaning} by the other name "
            "of its project"
            for one in self.others(key)
        )
