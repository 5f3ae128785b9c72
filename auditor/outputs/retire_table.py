"""Which key versions may go, on a terminal: what is proven first, then what stands in the way of the rest."""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from auditor.log import visible
from auditor.model import Cloud
from auditor.moments import day
from auditor.outputs import last_use, words
from auditor.outputs.impact_table import COUNTED
from auditor.prices import KEY_SOURCE
from auditor.questions.retire.standing import MANAGED, SETTLES, Candidate, Recorded, Retiring, Step, Use

_ORDER: Final = (Use.UNUSED, Use.NOT_PROVEN, Use.TAKES_NEW_DATA, Use.IN_USE)
_STYLES: Final = {Use.UNUSED: "green", Use.NOT_PROVEN: "yellow", Use.IN_USE: "", Use.TAKES_NEW_DATA: ""}
_TOLD: Final = {
    Use.UNUSED: "proven unused",
    Use.NOT_PROVEN: "without known data, which is not proven",
    Use.TAKES_NEW_DATA: "without data, where new data may come",
    Use.IN_USE: "in use",
}


def retiring(one: Retiring) -> RenderableType:
    """Tell the whole answer; what must never be done before something else was is not told beside it."""
    if not one.candidates:
        return Group(_plain("Of no key version anything is known.", "bold"), *_last_uses(one), *_gaps(one))
    shown = [each for each in one.candidates if each.standing.use is not Use.IN_USE] or one.candidates
    table = _table(shown, one.now)
    more = len(one.candidates) - len(shown)
    left = [_plain(f"and {words.number(more)} in use; --format json has them all", "dim")] if more else []
    told: tuple[RenderableType, ...] = (
        table,
        *left,
        *_counted(one),
        _costs(one),
        *_steps(one),
        *_last_uses(one),
        *_gaps(one),
    )
    return Group(_plain(verdict(one), "bold"), Text(), *told)


def destroying(one: Retiring) -> RenderableType:
    """Tell the commands that destroy what has waited long enough; beside them only what last uses say, where asked."""
    ready = [each for each in one.candidates if each.next.step is Step.DESTROY]
    is_held_back = any(each.recorded is Recorded.NOT_KNOWN for each in one.candidates)
    more = [*_gaps(one)] if is_held_back else []
    if one.last_uses_asked and all(each.recorded is Recorded.NOT_ASKED for each in one.candidates):
        more.extend(_last_uses(one))
    if not ready:
        known = " and whose last use is known" if is_held_back else ""
        none = f"Nothing that is proven unused{known} has been disabled for as long as the policy asks."
        return Group(_plain(none, "bold"), *more)
    count = words.counted(len(ready), "key version")
    lines = [_plain(f"{count} may be destroyed; once it is done, nothing brings them back.", "bold")]
    for each in ready:
        lines.append(_plain(f"# {words.short(each.name)}: disabled since {_day(each.standing.disabled)}", "dim"))
        if each.recorded is not Recorded.NOT_ASKED:
            lines.append(_plain(f"# last use: {last_use.told(each, one.now)}", "dim"))
        lines.append(_plain(each.call or ""))
    return Group(*lines, *more)


def verdict(one: Retiring) -> str:
    """The answer in one sentence."""
    counts = Counter(each.standing.use for each in one.candidates)
    parts = [f"{words.number(counts[use])} {_TOLD[use]}" for use in _ORDER if counts[use]]
    return f"Of {words.counted(len(one.candidates), 'key version')}: {'; '.join(parts)}."


