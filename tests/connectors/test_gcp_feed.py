"""A feed from a Pub/Sub subscription: what came is heard, and comes again until it was dealt with."""

import logging
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from auditor.connectors.gcp.feed import PubSubFeed
from auditor.connectors.gcp.log_hints import WATCHED
from auditor.connectors.gcp.session import Endpoints, GcpClients
from auditor.connectors.wire import Wire
from auditor.embedded.google import GoogleCloud
from auditor.errors import CollectError, ReadOnlyError
from auditor.model import KeyName, Reason
from auditor.ports import Heard
from tests.clouds import GOOGLE_KEY, RING, Clock, a_google_store

NAME = "projects/acme/subscriptions/key-changes"
OTHER = "projects/acme/subscriptions/billing"
VERSION = f"{GOOGLE_KEY}/cryptoKeyVersions/1"


@dataclass
class World:
    """An embedded cloud whose log fills a subscription, and a feed that hears it."""

    cloud: GoogleCloud
    clock: float = 0.0
    slept: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.wire = Wire(self.cloud.store.clock)
        endpoints = Endpoints(pubsub=self.cloud.endpoint)
        self.clients = GcpClients({}, endpoints, self.wire, feeds=[NAME])
        self.feed = PubSubFeed(self.clients, NAME, "acme", lambda: self.clock, self.slept.append)
        self.subscription = self.cloud.pubsub.subscribe(NAME, filter=WATCHED)

    def disable(self, version: str = VERSION) -> dict[str, Any]:
        return self.cloud.store.note("UpdateCryptoKeyVersion", version, {"cryptoKeyVersion": {"state": "DISABLED"}})

    def later(self, **length: float) -> None:
        self.cloud.store.clock.ahead += timedelta(**length)  # type: ignore[attr-defined]  # the clock of tests

    def refused(self, wait: float = 0) -> CollectError:
        with pytest.raises(CollectError) as raised:
            self.feed.hear(wait)
        return raised.value

    def asked(self, call: str) -> int:
        return sum(one.target.endswith(f":{call}") for one in self.cloud.traffic.requests)


@pytest.fixture
def world() -> Iterator[World]:
    with GoogleCloud(a_google_store()) as cloud:
        yield World(cloud)


def events(heard: Heard) -> list[str | None]:
    return [one.event for one in heard.hints]


def test_a_key_that_somebody_disables_is_heard_with_who_was_called_and_when(world: World) -> None:
    assert world.feed.name == NAME
    assert world.feed.hear(0) == Heard()
    entry = world.disable()
    (hint,) = world.feed.hear(0).hints
    assert (hint.key, hint.call, hint.event) == (KeyName(GOOGLE_KEY), "UpdateCryptoKeyVersion", entry["insertId"])
    assert hint.occurred.isoformat() == entry["timestamp"].replace("Z", "+00:00")


def test_who_waits_hears_what_comes_meanwhile(world: World) -> None:
    heard: list[Heard] = []
    waiting = threading.Thread(target=lambda: heard.append(world.feed.hear(60)))
    waiting.start()
    while not world.asked("pull"):
        pass
    world.disable()
    waiting.join()
    assert len(heard[0].hints) == 1
    assert world.slept == []


def test_what_was_acknowledged_does_not_come_again(world: World) -> None:
    world.disable()
    heard = world.feed.hear(0)
    world.feed.handled(heard)
    world.later(hours=1)
    assert world.feed.hear(0) == Heard()


def test_what_was_not_acknowledged_comes_again_as_the_same_event(world: World) -> None:
    world.disable()
    first = world.feed.hear(0)
    assert world.feed.hear(0) == Heard(), "it is lent out"
    world.later(seconds=11)
    again = world.feed.hear(0)
    assert events(again) == events(first) != []
    world.feed.handled(again)
    world.later(seconds=11)
    assert world.feed.hear(0) == Heard()


def test_what_is_acknowledged_too_late_comes_again(world: World) -> None:
    world.disable()
    first = world.feed.hear(0)
    world.later(seconds=11)
    world.feed.handled(first)
    assert events(world.feed.hear(0)) == events(first)


def test_copies_and_disorder_are_told_as_they_come_and_all_of_them_are_acknowledged(world: World) -> None:
    world.subscription.copies, world.subscription.backwards = 2, True
    numbers = [world.disable(f"{GOOGLE_KEY}/cryptoKeyVersions/{number}")["insertId"] for number in (1, 2, 3)]
    heard = world.feed.hear(0)
    assert events(heard) == [one for one in numbers[::-1] for _ in range(2)]
    world.feed.handled(heard)
    world.later(seconds=11)
    assert world.feed.hear(0) == Heard()


def test_many_messages_come_in_bounded_answers_and_none_is_lost(world: World) -> None:
    for number in range(1, 251):
        world.disable(f"{GOOGLE_KEY}/cryptoKeyVersions/{number}")
    sizes, found = [], set()
    while (heard := world.feed.hear(0)).receipts:
        sizes.append(len(heard.receipts))
        found.update(events(heard))
        world.feed.handled(heard)
    assert (sizes, len(found)) == ([100, 100, 50], 250)


