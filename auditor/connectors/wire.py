"""What every request passes through on its way to a cloud: the read-only table, the count, the clock."""

import threading
import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from statistics import median
from typing import Any, Final

from auditor import readonly
from auditor.model import Requests

_SAMPLES = 128
_OUTCOMES: Final = 20
"""Outcomes of one operation that are told apart: whoever answers in a cloud's place may write a new one each time."""
OTHER: Final = "other"
_JUMP = 2.0
"""Seconds by which our clock may part from the time that passed between two answers."""
LISTS: Final = frozenset(
    {"ListObjectsV2", "ListObjectVersions", "ListMultipartUploads", "objects.list", "multipartUploads.list"}
)
HEADS: Final = frozenset({"HeadObject"})
PROBES: Final = frozenset({"GetObject", "objects.get"})
"""Operations of sweeps by what they are billed as, and those that no sweep makes."""


def _passed() -> float:
    """Seconds that go on whatever is done to the clock, where the system can tell even while it sleeps."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class Wire:
    """One per process; safe to use from many threads.

    Connectors call `allow` before a request leaves and `answered` after it came back.
    """

    def __init__(self, clock: Callable[[], datetime], passed: Callable[[], float] = _passed) -> None:
        self._clock = clock
        self._passed = passed
        self._set: float | None = None
        self._lock = threading.Lock()
        self._counts: Counter[tuple[str, str, str]] = Counter()
        self._outcomes: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
        self._about: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._skews: deque[timedelta] = deque(maxlen=_SAMPLES)

    def allow(
        self, service: str, operation: str, params: Mapping[str, Any], feeds: Collection[str] = frozenset()
    ) -> None:
        """Let a read-only request pass, or one that acknowledges what came from one of the `feeds`.

        Raises:
            ReadOnlyError: it is not in the table; nothing may be sent.
        """
        readonly.check(service, operation, params, feeds)

    def answered(
        self,
        service: str,
        operation: str,
        outcome: str,
        date: str | None = None,
        *,
        number: int = 1,
        bucket: str | None = None,
    ) -> None:
        """Count answers, one or a `number`.

        `outcome` is `ok` or the service's error code, counted as `other` where there were too many; `date` a Date
        header, `bucket` the URL of the bucket that the request named.
        """
        skew = self._skew_of(date)
        with self._lock:
            self._counts[service, operation, self._bounded(service, operation, outcome)] += number
            if bucket is not None:
                self._about[bucket][operation] += number
            if skew is not None:
                self._forget_if_set()
                self._skews.append(skew)

    def _bounded(self, service: str, operation: str, outcome: str) -> str:
        known = self._outcomes[service, operation]
        if outcome in known or outcome == "ok":
            return outcome
        if len(known) >= _OUTCOMES:
            return OTHER
        known.add(outcome)
        return outcome

    def _forget_if_set(self) -> None:
        """Drop what was measured before our clock was set: the old difference would outvote the new one for long."""
        as_set = self._clock().timestamp() - self._passed()
        if self._set is not None and abs(as_set - self._set) >= _JUMP:
            self._skews.clear()
        self._set = as_set

    def _skew_of(self, date: str | None) -> timedelta | None:
        if date is None:
            return None
        try:
            theirs = parsedate_to_datetime(date)
            # Without a zone ("-0000") it is nobody's time.
            return theirs.astimezone(UTC) - self._clock() if theirs.tzinfo else None
        except (ValueError, TypeError, OverflowError):
            return None  # a date that cannot be read, or that UTC pushes off the calendar, tells no skew

    def counts(self) -> Mapping[tuple[str, str, str], int]:
        """(service, operation, outcome) -> answers so far."""
        with self._lock:
            return dict(self._counts)

    def heard(self, answers: Mapping[tuple[str, str, str], int]) -> None:
        """Count what other processes were answered: (service, operation, outcome) -> answers."""
        for (service, operation, outcome), number in answers.items():
            self.answered(service, operation, outcome, number=number)

    def requests(self, service: str) -> int:
        """How many requests one service has answered so far."""
        with self._lock:
            return sum(count for (name, _, _), count in self._counts.items() if name == service)

    def sent(self, bucket: str) -> Requests:
        """The requests that named one bucket so far, without reads of objects: sweeps make none.

        One without an answer counts once it was given up, as one with any other fault.
        """
        with self._lock:
            counts = dict(self._about.get(bucket, {}))
        others = counts.keys() - LISTS - HEADS - PROBES
        return Requests(*(sum(counts.get(one, 0) for one in kind) for kind in (LISTS, HEADS, others)))

    def skew(self) -> timedelta:
        """Median of the clouds' clocks minus ours; zero while no answer carried a date, and below two seconds.

        A Date header has whole seconds, so a smaller difference says nothing.
        """
        with self._lock:
            seconds = [skew.total_seconds() for skew in self._skews]
        middle = median(seconds) if seconds else 0.0
        return timedelta(seconds=round(middle)) if abs(middle) >= 2 else timedelta(0)  # noqa: PLR2004 - as said above
