"""What a control says: three states, and nothing but a whole look makes it "no exception found"."""

from dataclasses import replace
from datetime import datetime, timedelta
from itertools import product
from typing import Any

import pytest

from auditor.controls.answer import RuleStanding, State
from auditor.controls.framework import Confidence
from auditor.controls.standing import BLOCKING, of_rules, standings
from auditor.findings import Basis, Counted, Judgement, Status, Subject, SubjectKind, Tally, Verdict, View
from auditor.gaps import CLOCKS, OBJECTS, REGISTRIES, is_narrow, is_of_probe
from auditor.model import (
    Cloud,
    Encryption,
    Gap,
    GcpKeyVersion,
    Grant,
    KeyMemory,
    KeyName,
    KeyReading,
    Population,
    ProbeOutcome,
    Reason,
)
from auditor.ownership.owned import HeardRegistry, OwnedBucket, OwnedKey, PlacedKey
from auditor.ownership.registered import Registered, Registry
from auditor.rules import load
from auditor.waiver import GivenWaiver, Waiver
from tests.controls.judgements import GOOGLE, GOOGLE_READ, READ, a_framework, a_judgement, told
from tests.core_builders import (
    AWS_KEY,
    GCP_KEY,
    NOW,
    a_gcp_key,
    a_holding,
    a_version,
    access,
    an_aws_key,
    days,
    denied,
)
from tests.test_engine import a_bucket, refused

DEAD = {AWS_KEY: (an_aws_key("Disabled", **READ), None)}
GOOGLE_BUCKET = a_bucket("gs://data")


def a_gap(what: str = "s3://data", effect: str = "nothing is known of its objects") -> Gap:
    return Gap(what, Reason.ACCESS_DENIED, effect, "grant it")


def test_a_whole_look_that_finds_nothing_says_so() -> None:
    control = told(a_judgement(), "data-lost", "data-unreadable", "data-revoked", "sweep-stale")
    assert (control.state, control.reasons, control.unseen, control.idle) == (State.NONE, (), (), ())


def test_one_failed_rule_makes_an_exception_whatever_the_others_say() -> None:
    control = told(a_judgement(keys=DEAD), "data-lost", "data-unreadable", "wrong-key")
    assert control.state is State.EXCEPTION
    found = {one.rule: one for one in control.rules}
    assert [one.rule for one in found["data-unreadable"].findings] == ["data-unreadable"]
    assert (found["data-lost"].state, found["wrong-key"].state) == (State.NONE, State.OPEN)


LATER = NOW + days(30)


def a_waiver(until: datetime = LATER, reason: str = "migration planned") -> Waiver:
    return Waiver("data-unreadable", until, "security@acme.example", "ciso@acme.example", reason)


def test_a_waived_finding_stays_an_exception_with_whoever_answers_for_it() -> None:
    judgement = a_judgement(keys=DEAD)
    (one,) = (each for each in judgement.findings if each.rule == "data-unreadable")
    rest = tuple(each for each in judgement.findings if each is not one)
    given = (
        GivenWaiver(a_waiver(), covers=(one.id,)),
        GivenWaiver(a_waiver(NOW, "over"), covers=(one.id,)),
        GivenWaiver(a_waiver(reason="of another"), covers=("another",)),
    )
    waived = replace(judgement, findings=(*rest, replace(one, status=Status.WAIVED)), waivers=given)
    control = told(waived, "data-unreadable")
    (rule,) = control.rules
    assert (control.state, rule.findings) == (State.EXCEPTION, ())
    ((excused,),) = (rule.excused,)
    assert (excused.finding.id, excused.waivers) == (one.id, (a_waiver(),))


def test_what_ended_is_no_exception_and_what_nobody_tells_of_any_more_is_one() -> None:
    """A finding that is left open because nothing upholds or refutes it did not fail now."""
    dead = a_judgement(keys=DEAD)
    (one,) = (each for each in dead.findings if each.rule == "data-unreadable")
    well = a_judgement()
    assert told(replace(well, findings=(replace(one, status=Status.RESOLVED),)), "data-unreadable").state is State.NONE
    assert told(replace(well, findings=(one,)), "data-unreadable").state is State.EXCEPTION


