"""Which of several daemons works: the one that holds the ledger's lock, as long as it does."""

import logging
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Final

from auditor.errors import BusyError, LedgerError
from auditor.ledger.store import LedgerStore

_log = logging.getLogger(__name__)

_EACH: Final = 5.0
"""Seconds between two looks: whoever waits takes over so soon after the other one has ended."""
_LONGEST: Final = 20.0
"""Seconds that a look may take; a server that says nothing for so long may have given the lock to somebody else."""
_AT_ONCE: Final = 1.0
"""Seconds that a look is waited for."""


class Leadership:
    """The right to work, which one daemon has at a time.

    A look is made in a thread of its own: a server that takes what it is sent and answers nothing would hold up
    whoever waits for it, and the signals with it.
    """

    def __init__(self, ledger: LedgerStore, ticks: Callable[[], float] = time.monotonic) -> None:
        self._ledger = ledger
        self._ticks = ticks
        self._held: ExitStack | None = None
        self._still: Callable[[], bool] = lambda: False
        self._looked: float | None = None
        self._asked = False
        """Whether somebody was told that the ledger is silent, since when a look was being made."""
        self._looking: threading.Thread | None = None
        self._silent = False
        self._doubted = False

    def __bool__(self) -> bool:
        """Whether it was held at the last look, and the one that is being made does not take too long."""
        return self._held is not None and not self._doubted

    def look(self) -> None:
        """Take it where nobody has it, and give it up where it was lost; not at each call."""
        if self._looking is not None and self._looking.is_alive():
            self._doubt()
            return
        if self._looked is not None and self._ticks() - self._looked < _EACH:
            return
        self._begin_look(_AT_ONCE if self._looked is not None else None)

    def answers(self) -> bool:
        """Whether the ledger answers now, one way or another: who asks more of one that is silent waits for long.

        One that is slow has answered as soon as the look ends that it was too slow for.
        """
        looking = self._looking
        if looking is None or not (looking.is_alive() or self._asked):
            looking = self._begin_look(_AT_ONCE)
        self._asked = looking.is_alive()
        return not self._asked

    def _begin_look(self, wait: float | None) -> threading.Thread:
        self._looked = self._ticks()
        self._looking = threading.Thread(target=self._look, daemon=True, name="leader")
        self._looking.start()
        self._looking.join(wait)
        return self._looking

    def let_go(self) -> None:
        """Let another daemon work; where a look hangs, as soon as this process ends."""
        if self._looking is None or not self._looking.is_alive():
            self._give_up()

    def _look(self) -> None:
        try:
            if self._held is None:
                self._try()
            elif not self._still():
                _log.error("the ledger's lock was lost: another daemon may work now, so this one stops")
                self._give_up()
        except Exception as error:  # noqa: BLE001 - whatever it is, who cannot look must not believe that it leads
            self._tell_silence(f"the auditor itself failed: {type(error).__name__}")
            self._give_up()
        self._doubted = False

    def _doubt(self) -> None:
        if self._doubted or self._looked is None or self._ticks() - self._looked < _LONGEST:
            return
        self._doubted = True
        if self._held is not None:
            _log.error("the ledger does not answer: another daemon may work now, so this one stops")

    def _give_up(self) -> None:
        held, self._held = self._held, None
        if held is not None:
            held.close()

    def _try(self) -> None:
        stack = ExitStack()
        try:
            self._still = stack.enter_context(self._ledger.leading())
        except BusyError:
            self._silent = False
            return
        except LedgerError as error:
            self._tell_silence(str(error))
            return
        self._held, self._silent = stack, False

    def _tell_silence(self, why: str) -> None:
        if not self._silent:
            _log.error("whether another daemon works cannot be told: %s", why)
        self._silent = True
