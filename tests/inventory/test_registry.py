"""What registries said last: kept one by one, put together, and put beside a sweep, without any cloud."""

import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from auditor.errors import CollectError, DiskError, LedgerError
from auditor.inventory import files, notes, registry
from auditor.inventory.claiming import TOLD
from auditor.inventory.registry import RegistryStore, home_of, remove_unfinished
from auditor.model import KeyName, Reason
from auditor.ownership.registered import (
    Declared,
    Disputed,
    Entry,
    Flawed,
    Handed,
    Labels,
    Mismatch,
    Portion,
    Registered,
    Registry,
    Word,
)
from auditor.ownership.spelling import EACH_ITS_OWN, Spelling
from auditor.ports import KeptRegistry, Unusable
from tests.inventory.test_claiming import KEY, NUMBER, OTHER, REPLICAS, ROW, SAID
from tests.inventory.test_placing import held

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
DATA, MORE = "gs://data", "gs://more"
CHAT = Entry(DATA, "acme/chat", KEY, "acme", "storage@acme.example", "storage", None, 7)
MAIL = Entry(DATA, "acme/mail", parent="acme/chat")
BAD = Unusable("line 9", "no key")
ONES = Spelling({KeyName(KEY): "one", KeyName(NUMBER): "one"})


@dataclass(frozen=True)
class Source:
    """A registry whose entries are at hand; it breaks off behind them where it is to."""

    said: tuple[Entry | Unusable, ...] = (CHAT, MAIL)
    name: str = "registry a"
    buckets: tuple[str, ...] = (DATA,)
    asked: str = "a config"
    whole: bool = True
    ended: bool | None = None

    def version(self) -> str:
        return "1"

    def entries(self) -> Iterator[Entry | Unusable]:
        yield from self.said
        if not self.whole:
            raise CollectError("it broke off", reason=Reason.TIMEOUT)

    def fields(self) -> tuple[str, ...]:
        return ("namespace", "key")

    def ends(self) -> bool | None:
        return self.ended


@pytest.fixture
def store(tmp_path: Path) -> RegistryStore:
    return RegistryStore(tmp_path / "registry", {})


def kept_in(folder: Path, source: Source) -> list[str]:
    return sorted(path.name for path in home_of(folder / "registry", source.name).iterdir())


# What one registry said


def test_what_a_registry_said_is_kept_as_it_was_said(store: RegistryStore) -> None:
    source = Source((CHAT, BAD, MAIL, replace(CHAT, key=None)), ended=True)
    kept = store.keep(source, "v7", NOW)
    assert store.kept(source) == kept
    assert kept.registry == Registry("registry a", (DATA,), 2, NOW, 1)
    assert (kept.version, kept.first_unusable, kept.keyed) == ("v7", "line 9: no key", 1)
    assert (kept.fields, kept.ends) == (("namespace", "key"), True)
    rows = [Entry(**row) for row in pq.read_table(kept.path).to_pylist()]
    assert rows == [CHAT, MAIL, replace(CHAT, key=None)]


def test_a_namespace_counts_once_and_by_each_bucket(store: RegistryStore) -> None:
    keyless = replace(CHAT, key=None)
    kept = store.keep(Source((CHAT, keyless, replace(CHAT, bucket=MORE), replace(keyless, bucket=MORE))), "1", NOW)
    assert (kept.registry.namespaces, kept.keyed) == (2, 2)


def test_each_kind_of_fault_is_counted_from_its_first_place_on(
    store: RegistryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "_AT_ONCE", 2)
    kinds = (Mismatch.ALIAS, None, Mismatch.VERSION, Mismatch.ALIAS, Mismatch.ALIAS)
    bad = [Unusable(f"line {number}", "no key", kind) for number, kind in enumerate(kinds)]
    kept = store.keep(Source((CHAT, *bad, MAIL)), "1", NOW)
    assert (kept.registry.unusable, kept.first_unusable) == (5, "line 0: no key")
    assert kept.registry.flawed == (Flawed(Mismatch.VERSION, 1, "line 2"), Flawed(Mismatch.ALIAS, 3, "line 0"))
    assert pq.read_table(kept.path).num_rows == 2, "those of each lot are there"


