"""What registries say is put together a part at a time, and it is the same whatever a part holds."""

from datetime import UTC, datetime
from pathlib import Path

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
