"""The ledger on a real PostgreSQL: the same promises as on a file, and machines that share it."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import mkdtemp

import pytest
from sqlalchemy.exc import SQLAlchemyError

from auditor import cli
from auditor.errors import LedgerError
from auditor.ledger import postgres
from auditor.ledger.postgres import PostgresDatabase
from auditor.ledger.store import LedgerStore
from auditor.ledger.tables import WRITING
from tests.bundles import a_signer
from tests.daemon.test_daemon import eventually, serving
from tests.ledger.conftest import a_database
from tests.ledger.raw import sql
from tests.small import a_small_cloud
from tests.system.conftest import ROOT, free_ports, tool

_READY_WITHIN = 60.0


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """A cluster of its own, run by whom it lets run it."""
    folder = Path(mkdtemp(prefix="cmek-postgres-"))
    as_user: list[str] = []
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres", "postgres")
        as_user = [tool("setpriv"), "--reuid=postgres", "--regid=postgres", "--clear-groups"]
    (port,) = free_ports(1)
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    assert found, "PostgreSQL is not installed: run tests/system/install.sh, then make test-system"
    programs = found[-1]
    data = folder / "data"
    made = [
        *as_user,
        str(programs / "initdb"),
        "-D",
        str(data),
        "-U",
        "auditor",
        "-A",
        "trust",
        "-E",
        "UTF8",
        "--locale=C",
    ]
    subprocess.run(made, check=True, capture_output=True, cwd="/")
    command = [*as_user, str(programs / "postgres"), "-D", str(data), "-p", str(port), "-k", str(folder)]
    command += ["-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"]
    with (
        (folder / "log").open("w") as log,
        subprocess.Popen(command, stdout=log, stderr=log, cwd="/") as process,
    ):
        try:
            ready = [str(programs / "pg_isready"), "-h", "127.0.0.1", "-p", str(port)]
            deadline = time.monotonic() + _READY_WITHIN
            while subprocess.run(ready, capture_output=True, check=False).returncode:
                assert process.poll() is None, (folder / "log").read_text()
                assert time.monotonic() < deadline, (folder / "log").read_text()
                time.sleep(0.1)
            yield f"postgresql+psycopg://auditor@127.0.0.1:{port}/postgres"
        finally:
            process.send_signal(signal.SIGINT)  # at once, whoever is connected
            process.wait(timeout=30)
            shutil.rmtree(folder, ignore_errors=True)


def test_every_promise_of_the_ledger_that_is_not_about_files_holds(server: str) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "tests/ledger", "-p", "no:xdist"]
    env = {**os.environ, "CMEK_TEST_POSTGRES": server}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-5_000:]
    ((databases,),) = sql(server, "SELECT count(*) FROM pg_database WHERE starts_with(datname, 'ledger_')")[1]
    assert databases > 50, "each had one of its own"


def test_a_scan_keeps_its_ledger_there_and_the_next_goes_on_with_it(
    server: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with a_small_cloud(tmp_path) as small:
        small.config.write_text(f'ledger = "{a_database(server)}"\n{small.config.read_text()}')
        assert cli._run(small.argv("scan", "-q")) == 0  # noqa: SLF001 - the command without the end of the process
        small.set_state(1, "DISABLED")
        assert cli._run(small.argv("poll", "-q")) == 1  # noqa: SLF001 - likewise
        capsys.readouterr()
        assert cli._run(small.argv("diff")) == 1  # noqa: SLF001 - likewise
        assert "data-unreadable" in capsys.readouterr().out
        assert cli._run(small.argv("doctor")) in {0, 1, 3}  # noqa: SLF001 - likewise
        assert "whose chain holds" in capsys.readouterr().out
        assert cli._run(small.argv("report", "-o", str(tmp_path / "report.html"), "-q")) == 0  # noqa: SLF001 - likewise
        a_signer(tmp_path)
        made = ["--bundle", "--sign-with", str(tmp_path / "operator.pem"), "-o", str(tmp_path / "evidence.zip")]
        assert cli._run(small.argv("report", "-q", *made)) == 0  # noqa: SLF001 - likewise
        key = ["--key", str(tmp_path / "operator.pub")]
        assert cli._run(["verify", str(tmp_path / "evidence.zip"), *key]) == 0  # noqa: SLF001 - likewise
        assert not list((tmp_path / "state").glob("ledger.db*"))


def test_one_poll_at_a_time_whoever_shares_the_database(server: str) -> None:
    url = a_database(server)
    first, second = LedgerStore(url), LedgerStore(url)
    order: list[str] = []
    with first.judging():
        other = threading.Thread(target=lambda: _judge(second, order))
        other.start()
        time.sleep(1.0)
        order.append("first")
    other.join(timeout=30)
    assert order == ["first", "second"]
    first.close()
    second.close()


def _judge(store: LedgerStore, order: list[str]) -> None:
    with store.judging():
        order.append("second")


def test_a_database_of_something_else_is_refused_and_not_touched(server: str) -> None:
    url = a_database(server)
    sql(url, "CREATE TABLE event (seq integer)")
    with pytest.raises(LedgerError, match="holds something else, no ledger"):
        LedgerStore(url)
    assert sql(url, "SELECT count(*) FROM pg_catalog.pg_tables WHERE schemaname = 'public'")[1] == [(1,)]


def test_a_server_that_does_not_answer_is_told_without_the_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPASSWORD", "a secret")
    (port,) = free_ports(1)
    with pytest.raises(LedgerError) as refused:
        LedgerStore(f"postgresql+psycopg://auditor@127.0.0.1:{port}/none")
    assert refused.value.hint == "look whether the server runs and can be reached; `ledger` in the config names it"
    assert "secret" not in f"{refused.value} {refused.value.hint}"


def test_a_daemon_that_waits_takes_over_when_the_one_that_works_is_killed(server: str, tmp_path: Path) -> None:
    with a_small_cloud(tmp_path) as small, ExitStack() as stack:
        small.config.write_text(f'ledger = "{a_database(server)}"\n{small.config.read_text()}')
        first = stack.enter_context(serving(small.config))
        eventually(lambda: first.metric("cmek_dependent_objects", readability="readable") == 20)
        second = stack.enter_context(serving(small.config, "--standby"))
        assert second.metric("cmek_leader") == 0
        first.process.kill()
        small.set_state(1, "DISABLED")
        eventually(lambda: second.metric("cmek_leader") == 1)
        eventually(lambda: second.metric("cmek_findings", rule="data-unreadable", status="open") == 1)


def test_a_daemon_on_another_machine_takes_over_with_what_the_first_learnt(server: str, tmp_path: Path) -> None:
    """Two state folders, one ledger, and copies of the inventory in a bucket of their own."""
    with a_small_cloud(tmp_path) as small, ExitStack() as stack:
        small.cloud.store.add_bucket("own", "acme", "us-east1")
        shared = f'ledger = "{a_database(server)}"\ninventory = "gs://own/copies"\ninventory_account = "acme"\n'
        configs = [tmp_path / name / "auditor.toml" for name in ("one", "other")]
        for config in configs:
            config.parent.mkdir()
            config.write_text(f"{shared}{small.config.read_text()}")
        first = stack.enter_context(serving(configs[0]))
        eventually(lambda: first.metric("cmek_dependent_objects", readability="readable") == 20)
        second = stack.enter_context(serving(configs[1], "--standby"))
        assert second.metric("cmek_leader") == 0
        assert second.metric("cmek_dependent_objects", readability="readable") == 20, "it answers from what it fetched"
        first.process.kill()
        shutil.rmtree(configs[0].parent / "state")
        asked = len(small.cloud.traffic.requests)
        small.set_state(1, "DISABLED")
        eventually(lambda: second.metric("cmek_leader") == 1)
        eventually(lambda: second.metric("cmek_findings", rule="data-unreadable", status="open") == 1)
        since = [one.target for one in small.cloud.traffic.requests[asked:]]
        assert not [one for one in since if one.startswith("/storage/v1/b/data/o")], "nothing was listed anew for it"
        assert list((configs[1].parent / "state" / "inventory").rglob("dependencies.parquet"))


def test_a_server_that_answers_nothing_any_more_keeps_no_daemon_from_ending(server: str, tmp_path: Path) -> None:
    with a_small_cloud(tmp_path) as small:
        url = a_database(server)
        small.config.write_text(f'ledger = "{url}"\n{small.config.read_text()}')
        with serving(small.config) as daemon:
            eventually(lambda: daemon.metric("cmek_dependent_objects", readability="readable") == 20)
            number = postgres._number("daemon") % 2**64  # noqa: SLF001 - which of its locks makes it lead
            holds = "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted AND (classid, objid) = (?, ?)"
            ((backend,),) = sql(url, holds, (number >> 32, number % 2**32))[1]
            os.kill(backend, signal.SIGSTOP)
            try:
                eventually(lambda: daemon.metric("cmek_leader") == 0)
                daemon.process.send_signal(signal.SIGTERM)
                assert daemon.process.wait(timeout=10) == 0
            finally:
                os.kill(backend, signal.SIGCONT)


def test_a_server_that_may_be_written_to_again_is_written_to(server: str) -> None:
    """What managed servers do when their disk is full: sessions that began meanwhile would refuse for ever."""
    url = a_database(server)
    name = url.rpartition("/")[2]
    sql(server, f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    database = PostgresDatabase(url)
    writing = database.engine.execution_options(**{WRITING: True})
    with pytest.raises(SQLAlchemyError, match="read-only transaction"), writing.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE one (seq integer)")
    sql(server, f"ALTER DATABASE {name} SET default_transaction_read_only = off")
    with writing.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE one (seq integer)")
    database.engine.dispose()


def test_timeouts_of_the_servers_administrator_end_no_lock_and_no_long_reading(server: str) -> None:
    url = a_database(server)
    name = url.rpartition("/")[2]
    for one in ("idle_session_timeout", "idle_in_transaction_session_timeout"):
        sql(server, f"ALTER DATABASE {name} SET {one} = '100ms'")
    store, database = LedgerStore(url), PostgresDatabase(url)
    with store.judging() as still, database.engine.begin() as connection:
        connection.exec_driver_sql("SELECT 1")
        time.sleep(0.5)
        assert still()
        connection.exec_driver_sql("SELECT 1")
    database.engine.dispose()
    store.close()


def test_a_daemon_whose_lock_is_cut_off_stops_and_works_again_once_it_has_it_back(server: str, tmp_path: Path) -> None:
    with a_small_cloud(tmp_path) as small:
        url = a_database(server)
        small.config.write_text(f'ledger = "{url}"\n{small.config.read_text()}')
        with serving(small.config) as daemon:
            eventually(lambda: daemon.metric("cmek_leader") == 1)
            eventually(lambda: daemon.metric("cmek_dependent_objects", readability="readable") == 20)
            cut = "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted"
            assert sql(url, cut)[0] >= 1
            eventually(lambda: daemon.metric("cmek_leader") == 0)
            eventually(lambda: daemon.metric("cmek_leader") == 1)
            small.set_state(1, "DISABLED")
            eventually(lambda: daemon.metric("cmek_findings", rule="data-unreadable", status="open") == 1)
