"""Reports are put into the one folder that the config names, whole, and never in the place of anything."""

from base64 import b64encode
from collections.abc import Iterator
from hashlib import sha256
from typing import Any

import pytest

from auditor.connectors.aws import uploading
from auditor.connectors.aws.session import AwsClients
from auditor.connectors.aws.uploading import S3Uploads
from auditor.connectors.gcp.session import Endpoints, GcpClients
from auditor.connectors.gcp.uploading import GcsUploads
from auditor.connectors.wire import Wire
from auditor.embedded.aws import AwsCloud
from auditor.embedded.google import GoogleCloud
from auditor.errors import CollectError, ReadOnlyError
from auditor.model import Reason
from auditor.ports import Uploads
from tests.clouds import GOOGLE_KEY, Clock, a_google_store, an_aws_cloud

NAME = "2026-11-28T06-00-00Z/report.html"
CONTENT = b"<p>\r\n--a boundary--\r\n\xff" * 3
OTHER_ONE = b'{"kind": "storage#object", "name": "audit/reports/another"}'
OTHER = "s3://own/elsewhere"


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[AwsCloud]:
    with an_aws_cloud(monkeypatch) as cloud:
        cloud.store.add_bucket("own", "us-east-1")
        yield cloud


@pytest.fixture
def google() -> Iterator[GoogleCloud]:
    store = a_google_store()
    store.add_bucket("own", "acme", "us-east1")
    with GoogleCloud(store) as cloud:
        yield cloud


