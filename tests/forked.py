"""Processes that pay for no start: each is forked from one that has imported the product and waits.

They are processes like any other: signals, locks and files do to them what they do to the command. What hangs on how
Python itself begins, such as closed streams, an encoding or what is imported, is asked of `subprocess`.
"""

import multiprocessing
import os
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final, Self, TextIO

COMMAND: Final = "from auditor import cli; cli.main()"
_PATIENCE: Final = 60.0
FORKING: Final = multiprocessing.get_context("forkserver")
FORKING.set_forkserver_preload(
    [
        *("pytest", "tests.forked", "auditor.commands.judging", "auditor.commands.reports", "auditor.commands.serving"),
        "auditor.executors.task",
        *("auditor.clouds.aws", "auditor.clouds.gcp"),
    ]
)


class Forked:
    """`python -c code argv…` in the environment and the folder of whoever asks for it."""

    def __init__(self, code: str, *argv: str) -> None:
        out, into_out = FORKING.Pipe(duplex=False)
        err, into_err = FORKING.Pipe(duplex=False)
        given = ((into_out, into_err), dict(os.environ), Path.cwd(), code, argv)
        self._process = FORKING.Process(target=_run, args=given)
        self._process.start()
        self.stdout, self.stderr = _reading(out), _reading(err)
        for one in (out, err, into_out, into_err):
            one.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stdout.close()
        self.stderr.close()
        self._process.join()

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    def poll(self) -> int | None:
        """Its exit code, as `subprocess` tells it; None while it runs."""
        return self._process.exitcode

    def wait(self, timeout: float = _PATIENCE) -> int:
        """Its exit code, once it has ended."""
        self._process.join(timeout)
        code = self.poll()
        assert code is not None, "it does not end"
        return code

    def send_signal(self, number: signal.Signals) -> None:
        """Signal it, whether it is still there or not."""
        # It may have been waited for, and nobody was told yet.
        with suppress(ProcessLookupError):
            if self.poll() is None:
                os.kill(self.pid, number)

    def kill(self) -> None:
        """End it at once."""
        self.send_signal(signal.SIGKILL)

    def communicate(self, timeout: float = _PATIENCE) -> tuple[str, str]:
        """What it wrote until it ended, on both streams."""
        with ThreadPoolExecutor(2) as pool:
            told = [pool.submit(one.read) for one in (self.stdout, self.stderr)]
            try:
                self.wait(timeout)
            except AssertionError:
                self.kill()
                raise
            return told[0].result(), told[1].result()


def ended(code: str, *argv: str) -> tuple[int, str, str]:
    """Run it to its end: its exit code and what it wrote on both streams."""
    with Forked(code, *argv) as process:
        out, err = process.communicate()
        return process.wait(), out, err


def _reading(end: Connection) -> TextIO:
    return os.fdopen(os.dup(end.fileno()), encoding="utf-8")


def _run(
    streams: tuple[Connection, Connection], environment: dict[str, str], folder: Path, code: str, argv: tuple[str, ...]
) -> None:
    for number, one in enumerate(streams, 1):
        os.dup2(one.fileno(), number)
        one.close()
    # Those that were there know whether what they wrote to could be sought in.
    sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
    sys.stderr = os.fdopen(2, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.argv = ["-c", *argv]
    exec(code, {"__name__": "__main__"})  # noqa: S102 - as `python -c` does with what is written in the tests
