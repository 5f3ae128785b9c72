"""What registries say of namespaces, and which data is otherwise than they say."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final

ENDINGS: Final = (".csv", ".json", ".jsonl")
"""What the name of a file of namespaces ends in: a table with a header, an array of objects, or an object a line."""


class Portion(StrEnum):
    """Which of the data under a key, or in a bucket, a finding is about: it is not as it should be."""

    WRONG_KEY = "wrong_key"
    """Under a customer's key, and a registry names another for its namespace."""
    NOT_CUSTOMER_MANAGED = "not_customer_managed"
    """Under no customer's key, and a registry names one for its namespace."""
    UNREGISTERED = "unregistered"
    """In a namespace that no registry of its bucket knows."""
    FOREIGN_TENANT = "foreign_tenant"
    """Under a key that belongs to another tenant than its namespace."""
    MIXED_KEYS = "mixed_keys"
    """Live, in a namespace that has live data under another key or under none, and no registry names the one."""
    DISPUTED = "disputed"
    """In a namespace of which registries say different things."""
    BRANCHED = "branched"
    """In a namespace that no registry of its bucket knows, but branches of it: they may need its objects."""
    NAMESAKE = "namesake"
    """Under a key that may be the registry's by the other name of its project: nobody says whether it is."""
    MIXED_NAMES = "mixed_names"
    """As `mixed_keys`, where nobody says whether its names are of one key."""

    @property
    def bit(self) -> int:
        """How it stands beside others in one number."""
        return 1 << tuple(Portion).index(self)


class Mismatch(StrEnum):
    """How a registry is otherwise than the clouds, or than another one."""

    DISPUTE = "dispute"
    """Entries say different things of one namespace."""
    MISSING_KEY = "missing_key"
    """It names a key that does not exist."""
    VERSION = "version"
    """It names a key version, where data moves on to the next one."""
    ALIAS = "alias"
    """It names an alias, which moves."""


@dataclass(frozen=True, slots=True)
class Flawed:
    """Entries of one registry that have one fault in common."""

    mismatch: Mismatch
    count: int
    first: str
    """Where the first of them stands."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What one registry says of one namespace."""

    bucket: str
    """`s3://NAME` or `gs://NAME`."""
    namespace: str
    """The layout's fields, joined by `/`."""
    key: str | None = None
    """Full name of the key that its data is to be under; None: the registry says nothing of that."""
    tenant: str | None = None
    """Whose it is; None: the registry says nothing of that."""
    owner: str | None = None
    """Who answers for it; None likewise."""
    team: str | None = None
    """In which team; None likewise."""
    parent: str | None = None
    """The namespace whose branch it is, so that it may need objects of that one; None: it is no branch."""
    size: int | None = None
    """Bytes, about, as the registry counts them; None: it says nothing of that."""


@dataclass(frozen=True, slots=True)
class Labels:
    """Who answers for data; they tell whom to call, and decide nothing."""

    owner: str | None = None
    team: str | None = None


@dataclass(frozen=True, slots=True)
class HandedBucket:
    """What a bundle says of one bucket that nobody looked at."""

    bucket: str
    left_out: tuple[str, ...]
    """Populations."""
    outside: bool
    """It has objects in no namespace."""
    uploads: bool | None
    """It has unfinished uploads; None: that is not known."""


@dataclass(frozen=True, slots=True)
class Handed:
    """What an operator's signed bundle says of itself, and what it leaves open."""

    tenant: str
    operator: str | None
    """What the operator calls itself: a claim, though the bundle is signed."""
    signer: str
    """Fingerprint of the key that it is signed with: SHA-256, hexadecimal."""
    digest: str
    """SHA-256 of what is signed, hexadecimal."""
    version: str
    """Of the program that made it."""
    made: datetime
    """Aware, UTC."""
    swept: datetime
    """Aware, UTC: when the oldest of its sweeps began; what came or went since may not be in it."""
    objects: int
    size: int
    """Bytes."""
    unknown: int
    """Objects whose encryption the operator could not learn."""
    withheld: int
    """Objects under a key that the operator does not name."""
    unclear: int
    """Namespaces of which nobody says for certain whose they are."""
    unswept: int
    """Buckets without a whole sweep that can be used, with those that left the operator's config."""
    elsewhere: int | None
    """Buckets in no config of the operator; None: nobody knows."""
    registries: bool
    """All that says whose a namespace is could be used."""
    buckets: tuple[HandedBucket, ...] = ()
    gaps: tuple[tuple[str, str], ...] = ()
    """(bucket or key, reason) of what the operator could not read."""
    verified: datetime | None = None
    """Aware, UTC: when the key of an object was read longest ago; None: nobody kept that."""

    @property
    def is_whole(self) -> bool:
        """Whether all that the operator has of the tenant's is in it."""
        return self.registries and not (self.unclear or self.unswept)


