"""How a run shows that it gets on: bars on a terminal, plain lines otherwise."""

import threading
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Final, TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.table import Column

from auditor.log import visible
from auditor.model import KeyName, Sweep
from auditor.outputs import words
from auditor.plurals import counted
from auditor.ports import Asking
from auditor.run import Headway
from auditor.run import Progress as Told

_LINES_APART: Final = 5.0
"""Seconds between two plain lines about the same bucket."""


@contextmanager
def progress_on(out: TextIO, *, quiet: bool) -> Iterator[Told]:
    """Show progress on a stream for as long as the context lasts."""
    if quiet:
        yield _Silent()
    elif out.isatty():
        with _bars(Console(file=out)) as bars:
            yield _Bars(bars)
    else:
        yield _Lines(out)


def _bars(console: Console) -> Progress:
    return Progress(
        # One line a bucket, however narrow: the bar goes first, and what matters least of the rest stands last.
        BarColumn(bar_width=10),
        TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True, overflow="ellipsis")),
        console=console,
        transient=True,
    )


class _Silent:
    def sweeping(self, at: Headway) -> None: ...

    def swept(self, sweep: Sweep) -> None: ...

    def polling(self, needed: int) -> None: ...

    def polled(self, read: int, of: int, needed: Collection[KeyName]) -> None: ...

    def probed(self, made: int, chosen: int) -> None: ...

    def asking(self, at: Asking) -> None: ...


class _Bars:
    """One bar a bucket; the end is known from the sweep before."""

    def __init__(self, bars: Progress) -> None:
        self._bars = bars
        self._tasks: dict[str, tuple[TaskID, float]] = {}
        self._lock = threading.Lock()

    def sweeping(self, at: Headway) -> None:
        with self._lock:
            if at.bucket not in self._tasks:
                task = self._bars.add_task(at.bucket, total=at.expected)
                self._tasks[at.bucket] = task, time.monotonic()
            task, began = self._tasks[at.bucket]
        total = max(at.expected, at.listed) if at.expected else None
        told = f"{at.bucket}: {_headway(at, time.monotonic() - began)}"
        self._bars.update(task, completed=at.listed, total=total, description=told)

    def swept(self, sweep: Sweep) -> None:
        self._bars.console.print(_end(sweep), markup=False, highlight=False)
        with self._lock:
            known = self._tasks.pop(sweep.bucket, None)
        if known is not None:
            self._bars.remove_task(known[0])

    def polling(self, needed: int) -> None: ...

    def polled(self, read: int, of: int, needed: Collection[KeyName]) -> None:  # noqa: ARG002 - the port's shape
        self._bars.console.print(f"polled {read} of {counted(of, 'key')}", markup=False, highlight=False)

    def probed(self, made: int, chosen: int) -> None:
        if made == chosen:
            self._bars.console.print(f"made {made} probes in this round", markup=False, highlight=False)

    def asking(self, at: Asking) -> None:
        with self._lock:
            if at.registry not in self._tasks:
                self._tasks[at.registry] = self._bars.add_task(at.registry, total=None), time.monotonic()
            task, _ = self._tasks[at.registry]
        total = at.chosen or None
        self._bars.update(task, completed=at.described, total=total, description=_asked(at))


class _Lines:
    """A line every few seconds, and one at each bucket's end."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._began: dict[str, float] = {}
        self._last: dict[str, float] = {}
        self._lock = threading.Lock()

    def sweeping(self, at: Headway) -> None:
        now = time.monotonic()
        with self._lock:
            began = self._began.setdefault(at.bucket, now)
            if now - self._last.setdefault(at.bucket, now) < _LINES_APART:
                return
            self._last[at.bucket] = now
        self._write(f"sweeping {at.bucket}: {_headway(at, now - began)}")

    def swept(self, sweep: Sweep) -> None:
        self._write(_end(sweep))

    def polling(self, needed: int) -> None: ...

    def polled(self, read: int, of: int, needed: Collection[KeyName]) -> None:  # noqa: ARG002 - the port's shape
        self._write(f"polled {read} of {counted(of, 'key')}")

    def probed(self, made: int, chosen: int) -> None:
        if made == chosen:
            self._write(f"made {made} probes in this round")

    def asking(self, at: Asking) -> None:
        now = time.monotonic()
        with self._lock:
            if now - self._last.setdefault(at.registry, now) < _LINES_APART:
                return
            self._last[at.registry] = now
        self._write(f"asking {_asked(at)}")

    def _write(self, line: str) -> None:
        self._out.write(f"{line}\n")
        self._out.flush()


def _headway(at: Headway, seconds: float) -> str:
    """Say how far a sweep has got in so many seconds; of one that follows none, nobody knows how long it takes."""
    rate = (at.listed - at.kept) / max(0.001, seconds)
    of = f" of about {at.expected:,}" if at.expected else ""
    parts = [f"{at.listed:,}{of} objects", f"{rate:,.0f}/s"]
    if at.expected and rate:
        parts.append(f"{words.span(timedelta(seconds=max(0, at.expected - at.listed) / rate))} left")
    parts.append(f"{at.listed - at.unresolved:,} resolved")
    if at.shards is None:
        parts.append(words.counted(at.requests, "request"))
    else:
        parts.append(f"{at.shards[0]} of {words.counted(at.shards[1], 'shard')}")
    return ", ".join(parts)


def _asked(at: Asking) -> str:
    told = f"{at.registry}: {words.counted(at.listed, 'namespace')}"
    return f"{told}, {at.described:,} of {at.chosen:,} asked about" if at.chosen else told


def _end(sweep: Sweep) -> str:
    if not sweep.complete:
        return f"sweep of {sweep.bucket} did not finish: {visible(sweep.gaps[-1].effect)}"
    seconds = (sweep.ended - sweep.started).total_seconds()
    unresolved = f", {sweep.unresolved:,} unresolved" if sweep.unresolved else ""
    requests = f", {words.counted(sweep.sent.total, 'request')}" if sweep.sent is not None else ""
    return f"swept {sweep.bucket}: {sweep.listed:,} objects in {seconds:.1f} s{unresolved}{requests}"
