"""Probes from the config to the finding: asked for, made, judged, told."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from auditor import cli, scan, sweeping
from auditor.config import load
from auditor.daemon import timers
from auditor.embedded.aws import AwsCloud
from auditor.findings import Basis, Judgement, Readability, Severity
from auditor.wiring import Assembly, assemble
from tests.clouds import ACCESS_KEY, GOOGLE_KEY, Clock, an_aws_cloud
from tests.small import Small, a_small_cloud
from tests.test_denied import AWS_CONFIG, AWS_KEY, PLATFORM
from tests.test_fleet import NoProgress

ROLE = "arn:aws:iam::111122223333:role/storage"
PROBE = "\n[probe]\nreads = true\ndry_runs = true\nper_second = 100\n"


@pytest.fixture
def both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Small, AwsCloud]]:
    with a_small_cloud(tmp_path) as small, an_aws_cloud(monkeypatch) as aws:
        aws.store.principals[ACCESS_KEY] = ROLE
        aws.store.by_iam.add(ROLE)
        aws.store.add_bucket("objects")
        aws.store.add_key(AWS_KEY)
        aws.store.put("objects", "acme/s3/empty", size=0, sse="aws:kms", key=AWS_KEY)
        aws.store.put("objects", "acme/s3/cold", size=9, sse="aws:kms", key=AWS_KEY, storage_class="GLACIER")
        aws.store.put("objects", "acme/plain/0", size=9)
        for number in range(5):
            when = datetime(2026, 1, 1 + number, tzinfo=UTC)
            aws.store.put("objects", f"acme/s3/{number}", size=100, sse="aws:kms", key=AWS_KEY, modified=when)
        small.config.write_text(small.config.read_text() + AWS_CONFIG + PLATFORM + PROBE)
        yield small, aws


@pytest.fixture
def running(both: tuple[Small, AwsCloud]) -> Iterator[tuple[Assembly, Clock]]:
    clock = both[0].cloud.store.clock
    both[1].store.clock = clock
    assert isinstance(clock, Clock)
    assembly = assemble(load(both[0].config), clock)
    yield assembly, clock
    assembly.close()


def by_key(judgement: Judgement) -> dict[str, tuple[Readability, Basis]]:
    return {
        f"{one.holding.key} {one.holding.key_version}": (one.assessment.readability, one.assessment.basis)
        for one in judgement.assessed
        if one.holding.key
    }


def reads(both: tuple[Small, AwsCloud]) -> list[str]:
    google = [one.target for one in both[0].cloud.traffic.requests if "alt=media" in one.target]
    aws = [one.target for one in both[1].traffic.requests if (one.service, one.verb) == ("s3", "GET")]
    return google + [one for one in aws if one.count("/") > 1]


def test_every_key_version_in_use_is_read_once_and_stands_on_that(
    both: tuple[Small, AwsCloud], running: tuple[Assembly, Clock]
) -> None:
    judgement = scan.scan(running[0].parts, NoProgress())
    proven = (Readability.READABLE, Basis.PROBE)
    assert by_key(judgement) == {f"{GOOGLE_KEY} 1": proven, f"{GOOGLE_KEY} 2": proven, f"{AWS_KEY} None": proven}
    assert min(reads(both)).startswith("/objects/acme/s3/0?"), "the oldest that is neither empty nor archived"
    assert len(reads(both)) == 3
    assert sum(one.verb == "Decrypt" for one in both[1].traffic.requests) == 1
    scan.scan(running[0].parts, NoProgress())
    assert len(reads(both)) == 3, "good for an hour"
    assert judgement.gaps == ()


def test_nothing_is_tried_unless_it_is_asked_for(both: tuple[Small, AwsCloud]) -> None:
    small, aws = both
    small.config.write_text(small.config.read_text().replace(PROBE, ""))
    cli._run(small.argv("scan", "-q"))  # noqa: SLF001 - as a user would
    assert reads(both) == []
    assert not any(one.verb == "Decrypt" for one in aws.traffic.requests)


def test_a_key_that_says_enabled_and_does_not_read_is_critical(
    both: tuple[Small, AwsCloud], running: tuple[Assembly, Clock]
) -> None:
    key = both[0].cloud.store.key(GOOGLE_KEY)
    assert key is not None
    key.versions[2].reads_as = "DISABLED"
    both[1].store.add_key_store("cks-1", "us-east-1", works=False)
    both[1].store.add_key(AWS_KEY, store="cks-1")
    judgement = scan.scan(running[0].parts, NoProgress())
    found = by_key(judgement)
    assert found[f"{GOOGLE_KEY} 1"] == (Readability.READABLE, Basis.PROBE)
    assert found[f"{GOOGLE_KEY} 2"] == (Readability.UNREADABLE, Basis.PROBE)
    assert found[f"{AWS_KEY} None"] == (Readability.UNREACHABLE, Basis.PROBE)
    disagreeing = [one for one in judgement.findings if one.rule == "probe-disagrees"]
    assert {(one.severity, one.subject.kind.value, one.extent.objects) for one in disagreeing} == {
        (Severity.CRITICAL, "key_version", 10),
        (Severity.CRITICAL, "key_store", 7),
    }
    assert {"storage.objects.get media", "s3:GetObject"} <= {each.call for one in disagreeing for each in one.evidence}


def test_a_disable_that_has_not_spread_yet_is_no_contradiction_and_later_is_one(
    both: tuple[Small, AwsCloud], running: tuple[Assembly, Clock]
) -> None:
    (assembly, clock), key = running, both[0].cloud.store.key(GOOGLE_KEY)
    assert key is not None
    scan.scan(assembly.parts, NoProgress())
    key.versions[1].state, key.versions[1].reads_as = "DISABLED", "ENABLED"

    def turn() -> set[Severity]:
        scan.probe(assembly.parts, NoProgress())
        judgement = scan.poll(assembly.parts, NoProgress())
        assert by_key(judgement)[f"{GOOGLE_KEY} 1"][0] is Readability.UNREADABLE
        return {one.severity for one in judgement.findings if one.rule == "probe-disagrees"}

    assert turn() == set()
    clock.ahead += timedelta(minutes=9)
    assert turn() == set()
    clock.ahead += timedelta(minutes=2)
    assert turn() == {Severity.HIGH}
    key.versions[1].reads_as = None
    clock.ahead += timedelta(minutes=61)
    turn()
    judgement = scan.poll(assembly.parts, NoProgress())
    assert not [one for one in judgement.findings if one.rule == "probe-disagrees"], "resolved, and told once"


def test_a_refusal_ends_as_soon_as_a_read_passes_again(
    both: tuple[Small, AwsCloud], running: tuple[Assembly, Clock]
) -> None:
    (assembly, clock), key = running, both[0].cloud.store.key(GOOGLE_KEY)
    assert key is not None
    key.versions[1].reads_as = "DISABLED"
    assert by_key(scan.scan(assembly.parts, NoProgress()))[f"{GOOGLE_KEY} 1"][0] is Readability.UNREADABLE
    key.versions[1].reads_as = None
    clock.ahead += timedelta(minutes=3)
    scan.probe(assembly.parts, NoProgress())
    assert by_key(scan.poll(assembly.parts, NoProgress()))[f"{GOOGLE_KEY} 1"] == (Readability.READABLE, Basis.PROBE)


def test_an_auditor_without_the_right_is_a_gap_and_no_verdict(
    both: tuple[Small, AwsCloud], capsys: pytest.CaptureFixture[str]
) -> None:
    small, aws = both
    aws.store.principals[ACCESS_KEY] = "arn:aws:iam::111122223333:role/cmek-auditor"
    small.cloud.store.deny("storage.objects.get", "data")
    code = cli._run(small.argv("scan", "-q", "--format", "json"))  # noqa: SLF001 - as a user would
    told = json.loads(capsys.readouterr().out)
    assert code == 3
    assert told["totals"]["by_readability"]["readable"]["objects"] == 28
    assert {one["basis"] for one in told["dependencies"] if one["key"]} == {"state", "policy"}
    effects = [gap["effect"] for gap in told["gaps"]]
    assert sum("told nothing (HTTP 403)" in one for one in effects) == 2
    assert sum("may not decrypt, and is not the platform" in one for one in effects) == 1
    assert {gap["reason"] for gap in told["gaps"]} == {"access_denied"}


def test_a_platform_that_may_not_decrypt_is_revoked_by_proof(
    both: tuple[Small, AwsCloud], running: tuple[Assembly, Clock]
) -> None:
    both[1].store.by_iam.clear()
    judgement = scan.scan(running[0].parts, NoProgress())
    assert by_key(judgement)[f"{AWS_KEY} None"] == (Readability.REVOKED, Basis.PROBE)
    assert {one.rule for one in judgement.findings} == {"data-revoked", "probe-disagrees"}


def test_the_hours_budget_is_kept(both: tuple[Small, AwsCloud], running: tuple[Assembly, Clock]) -> None:
    small, _ = both
    small.config.write_text(small.config.read_text().replace("per_second", "per_hour = 2\nper_second"))
    assembly = assemble(load(small.config), running[1])
    for _ in range(5):
        scan.scan(assembly.parts, NoProgress())
    assembly.close()
    assert len(reads(both)) + sum(one.verb == "Decrypt" for one in both[1].traffic.requests) == 2


def test_the_daemon_probes_beside_its_polls(both: tuple[Small, AwsCloud], running: tuple[Assembly, Clock]) -> None:
    parts = running[0].parts
    sweeping.sweep_all(parts, NoProgress())
    loops = timers.Daemon(parts, load(both[0].config).schedule)
    assert set(loops.loops_alive()) == {"key_poll", "sweep", "probe"}
    loops._probe()  # noqa: SLF001 - one turn of its loop
    assert len(parts.ledger.probes()) == 4


def test_the_configured_pace_bounds_a_round(both: tuple[Small, AwsCloud], running: tuple[Assembly, Clock]) -> None:
    small, _ = both
    text = small.config.read_text()
    small.config.write_text(text.replace("per_second = 100", "per_hour = 1000000\nper_second = 0.5"))
    assembly = assemble(load(small.config), running[1])
    assert assembly.parts.probing.a_round == 30
    assembly.close()


def test_what_a_probe_saw_survives_a_restart_and_a_rebuild(
    both: tuple[Small, AwsCloud], running: tuple[Assembly, Clock]
) -> None:
    assembly, clock = running
    scan.scan(assembly.parts, NoProgress())
    before = assembly.ledger.probes()
    assembly.ledger.rebuild()
    assert assembly.ledger.probes() == before
    other = assemble(load(both[0].config), clock)
    assert other.ledger.probes() == before
    other.close()


def test_what_the_ledger_keeps_of_a_probe_names_no_object(
    both: tuple[Small, AwsCloud], running: tuple[Assembly, Clock]
) -> None:
    old = datetime(2020, 1, 1, tzinfo=UTC)
    both[1].store.put("objects", "acme/secret-name", size=9, sse="aws:kms", key=AWS_KEY, modified=old)
    scan.scan(running[0].parts, NoProgress())
    assert any("secret-name" in one for one in reads(both))
    kept: list[Any] = [*running[0].ledger.probes()]
    assert kept
    assert not any("secret-name" in str(one) for one in kept)


def test_a_refusal_outlives_the_wish_to_probe(both: tuple[Small, AwsCloud], running: tuple[Assembly, Clock]) -> None:
    assembly, clock = running
    key = both[0].cloud.store.key(GOOGLE_KEY)
    assert key is not None
    key.versions[2].reads_as = "DISABLED"
    scan.scan(assembly.parts, NoProgress())
    unwanted = replace(assembly.parts, probing=replace(assembly.parts.probing, reads=False, dry_runs=False))
    for hours in (1, 30, 24 * 40):
        clock.ahead += timedelta(hours=hours)
        judgement = scan.poll(unwanted, NoProgress())
        assert by_key(judgement)[f"{GOOGLE_KEY} 2"] == (Readability.UNREADABLE, Basis.PROBE)
        assert by_key(judgement)[f"{GOOGLE_KEY} 1"][0] is Readability.READABLE
        gaps = [one for one in judgement.gaps if "none has told otherwise since" in one.effect]
        assert [one.what for one in gaps] == [f"{GOOGLE_KEY}/cryptoKeyVersions/2"]
        assert gaps[0].hint.startswith("set [probe] reads and scan, where an object can be read: a read that passes")
    key.versions[2].reads_as = None
    judgement = scan.scan(assembly.parts, NoProgress())
    assert by_key(judgement)[f"{GOOGLE_KEY} 2"] == (Readability.READABLE, Basis.PROBE)


def test_where_no_object_can_be_chosen_for_a_probe_that_is_a_gap(
    both: tuple[Small, AwsCloud], running: tuple[Assembly, Clock]
) -> None:
    assembly, clock = running
    assert scan.scan(assembly.parts, NoProgress()).gaps == ()
    (rows,) = both[0].config.parent.glob("state/inventory/s3-objects-*/*/*.rows.parquet")
    rows.write_bytes(rows.read_bytes()[:-5])
    clock.ahead += timedelta(hours=4)
    before = sum("/objects/" in one for one in reads(both))
    later = assemble(load(both[0].config), clock)
    scan.probe(later.parts, NoProgress())
    assert sum("/objects/" in one for one in reads(both)) == before
    (gap,) = scan.poll(later.parts, NoProgress()).gaps
    assert (gap.what, gap.effect.partition(":")[0]) == ("s3://objects", "no probe reads its objects")
    without = replace(later.parts, probing=replace(later.parts.probing, reads=False))
    assert scan.poll(without, NoProgress()).gaps == (), "nobody wants to read"
    later.close()