def test_what_was_said_before_is_removed_and_what_is_said_again_stays(store: RegistryStore, tmp_path: Path) -> None:
    first = store.keep(Source(), "1", NOW)
    (first.path.parent / f"{files.UNFINISHED}999999999").touch()
    assert store.keep(Source(), "2", NOW).path == first.path
    second = store.keep(Source((CHAT,)), "3", NOW)
    assert kept_in(tmp_path, Source()) == sorted(["registry.json", second.path.name])


def test_by_other_words_of_the_config_nothing_is_known(store: RegistryStore) -> None:
    store.keep(Source(), "1", NOW)
    assert store.kept(Source(asked="another config")) is None
    assert store.kept(Source(name="registry b")) is None


@pytest.mark.parametrize("told", ["form", "asked", "digest", "file", "namespaces", "read_at", "flawed", "ends"])
def test_what_is_not_kept_as_it_was_written_nobody_knows(store: RegistryStore, tmp_path: Path, told: str) -> None:
    store.keep(Source(), "1", NOW)
    note = home_of(tmp_path / "registry", "registry a") / "registry.json"
    said = notes.read(note)
    notes.write(note, {name: one for name, one in said.items() if name != told})
    assert store.kept(Source()) is None
    if told in {"form", "asked", "digest"}:
        notes.write(note, {**said, told: "other"})
        assert store.kept(Source()) is None
    notes.write(note, said)
    assert store.kept(Source()) is not None


def test_entries_that_were_changed_nobody_knows(store: RegistryStore) -> None:
    path = store.keep(Source(), "1", NOW).path
    path.write_bytes(path.read_bytes()[:-1])
    assert store.kept(Source()) is None
    path.unlink()
    assert store.kept(Source()) is None


def test_a_registry_that_breaks_off_changes_nothing(store: RegistryStore, tmp_path: Path) -> None:
    before = store.keep(Source(), "1", NOW)
    with pytest.raises(CollectError):
        store.keep(Source((CHAT,), whole=False), "2", NOW)
    assert store.kept(Source()) == before
    assert len(kept_in(tmp_path, Source())) == 2, "nothing is left over"


def test_a_registry_that_has_become_empty_is_not_believed(store: RegistryStore, tmp_path: Path) -> None:
    before = store.keep(Source(), "1", NOW)
    with pytest.raises(CollectError, match="it is empty, and named 2 namespaces before") as raised:
        store.keep(Source(()), "2", NOW)
    assert raised.value.reason is Reason.MALFORMED
    assert store.kept(Source()) == before
    assert len(kept_in(tmp_path, Source())) == 2
    assert store.keep(Source((BAD,)), "3", NOW).registry.namespaces == 0, "it says something, and that is a gap"
    with pytest.raises(CollectError, match="it is empty, and had 1 entry, none of which can be used, before"):
        store.keep(Source(()), "4", NOW)
    store.keep(Source((), name="registry b"), "1", NOW)
    assert store.keep(Source((), name="registry b"), "2", NOW).registry.namespaces == 0, "it said nothing before either"


def test_what_ends_within_a_line_is_not_believed_where_lines_tell(store: RegistryStore) -> None:
    store.keep(Source(ended=True), "1", NOW)
    with pytest.raises(CollectError):
        store.keep(Source((CHAT,), ended=True), "2", NOW)
    assert store.keep(Source((CHAT,), ended=None), "2", NOW).registry.namespaces == 1, "of a service no line tells"


