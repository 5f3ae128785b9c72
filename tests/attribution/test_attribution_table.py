"""Which call explains what: by the rule, the state of the key, and what the call was about."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from auditor.attribution.logged import Change, Inquiry, Reply
from auditor.attribution.replied import Moment, with_reply
from auditor.attribution.who import (
    LAG,
    attributable,
    begun,
    covers,
    inquiry,
    is_due,
    last_otherwise,
    wanted,
)
from auditor.findings import Confidence, Finding, Severity, Sought, Status, Subject, SubjectKind
from auditor.ledger import codec
from auditor.ledger.link import canonical
from auditor.model import (
    AwsKey,
    Cloud,
    CustomKeyStore,
    Encryption,
    Extent,
    GcpKey,
    KeyMemory,
    KeyName,
    KeyUnread,
    Reason,
    told_use,
)
from auditor.outputs import words
from auditor.readability import KeyView
from auditor.readability.access import ANY_PRINCIPAL
from tests.core_builders import AGENT, AWS_KEY, GCP_KEY, NOW, ROLE, a_gcp_key, a_version, an_aws_key, days

ONE, TEN = (f"{GCP_KEY}/cryptoKeyVersions/{number}" for number in ("1", "10"))
CONNECTION = "projects/acme-keys/locations/us-east1/ekmConnections/hsm"
OVERLAP = timedelta(minutes=10)


def a_finding(rule: str, subject: Subject, **more: Any) -> Finding:
    key = AWS_KEY if "arn:" in subject.id or subject.kind is SubjectKind.KEY_STORE else GCP_KEY
    facts: dict[str, Any] = {
        "id": "a1" * 8,
        "severity": Severity.CRITICAL,
        "status": Status.OPEN,
        "readability": None,
        "cause": "it is so",
        "confidence": Confidence.PROVEN,
        "extent": Extent(1, 1, 1),
        "members": (("b", Encryption.CMEK, key.text, "1" if key is GCP_KEY else None),),
        "final_at": None,
        "since": NOW,
        "since_source": "between_polls",
        "evidence": (),
        "undo": (),
        "first_seen": NOW,
        "last_seen": NOW,
        "sought": Sought(NOW - timedelta(minutes=1)),
        **more,
    }
    return Finding(rule=rule, subject=subject, **facts)


def aws(state: str = "Enabled", **more: Any) -> Mapping[KeyName, KeyView]:
    return {AWS_KEY: KeyView(AWS_KEY, an_aws_key(state, **more), None)}


def google(*states: str) -> Mapping[KeyName, KeyView]:
    versions = [a_version(number, state) for number, state in zip(("1", "10", "11"), states, strict=False)]
    return {GCP_KEY: KeyView(GCP_KEY, a_gcp_key(*versions, primary="10"), None)}


def change(call: str, about: str, minutes: float = 0.5, **more: Any) -> Change:
    return Change(call, about, NOW - timedelta(minutes=minutes), f"{call}-{minutes}", more.pop("by", "alice"), **more)


VERSION = Subject(SubjectKind.KEY_VERSION, ONE)
KEY = Subject(SubjectKind.KEY, AWS_KEY.text)
STORE = Subject(SubjectKind.KEY_STORE, f"{AWS_KEY.owner}/{AWS_KEY.location}/cks-1")
BARRED = Subject(SubjectKind.PRINCIPAL, f"{AGENT} -> {GCP_KEY}")
ALL_BARRED = Subject(SubjectKind.PRINCIPAL, f"{ANY_PRINCIPAL} -> {GCP_KEY}")
ROLE_BARRED = Subject(SubjectKind.PRINCIPAL, f"{ROLE} -> {AWS_KEY}")
EKM = Subject(SubjectKind.EKM_CONNECTION, CONNECTION)
ON_STORE: dict[str, Any] = {"store": CustomKeyStore("cks-1", "DISCONNECTED")}
REMOVED = frozenset({f"serviceAccount:{AGENT}"})

EXPLAINS: dict[str, tuple[str, Subject, Mapping[KeyName, KeyView], Change]] = {
    "disabled": ("data-unreadable", KEY, aws("Disabled"), change("DisableKey", AWS_KEY.text)),
    "a deletion was cancelled": ("data-unreadable", KEY, aws("Disabled"), change("CancelKeyDeletion", AWS_KEY.text)),
    "material deleted": (
        "data-unreadable",
        KEY,
        aws("PendingImport"),
        change("DeleteImportedKeyMaterial", AWS_KEY.text),
    ),
    "material expired": (
        "data-unreadable",
        KEY,
        aws("PendingImport"),
        change("ImportKeyMaterial", AWS_KEY.text, 60 * 24 * 50, lands_in="EXPIRES"),
    ),
    "material expires": (
        "data-expiring",
        KEY,
        aws(),
        change("ImportKeyMaterial", AWS_KEY.text, 60 * 24 * 50, lands_in="EXPIRES"),
    ),
    "deletion scheduled": ("data-doomed", KEY, aws("PendingDeletion"), change("ScheduleKeyDeletion", AWS_KEY.text)),
    "deleted on its day": ("data-lost", KEY, {}, change("ScheduleKeyDeletion", AWS_KEY.text, 60 * 24 * 30)),
    "store disconnected": ("data-unreachable", STORE, aws(**ON_STORE), change("DisconnectCustomKeyStore", "cks-1")),
    "policy": ("data-revoked", ROLE_BARRED, aws(), change("PutKeyPolicy", AWS_KEY.text)),
    "grant": ("data-revoked", ROLE_BARRED, aws(), change("RevokeGrant", AWS_KEY.text)),
    "the auditor shut out": ("key-access-withdrawn", KEY, aws(), change("PutKeyPolicy", AWS_KEY.text)),
    "made public": ("key-public", KEY, aws(), change("CreateKey", AWS_KEY.text)),
    "primary disabled, AWS": ("primary-unusable", KEY, aws("Disabled"), change("DisableKey", AWS_KEY.text)),
    "version disabled": (
        "data-unreadable",
        VERSION,
        google("DISABLED"),
        change("UpdateCryptoKeyVersion", ONE, lands_in="DISABLED"),
    ),
    "version restored": ("data-unreadable", VERSION, google("DISABLED"), change("RestoreCryptoKeyVersion", ONE)),
    "version scheduled": (
        "data-doomed",
        VERSION,
        google("DESTROY_SCHEDULED"),
        change("DestroyCryptoKeyVersion", ONE),
    ),
    "version destroyed": (
        "data-lost",
        VERSION,
        google("DESTROYED"),
        change("DestroyCryptoKeyVersion", ONE, 60 * 24 * 30),
    ),
    "binding removed": ("data-revoked", BARRED, google(), change("SetIamPolicy", GCP_KEY.ring, deprived=REMOVED)),
    "binding of a group removed": (
        "data-revoked",
        BARRED,
        google(),
        change("SetIamPolicy", "projects/acme-keys", deprived=frozenset({"group:all@acme.example"})),
    ),
    "justifications": ("data-revoked", ALL_BARRED, google(), change("UpdateCryptoKey", GCP_KEY.text)),
    "connection changed": ("data-unreachable", EKM, google(), change("UpdateEkmConnection", CONNECTION)),
    "primary disabled, Google": (
        "primary-unusable",
        Subject(SubjectKind.KEY, GCP_KEY.text),
        google("ENABLED", "DISABLED"),
        change("UpdateCryptoKeyVersion", TEN, lands_in="DISABLED"),
    ),
}

NOT: dict[str, tuple[str, Subject, Mapping[KeyName, KeyView], Change | tuple[Change, ...]]] = {
    "a version whose number begins so": (
        "data-unreadable",
        VERSION,
        google("DISABLED"),
        change("UpdateCryptoKeyVersion", TEN, lands_in="DISABLED"),
    ),
    "it was enabled": (
        "data-unreadable",
        VERSION,
        google("DISABLED"),
        change("UpdateCryptoKeyVersion", ONE, lands_in="ENABLED"),
    ),
    "nobody knows to what": (
        "data-unreadable",
        VERSION,
        google("DISABLED"),
        change("UpdateCryptoKeyVersion", ONE),
    ),
    "material that does not expire": (
        "data-expiring",
        KEY,
        aws(),
        change("ImportKeyMaterial", AWS_KEY.text),
    ),
    "another state than the key has": (
        "data-unreadable",
        KEY,
        aws("PendingImport"),
        change("DisableKey", AWS_KEY.text),
    ),
    "another store": ("data-unreachable", STORE, aws(**ON_STORE), change("DisconnectCustomKeyStore", "cks-2")),
    "somebody else's binding": (
        "data-revoked",
        BARRED,
        google(),
        change("SetIamPolicy", GCP_KEY.text, deprived=frozenset({"serviceAccount:other@acme.example"})),
    ),
    "a binding was added": (
        "data-revoked",
        BARRED,
        google(),
        change("SetIamPolicy", GCP_KEY.text, deprived=frozenset()),
    ),
    "long before the last reading": (
        "data-unreadable",
        KEY,
        aws("Disabled"),
        change("DisableKey", AWS_KEY.text, minutes=12),
    ),
    "its deletion was scheduled since, so that it was disabled anew": (
        "data-unreadable",
        KEY,
        aws("Disabled"),
        (change("DisableKey", AWS_KEY.text), change("ScheduleKeyDeletion", AWS_KEY.text, 0.4, by="bob")),
    ),
    "it was destroyed since, and restored": (
        "data-unreadable",
        VERSION,
        google("DISABLED"),
        (change("UpdateCryptoKeyVersion", ONE, lands_in="DISABLED"), change("DestroyCryptoKeyVersion", ONE, 0.4)),
    ),
    "material was imported since": (
        "data-lost",
        VERSION,
        google("DESTROYED"),
        (change("DestroyCryptoKeyVersion", ONE), change("ImportCryptoKeyVersion", ONE, 0.4)),
    ),
    "a version that was destroyed long before is deleted": (
        "data-lost",
        VERSION,
        google("DESTROYED"),
        change("DeleteCryptoKeyVersion", ONE),
    ),
    "a store that is off is changed": (
        "data-unreachable",
        STORE,
        aws(**ON_STORE),
        change("UpdateCustomKeyStore", "cks-1"),
    ),
    "somebody was let in, and it is open to everybody": (
        "key-public",
        Subject(SubjectKind.KEY, GCP_KEY.text),
        google("ENABLED"),
        change("SetIamPolicy", GCP_KEY.text, given=frozenset({"user:bob@acme.example"})),
    ),
    "after the finding": ("data-unreadable", KEY, aws("Disabled"), change("DisableKey", AWS_KEY.text, minutes=-2)),
}


def told(one: Finding, views: Mapping[KeyName, KeyView], *changes: Change, minutes: float = 0, **more: Any) -> Finding:
    what = wanted(one, views)
    assert what is not None
    now = NOW + timedelta(minutes=minutes)
    asked = inquiry(one, what, now, OVERLAP)
    return with_reply(one, what, asked, Reply(asked, changes, **more), Moment(now, "log", LAG[what.key.cloud]))


@pytest.mark.parametrize(("rule", "subject", "views", "done"), EXPLAINS.values(), ids=EXPLAINS)
def test_this_call_explains_it_and_is_asked_for(
    rule: str, subject: Subject, views: Mapping[KeyName, KeyView], done: Change
) -> None:
    one = a_finding(rule, subject)
    what = wanted(one, views)
    assert what is not None
    assert done.call in inquiry(one, what, NOW, OVERLAP).calls
    found = told(one, views, done)
    assert found.actor is not None
    assert (found.actor.principal, found.actor.call, found.unattributed) == ("alice", done.call, None)


@pytest.mark.parametrize(("rule", "subject", "views", "done"), NOT.values(), ids=NOT)
def test_this_call_does_not(
    rule: str, subject: Subject, views: Mapping[KeyName, KeyView], done: Change | tuple[Change, ...]
) -> None:
    changes = done if isinstance(done, tuple) else (done,)
    assert told(a_finding(rule, subject), views, *changes).actor is None


PUT, UNLIKE = change("PutKeyPolicy", AWS_KEY.text, 0.7), change("RetireGrant", AWS_KEY.text, 0.2, by="bob")
ONE_OF: dict[str, tuple[str, Subject, Mapping[KeyName, KeyView], tuple[Change, ...], str | None]] = {
    "what is disabled is disabled again": (
        "data-unreadable",
        KEY,
        aws("Disabled"),
        (change("DisableKey", AWS_KEY.text, 0.7), change("DisableKey", AWS_KEY.text, 0.2, by="bob")),
        "alice",
    ),
    "a version that was restored is disabled": (
        "data-unreadable",
        VERSION,
        google("DISABLED"),
        (
            change("DestroyCryptoKeyVersion", ONE, 0.8, by="carol"),
            change("RestoreCryptoKeyVersion", ONE, 0.7),
            change("UpdateCryptoKeyVersion", ONE, 0.2, by="bob", lands_in="DISABLED"),
        ),
        "alice",
    ),
    "two in one second": (
        "data-unreadable",
        KEY,
        aws("Disabled"),
        (change("DisableKey", AWS_KEY.text), replace(change("DisableKey", AWS_KEY.text, by="bob"), event_id="b")),
        None,
    ),
    "one in the second of what undoes it, and another": (
        "data-unreadable",
        KEY,
        aws("Disabled"),
        (
            change("DisableKey", AWS_KEY.text),
            change("EnableKey", AWS_KEY.text, by="carol"),
            change("DisableKey", AWS_KEY.text, 0.2, by="bob"),
        ),
        None,
    ),
    "the same, before it was read to be on": (
        "data-unreadable",
        KEY,
        aws("Disabled"),
        (
            change("DisableKey", AWS_KEY.text, 5),
            change("EnableKey", AWS_KEY.text, 5, by="carol"),
            change("DisableKey", AWS_KEY.text, 0.2, by="bob"),
        ),
        "bob",
    ),
    "several change a policy": ("data-revoked", ROLE_BARRED, aws(), (PUT, UNLIKE), None),
    "one changes it twice": ("data-revoked", ROLE_BARRED, aws(), (PUT, replace(UNLIKE, principal="alice")), "alice"),
    "a key is made, and its policy replaced": (
        "key-public",
        KEY,
        aws(),
        (change("CreateKey", AWS_KEY.text, 0.7, by="bob"), change("PutKeyPolicy", AWS_KEY.text, 0.2)),
        "alice",
    ),
    "one of several takes it from the one who lacks it": (
        "data-revoked",
        BARRED,
        google(),
        (
            change("SetIamPolicy", GCP_KEY.ring, 0.7, deprived=REMOVED),
            change("SetIamPolicy", GCP_KEY.ring, 0.2, by="bob", deprived=frozenset({"group:all@acme.example"})),
            change("SetIamPolicy", GCP_KEY.ring, 0.1, by="carol"),
        ),
        "alice",
    ),
    "one of several lets everybody in": (
        "key-public",
        Subject(SubjectKind.KEY, GCP_KEY.text),
        google("ENABLED"),
        (
            change("SetIamPolicy", GCP_KEY.ring, 0.7, given=frozenset({"allUsers"})),
            change("SetIamPolicy", GCP_KEY.ring, 0.2, by="bob"),
        ),
        "alice",
    ),
}


@pytest.mark.parametrize(("rule", "subject", "views", "done", "by"), ONE_OF.values(), ids=ONE_OF)
def test_of_several_calls_the_one_that_made_it_so_is_named_and_nobody_where_that_is_not_known(
    rule: str, subject: Subject, views: Mapping[KeyName, KeyView], done: tuple[Change, ...], by: str | None
) -> None:
    for changes in (done, done[::-1]):
        found = told(a_finding(rule, subject), views, *changes, minutes=180)
        assert (found.actor.principal if found.actor else None) == by
        assert by is not None or (found.unattributed or "").startswith("calls of several may have led to it: ")
        assert found.sought is not None
        assert (found.sought.settled, found.sought.vain) == (True, False)


def test_whoever_switches_a_key_on_and_off_thousands_of_times_keeps_no_poll_busy() -> None:
    states = ("ENABLED", "DISABLED")
    every = [
        replace(
            change("UpdateCryptoKeyVersion", ONE, 1 - one / 30_000, by=f"p{one}", lands_in=states[one % 2]),
            event_id=f"e{one}",
        )
        for one in range(20_000)
    ]
    found = told(a_finding("data-unreadable", VERSION), google("DISABLED"), *every)
    assert found.actor is not None
    assert found.actor.principal == "p19999"


def test_of_many_who_may_have_been_it_a_few_are_named() -> None:
    many = [change("PutKeyPolicy", AWS_KEY.text, 0.9 - one / 1_000, by=f"p{one}") for one in range(500)]
    found = told(a_finding("data-revoked", ROLE_BARRED), aws(), *many)
    assert (found.unattributed or "").endswith(" UTC, and 497 more")
    assert len(found.unattributed or "") < 300


def test_who_was_found_early_is_looked_at_again_and_gives_way_to_whoever_it_was() -> None:
    one = a_finding("data-unreadable", KEY)
    alice, bob = change("DisableKey", AWS_KEY.text, 0.9), change("DisableKey", AWS_KEY.text, 0.3, by="bob")
    first = told(one, aws("Disabled"), alice)
    assert (first.since, first.sought.settled if first.sought else None) == (alice.at, False)
    assert words.attributed(first).endswith("; entries may still come that tell otherwise")
    due = [minute for minute in range(1, 121) if is_due(first, NOW + timedelta(minutes=minute), LAG[Cloud.AWS])]
    assert due[0] == 15
    undone = told(first, aws("Disabled"), alice, change("EnableKey", AWS_KEY.text, 0.6), minutes=15)
    assert (undone.actor, undone.since, undone.since_source) == (None, NOW, "between_polls")
    late = told(first, aws("Disabled"), alice, change("EnableKey", AWS_KEY.text, 0.6), bob, minutes=15)
    assert (late.actor.principal if late.actor else None, late.since) == ("bob", bob.at)
    last = told(late, aws("Disabled"), alice, change("EnableKey", AWS_KEY.text, 0.6), bob, minutes=120)
    assert (last.actor, last.sought.settled if last.sought else None) == (late.actor, True)
    assert not is_due(last, NOW + days(1), LAG[Cloud.AWS])
    assert words.attributed(last).endswith(f"(entry {bob.event_id})")


@pytest.mark.parametrize("unread", [None, Reason.ACCESS_DENIED, Reason.THROTTLED])
def test_a_log_that_tells_nothing_of_it_any_more_takes_nobody_back(unread: Reason | None) -> None:
    first = told(a_finding("data-unreadable", KEY), aws("Disabled"), change("DisableKey", AWS_KEY.text))
    again = told(first, aws("Disabled"), minutes=130, unread=unread)
    assert (again.actor, again.unattributed) == (first.actor, None)
    assert again.sought is not None
    assert (again.sought.settled, again.sought.unread) == (unread is not Reason.THROTTLED, None)
    assert not is_due(again, NOW + timedelta(minutes=189), LAG[Cloud.AWS])
    assert is_due(again, NOW + timedelta(minutes=190), LAG[Cloud.AWS]) is (unread is Reason.THROTTLED)


def test_where_a_key_is_in_another_state_under_the_same_finding_somebody_else_is_looked_for() -> None:
    one = a_finding("data-unreadable", KEY, sought=None)
    what = wanted(one, aws("Disabled"))
    assert what is not None
    alice = told(begun(one, what, aws("Disabled"), NOW), aws("Disabled"), change("DisableKey", AWS_KEY.text))
    assert alice.actor is not None
    now = NOW + days(2)
    for state, named in (("Disabled", alice.actor), ("PendingImport", None)):
        what = wanted(alice, aws(state))
        again = begun(alice, what, aws(state), now)
        assert again.actor == named
    assert again.sought is not None
    assert (again.sought.seen, again.sought.settled) == (now, False)
    bob = change("DeleteImportedKeyMaterial", AWS_KEY.text, minutes=-(2 * 24 * 60 - 1), by="bob")
    found = told(again, aws("PendingImport"), bob, minutes=2 * 24 * 60)
    assert found.actor is not None
    assert (found.actor.principal, found.since) == ("bob", alice.since), "it could not be read before that either"
    unread = {AWS_KEY: KeyView(AWS_KEY, None, None)}
    assert begun(alice, wanted(alice, unread), unread, now).actor == alice.actor, "nobody knows that it changed"


def test_where_another_version_is_the_primary_one_somebody_else_is_looked_for() -> None:
    one = a_finding("primary-unusable", Subject(SubjectKind.KEY, GCP_KEY.text), sought=None)
    before = google("ENABLED", "DISABLED", "DISABLED")
    named = told(
        begun(one, wanted(one, before), before, NOW),
        before,
        change("UpdateCryptoKeyVersion", TEN, lands_in="DISABLED"),
    )
    assert named.actor is not None
    known = before[GCP_KEY].reading
    assert isinstance(known, GcpKey)
    after = {GCP_KEY: KeyView(GCP_KEY, replace(known, primary="11"), None)}
    assert begun(named, wanted(named, before), before, NOW).actor == named.actor
    assert begun(named, wanted(named, after), after, NOW).actor is None


def test_where_not_all_was_looked_through_only_what_was_counts() -> None:
    one, done = a_finding("data-revoked", ROLE_BARRED), change("PutKeyPolicy", AWS_KEY.text, 0.5)
    early, late = (NOW - timedelta(minutes=each) for each in (0.6, 0.4))
    found = told(one, aws(), done, whole=False, back_to=early)
    assert found.actor is not None
    hidden = told(one, aws(), done, whole=False, back_to=late)
    assert (hidden.actor, hidden.sought.unread if hidden.sought else None) == (None, Reason.TIMEOUT)


def test_nobody_is_named_while_an_entry_cannot_be_read_that_may_be_the_newest() -> None:
    done = change("DisableKey", AWS_KEY.text)
    found = told(a_finding("data-unreadable", KEY), aws("Disabled"), done, unread=Reason.MALFORMED)
    assert (found.actor, found.sought.unread if found.sought else None) == (None, Reason.MALFORMED)


def test_that_a_key_was_switched_on_does_not_tell_when_a_right_was_taken() -> None:
    before, now = an_aws_key("Disabled"), an_aws_key()
    view = KeyView(AWS_KEY, now, KeyMemory(before, NOW - timedelta(minutes=1), told=told_use(before)))
    for one in (a_finding("data-revoked", ROLE_BARRED), a_finding("key-public", KEY)):
        what = wanted(one, {AWS_KEY: view})
        assert what is not None
        assert last_otherwise(one, what, {AWS_KEY: view}) is None


def test_what_comes_by_itself_keeps_the_date_of_the_loss_and_other_things_have_the_calls() -> None:
    early = change("DestroyCryptoKeyVersion", ONE, 60 * 24 * 30)
    lost = told(a_finding("data-lost", VERSION), google("DESTROYED"), early)
    assert (lost.actor is not None, lost.since, lost.since_source) == (True, NOW, "between_polls")
    now = change("DestroyCryptoKeyVersion", ONE)
    doomed = told(a_finding("data-doomed", VERSION), google("DESTROY_SCHEDULED"), now)
    assert (doomed.since, doomed.since_source) == (now.at, "audit_log")
    heir = a_finding("data-doomed", VERSION, since=NOW - days(3))
    assert told(heir, google("DESTROY_SCHEDULED"), now).since == NOW - days(3), (
        "it could not be read before that either"
    )


def test_an_entry_that_names_nobody_settles_it_and_no_older_one_is_taken_instead() -> None:
    newest = change("DisableKey", AWS_KEY.text, by=None)
    older = change("DisableKey", AWS_KEY.text, minutes=0.8)
    undone = change("EnableKey", AWS_KEY.text, minutes=0.7)
    found = told(a_finding("data-unreadable", KEY), aws("Disabled"), older, undone, newest)
    assert (found.actor, found.sought.settled if found.sought else None) == (None, True)
    assert "names nobody for DisableKey" in (found.unattributed or "")


def test_what_was_told_before_the_log_fell_silent_counts() -> None:
    found = told(
        a_finding("data-unreadable", KEY),
        aws("Disabled"),
        change("DisableKey", AWS_KEY.text),
        unread=Reason.THROTTLED,
        whole=False,
    )
    assert found.actor is not None


@pytest.mark.parametrize("cloud", Cloud)
def test_only_after_its_lag_the_silence_of_a_log_says_that_there_is_no_entry(cloud: Cloud) -> None:
    subject, views = (KEY, aws("Disabled")) if cloud is Cloud.AWS else (VERSION, google("DISABLED"))
    one = a_finding("data-unreadable", subject)
    minutes = LAG[cloud].total_seconds() / 60
    early, late = (told(one, views, minutes=each) for each in (minutes - 0.1, minutes))
    assert [(found.sought.settled, found.sought.vain) for found in (early, late) if found.sought] == [
        (False, False),
        (True, True),
    ]
    never_seen = told(replace(one, sought=Sought(None)), views, minutes=minutes)
    assert never_seen.sought is not None
    assert (never_seen.sought.settled, never_seen.sought.vain) == (True, False)


def test_a_log_is_asked_more_and_more_seldom_and_once_when_the_lag_is_over() -> None:
    one, asked = a_finding("data-unreadable", KEY), 0
    for minute in range(24 * 60):
        if is_due(one, NOW + timedelta(minutes=minute), LAG[Cloud.AWS]):
            asked += 1
            one = told(one, aws("Disabled"), minutes=minute, unread=Reason.THROTTLED)
    assert asked < 40, "a whole day of a log that cannot be read"
    one = replace(one, sought=Sought(None, NOW, NOW + timedelta(minutes=118)))
    moments = [is_due(one, NOW + timedelta(minutes=each), LAG[Cloud.AWS]) for each in (119, 120)]
    assert moments == [False, True]


OTHERWISE: dict[str, tuple[AwsKey | GcpKey, Any, Mapping[str, Any], bool]] = {
    "it changed": (an_aws_key(), an_aws_key("Disabled"), {}, True),
    "it was so before": (an_aws_key("Disabled"), an_aws_key("Disabled"), {}, False),
    "it shuts the auditor out": (an_aws_key(), KeyUnread(AWS_KEY, Reason.ACCESS_DENIED, "no", "x"), {}, True),
    "it did before": (
        an_aws_key(),
        KeyUnread(AWS_KEY, Reason.ACCESS_DENIED, "no", "x"),
        {"denied_since": NOW - days(1)},
        False,
    ),
    "it was not asked": (an_aws_key(), None, {}, False),
}


@pytest.mark.parametrize(("before", "reading", "memory", "seen"), OTHERWISE.values(), ids=OTHERWISE)
def test_a_change_was_seen_where_the_last_reading_told_otherwise(
    before: AwsKey, reading: Any, memory: Mapping[str, Any], *, seen: bool
) -> None:
    at = NOW - timedelta(minutes=1)
    view = KeyView(AWS_KEY, reading, KeyMemory(before, at, told=told_use(before), **memory))
    one = a_finding("data-unreadable", KEY)
    what = wanted(one, {AWS_KEY: view})
    assert what is not None
    assert last_otherwise(one, what, {AWS_KEY: view}) == (at if seen else None)


def test_another_version_that_changed_is_no_change_of_this_one() -> None:
    before = a_gcp_key(a_version("1", "DISABLED"), a_version("10"))
    now = a_gcp_key(a_version("1", "DISABLED"), a_version("10", "DISABLED"))
    view = KeyView(GCP_KEY, now, KeyMemory(before, NOW - timedelta(minutes=1), told=told_use(before)))
    for subject, seen in ((ONE, False), (TEN, True)):
        one = a_finding("data-unreadable", Subject(SubjectKind.KEY_VERSION, subject))
        what = wanted(one, {GCP_KEY: view})
        assert what is not None
        assert (last_otherwise(one, what, {GCP_KEY: view}) is not None) is seen


def test_what_an_earlier_poll_has_asked_counts_only_where_that_was_all_that_is_asked_now() -> None:
    was = Inquiry(AWS_KEY, frozenset({"DisableKey"}), NOW - days(1), NOW, NOW)
    assert covers(Reply(was), was)
    assert covers(Reply(replace(was, since=None)), was)
    others: tuple[dict[str, Any], ...] = (
        {"calls": frozenset({"PutKeyPolicy"})},
        {"since": None},
        {"behind": frozenset({"cks-1"})},
        {"until": NOW + days(1)},
    )
    for more in others:
        assert not covers(Reply(was), replace(was, **more))


def test_findings_that_no_call_leads_to_are_left_alone() -> None:
    assert not attributable(a_finding("stale-version", VERSION))
    assert not attributable(a_finding("data-lost", VERSION, status=Status.RESOLVED))


def test_a_finding_of_an_older_ledger_is_read_and_has_nobody_yet() -> None:
    kept = codec.plain(a_finding("data-unreadable", KEY, sought=None))
    for name in ("actor", "unattributed", "sought"):
        del kept[name]
    found = codec.load(Finding, canonical(kept))
    assert (found.actor, found.unattributed, found.sought) == (None, None, None)


def test_what_a_ledger_keeps_of_an_actor_is_what_it_was() -> None:
    found = told(a_finding("data-unreadable", KEY), aws("Disabled"), change("DisableKey", AWS_KEY.text, via="a role"))
    assert codec.load(Finding, codec.dump(found)) == found
