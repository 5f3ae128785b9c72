"""A sweep tells how many requests it made about its bucket, as the cloud saw them, through either client."""

import io
import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import jsonschema
import pytest

from auditor import cli, readonly, sweeping
from auditor.config import load
from auditor.connectors import wire
from auditor.embedded.traffic import Traffic
from auditor.findings import BucketCoverage
from auditor.ledger import codec
from auditor.model import Requests, Sweep
from auditor.outputs import scan_json, terminal
from auditor.wiring import assemble
from tests.clouds import an_aws_cloud
from tests.core_builders import NOW
from tests.ledger.test_store import a_sweep
from tests.small import a_small_cloud
from tests.test_fleet import NoProgress
from tests.test_resumed import CONFIG, KEY, killed_in_the_second_listing

CLIENTS = ("curl", "boto3")


@contextmanager
def an_s3_bucket(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Iterator[tuple[Path, Traffic]]:
    """Forty versions of twenty names, three of them under a key that only their writer has."""
    config = folder / "auditor.toml"
    config.write_text(CONFIG)
    with an_aws_cloud(monkeypatch) as cloud:
        cloud.store.add_bucket("data", versioned=True)
        cloud.store.add_key(KEY)
        for number in range(40):
            odd = {"customer_key": bytes(32)} if number in {7, 8, 23} else {"sse": "aws:kms", "key": KEY}
            cloud.store.put("data", f"acme/a/{number % 20:02}", **odd)
        yield config, cloud.traffic


@contextmanager
def a_gcs_bucket(_: pytest.MonkeyPatch, folder: Path) -> Iterator[tuple[Path, Traffic]]:
    with a_small_cloud(folder) as small:
        yield small.config, small.cloud.traffic


World = Callable[[pytest.MonkeyPatch, Path], AbstractContextManager[tuple[Path, Traffic]]]
WORLDS: dict[str, World] = {"s3": an_s3_bucket, "gcs": a_gcs_bucket}


def seen(traffic: Traffic, begin: int = 0) -> Requests:
    """What arrived at the bucket, by what it is billed as."""
    lists = heads = others = 0
    for one in traffic.requests[begin:]:
        url = urlsplit(one.target)
        path = url.path.removeprefix("/storage/v1/b")
        if one.service not in {"s3", "storage"} or not path.startswith("/data"):
            continue
        if one.verb == "HEAD" and path != "/data":
            heads += 1
        elif path == "/data/o" or url.query.startswith(("uploads", "versions", "list-type")):
            lists += 1
        else:
            others += 1
    return Requests(lists, heads, others)


def scanned(config: Path, capsys: pytest.CaptureFixture[str], client: str) -> Requests:
    """What a scan says of its requests, in the ledger and in JSON alike."""
    argv = ["scan", "--quiet", "--format", "json", "--config", str(config), "--client", client]
    cli._run(argv)  # noqa: SLF001 - the command without the end of the process
    told = json.loads(capsys.readouterr().out)
    jsonschema.Draft202012Validator(scan_json.schema()).validate(told)
    (bucket,) = told["coverage"]["buckets"]
    found = bucket["requests"]
    assembly = assemble(load(config))
    newest = (*assembly.ledger.failed_attempts(), *assembly.ledger.sweeps())[0]
    assembly.close()
    assert newest.sent is not None
    assert (found["list"], found["head"], found["other"]) == (
        newest.sent.lists,
        newest.sent.heads,
        newest.sent.others,
    )
    return newest.sent


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("world", WORLDS.values(), ids=WORLDS)
def test_what_is_told_is_what_arrived(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str], world: World, client: str
) -> None:
    with world(monkeypatch, tmp_path) as (config, traffic):
        told = scanned(config, capsys, client)
        assert told == seen(traffic)
        assert told.lists >= 2
        assert told.others >= 1
        assert bool(told.heads) is (world is an_s3_bucket)


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("world", WORLDS.values(), ids=WORLDS)
def test_each_try_counts_whatever_became_of_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str], world: World, client: str
) -> None:
    with world(monkeypatch, tmp_path) as (config, traffic):
        before = scanned(config, capsys, "boto3")
        begin = len(traffic.requests)
        for match in ("GET /data?versions", "/b/data/o?", "HEAD /data/acme/a/05"):
            traffic.fail(match, times=1)
            traffic.fail(match, times=1, cut=True)
            if "HEAD" not in match:
                traffic.fail(match, times=1, status=200, body=b"no page")
        told = scanned(config, capsys, client)
        assert told == seen(traffic, begin)
        assert told.lists > before.lists


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("world", WORLDS.values(), ids=WORLDS)
def test_an_attempt_that_fails_tells_what_it_has_sent(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str], world: World, client: str
) -> None:
    with world(monkeypatch, tmp_path) as (config, traffic):
        traffic.fail("versions", status=403, code="AccessDenied")
        told = scanned(config, capsys, client)
        assert told == seen(traffic)
        assert (told.lists, told.heads) == (2, 0)


