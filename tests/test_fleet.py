"""The whole way on the demo's fleet, over the wire with the real clients."""

import base64
import hashlib
import http.client
import io
import json
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import duckdb
import jsonschema
import pytest

from auditor import demo, readonly, run, scan
from auditor.config import load
from auditor.embedded import fleet
from auditor.errors import UsageError
from auditor.findings import Agreement, Confidence, Finding, Judgement, Member, Readability, Status, member_of
from auditor.ledger.store import LedgerStore
from auditor.model import Encryption, KeyName, Sweep
from auditor.outputs import scan_json
from auditor.ports import Asking
from auditor.wiring import Assembly, assemble
from tests.clouds import Clock
from tests.fleet_clouds import Clouds, the_fleet


class NoProgress:
    def sweeping(self, at: run.Headway) -> None: ...

    def swept(self, sweep: Sweep) -> None: ...

    def polling(self, needed: int) -> None: ...

    def polled(self, read: int, of: int, needed: Collection[KeyName]) -> None: ...

    def probed(self, made: int, chosen: int) -> None: ...

    def asking(self, at: Asking) -> None: ...


@dataclass(frozen=True)
class Scanned:
    clouds: Clouds
    assembly: Assembly
    judgement: Judgement
    folder: Path

    def document(self) -> dict[str, Any]:
        judgement = self.assembly.ledger.judgement()
        assert judgement is not None
        out = io.StringIO()
        scan_json.write(judgement, self.assembly.rows(judgement), out)
        told: dict[str, Any] = json.loads(out.getvalue())
        return told


@pytest.fixture(scope="module")
def scanned(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scanned]:
    folder = tmp_path_factory.mktemp("fleet")
    with pytest.MonkeyPatch.context() as patch, the_fleet(patch, folder) as clouds:
        assembly = assemble(load(clouds.config))
        yield Scanned(clouds, assembly, scan.scan(assembly.parts, NoProgress()), folder)
        assembly.close()


def test_the_fleet_is_as_large_and_as_mixed_as_promised(scanned: Scanned) -> None:
    told = scanned.document()
    stored = {row["bucket"] for row in told["dependencies"]}
    google = [row for row in told["dependencies"] if row["bucket"].startswith("gs://")]
    regions = set(fleet.GOOGLE_BUCKETS.values()) | set(fleet.AWS_BUCKETS.values())
    assert len(stored) >= 8
    assert len(regions) >= 3
    assert len({(row["bucket"], row["namespace"]) for row in told["dependencies"]}) >= 300
    assert told["totals"]["objects"] >= 20_000
    assert sum(row["objects"] for row in google) > told["totals"]["objects"] / 2
    assert told["coverage"]["keys"]["needed"] >= 40
    assert told["coverage"]["buckets_not_configured"] == 1
    assert {row["readability"] for row in told["dependencies"]} == set(Readability)
    assert {row["encryption"] for row in told["dependencies"]} == set(Encryption)


def test_the_document_is_valid_and_its_sums_add_up(scanned: Scanned) -> None:
    told = scanned.document()
    checker = jsonschema.Draft202012Validator(scan_json.schema(), format_checker=jsonschema.FormatChecker())
    checker.validate(told)
    assert {type(row[name]) for row in told["dependencies"] for name in ("objects", "bytes", "archived")} == {int}
    listed: Counter[str] = Counter()
    unresolved: Counter[str] = Counter()
    readability: Counter[str] = Counter()
    for row in told["dependencies"]:
        listed[row["bucket"]] += row["objects"]
        readability[row["readability"]] += row["objects"]
        if row["encryption"] == "unknown":
            unresolved[row["bucket"]] += row["objects"]
    for bucket in told["coverage"]["buckets"]:
        assert bucket["listed"] == listed[bucket["bucket"]]
        assert bucket["unresolved"] == unresolved[bucket["bucket"]] == bucket["listed"] - bucket["resolved"]
    sums = {name: amount["objects"] for name, amount in told["totals"]["by_readability"].items()}
    assert sums == {name: readability[name] for name in sums}
    assert told["totals"]["objects"] == sum(listed.values())
    assert sum(gap["objects"] or 0 for gap in told["gaps"]) == sum(unresolved.values())


def test_every_object_reads_as_the_scan_says(scanned: Scanned) -> None:
    """Zero exceptions: each object of the fleet is read, whatever the scan says of it."""
    by_member = {member_of(one.holding): one for one in scanned.judgement.assessed}
    claims = {Readability.READABLE: True, Readability.EXPIRING: True, Readability.UNKNOWN: None}
    wrong: list[str] = []
    seen: set[tuple[str, str, str | None]] = set()
    reader = Reader(scanned.clouds)
    for row in snapshot_rows(scanned.folder):
        bucket, name, version, size, population, encryption, key, key_version = row
        found = by_member[bucket, Encryption(encryption), key, key_version]
        claim = claims.get(found.assessment.readability, False)
        can = reader.reads(bucket, name, version, size, soft_deleted=population == "soft_deleted")
        if claim is not None and claim is not can:
            wrong.append(f"{bucket}/{name}#{version} is called {found.assessment.readability} and reads: {can}")
        if encryption == "customer_supplied":
            assert can, "with the customer's key it reads"
        seen.add((bucket, name, version))
    reader.close()
    assert wrong == []
    assert seen == stored_objects(scanned.clouds)


