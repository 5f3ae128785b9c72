"""What registries cannot be asked about ends no finding on whose key it is, and invents none."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from auditor import scan
from auditor.config import load
from auditor.embedded.aws import AwsCloud
from auditor.findings import Confidence, Finding, Judgement, Severity, Status, Verdict
from auditor.model import Reason
from auditor.wiring import assemble
from tests.clouds import GOOGLE_KEY, Clock, an_aws_cloud
from tests.ownership.test_registry import OTHER_KEY, found, judged, said
from tests.small import Small, a_small_cloud
from tests.test_denied import AWS_CONFIG, AWS_KEY, PLATFORM
from tests.test_fleet import NoProgress

RIGHT = f"acme/old,{GOOGLE_KEY},"
WRONG = f"acme/new,{OTHER_KEY},"


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Small]:
    """`acme/old` and `acme/new` under one key, and a registry that is not written yet."""
    with a_small_cloud(tmp_path) as running:
        running.cloud.store.clock = Clock()
        running.cloud.store.add_key(OTHER_KEY)
        running.config.write_text(
            f'{running.config.read_text()}\n[[registry]]\nkind = "file"\npath = "namespaces.csv"\n'
        )
        yield running


def rules(judgement: Judgement) -> dict[str, Finding]:
    return {one.rule: one for one in judgement.findings}


UNUSABLE = {
    "its key is a version": f"acme/new,{OTHER_KEY}/cryptoKeyVersions/1,",
    "its key is no key": "acme/new,nonsense,",
    "another says another key": f"{WRONG}\nacme/new,{GOOGLE_KEY}-3,",
}


@pytest.mark.parametrize("line", UNUSABLE.values(), ids=UNUSABLE)
def test_an_entry_that_cannot_be_used_any_more_ends_nothing(small: Small, line: str) -> None:
    said(small, RIGHT, WRONG)
    assert "wrong-key" in found(judged(small))
    said(small, RIGHT, line)
    for _ in range(2):
        judgement = judged(small, sweep=False)
        one = found(judgement)["wrong-key"]
        assert (one.confidence, one.extent.objects) == (Confidence.INFERRED, 10)
        orphans = found(judgement).get("orphan-objects")
        assert orphans is None or (orphans.confidence is Confidence.INFERRED and "may be of these" in orphans.cause)
    said(small, RIGHT, f"acme/new,{GOOGLE_KEY},")
    assert found(judged(small, sweep=False)) == {}


def test_another_layout_than_the_sweeps_neither_ends_nor_invents(small: Small) -> None:
    said(small, RIGHT, WRONG)
    assert set(found(judged(small))) == {"wrong-key"}
    text = small.config.read_text()
    small.config.write_text(text.replace('layout = "{org}/{namespace}/"', 'layout = "{namespace}/{rest}/"'))
    said(small, f"acme,{GOOGLE_KEY},", header="namespace,key,rest")
    judgement = judged(small, sweep=False)
    assert set(found(judgement)) == {"wrong-key"}
    assert {one.rule: one.counts[Verdict.UNKNOWN] for one in judgement.tallies}["orphan-objects"] == 1


def test_whose_key_it_was_stays_so_while_no_registry_is_heard(small: Small) -> None:
    said(small, f"acme/old,{GOOGLE_KEY},acme", "acme/new,,zeta")
    assert set(found(judged(small))) == {"foreign-tenant-key"}
    folder = small.config.parent / "state" / "registry"
    for path in sorted(folder.rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    (small.config.parent / "namespaces.csv").unlink()
    judgement = judged(small, sweep=False)
    assert set(found(judgement)) == {"foreign-tenant-key"}
    assert any(gap.what == "registry namespaces.csv" for gap in judgement.gaps)


def test_a_finding_on_a_key_that_only_a_registry_names_stays_while_it_cannot_be_heard(small: Small) -> None:
    small.cloud.store.grant(OTHER_KEY, "roles/cloudkms.cryptoKeyDecrypter", "allUsers")
    said(small, RIGHT, f"acme/new,{GOOGLE_KEY},", f"acme/coming,{OTHER_KEY},")
    assert "key-public" in rules(judged(small))
    folder = small.config.parent / "state" / "registry"
    for path in sorted(folder.rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    (small.config.parent / "namespaces.csv").unlink()
    for _ in range(2):
        assert rules(judged(small, sweep=False))["key-public"].status is Status.OPEN


def test_a_registry_that_leaves_the_config_is_told_where_findings_end_with_it(small: Small) -> None:
    said(small, RIGHT, WRONG)
    judged(small)
    text = small.config.read_text()
    small.config.write_text(text[: text.index("\n[[registry]]")])
    judgement = judged(small, sweep=False)
    assert rules(judgement)["wrong-key"].status is Status.RESOLVED
    (gap,) = (one for one in judgement.gaps if one.what == "registry namespaces.csv")
    assert gap.effect == "a finding is told as resolved, perhaps only because the config leaves out this registry now"
    assert not [one for one in judged(small, sweep=False).gaps if one.what == "registry namespaces.csv"]


def test_a_key_by_the_other_name_of_its_project_is_neither_wrong_nor_right(small: Small) -> None:
    by_number = GOOGLE_KEY.replace("projects/acme/", "projects/123456/")
    small.cloud.store.deny("cloudkms.cryptoKeys.get", by_number)  # so that nobody can tell whether it is
    said(small, RIGHT, f"acme/new,{by_number},")
    judgement = judged(small)
    assert "wrong-key" not in found(judgement)
    assert {one.rule: one.counts[Verdict.UNKNOWN] for one in judgement.tallies}["wrong-key"] == 1
    (gap,) = (one for one in judgement.gaps if one.what == GOOGLE_KEY)
    assert (gap.reason, "by the other name of its project" in gap.effect) == (Reason.UNSUPPORTED, True)


def test_a_key_that_is_there_by_another_name_is_not_told_to_be_missing(small: Small) -> None:
    by_number = GOOGLE_KEY.replace("projects/acme/", "projects/123456/")
    not_found = b'{"error":{"code":404,"message":"x","status":"NOT_FOUND"}}'
    ring = "projects/123456/locations/us-east1/keyRings/tpuf"
    small.cloud.traffic.fail(f"{ring}/cryptoKeys/main", status=404, body=not_found)
    said(small, RIGHT, f"acme/new,{by_number},")
    judgement = judged(small)
    assert "registry-mismatch" not in rules(judgement)
    (tally,) = (one for one in judgement.tallies if one.rule == "registry-mismatch")
    told = " ".join(why for part in tally.parts or () for why in part.whys)
    assert f"{by_number} may be {GOOGLE_KEY}, which is there, by the other name of its project" in told
    said(small, RIGHT, f"acme/new,{by_number}-2,")
    assert rules(judged(small, sweep=False))["registry-mismatch"].status is Status.OPEN, "none is there that it may be"


@pytest.mark.parametrize("line", [f"acme/old,{GOOGLE_KEY}/cryptoKeyVersions/1,zeta", "acme/old,,zeta\nacme/old,,other"])
def test_a_waiver_of_a_tenant_covers_nothing_whose_tenant_a_registry_may_know_better(small: Small, line: str) -> None:
    until = f"{datetime.now(UTC) + timedelta(days=100):%Y-%m-%d}"
    waiver = f'\n[[waiver]]\nrule = "data-unreadable"\nmatch = {{ tenant = "acme" }}\nuntil = {until}\n'
    waiver += 'owner = "security"\napproved_by = "security"\nreason = "being mended"\n'
    small.config.write_text(small.config.read_text() + waiver)
    small.set_state(1, "DISABLED")
    said(small, "acme/old,,zeta", "acme/new,,acme")
    assert rules(judged(small))["data-unreadable"].status is Status.OPEN
    said(small, line, "acme/new,,acme")
    one = rules(judged(small, sweep=False))["data-unreadable"]
    assert (one.status, one.severity) == (Status.OPEN, Severity.CRITICAL)
    said(small, "acme/old,,acme", "acme/new,,acme")
    assert rules(judged(small, sweep=False))["data-unreadable"].status is Status.WAIVED


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[AwsCloud]:
    with an_aws_cloud(monkeypatch) as running:
        running.store.add_bucket("objects")
        yield running


def swept_on_aws(tmp_path: Path, *lines: str, more: str = "", header: str = "namespace,key,tenant") -> Judgement:
    (tmp_path / "n.csv").write_text("\n".join([header, *lines]) + "\n")
    config = tmp_path / "auditor.toml"
    registry = '\n[limits]\nreverify_days = 0\n[[registry]]\nkind = "file"\npath = "n.csv"\n'
    config.write_text(f'state = "state"\n{PLATFORM}{AWS_CONFIG}{registry}{more}')
    assembly = assemble(load(config))
    try:
        return scan.scan(assembly.parts, NoProgress())
    finally:
        assembly.close()


def test_data_whose_encryption_nobody_tells_now_may_be_the_wrong_one_still(aws: AwsCloud, tmp_path: Path) -> None:
    other = f"{AWS_KEY[:-4]}beef"
    for key in (AWS_KEY, other):
        aws.store.add_key(key)
    aws.store.put("objects", "acme/right/1", sse="aws:kms", key=AWS_KEY)
    wrong = aws.store.put("objects", "acme/wrong/1", sse="aws:kms", key=AWS_KEY)
    plain = aws.store.put("objects", "acme/plain/1")
    lines = (f"acme/right,{AWS_KEY},", f"acme/wrong,{other},", f"acme/plain,{AWS_KEY},")
    assert set(found(swept_on_aws(tmp_path, *lines))) == {"wrong-key", "not-customer-managed"}
    wrong.head_denied = plain.head_denied = True
    for _ in range(2):
        assert set(found(swept_on_aws(tmp_path, *lines))) == {"wrong-key", "not-customer-managed"}
    wrong.head_denied = plain.head_denied = False
    wrong.key, plain.sse, plain.key = other, "aws:kms", AWS_KEY
    assert found(swept_on_aws(tmp_path, *lines)) == {}


def test_a_replica_belongs_to_whom_its_primary_belongs(aws: AwsCloud, tmp_path: Path) -> None:
    here = "arn:aws:kms:us-east-1:111122223333:key/mrk-1f3c0f5e00004000800000000000dddd"
    there = here.replace("us-east-1", "eu-west-1")
    aws.store.add_key(here, multi_region=True)
    aws.store.put("objects", "zeta/a/1", sse="aws:kms", key=here)
    judgement = swept_on_aws(tmp_path, "zeta/a,,zeta", more=f'\n[[key]]\nname = "{there}"\ntenant = "acme"\n')
    one = found(judgement)["foreign-tenant-key"]
    assert (one.subject.id, one.extent.objects) == (here, 1)


def test_replicas_of_which_two_things_are_said_belong_to_nobody(aws: AwsCloud, tmp_path: Path) -> None:
    here = "arn:aws:kms:us-east-1:111122223333:key/mrk-1f3c0f5e00004000800000000000dddd"
    aws.store.add_key(here, multi_region=True)
    aws.store.put("objects", "zeta/a/1", sse="aws:kms", key=here)
    keys = "".join(
        f'\n[[key]]\nname = "{here.replace("us-east-1", region)}"\ntenant = "{tenant}"\n'
        for region, tenant in (("eu-west-1", "acme"), ("us-west-2", "zeta"))
    )
    assert "foreign-tenant-key" not in found(swept_on_aws(tmp_path, "zeta/a,,zeta", more=keys))
