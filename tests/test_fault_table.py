"""Every fault of every kind of request: either the exact answer all the same, or a gap that every output tells."""

import asyncio
import functools
import io
import json
import random
import signal
import sqlite3
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import botocore.loaders
import pytest

from auditor import cli, scan
from auditor.commands.answering import exit_code
from auditor.config import Config, load
from auditor.daemon import serving
from auditor.daemon.leading import Leadership
from auditor.embedded.aws import AwsCloud
from auditor.embedded.google import GoogleCloud
from auditor.embedded.google.store import Bucket as GoogleBucket
from auditor.embedded.traffic import Fault, Request, Traffic
from auditor.findings import Judgement, Severity
from auditor.outputs import scan_json
from auditor.wiring import Assembly, assemble
from tests.clouds import GOOGLE_KEY, Clock, a_google_store, an_aws_cloud
from tests.forked import Forked
from tests.sweeps import snapshot
from tests.test_fleet import NoProgress

ARN: Final = "arn:aws:kms:us-east-1:{}:key/1f3c0f5e-0000-4000-8000-00000000000{}"
PLAIN_KEY, IMPORTED, DISABLED = (ARN.format(111122223333, number) for number in (1, 2, 3))
OTHERS: Final = ARN.format(444455556666, 4)
GRANTED: Final = {
    "Effect": "Allow",
    "Principal": {"AWS": "arn:aws:iam::111122223333:role/storage"},
    "Action": "kms:Decrypt",
    "Resource": "*",
}
AWS_CONFIG: Final = """
state = "state"
[[account]]
id = "444455556666"
role_arn = "arn:aws:iam::444455556666:role/auditor"
[platform]
aws_principals = ["arn:aws:iam::111122223333:role/storage"]
[[bucket]]
url = "s3://objects"
region = "us-east-1"
layout = "{org}/{namespace}/"
"""
GCP_CONFIG: Final = """
state = "state"
[[account]]
project = "acme"
[gcp]
storage_endpoint = "ENDPOINT"
kms_endpoint = "ENDPOINT"
iam_endpoint = "ENDPOINT"
[[bucket]]
url = "gs://data"
layout = "{org}/{namespace}/"
account = "acme"
"""
SHORT: Final = 0.12
"""Seconds after which the clients give an answer up; a slow answer takes longer."""


@dataclass(frozen=True)
class World:
    """One cloud, three listing pages of ten objects, and a config for it."""

    cloud: AwsCloud | GoogleCloud
    config: Path

    @property
    def traffic(self) -> Traffic:
        return self.cloud.traffic


