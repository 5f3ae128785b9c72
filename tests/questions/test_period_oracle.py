"""What is folded from events is what all judgements say, each made again and looked at ten seconds by ten seconds."""

import itertools
from collections import defaultdict
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auditor.findings import Finding, Judgement, Readability, Status, member_of
from auditor.model import KeyReading, KeyUnread, Reason
from auditor.questions.period.answer import STOPPED, Chronicle, Ending, Much, Span
from auditor.questions.period.stretches import NOTHING, Stretch
from tests.core_builders import NOW, an_aws_key
from tests.periods import MINUTE, Story, data, finding, key

TICK = timedelta(seconds=10)
IN_TIME = 1.5 * MINUTE
BEGIN, END = 10, 40
KEYS = (key(1), key(2))
STATES = (*([Readability.READABLE] * 3), Readability.UNREADABLE, Readability.DOOMED, Readability.UNKNOWN, None)


@dataclass(frozen=True)
class Step:
    """One judgement of a random history."""

    after: float
    """Minutes since the one before; less than none where the clock was set back."""
    states: tuple[Readability | None, ...]
    """How the data under each key is; None: there is none."""
    objects: int
    answers: tuple[bool, ...]
    """Whether each key tells; where a few are asked, the first one alone."""
    waived: bool
    whole: bool
    promised: bool


@dataclass(frozen=True)
class Told:
    """The same, and the judgement that the ledger makes again of it."""

    step: Step
    judgement: Judgement
    tells: tuple[bool, ...]
    """What each key told when it was asked last."""

    @property
    def now(self) -> datetime:
        return self.judgement.now

    @property
    def is_look(self) -> bool:
        return self.step.whole and any(self.tells)


@dataclass
class Run:
    """A finding that stands in judgements in a row."""

    first: int
    findings: list[Finding] = field(default_factory=list)

    @property
    def behind(self) -> int:
        return self.first + len(self.findings)


STEPS = st.lists(
    st.builds(
        Step,
        after=st.sampled_from((1, 1, 1, 1, 0.5, 1.5, 2, 7, -3, 0)),
        states=st.tuples(st.sampled_from(STATES), st.sampled_from(STATES)),
        objects=st.integers(1, 9),
        answers=st.tuples(st.booleans(), st.booleans()),
        waived=st.booleans(),
        whole=st.sampled_from((True, True, True, False)),
        promised=st.sampled_from((True, True, True, False)),
    ),
    min_size=1,
    max_size=12,
)


def kept(steps: list[Step], start: float, where: Path) -> Story:
    """Keep a history."""
    story, minute = Story(where), start
    for step in steps:
        minute += step.after
        now = NOW + minute * MINUTE
        states = [(name, state) for name, state in zip(KEYS, step.states, strict=True) if state is not None]
        readings: list[KeyReading] = [
            an_aws_key(name=name) if tells else KeyUnread(name, Reason.TIMEOUT, "timeout", "poll again")
            for name, tells in zip(KEYS, step.answers, strict=True)
        ]
        story.poll(
            minute,
            *(
                finding(name, state, now, step.objects, waived=step.waived)
                for name, state in states
                if state is not Readability.READABLE
            ),
            assessed=[data(name, state, step.objects, 100 * step.objects, 2) for name, state in states],
            readings=readings if step.whole else readings[:1],
            needed=KEYS,
            whole=step.whole,
            interval=MINUTE if step.promised else None,
        )
    return story


def made_again(story: Story, steps: list[Step]) -> list[Told]:
    found: list[Told] = []
    for step, one in zip(steps, reversed(list(story.ledger.made())), strict=True):
        second = step.answers[1] if step.whole else found[-1].tells[1]
        found.append(Told(step, story.ledger.then(one), (step.answers[0], second)))
    return found


def ticks(begin: datetime, end: datetime) -> set[datetime]:
    return {begin + number * TICK for number in range(max(0, int((end - begin) / TICK)))}


