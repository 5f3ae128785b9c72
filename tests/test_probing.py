"""What is probed next, and never more than asked for."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from auditor.model import Holding, KeyMemory, KeyName, Probe, ProbeKind, ProbeOutcome
from auditor.policy import Policy
from auditor.probing import Budget, Place, Situation, Target, due
from tests.core_builders import AWS_KEY, GCP_KEY, NOW, a_holding

READS = Budget(reads=True, dry_runs=False, per_hour=600)
MINUTE = timedelta(minutes=1)


def made(minutes_ago: float, outcome: ProbeOutcome = ProbeOutcome.PASSED, **more: Any) -> Probe:
    facts: dict[str, Any] = {"bucket": "s3://data", "key": AWS_KEY.text, "key_version": None, "kind": ProbeKind.READ}
    return Probe(outcome=outcome, code="ok", at=NOW - minutes_ago * MINUTE, principal=None, **{**facts, **more})


def chosen(
    *holdings: Holding,
    probes: tuple[Probe, ...] = (),
    memory: dict[KeyName, KeyMemory] | None = None,
    budget: Budget = READS,
    dead: frozenset[Place] = frozenset(),
    spent: int = 0,
) -> list[Target]:
    places = frozenset((one.bucket, one.key or "", one.key_version) for one in holdings)
    return list(due(Situation(holdings, places, probes, dead, spent, memory or {}, NOW), budget, Policy()))


DUE = {
    "never tried": ((), True),
    "an hour ago": ((made(60),), True),
    "less than an hour ago": ((made(59.9),), False),
    "refused two minutes ago": ((made(2, ProbeOutcome.REFUSED),), True),
    "refused a minute ago": ((made(1, ProbeOutcome.REFUSED),), False),
    "inconclusive a minute ago": ((made(1, ProbeOutcome.INCONCLUSIVE),), False),
    "this very moment": ((made(0),), False),
    "inconclusive a minute ago, and refused before": (
        (made(1, ProbeOutcome.INCONCLUSIVE), made(9, ProbeOutcome.REFUSED)),
        False,
    ),
    "inconclusive two minutes ago, and refused before": (
        (made(2, ProbeOutcome.INCONCLUSIVE), made(9, ProbeOutcome.REFUSED)),
        True,
    ),
    "inconclusive two minutes ago, and passed before": (
        (made(2, ProbeOutcome.INCONCLUSIVE), made(9, ProbeOutcome.PASSED)),
        False,
    ),
    "passed since it was refused": ((made(5, ProbeOutcome.REFUSED), made(3)), False),
    "passed by a clock that was two days ahead": ((made(-2 * 24 * 60),), True),
    "another bucket's": ((made(1, bucket="s3://other"),), True),
}


@pytest.mark.parametrize(("probes", "expected"), DUE.values(), ids=DUE)
def test_what_is_old_or_was_refused_is_tried_again(probes: tuple[Probe, ...], expected: bool) -> None:  # noqa: FBT001 - a case
    assert bool(chosen(a_holding(), probes=probes)) is expected


def test_once_a_change_has_spread_the_key_is_tried_again_at_once() -> None:
    def again(changed_minutes_ago: float) -> bool:
        memory = KeyMemory(None, None, changed={"state": NOW - changed_minutes_ago * MINUTE})
        return bool(chosen(a_holding(), probes=(made(15),), memory={AWS_KEY: memory}))

    assert [again(minutes) for minutes in (5, 10, 20, 40)] == [False, True, True, False]


def test_a_change_of_another_version_is_no_reason_to_try_again() -> None:
    memory = {GCP_KEY: KeyMemory(None, None, changed={"version 2": NOW - 12 * MINUTE})}
    probe = made(15, bucket="gs://data", key=GCP_KEY.text, key_version="1")
    assert chosen(a_holding(GCP_KEY, "1"), probes=(probe,), memory=memory) == []
    assert len(chosen(a_holding(GCP_KEY, "2"), probes=(replace(probe, key_version="2"),), memory=memory)) == 1


def test_a_refusal_that_the_key_itself_explains_is_tried_like_any_other() -> None:
    (holding,) = (a_holding(),)
    dead = frozenset({(holding.bucket, AWS_KEY.text, None)})
    assert chosen(holding, probes=(made(30, ProbeOutcome.REFUSED),), dead=dead) == []
    assert len(chosen(holding, probes=(made(60, ProbeOutcome.REFUSED),), dead=dead)) == 1


def test_however_much_is_refused_the_rest_is_looked_at_as_well() -> None:
    keys = [KeyName(f"{AWS_KEY.text[:-2]}{number:02}") for number in range(40)]
    refused = [_of(made(5, ProbeOutcome.REFUSED), key) for key in keys[:30]]
    old = [_of(made(90), key) for key in keys[30:]]
    found = chosen(*(a_holding(key, bucket="s3://data") for key in keys), probes=(*refused, *old))
    assert len(found) == 10
    assert sum(one.key in keys[30:] for one in found) == 5


def test_a_probe_of_the_moment_at_which_a_change_has_spread_is_not_made_again() -> None:
    memory = KeyMemory(None, None, changed={"state": NOW - 25 * MINUTE})
    assert chosen(a_holding(), probes=(made(15),), memory={AWS_KEY: memory}) == []


def test_what_was_never_tried_comes_first_then_refusals_then_the_oldest() -> None:
    keys = [KeyName(f"{AWS_KEY.text[:-1]}{number}") for number in range(5)]
    old = {0: made(70), 1: made(90), 2: made(5, ProbeOutcome.REFUSED)}
    probes = tuple(_of(one, keys[number]) for number, one in old.items())
    found = chosen(*(a_holding(KeyName(key.text), bucket="s3://data") for key in keys), probes=probes)
    assert [keys.index(one.key) for one in found] == [3, 4, 2, 1, 0]


def test_a_change_comes_before_an_older_refusal() -> None:
    changed, refused = (KeyName(f"{AWS_KEY.text[:-1]}{number}") for number in (1, 2))
    probes = (_of(made(15), changed), _of(made(50, ProbeOutcome.REFUSED), refused))
    holdings = (a_holding(KeyName(key.text), bucket="s3://data") for key in (refused, changed))
    found = chosen(
        *holdings, probes=probes, memory={changed: KeyMemory(None, None, changed={"state": NOW - 20 * MINUTE})}
    )
    assert [one.key for one in found] == [changed, refused]


def _of(probe: Probe, key: KeyName) -> Probe:
    return Probe(probe.bucket, key.text, None, probe.kind, probe.at, probe.outcome, probe.code, None)


def test_a_round_is_a_minutes_share_and_an_hour_is_never_exceeded() -> None:
    keys = [KeyName(f"{AWS_KEY.text[:-3]}{number:03}") for number in range(200)]
    holdings = tuple(a_holding(KeyName(key.text), bucket="s3://data") for key in keys)
    assert len(chosen(*holdings)) == 10
    done = tuple(_of(made(30), key) for key in keys[:195])
    assert len(chosen(*holdings, probes=done, spent=195, budget=Budget(reads=True, dry_runs=False, per_hour=197))) == 2
    assert chosen(*holdings, probes=done, spent=195, budget=Budget(reads=True, dry_runs=False, per_hour=100)) == []


@pytest.mark.parametrize(("per_hour", "a_round"), [(1, 1), (60, 1), (119, 1), (120, 2)])
def test_a_small_budget_is_one_probe_a_round(per_hour: int, a_round: int) -> None:
    assert Budget(reads=True, dry_runs=False, per_hour=per_hour).a_round == a_round


def test_only_probes_of_the_kinds_that_are_asked_for_count() -> None:
    for reads, dry_runs in ((True, False), (False, True)):
        budget = Budget(reads=reads, dry_runs=dry_runs, per_hour=60)
        assert (budget.wants(ProbeKind.READ), budget.wants(ProbeKind.DRY_RUN)) == (reads, dry_runs)


def test_each_way_of_trying_is_asked_for_by_itself() -> None:
    holdings = a_holding(), a_holding(GCP_KEY, "1"), a_holding(GCP_KEY), a_holding(None)
    reads = chosen(*holdings)
    assert [(one.key, one.key_version, one.kind) for one in reads] == [
        (GCP_KEY, "1", ProbeKind.READ),
        (AWS_KEY, None, ProbeKind.READ),
    ]
    dry = chosen(*holdings, budget=Budget(reads=False, dry_runs=True, per_hour=600))
    assert [(one.key, one.kind) for one in dry] == [(AWS_KEY, ProbeKind.DRY_RUN)]
    assert chosen(*holdings, budget=Budget(reads=False, dry_runs=False, per_hour=600)) == []


def test_data_without_an_object_that_may_be_read_is_left_alone() -> None:
    situation = Situation((a_holding(),), frozenset(), (), frozenset(), 0, {}, NOW)
    assert due(situation, READS, Policy()) == ()
    dry = Budget(reads=False, dry_runs=True, per_hour=60)
    assert len(due(situation, dry, Policy())) == 1, "a dry run needs no object"


def test_what_is_asked_for_at_once_is_all_that_is_tried_and_whatever_was_tried_before() -> None:
    holdings = (a_holding(GCP_KEY, "1"), a_holding(GCP_KEY, "2"), a_holding(AWS_KEY))
    places = frozenset((one.bucket, one.key or "", one.key_version) for one in holdings)
    dead = frozenset({("gs://data", GCP_KEY.text, "1")})
    many = Situation(holdings, places, (), dead, 0, {}, NOW, at_once=frozenset({GCP_KEY}))
    slow = replace(READS, per_hour=60)
    assert [(one.key, one.key_version) for one in due(many, slow, Policy())] == [(GCP_KEY, "1"), (GCP_KEY, "2")]
    assert slow.a_round == 1, "nobody waits for more rounds"
    assert len(due(replace(many, spent=59), slow, Policy())) == 1
    assert due(replace(many, spent=61), slow, Policy()) == ()


ROUNDS = {
    "the hour's share": (Budget(reads=True, dry_runs=False, per_hour=600), 10),
    "no more than a minute holds": (Budget(reads=True, dry_runs=False, per_hour=1_000_000), 60),
    "the same at another pace": (Budget(reads=True, dry_runs=False, per_hour=1_000_000, per_second=2.5), 150),
    "one at least": (Budget(reads=True, dry_runs=False, per_hour=1, per_second=0.02), 1),
}


@pytest.mark.parametrize(("budget", "most"), ROUNDS.values(), ids=ROUNDS)
def test_a_round_ends_before_the_next_begins(budget: Budget, most: int) -> None:
    assert budget.a_round == most
