"""The state tables of both clouds: what each state that a key may be in says of its data."""

from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import botocore.session
import pytest
from google.cloud import kms_v1

from auditor.findings import Assessment, Basis, Confidence, Readability, Subject, SubjectKind
from auditor.model import (
    AwsKey,
    CustomKeyStore,
    EkmConnection,
    Encryption,
    Evidence,
    GcpKey,
    Grant,
    HsmInstance,
    KeyAccess,
    KeyGone,
    KeyManager,
    KeyMemory,
    KeyName,
    KeyReading,
    Material,
    Reason,
)
from auditor.policy import Policy
from auditor.readability import KeyView, assess, aws, gcp
from auditor.readability.table import before, worst
from tests.core_builders import (
    AGENT,
    AWS_KEY,
    GCP_KEY,
    NOW,
    ROLE,
    a_gcp_key,
    a_holding,
    a_version,
    access,
    an_aws_key,
    days,
    denied,
    remembered,
)

R = Readability
POLICY = Policy()
DEAD_STORE = CustomKeyStore("cks-1", "DISCONNECTED")
EVIDENCE = (Evidence("a call", "a key", NOW, None, "0" * 64),)
FROM_WORST = (R.LOST, R.DOOMED, R.UNREADABLE, R.REVOKED, R.UNREACHABLE, R.UNKNOWN, R.EXPIRING, R.READABLE)


def candidate(readability: R, cause: str = "", final_at: datetime | None = None) -> Assessment:
    return Assessment(readability, Basis.STATE, cause, Subject(SubjectKind.KEY, "k"), final_at=final_at)


@pytest.mark.parametrize(("worse", "better"), [*pairwise(FROM_WORST)])
def test_of_several_obstacles_the_worst_that_is_proven_stands(worse: R, better: R) -> None:
    for order in ((worse, better), (better, worse)):
        assert worst(map(candidate, order)).readability is worse


def test_of_two_dates_the_nearer_one_stands_and_of_equals_the_first() -> None:
    near, far, never = (candidate(R.DOOMED, final_at=date) for date in (NOW, NOW + days(1), None))
    assert worst((never, far, near)) == near
    assert worst((near, never)) == near
    first, second = candidate(R.LOST, "first"), candidate(R.LOST, "second")
    assert worst((first, second)) == first


def test_what_is_not_well_behind_the_worst_is_named_once() -> None:
    well, store, right = (
        replace(candidate(readability), subject=Subject(kind, "k"))
        for readability, kind in (
            (R.READABLE, SubjectKind.HSM_INSTANCE),
            (R.UNREACHABLE, SubjectKind.KEY_STORE),
            (R.UNKNOWN, SubjectKind.PRINCIPAL),
        )
    )
    disabled = candidate(R.UNREADABLE)
    found = worst((well, right, store, disabled, right))
    assert found == replace(disabled, shadowed=((right.subject, R.UNKNOWN), (store.subject, R.UNREACHABLE)))
    lost = before(candidate(R.LOST), found)
    assert lost.shadowed == ((disabled.subject, R.UNREADABLE), *found.shadowed)
    assert before(disabled, found) == found


def of_aws(key: AwsKey, now: datetime = NOW) -> R:
    return assess(a_holding(), KeyView(AWS_KEY, key, None), (), POLICY, now).assessment.readability


AWS = {
    "Enabled": (an_aws_key(), R.READABLE),
    "Updating": (an_aws_key("Updating"), R.READABLE),
    "Updating, and the material expires": (an_aws_key("Updating", valid_to=NOW + days(1)), R.EXPIRING),
    "Disabled": (an_aws_key("Disabled"), R.UNREADABLE),
    "PendingDeletion": (an_aws_key("PendingDeletion", deletion_date=NOW + days(3)), R.DOOMED),
    "PendingReplicaDeletion": (an_aws_key("PendingReplicaDeletion", pending_window_days=7), R.UNREADABLE),
    "PendingImport": (an_aws_key("PendingImport", origin="EXTERNAL"), R.UNREADABLE),
    "Unavailable": (an_aws_key("Unavailable", store=DEAD_STORE), R.UNREACHABLE),
    "Unavailable, store not readable": (an_aws_key("Unavailable"), R.UNREACHABLE),
    "Creating": (an_aws_key("Creating"), R.UNKNOWN),
    "a state of tomorrow": (an_aws_key("Frozen"), R.UNKNOWN),
    "material expires inside the horizon": (an_aws_key(valid_to=NOW + days(30)), R.EXPIRING),
    "material expires a second beyond it": (an_aws_key(valid_to=NOW + days(30.0001)), R.READABLE),
    "disabled, and the material expires": (an_aws_key("Disabled", valid_to=NOW + days(1)), R.UNREADABLE),
    "store connected": (an_aws_key(store=CustomKeyStore("cks-1", "CONNECTED")), R.READABLE),
    "store disconnected": (an_aws_key(store=DEAD_STORE), R.UNREACHABLE),
    "store failed": (an_aws_key(store=CustomKeyStore("cks-1", "FAILED", "USER_LOCKED_OUT")), R.UNREACHABLE),
    "store in a state of tomorrow": (an_aws_key(store=CustomKeyStore("cks-1", "DOZING")), R.UNREACHABLE),
    "store not readable": (an_aws_key(store=CustomKeyStore("cks-1", None)), R.READABLE),
    "pending deletion behind a dead store": (
        an_aws_key("PendingDeletion", deletion_date=NOW + days(3), store=DEAD_STORE),
        R.DOOMED,
    ),
}


@pytest.mark.parametrize(("key", "readability"), AWS.values(), ids=AWS)
def test_every_aws_state_has_its_readability(key: AwsKey, readability: R) -> None:
    assert of_aws(key) is readability


@pytest.mark.parametrize("key", [key for key, _ in AWS.values()], ids=AWS)
def test_every_verdict_on_aws_stands_on_the_keys_answers_and_its_state(key: AwsKey) -> None:
    view = KeyView(AWS_KEY, replace(key, evidence=EVIDENCE), None)
    found = assess(a_holding(), view, (), POLICY, NOW).assessment
    assert (found.evidence, found.basis, found.confidence) == (EVIDENCE, Basis.STATE, Confidence.PROVEN)


DATE = NOW + days(3)
AWS_UNDO: dict[str, tuple[AwsKey, list[tuple[str, str, datetime | None]]]] = {
    "Enabled": (an_aws_key(), []),
    "Disabled": (an_aws_key("Disabled", deletion_date=DATE), [("aws kms enable-key", "Enabled", None)]),
    "PendingDeletion": (
        an_aws_key("PendingDeletion", deletion_date=DATE),
        [("aws kms cancel-key-deletion", "Disabled", DATE), ("aws kms enable-key", "Enabled", DATE)],
    ),
    "PendingReplicaDeletion": (
        an_aws_key("PendingReplicaDeletion"),
        [("aws kms cancel-key-deletion", "Disabled", None), ("aws kms enable-key", "Enabled", None)],
    ),
    "PendingImport": (an_aws_key("PendingImport"), [("call kms:ImportKeyMaterial on", "Enabled", None)]),
    "material expires": (an_aws_key(valid_to=DATE), [("call kms:ImportKeyMaterial on", "Enabled", None)]),
    "store disconnected": (an_aws_key(store=DEAD_STORE), [("aws kms connect-custom-key-store", "CONNECTED", None)]),
}


@pytest.mark.parametrize(("key", "undo"), AWS_UNDO.values(), ids=AWS_UNDO)
def test_each_obstacle_on_aws_has_its_undo(key: AwsKey, undo: list[tuple[str, str, datetime | None]]) -> None:
    found = assess(a_holding(), KeyView(AWS_KEY, key, None), (), POLICY, NOW).assessment
    assert [(" ".join(one.call.split()[:3]), one.lands_in, one.until) for one in found.undo] == undo
    assert found.final_at == (DATE if found.readability in {R.DOOMED, R.EXPIRING} else None)


