import hashlib
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from auditor.errors import CollectError, LedgerError
from auditor.findings import Assessed, Assessment, Basis, Readability, Subject, SubjectKind, member_of
from auditor.inventory import notes
from auditor.inventory.files import SCHEMA
from auditor.inventory.folders import folder_name
from auditor.inventory.layout import Layout
from auditor.inventory.snapshot import moment
from auditor.inventory.store import FileInventory, Keep
from auditor.model import BucketFacts, Cloud, Encryption, Extent, Population, Reason, StoredObject, Sweep
from auditor.ports import Taken, Written
from auditor.rows import TIME, batched
from tests.core_builders import GCP_KEY, NOW
from tests.forked import Forked, ended
from tests.sweeps import begun, snapshot, write

BUCKET = "gs://data"


def an_object(name: str = "acme/prod/1", **more: Any) -> StoredObject:
    facts: dict[str, Any] = {
        "version": "1",
        "population": Population.LIVE,
        "size": 10,
        "modified": NOW,
        "etag": None,
        "storage_class": "STANDARD",
        "archived": False,
        "encryption": Encryption.CMEK,
        "key": GCP_KEY.text,
        "key_version": "3",
        "verified": NOW,
        **more,
    }
    return StoredObject(name=name, **facts)


def unknown_object(name: str, reason: Reason = Reason.ACCESS_DENIED) -> StoredObject:
    return an_object(name, encryption=Encryption.UNKNOWN, key=None, key_version=None, verified=None, problem=reason)


def a_sweep(written: Written, sweep_id: str = "s1", bucket: str = BUCKET) -> Sweep:
    return Sweep(
        id=sweep_id,
        bucket=bucket,
        started=NOW,
        ended=NOW,
        complete=True,
        listed=written.listed,
        resolved=written.resolved,
        outside=written.outside,
        uploads_in_progress=0,
        oldest_verified=written.oldest_verified,
        facts=BucketFacts(bucket, Cloud.GCP),
        files=written.files,
    )


@pytest.fixture
def inventory(tmp_path: Path) -> FileInventory:
    return FileInventory(tmp_path / "inventory", {BUCKET: Layout.parse("{org}/{namespace}/")})


def test_counts_add_up_to_what_was_listed(inventory: FileInventory) -> None:
    told = [
        an_object(),
        unknown_object("acme/prod/2"),
        an_object("outside"),
        unknown_object("acme/x/3", Reason.TIMEOUT),
    ]
    written = write(inventory, BUCKET, batched(told))
    assert (written.listed, written.resolved, written.outside) == (4, 2, 1)
    assert written.unresolved == ((Reason.ACCESS_DENIED, 1), (Reason.TIMEOUT, 1))
    holdings = inventory.open([a_sweep(written)]).holdings()
    assert sum(one.objects or 0 for one in holdings) == 4
    assert {one.encryption for one in holdings} == {Encryption.CMEK, Encryption.UNKNOWN}


def test_the_snapshot_is_sorted_by_the_names_bytes(inventory: FileInventory, tmp_path: Path) -> None:
    names = ["z", "a/b", "a", "a/", "Z", "é", "￿", "😀", "a b", "\n", "a//b", "\uff41", "\ue000"]
    write(inventory, BUCKET, batched([an_object(name) for name in names]))
    found = snapshot(tmp_path / "inventory" / folder_name(BUCKET) / "s1")
    assert [one["name"] for one in found] == sorted(names, key=str.encode)


def test_an_object_told_twice_counts_once_and_the_later_word_counts(inventory: FileInventory) -> None:
    told = [an_object(), an_object(population=Population.SOFT_DELETED), an_object("b", version=None)]
    written = write(inventory, BUCKET, batched([*told, an_object("b", version=None)]))
    assert written.listed == 2
    rows = inventory.open([a_sweep(written)]).rows(assessed_of(inventory, written))
    assert sorted(row.population or "" for row, _ in rows) == [Population.LIVE, Population.SOFT_DELETED]


UNDER_ANOTHER: dict[str, dict[str, Any]] = {
    "another key": {"key": f"{GCP_KEY.text}-2"},
    "another version of the key": {"key_version": "4"},
    "a key without a version": {"key_version": None},
    "no key": {"encryption": Encryption.PROVIDER, "key": None, "key_version": None},
}


