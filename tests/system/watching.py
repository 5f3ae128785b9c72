"""A daemon that is watched as in production: Prometheus scrapes it, an Alertmanager sends what fires to a receiver."""

import json
import threading
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.daemon.test_daemon import Running
from tests.system.conftest import ROOT, free_ports, running, tool

ALERTS = ROOT / "grafana" / "alerts"


def get(url: str) -> Any:
    """The JSON of an answer."""
    with urllib.request.urlopen(url, timeout=10) as answer:
        return json.loads(answer.read())


@dataclass
class Pager:
    """Whoever is called: every alert that the Alertmanager has sent, in order."""

    sent: list[dict[str, Any]] = field(default_factory=list)

    def last(self, alert: str) -> dict[str, Any] | None:
        """The newest message about one alert; None where there was none."""
        return next((one for one in reversed(self.sent) if one["labels"]["alertname"] == alert), None)


@dataclass(frozen=True)
class Watched:
    """What runs."""

    daemon: Running
    prometheus: str
    alertmanager: str
    pager: Pager

    def query(self, expression: str) -> list[dict[str, Any]]:
        """What Prometheus answers now."""
        told = get(f"{self.prometheus}/api/v1/query?{urllib.parse.urlencode({'query': expression})}")
        assert told["status"] == "success", expression
        found: list[dict[str, Any]] = told["data"]["result"]
        return found


@contextmanager
def watching(folder: Path, daemon: Running, every: str = "1s") -> Iterator[Watched]:
    """Watch a daemon with the project's own rules; Prometheus scrapes and judges `every` so often."""
    manager, server = free_ports(2)
    with _pager() as (pager, webhook):
        config = folder / "prometheus.yml"
        text = (ROOT / "grafana" / "prometheus.yaml").read_text()
        text = text.replace("30s", every).replace("alerts/", f"{ALERTS}/")
        text = text.replace("127.0.0.1:9464", daemon.address.removeprefix("http://"))
        text += f"alerting:\n  alertmanagers:\n    - static_configs: [{{targets: ['127.0.0.1:{manager}']}}]\n"
        config.write_text(text)
        routes = folder / "alertmanager.yml"
        routes.write_text(
            f"route: {{receiver: pager, group_by: [alertname, id], group_wait: {every}, group_interval: {every}}}\n"
            f"receivers: [{{name: pager, webhook_configs: [{{url: '{webhook}', send_resolved: true}}]}}]\n"
        )
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
                # What fires before the Alertmanager is found is dropped, and sent again so long afterwards.
                f"--rules.alert.resend-delay={every}",
                ready=f"http://127.0.0.1:{server}/-/ready",
            ),
        ):
            yield Watched(daemon, f"http://127.0.0.1:{server}", f"http://127.0.0.1:{manager}", pager)


@contextmanager
def _pager() -> Iterator[tuple[Pager, str]]:
    pager = Pager()

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            pager.sent += json.loads(self.rfile.read(int(self.headers["Content-Length"])))["alerts"]
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Be silent."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Receiver) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield pager, f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