def test_a_sink_with_a_wider_filter_costs_no_hint_and_leaves_nothing_behind(world: World) -> None:
    world.subscription.filter = ""
    world.cloud.store.note("Decrypt", GOOGLE_KEY)
    world.cloud.store.note("UpdateCryptoKeyVersion", VERSION, status={"code": 7})
    heard = world.feed.hear(0)
    assert (heard.hints, len(heard.receipts), heard.poison) == ((), 2, 0)
    world.feed.handled(heard)
    world.later(seconds=11)
    assert world.feed.hear(0) == Heard()


def test_a_change_of_a_ring_may_bear_on_any_key(world: World) -> None:
    world.cloud.store.note("SetIamPolicy", RING)
    assert [one.key for one in world.feed.hear(0).hints] == [None]


def test_poison_is_counted_acknowledged_and_told_without_its_text(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "auditor")
    for data in (b"\x1b[31mnot JSON", b"{" * 100_000, b""):
        world.cloud.pubsub.publish(NAME, data, {"\x1b[31m": "x"})
    world.disable()
    heard = world.feed.hear(0)
    assert (len(heard.hints), len(heard.receipts), heard.poison) == (1, 4, 3)
    told = f"feed {NAME}: left out 3 that nobody can understand, the first 0000000000000001: its data are no JSON"
    assert all(one.levelno == logging.DEBUG for one in caplog.records), "whoever listens warns once an hour"
    assert caplog.messages == [told], "a flood of them is one line"
    world.feed.handled(heard)
    world.later(seconds=11)
    assert world.feed.hear(0) == Heard()


# Who does not answer


REFUSALS: dict[str, tuple[dict[str, Any], Reason, str]] = {
    "throttled": ({"status": 429}, Reason.THROTTLED, "HTTP 429"),
    "an error of the service": ({"status": 503}, Reason.TIMEOUT, "UNAVAILABLE"),
    "somebody else's page": ({"status": 200, "body": b"<html>"}, Reason.MALFORMED, "JSONDecodeError"),
    "an answer of another kind": ({"status": 200, "body": b'{"messages": []}'}, Reason.MALFORMED, "JSONDecodeError"),
    "messages of another kind": (
        {"status": 200, "body": b'{"receivedMessages": [7]}'},
        Reason.MALFORMED,
        "JSONDecodeError",
    ),
    "a message without a receipt": (
        {"status": 200, "body": b'{"receivedMessages": [{"message": {}}]}'},
        Reason.MALFORMED,
        "JSONDecodeError",
    ),
    "no answer": ({"drop": True}, Reason.TIMEOUT, "ConnectionError"),
    "half an answer": ({"cut": True}, Reason.TIMEOUT, "ChunkedEncodingError"),
}


@pytest.mark.parametrize(("fault", "reason", "code"), REFUSALS.values(), ids=REFUSALS)
def test_no_answer_is_an_error_with_its_reason_and_loses_nothing(
    world: World, fault: dict[str, Any], reason: Reason, code: str
) -> None:
    entry = world.disable()
    world.cloud.traffic.fail(":pull", **fault)
    error = world.refused()
    assert (str(error), error.reason) == (f"cannot hear {NAME}: {code}", reason)
    assert world.asked("pull") == 1, "whoever hears asks again by itself"
    world.cloud.traffic.heal()
    world.later(seconds=11)
    assert events(world.feed.hear(0)) == [entry["insertId"]]


def test_without_the_permission_the_error_names_it(world: World) -> None:
    world.cloud.store.deny("pubsub.subscriptions.consume", NAME)
    error = world.refused()
    assert (str(error), error.reason) == (f"cannot hear {NAME}: HTTP 403", Reason.ACCESS_DENIED)
    assert error.hint == (
        "grant pubsub.subscriptions.consume on the subscription to the auditor: "
        "`cmek-auditor doctor --grants gcp` prints how"
    )


def test_a_subscription_that_somebody_deletes_is_told_as_gone(world: World) -> None:
    world.disable()
    heard = world.feed.hear(0)
    del world.cloud.pubsub.subscriptions[NAME]
    error = world.refused()
    assert (str(error), error.reason) == (f"cannot hear {NAME}: NOT_FOUND", Reason.NOT_FOUND)
    assert "if somebody deleted the subscription, make it again" in str(error.hint)
    with pytest.raises(CollectError, match="cannot acknowledge what was heard of") as raised:
        world.feed.handled(heard)
    assert raised.value.reason is Reason.NOT_FOUND


@pytest.mark.parametrize("fault", [{"status": 503}, {"drop": True}, {"status": 200, "body": b'{"a": 1}'}])
def test_what_could_not_be_acknowledged_comes_again(world: World, fault: dict[str, Any]) -> None:
    world.disable()
    heard = world.feed.hear(0)
    world.cloud.traffic.fail(":acknowledge", **fault)
    with pytest.raises(CollectError, match="cannot acknowledge"):
        world.feed.handled(heard)
    world.cloud.traffic.heal()
    world.later(seconds=11)
    assert events(world.feed.hear(0)) == events(heard)


