"""The auditor's own log in Cloud Logging, written through google-cloud-logging to the embedded cloud."""

import json
import re
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from auditor import scan
from auditor.config import load
from auditor.errors import LedgerError, ReadOnlyError, UsageError
from auditor.ledger.bookmark import BookmarkFile
from auditor.model import Reason
from auditor.outputs import event_json
from auditor.ports import LogSink, Unwritten
from auditor.telling.events import Action
from auditor.telling.sending import Sender
from auditor.wiring import Assembly, assemble
from tests.clouds import GOOGLE_KEY, google_clients
from tests.daemon.test_daemon import eventually
from tests.daemon.test_daemon import serving as running_daemon
from tests.small import Small, a_small_cloud
from tests.test_fleet import NoProgress

LOG = "projects/acme/logs/cmek-auditor"


@dataclass
class Keeping:
    """A daemon without its timers: one that polls, and one that writes."""

    small: Small
    assembly: Assembly
    ticks: float = 0.0
    ahead: timedelta = timedelta(0)
    sink: LogSink | None = None
    senders: list[Sender] = field(default_factory=list)

    @property
    def sender(self) -> Sender:
        if not self.senders:
            self.restart()
        return self.senders[-1]

    def restart(self) -> None:
        """Let another process take its place."""
        sender = self.assembly.sender(None)
        assert sender is not None
        sink = self.sink or sender._sink  # noqa: SLF001 - a test may stand between
        marks = BookmarkFile(self.small.config.parent / "state" / "own-log.json")
        clock = self.assembly.parts.clock
        ledger = self.assembly.ledger
        self.senders.append(Sender(sink, ledger, marks, lambda: clock() + self.ahead, ticks=lambda: self.ticks))

    def poll(self) -> None:
        scan.poll(self.assembly.parts, NoProgress())

    def turn(self, later: float = 0.0) -> None:
        self.ticks += later
        self.sender.turn()

    @property
    def entries(self) -> list[dict[str, Any]]:
        return [one for one in self.small.cloud.store.log if one["logName"] == LOG]

    def told(self, action: str, what: str = "") -> list[str]:
        """Messages of the entries of one kind."""
        payloads = [one["jsonPayload"] for one in self.entries]
        return [one["message"] for one in payloads if one["action"] == action and what in one["message"]]

    @property
    def counts(self) -> Mapping[str, int]:
        return self.sender.standing.entries


@pytest.fixture
def keeping(tmp_path: Path) -> Iterator[Keeping]:
    with a_small_cloud(tmp_path) as small:
        small.config.write_text(f'{small.config.read_text()}[log]\ncloud_logging = "{LOG}"\n')
        assembly = assemble(load(small.config))
        scan.scan(assembly.parts, NoProgress())
        yield Keeping(small, assembly)
        assembly.close()


def test_the_first_time_all_that_stands_is_told_and_then_what_happens(keeping: Keeping) -> None:
    keeping.small.set_state(1, "DISABLED")
    keeping.poll()
    keeping.turn()
    assert [one for one in keeping.told("finding.opened") if "data-unreadable" in one]
    assert keeping.told("key.changed") == []
    number = len(keeping.entries)
    keeping.small.set_state(1, "ENABLED")
    keeping.poll()
    keeping.turn()
    assert keeping.told("key.changed") == ["key changed: acme/us-east1/tpuf/main, version 1 DISABLED -> ENABLED"]
    assert [one for one in keeping.told("finding.closed") if "data-unreadable" in one]
    assert keeping.counts == {"written": len(keeping.entries), "refused": 0, "lost": 0}
    assert len(keeping.entries) > number


def test_each_entry_is_as_the_schema_says_with_the_judgements_time_and_a_grade(keeping: Keeping) -> None:
    keeping.small.set_state(1, "DISABLED")
    keeping.poll()
    keeping.turn()
    for one in keeping.entries:
        payload = dict(one["jsonPayload"])
        assert payload.pop("message")
        jsonschema.Draft202012Validator(event_json.schema()).validate(payload)
        assert one["insertId"] == payload["metadata"]["insert_id"]
        assert one["timestamp"] == payload["context"]["judged_at"]
        assert one["resource"] == {"type": "global", "labels": {"project_id": "acme"}}
    (one,) = [each for each in keeping.entries if "data-unreadable" in each["jsonPayload"]["message"]]
    assert one["severity"] == "CRITICAL"


