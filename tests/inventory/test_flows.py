"""Where data went is what counting object by object says, however the rows stand in the files."""

from collections import Counter
from collections.abc import Callable, Hashable, Iterable
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auditor.errors import GoneError, LedgerError
from auditor.findings import Member
from auditor.inventory import files, flows
from auditor.inventory.flows import FoundFlows
from auditor.inventory.layout import Layout
from auditor.inventory.store import FileInventory
from auditor.model import Encryption, Population, StoredObject, Sweep
from auditor.rows import batched
from tests.inventory.test_dependencies import BUCKETS, FLEETS, HELD
from tests.inventory.test_store import a_sweep, an_object
from tests.sweeps import write

Fleet = dict[str, list[StoredObject]]
Row = tuple[Member, str | None, Population]
"""(holding, namespace, population)."""
MEMBERS: list[Member] = sorted(((bucket, *one) for bucket in BUCKETS for one in HELD), key=repr)


def an_inventory(folder: Path) -> FileInventory:
    return FileInventory(folder, {bucket: Layout.parse("{org}/{namespace}/") for bucket in BUCKETS})


def swept(inventory: FileInventory, fleet: Fleet, name: str) -> list[Sweep]:
    return [
        a_sweep(write(inventory, bucket, batched(some), sweep_id=name), name, bucket) for bucket, some in fleet.items()
    ]


def counted(fleet: Fleet, left_out: set[tuple[str, Population]]) -> Counter[Row]:
    return Counter(
        ((bucket, one.encryption, one.key, one.key_version), one.name.rpartition("/")[0] or None, one.population)
        for bucket, some in fleet.items()
        for one in some
        if (bucket, one.population) not in left_out
    )


Kind = tuple[bool, bool, bool, bool, bool]
"""Of a flow: it was there before, is there now, is under the same holding, or key, in the same population."""


def matched(less: Counter[Row], more: Counter[Row], alike: Callable[[Row], Hashable]) -> Counter[Kind]:
    """Match objects one by one within sets that are alike, and take them out of both."""
    found: Counter[Kind] = Counter()
    for place in {alike(one) for one in less} & {alike(one) for one in more}:
        from_, to = (
            list(islice((one for one in sorted(some.elements(), key=repr) if alike(one) == place), None))
            for some in (less, more)
        )
        for was, now in zip(from_, to, strict=False):
            less[was] -= 1
            more[now] -= 1
            found[True, True, was[0] == now[0], was[0][:3] == now[0][:3], was[2] == now[2]] += 1
    less += Counter()
    more += Counter()
    return found


def expected(before: Fleet, after: Fleet, left_out: set[tuple[str, Population]]) -> tuple[int, Counter[Kind]]:
    was, now = counted(before, left_out), counted(after, left_out)
    less, more = was - now, now - was
    found = Counter[Kind]()
    found += matched(less, more, lambda one: (one[0], one[1]))
    found += matched(less, more, lambda one: (one[0][:3], one[1], one[2]))
    found += matched(less, more, lambda one: (one[0][0], one[1], one[2]))
    found[True, False, False, False, False] += sum(less.values())
    found[False, True, False, False, False] += sum(more.values())
    return (was & now).total(), +found


def kinds(found: FoundFlows) -> Counter[Kind]:
    told: Counter[Kind] = Counter()
    for one in found.flows:
        both = one.before is not None and one.after is not None
        keys = [each[:3] for each in (one.before, one.after) if each is not None]
        told[
            one.before is not None,
            one.after is not None,
            both and one.before == one.after,
            both and keys[0] == keys[-1],
            both and one.population_before is one.population_after,
        ] += one.objects
    return +told


