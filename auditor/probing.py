"""What to probe next: data whose key was never tried first, then what was refused, then the oldest answers."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from auditor.model import Cloud, Holding, KeyMemory, KeyName, Probe, ProbeKind, ProbeOutcome
from auditor.policy import Policy

_AGAIN: Final = timedelta(hours=1)
"""How long a passed probe is good enough."""
_REFUSED_AGAIN: Final = timedelta(minutes=2)

Place = tuple[str, str, str | None]
"""(bucket, key, key version)."""


@dataclass(frozen=True, slots=True)
class Budget:
    """How much may be probed, and how."""

    reads: bool
    dry_runs: bool
    per_hour: int
    per_second: float = 1

    def wants(self, kind: ProbeKind) -> bool:
        """Whether probes of this kind are asked for; older ones of another kind do not count."""
        return self.reads if kind is ProbeKind.READ else self.dry_runs

    @property
    def a_round(self) -> int:
        """Probes of one round; the daemon makes one each minute, and none may last into the next."""
        return max(1, min(self.per_hour // 60, int(self.per_second * 60)))


@dataclass(frozen=True, slots=True)
class Target:
    """Data of one bucket under one key version, and how its key is tried."""

    bucket: str
    key: KeyName
    key_version: str | None
    kind: ProbeKind

    @property
    def place(self) -> Place:
        """Names the holding."""
        return self.bucket, self.key.text, self.key_version


@dataclass(frozen=True, slots=True)
class Situation:
    """All that the choice hangs on."""

    holdings: tuple[Holding, ...]
    readable: frozenset[Place]
    """Where there is an object that a read may try."""
    made: tuple[Probe, ...]
    """The newest probe of each kind for each place."""
    memory: Mapping[KeyName, KeyMemory]
    now: datetime
    """Aware, UTC, by the clouds' clocks."""


def due(at: Situation, budget: Budget, policy: Policy) -> tuple[Target, ...]:
    """Choose what to probe in this round, the most telling first; never more than the hour's budget leaves."""
    now = at.now
    known = {(one.bucket, one.key, one.key_version, one.kind): one for one in at.made}
    recent = sum(now - one.at < timedelta(hours=1) for one in known.values())
    room = min(budget.a_round, budget.per_hour - recent)
    urgent: list[tuple[int, datetime, Target]] = []
    for target in _targets(at, budget):
        last = known.get((*target.place, target.kind))
        seen = at.memory.get(target.key)
        urgency = _urgency(last, seen.since if seen else None, now, policy)
        if urgency is not None:
            urgent.append((urgency, last.at if last else now, target))
    urgent.sort(key=lambda one: (one[0], one[1], str(one[2])))
    return tuple(target for _, _, target in urgent[: max(0, room)])


def _targets(at: Situation, budget: Budget) -> Iterable[Target]:
    for one in at.holdings:
        if one.key is None:
            continue
        name = KeyName(one.key)
        # Without a version on Google Cloud one object's answer says nothing about another's.
        if (
            budget.reads
            and (one.bucket, one.key, one.key_version) in at.readable
            and (name.cloud is Cloud.AWS or one.key_version is not None)
        ):
            yield Target(one.bucket, name, one.key_version, ProbeKind.READ)
        if budget.dry_runs and name.cloud is Cloud.AWS:
            yield Target(one.bucket, name, None, ProbeKind.DRY_RUN)


def _urgency(last: Probe | None, changed: datetime | None, now: datetime, policy: Policy) -> int | None:
    """0 for what was never tried or has changed since, then refusals, then what is old; None for what is not due."""
    if last is None:
        return 0
    settled = changed + policy.propagation if changed is not None else None
    if settled is not None and last.at < settled <= now:
        return 0
    if last.outcome is ProbeOutcome.REFUSED:
        return 1 if now - last.at >= _REFUSED_AGAIN else None
    return 2 if now - last.at >= _AGAIN else None
