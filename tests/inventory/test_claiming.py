"""What registries and bundles say beside each other: no word of another signer hides data, none is counted twice."""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from auditor.inventory import files, totals
from auditor.inventory.claiming import TOLD, claim, gather
from auditor.inventory.placing import OfKeys
from auditor.ownership.registered import Labels, Portion
from tests.core_builders import GCP_KEY, NOW, days

KEY = GCP_KEY.text
NUMBER = KEY.replace("acme-keys", "123456")
OTHER = f"{KEY}-2"
REPLICAS = tuple(f"arn:aws:kms:{region}:111122223333:key/mrk-1" for region in ("us-east-1", "eu-west-1"))
HOUR = timedelta(hours=1)
ROW: dict[str, Any] = {
    "bucket": "gs://data",
    "namespace": "acme/chat",
    "tenant": "acme",
    "population": "live",
    "encryption": "cmek",
    "key": KEY,
    "key_version": "1",
    "objects": 10,
    "bytes": 1000,
    "archived": 2,
    "oldest": NOW - days(9),
    "newest": NOW - days(8),
    "first_name": None,
    "last_name": None,
}
SAID: dict[str, Any] = {"swept": NOW, "signer": "f1", "source": "a"}
_FIELDS: list["pa.Field[Any]"] = [  # quoted: the class takes no parameters at run time
    *(pa.field(name, pa.string()) for name in ("bucket", "namespace", "key", "other", "tenant", "owner", "team")),
    *(pa.field(name, pa.bool_()) for name in ("contradicted", "parted")),
    pa.field("keys", pa.list_(pa.string())),
    pa.field("size", pa.int64()),
]
ENTRY = pa.schema(_FIELDS)


def entry(*keys: str, **more: Any) -> dict[str, Any]:
    """What registries say of one namespace."""
    named = {"bucket": "gs://data", "namespace": "acme/chat", "key": keys[0] if len(keys) == 1 else None}
    return {**named, "contradicted": len(keys) > 1, "parted": False, "keys": list(keys), "size": 7, **more}


def written(path: Path, rows: list[dict[str, Any]], schema: pa.Schema) -> Path:
    pq.write_table(pa.Table.from_pylist(rows, schema), path)
    return path


def gathered(folder: Path, *bundles: list[dict[str, Any]]) -> list[dict[str, Any]]:
    paths = [written(folder / f"{place}.parquet", some, TOLD) for place, some in enumerate(bundles)]
    with duckdb.connect() as database:
        gather(database, paths, folder / "told.parquet")
    assert not [*folder.glob(f"{files.UNFINISHED}*")]
    table = pq.read_table(folder / "told.parquet")
    assert table.schema.names == totals.SCHEMA.names
    found: list[dict[str, Any]] = table.to_pylist()
    return found


def a_row(**more: Any) -> dict[str, Any]:
    return {**ROW, **SAID, **more}


def test_without_a_bundle_nothing_is_told(tmp_path: Path) -> None:
    assert gathered(tmp_path) == []


def test_what_bundles_say_is_told_in_order_without_who_says_it(tmp_path: Path) -> None:
    second = a_row(namespace="acme/a")
    assert gathered(tmp_path, [a_row(), second]) == [{**ROW, "namespace": "acme/a"}, ROW]


@pytest.mark.parametrize(
    ("other", "objects"),
    [
        ({"swept": NOW - HOUR}, [10]),
        ({"swept": NOW + HOUR}, [1]),
        ({}, [10]),
        ({"source": "0"}, [1]),
        ({"swept": NOW - HOUR, "signer": "f2"}, [1, 10]),
        ({"swept": NOW - HOUR, "tenant": "zeta"}, [1, 10]),
        ({"swept": NOW - HOUR, "bucket": "gs://more"}, [1, 10]),
        ({"swept": NOW - HOUR, "namespace": "acme/gone"}, [10]),
    ],
    ids=["older", "newer", "same", "named first", "another signer", "another tenant", "another bucket", "a namespace"],
)
def test_of_two_bundles_of_one_signer_the_newer_sweep_of_a_bucket_counts(
    tmp_path: Path, other: Mapping[str, Any], objects: list[int]
) -> None:
    one, two = [a_row()], [{**a_row(source="b", objects=1), **other}]
    for each in ((one, two), (two, one)):
        assert sorted(row["objects"] for row in gathered(tmp_path, *each)) == objects


