import re
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from auditor import lifecycle
from auditor.engine import Facts, Judged, judge, last_read
from auditor.findings import (
    BucketCoverage,
    Confidence,
    Finding,
    Member,
    Outcome,
    Readability,
    Severity,
    Status,
    Subject,
    SubjectKind,
    Verdict,
    member_of,
)
from auditor.model import (
    NO_RIGHT,
    CustomKeyStore,
    Encryption,
    Evidence,
    Extent,
    Grant,
    Holding,
    HsmInstance,
    KeyAccess,
    KeyGone,
    KeyMemory,
    KeyName,
    KeyReading,
    Probe,
    ProbeKind,
    ProbeOutcome,
    Reason,
)
from auditor.ownership.owned import PlacedKey
from auditor.policy import Policy
from auditor.readability import KeyView
from auditor.rule import Cause, Context, HeldKey, Rule, RuleSubject, SweptBucket, passed
from auditor.rules import load, version
from tests.core_builders import (
    AGENT,
    AWS_KEY,
    GCP_KEY,
    NOW,
    ROLE,
    FixedHoldings,
    a_gcp_key,
    a_holding,
    a_version,
    access,
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
    agents: dict[str, tuple[str, ...]] | None = None,
    probes: tuple[Probe, ...] = (),
) -> Judged:
    views = {name: KeyView(name, *view) for name, view in (keys or {}).items()}
    facts = Facts(FixedHoldings(*holdings), views, agents or {}, buckets, Policy(), NOW, probes)
    return judge(facts, load() if rules is None else rules)


def found(result: Judged) -> dict[str, Finding]:
    return {one.rule: one for one in result.findings}


def subjects(of: type[RuleSubject], *holdings: Holding, **more: Any) -> list[Any]:
    """All subjects of one kind that a rule is asked about."""
    seen: list[Any] = []

    def check(subject: RuleSubject, _at: Context) -> Outcome:
        seen.append(subject)
        return passed("")

    judged(*holdings, rules=(Rule("a-rule", "t", of, Severity.LOW, "s", "r", check),), **more)
    return seen


def test_one_disabled_version_is_one_finding_with_all_its_data() -> None:
    holdings = [a_holding(GCP_KEY, "1", bucket=f"gs://data-{number}") for number in range(3)]
    other = a_holding(GCP_KEY, "2")
    key = a_gcp_key(a_version("1", "DISABLED"), a_version("2"))
    finding = found(judged(*holdings, other, keys={GCP_KEY: (key, None)}))["data-unreadable"]
    assert (finding.extent.objects, finding.extent.namespaces, len(finding.members)) == (30, 6, 3)
    assert finding.subject.id == f"{GCP_KEY}/cryptoKeyVersions/1"
    assert (finding.severity, finding.status) == (Severity.CRITICAL, Status.OPEN)
    assert finding.members == tuple(member_of(one) for one in holdings)


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


def test_a_finding_about_a_bucket_is_about_that_bucket() -> None:
    finding = found(judged(buckets=(a_bucket(resolved=9),)))["sweep-incomplete"]
    assert finding.subject == Subject(SubjectKind.BUCKET, "s3://data")


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


@pytest.mark.parametrize("readability", [Readability.EXPIRING, Readability.UNKNOWN])
def test_data_that_could_still_be_read_tells_nothing_of_how_long_it_cannot(readability: Readability) -> None:
    before = replace(a_finding("PendingDeletion"), since=NOW - days(300), readability=readability)
    opened = lifecycle.carry_on([a_finding()], [before], NOW)[0]
    assert (opened.rule, opened.succeeds, opened.since) == ("data-unreadable", before.id, NOW)


def test_a_finding_keeps_how_its_since_is_known_and_what_it_took_over() -> None:
    before = replace(a_finding(), since_source="between_polls", succeeds="0123456789abcdef")
    (after,) = lifecycle.carry_on([a_finding()], [before], NOW)
    assert (after.since_source, after.succeeds) == ("between_polls", "0123456789abcdef")
    opened, _ = lifecycle.carry_on([a_finding("PendingDeletion")], [before], NOW)
    assert (opened.since_source, opened.succeeds) == ("between_polls", before.id)


