import io

import pytest

from auditor.progress import progress_on
from tests.ledger.test_store import a_sweep


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def told(out: io.StringIO, *, quiet: bool = False) -> str:
    with progress_on(out, quiet=quiet) as progress:
        progress.sweeping("s3://data", 0, 2_000)
        progress.sweeping("s3://data", 1_000, 2_000)
        progress.swept(a_sweep())
        progress.swept(a_sweep("s3://other", complete=False))
        progress.polled(3, 4)
    return out.getvalue()


def test_lines_tell_each_buckets_end_and_what_went_wrong() -> None:
    assert told(io.StringIO()).splitlines() == [
        "swept s3://data: 10 objects in 0.0 s, 1 unresolved",
        "sweep of s3://other did not finish: one object",
        "polled 3 of 4 keys",
    ]


def test_lines_between_tell_rate_and_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("auditor.progress._LINES_APART", 0.0)
    clock = iter([0.0, 10.0])
    monkeypatch.setattr("auditor.progress.time.monotonic", lambda: next(clock))
    out = io.StringIO()
    with progress_on(out, quiet=False) as progress:
        progress.sweeping("s3://data", 0, 2_000)
        progress.sweeping("s3://data", 500, 2_000)
    assert out.getvalue().splitlines()[-1] == "sweeping s3://data: 500 of about 2,000 objects, 50/s, 30 s left"


def test_a_terminal_gets_bars_with_counts_and_the_lines_stay() -> None:
    text = told(Terminal())
    assert "/2000" in text  # frames come by time, so which count they show is not promised here
    assert "swept s3://data: 10 objects" in text
    assert "polled 3 of 4 keys" in text


def test_quiet_says_nothing() -> None:
    assert told(io.StringIO(), quiet=True) == ""
