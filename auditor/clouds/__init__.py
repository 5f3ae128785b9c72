"""What the config makes of each cloud; imported one by one: the SDK of a cloud that nobody uses takes memory."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from importlib import import_module
from typing import Final, Protocol

from auditor.checkup import Choosing, Doctor, Gone
from auditor.config import Account, Bucket, Config
from auditor.connectors.wire import Wire
from auditor.model import Cloud, KeyName
from auditor.ports import (
    AuditLog,
    BucketLister,
    Depot,
    Feed,
    KeySource,
    LastUses,
    LogSink,
    ObjectSource,
    Prober,
    Uploads,
)
from auditor.warehouse.metadata_table import Table

CONNECTIONS: Final = 64
_MODULES: Final[Mapping[Cloud, str]] = {Cloud.AWS: "auditor.clouds.aws", Cloud.GCP: "auditor.clouds.gcp"}


@dataclass(frozen=True, slots=True)
class Clocks:
    """What time it is: aware, UTC."""

    own: Callable[[], datetime]
    """The process's."""
    corrected: Callable[[], datetime]
    """The same as the clouds' clocks say, against whose dates it is held."""


PATIENCE: Final = 5
"""Seconds that a doctor waits for one answer."""
ATTEMPTS: Final = 2


class Made(Protocol):
    """One cloud, as the config wants it to be asked; nothing is asked yet."""

    @property
    def keys(self) -> KeySource:
        """Its keys."""

    @property
    def prober(self) -> Prober:
        """Who tries them."""

    @property
    def audit_log(self) -> AuditLog:
        """What tells who changed its keys."""

    def source(self, bucket: Bucket, *, by_sdk: bool) -> ObjectSource:
        """One of its buckets."""

    def table(self, bucket: Bucket) -> Table | None:
        """Its own table of one bucket's objects; None where it has none that is read."""

    def lister(self) -> BucketLister | None:
        """Who lists its buckets, over the accounts that configured ones are read with; None where there are none."""

    def last_uses(self) -> LastUses | None:
        """Who tells when its keys were used last; None where no call of the cloud does."""

    def own_log(self) -> LogSink | None:
        """The log of ours that the config names; None where it names none of this cloud.

        Raises:
            UsageError: what writes it is not installed.
        """

    def uploads(self, url: str) -> Uploads:
        """The folder of a bucket, where the config wants reports to be put."""

    def depot(self, url: str) -> Depot:
        """The folder of a bucket, where the config wants what sweeps learnt to be put as well."""

    def feed(self, account: Account) -> Feed:
        """The feed of one account or project of the config, which has one; nothing is asked until it is heard.

        Raises:
            UsageError: what is installed does not allow it.
        """

    def identity(self) -> tuple[str, ...]:
        """As whom it is asked."""

    def poll_takes(self, keys: Collection[KeyName]) -> float:
        """Seconds that a poll of these keys takes at least, at the share of the quotas that it may use."""

    def doctor(self, choose: Choosing, gone: Gone) -> Doctor:
        """Who asks it once and little, and waits for seconds; `choose` says which keys, `gone` what of lost ones."""


class Maker(Protocol):
    """Makes one cloud."""

    def __call__(self, config: Config, wire: Wire, agent: str, clocks: "Clocks") -> Made:
        """Make it.

        Raises:
            UsageError: there are no credentials where the config needs them.
        """


def maker(cloud: Cloud) -> Maker:
    """Import what makes a cloud."""
    made: Maker = import_module(_MODULES[cloud]).make
    return made
