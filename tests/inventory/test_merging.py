"""What registries say is put together a part at a time, and it is the same whatever a part holds."""

from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from auditor.inventory import merging
from auditor.inventory.merging import _MERGED
from auditor.inventory.registry import _ENTRIES, _SCHEMA, RegistryStore
from auditor.inventory.sql import working
from auditor.ownership.registered import Registry
from auditor.ports import KeptRegistry

KEYS = [f"projects/acme/locations/us-east1/keyRings/tpuf/cryptoKeys/{name}" for name in ("a", "b")]
NUMBERED = KEYS[0].replace("projects/acme", "projects/123456")
SAID: dict[str, list[tuple[str, str, str | None, str | None]]] = {
    "registry a": [("gs://b", "x", KEYS[0], "acme"), ("gs://a", "x", KEYS[0], "acme"), ("gs://a", "y", None, "acme")],
    "registry b": [
        ("gs://a", "x", KEYS[1], "acme"),
        ("gs://a", "z", KEYS[1], None),
        ("gs://a", "y", KEYS[1], "zeta"),
        ("gs://b", "x", NUMBERED, "acme"),
    ],
}
TOGETHER: list[tuple[object, ...]] = [
    ("gs://a", "x", None, None, "acme", True, KEYS),
    ("gs://a", "y", KEYS[1], None, None, True, [KEYS[1]]),
    ("gs://a", "z", KEYS[1], None, None, False, [KEYS[1]]),
    # By the two names of its project it may be one key: no two words, and not one either.
    ("gs://b", "x", NUMBERED, KEYS[0], "acme", False, [NUMBERED, KEYS[0]]),
]


@pytest.mark.parametrize("at_once", [1, 2, 3, 100])
def test_entries_of_a_namespace_are_never_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_once: int) -> None:
    monkeypatch.setattr(merging, "_ROWS_AT_ONCE", at_once)
    kept = []
    for name, said in SAID.items():
        path = tmp_path / f"{name}.parquet"
        rows = [dict(zip(("bucket", "namespace", "key", "tenant"), one, strict=True)) for one in said]
        pq.write_table(pa.Table.from_pylist(rows, _SCHEMA), path)
        registry = Registry(name, ("gs://a", "gs://b"), len(said), datetime(2026, 1, 1, tzinfo=UTC))
        kept.append(KeptRegistry(registry, "1", None, path, len(said)))
    RegistryStore(tmp_path / "kept", {}).together(kept, [])
    (folder,) = (tmp_path / "kept").iterdir()
    rows = pq.read_table(folder / _ENTRIES).to_pylist()
    names = ("bucket", "namespace", "key", "other", "tenant", "contradicted", "keys")
    assert [tuple(one[name] for name in names) for one in rows] == TOGETHER
    assert sorted(path.suffix for path in folder.iterdir()) == [".json", ".parquet", ".parquet"], "nothing is left over"


def test_no_registry_says_nothing_in_the_same_columns(tmp_path: Path) -> None:
    heard = merging.Heard({}, tmp_path / "told.parquet", {"names": [], "ones": []})
    with working(tmp_path) as database:
        merging.merge(database, heard, tmp_path / "none.parquet")
        database.register("part", _SCHEMA.empty_table())
        asked = database.sql(_MERGED, params=dict(heard.names)).to_arrow_table()
    table = pq.read_table(tmp_path / "none.parquet")
    assert table.num_rows == 0
    assert table.schema == asked.schema


TOLD = [("gs://a", "x", KEYS[0]), ("gs://a", "y", KEYS[0]), ("gs://b", "y", KEYS[0]), ("gs://a", "z", KEYS[1])]


def heard(folder: Path, said: dict[str, list[tuple[str, str]]], told: list[tuple[str, str, str]]) -> merging.Heard:
    """Registries that do not say in which bucket their namespaces are, unless it stands before the name."""
    registries = {}
    for name, entries in said.items():
        registries[name] = folder / f"{name}.parquet"
        cut = [(one.rpartition(" ")[0] or name, one.rpartition(" ")[2], key) for one, key in entries]
        rows = [{"bucket": bucket, "namespace": one, "key": key} for bucket, one, key in cut]
        pq.write_table(pa.Table.from_pylist(rows, _SCHEMA), registries[name])
    columns = dict(zip(("bucket", "namespace", "key"), map(list, zip(*told, strict=True)), strict=True))
    pq.write_table(pa.table(columns), folder / "told.parquet")
    return merging.Heard(registries, folder / "told.parquet", {"names": [], "ones": []})


def test_namespaces_that_no_registry_places_are_where_bundles_tell_of_them_or_that_is_not_known(tmp_path: Path) -> None:
    x, y, z = (("x", KEYS[0]), ("y", KEYS[0]), ("z", KEYS[0]))
    said = {
        "each": [x, y, z, ("w", KEYS[0])],
        "taken": [x],
        "open": [y],
        "placed": [(f"gs://a {one}", key) for one, key in (x, y)],
    }
    some = heard(tmp_path, said, TOLD)
    with working(tmp_path) as database:
        found = list(merging.unplaced(database, some))
        merging.merge(database, some, tmp_path / "merged.parquet")
    # Two buckets have a y, and z is under another key there; of w nobody tells.
    assert found == [("each", 1, 2), ("taken", 1, 0), ("open", 0, 1)]
    merged = pq.read_table(tmp_path / "merged.parquet").to_pylist()
    assert [one["bucket"] for one in merged if one["namespace"] == "x"] == ["gs://a"]
    assert [one["bucket"] for one in merged if one["namespace"] == "y"] == ["each", "gs://a", "open"]


def test_entries_that_cannot_be_read_are_told_as_what_they_are_and_leave_nothing(tmp_path: Path) -> None:
    some = heard(tmp_path, {"one": [("x", KEYS[0])]}, TOLD)
    some.registries["one"].write_bytes(b"no table")

    def together() -> None:
        with working(tmp_path) as database:
            merging.merge(database, some, tmp_path / "merged.parquet")

    with pytest.raises(duckdb.Error):
        together()
    assert sorted(one.name for one in tmp_path.iterdir()) == ["one.parquet", "told.parquet"]
