"""How long findings lasted, how each ended, and which of them took over from one another."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from auditor.findings import Member, Readability, Severity, Status
from auditor.questions.period.answer import STOPPED, Ending, Incident, Much, Span
from auditor.questions.period.stretches import NOTHING, Stretch, Stretches
from auditor.questions.period.told import FindingTold, Moment, is_set_back


@dataclass(slots=True)
class _Span:
    """One finding, as far as it is known."""

    id: str
    told: FindingTold
    opened: Moment
    severity: Severity
    incident: "_Incident"
    since: datetime
    much_since: Moment
    lead: timedelta = NOTHING
    """From `since` until it was first seen."""
    lead_in: timedelta = NOTHING
    """How much of that was in the period."""
    worst: Much | None = None
    """The most in the period; None: it was not told in the period yet."""
    waived_since: datetime | None = None
    waived: list[Stretch] = field(default_factory=list)
    last_seen: datetime | None = None
    ended: Moment | None = None
    ending: Ending = Ending.OPEN
    followed_by: list[str] = field(default_factory=list)
    turned_back: bool = False

    @property
    def much(self) -> Much:
        return Much(self.told.extent.objects, self.told.extent.size, self.told.extent.namespaces)

    @property
    def is_stopped(self) -> bool:
        return self.told.readability in STOPPED


@dataclass(slots=True)
class _Incident:
    """Findings that took over from one another."""

    spans: list[_Span] = field(default_factory=list)


class Lasting:
    """Takes findings in as they open, change and end, judgement by judgement."""

    def __init__(self, window: Stretch) -> None:
        self._window = window
        self._open: dict[str, _Span] = {}
        self._opened: list[_Span] = []
        """In this judgement."""
        self._ended: list[_Span] = []
        """Likewise."""
        self._incidents: dict[int, _Incident] = {}
        """All that may still be told, by what Python calls them."""

    def told(self, name: str, told: FindingTold, at: Moment) -> None:
        """Take in a finding that opens, or is told otherwise than before."""
        span = self._open.get(name)
        if span is None:
            span = _Span(name, told, at, told.severity, _Incident(), at.now, at)
            self._open[name] = span
            self._opened.append(span)
        else:
            self._count_much(span, at)
            span.much_since = at
            span.told = told
            span.severity = max(span.severity, told.severity, key=lambda one: one.rank)
            if told.succeeds is None:
                self._date(span)
        self._waive(span, at)

    def over(self, name: str) -> None:
        """Take in that a finding is there no more."""
        span = self._open.pop(name, None)
        if span is not None:
            self._ended.append(span)

    def settle(self, at: Moment, before: Moment | None, said: Callable[[Member], Readability | None]) -> None:
        """Take in that all of a judgement was told; `before`: the one before it, `said`: of which data what is said."""
        if before is not None and is_set_back(before.now, at.now):
            for span in (*self._open.values(), *self._ended):
                span.turned_back = span.opened is not at
        if not self._opened and not self._ended:
            return
        for span in self._ended:
            self._end(span, at)
            span.last_seen = before.now if before is not None else at.now
            span.ended = at
            span.ending = _ending(span.told, said)
        ended = {span.id: span for span in self._ended}
        for span in self._opened:
            heir_of = ended.get(span.told.succeeds) if span.told.succeeds is not None else None
            if heir_of is not None:
                heir_of.ending = Ending.FOLLOWED
                heir_of.followed_by.append(span.id)
                span.incident = heir_of.incident
            else:
                self._incidents[id(span.incident)] = span.incident
            span.incident.spans.append(span)
            if heir_of is None or heir_of.told.since != span.told.since:
                self._date(span)
        self._opened, self._ended = [], []
        self._forget(ended.values())

    def close(self, end: Moment, last: Moment | None) -> Iterator[Incident]:
        """All that stood in the period, in the order in which it opened; `end`: where it ends, `last`: judged last."""
        for span in self._open.values():
            self._end(span, end)
            span.last_seen = last.now if last is not None else span.opened.now
        for one in self._incidents.values():
            if any(self._is_in(span) for span in one.spans):
                yield self._told(one, end)

    def _date(self, span: _Span) -> None:
        """Let it begin when it is told to have, if that is before it was seen."""
        span.since = min(span.told.since, span.opened.now)
        before = Stretch(span.since, span.opened.now)
        span.lead, span.lead_in = before.length, before.within(self._window).length

    def _end(self, span: _Span, at: Moment) -> None:
        self._count_much(span, at)
        if span.waived_since is not None:
            span.waived.append(Stretch(span.waived_since, min(at.now, self._window.end)))
            span.waived_since = None

    def _waive(self, span: _Span, at: Moment) -> None:
        is_waived = span.told.status is Status.WAIVED
        if is_waived and span.waived_since is None:
            span.waived_since = at.now
        elif not is_waived and span.waived_since is not None:
            span.waived.append(Stretch(span.waived_since, at.now))
            span.waived_since = None

    def _count_much(self, span: _Span, at: Moment) -> None:
        """Count what hung on it until now, where that was in the period."""
        since = span.much_since
        if at.counted > since.counted or self._window.begin <= since.now < self._window.end:
            span.worst = span.much.or_more(span.worst)

    def _is_in(self, span: _Span) -> bool:
        return span.worst is not None or bool(span.lead_in)

    def _forget(self, ended: Iterable[_Span]) -> None:
        """Let go of what was over before the period."""
        for span in ended:
            if all(one.ended is not None and not self._is_in(one) for one in span.incident.spans):
                self._incidents.pop(id(span.incident), None)

    def _told(self, one: _Incident, end: Moment) -> Incident:
        def steady(span: _Span, *, in_period: bool) -> Stretch:
            """On the clock that is never set back; `in_period`: on the one that runs in the period alone."""
            last = span.ended or end
            if in_period:
                start = self._window.begin + span.opened.counted
                return Stretch(start - span.lead_in, self._window.begin + last.counted)
            return Stretch(span.opened.steady - span.lead, last.steady)

        first = min(span.opened.steady - span.lead for span in one.spans)
        stopped = [span for span in one.spans if span.is_stopped]
        return Incident(
            spans=tuple(
                self._span(span, steady(span, in_period=False), steady(span, in_period=True)) for span in one.spans
            ),
            lasted=max((span.ended or end).steady for span in one.spans) - first,
            stopped=Stretches(sorted(steady(span, in_period=False) for span in stopped)).length,
            stopped_in_period=Stretches(sorted(steady(span, in_period=True) for span in stopped)).length,
        )

    def _span(self, one: _Span, lasted: Stretch, in_period: Stretch) -> Span:
        return Span(
            id=one.id,
            rule=one.told.rule,
            severity=one.severity,
            subject=one.told.subject,
            readability=one.told.readability,
            cause=one.told.cause,
            since=one.since,
            since_source=one.told.since_source,
            first_seen=one.opened.now,
            last_seen=one.last_seen or one.opened.now,
            ended=one.ended.now if one.ended is not None else None,
            ending=one.ending,
            worst=one.worst,
            last=one.much,
            lasted=lasted.length,
            in_period=in_period.length,
            unobserved=NOTHING,
            waived=tuple(each for each in one.waived if each.within(self._window).length),
            succeeds=one.told.succeeds,
            followed_by=tuple(one.followed_by),
            turned_back=one.turned_back,
        )


def _ending(told: FindingTold, said: Callable[[Member], Readability | None]) -> Ending:
    """What a finding came to that no other one took over from, by what is said of its data now."""
    if told.readability is None or not told.members:
        return Ending.REPAIRED
    now = {said(member) for member in told.members}
    if now & STOPPED:
        return Ending.OTHERWISE
    if Readability.UNKNOWN in now:
        return Ending.NOT_KNOWN
    return Ending.REPAIRED if now != {None} else Ending.DATA_GONE
