"""A few threads that many tasks share: each goes on for one step, and then lets the others go on."""

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Final, Protocol

_MOST: Final = 16
_PATIENCE: Final = 1.0
"""Seconds after which a step counts as one that hangs, so that another thread may take the place of its own."""
_SPARE: Final = 48
"""Threads that may stand in for others which hang: where more do, whoever waits is begun once one of them is over."""


class Task(Protocol):
    """Something that goes on step by step; no two threads are ever in it at once."""

    def step(self) -> bool:
        """Do the next part; tell whether there is another one. It raises nothing."""


class Threads:
    """Steps of tasks, in the order in which these came, round after round; safe to use from many threads.

    A thread ends when nothing waits, so that none is there where nothing is to be done.
    """

    def __init__(
        self,
        most: int = _MOST,
        *,
        spare: int = _SPARE,
        patience: float = _PATIENCE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._most = most
        self._spare = spare
        self._patience = patience
        self._clock = clock
        self._lock = threading.Lock()
        self._waiting: deque[Task] = deque()
        self._fresh: set[int] = set()
        """Those of the waiting that no thread has begun, by their id."""
        self._since: dict[int, float] = {}
        """When each thread began its step, by the thread's number."""
        self._number = 0

    def begin(self, task: Task) -> None:
        """Let a task go on, at once where a thread is free."""
        with self._lock:
            self._waiting.append(task)
            self._fresh.add(id(task))
        self.staff()

    def drop(self, task: Task) -> bool:
        """Take a task back; tell whether no thread had begun it, so that it never will be."""
        with self._lock:
            if id(task) not in self._fresh:
                return False
            self._fresh.discard(id(task))
            self._waiting.remove(task)
            return True

    def staff(self) -> None:
        """Put threads to work while something waits, also in the place of those that hang."""
        with self._lock:
            while self._waiting and self._lively() < self._most and len(self._since) < self._most + self._spare:
                self._number += 1
                self._since[self._number] = self._clock()
                threading.Thread(
                    target=self._work, args=(self._next(), self._number), daemon=True, name=f"audit log {self._number}"
                ).start()

    def _work(self, task: Task, number: int) -> None:
        going: Task | None = task
        while going is not None:
            more = going.step()
            with self._lock:
                if more:
                    self._waiting.append(going)
                del self._since[number]
                # Whoever comes back after others took its place leaves it to them.
                going = self._next() if self._waiting and self._lively() < self._most else None
                if going is not None:
                    self._since[number] = self._clock()

    def _next(self) -> Task:
        task = self._waiting.popleft()
        self._fresh.discard(id(task))
        return task

    def _lively(self) -> int:
        """How many threads are in a step that may end soon."""
        now = self._clock()
        return sum(now - since < self._patience for since in self._since.values())
