"""A warehouse's answer in the place of a sweep: the same dependencies, and no row that cannot be."""

import csv
import gzip
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from auditor.cli import _run
from auditor.config import load
from auditor.errors import CollectError
from auditor.inventory.layout import Layout
from auditor.model import Cloud, Population, Reason
from auditor.warehouse.aggregate import COLUMNS, aggregate
from auditor.warehouse.answer import Answer
from tests.clouds import GOOGLE_KEY
from tests.small import Small, a_small_cloud
from tests.turbopuffer_cloud import a_registered_cloud

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
LAYOUT = Layout.parse("{org}/{namespace}/")
ARN = "arn:aws:kms:us-east-1:111122223333:key/k1"
ROW: dict[str, Any] = {
    "namespace": "acme/search",
    "population": "live",
    "encryption": "cmek",
    "key": ARN,
    "key_version": "",
    "objects": 3,
    "bytes": 300,
    "archived": 1,
    "oldest": "2026-11-01 00:00:00",
    "newest": "2026-11-20 10:00:00.5",
    "first_name": "acme/search/1",
    "last_name": "acme/search/3",
    "bucket": "s3://data",
    "asked": "2026-11-24 11:00:00 UTC",
}
"""A row, without how many there are."""


def written(folder: Path, *rows: dict[str, Any], columns: tuple[str, ...] = COLUMNS, name: str = "a.csv") -> Path:
    path = folder / name
    with path.open("w", newline="") as file:
        out = csv.DictWriter(file, columns, extrasaction="ignore")
        out.writeheader()
        out.writerows({"answer_rows": len(rows), **one} for one in rows)
    return path


def answer(path: Path, cloud: Cloud = Cloud.AWS, layout: Layout = LAYOUT, *populations: Population) -> Answer:
    return Answer(path, "s3://data", cloud, layout, populations or tuple(Population))


def put(folder: Path, one: Answer) -> tuple[Any, list[tuple[Any, ...]]]:
    target = folder / "dependencies.parquet"
    found = one.put(folder, target, NOW)
    with duckdb.connect() as database:
        database.execute("SET TimeZone = 'UTC'")
        rows = database.execute("SELECT * FROM read_parquet(?)", [str(target)]).fetchall()
    return found, rows


def test_what_it_tells_becomes_dependencies(tmp_path: Path) -> None:
    outside = {
        **ROW,
        "namespace": "",
        "first_name": "readme",
        "last_name": "readme",
        "encryption": "unknown",
        "key": "",
    }
    found, rows = put(tmp_path, answer(written(tmp_path, ROW, outside)))
    assert (found.listed, found.resolved, found.outside, found.unresolved) == (6, 3, 3, 3)
    assert found.asked == NOW - timedelta(hours=1)
    first, last = rows
    assert first[:7] == ("s3://data", "acme/search", "acme", "live", "cmek", ARN, None)
    assert first[7:10] == (3, 300, 1)
    assert first[10:12] == (datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 11, 20, 10, 0, 0, 500_000, UTC))
    assert last[1:7] == (None, None, "live", "unknown", None, None)


TIMES = ("2026-11-24T11:00:00Z", "2026-11-24 11:00:00+00", "2026-11-24 11:00:00.000 UTC", "2026-11-24T12:00:00+01:00")


@pytest.mark.parametrize("asked", TIMES)
def test_times_are_read_as_each_engine_writes_them(tmp_path: Path, asked: str) -> None:
    found, _ = put(tmp_path, answer(written(tmp_path, {**ROW, "asked": asked})))
    assert found.asked == NOW - timedelta(hours=1)


def test_parquet_is_read_as_csv_is(tmp_path: Path) -> None:
    path = written(tmp_path, ROW)
    copy = f"COPY (SELECT * FROM read_csv('{path}')) TO '{tmp_path / 'a.parquet'}' (FORMAT parquet)"  # noqa: S608 - ours
    with duckdb.connect() as database:
        database.execute("SET TimeZone = 'UTC'")
        database.execute(copy)
    assert put(tmp_path, answer(tmp_path / "a.parquet")) == put(tmp_path, answer(path))


def test_a_name_that_a_shell_would_expand_is_that_file_alone(tmp_path: Path) -> None:
    written(tmp_path, {**ROW, "objects": 99}, name="a1.csv")
    found, _ = put(tmp_path, answer(written(tmp_path, ROW, name="a[1]*.csv")))
    assert found.listed == 3


