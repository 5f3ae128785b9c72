"""The thread that writes what happened to a log of one's own: the ledger is its queue, so that nothing waits for it."""

import json
import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from auditor.errors import AuditorError
from auditor.ledger.bookmark import Bookmark, BookmarkFile
from auditor.outputs import event_json
from auditor.outputs.scan_json import time as time_of
from auditor.ports import Follower, Ledger, LogSink, LogStanding, Unwritten
from auditor.telling import lines
from auditor.telling.events import Event, events_of

if TYPE_CHECKING:
    from auditor.model import Reason

_log = logging.getLogger(__name__)

_EACH: Final = 5.0
"""Seconds between two looks at the ledger."""
_WAITS: Final = (5.0, 300.0)
"""Seconds until it is tried again: at first, and at most; each is twice the one before."""
_GIVEN_UP_AFTER: Final = timedelta(days=14)
"""Logs take no entry that is older than what they keep, 30 days by default."""
_MOST: Final = 200
_MOST_BYTES: Final = 2_000_000
"""Entries, and bytes of JSON, in one request; 10 MB is the bound. Source: Cloud Logging docs, Quotas and limits."""
OUTCOMES: Final = ("written", "refused", "lost")


class Sender:
    """Writes each event once it is in the ledger, and remembers how far it got; a repeated entry has the same id."""

    def __init__(
        self,
        sink: LogSink,
        ledger: Ledger,
        marks: BookmarkFile,
        clock: Callable[[], datetime],
        *,
        ticks: Callable[[], float] = time.monotonic,
        before: "Sender | None" = None,
    ) -> None:
        """`before`: whose place it takes, and whose counts go on."""
        self._sink = sink
        self._ledger = ledger
        self._marks = marks
        self._clock = clock
        self._ticks = ticks
        self._counts: Counter[str] = before._counts if before is not None else Counter()  # noqa: SLF001 - its own kind
        self._following: Follower | None = None
        self._queue: deque[Event] = deque()
        self._at_once = _MOST
        self._wait, self._again = 0.0, 0.0
        self._unwritten: Reason | None = None
        self._told_at: datetime | None = None
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def standing(self) -> LogStanding:
        """How it is now."""
        counts = {outcome: self._counts[outcome] for outcome in OUTCOMES}
        return LogStanding(self._sink.name, counts, self._told_at, self._unwritten)

    def start(self) -> None:
        """Begin, in a thread of its own."""
        self._stopping.clear()
        self._thread = threading.Thread(target=self._run, daemon=True, name="own-log")
        self._thread.start()

    def stop(self, seconds: float) -> bool:
        """Stop, and wait so long for a request that is on its way; False where one still is."""
        self._stopping.set()
        if self._thread is None:
            return True
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self.turn()
            except AuditorError as error:
                _log.error("own log: %s%s", error, f"; {error.hint}" if error.hint else "")
                self._begin_anew()
            except Exception as error:  # noqa: BLE001 - whatever it may be, it ends no daemon
                _log.error("own log: %s", type(error).__name__)
                self._begin_anew()
            self._stopping.wait(_EACH)

    def turn(self) -> None:
        """Write all that there is, unless a fault asks to wait.

        Raises:
            LedgerError: the ledger cannot be read, or not remembered how far it was told.
        """
        if self._ticks() < self._again:
            return
        while not self._stopping.is_set():
            if not self._queue and not self._fetched():
                self._told_at = self._clock()
                return
            if not self._send():
                return
            if not self._queue:
                self._remember()

    def _fetched(self) -> bool:
        """Take in what the ledger has; False where nothing is left."""
        following = self._following = self._following or self._begin()
        while True:
            number = following.number
            turns = following.turns()
            self._queue.extend(one for turn in turns for one in events_of(turn))
            if self._queue:
                return True
            if following.number == number:
                return False

    def _begin(self) -> Follower:
        """Go on where the bookmark says; without one that is of this log and this ledger, tell all that stands."""
        mark = self._marks.read()
        if mark is None or mark.log != self._sink.name or not self._ledger.has(mark.number, mark.hash):
            mark = Bookmark(self._sink.name, *self._ledger.head(), anew=True)
            self._marks.keep(mark)
            _log.info("log %s is told all that stands, and then what happens", self._sink.name)
        return self._ledger.follow(mark.number, anew=mark.anew)

    def _begin_anew(self) -> None:
        self._following = None
        self._queue.clear()
        self._put_off()

    def _remember(self) -> None:
        if self._following is not None:
            number = self._following.number
            self._marks.keep(Bookmark(self._sink.name, number, self._ledger.hash_of(number)))

    def _send(self) -> bool:
        """Write some of the queue, as much as one request takes; False where it is to be tried again later."""
        some = self._some()
        unwritten = self._sink.write(some)
        if unwritten is None:
            self._done(len(some), "written")
            self._at_once = min(self._at_once * 2, _MOST)
            self._succeeded()
            return True
        if unwritten.for_good and len(some) > 1:
            self._at_once = len(some) // 2  # one of them is it: it must not hold up the others
            return True
        if unwritten.for_good:
            _log.error("log %s refuses entry %s for good: it is left out", self._sink.name, some[0]["insertId"])
            self._done(1, "refused")
            return True
        self._failed(unwritten)
        return False

    def _some(self) -> list[Mapping[str, Any]]:
        found: list[Mapping[str, Any]] = []
        size = 0
        for one in self._queue:
            entry = entry_of(one)
            size += len(json.dumps(entry))
            if found and (len(found) >= self._at_once or size > _MOST_BYTES):
                break
            found.append(entry)
        return found

    def _done(self, number: int, outcome: str) -> None:
        for _ in range(number):
            self._queue.popleft()
        self._counts[outcome] += number

    def _succeeded(self) -> None:
        if self._unwritten is not None:
            _log.info("log %s is written again", self._sink.name)
        self._unwritten, self._wait = None, 0.0

    def _failed(self, why: Unwritten) -> None:
        if self._unwritten is not why.reason:
            _log.warning(
                "log %s cannot be written: %s; what happens is kept in the ledger and written later; %s",
                self._sink.name,
                why.reason.replace("_", " "),
                self._sink.hint(why.reason),
            )
        self._unwritten = why.reason
        self._put_off()
        self._give_up()

    def _put_off(self) -> None:
        first, most = _WAITS
        self._wait = min(max(self._wait * 2, first), most)
        self._again = self._ticks() + self._wait

    def _give_up(self) -> None:
        """Leave out what is so old that the log would not take it any more."""
        oldest = self._clock() - _GIVEN_UP_AFTER
        old = sum(one.judged.now < oldest for one in self._queue)
        if not old:
            return
        _log.error("log %s: %d entries are older than 14 days and are given up", self._sink.name, old)
        self._queue = deque(one for one in self._queue if one.judged.now >= oldest)
        self._counts["lost"] += old
        if not self._queue:
            self._remember()


def entry_of(one: Event) -> Mapping[str, Any]:
    """An event as an entry of Cloud Logging.

    Its time is the judgement's: a call may be older than what the log takes, and the payload has its time.
    """
    return {
        "insertId": one.id,
        "timestamp": time_of(one.judged.now),
        "severity": lines.grade(one),
        "jsonPayload": {"message": event_json.clipped(lines.line(one)), **event_json.event(one)},
        "labels": {"action": one.action.value},
    }
