"""A feed from the audit log itself: each entry is heard once, however late it comes, and most of the quota is left."""

import logging
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest

from auditor.connectors.gcp.log_feed import LogFeed
from auditor.connectors.gcp.session import Endpoints, GcpClients
from auditor.connectors.wire import Wire
from auditor.embedded.google import GoogleCloud
from auditor.errors import CollectError
from auditor.model import KeyName, Reason
from auditor.ports import Heard
from auditor.skew import plausible
from tests.clouds import GOOGLE_KEY, RING, Clock, a_google_store

VERSION = f"{GOOGLE_KEY}/cryptoKeyVersions/1"


@dataclass
class World:
    """An embedded cloud, and a feed that asks its log by a clock of its own."""

    cloud: GoogleCloud
    ticks: float = 0.0
    ours: timedelta = timedelta(0)
    """How far our clock is ahead of the cloud's."""
    slept: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.wire = Wire(lambda: self.cloud.store.clock() + self.ours, lambda: self.ticks)
        clients = GcpClients({}, Endpoints(logging=self.cloud.endpoint), self.wire)
        self.feed = LogFeed(clients, "acme", self.now, lambda: self.ticks, self._sleep)

    def now(self) -> datetime:
        return self.cloud.store.clock() + self.ours + plausible(self.wire.skew())

    def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.later(seconds=seconds)

    def later(self, **length: float) -> None:
        self.cloud.store.clock.ahead += timedelta(**length)  # type: ignore[attr-defined]  # the clock of tests
        self.ticks += timedelta(**length).total_seconds()

    def note(self, method: str = "UpdateCryptoKeyVersion", name: str = VERSION, **more: Any) -> str:
        return str(self.cloud.store.note(method, name, **more)["insertId"])

    def heard(self) -> list[str | None]:
        """The events of the next look, which are dealt with."""
        found = self.feed.hear(60)
        self.feed.handled(found)
        return [one.event for one in found.hints]

    @property
    def asked(self) -> int:
        return len(self.cloud.traffic.requests)


@pytest.fixture
def world() -> Iterator[World]:
    with GoogleCloud(a_google_store()) as cloud:
        yield World(cloud)


def test_a_key_that_somebody_disables_is_heard_at_the_next_look_and_once(world: World) -> None:
    assert world.feed.name == "projects/acme"
    assert world.heard() == []
    event = world.note()
    found = world.feed.hear(60)
    assert [(one.key, one.call, one.event) for one in found.hints] == [
        (KeyName(GOOGLE_KEY), "UpdateCryptoKeyVersion", event)
    ]
    world.feed.handled(found)
    assert (world.heard(), world.slept) == ([], [6.0, 6.0])


def test_between_two_looks_nothing_is_asked_and_nobody_waits_longer_than_told(world: World) -> None:
    world.heard()
    assert world.feed.hear(2) == Heard()
    assert (world.asked, world.slept) == (1, [2.0])
    for _ in range(4):
        world.feed.hear(2)
    assert (world.asked, world.slept) == (2, [2.0] * 5)


def test_ten_requests_a_minute_are_a_sixth_of_the_quota(world: World) -> None:
    begin = world.ticks
    while world.ticks < begin + 60:
        world.heard()
    assert world.asked <= 11


def test_what_was_not_dealt_with_is_heard_again(world: World) -> None:
    event = world.note()
    first, again = world.feed.hear(60), world.feed.hear(60)
    assert [one.event for one in (*first.hints, *again.hints)] == [event, event]
    world.feed.handled(again)
    assert world.heard() == []


def test_an_entry_that_comes_minutes_late_is_heard(world: World) -> None:
    world.heard()
    world.cloud.store.log_lag = timedelta(minutes=9)
    event = world.note()
    world.later(minutes=5)
    assert world.heard() == []
    world.later(minutes=5)
    assert world.heard() == [event]


def test_an_entry_of_hours_ago_that_is_received_now_is_heard(world: World) -> None:
    world.heard()
    event = world.note(at=world.cloud.store.clock() - timedelta(hours=20))
    assert world.heard() == [event]


def test_entries_of_before_the_last_minutes_are_not_heard_at_the_start(world: World) -> None:
    world.note()
    world.later(minutes=11)
    assert world.heard() == []


def test_copies_of_an_entry_on_any_page_are_heard_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("auditor.connectors.gcp.log_pages._PAGE", 2)
    events = [world.note() for _ in range(3)]
    world.cloud.store.log.append(dict(world.cloud.store.log[0]))
    assert sorted(str(one) for one in world.heard()) == events
    assert world.asked == 2
    events.append(world.note())
    assert world.heard() == events[-1:], "the looks overlap"


def test_two_events_of_one_id_at_different_times_are_two(world: World) -> None:
    world.note()
    world.cloud.store.log.append({**world.cloud.store.log[0], "timestamp": world.now().isoformat()})
    assert world.heard() == ["00000001", "00000001"]


