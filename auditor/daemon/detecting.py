"""How long it took from a change of a key until a stored judgement told what follows from it."""

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from auditor.findings import Finding, Status

BOUNDS: Final = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 90.0, 300.0, 900.0, 3600.0)
"""Seconds: upper bounds of the buckets of the histogram; what took longer is in none of them."""
_LOGS_ROUND: Final = timedelta(seconds=2)
"""Logs tell whole seconds."""


@dataclass(frozen=True, slots=True)
class Latencies:
    """How often it took how long."""

    counts: tuple[int, ...] = (0,) * (len(BOUNDS) + 1)
    """One for each of `BOUNDS`, and one for what took longer."""
    total: float = 0.0
    """Seconds."""


class Detections:
    """Measures findings that opened before its eyes, once the audit log dates the change; for many threads.

    What was so already when it was first read has no latency; neither has what comes of a call long before, such as
    a deletion on its day.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._opened: dict[str, datetime] = {}
        self._counts = [0] * (len(BOUNDS) + 1)
        self._total = 0.0

    def judged(self, before: Iterable[Finding], after: Iterable[Finding], stored: datetime) -> None:
        """Take what a judgement that was stored then tells; `stored`: aware, UTC, by the clouds' clocks."""
        known = {one.id for one in before if one.status is not Status.RESOLVED}
        standing = {one.id: one for one in after if one.status is not Status.RESOLVED}
        with self._lock:
            self._opened.update((name, stored) for name in standing.keys() - known)
            for name in self._opened.keys() - standing.keys():
                del self._opened[name]
            for name, opened in _dated(self._opened, standing):
                self._observe((self._opened.pop(name) - opened).total_seconds())

    def latencies(self) -> Latencies:
        """All of them so far."""
        with self._lock:
            return Latencies(tuple(self._counts), self._total)

    def _observe(self, seconds: float) -> None:
        took = max(0.0, seconds)
        place = next((place for place, bound in enumerate(BOUNDS) if took <= bound), len(BOUNDS))
        self._counts[place] += 1
        self._total += took


def _dated(opened: Mapping[str, datetime], standing: Mapping[str, Finding]) -> tuple[tuple[str, datetime], ...]:
    """Those of which the log tells by now when the change was that was seen happening."""
    return tuple(
        (name, one.actor.time)
        for name, one in standing.items()
        if name in opened
        and one.actor is not None
        and one.sought is not None
        and one.sought.after is not None
        and one.actor.time >= one.sought.after - _LOGS_ROUND
    )
