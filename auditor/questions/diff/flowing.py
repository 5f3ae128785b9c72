"""Where data went between two judgements, in groups that changed alike, and whether it can be read there."""

from collections.abc import Iterator, Mapping
from typing import Final

from auditor.findings import Assessed, Member, in_order, member_of
from auditor.model import Encryption, Population
from auditor.ports import Flow, Flows, SweepRows
from auditor.questions.diff.answer import Change, ComparedBucket, Data, Group, How, Place, Total, Turn, turn
from auditor.questions.diff.comparable import Side

_TURNS: Final = tuple(Turn)
_Numbered = tuple[Group, int | None]
"""A group, and the place of its flow; None for one that is known as a sum only."""
_Judged = Mapping[Member, Assessed]


def whereabouts(inventory: SweepRows, before: Side, after: Side, buckets: Mapping[str, ComparedBucket]) -> Data:
    """Tell it of the data of all buckets that can be compared.

    Raises:
        LedgerError: the inventory cannot be read, or is not what was kept.
    """
    # What registries alone say has no objects that could have gone anywhere.
    was, now = (
        {member_of(one.holding): one for one in each.judgement.assessed if one.holding.is_seen}
        for each in (before, after)
    )
    every = in_order({*was, *now})
    turned = {
        one for one in was.keys() & now.keys() if was[one].assessment.readability is not now[one].assessment.readability
    }
    # What is under one sweep on both sides stayed; only what can be read otherwise is counted by namespaces.
    looked = {one[0] for one in turned if buckets[one[0]].how is How.SAME_SWEEP}
    looked.update(name for name, one in buckets.items() if one.how is How.NAMESPACES)
    found = inventory.flows(
        [before.sweeps[name] for name in sorted(looked)],
        [after.sweeps[name] for name in sorted(looked)],
        [one for one in every if one[0] in looked],
        {one for one in turned if one[0] in looked},
        {(name, population) for name in looked for population in buckets[name].left_out},
    )
    groups: list[_Numbered] = [(_group(flow, was, now), number) for number, flow in enumerate(found.flows)]
    rest = [one for one in every if one[0] not in looked and buckets[one[0]].how is not How.NOT]
    groups.extend((each, None) for one in rest for each in _sums(was.get(one), now.get(one)))
    stayed = found.stayed + sum(min(_amount(was.get(one))[0], _amount(now.get(one))[0]) for one in rest)
    told = [one for one, _ in groups]
    return Data(
        groups=tuple(sorted(told, key=_worst_first)),
        by_turn={one: _total([each for each in groups if each[0].turn is one], found) for one in Turn},
        by_change={one: _total([each for each in groups if each[0].change is one], found) for one in Change},
        unchanged=stayed - sum(one.objects for one in told if one.change is Change.STAYED),
        not_compared=(_beyond(was, buckets), _beyond(now, buckets)),
    )


def _group(flow: Flow, was: _Judged, now: _Judged) -> Group:
    before = _place(was[flow.before], flow.population_before) if flow.before is not None else None
    after = _place(now[flow.after], flow.population_after) if flow.after is not None else None
    bucket = (flow.before or flow.after or ("",))[0]
    return Group(
        change=_change(flow),
        turn=turn(before.readability if before else None, after.readability if after else None),
        bucket=bucket,
        before=before,
        after=after,
        objects=flow.objects,
        size=flow.size,
        namespaces=flow.namespaces,
        samples=flow.samples,
    )


def _change(flow: Flow) -> Change:
    if flow.before is None:
        return Change.APPEARED
    if flow.after is None:
        return Change.VANISHED
    if flow.before != flow.after:
        is_known = Encryption.UNKNOWN not in {flow.before[1], flow.after[1]}
        return Change.MOVED if is_known else Change.UNRESOLVED
    return Change.STAYED if flow.population_before is flow.population_after else Change.POPULATION


def _sums(was: Assessed | None, now: Assessed | None) -> Iterator[Group]:
    """What sums alone tell of all data under one key version."""
    before, after = (_place(one, None) if one is not None else None for one in (was, now))
    (objects, size), (objects_now, size_now) = (_amount(one) for one in (was, now))
    if was is not None and now is not None and was.assessment.readability is not now.assessment.readability:
        stayed = (objects, size) if objects < objects_now else (objects_now, size_now)
        told = turn(was.assessment.readability, now.assessment.readability)
        yield Group(Change.STAYED, told, was.holding.bucket, before, after, *stayed, None)
    if was is not None and objects > objects_now:
        less = objects - objects_now, max(0, size - size_now)
        yield Group(Change.FEWER, Turn.SAME, was.holding.bucket, before, None, *less, None)
    if now is not None and objects_now > objects:
        more = objects_now - objects, max(0, size_now - size)
        yield Group(Change.MORE, turn(None, now.assessment.readability), now.holding.bucket, None, after, *more, None)


def _amount(one: Assessed | None) -> tuple[int, int]:
    return (one.holding.objects or 0, one.holding.size or 0) if one is not None else (0, 0)


def _place(one: Assessed, population: Population | None) -> Place:
    held = one.holding
    return Place(one.encryption, held.key, held.key_version, one.assessment.readability, population)


def _total(some: list[_Numbered], found: Flows) -> Total:
    """Sum groups up, each namespace counted once where all of them tell theirs."""
    is_told = all(one.namespaces is not None for one, _ in some)
    return Total(
        objects=sum(one.objects for one, _ in some),
        size=sum(one.size for one, _ in some),
        namespaces=found.namespaces(number for _, number in some if number is not None) if is_told else None,
    )


def _beyond(judged: _Judged, buckets: Mapping[str, ComparedBucket]) -> int:
    """How many objects one side knows in buckets that are not compared."""
    return sum(one.holding.objects or 0 for one in judged.values() if buckets[one.holding.bucket].how is How.NOT)


def _worst_first(one: Group) -> tuple[int, int, str, str]:
    return _TURNS.index(one.turn), -one.objects, one.bucket, repr((one.before, one.after))
