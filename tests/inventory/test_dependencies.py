"""What is asked of dependencies is what their rows say, however they are asked and wherever the rows stand."""

import itertools
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auditor.findings import Assessed, Assessment, Basis, Member, Readability, Subject, SubjectKind, member_of
from auditor.inventory import dependencies, files, spaces, totals
from auditor.inventory.cuts import Cut
from auditor.inventory.dependencies import Dependencies
from auditor.inventory.layout import Layout
from auditor.inventory.store import FileInventory
from auditor.model import Dependency, Encryption, Extent, Population, StoredObject
from auditor.rows import batched
from auditor.waiver import fits
from tests.core_builders import NOW
from tests.inventory.test_store import a_sweep
from tests.sweeps import write

BUCKETS = ("gs://one", "gs://two")
HELD = (
    (Encryption.CMEK, "k1", "1"),
    (Encryption.CMEK, "k1", "2"),
    (Encryption.CMEK, "k2", None),
    (Encryption.PROVIDER, None, None),
)
NAMES = st.builds("{}/{}/{}".format, *[st.sampled_from("abé")] * 2, st.sampled_from("xyz")) | st.sampled_from("ab")


@st.composite
def objects(draw: st.DrawFn) -> StoredObject:
    encryption, key, version = draw(st.sampled_from(HELD))
    return StoredObject(
        name=draw(NAMES),
        version=str(draw(st.integers(1, 9))),
        population=draw(st.sampled_from(Population)),
        size=draw(st.integers(0, 9)),
        modified=NOW,
        etag=None,
        storage_class="STANDARD",
        archived=False,
        encryption=encryption,
        key=key,
        key_version=version,
        verified=NOW,
    )


def once_each(some: Iterable[StoredObject]) -> list[StoredObject]:
    by_version = {(one.name.encode(), one.version): one for one in some}
    return [by_version[place] for place in sorted(by_version)]


FLEETS = st.fixed_dictionaries({bucket: st.lists(objects(), max_size=30).map(once_each) for bucket in BUCKETS})


def opened(folder: Path, fleet: dict[str, list[StoredObject]]) -> Dependencies:
    inventory = FileInventory(folder, {bucket: Layout.parse("{org}/{namespace}/") for bucket in BUCKETS})
    written = {bucket: write(inventory, bucket, batched(some)) for bucket, some in fleet.items()}
    return inventory.open([a_sweep(one, bucket=bucket) for bucket, one in written.items()])


def held(fleet: dict[str, list[StoredObject]], members: Iterable[Member]) -> list[tuple[str, str | None, StoredObject]]:
    """(bucket, namespace, object) of everything in these holdings, by looking at each."""
    chosen = set(members)
    return [
        (bucket, one.name.rpartition("/")[0] or None, one)
        for bucket, some in fleet.items()
        for one in some
        if (bucket, one.encryption, one.key, one.key_version) in chosen
    ]


def extent(fleet: dict[str, list[StoredObject]], members: Iterable[Member]) -> Extent:
    found = held(fleet, members)
    inside = [(bucket, namespace) for bucket, namespace, _ in found if namespace]
    most_first = sorted(set(inside), key=lambda one: (-inside.count(one), one[0], one[1].encode()))
    return Extent(
        objects=len(found),
        size=sum(one.size for _, _, one in found),
        namespaces=len(set(inside)),
        tenants=tuple(sorted({namespace.partition("/")[0] for _, namespace in inside})),
        sample_namespaces=tuple(f"{bucket}/{namespace}" for bucket, namespace in most_first[:10]),
    )


def place_of(row: Dependency) -> tuple[str, ...]:
    """What rows are sorted by: nothing comes before everything."""
    key = row.encryption, row.key or "", row.key_version or ""
    return row.bucket, row.namespace or "", row.tenant or "", row.population or "", *key


def judged(readability: Readability) -> Assessment:
    return Assessment(readability, Basis.STATE, "a cause", Subject(SubjectKind.KEY, "k"))


