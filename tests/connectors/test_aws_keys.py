from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from auditor.connectors.aws.keys import AwsKeys
from auditor.connectors.aws.session import AwsIdentity
from auditor.connectors.pace import Pace, Paces
from auditor.embedded.aws import AwsCloud
from auditor.model import AwsKey, Cloud, CustomKeyStore, KeyGone, KeyManager, KeyName, KeyReading, KeyUnread, Reason
from auditor.ports import KeyNeed
from auditor.readability.aws import STATES, STORE_STATES
from tests.clouds import Clock, an_aws_cloud, aws_clients

MINE = KeyName("arn:aws:kms:us-east-1:111122223333:key/1f3c0f5e-0000-4000-8000-000000000001")
WEST = KeyName("arn:aws:kms:eu-west-1:111122223333:key/mrk-00000000000000000000000000000001")
THEIRS = KeyName("arn:aws:kms:us-east-1:444455556666:key/1f3c0f5e-0000-4000-8000-000000000002")
WHEN = datetime(2027, 1, 31, 6, 30, tzinfo=UTC)


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[AwsCloud]:
    with an_aws_cloud(monkeypatch) as running:
        yield running


def read(*names: KeyName, attempts: int = 1, **identities: AwsIdentity) -> list[KeyReading]:
    keys = AwsKeys(
        aws_clients(None, attempts, **identities), Pace(1000), Clock(), Pace(1000), Paces(lambda: Pace(1000))
    )
    assert keys.cloud is Cloud.AWS
    found = {one.name: one for one in keys.read([KeyNeed(name) for name in names])}
    return [found[name] for name in names]


def the_key(name: KeyName = MINE) -> AwsKey:
    (found,) = read(name)
    assert isinstance(found, AwsKey)
    return found


@pytest.mark.parametrize("state", [*STATES, "AStateOfTheFuture"])
def test_tells_every_state_as_the_service_does(cloud: AwsCloud, state: str) -> None:
    cloud.store.add_key(MINE.text, state=state)
    assert the_key().state == state


def test_reads_dates_in_utc_and_everything_that_a_key_says(cloud: AwsCloud) -> None:
    cloud.store.add_key(MINE.text, state="PendingDeletion", deletion_date=WHEN)
    assert the_key().deletion_date == WHEN
    cloud.store.add_key(MINE.text, origin="EXTERNAL", valid_to=WHEN)
    assert (the_key().origin, the_key().valid_to) == ("EXTERNAL", WHEN)
    cloud.store.add_key(MINE.text, manager="AWS")
    assert the_key().manager is KeyManager.PROVIDER
    cloud.store.add_key(MINE.text, state="PendingReplicaDeletion", pending_window_days=7, multi_region=True)
    assert (the_key().pending_window_days, the_key().multi_region) == (7, True)
    assert (the_key().spec, the_key().usage) == ("SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT")
    cloud.store.add_key(MINE.text, spec="RSA_2048", usage="SIGN_VERIFY")
    assert (the_key().spec, the_key().usage) == ("RSA_2048", "SIGN_VERIFY")


def test_a_key_is_asked_for_in_its_own_region(cloud: AwsCloud) -> None:
    cloud.store.add_key(WEST.text)
    assert the_key(WEST).state == "Enabled"


@pytest.mark.parametrize("state", STORE_STATES)
def test_the_store_behind_a_key_is_read(cloud: AwsCloud, state: str) -> None:
    error = "NETWORK_ERRORS" if state == "FAILED" else None
    cloud.store.add_key_store("cks-1", "us-east-1", state=state, error=error)
    cloud.store.add_key(MINE.text, origin="EXTERNAL_KEY_STORE", store="cks-1")
    assert the_key().store == CustomKeyStore("cks-1", state, error)


def test_a_store_that_may_not_be_read_has_no_state(cloud: AwsCloud) -> None:
    cloud.store.add_key_store("cks-1", "us-east-1", state="FAILED")
    cloud.store.add_key(MINE.text, origin="EXTERNAL_KEY_STORE", store="cks-1")
    cloud.store.denied.add(("DescribeCustomKeyStores", "111122223333"))
    assert the_key().store == CustomKeyStore("cks-1", None, unread=Reason.ACCESS_DENIED)


def test_a_store_is_looked_for_in_its_keys_region_and_one_that_is_not_there_has_no_state(cloud: AwsCloud) -> None:
    cloud.store.add_key_store("cks-1", "us-east-1", state="CONNECTED")
    cloud.store.add_key_store("cks-1", "eu-west-1", state="FAILED", error="USER_LOCKED_OUT")
    missing = KeyName(f"{MINE.text[:-1]}9")
    for name, store in ((MINE, "cks-1"), (WEST, "cks-1"), (missing, "cks-2")):
        cloud.store.add_key(name.text, store=store)
    found = [one.store for one in read(MINE, WEST, missing) if isinstance(one, AwsKey)]
    assert found == [
        CustomKeyStore("cks-1", "CONNECTED"),
        CustomKeyStore("cks-1", "FAILED", "USER_LOCKED_OUT"),
        CustomKeyStore("cks-2", None),
    ]


