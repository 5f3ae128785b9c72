"""How a run shows that it gets on: bars on a terminal, plain lines otherwise."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from auditor.log import visible
from auditor.model import Sweep
from auditor.scan import Progress as Told

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
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}", markup=False),
        TimeRemainingColumn(compact=True),
        console=console,
        transient=True,
    )


class _Silent:
    def sweeping(self, bucket: str, listed: int, expected: int | None) -> None: ...

    def swept(self, sweep: Sweep) -> None: ...

    def polled(self, read: int, needed: int) -> None: ...

    def probed(self, made: int, chosen: int) -> None: ...


class _Bars:
    """One bar a bucket; the end is known from the sweep before."""

    def __init__(self, bars: Progress) -> None:
        self._bars = bars
        self._tasks: dict[str, tuple[TaskID, float]] = {}
        self._lock = threading.Lock()

    def sweeping(self, bucket: str, listed: int, expected: int | None) -> None:
        with self._lock:
            if bucket not in self._tasks:
                task = self._bars.add_task(bucket, total=expected, rate="")
                self._tasks[bucket] = task, time.monotonic()
            task, began = self._tasks[bucket]
        seconds = time.monotonic() - began
        rate = f"{listed / seconds:,.0f}/s" if listed and seconds else ""
        self._bars.update(task, completed=listed, total=max(expected, listed) if expected else None, rate=rate)

    def swept(self, sweep: Sweep) -> None:
        self._bars.console.print(_end(sweep), markup=False, highlight=False)
        with self._lock:
            known = self._tasks.pop(sweep.bucket, None)
        if known is not None:
            self._bars.remove_task(known[0])

    def polled(self, read: int, needed: int) -> None:
        self._bars.console.print(f"polled {read} of {needed} keys", markup=False, highlight=False)

    def probed(self, made: int, chosen: int) -> None:
        if made == chosen:
            self._bars.console.print(f"made {made} probes in this round", markup=False, highlight=False)


class _Lines:
    """A line every few seconds, and one at each bucket's end."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._began: dict[str, float] = {}
        self._last: dict[str, float] = {}
        self._lock = threading.Lock()

    def sweeping(self, bucket: str, listed: int, expected: int | None) -> None:
        now = time.monotonic()
        with self._lock:
            began = self._began.setdefault(bucket, now)
            if now - self._last.setdefault(bucket, now) < _LINES_APART:
                return
            self._last[bucket] = now
        rate = listed / max(0.001, now - began)
        left = f", {max(0, expected - listed) / rate:,.0f} s left" if expected and rate else ""
        of = f" of about {expected:,}" if expected else ""
        self._write(f"sweeping {bucket}: {listed:,}{of} objects, {rate:,.0f}/s{left}")

    def swept(self, sweep: Sweep) -> None:
        self._write(_end(sweep))

    def polled(self, read: int, needed: int) -> None:
        self._write(f"polled {read} of {needed} keys")

    def probed(self, made: int, chosen: int) -> None:
        if made == chosen:
            self._write(f"made {made} probes in this round")

    def _write(self, line: str) -> None:
        self._out.write(f"{line}\n")
        self._out.flush()


def _end(sweep: Sweep) -> str:
    if not sweep.complete:
        return f"sweep of {sweep.bucket} did not finish: {visible(sweep.gaps[-1].effect)}"
    seconds = (sweep.ended - sweep.started).total_seconds()
    unresolved = f", {sweep.unresolved:,} unresolved" if sweep.unresolved else ""
    return f"swept {sweep.bucket}: {sweep.listed:,} objects in {seconds:.1f} s{unresolved}"
