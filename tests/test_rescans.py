"""A scan that follows another asks S3 only for what is new, changed or due, unless it is told to ask for all."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from typer.testing import CliRunner

from auditor import scan
from auditor.cli import app
from auditor.config import load
from auditor.embedded.aws import AwsCloud
from auditor.embedded.traffic import Fault, Request
from auditor.errors import LedgerError
from auditor.inventory.store import FileInventory
from auditor.ports import Begun, Passes, Written
from auditor.wiring import assemble
from tests.clouds import an_aws_cloud
from tests.test_fleet import NoProgress
from tests.test_resumed import CONFIG, KEY

OBJECTS = 300


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[AwsCloud]:
    (tmp_path / "auditor.toml").write_text(CONFIG)
    # What was written within minutes before a HEAD is asked again: here everything was.
    monkeypatch.setattr("auditor.connectors.aws.unchanged.SETTLED", timedelta(0))
    with an_aws_cloud(monkeypatch) as running:
        running.store.add_bucket("data")
        running.store.add_key(KEY)
        for number in range(OBJECTS):
            running.store.put("data", f"acme/{number % 7}/{number:03}", sse="aws:kms", key=KEY)
        yield running


def scanned(cloud: AwsCloud, folder: Path, *more: str) -> tuple[dict[str, Any], int]:
    """The answer of a scan, and how many HEADs it sent."""
    begin = len(cloud.traffic.requests)
    done = CliRunner().invoke(app, ["scan", "-q", "--format", "json", "--config", str(folder / "auditor.toml"), *more])
    heads = sum(one.verb == "HEAD" and "acme" in one.target for one in cloud.traffic.requests[begin:])
    return json.loads(done.stdout), heads


def headed(cloud: AwsCloud, begin: int) -> set[str]:
    """The objects asked for since then."""
    return {one.target.partition("?")[0] for one in cloud.traffic.requests[begin:] if one.verb == "HEAD"}


def bucket(told: dict[str, Any]) -> dict[str, Any]:
    (one,) = told["coverage"]["buckets"]
    return dict(one)


def test_a_scan_that_follows_sends_no_head_and_says_when_it_last_did(cloud: AwsCloud, tmp_path: Path) -> None:
    first, heads = scanned(cloud, tmp_path)
    assert heads == OBJECTS
    second, heads = scanned(cloud, tmp_path)
    assert heads == 0
    assert second["totals"] == first["totals"]
    assert second["dependencies"] == first["dependencies"]
    assert bucket(second)["sweep_ended"] > bucket(first)["sweep_ended"]
    assert bucket(second)["oldest_verified"] == bucket(first)["oldest_verified"]
    key = cloud.store.key(KEY)
    assert key is not None
    key.state = "Disabled"
    third, heads = scanned(cloud, tmp_path)
    assert (heads, third["totals"]["by_readability"]["unreadable"]["objects"]) == (0, OBJECTS), (
        "keys are asked each time"
    )


def own_keys(folder: Path) -> set[str]:
    """What is told of the objects under a customer's own key."""
    assembly = assemble(load(folder / "auditor.toml"))
    sweeps = assembly.parts.ledger.sweeps()
    rows = assembly.inventory.open(sweeps).holdings()
    assembly.close()
    return {str(one.encryption) for one in rows if one.encryption not in {"cmek", "provider"}}


@pytest.mark.parametrize("fault", [None, {"status": 503, "code": "SlowDown"}, {"status": 403, "code": "AccessDenied"}])
def test_who_answered_before_and_is_gone_now_decides_nothing_of_others(
    cloud: AwsCloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: dict[str, Any] | None
) -> None:
    # What stays throttled is asked for minutes in earnest.
    monkeypatch.setattr("auditor.connectors.transfers._ATTEMPTS_WHEN_THROTTLED", 2)
    for number in range(20):
        cloud.store.put("data", f"zebra/1/{number:02}", sse=None, customer_key=b"k" * 32)
    scanned(cloud, tmp_path)
    assert own_keys(tmp_path) == {"customer_supplied"}
    home = cloud.store.buckets["data"]
    for name in [one for one in home.objects if one.startswith("acme/0/")][:3]:
        cloud.store.delete("data", name, None)
    if fault is not None:
        cloud.traffic.fail("HEAD /data/acme/0/", **fault)
    _, heads = scanned(cloud, tmp_path)
    assert own_keys(tmp_path) == {"customer_supplied"}
    assert heads < OBJECTS / 2