@pytest.mark.parametrize("passes", [("aa",), ("a", "a"), ("ab", "a"), ("ba", "a"), ("a", "cba"), ("aa", "b")])
@pytest.mark.parametrize("other", UNDER_ANOTHER.values(), ids=UNDER_ANOTHER)
@pytest.mark.parametrize("later", [False, True])
def test_of_a_version_that_is_told_under_two_keys_none_is_known(
    inventory: FileInventory, tmp_path: Path, passes: tuple[str, ...], other: dict[str, Any], *, later: bool
) -> None:
    told = iter([other, {}] if later else [{}, other])
    pages = ([an_object(one, **(next(told) if one == "a" else {})) for one in some] for some in passes)
    written = write(inventory, BUCKET, *(batched([*page, an_object("z")]) for page in pages))
    assert written.unresolved == ((Reason.MALFORMED, 1),)
    found = snapshot(tmp_path / "inventory" / folder_name(BUCKET) / "s1")
    assert len(found) == written.listed == len({*"".join(passes), "z"})
    keys = {one["name"]: (one["encryption"], one["key"], one["key_version"], one["verified"]) for one in found}
    assert keys.pop("a") == (Encryption.UNKNOWN, None, None, None)
    assert set(keys.values()) == {(Encryption.CMEK, GCP_KEY.text, "3", NOW)}


@pytest.mark.parametrize("passes", [("b", "a"), ("cba",), ("b", "b"), ("fed", "cba"), ("ba", "ab"), ("a", "")])
def test_no_object_of_a_bucket_without_versions_gets_lost_between_passes(
    inventory: FileInventory, passes: tuple[str, ...]
) -> None:
    pages = (batched(an_object(f"acme/{one}/{n}", version=None) for one in some for n in range(5)) for some in passes)
    written = write(inventory, BUCKET, *pages)
    assert written.listed == 5 * len({*"".join(passes)})


def test_pages_that_overlap_in_no_order_are_refused(inventory: FileInventory) -> None:
    told = [an_object(name) for name in ("a", "b", "a")]
    with pytest.raises(CollectError, match="tell 1 version twice, in no order") as refused:
        write(inventory, BUCKET, batched(told))
    assert (refused.value.reason, bool(refused.value.hint)) == (Reason.MALFORMED, True)


def test_an_inventory_that_lacks_rows_is_refused(inventory: FileInventory, monkeypatch: pytest.MonkeyPatch) -> None:
    def forgetful(*_: Any, **__: Any) -> Iterator[Any]:
        yield from ()

    monkeypatch.setattr("auditor.inventory.snapshot.merged", forgetful)
    pages = (batched([an_object(name)]) for name in "ba")
    with pytest.raises(LedgerError, match="would have 0 objects where 2 were listed") as refused:
        write(inventory, BUCKET, *pages)
    assert refused.value.hint


FOLDERS = ["st*ate", "st?ate", "st[1]ate", "**", "[!a]", "bucket=x", "key=x", "st'ate", "st%20ate", "st{1,*}ate"]


@pytest.mark.parametrize("folder", FOLDERS)
def test_the_name_of_a_folder_is_no_pattern(tmp_path: Path, folder: str) -> None:
    for beside in ("stxate", "st1ate", "state", folder):
        root = tmp_path / beside / "inventory"
        root.parent.mkdir(exist_ok=True)
        inventory = FileInventory(root, {BUCKET: Layout.parse("{org}/{namespace}/")})
        # The second page goes back, and begins with what was told before.
        pages = [[an_object("b"), an_object("a")], [an_object("a"), an_object(beside)]]
        written = write(inventory, BUCKET, *(batched(page) for page in pages))
    sweep = a_sweep(written)
    assert [(one.bucket, one.key, one.objects) for one in inventory.open([sweep]).holdings()] == [
        (BUCKET, GCP_KEY.text, 3)
    ]
    assert {one.bucket for one in inventory.samples([sweep])} == {BUCKET}
    assert folder in {one.name for one in inventory.samples([sweep])}
    assert pq.read_schema(next(root.rglob("*.rows.parquet"))).names == SCHEMA.names


