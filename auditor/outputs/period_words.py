"""How an account of a period is written for people: what was observed comes before what was found."""

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, time, timedelta
from typing import Final

from auditor.findings import Readability
from auditor.moments import day, minute
from auditor.outputs import words
from auditor.questions.period.answer import Chronicle, Ending, Incident, Much, Polls, Span, repairs
from auditor.questions.period.stretches import NOTHING, Stretch

_DAY: Final = timedelta(days=1)
_MINUTE: Final = timedelta(minutes=1)
_ABOUT: Final = timedelta(seconds=90)
"""What is polled as often is polled each minute."""
_SECOND: Final = timedelta(seconds=1)
_LEAST: Final = 0.01
"""Percent: more than nothing is never rounded to that, nor to more than it is."""
_MOST: Final = 99.99
"""Likewise less than all."""

_UNIT: Final = re.compile(r"(?<=[0-9]) (?=(?:%|d|h|min|s|[kMGTPE]?B)\b|%)| (?=[0-9]+ (?:h|min)\b)")
"""A space before a unit, or between the two units of one length."""

_ENDINGS: Final = {
    Ending.OTHERWISE: "cannot be read still, for another cause",
    Ending.NOT_KNOWN: "not provable any more",
    Ending.DATA_GONE: "none of its data is known any more",
}


def percent(share: float) -> str:
    """A share, never rounded to all or to nothing."""
    if share in {0.0, 1.0}:
        return f"{100 * share:.0f} %"
    return f"{min(_MOST, 100 * share):.2f} %" if 100 * share >= _LEAST else f"< {_LEAST} %"


def of_period(one: Stretch) -> str:
    """A period as it is asked for: whole days by their dates, the last one included."""
    if all(moment.time() == time() for moment in (one.begin, one.end)):
        return f"{day(one.begin)} to {day(one.end - _DAY)}"
    return f"{words.instant(one.begin)} to {words.instant(one.end)}"


