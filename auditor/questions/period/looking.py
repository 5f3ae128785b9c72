"""How much of a period somebody looked at keys: by each poll, and by what each key answered."""

from collections import defaultdict, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from auditor.questions.period.answer import KeyWatch, Polls
from auditor.questions.period.stretches import NOTHING, Stretch, Stretches
from auditor.questions.period.told import KeyTold, is_set_back
from auditor.questions.period.watching import watched

_ITS_MINUTE: Final = timedelta(minutes=1)
"""As long as a poll stands that promises no other one."""
_AT_MOST: Final = timedelta(minutes=15)
"""As long as a poll stands at most: the usual `poll_max_age_minutes`, after which `poll-stale` speaks."""
_LAST: Final = 5
"""Of so many polls the middle one counts."""
_IN_TIME: Final = 1.5
"""A poll that comes after so many intervals at most has missed none."""
_OUTSIDE: Final = (_ITS_MINUTE, _IN_TIME * _ITS_MINUTE)
"""How long a poll outside of the daemon stands, and how long after it the next one has to come."""


class _Look(NamedTuple):
    """A poll, and how long it stands."""

    at: datetime
    promise: timedelta
    in_time: timedelta
    """How long after it the next one has to come."""

    def reach(self, following: datetime) -> datetime:
        """Until when it counts as looking, where the next one came at a moment."""
        if following < self.at:
            return self.at
        return following if following - self.at <= self.in_time else self.at + self.promise

    def until(self, following: datetime | None) -> datetime:
        """The same; None: no other one came."""
        return self.at + self.promise if following is None else self.reach(following)


@dataclass(slots=True)
class _Key:
    """What is known of one key."""

    tells: bool = False
    is_gone: bool = False
    needed_since: datetime | None = None
    needed: Stretches = field(default_factory=Stretches)
    silent_since: datetime | None = None
    told_last: datetime | None = None
    silent: Stretches = field(default_factory=Stretches)
    alone: Stretches = field(default_factory=Stretches)
    """When it told because a few keys were asked."""