def test_a_replica_that_waits_for_the_others_tells_how_long_and_no_other_key_does() -> None:
    def told(state: str, window: int | None) -> str:
        key = an_aws_key(state, pending_window_days=window)
        return assess(a_holding(), KeyView(AWS_KEY, key, None), (), POLICY, NOW).assessment.cause

    assert "(waiting period 7 days)" in told("PendingReplicaDeletion", 7)
    assert "waiting period" not in told("PendingReplicaDeletion", None) + told("Disabled", 7)


STORES = {
    "Unavailable, with a store": (
        an_aws_key("Unavailable", store=CustomKeyStore("cks-1", None)),
        SubjectKind.KEY_STORE,
    ),
    "Unavailable, store not told": (an_aws_key("Unavailable"), SubjectKind.KEY),
    "Disabled, on a dead store": (an_aws_key("Disabled", store=DEAD_STORE), SubjectKind.KEY),
}


@pytest.mark.parametrize(("key", "kind"), STORES.values(), ids=STORES)
def test_a_store_is_blamed_for_what_its_keys_are_not(key: AwsKey, kind: SubjectKind) -> None:
    assert assess(a_holding(), KeyView(AWS_KEY, key, None), (), POLICY, NOW).assessment.subject.kind is kind


def of_gcp(key: GcpKey, number: str | None = "1", agents: tuple[str, ...] = ()) -> R:
    holding = a_holding(GCP_KEY, number)
    return assess(holding, KeyView(GCP_KEY, key, None), agents, POLICY, NOW).assessment.readability


def on_hsm(state: str | None, **more: Any) -> GcpKey:
    return a_gcp_key(hsm_instance=HsmInstance("projects/p/locations/l/singleTenantHsmInstances/i", state, **more))


GCP = {
    "ENABLED": (a_gcp_key(), R.READABLE),
    "DISABLED": (a_gcp_key(a_version(state="DISABLED")), R.UNREADABLE),
    "DESTROY_SCHEDULED": (a_gcp_key(a_version(state="DESTROY_SCHEDULED", destroy_time=NOW + days(9))), R.DOOMED),
    "DESTROYED": (a_gcp_key(a_version(state="DESTROYED")), R.LOST),
    "DESTROYED, can be imported again": (a_gcp_key(a_version(state="DESTROYED", reimport_eligible=True)), R.UNREADABLE),
    "PENDING_GENERATION": (a_gcp_key(a_version(state="PENDING_GENERATION")), R.UNKNOWN),
    "PENDING_IMPORT": (a_gcp_key(a_version(state="PENDING_IMPORT")), R.UNKNOWN),
    "IMPORT_FAILED": (a_gcp_key(a_version(state="IMPORT_FAILED")), R.UNREADABLE),
    "GENERATION_FAILED": (a_gcp_key(a_version(state="GENERATION_FAILED")), R.LOST),
    "PENDING_EXTERNAL_DESTRUCTION": (a_gcp_key(a_version(state="PENDING_EXTERNAL_DESTRUCTION")), R.LOST),
    "EXTERNAL_DESTRUCTION_FAILED": (a_gcp_key(a_version(state="EXTERNAL_DESTRUCTION_FAILED")), R.LOST),
    "enabled, and could be imported again": (
        a_gcp_key(a_version(state="ENABLED", reimport_eligible=True)),
        R.READABLE,
    ),
    "unspecified": (a_gcp_key(a_version(state="CRYPTO_KEY_VERSION_STATE_UNSPECIFIED")), R.UNKNOWN),
    "a state of tomorrow, as its number": (a_gcp_key(a_version(state="11")), R.UNKNOWN),
    "version deleted": (a_gcp_key(a_version("2")), R.LOST),
    "version not listed, where the list may not be whole": (
        replace(a_gcp_key(a_version("2")), counted=False),
        R.UNKNOWN,
    ),
    "version listed, where the list may not be whole": (replace(a_gcp_key(), counted=False), R.READABLE),
    "HSM instance active": (on_hsm("ACTIVE"), R.READABLE),
    "HSM instance disables itself at the horizon": (on_hsm("ACTIVE", disable_time=NOW + days(30)), R.EXPIRING),
    "HSM instance disables itself later": (on_hsm("ACTIVE", disable_time=NOW + days(30.0001)), R.READABLE),
    "HSM instance disabling": (on_hsm("DISABLING"), R.UNREACHABLE),
    "HSM instance disabled": (on_hsm("DISABLED"), R.UNREACHABLE),
    "HSM instance being deleted": (on_hsm("DELETING"), R.UNREACHABLE),
    "HSM instance deleted": (on_hsm("DELETED"), R.LOST),
    "HSM instance failed": (on_hsm("FAILED"), R.LOST),
    "HSM instance being created": (on_hsm("CREATING"), R.UNKNOWN),
    "HSM instance without its second factor": (on_hsm("PENDING_TWO_FACTOR_AUTH_REGISTRATION"), R.UNKNOWN),
    "HSM instance in a state of tomorrow": (on_hsm("77"), R.UNKNOWN),
    "HSM instance not readable": (on_hsm(None), R.READABLE),
    "no justification policy": (a_gcp_key(access_reasons=None), R.READABLE),
    "empty justification policy": (a_gcp_key(access_reasons=()), R.REVOKED),
    "justifications without ordinary reads": (a_gcp_key(access_reasons=("GOOGLE_INITIATED_REVIEW",)), R.REVOKED),
    "justifications with ordinary reads": (a_gcp_key(access_reasons=("CUSTOMER_INITIATED_ACCESS",)), R.READABLE),
    "destroyed and revoked": (a_gcp_key(a_version(state="DESTROYED"), access_reasons=()), R.LOST),
}


@pytest.mark.parametrize(("key", "readability"), GCP.values(), ids=GCP)
def test_every_google_state_has_its_readability(key: GcpKey, readability: R) -> None:
    assert of_gcp(key) is readability


CONNECTION = "projects/p/locations/l/ekmConnections/c"
NOT_REACHED = a_gcp_key(
    a_version(protection_level="EXTERNAL_VPC", ekm_connection=CONNECTION),
    connections=(EkmConnection(CONNECTION, reachable=False),),
)


@pytest.mark.parametrize("number", ["1", None])
@pytest.mark.parametrize("key", [*(key for key, _ in GCP.values()), NOT_REACHED], ids=[*GCP, "manager not reached"])
def test_every_verdict_on_google_cloud_stands_on_the_keys_answers(key: GcpKey, number: str | None) -> None:
    view = KeyView(GCP_KEY, replace(key, evidence=EVIDENCE), None)
    assert assess(a_holding(GCP_KEY, number), view, (), POLICY, NOW).assessment.evidence == EVIDENCE


GCP_GROUNDS: dict[str, tuple[GcpKey, tuple[SubjectKind, Basis, list[str], datetime | None]]] = {
    "enabled": (a_gcp_key(), (SubjectKind.KEY_VERSION, Basis.STATE, [], None)),
    "disabled": (
        a_gcp_key(a_version(state="DISABLED", destroy_time=DATE)),
        (SubjectKind.KEY_VERSION, Basis.STATE, ["ENABLED"], None),
    ),
    "destruction scheduled": (
        a_gcp_key(a_version(state="DESTROY_SCHEDULED", destroy_time=DATE)),
        (SubjectKind.KEY_VERSION, Basis.STATE, ["DISABLED", "ENABLED"], DATE),
    ),
    "import failed": (
        a_gcp_key(a_version(state="IMPORT_FAILED")),
        (SubjectKind.KEY_VERSION, Basis.STATE, ["ENABLED"], None),
    ),
    "can be imported again": (
        a_gcp_key(a_version(state="DESTROYED", reimport_eligible=True)),
        (SubjectKind.KEY_VERSION, Basis.STATE, ["ENABLED"], None),
    ),
    "deleted": (a_gcp_key(a_version("2")), (SubjectKind.KEY_VERSION, Basis.STATE, [], None)),
    "HSM instance disabled": (on_hsm("DISABLED"), (SubjectKind.HSM_INSTANCE, Basis.STATE, [], None)),
    "HSM instance disables itself": (
        on_hsm("ACTIVE", disable_time=DATE),
        (SubjectKind.HSM_INSTANCE, Basis.STATE, ["ACTIVE with a later disable_time"], DATE),
    ),
    "manager not reached": (
        NOT_REACHED,
        (
            SubjectKind.EKM_CONNECTION,
            Basis.PROBE,
            ["VerifyConnectivity succeeds; the version may have to be enabled again"],
            None,
        ),
    ),
    "no access reason": (
        a_gcp_key(access_reasons=()),
        (SubjectKind.PRINCIPAL, Basis.POLICY, ["reads are allowed again; no data needs copying"], None),
    ),
}


