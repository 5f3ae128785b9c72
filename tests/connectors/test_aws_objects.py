"""Objects of S3 as its census reads them: all of them, each once, with the key that a HEAD tells."""

import re
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote_plus, unquote_plus
from xml.sax.saxutils import escape

import pyarrow as pa
import pytest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError, NoRegionError

from auditor.connectors.aws import objects
from auditor.connectors.aws.buckets import AwsBuckets
from auditor.connectors.aws.census import S3Census
from auditor.connectors.aws.errors import reason_of
from auditor.connectors.aws.listing import Page
from auditor.connectors.aws.objects import S3Bucket
from auditor.connectors.aws.session import AwsClients, AwsIdentity
from auditor.connectors.pace import Pace
from auditor.connectors.wire import Wire
from auditor.embedded.aws import AwsCloud, s3
from auditor.embedded.traffic import Fault, Request
from auditor.errors import CollectError, ReadOnlyError, UsageError
from auditor.model import BucketFacts, Cloud, Encryption, Gap, Listing, NewObjects, Population, Reason, StoredObject
from auditor.ports import Shard
from auditor.rows import Done
from tests.clouds import Clock, an_aws_cloud, aws_clients, objects_of
from tests.connectors.test_listing import LACKING, an_entry
from tests.hostile import NAMES
from tests.sweeps import batches, everything

KEY = "arn:aws:kms:us-east-1:111122223333:key/1f3c0f5e-0000-4000-8000-000000000001"


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[AwsCloud]:
    with an_aws_cloud(monkeypatch) as running:
        running.store.add_bucket("data")
        running.store.add_key(KEY)
        yield running


BY_SDK = False