def test_a_key_that_is_none_is_not_known(tmp_path: Path) -> None:
    strange = {**ROW, "key": "arn:aws:kms:nowhere", "namespace": "acme/chat"}
    strange |= {"first_name": "acme/chat/1", "last_name": "acme/chat/2"}
    found, rows = put(tmp_path, answer(written(tmp_path, ROW, strange)))
    assert (found.listed, found.unresolved) == (6, 3)
    assert [(row[1], row[4], row[5]) for row in rows] == [("acme/chat", "unknown", None), ("acme/search", "cmek", ARN)]


def test_populations_that_the_config_leaves_out_are_left_out(tmp_path: Path) -> None:
    old = {**ROW, "population": "noncurrent"}
    found, rows = put(tmp_path, answer(written(tmp_path, ROW, old), Cloud.AWS, LAYOUT, Population.LIVE))
    assert (found.listed, [row[3] for row in rows]) == (3, ["live"])


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "another bucket": ({"bucket": "s3://other"}, "row 2: is of another bucket"),
    "no bucket": ({"bucket": ""}, "row 2: is of another bucket"),
    "a population": ({"population": "dead"}, "row 2: population is none"),
    "an encryption": ({"encryption": "CMEK"}, "row 2: encryption is none"),
    "no key": ({"key": ""}, "row 2: a key is missing"),
    "a key too many": ({"encryption": "provider"}, "row 2: a key is named where none can be"),
    "a version": ({"key_version": "1"}, "row 2: key_version is none"),
    "a version of nothing": ({"encryption": "none", "key": "", "key_version": "1"}, "without its key"),
    "no objects": ({"objects": "0"}, "row 2: objects"),
    "objects in words": ({"objects": "many"}, "row 2: objects"),
    "negative bytes": ({"bytes": "-1"}, "row 2: bytes"),
    "more archived than there are": ({"archived": "4"}, "row 2: archived"),
    "time turned round": ({"oldest": "2026-11-23", "newest": "2026-11-22"}, "row 2: oldest and newest"),
    "no time": ({"oldest": "yesterday"}, "row 2: oldest and newest"),
    "a time before all": ({"oldest": "1960-01-01"}, "row 2: a time is none"),
    "no names": ({"first_name": ""}, "row 2: first_name"),
    "another layout": ({"namespace": "acme"}, "row 2: namespace is not the one that the layout"),
    "another namespace": ({"last_name": "acme/tail/9"}, "row 2: namespace is not the one"),
    "one row of two": ({"answer_rows": 3}, "has 2 rows, and the warehouse answered with"),
    "nowhere asked": ({"asked": ""}, "several answers|asked is no time"),
    "another provider's key": ({"encryption": "provider_kms", "key": ""}, "row 2: encryption is none"),
    "half an object": ({"objects": "2.5"}, "row 2: objects"),
    "bytes that round to none": ({"bytes": "-0.4"}, "row 2: bytes"),
    "asked when no year is": ({"asked": "290000-01-01"}, "several answers|asked is no time"),
    "another answer": ({"asked": "2026-11-24 10:00:00"}, "is of several answers"),
}


@pytest.mark.parametrize(("wrong", "why"), REFUSED.values(), ids=REFUSED)
def test_a_row_that_cannot_be_is_refused_with_the_whole(tmp_path: Path, wrong: dict[str, Any], why: str) -> None:
    other = {**ROW, "population": "noncurrent"}
    with pytest.raises(CollectError, match=why) as told:
        put(tmp_path, answer(written(tmp_path, other, {**ROW, **wrong})))
    assert told.value.reason is Reason.MALFORMED


@pytest.mark.parametrize("version", ["0", "007", "1.0", "9" * 19])
def test_a_version_that_google_has_never_is_refused(tmp_path: Path, version: str) -> None:
    row = {**ROW, "key": GOOGLE_KEY, "key_version": version}
    with pytest.raises(CollectError, match="row 1: key_version is none"):
        put(tmp_path, answer(written(tmp_path, row), Cloud.GCP))