def test_a_registry_that_says_what_it_said_before_is_not_cut_off_any_more(store: RegistryStore, tmp_path: Path) -> None:
    source = Source(ended=True)
    store.keep(source, "1", NOW)
    cut = replace(source, said=(CHAT,))
    with pytest.raises(CollectError):
        store.keep(cut, "2", NOW)
    store.unchanged(source)
    later = NOW + timedelta(seconds=30)
    with pytest.raises(CollectError):
        store.keep(cut, "2", later)
    assert store.keep(cut, "2", later + timedelta(seconds=30)).registry.namespaces == 1, "the same, half a minute later"
    assert len(kept_in(tmp_path, source)) == 2


def test_where_nothing_can_be_kept_it_says_so(tmp_path: Path) -> None:
    (tmp_path / "registry").write_text("in the way")
    store = RegistryStore(tmp_path / "registry", {})
    with pytest.raises(DiskError, match="what registries say cannot be kept: "):
        store.keep(Source(), "1", NOW)
    with pytest.raises(DiskError):
        store.together([], [])
    with pytest.raises(DiskError):
        store.unchanged(Source())


def test_what_cannot_be_read_again_as_it_was_written_is_not_told(
    store: RegistryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Source, "fields", lambda _: None)
    with pytest.raises(LedgerError, match="what registry a says is not kept as it was written"):
        store.keep(Source(), "1", NOW)


