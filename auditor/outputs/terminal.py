"""The judgement on a terminal: the verdict, the findings worst first, what is missing; hostile names made harmless."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from math import ceil
from typing import Final, TextIO

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from auditor.controls.framework import Control, Framework
from auditor.findings import BucketCoverage, Demand, Finding, Judgement, Severity, Status
from auditor.log import visible
from auditor.model import Gap, Requests, split_version
from auditor.outputs import summary, words
from auditor.outputs.accepting import waiver_of
from auditor.prices import PRICES, Estimate, Price, RegistryEstimate, together, usd
from auditor.waiver import Waiver

_STYLES: Final = {
    Severity.CRITICAL: "bold red",
    Severity.HIGH: "bold yellow",
    Severity.MEDIUM: "cyan",
    Severity.LOW: "dim",
}
_NARROW: Final = 100
_WIDE: Final = 140
"""Columns from which on a table has room to tell who did it."""
_NO_WIDTH: Final = 100_000
_GAPS: Final = 10
_ID: Final = 8
"""Digits of a finding's id: enough for `explain` to find it by."""
_PRICES: Final = "estimated: USD by list price; Region and storage class decide (docs/requests.md)"


def plain(out: TextIO) -> Console:
    """Open a console for texts and tables; a file or a pipe has no width, so that no line folds there."""
    width = None if out.isatty() else _NO_WIDTH
    return Console(file=out, width=width, highlight=False, markup=False, emoji=False)


def show(judgement: Judgement, console: Console, *, most: int = 30) -> None:
    """Print the whole answer; of more than `most` findings, the worst."""
    console.print(_plain(summary.verdict(judgement), "bold"))
    console.print(_clock(judgement))
    current = [one for one in judgement.findings if one.status is Status.OPEN]
    if current:
        console.print()
        console.print(findings(current[:most], judgement.now, console))
    if len(current) > most:
        counts = Counter(one.severity for one in current[most:])
        rest = ", ".join(f"{counts[one]} {one}" for one in reversed(Severity) if counts[one])
        console.print(_plain(f"and {len(current) - most} more ({rest}); --format json has all of them", "dim"))
    for line in _waived(judgement, most):
        console.print(_plain(line, "dim"))
    ended = [one for one in judgement.findings if one.status is Status.RESOLVED]
    for one in ended:
        console.print(_plain(f"resolved: {one.rule} {words.short(one.subject.id)}", "green"))
    console.print()
    console.print(_plain(summary.complete(judgement)))
    for gap in sorted(judgement.gaps, key=_is_of_one_key)[:_GAPS]:
        console.print(_plain(f"gap: {words.short(gap.what)}: {gap.effect} [{gap.reason}]; {gap.hint}", "yellow"))
    if (left := len(judgement.gaps) - _GAPS) > 0:
        console.print(_plain(f"and {words.counted(left, 'more gap')}; --format json has all of them", "yellow"))


def _is_of_one_key(gap: Gap) -> bool:
    """Whether only what hangs on one key is unknown for it: buckets, registries and lists may hide more."""
    try:
        split_version(gap.what)
    except ValueError:
        return False
    return True


def _waived(judgement: Judgement, most: int) -> Iterator[str]:
    """Each finding that is accepted for a time, with who answers for it."""
    found = [one for one in judgement.findings if one.status is Status.WAIVED]
    for one in found[:most]:
        name = words.short(_without_arrow(one.subject.id))
        owner = ", ".join(each.owner for each in waivers_of(one, judgement))
        until = words.through(one.waived_until) if one.waived_until else ""
        yield f"waived until {until} by {owner}: {one.severity} {one.rule} {name} {one.id[:_ID]}"
    if len(found) > most:
        yield f"and {len(found) - most} more waived; --format json has all of them"


def waivers_of(one: Finding, judgement: Judgement) -> Sequence[Waiver]:
    """Tell by which exceptions a finding is waived now."""
    given = (each.waiver for each in judgement.waivers if one.id in each.covers)
    return [each for each in given if each.until > judgement.now] if one.status is Status.WAIVED else []


def sent(buckets: Iterable[BucketCoverage]) -> RenderableType:
    """Tell of each bucket what its newest attempt asked, and what that costs by list price."""
    table = _numbers("swept", "LIST", "HEAD", "other", "estimated")
    notes = []
    for one in buckets:
        if one.sent is None:
            table.add_row(_plain(one.bucket), *[_plain("not counted")] * 4)
            continue
        table.add_row(_plain(one.bucket), *_requests(one.bucket, one.sent))
        if one.kept:
            notes.append(
                f"{one.bucket}: without the requests for {words.counted(one.kept, 'object')} that an earlier attempt "
                "had listed"
            )
    return Group(table, *(_plain(note, "dim") for note in notes), _plain(_PRICES, "dim"))


