"""What goes wrong around the auditor ends in the exact answer, or in an error and a hint; never in an all-clear."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from auditor import cli, scan
from auditor.config import load
from auditor.ledger.store import LedgerStore
from auditor.run import Headway
from auditor.wiring import assemble
from tests.clouds import GOOGLE_KEY, an_aws_cloud
from tests.daemon.test_daemon import eventually, serving
from tests.forked import COMMAND, Forked, ended
from tests.small import Small, a_small_cloud
from tests.test_denied import AWS_CONFIG, AWS_KEY, PLATFORM
from tests.test_fleet import NoProgress


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Small]:
    with a_small_cloud(tmp_path) as running:
        yield running


def test_scans_at_the_same_time_on_one_folder_all_end_well(small: Small) -> None:
    for number in range(2_000):
        small.cloud.store.put("data", f"acme/many/{number}", key=GOOGLE_KEY)
    running = [Forked(COMMAND, *small.argv("scan", "-q", "--format", "json")) for _ in range(3)]
    for process in running:
        out, err = process.communicate()
        assert (process.wait(), err) == (0, "")
        assert json.loads(out)["totals"]["objects"] == 2_020
    ledger = LedgerStore(small.config.parent / "state" / "ledger.db")
    assert ledger.verify() == ledger.head()[0]
    ledger.close()
    assert ended(COMMAND, *small.argv("poll", "-q"))[0] == 0


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


def test_a_clock_that_is_set_back_while_a_bucket_is_swept_lets_it_not_end_before_it_began(small: Small) -> None:
    assembly = assemble(load(small.config))
    clock, back = assembly.parts.clock, timedelta(0)

    class SetBack(NoProgress):
        def sweeping(self, at: Headway) -> None:  # noqa: ARG002 - the port's shape
            nonlocal back
            back = timedelta(hours=3)

    judgement = scan.scan(replace(assembly.parts, clock=lambda: clock() - back), SetBack())
    (bucket,) = judgement.coverage.buckets
    assert bucket.complete
    assert bucket.sweep_started is not None
    assert bucket.sweep_started == bucket.sweep_ended, "as a bundle says it to whoever does not see the bucket"
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
        assert "nothing is known of its objects" in out


def test_a_state_folder_that_was_removed_under_the_daemon_is_told_and_the_process_lives(small: Small) -> None:
    with serving(small.config) as daemon:
        eventually(lambda: daemon.metric("cmek_dependent_objects", readability="readable") == 20)
        for path in (small.config.parent / "state" / "inventory").rglob("*.parquet"):
            path.unlink()

        def refused() -> bool:
            status, text, _ = daemon.get("/api/v1/dependencies")
            return status == 503 and "the inventory of gs://data lacks" in text

        # Until the next poll, which counts the bucket as not swept.
        eventually(refused)
        eventually(lambda: daemon.metric("cmek_coverage_ratio", bucket="gs://data") == 0)
        assert daemon.get("/healthz")[0] == 200


NOBODY = {"Statement": [{"Effect": "Allow", "Principal": {"AWS": "AROANOBODY"}, "Action": "kms:*", "Resource": "*"}]}
FAULTY_POLICIES = {
    "throttled": ({"status": 400, "code": "ThrottlingException"}, "revoked", "throttled"),
    "no answer": ({"drop": True}, "revoked", "timeout"),
    "denied": ({"status": 400, "code": "AccessDeniedException"}, "unknown", "access_denied"),
}


@pytest.mark.parametrize(("how", "readability", "reason"), FAULTY_POLICIES.values(), ids=FAULTY_POLICIES)
def test_policies_that_cannot_be_read_give_no_right_back_and_resolve_nothing(
    small: Small,
    *,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    how: dict[str, Any],
    readability: str,
    reason: str,
) -> None:
    monkeypatch.setattr("auditor.connectors.aws.session._ATTEMPTS", 1)
    with an_aws_cloud(monkeypatch) as aws:
        aws.store.add_bucket("objects")
        aws.store.add_key(AWS_KEY, policy=NOBODY)
        aws.store.put("objects", "acme/s3/0", sse="aws:kms", key=AWS_KEY)
        small.config.write_text(small.config.read_text() + AWS_CONFIG + PLATFORM)

        def polled(command: str) -> tuple[int, str, dict[str, str], set[str]]:
            code = cli._run(small.argv(command, "-q", "--format", "json"))  # noqa: SLF001 - as a user would
            told = json.loads(capsys.readouterr().out)
            (row,) = [one for one in told["dependencies"] if one["key"] == AWS_KEY]
            findings = {one["rule"]: one["status"] for one in told["findings"]}
            return code, row["readability"], findings, {gap["reason"] for gap in told["gaps"]}

        whole = {"data-revoked": "open", "no-key-administrator": "open"}
        assert polled("scan") == (1, "revoked", whole, set())
        for _ in range(2):
            aws.traffic.fail("kms GetKeyPolicy", **how)
            code, found, findings, reasons = polled("poll")
            assert (code, found, reasons) == (1, readability, {reason})
            assert findings["no-key-administrator"] == "open"
            assert readability == "unknown" or findings["data-revoked"] == "open"
            aws.traffic.heal()
        assert polled("poll")[:2] == (1, "revoked")
