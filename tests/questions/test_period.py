"""What a ledger tells of a time: what stood, how it ended, and when nobody looked."""

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from auditor.errors import UsageError
from auditor.findings import Assessed, Finding, Readability, Severity
from auditor.model import Gap, KeyGone, KeyReading, KeyUnread, Reason
from auditor.ports import PollRecord
from auditor.questions.period.answer import Ending, Incident, Much, Span, repairs
from auditor.questions.period.asking import period_of
from auditor.questions.period.stretches import Stretch, Stretches
from tests import periods
from tests.core_builders import AWS_KEY, NOW, an_aws_key, denied
from tests.periods import MINUTE, Story, a_bucket, between, data, finding, key

STEP = timedelta(seconds=10)
TURN = 60 * STEP
"""From one poll to the next: no poll stands for longer than fifteen minutes."""
OFF, DOOMED, LOST = Readability.UNREADABLE, Readability.DOOMED, Readability.LOST
SILENT = KeyUnread(AWS_KEY, Reason.TIMEOUT, "timeout", "poll again")


@pytest.fixture
def story(tmp_path: Path) -> Iterator[Story]:
    one = Story(tmp_path / "ledger.db", STEP)
    yield one
    one.ledger.close()


def off(at: float, objects: int = 10, **more: Any) -> Finding:
    return finding(AWS_KEY, OFF, NOW + at * STEP, objects, **more)


def spans(some: Iterable[Stretch]) -> list[tuple[float, float]]:
    """Times by steps after `NOW`."""
    return periods.spans(some, STEP)


def turns(story: Story, *some: float, **more: Any) -> None:
    """Polls of a daemon that promises one each turn, that many turns after `NOW`."""
    story.polls(*(60 * one for one in some), **{"interval": TURN, **more})


def one_span(some: tuple[Incident, ...]) -> Span:
    ((span,),) = (one.spans for one in some)
    return span


PERIODS = {
    "2026-10-01/2026-12-31": ("2026-10-01T00:00:00+00:00", "2027-01-01T00:00:00+00:00"),
    "2026-10-01/2026-10-01": ("2026-10-01T00:00:00+00:00", "2026-10-02T00:00:00+00:00"),
    "2026-10-01T08:00/2026-10-01T09:30Z": ("2026-10-01T08:00:00+00:00", "2026-10-01T09:30:00+00:00"),
    "2026-10-01T08:00+02:00/2026-10-02": ("2026-10-01T06:00:00+00:00", "2026-10-03T00:00:00+00:00"),
}


@pytest.mark.parametrize("text", PERIODS)
def test_a_date_at_the_end_is_a_whole_day_and_a_time_is_a_moment(text: str) -> None:
    one = period_of(text)
    assert (one.begin.isoformat(), one.end.isoformat()) == PERIODS[text]


@pytest.mark.parametrize(
    "text", ["", "/", "2026-10-01", "2026-10-01/", "2026-13-01/2026-12-31", "2026-10-02/2026-10-01", "a/b", "P3M/2026"]
)
def test_what_is_no_period_is_refused_with_a_hint(text: str) -> None:
    with pytest.raises(UsageError, match="--period") as told:
        period_of(text)
    assert "2026-10-01/2026-12-31" in (told.value.hint or "")


