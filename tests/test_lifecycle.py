"""What ends a finding: that it is told otherwise, never that less is told."""

from dataclasses import replace
from typing import Any

import pytest

from auditor.findings import (
    Assessed,
    Assessment,
    Basis,
    Confidence,
    Finding,
    Member,
    Readability,
    Severity,
    Status,
    Subject,
    SubjectKind,
    Undo,
    member_of,
)
from auditor.lifecycle import carry_on, hidden_keys, undecided, with_what_is_hidden
from auditor.model import CustomKeyStore, EkmConnection, Encryption, Grant, HsmInstance, KeyName, Reason
from auditor.readability import KeyView
from tests.core_builders import (
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
from tests.test_engine import a_finding

R = Readability
KEY = Subject(SubjectKind.KEY, AWS_KEY.text)
STORE = Subject(SubjectKind.KEY_STORE, "111122223333/us-east-1/cks-1")
RIGHT = Subject(SubjectKind.PRINCIPAL, f"{ROLE} -> {AWS_KEY}")
OTHER_KEY = KeyName(f"{AWS_KEY.text[:-4]}beef")
VERSION = Subject(SubjectKind.KEY_VERSION, f"{AWS_KEY}/1")
OTHER = Subject(SubjectKind.KEY, OTHER_KEY.text)
HERE, THERE = "s3://data", "s3://other"


def data(bucket: str = HERE, key: KeyName | None = AWS_KEY, encryption: Encryption = Encryption.CMEK) -> Member:
    return member_of(a_holding(key, bucket=bucket, encryption=encryption))


def told(
    readability: R,
    subject: Subject = KEY,
    *shadowed: tuple[Subject, R],
    bucket: str = HERE,
    key: KeyName = AWS_KEY,
    **more: Any,
) -> Assessed:
    assessment = Assessment(readability, Basis.STATE, "", subject, shadowed=shadowed, **more)
    return Assessed(a_holding(key, bucket=bucket), Encryption.CMEK, assessment)


def other(readability: R, subject: Subject | None = None) -> Assessed:
    return told(readability, subject or OTHER, key=OTHER_KEY)


def unresolved(bucket: str = HERE) -> Assessed:
    holding = a_holding(None, bucket=bucket, encryption=Encryption.UNKNOWN)
    return Assessed(
        holding, Encryption.UNKNOWN, Assessment(R.UNKNOWN, Basis.STATE, "", Subject(SubjectKind.BUCKET, bucket))
    )


def on(subject: Subject, readability: R | None, *members: Member, **more: Any) -> Finding:
    return replace(a_finding(), subject=subject, readability=readability, members=members or (data(),), **more)


def heard(name: KeyName = AWS_KEY, **more: Any) -> KeyView:
    """A key that tells everything: its state, its store, who may use it."""
    facts = {"store": CustomKeyStore("cks-1", "CONNECTED"), "access": access(name, Grant.DIRECT), **more}
    return KeyView(name, replace(an_aws_key(**facts), name=name), None)


def views(*silent: KeyName, **more: Any) -> dict[KeyName, KeyView]:
    """Both keys, of which some tell nothing."""
    unread = {name: KeyView(name, denied(name), remembered(an_aws_key())) for name in silent}
    return {AWS_KEY: heard(**more), OTHER_KEY: heard(OTHER_KEY), **unread}


DISABLED, DOWN, BARRED = on(KEY, R.UNREADABLE), on(STORE, R.UNREACHABLE), on(RIGHT, R.REVOKED)
OF_BOTH = on(STORE, R.UNREACHABLE, data(), data(key=OTHER_KEY))
STAYS: dict[str, tuple[Finding, list[Assessed], bool]] = {
    "the key tells that it is well": (DISABLED, [told(R.READABLE)], False),
    "the key tells that it is worse": (DISABLED, [told(R.DOOMED)], False),
    "the key expires": (DISABLED, [told(R.EXPIRING)], False),
    "what the key says settles nothing": (DISABLED, [told(R.UNKNOWN)], True),
    "what the key says settles nothing, and the store is well": (DOWN, [told(R.UNKNOWN)], False),
    "what the key says settles nothing, and the right is there": (BARRED, [told(R.UNKNOWN)], False),
    "the right is not told": (BARRED, [told(R.UNKNOWN, RIGHT)], True),
    "the right is not told, and the store is well": (DOWN, [told(R.UNKNOWN, RIGHT)], False),
    "the right is not told, and the store is down": (BARRED, [told(R.UNREACHABLE, STORE, (RIGHT, R.UNKNOWN))], True),
    "it is as it was behind something worse": (BARRED, [told(R.UNREADABLE, KEY, (RIGHT, R.REVOKED))], True),
    "it is well behind something worse": (BARRED, [told(R.UNREADABLE, KEY)], False),
    "something else is as bad behind something worse": (DOWN, [told(R.UNREADABLE, KEY, (RIGHT, R.REVOKED))], False),
    "it is otherwise behind something worse": (
        on(KEY, R.UNREADABLE),
        [told(R.UNREACHABLE, STORE, (KEY, R.EXPIRING))],
        False,
    ),
    "it expires behind something worse": (on(KEY, R.EXPIRING), [told(R.UNREACHABLE, STORE, (KEY, R.EXPIRING))], True),
    "it expires behind something that expires sooner": (
        on(KEY, R.EXPIRING),
        [told(R.EXPIRING, STORE, (KEY, R.EXPIRING))],
        True,
    ),
    "the data is lost for good": (BARRED, [told(R.LOST, KEY, (RIGHT, R.REVOKED))], False),
    "the data is gone": (DISABLED, [], False),
    "the data may be among that of which nobody knows what encrypts it": (DISABLED, [unresolved()], True),
    "what is not known is in another bucket": (DISABLED, [unresolved(THERE)], False),
    "hidden, and elsewhere the key is well": (
        DISABLED,
        [unresolved(), told(R.READABLE, bucket=THERE)],
        False,
    ),
    "hidden, and elsewhere the key is worse": (
        DISABLED,
        [unresolved(), told(R.DOOMED, bucket=THERE)],
        False,
    ),
    "hidden, and elsewhere the key is silent": (
        DISABLED,
        [unresolved(), told(R.UNKNOWN, bucket=THERE)],
        True,
    ),
    "hidden, and elsewhere others may read": (BARRED, [unresolved(), told(R.READABLE, bucket=THERE)], True),
    "some of the data is hidden, and the principal reads the rest": (
        on(RIGHT, R.REVOKED, data(), data(THERE)),
        [unresolved(), told(R.READABLE, bucket=THERE)],
        False,
    ),
    "hidden, and elsewhere it stands behind something": (
        on(KEY, R.EXPIRING),
        [unresolved(), told(R.EXPIRING, STORE, (KEY, R.EXPIRING), bucket=THERE)],
        True,
    ),
    "hidden, and elsewhere the key expires": (DOWN, [unresolved(), told(R.EXPIRING, bucket=THERE)], False),
    "hidden, and elsewhere the key is disabled": (DOWN, [unresolved(), told(R.UNREADABLE, bucket=THERE)], True),
    "some of it is hidden, and the rest is gone": (
        on(KEY, R.UNREADABLE, data(), data(THERE)),
        [unresolved(THERE)],
        True,
    ),
    "another key is well": (DISABLED, [unresolved(), told(R.READABLE, OTHER, key=OTHER_KEY)], True),
}


@pytest.mark.parametrize(("finding", "assessed", "stays"), STAYS.values(), ids=STAYS)
def test_a_finding_on_data_ends_where_it_is_told_otherwise(
    finding: Finding,
    assessed: list[Assessed],
    stays: bool,  # noqa: FBT001 - a case
) -> None:
    assert (finding.id in undecided([finding], assessed, (), views())) is stays


SILENT: dict[str, tuple[Finding, list[Assessed], bool]] = {
    "nothing": (DISABLED, [told(R.UNKNOWN)], True),
    "nothing, and so does its store": (DOWN, [told(R.UNKNOWN)], True),
    "nothing of who may use it": (BARRED, [told(R.UNKNOWN)], True),
    "nothing, and another tells of the store": (OF_BOTH, [told(R.UNKNOWN), other(R.READABLE)], False),
    "nothing, and another says that the store is down": (
        OF_BOTH,
        [told(R.UNKNOWN), other(R.UNREACHABLE, STORE)],
        False,
    ),
    "nothing, and a read is refused": (DOWN, [told(R.UNREADABLE, KEY, (KEY, R.UNKNOWN))], True),
    "nothing, and a read is refused while it is doomed": (
        on(KEY, R.DOOMED),
        [told(R.UNREADABLE, KEY, (KEY, R.UNKNOWN))],
        True,
    ),
    "nothing through the other bucket": (DISABLED, [unresolved(), told(R.UNKNOWN, bucket=THERE)], True),
    "nothing new, and is remembered as well": (
        on(KEY, R.UNREADABLE, data(), data(THERE)),
        [unresolved(), told(R.READABLE, bucket=THERE)],
        True,
    ),
    "nothing, and is held to be gone": (BARRED, [told(R.LOST, confidence=Confidence.INFERRED)], True),
    "nothing, and it is the key itself that is held to be gone": (
        DISABLED,
        [told(R.LOST, confidence=Confidence.INFERRED)],
        False,
    ),
}


@pytest.mark.parametrize(("finding", "assessed", "stays"), SILENT.values(), ids=SILENT)
def test_a_key_that_tells_nothing_ends_nothing(
    finding: Finding,
    assessed: list[Assessed],
    stays: bool,  # noqa: FBT001 - a case
) -> None:
    assert (finding.id in undecided([finding], assessed, (), views(AWS_KEY))) is stays


def test_another_key_that_works_does_not_refute_what_a_store_is_known_to_fail() -> None:
    assessed = [told(R.UNREADABLE, KEY, (STORE, R.UNREACHABLE)), other(R.READABLE)]
    for failing, stays in (((), False), ((STORE,), True), ((RIGHT,), False)):
        assert bool(undecided([OF_BOTH], assessed, (), views(), failing)) is stays
    assert not undecided([OF_BOTH], [other(R.READABLE)], (), views(), (STORE,)), "its data is gone"


def test_the_keys_of_data_that_is_not_seen_are_known() -> None:
    open_, over = on(KEY, R.UNREADABLE, data(), data(THERE, OTHER_KEY)), on(OTHER, R.LOST, status=Status.RESOLVED)
    seen = a_holding(AWS_KEY, bucket=HERE)
    odd = a_holding(None, bucket=THERE, encryption=Encryption.UNKNOWN)
    assert hidden_keys([open_, over], [seen], ()) == frozenset()
    assert hidden_keys([open_, over], [seen], {THERE}) == {OTHER_KEY}
    assert hidden_keys([open_, over], [seen, odd], ()) == {OTHER_KEY}
    assert hidden_keys([open_], [odd], {HERE}) == {AWS_KEY, OTHER_KEY}
    assert hidden_keys([over], [odd], {HERE}) == frozenset()
    assert hidden_keys([on(KEY, R.UNREADABLE, data(key=None))], [], {HERE}) == frozenset()


def test_an_older_word_on_a_store_does_not_refute_what_another_key_told_of_it() -> None:
    connected = CustomKeyStore("cks-1", "CONNECTED")
    for store, state, stays in (
        (connected, "Disabled", False),
        (replace(connected, older=True), "Disabled", True),
        (replace(connected, connection_state=None), "Disabled", True),
        (replace(connected, connection_state=None), "Enabled", False),
        (replace(connected, connection_state=None), "Updating", False),
    ):
        keys = views(OTHER_KEY, store=store, state=state)
        for readability, subject in ((R.READABLE, KEY), (R.EXPIRING, STORE)):
            found = undecided([OF_BOTH], [told(readability, subject), other(R.UNKNOWN)], (), keys)
            assert (OF_BOTH.id in found) is stays


def test_a_store_of_which_nobody_tells_is_not_up_because_its_key_is_disabled() -> None:
    store = CustomKeyStore("cks-1", None)
    for state, stays in (("Disabled", True), ("Enabled", False), ("Updating", False)):
        found = undecided([DOWN], [told(R.UNREADABLE)], (), views(store=store, state=state))
        assert (DOWN.id in found) is stays


def test_what_google_keys_tell_of_what_stands_behind_them() -> None:
    instance, connection = HsmInstance("i", "ACTIVE"), EkmConnection("c", reachable=True)
    subjects = {
        SubjectKind.HSM_INSTANCE: Subject(SubjectKind.HSM_INSTANCE, "i"),
        SubjectKind.EKM_CONNECTION: Subject(SubjectKind.EKM_CONNECTION, "c"),
        SubjectKind.KEY_VERSION: Subject(SubjectKind.KEY_VERSION, f"{GCP_KEY}/cryptoKeyVersions/1"),
        SubjectKind.PRINCIPAL: Subject(SubjectKind.PRINCIPAL, f"any principal -> {GCP_KEY}"),
    }
    hidden = member_of(a_holding(GCP_KEY, "1", bucket=HERE))
    well = Assessment(R.READABLE, Basis.STATE, "", Subject(SubjectKind.KEY, "k"))
    seen = Assessed(a_holding(GCP_KEY, "1", bucket=THERE), Encryption.CMEK, well)
    for more, left in (
        ({}, {SubjectKind.HSM_INSTANCE, SubjectKind.EKM_CONNECTION, SubjectKind.PRINCIPAL}),
        ({"hsm_instance": instance, "connections": (connection,)}, {SubjectKind.PRINCIPAL}),
        (
            {"hsm_instance": instance, "connections": (replace(connection, name="d"),)},
            {SubjectKind.EKM_CONNECTION, SubjectKind.PRINCIPAL},
        ),
        (
            {
                "hsm_instance": replace(instance, older=True),
                "connections": (replace(connection, older=Reason.TIMEOUT),),
            },
            {SubjectKind.HSM_INSTANCE, SubjectKind.EKM_CONNECTION, SubjectKind.PRINCIPAL},
        ),
    ):
        versions = a_version("1", ekm_connection="c"), a_version("2", ekm_connection="d")
        keys = {GCP_KEY: KeyView(GCP_KEY, a_gcp_key(*versions, **more), None)}
        open_ = {
            kind
            for kind, subject in subjects.items()
            if undecided([on(subject, R.UNREACHABLE, hidden)], [unresolved(), seen], (), keys)
        }
        assert open_ == left


@pytest.mark.parametrize(("version", "stays"), [("1", False), ("2", True), (None, False)])
def test_a_connection_is_told_of_by_the_versions_that_use_it(version: str | None, *, stays: bool) -> None:
    versions = a_version("1", ekm_connection="c"), a_version("2", ekm_connection="d")
    key = a_gcp_key(*versions, connections=(EkmConnection("c", reachable=True),))
    hidden = member_of(a_holding(GCP_KEY, "1", bucket=HERE))
    well = Assessment(R.READABLE, Basis.STATE, "", Subject(SubjectKind.KEY, "k"))
    seen = Assessed(a_holding(GCP_KEY, version, bucket=THERE), Encryption.CMEK, well)
    finding = on(Subject(SubjectKind.EKM_CONNECTION, "c"), R.UNREACHABLE, hidden)
    views = {GCP_KEY: KeyView(GCP_KEY, key, None)}
    assert bool(undecided([finding], [unresolved(), seen], (), views)) is stays


def test_whoever_may_read_on_google_cloud_is_told_by_data_that_can_be_read() -> None:
    holdings = a_holding(GCP_KEY, "1", bucket=HERE), a_holding(GCP_KEY, "1", bucket=THERE)
    anybody = Subject(SubjectKind.PRINCIPAL, f"any principal -> {GCP_KEY}")
    finding = on(anybody, R.REVOKED, *map(member_of, holdings))
    well = Assessment(R.READABLE, Basis.STATE, "", Subject(SubjectKind.KEY, "k"))
    seen = Assessed(holdings[1], Encryption.CMEK, well)
    for key, stays in ((a_gcp_key(), False), (denied(GCP_KEY), True)):
        keys = {GCP_KEY: KeyView(GCP_KEY, key, None)}
        assert bool(undecided([finding], [unresolved(), seen], (), keys)) is stays


UNTOLD = HsmInstance("i", None), EkmConnection("c", reachable=None)


@pytest.mark.parametrize(
    ("instance", "connection", "stays"),
    [
        (UNTOLD[0], EkmConnection("c", reachable=False), {SubjectKind.HSM_INSTANCE}),
        (HsmInstance("i", "DISABLED"), UNTOLD[1], {SubjectKind.EKM_CONNECTION}),
        (None, UNTOLD[1], {SubjectKind.EKM_CONNECTION}),
        (None, EkmConnection("c", reachable=True), set()),
    ],
)
def test_what_stands_behind_a_google_key_and_nobody_tells_of_is_not_well(
    instance: HsmInstance | None, connection: EkmConnection, stays: set[SubjectKind]
) -> None:
    key = a_gcp_key(a_version("1", ekm_connection="c"), hsm_instance=instance, connections=(connection,))
    worse = Assessment(R.UNREADABLE, Basis.STATE, "", Subject(SubjectKind.KEY, "k"))
    holding = a_holding(GCP_KEY, "1", bucket=HERE)
    findings = [
        on(Subject(kind, name), R.UNREACHABLE, member_of(holding), id=kind)
        for kind, name in ((SubjectKind.HSM_INSTANCE, "i"), (SubjectKind.EKM_CONNECTION, "c"))
    ]
    assessed = [Assessed(holding, Encryption.CMEK, worse)]
    assert undecided(findings, assessed, (), {GCP_KEY: KeyView(GCP_KEY, key, None)}) == stays


UNUSABLE: dict[str, tuple[Finding, list[Assessed], bool]] = {
    "nothing else is told": (DISABLED, [], True),
    "the key is well elsewhere": (DISABLED, [told(R.READABLE, bucket=THERE)], False),
    "the key is silent elsewhere": (DISABLED, [told(R.UNKNOWN, bucket=THERE)], True),
    "a rule on a key that nobody needs any more": (on(KEY, None), [], True),
    "a rule on a key that is needed elsewhere": (on(KEY, None), [told(R.UNKNOWN, bucket=THERE)], False),
    "on a key that is told elsewhere": (on(KEY, R.UNKNOWN), [told(R.DOOMED, bucket=THERE)], False),
    "on a key that is needed elsewhere": (on(KEY, R.UNKNOWN), [told(R.UNKNOWN, bucket=THERE)], False),
    "on a version of which nothing is told elsewhere": (on(VERSION, R.UNKNOWN), [told(R.UNKNOWN, bucket=THERE)], True),
    "on what is well elsewhere, by another key": (
        on(STORE, R.UNKNOWN),
        [told(R.READABLE, STORE, bucket=THERE, key=OTHER_KEY)],
        False,
    ),
    "on a key of which the rest is gone": (on(STORE, R.UNKNOWN, data(), data(THERE)), [], True),
    "on a key that is well elsewhere": (on(STORE, R.UNKNOWN), [told(R.READABLE, bucket=THERE)], False),
}


@pytest.mark.parametrize(("finding", "assessed", "stays"), UNUSABLE.values(), ids=UNUSABLE)
def test_a_bucket_of_which_nothing_is_judged_ends_no_finding(
    finding: Finding,
    assessed: list[Assessed],
    stays: bool,  # noqa: FBT001 - a case
) -> None:
    keys = views() if assessed else {}
    assert (finding.id in undecided([finding], assessed, {HERE}, keys)) is stays


def test_a_finding_on_a_key_that_answers_and_one_on_a_bucket_are_decided_by_their_rules() -> None:
    of_bucket = on(Subject(SubjectKind.BUCKET, HERE), None)
    for finding in (on(KEY, R.UNKNOWN), of_bucket):
        assert undecided([finding], [], {HERE}, views()) == frozenset()


def test_that_a_key_is_watched_ends_nothing_of_its_hidden_data() -> None:
    finding = on(KEY, None)
    assert undecided([finding], [], {HERE}, views()) == {finding.id}
    assert undecided([finding], [told(R.READABLE, bucket=THERE)], {HERE}, views()) == frozenset()


@pytest.mark.parametrize(
    ("members", "rules", "stays"),
    [
        ((data(), data(THERE)), {"a-rule"}, True),
        ((data(), data(THERE)), {"another"}, False),
        ((data(THERE),), {"a-rule"}, False),
    ],
    ids=["some is hidden", "and the rule is not about data", "none is hidden"],
)
def test_a_rule_that_goes_by_the_data_under_a_key_ends_nothing_while_some_is_hidden(
    members: tuple[Member, ...], rules: set[str], *, stays: bool
) -> None:
    finding = replace(on(KEY, None), rule="a-rule", members=members)
    seen = [told(R.READABLE, bucket=THERE)]
    assert (finding.id in undecided([finding], seen, {HERE}, views(), of_data=rules)) is stays


@pytest.mark.parametrize(
    ("more", "severity"),
    [({}, Severity.HIGH), ({"meant": True}, Severity.LOW), ({"members": (data(THERE),)}, Severity.LOW)],
    ids=["of no data", "as is meant", "of other data"],
)
def test_what_hides_its_data_makes_no_finding_less_bad(more: dict[str, Any], severity: Severity) -> None:
    before = replace(on(KEY, None), severity=Severity.HIGH)
    fresh = replace(before, severity=Severity.LOW, **{"members": (), **more})
    (found,) = with_what_is_hidden([fresh], [before], [], {HERE})
    assert (found.severity, data() in found.members) == (severity, True)
    (same,) = with_what_is_hidden([fresh], [before], [], ())
    assert same == fresh


def test_what_is_not_told_any_more_is_no_proof_and_no_undo_that_comes_too_late_is_offered() -> None:
    late, open_, in_time = (
        Undo(call, "who", "where", until) for call, until in (("a", NOW), ("b", None), ("c", NOW + days(1)))
    )
    before = replace(a_finding(), undo=(late, open_, in_time), last_seen=NOW - days(2))
    (kept,) = carry_on([], [before], NOW, frozenset({before.id}))
    assert (kept.status, kept.confidence, kept.last_seen) == (Status.OPEN, Confidence.INFERRED, NOW - days(2))
    assert kept.undo == (open_, in_time)
    (again,) = carry_on([a_finding()], [kept], NOW)
    assert again.confidence is Confidence.PROVEN


def test_findings_remember_data_that_is_hidden_and_forget_what_is_gone() -> None:
    before = on(KEY, R.UNREADABLE, data(), data(THERE))
    fresh = replace(before, members=(data(),))
    for assessed, unusable, members in (
        ([told(R.UNREADABLE)], (), (data(),)),
        ([told(R.UNREADABLE)], (THERE,), (data(), data(THERE))),
        ([told(R.UNREADABLE), unresolved(THERE)], (), (data(), data(THERE))),
        ([told(R.UNREADABLE), unresolved(THERE), told(R.READABLE, bucket=THERE)], (), (data(),)),
    ):
        (found,) = with_what_is_hidden([fresh], [before], assessed, unusable)
        assert found.members == members
