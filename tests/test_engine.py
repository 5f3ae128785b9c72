from dataclasses import replace
from typing import Any

import pytest

from auditor import lifecycle
from auditor.engine import Facts, Judged, judge
from auditor.findings import BucketCoverage, Finding, Outcome, Readability, Severity, Status, SubjectKind, Verdict
from auditor.model import Holding, KeyAccess, KeyGone, KeyMemory, KeyName, KeyReading, Reason
from auditor.policy import Policy
from auditor.readability import KeyView
from auditor.rule import Cause, Context, Rule
from auditor.rules import load
from tests.core_builders import (
    AWS_KEY,
    GCP_KEY,
    NOW,
    FixedHoldings,
    a_gcp_key,
    a_holding,
    a_version,
    an_aws_key,
    days,
    denied,
    remembered,
)


def a_bucket(url: str = "s3://data", **more: Any) -> BucketCoverage:
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
    return BucketCoverage(bucket=url, **facts)


def judged(
    *holdings: Holding,
    keys: dict[KeyName, tuple[KeyReading | None, KeyMemory | None]] | None = None,
    buckets: tuple[BucketCoverage, ...] = (),
    rules: tuple[Rule, ...] | None = None,
) -> Judged:
    views = {name: KeyView(name, *view) for name, view in (keys or {}).items()}
    facts = Facts(FixedHoldings(*holdings), views, {}, buckets, Policy(), NOW)
    return judge(facts, load() if rules is None else rules)


def found(result: Judged) -> dict[str, Finding]:
    return {one.rule: one for one in result.findings}


def test_one_disabled_version_is_one_finding_with_all_its_data() -> None:
    holdings = [a_holding(GCP_KEY, "1", bucket=f"gs://data-{number}") for number in range(3)]
    other = a_holding(GCP_KEY, "2")
    key = a_gcp_key(a_version("1", "DISABLED"), a_version("2"))
    finding = found(judged(*holdings, other, keys={GCP_KEY: (key, None)}))["data-unreadable"]
    assert (finding.extent.objects, finding.extent.namespaces, len(finding.members)) == (30, 6, 3)
    assert finding.subject.id == f"{GCP_KEY}/cryptoKeyVersions/1"
    assert finding.severity is Severity.CRITICAL


RAISED = {
    "disabled": (an_aws_key("Disabled"), None, "data-unreadable"),
    "pending deletion": (an_aws_key("PendingDeletion", deletion_date=NOW + days(1)), None, "data-doomed"),
    "gone": (KeyGone(AWS_KEY, proven=True), None, "data-lost"),
    "unavailable": (an_aws_key("Unavailable"), None, "data-unreachable"),
    "expiring": (an_aws_key(valid_to=NOW + days(1)), None, "data-expiring"),
    "denied": (denied(), None, "key-state-unknown"),
    "denied after an answer": (denied(), remembered(an_aws_key()), "key-access-withdrawn"),
    "not visible after an answer": (
        denied(reason=Reason.NOT_VISIBLE),
        remembered(an_aws_key()),
        "key-access-withdrawn",
    ),
    "throttled for long": (denied(reason=Reason.THROTTLED), remembered(an_aws_key("Disabled"), days(1)), "poll-stale"),
    "unknown state": (an_aws_key("Frozen"), None, "key-state-unknown"),
}


@pytest.mark.parametrize(("reading", "memory", "rule"), RAISED.values(), ids=RAISED)
def test_each_state_raises_its_rule(reading: KeyReading, memory: KeyMemory | None, rule: str) -> None:
    assert rule in found(judged(a_holding(), keys={AWS_KEY: (reading, memory)}))


def test_a_healthy_key_raises_nothing() -> None:
    assert judged(a_holding(), keys={AWS_KEY: (an_aws_key(), None)}, buckets=(a_bucket(),)).findings == ()


def test_a_dead_key_that_nothing_depends_on_raises_nothing() -> None:
    assert judged(keys={AWS_KEY: (an_aws_key("Disabled"), None)}).findings == ()


def test_a_denied_key_is_never_stale_as_well() -> None:
    result = judged(a_holding(), keys={AWS_KEY: (denied(), remembered(an_aws_key(), days(3)))})
    assert set(found(result)) == {"key-access-withdrawn"}


BUCKETS = {
    "never swept": (a_bucket(complete=False, listed=0, resolved=0, sweep_started=None), {"sweep-incomplete"}),
    "one object unknown": (a_bucket(resolved=9, unresolved=1), {"sweep-incomplete"}),
    "newest attempt failed": (a_bucket(last_attempt_failed="access denied"), {"sweep-incomplete"}),
    "a day old": (a_bucket(sweep_started=NOW - days(1)), set()),
    "a day and a second old": (a_bucket(sweep_started=NOW - days(1.00002)), {"sweep-stale"}),
    "empty": (a_bucket(listed=0, resolved=0), set()),
}


