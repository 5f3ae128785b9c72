"""When Python looks for garbage is as it was, once many values were read."""

import gc
import threading
import weakref
from collections.abc import Iterator

import pytest

from auditor import garbage


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    limits, on = gc.get_threshold(), gc.isenabled()
    yield
    gc.set_threshold(*limits)
    (gc.enable if on else gc.disable)()


@pytest.mark.parametrize("on", [True, False])
def test_nobody_looks_while_values_are_read_and_behind_them_whoever_did_before(*, on: bool) -> None:
    (gc.enable if on else gc.disable)()
    seen: list[bool] = []

    @garbage.unsearched()
    def read() -> None:
        seen.append(gc.isenabled())
        with garbage.unsearched():
            pass
        seen.append(gc.isenabled())
        raise ValueError("what was read")

    with pytest.raises(ValueError, match="what was read"):
        read()
    assert seen == [False, False], "the inner one is no end"
    assert gc.isenabled() is on


def test_of_two_threads_the_last_lets_it_go_on_however_they_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    gc.enable()
    first, second = garbage.unsearched(), garbage.unsearched()
    ending = threading.Thread(target=lambda: first.__exit__(None, None, None))
    disable = gc.disable

    def between() -> None:
        """The first one ends once the second has seen that nobody looks, where it can."""
        ending.start()
        ending.join(0.01)
        disable()

    first.__enter__()
    monkeypatch.setattr(gc, "disable", between)
    second.__enter__()
    second.__exit__(None, None, None)
    ending.join()
    assert gc.isenabled()


def test_a_program_looks_more_seldom() -> None:
    gc.set_threshold(700, 10, 10)
    garbage.seldom()
    assert all(now > before for now, before in zip(gc.get_threshold(), (700, 10, 10), strict=True))


@pytest.mark.usefixtures("tidied")
def test_what_was_set_aside_is_collected_once_nobody_holds_it() -> None:
    class Held:
        me: object = None

    held = Held()
    held.me, seen = held, weakref.ref(held)
    garbage.tidy()
    assert gc.get_freeze_count() > 0, "what stands is set aside"
    del held
    gc.collect()
    assert seen() is not None, "and looked through by nobody"
    garbage.tidy()
    assert seen() is None
