"""What is probed next, and never more than asked for."""

from datetime import timedelta
from typing import Any

import pytest

from auditor.model import Holding, KeyMemory, KeyName, Probe, ProbeKind, ProbeOutcome
from auditor.policy import Policy
from auditor.probing import Budget, Situation, Target, due
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
) -> list[Target]:
    places = frozenset((one.bucket, one.key or "", one.key_version) for one in holdings)
    return list(due(Situation(holdings, places, probes, memory or {}, NOW), budget, Policy()))


DUE = {
    "never tried": ((), True),
    "an hour ago": ((made(60),), True),
    "less than an hour ago": ((made(59.9),), False),
    "refused two minutes ago": ((made(2, ProbeOutcome.REFUSED),), True),
    "refused a minute ago": ((made(1, ProbeOutcome.REFUSED),), False),
    "inconclusive a minute ago": ((made(1, ProbeOutcome.INCONCLUSIVE),), False),
    "another bucket's": ((made(1, bucket="s3://other"),), True),
}


@pytest.mark.parametrize(("probes", "expected"), DUE.values(), ids=DUE)
def test_what_is_old_or_was_refused_is_tried_again(probes: tuple[Probe, ...], expected: bool) -> None:  # noqa: FBT001 - a case
    assert bool(chosen(a_holding(), probes=probes)) is expected


def test_once_a_change_has_spread_the_key_is_tried_again_at_once() -> None:
    def again(changed_minutes_ago: float) -> bool:
        memory = KeyMemory(None, None, since=NOW - changed_minutes_ago * MINUTE)
        return bool(chosen(a_holding(), probes=(made(15),), memory={AWS_KEY: memory}))

    assert [again(minutes) for minutes in (5, 10, 20, 40)] == [False, True, True, False]


def test_a_probe_of_the_moment_at_which_a_change_has_spread_is_not_made_again() -> None:
    memory = KeyMemory(None, None, since=NOW - 25 * MINUTE)
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
    found = chosen(*holdings, probes=probes, memory={changed: KeyMemory(None, None, since=NOW - 20 * MINUTE)})
    assert [one.key for one in found] == [changed, refused]


def _of(probe: Probe, key: KeyName) -> Probe:
    return Probe(probe.bucket, key.text, None, probe.kind, probe.at, probe.outcome, probe.code, None)


def test_a_round_is_a_minutes_share_and_an_hour_is_never_exceeded() -> None:
    keys = [KeyName(f"{AWS_KEY.text[:-3]}{number:03}") for number in range(200)]
    holdings = tuple(a_holding(KeyName(key.text), bucket="s3://data") for key in keys)
    assert len(chosen(*holdings)) == 10
    done = tuple(_of(made(30), key) for key in keys[:195])
    assert len(chosen(*holdings, probes=done, budget=Budget(reads=True, dry_runs=False, per_hour=197))) == 2
    assert chosen(*holdings, probes=done, budget=Budget(reads=True, dry_runs=False, per_hour=100)) == []


@pytest.mark.parametrize(("per_hour", "a_round"), [(1, 1), (60, 1), (119, 1), (120, 2)])
def test_a_small_budget_is_one_probe_a_round(per_hour: int, a_round: int) -> None:
    assert Budget(reads=True, dry_runs=False, per_hour=per_hour).a_round == a_round


@pytest.mark.parametrize(("minutes_ago", "left"), [(59.9, 0), (60, 1), (90, 1)])
def test_only_probes_of_the_last_hour_use_its_budget_up(minutes_ago: float, left: int) -> None:
    one = Budget(reads=True, dry_runs=False, per_hour=1)
    assert len(chosen(a_holding(), probes=(made(minutes_ago, bucket="s3://other"),), budget=one)) == left


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
    situation = Situation((a_holding(),), frozenset(), (), {}, NOW)
    assert due(situation, READS, Policy()) == ()
    dry = Budget(reads=False, dry_runs=True, per_hour=60)
    assert len(due(situation, dry, Policy())) == 1, "a dry run needs no object"
