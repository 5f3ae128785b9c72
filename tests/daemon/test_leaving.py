"""The end of the process waits for nobody who hangs."""

import os
import threading

import pytest

from auditor.daemon import serving


def _ends(monkeypatch: pytest.MonkeyPatch, others: list[threading.Thread], *, at_once: bool = False) -> bool:
    """Whether the process is ended by force."""
    ended: list[int] = []
    monkeypatch.setattr(os, "_exit", ended.append)
    monkeypatch.setattr(threading, "enumerate", lambda: [threading.main_thread(), *others])
    monkeypatch.setattr("logging.shutdown", lambda: None)
    monkeypatch.setattr(serving, "_PATIENCE", 0.05)
    serving.leave(at_once=at_once)
    return ended == [0]


def test_a_thread_that_hangs_in_a_request_keeps_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    released = threading.Event()
    hangs = threading.Thread(target=released.wait, args=(20,))
    hangs.start()
    try:
        assert _ends(monkeypatch, [hangs])
    finally:
        released.set()
    hangs.join()


def test_threads_that_end_in_time_are_waited_for_and_those_of_nobody_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    released = threading.Event()
    short = threading.Thread(target=lambda: None)
    beside = threading.Thread(target=released.wait, args=(20,), daemon=True)
    short.start()
    beside.start()
    try:
        assert not _ends(monkeypatch, [short, beside])
    finally:
        released.set()


def test_what_is_known_to_hang_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _ends(monkeypatch, [], at_once=True)