def at_most(length: timedelta) -> str:
    """A length of time that is better told longer than shorter."""
    unit = _MINUTE if length >= _MINUTE else _SECOND
    return words.span(-(-length // unit) * unit).removesuffix(" 0 min").removesuffix(" 0 h")


def polled(one: Chronicle) -> str:
    """In how many minutes polls were made as promised, and the longest time in which none was."""
    minutes = one.over.length // _MINUTE
    missed = -(-(one.over.length - one.polls.observed) // _MINUTE)
    each = f" by a poll each {promised(one.polls)}" if one.polls.promised and one.polls.promised[1] > _ABOUT else ""
    blind = f", longest blind {at_most(one.polls.longest_blind)}" if one.polls.blind else ", never blind"
    some = "less than 1" if missed >= minutes and one.polls.observed else f"{max(0, minutes - missed):,}"
    return f"polled {some} of {minutes:,} minutes{each}{blind}"


def promised(one: Polls) -> str:
    """The time between two polls."""
    if one.promised is None:
        return "none"
    shortest, longest = one.promised
    return at_most(longest) if longest <= 2 * shortest else f"{at_most(shortest)} to {at_most(longest)}"


def verdict(one: Chronicle) -> str:
    """How much was observed, and then what was found in it."""
    return " ".join(filter(None, (observed(one), found(one))))


def observed(one: Chronicle) -> str:
    """How much of the period was observed."""
    if one.share is None:
        return "Nothing of the period has passed yet, so that nothing is known of it."
    if not one.polls.observed:
        return "Observed 0 % of the period: what could be read in it is not known."
    part = " that has passed" if one.until < one.period.end else ""
    return f"Observed {percent(one.share)} of the period{part}: {polled(one)}."


def found(one: Chronicle) -> str:
    """What was found in what was observed; empty where that is nothing, and nothing stood from before."""
    stopped, is_seen = one.stopped, bool(one.polls.observed)
    if not stopped:
        return "In what was observed nothing was found that encryption kept from being read." if is_seen else ""
    where = "In what was observed" if is_seen else "By what was told last"
    causes = words.counted(len(stopped), "incident")
    longest = at_most(max(each.stopped_in_period for each in stopped))
    much = f", {words.counted(one.worst.objects, 'object')} ({words.size(one.worst.size)}) at most at a time"
    left = sum(each.ending is Ending.OPEN for each in stopped)
    last = f"{left:,} of them {'is' if left == 1 else 'are'} not repaired" if left else "none of them is open"
    return (
        f"{where} encryption kept data from being read in {causes}, for {longest} in the longest"
        f"{much if is_seen else ''}; {last}."
    )


def notes(one: Chronicle) -> Iterator[str]:
    """What has to be known to read the numbers: what was not seen, and why."""
    if one.until < one.period.end:
        yield f"The period ends in {at_most(one.period.end - one.asked)}: of what comes nobody can tell."
    began = one.chain.began
    if began is None:
        yield "The ledger holds no judgement."
    elif began >= one.period.end:
        yield f"The ledger begins at {words.instant(began)}, after the period: nothing of it was observed."
    elif began > one.period.begin:
        yield f"The ledger begins at {words.instant(began)}: what was before was not observed, and is not known."
    if one.polls.silent:
        yield f"In {words.counted(one.polls.silent, 'poll')} no key told anything: they count as not made."
    if one.silent_keys:
        least = max(one.silent_keys, key=lambda each: each.needed - each.observed)
        keys = f"{len(one.silent_keys):,} of {words.counted(len(one.keys), 'key')}"
        yield (
            f"{keys} did not tell at some time although asked; the worst was not observed for "
            f"{at_most(least.needed - least.observed)} of {at_most(least.needed)}."
        )
    unswept = [each for each in one.buckets if each.unswept]
    if unswept:
        longest = at_most(max(each.unswept for each in unswept))
        yield (
            f"{len(unswept):,} of {words.counted(len(one.buckets), 'bucket')} had no complete sweep for some time, up "
            f"to {longest}: what was in them then is not known."
        )
    not_known = [each.unknown for each in one.course if each.unknown is not None and each.unknown != Much()]
    if not_known:
        most = not_known[0]
        for each in not_known[1:]:
            most = most.or_more(each)
        yield f"Of up to {amount(most)} at a time it was not known whether they could be read."
    if one.set_back:
        most_back = at_most(max(each.by for each in one.set_back))
        yield (
            f"The clock was set back {words.counted(len(one.set_back), 'time')}, by up to {most_back}: moments before "
            "and after are in no order, lengths are counted as time passed."
        )
    if one.polls.promised is None and one.polls.whole:
        yield "All polls were made outside of the daemon: each stands for its own minute."


def amount(one: Much) -> str:
    """How much data it is."""
    spaces = words.counted(one.namespaces, "namespace")
    if one.objects is None:
        return f"{spaces}, objects {words.NOT_KNOWN}"
    return f"{words.counted(one.objects, 'object')} ({words.size(one.size)}) in {spaces}"


def ending(one: Span, until: datetime, beside: Iterable[Span]) -> str:
    """What a finding came to; `beside`: those that took over from one another."""
    match one.ending:
        case Ending.OPEN:
            late = until - one.last_seen
            return f"open when looked at last, {at_most(late)} before the end" if late > _DAY else "open"
        case Ending.FOLLOWED:
            rules = sorted({each.rule for each in beside if each.id in one.followed_by})
            return f"went on as {', '.join(rules)}"
        case Ending.REPAIRED:
            return "not so any more" if one.readability in {None, Readability.UNKNOWN} else "can be read again"
        case other:
            return _ENDINGS[other]


def repaired(some: tuple[Incident, ...]) -> str:
    """How long repairs took, of all severities together."""
    every = [each for each in some if each.ending is Ending.REPAIRED]
    left = sum(each.ending is Ending.OPEN for each in some)
    if not every:
        return f"nothing repaired, {left:,} open" if left else "nothing to repair"
    worst = max(one.worst or NOTHING for one in repairs(some))
    return f"{words.counted(len(every), 'repair')}, at worst after {at_most(worst)}; {left:,} open"


def moment(at: datetime) -> str:
    """A moment to the minute in few words; UTC stands beside it once."""
    return minute(at.astimezone(UTC)).removesuffix(" UTC")


def tied(text: str) -> str:
    """Numbers that stay on one line with what they count, where lines are broken."""
    return _UNIT.sub("\N{NO-BREAK SPACE}", text)