UNSEEN = {
    "no whole sweep": ({"buckets": (a_bucket(complete=False, listed=0, resolved=0),)}, "no whole sweep is in force"),
    "an object without a known key": (
        {"buckets": (a_bucket(resolved=9, unresolved=1),)},
        "the encryption of 1 objects is not known",
    ),
    "a population that the config leaves out": (
        {"buckets": (a_bucket(left_out=(Population.NONCURRENT, Population.SOFT_DELETED)),)},
        "the config leaves out its noncurrent and soft-deleted objects",
    ),
    "a gap of the bucket": ({"gaps": (a_gap(),)}, "nothing is known of its objects"),
    "a clock that is wrong": ({"gaps": (a_gap(CLOCKS, "clocks part by a day"),)}, "clocks part by a day"),
}


@pytest.mark.parametrize(("facts", "why"), UNSEEN.values(), ids=UNSEEN)
@pytest.mark.parametrize("rule", ["data-lost", "rotation-off", "weak-algorithm"])
def test_what_was_not_seen_may_hold_an_exception(rule: str, facts: dict[str, Any], why: str) -> None:
    control = told(a_judgement(**facts), rule)
    assert control.state is State.OPEN
    assert any(why in one for one in control.unseen)


def test_a_gap_is_told_once_in_its_own_words() -> None:
    effect = "the encryption of 1 objects is not known"
    judgement = a_judgement(buckets=(a_bucket(resolved=9, unresolved=1),), gaps=(a_gap(effect=effect),))
    assert told(judgement, "data-lost").unseen.count(f"s3://data: {effect}") == 1


@pytest.mark.parametrize(("count", "more"), [(5, ()), (6, ("1 more of this kind",))])
def test_of_many_gaps_the_first_are_told_and_the_others_counted(count: int, more: tuple[str, ...]) -> None:
    judgement = a_judgement(gaps=[a_gap(effect=f"gap {number}") for number in range(count)])
    assert told(judgement, "data-lost").unseen == (*(f"s3://data: gap {number}" for number in range(5)), *more)


@pytest.mark.parametrize(
    "effect",
    [
        "unfinished multipart uploads are not counted (AccessDenied)",
        "what it makes of new objects whose writer names no key is not known: its default is of a kind",
        "no probe reads its objects: it is damaged",
    ],
)
def test_a_gap_that_leaves_no_object_in_doubt_stands_in_no_way(effect: str) -> None:
    assert is_narrow(a_gap(effect=effect))
    assert told(a_judgement(gaps=(a_gap(effect=effect),)), "data-lost").state is State.NONE


def test_gaps_of_what_is_in_no_config_stand_in_no_way() -> None:
    judgement = a_judgement(gaps=(a_gap("list of all buckets"), a_gap("s3://of-another-config")))
    assert told(judgement, "data-lost").state is State.NONE


STALE = {
    "sweep-stale": {"buckets": (a_bucket(sweep_started=NOW - days(2)),)},
    "sweep-incomplete": {"buckets": (a_bucket(last_attempt_failed="access denied"),)},
    "key-state-unknown": {"keys": {AWS_KEY: (an_aws_key("Frozen"), None)}},
    "poll-stale": {},
    "feed-silent": {},
}


def passing(judgement: Judgement, rule: str, verdict: Verdict = Verdict.PASSED, **more: Any) -> Judgement:
    """As if a rule had said so of one thing on AWS, and of nothing else."""
    rest = (one for one in judgement.tallies if one.rule != rule)
    tally = Tally(rule, {verdict: 1}, (Counted(Cloud.AWS, {verdict: 1}, **more),))
    return replace(judgement, tallies=(*rest, tally))


@pytest.mark.parametrize(("rule", "facts"), STALE.items(), ids=STALE)
def test_while_a_rule_about_the_answer_itself_fails_the_others_prove_nothing(rule: str, facts: dict[str, Any]) -> None:
    judgement = a_judgement(**facts) if facts else passing(a_judgement(), rule, Verdict.FAILED)
    control = told(judgement, "data-lost")
    assert control.state is State.OPEN
    assert f"{rule} found an exception" in control.unseen
    assert told(judgement, rule).state is State.EXCEPTION


def test_the_rules_about_the_answer_itself_are_judged_by_what_the_config_names() -> None:
    """A bucket that was never swept is no hole in the rule that says so of every bucket."""
    judgement = a_judgement(buckets=(a_bucket(), a_bucket("s3://more", complete=False, listed=0, resolved=0)))
    assert told(judgement, "sweep-incomplete").state is State.EXCEPTION
    assert (told(judgement, "sweep-stale").state, told(judgement, "sweep-stale").unseen) == (State.NONE, ())
    assert told(passing(judgement, "feed-silent"), "feed-silent").state is State.NONE
    assert set(BLOCKING) < {one.id for one in load()}


