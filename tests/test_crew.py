"""Processes of one machine that list a bucket together: whatever becomes of them, the sweep is exact."""

import os
import re
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from auditor import locks, spreading
from auditor.cli import _run as run
from auditor.config import Bucket, Config, Workers
from auditor.crew import Crew, Done, Task
from auditor.embedded.google import GoogleCloud
from auditor.errors import AuditorError, BusyError, UsageError
from auditor.executors import crew_of, pool
from auditor.executors.pool import Pool
from auditor.executors.pool import _begun as begun
from auditor.executors.task import Order, list_shard
from auditor.model import Requests
from auditor.ports import Begun, Listed, Plan, Shard
from tests.clouds import GOOGLE_KEY, a_google_store
from tests.forked import FORKING, Forked
from tests.several import KEY, OBJECTS, ON_GOOGLE, headed, left_over, of_data, on_aws, told

SCAN = """
from auditor import cli, spreading
spreading._LOOK = 0.05
cli.main()
"""
PLAN = Plan("s3://data", Begun("1", datetime(2026, 11, 1, tzinfo=UTC), ""), tuple(Shard(None, None) for _ in range(6)))


def with_processes(folder: Path, rate: int = 4000) -> None:
    config = folder / "state.toml"
    told = config.read_text().replace("requests_per_second = 4000", f"requests_per_second = {rate}")
    config.write_text(f"{told}[workers]\nprocesses = 2\n")


def scanning(folder: Path, *argv: str) -> Forked:
    return Forked(SCAN, "scan", *argv, "--config", str(folder / "state.toml"))


def children(pid: int) -> list[int]:
    """Processes that it has started to list for it."""
    found = []
    for one in Path("/proc").iterdir():
        try:
            is_child = one.name.isdigit() and int((one / "stat").read_text().rpartition(")")[2].split()[1]) == pid
            if is_child and b"spawn_main" in (one / "cmdline").read_bytes():
                found.append(int(one.name))
        except (OSError, IndexError):
            continue
    return found


def until(is_so: Callable[[], object]) -> None:
    """Wait for what comes soon."""
    for _ in range(6_000):
        if is_so():
            return
        time.sleep(0.01)
    raise AssertionError("it does not come")


@dataclass
class Pools:
    make: type[Pool]
    made: list[Pool]

    def pids(self) -> list[int]:
        return [one for each in self.made for one in dict(each._processes or {})]  # noqa: SLF001 - nobody else tells


@pytest.fixture
def pools(monkeypatch: pytest.MonkeyPatch) -> Pools:
    """Processes are forked from one that has imported everything; those that there are, for tests that kill some."""
    made: list[Pool] = []

    class Quick(Pool):
        def __init__(self, *given: int, **how: bool) -> None:
            monkeypatch.setattr(pool, "_begun", partial(begun_here, dict(os.environ), Path.cwd()))
            super().__init__(*given, **how)
            made.append(self)

    monkeypatch.setattr(pool, "_SPAWNED", FORKING)
    monkeypatch.setattr("auditor.executors.Pool", Quick)
    monkeypatch.setattr(spreading, "_LOOK", 0.05)
    return Pools(Quick, made)


def begun_here(environment: dict[str, str], folder: Path, *given: Any) -> None:
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    begun(*given)


def is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def test_processes_find_together_what_one_finds_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with on_aws(tmp_path, monkeypatch) as cloud:
        with_processes(tmp_path)
        with scanning(tmp_path) as process:
            until(lambda: len(children(process.pid)) == 2)
            out, err = process.communicate()
            assert process.wait() == 0, err
        asked = headed(cloud.traffic.requests)
        assert len(asked) == len(set(asked)) == OBJECTS
        assert f"swept s3://data: {OBJECTS} objects in " in err
        together = told(tmp_path, "poll", "state", capsys)
        assert of_data(together) == of_data(told(tmp_path, "scan", "alone", capsys))
        (bucket,) = together["coverage"]["buckets"]
        assert (bucket["requests"]["head"], bucket["requests"]["objects_listed_before"]) == (OBJECTS, 0)
        assert re.search(rf"^s3://data +{bucket['requests']['list']} +{OBJECTS} ", out, re.MULTILINE)
    assert left_over(tmp_path) == []


