"""What is asked of dependencies is what their rows say, however they are asked and wherever the rows stand."""

import itertools
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auditor.errors import LedgerError
from auditor.findings import Assessed, Assessment, Basis, Member, Readability, Subject, SubjectKind, member_of
from auditor.inventory import dependencies, files, largest, spaces, totals
from auditor.inventory.cuts import Cut
from auditor.inventory.dependencies import Dependencies
from auditor.inventory.layout import Layout
from auditor.inventory.store import FileInventory
from auditor.model import Dependency, Encryption, Extent, Population, StoredObject
from auditor.ownership.registered import Portion
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
        patch.setattr(dependencies, "_FEW", data.draw(st.integers(0, 3)))
        patch.setattr(largest, "_SETS", data.draw(st.integers(0, 9)))
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


Row = dict[str, Any]
PLACED = st.fixed_dictionaries(
    {
        "namespace": st.none() | NAMES.map(lambda name: name.rpartition("/")[0] or None),
        "key": st.sampled_from(["k1", "k2", "k3"]),
        "key_version": st.sampled_from(["1", None]),
        "objects": st.none() | st.integers(0, 2),
        "portions": st.sampled_from([0, Portion.WRONG_KEY.bit, Portion.WRONG_KEY.bit | Portion.BRANCHED.bit]),
    }
).map(lambda one: {**one, "portions": one["portions"] if one["namespace"] else 0})
"""What stands beside registries: what is in no namespace is in no portion."""
MEMBERS: tuple[Member, ...] = tuple(
    ("gs://one", Encryption.CMEK, key, version) for key in ("k1", "k2", "k3", "k4") for version in ("1", None)
)


def beside(path: Path, rows: Iterable[Row], rows_a_group: int = 2) -> Path:
    told = {"bucket": "gs://one", "population": "live", "encryption": "cmek", "archived": 0}
    fields = [pa.field("owner", pa.string()), pa.field("team", pa.string()), pa.field("portions", pa.int32())]
    full = [
        {**told, **one, "bytes": one["objects"], "tenant": (one["namespace"] or "").partition("/")[0] or None}
        for one in sorted(rows, key=lambda one: (one["namespace"] or "").encode())
    ]
    table = pa.Table.from_pylist(full, pa.schema([*totals.SCHEMA, *fields]))
    pq.write_table(table, path, row_group_size=rows_a_group)
    return path


def added(rows: Iterable[Row]) -> int | None:
    counts = [one["objects"] for one in rows]
    return None if None in counts else sum(counts)


def extent_of(rows: Iterable[Row], members: Iterable[Member], bits: int) -> Extent:
    """Of these portions, all without any, by looking at each row."""
    chosen = {(key, version) for _, _, key, version in members}
    found = [one for one in rows if (one["key"], one["key_version"]) in chosen and (not bits or one["portions"] & bits)]
    spaces: dict[str, list[Row]] = {}
    for one in found:
        if one["namespace"]:
            spaces.setdefault(one["namespace"], []).append(one)
    amounts = {space: added(some) for space, some in spaces.items()}
    most_first = sorted(spaces, key=lambda one: (amounts[one] is None, -(amounts[one] or 0), one.encode()))
    return Extent(
        objects=added(found),
        size=added(found),
        namespaces=len(spaces),
        tenants=tuple(sorted({space.partition("/")[0] for space in spaces})),
        sample_namespaces=tuple(f"gs://one/{space}" for space in most_first[:10]),
    )


@settings(max_examples=60)
@given(
    rows=st.lists(PLACED, max_size=25, unique_by=lambda one: (one["namespace"], one["key"], one["key_version"])),
    sets=st.lists(st.lists(st.sampled_from(MEMBERS), unique=True, min_size=1), min_size=1, max_size=4),
    portions=st.lists(st.sampled_from([Portion.WRONG_KEY, Portion.BRANCHED]), unique=True, min_size=1),
    limits=st.tuples(st.integers(0, 5), st.integers(0, 3), st.sampled_from([0, 2, 20_000])),
)
def test_portions_of_holdings_are_what_their_rows_say(
    tmp_path_factory: pytest.TempPathFactory,
    *,
    rows: list[Row],
    sets: list[list[Member]],
    portions: list[Portion],
    limits: tuple[int, int, int],
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        for name, limit in zip(("_ROWS_AT_ONCE", "_FEW"), limits, strict=False):
            patch.setattr(dependencies, name, limit)
        patch.setattr(largest, "_SETS", limits[2])
        found = Dependencies((), [beside(tmp_path_factory.mktemp("placed") / "rows.parquet", rows)])
        bits = sum(one.bit for one in portions)
        wanted = [(some, tuple(portions)) for some in sets]
        assert found.extents_of(wanted) == tuple(extent_of(rows, some, bits) for some in sets)
        assert found.extents(sets) == tuple(extent_of(rows, some, 0) for some in sets)
    for member in MEMBERS:
        of_it = [one["portions"] for one in rows if (one["key"], one["key_version"]) == member[2:]]
        expected = tuple(one for one in Portion if any(one.bit & some for some in of_it))
        assert found.portions().get(member, ()) == expected


def test_of_all_that_namespaces_have_nothing_is_read_again(tmp_path: Path) -> None:
    names = (("a/a", "k1"), ("b/a", "k1"), ("c/a", "k2"), ("c/a", "k3"))
    rows: list[Row] = [
        {"namespace": name, "key": key, "key_version": "1", "objects": 1, "portions": Portion.WRONG_KEY.bit}
        for name, key in names
    ]
    file = beside(tmp_path / "rows.parquet", rows)
    found = Dependencies((), [file])
    first, second, third = ([("gs://one", Encryption.CMEK, key, "1")] for key in ("k1", "k2", "k3"))
    found.extents([second])
    file.unlink()
    both = [*second, *third]
    assert found.extents([first, both]) == (extent_of(rows, first, 0), extent_of(rows, both, 0))
    # All that these portions are is all that there is.
    wanted = [(first, (Portion.WRONG_KEY,)), (both, (Portion.WRONG_KEY, Portion.BRANCHED))]
    assert found.extents_of(wanted) == (extent_of(rows, first, 0), extent_of(rows, both, 0))
    with pytest.raises(LedgerError, match="cannot be read"):
        found.extents([third])


def test_of_many_parts_a_file_that_is_gone_is_told_as_of_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dependencies, "_FEW", 0)
    rows: list[Row] = [
        {"namespace": "a", "key": key, "key_version": None, "objects": 1, "portions": 0} for key in ("k1", "k2")
    ]
    file = beside(tmp_path / "rows.parquet", rows)
    found = Dependencies((), [file])
    found.holdings()
    file.unlink()
    with pytest.raises(LedgerError, match="cannot be read"):
        found.extents([[("gs://one", Encryption.CMEK, "k1", None)]])
    assert found.failed


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
