"""What a finding says once its log has replied: who it was, or in words why nobody is named, and when to ask again."""

from dataclasses import replace
from datetime import timedelta

import pytest

from auditor.attribution.logged import Change, Inquiry, Reply
from auditor.attribution.replied import Moment, with_reply
from auditor.attribution.who import LAG, inquiry, wanted
from auditor.findings import Actor, Finding, Sought
from auditor.model import Cloud, Reason
from tests.attribution.test_attribution_table import KEY, OVERLAP, VERSION, a_finding, aws, change, google, told
from tests.core_builders import AWS_KEY, NOW, days

MINUTE = timedelta(minutes=1)
OFF = a_finding("data-unreadable", KEY)
DONE = change("DisableKey", AWS_KEY.text, source="10.0.0.1", via="a role")
NOBODY = "no entry of its audit log"


def of_off(*changes: Change, one: Finding = OFF, minutes: float = 0, **more: object) -> Finding:
    return told(one, aws("Disabled"), *changes, minutes=minutes, **more)


def sought(one: Finding) -> Sought:
    assert one.sought is not None
    return one.sought


def test_who_it_was_is_told_as_the_log_tells_it_with_the_time_of_the_call() -> None:
    found = of_off(DONE, one=replace(OFF, unattributed="nobody yet"))
    assert found.actor == Actor("alice", "DisableKey", DONE.at, "10.0.0.1", "a role", DONE.event_id)
    assert (found.unattributed, found.since, found.since_source) == (None, DONE.at, "audit_log")
    assert sought(found) == Sought(OFF.sought.after if OFF.sought else None, first=NOW, last=NOW, log="log")


def test_each_asking_says_when_it_was_the_first_time_and_the_last_and_which_log() -> None:
    first = of_off(unread=Reason.THROTTLED)
    assert (sought(first).first, sought(first).last, sought(first).unread) == (NOW, NOW, Reason.THROTTLED)
    assert first.unattributed == "its audit log could not be read (throttled)"
    again = of_off(one=first, minutes=7)
    assert (sought(again).first, sought(again).last, sought(again).unread) == (NOW, NOW + 7 * MINUTE, None)
    assert (sought(again).log, sought(again).settled) == ("log", False)
    assert again.unattributed == f"{NOBODY} explains it yet; one may come up to 2 h late"
    assert sought(of_off(one=replace(OFF, sought=None))).after is None, "nobody saw it change"


def test_how_late_an_entry_may_come_is_told_in_whole_hours_or_minutes() -> None:
    one = a_finding("data-unreadable", VERSION)
    assert told(one, google("DISABLED")).unattributed == f"{NOBODY} explains it yet; one may come up to 10 min late"
    what = wanted(one, google("DISABLED"))
    assert what is not None
    asked = inquiry(one, what, NOW, OVERLAP)
    for lag, words in ((60, "1 h"), (61, "61 min"), (90, "90 min"), (120, "2 h"), (180, "3 h")):
        found = with_reply(one, what, asked, Reply(asked), Moment(NOW, "log", lag * MINUTE))
        assert (found.unattributed or "").endswith(f"up to {words} late")


def test_that_no_entry_explains_it_is_told_with_from_when_on_all_was_looked_through() -> None:
    seen = of_off(minutes=120)
    assert seen.unattributed == (f"{NOBODY} from 2026-11-24 11:49 UTC on explains it, and none may come late any more")
    unseen = of_off(one=replace(OFF, sought=Sought(None)), minutes=120)
    assert unseen.unattributed == (f"{NOBODY}, which reaches back to 2026-08-26, explains it; nobody saw it change")
    on_google = told(a_finding("data-unreadable", VERSION, sought=Sought(None)), google("DISABLED"), minutes=10)
    assert "reaches back to 2025-10-20, explains" in (on_google.unattributed or "")


@pytest.mark.parametrize("unread", [Reason.THROTTLED, Reason.TIMEOUT])
def test_who_was_named_stays_and_a_log_that_is_only_late_is_asked_again(unread: Reason) -> None:
    named = of_off(DONE)
    late = of_off(one=named, minutes=120, unread=unread)
    assert (late.actor, late.since, sought(late).settled, sought(late).unread) == (named.actor, DONE.at, False, None)
    assert not sought(of_off(one=named, minutes=119, unread=Reason.ACCESS_DENIED)).settled, "its lag is not over"
    assert sought(of_off(one=named, minutes=120, unread=Reason.ACCESS_DENIED)).settled
    torn = of_off(one=named, minutes=120, whole=False)
    assert (torn.actor, sought(torn).settled) == (named.actor, False), "not all was looked through"


