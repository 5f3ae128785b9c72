"""What a ledger tells on, judgement by judgement."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from auditor.errors import LedgerError
from auditor.ledger import journal, link
from auditor.ledger.store import LedgerStore
from auditor.telling.events import Action, Event, events_of
from tests.core_builders import GCP_KEY, NOW, a_gcp_key, a_holding, a_version, an_aws_key, denied
from tests.ledger.test_store import minutes, poll

HELD = (a_holding(GCP_KEY, "1"), a_holding(GCP_KEY, "2"))


@pytest.fixture
def ledger(where: Path | str) -> Iterator[LedgerStore]:
    store = LedgerStore(where)
    yield store
    store.close()


def judged(ledger: LedgerStore, number: int, one: str = "ENABLED", two: str = "ENABLED") -> None:
    key = a_gcp_key(a_version("1", one), a_version("2", two))
    poll(ledger, key, now=NOW + minutes(number), holdings=HELD, number=number)


def told(ledger: LedgerStore, number: int | None = None, *, anew: bool = False) -> list[Event]:
    """All events behind one event of the ledger."""
    following = ledger.follow(number, anew=anew)
    found: list[Event] = []
    while turns := following.turns():
        found += [event for turn in turns for event in events_of(turn)]
    assert following.number == ledger.head()[0]
    return found


def states(events: list[Event]) -> list[tuple[str, str | None, str | None]]:
    return [
        (one.changes[0].what, one.changes[0].before, one.changes[0].after)
        for one in events
        if one.action is Action.KEY_CHANGED
    ]


def test_each_state_of_a_version_is_told_as_it_was_and_as_it_is_also_what_came_and_went(ledger: LedgerStore) -> None:
    for number, state in enumerate(("ENABLED", "DISABLED", "ENABLED")):
        judged(ledger, number, state)
    assert states(told(ledger, 0)) == [("version 1", "ENABLED", "DISABLED"), ("version 1", "DISABLED", "ENABLED")]


def test_findings_open_and_close_at_the_judgement_that_saw_it(ledger: LedgerStore) -> None:
    for number, state in enumerate(("ENABLED", "DISABLED", "DISABLED", "ENABLED")):
        judged(ledger, number, state)
    found = [one for one in told(ledger, 0) if getattr(one.about, "rule", "") == "data-unreadable"]
    assert [(one.action, one.judged.id) for one in found] == [
        (Action.FINDING_OPENED, "poll-1"),
        (Action.FINDING_CLOSED, "poll-3"),
    ]
    assert found[1].occurred_at == NOW + minutes(3)


def test_a_gap_opens_and_closes(ledger: LedgerStore) -> None:
    poll(ledger, an_aws_key())
    poll(ledger, denied(), now=NOW + minutes(1), number=1)
    poll(ledger, an_aws_key(), now=NOW + minutes(2), number=2)
    gaps = [(one.action, one.judged.id) for one in told(ledger, 0) if one.action.startswith("gap.")]
    assert gaps == [(Action.GAP_OPENED, "poll-1"), (Action.GAP_CLOSED, "poll-2")]


def test_what_stands_when_it_begins_is_not_new(ledger: LedgerStore) -> None:
    judged(ledger, 0, "DISABLED")
    following = ledger.follow()
    judged(ledger, 1, "DISABLED")
    assert following.turns() == ()
    judged(ledger, 2, "DISABLED", "DISABLED")
    assert [states(list(events_of(one))) for one in following.turns()] == [[("version 2", "ENABLED", "DISABLED")]]


def test_anew_all_that_stands_is_told_once_and_then_what_becomes_of_it(ledger: LedgerStore) -> None:
    judged(ledger, 0, "DISABLED")
    number = ledger.head()[0]
    judged(ledger, 1, "ENABLED")
    events = told(ledger, number, anew=True)
    of_data = [(one.action, one.judged.id) for one in events if getattr(one.about, "rule", "") == "data-unreadable"]
    assert of_data == [(Action.FINDING_OPENED, "poll-0"), (Action.FINDING_CLOSED, "poll-1")]


@pytest.mark.parametrize("behind", range(4))
def test_whoever_begins_later_tells_the_same_events_by_the_same_ids(ledger: LedgerStore, behind: int) -> None:
    numbers = [0]
    for number, state in enumerate(("ENABLED", "DISABLED", "DESTROY_SCHEDULED", "ENABLED")):
        judged(ledger, number, state)
        numbers.append(ledger.head()[0])
    whole = told(ledger, 0)
    assert len({one.id for one in whole}) == len(whole)
    rest = told(ledger, numbers[behind])
    assert rest == [one for one in whole if int(one.judged.id.removeprefix("poll-")) >= behind]
    assert [one.id for one in rest] == [one.id for one in whole[-len(rest) :]]


def test_a_ledger_without_a_judgement_tells_nothing(ledger: LedgerStore) -> None:
    assert told(ledger) == told(ledger, 0) == told(ledger, anew=True) == []


def test_many_are_told_some_at_a_time_and_none_is_lost(ledger: LedgerStore, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(6):
        judged(ledger, number, "DISABLED" if number % 2 else "ENABLED")
    whole = told(ledger, 0)
    monkeypatch.setattr("auditor.ledger.following._ENOUGH", 1)
    assert told(ledger, 0) == whole
    assert len(ledger.follow(0).turns()) == 1


def test_what_could_not_be_read_to_its_end_is_told_whole_the_next_time(
    ledger: LedgerStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, state in enumerate(("ENABLED", "DISABLED", "ENABLED")):
        judged(ledger, number, state)
    whole = told(ledger, 0)
    following = ledger.follow(0)
    of_kinds = journal.of_kinds

    def breaks_off(*asked: Any) -> Iterator[link.Event]:
        *most, last = of_kinds(*asked)
        yield from most
        raise LedgerError(f"the server went away before {last.kind}")

    with monkeypatch.context() as patched:
        patched.setattr(journal, "of_kinds", breaks_off)
        with pytest.raises(LedgerError):
            following.turns()
    assert [event for turn in following.turns() for event in events_of(turn)] == whole
    assert following.turns() == ()


def test_many_threads_are_told_each_turn_once(ledger: LedgerStore) -> None:
    for number in range(12):
        judged(ledger, number, "DISABLED" if number % 2 else "ENABLED")
    following = ledger.follow(0)
    begin = threading.Barrier(4)
    found: list[str] = []

    def take() -> None:
        begin.wait()
        found.extend(event.id for turn in following.turns() for event in events_of(turn))

    threads = [threading.Thread(target=take) for _ in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert sorted(found) == sorted(one.id for one in told(ledger, 0))
