import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from auditor import progress as told_by
from auditor import sweeping
from auditor.config import load
from auditor.model import KeyName, Requests
from auditor.progress import progress_on
from auditor.run import Headway
from auditor.wiring import assemble
from tests.clouds import GOOGLE_KEY
from tests.ledger.test_store import a_sweep
from tests.small import a_small_cloud
from tests.test_fleet import NoProgress
from tests.test_resumed import killed_in_the_second_listing
from tests.test_sent import an_s3_bucket

KEYS = [KeyName(f"{GOOGLE_KEY}{number}") for number in range(4)]
START = Headway("s3://data", listed=0, kept=0, unresolved=0, requests=0, expected=2_000)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "140")


def told(out: io.StringIO, *, quiet: bool = False) -> str:
    with progress_on(out, quiet=quiet) as progress:
        progress.sweeping(START)
        progress.sweeping(replace(START, listed=1_000))
        progress.swept(a_sweep())
        progress.swept(replace(a_sweep(), sent=Requests(2, 10, 3)))
        progress.swept(a_sweep("s3://other", complete=False))
        progress.polled(3, len(KEYS), KEYS)
    return out.getvalue()


def test_lines_tell_each_buckets_end_and_what_went_wrong() -> None:
    assert told(io.StringIO()).splitlines() == [
        "swept s3://data: 10 objects in 0.0 s, 1 unresolved",
        "swept s3://data: 10 objects in 0.0 s, 1 unresolved, 15 requests",
        "sweep of s3://other did not finish: one object",
        "polled 3 of 4 keys",
    ]


STANDS = {
    "what is left is known from the sweep before": (
        replace(START, listed=500, unresolved=3, requests=512),
        "500 of about 2,000 objects, 50/s, 30 s left, 497 resolved, 512 requests",
    ),
    "nobody guesses where there was none": (
        replace(START, listed=500, requests=512, expected=None),
        "500 objects, 50/s, 500 resolved, 512 requests",
    ),
    "what an attempt before had listed makes this one no faster": (
        replace(START, listed=1_500, kept=1_000, requests=1),
        "1,500 of about 2,000 objects, 50/s, 10 s left, 1,500 resolved, 1 request",
    ),
    "there is more than before": (
        replace(START, listed=2_500, requests=2_600),
        "2,500 of about 2,000 objects, 250/s, 0 s left, 2,500 resolved, 2,600 requests",
    ),
    "other processes list it": (
        replace(START, listed=500, requests=512, shards=(3, 8)),
        "500 of about 2,000 objects, 50/s, 30 s left, 500 resolved, 3 of 8 shards",
    ),
    "nothing yet": (START, "0 of about 2,000 objects, 0/s, 0 resolved, 0 requests"),
}


@pytest.mark.parametrize(("at", "line"), STANDS.values(), ids=STANDS)
def test_lines_between_tell_how_far_it_has_got(monkeypatch: pytest.MonkeyPatch, at: Headway, line: str) -> None:
    monkeypatch.setattr("auditor.progress._LINES_APART", 0.0)
    ticks(monkeypatch, 0.0, 10.0)
    out = io.StringIO()
    with progress_on(out, quiet=False) as progress:
        progress.sweeping(START)
        progress.sweeping(at)
    assert out.getvalue().splitlines()[-1] == f"sweeping s3://data: {line}"


def test_the_docs_show_the_line_of_a_sweep_that_several_list(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("auditor.progress._LINES_APART", 0.0)
    ticks(monkeypatch, 0.0, 240.0)
    out = io.StringIO()
    start = replace(START, expected=9_000_000)
    with progress_on(out, quiet=False) as progress:
        progress.sweeping(start)
        progress.sweeping(replace(start, listed=2_688_960, shards=(4, 16)))
    assert out.getvalue().splitlines()[-1] in (Path(__file__).parents[1] / "docs" / "workers.md").read_text()


def test_a_terminal_gets_one_line_a_bucket_and_what_stays_are_their_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks(monkeypatch, 0.0, 10.0, 10.0)
    out = Terminal()
    with progress_on(out, quiet=False) as progress:
        progress.sweeping(replace(START, listed=500, requests=512))
        progress._bars.refresh()  # type: ignore[attr-defined]  # noqa: SLF001 - frames come by time
        progress.swept(a_sweep())
        progress.polled(3, len(KEYS), KEYS)
    text = out.getvalue()
    line = next(one for one in text.splitlines() if "resolved, 512 requests" in one)
    assert "s3://data" in line
    assert "500 of about 2,000 objects, 50/s, 30 s left, 500 resolved" in line
    assert "swept s3://data: 10 objects" in text
    assert "polled 3 of 4 keys" in text


def test_a_narrow_terminal_still_gets_one_line_a_bucket(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    ticks(monkeypatch, 0.0, 10.0)
    out = Terminal()
    with progress_on(out, quiet=False) as progress:
        progress.sweeping(replace(START, listed=500, requests=512))
        progress._bars.refresh()  # type: ignore[attr-defined]  # noqa: SLF001 - as above
    frame = next(one for one in out.getvalue().splitlines() if "500 of about 2,000 objects" in one)
    assert "…" in frame


class Told(NoProgress):
    """Keeps all that it is told of sweeps."""

    def __init__(self) -> None:
        self.all: list[Headway] = []

    def sweeping(self, at: Headway) -> None:
        self.all.append(at)


def test_a_sweep_tells_how_far_it_has_got(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with an_s3_bucket(monkeypatch, tmp_path) as (config, traffic):
        traffic.fail("HEAD /data/acme/a/05", status=403, code="AccessDenied")
        assembly = assemble(load(config))
        first, second = Told(), Told()
        sweeping.sweep_all(assembly.parts, first)
        (sweep,) = assembly.ledger.sweeps()
        sweeping.sweep_all(assembly.parts, second)
        assembly.close()
    assert sweep.sent is not None
    # Settings and uploads were asked for before it is first told.
    assert first.all[0] == Headway("s3://data", 0, 0, 0, requests=4, expected=None)
    assert first.all[-1] == Headway("s3://data", 40, 0, 2, sweep.sent.total, expected=40)
    assert first.all[-2].expected is None, "while it runs nobody knows how much there is"
    assert second.all[0] == Headway("s3://data", 0, 0, 0, requests=4, expected=40)


def test_a_sweep_that_goes_on_tells_what_was_there_before(tmp_path: Path) -> None:
    with a_small_cloud(tmp_path) as small:
        killed_in_the_second_listing(small)
        assembly = assemble(load(small.config))
        told = Told()
        sweeping.sweep_all(assembly.parts, told)
        assembly.close()
    assert (told.all[0].listed, told.all[0].kept) == (20, 20)


def ticks(monkeypatch: pytest.MonkeyPatch, *moments: float) -> None:
    """Give the clock of progress these moments, one after the other; rich has its own."""

    class Clock:
        _left: Iterator[float] = iter(moments)

        def monotonic(self) -> float:
            return next(self._left)

    monkeypatch.setattr(told_by, "time", Clock())


def test_quiet_says_nothing() -> None:
    assert told(io.StringIO(), quiet=True) == ""
