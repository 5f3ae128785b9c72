import sqlite3
import stat
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor import gaps, lifecycle
from auditor.engine import Facts, judge
from auditor.errors import LedgerError
from auditor.findings import BucketCoverage, Coverage, Judgement, Run, Status
from auditor.ledger import codec
from auditor.ledger.link import Event, canonical
from auditor.ledger.store import LedgerStore
from auditor.model import (
    DECRYPT,
    NO_RIGHT,
    AwsKey,
    BucketFacts,
    Cloud,
    CloudCount,
    EarlierSweep,
    Evidence,
    Gap,
    GcpKey,
    Grant,
    Holding,
    KeyAccess,
    KeyGone,
    KeyName,
    KeyReading,
    Population,
    Probe,
    ProbeKind,
    ProbeOutcome,
    Reason,
    Right,
    Sweep,
)
from auditor.policy import Policy
from auditor.ports import PollRecord
from auditor.readability import KeyView
from auditor.rules import load
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
)
from tests.forked import Forked, ended
from tests.ledger.raw import sql


@pytest.fixture
def ledger(where: Path | str) -> Iterator[LedgerStore]:
    store = LedgerStore(where)
    yield store
    store.close()


def evidence(at: datetime) -> tuple[Evidence, ...]:
    return (Evidence("kms:DescribeKey", AWS_KEY.text, at, f"request at {at}", "0" * 64),)


def poll(
    ledger: LedgerStore,
    *readings: KeyReading,
    now: datetime = NOW,
    holdings: tuple[Holding, ...] = (a_holding(),),
    number: int = 0,
    undecided: frozenset[str] = frozenset(),
) -> Judgement:
    """Judge as `scan.poll` does, with holdings from memory."""
    before = ledger.judgement()
    memory = ledger.memory()
    names = {KeyName(one.key) for one in holdings if one.key}
    views = {
        name: KeyView(name, next((one for one in readings if one.name == name), None), memory.get(name))
        for name in names
    }
    buckets = (BucketCoverage("s3://data", True, 10, 10, 0, 0, 0, NOW, NOW, NOW),)
    judged = judge(Facts(FixedHoldings(*holdings), views, {}, buckets, Policy(), now), load())
    judgement = Judgement(
        run=Run(f"poll-{number}", now, now, "0", ("me",), "c" * 64, "r", timedelta(0)),
        now=now,
        coverage=Coverage(buckets, len(names), len(names), None),
        assessed=judged.assessed,
        findings=lifecycle.carry_on(judged.findings, before.findings if before else (), now, undecided),
        gaps=tuple(gap for view in views.values() for gap in gaps.of_key(view)),
        tallies=judged.tallies,
        sweeps=("s1",),
        poll_interval=None,
        whole_poll=now,
        oldest_key_read=now,
    )
    ledger.keep(PollRecord(judgement.run.id, now, now, readings, timedelta(0), "c" * 64), judgement)
    return judgement


def minutes(number: float) -> timedelta:
    return timedelta(minutes=number)


def a_sweep(bucket: str = "s3://data", sweep_id: str = "s1", *, complete: bool = True) -> Sweep:
    return Sweep(
        id=sweep_id,
        bucket=bucket,
        started=NOW,
        ended=NOW,
        complete=complete,
        listed=10,
        resolved=9,
        outside=1,
        uploads_in_progress=None,
        oldest_verified=NOW,
        facts=BucketFacts(bucket, Cloud.AWS, "us-east-1"),
        gaps=(Gap(bucket, Reason.TIMEOUT, "one object", "sweep again", 1),),
        files={"a/b": "0" * 64} if complete else None,
        skew=timedelta(seconds=-3),
    )


def test_gives_back_the_very_judgement_that_was_kept(ledger: LedgerStore) -> None:
    kept = poll(ledger, an_aws_key("PendingDeletion", deletion_date=NOW + days(3), evidence=evidence(NOW)))
    assert kept.findings
    assert ledger.judgement() == kept


def test_before_the_first_judgement_there_is_none(ledger: LedgerStore) -> None:
    assert ledger.judgement() is None
    assert ledger.memory() == {}
    assert ledger.findings() == ()
    assert ledger.sweeps() == ()


def test_the_newest_complete_sweep_stays_in_force_beside_a_failed_attempt(ledger: LedgerStore) -> None:
    ledger.publish(a_sweep())
    ledger.publish(a_sweep(sweep_id="s2", complete=False))
    assert ledger.sweeps() == (a_sweep(),)
    assert ledger.failed_attempts() == (a_sweep(sweep_id="s2", complete=False),)
    ledger.publish(a_sweep(sweep_id="s3"))
    assert [one.id for one in ledger.sweeps()] == ["s3"]
    assert ledger.failed_attempts() == ()


BY_BEGIN = {
    "in the order of their ends": ([("s1", 0, True), ("s2", 4, True)], "s2", None),
    "an older one ends last": ([("s2", 4, True), ("s1", 0, True)], "s2", None),
    "an older one fails last": ([("s2", 4, True), ("s1", 0, False)], "s2", None),
    "a newer one fails first": ([("s0", 0, True), ("s2", 4, False), ("s1", 2, True)], "s1", "s2"),
    "of two that fail": ([("s0", 0, True), ("s2", 4, False), ("s1", 2, False)], "s0", "s2"),
    "a newer one succeeds": ([("s0", 0, True), ("s1", 2, False), ("s2", 4, True)], "s2", None),
}


