"""`scan --index`: one worker's share of the sweeps, which together are listed by as many as there are."""

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from auditor import working
from auditor.commands.answering import assembled, place_for, writing
from auditor.commands.judging import configured
from auditor.errors import CollectError, LedgerError, UsageError
from auditor.log import visible
from auditor.outputs.words import counted
from auditor.ownership.registering import ready
from auditor.ports import ObjectSource
from auditor.progress import progress_on
from auditor.run import Parts, Progress
from auditor.warehouse.reported import Reported
from auditor.warehouse.source import AddedUp
from auditor.working import Share, Work

_MOST: Final = 10_000
_NAMED: Final = 10
"""Shards that a line names, at most."""


def share_of(index: int | None, count: int | None) -> Share | None:
    """Which worker of how many this is; None where it is the only one.

    Raises:
        UsageError: half of it is given, or it is none of them.
    """
    if index is None and count is None:
        return None
    if index is None or count is None:
        raise UsageError("--index and --count go together", "write --index 0 --count 4 for the first of four workers")
    if not 1 <= count <= _MOST:
        raise UsageError(f"--count is from 1 to {_MOST:,}, not {count}", "it is the same for all workers")
    if not 0 <= index < count:
        raise UsageError(f"--index is from 0 to {count - 1}, not {index}", "the first of four workers has --index 0")
    return Share(index, count)


def work_once(path: Path, share: Share, buckets: list[str], *, quiet: bool, verbose: bool, by_sdk: bool = False) -> int:
    """List one worker's shards of the buckets (an empty list for all); print what has become of them.

    0 where each of its shards is listed, and each sweep in force that it put together; else 3: it is to be run again.
    """
    place_for(None)
    with assembled(path, verbose=verbose, by_sdk=by_sdk, workers=share.count) as (config, assembly):
        parts = assembly.parts
        chosen = configured(config, buckets)
        sources = [one for one in parts.sources if not chosen or one.url in chosen]
        if not sources:
            raise UsageError("there is no [[bucket]] to be listed", "without --index registries are asked alone")
        ready(parts)
        is_whole = True
        with progress_on(sys.stderr, quiet=quiet) as progress:
            for source in sources:
                told, is_well = _worked(parts, source, share, progress)
                is_whole &= is_well
                with writing(None) as out:
                    out.writelines(f"{line}\n" for line in told)
    return 0 if is_whole else 3


def _worked(parts: Parts, source: ObjectSource, share: Share, progress: Progress) -> tuple[list[str], bool]:
    if isinstance(source, AddedUp):
        return [f"{source.url}: nothing is listed of it; `cmek-auditor scan` takes in what a warehouse says"], True
    if isinstance(source, Reported):
        return [f"{source.url}: nothing is listed of it; `cmek-auditor scan` takes its report of S3 Inventory"], True
    try:
        done = working.work(parts, source, share, progress)
    except (CollectError, LedgerError) as error:
        # One bucket that cannot be listed stops no other.
        return [f"{source.url}: {_why(error)}"], False
    return list(_told(done)), not done.failed and (done.sweep is None or done.sweep.complete)


def _told(work: Work) -> Iterator[str]:
    bucket, of = work.plan.bucket, counted(len(work.plan.shards), "shard")
    rows = counted(sum(one.rows for one in work.mine.values()), "object")
    yield f"{bucket}: {len(work.mine)} of {of} listed by this worker, {rows}"
    for number, error in work.failed.items():
        yield f"  not listed: shard {number}: {_why(error)}"
    if work.sweep is not None and work.sweep.complete:
        yield f"  all {of} are listed, {counted(work.sweep.listed, 'object')}: the next poll judges by them"
    elif work.sweep is not None:
        yield f"  all {of} are listed, and the sweep failed: {visible(work.sweep.gaps[-1].effect)}"
    elif work.lacking:
        yield f"  still lacking of all workers: {_numbers(work.lacking)}"
    elif not work.failed:
        yield f"  all {of} are listed; another worker puts them together"


def _numbers(some: Iterable[int]) -> str:
    every = [str(one) for one in some]
    more = f" and {len(every) - _NAMED:,} more" if len(every) > _NAMED else ""
    return f"{'shard' if len(every) == 1 else 'shards'} {', '.join(every[:_NAMED])}{more}"


def _why(error: CollectError | LedgerError) -> str:
    return visible(f"{error}; {error.hint}" if error.hint else str(error))
