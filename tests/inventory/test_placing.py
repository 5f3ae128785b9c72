"""What a sweep found beside what registries say of its namespaces, a part after the other, and beside itself."""

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auditor.inventory import files, placing, totals
from auditor.inventory.placing import OfKeys, has_mixed, place
from auditor.ownership.registered import Labels, Portion
from tests.inventory.test_claiming import ENTRY, KEY, NUMBER, ONES, OTHER, REPLICAS, ROW, entry

Told = dict[str, Any]
NOTHING = OfKeys({}, {})
P = Portion
ALIKE = [KEY.replace("acme-keys", project) for project in ("zeta-keys", "654321")]
PLAIN: Told = {"encryption": "provider", "key": None, "key_version": None}
OWN: Told = {**PLAIN, "encryption": "customer_supplied"}
UNKNOWN: Told = {**PLAIN, "encryption": "unknown"}
FIRST, SECOND = ({"key": one, "key_version": None} for one in REPLICAS)


def held(folder: Path, rows: list[Told], *, as_given: bool = False) -> Path:
    """A sweep's rows in the order of namespaces, two in each part of the file."""
    path = folder / "held[1].parquet"
    if as_given:
        pq.write_table(pa.Table.from_pylist([{**ROW, **one} for one in rows], totals.SCHEMA), path, row_group_size=2)
        return path
    ordered = sorted(({**ROW, **one} for one in rows), key=lambda one: (one["namespace"] is not None, one["namespace"]))
    pq.write_table(pa.Table.from_pylist(ordered, totals.SCHEMA), path, row_group_size=2)
    return path


def placed(
    folder: Path,
    rows: list[Told],
    said: list[Told],
    of_keys: OfKeys = NOTHING,
    *,
    is_known: bool = False,
    as_given: bool = False,
) -> list[Told]:
    entries, target = folder / "entries[1].parquet", folder / "placed.parquet"
    parents = [{"parent": None, **one} for one in said]
    pq.write_table(pa.Table.from_pylist(parents, ENTRY.append(pa.field("parent", pa.string()))), entries)
    place(held(folder, rows, as_given=as_given), target, "gs://data", entries, of_keys, is_known=is_known)
    assert not [*folder.glob(f"{files.UNFINISHED}*")]
    found: list[Told] = pq.read_table(target).to_pylist()
    return found


def parts(row: Told) -> set[Portion]:
    return {one for one in Portion if row["portions"] & one.bit}


PLACED: dict[str, tuple[Told, list[Told], OfKeys, bool, set[Portion]]] = {
    "as it is to be": ({}, [entry(KEY, tenant="acme")], OfKeys({KEY: "acme"}, {}), True, set()),
    "of which nobody speaks": ({}, [], NOTHING, False, set()),
    "that no registry knows": ({}, [], NOTHING, True, {P.UNREGISTERED}),
    "that another bucket's registry knows": ({}, [entry(KEY, bucket="gs://more")], NOTHING, True, {P.UNREGISTERED}),
    "of which branches are known": (
        {},
        [entry(KEY, namespace="acme/fork", parent="acme/chat")],
        NOTHING,
        True,
        {P.UNREGISTERED, P.BRANCHED},
    ),
    "in none": ({"namespace": None}, [], NOTHING, True, set()),
    "under another key": ({}, [entry(OTHER)], NOTHING, False, {P.WRONG_KEY}),
    "under another name of the key": ({}, [entry(NUMBER)], OfKeys({}, {}, ONES), False, set()),
    "under what may be another name of it": ({}, [entry(NUMBER)], NOTHING, False, {P.NAMESAKE}),
    "under another key by its number": ({}, [entry(f"{NUMBER}-2")], NOTHING, False, {P.WRONG_KEY}),
    "under one of two that may be one": ({}, [entry(key=KEY, other=NUMBER)], NOTHING, False, {P.NAMESAKE}),
    "under the other of two that may be one": ({}, [entry(key=NUMBER, other=KEY)], NOTHING, False, {P.NAMESAKE}),
    "under neither of two that may be one": (
        {"key": OTHER},
        [entry(key=KEY, other=NUMBER)],
        NOTHING,
        False,
        {P.WRONG_KEY},
    ),
    "under a replica": (SECOND, [entry(REPLICAS[0])], NOTHING, False, set()),
    "under no customer's key": (PLAIN, [entry(KEY)], NOTHING, False, {P.NOT_CUSTOMER_MANAGED}),
    "under what nobody knows": (UNKNOWN, [entry(KEY)], NOTHING, False, set()),
    "under another tenant's key": ({}, [], OfKeys({KEY: "zeta"}, {}), False, {P.FOREIGN_TENANT}),
    "under another tenant's by a replica": (FIRST, [], OfKeys({REPLICAS[1]: "zeta"}, {}), False, {P.FOREIGN_TENANT}),
    "of another tenant than its name says": (
        {},
        [entry(KEY, tenant="zeta")],
        OfKeys({KEY: "acme"}, {}),
        False,
        {P.FOREIGN_TENANT},
    ),
    "of which entries say two things": ({}, [entry(KEY, OTHER)], NOTHING, False, {P.DISPUTED}),
}