@pytest.mark.parametrize(("told", "in_force", "failed"), BY_BEGIN.values(), ids=BY_BEGIN)
def test_the_sweep_that_began_last_counts_whatever_clocks_say(
    ledger: LedgerStore, told: list[tuple[str, int, bool]], in_force: str, failed: str | None
) -> None:
    for name, after, complete in told:
        # By the clock each began long before the one before it.
        one = replace(a_sweep(sweep_id=name, complete=complete), after=after, started=NOW - timedelta(hours=after))
        published = ledger.publish(one)
        assert published is (complete and name in {one.id for one in ledger.sweeps()})
    assert [one.id for one in ledger.sweeps()] == [in_force]
    assert [one.id for one in ledger.failed_attempts()] == ([failed] if failed else [])
    assert ledger.verify() == ledger.head()[0]


def test_a_sweep_is_found_by_its_id_after_a_newer_one_has_replaced_it(ledger: LedgerStore) -> None:
    told = [a_sweep(sweep_id="s1"), a_sweep("s3://other", "s2"), a_sweep(sweep_id="s3")]
    for one in told:
        ledger.publish(one)
    assert ledger.published(["s3", "s1", "s2"]) == (told[2], told[0], told[1])
    assert ledger.published([]) == ()
    with pytest.raises(LedgerError, match="knows nothing of sweep s4") as refused:
        ledger.published(["s1", "s4"])
    assert refused.value.hint


def test_what_the_newest_judgement_stands_on_is_needed_beside_the_sweep_in_force(ledger: LedgerStore) -> None:
    assert ledger.needed("s3://data") == frozenset()
    for sweep_id in ("s1", "s2"):
        ledger.publish(a_sweep(sweep_id=sweep_id))
        assert ledger.needed("s3://data") == {sweep_id}
    poll(ledger, an_aws_key())  # judges by s1
    assert ledger.needed("s3://data") == {"s1", "s2"}
    assert ledger.needed("s3://other") == {"s1"}


def test_a_sweep_of_an_older_version_says_nothing_of_what_it_left_out() -> None:
    told = codec.plain(a_sweep())
    assert (told.pop("left_out"), told.pop("layout")) == (None, None)
    assert codec.load(Sweep, canonical(told)) == a_sweep()


def test_a_sweep_of_an_older_version_was_compared_with_no_count() -> None:
    told = codec.plain(a_sweep())
    assert (told.pop("counted"), told.pop("markers"), told.pop("earlier")) == (None, None, [])
    assert codec.load(Sweep, canonical(told)) == a_sweep()
    coverage = codec.plain(BucketCoverage("s3://data", True, 10, 10, 0, 0, 0, NOW, NOW, NOW))
    assert coverage.pop("compared") is None
    then = codec.load(BucketCoverage, canonical({**coverage, "cloud_count": None}))
    assert (then.compared, then.cloud_count) == (None, None), "it had a field that nothing filled"


def test_the_clouds_count_is_kept_with_the_sweep(ledger: LedgerStore) -> None:
    counted = CloudCount(NOW, NOW - minutes(1), 7, dict.fromkeys(Population, 2))
    sweep = replace(a_sweep(), counted=counted, markers=3, earlier=(EarlierSweep(NOW - minutes(9), 5),))
    ledger.publish(sweep)
    assert ledger.sweeps() == (sweep,)


def test_a_key_that_stops_to_answer_keeps_the_moment_of_its_last_answer(ledger: LedgerStore) -> None:
    poll(ledger, an_aws_key())
    poll(ledger, an_aws_key(), now=NOW + minutes(1))
    for minute in (2, 3):
        poll(ledger, denied(), now=NOW + minutes(minute))
    kept = ledger.memory()[AWS_KEY]
    assert (kept.last, kept.last_at) == (an_aws_key(), NOW + minutes(1))
    poll(ledger, an_aws_key(), now=NOW + minutes(4))
    assert ledger.memory()[AWS_KEY].last_at == NOW + minutes(4)


def test_the_first_of_an_unbroken_row_of_not_found_answers_is_kept(ledger: LedgerStore) -> None:
    poll(ledger, an_aws_key())
    for minute in (1, 2):
        poll(ledger, KeyGone(AWS_KEY, proven=False), now=NOW + minutes(minute))
    assert ledger.memory()[AWS_KEY].missing_since == NOW + minutes(1)
    poll(ledger, an_aws_key(), now=NOW + minutes(3))
    assert ledger.memory()[AWS_KEY].missing_since is None


def test_that_one_answer_settled_a_loss_is_kept_until_the_key_answers(ledger: LedgerStore) -> None:
    kept = []
    once, settled, fault = KeyGone(AWS_KEY, proven=False), KeyGone(AWS_KEY, proven=True), denied(reason=Reason.TIMEOUT)
    answers: tuple[KeyReading, ...] = (once, settled, fault, once, an_aws_key())
    for minute, reading in enumerate(answers):
        poll(ledger, reading, now=NOW + minutes(minute))
        kept.append(ledger.memory()[AWS_KEY].missing_proven)
    assert kept == [False, True, True, True, False]


def test_until_when_a_key_has_been_gone_is_known_and_is_no_event_each_time(
    ledger: LedgerStore, where: Path | str
) -> None:
    for minute in range(41):
        poll(ledger, KeyGone(AWS_KEY, proven=False), now=NOW + minutes(minute))
        assert ledger.memory()[AWS_KEY].missing_until == NOW + minutes(minute)
    assert sql(where, "SELECT count(*) FROM event WHERE kind = 'key_changed'")[1] == [(1,)]
    poll(ledger, denied(reason=Reason.TIMEOUT), now=NOW + minutes(50))
    assert ledger.memory()[AWS_KEY].missing_until == NOW + minutes(40), "a fault is no answer"
    poll(ledger, KeyGone(AWS_KEY, proven=False), now=NOW + minutes(51))
    assert ledger.memory()[AWS_KEY].missing_until == NOW + minutes(51)
    assert ledger.memory()[AWS_KEY].missing_since == NOW