def test_nothing_is_told_where_nothing_is_otherwise(keeping: Keeping) -> None:
    keeping.turn()
    asked = len(keeping.small.cloud.traffic.requests)
    keeping.turn()
    assert len(keeping.small.cloud.traffic.requests) == asked


FAULTS: dict[str, tuple[dict[str, Any], Reason]] = {
    "denied": ({"status": 403}, Reason.ACCESS_DENIED),
    "throttled": ({"status": 429}, Reason.THROTTLED),
    "down": ({"status": 503}, Reason.TIMEOUT),
    "hung up": ({"drop": True}, Reason.TIMEOUT),
    "a page of somebody on the way": ({"status": 400, "body": b"<html>log in</html>"}, Reason.MALFORMED),
}


@pytest.mark.parametrize(("fault", "reason"), FAULTS.values(), ids=FAULTS)
def test_what_cannot_be_written_is_kept_and_written_once_it_can(
    keeping: Keeping, fault: dict[str, Any], reason: Reason
) -> None:
    keeping.small.cloud.traffic.fail("entries:write", **fault)
    keeping.turn()
    assert (keeping.entries, keeping.sender.standing.unwritten, keeping.sender.standing.told_at) == ([], reason, None)
    keeping.small.set_state(1, "DISABLED")
    keeping.poll()
    keeping.small.set_state(1, "ENABLED")
    keeping.poll()
    keeping.small.cloud.traffic.heal()
    keeping.turn(later=5)
    assert len(keeping.told("key.changed")) == 2, "also what came and went meanwhile"
    assert keeping.sender.standing.unwritten is None
    assert keeping.sender.standing.told_at is not None
    assert keeping.counts["lost"] == keeping.counts["refused"] == 0


def test_it_is_tried_again_more_and_more_seldom(keeping: Keeping, caplog: pytest.LogCaptureFixture) -> None:
    traffic = keeping.small.cloud.traffic
    traffic.fail("entries:write", status=403)

    def tried(later: float) -> bool:
        before = len(traffic.requests)
        keeping.turn(later)
        return len(traffic.requests) > before

    assert [tried(later) for later in (0, 4.9, 0.2, 5, 4.9, 0.2)] == [True, False, True, False, False, True]
    for _ in range(10):
        keeping.turn(later=1000)
    assert [tried(later) for later in (299, 2)] == [False, True]
    (line,) = [one.getMessage() for one in caplog.records if "cannot be written" in one.getMessage()]
    assert "grant logging.logEntries.create" in line


def test_nothing_is_lost_or_told_twice_over_a_restart(keeping: Keeping) -> None:
    keeping.turn()
    before = len(keeping.entries)
    keeping.small.set_state(1, "DISABLED")
    keeping.poll()
    keeping.small.set_state(1, "ENABLED")
    keeping.poll()
    keeping.restart()
    keeping.turn()
    assert len(keeping.told("key.changed")) == 2
    assert keeping.counts["written"] == len(keeping.entries) - before


def test_what_a_process_wrote_and_could_not_remember_has_the_same_ids_again(
    keeping: Keeping, monkeypatch: pytest.MonkeyPatch
) -> None:
    keeping.turn()
    keeping.small.set_state(1, "DISABLED")
    keeping.poll()
    keeping.restart()

    def fail(*_: object) -> None:
        raise LedgerError("cannot write")

    with monkeypatch.context() as patch:
        patch.setattr(BookmarkFile, "keep", fail)
        with suppress(LedgerError):
            keeping.turn()
    before = keeping.entries
    keeping.restart()
    keeping.turn()
    assert keeping.counts["written"] > 0, "it was written again"
    assert keeping.entries == before, "and the log has it once"