def test_a_finding_without_a_past_stays_as_it_is() -> None:
    fresh = a_finding()
    elsewhere = replace(a_finding("PendingDeletion"), subject=Subject(SubjectKind.KEY, SECOND_KEY.text))
    assert lifecycle.carry_on([fresh], [], NOW) == (fresh,)
    assert lifecycle.carry_on([fresh], [elsewhere], NOW)[0] == fresh


def test_only_a_finding_about_reading_that_ended_is_taken_over() -> None:
    since = NOW - days(3)
    stays, new = replace(a_finding(), since=since), a_finding("PendingDeletion")
    opened = {one.rule: one for one in lifecycle.carry_on([new, a_finding()], [stays], NOW)}["data-doomed"]
    assert (opened.succeeds, opened.since) == (None, NOW), "the older one stands"
    of_the_key = replace(a_finding(), id="0123456789abcdef", readability=None, since=since)
    for fresh, before in ((new, of_the_key), (of_the_key, stays)):
        opened = {one.id: one for one in lifecycle.carry_on([fresh], [before], NOW)}[fresh.id]
        assert (opened.succeeds, opened.since) == (None, fresh.since), "one of the two is not about reading"


def test_a_finding_is_resolved_at_the_moment_that_did_not_uphold_it() -> None:
    (closed,) = lifecycle.carry_on([], [replace(a_finding(), last_seen=NOW - days(1))], NOW)
    assert (closed.status, closed.last_seen) == (Status.RESOLVED, NOW)


def test_a_finding_that_can_no_longer_be_decided_is_not_resolved() -> None:
    public = an_aws_key(access=KeyAccess(public=True))
    hidden = an_aws_key(access=KeyAccess(public=None))
    first = judged(a_holding(), keys={AWS_KEY: (public, None)})
    (found,) = [one for one in first.findings if one.rule == "key-public"]
    later = judged(a_holding(), keys={AWS_KEY: (hidden, None)})
    assert found.id in later.undecided
    assert found.id not in first.undecided, "a failure is a decision"
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
        "audit-log-off",
        "bucket-default-mismatch",
        "data-doomed",
        "data-expiring",
        "data-lost",
        "data-revoked",
        "data-unreachable",
        "data-unreadable",
        "feed-silent",
        "foreign-tenant-key",
        "grant-missing",
        "grant-too-wide",
        "key-access-withdrawn",
        "key-location-mismatch",
        "key-public",
        "key-state-unknown",
        "material-expires",
        "mixed-keys",
        "no-key-administrator",
        "not-customer-managed",
        "orphan-objects",
        "poll-stale",
        "primary-unusable",
        "probe-disagrees",
        "protection-level",
        "registry-mismatch",
        "retirable-version",
        "revocation-incomplete",
        "rotation-off",
        "rotation-overdue",
        "short-destroy-delay",
        "stale-version",
        "sweep-incomplete",
        "sweep-stale",
        "unattributed-change",
        "waiver-ending",
        "waiver-expired",
        "weak-algorithm",
        "wrong-key",
    ]
    assert all(rule.source and rule.remedy and rule.title for rule in load())


@pytest.mark.parametrize("rule", load(), ids=lambda rule: rule.id)
def test_what_a_rule_demands_is_told_whole(rule: Rule) -> None:
    told = rule.demand
    assert (told.id, told.title, told.severity) == (rule.id, rule.title, rule.severity)
    assert (told.source, told.remedy, told.otherwise) == (rule.source, rule.remedy, rule.otherwise)


def test_the_version_of_the_rules_is_a_digest() -> None:
    assert re.fullmatch(r"[0-9a-f]{12}", version())


def test_a_finding_id_never_changes() -> None:
    rule = next(one for one in load() if one.id == "data-unreadable")
    assert rule.finding_id(a_finding().subject) == a_finding().id == "f8870c6eed9fe721"


