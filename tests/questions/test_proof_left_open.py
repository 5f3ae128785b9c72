"""No revocation is called proven while a read passes, or while what would tell otherwise was not looked at."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from auditor import scan
from auditor.config import load
from auditor.embedded.google.store import Version
from auditor.findings import Judgement
from auditor.model import KeyName, Probe, ProbeKind, ProbeOutcome
from auditor.questions.prove_revoked.answer import Proof, Revocation
from auditor.questions.prove_revoked.proving import proving
from auditor.wiring import Assembly, assemble
from tests.clouds import GOOGLE_KEY, Clock, an_aws_cloud
from tests.questions.test_prove_revoked import MEANT, proven, run, set_all
from tests.small import Small, a_small_cloud
from tests.test_denied import AWS_CONFIG
from tests.test_fleet import NoProgress

PROBES = "\n[probe]\nreads = true\nper_second = 100\n"
ARN = "arn:aws:kms:us-east-1:111122223333:key/"
KEY, OTHER = f"{ARN}1f3c0f5e-0000-4000-8000-000000000001", f"{ARN}1f3c0f5e-0000-4000-8000-000000000002"
PRIMARY = f"{ARN}mrk-1f3c0f5e000040008000000000000001"
REPLICA = PRIMARY.replace("us-east-1", "eu-west-1")


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Small]:
    with a_small_cloud(tmp_path) as running:
        running.config.write_text(running.config.read_text() + MEANT)
        yield running


def test_a_version_that_works_leaves_it_open_though_no_data_is_known_under_it(
    small: Small, capsys: pytest.CaptureFixture[str]
) -> None:
    run(capsys, small.argv("scan", "-q"))
    set_all(small, "DISABLED")
    key = small.cloud.store.key(GOOGLE_KEY)
    assert key is not None
    key.versions[3] = Version(3, small.cloud.store.clock())
    key.primary = 3
    small.cloud.store.put("data", "acme/new/late", key=GOOGLE_KEY, version=3, size=100)
    code, told = proven(small, capsys)
    assert (code, told["proof"]) == (3, "not_proven")
    assert "its version 3 is ENABLED" in told["why"]


def test_a_read_that_passed_is_not_forgotten_for_a_change_of_another_version(
    small: Small, capsys: pytest.CaptureFixture[str]
) -> None:
    small.config.write_text(small.config.read_text() + PROBES)
    run(capsys, small.argv("scan", "-q"))
    key = small.cloud.store.key(GOOGLE_KEY)
    assert key is not None
    set_all(small, "DISABLED")
    key.versions[1].reads_as = "ENABLED"  # the change is still spreading
    assert proven(small, capsys)[1]["proof"] == "not_proven"
    small.set_state(2, "DESTROYED")
    small.cloud.traffic.fail("alt=media", status=503)
    code, told = proven(small, capsys)
    assert (code, told["proof"]) == (3, "not_proven")
    assert "passed at" in told["why"]


def test_attempts_that_told_nothing_are_a_gap(small: Small, capsys: pytest.CaptureFixture[str]) -> None:
    small.config.write_text(small.config.read_text() + PROBES)
    set_all(small, "DISABLED")
    run(capsys, small.argv("scan", "-q"))
    run(capsys, small.argv("scan", "-q"))
    small.cloud.traffic.fail("alt=media", status=503)
    code, told = proven(small, capsys)
    assert (code, told["proof"]) == (3, "revoked")
    assert any("told nothing" in one["effect"] for one in told["gaps"])


def test_an_old_refusal_proves_nothing_of_a_key_that_works_by_its_own_word(
    small: Small, capsys: pytest.CaptureFixture[str]
) -> None:
    alone = small.config.read_text()
    small.config.write_text(alone + PROBES)
    key = small.cloud.store.key(GOOGLE_KEY)
    assert key is not None
    for one in key.versions.values():
        one.reads_as = "DISABLED"
    run(capsys, small.argv("scan", "-q"))
    for one in key.versions.values():
        one.reads_as = None
    small.config.write_text(alone)
    run(capsys, small.argv("scan", "-q"))
    code, told = proven(small, capsys)
    assert (code, told["proof"]) == (3, "not_proven")
    assert any("none has told otherwise since" in one["effect"] for one in told["gaps"])


def test_a_key_that_gives_no_answer_now_proves_nothing(small: Small, capsys: pytest.CaptureFixture[str]) -> None:
    set_all(small, "DISABLED")
    run(capsys, small.argv("scan", "-q"))
    run(capsys, small.argv("scan", "-q"))
    assert proven(small, capsys)[0] == 0
    small.cloud.traffic.fail("kms GetCryptoKey", status=503)
    code, told = proven(small, capsys)
    assert (code, told["proof"]) == (3, "not_proven")


def test_what_may_have_moved_before_the_key_was_off_is_a_gap(small: Small, capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, small.argv("scan", "-q"))
    set_all(small, "DISABLED")
    code, told = proven(small, capsys)
    assert (code, told["proof"]) == (3, "revoked")
    (gap,) = told["gaps"]
    assert (gap["what"], gap["hint"]) == ("gs://data", "scan again")
    assert gap["effect"].startswith("what has moved from the key to another since ")
    run(capsys, small.argv("scan", "-q"))
    assert proven(small, capsys)[0] == 0


@pytest.fixture
def on_aws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Any, Path]]:
    """A store with two buckets of two Regions, and the config that looks at both."""
    with an_aws_cloud(monkeypatch) as cloud:
        cloud.store.add_bucket("objects")
        cloud.store.add_bucket("euro", "eu-west-1")
        euro = AWS_CONFIG.replace("s3://objects", "s3://euro").replace("us-east-1", "eu-west-1")
        config = tmp_path / "auditor.toml"
        config.write_text(f'state = "state"\n{AWS_CONFIG}{euro}')
        yield cloud, config


def meant(config: Path, key: str, more: str = "") -> Assembly:
    config.write_text(f'{config.read_text()}\n[[key]]\nname = "{key}"\nintended_state = "revoked"\n{more}')
    return assemble(load(config))


def told_of(assembly: Assembly, key: str, judgement: Judgement | None = None) -> Revocation:
    now = judgement or scan.poll(assembly.parts, NoProgress())
    return proving(assembly.parts, now, assembly.rows(now), KeyName(key), now.now)


def test_what_was_asked_for_its_key_before_the_key_was_off_may_have_moved(on_aws: tuple[Any, Path]) -> None:
    """A change of an object's encryption leaves its ETag and its date as they were."""
    cloud, config = on_aws
    cloud.store.add_key(KEY)
    cloud.store.add_key(OTHER)
    old = cloud.store.clock() - timedelta(days=10)
    moved = cloud.store.put("objects", "acme/a/1", sse="aws:kms", key=KEY, modified=old)
    assembly = meant(config, KEY)
    scan.scan(assembly.parts, NoProgress())
    moved.key = OTHER
    cloud.store.key(KEY).state = "Disabled"
    scan.poll(assembly.parts, NoProgress())
    judgement = scan.scan(assembly.parts, NoProgress())
    found = told_of(assembly, KEY, judgement)
    hints = [one.hint for one in found.gaps if one.what == "s3://objects" and "moved from the key" in one.effect]
    assert (found.proof, hints) == (
        Proof.REVOKED,
        ["scan with [limits] reverify_days = 0, so that every object is asked for its key again"],
    )
    assembly.close()
    assembly = meant(config, OTHER, "[limits]\nreverify_days = 0\n")
    found = told_of(assembly, KEY, scan.scan(assembly.parts, NoProgress()))
    assert (found.proof, found.extent.objects) == (Proof.NOT_PROVEN, 0), "nothing is under it any more"
    assembly.close()