@settings(max_examples=25)
@given(FLEETS, FLEETS, st.sets(st.tuples(st.sampled_from(BUCKETS), st.sampled_from(Population)), max_size=1), st.data())
def test_what_went_where_is_what_counting_says(
    tmp_path_factory: pytest.TempPathFactory,
    before: Fleet,
    after: Fleet,
    left_out: set[tuple[str, Population]],
    data: st.DataObject,
) -> None:
    inventory = an_inventory(tmp_path_factory.mktemp("inventory"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "_ROWS_A_GROUP", data.draw(st.integers(1, 5)))
        patch.setattr(flows, "_ROWS_AT_ONCE", data.draw(st.integers(0, 5)))
        sides = swept(inventory, before, "s1"), swept(inventory, after, "s2")
        found = inventory.flows(*sides, MEMBERS, set(), left_out)
    stayed, told = expected(before, after, left_out)
    assert (found.stayed, kinds(found)) == (stayed, told)
    for which, fleet in ((0, before), (1, after)):
        assert balance(found, which) <= by_place(counted(fleet, left_out))
    spaces = Counter(
        (bucket, namespace) for (bucket, *_), namespace, _ in changed(before, after, left_out) if namespace is not None
    )
    assert found.namespaces(range(len(found.flows))) == len(spaces)
    assert all(one.namespaces <= one.objects and bool(one.samples) == bool(one.namespaces) for one in found.flows)
    swapped = inventory.flows(sides[1], sides[0], MEMBERS, set(), left_out)
    assert kinds(swapped) == Counter({(now, was, *rest): count for (was, now, *rest), count in told.items()})


def changed(before: Fleet, after: Fleet, left_out: set[tuple[str, Population]]) -> Iterable[Row]:
    was, now = counted(before, left_out), counted(after, left_out)
    return ((was - now) + (now - was)).keys()


def by_place(rows: Counter[Row]) -> Counter[tuple[Member, Population]]:
    found: Counter[tuple[Member, Population]] = Counter()
    for (member, _, population), count in rows.items():
        found[member, population] += count
    return found


def balance(found: FoundFlows, side: int) -> Counter[tuple[Member, Population]]:
    """How many objects flows take from each place, or bring to it."""
    told: Counter[tuple[Member, Population]] = Counter()
    for one in found.flows:
        member, population = (one.before, one.population_before) if side == 0 else (one.after, one.population_after)
        if member is not None and population is not None:
            told[member, population] += one.objects
    return told


@settings(max_examples=25)
@given(FLEETS, FLEETS)
def test_what_one_side_has_more_of_is_what_flows_bring(
    tmp_path_factory: pytest.TempPathFactory, before: Fleet, after: Fleet
) -> None:
    inventory = an_inventory(tmp_path_factory.mktemp("inventory"))
    found = inventory.flows(swept(inventory, before, "s1"), swept(inventory, after, "s2"), MEMBERS, set(), ())
    was, now = by_place(counted(before, set())), by_place(counted(after, set()))
    taken, brought = balance(found, 0), balance(found, 1)
    for place in was | now:
        assert now[place] - was[place] == brought[place] - taken[place]


@settings(max_examples=25)
@given(FLEETS, FLEETS)
def test_of_what_is_asked_for_all_is_told_that_stayed(
    tmp_path_factory: pytest.TempPathFactory, before: Fleet, after: Fleet
) -> None:
    inventory = an_inventory(tmp_path_factory.mktemp("inventory"))
    sides = swept(inventory, before, "s1"), swept(inventory, after, "s2")
    also = set(MEMBERS[::2])
    told = {
        (one.before, one.population_before): one
        for one in inventory.flows(*sides, MEMBERS, also, ()).flows
        if one.before == one.after and one.population_before is one.population_after
    }
    stayed = counted(before, set()) & counted(after, set())
    wanted = Counter({row: count for row, count in stayed.items() if row[0] in also})
    assert {place: one.objects for place, one in told.items()} == dict(by_place(wanted))
    for (member, population), one in told.items():
        inside = {row[1] for row in wanted if (row[0], row[2]) == (member, population) and row[1] is not None}
        assert one.namespaces == len(inside)


def test_the_same_comparison_again_reads_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inventory = an_inventory(tmp_path)
    fleet: Fleet = {bucket: [] for bucket in BUCKETS}
    sides = swept(inventory, fleet, "s1"), swept(inventory, fleet, "s2")
    first = inventory.flows(*sides, MEMBERS, set(), ())
    monkeypatch.setattr("auditor.inventory.store.flows", lambda *_: pytest.fail("it was made again"))
    assert inventory.flows(*sides, MEMBERS, set(), ()) is first


def test_files_that_are_gone_or_damaged_are_not_compared(tmp_path: Path) -> None:
    inventory = an_inventory(tmp_path)
    fleet: Fleet = {bucket: [] for bucket in BUCKETS}
    sides = swept(inventory, fleet, "s1"), swept(inventory, fleet, "s2")
    (path,) = tmp_path.glob("gs-one*/s1/dependencies.parquet")
    path.write_bytes(b"x")
    with pytest.raises(LedgerError, match="is not what the sweep wrote"):
        inventory.flows(*sides, MEMBERS, set(), ())
    path.unlink()
    with pytest.raises(GoneError, match="lacks"):
        inventory.flows(*sides, MEMBERS, set(), ())


def test_data_of_two_keys_is_put_together_within_each_as_far_as_it_goes(tmp_path: Path) -> None:
    def fleet(first: tuple[int, int], second: tuple[int, int]) -> Fleet:
        amounts = {("k1", "1"): first[0], ("k1", "2"): first[1], ("k2", "1"): second[0], ("k2", "2"): second[1]}
        rows = [
            an_object(name=f"a/b/{key}-{version}-{number}", key=key, key_version=version)
            for (key, version), count in amounts.items()
            for number in range(count)
        ]
        return {BUCKETS[0]: rows}

    inventory = an_inventory(tmp_path)
    sides = swept(inventory, fleet((8, 0), (5, 0)), "s1"), swept(inventory, fleet((0, 10), (0, 5)), "s2")
    members: list[Member] = [
        (BUCKETS[0], Encryption.CMEK, key, version) for key in ("k1", "k2") for version in ("1", "2")
    ]
    found = inventory.flows(*sides, members, set(), ())
    told = {(one.before and one.before[2:], one.after and one.after[2:], one.objects) for one in found.flows}
    assert told == {(("k1", "1"), ("k1", "2"), 8), (("k2", "1"), ("k2", "2"), 5), (None, ("k1", "2"), 2)}
