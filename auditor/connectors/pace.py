"""How fast one service may be asked: a token bucket."""

import threading
import time
from collections.abc import Callable
from typing import Final

_BURST: Final = 0.1
"""Seconds' worth of requests to one bucket that may go at once."""


class Pace:
    """Lets `rate` requests a second pass, and up to `burst` at once after a rest; safe to use from many threads."""

    def __init__(
        self,
        rate: float,
        burst: float | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._rate = rate
        self._burst = max(1.0, burst if burst is not None else rate)
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        self._tokens = self._burst
        self._at = clock()

    def wait(self) -> None:
        """Take one token; sleep until it is there. Who comes first is served first."""
        with self._lock:
            now = self._clock()
            self._tokens = min(self._burst, self._tokens + (now - self._at) * self._rate)
            self._at = now
            self._tokens -= 1
            due = -self._tokens / self._rate
        if due > 0:
            self._sleep(due)


class Paces:
    """A pace for each place whose quota is its own; safe to use from many threads."""

    def __init__(self, make: Callable[[], Pace]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._made: dict[tuple[str, ...], Pace] = {}

    def of(self, *place: str) -> Pace:
        """That of one place."""
        with self._lock:
            if place not in self._made:
                self._made[place] = self._make()
            return self._made[place]


def of_a_bucket(
    ceiling: float, clock: Callable[[], float] = time.monotonic, sleep: Callable[[float], None] = time.sleep
) -> Pace:
    """Ask one bucket no faster than that, in whatever second."""
    return Pace(ceiling, ceiling * _BURST, clock, sleep)