def test_a_principal_that_ever_had_a_direct_grant_is_remembered(ledger: LedgerStore) -> None:
    holdings = (a_holding(GCP_KEY, "1"),)
    poll(ledger, a_gcp_key(access=access(GCP_KEY, Grant.DIRECT)), holdings=holdings)
    poll(ledger, a_gcp_key(access=access(GCP_KEY, Grant.WITHDRAWN)), holdings=holdings, now=NOW + minutes(1))
    assert ledger.memory()[GCP_KEY].granted == (AGENT,)


def test_who_provably_cannot_decrypt_is_remembered_until_that_is_told_otherwise(ledger: LedgerStore) -> None:
    def after(*grants: Grant) -> tuple[str, ...]:
        for minute, grant in enumerate(grants):
            poll(ledger, an_aws_key(access=access(AWS_KEY, grant)), now=NOW + minutes(minute))
        return ledger.memory()[AWS_KEY].barred

    assert after(Grant.ABSENT, Grant.UNREAD, Grant.UNREAD) == (ROLE,)
    assert after(Grant.DENIED) == (ROLE,)
    assert after(Grant.POSSIBLE) == ()
    assert after(Grant.UNREAD) == ()


def test_whoever_is_not_asked_for_any_more_is_barred_by_no_policy_that_was_read_whole(ledger: LedgerStore) -> None:
    def after(**more: Any) -> tuple[str, ...]:
        poll(ledger, an_aws_key(access=access(AWS_KEY, Grant.ABSENT)), now=NOW)
        poll(ledger, an_aws_key(access=KeyAccess(**more)), now=NOW + minutes(1))
        return ledger.memory()[AWS_KEY].barred

    assert after(unread=(("kms:GetKeyPolicy", Reason.ACCESS_DENIED),)) == (ROLE,)
    assert after() == (), "it may let them again by now"


def test_a_grant_that_was_seen_going_bars_its_principal(ledger: LedgerStore) -> None:
    for minute, grant in enumerate((Grant.DIRECT, Grant.WITHDRAWN, Grant.UNREAD)):
        now = NOW + minutes(minute)
        poll(ledger, a_gcp_key(access=access(GCP_KEY, grant)), holdings=(a_holding(GCP_KEY, "1"),), now=now)
    assert ledger.memory()[GCP_KEY].barred == (AGENT,)


def test_a_key_that_is_being_created_anew_is_neither_gone_nor_denied_nor_what_it_was(ledger: LedgerStore) -> None:
    for bad in (KeyGone(AWS_KEY, proven=False), denied()):
        poll(ledger, an_aws_key())
        poll(ledger, bad, now=NOW + minutes(1))
        poll(ledger, an_aws_key("Creating"), now=NOW + minutes(2))
        kept = ledger.memory()[AWS_KEY]
        assert (kept.last, kept.missing_since, kept.denied_since) == (None, None, None)


def test_a_key_that_is_still_being_made_was_last_heard_when_it_said_so(ledger: LedgerStore) -> None:
    for minute in range(3):
        poll(ledger, an_aws_key("Creating"), now=NOW + minutes(minute))
    assert ledger.memory()[AWS_KEY].last_at == NOW + minutes(2)


def test_a_right_is_compared_with_what_was_last_told_of_it(ledger: LedgerStore) -> None:
    for minute, grant in enumerate((Grant.DIRECT, Grant.UNREAD, Grant.ABSENT)):
        poll(ledger, an_aws_key(access=access(AWS_KEY, grant)), now=NOW + minutes(minute))
    assert ledger.memory()[AWS_KEY].changed == {f"right {ROLE}": NOW + minutes(2)}


def test_the_moment_of_the_last_change_of_what_decides_over_a_keys_use_is_kept(ledger: LedgerStore) -> None:
    poll(ledger, an_aws_key())
    poll(ledger, an_aws_key(material="other"), now=NOW + minutes(1))
    assert ledger.memory()[AWS_KEY].changed == {}, "the first reading is no change"
    poll(ledger, an_aws_key("Disabled"), now=NOW + minutes(2))
    assert ledger.memory()[AWS_KEY].changed == {"state": NOW + minutes(2)}
    poll(ledger, an_aws_key("Disabled", access=access(AWS_KEY, Grant.DIRECT)), now=NOW + minutes(3))
    poll(ledger, an_aws_key("Disabled", access=access(AWS_KEY, Grant.ABSENT)), now=NOW + minutes(4))
    assert ledger.memory()[AWS_KEY].changed == {"state": NOW + minutes(2), f"right {ROLE}": NOW + minutes(4)}


def test_a_change_that_a_clock_ahead_has_dated_was_no_later_than_the_poll_that_knows_better(
    ledger: LedgerStore,
) -> None:
    poll(ledger, an_aws_key(), now=NOW + timedelta(days=2))
    poll(ledger, an_aws_key("Disabled"), now=NOW + timedelta(days=2))
    assert ledger.memory()[AWS_KEY].changed == {"state": NOW + timedelta(days=2)}
    for minute in range(2):
        poll(ledger, an_aws_key("Disabled"), now=NOW + minutes(minute))
        assert ledger.memory()[AWS_KEY].changed == {"state": NOW}