def reach(at: datetime, following: datetime) -> datetime:
    return following if following - at <= IN_TIME else at + MINUTE


def observed(history: list[Told]) -> set[datetime]:
    """Each tick at which polls were made as promised; what was seen before a clock was set back ends there."""
    back = [place for place, (one, other) in enumerate(itertools.pairwise(history), 1) if other.now < one.now]
    found: set[datetime] = set()
    for first, last in itertools.pairwise([0, *back, len(history)]):
        looks = [one for one in history[first:last] if one.is_look]
        for some in (looks, [one for one in looks if one.step.promised]):
            for one, other in itertools.pairwise(some):
                found |= ticks(one.now, reach(one.now, other.now))
            if some and last == len(history):
                found |= ticks(some[-1].now, some[-1].now + MINUTE)
    return found


def observed_of(place: int, history: list[Told], window: Stretch) -> set[datetime]:
    """Each tick at which one key told as well."""
    silent: set[datetime] = set()
    alone: set[datetime] = set()
    last: datetime | None = None
    since: datetime | None = None
    for one in history:
        asked = one.step.whole or place == 0
        if asked and one.tells[place]:
            if since is not None and not (last is not None and NOTHING <= one.now - last <= IN_TIME):
                silent |= ticks(since, one.now)
            last, since = one.now, None
            alone |= set() if one.step.whole else ticks(one.now, one.now + MINUTE)
        elif asked and since is None:
            since = last + MINUTE if last is not None else one.now
    silent |= ticks(since, window.end) if since is not None else set()
    return (observed(history) - silent) | alone


def runs(history: list[Told]) -> list[Run]:
    found: list[Run] = []
    standing: dict[str, Run] = {}
    for place, one in enumerate(history):
        told = {each.id: each for each in one.judgement.findings if each.status is not Status.RESOLVED}
        standing = {name: run for name, run in standing.items() if name in told}
        for name, each in told.items():
            if name not in standing:
                standing[name] = Run(place)
                found.append(standing[name])
            standing[name].findings.append(each)
    return found


def ending(run: Run, history: list[Told]) -> Ending:
    if run.behind == len(history):
        return Ending.OPEN
    after, last = history[run.behind].judgement, run.findings[-1]
    before = {one.id for one in history[run.behind - 1].judgement.findings if one.status is not Status.RESOLVED}
    if any(one.succeeds == last.id and one.id not in before for one in after.findings):
        return Ending.FOLLOWED
    held = {member_of(one.holding): one.assessment.readability for one in after.assessed}
    (now,) = (held.get(member) for member in last.members)
    if now in STOPPED:
        return Ending.OTHERWISE
    return {None: Ending.DATA_GONE, Readability.UNKNOWN: Ending.NOT_KNOWN}.get(now, Ending.REPAIRED)


def is_in(run: Run, history: list[Told], end: datetime, window: Stretch) -> bool:
    return any(
        window.begin <= before < window.end or Stretch(before, after).within(window).length
        for before, after in itertools.pairwise(moments(run, history, end))
    )


def moments(run: Run, history: list[Told], end: datetime) -> list[datetime]:
    """Of each judgement that tells it, and when it was over, or the period was."""
    stood = [one.now for one in history[run.first : run.behind + 1]]
    return [*stood, *([end] if run.behind == len(history) else [])]