def snapshot_rows(folder: Path) -> list[tuple[Any, ...]]:
    with duckdb.connect() as database:
        return database.execute(
            "SELECT bucket, name, version, size, population, encryption, key, key_version FROM read_parquet($files)",
            {"files": str(folder / "state/inventory/*/*/*.rows.parquet")},
        ).fetchall()


def stored_objects(clouds: Clouds) -> set[tuple[str, str, str | None]]:
    google = {
        (f"gs://{home.name}", one.name, str(one.generation))
        for home in clouds.google.store.buckets.values()
        for one in home.objects
    }
    aws = {
        (f"s3://{home.name}", one.name, one.version_id or "null")
        for home in clouds.aws.store.buckets.values()
        for versions in home.objects.values()
        for one in versions
        if not one.delete_marker
    }
    return google | aws


class Reader:
    """Reads one byte of each object, as its owner would; archived objects are restored first."""

    def __init__(self, clouds: Clouds) -> None:
        self._google, self._s3 = (
            http.client.HTTPConnection(urlsplit(one.endpoint).netloc) for one in (clouds.google, clouds.aws)
        )
        self._archived = [
            one
            for home in clouds.aws.store.buckets.values()
            for versions in home.objects.values()
            for one in versions
            if one.storage_class in {"GLACIER", "DEEP_ARCHIVE"}
        ]
        for one in self._archived:
            one.restored = True

    def close(self) -> None:
        for one in self._archived:
            one.restored = False

    def reads(self, bucket: str, name: str, version: str | None, size: int, *, soft_deleted: bool) -> bool:
        kind, _, home = bucket.partition("://")
        if kind == "gs":
            return self._reads_google(home, name, version, size, soft_deleted=soft_deleted)
        return self._reads_aws(home, name, version, size)

    def _reads_google(self, home: str, name: str, version: str | None, size: int, *, soft_deleted: bool) -> bool:
        query = f"alt=media&generation={version}" + ("&softDeleted=true" if soft_deleted else "")
        headers = {"Range": "bytes=0-0"} if size else {}
        if name.startswith("gale/"):
            headers["x-goog-encryption-key"] = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
        self._google.request("GET", f"/storage/v1/b/{home}/o/{quote(name, safe='')}?{query}", headers=headers)
        answer = self._google.getresponse()
        body = answer.read()
        assert answer.status in {200, 206, 400, 403}, body
        return answer.status < 300

    def _reads_aws(self, home: str, name: str, version: str | None, size: int) -> bool:
        scope = f"{fleet.STORAGE_KEY}/20260101/{fleet.AWS_BUCKETS[home]}/s3/aws4_request"
        signed = f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=none"
        headers = {"Authorization": signed} | ({"Range": "bytes=0-0"} if size else {})
        if name.startswith("grebe/"):
            customers, key = "x-amz-server-side-encryption-customer", fleet.CUSTOMER_KEY
            check = hashlib.md5(key, usedforsecurity=False).digest()
            headers |= {
                f"{customers}-algorithm": "AES256",
                f"{customers}-key": base64.b64encode(key).decode(),
                f"{customers}-key-MD5": base64.b64encode(check).decode(),
            }
        self._s3.request("GET", f"/{home}/{quote(name, safe='/')}?versionId={version}", headers=headers)
        answer = self._s3.getresponse()
        body = answer.read()
        assert answer.status in {200, 206, 400, 403}, body
        return answer.status < 300


def test_scanning_again_gives_the_same_answer_ids_included(scanned: Scanned) -> None:
    def lasting(told: dict[str, Any]) -> tuple[Any, Any]:
        moving = {"last_seen", "evidence"}
        return told["dependencies"], [
            {name: value for name, value in one.items() if name not in moving} for one in told["findings"]
        ]

    before = scanned.document()
    scan.scan(scanned.assembly.parts, NoProgress())
    assert lasting(scanned.document()) == lasting(before)


def test_a_whole_scan_sends_nothing_but_reading_requests(scanned: Scanned) -> None:
    sent = Counter((one.service, one.verb) for one in scanned.clouds.aws.traffic.requests)
    assert set(sent) <= {
        ("s3", "GET"),  # listings and bucket settings: no object is ever read, as the targets below show
        ("s3", "HEAD"),
        ("kms", "DescribeKey"),
        ("kms", "DescribeCustomKeyStores"),
        ("kms", "GetKeyPolicy"),
        ("kms", "ListGrants"),
        ("kms", "ListKeyRotations"),
        ("kms", "GetKeyRotationStatus"),
        ("sts", "GetCallerIdentity"),
        ("cloudtrail", "LookupEvents"),
    }
    for one in scanned.clouds.google.traffic.requests:
        if one.service == "kms":
            assert ("cloudkms", one.verb) in readonly.TABLE
        elif one.service == "iam":
            assert one.target.endswith(":getIamPolicy")
        elif one.service == "logging":
            assert one.target.startswith("/v2/entries:list?")
        else:
            assert one.verb == "GET"