def test_more_than_is_looked_through_is_a_hint_at_any_key_and_only_while_there_is_news(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("auditor.connectors.gcp.log_pages._PAGE", 2)
    for _ in range(9):
        world.note()
    found = world.feed.hear(60)
    assert [one.key for one in found.hints] == [KeyName(GOOGLE_KEY)] * 6 + [None]
    world.feed.handled(found)
    assert world.heard() == []
    assert world.asked == 6


def test_what_changes_no_key_is_not_asked_for_or_not_heard(world: World) -> None:
    store = world.cloud.store
    world.note("Decrypt", GOOGLE_KEY)
    world.note(status={"code": 7})
    world.note("storage.buckets.update", "projects/acme/buckets/b", service="storage.googleapis.com")
    store.log[-2]["logName"] = store.log[-2]["logName"].replace("activity", "data_access")
    event = world.note("SetIamPolicy", RING)
    destroyed = world.note("CryptoKeyVersionDestroyed")
    store.log[-1]["logName"] = store.log[-1]["logName"].replace("activity", "system_event")
    assert sorted(str(one) for one in world.heard()) == [event, destroyed]


def test_an_entry_that_nobody_can_understand_is_counted_once(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "auditor")
    world.note()
    world.cloud.store.log[-1]["protoPayload"]["methodName"] = ["\x1b[31m"]
    found = world.feed.hear(60)
    assert (found.hints, found.poison, len(found.receipts)) == ((), 1, 1)
    world.feed.handled(found)
    assert world.feed.hear(60) == Heard()
    assert all(one.levelno == logging.DEBUG for one in caplog.records), "whoever listens warns once an hour"
    assert caplog.messages == [
        "feed projects/acme: left out 1 that nobody can understand, the first because it does not say what was called"
    ]


def test_entries_without_an_id_are_told_apart_by_all_that_they_say(world: World) -> None:
    at = world.now()
    for number in (1, 2):
        world.note(name=f"{GOOGLE_KEY}/cryptoKeyVersions/{number}", at=at)
        del world.cloud.store.log[-1]["insertId"]
    found = world.feed.hear(60)
    assert (len(found.hints), len(set(found.receipts))) == (2, 2)
    world.feed.handled(found)
    assert world.heard() == []


def test_what_was_heard_is_forgotten_when_no_look_goes_back_to_it(world: World) -> None:
    for _ in range(5):
        world.note()
    world.heard()
    assert len(world.feed._handled) == 5  # noqa: SLF001 - memory that grows is seen nowhere else
    world.later(minutes=11)
    world.heard()
    world.heard()
    assert world.feed._handled == set()  # noqa: SLF001 - as above


@pytest.mark.parametrize("ahead", [timedelta(hours=3), timedelta(hours=-3)], ids=["ahead", "behind"])
def test_a_clock_that_is_hours_off_loses_nothing(world: World, ahead: timedelta) -> None:
    world.ours = ahead
    world.heard()
    events = [world.note()]
    assert world.heard() == events
    world.later(seconds=30)
    events = [world.note()]
    assert world.heard() == events


def test_after_an_outage_it_goes_on_where_it_was(world: World) -> None:
    world.heard()
    world.cloud.traffic.fail("entries:list", status=503)
    event = world.note()
    for _ in range(2):
        world.later(minutes=10)
        with pytest.raises(CollectError):
            world.feed.hear(60)
    world.cloud.traffic.heal()
    assert world.heard() == [event]


def test_a_page_that_breaks_off_loses_nothing_of_the_pages_before(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("auditor.connectors.gcp.log_pages._PAGE", 1)
    monkeypatch.setattr("auditor.connectors.gcp.session._RETRY_POLICY", lambda call: call)
    events = [world.note() for _ in range(2)]
    world.cloud.traffic.fail("entries:list", skip=1, times=1, cut=True)
    with pytest.raises(CollectError):
        world.feed.hear(60)
    assert sorted(str(one) for one in world.heard()) == events


REFUSALS: dict[str, tuple[dict[str, Any], Reason, str]] = {
    "denied": ({"status": 403}, Reason.ACCESS_DENIED, "HTTP 403"),
    "throttled": ({"status": 429}, Reason.THROTTLED, "HTTP 429"),
    "an error of the service": ({"status": 500}, Reason.TIMEOUT, "INTERNAL"),
    "half an answer": ({"cut": True}, Reason.TIMEOUT, "ChunkedEncodingError"),
    "somebody else's page": ({"status": 200, "body": b"<html>"}, Reason.MALFORMED, "JSONDecodeError"),
    "an answer of another kind": ({"status": 200, "body": b'{"items": []}'}, Reason.MALFORMED, "JSONDecodeError"),
}


@pytest.mark.parametrize(("fault", "reason", "code"), REFUSALS.values(), ids=REFUSALS)
def test_no_answer_is_an_error_with_its_reason(
    world: World, monkeypatch: pytest.MonkeyPatch, fault: dict[str, Any], reason: Reason, code: str
) -> None:
    monkeypatch.setattr("auditor.connectors.gcp.session._RETRY_POLICY", lambda call: call)
    world.cloud.traffic.fail("entries:list", **fault)
    with pytest.raises(CollectError) as raised:
        world.feed.hear(60)
    assert (str(raised.value), raised.value.reason) == (
        f"cannot hear the audit log of projects/acme: {code}",
        reason,
    )


def test_without_the_permission_the_error_names_it(world: World) -> None:
    world.cloud.store.deny("logging.logEntries.list", "projects/acme")
    with pytest.raises(CollectError, match="cannot hear the audit log of projects/acme: ") as raised:
        world.feed.hear(60)
    assert raised.value.reason is Reason.ACCESS_DENIED
    assert str(raised.value.hint).startswith("grant logging.logEntries.list to the auditor")


def test_without_the_library_the_error_names_the_extra(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "google.cloud.logging_v2", None)
    with pytest.raises(CollectError, match="google-cloud-logging is not installed") as raised:
        world.feed.hear(60)
    assert (raised.value.reason, raised.value.hint) == (Reason.UNSUPPORTED, "pip install 'cmek-auditor[logging]'")


def test_without_credentials_the_error_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/nonexistent")
    clock = Clock()
    with pytest.raises(CollectError, match="no Google credentials") as raised:
        LogFeed(GcpClients({}, Endpoints(), Wire(clock)), "acme", clock).hear(0)
    assert raised.value.reason is Reason.EXPIRED_CREDENTIALS