@pytest.mark.parametrize(("key", "expected"), GCP_GROUNDS.values(), ids=GCP_GROUNDS)
def test_each_obstacle_on_google_cloud_has_its_subject_basis_undo_and_date(
    key: GcpKey, expected: tuple[SubjectKind, Basis, list[str], datetime | None]
) -> None:
    found = assess(a_holding(GCP_KEY, "1"), KeyView(GCP_KEY, key, None), (), POLICY, NOW).assessment
    assert (found.subject.kind, found.basis, [one.lands_in for one in found.undo], found.final_at) == expected
    assert {one.until for one in found.undo} <= {found.final_at}


def test_only_a_destroyed_version_tells_since_when() -> None:
    def since(state: str) -> datetime | None:
        key = a_gcp_key(a_version(state=state, destroyed_time=NOW - days(1)))
        return assess(a_holding(GCP_KEY, "1"), KeyView(GCP_KEY, key, None), (), POLICY, NOW).assessment.since

    assert (since("DESTROYED"), since("DISABLED")) == (NOW - days(1), None)


WITHOUT_VERSION = {
    "all enabled": (a_gcp_key(a_version("1"), a_version("2")), R.READABLE),
    "one disabled": (a_gcp_key(a_version("1"), a_version("2", "DISABLED")), R.UNKNOWN),
    "all disabled": (a_gcp_key(a_version("1", "DISABLED"), a_version("2", "DISABLED")), R.UNREADABLE),
    "one deleted": (a_gcp_key(a_version("2"), a_version("3")), R.UNKNOWN),
    "one deleted in between": (a_gcp_key(a_version("1"), a_version("3")), R.UNKNOWN),
    "one deleted and the others destroyed": (a_gcp_key(a_version("2", "DESTROYED")), R.LOST),
    "no versions at all": (GcpKey(GCP_KEY, ()), R.UNKNOWN),
}


@pytest.mark.parametrize(("key", "readability"), WITHOUT_VERSION.values(), ids=WITHOUT_VERSION)
def test_data_without_a_version_is_judged_only_when_all_versions_agree(key: GcpKey, readability: R) -> None:
    found = assess(a_holding(GCP_KEY), KeyView(GCP_KEY, key, None), (), POLICY, NOW).assessment
    assert (found.readability, found.basis, found.subject.kind) == (readability, Basis.STATE, SubjectKind.KEY)


@pytest.mark.parametrize(
    "memory",
    [
        remembered(an_aws_key(), denied_since=NOW),
        remembered(None, denied_since=NOW),
        remembered(an_aws_key(), missing_since=NOW, missing_until=NOW, missing_proven=True),
        remembered(an_aws_key(), missing_since=NOW),
    ],
    ids=["denied", "denied for ever", "gone", "not found"],
)
def test_a_key_that_was_not_asked_is_not_called_silent(memory: KeyMemory) -> None:
    for reading, told in ((None, "was not asked now"), (denied(reason=Reason.TIMEOUT), "gives no answer now")):
        found = assess(a_holding(), KeyView(AWS_KEY, reading, memory), (), POLICY, NOW).assessment
        assert told in found.cause


def test_a_version_that_is_not_listed_keeps_its_date() -> None:
    date = NOW + days(2)
    for state, told in (("DESTROY_SCHEDULED", date), ("ENABLED", None)):
        version = a_version(state=state, destroy_time=date, unlisted_since=NOW)
        key = a_gcp_key(version)
        found = assess(a_holding(GCP_KEY, "1"), KeyView(GCP_KEY, key, None), (), POLICY, NOW).assessment
        assert (found.readability, found.final_at) == (R.UNKNOWN, told)


def test_versions_that_may_not_all_be_listed_agree_on_nothing() -> None:
    key = a_gcp_key(a_version("1"), a_version("2"))
    assert of_gcp(key, None) is R.READABLE
    differing = a_gcp_key(a_version("1"), a_version("2", "DISABLED"))
    for one, why in ((replace(key, counted=False), "may not all be listed"), (differing, "differ")):
        found = assess(a_holding(GCP_KEY), KeyView(GCP_KEY, one, None), (), POLICY, NOW).assessment
        assert (found.readability, found.cause.endswith(f"and its versions {why}")) == (R.UNKNOWN, True)


def of_no_version(key: GcpKey, agents: tuple[str, ...] = (AGENT,)) -> Assessment:
    return assess(a_holding(GCP_KEY, None), KeyView(GCP_KEY, key, None), agents, POLICY, NOW).assessment


def test_data_without_a_version_hangs_on_what_stands_behind_all_versions() -> None:
    absent = access(GCP_KEY, Grant.ABSENT, principal=AGENT)
    right = Subject(SubjectKind.PRINCIPAL, f"{AGENT} -> {GCP_KEY}")
    whole, down = Subject(SubjectKind.KEY, GCP_KEY.text), HsmInstance("one", "DISABLED")
    instance = Subject(SubjectKind.HSM_INSTANCE, "one")
    two, off = (a_version("1"), a_version("2")), (a_version("1", "DISABLED"), a_version("2", "DISABLED"))
    reached = (EkmConnection("c", reachable=False),)
    behind_one = (a_version("1", protection_level="EXTERNAL_VPC", ekm_connection="c"), a_version("2"))
    behind_two = (behind_one[0], replace(behind_one[0], number="2", ekm_connection="d"))
    both_down = (*reached, replace(reached[0], name="d"))
    for key, expected in (
        (a_gcp_key(*two, access=absent), (R.REVOKED, right, ())),
        (a_gcp_key(*two, hsm_instance=down), (R.UNREACHABLE, instance, ())),
        (a_gcp_key(*off), (R.UNREADABLE, whole, ())),
        (a_gcp_key(*off, hsm_instance=down), (R.UNREADABLE, whole, ((instance, R.UNREACHABLE),))),
        (a_gcp_key(off[0], two[1], access=absent), (R.UNKNOWN, whole, ((right, R.REVOKED),))),
        (a_gcp_key(off[0], two[1]), (R.UNKNOWN, whole, ())),
        (a_gcp_key(*behind_one, connections=reached), (R.UNKNOWN, whole, ())),
        (a_gcp_key(*behind_two, connections=both_down), (R.UNREACHABLE, whole, ())),
        (a_gcp_key(off[0]), (R.UNREADABLE, whole, ())),
    ):
        found = of_no_version(key)
        assert (found.readability, found.subject, found.shadowed) == expected


def test_versions_that_agree_on_their_end_tell_the_nearest_date_and_the_undo_of_each() -> None:
    dates = (NOW + days(9), NOW + days(2))
    versions = (a_version(str(number), "DESTROY_SCHEDULED", destroy_time=date) for number, date in enumerate(dates, 1))
    found = assess(a_holding(GCP_KEY), KeyView(GCP_KEY, a_gcp_key(*versions), None), (), POLICY, NOW).assessment
    assert found.final_at == dates[1]
    assert [(one.until, " ".join(one.call.split()[4:6])) for one in found.undo] == [
        (dates[0], "restore 1"),
        (dates[0], "enable 1"),
        (dates[1], "restore 2"),
        (dates[1], "enable 2"),
    ]


def test_a_version_that_was_listed_once_and_is_not_any_more_was_deleted() -> None:
    key = a_gcp_key(a_version("1"))
    seen = KeyView(GCP_KEY, key, remembered(a_gcp_key(a_version("1")), highest_version=2))
    assert assess(a_holding(GCP_KEY, None), seen, (), POLICY, NOW).assessment.readability is R.UNKNOWN
    assert assess(a_holding(GCP_KEY, "1"), seen, (), POLICY, NOW).assessment.readability is R.READABLE


