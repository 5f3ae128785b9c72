"""What differs between two judgements, on a terminal: the answer first, then data, keys, findings and gaps."""

from collections.abc import Iterator
from typing import Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from auditor.findings import Finding, Severity
from auditor.log import visible
from auditor.model import Gap
from auditor.outputs import diff_words, words
from auditor.questions.diff.answer import GOT_WORSE, Difference, Turn
from auditor.questions.diff.answer import Group as Alike

_MOST: Final = 20
"""Of each list; the JSON has all."""
_GAPS: Final = 10
_ID: Final = 8
_STYLES: Final = {
    **dict.fromkeys(GOT_WORSE, "red"),
    **dict.fromkeys((Turn.RESTORED, Turn.BETTER, Turn.KNOWN), "green"),
    Turn.SAME: "",
}


def difference(one: Difference) -> RenderableType:
    """Tell the whole answer."""
    return Group(*_head(one), *_data(one.data.groups), *_keys(one), *_findings(one), *_gaps(one))


def _head(one: Difference) -> Iterator[Text]:
    for name, side in (("before", one.before), ("after", one.after)):
        yield _plain(f"{name:<7} {words.exactly(side.now)}, {side.run.id}", "dim")
    yield Text()
    yield _plain(diff_words.verdict(one), "bold red" if one.worse else "bold")
    yield from (_plain(told, "dim") for told in diff_words.scope(one))


def _data(groups: tuple[Alike, ...]) -> Iterator[RenderableType]:
    if not groups:
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in ("what became of it", "bucket", "before", "after", "is now"):
        table.add_column(name, overflow="fold")
    for name in ("objects", "bytes", "namespaces"):
        table.add_column(name, justify="right", no_wrap=True)
    for each in groups[:_MOST]:
        table.add_row(
            _plain(diff_words.what(each), _STYLES[each.turn]),
            _plain(each.bucket),
            _plain(diff_words.place(each.before)),
            _plain(diff_words.after(each)),
            _plain(each.after.readability if each.after is not None else ""),
            _plain(words.number(each.objects)),
            _plain(words.size(each.size)),
            _plain(diff_words.namespaces(each.namespaces)),
        )
    yield Text()
    yield table
    yield from _more(len(groups) - _MOST, "group")


def _keys(one: Difference) -> Iterator[Text]:
    if not one.keys:
        return
    yield Text()
    yield _plain("Keys", "bold")
    for each in one.keys[:_MOST]:
        often = f", {each.times} times, last" if each.times > 1 else ","
        seen = f"{often} seen {words.exactly(each.at)}"
        yield _plain(f"{words.short_key(each.key)} {diff_words.key_change(each)}{seen}")
    yield from _more(len(one.keys) - _MOST, "change")


def _findings(one: Difference) -> Iterator[Text]:
    lines = [
        *(_line("opened", "red", each, one) for each in one.opened),
        *(_line("closed", "green", each, one) for each in one.closed),
        *(
            _plain(f"changed {_named(each.after)}: {diff_words.fields(each, one)}", "yellow" if each.is_worse else "")
            for each in one.changed
        ),
        *(_plain(f"opened, and closed again: {_named(each)}", "dim") for each in one.passed),
    ]
    if lines:
        yield Text()
        yield _plain("Findings", "bold")
    yield from lines[:_MOST]
    yield from _more(len(lines) - _MOST, "line")


def _line(word: str, style: str, one: Finding, of: Difference) -> Text:
    note = "" if one.id not in of.unseen else f" ({diff_words.NOT_COMPARED})"
    return _plain(f"{word} {_named(one)}{note}", style if one.severity is not Severity.LOW else "")


def _named(one: Finding) -> str:
    subject = words.short(one.subject.id.rpartition(" -> ")[2])
    objects = f", {words.counted(one.extent.objects, 'object')}" if one.extent.objects else ""
    return f"{one.severity} {one.rule} {subject}{objects} {one.id[:_ID]}"


def _gaps(one: Difference) -> Iterator[Text]:
    told = [
        *((gap, "gap") for gap in one.gaps),
        *((gap, "new gap") for gap in one.gaps_opened),
        *((gap, "gap on both sides") for gap in one.gaps_standing),
        *((gap, "gap before, closed now") for gap in one.gaps_closed),
    ]
    if told:
        yield Text()
    yield from (_gap(word, gap) for gap, word in told[:_GAPS])
    yield from _more(len(told) - _GAPS, "gap")


def _gap(word: str, one: Gap) -> Text:
    return _plain(f"{word}: {words.short(one.what)}: {one.effect} [{one.reason}]; {one.hint}", "yellow")


def _more(left: int, noun: str) -> Iterator[Text]:
    if left > 0:
        yield _plain(f"and {words.counted(left, f'more {noun}')}; --format json has all of them", "dim")


def _plain(text: str, style: str = "") -> Text:
    return Text(visible(text), style=style)