OWNED = {
    "wrong-key": OwnedKey,
    "mixed-keys": OwnedBucket,
    "key-location-mismatch": PlacedKey,
    "registry-mismatch": HeardRegistry,
}


@pytest.mark.parametrize(("rule", "subject"), OWNED.items(), ids=OWNED)
def test_what_a_registry_did_not_tell_stands_in_the_way_of_rules_about_owners(rule: str, subject: type) -> None:
    assert next(one.subject for one in load() if one.id == rule) is subject
    registered = Registered("d", (Registry("file r.csv", ("s3://data",), 1, NOW),))
    judgement = passing(a_judgement(registered=registered), rule)
    assert told(judgement, rule).state is State.NONE
    for name in ("file r.csv", REGISTRIES):
        lacking = replace(judgement, gaps=(a_gap(name, "it could not be read"),))
        assert told(lacking, rule).reasons == ((rule, f"{name}: it could not be read"),)
        assert told(lacking, "data-lost").state is State.NONE
        keys_only = replace(lacking, coverage=replace(lacking.coverage, buckets=()))
        assert (told(keys_only, rule).reasons, told(keys_only, rule).unseen) == ((), (f"{name}: it could not be read",))


def test_of_every_rule_it_can_be_said_what_it_could_not_judge() -> None:
    nouns = set()
    for rule in load():
        first, *_ = told(passing(a_judgement(), rule.id, Verdict.UNKNOWN), rule.id).reasons
        nouns.add(first[1].removeprefix("not known for 1 of 1 "))
    of_data = {"buckets", "checks of registries", "keys", "parts of the data"}
    assert nouns == of_data | {"audit logs", "changes", "feeds", "waivers"}


def test_the_most_frequent_reasons_are_told() -> None:
    keys = [KeyName(f"{AWS_KEY.text[:-1]}{number}") for number in range(2, 6)]
    holdings = [a_holding(keys[3], bucket="s3://more"), *(a_holding(one) for one in reversed(keys))]
    silent: dict[KeyName, tuple[KeyReading | None, KeyMemory | None]] = {
        one: (replace(denied(one), detail=f"detail {place}"), None) for place, one in enumerate(keys)
    }
    head, *whys = (why for _, why in told(a_judgement(*holdings, keys=silent), "data-lost").reasons)
    assert head == "not known for 4 of 4 parts of the data"
    assert [why[-1] for why in whys] == ["3", "0", "1"]


def test_a_change_that_nobody_explains_says_why() -> None:
    dead = a_judgement(keys=DEAD)
    findings = tuple(replace(one, unattributed=f"because of {one.rule}") for one in dead.findings)
    judgement = passing(replace(dead, findings=findings), "unattributed-change", Verdict.UNKNOWN)
    assert ("unattributed-change", "because of data-unreadable") in told(judgement, "unattributed-change").reasons


def test_how_often_a_rule_said_what_is_told() -> None:
    counts = {Verdict.PASSED: 1, Verdict.FAILED: 2, Verdict.UNKNOWN: 3, Verdict.NOT_APPLICABLE: 4}
    part = Counted(Cloud.AWS, counts, untold=2)
    judgement = replace(a_judgement(), tallies=(Tally("rotation-off", counts, (part,)),))
    (rule,) = told(judgement, "rotation-off").rules
    assert (rule.passed, rule.failed, rule.unknown, rule.apart) == (1, 2, 3, 4)
    assert rule.reasons == ("not known for 3 of 10 keys and nobody says, or looked, what to judge 2 of 10 keys by",)
    assert rule.state is State.EXCEPTION


def test_a_rule_that_could_not_tell_of_one_key_is_not_evaluated() -> None:
    keys = {AWS_KEY: (denied(), None)}
    control = told(a_judgement(keys=keys), "rotation-off")
    assert control.state is State.OPEN
    assert ("rotation-off", "not known for 1 of 1 keys") in control.reasons
    assert ("rotation-off", "the key never gave a state: key-state-unknown speaks of it") in control.reasons
    control = told(a_judgement(keys=keys), "data-lost")
    assert control.reasons[0] == ("data-lost", "not known for 1 of 1 parts of the data")
    assert "was never read" in control.reasons[1][1]