def test_since_when_the_last_word_is_a_denial_is_kept_through_faults_until_a_state_is_told(ledger: LedgerStore) -> None:
    fault = denied(reason=Reason.THROTTLED)
    answers: tuple[KeyReading, ...] = (an_aws_key(), fault, denied(), denied(), fault, an_aws_key())
    kept = []
    for minute, reading in enumerate(answers):
        poll(ledger, reading, now=NOW + minutes(minute))
        kept.append(ledger.memory()[AWS_KEY].denied_since)
    since = NOW + minutes(2)
    assert kept == [None, None, since, since, since, None]


def test_what_the_project_grants_is_not_remembered_as_granted_on_key_or_ring(ledger: LedgerStore) -> None:
    told = ((True, ()), (None, ()), (False, (AGENT,)), (None, (AGENT,)), (True, ()))
    for above, remembered_as in told:
        right = Right(AGENT, DECRYPT[Cloud.GCP], Grant.DIRECT, above=above)
        poll(ledger, a_gcp_key(access=KeyAccess(rights=(right,))), holdings=(a_holding(GCP_KEY, "1"),))
        assert ledger.memory()[GCP_KEY].granted == remembered_as, above
    poll(ledger, a_gcp_key(access=KeyAccess(rights=())), holdings=(a_holding(GCP_KEY, "1"),))
    assert ledger.memory()[GCP_KEY].granted == (), "that nobody asked about a right changes nothing of it"


def test_a_probe_that_told_nothing_stands_beside_the_last_that_did(ledger: LedgerStore) -> None:
    refused = Probe("s3://data", AWS_KEY.text, None, ProbeKind.READ, NOW, ProbeOutcome.REFUSED, "x", None)
    nothing = replace(refused, outcome=ProbeOutcome.INCONCLUSIVE, at=NOW + minutes(1), reason=Reason.TIMEOUT)
    passed = replace(refused, outcome=ProbeOutcome.PASSED, at=NOW + minutes(2))
    ledger.keep_probe(refused)
    ledger.keep_probe(nothing)
    assert set(ledger.probes()) == {refused, nothing}
    ledger.keep_probe(passed)
    assert set(ledger.probes()) == {passed, nothing}
    assert [ledger.probes_between(NOW + minutes(one), NOW + minutes(9)) for one in (0, 1, 3)] == [3, 2, 0]
    assert ledger.probes_between(NOW, NOW + minutes(1)) == 2, "not those of a clock that is ahead"


def test_neither_another_principals_probe_nor_what_a_bucket_key_knew_replaces_a_refusal(ledger: LedgerStore) -> None:
    about: dict[str, Any] = {
        "bucket": "s3://data",
        "key": AWS_KEY.text,
        "key_version": None,
        "kind": ProbeKind.READ,
        "reason": None,
    }
    mine: dict[str, Any] = {**about, "principal": "arn:aws:iam::1:role/a"}
    refused = Probe(**mine, at=NOW, outcome=ProbeOutcome.REFUSED, code=NO_RIGHT)
    cached = Probe(**mine, at=NOW + minutes(1), outcome=ProbeOutcome.PASSED, code="ok", cached=True)
    others = replace(cached, principal="arn:aws:iam::1:role/b", cached=False)
    for one in (refused, cached, others):
        ledger.keep_probe(one)
    assert set(ledger.probes()) == {refused, cached, others}
    another = replace(refused, code="y", principal=others.principal)
    ledger.keep_probe(another)
    assert set(ledger.probes()) == {refused, another, cached}, "each reason stands by itself; who read is refused now"
    passed = replace(cached, at=NOW + minutes(2), cached=False)
    ledger.keep_probe(passed)
    assert set(ledger.probes()) == {passed, cached}
    ahead = replace(refused, at=NOW + timedelta(days=400))
    ledger.keep_probe(ahead)
    assert set(ledger.probes()) == {ahead, cached}, "what comes later is known, whatever the clock says"
    ledger.keep_probe(passed)
    assert set(ledger.probes()) == {passed, cached}
    ledger.verify()


def test_a_refusal_that_came_too_soon_behind_a_change_takes_nothing_from_one_that_counts(ledger: LedgerStore) -> None:
    about: dict[str, Any] = {"bucket": "s3://data", "key": AWS_KEY.text, "key_version": None, "kind": ProbeKind.READ}
    refused = Probe(**about, at=NOW, outcome=ProbeOutcome.REFUSED, code="x", principal=None)
    for first, then, early in ((False, True, False), (True, True, True), (True, False, False)):
        ledger.keep_probe(replace(refused, outcome=ProbeOutcome.PASSED, code="ok"))
        ledger.keep_probe(replace(refused, early=first))
        ledger.keep_probe(replace(refused, early=then, at=NOW + minutes(1)))
        (kept,) = ledger.probes()
        assert (kept.early, kept.at) == (early, NOW + minutes(1))
    other = replace(refused, told={"state": "'PendingDeletion'"})
    ledger.keep_probe(other)
    assert len(ledger.probes()) == 2, "another reason"


def test_a_success_of_a_clock_that_was_ahead_can_be_forgotten(ledger: LedgerStore) -> None:
    about: dict[str, Any] = {"bucket": "s3://data", "key": AWS_KEY.text, "key_version": None, "kind": ProbeKind.READ}
    first = Probe(**about, at=NOW, outcome=ProbeOutcome.PASSED, code="ok", principal="a")
    second = replace(first, principal="b")
    for one in (first, second):
        ledger.keep_probe(one)
    ledger.forget_probes([first])
    assert ledger.probes() == (second,)
    assert ledger.probes_between(NOW - minutes(1), NOW + minutes(1)) == 2, "they were made all the same"
    ledger.verify()


