"""All that a ledger tells of a period, taken in event by event: no judgement is made again."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from auditor.findings import Member, SubjectKind
from auditor.model import Gap, split_version
from auditor.questions.period.answer import (
    BucketWatch,
    Chain,
    Chronicle,
    GapSpan,
    Incident,
    Judge,
    Span,
    with_unobserved,
)
from auditor.questions.period.course import Course
from auditor.questions.period.lasting import Lasting
from auditor.questions.period.looking import Looking
from auditor.questions.period.stretches import Stretch
from auditor.questions.period.sweeps import Sweeps
from auditor.questions.period.told import (
    AssessedTold,
    Clock,
    ContextTold,
    FindingTold,
    KeyTold,
    Moment,
    PollTold,
    SweepTold,
)

_OF_KEYS = frozenset({SubjectKind.KEY, SubjectKind.KEY_VERSION, SubjectKind.PRINCIPAL})


@dataclass(slots=True)
class _Judgement:
    """The judgement whose events are being taken in."""

    told: PollTold
    at: Moment
    answers: list[tuple[str, KeyTold]] = field(default_factory=list)


@dataclass(slots=True)
class _Gap:
    """A gap that is open."""

    gap: Gap
    opened: Moment


class Fold:
    """Takes events in, in the order in which they were kept, up to the last judgement that was made in the period."""

    def __init__(self, period: Stretch, asked: datetime) -> None:
        until = max(period.begin, min(period.end, asked))
        self._period, self._asked = period, asked
        self._window = window = Stretch(period.begin, until)
        self._clock = Clock(window)
        self._looking = Looking(window)
        self._sweeps = Sweeps(window)
        self._lasting = Lasting(window)
        self._course = Course(period)
        self._config = ""
        self._judges: list[Judge] = []
        self._gaps: dict[str, _Gap] = {}
        self._ended_gaps: list[GapSpan] = []
        self._judgement: _Judgement | None = None
        self._before: Moment | None = None
        self._incidents: tuple[Incident, ...] = ()
        self._watched: tuple[BucketWatch, ...] = ()
        self._closed = False

    def poll(self, now: datetime, told: PollTold) -> None:
        """Take in that another judgement begins: all events behind are of it, until the next one."""
        self._settle(now)
        at = self._clock.at(now) if not self._closed else Moment(now, now, timedelta(0))
        self._judgement = _Judgement(told, at)

    def context(self, told: ContextTold) -> None:
        """Take in by what it was made, where that is otherwise than before."""
        self._config = told.config_digest
        if self._closed or self._judgement is None:
            return
        judge = Judge(self._judgement.at.now, told.version, told.rules_version, told.config_digest)
        if not self._judges or replace(self._judges[-1], first=judge.first) != judge:
            self._judges.append(judge)
        self._sweeps.judged(told.coverage.buckets, self._judgement.at)

    def key(self, name: str, told: KeyTold) -> None:
        """Take in how a key answered, where that is otherwise than before."""
        if self._judgement is not None:
            self._judgement.answers.append((name, told))

    def data(self, member: Member, told: AssessedTold | None) -> None:
        """Take in what is said of data; None: there is none any more."""
        self._course.judged(member, told)

    def finding(self, name: str, told: FindingTold | None) -> None:
        """Take in a finding that opened or changed; None: it is there no more."""
        if told is None:
            self._lasting.over(name)
        elif self._judgement is not None:
            self._lasting.told(name, told, self._judgement.at)

    def gap(self, name: str, told: Gap | None) -> None:
        """Take in a gap that opened; None: it is closed."""
        if self._judgement is None:
            return
        at = self._judgement.at
        known = self._gaps.pop(name, None)
        if told is not None:
            self._gaps[name] = _Gap(told, at)
        elif known is not None:
            self._end_gap(known, at, at.now)

    def swept(self, told: SweepTold) -> None:
        """Take in the end of a sweep."""
        self._sweeps.swept(told)

    def close(self, following: datetime | None) -> None:
        """Let the period end; `following`: when the next judgement was made, whose keys alone are taken in still.

        It tells for how long the last judgement of the period stood.
        """
        self._settle(following)
        last, end = self._before, self._window.end
        if last is not None and following is None:
            end = min(end, self._looking.stands(None))
        at = self._clock.at(max(end, last.now) if last is not None else end)
        self._watched = tuple(self._sweeps.told(at))
        self._incidents = tuple(self._lasting.close(at, last))
        for one in self._gaps.values():
            self._end_gap(one, at, None)
        self._closed = True

    def chronicle(self, chain: Chain) -> Chronicle:
        """What all of it tells, after `close`; `chain`: what of it is known before."""
        self._settle(None)
        self._looking.end()
        last = self._before
        return Chronicle(
            period=self._period,
            asked=self._asked,
            until=self._window.end,
            chain=replace(chain, newest=last.now if last is not None else None),
            polls=self._looking.polls(),
            keys=tuple(self._looking.keys()),
            buckets=self._watched,
            incidents=tuple(with_unobserved(one, map(self._unobserved, one.spans)) for one in self._incidents),
            course=tuple(self._course.points(self._looking.observed)),
            gaps=tuple(sorted(self._ended_gaps, key=lambda one: (one.first_seen, one.gap.what, one.gap.reason))),
            judges=tuple(self._judges_of_it()),
            set_back=tuple(self._clock.set_back()),
        )

    def _settle(self, following: datetime | None) -> None:
        """End the judgement that was taken in last; `following`: when the next one was made."""
        one = self._judgement
        if one is None:
            return
        self._judgement = None
        look = self._looking.poll if one.told.before is None else self._looking.poll_of_a_few
        look(one.at.now, one.told.interval, self._config, one.answers)
        if self._closed:
            return
        self._lasting.settle(one.at, self._before, self._course.readability)
        self._course.held(one.at.now, self._looking.stands(following))
        self._before = one.at

    def _end_gap(self, one: _Gap, at: Moment, ended: datetime | None) -> None:
        length = at.counted - one.opened.counted
        if length or self._window.begin <= one.opened.now < self._window.end:
            self._ended_gaps.append(GapSpan(one.gap, one.opened.now, ended, length))

    def _judges_of_it(self) -> Iterator[Judge]:
        """By what was judged: what stood when the period began, and each change in it."""
        begin = self._window.begin
        yield from [one for one in self._judges if one.first < begin][-1:]
        yield from (one for one in self._judges if one.first >= begin)

    def _unobserved(self, one: Span) -> timedelta:
        since = max(one.first_seen, self._window.begin)
        return self._looking.unobserved(_key_of(one), Stretch(since, max(since, one.ended or self._window.end)))


def _key_of(one: Span) -> str | None:
    """The key that a finding is about; None: it is about none."""
    if one.subject.kind not in _OF_KEYS:
        return None
    try:
        key, _ = split_version(one.subject.id.rpartition(" -> ")[2])
    except ValueError:
        return None
    return key.text
