"""A bundle on a terminal: whether anybody vouches for it, whose data it tells of and how much, what is not in it."""

from collections.abc import Iterator
from datetime import datetime
from typing import Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from auditor.handover.bundle import Bundle, Held, Shown
from auditor.log import visible
from auditor.outputs import words
from auditor.outputs.bundle_text import lacking

_MOST: Final = 30
"""Rows of a table, and lines about gaps."""


def shown(one: Shown, now: datetime) -> RenderableType:
    """Tell it all; of more than thirty rows the first ones, and how many more there are."""
    bundle = one.bundle
    namespaces, objects, size = bundle.amounts
    who = f"{bundle.operator} (as it says)" if bundle.operator is not None else "not told"
    lines = [
        _signature(one),
        _plain(f"tenant      {bundle.tenant}"),
        _plain(f"operator    {who}"),
        _plain(f"made        {_moment(bundle.made, now)}"),
        _plain(f"made from   judgement {bundle.judgement}, by version {bundle.version}"),
        _plain(f"swept       since {_moment(bundle.swept, now)}"),
        _plain(f"keys read   since {_moment(bundle.verified, now)}"),
        _plain(
            f"tells of    {words.counted(namespaces, 'namespace')}, {words.counted(objects, 'object')}, "
            f"{words.size(size)}, in {words.counted(len(bundle.buckets), 'bucket')}"
        ),
        _plain(f"digest      sha256:{one.digest}"),
        Text(),
    ]
    return Group(*lines, _buckets(bundle, now), Text(), _held(bundle), *_open(bundle))


def _signature(one: Shown) -> Text:
    if one.signer is not None:
        return _plain(f"signature   verified: signed by the key sha256:{one.signer}", "green")
    named = f"; the file names the key sha256:{one.named}" if one.named is not None else "; the file names no key"
    return _plain(
        f"signature   NOT verified, anybody may have written it (--key FILE verifies it){named}", "bold yellow"
    )


def _buckets(bundle: Bundle, now: datetime) -> Table:
    table = _table("bucket", "sweep began", "ended", "left out", "outside", "uploads")
    for one in bundle.buckets[:_MOST]:
        left = ", ".join(each.replace("_", "-") for each in one.left_out) or "nothing"
        uploads = words.NOT_KNOWN if one.uploads is None else _yes(one.uploads)
        cells = (
            one.bucket,
            words.until(one.started, now),
            words.until(one.ended, now),
            left,
            _yes(one.outside),
            uploads,
        )
        table.add_row(*map(_plain, cells))
    _rest(table, len(bundle.buckets))
    return table


def _held(bundle: Bundle) -> Table:
    table = _table("key", "version", "encryption", "objects", "namespaces", "bytes")
    held = bundle.held
    for one in held[:_MOST]:
        numbers = (words.number(one.objects), words.number(one.namespaces), words.size(one.size))
        table.add_row(*map(_plain, (_key(one), one.version or "-", one.encryption.value, *numbers)))
    _rest(table, len(held))
    return table


def _key(one: Held) -> str:
    if one.key is not None:
        return words.short(one.key)
    return "not named: it may be another tenant's" if one.is_withheld else "-"


def _open(bundle: Bundle) -> Iterator[Text]:
    lines = [f"not in it: {one}" for one in lacking(bundle)]
    count = len(lines) + len(bundle.gaps)
    told = "the operator could not read all of it"
    lines += [f"gap: {words.short(one.about)} [{one.reason}]: {told}" for one in bundle.gaps[: _MOST - len(lines)]]
    if lines:
        yield Text()
    yield from (_plain(one, "yellow") for one in lines)
    if count > _MOST:
        yield _plain(f"and {words.number(count - _MOST)} more; --format json has all of them", "yellow")


def _table(*names: str) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in names:
        table.add_column(
            name, overflow="fold", justify="right" if name in {"objects", "namespaces", "bytes"} else "left"
        )
    return table


def _rest(table: Table, count: int) -> None:
    if count > _MOST:
        table.add_row(_plain(f"and {words.number(count - _MOST)} more; --format json has all of them", "dim"))


def _moment(moment: datetime, now: datetime) -> str:
    return f"{words.exactly(moment)} ({words.until(moment, now)})"


def _yes(is_so: bool) -> str:  # noqa: FBT001 - a cell of a table
    return "yes" if is_so else "no"


def _plain(text: str, style: str = "") -> Text:
    return Text(visible(text), style=style)