def test_processes_that_are_killed_are_replaced_and_nothing_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], pools: Pools
) -> None:
    with on_aws(tmp_path, monkeypatch) as cloud, ThreadPoolExecutor(1) as beside:
        with_processes(tmp_path, rate=300)
        scan = beside.submit(run, ["scan", "-q", "--config", str(tmp_path / "state.toml")])
        for objects in (60, 200, 400):
            while len(headed(cloud.traffic.requests)) < objects:
                time.sleep(0.01)
            os.kill(pools.pids()[-1], signal.SIGKILL)
        assert scan.result() == 0
        assert len(pools.made) == 4
        assert len(set(headed(cloud.traffic.requests))) == OBJECTS
        capsys.readouterr()
        assert of_data(told(tmp_path, "poll", "state", capsys)) == of_data(told(tmp_path, "scan", "alone", capsys))


@pytest.mark.parametrize(("number", "code"), [(signal.SIGKILL, -9), (signal.SIGINT, 130)])
def test_processes_end_with_the_one_that_asked_them_and_the_next_goes_on(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    number: signal.Signals,
    code: int,
) -> None:
    with on_aws(tmp_path, monkeypatch) as cloud:
        with_processes(tmp_path, rate=300)
        with scanning(tmp_path, "-q") as process:
            until(lambda: len(headed(cloud.traffic.requests)) > 300)
            some = children(process.pid)
            process.send_signal(number)
            _, err = process.communicate()
            assert (process.wait(), len(some)) == (code, 2)
            assert "Traceback" not in err
            assert "leaked" not in err
        until(lambda: all(map(is_gone, some)))
        before = set(headed(cloud.traffic.requests))
        with scanning(tmp_path, "-q") as process:
            assert (process.communicate()[1], process.wait()) == ("", 0)
        asked = headed(cloud.traffic.requests)
        assert len(set(asked)) == OBJECTS
        assert len(before) < OBJECTS
        assert of_data(told(tmp_path, "poll", "state", capsys)) == of_data(told(tmp_path, "scan", "alone", capsys))


