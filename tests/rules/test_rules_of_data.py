"""The rules about data, its keys' last answers, what probes found of it, and the sweeps that found it."""

import re
from datetime import timedelta
from typing import Any

import pytest

from auditor.findings import (
    Agreement,
    Assessment,
    Basis,
    BucketCoverage,
    Compared,
    Confidence,
    Contradiction,
    Outcome,
    Readability,
    Severity,
    Subject,
    SubjectKind,
    Verdict,
)
from auditor.model import Encryption, KeyGone, KeyMemory, KeyReading, Reason
from auditor.policy import Policy
from auditor.readability import KeyView
from auditor.rule import Cause, Context, HeldKey, Rule, SweptBucket
from auditor.rules import (
    data_doomed,
    data_expiring,
    data_lost,
    data_revoked,
    data_unreachable,
    data_unreadable,
    key_access_withdrawn,
    key_state_unknown,
    load,
    poll_stale,
    probe_disagrees,
    sweep_incomplete,
    sweep_stale,
)
from tests.core_builders import AWS_KEY, GCP_KEY, NOW, a_gcp_key, a_version, an_aws_key, days, denied, remembered

R = Readability
V = Verdict
READS: dict[R, Rule] = {
    R.DOOMED: data_doomed.RULE,
    R.EXPIRING: data_expiring.RULE,
    R.LOST: data_lost.RULE,
    R.REVOKED: data_revoked.RULE,
    R.UNREACHABLE: data_unreachable.RULE,
    R.UNREADABLE: data_unreadable.RULE,
}


def a_cause(readability: R = R.UNKNOWN, kind: SubjectKind = SubjectKind.KEY, **more: Any) -> Cause:
    facts = {"basis": Basis.STATE, "text": "", "confidence": Confidence.PROVEN, "keys": (AWS_KEY,), "members": ()}
    return Cause(Subject(kind, AWS_KEY.text), readability, **{**facts, **more})


def at(reading: KeyReading | None = None, memory: KeyMemory | None = None, **policy: Any) -> Context:
    return Context(NOW, Policy(**policy), {AWS_KEY: KeyView(AWS_KEY, reading, memory)})


@pytest.mark.parametrize(("mine", "rule"), READS.items(), ids=[one.id for one in READS.values()])
def test_a_rule_about_reading_fails_for_its_own_readability_alone(mine: R, rule: Rule) -> None:
    for readability in R:
        expected = V.UNKNOWN if readability is R.UNKNOWN else V.FAILED if readability is mine else V.PASSED
        assert rule.check(a_cause(readability), at()).verdict is expected
        assert rule.check(a_cause(readability, keys=()), at()).verdict is V.NOT_APPLICABLE


def test_nobody_passes_as_able_to_decrypt_while_it_is_not_known_who_must_be() -> None:
    for readability, expected in ((R.READABLE, V.UNKNOWN), (R.UNREADABLE, V.UNKNOWN), (R.REVOKED, V.FAILED)):
        assert data_revoked.RULE.check(a_cause(readability, users_known=False), at()).verdict is expected


MEANT: dict[str, tuple[Rule, R, KeyReading | None, Severity | None]] = {
    "switched off": (data_unreadable.RULE, R.UNREADABLE, None, Severity.LOW),
    "without its material": (data_unreadable.RULE, R.UNREADABLE, an_aws_key("PendingImport"), Severity.LOW),
    "withdrawn": (data_revoked.RULE, R.REVOKED, None, Severity.LOW),
    "destroyed at a date": (data_doomed.RULE, R.DOOMED, None, None),
    "gone": (data_lost.RULE, R.LOST, None, None),
    "behind a store that fails": (data_unreachable.RULE, R.UNREACHABLE, None, None),
}