def test_only_data_on_keys_is_judged_by_the_reading_rules() -> None:
    result = judged(a_holding(None))
    assert result.findings == ()
    assert result.assessed[0].assessment.readability is Readability.READABLE
    assert result.assessed[0].assessment.subject.kind is SubjectKind.BUCKET


EVIDENCE = Evidence("kms:DescribeKey", AWS_KEY.text, NOW, None, "0" * 64)
SECOND_KEY = KeyName(AWS_KEY.text[:-1] + "2")


def test_a_finding_about_data_has_the_date_undo_and_evidence_of_its_cause() -> None:
    date = NOW + days(3)
    key = an_aws_key("PendingDeletion", deletion_date=date, evidence=(EVIDENCE,))
    finding = found(judged(a_holding(), keys={AWS_KEY: (key, None)}))["data-doomed"]
    assert (finding.final_at, finding.evidence, finding.confidence) == (date, (EVIDENCE,), Confidence.PROVEN)
    assert [one.lands_in for one in finding.undo] == ["Disabled", "Enabled"]
    assert finding.readability is Readability.DOOMED


def test_a_finding_about_a_key_has_the_date_evidence_and_confidence_of_its_outcome() -> None:
    date = NOW + days(90)
    key = an_aws_key(origin="EXTERNAL", valid_to=date, evidence=(EVIDENCE,))
    finding = found(judged(a_holding(), keys={AWS_KEY: (key, None)}))["material-expires"]
    assert (finding.final_at, finding.evidence, finding.confidence) == (date, (EVIDENCE,), Confidence.PROVEN)
    assert (finding.since, finding.since_source, finding.readability) == (NOW, "first_read", None)


def test_a_loss_that_is_inferred_for_some_of_the_data_is_inferred() -> None:
    past = an_aws_key("PendingDeletion", deletion_date=NOW - days(1))
    finding = found(judged(a_holding(), keys={AWS_KEY: (denied(), remembered(past))}))["data-lost"]
    assert finding.confidence is Confidence.INFERRED


def test_a_cause_shared_by_several_keys_has_the_nearest_date_and_all_their_evidence() -> None:
    store = CustomKeyStore("cks-1", "DISCONNECTED")
    more = replace(EVIDENCE, resource=SECOND_KEY.text)
    keys: dict[KeyName, tuple[KeyReading | None, KeyMemory | None]] = {
        SECOND_KEY: (an_aws_key(name=SECOND_KEY, store=store, evidence=(more,)), None),
        AWS_KEY: (an_aws_key(store=store, evidence=(EVIDENCE,)), None),
    }
    holdings = a_holding(SECOND_KEY, bucket="s3://data"), a_holding(), a_holding(None)
    result = judged(*holdings, keys={**keys, AWS_KEY: (keys[AWS_KEY][0], remembered(an_aws_key()))})
    assert found(result)["data-unreachable"].since_source == "between_polls", "one of the two was seen before"
    blamed, plain = sorted(subjects(Cause, *holdings, keys=keys), key=lambda one: one.readability, reverse=True)
    assert (blamed.keys, plain.keys) == ((AWS_KEY, SECOND_KEY), ())
    assert set(blamed.evidence) == {EVIDENCE, more}
    assert len(blamed.members) == 2


def test_of_two_dates_that_were_told_of_one_instance_the_nearer_counts() -> None:
    second = KeyName(f"{GCP_KEY}-2")
    dates = {GCP_KEY: NOW + days(9), second: NOW + days(2)}
    keys: dict[KeyName, tuple[KeyReading | None, KeyMemory | None]] = {
        name: (replace(a_gcp_key(hsm_instance=HsmInstance("one", "ACTIVE", date)), name=name), None)
        for name, date in dates.items()
    }
    holdings = [a_holding(name, "1", bucket="gs://data") for name in dates]
    (cause,) = subjects(Cause, *holdings, keys=keys)
    assert (cause.keys, cause.final_at) == ((GCP_KEY, second), NOW + days(2))