@dataclass
class Between:
    """A sink that changes what passes."""

    sink: LogSink
    change: Callable[[dict[str, Any]], dict[str, Any]]

    @property
    def name(self) -> str:
        return self.sink.name

    def write(self, entries: Sequence[Mapping[str, Any]]) -> Unwritten | None:
        return self.sink.write([self.change(dict(one)) for one in entries])

    def hint(self, reason: Reason) -> str:
        return self.sink.hint(reason)


def test_an_entry_that_the_service_never_takes_holds_up_no_other(
    keeping: Keeping, caplog: pytest.LogCaptureFixture
) -> None:
    keeping.turn()
    before = len(keeping.entries)
    for _ in range(5):
        for state in ("DISABLED", "ENABLED"):
            keeping.small.set_state(1, state)
            keeping.poll()

    def spoil(entry: dict[str, Any]) -> dict[str, Any]:
        return {**entry, "severity": "LOUD"} if entry["jsonPayload"]["action"] == "finding.closed" else entry

    keeping.sink = Between(keeping.sender._sink, spoil)  # noqa: SLF001 - the real one behind it
    keeping.restart()
    keeping.turn()
    refused = keeping.counts["refused"]
    assert refused >= 5
    assert keeping.told("finding.closed") == []
    assert len(keeping.told("key.changed")) == 10
    assert keeping.counts["written"] == len(keeping.entries) - before
    lines = [one.getMessage() for one in caplog.records if "for good" in one.getMessage()]
    assert len(lines) == refused


def test_what_is_too_old_for_the_log_is_counted_as_lost_and_told(
    keeping: Keeping, caplog: pytest.LogCaptureFixture
) -> None:
    keeping.small.cloud.traffic.fail("entries:write", status=503)
    keeping.turn()
    keeping.ahead = timedelta(days=13, hours=23)
    keeping.turn(later=1000)
    assert keeping.counts["lost"] == 0
    keeping.ahead = timedelta(days=14, minutes=1)
    keeping.turn(later=1000)
    lost = keeping.counts["lost"]
    assert lost > 0
    assert f"{lost} entries are older than 14 days and are given up" in caplog.text
    keeping.small.cloud.traffic.heal()
    keeping.turn(later=1000)
    assert (keeping.entries, keeping.counts) == ([], {"written": 0, "refused": 0, "lost": lost})


CHANGED: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "another log": lambda mark: {**mark, "log": "projects/acme/logs/other"},
    "another ledger": lambda mark: {**mark, "hash": "0" * 64},
    "a number that no event has": lambda mark: {**mark, "number": 10**6},
}


@pytest.mark.parametrize("change", CHANGED.values(), ids=CHANGED)
def test_a_bookmark_of_something_else_does_not_count(
    keeping: Keeping, change: Callable[[dict[str, Any]], dict[str, Any]]
) -> None:
    keeping.turn()
    written = keeping.counts["written"]
    place = keeping.small.config.parent / "state" / "own-log.json"
    place.write_text(json.dumps(change(json.loads(place.read_text()))))
    keeping.restart()
    keeping.turn()
    assert keeping.counts["written"] == written


def test_a_bookmark_that_cannot_be_read_does_not_count_either(keeping: Keeping) -> None:
    keeping.turn()
    written = keeping.counts["written"]
    (keeping.small.config.parent / "state" / "own-log.json").write_text("{")
    keeping.restart()
    keeping.turn()
    assert keeping.counts["written"] == written


def wait_for(what: Callable[[], object]) -> None:
    """Give another thread ten seconds."""
    until = time.monotonic() + 10
    while not what():
        assert time.monotonic() < until
        time.sleep(0.01)


def test_the_thread_writes_and_a_log_that_hangs_holds_up_no_poll(keeping: Keeping) -> None:
    traffic = keeping.small.cloud.traffic
    keeping.sender.start()
    wait_for(lambda: keeping.entries)
    assert keeping.sender.stop(10)
    hangs = traffic.fail("entries:write", delay=2.0, times=1)
    keeping.small.set_state(1, "DISABLED")
    keeping.poll()
    keeping.restart()
    keeping.sender.start()
    wait_for(lambda: hangs.times == 0)
    keeping.poll()
    assert not keeping.sender.stop(0), "its request still hangs, and the poll is done"
    assert keeping.sender.stop(10)


