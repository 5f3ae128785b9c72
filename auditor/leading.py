"""Which of several daemons works: the one that holds the ledger's lock, as long as it does."""

import logging
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Final

from auditor.errors import BusyError, LedgerError
from auditor.ledger.store import LedgerStore

_log = logging.getLogger(__name__)

_EACH: Final = 5.0
"""Seconds between two looks: whoever waits takes over so soon after the other one has ended."""


class Leadership:
    """The right to work, which one daemon has at a time."""

    def __init__(self, ledger: LedgerStore, ticks: Callable[[], float] = time.monotonic) -> None:
        self._ledger = ledger
        self._ticks = ticks
        self._held: ExitStack | None = None
        self._still: Callable[[], bool] = lambda: False
        self._looked: float | None = None
        self._silent = False

    def __bool__(self) -> bool:
        """Whether it was held at the last look."""
        return self._held is not None

    def look(self) -> None:
        """Take it where nobody has it, and give it up where it was lost; not at each call."""
        if self._looked is not None and self._ticks() - self._looked < _EACH:
            return
        self._looked = self._ticks()
        if self._held is None:
            self._try()
        elif not self._still():
            _log.error("the ledger's lock was lost: another daemon may work now, so this one stops")
            self.let_go()

    def let_go(self) -> None:
        """Let another daemon work."""
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
            if not self._silent:
                _log.error("whether another daemon works cannot be told: %s", error)
            self._silent = True
            return
        self._held, self._silent = stack, False