@settings(max_examples=40)
@given(FLEETS, st.data())
def test_every_question_is_answered_as_by_looking_at_each_object(
    tmp_path_factory: pytest.TempPathFactory, fleet: dict[str, list[StoredObject]], data: st.DataObject
) -> None:
    members: list[Member] = [(bucket, *one) for bucket in BUCKETS for one in HELD]
    sets = data.draw(st.lists(st.lists(st.sampled_from(members), unique=True, max_size=5), max_size=5))
    how: dict[Any, tuple[str, int]] = {
        dependencies: ("_ROWS_AT_ONCE", data.draw(st.integers(0, 5))),
        files: ("_ROWS_A_GROUP", data.draw(st.integers(1, 5))),
        totals: ("_SUMS_HELD", data.draw(st.integers(0, 3))),
    }
    with pytest.MonkeyPatch.context() as patch:
        for module, (name, value) in how.items():
            patch.setattr(module, name, value)
        found = opened(tmp_path_factory.mktemp("inventory"), fleet)
        holdings = found.holdings()
        assert found.extents(sets) == tuple(extent(fleet, one) for one in sets)
        assert found.extents(reversed(sets)) == tuple(extent(fleet, one) for one in reversed(sets))
    assert [found.count_namespaces(one) for one in sets] == [extent(fleet, one).namespaces for one in sets]
    apart = [[one for one in members if members.index(one) % 3 == number] for number in range(3)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dependencies, "_ROWS_AT_ONCE", data.draw(st.integers(0, 5)))
        measured = opened(tmp_path_factory.mktemp("inventory"), fleet).measured(apart, 2)
    assert measured.together == extent(fleet, members)
    assert [(one.objects, one.size, one.namespaces) for one in measured.each] == [
        (one.objects, one.size, one.namespaces) for one in (extent(fleet, some) for some in apart)
    ]
    assert list(measured.worst) == list(found.namespaces(members, limit=2))
    every = [one for _, _, one in held(fleet, members)]
    for population in Population:
        sizes = [one.size for one in every if one.population is population]
        assert measured.populations.get(population, (0, 0)) == (len(sizes), sum(sizes))
    there = [one for one in members if held(fleet, [one])]
    assert {(one.bucket, one.encryption, one.key, one.key_version) for one in holdings} == set(there)
    for one in holdings:
        expected = extent(fleet, [(one.bucket, one.encryption, one.key, one.key_version)])
        assert (one.objects, one.size, one.namespaces) == (expected.objects, expected.size, expected.namespaces)
    assessed = [
        Assessed(one, one.encryption, judged(Readability.LOST if one.key == "k1" else Readability.READABLE))
        for one in holdings
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dependencies, "_PAGE", data.draw(st.integers(1, 5)))
        told = [row for row, _ in found.rows(assessed)]
        start, most = data.draw(st.integers(0, 40)), data.draw(st.integers(0, 9))
        assert [row for row, _ in found.rows(assessed, start, most)] == told[start : start + most]
        assert [row for row, _ in found.rows(assessed, start)] == told[start:]
    assert told == sorted(told, key=place_of)
    assert len({place_of(one) for one in told}) == len(told)
    assert sum(one.objects or 0 for one in told) == sum(map(len, fleet.values()))
    worst = found.worst_namespaces(assessed, 100)
    assert found.worst_namespaces(assessed, 2) == worst[:2]
    lost = [member_of(one.holding) for one in assessed if one.assessment.readability is Readability.LOST]
    assert [(one.bucket, one.namespace) for one in worst if one.readability is Readability.LOST] == [
        (one.bucket, one.namespace) for one in found.namespaces(lost)
    ]
    assert len(worst) == extent(fleet, members).namespaces
    for (bucket, readability), count in found.namespaces_by_readability(assessed).items():
        mine = [one for one in there if one[0] == bucket and (one[2] == "k1") is (readability is Readability.LOST)]
        assert count == extent(fleet, mine).namespaces


PATTERNS = st.none() | st.sampled_from(["a", "a/*", "*/b", "*", "é*", "_/b", "%", "a!/b"])


@settings(max_examples=40)
@given(fleet=FLEETS, namespace=PATTERNS, tenant=PATTERNS)
def test_what_is_beyond_patterns_is_what_does_not_fit(
    tmp_path_factory: pytest.TempPathFactory,
    fleet: dict[str, list[StoredObject]],
    namespace: str | None,
    tenant: str | None,
) -> None:
    rows = opened(tmp_path_factory.mktemp("inventory"), fleet)
    members = [member_of(one) for one in rows.holdings()][::2]
    every = held(fleet, members)
    within = [
        name
        for _, name, _ in every
        if (namespace is None or (name is not None and fits(namespace, name)))
        and (tenant is None or (name is not None and fits(tenant, name.partition("/")[0])))
    ]
    for _ in range(2):
        found = rows.beyond([(members, ()), ([], ()), (members, ())], namespace, tenant)
        assert found == ((len(within), len(every) - len(within)), (0, 0), found[0])


def test_of_a_holding_that_is_not_seen_nobody_knows_what_is_in_it(tmp_path: Path) -> None:
    rows = opened(tmp_path, {"gs://one": [], "gs://two": []})
    member: Member = ("gs://one", Encryption.CMEK, "k1", "1")
    assert rows.beyond([([member], ()), ([], ())], "a/*", None) == ((0, 1), (0, 0))
    assert rows.beyond([], "a/*", None) == ()