def assessed_of(inventory: FileInventory, written: Written, *worse: str | None) -> tuple[Assessed, ...]:
    def judged(version: str | None) -> Assessment:
        readability = Readability.DOOMED if version in worse else Readability.READABLE
        return Assessment(readability, Basis.STATE, "a cause", Subject(SubjectKind.KEY, "k"))

    holdings = inventory.open([a_sweep(written)]).holdings()
    return tuple(Assessed(one, one.encryption, judged(one.key_version)) for one in holdings)


def test_extents_count_each_namespace_once(inventory: FileInventory) -> None:
    told = [
        an_object("acme/a/1"),
        an_object("acme/a/2", key_version="4"),
        an_object("acme/b/1", key_version="4"),
        an_object("else", key_version="4"),
        an_object("other/c/1", key_version="5"),
    ]
    opened = inventory.open([a_sweep(write(inventory, BUCKET, batched(told)))])
    members = [member_of(one) for one in opened.holdings() if one.key_version in {"3", "4"}]
    extent, none = opened.extents([members, []])
    assert (extent.objects, extent.size, extent.namespaces, extent.tenants) == (4, 40, 2, ("acme",))
    assert extent.sample_namespaces == ("gs://data/acme/a", "gs://data/acme/b")
    assert none == Extent()


def test_namespaces_are_ranked_by_the_worst_of_their_data(inventory: FileInventory) -> None:
    told = [
        *(an_object(f"acme/good/{n}") for n in range(9)),
        an_object("acme/bad/1", key_version="4"),
        *(an_object(f"acme/bad/{n}") for n in range(2, 9)),
    ]
    written = write(inventory, BUCKET, batched(told))
    assessed = assessed_of(inventory, written, "4")
    opened = inventory.open([a_sweep(written)])
    worst = opened.worst_namespaces(assessed, 5)
    assert [(one.namespace, one.readability, one.objects) for one in worst] == [
        ("acme/bad", Readability.DOOMED, 1),
        ("acme/good", Readability.READABLE, 9),
    ]
    assert opened.namespaces_by_readability(assessed) == {
        (BUCKET, Readability.DOOMED): 1,
        (BUCKET, Readability.READABLE): 2,
    }


def test_rows_come_in_pages_that_add_up(inventory: FileInventory) -> None:
    written = write(inventory, BUCKET, batched([an_object(f"acme/{n:03}/x") for n in range(250)]))
    assessed = assessed_of(inventory, written)
    opened = inventory.open([a_sweep(written)])
    paged = [row for start in range(0, 250, 100) for row, _ in opened.rows(assessed, start, 100)]
    assert paged == [row for row, _ in opened.rows(assessed)]
    assert len({row.namespace for row in paged}) == 250


def test_an_empty_bucket_and_no_sweep_at_all_are_nothing(inventory: FileInventory) -> None:
    assert inventory.open([]).holdings() == ()
    written = write(inventory, BUCKET, batched([]))
    assert (written.listed, written.oldest_verified) == (0, None)
    assert inventory.open([a_sweep(written)]).holdings() == ()


def test_of_every_file_of_a_whole_sweep_a_digest_is_kept(inventory: FileInventory, tmp_path: Path) -> None:
    written = write(inventory, BUCKET, batched([an_object()]))
    (folder,) = (tmp_path / "inventory" / folder_name(BUCKET)).iterdir()
    told = notes.read(folder / "snapshot.json")
    digests = {Path(name).name: digest for name, digest in written.files.items()}
    for one in told:
        digests |= zip((f"{one['name']}.rows.parquet", f"{one['name']}.sums.parquet"), one["digests"], strict=True)
    assert {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()} == digests


def test_a_listing_that_breaks_off_leaves_nothing(inventory: FileInventory, tmp_path: Path) -> None:
    def breaking() -> Iterator[StoredObject]:
        yield an_object()
        raise CollectError("the page was cut", reason=Reason.TIMEOUT)

    with pytest.raises(CollectError):
        write(inventory, BUCKET, batched(breaking()))
    assert list((tmp_path / "inventory" / folder_name(BUCKET)).iterdir()) == []


