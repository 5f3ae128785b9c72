"""Listens to one feed of events: what it hints at is polled at once, and again after some minutes.

A key that is hinted at again and again is read each few seconds; its messages are not acknowledged before that.
"""

import logging
import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain
from typing import Final, Protocol, TypeVar

from auditor.daemon.loops import StoppedError, Turn, Watch
from auditor.errors import AuditorError
from auditor.feeds.silence import Ear
from auditor.feeds.storms import Storms
from auditor.model import Cloud, KeyName
from auditor.ownership.spelling import EACH_ITS_OWN, NamesOfKeys
from auditor.ports import Feed, Heard, Hint

_log = logging.getLogger(__name__)
T = TypeVar("T")

_WAIT: Final = 4.0
"""Seconds that one look waits for messages: below those that a stop waits for running turns."""
_GATHER: Final = 1.0
"""Seconds for which what comes in one go is gathered, so that it is one poll."""
_LOOKS: Final = 50
"""Looks in one go at most."""
_AGAIN: Final = (120.0, 600.0)
"""Seconds after which a key is read once more: a service may still tell the old state a while after a change."""
_LONGEST_REST: Final = 60.0
"""Seconds between two tries at most, while a feed fails."""
_POISON_EACH: Final = 3600.0
"""Seconds between two log lines about messages that nobody understands."""
_PLACES: Final = 1000
"""Locations that are told apart at most: their names are those of messages."""
NEEDED, UNNEEDED, NOTHING, POISON = "needed", "unneeded", "nothing", "poison"
OUTCOMES: Final = (NEEDED, UNNEEDED, NOTHING, POISON)
"""What becomes of messages: they hint at a key that is needed, at another one, at none, or cannot be understood."""


class Polls(Protocol):
    """Who reads keys at once."""

    def follow(self, keys: frozenset[KeyName]) -> None:
        """Read these keys now, or all where there are none, judge and keep both.

        Raises:
            AuditorError: it could not be done.
        """

    def needed(self) -> Collection[KeyName] | None:
        """All keys that data, config or registries name, as the newest poll knows them; None before the first."""


class Memory:
    """What a feed has told so far, for whoever goes on with it; safe to use from many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._messages = Counter(dict.fromkeys(OUTCOMES, 0))
        self._told: dict[str, datetime] = {}
        self._told_of: dict[tuple[str, str], datetime] = {}
        self._newest: datetime | None = None
        self._since: float | None = None
        self._answered: float | None = None
        self._fault: str | None = None

    def begin(self, ticks: float) -> None:
        """Tell that somebody listens from now on, where nobody did before."""
        with self._lock:
            self._since = ticks if self._since is None else self._since

    def answered(self, ticks: float) -> None:
        """Tell that the feed's service answered."""
        with self._lock:
            self._answered, self._fault = ticks, None

    def failed(self, why: str) -> None:
        """Tell that it did not."""
        with self._lock:
            self._fault = why

    def count(self, outcomes: Mapping[str, int]) -> None:
        """Tell what became of messages."""
        with self._lock:
            self._messages.update(outcomes)

    def note(self, hints: Iterable[Hint], owner: str, now: datetime) -> None:
        """Tell what happened when and where; nothing happens later than now."""
        with self._lock:
            for one in hints:
                at = min(one.occurred, now)
                self._newest = at if self._newest is None else max(at, self._newest)
                key = one.key
                if key is not None and key.owner == owner:
                    _latest(self._told, key.location, at)
                elif key is not None and key.cloud is Cloud.GCP and key.owner.isdigit() is not owner.isdigit():
                    _latest(self._told_of, (key.owner, key.location), at)

    def ear(self, feed: str, owner: str, now: datetime, ticks: float) -> Ear:
        """All of that as it stands now."""

        def when(moment: float | None) -> datetime | None:
            return None if moment is None else now - timedelta(seconds=ticks - moment)

        with self._lock:
            return Ear(
                feed=feed,
                owner=owner,
                since=when(self._since),
                answered=when(self._answered),
                newest=self._newest,
                told=dict(self._told),
                told_of=dict(self._told_of),
                fault=self._fault,
                messages=dict(self._messages),
            )


