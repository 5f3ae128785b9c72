"""Policies, shares, grants and imported materials read over the wire."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from auditor.connectors.aws.keys import AwsKeys
from auditor.connectors.aws.policy import PLATFORM_ACTIONS
from auditor.connectors.aws.session import AwsIdentity
from auditor.connectors.pace import Pace, Paces
from auditor.embedded.aws import AwsCloud
from auditor.embedded.aws.store import Material as StoredMaterial
from auditor.model import AwsKey, Grant, KeyAccess, KeyName, Material, Reason
from auditor.ports import KeyNeed
from tests.clouds import Clock, an_aws_cloud, aws_clients

MINE = KeyName("arn:aws:kms:us-east-1:111122223333:key/1f3c0f5e-0000-4000-8000-000000000001")
THEIRS = KeyName("arn:aws:kms:us-east-1:444455556666:key/1f3c0f5e-0000-4000-8000-000000000002")
ROLE = "arn:aws:iam::111122223333:role/storage"
ALLOW = {"Effect": "Allow", "Principal": {"AWS": ROLE}, "Action": "kms:*", "Resource": "*"}
NAMED = {"Statement": [ALLOW]}
NOBODY: dict[str, Any] = {"Statement": [{**ALLOW, "Action": "kms:PutKeyPolicy"}]}
GRANT = {"GranteePrincipal": ROLE, "Operations": ["Decrypt"]}
WHEN = datetime(2027, 1, 31, 6, 30, tzinfo=UTC)


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[AwsCloud]:
    with an_aws_cloud(monkeypatch) as running:
        yield running


def connector(clock: Clock | None = None, **identities: AwsIdentity) -> AwsKeys:
    return AwsKeys(
        aws_clients(None, 1, **identities), Pace(1000), clock or Clock(), Pace(1000), Paces(lambda: Pace(1000))
    )


def read(keys: AwsKeys | None = None, name: KeyName = MINE, principals: tuple[str, ...] = (ROLE,)) -> AwsKey:
    (found,) = (keys or connector()).read([KeyNeed(name, principals)])
    assert isinstance(found, AwsKey)
    return found


def access(keys: AwsKeys | None = None, name: KeyName = MINE, principals: tuple[str, ...] = (ROLE,)) -> KeyAccess:
    found = read(keys, name, principals).access
    assert found is not None
    return found


def asked(cloud: AwsCloud, operation: str) -> int:
    return sum(one.verb == operation for one in cloud.traffic.requests)


def test_the_policy_the_share_and_the_grants_are_read(cloud: AwsCloud) -> None:
    cloud.store.add_key(MINE.text, policy=NAMED)
    assert access().grant(ROLE, "kms:Decrypt") is Grant.DIRECT
    cloud.store.add_key(MINE.text, policy=NOBODY, shared=NAMED)
    assert access().grant(ROLE, "kms:Decrypt") is Grant.DIRECT
    others = [{"GranteePrincipal": f"{ROLE}-{number}", "Operations": ["Decrypt"]} for number in range(230)]
    cloud.store.add_key(MINE.text, policy=NOBODY, grants=[*others, GRANT])
    assert access().grant(ROLE, "kms:Decrypt") is Grant.DIRECT, "the last of three pages"
    cloud.store.add_key(MINE.text, policy=NOBODY)
    found = read()
    assert found.access is not None
    assert found.access.grant(ROLE, "kms:Decrypt") is Grant.ABSENT
    calls = [one.call for one in found.evidence]
    rotation = ["kms:GetKeyRotationStatus", "kms:ListKeyRotations"]
    assert calls == ["kms:DescribeKey", *rotation, "kms:GetKeyPolicy", "kms:ListGrants"]


def test_a_new_keys_policy_leaves_it_to_the_account(cloud: AwsCloud) -> None:
    cloud.store.add_key(MINE.text)
    found = access()
    assert (found.grant(ROLE, "kms:Decrypt"), found.administered, found.public) == (Grant.POSSIBLE, True, False)


def test_nobody_elses_policies_are_asked_for(cloud: AwsCloud) -> None:
    cloud.store.add_key(THEIRS.text, policy=NAMED)
    found = access(name=THEIRS)
    assert found.unread == (("kms:GetKeyPolicy", Reason.NOT_VISIBLE),)
    assert (found.grant(ROLE, "kms:Decrypt"), found.public, found.administered) == (Grant.UNREAD, None, None)
    assert asked(cloud, "GetKeyPolicy") == asked(cloud, "ListGrants") == 0
    owner = connector(a444455556666=AwsIdentity("arn:aws:iam::444455556666:role/auditor"))
    assert access(owner, THEIRS).grant(ROLE, "kms:Decrypt") is Grant.POSSIBLE, "its own account must allow it too"


def test_keys_that_aws_manages_have_no_policy_of_anybodys(cloud: AwsCloud) -> None:
    cloud.store.add_key(MINE.text, manager="AWS")
    assert access().grant(ROLE, "kms:Decrypt") is Grant.POSSIBLE
    foreign = ROLE.replace("111122223333", "444455556666")
    assert access(principals=(foreign,)).grant(foreign, "kms:Decrypt") is Grant.ABSENT, "never from another account"
    assert asked(cloud, "GetKeyPolicy") == 0


def test_grants_are_listed_only_where_somebody_asks_who_may_decrypt(cloud: AwsCloud) -> None:
    cloud.store.add_key(MINE.text)
    assert access(principals=()).rights == ()
    assert asked(cloud, "ListGrants") == 0


REFUSALS: dict[str, tuple[str, dict[str, Any], tuple[str, Reason]]] = {
    "policy denied": (
        "kms GetKeyPolicy",
        {"status": 400, "code": "AccessDeniedException"},
        ("kms:GetKeyPolicy", Reason.ACCESS_DENIED),
    ),
    "share denied": (
        "AWS_RAM",
        {"status": 400, "code": "AccessDeniedException"},
        ("kms:GetKeyPolicy AWS_RAM", Reason.ACCESS_DENIED),
    ),
    "grants throttled": (
        "kms ListGrants",
        {"status": 400, "code": "ThrottlingException"},
        ("kms:ListGrants", Reason.THROTTLED),
    ),
    "grants dropped": ("kms ListGrants", {"drop": True}, ("kms:ListGrants", Reason.TIMEOUT)),
    "credentials expired half-way": (
        "kms ListGrants",
        {"status": 400, "code": "ExpiredTokenException"},
        ("kms:ListGrants", Reason.EXPIRED_CREDENTIALS),
    ),
}


@pytest.mark.parametrize(("match", "how", "told"), REFUSALS.values(), ids=REFUSALS)
def test_what_could_not_be_read_is_no_proof_that_nobody_may(
    cloud: AwsCloud, match: str, how: dict[str, Any], told: tuple[str, Reason]
) -> None:
    cloud.store.add_key(MINE.text, policy=NOBODY)
    cloud.traffic.fail(match, **how)
    found = access()
    assert told in found.unread
    assert found.grant(ROLE, "kms:Decrypt") is Grant.UNREAD


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no JSON",
        "{}",
        '{"Statement": null}',
        '{"Statement": []}',
        '{"Statement": 7}',
        "[" * 60_000,
        '{"Statement": [[]]}',
    ],
)
def test_a_policy_that_is_none_is_a_gap(cloud: AwsCloud, text: str) -> None:
    cloud.store.add_key(MINE.text, policy_text=text)
    found = access()
    assert ("kms:GetKeyPolicy", Reason.MALFORMED) in found.unread
    assert (found.grant(ROLE, "kms:Decrypt"), found.public, found.administered) == (Grant.UNREAD, None, None)


def test_a_list_of_grants_that_never_ends_is_a_gap(cloud: AwsCloud) -> None:
    cloud.store.add_key(MINE.text, policy=NOBODY)
    page = {"Grants": [GRANT], "Truncated": True, "NextMarker": "again"}
    cloud.traffic.fail("kms ListGrants", status=200, body=json.dumps(page).encode())
    assert ("kms:ListGrants", Reason.MALFORMED) in access().unread


def test_while_the_policy_settles_it_grants_may_be_an_hour_old_and_no_longer(cloud: AwsCloud) -> None:
    clock = Clock()
    keys = connector(clock)
    key = cloud.store.add_key(MINE.text, policy=NAMED)
    for _ in range(3):
        access(keys)
    assert (asked(cloud, "ListGrants"), asked(cloud, "GetKeyPolicy")) == (1, 4), "one of them for a share"
    clock.ahead = timedelta(minutes=61)
    access(keys)
    assert asked(cloud, "ListGrants") == 2
    key.policy, key.grants = NOBODY, [GRANT]
    assert access(keys).grant(ROLE, "kms:Decrypt") is Grant.DIRECT, "what the verdict hangs on is read now"
    key.grants = []
    assert access(keys).grant(ROLE, "kms:Decrypt") is Grant.ABSENT


def test_a_right_that_only_a_grant_gives_is_judged_by_the_grants_of_now(cloud: AwsCloud) -> None:
    keys = connector()
    without = [one for one in PLATFORM_ACTIONS if one != "kms:GenerateDataKey"]
    key = cloud.store.add_key(
        MINE.text,
        policy={"Statement": [{**ALLOW, "Action": without}]},
        grants=[{"GranteePrincipal": ROLE, "Operations": ["GenerateDataKey"]}],
    )
    assert access(keys).grant(ROLE, "kms:GenerateDataKey") is Grant.DIRECT
    key.grants = []
    assert access(keys).grant(ROLE, "kms:GenerateDataKey") is Grant.ABSENT
    assert access(keys).grant(ROLE, "kms:Decrypt") is Grant.DIRECT


OTHER = f"{ROLE}-2"


def test_grants_are_read_now_while_the_policy_settles_it_for_one_of_two(cloud: AwsCloud) -> None:
    keys = connector()
    key = cloud.store.add_key(MINE.text, policy=NAMED)
    assert access(keys, principals=(ROLE, OTHER)).grant(OTHER, "kms:Decrypt") is Grant.ABSENT
    key.grants = [{**GRANT, "GranteePrincipal": OTHER}]
    assert access(keys, principals=(ROLE, OTHER)).grant(OTHER, "kms:Decrypt") is Grant.DIRECT


def test_what_is_believed_for_an_hour_is_told_like_what_was_read(cloud: AwsCloud) -> None:
    keys = connector()
    cloud.store.add_key(MINE.text, policy=NAMED, grants=[{**GRANT, "GranteePrincipal": OTHER}])
    first, second = access(keys), access(keys)
    assert (asked(cloud, "ListGrants"), first.others) == (1, (OTHER,))
    assert first == second


def test_what_was_believed_is_forgotten_when_it_cannot_be_read_any_more(cloud: AwsCloud) -> None:
    keys = connector()
    key = cloud.store.add_key(MINE.text, policy=NAMED)
    access(keys)
    key.policy = NOBODY
    cloud.traffic.fail("kms ListGrants", status=400, code="AccessDeniedException")
    assert ("kms:ListGrants", Reason.ACCESS_DENIED) in access(keys).unread
    key.policy = NAMED
    assert ("kms:ListGrants", Reason.ACCESS_DENIED) in access(keys).unread, "the old list is not believed again"


def test_only_the_policy_is_evidence_where_nobody_asks_who_may_decrypt(cloud: AwsCloud) -> None:
    cloud.store.add_key(MINE.text)
    calls = [one.call for one in read(principals=()).evidence]
    assert calls == ["kms:DescribeKey", "kms:GetKeyRotationStatus", "kms:ListKeyRotations", "kms:GetKeyPolicy"]


class Counted(Pace):
    """Counts how often somebody waited."""

    def __init__(self) -> None:
        super().__init__(1000)
        self.waits = 0

    def wait(self) -> None:
        self.waits += 1
        super().wait()


def test_each_call_waits_for_its_own_pace_and_asks_for_the_largest_page(cloud: AwsCloud) -> None:
    first, policies, lists = Counted(), Counted(), Counted()
    others = [{**GRANT, "GranteePrincipal": f"{ROLE}-{number}"} for number in range(120)]
    cloud.store.add_key(
        MINE.text, policy=NOBODY, grants=others, origin="EXTERNAL", materials=[StoredMaterial("a" * 64)]
    )
    read(AwsKeys(aws_clients(), first, Clock(), policies, Paces(lambda: lists)))
    assert (first.waits, policies.waits, lists.waits) == (1, 2, 3), "two pages of grants, one of materials"
    limits = {one.verb: json.loads(one.body).get("Limit") for one in cloud.traffic.requests if one.service == "kms"}
    # Source: AWS KMS API Reference, ListGrants and ListKeyRotations, Limit.
    assert (limits["ListGrants"], limits["ListKeyRotations"]) == (100, 1000)


def test_grants_are_asked_at_the_pace_of_the_account_and_region_that_has_the_quota(cloud: AwsCloud) -> None:
    made: list[Counted] = []

    def make() -> Counted:
        made.append(Counted())
        return made[-1]

    keys = [MINE, KeyName(MINE.text[:-1] + "e"), KeyName(MINE.text.replace(MINE.location, "eu-west-1"))]
    for one in keys:
        cloud.store.add_key(one.text, policy=NOBODY)
    source = AwsKeys(aws_clients(), Pace(1000), Clock(), Pace(1000), Paces(make))
    assert len(list(source.read([KeyNeed(one, (ROLE,)) for one in keys]))) == len(keys)
    assert sorted(one.waits for one in made) == [2, 4], "grants and rotations of each key"


def test_all_materials_are_listed_the_first_and_the_pending_ones_too(cloud: AwsCloud) -> None:
    first = StoredMaterial("a" * 64, "NON_CURRENT", valid_to=WHEN)
    second = StoredMaterial("b" * 64, "CURRENT", imported=False)
    third = StoredMaterial("c" * 64, "PENDING_ROTATION")
    cloud.store.add_key(MINE.text, origin="EXTERNAL", materials=[third, second, first])
    found = read()
    assert found.state == "PendingImport"
    assert found.materials == (
        Material("a" * 64, "NON_CURRENT", imported=True, valid_to=WHEN),
        Material("b" * 64, "CURRENT", imported=False),
        Material("c" * 64, "PENDING_ROTATION", imported=True),
    )
    assert "kms:ListKeyRotations" in {one.call for one in found.evidence}


def test_many_materials_come_on_several_pages(cloud: AwsCloud) -> None:
    materials = [StoredMaterial(f"{number:064}", "NON_CURRENT") for number in range(1_001)]
    cloud.store.add_key(MINE.text, origin="EXTERNAL", materials=materials)
    assert [one.id for one in read().materials or ()] == [one.id for one in materials]
    assert asked(cloud, "ListKeyRotations") == 2
    cloud.traffic.fail("kms ListKeyRotations", status=400, code="ThrottlingException", skip=1, times=1)
    found = read()
    assert (found.materials, found.materials_unread) == (None, Reason.THROTTLED), "no page is left out"


WITH_MATERIAL = {"Enabled": True, "Disabled": True, "Updating": True, "PendingDeletion": False, "Unavailable": False}


@pytest.mark.parametrize(("state", "asked_for"), WITH_MATERIAL.items())
def test_materials_are_asked_for_where_they_matter(cloud: AwsCloud, state: str, *, asked_for: bool) -> None:
    cloud.store.add_key(MINE.text, state=state, origin="EXTERNAL", materials=[StoredMaterial("a" * 64)])
    found = read()
    assert (found.state, found.materials is not None, found.materials_unread) == (state, asked_for, None)
    assert asked(cloud, "ListKeyRotations") == asked_for
    assert ("kms:ListKeyRotations" in {one.call for one in found.evidence}) is asked_for


MATERIAL_FAULTS: dict[str, tuple[dict[str, Any], Reason]] = {
    "denied": ({"status": 400, "code": "AccessDeniedException"}, Reason.ACCESS_DENIED),
    "a page that names itself": (
        {
            "status": 200,
            "body": json.dumps({"Rotations": [], "Truncated": True, "NextMarker": "again"}).encode(),
        },
        Reason.MALFORMED,
    ),
    "none of a key that has some": ({"status": 200, "body": b'{"Rotations": []}'}, Reason.MALFORMED),
}


def test_a_key_that_waits_for_its_first_material_has_none(cloud: AwsCloud) -> None:
    cloud.store.add_key(MINE.text, state="PendingImport", origin="EXTERNAL")
    cloud.traffic.fail("kms ListKeyRotations", status=200, body=b'{"Rotations": []}')
    assert (read().materials, read().materials_unread) == ((), None)


@pytest.mark.parametrize(("how", "reason"), MATERIAL_FAULTS.values(), ids=MATERIAL_FAULTS)
def test_materials_that_could_not_be_listed_are_told_with_the_reason(
    cloud: AwsCloud, how: dict[str, Any], reason: Reason
) -> None:
    cloud.store.add_key(MINE.text, origin="EXTERNAL", materials=[StoredMaterial("a" * 64)])
    cloud.traffic.fail("kms ListKeyRotations", **how)
    found = read()
    assert (found.materials, found.materials_unread) == (None, reason)
    assert "kms:ListKeyRotations" not in {one.call for one in found.evidence}


def test_materials_are_asked_for_where_nobody_knows_who_asks(cloud: AwsCloud) -> None:
    cloud.store.add_key(MINE.text, origin="EXTERNAL", materials=[StoredMaterial("a" * 64)])
    cloud.traffic.fail("GetCallerIdentity", status=503)
    assert [one.id for one in read().materials or ()] == ["a" * 64]


def test_only_imported_keys_of_ones_own_account_are_asked_for_materials(cloud: AwsCloud) -> None:
    cloud.store.add_key(MINE.text)
    assert (read().materials, read().materials_unread) == (None, None)
    cloud.store.add_key(THEIRS.text, origin="EXTERNAL", valid_to=WHEN)
    theirs = read(name=THEIRS)
    assert (theirs.materials, theirs.materials_unread, theirs.valid_to) == (None, Reason.NOT_VISIBLE, WHEN)
    assert not any("ALL_KEY_MATERIAL" in one.body for one in cloud.traffic.requests)


def test_a_material_whose_date_has_passed_makes_the_whole_key_unusable(cloud: AwsCloud) -> None:
    soon = StoredMaterial("a" * 64, "NON_CURRENT", valid_to=Clock()() - timedelta(seconds=1))
    cloud.store.add_key(MINE.text, origin="EXTERNAL", materials=[soon, StoredMaterial("b" * 64)])
    found = read()
    assert (found.state, [one.imported for one in found.materials or ()]) == ("PendingImport", [False, True])
