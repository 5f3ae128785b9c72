"""A doctor's visit names exactly what is missing, changes nothing, and what it says to grant is enough and no more."""

import functools
import json
import re
import socket
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from auditor.checkup import Answer, Check, exit_code
from auditor.config import load
from auditor.connectors.pace import Pace
from auditor.doctoring.polling import of_polls
from auditor.doctoring.rights import LOST
from auditor.doctoring.waivers import of_waivers
from auditor.embedded.aws import AwsCloud
from auditor.model import Cloud, Reason
from auditor.outputs import doctor_json, grants
from auditor.wiring import assemble, waivers_of
from tests.clouds import GOOGLE_KEY, RING, Clock, an_aws_cloud
from tests.core_builders import NOW
from tests.small import Small, a_small_cloud
from tests.test_denied import AWS_CONFIG, AWS_KEY, COUNTS, IMPORTED, PLATFORM
from tests.visits import named, run, the, tree, visit

ROOT = Path(__file__).parents[2]
PERMISSIONS = (ROOT / "docs/permissions.md").read_text()
ON_STORE = AWS_KEY.replace("000001", "000002")
FOREIGN = AWS_KEY.replace("111122223333", "444455556666")
ON_HSM = f"{RING}/cryptoKeys/hsm"
INSTANCE = "projects/acme/locations/us-east1/singleTenantHsmInstances/one"
NAMED = "".join(f'\n[[key]]\nname = "{one}"\n' for one in (AWS_KEY, IMPORTED, ON_STORE, GOOGLE_KEY, ON_HSM))

AWS_ACTIONS = (
    *("s3:GetBucketVersioning", "s3:GetEncryptionConfiguration", "s3:GetObjectVersion", "s3:ListAllMyBuckets"),
    *("s3:ListBucket", "s3:ListBucketMultipartUploads", "s3:ListBucketVersions", "kms:DescribeCustomKeyStores"),
    *("kms:DescribeKey", "kms:GetKeyPolicy", "kms:GetKeyRotationStatus", "kms:ListGrants", "kms:ListKeyRotations"),
    *("cloudtrail:LookupEvents", "cloudwatch:GetMetricStatistics"),
)
ONLY_FOR_RETIRE = "kms:GetKeyLastUsage"
"""No scan or poll asks for it, and so no visit: tests/questions/test_last_use.py takes it away."""
GCP_PERMISSIONS = (
    *("cloudkms.cryptoKeyVersions.list", "cloudkms.cryptoKeys.get", "cloudkms.cryptoKeys.getIamPolicy"),
    *("cloudkms.cryptoKeys.list", "cloudkms.keyRings.getIamPolicy", "cloudkms.retiredResources.list"),
    *("cloudkms.singleTenantHsmInstances.get", "resourcemanager.projects.get"),
    *("resourcemanager.projects.getIamPolicy", "storage.buckets.get", "storage.buckets.list"),
    *("storage.multipartUploads.list", "storage.objects.list", "logging.logEntries.list"),
    "monitoring.timeSeries.list",
)
NO_GAP_WITHOUT = {"cloudkms.retiredResources.list", "resourcemanager.projects.getIamPolicy"}
"""They matter once a key is gone, or no grant is on key and ring: docs/permissions.md says so."""
OF_LOGS = {"cloudtrail:LookupEvents", "logging.logEntries.list"}
"""They matter once somebody has done something: tests/attribution/test_attribution.py takes them away then."""


@pytest.fixture
def both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Small, AwsCloud]]:
    """Two clouds with a key of each kind that needs a permission of its own; the config names all of them."""
    with a_small_cloud(tmp_path) as small, an_aws_cloud(monkeypatch) as aws:
        aws.store.add_bucket("objects")
        aws.store.add_key_store("cks-1", "us-east-1")
        aws.store.add_key(AWS_KEY)
        aws.store.add_key(ON_STORE, store="cks-1")
        aws.store.add_key(IMPORTED, origin="EXTERNAL")
        for key in (AWS_KEY, ON_STORE, IMPORTED):
            for number in range(40):
                aws.store.put("objects", f"acme/{key[-2:]}/{number}", size=100, sse="aws:kms", key=key)
        store = small.cloud.store
        store.add_instance(INSTANCE)
        store.add_key(ON_HSM, backend=INSTANCE).versions[1].protection = "HSM_SINGLE_TENANT"
        store.put("data", "acme/hsm/1", key=ON_HSM, version=1, size=9)
        small.config.write_text(small.config.read_text() + AWS_CONFIG + PLATFORM + NAMED + COUNTS)
        yield small, aws


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Small]:
    with a_small_cloud(tmp_path) as running:
        yield running


def granted(small: Small, capsys: pytest.CaptureFixture[str], cloud: str) -> dict[str, Any]:
    code, out, _ = run(capsys, small.argv("doctor", "--grants", cloud, "--format", "json"))
    told = json.loads(out)
    jsonschema.validate(told, grants.schema())
    assert code == 0
    found: dict[str, Any] = told[cloud]
    return found


