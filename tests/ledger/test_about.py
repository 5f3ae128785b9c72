"""What is told of one key is what the whole tells of it, however many others there are."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from auditor.ledger.store import LedgerStore
from auditor.model import KeyName
from auditor.ports import PollRecord
from tests.core_builders import AWS_KEY, GCP_KEY, NOW, a_gcp_key, a_holding, a_version, an_aws_key
from tests.ledger.raw import sql
from tests.ledger.test_store import minutes, poll

NUMBER = KeyName(GCP_KEY.text.replace("acme-keys", "123456"))
LIKE = KeyName(f"{GCP_KEY}_2")
"""Its name begins with the name of another."""
ODD = KeyName(GCP_KEY.text.replace("acme-keys", "acme_keys%"))
NAMES = (AWS_KEY, GCP_KEY, NUMBER, LIKE, ODD)


@pytest.fixture
def ledger(where: Path | str) -> Iterator[LedgerStore]:
    store = LedgerStore(where)
    yield store
    store.close()


def judged(ledger: LedgerStore, state: str = "DISABLED", number: int = 0) -> None:
    google = [replace(a_gcp_key(a_version("1", state)), name=one) for one in NAMES[1:]]
    under = [a_holding(one.name, "1") for one in google]
    poll(ledger, an_aws_key(), *google, holdings=(a_holding(), *under), now=NOW + minutes(number), number=number)


@pytest.mark.parametrize("key", NAMES)
def test_data_and_memory_of_all_names_of_one_key_are_what_the_whole_has_of_them(
    ledger: LedgerStore, where: Path | str, key: KeyName
) -> None:
    judged(ledger)
    whole, fresh = ledger.judgement(), LedgerStore(where)
    about, memory = fresh.judgement_about(key), fresh.memory(key)
    assert whole is not None
    assert about is not None
    mine = {one for one in NAMES if one == key or one.may_be(key)}
    told = [one for one in about.assessed if KeyName(str(one.holding.key)) in mine]
    assert told == [one for one in whole.assessed if KeyName(str(one.holding.key)) in mine]
    assert len(told) == len(mine)
    assert {one: memory[one] for one in mine} == {one: ledger.memory()[one] for one in mine}
    of_all = replace(whole, assessed=(), findings=(), besides=frozenset({False}))
    assert (about.findings, replace(about, assessed=())) == ((), of_all)
    fresh.close()


def test_of_others_little_is_read(ledger: LedgerStore) -> None:
    judged(ledger)
    about = ledger.judgement_about(AWS_KEY)
    assert about is not None
    assert ({one.holding.key for one in about.assessed}, set(ledger.memory(AWS_KEY))) == ({AWS_KEY.text}, {AWS_KEY})


def test_where_no_key_is_meant_no_data_is_read(ledger: LedgerStore) -> None:
    assert (ledger.judgement_about(None), ledger.judgement_about(GCP_KEY)) == (None, None)
    assert ledger.key_names() == frozenset()
    judged(ledger)
    whole, none = ledger.judgement(), ledger.judgement_about(None)
    assert whole is not None
    assert none == replace(whole, assessed=(), findings=(), besides=frozenset({False}))


@pytest.mark.parametrize("told", [(), (True,), (False,), (True, False)])
def test_whether_anybody_tells_of_data_is_told_of_all_data(ledger: LedgerStore, told: tuple[bool, ...]) -> None:
    claimed = a_holding(LIKE, bucket='registry "is_told":true', objects=None, size=None, oldest=None, newest=None)
    by_bundle = a_holding(GCP_KEY, "1", is_told=True)
    judged = poll(ledger, holdings=tuple(by_bundle if one else claimed for one in told))
    whole = replace(judged, run=replace(judged.run, id="keys-only"), coverage=replace(judged.coverage, buckets=()))
    ledger.keep(PollRecord("keys-only", NOW, NOW, (), timedelta(0), "c" * 64), whole)
    assert ledger.judgement() == whole
    for key in (AWS_KEY, GCP_KEY, LIKE, None):
        about = ledger.judgement_about(key)
        assert about is not None
        assert (about.is_untold, about.is_by_bundles) == (whole.is_untold, whole.is_by_bundles)


def test_every_key_has_a_name_that_was_read_or_that_data_is_under(ledger: LedgerStore) -> None:
    judged(ledger)
    unread = KeyName(f"{GCP_KEY}-never-read")
    poll(ledger, an_aws_key(), holdings=(a_holding(), a_holding(unread, "1"), a_holding(None)), number=1)
    assert ledger.key_names() == {*NAMES, unread}


def test_what_is_remembered_is_what_the_newest_poll_told(ledger: LedgerStore) -> None:
    judged(ledger)
    before = ledger.memory()
    assert ledger.memory() is before, "it is read once"
    assert ledger.memory(GCP_KEY) is before
    judged(ledger, "ENABLED", 1)
    for memory in (ledger.memory(GCP_KEY), ledger.memory()):
        assert memory[GCP_KEY].last == a_gcp_key(a_version("1", "ENABLED"))
        assert memory[GCP_KEY].last_at == NOW + minutes(1)


def test_a_ledger_that_was_put_back_in_its_place_is_read_anew(ledger: LedgerStore, where: Path | str) -> None:
    judged(ledger)
    copy = {table: sql(where, f"SELECT * FROM {table}")[1] for table in ("event", "current")}  # noqa: S608 - our own
    judged(ledger, "ENABLED", 1)
    assert (ledger.memory()[GCP_KEY].last_at, ledger.judgement() is None) == (NOW + minutes(1), False)
    events = ledger.head()[0]
    for table, rows in copy.items():
        sql(where, f"DELETE FROM {table}")  # noqa: S608 - likewise
        for row in rows:
            sql(where, f"INSERT INTO {table} VALUES ({', '.join('?' * len(row))})", row)  # noqa: S608 - likewise
    other = LedgerStore(where)
    judged(other, "ENABLED", 2)
    other.close()
    newest = ledger.judgement()
    assert newest is not None
    assert (ledger.head()[0], newest.run.id, ledger.memory()[GCP_KEY].last_at) == (events, "poll-2", NOW + minutes(2))
