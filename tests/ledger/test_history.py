"""Any judgement of before is given back as it was, and nothing is told of a chain that somebody changed."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from auditor.errors import LedgerError
from auditor.findings import Judgement
from auditor.ledger.store import LedgerStore
from auditor.model import KeyGone, KeyReading, KeyUnread, Reason
from tests.core_builders import AWS_KEY, GCP_KEY, NOW, a_gcp_key, a_holding, a_version, an_aws_key, days
from tests.ledger.raw import sql
from tests.ledger.test_store import minutes, poll

DENIED = KeyUnread(AWS_KEY, Reason.ACCESS_DENIED, "AccessDeniedException", "grant it")
TIMEOUT = KeyUnread(AWS_KEY, Reason.TIMEOUT, "timeout", "poll again")
TOLD: tuple[KeyReading, ...] = (
    an_aws_key(),
    an_aws_key("Disabled"),
    an_aws_key("Disabled"),
    TIMEOUT,
    an_aws_key(),
    DENIED,
    an_aws_key("PendingDeletion", deletion_date=NOW + days(9)),
    KeyGone(AWS_KEY, proven=True),
)


@pytest.fixture
def ledger(where: Path | str) -> Iterator[LedgerStore]:
    store = LedgerStore(where)
    yield store
    store.close()


def polled(ledger: LedgerStore, *readings: KeyReading) -> list[Judgement]:
    """Poll once for each reading, a minute apart; the judgements, as the ledger gave each when it was the newest."""
    found = []
    for number, reading in enumerate(readings):
        poll(ledger, reading, now=NOW + minutes(number), number=number)
        newest = ledger.judgement()
        assert newest is not None
        found.append(newest)
    return found


def test_every_judgement_is_given_back_whole(ledger: LedgerStore) -> None:
    kept = polled(ledger, *TOLD)
    made = list(ledger.made())
    assert [one.id for one in made] == [one.run.id for one in reversed(kept)]
    assert [ledger.then(one) for one in made] == kept[::-1]
    assert [ledger.then(one) for one in reversed(made)] == kept
    assert {one.sweeps for one in made} == {("s1",)}


def test_an_id_is_found_by_how_it_begins_and_a_sign_of_a_pattern_is_none(ledger: LedgerStore) -> None:
    polled(ledger, *TOLD)
    assert [one.id for one in ledger.named("poll-3")] == ["poll-3"]
    assert [one.id for one in ledger.named("poll")] == ["poll-0", "poll-1"]
    assert not ledger.named("poll_3")
    assert not ledger.named("%")


def test_keys_tell_what_they_were_and_are_and_when_that_was_seen(ledger: LedgerStore) -> None:
    polled(ledger, *TOLD)
    last, *_, first = ledger.made()
    told = ledger.between(first.number, last.number)
    assert {(one.fact, one.before, one.after, one.at, one.times) for one in told.keys} == {
        ("state", "Enabled", "PendingDeletion", NOW + minutes(6), 3),
        ("answer", "answered", "not found", NOW + minutes(7), 5),
    }


def test_between_two_polls_only_what_happened_there_is_told(ledger: LedgerStore) -> None:
    polled(ledger, *TOLD)
    made = list(reversed(list(ledger.made())))
    assert not ledger.between(made[1].number, made[2].number).keys
    (one,) = ledger.between(made[1].number, made[3].number).keys
    assert (one.fact, one.before, one.after, one.times, one.is_back) == ("answer", "answered", "silent", 1, False)
    back = {one.fact: one for one in ledger.between(made[0].number, made[4].number).keys}
    assert (back["state"].is_back, back["answer"].is_back) == (True, True)
    assert (back["state"].at, back["state"].times) == (NOW + minutes(4), 2)


def test_that_a_key_was_not_asked_is_no_change_of_it(ledger: LedgerStore) -> None:
    other = a_gcp_key(a_version("1"))
    told_each: list[tuple[KeyReading, ...]] = [(an_aws_key(), other), (DENIED, other), (other,), (DENIED, other)]
    for number, readings in enumerate(told_each):
        poll(ledger, *readings, now=NOW + minutes(number), number=number)
    made = list(reversed(list(ledger.made())))
    told = [ledger.between(*(each.number for each in made[place : place + 2])).keys for place in range(3)]
    assert [[(one.key, one.before, one.after) for one in keys] for keys in told] == [
        [(AWS_KEY, "answered", "denied")],
        [],
        [],
    ]


def test_new_versions_of_a_key_and_its_primary_one_are_told(ledger: LedgerStore) -> None:
    under = (a_holding(GCP_KEY, "1"),)
    one, two = a_version("1"), a_version("2")
    poll(ledger, a_gcp_key(one, primary="1"), holdings=under, number=0)
    poll(ledger, a_gcp_key(one, two, primary="2"), holdings=under, now=NOW + minutes(1), number=1)
    poll(ledger, a_gcp_key(two, primary="2"), holdings=under, now=NOW + minutes(2), number=2)
    made = list(reversed(list(ledger.made())))
    new, gone = (ledger.between(*(each.number for each in made[place : place + 2])).keys for place in (0, 1))
    assert {(each.fact, each.before, each.after) for each in new} == {
        ("primary", "1", "2"),
        ("version 2", None, "ENABLED"),
    }
    assert {(each.fact, each.before, each.after) for each in gone} == {("version 1", "ENABLED", None)}


def test_a_key_that_is_heard_of_for_the_first_time_has_changed_in_nothing_else(ledger: LedgerStore) -> None:
    poll(ledger, an_aws_key(), number=0)
    both = (a_holding(), a_holding(GCP_KEY, "1"))
    poll(ledger, an_aws_key(), a_gcp_key(a_version("1")), holdings=both, now=NOW + minutes(1), number=1)
    later, earlier = ledger.made()
    (one,) = ledger.between(earlier.number, later.number).keys
    assert (one.key, one.fact, one.before, one.after) == (GCP_KEY, "answer", None, "answered")


def test_a_finding_that_opened_and_ended_is_told_once_it_is_over(ledger: LedgerStore) -> None:
    polled(ledger, *TOLD[:5])
    made = list(reversed(list(ledger.made())))
    (one,) = ledger.between(made[0].number, made[4].number).passed
    assert (one.rule, one.first_seen, one.last_seen) == ("data-unreadable", NOW + minutes(1), NOW + minutes(4))
    assert not ledger.between(made[0].number, made[3].number).passed
    assert not ledger.between(made[1].number, made[4].number).passed


FORGED = {
    "a body": "UPDATE event SET body = replace(body, 'Disabled', 'Enabled') WHERE kind = 'assessment_changed'",
    "a subject": "UPDATE event SET subject = 'poll-9' WHERE subject = 'poll-0'",
    "a link that is gone": "DELETE FROM event WHERE seq = 4",
    "the first link": "DELETE FROM event WHERE seq = 1",
    "a link that names another": "UPDATE event SET previous = '0' WHERE seq = 5",
}


@pytest.mark.parametrize("forged", FORGED.values(), ids=FORGED)
def test_of_a_chain_that_somebody_changed_nothing_is_told(where: Path | str, ledger: LedgerStore, forged: str) -> None:
    polled(ledger, *TOLD[1:4])
    last, _, first = ledger.made()
    assert sql(where, forged)[0]
    with pytest.raises(LedgerError, match="chain breaks at event"):
        ledger.then(first)
    if "assessment" not in forged and "subject" not in forged:
        with pytest.raises(LedgerError, match="chain breaks at event"):
            ledger.between(first.number, last.number)


def test_a_key_whose_event_was_changed_is_not_told(where: Path | str, ledger: LedgerStore) -> None:
    polled(ledger, *TOLD[:2])
    last, first = ledger.made()
    assert sql(where, "UPDATE event SET body = replace(body, 'Disabled', 'Enabled') WHERE kind = 'key_changed'")[0]
    with pytest.raises(LedgerError, match="chain breaks at event"):
        ledger.between(first.number, last.number)


def test_polls_without_a_change_stand_on_the_sweeps_of_before(ledger: LedgerStore) -> None:
    polled(ledger, *[an_aws_key()] * 4)
    assert [one.sweeps for one in ledger.made()] == [("s1",)] * 4
    assert timedelta(minutes=3) == ledger.then(next(ledger.made())).now - NOW