@pytest.mark.parametrize("case", PLACED.values(), ids=PLACED)
def test_what_was_swept_parts_from_what_registries_say(
    tmp_path: Path, case: tuple[Told, list[Told], OfKeys, bool, set[Portion]]
) -> None:
    row, said, of_keys, is_known, portions = case
    (found,) = placed(tmp_path, [row], said, of_keys, is_known=is_known)
    assert parts(found) == portions
    assert (found["objects"], found["bytes"], found["archived"]) == (10, 1000, 2)


def test_whose_it_is_and_who_answers_for_it_the_namespace_says_before_its_key(tmp_path: Path) -> None:
    of_keys = OfKeys({}, {KEY: Labels(owner="keys-owner", team="keys-team")})
    names = [f"acme/{number}" for number in range(4)]
    said = [
        entry(KEY, namespace=names[0], tenant="zeta", owner="o", team="t"),
        entry(KEY, namespace=names[1]),
        entry(KEY, namespace=names[2], parted=True),
    ]
    found = placed(tmp_path, [{"namespace": one} for one in names], said, of_keys)
    assert [(one["namespace"], one["tenant"], one["owner"], one["team"]) for one in found] == [
        (names[0], "zeta", "o", "t"),
        (names[1], "acme", "keys-owner", "keys-team"),
        (names[2], "acme", None, None),
        (names[3], "acme", "keys-owner", "keys-team"),
    ]


@pytest.mark.parametrize("at_once", [1, 2, 1_000])
def test_in_however_many_parts_each_row_is_placed_once_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr(placing, "_ROWS_AT_ONCE", at_once)
    rows: list[Told] = [{"namespace": f"acme/{number}"} for number in range(7)]
    rows += [{"namespace": None}, {"namespace": "acme/3", "key": OTHER}]
    found = placed(tmp_path, rows, [entry(KEY, namespace="acme/5"), entry(OTHER, namespace="acme/6")])
    assert [one["namespace"] for one in found] == [None, *(f"acme/{one}" for one in (0, 1, 2, 3, 3, 4, 5, 6))]
    told = {(one["namespace"], one["key"]): parts(one) for one in found if one["portions"]}
    mixed = {("acme/3", key): {P.MIXED_KEYS} for key in (KEY, OTHER)}
    assert told == {("acme/6", KEY): {P.WRONG_KEY}, **mixed}


MIXED: dict[str, tuple[list[Told], Mapping[str, str], set[Portion]]] = {
    "one key": ([{}, {"key_version": "2"}], {}, set()),
    "two keys": ([{}, {"key": OTHER}], {}, {P.MIXED_KEYS}),
    "a key and none": ([{}, PLAIN], {}, {P.MIXED_KEYS}),
    "a key and one of its writer": ([{}, OWN], {}, {P.MIXED_KEYS}),
    "none and one of its writer": ([PLAIN, OWN], {}, set()),
    "a key and nobody knows": ([{}, UNKNOWN], {}, set()),
    "a key, and another one before": ([{}, {"key": OTHER, "population": "noncurrent"}], {}, set()),
    "two replicas": ([FIRST, SECOND], {}, set()),
    "two names of one key": ([{}, {"key": NUMBER}], ONES, set()),
    "two names that may be of one": ([{}, {"key": NUMBER}], {}, {P.MIXED_NAMES}),
    "two names of two keys": ([{}, {"key": NUMBER}], {KEY: "a", NUMBER: "b"}, {P.MIXED_KEYS}),
    "two keys of one project's number": ([{"key": NUMBER}, {"key": f"{NUMBER}-2"}], {}, {P.MIXED_KEYS}),
    "two keys of two numbers": ([{"key": NUMBER}, {"key": ALIKE[1]}], {}, {P.MIXED_KEYS}),
    "two keys of two ids": ([{}, {"key": ALIKE[0]}], {}, {P.MIXED_KEYS}),
    "in no namespace": ([{"namespace": None}, {"namespace": None, "key": OTHER}], {}, set()),
}


@pytest.mark.parametrize(("rows", "ones", "portions"), MIXED.values(), ids=MIXED)
def test_live_data_of_a_namespace_is_under_one_key_or_that_is_told(
    tmp_path: Path, rows: list[Told], ones: Mapping[str, str], portions: set[Portion]
) -> None:
    of_keys = OfKeys({}, {}, ones)
    found = placed(tmp_path, rows, [], of_keys)
    assert [parts(one) for one in found if one["population"] == "live" and one["encryption"] != "unknown"] == [
        portions
    ] * sum(one.get("population") is None and one.get("encryption") != "unknown" for one in rows)
    assert has_mixed(tmp_path / "held[1].parquet", of_keys) is bool(portions)
    named = placed(tmp_path, rows, [entry(KEY)], of_keys)
    assert not any(parts(one) & {P.MIXED_KEYS, P.MIXED_NAMES} for one in named), "a registry names the one"


