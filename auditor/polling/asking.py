"""Which keys are asked, with whom they must work, and what they answer."""

from collections import defaultdict
from collections.abc import Collection, Container, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import chain

from auditor import gaps
from auditor.findings import Judgement
from auditor.model import BucketFacts, Cloud, GcpKey, Holding, KeyMemory, KeyName, KeyReading, KeyUnread
from auditor.overtaking import Lane
from auditor.ownership.answering import needed_by_any_name
from auditor.ownership.contradicting import apart_by
from auditor.ownership.spelling import NamesOfKeys, Spelling, spelling_of
from auditor.polling.covering import each_once
from auditor.ports import KeyNeed
from auditor.questions.retire.retiring import not_among
from auditor.run import Parts


def spelt(memory: Mapping[KeyName, KeyMemory], asked: Mapping[KeyName, KeyReading]) -> Spelling:
    """Which names are of one key by what keys have just said, or else said last."""
    known = {name: one.last for name, one in memory.items()}
    told = {name: one for name, one in asked.items() if isinstance(one, GcpKey)}
    return spelling_of((known | told).values(), apart_by(memory, asked))


def needs_of(
    parts: Parts,
    watched: Iterable[KeyName],
    holdings: Iterable[Holding],
    agents: Mapping[str, tuple[str, ...]],
    unusable: Container[str],
) -> Iterator[KeyNeed]:
    """Every key that data names or that is watched, with everybody who must decrypt with it.

    Those of a bucket whose inventory is damaged are no strangers, though nobody sees what it has under which key.
    """
    hidden = [one.facts for one in parts.ledger.sweeps() if one.bucket in unusable]
    principals: dict[KeyName, set[str]] = defaultdict(set)
    for name in watched:
        principals[name].update(())
    for holding in holdings:
        if holding.key is not None:
            name = KeyName(holding.key)
            if not holding.is_seen:
                principals[name].update(parts.agents[name.cloud] or ())
            principals[name].update(agents.get(holding.bucket, ()))
            principals[name].update(*(agents_of(parts, one) for one in hidden if one.cloud is name.cloud))
    for name in sorted(principals):
        yield KeyNeed(name, tuple(sorted(principals[name])))


def see_that_they_are_needed(only: frozenset[KeyName], needs: Iterable[KeyNeed], of_data: NamesOfKeys) -> None:
    """See that a poll of some keys is one of keys that are needed; `of_data`: what the keys of data are called.

    Raises:
        UsageError: one of them is not.
    """
    if strangers := only.difference(need.name for need in needs):
        raise not_among(min(strangers), of_data)


def of_one_key_with(needed: Collection[KeyName], needs: Iterable[KeyNeed], spelling: Spelling) -> tuple[KeyNeed, ...]:
    """Those of `needs` that are names of keys that are needed, or of which that is not refuted.

    While a name by which findings speak of a key may be the one that is needed, these go on by what it tells.
    """
    names = NamesOfKeys((*needed, *spelling.ones), spelling)

    def is_of_one(name: KeyName) -> bool:
        return any(one in needed for one in (*names.same(name), *names.undecided(name)))

    return tuple(one for one in needs if one.name in needed or is_of_one(one.name))


def agents_of(parts: Parts, facts: BucketFacts) -> tuple[str, ...]:
    """Who must be able to decrypt for a bucket, as far as config and bucket tell."""
    if (named := parts.agents[facts.cloud]) is not None:
        return named
    return (facts.service_agent,) if facts.service_agent else ()


def read_beside_others(
    parts: Parts,
    lane: Lane,
    needs: Collection[KeyNeed],
    only: frozenset[KeyName],
    known: tuple[Judgement | None, Mapping[KeyName, KeyMemory]],
) -> tuple[Mapping[KeyName, KeyReading], Judgement | None, Mapping[KeyName, KeyMemory]]:
    """The readings, the judgement before and what is remembered, as both are once all is read; `known`: as they were.

    What others have read and kept meanwhile is newer than what was read here before.
    """
    _, memory = known
    needs = _by_hope((_with_who_is_barred(need, memory) for need in needs), memory)
    with lane.reading() as overtaken:
        asked = _read(parts, [need for need in needs if not only or need.name in only])
        if only and (others := _called_otherwise(needs, only, memory, asked)):
            asked = {**asked, **_read(parts, others)}
        asked = {**asked, **_read(parts, _to_answer_for_more(needs, memory, asked))}
        if changing := _changing(needs, memory, asked):
            again = _read(parts, changing)
            # One that does not answer again has told before, as the others did.
            asked = {**asked, **(again if not any(isinstance(one, KeyUnread) for one in again.values()) else {})}
    if not overtaken:
        return asked, *known
    newest = {name: one for name, one in asked.items() if name not in overtaken}
    return newest, parts.ledger.judgement(), parts.ledger.memory()