def test_what_a_key_tells_later_of_a_refusal_that_came_too_soon_takes_nothing_from_one_that_counts(
    ledger: LedgerStore,
) -> None:
    about: dict[str, Any] = {"bucket": "s3://data", "key": AWS_KEY.text, "key_version": None, "kind": ProbeKind.READ}
    refused = Probe(**about, at=NOW, outcome=ProbeOutcome.REFUSED, code="x", principal=None)
    counts = replace(refused, told={"state": "'Enabled'"})
    early = replace(refused, early=True, at=NOW + minutes(1))
    for first in (counts, replace(counts, early=True)):
        ledger.keep_probe(replace(refused, outcome=ProbeOutcome.PASSED, code="ok", at=NOW - minutes(1)))
        ledger.keep_probe(first)
        ledger.keep_probe(early)
        told = replace(early, told=counts.told)
        ledger.keep_told([(early, told)])
        assert ledger.probes() == ((told if first.early else first),)
    late = replace(refused, at=NOW + minutes(2))
    ledger.keep_probe(late)
    ledger.keep_told([(late, replace(late, told=counts.told))])
    assert ledger.probes() == (replace(late, told=counts.told),)


def test_each_session_of_a_role_is_the_same_principal(ledger: LedgerStore) -> None:
    session = "arn:aws:sts::111122223333:assumed-role/storage/i-"
    about: dict[str, Any] = {"bucket": "s3://data", "key": AWS_KEY.text, "key_version": None, "kind": ProbeKind.READ}
    passed = Probe(**about, at=NOW, outcome=ProbeOutcome.PASSED, code="ok", principal=f"{session}0")
    for number in range(3):
        ledger.keep_probe(replace(passed, principal=f"{session}{number}", at=NOW + minutes(number)))
    (kept,) = ledger.probes()
    assert kept.principal == f"{session}2"


def test_what_a_key_tells_next_to_a_refusal_is_kept_with_it_and_is_no_probe(ledger: LedgerStore) -> None:
    about: dict[str, Any] = {"bucket": "s3://data", "key": AWS_KEY.text, "key_version": None, "kind": ProbeKind.READ}
    refused = Probe(**about, at=NOW, outcome=ProbeOutcome.REFUSED, code="x", principal=None)
    ledger.keep_probe(refused)
    told = replace(refused, told={"state": "'Disabled'"})
    ledger.keep_told([(refused, told)])
    assert ledger.probes() == (told,)
    assert ledger.probes_between(NOW - minutes(1), NOW + minutes(1)) == 1


def test_half_a_character_in_an_answer_spoils_nothing(ledger: LedgerStore) -> None:
    poll(ledger, an_aws_key("Enabled\ud800", origin="\\ud800 \U0001f600 \udc00"))
    last = ledger.memory()[AWS_KEY].last
    assert isinstance(last, AwsKey)
    assert (last.state, last.origin) == ("Enabled\ufffd", "\\ud800 \U0001f600 \ufffd")
    assert ledger.judgement() is not None


def test_the_highest_version_ever_listed_is_kept(ledger: LedgerStore) -> None:
    holdings = (a_holding(GCP_KEY, "1"),)
    poll(ledger, a_gcp_key(a_version("1"), a_version("12")), holdings=holdings)
    poll(ledger, a_gcp_key(a_version("1")), holdings=holdings, now=NOW + minutes(1))
    assert ledger.memory()[GCP_KEY].highest_version == 12


def test_a_key_that_is_being_created_again_keeps_what_was_proven(ledger: LedgerStore) -> None:
    poll(ledger, an_aws_key("Disabled"))
    poll(ledger, an_aws_key("Creating"), now=NOW + minutes(1))
    memory = ledger.memory()[AWS_KEY]
    assert (memory.last, memory.last_at) == (an_aws_key("Disabled"), NOW)


def test_a_finding_keeps_its_past_and_the_evidence_of_when_it_was_found(ledger: LedgerStore) -> None:
    poll(ledger, an_aws_key("Disabled", evidence=evidence(NOW)))
    later = NOW + minutes(5)
    poll(ledger, an_aws_key("Disabled", evidence=evidence(later)), now=later)
    finding = next(one for one in ledger.findings() if one.rule == "data-unreadable")
    assert (finding.first_seen, finding.last_seen, finding.evidence) == (NOW, later, evidence(NOW))


def test_a_finding_that_nothing_upholds_was_seen_last_when_something_did(ledger: LedgerStore) -> None:
    poll(ledger, an_aws_key("Disabled"))
    (found,) = poll(ledger, an_aws_key("Disabled"), now=NOW + minutes(1)).findings
    for minute in (30, 31, 32):
        kept = poll(ledger, denied(), now=NOW + minutes(minute), undecided=frozenset({found.id}))
        (one,) = (one for one in kept.findings if one.id == found.id)
        assert (one.status, one.is_held, one.last_seen) == (Status.OPEN, True, NOW + minutes(1))
        assert ledger.judgement() == kept
    kept = poll(ledger, an_aws_key("Disabled"), now=NOW + minutes(40))
    (again,) = (one for one in kept.findings if one.id == found.id)
    assert (again.is_held, again.last_seen, again.first_seen) == (False, NOW + minutes(40), NOW)
    assert ledger.judgement() == kept


def test_a_resolved_finding_stays_until_the_next_judgement(ledger: LedgerStore) -> None:
    poll(ledger, an_aws_key("Disabled"))
    kept = poll(ledger, an_aws_key(), now=NOW + minutes(1))
    assert [one.status for one in kept.findings] == [Status.RESOLVED]
    assert ledger.judgement() == kept
    poll(ledger, an_aws_key(), now=NOW + minutes(2))
    again = ledger.judgement()
    assert again is not None
    assert again.findings == ()


