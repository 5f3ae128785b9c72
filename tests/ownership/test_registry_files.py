"""Registries that are files: what is kept of them outlives other processes, and bad files are told."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from auditor import scan
from auditor.config import load
from auditor.connectors.registry_file import FileRegistry
from auditor.errors import CollectError, UsageError
from auditor.inventory.store import FileInventory
from auditor.model import Reason
from auditor.ownership.registered import Entry
from auditor.ports import Unusable
from auditor.wiring import assemble
from tests.clouds import GOOGLE_KEY, Clock
from tests.ownership.test_registry import OTHER_KEY, found, judged, said
from tests.small import Small, a_small_cloud
from tests.test_fleet import NoProgress

WHOLE = (f"acme/old,{OTHER_KEY},", "acme/new,,", "acme/plain,,", "zeta/plain,,")


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Small]:
    """`acme/old` and `acme/new` under one key."""
    with a_small_cloud(tmp_path) as running:
        running.cloud.store.clock = Clock()
        running.cloud.store.add_key(OTHER_KEY)
        text = running.config.read_text()
        running.config.write_text(f'{text}\n[[registry]]\nkind = "file"\npath = "namespaces.csv"\n')
        yield running


def _all_removed(folder: Path) -> None:
    shutil.rmtree(folder)


def _placed_removed(folder: Path) -> None:
    for path in folder.glob("placed-*.parquet"):
        path.unlink()


def _placed_cut(folder: Path) -> None:
    for path in folder.glob("placed-*.parquet"):
        path.write_bytes(path.read_bytes()[:-30])


@pytest.mark.parametrize("harm", [_all_removed, _placed_removed, _placed_cut])
def test_a_running_process_makes_anew_what_another_removed_or_changed(
    small: Small, harm: Callable[[Path], None]
) -> None:
    said(small, *WHOLE)
    assembly = assemble(load(small.config), small.cloud.store.clock)
    try:
        before = found(scan.scan(assembly.parts, NoProgress()))
        (folder,) = small.config.parent.glob("state/registry/all-*")
        harm(folder)
        judgement = scan.poll(assembly.parts, NoProgress())
    finally:
        assembly.close()
    assert found(judgement)["wrong-key"].extent == before["wrong-key"].extent
    assert not [gap for gap in judgement.gaps if "registr" in gap.what]


def test_what_could_not_be_read_once_is_opened_anew(small: Small) -> None:
    said(small, *WHOLE)
    judgement = judged(small)
    assembly = assemble(load(small.config), small.cloud.store.clock)
    try:
        inventory = assembly.inventory
        assert isinstance(inventory, FileInventory)
        sweeps = assembly.ledger.published(judgement.sweeps)
        first = inventory.open(sweeps, judgement.registered.digest)
        assert inventory.open(sweeps, judgement.registered.digest) is first
        first.failed = True
        assert inventory.open(sweeps, judgement.registered.digest) is not first
    finally:
        assembly.close()


def test_polls_of_another_config_leave_what_a_process_used_within_the_hour(small: Small) -> None:
    said(small, *WHOLE)
    mine = judged(small).registered.digest
    said(small, *WHOLE, f"acme/more,{GOOGLE_KEY},")
    for _ in range(3):
        judged(small, sweep=False)
    assert (small.config.parent / "state" / "registry" / f"all-{mine[:32]}" / "entries.parquet").exists()


def wrong(small: Small, *, sweep: bool = True) -> tuple[set[str], str]:
    """Which rules found something, and what the registry's gaps tell."""
    judgement = judged(small, sweep=sweep)
    return set(found(judgement)), "; ".join(gap.effect for gap in judgement.gaps if gap.what.startswith("registry"))


@pytest.mark.parametrize("header", ["namespace, key,tenant", "namespace,key ,tenant", " namespace ,key,tenant"])
def test_spaces_around_the_name_of_a_column_do_not_count(small: Small, header: str) -> None:
    said(small, *WHOLE, header=header)
    assert wrong(small) == ({"wrong-key"}, "")


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("Key", "key"),
        ("kms_key", "key"),
        ("KMS Key", "key"),
        ("key-name", "key"),
        ("kms_key_name", "key"),
        ("kmsKey", "key"),
        ("Tenant", "tenant"),
        ("Owner", "owner"),
        ("te_am", "team"),
        ("Bucket", "bucket"),
        ("name_space", "namespace"),
    ],
)
def test_a_column_that_is_almost_called_so_is_refused_and_what_was_said_last_counts(
    small: Small, name: str, meant: str
) -> None:
    said(small, *WHOLE)
    judged(small)
    said(small, f"acme/old,{GOOGLE_KEY},,", header=f"namespace,key,tenant,{name}")
    rules, told = wrong(small, sweep=False)
    assert rules == {"wrong-key"}
    assert f"names column '{name}', which is not heeded: call it `{meant}`" in told


