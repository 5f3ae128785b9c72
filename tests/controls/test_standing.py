"""What a control says: three states, and nothing but a whole look makes it "no exception found"."""

from dataclasses import replace
from datetime import datetime, timedelta
from itertools import product
from typing import Any

import pytest

from auditor.controls.answer import State
from auditor.controls.framework import Confidence
from auditor.controls.standing import BLOCKING, of_rules, standings
from auditor.findings import Basis, Counted, Status, Tally, Verdict
from auditor.gaps import CLOCKS, OBJECTS, is_narrow, is_of_probe
from auditor.model import Cloud, Encryption, Gap, GcpKeyVersion, Grant, Population, ProbeOutcome, Reason
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
        GivenWaiver(a_waiver(NOW - days(1), "over"), covers=(one.id,)),
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


def test_of_many_gaps_the_first_are_told_and_the_others_counted() -> None:
    judgement = a_judgement(gaps=[a_gap(effect=f"gap {number}") for number in range(9)])
    assert told(judgement, "data-lost").unseen == (
        *(f"s3://data: gap {number}" for number in range(5)),
        "4 more gaps of this kind",
    )


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
    "poll-stale": {"keys": {AWS_KEY: (None, None)}},
}


@pytest.mark.parametrize(("rule", "facts"), STALE.items(), ids=STALE)
def test_while_a_rule_about_the_answer_itself_fails_the_others_prove_nothing(rule: str, facts: dict[str, Any]) -> None:
    judgement = a_judgement(**facts)
    if rule == "poll-stale":
        tally = Tally(rule, {Verdict.FAILED: 1}, (Counted(Cloud.AWS, {Verdict.FAILED: 1}),))
        rest = (one for one in a_judgement().tallies if one.rule != rule)
        judgement = replace(a_judgement(), tallies=(*rest, tally))
    control = told(judgement, "data-lost")
    assert control.state is State.OPEN
    assert f"{rule} found an exception" in control.unseen
    assert told(judgement, rule).state is State.EXCEPTION


def test_the_rules_about_the_answer_itself_are_judged_by_what_the_config_names() -> None:
    """A bucket that was never swept is no hole in the rule that says so of every bucket."""
    judgement = a_judgement(buckets=(a_bucket(), a_bucket("s3://more", complete=False, listed=0, resolved=0)))
    assert told(judgement, "sweep-incomplete").state is State.EXCEPTION
    assert (told(judgement, "sweep-stale").state, told(judgement, "sweep-stale").unseen) == (State.NONE, ())
    assert set(BLOCKING) < {one.id for one in load()}


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


def test_an_audit_log_that_answered_says_nothing_of_others() -> None:
    judgement = a_judgement()
    asked = Tally("audit-log-off", {Verdict.PASSED: 1}, (Counted(Cloud.AWS, {Verdict.PASSED: 1}),))
    assert told(replace(judgement, tallies=(*judgement.tallies, asked)), "audit-log-off").state is State.OPEN


def test_data_that_counts_as_readable_by_its_keys_state_alone_proves_no_right_to_it() -> None:
    keys = {AWS_KEY: (an_aws_key(), None)}
    judgement = a_judgement(keys=keys)
    assert {one.assessment.basis for one in judgement.assessed} == {Basis.STATE}
    control = told(judgement, "data-revoked")
    assert control.state is State.OPEN
    assert control.reasons[0][1].startswith("under 1 keys data counts as readable by their state")
    assert told(judgement, "data-lost").state is State.NONE
    assert told(judgement, "data-revoked", cloud=Cloud.GCP).reasons == ()


def test_data_under_no_customers_key_needs_no_policy() -> None:
    judgement = a_judgement(a_holding(None), a_holding())
    assert told(judgement, "data-revoked").state is State.NONE


def test_what_stands_behind_keys_and_was_not_looked_at_may_stop_every_read() -> None:
    name = "projects/acme-keys/locations/us-east1/ekmConnections/vault"
    gap = a_gap(name, "whether Cloud KMS reaches the external key manager behind it is not known")
    judgement = a_judgement(GOOGLE, buckets=(GOOGLE_BUCKET,), gaps=(gap,))
    assert told(judgement, "data-unreachable").reasons == (("data-unreachable", f"{name}: {gap.effect}"),)
    assert told(judgement, "weak-algorithm").reasons == ()


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
    assert told(replace(judgement, tallies=()), "no-such-rule").state is State.OPEN


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