def test_a_finding_that_ended_is_found_by_the_beginning_of_its_id_as_it_was_last(ledger: LedgerStore) -> None:
    poll(ledger, an_aws_key("Disabled"))
    (found,) = ledger.findings()
    for minute, state in enumerate(("Enabled", "Enabled", "Disabled", "Enabled", "Enabled"), 1):
        poll(ledger, an_aws_key(state), now=NOW + minutes(minute))
    (one,) = ledger.ended(found.id[:4])
    assert (one.id, one.status, one.last_seen) == (found.id, Status.RESOLVED, NOW + minutes(4))
    assert (ledger.ended("no such id"), ledger.ended("%"), ledger.ended("_" * 4)) == ((), (), ())


def test_what_ended_before_a_time_is_left_out(ledger: LedgerStore) -> None:
    poll(ledger, an_aws_key("Disabled"))
    poll(ledger, an_aws_key("Enabled"), now=NOW + minutes(1))
    poll(ledger, an_aws_key("Enabled"), now=NOW + minutes(2))
    (one,) = ledger.ended(since=NOW + minutes(1))
    assert one.last_seen == NOW + minutes(1)
    assert ledger.ended(since=NOW + minutes(1) + timedelta(microseconds=1)) == ()
    assert ledger.ended(since=NOW) == (one,)


def test_an_unchanged_poll_adds_one_event_below_a_kilobyte(ledger: LedgerStore, where: Path | str) -> None:
    keys = [KeyName(f"arn:aws:kms:us-east-1:111122223333:key/{number:08}") for number in range(100)]
    holdings = tuple(a_holding(name, bucket="s3://data") for name in keys)

    def once(number: int) -> None:
        now = NOW + minutes(number)
        readings = [an_aws_key("Disabled", name=name, evidence=evidence(now)) for name in keys]
        poll(ledger, *readings, now=now, holdings=holdings, number=number)

    once(0)
    first, _ = ledger.head()
    for number in range(1, 6):
        once(number)
    assert ledger.head()[0] == first + 5
    told = "SELECT length(body) + length(hash) + length(previous) + length(subject) FROM event WHERE seq > ?"
    _, sizes = sql(where, told, (first,))
    assert max(size for (size,) in sizes) < 1024


def test_the_current_state_can_be_made_anew_from_the_events_alone(ledger: LedgerStore, where: Path | str) -> None:
    ledger.publish(a_sweep())
    ledger.publish(a_sweep(sweep_id="s2", complete=False))
    readings: list[KeyReading] = [an_aws_key(), an_aws_key("Disabled"), denied(), an_aws_key(), denied()]
    for number, reading in enumerate(readings):
        poll(ledger, reading, now=NOW + minutes(number), number=number)

    def state() -> list[Any]:
        return sql(where, "SELECT * FROM current ORDER BY kind, id")[1]

    before = state()
    assert len(before) > 5
    assert ledger.verify() == ledger.head()[0]
    ledger.rebuild()
    assert state() == before


TAMPERED = {
    "a body": "UPDATE event SET body = replace(body, 'Disabled', 'Enabled') WHERE kind = 'key_changed'",
    "a date": "UPDATE event SET at = '2020-01-01T00:00:00+00:00' WHERE seq = 3",
    "a removed link": "DELETE FROM event WHERE seq = 2",
    "a hash": "UPDATE event SET hash = replace(hash, substr(hash, 1, 4), 'beef') WHERE seq = 2",
}


@pytest.mark.parametrize("change", TAMPERED.values(), ids=TAMPERED)
def test_a_changed_ledger_is_found_out(ledger: LedgerStore, where: Path | str, change: str) -> None:
    poll(ledger, an_aws_key("Disabled"))
    assert ledger.verify() == ledger.head()[0]
    assert sql(where, change)[0]
    with pytest.raises(LedgerError, match="chain breaks at event"):
        ledger.verify()


DAMAGED = {
    "bytes in what stands": "UPDATE current SET body = CAST(body AS BLOB)",
    "bytes in the chain": "UPDATE event SET body = CAST(body AS BLOB) WHERE seq > 1",
    "a number in the chain": "UPDATE event SET hash = x'07'",
    "no text in what stands": "UPDATE current SET body = CAST('a secret' || x'ff' AS TEXT)",
    "no text in the chain": "UPDATE event SET body = CAST('a secret' || x'ff' AS TEXT) WHERE seq > 1",
    "nonsense in what stands": """UPDATE current SET body = '{"a secret": 1}'""",
    "an event without a date": "UPDATE event SET at = 'no date' WHERE kind = 'probe_made'",
    "an event without a zone": "UPDATE event SET at = '2026-01-01T00:00:00' WHERE kind = 'probe_made'",
    "a table without a name": "UPDATE sqlite_master SET name = CAST('a secret' || x'ff' AS TEXT) WHERE name = 'event'",
    "two versions": "INSERT INTO alembic_version VALUES ('a secret')",
}
READING: dict[str, Callable[[LedgerStore], object]] = {
    "judgement": LedgerStore.judgement,
    "sweeps": LedgerStore.sweeps,
    "memory": LedgerStore.memory,
    "probes": LedgerStore.probes,
    "rate of probes": lambda ledger: ledger.probes_between(NOW - minutes(60), NOW),
    "older sweeps": lambda ledger: ledger.published(["s1"]),
    "the chain": LedgerStore.verify,
}


