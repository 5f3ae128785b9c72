"""A bucket that is listed by reports of S3 Inventory: real files of each format, over the wire from an embedded AWS."""

import json
import random
import re
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from auditor.attempting import anew
from auditor.cli import _run as run
from auditor.embedded.aws import AwsCloud
from auditor.errors import ReadOnlyError
from auditor.inventory.parts import finished, rows_of
from auditor.readonly import check
from tests import inventory_reports
from tests.clouds import an_aws_cloud
from tests.forked import Forked
from tests.inventory_reports import NAME, OF_LIVE, configure, deliver, put_manifest
from tests.inventory_reports import rows_of as rows_of_report
from tests.several import KEY, OTHER

CONFIG = """
state = "{state}"
[limits]
requests_per_second = 4000
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

    @property
    def rows(self) -> list[dict[str, Any]]:
        return rows_of_report(self.cloud.store.buckets["data"])

    def report(self, form: str = "CSV", at: datetime | None = None, **said: Any) -> str:
        """Have the newest report tell all that the bucket has."""
        configure(self.cloud, "data", form)
        return deliver(self.cloud, "data", self.rows, at or self.cloud.store.clock(), **said)

    def told(self, capsys: pytest.CaptureFixture[str], state: str = "report") -> dict[str, Any]:
        assert run(["scan", "-q", "--format", "json", "--config", str(self.folder / f"{state}.toml")]) in {0, 1, 3}
        found: dict[str, Any] = json.loads(capsys.readouterr().out)
        return found

    def gap(self, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
        """The one that a sweep leaves which did not succeed."""
        found = self.told(capsys)
        assert not found["dependencies"]
        (gap,) = [one for one in found["gaps"] if one["what"] == "s3://data"]
        assert not list((self.folder / "report" / "s3-inventory").rglob("unfinished"))
        return dict(gap)

    def asked(self, verb: str) -> list[str]:
        """Of which objects of the bucket, or with which query."""
        found = (one for one in self.cloud.traffic.requests if one.service == "s3" and one.verb == verb)
        return [one.target.removeprefix("/data/") for one in found if one.target.startswith(("/data/", "/data?"))]


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    with an_aws_cloud(monkeypatch) as cloud:
        store = cloud.store
        store.add_bucket("data", versioned=True)
        store.add_key(KEY)
        store.add_key(OTHER)
        before = datetime.now(UTC) - timedelta(hours=3)
        for number in range(60):
            name = f"org-{number % 3}/ns-{number % 7}/{number % 40}"
            store.put("data", name, sse="aws:kms", key=KEY if number % 3 else OTHER, size=number, modified=before)
        store.put("data", "org-1/plain/1", size=5, modified=before)
        store.put("data", "org-1/theirs/1", size=5, sse=None, customer_key=bytes(32), modified=before)
        store.put("data", "org-1/old/1", size=5, sse="aws:kms", key=KEY, storage_class="GLACIER", modified=before)
        store.put("data", "org-1/a b+c/ä,\"'\n%20*", size=5, modified=before)
        store.put("data", "outside", size=9, sse="aws:kms:dsse", key=KEY, modified=before)
        store.delete("data", "org-0/ns-0/0", None)
        for state, more in {"report": f's3_inventory = "{NAME}"', "swept": ""}.items():
            (tmp_path / f"{state}.toml").write_text(CONFIG.format(state=state, more=more))
        yield World(tmp_path, cloud)


def of_data(judgement: dict[str, Any]) -> dict[str, Any]:
    (bucket,) = judgement["coverage"]["buckets"]
    counts = {name: bucket[name] for name in ("complete", "listed", "resolved", "unresolved", "outside")}
    dependencies = judgement["dependencies"]
    return {"bucket": counts, "totals": judgement["totals"], "dependencies": dependencies}


@pytest.mark.parametrize("form", ["CSV", "ORC", "Parquet"])
def test_it_judges_as_a_sweep_does_and_lists_nothing(
    world: World, capsys: pytest.CaptureFixture[str], form: str
) -> None:
    world.report(form)
    by_report = world.told(capsys)
    assert not [one for one in world.asked("GET") if "versions" in one or "list-type" in one]
    swept = world.told(capsys, "swept")
    assert of_data(by_report) == of_data(swept)
    (gap,) = [one for one in by_report["gaps"] if one["what"] == "s3://data"]
    assert gap["reason"] == "not_visible"
    assert "report of S3 Inventory" in gap["effect"]


def test_only_what_is_under_a_kms_key_is_asked_for(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.report()
    world.told(capsys)
    under_kms = [one for one in world.rows if "KMS" in str(one.get("EncryptionStatus"))]
    asked = world.asked("HEAD")
    assert len([one for one in asked if "versionId" in one]) == len(under_kms)
    assert not [one for one in asked if "plain" in one or "theirs" in one]


def test_the_same_report_is_fetched_once_and_its_versions_are_asked_about_once(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    world.report()
    first = world.told(capsys)
    before = world.cloud.traffic.requests
    again = world.told(capsys)
    assert of_data(again) == of_data(first)
    since = [one.target for one in world.cloud.traffic.requests[len(before) :]]
    assert any("manifest.json" in one for one in since)
    assert not [one for one in since if "versionId" in one or ".csv.gz" in one]
    assert [one for one in before if ".csv.gz" in one.target]


def test_of_two_reports_the_newest_whole_one_counts_and_the_older_is_removed(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    now = world.cloud.store.clock()
    world.report(at=now - timedelta(hours=2))
    first = world.told(capsys)
    world.cloud.store.put("data", "org-1/new/1", size=7, sse="aws:kms", key=KEY)
    world.report(at=now - timedelta(hours=1))
    configure(world.cloud, "data")
    folder = deliver(world.cloud, "data", [], now)
    world.cloud.store.delete("reports", f"{folder}/manifest.checksum", None)
    second = world.told(capsys)
    listed = [one["coverage"]["buckets"][0]["listed"] for one in (first, second)]
    assert listed[1] == listed[0] + 1
    assert len(list((world.folder / "report" / "s3-inventory").rglob("report-*.parquet"))) == 1
    started = datetime.fromisoformat(second["coverage"]["buckets"][0]["sweep_started"])
    assert abs(started - (now - timedelta(hours=1))) < timedelta(seconds=2)


def test_a_report_that_is_older_than_what_is_known_replaces_nothing(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    old = world.cloud.store.clock() - timedelta(hours=1)
    world.report(at=old)
    (world.folder / "swept.toml").write_text(CONFIG.format(state="report", more=""))
    swept = world.told(capsys, "swept")
    found = world.told(capsys)
    assert found["coverage"]["buckets"][0]["listed"] == swept["coverage"]["buckets"][0]["listed"]
    gaps = [one["effect"] for one in found["gaps"] if one["what"] == "s3://data"]
    assert any("what is known is of" in one for one in gaps), gaps


def test_what_was_deleted_since_hangs_on_no_key_and_what_was_overwritten_is_as_it_is_now(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    store = world.cloud.store
    store.add_bucket("data2")
    store.put("data2", "org-1/ns-1/deleted", sse="aws:kms", key=KEY)
    store.put("data2", "org-1/ns-1/overwritten", sse="aws:kms", key=KEY, size=5)
    store.put("data2", "org-1/ns-1/a blank that is gone", sse="aws:kms", key=KEY)
    configure(world.cloud, "data2")
    deliver(world.cloud, "data2", rows_of_report(store.buckets["data2"]), store.clock())
    store.delete("data2", "org-1/ns-1/deleted", None)
    store.delete("data2", "org-1/ns-1/a blank that is gone", None)
    store.put("data2", "org-1/ns-1/overwritten", sse="aws:kms", key=OTHER, size=7)
    text = (world.folder / "report.toml").read_text().replace("s3://data", "s3://data2")
    (world.folder / "report.toml").write_text(text)
    found = world.told(capsys)
    # A blank may have been a plus: that nothing is there of such a name is no proof that it is gone.
    assert sorted((one["encryption"], one["key"], one["objects"]) for one in found["dependencies"]) == [
        ("cmek", OTHER, 1),
        ("unknown", None, 1),
    ]


def test_reports_of_live_objects_leave_the_others_out(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    configure(world.cloud, "data", versions="Current")
    live = [one for one in world.rows if one["IsLatest"] and not one["IsDeleteMarker"]]
    deliver(world.cloud, "data", live, world.cloud.store.clock(), OF_LIVE)
    found = world.told(capsys)
    assert found["coverage"]["buckets"][0]["listed"] == len(live)
    assert any("its noncurrent versions" in one["effect"] for one in found["gaps"] if one["what"] == "s3://data"), (
        found["gaps"]
    )


def test_a_status_that_nobody_knows_is_asked_about(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    configure(world.cloud, "data")
    rows = [{**one, "EncryptionStatus": None} if one["Key"] == "org-1/plain/1" else one for one in world.rows]
    rows = [{**one, "EncryptionStatus": "SSE-NEW"} if "theirs" in one["Key"] else one for one in rows]
    deliver(world.cloud, "data", rows, world.cloud.store.clock())
    found = world.told(capsys)
    assert [one for one in world.asked("HEAD") if "plain" in one]
    assert of_data(found) == of_data(world.told(capsys, "swept"))


def test_what_was_encrypted_anew_is_told_as_it_is_though_nothing_else_changed(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    world.report(at=world.cloud.store.clock() - timedelta(hours=1))
    world.told(capsys)
    (to_kms,) = world.cloud.store.buckets["data"].objects["org-1/plain/1"]
    to_kms.sse, to_kms.key = "aws:kms", KEY
    (from_kms,) = world.cloud.store.buckets["data"].objects["outside"]
    from_kms.sse, from_kms.key = "AES256", None
    world.report()
    assert of_data(world.told(capsys)) == of_data(world.told(capsys, "swept"))


Change = Callable[[World], object]


def _said(**said: Any) -> Change:
    return lambda world: world.report(**said)


def _made(**more: Any) -> Change:
    def change(world: World) -> None:
        world.report()
        configure(world.cloud, "data", **more)

    return change


def _rows(change: Callable[[list[dict[str, Any]]], object]) -> Change:
    def changed(world: World) -> None:
        configure(world.cloud, "data")
        rows = sorted(world.rows, key=lambda row: (str(row["Key"]), str(row["VersionId"])))
        change(rows)
        deliver(world.cloud, "data", rows, world.cloud.store.clock())

    return changed


def _denied(operation: str, bucket: str) -> Change:
    def change(world: World) -> None:
        world.report()
        world.cloud.store.denied.add((operation, bucket))

    return change


def _data(content: Callable[[bytes], bytes]) -> Change:
    def change(world: World) -> None:
        folder = world.report()
        name = next(one for one in world.cloud.store.buckets["reports"].objects if one.endswith(".csv.gz"))
        (one,) = world.cloud.store.buckets["reports"].objects[name]
        assert one.data is not None
        one.data = content(one.data)
        one.size = len(one.data)
        assert folder

    return change


def _checksum(world: World) -> None:
    folder = world.report()
    put_manifest(world.cloud, folder, b"{}", checksum="0" * 32)


def _without_column(world: World) -> None:
    configure(world.cloud, "data")
    deliver(world.cloud, "data", world.rows, world.cloud.store.clock(), OF_LIVE[:-2])


REFUSED: dict[str, tuple[Change, str, str]] = {
    "no configuration": (lambda _: None, "no inventory configuration daily", "not_found"),
    "off": (_made(enabled=False), "is off", "not_visible"),
    "a part of the bucket": (_made(filter="org-1/"), "has a filter", "unsupported"),
    "fields": (_made(fields=("Size",)), "lack LastModifiedDate, StorageClass, ETag, EncryptionStatus", "unsupported"),
    "another account's bucket": (_made(account="999999999999"), "AccessDenied|403", "access_denied"),
    "no report yet": (lambda world: configure(world.cloud, "data"), "no report lies in s3://reports/all/data", "found"),
    "denied configuration": (_denied("GetBucketInventoryConfiguration", "data"), "AccessDenied", "access_denied"),
    "denied list": (_denied("ListObjectsV2", "reports"), "cannot be listed: AccessDenied", "access_denied"),
    "denied files": (_denied("GetObject", "reports"), "cannot be read: AccessDenied", "access_denied"),
    "checksum": (_checksum, "not what its checksum says", "malformed"),
    "another bucket's": (_said(sourceBucket="other"), "of something else", "malformed"),
    "another place": (_said(destinationBucket="arn:aws:s3:::elsewhere"), "of something else", "malformed"),
    "files elsewhere": (
        _said(files=[{"key": "all/other/daily/1.csv.gz", "size": 1, "MD5checksum": "0" * 32}]),
        "of something else",
        "malformed",
    ),
    "no files": (_said(files=[]), "names no file", "malformed"),
    "a manifest without sense": (_said(creationTimestamp="soon"), "cannot be read", "malformed"),
    "a manifest with too much": (_said(creationTimestamp="1" * 40), "cannot be read", "malformed"),
    "in the time to come": (_said(creationTimestamp="4102444800000"), "in the time to come", "malformed"),
    "a new format": (_said(fileFormat="Avro"), "a format that is not known", "unsupported"),
    "a column twice": (_said(fileSchema="Bucket, Key, Key"), "names a column twice", "malformed"),
    "fewer columns": (_said(fileSchema="Bucket, Key"), "lacks size, last_modified_date", "unsupported"),
    "a column lacks": (_without_column, "lacks encryption_status", "unsupported"),
    "a file cut off": (_data(lambda data: data[:-9]), "not what the manifest says", "malformed"),
    "a file with more": (_data(lambda data: data + b"more"), "not what the manifest says", "malformed"),
    "another file": (_data(lambda data: data[:-1] + b"x"), "not what the manifest says", "malformed"),
    "rows of another bucket": (
        _rows(lambda rows: rows[3].update(Bucket="other")),
        "1 row of it .* another bucket",
        "malformed",
    ),
    "a name lacks": (_rows(lambda rows: rows[3].update(Key="")), "in 1 row of it a name", "malformed"),
    "a size lacks": (_rows(lambda rows: rows[3].update(Size=None)), "in 1 row of it a name", "malformed"),
    "a size below 0": (_rows(lambda rows: rows[3].update(Size=-1)), "in 1 row of it a name", "malformed"),
    "no row": (_rows(lambda rows: rows.clear()), "no row", "malformed"),
    "a version twice": (_rows(lambda rows: rows.append(rows[3])), "more than once", "malformed"),
    "two newest": (
        _rows(lambda rows: rows.append({**rows[3], "VersionId": "other", "IsLatest": True})),
        "more than once",
        "malformed",
    ),
}


@pytest.mark.parametrize("why", REFUSED)
def test_what_cannot_be_trusted_is_a_gap_and_nothing_is_told_by_it(
    world: World, capsys: pytest.CaptureFixture[str], why: str
) -> None:
    change, effect, reason = REFUSED[why]
    change(world)
    gap = world.gap(capsys)
    assert re.search(effect, gap["effect"]), gap
    assert re.search(reason, gap["reason"]), gap
    assert gap["hint"]


def test_a_report_that_fails_leaves_what_was_known_in_force(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.report(at=world.cloud.store.clock() - timedelta(hours=1))
    before = world.told(capsys)
    world.report(sourceBucket="other")
    after = world.told(capsys)
    assert after["dependencies"] == before["dependencies"]
    assert "sweep-incomplete" in {one["rule"] for one in after["findings"]}


def test_no_object_is_read_that_is_not_named_as_files_of_its_reports_are() -> None:
    mine = {"Bucket": "reports", "reported": {"data"}}
    for name in ("all/data/daily/2026-01-01T00-00Z/manifest.json", "data/daily/data/1.parquet"):
        check("s3", "GetObject", {**mine, "Key": name})
    for name in ("all/other/1.parquet", "data/daily/1.txt", "mydata/1.csv.gz", "data.parquet", "manifest.json"):
        with pytest.raises(ReadOnlyError):
            check("s3", "GetObject", {**mine, "Key": name})
    with pytest.raises(ReadOnlyError):
        check("s3", "GetObject", {**mine, "reported": (), "Key": "all/data/1.parquet"})


def test_the_doctor_looks_for_a_report(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    config = str(world.folder / "report.toml")
    assert run(["doctor", "--config", config]) == 1
    out = capsys.readouterr().out
    assert re.search(r"s3://data: report of S3 Inventory .*NoSuchConfiguration", out), out
    world.report()
    run(["doctor", "--config", config])
    out = capsys.readouterr().out
    assert re.search(r"ok +s3://data: report of S3 Inventory .*answered: the newest was begun on 20", out), out


@pytest.mark.parametrize("way", ["boto3", "estimate"])
def test_the_other_ways_to_scan_know_of_it(world: World, capsys: pytest.CaptureFixture[str], way: str) -> None:
    world.report()
    more = ["--client", "boto3"] if way == "boto3" else ["--estimate"]
    assert run(["scan", "-q", "--config", str(world.folder / "report.toml"), *more]) in {0, 1, 3}
    capsys.readouterr()
    listed = [one for one in world.asked("GET") if "versions" in one]
    assert bool(listed) is (way == "boto3")


def test_workers_leave_it_to_a_scan(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.report()
    assert run(["scan", "-q", "--index", "0", "--count", "2", "--config", str(world.folder / "report.toml")]) == 0
    assert "takes its report of S3 Inventory" in capsys.readouterr().out
    (world.folder / "report.toml").write_text(f"{(world.folder / 'report.toml').read_text()}[workers]\nprocesses = 2\n")
    assert world.told(capsys)["totals"]["objects"] == len([one for one in world.rows if not one["IsDeleteMarker"]])


def test_a_report_that_was_begun_before_what_is_known_is_not_in_force_whoever_is_published_first(
    world: World, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    world.report(at=world.cloud.store.clock() - timedelta(hours=30))
    # As if the other sweep was published after this one had looked.
    monkeypatch.setattr("auditor.sweeping.refuse_overtaken", lambda *_: None)
    (world.folder / "swept.toml").write_text(CONFIG.format(state="report", more=""))
    world.cloud.store.put("data", "org-1/new/1", sse="aws:kms", key=OTHER)
    swept = world.told(capsys, "swept")
    found = world.told(capsys)
    assert found["dependencies"] == swept["dependencies"]
    started = [one["coverage"]["buckets"][0]["sweep_started"] for one in (swept, found)]
    assert started[0] == started[1]


def test_a_sweep_replaces_a_report_that_was_published_since_it_began(
    world: World, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    world.report(at=world.cloud.store.clock() - timedelta(hours=30))
    (world.folder / "swept.toml").write_text(CONFIG.format(state="report", more=""))
    world.cloud.store.put("data", "org-1/new/1", sse="aws:kms", key=OTHER)

    def late(parts: Any, source: Any) -> Any:
        return replace(anew(parts, source), after=0)

    world.told(capsys)
    monkeypatch.setattr("auditor.sweeping.anew", late)
    swept = world.told(capsys, "swept")
    assert "org-1/new" in {one["namespace"] for one in swept["dependencies"]}


def test_a_report_of_current_versions_is_known_by_its_columns(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    configure(world.cloud, "data", versions="All")
    live = [one for one in world.rows if one["IsLatest"] and not one["IsDeleteMarker"]]
    deliver(world.cloud, "data", live, world.cloud.store.clock(), OF_LIVE)
    found = world.told(capsys)
    assert any("its noncurrent versions" in one["effect"] for one in found["gaps"])
    text = (world.folder / "report.toml").read_text()
    (world.folder / "report.toml").write_text(f'{text}populations = ["noncurrent"]\n')
    again = world.told(capsys)
    assert any("lists current versions alone" in one["effect"] for one in again["gaps"])


def test_a_bucket_of_delete_markers_alone_holds_nothing(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    configure(world.cloud, "data")
    deliver(world.cloud, "data", [one for one in world.rows if one["IsDeleteMarker"]], world.cloud.store.clock())
    (bucket,) = world.told(capsys)["coverage"]["buckets"]
    assert (bucket["complete"], bucket["listed"]) == (True, 0)


def test_a_report_of_which_nothing_is_there_is_not_believed(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    configure(world.cloud, "data")
    rows = [{**one, "Key": f"x{one['Key']}"} for one in world.rows]
    deliver(world.cloud, "data", rows, world.cloud.store.clock())
    assert "none of the 62 objects that were asked for" in world.gap(capsys)["effect"]


@pytest.mark.parametrize("how", [{"VersionId": ""}, {"Key": "org-1/ns-1/%41"}])
def test_what_may_be_misread_is_unknown_and_not_gone(
    world: World, capsys: pytest.CaptureFixture[str], how: dict[str, str]
) -> None:
    configure(world.cloud, "data", "Parquet")
    rows = sorted(world.rows, key=lambda row: (str(row["Key"]), str(row["VersionId"])))
    place = next(place for place, one in enumerate(rows) if one.get("EncryptionStatus") == "SSE-KMS")
    rows[place] = {**rows[place], **how}
    deliver(world.cloud, "data", rows, world.cloud.store.clock())
    (bucket,) = world.told(capsys)["coverage"]["buckets"]
    assert (bucket["unresolved"], bucket["listed"]) == (1, len([one for one in rows if not one["IsDeleteMarker"]]))


def test_what_is_found_nowhere_is_counted(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.report()
    (one,) = world.cloud.store.buckets["data"].objects["outside"]
    world.cloud.store.delete("data", "outside", one.version_id)
    gaps = world.told(capsys)["gaps"]
    assert any("1 object of it that nobody finds" in one["effect"] for one in gaps), gaps


@pytest.mark.parametrize("how", ["a bit", "half", "nothing"])
def test_a_report_that_is_kept_and_was_damaged_is_fetched_anew(
    world: World, capsys: pytest.CaptureFixture[str], how: str
) -> None:
    world.report()
    first = world.told(capsys)
    (rows,) = (world.folder / "report" / "s3-inventory").rglob("report-*.parquet")
    content = rows.read_bytes()
    damaged = {"half": content[: len(content) // 2], "nothing": b""}
    rows.write_bytes(damaged.get(how, content[:90] + bytes([content[90] ^ 1]) + content[91:]))
    assert of_data(world.told(capsys)) == of_data(first)
    assert rows.read_bytes() == content


def test_files_that_are_damaged_though_their_digest_is_right_are_no_fault_of_the_disk(
    world: World, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(inventory_reports.CONTENT, "CSV", lambda *_: b"this is no gzip at all")
    world.report()
    gap = world.gap(capsys)
    assert gap["reason"] == "malformed"
    assert "disk" not in gap["hint"]


SCAN = """
import sys
from auditor import cli
from auditor.connectors.aws import census
from auditor.connectors.transfers import Transfers
from auditor.inventory import parts
from auditor.warehouse import reported
parts._SECONDS = 0.02
census._HEADS_AHEAD = 100
census.ROWS = 40
reported._PAGE = 40
Transfers.__init__.__kwdefaults__["connections"] = 4
sys.exit(cli._run(sys.argv[1:]))
"""
MANY = 2_000


def test_a_scan_by_a_report_that_is_killed_is_gone_on_with_by_the_same_report_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = random.Random(3)  # noqa: S311 - repeatable
    config = tmp_path / "auditor.toml"
    config.write_text(CONFIG.format(state=tmp_path / "state", more=f's3_inventory = "{NAME}"'))
    with an_aws_cloud(monkeypatch) as cloud:
        world = World(tmp_path, cloud)
        cloud.store.add_bucket("data")
        cloud.store.add_key(KEY)
        for number in range(MANY):
            cloud.store.put("data", f"acme/{number % 7}/{number:06}", sse="aws:kms", key=KEY, size=number)
        world.report("Parquet", at=cloud.store.clock() - timedelta(hours=1))
        done: set[str] = set()
        kept: list[int] = []

        def scan_and_kill() -> None:
            seen = len(cloud.traffic.requests)
            process = Forked(SCAN, "scan", "-q", "--format", "json", "--config", str(config))
            until = seen + chosen.randrange(60, 300)
            while len(cloud.traffic.requests) < until and process.poll() is None:
                time.sleep(0.001)
            process.send_signal(signal.SIGKILL)
            assert process.communicate(timeout=60)[1] == ""
            again = done & {one.split("?")[0] for one in world.asked("HEAD")[before:]}
            assert not again, "what is finished is not done again"

        for _ in range(6):
            before = len(world.asked("HEAD"))
            scan_and_kill()
            folders = list((tmp_path / "state").glob("inventory/*/.unfinished-*"))
            rows = [some for one in folders for some in rows_of(finished(one))]
            done = {name for some in rows for name in some["name"].to_pylist() if name}
            kept.append(len(done))
        assert kept == sorted(kept)
        assert len(set(kept)) > 3, "it was killed with ever more done"
        cloud.store.put("data", "acme/new/1", sse="aws:kms", key=KEY, size=1)
        world.report("Parquet")
        before = len(world.asked("HEAD"))
        process = Forked(SCAN, "scan", "-q", "--format", "json", "--config", str(config))
        out, err = process.communicate(timeout=120)
        told = json.loads(out)
        assert (err, told["totals"]["objects"]) == ("", MANY + 1)
        assert told["totals"]["bytes"] == sum(range(MANY)) + 1
        assert len(world.asked("HEAD")) - before == MANY + 1, "the newer report has been listed from its beginning"
    assert not list((tmp_path / "state").glob("inventory/*/.unfinished-*"))