class Looking:
    """Takes polls in, and what keys answered; tells when nobody looked.

    A poll stands until the next one where that is in time, else for as long as it promised. Each poll tells how long
    after the one before it came, and at least the interval of the config. Promised is what the middle one of the last
    polls by the same config tells: where quotas stretch all of them that is the interval, and one that comes late
    excuses nobody. No poll stands for longer than a key's state is believed.
    """

    def __init__(self, window: Stretch) -> None:
        self._window = window
        self._seen = Stretches()
        self._newest: _Look | None = None
        """The poll that was taken in last, of whatever keys."""
        self._last: _Look | None = None
        self._last_promised: _Look | None = None
        self._asked: datetime | None = None
        """When all keys were asked last, whatever they told."""
        self._stated: defaultdict[str, deque[timedelta]] = defaultdict(lambda: deque(maxlen=_LAST))
        """By each config: the intervals that its last polls told."""
        self._by_config: dict[str, tuple[timedelta, timedelta]] = {}
        """What they come to."""
        self._promised: tuple[timedelta, timedelta] | None = None
        """The shortest and the longest of all that was promised in the period."""
        self._counts = {"whole": 0, "few": 0, "silent": 0}
        self._keys: dict[str, _Key] = {}
        self._needed = self._telling = 0

    def poll(
        self, at: datetime, interval: timedelta | None, config: str, answers: Iterable[tuple[str, KeyTold]]
    ) -> None:
        """Take one poll of all keys in, with what keys answered otherwise than before."""
        promise = self._begin(at, interval, config, whole=True)
        for name, told in answers:
            self._answer(name, told, at, promise)
        self._asked = at
        self._count("whole", at)
        if self._needed and not self._telling:
            self._count("silent", at)
            return
        self._follow(self._last, at)
        if self._last_promised is not self._last:
            self._follow(self._last_promised, at)
        self._last = self._newest
        if interval is not None:
            self._last_promised = self._last

    def poll_of_a_few(
        self, at: datetime, interval: timedelta | None, config: str, answers: Iterable[tuple[str, KeyTold]]
    ) -> None:
        """Take one poll of a few keys in, with what they answered."""
        promise = self._begin(at, interval, config, whole=False)
        for name, told in answers:
            key = self._answer(name, told, at, promise)
            if key.tells:
                key.alone.add(at, at + promise)
        self._count("few", at)

    def stands(self, following: datetime | None) -> datetime:
        """Until when the newest poll stands; None: no other followed."""
        one, promised = self._newest, self._last_promised
        if one is None:
            raise AssertionError("nothing was polled yet")
        until = one.until(following)
        return until if promised is None or promised is one else max(until, promised.until(following))

    def polls(self) -> Polls:
        """How often keys were asked, and when nobody asked them."""
        seen = self._seen.within(self._window)
        return Polls(
            whole=self._counts["whole"],
            few=self._counts["few"],
            silent=self._counts["silent"],
            promised=self._promised,
            observed=seen.length,
            blind=tuple(seen.missing(self._window)),
        )

    def observed(self, one: Stretch) -> timedelta:
        """For how much of a stretch somebody looked."""
        return self._seen.length_within(one.within(self._window))

    def unobserved(self, key: str | None, one: Stretch) -> timedelta:
        """For how much of a stretch nobody looked, or a key did not tell; None: of whatever key."""
        part, seen = one.within(self._window), self._seen
        known = self._keys.get(key) if key is not None else None
        if known is None:
            return part.length - seen.length_within(part)
        return part.length - watched(seen, self._silent_of(known), known.alone, part)[0]

    def keys(self) -> Iterator[KeyWatch]:
        """How long each key was looked at that was needed, those that were least first."""
        found = [self._watch(name, key) for name, key in self._keys.items()]
        yield from sorted((one for one in found if one.needed), key=lambda one: (one.observed - one.needed, one.key))

    def _watch(self, name: str, key: _Key) -> KeyWatch:
        seen, silent = self._seen, self._silent_of(key)
        told = [(part, *watched(seen, silent, key.alone, part)) for part in self._needed_of(key)]
        return KeyWatch(
            key=name,
            needed=sum((part.length for part, _, _ in told), NOTHING),
            observed=sum((observed for _, observed, _ in told), NOTHING),
            longest_blind=max((longest for _, _, longest in told), default=NOTHING),
            silent=tuple(each for part, _, _ in told for each in silent.within(part)),
        )

    def _needed_of(self, key: _Key) -> Stretches:
        found = Stretches(key.needed.within(self._window))
        if key.needed_since is not None:
            found.add(max(key.needed_since, self._window.begin), self._window.end)
        return found

    def _silent_of(self, key: _Key) -> Stretches:
        if key.silent_since is None:
            return key.silent
        found = Stretches(key.silent)
        found.add(key.silent_since, self._window.end)
        return found

    def end(self) -> None:
        """Take in that there is no other poll: the last one stands for as long as it promised."""
        for one in (self._last, self._last_promised):
            if one is not None:
                self._seen.add(one.at, one.at + one.promise)

    def _follow(self, before: _Look | None, at: datetime) -> None:
        if before is not None:
            self._seen.add(before.at, before.reach(at))

    def _begin(self, at: datetime, interval: timedelta | None, config: str, *, whole: bool) -> timedelta:
        """Begin with a poll: how long it stands where no other one comes in time."""
        if self._newest is not None and is_set_back(self._newest.at, at):
            # How long what was seen before stands from now on nobody knows.
            self._last = self._last_promised = None
        terms = _OUTSIDE if interval is None else self._terms(interval, config, whole=whole)
        if interval is not None and self._is_in(at):
            known = self._promised or (terms[0], terms[0])
            self._promised = min(terms[0], known[0]), max(terms[0], known[1])
        self._newest = _Look(at, *terms)
        return terms[0]

    def _terms(self, interval: timedelta, config: str, *, whole: bool) -> tuple[timedelta, timedelta]:
        """How long a poll of the daemon stands, and how long after it the next one has to come."""
        stated = self._stated[config]
        # Where all told the same nothing changes by one more of them.
        if config not in self._by_config or (whole and stated.count(interval) < _LAST):
            stated.append(interval)
            promise = min(_AT_MOST, sorted(stated)[(len(stated) - 1) // 2])
            self._by_config[config] = promise, _IN_TIME * promise
        return self._by_config[config]

    def _count(self, what: str, at: datetime) -> None:
        self._counts[what] += self._is_in(at)

    def _is_in(self, at: datetime) -> bool:
        return self._window.begin <= at < self._window.end

    def _answer(self, name: str, told: KeyTold, at: datetime, promise: timedelta) -> _Key:
        key = self._keys.setdefault(name, _Key())
        was_needed, was_telling = key.needed_since is not None, key.needed_since is not None and key.tells
        if told.asked and key.needed_since is None:
            key.needed_since = at
        elif not told.asked and key.needed_since is not None:
            key.needed.add(key.needed_since, at)
            key.needed_since = None
        if told.tells:
            if key.silent_since is not None:
                if key.told_last is None or not NOTHING <= at - key.told_last <= _IN_TIME * promise:
                    key.silent.add(key.silent_since, at)
                key.silent_since = None
        elif key.silent_since is None:
            # One that was known to be gone told so by the poll before.
            key.told_last = self._asked if key.is_gone else told.last_at
            key.silent_since = key.told_last + promise if key.told_last is not None else at
        key.tells, key.is_gone = told.tells, told.is_gone
        is_needed = key.needed_since is not None
        self._needed += is_needed - was_needed
        self._telling += (is_needed and key.tells) - was_telling
        return key
