"""How data leaves old key versions, on a terminal: how much there is, at which pace it goes, what moving it takes."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from auditor.log import visible
from auditor.model import Cloud, KeyName
from auditor.move import Move
from auditor.outputs import words

_IN_PLACE: Final = {
    Cloud.AWS: "in place with UpdateObjectEncryption to another key (S3 Batch Operations can), version by version",
    Cloud.GCP: "in place with objects.rewrite to the bare name of the key, which is its primary version",
}


def moves(key: KeyName, plan: Sequence[Move], now: datetime) -> RenderableType:
    """Tell the whole plan of one key."""
    if not plan:
        return _plain("No data is known to stay under an old version of it.")
    return Group(_plain("Data that stays:"), _table(key, plan, now), *_lines(key, plan, now))


def _table(key: KeyName, plan: Sequence[Move], now: datetime) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("version" if key.cloud is Cloud.GCP else "key", no_wrap=True)
    table.add_column("state", no_wrap=True)
    for name in ("objects", "bytes", "namespaces", "idle"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("by itself")
    table.add_column("deadline", no_wrap=True)
    for one in plan:
        table.add_row(
            _plain(one.version or "all of it"),
            _plain(one.state),
            _plain(words.number(one.objects)),
            _plain(words.size(one.size)),
            _plain(words.number(one.namespaces)),
            _plain(words.number(one.idle)),
            _plain(_by_itself(one, now)),
            _plain(words.until(one.deadline, now) if one.deadline is not None else ""),
        )
    return table


def _by_itself(one: Move, now: datetime) -> str:
    if one.trend is None:
        return "not known: watched for less than a day"
    ago = words.until(one.trend.since, now)
    if one.trend.empty_at is None:
        return f"never: not less than {ago}"
    return f"{words.until(one.trend.empty_at, now)}, as from {words.size(one.trend.then)} {ago}"


def _lines(key: KeyName, plan: Sequence[Move], now: datetime) -> Iterator[Text]:
    if any(one.idle for one in plan):
        newer = "a newer version" if key.cloud is Cloud.GCP else "another key"
        yield _plain(
            f"idle: namespaces with nothing under {newer}; what nobody writes to never leaves by itself", "dim"
        )
    for one in plan:
        yield Text()
        yield _plain(f"{words.short(_name(key, one))}:", "bold")
        if one.first is not None:
            yield _plain(f"  first: it must be readable again: {one.first}", "yellow")
        fits = {None: "", True: ", which fits before the deadline", False: ", which ends after the deadline"}
        took = words.span(one.copying)
        yield _plain(
            f"  copied by the platform: about {took} at 72 MB/s, one namespace after the other{fits[one.fits(now)]}"
        )
        yield _plain("    copy_from_namespace with the new `encryption`, switch the clients over, delete the source")
        yield _plain(f"  {_IN_PLACE[key.cloud]}: estimated {words.dollars(one.usd)} by list price")
        for row in one.largest[:3]:
            yield _plain(f"  {row.bucket}/{row.namespace} ({words.size(row.size)})", "dim")
        if left := one.namespaces - min(3, len(one.largest)):
            command = f"impact {_name(key, one)} --namespaces"
            yield _plain(f"  and {words.counted(left, 'namespace')} more; `{command}` lists them all", "dim")


def _name(key: KeyName, one: Move) -> str:
    return f"{key}/cryptoKeyVersions/{one.version}" if one.version is not None else key.text


def _plain(text: str, style: str = "") -> Text:
    return Text(visible(text), style=style)
