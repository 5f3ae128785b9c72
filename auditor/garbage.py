"""When Python looks for garbage: a judgement is a million values that stay, and to look through them takes long."""

import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_AT_ONCE: Final = 100_000
"""As many values come before anybody looks again; the default of 700 is for small programs."""

_READING: Final[list[bool]] = []
"""Of each that reads now, in any thread: whether garbage was looked for before the first of them."""
_COUNTING: Final = threading.Lock()


def seldom() -> None:
    """Look less often from now on, and more seldom still through what has stayed for long."""
    gc.set_threshold(_AT_ONCE, 20, 50)


@contextmanager
def unsearched() -> Iterator[None]:
    """Let nobody look while many values are read: that takes as long again, and what JSON says has no circles.

    Behind the last of all threads it goes on, if it did before the first.
    """
    with _COUNTING:
        _READING.append(_READING[0] if _READING else gc.isenabled())
        gc.disable()
    try:
        yield
    finally:
        with _COUNTING:
            if _READING.pop() and not _READING:
                gc.enable()


def tidy() -> None:
    """Collect what a judgement left, and set aside what stands: else that would hold a scrape up.

    What was set aside before counts again, so that nothing is kept for ever.
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()