@pytest.mark.parametrize("name", ["namespaces.json", "namespaces.jsonl"])
def test_a_field_that_is_almost_called_so_is_refused(small: Small, name: str) -> None:
    told = '{"namespace": "acme/new", "Kms_Key": "x"}'
    as_json(small, name, told)
    assert "has field 'Kms_Key', which is not heeded: call it `key`" in wrong(small)[1]


def as_json(small: Small, name: str, *entries: str) -> None:
    small.config.write_text(small.config.read_text().replace("namespaces.csv", name))
    told = f"[{','.join(entries)}]" if name.endswith(".json") else "\n".join(entries)
    (small.config.parent / name).write_text(told)


def test_a_name_of_a_column_is_cut_where_it_is_told(small: Small) -> None:
    said(small, header=f"namespace,{'k' * 500},{'k' * 500}")
    told = wrong(small)[1]
    assert f"names column '{'k' * 60}...' twice" in told


@pytest.mark.parametrize("separator", [";", "\t"])
def test_a_table_without_commas_says_how_it_is_read(tmp_path: Path, separator: str) -> None:
    path = tmp_path / "namespaces.csv"
    path.write_text(separator.join(("namespace", "key")))
    with pytest.raises(CollectError, match=r"names no column `namespace`: it is read with commas$"):
        list(FileRegistry(path, None, LAYOUT, {}, path.name).entries())


def test_a_registry_that_names_no_key_is_a_gap(small: Small) -> None:
    said(small, "acme/old,acme,k", "acme/new,acme,k", header="namespace,tenant,kms_key_arn")
    first = judged(small)
    (gap,) = (one for one in first.gaps if one.what == "registry namespaces.csv")
    assert gap.effect.startswith("it names a key for none of its 2 namespaces")
    assert gap.hint.endswith("; its columns are: namespace, tenant, kms_key_arn; the key is read from `key`")
    assert gap in judged(small, sweep=False).gaps, "nothing is read again"


@pytest.mark.parametrize("ending", [".csv", ".json", ".jsonl"])
def test_what_columns_are_called_is_cut_and_escaped_where_it_is_told(tmp_path: Path, ending: str) -> None:
    names = ["namespace", "key\N{RIGHT-TO-LEFT OVERRIDE}", "k" * 500, *(f"c{number}" for number in range(20))]
    path = tmp_path / f"namespaces{ending}"
    if ending == ".csv":
        path.write_text(",".join(names) + "\n")
    else:
        entry = json.dumps(dict.fromkeys(names, "x"))
        path.write_text(f"[{entry}]" if ending == ".json" else f"{entry}\n")
    source = FileRegistry(path, None, None, {}, path.name)
    list(source.entries())
    every = ("namespace", r"key\u202e", "k" * 60 + "...", *(f"c{number}" for number in range(7)), "...")
    assert source.fields() == every


@pytest.mark.parametrize("name", ["namespaces.json", "namespaces.jsonl"])
def test_an_object_that_says_one_thing_twice_is_not_heeded(small: Small, name: str) -> None:
    twice = f'{{"namespace": "acme/old", "key": "{OTHER_KEY}", "key": "{GOOGLE_KEY}"}}'
    as_json(small, name, twice, f'{{"namespace": "acme/new", "key": "{GOOGLE_KEY}"}}')
    assert "1 of its entries is not heeded; the first is " in wrong(small)[1]
    assert "it has field 'key' twice" in wrong(small, sweep=False)[1]


EMPTY: dict[str, tuple[str, str]] = {
    "a header alone": ("namespaces.csv", "namespace,key\n"),
    "an empty array": ("namespaces.json", "[]"),
    "no line": ("namespaces.jsonl", ""),
    "no header": ("namespaces.csv", ""),
    "no array": ("namespaces.json", ""),
    "blank lines": ("namespaces.csv", "\n \n"),
    "blank space": ("namespaces.json", " \n"),
}


@pytest.mark.parametrize(("name", "text"), EMPTY.values(), ids=EMPTY)
def test_an_empty_registry_is_a_gap(small: Small, name: str, text: str) -> None:
    as_json(small, name)
    (small.config.parent / name).write_text(text)
    judgement = judged(small)
    (gap,) = (one for one in judgement.gaps if one.what == f"registry {name}")
    assert (gap.reason, gap.effect.partition(":")[0]) == (Reason.MALFORMED, "it is empty")
    assert judgement.registered.registries[0].namespaces == 0


