"""When a key was used last, as KMS tells it, and what is made of a refusal."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest

from auditor.connectors.aws.session import AwsIdentity
from auditor.connectors.aws.usage import AwsLastUses
from auditor.connectors.pace import Pace
from auditor.embedded.aws import AwsCloud
from auditor.model import KeyName, Reason
from auditor.questions.retire.standing import LastUse, Recorded
from tests.clouds import an_aws_cloud, aws_clients

MINE = KeyName("arn:aws:kms:us-east-1:111122223333:key/1f3c0f5e-0000-4000-8000-000000000001")
OTHER = KeyName(f"{MINE.text[:-1]}2")
THERE = KeyName(MINE.text.replace("us-east-1", "eu-west-1"))
THEIRS = KeyName(MINE.text.replace("111122223333", "444455556666"))
WHEN = datetime(2026, 1, 31, 6, 30, tzinfo=UTC)


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[AwsCloud]:
    with an_aws_cloud(monkeypatch) as running:
        running.store.add_bucket("data")
        running.store.add_key(MINE.text, created=WHEN)
        yield running


def uses(pace: Pace | None = None, **identities: AwsIdentity) -> AwsLastUses:
    return AwsLastUses(aws_clients(None, 1, **identities), pace or Pace(1000))


def asked(cloud: AwsCloud) -> int:
    return sum(one.verb == "GetKeyLastUsage" for one in cloud.traffic.requests)


def test_a_key_that_was_used_tells_when_for_what_and_by_which_event(cloud: AwsCloud) -> None:
    cloud.store.put("data", "a", sse="aws:kms", key=MINE.text)
    boto3.client("s3", region_name="us-east-1").get_object(Bucket="data", Key="a")
    found = uses().read(MINE)
    assert isinstance(found, LastUse)
    assert found.at is not None
    assert abs(datetime.now(UTC) - found.at) < timedelta(minutes=1)
    key = cloud.store.key(MINE.text)
    assert key is not None
    assert key.last_use is not None
    assert (found.operation, found.event, found.recorded) == ("Decrypt", key.last_use.event, Recorded.USED)
    assert found.at.tzinfo is UTC


def test_without_a_record_it_is_never_used_only_where_recording_is_as_old_as_the_key(cloud: AwsCloud) -> None:
    found = uses().read(MINE)
    assert found == LastUse(since=WHEN, created=WHEN)
    assert found.recorded is Recorded.NEVER_USED
    cloud.store.tracks_since = WHEN + timedelta(seconds=1)
    found = uses().read(MINE)
    assert found == LastUse(since=WHEN + timedelta(seconds=1), created=WHEN)
    assert found.recorded is Recorded.NO_RECORD, "of before nobody knows"


def test_that_nobody_says_when_the_key_was_made_makes_it_no_key_that_was_never_used() -> None:
    assert LastUse(since=WHEN, created=None).recorded is Recorded.NO_RECORD


FAULTS: dict[str, tuple[dict[str, Any], Reason]] = {
    "denied": ({"status": 400, "code": "AccessDeniedException"}, Reason.ACCESS_DENIED),
    "throttled": ({"status": 400, "code": "ThrottlingException"}, Reason.THROTTLED),
    "an endpoint that does not know it": ({"status": 400, "code": "UnknownOperationException"}, Reason.UNSUPPORTED),
    "a key that is not there": ({"status": 400, "code": "NotFoundException"}, Reason.NOT_FOUND),
    "credentials that ran out": ({"status": 400, "code": "ExpiredTokenException"}, Reason.EXPIRED_CREDENTIALS),
    "a fault of KMS": ({"status": 500, "code": "KMSInternalException"}, Reason.TIMEOUT),
    "no JSON": ({"status": 200, "body": b"<html>"}, Reason.MALFORMED),
    "nothing in it": ({"status": 200, "body": b"{}"}, Reason.MALFORMED),
}


@pytest.mark.parametrize(("fault", "reason"), FAULTS.values(), ids=FAULTS)
def test_who_says_nothing_is_no_key_without_a_use(cloud: AwsCloud, fault: dict[str, Any], reason: Reason) -> None:
    cloud.traffic.fail("kms GetKeyLastUsage", **fault)
    assert uses().read(MINE) is reason


def told(key: str, use: float | None) -> bytes:
    last = {} if use is None else {"Timestamp": use, "Operation": "Decrypt"}
    dates = {"TrackingStartDate": WHEN.timestamp(), "KeyCreationDate": WHEN.timestamp()}
    return json.dumps({"KeyId": key, "KeyLastUsage": last, **dates}).encode()


@pytest.mark.parametrize("key", [MINE.text, MINE.text.rpartition("/")[2]])
def test_the_key_may_be_named_in_full_or_by_its_id(cloud: AwsCloud, key: str) -> None:
    cloud.traffic.fail("kms GetKeyLastUsage", status=200, body=told(key, None))
    assert uses().read(MINE) == LastUse(since=WHEN, created=WHEN)


def test_an_answer_about_another_key_is_none(cloud: AwsCloud) -> None:
    cloud.traffic.fail("kms GetKeyLastUsage", status=200, body=told(OTHER.text, None))
    assert uses().read(MINE) is Reason.MALFORMED


@pytest.mark.parametrize("use", [1e15, 253402300800.0, float("nan")])
def test_a_date_off_the_calendar_is_no_answer(cloud: AwsCloud, use: float) -> None:
    cloud.traffic.fail("kms GetKeyLastUsage", status=200, body=told(MINE.text, use))
    assert uses().read(MINE) is Reason.MALFORMED


def test_a_key_of_another_account_is_not_asked(cloud: AwsCloud) -> None:
    cloud.store.add_key(THEIRS.text)
    assert uses().read(THEIRS) is Reason.NOT_VISIBLE
    assert asked(cloud) == 0


def test_a_key_of_an_account_with_a_role_there_is_asked_as_that_role(cloud: AwsCloud) -> None:
    cloud.store.add_key(THEIRS.text, created=WHEN)
    role = AwsIdentity("arn:aws:iam::444455556666:role/cmek-auditor")
    assert uses(a444455556666=role).read(THEIRS) == LastUse(since=WHEN, created=WHEN)


def test_whose_identity_it_is_may_stay_unknown_and_is_asked_once(cloud: AwsCloud) -> None:
    cloud.store.add_key(OTHER.text, created=WHEN)
    cloud.traffic.fail("sts ", status=403, code="AccessDenied")
    asking = uses()
    assert [asking.read(one) for one in (MINE, OTHER)] == [LastUse(since=WHEN, created=WHEN)] * 2
    assert sum(one.service == "sts" for one in cloud.traffic.requests) == 1


def test_a_region_from_which_nothing_comes_is_asked_once_and_holds_up_no_other(cloud: AwsCloud) -> None:
    cloud.store.add_key(THERE.text, created=WHEN)
    cloud.traffic.fail("kms GetKeyLastUsage", drop=True, times=1)
    asking = uses()
    assert [asking.read(one) for one in (MINE, OTHER)] == [Reason.TIMEOUT] * 2
    assert asked(cloud) == 1
    assert asking.read(THERE) == LastUse(since=WHEN, created=WHEN)


def test_one_refusal_or_fault_that_is_answered_says_nothing_of_other_keys(cloud: AwsCloud) -> None:
    cloud.store.add_key(OTHER.text, created=WHEN)
    cloud.traffic.fail("kms GetKeyLastUsage", status=500, code="KMSInternalException", times=1)
    asking = uses()
    assert asking.read(MINE) is Reason.TIMEOUT
    assert asking.read(OTHER) == LastUse(since=WHEN, created=WHEN)


def test_each_request_waits_for_its_turn(cloud: AwsCloud) -> None:
    waits: list[float] = []
    pace = Pace(0.5, burst=1, clock=lambda: 0.0, sleep=waits.append)
    cloud.store.add_key(OTHER.text)
    asking = uses(pace)
    asking.read(MINE)
    asking.read(OTHER)
    assert waits == [2.0]