def test_a_name_that_is_no_text_is_refused_as_malformed(inventory: FileInventory) -> None:
    with pytest.raises(CollectError) as refused:
        write(inventory, BUCKET, batched([an_object("\ud800")]))
    assert refused.value.reason is Reason.MALFORMED


def replaced(file: Path) -> None:
    """Put a valid file of no rows in its place, with the same times."""
    times = file.stat()
    if file.suffix == ".json":
        notes.write(file, [])
    else:
        pq.write_table(pq.read_table(file).slice(0, 0), file)
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))


@pytest.mark.parametrize("opened_before", [False, True])
def test_a_file_that_the_sweep_did_not_write_is_not_judged_by(
    inventory: FileInventory, tmp_path: Path, *, opened_before: bool
) -> None:
    sweep = a_sweep(write(inventory, BUCKET, batched([an_object()])))
    if opened_before:
        assert inventory.open([sweep]).holdings()
    file = next((tmp_path / "inventory").rglob("dependencies.parquet"))
    whole = file.read_bytes()
    replaced(file)
    told = r"the inventory of gs://data cannot be used: .*dependencies.parquet is not what the sweep wrote"
    with pytest.raises(LedgerError, match=told) as refused:
        inventory.open([sweep])
    assert refused.value.hint
    file.write_bytes(whole)
    assert inventory.open([sweep]).holdings()
    file.unlink()
    with pytest.raises(LedgerError, match=r"the inventory of gs://data lacks .*dependencies.parquet"):
        inventory.open([sweep])


def test_of_many_sweeps_those_are_named_that_nobody_may_judge_by(tmp_path: Path) -> None:
    urls = ("gs://whole", "gs://changed", "gs://gone", "gs://unnamed")
    inventory = FileInventory(tmp_path, dict.fromkeys(urls, Layout.parse("{org}/")))
    sweeps = [a_sweep(write(inventory, url, batched([an_object()])), bucket=url) for url in urls]
    assert inventory.unusable(sweeps) == {}
    replaced(tmp_path / folder_name("gs://changed") / "s1" / "dependencies.parquet")
    (tmp_path / folder_name("gs://gone") / "s1" / "dependencies.parquet").unlink()
    sweeps[-1] = replace(sweeps[-1], files={})
    found = inventory.unusable(sweeps)
    assert sorted(found) == ["gs://changed", "gs://gone", "gs://unnamed"]
    for bucket, error in found.items():
        assert bucket in str(error)
        assert error.hint


def test_a_sweep_that_names_no_file_is_not_taken_for_one_of_an_empty_bucket(inventory: FileInventory) -> None:
    sweep = a_sweep(write(inventory, BUCKET, batched([an_object()])))
    without: tuple[dict[str, str] | None, ...] = ({}, None)
    for files in without:
        with pytest.raises(LedgerError, match="names no dependencies") as refused:
            inventory.open([replace(sweep, files=files)])
        assert refused.value.hint


@pytest.mark.parametrize("file", ["snapshot.json", "part-0-stored-000000.rows.parquet"])
def test_no_sample_is_taken_from_a_snapshot_that_the_sweep_did_not_write(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, file: str
) -> None:
    urls = ("gs://data", "gs://bee", "gs://see")
    inventory = FileInventory(tmp_path, dict.fromkeys(urls, Layout.parse("{org}/")))
    sweeps = [a_sweep(write(inventory, url, batched([an_object()])), bucket=url) for url in urls]
    replaced(tmp_path / folder_name("gs://bee") / "s1" / file)
    assert [one.bucket for one in inventory.samples(sweeps)] == ["gs://data", "gs://see"]
    (told,) = (one.getMessage() for one in caplog.records)
    assert told.startswith("no probe reads gs://bee: ")
    assert f"{file} is not what the sweep wrote" in told


def test_a_size_below_zero_is_refused_as_malformed(inventory: FileInventory) -> None:
    with pytest.raises(CollectError) as refused:
        write(inventory, BUCKET, batched([an_object(size=-1)]))
    assert refused.value.reason is Reason.MALFORMED


