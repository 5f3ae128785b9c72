"""Two runs at the same time on one state folder: the answer is that of the later one."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from auditor import scan
from auditor.config import load
from auditor.findings import Judgement
from auditor.wiring import Assembly, assemble
from tests.clouds import GOOGLE_KEY
from tests.small import Small, a_small_cloud
from tests.test_fleet import NoProgress


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Small]:
    with a_small_cloud(tmp_path) as running:
        yield running


@contextmanager
def assembled(small: Small) -> Iterator[Assembly]:
    assembly = assemble(load(small.config))
    yield assembly
    assembly.close()


def objects(judgement: Judgement) -> int:
    return sum(one.holding.objects for one in judgement.assessed)


class Meanwhile(NoProgress):
    """Lets something happen once, when a bucket is listed and not written yet."""

    def __init__(self, act: Callable[[], object]) -> None:
        self._acts = [act]

    def sweeping(self, bucket: str, listed: int, expected: int | None) -> None:  # noqa: ARG002 - the port's shape
        if listed and self._acts:
            self._acts.pop()()


def test_a_sweep_that_began_before_and_ended_after_another_is_not_put_in_force(small: Small) -> None:
    def newer() -> None:
        small.cloud.store.put("data", "acme/new/later", key=GOOGLE_KEY, version=2, size=100)
        with assembled(small) as other:
            assert objects(scan.scan(other.parts, NoProgress())) == 21

    with assembled(small) as assembly:
        assert objects(scan.scan(assembly.parts, Meanwhile(newer))) == 21
        assert objects(scan.poll(assembly.parts, NoProgress())) == 21
        (in_force,) = assembly.ledger.sweeps()
        folders = [path.parent.name for path in (small.config.parent / "state").rglob("dependencies.parquet")]
        assert folders == [in_force.id], "the files of the older one are gone"
        assert assembly.ledger.verify() == assembly.ledger.head()[0]


def test_an_attempt_that_began_before_a_whole_sweep_and_failed_after_it_leaves_no_gap(small: Small) -> None:
    def newer_then_fail() -> None:
        with assembled(small) as other:
            scan.scan(other.parts, NoProgress())
        raise ZeroDivisionError

    with assembled(small) as assembly:
        judgement = scan.scan(assembly.parts, Meanwhile(newer_then_fail))
        assert (objects(judgement), judgement.gaps) == (20, ())