def test_the_same_entry_once_more_leaves_the_finding_as_it_is() -> None:
    named = of_off(DONE)
    for since in (NOW - days(1), NOW):
        moved = replace(named, since=since, since_source="key_state")
        again = of_off(DONE, one=moved, minutes=120)
        assert (again.actor, again.since, again.since_source) == (named.actor, since, "key_state")
    again = of_off(DONE, one=named, minutes=120)
    assert (again.actor, again.since) == (named.actor, named.since)
    assert (sought(again).last, sought(again).settled) == (NOW + 120 * MINUTE, True)


def test_an_entry_that_explains_it_no_more_takes_back_whom_it_named() -> None:
    undone = change("EnableKey", AWS_KEY.text, 0.2)
    named = of_off(DONE)
    assert of_off(DONE, undone, one=named).actor is None
    other = change("DisableKey", AWS_KEY.text, 0.9, by="bob")
    assert of_off(change("EnableKey", AWS_KEY.text, 0.1), other, one=named).actor == named.actor, (
        "a log that has not its entry any more tells nothing of it"
    )


@pytest.mark.parametrize(
    ("before", "since", "source"),
    [
        (Sought(NOW - MINUTE), NOW, "between_polls"),
        (Sought(None), NOW, "first_read"),
        (Sought(NOW - MINUTE, seen=NOW + MINUTE), NOW + MINUTE, "between_polls"),
    ],
    ids=["seen", "unseen", "another state"],
)
def test_whoever_is_not_named_any_more_takes_the_time_of_the_call_along(
    before: Sought, since: object, source: str
) -> None:
    named = of_off(DONE, one=replace(OFF, sought=before))
    assert (named.since, named.since_source) == (DONE.at, "audit_log")
    found = of_off(DONE, change("EnableKey", AWS_KEY.text, 0.2), one=named)
    assert (found.actor, found.since, found.since_source) == (None, since, source)
    for kept in (replace(named, since_source="key_state"), replace(named, since=NOW - days(1))):
        found = of_off(DONE, change("EnableKey", AWS_KEY.text, 0.2), one=kept)
        assert (found.actor, found.since, found.since_source) == (None, kept.since, kept.since_source)


def test_another_one_takes_the_place_of_whoever_was_named_with_the_time_of_its_call() -> None:
    named = of_off(DONE)
    bob = change("DisableKey", AWS_KEY.text, 0.1, by="bob")
    found = of_off(DONE, change("EnableKey", AWS_KEY.text, 0.2), bob, one=named)
    assert (found.actor.principal if found.actor else None, found.since) == ("bob", bob.at)


def test_a_call_in_the_moment_at_which_it_was_seen_dates_it_and_a_later_one_does_not() -> None:
    same, later = replace(DONE, at=NOW), replace(DONE, at=NOW + timedelta(seconds=1))
    assert (of_off(same).since, of_off(same).since_source) == (NOW, "audit_log")
    assert (of_off(later).since, of_off(later).since_source) == (NOW, "between_polls")
    assert of_off(later).actor is not None


def test_several_who_may_have_been_it_are_told_with_their_newest_call() -> None:
    by_three = [change("PutKeyPolicy", AWS_KEY.text, 0.9 - each / 10, by=f"p{each}") for each in range(3)]
    one = a_finding("key-public", KEY)
    found = told(one, aws(), *by_three)
    why = ", ".join(f"p{each} by PutKeyPolicy of 2026-11-24 11:59 UTC" for each in range(3))
    assert found.unattributed == f"calls of several may have led to it: {why}"
    assert (found.actor, sought(found).settled, sought(told(one, aws(), *by_three, minutes=120)).settled) == (
        None,
        False,
        True,
    )
    nameless = change("PutKeyPolicy", AWS_KEY.text, 0.3, by=None)
    assert "nobody named by PutKeyPolicy" in (told(one, aws(), by_three[0], nameless).unattributed or "")


def test_an_entry_without_a_name_is_told_with_its_time() -> None:
    found = of_off(change("DisableKey", AWS_KEY.text, by=None))
    assert (
        found.unattributed == "its audit log names nobody for DisableKey of 2026-11-24 11:59 UTC (entry DisableKey-0.5)"
    )
    assert sought(found).settled


def test_what_was_asked_far_back_is_told_from_there() -> None:
    what = wanted(OFF, aws("Disabled"))
    assert what is not None
    asked = Inquiry(AWS_KEY, frozenset({"DisableKey"}), NOW - days(3), NOW, NOW)
    at = Moment(NOW + 120 * MINUTE, "log", LAG[Cloud.AWS])
    found = with_reply(OFF, what, asked, Reply(asked), at)
    assert f"{NOBODY} from 2026-11-21 12:00 UTC on" in (found.unattributed or "")
    assert (sought(found).settled, sought(found).vain) == (True, True)
