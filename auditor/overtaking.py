"""Lets a poll of a few keys overtake a poll of all while that one reads: at the clouds' quotas it may take minutes."""

import threading
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager

from auditor.model import KeyName


class Lane:
    """Of one process, in which polls of all keys come one after the other; safe to use from many threads."""

    def __init__(self) -> None:
        self.still: Callable[[], bool] = lambda: True
        """Whether the ledger is still held for the poll of all keys, so that one that overtakes it may keep its own."""
        self._lock = threading.Lock()
        self._open = False
        self._read: set[KeyName] = set()

    @contextmanager
    def reading(self) -> Iterator[set[KeyName]]:
        """Let others overtake while all keys are read; what is yielded holds at the end the keys that they have read.

        Whoever overtakes comes to its end first, so that what it kept can be read behind this.
        """
        overtaken: set[KeyName] = set()
        with self._lock:
            self._open, self._read = True, overtaken
        try:
            yield overtaken
        finally:
            # Whoever waits for the lock comes too late now: many of them would keep this poll from its end.
            self._open = False
            with self._lock:
                pass

    def has_read(self, keys: Iterable[KeyName]) -> None:
        """Tell what a poll that overtakes has read, from within it: a key may have more names than it was asked by."""
        self._read.update(keys)

    def overtake(self, keys: Collection[KeyName], poll: Callable[[], object]) -> bool:
        """Poll these keys now, where a poll of all reads; False where none does, and nothing was done."""
        with self._lock:
            if self._open:
                poll()
                self._read.update(keys)
            return self._open
