"""The metrics, alerts and dashboard with a real Prometheus and a real Alertmanager."""

import json
import re
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.clouds import GOOGLE_KEY
from tests.logins import TOKEN, a_certificate
from tests.small import a_small_cloud
from tests.system.conftest import ROOT, free_ports, running, tool
from tests.test_daemon import Running, eventually, serving

ALERTS = ROOT / "grafana" / "alerts.yaml"
DASHBOARD = ROOT / "grafana" / "dashboards" / "cmek-auditor.json"


def get(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return json.loads(answer.read())


@dataclass(frozen=True)
class Watched:
    daemon: Running
    prometheus: str
    alertmanager: str

    def query(self, expression: str) -> list[dict[str, Any]]:
        told = get(f"{self.prometheus}/api/v1/query?{urllib.parse.urlencode({'query': expression})}")
        assert told["status"] == "success", expression
        found: list[dict[str, Any]] = told["data"]["result"]
        return found


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    folder = tmp_path_factory.mktemp("watched")
    with a_small_cloud(folder) as small:
        small.set_state(1, "DESTROY_SCHEDULED")
        key = small.cloud.store.key(GOOGLE_KEY)
        assert key is not None
        key.versions[1].destroy_time = small.cloud.store.clock() + timedelta(days=2)
        manager, server = free_ports(2)
        with serving(small.config) as daemon:
            config = folder / "prometheus.yml"
            text = (ROOT / "grafana" / "prometheus.yaml").read_text()
            text = text.replace("30s", "1s").replace("alerts.yaml", str(ALERTS))
            text = text.replace("127.0.0.1:9464", daemon.address.removeprefix("http://"))
            text += f"alerting:\n  alertmanagers:\n    - static_configs: [{{targets: ['127.0.0.1:{manager}']}}]\n"
            config.write_text(text)
            routes = folder / "alertmanager.yml"
            routes.write_text("route: {receiver: none}\nreceivers: [{name: none}]\n")
            with (
                running(
                    tool("prometheus-alertmanager"),
                    f"--config.file={routes}",
                    f"--storage.path={folder / 'alertmanager'}",
                    f"--web.listen-address=127.0.0.1:{manager}",
                    "--cluster.listen-address=",
                    ready=f"http://127.0.0.1:{manager}/-/ready",
                ),
                running(
                    tool("prometheus"),
                    f"--config.file={config}",
                    f"--storage.tsdb.path={folder / 'tsdb'}",
                    f"--web.listen-address=127.0.0.1:{server}",
                    ready=f"http://127.0.0.1:{server}/-/ready",
                ),
            ):
                yield Watched(daemon, f"http://127.0.0.1:{server}", f"http://127.0.0.1:{manager}")


def test_promtool_finds_nothing_to_mend_in_the_metrics(watched: Watched) -> None:
    eventually(lambda: watched.daemon.metric("cmek_findings", rule="data-doomed", status="open") == 1)
    _, text, _ = watched.daemon.get("/metrics")
    command = [tool("promtool"), "check", "metrics"]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize(
    "arguments",
    [
        ["check", "rules", "grafana/alerts.yaml"],
        ["test", "rules", "grafana/alerts_test.yaml"],
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

    eventually(lambda: {"CmekDataCannotBeRead", "CmekNextLossNear"} <= alerts())


def test_every_panel_of_the_dashboard_asks_what_prometheus_can_answer(watched: Watched) -> None:
    eventually(lambda: watched.query("cmek_finding_info"))
    panels = json.loads(DASHBOARD.read_text())["panels"]
    assert len(panels) >= 10
    for panel in panels:
        for target in panel["targets"]:
            if panel["title"] == "Unresolved objects by bucket":
                assert watched.query(target["expr"]) == []  # this small fleet has none
            else:
                # A rate needs two scrapes.
                eventually(partial(watched.query, target["expr"]))


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
                asked = Watched(daemon, server, "")
                eventually(lambda: [one["value"][1] for one in asked.query("up")] == ["1"])
                eventually(lambda: asked.query("cmek_build_info"))
