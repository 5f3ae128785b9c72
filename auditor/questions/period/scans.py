"""How much data could not be read since each of the last scans, taken in judgement by judgement."""

from collections import deque
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from auditor.findings import Member, Readability
from auditor.questions.period.answer import STOPPED, Much
from auditor.questions.period.course import Sum
from auditor.questions.period.told import AssessedTold

_UNKNOWN: Final = Readability.UNKNOWN
LAST: Final = 30
"""As many are kept."""


@dataclass(frozen=True, slots=True)
class Scanned:
    """The most of all judgements that stand on the same sweeps."""

    at: datetime
    """Aware, UTC: of the first of them."""
    stopped: Much
    """What encryption kept from being read; each number by itself."""
    unknown: Much
    """Of what it was not known."""


class Scans:
    """Takes in what judgements say of data, and by which sweeps."""

    def __init__(self) -> None:
        self._held: dict[Member, AssessedTold] = {}
        """What cannot be read, or is not known."""
        self._stopped, self._unknown = Sum(), Sum()
        self._sweeps: tuple[str, ...] | None = None
        self._is_new = False
        self._points: deque[Scanned] = deque(maxlen=LAST)

    def swept(self, sweeps: tuple[str, ...]) -> None:
        """Take in on which sweeps a judgement stands."""
        self._is_new = self._is_new or sweeps != self._sweeps
        self._sweeps = sweeps

    def data(self, member: Member, told: AssessedTold | None) -> None:
        """Take in what it says of data, where that is otherwise than before; None: there is none any more."""
        before = self._held.pop(member, None)
        if before is not None:
            self._count(before, -1)
        if told is not None and (told.assessment.readability in STOPPED or told.assessment.readability is _UNKNOWN):
            self._held[member] = told
            self._count(told, 1)

    def judged(self, at: datetime) -> None:
        """Take in that all of it was told."""
        stopped, unknown = self._stopped.told(), self._unknown.told()
        if self._is_new:
            self._points.append(Scanned(at, stopped, unknown))
            self._is_new = False
        elif self._points:
            last = self._points[-1]
            more = replace(last, stopped=last.stopped.or_more(stopped), unknown=last.unknown.or_more(unknown))
            self._points[-1] = more

    def told(self) -> tuple[Scanned, ...]:
        """The last scans, the oldest first."""
        return tuple(self._points)

    def _count(self, one: AssessedTold, sign: int) -> None:
        (self._unknown if one.assessment.readability is _UNKNOWN else self._stopped).add(one, sign)