def test_a_key_that_is_still_being_created_is_asked_for_three_times(cloud: AwsCloud) -> None:
    cloud.store.add_key(MINE.text, state="Creating")
    assert the_key().state == "Creating"
    assert sum(one.verb == "DescribeKey" for one in cloud.traffic.requests) == 3


def test_stores_are_read_once_for_many_keys(cloud: AwsCloud) -> None:
    cloud.store.add_key_store("cks-1", "us-east-1")
    names = [KeyName(f"arn:aws:kms:us-east-1:111122223333:key/{number}") for number in range(9)]
    for name in names:
        cloud.store.add_key(name.text, store="cks-1")
    assert len(read(*names)) == 9
    assert sum(one.verb == "DescribeCustomKeyStores" for one in cloud.traffic.requests) == 1


def test_a_key_that_is_not_there_is_gone_only_when_its_own_account_asks(cloud: AwsCloud) -> None:
    (mine,) = read(MINE)
    assert isinstance(mine, KeyGone)
    assert not mine.proven
    assert [(one.call, one.resource) for one in mine.evidence] == [("kms:DescribeKey", MINE.text)]
    cloud.traffic.fail("DescribeKey", status=400, code="NotFoundException")
    (theirs,) = read(THEIRS)
    assert isinstance(theirs, KeyUnread)
    assert theirs.reason is Reason.NOT_VISIBLE
    role = AwsIdentity("arn:aws:iam::444455556666:role/auditor")
    (as_owner,) = read(THEIRS, a444455556666=role)
    assert isinstance(as_owner, KeyGone)


def test_a_key_that_is_not_there_is_not_gone_when_nobody_knows_who_asks(cloud: AwsCloud) -> None:
    cloud.traffic.fail("GetCallerIdentity", status=503)
    (found,) = read(MINE)
    assert isinstance(found, KeyUnread)
    assert (found.reason, found.detail) == (Reason.THROTTLED, "NotFoundException"), "a fault of ours is no denial"


HINTS = {
    "AccessDeniedException": "kms:DescribeKey",
    "ThrottlingException": "requests_per_second",
    "ExpiredTokenException": "credentials",
    "KMSInternalException": "the network",
}


@pytest.mark.parametrize(("code", "hint"), HINTS.items())
def test_a_key_that_could_not_be_read_tells_what_would_help_and_who_said_so(
    cloud: AwsCloud, code: str, hint: str
) -> None:
    cloud.traffic.fail("DescribeKey", status=400, code=code)
    (found,) = read(MINE)
    assert isinstance(found, KeyUnread)
    assert (found.name, found.detail, hint in found.hint) == (MINE, code, True)
    (said,) = found.evidence
    assert (said.call, said.resource, bool(said.request_id)) == ("kms:DescribeKey", MINE.text, True)


def test_a_key_of_another_account_says_whose_role_would_help(cloud: AwsCloud) -> None:
    cloud.traffic.fail("DescribeKey", status=400, code="NotFoundException")
    (found,) = read(THEIRS)
    assert isinstance(found, KeyUnread)
    assert "[[account]]" in found.hint


FAULTS: dict[str, tuple[dict[str, Any], Reason]] = {
    "denied": ({"status": 400, "code": "AccessDeniedException"}, Reason.ACCESS_DENIED),
    "throttled": ({"status": 400, "code": "ThrottlingException"}, Reason.THROTTLED),
    "expired": ({"status": 400, "code": "ExpiredTokenException"}, Reason.EXPIRED_CREDENTIALS),
    "bad name": ({"status": 400, "code": "InvalidArnException"}, Reason.MALFORMED),
    "internal": ({"status": 500, "code": "KMSInternalException"}, Reason.TIMEOUT),
    "dependency": ({"status": 503, "code": "DependencyTimeoutException"}, Reason.TIMEOUT),
    "dropped": ({"drop": True}, Reason.TIMEOUT),
    "a code of the future": ({"status": 400, "code": "NewException"}, Reason.TIMEOUT),
}


@pytest.mark.parametrize(("fault", "reason"), FAULTS.values(), ids=FAULTS)
def test_what_could_not_be_read_is_told_with_its_reason_and_a_hint(
    cloud: AwsCloud, fault: dict[str, Any], reason: Reason
) -> None:
    cloud.store.add_key(MINE.text)
    cloud.traffic.fail("DescribeKey", **fault)
    (found,) = read(MINE)
    assert isinstance(found, KeyUnread)
    assert (found.reason, bool(found.hint)) == (reason, True)


def test_a_key_policy_that_shuts_the_auditor_out_hides_only_that_key(cloud: AwsCloud) -> None:
    cloud.store.add_key(MINE.text, describe_denied=True)
    cloud.store.add_key(WEST.text)
    first, second = read(MINE, WEST)
    assert isinstance(first, KeyUnread)
    assert first.reason is Reason.ACCESS_DENIED
    assert isinstance(second, AwsKey)


