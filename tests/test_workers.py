"""Workers that list a sweep together: whoever is killed, and whoever comes twice, each object counts once."""

import random
import re
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from auditor import locks, scan, spreading, working
from auditor.cli import _run as run
from auditor.config import load
from auditor.embedded.google import GoogleCloud
from auditor.errors import BusyError
from auditor.inventory import notes
from auditor.wiring import Assembly, assemble
from tests.clouds import GOOGLE_KEY, a_google_store
from tests.forked import Forked
from tests.several import OBJECTS, ON_AWS, ON_GOOGLE, OTHER, headed, left_over, of_data, on_aws, told

WORK = """
import sys
from auditor import cli
from auditor.inventory import parts
parts._SECONDS = 0.02
sys.exit(cli._run(sys.argv[1:]))
"""


def worker(folder: Path, index: int, count: int) -> Forked:
    argv = ("scan", "-q", "--index", str(index), "--count", str(count), "--config", str(folder / "state.toml"))
    return Forked(WORK, *argv)


def worked(folder: Path, index: int, count: int) -> str:
    with worker(folder, index, count) as process:
        out, err = process.communicate()
    assert (process.wait(), err) == (0, ""), out
    return out


def test_workers_find_together_what_one_finds_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with on_aws(tmp_path, monkeypatch) as cloud:
        outs = [worked(tmp_path, index, 3) for index in (2, 0, 1)]
        assert "still lacking of all workers: shards " in outs[0]
        assert "all 12 shards are listed, 900 objects: the next poll judges by them" in outs[2]
        asked = headed(cloud.traffic.requests)
        assert len(asked) == len(set(asked)) == OBJECTS, "each worker HEADs its own"
        together = told(tmp_path, "poll", "state", capsys)
        assert of_data(together) == of_data(told(tmp_path, "scan", "alone", capsys))
        (bucket,) = together["coverage"]["buckets"]
        assert (bucket["requests"]["head"], bucket["requests"]["objects_listed_before"]) == (OBJECTS, 0)
    assert left_over(tmp_path) == []


def test_the_next_sweep_of_workers_asks_about_what_is_new_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with on_aws(tmp_path, monkeypatch) as cloud:
        for version in cloud.store.buckets["data"].objects.values():
            # What was written in the last minutes is asked about again.
            version[0].modified = version[0].modified - timedelta(days=1)
        for index in range(3):
            worked(tmp_path, index, 3)
        cloud.store.put("data", "org-3/new/1", sse="aws:kms", key=OTHER, size=7)
        cloud.store.delete("data", "org-0/ns-000/00000", None)
        seen = len(cloud.traffic.requests)
        for index in range(3):
            worked(tmp_path, index, 3)
        assert 1 <= len(headed(cloud.traffic.requests[seen:])) <= 2
        assert of_data(told(tmp_path, "poll", "state", capsys)) == of_data(told(tmp_path, "scan", "alone", capsys))


