"""A doctor's visit on a terminal: what is missing first, then every check by where it belongs."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
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
_CLOUDS: Final = ("AWS", "Google Cloud")
_NOUNS: Final = (
    ("://", "bucket"),
    (":key/", "key"),
    ("/cryptoKeys/", "key"),
    ("/keyRings/", "key ring"),
    (":role/", "role"),
    ("AWS account ", "account"),
    ("Google project ", "project"),
)
"""What a name is, by what stands in it."""
_GROUPS: Final = ("AWS account ", "Google project ")
_STYLES: Final = {Answer.OK: "green", Answer.MISSING: "bold red", Answer.UNKNOWN: "yellow", Answer.OFF: "dim"}
_Row = tuple[Answer, str, str]
"""Answer, name and what was found."""


def doctor(checks: Sequence[Check]) -> RenderableType:
    """Tell the whole visit; what many buckets, keys or accounts have in common is one row before the others."""
    counts = Counter(map(_alike, checks))
    many = {kind for kind, count in counts.items() if kind[0] and count > _FEW}
    parts: list[RenderableType] = [_plain(verdict(checks), "bold")]
    if many:
        parts.append(_plain("What is alike is told once; --format json has every check.", "dim"))
    told: set[str] = set()
    for group, some in groupby(checks, key=lambda one: one.group):
        cloud = _cloud(group)
        if cloud and cloud not in told:
            told.add(cloud)
            parts += _section(
                f"{cloud}, alike",
                _rows_of_many(one for one in checks if _alike(one) in many and _cloud(one.group) == cloud),
            )
        parts += _section(group, [_row(one) for one in some if _alike(one) not in many])
    return Group(*parts, *_todo(checks))


def _section(title: str, rows: Sequence[_Row]) -> Iterator[RenderableType]:
    if not rows:
        return
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    table.add_column(overflow="fold")
    for answer, name, found in rows:
        table.add_row(_plain(answer, _STYLES[answer]), _plain(name), _plain(found))
    yield from (Text(), _plain(title, "bold"), table)


def _row(one: Check) -> _Row:
    subject, _, about = one.what.rpartition(": ")
    return one.answer, _name(f"{words.short(subject)}: {about}" if subject else about, one), _found(one)


def _rows_of_many(checks: Iterable[Check]) -> list[_Row]:
    """One row for all that are alike: how many, the first few of them, and why where not all is well."""
    alike: dict[tuple[str, ...], list[Check]] = {}
    for one in checks:
        alike.setdefault(_alike(one), []).append(one)
    return [(some[0].answer, _name(_about(some[0]), some[0]), _many(some)) for some in alike.values()]


def _many(some: Sequence[Check]) -> str:
    subjects = [_subject(one) for one in some]
    names = ", ".join(_short(one) for one in subjects[:_FEW])
    more = f" and {words.number(len(some) - _FEW)} more" if len(some) > _FEW else ""
    same = "" if some[0].answer is Answer.OK else f"; {_found(some[0])}"
    return f"{words.counted(len(some), _noun(subjects))}: {names}{more}{same}"


def _noun(subjects: Sequence[str]) -> str:
    kinds = {next((noun for mark, noun in _NOUNS if mark in one), "place") for one in subjects}
    return kinds.pop() if len(kinds) == 1 else "place"


def _subject(one: Check) -> str:
    """What a check is about; where it says nothing else, the account or project."""
    return one.what.rpartition(": ")[0] or one.group


def _short(subject: str) -> str:
    return words.short(next((subject.removeprefix(one) for one in _GROUPS if subject.startswith(one)), subject))


def _about(one: Check) -> str:
    return one.what.rpartition(": ")[2]


def _name(about: str, one: Check) -> str:
    return f"{about} ({one.permission})" if one.permission else about


def _found(one: Check) -> str:
    reason = f" [{one.reason}]" if one.reason is not None and one.answer is not Answer.OK else ""
    return f"{one.told}{reason}"


def _cloud(group: str) -> str:
    return next((one for one in _CLOUDS if group.startswith(one.removesuffix(" Cloud"))), "")


def _alike(one: Check) -> tuple[str, ...]:
    """What checks of many have in common: where all is well the check itself, else the reason as well."""
    why = "" if one.answer is Answer.OK else f"{one.told} [{one.reason}]"
    return _cloud(one.group), one.answer, _about(one), one.permission or "", why


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