GRANTS = {
    "direct": (Grant.DIRECT, (), R.READABLE, Basis.POLICY),
    "possible": (Grant.POSSIBLE, (), R.READABLE, Basis.STATE),
    "absent": (Grant.ABSENT, (), R.REVOKED, Basis.POLICY),
    "gone from key and ring, project unread, never had it": (Grant.WITHDRAWN, (), R.READABLE, Basis.STATE),
    "gone from key and ring, project unread, had it once": (Grant.WITHDRAWN, (AGENT,), R.REVOKED, Basis.POLICY),
}


@pytest.mark.parametrize(("grant", "granted", "readability", "basis"), GRANTS.values(), ids=GRANTS)
def test_only_a_proven_lack_of_the_grant_revokes(
    grant: Grant, granted: tuple[str, ...], readability: R, basis: Basis
) -> None:
    key = a_gcp_key(access=access(GCP_KEY, grant))
    view = KeyView(GCP_KEY, key, remembered(a_gcp_key(), granted=granted))
    found = assess(a_holding(GCP_KEY, "1"), view, (AGENT,), POLICY, NOW).assessment
    assert (found.readability, found.basis) == (readability, basis)
    # Folders and organisations may grant it as well, and are not read.
    assert found.confidence is (Confidence.INFERRED if readability is R.REVOKED else Confidence.PROVEN)


@pytest.mark.parametrize(("granted", "told"), [((AGENT,), True), (("other-1",), False)], ids=["seen", "not seen"])
def test_a_right_that_was_seen_before_is_told_as_lost(granted: tuple[str, ...], told: bool) -> None:  # noqa: FBT001 - a case
    key = a_gcp_key(access=access(GCP_KEY, Grant.ABSENT))
    view = KeyView(GCP_KEY, key, remembered(a_gcp_key(), granted=granted))
    found = assess(a_holding(GCP_KEY, "1"), view, (AGENT,), POLICY, NOW).assessment
    assert found.readability is R.REVOKED
    assert ("lets it decrypt any more" in found.cause) is told


def test_every_principal_that_must_decrypt_needs_its_grant() -> None:
    key = a_gcp_key(access=access(GCP_KEY, Grant.DIRECT, Grant.ABSENT))
    assert of_gcp(key, agents=(AGENT, "other-1")) is R.REVOKED
    assert of_gcp(key, agents=(AGENT,)) is R.READABLE


DIRECTLY: dict[str, tuple[tuple[Grant, ...], tuple[str, ...], Basis]] = {
    "both": ((Grant.DIRECT, Grant.DIRECT), (AGENT, "other-1"), Basis.POLICY),
    "one of two": ((Grant.DIRECT, Grant.POSSIBLE), (AGENT, "other-1"), Basis.STATE),
    "one whom nobody asked about": ((Grant.DIRECT,), (AGENT, "other-1"), Basis.STATE),
    "nobody known": ((Grant.DIRECT,), (), Basis.STATE),
}


@pytest.mark.parametrize(("grants", "agents", "basis"), DIRECTLY.values(), ids=DIRECTLY)
def test_readable_stands_on_the_policy_when_it_names_everybody_who_must_decrypt(
    grants: tuple[Grant, ...], agents: tuple[str, ...], basis: Basis
) -> None:
    key = a_gcp_key(access=access(GCP_KEY, *grants))
    found = assess(a_holding(GCP_KEY, "1"), KeyView(GCP_KEY, key, None), agents, POLICY, NOW).assessment
    assert (found.readability, found.basis) == (R.READABLE, basis)


def test_no_policy_is_the_ground_of_a_date() -> None:
    granted = access(AWS_KEY, Grant.DIRECT)
    assert of_aws_as(an_aws_key(access=granted, valid_to=NOW + days(1))).basis is Basis.STATE
    key = on_hsm("ACTIVE", disable_time=NOW + days(1))
    view = KeyView(GCP_KEY, replace(key, access=access(GCP_KEY, Grant.DIRECT)), None)
    assert assess(a_holding(GCP_KEY, "1"), view, (AGENT,), POLICY, NOW).assessment.basis is Basis.STATE


@pytest.mark.parametrize("level", ["EXTERNAL", "EXTERNAL_VPC"])
def test_no_policy_proves_that_an_external_key_manager_answers(level: str) -> None:
    key = a_gcp_key(a_version(protection_level=level), access=access(GCP_KEY, Grant.DIRECT))
    found = assess(a_holding(GCP_KEY, "1"), KeyView(GCP_KEY, key, None), (AGENT,), POLICY, NOW).assessment
    assert (found.readability, found.basis) == (R.READABLE, Basis.STATE)


AWS_GRANTS = {
    "direct": (Grant.DIRECT, R.READABLE, Basis.POLICY),
    "possible": (Grant.POSSIBLE, R.READABLE, Basis.STATE),
    "unread": (Grant.UNREAD, R.READABLE, Basis.STATE),
    "absent": (Grant.ABSENT, R.REVOKED, Basis.POLICY),
    "denied": (Grant.DENIED, R.REVOKED, Basis.POLICY),
}


@pytest.mark.parametrize(("grant", "readability", "basis"), AWS_GRANTS.values(), ids=AWS_GRANTS)
def test_on_aws_the_silence_of_policy_and_grants_is_a_proof(grant: Grant, readability: R, basis: Basis) -> None:
    found = of_aws_as(an_aws_key(access=access(AWS_KEY, grant)))
    assert (found.readability, found.basis, found.confidence) == (readability, basis, Confidence.PROVEN)
    if readability is R.REVOKED:
        blamed = of_aws_as(an_aws_key(access=access(AWS_KEY, grant), evidence=EVIDENCE))
        assert blamed.evidence == EVIDENCE
        assert (found.subject.kind, found.subject.id) == (SubjectKind.PRINCIPAL, f"{ROLE} -> {AWS_KEY}")
        assert found.undo[0].call.startswith(f"call kms:PutKeyPolicy on {AWS_KEY} with")


BARRED = {
    "a fault on the way": (Reason.THROTTLED, R.REVOKED),
    "no answer": (Reason.TIMEOUT, R.REVOKED),
    "credentials that ended": (Reason.EXPIRED_CREDENTIALS, R.REVOKED),
    "a denial": (Reason.ACCESS_DENIED, R.UNKNOWN),
    "another account": (Reason.NOT_VISIBLE, R.UNKNOWN),
}


@pytest.mark.parametrize(("reason", "readability"), BARRED.values(), ids=BARRED)
def test_a_fault_on_policies_does_not_give_a_right_back(reason: Reason, readability: R) -> None:
    key = an_aws_key(access=access(AWS_KEY, Grant.UNREAD, unread=(("kms:GetKeyPolicy", reason),)))
    view = KeyView(AWS_KEY, key, remembered(an_aws_key(), barred=(ROLE,)))
    found = assess(a_holding(), view, (ROLE,), POLICY, NOW).assessment
    assert (found.readability, found.confidence) == (readability, Confidence.INFERRED)
    assert of_aws_as(key).readability is R.READABLE, "nothing was ever proven"


FAULT = (("kms:GetKeyPolicy", Reason.THROTTLED),)
STILL_BARRED: dict[str, tuple[KeyAccess, str, R]] = {
    "not read": (access(AWS_KEY, Grant.UNREAD, unread=FAULT), ROLE, R.REVOKED),
    "not read, by a fault and a denial": (
        access(AWS_KEY, Grant.UNREAD, unread=(*FAULT, ("kms:ListGrants", Reason.ACCESS_DENIED))),
        ROLE,
        R.UNKNOWN,
    ),
    "perhaps granted now": (access(AWS_KEY, Grant.POSSIBLE, unread=FAULT), ROLE, R.READABLE),
    "granted now": (access(AWS_KEY, Grant.DIRECT, unread=FAULT), ROLE, R.READABLE),
    "somebody else was barred": (access(AWS_KEY, Grant.UNREAD, unread=FAULT), "other-1", R.READABLE),
}