def _latest(told: dict[T, datetime], what: T, at: datetime) -> None:
    """Keep when something happened last; whoever writes messages cannot make it keep any number of things."""
    if what in told or len(told) < _PLACES:
        told[what] = max(at, told.get(what, at))


class Again:
    """Which keys are to be read once more, and when; None stands for all keys."""

    def __init__(self) -> None:
        self._due: dict[KeyName | None, tuple[float, ...]] = {}

    def plan(self, keys: Iterable[KeyName | None], now: float) -> None:
        """Read these again after each of the usual times; what was due sooner stays due."""
        for key in keys:
            first, *later = (now + one for one in _AGAIN)
            self._due[key] = (min((first, *self._due.get(key, ()))), *later)

    def take(self, now: float) -> frozenset[KeyName | None]:
        """Those whose time has come; that time is over then."""
        taken = frozenset(key for key, times in self._due.items() if times[0] <= now)
        for key in taken:
            if left := tuple(one for one in self._due.pop(key) if one > now):
                self._due[key] = left
        return taken

    def put_back(self, keys: Iterable[KeyName | None], now: float) -> None:
        """Let those be due at once that were taken, or came, in vain."""
        for key in keys:
            self._due[key] = (now, *self._due.get(key, ()))

    def wait(self, now: float) -> float | None:
        """Seconds until the next is due, zero where one is; None: none ever is."""
        return max(0.0, min(times[0] for times in self._due.values()) - now) if self._due else None


@dataclass(slots=True)
class _Owed:
    """What one look brought, and which keys are still to be read before it may be acknowledged."""

    heard: Heard
    keys: set[KeyName | None]
    unneeded: int
    """Hints at keys that nothing needs."""