@pytest.mark.usefixtures("pools")
def test_two_scans_at_once_end_with_one_sweep(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with on_aws(tmp_path, monkeypatch) as cloud, ThreadPoolExecutor(2) as beside:
        with_processes(tmp_path, rate=1000)
        scans = [beside.submit(run, ["scan", "-q", "--config", str(tmp_path / "state.toml")]) for _ in range(2)]
        assert [one.result() for one in scans] == [0, 0]
        capsys.readouterr()
        assert len(headed(cloud.traffic.requests)) == OBJECTS
        assert of_data(told(tmp_path, "poll", "state", capsys)) == of_data(told(tmp_path, "scan", "alone", capsys))


@pytest.mark.usefixtures("pools")
def test_what_another_scan_has_listed_and_nobody_published_is_no_news_of_today(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def ends(*_: object) -> None:
        raise KeyboardInterrupt

    with on_aws(tmp_path, monkeypatch, objects=300) as cloud:
        with_processes(tmp_path)
        with monkeypatch.context() as interrupted:
            interrupted.setattr(spreading, "_is_ours", ends)
            assert run(["scan", "-q", "--config", str(tmp_path / "state.toml")]) == 130
        capsys.readouterr()
        cloud.store.put("data", "org-1/new/1", sse="aws:kms", key=KEY, size=1)
        assert told(tmp_path, "scan", "state", capsys)["totals"]["objects"] == 301


@pytest.mark.usefixtures("pools")
def test_a_shard_that_another_process_holds_and_never_ends_is_not_waited_for_when_its_plan_is_too_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with on_aws(tmp_path, monkeypatch, objects=200), ThreadPoolExecutor(1) as beside:
        with_processes(tmp_path)
        config = str(tmp_path / "state.toml")
        assert run(["scan", "-q", "--index", "0", "--count", "2", "--config", config]) == 0
        (lock,) = (tmp_path / "state" / "inventory" / ".shared").glob("*/*/000000/.lock")
        other = lock.parent.with_name("000001")
        other.mkdir(mode=0o700)
        with locks.held(other / ".lock", BusyError("somebody else has it")):
            scan = beside.submit(run, ["scan", "-q", "--config", config])
            shared = other.parent
            until(lambda: len(list(shared.glob("*/done.json"))) == 7)
            time.sleep(0.5)
            assert not scan.done()
            monkeypatch.setattr(spreading, "_LONGEST", timedelta(0))
            until(scan.done)
        assert scan.result() == 0
        capsys.readouterr()
        assert of_data(told(tmp_path, "poll", "state", capsys)) == of_data(told(tmp_path, "scan", "alone", capsys))


def dies(plan: Plan, number: int) -> Done:  # noqa: ARG001 - a task's shape
    os._exit(9)


def fails(plan: Plan, number: int) -> Done:
    raise ValueError(f"{plan} {number}")


def lists_nothing(plan: Plan, number: int) -> Done:  # noqa: ARG001 - a task's shape
    return Done(number, None, "of another version", {})


@pytest.mark.usefixtures("pools")
@pytest.mark.parametrize(
    ("task", "why"), [(dies, "they ended by themselves"), (fails, "ValueError"), (lists_nothing, "of another version")]
)
def test_where_processes_list_nothing_one_lists_it_all(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    task: Task,
    why: str,
) -> None:
    monkeypatch.setattr("auditor.executors.task_of", lambda _: task)
    with on_aws(tmp_path, monkeypatch, objects=300):
        with_processes(tmp_path)
        assert run(["scan", "-q", "--format", "json", "--config", str(tmp_path / "state.toml")]) == 0
        out, err = capsys.readouterr()
        assert f"no other process lists 8 of 8 shards of s3://data, and this one does: {why}\n" in err
        assert '"listed": 300' in out
        assert of_data(told(tmp_path, "poll", "state", capsys)) == of_data(told(tmp_path, "scan", "alone", capsys))


@pytest.mark.usefixtures("pools")
def test_a_bucket_that_may_not_be_listed_is_the_gap_that_it_is_for_one_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with on_aws(tmp_path, monkeypatch, objects=300) as cloud:
        with_processes(tmp_path)
        cloud.traffic.fail("versions", status=403, code="AccessDenied")
        gaps = [told(tmp_path, "scan", state, capsys)["gaps"] for state in ("state", "alone")]
        assert gaps[0] == gaps[1] != []


@pytest.mark.usefixtures("pools")
def test_small_buckets_are_listed_by_one_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with on_aws(tmp_path, monkeypatch, objects=300):
        told(tmp_path, "scan", "state", capsys)
        with_processes(tmp_path)
        monkeypatch.setattr("auditor.executors.Pool", lambda *_, **__: pytest.fail("it begins processes"))
        assert told(tmp_path, "scan", "state", capsys)["totals"]["objects"] == 300
        monkeypatch.setattr(spreading, "_WORTH", 300)
        with pytest.raises(pytest.fail.Exception):
            told(tmp_path, "scan", "state", capsys)


def test_processes_list_what_google_keeps_of_deleted_objects(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], pools: Pools
) -> None:
    monkeypatch.setattr("auditor.embedded.google.storage._PAGE", 40)
    store = a_google_store()
    store.add_bucket("data", "acme", "us-east1", soft_delete=timedelta(days=7))
    store.add_key(GOOGLE_KEY, versions=2)
    for number in range(2_000):
        name = f"org-{number % 7}/ns-{number * 2654435761 % 97:02}/{number:05}"
        one = store.put("data", name, key=GOOGLE_KEY, version=1 + number % 2, size=number)
        if number % 3 == 0:
            one.soft_deleted_since = store.clock()
    with GoogleCloud(store) as cloud:
        for state in ("state", "alone"):
            (tmp_path / f"{state}.toml").write_text(ON_GOOGLE.format(state=state, endpoint=cloud.endpoint))
        with_processes(tmp_path)
        together = told(tmp_path, "scan", "state", capsys)
        assert len(pools.made) == 1
        assert of_data(together) == of_data(told(tmp_path, "scan", "alone", capsys))


def test_one_that_cannot_even_begin_says_so_and_ends_no_scan(tmp_path: Path) -> None:
    config = Config(state=tmp_path / "state", ledger=None, bucket=(Bucket(url="s3://data", layout="{org}/"),))
    (tmp_path / "state").write_text("no folder")
    done = list_shard(Order(config, 2, by_sdk=False), PLAN, 3)
    assert (done.number, done.listed, done.why, done.answers) == (3, None, "LedgerError", {})


def test_executors_that_do_not_end_well_fail_no_sweep(tmp_path: Path) -> None:
    class Ill(ThreadPoolExecutor):
        def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: FBT001, FBT002 - its shape
            super().shutdown(wait, cancel_futures=cancel_futures)
            raise OSError("the scheduler has gone")

    crew = Crew(2, lambda: Ill(2), partial(dies_once, str(tmp_path)))
    with crew.at_work():
        done = [one for one in crew.each(PLAN, range(2), 60) if one is not None]
    assert sorted(one.number for one in done) == [0, 1]


def test_another_version_lists_nothing() -> None:
    order = Order(None, 2, by_sdk=False, version="0.0.1")  # type: ignore[arg-type]  # it is not even looked at
    done = list_shard(order, PLAN, 3)
    assert (done.number, done.listed, done.answers) == (3, None, {})
    assert re.fullmatch(r"this process has version \S+, not 0\.0\.1", done.why or "")


ASKED = Workers(processes=2, dask="tls://h:1", tls_ca=Path("ca"), tls_cert=Path("cert"), tls_key=Path("key"))


def test_a_cluster_whose_files_cannot_be_read_is_refused_before_anything_is_listed(tmp_path: Path) -> None:
    config = Config(workers=ASKED, bucket=(Bucket(url="s3://data", layout="{org}/"),))
    with pytest.raises(UsageError, match=r"\[workers\] ca cannot be read: No such file or directory"):
        crew_of(config)
    files = {name: tmp_path / name for name in ("tls_ca", "tls_cert", "tls_key")}
    for one in files.values():
        one.touch()
    assert crew_of(config.model_copy(update={"workers": ASKED.model_copy(update=files)})) is not None


def test_a_cluster_without_what_speaks_to_it_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("auditor.executors.dask.find_spec", lambda _: None)
    with pytest.raises(UsageError, match="needs the extra `dask`"):
        crew_of(Config(workers=ASKED, bucket=(Bucket(url="s3://data", layout="{org}/"),)))


def waits(folder: str, plan: Plan, number: int) -> Done:  # noqa: ARG001 - a task's shape
    (Path(folder) / str(os.getpid())).touch()
    time.sleep(60)
    raise AssertionError("nobody ends it")


def dies_once(folder: str, plan: Plan, number: int) -> Done:  # noqa: ARG001 - a task's shape
    if number == 2:
        try:
            (Path(folder) / "died").touch(exist_ok=False)
        except FileExistsError:
            pass
        else:
            os._exit(9)
    return Done(number, Listed(number, Requests(), None), None, {("s3", "HeadObject", "ok"): number})


def test_whoever_leaves_early_ends_those_that_list_still(tmp_path: Path, pools: Pools) -> None:
    crew = Crew(2, partial(pools.make, 2), partial(waits, str(tmp_path)))

    def leaving() -> None:
        with crew.at_work():
            for done in crew.each(PLAN, range(6), 0.01):
                assert done is None
                if len(list(tmp_path.iterdir())) == 2:
                    raise KeyError

    with pytest.raises(KeyError):
        leaving()
    for one in tmp_path.iterdir():
        until(partial(is_gone, int(one.name)))


def test_one_that_was_stopped_ends_with_the_others(tmp_path: Path, pools: Pools) -> None:
    crew = Crew(2, partial(pools.make, 2), partial(waits, str(tmp_path)))
    with suppress(KeyError), crew.at_work():
        for _ in crew.each(PLAN, range(6), 0.01):
            if len(some := list(tmp_path.iterdir())) == 2:
                os.kill(int(some[0].name), signal.SIGSTOP)
                raise KeyError
    for one in some:
        until(partial(is_gone, int(one.name)))


def test_nobody_begins_processes_for_a_run_that_has_been_left(tmp_path: Path, pools: Pools) -> None:
    crew = Crew(2, partial(pools.make, 2), partial(waits, str(tmp_path)))
    with ThreadPoolExecutor(1) as beside:
        with suppress(KeyError), crew.at_work():
            other = beside.submit(lambda: list(crew.each(PLAN, range(6), 0.01)))
            until(lambda: len(list(tmp_path.iterdir())) == 2)
            raise KeyError
        with pytest.raises(AuditorError, match="the run has ended"):
            other.result()
    assert len(pools.made) == 1


def test_a_shard_whose_process_died_is_asked_for_again(tmp_path: Path, pools: Pools) -> None:
    crew = Crew(2, partial(pools.make, 2), partial(dies_once, str(tmp_path)))
    with crew.at_work():
        done = [one for one in crew.each(PLAN, range(6), 60) if one is not None]
    assert sorted(one.number for one in done) == list(range(6))
    assert len(pools.made) == 2
    for one in pools.pids():
        until(partial(is_gone, one))
