"""What is asked of a log for each finding: which calls, about what, since when, and how often."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from auditor.attribution.explaining import Wanted
from auditor.attribution.logged import Inquiry, Reply
from auditor.attribution.who import (
    LAG,
    Unreadable,
    attributable,
    begun,
    called,
    covers,
    inquiry,
    is_due,
    last_otherwise,
    seen_so,
    together,
    unreadable,
    wanted,
)
from auditor.findings import Actor, Finding, Sought, Status, Subject, SubjectKind
from auditor.model import Cloud, CustomKeyStore, Encryption, Grant, KeyMemory, KeyName, KeyUnread, Reason, told_use
from auditor.readability import KeyView
from tests.attribution.test_attribution_table import (
    ALL_BARRED,
    BARRED,
    CONNECTION,
    EKM,
    KEY,
    ONE,
    OVERLAP,
    ROLE_BARRED,
    STORE,
    TEN,
    VERSION,
    a_finding,
    aws,
    google,
)
from tests.core_builders import AGENT, AWS_KEY, GCP_KEY, NOW, a_gcp_key, a_version, access, an_aws_key, days

MINUTE, SECOND = timedelta(minutes=1), timedelta(seconds=1)
GOOGLE = Subject(SubjectKind.KEY, GCP_KEY.text)
PROJECT, RING = f"projects/{GCP_KEY.owner}", GCP_KEY.ring
ELEVEN = f"{GCP_KEY}/cryptoKeyVersions/11"
Views = Mapping[KeyName, KeyView]


def asks(rule: str, subject: Subject, views: Views = {}, **more: Any) -> Wanted:  # noqa: B006 - nobody changes it
    what = wanted(a_finding(rule, subject, **more), views)
    assert what is not None
    return what


def named(what: Wanted) -> dict[str, set[str]]:
    """Call -> the states that it must have asked for."""
    return {call: set(states) for call, states in what.calls.items()}


def anyhow(*calls: str) -> dict[str, set[str]]:
    return {one: set() for one in calls}


AWS_POLICY = anyhow("PutKeyPolicy", "RevokeGrant", "RetireGrant")
AWS_GIVEN = anyhow("PutKeyPolicy", "CreateKey")
AWS_STORE = anyhow("DisconnectCustomKeyStore", "UpdateCustomKeyStore")
MATERIAL = {**anyhow("DeleteImportedKeyMaterial"), "ImportKeyMaterial": {"EXPIRES"}}
DISABLE = {**anyhow("RestoreCryptoKeyVersion"), "UpdateCryptoKeyVersion": {"DISABLED"}}
DESTROY = anyhow("DestroyCryptoKeyVersion")
IAM = anyhow("SetIamPolicy")
BY_STATE: dict[str, tuple[Subject, Views, dict[str, set[str]]]] = {
    "Disabled": (KEY, aws("Disabled"), anyhow("DisableKey", "CancelKeyDeletion")),
    "PendingImport": (KEY, aws("PendingImport"), MATERIAL),
    "PendingDeletion": (KEY, aws("PendingDeletion"), anyhow("ScheduleKeyDeletion")),
    "PendingReplicaDeletion": (KEY, aws("PendingReplicaDeletion"), anyhow("ScheduleKeyDeletion")),
    "Unavailable": (KEY, aws("Unavailable"), AWS_STORE),
    "Enabled": (KEY, aws(), {}),
    "never read, on AWS": (KEY, {}, {}),
    "DISABLED": (VERSION, google("DISABLED"), DISABLE),
    "DESTROY_SCHEDULED": (VERSION, google("DESTROY_SCHEDULED"), DESTROY),
    "DESTROYED": (VERSION, google("DESTROYED"), DESTROY),
    "IMPORT_FAILED": (VERSION, google("IMPORT_FAILED"), anyhow("ImportCryptoKeyVersion")),
    "ENABLED": (VERSION, google("ENABLED"), {}),
    "another version's": (VERSION, google("ENABLED", "DISABLED"), {}),
    "all of them": (GOOGLE, google("IMPORT_FAILED", "DISABLED"), {**DISABLE, **anyhow("ImportCryptoKeyVersion")}),
    "never read, on Google Cloud": (VERSION, {}, {}),
}


@pytest.mark.parametrize(("subject", "views", "calls"), BY_STATE.values(), ids=BY_STATE)
def test_data_that_cannot_be_read_was_made_so_by_the_calls_of_the_keys_state(
    subject: Subject, views: Views, calls: dict[str, set[str]]
) -> None:
    assert named(asks("data-unreadable", subject, views)) == calls


BY_RULE: dict[str, tuple[str, Subject, dict[str, set[str]]]] = {
    "lost, AWS": ("data-lost", KEY, anyhow("ScheduleKeyDeletion")),
    "lost, Google": ("data-lost", VERSION, DESTROY),
    "doomed, AWS": ("data-doomed", KEY, anyhow("ScheduleKeyDeletion")),
    "doomed, Google": ("data-doomed", VERSION, DESTROY),
    "unreachable, AWS": ("data-unreachable", STORE, AWS_STORE),
    "unreachable, Google": ("data-unreachable", EKM, anyhow("UpdateEkmConnection")),
    "expiring, AWS": ("data-expiring", KEY, {"ImportKeyMaterial": {"EXPIRES"}}),
    "expiring, Google": ("data-expiring", VERSION, {}),
    "revoked, AWS": ("data-revoked", ROLE_BARRED, AWS_POLICY),
    "revoked, Google": ("data-revoked", BARRED, IAM),
    "revoked by justifications": ("data-revoked", ALL_BARRED, anyhow("UpdateCryptoKey")),
    "withdrawn, AWS": ("key-access-withdrawn", KEY, AWS_POLICY),
    "withdrawn, Google": ("key-access-withdrawn", GOOGLE, IAM),
    "missing, AWS": ("grant-missing", ROLE_BARRED, {**AWS_POLICY, **anyhow("CreateKey")}),
    "missing, Google": ("grant-missing", BARRED, IAM),
    "missing for all": ("grant-missing", ALL_BARRED, IAM),
    "public, AWS": ("key-public", KEY, AWS_GIVEN),
    "public, Google": ("key-public", GOOGLE, IAM),
    "no administrator, AWS": ("no-key-administrator", KEY, AWS_GIVEN),
    "no administrator, Google": ("no-key-administrator", GOOGLE, IAM),
    "primary, AWS": ("primary-unusable", KEY, {}),
    "primary, Google": ("primary-unusable", GOOGLE, anyhow("UpdateCryptoKeyPrimaryVersion")),
    "an instance, which no call takes away": ("data-unreachable", Subject(SubjectKind.HSM_INSTANCE, "i"), {}),
}


@pytest.mark.parametrize(("rule", "subject", "calls"), BY_RULE.values(), ids=BY_RULE)
def test_each_rule_is_about_what_certain_calls_do(rule: str, subject: Subject, calls: dict[str, set[str]]) -> None:
    assert attributable(a_finding(rule, subject))
    assert named(asks(rule, subject)) == calls


def test_a_primary_that_cannot_be_used_is_looked_for_by_its_own_state() -> None:
    what = asks("primary-unusable", GOOGLE, google("DESTROYED", "DISABLED", "DESTROYED"))
    assert named(what) == {**anyhow("UpdateCryptoKeyPrimaryVersion"), **DISABLE}
    assert (what.about, what.state, what.old) == (frozenset({GCP_KEY.text, TEN}), "10 DISABLED", False)
    assert asks("primary-unusable", KEY, aws("Disabled")).state == "Disabled"


def test_a_call_counts_that_is_about_the_key_the_version_or_what_stands_above_it() -> None:
    every = frozenset({GCP_KEY.text, ONE, TEN})
    two = google("DISABLED", "DISABLED")
    assert asks("data-unreadable", VERSION, two).about == frozenset({GCP_KEY.text, ONE})
    assert asks("data-unreadable", GOOGLE, two).about == every
    assert asks("key-public", GOOGLE, two).about == every | {RING, PROJECT}
    assert asks("data-revoked", BARRED).about == frozenset({GCP_KEY.text, RING, PROJECT})
    assert asks("data-revoked", ALL_BARRED).about == frozenset({GCP_KEY.text})
    assert asks("data-unreadable", KEY, aws("Disabled")).about == frozenset({AWS_KEY.text})


def store(state: str) -> Views:
    return aws(store=CustomKeyStore("cks-1", state))


def test_what_stands_behind_a_key_is_asked_for_by_its_own_name() -> None:
    connection = asks("data-unreachable", EKM)
    assert (connection.about, connection.behind) == (frozenset({CONNECTION}), frozenset({CONNECTION}))
    on_store = asks("data-unreachable", STORE, store("CONNECTED"))
    assert (on_store.about, on_store.behind, named(on_store)) == (frozenset({"cks-1"}), frozenset({"cks-1"}), AWS_STORE)
    for state in ("DISCONNECTED", "DISCONNECTING"):
        assert named(asks("data-unreachable", STORE, store(state))) == anyhow("DisconnectCustomKeyStore")
    unread = asks("data-unreachable", STORE)
    assert (unread.about, unread.behind) == (frozenset({AWS_KEY.text}), frozenset())
    disabled = {AWS_KEY: KeyView(AWS_KEY, an_aws_key("Disabled", store=CustomKeyStore("cks-1", "CONNECTED")), None)}
    assert asks("data-unreadable", KEY, disabled).behind == frozenset()


def test_whose_right_it_is_and_that_everybody_has_one_only_google_tells() -> None:
    assert asks("data-revoked", BARRED).deprived == AGENT
    assert asks("data-revoked", ROLE_BARRED).deprived is None
    assert asks("key-access-withdrawn", GOOGLE).deprived is None
    assert [asks(rule, GOOGLE).opened for rule in ("key-public", "no-key-administrator")] == [True, False]
    assert not asks("key-public", KEY).opened


def test_a_state_is_looked_for_only_where_the_rule_alone_does_not_tell_it() -> None:
    assert asks("data-unreadable", VERSION, google("DISABLED")).state == "1 DISABLED"
    assert asks("data-doomed", VERSION, google("DESTROY_SCHEDULED")).state == ""
    assert asks("data-unreadable", GOOGLE, google("DISABLED")).state == ""
    assert asks("data-unreadable", KEY, aws("Disabled")).state == "Disabled"
    assert asks("data-doomed", KEY, aws("PendingDeletion")).state == ""
    assert asks("data-unreadable", KEY).state == asks("data-unreadable", VERSION).state == ""


OLD: dict[str, tuple[str, Subject, Views, bool]] = {
    "lost, AWS": ("data-lost", KEY, {}, True),
    "lost, Google": ("data-lost", VERSION, {}, True),
    "expiring": ("data-expiring", KEY, aws(), True),
    "expired": ("data-unreadable", KEY, aws("PendingImport"), True),
    "a replica that waits": ("data-unreadable", KEY, aws("PendingReplicaDeletion"), True),
    "disabled": ("data-unreadable", KEY, aws("Disabled"), False),
    "doomed": ("data-doomed", KEY, aws("PendingDeletion"), False),
    "destroyed": ("data-unreadable", VERSION, google("DESTROYED"), True),
    "destroyed, of a rule that is no state": ("data-doomed", VERSION, google("DESTROYED"), False),
    "disabled, Google": ("data-unreadable", VERSION, google("DISABLED"), False),
}


@pytest.mark.parametrize(("rule", "subject", "views", "is_old"), OLD.values(), ids=OLD)
def test_what_comes_by_itself_may_have_been_called_long_before(
    rule: str, subject: Subject, views: Views, *, is_old: bool
) -> None:
    what = asks(rule, subject, views)
    assert what.old is is_old
    since = inquiry(a_finding(rule, subject), what, NOW, OVERLAP).since
    assert since == (None if is_old else NOW - MINUTE - OVERLAP)


def test_a_finding_about_no_key_is_asked_by_the_first_key_of_its_data_or_not_at_all() -> None:
    later = ("b", Encryption.CMEK, f"{GCP_KEY}-2", "1")
    first, none = (("b", Encryption.CMEK, GCP_KEY.text, "1"), ("b", Encryption.PROVIDER, None, None))
    assert asks("data-unreachable", EKM, members=(later, none, first)).key == GCP_KEY
    assert wanted(a_finding("data-unreachable", EKM, members=(none,)), {}) is None
    assert wanted(a_finding("data-unreadable", Subject(SubjectKind.KEY, "key-1")), {}) is None


def test_a_finding_about_a_key_is_asked_by_that_one_whatever_its_data_is_under() -> None:
    key = f"{GCP_KEY}-2"
    about: list[tuple[SubjectKind, str]] = [
        (SubjectKind.KEY, key),
        (SubjectKind.KEY_VERSION, f"{key}/cryptoKeyVersions/1"),
        (SubjectKind.PRINCIPAL, f"{AGENT} -> {key}"),
    ]
    for kind, name in about:
        assert asks("data-revoked", Subject(kind, name)).key.text == key
        assert asks("data-revoked", Subject(kind, name), members=()).key.text == key


def test_a_key_is_called_as_its_log_calls_it_and_nothing_else_is_changed() -> None:
    number = KeyName(GCP_KEY.text.replace("acme-keys", "123456"))
    what = asks("key-public", Subject(SubjectKind.KEY, number.text))
    elsewhere = "projects/1234567/locations/x"
    found = called(replace(what, about=what.about | {elsewhere}), GCP_KEY)
    assert (found.key, found.about) == (GCP_KEY, frozenset({GCP_KEY.text, RING, PROJECT, elsewhere}))
    assert (found.calls, found.opened) == (what.calls, True)


def test_only_what_is_open_and_done_by_a_call_is_looked_for() -> None:
    assert not attributable(a_finding("stale-version", VERSION))
    assert [attributable(a_finding("data-lost", VERSION, status=one)) for one in Status] == [
        one is not Status.RESOLVED for one in Status
    ]


SEEN = a_finding("data-unreadable", KEY)
TWO_HOURS = LAG[Cloud.AWS]


def search(first: float | None, last: float | None, **more: Any) -> Finding:
    """A finding of now, whose log was asked first and last so many minutes later."""
    begun, ended = (NOW + each * MINUTE if each is not None else None for each in (first, last))
    return replace(SEEN, sought=Sought(None, begun, ended), **more)


def due(one: Finding, minutes: float) -> bool:
    return is_due(one, NOW + minutes * MINUTE, TWO_HOURS)


def test_a_log_is_asked_until_it_is_settled() -> None:
    assert not due(replace(SEEN, sought=None), 0)
    assert not due(replace(SEEN, sought=Sought(None, settled=True)), 0)
    assert due(search(None, None), 0)
    assert due(search(0, None), 0)
    assert due(search(0, 10), 9), "a clock that was set back"


def test_it_is_asked_with_each_poll_at_first_then_after_as_long_as_it_was_asked_and_at_last_each_hour() -> None:
    assert due(search(0, 0), 0)
    assert due(search(0, 4.9), 4.9)
    assert [due(search(0, 5), each) for each in (5, 9.9, 10)] == [False, False, True]
    assert [due(search(0, 50), each) for each in (99.9, 100)] == [False, True]
    assert [due(search(0, 300), each) for each in (359.9, 360)] == [False, True]


def test_it_is_asked_once_when_its_lag_is_over() -> None:
    assert [due(search(0, 119), each) for each in (119.9, 120)] == [False, True]
    assert not due(search(0, 120), 120), "it was just asked"
    later = replace(SEEN, sought=Sought(None, NOW, NOW + 119 * MINUTE, seen=NOW + 10 * MINUTE))
    assert [due(later, each) for each in (120, 129.9, 130)] == [False, False, True]


ALICE = Actor("alice", "DisableKey", NOW, None, None, "e-1")


def test_who_was_found_is_looked_at_again_after_a_quarter_and_when_the_lag_is_over() -> None:
    assert [due(search(0, 0, actor=ALICE), each) for each in (0, 14.9, 15)] == [False, False, True]
    assert [due(search(0, 15, actor=ALICE), each) for each in (15, 60, 119.9, 120)] == [False, False, False, True]
    assert [due(search(0, 130, actor=ALICE), each) for each in (189.9, 190)] == [False, True]
    assert not due(search(0, 16, actor=ALICE), 100), "no matter how long that is ago"


def test_a_log_is_asked_from_before_the_last_other_reading_until_the_finding_was_seen() -> None:
    what = asks("data-unreadable", KEY, aws("Disabled"))
    asked = inquiry(SEEN, what, NOW + 5 * MINUTE, OVERLAP)
    assert (asked.key, asked.since, asked.until, asked.at) == (
        *(AWS_KEY, NOW - MINUTE - OVERLAP, NOW + MINUTE, NOW + 5 * MINUTE),
    )
    assert inquiry(SEEN, what, NOW - 5 * MINUTE, OVERLAP).until == NOW - 4 * MINUTE
    assert inquiry(replace(SEEN, sought=None), what, NOW, OVERLAP).since is None
    assert inquiry(replace(SEEN, sought=Sought(None)), what, NOW, OVERLAP).since is None
    assert asked.calls == {"DisableKey", "CancelKeyDeletion", "EnableKey", "ScheduleKeyDeletion"}
    assert inquiry(SEEN, asks("data-unreachable", STORE, store("CONNECTED")), NOW, OVERLAP).behind == {"cks-1"}


def test_a_search_for_another_state_is_of_when_that_was_seen() -> None:
    assert seen_so(replace(SEEN, sought=None)) == seen_so(SEEN) == NOW
    assert seen_so(replace(SEEN, sought=Sought(None, seen=NOW + MINUTE))) == NOW + MINUTE


ASKED = Inquiry(AWS_KEY, frozenset({"A"}), NOW - MINUTE, NOW, NOW, frozenset({"x"}))


def test_one_inquiry_for_each_key_is_wide_enough_for_all() -> None:
    wide = replace(ASKED, calls=frozenset({"B"}), since=NOW - days(1), until=NOW + MINUTE, behind=frozenset({"y"}))
    other = replace(ASKED, key=GCP_KEY)
    for some in ((ASKED, other, wide), (wide, other, ASKED)):
        both, alone = together(some)
        assert both == Inquiry(
            *(AWS_KEY, frozenset({"A", "B"}), NOW - days(1), NOW + MINUTE, NOW, frozenset({"x", "y"}))
        )
        assert alone == other
        assert [one.since for one in together((replace(some[0], since=None), some[2]))] == [None]
        assert [one.since for one in together((some[0], replace(some[2], since=None)))] == [None]
    assert together(()) == ()


def test_a_reply_is_to_all_that_is_asked_or_to_nothing() -> None:
    def is_covered(was: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
        return covers(Reply(replace(ASKED, **was)), replace(ASKED, **now))

    assert is_covered({}, {})
    assert is_covered({"since": None}, {"since": None})
    assert is_covered({"since": NOW - days(1)}, {})
    assert not is_covered({"since": NOW}, {})
    assert not is_covered({}, {"since": None})
    assert not is_covered({"calls": frozenset()}, {})
    assert not is_covered({"behind": frozenset()}, {})
    assert not is_covered({}, {"until": NOW + SECOND})
    assert is_covered({"until": NOW + SECOND}, {})


def viewed(before: Any, reading: Any, **memory: Any) -> Views:
    told = told_use(before) if before is not None else {}
    at = NOW - MINUTE if before is not None else None
    name = (before or reading).name
    return {name: KeyView(name, reading, KeyMemory(before, at, told=told, **memory))}


UNREAD = KeyUnread(AWS_KEY, Reason.ACCESS_DENIED, "no", "x")


def otherwise(one: Finding, views: Views) -> bool:
    what = wanted(one, views)
    assert what is not None
    last = last_otherwise(one, what, views)
    assert last in {None, NOW - MINUTE}
    return last is not None


def test_when_it_was_last_otherwise_only_a_reading_before_tells() -> None:
    on, off = an_aws_key(), an_aws_key("Disabled")
    assert otherwise(SEEN, viewed(on, off))
    assert otherwise(SEEN, viewed(on, UNREAD))
    assert not otherwise(SEEN, viewed(off, off))
    assert not otherwise(SEEN, viewed(on, None)), "it was not asked now"
    assert not otherwise(SEEN, viewed(None, off)), "it was never read before"
    assert not otherwise(SEEN, {})
    assert not otherwise(SEEN, {AWS_KEY: KeyView(AWS_KEY, off, None)})
    assert not otherwise(SEEN, viewed(on, UNREAD, denied_since=NOW - days(1)))
    assert not otherwise(SEEN, viewed(on, UNREAD, missing_since=NOW - days(1)))
    creating = an_aws_key("Creating")
    assert otherwise(SEEN, viewed(on, creating)), "one that is being made tells nothing of before"


def test_a_right_that_changed_tells_of_rights_and_a_state_that_changed_of_states() -> None:
    agent = {"principal": AGENT}
    had, lacks = (a_gcp_key(access=access(GCP_KEY, one, **agent)) for one in (Grant.DIRECT, Grant.ABSENT))
    off = a_gcp_key(a_version("1", "DISABLED"), access=had.access)
    barred, public = a_finding("data-revoked", BARRED), a_finding("key-public", GOOGLE)
    unreadable_version = a_finding("data-unreadable", VERSION)
    assert [otherwise(one, viewed(had, lacks)) for one in (barred, unreadable_version)] == [True, False]
    assert [otherwise(one, viewed(had, off)) for one in (barred, public, unreadable_version)] == [False, False, True]
    another = a_finding("data-revoked", Subject(SubjectKind.PRINCIPAL, f"other -> {GCP_KEY}"))
    assert not otherwise(another, viewed(had, lacks)), "of another principal"
    reasons = replace(off, access_reasons=())
    assert [otherwise(one, viewed(off, reasons)) for one in (barred, public, unreadable_version)] == [True, True, False]
    two = [a_gcp_key(a_version("1", "DISABLED"), a_version("10", state)) for state in ("ENABLED", "DISABLED")]
    ten = a_finding("data-unreadable", Subject(SubjectKind.KEY_VERSION, TEN))
    assert [otherwise(one, viewed(*two)) for one in (unreadable_version, ten)] == [False, True]


def test_a_search_begins_once_and_anew_where_another_state_is_looked_for() -> None:
    views = viewed(an_aws_key(), an_aws_key("Disabled"))
    what = wanted(SEEN, views)
    first = begun(replace(SEEN, sought=None), what, views, NOW)
    assert first.sought == Sought(NOW - MINUTE, state="Disabled")
    found = replace(first, actor=ALICE, unattributed="x")
    assert begun(found, what, views, NOW + MINUTE) == found
    older = replace(found, sought=Sought(None))
    assert begun(older, what, views, NOW).sought == Sought(None, state="Disabled"), "one that an older version began"
    now = viewed(an_aws_key("Disabled"), an_aws_key("PendingImport"))
    anew = begun(found, wanted(SEEN, now), now, NOW + MINUTE)
    assert (anew.actor, anew.unattributed) == (None, None)
    assert anew.sought == Sought(NOW - MINUTE, state="PendingImport", seen=NOW + MINUTE)
    assert begun(found, None, {}, NOW) == found
    assert begun(replace(SEEN, sought=None), None, {}, NOW).sought == Sought(None)
    lost = a_finding("data-lost", KEY, sought=None)
    assert begun(lost, wanted(lost, views), views, NOW).sought == Sought(NOW - MINUTE)


def test_logs_that_told_nothing_are_told_once_each_with_their_findings_in_order() -> None:
    def silent(log: str | None, reason: Reason | None, **more: Any) -> Finding:
        return replace(SEEN, sought=Sought(None, unread=reason, log=log), **more)

    denied, throttled = Reason.ACCESS_DENIED, Reason.THROTTLED
    first, second, third = silent("b", throttled), silent("a", throttled), silent("b", denied)
    nothing = (
        silent("a", None),
        silent(None, denied),
        silent("a", denied, actor=ALICE),
        silent("a", denied, status=Status.RESOLVED),
        replace(SEEN, sought=None),
    )
    assert [*unreadable((first, *nothing, second, third, first))] == [
        Unreadable("a", throttled, (second,)),
        Unreadable("b", denied, (third,)),
        Unreadable("b", throttled, (first, first)),
    ]


def test_how_late_entries_may_come_is_known_of_each_cloud() -> None:
    assert {Cloud.AWS: timedelta(hours=2), Cloud.GCP: timedelta(minutes=10)} == LAG
