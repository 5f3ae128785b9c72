"""From the config to the feeds of Google projects: what is heard, what it takes, and what the pages say of it."""

import json
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import jsonschema
import pytest
import requests

from auditor.checkup import Answer
from auditor.config import load
from auditor.connectors.gcp.log_hints import WATCHED
from auditor.doctoring.rights import LOST
from auditor.errors import CollectError
from auditor.findings import Status
from auditor.model import KeyName
from auditor.outputs import grants
from auditor.ports import Feed
from auditor.wiring import assemble
from tests.clouds import GOOGLE_KEY, Clock
from tests.logged_changes import World, a_google_world
from tests.small import Small, a_small_cloud
from tests.visits import named, run, the, visit

ROOT = Path(__file__).parents[2]
NAME = "projects/acme/subscriptions/key-changes"
KINDS = {"a subscription": NAME, "the log": "projects/acme"}
NEEDS = {NAME: "pubsub.subscriptions.consume", "projects/acme": "logging.logEntries.list"}
SERVICES = {NAME: "pubsub", "projects/acme": "logging"}


def with_feed(config: Path, feed: str, endpoint: str) -> None:
    text = config.read_text().replace('project = "acme"\n', f'project = "acme"\nfeed = "{feed}"\n')
    config.write_text(text.replace("[gcp]\n", f'[gcp]\npubsub_endpoint = "{endpoint}"\n'))


def feeds_of(config: Path) -> tuple[Feed, ...]:
    return tuple(feed for _, feed in assemble(load(config), Clock()).feeds)


@pytest.fixture(params=KINDS.values(), ids=list(KINDS))
def feed(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def small(tmp_path: Path, feed: str) -> Iterator[Small]:
    with a_small_cloud(tmp_path) as running:
        running.cloud.pubsub.subscribe(NAME, filter=WATCHED, acknowledge_within=timedelta(seconds=60))
        with_feed(running.config, feed, running.cloud.endpoint)
        yield running


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, feed: str) -> Iterator[World]:
    with a_google_world(tmp_path, monkeypatch) as running:
        running.cloud.pubsub.subscribe(NAME, filter=WATCHED)
        with_feed(running.config, feed, running.cloud.endpoint)
        yield running


def test_a_disabled_version_is_heard_polled_found_and_acknowledged(world: World, feed: str) -> None:
    world.scanned()
    (one,) = feeds_of(world.config)
    assert one.name == feed
    world.disable()
    heard = one.hear(0)
    assert [(hint.key, hint.call) for hint in heard.hints] == [(KeyName(GOOGLE_KEY), "UpdateCryptoKeyVersion")]
    finding = world.found()
    assert (finding.status, finding.rule) == (Status.OPEN, "data-unreadable")
    one.handled(heard)
    writes = [one.target for one in world.cloud.traffic.requests if one.target.endswith(":acknowledge")]
    assert writes == ([f"/v1/{NAME}:acknowledge"] if feed == NAME else [])


def test_a_config_without_feeds_hears_nothing_and_loads_no_sdk(tmp_path: Path) -> None:
    config = tmp_path / "auditor.toml"
    config.write_text('[[account]]\nid = "111122223333"\n[[key]]\nname = "' + GOOGLE_KEY + '"\n')
    assert feeds_of(config) == ()


