"""What differs between two judgements, told from ledger and inventory: no cloud is asked."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from auditor.findings import Finding, Judgement, Status, SubjectKind, worst_first
from auditor.gaps import OBJECTS
from auditor.model import Gap, Reason
from auditor.moments import second
from auditor.plurals import counted
from auditor.ports import History, Made, SweepRows
from auditor.questions.diff.answer import Between, ChangedFinding, Difference, How
from auditor.questions.diff.comparable import Side, compared, side
from auditor.questions.diff.flowing import whereabouts
from auditor.questions.diff.pairing import pair
from auditor.waiver import last_day

_Gaps = tuple[tuple[Gap, ...], tuple[Gap, ...], tuple[Gap, ...]]


@dataclass(frozen=True, slots=True)
class Compared:
    """Two judgements with what is left of the sweeps that they stand on, and what happened from one to the other."""

    before: Side
    after: Side
    between: Between


def compare(history: History, inventory: SweepRows, first: str | None = None, last: str | None = None) -> Difference:
    """Compare two judgements, which are chosen as by `pairing.pair`.

    Raises:
        LedgerError: ledger or inventory cannot be read, or are not what was kept.
        UsageError: there are no two such judgements.
    """
    return difference(inventory, chosen(history, inventory, first, last))


def chosen(history: History, inventory: SweepRows, first: str | None = None, last: str | None = None) -> Compared:
    """The two that are to be compared.

    Raises:
        LedgerError: ledger or inventory cannot be read, or are not what was kept.
        UsageError: there are no two such judgements.
    """
    earlier, later = pair(history, first, last)
    before, after = (_side(history, inventory, one) for one in (earlier, later))
    return Compared(before, after, history.between(earlier.number, later.number))


def difference(inventory: SweepRows, two: Compared) -> Difference:
    """Tell what differs.

    Raises:
        LedgerError: the inventory cannot be read, or is not what was kept.
    """
    before, after, between = two.before, two.after, two.between
    buckets = tuple(compared(before, after))
    by_name = {one.bucket: one for one, _ in buckets}
    data = whereabouts(inventory, before, after, by_name)
    was, now = (_current(each.judgement) for each in (before, after))
    opened = tuple(sorted((now[one] for one in now.keys() - was.keys()), key=worst_first))
    closed = tuple(sorted((was[one] for one in was.keys() - now.keys()), key=worst_first))
    pairs = [ChangedFinding(was[one], now[one]) for one in was.keys() & now.keys()]
    blind = {name for name, one in by_name.items() if one.how is How.NOT}
    dim = blind | {name for name, one in by_name.items() if one.left_out}
    unseen = {one.id for one in (*opened, *closed) if _is_unseen(one, blind)}
    unseen |= {one.after.id for one in pairs if not dim.isdisjoint(_buckets(one.before) | _buckets(one.after))}
    standing, ended, new = _gaps(before.judgement.gaps, after.judgement.gaps)
    known = was.keys() | now.keys()
    return Difference(
        before=before.judgement,
        after=after.judgement,
        buckets=tuple(by_name.values()),
        data=data,
        keys=between.keys,
        opened=opened,
        closed=closed,
        changed=tuple(sorted((one for one in pairs if one.fields), key=lambda one: worst_first(one.after))),
        passed=tuple(one for one in between.passed if one.id not in known),
        unseen=frozenset(unseen),
        gaps=(*(gap for _, some in buckets for gap in some), *_claimed(before.judgement, after.judgement)),
        gaps_opened=new,
        gaps_closed=ended,
        gaps_standing=standing,
        otherwise=tuple(_otherwise(before.judgement, after.judgement)),
    )


def _side(history: History, inventory: SweepRows, one: Made) -> Side:
    judgement = history.then(one)
    return side(judgement, history.published(judgement.sweeps), inventory)


def _claimed(before: Judgement, after: Judgement) -> Iterator[Gap]:
    """What a side says of data that nobody saw is not compared: keys and findings are."""
    if before.is_keys_only or after.is_keys_only:
        effect = "what data came, moved or went is not known: no bucket was configured, and only registries speak of it"
        yield Gap(OBJECTS, Reason.NOT_VISIBLE, effect, "whoever may list the buckets can tell")


def _current(judgement: Judgement) -> Mapping[str, Finding]:
    return {one.id: one for one in judgement.findings if one.status is not Status.RESOLVED}


def _is_unseen(one: Finding, blind: Collection[str]) -> bool:
    """Whether a finding is only about buckets that one side did not see: nobody knows since when, or whether still."""
    buckets = _buckets(one)
    return bool(buckets) and buckets <= set(blind)


def _buckets(one: Finding) -> set[str]:
    """The buckets that a finding is about."""
    return {one.subject.id} if one.subject.kind is SubjectKind.BUCKET else {member[0] for member in one.members}


def _gaps(before: Iterable[Gap], after: Iterable[Gap]) -> _Gaps:
    """Those of both sides, of the earlier alone and of the later alone; the same is what lacks for the same reason."""
    was, now = ({(one.what, one.reason): one for one in some} for some in (before, after))
    standing = tuple(one for name, one in now.items() if name in was)
    ended = tuple(one for name, one in was.items() if name not in now)
    return standing, ended, tuple(one for name, one in now.items() if name not in was)


def _otherwise(before: Judgement, after: Judgement) -> Iterator[str]:
    """What was judged otherwise, so that not all that differs has happened in a cloud."""
    if before.run.version != after.run.version:
        yield f"judged by version {before.run.version}, then by {after.run.version}"
    if before.run.rules_version != after.run.rules_version:
        yield "judged by other rules"
    if before.run.config_digest != after.run.config_digest:
        yield "judged by another config"
    yield from _listed(
        "waiver of ",
        {one.waiver.name: f"until {last_day(one.waiver.until)}" for one in before.waivers},
        {one.waiver.name: f"until {last_day(one.waiver.until)}" for one in after.waivers},
    )
    if before.registered.digest != after.registered.digest:
        yield from _listed("", *(dict(_registries(one)) for one in (before, after)))


def _registries(one: Judgement) -> Iterator[tuple[str, str]]:
    for each in one.registered.registries:
        named = "never read" if each.namespaces is None else counted(each.namespaces, "namespace")
        yield each.name, f"{named}, read {second(each.read_at)}" if each.read_at is not None else named


def _listed(what: str, before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[str]:
    """Tell what came, went or changed; `what`: how each name begins where it does not say itself what it is of."""
    for name in sorted(before.keys() | after.keys()):
        was, now = before.get(name), after.get(name)
        if was is None:
            yield f"{what}{name}: new, {now}"
        elif now is None:
            yield f"{what}{name}: gone"
        elif was != now:
            yield f"{what}{name}: {was}, then {now}"