@pytest.fixture(params=["aws", "gcp"])
def cloud(request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue("aws" if request.param == "aws" else "google")


def uploads_of(
    cloud: AwsCloud | GoogleCloud, folder: str = "/audit/reports", own: str = "own/audit/reports"
) -> Uploads:
    """Uploads into a folder, by clients that may put something into the folder `own` alone."""
    if isinstance(cloud, AwsCloud):
        clients = AwsClients({}, Wire(Clock()), "cmek-auditor/test", connections=4, attempts=2, own_uploads=[own])
        return S3Uploads(clients, f"s3://own{folder}", "us-east-1", None)
    there = GcpClients({}, Endpoints(cloud.endpoint), Wire(Clock()), own_uploads=[own])
    return GcsUploads(there, f"gs://own{folder}", "acme")


def stored(cloud: AwsCloud | GoogleCloud) -> dict[str, bytes | None]:
    if isinstance(cloud, AwsCloud):
        return {name: some[0].data for name, some in cloud.store.buckets["own"].objects.items()}
    return {one.name: one.data for one in cloud.store.buckets["own"].objects}


@pytest.mark.parametrize("folder", ["/audit/reports", ""])
def test_what_is_put_there_is_what_was_given(cloud: AwsCloud | GoogleCloud, folder: str) -> None:
    uploads_of(cloud, folder, f"own{folder}").put(NAME, CONTENT)
    assert stored(cloud) == {f"{folder}/{NAME}".lstrip("/"): CONTENT}


def test_what_is_there_already_is_put_no_second_time_and_is_no_fault(cloud: AwsCloud | GoogleCloud) -> None:
    uploads = uploads_of(cloud)
    uploads.put(NAME, CONTENT)
    uploads.put(NAME, CONTENT)
    assert stored(cloud) == {f"audit/reports/{NAME}": CONTENT}


def test_nothing_that_is_there_is_replaced(cloud: AwsCloud | GoogleCloud) -> None:
    uploads = uploads_of(cloud)
    uploads.put(NAME, CONTENT)
    with pytest.raises(CollectError, match=f"has another {NAME} already") as caught:
        uploads.put(NAME, b"of another auditor")
    assert (caught.value.reason, caught.value.hint) == (
        Reason.MALFORMED,
        "give each auditor a folder of its own; nothing there is replaced",
    )
    assert stored(cloud) == {f"audit/reports/{NAME}": CONTENT}


def test_an_object_of_somebody_else_in_its_place_is_another_one(cloud: AwsCloud | GoogleCloud) -> None:
    cloud.store.put("own", f"audit/reports/{NAME}", len(CONTENT), data=CONTENT)
    with pytest.raises(CollectError, match="has another"):
        uploads_of(cloud).put(NAME, CONTENT)


@pytest.mark.parametrize("fault", [{"status": 503}, {"status": 500}, {"drop": True}, {"reset": True}, {"cut": True}])
def test_a_fault_that_ends_costs_nothing_also_where_the_answer_alone_was_lost(
    cloud: AwsCloud | GoogleCloud, fault: dict[str, Any]
) -> None:
    cloud.traffic.fail("s3 PUT" if isinstance(cloud, AwsCloud) else "/upload/", times=1, **fault)
    uploads_of(cloud).put(NAME, CONTENT)
    assert stored(cloud) == {f"audit/reports/{NAME}": CONTENT}


def test_who_may_not_put_is_told_what_to_grant(cloud: AwsCloud | GoogleCloud) -> None:
    if isinstance(cloud, AwsCloud):
        cloud.traffic.fail("s3 PUT", status=403, code="AccessDenied")
    else:
        cloud.store.deny("storage.objects.create", "own")
    with pytest.raises(CollectError, match=f"{NAME} was not uploaded to .*own/audit/reports: ") as caught:
        uploads_of(cloud).put(NAME, CONTENT)
    permission = "s3:PutObject" if isinstance(cloud, AwsCloud) else "storage.objects.create"
    assert (caught.value.reason, f"grant {permission}" in str(caught.value.hint)) == (Reason.ACCESS_DENIED, True)


def test_who_may_not_look_at_what_is_there_is_told_what_to_grant(cloud: AwsCloud | GoogleCloud) -> None:
    uploads = uploads_of(cloud)
    uploads.put(NAME, CONTENT)
    if isinstance(cloud, AwsCloud):
        cloud.traffic.fail("s3 HEAD", status=403, bare=True)
    else:
        cloud.store.deny("storage.objects.list", "own")
    with pytest.raises(CollectError) as caught:
        uploads.put(NAME, CONTENT)
    permission = "s3:GetObject" if isinstance(cloud, AwsCloud) else "storage.objects.list"
    assert (caught.value.reason, f"grant {permission}" in str(caught.value.hint)) == (Reason.ACCESS_DENIED, True)


def test_a_bucket_that_is_not_there_is_told(cloud: AwsCloud | GoogleCloud) -> None:
    del cloud.store.buckets["own"]
    with pytest.raises(CollectError, match="was not uploaded") as caught:
        uploads_of(cloud).put(NAME, CONTENT)
    assert caught.value.reason is Reason.NOT_FOUND


@pytest.mark.parametrize("own", [None, "own/audit/report", "own/other", "another"])
def test_into_any_other_folder_nothing_is_sent(cloud: AwsCloud | GoogleCloud, own: str | None) -> None:
    with pytest.raises(ReadOnlyError):
        uploads_of(cloud, own=own or "").put(NAME, CONTENT)
    assert (stored(cloud), cloud.traffic.requests) == ({}, ())


def test_a_key_of_the_bucket_that_fails_keeps_reports_away_and_is_told(google: GoogleCloud) -> None:
    google.store.buckets["own"].default_key = GOOGLE_KEY
    key = google.store.add_key(GOOGLE_KEY)
    key.versions[1].state = "DISABLED"
    with pytest.raises(CollectError, match="was not uploaded"):
        uploads_of(google).put(NAME, CONTENT)
    assert stored(google) == {}


def test_what_arrives_otherwise_than_it_was_sent_is_refused_by_s3(
    aws: AwsCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It compares what it got with the checksum that stands beside it."""
    monkeypatch.setattr(uploading, "b64encode", lambda _: b64encode(bytes(32)))
    with pytest.raises(CollectError, match=r"was not uploaded to .*: BadDigest"):
        uploads_of(aws).put(NAME, CONTENT)
    assert stored(aws) == {}


def test_its_digest_is_told_beside_each_object(cloud: AwsCloud | GoogleCloud) -> None:
    uploads_of(cloud).put(NAME, CONTENT)
    if isinstance(cloud, AwsCloud):
        ((one,),) = cloud.store.buckets["own"].objects.values()
        assert one.metadata == {"sha256": sha256(CONTENT).hexdigest()}
    else:
        (item,) = cloud.store.buckets["own"].objects
        assert item.metadata == {"sha256": sha256(CONTENT).hexdigest()}


def test_a_page_in_the_place_of_the_answer_is_no_upload(aws: AwsCloud) -> None:
    aws.traffic.fail("s3 PUT", status=200, body=b"<p>log in</p>", headers={"ETag": '"5d"'})
    with pytest.raises(CollectError, match="was not uploaded") as caught:
        uploads_of(aws).put(NAME, CONTENT)
    assert caught.value.reason is Reason.MALFORMED


@pytest.mark.parametrize(
    ("status", "body"),
    [(308, b'{"kind": "storage#object", "name": "audit/reports/%s"}' % NAME.encode()), (200, OTHER_ONE)],
    ids=["a redirect without a place", "another object"],
)
def test_an_answer_of_something_else_is_no_upload(
    google: GoogleCloud, monkeypatch: pytest.MonkeyPatch, status: int, body: bytes
) -> None:
    monkeypatch.setattr("google.api_core.retry.retry_unary.time.sleep", lambda _: None)
    google.traffic.fail("/upload/", times=3, status=status, body=body)
    google.traffic.fail("/upload/", status=403, code="forbidden")
    with pytest.raises(CollectError, match="was not uploaded"):
        uploads_of(google).put(NAME, CONTENT)
