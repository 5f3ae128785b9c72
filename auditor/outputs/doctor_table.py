"""A doctor's visit on a terminal: what is missing first, then every check by where it belongs."""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from auditor.checkup import Answer, Check, verdict
from auditor.log import visible
from auditor.outputs import words

_FEW: Final = 3
"""Of one kind stand each in a row of its own."""
_STYLES: Final = {Answer.OK: "green", Answer.MISSING: "bold red", Answer.UNKNOWN: "yellow", Answer.OFF: "dim"}


def doctor(checks: Sequence[Check]) -> RenderableType:
    """Tell the whole visit."""
    parts: list[RenderableType] = [_plain(verdict(checks), "bold")]
    for group, some in groupby(checks, key=lambda one: one.group):
        mine = list(some)
        parts += [Text(), _plain(group, "bold"), _table(mine)]
    return Group(*parts, *_todo(checks))


def _table(mine: Sequence[Check]) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    table.add_column(overflow="fold")
    alike = Counter(map(_kind, mine))
    told: set[tuple[str, str, str | None]] = set()
    for one in mine:
        kind = _kind(one)
        many = alike[kind] > _FEW and one.answer in {Answer.OK, Answer.OFF}
        if many and kind in told:
            continue
        told.add(kind)
        reason = f" [{one.reason}]" if one.reason is not None and one.answer is not Answer.OK else ""
        subject, _, about = one.what.rpartition(": ")
        what = f"{words.short(subject)}: {about}" if subject else about
        if many:
            what = f"{about}, {alike[kind]} times"
        name = f"{what} ({one.permission})" if one.permission else what
        found = "" if many else f"{one.told}{reason}"
        table.add_row(_plain(one.answer, _STYLES[one.answer]), _plain(name), _plain(found))
    return table


def _kind(one: Check) -> tuple[str, str, str | None]:
    """What many buckets or keys have in common: one row is enough where all is well."""
    return one.answer, one.what.rpartition(": ")[2], one.permission


def _todo(checks: Sequence[Check]) -> Iterator[Text]:
    """What lacks, and the way to it: each once, however many buckets or keys it is about."""
    lacking: dict[tuple[str, str, str], list[Check]] = {}
    unheard: dict[str, list[Check]] = {}
    for one in checks:
        if one.answer is Answer.MISSING:
            lacking.setdefault((one.permission or one.what, one.lost, one.todo), []).append(one)
        elif one.answer is Answer.UNKNOWN:
            unheard.setdefault(one.todo, []).append(one)
    for (_, lost, todo), some in lacking.items():
        yield from _lines(some[:1], len(some), lost, todo)
    for todo, some in unheard.items():
        yield from _lines(some[:_FEW], len(some), "", todo)


def _lines(shown: Sequence[Check], count: int, lost: str, todo: str) -> Iterator[Text]:
    names = "; ".join(
        f"{one.permission}: {one.what}" if one.permission else f"{one.group}: {one.what}" for one in shown
    )
    more = f" and {count - len(shown)} more" if count > len(shown) else ""
    yield Text()
    yield _plain(f"{shown[0].answer}: {names}{more}", _STYLES[shown[0].answer])
    if lost:
        yield _plain(f"  lost without it: {lost}")
    if todo:
        yield _plain(f"  to do: {todo}")


def _plain(text: str, style: str = "") -> Text:
    return Text(visible(text), style=style)
