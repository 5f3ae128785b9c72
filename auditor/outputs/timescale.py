"""Moments as places on a line: percent of its length, and the marks that people read it by."""

from collections.abc import Iterator
from datetime import MAXYEAR, UTC, datetime, timedelta
from typing import Final

from auditor.questions.period.stretches import Stretch

_MARKS: Final = 6
"""As many stand beside each other on a phone."""
_MINUTE, _HOUR, _DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
_STEPS: Final = (
    *(number * _MINUTE for number in (1, 2, 5, 10, 15, 30)),
    *(number * _HOUR for number in (1, 2, 3, 6, 12)),
    *(number * _DAY for number in (1, 2, 3, 5, 7, 10, 14)),
)
_MONTHS: Final = (1, 2, 3, 6, 12, 24, 60, 120, 600, 6000, 60_000)
_A_YEAR: Final = 12


class Scale:
    """One line of time."""

    def __init__(self, whole: Stretch) -> None:
        self._whole = whole

    def place(self, at: datetime) -> float:
        """Where a moment is, in percent."""
        share = (at - self._whole.begin) / self._whole.length
        return round(100 * min(1.0, max(0.0, share)), 3)

    def part(self, one: Stretch) -> tuple[float, float]:
        """Where a stretch begins and how wide it is, in percent."""
        first, last = self.place(one.begin), self.place(max(one.begin, one.end))
        return first, round(last - first, 3)

    def marks(self) -> tuple[tuple[float, str], ...]:
        """Moments with round names: (place in percent, name)."""
        for step in _STEPS:
            if self._whole.length / step <= _MARKS:
                form = "%H:%M" if step < _DAY else "%d %b"
                return tuple((self.place(at), f"{at:{form}}") for at in self._multiples(step))
        for months in _MONTHS:
            found = tuple(self._firsts(months))
            if len(found) <= _MARKS:
                form = "%b " if months < _A_YEAR else ""
                return tuple((self.place(at), f"{at:{form}}{at.year:04}" if form else f"{at.year:04}") for at in found)
        return ()

    def _multiples(self, step: timedelta) -> Iterator[datetime]:
        """Multiples of a step since a midnight."""
        begin = self._whole.begin.astimezone(UTC)
        at = begin.replace(hour=0, minute=0, second=0, microsecond=0)
        if step < _DAY:
            at += -(-(begin - at) // step) * step
        elif at < begin:
            at += _DAY
        while at < self._whole.end:
            yield at
            at += step

    def _firsts(self, months: int) -> Iterator[datetime]:
        """First days of every so many months."""
        begin, end = self._whole.begin, self._whole.end
        number = (12 * begin.year + begin.month - 1) // months * months
        while number // 12 < MAXYEAR:
            at = datetime(number // 12, number % 12 + 1, 1, tzinfo=UTC) if number >= _A_YEAR else begin
            if at >= end:
                return
            if at >= begin:
                yield at
            number += months
