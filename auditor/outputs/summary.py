"""What a judgement comes to: sums by readability, and the verdict in one sentence."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from auditor.findings import (
    STOPPED,
    Assessed,
    Basis,
    Coverage,
    Judgement,
    Readability,
    Spaces,
    Status,
    member_of,
    spaces_of,
)
from auditor.model import Gap, Population, Reason
from auditor.outputs import words
from auditor.ownership.untold import leaves_keys_untold
from auditor.plurals import agreed

_EACH: Final = 4
"""Of more registries how many namespaces each names is not told one by one."""

WORST_FIRST: Final = (*STOPPED, Readability.UNKNOWN, Readability.EXPIRING, Readability.READABLE)


@dataclass(frozen=True, slots=True)
class Amount:
    """Objects and their bytes; None: nobody saw them, or tells."""

    objects: int | None = 0
    size: int | None = 0

    def __add__(self, other: "Amount") -> "Amount":
        return Amount(_sum(self.objects, other.objects), _sum(self.size, other.size))


def _sum(one: int | None, other: int | None) -> int | None:
    return None if one is None or other is None else one + other


def by_readability(assessed: Iterable[Assessed]) -> Mapping[Readability, Amount]:
    """Sum everything by readability; each of the eight is there."""
    sums = dict.fromkeys(Readability, Amount())
    for one in assessed:
        sums[one.assessment.readability] += Amount(one.holding.objects, one.holding.size)
    return sums


def by_bucket(assessed: Iterable[Assessed]) -> Mapping[tuple[str, Readability, Basis], Amount]:
    """Sum by (bucket, readability, basis)."""
    sums: dict[tuple[str, Readability, Basis], Amount] = defaultdict(Amount)
    for one in assessed:
        place = one.holding.bucket, one.assessment.readability, one.assessment.basis
        sums[place] += Amount(one.holding.objects, one.holding.size)
    return sums


def stopped(assessed: Iterable[Assessed]) -> Amount:
    """Everything that encryption keeps from being read now."""
    sums = by_readability(assessed)
    return sum((sums[one] for one in STOPPED), Amount())


def verdict(judgement: Judgement) -> str:
    """Say in one sentence what cannot be read, what will be lost and what is not known."""
    if judgement.is_by_bundles:
        made = min(one.bundle.made for one in judgement.registered.bundles if one.bundle is not None)
        told = _by_objects(judgement)
        return f"By what an operator's bundle of {words.instant(made)} tells, {told[0].lower()}{told[1:]}"
    return _by_registries(judgement) if judgement.is_keys_only else _by_objects(judgement)


def _by_objects(judgement: Judgement) -> str:
    """The same where somebody saw the objects."""
    sums = by_readability(judgement.assessed)
    total = sum(sums.values(), Amount())
    if not total.objects:
        return "No object is known yet: no bucket has a complete sweep with objects in it."
    now = stopped(judgement.assessed)
    lost, doomed = sums[Readability.LOST].objects, sums[Readability.DOOMED].objects
    if now.objects:
        told = f"{words.number(now.objects)} of {words.counted(total.objects, 'object')} cannot be read now"
        parts = [f"{words.number(lost)} {agreed(lost, 'is', 'are')} lost for good"] if lost else []
        if doomed:
            parts.append(f"{words.number(doomed)} will be lost for good at a known date")
        if meant := _meant(judgement):
            parts.append(f"{words.number(meant)} as the config means it")
        told += f" ({', '.join(parts)})" if parts else ""
    elif sums[Readability.UNKNOWN].objects == total.objects:
        return (
            f"Whether any of {words.counted(total.objects, 'object')} can be read is not known{_not_whole(judgement)}."
        )
    else:
        which = agreed(total.objects, "the 1 object", f"any of the {words.number(total.objects)} objects")
        told = f"No proven obstacle stops a read of {which}"
    expiring, unknown = sums[Readability.EXPIRING].objects, sums[Readability.UNKNOWN].objects
    if expiring:
        told += f"; {words.number(expiring)} more will stop being readable at a known date"
    if unknown:
        told += f"; of {words.number(unknown)} it is not known"
    return f"{told}{_not_whole(judgement)}."


def _not_whole(judgement: Judgement) -> str:
    buckets = judgement.coverage.buckets
    told = ""
    if never := sum(not one.complete for one in buckets):
        lacks = agreed(never, "has no whole sweep in force and is", "have no whole sweep in force and are")
        told = f"; {never} of {words.counted(len(buckets), 'bucket')} {lacks} not counted"
    every = judgement.registered.registries
    if judgement.is_keys_only and (unread := sum(one.namespaces is None for one in every)):
        told += f"; {unread} of {words.counted(len(every), 'registry', 'registries')} never read and not counted"
    return told


def _by_registries(judgement: Judgement) -> str:
    """The same where nobody saw an object, in namespaces."""
    every = spaces(judgement)
    if not every.total:
        if unread := _not_read_now(judgement):
            whose = words.counted(unread, "registry", "registries")
            why = f"could not be read or used now ({', '.join(_reasons(judgement))})"
            known = "What data there is, and whether it can be read, is not known"
            return f"{known}: no bucket is configured, and {whose} {why}."
        return "No data is known: no bucket is configured, and no registry names a key for a namespace."
    named, sums = counted_spaces(judgement), every.by_readability
    unknown = sums[Readability.UNKNOWN]
    if every.stopped:
        are = agreed(every.stopped, "is", "are")
        told = f"{words.number(every.stopped)} of {named} {are} under keys that cannot be used now"
        are_lost = f"{agreed(sums[Readability.LOST], 'is', 'are')} lost for good"
        each = {Readability.LOST: are_lost, Readability.DOOMED: "will be lost for good at a known date"}
        parts = [f"{words.number(sums[one])} {text}" for one, text in each.items() if sums[one]]
        told += f" ({', '.join(parts)})" if parts else ""
    elif unknown:
        told = f"no proven obstacle stops all reads of any of {named}"
    else:
        told = f"no proven obstacle stops a read of any of {named}"
    if expiring := every.ending - every.stopped:
        told += f"; {words.number(expiring)} more will stop being readable at a known date"
    if unknown:
        told += f"; of {words.number(unknown)} it is not known whether all of it can be read"
    if judgement.registered.bundles:
        told = f"By what registries and an operator's bundle say, {told}; the objects of some were not seen"
    else:
        told = f"By what registries say, {told}; their objects were not seen"
    return f"{told}{_not_whole(judgement)}."


def spaces(judgement: Judgement) -> Spaces:
    """Count namespaces; by what an older version judged, one that several keys are named for with each of them."""
    if judgement.spaces is not None:
        return judgement.spaces
    counts = {member_of(one.holding): one.holding.namespaces for one in judgement.assessed}
    return spaces_of(judgement.assessed, lambda members: sum(counts[one] for one in members))


def counted_spaces(judgement: Judgement) -> str:
    """Say how many namespaces there are."""
    told = words.counted(spaces(judgement).total, "namespace")
    return told if judgement.spaces is not None else f"{told} (one under several keys counted with each)"


def next_loss(judgement: Judgement) -> str:
    """Say most of what the next loss takes away, and how much else has the same minute; empty where nobody tells."""
    date = judgement.next_loss
    open_ones = (one for one in judgement.findings if one.status is not Status.RESOLVED and one.extent.objects != 0)
    alike = [one for one in open_ones if date and one.final_at and words.instant(one.final_at) == words.instant(date)]
    if not alike:
        return ""
    first, *more = sorted(alike, key=lambda one: -(one.extent.objects or 0))
    verb = "are lost for good" if first.readability is Readability.DOOMED else "stop being readable"
    hangs = words.counted(first.extent.objects, "object")
    if first.extent.objects is None:
        hangs = words.counted(first.extent.namespaces, "namespace")
        verb = f"{verb}, as far as registries and the versions in use go" if first.readability else verb
    others = f", and {words.counted(len(more), 'more finding')} at that minute" if more else ""
    return f"{hangs} under {words.short(first.subject.id)} {verb}{others}"


def complete(judgement: Judgement) -> str:
    """Say how complete and how fresh the answer is."""
    if judgement.is_keys_only:
        objects = "no bucket configured: objects " + ("as others tell" if judgement.is_by_bundles else "not known")
        told = [objects, *_registries(judgement), *_bundles(judgement), keys(judgement)]
        return ", ".join([*told, words.counted(len(judgement.gaps), "gap")])
    coverage = judgement.coverage
    listed = sum(one.listed for one in coverage.buckets)
    resolved = sum(one.resolved for one in coverage.buckets)
    outside = sum(one.outside for one in coverage.buckets)
    parts = [
        _swept(coverage),
        f"{words.number(resolved)} of {words.counted(listed, 'object')} resolved"
        + (f" ({words.number(outside)} outside their bucket's layout)" if outside else ""),
        keys(judgement),
        words.counted(len(judgement.gaps), "gap"),
    ]
    parts[2:2] = _left_out(coverage)
    parts[-1:-1] = _registries(judgement)
    if coverage.buckets_not_configured:
        parts.insert(1, f"{words.counted(coverage.buckets_not_configured, 'bucket')} in no config")
    return ", ".join(parts)


def is_whole(judgement: Judgement) -> bool:
    """Whether nothing is missing of what the config names."""
    covered = judgement.coverage
    swept = all(one.complete and not one.unresolved and not one.left_out for one in covered.buckets)
    is_told = not (judgement.is_keys_only or judgement.is_untold or judgement.view is not None)
    return is_told and swept and not covered.keys_unknown and not judgement.gaps


def keys(judgement: Judgement) -> str:
    """Say of how many keys the state is known, and of how many only from before."""
    coverage = judgement.coverage
    if are_keys_untold(judgement):
        return f"keys that data is under {words.NOT_KNOWN}"
    told = f"{coverage.keys_read} of {words.counted(coverage.keys_needed, 'key')} read"
    if not coverage.keys_from_before:
        return told
    oldest = f", the oldest at {words.exactly(judgement.oldest_key_read)}" if judgement.oldest_key_read else ""
    return f"{told} ({coverage.keys_from_before} of them not now but before{oldest})"


def are_keys_untold(judgement: Judgement) -> bool:
    """Whether nobody named a key to read, because those that would were not heard: that none is needed nobody says."""
    return judgement.is_keys_only and judgement.is_untold and not judgement.coverage.keys_needed


def of_untold(judgement: Judgement) -> str:
    """Of what a number is not known where nobody told of any data, and why."""
    if not judgement.is_keys_only:
        return "whatever objects there are: no bucket has a whole sweep in force"
    silent = [one.name for one in judgement.registered.registries if _is_silent(one.name, judgement)]
    if not silent:
        return "whatever data there is: nobody tells of any"
    more = f" and {words.number(len(silent) - 1)} more" if len(silent) > 1 else ""
    return f"whatever data there is: {silent[0]}{more} not read or used ({', '.join(_reasons(judgement))})"


def _reasons(judgement: Judgement) -> list[str]:
    """Why registries could not be read, or not be believed, by this judgement."""
    names = {one.name for one in judgement.registered.registries}
    return sorted({gap.reason.value for gap in judgement.gaps if gap.what in names and _is_of_silence(gap)})


def _registries(judgement: Judgement) -> list[str]:
    """Say how many registries were ever read, and how many namespaces each names: several may name the same ones."""
    every = judgement.registered.registries
    if not every:
        return []
    read = [one.namespaces for one in every if one.namespaces is not None]
    before = sum(one.is_from_before for one in every)
    told = [f"{before} of them not now but before"] if before else []
    if len(read) < 2:  # noqa: PLR2004 - nothing to add up
        told.append(words.counted(read[0] if read else None, "namespace"))
    elif len(read) <= _EACH:
        told.append(f"{', '.join(map(words.number, read[:-1]))} and {words.number(read[-1])} namespaces")
    else:
        told.append(f"{words.counted(sum(read), 'namespace')}, one that several name counted with each")
    return [f"{len(read)} of {words.counted(len(every), 'registry', 'registries')} read ({'; '.join(told)})"]


def _not_read_now(judgement: Judgement) -> int:
    """How many registries could not be read, or not be believed, by this judgement."""
    return sum(_is_silent(one.name, judgement) for one in judgement.registered.registries)


def _is_silent(registry: str, judgement: Judgement) -> bool:
    return any(one.what == registry and _is_of_silence(one) for one in judgement.gaps)


def _is_of_silence(gap: Gap) -> bool:
    return gap.reason is not Reason.NOT_VISIBLE and not leaves_keys_untold(gap)


def _bundles(judgement: Judgement) -> Iterator[str]:
    """Say of each operator's bundle whose it is, how old, and who has signed it."""
    for one in judgement.registered.bundles:
        if (told := one.bundle) is not None:
            who = f"of {told.operator} (as it says)" if told.operator is not None else "of an operator"
            age, swept = (words.until(each, judgement.now) for each in (told.made, told.swept))
            signer = f"signed by sha256:{told.signer[:16]}"
            yield f"bundle {who} for {told.tenant} made {age} from sweeps since {swept}, {signer}"


def _swept(coverage: Coverage) -> str:
    swept = sum(one.complete for one in coverage.buckets)
    told = f"{swept} of {words.counted(len(coverage.buckets), 'bucket')} swept"
    failed = sum(one.complete and one.last_attempt_failed is not None for one in coverage.buckets)
    return f"{told} ({failed} of them by an older sweep: the newest failed)" if failed else told


def _left_out(coverage: Coverage) -> list[str]:
    """Say of each population in how many buckets nobody looks at it."""
    counts = Counter(population for one in coverage.buckets for population in one.left_out)
    return [
        f"{population.replace('_', '-')} objects left out in {words.counted(counts[population], 'bucket')}"
        for population in Population
        if counts[population]
    ]


def _meant(judgement: Judgement) -> int:
    """How many objects cannot be read because the config wants it so."""
    members = {
        member
        for one in judgement.findings
        if one.meant and one.status is not Status.RESOLVED and one.readability in STOPPED
        for member in one.members
    }
    return sum(one.holding.objects or 0 for one in judgement.assessed if member_of(one.holding) in members)