@pytest.mark.parametrize("change", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_ledger_is_an_error_with_a_hint_that_quotes_nothing_of_it(
    ledger: LedgerStore, tmp_path: Path, change: str
) -> None:
    for sweep_id in ("s1", "s2"):
        ledger.publish(a_sweep(sweep_id=sweep_id))
    poll(ledger, an_aws_key("Disabled"))
    ledger.keep_probe(Probe("s3://data", AWS_KEY.text, None, ProbeKind.READ, NOW, ProbeOutcome.PASSED, "ok", None))
    ledger.close()
    with sqlite3.connect(tmp_path / "ledger.db") as database:
        database.execute("PRAGMA writable_schema = ON")
        assert database.execute(change).rowcount
    refused: list[LedgerError] = []
    for read in READING.values():
        try:
            opened = LedgerStore(tmp_path / "ledger.db")
            read(opened)
            opened.close()
        except LedgerError as error:
            refused.append(error)
    assert refused
    for one in refused:
        assert one.hint
        assert "secret" not in f"{one} {one.hint}"


def test_an_event_of_an_unknown_kind_is_told_whole_as_the_chain_may_be(ledger: LedgerStore, where: Path | str) -> None:
    seq, head = ledger.head()
    one = Event(seq + 1, NOW.isoformat(), "made_up", "s", "{}", head)
    row = (one.seq, one.at, one.kind, one.subject, one.body, one.previous, one.hash)
    sql(where, "INSERT INTO event VALUES (?, ?, ?, ?, ?, ?, ?)", row)
    with pytest.raises(LedgerError, match="a kind that this version does not know") as refused:
        ledger.verify()
    assert refused.value.hint


UNPROVEN = {
    "an assessment": "UPDATE current SET body = replace(body, 'unreadable', 'readable') WHERE kind = 'assessment'",
    "a finding taken away": "DELETE FROM current WHERE kind = 'finding'",
    "a finding put in": "INSERT INTO current SELECT kind, 'made-up', facts, body FROM current WHERE kind = 'finding'",
    "a key": "UPDATE current SET body = replace(body, 'Disabled', 'Enabled') WHERE kind = 'key'",
    "what would show a change": "UPDATE current SET facts = 'x' || facts WHERE kind = 'key'",
    "the newest poll": "UPDATE current SET body = replace(body, '2026', '2027') WHERE kind = 'poll'",
    "everything": "DELETE FROM current",
}


@pytest.mark.parametrize("change", UNPROVEN.values(), ids=UNPROVEN)
def test_a_state_that_the_events_do_not_give_is_found_out(ledger: LedgerStore, where: Path | str, change: str) -> None:
    ledger.publish(a_sweep())
    poll(ledger, an_aws_key(), denied())
    poll(ledger, an_aws_key("Disabled", evidence=evidence(NOW)), now=NOW + minutes(1))
    assert ledger.verify() == ledger.head()[0]
    assert sql(where, change)[0]
    with pytest.raises(LedgerError, match="not what its events give"):
        ledger.verify()
    ledger.rebuild()
    assert ledger.verify() == ledger.head()[0]


def test_writers_at_the_same_time_queue_and_the_chain_stays_whole(ledger: LedgerStore, where: Path | str) -> None:
    stores = [ledger, LedgerStore(where)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda number: stores[number % 2].publish(a_sweep(f"s3://b{number}")), range(40)))
    assert len(ledger.sweeps()) == 40
    assert ledger.verify() == 40
    stores[1].close()


KILLED = """
import sys
from pathlib import Path
from auditor.ledger import store
from tests.ledger.test_store import a_sweep, an_aws_key, poll
where = sys.argv[1]
ledger = store.LedgerStore(where if "://" in where else Path(where))
def stop(*_):
    print("ready", flush=True)
    while True: pass
store._keep_gaps = stop
poll(ledger, an_aws_key("Disabled"), number=1)
"""


def test_a_process_killed_while_it_keeps_leaves_what_was_before(ledger: LedgerStore, where: Path | str) -> None:
    before = poll(ledger, an_aws_key())
    with Forked(KILLED, str(where)) as child:
        assert child.stdout.readline() == "ready\n"
        child.kill()
    assert ledger.judgement() == before
    poll(ledger, an_aws_key("Disabled"), now=NOW + minutes(1))
    assert ledger.verify() == ledger.head()[0]


