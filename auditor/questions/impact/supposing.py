"""What an action on a key would do to data that registries name it for, version by version: nobody saw which it is."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from auditor.findings import Assessment, Readability
from auditor.model import AwsKey, GcpKey, Holding
from auditor.policy import Policy
from auditor.readability import KeyView, assess
from auditor.readability.claim import versions_of
from auditor.readability.table import worst

_ORDER: Final = tuple(Readability)
_CAN_BE_READ: Final = frozenset({Readability.READABLE, Readability.EXPIRING})


@dataclass(frozen=True, slots=True)
class Supposed:
    """A key before and after an action."""

    before: AwsKey | GcpKey
    after: AwsKey | GcpKey
    version: str | None
    """The one version that is acted on; None: the key as a whole."""
    policy: Policy
    now: datetime


def suppose(holding: Holding, agents: tuple[str, ...], case: Supposed) -> tuple[Assessment, Assessment] | None:
    """How data would be judged that is under what is acted on, before and after; None where nothing would change."""
    changed = [pair for pair in _pairs(holding, agents, case) if _is_worse(*pair)]
    if not changed:
        return None
    after = worst(one for _, one in changed)
    before = min((was for was, _ in changed), key=lambda one: _ORDER.index(one.readability))
    return before, replace(after, undo=tuple(dict.fromkeys(step for _, one in changed for step in one.undo)))


def _pairs(holding: Holding, agents: tuple[str, ...], case: Supposed) -> Iterator[tuple[Assessment, Assessment]]:
    numbers: tuple[str | None, ...] = (None,)
    if isinstance(case.after, GcpKey):
        numbers = (
            (case.version,)
            if case.version is not None
            else tuple(versions_of(KeyView(case.after.name, case.after, None)))
        )
    for number in numbers:
        held = replace(holding, key_version=number)
        was, would = (
            assess(held, KeyView(key.name, key, None), agents, case.policy, case.now).assessment
            for key in (case.before, case.after)
        )
        yield was, would


def _is_worse(was: Assessment, would: Assessment) -> bool:
    same = would.readability is was.readability
    return not (same or was.readability is Readability.LOST or would.readability in _CAN_BE_READ)