def test_a_second_sweep_of_one_process_tells_its_own(tmp_path: Path) -> None:
    with a_small_cloud(tmp_path) as small:
        assembly = assemble(load(small.config))
        for _ in range(2):
            sweeping.sweep_all(assembly.parts, NoProgress())
        (newest,) = assembly.ledger.sweeps()
        assembly.close()
        assert newest.sent == Requests(lists=3, others=1)


def test_a_scan_tells_it_in_a_table_and_what_it_costs_by_list_price(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with a_small_cloud(tmp_path) as small:
        cli._run(small.argv("scan", "--quiet"))  # noqa: SLF001 - as above
        out = capsys.readouterr().out.splitlines()
        at = next(place for place, line in enumerate(out) if line.startswith("swept "))
        assert [line.split() for line in out[at : at + 2]] == [
            ["swept", "LIST", "HEAD", "other", "estimated"],
            # Three lists at $0.005 and one other at $0.0004 a thousand.
            ["gs://data", "3", "0", "1", "<", "$0.0001"],
        ]
        assert out[at + 2].startswith("estimated: USD by list price")
        cli._run(small.argv("poll", "--quiet"))  # noqa: SLF001 - as above
        assert "estimated" not in capsys.readouterr().out, "a poll sweeps nothing"


def test_what_an_attempt_before_had_listed_is_told_beside(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with a_small_cloud(tmp_path) as small:
        killed_in_the_second_listing(small)
        cli._run(small.argv("scan", "--quiet"))  # noqa: SLF001 - as above
        out = capsys.readouterr().out
        assert ["gs://data", "2", "0", "1"] in [line.split()[:4] for line in out.splitlines()]
        assert "gs://data: without the requests for 20 objects that an earlier attempt had listed" in out


def test_what_an_older_version_kept_without_a_count_is_not_zero() -> None:
    kept = json.loads(codec.dump(a_sweep()))
    del kept["sent"], kept["kept"]
    assert codec.load(Sweep, json.dumps({**kept, "requests": 0})).sent is None
    told = BucketCoverage("s3://data", True, 10, 10, 0, 0, 0, NOW, NOW, NOW)
    assert scan_json.bucket(told)["requests"] is None
    out = io.StringIO()
    terminal.plain(out).print(terminal.sent([told]))
    assert "not counted" in out.getvalue()


def test_every_request_about_a_bucket_is_of_one_kind() -> None:
    """What is neither a list nor a HEAD of an object asks for settings; reads are the probes' business."""
    named = {operation for service, operation in readonly.TABLE if service in {"s3", "storage"}}
    kinds = wire.LISTS, wire.HEADS, wire.PROBES
    assert named.issuperset(frozenset().union(*kinds))
    assert sum(map(len, kinds)) == len(frozenset().union(*kinds))
    assert named.difference(*kinds) == {
        *("ListBuckets", "HeadBucket", "GetBucketVersioning", "GetBucketEncryption"),
        "GetBucketInventoryConfiguration",
        "GetBucketMetadataConfiguration",
        *("buckets.get", "buckets.list", "projects.serviceAccount.get"),
        # Into a bucket that is not audited.
        *("PutObject", "objects.insert"),
    }


def test_reads_of_probes_are_no_requests_of_a_sweep() -> None:
    counting = wire.Wire(lambda: NOW)
    for operation in ("HeadBucket", "HeadObject", "ListObjectsV2", "GetObject"):
        counting.answered("s3", operation, "ok", bucket="s3://data", number=2)
    counting.answered("s3", "HeadObject", "ok", bucket="s3://other")
    counting.answered("s3", "ListBuckets", "ok")
    assert counting.sent("s3://data") == Requests(2, 2, 2)
    assert counting.sent("s3://never") == Requests()
