"""An obstacle of which nobody has told for a while stands, and proves nothing any more."""

from datetime import timedelta
from typing import Any

import pytest

from auditor.findings import Assessment, Confidence, Readability
from auditor.model import CustomKeyStore, EkmConnection, GcpKey, HsmInstance, KeyGone, KeyReading, Reason
from auditor.policy import Policy
from auditor.readability import KeyView, assess, beside_others
from auditor.readability.ageing import aged
from tests.core_builders import (
    AWS_KEY,
    GCP_KEY,
    NOW,
    a_gcp_key,
    a_holding,
    a_version,
    an_aws_key,
    denied,
    remembered,
)

R = Readability
MINUTE = timedelta(minutes=1)
FRESH, OLD = 15 * MINUTE, 15 * MINUTE + timedelta(microseconds=1)
SILENT = denied(reason=Reason.THROTTLED)
LATER = "whether it is still so is not known"


def of(key: Any, age: timedelta, reading: KeyReading | None = SILENT) -> Assessment:
    view = KeyView(key.name, reading, remembered(key, age))
    version = "1" if isinstance(key, GcpKey) else None
    return assess(a_holding(key.name, version), view, (), Policy(), NOW).assessment


@pytest.mark.parametrize("state", ["Disabled", "PendingImport"])
def test_an_obstacle_is_proven_until_its_key_is_silent_for_longer_than_a_poll_may_be_old(state: str) -> None:
    key = an_aws_key(state)
    for age, confidence in ((MINUTE, Confidence.PROVEN), (FRESH, Confidence.PROVEN), (OLD, Confidence.INFERRED)):
        for reading in (SILENT, None):
            found = of(key, age, reading)
            assert (found.readability, found.confidence) == (R.UNREADABLE, confidence)
            assert found.cause.endswith(LATER) is (confidence is Confidence.INFERRED)
            assert found.undo  # whoever waits for it is told how to lift it
    assert of(key, -OLD).confidence is Confidence.INFERRED, "a clock that was ahead proves no more"


def test_a_deletion_that_was_scheduled_long_ago_may_have_been_cancelled() -> None:
    doomed = an_aws_key("PendingDeletion", deletion_date=NOW + timedelta(days=1))
    assert [of(doomed, age).confidence for age in (FRESH, OLD)] == [Confidence.PROVEN, Confidence.INFERRED]
    assert of(doomed, OLD).readability is R.DOOMED


def test_what_is_destroyed_stays_proven_however_long_its_key_is_silent() -> None:
    found = of(a_gcp_key(a_version("DESTROYED")), timedelta(days=400), denied(GCP_KEY, Reason.TIMEOUT))
    assert (found.readability, found.confidence) == (R.LOST, Confidence.PROVEN)
    gone = assess(a_holding(), KeyView(AWS_KEY, KeyGone(AWS_KEY, proven=True), None), (), Policy(), NOW).assessment
    assert (gone.readability, gone.confidence) == (R.LOST, Confidence.PROVEN)


def test_a_store_is_as_young_as_the_last_answer_of_any_of_its_keys() -> None:
    """A store that a key in it has found disconnected a minute ago bars its silent keys, which is proven."""
    store = CustomKeyStore("cks-1", "DISCONNECTED")
    other = an_aws_key("Unavailable", name=type(AWS_KEY)(AWS_KEY.text[:-1] + "f"), store=store)
    silent = an_aws_key(store=CustomKeyStore("cks-1", "CONNECTED"))
    for reading, age, confidence in (
        (other, OLD, Confidence.PROVEN),
        (SILENT, FRESH, Confidence.PROVEN),
        (SILENT, OLD, Confidence.INFERRED),
    ):
        views = {
            AWS_KEY: KeyView(AWS_KEY, SILENT, remembered(silent, timedelta(hours=9))),
            other.name: KeyView(other.name, reading, remembered(other, age)),
        }
        view = beside_others(views, NOW)[AWS_KEY]
        found = assess(a_holding(), view, (), Policy(), NOW).assessment
        assert (found.readability, found.confidence) == (R.UNREACHABLE, confidence), (reading, age)


def test_of_an_unavailable_key_and_its_store_the_younger_word_tells_of_the_store() -> None:
    for store, said, confidence in (
        (NOW - OLD, MINUTE, Confidence.PROVEN),
        (NOW - MINUTE, OLD, Confidence.PROVEN),
        (None, MINUTE, Confidence.PROVEN),
        (None, OLD, Confidence.INFERRED),
    ):
        key = an_aws_key("Unavailable", store=CustomKeyStore("cks-1", "FAILED", older=store is not None, at=store))
        found = of(key, said)
        assert (found.readability, found.confidence) == (R.UNREACHABLE, confidence), (store, said)


def test_what_a_key_says_of_itself_is_not_as_old_as_what_was_told_of_its_store() -> None:
    key = an_aws_key("Disabled", store=CustomKeyStore("cks-1", "CONNECTED", older=True, at=NOW - OLD))
    found = assess(a_holding(), KeyView(AWS_KEY, key, None), (), Policy(), NOW).assessment
    assert (found.readability, found.confidence) == (R.UNREADABLE, Confidence.PROVEN)


def test_what_stands_behind_a_key_that_answers_is_as_old_as_when_it_was_read() -> None:
    store = an_aws_key(store=CustomKeyStore("cks-1", "DISCONNECTING", older=True, at=NOW - OLD))
    instance = a_gcp_key(
        a_version(protection_level="HSM_SINGLE_TENANT"),
        hsm_instance=HsmInstance("instance", "DISABLED", older=True, at=NOW - OLD),
    )
    connections = (
        EkmConnection("other", False, "timeout", Reason.TIMEOUT, at=NOW),
        EkmConnection("connection", False, "timeout", Reason.TIMEOUT, at=NOW - OLD),
    )
    behind = a_version(protection_level="EXTERNAL_VPC", ekm_connection="connection")
    for key, version in ((store, None), (instance, "1"), (a_gcp_key(behind, connections=connections), "1")):
        view = KeyView(key.name, key, remembered(key))
        found = assess(a_holding(key.name, version), view, (), Policy(), NOW).assessment
        assert (found.readability, found.confidence) == (R.UNREACHABLE, Confidence.INFERRED), key
        assert f"this was told at {NOW - OLD:%Y-%m-%d %H:%M:%S UTC}" in found.cause


def test_what_reads_and_what_nobody_knows_is_no_obstacle_that_ages() -> None:
    expiring = an_aws_key(origin="EXTERNAL", valid_to=NOW + timedelta(days=1))
    for key in (an_aws_key(), expiring, an_aws_key("AStateOfTheFuture")):
        found = assess(a_holding(), KeyView(AWS_KEY, key, None), (), Policy(), NOW).assessment
        assert (found.readability is R.EXPIRING) is (key is expiring)
        assert aged(found, key, NOW - timedelta(days=9), Policy(), NOW) is found