SINCE: dict[str, tuple[KeyReading, KeyMemory | None, tuple[datetime, str]]] = {
    "dated by the service": (
        a_gcp_key(a_version(state="DESTROYED", destroyed_time=NOW - days(2))),
        remembered(a_gcp_key()),
        (NOW - days(2), "key_state"),
    ),
    "seen changing": (a_gcp_key(a_version(state="DISABLED")), remembered(a_gcp_key()), (NOW, "between_polls")),
    "never found before": (
        a_gcp_key(a_version(state="DISABLED")),
        remembered(None, missing_since=NOW),
        (NOW, "first_read"),
    ),
    "never asked before": (a_gcp_key(a_version(state="DISABLED")), None, (NOW, "first_read")),
}


@pytest.mark.parametrize(("reading", "memory", "since"), SINCE.values(), ids=SINCE)
def test_since_when_is_told_with_its_source(
    reading: KeyReading, memory: KeyMemory | None, since: tuple[datetime, str]
) -> None:
    result = judged(a_holding(GCP_KEY, "1"), keys={GCP_KEY: (reading, memory)})
    (finding,) = (one for one in result.findings if one.readability is not None)
    assert (finding.since, finding.since_source) == since


def test_a_finding_about_a_key_without_data_is_low() -> None:
    key = an_aws_key(access=KeyAccess(public=True, administered=True))
    keys: dict[KeyName, tuple[KeyReading | None, KeyMemory | None]] = {AWS_KEY: (key, None)}
    assert found(judged(keys=keys))["key-public"].severity is Severity.LOW
    assert found(judged(a_holding(), keys=keys))["key-public"].severity is Severity.HIGH


def test_a_bucket_without_data_keeps_its_rules_severity() -> None:
    assert found(judged(buckets=(a_bucket(resolved=9),)))["sweep-incomplete"].severity is Severity.MEDIUM


def refused(**more: Any) -> Probe:
    facts: dict[str, Any] = {"bucket": "s3://data", "key": AWS_KEY.text, "key_version": None, **more}
    return Probe(
        kind=ProbeKind.READ,
        at=NOW - timedelta(minutes=1),
        outcome=ProbeOutcome.REFUSED,
        code="DisabledException",
        principal=None,
        **facts,
    )


OF_ONE = replace(
    refused(bucket="gs://data", key=GCP_KEY.text, key_version="2"),
    code="cloudKmsDisabledKey",
    evidence=(Evidence("storage.objects.get", "k", NOW, None, "1" * 64),),
)
PROBES = {
    "of this data": (refused(), {"data-unreadable": Severity.CRITICAL, "probe-disagrees": Severity.CRITICAL}),
    "of another bucket, by the key itself": (
        refused(bucket="s3://other"),
        {"data-unreadable": Severity.CRITICAL, "probe-disagrees": Severity.CRITICAL},
    ),
    "of another bucket, for want of a right": (replace(refused(bucket="s3://other"), code=NO_RIGHT), {}),
    "of another key": (refused(key=SECOND_KEY.text), {}),
    "of another version": (refused(key_version="2"), {}),
}


@pytest.mark.parametrize(("probe", "rules"), PROBES.values(), ids=PROBES)
def test_a_probe_speaks_of_its_own_data_alone(probe: Probe, rules: dict[str, Severity]) -> None:
    result = judged(a_holding(), keys={AWS_KEY: (an_aws_key(), None)}, probes=(probe,))
    assert {one.rule: one.severity for one in result.findings} == rules


