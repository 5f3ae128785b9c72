"""However many accounts have something to be asked for, a few threads ask, and whoever hangs holds up nobody."""

import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime

import pytest

from auditor.attribution.inquiring import Inquirer
from auditor.attribution.logged import Inquiry, Reply
from auditor.attribution.threads import Task, Threads
from auditor.errors import ReadOnlyError
from auditor.model import KeyName, Reason

LONG = 10.0
"""Seconds after which a test that waits fails; none waits so long."""


class Logs:
    """The logs of many accounts, which note who asks; those that hang answer once they are let."""

    silent = None

    def __init__(self, hanging: int = 0, steps: int = 1) -> None:
        self.hanging = hanging
        self.steps = steps
        self.let = threading.Event()
        self.read_by: list[str] = []
        self.most = 0
        self.on_answer: Callable[[int], None] | None = None
        self._lock = threading.Lock()

    def place(self, key: KeyName) -> str:
        return key.owner

    def name(self, key: KeyName) -> str:
        return key.owner

    def read(self, inquiries: Sequence[Inquiry]) -> Iterator[tuple[Reply, ...]]:
        owner = inquiries[0].key.owner
        for _ in range(self.steps - 1):
            with self._lock:
                self.read_by.append(owner)
                self.most = max(self.most, asking())
            yield ()
        if int(owner) < self.hanging:
            assert self.let.wait(LONG)
        with self._lock:
            self.read_by.append(owner)
            self.most = max(self.most, asking())
            count = len(self.read_by)
        if self.on_answer is not None:
            self.on_answer(count)
        yield tuple(Reply(one) for one in inquiries)


def asking() -> int:
    return sum(one.name.startswith("audit log ") for one in threading.enumerate())


def at_rest() -> None:
    for one in threading.enumerate():
        if one.name.startswith("audit log "):
            one.join(LONG)


def inquiries(count: int) -> list[Inquiry]:
    now = datetime.now(UTC)
    names = (KeyName(f"arn:aws:kms:us-east-1:{number:012}:key/1") for number in range(count))
    return [Inquiry(name, frozenset({"DisableKey"}), None, now, now) for name in names]


def test_a_thousand_accounts_are_asked_by_sixteen_threads() -> None:
    logs, asked = Logs(), inquiries(1000)
    assert len(Inquirer(lambda _: logs, within=LONG).ask(asked)) == 1000
    assert 1 <= logs.most <= 16
    at_rest()
    assert asking() == 0, "none is left that would wait for nothing"


def test_accounts_that_hang_hold_up_none_that_answer() -> None:
    logs, asked = Logs(hanging=20), inquiries(50)

    def answered(count: int) -> None:
        if count == 30:
            logs.let.set()

    logs.on_answer = answered
    # A step counts as hanging at once, so that nothing has to wait for that.
    threads = Threads(4, spare=20, patience=0.0)
    assert len(Inquirer(lambda _: logs, within=LONG, threads=threads).ask(asked)) == 50
    assert logs.most <= 24
    assert {int(one) for one in logs.read_by[:30]} == set(range(20, 50))
    at_rest()


def test_where_too_many_hang_the_others_wait_and_are_asked_next_time() -> None:
    logs, asked = Logs(hanging=8), inquiries(10)
    inquirer = Inquirer(lambda _: logs, within=0, threads=Threads(2, spare=4, patience=0.0))
    assert inquirer.ask(asked) == {}
    assert asking() == 6
    logs.let.set()
    at_rest()
    assert {int(one) for one in logs.read_by} == set(range(6)), "nobody asks where nobody waits"
    late = inquirer.ask(asked)
    at_rest()
    assert len({**late, **inquirer.ask([one for one in asked if one.key not in late])}) == 10


class ByHand(Threads):
    """Nothing goes on unless the test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.tasks: list[Task] = []

    def begin(self, task: Task) -> None:
        self.tasks.append(task)

    def drop(self, task: Task) -> bool:  # noqa: ARG002 - all are begun
        return False

    def staff(self) -> None:
        pass


def test_what_was_begun_is_answered_though_nobody_waits_any_more() -> None:
    logs, asked, threads = Logs(steps=3), inquiries(1), ByHand()
    inquirer = Inquirer(lambda _: logs, within=0, threads=threads)
    assert inquirer.ask(asked) == {}
    assert [threads.tasks[0].step() for _ in range(3)] == [True, True, False]
    assert [one.unread for one in inquirer.ask(asked).values()] == [None]
    assert len(threads.tasks) == 1


def test_a_log_is_silent_that_gets_on_no_more_and_not_one_that_is_asked_for_long() -> None:
    logs, asked, threads, now = Logs(steps=9), inquiries(1), ByHand(), [0.0]
    inquirer = Inquirer(lambda _: logs, within=0, stall=30, clock=lambda: now[0], threads=threads)
    inquirer.ask(asked)
    for now[0] in (20.0, 40.0, 60.0):
        threads.tasks[0].step()
        assert inquirer.ask(asked) == {}
    now[0] = 90.0
    assert [one.unread for one in inquirer.ask(asked).values()] == [Reason.TIMEOUT]


def test_a_request_that_must_not_leave_is_told_however_late_it_was_refused() -> None:
    class Refusing(Logs):
        def read(self, inquiries: Sequence[Inquiry]) -> Iterator[tuple[Reply, ...]]:
            yield from super().read(inquiries) if self.hanging else ()
            raise ReadOnlyError("refused", "nothing was sent")

    threads, asked = ByHand(), inquiries(1)
    inquirer = Inquirer(lambda _: Refusing(), within=0, threads=threads)
    assert inquirer.ask(asked) == {}
    assert threads.tasks[0].step() is False
    with pytest.raises(ReadOnlyError):
        inquirer.ask(asked)


def test_tasks_take_turns_and_one_that_was_begun_cannot_be_taken_back() -> None:
    begun, let, done = threading.Event(), threading.Event(), []

    class Some:
        def __init__(self, name: str) -> None:
            self.name = name
            self.left = 3

        def step(self) -> bool:
            begun.set()
            assert let.wait(LONG)
            done.append(self.name)
            self.left -= 1
            return self.left > 0

    threads, tasks = Threads(1), [Some(name) for name in "abcd"]
    for one in tasks:
        threads.begin(one)
    assert begun.wait(LONG)
    assert [threads.drop(one) for one in (tasks[0], tasks[3], tasks[3])] == [False, True, False]
    let.set()
    at_rest()
    # The first one goes behind those that came while it was at work.
    assert "".join(done) == "abcabcabc"
