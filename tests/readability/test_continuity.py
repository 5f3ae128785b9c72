"""What a new answer leaves out, and what cannot follow on the one before."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from auditor.findings import Readability, SubjectKind
from auditor.model import (
    AwsKey,
    CustomKeyStore,
    EkmConnection,
    Evidence,
    GcpKey,
    GcpKeyVersion,
    HsmInstance,
    Reason,
)
from auditor.policy import Policy
from auditor.readability import KeyView, assess, continued
from tests.core_builders import (
    AWS_KEY,
    GCP_KEY,
    NOW,
    a_gcp_key,
    a_holding,
    a_version,
    an_aws_key,
    days,
    denied,
    remembered,
)

FAILED = CustomKeyStore("cks-1", "FAILED", "NETWORK_ERRORS")
CONNECTION = "projects/acme-keys/locations/us-east1/ekmConnections/one"
SINCE = NOW - timedelta(minutes=1)
"""When what is remembered was told."""
INSTANCE = "projects/acme-keys/locations/us-east1/singleTenantHsmInstances/one"

STORES = {
    "hidden now": (
        CustomKeyStore("cks-1", None),
        FAILED,
        CustomKeyStore("cks-1", "FAILED", "NETWORK_ERRORS", older=True, at=SINCE),
    ),
    "denied now": (
        CustomKeyStore("cks-1", None, unread=Reason.ACCESS_DENIED),
        FAILED,
        CustomKeyStore("cks-1", "FAILED", "NETWORK_ERRORS", older=True, at=SINCE, unread=Reason.ACCESS_DENIED),
    ),
    "told now": (CustomKeyStore("cks-1", "CONNECTED"), FAILED, CustomKeyStore("cks-1", "CONNECTED")),
    "another store": (CustomKeyStore("cks-2", None), FAILED, CustomKeyStore("cks-2", None)),
    "never told": (CustomKeyStore("cks-1", None), CustomKeyStore("cks-1", None), CustomKeyStore("cks-1", None)),
    "no store": (None, FAILED, None),
    "no store before": (CustomKeyStore("cks-1", None), None, CustomKeyStore("cks-1", None)),
}


@pytest.mark.parametrize(("now", "before", "expected"), STORES.values(), ids=STORES)
def test_a_store_that_a_fault_hides_stays_as_it_was(
    now: CustomKeyStore | None, before: CustomKeyStore | None, expected: CustomKeyStore | None
) -> None:
    found = continued(an_aws_key(store=now), remembered(an_aws_key(store=before)), NOW)
    assert isinstance(found, AwsKey)
    assert found.store == expected


def test_what_stands_behind_a_key_on_google_cloud_stays_as_it_was_while_a_fault_hides_it() -> None:
    version = a_version(protection_level="EXTERNAL_VPC", ekm_connection=CONNECTION)
    before = a_gcp_key(
        version,
        hsm_instance=HsmInstance(INSTANCE, "DISABLED"),
        connections=(EkmConnection(CONNECTION, reachable=False, detail="EXTERNAL_UNREACHABLE"),),
    )
    hidden = a_gcp_key(
        version,
        hsm_instance=HsmInstance(INSTANCE, None, unread=Reason.THROTTLED),
        connections=(EkmConnection(CONNECTION, None, "throttled"),),
    )
    found = continued(hidden, remembered(before), NOW)
    assert isinstance(found, GcpKey)
    instance = HsmInstance(INSTANCE, "DISABLED", older=True, at=SINCE, unread=Reason.THROTTLED)
    assert found.hsm_instance == instance
    assert found.connections == (
        EkmConnection(CONNECTION, reachable=False, detail="EXTERNAL_UNREACHABLE", older=Reason.THROTTLED, at=SINCE),
    )
    assert continued(hidden, None, NOW) == hidden
    assert continued(before, remembered(hidden), NOW) == before


def test_an_obstacle_outlives_the_fault_that_hides_it() -> None:
    hidden = continued(an_aws_key(store=CustomKeyStore("cks-1", None)), remembered(an_aws_key(store=FAILED)), NOW)
    view = KeyView(AWS_KEY, hidden, remembered(an_aws_key(store=FAILED)))
    assert assess(a_holding(), view, (), Policy(), NOW).assessment.readability is Readability.UNREACHABLE


VANISHED: dict[str, tuple[GcpKeyVersion, timedelta, bool]] = {
    "enabled a minute ago": (a_version("2"), timedelta(minutes=1), False),
    "disabled a minute ago": (a_version("2", "DISABLED"), timedelta(minutes=1), False),
    "enabled not quite a day ago": (a_version("2"), timedelta(hours=23, minutes=59), False),
    "enabled a day ago": (a_version("2"), timedelta(hours=24), True),
    "destroyed": (a_version("2", "DESTROYED"), timedelta(minutes=1), True),
    "never imported": (a_version("2", "IMPORT_FAILED"), timedelta(minutes=1), True),
    "never made": (a_version("2", "GENERATION_FAILED"), timedelta(minutes=1), True),
    "still being imported": (a_version("2", "PENDING_IMPORT"), timedelta(minutes=1), True),
    "still being made": (a_version("2", "PENDING_GENERATION"), timedelta(minutes=1), True),
    "enabled by a clock that was a year ahead": (a_version("2"), -days(365), True),
    "due": (a_version("2", "DESTROY_SCHEDULED", destroy_time=NOW), timedelta(minutes=1), True),
    "due later": (a_version("2", "DESTROY_SCHEDULED", destroy_time=NOW + days(1)), timedelta(minutes=1), False),
}


@pytest.mark.parametrize(("version", "age", "believed"), VANISHED.values(), ids=VANISHED)
def test_a_version_that_is_not_listed_is_gone_only_if_it_can_be(
    version: GcpKeyVersion,
    age: timedelta,
    believed: bool,  # noqa: FBT001 - a case
) -> None:
    now, memory = a_gcp_key(a_version("1")), remembered(a_gcp_key(a_version("1"), version), age)
    found = continued(now, memory, NOW)
    assert isinstance(found, GcpKey)
    if believed:
        assert found == now
    else:
        assert found.versions == (a_version("1"), replace(version, unlisted_since=NOW))
        view = KeyView(GCP_KEY, found, memory)
        judged = [assess(a_holding(GCP_KEY, one), view, (), Policy(), NOW).assessment.readability for one in ("1", "2")]
        assert judged == [Readability.READABLE, Readability.UNKNOWN], "the others are judged as they are"
        told = (Evidence("cloudkms:ListCryptoKeyVersions", "k", NOW, None, "d"),)
        view = KeyView(GCP_KEY, replace(found, evidence=told), memory)
        one = assess(a_holding(GCP_KEY, "2"), view, (), Policy(), NOW).assessment
        assert (one.subject.kind, one.evidence) == (SubjectKind.KEY_VERSION, told)


def test_a_version_that_stays_unlisted_is_believed_gone_when_it_can_be_and_comes_back_as_it_is_listed() -> None:
    both, one = a_gcp_key(a_version("1"), a_version("2")), a_gcp_key(a_version("1"))
    last = both
    for hours in (0, 1, 12, 23.9):
        found = continued(one, remembered(last, timedelta(hours=1)), NOW + timedelta(hours=hours))
        assert isinstance(found, GcpKey)
        assert found.versions[1].unlisted_since == NOW
        last = found
    assert continued(one, remembered(last), NOW + timedelta(hours=24)) == one
    assert continued(both, remembered(last), NOW + timedelta(hours=1)) == both


def test_a_key_that_changed_its_state_tells_that_its_store_may_have_too() -> None:
    before = an_aws_key("Unavailable", store=CustomKeyStore("cks-1", "DISCONNECTED"))
    hidden = CustomKeyStore("cks-1", None)
    for state, heals in (("Enabled", True), ("Updating", True), ("Disabled", False), ("PendingDeletion", False)):
        found = continued(an_aws_key(state, store=hidden), remembered(before), NOW)
        assert isinstance(found, AwsKey)
        assert (found.store == hidden) is heals, state


def test_a_store_that_was_disconnected_is_back_where_its_key_is_enabled_however_it_came_to_that() -> None:
    hidden = CustomKeyStore("cks-1", None)
    off, failed = CustomKeyStore("cks-1", "DISCONNECTED"), FAILED
    for store, state, heals in (
        (replace(off, older=True), "Enabled", True),
        (replace(off, older=True), "Disabled", False),
        (off, "Enabled", False),
        (replace(failed, older=True), "Enabled", False),
    ):
        last = remembered(an_aws_key("Disabled", store=store))
        found = continued(an_aws_key(state, store=hidden), last, NOW)
        assert isinstance(found, AwsKey)
        assert (found.store == hidden) is heals


@pytest.mark.parametrize("states", [("Enabled", "Updating"), ("Updating", "Enabled"), ("Unavailable", "Unavailable")])
def test_any_other_change_of_a_key_tells_nothing_of_its_store(states: tuple[str, str]) -> None:
    before = an_aws_key(states[0], store=FAILED)
    found = continued(an_aws_key(states[1], store=CustomKeyStore("cks-1", None)), remembered(before), NOW)
    assert isinstance(found, AwsKey)
    assert found.store == replace(FAILED, older=True, at=SINCE)


def test_a_connection_that_is_not_asked_for_meanwhile_is_healed_by_nothing() -> None:
    failing = EkmConnection(CONNECTION, reachable=False, detail="EXTERNAL_UNREACHABLE")
    off = a_version(state="DISABLED", protection_level="EXTERNAL_VPC", ekm_connection=CONNECTION)
    found = continued(a_gcp_key(off), remembered(a_gcp_key(off, connections=(failing,))), NOW)
    assert isinstance(found, GcpKey)
    assert found.connections == (replace(failing, at=SINCE),)


def test_an_instance_that_was_to_disable_itself_while_it_was_hidden_is_not_called_active() -> None:
    before = a_gcp_key(hsm_instance=HsmInstance(INSTANCE, "ACTIVE", disable_time=NOW - days(1)))
    found = continued(a_gcp_key(hsm_instance=HsmInstance(INSTANCE, None)), remembered(before), NOW)
    assert isinstance(found, GcpKey)
    told = (Evidence("cloudkms:GetSingleTenantHsmInstance", "i", NOW, None, "d"),)
    for key, readability in (
        (replace(found, evidence=told), Readability.UNKNOWN),
        (a_gcp_key(hsm_instance=HsmInstance(INSTANCE, "ACTIVE", NOW, older=True)), Readability.UNKNOWN),
        (a_gcp_key(hsm_instance=HsmInstance(INSTANCE, "ACTIVE", NOW + days(1), older=True)), Readability.EXPIRING),
        (before, Readability.EXPIRING),
    ):
        view = KeyView(GCP_KEY, key, remembered(before))
        one = assess(a_holding(GCP_KEY, "1"), view, (), Policy(), NOW).assessment
        assert (one.readability, one.evidence) == (readability, key.evidence)


def test_what_is_no_state_is_left_as_it_is() -> None:
    for reading in (denied(), denied(GCP_KEY)):
        assert continued(reading, remembered(an_aws_key()), NOW) is reading


def test_a_connection_that_nobody_asks_for_any_more_is_healed_by_nothing_and_proves_nothing() -> None:
    on = a_version(state="ENABLED", protection_level="EXTERNAL_VPC", ekm_connection=CONNECTION)
    elsewhere = a_version(state="ENABLED", protection_level="EXTERNAL_VPC", ekm_connection=f"{CONNECTION}-new")
    failing = EkmConnection(CONNECTION, reachable=False, detail="EXTERNAL_UNREACHABLE")
    older = replace(failing, older=Reason.NOT_VISIBLE, at=SINCE)
    for version, before, after in (
        (on, failing, (older,)),
        (on, older, (older,)),
        (on, replace(failing, older=Reason.THROTTLED), (replace(failing, older=Reason.THROTTLED, at=SINCE),)),
        (on, EkmConnection(CONNECTION, reachable=True), ()),
        (on, EkmConnection(CONNECTION, None, "throttled"), ()),
        (elsewhere, failing, ()),
    ):
        found = continued(a_gcp_key(version), remembered(a_gcp_key(on, connections=(before,))), NOW)
        assert isinstance(found, GcpKey)
        assert found.connections == after


def test_what_stood_behind_a_version_that_is_not_listed_stands_behind_it_still() -> None:
    kind: dict[str, Any] = {"protection_level": "EXTERNAL_VPC", "ekm_connection": CONNECTION}
    failing = EkmConnection(CONNECTION, reachable=False, detail="EXTERNAL_UNREACHABLE")
    for state, older in (("ENABLED", Reason.NOT_VISIBLE), ("DISABLED", None)):
        kept = replace(failing, older=older, at=SINCE)
        before = a_gcp_key(a_version("1"), a_version("2", state, **kind), connections=(failing,))
        found = continued(a_gcp_key(a_version("1")), remembered(before), NOW)
        assert isinstance(found, GcpKey)
        assert found.connections == (kept,)


@pytest.mark.parametrize("state", ["DISABLED", None])
def test_an_instance_that_nobody_asks_for_is_as_it_was_while_its_version_is_not_listed(state: str | None) -> None:
    instance = HsmInstance(INSTANCE, state)
    before = a_gcp_key(a_version("1"), a_version("2", protection_level="HSM_SINGLE_TENANT"), hsm_instance=instance)
    found = continued(a_gcp_key(a_version("1")), remembered(before), NOW)
    assert isinstance(found, GcpKey)
    assert found.hsm_instance == replace(instance, older=state is not None, at=SINCE if state else None)
    gone = continued(a_gcp_key(a_version("1")), remembered(before, days(2)), NOW)
    elsewhere = continued(a_gcp_key(*before.versions), remembered(before), NOW)
    for one in (gone, elsewhere):
        assert isinstance(one, GcpKey)
        assert one.hsm_instance is None


def test_a_connection_that_one_version_still_uses_counts_as_unasked_whatever_the_others_are() -> None:
    kind = {"protection_level": "EXTERNAL_VPC", "ekm_connection": CONNECTION}
    versions = a_version("1", state="ENABLED", **kind), a_version("2", state="DISABLED", **kind)
    failing = EkmConnection(CONNECTION, reachable=False, detail="EXTERNAL_UNREACHABLE")
    found = continued(a_gcp_key(*versions), remembered(a_gcp_key(*versions, connections=(failing,))), NOW)
    assert isinstance(found, GcpKey)
    assert found.connections == (replace(failing, older=Reason.NOT_VISIBLE, at=SINCE),)


def test_a_key_that_is_unavailable_leaves_nothing_of_a_store_that_was_connected_before() -> None:
    hidden = CustomKeyStore("cks-1", None)
    before = remembered(an_aws_key(store=CustomKeyStore("cks-1", "CONNECTED")))
    found = continued(an_aws_key("Unavailable", store=hidden), before, NOW)
    assert isinstance(found, AwsKey)
    assert found.store == hidden
    failed = remembered(an_aws_key(store=FAILED))
    found = continued(an_aws_key("Unavailable", store=hidden), failed, NOW)
    assert isinstance(found, AwsKey)
    assert found.store is not None
    assert found.store.connection_state == "FAILED"