def claimed(
    folder: Path, entries: list[dict[str, Any]], told: list[dict[str, Any]], of_keys: OfKeys | None = None
) -> list[dict[str, Any]]:
    target = folder / "claimed.parquet"
    claim(
        written(folder / "entries.parquet", entries, ENTRY),
        written(folder / "told.parquet", told, totals.SCHEMA),
        target,
        of_keys or OfKeys({}, {}),
    )
    assert not [*folder.glob(f"{files.UNFINISHED}*")]
    found: list[dict[str, Any]] = pq.read_table(target).to_pylist()
    return found


def test_a_key_that_is_named_is_a_dependency_of_which_nobody_saw_an_object(tmp_path: Path) -> None:
    (found,) = claimed(tmp_path, [entry(KEY, tenant="acme", owner="o", team="t")], [])
    nobody_saw = ("population", "key_version", "objects", "archived", "oldest", "newest", "first_name", "last_name")
    assert found == {
        "bucket": "gs://data",
        "namespace": "acme/chat",
        "tenant": "acme",
        "encryption": "cmek",
        "key": KEY,
        "bytes": 7,
        "owner": "o",
        "team": "t",
        "portions": 0,
        **dict.fromkeys(nobody_saw),
    }


def test_each_of_several_keys_that_are_named_may_hold_some(tmp_path: Path) -> None:
    assert [one["key"] for one in claimed(tmp_path, [entry(OTHER, KEY)], [])] == [KEY, OTHER]
    assert claimed(tmp_path, [entry()], []) == []


ONES = {KEY: "main 2026", NUMBER: "main 2026"}


def test_what_a_bundle_tells_under_the_named_key_is_claimed_no_more(tmp_path: Path) -> None:
    def counted(named: str, told: Mapping[str, Any], ones: Mapping[str, str] | None = None) -> list[int | None]:
        found = claimed(tmp_path, [entry(named)], [{**ROW, **told}], OfKeys({}, {}, ones or {}))
        return [one["objects"] for one in found]

    assert counted(KEY, {}) == [10]
    assert counted(NUMBER, {}, ONES) == [10], "by another name of it"
    assert counted(REPLICAS[0], {"key": REPLICAS[1], "key_version": None}) == [10], "by a replica"
    assert sorted(map(str, counted(OTHER, {}))) == ["10", "None"]
    assert sorted(map(str, counted(NUMBER, {}))) == ["10", "None"], "what may be it by name is told and claimed"
    assert sorted(map(str, counted(KEY, {"namespace": "acme/else"}))) == ["10", "None"]
    assert sorted(map(str, counted(KEY, {"bucket": "gs://more"}))) == ["10", "None"]
    assert sorted(map(str, counted(KEY, {"key": None, "encryption": "unknown"}))) == ["10", "None"]


def test_a_key_that_is_claimed_by_several_names_is_one(tmp_path: Path) -> None:
    found = claimed(tmp_path, [entry(KEY, NUMBER)], [], OfKeys({}, {}, ONES))
    assert [one["key"] for one in found] == [KEY], "by its project's id"
    elsewhere = {**ROW, "namespace": "acme/else", "key": NUMBER}
    found = claimed(tmp_path, [entry(KEY, NUMBER)], [elsewhere], OfKeys({}, {}, ONES))
    assert [one["key"] for one in found] == [NUMBER, NUMBER], "as a bundle calls it"


LABELS = {KEY: Labels(owner="keys-owner", team="keys-team")}


def who(found: list[dict[str, Any]]) -> list[tuple[str | None, ...]]:
    return [(one["tenant"], one["owner"], one["team"]) for one in found]


def test_what_is_said_of_the_key_counts_where_nobody_says_so_of_the_namespace(tmp_path: Path) -> None:
    of_keys = OfKeys({KEY: "keys"}, LABELS)
    of_key = ("keys", "keys-owner", "keys-team")
    assert who(claimed(tmp_path, [entry(KEY)], [], of_keys)) == [of_key]
    named = entry(KEY, tenant="acme", owner="o", team="t")
    assert who(claimed(tmp_path, [named], [], of_keys)) == [("acme", "o", "t")]
    assert who(claimed(tmp_path, [entry(KEY, contradicted=True)], [], of_keys)) == [(None, *of_key[1:])]
    assert who(claimed(tmp_path, [entry(KEY, parted=True)], [], of_keys)) == [("keys", None, None)]
    assert who(claimed(tmp_path, [entry(OTHER)], [], of_keys)) == [(None, None, None)]