def test_a_cause_is_probed_where_a_probe_is_of_its_own_data() -> None:
    version = a_gcp_key(a_version("1"), a_version("2"))
    holdings = a_holding(GCP_KEY, "1"), a_holding(GCP_KEY, "1", bucket="gs://more"), a_holding(GCP_KEY, "2")
    keys: dict[KeyName, tuple[KeyReading | None, KeyMemory | None]] = {GCP_KEY: (version, None)}
    mine = {"bucket": "gs://data", "key": GCP_KEY.text, "key_version": "1"}
    for other, expected in (
        ({}, [True, False]),
        ({"bucket": "gs://else"}, [False, False]),
        ({"key": AWS_KEY.text}, [False, False]),
        ({"key_version": "3"}, [False, False]),
    ):
        probe = replace(refused(**{**mine, **other}), outcome=ProbeOutcome.INCONCLUSIVE)
        causes = subjects(Cause, *holdings, keys=keys, probes=(probe,))
        assert [one.probed for one in causes] == expected, other


def test_who_must_decrypt_is_known_of_a_cause_where_it_is_of_all_its_data() -> None:
    holdings = a_holding(), a_holding(bucket="s3://more")
    keys: dict[KeyName, tuple[KeyReading | None, KeyMemory | None]] = {AWS_KEY: (an_aws_key(), None)}
    for buckets, known in ((("s3://data", "s3://more"), True), (("s3://data",), False), ((), False)):
        agents: dict[str, tuple[str, ...]] = dict.fromkeys(buckets, (ROLE,))
        (cause,) = subjects(Cause, *holdings, keys=keys, agents=agents)
        assert cause.users_known is known


def test_what_a_bucket_lacks_is_told_of_what_it_lacks_alone() -> None:
    known, unknown = a_holding(), a_holding(None, encryption=Encryption.UNKNOWN, objects=3)
    keys: dict[KeyName, tuple[KeyReading | None, KeyMemory | None]] = {AWS_KEY: (an_aws_key(), None)}
    unknown = replace(unknown, bucket="s3://data")
    coverage = a_bucket(listed=13, resolved=10, unresolved=3)
    one = found(judged(known, unknown, keys=keys, buckets=(coverage,)))["sweep-incomplete"]
    assert (one.extent.objects, one.members) == (3, (member_of(unknown),))
    failed = replace(coverage, last_attempt_failed="denied")
    one = found(judged(known, unknown, keys=keys, buckets=(failed,)))["sweep-incomplete"]
    assert one.extent.objects == 13, "an older sweep says nothing certain of any of it"


def test_what_is_meant_is_marked_so_and_has_no_undo() -> None:
    policy = Policy(revoked={AWS_KEY: None})
    views = {AWS_KEY: KeyView(AWS_KEY, an_aws_key("Disabled"), None)}
    for demanded, meant in ((policy, True), (Policy(), False)):
        facts = Facts(FixedHoldings(a_holding()), views, {}, (), demanded, NOW)
        one = found(judge(facts, load()))["data-unreadable"]
        assert (one.meant, one.undo == ()) == (meant, meant)


def test_a_later_read_of_the_data_itself_overrules_what_the_key_refused_elsewhere() -> None:
    elsewhere = refused(bucket="s3://other")
    for minutes, readable in ((-1, False), (1, True)):
        mine = replace(refused(), outcome=ProbeOutcome.PASSED, code="ok", at=elsewhere.at + timedelta(minutes=minutes))
        result = judged(a_holding(), keys={AWS_KEY: (an_aws_key(), None)}, probes=(elsewhere, mine))
        assert (result.assessed[0].assessment.readability is Readability.READABLE) is readable


def test_what_a_principal_may_do_stays_told_while_its_policies_are_hidden() -> None:
    absent = an_aws_key(access=access(AWS_KEY, Grant.ABSENT))
    agents: dict[str, tuple[str, ...]] = {"s3://data": (ROLE,)}
    first = judged(a_holding(), keys={AWS_KEY: (absent, None)}, agents=agents)
    revoked = found(first)["data-revoked"]
    hidden = an_aws_key(access=access(AWS_KEY, Grant.UNREAD, unread=(("kms:GetKeyPolicy", Reason.ACCESS_DENIED),)))
    later = judged(a_holding(), keys={AWS_KEY: (hidden, remembered(absent, barred=(ROLE,)))}, agents=agents)
    assert revoked.id in later.undecided