EARLIEST, TOO_LATE = datetime(1970, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
JUST = timedelta(microseconds=1)


@pytest.mark.parametrize("column", ["modified", "verified"])
def test_a_date_that_no_object_has_is_refused_as_malformed(inventory: FileInventory, column: str) -> None:
    for number, date in enumerate((EARLIEST, TOO_LATE - JUST)):
        written = write(
            inventory, BUCKET, batched([an_object("a"), an_object("b", **{column: date})]), sweep_id=f"s{number}"
        )
        assert sum(one.objects or 0 for one in inventory.open([a_sweep(written)]).holdings()) == 2
    for date in (datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=1))), EARLIEST - JUST, TOO_LATE):
        # Through Arrow, as connectors do: it holds dates that Python does not.
        (batch,) = batched([an_object("a"), an_object("b", **{column: NOW})])
        place = batch.schema.get_field_index(column)
        dates = pa.array([NOW.isoformat(), date.isoformat()], pa.string()).cast(TIME)
        with pytest.raises(CollectError) as refused:
            write(inventory, BUCKET, iter([batch.set_column(place, batch.schema.field(place), dates)]), sweep_id="s3")
        assert refused.value.reason is Reason.MALFORMED


def test_a_date_that_python_cannot_hold_is_an_error_in_words() -> None:
    for microseconds in (-62167219200000000, 253402304399000000, 2**63 - 1):
        with pytest.raises(LedgerError, match="a date that cannot be") as refused:
            moment(microseconds)
        assert refused.value.hint


def test_sizes_that_64_bits_do_not_hold_together_are_capped(inventory: FileInventory) -> None:
    told = [an_object(f"acme/{place}", size=2**62) for place in ("a/1", "a/2", "b/1", "b/2")]
    written = write(inventory, BUCKET, batched(told))
    opened = inventory.open([a_sweep(written)])
    assessed = assessed_of(inventory, written)
    members = [member_of(one) for one in opened.holdings()]
    most = 2**63 - 1
    assert [(one.objects, one.size) for one in opened.holdings()] == [(4, most)]
    (extent,) = opened.extents([members])
    assert (extent.objects, extent.size) == (4, most)
    assert {row.size for row, _ in opened.rows(assessed)} == {most}
    assert {one.size for one in opened.namespaces(members)} == {most}
    assert {one.size for one in opened.worst_namespaces(assessed, 5)} == {most}


KILLED = """
import sys
from pathlib import Path
from auditor.inventory.layout import Layout
from auditor.inventory.store import FileInventory
from auditor.rows import batched
from tests.inventory.test_store import BUCKET, an_object
from tests.sweeps import snapshot, Streams, begun
def objects():
    for number in range(10**9):
        if number == 60_000:
            print("ready", flush=True)
        yield an_object(f"acme/prod/{number}")
inventory = FileInventory(Path(sys.argv[1]), {BUCKET: Layout.parse("{org}/{namespace}/")})
inventory.write(BUCKET, begun("s2"), Streams(batched(objects())))
"""


def test_a_killed_sweep_leaves_the_last_whole_one_and_the_next_prune_cleans_up(
    inventory: FileInventory, tmp_path: Path
) -> None:
    written = write(inventory, BUCKET, batched([an_object()]))
    root = tmp_path / "inventory"
    with Forked(KILLED, str(root)) as child:
        child.stdout.readline()
        child.kill()
    home = root / folder_name(BUCKET)
    assert len(list(home.iterdir())) == 2
    assert inventory.open([a_sweep(written)]).holdings()[0].objects == 1
    inventory.prune(BUCKET, {"s1"})
    assert [path.name for path in home.iterdir()] == ["s1"]


DIE = "os.kill(os.getpid(), signal.SIGKILL)"


def test_a_sweep_that_is_killed_while_digests_are_taken_is_cleaned_up(inventory: FileInventory, tmp_path: Path) -> None:
    root = tmp_path / "inventory"
    code = KILLED.replace("10**9", "2")
    code = f"import os, signal\nfrom auditor.inventory import files\nfiles.digest = lambda _: {DIE}\n{code}"
    assert ended(code, str(root))[0] == -signal.SIGKILL
    (home,) = root.iterdir()
    assert len(list(home.iterdir())) == 1
    inventory.prune(BUCKET, {"s1"})
    assert list(home.iterdir()) == []