def test_a_rule_that_applies_to_nothing_proves_nothing_and_stands_in_no_way() -> None:
    alone = told(a_judgement(), "revocation-incomplete")
    assert (alone.state, alone.idle, alone.reasons) == (State.OPEN, ("revocation-incomplete",), ())
    beside = told(a_judgement(), "data-lost", "revocation-incomplete")
    assert (beside.state, beside.idle) == (State.NONE, ("revocation-incomplete",))
    assert told(a_judgement(), "revocation-incomplete", "material-expires").state is State.OPEN


NOBODY_SAYS = {
    "wrong-key": "no registry knows it",
    "foreign-tenant-key": "neither [[key]] nor a registry says whose key it is, or several tenants share it",
    "protection-level": "[policy] allowed_protection_levels names none, so that every one is allowed",
    "bucket-default-mismatch": "nobody declares a key for its namespaces",
    "registry-mismatch": "no registry is configured",
}


@pytest.mark.parametrize(("rule", "why"), NOBODY_SAYS.items(), ids=NOBODY_SAYS)
def test_what_nobody_says_what_to_judge_by_stands_in_the_way(rule: str, why: str) -> None:
    """It is not applicable for people, and still not evaluated: with a registry it might be an exception."""
    control = told(a_judgement(), "data-lost", rule)
    assert (control.state, control.idle) == (State.OPEN, ())
    assert (rule, why) in control.reasons


@pytest.mark.parametrize("rule", ["grant-missing", "grant-too-wide"])
def test_where_nobody_is_named_who_must_decrypt_no_grant_is_judged(rule: str) -> None:
    control = told(a_judgement(named=False), "data-lost", rule)
    assert (control.state, control.idle) == (State.OPEN, ())
    assert (rule, "who must be able to use the key is not known: [platform] names nobody") in control.reasons


def test_a_version_that_may_be_unused_and_is_not_proven_so_is_not_judged() -> None:
    judgement = a_judgement(a_holding(GCP_KEY), buckets=(GOOGLE_BUCKET,))
    control = told(judgement, "retirable-version")
    assert (control.state, control.idle) == (State.OPEN, ())
    assert ("retirable-version", "data that names no version may be under any of them") in control.reasons


SUBJECTS = {
    "a key": (SubjectKind.KEY, AWS_KEY.text, Cloud.AWS),
    "a version": (SubjectKind.KEY_VERSION, f"{GCP_KEY}/cryptoKeyVersions/1", Cloud.GCP),
    "a key store": (SubjectKind.KEY_STORE, "111122223333/us-east-1/cks-1", Cloud.AWS),
    "who may use a key": (SubjectKind.PRINCIPAL, f"somebody@acme.example -> {GCP_KEY}", Cloud.GCP),
    "a bucket of S3": (SubjectKind.BUCKET, "s3://data", Cloud.AWS),
    "a bucket of Google": (SubjectKind.BUCKET, "gs://data", Cloud.GCP),
    "a queue": (SubjectKind.FEED, "https://sqs.us-east-1.amazonaws.com/111122223333/q", Cloud.AWS),
    "an audit log": (SubjectKind.AUDIT_LOG, "cloudtrail/111122223333", Cloud.AWS),
    "a waiver": (SubjectKind.WAIVER, "data-lost: bucket gs://data", None),
    "a registry": (SubjectKind.REGISTRY, "file r.csv (dispute)", None),
}


@pytest.mark.parametrize(("kind", "name", "cloud"), SUBJECTS.values(), ids=SUBJECTS)
def test_whose_a_subject_is_its_name_tells(kind: SubjectKind, name: str, cloud: Cloud | None) -> None:
    assert Subject(kind, name).cloud is cloud


def test_an_audit_log_that_answered_says_nothing_of_others() -> None:
    assert told(passing(a_judgement(), "audit-log-off"), "audit-log-off").state is State.OPEN