def test_that_a_key_is_not_found_yet_resolves_no_finding_about_its_data() -> None:
    first = judged(a_holding(), keys={AWS_KEY: (an_aws_key("Disabled"), None)})
    (open_one,) = first.findings
    gone = KeyGone(AWS_KEY, proven=False)
    later = judged(a_holding(), keys={AWS_KEY: (gone, remembered(an_aws_key("Disabled")))})
    assert open_one.id in later.undecided
    kept = lifecycle.carry_on(later.findings, first.findings, NOW, later.undecided)
    assert {one.rule: one.status for one in kept}["data-unreadable"] is Status.OPEN


def test_a_contradiction_under_one_bucket_is_told_although_another_was_never_tried() -> None:
    read = replace(refused(), outcome=ProbeOutcome.PASSED, code="ok")
    holdings = a_holding(bucket="s3://another"), a_holding()
    result = judged(*holdings, keys={AWS_KEY: (an_aws_key("Disabled"), None)}, probes=(read,))
    assert found(result)["probe-disagrees"].severity is Severity.HIGH


def test_a_right_that_is_refused_under_one_version_is_missing_for_the_data_under_another() -> None:
    probe = replace(refused(bucket="gs://b", key=GCP_KEY.text, key_version="2"), code=NO_RIGHT, principal=AGENT)
    key = a_gcp_key(a_version("1"), a_version("2"))
    for agent, rules in ((AGENT, {"data-revoked", "probe-disagrees"}), (f"other-{AGENT}", set())):
        result = judged(
            a_holding(GCP_KEY, "1"), keys={GCP_KEY: (key, None)}, agents={"gs://data": (agent,)}, probes=(probe,)
        )
        assert {one.rule for one in result.findings if one.readability is not None} == rules


UNNAMED: dict[str, tuple[tuple[Probe, ...], Readability]] = {
    "nothing was tried": ((), Readability.READABLE),
    "refused": ((OF_ONE,), Readability.UNKNOWN),
    "refused through another bucket": ((replace(OF_ONE, bucket="gs://b"),), Readability.UNKNOWN),
    "a later read passed": (
        (OF_ONE, replace(OF_ONE, outcome=ProbeOutcome.PASSED, code="ok", at=NOW)),
        Readability.READABLE,
    ),
    "another key": ((replace(OF_ONE, key=f"{GCP_KEY}x"),), Readability.READABLE),
    "passed": ((replace(OF_ONE, outcome=ProbeOutcome.PASSED, code="ok"),), Readability.READABLE),
}


@pytest.mark.parametrize(("probes", "readability"), UNNAMED.values(), ids=UNNAMED)
def test_data_that_names_no_version_may_hang_on_one_that_is_refused(
    probes: tuple[Probe, ...], readability: Readability
) -> None:
    evidence = (Evidence("cloudkms:GetCryptoKey", "k", NOW, None, "0" * 64),)
    key = a_gcp_key(a_version("1"), a_version("2"), evidence=evidence)
    (one,) = judged(a_holding(GCP_KEY), keys={GCP_KEY: (key, None)}, probes=probes).assessed
    assert one.assessment.readability is readability
    if readability is Readability.UNKNOWN:
        assert "under version 2 was refused (cloudKmsDisabledKey)" in one.assessment.cause
        assert one.assessment.evidence == (*evidence, *OF_ONE.evidence)
    worse = a_gcp_key(a_version("1", "DISABLED"), a_version("2", "DISABLED"))
    (one,) = judged(a_holding(GCP_KEY), keys={GCP_KEY: (worse, None)}, probes=probes).assessed
    assert one.assessment.readability is Readability.UNREADABLE


def test_a_date_stays_where_a_version_is_refused_on_which_data_may_hang() -> None:
    date = NOW + days(3)
    instance = HsmInstance("i", "ACTIVE", disable_time=date)
    key = a_gcp_key(a_version("1"), a_version("2"), hsm_instance=instance)
    (one,) = judged(a_holding(GCP_KEY), keys={GCP_KEY: (key, None)}, probes=(OF_ONE,)).assessed
    assert (one.assessment.readability, one.assessment.final_at) == (Readability.UNKNOWN, date)
    assert [readability for _, readability in one.assessment.shadowed] == [Readability.EXPIRING]