def permits(document: Mapping[str, Any], without: str = "") -> Callable[[str, str, str], bool]:
    """Read an IAM policy as AWS does, as far as the doctor writes one."""

    def fits(statement: Mapping[str, Any], action: str, resource: str) -> bool:
        actions, resources = (
            one if isinstance(one, list) else [one] for one in (statement["Action"], statement["Resource"])
        )
        return any(fnmatchcase(action, one) for one in actions) and any(fnmatchcase(resource, one) for one in resources)

    def may(_account: str, action: str, resource: str) -> bool:
        hits = [one["Effect"] for one in document["Statement"] if fits(one, action, resource)]
        return action != without and "Allow" in hits and "Deny" not in hits

    return may


IMPERSONATE = 'impersonate = "a@acme.iam.gserviceaccount.com"'
BY_NUMBER = '[[account]]\nproject = "123456"'
IMPERSONATING: dict[str, tuple[str, bool]] = {
    "by the id alone": (IMPERSONATE, True),
    "nobody": ("", False),
    "by both names": (f"{IMPERSONATE}\n{BY_NUMBER}\n{IMPERSONATE}", False),
    "by the number as the default identity": (f"{IMPERSONATE}\n{BY_NUMBER}", False),
}


@pytest.mark.parametrize(("more", "is_told"), IMPERSONATING.values(), ids=IMPERSONATING)
def test_a_key_by_the_number_of_a_project_that_has_an_identity_by_its_id_is_told(
    small: Small, more: str, *, is_told: bool
) -> None:
    text = small.config.read_text().replace('project = "acme"\n', f'project = "acme"\n{more}\n')
    small.config.write_text(f'{text}\n[[key]]\nname = "{NUMBERED}"\n')
    told = [one for one in visit(small) if one.what == "identity"]
    assert [(one.answer, "also if it is acme, which has another" in one.told) for one in told] == (
        [(Answer.UNKNOWN, True)] if is_told else []
    )