@pytest.mark.parametrize(("told", "barred", "readability"), STILL_BARRED.values(), ids=STILL_BARRED)
def test_a_right_that_was_proven_lacking_stays_so_until_something_may_grant_it(
    told: KeyAccess, barred: str, readability: R
) -> None:
    key = an_aws_key(access=told, evidence=EVIDENCE)
    view = KeyView(AWS_KEY, key, remembered(an_aws_key(), barred=(barred,)))
    found = assess(a_holding(), view, (ROLE,), POLICY, NOW).assessment
    assert (found.readability, found.evidence) == (readability, EVIDENCE)
    if readability is not R.READABLE:
        assert (found.subject.kind, found.subject.id) == (SubjectKind.PRINCIPAL, f"{ROLE} -> {AWS_KEY}")
        assert (found.basis, [one.call.split()[1] for one in found.undo]) == (Basis.POLICY, ["kms:PutKeyPolicy"])
        assert ("may not be read" in found.cause) is (readability is R.UNKNOWN)


def test_a_grant_that_was_seen_going_counts_whatever_hides_the_project() -> None:
    unread = (("resourcemanager.projects.getIamPolicy", Reason.ACCESS_DENIED),)
    key = a_gcp_key(access=access(GCP_KEY, Grant.WITHDRAWN, unread=unread))
    view = KeyView(GCP_KEY, key, remembered(a_gcp_key(), granted=(AGENT,), barred=(AGENT,)))
    assert assess(a_holding(GCP_KEY, "1"), view, (AGENT,), POLICY, NOW).assessment.readability is R.REVOKED


def test_on_google_cloud_too_a_policy_of_the_project_that_is_not_read_gives_no_right_back() -> None:
    unread = (("resourcemanager.projects.getIamPolicy", Reason.TIMEOUT),)
    key = a_gcp_key(access=access(GCP_KEY, Grant.WITHDRAWN, unread=unread))
    view = KeyView(GCP_KEY, key, remembered(a_gcp_key(), barred=(AGENT,)))
    found = assess(a_holding(GCP_KEY, "1"), view, (AGENT,), POLICY, NOW).assessment
    assert (found.readability, found.confidence) == (R.REVOKED, Confidence.INFERRED)


def test_a_right_that_an_older_reading_did_not_ask_for_stays_as_it_was_proven() -> None:
    remembered_key = an_aws_key(access=access(AWS_KEY, Grant.DIRECT, principal="arn:aws:iam::111122223333:role/other"))
    view = KeyView(AWS_KEY, denied(reason=Reason.TIMEOUT), remembered(remembered_key, barred=(ROLE,)))
    found = assess(a_holding(), view, (ROLE,), POLICY, NOW).assessment
    assert (found.readability, found.confidence) == (R.REVOKED, Confidence.INFERRED)


MINUTES = {"settled": (5, R.LOST), "not settled": (4, R.UNKNOWN)}


@pytest.mark.parametrize(("minutes", "readability"), MINUTES.values(), ids=MINUTES)
@pytest.mark.parametrize("reading", [denied(reason=Reason.EXPIRED_CREDENTIALS), None], ids=["fault", "not asked"])
def test_a_fault_does_not_bring_a_key_back_that_was_gone(
    reading: KeyReading | None, minutes: int, readability: R
) -> None:
    first = NOW - timedelta(hours=3)
    memory = remembered(None, missing_since=first, missing_until=first + timedelta(minutes=minutes))
    assert of_key(KeyView(AWS_KEY, reading, memory)) is readability


@pytest.mark.parametrize("reading", [replace(denied(), evidence=EVIDENCE), None], ids=["denied", "not asked"])
def test_a_key_that_was_gone_and_tells_nothing_now_is_lost_by_inference(reading: KeyReading | None) -> None:
    first = NOW - timedelta(hours=3)
    memory = remembered(None, missing_since=first, missing_until=first + timedelta(minutes=9))
    found = assess(a_holding(), KeyView(AWS_KEY, reading, memory), (), POLICY, NOW).assessment
    assert (found.readability, found.confidence, found.basis) == (R.LOST, Confidence.INFERRED, Basis.STATE)
    assert found.subject == Subject(SubjectKind.KEY, AWS_KEY.text)
    assert found.evidence == (EVIDENCE if reading is not None else ())


def test_a_key_that_is_not_among_the_deleted_ones_is_not_gone_because_it_was_not_found_before() -> None:
    first = NOW - timedelta(hours=3)
    for reason, proven, readability in (
        (Reason.NOT_FOUND, False, R.UNKNOWN),
        (Reason.NOT_FOUND, True, R.LOST),
        (Reason.TIMEOUT, False, R.LOST),
    ):
        memory = remembered(None, missing_since=first, missing_until=first + timedelta(hours=2), missing_proven=proven)
        assert of_key(KeyView(AWS_KEY, denied(reason=reason), memory)) is readability


def test_a_date_that_passes_while_the_key_is_silent_is_no_proof_and_offers_no_undo() -> None:
    for date, confidence, calls in ((NOW + days(1), Confidence.PROVEN, 2), (NOW, Confidence.INFERRED, 0)):
        doomed = an_aws_key("PendingDeletion", deletion_date=date)
        view = KeyView(AWS_KEY, denied(reason=Reason.TIMEOUT), remembered(doomed))
        found = assess(a_holding(), view, (), POLICY, NOW).assessment
        assert (found.readability, found.final_at) == (R.DOOMED, date)
        assert (found.confidence, len(found.undo)) == (confidence, calls)
        assert found.cause.endswith("whether it was cancelled in time is not known") is (not calls)
        heard = assess(a_holding(), KeyView(AWS_KEY, doomed, None), (), POLICY, NOW).assessment
        assert (heard.readability, heard.confidence, len(heard.undo)) == (R.DOOMED, Confidence.PROVEN, 2)


def test_a_state_that_is_too_old_to_be_called_readable_is_told_with_its_date_and_calls() -> None:
    memory = remembered(an_aws_key(evidence=EVIDENCE), days(1))
    found = assess(a_holding(), KeyView(AWS_KEY, None, memory), (), POLICY, NOW).assessment
    assert (found.readability, found.evidence) == (R.UNKNOWN, EVIDENCE)
    assert f"was last read at {NOW - days(1):%Y-%m-%d %H:%M:%S UTC}, too long ago" in found.cause


@pytest.mark.parametrize(
    "reading", [denied(GCP_KEY), denied(GCP_KEY, Reason.TIMEOUT), KeyGone(GCP_KEY, proven=False), None]
)
def test_what_one_answer_settled_stays_settled_whatever_is_answered_later(reading: KeyReading | None) -> None:
    memory = remembered(None, missing_since=NOW, missing_until=NOW, missing_proven=True)
    view = KeyView(GCP_KEY, reading, memory)
    assert assess(a_holding(GCP_KEY, "1"), view, (), POLICY, NOW).assessment.readability is R.LOST


@pytest.mark.parametrize(("minutes", "readability"), MINUTES.values(), ids=MINUTES)
def test_a_denial_does_not_bring_a_key_back_that_was_gone(minutes: int, readability: R) -> None:
    first = NOW - timedelta(hours=3)
    memory = remembered(None, missing_since=first, missing_until=first + timedelta(minutes=minutes))
    assert of_key(KeyView(AWS_KEY, denied(), memory)) is readability
    once = assess(a_holding(), KeyView(AWS_KEY, denied(), memory), (), Policy(one_reading=True), NOW)
    assert once.assessment.readability is readability, "one reading was not enough for a daemon that denies now"


def of_key(view: KeyView) -> R:
    return assess(a_holding(), view, (), POLICY, NOW).assessment.readability


def test_a_connected_store_proves_no_more_than_the_state() -> None:
    key = an_aws_key(store=CustomKeyStore("cks-1", "CONNECTED"), access=access(AWS_KEY, Grant.DIRECT))
    assert of_aws_as(key).basis is Basis.STATE


def test_a_dead_key_is_not_called_revoked() -> None:
    assert of_aws_as(an_aws_key("Disabled", access=access(AWS_KEY, Grant.ABSENT))).readability is R.UNREADABLE


def of_aws_as(key: AwsKey) -> Assessment:
    return assess(a_holding(), KeyView(AWS_KEY, key, None), (ROLE,), POLICY, NOW).assessment


