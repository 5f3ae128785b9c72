"""What is asked of KMS about one key, and what becomes of its answers: a fact, or a reason, and which call said so."""

import json
import threading
from collections.abc import Mapping
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError

from auditor.connectors.aws.answers import MALFORMED
from auditor.connectors.aws.keys import AwsKeys
from auditor.connectors.digest import digest
from auditor.connectors.pace import Pace, Paces
from auditor.model import (
    AwsKey,
    Cloud,
    CustomKeyStore,
    Evidence,
    Grant,
    KeyGone,
    KeyName,
    KeyReading,
    KeyUnread,
    Material,
    Reason,
    Rotation,
)
from auditor.ports import KeyNeed
from tests.core_builders import NOW, ROLE

if TYPE_CHECKING:
    from auditor.connectors.aws.session import AwsClients

MINE = KeyName("arn:aws:kms:us-east-1:111122223333:key/1")
Answer = Mapping[str, Any] | Exception
ALL_MATERIAL = {"KeyId": MINE.text, "IncludeKeyMaterial": "ALL_KEY_MATERIAL", "Limit": 1000}


def fault(code: str, call: str = "DescribeKey", request: str | None = None) -> ClientError:
    about: Any = {"ResponseMetadata": {"RequestId": request}} if request is not None else {}
    told: Any = {"Error": {"Code": code, "Message": "m"}, **about}
    return ClientError(told, call)


DENIED = fault("AccessDeniedException")


def described(state: str = "Enabled", *, arn: str = MINE.text, **more: Any) -> dict[str, Any]:
    metadata = {"Arn": arn, "KeyState": state, "KeyManager": "CUSTOMER", "Origin": "AWS_KMS", **more}
    return {"KeyMetadata": metadata, "ResponseMetadata": {"RequestId": "r-1"}}


class Counting(Pace):
    """Lets everything pass, and counts it."""

    def __init__(self) -> None:
        super().__init__(1_000)
        self.waited = 0

    def wait(self) -> None:
        self.waited += 1