@pytest.mark.parametrize(("state", "proof"), [("Enabled", Proof.NOT_PROVEN), ("Disabled", Proof.REVOKED)])
def test_a_replica_that_can_be_read_leaves_it_open(on_aws: tuple[Any, Path], state: str, proof: Proof) -> None:
    cloud, config = on_aws
    cloud.store.add_key(PRIMARY, multi_region=True).state = "Disabled"
    cloud.store.add_key(REPLICA, multi_region=True).state = state
    cloud.store.put("objects", "acme/a/1", sse="aws:kms", key=PRIMARY)
    cloud.store.put("euro", "acme/a/1", sse="aws:kms", key=REPLICA)
    assembly = meant(config, PRIMARY)
    found = told_of(assembly, PRIMARY, scan.scan(assembly.parts, NoProgress()))
    assert (found.proof, REPLICA in found.why) == (proof, proof is Proof.NOT_PROVEN)
    assembly.close()


def test_a_multi_region_key_that_is_gone_may_be_made_anew_and_is_not_called_erased(on_aws: tuple[Any, Path]) -> None:
    cloud, config = on_aws
    cloud.store.add_key(PRIMARY, multi_region=True)
    cloud.store.put("objects", "acme/a/1", sse="aws:kms", key=PRIMARY)
    assembly = meant(config, PRIMARY, "[policy]\nconfirm_missing_minutes = 0\n")
    scan.scan(assembly.parts, NoProgress())
    cloud.store.remove_key(PRIMARY)
    scan.poll(assembly.parts, NoProgress())
    found = told_of(assembly, PRIMARY)
    assert (found.proof, "replicated there anew" in found.why) == (Proof.NOT_PROVEN, True)
    assembly.close()