def test_without_its_permission_a_feed_is_missing_and_says_what_is_lost(
    small: Small, feed: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert the(visit(small), f"feed {feed}").answer is Answer.OK
    assert run(capsys, small.argv("doctor"))[0] == 0
    small.cloud.store.permits = lambda permission, _: permission != NEEDS[feed]
    checks = visit(small)
    check = the(checks, f"feed {feed}")
    assert (check.group, check.answer, check.permission) == ("Google project acme", Answer.MISSING, NEEDS[feed])
    assert named(checks, Answer.MISSING) == {NEEDS[feed]}
    assert check.lost == LOST[NEEDS[feed]]
    assert f"grant {NEEDS[feed]}" in check.todo
    with pytest.raises(CollectError, match="cannot hear") as raised:
        feeds_of(small.config)[0].hear(0)
    assert raised.value.reason == "access_denied"


def test_a_visit_takes_no_message_for_good_and_asks_the_log_for_nothing_that_happened(small: Small, feed: str) -> None:
    small.cloud.store.note("UpdateCryptoKeyVersion", f"{GOOGLE_KEY}/cryptoKeyVersions/1")
    told = the(visit(small), f"feed {feed}").told
    assert told == ("answered; a message waits" if feed == NAME else "answered")
    asked = [one for one in small.cloud.traffic.requests if one.service == SERVICES[feed]]
    assert all(not one.target.endswith(":acknowledge") for one in asked)
    assert len(small.cloud.pubsub.subscriptions[NAME].messages) == (1 if feed == NAME else 0)


DEADLINE = f"feed {NAME}: acknowledgement deadline"


@pytest.mark.parametrize("feed", [NAME])
def test_a_deadline_in_which_no_poll_ends_is_told_where_it_may_be_looked_at(small: Small) -> None:
    one = small.cloud.pubsub.subscriptions[NAME]
    for seconds, answer in ((60, Answer.OK), (59, Answer.MISSING), (10, Answer.MISSING)):
        one.acknowledge_within = timedelta(seconds=seconds)
        check = the(visit(small), DEADLINE)
        assert (check.answer, check.told.split()[0]) == (answer, str(seconds))
    assert check.todo == f"gcloud pubsub subscriptions update {NAME} --ack-deadline=60"
    small.cloud.store.permits = lambda permission, _: permission != "pubsub.subscriptions.get"
    check = the(visit(small), DEADLINE)
    assert (check.answer, "may not be looked at without pubsub.subscriptions.get" in check.told) == (Answer.OFF, True)


def test_a_subscription_that_is_not_there_is_missing(small: Small, feed: str) -> None:
    del small.cloud.pubsub.subscriptions[NAME]
    check = the(visit(small), f"feed {feed}")
    assert check.answer is (Answer.MISSING if feed == NAME else Answer.OK)
    assert feed != NAME or "make it again" in check.todo


READER = "reader@platform.iam.gserviceaccount.com"


def test_what_a_feed_needs_is_granted_where_it_is_and_nowhere_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "auditor.toml"
    config.write_text(
        '[[bucket]]\nurl = "gs://one"\nlayout = "{org}/"\naccount = "b"\n[audit_log]\nattribute = false\n'
        '[[account]]\nproject = "b"\nfeed = "projects/hub/subscriptions/one"\n'
        f'[[account]]\nproject = "c"\nimpersonate = "{READER}"\nfeed = "projects/hub/subscriptions/two"\n'
        '[[account]]\nproject = "d"\nfeed = "projects/d"\n'
    )
    argv = ["doctor", "--grants", "gcp", "--config", str(config)]
    lines = [one for one in run(capsys, argv)[1].splitlines() if "pubsub" in one or "logging" in one]
    to_hear = "gcloud pubsub subscriptions add-iam-policy-binding"
    role = "gcloud iam roles \"$VERB\" cmekAuditor --project=d --title='CMEK auditor' --stage=GA"
    assert lines == [
        f"{role} --permissions=logging.logEntries.list",
        f'{to_hear} one --project=hub --member="$MEMBER" --role=roles/pubsub.subscriber',
        f"{to_hear} two --project=hub --member=serviceAccount:{READER} --role=roles/pubsub.subscriber",
    ]
    told = json.loads(run(capsys, [*argv, "--format", "json"])[1])
    jsonschema.validate(told, grants.schema())
    assert [(one["name"], one["member"], one["permissions"]) for one in told["gcp"]["subscriptions"]] == [
        ("projects/hub/subscriptions/one", None, ["pubsub.subscriptions.consume"]),
        ("projects/hub/subscriptions/two", READER, ["pubsub.subscriptions.consume"]),
    ]


def test_the_filter_of_the_sink_in_the_readme_is_the_one_that_entries_are_read_by() -> None:
    text = (ROOT / "README.md").read_text()
    (shown,) = re.findall(r"^KEY_CHANGES='(.*?)'$", text, re.MULTILINE | re.DOTALL)
    assert " ".join(shown.split()) == WATCHED
    assert "'" not in WATCHED


def test_the_embedded_cloud_makes_a_subscription_over_the_wire_and_hands_its_log_on(tmp_path: Path) -> None:
    with a_small_cloud(tmp_path) as small:
        asked = {"topic": "projects/acme/topics/key-changes", "ackDeadlineSeconds": 60}
        made = requests.put(f"{small.cloud.endpoint}/v1/{NAME}", json=asked, timeout=10)
        assert made.json() == {"name": NAME, **asked}
        with_feed(small.config, NAME, small.cloud.endpoint)
        (one,) = feeds_of(small.config)
        small.cloud.store.note("UpdateCryptoKeyVersion", f"{GOOGLE_KEY}/cryptoKeyVersions/1")
        assert len(one.hear(0).hints) == 1