def test_one_bucket_out_of_reach_leaves_the_others_and_its_own_last_sweep(scanned: Scanned) -> None:
    def listed(judgement: Judgement) -> dict[str, int]:
        return {one.bucket: one.listed for one in judgement.coverage.buckets}

    store = scanned.clouds.google.store
    store.deny("storage.objects.list", "tpuf-gcp-us-east1")
    try:
        after = scan.scan(scanned.assembly.parts, NoProgress())
    finally:
        store.allow("storage.objects.list", "tpuf-gcp-us-east1")
    assert listed(after) == listed(scanned.judgement)
    told = next(one for one in after.coverage.buckets if one.bucket == "gs://tpuf-gcp-us-east1")
    assert told.last_attempt_failed
    assert any(gap.what == "gs://tpuf-gcp-us-east1" and "cannot list" in gap.effect for gap in after.gaps)
    healed = scan.scan(scanned.assembly.parts, NoProgress())
    assert not any(one.last_attempt_failed for one in healed.coverage.buckets)


def test_a_one_off_scan_calls_a_missing_key_lost_and_says_that_it_is_one_reading(scanned: Scanned) -> None:
    parts = scanned.assembly.parts
    once = replace(parts, policy=replace(parts.policy, one_reading=True))

    def of_yak(judgement: Judgement) -> dict[str, Finding]:
        mine = (one for one in judgement.findings if one.extent.tenants == ("yak",) and one.status is Status.OPEN)
        return {one.rule: one for one in mine}

    (yak,) = of_yak(scan.poll(once, NoProgress())).values()
    assert (yak.readability, yak.confidence) == (Readability.LOST, Confidence.INFERRED)
    assert "one reading" in yak.cause
    later = of_yak(scan.poll(parts, NoProgress()))
    assert set(later) == {"data-lost", "key-state-unknown"}, "whoever waits for a second reading resolves nothing"


def test_a_key_that_is_still_not_found_minutes_later_counts_as_gone(scanned: Scanned) -> None:
    yak = next(one for one in scanned.judgement.findings if one.extent.tenants == ("yak",))
    assert yak.readability is Readability.UNKNOWN
    later = scanned.assembly.parts.policy.confirm_missing * 2
    for store in (scanned.clouds.google.store, scanned.clouds.aws.store):
        assert isinstance(store.clock, Clock)
        store.clock.ahead += later
    clock = scanned.assembly.parts.clock
    parts = replace(scanned.assembly.parts, clock=lambda: clock() + later)
    found = [one for one in scan.poll(parts, NoProgress()).assessed if one.assessment.subject == yak.subject]
    assert [one.assessment.readability for one in found] == [Readability.LOST] * len(yak.members)


def test_the_demo_leaves_a_folder_alone_that_a_daemon_works_on(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    (folder / "state").mkdir(parents=True)
    (folder / "auditor.toml").write_text(demo.config_text("http://127.0.0.1:1"))
    ledger = LedgerStore(folder / "state" / "ledger.db")
    with ledger.leading(), pytest.raises(UsageError, match="a demo still runs on"):
        demo.run(folder, 7, keep=False)
    assert (folder / "auditor.toml").exists()


def test_the_demos_daemon_finds_what_its_scan_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with the_fleet(monkeypatch, tmp_path) as clouds:
        clouds.config.write_text(demo.config_text(clouds.google.endpoint))
        assembly = assemble(load(clouds.config))
        parts = assembly.parts
        once = scan.scan(replace(parts, policy=replace(parts.policy, one_reading=True)), NoProgress())
        later = scan.poll(parts, NoProgress())
        heard = {owner for owner, _ in assembly.feeds}
        assembly.close()
    compared = [one.compared.agreement for one in once.coverage.buckets if one.compared is not None]
    assert compared == [Agreement.AGREES] * len(once.coverage.buckets), "nothing is missed, by the clouds' own counts"
    # What `demo --keep` says to disable: the daemon hears of it, and does not have to wait for its poll.
    assert demo._busiest_version(later).split("/")[1] in heard  # noqa: SLF001 - the line to paste names it
    assert readabilities(later) == readabilities(once)
    assert [(one.id, one.severity, one.status) for one in later.findings] == [
        (one.id, one.severity, one.status) for one in once.findings
    ]


def readabilities(judgement: Judgement) -> list[tuple[Member, Readability]]:
    return [(member_of(one.holding), one.assessment.readability) for one in judgement.assessed]