@settings(max_examples=25)
@given(
    fleet=FLEETS,
    name=st.sampled_from(["a", "a/", "a/b", "b/é", "é", "z", "", "a/b/"]),
    bucket=st.none() | st.sampled_from(BUCKETS),
    place=st.tuples(st.integers(0, 3), st.integers(1, 4)),
    parts=st.sets(st.sampled_from(["a/a", "a/b", "a/é", "b", "b/b", "é/a"])),
)
def test_namespaces_are_found_by_name_and_by_how_it_begins(
    tmp_path_factory: pytest.TempPathFactory,
    *,
    fleet: dict[str, list[StoredObject]],
    name: str,
    bucket: str | None,
    place: tuple[int, int],
    parts: set[str],
) -> None:
    rows = opened(tmp_path_factory.mktemp("inventory"), fleet)
    starts = [None, *sorted(parts), None]
    rows._cut = tuple(itertools.starmap(Cut, itertools.pairwise(starts)))  # noqa: SLF001 - as of a large fleet
    assessed = [
        Assessed(one, one.encryption, judged(Readability.LOST if one.key == "k1" else Readability.READABLE))
        for one in rows.holdings()
    ]
    every = held(fleet, [member_of(one.holding) for one in assessed])
    start, most = place
    for prefix in (True, False):
        fitting = {
            (space, where)
            for where, space, _ in every
            if space is not None and (space.startswith(name) if prefix else space == name) and bucket in {None, where}
        }
        expected = sorted(fitting, key=lambda one: (one[0].encode(), one[1]))
        found = rows.named(assessed, name, prefix=prefix, bucket=bucket, offset=0, limit=100)
        assert [(one.namespace, one.bucket) for one in found] == expected
        assert (
            rows.named(assessed, name, prefix=prefix, bucket=bucket, offset=start, limit=most) == found[start:][:most]
        )
        for one in found:
            mine = [each for where, space, each in every if (where, space) == (one.bucket, one.namespace)]
            is_lost = any(each.key == "k1" for each in mine)
            assert (one.objects, one.size) == (len(mine), sum(each.size for each in mine))
            assert one.readability is (Readability.LOST if is_lost else Readability.READABLE)
            told = [row for row, _ in rows.of_namespace(assessed, one.bucket, one.namespace, 0, 100)]
            assert told == [
                row for row, _ in rows.rows(assessed) if (row.bucket, row.namespace) == (one.bucket, one.namespace)
            ]
            assert [row for row, _ in rows.of_namespace(assessed, one.bucket, one.namespace, 1, 2)] == told[1:3]
    tenants = {space.partition("/")[0] for _, space, _ in every if space}
    for tenant in ("a", "nobody"):
        members = {
            (where, one.encryption, one.key, one.key_version)
            for where, space, one in every
            if space and space.partition("/")[0] == tenant
        }
        assert rows.held_by(tenant) == {(member, ()) for member in members}
    assert "nobody" not in tenants


BOUNDS = {"a": "b", "a/": "a0", "z\ud7ff": "z\ue000", "a\U0010ffff": "b", "\U0010ffff": None, "": None}


@pytest.mark.parametrize(("prefix", "until"), BOUNDS.items(), ids=range(len(BOUNDS)))
def test_what_begins_so_ends_where_the_next_text_begins(prefix: str, until: str | None) -> None:
    assert spaces.upper_bound(prefix) == until


def test_a_page_of_namespaces_goes_on_over_the_parts_of_a_large_fleet(tmp_path: Path) -> None:
    def stored(name: str) -> StoredObject:
        held = {"encryption": Encryption.CMEK, "key": "k1", "key_version": "1", "storage_class": "STANDARD"}
        seen = {"modified": NOW, "verified": NOW, "etag": None, "archived": False}
        return StoredObject(name=f"{name}/x", version="1", population=Population.LIVE, size=1, **held, **seen)  # type: ignore[arg-type] # each is what it is called

    names = ["a/a", "a/b", "a/c", "b/a", "b/b", "c/a"]
    rows = opened(tmp_path, {"gs://one": [stored(name) for name in names], "gs://two": [stored("b/a")]})
    rows._cut = (Cut(None, "a/c"), Cut("a/c", "b/b"), Cut("b/b", None))  # noqa: SLF001 - as of a large fleet
    assessed = [Assessed(one, one.encryption, judged(Readability.LOST)) for one in rows.holdings()]
    expected = sorted([*names, "b/a"])
    for start in range(9):
        for most in range(1, 9):
            found = rows.named(assessed, "", prefix=True, bucket=None, offset=start, limit=most)
            assert [one.namespace for one in found] == expected[start:][:most], (start, most)