@contextmanager
def an_aws_world(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    with an_aws_cloud(monkeypatch) as cloud:
        # What a log leaves untold, tests/attribution/test_attribution.py tells.
        monkeypatch.delenv("AWS_ENDPOINT_URL_CLOUDTRAIL")
        store = cloud.store
        store.add_bucket("objects", versioned=True)
        store.add_key(PLAIN_KEY)
        store.add_key(IMPORTED, origin="EXTERNAL")
        store.add_key(DISABLED, state="Disabled")
        store.add_key(OTHERS, policy={"Statement": [GRANTED]})
        keys = [PLAIN_KEY] * 4 + [IMPORTED] * 2 + [DISABLED] * 2 + [OTHERS] * 2
        for number, key in enumerate(keys):
            store.put("objects", f"acme/ns/{number}", size=100, sse="aws:kms", key=key)
        (folder / "auditor.toml").write_text(AWS_CONFIG)
        yield World(cloud, folder / "auditor.toml")


@contextmanager
def a_google_world(folder: Path, _monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    store = a_google_store()
    store.add_bucket("data", "acme", "us-east1")
    store.add_key(GOOGLE_KEY, versions=3).versions[1].state = "DISABLED"
    for number in range(10):
        store.put("data", f"acme/ns/{number}", key=GOOGLE_KEY, version=1 + number % 3, size=100)
    with GoogleCloud(store) as cloud:
        (folder / "auditor.toml").write_text(GCP_CONFIG.replace("ENDPOINT", cloud.endpoint))
        yield World(cloud, folder / "auditor.toml")


WORLDS: Final = {"aws": an_aws_world, "gcp": a_google_world}
REQUESTS: Final = {
    "aws": {
        "listing, page 1": "?versions",
        "listing, a later page": "&key-marker=",
        "HEAD": "s3 HEAD /objects/",
        "bucket settings": "?versioning",
        "key state": "kms DescribeKey",
        "versions list": "kms ListKeyRotations",
        "key policy": "kms GetKeyPolicy",
        "STS, who am I": "sts GetCallerIdentity",
        "STS, role": "sts AssumeRole",
    },
    "gcp": {
        "listing, page 1": "/b/data/o?",
        "listing, a later page": "?pageToken=",
        "bucket settings": "/b/data?",
        "key state": "kms GetCryptoKey ",
        "versions list": "kms ListCryptoKeyVersions",
        "versions list, a later page": "&pageToken=",
        "key policy": "kms GetIamPolicy",
        "project policy": "iam POST",
    },
}


class SkippingTime:
    """Stands in for the SDKs' `time`: who sleeps finds the time gone."""

    def __init__(self) -> None:
        self._skipped = 0.0

    def sleep(self, seconds: float) -> None:
        self._skipped += seconds

    def monotonic(self) -> float:
        return time.monotonic() + self._skipped


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    settle(monkeypatch)


def settle(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small pages, no waiting between attempts, the SDK's own tables read once."""
    for place in ("aws.s3", "google.storage", "google.kms"):
        monkeypatch.setattr(f"auditor.embedded.{place}._PAGE", 2 if place == "google.kms" else 4)
    skipping = SkippingTime()
    for place in ("botocore.endpoint", "google.api_core.retry.retry_unary", "google.api_core.retry.retry_base"):
        monkeypatch.setattr(f"{place}.time", skipping)
    monkeypatch.setattr("auditor.connectors.aws.session._ATTEMPTS", 3)
    monkeypatch.setattr("auditor.connectors.gcp.calls._FIRST_WAIT", 0.0)
    monkeypatch.setattr("auditor.connectors.transfers._FIRST_WAIT", 0.0)
    for attempts in ("_ATTEMPTS", "_ATTEMPTS_WHEN_THROTTLED"):
        monkeypatch.setattr(f"auditor.connectors.transfers.{attempts}", 3)
    monkeypatch.setattr("botocore.session.create_loader", _loader)


_loader = functools.lru_cache(botocore.loaders.create_loader)


def told(judgement: Judgement, assembly: Assembly) -> dict[str, Any]:
    out = io.StringIO()
    scan_json.write(judgement, assembly.rows(judgement), out)
    document: dict[str, Any] = json.loads(out.getvalue())
    return document


def exact(document: dict[str, Any]) -> dict[str, Any]:
    """What two scans of the same data must agree on: everything but times, ids and evidence."""
    kept = ("bucket", "namespace", "population", "key", "key_version", "readability", "objects", "bytes")
    return {
        "dependencies": [[one[name] for name in kept] for one in document["dependencies"]],
        "buckets": [(one["bucket"], one["complete"], one["listed"]) for one in document["coverage"]["buckets"]],
        "keys": document["coverage"]["keys"],
        "findings": sorted(
            (one["rule"], one["subject"]["id"], one["objects"])
            for one in document["findings"]
            if one["status"] == "open"
        ),
        "gaps": document["gaps"],
    }


def status_of(assembly: Assembly, config: Config) -> dict[str, Any]:
    app = serving.Serving(Path("auditor.toml"), config, assembly, Leadership(assembly.ledger))
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    scope = {"type": "http", "method": "GET", "path": "/api/v1/status", "query_string": b"", "headers": []}
    asyncio.run(app(scope, receive, send))
    answer: dict[str, Any] = json.loads(b"".join(one.get("body", b"") for one in sent))
    return answer


# What each fault is

PAGE_OF_ANOTHER: Final = b"<html><body>Sign in to this network</body></html>"
LASTING: Final = ("throttled", "429", "503", "slow", "cut", "reset", "malformed", "wrong content")
HALF_WAY: Final = ("credentials expired", "credentials revoked")


def a_fault(cloud: str, fault: str, service: str) -> dict[str, Any]:
    """How the cloud answers; `service` is `s3`, `kms` or `sts` on AWS."""
    throttled = {
        "s3": {"status": 503, "code": "SlowDown"},
        "kms": {"status": 400, "code": "ThrottlingException"},
        "sts": {"status": 400, "code": "Throttling"},
    }
    json_is_spoken = cloud == "gcp" or service == "kms"
    faults: dict[str, dict[str, Any]] = {
        "throttled": throttled[service] if cloud == "aws" else {"status": 429},
        "429": {"status": 429, "code": "TooManyRequestsException"},
        "503": {"status": 503, "code": "ServiceUnavailable"},
        "slow": {"delay": 3 * SHORT},
        "cut": {"cut": True},
        "reset": {"reset": True},
        "malformed": {"status": 200, "body": b'{"items": [' if json_is_spoken else b"<ListVersionsResult><"},
        "wrong content": {"status": 200, "body": b"{}" if json_is_spoken else PAGE_OF_ANOTHER},
    }
    return faults[fault]


def refused_credentials(cloud: str, fault: str, request: Request) -> Fault:
    if cloud == "gcp":
        return Fault("", status=401)
    codes = {
        "credentials expired": {"kms": (400, "ExpiredTokenException"), "s3": (400, "ExpiredToken")},
        "credentials revoked": {"kms": (400, "UnrecognizedClientException"), "s3": (403, "InvalidAccessKeyId")},
    }[fault]
    status, code = codes.get(request.service, (403, code_of_sts(fault)))
    return Fault("", status=status, code=code)


def code_of_sts(fault: str) -> str:
    return "ExpiredToken" if fault == "credentials expired" else "InvalidClientTokenId"


def words(request: Request) -> str:
    return f"{request.service} {request.verb} {request.target} {request.body}"


def from_then_on(
    world: World, monkeypatch: pytest.MonkeyPatch, match: str, passing: int, act: Callable[[Request], Fault | None]
) -> None:
    """Let `passing` requests of a kind pass; then `act` decides what each further request of any kind gets."""
    real = world.traffic.arrived
    lock = threading.Lock()
    left = passing

    def arrived(request: Request) -> Fault | None:
        nonlocal left
        found = real(request)
        with lock:
            if left >= 0 and match in words(request):
                left -= 1
            met = left < 0
        answer = act(request) if met else None
        return answer or found

    monkeypatch.setattr(world.traffic, "arrived", arrived)


# The table

EXACT: Final = "retried and exact"
# `gap REASON`: the gap is told with its reason and a hint. `exact without it`: nothing hangs on this answer here.
# The scan with the single fault is also the one that follows a lasting fault; where it is not exact, a third one is.
ROWS: Final = """
aws | listing, page 1 | throttled | retried and exact | gap throttled
aws | listing, page 1 | 429 | retried and exact | gap throttled
aws | listing, page 1 | 503 | retried and exact | gap timeout
aws | listing, page 1 | slow | retried and exact | gap timeout
aws | listing, page 1 | cut | retried and exact | gap malformed
aws | listing, page 1 | reset | retried and exact | gap timeout
aws | listing, page 1 | malformed | retried and exact | gap malformed
aws | listing, page 1 | wrong content | retried and exact | gap malformed
aws | listing, page 1 | credentials expired | - | gap expired_credentials
aws | listing, page 1 | credentials revoked | - | gap expired_credentials
aws | listing, a later page | throttled | retried and exact | gap throttled
aws | listing, a later page | 429 | retried and exact | gap throttled
aws | listing, a later page | 503 | retried and exact | gap timeout
aws | listing, a later page | slow | retried and exact | gap timeout
aws | listing, a later page | cut | retried and exact | gap malformed
aws | listing, a later page | reset | retried and exact | gap timeout
aws | listing, a later page | malformed | retried and exact | gap malformed
aws | listing, a later page | wrong content | retried and exact | gap malformed
aws | listing, a later page | credentials expired | - | gap expired_credentials
aws | listing, a later page | credentials revoked | - | gap expired_credentials
aws | HEAD | throttled | retried and exact | gap throttled
aws | HEAD | 429 | retried and exact | gap throttled
aws | HEAD | 503 | retried and exact | gap throttled
aws | HEAD | slow | retried and exact | gap timeout
aws | HEAD | cut | retried and exact | gap malformed
aws | HEAD | reset | retried and exact | gap timeout
aws | HEAD | malformed | retried and exact | gap malformed
aws | HEAD | wrong content | retried and exact | gap malformed
aws | HEAD | credentials expired | - | gap expired_credentials
aws | HEAD | credentials revoked | - | gap expired_credentials
aws | bucket settings | throttled | retried and exact | gap throttled
aws | bucket settings | 429 | retried and exact | gap throttled
aws | bucket settings | 503 | retried and exact | gap timeout
aws | bucket settings | slow | retried and exact | gap timeout
aws | bucket settings | cut | retried and exact | gap malformed
aws | bucket settings | reset | retried and exact | gap timeout
aws | bucket settings | malformed | retried and exact | gap malformed
aws | bucket settings | wrong content | retried and exact | gap malformed
aws | bucket settings | credentials expired | - | gap expired_credentials
aws | bucket settings | credentials revoked | - | gap expired_credentials
aws | key state | throttled | retried and exact | gap throttled
aws | key state | 429 | retried and exact | gap throttled
aws | key state | 503 | retried and exact | gap timeout
aws | key state | slow | retried and exact | gap timeout
aws | key state | cut | retried and exact | gap malformed
aws | key state | reset | retried and exact | gap timeout
aws | key state | malformed | retried and exact | gap malformed
aws | key state | wrong content | retried and exact | gap malformed
aws | key state | credentials expired | - | gap expired_credentials
aws | key state | credentials revoked | - | gap expired_credentials
aws | versions list | throttled | retried and exact | gap throttled
aws | versions list | 429 | retried and exact | gap throttled
aws | versions list | 503 | retried and exact | gap timeout
aws | versions list | slow | retried and exact | gap timeout
aws | versions list | cut | retried and exact | gap malformed
aws | versions list | reset | retried and exact | gap timeout
aws | versions list | malformed | retried and exact | gap malformed
aws | versions list | wrong content | retried and exact | gap malformed
aws | versions list | credentials expired | - | gap expired_credentials
aws | versions list | credentials revoked | - | gap expired_credentials
aws | key policy | throttled | retried and exact | gap throttled
aws | key policy | 429 | retried and exact | gap throttled
aws | key policy | 503 | retried and exact | gap timeout
aws | key policy | slow | retried and exact | gap timeout
aws | key policy | cut | retried and exact | gap malformed
aws | key policy | reset | retried and exact | gap timeout
aws | key policy | malformed | retried and exact | gap malformed
aws | key policy | wrong content | retried and exact | gap malformed
aws | key policy | credentials expired | - | gap expired_credentials
aws | key policy | credentials revoked | - | gap expired_credentials
aws | STS, who am I | throttled | retried and exact | exact without it
aws | STS, who am I | 429 | retried and exact | exact without it
aws | STS, who am I | 503 | retried and exact | exact without it
aws | STS, who am I | slow | retried and exact | exact without it
aws | STS, who am I | cut | retried and exact | exact without it
aws | STS, who am I | reset | retried and exact | exact without it
aws | STS, who am I | malformed | retried and exact | exact without it
aws | STS, who am I | wrong content | retried and exact | exact without it
aws | STS, who am I | credentials expired | - | gap expired_credentials
aws | STS, who am I | credentials revoked | - | gap expired_credentials
aws | STS, role | throttled | retried and exact | gap throttled
aws | STS, role | 429 | retried and exact | gap throttled
aws | STS, role | 503 | retried and exact | gap timeout
aws | STS, role | slow | retried and exact | gap timeout
aws | STS, role | cut | retried and exact | gap malformed
aws | STS, role | reset | retried and exact | gap timeout
aws | STS, role | malformed | retried and exact | gap malformed
aws | STS, role | wrong content | retried and exact | gap malformed
aws | STS, role | credentials expired | - | gap expired_credentials
aws | STS, role | credentials revoked | - | gap expired_credentials
gcp | listing, page 1 | throttled | retried and exact | gap throttled
gcp | listing, page 1 | 503 | retried and exact | gap timeout
gcp | listing, page 1 | slow | retried and exact | gap timeout
gcp | listing, page 1 | cut | retried and exact | gap timeout
gcp | listing, page 1 | reset | retried and exact | gap timeout
gcp | listing, page 1 | malformed | retried and exact | gap malformed
gcp | listing, page 1 | wrong content | retried and exact | gap malformed
gcp | listing, page 1 | credentials expired | - | gap expired_credentials
gcp | listing, a later page | throttled | retried and exact | gap throttled
gcp | listing, a later page | 503 | retried and exact | gap timeout
gcp | listing, a later page | slow | retried and exact | gap timeout
gcp | listing, a later page | cut | retried and exact | gap timeout
gcp | listing, a later page | reset | retried and exact | gap timeout
gcp | listing, a later page | malformed | retried and exact | gap malformed
gcp | listing, a later page | wrong content | retried and exact | gap malformed
gcp | listing, a later page | credentials expired | - | gap expired_credentials
gcp | bucket settings | throttled | retried and exact | gap throttled
gcp | bucket settings | 503 | retried and exact | gap timeout
gcp | bucket settings | slow | retried and exact | gap timeout
gcp | bucket settings | cut | retried and exact | gap timeout
gcp | bucket settings | reset | retried and exact | gap timeout
gcp | bucket settings | malformed | gap malformed | gap malformed
gcp | bucket settings | wrong content | gap malformed | gap malformed
gcp | bucket settings | credentials expired | - | gap expired_credentials
gcp | key state | throttled | retried and exact | gap throttled
gcp | key state | 503 | retried and exact | gap timeout
gcp | key state | slow | retried and exact | gap timeout
gcp | key state | cut | retried and exact | gap timeout
gcp | key state | reset | retried and exact | gap timeout
gcp | key state | malformed | gap malformed | gap malformed
gcp | key state | wrong content | gap malformed | gap malformed
gcp | key state | credentials expired | - | gap expired_credentials
gcp | versions list | throttled | retried and exact | gap throttled
gcp | versions list | 503 | retried and exact | gap timeout
gcp | versions list | slow | retried and exact | gap timeout
gcp | versions list | cut | retried and exact | gap timeout
gcp | versions list | reset | retried and exact | gap timeout
gcp | versions list | malformed | gap malformed | gap malformed
gcp | versions list | wrong content | gap malformed | gap malformed
gcp | versions list | credentials expired | - | gap expired_credentials
gcp | versions list, a later page | throttled | retried and exact | gap throttled
gcp | versions list, a later page | 503 | retried and exact | gap timeout
gcp | versions list, a later page | slow | retried and exact | gap timeout
gcp | versions list, a later page | cut | retried and exact | gap timeout
gcp | versions list, a later page | reset | retried and exact | gap timeout
gcp | versions list, a later page | malformed | gap malformed | gap malformed
gcp | versions list, a later page | wrong content | gap malformed | gap malformed
gcp | versions list, a later page | credentials expired | - | gap expired_credentials
gcp | key policy | throttled | retried and exact | gap throttled
gcp | key policy | 503 | retried and exact | gap timeout
gcp | key policy | slow | retried and exact | gap timeout
gcp | key policy | cut | retried and exact | gap timeout
gcp | key policy | reset | retried and exact | gap timeout
gcp | key policy | malformed | gap malformed | gap malformed
gcp | key policy | wrong content | gap malformed | gap malformed
gcp | key policy | credentials expired | - | gap expired_credentials
gcp | project policy | throttled | retried and exact | exact without it
gcp | project policy | 503 | retried and exact | exact without it
gcp | project policy | slow | retried and exact | exact without it
gcp | project policy | cut | retried and exact | exact without it
gcp | project policy | reset | retried and exact | exact without it
gcp | project policy | malformed | retried and exact | exact without it
gcp | project policy | wrong content | retried and exact | exact without it
gcp | project policy | credentials expired | - | gap expired_credentials
"""


@dataclass(frozen=True)
class Row:
    """One fault of one request: what a scan makes of it when it happens once, and when it lasts."""

    cloud: str
    request: str
    fault: str
    once: str
    lasting: str


def rows() -> list[Row]:
    return [Row(*(cell.strip() for cell in line.split("|"))) for line in ROWS.strip().splitlines()]


@functools.cache
def unfaulted(cloud: str) -> dict[str, Any]:
    """What a scan says when nothing goes wrong."""
    with pytest.MonkeyPatch.context() as monkeypatch, tempfile.TemporaryDirectory() as folder:
        settle(monkeypatch)
        with WORLDS[cloud](Path(folder), monkeypatch) as world, assembled(world) as assembly:
            return exact(told(scan.scan(assembly.parts, NoProgress()), assembly))


@contextmanager
def assembled(world: World) -> Iterator[Assembly]:
    assembly = assemble(load(world.config))
    yield assembly
    assembly.close()


def objects(summary: dict[str, Any], *readabilities: str) -> int:
    return sum(row[6] for row in summary["dependencies"] if not readabilities or row[5] in readabilities)


def judged(world: World, assembly: Assembly, outcome: str, expected: dict[str, Any]) -> dict[str, Any]:
    """Scan, and hold the answer against the outcome of the table and against what holds for every row."""
    judgement = scan.scan(assembly.parts, NoProgress())
    document = told(judgement, assembly)
    summary = exact(document)
    assert objects(summary, "readable", "expiring") <= objects(expected, "readable", "expiring")
    if not outcome.startswith("gap "):
        assert summary == expected
        return document
    reason = outcome.removeprefix("gap ")
    hints = [gap["hint"] for gap in document["gaps"] if gap["reason"] == reason]
    assert hints, document["gaps"]
    assert all(hints)
    assert exit_code(judgement, Severity.HIGH, frozenset()) in {1, 3}
    assert exit_code(replace(judgement, findings=()), Severity.HIGH, frozenset()) == 3
    status = status_of(assembly, load(world.config))
    assert status["gaps"] == sum(status["gaps_by_reason"].values()) == len(document["gaps"])
    assert status["gaps_by_reason"][reason] >= len(hints)
    assert 0 <= status["last_poll_age_seconds"] < 60
    assert {one["bucket"] for one in status["buckets_failed"]} == {
        one["bucket"] for one in document["coverage"]["buckets"] if not one["complete"]
    }
    assert len(status["keys_not_read"]) == document["coverage"]["keys"]["unknown"]
    return document


@pytest.mark.parametrize("row", rows(), ids=lambda row: f"{row.cloud}-{row.request}-{row.fault}")
def test_every_fault_is_retried_or_told(row: Row, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = unfaulted(row.cloud)
    match = REQUESTS[row.cloud][row.request]
    if row.fault == "slow":
        monkeypatch.setattr("auditor.connectors.aws.session._READ_TIMEOUT", SHORT)
        monkeypatch.setattr("auditor.connectors.aws.session._QUICK_TIMEOUT", SHORT)
        monkeypatch.setattr("auditor.connectors.gcp.session._POLICY_TIMEOUT", SHORT)
        for within in ("_HEAD_WITHIN", "_GET_WITHIN"):
            monkeypatch.setattr(f"auditor.connectors.transfers.{within}", round(SHORT * 1000))
        for place in ("objects", "calls", "session", "buckets"):
            monkeypatch.setattr(f"auditor.connectors.gcp.{place}._TIMEOUT", SHORT)
    with WORLDS[row.cloud](tmp_path, monkeypatch) as world, assembled(world) as assembly:
        if row.fault in HALF_WAY:
            with pytest.MonkeyPatch.context() as while_refused:
                refuse = functools.partial(refused_credentials, row.cloud, row.fault)
                from_then_on(world, while_refused, match, 4 if row.request == "HEAD" else 0, refuse)
                judged(world, assembly, row.lasting, expected)
        else:
            service = match.split()[0] if match.startswith(("kms ", "sts ")) else "s3"
            how = a_fault(row.cloud, row.fault, service)
            world.traffic.fail(match, **how)
            judged(world, assembly, row.lasting, expected)
            assert any(match in words(one) for one in world.traffic.requests), "the fault was really met"
            world.traffic.heal()
            world.traffic.fail(match, **how, times=1)
            judged(world, assembly, row.once, expected)
            world.traffic.heal()
        if row.once != EXACT:
            judged(world, assembly, "exact", expected)


# Faults of a shape of their own: (cloud, request, fault) -> outcome, and how each comes about


def repeat_the_token(world: World, _monkeypatch: pytest.MonkeyPatch) -> None:
    repeat(world, "acme/ns/3")


def repeat_the_token_of_versions(world: World, _monkeypatch: pytest.MonkeyPatch) -> None:
    world.traffic.fail("kms ListKeyRotations", status=200, body=rotations("again"))
    world.traffic.fail("kms ListCryptoKeyVersions", status=200, body=b'{"nextPageToken": "again"}')


def repeat_the_token_of_grants(world: World, _monkeypatch: pytest.MonkeyPatch) -> None:
    body = b'{"Grants": [], "Truncated": true, "NextMarker": "again"}'
    world.traffic.fail("kms ListGrants", status=200, body=body)


def go_round_in_a_circle(world: World, _monkeypatch: pytest.MonkeyPatch) -> None:
    for marker in ("x", "y"):
        world.traffic.fail("?versions", status=200, body=aws_page(marker), times=1)
        page = json.dumps({"kind": "storage#objects", "nextPageToken": marker})
        world.traffic.fail("/b/data/o?", status=200, body=page.encode(), times=1)
    repeat(world, "x")


def repeat(world: World, marker: str) -> None:
    world.traffic.fail("?versions", status=200, body=aws_page(marker))
    page = json.dumps({"kind": "storage#objects", "nextPageToken": marker})
    world.traffic.fail("/b/data/o?", status=200, body=page.encode())


def leave_out_whether_there_is_more(world: World, _monkeypatch: pytest.MonkeyPatch) -> None:
    world.traffic.fail("?versions", status=200, body=b"<ListVersionsResult></ListVersionsResult>")


def say_of_more_grants_without_a_place(world: World, _monkeypatch: pytest.MonkeyPatch) -> None:
    world.traffic.fail("kms ListGrants", status=200, body=b'{"Grants": [], "Truncated": true}')


def refuse_the_second_page_of_soft_deleted(world: World, _monkeypatch: pytest.MonkeyPatch) -> None:
    page = b'{"kind": "storage#objects", "nextPageToken": "x"}'
    world.traffic.fail("softDeleted=", status=200, body=page, times=1)
    world.traffic.fail("softDeleted=", status=400)


def begin_with_an_empty_page(world: World, _monkeypatch: pytest.MonkeyPatch) -> None:
    if isinstance(world.cloud, GoogleCloud):
        world.cloud.storage.empty_pages = True
    else:
        world.traffic.fail("?versions", status=200, body=aws_page("a"), times=1)


def begin_with_an_empty_page_of_versions(world: World, _monkeypatch: pytest.MonkeyPatch) -> None:
    world.traffic.fail("kms ListKeyRotations", status=200, body=rotations("0"), times=1)
    body = b'{"nextPageToken": "0", "totalSize": 3}'
    world.traffic.fail("kms ListCryptoKeyVersions", status=200, body=body, times=1)


def aws_page(marker: str) -> bytes:
    """An empty page of versions that says where the next one begins."""
    place = f"<NextKeyMarker>{marker}</NextKeyMarker><NextVersionIdMarker>v0</NextVersionIdMarker>"
    return (
        f"<ListVersionsResult><Name>objects</Name><IsTruncated>true</IsTruncated>{place}</ListVersionsResult>".encode()
    )


def rotations(marker: str) -> bytes:
    return json.dumps({"Rotations": [], "Truncated": True, "NextMarker": marker}).encode()


Act = Callable[[World, pytest.MonkeyPatch], None]
OWN_SHAPE: Final[dict[tuple[str, str, str], tuple[str, Act]]] = {
    ("aws", "listing", "a page token that repeats"): ("gap malformed", repeat_the_token),
    ("gcp", "listing", "a page token that repeats"): ("gap malformed", repeat_the_token),
    ("aws", "listing", "page tokens that go round in a circle"): ("gap malformed", go_round_in_a_circle),
    ("gcp", "listing", "page tokens that go round in a circle"): ("gap malformed", go_round_in_a_circle),
    ("aws", "listing", "a page that does not say whether there is more"): (
        "gap malformed",
        leave_out_whether_there_is_more,
    ),
    ("gcp", "listing", "a refusal of the second page of soft-deleted objects"): (
        "gap malformed",
        refuse_the_second_page_of_soft_deleted,
    ),
    ("aws", "grants", "a page that says there is more, and not where"): (
        "gap malformed",
        say_of_more_grants_without_a_place,
    ),
    ("aws", "versions list", "a page token that repeats"): ("gap malformed", repeat_the_token_of_versions),
    ("gcp", "versions list", "a page token that repeats"): ("gap malformed", repeat_the_token_of_versions),
    ("aws", "grants", "a page token that repeats"): ("gap malformed", repeat_the_token_of_grants),
    ("aws", "listing", "an empty page with a token"): ("exact", begin_with_an_empty_page),
    ("gcp", "listing", "an empty page with a token"): ("exact", begin_with_an_empty_page),
    ("aws", "versions list", "an empty page with a token"): ("exact", begin_with_an_empty_page_of_versions),
    ("gcp", "versions list", "an empty page with a token"): ("exact", begin_with_an_empty_page_of_versions),
}


@pytest.mark.parametrize(("place", "row"), OWN_SHAPE.items(), ids=[" ".join(place) for place in OWN_SHAPE])
def test_pages_that_mislead_are_read_to_the_end_or_told(
    place: tuple[str, str, str], row: tuple[str, Act], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud, (outcome, act) = place[0], row
    with WORLDS[cloud](tmp_path, monkeypatch) as world, assembled(world) as assembly:
        act(world, monkeypatch)
        judged(world, assembly, outcome, unfaulted(cloud))
        world.traffic.heal()
        judged(world, assembly, "exact", unfaulted(cloud))


# A listing that changes under the sweep


def change_aws(cloud: AwsCloud) -> None:
    store, objects_of = cloud.store, cloud.store.buckets["objects"].objects
    for name in ("acme/ns/0a", "acme/ns/55", "acme/ns/99"):
        store.put("objects", name, sse="aws:kms", key=PLAIN_KEY)
    store.put("objects", "acme/ns/2", sse="aws:kms", key=PLAIN_KEY)
    store.put("objects", "acme/ns/8", sse="aws:kms", key=PLAIN_KEY)
    del objects_of["acme/ns/9"]
    cloud.store.buckets["objects"]._sorted = None  # noqa: SLF001 - as the store itself does after a change


def change_google(cloud: GoogleCloud) -> None:
    store = cloud.store
    stored = {one.name: one for one in store.buckets["data"].objects}
    for name in ("acme/ns/0a", "acme/ns/55", "acme/ns/99"):
        store.put("data", name, key=GOOGLE_KEY)
    for name in ("acme/ns/2", "acme/ns/8"):
        stored[name].soft_deleted_since = store.clock()
        store.put("data", name, key=GOOGLE_KEY)
    stored["acme/ns/1"].soft_deleted_since = store.clock()
    with store.lock:
        store.buckets["data"].objects.remove(stored["acme/ns/9"])


CHANGES: Final[dict[str, tuple[str, str, Callable[[Any], None]]]] = {
    "aws": ("&key-marker=", "exact for all that stayed", change_aws),
    "gcp": ("?pageToken=", "exact for all that stayed", change_google),
}


@pytest.mark.parametrize("cloud", CHANGES)
def test_what_stays_while_a_listing_changes_is_counted_once(
    cloud: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    match, _, change = CHANGES[cloud]
    with WORLDS[cloud](tmp_path, monkeypatch) as world, assembled(world) as assembly:
        before = present(world)
        changed: list[bool] = []

        def once(_request: Request) -> None:
            if not changed:
                changed.append(True)
                change(world.cloud)

        from_then_on(world, monkeypatch, match, 0, once)
        document = told(scan.scan(assembly.parts, NoProgress()), assembly)
        counted = Counter(listed(world, assembly))
        stayed = before & present(world)
        assert changed
        assert len(stayed) == 9
        assert {one: counted[one] for one in stayed} == dict.fromkeys(stayed, 1)
        assert set(counted.values()) == {1}
        assert document["totals"]["objects"] == len(counted)
        assert document["gaps"] == []
        again = told(scan.scan(assembly.parts, NoProgress()), assembly)
        assert set(listed(world, assembly)) == present(world)
        assert again["gaps"] == []


def present(world: World) -> set[tuple[str, str]]:
    """(name, version) of everything that is stored now."""
    if isinstance(world.cloud, GoogleCloud):
        return {(one.name, str(one.generation)) for one in world.cloud.store.buckets["data"].objects}
    versions = world.cloud.store.buckets["objects"].objects.values()
    return {(one.name, one.version_id or "") for group in versions for one in group}


def listed(world: World, assembly: Assembly) -> list[tuple[str, str]]:
    """(name, version) of every row of the sweep in force."""
    (sweep,) = assembly.parts.ledger.sweeps()
    (folder,) = (load(world.config).state / "inventory").glob(f"*/{sweep.id}")
    return [(row["name"], row["version"]) for row in snapshot(folder)]


# A clock that jumps

JUMPS: Final = {"three hours ahead": timedelta(hours=3), "three hours back": timedelta(hours=-3)}
MOMENTS: Final = ("while a bucket is listed", "between two polls")


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("jump", JUMPS)
@pytest.mark.parametrize("cloud", WORLDS)
def test_a_clock_that_jumps_changes_nothing(
    cloud: str, jump: str, moment: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()

    def leap(_request: Request) -> None:
        clock.ahead = JUMPS[jump]

    with WORLDS[cloud](tmp_path, monkeypatch) as world:
        assembly = assemble(load(world.config), clock)
        if moment == "while a bucket is listed":
            from_then_on(world, monkeypatch, CHANGES[cloud][0], 0, leap)
            judged(world, assembly, "exact", unfaulted(cloud))
        else:
            judged(world, assembly, "exact", unfaulted(cloud))
            clock.ahead = JUMPS[jump]
            assert exact(told(scan.poll(assembly.parts, NoProgress()), assembly)) == unfaulted(cloud)
        age = status_of(assembly, load(world.config))["last_poll_age_seconds"]
        assert 0 <= age < 60
        clock.ahead = timedelta(0)
        judged(world, assembly, "exact", unfaulted(cloud))
        assembly.close()


# The machine below: a scan that fails as a whole says so in two lines; the folder stays usable

SCAN: Final = """
import resource, sys
from auditor import cli
if int(sys.argv[1]):
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), int(sys.argv[1])))
sys.exit(cli._run(sys.argv[2:]))
"""


def a_process(world: World, *, most: int = 0) -> Forked:
    """Scan in a process of its own whose files may have so many bytes; 0 for any."""
    return Forked(SCAN, str(most), "scan", "-q", "--format", "json", "--config", str(world.config))


def google_bucket(world: World) -> GoogleBucket:
    found = world.cloud.store.buckets["data"]
    assert isinstance(found, GoogleBucket)
    return found


def failed_as_a_whole(code: int, out: str, err: str) -> None:
    assert (code, out) == (70, "")
    first, second = err.splitlines()
    assert first.startswith("error: ")
    assert second.startswith("hint: ")


def test_a_full_disk_fails_the_scan_and_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with a_google_world(tmp_path, monkeypatch) as world:
        with assembled(world) as assembly:
            judged(world, assembly, "exact", unfaulted("gcp"))
        process = a_process(world, most=20_000)
        out, err = process.communicate(timeout=60)
        failed_as_a_whole(process.wait(), out, err)
        assert "ledger" in err
        with assembled(world) as assembly:
            assert assembly.ledger.verify()
            judged(world, assembly, "exact", unfaulted("gcp"))


def test_an_inventory_that_cannot_be_written_is_a_gap_of_its_bucket(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with a_google_world(tmp_path, monkeypatch) as world:
        with assembled(world) as assembly:
            judged(world, assembly, "exact", unfaulted("gcp"))
        stored = google_bucket(world)
        bulk = random.Random(7).randbytes(400_000).hex()  # noqa: S311 - repeatable
        for place in range(0, len(bulk), 1000):
            world.cloud.store.put("data", f"bulk/{bulk[place : place + 1000]}")
        process = a_process(world, most=300_000)
        out, err = process.communicate(timeout=60)
        document = json.loads(out)
        assert (process.wait(), err) == (1, ""), "version 1 of the key is disabled"
        assert exact(document)["dependencies"] == unfaulted("gcp")["dependencies"]
        (gap,) = document["gaps"]
        assert (gap["what"], gap["reason"], bool(gap["hint"])) == ("gs://data", "unsupported", True)
        assert "cannot write the inventory of gs://data: " in gap["effect"]
        with assembled(world) as assembly:
            assert assembly.ledger.verify()
            status = status_of(assembly, load(world.config))
            assert status["gaps_by_reason"] == {"unsupported": 1}
            assert [one["bucket"] for one in status["buckets_failed"]] == ["gs://data"]
            stored.objects[:] = [one for one in stored.objects if not one.name.startswith("bulk/")]
            judged(world, assembly, "exact", unfaulted("gcp"))


def test_a_locked_ledger_fails_the_scan_and_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("auditor.ledger.sqlite._WAIT_MILLISECONDS", 50)
    with a_google_world(tmp_path, monkeypatch) as world:
        with assembled(world) as assembly:
            judged(world, assembly, "exact", unfaulted("gcp"))
        other = sqlite3.connect(load(world.config).state / "ledger.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        code = cli._run(["scan", "-q", "--config", str(world.config)])  # noqa: SLF001 - as a user would
        failed_as_a_whole(code, *capsys.readouterr())
        other.execute("ROLLBACK")
        other.close()
        with assembled(world) as assembly:
            judged(world, assembly, "exact", unfaulted("gcp"))


def test_a_scan_that_is_killed_leaves_nothing_half_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = random.Random(11)  # noqa: S311 - repeatable
    # Behind the request of this number: all but the last are in the midst of something.
    requests = [*chosen.sample(range(1, 15), 3), 15, 15]
    with a_google_world(tmp_path, monkeypatch) as world:
        for number in requests:
            begin = len(world.traffic.requests)
            process = a_process(world)
            while len(world.traffic.requests) < begin + number and process.poll() is None:
                time.sleep(0.001)
            time.sleep(chosen.uniform(0, 0.08))
            process.send_signal(signal.SIGKILL)
            _, err = process.communicate(timeout=60)
            assert err == ""
        with assembled(world) as assembly:
            assembly.ledger.verify()
            judged(world, assembly, "exact", unfaulted("gcp"))
        assert not list((load(world.config).state / "inventory").glob("*/.unfinished-*"))


MACHINE: Final = {
    ("disk full", "ledger"): "exit code 70",
    ("disk full", "inventory"): "gap unsupported",
    ("a file is damaged or missing", "inventory"): "gap unsupported",
    ("ledger locked by another process", "any"): "exit code 70",
    ("kill -9", "at seeded moments"): "the next scan is exact",
}


# The same table for readers


def test_the_page_for_readers_tells_this_table() -> None:
    page = (Path(__file__).parents[1] / "docs" / "faults.md").read_text(encoding="utf-8")
    found = [line for line in page.splitlines() if line.startswith("| ") and not line.startswith("| ---")]
    assert found == list(lines_of_the_page())


def lines_of_the_page() -> Iterator[str]:
    yield "| cloud | request | fault | once | as long as it lasts |"
    for row in rows():
        yield f"| {row.cloud} | {row.request} | {row.fault} | {row.once} | {row.lasting} |"
    yield "| cloud | request | fault | outcome |"
    for (cloud, request, fault), (outcome, _) in OWN_SHAPE.items():
        yield f"| {cloud} | {request} | {fault} | {outcome} |"
    for cloud, (_, outcome, _) in CHANGES.items():
        yield f"| {cloud} | listing | objects come, go and are overwritten between two pages | {outcome} |"
    for cloud in WORLDS:
        for moment in MOMENTS:
            yield f"| {cloud} | all | the clock jumps {' or '.join(JUMPS)}, {moment} | exact |"
    yield "| fault | where | outcome |"
    for (fault, where), outcome in MACHINE.items():
        yield f"| {fault} | {where} | {outcome} |"