@pytest.mark.parametrize(("name", "text"), EMPTY.values(), ids=EMPTY)
def test_a_registry_that_becomes_empty_is_not_believed(small: Small, name: str, text: str) -> None:
    entry = f'{{"namespace": "acme/old", "key": "{OTHER_KEY}"}}'
    as_json(small, name, entry, '{"namespace": "acme/new"}')
    if name.endswith(".csv"):
        said(small, *WHOLE)
    assert wrong(small) == ({"wrong-key"}, "")
    (small.config.parent / name).write_text(text)
    for _ in range(2):
        judgement = judged(small, sweep=False)
        (gap,) = (one for one in judgement.gaps if one.what == f"registry {name}")
        assert gap.reason is Reason.MALFORMED
        assert "is empty, and named " in gap.effect
        assert "what it said on 20" in gap.effect
        assert "remove its [[registry]]" in gap.hint
        assert set(found(judgement)) == {"wrong-key"}


def test_an_entry_of_another_field_than_the_config_gives_is_not_heeded(small: Small) -> None:
    small.config.write_text(f'{small.config.read_text()}fields = {{ org = "acme" }}\n')
    said(small, f"acme,old,{GOOGLE_KEY}", f"zeta,new,{OTHER_KEY}", f",new,{GOOGLE_KEY}", header="org,namespace,key")
    rules, told = wrong(small)
    assert "wrong-key" not in rules
    assert "1 of its entries is not heeded; the first is line 3: its org is another than `fields` of the config" in told


@pytest.mark.parametrize("field", ["key", "tenant", "namespace", "owner", "team"])
def test_an_entry_with_a_text_that_is_too_long_is_not_heeded(small: Small, field: str) -> None:
    entry = {"namespace": "acme/old", "key": GOOGLE_KEY, "tenant": "acme", field: "é" * 513}
    as_json(small, "namespaces.jsonl", json.dumps(entry), json.dumps({"namespace": "acme/new", "key": GOOGLE_KEY}))
    told = wrong(small)[1]
    assert f"1 of its entries is not heeded; the first is line 1: {field} is longer than 1024 bytes" in told


def test_a_namespace_that_gets_a_space_behind_it_is_not_heeded_and_ends_no_finding(small: Small) -> None:
    said(small, *WHOLE)
    judged(small)
    said(small, f"acme/old ,{OTHER_KEY},", *WHOLE[1:])
    rules, told = wrong(small, sweep=False)
    assert "wrong-key" in rules
    assert "1 of its entries is not heeded; the first is line 2: namespace begins or ends with a space" in told


LAYOUT: dict[str, tuple[str, ...]] = {"gs://data": ("org", "namespace")}
ENTRY = {"namespace": "acme/old", "key": GOOGLE_KEY, "tenant": "acme", "owner": "o", "team": "t", "bucket": "gs://data"}


@pytest.mark.parametrize("layouts", [LAYOUT, None], ids=["a bucket", "keys alone"])
@pytest.mark.parametrize("ending", [".csv", ".json", ".jsonl"])
def test_an_entry_with_a_space_at_the_end_of_a_text_is_not_heeded(
    tmp_path: Path, ending: str, layouts: dict[str, tuple[str, ...]] | None
) -> None:
    entries = [
        ENTRY | {name: text}
        for name, value in ENTRY.items()
        for text in (f"{value} ", f" {value}", f"{value}\N{NO-BREAK SPACE}", f"\t{value}", " ")
    ]
    path = tmp_path / f"namespaces{ending}"
    if ending == ".csv":
        path.write_text("\n".join(map(",".join, [ENTRY, *(one.values() for one in entries)])))
    else:
        told = map(json.dumps, entries)
        path.write_text(f"[{','.join(told)}]" if ending == ".json" else "\n".join(told))
    found = FileRegistry(path, None, layouts, {}, path.name).entries()
    whys = [one.why for one in found if isinstance(one, Unusable)]
    assert whys == [f"{name} begins or ends with a space" for name in ENTRY for _ in range(5)]


def test_a_field_of_a_namespace_with_a_space_at_its_end_is_not_heeded(tmp_path: Path) -> None:
    path = tmp_path / "namespaces.csv"
    path.write_text("namespace\nacme /old\nacme/ old\nacme/an old one\n")
    one, other, sound = FileRegistry(path, "gs://data", LAYOUT, {}, path.name).entries()
    assert isinstance(one, Unusable)
    assert isinstance(other, Unusable)
    assert {one.why, other.why} == {"a field of its namespace begins or ends with a space"}
    assert isinstance(sound, Entry)