def test_what_killed_polls_left_is_removed_and_what_others_write_stays(tmp_path: Path) -> None:
    ours, dead = f"{files.UNFINISHED}{os.getpid()}", f"{files.UNFINISHED}999999999"
    old, young = f"{files.UNFINISHED}old", f"{files.UNFINISHED}young"
    huge = f"{files.UNFINISHED}{10**30}"
    for name, age in ((ours, 3500), (dead, 0), (old, 3700), (young, 3500), (huge, 0), ("entries-1", 9999)):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, times=(0, time.time() - age))
    remove_unfinished(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {ours, young, "entries-1"}


def test_a_process_of_somebody_else_is_running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(_process: int, signal: int) -> None:
        assert signal == 0, "it is asked, and not told anything"
        raise PermissionError

    monkeypatch.setattr(os, "kill", denied)
    (tmp_path / f"{files.UNFINISHED}7").touch()
    remove_unfinished(tmp_path)
    assert [*tmp_path.iterdir()] != []


def test_registries_whose_names_read_alike_are_kept_apart(tmp_path: Path) -> None:
    homes = {home_of(tmp_path, name).name for name in ("a b", "a/b", "A B", "../..", "a" * 200)}
    assert len(homes) == 5
    assert home_of(tmp_path, "A/../b é 1-2").name.startswith("a----b---1-2-")
    assert all(len(one) <= 69 and "/" not in one and not one.startswith(".") for one in homes)


# All of them together


def a_kept(folder: Path, name: str, *said: Entry, buckets: tuple[str, ...] = (DATA,)) -> KeptRegistry:
    return RegistryStore(folder / "registry", {}).keep(Source(said, name, buckets), "1", NOW)


def a_bundle(folder: Path, *rows: dict[str, Any], name: str = "bundle") -> KeptRegistry:
    path = folder / f"{name}.parquet"
    pq.write_table(pa.Table.from_pylist([{**ROW, **SAID, **one} for one in rows], TOLD), path)
    handed = Handed("acme", None, "f1", "d", "1", NOW, NOW, 1, 1, 0, 0, 0, 0, 0, registries=True)
    return KeptRegistry(Registry(name, (DATA,), 1, NOW, bundle=handed), "1", None, path, 1)


def a_store(folder: Path, tenants: dict[str, str] | None = None, **labels: Labels) -> RegistryStore:
    keys = {"key": KEY, "number": NUMBER, "other": OTHER}
    return RegistryStore(folder / "registry", tenants or {}, {keys[name]: one for name, one in labels.items()})


def test_what_is_said_together_counts_disputes_labels_and_doubts(tmp_path: Path) -> None:
    first = a_kept(
        tmp_path,
        "registry a",
        CHAT,
        Entry(DATA, "acme/mail", KEY),
        Entry(DATA, "acme/wiki", KEY, owner="storage@acme.example"),
        Entry(DATA, "acme/docs", owner="storage@acme.example"),
    )
    second = a_kept(
        tmp_path,
        "registry b",
        Entry(DATA, "acme/chat", OTHER),
        Entry(DATA, "acme/mail", NUMBER),
        Entry(DATA, "acme/wiki", owner="eve@acme.example"),
        Entry(DATA, "acme/docs", owner="eve@acme.example"),
        Entry(DATA, "acme/new", NUMBER),
    )
    unread = Registry("registry c", (MORE,), None, None)
    store = a_store(tmp_path)
    together = store.together([second, first], [unread])
    assert together.registries == (first.registry, second.registry, unread)
    assert (together.conflicts, together.parted_labels, together.doubtful) == (1, 2, 1)
    assert store.together([first, second], [unread]) == together, "whatever comes first"
    assert store.keys(together.digest) == tuple(map(KeyName, sorted((KEY, NUMBER, OTHER))))
    assert store.declared(together.digest) == Declared(
        of_buckets={DATA: tuple(sorted((KEY, NUMBER)))},
        by_registries={"registry a": (KEY,), "registry b": tuple(sorted((NUMBER, OTHER)))},
        disputed=(Disputed(DATA, "acme/chat", (Word("registry a", KEY, "acme"), Word("registry b", OTHER, None))),),
    )
    assert a_store(tmp_path).together([first, second], [unread], ONES).doubtful == 0, "now it is known that it is one"


def test_of_many_disputes_the_first_three_are_told_with_three_words_of_each(tmp_path: Path) -> None:
    names = [f"acme/{number}" for number in range(5)]
    said = [Entry(DATA, name, KEY, f"tenant-{number}") for name in names for number in range(4)]
    store = a_store(tmp_path)
    nowhere = [Entry("registry b", "acme/0", OTHER), Entry(MORE, "acme/0", OTHER), Entry(DATA, "acme/9", OTHER)]
    together = store.together([a_kept(tmp_path, "registry b", *nowhere), a_kept(tmp_path, "registry a", *said)], [])
    assert together.conflicts == 5
    told = store.declared(together.digest).disputed
    assert [one.namespace for one in told] == names[:3]
    assert told[0].words == (
        *(Word("registry a", KEY, f"tenant-{number}") for number in range(3)),
        Word("registry b", OTHER, None),
    )
    assert told[1].words == told[0].words[:3]


CHANGES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "whose a key is": ({"tenants": {KEY: "acme"}}, {}),
    "who answers for data": ({"labels": {KEY: Labels("storage@acme.example", "storage")}}, {}),
    "who else does": ({"labels": {KEY: Labels("eve@acme.example", "storage")}}, {}),
    "of which team": ({"labels": {KEY: Labels("storage@acme.example", "search")}}, {}),
    "for data under which key": ({"labels": {OTHER: Labels("storage@acme.example", "storage")}}, {}),
    "what was never read": ({}, {"unread": [Registry("registry c", (MORE,), None, None)]}),
    "of which bucket": ({}, {"unread": [Registry("registry c", (DATA,), None, None)]}),
    "which names are of one key": ({}, {"spelling": ONES}),
    "which others are": ({}, {"spelling": Spelling({KeyName(OTHER): "one", KeyName(NUMBER): "one"})}),
    "which are of two": ({}, {"spelling": Spelling({KeyName(KEY): "one", KeyName(NUMBER): "two"})}),
    "by which name it is called": ({}, {"spelling": Spelling(ONES.ones, {"one": KeyName(NUMBER)})}),
    "by which other one": ({}, {"spelling": Spelling(ONES.ones, {"one": KeyName(KEY)})}),
    "which is called so": ({}, {"spelling": Spelling(ONES.ones, {"two": KeyName(NUMBER)})}),
}