@pytest.mark.parametrize(("rule", "readability", "reading", "severity"), MEANT.values(), ids=MEANT)
def test_a_revocation_that_is_meant_is_a_low_finding_that_says_so_and_a_loss_stays_one(
    rule: Rule, readability: R, reading: KeyReading | None, severity: Severity | None
) -> None:
    def outcome(**policy: Any) -> Outcome:
        return rule.check(a_cause(readability, text="told"), at(reading, remembered(an_aws_key()), **policy))

    meant = outcome(revoked={AWS_KEY: NOW})
    assert (meant.verdict, meant.severity) == (V.FAILED, severity)
    assert "revoked on purpose" in meant.text
    for policy in ({}, {"revoked": {AWS_KEY: NOW + days(1)}}):
        assert (outcome(**policy).severity, outcome(**policy).text) == (None, "told")


DESTROYED: dict[str, tuple[Cause, KeyReading | None, KeyMemory | None]] = {
    "once the last replica is gone": (a_cause(R.UNREADABLE), an_aws_key("PendingReplicaDeletion"), None),
    "already, of data that names no version": (
        a_cause(R.UNREADABLE, keys=(GCP_KEY,), members=(("gs://data", Encryption.CMEK, GCP_KEY.text, None),)),
        a_gcp_key(a_version(state="DESTROYED", reimport_eligible=True), a_version("2")),
        None,
    ),
    "already, if it cannot be imported again": (
        a_cause(R.UNREADABLE, keys=(GCP_KEY,), members=(("gs://data", Encryption.CMEK, GCP_KEY.text, "1"),)),
        a_gcp_key(a_version(state="DESTROYED", reimport_eligible=True), a_version("2")),
        None,
    ),
}


@pytest.mark.parametrize(("cause", "reading", "memory"), DESTROYED.values(), ids=DESTROYED)
def test_a_destruction_is_more_than_was_meant(
    cause: Cause, reading: KeyReading | None, memory: KeyMemory | None
) -> None:
    (name,) = cause.keys
    policy = Policy(revoked={name: None})
    context = Context(NOW, policy, {name: KeyView(name, reading, memory)})
    outcome = data_unreadable.RULE.check(cause, context)
    assert (outcome.verdict, outcome.severity) == (V.FAILED, None)


def test_data_under_several_keys_is_meant_to_be_dead_only_if_all_are() -> None:
    cause = a_cause(R.UNREADABLE, keys=(AWS_KEY, GCP_KEY))
    assert data_unreadable.RULE.check(cause, at(revoked={AWS_KEY: None})).severity is None
    assert data_unreadable.RULE.check(cause, at(revoked={AWS_KEY: None, GCP_KEY: None})).severity is Severity.LOW


def test_the_rules_that_go_by_the_data_under_a_key_are_these() -> None:
    assert {rule.id for rule in load() if rule.of_data} == {
        "foreign-tenant-key",
        "grant-missing",
        "key-location-mismatch",
        "mixed-keys",
        "not-customer-managed",
        "orphan-objects",
        "protection-level",
        "registry-mismatch",
        "revocation-incomplete",
        "stale-version",
        "weak-algorithm",
        "wrong-key",
    }


def test_severity_follows_what_is_lost() -> None:
    assert {rule.id: rule.severity for rule in load()} == {
        "audit-log-off": Severity.MEDIUM,
        "bucket-default-mismatch": Severity.MEDIUM,
        "data-doomed": Severity.CRITICAL,
        "data-expiring": Severity.HIGH,
        "data-lost": Severity.CRITICAL,
        "data-revoked": Severity.CRITICAL,
        "data-unreachable": Severity.CRITICAL,
        "data-unreadable": Severity.CRITICAL,
        "feed-silent": Severity.MEDIUM,
        "foreign-tenant-key": Severity.HIGH,
        "grant-missing": Severity.HIGH,
        "grant-too-wide": Severity.LOW,
        "key-access-withdrawn": Severity.CRITICAL,
        "key-location-mismatch": Severity.MEDIUM,
        "key-public": Severity.HIGH,
        "key-state-unknown": Severity.MEDIUM,
        "material-expires": Severity.LOW,
        "mixed-keys": Severity.MEDIUM,
        "no-key-administrator": Severity.HIGH,
        "not-customer-managed": Severity.HIGH,
        "orphan-objects": Severity.LOW,
        "poll-stale": Severity.HIGH,
        "primary-unusable": Severity.HIGH,
        "probe-disagrees": Severity.HIGH,
        "protection-level": Severity.MEDIUM,
        "registry-mismatch": Severity.MEDIUM,
        "retirable-version": Severity.LOW,
        "revocation-incomplete": Severity.HIGH,
        "rotation-off": Severity.MEDIUM,
        "rotation-overdue": Severity.MEDIUM,
        "short-destroy-delay": Severity.MEDIUM,
        "stale-version": Severity.LOW,
        "sweep-incomplete": Severity.MEDIUM,
        "sweep-stale": Severity.MEDIUM,
        "unattributed-change": Severity.MEDIUM,
        "waiver-ending": Severity.LOW,
        "waiver-expired": Severity.MEDIUM,
        "weak-algorithm": Severity.MEDIUM,
        "wrong-key": Severity.HIGH,
    }


