"""The web side without a server: requests in, answers out."""

import asyncio
import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest
from anyio import to_thread
from prometheus_client import generate_latest
from starlette.applications import Starlette

from auditor.daemon.loops import Fault
from auditor.errors import LedgerError
from auditor.findings import Finding, Judgement, Status
from auditor.model import Reason
from auditor.outputs import metrics
from auditor.ports import LogStanding
from auditor.web.app import make_app
from auditor.web.readings import Loaded, Readings
from tests.core_builders import NOW
from tests.outputs.test_hostile import a_judgement


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    text: str


def readings(judgement: Callable[[], Judgement | None] | None = None) -> Readings:
    newest, rows = a_judgement("harmless")
    read = judgement or (lambda: newest)
    return Readings(
        judgement=read,
        ended=lambda _: (),
        rows=lambda _: rows,  # type: ignore[arg-type, return-value] # enough of an inventory for the pages
        report=lambda _: "<!doctype html>",
        demands=(),
        metrics=metrics.registry(
            metrics.JudgementCollector(
                read, lambda _: rows, dict, dict, reloaded=bool, leads=bool, rules=(), version=("0", "r")
            )
        ),
        loops_alive=lambda: {"key_poll": True, "sweep": True},
        failing=lambda: (),
        memory=dict,
        clock=lambda: NOW + timedelta(minutes=1),
        loaded=lambda: Loaded("0" * 64, NOW),
        leads=lambda: True,
    )


def test_the_status_tells_from_the_first_turn_on_why_a_loop_fails() -> None:
    assert json.loads(ask("/api/v1/status").text)["loops_failing"] == []
    for judgement in (None, lambda: None):
        made = replace(readings(judgement), faults=lambda: {"key_poll": Fault(1, "the disk is full; make room")})
        told = json.loads(ask("/api/v1/status", made).text)["loops_failing"]
        assert told == [{"loop": "key_poll", "turns": 1, "why": "the disk is full; make room"}]


def test_the_status_and_the_metrics_tell_how_our_own_log_is() -> None:
    log = LogStanding("projects/acme/logs/a", {"written": 7, "refused": 0, "lost": 1}, NOW, Reason.ACCESS_DENIED)
    made = replace(readings(), own_log=lambda: log)
    told = json.loads(ask("/api/v1/status", made).text)["log"]
    assert told == {
        "name": "projects/acme/logs/a",
        "told_at": NOW.isoformat().replace("+00:00", "Z"),
        "entries": {"written": 7, "refused": 0, "lost": 1},
        "unwritten_because": "access_denied",
    }
    assert json.loads(ask("/api/v1/status").text)["log"] is None
    collector = metrics.JudgementCollector(
        *(lambda: None, lambda _: a_judgement("x")[1], dict, dict),
        reloaded=bool,
        leads=bool,
        own_log=lambda: log,
        rules=(),
        version=("0", "r"),
    )
    text = generate_latest(metrics.registry(collector)).decode()
    assert 'cmek_log_entries_total{outcome="written"} 7.0' in text
    (at,) = [one.split()[1] for one in text.splitlines() if one.startswith("cmek_log_last_success")]
    assert float(at) == NOW.timestamp()


def ask(path: str, read: Readings | None = None, **headers: str) -> Answer:
    """Send one GET through the application."""
    return asyncio.run(sent_through(make_app(read or readings()), path, **headers))


async def sent_through(app: Starlette, path: str, *, address: str = "10.0.0.1", **headers: str) -> Answer:
    """Send one GET through an application."""
    path, _, query = path.partition("?")
    scope = {
        "type": "http",
        "method": "GET",
        "path": path,
        "query_string": query.encode(),
        "client": (address, 1),
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in headers.items()],
    }
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    await app(scope, receive, send)
    told = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return Answer(sent[0]["status"], told, b"".join(one.get("body", b"") for one in sent[1:]).decode())


LIMITS = {"1": 200, "0001": 200, "1000": 200, "0": 400, "0000": 400, "1001": 400, "": 400, "-1": 400, "1_0": 400}
LIMITS |= {"00010000000": 400, "0001" + "9" * 30: 400, "0001" + "9" * 5000: 400, "%D9%A1": 400, "1%0A": 400}


@pytest.mark.parametrize(("limit", "status"), LIMITS.items(), ids=[one[:12] or "empty" for one in LIMITS])
def test_a_limit_is_a_number_from_1_to_1000_however_it_is_written(limit: str, status: int) -> None:
    for page in ("findings", "dependencies", "keys"):
        assert ask(f"/api/v1/{page}?limit={limit}").status == status


def test_a_finding_that_has_ended_is_still_told_but_not_all_of_its_namespaces() -> None:
    judgement, _ = a_judgement("harmless")
    one = replace(judgement.findings[0], id="0123abcd", status=Status.RESOLVED)
    read = replace(readings(), ended=lambda beginning: (one,) if one.id.startswith(beginning) else ())
    told = ask("/api/v1/findings/0123", read)
    assert (told.status, json.loads(told.text)["status"]) == (200, "resolved")
    told = ask("/api/v1/findings/0123/namespaces", read)
    assert (told.status, "all namespaces of then are not kept" in told.text) == (404, True)
    told = ask("/api/v1/findings/4567", read)
    assert (told.status, "neither is nor was" in told.text) == (404, True)


