import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from auditor.connectors.gcp.keys import GcpKeys
from auditor.connectors.gcp.policy import (
    DECRYPT,
    ENCRYPT,
    Binding,
    Policies,
    access_of,
    grant_of,
    granted_on_ring,
    parse_policy,
)
from auditor.connectors.pace import Pace
from auditor.connectors.wire import Wire
from auditor.embedded.google import GoogleCloud, Version
from auditor.model import GcpKey, Grant, HsmInstance, KeyGone, KeyName, KeyReading, KeyUnread, Reason, Rotation
from auditor.ports import KeyNeed
from auditor.readability.gcp import HSM_STATES, STATES
from tests.clouds import GOOGLE_KEY, RING, Clock, a_google_store, google_clients

NAME = KeyName(GOOGLE_KEY)
AGENT = "service-123456@gs-project-accounts.iam.gserviceaccount.com"
ROLE = "roles/cloudkms.cryptoKeyEncrypterDecrypter"
WHEN = datetime(2027, 1, 31, 6, 30, tzinfo=UTC)


@pytest.fixture
def cloud() -> Iterator[GoogleCloud]:
    with GoogleCloud(a_google_store()) as running:
        yield running


@pytest.fixture(params=[False, True], ids=["REST", "gRPC"])
def over_grpc(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


def read(cloud: GoogleCloud, *names: KeyName, over_grpc: bool = False, wire: Wire | None = None) -> list[KeyReading]:
    keys = GcpKeys(google_clients(cloud, wire, over_grpc=over_grpc), Pace(1000), Clock())
    found = {one.name: one for one in keys.read([KeyNeed(name, (AGENT,)) for name in names or (NAME,)])}
    return [found[name] for name in names or (NAME,)]


def the_key(cloud: GoogleCloud, *, over_grpc: bool = False) -> GcpKey:
    (found,) = read(cloud, over_grpc=over_grpc)
    assert isinstance(found, GcpKey)
    return found


def test_tells_every_version_state_as_the_service_does(cloud: GoogleCloud, *, over_grpc: bool) -> None:
    key = cloud.store.add_key(GOOGLE_KEY)
    key.versions = {number: Version(number, WHEN, state) for number, state in enumerate(STATES, 1)}
    key.versions[99] = Version(99, WHEN, 77)
    found = the_key(cloud, over_grpc=over_grpc)
    assert [one.state for one in found.versions] == [*STATES, "77"]


def test_reads_dates_in_utc_and_everything_that_a_version_says(cloud: GoogleCloud, *, over_grpc: bool) -> None:
    key = cloud.store.add_key(GOOGLE_KEY, versions=2)
    key.versions[1] = Version(1, WHEN, "DESTROY_SCHEDULED", destroy_time=WHEN + timedelta(days=9))
    key.versions[2] = Version(2, WHEN, "DESTROYED", destroyed_time=WHEN, reimport_eligible=True, imported=WHEN)
    key.versions[3] = Version(3, WHEN, "GENERATION_FAILED", failure="no entropy", protection="EXTERNAL_VPC")
    first, second, third = the_key(cloud, over_grpc=over_grpc).versions
    assert (first.created, first.destroy_time) == (WHEN, WHEN + timedelta(days=9))
    assert (second.destroyed_time, second.reimport_eligible, second.imported) == (WHEN, True, WHEN)
    assert (third.failure, third.protection_level) == ("no entropy", "EXTERNAL_VPC")


def test_how_long_a_destruction_waits_is_the_keys_own(cloud: GoogleCloud, *, over_grpc: bool) -> None:
    cloud.store.add_key(GOOGLE_KEY).destroy_after = timedelta(days=1)
    assert the_key(cloud, over_grpc=over_grpc).destroy_delay == timedelta(days=1)
    told = {"name": GOOGLE_KEY, "primary": {"name": f"{GOOGLE_KEY}/cryptoKeyVersions/1"}}
    cloud.traffic.fail("kms GetCryptoKey ", status=200, body=json.dumps(told).encode())
    assert the_key(cloud).destroy_delay is None


def test_a_key_says_how_it_is_rotated(cloud: GoogleCloud, *, over_grpc: bool) -> None:
    key = cloud.store.add_key(GOOGLE_KEY, rotated_every=timedelta(days=30))
    key.versions[1].created = WHEN
    found = the_key(cloud, over_grpc=over_grpc)
    assert found.rotation == Rotation(timedelta(days=30), WHEN + timedelta(days=30))
    key.rotated_every, key.import_only = None, True
    found = the_key(cloud, over_grpc=over_grpc)
    assert (found.rotation, found.import_only) == (Rotation(None), True)


CHANGES: dict[str, dict[str, Any]] = {
    "another primary": {"primary": 2},
    "another purpose": {"purpose": "ASYMMETRIC_DECRYPT"},
    "another delay": {"destroy_after": timedelta(days=1)},
    "another rotation": {"rotated_every": None},
    "takes imports alone": {"import_only": True},
    "access by reason": {"access_reasons": []},
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_the_digest_of_an_answer_changes_with_each_thing_that_it_says(
    cloud: GoogleCloud, change: dict[str, Any]
) -> None:
    key = cloud.store.add_key(GOOGLE_KEY, versions=3)
    before = {one.call: one.answer_digest for one in the_key(cloud).evidence}
    for name, value in change.items():
        setattr(key, name, value)
    after = {one.call: one.answer_digest for one in the_key(cloud).evidence}
    assert {call for call, digest in after.items() if digest != before[call]} == {"cloudkms:GetCryptoKey"}


def test_a_key_says_what_it_is_for(cloud: GoogleCloud, *, over_grpc: bool) -> None:
    cloud.store.add_key(GOOGLE_KEY)
    assert the_key(cloud, over_grpc=over_grpc).purpose == "ENCRYPT_DECRYPT"


def test_a_version_that_only_some_pages_count_is_missed(cloud: GoogleCloud) -> None:
    cloud.store.add_key(GOOGLE_KEY)
    version = {"name": f"{GOOGLE_KEY}/cryptoKeyVersions/1", "state": "ENABLED"}
    for page in ({"totalSize": 2, "nextPageToken": "t"}, {"cryptoKeyVersions": [version], "totalSize": 1}):
        cloud.traffic.fail("kms ListCryptoKeyVersions ", status=200, body=json.dumps(page).encode(), times=1)
    (found,) = read(cloud)
    assert isinstance(found, KeyUnread)
    assert found.reason is Reason.MALFORMED


def test_versions_page_to_the_end(cloud: GoogleCloud, *, over_grpc: bool) -> None:
    cloud.store.add_key(GOOGLE_KEY, versions=350)
    found = the_key(cloud, over_grpc=over_grpc)
    assert [one.number for one in found.versions] == [str(number) for number in range(1, 351)]
    assert found.primary == "350"


@pytest.mark.parametrize("state", HSM_STATES)
def test_the_single_tenant_hsm_behind_a_key_is_read(cloud: GoogleCloud, state: str) -> None:
    instance = "projects/acme/locations/us-east1/singleTenantHsmInstances/one"
    cloud.store.add_instance(instance, state, disable_time=WHEN)
    key = cloud.store.add_key(GOOGLE_KEY, backend=instance)
    key.versions[1].protection = "HSM_SINGLE_TENANT"
    assert the_key(cloud).hsm_instance == HsmInstance(instance, state, WHEN)
    resources = {one.call: one.resource for one in the_key(cloud).evidence}
    assert resources["cloudkms:GetSingleTenantHsmInstance"] == instance
    assert resources["cloudkms:GetCryptoKey"] == GOOGLE_KEY
    cloud.store.deny("cloudkms.singleTenantHsmInstances.get", instance)
    assert the_key(cloud).hsm_instance == HsmInstance(instance, None, unread=Reason.ACCESS_DENIED)


@pytest.mark.parametrize("reasons", [None, [], ["CUSTOMER_INITIATED_ACCESS"], ["GOOGLE_INITIATED_REVIEW"]], ids=str)
def test_access_justifications_keep_none_and_nothing_apart(
    cloud: GoogleCloud, reasons: list[str] | None, *, over_grpc: bool
) -> None:
    cloud.store.add_key(GOOGLE_KEY, access_reasons=reasons)
    expected = None if reasons is None else tuple(reasons)
    assert the_key(cloud, over_grpc=over_grpc).access_reasons == expected


def test_a_deleted_key_is_proven_gone_by_the_list_of_retired_names(cloud: GoogleCloud, *, over_grpc: bool) -> None:
    cloud.store.add_key(GOOGLE_KEY)
    cloud.store.delete_key(GOOGLE_KEY)
    (found,) = read(cloud, over_grpc=over_grpc)
    assert isinstance(found, KeyGone)
    assert found.proven
    assert [(one.call, one.resource) for one in found.evidence] == [("cloudkms:GetCryptoKey", GOOGLE_KEY)]


def test_a_key_that_is_not_found_and_was_never_deleted_is_not_gone(cloud: GoogleCloud) -> None:
    (found,) = read(cloud)
    assert isinstance(found, KeyUnread)
    assert found.reason is Reason.NOT_FOUND
    assert "not among the deleted keys" in found.detail


def test_where_nobody_may_ask_for_deleted_keys_it_is_not_proven_gone(cloud: GoogleCloud) -> None:
    cloud.store.add_key(GOOGLE_KEY)
    cloud.store.delete_key(GOOGLE_KEY)
    cloud.store.deny("cloudkms.retiredResources.list", "projects/acme/locations/us-east1")
    (found,) = read(cloud)
    assert isinstance(found, KeyGone)
    assert not found.proven


@pytest.mark.parametrize("permission", ["cloudkms.cryptoKeys.get", "cloudkms.cryptoKeyVersions.list"])
def test_a_denial_is_never_taken_for_a_missing_key(cloud: GoogleCloud, permission: str, *, over_grpc: bool) -> None:
    cloud.store.add_key(GOOGLE_KEY)
    cloud.store.deny(permission, GOOGLE_KEY)
    (found,) = read(cloud, over_grpc=over_grpc)
    assert isinstance(found, KeyUnread)
    assert (found.reason, bool(found.hint)) == (Reason.ACCESS_DENIED, True)


FAULTS: dict[str, tuple[dict[str, Any], Reason]] = {
    "quota": ({"status": 429}, Reason.THROTTLED),
    "unavailable": ({"status": 503}, Reason.TIMEOUT),
    "no credentials": ({"status": 401}, Reason.EXPIRED_CREDENTIALS),
    "bad request": ({"status": 400}, Reason.MALFORMED),
}


@pytest.mark.parametrize(("fault", "reason"), FAULTS.values(), ids=FAULTS)
def test_what_could_not_be_read_is_told_with_its_reason_and_a_hint(
    cloud: GoogleCloud, monkeypatch: pytest.MonkeyPatch, fault: dict[str, Any], reason: Reason, *, over_grpc: bool
) -> None:
    monkeypatch.setattr("auditor.connectors.gcp.calls._FIRST_WAIT", 0.001)
    cloud.store.add_key(GOOGLE_KEY)
    cloud.traffic.fail("ListCryptoKeyVersions", **fault)
    (found,) = read(cloud, over_grpc=over_grpc)
    assert isinstance(found, KeyUnread)
    assert (found.reason, bool(found.hint)) == (reason, True)


def test_each_request_asks_for_the_largest_page_and_for_conditions(cloud: GoogleCloud) -> None:
    cloud.store.add_key(GOOGLE_KEY)
    read(cloud)
    cloud.store.delete_key(GOOGLE_KEY)
    read(cloud)
    asked = {one.verb: one.target for one in cloud.traffic.requests if one.service == "kms"}
    for verb in ("ListCryptoKeyVersions", "ListCryptoKeys", "ListRetiredResources"):
        assert "pageSize=1000&" in asked[verb], verb
    # Source: Cloud KMS reference, GetPolicyOptions: a policy with conditions is told whole only as version 3.
    assert asked["GetIamPolicy"].endswith("options.requestedPolicyVersion=3")


HINTS = {401: "credentials", 403: "deploy/gcp-auditor-role.yaml", 400: "the endpoint", 500: "the network"}


@pytest.mark.parametrize(("status", "hint"), HINTS.items())
def test_a_key_that_could_not_be_read_tells_what_would_help(cloud: GoogleCloud, status: int, hint: str) -> None:
    cloud.store.add_key(GOOGLE_KEY)
    cloud.traffic.fail("GetCryptoKey", status=status)
    (found,) = read(cloud)
    assert isinstance(found, KeyUnread)
    assert hint in found.hint


OTHER_ANSWERS: dict[str, tuple[str, bytes]] = {
    "about no key": ("GetCryptoKey", b"{}"),
    "about another key": ("GetCryptoKey", json.dumps({"name": f"{GOOGLE_KEY}-2"}).encode()),
    "no version of a key that has a primary one": ("ListCryptoKeyVersions", b"{}"),
    "no object": ("GetCryptoKey", b"[]"),
    "a text": ("ListCryptoKeyVersions", b'"none"'),
    "versions that are none": ("ListCryptoKeyVersions", b'{"cryptoKeyVersions": [5]}'),
    "a time that no clock has": (
        "ListCryptoKeyVersions",
        json.dumps(
            {
                "cryptoKeyVersions": [
                    {"name": f"{GOOGLE_KEY}/cryptoKeyVersions/1", "createTime": "9999-12-31T23:59:59.999999999Z"}
                ]
            }
        ).encode(),
    ),
    "fewer versions than it counts": ("ListCryptoKeyVersions", b'{"totalSize": 2, "cryptoKeyVersions": [{}]}'),
}


@pytest.mark.parametrize(("call", "body"), OTHER_ANSWERS.values(), ids=OTHER_ANSWERS)
def test_an_answer_that_is_not_about_the_whole_key_is_none(cloud: GoogleCloud, call: str, body: bytes) -> None:
    cloud.store.add_key(GOOGLE_KEY)
    cloud.traffic.fail(f"kms {call} ", status=200, body=body)
    (found,) = read(cloud)
    assert isinstance(found, KeyUnread)
    assert (found.reason, found.detail.partition(":")[0]) == (Reason.MALFORMED, call)


@pytest.mark.parametrize("body", [b"[]", b'{"error": "no"}', b'{"error": {"details": ["x"]}}'])
def test_an_error_that_the_client_cannot_read_is_no_answer(cloud: GoogleCloud, body: bytes) -> None:
    cloud.store.add_key(GOOGLE_KEY)
    cloud.traffic.fail("kms GetCryptoKey ", status=403, body=body)
    (found,) = read(cloud)
    assert isinstance(found, KeyUnread)
    assert found.reason is Reason.MALFORMED


def versions_page(*numbers: int, **told: Any) -> bytes:
    listed = [{"name": f"{GOOGLE_KEY}/cryptoKeyVersions/{one}", "state": "ENABLED"} for one in numbers]
    return json.dumps({"cryptoKeyVersions": listed, **told}).encode()


def test_a_version_that_is_listed_twice_makes_no_whole_list(cloud: GoogleCloud) -> None:
    cloud.store.add_key(GOOGLE_KEY)
    cloud.traffic.fail("kms ListCryptoKeyVersions ", status=200, body=versions_page(1, 1, totalSize=2))
    (found,) = read(cloud)
    assert isinstance(found, KeyUnread)
    assert found.reason is Reason.MALFORMED


def test_a_list_is_known_to_be_whole_where_it_says_how_long_it_is(cloud: GoogleCloud) -> None:
    cloud.store.add_key(GOOGLE_KEY)
    assert the_key(cloud).counted
    cloud.traffic.fail("kms ListCryptoKeyVersions ", status=200, body=versions_page(1, 2))
    assert not the_key(cloud).counted


def test_a_key_that_never_had_a_version_is_known_to_have_none(cloud: GoogleCloud) -> None:
    cloud.store.add_key(GOOGLE_KEY, versions=0)
    assert (the_key(cloud).versions, the_key(cloud).primary) == ((), None)


def test_a_single_tenant_key_that_names_no_instance_has_one_of_unknown_state(cloud: GoogleCloud) -> None:
    key = cloud.store.add_key(GOOGLE_KEY)
    assert the_key(cloud).hsm_instance is None
    key.versions[1].protection = "HSM_SINGLE_TENANT"
    assert the_key(cloud).hsm_instance == HsmInstance(GOOGLE_KEY, None)


def test_the_calls_that_were_made_are_the_evidence(cloud: GoogleCloud) -> None:
    cloud.store.add_key(GOOGLE_KEY)
    calls = [(one.call, one.resource) for one in the_key(cloud).evidence]
    assert calls == [
        (f"cloudkms:{call}", GOOGLE_KEY) for call in ("GetCryptoKey", "ListCryptoKeyVersions", "GetIamPolicy")
    ]
    before = {one.call: one.answer_digest for one in the_key(cloud).evidence}
    assert len(set(before.values())) == 3, "of each its own answer"
    key = cloud.store.key(GOOGLE_KEY)
    assert key is not None
    key.versions[1].state = "DISABLED"
    after = {one.call: one.answer_digest for one in the_key(cloud).evidence}
    assert {call for call, digest in after.items() if digest != before[call]} == {"cloudkms:ListCryptoKeyVersions"}


BAD_POLICIES: dict[str, tuple[str, bytes, str]] = {
    "of a key that is none": ("kms GetIamPolicy", b"{}", "cloudkms.cryptoKeys.getIamPolicy"),
    "of a project of no known shape": (
        "iam POST",
        b'{"etag": "x", "bindings": 7}',
        "resourcemanager.projects.getIamPolicy",
    ),
}


@pytest.mark.parametrize(("call", "body", "policy"), BAD_POLICIES.values(), ids=BAD_POLICIES)
def test_a_policy_that_is_none_is_not_read(cloud: GoogleCloud, call: str, body: bytes, policy: str) -> None:
    cloud.store.add_key(GOOGLE_KEY)
    cloud.traffic.fail(call, status=200, body=body)
    found = the_key(cloud).access
    assert found is not None
    assert dict(found.unread)[policy] is Reason.MALFORMED


def test_versions_whose_pages_never_end_are_unread_and_not_read_for_ever(cloud: GoogleCloud) -> None:
    cloud.store.add_key(GOOGLE_KEY)
    cloud.traffic.fail("ListCryptoKeyVersions", status=200, body=b'{"nextPageToken": "x"}')
    (found,) = read(cloud)
    assert isinstance(found, KeyUnread)
    assert found.reason is Reason.MALFORMED


def test_an_exhausted_quota_is_waited_out(cloud: GoogleCloud, *, over_grpc: bool) -> None:
    cloud.store.add_key(GOOGLE_KEY)
    wire = Wire(Clock())
    cloud.traffic.fail("GetCryptoKey", status=429, times=1)
    (found,) = read(cloud, over_grpc=over_grpc, wire=wire)
    assert isinstance(found, GcpKey)
    assert wire.counts()["cloudkms", "GetCryptoKey", "ok"] == 1
    assert sum(count for (_, name, _), count in wire.counts().items() if name == "GetCryptoKey") == 2


def test_who_may_decrypt_is_read_from_key_ring_and_project(cloud: GoogleCloud, *, over_grpc: bool) -> None:
    def grant() -> Grant:
        access = the_key(cloud, over_grpc=over_grpc).access
        found = access.grant(AGENT, DECRYPT) if access else None
        assert found is not None
        return found

    cloud.store.add_key(GOOGLE_KEY)
    assert grant() is Grant.DIRECT
    cloud.store.revoke(RING, f"serviceAccount:{AGENT}")
    assert grant() is Grant.ABSENT
    cloud.store.deny("resourcemanager.projects.getIamPolicy", "projects/acme")
    assert grant() is Grant.WITHDRAWN
    cloud.store.deny("cloudkms.keyRings.getIamPolicy", RING)
    assert grant() is Grant.UNREAD
    cloud.store.grant(GOOGLE_KEY, ROLE, f"serviceAccount:{AGENT}")
    assert grant() is Grant.DIRECT


def test_policies_of_ring_and_project_are_read_once_for_many_keys(cloud: GoogleCloud) -> None:
    names = [KeyName(f"{RING}/cryptoKeys/k{number}") for number in range(12)]
    for name in names:
        cloud.store.add_key(name.text)
    found = read(cloud, *names)
    asked = [one.target for one in cloud.traffic.requests if one.service == "iam"]
    assert len(asked) <= 8  # eight keys at once may ask before the first answer is there
    told = {one.access and one.access.grant(AGENT, DECRYPT) for one in found if isinstance(one, GcpKey)}
    assert (len(found), told) == (12, {Grant.DIRECT})


def test_a_grant_on_the_ring_tells_the_rings_other_keys(cloud: GoogleCloud, *, over_grpc: bool) -> None:
    def ring_keys() -> tuple[str, ...]:
        access = the_key(cloud, over_grpc=over_grpc).access
        assert access is not None
        return access.ring_keys

    cloud.store.add_key(GOOGLE_KEY)
    more = [f"{RING}/cryptoKeys/k{number:03}" for number in range(120)]
    for name in more:
        cloud.store.add_key(name)
    assert ring_keys() == tuple(more)
    cloud.store.deny("cloudkms.cryptoKeys.list", RING)
    access = the_key(cloud, over_grpc=over_grpc).access
    assert access is not None
    assert (access.ring_keys, access.unread) == ((), (("cloudkms.cryptoKeys.list", Reason.ACCESS_DENIED),))
    cloud.store.revoke(RING, f"serviceAccount:{AGENT}")
    cloud.store.grant(GOOGLE_KEY, ROLE, f"serviceAccount:{AGENT}")
    assert the_key(cloud, over_grpc=over_grpc).access == access_of((AGENT,), Policies((DIRECT,), (), ()), {})


DIRECT = Binding(ROLE, (f"serviceAccount:{AGENT}",))
OTHER = Binding(ROLE, ("serviceAccount:other@x.iam.gserviceaccount.com", "user:a@x.example"))
GRANTS: dict[str, tuple[Policies, Grant]] = {
    "on the key": (Policies((DIRECT,), (), ()), Grant.DIRECT),
    "on the ring": (Policies((), (DIRECT,), None), Grant.DIRECT),
    "on the project": (Policies(None, None, (DIRECT,)), Grant.DIRECT),
    "decrypt only": (
        Policies((Binding("roles/cloudkms.cryptoKeyDecrypter", DIRECT.members),), (), ()),
        Grant.DIRECT,
    ),
    "with a condition": (Policies((Binding(ROLE, DIRECT.members, conditional=True),), (), ()), Grant.POSSIBLE),
    "all crypto operations": (
        Policies((Binding("roles/cloudkms.cryptoOperator", DIRECT.members),), (), ()),
        Grant.DIRECT,
    ),
    "in other letters": (
        Policies((Binding(ROLE, (f"serviceAccount:{AGENT.upper()}",)),), (), ()),
        Grant.POSSIBLE,
    ),
    "custom role": (Policies((Binding("projects/acme/roles/crypto", DIRECT.members),), (), ()), Grant.POSSIBLE),
    "owner": (Policies((), (), (Binding("roles/owner", DIRECT.members),)), Grant.POSSIBLE),
    "a group": (Policies((Binding(ROLE, ("group:storage@acme.example",)),), (), ()), Grant.POSSIBLE),
    "everybody": (Policies((Binding(ROLE, ("allAuthenticatedUsers",)),), (), ()), Grant.POSSIBLE),
    "a domain": (Policies((), (), (Binding(ROLE, ("domain:acme.example",)),)), Grant.POSSIBLE),
    "a group that only looks": (Policies((Binding("roles/cloudkms.viewer", ("group:a@b",)),), (), ()), Grant.ABSENT),
    "a person and a group": (Policies((Binding(ROLE, ("user:a@b", "group:c@d")),), (), ()), Grant.POSSIBLE),
    "a deleted account of the same name": (
        Policies((Binding(ROLE, (f"deleted:serviceAccount:{AGENT}?uid=1",)),), (), ()),
        Grant.ABSENT,
    ),
    "somebody else": (Policies((OTHER,), (OTHER,), (OTHER,)), Grant.ABSENT),
    "encrypt only": (
        Policies((Binding("roles/cloudkms.cryptoKeyEncrypter", DIRECT.members),), (), ()),
        Grant.ABSENT,
    ),
    "nothing": (Policies((), (), ()), Grant.ABSENT),
    "project not readable": (Policies((OTHER,), (), None), Grant.WITHDRAWN),
    "ring not readable": (Policies((), None, ()), Grant.UNREAD),
    "key not readable": (Policies(None, (), ()), Grant.UNREAD),
}


@pytest.mark.parametrize(("policies", "grant"), GRANTS.values(), ids=GRANTS)
def test_only_what_the_policies_settle_is_called_settled(policies: Policies, grant: Grant) -> None:
    assert grant_of(AGENT, policies) is grant


WITHOUT_CRYPTO = {
    *("roles/cloudkms.admin", "roles/cloudkms.importer", "roles/cloudkms.publicKeyViewer", "roles/cloudkms.viewer"),
    *("roles/cloudkms.signer", "roles/cloudkms.signerVerifier", "roles/cloudkms.verifier"),
    *("roles/browser", "roles/iam.securityReviewer", "roles/logging.viewer", "roles/viewer"),
    *("roles/storage.admin", "roles/storage.objectAdmin", "roles/storage.objectCreator", "roles/storage.objectViewer"),
}


@pytest.mark.parametrize("role", sorted(WITHOUT_CRYPTO))
def test_a_predefined_role_without_the_right_grants_nothing(role: str) -> None:
    policies = Policies((Binding(role, DIRECT.members),), (), ())
    assert [grant_of(AGENT, policies, action) for action in (DECRYPT, ENCRYPT)] == [Grant.ABSENT, Grant.ABSENT]


def test_a_policy_is_read_as_json_tells_it() -> None:
    told = {"bindings": [{"role": ROLE, "members": ["user:a@b"], "condition": {"expression": "x"}}, {"role": "r"}]}
    assert parse_policy(told) == (Binding(ROLE, ("user:a@b",), conditional=True), Binding("r", ()))
    assert parse_policy({}) == ()


def test_a_grant_on_the_ring_is_one_to_decrypt_by_name() -> None:
    assert granted_on_ring(("x", AGENT), Policies((), (OTHER, DIRECT), ()))
    assert not granted_on_ring((AGENT,), Policies((DIRECT,), (OTHER,), (DIRECT,)))
    assert not granted_on_ring((AGENT,), Policies((DIRECT,), None, ()))


def test_all_that_the_policies_say_is_told() -> None:
    unread = {"b": Reason.TIMEOUT, "a": Reason.ACCESS_DENIED}
    bound = Binding("roles/viewer", ("user:a@b",), conditional=True)
    found = access_of((AGENT,), Policies((DIRECT, bound), (), ()), unread, ("another",))
    assert [(one.principal, one.action, one.grant) for one in found.rights] == [
        (AGENT, "cloudkms.cryptoKeyVersions.useToDecrypt", Grant.DIRECT),
        (AGENT, "cloudkms.cryptoKeyVersions.useToEncrypt", Grant.DIRECT),
    ]
    assert (found.ring_keys, found.administered) == (("another",), None)
    assert found.unread == (("a", Reason.ACCESS_DENIED), ("b", Reason.TIMEOUT))


WRITES: dict[str, tuple[str, Grant]] = {
    "both": (ROLE, Grant.DIRECT),
    "encrypt only": ("roles/cloudkms.cryptoKeyEncrypter", Grant.DIRECT),
    "all crypto operations": ("roles/cloudkms.cryptoOperator", Grant.DIRECT),
    "decrypt only": ("roles/cloudkms.cryptoKeyDecrypter", Grant.ABSENT),
    "neither": ("roles/cloudkms.viewer", Grant.ABSENT),
    "a role of one's own": ("projects/acme/roles/crypto", Grant.POSSIBLE),
}


@pytest.mark.parametrize(("role", "grant"), WRITES.values(), ids=WRITES)
def test_the_right_to_write_is_judged_apart(role: str, grant: Grant) -> None:
    assert grant_of(AGENT, Policies((Binding(role, DIRECT.members),), (), ()), ENCRYPT) is grant


def others(policies: Policies) -> tuple[str, ...] | None:
    return access_of((AGENT,), policies, {}).others


def test_who_else_may_decrypt_is_told() -> None:
    assert others(Policies((DIRECT, OTHER), (), ())) == OTHER.members
    assert others(Policies((DIRECT, Binding(ROLE, ("deleted:serviceAccount:x",))), (), ())) == ()
    assert others(Policies((DIRECT, Binding("roles/viewer", ("user:b@x",))), (), ())) == ()
    assert others(Policies((DIRECT,), (), None)) is None
    assert others(Policies((OTHER,), (), None)) == OTHER.members
    assert access_of((), Policies((OTHER,), (), ()), {}).others is None
    assert others(Policies(None, (), ())) is None
    assert others(Policies((), None, ())) is None
    many = tuple(f"user:{number:02}@x" for number in range(25))
    assert others(Policies((Binding(ROLE, many),), (), ())) == many[:20]


CUSTOM = Binding("projects/acme/roles/crypto", OTHER.members)
STRANGERS: dict[str, tuple[Policies, tuple[str, ...] | None]] = {
    "all crypto operations": (
        Policies((DIRECT, Binding("roles/cloudkms.cryptoOperator", ("user:a@x.example",))), (), ()),
        ("user:a@x.example",),
    ),
    "a role of one's own on the key": (Policies((DIRECT, CUSTOM), (), ()), None),
    "a role of one's own on the ring": (Policies((DIRECT,), (CUSTOM,), ()), None),
    "a role of one's own on the key, of one who may decrypt anyway": (
        Policies((DIRECT, CUSTOM, OTHER), (), ()),
        OTHER.members,
    ),
    "a role of one's own on the project": (Policies((DIRECT,), (), (CUSTOM,)), ()),
    "the platform's role of one's own": (
        Policies((Binding("projects/acme/roles/crypto", DIRECT.members),), (), ()),
        (),
    ),
    "the platform in other letters": (Policies((Binding(ROLE, (f"serviceAccount:{AGENT.upper()}",)),), (), ()), ()),
    "a deleted account's role of one's own": (
        Policies((DIRECT, Binding("projects/acme/roles/crypto", ("deleted:user:x?uid=1",))), (), ()),
        (),
    ),
    "to encrypt": (Policies((DIRECT, Binding("roles/cloudkms.cryptoKeyEncrypter", OTHER.members)), (), ()), ()),
    "a set of principals": (
        Policies((DIRECT, Binding(ROLE, ("principalSet://iam.googleapis.com/p/attribute.a/b",))), (), ()),
        ("principalSet://iam.googleapis.com/p/attribute.a/b",),
    ),
}


@pytest.mark.parametrize(("policies", "strangers"), STRANGERS.values(), ids=STRANGERS)
def test_a_role_that_nobody_knows_is_no_proof_that_only_the_platform_may(
    policies: Policies, strangers: tuple[str, ...] | None
) -> None:
    assert others(policies) == strangers


EVERYBODY = Binding("roles/cloudkms.viewer", ("allUsers",))
PUBLIC: dict[str, tuple[Policies, bool | None]] = {
    "everybody on the key": (Policies((EVERYBODY,), (), ()), True),
    "everybody on the ring": (Policies((), (Binding(ROLE, ("allAuthenticatedUsers",)),), None), True),
    "under a condition": (Policies((Binding(ROLE, ("allUsers",), conditional=True),), (), ()), None),
    "a domain": (Policies((Binding(ROLE, ("domain:acme.example",)),), (), ()), False),
    "nobody": (Policies((), (), None), False),
    "key not read": (Policies(None, (), ()), None),
    "ring not read": (Policies((), None, ()), None),
}


@pytest.mark.parametrize(("policies", "public"), PUBLIC.values(), ids=PUBLIC)
def test_a_key_is_public_when_everybody_is_bound(policies: Policies, public: bool | None) -> None:  # noqa: FBT001 - a case
    assert access_of((AGENT,), policies, {}).public is public


@pytest.mark.parametrize("status", [400, 403, 404])
def test_a_page_of_somebody_on_the_way_neither_denies_nor_deletes_a_key(cloud: GoogleCloud, status: int) -> None:
    cloud.store.add_key(GOOGLE_KEY)
    cloud.traffic.fail("cryptoKeys/main", status=status, body=b"<html>nginx</html>")
    (found,) = read(cloud)
    assert isinstance(found, KeyUnread)
    assert found.reason is Reason.MALFORMED


def test_versions_of_another_key_are_no_answer(cloud: GoogleCloud) -> None:
    cloud.store.add_key(GOOGLE_KEY)
    version = f'{{"name": "{GOOGLE_KEY}-2/cryptoKeyVersions/1", "state": 1}}'
    cloud.traffic.fail("cryptoKeyVersions", status=200, body=f'{{"cryptoKeyVersions": [{version}]}}'.encode())
    (found,) = read(cloud)
    assert isinstance(found, KeyUnread)
    assert found.reason is Reason.MALFORMED


def test_only_what_key_and_ring_grant_is_granted_below_the_project(cloud: GoogleCloud) -> None:
    cloud.store.add_key(GOOGLE_KEY)
    access = the_key(cloud).access
    assert access is not None
    assert {one.above for one in access.rights} == {False}
    cloud.store.revoke(RING, f"serviceAccount:{AGENT}")
    cloud.store.grant("projects/acme", ROLE, f"serviceAccount:{AGENT}")
    access = the_key(cloud).access
    assert access is not None
    assert {(one.grant, one.above) for one in access.rights} == {(Grant.DIRECT, True)}


GROUP = Binding(ROLE, ("group:readers@acme.example",), conditional=False)
ABOVE: dict[str, tuple[Policies, bool | None]] = {
    "on the project": (Policies((), (), (DIRECT,)), True),
    "on the project, among others": (Policies((OTHER,), (OTHER,), (OTHER, DIRECT)), True),
    "on project and key": (Policies((DIRECT,), (), (DIRECT,)), True),
    "on project and ring": (Policies((), (DIRECT,), (DIRECT,)), True),
    "on the key, and perhaps on the project": (Policies((DIRECT,), (), (GROUP,)), True),
    "on the key, and the project was not read": (Policies((DIRECT,), (), None), None),
    "on the key": (Policies((DIRECT,), (), ()), False),
    "nowhere": (Policies((), (), ()), False),
    "to others on the project": (Policies((), (), (OTHER,)), False),
    "on the project, and nothing read below": (Policies(None, None, (DIRECT,)), True),
}


@pytest.mark.parametrize(("policies", "above"), ABOVE.values(), ids=ABOVE)
def test_a_right_is_from_above_where_the_project_gives_it_as_well(policies: Policies, *, above: bool | None) -> None:
    assert [one.above for one in access_of((AGENT,), policies, {}).rights] == [above, above]