def test_workers_that_are_killed_and_run_again_end_with_exact_totals(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    chosen = random.Random(3)  # noqa: S311 - repeatable
    with on_aws(tmp_path, monkeypatch) as cloud:
        killed = 0
        for _ in range(12):
            count = chosen.randrange(1, 3)
            some = [worker(tmp_path, index, 3) for index in chosen.sample(range(3), count)]
            until = len(cloud.traffic.requests) + chosen.randrange(20, 150)
            while len(cloud.traffic.requests) < until and any(one.poll() is None for one in some):
                time.sleep(0.001)
            for one in some:
                one.send_signal(signal.SIGKILL)
                assert one.communicate()[1] == ""
                killed += one.wait() == -signal.SIGKILL
        assert killed > 3
        at_last = [worker(tmp_path, index, 3) for index in range(3)]
        assert [one.communicate()[1] for one in at_last] == ["", "", ""]
        # Where all was listed before, those that are killed have put it together as well, and a sweep more has begun.
        for index in range(3):
            worked(tmp_path, index, 3)
        assert of_data(told(tmp_path, "poll", "state", capsys)) == of_data(told(tmp_path, "scan", "alone", capsys))


def test_all_workers_at_once_end_with_one_sweep(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with on_aws(tmp_path, monkeypatch) as cloud:
        some = [worker(tmp_path, index, 4) for index in range(4)]
        outs = [one.communicate() for one in some]
        assert [one.wait() for one in some] == [0] * 4
        assert "".join(err for _, err in outs) == ""
        assert sum("the next poll judges by them" in out for out, _ in outs) == 1
        assert len(set(headed(cloud.traffic.requests))) == len(headed(cloud.traffic.requests)) == OBJECTS
        assert told(tmp_path, "poll", "state", capsys)["totals"]["objects"] == OBJECTS


def test_a_worker_whose_sweep_another_one_has_ended_meanwhile_says_what_it_has_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    listing = spreading.list_shards

    def and_meanwhile(*given: Any) -> Any:
        done = listing(*given)
        monkeypatch.setattr(working, "list_shards", listing)
        assert "the next poll judges by them" in worked(tmp_path, 1, 2)
        return done

    with on_aws(tmp_path, monkeypatch, objects=200):
        worked(tmp_path, 1, 2)
        monkeypatch.setattr(working, "list_shards", and_meanwhile)
        assert run(["scan", "-q", "--index", "0", "--count", "2", "--config", str(tmp_path / "state.toml")]) == 0
        out = capsys.readouterr().out
        assert out.startswith("s3://data: 4 of 8 shards listed by this worker, ")
        assert "all 8 shards are listed; another worker puts them together" in out
        assert told(tmp_path, "poll", "state", capsys)["totals"]["objects"] == 200


def test_a_worker_that_is_refused_says_so_and_the_rest_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with on_aws(tmp_path, monkeypatch) as cloud:
        worked(tmp_path, 0, 3)
        cloud.traffic.fail("versions", status=403, code="AccessDenied")
        with worker(tmp_path, 1, 3) as process:
            out, err = process.communicate()
            assert (process.wait(), err) == (3, "")
        assert "s3://data: 0 of 12 shards listed by this worker, 0 objects" in out
        assert "not listed: shard 1: cannot list s3://data: AccessDenied" in out
        assert "s3:ListBucketVersions" in out
        cloud.traffic.faults.clear()
        assert told(tmp_path, "poll", "state", capsys)["totals"]["objects"] == 0, "half of a sweep is none"
        worked(tmp_path, 1, 3)
        worked(tmp_path, 2, 3)
        assert told(tmp_path, "poll", "state", capsys)["totals"]["objects"] == OBJECTS


def test_workers_of_another_config_begin_anew_unless_others_are_at_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with on_aws(tmp_path, monkeypatch):
        worked(tmp_path, 0, 3)
        config = tmp_path / "state.toml"
        config.write_text(config.read_text().replace("{org}/{namespace}/", "{org}/"))
        (lock,) = (tmp_path / "state" / "inventory" / ".shared").glob("*/*/000003/.lock")
        with locks.held(lock, BusyError("somebody else has it")), worker(tmp_path, 1, 3) as process:
            out, err = process.communicate()
            assert (process.wait(), err) == (3, "")
        assert "workers with another config, version or client list s3://data just now" in out
        for index in range(3):
            worked(tmp_path, index, 3)
        spaces = {one["namespace"] for one in told(tmp_path, "poll", "state", capsys)["dependencies"]}
        assert spaces == {f"org-{number}" for number in range(7)}


def test_a_plan_whose_folder_was_taken_away_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with on_aws(tmp_path, monkeypatch, objects=200):
        worked(tmp_path, 0, 2)
        # As whoever leaves it who is killed while another plan is put in its place.
        (plan,) = (tmp_path / "state" / "inventory" / ".shared").glob("*/plan.json")
        shutil.rmtree(plan.parent / notes.read(plan)["id"])
        assert "still lacking of all workers: shards 0, 2, 4, 6" in worked(tmp_path, 1, 2)
        assert "all 8 shards are listed, 200 objects" in worked(tmp_path, 0, 2)
        assert told(tmp_path, "poll", "state", capsys)["totals"]["objects"] == 200


@pytest.mark.parametrize(("ahead", "is_shared"), [(timedelta(minutes=5), True), (timedelta(days=1), False)])
def test_machines_whose_clocks_differ_a_little_share_a_plan(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    ahead: timedelta,
    is_shared: bool,  # noqa: FBT001 - pytest's way of parameters
) -> None:
    with on_aws(tmp_path, monkeypatch, objects=200):
        worked(tmp_path, 0, 2)
        (plan,) = (tmp_path / "state" / "inventory" / ".shared").glob("*/plan.json")
        made = notes.read(plan)
        notes.write(plan, {**made, "started": datetime.fromisoformat(made["started"]) + ahead})
        assert ("all 8 shards are listed, 200 objects" in worked(tmp_path, 1, 2)) == is_shared
        worked(tmp_path, 0, 2)
        assert of_data(told(tmp_path, "poll", "state", capsys)) == of_data(told(tmp_path, "scan", "alone", capsys))


def test_a_plan_that_nobody_has_begun_is_begun_by_whoever_lists_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with on_aws(tmp_path, monkeypatch, objects=200):
        config = tmp_path / "state.toml"
        config.write_text(config.read_text().replace("streams = 4", ""))
        worked(tmp_path, 0, 2)
        # It comes behind the end of the sweep, of which it had no shard, and makes the plan of the next one.
        worked(tmp_path, 1, 2)
        (plan,) = (tmp_path / "state" / "inventory" / ".shared").glob("*/plan.json")
        made = notes.read(plan)
        notes.write(plan, {**made, "started": datetime.fromisoformat(made["started"]) - timedelta(hours=6)})
        worked(tmp_path, 0, 2)
        (bucket,) = told(tmp_path, "poll", "state", capsys)["coverage"]["buckets"]
        started, ended_at = (datetime.fromisoformat(bucket[one]) for one in ("sweep_started", "sweep_ended"))
        assert ended_at - started < timedelta(hours=1), "it is no older than its first page"


def test_a_store_whose_order_nobody_knows_is_listed_by_one_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with on_aws(tmp_path, monkeypatch, objects=200):
        config = tmp_path / "state.toml"
        config.write_text(config.read_text().replace("streams = 4", ""))
        assert "s3://data: 0 of 1 shard listed by this worker, 0 objects" in worked(tmp_path, 1, 2)
        assert "all 1 shard are listed, 200 objects" in worked(tmp_path, 0, 2)
        assert told(tmp_path, "poll", "state", capsys)["totals"]["objects"] == 200


@pytest.mark.parametrize("keeps", [0, 7])
def test_workers_list_what_google_keeps_of_deleted_objects(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], keeps: int
) -> None:
    monkeypatch.setattr("auditor.embedded.google.storage._PAGE", 40)
    store = a_google_store()
    store.add_bucket("data", "acme", "us-east1", soft_delete=timedelta(days=keeps))
    store.add_key(GOOGLE_KEY, versions=2)
    for number in range(2_000):
        name = f"org-{number % 7}/ns-{number * 2654435761 % 97:02}/{number:05}"
        one = store.put("data", name, key=GOOGLE_KEY, version=1 + number % 2, size=number)
        if keeps and number % 3 == 0:
            one.soft_deleted_since = store.clock()
    with GoogleCloud(store) as cloud:
        for state in ("state", "alone"):
            (tmp_path / f"{state}.toml").write_text(ON_GOOGLE.format(state=state, endpoint=cloud.endpoint))
        outs = [worked(tmp_path, index, 3) for index in range(3)]
        assert re.search(r"all ([5-9]|1[0-2]) shards are listed, 2,000 objects", outs[2])
        together = told(tmp_path, "poll", "state", capsys)
        assert of_data(together) == of_data(told(tmp_path, "scan", "alone", capsys))
        populations = {one["population"] for one in together["dependencies"]}
        assert populations == ({"live", "soft_deleted"} if keeps else {"live"})


def test_a_bucket_that_is_left_to_workers_is_swept_by_nobody_else_unless_it_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with on_aws(tmp_path, monkeypatch, objects=200) as cloud:
        config = tmp_path / "state.toml"
        config.write_text(f'{config.read_text()}swept_by = "workers"\n')
        never = told(tmp_path, "scan", "state", capsys)
        assert (never["totals"]["objects"], headed(cloud.traffic.requests)) == (0, [])
        hint = "run its workers (`scan --index`), or scan it by name with --bucket"
        assert [(one["what"], one["hint"]) for one in never["gaps"]] == [("s3://data", hint)]
        with open_assembly(config) as assembly:
            assert scan.wanting(assembly.parts) == frozenset()
            assert scan.tried(assembly.parts, datetime.now(UTC)) is None
        for index in range(2):
            worked(tmp_path, index, 2)
        asked = len(headed(cloud.traffic.requests))
        by_workers = told(tmp_path, "scan", "state", capsys)
        assert len(headed(cloud.traffic.requests)) == asked
        with open_assembly(config) as assembly:
            assert scan.tried(assembly.parts, datetime.now(UTC)) is None
        assert run(["scan", "-q", "--bucket", "s3://data", "--config", str(config)]) == 0
        capsys.readouterr()
        by_name = told(tmp_path, "poll", "state", capsys)
        assert of_data(by_name) == of_data(by_workers) == of_data(told(tmp_path, "scan", "alone", capsys))
        starts = [one["coverage"]["buckets"][0]["sweep_started"] for one in (by_workers, by_name)]
        assert starts[0] < starts[1]


@contextmanager
def open_assembly(config: Path) -> Iterator[Assembly]:
    assembly = assemble(load(config))
    try:
        yield assembly
    finally:
        assembly.close()


def test_an_empty_bucket_is_swept_by_workers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with on_aws(tmp_path, monkeypatch, objects=0):
        for index in (1, 0):
            worked(tmp_path, index, 2)
        (bucket,) = told(tmp_path, "poll", "state", capsys)["coverage"]["buckets"]
        assert (bucket["complete"], bucket["listed"]) == (True, 0)


@pytest.mark.parametrize(
    ("argv", "why"),
    [
        (["--index", "0"], "--index and --count go together"),
        (["--count", "2"], "--index and --count go together"),
        (["--index", "2", "--count", "2"], "--index is from 0 to 1, not 2"),
        (["--index", "-1", "--count", "2"], "--index is from 0 to 1, not -1"),
        (["--index", "0", "--count", "0"], "--count is from 1 to 10,000, not 0"),
        (["--index", "0", "--count", "2", "--format", "json"], "--index judges nothing"),
        (["--index", "0", "--count", "2", "--bucket", "s3://typo"], "--bucket 's3://typo' is not in the config"),
    ],
)
def test_what_no_worker_can_be_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], argv: list[str], why: str
) -> None:
    config = tmp_path / "auditor.toml"
    config.write_text(ON_AWS.format(state="state"))
    assert run(["scan", "--config", str(config), *argv]) == 2
    assert why in capsys.readouterr().err


def test_the_commands_of_the_docs_do_what_they_show(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    docs = (Path(__file__).parents[1] / "docs" / "workers.md").read_text()
    (commands,) = re.findall(r"```console\n(.*?)```", docs, re.DOTALL)
    _, shown = re.findall(r"```text\n(.*?)```", docs, re.DOTALL)
    with on_aws(tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        (tmp_path / "state.toml").rename("auditor.toml")
        printed = []
        for line in commands.splitlines():
            assert run([*line.split()[1:], "--quiet"]) == 0
            printed.append(capsys.readouterr().out)
    assert re.sub(r"\d+ objects", "", printed[0]) == re.sub(r"\d+ objects", "", shown)
    assert "all 8 shards are listed, 900 objects: the next poll judges by them" in printed[1]
    assert "900" in printed[2]
