"""What to probe next: data whose key was never tried first, then refusals and the oldest answers in turn."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain, zip_longest
from typing import Final

from auditor.model import Cloud, Holding, KeyMemory, KeyName, Probe, ProbeKind, ProbeOutcome, concerns
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
    """The newest telling and the newest inconclusive probe of each kind for each place."""
    dead: frozenset[Place]
    """Where the key itself says that nothing can be read: a refusal there is no news."""
    spent: int
    """Probes of the last hour."""
    memory: Mapping[KeyName, KeyMemory]
    now: datetime
    """Aware, UTC, by the clouds' clocks."""
    at_once: frozenset[KeyName] = frozenset()
    """Keys that are tried now, and no other, whenever they were tried before; none: whatever is due."""


def due(at: Situation, budget: Budget, policy: Policy) -> tuple[Target, ...]:
    """Choose what to probe in this round, the most telling first; never more than the hour's budget leaves.

    What is asked for at once is no round: somebody waits for all of it.
    """
    left = budget.per_hour - at.spent
    if at.at_once:
        mine = sorted((one for one in _targets(at, budget) if one.key in at.at_once), key=str)
        return tuple(mine[: max(0, left)])
    room = min(budget.a_round, left)
    known: dict[tuple[str, str, str | None, ProbeKind], list[Probe]] = {}
    for one in at.made:
        known.setdefault((one.bucket, one.key, one.key_version, one.kind), []).append(one)
    first: list[Target] = []
    refused: list[tuple[datetime, Target]] = []
    old: list[tuple[datetime, Target]] = []
    for target in sorted(_targets(at, budget), key=str):
        tries = known.get((*target.place, target.kind), [])
        last = max((one.at for one in tries if one.at <= at.now), default=None)
        if last is None or _has_settled_since(last, target, at, policy):
            first.append(target)
        elif _is_refused(tries) and target.place not in at.dead:
            if at.now - last >= _REFUSED_AGAIN:
                refused.append((last, target))
        elif at.now - last >= _AGAIN:
            old.append((last, target))
    # In turn, so that however much is refused, the rest is looked at as well.
    in_turn = chain.from_iterable(zip_longest(_oldest(refused), _oldest(old)))
    return tuple([*first, *(one for one in in_turn if one is not None)][: max(0, room)])


def _oldest(found: list[tuple[datetime, Target]]) -> list[Target]:
    return [target for _, target in sorted(found, key=lambda one: (one[0], str(one[1])))]


def _is_refused(tries: Iterable[Probe]) -> bool:
    """Whether the last try that told something was refused; one that told nothing forgets no refusal."""
    telling = [one for one in tries if one.outcome is not ProbeOutcome.INCONCLUSIVE]
    return bool(telling) and max(telling, key=lambda one: one.at).outcome is ProbeOutcome.REFUSED


def _has_settled_since(last: datetime, target: Target, at: Situation, policy: Policy) -> bool:
    """Whether the key has changed, and the change has spread, since the last try."""
    seen = at.memory.get(target.key)
    for fact, changed in (seen.changed if seen else {}).items():
        if fact.startswith("right ") or concerns(fact, target.key_version, ()):
            settled = changed + policy.propagation
            if last < settled <= at.now:
                return True
    return False


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