def estimates(found: Sequence[Estimate], rate: float, registries: Sequence[RegistryEstimate] = ()) -> RenderableType:
    """Tell of each bucket what a sweep would ask, cost and take; `rate`: requests a second, a bucket."""
    known = [(one, one.needed) for one in found if one.needed is not None]
    table = _numbers("bucket", "objects", "LIST", "HEAD", "other", "estimated", "at least")
    for one, needed in known:
        left = timedelta(seconds=ceil(needed.total / rate))
        row = [_plain(words.number(one.objects)), *_requests(one.bucket, needed), _plain(words.span(left))]
        table.add_row(_plain(one.bucket), *row)
    if len(known) > 1:
        every = together(found)
        counts = (every.objects, every.requests.lists, every.requests.heads, every.requests.others)
        longest = timedelta(seconds=max(ceil(needed.total / rate) for _, needed in known))
        numbers = (*map(words.number, counts), words.dollars(every.usd), words.span(longest))
        name = "together" if not every.unknown else f"together, without {words.counted(every.unknown, 'bucket')}"
        table.add_row(_plain(name), *map(_plain, numbers), style="bold")
    unknown = [_plain(f"{one.bucket}: unknown: {one.unknown}", "yellow") for one in found if one.needed is None]
    lacking = [
        _plain(f"{one.bucket}: {which} objects are not counted: the last sweep left them out", "yellow")
        for one in found
        if (which := " and ".join(each.replace("_", "-") for each in one.lacking))
    ]
    of_sweeps = (
        "Of a whole sweep, by what the last one counted: what was written since, and retries, are not in it.",
        f"at least: at {rate:g} requests a second, a bucket; pages wait for each other, which may take longer.",
    )
    notes = (
        *(of_sweeps if found else ["No bucket is configured: a scan sweeps none."]),
        *(_told_price(one) for one in PRICES if any(each.bucket.startswith(one.scheme) for each, _ in known)),
        *([_UNPRICED] if registries else []),
        "No request was made to any bucket, nor to any registry."
        if registries
        else "No request was made to any bucket.",
    )
    asked = [_plain(_of_registry(one)) for one in registries]
    return Group(*([table] if known else []), *unknown, *lacking, *asked, *(_plain(note, "dim") for note in notes))


_UNPRICED: Final = (
    "registries: the platform bills each namespace's metadata as a query, by the plan; no price of it is known here."
)


def _of_registry(one: RegistryEstimate) -> str:
    if one.pages is None or one.metadata is None:
        most = words.counted(one.per_sweep, "namespace")
        return f"{one.registry}: never asked: pages of its list, and metadata of {most} at most"
    pages = words.counted(one.pages, "page")
    return f"{one.registry}: {pages} of its list, metadata of {words.counted(one.metadata, 'namespace')}"


def _told_price(one: Price) -> str:
    return (
        f"estimated: list price of {one.place}: ${one.lists:g} for 1,000 lists, ${one.others:g} for 1,000 others, "
        f"{one.as_of}; {one.otherwise} ({one.source})."
    )


def _requests(bucket: str, one: Requests) -> list[Text]:
    counts = (_plain(words.number(count)) for count in (one.lists, one.heads, one.others))
    return [*counts, _plain(words.dollars(usd(bucket, one)))]


def _numbers(first: str, *others: str) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column(first, overflow="fold")
    for name in others:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def explain(one: Finding, rule: Demand | None, judgement: Judgement) -> RenderableType:
    """Tell all about one finding of a judgement."""
    now = judgement.now
    extent = one.extent
    lines = [
        _plain(f"{one.severity} · {one.rule} · {one.status} · finding {one.id}", _STYLES[one.severity]),
        _plain(words.about(one.subject)),
        Text(),
        _plain(f"cause       {one.cause}"),
        _plain(f"confidence  {one.confidence}"),
        _plain(f"since       {words.instant(one.since)} ({one.since_source.replace('_', ' ')})"),
    ]
    if who := words.attributed(one):
        lines.append(_plain(f"actor       {who}"))
    if one.status is Status.RESOLVED:
        lines.append(_plain(f"resolved    {words.instant(one.last_seen)}: what follows was so before", "bold"))
    lines.extend(
        _plain(
            f"waived      until {words.through(each.until)} by {each.owner}, approved by {each.approved_by}: "
            f"{each.reason}",
            "bold",
        )
        for each in waivers_of(one, judgement)
    )
    if one.final_at:
        lines.append(_plain(f"deadline    {words.instant(one.final_at)} ({words.until(one.final_at, now)})", "bold"))
    lines.append(_plain(f"hangs on it {words.amount(extent)}"))
    lines.extend(_plain(line) for line in words.whose(extent))
    lines.extend(_plain(f"            {name}", "dim") for name in extent.sample_namespaces)
    if left := extent.namespaces - len(extent.sample_namespaces):
        lines.append(_plain(f"            and {words.number(left)} more; --namespaces lists them all", "dim"))
    lines.extend(
        _plain(f"not known   {each.effect} [{each.reason}]; {each.hint}", "yellow")
        for each in judgement.gaps
        if each.what == one.subject.id and one.status is not Status.RESOLVED
    )
    for place, step in enumerate(one.undo, 1):
        until = f"; possible until {words.instant(step.until)}" if step.until else ""
        lines.append(_plain(f"undo {place}      {step.call}", "green"))
        lines.append(_plain(f"            by {step.who}; afterwards {step.lands_in}{until}"))
    if rule is not None and not one.meant:
        lines.append(_plain(f"remedy      {rule.remedy}"))
    lines.extend(_plain(f"evidence    {words.evidence(each)}", "dim") for each in one.evidence)
    if accepted := waiver_of(one, now):
        lines.append(_plain("to accept   fill in who answers for it and why, and put it into the config:", "dim"))
        lines.extend(_plain(f"            {line}", "dim") for line in accepted)
    return Group(*lines)


