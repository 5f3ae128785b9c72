"""What becomes of findings, keys, gaps and coverage, as events."""

from dataclasses import replace
from datetime import timedelta

import pytest

from auditor.findings import Actor, Finding, Severity, Status
from auditor.model import Extent
from auditor.questions.diff.answer import KeyChange
from auditor.telling.events import Action, Event, Turn, events_of
from tests.core_builders import GCP_KEY, NOW
from tests.outputs.test_event_json import ALICE, EVERY, turn
from tests.telling.test_telling import LOST

CHANGES: dict[str, tuple[Finding, list[tuple[str, str | None, str | None]]]] = {
    "severity": (replace(LOST, severity=Severity.LOW), [("severity", "critical", "low")]),
    "waived": (
        replace(LOST, status=Status.WAIVED, waived_until=NOW),
        [("status", "open", "waived"), ("waived_until", None, NOW.isoformat().replace("+00:00", "Z"))],
    ),
    "objects": (replace(LOST, extent=Extent(7, 1, 1)), [("objects", "1200", "7")]),
    "objects that nobody sees": (replace(LOST, extent=Extent(None, None, 1)), [("objects", "1200", None)]),
    "deadline": (replace(LOST, final_at=NOW), [("final_at", None, NOW.isoformat().replace("+00:00", "Z"))]),
}


def of(turn: Turn, action: Action) -> Event:
    (one,) = [each for each in events_of(turn) if each.action is action]
    return one


@pytest.mark.parametrize(("now", "changes"), CHANGES.values(), ids=CHANGES)
def test_what_of_a_finding_changed_is_told(now: Finding, changes: list[tuple[str, str | None, str | None]]) -> None:
    told = of(turn((LOST, now)), Action.FINDING_CHANGED).changes
    assert [(one.what, one.before, one.after) for one in told] == changes


def test_an_opened_finding_occurred_when_the_audit_log_says_so_else_when_it_was_judged() -> None:
    since = NOW - timedelta(minutes=3)
    by_log = replace(LOST, since=since, since_source="audit_log")
    assert of(turn((None, by_log)), Action.FINDING_OPENED).occurred_at == since
    assert of(turn((None, replace(by_log, since_source="key_state"))), Action.FINDING_OPENED).occurred_at == NOW


def test_a_change_of_a_key_is_by_whoever_caused_the_finding_that_began_with_it() -> None:
    one = of(turn((None, replace(LOST, actor=ALICE))), Action.KEY_CHANGED)
    assert (one.actor, one.occurred_at, one.unattributed) == (ALICE, ALICE.time, None)


NOT_BY_ALICE = {
    "the finding stood before": (replace(LOST, actor=ALICE), replace(LOST, actor=ALICE, severity=Severity.LOW)),
    "it is about another version": (
        None,
        replace(LOST, actor=ALICE, subject=replace(LOST.subject, id=f"{GCP_KEY}/cryptoKeyVersions/2")),
    ),
    "nobody is known": (None, replace(LOST, unattributed="no entry explains it yet")),
}


@pytest.mark.parametrize("pair", NOT_BY_ALICE.values(), ids=NOT_BY_ALICE)
def test_a_change_of_a_key_is_by_nobody_where_no_finding_proves_it(pair: tuple[Finding | None, Finding]) -> None:
    one = of(turn(pair), Action.KEY_CHANGED)
    assert (one.actor, one.occurred_at) == (None, NOW)
    assert one.unattributed == (
        pair[1].unattributed or "no finding began with this change, and audit logs are asked about findings alone"
    )


def test_every_event_without_an_actor_says_why() -> None:
    for one in events_of(EVERY):
        assert (one.actor is None) is bool(one.unattributed)


def test_a_closed_finding_is_told_as_it_ended() -> None:
    last = replace(LOST, status=Status.RESOLVED, extent=Extent(3, 3, 1))
    assert of(turn((LOST, None), ended=(last,)), Action.FINDING_CLOSED).about == last


WANTED = replace(LOST, unattributed="no entry explains it yet")
HEIR = replace(LOST, id="f" * 16, rule="data-doomed", succeeds=LOST.id)
BOB = replace(ALICE, principal="bob", event_id="2", time=NOW + timedelta(minutes=1))
ENDED_BY = {
    "nobody asks who enabled a key": (
        replace(LOST, actor=ALICE),
        (),
        (None, "audit logs are asked who led to a finding, and not who ended it"),
    ),
    "nobody knows who opened it either": (
        WANTED,
        (),
        (None, "audit logs are asked who led to a finding, and not who ended it"),
    ),
    "it is about no call": (LOST, (), (None, "it is about nothing that a call changes")),
    "another took its place, by somebody": (replace(LOST, actor=ALICE), (replace(HEIR, actor=BOB),), (BOB, None)),
    "another took its place, and nobody is known yet": (
        replace(LOST, actor=ALICE),
        (replace(HEIR, unattributed="no entry explains it yet"),),
        (None, "no entry explains it yet"),
    ),
    "another took its place by itself": (
        replace(LOST, actor=ALICE),
        (replace(HEIR, actor=replace(ALICE, time=LOST.first_seen - timedelta(seconds=1))),),
        (None, "it became data-doomed by itself: the call that led to that was made before"),
    ),
    "another began that has nothing to do with it": (
        replace(LOST, actor=ALICE),
        (replace(HEIR, succeeds=None, actor=BOB),),
        (None, "audit logs are asked who led to a finding, and not who ended it"),
    ),
}


@pytest.mark.parametrize(("was", "began", "expected"), ENDED_BY.values(), ids=ENDED_BY)
def test_a_closed_finding_names_who_ended_it_and_never_who_led_to_it(
    was: Finding, began: tuple[Finding, ...], expected: tuple[Actor | None, str | None]
) -> None:
    one = of(turn((was, None), *((None, each) for each in began)), Action.FINDING_CLOSED)
    assert (one.actor, one.unattributed) == expected
    assert one.occurred_at == (one.actor.time if one.actor is not None else NOW)


def test_ids_are_of_what_happened_at_which_judgement_and_of_nothing_else() -> None:
    ids = [one.id for one in events_of(EVERY)]
    assert len(set(ids)) == len(ids)
    assert [one.id for one in events_of(EVERY)] == ids
    later = replace(EVERY, judged=replace(EVERY.judged, id="another"))
    assert not set(ids) & {one.id for one in events_of(later)}
    again = replace(EVERY, number=99, keys=(KeyChange(GCP_KEY, "version 1", "?", "?", NOW, 3),))
    assert [one.id for one in events_of(again)] == ids