@pytest.mark.parametrize("folder", ["asked=2026-11-24", "key=other", "encryption=provider", "answer_rows=7"])
def test_the_name_of_a_folder_tells_nothing(tmp_path: Path, folder: str) -> None:
    there = tmp_path / folder
    there.mkdir()
    found, rows = put(tmp_path, answer(written(there, {**ROW, "asked": "2026-11-20 11:00:00"})))
    assert found.asked == NOW - timedelta(days=4, hours=1)
    assert rows[0][4:6] == ("cmek", ARN)


@pytest.mark.parametrize("org", ["a,b", 'a"b', '"', "a\nb", "a\r\nb", "#a", "a;b", "'a'", 'a\\"b', " a", "\ufeffa"])
def test_a_name_is_read_alike_wherever_it_stands(tmp_path: Path, org: str) -> None:
    # So many rows that none of those behind is seen before the file is read.
    many = [f"q{number}/r" for number in range(25_000)]
    names = [*many, f"{org}/x"]
    rows = ({**ROW, "namespace": one, "first_name": f"{one}/1", "last_name": f"{one}/9"} for one in names)
    found, kept = put(tmp_path, answer(written(tmp_path, *rows)))
    assert found.listed == 3 * len(names)
    assert f"{org}/x" in {row[1] for row in kept}


def test_two_columns_that_are_called_alike_are_refused(tmp_path: Path) -> None:
    path = written(tmp_path, ROW, columns=(*COLUMNS, "key"))
    with pytest.raises(CollectError, match="has the column key twice"):
        put(tmp_path, answer(path))


def test_a_disk_that_fails_is_no_fault_of_the_file(tmp_path: Path) -> None:
    with pytest.raises(duckdb.OperationalError):
        answer(written(tmp_path, ROW)).put(tmp_path, tmp_path / "none" / "dependencies.parquet", NOW)


def test_the_same_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CollectError, match="row 2 tells again what one before has told"):
        put(tmp_path, answer(written(tmp_path, ROW, ROW)))


FILES: dict[str, tuple[Callable[[Path], Path], str]] = {
    "none": (lambda folder: folder / "none.csv", "cannot be read: No such file"),
    "a folder": (lambda folder: folder, "is no file"),
    "no head": (lambda folder: written(folder, ROW, columns=COLUMNS[:-2]), "has no column asked"),
    "cut off": (lambda folder: written(folder, {**ROW, "answer_rows": 7}), "1 row, and the warehouse answered with 7"),
    "no row": (written, "has no row"),
    "nothing": (lambda folder: _kept(folder / "empty.csv", b""), "cannot be read|has no column"),
    "of tomorrow": (lambda folder: written(folder, {**ROW, "asked": "2026-11-25 12:00:00"}), "is still to come"),
    "UTF-16": (lambda folder: _again(folder, lambda told: told.decode().encode("utf-16")), "is written in UTF-16"),
    "compressed": (lambda folder: _again(folder, gzip.compress), "is compressed: save it as plain CSV"),
    "compressed by its name alone": (lambda folder: _kept(folder / "a.csv.gz", b"nothing"), "has no column"),
    "before our era": (lambda folder: written(folder, {**ROW, "asked": "2026-11-24 (BC)"}), "row 1: asked is no time"),
    "half a Parquet": (lambda folder: _kept(folder / "half.parquet", b"PAR1 and no more"), "cannot be read"),
}


def _kept(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def _again(folder: Path, change: Callable[[bytes], bytes]) -> Path:
    return _kept(folder / "again.csv", change(written(folder, ROW).read_bytes()))


@pytest.mark.parametrize(("make", "why"), FILES.values(), ids=FILES)
def test_a_file_that_is_no_answer_is_refused(tmp_path: Path, make: Callable[[Path], Path], why: str) -> None:
    with pytest.raises(CollectError, match=why) as told:
        put(tmp_path, answer(make(tmp_path)))
    assert told.value.hint is not None
    assert "cmek-auditor aggregate" in told.value.hint


def test_a_file_that_goes_while_it_is_read_is_no_fault_of_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(path: Path) -> str:
        path.unlink(missing_ok=True)
        return str(path)

    monkeypatch.setattr("auditor.warehouse.answer.very_file", gone)
    with pytest.raises(CollectError, match=r"a\.csv: cannot be read: .*No files found"):
        put(tmp_path, answer(written(tmp_path, ROW)))


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Small]:
    with a_small_cloud(tmp_path) as made:
        made.cloud.store.put("data", "outside", key=None, size=7)
        made.cloud.store.put("data", "acme/plain/x", key=None, size=8)
        yield made