@pytest.mark.parametrize("name", ["%00", "a" * 60_000, "%25", "_", "ABC", "%F0%9F%98%80", "a%0A"])
def test_what_no_id_can_be_is_looked_for_in_no_ledger(name: str) -> None:
    def ended(beginning: str) -> tuple[Finding, ...]:
        raise LedgerError(f"asked for {len(beginning)} characters")

    for page in ("/api/v1/findings/", "/findings/"):
        told = ask(f"{page}{name}", replace(readings(), ended=ended))
        assert (told.status, "neither is nor was" in told.text) == (404, True)


ACCEPTED = {
    "": "text/plain; version=0.0.4",
    "application/openmetrics-text;version=1.0.0": "application/openmetrics-text; version=1.0.0",
    "application/openmetrics-text;version=a.b.c": "text/plain; version=0.0.4",
    "application/openmetrics-text;version=2.a": "text/plain; version=0.0.4",
    "application/openmetrics-text;version=99;escaping=evil": "application/openmetrics-text; version=99",
    "text/plain;version=x": "text/plain; version=0.0.4",
    "text/plain;version=1.0.0;escaping=allow-utf-8": "text/plain; version=1.0.0",
    "application/openmetrics-text;version=" + "9" * 5000: "text/plain; version=0.0.4",
    ";;;,,,=q=;": "text/plain; version=0.0.4",
}


@pytest.mark.parametrize(("accept", "kind"), ACCEPTED.items(), ids=[one[-20:] or "none" for one in ACCEPTED])
def test_metrics_come_in_a_known_form_whatever_is_asked_for(accept: str, kind: str) -> None:
    answer = ask("/metrics", accept=accept)
    assert answer.status == 200
    assert answer.headers["content-type"].startswith(kind)
    assert "cmek_build_info" in answer.text


LOCAL = ["127.0.0.1:9464", "127.0.0.1", "localhost", "LocalHost:1", "[::1]:9464", "[::1]", "127.0.0.2:80"]
ELSEWHERE = [
    "evil.example",
    "evil.example:9464",
    "127.0.0.1.evil.example",
    "localhost.evil.example",
    "evil.example:9464:127.0.0.1",
    "10.0.0.1",
    "0.0.0.0",  # noqa: S104 - refused
    "[::]",
    "[::ffff:10.0.0.1]",
    "127.0.0.1@evil.example",
    "",
]


@pytest.mark.parametrize("host", LOCAL)
def test_who_asks_for_this_machine_is_answered(host: str) -> None:
    assert ask("/api/v1/keys", host=host).status == 200


@pytest.mark.parametrize("host", ELSEWHERE)
def test_a_page_elsewhere_that_points_its_name_here_learns_nothing(host: str) -> None:
    for path in ("/", "/metrics", "/api/v1/judgement", "/readyz", "/nope", "/healthz", "/findings", "/style.css"):
        answer = ask(path, host=host)
        assert (answer.status, list(json.loads(answer.text))) == (421, ["error"])
        assert answer.headers["x-content-type-options"] == "nosniff"


def test_without_a_host_there_is_no_browser_to_fool() -> None:
    assert ask("/healthz").status == 200


def test_it_is_ready_while_its_loops_live_and_their_turns_end_well() -> None:
    well = readings()
    assert ask("/readyz", well).status == 200
    hung = ask("/readyz", replace(well, loops_alive=lambda: {"key_poll": False, "sweep": True}))
    assert (hung.status, hung.text) == (503, "not ready: key_poll not alive\n")
    failing = ask("/readyz", replace(well, failing=lambda: ("key_poll",)))
    assert (failing.status, failing.text) == (503, "not ready: key_poll failed again and again\n")


def test_without_a_ledger_nothing_is_answered_but_that() -> None:
    def gone() -> Judgement | None:
        raise LedgerError("the ledger was deleted")

    read = readings(gone)
    for path in ("/readyz", "/", "/metrics", "/api/v1/status", "/api/v1/judgement", "/api/v1/findings", "/api/v1/keys"):
        answer = ask(path, read)
        assert (path, answer.status) == (path, 503)
        assert json.loads(answer.text) == {"error": "the ledger was deleted"}
    assert ask("/healthz", read).status == 200


def test_that_the_process_lives_is_told_while_all_threads_wait_for_a_ledger_that_does_not_answer() -> None:
    answers = threading.Event()

    async def both() -> Answer:
        loop, asked = asyncio.get_running_loop(), asyncio.Event()

        def silent() -> None:
            loop.call_soon_threadsafe(asked.set)
            answers.wait(60)

        to_thread.current_default_thread_limiter().total_tokens = 1
        app = make_app(readings(silent))
        waits = asyncio.ensure_future(sent_through(app, "/readyz"))
        await asked.wait()
        try:
            return await asyncio.wait_for(sent_through(app, "/healthz"), 5)
        finally:
            answers.set()
            await waits

    assert asyncio.run(both()).status == 200