def test_where_nothing_is_missing_it_ends_with_0_and_leaves_no_trace(
    both: tuple[Small, AwsCloud], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    before = tree(tmp_path)
    code, out, err = run(capsys, both[0].argv("doctor"))
    assert (code, err, tree(tmp_path)) == (0, "", before)
    assert re.match(r"Of [0-9]+ checks: [0-9]+ ok, [0-9]+ off\.\n", out)
    for group in ("config", "this machine", "AWS, default identity", "AWS account 111122223333", "Google project acme"):
        assert f"\n{group}\n" in out


def test_its_json_says_the_same_and_is_what_the_schema_says(
    both: tuple[Small, AwsCloud], capsys: pytest.CaptureFixture[str]
) -> None:
    small, aws = both
    aws.store.denied.add(("HeadBucket", "objects"))
    code, out, _ = run(capsys, small.argv("doctor", "--format", "json"))
    told = json.loads(out)
    jsonschema.validate(told, doctor_json.schema())
    (missing,) = (one for one in told["checks"] if one["answer"] == "missing")
    assert (code, told["counts"]["missing"]) == (1, 1)
    assert (missing["permission"], missing["reason"]) == ("s3:ListBucket", "access_denied")
    assert missing["lost"]
    assert "grant s3:ListBucket" in missing["todo"]


def test_a_ledger_that_is_there_is_read_and_stays_as_it_is(
    both: tuple[Small, AwsCloud], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    small, _ = both
    assert run(capsys, small.argv("scan", "-q"))[0] == 0
    before = tree(tmp_path)
    checks = visit(small)
    assert tree(tmp_path) == before
    assert exit_code(checks) == 0
    assert "whose chain holds; 5 keys known" in the(checks, "ledger").told


def test_a_ledger_that_is_written_meanwhile_is_read_as_well(small: Small, capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, small.argv("scan", "-q"))
    assembly = assemble(load(small.config))
    path = small.config.parent / "state" / "ledger.db"
    with sqlite3.connect(path) as other:
        other.execute("PRAGMA journal_mode = WAL")
        other.execute("CREATE TABLE passing (x)")
        other.execute("DROP TABLE passing")
        other.commit()
        assert path.with_name("ledger.db-wal").stat().st_size
        assert the(visit(small), "ledger").answer is Answer.OK
    other.close()
    assembly.close()


def test_no_question_is_asked_twice_and_no_list_beyond_its_first_entries(both: tuple[Small, AwsCloud]) -> None:
    small, aws = both
    visit(small)
    asked = [(one.verb, one.target, one.body) for one in (*aws.traffic.requests, *small.cloud.traffic.requests)]
    assert len(asked) == len(set(asked))
    bounds = re.compile(r"max-keys=20|max-uploads=1|max-buckets=1|maxResults=1|pageSize=1\b|\"Limit\": ?1\b")
    lists = ("?versions", "?uploads", "/storage/v1/b?", "/o?", "cryptoKeys?", "cryptoKeyVersions?", "retiredResources?")
    listing = [
        one for one in asked if any(each in one[1] for each in lists) or one[0] in {"ListGrants", "ListKeyRotations"}
    ]
    assert len(listing) >= 10
    assert [one for one in listing if not bounds.search(" ".join(one))] == []


def test_with_exactly_what_it_says_to_grant_on_aws_there_is_no_gap(
    both: tuple[Small, AwsCloud], capsys: pytest.CaptureFixture[str]
) -> None:
    small, aws = both
    (policy,) = granted(small, capsys, "aws")["policies"]
    document = policy["document"]
    allowed = [action for one in document["Statement"] if one["Effect"] == "Allow" for action in one["Action"]]
    assert sorted(allowed) == sorted((*AWS_ACTIONS, ONLY_FOR_RETIRE))
    aws.store.permits = permits(document)
    code, out, _ = run(capsys, small.argv("scan", "-q", "--format", "json"))
    assert (code, json.loads(out)["gaps"]) == (0, [])
    assert exit_code(visit(small)) == 0


@pytest.mark.parametrize("action", AWS_ACTIONS)
def test_each_permission_of_aws_that_is_taken_away_is_named_alone_and_is_a_gap(
    both: tuple[Small, AwsCloud], capsys: pytest.CaptureFixture[str], action: str
) -> None:
    small, aws = both
    (policy,) = granted(small, capsys, "aws")["policies"]
    aws.store.permits = permits(policy["document"], without=action)
    checks = visit(small)
    assert (named(checks, Answer.MISSING), exit_code(checks)) == ({action}, 1)
    assert all(
        one.lost == LOST[action] and action in f"{one.todo} {one.permission}"
        for one in checks
        if one.permission == action and one.answer is Answer.MISSING
    )
    code, out, _ = run(capsys, small.argv("scan", "-q", "--format", "json", "--fail-on", "critical"))
    assert code == (0 if action in OF_LOGS else 3)
    assert {one["reason"] for one in json.loads(out)["gaps"]} <= {"access_denied", "not_visible"}


def test_the_queue_of_a_feed_is_asked_for_and_nothing_is_taken_from_it(
    both: tuple[Small, AwsCloud], capsys: pytest.CaptureFixture[str]
) -> None:
    small, aws = both
    queue = aws.store.add_queue("cmek")
    queue.put_text("an event")
    feed = f'\n[[account]]\nid = "111122223333"\nfeed = "{queue.url}"\n'
    small.config.write_text(small.config.read_text() + feed)
    (policy,) = granted(small, capsys, "aws")["policies"]
    aws.store.permits = permits(policy["document"])
    checks = visit(small)
    assert exit_code(checks) == 0
    assert the(checks, "queue of its events").told == "it is there; the daemon shows whether it may be read"
    assert [one.received for one in queue.messages] == [0]

    action = "sqs:GetQueueAttributes"
    aws.store.permits = permits(policy["document"], without=action)
    checks = visit(small)
    assert (named(checks, Answer.MISSING), exit_code(checks)) == ({action}, 1)
    one = the(checks, "queue of its events")
    assert (one.lost, one.group) == (LOST[action], "AWS account 111122223333")

    aws.store.permits = permits(policy["document"])
    aws.store.queues.clear()
    one = the(visit(small), "queue of its events")
    assert (one.answer, one.reason) == (Answer.MISSING, Reason.NOT_FOUND)


@pytest.mark.parametrize(
    ("under", "answer", "told"),
    [
        (AWS_KEY, Answer.MISSING, "under a key that is watched: whoever takes that key away silences the feed"),
        (AWS_KEY.rpartition("/")[2], Answer.MISSING, f"silences the feed ({AWS_KEY})"),
        ("alias/mine", Answer.UNKNOWN, "it is there, under alias/mine: whether that is a key that is watched"),
        ("alias/aws/sqs", Answer.OK, "it is there; the daemon shows whether it may be read"),
        (f"{AWS_KEY[:-1]}f", Answer.OK, "it is there; the daemon shows whether it may be read"),
        (None, Answer.OK, "it is there; the daemon shows whether it may be read"),
    ],
    ids=["a watched key", "its id", "an alias", "the key of SQS", "another key", "no key of KMS"],
)
def test_a_feed_that_goes_away_with_a_key_that_it_tells_of_is_told(
    both: tuple[Small, AwsCloud], under: str | None, answer: Answer, told: str
) -> None:
    small, aws = both
    queue = aws.store.add_queue("cmek")
    queue.key = under
    config = small.config.read_text() + f'\n[[account]]\nid = "111122223333"\nfeed = "{queue.url}"\n'
    small.config.write_text(config)
    one = the(visit(small), "queue of its events")
    assert (one.answer, told in one.told) == (answer, True)


def test_a_feed_of_an_account_without_a_known_key_says_that_it_tells_of_none(both: tuple[Small, AwsCloud]) -> None:
    small, aws = both
    queue = aws.store.add_queue("cmek", account="444455556666")
    config = small.config.read_text() + f'\n[[account]]\nid = "444455556666"\nfeed = "{queue.url}"\n'
    small.config.write_text(config)
    told = the(visit(small), "queue of its events").told
    assert told.endswith("of the keys that are known none is in 444455556666, so that none is heard of there")


def test_with_exactly_what_it_says_to_grant_on_google_cloud_there_is_no_gap(
    both: tuple[Small, AwsCloud], capsys: pytest.CaptureFixture[str]
) -> None:
    small, _ = both
    (role,) = granted(small, capsys, "gcp")["roles"]
    assert role["permissions"] == sorted(GCP_PERMISSIONS)
    small.cloud.store.permits = lambda permission, _: permission in role["permissions"]
    code, out, _ = run(capsys, small.argv("scan", "-q", "--format", "json"))
    assert (code, json.loads(out)["gaps"]) == (0, [])
    assert exit_code(visit(small)) == 0


@pytest.mark.parametrize("permission", GCP_PERMISSIONS)
def test_each_permission_of_google_cloud_that_is_taken_away_is_named_alone_and_is_a_gap(
    both: tuple[Small, AwsCloud], capsys: pytest.CaptureFixture[str], permission: str
) -> None:
    small, _ = both
    small.cloud.store.permits = lambda asked, _: asked != permission
    checks = visit(small)
    assert (named(checks, Answer.MISSING), exit_code(checks)) == ({permission}, 1)
    code, out, _ = run(capsys, small.argv("scan", "-q", "--format", "json", "--fail-on", "critical"))
    is_gap = permission not in NO_GAP_WITHOUT | OF_LOGS
    assert (code, bool(json.loads(out)["gaps"])) == (3 if is_gap else 0, is_gap)


def test_what_is_lost_without_each_permission_is_what_the_permissions_page_says() -> None:
    rows = [line.split(" | ") for line in PERMISSIONS.splitlines() if line.startswith("| `")]
    told: dict[str, str] = {}
    for first, *_, last in rows:
        told |= dict.fromkeys(re.findall(r"`([a-z0-9]+[.:][\w.:]+)`", first), last.replace("`", "").removesuffix(" |"))
    for permission, lost in LOST.items():
        if permission in told:
            assert told[permission].startswith(lost), permission
    # Those of probes stand in a table of their own.
    probes = {"kms:Decrypt", "storage.objects.get", "cloudkms.ekmConnections.verifyConnectivity"}
    assert set(LOST) - set(told) == probes
    assert all(f"`{one}`" in PERMISSIONS for one in probes)


# Clouds that answer otherwise


def test_a_key_of_another_account_tells_who_must_do_what(both: tuple[Small, AwsCloud]) -> None:
    small, aws = both
    aws.store.add_key(FOREIGN)
    aws.store.put("objects", "aaa/first", sse="aws:kms", key=FOREIGN)
    checks = visit(small)
    assert the(checks, f"{FOREIGN}: state").answer is Answer.OK, "it was found under the first object"
    policy = the(checks, f"{FOREIGN}: policy")
    assert (policy.answer, policy.reason) == (Answer.MISSING, Reason.NOT_VISIBLE)
    assert "give its account an [[account]] with a role there" in policy.todo
    aws.store.remove_key(FOREIGN)
    state = the(visit(small), f"{FOREIGN}: state")
    assert (state.answer, "a key that is not there is refused alike" in state.told) == (Answer.MISSING, True)
    assert "--grants aws" in state.todo


def test_a_key_that_is_gone_is_told_by_what_the_ledger_knows_and_lacks_no_permission(
    both: tuple[Small, AwsCloud], capsys: pytest.CaptureFixture[str]
) -> None:
    small, aws = both
    run(capsys, small.argv("scan", "-q"))
    aws.store.remove_key(AWS_KEY)
    small.cloud.store.delete_key(ON_HSM)
    checks = visit(small)
    assert [one for one in checks if one.answer in {Answer.MISSING, Answer.UNKNOWN}] == []
    for name in (AWS_KEY, ON_HSM):
        told = the(checks, f"{name}: state").told
        assert re.fullmatch(
            r"answered: the key is gone; it was there until [0-9-]{10} [0-9:]{5} UTC, and `scan` tells what is lost",
            told,
        )
    assert [one.what for one in checks if AWS_KEY in one.what] == [f"{AWS_KEY}: state"], "its policy has gone with it"


def test_a_key_that_the_config_names_and_that_never_was_is_missing_and_one_that_data_names_is_lost(
    both: tuple[Small, AwsCloud], capsys: pytest.CaptureFixture[str]
) -> None:
    small, aws = both
    never = AWS_KEY.replace("1f3c0f5e", "00000000")
    small.config.write_text(f'{small.config.read_text()}\n[[key]]\nname = "{never}"\n')
    missing = the(visit(small), f"{never}: state")
    assert (missing.answer, missing.told) == (Answer.MISSING, "answered: there is no such key")
    assert "look at its name in [[key]]" in missing.todo
    run(capsys, small.argv("scan", "-q"))
    missing = the(visit(small), f"{never}: state")
    assert (missing.answer, "nor was there one when it was asked before" in missing.told) == (Answer.MISSING, True)

    lost = AWS_KEY.replace("us-east-1", "eu-west-1")
    aws.store.put("objects", "aaa/first", sse="aws:kms", key=lost)
    told = the(visit(small), f"{lost}: state")
    assert (told.answer, "though data names it" in told.told) == (Answer.OK, True)
    run(capsys, small.argv("scan", "-q"))
    told = the(visit(small), f"{lost}: state")
    assert (told.answer, "the key is gone, as is known since" in told.told) == (Answer.OK, True)


def test_without_principals_nobody_asks_who_may_decrypt_on_aws_and_that_is_missing(
    both: tuple[Small, AwsCloud],
) -> None:
    small, _ = both
    small.config.write_text(small.config.read_text().replace(PLATFORM, ""))
    checks = visit(small)
    assert the(checks, "aws_principals").answer is Answer.MISSING
    assert the(checks, f"{AWS_KEY}: grants").answer is Answer.OFF


def test_one_bucket_that_is_not_there_stops_no_other(both: tuple[Small, AwsCloud]) -> None:
    small, _ = both
    small.config.write_text(f"{small.config.read_text()}{AWS_CONFIG.replace('objects', 'nowhere')}")
    checks = visit(small)
    bad = {one.what for one in checks if one.answer is Answer.MISSING}
    assert bad
    assert all("s3://nowhere" in one for one in bad)
    assert the(checks, "s3://objects: list").answer is Answer.OK


def test_a_poll_that_the_quota_share_makes_longer_than_key_poll_is_told(
    both: tuple[Small, AwsCloud], monkeypatch: pytest.MonkeyPatch
) -> None:
    small, _ = both
    for cloud in ("aws", "gcp"):
        # Whoever asks what it would take would wait for it as well.
        monkeypatch.setattr(f"auditor.clouds.{cloud}.Pace", functools.partial(Pace, sleep=lambda _: None))
    what = ("key_poll for AWS KMS", "key_poll for Cloud KMS")
    assert [the(visit(small), one).answer for one in what] == [Answer.OK, Answer.OK]
    limits = "kms_quota_share = 0.0001\ngcp_kms_quota_share = 0.002"
    small.config.write_text(f"{small.config.read_text()}\n[limits]\n{limits}\n")
    aws, google = (the(visit(small), one) for one in what)
    assert (aws.answer, google.answer) == (Answer.MISSING, Answer.MISSING)
    assert aws.told == "3 keys: 300 s a poll at kms_quota_share = 0.0001, due every 5 s"
    assert google.told == "2 keys: 300 s a poll at gcp_kms_quota_share = 0.002, due every 5 s"
    assert google.todo == "say gcp_kms_quota_share = 0.12 or more, or key_poll = 300"
    assert aws.todo == "say kms_quota_share = 0.006 or more, or key_poll = 300"


def test_advice_on_polls_names_no_quota_that_would_change_nothing(tmp_path: Path) -> None:
    with a_small_cloud(tmp_path) as small:
        config = load(small.config)
    share = config.limits.gcp_kms_quota_share
    check = of_polls(config, Cloud.GCP, 1000, 90 / share)
    assert (check.answer, config.schedule.key_poll) == (Answer.MISSING, 5)
    assert check.todo == f"say key_poll = {round(90 / share)}, or key_poll = 90 with gcp_kms_quota_share = 1"


def test_a_wrong_region_is_told_with_the_right_one(both: tuple[Small, AwsCloud]) -> None:
    small, aws = both
    aws.store.buckets["objects"].region = "eu-west-1"
    checks = visit(small)
    there = the(checks, "s3://objects: is there")
    assert (there.answer, "eu-west-1" in there.todo) == (Answer.MISSING, True)


def test_an_empty_bucket_and_data_under_a_writers_own_key_lack_nothing(both: tuple[Small, AwsCloud]) -> None:
    small, aws = both
    aws.store.add_bucket("empty")
    aws.store.put("objects", "aaa", sse=None, customer_key=b"k" * 32)
    small.config.write_text(f"{small.config.read_text()}{AWS_CONFIG.replace('objects', 'empty')}")
    checks = visit(small)
    assert exit_code(checks) == 0
    assert the(checks, "s3://empty: HEAD").told == "answered: there is no such object"
    assert the(checks, "s3://objects: HEAD").told == "answered as of data under its writer's own key"
    aws.store.denied |= {("ListObjectVersions", "empty"), ("GetObject", "empty")}
    head = the(visit(small), "s3://empty: HEAD")
    assert (head.answer, head.reason) == (Answer.UNKNOWN, Reason.NOT_VISIBLE), "to whom may not list that says nothing"


@pytest.mark.parametrize(("status", "reason"), [(429, Reason.THROTTLED), (503, Reason.TIMEOUT)])
def test_a_cloud_that_throttles_or_fails_is_unknown_and_ends_with_3(
    small: Small, monkeypatch: pytest.MonkeyPatch, status: int, reason: Reason
) -> None:
    monkeypatch.setattr("auditor.connectors.gcp.calls._FIRST_WAIT", 0.001)
    small.cloud.traffic.fail("kms GetCryptoKey ", status=status)
    checks = visit(small)
    state = the(checks, f"{GOOGLE_KEY}: state")
    assert (state.answer, state.reason, exit_code(checks)) == (Answer.UNKNOWN, reason, 3)
    assert the(checks, f"{GOOGLE_KEY}: versions").answer is Answer.OK


def test_who_hangs_is_unknown_and_holds_up_nobody(
    both: tuple[Small, AwsCloud], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("auditor.clouds.aws.PATIENCE", 2)
    small, aws = both
    aws.traffic.fail("s3 HEAD /objects ", delay=5.0)
    checks = visit(small, within=60.0)
    silent = the(checks, "s3://objects: is there")
    assert (silent.answer, silent.reason, silent.told) == (Answer.UNKNOWN, Reason.TIMEOUT, "ReadTimeoutError")
    assert named(checks, Answer.MISSING) == set()
    assert [one.what for one in checks if one.answer is Answer.UNKNOWN] == [silent.what]


@pytest.mark.parametrize("password", ["secret", "sec@secret", "sec%2Fsecret", "sec/secret"])
def test_a_password_in_an_endpoint_is_not_told(
    both: tuple[Small, AwsCloud], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], password: str
) -> None:
    small, _ = both
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"http://me:{password}@127.0.0.1:1")
    for form in ("table", "json"):
        _, out, err = run(capsys, small.argv("doctor", "--format", form))
        assert ("secret" in out + err, "me:" in out + err) == (False, False)
        assert "endpoint http://...@127.0.0.1:1" in out
    _, out, err = run(capsys, small.argv("scan", "--verbose"))
    assert ("secret" in out + err, "me:" in out + err) == (False, False)


def test_an_endpoint_that_is_not_there_is_told_once_and_not_asked_again(
    both: tuple[Small, AwsCloud], monkeypatch: pytest.MonkeyPatch
) -> None:
    small, _ = both
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"http://127.0.0.1:{port}")
    checks = visit(small)
    look = the(checks, f"endpoint http://127.0.0.1:{port}")
    assert (look.answer, look.told) == (Answer.UNKNOWN, "no connection: Connection refused")
    assert the(checks, "s3://objects: HEAD").told == "not asked: its endpoint answered nothing before"
    assert (the(checks, f"{AWS_KEY}: state").answer, exit_code(checks)) == (Answer.OK, 3)