class Listener:
    """Listens to one feed; of one thread."""

    def __init__(
        self,
        feed: Feed,
        owner: str,
        polls: Polls,
        *,
        clock: Callable[[], datetime],
        ticks: Callable[[], float],
        memory: Memory | None = None,
    ) -> None:
        """`clock`: aware, UTC, as the clouds' clocks say; `memory`: of the one whose place this one takes."""
        self._feed = feed
        self._owner = owner
        self._polls = polls
        self._clock = clock
        self._ticks = ticks
        self._again = Again()
        self._storms = Storms()
        self._owed: list[_Owed] = []
        self._told_of_poison: float | None = None
        self._needed: Collection[KeyName] = ()
        self._names = NamesOfKeys((), EACH_ITS_OWN)
        self.memory = memory or Memory()

    @property
    def loop(self) -> str:
        """How its turns are told of."""
        return f"feed {self._feed.name}"

    @property
    def name(self) -> str:
        """The feed's."""
        return self._feed.name

    def ear(self) -> Ear:
        """How it is listened to."""
        return self.memory.ear(self._feed.name, self._owner, self._clock(), self._ticks())

    def run(self, watch: Watch, stopping: threading.Event) -> None:
        """Make turn after turn until told to stop; one that fails is followed by a rest."""
        self.memory.begin(self._ticks())
        failed = 0
        while not stopping.is_set():
            failed += 1
            with Turn(watch, self.loop):
                self.turn(stopping.is_set)
                failed = 0
            if failed:
                stopping.wait(min(_LONGEST_REST, 2.0 ** min(failed, 6)))

    def turn(self, stopped: Callable[[], bool] = lambda: False) -> None:
        """Listen once, read what is hinted at or due, and only then acknowledge.

        Raises:
            AuditorError: the feed does not answer, or the keys could not be read.
        """
        fault: AuditorError | None = None
        try:
            heard = self._gather()
        except AuditorError as error:
            self.memory.failed(str(error))
            heard, fault = (), error
        self._warn(sum(one.poison for one in heard))
        self._owed.extend(map(self._owing, heard))
        self._read(stopped)
        self._acknowledge()
        if fault is not None:
            raise fault

    def _gather(self) -> tuple[Heard, ...]:
        """What comes in one go."""
        found = [self._feed.hear(self._wait())]
        self.memory.answered(self._ticks())
        until = self._ticks() + _GATHER
        while found[-1].receipts and len(found) < _LOOKS and self._ticks() < until:
            try:
                found.append(self._feed.hear(0))
            except AuditorError:
                break  # what came before must not wait for it; the next turn asks again
        return tuple(found)

    def _wait(self) -> float:
        """Seconds for which a look may wait: something may be due sooner."""
        now = self._ticks()
        due = [self._storms.due(key, now) - now for one in self._owed for key in one.keys]
        again = self._again.wait(now)
        return max(0.0, min([_WAIT, *due, *([again] if again is not None else [])]))

    def _owing(self, heard: Heard) -> _Owed:
        """The keys that are to be read for what one look brought."""
        needed = self._polls.needed()
        named = [one.key for one in heard.hints]
        if needed is None:
            return _Owed(heard, {None} if named else set(), 0)
        mine = [self._meant(key, needed) for key in named if key is not None]
        keys: set[KeyName | None] = set(chain.from_iterable(mine))
        return _Owed(heard, keys | {None} if None in named else keys, sum(not some for some in mine))

    def _meant(self, key: KeyName, needed: Collection[KeyName]) -> Collection[KeyName]:
        """Which of the keys that are needed an event may mean: logs tell a project's id, and data may tell its number.

        By a name that nothing needs a key is never read, so that nobody knows whether it is one of them.
        """
        if key in needed:
            return (key,)
        if needed is not self._needed:
            self._needed, self._names = needed, NamesOfKeys(needed, EACH_ITS_OWN)
        return self._names.others(key)

    def _read(self, stopped: Callable[[], bool]) -> None:
        """Read what may be read by now: what was hinted at, unless it was a moment ago, and what is due once more."""
        now = self._ticks()
        owed = {key for one in self._owed for key in one.keys}
        wanted = {key for key in owed if self._storms.due(key, now) <= now} | self._again.take(now)
        if not wanted:
            return
        try:
            self._follow(wanted, stopped)
        except BaseException:
            # Nothing of it is acknowledged, so that it comes again; this process goes on by itself.
            self._again.put_back(wanted | owed, self._ticks())
            self._owed.clear()
            raise
        read = owed if None in wanted else owed & wanted
        self._storms.read(read, self._ticks())
        self._again.plan(read, self._ticks())
        for one in self._owed:
            one.keys -= read

    def _acknowledge(self) -> None:
        """Let go of messages whose keys were all read since they came."""
        done = [one for one in self._owed if not one.keys]
        self._owed = [one for one in self._owed if one.keys]
        self.memory.note((hint for one in done for hint in one.heard.hints), self._owner, self._clock())
        for one in done:
            self.memory.count(_outcomes(one.heard, one.unneeded))
        for one in done:
            if one.heard.receipts:
                self._feed.handled(one.heard)

    def _follow(self, wanted: Collection[KeyName | None], stopped: Callable[[], bool]) -> None:
        if stopped():
            raise StoppedError(f"{self.loop}: its loop is ending; what came is told of again")
        named = frozenset(key for key in wanted if key is not None)
        self._polls.follow(frozenset() if None in wanted else named)

    def _warn(self, poison: int) -> None:
        """Log that there are such messages, and not each of them: whoever may write to the queue makes them."""
        now = self._ticks()
        if poison and (self._told_of_poison is None or now - self._told_of_poison >= _POISON_EACH):
            self._told_of_poison = now
            _log.warning("%s: %d messages are no events, and were set aside", self.loop, poison)


def _outcomes(heard: Heard, unneeded: int) -> Mapping[str, int]:
    hints = len(heard.hints)
    nothing = max(0, len(heard.receipts) - hints - heard.poison)
    return {NEEDED: hints - unneeded, UNNEEDED: unneeded, NOTHING: nothing, POISON: heard.poison}