def test_whatever_is_said_otherwise_is_put_together_anew(tmp_path: Path) -> None:
    found = {"as it is": a_store(tmp_path).together([], []).digest}
    for name, (of_store, of_all) in CHANGES.items():
        store = RegistryStore(tmp_path / "registry", **{"tenants": {}, **of_store})
        found[name] = store.together([], **{"unread": [], **of_all}).digest
    store = a_store(tmp_path)
    kept = ("registry a", CHAT, DATA)
    others = (kept, ("registry b", *kept[1:]), (*kept[:2], MORE), ("registry a", MAIL, DATA))
    for number, (name, entry, bucket) in enumerate(others):
        found[f"another {number}"] = store.together([a_kept(tmp_path, name, entry, buckets=(bucket,))], []).digest
    assert len(set(found.values())) == len(found) == 18
    assert all(len(one) == 64 for one in found.values())


def test_whose_each_key_is_the_config_says_before_registries(tmp_path: Path) -> None:
    other = Entry(DATA, "acme/mail", OTHER, "acme")
    kept = a_kept(tmp_path, "registry a", CHAT, other, replace(other, namespace="zeta/mail", tenant="zeta"))
    store = a_store(tmp_path)
    digest = store.together([kept], []).digest
    assert store.tenants(digest) == {KeyName(KEY): "acme"}
    assert store.shared(digest) == {KeyName(OTHER)}
    assert store.parted(digest) == frozenset()
    store = a_store(tmp_path, {KEY: "zeta", OTHER: "zeta"})
    digest = store.together([kept], []).digest
    assert store.tenants(digest) == {KeyName(KEY): "zeta", KeyName(OTHER): "zeta"}
    assert (store.shared(digest), store.parted(digest)) == (frozenset(), frozenset())


def test_what_is_said_of_one_name_of_a_key_is_said_of_all(tmp_path: Path) -> None:
    kept = a_kept(tmp_path, "registry a", CHAT, Entry(DATA, "acme/mail", OTHER, "zeta"))
    store = a_store(tmp_path, key=Labels("storage@acme.example", "storage"), number=Labels(None, "search"))
    digest = store.together([kept], [], ONES).digest
    assert store.tenants(digest) == {KeyName(KEY): "acme", KeyName(NUMBER): "acme", KeyName(OTHER): "zeta"}
    assert store.labelled(digest) == {KeyName(KEY), KeyName(NUMBER)}
    store = a_store(tmp_path, {KEY: "acme", NUMBER: "zeta"})
    digest = store.together([kept], [], ONES).digest
    assert store.parted(digest) == {KeyName(KEY), KeyName(NUMBER)}
    assert store.tenants(digest) == {KeyName(OTHER): "zeta"}
    assert store.shared(digest) == frozenset()


def test_replicas_that_registries_name_for_two_are_shared(tmp_path: Path) -> None:
    first, second = REPLICAS
    kept = a_kept(tmp_path, "registry a", replace(CHAT, key=first), Entry(DATA, "zeta/mail", second, "zeta"))
    store = a_store(tmp_path)
    digest = store.together([kept], []).digest
    assert store.shared(digest) == {KeyName(first), KeyName(second)}
    assert store.tenants(digest) == {}


def test_a_key_that_is_shared_by_one_of_its_names_is_nobodys_by_the_other(tmp_path: Path) -> None:
    said = (CHAT, Entry(DATA, "zeta/chat", KEY, "zeta"), Entry(DATA, "acme/mail", NUMBER, "acme"))
    store = a_store(tmp_path)
    digest = store.together([a_kept(tmp_path, "registry a", *said)], [], ONES).digest
    assert store.shared(digest) == {KeyName(KEY), KeyName(NUMBER)}
    assert store.tenants(digest) == {}