def test_data_that_counts_as_readable_by_its_keys_state_alone_proves_no_right_to_it() -> None:
    keys = {AWS_KEY: (an_aws_key(), None)}
    judgement = a_judgement(keys=keys)
    assert {one.assessment.basis for one in judgement.assessed} == {Basis.STATE}
    control = told(judgement, "data-revoked")
    assert control.state is State.OPEN
    assert control.reasons[0][1].startswith("under 1 keys data counts as readable by their state")
    assert told(judgement, "data-lost").state is State.NONE
    assert told(judgement, "data-revoked", cloud=Cloud.GCP).reasons == ()
    (one,) = judgement.assessed
    for basis in Basis:
        assessed = (replace(one, assessment=replace(one.assessment, basis=basis)),)
        is_proven = told(replace(judgement, assessed=assessed), "data-revoked").state is State.NONE
        assert is_proven is (basis in {Basis.POLICY, Basis.PROBE}), basis


def test_data_under_no_customers_key_needs_no_policy() -> None:
    judgement = a_judgement(a_holding(None), a_holding())
    assert told(judgement, "data-revoked").state is State.NONE


def test_what_stands_behind_keys_and_was_not_looked_at_may_stop_every_read() -> None:
    name = "projects/acme-keys/locations/us-east1/ekmConnections/vault"
    gap = a_gap(name, "whether Cloud KMS reaches the external key manager behind it is not known")
    judgement = a_judgement(GOOGLE, buckets=(GOOGLE_BUCKET,), gaps=(gap,))
    assert told(judgement, "data-unreachable").reasons == (("data-unreachable", f"{name}: {gap.effect}"),)
    assert told(judgement, "weak-algorithm").reasons == ()
    instance = replace(gap, what="projects/acme-keys/locations/us-east1/singleTenantHsmInstances/one")
    assert told(replace(judgement, gaps=(instance,)), "data-unreachable").state is State.OPEN


def test_a_probe_that_told_nothing_agrees_with_nothing() -> None:
    probe = replace(refused(), outcome=ProbeOutcome.INCONCLUSIVE, code="NoSuchKey")
    gap = a_gap(AWS_KEY.text, "a probe of s3://data told nothing (NoSuchKey)")
    assert is_of_probe(gap)
    assert told(a_judgement(probes=(probe,)), "probe-disagrees").state is State.NONE
    assert told(a_judgement(probes=(probe,), gaps=(gap,)), "probe-disagrees").state is State.OPEN
    assert told(a_judgement(), "probe-disagrees").state is State.OPEN


def test_a_framework_of_one_cloud_is_judged_by_what_is_on_it() -> None:
    dead: tuple[GcpKeyVersion, ...] = (a_version("1", "DISABLED"),)
    keys = {GCP_KEY: (a_gcp_key(*dead, **GOOGLE_READ), None)}
    both = a_judgement(a_holding(), GOOGLE, keys=keys, buckets=(a_bucket(), GOOGLE_BUCKET))
    states = {cloud: told(both, "data-unreadable", cloud=cloud).state for cloud in (None, *Cloud)}
    assert states == {None: State.EXCEPTION, Cloud.AWS: State.NONE, Cloud.GCP: State.EXCEPTION}
    one = a_judgement()
    assert told(one, "data-unreadable", cloud=Cloud.AWS).state is State.NONE
    assert (
        told(one, "data-unreadable", cloud=Cloud.GCP).state,
        told(one, "data-unreadable", cloud=Cloud.GCP).idle,
    ) == (
        State.OPEN,
        ("data-unreadable",),
    )


def test_what_was_not_seen_of_one_cloud_stands_in_no_way_of_the_other() -> None:
    lacking = a_bucket("gs://data", complete=False, listed=0, resolved=0)
    judgement = a_judgement(a_holding(), GOOGLE, buckets=(a_bucket(), lacking))
    assert told(judgement, "data-lost", cloud=Cloud.AWS).state is State.NONE
    assert told(judgement, "data-lost", cloud=Cloud.GCP).state is told(judgement, "data-lost").state is State.OPEN


def test_a_judgement_of_an_older_version_that_told_no_clouds_apart_proves_nothing() -> None:
    judgement = a_judgement()
    old = replace(judgement, tallies=tuple(replace(one, parts=None) for one in judgement.tallies))
    assert {one.state for one in of_rules(old, load()).values()} == {State.OPEN}
    assert {one.state for one in of_rules(replace(judgement, tallies=()), load()).values()} == {State.OPEN}
    (why,) = told(replace(judgement, tallies=()), "data-lost").reasons
    assert why == ("data-lost", "what it found was not told cloud by cloud, or it was not put at all: poll again")
    (never,) = told(judgement, "no-such-rule").rules
    reasons = ("no such rule judged here",)
    assert never == RuleStanding("no-such-rule", State.OPEN, 0, 0, 0, 0, reasons=reasons)