def _table(shown: Sequence[Candidate], now: datetime) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in ("key or version", "state", "use"):
        table.add_column(name)
    for name in ("objects", "bytes", "a month"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("next")
    for each in sorted(shown, key=lambda each: _ORDER.index(each.standing.use)):
        found = each.standing
        table.add_row(
            _plain(words.short(each.name)),
            _plain(words.state(found.state, each.key.cloud)),
            _plain(found.use.replace("_", " "), _STYLES[found.use]),
            _plain(words.number(found.objects)),
            _plain(words.size(found.size)),
            _plain(_usd(each.month) if each.month is not None else "unknown"),
            _plain(_next(each, now)),
        )
    return table


def _counted(one: Retiring) -> Iterator[Text]:
    """Under which other names data counts as well."""
    for key, others in dict.fromkeys((each.key, each.others) for each in one.candidates):
        for name in others:
            yield _plain(f"{words.short_key(key)}: {COUNTED.format(name=name)}", "dim")


def _costs(one: Retiring) -> Text:
    """What all of them cost, and what those that are proven unused would save."""
    known = [(each, each.month) for each in one.candidates if each.month is not None]
    every = sum(month for _, month in known)
    saved = sum(month for each, month in known if each.standing.use is Use.UNUSED)
    more = len(one.candidates) - len(known)
    left = f", without {words.number(more)} of unknown price" if more else ""
    told = f"estimated: {_usd(every)} a month for all by list price{left}; the proven unused save "
    return _plain(f"{told}{_usd(saved)} ({KEY_SOURCE})", "dim")


def _usd(amount: float) -> str:
    return f"${amount:,.2f}"


def _next(each: Candidate, now: datetime) -> str:
    match each.next.step:
        case Step.DISABLE:
            return "disable it"
        case Step.WAIT if each.next.at is not None:
            return f"wait until {_day(each.next.at)}, {words.until(each.next.at, now)}"
        case Step.DESTROY:
            return "retire --destroy"
        case _:
            return _not_yet(each, now)


def _not_yet(each: Candidate, now: datetime) -> str:
    """What stands before any step."""
    since = each.standing.resting
    match each.standing.use:
        case Use.UNUSED:
            return "nothing: it is on its way out" if each.standing.state == "DESTROY_SCHEDULED" else "wait"
        case Use.NOT_PROVEN if since is not None and now < since + SETTLES:
            return f"scan after {words.instant(since + SETTLES)}, see below"
        case Use.NOT_PROVEN:
            return "mend what is told below, then scan"
        case Use.TAKES_NEW_DATA if each.key.cloud is Cloud.AWS:
            return "ask `impact`: only once it is disabled a proof is possible"
        case Use.TAKES_NEW_DATA:
            return "nothing, while it is the primary version"
        case Use.IN_USE if MANAGED in each.standing.reasons:
            return f"nothing: {MANAGED}"
        case _:
            return "nothing, while new data comes" if since is None else "move its data first"


def _steps(one: Retiring) -> Iterator[Text]:
    if calls := [each.call for each in one.candidates if each.next.step is Step.DISABLE and each.call]:
        yield Text()
        yield _plain("Disabling can be undone at any time; whoever misses something will say so:")
        yield from (_plain(call, "green") for call in calls)
    if held := [each for each in one.candidates if each.standing.use is Use.NOT_PROVEN]:
        yield Text()
        yield _plain("Not proven:")
        # A bucket that is not known stands in the way of every version alike.
        first, *others = (each.standing.reasons for each in held)
        shared = [why for why in first if others and all(why in one for one in others)]
        yield from (_plain(f"all {words.number(len(held))} of them: {why}", "yellow") for why in shared)
        for each in held:
            own = (why for why in each.standing.reasons if why not in shared)
            yield from (_plain(f"{words.short(each.name)}: {why}", "yellow") for why in own)


def _last_uses(one: Retiring) -> Iterator[Text]:
    if told := list(last_use.lines(one)):
        yield Text()
        yield from (_plain(line, "dim") for line in told)


def _gaps(one: Retiring) -> Iterator[Text]:
    for gap in one.gaps:
        yield _plain(f"gap: {words.short(gap.what)}: {gap.effect} [{gap.reason}]; {gap.hint}", "yellow")


def _day(moment: datetime | None) -> str:
    return day(moment) if moment is not None else "an unknown day"


def _plain(text: str, style: str = "") -> Text:
    return Text(visible(text), style=style)