def test_before_anything_was_put_together_the_config_alone_speaks(tmp_path: Path) -> None:
    store = a_store(tmp_path, {KEY: "acme"}, other=Labels("storage@acme.example"))
    assert (store.keys(""), store.declared("")) == ((), Declared())
    assert store.tenants("") == {KeyName(KEY): "acme"}
    assert store.labelled("") == {KeyName(OTHER)}
    assert (store.parted(""), store.shared("")) == (frozenset(), frozenset())


def test_where_no_registry_is_the_config_is_put_together_alone(tmp_path: Path) -> None:
    store = a_store(tmp_path, {KEY: "acme"})
    together = store.together([], [])
    assert together == Registered(together.digest)
    assert (store.keys(together.digest), store.tenants(together.digest)) == ((), {KeyName(KEY): "acme"})
    assert store.declared(together.digest) == Declared()


def test_what_is_kept_no_more_is_told(tmp_path: Path) -> None:
    store = a_store(tmp_path)
    for ask in (store.keys, store.tenants, store.parted, store.shared, store.labelled, store.declared, store.claimed):
        with pytest.raises(LedgerError, match="is not kept any more, or was changed"):
            ask("0" * 64)


def folder_of(root: Path) -> Path:
    (folder,) = (root / "registry").glob("all-*")
    return folder


@pytest.mark.parametrize("name", ["registry.json", "entries.parquet", "told.parquet"])
def test_what_was_changed_is_put_together_anew_with_what_stands_on_it(tmp_path: Path, name: str) -> None:
    kept, store = a_kept(tmp_path, "registry a", CHAT), a_store(tmp_path)
    together = store.together([kept], [])
    placed = store.placed(together.digest, DATA, held(tmp_path, [{"key": OTHER}]))
    assert placed is not None
    path = folder_of(tmp_path) / name
    before = path.read_bytes()
    path.write_bytes(before[:-1])
    assert store.together([kept], []) == together
    assert path.read_bytes() == before
    assert not placed.exists()
    times = path.stat().st_mtime_ns
    assert store.together([kept], []) == together
    assert path.stat().st_mtime_ns == times, "what is whole is not written again"


def test_entries_that_are_no_table_are_told_and_nothing_of_them_stays(tmp_path: Path) -> None:
    kept = a_kept(tmp_path, "registry a", CHAT)
    kept.path.write_bytes(b"no table")
    with pytest.raises(LedgerError, match="cannot be put together") as raised:
        a_store(tmp_path).together([kept], [])
    assert not isinstance(raised.value, DiskError)
    assert not [*(tmp_path / "registry").glob("all-*")]


def test_a_namespace_that_is_nowhere_stands_where_a_bundle_tells_of_it(tmp_path: Path) -> None:
    kept = a_kept(tmp_path, "registry a", *(Entry("registry a", name, KEY) for name in ("acme/chat", "acme/mail")))
    store = a_store(tmp_path)
    digest = store.together([kept, a_bundle(tmp_path, {}, {"namespace": "acme/mail", "key": OTHER})], []).digest
    assert store.declared(digest).unplaced == {"registry a": (1, 1)}
    assert store.declared(digest).by_registries == {"registry a": (KEY,)}, "a bundle is what is there"
    assert store.declared(store.together([kept], []).digest).unplaced == {}, "without bundles none is to be told"


# Beside a sweep


def portions(path: Path | None) -> list[int]:
    assert path is not None
    return [one["portions"] for one in pq.read_table(path).to_pylist()]


def test_a_sweep_stands_beside_what_is_said_and_is_not_worked_out_again(tmp_path: Path) -> None:
    store, sweep = a_store(tmp_path), held(tmp_path, [{"key": OTHER}])
    digest = store.together([a_kept(tmp_path, "registry a", CHAT)], []).digest
    target = store.placed(digest, DATA, sweep)
    assert target is not None
    assert portions(target) == [Portion.WRONG_KEY.bit]
    times = target.stat().st_mtime_ns
    assert store.placed(digest, DATA, sweep) == target
    assert target.stat().st_mtime_ns == times
    target.write_bytes(b"changed")
    assert portions(store.placed(digest, DATA, sweep)) == [Portion.WRONG_KEY.bit]
    (folder_of(tmp_path) / "entries.parquet").write_bytes(b"changed")
    assert store.placed(digest, DATA, sweep) == target, "it was proven, and stays as it is"
    target.unlink()
    with pytest.raises(LedgerError, match="what registries say was changed"):
        store.placed(digest, DATA, sweep)


