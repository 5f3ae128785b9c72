"""One sweep that is the work of several processes: its plan, the shards of it that each lists, and how they meet."""

import logging
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import Final

from auditor.attempting import Attempt, Lent, Told, anew, lent
from auditor.crew import Crew, Done
from auditor.errors import AuditorError, BusyError, CollectError, LedgerError
from auditor.model import Reason, Requests
from auditor.plurals import counted
from auditor.ports import Begun, Listed, ObjectSource, Passes, Plan, Shard
from auditor.run import Headway, Parts, Progress

_log = logging.getLogger(__name__)

_WORTH: Final = 100_000
"""Objects that a bucket has at least that several processes list: with fewer, one has ended when others have begun."""
_LOOK: Final = 1.0
"""Seconds after which it is looked how far others have got."""
_SHARDS_EACH: Final = 4
"""So many shards for each worker: one that has small ones does more of them, and a killed one loses little."""
_LONGEST: Final = timedelta(hours=24)
"""What was listed by a plan that is older tells of a time that is too long ago."""
_APART: Final = timedelta(minutes=10)
"""So far ahead may the clock be of whoever made a plan: those of several machines are never quite the same."""


def joined(parts: Parts, source: ObjectSource, count: int) -> Plan:
    """Find the sweep of a bucket that others have begun, or begin one for so many workers.

    Raises:
        CollectError: a page that a plan needs could not be read.
        LedgerError: the ledger cannot be read, or nothing can be written where all workers see it.
        BusyError: others list it by another config.
    """
    sharing = parts.inventory.sharing
    with sharing.planning(source.url):
        fresh = anew(parts, source)
        before = sharing.plan(source.url)
        if before is not None:
            if _is_of_today(parts, before, fresh) and before.begun.settings == fresh.settings:
                if fresh.started - before.begun.started <= _APART or not sharing.is_untouched(before):
                    return before
                # Whoever came late to the sweep before has made it, and nobody has listed anything since: what is
                # listed from now on is of now.
                begun_now = replace(before, begun=fresh)
                sharing.begin(begun_now)
                return begun_now
            if before.begun.settings != fresh.settings and sharing.is_at_work(before):
                raise BusyError(
                    f"workers with another config, version or client list {source.url} just now",
                    "wait until they have ended, or end them: all workers of a sweep have one config",
                )
        plan = Plan(source.url, fresh, _shards(parts, source, count))
        sharing.begin(plan)
        return plan


def _is_of_today(parts: Parts, plan: Plan, fresh: Begun) -> bool:
    """Whether what is listed by a plan is worth having still: a sweep that is in force, or a later one, has it all."""
    begun = plan.begun
    if not -_APART <= fresh.started - begun.started <= _LONGEST or not parts.ledger.has(begun.after, begun.head):
        return False
    in_force = (one for one in parts.ledger.sweeps() if one.bucket == plan.bucket)
    return all(one.id != begun.id and (one.after, one.started) < (begun.after, begun.started) for one in in_force)


def _shards(parts: Parts, source: ObjectSource, count: int) -> tuple[Shard, ...]:
    in_force = next((one for one in parts.ledger.sweeps() if one.bucket == source.url), None)
    known = parts.inventory.borders(in_force) if in_force is not None else ()
    borders = sorted(set(source.borders(count * _SHARDS_EACH, known))) if count > 1 else []
    return tuple(Shard(after, until) for after, until in zip([None, *borders], [*borders, None], strict=True))


@dataclass(frozen=True, slots=True)
class Spread:
    """What other processes have made of a sweep."""

    begun: Begun | None
    """What is gone on with; None: somebody else has put it together meanwhile, and published it."""
    is_new: bool
    """Some of it was listed now; else whoever listed it could not publish it."""


def spread(
    parts: Parts, source: ObjectSource, progress: Progress, expected: int | None, held: ExitStack
) -> Spread | None:
    """Have the crew list a bucket that is worth it; None: this process is to list it, or what cannot be told else.

    Whatever fails here fails again there, is told there, or does not matter: what is listed is gone on with. `held`:
    for so long nobody else puts these shards together.

    Raises:
        AuditorError: the run is to end.
    """
    crew = parts.crew
    if crew is None or (expected is not None and expected < _WORTH):
        return None
    try:
        plan = joined(parts, source, crew.count)
        if len(plan.shards) == 1:
            parts.inventory.sharing.end(plan.bucket, plan.begun.id)
            return None
        is_new = _list_by(parts, crew, plan, progress, expected)
        if not _is_ours(parts, plan, held):
            return Spread(None, is_new)
        return Spread(parts.inventory.gather(plan, source.listings), is_new)
    except (CollectError, LedgerError) as error:
        _log.debug("shards of %s: %s", source.url, error)
    except AuditorError:
        raise
    except Exception as error:  # noqa: BLE001 - one process alone may do well what several do not
        _log.warning("no other process lists %s, and this one does: %s: %s", source.url, type(error).__name__, error)
    return None


