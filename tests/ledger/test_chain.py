"""What the chain tells somebody who has no ledger: where a judgement ends, hashes, events, heads that were given."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from auditor.errors import LedgerError
from auditor.evidence.statement import Head
from auditor.ledger.chain import KEPT_WITH_A_POLL, Chain
from auditor.ledger.journal import EFFECTS
from auditor.ledger.link import FIRST
from auditor.ledger.store import LedgerStore
from auditor.model import Probe, ProbeKind, ProbeOutcome
from tests.core_builders import AWS_KEY, NOW, an_aws_key, days
from tests.ledger.raw import sql
from tests.ledger.test_store import a_sweep, minutes, poll


@pytest.fixture
def ledger(where: Path | str) -> Iterator[LedgerStore]:
    store = LedgerStore(where)
    yield store
    store.close()


@pytest.fixture
def chain(ledger: LedgerStore) -> Chain:
    """A sweep, two judgements, between which the key was disabled, and what came behind the second."""
    ledger.publish(a_sweep())
    poll(ledger, an_aws_key())
    poll(ledger, an_aws_key("Disabled"), now=NOW + minutes(1), number=1)
    ledger.publish(a_sweep(sweep_id="s2"))
    return ledger.chain()


def head(chain: Chain, judgement: str = "poll-1") -> Head:
    return Head(*chain.end_of(judgement), "0" * 64)


def test_somebody_has_decided_of_each_kind_whether_it_is_kept_with_a_poll() -> None:
    others = {"poll_made", "sweep_published", "sweep_failed", "sweep_overtaken", "attempt_replaced", "head_given"}
    assert set(KEPT_WITH_A_POLL) == EFFECTS.keys() - others - {"probe_made", "probe_told", "probe_overruled"}


def test_a_judgement_ends_where_something_else_begins(ledger: LedgerStore, chain: Chain) -> None:
    kinds = [one.kind for one in chain.events(range(1, ledger.head()[0] + 1))]
    first, second = (number for number, kind in enumerate(kinds, 1) if kind == "poll_made")
    assert chain.end_of("poll-0") == (second - 1, ledger.hash_of(second - 1))
    end, hash_ = chain.end_of("poll-1")
    assert (kinds[end], hash_) == ("sweep_published", ledger.hash_of(end))
    assert first < second < end == len(kinds) - 1


def test_what_comes_later_does_not_move_its_end(ledger: LedgerStore, chain: Chain) -> None:
    before = chain.end_of("poll-1")
    ledger.keep_probe(Probe("s3://data", AWS_KEY.text, None, ProbeKind.READ, NOW, ProbeOutcome.PASSED, "ok", None))
    poll(ledger, an_aws_key(), now=NOW + minutes(2), number=2)
    assert chain.end_of("poll-1") == before


def test_all_hashes_up_to_one_are_told(ledger: LedgerStore, chain: Chain) -> None:
    end, _ = ledger.head()
    assert list(chain.hashes(end)) == [ledger.hash_of(number) for number in range(1, end + 1)]
    assert list(chain.hashes(2)) == [ledger.hash_of(1), ledger.hash_of(2)]
    assert list(chain.hashes(0)) == []


@pytest.mark.parametrize("gone", [1, 3])
def test_a_hash_that_lacks_is_noticed(ledger: LedgerStore, chain: Chain, where: Path | str, gone: int) -> None:
    sql(where, f"DELETE FROM event WHERE seq = {gone}")  # noqa: S608 - a number
    with pytest.raises(LedgerError, match="the ledger lacks event"):
        list(chain.hashes(ledger.head()[0]))


def test_of_each_key_the_newest_reading_is_told(chain: Chain) -> None:
    ((name, number),) = chain.readings(chain.end_of("poll-1")[0]).items()
    assert name == AWS_KEY.text
    (one,) = chain.events([number])
    assert (one.kind, one.subject, '"state":"Disabled"' in one.body) == ("key_changed", AWS_KEY.text, True)
    (before,) = chain.readings(chain.end_of("poll-0")[0]).values()
    assert before < number


def test_who_judged_is_told_and_since_when(ledger: LedgerStore, chain: Chain, where: Path | str) -> None:
    numbers = chain.judging("poll-1", ledger.head()[0])
    kinds = [one.kind for one in chain.events(numbers)]
    assert kinds.count("poll_made") == 1
    assert kinds.count("context_changed") >= 1
    assert sql(where, f"SELECT subject FROM event WHERE seq = {max(numbers)}")[1]  # noqa: S608 - a number


def test_a_head_is_given_once_with_a_judgement(ledger: LedgerStore, chain: Chain) -> None:
    one = head(chain)
    assert chain.give("poll-1", one, NOW)
    number, _ = ledger.head()
    assert chain.give("poll-1", one, NOW + days(1))
    assert ledger.head()[0] == number
    assert chain.given(number) == {number: one}
    assert chain.given(number - 1) == {}
    assert ledger.verify() == number
    ledger.rebuild()
    assert ledger.verify() == number


def test_no_head_is_given_with_a_judgement_that_was_replaced(ledger: LedgerStore, chain: Chain) -> None:
    before = ledger.head()
    assert not chain.give("poll-0", head(chain, "poll-0"), NOW)
    assert ledger.head() == before


def test_another_head_with_the_same_judgement_is_a_ledger_that_was_changed(chain: Chain) -> None:
    assert chain.give("poll-1", head(chain), NOW)
    with pytest.raises(LedgerError, match="is another one than was given"):
        chain.give("poll-1", Head(1, FIRST, "1" * 64), NOW)


@pytest.mark.parametrize("kind", ["head_given", "context_changed"])
def test_what_cannot_be_read_is_damage(ledger: LedgerStore, chain: Chain, where: Path | str, kind: str) -> None:
    chain.give("poll-1", head(chain), NOW)
    sql(where, "UPDATE event SET body = ? WHERE kind = ?", ("[]", kind))
    end = ledger.head()[0]
    with pytest.raises(LedgerError, match="in the ledger cannot be read"):
        chain.given(end) if kind == "head_given" else chain.judging("poll-1", end)
    (number,) = sql(where, "SELECT min(seq) FROM event WHERE kind = ?", (kind,))[1][0]
    with pytest.raises(LedgerError, match=f"chain breaks at event {number}"):
        list(chain.events([number]))


def test_a_judgement_that_nobody_made_has_no_end(chain: Chain) -> None:
    with pytest.raises(LedgerError, match="does not hold judgement nobody's"):
        chain.end_of("nobody's")