def test_only_a_bucket_that_registries_know_has_unregistered_namespaces(tmp_path: Path) -> None:
    store, sweep = a_store(tmp_path), held(tmp_path, [{"namespace": "acme/lost"}])
    unread = Registry("registry b", (MORE,), None, None)
    digest = store.together([a_kept(tmp_path, "registry a", CHAT, buckets=(DATA, MORE))], [unread]).digest
    assert portions(store.placed(digest, DATA, sweep)) == [Portion.UNREGISTERED.bit]
    (folder_of(tmp_path) / f"placed-{sweep.parent.name}.parquet").unlink()
    assert portions(store.placed(digest, MORE, sweep)) == [0], "one that knows it was never read"
    (folder_of(tmp_path) / f"placed-{sweep.parent.name}.parquet").unlink()
    assert portions(store.placed(digest, "gs://third", sweep)) == [0]


SPEAKING: dict[str, tuple[dict[str, str], dict[str, Labels], bool]] = {
    "nobody says anything": ({}, {}, True),
    "the config says whose a key is": ({KEY: "acme"}, {}, False),
    "the config says who answers": ({}, {KEY: Labels("storage@acme.example")}, False),
}


@pytest.mark.parametrize(("tenants", "labels", "plain"), SPEAKING.values(), ids=SPEAKING)
def test_a_sweep_stays_as_it_was_only_where_nobody_says_anything(
    tmp_path: Path, tenants: dict[str, str], labels: dict[str, Labels], *, plain: bool
) -> None:
    store = RegistryStore(tmp_path / "registry", tenants, labels)
    digest = store.together([], []).digest
    sweep = held(tmp_path, [{}])
    assert (store.placed(digest, DATA, sweep) is None) is plain
    assert (store.placed(digest, DATA, sweep) is None) is plain, "and so it is the next time"


def test_a_namespace_under_two_keys_is_told_though_nobody_says_anything(tmp_path: Path) -> None:
    store = a_store(tmp_path)
    digest = store.together([], []).digest
    both = [{}, {"key": OTHER}]
    assert portions(store.placed(digest, DATA, held(tmp_path, both))) == [Portion.MIXED_KEYS.bit] * 2


def test_two_names_of_one_key_are_no_two_keys(tmp_path: Path) -> None:
    store = a_store(tmp_path)
    digest = store.together([], [], ONES).digest
    assert store.placed(digest, DATA, held(tmp_path, [{}, {"key": NUMBER}])) is None


def claims(path: Path) -> list[tuple[Any, ...]]:
    names = ("namespace", "tenant", "key", "objects", "bytes", "owner", "team")
    return [tuple(one[name] for name in names) for one in pq.read_table(path).to_pylist()]


def test_what_is_said_is_claimed_by_each_key_and_not_worked_out_again(tmp_path: Path) -> None:
    store = a_store(tmp_path, {OTHER: "zeta"}, other=Labels("eve@acme.example", "search"))
    said = (CHAT, Entry(DATA, "acme/mail", OTHER, size=3))
    digest = store.together([a_kept(tmp_path, "registry a", *said), a_bundle(tmp_path, {})], []).digest
    target = store.claimed(digest)
    expected = [
        ("acme/chat", "acme", KEY, 10, 1000, "storage@acme.example", "storage"),
        ("acme/mail", "zeta", OTHER, None, 3, "eve@acme.example", "search"),
    ]
    assert claims(target) == expected
    times = target.stat().st_mtime_ns
    assert store.claimed(digest).stat().st_mtime_ns == times
    target.write_bytes(b"changed")
    assert claims(store.claimed(digest)) == expected
    (folder_of(tmp_path) / "told.parquet").write_bytes(b"changed")
    assert store.claimed(digest) == target, "it was proven, and stays as it is"
    target.unlink()
    with pytest.raises(LedgerError, match="what registries say was changed"):
        store.claimed(digest)