ROLES = "arn:aws:sts::111122223333:assumed-role/a/1", "arn:aws:sts::111122223333:assumed-role/b/1"


@pytest.mark.parametrize(("who", "proof"), [(ROLES[0], Proof.REVOKED), (ROLES[1], Proof.NOT_PROVEN)])
def test_only_who_was_refused_cannot_read(on_aws: tuple[Any, Path], who: str, proof: Proof) -> None:
    cloud, config = on_aws
    cloud.store.add_key(KEY).state = "Disabled"
    cloud.store.put("objects", "acme/a/1", sse="aws:kms", key=KEY)
    assembly = meant(config, KEY)
    now = scan.scan(assembly.parts, NoProgress()).now
    a_read: dict[str, Any] = {"bucket": "s3://objects", "key": KEY, "key_version": None, "kind": ProbeKind.READ}
    soon, later = now + timedelta(seconds=1), now + timedelta(seconds=2)
    assembly.ledger.keep_probe(Probe(outcome=ProbeOutcome.PASSED, code="200", at=soon, principal=ROLES[0], **a_read))
    refused = Probe(outcome=ProbeOutcome.REFUSED, code="DisabledException", at=later, principal=who, **a_read)
    assembly.ledger.keep_probe(refused)
    assert told_of(assembly, KEY).proof is proof
    assembly.close()


@pytest.mark.parametrize("step", [timedelta(seconds=1), timedelta(seconds=30)])
def test_a_read_that_passed_counts_though_the_clock_stepped_back(on_aws: tuple[Any, Path], step: timedelta) -> None:
    cloud, config = on_aws
    cloud.store.add_key(KEY)
    cloud.store.put("objects", "acme/a/1", sse="aws:kms", key=KEY)
    assembly = meant(config, KEY)
    scan.scan(assembly.parts, NoProgress())
    cloud.store.key(KEY).state = "Disabled"
    seen = scan.poll(assembly.parts, NoProgress()).now
    read = Probe("s3://objects", KEY, None, ProbeKind.READ, seen - step, ProbeOutcome.PASSED, "200", ROLES[0])
    assembly.ledger.keep_probe(read)
    assert told_of(assembly, KEY).proof is Proof.NOT_PROVEN
    assembly.close()


def test_what_was_moved_before_a_key_was_heard_of_first_is_a_gap(
    small: Small, capsys: pytest.CaptureFixture[str]
) -> None:
    """It was off already when the first poll heard of it, behind the first sweep."""
    set_all(small, "DISABLED")
    run(capsys, small.argv("scan", "-q"))
    code, told = proven(small, capsys)
    assert (code, [one["hint"] for one in told["gaps"]]) == (3, ["scan again"])


