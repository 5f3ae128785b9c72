"""What workers that share a path have listed of one sweep: a plan of shards for each bucket, and a folder a shard."""

import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import duckdb

from auditor import locks
from auditor.errors import BusyError
from auditor.inventory import files, notes, parts, snapshot
from auditor.inventory.folders import folder_name
from auditor.inventory.layout import Layout
from auditor.inventory.parts import Part
from auditor.inventory.unwritten import unwritten
from auditor.model import Listing, Requests
from auditor.ports import Begun, Listed, Passes, Plan, Shard

SHARED: Final = ".shared"
_PLAN: Final = "plan.json"
_LOCK: Final = ".lock"
_COLLECTING: Final = ".collecting"
_DONE: Final = "done.json"
_PATIENCE: Final = 600.0
"""Seconds in which somebody else has made a plan."""


class SharedSweeps:
    """`ports.Sharing` below the inventory's folder; any number of processes, on any number of machines that share it.

    Locks are those of files: whatever shares the path has to carry them from one machine to the others.
    """

    def __init__(self, root: Path, layouts: Mapping[str, Layout]) -> None:
        self._root = root
        self._layouts = layouts

    @contextmanager
    def planning(self, bucket: str) -> Iterator[None]:
        """Hold what nobody else may do for a bucket meanwhile: make a plan, or take one away."""
        home = self._home(bucket)
        with _written(bucket, self._root):
            files.make_folder(home, self._root)
        busy = BusyError(f"another process makes a plan for {bucket} and does not end", "look what it waits for")
        with locks.held(home / _LOCK, busy, _PATIENCE):
            yield

    def plan(self, bucket: str) -> Plan | None:
        """The plan that there is; None where there is none, none that can be read, or no folder for what it lists."""
        try:
            told = notes.read(self._home(bucket) / _PLAN)
            if told["bucket"] != bucket:
                return None
            begun = begun_in(told)
            plan = Plan(bucket, begun, tuple(_shards([str(one) for one in told["borders"]])))
        except (OSError, ValueError, KeyError, TypeError):
            return None
        # Who is killed while another one is put in its place, or whose disk is full then, has taken the folder away:
        # nobody who held on to such a plan could list anything by it.
        return plan if self._folder(plan).is_dir() else None

    def begin(self, plan: Plan) -> None:
        """Put a plan in the place of any that there was, with all that was listed by that.

        Raises:
            DiskError: it cannot be written down.
        """
        begun = plan.begun
        told = {
            "bucket": plan.bucket,
            "id": begun.id,
            "started": begun.started,
            "settings": begun.settings,
            "after": begun.after,
            "head": begun.head,
            "borders": [one.until for one in plan.shards[:-1]],
        }
        with _written(plan.bucket, self._root):
            for old in self._home(plan.bucket).iterdir():
                if old.is_dir():
                    shutil.rmtree(old, ignore_errors=True)
            self._folder(plan).mkdir(mode=0o700)
            notes.write(self._home(plan.bucket) / _PLAN, told)

    def end(self, bucket: str, sweep_id: str) -> None:
        """Forget a plan, and what was listed by it: the sweep is in force, or nobody wants it any more."""
        with self.planning(bucket):
            plan = self.plan(bucket)
            if plan is not None and plan.begun.id == sweep_id:
                (self._home(bucket) / _PLAN).unlink(missing_ok=True)
                shutil.rmtree(self._folder(plan), ignore_errors=True)

    def listed(self, plan: Plan) -> Mapping[int, Listed]:
        """What shards are listed to their ends, by their numbers."""
        found: dict[int, Listed] = {}
        for number in range(len(plan.shards)):
            try:
                told = notes.read(self._shard(plan, number) / _DONE)
                sent = Requests(**told["sent"])
                found[number] = Listed(int(told["rows"]), sent, told["markers"])
            except (OSError, ValueError, KeyError, TypeError):
                continue
        return found

    def headway(self, plan: Plan, seen: set[str]) -> tuple[int, int]:
        """How many objects are listed that `seen` has no notes of, and how many of these say no key."""
        found = [parts.rows_noted(self._shard(plan, number), seen) for number in range(len(plan.shards))]
        return sum(rows for rows, _ in found), sum(unresolved for _, unresolved in found)

    def is_untouched(self, plan: Plan) -> bool:
        """Whether nobody has begun to list any of it."""
        try:
            return not any(self._folder(plan).iterdir())
        except OSError:
            return False

    def is_at_work(self, plan: Plan) -> bool:
        """Whether somebody lists a shard of it just now."""
        return any(_is_held(self._shard(plan, number) / _LOCK) for number in range(len(plan.shards)))

    def write(
        self, plan: Plan, number: int, passes: Passes, spent: Callable[[], tuple[Requests, int | None]]
    ) -> Listed:
        """List one shard to its end; what a worker before has finished of it stays.

        `spent` tells, at the end, the requests that this took, and the delete markers that were seen.

        Raises:
            CollectError: the listing broke off.
            BusyError: another process lists it.
            LedgerError: some of it was not listed; a `DiskError` where it cannot be written down.
        """
        folder = self._shard(plan, number)
        with _written(plan.bucket, self._root):
            # Of a plan that was taken away there is no folder any more, and none is made.
            folder.mkdir(mode=0o700, exist_ok=True)
            busy = BusyError(f"another process lists shard {number} of {plan.bucket}", "wait until it has ended")
            with locks.held(folder / _LOCK, busy):
                before = self._done(plan, number)
                if before is not None:
                    return before
                began_anew = not any(folder.glob("*.json"))
                found = snapshot.write_shard(
                    folder, plan.bucket, self._layouts[plan.bucket], passes, plan.shards[number]
                )
                sent, markers = spent()
                done = Listed(sum(one.rows for one in found), sent, markers if began_anew else None)
                notes.write(folder / _DONE, {"rows": done.rows, "sent": asdict(done.sent), "markers": done.markers})
                return done

    def collecting(self, plan: Plan) -> AbstractContextManager[object]:
        """Be the one who puts all shards together.

        Raises:
            BusyError: somebody else does.
        """
        busy = BusyError(f"another process puts the sweep of {plan.bucket} together", "wait until it has ended")
        return locks.held(self._home(plan.bucket) / _COLLECTING, busy)

    def found(self, plan: Plan, listings: tuple[Listing, ...]) -> Iterator[Part]:
        """All parts of whole shards, each listing in the order of names."""
        whole = [
            snapshot.whole_shard(self._shard(plan, number), listings, shard) for number, shard in enumerate(plan.shards)
        ]
        for listing in listings:
            for each in whole:
                yield from (one for one in each if one.listing is listing)

    def _done(self, plan: Plan, number: int) -> Listed | None:
        return self.listed(plan).get(number)

    def _home(self, bucket: str) -> Path:
        return self._root / SHARED / folder_name(bucket)

    def _folder(self, plan: Plan) -> Path:
        return self._home(plan.bucket) / plan.begun.id

    def _shard(self, plan: Plan, number: int) -> Path:
        return self._folder(plan) / f"{number:06}"


def begun_in(told: Mapping[str, Any]) -> Begun:
    """The sweep that a note tells of.

    Raises:
        KeyError, TypeError, ValueError: it tells of none.
    """
    return Begun(
        str(told["id"]),
        datetime.fromisoformat(told["started"]),
        str(told["settings"]),
        int(told["after"]),
        str(told["head"]),
    )


def _shards(borders: list[str]) -> Iterator[Shard]:
    """Everything, cut at names that are in order.

    Raises:
        ValueError: they are not.
    """
    if any(one >= following for one, following in pairwise(borders)):
        raise ValueError("names in no order")
    for after, until in zip([None, *borders], [*borders, None], strict=True):
        yield Shard(after, until)


def _is_held(path: Path) -> bool:
    try:
        return locks.is_held(path)
    except OSError:
        return False


@contextmanager
def _written(bucket: str, root: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, duckdb.OperationalError) as error:
        raise unwritten(f"cannot write what is listed of {bucket}", root, error) from None
