"""How much data could not be read, or was not known, in each part of a period."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from auditor.findings import Member, Readability
from auditor.questions.period.answer import STOPPED, Much, Point
from auditor.questions.period.stretches import NOTHING, Stretch
from auditor.questions.period.told import AssessedTold

PARTS: Final = 200
"""As many parts a period has at most."""
_LEAST: Final = timedelta(minutes=1)
"""No part is shorter, but for that of a period that is."""
_LEAST_STEP: Final = timedelta(microseconds=1)


@dataclass(slots=True)
class Sum:
    """A sum that things are added to and taken from; what one of them does not tell the sum does not."""

    objects: int = 0
    size: int = 0
    namespaces: int = 0
    without_objects: int = 0
    without_size: int = 0

    def add(self, one: AssessedTold, sign: int) -> None:
        """Add something, or with the sign -1 take it away."""
        held = one.holding
        self.objects += sign * (held.objects or 0)
        self.size += sign * (held.size or 0)
        self.namespaces += sign * held.namespaces
        self.without_objects += sign * (held.objects is None)
        self.without_size += sign * (held.size is None)

    def told(self) -> Much:
        """How much it is."""
        return Much(
            None if self.without_objects else self.objects, None if self.without_size else self.size, self.namespaces
        )


class Course:
    """Takes in what judgements say of data, and keeps the most of each part of the period."""

    def __init__(self, period: Stretch) -> None:
        self._begin = period.begin
        self._parts = max(1, min(PARTS, -(-period.length // _LEAST)))
        self._width = period.length / self._parts
        self._period = period
        self._known: dict[Member, AssessedTold] = {}
        self._stopped, self._unknown = Sum(), Sum()
        self._now: tuple[Much, Much] | None = None
        """What cannot be read now, and what is not known; None: to be summed up again."""
        self._most: list[tuple[Much, Much] | None] = [None] * self._parts
        self._held: Stretch | None = None
        """The part that what is so now was counted in last."""

    def judged(self, member: Member, told: AssessedTold | None) -> None:
        """Take in what is said of one holding from now on; None: there is none any more."""
        before = self._known.pop(member, None)
        if before is not None:
            self._count(before, -1)
        if told is not None:
            self._count(told, 1)
            self._known[member] = told
        self._now = None

    def readability(self, member: Member) -> Readability | None:
        """What is said of one holding; None: nothing, there is none."""
        known = self._known.get(member)
        return known.assessment.readability if known is not None else None

    def held(self, since: datetime, until: datetime) -> None:
        """Take in that all was so from one judgement until a moment, which is its own where nobody can tell."""
        now = self._now
        if now is not None and self._held is not None and self._held.begin <= since and until <= self._held.end:
            return
        begin, end = max(since, self._begin), min(max(since, until), self._period.end)
        if since >= self._period.end or (since < self._begin and end <= self._begin):
            return
        now = self._now = now or (self._stopped.told(), self._unknown.told())
        first, last = self._part(begin), self._part(max(begin, end - _LEAST_STEP))
        for part in range(first, last + 1):
            most = self._most[part]
            self._most[part] = now if most is None else (now[0].or_more(most[0]), now[1].or_more(most[1]))
        self._held = Stretch(self._edge(last), self._edge(last + 1))

    def points(self, observed: Callable[[Stretch], timedelta]) -> Iterator[Point]:
        """The most of each part; nothing where nobody looked."""
        for number, most in enumerate(self._most):
            part = Stretch(self._edge(number), self._edge(number + 1))
            seen = observed(part)
            stopped, unknown = most if most is not None and seen > NOTHING else (None, None)
            yield Point(part, seen, stopped, unknown)

    def _count(self, one: AssessedTold, sign: int) -> None:
        readability = one.assessment.readability
        if readability in STOPPED:
            self._stopped.add(one, sign)
        elif readability is Readability.UNKNOWN:
            self._unknown.add(one, sign)

    def _part(self, at: datetime) -> int:
        return min(int((at - self._begin) / self._width), self._parts - 1)

    def _edge(self, number: int) -> datetime:
        return self._period.end if number == self._parts else self._begin + number * self._width
