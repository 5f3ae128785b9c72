"""A Dask cluster that lists shards: real schedulers and workers, over TLS."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from auditor import spreading
from auditor.cli import _run as run
from tests.logins import Made, a_certificate
from tests.several import OBJECTS, headed, of_data, on_aws, told
from tests.system.conftest import free_ports, tool


@contextmanager
def a_cluster(folder: Path, made: Made) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """A scheduler and two workers of one thread each: their address, and the workers."""
    (port,) = free_ports(1)
    address = f"tls://127.0.0.1:{port}"
    tls = ["--tls-ca-file", made.cert, "--tls-cert", made.cert, "--tls-key", made.key]
    dask = tool("dask")
    environment = {**os.environ, "DASK_DISTRIBUTED__COMM__REQUIRE_ENCRYPTION": "true"}
    with ExitStack() as held, (folder / "cluster.log").open("wb") as log:

        def started(*argv: object) -> subprocess.Popen[bytes]:
            given = [dask, *map(str, argv), *map(str, tls)]
            process = held.enter_context(subprocess.Popen(given, env=environment, cwd=folder, stdout=log, stderr=log))
            held.callback(process.kill)
            return process

        started("scheduler", "--host", "127.0.0.1", "--port", port, "--protocol", "tls", "--no-dashboard")
        worker = ("worker", address, "--nthreads", "1", "--no-nanny", "--no-dashboard", "--host", "127.0.0.1")
        yield address, [started(*worker) for _ in range(2)]


def with_cluster(folder: Path, address: str, made: Made) -> None:
    lines = (
        f'dask = "{address}"',
        f'tls_ca = "{made.cert}"',
        f'tls_cert = "{made.cert}"',
        f'tls_key = "{made.key}"',
    )
    config = folder / "state.toml"
    config.write_text(f"{config.read_text()}[workers]\nprocesses = 2\n" + "\n".join(lines) + "\n")


def test_a_cluster_lists_what_one_process_lists_whoever_of_it_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(spreading, "_LOOK", 0.05)
    made = a_certificate(tmp_path, "127.0.0.1")
    with on_aws(tmp_path, monkeypatch) as cloud, a_cluster(tmp_path, made) as (address, workers):
        config = tmp_path / "state.toml"
        config.write_text(config.read_text().replace("requests_per_second = 4000", "requests_per_second = 300"))
        with_cluster(tmp_path, address, made)
        with ThreadPoolExecutor(1) as beside:
            scan = beside.submit(run, ["scan", "-q", "--config", str(config)])
            while len(headed(cloud.traffic.requests)) < OBJECTS // 3 and not scan.done():
                time.sleep(0.01)
            workers[0].send_signal(signal.SIGKILL)
            assert scan.result() == 0
        assert "no other process lists" not in capsys.readouterr().err
        assert len(set(headed(cloud.traffic.requests))) == OBJECTS
        assert of_data(told(tmp_path, "poll", "state", capsys)) == of_data(told(tmp_path, "scan", "alone", capsys))


def test_a_cluster_that_does_not_know_the_certificate_lists_nothing_and_the_auditor_lists_it_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("auditor.executors.dask._PATIENCE", 3)
    others, ours = tmp_path / "others", tmp_path / "ours"
    others.mkdir()
    ours.mkdir()
    with on_aws(tmp_path, monkeypatch, objects=200), a_cluster(tmp_path, a_certificate(others, "127.0.0.1")) as cluster:
        with_cluster(tmp_path, cluster[0], a_certificate(ours, "127.0.0.1"))
        config = tmp_path / "state.toml"
        # It trusts the cluster, and is no more trusted by it for that.
        config.write_text(config.read_text().replace(f'tls_ca = "{ours}', f'tls_ca = "{others}'))
        assert run(["scan", "-q", "--config", str(tmp_path / "state.toml")]) == 0
        assert "no other process lists s3://data, and this one does: " in capsys.readouterr().err
        assert of_data(told(tmp_path, "poll", "state", capsys)) == of_data(told(tmp_path, "scan", "alone", capsys))
