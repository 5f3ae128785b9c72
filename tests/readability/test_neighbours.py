"""What a custom key store that fails one of its keys leaves known of the data under its others."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from auditor.findings import Assessed, Assessment, Basis, Readability, Subject, SubjectKind
from auditor.model import CustomKeyStore, Encryption, Evidence, KeyName, Probe, ProbeKind, ProbeOutcome
from auditor.policy import Policy
from auditor.readability import KeyView, Stores
from tests.core_builders import (
    AWS_KEY,
    GCP_KEY,
    NOW,
    ROLE,
    a_gcp_key,
    a_holding,
    a_version,
    an_aws_key,
    days,
    denied,
    remembered,
)

STORE = CustomKeyStore("cks-1", "CONNECTED")
OTHER = KeyName(AWS_KEY.text[:-1] + "f")
SUBJECT = Subject(SubjectKind.KEY_STORE, f"{AWS_KEY.owner}/{AWS_KEY.location}/cks-1")
TOLD = Evidence("kms:DescribeKey", "a key", NOW, None, "0" * 64)
TRIED = Evidence("s3:GetObject", "a key", NOW, None, "1" * 64)
BY_STATE = Assessment(
    Readability.READABLE, Basis.STATE, "is Enabled", Subject(SubjectKind.KEY, OTHER.text), evidence=(TOLD,)
)
WELL = {"state": "'Enabled'", "store": "'CONNECTED'"}
REFUSED = Probe(
    *("s3://data", AWS_KEY.text, None, ProbeKind.READ, NOW - days(1), ProbeOutcome.REFUSED),
    *("KMSInvalidStateException", ROLE),
    evidence=(TRIED,),
    told=WELL,
)
PASSED = replace(REFUSED, key=OTHER.text, outcome=ProbeOutcome.PASSED, code="ok", at=NOW, told={})


def beside(*probes: Probe, other: Assessment = BY_STATE, failing: KeyView | None = None, **more: Any) -> Assessment:
    """What becomes of data under another key than that which a store failed."""
    views = {
        AWS_KEY: failing or KeyView(AWS_KEY, an_aws_key(store=STORE), None),
        OTHER: KeyView(OTHER, None, remembered(an_aws_key(name=OTHER, **{"store": STORE, **more}))),
    }
    assessed = [Assessed(a_holding(OTHER), Encryption.CMEK, other)]
    (found,) = Stores(probes, views, Policy(), NOW).beside(assessed, views)
    return found.assessment


@pytest.mark.parametrize("basis", [Basis.STATE, Basis.POLICY])
def test_what_only_a_state_calls_readable_is_unknown_beside_a_key_that_the_store_failed(basis: Basis) -> None:
    found = beside(REFUSED, other=replace(BY_STATE, basis=basis))
    assert (found.readability, found.basis, found.subject) == (Readability.UNKNOWN, Basis.STATE, SUBJECT)
    assert found.cause == (
        f"custom key store {SUBJECT.id} failed key {AWS_KEY} at {NOW - days(1):%Y-%m-%d %H:%M:%S UTC} "
        "(KMSInvalidStateException), and whether its other keys work is not known"
    )
    assert found.evidence == (TOLD, TRIED)


def test_a_failure_is_over_by_the_last_use_of_the_key_and_by_none_of_before() -> None:
    failed = replace(REFUSED, at=NOW - days(0.02))
    used = replace(failed, bucket="s3://a", outcome=ProbeOutcome.PASSED, code="ok", told={})
    before = replace(used, at=failed.at - days(0.01))
    later = replace(used, bucket="s3://b", at=failed.at + days(0.01))
    assert beside(failed, before).readability is Readability.UNKNOWN
    assert beside(failed, used).readability is Readability.UNKNOWN, "of one moment no order is told"
    assert beside(failed, before, later).readability is Readability.READABLE


def test_a_key_in_no_store_tells_of_none() -> None:
    views = {AWS_KEY: KeyView(AWS_KEY, an_aws_key(), None)}
    assert Stores((REFUSED,), views, Policy(), NOW).failing == frozenset()


def test_a_date_stays_that_the_key_has_of_its_own() -> None:
    date = NOW + days(2)
    found = beside(REFUSED, other=replace(BY_STATE, readability=Readability.EXPIRING, final_at=date))
    assert (found.readability, found.final_at) == (Readability.UNKNOWN, date)
    assert found.shadowed == ((BY_STATE.subject, Readability.EXPIRING),)


@pytest.mark.parametrize(
    "failing",
    [
        KeyView(AWS_KEY, an_aws_key("Disabled", store=STORE), None),
        KeyView(AWS_KEY, an_aws_key("PendingDeletion", store=STORE), None),
        KeyView(AWS_KEY, denied(), remembered(an_aws_key(store=STORE))),
        KeyView(AWS_KEY, None, remembered(an_aws_key(store=STORE))),
    ],
    ids=["disabled", "to be deleted", "denied", "not asked"],
)
def test_whatever_becomes_of_the_key_that_it_failed_the_store_stays_in_doubt(failing: KeyView) -> None:
    assert beside(REFUSED, failing=failing).readability is Readability.UNKNOWN


@pytest.mark.parametrize(
    ("probes", "other", "more"),
    [
        ((), BY_STATE, {}),
        ((REFUSED,), replace(BY_STATE, basis=Basis.PROBE), {}),
        ((REFUSED,), replace(BY_STATE, readability=Readability.UNREADABLE), {}),
        ((REFUSED,), BY_STATE, {"store": CustomKeyStore("cks-2", "CONNECTED")}),
        ((REFUSED,), BY_STATE, {"store": None}),
        ((REFUSED, PASSED), BY_STATE, {}),
        ((REFUSED, replace(PASSED, principal=f"{ROLE}-2", bucket="s3://other")), BY_STATE, {}),
        ((replace(REFUSED, code="DisabledException"),), BY_STATE, {}),
        ((replace(REFUSED, told={"state": "'PendingDeletion'"}),), BY_STATE, {}),
        ((replace(REFUSED, outcome=ProbeOutcome.INCONCLUSIVE),), BY_STATE, {}),
        ((REFUSED, replace(PASSED, key=AWS_KEY.text)), BY_STATE, {}),
        ((replace(REFUSED, key=OTHER.text[:-1] + "e"),), BY_STATE, {}),
    ],
    ids=[
        "nothing was refused",
        "the data was read",
        "it is worse by itself",
        "another store",
        "no store",
        "the key was read",
        "the key was read by anybody",
        "the key alone",
        "the key says why",
        "nothing was told",
        "it works again",
        "a key of which nothing is known",
    ],
)
def test_other_data_is_judged_by_itself(probes: tuple[Probe, ...], other: Assessment, more: dict[str, Any]) -> None:
    assert beside(*probes, other=other, **more) == other


def test_of_several_keys_that_a_store_failed_always_the_same_is_told() -> None:
    names = [KeyName(f"{AWS_KEY.text[:-1]}{digit}") for digit in "76543210"]
    views = {name: KeyView(name, an_aws_key(name=name, store=STORE), None) for name in (*names, OTHER)}
    probes = [replace(REFUSED, key=name.text) for name in names]
    stores = Stores(probes, views, Policy(), NOW)
    assert stores.failing == {SUBJECT}
    (found,) = stores.beside([Assessed(a_holding(OTHER), Encryption.CMEK, BY_STATE)], views)
    assert min(names).text in found.assessment.cause


def test_a_read_through_a_bucket_key_tells_that_it_works_a_day_later() -> None:
    for late, readability in ((timedelta(hours=24), Readability.READABLE), (timedelta(hours=23), Readability.UNKNOWN)):
        failed = replace(REFUSED, at=NOW - late)
        assert beside(failed, replace(PASSED, cached=True)).readability is readability


def test_what_a_key_refused_through_one_bucket_is_over_where_it_was_read_through_another_since() -> None:
    for at, readability in ((NOW, Readability.READABLE), (NOW - days(1), Readability.UNKNOWN)):
        elsewhere = replace(PASSED, key=AWS_KEY.text, bucket="s3://other", at=at)
        assert beside(REFUSED, elsewhere).readability is readability
        assert beside(REFUSED, replace(elsewhere, cached=True)).readability is Readability.UNKNOWN


@pytest.mark.parametrize("passed", [{"kind": ProbeKind.DRY_RUN}, {"at": NOW - days(1)}])
def test_only_a_read_of_late_that_used_the_key_tells_that_it_works(passed: dict[str, Any]) -> None:
    assert beside(REFUSED, replace(PASSED, **passed)).readability is Readability.UNKNOWN


def test_data_under_no_key_and_on_google_cloud_is_left_alone() -> None:
    every = (
        Assessed(a_holding(None, encryption=Encryption.NONE), Encryption.NONE, BY_STATE),
        Assessed(a_holding(GCP_KEY, "1"), Encryption.CMEK, BY_STATE),
        Assessed(a_holding(OTHER), Encryption.CMEK, BY_STATE),
    )
    views = {
        AWS_KEY: KeyView(AWS_KEY, an_aws_key(store=STORE), None),
        GCP_KEY: KeyView(GCP_KEY, a_gcp_key(a_version()), None),
        OTHER: KeyView(OTHER, None, None),
    }
    on_google = replace(REFUSED, key=GCP_KEY.text, key_version="1")
    assert tuple(Stores([REFUSED, on_google], views, Policy(), NOW).beside(every, views)) == every