def test_what_is_said_of_one_replica_is_said_of_all_and_what_parts_is_nobodys(tmp_path: Path) -> None:
    first, second = REPLICAS
    labels = {first: Labels(owner="o", team="t")}
    assert who(claimed(tmp_path, [entry(second)], [], OfKeys({first: "acme"}, labels))) == [("acme", "o", "t")]
    both = OfKeys({first: "acme", second: "zeta"}, {**labels, second: Labels(owner="p", team="t")})
    assert who(claimed(tmp_path, [entry(second)], [], both)) == [(None, None, "t")]


def told_beside(folder: Path, said: dict[str, Any], of_keys: OfKeys | None = None, **row: Any) -> dict[str, Any]:
    """What a bundle tells of a namespace, beside what a registry says of it."""
    (found,) = [one for one in claimed(folder, [said], [{**ROW, **row}], of_keys) if one["objects"] is not None]
    return found


def test_whose_data_is_the_registry_knows_better_than_a_bundle(tmp_path: Path) -> None:
    assert told_beside(tmp_path, entry(KEY, tenant="zeta"))["tenant"] == "zeta"
    assert told_beside(tmp_path, entry(KEY))["tenant"] == "acme"
    found = told_beside(tmp_path, entry(KEY, owner="o", team="t"))
    assert (found["owner"], found["team"], found["objects"], found["key_version"]) == ("o", "t", 10, "1")
    of_keys = OfKeys({}, LABELS)
    assert told_beside(tmp_path, entry(KEY), of_keys)["owner"] == "keys-owner"
    assert told_beside(tmp_path, entry(KEY, parted=True), of_keys)["owner"] is None
    assert told_beside(tmp_path, entry(KEY, namespace="acme/else"), of_keys)["team"] == "keys-team"


P = Portion
PORTIONS: dict[str, tuple[dict[str, Any], dict[str, Any], OfKeys, set[Portion]]] = {
    "as it is to be": (entry(KEY, tenant="acme"), {}, OfKeys({KEY: "acme"}, {}), set()),
    "another key": (entry(OTHER), {}, OfKeys({}, {}), {P.WRONG_KEY}),
    "another name of it": (entry(NUMBER), {}, OfKeys({}, {}, ONES), set()),
    "what may be another name of it": (entry(NUMBER), {}, OfKeys({}, {}), {P.NAMESAKE}),
    "one of two that may be one": (
        entry(KEY, NUMBER, key=KEY, other=NUMBER, contradicted=False),
        {},
        OfKeys({}, {}),
        {P.NAMESAKE},
    ),
    "another tenant's key": (entry(KEY, tenant="acme"), {}, OfKeys({KEY: "zeta"}, {}), {P.FOREIGN_TENANT}),
    "another tenant's key, by a replica": (
        entry(REPLICAS[0], tenant="acme"),
        {"key": REPLICAS[0], "key_version": None},
        OfKeys({REPLICAS[1]: "zeta"}, {}),
        {P.FOREIGN_TENANT},
    ),
    "a key of nobody says whom": (entry(KEY), {}, OfKeys({KEY: "zeta"}, {}), set()),
    "under no customer's key": (
        entry(KEY),
        {"encryption": "provider", "key": None, "key_version": None},
        OfKeys({}, {}),
        {P.NOT_CUSTOMER_MANAGED},
    ),
    "under none, and none is named": (
        entry(),
        {"encryption": "provider", "key": None, "key_version": None},
        OfKeys({}, {}),
        set(),
    ),
    "under nobody knows which": (
        entry(KEY),
        {"encryption": "unknown", "key": None, "key_version": None},
        OfKeys({}, {}),
        set(),
    ),
    "of which entries say two things": (entry(KEY, OTHER), {}, OfKeys({}, {}), {P.DISPUTED}),
    "of which no entry speaks": (entry(OTHER, namespace="acme/else"), {}, OfKeys({KEY: "zeta"}, {}), set()),
}


@pytest.mark.parametrize(("said", "row", "of_keys", "portions"), PORTIONS.values(), ids=PORTIONS)
def test_what_a_bundle_tells_parts_from_what_registries_say(
    tmp_path: Path, said: dict[str, Any], row: dict[str, Any], of_keys: OfKeys, portions: set[Portion]
) -> None:
    found = told_beside(tmp_path, said, of_keys, **row)["portions"]
    assert {one for one in Portion if found & one.bit} == portions