def test_where_nothing_was_heard_nothing_is_acknowledged(world: World) -> None:
    world.feed.handled(Heard())
    assert world.asked("acknowledge") == 0


def test_without_credentials_the_error_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/nonexistent")
    clients = GcpClients({}, Endpoints(), Wire(Clock()), feeds=[NAME])
    with pytest.raises(CollectError, match="no Google credentials") as raised:
        PubSubFeed(clients, NAME, None).hear(0)
    assert raised.value.reason is Reason.EXPIRED_CREDENTIALS


# How long it waits


def deadlines(
    world: World, monkeypatch: pytest.MonkeyPatch, patience: float | None = None
) -> list[tuple[str | None, Any]]:
    """(the deadline that the service is told, the seconds for which we wait) of each pull from now on.

    `patience`: seconds for which the first waits instead.
    """
    seen: list[tuple[str | None, Any]] = []
    session = world.clients.feeds("acme")
    post = session.post

    def spied(url: str, **how: Any) -> Any:
        seen.append((how["headers"].get("X-Server-Timeout"), how["timeout"][1]))
        first = {"timeout": patience} if patience and len(seen) == 1 else {}
        return post(url, **{**how, **first})

    monkeypatch.setattr(session, "post", spied)
    return seen


def test_the_service_is_to_give_up_before_we_do(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = deadlines(world, monkeypatch)
    world.disable()
    world.feed.handled(world.feed.hear(20))
    assert seen[0] == ("18", 20)
    world.feed.hear(2)
    assert seen[-1] == (None, 5), "so short a wait is none"


LATE = b'{"error": {"code": 504, "status": "DEADLINE_EXCEEDED", "message": "x"}}'


def test_that_the_deadline_has_come_is_an_answer(world: World) -> None:
    world.cloud.traffic.fail(":pull", status=504, body=LATE)
    assert world.feed.hear(20) == Heard()
    assert world.wire.counts() == {("pubsub", "subscriptions.pull", "ok"): 1}
    world.cloud.traffic.heal()
    world.cloud.traffic.fail(":pull", status=504, body=b"<html>gateway</html>")
    assert world.refused(20).reason in {Reason.TIMEOUT, Reason.MALFORMED}, "a gateway's page is none"


def test_a_service_that_ignores_its_deadline_is_asked_again_and_again_without_waiting(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.cloud.traffic.fail(":pull", delay=0.5, times=1)
    seen = deadlines(world, monkeypatch, patience=0.01)
    assert world.feed.hear(20) == Heard()
    assert world.feed.hear(20) == Heard()
    assert (seen, world.slept) == ([("18", 20), (None, 5)], [2.0])
    world.disable()
    assert len(world.feed.hear(20).hints) == 1
    assert world.slept == [2.0], "more may wait"
    world.clock += 3600
    world.disable()
    world.feed.hear(20)
    assert seen[-1] == ("18", 20), "an hour later it is tried again"


def test_silence_where_nothing_is_to_be_waited_for_is_an_error(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("auditor.connectors.gcp.feed._TIMEOUT", 0.01)
    world.cloud.traffic.fail(":pull", delay=0.5)
    assert world.refused(0).reason is Reason.TIMEOUT


# Nothing else is sent


@pytest.mark.parametrize(
    ("verb", "path"),
    [
        ("POST", f"/v1/{OTHER}:pull"),
        ("POST", f"/v1/{OTHER}:acknowledge"),
        ("POST", f"/v1/{NAME}:modifyAckDeadline"),
        ("POST", f"/v1/{NAME}:seek"),
        ("POST", f"/v1/{NAME}:testIamPermissions"),
        ("POST", f"/v1/{NAME}/:pull"),
        ("POST", "/v1/projects/acme/topics/t:publish"),
        ("GET", f"/v1/{OTHER}"),
        ("GET", f"/v1/{NAME}/"),
        ("GET", f"/v1/{NAME}:pull"),
        ("PUT", f"/v1/{NAME}"),
        ("DELETE", f"/v1/{NAME}"),
    ],
)
def test_nothing_but_a_look_a_pull_and_an_acknowledgement_of_a_feed_leaves_the_process(
    world: World, verb: str, path: str
) -> None:
    session = world.clients.feeds("acme")
    with pytest.raises(ReadOnlyError):
        session.request(verb, world.cloud.endpoint + path, json={})
    assert world.cloud.traffic.requests == ()


def test_without_a_feed_in_the_config_nothing_of_pubsub_leaves_the_process(world: World) -> None:
    clients = GcpClients({}, Endpoints(pubsub=world.cloud.endpoint), Wire(Clock()))
    with pytest.raises(ReadOnlyError):
        PubSubFeed(clients, NAME, None).hear(0)
    assert world.cloud.traffic.requests == ()
