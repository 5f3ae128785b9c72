"""Data, keys and registries as the rules see them that ask whether it is the right key."""

from collections.abc import Mapping
from dataclasses import dataclass

from auditor.findings import Member, Subject, SubjectKind, in_order
from auditor.model import BucketFacts, KeyName
from auditor.ownership.registered import Mismatch, Portion
from auditor.ownership.spelling import EACH_ITS_OWN, Spelling


@dataclass(frozen=True, slots=True)
class _Owned:
    members: tuple[Member, ...]
    portions: Mapping[Member, tuple[Portion, ...]]
    """Of each of them, which data in it is otherwise than registries say."""
    known: bool | None
    """Registries speak of it; None: one that would was never read."""
    sound: bool
    """No entry that may speak of its data is unusable, and no two part over it."""

    def otherwise(self, *portions: Portion) -> tuple[Member, ...]:
        """The holdings some of whose data is so."""
        return tuple(one for one in self.members if not set(portions).isdisjoint(self.portions.get(one, ())))


@dataclass(frozen=True, slots=True)
class OwnedKey(_Owned):
    """All data under one key beside what registries say of it: the subject of the rules about owners of keys."""

    key: KeyName
    provider_managed: bool
    tenant: str | None
    """Whose key it is; None: nobody says so."""
    compared: bool
    """The tenants of its data were compared with that."""
    owners_told: bool = True
    """All who could say whose key it is were heard, and what they say is known to be of it or not."""

    @property
    def subject(self) -> Subject:
        """The key."""
        return Subject(SubjectKind.KEY, self.key.text)


@dataclass(frozen=True, slots=True)
class OwnedBucket(_Owned):
    """All data of one bucket beside what registries say of it: the subject of the rules about its owners.

    Of one that others alone looked into, all that they tell.
    """

    bucket: str
    swept: bool
    """A whole sweep of it is in force."""
    providers: tuple[Member, ...]
    """Holdings under keys that the provider manages."""
    unresolved: bool = False
    """Of some of its data nobody knows the encryption."""
    compared: bool = True
    """Its namespaces were compared with what registries say, and with each other."""
    facts: BucketFacts | None = None
    """What it says of itself; None where it never told."""
    told: bool = False
    """An operator's bundle tells of its data, and nobody here looks into it: what that leaves out would make a rule
    pass, so that nothing passes by it."""
    declared: tuple[KeyName, ...] | None = ()
    """The keys that its namespaces are to be under, as far as somebody says so; None: that is not known."""
    spelling: Spelling = EACH_ITS_OWN
    """Which names are of one key."""

    @property
    def subject(self) -> Subject:
        """The bucket."""
        return Subject(SubjectKind.BUCKET, self.bucket)


@dataclass(frozen=True, slots=True)
class Place:
    """One bucket that a key is for, because data says so, a registry, or the bucket's own default."""

    facts: BucketFacts
    members: tuple[Member, ...] = ()
    """Its data under the key."""


@dataclass(frozen=True, slots=True)
class PlacedKey:
    """One key and all buckets that it is for: the subject of the rule about locations."""

    key: KeyName
    places: tuple[Place, ...]
    """By bucket."""
    told: bool
    """Every registry was read, so that no other bucket is known for it."""

    @property
    def subject(self) -> Subject:
        """The key."""
        return Subject(SubjectKind.KEY, self.key.text)

    @property
    def members(self) -> tuple[Member, ...]:
        """All data under it."""
        return in_order(member for place in self.places for member in place.members)


@dataclass(frozen=True, slots=True)
class HeardRegistry:
    """One registry, or all of them together, and one way in which it may be wrong: the subject of registry-mismatch."""

    name: str
    mismatch: Mismatch
    read: bool
    """It was read, now or before."""
    applies: bool
    """It says something that could be wrong in this way."""
    count: int
    """How many of its entries, keys or namespaces are wrong so."""
    samples: tuple[str, ...] = ()
    """A few of them, in words; hostile."""
    untold: int = 0
    """Of how many of these nobody could tell whether they are."""
    namesakes: tuple[str, ...] = ()
    """Why not, of those that may be a key by the other name of its project, in words; hostile."""
    members: tuple[Member, ...] = ()
    """The data that it leaves unjudged."""

    @property
    def subject(self) -> Subject:
        """The registry and the way."""
        return Subject(SubjectKind.REGISTRY, f"{self.name.removeprefix('registry ')} ({self.mismatch})")
