"""Processes of this machine, which end when whoever asks them ends."""

import os
import signal
import threading
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Final

from auditor import garbage, log

_SPAWNED: Final = get_context("spawn")
"""A copy of a process that has threads may wait for what only another thread of it would have let go."""
_ENDED: Final = 70


class Pool(ProcessPoolExecutor):
    """So many at most; each begins with the first task for which no other one is free."""

    def __init__(self, count: int, *, json_lines: bool = False, verbose: bool = False) -> None:
        ends, self._held = _SPAWNED.Pipe(duplex=False)
        given = (ends, json_lines, verbose)
        super().__init__(count, mp_context=_SPAWNED, initializer=_begun, initargs=given)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: FBT001, FBT002 - its shape
        """End them when they have done what they were asked; with `cancel_futures` at once, whatever they do."""
        if cancel_futures:
            self._held.close()
            # One that was stopped would not hear of that; before Python 3.14 nothing else names them.
            for one in list((self._processes or {}).values()):
                one.kill()
        super().shutdown(wait, cancel_futures=cancel_futures)


def _begun(ends: Connection, json_lines: bool, verbose: bool) -> None:  # noqa: FBT001 - as it is called
    # Ctrl-C reaches all that the terminal has started; who asks these decides what becomes of them.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    garbage.seldom()
    log.start(json_lines=json_lines, verbose=verbose)
    threading.Thread(target=_end_with, args=(ends,), daemon=True).start()


def _end_with(ends: Connection) -> None:
    """Wait until the other end is gone: nothing is ever sent."""
    ends.poll(None)
    os._exit(_ENDED)
