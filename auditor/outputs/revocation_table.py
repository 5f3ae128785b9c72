"""What proves a revocation, on a terminal: the answer first, then what it stands on and what it leaves open."""

from collections.abc import Iterator
from typing import Final

from rich.console import Group, RenderableType
from rich.text import Text

from auditor.findings import Readability
from auditor.log import visible
from auditor.model import Probe, ProbeKind, ProbeOutcome
from auditor.outputs import impact_table, words
from auditor.questions.prove_revoked.answer import Proof, Revocation

_STYLES: Final = {
    Proof.READABLE: "bold red",
    Proof.NOT_PROVEN: "bold yellow",
    Proof.REVOKED: "bold green",
    Proof.ERASED: "bold green",
}
_TRIED: Final = {ProbeKind.READ: "a read", ProbeKind.DRY_RUN: "a dry run"}
_FOUND: Final = {
    ProbeOutcome.PASSED: "passed",
    ProbeOutcome.REFUSED: "was refused",
    ProbeOutcome.INCONCLUSIVE: "told nothing",
}


def revocation(one: Revocation) -> RenderableType:
    """Tell the whole answer."""
    return Group(*_lines(one))


def verdict(one: Revocation) -> str:
    """The answer in one sentence."""
    hangs = f"{words.counted(one.extent.objects, 'object')} ({words.size(one.extent.size)}) in "
    hangs += words.counted(one.extent.namespaces, "namespace")
    known = ", as far as it is known" if one.gaps else ""
    match one.proof:
        case Proof.READABLE:
            return f"Not revoked: {one.why}."
        case Proof.NOT_PROVEN:
            return f"Not proven: {one.why}."
        case Proof.REVOKED:
            return f"Revoked: none of the {hangs} under the key can be read{known}."
        case Proof.ERASED:
            return f"Erased: none of the {hangs} under the key can ever be read again{known}."


def _lines(one: Revocation) -> Iterator[Text]:
    since = f" since {words.instant(one.meant_since)}" if one.meant_since is not None else ""
    yield _plain(f"key {one.key}, meant to be revoked{since}", "bold")
    yield _plain(verdict(one), _STYLES[one.proof])
    yield Text()
    read = f", read {words.instant(one.state_read)}" if one.state_read is not None else ""
    yield _plain(f"state       {one.state}{read}")
    if one.changed is not None:
        yield _plain(f"changed     {words.instant(one.changed)}, as the first poll saw that came after it")
    if one.refused_first is not None and one.changed is not None:
        yield _plain(f"refused     {words.span(one.refused_first - one.changed)} after that at the latest")
    for part in one.parts:
        found, extent = part.found, part.extent
        count = words.counted(extent.objects, "object") if extent.objects is not None else f"{words.amount(extent)},"
        # What is not known is proven by nothing.
        ground = f", {found.confidence} by {found.basis}" if found.readability is not Readability.UNKNOWN else ""
        yield _plain(f"data        {count} {found.readability}{ground}: {found.cause}")
        if found.final_at is not None:
            yield _plain(f"            for good at {words.instant(found.final_at)}")
    if not one.parts and one.extent.objects is None:
        yield _plain("data        none is told of: how much is under the key is not known", "yellow")
    yield from (_plain(f"counted     {impact_table.COUNTED.format(name=name)}") for name in one.others)
    if one.populations:
        counts = (f"{words.number(count)} {name.replace('_', '-')}" for name, (count, _) in one.populations.items())
        yield _plain(f"populations {', '.join(counts)}")
    yield from (_plain(_attempt(each)) for each in one.probes)
    if not one.probes:
        yield _plain("attempts    none: [probe] reads and dry_runs are off, or no object was due", "yellow")
    yield from _to_do(one)
    yield from impact_table.undos(one.undo)
    yield from (_plain(f"evidence    {words.evidence(each)}", "dim") for each in one.evidence)
    yield from impact_table.known(one.known, one.now)
    yield from (_plain(f"not covered {text}", "dim") for text in one.not_covered)
    for gap in one.gaps:
        yield _plain(f"gap: {words.short(gap.what)}: {gap.effect} [{gap.reason}]; {gap.hint}", "yellow")
    yield _plain(f"ledger      {words.counted(one.events, 'event')}, head {one.head}", "dim")


def _to_do(one: Revocation) -> Iterator[Text]:
    for place, step in enumerate(one.to_do, 1):
        yield _plain(f"to do {place:<5} {step.call}", "bold yellow")
        yield _plain(f"            by {step.who}; afterwards {step.lands_in}")


def _attempt(one: Probe) -> str:
    version = f" under version {one.key_version}" if one.key_version is not None else ""
    who = f", by {one.principal}" if one.principal is not None else ""
    cached = "; S3 may not have asked the key" if one.cached else ""
    return (
        f"attempt     {_TRIED[one.kind]} in {one.bucket}{version} {_FOUND[one.outcome]} ({one.code}) at "
        f"{words.exactly(one.at)}{who}{cached}"
    )


def _plain(text: str, style: str = "") -> Text:
    return Text(visible(text), style=style)