def test_what_a_store_failed_is_not_forgotten_because_that_data_is_hidden() -> None:
    store = CustomKeyStore("cks-1", "CONNECTED")
    failed = replace(refused(key=SECOND_KEY.text), code="KMSInvalidStateException")
    views = {AWS_KEY: KeyView(AWS_KEY, an_aws_key(store=store), None)}
    unseen = {SECOND_KEY: KeyView(SECOND_KEY, None, remembered(an_aws_key(name=SECOND_KEY, store=store)))}
    both = {**views, **unseen}
    for holdings, seen, hidden, readability in (
        ((), views, {}, Readability.READABLE),
        ((), views, unseen, Readability.UNKNOWN),
        ((), both, {}, Readability.READABLE),
        ((a_holding(SECOND_KEY, bucket="s3://b"),), both, {}, Readability.UNKNOWN),
    ):
        mine = FixedHoldings(a_holding(), *holdings)
        result = judge(Facts(mine, seen, {}, (), Policy(), NOW, (failed,), hidden), load())
        assert result.assessed[0].assessment.readability is readability
        assert bool(result.failing) is (readability is Readability.UNKNOWN)
        assert len(result.assessed) == 1 + len(holdings), "what is hidden is not judged itself"


def test_an_inventory_that_does_not_answer_for_every_finding_is_an_error() -> None:
    class Short(FixedHoldings):
        def extents(self, wanted: Iterable[Iterable[Member]]) -> tuple[Extent, ...]:
            return super().extents(wanted)[:-1]

    views = {AWS_KEY: KeyView(AWS_KEY, an_aws_key("Disabled"), None)}
    with pytest.raises(ValueError, match="shorter"):
        judge(Facts(Short(a_holding()), views, {}, (), Policy(), NOW), load())


def test_what_is_proven_for_one_bucket_and_inferred_for_another_is_inferred() -> None:
    probe = replace(refused(bucket="gs://b", key=GCP_KEY.text, key_version="1"), code=NO_RIGHT, principal=AGENT)
    key = a_gcp_key(access=access(GCP_KEY, Grant.ABSENT))
    holdings = a_holding(GCP_KEY, "1"), a_holding(GCP_KEY, "1", bucket="gs://b")
    result = judged(*holdings, keys={GCP_KEY: (key, None)}, agents={"gs://data": (AGENT,)}, probes=(probe,))
    assert {one.assessment.confidence for one in result.assessed} == set(Confidence)
    finding = found(result)["data-revoked"]
    assert (finding.confidence, len(finding.members)) == (Confidence.INFERRED, 2)


def test_a_key_is_judged_with_its_own_data_and_the_principals_of_its_buckets() -> None:
    granted = an_aws_key(access=access(AWS_KEY, Grant.DIRECT))
    keys: dict[KeyName, tuple[KeyReading | None, KeyMemory | None]] = {
        AWS_KEY: (granted, None),
        SECOND_KEY: (an_aws_key("Disabled", name=SECOND_KEY), None),
    }
    agents = {"s3://data": (ROLE,), "s3://b": ("other",)}
    first, second = subjects(
        HeldKey, a_holding(), a_holding(bucket="s3://c"), a_holding(None), keys=keys, agents=agents
    )
    assert (first.name, first.platform, len(first.assessments), len(first.members)) == (AWS_KEY, (ROLE,), 2, 2)
    assert (second.name, second.platform, second.assessments, second.members) == (SECOND_KEY, (), (), ())


