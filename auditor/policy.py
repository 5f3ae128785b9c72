"""What the customer demands: thresholds, named as in the config's `[policy]` table."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from auditor.model import KeyName


@dataclass(frozen=True, slots=True)
class Policy:
    """The thresholds that rules read."""

    horizon: timedelta = timedelta(days=30)
    """How far ahead a date counts as `expiring`."""
    sweep_max_age: timedelta = timedelta(hours=24)
    min_coverage: float = 1.0
    poll_max_age: timedelta = timedelta(minutes=15)
    feed_max_silence: timedelta = timedelta(minutes=60)
    """How long the service of a feed may give no answer."""
    confirm_missing: timedelta = timedelta(minutes=5)
    """An AWS key that is not found counts as gone when it is still not found this long after the first time."""
    propagation: timedelta = timedelta(minutes=10)
    """How long after a change reads and key states may still differ."""
    probe_max_age: timedelta = timedelta(hours=2)
    """How long a probe that passed stands; twice the time after which it is made again."""
    rotation_period: timedelta = timedelta(days=365)
    """How old what new data is encrypted with may be."""
    stale_version: timedelta = timedelta(days=365)
    """How old a version may be that data is still under after another has become the primary one."""
    min_destroy_delay: timedelta = timedelta(days=30)
    """How long a version must stay scheduled before it is destroyed."""
    quarantine: timedelta = timedelta(days=14)
    """How long a version that holds nothing stays disabled before it is destroyed."""
    no_data_elsewhere: bool = False
    """Buckets that no config names hold nothing under the keys: somebody has said so."""
    allowed_protection_levels: frozenset[str] = frozenset()
    """Of Cloud KMS; empty where every level is allowed."""
    one_reading: bool = False
    """Nobody will ask again, so what is not found now counts as gone, inferred from one reading."""
    revoked: Mapping[KeyName, datetime | None] = field(default_factory=dict)
    """Names of keys that are meant to be unusable -> since when (aware, UTC); None for ever since."""

    def means_revoked(self, key: KeyName, now: datetime) -> bool:
        """Whether the customer wants nothing to be readable under the key now."""
        if key not in self.revoked:
            return False
        since = self.revoked[key]
        return since is None or now >= since