TAKING = """
import sys, time
from pathlib import Path
from auditor.inventory.layout import Layout
from auditor.inventory.store import FileInventory
from auditor.ports import Taken
from tests.core_builders import NOW
from tests.inventory.test_store import BUCKET
from tests.sweeps import begun
def put(folder, target):
    target.write_bytes(b"some")
    print("ready", flush=True)
    while not Path(sys.argv[3]).exists():
        time.sleep(0.01)
    return Taken(NOW, 0, 0, 0, 0)
inventory = FileInventory(Path(sys.argv[1]), {BUCKET: Layout.parse("{org}/{namespace}/")})
inventory.take(BUCKET, begun(sys.argv[2]), put)
"""


def test_what_is_added_up_is_removed_at_once_where_its_owner_was_killed_and_never_while_it_lives(
    inventory: FileInventory, tmp_path: Path
) -> None:
    root, go = tmp_path / "inventory", tmp_path / "go"
    home = root / folder_name(BUCKET)

    def put(_: Path, target: Path) -> Taken:
        target.write_bytes(b"more")
        return Taken(NOW, 0, 0, 0, 0)

    with Forked(TAKING, str(root), "alive", str(go)) as alive:
        alive.stdout.readline()
        with Forked(TAKING, str(root), "dead", str(go)) as dead:
            dead.stdout.readline()
            dead.kill()
        aged(home, {".unfinished-alive": 300})
        inventory.take(BUCKET, begun("next"), put)
        found = sorted(path.name for path in home.iterdir())
        go.touch()
        assert alive.wait() == 0
    assert found == [".unfinished-alive", "next"]
    for name in ("alive", "next"):
        assert sorted(path.name for path in (home / name).iterdir()) == ["dependencies.parquet", "snapshot.json"]


def test_that_memory_does_not_suffice_is_not_told_as_a_fault_of_the_disk(
    inventory: FileInventory, tmp_path: Path
) -> None:
    def sort(*_: object) -> Any:
        with duckdb.connect() as database:
            database.execute(f"SET temp_directory = '{tmp_path / 'spill'}'; SET memory_limit = '1MB'")
            database.execute("SELECT range FROM range(3000000) ORDER BY hash(range)")

    def listed() -> Iterator[Any]:
        yield sort()

    attempts: tuple[Callable[[], Written], ...] = (
        lambda: inventory.take(BUCKET, begun(), sort),
        lambda: write(inventory, BUCKET, listed()),
    )
    for attempt in attempts:
        with pytest.raises(LedgerError, match="do not suffice") as refused:
            attempt()
        assert refused.value.hint
        assert "where what does not fit in memory goes" in refused.value.hint


def test_a_folder_without_an_owner_is_dead_after_an_hour(inventory: FileInventory, tmp_path: Path) -> None:
    home = tmp_path / "inventory" / folder_name(BUCKET)
    for name, minutes in (("young", 59), ("old", 61)):
        folder = home / f".unfinished-{name}"
        folder.mkdir(parents=True)
        os.utime(folder, times=(0, time.time() - 60 * minutes))
    inventory.prune(BUCKET, {"s1"})
    assert [path.name for path in home.iterdir()] == [".unfinished-young"]


def aged(home: Path, minutes: Mapping[str, float]) -> None:
    """Make folders look as if they had been put in place so many minutes ago."""
    for name, ago in minutes.items():
        os.utime(home / name, times=(0, time.time() - 60 * ago))


@pytest.mark.parametrize(
    ("minutes", "kept"),
    [
        # Names do not sort by age: sweeps of the same second look so.
        ({"s1": 300, "s9": 200, "s8": 61, "s7": 59, "s5": 0}, ["s1", "s5", "s7", "s8"]),
        ({"s1": 1, "s9": 200, "s8": 180, "s7": 120, "s5": 90}, ["s1", "s5"]),
        ({"s1": 300, "s9": -500}, ["s1", "s9"]),
    ],
)
def test_what_is_needed_stays_and_what_was_replaced_within_the_hour(
    inventory: FileInventory, tmp_path: Path, minutes: dict[str, float], kept: list[str]
) -> None:
    for sweep_id in minutes:
        write(inventory, BUCKET, batched([an_object()]), sweep_id=sweep_id)
    home = tmp_path / "inventory" / folder_name(BUCKET)
    aged(home, minutes)
    inventory.prune(BUCKET, {"s1", "of another bucket"})
    assert sorted(path.name for path in home.iterdir()) == kept


