"""Questions are asked in bounded time, of few keys; endpoints and clocks are told by what came back."""

import socket
import threading
from datetime import timedelta

import pytest

from auditor.checkup import Answer, Check, Question, Told, exit_code
from auditor.doctoring import endpoints
from auditor.doctoring.asking import ask
from auditor.doctoring.choosing import MOST, chooser
from auditor.errors import ReadOnlyError
from auditor.model import KeyMemory, KeyName, Reason
from tests.core_builders import an_aws_key


def test_endpoints_over_plain_http_are_fine_on_loopback_alone() -> None:
    ok = Told(None, "answered")
    given = {"http://127.0.0.1:1": Answer.OK, "http://10.0.0.9": Answer.MISSING, "https://kms.example": Answer.OK}
    found = endpoints.of_endpoints([(one, ok) for one in given], 1.0)
    assert {one.what.removeprefix("endpoint "): one.answer for one in found} == given


def test_an_endpoint_whose_name_nobody_knows_is_told_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)

    def unresolved(*_: object, **__: object) -> None:
        raise socket.gaierror

    monkeypatch.setattr(socket, "create_connection", unresolved)
    (told,) = endpoints.of_endpoints([("https://kms.nowhere.invalid", Told(Reason.TIMEOUT, "x"))], 1.0)
    assert (told.answer, told.told) == (Answer.UNKNOWN, "its name cannot be resolved")
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:1")
    (told,) = endpoints.of_endpoints([("https://kms.nowhere.invalid", Told(Reason.TIMEOUT, "x"))], 1.0)
    assert told.told == "nothing came back through the proxy"


def test_a_clock_that_nothing_was_held_against_is_unknown() -> None:
    assert endpoints.of_clock(timedelta(0), heard=False).answer is Answer.UNKNOWN


def test_of_many_keys_a_few_are_asked_and_that_is_said() -> None:
    keys = [KeyName(f"arn:aws:kms:us-east-1:111122223333:key/{number:04}") for number in range(9)]
    stored = an_aws_key()
    memory = {
        keys[7]: KeyMemory(None, None),
        keys[5]: KeyMemory(stored, None),
        keys[6]: KeyMemory(stored, None),
    }
    chosen, (told,) = chooser(frozenset({keys[8]}), memory)(keys)
    assert chosen == (keys[7], keys[8], keys[0]), "silent ones and those of the config first"
    assert (len(chosen), told.answer) == (MOST, Answer.OK)
    assert told.told.startswith("3 of 9 known ones are asked")
    assert chooser(frozenset(), {})(keys[:3]) == (tuple(keys[:3]), ())


def test_a_defect_of_one_question_ends_no_visit_and_a_request_that_may_not_be_does() -> None:
    def broken() -> Told:
        raise RuntimeError("secret")

    def forbidden() -> Told:
        raise ReadOnlyError("no")

    ((check, _, _),) = ask([Question("g", "w", broken)], 5.0)
    assert (check.answer, check.told) == (Answer.UNKNOWN, "a defect of the auditor: RuntimeError")
    with pytest.raises(ReadOnlyError):
        ask([Question("g", "w", forbidden)], 5.0)


def test_a_question_that_never_ends_is_given_up() -> None:
    released = threading.Event()

    def hangs() -> Told:
        released.wait(60)
        return Told(None, "too late")

    asked = [
        Question("g", "hangs", hangs, endpoint="one"),
        Question("g", "works", lambda: Told(None, "x"), endpoint="two"),
    ]
    found = [check for check, _, _ in ask(asked, 2.0)]
    released.set()
    assert [(one.answer, one.reason, one.told) for one in found] == [
        (Answer.UNKNOWN, Reason.TIMEOUT, "no answer within 2 s"),
        (Answer.OK, None, "x"),
    ]


def test_exit_codes_are_those_of_a_scan() -> None:
    def of(*answers: Answer) -> int:
        return exit_code([Check("g", "w", one, "t") for one in answers])

    assert of(Answer.OK, Answer.OFF) == 0
    assert of(Answer.OK, Answer.UNKNOWN) == 3
    assert of(Answer.UNKNOWN, Answer.MISSING, Answer.OK) == 1
