from dataclasses import replace
from datetime import datetime
from typing import Any

import botocore.session
import pytest
from google.cloud import kms_v1

from auditor.findings import Assessment, Basis, Confidence, Readability, SubjectKind
from auditor.model import (
    AwsKey,
    CustomKeyStore,
    Encryption,
    GcpKey,
    Grant,
    HsmInstance,
    KeyGone,
    KeyManager,
    KeyName,
    KeyReading,
    Material,
    Reason,
)
from auditor.policy import Policy
from auditor.readability import KeyView, assess, aws, gcp
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


def of_aws(key: AwsKey, now: datetime = NOW) -> R:
    return assess(a_holding(), KeyView(AWS_KEY, key, None), (), POLICY, now).assessment.readability


AWS = {
    "Enabled": (an_aws_key(), R.READABLE),
    "Updating": (an_aws_key("Updating"), R.READABLE),
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


def of_gcp(key: GcpKey, number: str | None = "1", agents: tuple[str, ...] = ()) -> R:
    holding = a_holding(GCP_KEY, number)
    return assess(holding, KeyView(GCP_KEY, key, None), agents, POLICY, NOW).assessment.readability


def on_hsm(state: str | None, **more: datetime) -> GcpKey:
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
    "unspecified": (a_gcp_key(a_version(state="CRYPTO_KEY_VERSION_STATE_UNSPECIFIED")), R.UNKNOWN),
    "a state of tomorrow, as its number": (a_gcp_key(a_version(state="11")), R.UNKNOWN),
    "version deleted": (a_gcp_key(a_version("2")), R.LOST),
    "HSM instance active": (on_hsm("ACTIVE"), R.READABLE),
    "HSM instance disables itself at the horizon": (on_hsm("ACTIVE", disable_time=NOW + days(30)), R.EXPIRING),
    "HSM instance disables itself later": (on_hsm("ACTIVE", disable_time=NOW + days(30.0001)), R.READABLE),
    "HSM instance disabling": (on_hsm("DISABLING"), R.UNREACHABLE),
    "HSM instance disabled": (on_hsm("DISABLED"), R.UNREACHABLE),
    "HSM instance being deleted": (on_hsm("DELETING"), R.UNREACHABLE),
    "HSM instance deleted": (on_hsm("DELETED"), R.LOST),
    "HSM instance failed": (on_hsm("FAILED"), R.LOST),
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
    assert of_gcp(key, None) is readability


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


def test_every_principal_that_must_decrypt_needs_its_grant() -> None:
    key = a_gcp_key(access=access(GCP_KEY, Grant.DIRECT, Grant.ABSENT))
    assert of_gcp(key, agents=(AGENT, "other-1")) is R.REVOKED
    assert of_gcp(key, agents=(AGENT,)) is R.READABLE


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
        assert (found.subject.kind, found.subject.id) == (SubjectKind.PRINCIPAL, f"{ROLE} -> {AWS_KEY}")
        assert found.undo[0].call.startswith(f"kms:PutKeyPolicy KeyId={AWS_KEY}")


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


def test_each_missing_material_is_named_with_its_own_import() -> None:
    gone = (replace(FIRST, imported=False), replace(SECOND, imported=False), replace(THIRD, imported=False))
    found = of_aws_as(an_aws_key("PendingImport", origin="EXTERNAL", materials=gone))
    assert found.readability is R.UNREADABLE
    assert [FIRST.id in one.call or SECOND.id in one.call for one in found.undo] == [True, True]
    assert FIRST.id in found.cause
    assert SECOND.id in found.cause
    assert THIRD.id not in found.cause


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
MINUTE = days(1 / 1440)

UNREAD = {
    "denied and never read": (denied(), None, R.UNKNOWN),
    "denied after an answer": (denied(), remembered(an_aws_key()), R.UNKNOWN),
    "denied after the deletion date": (denied(), remembered(DELETION), R.LOST),
    "denied before the deletion date": (denied(), remembered(NOT_YET), R.UNKNOWN),
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
    "not asked yet": (None, None, R.UNKNOWN),
    "not asked in this poll": (None, remembered(an_aws_key("Disabled")), R.UNREADABLE),
}


@pytest.mark.parametrize(("reading", "memory", "readability"), UNREAD.values(), ids=UNREAD)
def test_no_answer_never_becomes_readable_by_itself(reading: KeyReading | None, memory: object, readability: R) -> None:
    view = KeyView(AWS_KEY, reading, memory)  # type: ignore[arg-type] # the table's columns are typed as one
    assert assess(a_holding(), view, (), POLICY, NOW).assessment.readability is readability


def test_a_loss_that_only_follows_from_silence_is_called_inferred() -> None:
    view = KeyView(GCP_KEY, denied(GCP_KEY), remembered(SCHEDULED))
    found = assess(a_holding(GCP_KEY, "1"), view, (), POLICY, NOW).assessment
    assert (found.readability, found.confidence) == (R.LOST, Confidence.INFERRED)
    assert found.since == NOW - days(1)


def test_a_withdrawn_key_tells_its_last_state() -> None:
    view = KeyView(AWS_KEY, denied(), remembered(an_aws_key()))
    assert "last known state was Enabled" in assess(a_holding(), view, (), POLICY, NOW).assessment.cause


def test_an_undo_of_a_scheduled_destruction_names_both_steps_and_their_deadline() -> None:
    date = NOW + days(9)
    key = a_gcp_key(a_version(state="DESTROY_SCHEDULED", destroy_time=date))
    found = assess(a_holding(GCP_KEY, "1"), KeyView(GCP_KEY, key, None), (), POLICY, NOW).assessment
    assert found.final_at == date
    assert [(step.lands_in, step.until) for step in found.undo] == [("DISABLED", date), ("ENABLED", date)]
    assert f"RestoreCryptoKeyVersion {GCP_KEY}/cryptoKeyVersions/1" in found.undo[0].call


def test_keys_of_one_dead_store_share_the_subject() -> None:
    name = KeyName(AWS_KEY.text[:-1] + "2")
    keys = an_aws_key(store=DEAD_STORE), an_aws_key(store=DEAD_STORE, name=name)
    found = [assess(a_holding(key.name), KeyView(key.name, key, None), (), POLICY, NOW).assessment for key in keys]
    assert found[0].subject == found[1].subject
    assert found[0].subject.kind is SubjectKind.KEY_STORE
    assert found[0].cause == found[1].cause


def test_a_key_that_aws_manages_is_not_customer_managed() -> None:
    key = an_aws_key(manager=KeyManager.PROVIDER)
    assert assess(a_holding(), KeyView(AWS_KEY, key, None), (), POLICY, NOW).encryption is Encryption.PROVIDER_KMS


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
    assert found.assessment.readability is readability


def test_no_state_of_the_sdks_is_missing_from_the_tables() -> None:
    shapes: Any = botocore.session.get_session().get_service_model("kms")
    assert set(shapes.shape_for("KeyState").enum) == set(aws.STATES)
    assert set(shapes.shape_for("ConnectionStateType").enum) == set(aws.STORE_STATES)
    version_states: Any = kms_v1.CryptoKeyVersion.CryptoKeyVersionState
    assert set(version_states.__members__) - {"CRYPTO_KEY_VERSION_STATE_UNSPECIFIED"} == set(gcp.STATES)
    instance_states: Any = kms_v1.SingleTenantHsmInstance.State
    assert set(instance_states.__members__) - {"STATE_UNSPECIFIED"} == set(gcp.HSM_STATES)
