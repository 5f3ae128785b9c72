"""Many keys at once: what one of them does says nothing of the others."""

import threading
from collections.abc import Iterable

import pytest

from auditor.connectors.reading import Reader
from auditor.errors import ReadOnlyError, UsageError
from auditor.model import KeyName, KeyReading, KeyUnread, Reason
from auditor.ports import KeyNeed
from tests.core_builders import AWS_KEY, an_aws_key

NAMES = [KeyName(f"{AWS_KEY.text[:-2]}{number:02}") for number in range(30)]
NEEDS = [KeyNeed(name) for name in NAMES]


def by_name(found: Iterable[KeyReading]) -> dict[KeyName, KeyReading]:
    return {one.name: one for one in found}


def test_keys_that_hang_keep_nobody_waiting_for_long() -> None:
    released = threading.Event()

    def read(need: KeyNeed) -> KeyReading:
        if need.name in NAMES[20:]:
            released.wait(20)
        return an_aws_key(name=need.name)

    try:
        found = by_name(Reader(stall=0.3).each(NEEDS, read))
    finally:
        released.set()
    assert len(found) == 30
    assert {name for name, one in found.items() if isinstance(one, KeyUnread)} == set(NAMES[20:])
    assert {one.reason for one in found.values() if isinstance(one, KeyUnread)} == {Reason.TIMEOUT}


def test_an_answer_that_says_nothing_was_heard_is_no_progress() -> None:
    def read(need: KeyNeed) -> KeyReading:
        threading.Event().wait(0.05)
        return KeyUnread(need.name, Reason.TIMEOUT, "ReadTimeoutError", "look at the network")

    found = by_name(Reader(stall=0.08).each(NEEDS, read))
    assert len(found) == 30
    assert "no key was answered for 0 s" in {one.detail for one in found.values() if isinstance(one, KeyUnread)}


def test_keys_that_were_silent_are_asked_last_and_those_whose_call_hangs_not_at_all() -> None:
    released = threading.Event()
    asked: list[KeyName] = []

    def read(need: KeyNeed) -> KeyReading:
        asked.append(need.name)
        if need.name in NAMES[:20]:
            released.wait(20)
        return an_aws_key(name=need.name)

    reader, before = Reader(stall=0.2), set(threading.enumerate())
    try:
        first = by_name(reader.each(NEEDS, read))
        assert all(isinstance(one, KeyUnread) for one in first.values()), "eight that hang keep all workers"
        assert len(asked) == 8
        hanging: set[KeyName] = set()
        later = first
        for _ in range(4):
            hanging.update(set(asked).intersection(NAMES[:20]))
            asked.clear()
            later = by_name(reader.each(NEEDS, read))
            assert not hanging.intersection(asked)
        assert {name for name, one in later.items() if not isinstance(one, KeyUnread)} == set(NAMES[20:])
        assert len(set(threading.enumerate()) - before) < 60
    finally:
        released.set()


def test_a_key_whose_answer_never_ends_is_asked_again_after_a_minute_and_no_more_than_three_calls_hang() -> None:
    released, now = threading.Event(), [0.0]
    asked: list[KeyName] = []
    hangs = [True]

    def read(need: KeyNeed) -> KeyReading:
        asked.append(need.name)
        if hangs[0]:
            released.wait(20)
        return an_aws_key(name=need.name)

    def clock() -> float:
        now[0] += 0.01
        return now[0]

    def polled() -> tuple[int, bool]:
        asked.clear()
        (one,) = reader.each(NEEDS[:1], read)
        return len(asked), isinstance(one, KeyUnread)

    reader = Reader(stall=0.05, clock=clock)
    try:
        assert [polled(), polled()] == [(1, True), (0, True)]
        now[0] += 60
        assert [polled(), polled()] == [(1, True), (0, True)]
        hangs[0] = False
        now[0] += 60
        assert [polled(), polled()] == [(1, False), (1, False)], "the calls of before still hang"
        hangs[0] = True
        assert polled() == (1, True)
        now[0] += 60
        assert polled() == (0, True), "three hang"
    finally:
        released.set()


def test_one_location_that_hangs_takes_no_worker_of_another() -> None:
    released = threading.Event()
    there = [KeyNeed(KeyName(name.text.replace("us-east-1", "eu-west-1"))) for name in NAMES]

    def read(need: KeyNeed) -> KeyReading:
        if need.name.location == "eu-west-1":
            released.wait(20)
        return an_aws_key(name=need.name)

    try:
        found = by_name(Reader(stall=0.2).each([*there, *NEEDS], read))
    finally:
        released.set()
    assert {name for name, one in found.items() if not isinstance(one, KeyUnread)} == set(NAMES)
    assert len(found) == 60


FAILURES = {
    "a defect": (ZeroDivisionError(), Reason.UNSUPPORTED),
    "no credentials": (UsageError("no profile", "look at the config"), Reason.EXPIRED_CREDENTIALS),
}


@pytest.mark.parametrize(("error", "reason"), FAILURES.values(), ids=FAILURES)
def test_a_failure_of_ours_is_the_one_keys_alone(error: Exception, reason: Reason) -> None:
    def read(need: KeyNeed) -> KeyReading:
        if need.name == NAMES[3]:
            raise error
        return an_aws_key(name=need.name)

    found = by_name(Reader().each(NEEDS, read))
    bad = found.pop(NAMES[3])
    assert isinstance(bad, KeyUnread)
    assert bad.reason is reason
    assert not any(isinstance(one, KeyUnread) for one in found.values())


def test_a_request_that_must_not_leave_ends_everything() -> None:
    def read(_need: KeyNeed) -> KeyReading:
        raise ReadOnlyError("refused to send kms DisableKey")

    with pytest.raises(ReadOnlyError):
        list(Reader().each(NEEDS[:1], read))