class Kms:
    """KMS as the script of its answers; what is not in it is denied."""

    def __init__(self, caller: str | Reason = MINE.owner, **answers: Answer | list[Answer]) -> None:
        self._answers = answers
        self._caller = caller
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.pace, self.policies, self.lists = Counting(), Counting(), Counting()

    def __getattr__(self, call: str) -> Any:
        def answer(**asked: Any) -> Mapping[str, Any]:
            before = sum(one == call for one, _ in self.asked)
            self.asked.append((call, dict(asked)))
            told = self._answers.get(call, DENIED)
            one = told[min(before, len(told) - 1)] if isinstance(told, list) else told
            if isinstance(one, Exception):
                raise one
            return one

        return answer

    def asked_of(self, call: str) -> list[dict[str, Any]]:
        return [asked for one, asked in self.asked if one == call]

    def read(self, *principals: str) -> KeyReading:
        def kms(location: str, owner: str) -> Kms:
            assert (location, owner) == (MINE.location, MINE.owner)
            return self

        caller = self._caller if isinstance(self._caller, Reason) else (self._caller, "arn:aws:iam::1:role/auditor")
        clients = cast("AwsClients", SimpleNamespace(kms=kms, caller=lambda _owner: caller))
        source = AwsKeys(clients, self.pace, lambda: NOW, self.policies, Paces(lambda: self.lists))
        assert source.cloud is Cloud.AWS
        (found,) = source.read([KeyNeed(MINE, principals)])
        return found

    def key(self, *principals: str) -> AwsKey:
        found = self.read(*principals)
        assert isinstance(found, AwsKey)
        return found


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Nobody waits; tells how long somebody would."""
    waited: list[float] = []
    event = SimpleNamespace(wait=waited.append)
    waiting = SimpleNamespace(Event=lambda: event, Lock=threading.Lock)
    monkeypatch.setattr("auditor.connectors.aws.keys.threading", waiting)
    return waited


def calls(found: KeyReading) -> list[str]:
    return [one.call for one in found.evidence]


def test_a_key_is_asked_for_once_and_its_answer_is_evidence() -> None:
    kms = Kms(describe_key=described(KeySpec="RSA_2048"))
    found = kms.key()
    assert kms.asked_of("describe_key") == [{"KeyId": MINE.text}]
    assert (found.name, found.state, found.spec, found.store, found.materials) == (
        MINE,
        "Enabled",
        "RSA_2048",
        None,
        None,
    )
    assert (found.materials_unread, found.rotation, found.rotation_unread) == (None, None, None), "nobody asked"
    (one,) = found.evidence
    assert (one.call, one.resource, one.at, one.request_id) == ("kms:DescribeKey", MINE.text, NOW, "r-1")
    assert kms.pace.waited == 1
    other = Kms(describe_key=described("Disabled", KeySpec="RSA_2048")).key()
    assert other.evidence[0].answer_digest != one.answer_digest, "it is of the facts"
    assert Kms(describe_key=described(KeySpec="RSA_2048", Description="x")).key().evidence == found.evidence


def a_store(state: str = "CONNECTED", **more: Any) -> dict[str, Any]:
    one = {"CustomKeyStoreId": "cks-1", "ConnectionState": state, **more}
    return {"CustomKeyStores": [one], "Truncated": False}


def test_the_store_that_a_key_names_is_part_of_what_is_known_of_it() -> None:
    kms = Kms(describe_key=described(CustomKeyStoreId="cks-1"), describe_custom_key_stores=a_store())
    found = kms.key()
    assert found.store == CustomKeyStore("cks-1", "CONNECTED")
    first, second = found.evidence[:2]
    assert second == Evidence("kms:DescribeCustomKeyStores", "cks-1", NOW, None, digest(["cks-1", "CONNECTED", None]))
    failed = Kms(
        describe_key=described(CustomKeyStoreId="cks-1"),
        describe_custom_key_stores=a_store("FAILED", ConnectionErrorCode="USER_LOCKED_OUT"),
    ).key()
    assert failed.evidence[0].answer_digest != first.answer_digest
    other = {"CustomKeyStores": [{"CustomKeyStoreId": "cks-2", "ConnectionState": "CONNECTED"}]}
    moved = Kms(describe_key=described(CustomKeyStoreId="cks-2"), describe_custom_key_stores=other).key()
    assert moved.evidence[0].answer_digest != first.answer_digest, "in another store it is another answer"
    assert failed.evidence[1].answer_digest == digest(["cks-1", "FAILED", "USER_LOCKED_OUT"])
    assert not Kms(describe_key=described()).asked_of("describe_custom_key_stores")


def listed(*materials: Mapping[str, Any], following: str | None = None) -> dict[str, Any]:
    more = {"Truncated": True, "NextMarker": following} if following is not None else {"Truncated": False}
    return {"Rotations": list(materials), **more}


def imported(name: str) -> dict[str, Any]:
    return {"KeyMaterialId": name, "KeyMaterialState": "CURRENT", "ImportState": "IMPORTED"}


def found_of(name: str) -> Material:
    return Material(name, "CURRENT", imported=True, valid_to=None)


CIRCLE = [listed(imported("a"), following="1"), listed(imported("b"), following="1")]
NOWHERE = {**listed(imported("a")), "Truncated": True}
HERE = MINE.owner
THERE = "444455556666"
MATERIALS: dict[str, tuple[str, str | Reason, Answer | list[Answer], tuple[Material, ...] | Reason]] = {
    "one": ("Enabled", HERE, listed(imported("a")), (found_of("a"),)),
    "on two pages": (
        "Disabled",
        HERE,
        [listed(imported("b"), following="1"), listed(imported("a"))],
        (found_of("a"), found_of("b")),
    ),
    "none, and the key waits for it": ("PendingImport", HERE, listed(), ()),
    "none, and the key does not wait": ("Enabled", HERE, listed(), Reason.MALFORMED),
    "no list at all": ("Updating", HERE, {}, Reason.MALFORMED),
    "pages in a circle": ("Enabled", HERE, [*CIRCLE], Reason.MALFORMED),
    "more, and nobody says where": ("Enabled", HERE, NOWHERE, Reason.MALFORMED),
    "denied": ("Enabled", HERE, DENIED, Reason.ACCESS_DENIED),
    "denied on the way": ("Enabled", HERE, [listed(imported("b"), following="1"), DENIED], Reason.ACCESS_DENIED),
    "of another account, which is not asked": ("Enabled", THERE, listed(imported("a")), Reason.NOT_VISIBLE),
    "by whom nobody knows": ("Enabled", Reason.TIMEOUT, listed(imported("a")), (found_of("a"),)),
}


@pytest.mark.parametrize(("state", "caller", "answer", "expected"), MATERIALS.values(), ids=MATERIALS)
def test_the_materials_of_a_key_that_has_imported_ones_are_told_or_why_not(
    state: str, caller: str | Reason, answer: Answer | list[Answer], expected: tuple[Material, ...] | Reason
) -> None:
    kms = Kms(caller, describe_key=described(state, Origin="EXTERNAL"), list_key_rotations=answer)
    found = kms.key()
    asked = kms.asked_of("list_key_rotations")
    assert bool(asked) is (caller != THERE)
    assert kms.lists.waited == len(asked)
    if isinstance(expected, Reason):
        assert (found.materials, found.materials_unread) == (None, expected)
        assert "kms:ListKeyRotations" not in calls(found)
    else:
        assert (found.materials, found.materials_unread) == (expected, None)
        one = Evidence("kms:ListKeyRotations", MINE.text, NOW, None, digest(repr(expected)))
        assert found.evidence[1] == one
    pages = [ALL_MATERIAL, {**ALL_MATERIAL, "Marker": "1"}]
    assert asked == pages[: len(asked)]


@pytest.mark.parametrize(("state", "origin"), [("PendingDeletion", "EXTERNAL"), ("Enabled", "AWS_CLOUDHSM")])
def test_nobody_asks_for_materials_that_decide_nothing(state: str, origin: str) -> None:
    kms = Kms(describe_key=described(state, Origin=origin), list_key_rotations=listed(imported("a")))
    found = kms.key()
    assert (found.materials, found.materials_unread, kms.asked_of("list_key_rotations")) == (None, None, [])


ROTATED = {"KeySpec": "SYMMETRIC_DEFAULT", "KeyUsage": "ENCRYPT_DECRYPT"}


def test_how_a_key_is_rotated_is_asked_where_aws_rotates_it() -> None:
    off = Kms(describe_key=described(**ROTATED), get_key_rotation_status={"KeyRotationEnabled": False}).key()
    assert (off.rotation, off.rotation_unread) == (Rotation(None, latest_unread=Reason.ACCESS_DENIED), None)
    assert "kms:GetKeyRotationStatus" in calls(off)
    denied = Kms(describe_key=described(**ROTATED)).key()
    assert (denied.rotation, denied.rotation_unread) == (None, Reason.ACCESS_DENIED)
    other = Kms(describe_key=described(**{**ROTATED, "KeySpec": "HMAC_256"}))
    assert (other.key().rotation_unread, other.asked_of("get_key_rotation_status")) == (None, [])


ALLOWED = {"Effect": "Allow", "Principal": {"AWS": ROLE}, "Action": "kms:*", "Resource": "*"}
POLICY = {"Policy": json.dumps({"Version": "2012-10-17", "Statement": [ALLOWED]})}


def test_who_may_use_a_key_is_asked_unless_the_provider_manages_it() -> None:
    kms = Kms(describe_key=described(), get_key_policy=POLICY)
    found = kms.key(ROLE)
    assert "kms:GetKeyPolicy" in calls(found)
    assert found.access is not None
    assert {(one.principal, one.grant) for one in found.access.rights} == {(ROLE, Grant.DIRECT)}
    managed = Kms(describe_key=described(KeyManager="AWS"), get_key_policy=POLICY)
    assert calls(managed.key(ROLE)) == ["kms:DescribeKey"]
    access = managed.key(ROLE).access
    assert access is not None
    assert [one.grant for one in access.rights] == [Grant.POSSIBLE]
    assert managed.asked_of("get_key_policy") == []


CREATING: dict[str, tuple[list[Answer], int, str]] = {
    "not at all": ([described()], 1, "Enabled"),
    "for a moment": ([described("Creating"), described()], 2, "Enabled"),
    "for longer": ([described("Creating"), described("Creating"), described()], 3, "Enabled"),
    "for too long": ([described("Creating")], 3, "Creating"),
}


@pytest.mark.parametrize(("answers", "times", "state"), CREATING.values(), ids=CREATING)
def test_a_key_that_is_still_being_made_is_asked_a_few_times(
    answers: list[Answer], times: int, state: str, at_once: list[float]
) -> None:
    kms = Kms(describe_key=answers)
    assert kms.key().state == state
    assert (len(kms.asked_of("describe_key")), kms.pace.waited) == (times, times)
    assert at_once == [0.5] * (times - 1)


REFUSED = "the key's owner grants kms:DescribeKey to the auditor in the key policy"
ROLE_THERE = "only the key's own account can tell; give [[account]] a role there"
UNREAD: dict[str, tuple[str | Reason, Answer, Reason, str, str]] = {
    "denied": (HERE, DENIED, Reason.ACCESS_DENIED, "AccessDeniedException", REFUSED),
    "about another key": (
        HERE,
        described(arn=f"{MINE}0"),
        Reason.MALFORMED,
        MALFORMED,
        "look at the name and the `region` in the config",
    ),
    "by a bare status": (HERE, fault("403"), Reason.MALFORMED, "403", "look at the name"),
    "not there, by a bare status": (HERE, fault("404"), Reason.MALFORMED, "404", "look at the name"),
    "throttled, by a bare status": (HERE, fault("429"), Reason.THROTTLED, "429", "lower requests_per_second"),
    "no answer": (
        HERE,
        ConnectTimeoutError(endpoint_url="https://kms"),
        Reason.TIMEOUT,
        "ConnectTimeoutError",
        "look at the network between the auditor and KMS",
    ),
    "not there, as another account is told": (
        THERE,
        fault("NotFoundException"),
        Reason.NOT_VISIBLE,
        "NotFoundException",
        ROLE_THERE,
    ),
    "not there, as is told to nobody knows whom": (
        Reason.EXPIRED_CREDENTIALS,
        fault("NotFoundException"),
        Reason.EXPIRED_CREDENTIALS,
        "NotFoundException",
        "give the auditor credentials",
    ),
}


@pytest.mark.parametrize(("caller", "answer", "reason", "code", "hint"), UNREAD.values(), ids=UNREAD)
def test_why_a_key_was_not_read_is_told(
    caller: str | Reason, answer: Answer, reason: Reason, code: str, hint: str
) -> None:
    found = Kms(caller, describe_key=answer).read()
    assert isinstance(found, KeyUnread)
    assert (found.name, found.reason, found.detail) == (MINE, reason, code)
    assert found.hint.startswith(hint)
    (one,) = found.evidence
    assert (one.call, one.resource, one.at, one.request_id) == ("kms:DescribeKey", MINE.text, NOW, None)


def test_that_a_key_is_not_there_its_own_account_is_told() -> None:
    found = Kms(describe_key=fault("NotFoundException", request="r-9")).read()
    assert isinstance(found, KeyGone)
    assert (found.name, found.proven) == (MINE, False)
    (one,) = found.evidence
    assert (one.call, one.request_id) == ("kms:DescribeKey", "r-9")
    assert one.answer_digest == digest({"error": "NotFoundException"})
