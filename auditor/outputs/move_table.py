"""How data leaves old key versions, on a terminal: how much there is, at which pace it goes, what moving it takes."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from auditor.log import visible
from auditor.model import Cloud, KeyName
from auditor.outputs import words
from auditor.questions.retire.move import Move, Plan

_IN_PLACE: Final = {
    Cloud.AWS: "in place with UpdateObjectEncryption to another key (S3 Batch Operations can), version by version",
    Cloud.GCP: "in place with objects.rewrite to the bare name of the key, which is its primary version",
}


def moves(key: KeyName, plan: Plan, now: datetime) -> RenderableType:
    """Tell the whole plan of one key."""
    lines = [_plain(f"Not known: {one}.", "yellow") for one in plan.not_known]
    if plan.moves:
        return Group(_plain("Data that stays:"), _table(key, plan.moves, now), *_lines(key, plan, now), *lines)
    if not lines:
        under = "it" if key.cloud is Cloud.AWS else "a version of it that is not the primary one"
        lines = [_plain(f"No data that was seen is under {under}.")]
    return Group(*lines, *_first(plan))


def _first(plan: Plan) -> Iterator[Text]:
    if plan.barred is not None:
        yield _plain(f"before anything is rewritten: {plan.barred}", "yellow")


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
            _plain(words.state(one.state, key.cloud)),
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


def _lines(key: KeyName, plan: Plan, now: datetime) -> Iterator[Text]:
    if any(one.idle for one in plan.moves):
        newer = "a newer version" if key.cloud is Cloud.GCP else "another key"
        yield _plain(
            f"idle: namespaces with nothing under {newer}; what nobody writes to never leaves by itself", "dim"
        )
    yield from _first(plan)
    for one in plan.moves:
        yield Text()
        yield _plain(f"{words.short(_name(key, one))}:", "bold")
        if one.newer:
            told = "it is newer than the primary version: somebody has made an older one the primary one again"
            yield _plain(f"  {told}; where that is undone, nothing need move", "yellow")
        if one.first is not None:
            yield _plain(f"  first: it must be readable again: {one.first}", "yellow")
        yield from _ways(key, one, plan, now)
        for row in one.largest[:3]:
            yield _plain(f"  {row.bucket}/{row.namespace} ({words.size(row.size)})", "dim")
        if left := one.namespaces - min(3, len(one.largest)):
            command = f"impact {_name(key, one)} --namespaces"
            yield _plain(f"  and {words.counted(left, 'namespace')} more; `{command}` lists them all", "dim")


def _ways(key: KeyName, one: Move, plan: Plan, now: datetime) -> Iterator[Text]:
    """Tell whoever writes the buckets how to move it, and whoever does not whom to ask."""
    fits = {None: "", True: ", which fits before the deadline", False: ", which ends after the deadline"}
    took = f"about {words.span(one.copying)} at 72 MB/s, one namespace after the other{fits[one.fits(now)]}"
    if plan.by_operator:
        yield _plain("  ask the platform's operator to move it: only who may write the buckets can")
        yield _plain(f"    copying it takes {took}")
        return
    yield _plain(f"  copied by the platform: {took}")
    yield _plain("    copy_from_namespace with the new `encryption`, switch the clients over, delete the source")
    later = "not yet (see above), then " if plan.barred is not None else ""
    yield _plain(f"  {later}{_IN_PLACE[key.cloud]}: estimated {words.dollars(one.usd)} by list price")


def _name(key: KeyName, one: Move) -> str:
    return f"{key}/cryptoKeyVersions/{one.version}" if one.version is not None else key.text


def _plain(text: str, style: str = "") -> Text:
    return Text(visible(text), style=style)