def test_a_text_of_1024_bytes_is_heeded(small: Small) -> None:
    said(small, f"acme/old,{GOOGLE_KEY},{'é' * 512}")
    assert wrong(small)[1] == ""


@pytest.mark.parametrize("name", ["namespaces.csv", "namespaces.jsonl"])
def test_a_line_without_end_is_no_entry(small: Small, name: str) -> None:
    small.config.write_text(small.config.read_text().replace("namespaces.csv", name))
    (small.config.parent / name).write_text(" " * (1024 * 1024 + 1))
    assert "line 1 is longer than 1048576 characters" in wrong(small)[1]


def test_an_array_that_is_too_large_is_to_be_written_by_lines(small: Small) -> None:
    as_json(small, "namespaces.json")
    (small.config.parent / "namespaces.json").write_text("[" + " " * 32 * 1024 * 1024)
    assert "more than 32 MiB is not read; write one object a line, as .jsonl" in wrong(small)[1]


ARRAYS: dict[str, tuple[str, str]] = {
    "cut off": ('[{"namespace": "acme/old"}', "Expecting ',' delimiter"),
    "cut off after a comma": ('[{"namespace": "acme/old"},', "Expecting value"),
    "a comma too much": ('[{"namespace": "acme/old"},]', "Expecting value"),
    "something after it": ("[{}] {}", "Extra data"),
    "something after an empty one": ("[] 1", "Extra data"),
    "no comma": ("[{} {}]", "Expecting ',' delimiter"),
    "a number": ("1", "it is no JSON array"),
    "a table": ("namespace,key\nacme/old,k\n", "it is no JSON array"),
    "lines of objects": ('{"namespace": "acme/old"}\n{"namespace": "acme/new"}\n', "it is no JSON array"),
}


@pytest.mark.parametrize(("text", "why"), ARRAYS.values(), ids=ARRAYS)
def test_an_array_that_is_not_whole_is_not_read(small: Small, text: str, why: str) -> None:
    as_json(small, "namespaces.json")
    (small.config.parent / "namespaces.json").write_text(text)
    assert f"cannot be understood: {why}" in wrong(small)[1]


def test_what_killed_polls_left_half_written_is_removed(small: Small) -> None:
    said(small, *WHOLE)
    judged(small)
    (home,) = small.config.parent.glob("state/registry/registry-*")
    ended = subprocess.Popen(["true"])
    ended.wait()
    dead, old, alive = (home / f".writing-{one}" for one in (ended.pid, "of-somebody", os.getppid()))
    for path in (dead, old, alive):
        path.write_bytes(b"half")
    os.utime(old, (0, 0))
    said(small, *WHOLE, f"acme/more,{GOOGLE_KEY},")
    judged(small, sweep=False)
    assert [path.name for path in home.glob(".writing-*")] == [alive.name]


def test_what_registries_say_together_is_put_together_anew_when_it_was_changed(small: Small) -> None:
    said(small, *WHOLE)
    before = found(judged(small))["wrong-key"]
    (entries,) = small.config.parent.glob("state/registry/all-*/entries.parquet")
    table = pq.read_table(entries)
    nothing_said = pa.array([None] * len(table), pa.string())
    pq.write_table(table.set_column(table.schema.get_field_index("key"), "key", nothing_said), entries)
    after = judged(small)
    assert found(after)["wrong-key"].extent == before.extent, "beside another sweep, for which it is read again"
    assert not [gap for gap in after.gaps if gap.what.startswith("registr")]


def test_files_of_one_name_are_told_apart_by_their_paths(small: Small) -> None:
    text = small.config.read_text().replace("namespaces.csv", "a/ns.csv")
    small.config.write_text(f'{text}\n[[registry]]\nkind = "file"\npath = "b/ns.csv"\n')
    for folder, line in (("a", WHOLE[0]), ("b", f"acme/new,{GOOGLE_KEY},")):
        (small.config.parent / folder).mkdir()
        (small.config.parent / folder / "ns.csv").write_text(f"namespace,key,tenant\n{line}\n")
    judgement = judged(small)
    assert [one.name for one in judgement.registered.registries] == ["registry a/ns.csv", "registry b/ns.csv"]
    assert found(judgement)["wrong-key"].extent.namespaces == 1


def test_one_file_is_given_once(small: Small) -> None:
    small.config.write_text(f'{small.config.read_text()}\n[[registry]]\nkind = "file"\npath = "./namespaces.csv"\n')
    with pytest.raises(UsageError, match=r"registry 'namespaces\.csv' is given twice"):
        load(small.config)