@dataclass(frozen=True, slots=True)
class Registry:
    """One registry of the config, as it was read last."""

    name: str
    buckets: tuple[str, ...]
    """Of which it knows all namespaces; in a config without buckets, what stands for them."""
    namespaces: int | None
    """How many it names; None: it was never read."""
    read_at: datetime | None
    """Aware, UTC: when it was read last."""
    unusable: int = 0
    """Entries that cannot be used."""
    flawed: tuple[Flawed, ...] = ()
    """Those of them whose key is one by another kind of name."""
    bundle: Handed | None = None
    """Where it is an operator's bundle: what that says of itself."""
    is_from_before: bool = False
    """It could not be read now, or not be believed: what it said before counts."""


@dataclass(frozen=True, slots=True)
class Registered:
    """All registries together, as one judgement used them."""

    digest: str = ""
    """SHA-256 of all that they say, hexadecimal: under this name it is kept. Empty: none was ever read."""
    registries: tuple[Registry, ...] = ()
    conflicts: int = 0
    """Namespaces of which two say different things."""
    parted_labels: int = 0
    """Namespaces of which two name different owners or teams."""
    doubtful: int = 0
    """Namespaces of which they name two keys that may be one: by the id of its project, and by its number."""

    @property
    def bundles(self) -> tuple[Registry, ...]:
        """Those that are operators' bundles and were believed."""
        return tuple(one for one in self.registries if one.bundle is not None)

    def knows(self, bucket: str) -> bool | None:
        """Whether registries know all namespaces of a bucket; None: one that would was never read."""
        mine = [one for one in self.registries if bucket in one.buckets]
        return None if any(one.namespaces is None for one in mine) else bool(mine)

    def is_sound(self, bucket: str) -> bool:
        """Whether all that registries say of a bucket can be used: an entry that cannot may speak of any namespace."""
        mine = [one for one in self.registries if bucket in one.buckets or not one.buckets]
        return not any(one.namespaces is None or one.unusable for one in mine)

    @property
    def is_whole(self) -> bool:
        """Whether every registry was read, and what they say could be put together."""
        return not self.registries or (bool(self.digest) and all(one.namespaces is not None for one in self.registries))


@dataclass(frozen=True, slots=True)
class Doubt:
    """Where nobody says for certain whose a namespace is, though something does, like its name."""

    buckets: tuple[str, ...] = ()
    """Those of all whose namespaces that is so."""
    unregistered: tuple[str, ...] = ()
    """Those of whose namespaces it is so where no entry names them: one that cannot be used may speak of any."""


@dataclass(frozen=True, slots=True)
class Tenancy:
    """Which data is told to one tenant, and by which names."""

    tenant: str
    doubt: Doubt
    said: str = ""
    """Digest of what registries said, which tells whose the data is."""
    called: Mapping[str, str] = field(default_factory=dict)
    """Key that may be another tenant's -> what stands for its name."""
    labelled: frozenset[str] = frozenset()
    """Those of these keys by which the config says who answers for data under them."""


NOTHING_SAID: Final = Registered()
"""No registry is configured."""


@dataclass(frozen=True, slots=True)
class Word:
    """What one registry says of a namespace of which another entry says something else."""

    registry: str
    key: str | None
    tenant: str | None


@dataclass(frozen=True, slots=True)
class Disputed:
    """One namespace of which entries say different things."""

    bucket: str
    namespace: str
    words: tuple[Word, ...]


@dataclass(frozen=True, slots=True)
class Declared:
    """Which keys registries name, and in what they part."""

    of_buckets: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Bucket -> the keys that its namespaces are to be under, sorted; disputed ones are not among them."""
    by_registries: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Registry -> all keys that it names, sorted."""
    disputed: tuple[Disputed, ...] = ()
    """The first few of those namespaces."""
    unplaced: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """Registry that does not say in which bucket namespaces are -> how many of them are taken for those of the same
    name and key that operators' bundles tell of, and of how many others bundles tell by that name."""


NOTHING_DECLARED: Final = Declared()