ANSWERED = remembered(an_aws_key())
NEVER_FOUND = remembered(None, missing_since=NOW)
WITHDRAWN: dict[str, tuple[tuple[R, ...], KeyReading | None, KeyMemory | None, V]] = {
    "denied after an answer": ((R.UNKNOWN,), denied(), ANSWERED, V.FAILED),
    "not visible after an answer": ((R.UNKNOWN,), denied(reason=Reason.NOT_VISIBLE), ANSWERED, V.FAILED),
    "throttled since it was denied": (
        (R.UNKNOWN,),
        denied(reason=Reason.THROTTLED),
        remembered(an_aws_key(), denied_since=NOW),
        V.FAILED,
    ),
    "not asked since it was denied": ((R.UNKNOWN,), None, remembered(an_aws_key(), denied_since=NOW), V.FAILED),
    "denied, and reads are refused": ((R.REVOKED,), denied(), ANSWERED, V.FAILED),
    "denied, with some data lost": ((R.LOST, R.UNKNOWN), denied(), ANSWERED, V.FAILED),
    "answers": ((R.UNKNOWN,), an_aws_key("Frozen"), ANSWERED, V.PASSED),
    "not asked": ((R.UNKNOWN,), None, ANSWERED, V.PASSED),
    "denied and never read": ((R.UNKNOWN,), denied(), None, V.NOT_APPLICABLE),
    "denied and never found before": ((R.UNKNOWN,), denied(), NEVER_FOUND, V.NOT_APPLICABLE),
    "throttled": ((R.UNKNOWN,), denied(reason=Reason.THROTTLED), ANSWERED, V.NOT_APPLICABLE),
    "not found": ((R.UNKNOWN,), KeyGone(AWS_KEY, proven=False), ANSWERED, V.NOT_APPLICABLE),
    "denied after its deletion date": ((R.LOST,), denied(), ANSWERED, V.NOT_APPLICABLE),
    "of no data": ((), denied(), ANSWERED, V.NOT_APPLICABLE),
}


def withdrawn(data: tuple[R, ...], reading: KeyReading | None, memory: KeyMemory | None, **policy: Any) -> Outcome:
    subject = Subject(SubjectKind.KEY, AWS_KEY.text)
    found = tuple(
        Assessment(one, Basis.STATE, f"it is {one}", subject, final_at=NOW + days(3 + place))
        for place, one in enumerate(data)
    )
    context = at(reading, memory, **policy)
    return key_access_withdrawn.RULE.check(HeldKey(context.keys[AWS_KEY], NOW, (), found, ()), context)


@pytest.mark.parametrize(("data", "reading", "memory", "verdict"), WITHDRAWN.values(), ids=WITHDRAWN)
def test_access_is_withdrawn_when_a_denial_follows_an_answer(
    data: tuple[R, ...], reading: KeyReading | None, memory: KeyMemory | None, verdict: V
) -> None:
    outcome = withdrawn(data, reading, memory)
    assert outcome.verdict is verdict
    assert outcome.text != "the denial follows a proven deletion" or data