@settings(max_examples=50)
@example([(0, 5), (5, 9), (12, 13), (20, 26)], [(9, 12), (13, 20)])
@given(
    st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40))),
    st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40))),
)
def test_stretches_are_sets_of_moments(some: list[tuple[int, int]], others: list[tuple[int, int]]) -> None:
    def minutes(one: Stretches) -> set[int]:
        told = periods.spans(one)
        assert all(before[1] < after[0] for before, after in itertools.pairwise(told))
        return {minute for begin, end in told for minute in range(int(begin), int(end))}

    one, other = (Stretches(between(*pair) for pair in pairs) for pairs in (some, others))
    mine, its = ({minute for pair in pairs for minute in range(*pair)} for pairs in (some, others))
    part, inside = between(5, 30), set(range(5, 30))
    assert (minutes(one), minutes(other)) == (mine, its)
    assert minutes(one.joined(other)) == mine | its
    assert minutes(one.without(other)) == mine - its
    assert minutes(one.within(part)) == mine & inside
    assert minutes(one.missing(part)) == inside - mine
    assert one.length_within(part) == len(mine & inside) * MINUTE
    for asked in (part, between(0, 40)):
        lengths = [end - begin for begin, end in periods.spans(one.missing(asked))]
        assert one.longest_missing(asked) == max(lengths, default=0) * MINUTE
    for each in other:
        wide = one.widened(each).within(between(0, 40))
        outside = {minute for minute in range(40) if minute not in mine}
        begin, end = ((moment - NOW) // MINUTE for moment in (each.begin, each.end))
        while begin - 1 in outside:
            begin -= 1
        while end in outside:
            end += 1
        assert wide == between(begin, end)


def test_where_a_daemon_polls_as_it_promised_all_of_the_time_is_observed(story: Story) -> None:
    turns(story, *range(5))
    told = story.told(0, 240)
    assert (told.polls.observed, told.polls.blind, told.share) == (4 * TURN, (), 1)
    assert (told.polls.whole, told.polls.promised) == (4, (TURN, TURN))
    assert [*told.incidents, *told.set_back, *told.silent_keys] == []


def test_a_daemon_that_is_down_for_a_day_sees_nothing_of_it(story: Story) -> None:
    turns(story, 0, 1, 2, 146, 147)
    told = story.told(0, 147 * 60)
    assert spans(told.polls.blind) == [(180, 146 * 60)]
    assert told.polls.longest_blind == timedelta(days=1) - TURN
    assert told.share == 4 / 147
    (known,) = told.keys
    assert (known.observed, known.longest_blind, known.silent) == (4 * TURN, 143 * TURN, ())


def test_a_poll_that_comes_late_but_in_the_next_half_interval_has_missed_none(story: Story) -> None:
    turns(story, 0, 1.5, 3.01, 4)
    assert spans(story.told(0, 240).polls.blind) == [(150, 3.01 * 60)]


def test_that_a_poll_tells_how_late_it_is_is_no_excuse(story: Story) -> None:
    turns(story, 0, 1)
    turns(story, 11, 21, interval=10 * TURN)
    assert spans(story.told(0, 22 * 60).polls.blind) == [(120, 660), (720, 1260)]


def test_where_quotas_stretch_all_polls_that_is_the_interval(story: Story) -> None:
    turns(story, 0, interval=MINUTE)
    turns(story, 1, 2, 3, 4, 5)
    told = story.told(0, 300)
    assert spans(told.polls.blind) == [(6, 60), (66, 120)]
    assert told.polls.promised == (MINUTE, TURN)


def test_no_poll_stands_for_longer_than_a_state_is_believed(story: Story) -> None:
    story.polls(0, 8640, interval=timedelta(days=1))
    told = story.told(0, 2 * 8640)
    assert spans(told.polls.blind) == [(90, 8640), (8730, 17280)]


def test_by_another_config_another_interval_is_promised(story: Story) -> None:
    turns(story, 0, 0.5, 1, interval=TURN / 2)
    turns(story, 1.5, 2.5, 3.5, digest="d" * 64)
    told = story.told(0, 240)
    assert (told.polls.blind, told.polls.promised) == ((), (TURN / 2, TURN))
    assert [(one.first, one.config_digest[0]) for one in told.judges] == [(NOW, "c"), (NOW + 1.5 * TURN, "d")]


def test_a_poll_outside_of_the_daemon_stands_for_its_own_minute(story: Story) -> None:
    story.polls(0, 6, 12, 60, interval=None)
    told = story.told(0, 120)
    assert spans(told.polls.blind) == [(18, 60), (66, 120)]
    assert told.polls.promised is None


def test_a_poll_outside_of_the_daemon_takes_nothing_from_what_the_daemon_promised(story: Story) -> None:
    turns(story, 0)
    story.poll(20, interval=None)
    turns(story, 1)
    story.poll(80, interval=None)
    assert spans(story.told(0, 180).polls.blind) == [(120, 180)]


def test_before_the_first_poll_nothing_is_known_and_after_the_last_one_as_much_as_was_promised(story: Story) -> None:
    turns(story, 10)
    told = story.told(0, 24 * 60)
    assert spans(told.polls.blind) == [(0, 600), (660, 24 * 60)]
    assert (told.chain.began, told.chain.newest) == (NOW + 10 * TURN, NOW + 10 * TURN)


def test_of_a_ledger_without_a_judgement_nothing_is_known(story: Story) -> None:
    told = story.told(0, 60)
    assert (told.share, told.keys, told.buckets, told.incidents, told.chain.began) == (0, (), (), (), None)
    assert {one.stopped for one in told.course} == {None}


@pytest.mark.parametrize("ends", [120, 10_000])
def test_what_is_to_come_is_neither_observed_nor_missed(story: Story, ends: int) -> None:
    turns(story, 0, 1)
    told = story.told(0, ends, asked=90)
    assert (told.over.length, told.share) == (90 * STEP, 1)
    nothing = story.told(200, 300, asked=90)
    assert (nothing.over.length, nothing.share) == (timedelta(0), None)


def test_a_key_that_does_not_answer_for_a_time_is_not_observed_then_and_others_are(story: Story) -> None:
    other = key(2)
    for at in range(0, 300, 30):
        is_off = 60 < at <= 120
        readings: list[KeyReading] = [SILENT if is_off else an_aws_key(), an_aws_key(name=other)]
        story.poll(at, readings=readings, interval=30 * STEP)
    told = story.told(0, 300)
    assert told.polls.blind == ()
    worst, best = told.keys
    assert (worst.key, spans(worst.silent), worst.longest_blind) == (AWS_KEY.text, [(90, 150)], TURN)
    assert (worst.needed, worst.observed) == (300 * STEP, 240 * STEP)
    assert (best.key, best.silent, best.observed) == (other.text, (), 300 * STEP)
    assert told.silent_keys == (worst,)


def test_when_nobody_asked_and_when_a_key_did_not_tell_is_one_blind_time(story: Story) -> None:
    other = an_aws_key(name=key(2))
    story.poll(0, readings=[an_aws_key(), other])
    # The interval of another config: the key's silence counts from later on than the time without a poll.
    rest: dict[str, Any] = {"interval": 90 * STEP, "digest": "d" * 64}
    story.poll(240, readings=[SILENT, other], **rest)
    story.poll(300, readings=[an_aws_key(), other], **rest)
    told = story.told(0, 360)
    (mine,) = (one for one in told.keys if one.key == AWS_KEY.text)
    assert (spans(told.polls.blind), spans(mine.silent)) == ([(6, 240)], [(90, 300)])
    assert (mine.longest_blind, mine.observed) == (294 * STEP, 66 * STEP)


def test_a_poll_in_which_no_key_told_anything_is_none(story: Story) -> None:
    turns(story, 0, 1)
    turns(story, 2, 3, readings=[SILENT])
    turns(story, 4)
    told = story.told(0, 300)
    assert (told.polls.whole, told.polls.silent, spans(told.polls.blind)) == (5, 2, [(120, 240)])
    # What was judged without a word of any key is no number of then.
    looked = {one.stopped is not None for one in told.course if one.stretch.within(between(20, 40)).length}
    assert looked == {False}


TELLS = {
    "gone, proven": (KeyGone(AWS_KEY, proven=True), []),
    "gone, not proven": (KeyGone(AWS_KEY, proven=False), [(60, 180)]),
    "denied": (denied(), [(60, 180)]),
}


@pytest.mark.parametrize(("reading", "silent"), TELLS.values(), ids=TELLS)
def test_a_key_that_is_gone_for_good_tells_so(
    story: Story, reading: KeyReading, silent: list[tuple[float, float]]
) -> None:
    other = an_aws_key(name=key(2))
    turns(story, 0, readings=[an_aws_key(), other])
    turns(story, 1, 2, readings=[reading, other])
    turns(story, 3, readings=[an_aws_key(), other])
    (mine,) = (one for one in story.told(0, 240).keys if one.key == AWS_KEY.text)
    assert spans(mine.silent) == silent


def test_a_key_that_was_gone_was_looked_at_until_it_is_denied(story: Story) -> None:
    other = an_aws_key(name=key(2))
    turns(story, 0, readings=[an_aws_key(), other])
    turns(story, 1, 2, readings=[KeyGone(AWS_KEY, proven=True), other])
    turns(story, 3, 4, readings=[denied(), other])
    assert spans(story.told(0, 300).keys[0].silent) == [(180, 300)]


def test_a_key_counts_while_it_is_needed(story: Story) -> None:
    other = an_aws_key(name=key(2))
    turns(story, 0)
    turns(story, 1, 2, readings=[an_aws_key(), other])
    turns(story, 3, 4)
    mine, its = sorted(story.told(0, 300).keys, key=lambda one: one.key)
    assert (mine.needed, its.needed, its.observed) == (5 * TURN, 2 * TURN, 2 * TURN)


def test_a_poll_of_a_few_keys_says_nothing_of_the_others(story: Story) -> None:
    both = [an_aws_key(), an_aws_key(name=key(2))]
    names = [one.name for one in both]
    story.poll(0, readings=both)
    for at in (6, 12, 18):
        story.poll(at, readings=both[:1], needed=names, whole=False)
    story.poll(24, readings=both)
    told = story.told(0, 30)
    assert (told.polls.whole, told.polls.few, spans(told.polls.blind)) == (2, 3, [(6, 24)])
    assert {one.key: one.observed for one in told.keys} == {names[0].text: 5 * MINUTE, names[1].text: 2 * MINUTE}


def test_a_finding_that_ends_is_told_with_all_of_its_moments(story: Story) -> None:
    turns(story, 0)
    story.poll(60, off(60, 10), interval=TURN)
    story.poll(120, off(60, 30), interval=TURN)
    story.poll(180, off(60, 20), interval=TURN)
    turns(story, 4, 5)
    told = story.told(0, 360)
    span = one_span(told.incidents)
    assert (span.since, span.first_seen, span.last_seen, span.ended) == tuple(NOW + one * TURN for one in (1, 1, 3, 4))
    assert (span.ending, span.lasted, span.in_period) == (Ending.REPAIRED, 3 * TURN, 3 * TURN)
    assert (span.worst, span.last) == (Much(30, 3000, 2), Much(20, 2000, 2))
    assert told.worst == Much(10, 1000, 2)  # by the data itself
    assert told.stopped == told.incidents


def test_a_finding_that_comes_back_is_another_incident(story: Story) -> None:
    for one in range(6):
        story.poll(60 * one, *([off(60 * one)] if one % 2 else []), interval=TURN)
    told = story.told(0, 360)
    assert [(one.since, one.ended, one.ending) for one in told.incidents] == [
        (NOW + TURN, NOW + 2 * TURN, Ending.REPAIRED),
        (NOW + 3 * TURN, NOW + 4 * TURN, Ending.REPAIRED),
        (NOW + 5 * TURN, None, Ending.OPEN),
    ]
    assert len({one.spans[0].id for one in told.incidents}) == 1


def test_findings_that_take_over_from_one_another_are_one_incident(story: Story) -> None:
    turns(story, 0)
    for turn, state in enumerate((Readability.EXPIRING, OFF, DOOMED, DOOMED), 1):
        story.poll(60 * turn, finding(AWS_KEY, state, NOW + turn * TURN), interval=TURN)
    turns(story, 5)
    (one,) = story.told(0, 360).incidents
    assert [(span.readability, span.since, span.ended, span.ending) for span in one.spans] == [
        (Readability.EXPIRING, NOW + TURN, NOW + 2 * TURN, Ending.FOLLOWED),
        (OFF, NOW + 2 * TURN, NOW + 3 * TURN, Ending.FOLLOWED),
        # What it inherits is told of its predecessor.
        (DOOMED, NOW + 3 * TURN, NOW + 5 * TURN, Ending.REPAIRED),
    ]
    assert [(span.succeeds, span.followed_by) for span in one.spans[1:]] == [
        (one.spans[0].id, (one.spans[2].id,)),
        (one.spans[1].id, ()),
    ]
    assert (one.lasted, one.stopped, one.ending, one.ended) == (4 * TURN, 3 * TURN, Ending.REPAIRED, NOW + 5 * TURN)
    assert one.severity is Severity.CRITICAL


def test_a_chain_that_began_before_the_period_is_told_from_its_beginning(story: Story) -> None:
    turns(story, 0)
    story.poll(60, off(60), interval=TURN)
    for turn in (2, 3, 4):
        story.poll(60 * turn, finding(AWS_KEY, DOOMED, NOW + turn * TURN), interval=TURN)
    (one,) = story.told(150, 240).incidents
    assert [span.readability for span in one.spans] == [OFF, DOOMED]
    assert (one.since, one.lasted, one.stopped_in_period) == (NOW + TURN, 3 * TURN, 90 * STEP)
    assert one.spans[0].worst is None


def test_what_the_audit_log_dates_before_it_was_seen_counts_from_then(story: Story) -> None:
    turns(story, 0)
    story.poll(60, off(60), interval=TURN)
    story.poll(120, off(40, since_source="audit_log"), interval=TURN)
    turns(story, 3)
    before = one_span(story.told(0, 240).incidents)
    assert (before.since, before.lasted) == (NOW + TURN, 2 * TURN)  # `carry_on` keeps the first date
    story.poll(240, off(200, since_source="audit_log"), interval=TURN)
    turns(story, 5)
    dated = story.told(0, 360).incidents[-1].spans[0]
    assert (dated.since, dated.first_seen, dated.lasted) == (NOW + 200 * STEP, NOW + 4 * TURN, 100 * STEP)
    # The time before it was seen counts in the period in which it was.
    assert story.told(210, 270).incidents[-1].stopped_in_period == TURN


def test_a_finding_that_the_audit_log_dates_later_on_begins_then(story: Story) -> None:
    turns(story, 0)
    found = story.poll(60, off(60), interval=TURN).findings
    dated = replace(found[0], since=NOW + 10 * STEP, since_source="audit_log")
    before = story.judgements[-1]
    run = replace(before.run, id="later")
    story.ledger.keep(
        PollRecord("later", NOW + 2 * TURN, NOW + 2 * TURN, (an_aws_key(),), timedelta(0), "c" * 64),
        replace(before, run=run, now=NOW + 2 * TURN, findings=(dated,)),
    )
    turns(story, 3)
    span = one_span(story.told(0, 240).incidents)
    assert (span.since, span.lasted, span.first_seen) == (NOW + 10 * STEP, 170 * STEP, NOW + TURN)


def test_what_is_waived_is_no_less_unreadable(story: Story) -> None:
    turns(story, 0)
    for turn, waived in ((1, False), (2, True), (3, True), (4, False)):
        story.poll(60 * turn, off(60, waived=waived), interval=TURN)
    told = story.told(0, 300)
    (one,) = told.incidents
    assert spans(one.spans[0].waived) == [(120, 240)]
    assert (one.stopped, one.is_waived, told.worst.objects) == (4 * TURN, True, 10)
    assert [(each.open, each.waived) for each in repairs(told.incidents) if each.incidents] == [(1, 1)]


def test_a_waiver_ends_with_its_finding_or_with_the_period(story: Story) -> None:
    for at in (1, 2):
        story.poll(at, off(1, waived=True))
    story.polls(3, 4)
    for end, until in ((10, 3), (2.5, 2.5)):
        assert spans(one_span(story.told(0, end).incidents).waived) == [(1, until)]


def test_what_stood_for_no_time_at_the_beginning_of_a_period_is_of_it(story: Story) -> None:
    story.poll(0, off(0))
    story.polls(0, 1)
    assert len(story.told(0, 1).incidents) == 1


ENDINGS = {
    "readable": ([data(AWS_KEY, Readability.READABLE)], Ending.REPAIRED),
    "readable until a date": ([data(AWS_KEY, Readability.EXPIRING)], Ending.REPAIRED),
    "barred by something else": ([data(AWS_KEY, Readability.REVOKED)], Ending.OTHERWISE),
    "not known": ([data(AWS_KEY, Readability.UNKNOWN)], Ending.NOT_KNOWN),
    "not there": ([data(key(2), Readability.UNREADABLE)], Ending.DATA_GONE),
}


@pytest.mark.parametrize(("data_then", "ending"), ENDINGS.values(), ids=ENDINGS)
def test_how_a_finding_ended_its_data_tells(story: Story, data_then: list[Assessed], ending: Ending) -> None:
    story.poll(0, off(0))
    story.poll(1, assessed=data_then)
    told = story.told(0, 2)
    assert one_span(told.incidents).ending is ending
    (critical,) = (one for one in repairs(told.incidents) if one.severity is Severity.CRITICAL)
    assert (critical.repaired, critical.otherwise) == ((1, 0) if ending is Ending.REPAIRED else (0, 1))


def test_a_finding_that_is_not_about_reading_is_repaired_when_it_is_over(story: Story) -> None:
    story.poll(0, finding(AWS_KEY, None, NOW))
    story.poll(1)
    told = story.told(0, 2)
    assert (one_span(told.incidents).ending, told.stopped) == (Ending.REPAIRED, ())


def test_times_to_repair_have_a_median_and_a_worst_and_what_is_open_stays_open(story: Story) -> None:
    names = [key(number) for number in range(1, 6)]
    for turn in range(7):
        # The first is repaired after one turn, the next after two, and so on; the last never.
        found = [finding(name, OFF, NOW) for number, name in enumerate(names, 1) if turn < number or name is names[-1]]
        bad = {one.subject.id for one in found}
        states = [data(name, OFF if name.text in bad else Readability.READABLE) for name in names]
        story.poll(60 * turn, *found, assessed=states, interval=TURN)
    critical, *others = repairs(story.told(0, 420).incidents)
    assert (critical.severity, critical.incidents, critical.repaired) == (Severity.CRITICAL, 5, 4)
    assert (critical.median, critical.worst) == (2.5 * TURN, 4 * TURN)
    assert (critical.open, critical.longest_open, critical.otherwise) == (1, 7 * TURN, 0)
    assert {(one.incidents, one.median, one.worst) for one in others} == {(0, None, None)}
    assert repairs(story.told(0, 270).incidents)[0].median == 2.5 * TURN  # the fourth was over at its end
    assert repairs(story.told(0, 240).incidents)[0].median == 2 * TURN


def test_an_answer_is_the_same_whenever_it_is_asked(story: Story) -> None:
    turns(story, 0)
    for turn in (1, 2, 3):
        story.poll(60 * turn, off(60), interval=TURN)
    early = story.told(0, 180)
    turns(story, 4, 5)
    late = story.told(0, 180)
    assert (late.incidents, late.polls, late.keys, late.course) == (
        early.incidents,
        early.polls,
        early.keys,
        early.course,
    )
    span = one_span(late.incidents)
    assert (span.ending, span.ended, span.last_seen, span.lasted) == (Ending.OPEN, None, NOW + 2 * TURN, 2 * TURN)


def test_what_stood_before_and_stands_after_is_counted_in_the_period_alone(story: Story) -> None:
    for turn in range(5):
        story.poll(60 * turn, off(0, 10 if turn < 2 else 5), interval=TURN)
    (one,) = story.told(130, 170).incidents
    assert (one.lasted, one.stopped_in_period, one.spans[0].in_period) == (170 * STEP, 40 * STEP, 40 * STEP)
    assert (one.spans[0].lasted, one.stopped) == (170 * STEP, 170 * STEP)
    assert one.worst == Much(5, 500, 2)  # it was more before


def test_what_was_over_before_the_period_is_not_told(story: Story) -> None:
    story.poll(0, off(0))
    story.polls(1, 2, 3)
    assert story.told(2, 4).incidents == ()
    assert one_span(story.told(0.5, 4).incidents).in_period == STEP / 2


def test_while_nobody_looks_a_finding_stands_and_says_for_how_long_nobody_did(story: Story) -> None:
    turns(story, 0)
    story.poll(60, off(60), interval=TURN)
    story.poll(600, off(60), interval=TURN)
    turns(story, 11)
    (one,) = story.told(0, 720).incidents
    assert (one.stopped, one.spans[0].unobserved) == (10 * TURN, 8 * TURN)


def test_what_stood_when_somebody_looked_last_is_told_for_as_long_as_that_look_stands(story: Story) -> None:
    turns(story, 0)
    story.poll(60, off(60), interval=TURN)
    span = one_span(story.told(0, 600).incidents)
    assert (span.ending, span.lasted, span.in_period, span.unobserved) == (Ending.OPEN, TURN, TURN, 480 * STEP)


def test_while_its_own_key_is_silent_nobody_looks_at_a_finding(story: Story) -> None:
    other = an_aws_key(name=key(2))
    for turn in range(6):
        reading = SILENT if turn in {2, 3} else an_aws_key()
        story.poll(60 * turn, off(0), readings=[reading, other], interval=TURN)
    assert one_span(story.told(0, 360).incidents).unobserved == 2 * TURN


def test_a_clock_that_is_set_back_takes_no_time_away_and_is_told(story: Story) -> None:
    story.polls(0, 1)
    for at in (2, 3, 4, -56, -55, -54):
        story.poll(at, off(2))
    story.polls(-53, -52)
    told = story.told(-60, 60)
    span = one_span(told.incidents)
    assert [(one.at, one.by) for one in told.set_back] == [(NOW - 56 * STEP, TURN)]
    assert (span.turned_back, span.lasted, span.in_period) == (True, 5 * STEP, 5 * STEP)
    assert (span.first_seen, span.ended) == (NOW + 2 * STEP, NOW - 53 * STEP)
    assert spans(told.polls.blind) == [(-60, -56), (-46, 0), (4, 60)]


def test_a_finding_that_is_over_when_the_clock_is_found_set_back_tells_so(story: Story) -> None:
    story.polls(0, 1)
    story.poll(2, off(2))
    story.polls(-56, -55)
    assert one_span(story.told(-60, 60).incidents).turned_back


def test_what_is_told_before_the_period_by_a_clock_that_was_set_back_is_not_of_it(story: Story) -> None:
    for at, objects in ((10, 5), (11, 5), (-60, 70), (-59, 5), (12, 5)):
        story.poll(at, off(10, objects))
    assert one_span(story.told(0, 20).incidents).worst == Much(5, 500, 2)


def test_a_finding_is_as_severe_as_it_was_at_its_worst(story: Story) -> None:
    for at, severity in enumerate((Severity.HIGH, Severity.CRITICAL, Severity.MEDIUM)):
        story.poll(at, off(0, severity=severity))
    assert one_span(story.told(0, 4).incidents).severity is Severity.CRITICAL


def test_what_was_seen_before_a_clock_was_set_back_ends_there(story: Story) -> None:
    story.polls(0, 6)
    story.poll(-60, readings=[an_aws_key()], needed=[AWS_KEY], whole=False)
    story.polls(8)
    assert spans(story.told(0, 14).polls.blind) == [(6, 8)]


def test_a_clock_that_is_learnt_anew_by_a_second_is_not_set_back(story: Story) -> None:
    story.poll(0)
    story.poll(1)
    story.poll(1 - 1 / 60, readings=[an_aws_key()], whole=False)
    story.polls(2, 3)
    told = story.told(0, 4)
    assert (told.set_back, told.polls.blind) == ((), ())


def test_a_clock_that_was_ahead_ends_no_period_early(story: Story) -> None:
    story.polls(0, 1)
    story.poll(500, off(500))
    story.poll(2, off(500))
    story.polls(3, 4)
    told = story.told(0, 5)
    assert one_span(told.incidents).ended == NOW + 3 * STEP
    assert [one.by for one in told.set_back] == [498 * STEP]
    assert told.polls.blind == ()


def test_the_course_has_the_most_of_each_part_and_nothing_where_nobody_looked(story: Story) -> None:
    story.polls(0, interval=TURN)
    for moment, objects in ((60.5, 5), (60.6, 70), (60.7, 2)):
        found = data(AWS_KEY, OFF, objects, 10 * objects, 1)
        unknown = data(key(2), Readability.UNKNOWN, 1)
        story.poll(moment, off(60.5), assessed=[found, unknown], interval=TURN)
    story.polls(600, interval=TURN)
    told = story.told(0, 660).course
    at = {(one.stretch.begin - NOW) / STEP: one for one in told}
    assert (len(told), told[0].stretch.begin, told[-1].stretch.end) == (110, NOW, NOW + 660 * STEP)
    assert at[60].stopped == Much(70, 700, 1)
    assert at[60].unknown == Much(1, 1000, 2)
    assert (at[66].stopped, at[120].stopped) == (Much(2, 20, 1), Much(2, 20, 1))  # as long as the last one stands
    assert (at[126].stopped, at[594].stopped) == (None, None)
    assert (at[0].stopped, at[54].stopped, at[600].stopped) == (Much(), Much(), Much())
    assert len(story.told(0, 6 * 300).course) == 200


def test_of_what_nobody_counted_the_number_is_not_known(story: Story) -> None:
    story.poll(0, off(0), assessed=[data(AWS_KEY, OFF, None, None, 3)])
    told = story.told(0, 1)
    assert told.worst == Much(None, None, 3)


def test_buckets_tell_their_sweeps_and_the_longest_time_without_one(story: Story) -> None:
    story.sweep(0)
    turns(story, 1)
    story.sweep(120)
    story.sweep(180, complete=False)
    turns(story, 4)
    story.sweep(600)
    turns(story, 11, buckets=(a_bucket(resolved=9), a_bucket("s3://new", complete=False, listed=0)))
    turns(story, 12)
    old, new = story.told(60, 780).buckets
    assert (old.bucket, old.complete, old.failed, old.last_complete) == ("s3://data", 2, 1, NOW + 600 * STEP)
    assert (old.longest_without, old.unswept, old.least_coverage) == (480 * STEP, timedelta(0), 0.9)
    assert (old.configured, old.incomplete) == (12 * TURN, TURN)
    assert story.told(500, 610).buckets[0].longest_without == 480 * STEP  # from before the period on
    assert (new.bucket, new.complete, new.last_complete, new.longest_without) == ("s3://new", 0, None, None)
    assert (new.configured, new.unswept, new.least_coverage) == (TURN, TURN, 0)


def test_a_bucket_that_leaves_the_config_is_missed_no_more(story: Story) -> None:
    story.sweep(0)
    turns(story, 0, 1)
    turns(story, 2, 30, buckets=())
    (one,) = story.told(0, 31 * 60).buckets
    assert (one.longest_without, one.configured) == (2 * TURN, 2 * TURN)


def test_gaps_tell_when_they_stood(story: Story) -> None:
    gap = Gap("s3://data", Reason.ACCESS_DENIED, "nothing of it is known", "grant it")
    turns(story, 0)
    turns(story, 1, 2, gaps=(gap,))
    turns(story, 3)
    turns(story, 4, gaps=(gap,))
    told = story.told(90, 300).gaps
    assert [(one.gap, one.first_seen, one.ended, one.in_period) for one in told] == [
        (gap, NOW + TURN, NOW + 3 * TURN, 90 * STEP),
        (gap, NOW + 4 * TURN, None, TURN),
    ]
    assert len(story.told(200, 230).gaps) == 0


def test_a_period_is_a_time_of_its_own() -> None:
    assert between(0, 10).within(between(20, 30)).length == timedelta(0)
    assert Stretch(NOW, NOW - STEP).length == timedelta(0)