FIRST = Material("a" * 64, "NON_CURRENT", imported=True, valid_to=NOW + days(20))
SECOND = Material("b" * 64, "CURRENT", imported=True, valid_to=NOW + days(10))
THIRD = Material("c" * 64, "PENDING_ROTATION", imported=True, valid_to=NOW + days(1))


def test_the_material_that_expires_first_is_named_and_a_pending_one_does_not_count() -> None:
    found = of_aws_as(an_aws_key(origin="EXTERNAL", materials=(FIRST, SECOND, THIRD)))
    assert (found.readability, found.final_at) == (R.EXPIRING, NOW + days(10))
    assert SECOND.id in found.cause
    assert FIRST.id not in found.cause


def test_the_keys_own_expiry_counts_where_the_materials_say_a_later_one() -> None:
    found = of_aws_as(an_aws_key(origin="EXTERNAL", materials=(FIRST,), valid_to=NOW + days(5)))
    assert found.final_at == NOW + days(5)


def test_of_materials_with_one_date_only_those_that_the_key_needs_are_named() -> None:
    date = NOW + days(10)
    needed, pending = replace(FIRST, valid_to=date), replace(THIRD, valid_to=date)
    found = of_aws_as(an_aws_key(origin="EXTERNAL", materials=(needed, SECOND, pending)))
    assert (found.readability, found.final_at, found.subject.kind) == (R.EXPIRING, date, SubjectKind.KEY)
    assert [one.id in found.cause for one in (needed, SECOND, pending)] == [True, True, False]


def test_a_material_that_is_missing_has_no_date_left_and_only_the_state_stops_the_key() -> None:
    missing = replace(FIRST, imported=False)
    assert of_aws_as(an_aws_key(origin="EXTERNAL", materials=(missing,))).readability is R.READABLE
    found = of_aws_as(an_aws_key("Disabled", origin="EXTERNAL", materials=(missing,)))
    assert found.readability is R.UNREADABLE
    assert FIRST.id in found.cause


def test_a_key_that_is_disabled_and_lacks_material_needs_both_back() -> None:
    gone = (replace(FIRST, imported=False), replace(SECOND, imported=False))
    enable, *imports = of_aws_as(an_aws_key("Disabled", origin="EXTERNAL", materials=gone)).undo
    assert (enable.call.split()[2], enable.lands_in) == ("enable-key", "PendingImport, while material is missing")
    assert [one.id in each.call for one, each in zip(gone, imports, strict=True)] == [True, True]
    (alone,) = of_aws_as(an_aws_key("Disabled", origin="EXTERNAL", materials=(FIRST,))).undo
    assert (alone.call.split()[2], alone.lands_in) == ("enable-key", "Enabled")


def test_each_missing_material_is_named_with_its_own_import() -> None:
    gone = (replace(FIRST, imported=False), replace(SECOND, imported=False), replace(THIRD, imported=False))
    found = of_aws_as(an_aws_key("PendingImport", origin="EXTERNAL", materials=gone))
    assert found.readability is R.UNREADABLE
    assert [FIRST.id in one.call or SECOND.id in one.call for one in found.undo] == [True, True]
    assert FIRST.id in found.cause
    assert SECOND.id in found.cause
    assert THIRD.id not in found.cause
    assert {one.lands_in for one in found.undo} == {"Enabled once every missing material is back"}
    (alone,) = of_aws_as(an_aws_key("PendingImport", origin="EXTERNAL", materials=gone[:1])).undo
    assert alone.lands_in == "Enabled"


def test_a_key_that_is_being_created_again_is_judged_as_it_was() -> None:
    creating = an_aws_key("Creating")
    known = KeyView(AWS_KEY, creating, remembered(an_aws_key("Disabled")))
    assert assess(a_holding(), known, (), POLICY, NOW).assessment.readability is R.UNREADABLE
    new = KeyView(AWS_KEY, creating, None)
    assert assess(a_holding(), new, (), POLICY, NOW).assessment.readability is R.UNKNOWN


DELETION = an_aws_key("PendingDeletion", deletion_date=NOW - days(1))
SCHEDULED = a_gcp_key(a_version(state="DESTROY_SCHEDULED", destroy_time=NOW - days(1)))
NOT_YET = an_aws_key("PendingDeletion", deletion_date=NOW + days(1))
GONE = KeyGone(AWS_KEY, proven=False)
LATE = days(1)
MINUTE = timedelta(minutes=1)

UNREAD = {
    "denied and never read": (denied(), None, R.UNKNOWN),
    "denied after an answer": (denied(), remembered(an_aws_key()), R.UNKNOWN),
    "denied after the deletion date": (denied(), remembered(DELETION), R.LOST),
    "denied before the deletion date": (denied(), remembered(NOT_YET), R.UNKNOWN),
    "denied, and never found before": (denied(), remembered(None, missing_since=NOW), R.UNKNOWN),
    "denied at the deletion date": (
        denied(),
        remembered(an_aws_key("PendingDeletion", deletion_date=NOW)),
        R.LOST,
    ),
    "denied after the date of a deletion that was cancelled": (
        denied(),
        remembered(an_aws_key("Disabled", deletion_date=NOW - days(1))),
        R.UNKNOWN,
    ),
    "throttled, read a quarter of an hour ago": (
        denied(reason=Reason.THROTTLED),
        remembered(an_aws_key(), 15 * MINUTE),
        R.READABLE,
    ),
    "expired credentials, read a minute ago": (
        denied(reason=Reason.EXPIRED_CREDENTIALS),
        remembered(an_aws_key()),
        R.READABLE,
    ),
    "throttled, and never found before": (
        denied(reason=Reason.THROTTLED),
        remembered(None, missing_since=NOW),
        R.UNKNOWN,
    ),
    "throttled, read a minute ago": (denied(reason=Reason.THROTTLED), remembered(an_aws_key()), R.READABLE),
    "throttled, read long ago": (denied(reason=Reason.THROTTLED), remembered(an_aws_key(), LATE), R.UNKNOWN),
    "throttled, proven disabled long ago": (
        denied(reason=Reason.TIMEOUT),
        remembered(an_aws_key("Disabled"), LATE),
        R.UNREADABLE,
    ),
    "expired credentials and never read": (denied(reason=Reason.EXPIRED_CREDENTIALS), None, R.UNKNOWN),
    "not found for the first time": (GONE, None, R.UNKNOWN),
    "not found four minutes after the first time": (GONE, remembered(None, missing_since=NOW - 4 * MINUTE), R.UNKNOWN),
    "not found five minutes after the first time": (GONE, remembered(None, missing_since=NOW - 5 * MINUTE), R.LOST),
    "not found after the deletion date": (GONE, remembered(DELETION), R.LOST),
    "proven gone at once": (KeyGone(AWS_KEY, proven=True), None, R.LOST),
    "throttled, and denied before": (
        denied(reason=Reason.THROTTLED),
        remembered(an_aws_key(), denied_since=NOW - MINUTE),
        R.UNKNOWN,
    ),
    "not asked, and denied before": (None, remembered(an_aws_key(), denied_since=NOW - MINUTE), R.UNKNOWN),
    "throttled, and denied before, after the deletion date": (
        denied(reason=Reason.THROTTLED),
        remembered(DELETION, denied_since=NOW - MINUTE),
        R.LOST,
    ),
    "throttled, and not found a minute ago": (
        denied(reason=Reason.THROTTLED),
        remembered(an_aws_key(), missing_since=NOW - MINUTE, missing_until=NOW - MINUTE),
        R.UNKNOWN,
    ),
    "an answer that is none, disabled before": (
        denied(reason=Reason.MALFORMED),
        remembered(an_aws_key("Disabled")),
        R.UNREADABLE,
    ),
    "an answer that is none, scheduled before": (
        denied(reason=Reason.UNSUPPORTED),
        remembered(NOT_YET),
        R.DOOMED,
    ),
    "throttled, read by a clock that was two days ahead": (
        denied(reason=Reason.THROTTLED),
        remembered(an_aws_key(), -2 * LATE),
        R.UNKNOWN,
    ),
    "throttled, expiring when it was read long ago": (
        denied(reason=Reason.THROTTLED),
        remembered(an_aws_key(valid_to=NOW + days(3)), LATE),
        R.UNKNOWN,
    ),
    "not asked yet": (None, None, R.UNKNOWN),
    "not asked in this poll": (None, remembered(an_aws_key("Disabled")), R.UNREADABLE),
}