def test_a_withdrawal_tells_what_was_last_known() -> None:
    told = withdrawn((R.REVOKED, R.UNKNOWN), denied(), ANSWERED)
    assert (told.text, told.final_at) == ("it is unknown", NOW + days(3))
    assert "answered until 2026" in withdrawn((R.REVOKED,), denied(), ANSWERED).text


def test_a_withdrawal_that_is_meant_is_low_unless_a_deletion_was_scheduled() -> None:
    meant = withdrawn((R.UNKNOWN,), denied(), ANSWERED, revoked={AWS_KEY: NOW})
    assert (meant.verdict, meant.severity) == (V.FAILED, Severity.LOW)
    assert "revoked on purpose" in meant.text
    more = withdrawn((R.UNKNOWN,), denied(), remembered(an_aws_key("PendingDeletion")), revoked={AWS_KEY: NOW})
    assert (more.verdict, more.severity) == (V.FAILED, None)
    assert withdrawn((R.UNKNOWN,), denied(), ANSWERED, revoked={AWS_KEY: NOW + days(1)}).severity is None


NOT_KNOWN: dict[str, tuple[Cause, Context, V]] = {
    "denied and never read": (a_cause(), at(denied()), V.FAILED),
    "denied and never found before": (a_cause(), at(denied(), NEVER_FOUND), V.FAILED),
    "denied after an answer": (a_cause(), at(denied(), ANSWERED), V.NOT_APPLICABLE),
    "throttled after an answer": (a_cause(), at(denied(reason=Reason.THROTTLED), ANSWERED), V.FAILED),
    "not found after an answer": (a_cause(), at(KeyGone(AWS_KEY, proven=False), ANSWERED), V.FAILED),
    "a state of tomorrow": (a_cause(), at(an_aws_key("Frozen"), ANSWERED), V.FAILED),
    "readable": (a_cause(R.READABLE), at(an_aws_key()), V.PASSED),
    "lost": (a_cause(R.LOST), at(denied(), ANSWERED), V.PASSED),
    "data under no key": (a_cause(R.UNKNOWN, keys=()), at(), V.NOT_APPLICABLE),
}


@pytest.mark.parametrize(("cause", "context", "verdict"), NOT_KNOWN.values(), ids=NOT_KNOWN)
def test_a_state_is_unknown_where_no_other_rule_speaks_of_it(cause: Cause, context: Context, verdict: V) -> None:
    assert key_state_unknown.RULE.check(cause, context).verdict is verdict


STALE: dict[str, tuple[KeyReading | None, float | None, V]] = {
    "now": (an_aws_key(), 0, V.PASSED),
    "a quarter of an hour ago": (denied(reason=Reason.THROTTLED), 15, V.PASSED),
    "longer ago": (denied(reason=Reason.THROTTLED), 15.1, V.FAILED),
    "longer ago, and not asked now": (None, 15.1, V.FAILED),
    "in a future that is as far": (denied(reason=Reason.THROTTLED), -15.1, V.FAILED),
    "never": (denied(reason=Reason.THROTTLED), None, V.NOT_APPLICABLE),
    "denied": (denied(), 60, V.NOT_APPLICABLE),
    "not visible": (denied(reason=Reason.NOT_VISIBLE), 60, V.NOT_APPLICABLE),
    "gone": (KeyGone(AWS_KEY, proven=True), 0, V.NOT_APPLICABLE),
}


@pytest.mark.parametrize(("reading", "minutes_ago", "verdict"), STALE.values(), ids=STALE)
def test_a_key_is_stale_when_its_last_state_is_old(
    reading: KeyReading | None, minutes_ago: float | None, verdict: V
) -> None:
    last = NOW - timedelta(minutes=minutes_ago) if minutes_ago is not None else None
    key = HeldKey(KeyView(AWS_KEY, reading, None), last, (), (), ())
    assert poll_stale.RULE.check(key, at()).verdict is verdict