@pytest.mark.parametrize(("bucket", "rules"), BUCKETS.values(), ids=BUCKETS)
def test_a_bucket_that_is_not_known_is_a_finding(bucket: BucketCoverage, rules: set[str]) -> None:
    assert set(found(judged(buckets=(bucket,)))) == rules


def test_a_rule_that_crashes_is_unknown_and_stops_no_other() -> None:
    def crash(_cause: Cause, _at: Context) -> Outcome:
        raise KeyError("x")

    broken = Rule("a-broken-rule", "t", Cause, Severity.LOW, "s", "r", crash)
    result = judged(a_holding(), keys={AWS_KEY: (an_aws_key("Disabled"), None)}, rules=(broken, *load()))
    assert "data-unreadable" in found(result)
    assert result.tallies[0].counts[Verdict.UNKNOWN] == 1


def test_the_same_facts_give_the_same_answer() -> None:
    first, second = (judged(a_holding(), keys={AWS_KEY: (an_aws_key("Disabled"), None)}) for _ in range(2))
    assert first == second


def a_finding(state: str = "Disabled") -> Finding:
    key = an_aws_key(state, deletion_date=NOW + days(1))
    return next(iter(judged(a_holding(), keys={AWS_KEY: (key, None)}).findings))


def test_a_finding_keeps_its_past() -> None:
    before = replace(a_finding(), first_seen=NOW - days(2), since=NOW - days(3), since_source="between_polls")
    (after,) = lifecycle.carry_on([a_finding()], [before], NOW)
    assert (after.first_seen, after.since, after.last_seen) == (NOW - days(2), NOW - days(3), NOW)


def test_a_finding_whose_readability_changes_is_succeeded_and_its_since_inherited() -> None:
    before = replace(a_finding(), since=NOW - days(3))
    opened, closed = lifecycle.carry_on([a_finding("PendingDeletion")], [before], NOW)
    assert (opened.rule, opened.succeeds, opened.since) == ("data-doomed", before.id, NOW - days(3))
    assert (closed.rule, closed.status) == ("data-unreadable", Status.RESOLVED)


def test_a_finding_that_can_no_longer_be_decided_is_not_resolved() -> None:
    public = an_aws_key(access=KeyAccess(public=True))
    hidden = an_aws_key(access=KeyAccess(public=None))
    first = judged(a_holding(), keys={AWS_KEY: (public, None)})
    (found,) = [one for one in first.findings if one.rule == "key-public"]
    later = judged(a_holding(), keys={AWS_KEY: (hidden, None)})
    assert found.id in later.undecided
    (kept,) = lifecycle.carry_on(later.findings, [found], NOW, later.undecided)
    assert kept.status is Status.OPEN
    closed = judged(a_holding(), keys={AWS_KEY: (an_aws_key(access=KeyAccess(public=False)), None)})
    (resolved,) = lifecycle.carry_on(closed.findings, [found], NOW, closed.undecided)
    assert resolved.status is Status.RESOLVED


def test_a_resolved_finding_is_told_once() -> None:
    (closed,) = lifecycle.carry_on([], [a_finding()], NOW)
    assert closed.status is Status.RESOLVED
    assert lifecycle.carry_on([], [closed], NOW) == ()


def test_rule_ids_are_those_of_the_catalogue_and_speak_for_themselves() -> None:
    assert [rule.id for rule in load()] == [
        "data-doomed",
        "data-expiring",
        "data-lost",
        "data-revoked",
        "data-unreachable",
        "data-unreadable",
        "grant-missing",
        "grant-too-wide",
        "key-access-withdrawn",
        "key-public",
        "key-state-unknown",
        "material-expires",
        "no-key-administrator",
        "poll-stale",
        "probe-disagrees",
        "revocation-incomplete",
        "sweep-incomplete",
        "sweep-stale",
    ]
    assert all(rule.source and rule.remedy and rule.title for rule in load())


def test_a_finding_id_never_changes() -> None:
    rule = next(one for one in load() if one.id == "data-unreadable")
    assert rule.finding_id(a_finding().subject) == a_finding().id == "f8870c6eed9fe721"


def test_only_data_on_keys_is_judged_by_the_reading_rules() -> None:
    result = judged(a_holding(None))
    assert result.findings == ()
    assert result.assessed[0].assessment.readability is Readability.READABLE
    assert result.assessed[0].assessment.subject.kind is SubjectKind.BUCKET