Related = Sequence[tuple[Framework, tuple[Control, ...]]]
"""The controls that a rule relates to, framework by framework."""


def explain_rule(rule: Demand, related: Related = ()) -> RenderableType:
    """Tell all about one rule."""
    told = [
        _plain(f"        {control.id}  {control.title}" if number else f"{framework.title} ({framework.id})")
        for framework, controls in related
        for number, control in enumerate((controls[0], *controls))
    ]
    heading = "It relates to these controls:" if related else "It relates to no control of a framework."
    return Group(
        _plain(f"{rule.id} · {_severity(rule)}", _STYLES[rule.severity]),
        _plain(rule.title),
        _plain(f"source  {rule.source}", "dim"),
        _plain(f"remedy  {rule.remedy}"),
        _plain(""),
        _plain(heading),
        *told,
    )


def rules(found: Iterable[tuple[Demand, Related]]) -> RenderableType:
    """Tell all rules in a table, with the controls that each relates to."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in ("rule", "severity", "demand and related controls"):
        table.add_column(name)
    for rule, related in found:
        told = Text("\n").join([_plain(_demand(rule)), *([_plain(_ids(related), "dim")] if related else [])])
        table.add_row(_plain(rule.id), _plain(rule.severity, _STYLES[rule.severity]), told)
    return table


def _ids(related: Related) -> str:
    return "; ".join(f"{framework.id} {', '.join(one.id for one in controls)}" for framework, controls in related)


def _severity(rule: Demand) -> str:
    return f"{rule.severity}; {rule.otherwise}" if rule.otherwise else rule.severity.value


def _demand(rule: Demand) -> str:
    return f"{rule.title} ({rule.otherwise})" if rule.otherwise else rule.title


def _clock(judgement: Judgement) -> Text:
    if judgement.next_loss is None:
        return _plain("No date of a next loss is known.")
    when = f"{words.instant(judgement.next_loss)}, {words.until(judgement.next_loss, judgement.now)}"
    what = summary.next_loss(judgement)
    return _plain(f"Next loss: {when}{f': {what}' if what else ''}.", "bold red")


def findings(found: Sequence[Finding], now: datetime, console: Console) -> RenderableType:
    """Tell findings in a table, or one below the other where there is no room for one."""
    if console.width < _NARROW:
        return _narrow_findings(found, now)
    return _findings(found, now, who=console.width >= _WIDE and any(one.actor is not None for one in found))


def _findings(found: Sequence[Finding], now: datetime, *, who: bool) -> RenderableType:
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("severity", no_wrap=True)
    table.add_column("rule", no_wrap=True)
    table.add_column("subject", overflow="fold")
    table.add_column("objects", justify="right", no_wrap=True)
    table.add_column("namespaces", justify="right", no_wrap=True)
    table.add_column("bytes", justify="right", no_wrap=True)
    table.add_column("deadline", no_wrap=True)
    if who:
        table.add_column("done by", overflow="fold")
    table.add_column("finding", no_wrap=True)
    for one in found:
        table.add_row(
            _plain(one.severity, _STYLES[one.severity]),
            _plain(one.rule),
            _plain(words.short(_without_arrow(one.subject.id))),
            _plain(words.number(one.extent.objects)),
            _plain(words.number(one.extent.namespaces)),
            _plain(words.size(one.extent.size)),
            _plain(words.until(one.final_at, now) if one.final_at else "", "bold"),
            *([_plain(one.actor.principal if one.actor is not None else "")] if who else []),
            _plain(one.id[:_ID], "dim"),
        )
    return table


def _narrow_findings(found: Sequence[Finding], now: datetime) -> RenderableType:
    """Each finding on lines of its own: a table would leave no room for what it is about."""
    lines: list[Text] = []
    for one in found:
        head = [_plain(f"{one.severity} ", _STYLES[one.severity]), _plain(f"{one.rule} "), _plain(one.id[:_ID], "dim")]
        lines.append(Text.assemble(*head))
        lines.append(_plain(f"  {words.short(_without_arrow(one.subject.id))}"))
        hangs = words.amount(one.extent)
        until = _plain(f", {words.until(one.final_at, now)}" if one.final_at else "", "bold")
        lines.append(Text.assemble(_plain(f"  {hangs}"), until))
        if one.actor is not None:
            lines.append(_plain(f"  by {one.actor.principal}"))
    return Group(*lines)


def _without_arrow(subject: str) -> str:
    """A principal's subject names the key behind the arrow: the table has room for the key alone."""
    return subject.rpartition(" -> ")[2]


def _plain(text: str, style: str = "") -> Text:
    return Text(visible(text), style=style)