def test_whoever_answered_before_is_found_in_whatever_part_of_the_bucket(
    cloud: AwsCloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("auditor.connectors.aws.stretches.ROWS", 100)
    old = datetime.now(UTC).replace(microsecond=0) - timedelta(days=1)
    for part in range(6):
        how = {"sse": None, "customer_key": b"k" * 32} if part % 2 == 0 else {"sse": "aws:kms", "key": KEY}
        for number in range(100):
            cloud.store.put("data", f"acme/{part}/{number:03}", modified=old, **how)
    for _ in range(3):
        scanned(cloud, tmp_path)
        assert own_keys(tmp_path) == {"customer_supplied"}


def damaged(folder: Path) -> None:
    (snapshot,) = folder.glob("state/inventory/*/*/*.rows.parquet")
    snapshot.write_bytes(snapshot.read_bytes()[:-100])


def gone(folder: Path) -> None:
    (snapshot,) = folder.glob("state/inventory/*/*/snapshot.json")
    snapshot.unlink()


def never(folder: Path) -> None:
    config = folder / "auditor.toml"
    config.write_text(config.read_text().replace("[limits]\n", "[limits]\nreverify_days = 0\n"))


CHANGES: dict[str, Callable[[Path], object]] = {
    "its snapshot is damaged": damaged,
    "its snapshot is gone": gone,
    "nothing is to be believed": never,
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_everything_is_asked_where_the_last_sweep_cannot_be_built_on(
    cloud: AwsCloud, tmp_path: Path, change: Callable[[Path], object]
) -> None:
    first, _ = scanned(cloud, tmp_path)
    change(tmp_path)
    second, heads = scanned(cloud, tmp_path)
    assert (heads, second["totals"]) == (OBJECTS, first["totals"])


@pytest.fixture
def a_bad_page(cloud: AwsCloud, monkeypatch: pytest.MonkeyPatch) -> str:
    """The third page of three, which is no page for good."""
    monkeypatch.setattr("auditor.embedded.aws.s3._PAGE", OBJECTS // 3)
    monkeypatch.setattr("auditor.connectors.aws.stretches.ROWS", OBJECTS // 3)
    monkeypatch.setattr("auditor.connectors.transfers._FIRST_WAIT", 0.001)
    # Each page is asked for when the one before it is done, so that it is the same in every run how far a sweep came.
    monkeypatch.setattr("auditor.connectors.aws.census._HEADS_AHEAD", 1)
    names = sorted(cloud.store.buckets["data"].objects)
    return f"key-marker={quote(names[OBJECTS // 3 * 2 - 1], safe='')}"


def test_a_page_that_cannot_be_read_makes_no_scan_ask_again_for_what_is_listed_as_it_was(
    cloud: AwsCloud, tmp_path: Path, a_bad_page: str
) -> None:
    whole, _ = scanned(cloud, tmp_path)
    cloud.traffic.fail(a_bad_page, status=200, body=b"<html>a proxy</html>")
    cloud.store.put("data", "acme/0/000", sse="aws:kms", key=KEY, size=1_000)
    asked = 0
    for _ in range(3):
        told, heads = scanned(cloud, tmp_path)
        assert (told["totals"], [one["reason"] for one in told["gaps"]]) == (whole["totals"], ["malformed"])
        asked += heads
    assert 1 <= asked <= 2, "once by each attempt of the first scan; what that finished stays"
    cloud.traffic.heal()
    told, heads = scanned(cloud, tmp_path)
    assert (told["totals"]["bytes"], told["gaps"], heads) == (whole["totals"]["bytes"] + 990, [], 0)


def test_a_first_sweep_that_meets_such_a_page_each_time_keeps_what_it_finished(
    cloud: AwsCloud, tmp_path: Path, a_bad_page: str
) -> None:
    finished = sorted(cloud.store.buckets["data"].objects)[: OBJECTS // 3]
    cloud.traffic.fail(a_bad_page, status=200, body=b"<html>a proxy</html>")
    assert scanned(cloud, tmp_path)[1] >= len(finished)
    begin = len(cloud.traffic.requests)
    for _ in range(3):
        assert scanned(cloud, tmp_path)[1] <= OBJECTS // 3, "what is behind the last part alone"
    assert headed(cloud, begin).isdisjoint(f"/data/{name}" for name in finished)
    cloud.traffic.heal()
    told, _ = scanned(cloud, tmp_path)
    assert (told["totals"]["objects"], told["gaps"]) == (OBJECTS, [])


@pytest.mark.parametrize("known", [False, True])
def test_where_a_store_cannot_go_on_the_next_scan_begins_anew_once_the_page_is_one(
    cloud: AwsCloud, tmp_path: Path, a_bad_page: str, monkeypatch: pytest.MonkeyPatch, *, known: bool
) -> None:
    if known:
        scanned(cloud, tmp_path)
    cloud.traffic.fail(a_bad_page, status=200, body=b"<html>a proxy</html>")
    assert [one["reason"] for one in scanned(cloud, tmp_path)[0]["gaps"]] == ["malformed"]
    cloud.traffic.heal()
    arrived = cloud.traffic.arrived

    def behind_no_name_alone(request: Request) -> Fault | None:
        fault = arrived(request)
        alone = "key-marker" in request.target and "version-id-marker" not in request.target
        return Fault("", status=200, body=b"<html>an error</html>") if alone else fault

    monkeypatch.setattr(cloud.traffic, "arrived", behind_no_name_alone)
    told, heads = scanned(cloud, tmp_path)
    assert (told["totals"]["objects"], told["gaps"], heads) == (OBJECTS, [], 0 if known else OBJECTS)


def listings(cloud: AwsCloud, begin: int) -> int:
    """How often the bucket was listed from its beginning."""
    asked = [one.target for one in cloud.traffic.requests[begin:] if one.verb == "GET" and "versions" in one.target]
    return sum("key-marker" not in one and "prefix=" not in one for one in asked)


@pytest.mark.parametrize("how", ["by the SDKs", "nothing is to be believed"])
def test_who_builds_on_no_bytes_makes_no_second_attempt_at_a_page_that_cannot_be_read(
    cloud: AwsCloud, tmp_path: Path, a_bad_page: str, how: str
) -> None:
    more = ["--client", "boto3"] if how == "by the SDKs" else []
    if not more:
        never(tmp_path)
    whole, heads = scanned(cloud, tmp_path, *more)
    assert heads == OBJECTS
    cloud.traffic.fail(a_bad_page, status=200, body=b"<html>a proxy</html>")
    begin = len(cloud.traffic.requests)
    told, heads = scanned(cloud, tmp_path, *more)
    assert (told["totals"], [one["reason"] for one in told["gaps"]]) == (whole["totals"], ["malformed"])
    assert (listings(cloud, begin), heads <= OBJECTS // 3 * 2) == (1, True)
    if not more:
        begin = len(cloud.traffic.requests)
        second = sorted(cloud.store.buckets["data"].objects)[OBJECTS // 3 : OBJECTS // 3 * 2]
        # Those of its second page that are not sent when the third fails are given up: another number each time.
        assert 1 <= scanned(cloud, tmp_path)[1] <= OBJECTS // 3
        assert headed(cloud, begin) - {"/data"} <= {f"/data/{name}" for name in second}, (
            "what was finished is not asked again"
        )
        assert listings(cloud, begin) == 0


def test_the_sdks_ask_for_everything_and_say_the_same(cloud: AwsCloud, tmp_path: Path) -> None:
    first, _ = scanned(cloud, tmp_path)
    second, heads = scanned(cloud, tmp_path, "--client", "boto3")
    assert (heads, second["totals"]) == (OBJECTS, first["totals"])
    assert bucket(second)["oldest_verified"] > bucket(first)["oldest_verified"]


def test_words_of_another_version_of_the_program_are_not_built_on(
    cloud: AwsCloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scanned(cloud, tmp_path)
    monkeypatch.setattr("auditor.wiring.__version__", "99.0")
    _, heads = scanned(cloud, tmp_path)
    assert heads == OBJECTS
    _, heads = scanned(cloud, tmp_path)
    assert heads == 0


def test_a_copy_at_another_endpoint_is_asked_for_its_own_keys(
    cloud: AwsCloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scanned(cloud, tmp_path)
    with AwsCloud(cloud.store) as copy:
        # Ids, dates and sizes are the same there, as where a storage replicates itself.
        for service in ("S3", "KMS", "STS"):
            monkeypatch.setenv(f"AWS_ENDPOINT_URL_{service}", copy.endpoint)
        _, heads = scanned(copy, tmp_path)
        assert heads == OBJECTS
        _, heads = scanned(copy, tmp_path)
        assert heads == 0


def test_when_an_object_was_asked_is_told_by_the_clouds_clock(cloud: AwsCloud, tmp_path: Path) -> None:
    ahead = timedelta(minutes=10)
    assembly = assemble(load(tmp_path / "auditor.toml"), lambda: datetime.now(UTC) + ahead)
    scan.scan(assembly.parts, NoProgress())
    (sweep,) = assembly.parts.ledger.sweeps()
    assembly.close()
    assert sweep.oldest_verified is not None
    # What was written meanwhile would look five minutes old otherwise.
    assert sweep.oldest_verified < datetime.now(UTC) + ahead / 2
    assert cloud.traffic.requests


def test_what_is_known_is_built_on_though_another_process_goes_on_with_the_sweep(
    cloud: AwsCloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scanned(cloud, tmp_path)
    write, refusals = FileInventory.write, [LedgerError("another process goes on with this sweep")]

    def refused(self: FileInventory, bucket: str, begun: Begun, passes: Passes) -> Written:
        if refusals:
            raise refusals.pop()
        return write(self, bucket, begun, passes)

    monkeypatch.setattr(FileInventory, "write", refused)
    told, heads = scanned(cloud, tmp_path)
    assert (heads, told["gaps"], refusals) == (0, [], [])
