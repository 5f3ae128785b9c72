"""A bucket that is read from the live inventory table of S3 Metadata: real tables of Iceberg over the wire."""

import gzip
import json
import re
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from pyiceberg.table import Table
from pyiceberg.types import DoubleType, LongType

from auditor.cli import _run as run
from auditor.connectors.aws.tables import S3Tables
from auditor.embedded.aws import AwsCloud
from auditor.errors import CollectError
from auditor.model import Reason
from auditor.warehouse import iceberg
from auditor.warehouse.aggregate import S3_METADATA_COLUMNS
from tests.clouds import an_aws_cloud
from tests.metadata_tables import HOME, SCHEMA, a_table, add, rows_of, serve
from tests.several import KEY, OTHER

CONFIG = """
state = "{state}"
[platform]
aws_principals = ["arn:aws:iam::111122223333:role/storage"]
[[bucket]]
url = "s3://data"
region = "us-east-1"
layout = "{{org}}/{{namespace}}/"
{more}
"""


@dataclass
class World:
    folder: Path
    cloud: AwsCloud
    table: Table

    def put(self) -> None:
        """Have the table tell all that the bucket has, in two files."""
        rows = rows_of(self.cloud.store.buckets["data"])
        add(self.table, rows[::2])
        add(self.table, rows[1::2])
        serve(self.cloud, "data", self.table, self.folder)

    def told(self, capsys: pytest.CaptureFixture[str], state: str = "table", command: str = "scan") -> dict[str, Any]:
        assert run([command, "-q", "--format", "json", "--config", str(self.folder / f"{state}.toml")]) in {0, 1, 3}
        found: dict[str, Any] = json.loads(capsys.readouterr().out)
        return found


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    with a_world(tmp_path, monkeypatch) as found:
        yield found


