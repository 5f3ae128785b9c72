"""What the report on a period shows: one frozen page, every number and word of it made from what the ledger tells."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import accumulate, groupby
from typing import Final

from auditor.outputs import period_words, words
from auditor.outputs.timescale import Scale
from auditor.questions.period.answer import (
    BucketWatch,
    Chronicle,
    GapSpan,
    Incident,
    KeyWatch,
    Much,
    Point,
    Repair,
    Span,
    repairs,
)
from auditor.questions.period.stretches import NOTHING, Stretch

_ROWS: Final = 40
"""As many incidents the timeline has, the worst of them."""
_SPANS: Final = 300
"""As many findings a table has, the worst incidents first."""
_OF_ONE: Final = 10
"""As many of one incident, the last ones."""
_BARS: Final = 100
"""As many bars of one incident, the last ones."""
_BLIND: Final = 100
_KEYS: Final = 100
_BUCKETS: Final = 200
_GAPS: Final = 100
_JUDGES: Final = 50
_LEAST_WIDTH: Final = 0.25
"""Percent of the line: what is shorter is drawn as wide, so that it is seen."""
_LEAST_HEIGHT: Final = 2.0
"""Likewise of a column."""
_STAMP: Final = 12
"""As much of a digest as tells two apart."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar of a line; x and width in percent."""

    x: float
    width: float
    kind: str
    """A readability, or `blind`, `waived`, `coming`."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the timeline."""

    name: str
    note: str
    anchor: str
    """Of the incident in the table; empty for what is none."""
    bars: tuple[Bar, ...]
    told: str
    """The same in words."""


@dataclass(frozen=True, slots=True)
class SpanView:
    """One finding of an incident."""

    id: str
    rule: str
    severity: str
    readability: str
    kind: str
    name: str
    since: str
    since_source: str
    ended: str
    ending: str
    is_open: bool
    lasted: str
    in_period: str
    """Empty where all of it was in the period."""
    unobserved: str
    """Empty where none of it was not observed."""
    worst: tuple[str, ...]
    """Objects, bytes, namespaces, each with its noun; empty where it was told in no judgement of the period."""
    last: tuple[str, ...]
    waived: str
    turned_back: bool


@dataclass(frozen=True, slots=True)
class IncidentView:
    """Findings that took over from one another."""

    anchor: str
    spans: tuple[SpanView, ...]
    count: int
    """How many there are; the last ones are shown."""
    lasted: str
    """Of all of them; empty where there is one."""


@dataclass(frozen=True, slots=True)
class Chart:
    """The course of one number; x, width and height in percent."""

    title: str
    most: str
    columns: tuple[tuple[float, float, float], ...]
    blind: tuple[Bar, ...]
    kind: str


@dataclass(frozen=True, slots=True)
class PeriodPage:
    """Everything that the template may show; nothing is computed there."""

    period: str
    made: str
    observed: str
    found: str
    tone: str
    """`stopped`, `unknown` or `fine`."""
    notes: tuple[str, ...]
    share: str
    polled: str
    incidents: str
    worst: str
    worst_size: str
    repaired: str
    repair_note: str
    answered: str
    swept: str
    rows: tuple[Row, ...]
    rows_left_out: int
    marks: tuple[tuple[float, str], ...]
    stopped: tuple[IncidentView, ...]
    stopped_left_out: int
    others: tuple[IncidentView, ...]
    others_left_out: int
    repairs: tuple[tuple[str, str, str, str, str, str, str, str, str], ...]
    charts: tuple[Chart, ...]
    course: tuple[tuple[str, str, str, str, str, str, str], ...]
    """(from, to, observed, objects, bytes, namespaces, not known)."""
    blind: tuple[tuple[str, str, str], ...]
    blind_left_out: int
    keys: tuple[tuple[str, str, float, str, str, str], ...]
    """(key, observed, share in percent, needed, longest blind, not told)."""
    keys_left_out: int
    buckets: tuple[tuple[str, str, str, str, str, str, str], ...]
    buckets_left_out: int
    gaps: tuple[tuple[str, str, str, str, str, str], ...]
    gaps_left_out: int
    judges: tuple[tuple[str, str, str, str], ...]
    judges_left_out: int
    method: tuple[tuple[str, str], ...]
    ledger_head: str


