"""How a key on AWS is rotated, as KMS tells it, and what is made of a refusal."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from auditor.connectors.aws.keys import AwsKeys
from auditor.connectors.aws.rotation import _Kept, parse_rotation
from auditor.connectors.pace import Pace, Paces
from auditor.embedded.aws import AwsCloud
from auditor.model import AwsKey, KeyName, Reason, Rotation
from auditor.ports import KeyNeed
from tests.clouds import Clock, an_aws_cloud, aws_clients

MINE = KeyName("arn:aws:kms:us-east-1:111122223333:key/1f3c0f5e-0000-4000-8000-000000000001")
THEIRS = KeyName("arn:aws:kms:us-east-1:444455556666:key/1f3c0f5e-0000-4000-8000-000000000002")
WHEN = datetime(2026, 1, 31, 6, 30, tzinfo=UTC)


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[AwsCloud]:
    with an_aws_cloud(monkeypatch) as running:
        yield running


class Asking:
    """One source of keys, asked again and again."""

    def __init__(self) -> None:
        self.clock = Clock()
        self._keys = AwsKeys(aws_clients(None, 1), Pace(1000), self.clock, Pace(1000), Paces(lambda: Pace(1000)))

    def __call__(self, name: KeyName = MINE) -> AwsKey:
        (found,) = self._keys.read([KeyNeed(name)])
        assert isinstance(found, AwsKey)
        return found


def read(name: KeyName = MINE) -> AwsKey:
    return Asking()(name)


def asked(cloud: AwsCloud, verb: str) -> int:
    return sum(one.verb == verb for one in cloud.traffic.requests)


def test_a_key_that_aws_rotates_says_how_often_and_when_next(cloud: AwsCloud) -> None:
    cloud.store.add_key(MINE.text, created=WHEN, rotated_every=90)
    found = read()
    assert found.rotation is not None
    assert found.rotation.due is not None
    assert found.rotation.period == timedelta(days=90)
    assert found.rotation.latest == found.rotation.due - timedelta(days=90)
    assert (found.rotation.due - WHEN) % timedelta(days=90) == timedelta(0)
    assert timedelta(0) < found.rotation.due - datetime.now(UTC) <= timedelta(days=90)
    assert "kms:GetKeyRotationStatus" in {one.call for one in found.evidence}
    assert asked(cloud, "ListKeyRotations") == 1, "from the next date the last does not follow"


def test_a_key_that_is_not_rotated_tells_when_it_was_last_by_hand(cloud: AwsCloud) -> None:
    key = cloud.store.add_key(MINE.text, created=WHEN, rotated_every=None)
    assert read().rotation == Rotation(None, latest=WHEN)
    key.rotated = [WHEN + timedelta(days=9), WHEN + timedelta(days=5)]
    found = read()
    assert found.rotation == Rotation(None, latest=WHEN + timedelta(days=9))
    assert {"kms:GetKeyRotationStatus", "kms:ListKeyRotations"} <= {one.call for one in found.evidence}


def test_aws_rotates_once_a_year_where_no_period_is_told() -> None:
    assert parse_rotation({"KeyRotationEnabled": True}) == Rotation(timedelta(days=365))


def test_where_rotation_was_switched_on_later_the_list_tells_the_last(cloud: AwsCloud) -> None:
    key = cloud.store.add_key(MINE.text, created=WHEN, rotated_every=None)
    told = {
        "KeyId": MINE.text,
        "KeyRotationEnabled": True,
        "RotationPeriodInDays": 90,
        "NextRotationDate": (WHEN + timedelta(days=130)).timestamp(),
    }
    cloud.traffic.fail("kms GetKeyRotationStatus", status=200, body=json.dumps(told).encode())
    rotation = Rotation(timedelta(days=90), WHEN + timedelta(days=130), WHEN)
    assert read().rotation == rotation, "it was never rotated"
    key.rotated = [WHEN + timedelta(days=20)]
    assert read().rotation == replace(rotation, latest=WHEN + timedelta(days=20))


def test_a_key_that_has_not_come_to_its_first_rotation_is_as_old_as_it_is_unless_somebody_rotated_it(
    cloud: AwsCloud,
) -> None:
    created = datetime.now(UTC).replace(microsecond=0) - timedelta(days=3)
    key = cloud.store.add_key(MINE.text, created=created, rotated_every=90)
    due = created + timedelta(days=90)
    assert read().rotation == Rotation(timedelta(days=90), due, created)
    key.rotated = [created + timedelta(days=2)]
    assert read().rotation == Rotation(timedelta(days=90), due, created + timedelta(days=2))


def test_a_replica_is_as_old_as_the_material_that_it_shares(cloud: AwsCloud) -> None:
    key = cloud.store.add_key(MINE.text, created=WHEN, rotated_every=None, multi_region=True)
    assert read().rotation == Rotation(None), "when it was made tells nothing of its material"
    key.rotated = [WHEN - timedelta(days=300)]
    assert read().rotation == Rotation(None, latest=WHEN - timedelta(days=300))


def test_many_rotations_come_on_several_pages(cloud: AwsCloud) -> None:
    dates = [WHEN + timedelta(days=one) for one in range(1_100)]
    cloud.store.add_key(MINE.text, created=WHEN, rotated_every=None, rotated=dates)
    assert read().rotation == Rotation(None, latest=dates[-1])
    assert asked(cloud, "ListKeyRotations") == 2


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ({"status": 400, "code": "AccessDeniedException"}, Reason.ACCESS_DENIED),
        ({"status": 400, "code": "ThrottlingException"}, Reason.THROTTLED),
        (
            {"status": 200, "body": b'{"Rotations": [], "Truncated": true, "NextMarker": "again"}'},
            Reason.MALFORMED,
        ),
    ],
    ids=["denied", "throttled", "a page that names itself"],
)
def test_rotations_that_nobody_lists_leave_open_when_the_last_was(
    cloud: AwsCloud, fault: dict[str, Any], reason: Reason
) -> None:
    cloud.store.add_key(MINE.text, created=WHEN, rotated_every=None)
    cloud.traffic.fail("kms ListKeyRotations", **fault)
    found = read()
    assert (found.rotation, found.rotation_unread) == (Rotation(None, latest_unread=reason), None)
    assert "kms:ListKeyRotations" not in {one.call for one in found.evidence}


FAULTS: dict[str, tuple[dict[str, Any], Reason | None]] = {
    "denied": ({"status": 400, "code": "AccessDeniedException"}, Reason.ACCESS_DENIED),
    "throttled": ({"status": 400, "code": "ThrottlingException"}, Reason.THROTTLED),
    "no JSON": ({"status": 200, "body": b"<html>"}, Reason.MALFORMED),
    "of a key that is not rotated": ({"status": 400, "code": "UnsupportedOperationException"}, None),
}


@pytest.mark.parametrize(("fault", "reason"), FAULTS.values(), ids=FAULTS)
def test_a_rotation_that_could_not_be_read_is_told_with_the_reason(
    cloud: AwsCloud, fault: dict[str, Any], reason: Reason | None
) -> None:
    cloud.store.add_key(MINE.text, rotated_every=90)
    cloud.traffic.fail("kms GetKeyRotationStatus", **fault)
    found = read()
    assert (found.rotation, found.rotation_unread) == (None, reason)
    assert "kms:GetKeyRotationStatus" not in {one.call for one in found.evidence}


def test_another_account_lets_see_it_whom_it_wants(cloud: AwsCloud) -> None:
    cloud.store.add_key(THEIRS.text, created=WHEN, rotated_every=None)
    assert read(THEIRS).rotation == Rotation(None, latest_unread=Reason.NOT_VISIBLE)
    assert asked(cloud, "ListKeyRotations") == 0
    cloud.traffic.fail("kms GetKeyRotationStatus", status=400, code="AccessDeniedException")
    assert read(THEIRS).rotation_unread is Reason.NOT_VISIBLE


NEVER_ASKED: dict[str, dict[str, Any]] = {
    "AWS's own": {"manager": "AWS"},
    "imported": {"origin": "EXTERNAL"},
    "disabled": {"state": "Disabled"},
    "for signing": {"usage": "SIGN_VERIFY"},
    "of another spec": {"spec": "RSA_2048"},
}


@pytest.mark.parametrize("how", NEVER_ASKED.values(), ids=NEVER_ASKED)
def test_only_keys_that_aws_rotates_are_asked(cloud: AwsCloud, how: dict[str, Any]) -> None:
    cloud.store.add_key(MINE.text, **how)
    assert (read().rotation, read().rotation_unread) == (None, None)
    assert asked(cloud, "GetKeyRotationStatus") == 0


def test_an_answer_is_believed_for_an_hour(cloud: AwsCloud) -> None:
    cloud.store.add_key(MINE.text, created=WHEN, rotated_every=90)
    asking = Asking()
    first = asking()
    asking.clock.ahead += timedelta(minutes=59)
    assert asking().rotation == first.rotation
    assert asked(cloud, "GetKeyRotationStatus") == 1
    asking.clock.ahead += timedelta(minutes=1)
    asking()
    assert asked(cloud, "GetKeyRotationStatus") == 2
    asking.clock.ahead -= timedelta(days=1)
    asking()
    assert asked(cloud, "GetKeyRotationStatus") == 3, "a clock that was set back lets nothing stand for a day"


def test_an_answer_is_believed_no_longer_than_until_the_key_is_due(cloud: AwsCloud) -> None:
    made = (datetime.now(UTC) - timedelta(days=90) + timedelta(minutes=10)).replace(microsecond=0)
    cloud.store.add_key(MINE.text, created=made, rotated_every=90)
    asking = Asking()
    cloud.store.clock = asking.clock
    before = asking().rotation
    asking.clock.ahead += timedelta(minutes=5)
    assert asking().rotation == before
    asking.clock.ahead += timedelta(minutes=5, seconds=1)
    found = asking().rotation
    assert found is not None
    assert found.latest == made + timedelta(days=90)


def test_an_answer_is_believed_no_longer_where_the_key_has_new_material() -> None:
    kept = _Kept(WHEN, "a", Rotation(timedelta(days=90), WHEN + timedelta(days=9)), ())
    assert kept.holds("a", WHEN + timedelta(minutes=9))
    assert not kept.holds("b", WHEN + timedelta(minutes=9))


def test_an_answer_stands_from_its_moment_on_and_not_to_the_end_of_its_hour() -> None:
    hour = timedelta(hours=1)
    kept = _Kept(WHEN, None, Rotation(timedelta(days=90)), ())
    assert [kept.holds(None, WHEN + one) for one in (-hour, timedelta(0), hour / 2, hour)] == [False, True, True, False]
    due = _Kept(WHEN, None, Rotation(timedelta(days=90), WHEN + hour / 2), ())
    assert not due.holds(None, WHEN + hour / 2)
    over = _Kept(WHEN, None, Rotation(timedelta(days=90), WHEN), ())
    assert over.holds(None, WHEN + hour / 2), "that was so when it was asked"


@pytest.mark.parametrize(
    ("name", "code", "asked_once"),
    [
        (THEIRS, None, True),
        (MINE, "AccessDeniedException", True),
        (MINE, "ThrottlingException", False),
    ],
    ids=["another account", "denied", "throttled"],
)
def test_what_will_not_be_told_is_not_asked_every_minute(
    cloud: AwsCloud, name: KeyName, code: str | None, *, asked_once: bool
) -> None:
    cloud.store.add_key(name.text, created=WHEN, rotated_every=90)
    if code is not None:
        cloud.traffic.fail("kms ListKeyRotations", status=400, code=code)
    asking = Asking()
    first = asking(name)
    assert "kms:GetKeyRotationStatus" in {one.call for one in first.evidence}
    asking(name)
    assert asked(cloud, "GetKeyRotationStatus") == (1 if asked_once else 2)


def test_rotations_are_listed_in_whole_pages_and_nothing_but_rotations(cloud: AwsCloud) -> None:
    cloud.store.add_key(MINE.text, created=WHEN, rotated_every=90)
    read()
    (body,) = [json.loads(one.body) for one in cloud.traffic.requests if one.verb == "ListKeyRotations"]
    assert body == {"KeyId": MINE.text, "IncludeKeyMaterial": "ROTATIONS_ONLY", "Limit": 1000}


class Counting(Pace):
    """Says how often somebody waited for a turn."""

    def __init__(self) -> None:
        super().__init__(1e6)
        self.turns = 0

    def wait(self) -> None:
        self.turns += 1
        super().wait()


def test_every_question_about_a_key_waits_for_its_turn(cloud: AwsCloud) -> None:
    cloud.store.add_key(MINE.text, created=WHEN, rotated_every=90)
    states, rotations, lists = Counting(), Counting(), Counting()
    keys = AwsKeys(aws_clients(None, 1), states, Clock(), rotations, Paces(lambda: lists))
    (_,) = keys.read([KeyNeed(MINE)])
    questions = [one.verb for one in cloud.traffic.requests if one.verb != "GetCallerIdentity"]
    assert {"GetKeyRotationStatus", "ListKeyRotations"} < set(questions)
    assert sum(one.turns for one in (states, rotations, lists)) == len(questions)


def test_a_fault_is_asked_about_again(cloud: AwsCloud) -> None:
    cloud.store.add_key(MINE.text, created=WHEN, rotated_every=90)
    cloud.traffic.fail("kms GetKeyRotationStatus", status=400, code="ThrottlingException", times=1)
    asking = Asking()
    assert asking().rotation_unread is Reason.THROTTLED
    assert asking().rotation is not None