def test_a_key_of_two_names_is_claimed_as_open_findings_call_it(tmp_path: Path) -> None:
    store = a_store(tmp_path)
    spelling = Spelling(ONES.ones, {"one": KeyName(NUMBER)})
    digest = store.together([a_kept(tmp_path, "registry a", CHAT)], [], spelling).digest
    assert [one[2] for one in claims(store.claimed(digest))] == [NUMBER]
    digest = store.together([a_kept(tmp_path, "registry a", CHAT)], [], ONES).digest
    assert [one[2] for one in claims(store.claimed(digest))] == [KEY]


@pytest.mark.parametrize("ask", ["placed", "claimed"])
def test_what_cannot_be_put_beside_is_a_fault_of_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ask: str
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    store, sweep = a_store(tmp_path), held(tmp_path, [{}])
    digest = store.together([a_kept(tmp_path, "registry a", CHAT)], []).digest
    monkeypatch.setattr(registry, "place", full)
    monkeypatch.setattr(registry, "claim", full)
    with pytest.raises(DiskError, match="No space left on device") as raised:
        _ = store.placed(digest, DATA, sweep) if ask == "placed" else store.claimed(digest)
    assert str(tmp_path) in str(raised.value.hint)


# What nothing stands on


def aged(paths: Iterable[Path], seconds: float) -> None:
    for path in paths:
        os.utime(path, times=(0, time.time() - seconds))


def test_what_is_used_or_was_used_within_the_hour_stays(tmp_path: Path) -> None:
    kept, store = a_kept(tmp_path, "registry a", CHAT), a_store(tmp_path)
    other = a_store(tmp_path, {KEY: "acme"})
    used, lately = store.together([kept], []), other.together([kept], [])
    a_store(tmp_path, {KEY: "zeta"}).together([kept], [])
    folders = {path.name[4:]: path for path in (tmp_path / "registry").glob("all-*")}
    aged(folders.values(), 3700)
    store.together([kept], [])
    sweeps = [tmp_path / name / "held" for name in ("s1", "s2")]
    for one in sweeps:
        one.parent.mkdir()
        store.placed(used.digest, DATA, held(tmp_path, [{}]).rename(one))
    beside = other.placed(lately.digest, DATA, sweeps[0])
    aged([folders[lately.digest[:32]]], 3500)
    aged([folders[used.digest[:32]]], 9999)
    store.prune([used.digest, ""], ["s2"])
    left = {path.name[4:] for path in (tmp_path / "registry").glob("all-*")}
    assert left == {used.digest[:32], lately.digest[:32]}
    placed = sorted(path.name for path in folders[used.digest[:32]].glob("placed-*"))
    assert placed == ["placed-s2.json", "placed-s2.parquet"]
    assert beside is not None
    assert beside.exists(), "another process judges by other sweeps"


def test_what_another_process_has_removed_meanwhile_is_not_old(tmp_path: Path) -> None:
    assert registry._age(tmp_path / "gone") == 0  # noqa: SLF001 - nobody can remove it at the very moment


def test_whoever_puts_together_what_is_there_tells_that_it_is_used(tmp_path: Path) -> None:
    kept, store = a_kept(tmp_path, "registry a", CHAT), a_store(tmp_path)
    store.together([kept], [])
    aged([folder_of(tmp_path)], 9999)
    store.together([kept], [], EACH_ITS_OWN)
    store.prune([], [])
    assert folder_of(tmp_path).exists()