HOUR, WEEK = 60.0, 7 * 24 * 60.0
KEPT: dict[str, tuple[Keep, list[float], list[int]]] = {
    "the last": (Keep(1), [2 * HOUR, 3 * HOUR, 4 * HOUR], [0]),
    "the last two": (Keep(2), [2 * HOUR, 3 * HOUR, 4 * HOUR], [0, 1]),
    "the first of each week": (Keep(1, 2), [0.2 * WEEK, 0.4 * WEEK, 0.6 * WEEK, 0.8 * WEEK, 1.2 * WEEK], [0, 1, 4]),
    "of so many weeks": (Keep(1, 3), [0.2 * WEEK, 1.2 * WEEK, 2.2 * WEEK, 3.2 * WEEK], [0, 1, 2]),
}


@pytest.mark.parametrize(("keep", "minutes", "stay"), KEPT.values(), ids=KEPT)
def test_some_sweeps_stay_though_nobody_needs_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keep: Keep, minutes: list[float], stay: list[int]
) -> None:
    inventory = FileInventory(tmp_path, {BUCKET: Layout.parse("{org}/")}, keep)
    # In the middle of a week: 0.4 weeks ago was this one, 0.6 the one before.
    now = 1_000 * WEEK * 60 + 0.5 * WEEK * 60
    monkeypatch.setattr(time, "time", lambda: now)
    for number in range(len(minutes)):
        write(inventory, BUCKET, batched([an_object()]), sweep_id=f"s{number}")
    home = tmp_path / folder_name(BUCKET)
    aged(home, {f"s{number}": ago for number, ago in enumerate(minutes)})
    inventory.prune(BUCKET, ())
    assert sorted(path.name for path in home.iterdir()) == [f"s{number}" for number in stay]


def test_what_another_process_has_removed_stops_no_pruning(
    inventory: FileInventory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inventory.prune(BUCKET, ())
    minutes = {"s1": 300, "s2": 200, "s3": 100}
    for sweep_id in minutes:
        write(inventory, BUCKET, batched([an_object()]), sweep_id=sweep_id)
    home = tmp_path / "inventory" / folder_name(BUCKET)
    aged(home, minutes)
    (home / "a link to nothing").symlink_to("nothing")
    found = [*home.iterdir(), home / "gone", home / ".unfinished-gone"]
    with monkeypatch.context() as patch:
        patch.setattr(Path, "iterdir", lambda _: iter(found))
        inventory.prune(BUCKET, ())
    assert sorted(path.name for path in home.iterdir()) == ["a link to nothing", "s3"]


def test_a_sweep_that_still_runs_elsewhere_is_not_taken_for_a_killed_one(
    inventory: FileInventory, tmp_path: Path
) -> None:
    def objects() -> Iterator[StoredObject]:
        yield an_object()
        FileInventory(tmp_path / "inventory", {}).prune(BUCKET, {"s1"})
        yield an_object("acme/prod/2")

    write(inventory, BUCKET, batched([an_object()]))
    assert write(inventory, BUCKET, batched(objects()), sweep_id="s2").listed == 2


def test_buckets_with_alike_names_get_folders_of_their_own() -> None:
    names = {folder_name(url) for url in ("gs://a.b", "gs://a-b", "s3://a-b", "gs://a_b")}
    assert len(names) == 4
    assert all("/" not in name and ".." not in name for name in names)


def test_times_keep_their_microseconds(inventory: FileInventory) -> None:
    exact = NOW + timedelta(microseconds=123457)
    written = write(inventory, BUCKET, batched([an_object(modified=exact)]))
    assert inventory.open([a_sweep(written)]).holdings()[0].oldest == exact
