"""How fast one bucket may be asked: a ceiling, and a rate below it that gives way when the cloud asks for it."""

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