ELSEWHERE: dict[str, dict[str, Any]] = {
    "another log": {"logName": "projects/acme/logs/other", "entries": [{}]},
    "another log of one entry": {"logName": LOG, "entries": [{}, {"logName": "projects/acme/logs/other"}]},
    "no log": {"entries": [{}]},
    "a log that is none": {"logName": LOG, "entries": [{"logName": None}]},
    "no entries": {"logName": "projects/acme/logs/other", "entries": []},
    "nothing": {},
}


@pytest.mark.parametrize("asked", ELSEWHERE.values(), ids=ELSEWHERE)
def test_no_other_log_can_be_written(keeping: Keeping, asked: dict[str, Any]) -> None:
    clients = google_clients(keeping.small.cloud, own_log=LOG)
    with pytest.raises(ReadOnlyError):
        clients.write_log("acme", asked)
    with pytest.raises(ReadOnlyError):
        google_clients(keeping.small.cloud).write_log("acme", {"logName": LOG, "entries": [{}]})
    assert not [one for one in keeping.small.cloud.traffic.requests if "entries:write" in one.target]


def test_without_the_library_nobody_begins(keeping: Keeping, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("auditor.clouds.gcp.find_spec", lambda _: None)
    with pytest.raises(UsageError) as error:
        keeping.assembly.sender(None)
    assert error.value.hint == "pip install 'cmek-auditor[logging]'"


def test_a_secret_of_the_environment_is_in_no_entry(keeping: Keeping, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TURBOPUFFER_API_KEY", "tpuf_s3cr3t")
    keeping.turn()
    assert keeping.entries
    assert "s3cr3t" not in json.dumps(keeping.entries)


_OF_EACH_RUN = ("insertId", "timestamp", "occurred_at", "at", "judgement", "judged_at", "config_digest", "insert_id")


def _without(told: object) -> object:
    """The same without what is another in each run."""
    if isinstance(told, dict):
        return {name: "*" if name in _OF_EACH_RUN else _without(one) for name, one in told.items()}
    return [_without(one) for one in told] if isinstance(told, list) else told


def test_the_example_in_the_docs_is_what_is_written(keeping: Keeping) -> None:
    keeping.turn()
    keeping.small.set_state(1, "DISABLED")
    version = f"{GOOGLE_KEY}/cryptoKeyVersions/1"
    asked = {"cryptoKeyVersion": {"name": version, "state": "DISABLED"}, "updateMask": "state"}
    keeping.small.cloud.store.note("UpdateCryptoKeyVersion", version, asked)
    keeping.poll()
    keeping.turn()
    (written,) = [one for one in keeping.entries if one["jsonPayload"]["action"] == "key.changed"]
    page = (Path(__file__).parents[2] / "docs" / "log.md").read_text()
    (example,) = re.findall(r"```json\n(.*?)```", page, re.DOTALL)
    assert _without(json.loads(example)) == _without(written)
    for one in Action:
        assert f"`{one}`" in page


def test_serve_writes_and_its_status_says_so(keeping: Keeping) -> None:
    with running_daemon(keeping.small.config) as daemon:
        eventually(lambda: (daemon.json("/api/v1/status")["log"] or {}).get("told_at"))
        told = daemon.json("/api/v1/status")["log"]
        assert (told["name"], told["unwritten_because"]) == (LOG, None)
        assert told["entries"]["written"] == len(keeping.entries) > 0
        assert daemon.metric("cmek_log_entries_total", outcome="written") == told["entries"]["written"]
        keeping.small.set_state(1, "DISABLED")
        eventually(lambda: keeping.told("key.changed"))
        keeping.small.config.write_text(keeping.small.config.read_text().replace(LOG, f"{LOG}-2"))
        daemon.process.send_signal(signal.SIGHUP)
        eventually(lambda: daemon.json("/api/v1/status")["log"]["name"] == f"{LOG}-2")
        eventually(lambda: [one for one in keeping.small.cloud.store.log if one["logName"] == f"{LOG}-2"])