def test_a_ledger_that_stays_locked_is_told_with_a_hint(
    ledger: LedgerStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("auditor.ledger.sqlite._WAIT_MILLISECONDS", 50)
    other = LedgerStore(tmp_path / "ledger.db")
    with sqlite3.connect(tmp_path / "ledger.db", isolation_level=None) as holder:
        holder.execute("BEGIN IMMEDIATE")
        with pytest.raises(LedgerError, match="locked") as refused:
            other.publish(a_sweep())
        assert refused.value.hint == "another process writes to it; try again, or stop the other one"
        assert ledger.sweeps() == ()  # readers are not held up
        holder.execute("ROLLBACK")
    other.close()


def test_a_poll_is_not_kept_over_one_that_somebody_else_kept_since_the_ledger_was_taken_for_it(
    ledger: LedgerStore, tmp_path: Path
) -> None:
    """As by a machine that stood still until its lock was given to another one, and goes on as if it were its own."""
    other = LedgerStore(tmp_path / "ledger.db")
    poll(ledger, an_aws_key())
    with ledger.judging():
        taken_over = poll(other, an_aws_key("Disabled"), now=NOW + minutes(1), number=1)
        with pytest.raises(LedgerError, match="another process has kept a poll while keys were asked"):
            poll(ledger, an_aws_key("Enabled"), now=NOW + minutes(2), number=2)
    assert ledger.judgement() == taken_over
    with ledger.judging():
        own = poll(ledger, an_aws_key("Enabled"), now=NOW + minutes(3), number=3)
    assert ledger.judgement() == own
    other.close()


ELSEWHERE = """
import sys
from pathlib import Path
from auditor.ledger.store import LedgerStore
store = LedgerStore(Path(sys.argv[1]))
print(store.head()[0])
store.close()
"""


def test_a_second_handle_of_a_process_takes_no_locks_from_the_first(ledger: LedgerStore, tmp_path: Path) -> None:
    """POSIX takes all locks of a process off a file as soon as any of its handles on it is closed."""
    path = tmp_path / "ledger.db"
    poll(ledger, an_aws_key())
    LedgerStore(path).close()
    LedgerStore(path, looking=True).close()
    for number in range(1, 4):
        assert int(ended(ELSEWHERE, str(path))[1]) == ledger.head()[0], "another process sees what this one has written"
        poll(ledger, an_aws_key("Disabled" if number % 2 else "Enabled"), now=NOW + minutes(number), number=number)
    other = LedgerStore(path)
    assert other.head() == ledger.head()
    assert other.verify() == ledger.verify() == ledger.head()[0]
    other.close()


def test_only_the_owner_may_read_the_ledger(ledger: LedgerStore, tmp_path: Path) -> None:
    poll(ledger, an_aws_key())
    for file in tmp_path.glob("ledger.db*"):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_file_that_is_no_ledger_is_refused_with_a_hint(tmp_path: Path) -> None:
    (tmp_path / "ledger.db").write_bytes(b"this is no database at all, by far" * 100)
    with pytest.raises(LedgerError) as refused:
        LedgerStore(tmp_path / "ledger.db")
    assert refused.value.hint


FOREIGN = {
    "a table": "CREATE TABLE customers (id)",
    "a table that is named like ours": "CREATE TABLE event (x)",
    "others' migrations": "CREATE TABLE alembic_version (version_num); INSERT INTO alembic_version VALUES ('0001')",
    "a view": "CREATE VIEW current AS SELECT 1",
}


@pytest.mark.parametrize("made", FOREIGN.values(), ids=FOREIGN)
def test_a_database_of_something_else_is_refused_and_not_touched(tmp_path: Path, made: str) -> None:
    path = tmp_path / "ledger.db"
    with sqlite3.connect(path) as database:
        database.executescript(made)
    database.close()
    before = path.read_bytes()
    with pytest.raises(LedgerError, match="is a database of something else") as refused:
        LedgerStore(path)
    assert refused.value.hint
    assert path.read_bytes() == before


@pytest.mark.parametrize("folder", ["st?ate", "st%20ate", "st#ate", "st&x=1", "file:state", "st;ate"])
def test_a_ledger_is_in_the_very_folder_that_is_named(tmp_path: Path, folder: str) -> None:
    path = tmp_path / folder / "ledger.db"
    store = LedgerStore(path)
    assert store.publish(a_sweep())
    store.close()
    assert [one.name for one in tmp_path.iterdir()] == [folder]
    assert path.stat().st_size > 0


def test_an_empty_file_and_a_ledger_that_is_there_are_opened(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    path.write_bytes(b"")
    for number in range(1, 3):
        store = LedgerStore(path)
        store.publish(a_sweep())
        assert store.verify() == number
        store.close()


def test_a_ledger_of_a_newer_version_is_refused(ledger: LedgerStore, where: Path | str) -> None:
    ledger.close()
    sql(where, "UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(LedgerError, match="newer version"):
        LedgerStore(where)


def test_a_place_that_cannot_be_written_is_refused_with_a_hint(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LedgerError) as refused:
        LedgerStore(tmp_path / "file" / "ledger.db")
    assert refused.value.hint


@given(st.text(st.characters(exclude_categories=["Cs"])), st.datetimes(timezones=st.just(NOW.tzinfo)))
def test_any_text_and_time_come_back_as_they_were(text: str, at: datetime) -> None:
    key = replace(an_aws_key(text, evidence=evidence(at)), deletion_date=at)
    assert codec.load(AwsKey, codec.dump(key)) == key
    other = a_gcp_key(a_version(text, text), access_reasons=(text,))
    assert codec.load(GcpKey, codec.dump(other)) == other


def test_a_ledger_that_is_moved_away_is_no_longer_read_until_it_is_back(ledger: LedgerStore, tmp_path: Path) -> None:
    kept = poll(ledger, an_aws_key())
    assert ledger.judgement() == kept
    file, aside = tmp_path / "ledger.db", tmp_path / "aside.db"
    file.rename(aside)
    for use in (ledger.judgement, ledger.memory, ledger.head, lambda: ledger.publish(a_sweep())):
        with pytest.raises(LedgerError, match="was deleted, moved or replaced") as refused:
            use()
        assert refused.value.hint
    file.write_bytes(aside.read_bytes())
    with pytest.raises(LedgerError, match="was deleted, moved or replaced"):
        ledger.judgement()
    aside.replace(file)
    assert ledger.judgement() == kept


def test_what_could_not_be_read_back_is_not_kept(ledger: LedgerStore) -> None:
    poll(ledger, an_aws_key())
    with pytest.raises(LedgerError, match="cannot be kept"):
        poll(ledger, an_aws_key(material={"a": 1}), now=NOW + minutes(1))
    assert ledger.memory()[AWS_KEY].last == an_aws_key()
    ledger.verify()