@pytest.mark.parametrize("at_once", [1, 1_000])
def test_one_mixed_namespace_in_any_part_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr(placing, "_ROWS_AT_ONCE", at_once)
    alone: list[Told] = [{"namespace": f"acme/{number}"} for number in range(9)]
    assert not has_mixed(held(tmp_path, alone), NOTHING)
    for number in (0, 4, 8):
        path = held(tmp_path, [*alone, {"namespace": f"acme/{number}", "key": OTHER}])
        assert has_mixed(path, NOTHING)
    perhaps = [*alone, {"namespace": "acme/1", "key": NUMBER}, {"namespace": "acme/7", "key": OTHER}]
    assert has_mixed(held(tmp_path, perhaps), OfKeys({}, {}, ONES)), "behind one that only seemed so"


ELSEWHERE = entry(KEY, bucket="gs://more")
NAMES = ["a", "a-b", "a/b", "b", None]
"""In the order of objects' names `a-b` is before `a`."""
MANY_KEYS = [
    KEY,
    NUMBER,
    *ALIKE,
    OTHER,
    f"{NUMBER}-2",
    "projects//locations",
    "projects/7",
    "odd:/mrk-",
    "arn:/mrk-1",
    None,
]
A_ROW = st.fixed_dictionaries(
    {
        "namespace": st.sampled_from(NAMES),
        "population": st.sampled_from(["live", "live", "live", "noncurrent"]),
        "encryption": st.sampled_from(["cmek", "cmek", "cmek", "provider", "customer_supplied", "unknown"]),
        "key": st.sampled_from([*MANY_KEYS, *REPLICAS]),
    }
)
A_SPELLING = st.dictionaries(st.sampled_from([KEY, NUMBER, OTHER, f"{NUMBER}-2"]), st.sampled_from(["x", "y", KEY]))


@settings(max_examples=25)
@given(rows=st.lists(A_ROW, max_size=12), ones=A_SPELLING, at_once=st.sampled_from([1, 3, 1_000]))
def test_where_nobody_says_anything_all_is_as_it_would_be_beside_registries_of_other_buckets(
    rows: list[Told], ones: dict[str, str], at_once: int
) -> None:
    numbered = [{**one, "objects": number} for number, one in enumerate(rows)]
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(placing, "_ROWS_AT_ONCE", at_once)
        home = Path(folder)
        alone, beside = (
            placed(home, numbered, said, OfKeys({}, {}, ones), as_given=True) for said in ([], [ELSEWHERE])
        )
        assert [one["namespace"] for one in alone] == [one["namespace"] for one in beside]
        alone, beside = (sorted(some, key=lambda one: one["objects"]) for some in (alone, beside))
        assert alone == beside
        assert has_mixed(home / "held[1].parquet", OfKeys({}, {}, ones)) is any(one["portions"] for one in beside)


@pytest.mark.parametrize("said", [[], [ELSEWHERE]], ids=["nothing", "something"])
def test_what_is_written_has_the_same_columns_whoever_says_something_and_however_little_it_is(
    tmp_path: Path, said: list[Told]
) -> None:
    assert placed(tmp_path, [], said) == []
    schema = pq.read_schema(tmp_path / "placed.parquet")
    assert schema.names == [*totals.SCHEMA.names, "owner", "team", "portions"]
    assert [one.type for one in schema] == [*totals.SCHEMA.types, pa.string(), pa.string(), pa.int32()]
    placed(tmp_path, [{}, {"key": OTHER}], said)
    assert pq.read_schema(tmp_path / "placed.parquet") == schema


@pytest.mark.parametrize("said", [[], [ELSEWHERE]], ids=["nothing", "something"])
def test_what_cannot_be_written_is_no_file_and_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: list[Told]
) -> None:
    target, entries = tmp_path / "placed.parquet", tmp_path / "entries.parquet"
    path = held(tmp_path, [{"namespace": f"acme/{number}"} for number in range(9)])
    parents = [{"parent": None, **one} for one in said]
    pq.write_table(pa.Table.from_pylist(parents, ENTRY.append(pa.field("parent", pa.string()))), entries)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(placing, "_ROWS_AT_ONCE", 1)
    monkeypatch.setattr(pq.ParquetWriter, "write_table", full)
    with pytest.raises(OSError, match="No space"):
        place(path, target, "gs://data", entries, NOTHING, is_known=False)
    assert not target.exists()


@pytest.mark.parametrize("at_once", [1, 1_000])
@pytest.mark.parametrize("said", [[], [ELSEWHERE]], ids=["nothing", "something"])
def test_what_a_sweep_has_in_the_order_of_objects_names_is_written_in_that_of_namespaces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: list[Told], at_once: int
) -> None:
    monkeypatch.setattr(placing, "_ROWS_AT_ONCE", at_once)
    rows = [{"namespace": one, "key": key} for one in ("a/b-c", "a/b", "a-b", "a", None) for key in (KEY, OTHER)]
    found = placed(tmp_path, rows, said, as_given=True)
    assert [one["namespace"] for one in found[::2]] == [None, "a", "a-b", "a/b", "a/b-c"]
    assert [parts(one) for one in found] == [set()] * 2 + [{P.MIXED_KEYS}] * 8