def check_span(span: Span, run: Run, history: list[Told], end: datetime, window: Stretch) -> None:
    steps = list(itertools.pairwise(moments(run, history, end)))
    assert span.last_seen == history[run.behind - 1].now
    assert span.ended == (steps[-1][1] if run.behind < len(history) else None)
    assert span.lasted == sum((max(NOTHING, after - before) for before, after in steps), NOTHING)
    assert span.in_period == sum((Stretch(*one).within(window).length for one in steps), NOTHING)
    assert span.turned_back == any(after < before for before, after in steps)
    inside = [
        one
        for (before, after), one in zip(steps, run.findings, strict=True)
        if window.begin <= before < window.end or Stretch(before, after).within(window).length
    ]
    assert span.worst == most([Much(one.extent.objects, one.extent.size, one.extent.namespaces) for one in inside])
    assert (
        bool(span.waived)
        == any(
            one.status is Status.WAIVED and Stretch(before, min(after, window.end)).within(window).length
            for (before, after), one in zip(steps, run.findings, strict=True)
        )
        or span.turned_back
    )
    begin = max(span.first_seen, window.begin)
    place = KEYS.index(next(name for name in KEYS if name.text == span.subject.id))
    stood = ticks(begin, span.ended or window.end) & ticks(window.begin, window.end)
    assert span.unobserved == len(stood - observed_of(place, history, window)) * TICK


def most(some: list[Much]) -> Much | None:
    if not some:
        return None
    return Much(
        max(one.objects or 0 for one in some), max(one.size or 0 for one in some), max(one.namespaces for one in some)
    )


def amount(one: Told) -> Much:
    some = [each.holding for each in one.judgement.assessed if each.assessment.readability in STOPPED]
    return Much(sum(each.objects or 0 for each in some), sum(each.size or 0 for each in some), 2 * len(some))


def check_course(told: Chronicle, history: list[Told], seen: set[datetime]) -> None:
    for point in told.course:
        here = ticks(point.stretch.begin, point.stretch.end) & ticks(told.over.begin, told.over.end)
        assert point.observed == len(here & seen) * TICK
        assert (point.stopped is None) == (not here & seen)
        # At least what was told then, and at most what may have stood still then.
        least = most([amount(one) for one in history if one.now in here])
        late = point.stretch.begin - 2 * MINUTE
        can = most([amount(one) for one in history if late <= one.now < point.stretch.end])
        if point.stopped is not None:
            assert can is not None
            assert point.stopped.or_more(least) == point.stopped
            assert can.or_more(point.stopped) == can


@settings(max_examples=15)
@given(STEPS, st.integers(0, 42))
def test_it_is_what_all_judgements_say(tmp_path_factory: pytest.TempPathFactory, steps: list[Step], start: int) -> None:
    # The first poll of a daemon is one of all keys.
    steps[0] = replace(steps[0], whole=True, promised=True)
    story = kept(steps, start, tmp_path_factory.mktemp("story") / "ledger.db")
    whole = made_again(story, steps)
    told = story.told(BEGIN, END)
    window = told.over
    count = max((place for place, one in enumerate(whole, 1) if one.now < window.end), default=0)
    history, looked = whole[:count], whole[: count + 1]
    seen = observed(looked) & ticks(window.begin, window.end)
    assert told.polls.observed == len(seen) * TICK
    blind = (ticks(one.begin, one.end) for one in told.polls.blind)
    assert set().union(*blind) == ticks(window.begin, window.end) - seen
    end = window.end
    if history and count == len(whole):
        end = max(history[-1].now, min(end, history[-1].now + MINUTE))
    found: dict[tuple[str, datetime], list[Span]] = defaultdict(list)
    for span in (each for one in told.incidents for each in one.spans if each.worst is not None):
        found[span.id, span.first_seen].append(span)
    for run in runs(history):
        if not is_in(run, history, end, window):
            continue
        # Where the clock was set back a finding may come back at the minute at which it opened before.
        span = found[run.findings[0].id, history[run.first].now].pop(0)
        check_span(span, run, history, end, window)
        assert span.ending is ending(run, history)
    assert not any(found.values())
    check_course(told, history, seen)
    for one in told.keys:
        place = next(place for place, name in enumerate(KEYS) if name.text == one.key)
        needed = ticks(max(window.begin, min(each.now for each in history[:1])), window.end)
        assert one.observed <= one.needed
        if all(each.after >= 0 for each in steps[1:]):
            assert one.observed == len(needed & observed_of(place, looked, window)) * TICK
    story.ledger.close()
