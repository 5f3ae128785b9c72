"""What an action on a key would do, on a terminal: the answer first, then how sure and how to undo it."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from auditor.action import Action
from auditor.findings import Readability, Undo
from auditor.log import visible
from auditor.outputs import words
from auditor.plurals import agreed
from auditor.questions.impact.answer import Impact, Known

_DOING: Final = {
    Action.DISABLE: "disabling",
    Action.DESTROY: "scheduling the destruction of",
    Action.REVOKE: "taking the platform's right to",
}
COUNTED: Final = "with data that names it {name}, which is this key by the other name of its project"
_WHO_SAYS: Final = {
    True: "registries say what depends on the key",
    False: "no registry has said yet what depends on the key",
}


def impact(one: Impact) -> RenderableType:
    """Tell the whole answer."""
    table: list[RenderableType] = [Text(), _shifts(one), Text()] if one.shifts else []
    return Group(*_lines(one), *table, *_rest(one))


def verdict(one: Impact) -> str:
    """The answer in one sentence."""
    if one.idle is not None:
        kept = f"; {_left(one)} still {_hangs(one)} on it" if one.untouched != 0 else ""
        meant = "; a registry names it for its namespaces" if one.writes.registries else ""
        return f"Nothing would change: {one.idle}{kept}{meant}."
    if one.extent.objects is None:
        which = f"what of them is under version {one.version}" if one.version else "what of them is under the key"
        told = sum(objects or 0 for objects, _ in one.populations.values())
        among = f", {words.counted(told, 'object')} that an operator's bundle tells of among them" if told else ""
        return f"{words.amount(one.extent)}: {which} would be affected{among}."
    if one.extent.objects:
        return (
            f"{words.counted(one.extent.objects, 'object')} ({words.size(one.extent.size)}) in "
            f"{words.counted(one.extent.namespaces, 'namespace')} would be affected."
        )
    if one.untouched != 0:
        if one.untouched is None:
            return "Nothing would change for the namespaces that registries name it for."
        return f"Nothing would change for the {_left(one)} that {_hangs(one)} on it."
    if one.writes.registries:
        left = ", and not everything is known" if one.gaps else ""
        fails = "would fail" if one.writes.fail else "may fail"
        return f"No known data depends on it, but a registry names it for its namespaces: new data {fails}{left}."
    if one.writes.buckets:
        left = ", and not everything is known" if one.gaps else ""
        fails = "would fail" if one.writes.fail else "may fail"
        first, *more = one.writes.buckets
        where = f"{first} and {words.counted(len(more), 'more bucket')}" if more else first
        return f"No known data depends on it, but it is the default key of {where}: new data {fails}{left}."
    if one.gaps:
        return "Nothing that is known depends on it, and not everything is known."
    return "Nothing that is known depends on it."


def _lines(one: Impact) -> Iterator[Text]:
    version = f"version {one.version} of " if one.version else ""
    yield _plain(f"{_DOING[one.action]} {version}key {one.key}", "bold")
    read = f", read {words.until(one.state_read, one.now)}" if one.state_read else ""
    yield _plain(f"now         {one.state}{read}; nothing was done, and no cloud was asked")
    yield from (_plain(f"counted     {COUNTED.format(name=name)}") for name in one.others)
    yield Text()
    yield _plain(verdict(one), "bold red" if one.extent.objects != 0 else "bold")


def _left(one: Impact) -> str:
    if one.untouched is None:
        return "namespaces that registries name it for"
    return words.counted(one.untouched, "object")


def _hangs(one: Impact) -> str:
    return agreed(one.untouched or 0, "hangs", "hang")


def _shifts(one: Impact) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("is now")
    table.add_column("would be")
    for name in ("objects", "bytes", "namespaces"):
        table.add_column(name, justify="right", no_wrap=True)
    for each in one.shifts:
        numbers = (
            words.number(each.extent.objects),
            words.size(each.extent.size),
            words.number(each.extent.namespaces),
        )
        table.add_row(_plain(each.before), _plain(each.after, "red"), *map(_plain, numbers))
    return table


def _rest(one: Impact) -> Iterator[Text]:
    if one.populations:
        counts = (f"{words.number(count)} {name.replace('_', '-')}" for name, (count, _) in one.populations.items())
        yield _plain(f"populations {', '.join(counts)}")
    yield from map(_plain, words.whose(one.extent))
    yield from _namespaces(one)
    if one.idle is None and one.untouched != 0 and one.extent.objects != 0:
        yield _plain(f"as before   {_left(one)} under the same key or version")
    yield from _standing(one)
    yield from _writes(one)
    if one.idle is None:
        yield _plain(f"effect      {one.takes_effect}")
        when = f": {words.instant(one.final_at)}, {words.until(one.final_at, one.now)}" if one.final_at else ""
        yield _plain(f"for good    {one.final}{when}")
    yield from undos(one.undo)
    yield from known(one.known, one.now)
    yield from (_plain(f"not covered {text}", "dim") for text in one.not_covered)
    for gap in one.gaps:
        yield _plain(f"gap: {words.short(gap.what)}: {gap.effect} [{gap.reason}]; {gap.hint}", "yellow")


def _standing(one: Impact) -> Iterator[Text]:
    """What is wrong already with what would stay as it is: that nothing changes is no word that all is well."""
    if all(readability is Readability.READABLE for readability, _ in one.stands):
        return
    each = (
        f"{words.counted(count, 'object')} {readability.value}" if count is not None else readability.value
        for readability, count in one.stands
    )
    first = one.stands_until
    date = f"; the first date is {words.instant(first)}, {words.until(first, one.now)}" if first is not None else ""
    yield _plain(f"already     {', '.join(each)}{date}", "bold red")


def _namespaces(one: Impact) -> Iterator[Text]:
    for place, row in enumerate(one.worst):
        head = "namespaces  " if not place else "            "
        hangs = f" ({words.counted(row.objects, 'object')})" if row.objects is not None else ""
        yield _plain(f"{head}{row.bucket}/{row.namespace}{hangs}", "dim")
    if one.worst and (left := one.extent.namespaces - len(one.worst)) > 0:
        yield _plain(f"            and {words.number(left)} more; --namespaces lists them all", "dim")


def _writes(one: Impact) -> Iterator[Text]:
    if one.idle is not None:
        if one.writes.fail:
            yield _plain(f"writes      {one.writes.text}", "bold red")
        yield from _named(one, "registries  ")
        return
    yield _plain(f"writes      {one.writes.text}")
    if one.writes.fail is not False and one.writes.namespaces:
        has = agreed(one.writes.namespaces, "has", "have")
        yield _plain(f"            {words.counted(one.writes.namespaces, 'namespace')} {has} data under the key")
    yield from (_plain(f"            it is the default key of {bucket}") for bucket in one.writes.buckets)
    yield from _named(one, "            ")


def _named(one: Impact, head: str) -> Iterator[Text]:
    if one.writes.registries:
        yield _plain(
            f"{head}data of the namespaces that these name it for may come: {', '.join(one.writes.registries)}"
        )


def undos(steps: Iterable[Undo]) -> Iterator[Text]:
    """Tell each step of an undo."""
    for place, step in enumerate(steps, 1):
        until = f"; possible until {words.instant(step.until)}" if step.until else ""
        yield _plain(f"undo {place:<6} {step.call}", "green")
        yield _plain(f"            by {step.who}; afterwards {step.lands_in}{until}")


def known(one: Known, now: datetime) -> Iterator[Text]:
    """Tell how much of the buckets is one."""
    if one.listed is None and one.told is not None:
        told = f"what an operator's bundle tells; the oldest of its sweeps began {words.until(one.told, now)}"
        yield _plain(f"known       {told}", "yellow")
        return
    if one.listed is None:
        yield _plain(f"known       no object: no bucket is configured, and {_WHO_SAYS[one.heard]}", "yellow")
        return
    age = f"; the oldest sweep began {words.until(one.swept, now)}" if one.swept else ""
    yield _plain(
        f"known       the key of {words.number(one.resolved)} of {words.counted(one.listed, 'object')} in "
        f"{one.buckets - one.lacking} of {words.counted(one.buckets, 'bucket')}{age}"
    )
    if one.lacking:
        yield _plain(f"            {words.counted(one.lacking, 'bucket')} without a complete sweep", "yellow")
    if one.elsewhere is None:
        yield _plain("            how many buckets no config names is not known: nobody looked there", "yellow")
    elif one.elsewhere:
        number = words.counted(one.elsewhere, "bucket")
        yield _plain(f"            {number} of the accounts in use in no config: nobody looked there", "yellow")


def _plain(text: str, style: str = "") -> Text:
    return Text(visible(text), style=style)