def test_throttling_is_retried(cloud: AwsCloud) -> None:
    cloud.store.add_key(MINE.text)
    cloud.traffic.fail("DescribeKey", status=400, code="ThrottlingException", times=1)
    (found,) = read(MINE, attempts=3)
    assert isinstance(found, AwsKey)


def test_equal_answers_have_equal_digests_and_others_do_not(cloud: AwsCloud) -> None:
    cloud.store.add_key(MINE.text, created=WHEN - timedelta(days=900))
    first, second = the_key().evidence[0], the_key().evidence[0]
    assert (first.call, first.resource) == ("kms:DescribeKey", MINE.text)
    assert first.answer_digest == second.answer_digest
    assert first.request_id != second.request_id
    cloud.store.add_key(MINE.text, state="Disabled", created=WHEN - timedelta(days=900))
    assert the_key().evidence[0].answer_digest != first.answer_digest


OTHER = MINE.text.replace("000001", "000009")
NO_KEY: dict[str, bytes] = {
    "nothing": b'{"KeyMetadata": {}}',
    "no state": f'{{"KeyMetadata": {{"Arn": "{MINE}", "KeyState": ""}}}}'.encode(),
    "no name": b'{"KeyMetadata": {"KeyState": "Enabled"}}',
    "another key": f'{{"KeyMetadata": {{"Arn": "{OTHER}", "KeyId": "x", "KeyState": "Enabled"}}}}'.encode(),
    "a list": b'{"KeyMetadata": []}',
}


@pytest.mark.parametrize("body", NO_KEY.values(), ids=NO_KEY)
def test_an_answer_about_no_key_or_another_is_none(cloud: AwsCloud, body: bytes) -> None:
    cloud.store.add_key(MINE.text)
    cloud.traffic.fail("kms DescribeKey", status=200, body=body)
    (found,) = read(MINE)
    assert isinstance(found, KeyUnread)
    assert found.reason is Reason.MALFORMED


BREAKS_THE_SDK: dict[str, tuple[int, bytes]] = {
    "a date that is none": (
        200,
        f'{{"KeyMetadata": {{"Arn": "{MINE}", "KeyState": "Enabled", "CreationDate": "x"}}}}'.encode(),
    ),
    "a date beyond all calendars": (
        200,
        f'{{"KeyMetadata": {{"Arn": "{MINE}", "KeyState": "Enabled", "DeletionDate": 1e30}}}}'.encode(),
    ),
    "an error that is a list": (400, b"[]"),
    "an error too deep": (400, b"[" * 60_000),
}


@pytest.mark.parametrize(("status", "body"), BREAKS_THE_SDK.values(), ids=BREAKS_THE_SDK)
def test_what_the_sdk_would_break_on_is_asked_for_again(cloud: AwsCloud, status: int, body: bytes) -> None:
    cloud.store.add_key(MINE.text)
    cloud.traffic.fail("kms DescribeKey", status=status, body=body, times=1)
    (found,) = read(MINE, attempts=2)
    assert isinstance(found, AwsKey)
    cloud.traffic.fail("kms DescribeKey", status=status, body=body)
    (found,) = read(MINE)
    assert isinstance(found, KeyUnread)
    assert found.reason is Reason.MALFORMED


@pytest.mark.parametrize("status", [403, 404])
def test_a_page_of_somebody_on_the_way_neither_denies_nor_deletes_a_key(cloud: AwsCloud, status: int) -> None:
    cloud.store.add_key(MINE.text)
    cloud.traffic.fail("kms DescribeKey", status=status, body=b"<html>nginx</html>")
    (found,) = read(MINE)
    assert isinstance(found, KeyUnread)
    assert found.reason is Reason.MALFORMED


def test_the_digest_of_an_answer_changes_with_what_it_says(cloud: AwsCloud) -> None:
    def digests() -> dict[str, str]:
        return {one.call: one.answer_digest for one in the_key().evidence}

    cloud.store.add_key(MINE.text)
    plain = digests()
    assert set(plain) >= {"kms:DescribeKey"}
    found: list[dict[str, str]] = []
    for state, error, store in (
        ("CONNECTED", None, "cks-1"),
        ("FAILED", None, "cks-1"),
        ("FAILED", "USER_LOCKED_OUT", "cks-1"),
        ("FAILED", "USER_LOCKED_OUT", "cks-2"),
    ):
        cloud.store.add_key_store(store, "us-east-1", state=state, error=error)
        cloud.store.add_key(MINE.text, store=store, created=WHEN)
        found.append(digests())
    assert len({one["kms:DescribeCustomKeyStores"] for one in found}) == 4
    of_the_key = [one["kms:DescribeKey"] for one in found]
    assert of_the_key[1] == of_the_key[2], "the error code is of the store alone"
    assert len({plain["kms:DescribeKey"], *of_the_key}) == 4
