"""The daemon listens to a queue of AWS: as a user runs it, with real requests."""

import signal
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from auditor import scan
from auditor.config import load
from auditor.findings import Judgement, Status
from auditor.model import KeyName
from auditor.wiring import assemble
from tests.daemon.test_daemon import eventually, serving
from tests.forked import COMMAND, ended
from tests.logged_changes import AWS_CONFIG, AWS_KEY, World, an_aws_world
from tests.test_fleet import NoProgress

FEED = "arn:aws:sqs:us-east-1:111122223333:cmek"
A_DAY = '[schedule]\nkey_poll = 86400\n[web]\nlisten = "127.0.0.1:0"\n'
SOON = A_DAY.replace("86400", "5")


class Fed:
    """A cloud with a queue, and a config that names it; between two polls by the timer there is a day."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.queue = world.store.add_queue("cmek")
        self.write(feed=True)

    def write(self, times: str = A_DAY, *, feed: bool) -> None:
        account = f'[[account]]\nid = "111122223333"\nfeed = "{self.queue.url}"\n' if feed else ""
        self.world.config.write_text(AWS_CONFIG + times + account)

    @property
    def asked(self) -> int:
        return sum(one.service == "sqs" for one in self.world.cloud.traffic.requests)


@pytest.fixture
def fed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Fed]:
    with an_aws_world(tmp_path, monkeypatch) as world:
        yield Fed(world)


def test_a_disabled_key_is_found_by_its_event_long_before_the_next_poll(fed: Fed) -> None:
    with serving(fed.world.config) as daemon:
        eventually(lambda: daemon.metric("cmek_dependent_objects", readability="readable") == 4)
        fed.queue.copies = 2
        fed.world.disable()
        eventually(lambda: daemon.metric("cmek_findings", rule="data-unreadable", status="open") == 1)
        eventually(lambda: daemon.metric("cmek_feed_messages_total", feed=FEED, outcome="needed") == 2)
        eventually(lambda: not fed.queue.messages)
        assert daemon.metric("cmek_feed_messages_total", feed=FEED, outcome="poison") == 0
        assert daemon.metric("cmek_feed_last_event_timestamp_seconds", feed=FEED)
        assert daemon.metric("cmek_feed_last_answer_timestamp_seconds", feed=FEED)
        status = daemon.json("/api/v1/status")
        (one,) = status["feeds"]["listened_to"]
        assert (one["feed"], one["of"], one["fault"]) == (FEED, "111122223333", None)
        assert one["last_event"] is not None
        assert one["last_answer"] is not None
        assert status["feeds"]["keys_polled_alone"] == 0
        assert status["loops"] == {"key_poll": True, "sweep": True, f"feed {FEED}": True}
        fed.world.enable()
        eventually(lambda: daemon.metric("cmek_findings", rule="data-unreadable", status="open") == 0)
        daemon.process.send_signal(signal.SIGTERM)
        assert daemon.process.wait(timeout=10) == 0


def test_a_feed_that_refuses_ends_nothing_and_polls_go_on(fed: Fed) -> None:
    fed.world.store.permits = lambda _account, action, _resource: not action.startswith("sqs:")
    fed.write(SOON, feed=True)
    with serving(fed.world.config) as daemon:
        eventually(lambda: daemon.metric("cmek_dependent_objects", readability="readable") == 4)
        eventually(lambda: daemon.json("/api/v1/status")["feeds"]["listened_to"][0]["fault"])
        (one,) = daemon.json("/api/v1/status")["feeds"]["listened_to"]
        assert one["fault"] == f"cannot listen to {FEED}: access denied"
        assert one["last_answer"] is None
        fed.world.disable()
        eventually(lambda: daemon.metric("cmek_findings", rule="data-unreadable", status="open") == 1)
        assert daemon.get("/readyz")[0] == 200
        fed.world.store.permits = lambda *_: True
        eventually(lambda: daemon.metric("cmek_feed_messages_total", outcome="needed") == 1)
        assert daemon.json("/api/v1/status")["feeds"]["listened_to"][0]["fault"] is None
        daemon.process.kill()
        assert daemon.process.stderr is not None
        said = daemon.process.stderr.read()
        assert f"error feed {FEED} failed: cannot listen to {FEED}: access denied; grant sqs:ReceiveMessage on" in said


def test_a_feed_comes_and_goes_with_the_config(fed: Fed) -> None:
    fed.write(feed=False)
    with serving(fed.world.config) as daemon:
        eventually(lambda: daemon.metric("cmek_dependent_objects", readability="readable") == 4)
        assert daemon.json("/api/v1/status")["feeds"] == {"listened_to": [], "keys_polled_alone": 1}
        assert fed.asked == 0
        fed.write(feed=True)
        daemon.process.send_signal(signal.SIGHUP)
        eventually(lambda: daemon.json("/api/v1/status")["feeds"]["listened_to"])
        fed.world.disable()
        eventually(lambda: daemon.metric("cmek_findings", rule="data-unreadable", status="open") == 1)
        fed.write(feed=False)
        daemon.process.send_signal(signal.SIGHUP)
        eventually(lambda: not daemon.json("/api/v1/status")["feeds"]["listened_to"])
        assert daemon.metric("cmek_feed_messages_total", outcome="needed") is None


def test_whoever_waits_listens_to_nothing(fed: Fed) -> None:
    with serving(fed.world.config) as first:
        eventually(lambda: first.metric("cmek_dependent_objects", readability="readable") == 4)
        with serving(fed.world.config, "--standby") as second:
            eventually(lambda: second.metric("cmek_leader") == 0)
            (one,) = second.json("/api/v1/status")["feeds"]["listened_to"]
            assert one["last_answer"] is None


def test_commands_leave_the_queue_alone(fed: Fed) -> None:
    fed.world.disable()
    assert ended(COMMAND, "scan", "-q", "--config", str(fed.world.config))[0] == 1
    assert fed.asked == 0
    assert len(fed.queue.messages) == 1


def silent(judgement: Judgement) -> list[Status]:
    return [one.status for one in judgement.findings if one.rule == "feed-silent"]


def test_a_silent_feed_is_a_finding_until_it_is_heard_or_gone(fed: Fed) -> None:
    assembly = assemble(load(fed.world.config), fed.world.store.clock)
    (never,) = assembly.parts.ears

    def polled(**more: object) -> list[Status]:
        now = fed.world.store.clock()
        ear = replace(never, since=now - timedelta(hours=3), answered=now)
        return silent(scan.poll(assembly.parts, NoProgress(), ears=(replace(ear, **more),)))  # type: ignore[arg-type]  # fields of an ear

    scan.scan(assembly.parts, NoProgress())
    try:
        assert polled() == []
        assert polled(answered=None) == [Status.OPEN]
        assert silent(scan.poll(assembly.parts, NoProgress())) == [Status.OPEN], "who does not listen refutes nothing"
        assert polled() == [Status.RESOLVED]

        fed.world.disable()
        assert polled() == []
        fed.world.later(minutes=20)
        assert polled() == [Status.OPEN], "the log told who did it, and the feed nothing"
        assert polled(told={"us-east-1": fed.world.store.clock()}) == [Status.RESOLVED]
        assert polled() == [Status.OPEN]
        assert silent(scan.poll(assembly.parts, NoProgress(), ears=())) == [Status.RESOLVED], "it left the config"
    finally:
        assembly.close()


def test_a_poll_of_what_a_feed_names_judges_the_rest_as_before(fed: Fed) -> None:
    other = f"{AWS_KEY[:-1]}2"
    fed.world.store.add_key(other)
    fed.world.store.put("objects", "acme/other/1", size=100, sse="aws:kms", key=other)
    assembly = assemble(load(fed.world.config), fed.world.store.clock)
    try:
        whole = scan.scan(assembly.parts, NoProgress())
        strangers = frozenset({KeyName(other), KeyName(f"{AWS_KEY[:-1]}9")})
        some = scan.poll(assembly.parts, NoProgress(), strangers, strict=False)
        assert [one.assessment.readability for one in some.assessed] == [
            one.assessment.readability for one in whole.assessed
        ]
        assert (some.gaps, some.coverage.keys_read) == (whole.gaps, 2)
    finally:
        assembly.close()