@pytest.mark.parametrize(("reading", "memory", "readability"), UNREAD.values(), ids=UNREAD)
def test_no_answer_never_becomes_readable_by_itself(reading: KeyReading | None, memory: object, readability: R) -> None:
    view = KeyView(AWS_KEY, reading, memory)  # type: ignore[arg-type] # the table's columns are typed as one
    found = assess(a_holding(), view, (), POLICY, NOW).assessment
    assert (found.readability, found.basis, found.subject.kind) == (readability, Basis.STATE, SubjectKind.KEY)


CREATING = an_aws_key("Creating")
AGAIN: dict[str, tuple[KeyReading, KeyMemory, R]] = {
    "known before": (CREATING, remembered(an_aws_key("Disabled")), R.UNREADABLE),
    "denied before": (CREATING, remembered(an_aws_key(), denied_since=NOW), R.UNKNOWN),
    "gone before": (CREATING, remembered(an_aws_key(), missing_since=NOW, missing_until=NOW), R.UNKNOWN),
}


@pytest.mark.parametrize(("reading", "memory", "readability"), AGAIN.values(), ids=AGAIN)
def test_a_key_that_is_being_created_again_is_what_it_was_unless_its_last_word_was_another(
    reading: KeyReading, memory: KeyMemory, readability: R
) -> None:
    assert of_key(KeyView(AWS_KEY, reading, memory)) is readability


def test_a_key_is_known_by_its_newest_answer_that_gave_a_state() -> None:
    memory = remembered(an_aws_key("Disabled"))
    assert KeyView(AWS_KEY, an_aws_key(), memory).known == an_aws_key()
    for reading in (denied(), GONE, None):
        assert KeyView(AWS_KEY, reading, memory).known == an_aws_key("Disabled")
        assert KeyView(AWS_KEY, reading, None).known is None
    assert not KeyView(AWS_KEY, GONE, remembered(an_aws_key(), denied_since=NOW)).denied


def test_that_a_justification_is_demanded_is_only_inferred_because_nothing_tells_of_enrolment() -> None:
    view = KeyView(GCP_KEY, a_gcp_key(access_reasons=()), None)
    found = assess(a_holding(GCP_KEY, "1"), view, (), POLICY, NOW).assessment
    assert (found.readability, found.confidence) == (R.REVOKED, Confidence.INFERRED)


def test_the_name_of_a_replica_may_come_back() -> None:
    replica = KeyName("arn:aws:kms:us-east-1:111122223333:key/mrk-00000000000000000000000000000001")
    first = NOW - timedelta(hours=3)
    memory = remembered(None, missing_since=first, missing_until=first + timedelta(minutes=5))
    view = KeyView(replica, denied(replica), memory)
    assert assess(a_holding(replica), view, (), POLICY, NOW).assessment.readability is R.UNKNOWN
    past = an_aws_key("PendingDeletion", name=replica, deletion_date=NOW - days(1))
    for reading, readability in ((denied(replica), R.UNKNOWN), (KeyGone(replica, proven=False), R.LOST)):
        view = KeyView(replica, reading, remembered(past))
        assert assess(a_holding(replica), view, (), POLICY, NOW).assessment.readability is readability


DATED: dict[str, tuple[KeyReading | None, AwsKey]] = {
    "not found once": (GONE, NOT_YET),
    "expiring, and denied": (denied(), an_aws_key(valid_to=NOW + days(1))),
}


@pytest.mark.parametrize(("reading", "last"), DATED.values(), ids=DATED)
def test_a_date_that_was_told_stands_while_nothing_else_is(reading: KeyReading | None, last: AwsKey) -> None:
    found = assess(a_holding(), KeyView(AWS_KEY, reading, remembered(last)), (), POLICY, NOW).assessment
    assert (found.readability, found.final_at) == (R.UNKNOWN, NOW + days(1))
    fault = denied(reason=Reason.TIMEOUT)
    since = remembered(last, missing_since=NOW) if isinstance(reading, KeyGone) else remembered(last, denied_since=NOW)
    later = assess(a_holding(), KeyView(AWS_KEY, fault, since), (), POLICY, NOW).assessment
    assert (later.readability, later.final_at) == (R.UNKNOWN, NOW + days(1))


def test_material_that_was_to_expire_meanwhile_is_not_called_readable() -> None:
    for ahead, readability in ((1, R.EXPIRING), (0, R.UNKNOWN), (-1, R.UNKNOWN)):
        last = an_aws_key(valid_to=NOW + timedelta(minutes=ahead))
        view = KeyView(AWS_KEY, denied(reason=Reason.THROTTLED), remembered(last))
        found = assess(a_holding(), view, (), POLICY, NOW).assessment
        assert found.readability is readability
        assert found.cause.endswith("whether it was renewed in time is not known") is (readability is R.UNKNOWN)


def test_that_nobody_may_look_any_more_moves_no_date() -> None:
    for reading in (denied(), denied(reason=Reason.TIMEOUT)):
        view = KeyView(AWS_KEY, reading, remembered(NOT_YET, denied_since=NOW))
        assert assess(a_holding(), view, (), POLICY, NOW).assessment.final_at == NOW + days(1)
    old = remembered(an_aws_key(valid_to=NOW + days(3)), LATE)
    view = KeyView(AWS_KEY, denied(reason=Reason.TIMEOUT), old)
    assert assess(a_holding(), view, (), POLICY, NOW).assessment.final_at == NOW + days(3)


ENABLED_LONG_AGO = a_version("1", destroy_time=NOW - days(1))
UNREAD_VERSIONS = {
    "after its date": (SCHEDULED, "1", R.LOST, SubjectKind.KEY_VERSION),
    "after another version's date": (a_gcp_key(*SCHEDULED.versions, a_version("2")), "2", R.UNKNOWN, SubjectKind.KEY),
    "after the date of a destruction that was cancelled": (
        a_gcp_key(ENABLED_LONG_AGO),
        "1",
        R.UNKNOWN,
        SubjectKind.KEY,
    ),
    "before its date": (
        a_gcp_key(a_version(state="DESTROY_SCHEDULED", destroy_time=NOW + MINUTE)),
        "1",
        R.UNKNOWN,
        SubjectKind.KEY,
    ),
    "after a date, data without a version": (SCHEDULED, None, R.UNKNOWN, SubjectKind.KEY),
}


@pytest.mark.parametrize(("last", "number", "readability", "kind"), UNREAD_VERSIONS.values(), ids=UNREAD_VERSIONS)
def test_a_key_on_google_cloud_that_is_denied_is_lost_only_after_the_date_of_the_very_version(
    last: GcpKey, number: str | None, readability: R, kind: SubjectKind
) -> None:
    view = KeyView(GCP_KEY, denied(GCP_KEY), remembered(last))
    found = assess(a_holding(GCP_KEY, number), view, (), POLICY, NOW).assessment
    assert (found.readability, found.subject.kind) == (readability, kind)


FOUR_MINUTES = remembered(None, missing_since=NOW - 4 * MINUTE)
FIVE_MINUTES = remembered(None, missing_since=NOW - 5 * MINUTE)
GONE_HOW: dict[str, tuple[KeyGone, KeyMemory | None, bool, tuple[R, Confidence]]] = {
    "proven": (KeyGone(AWS_KEY, proven=True), None, False, (R.LOST, Confidence.PROVEN)),
    "confirmed": (GONE, FIVE_MINUTES, False, (R.LOST, Confidence.PROVEN)),
    "not confirmed yet": (GONE, FOUR_MINUTES, False, (R.UNKNOWN, Confidence.PROVEN)),
    "nobody will ask again": (GONE, None, True, (R.LOST, Confidence.INFERRED)),
    "nobody will ask again, proven": (KeyGone(AWS_KEY, proven=True), None, True, (R.LOST, Confidence.PROVEN)),
    "nobody will ask again, confirmed": (GONE, FIVE_MINUTES, True, (R.LOST, Confidence.PROVEN)),
    "after the deletion date": (GONE, remembered(DELETION), False, (R.LOST, Confidence.INFERRED)),
}