@contextmanager
def a_world(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    with an_aws_cloud(monkeypatch) as cloud:
        store = cloud.store
        store.add_bucket("data", versioned=True)
        store.add_key(KEY)
        store.add_key(OTHER)
        for number in range(60):
            name = f"org-{number % 3}/ns-{number % 7}/{number % 40}"
            store.put("data", name, sse="aws:kms", key=KEY if number % 3 else OTHER, size=number)
        store.put("data", "org-1/plain/1", size=5)
        store.put("data", "org-1/theirs/1", size=5, sse=None, customer_key=bytes(32))
        store.put("data", "org-1/old/1", size=5, sse="aws:kms", key=KEY, storage_class="GLACIER")
        store.put("data", "outside", size=9, sse="aws:kms:dsse", key=KEY)
        store.delete("data", "org-0/ns-0/0", None)
        for state, more in {"table": "s3_metadata = true", "swept": ""}.items():
            (folder / f"{state}.toml").write_text(CONFIG.format(state=state, more=more))
        yield World(folder, cloud, a_table(folder))


def of_data(judgement: dict[str, Any]) -> dict[str, Any]:
    (bucket,) = judgement["coverage"]["buckets"]
    counts = {name: bucket[name] for name in ("complete", "listed", "resolved", "unresolved", "outside")}
    left_out = {"unresolved_by_reason"}
    dependencies = [{name: one[name] for name in one if name not in left_out} for one in judgement["dependencies"]]
    return {"bucket": counts, "totals": judgement["totals"], "dependencies": dependencies}


def test_it_judges_as_a_sweep_does_without_a_request_for_an_object(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    world.put()
    by_table = world.told(capsys)
    asked = [one.target for one in world.cloud.traffic.requests if one.service == "s3"]
    assert not [one for one in asked if one.startswith("/data/") or "versions" in one]
    swept = world.told(capsys, "swept")
    assert of_data(by_table) == of_data(swept)
    (gap,) = [one for one in by_table["gaps"] if one["what"] == "s3://data"]
    assert gap["reason"] == "not_visible"
    assert "by S3 Metadata" in gap["effect"]
    assert not list((world.folder / "table").rglob("table-*.parquet"))


def test_a_key_that_is_disabled_is_found_by_the_table(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.put()
    key = world.cloud.store.key(OTHER)
    assert key is not None
    key.state = "Disabled"
    by_table, swept = world.told(capsys), world.told(capsys, "swept")
    rules = [sorted((one["rule"], one["objects"]) for one in each["findings"]) for each in (by_table, swept)]
    assert rules[0] == rules[1]
    assert "data-unreadable" in {rule for rule, _ in rules[0]}


def test_a_key_that_the_table_could_not_learn_is_asked_of_the_object(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = rows_of(world.cloud.store.buckets["data"])
    lacking = [one for one in rows if one.get("kms_key_arn") and one["key"].startswith("org-2/")]
    add(world.table, [{**one, "kms_key_arn": None} if one in lacking else one for one in rows])
    serve(world.cloud, "data", world.table, world.folder)
    by_table = world.told(capsys)
    heads = [one for one in world.cloud.traffic.requests if one.verb == "HEAD" and one.target.startswith("/data/")]
    assert len(heads) == len(lacking) > 10
    assert of_data(by_table) == of_data(world.told(capsys, "swept"))


def test_of_what_lacks_a_key_that_which_is_gone_is_left_out_and_that_of_which_nobody_answers_is_unknown(
    world: World, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("auditor.warehouse.lacking._AT_ONCE", 3)
    store = world.cloud.store
    rows = rows_of(store.buckets["data"])
    add(world.table, [{**one, "kms_key_arn": None} if one.get("kms_key_arn") else one for one in rows])
    serve(world.cloud, "data", world.table, world.folder)
    before = world.told(capsys)["totals"]["objects"]
    store.delete("data", "outside", store.buckets["data"].objects["outside"][0].version_id)
    after = world.told(capsys)
    assert (after["totals"]["objects"], after["coverage"]["buckets"][0]["unresolved"]) == (before - 1, 0)
    store.denied.add(("GetObject", "data"))
    denied = world.told(capsys)
    assert denied["totals"]["objects"] == before
    assert denied["coverage"]["buckets"][0]["unresolved"] == len([one for one in rows if one.get("kms_key_arn")])
    assert {one["encryption"] for one in denied["dependencies"]} == {"unknown", "provider", "customer_supplied"}


def test_a_key_that_nobody_can_learn_is_unknown_and_never_unencrypted(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    world.cloud.store.denied.add(("GetObject", "data"))
    row = rows_of(world.cloud.store.buckets["data"])[5]
    add(world.table, [{**row, "kms_key_arn": None}, {**row, "key": "org-1/a/2", "encryption_status": None}])
    serve(world.cloud, "data", world.table, world.folder)
    found = world.told(capsys)
    assert {one["encryption"] for one in found["dependencies"]} == {"unknown"}
    assert found["coverage"]["buckets"][0]["unresolved"] == 2


Change = Callable[[World], object]


def _status(status: str) -> Change:
    def change(world: World) -> None:
        world.put()
        table = world.cloud.store.buckets["data"].table
        assert table is not None
        table.status = status

    return change


def _broken(match: str, **how: Any) -> Change:
    def change(world: World) -> None:
        world.put()
        world.cloud.traffic.fail(match, **how)

    return change


def _damaged(part: str, change: Callable[[bytes], bytes]) -> Change:
    def changed(world: World) -> None:
        world.put()
        for versions in world.cloud.store.buckets[HOME].objects.values():
            if part in versions[0].name:
                versions[0].data = change(versions[0].data or b"")
                versions[0].size = len(versions[0].data)

    return changed


def _elsewhere(world: World) -> None:
    world.put()
    table = world.cloud.store.buckets["data"].table
    assert table is not None
    table.metadata = "s3://data/org-1/plain/1"


def _files_elsewhere(world: World) -> None:
    world.put()
    store = world.cloud.store
    table = store.buckets["data"].table
    assert table is not None
    name = table.metadata.removeprefix(f"s3://{HOME}/")
    content = store.buckets[HOME].objects[name][0].data or b""
    store.add_bucket("another--table-s3")
    store.put("another--table-s3", name, size=len(content), data=content)
    table.metadata = f"s3://another--table-s3/{name}"


def _above(world: World) -> None:
    world.put()
    table = world.cloud.store.buckets["data"].table
    assert table is not None
    table.metadata = f"s3://{HOME}/../data/org-1/plain/1"


def _twice(world: World) -> None:
    add(world.table, rows_of(world.cloud.store.buckets["data"]))
    world.put()


def _of_another(world: World) -> None:
    add(world.table, [{**one, "bucket": "other"} for one in rows_of(world.cloud.store.buckets["data"])])
    serve(world.cloud, "data", world.table, world.folder)


def _number(value: int) -> bytes:
    """As Avro writes one that is not below zero."""
    value <<= 1
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*found, value])


def _headed(content: bytes) -> bytes:
    """What of a file of Avro stands before its first block."""
    return content[: content.index(content[-16:]) + 16]


def _one_block(count: int, packed: bytes, length: int | None = None) -> Callable[[bytes], bytes]:
    def change(content: bytes) -> bytes:
        size = len(packed) if length is None else length
        return _headed(content) + _number(count) + _number(size) + packed + content[-16:]

    return change


def _zipped(world: World, more: int) -> None:
    """Have the table's metadata be packed, and become so many bytes longer."""
    world.put()
    store = world.cloud.store
    table = store.buckets["data"].table
    assert table is not None
    name = table.metadata.removeprefix(f"s3://{HOME}/")
    content = gzip.compress((store.buckets[HOME].objects[name][0].data or b"") + b" " * more)
    name = name.replace(".metadata.json", ".gz.metadata.json")
    store.put(HOME, name, size=len(content), data=content)
    table.metadata = f"s3://{HOME}/{name}"


_BOMB: Final = zlib.compress(bytes(65 << 20))[2:]
_LIST, _MANIFEST = "snap-", "-m0.avro"


UNUSABLE: dict[str, tuple[Change, str, str]] = {
    "no table": (lambda _: None, "not_found", "MetadataConfigurationNotFound"),
    "it is filled still": (_status("BACKFILLING"), "not_visible", "is BACKFILLING, and not all objects are in it"),
    "it failed": (_status("FAILED"), "not_visible", "is FAILED"),
    "nobody may know": (_broken("metadataConfiguration", status=403, code="AccessDenied"), "access_denied", "read"),
    "nobody may find it": (_broken("s3tables GET", status=403, code="AccessDeniedException"), "access_denied", "found"),
    "nobody may read it": (_broken("s3 GET /63a8", status=403, code="AccessDenied"), "access_denied", "a file of its"),
    "nothing was put into it": (
        lambda world: serve(world.cloud, "data", world.table, world.folder),
        "malformed",
        "has no row",
    ),
    "its metadata is none": (_damaged(".json", lambda _: b"{}"), "malformed", "metadata cannot be read"),
    "a manifest is cut off": (_damaged(".avro", lambda one: one[:100]), "malformed", "metadata cannot be read"),
    "a manifest is cut off behind a block": (_damaged(_MANIFEST, _headed), "malformed", "metadata cannot be read"),
    "the list is cut off in a block": (_damaged(_LIST, lambda one: one[:-40]), "malformed", "metadata cannot be read"),
    "a block ends behind the file": (_damaged(_LIST, _one_block(1, b"", 1 << 27)), "malformed", "cannot be read"),
    "a block has nothing": (_damaged(_LIST, _one_block(0, b"")), "malformed", "metadata cannot be read"),
    "a block becomes too large": (_damaged(_LIST, _one_block(1, _BOMB)), "malformed", "becomes larger than"),
    "a block is cut off": (_damaged(_LIST, _one_block(1, _BOMB[:9])), "malformed", "metadata cannot be read"),
    "a block tells of too many": (_damaged(_LIST, _one_block(10_001, _BOMB)), "malformed", "more files than"),
    "its metadata becomes too large": (lambda world: _zipped(world, 65 << 20), "malformed", "becomes larger than"),
    "a file is cut off": (_damaged(".parquet", lambda one: one[:-9]), "malformed", "has not the"),
    "a file has more": (_damaged(".parquet", lambda one: one + bytes(3 << 20)), "malformed", "more bytes than"),
    "a file is another": (_damaged(".parquet", lambda one: b"x" * len(one)), "malformed", "cannot be read"),
    "its metadata lies elsewhere": (_elsewhere, "malformed", "is in no table bucket"),
    "its files are of another table": (_files_elsewhere, "malformed", "names a file that is not the table's"),
    "its metadata lies above": (_above, "malformed", "names a file that is not the table's"),
    "it tells versions twice": (_twice, "malformed", "more than once"),
    "it is another bucket's": (_of_another, "malformed", "is of another bucket"),
}


@pytest.mark.parametrize(("change", "reason", "why"), UNUSABLE.values(), ids=UNUSABLE)
def test_what_cannot_be_used_is_a_gap_and_what_was_known_stays(
    world: World, capsys: pytest.CaptureFixture[str], change: Change, reason: str, why: str
) -> None:
    change(world)
    found = world.told(capsys)
    (gap,) = [one for one in found["gaps"] if one["what"] == "s3://data"]
    assert gap["reason"] == reason
    assert why in gap["effect"]
    assert gap["hint"]
    assert found["totals"]["objects"] == 0
    assert not list((world.folder / "table" / "inventory").rglob("*.parquet"))


def test_a_table_that_lost_a_column_is_refused(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    with world.table.update_schema() as update:
        update.delete_column("kms_key_arn")
    serve(world.cloud, "data", world.table, world.folder)
    (gap,) = [one for one in world.told(capsys)["gaps"] if one["what"] == "s3://data"]
    assert "has no column kms_key_arn" in gap["effect"]


@pytest.mark.parametrize("name", ["nth", "place", "told", "SIZE"])
def test_a_column_that_is_not_read_changes_nothing(world: World, capsys: pytest.CaptureFixture[str], name: str) -> None:
    with world.table.update_schema() as update:
        update.add_column(name, LongType())
    add(world.table, [{**one, name: 2} for one in rows_of(world.cloud.store.buckets["data"])])
    serve(world.cloud, "data", world.table, world.folder)
    assert of_data(world.told(capsys)) == of_data(world.told(capsys, "swept"))


def test_a_column_that_was_named_anew_is_read_by_what_files_know_it_by(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    with world.table.update_schema() as update:
        update.rename_column("kms_key_arn", "key_once")
        update.rename_column("checksum_algorithm", "once")
    rows = rows_of(world.cloud.store.buckets["data"])
    add(world.table, [{**one, "once": one["kms_key_arn"], "key_once": OTHER} for one in rows if "e_tag" in one])
    add(world.table, [one for one in rows if "e_tag" not in one])
    with world.table.update_schema() as update:
        update.rename_column("once", "kms_key_arn")
    serve(world.cloud, "data", world.table, world.folder)
    assert of_data(world.told(capsys)) == of_data(world.told(capsys, "swept"))


@pytest.mark.parametrize("change", [{"size": None}, {"size": -5}, {"last_modified_date": None}], ids=str)
def test_a_row_that_a_sum_would_pass_over_is_refused(
    world: World, capsys: pytest.CaptureFixture[str], change: dict[str, Any]
) -> None:
    row = next(one for one in rows_of(world.cloud.store.buckets["data"]) if not one["is_delete_marker"])
    add(world.table, [row, {**row, "key": f"{row['key']}0", **change}])
    serve(world.cloud, "data", world.table, world.folder)
    found = world.told(capsys)
    (gap,) = [one for one in found["gaps"] if one["what"] == "s3://data"]
    assert "in 1 row a name, a size or a time is missing" in gap["effect"]
    assert found["totals"]["objects"] == 0


def test_a_column_of_another_type_is_refused(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    with world.table.update_schema(allow_incompatible_changes=True) as update:
        update.delete_column("size")
    with world.table.update_schema() as update:
        update.add_column("size", DoubleType())
    serve(world.cloud, "data", world.table, world.folder)
    (gap,) = [one for one in world.told(capsys)["gaps"] if one["what"] == "s3://data"]
    assert "the column size of the table is of the type double" in gap["effect"]


def test_a_file_that_breaks_off_is_begun_again(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.put()
    world.cloud.traffic.fail(".parquet", cut=True, times=2)
    assert world.told(capsys)["totals"]["objects"] == 64


def test_metadata_that_is_packed_is_read(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    _zipped(world, 0)
    assert world.told(capsys)["totals"]["objects"] == 64


def test_manifests_that_are_packed_by_zstandard_are_read(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    with world.table.transaction() as change:
        change.set_properties({"write.avro.compression-codec": "zstd"})
    world.put()
    found = world.cloud.store.buckets[HOME].objects
    assert any(b"zstandard" in (versions[0].data or b"") for name, versions in found.items() if _MANIFEST in name)
    assert world.told(capsys)["totals"]["objects"] == 64


@pytest.mark.parametrize(
    ("limit", "why"),
    [("_METADATA", "is larger than"), ("_ENTRIES", "names more files than"), ("_MOST", "has 2 files")],
)
def test_all_that_metadata_takes_together_has_a_limit(
    world: World, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, limit: str, why: str
) -> None:
    world.put()
    monkeypatch.setattr(iceberg, limit, 1)
    (gap,) = [one for one in world.told(capsys)["gaps"] if one["what"] == "s3://data"]
    assert why in gap["effect"]


@pytest.mark.parametrize(("status", "code"), [(404, "NoSuchKey"), (403, "AccessDenied")])
@pytest.mark.parametrize("part", [".avro", ".parquet"])
def test_a_table_that_was_compacted_meanwhile_is_begun_anew(
    world: World, capsys: pytest.CaptureFixture[str], status: int, code: str, part: str
) -> None:
    world.put()
    store = world.cloud.store
    table = store.buckets["data"].table
    assert table is not None
    old, now = table.metadata, store.permits
    add(world.table, [{**rows_of(store.buckets["data"])[5], "key": "org-1/new/1", "sequence_number": "1"}])
    newest = serve(world.cloud, "data", world.table, world.folder).metadata
    table = store.buckets["data"].table
    assert table is not None
    table.metadata = old
    world.cloud.traffic.fail(part, status=status, code=code, times=1)

    def permits(account: str, action: str, resource: str) -> bool:
        # Whoever has asked where it is finds it elsewhere from then on.
        asked = [one.service for one in world.cloud.traffic.requests]
        table.metadata = old if asked.count("s3tables") < 2 else newest
        return now(account, action, resource)

    store.permits = permits
    assert world.told(capsys)["totals"]["objects"] == 65
    # It is as it was when it is looked for again: nothing is gained by that.
    table.metadata = old
    store.permits = now
    world.cloud.traffic.fail(part, status=status, code=code)
    asked = len(world.cloud.traffic.requests)
    hints = {one["reason"]: one["hint"] for one in world.told(capsys)["gaps"] if one["what"] == "s3://data"}
    assert "the table may have been compacted meanwhile" in hints["not_found" if status == 404 else "access_denied"]
    assert sum(part in one.target for one in world.cloud.traffic.requests[asked:]) == 1


class Trickle:
    """A client of S3 whose every answer comes in pieces, with so many seconds before each."""

    def __init__(self, pieces: list[bytes], seconds: float) -> None:
        self.pieces, self.seconds, self.now, self.asked = pieces, seconds, 0.0, 0

    def ticks(self) -> float:
        return self.now

    def s3(self, *_: object) -> Any:
        return self

    def get_object(self, **_: object) -> dict[str, Any]:
        self.asked += 1
        self.left = iter(self.pieces)
        return {"Body": nullcontext(self), "ContentLength": sum(map(len, self.pieces))}

    def read1(self, _: int) -> bytes:
        self.now += self.seconds
        return next(self.left, b"")


def test_a_file_that_comes_too_slowly_is_given_up(tmp_path: Path) -> None:
    url = f"s3://{HOME}/data/1.parquet"
    for pieces, seconds, enough in (
        ([bytes(1)] * 100_000, 5.0, False),
        ([bytes(16 << 10)] * 1000, 1.01, False),
        ([bytes(16 << 10)] * 1000, 1.0, True),
        ([bytes(1)] * 11, 5.0, True),
        ([bytes(1)], 600.0, True),
    ):
        cloud = Trickle(pieces, seconds)
        clients: Any = cloud
        table = S3Tables(clients, "s3://data", None, None, cloud.ticks)
        if enough:
            table.fetch(url, tmp_path / "file", len(b"".join(pieces)))
            assert (tmp_path / "file").read_bytes() == b"".join(pieces)
            continue
        with pytest.raises(CollectError, match="comes too slowly") as refused:
            table.fetch(url, tmp_path / "file", 1 << 30)
        assert refused.value.reason is Reason.TIMEOUT
        assert cloud.asked == 3
        # Each attempt has a minute of its own.
        assert cloud.now < 3 * 70


def test_rows_that_were_deleted_beside_its_files_are_not_counted_but_refused() -> None:
    class Task:
        delete_files = ("one",)

    with pytest.raises(CollectError, match="deleted beside its files"):
        iceberg._file(Task())  # noqa: SLF001 - the library that the tests write with makes no such files


def test_nothing_is_read_that_the_schema_of_the_cloud_has_not() -> None:
    assert {one.name for one in SCHEMA.fields} > set(S3_METADATA_COLUMNS)


def test_the_last_whole_answer_stays_in_force(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.put()
    before = world.told(capsys)
    table = world.cloud.store.buckets["data"].table
    assert table is not None
    table.status = "BACKFILLING"
    after = world.told(capsys)
    assert of_data(before) == of_data(after)
    assert any("BACKFILLING" in one["effect"] for one in after["gaps"])


@pytest.mark.parametrize("hours", [-3, 3])
def test_it_is_taken_whatever_our_clock_says(world: World, capsys: pytest.CaptureFixture[str], hours: int) -> None:
    world.put()
    world.cloud.store.clock = lambda: datetime.now(UTC) + timedelta(hours=hours)
    found = [world.told(capsys, state)["coverage"]["buckets"][0] for state in ("table", "swept")]
    assert [(one["complete"], one["listed"]) for one in found] == [(True, 64)] * 2
    first, second = (datetime.fromisoformat(one["sweep_started"]) for one in found)
    # By how much our clock is off is known to the second.
    assert abs(second - first) < timedelta(minutes=10)


def test_the_doctor_asks_for_the_table(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    config = str(world.folder / "table.toml")
    assert run(["doctor", "--config", config]) == 1
    out = capsys.readouterr().out
    assert re.search(r"s3://data: table of S3 Metadata .*MetadataConfigurationNotFound", out), out
    world.put()
    run(["doctor", "--config", config])
    out = capsys.readouterr().out
    assert re.search(r"ok +s3://data: table of S3 Metadata .*answered: it is whole", out), out
    unneeded = {"s3:ListBucketVersions", "s3:GetObjectVersion", "s3:GetObject"}
    world.cloud.store.permits = lambda _account, action, _resource: action not in unneeded
    run(["doctor", "--config", config])
    out = capsys.readouterr().out
    assert "missing" not in out, out
    assert re.search(r"off +s3://data: list .*s3_metadata is on", out), out
    assert world.told(capsys)["totals"]["objects"] == 64