PASSES = Contradiction("a read passes", probe_failed=False)
FAILS = Contradiction("a read is refused", probe_failed=True)
DISAGREES: dict[str, tuple[Cause, tuple[V, Severity | None, str]]] = {
    "agrees": (a_cause(probed=True), (V.PASSED, None, "no probe says otherwise")),
    "was not probed": (a_cause(), (V.NOT_APPLICABLE, None, "nothing of it was probed")),
    "passes": (a_cause(contradictions=(PASSES,)), (V.FAILED, Severity.HIGH, PASSES.text)),
    "is refused": (a_cause(contradictions=(FAILS,)), (V.FAILED, Severity.CRITICAL, FAILS.text)),
    "both": (a_cause(contradictions=(PASSES, FAILS)), (V.FAILED, Severity.CRITICAL, FAILS.text)),
    "under no key": (a_cause(keys=(), contradictions=(FAILS,)), (V.NOT_APPLICABLE, None, "")),
}


@pytest.mark.parametrize(("cause", "expected"), DISAGREES.values(), ids=DISAGREES)
def test_the_worst_disagreement_is_told(cause: Cause, expected: tuple[V, Severity | None, str]) -> None:
    found = probe_disagrees.RULE.check(cause, at())
    assert (found.verdict, found.severity, found.text) == expected


def swept(**more: Any) -> SweptBucket:
    facts: dict[str, Any] = {
        "complete": True,
        "listed": 10,
        "resolved": 10,
        "unresolved": 0,
        "outside": 0,
        "uploads_in_progress": 0,
        "sweep_started": NOW,
        "sweep_ended": NOW,
        "oldest_verified": NOW,
        **more,
    }
    return SweptBucket(BucketCoverage(bucket="s3://data", **facts), ())


def more_counted(agreement: Agreement = Agreement.UNEXPLAINED) -> Compared:
    return Compared(agreement, NOW, NOW, 17, 7, 5)


SWEEPS: dict[str, tuple[SweptBucket, float, V, str]] = {
    "all known": (swept(), 1.0, V.PASSED, "10 of 10"),
    "enough known": (swept(resolved=9), 0.9, V.PASSED, "9 of 10"),
    "too few known": (swept(resolved=8), 0.9, V.FAILED, "8 of 10"),
    "never swept, where nothing is demanded": (swept(complete=False), 0.0, V.FAILED, "no whole sweep of"),
    "never swept, and why": (swept(complete=False, last_attempt_failed="denied"), 1.0, V.FAILED, "in force: denied"),
    "an older sweep, and why": (swept(last_attempt_failed="denied"), 0.0, V.FAILED, "an older sweep"),
    "the cloud counts more": (swept(compared=more_counted()), 0.0, V.FAILED, "the cloud counts 7 objects more"),
    "too few known, and more": (swept(resolved=8, compared=more_counted()), 0.9, V.FAILED, "8 of 10 .* 7 objects more"),
    "more, for a reason": (swept(compared=more_counted(Agreement.EXPLAINED)), 1.0, V.PASSED, "10 of 10"),
    "more, of other things as well": (swept(compared=more_counted(Agreement.NOT_COMPARABLE)), 1.0, V.PASSED, "known$"),
}


@pytest.mark.parametrize(("bucket", "demanded", "verdict", "told"), SWEEPS.values(), ids=SWEEPS)
def test_a_sweep_is_complete_when_enough_is_known(bucket: SweptBucket, demanded: float, verdict: V, told: str) -> None:
    found = sweep_incomplete.RULE.check(bucket, at(min_coverage=demanded))
    assert found.verdict is verdict
    assert re.search(told, found.text)


def test_a_bucket_that_was_never_swept_is_not_called_stale() -> None:
    found = [
        sweep_stale.RULE.check(swept(sweep_started=started), at()).verdict
        for started in (None, NOW - days(1), NOW - days(1.1), NOW + days(1), NOW + days(1.1))
    ]
    assert found == [V.NOT_APPLICABLE, V.PASSED, V.FAILED, V.PASSED, V.FAILED], "the future is as old as it is far away"