def test_a_sweep_that_a_clock_ahead_has_dated_is_no_look_since(on_aws: tuple[Any, Path]) -> None:
    cloud, config = on_aws
    cloud.store.add_key(KEY)
    cloud.store.put("objects", "acme/a/1", sse="aws:kms", key=KEY)
    clock = Clock()
    cloud.store.clock = clock
    config.write_text(f'{config.read_text()}\n[[key]]\nname = "{KEY}"\nintended_state = "revoked"\n')
    assembly = assemble(load(config), clock)
    clock.ahead = timedelta(hours=12)
    scan.scan(assembly.parts, NoProgress())
    clock.ahead = timedelta(0)
    cloud.store.key(KEY).state = "Disabled"
    found = told_of(assembly, KEY)
    assert any("a clock was wrong" in one.effect for one in found.gaps if one.what == "s3://objects")
    assembly.close()


def unheard_of(small: Small, clock: Clock, how: str) -> None:
    """An hour in which the key does not tell, and nobody knows what is done to it."""
    store = small.cloud.store
    if how == "denied":
        store.deny("cloudkms.cryptoKeys.get", GOOGLE_KEY)
    else:
        small.cloud.traffic.fail("kms GetCryptoKey ", status=503)
    clock.ahead += timedelta(minutes=30)
    assembly = assemble(load(small.config), clock)
    scan.poll(assembly.parts, NoProgress())
    assembly.close()
    store.allow("cloudkms.cryptoKeys.get", GOOGLE_KEY)
    small.cloud.traffic.heal()
    clock.ahead += timedelta(minutes=30)


@pytest.mark.parametrize("how", ["denied", "unavailable"])
def test_what_may_have_moved_while_the_key_did_not_tell_is_a_gap(small: Small, how: str) -> None:
    """It may have been on meanwhile, and what was under it written anew under another one."""
    clock = Clock()
    small.cloud.store.clock = clock
    set_all(small, "DISABLED")
    assembly = assemble(load(small.config), clock)
    for _ in range(2):
        scan.scan(assembly.parts, NoProgress())
        clock.ahead += timedelta(minutes=1)
    assert told_of(assembly, GOOGLE_KEY).gaps == ()
    unheard_of(small, clock, how)
    found = told_of(assembly, GOOGLE_KEY)
    assert (found.proof, [one.hint for one in found.gaps]) == (Proof.REVOKED, ["scan again"])
    clock.ahead += timedelta(minutes=1)
    scan.scan(assembly.parts, NoProgress())
    assert told_of(assembly, GOOGLE_KEY).gaps == ()
    assembly.close()


def test_what_may_have_moved_before_a_key_was_seen_to_be_gone_is_a_gap(on_aws: tuple[Any, Path]) -> None:
    cloud, config = on_aws
    clock = Clock()
    cloud.store.clock = clock
    cloud.store.add_key(KEY).state = "Disabled"
    cloud.store.put("objects", "acme/a/1", sse="aws:kms", key=KEY, modified=clock() - timedelta(days=10))
    more = "[policy]\nconfirm_missing_minutes = 0\n"
    config.write_text(f'{config.read_text()}\n[[key]]\nname = "{KEY}"\nintended_state = "revoked"\n{more}')
    assembly = assemble(load(config), clock)
    scan.scan(assembly.parts, NoProgress())
    clock.ahead += timedelta(days=8)
    cloud.store.remove_key(KEY)
    scan.poll(assembly.parts, NoProgress())
    found = told_of(assembly, KEY)
    assert found.proof is Proof.ERASED
    assert any("what has moved from the key" in one.effect for one in found.gaps)
    assembly.close()


@pytest.mark.parametrize("protection", ["SOFTWARE", "EXTERNAL", "EXTERNAL_VPC"])
def test_what_an_external_manager_may_hold_still_is_not_called_erased(
    small: Small, capsys: pytest.CaptureFixture[str], protection: str
) -> None:
    key = small.cloud.store.key(GOOGLE_KEY)
    assert key is not None
    for one in key.versions.values():
        one.protection = protection
    run(capsys, small.argv("scan", "-q"))
    set_all(small, "DESTROYED")
    run(capsys, small.argv("scan", "-q"))
    told = proven(small, capsys)[1]
    is_elsewhere = protection != "SOFTWARE"
    assert told["proof"] == ("revoked" if is_elsewhere else "erased")
    assert any("external key manager" in one for one in told["not_covered"]) is is_elsewhere
