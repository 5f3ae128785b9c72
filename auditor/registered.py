"""What registries say of namespaces, and which data is otherwise than they say."""

from dataclasses import dataclass
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
    BRANCHED = "branched"
    """In a namespace that no registry of its bucket knows, but branches of it: they may need its objects."""

    @property
    def bit(self) -> int:
        """How it stands beside others in one number."""
        return 1 << tuple(Portion).index(self)


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
    parent: str | None = None
    """The namespace whose branch it is, so that it may need objects of that one; None: it is no branch."""


@dataclass(frozen=True, slots=True)
class Registry:
    """One registry of the config, as it was read last."""

    name: str
    buckets: tuple[str, ...]
    """Of which it knows all namespaces."""
    namespaces: int | None
    """How many it names; None: it was never read."""
    read_at: datetime | None
    """Aware, UTC: when it was read last."""
    unusable: int = 0
    """Entries that cannot be used."""


@dataclass(frozen=True, slots=True)
class Registered:
    """All registries together, as one judgement used them."""

    digest: str = ""
    """SHA-256 of all that they say, hexadecimal: under this name it is kept. Empty: none was ever read."""
    registries: tuple[Registry, ...] = ()
    conflicts: int = 0
    """Namespaces of which two say different things."""

    def knows(self, bucket: str) -> bool | None:
        """Whether registries know all namespaces of a bucket; None: one that would was never read."""
        mine = [one for one in self.registries if bucket in one.buckets]
        return None if any(one.namespaces is None for one in mine) else bool(mine)


NOTHING_SAID: Final = Registered()
"""No registry is configured."""
