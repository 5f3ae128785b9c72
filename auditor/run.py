"""What a run works with, and whom it tells how it gets on."""

import uuid
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from auditor import probing
from auditor.attribution.inquiring import Inquirer
from auditor.crew import Crew
from auditor.feeds.silence import Ear
from auditor.model import Cloud, KeyName, Requests, Sweep
from auditor.ownership.said import Said
from auditor.policy import Policy
from auditor.ports import (
    Asking,
    BucketLister,
    BundleKeeper,
    HandedOver,
    Inventory,
    KeySource,
    Ledger,
    ObjectSource,
    Prober,
    RegistryKeeper,
    RegistryService,
    RegistrySource,
)
from auditor.rule import Rule
from auditor.waiver import Waiver


@dataclass(frozen=True, slots=True)
class Headway:
    """How far the sweep of one bucket has got."""

    bucket: str
    listed: int
    kept: int
    """How many of them an attempt before had listed, which it goes on with."""
    unresolved: int
    """Of the others, those whose encryption could not be learnt."""
    requests: int
    """As it has made itself, each retry counted."""
    expected: int | None
    """Objects that the last complete sweep had; None before the first."""
    shards: tuple[int, int] | None = None
    """How many are listed, of how many, where other processes list them; `requests` are those of these shards then."""


class Progress(Protocol):
    """Is told how a run gets on."""

    def sweeping(self, at: Headway) -> None:
        """One bucket is being swept, and has got so far."""

    def swept(self, sweep: Sweep) -> None:
        """One bucket is done, well or not."""

    def polling(self, needed: int) -> None:
        """So many keys are about to be asked, and nobody else asks them meanwhile."""

    def polled(self, read: int, of: int, needed: Collection[KeyName]) -> None:
        """Keys were asked, and so many told, `of` all; `needed` are these by each name, be they asked this time or not.

        A key that is called by two names is one, as far as known.
        """

    def probed(self, made: int, chosen: int) -> None:
        """So many of the chosen probes are made."""

    def asking(self, at: Asking) -> None:
        """One registry is being asked, and has answered so far."""


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything that a run works with; `wiring.py` makes it."""

    buckets: tuple[str, ...]
    """URLs of those that the config names."""
    sources: tuple[ObjectSource, ...]
    """The same, to be asked; none where nothing is to be asked of a cloud."""
    listers: tuple[BucketLister, ...]
    keys: Mapping[Cloud, KeySource]
    inventory: Inventory
    ledger: Ledger
    rules: tuple[Rule, ...]
    policy: Policy
    watched: tuple[KeyName, ...]
    """Keys that the config names, whether data depends on them or not."""
    said: tuple[Said, ...]
    """What it says of them."""
    agents: Mapping[Cloud, tuple[str, ...] | None]
    """Who must be able to decrypt; None on Google Cloud = the storage service agent of each bucket's project."""
    probing: probing.Budget
    probers: Mapping[Cloud, Prober]
    clock: Callable[[], datetime]
    skew: Callable[[], timedelta]
    sent: Callable[[str], Requests]
    """The requests about one bucket that this process has made so far."""
    identity: Callable[[], tuple[str, ...]]
    version: str
    rules_version: str
    config_digest: str
    """SHA-256 of the settings in force."""
    places_digest: str
    """The same of those alone that tell which buckets there are, and whose lists are asked."""
    registry: RegistryKeeper
    bundles: BundleKeeper
    registries: tuple[RegistrySource, ...] = ()
    services: tuple[RegistryService, ...] = ()
    """Those of the registries that are asked with each sweep."""
    handed: tuple[HandedOver, ...] = ()
    """Operators' bundles, which are told of as registries are."""
    config_file_digest: str | None = None
    """SHA-256 of the config file as it was read; None where the config came from none."""
    waivers: tuple[Waiver, ...] = ()
    inquirer: Inquirer | None = None
    """Asks audit logs who did what findings say; None: nobody wants to know."""
    ears: tuple[Ear, ...] = ()
    """The feeds of the config, to none of which this process listens as far as that is known here."""
    by_sdk: bool = False
    """Buckets are listed through the SDKs, which ask for everything anew."""
    left: frozenset[str] = frozenset()
    """URLs of those buckets that other processes sweep; this one does where it is told to by name."""
    crew: Crew | None = None
    """Who lists large buckets; None: this process does."""
    heard: Callable[[Mapping[tuple[str, str, str], int]], None] = lambda _: None
    """Is told what clouds have answered to other processes: (service, operation, outcome) -> answers."""

    @property
    def is_keys_only(self) -> bool:
        """Whether no bucket is configured: what data there is registries say, and no object is seen."""
        return not self.buckets


def new_id(moment: datetime) -> str:
    """Sortable by time, unique without one."""
    return f"{moment.year:04}{moment:%m%dT%H%M%S.%fZ}-{uuid.uuid4().hex[:8]}"
