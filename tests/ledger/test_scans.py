"""What could not be read after each of the last scans, told on as the ledger grows."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from auditor.errors import LedgerError
from auditor.findings import Member, Readability
from auditor.ledger import codec
from auditor.ledger.store import LedgerStore
from auditor.questions.period import scans
from auditor.questions.period.answer import Much
from tests.core_builders import AWS_KEY, NOW
from tests.ledger.raw import sql
from tests.periods import MINUTE, Story, data, key

OFF, WELL, UNKNOWN = Readability.UNREADABLE, Readability.READABLE, Readability.UNKNOWN


@pytest.fixture
def story(where: Path | str) -> Iterator[Story]:
    one = Story(where)
    yield one
    one.ledger.close()


def judged(story: Story, at: int, sweep: int, state: Readability, objects: int) -> None:
    """Two keys' data; the second one's is always well."""
    story.poll(at, assessed=[data(AWS_KEY, state, objects), data(key(2), WELL)], sweeps=(f"sweep-{sweep}",))


def test_each_scan_tells_the_most_until_the_next_one_however_often_it_is_asked(story: Story, where: Path | str) -> None:
    assert story.ledger.scans() == ()
    history = ((1, WELL, 5), (1, OFF, 5), (1, OFF, 3), (2, OFF, 4), (2, UNKNOWN, 4), (3, WELL, 4))
    for at, (sweep, state, objects) in enumerate(history):
        judged(story, at, sweep, state, objects)
        told = story.ledger.scans()
        assert len(told) == sweep
    assert [(one.at, one.stopped.objects) for one in told] == [(NOW, 5), (NOW + 3 * MINUTE, 4), (NOW + 5 * MINUTE, 0)]
    assert [one.unknown for one in told] == [Much(), Much(4, 1000, 2), Much()]
    other = LedgerStore(where)
    assert other.scans() == told
    other.close()


def test_the_last_ones_are_kept(story: Story) -> None:
    for number in range(scans.LAST + 2):
        judged(story, number, number, OFF, number)
    assert [one.stopped.objects for one in story.ledger.scans()] == list(range(2, scans.LAST + 2))


def test_what_could_not_be_read_to_its_end_is_read_anew(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    judged(story, 0, 1, OFF, 5)
    judged(story, 1, 2, OFF, 7)
    member, calls = codec.member, iter(range(2))

    def breaks_off(text: str) -> Member:
        if next(calls, None) is None:
            raise LedgerError("the server went away")
        return member(text)

    with monkeypatch.context() as patched:
        patched.setattr(codec, "member", breaks_off)
        with pytest.raises(LedgerError, match="went away"):
            story.ledger.scans()
    assert [one.stopped.objects for one in story.ledger.scans()] == [5, 7]


def test_of_a_chain_that_somebody_changed_nothing_is_told(story: Story, where: Path | str) -> None:
    judged(story, 0, 1, OFF, 5)
    sql(where, "UPDATE event SET body = replace(body, 'unreadable', 'readable') WHERE kind = 'assessment_changed'")
    with pytest.raises(LedgerError, match="chain breaks"):
        story.ledger.scans()