@pytest.fixture(autouse=True, params=["curl", "boto3"])
def client(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each promise is kept by both clients."""
    monkeypatch.setattr("tests.connectors.test_aws_objects.BY_SDK", request.param == "boto3")
    return str(request.param)


def a_bucket(
    clients: AwsClients | None = None, url: str = "s3://data", populations: tuple[Population, ...] = (), **where: Any
) -> S3Bucket | S3Census:
    found = clients or aws_clients()
    place = where.get("region", "us-east-1"), where.get("account")
    by_sdk = S3Bucket(found.s3(*place), url, populations, Pace(100_000), Clock())
    return by_sdk if BY_SDK else S3Census(by_sdk, found, place, populations, ceiling=100_000, clock=Clock())


def sweep(**how: Any) -> list[StoredObject]:
    return objects_of(everything(a_bucket(**how)))


def by_name(objects: list[StoredObject]) -> dict[str, StoredObject]:
    return {one.name: one for one in objects}


ENCRYPTIONS: dict[str, tuple[dict[str, Any], tuple[Encryption, str | None, Reason | None]]] = {
    "SSE-S3": ({"sse": "AES256"}, (Encryption.PROVIDER, None, None)),
    "SSE-KMS": ({"sse": "aws:kms", "key": KEY}, (Encryption.CMEK, KEY, None)),
    "DSSE-KMS": ({"sse": "aws:kms:dsse", "key": KEY}, (Encryption.CMEK, KEY, None)),
    "stored plain": ({"sse": None}, (Encryption.NONE, None, None)),
    "customer's key": ({"sse": None, "customer_key": b"k" * 32}, (Encryption.CUSTOMER_SUPPLIED, None, None)),
    "FSx": ({"sse": "aws:fsx"}, (Encryption.UNKNOWN, None, Reason.UNSUPPORTED)),
    "a kind of the future": ({"sse": "aws:new"}, (Encryption.UNKNOWN, None, Reason.UNSUPPORTED)),
    "a key that is no key": ({"sse": "aws:kms", "key": "alias/x"}, (Encryption.UNKNOWN, None, Reason.MALFORMED)),
    "HEAD denied": ({"head_denied": True}, (Encryption.UNKNOWN, None, Reason.ACCESS_DENIED)),
}


@pytest.mark.parametrize(("how", "expected"), ENCRYPTIONS.values(), ids=ENCRYPTIONS)
def test_reads_every_kind_of_encryption(
    cloud: AwsCloud, how: dict[str, Any], expected: tuple[Encryption, str | None, Reason | None]
) -> None:
    cloud.store.put("data", "acme/a", **how)
    cloud.store.put("data", "acme/control")
    one = by_name(sweep())["acme/a"]
    assert (one.encryption, one.key, one.problem) == expected
    assert (one.verified is not None) == (one.problem is None)


def test_hostile_names_come_back_as_they_were_written(cloud: AwsCloud) -> None:
    for name in NAMES.values():
        cloud.store.put("data", name, sse="aws:kms", key=KEY)
    for populations in ((), (Population.LIVE,)):
        found = sweep(populations=populations)
        assert sorted(one.name for one in found) == sorted(NAMES.values())
        assert {one.encryption for one in found} == {Encryption.CMEK}


@pytest.mark.parametrize("populations", [(), (Population.LIVE,)], ids=["versions", "live"])
def test_pages_to_the_end(
    cloud: AwsCloud, populations: tuple[Population, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3, "_PAGE", 100)
    names = [f"acme/{number:05}" for number in range(210)]
    for name in names:
        cloud.store.put("data", name)
    found = sweep(populations=populations)
    assert [one.name for one in found] == names


@pytest.mark.parametrize("populations", [(), (Population.LIVE,), (Population.NONCURRENT,)], ids=str)
def test_a_listing_is_gone_on_with_behind_a_name(
    cloud: AwsCloud, populations: tuple[Population, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3, "_PAGE", 20)
    cloud.store.add_bucket("versioned", versioned=True)
    for name in sorted({*NAMES.values(), *(f"acme/{number:04}" for number in range(25))}, key=str.encode):
        for _ in range(2):
            cloud.store.put("versioned", name)
    source = a_bucket(url="s3://versioned", populations=populations)
    whole = objects_of(batches(source))
    pages_of_all = len(_pages(cloud))
    starts = (*NAMES.values(), "acme/0012", "acme/0024", "acme/", "zzzz", "acme/0012x")
    begin = len(cloud.traffic.requests)
    for after in starts:
        found = objects_of(batches(source, after=after))
        expected = [(one.name, one.version) for one in whole if one.name > after]
        assert [(one.name, one.version) for one in found] == expected, after
    assert pages_of_all > 2
    asked = len(_pages(cloud, begin))
    assert asked < pages_of_all * len(starts) * 3 / 4, "it is not listed from the beginning each time"


def _pages(cloud: AwsCloud, begin: int = 0) -> list[Request]:
    return [one for one in cloud.traffic.requests[begin:] if one.verb == "GET" and "max-keys" not in one.target]


@pytest.mark.parametrize("populations", [(), (Population.LIVE,)], ids=["versions", "live"])
def test_a_listing_that_goes_on_before_the_name_where_it_was_to_is_none(
    cloud: AwsCloud, populations: tuple[Population, ...]
) -> None:
    root, row = ("ListBucketResult", "Contents") if populations else ("ListVersionsResult", "Version")
    entry = "<Key>l</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified><Size>3</Size><IsLatest>true</IsLatest>"
    body = f"<{root}><Name>data</Name><IsTruncated>false</IsTruncated><{row}>{entry}</{row}></{root}>"
    cloud.traffic.fail("s3 GET /data", status=200, body=body.encode())
    with pytest.raises(CollectError) as broken:
        objects_of(batches(a_bucket(populations=populations), after="m"))
    assert broken.value.reason is Reason.MALFORMED


def test_each_version_has_a_key_of_its_own_and_delete_markers_are_no_objects(cloud: AwsCloud) -> None:
    cloud.store.add_bucket("versioned", versioned=True)
    cloud.store.put("versioned", "a", sse="aws:kms", key=KEY, version_id="old")
    cloud.store.put("versioned", "a", version_id="new")
    cloud.store.put("versioned", "b", version_id="null")
    cloud.store.put("versioned", "b", delete_marker=True, version_id="gone")
    found = {(one.name, one.version): one for one in sweep(url="s3://versioned")}
    assert {place: (one.population, one.encryption) for place, one in found.items()} == {
        ("a", "new"): (Population.LIVE, Encryption.PROVIDER),
        ("a", "old"): (Population.NONCURRENT, Encryption.CMEK),
        ("b", "null"): (Population.NONCURRENT, Encryption.PROVIDER),
    }
    live = sweep(url="s3://versioned", populations=(Population.LIVE,))
    assert [one.name for one in live] == ["a"]
    old = sweep(url="s3://versioned", populations=(Population.NONCURRENT,))
    assert {one.name for one in old} == {"a", "b"}


def test_delete_markers_are_counted_beside_the_versions_of_a_listing(cloud: AwsCloud) -> None:
    cloud.store.add_bucket("versioned", versioned=True)
    for number in range(1_200):
        cloud.store.put("versioned", f"acme/{number:04}", delete_marker=number % 100 > 0)
    bucket = a_bucket(url="s3://versioned")
    assert bucket.markers is None, "nothing was listed yet"
    for _ in range(2):
        assert len(objects_of(everything(bucket))) == 12
        assert bucket.markers == 1_188
    live = a_bucket(url="s3://versioned", populations=(Population.LIVE,))
    assert len(objects_of(everything(live))) == 12
    assert live.markers is None, "such a listing shows none"


def test_versions_of_one_name_page_to_the_end(cloud: AwsCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3, "_PAGE", 100)
    cloud.store.add_bucket("versioned", versioned=True)
    for number in range(150):
        cloud.store.put("versioned", "acme/a" if number % 3 else "acme/b")
    assert len({(one.name, one.version) for one in sweep(url="s3://versioned")}) == 150


ARCHIVED: dict[str, tuple[dict[str, Any], bool]] = {
    "standard": ({}, False),
    "glacier": ({"storage_class": "GLACIER"}, True),
    "deep archive": ({"storage_class": "DEEP_ARCHIVE"}, True),
    "restored": ({"storage_class": "GLACIER", "restored": True}, False),
    "instant retrieval": ({"storage_class": "GLACIER_IR"}, False),
    "standard, HEAD denied": ({"head_denied": True}, False),
    "glacier, HEAD denied": ({"storage_class": "GLACIER", "head_denied": True}, True),
}


@pytest.mark.parametrize(("how", "archived"), ARCHIVED.values(), ids=ARCHIVED)
def test_tells_what_needs_a_restore_first(cloud: AwsCloud, how: dict[str, Any], archived: bool) -> None:  # noqa: FBT001 - a table's column
    cloud.store.put("data", "a", **how)
    assert sweep()[0].archived is archived


def test_one_bare_400_is_no_customers_key(cloud: AwsCloud) -> None:
    for number in range(20):
        cloud.store.put("data", f"{number:02}", sse="aws:kms", key=KEY)
    cloud.traffic.fail("HEAD", status=400, bare=True, times=5)
    assert {one.encryption for one in sweep()} == {Encryption.CMEK}


def test_nothing_overtakes_what_waits_for_an_answer(cloud: AwsCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objects, "_HEADS_AT_ONCE", 1)
    monkeypatch.setattr(objects, "_PAGES_AHEAD", 0)
    monkeypatch.setattr("auditor.embedded.aws.s3._PAGE", 1)
    names = [f"{number:02}" for number in range(40)]
    for number, name in enumerate(names):
        how: dict[str, Any] = {"sse": None, "customer_key": b"k" * 32} if number < 20 else {}
        cloud.store.put("data", name, **how)
    cloud.traffic.fail("HEAD /data/20", status=403)
    found = sweep()
    assert [one.name for one in found] == names
    assert [one.encryption for one in found[:20]] == [Encryption.CUSTOMER_SUPPLIED] * 20
    assert found[20].problem is Reason.ACCESS_DENIED


def test_a_shard_with_an_end_holds_what_waits_for_an_answer_behind_it(cloud: AwsCloud) -> None:
    for name in "abcdef":
        how: dict[str, Any] = {"sse": None, "customer_key": b"k" * 32} if name < "e" else {}
        cloud.store.put("data", name, **how)
    cloud.store.put("data", "f")
    shard = Shard("a", "c")
    told = [some for _, some in a_bucket().shards(Listing.STORED, [shard], split=False) if not isinstance(some, Done)]
    assert [one.name for one in objects_of(told)] == ["b", "c"]


def test_of_the_sdks_client_a_few_wait_for_an_answer_and_no_more(
    cloud: AwsCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.connectors.test_aws_objects.BY_SDK", True)
    monkeypatch.setattr(objects, "MOST_WAITING", 5)
    monkeypatch.setattr(objects, "_HEADS_AT_ONCE", 1)
    monkeypatch.setattr(objects, "_PAGES_AHEAD", 0)
    monkeypatch.setattr("auditor.embedded.aws.s3._PAGE", 1)
    for name in "abcdefgh":
        cloud.store.put("data", name, sse=None, customer_key=b"k" * 32)
    cloud.store.put("data", "z")
    found = sweep()
    assert [one.name for one in found] == [*"abcdefgh", "z"]
    assert [one.problem for one in found] == [*[Reason.UNSUPPORTED] * 3, *[None] * 6]


def test_credentials_that_have_run_out_when_a_process_hands_them_out_are_told_as_such(
    cloud: AwsCloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud.store.put("data", "a")
    process = tmp_path / "process"
    keys = '"Version":1,"AccessKeyId":"a","SecretAccessKey":"s","SessionToken":"t"'
    process.write_text(f'#!/bin/sh\necho \'{{{keys},"Expiration":"2001-01-01T00:00:00Z"}}\'\n')
    process.chmod(0o755)
    (tmp_path / "aws").write_text(f"[profile stale]\nregion = us-east-1\ncredential_process = {process}\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "aws"))
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    clients = aws_clients(a111122223333=AwsIdentity(profile="stale"))
    facts = a_bucket(clients=clients, account="111122223333").facts()
    assert isinstance(facts, Gap)
    assert facts.reason is Reason.EXPIRED_CREDENTIALS
    assert clients.caller("111122223333") is Reason.EXPIRED_CREDENTIALS
    with pytest.raises(CollectError) as broken:
        sweep(clients=clients, account="111122223333")
    assert broken.value.reason is Reason.EXPIRED_CREDENTIALS


def test_an_answer_about_another_version_is_none(cloud: AwsCloud) -> None:
    cloud.store.add_bucket("versioned", versioned=True)
    cloud.store.put("versioned", "a", sse="aws:kms", key=KEY)
    cloud.store.put("versioned", "b")
    cloud.traffic.fail("HEAD /versioned/a", status=200, body=b"", headers={"ETag": '"0"'})
    found = by_name(sweep(url="s3://versioned"))
    assert (found["a"].encryption, found["a"].problem) == (Encryption.UNKNOWN, Reason.MALFORMED)
    assert found["b"].problem is None


@pytest.mark.parametrize("populations", [(), (Population.LIVE,)], ids=["versions", "live"])
def test_what_is_overwritten_between_page_and_head_is_what_it_is_now(
    cloud: AwsCloud, populations: tuple[Population, ...]
) -> None:
    cloud.store.put("data", "a", sse="aws:kms", key=KEY)
    root, row = ("ListBucketResult", "Contents") if populations else ("ListVersionsResult", "Version")
    before = (
        "<Key>a</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified><ETag>&quot;old&quot;</ETag><Size>3</Size>"
        "<VersionId>null</VersionId><IsLatest>true</IsLatest>"
    )
    body = f"<{root}><Name>data</Name><IsTruncated>false</IsTruncated><{row}>{before}</{row}></{root}>"
    cloud.traffic.fail("s3 GET /data", status=200, body=body.encode(), times=1)
    (one,) = sweep(populations=populations)
    assert (one.encryption, one.key, one.problem) == (Encryption.CMEK, KEY, None)


@pytest.mark.parametrize("populations", [(), (Population.LIVE,)], ids=["versions", "live"])
def test_the_answer_about_another_object_is_none(cloud: AwsCloud, populations: tuple[Population, ...]) -> None:
    cloud.store.put("data", "a", size=10, sse="aws:kms", key=KEY)
    cloud.traffic.fail("HEAD /data/a", status=200, body=b"", headers={"ETag": '"anothers"'})
    (found,) = sweep(populations=populations)
    assert (found.encryption, found.problem) == (Encryption.UNKNOWN, Reason.MALFORMED)


@pytest.mark.parametrize("etag", ['"{}"', 'W/"{}"', "{}"])
def test_what_somebody_on_the_way_does_to_headers_makes_no_gap(cloud: AwsCloud, etag: str) -> None:
    one = cloud.store.put("data", "a", size=10)
    told = {
        "ETag": etag.format(one.etag),
        "x-amz-version-id": "",
        "X-Amz-Server-Side-Encryption": "AES256",
        "x-amz-server-side-encryption-aws-kms-key-id": "",
    }
    # The length that comes with it is none.
    cloud.traffic.fail("HEAD /data/a", status=200, body=b"", headers=told)
    (found,) = sweep()
    assert (found.encryption, found.problem) == (Encryption.PROVIDER, None)


@pytest.mark.parametrize("times", [1, None], ids=["once", "always"])
def test_an_answer_whose_header_is_cut_off_is_none(cloud: AwsCloud, times: int | None) -> None:
    cloud.store.put("data", "a", sse="aws:kms", key=KEY)
    cloud.traffic.fail("HEAD /data/a", cut=True, times=times)
    (one,) = sweep(clients=aws_clients(attempts=2))
    expected = (Encryption.CMEK, None) if times else (Encryption.UNKNOWN, one.problem)
    assert (one.encryption, one.problem) == expected
    assert (one.problem is None) is bool(times)


def nothing_named(prefix: str) -> bytes:
    """A page of versions without any."""
    told = f"<Name>data</Name><Prefix>{prefix}</Prefix><IsTruncated>false</IsTruncated>"
    return f"<ListVersionsResult>{told}</ListVersionsResult>".encode()


def test_what_is_overwritten_and_then_deleted_is_gone(cloud: AwsCloud) -> None:
    cloud.store.put("data", "a")
    cloud.traffic.fail("HEAD /data/a", status=200, body=b"", headers={"ETag": '"of-the-new-one"'})
    cloud.traffic.fail("prefix=a", status=200, body=nothing_named("a"))
    assert sweep() == []


def test_a_control_that_was_deleted_meanwhile_gives_way_to_another(cloud: AwsCloud) -> None:
    for name in ("a", "b", "c"):
        cloud.store.put("data", name)
    for number in range(5):
        cloud.store.put("data", f"d{number}", sse=None, customer_key=b"k" * 32)
    for name in ("b", "c"):
        cloud.traffic.fail(f"HEAD /data/{name}", status=404, skip=1)
    found = by_name(sweep())
    assert {one.encryption for name, one in found.items() if name[0] == "d"} == {Encryption.CUSTOMER_SUPPLIED}
    assert len(found) == 8


CONTROL_GONE: dict[str, dict[str, Any]] = {
    "denied": {"status": 403, "code": "AccessDenied"},
    "throttled": {"status": 503, "code": "SlowDown"},
    "overwritten under a customer's key": {"status": 400, "bare": True},
    "a delete marker by now": {"status": 405, "code": "MethodNotAllowed"},
    "dropped": {"drop": True},
}


@pytest.mark.parametrize("fault", CONTROL_GONE.values(), ids=CONTROL_GONE)
def test_what_becomes_of_a_control_says_nothing_of_others(cloud: AwsCloud, fault: dict[str, Any]) -> None:
    for name in ("a", "b", "c"):
        cloud.store.put("data", name)
    for number in range(5):
        cloud.store.put("data", f"d{number}", sse=None, customer_key=b"k" * 32)
    for name in ("b", "c"):
        cloud.traffic.fail(f"HEAD /data/{name}", skip=1, **fault)
    found = by_name(sweep())
    assert {(one.encryption, one.problem) for name, one in found.items() if name[0] == "d"} == {
        (Encryption.CUSTOMER_SUPPLIED, None)
    }


def test_a_session_that_runs_out_again_between_two_answers_is_no_customers_key(cloud: AwsCloud) -> None:
    cloud.store.put("data", "a")
    cloud.store.put("data", "b", sse="aws:kms", key=KEY)
    cloud.traffic.fail("HEAD /data/b", status=400, bare=True)
    # It answers when it is listed and when it is asked for b, and not any more once b was refused again.
    cloud.traffic.fail("HEAD /data/a", status=400, bare=True, skip=2)
    found = by_name(sweep())["b"]
    assert (found.encryption, found.problem) == (Encryption.UNKNOWN, Reason.EXPIRED_CREDENTIALS)


def test_one_answer_is_enough_for_all_that_were_refused_before_it(
    cloud: AwsCloud, client: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrived = cloud.traffic.arrived

    def slowly(request: Request) -> Fault | None:
        # While one waits for the answer, others are refused.
        if request.verb == "HEAD" and request.target.startswith("/data/a"):
            time.sleep(0.1 if client == "curl" else 0)
        return arrived(request)

    monkeypatch.setattr(cloud.traffic, "arrived", slowly)
    cloud.store.put("data", "a")
    for number in range(100):
        cloud.store.put("data", f"d{number:03}", sse=None, customer_key=b"k" * 32)
    assert sum(one.encryption is Encryption.CUSTOMER_SUPPLIED for one in sweep()) == 100
    heads = [one.target for one in cloud.traffic.requests if one.verb == "HEAD"]
    others, controls = (sum(one.startswith(f"/data/{name}") for one in heads) for name in "da")
    if client == "curl":
        assert (others, controls < 100) == (200, True)
    else:
        # The SDK's client asks for each of them, and the SDK asks twice where it is refused so.
        assert (others, controls) == (400, 201)


def test_what_became_a_delete_marker_after_it_was_listed_is_gone(cloud: AwsCloud) -> None:
    cloud.store.put("data", "a")
    cloud.traffic.fail("HEAD /data/a", status=405, code="MethodNotAllowed")
    body = (
        "<ListVersionsResult><Name>data</Name><Prefix>a</Prefix><IsTruncated>false</IsTruncated></ListVersionsResult>"
    )
    cloud.traffic.fail("prefix=a", status=200, body=body.encode())
    assert sweep() == []


@pytest.mark.parametrize("name", ["a b", "a\nb"])
def test_what_is_not_found_under_a_name_that_may_be_written_otherwise_stays(cloud: AwsCloud, name: str) -> None:
    cloud.store.put("data", name)
    cloud.traffic.fail("HEAD", status=404, code="NoSuchKey")
    told = f"<Name>data</Name><Prefix>{quote_plus(name)}</Prefix><EncodingType>url</EncodingType>"
    body = f"<ListVersionsResult>{told}<IsTruncated>false</IsTruncated></ListVersionsResult>"
    cloud.traffic.fail("prefix=a", status=200, body=body.encode())
    assert [one.problem is not None for one in sweep()] == [True]


def test_what_is_deleted_before_it_is_asked_again_is_gone(cloud: AwsCloud) -> None:
    cloud.store.put("data", "a")
    cloud.store.put("data", "b", sse=None, customer_key=b"k" * 32)
    cloud.traffic.fail("HEAD /data/b", status=404, code="NoSuchKey", skip=1)
    body = (
        "<ListVersionsResult><Name>data</Name><Prefix>b</Prefix><IsTruncated>false</IsTruncated></ListVersionsResult>"
    )
    cloud.traffic.fail("prefix=b", status=200, body=body.encode())
    assert [one.name for one in sweep()] == ["a"]


class Counted(Pace):
    """Everything may leave at once, and is counted."""

    def __init__(self) -> None:
        super().__init__(1e9)
        self.waits: list[int] = []

    def wait(self) -> None:
        self.waits.append(1)


def test_whatever_the_sdk_sends_to_a_bucket_waits_for_its_turn(cloud: AwsCloud) -> None:
    cloud.store.put("data", "a")
    for number in range(20):
        cloud.store.put("data", f"b {number:02}", sse=None, customer_key=b"k" * 32)
    cloud.traffic.fail("HEAD /data/a", status=503, bare=True, times=1)
    cloud.traffic.fail("versions", status=500, code="InternalError", times=1)
    cloud.store.add_bucket("other")
    client, pace, others = aws_clients(attempts=3).s3("us-east-1", None), Counted(), Counted()
    bucket, other = (
        S3Bucket(client, f"s3://{name}", (), each, Clock()) for name, each in (("data", pace), ("other", others))
    )
    begin = len(cloud.traffic.requests)
    bucket.facts()
    bucket.uploads_in_progress()
    found = list(bucket.objects())
    assert [one.encryption for one in found[1:]] == [Encryption.CUSTOMER_SUPPLIED] * 20
    sent = cloud.traffic.requests[begin:]
    assert sum(one.verb == "HEAD" and one.target == "/data" for one in sent) > 20, "to find the bucket's Region"
    assert (len(pace.waits), len(others.waits)) == (len(sent), 0)
    other.facts()
    assert (len(pace.waits), len(others.waits)) == (len(sent), 3)


def test_who_answers_in_another_shard_tells_a_customers_key_as_well(cloud: AwsCloud) -> None:
    # As a sweep that is gone on with has them: what lies between is in finished parts.
    for number in range(20):
        cloud.store.put("data", f"a/{number:02}", sse=None, customer_key=b"k" * 32)
        cloud.store.put("data", f"b/{number:02}", sse="aws:kms", key=KEY)
        cloud.store.put("data", f"c/{number:02}", sse=None, customer_key=b"k" * 32)
    found = [one for _, one in a_bucket().shards(Listing.STORED, [Shard(None, "a/99"), Shard("b", "b/99"), Shard("c")])]
    told = [one.encryption for one in objects_of(found)]
    assert sorted(told) == [Encryption.CMEK] * 20 + [Encryption.CUSTOMER_SUPPLIED] * 40


def test_a_name_that_is_refused_is_no_customers_key(cloud: AwsCloud) -> None:
    for name in ("a", "b c"):
        cloud.store.put("data", name)
    cloud.store.put("data", "d e", sse=None, customer_key=b"k" * 32)
    cloud.traffic.fail("HEAD /data/b%20c", status=400, body=b"", headers={"x-amz-request-id": "1"})
    found = by_name(sweep())
    assert (found["b c"].encryption, found["b c"].problem) == (Encryption.UNKNOWN, Reason.UNSUPPORTED)
    assert found["d e"].encryption is Encryption.CUSTOMER_SUPPLIED


SIBLINGS = {
    "throttled": ({"status": 503, "bare": True}, Reason.THROTTLED),
    "denied": ({"status": 403, "bare": True}, Reason.ACCESS_DENIED),
    "no answer": ({"drop": True}, Reason.TIMEOUT),
    "there, of all things": ({"status": 200, "body": b""}, Reason.MALFORMED),
    "refused as well": ({"status": 400, "bare": True}, Reason.UNSUPPORTED),
}


@pytest.mark.parametrize(("fault", "reason"), SIBLINGS.values(), ids=SIBLINGS)
def test_why_an_odd_name_cannot_be_told_from_a_refused_one_is_the_reason(
    cloud: AwsCloud, monkeypatch: pytest.MonkeyPatch, fault: dict[str, Any], reason: Reason
) -> None:
    for client in ("census", "objects"):
        monkeypatch.setattr(f"auditor.connectors.aws.{client}.sibling", lambda name: f"{name}-much-like-it")
    cloud.store.put("data", "a")
    cloud.store.put("data", "d e", sse=None, customer_key=b"k" * 32)
    cloud.traffic.fail("-much-like-it", **fault)
    found = by_name(sweep(clients=aws_clients(attempts=1)))
    assert (found["d e"].encryption, found["d e"].problem) == (Encryption.UNKNOWN, reason)
    assert found["a"].problem is None


def test_a_bare_400_that_somebody_on_the_way_makes_is_no_customers_key(cloud: AwsCloud) -> None:
    for name in ("a", "b", "c"):
        cloud.store.put("data", name, sse="aws:kms", key=KEY)
    cloud.traffic.fail("HEAD /data/b", status=400, body=b"")
    found = by_name(sweep())
    assert (found["b"].encryption, found["b"].problem) == (Encryption.UNKNOWN, Reason.MALFORMED)
    assert found["c"].problem is None


PAGES_OF_OTHERS = {
    "another bucket": "<Name>another</Name>",
    "other names": "<Name>data</Name><Prefix>zzz/</Prefix>",
    "no bucket that it names": "<Prefix></Prefix>",
    "names to be rolled up": "<Name>data</Name><Delimiter>/</Delimiter>",
    "names that were rolled up": "<Name>data</Name><CommonPrefixes><Prefix>a/</Prefix></CommonPrefixes>",
    "names behind another": "<Name>data</Name><StartAfter>z</StartAfter><KeyMarker>z</KeyMarker>",
}


@pytest.mark.parametrize("populations", [(), (Population.LIVE,)], ids=["versions", "live"])
@pytest.mark.parametrize("told", PAGES_OF_OTHERS.values(), ids=PAGES_OF_OTHERS)
def test_a_page_of_something_else_is_none(cloud: AwsCloud, populations: tuple[Population, ...], told: str) -> None:
    cloud.store.put("data", "a")
    root = "ListBucketResult" if populations else "ListVersionsResult"
    body = f"<{root}>{told}<IsTruncated>false</IsTruncated></{root}>".encode()
    cloud.traffic.fail("s3 GET /data", status=200, body=body)
    with pytest.raises(CollectError) as broken:
        sweep(populations=populations)
    assert broken.value.reason is Reason.MALFORMED


@pytest.mark.parametrize("told", ["<Prefix></Prefix>", "<Prefix>a</Prefix><Version><Key>b</Key></Version>"])
def test_what_is_not_found_is_gone_only_by_a_page_about_it(cloud: AwsCloud, told: str) -> None:
    cloud.store.put("data", "a")
    cloud.traffic.fail("HEAD /data/a", status=404, code="NoSuchKey")
    body = f"<ListVersionsResult><Name>data</Name>{told}<IsTruncated>false</IsTruncated></ListVersionsResult>"
    cloud.traffic.fail("prefix=a", status=200, body=body.encode())
    assert [one.problem for one in sweep()] == [Reason.NOT_FOUND]


def test_a_bare_400_without_any_object_that_answers_stays_unresolved(cloud: AwsCloud) -> None:
    cloud.store.put("data", "a", sse=None, customer_key=b"k" * 32)
    assert [(one.encryption, one.problem) for one in sweep()] == [(Encryption.UNKNOWN, Reason.UNSUPPORTED)]


def test_a_bare_400_for_everybody_is_bad_credentials_and_never_a_customers_key(cloud: AwsCloud) -> None:
    for number in range(30):
        cloud.store.put("data", f"a{number:02}")
    # One object answers; from then on every HEAD is refused, as when a session ends in the middle of a sweep.
    cloud.traffic.fail("HEAD", status=400, bare=True, skip=1)
    told = [(one.encryption, one.problem) for one in sweep()]
    assert told.count((Encryption.PROVIDER, None)) == 1
    assert told.count((Encryption.UNKNOWN, Reason.EXPIRED_CREDENTIALS)) == 29


CONTROLS: dict[str, tuple[dict[str, Any], Reason]] = {
    "refused too": ({"status": 400, "bare": True}, Reason.EXPIRED_CREDENTIALS),
    "throttled": ({"status": 503, "code": "SlowDown"}, Reason.THROTTLED),
    "denied": ({"status": 403, "code": "AccessDenied"}, Reason.ACCESS_DENIED),
    "connection dropped": ({"drop": True}, Reason.TIMEOUT),
}


@pytest.mark.parametrize(("fault", "reason"), CONTROLS.values(), ids=CONTROLS)
def test_a_control_that_fails_too_leaves_the_object_unresolved_for_its_reason(
    cloud: AwsCloud, fault: dict[str, Any], reason: Reason
) -> None:
    cloud.store.put("data", "a")
    cloud.store.put("data", "b", sse=None, customer_key=b"k" * 32)
    cloud.traffic.fail("HEAD /data/a", skip=1, **fault)
    told = by_name(sweep())
    assert told["a"].encryption is Encryption.PROVIDER
    assert (told["b"].encryption, told["b"].problem) == (Encryption.UNKNOWN, reason)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ({"status": 503, "code": "SlowDown"}, Reason.THROTTLED),
        ({"status": 403, "code": "AccessDenied"}, Reason.ACCESS_DENIED),
        ({"status": 404, "code": "NoSuchKey"}, Reason.NOT_FOUND),
        ({"drop": True}, Reason.TIMEOUT),
    ],
    ids=["throttled", "denied", "not found although it is listed", "connection dropped"],
)
def test_an_object_whose_head_fails_is_unresolved_and_never_lost(
    cloud: AwsCloud, fault: dict[str, Any], reason: Reason
) -> None:
    for number in range(5):
        cloud.store.put("data", f"a{number}")
    cloud.traffic.fail("HEAD /data/a3", **fault)
    found = by_name(sweep())
    assert len(found) == 5
    assert (found["a3"].encryption, found["a3"].problem) == (Encryption.UNKNOWN, reason)
    assert found["a4"].problem is None


@pytest.mark.parametrize("populations", [(), (Population.LIVE,)], ids=["versions", "live"])
def test_what_is_deleted_between_page_and_head_hangs_on_no_key(
    cloud: AwsCloud, monkeypatch: pytest.MonkeyPatch, populations: tuple[Population, ...]
) -> None:
    for name in ("a0", "a1", "a10", "a2"):
        cloud.store.put("data", name, sse="aws:kms", key=KEY)
    arrived, home = cloud.traffic.arrived, cloud.store.buckets["data"]

    def delete_first(request: Request) -> Fault | None:
        if request.verb == "HEAD" and request.target.partition("?")[0] == "/data/a1":
            home.objects.pop("a1", None)
            home._sorted = None  # noqa: SLF001 - as the store itself does after a change
        return arrived(request)

    monkeypatch.setattr(cloud.traffic, "arrived", delete_first)
    found = sweep(populations=populations)
    assert [(one.name, one.encryption) for one in found] == [(one, Encryption.CMEK) for one in ("a0", "a10", "a2")]


def test_one_of_more_versions_than_a_page_has_is_not_called_gone(
    cloud: AwsCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3, "_PAGE", 100)
    cloud.store.add_bucket("versioned", versioned=True)
    for number in range(105):
        cloud.store.put("versioned", "a", version_id=f"v{number:04}")
    # The oldest: it is listed last, on the second page of the name.
    cloud.traffic.fail("versionId=v0000", status=404, code="NoSuchVersion")
    found = {one.version: one.problem for one in sweep(url="s3://versioned")}
    assert (len(found), found["v0000"], found["v0001"]) == (105, Reason.NOT_FOUND, None)


def test_a_storm_that_does_not_end_ends_the_sweep(cloud: AwsCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    # The SDK's own client asks for every object to the end.
    monkeypatch.setattr("tests.connectors.test_aws_objects.BY_SDK", False)
    for number in range(100):
        cloud.store.put("data", f"a{number:02}")
    cloud.traffic.fail("HEAD", status=503)
    with pytest.raises(CollectError) as broken:
        sweep(clients=aws_clients(attempts=1))
    assert broken.value.reason is Reason.THROTTLED
    assert sum(one.verb == "HEAD" for one in cloud.traffic.requests) < 100


def test_a_prefix_that_stays_refused_ends_no_sweep_of_the_others(
    cloud: AwsCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.connectors.test_aws_objects.BY_SDK", False)
    for number in range(60):
        cloud.store.put("data", f"good/{number:02}")
        cloud.store.put("data", f"slow/{number:02}")
    cloud.traffic.fail("HEAD /data/slow/", status=503)
    found = {one.name: one.problem for one in sweep(clients=aws_clients(attempts=1))}
    assert len(found) == 120
    assert {found[name] for name in found if name.startswith("good/")} == {None}
    assert {found[name] for name in found if name.startswith("slow/")} == {Reason.THROTTLED}


def test_half_of_the_credentials_is_one_error_and_one_hint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY", raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
    with pytest.raises(UsageError, match="half of the AWS credentials") as refused:
        aws_clients().s3("us-east-1", None)
    assert refused.value.hint


def test_a_short_storm_of_503_is_survived(cloud: AwsCloud) -> None:
    for number in range(20):
        cloud.store.put("data", f"a{number:02}")
    cloud.traffic.fail("s3", status=503, times=3)
    assert {one.problem for one in sweep(clients=aws_clients(attempts=5))} == {None}


_VERSIONS, _NAMED = "ListVersionsResult", "<Name>data</Name>"
BROKEN: dict[str, tuple[dict[str, Any], Reason]] = {
    "denied": ({"status": 403, "code": "AccessDenied"}, Reason.ACCESS_DENIED),
    "no such bucket": ({"status": 404, "code": "NoSuchBucket"}, Reason.NOT_FOUND),
    "expired token": ({"status": 400, "code": "ExpiredToken"}, Reason.EXPIRED_CREDENTIALS),
    "no XML": ({"status": 200, "body": b"this is no XML"}, Reason.MALFORMED),
    "nothing said of more": ({"status": 200, "body": b"<ListVersionsResult></ListVersionsResult>"}, Reason.MALFORMED),
    "more without a place": (
        {"status": 200, "body": f"<{_VERSIONS}>{_NAMED}<IsTruncated>true</IsTruncated></{_VERSIONS}>".encode()},
        Reason.MALFORMED,
    ),
}


@pytest.mark.parametrize("populations", [(), (Population.LIVE,)], ids=["versions", "live"])
def test_a_listing_that_goes_round_in_a_circle_ends(cloud: AwsCloud, populations: tuple[Population, ...]) -> None:
    root = "ListBucketResult" if populations else "ListVersionsResult"
    for one in "xyxyx":
        place = f"<NextContinuationToken>{one}</NextContinuationToken><NextKeyMarker>{one}</NextKeyMarker>"
        body = f"<{root}><Name>data</Name><IsTruncated>true</IsTruncated>{place}</{root}>".encode()
        cloud.traffic.fail("s3 GET /data", status=200, body=body, times=1)
    with pytest.raises(CollectError) as broken:
        sweep(populations=populations)
    assert broken.value.reason is Reason.MALFORMED


ENTRY = "<Key>a</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified><Size>1</Size>"


ALL: tuple[Population, ...] = ()
LACKED = [(ALL, one) for one in ("Key", "Size", "LastModified", "IsLatest")]
LACKED += [((Population.LIVE,), one) for one in ("Key", "Size", "LastModified")]


@pytest.mark.parametrize(("populations", "lacking"), LACKED)
def test_an_entry_that_leaves_out_what_every_object_has_is_none(
    cloud: AwsCloud, populations: tuple[Population, ...], lacking: str
) -> None:
    root, row = ("ListBucketResult", "Contents") if populations else ("ListVersionsResult", "Version")
    said = "<Name>data</Name><Prefix></Prefix><IsTruncated>false</IsTruncated>"
    entry = re.sub(f"<{lacking}>.*?</{lacking}>", "", f"{ENTRY}<IsLatest>true</IsLatest>")
    cloud.traffic.fail("s3 GET /data", status=200, body=f"<{root}>{said}<{row}>{entry}</{row}></{root}>".encode())
    with pytest.raises(CollectError) as broken:
        sweep(populations=populations)
    assert (broken.value.reason, "s3://data" in str(broken.value)) == (Reason.MALFORMED, True)


ALWAYS_MORE = {
    "live, empty": ((Population.LIVE,), ""),
    "live, the same": ((Population.LIVE,), f"<Contents>{ENTRY}</Contents>"),
    "versions, empty": ((), ""),
    "versions, the same": ((), f"<Version>{ENTRY}<IsLatest>true</IsLatest><VersionId>1</VersionId></Version>"),
    "versions, the same marker": (
        (),
        f"<DeleteMarker>{ENTRY}<IsLatest>true</IsLatest><VersionId>1</VersionId></DeleteMarker>",
    ),
}


@pytest.mark.parametrize(("populations", "entry"), ALWAYS_MORE.values(), ids=ALWAYS_MORE)
def test_a_listing_that_tells_nothing_new_ends_whatever_places_it_names(
    cloud: AwsCloud, monkeypatch: pytest.MonkeyPatch, populations: tuple[Population, ...], entry: str
) -> None:
    monkeypatch.setattr("auditor.connectors.trail._EMPTY_PAGES", 10)
    root, said = ("ListBucketResult" if populations else "ListVersionsResult"), "<Name>data</Name><Prefix></Prefix>"
    for number in range(30):
        place = f"<NextContinuationToken>t{number}</NextContinuationToken>"
        name = "a" if entry else f"a{number:02}"
        place += f"<NextKeyMarker>{name}</NextKeyMarker><NextVersionIdMarker>v{number}</NextVersionIdMarker>"
        body = f"<{root}>{said}<IsTruncated>true</IsTruncated>{place}{entry}</{root}>".encode()
        cloud.traffic.fail("s3 GET /data?" if populations else "versions", status=200, body=body, times=1)
    cloud.traffic.fail("s3 GET /data", status=403, code="AccessDenied")
    with pytest.raises(CollectError) as broken:
        sweep(populations=populations)
    assert broken.value.reason is Reason.MALFORMED


@pytest.mark.parametrize("populations", [(), (Population.LIVE,)], ids=["versions", "live"])
def test_pages_without_an_entry_are_waited_through(cloud: AwsCloud, populations: tuple[Population, ...]) -> None:
    cloud.store.put("data", "b")
    root = "ListBucketResult" if populations else "ListVersionsResult"
    for number in range(50):
        place = f"<NextContinuationToken>t{number}</NextContinuationToken><NextKeyMarker>a{number:02}</NextKeyMarker>"
        place += f"<NextVersionIdMarker>v{number}</NextVersionIdMarker>"
        body = f"<{root}><Name>data</Name><Prefix></Prefix><IsTruncated>true</IsTruncated>{place}</{root}>".encode()
        cloud.traffic.fail("s3 GET /data", status=200, body=body, times=1)
    last = "t49" if populations else "a49"
    listed = "<Name>data</Name><Prefix></Prefix><IsTruncated>false</IsTruncated>"
    row = "Contents" if populations else "Version"
    entry = f"<{row}>{ENTRY}<IsLatest>true</IsLatest></{row}>".replace(">a<", ">b<")
    cloud.traffic.fail(last, status=200, body=f"<{root}>{listed}{entry}</{root}>".encode(), times=1)
    assert [one.name for one in sweep(populations=populations)] == ["b"]


@pytest.mark.parametrize("second", ["", "<Version><Key>a</Key>{}</Version>"], ids=["nothing", "names from before"])
def test_a_later_page_does_not_begin_at_the_start(cloud: AwsCloud, second: str) -> None:
    entry = "<LastModified>2026-01-01T00:00:00.000Z</LastModified><Size>1</Size><IsLatest>true</IsLatest>"
    marker = "<KeyMarker/>" if not second else ""
    for told in (
        f"<IsTruncated>true</IsTruncated><NextKeyMarker>m</NextKeyMarker><Version><Key>m</Key>{entry}</Version>",
        f"<IsTruncated>false</IsTruncated>{marker}{second.format(entry)}",
    ):
        body = f"<{_VERSIONS}>{_NAMED}{told}</{_VERSIONS}>"
        cloud.traffic.fail("s3 GET /data", status=200, body=body.encode(), times=1)
    cloud.traffic.fail("s3 GET /data", status=500)
    with pytest.raises(CollectError):
        sweep(clients=aws_clients(attempts=1))


@pytest.mark.parametrize("error", [ClientError({"Error": {"Code": "AccessDenied"}}, "AssumeRole"), NoRegionError()])
def test_credentials_that_cannot_be_renewed_half_way_are_a_gap_with_their_reason(
    cloud: AwsCloud, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    for number in range(20):
        cloud.store.put("data", f"{number:02}")
    real, asked = Credentials.get_frozen_credentials, iter(range(1_000))

    def get(self: Credentials) -> Any:
        if next(asked) > 5:
            raise error
        return real(self)

    monkeypatch.setattr("auditor.connectors.aws.signing._LOOK_AGAIN", 0.0)
    monkeypatch.setattr(Credentials, "get_frozen_credentials", get)
    try:
        reasons = {one.problem for one in sweep()} - {None}
    except CollectError as broken:
        reasons = {broken.reason}
    assert reasons == {reason_of(error)}


def test_uploads_that_go_round_in_a_circle_are_a_gap(cloud: AwsCloud) -> None:
    encoded = "<EncodingType>url</EncodingType>"
    twice = "<NextKeyMarker>a</NextKeyMarker>" * 2
    circle = "<NextKeyMarker>a</NextKeyMarker><NextUploadIdMarker>1</NextUploadIdMarker>"
    for place in (circle, "", twice, encoded + twice, f"{encoded}<NextKeyMarker>%ff</NextKeyMarker>"):
        body = f"<ListMultipartUploadsResult><IsTruncated>true</IsTruncated>{place}</ListMultipartUploadsResult>"
        cloud.traffic.heal()
        cloud.traffic.fail("uploads", status=200, body=body.encode())
        gap = a_bucket().uploads_in_progress()
        assert isinstance(gap, Gap), place
        assert gap.reason is Reason.MALFORMED


NOT_MINE = {
    "another bucket": "<Bucket>other</Bucket>",
    "a page that begins elsewhere": "<KeyMarker>m</KeyMarker>",
    "some names alone": "<Prefix>a</Prefix>",
    "names that stand for many": "<CommonPrefixes><Prefix>a/</Prefix></CommonPrefixes>",
}


@pytest.mark.parametrize("what", NOT_MINE.values(), ids=NOT_MINE)
def test_uploads_of_others_are_not_counted(cloud: AwsCloud, what: str) -> None:
    def told(inner: str) -> int | Gap:
        body = f"<ListMultipartUploadsResult>{inner}<IsTruncated>false</IsTruncated></ListMultipartUploadsResult>"
        cloud.traffic.heal()
        cloud.traffic.fail("uploads", status=200, body=body.encode())
        return a_bucket().uploads_in_progress()

    assert told("<Bucket>data</Bucket><KeyMarker/><Prefix/>") == 0
    gap = told(what)
    assert isinstance(gap, Gap)
    assert gap.reason is Reason.MALFORMED


def test_a_page_of_uploads_that_comes_again_and_again_is_a_gap(cloud: AwsCloud) -> None:
    for number in range(20):
        told = f"<NextKeyMarker>b</NextKeyMarker><NextUploadIdMarker>{number}</NextUploadIdMarker>"
        one = "<Upload><Key>a</Key><UploadId>1</UploadId></Upload>"
        body = f"<ListMultipartUploadsResult><IsTruncated>true</IsTruncated>{told}{one}</ListMultipartUploadsResult>"
        cloud.traffic.fail("uploads", status=200, body=body.encode(), times=1)
    gap = a_bucket().uploads_in_progress()
    assert isinstance(gap, Gap)
    assert gap.reason is Reason.MALFORMED


def test_uploads_of_names_that_xml_cannot_hold_are_counted(cloud: AwsCloud) -> None:
    cloud.store.buckets["data"].uploads = [("a\x01b", "1"), ("a b+c%", "2")]
    assert a_bucket().uploads_in_progress() == 2


ODD_ENTRIES: dict[str, tuple[str, str]] = {
    "which version it is": ("<VersionId>v00000001</VersionId>", ""),
    "whether it is the newest": ("<IsLatest>true</IsLatest>", "<IsLatest/>"),
    "in a word whether it is": ("<IsLatest>true</IsLatest>", "<IsLatest>1</IsLatest>"),
    "its name": ("<Key>b</Key>", "<Key/>"),
    "its name once": ("<Key>b</Key>", "<Key>b</Key><Key>b</Key>"),
    "its class once": ("</StorageClass>", "</StorageClass><StorageClass>STANDARD</StorageClass>"),
    "its class in a text": ("STANDARD</StorageClass>", "<a>STANDARD</a></StorageClass>"),
}


@pytest.mark.parametrize(("what", "instead"), ODD_ENTRIES.values(), ids=ODD_ENTRIES)
def test_a_version_that_does_not_say_what_every_version_says_makes_no_page(
    cloud: AwsCloud, monkeypatch: pytest.MonkeyPatch, what: str, instead: str
) -> None:
    """Else a version would be told under the key of another one."""
    cloud.store.buckets["data"].versioned = True
    for name, key in (("a", KEY), ("a", None), ("b", None)):
        cloud.store.put("data", name, sse="aws:kms" if key else "AES256", key=key)
    rendered = s3._xml  # noqa: SLF001 - where the embedded store writes its pages
    monkeypatch.setattr(s3, "_xml", lambda tag, inner: rendered(tag, inner.replace(what, instead)))
    with pytest.raises(CollectError) as broken:
        sweep()
    assert broken.value.reason is Reason.MALFORMED


@pytest.mark.parametrize("places", [["b", "a"], [f"{number:02}" for number in range(20)]])
def test_uploads_that_go_back_or_never_come_are_a_gap(
    cloud: AwsCloud, monkeypatch: pytest.MonkeyPatch, places: list[str]
) -> None:
    monkeypatch.setattr("auditor.connectors.trail._EMPTY_PAGES", 9)
    for number, place in enumerate(places):
        told = f"<NextKeyMarker>{place}</NextKeyMarker><NextUploadIdMarker>{number}</NextUploadIdMarker>"
        body = f"<ListMultipartUploadsResult><IsTruncated>true</IsTruncated>{told}</ListMultipartUploadsResult>"
        cloud.traffic.fail("uploads", status=200, body=body.encode(), times=1)
    gap = a_bucket().uploads_in_progress()
    assert isinstance(gap, Gap)
    assert gap.reason is Reason.MALFORMED


@pytest.mark.parametrize(("fault", "reason"), BROKEN.values(), ids=BROKEN)
def test_a_listing_that_cannot_be_finished_is_an_error_with_a_hint(
    cloud: AwsCloud, fault: dict[str, Any], reason: Reason
) -> None:
    cloud.store.put("data", "a")
    cloud.traffic.fail("versions", **fault)
    with pytest.raises(CollectError) as broken:
        sweep()
    assert broken.value.reason is reason
    assert broken.value.hint
    assert "s3://data" in str(broken.value)


def test_reads_what_the_bucket_says_of_itself(cloud: AwsCloud) -> None:
    cloud.store.add_bucket("west", "eu-west-1", versioned=True, default_key=KEY)
    cloud.store.buckets["west"].uploads = [("a", "1"), ("b", "2")]
    bucket = a_bucket(url="s3://west", region="eu-west-1")
    assert bucket.facts() == BucketFacts(
        "s3://west",
        Cloud.AWS,
        "eu-west-1",
        versioned=True,
        default_key=KEY,
        new_objects=NewObjects(Encryption.CMEK, KEY),
    )
    assert bucket.uploads_in_progress() == 2


KEY_ID = KEY.rpartition("/")[2]
ALIAS = "arn:aws:kms:us-east-1:111122223333:alias/main"
DEFAULTS: dict[str, tuple[dict[str, Any], NewObjects]] = {
    "of S3 itself": ({}, NewObjects(Encryption.PROVIDER)),
    "of S3 itself, and no key of the writer's": (
        {"blocked": ("SSE-C",)},
        NewObjects(Encryption.PROVIDER, refused=(Encryption.CUSTOMER_SUPPLIED,)),
    ),
    "nothing blocked": ({"blocked": ("NONE",)}, NewObjects(Encryption.PROVIDER)),
    "a key of Amazon's": ({"default_sse": "aws:kms"}, NewObjects(Encryption.PROVIDER_KMS)),
    "a key of Amazon's by its alias": ({"default_key": "alias/aws/s3"}, NewObjects(Encryption.PROVIDER_KMS)),
    "a key of Amazon's by its alias' name": (
        {"default_key": "arn:aws:kms:us-east-1:111122223333:alias/aws/s3"},
        NewObjects(Encryption.PROVIDER_KMS),
    ),
    "a key, twice over": (
        {"default_key": KEY, "default_sse": "aws:kms:dsse"},
        NewObjects(Encryption.CMEK, KEY),
    ),
    "a key by its id": ({"default_key": KEY_ID}, NewObjects(Encryption.CMEK, KEY_ID)),
    "an alias": ({"default_key": ALIAS}, NewObjects(Encryption.CMEK, ALIAS)),
    "a kind of tomorrow": ({"default_sse": "aws:tomorrow"}, NewObjects(Encryption.UNKNOWN)),
}


@pytest.mark.parametrize(("settings", "expected"), DEFAULTS.values(), ids=DEFAULTS)
def test_reads_what_the_bucket_makes_of_new_objects(
    cloud: AwsCloud, settings: dict[str, Any], expected: NewObjects
) -> None:
    cloud.store.add_bucket("other", **settings)
    facts = a_bucket(url="s3://other").facts()
    assert isinstance(facts, BucketFacts)
    assert facts.new_objects == expected
    assert facts.default_key == (KEY if expected.named == KEY else None)


def test_where_no_default_was_ever_set_s3_encrypts_by_itself(cloud: AwsCloud) -> None:
    code = "ServerSideEncryptionConfigurationNotFoundError"
    cloud.traffic.fail("?encryption", status=404, code=code)
    facts = a_bucket().facts()
    assert isinstance(facts, BucketFacts)
    assert facts.new_objects == NewObjects(Encryption.PROVIDER)


def test_a_default_that_says_nothing_of_encryption_is_not_known(cloud: AwsCloud) -> None:
    rule = "<Rule><BucketKeyEnabled>true</BucketKeyEnabled></Rule>"
    space = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'
    body = f"<ServerSideEncryptionConfiguration {space}>{rule}</ServerSideEncryptionConfiguration>"
    cloud.traffic.fail("?encryption", status=200, body=body.encode())
    facts = a_bucket().facts()
    assert isinstance(facts, BucketFacts)
    assert facts.new_objects == NewObjects(Encryption.UNKNOWN)


def test_settings_that_are_denied_are_a_gap_and_the_listing_goes_on(cloud: AwsCloud) -> None:
    cloud.store.put("data", "a")
    cloud.store.denied |= {("GetBucketVersioning", "data"), ("ListMultipartUploads", "data")}
    bucket = a_bucket()
    for gap in (bucket.facts(), bucket.uploads_in_progress()):
        assert isinstance(gap, Gap)
        assert gap.reason is Reason.ACCESS_DENIED
    assert len(objects_of(everything(bucket))) == 1


def three_versions_and_as_many_delete_markers(cloud: AwsCloud) -> list[tuple[str, str | None]]:
    """Of each of two names; what a sweep is to find of them."""
    cloud.store.buckets["data"].versioned = True
    for name in ("a", "b"):
        for _ in range(3):
            cloud.store.put("data", name, sse="aws:kms", key=KEY)
            cloud.store.delete("data", name, None)
    home = cloud.store.buckets["data"].objects
    return sorted((one.name, one.version_id) for all_of in home.values() for one in all_of if not one.delete_marker)


PLACES: dict[str, tuple[str, str]] = {
    "no version": (r"<NextVersionIdMarker>\w+", "<NextVersionIdMarker>"),
    "no element for the version": (r"<NextVersionIdMarker>\w+</NextVersionIdMarker>", ""),
    "what comes next instead": (r"<NextKeyMarker>.*</NextVersionIdMarker>", "<NextKeyMarker>c</NextKeyMarker>{}"),
}


@pytest.mark.parametrize("size", [1, 2, 3, 4])
@pytest.mark.parametrize(("what", "instead"), PLACES.values(), ids=PLACES)
def test_no_version_is_skipped_whatever_a_page_names_as_the_next_place(
    cloud: AwsCloud, monkeypatch: pytest.MonkeyPatch, size: int, what: str, instead: str
) -> None:
    monkeypatch.setattr(s3, "_PAGE", size)
    stored = three_versions_and_as_many_delete_markers(cloud)
    rendered = s3._xml  # noqa: SLF001 - where the embedded store writes its pages
    odd = instead.format("<NextVersionIdMarker>v0</NextVersionIdMarker>")
    monkeypatch.setattr(s3, "_xml", lambda tag, inner: rendered(tag, re.sub(what, odd, inner)))
    assert sorted({(one.name, one.version) for one in sweep()}) == stored


MARKERS = r"<DeleteMarker>.*?</DeleteMarker>"


NEXT_VERSION = r"<NextVersionIdMarker>\w+</NextVersionIdMarker>"


def test_versions_behind_a_page_without_an_entry_are_not_skipped(
    cloud: AwsCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3, "_PAGE", 1)
    stored = three_versions_and_as_many_delete_markers(cloud)
    rendered = s3._xml  # noqa: SLF001 - where the embedded store writes its pages
    monkeypatch.setattr(s3, "_xml", lambda tag, inner: rendered(tag, re.sub(MARKERS, "", inner)))
    assert sorted((one.name, one.version) for one in sweep()) == stored
    monkeypatch.setattr(s3, "_xml", lambda tag, inner: rendered(tag, re.sub(f"{MARKERS}|{NEXT_VERSION}", "", inner)))
    with pytest.raises(CollectError) as broken:
        sweep()
    assert broken.value.reason is Reason.MALFORMED


ODD: dict[str, tuple[str, str]] = {
    "a time without a zone": ("LastModified", "2026-01-01T00:00:00"),
    "seconds for a time": ("LastModified", "1767225600"),
    "half a time": ("LastModified", "12:00"),
    "a name that is no text": ("Key", "%ff"),
}


@pytest.mark.parametrize(("element", "text"), ODD.values(), ids=ODD)
@pytest.mark.parametrize("populations", [(), (Population.LIVE,)], ids=["versions", "live"])
def test_what_no_object_can_say_of_itself_is_read_by_neither_client(
    cloud: AwsCloud, monkeypatch: pytest.MonkeyPatch, element: str, text: str, populations: tuple[Population, ...]
) -> None:
    cloud.store.put("data", "a", sse="aws:kms", key=KEY)
    rendered = s3._xml  # noqa: SLF001 - where the embedded store writes its pages
    told = f"<{element}>{text}</{element}>"
    odd = re.compile(f"<{element}>.*?</{element}>")
    monkeypatch.setattr(s3, "_xml", lambda tag, inner: rendered(tag, odd.sub(told, inner)))
    with pytest.raises((CollectError, pa.ArrowInvalid)):
        sweep(populations=populations)


def test_a_version_without_an_id_has_none_for_either_client(cloud: AwsCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    cloud.store.put("data", "a", sse="aws:kms", key=KEY)
    rendered = s3._xml  # noqa: SLF001 - where the embedded store writes its pages
    odd = re.compile("<VersionId>.*?</VersionId>")
    monkeypatch.setattr(s3, "_xml", lambda tag, inner: rendered(tag, odd.sub("<VersionId></VersionId>", inner)))
    assert [(one.name, one.version) for one in sweep()] == [("a", None)]


BEGAN: Final = re.compile(r"<(KeyMarker)>(.*?)</")
BOTH: Final = re.compile(r"<(KeyMarker|NextKeyMarker)>(.*?)</")


def with_places_as_they_are(monkeypatch: pytest.MonkeyPatch, places: re.Pattern[str], *, ever: bool = False) -> None:
    """List as Ceph does: names are encoded, and not where a page begins or goes on; no delete marker is listed."""
    rendered = s3._xml  # noqa: SLF001 - where the embedded store writes its pages

    def as_it_is(tag: str, inner: str) -> Any:
        inner = re.sub(MARKERS, "", inner, flags=re.DOTALL)
        if "<EncodingType>" in inner:
            inner = places.sub(lambda told: f"<{told[1]}>{escape(unquote_plus(told[2]))}</", inner)
        elif ever and tag == "ListVersionsResult":
            inner += "<EncodingType>url</EncodingType>"
        return rendered(tag, inner)

    monkeypatch.setattr(s3, "_xml", as_it_is)


@pytest.mark.parametrize("places", [BOTH, BEGAN, re.compile("^$()()")], ids=["neither", "the next", "both"])
@pytest.mark.parametrize(
    "names", [("a%2B1", "a%2B2", "a+3", "a+4", "a/5"), ("a%C3%A9", "a%C3%AA", "a&<+", "a\xe8", "b")]
)
@pytest.mark.parametrize("deleted", [(0,), (1,), (2,), (0, 1), (1, 2, 3)])
def test_a_page_without_an_entry_hides_no_version_whatever_is_encoded_of_its_places(
    cloud: AwsCloud,
    monkeypatch: pytest.MonkeyPatch,
    places: re.Pattern[str],
    names: tuple[str, ...],
    deleted: tuple[int, ...],
) -> None:
    monkeypatch.setattr(s3, "_PAGE", 1)
    cloud.store.buckets["data"].versioned = True
    for name in names:
        cloud.store.put("data", name, sse="aws:kms", key=KEY)
    for one in deleted:
        cloud.store.delete("data", names[one], None)
    with_places_as_they_are(monkeypatch, places)
    # Some of these, read as if they were encoded, stand behind others.
    assert [one.name for one in sweep()] == list(names)


def test_a_place_of_which_nothing_tells_whether_it_is_encoded_ends_the_listing(
    cloud: AwsCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3, "_PAGE", 1)
    cloud.store.buckets["data"].versioned = True
    for name in ("a%2B1", "a%2B2", "a%2B3"):
        cloud.store.put("data", name, sse="aws:kms", key=KEY)
    cloud.store.delete("data", "a%2B1", None)
    with_places_as_they_are(monkeypatch, BOTH, ever=True)
    with pytest.raises(CollectError) as broken:
        sweep()
    assert broken.value.reason is Reason.MALFORMED, "asked not to encode, it says that it does"


def test_what_is_stored_between_a_page_without_an_entry_and_the_same_not_encoded_is_listed(
    cloud: AwsCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3, "_PAGE", 1)
    cloud.store.buckets["data"].versioned = True
    for name in ("a%2B1", "a%2B2"):
        cloud.store.put("data", name, sse="aws:kms", key=KEY)
    place = "<NextKeyMarker>a%2B1</NextKeyMarker><NextVersionIdMarker>v</NextVersionIdMarker>"
    told = f"<Name>data</Name><EncodingType>url</EncodingType><IsTruncated>true</IsTruncated>{place}"
    body = f"<ListVersionsResult>{told}</ListVersionsResult>"
    cloud.traffic.fail("s3 GET /data", status=200, body=body.encode(), times=1)
    assert [one.name for one in sweep()] == ["a%2B1", "a%2B2"]


@pytest.mark.parametrize("inside", ["", an_entry("a\nb", "1"), an_entry("a\nb", "1", "DeleteMarker")])
def test_a_name_with_a_line_break_that_is_not_encoded_may_be_another(cloud: AwsCloud, inside: str) -> None:
    for name, encoding in (("a%0Ab", "<EncodingType>url</EncodingType>"), ("a\nb", "")):
        place = f"<NextKeyMarker>{name}</NextKeyMarker><NextVersionIdMarker>1</NextVersionIdMarker>"
        told = f"<Name>data</Name>{encoding}<IsTruncated>true</IsTruncated>{place}{inside if not encoding else ''}"
        body = f"<ListVersionsResult>{told}</ListVersionsResult>"
        cloud.traffic.fail("s3 GET /data", status=200, body=body.encode(), times=1)
    with pytest.raises(CollectError) as broken:
        sweep()
    assert broken.value.reason is Reason.MALFORMED, "XML makes a line break of a carriage return"


@pytest.mark.usefixtures("cloud")
@pytest.mark.parametrize("encoded", [True, False])
def test_uploads_are_counted_whether_or_not_the_place_where_they_go_on_is_encoded(
    monkeypatch: pytest.MonkeyPatch, *, encoded: bool
) -> None:
    names = ["a%2B1", "a%2B2", "a%2B3", "a+1", "a+2"]

    def page(home: Any, asked: Mapping[str, str]) -> Any:
        left = [one for one in names if one > asked.get("key-marker", "")]
        place = quote_plus(left[0]) if encoded else left[0]
        more = f"<NextKeyMarker>{place}</NextKeyMarker>" if left[1:] else ""
        one = f"<Upload><Key>{quote_plus(left[0])}</Key><UploadId>1</UploadId></Upload>"
        told = f"<EncodingType>url</EncodingType><IsTruncated>{str(bool(more)).lower()}</IsTruncated>"
        return s3._xml("ListMultipartUploadsResult", f"<Bucket>{home.name}</Bucket>{told}{more}{one}")  # noqa: SLF001 - as above

    monkeypatch.setattr(s3, "_uploads", page)
    assert a_bucket().uploads_in_progress() == len(names)


def test_uploads_behind_a_place_that_may_be_encoded_or_not_are_a_gap(cloud: AwsCloud) -> None:
    place = "<EncodingType>url</EncodingType><NextKeyMarker>a%2B1</NextKeyMarker>"
    body = f"<ListMultipartUploadsResult><IsTruncated>true</IsTruncated>{place}</ListMultipartUploadsResult>"
    cloud.traffic.fail("uploads", status=200, body=body.encode(), times=1)
    gap = a_bucket().uploads_in_progress()
    assert isinstance(gap, Gap)
    assert gap.reason is Reason.MALFORMED


@pytest.mark.parametrize("place", [MARKERS, f"{MARKERS}|{NEXT_VERSION}"], ids=["a version", "no version"])
@pytest.mark.parametrize("size", [1, 2, 3, 4, 5])
def test_pages_that_list_all_versions_before_their_delete_markers_are_gone_on_with_where_they_end(
    cloud: AwsCloud, monkeypatch: pytest.MonkeyPatch, size: int, place: str
) -> None:
    monkeypatch.setattr(s3, "_PAGE", size)
    stored = three_versions_and_as_many_delete_markers(cloud)
    cloud.store.put("data", "c", sse="aws:kms", key=KEY)
    rendered = s3._xml  # noqa: SLF001 - where the embedded store writes its pages

    def grouped(tag: str, inner: str) -> Any:
        markers = "".join(re.findall(MARKERS, inner))
        return rendered(tag, re.sub(place, "", inner) + markers)

    monkeypatch.setattr(s3, "_xml", grouped)
    found = [(one.name, one.version) for one in sweep()]
    assert sorted(set(found))[:-1] == stored
    assert len({name for name, _ in found}) == 3
    assert [name for name, _ in found] == sorted(name for name, _ in found), "and nothing of it is listed out of order"


BY_DEFAULT = "ApplyServerSideEncryptionByDefault"
TWICE: dict[str, tuple[str, str]] = {
    "?versioning": ("VersioningConfiguration", "<Status>Enabled</Status>" * 2),
    "?encryption": (
        "ServerSideEncryptionConfiguration",
        f"<Rule><{BY_DEFAULT}>{'<SSEAlgorithm>aws:kms</SSEAlgorithm>' * 2}</{BY_DEFAULT}></Rule>",
    ),
}


@pytest.mark.parametrize("which", TWICE)
def test_settings_that_say_something_twice_are_a_gap_and_no_defect(cloud: AwsCloud, which: str) -> None:
    root, told = TWICE[which]
    cloud.traffic.fail(which, status=200, body=f"<{root}>{told}</{root}>".encode())
    gap = a_bucket().facts()
    assert isinstance(gap, Gap)
    assert gap.reason is Reason.MALFORMED


@pytest.mark.parametrize("populations", [(), (Population.LIVE,)])
@pytest.mark.parametrize("what", ["<IsTruncated>true</IsTruncated>", "<EncodingType>url</EncodingType>"])
def test_a_page_that_says_something_twice_is_not_taken_for_the_last_one(
    cloud: AwsCloud, monkeypatch: pytest.MonkeyPatch, populations: tuple[Population, ...], what: str
) -> None:
    monkeypatch.setattr(s3, "_PAGE", 2)
    for number in range(4):
        cloud.store.put("data", f"a/{number}", sse="aws:kms", key=KEY)
    assert len(sweep(populations=populations)) == 4
    rendered = s3._xml  # noqa: SLF001 - where the embedded store writes its pages
    monkeypatch.setattr(s3, "_xml", lambda tag, inner: rendered(tag, inner.replace(what, what * 2)))
    with pytest.raises(CollectError) as broken:
        sweep(populations=populations)
    assert broken.value.reason is Reason.MALFORMED


def test_a_bucket_in_another_region_is_followed(cloud: AwsCloud) -> None:
    cloud.store.add_bucket("west", "eu-west-1")
    cloud.store.put("west", "a")
    assert [one.name for one in sweep(url="s3://west")] == ["a"]


def test_another_account_is_read_by_its_role(cloud: AwsCloud) -> None:
    clients = aws_clients(a444455556666=AwsIdentity("arn:aws:iam::444455556666:role/auditor", "external"))
    cloud.store.put("data", "a")
    assert len(sweep(clients=clients, account="444455556666")) == 1
    assert clients.caller("444455556666") == (
        "444455556666",
        "arn:aws:sts::444455556666:assumed-role/auditor/session",
    )
    assumed = next(one for one in cloud.traffic.requests if one.verb == "AssumeRole")
    assert "ExternalId=external" in assumed.body


@pytest.mark.parametrize("ends", ["2001-01-01T00:00:00Z", "2100-01-01T00:00:00", "soon"])
def test_a_role_whose_credentials_have_run_out_when_they_come_is_nobody(cloud: AwsCloud, ends: str) -> None:
    credentials = (
        "<Credentials><AccessKeyId>a</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken>"
        f"<Expiration>{ends}</Expiration></Credentials>"
    )
    told = f"<AssumeRoleResponse><AssumeRoleResult>{credentials}</AssumeRoleResult></AssumeRoleResponse>"
    cloud.traffic.fail("sts AssumeRole", status=200, body=told.encode())
    clients = aws_clients(a444455556666=AwsIdentity("arn:aws:iam::444455556666:role/auditor"))
    assert clients.caller("444455556666") in {Reason.EXPIRED_CREDENTIALS, Reason.MALFORMED}
    with pytest.raises(CollectError) as broken:
        sweep(clients=clients, account="444455556666")
    assert broken.value.reason in {Reason.EXPIRED_CREDENTIALS, Reason.MALFORMED}


def test_lists_the_buckets_of_the_account_or_says_why_not(cloud: AwsCloud) -> None:
    cloud.store.add_bucket("other")
    assert AwsBuckets(aws_clients(), [None]).buckets() == frozenset({"s3://data", "s3://other"})
    cloud.store.denied.add(("ListBuckets", ""))
    told = AwsBuckets(aws_clients(), [None]).buckets()
    assert isinstance(told, Gap)
    assert told.reason is Reason.ACCESS_DENIED


def test_every_answer_is_counted_and_nothing_that_changes_is_sent(cloud: AwsCloud) -> None:
    wire = Wire(Clock())
    cloud.store.put("data", "a")
    clients = aws_clients(wire)
    sweep(clients=clients)
    assert wire.counts()["s3", "HeadObject", "ok"] == 1
    before = len(cloud.traffic.requests)
    with pytest.raises(ReadOnlyError):
        clients.s3("us-east-1", None).delete_object(Bucket="data", Key="a")
    with pytest.raises(ReadOnlyError):
        clients.kms("us-east-1", None).disable_key(KeyId=KEY)
    assert len(cloud.traffic.requests) == before


BY_VERSION = {name: one for name, one in LACKING.items() if "whatever its version" not in name}
"""The SDK lists versions wherever an object has one."""


@pytest.mark.parametrize(("page", "version", "lacking"), BY_VERSION.values(), ids=BY_VERSION)
def test_by_the_sdk_a_name_is_gone_where_it_is_by_the_page(page: Page, version: str | None, lacking: bool) -> None:  # noqa: FBT001 - a case
    def listed(name: str, its: str | None) -> objects.Listed:
        return objects.Listed(name, its, True, 1, Clock()(), None, "STANDARD")

    shown = [listed(name, its) for name, its in zip(page.names, page.versions, strict=True)]
    about = objects._About(shown, page.following is not None)  # noqa: SLF001 - what a page by the SDK comes down to
    assert objects._is_gone(about, listed("a", version)) is lacking  # noqa: SLF001 - what it decides shows nowhere else
    assert not objects._is_gone(objects._About([], truncated=False), listed("a b", version))  # noqa: SLF001 - as above