def view(one: Chronicle, made: datetime, version: str) -> PeriodPage:
    """Build the page's view."""
    scale = Scale(one.period)
    blind = tuple(_blind(one, scale))
    stopped = sorted(one.stopped, key=_worst_first)
    named = {id(each): f"i{number}" for number, each in enumerate(one.incidents, 1)}
    shown = set(map(id, stopped))
    others = sorted((each for each in one.incidents if id(each) not in shown), key=_worst_first)
    keys = [each for each in one.keys if each.observed < each.needed] or list(one.keys)
    longest_blind = sorted(one.polls.blind, key=lambda each: -each.length)[:_BLIND]
    return PeriodPage(
        period=period_words.of_period(one.period),
        made=words.instant(made),
        observed=period_words.tied(period_words.observed(one)),
        found=period_words.tied(period_words.found(one)),
        tone=_tone(one),
        notes=tuple(map(period_words.tied, period_words.notes(one))),
        share=period_words.percent(one.share) if one.share is not None else words.NOT_KNOWN,
        polled=period_words.tied(period_words.polled(one)),
        incidents=words.number(len(stopped)) if one.polls.observed or stopped else words.NOT_KNOWN,
        worst=f"{words.counted(one.worst.objects, 'object')} at most at a time" if one.polls.observed else "",
        worst_size=words.size(one.worst.size) if one.polls.observed else "",
        repaired=_repaired(stopped),
        repair_note=period_words.tied(period_words.repaired(tuple(stopped))) if one.polls.observed else words.NOT_KNOWN,
        answered=_answered(one),
        swept=period_words.tied(_swept(one)),
        rows=tuple(_rows(one, stopped[:_ROWS], scale, blind, named)),
        rows_left_out=max(0, len(stopped) - _ROWS),
        marks=scale.marks(),
        stopped=tuple(_incident(each, one, named) for each in _first(stopped)),
        stopped_left_out=len(stopped) - len(_first(stopped)),
        others=tuple(_incident(each, one, named) for each in _first(others)),
        others_left_out=len(others) - len(_first(others)),
        repairs=tuple(_repair(each) for each in repairs(one.incidents)),
        charts=tuple(_charts(one, scale, blind)),
        course=tuple(_course(one)),
        blind=tuple(_stretch(each) for each in sorted(longest_blind)),
        blind_left_out=max(0, len(one.polls.blind) - _BLIND),
        keys=tuple(_key(each) for each in keys[:_KEYS]),
        keys_left_out=max(0, len(one.keys) - len(keys[:_KEYS])),
        buckets=tuple(_bucket(each) for each in one.buckets[:_BUCKETS]),
        buckets_left_out=max(0, len(one.buckets) - _BUCKETS),
        gaps=tuple(_gap(each) for each in sorted(one.gaps, key=lambda each: -each.in_period)[:_GAPS]),
        gaps_left_out=max(0, len(one.gaps) - _GAPS),
        judges=tuple(
            (words.instant(each.first), each.version, each.rules_version, each.config_digest[:_STAMP])
            for each in one.judges[-_JUDGES:]
        ),
        judges_left_out=max(0, len(one.judges) - _JUDGES),
        method=tuple(_method(one, version)),
        ledger_head=one.chain.head,
    )


def _worst_first(one: Incident) -> tuple[bool, int, int, timedelta, str]:
    return (
        one.ended is not None,
        -one.severity.rank,
        -(one.worst.objects or 0),
        -one.stopped_in_period,
        one.spans[0].id,
    )


def _tone(one: Chronicle) -> str:
    if one.stopped:
        return "stopped"
    is_whole = one.share == 1 and not one.silent_keys and not any(each.incomplete for each in one.buckets)
    return "fine" if is_whole else "unknown"


def _repaired(stopped: list[Incident]) -> str:
    found = repairs(stopped)
    worst = max((each.worst for each in found if each.worst is not None), default=None)
    return period_words.at_most(worst) if worst is not None else "none"


def _answered(one: Chronicle) -> str:
    if not one.keys:
        return "No key was known to be needed."
    silent = len(one.silent_keys)
    every = words.counted(len(one.keys), "key")
    return f"{silent:,} of {every} did not tell for some time" if silent else f"{every} told whenever asked"


def _swept(one: Chronicle) -> str:
    if not one.buckets:
        return "No bucket was known to be in the config."
    ends = sum(each.complete for each in one.buckets)
    longest = max((each.longest_without for each in one.buckets if each.longest_without is not None), default=None)
    without = f", at most {period_words.at_most(longest)} without one" if longest is not None else ""
    never = sum(each.last_complete is None for each in one.buckets)
    return (
        f"{words.counted(ends, 'complete sweep')} of {words.counted(len(one.buckets), 'bucket')}{without}"
        f"{f'; {never:,} never swept whole' if never else ''}"
    )


def _blind(one: Chronicle, scale: Scale) -> Iterator[Bar]:
    """When nobody looked, as few bars as can be told from one another; and what is to come."""
    x = end = -1.0
    for each in one.polls.blind:
        first, width = scale.part(each)
        width = max(width, _LEAST_WIDTH)
        if first > end:
            if end > x:
                yield Bar(x, round(end - x, 3), "blind")
            x = min(first, 100 - width)
        end = max(end, x + width, first + width)
    if end > x:
        yield Bar(x, round(min(end, 100.0) - x, 3), "blind")
    if one.until < one.period.end:
        yield Bar(*scale.part(Stretch(max(one.until, one.period.begin), one.period.end)), "coming")


