"""What goes wrong around the auditor ends in the exact answer, or in an error and a hint; never in an all-clear."""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from auditor import cli, scan
from auditor.config import load
from auditor.ledger.store import LedgerStore
from auditor.wiring import assemble
from tests.clouds import GOOGLE_KEY
from tests.small import Small, a_small_cloud
from tests.test_daemon import eventually, serving
from tests.test_fleet import NoProgress

COMMAND = str(Path(sys.executable).with_name("cmek-auditor"))


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Small]:
    with a_small_cloud(tmp_path) as running:
        yield running


def test_scans_at_the_same_time_on_one_folder_all_end_well(small: Small) -> None:
    for number in range(2_000):
        small.cloud.store.put("data", f"acme/many/{number}", key=GOOGLE_KEY)
    argv = [COMMAND, *small.argv("scan", "-q", "--format", "json")]
    running = [subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    for process in running:
        out, err = process.communicate(timeout=60)
        assert (process.returncode, err) == (0, "")
        assert json.loads(out)["totals"]["objects"] == 2_020
    ledger = LedgerStore(small.config.parent / "state" / "ledger.db")
    assert ledger.verify() == ledger.head()[0]
    ledger.close()
    assert subprocess.run([COMMAND, *small.argv("poll", "-q")], capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize("jump", [timedelta(hours=-3), timedelta(days=-400), timedelta(hours=3)], ids=str)
def test_a_clock_that_jumps_changes_no_verdict(small: Small, jump: timedelta) -> None:
    small.set_state(1, "DISABLED")
    assembly = assemble(load(small.config))
    before = scan.scan(assembly.parts, NoProgress())
    clock = assembly.parts.clock
    moved = replace(assembly.parts, clock=lambda: clock() + jump)
    after = scan.poll(moved, NoProgress())
    assert [one.assessment.readability for one in after.assessed] == [
        one.assessment.readability for one in before.assessed
    ]
    same = {one.id for one in before.findings} & {one.id for one in after.findings}
    assert same == {one.id for one in before.findings}
    assert assembly.ledger.judgement() == after
    assembly.close()


DAMAGE = {
    "a ledger that is none": ("ledger.db", b"no database at all" * 100),
    "a ledger cut short": ("ledger.db", b""),
    "dependencies that are none": ("dependencies.parquet", b"no parquet"),
    "dependencies cut short": ("dependencies.parquet", b""),
}


@pytest.mark.parametrize(("name", "content"), DAMAGE.values(), ids=DAMAGE)
def test_damaged_state_is_never_an_all_clear(
    small: Small, capsys: pytest.CaptureFixture[str], name: str, content: bytes
) -> None:
    assert cli._run(small.argv("scan", "-q")) == 0  # noqa: SLF001 - as a user would
    state = small.config.parent / "state"
    for path in state.rglob(name):
        path.write_bytes(content)
    for path in state.glob("ledger.db-*"):
        path.unlink()
    capsys.readouterr()
    code = cli._run(small.argv("poll", "-q"))  # noqa: SLF001 - as above
    out, err = capsys.readouterr()
    assert code in {3, 70}
    assert "Traceback" not in err
    if code == 70:
        assert err.count("\n") == 2
    else:
        assert "it was never swept" in out


def test_a_state_folder_that_was_removed_under_the_daemon_is_told_and_the_process_lives(small: Small) -> None:
    with serving(small.config) as daemon:
        eventually(lambda: daemon.metric("cmek_dependent_objects", readability="readable") == 20)
        for path in (small.config.parent / "state" / "inventory").rglob("*.parquet"):
            path.unlink()
        eventually(lambda: daemon.get("/api/v1/dependencies")[0] == 503)
        assert "the inventory" in daemon.get("/api/v1/dependencies")[1]
        assert daemon.get("/healthz")[0] == 200