def keys_told(
    needs: Iterable[KeyNeed], memory: Mapping[KeyName, KeyMemory], asked: Mapping[KeyName, KeyReading]
) -> tuple[int, int]:
    """How many keys told something when they were asked by any of their names, and how many are needed."""
    spelling = spelt(memory, asked)
    read = each_once((name for name, one in asked.items() if not isinstance(one, KeyUnread)), spelling)
    return len(read), len(each_once((need.name for need in needs), spelling))


def _by_hope(needs: Iterable[KeyNeed], memory: Mapping[KeyName, KeyMemory]) -> list[KeyNeed]:
    """Those that answered lately first: keys behind an endpoint that hangs must not keep the others waiting."""

    def last(need: KeyNeed) -> float:
        known = memory.get(need.name)
        return -known.last_at.timestamp() if known is not None and known.last_at is not None else 0.0

    return sorted(needs, key=last)


def _with_who_is_barred(need: KeyNeed, memory: Mapping[KeyName, KeyMemory]) -> KeyNeed:
    """Ask for those as well who are barred as far as anybody knows: while their data is hidden nobody needs them.

    Else what is read meanwhile tells nothing of them, and they would not be barred any more when it is seen again.
    """
    kept = memory.get(need.name)
    return replace(need, principals=tuple(sorted({*need.principals, *(kept.barred if kept is not None else ())})))


def _called_otherwise(
    needs: Iterable[KeyNeed],
    only: frozenset[KeyName],
    memory: Mapping[KeyName, KeyMemory],
    asked: Mapping[KeyName, KeyReading],
) -> Collection[KeyNeed]:
    """Those of `needs` that are, as is known only since they were `asked`, other names of these keys."""
    every = NamesOfKeys((need.name for need in needs), spelt(memory, asked)).every(only)
    return [need for need in needs if need.name in every and need.name not in asked]


def _to_answer_for_more(
    needs: Iterable[KeyNeed], memory: Mapping[KeyName, KeyMemory], asked: Mapping[KeyName, KeyReading]
) -> Collection[KeyNeed]:
    """Those that answer for a silent name which, as is known only since they were `asked`, is of the same key.

    They were not asked about all who must decrypt by that name.
    """
    if not any(isinstance(one, KeyUnread) and one.name.cloud is Cloud.GCP for one in asked.values()):
        return ()
    spelling = spelt(memory, asked)
    silent = {spelling.one(name) for name, one in asked.items() if isinstance(one, KeyUnread)}
    then = tuple(needs)
    return [
        now
        for before, now in zip(then, needed_by_any_name(then, spelling), strict=True)
        if now != before and isinstance(asked.get(now.name), GcpKey) and spelling.one(now.name) in silent
    ]


def _changing(
    needs: Iterable[KeyNeed], memory: Mapping[KeyName, KeyMemory], asked: Mapping[KeyName, KeyReading]
) -> Collection[KeyNeed]:
    """Those that would be names of one key if they had not told otherwise now: it may have changed meanwhile.

    Asked at once again, they tell whether it has.
    """
    now, before = apart_by({}, asked), apart_by(memory)
    made = spelling_of(one for one in asked.values() if isinstance(one, GcpKey)).ones
    names: dict[str, list[KeyName]] = defaultdict(list)
    for name, one in made.items():
        names[one].append(name)
    pairs = [same for same in names.values() if len(same) > 1 and now(*same) and not before(*same)]
    parted = frozenset(chain.from_iterable(pairs))
    return [need for need in needs if need.name in parted]


def _read(parts: Parts, needs: Iterable[KeyNeed]) -> Mapping[KeyName, KeyReading]:
    """One reading for each need: what a source leaves out is unread, never absent."""
    by_cloud: dict[Cloud, list[KeyNeed]] = defaultdict(list)
    for need in needs:
        by_cloud[need.name.cloud].append(need)
    readings: dict[KeyName, KeyReading] = {}
    with ThreadPoolExecutor(max(1, len(by_cloud))) as pool:
        asked = [(parts.keys[cloud], group) for cloud, group in by_cloud.items() if cloud in parts.keys]
        for found in pool.map(lambda item: list(item[0].read(item[1])), asked):
            readings.update({reading.name: reading for reading in found})
    for group in by_cloud.values():
        for need in group:
            readings.setdefault(need.name, gaps.no_answer(need.name))
    return readings
