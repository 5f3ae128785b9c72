"""The daemon as a user runs it: its own process, real requests, real signals."""

import json
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from auditor.outputs import metrics
from tests.clouds import GOOGLE_KEY
from tests.forked import COMMAND, Forked, ended
from tests.small import Small, a_small_cloud

WITHIN = 30.0


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Small]:
    with a_small_cloud(tmp_path) as running:
        yield running


class Running:
    def __init__(self, process: subprocess.Popen[str] | Forked, address: str, said: str = "") -> None:
        self.process = process
        self.address = address
        self.said = said
        """Its first line."""

    def get(self, path: str, method: str = "GET") -> tuple[int, str, dict[str, str]]:
        request = urllib.request.Request(f"{self.address}{path}", method=method)
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, answer.read().decode(), {k.lower(): v for k, v in answer.headers.items()}
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode(), {k.lower(): v for k, v in error.headers.items()}

    def json(self, path: str) -> Any:
        status, text, _ = self.get(path)
        assert status == 200, text
        return json.loads(text)

    def metric(self, name: str, **labels: str) -> float | None:
        _, text, _ = self.get("/metrics")
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                if sample.name == name and labels.items() <= sample.labels.items():
                    return sample.value
        return None


def installed(*argv: str) -> subprocess.Popen[str]:
    """The command as a user starts it."""
    command = [str(Path(sys.executable).with_name("cmek-auditor")), *argv]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def a_copy(*argv: str) -> Forked:
    """The command in a process that is at once there."""
    return Forked(COMMAND, *argv)


@contextmanager
def serving(
    config: Path, *more: str, start: Callable[..., subprocess.Popen[str] | Forked] = a_copy
) -> Iterator[Running]:
    with start("serve", "--config", str(config), *more) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        try:
            yield Running(process, line.split()[2], line)
        finally:
            process.kill()


def eventually(check: Callable[[], object]) -> None:
    deadline = time.monotonic() + WITHIN
    while not check():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.1)


def test_a_change_shows_in_metrics_findings_and_report_and_the_daemon_ends_cleanly(small: Small) -> None:
    with serving(small.config, start=installed) as daemon:
        assert daemon.get("/healthz")[0] == 200
        eventually(lambda: daemon.metric("cmek_dependent_objects", readability="readable") == 20)
        assert daemon.get("/readyz")[0] == 200
        assert daemon.metric("cmek_sweep_objects_total", bucket="gs://data", outcome="resolved") == 20
        assert daemon.metric("cmek_findings", rule="data-unreadable", status="open") == 0
        assert daemon.metric("cmek_next_loss_timestamp_seconds") == float("inf")

        small.set_state(1, "DISABLED")
        eventually(lambda: daemon.metric("cmek_findings", rule="data-unreadable", status="open") == 1)
        assert daemon.metric("cmek_key_version_dependent_objects", version="1", readability="unreadable") == 10
        (finding,) = daemon.json("/api/v1/findings")["items"]
        assert finding["subject"]["id"] == f"{GOOGLE_KEY}/cryptoKeyVersions/1"
        assert daemon.json(f"/api/v1/findings/{finding['id']}") == finding
        assert daemon.json(f"/api/v1/findings/{finding['id'][:8]}") == finding, "as tables show it"
        spaces = daemon.json(f"/api/v1/findings/{finding['id']}/namespaces")["items"]
        assert [one["namespace"] for one in spaces] == ["acme/old"]
        status, page, headers = daemon.get("/")
        assert (status, "10 of 20 objects cannot be read now" in page) == (200, True)
        assert "default-src 'none'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"

        daemon.process.send_signal(signal.SIGTERM)
        assert daemon.process.wait(timeout=10) == 0
        assert daemon.process.stderr is not None
        (told,) = [line for line in daemon.process.stderr if "data-unreadable" in line]
        assert " warning finding opened: critical data-unreadable, " in told
        assert told.endswith(f" version 1, 10 objects, id {finding['id']}\n")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_sweep_that_hangs_does_not_keep_the_daemon_from_ending(small: Small, number: signal.Signals) -> None:
    small.cloud.traffic.fail("/o?", delay=60.0, status=503)
    with serving(small.config) as daemon:
        eventually(lambda: any("/o?" in one.target for one in small.cloud.traffic.requests))
        daemon.process.send_signal(number)
        assert daemon.process.wait(timeout=10) == 0


def test_a_scrape_calls_no_cloud(small: Small) -> None:
    with serving(small.config) as daemon:
        eventually(lambda: daemon.metric("cmek_dependent_objects", readability="readable") == 20)
        eventually(lambda: daemon.json("/api/v1/status")["loops"] == {"key_poll": True, "sweep": True})

        def listed() -> int:
            return sum("/o?" in one.target for one in small.cloud.traffic.requests)

        before = listed()
        for path in ("/metrics", "/", "/api/v1/judgement", "/api/v1/dependencies", "/api/v1/keys"):
            assert daemon.get(path)[0] == 200
        assert listed() == before