def test_without_credentials_that_is_what_is_missing(
    both: tuple[Small, AwsCloud], monkeypatch: pytest.MonkeyPatch
) -> None:
    small, _ = both
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    checks = visit(small)
    (missing,) = (one for one in checks if one.answer is Answer.MISSING)
    assert (missing.group, missing.what, missing.reason) == (
        "AWS, default identity",
        "credentials",
        Reason.EXPIRED_CREDENTIALS,
    )
    assert the(checks, "gs://data: list").answer is Answer.OK


def test_half_of_the_credentials_is_told_as_such(both: tuple[Small, AwsCloud], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    checks = visit(both[0])
    told = next(one for one in checks if one.what == "credentials" and "AWS" in one.group)
    assert (told.answer, "half of the AWS credentials is missing" in told.told) == (Answer.MISSING, True)


def test_a_role_that_may_not_be_assumed_is_missing(both: tuple[Small, AwsCloud]) -> None:
    small, aws = both
    role = "arn:aws:iam::111122223333:role/cmek-auditor"
    small.config.write_text(f'{small.config.read_text()}\n[[account]]\nid = "111122223333"\nrole_arn = "{role}"\n')
    assert the(visit(small), f"{role}: become it").answer is Answer.OK
    aws.store.permits = lambda _account, action, _resource: action != "sts:AssumeRole"
    checks = visit(small)
    assert the(checks, f"{role}: become it").answer is Answer.MISSING
    assert named(checks, Answer.MISSING) == {"sts:AssumeRole"}


def test_credentials_of_another_account_than_the_config_says_are_told(both: tuple[Small, AwsCloud]) -> None:
    small, _ = both
    text = small.config.read_text().replace('url = "s3://objects"', 'url = "s3://objects"\naccount = "444455556666"')
    small.config.write_text(f'{text}\n[[account]]\nid = "444455556666"\n')
    told = next(one for one in visit(small) if one.what == "credentials" and "444455556666" in one.group)
    assert (told.answer, "is of another account" in told.told) == (Answer.MISSING, True)


def test_clocks_that_part_are_told(both: tuple[Small, AwsCloud]) -> None:
    small, _ = both
    clock = Clock()
    clock.ahead = timedelta(minutes=10)
    small.cloud.store.clock = clock
    both[1].store.clock = clock
    told = the(visit(small), "clock")
    assert told.answer is Answer.MISSING
    assert re.fullmatch(r"(599|600|601) s behind the clouds'", told.told)
    clock.ahead = timedelta(seconds=30)
    assert the(visit(small), "clock").answer is Answer.OK


def test_probes_are_tried_where_they_are_asked_for(both: tuple[Small, AwsCloud]) -> None:
    small, aws = both
    small.config.write_text(f"{small.config.read_text()}\n[probe]\nreads = true\ndry_runs = true\n")
    checks = visit(small)
    assert exit_code(checks) == 0
    assert the(checks, "s3://objects: read one byte").told == "passed"
    assert the(checks, f"{AWS_KEY}: dry run").told == "passed"
    assert the(checks, "gs://data: read one byte").told == "passed"
    aws.store.permits = lambda _account, action, _resource: action != "kms:Decrypt"
    small.cloud.store.permits = lambda permission, _resource: permission != "storage.objects.get"
    assert named(visit(small), Answer.MISSING) == {"kms:Decrypt", "storage.objects.get"}


def test_an_ekm_connection_is_verified_where_that_is_asked_for(small: Small) -> None:
    connection = "projects/acme/locations/us-east1/ekmConnections/one"
    key = small.cloud.store.add_key(f"{RING}/cryptoKeys/ekm", backend=connection)
    key.versions[1].protection = "EXTERNAL_VPC"
    small.cloud.store.connections[connection] = True
    text = f'\n[probe]\nverify_connectivity = true\n[[key]]\nname = "{RING}/cryptoKeys/ekm"\n'
    small.config.write_text(f"{small.config.read_text()}{text}")
    assert the(visit(small), "ekm: its EKM connection").told == "answered"
    small.cloud.store.permits = lambda permission, _: permission != "cloudkms.ekmConnections.verifyConnectivity"
    assert named(visit(small), Answer.MISSING) == {"cloudkms.ekmConnections.verifyConnectivity"}


def test_without_a_project_the_owner_of_a_bucket_that_hides_its_settings_is_not_known(small: Small) -> None:
    text = small.config.read_text().replace('account = "acme"', "").replace('[[account]]\nproject = "acme"', "")
    small.config.write_text(text)
    small.cloud.store.permits = lambda permission, _: permission != "storage.buckets.get"
    checks = visit(small)
    assert the(checks, "its storage service agent").answer is Answer.UNKNOWN
    assert the(checks, "list of all buckets").reason is Reason.UNSUPPORTED


def test_rows_of_one_kind_are_one_row_where_all_is_well(
    both: tuple[Small, AwsCloud], capsys: pytest.CaptureFixture[str]
) -> None:
    small, aws = both
    more = ""
    for number in range(5):
        aws.store.add_bucket(f"more-{number}")
        more += AWS_CONFIG.replace("objects", f"more-{number}")
    small.config.write_text(small.config.read_text() + more)
    aws.store.denied.add(("ListMultipartUploads", "more-3"))
    code, out, _ = run(capsys, small.argv("doctor"))
    assert code == 1
    first = "s3://objects, s3://more-0, s3://more-1"
    assert re.search(rf"\nok +list \(s3:ListBucketVersions\) +6 buckets: {first} and 3 more *\n", out)
    assert re.search(
        rf"\nok +unfinished uploads \(s3:ListBucketMultipartUploads\) +5 buckets: {first} and 2 more *\n", out
    )
    assert "missing  s3://more-3: unfinished uploads" in out
    lines = out.splitlines()
    place = lines.index("missing: s3:ListBucketMultipartUploads: s3://more-3: unfinished uploads")
    assert lines[place + 1 : place + 3] == [
        "  lost without it: the count is null, with a gap",
        "  to do: grant s3:ListBucketMultipartUploads to the auditor",
    ]
    aws.store.denied |= {("GetBucketVersioning", f"more-{number}") for number in range(4)}
    aws.traffic.fail("s3 GET /more-4?", status=503)
    aws.traffic.fail("s3 HEAD /more-4", status=503)
    _, out, _ = run(capsys, small.argv("doctor"))
    assert "\nmissing: s3:GetBucketVersioning: s3://more-0: versioning and 3 more\n" in out
    assert re.search(r"\nunknown: .*s3://more-4: .* and 3 more\n  to do: lower requests_per_second", out)


def test_keys_that_are_alike_are_one_row_with_the_reason_whosever_they_are_and_json_has_each(
    small: Small, capsys: pytest.CaptureFixture[str]
) -> None:
    more = ""
    for number in range(5):
        name = f"projects/p{number}/locations/us-east1/keyRings/r/cryptoKeys/k"
        small.cloud.store.add_key(name)
        more += f'\n[[key]]\nname = "{name}"\n'
    small.config.write_text(small.config.read_text() + more)
    small.cloud.store.permits = lambda permission, resource: (
        not (permission == "cloudkms.cryptoKeys.getIamPolicy" and "projects/p" in resource)
    )
    code, out, _ = run(capsys, small.argv("doctor"))
    assert code == 1
    first = "p0/us-east1/r/k, p1/us-east1/r/k, p2/us-east1/r/k and 2 more"
    policy = r"IAM policy \(cloudkms.cryptoKeys.getIamPolicy\)"
    assert re.search(rf"\nmissing +{policy} +5 keys: {first}; HTTP 403 \[access_denied\] *\n", out)
    assert re.search(
        r"\nok +versions \(cloudkms.cryptoKeyVersions.list\) +6 keys: acme/us-east1/tpuf/main, p0/us-east1", out
    )
    assert "\nGoogle project p3\n" not in out, "nothing of it is unlike the others"
    assert "--format json has every check" in out
    _, out, _ = run(capsys, small.argv("doctor", "--format", "json"))
    rows = [one for one in json.loads(out)["checks"] if one["permission"] == "cloudkms.cryptoKeys.getIamPolicy"]
    assert [one["answer"] for one in rows].count("missing") == 5


def test_a_config_that_cannot_be_used_ends_with_2(small: Small, capsys: pytest.CaptureFixture[str]) -> None:
    small.config.write_text(f"{small.config.read_text()}\n[surprise]\n")
    code, out, err = run(capsys, small.argv("doctor"))
    assert (code, out, "there is no such setting" in err) == (2, "", True)


FITTING = {
    f'key = "{GOOGLE_KEY}"': "",
    f'key = "{GOOGLE_KEY}/cryptoKeyVersions/1"': "",
    'bucket = "gs://dat*"': "",
    'namespace = "acme/*"': "",
    'tenant = "acme", bucket = "gs://data"': "",
    f'key = "{GOOGLE_KEY}s"': f"did you mean key {GOOGLE_KEY}? else remove the waiver",
    'bucket = "gs://dta"': "did you mean bucket gs://data? else remove the waiver",
    'namespace = "acmee/*"': "namespace acmee/*",
    'tenant = "acmee", bucket = "gs://data"': "tenant acmee",
}
NUMBERED = GOOGLE_KEY.replace("projects/acme", "projects/123456")
OF_RULES = {
    f'"rotation-off" key = "{NUMBERED}"': None,
    f'"data-unreadable" key = "{NUMBERED}/cryptoKeyVersions/2"': None,
    '"sweep-stale" bucket = "gs://data"': None,
    '"rotation-off" bucket = "gs://data"': "no finding of its rule can be about bucket gs://data",
    f'"sweep-stale" key = "{GOOGLE_KEY}"': f"no finding of its rule can be about key {GOOGLE_KEY}",
}
"""Rule and what is matched -> what is told of a waiver that no finding of its rule can come under."""


@pytest.mark.parametrize("asked", OF_RULES)
def test_a_waiver_fits_what_the_judge_takes_it_for(
    small: Small, asked: str, capsys: pytest.CaptureFixture[str]
) -> None:
    rule, match = asked.split(" ", 1)
    people = 'owner = "a@acme.example"\napproved_by = "b@acme.example"\nreason = "r"\n'
    until = datetime.now(UTC).date() + timedelta(days=30)
    waiver = f"[[waiver]]\nrule = {rule}\nmatch = {{ {match} }}\nuntil = {until}\n{people}"
    number = f'[[key]]\nname = "{NUMBERED}"\n'
    small.config.write_text(f"{small.config.read_text()}\n{number}{waiver}")
    small.set_state(2, "DISABLED")
    key = small.cloud.store.key(GOOGLE_KEY)
    assert key is not None
    key.rotated_every = None
    run(capsys, small.argv("scan", "-q"))
    _, out, _ = run(capsys, small.argv("poll", "-q", "--format", "json"))
    (check,) = of_waivers(load(small.config), waivers_of(load(small.config), datetime.now(UTC)))
    assert (check.told if check.answer is Answer.MISSING else None) == OF_RULES[asked]
    if NUMBERED in asked:
        mine = [
            one for one in json.loads(out)["findings"] if f'"{one["rule"]}"' == rule and "acme" in one["subject"]["id"]
        ]
        assert {one["status"] for one in mine} == {"waived"}


@pytest.mark.parametrize("match", FITTING)
def test_a_waiver_that_fits_nothing_is_told_once_something_was_judged(
    small: Small, match: str, capsys: pytest.CaptureFixture[str]
) -> None:
    people = 'owner = "a@acme.example"\napproved_by = "b@acme.example"\nreason = "r"\n'
    waiver = f'[[waiver]]\nrule = "data-unreadable"\nmatch = {{ {match} }}\nuntil = 2026-12-01\n{people}'
    config = small.config.read_text()
    small.config.write_text(f"{config}\n{waiver}")

    def told() -> Check:
        (one,) = of_waivers(load(small.config), waivers_of(load(small.config), NOW))
        return one

    assert told().answer is Answer.OFF
    run(capsys, small.argv("scan", "-q"))
    before, check = tree(small.config.parent), told()
    assert tree(small.config.parent) == before, "nothing was changed by it"
    if FITTING[match]:
        assert check.answer is Answer.MISSING
        assert FITTING[match] in f"{check.told}\n{check.todo}"
        assert check.told.startswith("no finding and no data of the last judgement has ")
    else:
        assert (check.answer, check.told) == (Answer.OK, "1 waiver: each fits something known")


def test_a_waiver_that_cannot_be_ends_with_2_as_in_a_scan(small: Small, capsys: pytest.CaptureFixture[str]) -> None:
    waiver = '[[waiver]]\nrule = "no-such"\nmatch = { tenant = "a" }\nuntil = 2026-12-01\n'
    people = 'owner = "a"\napproved_by = "b"\nreason = "c"\n'
    small.config.write_text(f"{small.config.read_text()}\n{waiver}{people}")
    assert run(capsys, small.argv("doctor"))[0] == 2


def test_names_that_are_hostile_reach_no_terminal(small: Small, capsys: pytest.CaptureFixture[str]) -> None:
    small.cloud.traffic.fail("kms GetCryptoKey ", status=403, message="\x1b[31mno")
    small.config.write_text(
        small.config.read_text()
        .replace('project = "acme"', 'project = "ac\\u001bme"', 1)
        .replace('account = "acme"', 'account = "ac\\u001bme"')
    )
    _, out, _ = run(capsys, small.argv("doctor"))
    assert "\x1b" not in out
    assert "ac\\x1bme" in out


def test_whether_the_own_log_may_be_written_is_asked_and_nothing_is_written(
    small: Small, capsys: pytest.CaptureFixture[str]
) -> None:
    small.config.write_text(f'{small.config.read_text()}[log]\ncloud_logging = "projects/acme/logs/cmek-auditor"\n')
    told = granted(small, capsys, "gcp")
    assert "logging.logEntries.create" in told["roles"][0]["permissions"]
    _, out, _ = run(capsys, small.argv("doctor"))
    assert "own log projects/acme/logs/cmek-auditor" in out
    assert "may not be written" not in out
    small.cloud.store.deny("logging.logEntries.create", "projects/acme")
    code, out, _ = run(capsys, small.argv("doctor"))
    assert code == 1
    assert "may not be written" in out
    assert "grant logging.logEntries.create" in " ".join(out.split())
    assert not [one for one in small.cloud.traffic.requests if "entries:write" in one.target]