def told(small: Small, capsys: pytest.CaptureFixture[str], *more: str) -> tuple[int, dict[str, Any]]:
    capsys.readouterr()
    code = _run(small.argv("scan", "--format", "json", *more))
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return code, found


def asked(small: Small, asked_at: datetime) -> Path:
    """As a warehouse would answer that had a list of the bucket's objects."""
    path = small.config.parent / "answer.csv"
    with duckdb.connect() as database:
        database.execute("SET TimeZone = 'UTC'")
        database.execute(
            "CREATE TABLE listed (name VARCHAR, size BIGINT, modified TIMESTAMPTZ, population VARCHAR, "
            "encryption VARCHAR, kms_key VARCHAR, archived BIGINT)"
        )
        for one in small.cloud.store.buckets["data"].objects:
            key = f"{one.key}/cryptoKeyVersions/{one.version}" if one.key else None
            # As the service tells it, to the millisecond.
            made = one.created.replace(microsecond=one.created.microsecond // 1000 * 1000)
            row = [one.name, one.size, made, "live", "cmek" if key else "provider", key, 0]
            database.execute("INSERT INTO listed VALUES (?, ?, ?, ?, ?, ?, ?)", row)
        statement = aggregate("normal", LAYOUT, "listed", "gs://data").replace(
            "CURRENT_TIMESTAMP", f"TIMESTAMPTZ '{asked_at}'"
        )
        database.execute(f"COPY ({statement}) TO '{path}' (HEADER)")
    return path


def test_it_judges_as_a_sweep_does_and_says_what_it_cannot_know(
    small: Small, capsys: pytest.CaptureFixture[str]
) -> None:
    small.set_state(1, "DISABLED")
    code, swept = told(small, capsys)
    assert (code, swept["gaps"]) == (1, [])
    path = asked(small, datetime.now(UTC))
    small.config.write_text(small.config.read_text() + f'answer = "{path.name}"\n')
    before = len(small.cloud.traffic.requests)
    code, found = told(small, capsys)
    assert code == 1
    assert found["dependencies"] == swept["dependencies"]
    assert found["totals"] == swept["totals"]
    assert {one["id"] for one in found["findings"]} == {one["id"] for one in swept["findings"]}
    assert not [one.target for one in small.cloud.traffic.requests[before:] if "/o?" in one.target], "nothing is listed"
    (gap,) = found["gaps"]
    assert (gap["what"], gap["reason"]) == ("gs://data", "not_visible")
    assert "added up elsewhere" in gap["effect"]
    (bucket,) = found["coverage"]["buckets"]
    assert bucket["complete"] is True
    assert bucket["uploads_in_progress"] is None
    small.set_state(1, "ENABLED")
    _run(small.argv("poll", "-q"))
    code, _ = told(small, capsys)
    assert code == 3
    assert told(small, capsys, "--allow-gaps", "not_visible")[0] == 0


def test_what_cannot_be_used_leaves_what_was_known_and_is_a_gap(
    small: Small, capsys: pytest.CaptureFixture[str]
) -> None:
    path = asked(small, datetime.now(UTC))
    small.config.write_text(small.config.read_text() + f'answer = "{path.name}"\n')
    _, first = told(small, capsys)
    path.write_text("nothing of this kind\n")
    code, again = told(small, capsys)
    assert code == 3
    assert again["dependencies"] == first["dependencies"]
    assert [one["reason"] for one in again["gaps"] if "no column" in one["effect"]] == ["malformed"]
    assert not list((small.config.parent / "state" / "inventory").glob("*/.unfinished*"))


def test_an_old_answer_is_a_stale_sweep(small: Small, capsys: pytest.CaptureFixture[str]) -> None:
    path = asked(small, datetime.now(UTC) - timedelta(days=3))
    small.config.write_text(small.config.read_text() + f'answer = "{path.name}"\n')
    _, found = told(small, capsys)
    assert "sweep-stale" in {one["rule"] for one in found["findings"]}


def test_an_answer_of_before_replaces_nothing_that_is_newer(small: Small, capsys: pytest.CaptureFixture[str]) -> None:
    path = asked(small, datetime.now(UTC) - timedelta(minutes=10))
    small.cloud.store.put("data", "acme/late/1", key=GOOGLE_KEY, version=1, size=100)
    small.set_state(1, "DISABLED")
    _, swept = told(small, capsys)
    small.config.write_text(small.config.read_text() + f'answer = "{path.name}"\n')
    code, found = told(small, capsys)
    assert code == 1
    assert found["dependencies"] == swept["dependencies"]
    (gap,) = [one for one in found["gaps"] if one["what"] == "gs://data"]
    assert (gap["reason"], "what is known is of" in gap["effect"]) == ("malformed", True)
    asked(small, datetime.now(UTC))
    _, found = told(small, capsys)
    assert [one["reason"] for one in found["gaps"]] == ["not_visible"]
    asked(small, datetime.now(UTC) - timedelta(minutes=10))
    _, found = told(small, capsys)
    assert {one["reason"] for one in found["gaps"]} == {"not_visible", "malformed"}


def test_the_same_answer_is_taken_again_whatever_the_clocks_say(
    small: Small, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = asked(small, datetime.now(UTC) - timedelta(minutes=10))
    small.config.write_text(small.config.read_text() + f'answer = "{path.name}"\n')
    for seconds in (0, 1, -1):
        monkeypatch.setattr("auditor.connectors.wire.Wire.skew", lambda _, by=seconds: timedelta(seconds=by))
        _, found = told(small, capsys)
        assert [one["reason"] for one in found["gaps"]] == ["not_visible"]


def test_the_moment_is_by_the_warehouse_and_not_by_a_clock_of_ours_that_is_behind(
    small: Small, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    at = datetime.now(UTC) - timedelta(hours=2)
    path = asked(small, at)
    small.config.write_text(small.config.read_text() + f'answer = "{path.name}"\n')
    monkeypatch.setattr("auditor.connectors.wire.Wire.skew", lambda _: timedelta(hours=5))
    _, found = told(small, capsys)
    (bucket,) = found["coverage"]["buckets"]
    assert abs(datetime.fromisoformat(bucket["sweep_started"]) - at) < timedelta(seconds=2)
    assert f"on {at:%Y-%m-%d %H:%M} UTC" in " ".join(one["effect"] for one in found["gaps"])


def test_registries_of_such_a_bucket_are_asked_as_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with a_registered_cloud(tmp_path, monkeypatch) as cloud:
        path = asked(cloud.small, cloud.clock())
        text = cloud.small.config.read_text()
        text = text.replace('account = "acme"\n', f'account = "acme"\nanswer = "{path.name}"\n')
        cloud.small.config.write_text(text)
        judgement = cloud.scanned()
        assert [one.what for one in judgement.gaps] == ["gs://data"]
        assert len(cloud.asked("/metadata")) == 3


def test_nothing_is_proven_unused_by_it(small: Small, capsys: pytest.CaptureFixture[str]) -> None:
    home = small.cloud.store.buckets["data"]
    home.objects = [one for one in home.objects if one.version != 1]
    path = asked(small, datetime.now(UTC))
    small.config.write_text(small.config.read_text() + f'answer = "{path.name}"\n')
    told(small, capsys)
    _run(small.argv("retire", GOOGLE_KEY))
    assert "whether uploads are unfinished is not known" in capsys.readouterr().out


def test_the_command_prints_the_statement_for_a_bucket_of_the_config(
    small: Small, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["aggregate", "gs://data", "--table", "lake.objects", "--from", "normal"]
    for dialect, quoted in (("bigquery", "`lake`.`objects`"), ("duckdb", '"lake"."objects"')):
        assert _run([*argv, "--dialect", dialect, "-c", str(small.config)]) == 0
        out = capsys.readouterr().out
        assert quoted in out
        assert out.endswith(";\n")
    assert _run(["aggregate", "gs://none", "--table", "t", "-c", str(small.config)]) == 2
    assert "is no bucket of the config" in capsys.readouterr().err
    assert _run(["aggregate", "gs://data", "--table", "t", "-c", str(small.config)]) == 2
    assert "has no table of S3 Metadata" in capsys.readouterr().err


def test_a_layout_that_no_warehouse_reads_is_refused_where_it_is_given(small: Small) -> None:
    text = small.config.read_text().replace('"{org}/{namespace}/"', '"{org}-x/{namespace}/"')
    small.config.write_text(text + 'answer = "a.csv"\n')
    assert _run(small.argv("scan", "-q")) == 2
    small.config.write_text(text)
    assert load(small.config).bucket[0].answer is None
