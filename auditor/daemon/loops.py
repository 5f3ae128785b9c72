"""What the daemon knows of its loops: how long a turn runs, how the last ones ended, whether the clock was set."""

import logging
import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from auditor.errors import AuditorError

_log = logging.getLogger(__name__)

_FAILING_FROM: Final = 3
"""Failed turns in a row: one or two may be a lock that was held for long."""
_JUMP: Final = timedelta(seconds=5)
"""What no clock drifts between two looks of a second each."""


_OF_POLLS: Final = frozenset({"kms", "cloudkms"})
"""Services that polls ask, and sweeps and feeds do not; a feed may read an audit log, for which polls have seconds."""
_OF_PROBES: Final = frozenset({"Decrypt", "GenerateDataKey", "GenerateDataKeyWithoutPlaintext", "VerifyConnectivity"})
"""Operations of those services that are not a poll's."""


def answers_of_polls(counts: Mapping[tuple[str, str, str], int]) -> int:
    """How many answers polls have had; `counts`: (service, operation, outcome) -> answers."""
    return sum(
        count
        for (service, operation, _), count in counts.items()
        if service in _OF_POLLS and operation not in _OF_PROBES
    )


class StoppedError(AuditorError):
    """The daemon is ending, so a sweep breaks off; the last whole one stays in force."""


@dataclass(frozen=True, slots=True)
class Fault:
    """That a loop's turns fail."""

    turns: int
    """How many failed, one after the other, until now."""
    why: str
    """What the last one failed of."""


@dataclass(frozen=True, slots=True)
class Health:
    """How turns ended until other loops took the place of theirs."""

    succeeded: Mapping[str, float] = field(default_factory=dict)
    """Loop -> when a turn ended well last, by the clock of the loops; before the first, since when it was tried."""
    failed: Mapping[str, Fault] = field(default_factory=dict)


class Watch:
    """When each loop began its present turn, and how its last turns ended; by a clock that nobody sets."""

    def __init__(self, ticks: Callable[[], float], before: Health | None = None) -> None:
        """`before`: of loops whose place these take."""
        before = before or Health()
        self._ticks = ticks
        self._started = ticks()
        self._is_started = False
        self._began: dict[str, float] = {}
        self._succeeded = dict(before.succeeded)
        self._failed = dict(before.failed)
        self._late: set[str] = set()
        self._told_late: set[str] = set()
        self._lock = threading.Lock()

    def start(self) -> None:
        """Tell that turns are made from now on: for however long nobody wanted any, none was missed."""
        with self._lock:
            self._started, self._is_started = self._ticks(), True

    def health(self, loops: Collection[str]) -> Health:
        """What those that take the place of these loops go on with: of turns that nobody wanted yet, nothing."""
        with self._lock:
            since = {**(dict.fromkeys(loops, self._started) if self._is_started else {}), **self._succeeded}
            return Health({loop: since[loop] for loop in loops if loop in since}, dict(self._failed))

    def begin(self, loop: str) -> None:
        """Tell that a turn begins."""
        with self._lock:
            self._began[loop] = self._ticks()
            self._late.discard(loop)

    def moves(self, loop: str) -> None:
        """Tell that a turn is not hung, though that is no success yet."""
        with self._lock:
            if loop in self._began:
                self._began[loop] = self._ticks()

    def is_late(self, loop: str) -> bool:
        """Take note that a turn runs when the next one is due; tell whether that is news.

        It is none until a turn has ended in time again.
        """
        with self._lock:
            self._late.add(loop)
            is_new = loop not in self._told_late
            self._told_late.add(loop)
        return is_new

    def get_on(self, loop: str) -> None:
        """Tell that a turn is not hung: its time counts anew. Between two turns there is nothing to count."""
        with self._lock:
            if loop in self._began:
                self._began[loop] = self._succeeded[loop] = self._ticks()

    def end(self, loop: str, why: str | None = None) -> None:
        """Tell that a turn ended; `why`: it failed, and for that reason."""
        with self._lock:
            self._began.pop(loop, None)
            if loop not in self._late:
                self._told_late.discard(loop)
            before = self._failed.pop(loop, None)
            if why is None:
                self._succeeded[loop] = self._ticks()
            else:
                self._failed[loop] = Fault(before.turns + 1 if before is not None else 1, why)

    def break_off(self, loop: str) -> None:
        """Tell that a turn ended neither well nor badly."""
        with self._lock:
            self._began.pop(loop, None)

    def running_for(self, loop: str) -> timedelta:
        """How long the present turn runs; zero between two turns."""
        with self._lock:
            began = self._began.get(loop)
        return timedelta(seconds=self._ticks() - began) if began is not None else timedelta(0)

    def since_success(self, loop: str) -> timedelta:
        """How long ago a turn ended well or got on; before the first, how long turns are made."""
        with self._lock:
            return timedelta(seconds=self._ticks() - self._succeeded.get(loop, self._started))

    def failing(self, loop: str) -> bool:
        """Whether the last turns all failed."""
        fault = self.faults().get(loop)
        return fault is not None and fault.turns >= _FAILING_FROM

    def faults(self) -> Mapping[str, Fault]:
        """The loops whose last turn failed."""
        with self._lock:
            return dict(self._failed)


class Turn:
    """One turn of a loop: it is timed, and whatever it raises is logged and ends the turn, not the loop."""

    def __init__(self, watch: Watch, loop: str) -> None:
        self._watch = watch
        self._loop = loop

    def __enter__(self) -> None:
        self._watch.begin(self._loop)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _trace: object) -> bool:
        if isinstance(error, StoppedError):
            self._watch.break_off(self._loop)
            _log.info("%s", error)
            return True
        why = _why(error) if error is not None else None
        self._watch.end(self._loop, why)
        if why is not None:
            _log.error("%s failed: %s", self._loop, why)
        return isinstance(error, Exception)


def _why(error: BaseException) -> str:
    if isinstance(error, AuditorError):
        return f"{error}; {error.hint}" if error.hint else str(error)
    return f"{type(error).__name__}: {error}"


class WallClock:
    """Notices that the wall clock was set; slow drift and slewing are none of its business."""

    def __init__(self, wall: Callable[[], datetime], ticks: Callable[[], float]) -> None:
        self._wall = wall
        self._ticks = ticks
        self._ahead = self._difference()

    def jumped(self) -> timedelta:
        """How far it was set since the last look, below zero when back; zero when it was not."""
        before, self._ahead = self._ahead, self._difference()
        jump = timedelta(seconds=self._ahead - before)
        return jump if abs(jump) > _JUMP else timedelta(0)

    def _difference(self) -> float:
        return self._wall().timestamp() - self._ticks()
