"""Asks audit logs within the seconds that a poll can spare; what comes later is there for the next one."""

import logging
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from auditor.attribution.logged import Inquiry, Reply
from auditor.attribution.threads import Threads
from auditor.errors import ReadOnlyError, UsageError
from auditor.model import Cloud, KeyName, Reason
from auditor.ports import AuditLog

_log = logging.getLogger(__name__)

WITHIN: Final = 5.0
"""Seconds that all logs together may keep a poll waiting."""
_STALL: Final = 30.0
"""Seconds after which a log that is still being asked counts as silent; before, it may only be slow."""


_LOOK: Final = 0.25
"""Seconds between two looks whether threads hang while others wait for one."""


@dataclass(slots=True, eq=False)
class _Turn:
    """What is asked in one place, step by step; it is over once nobody waits and what was begun is answered."""

    asked: Sequence[Inquiry]
    reading: Iterator[tuple[Reply, ...]]
    clock: Callable[[], float]
    moved: float
    """When it got on last."""
    replies: dict[KeyName, Reply] = field(default_factory=dict)
    over: threading.Event = field(default_factory=threading.Event)
    done: threading.Event = field(default_factory=threading.Event)
    refused: ReadOnlyError | None = None

    def step(self) -> bool:
        """Ask once more."""
        goes_on = self._asks()
        self.moved = self.clock()
        if not goes_on:
            self.done.set()
        return goes_on

    def _asks(self) -> bool:
        try:
            replies = next(self.reading, None)
        except ReadOnlyError as error:
            self.refused = error
        except UsageError as error:
            _log.debug("asking an audit log: %s", error)
            self._fill(Reason.EXPIRED_CREDENTIALS)
        except Exception:  # noqa: BLE001 - a log that breaks the auditor must not end the poll that it is asked in
            _log.debug("asking an audit log", exc_info=True)
            self._fill(Reason.UNSUPPORTED)
        else:
            self.replies.update({one.inquiry.key: one for one in replies or ()})
            # Without a reply it is in the middle of something.
            return replies is not None and not (replies and self.over.is_set())
        return False

    def _fill(self, reason: Reason) -> None:
        for one in self.asked:
            self.replies.setdefault(one.key, Reply(one, unread=reason))


class Inquirer:
    """Asks poll after poll; of one thread."""

    def __init__(
        self,
        logs: Callable[[Cloud], AuditLog | None],
        *,
        within: float | None = None,
        stall: float = _STALL,
        clock: Callable[[], float] = time.monotonic,
        threads: Threads | None = None,
    ) -> None:
        self._logs = logs
        self._threads = threads if threads is not None else Threads()
        self._within = WITHIN if within is None else within
        self._stall = stall
        self._clock = clock
        self._turns: dict[str, _Turn] = {}
        """Those that still hang, by their place."""

    def log_of(self, key: KeyName) -> AuditLog | None:
        """Whose word counts for a key; None where no log of its cloud is known."""
        return self._logs(key.cloud)

    def ask(self, inquiries: Iterable[Inquiry]) -> Mapping[KeyName, Reply]:
        """One reply for each key, of those that came in time; others are asked for again.

        Raises:
            ReadOnlyError: a request was about to leave that must not; nothing excuses that.
        """
        groups: defaultdict[str, list[Inquiry]] = defaultdict(list)
        logs: dict[str, AuditLog] = {}
        for one in inquiries:
            if (log := self.log_of(one.key)) is not None:
                place = f"{one.key.cloud} {log.place(one.key)}"
                groups[place].append(one)
                logs[place] = log
        found: dict[KeyName, Reply] = {}
        begun: dict[str, _Turn] = {}
        for place, group in groups.items():
            before = self._turns.pop(place, None)
            if before is not None:
                found.update(_taken(before))
                if before.refused is not None:
                    raise before.refused
                if not before.done.is_set():
                    self._turns[place] = before
                    continue
            if left := [one for one in group if one.key not in found]:
                begun[place] = _Turn(left, logs[place].read(left), self._clock, self._clock())
                self._threads.begin(begun[place])
        self._wait(begun.values())
        for place, turn in begun.items():
            turn.over.set()
            never = self._threads.drop(turn)
            found.update(_taken(turn))
            if not (never or turn.done.is_set()):
                # Whoever hangs keeps nobody waiting; the client's own timeouts end it.
                self._turns[place] = turn
            if turn.refused is not None:
                raise turn.refused
        for place, turn in self._turns.items():
            if self._clock() - turn.moved >= self._stall:
                silent = (one for one in groups.get(place, ()) if one.key not in found)
                found.update({one.key: Reply(one, unread=Reason.TIMEOUT) for one in silent})
        return found

    def _wait(self, turns: Iterable[_Turn]) -> None:
        """Wait until all are done, or the time is over."""
        until = self._clock() + self._within
        for turn in turns:
            while not turn.done.is_set() and (left := until - self._clock()) > 0:
                self._threads.staff()
                turn.done.wait(min(left, _LOOK))


def _taken(turn: _Turn) -> dict[KeyName, Reply]:
    """What came since it was looked for last; the thread may put in more meanwhile."""
    return dict(turn.replies.popitem() for _ in range(len(turn.replies)))