def _rows(
    one: Chronicle, incidents: list[Incident], scale: Scale, blind: tuple[Bar, ...], named: dict[int, str]
) -> Iterator[Row]:
    yield Row("observed", period_words.tied(period_words.polled(one)), "", blind, period_words.observed(one))
    for each in incidents:
        first = each.spans[0]
        drawn = [span for span in each.spans if span.is_stopped and (span.in_period or span.worst is not None)][-_BARS:]
        bars = tuple(bar for span in drawn for bar in _bars(span, one, scale))
        told = "; ".join(f"{span.readability} from {_from(span)} to {_to(span, one)}" for span in drawn)
        note = period_words.tied(f"{words.KINDS[first.subject.kind]}, {period_words.at_most(each.stopped_in_period)}")
        yield Row(_name(first), note, named[id(each)], (*bars, *blind), told)


def _bars(span: Span, one: Chronicle, scale: Scale) -> Iterator[Bar]:
    until = span.ended or one.until
    # One that a clock has turned round is drawn where it was seen first.
    yield _wide(scale.part(Stretch(span.since, until)), str(span.readability))
    for each in span.waived:
        yield _wide(scale.part(each.within(one.over)), "waived")


def _wide(part: tuple[float, float], kind: str) -> Bar:
    x, width = part[0], max(part[1], _LEAST_WIDTH)
    return Bar(min(x, 100 - width), width, kind)


def _first(some: list[Incident]) -> list[Incident]:
    """As many as a table has."""
    behind = accumulate(min(_OF_ONE, len(one.spans)) for one in some)
    return [one for one, count in zip(some, behind, strict=True) if count <= _SPANS]


def _incident(one: Incident, beside: Chronicle, named: dict[int, str]) -> IncidentView:
    count = len(one.spans)
    spans = tuple(_span(each, one, beside) for each in one.spans[-_OF_ONE:])
    return IncidentView(named[id(one)], spans, count, period_words.at_most(one.lasted) if count > 1 else "")


def _span(one: Span, of: Incident, beside: Chronicle) -> SpanView:
    waived = sum((each.length for each in one.waived), NOTHING)
    return SpanView(
        id=one.id,
        rule=one.rule,
        severity=one.severity.value,
        readability=one.readability.value if one.readability is not None else "",
        kind=words.kind(one.subject),
        name=_name(one),
        since=_from(one),
        since_source=words.SINCE[one.since_source],
        ended=_to(one, beside),
        ending=period_words.ending(one, beside.until, of.spans),
        is_open=one.ended is None,
        lasted=period_words.at_most(one.lasted),
        in_period=period_words.at_most(one.in_period) if one.in_period < one.lasted else "",
        unobserved=period_words.at_most(one.unobserved) if one.unobserved else "",
        worst=_counted(one.worst),
        last=_counted(one.last),
        waived=period_words.at_most(waived) if waived else "",
        turned_back=one.turned_back,
    )


def _counted(one: Much | None) -> tuple[str, ...]:
    if one is None:
        return ()
    if one.objects == 0:
        return ("no data",)
    size = (words.size(one.size),) if one.size is not None else ()
    return words.counted(one.objects, "object"), *size, words.counted(one.namespaces, "namespace")


def _amounts(one: Much) -> tuple[str, str, str]:
    return words.number(one.objects), words.size(one.size), words.number(one.namespaces)


def _name(one: Span) -> str:
    return words.short(one.subject.id.rpartition(" -> ")[2])


def _from(one: Span) -> str:
    return period_words.moment(one.since)


def _to(one: Span, beside: Chronicle) -> str:
    return period_words.moment(one.ended) if one.ended is not None else f"{period_words.moment(beside.until)}, open"


def _repair(one: Repair) -> tuple[str, str, str, str, str, str, str, str, str]:
    def told(length: timedelta | None) -> str:
        return period_words.at_most(length) if length is not None else "-"

    return (
        one.severity.value,
        words.number(one.incidents),
        words.number(one.repaired),
        told(one.median),
        told(one.worst),
        words.number(one.open),
        told(one.longest_open),
        words.number(one.otherwise),
        words.number(one.waived),
    )


@dataclass(frozen=True, slots=True)
class _Drawn:
    """One number of the course."""

    title: str
    of: Callable[[Point], Much | None]
    number: Callable[[Much], int | None]
    told: Callable[[int | None], str]
    kind: str = "unreadable"


