"""Asks audit logs within the seconds that a poll can spare; what comes later is there for the next one."""

import logging
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from auditor.attribution.logged import Inquiry, Reply
from auditor.errors import ReadOnlyError, UsageError
from auditor.model import Cloud, KeyName, Reason
from auditor.ports import AuditLog

_log = logging.getLogger(__name__)

WITHIN: Final = 5.0
"""Seconds that all logs together may keep a poll waiting."""
_STALL: Final = 30.0
"""Seconds after which a log that is still being asked counts as silent; before, it may only be slow."""


@dataclass(slots=True)
class _Turn:
    """What is asked in one place; the thread that asks fills it, and stops to ask once nobody waits."""

    asked: Sequence[Inquiry]
    begun: float
    replies: dict[KeyName, Reply] = field(default_factory=dict)
    over: threading.Event = field(default_factory=threading.Event)
    done: threading.Event = field(default_factory=threading.Event)
    refused: ReadOnlyError | None = None


class Inquirer:
    """Asks poll after poll; of one thread."""

    def __init__(
        self,
        logs: Callable[[Cloud], AuditLog | None],
        *,
        within: float | None = None,
        stall: float = _STALL,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._logs = logs
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
                if not before.done.is_set():
                    self._turns[place] = before
                    continue
            if left := [one for one in group if one.key not in found]:
                begun[place] = _begin(place, logs[place], _Turn(left, self._clock()))
        until = self._clock() + self._within
        for place, turn in begun.items():
            turn.done.wait(max(0.0, until - self._clock()))
            turn.over.set()
            found.update(_taken(turn))
            if not turn.done.is_set():
                # Whoever hangs keeps nobody waiting; the client's own timeouts end it.
                self._turns[place] = turn
            if turn.refused is not None:
                raise turn.refused
        for place, turn in self._turns.items():
            if self._clock() - turn.begun >= self._stall:
                silent = (one for one in groups.get(place, ()) if one.key not in found)
                found.update({one.key: Reply(one, unread=Reason.TIMEOUT) for one in silent})
        return found


def _begin(place: str, log: AuditLog, turn: _Turn) -> _Turn:
    threading.Thread(target=_run, args=(log, turn), daemon=True, name=f"audit log {place}").start()
    return turn


def _taken(turn: _Turn) -> dict[KeyName, Reply]:
    """What came since it was looked for last; the thread may put in more meanwhile."""
    return dict(turn.replies.popitem() for _ in range(len(turn.replies)))


def _run(log: AuditLog, turn: _Turn) -> None:
    try:
        for replies in log.read(turn.asked):
            turn.replies.update({one.inquiry.key: one for one in replies})
            if turn.over.is_set():
                break
    except ReadOnlyError as error:
        turn.refused = error
    except UsageError as error:
        _log.debug("asking an audit log: %s", error)
        _fill(turn, Reason.EXPIRED_CREDENTIALS)
    except Exception:  # noqa: BLE001 - a log that breaks the auditor must not end the poll that it is asked in
        _log.debug("asking an audit log", exc_info=True)
        _fill(turn, Reason.UNSUPPORTED)
    finally:
        turn.done.set()


def _fill(turn: _Turn, reason: Reason) -> None:
    for one in turn.asked:
        turn.replies.setdefault(one.key, Reply(one, unread=reason))