def test_every_metric_of_the_table_is_there_and_no_other(small: Small) -> None:
    small.set_state(1, "DESTROY_SCHEDULED")
    key = small.cloud.store.key(GOOGLE_KEY)
    assert key is not None
    lost = (small.cloud.store.clock() + timedelta(days=2)).replace(microsecond=0)
    key.versions[1].destroy_time = lost
    log = '[log]\ncloud_logging = "projects/acme/logs/cmek-auditor"\n'
    text = small.config.read_text().replace("[schedule]\n", '[schedule]\nreport = "0 6 * * *"\n')
    small.config.write_text(f'{text}{log}[report]\nupload = "gs://own/audit"\n')
    with serving(small.config) as daemon:
        eventually(lambda: daemon.metric("cmek_key_version_dependent_objects", readability="doomed") == 10)
        eventually(lambda: daemon.metric("cmek_log_last_success_timestamp_seconds"))
        _, text, _ = daemon.get("/metrics")
        (finding,) = [one for one in daemon.json("/api/v1/findings")["items"] if one["rule"] == "data-doomed"]
        assert daemon.metric("cmek_finding_objects", id=finding["id"]) == 10
        assert daemon.metric("cmek_finding_namespaces", id=finding["id"]) == 1
        assert daemon.metric("cmek_finding_final_timestamp_seconds", id=finding["id"]) == lost.timestamp()
    assert {family.name for family in text_string_to_metric_families(text)} == {one.name for one in metrics.TABLE}


def test_pages_of_the_api_add_up_and_refuse_what_makes_no_sense(small: Small) -> None:
    for number in range(250):
        small.cloud.store.put("data", f"acme/{number:03}/x", key=GOOGLE_KEY)
    with serving(small.config) as daemon:
        eventually(lambda: daemon.metric("cmek_dependent_objects", readability="readable") == 270)
        found: list[str] = []
        cursor = ""
        while True:
            page = daemon.json(f"/api/v1/dependencies?limit=100{cursor}")
            found += [one["namespace"] for one in page["items"]]
            if page["next"] is None:
                break
            cursor = f"&cursor={page['next']}"
        assert len(found) == len(set(found)) == 252
        for path, status in {
            "/api/v1/findings?limit=0": 400,
            "/api/v1/findings?limit=1001": 400,
            "/api/v1/findings?limit=%EF%BC%91": 400,
            "/api/v1/findings?cursor=zzz": 400,
            "/api/v1/findings?cursor=LTE=": 400,
            "/api/v1/findings?page=2": 400,
            "/api/v1/findings/nope": 404,
            "/api/v1/nope": 404,
            "/../../etc/passwd": 404,
        }.items():
            got, text, _ = daemon.get(path)
            assert (path, got) == (path, status)
            assert "error" in json.loads(text)
        assert daemon.get("/api/v1/findings", "POST")[0] == 405
        assert daemon.get("/healthz", "HEAD")[0] == 200


def test_while_the_first_sweep_runs_the_answer_says_that_it_is_not_complete(small: Small) -> None:
    small.cloud.traffic.fail("/o?", delay=60.0)
    with serving(small.config) as daemon:
        eventually(lambda: daemon.json("/api/v1/status")["judged"])
        (bucket,) = daemon.json("/api/v1/status")["coverage"]["buckets"]
        assert (bucket["complete"], bucket["listed"]) == (False, 0)
        assert daemon.metric("cmek_coverage_ratio", bucket="gs://data") == 0
        assert daemon.metric("cmek_findings", rule="sweep-incomplete", status="open") == 1
        assert daemon.get("/readyz")[0] == 200
        assert "No object is known yet" in daemon.get("/")[1]


def test_a_ledger_that_breaks_makes_it_not_ready_but_alive(small: Small) -> None:
    with serving(small.config) as daemon:
        eventually(lambda: daemon.metric("cmek_dependent_objects", readability="readable") == 20)
        for file in (small.config.parent / "state").glob("ledger.db*"):
            file.write_bytes(b"no database" * 1000)
        eventually(lambda: daemon.get("/readyz")[0] == 503)
        assert daemon.get("/healthz")[0] == 200


def test_a_state_folder_that_is_moved_away_makes_it_not_ready_until_it_is_back(small: Small) -> None:
    state = small.config.parent / "state"
    with serving(small.config) as daemon:
        eventually(lambda: daemon.metric("cmek_dependent_objects", readability="readable") == 20)
        assert daemon.get("/")[0] == 200
        state.rename(state.with_name("aside"))
        for path in ("/readyz", "/", "/metrics", "/api/v1/judgement", "/api/v1/findings", "/api/v1/keys"):
            status, text, _ = daemon.get(path)
            assert (path, status) == (path, 503)
            assert "was deleted, moved or replaced while it was in use" in text
        assert daemon.get("/healthz")[0] == 200
        state.with_name("aside").rename(state)
        assert daemon.get("/api/v1/judgement")[0] == 200


def test_an_address_that_is_taken_is_one_error_and_a_hint(small: Small) -> None:
    with serving(small.config) as daemon:
        taken = daemon.address.rpartition(":")[2]
        other = small.config.with_name("other.toml")
        own_state = small.config.read_text().replace('state = "state"', 'state = "other"')
        other.write_text(own_state.replace("127.0.0.1:0", f"127.0.0.1:{taken}"))
        code, _, err = ended(COMMAND, "serve", "--config", str(other))
    assert code == 2
    assert "error: cannot listen on 127.0.0.1" in err
    assert "hint: " in err


def test_a_second_daemon_on_the_same_state_is_refused_until_the_first_is_gone(small: Small) -> None:
    with serving(small.config) as daemon:
        eventually(lambda: daemon.metric("cmek_dependent_objects", readability="readable") == 20)
        code, out, err = ended(COMMAND, *small.argv("serve"))
        assert (code, out) == (2, "")
        error, hint = err.splitlines()
        assert error == f"error: another daemon works with the ledger {small.config.parent / 'state' / 'ledger.db'}"
        assert hint.startswith("hint: ")
        assert ended(COMMAND, *small.argv("poll", "-q"))[0] == 0
        daemon.process.kill()
        daemon.process.wait(timeout=10)
        with serving(small.config) as following:
            assert following.get("/healthz")[0] == 200