_DRAWN: Final = (
    _Drawn("bytes that could not be read", lambda one: one.stopped, lambda much: much.size, words.size),
    _Drawn("objects that could not be read", lambda one: one.stopped, lambda much: much.objects, words.number),
    _Drawn("namespaces with such data", lambda one: one.stopped, lambda much: much.namespaces, words.number),
    _Drawn("bytes of which it was not known", lambda one: one.unknown, lambda much: much.size, words.size, "unknown"),
)


def _charts(one: Chronicle, scale: Scale, blind: tuple[Bar, ...]) -> Iterator[Chart]:
    for each in _DRAWN:
        numbers = [(point.stretch, each.number(much) if (much := each.of(point)) else None) for point in one.course]
        most = max((count for _, count in numbers if count is not None), default=None)
        if most or each.kind != "unknown":
            yield Chart(each.title, each.told(most), tuple(_columns(numbers, most or 0, scale)), blind, each.kind)


def _columns(
    numbers: list[tuple[Stretch, int | None]], most: int, scale: Scale
) -> Iterator[tuple[float, float, float]]:
    """Parts in a row with the same number as one column."""
    for count, some in groupby(numbers, key=lambda pair: pair[1]):
        parts = [stretch for stretch, _ in some]
        if count:
            x, width = scale.part(Stretch(parts[0].begin, parts[-1].end))
            yield x, width, round(max(_LEAST_HEIGHT, 100 * count / most), 2)


def _course(one: Chronicle) -> Iterator[tuple[str, str, str, str, str, str, str]]:
    """Parts in a row in which all is alike are told as one."""

    def alike(point: Point) -> tuple[Much | None, Much | None, bool]:
        return point.stopped, point.unknown, point.observed == point.stretch.within(one.over).length

    for (stopped, unknown, _), some in groupby((each for each in one.course if each.stretch.begin < one.until), alike):
        parts = list(some)
        whole = Stretch(parts[0].stretch.begin, min(parts[-1].stretch.end, one.until))
        seen = sum((part.observed for part in parts), NOTHING)
        objects, size, namespaces = _amounts(stopped) if stopped is not None else (words.NOT_KNOWN,) * 3
        yield (
            period_words.moment(whole.begin),
            period_words.moment(whole.end),
            period_words.percent(seen / whole.length) if whole.length else "-",
            objects,
            size,
            namespaces,
            f"{words.counted(unknown.objects, 'object')}, {words.size(unknown.size)}"
            if unknown is not None
            else words.NOT_KNOWN,
        )


def _stretch(one: Stretch) -> tuple[str, str, str]:
    return words.exactly(one.begin), words.exactly(one.end), period_words.at_most(one.length)


def _key(one: KeyWatch) -> tuple[str, str, float, str, str, str]:
    share = one.observed / one.needed
    silent = sum((each.length for each in one.silent), NOTHING)
    told = f"{words.counted(len(one.silent), 'time')}, {period_words.at_most(silent)}" if silent else "never"
    longest = period_words.at_most(one.longest_blind) if one.longest_blind else "never"
    return (
        words.short(one.key),
        period_words.percent(share),
        round(100 * share, 1),
        period_words.at_most(one.needed),
        longest,
        told,
    )


def _bucket(one: BucketWatch) -> tuple[str, str, str, str, str, str, str]:
    def long(length: timedelta) -> str:
        return period_words.at_most(length) if length else "never"

    return (
        one.bucket,
        words.number(one.complete),
        words.number(one.failed),
        period_words.at_most(one.longest_without) if one.longest_without is not None else "never swept whole",
        long(one.unswept),
        long(one.incomplete),
        period_words.percent(one.least_coverage) if one.least_coverage is not None else words.NOT_KNOWN,
    )


def _gap(one: GapSpan) -> tuple[str, str, str, str, str, str]:
    return (
        one.gap.what,
        one.gap.reason.value,
        one.gap.effect,
        period_words.moment(one.first_seen),
        period_words.moment(one.ended) if one.ended is not None else "open",
        period_words.at_most(one.in_period),
    )


def _method(one: Chronicle, version: str) -> Iterator[tuple[str, str]]:
    polls, chain = one.polls, one.chain
    yield "period", f"{words.exactly(one.period.begin)} to {words.exactly(one.period.end)}, the end not included"
    yield "asked at", f"{words.exactly(one.asked)} by this machine's clock"
    yield "ledger", f"{chain.events:,} events, chain head {chain.head}; every event that counts here was checked"
    if chain.began is not None:
        newest = f", the newest of the period at {words.exactly(chain.newest)}" if chain.newest is not None else ""
        yield "judgements", f"the first of all at {words.exactly(chain.began)}{newest}"
    counted = f"{polls.whole:,} of all keys, {polls.few:,} of a few, {polls.silent:,} in which no key told anything"
    yield "polls", f"{counted}; time between two that was promised: {period_words.promised(polls)}"
    yield "cmek-auditor", f"version {version} made this page; by what was judged is below"
