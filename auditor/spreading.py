"""One sweep that is the work of several processes: who makes its plan, what each of them lists, who ends it."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import Final

from auditor.attempting import Attempt, Lent, Told, anew, lent
from auditor.errors import BusyError, CollectError, LedgerError
from auditor.model import Reason, Requests, Sweep
from auditor.ports import Begun, Listed, ObjectSource, Passes, Plan, Shard
from auditor.run import Headway, Parts, Progress
from auditor.sweeping import sweep_all

_SHARDS_EACH: Final = 4
"""So many shards for each worker: one that has small ones does more of them, and a killed one loses little."""
_LONGEST: Final = timedelta(hours=24)
"""What was listed by a plan that is older tells of a time that is too long ago."""
_APART: Final = timedelta(minutes=10)
"""So far ahead may the clock be of whoever made a plan: those of several machines are never quite the same."""


@dataclass(frozen=True, slots=True)
class Share:
    """Which part of the work one of several workers does."""

    index: int
    count: int

    def of(self, plan: Plan) -> Iterator[int]:
        """The numbers of its shards."""
        return (number for number in range(len(plan.shards)) if number % self.count == self.index)


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
class Work:
    """What has become of one worker's share of a sweep."""

    plan: Plan
    mine: Mapping[int, Listed]
    """Its shards that are listed, by number."""
    failed: Mapping[int, CollectError | LedgerError]
    """Its shards that are not, and why."""
    lacking: tuple[int, ...]
    """Those of all workers that are not listed yet."""
    sweep: Sweep | None = None
    """What all shards together have become, where it was this worker who put them together."""


def work(parts: Parts, source: ObjectSource, share: Share, progress: Progress) -> Work:
    """List one worker's share of a bucket; whoever is the last puts all shards together and publishes the sweep.

    Raises:
        CollectError: a page that a plan needs could not be read.
        LedgerError: the ledger or the inventory can be neither read nor written.
        BusyError: others list it by another config.
    """
    plan = joined(parts, source, share.count)
    mine, failed = list_shards(parts, source, plan, share.of(plan), progress)
    listed = parts.inventory.sharing.listed(plan)
    if not _is_there(parts, plan):
        # It has gone meanwhile: somebody else has put all shards together, or begun anew.
        return Work(plan, mine, failed, ())
    lacking = tuple(one for one in range(len(plan.shards)) if one not in listed)
    sweep = _collected(parts, source, plan, progress) if not lacking else None
    return Work(plan, mine, failed, lacking, sweep)


def _is_there(parts: Parts, plan: Plan) -> bool:
    there = parts.inventory.sharing.plan(plan.bucket)
    return there is not None and there.begun.id == plan.begun.id


def _collected(parts: Parts, source: ObjectSource, plan: Plan, progress: Progress) -> Sweep | None:
    """Put all shards together and publish the sweep; None where another worker does."""
    sharing = parts.inventory.sharing
    try:
        with sharing.collecting(plan):
            if not _is_there(parts, plan):
                return None
            begun = parts.inventory.gather(plan, source.listings)
            sweep_all(parts, progress, frozenset({source.url}), {source.url: begun})
    except BusyError:
        return None
    known = (*parts.ledger.failed_attempts(), *parts.ledger.sweeps())
    return next((one for one in known if one.bucket == plan.bucket and one.id == plan.begun.id), None)


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
