"""The metrics, alerts and dashboard with a real Prometheus and a real Alertmanager."""

import json
import re
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from functools import partial, reduce
from pathlib import Path

import pytest

from auditor.connectors.gcp.log_hints import WATCHED
from tests.clouds import GOOGLE_KEY
from tests.daemon.test_daemon import eventually, serving
from tests.feeds.test_google_feeds import NAME, with_feed
from tests.logins import TOKEN, a_certificate
from tests.small import a_small_cloud
from tests.system.conftest import ROOT, free_ports, running, tool
from tests.system.watching import Pager, Watched, get, watching

DASHBOARDS = ROOT / "grafana" / "dashboards"


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    folder = tmp_path_factory.mktemp("watched")
    with a_small_cloud(folder) as small:
        small.set_state(1, "DESTROY_SCHEDULED")
        key = small.cloud.store.key(GOOGLE_KEY)
        assert key is not None
        key.versions[1].destroy_time = small.cloud.store.clock() + timedelta(days=2)
        small.cloud.pubsub.subscribe(NAME, filter=WATCHED)
        with_feed(small.config, NAME, small.cloud.endpoint)
        with serving(small.config) as daemon, watching(folder, daemon) as every:
            yield every


def test_promtool_finds_nothing_to_mend_in_the_metrics(watched: Watched) -> None:
    eventually(lambda: watched.daemon.metric("cmek_findings", rule="data-doomed", status="open") == 1)
    _, text, _ = watched.daemon.get("/metrics")
    command = [tool("promtool"), "check", "metrics"]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize(
    "arguments",
    [
        ["check", "rules", "grafana/alerts/data.yml", "grafana/alerts/answer.yml"],
        ["test", "rules", "grafana/alerts/tests.yml"],
        ["check", "config", "grafana/prometheus.yaml"],
    ],
    ids=["alert rules", "alert tests", "config"],
)
def test_promtool_accepts(arguments: list[str]) -> None:
    done = subprocess.run([tool("promtool"), *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_doomed_data_reaches_the_alertmanager(watched: Watched) -> None:
    def alerts() -> set[str]:
        return {one["labels"]["alertname"] for one in get(f"{watched.alertmanager}/api/v2/alerts")}

    eventually(lambda: {"CmekDataCannotBeRead", "CmekLossWithinWeek"} <= alerts())


EMPTY = {
    "Unresolved objects by bucket": "this small fleet has none",
    "Answers of the clouds that are no success": "its cloud refuses nothing",
}
"""Panels that have nothing to show here, and why."""


@pytest.mark.parametrize("board", sorted(DASHBOARDS.iterdir()), ids=lambda one: one.stem)
def test_every_panel_and_variable_of_a_dashboard_asks_what_prometheus_can_answer(watched: Watched, board: Path) -> None:
    eventually(lambda: watched.query("cmek_finding_info"))
    told = json.loads(board.read_text())
    chosen: dict[str, str] = {}
    for one in told["templating"]["list"]:
        if one["type"] == "query":
            found = re.fullmatch(r"label_values\((\w+), (\w+)\)", one["query"]["query"])
            assert found is not None, one["query"]
            series, label = found.groups()
            chosen[f"${one['name']}"] = watched.query(series)[0]["metric"][label]
    assert len(told["panels"]) >= 8
    for panel in told["panels"]:
        for target in panel["targets"]:
            asked = reduce(lambda text, name: text.replace(name, chosen[name]), chosen, target["expr"])
            assert "$" not in asked
            if panel["title"] in EMPTY:
                assert watched.query(asked) == [], EMPTY[panel["title"]]
            else:
                # A rate needs two scrapes.
                eventually(partial(watched.query, asked))


def test_who_disables_a_version_has_the_pager_called_and_who_enables_it_ends_the_call(tmp_path: Path) -> None:
    with a_small_cloud(tmp_path) as small, serving(small.config) as daemon, watching(tmp_path, daemon) as every:
        eventually(lambda: daemon.metric("cmek_dependent_objects", readability="readable") == 20)
        eventually(lambda: every.pager.last("CmekWatchdog"))
        assert every.pager.last("CmekDataCannotBeRead") is None

        small.set_state(1, "DISABLED")
        eventually(lambda: every.pager.last("CmekDataCannotBeRead"))
        called = every.pager.last("CmekDataCannotBeRead")
        assert called is not None
        (finding,) = daemon.json("/api/v1/findings")["items"]
        labels = {"rule": "data-unreadable", "severity": "critical", "id": finding["id"]}
        assert called["status"] == "firing"
        assert labels.items() <= called["labels"].items()
        assert (called["labels"]["key"], called["labels"]["version"]) == (GOOGLE_KEY, "1")
        told = called["annotations"]["description"]
        assert told.startswith("Namespaces: 1. Objects: 10. ")
        assert told.endswith(f"cmek-auditor explain {finding['id']}")

        small.set_state(1, "ENABLED")
        eventually(lambda: (every.pager.last("CmekDataCannotBeRead") or {})["status"] == "resolved")


def test_a_real_prometheus_reads_a_closed_daemon_by_the_job_of_the_documentation(tmp_path: Path) -> None:
    (job,) = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs" / "web.md").read_text(), re.DOTALL)
    made = a_certificate(tmp_path, "127.0.0.1")
    (tmp_path / "token").write_text(TOKEN)
    (port,) = free_ports(1)
    with a_small_cloud(tmp_path) as small, pytest.MonkeyPatch.context() as environment:
        environment.setenv("AUDITOR_TOKEN", TOKEN)
        tls = 'listen = "0.0.0.0:0"\ntls_cert = "tls.pem"\ntls_key = "tls.key"\ntoken_env = "AUDITOR_TOKEN"'
        small.config.write_text(small.config.read_text().replace('listen = "127.0.0.1:0"', tls))
        with serving(small.config) as daemon:
            for what, ours in {
                "/etc/prometheus/cmek-auditor.token": str(tmp_path / "token"),
                "/etc/prometheus/cmek-auditor-ca.pem": str(made.cert),
                "auditor.example.com:9464": f"127.0.0.1:{daemon.address.rpartition(':')[2]}",
            }.items():
                assert what in job
                job = job.replace(what, ours)
            config = tmp_path / "prometheus.yml"
            config.write_text(f"global:\n  scrape_interval: 1s\n{job}")
            server = f"http://127.0.0.1:{port}"
            with running(
                tool("prometheus"),
                f"--config.file={config}",
                f"--storage.tsdb.path={tmp_path / 'tsdb'}",
                f"--web.listen-address=127.0.0.1:{port}",
                ready=f"{server}/-/ready",
            ):
                asked = Watched(daemon, server, "", Pager())
                eventually(lambda: [one["value"][1] for one in asked.query("up")] == ["1"])
                eventually(lambda: asked.query("cmek_build_info"))