@pytest.mark.parametrize(("gone", "memory", "one_reading", "expected"), GONE_HOW.values(), ids=GONE_HOW)
def test_a_key_that_is_not_found_is_lost_when_that_is_settled_and_says_how(
    gone: KeyGone,
    memory: KeyMemory | None,
    one_reading: bool,  # noqa: FBT001 - a case
    expected: tuple[R, Confidence],
) -> None:
    view = KeyView(AWS_KEY, replace(gone, evidence=EVIDENCE), memory)
    found = assess(a_holding(), view, (), Policy(one_reading=one_reading), NOW).assessment
    assert (found.readability, found.confidence) == expected
    assert (found.basis, found.subject.kind, found.evidence) == (Basis.STATE, SubjectKind.KEY, EVIDENCE)
    only_once = found.confidence is Confidence.INFERRED and memory is None
    assert ("poll again" in found.cause) is only_once


def test_a_loss_that_only_follows_from_silence_is_called_inferred() -> None:
    now_and_before = (EVIDENCE[0], replace(EVIDENCE[0], call="another call"))
    last = replace(SCHEDULED, evidence=now_and_before[:1])
    view = KeyView(GCP_KEY, replace(denied(GCP_KEY), evidence=now_and_before[1:]), remembered(last))
    found = assess(a_holding(GCP_KEY, "1"), view, (), POLICY, NOW).assessment
    assert (found.readability, found.confidence) == (R.LOST, Confidence.INFERRED)
    assert (found.since, found.evidence, found.basis) == (NOW - days(1), now_and_before, Basis.STATE)


def test_a_withdrawn_key_tells_its_last_state() -> None:
    view = KeyView(AWS_KEY, denied(), remembered(an_aws_key()))
    assert "last known state was Enabled" in assess(a_holding(), view, (), POLICY, NOW).assessment.cause


LAST_STATES = {
    "1": "DISABLED for version 1",
    "9": "deleted for version 9",
    None: "DISABLED for version 1, ENABLED for version 2",
}


@pytest.mark.parametrize(("number", "told"), LAST_STATES.items())
def test_a_withdrawn_key_on_google_cloud_tells_the_last_state_of_the_datas_version(
    number: str | None, told: str
) -> None:
    last = a_gcp_key(a_version("1", "DISABLED"), a_version("2"))
    view = KeyView(GCP_KEY, replace(denied(GCP_KEY), evidence=EVIDENCE), remembered(last))
    found = assess(a_holding(GCP_KEY, number), view, (), POLICY, NOW).assessment
    assert found.cause.endswith(f"last known state was {told}")
    assert (found.readability, found.evidence) == (R.UNKNOWN, EVIDENCE)


def test_an_undo_of_a_scheduled_destruction_names_both_steps_and_their_deadline() -> None:
    date = NOW + days(9)
    key = a_gcp_key(a_version(state="DESTROY_SCHEDULED", destroy_time=date))
    found = assess(a_holding(GCP_KEY, "1"), KeyView(GCP_KEY, key, None), (), POLICY, NOW).assessment
    assert found.final_at == date
    assert [(step.lands_in, step.until) for step in found.undo] == [("DISABLED", date), ("ENABLED", date)]
    assert [step.call.split()[4] for step in found.undo] == ["restore", "enable"]


STORE_CAUSES = {
    "disconnected": (DEAD_STORE, "the store is disconnected"),
    "failed, and why": (CustomKeyStore("cks-1", "FAILED", "USER_LOCKED_OUT"), "failed to connect (USER_LOCKED_OUT)"),
    "a state of tomorrow": (CustomKeyStore("cks-1", "DOZING"), "in the state 'DOZING', whose meaning is not known"),
}


@pytest.mark.parametrize(("store", "told"), STORE_CAUSES.values(), ids=STORE_CAUSES)
def test_what_a_store_says_of_itself_is_told(store: CustomKeyStore, told: str) -> None:
    assert of_aws_as(an_aws_key(store=store)).cause.endswith(told)


@pytest.mark.parametrize(
    ("reasons", "told"),
    [
        ((), "allows no access reason at all"),
        (("GOOGLE_INITIATED_SERVICE",), "does not allow CUSTOMER_INITIATED_ACCESS"),
    ],
    ids=["none", "others"],
)
def test_what_a_policy_of_access_reasons_lacks_is_told(reasons: tuple[str, ...], told: str) -> None:
    view = KeyView(GCP_KEY, a_gcp_key(access_reasons=reasons), None)
    assert told in assess(a_holding(GCP_KEY, "1"), view, (), POLICY, NOW).assessment.cause


def test_keys_of_one_dead_store_share_the_subject() -> None:
    name = KeyName(AWS_KEY.text[:-1] + "2")
    keys = an_aws_key(store=DEAD_STORE), an_aws_key(store=DEAD_STORE, name=name)
    found = [assess(a_holding(key.name), KeyView(key.name, key, None), (), POLICY, NOW).assessment for key in keys]
    assert found[0].subject == found[1].subject
    assert (found[0].subject.kind, found[0].subject.id) == (SubjectKind.KEY_STORE, "111122223333/us-east-1/cks-1")
    assert found[0].cause == found[1].cause


OF_AWS = an_aws_key(manager=KeyManager.PROVIDER)
MANAGED: dict[str, tuple[KeyReading | None, KeyMemory | None, Encryption]] = {
    "by AWS": (OF_AWS, None, Encryption.PROVIDER_KMS),
    "by AWS, as remembered": (denied(), remembered(OF_AWS), Encryption.PROVIDER_KMS),
    "by the customer": (an_aws_key(), None, Encryption.CMEK),
    "by the customer, whatever is remembered": (an_aws_key(), remembered(OF_AWS), Encryption.CMEK),
    "by the customer, as remembered": (denied(), remembered(an_aws_key()), Encryption.CMEK),
    "not known": (denied(), None, Encryption.CMEK),
}


@pytest.mark.parametrize(("reading", "memory", "encryption"), MANAGED.values(), ids=MANAGED)
def test_a_key_that_aws_manages_is_not_customer_managed(
    reading: KeyReading | None, memory: KeyMemory | None, encryption: Encryption
) -> None:
    assert assess(a_holding(), KeyView(AWS_KEY, reading, memory), (), POLICY, NOW).encryption is encryption


def test_data_under_a_key_that_nobody_looked_for_is_never_judged() -> None:
    with pytest.raises(ValueError, match="nothing is known of that key"):
        assess(a_holding(), None, (), POLICY, NOW)


WITHOUT_KMS = {
    Encryption.PROVIDER: R.READABLE,
    Encryption.PROVIDER_KMS: R.READABLE,
    Encryption.NONE: R.READABLE,
    Encryption.CUSTOMER_SUPPLIED: R.UNKNOWN,
    Encryption.UNKNOWN: R.UNKNOWN,
}


@pytest.mark.parametrize(("encryption", "readability"), WITHOUT_KMS.items())
def test_data_under_no_kms_key_is_judged_by_its_encryption(encryption: Encryption, readability: R) -> None:
    found = assess(a_holding(None, encryption=encryption), None, (), POLICY, NOW)
    assert (found.assessment.readability, found.assessment.basis) == (readability, Basis.STATE)


def test_no_state_of_the_sdks_is_missing_from_the_tables() -> None:
    shapes: Any = botocore.session.get_session().get_service_model("kms")
    assert set(shapes.shape_for("KeyState").enum) == set(aws.STATES)
    assert set(shapes.shape_for("ConnectionStateType").enum) == set(aws.STORE_STATES)
    version_states: Any = kms_v1.CryptoKeyVersion.CryptoKeyVersionState
    assert set(version_states.__members__) - {"CRYPTO_KEY_VERSION_STATE_UNSPECIFIED"} == set(gcp.STATES)
    instance_states: Any = kms_v1.SingleTenantHsmInstance.State
    assert set(instance_states.__members__) - {"STATE_UNSPECIFIED"} == set(gcp.HSM_STATES)