def test_a_bucket_is_judged_with_its_own_data() -> None:
    mine = a_holding(None), a_holding()
    keys: dict[KeyName, tuple[KeyReading | None, KeyMemory | None]] = {AWS_KEY: (an_aws_key(), None)}
    own = replace(mine[0], bucket="s3://data")
    (bucket,) = subjects(
        SweptBucket, own, mine[1], a_holding(bucket="s3://other"), keys=keys, buckets=(a_bucket("s3://data"),)
    )
    assert bucket.members == (member_of(mine[1]), member_of(own)), "sorted, whatever they lack"


LAST_READ: dict[str, tuple[KeyReading | None, KeyMemory | None, datetime | None]] = {
    "an AWS key": (an_aws_key(), None, NOW),
    "a key on Google Cloud": (a_gcp_key(), None, NOW),
    "a key that is gone": (KeyGone(AWS_KEY, proven=False), None, NOW),
    "being created again": (an_aws_key("Creating"), remembered(an_aws_key()), NOW - timedelta(minutes=1)),
    "being created": (an_aws_key("Creating"), None, NOW),
    "still being created": (an_aws_key("Creating"), remembered(an_aws_key("Creating")), NOW),
    "denied after an answer": (denied(), remembered(an_aws_key()), NOW - timedelta(minutes=1)),
    "not asked after an answer": (None, remembered(an_aws_key()), NOW - timedelta(minutes=1)),
    "not asked, and not there before": (None, remembered(None, missing_since=NOW, missing_until=NOW), NOW),
    "denied, and not there before": (denied(), remembered(None, missing_since=NOW, missing_until=NOW), NOW),
    "not there after an answer, and throttled": (
        denied(reason=Reason.THROTTLED),
        remembered(an_aws_key(), days(100), missing_since=NOW - days(99), missing_until=NOW),
        NOW,
    ),
    "not found, and not among those that were deleted": (
        denied(reason=Reason.NOT_FOUND),
        remembered(an_aws_key(), days(100), missing_since=NOW - days(99), missing_until=NOW),
        NOW - days(100),
    ),
    "not there after an answer, as the service settled, and not found": (
        denied(reason=Reason.NOT_FOUND),
        remembered(an_aws_key(), days(100), missing_since=NOW - days(99), missing_until=NOW, missing_proven=True),
        NOW,
    ),
    "not found, and never asked before": (denied(reason=Reason.NOT_FOUND), None, None),
    "denied and never read": (denied(), None, None),
    "never asked": (None, None, None),
}


@pytest.mark.parametrize(("reading", "memory", "expected"), LAST_READ.values(), ids=LAST_READ)
def test_a_key_was_last_read_when_it_last_gave_a_state(
    reading: KeyReading | None, memory: KeyMemory | None, expected: datetime | None
) -> None:
    assert last_read(KeyView(AWS_KEY, reading, memory), NOW) == expected


def test_only_findings_about_whole_keys_stay_undecided() -> None:
    result = judged(a_holding(), keys={AWS_KEY: (denied(), None)})
    key = Subject(SubjectKind.KEY, AWS_KEY.text)
    about_keys = {rule.finding_id(key) for rule in load() if rule.subject in {HeldKey, PlacedKey}}
    assert result.undecided
    assert result.undecided <= about_keys


class Counting(FixedHoldings):
    """Holdings that count how often somebody asks how much they are."""

    asked = 0

    def extents(self, wanted: Iterable[Iterable[Member]]) -> tuple[Extent, ...]:
        self.asked += 1
        return super().extents(wanted)


def test_what_hangs_on_a_thousand_dead_keys_is_asked_for_once() -> None:
    names = [KeyName(f"{AWS_KEY.text[:-4]}{number:04}") for number in range(1_000)]
    holdings = Counting(*(a_holding(name, bucket="s3://data", objects=number) for number, name in enumerate(names)))
    views = {name: KeyView(name, an_aws_key("Disabled", name=name), None) for name in names}
    told = judge(Facts(holdings, views, {}, (), Policy(), NOW), load()).findings
    assert sorted(one.extent.objects or 0 for one in told if one.rule == "data-unreadable") == list(range(1_000))
    assert holdings.asked == 1
