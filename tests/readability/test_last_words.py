"""What a service said of a key last counts where it is not asked now, or a fault hides its answer."""

from datetime import timedelta
from typing import Any

import pytest

from auditor.findings import Assessment, Confidence, Readability
from auditor.model import CustomKeyStore, KeyGone, KeyName, KeyReading, Reason
from auditor.policy import Policy
from auditor.readability import KeyView, assess, beside_others, is_gone
from auditor.readability.assess import withdrawn
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

R = Readability
REPLICA = KeyName("arn:aws:kms:us-east-1:111122223333:key/mrk-1f3c0f5e00004000800000000000dddd")
GONE = KeyGone(AWS_KEY, proven=False)
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
FAULTS = (Reason.THROTTLED, Reason.TIMEOUT, Reason.MALFORMED, Reason.EXPIRED_CREDENTIALS)
WORDS = (GONE, denied(), denied(reason=Reason.NOT_VISIBLE))


def of(view: KeyView, policy: Policy | None = None) -> Assessment:
    return assess(a_holding(view.name), view, (), policy or Policy(), NOW).assessment


@pytest.mark.parametrize("word", WORDS)
def test_a_fault_and_not_being_asked_hide_no_word_of_the_service(word: KeyReading) -> None:
    memory = remembered(an_aws_key(), silence=word)
    assert KeyView(AWS_KEY, None, memory).word is word
    for reason in FAULTS:
        assert KeyView(AWS_KEY, denied(reason=reason), memory).word is word


@pytest.mark.parametrize("reading", [an_aws_key("Disabled"), GONE, denied(), denied(reason=Reason.NOT_FOUND)])
def test_a_new_word_of_the_service_takes_the_place_of_the_one_before(reading: KeyReading) -> None:
    for word in (*WORDS, None):
        assert KeyView(AWS_KEY, reading, remembered(an_aws_key(), silence=word)).word is reading


def test_that_there_was_a_fault_before_is_no_word() -> None:
    now = denied(reason=Reason.TIMEOUT)
    for before in (denied(reason=Reason.THROTTLED), denied(reason=Reason.NOT_FOUND), None):
        assert KeyView(AWS_KEY, now, remembered(an_aws_key(), silence=before)).word is now
    assert KeyView(AWS_KEY, now, None).word is now


NOT_FOUND: dict[str, Any] = {"missing_since": NOW - 2 * HOUR, "silence": KeyGone(REPLICA, proven=False)}


def missing(until: timedelta, **more: Any) -> Any:
    return remembered(an_aws_key(name=REPLICA), 3 * HOUR, **{**NOT_FOUND, "missing_until": NOW - until, **more})


@pytest.mark.parametrize(("until", "gone"), [(MINUTE, True), (15 * MINUTE, True), (16 * MINUTE, False)])
def test_a_replica_that_was_not_asked_for_long_may_be_there_again(until: timedelta, *, gone: bool) -> None:
    view = KeyView(REPLICA, None, missing(until))
    assert of(view).readability is (R.LOST if gone else R.UNKNOWN)
    assert is_gone(view, Policy(), NOW) is gone


def test_a_replica_whose_answer_a_fault_hides_may_be_there_again_however_soon() -> None:
    view = KeyView(REPLICA, denied(REPLICA, Reason.TIMEOUT), missing(MINUTE))
    assert of(view).readability is R.UNKNOWN
    assert not is_gone(view, Policy(), NOW)
    again = KeyView(REPLICA, an_aws_key(name=REPLICA), missing(MINUTE))
    assert of(again).readability is R.READABLE
    assert not is_gone(again, Policy(), NOW)


def test_another_key_is_as_gone_as_it_was_however_long_ago() -> None:
    memory = remembered(an_aws_key(), 3 * HOUR, missing_since=NOW - 2 * HOUR, missing_until=NOW - HOUR, silence=GONE)
    for reading in (None, denied(reason=Reason.TIMEOUT)):
        view = KeyView(AWS_KEY, reading, memory)
        assert (of(view).readability, of(view).confidence) == (R.LOST, Confidence.PROVEN)
        assert is_gone(view, Policy(), NOW)
    once = remembered(an_aws_key(), 3 * HOUR, missing_since=NOW - HOUR, missing_until=NOW - HOUR, silence=GONE)
    for reading in (None, denied(reason=Reason.TIMEOUT)):
        assert of(KeyView(AWS_KEY, reading, once)).readability is R.UNKNOWN, "one reading settles nothing"
        assert not is_gone(KeyView(AWS_KEY, reading, once), Policy(), NOW)


def test_a_key_that_answers_is_not_gone_whatever_was_answered_before() -> None:
    memory = remembered(an_aws_key(), missing_since=NOW - 2 * HOUR, missing_until=NOW - HOUR, missing_proven=True)
    for key in (an_aws_key(), an_aws_key("PendingDeletion", deletion_date=NOW - days(1))):
        assert is_gone(KeyView(AWS_KEY, key, memory), Policy(), NOW) is False
    assert is_gone(KeyView(GCP_KEY, a_gcp_key(a_version("DESTROYED")), memory), Policy(), NOW) is False


def test_of_a_key_of_which_nobody_ever_heard_nothing_is_gone() -> None:
    for name in (AWS_KEY, REPLICA):
        assert is_gone(KeyView(name, denied(name, Reason.TIMEOUT), None), Policy(), NOW) is False


def test_who_never_answered_was_withdrawn_by_nobody() -> None:
    for memory in (None, remembered(None)):
        with pytest.raises(ValueError, match="never answered"):
            withdrawn(KeyView(AWS_KEY, denied(), memory))


def test_since_when_a_key_is_denied_that_never_told_a_state_is_told_while_a_fault_hides_it() -> None:
    since = NOW - HOUR
    told = of(KeyView(AWS_KEY, denied(reason=Reason.TIMEOUT), remembered(None, denied_since=since)))
    assert (told.readability, f"it is denied since {since:%Y-%m-%d %H:%M:%S} UTC" in told.cause) == (R.UNKNOWN, True)


def test_of_a_silent_key_whose_store_is_back_it_is_told_that_it_was_unavailable() -> None:
    last = an_aws_key("Unavailable", store=CustomKeyStore("cks-1", "DISCONNECTED"))
    other = an_aws_key(name=KeyName(AWS_KEY.text[:-1] + "f"), store=CustomKeyStore("cks-1", "CONNECTED"))
    views = {
        AWS_KEY: KeyView(AWS_KEY, denied(reason=Reason.TIMEOUT), remembered(last)),
        other.name: KeyView(other.name, other, None),
    }
    found = of(beside_others(views, NOW)[AWS_KEY])
    assert (found.readability, "was Unavailable when it last answered" in found.cause) == (R.UNKNOWN, True)
