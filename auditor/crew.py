"""Processes that list shards for this one, whichever `concurrent.futures.Executor` runs them."""

import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, CancelledError, Executor, Future, wait
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from auditor.errors import AuditorError
from auditor.ports import Listed, Plan

_log = logging.getLogger(__name__)

_BREAKS: Final = 3
"""So often in a row may an executor break down before anything more is listed; then nobody asks it any more."""


@dataclass(frozen=True, slots=True)
class Done:
    """What has become of one shard."""

    number: int
    listed: Listed | None
    """None: it is not listed."""
    why: str | None
    """Why it is not."""
    answers: Mapping[tuple[str, str, str], int]
    """(service, operation, outcome) -> answers of the clouds that nobody has told yet, for whatever they came."""


Task = Callable[[Plan, int], Done]
"""Lists one shard, in another process: it goes there as a pickle, and so does what it returns."""


class Crew:
    """So many processes at most; they begin with their first shard, and end with `at_work`. Safe from many threads."""

    def __init__(self, count: int, make: Callable[[], Executor], task: Task) -> None:
        self.count = count
        self._make = make
        self._task = task
        self._lock = threading.Lock()
        self._executor: Executor | None = None
        self._is_at_work = False

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Hold what may be asked meanwhile; whoever leaves it early ends those that list still."""
        is_done = False
        self._is_at_work = True
        try:
            yield
            is_done = True
        finally:
            with self._lock:
                executor, self._executor, self._is_at_work = self._executor, None, False
            if executor is not None:
                _end(executor, at_once=not is_done)

    def each(self, plan: Plan, numbers: Iterable[int], seconds: float) -> Iterator[Done | None]:
        """Have shards listed; yield what has become of each, and None where for so many seconds nothing has.

        A shard of which nothing comes, because what runs it breaks down too often, is left out.

        Raises:
            AuditorError: as the task says, or the run has ended.
        """
        left, breaks = list(numbers), 0
        asked: dict[Future[Done], tuple[int, Executor]] = {}
        while left or asked:
            # Those that wait here wait for nobody: each of those at work has its part of the rate.
            while left and len(asked) < self.count:
                executor, number = self._at_hand(), left.pop(0)
                try:
                    asked[executor.submit(self._task, plan, number)] = number, executor
                except (BrokenExecutor, RuntimeError):
                    asked[_broken()] = number, executor
            ended, _ = wait(asked, timeout=seconds, return_when=FIRST_COMPLETED)
            if not ended:
                yield None
            for one in ended:
                number, executor = asked.pop(one)
                try:
                    done = one.result()
                except (BrokenExecutor, CancelledError) as error:
                    left.insert(0, number)
                    breaks += self._gives_up(executor, error)
                    continue
                except AuditorError:
                    raise
                except Exception as error:  # noqa: BLE001 - whatever it is, others may be listed all the same
                    done = Done(number, None, type(error).__name__, {})
                breaks = 0
                yield done
            if breaks >= _BREAKS:
                _log.debug("what lists %s has broken down %d times", plan.bucket, breaks)
                return

    def _at_hand(self) -> Executor:
        with self._lock:
            if not self._is_at_work:
                # Whoever still waits for some does so for a run that has been left.
                raise AuditorError("the run has ended")
            if self._executor is None:
                self._executor = self._make()
            return self._executor

    def _gives_up(self, executor: Executor, error: BaseException) -> bool:
        """Take another one in its place; False where somebody has done so already."""
        with self._lock:
            if self._executor is not executor:
                return False
            self._executor = None
        _log.debug("processes that list ended: %s", error)
        _end(executor, at_once=True)
        return True


def _broken() -> Future[Done]:
    found: Future[Done] = Future()
    found.set_exception(BrokenExecutor("it takes nothing any more"))
    return found


def _end(executor: Executor, *, at_once: bool) -> None:
    try:
        executor.shutdown(wait=not at_once, cancel_futures=at_once)
    except Exception as error:  # noqa: BLE001 - what is listed is listed, however those end that have listed it
        _log.debug("processes that list did not end as they were told: %s", error)