def test_without_a_bucket_the_keys_that_are_named_can_be_judged_and_their_data_cannot() -> None:
    registry = Registry("file r.csv", ("file r.csv",), 1, NOW)
    gap = a_gap(OBJECTS, "no bucket is configured")
    judgement = a_judgement(buckets=(), gaps=(gap,), registered=Registered("d", (registry,)))
    assert told(judgement, "data-lost").unseen == (f"{OBJECTS}: no bucket is configured",)
    assert told(judgement, "key-public").unseen == ()
    unread = replace(judgement, gaps=(gap, a_gap(registry.name, "it could not be read")))
    assert told(unread, "key-public").unseen == (f"{registry.name}: it could not be read",)


def test_nothing_at_all_is_not_evaluated() -> None:
    judgement = replace(a_judgement(buckets=()), assessed=(), tallies=())
    assert {one.state for one in of_rules(judgement, load()).values()} == {State.OPEN}


def test_what_is_from_memory_is_never_told() -> None:
    framework = a_framework("data-lost", confidence=Confidence.MEMORY)
    (standing,) = standings(a_judgement(), load(), (framework,))
    assert (standing.controls, standing.beside, framework.related("data-lost")) == ((), (), ())
    assert len(framework.every) == 1


def test_a_control_that_no_rule_judges_is_in_no_count() -> None:
    (standing,) = standings(a_judgement(), load(), (a_framework(),))
    assert (standing.controls, [one.id for one in standing.beside]) == ((), ["X-1"])
    assert [standing.count(state) for state in State] == [0, 0, 0]


def test_no_state_of_a_key_makes_a_control_well_that_is_not() -> None:
    """Over states, policies and sweeps: "no exception found" needs each rule judged, and nothing found or unseen."""
    rules = ("data-doomed", "data-lost", "data-revoked", "data-unreachable", "data-unreadable", "key-state-unknown")
    states = ("Enabled", "Disabled", "PendingDeletion", "Unavailable", "Frozen", "PendingImport")
    grants = (Grant.DIRECT, Grant.ABSENT, Grant.UNREAD)
    buckets = (a_bucket(), a_bucket(resolved=9, unresolved=1), a_bucket(sweep_started=NOW - timedelta(hours=25)))
    well = 0
    for state, grant, bucket in product(states, grants, buckets):
        facts = {"deletion_date": NOW + days(9)} if state == "PendingDeletion" else {}
        key = an_aws_key(state, access=access(AWS_KEY, grant), **facts)
        judgement = a_judgement(keys={AWS_KEY: (key, None)}, buckets=(bucket,))
        control = told(judgement, *rules)
        is_well = (state, grant, bucket) == ("Enabled", Grant.DIRECT, a_bucket())
        assert (control.state is State.NONE) is is_well, (state, grant, bucket)
        failed = any(one.rule in rules for one in judgement.findings)
        assert (control.state is State.EXCEPTION) is failed, (state, grant, bucket)
        well += is_well
    assert well == 1
    assert a_holding().encryption is Encryption.CMEK


def test_to_a_tenant_it_is_not_told_how_many_of_the_fleet_are_not_known() -> None:
    judgement = passing(a_judgement(), "data-lost", Verdict.UNKNOWN, whys=("key not read",))
    view = replace(judgement, view=View("acme"))
    whole = "not known for all parts of the data: how many of those are this tenant's is not counted"
    assert told(view, "data-lost").reasons[0] == ("data-lost", whole)
    assert not any("of 1" in why for _, why in told(view, "data-lost").reasons)
    assert told(judgement, "data-lost").reasons[0] == ("data-lost", "not known for 1 of 1 parts of the data")
    keys = passing(a_judgement(), "primary-unusable", Verdict.UNKNOWN, whys=("key not read",))
    reasons = told(replace(keys, view=View("acme")), "primary-unusable").reasons
    assert reasons[1:] == (("primary-unusable", "key not read"),)


def test_what_is_the_operators_is_judged_in_no_tenants_view() -> None:
    judgement = a_judgement()
    view = replace(judgement, view=View("acme"), tallies=())
    assert told(view, "data-lost").reasons == (
        ("data-lost", "what it is about is the operator's, and in no tenant's view"),
    )