def _list_by(parts: Parts, crew: Crew, plan: Plan, progress: Progress, expected: int | None) -> bool:
    """Have a crew list what lacks of a plan; whether anything lacked.

    What other processes list meanwhile is waited for.
    """
    sharing = parts.inventory.sharing
    told = _Told(parts, plan, progress, expected)
    lacking = lacked = told.lacking()
    while lacking:
        for done in crew.each(plan, lacking, _LOOK):
            told.look(done)
        lacking = told.lacking()
        is_too_old = parts.clock() - plan.begun.started > _LONGEST
        if is_too_old or not (is_there(parts, plan) and sharing.is_at_work(plan)):
            break
        time.sleep(_LOOK)
    if lacking and is_there(parts, plan):
        why = f"{len(lacking)} of {counted(len(plan.shards), 'shard')} of {plan.bucket}"
        _log.warning("no other process lists %s, and this one does: %s", why, told.why or "they ended by themselves")
    return bool(lacked)


class _Told:
    """How far the shards of a plan have got, for whoever is told."""

    def __init__(self, parts: Parts, plan: Plan, progress: Progress, expected: int | None) -> None:
        self._parts = parts
        self._plan = plan
        self._progress = progress
        self._seen: set[str] = set()
        self.why: str | None = None
        """Why the last shard was not listed of which that is known."""
        self._done = dict(parts.inventory.sharing.listed(plan))
        kept, unresolved = parts.inventory.sharing.headway(plan, self._seen)
        self._at = Headway(plan.bucket, kept, kept, unresolved, 0, expected, (len(self._done), len(plan.shards)))
        progress.sweeping(self._at)

    def lacking(self) -> list[int]:
        """The shards that nobody has listed yet."""
        self._done = dict(self._parts.inventory.sharing.listed(self._plan))
        return [one for one in range(len(self._plan.shards)) if one not in self._done]

    def look(self, done: Done | None) -> None:
        """Tell what there is by now; `done` is what has become of a shard, None of none."""
        if done is not None:
            self._parts.heard(done.answers)
            if done.listed is not None:
                self._done[done.number] = done.listed
            else:
                self.why = done.why
        rows, unresolved = self._parts.inventory.sharing.headway(self._plan, self._seen)
        # That time passes is no headway: whoever watches over a run that hangs is not to be told of it.
        if done is not None or rows:
            at = self._at
            self._at = replace(
                at,
                listed=at.listed + rows,
                unresolved=at.unresolved + unresolved,
                requests=sum(one.sent.total for one in self._done.values()),
                shards=(len(self._done), len(self._plan.shards)),
            )
            self._progress.sweeping(self._at)


def _is_ours(parts: Parts, plan: Plan, held: ExitStack) -> bool:
    """Wait until nobody else puts the shards together; whether that is left to be done."""
    while True:
        try:
            held.enter_context(parts.inventory.sharing.collecting(plan))
        except BusyError:
            if not is_there(parts, plan):
                return False
            time.sleep(_LOOK)
        else:
            return is_there(parts, plan)


def is_there(parts: Parts, plan: Plan) -> bool:
    """Whether a plan is there still: where it has gone, somebody has put its shards together, or has begun anew."""
    there = parts.inventory.sharing.plan(plan.bucket)
    return there is not None and there.begun.id == plan.begun.id


def list_shards(
    parts: Parts, source: ObjectSource, plan: Plan, numbers: Iterable[int], progress: Progress
) -> tuple[dict[int, Listed], dict[int, CollectError | LedgerError]]:
    """List some shards of a plan, one after the other; tell which are listed, and which are not and why.

    What is listed already is not listed again.
    """
    chosen = list(numbers)
    done = parts.inventory.sharing.listed(plan)
    mine = {one: done[one] for one in chosen if one in done}
    left = [one for one in chosen if one not in done]
    failed: dict[int, CollectError | LedgerError] = {}
    if left:
        # Whether a bucket keeps what is deleted decides over what may be answered behind a name.
        source.facts()
    passes = partial(_passes, parts, source, plan, progress)
    for number in left:
        try:
            mine[number] = _list_shard(parts, source, plan, number, passes)
        except (CollectError, LedgerError) as error:
            failed[number] = error
    return mine, failed


def _list_shard(
    parts: Parts, source: ObjectSource, plan: Plan, number: int, passes: Callable[[Lent | None], Passes]
) -> Listed:
    """List one, once more without comparing bytes where these may be what was at fault."""
    sharing = parts.inventory.sharing
    before = parts.sent(source.url)

    def spent() -> tuple[Requests, int | None]:
        return parts.sent(source.url) - before, source.markers

    known = lent(parts, source)
    try:
        return sharing.write(plan, number, passes(known), spent)
    except CollectError as error:
        if error.reason is not Reason.MALFORMED or known is None or not known.offered:
            raise
    return sharing.write(plan, number, passes(lent(parts, source, in_bytes=False)), spent)


def _passes(parts: Parts, source: ObjectSource, plan: Plan, progress: Progress, known: Lent | None) -> Passes:
    at = Headway(source.url, 0, 0, 0, 0, None)
    return Told(source, progress, at, Attempt(plan.begun, known), lambda: parts.sent(source.url))
