"""How long a change took to be told: only of what was seen happening, and as the audit log dates it."""

from datetime import timedelta

import pytest

from auditor.daemon.detecting import BOUNDS, Detections
from auditor.findings import Actor, Finding, Sought, Status, Subject, SubjectKind
from tests.attribution.test_attribution_table import a_finding
from tests.core_builders import AWS_KEY, NOW

SECOND = timedelta(seconds=1)


def found(name: str = "a", ago: float | None = 7, after: float | None = 60, status: Status = Status.OPEN) -> Finding:
    """A finding on a change so many seconds ago, of which a reading so many seconds ago told nothing."""
    actor = Actor("alice", "DisableKey", NOW - ago * SECOND, None, None, "e") if ago is not None else None
    sought = Sought(NOW - after * SECOND if after is not None else None)
    return a_finding(
        "data-unreadable", Subject(SubjectKind.KEY, AWS_KEY.text), id=name, actor=actor, sought=sought, status=status
    )


def total(*judgements: list[Finding]) -> tuple[int, float]:
    measured = Detections()
    for number, (before, after) in enumerate(zip(([], *judgements), judgements, strict=False)):
        measured.judged(before, after, NOW + number * SECOND)
    return sum(measured.latencies().counts), measured.latencies().total


CASES: dict[str, tuple[list[list[Finding]], tuple[int, float]]] = {
    "dated when it opens": ([[found()]], (1, 7.0)),
    "and only once": ([[found()], [found()]], (1, 7.0)),
    "dated later": ([[found(ago=None)], [found(ago=None)], [found()]], (1, 7.0)),
    "never dated": ([[found(ago=None)], [found(ago=None)]], (0, 0.0)),
    "so when it was first read": ([[found(after=None)]], (0, 0.0)),
    "of a call long before": ([[found(ago=90)]], (0, 0.0)),
    "dated a second early by a log of whole seconds": ([[found(ago=61)]], (1, 61.0)),
    "dated ahead": ([[found(ago=-3)]], (1, 0.0)),
    "gone before the log told": ([[found(ago=None)], [], [found()]], (1, 9.0)),
    "resolved": ([[found(status=Status.RESOLVED)]], (0, 0.0)),
    "of two": ([[found(), found("b", ago=3)]], (2, 10.0)),
}


@pytest.mark.parametrize(("judgements", "expected"), CASES.values(), ids=CASES)
def test_a_change_counts_once_from_the_call_to_the_judgement_that_told_it(
    judgements: list[list[Finding]], expected: tuple[int, float]
) -> None:
    assert total(*judgements) == expected


@pytest.mark.parametrize(("ago", "place"), [(1, 0), (1.1, 1), (10, 3), (3_600, 9), (3_601, 10)])
def test_each_is_counted_in_the_first_bucket_that_holds_it(ago: float, place: int) -> None:
    measured = Detections()
    measured.judged([], [found(ago=ago, after=9_999)], NOW)
    assert [bool(one) for one in measured.latencies().counts] == [at == place for at in range(len(BOUNDS) + 1)]
