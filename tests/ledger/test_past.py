"""A period is told of a file and of a database alike, and of no chain that somebody changed."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from auditor.errors import LedgerError
from auditor.findings import Readability
from auditor.ledger.store import LedgerStore
from auditor.questions.period.answer import Ending
from tests.core_builders import AWS_KEY, NOW
from tests.ledger.raw import sql
from tests.periods import MINUTE, Story, between, finding, spans


@pytest.fixture
def story(where: Path | str) -> Iterator[Story]:
    one = Story(where)
    one.sweep(0)
    for at in range(8):
        one.poll(at, *([finding(AWS_KEY, Readability.UNREADABLE, NOW + at * MINUTE)] if at in {2, 3, 6} else []))
    yield one
    one.ledger.close()


def test_whoever_reads_it_is_told_the_same(story: Story, where: Path | str) -> None:
    told = story.told(0, 5)
    assert [(one.since, one.ended, one.ending) for one in told.incidents] == [
        (NOW + 2 * MINUTE, NOW + 4 * MINUTE, Ending.REPAIRED)
    ]
    assert (told.share, [one.complete for one in told.buckets]) == (1, [1])
    assert story.told(0, 7).incidents[-1].ending is Ending.OPEN
    assert spans(story.told(5, 20).polls.blind) == [(8, 20)]
    looking = LedgerStore(where, looking=isinstance(where, Path))
    assert looking.chronicle(between(0, 5), told.asked) == told
    looking.close()


FORGED = {
    "a poll": "UPDATE event SET body = replace(body, 'PT1M', 'PT9M') WHERE kind = 'poll_made'",
    "a finding": "UPDATE event SET body = replace(body, 'unreadable', 'readable') WHERE kind = 'finding_opened'",
    "a link that is gone": "DELETE FROM event WHERE seq = 4",
    "a moment": "UPDATE event SET at = replace(at, 'T12:03', 'T11:03') WHERE kind = 'poll_made'",
}


@pytest.mark.parametrize("forged", FORGED.values(), ids=FORGED)
def test_of_a_chain_that_somebody_changed_nothing_is_told(story: Story, where: Path | str, forged: str) -> None:
    assert sql(where, forged)[0]
    with pytest.raises(LedgerError, match="chain breaks at event"):
        story.told(0, 8)


def test_nobody_takes_a_judgement_out_of_a_period_by_its_moment(story: Story, where: Path | str) -> None:
    # The clock was ahead meanwhile, so that a poll behind the period stands between.
    story.poll(60)
    story.poll(8, finding(AWS_KEY, Readability.LOST, NOW))
    assert [one.spans[0].rule for one in story.told(7, 10).incidents] == ["data-lost"]
    assert sql(where, "UPDATE event SET at = replace(at, 'T12:08', 'T13:08') WHERE subject = 'poll-9'")[0]
    with pytest.raises(LedgerError, match="chain breaks at event"):
        story.told(7, 10)
