"""How fast one bucket may be asked: a ceiling, and a rate below it that gives way when the cloud asks for it."""

from collections.abc import Collection, Iterable
from typing import Final

_GIVE_WAY: Final = 0.5
_RECOVERY: Final = 40.0
"""Seconds from standing still to the ceiling, if nothing is refused meanwhile."""
_ONE_EVENT: Final = 1.0
"""Seconds within which refusals count as one: they all answer requests of the same moment."""
_SLOWEST: Final = 1.0
"""Requests a second that are always tried."""
_BURST: Final = 0.1
"""Seconds' worth of requests that may go at once."""
_TOGETHER: Final = 2.0
"""Seconds within which refusals under two prefixes mean the bucket."""


class Throttle:
    """Additive increase, multiplicative decrease; of one thread, told the time by its caller."""

    def __init__(self, ceiling: float, now: float) -> None:
        self._ceiling = ceiling
        self._rate = ceiling
        self._at = now
        self._tokens = max(1.0, ceiling * _BURST)
        self._slowed = now - _ONE_EVENT

    @property
    def rate(self) -> float:
        """Requests a second, as they are let through now."""
        return self._rate

    def room(self, now: float) -> int:
        """How many requests may leave now."""
        passed = max(0.0, now - self._at)
        self._at = now
        if now - self._slowed >= _ONE_EVENT:
            self._rate = min(self._ceiling, self._rate + passed * self._ceiling / _RECOVERY)
        self._tokens = min(max(1.0, self._rate * _BURST), self._tokens + passed * self._rate)
        return int(self._tokens)

    def took(self, requests: int) -> None:
        """So many have left."""
        self._tokens -= requests

    def wait(self) -> float:
        """Seconds until the next request may leave."""
        return max(0.0, 1.0 - self._tokens) / self._rate

    def refused(self, now: float) -> None:
        """The cloud asked to slow down."""
        if now - self._slowed < _ONE_EVENT:
            return
        self._slowed = now
        self._rate = max(min(_SLOWEST, self._ceiling), self._rate * _GIVE_WAY)
        self._tokens = min(self._tokens, 0.0)


class Prefixes:
    """The prefixes of one bucket that gave way, each with a rate of its own below the bucket's.

    A service splits a bucket by prefix, so that one may be asked too often while the others are not.
    """

    def __init__(self, ceiling: float) -> None:
        self._ceiling = ceiling
        self._slow: dict[str, Throttle] = {}
        self._refused: dict[str, float] = {}
        self._looked = 0.0

    def __contains__(self, prefix: str) -> bool:
        """Whether a prefix has a rate of its own."""
        return prefix in self._slow

    def __bool__(self) -> bool:
        """Whether any has."""
        return bool(self._slow)

    def refused(self, prefix: str, now: float) -> bool:
        """The cloud asked to slow down under a prefix; tell whether it means the whole bucket."""
        throttle = self._slow.get(prefix)
        if throttle is None:
            throttle = self._slow[prefix] = Throttle(self._ceiling, now)
        throttle.refused(now)
        self._refused[prefix] = now
        return any(now - at < _TOGETHER for other, at in self._refused.items() if other != prefix)

    def room(self, prefix: str, now: float) -> int:
        """How many requests under a prefix may leave now."""
        return self._slow[prefix].room(now)

    def took(self, prefix: str) -> None:
        """One under a prefix has left."""
        if (throttle := self._slow.get(prefix)) is not None:
            throttle.took(1)

    def wait(self, prefixes: Iterable[str]) -> float:
        """Seconds until the next request under one of these may leave."""
        return min((self._slow[one].wait() for one in prefixes), default=_TOGETHER)

    def forget(self, waiting: Collection[str], now: float) -> None:
        """Let go of prefixes that are as fast as the bucket again, but of those under which requests wait."""
        if now - self._looked < _ONE_EVENT:
            return
        self._looked = now
        for prefix, throttle in list(self._slow.items()):
            throttle.room(now)
            if throttle.rate >= self._ceiling and prefix not in waiting:
                del self._slow[prefix], self._refused[prefix]
