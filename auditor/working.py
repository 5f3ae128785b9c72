"""One worker of several that list a sweep together: what it lists, and who puts all of it together."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from auditor.errors import BusyError, CollectError, LedgerError
from auditor.model import Sweep
from auditor.ports import Listed, ObjectSource, Plan
from auditor.run import Parts, Progress
from auditor.spreading import is_there, joined, list_shards
from auditor.sweeping import sweep_all


@dataclass(frozen=True, slots=True)
class Share:
    """Which part of the work one of several workers does."""

    index: int
    count: int

    def of(self, plan: Plan) -> Iterator[int]:
        """The numbers of its shards."""
        return (number for number in range(len(plan.shards)) if number % self.count == self.index)


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
    if not is_there(parts, plan):
        # It has gone meanwhile: somebody else has put all shards together, or begun anew.
        return Work(plan, mine, failed, ())
    lacking = tuple(one for one in range(len(plan.shards)) if one not in listed)
    sweep = _collected(parts, source, plan, progress) if not lacking else None
    return Work(plan, mine, failed, lacking, sweep)


def _collected(parts: Parts, source: ObjectSource, plan: Plan, progress: Progress) -> Sweep | None:
    """Put all shards together and publish the sweep; None where another worker does."""
    sharing = parts.inventory.sharing
    try:
        with sharing.collecting(plan):
            if not is_there(parts, plan):
                return None
            begun = parts.inventory.gather(plan, source.listings)
            sweep_all(parts, progress, frozenset({source.url}), {source.url: begun})
    except BusyError:
        return None
    known = (*parts.ledger.failed_attempts(), *parts.ledger.sweeps())
    return next((one for one in known if one.bucket == plan.bucket and one.id == plan.begun.id), None)
