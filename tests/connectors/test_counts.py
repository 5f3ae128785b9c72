"""How the clouds are asked for their own counts, and what is made of their answers."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from auditor.connectors.aws.counts import S3Counts
from auditor.connectors.aws.counts import parse_count as parse_s3
from auditor.connectors.gcp.counts import GcsCounts
from auditor.connectors.gcp.counts import parse_counts as parse_gcs
from auditor.embedded.aws import AwsCloud
from auditor.embedded.google import GoogleCloud
from auditor.gaps import is_of_count
from auditor.model import CloudCount, Gap, Population, Reason
from tests.clouds import Clock, a_google_store, an_aws_cloud, aws_clients, google_clients
from tests.core_builders import NOW

TYPE = "storage.googleapis.com/storage/v2/total_count"


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[AwsCloud]:
    with an_aws_cloud(monkeypatch) as cloud:
        cloud.store.add_bucket("objects", "eu-west-1")
        yield cloud


@pytest.fixture
def google(monkeypatch: pytest.MonkeyPatch) -> Iterator[GoogleCloud]:
    monkeypatch.setattr("auditor.connectors.gcp.session._RETRY_POLICY", lambda ask: ask)
    store = a_google_store()
    store.add_bucket("data", "acme", "us-east1")
    with GoogleCloud(store) as cloud:
        yield cloud


def of_s3(region: str = "eu-west-1", url: str = "s3://objects") -> CloudCount | Gap:
    return S3Counts(aws_clients(), url, None, Clock()).read(region)


def of_gcs(cloud: GoogleCloud, project: str | None = "123456") -> CloudCount | Gap:
    clients = google_clients(cloud)
    return GcsCounts(lambda of, asked: clients.time_series(None, of, asked), "gs://data", Clock()).read(project)


def test_the_newest_of_the_days_counts(aws: AwsCloud) -> None:
    for days_ago, count in ((3, 5), (1, 7), (2, 6), (6, 9)):
        aws.store.measure("objects", days_ago, count)
    found = of_s3()
    assert isinstance(found, CloudCount)
    assert (found.total, found.populations) == (7, None)
    assert found.measured_at is not None
    assert timedelta(0) < found.read_at - found.measured_at < timedelta(days=2)


@pytest.mark.parametrize(("region", "url"), [("us-east-1", "s3://objects"), ("eu-west-1", "s3://other")])
def test_where_s3_has_no_value_none_is_known(aws: AwsCloud, region: str, url: str) -> None:
    aws.store.measure("objects", 1, 7)
    found = of_s3(region, url)
    assert isinstance(found, CloudCount)
    assert found == CloudCount(found.read_at)


def test_each_type_is_counted_over_all_pages_and_classes(google: GoogleCloud) -> None:
    store = google.store
    store.put("data", "a/1", storage_class="NEARLINE")
    store.put("data", "a/2")
    store.measure("data", noncurrent_object=3, soft_deleted_object=4, multipart_upload=50)
    found = of_gcs(google)
    assert isinstance(found, CloudCount)
    assert found.populations == {Population.LIVE: 2, Population.NONCURRENT: 3, Population.SOFT_DELETED: 4}
    assert found.total == 59
    assert len(google.traffic.requests) == 3, "two series a page"


def test_a_series_that_has_ended_is_of_a_class_that_all_objects_left(google: GoogleCloud) -> None:
    store = google.store
    store.put("data", "a/1", storage_class="NEARLINE")
    store.measure("data", timedelta(hours=22))
    store.buckets["data"].objects[0].storage_class = "COLDLINE"
    store.measure("data", timedelta(hours=10))
    found = of_gcs(google)
    assert isinstance(found, CloudCount)
    assert found.total == 1


def test_where_google_has_no_value_none_is_known(google: GoogleCloud) -> None:
    found = of_gcs(google)
    assert isinstance(found, CloudCount)
    assert found == CloudCount(found.read_at)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ({"status": 400, "code": "AccessDeniedException"}, Reason.ACCESS_DENIED),
        ({"status": 400, "code": "Throttling"}, Reason.THROTTLED),
        ({"status": 400, "code": "UnknownOperationException"}, Reason.UNSUPPORTED),
        ({"status": 200, "body": b"{}"}, Reason.MALFORMED),
        ({"status": 200, "body": b'{"Label": "NumberOfObjects", "Datapoints": [{}]}'}, Reason.MALFORMED),
        ({"status": 200, "body": b'{"Label": "BucketSizeBytes"}'}, Reason.MALFORMED),
        ({"status": 200, "body": b"<html>"}, Reason.MALFORMED),
        ({"drop": True}, Reason.TIMEOUT),
    ],
    ids=lambda one: str(one)[:60],
)
def test_why_cloudwatch_told_nothing_is_told(aws: AwsCloud, fault: dict[str, Any], reason: Reason) -> None:
    aws.traffic.fail("cloudwatch ", **fault)
    found = of_s3()
    assert isinstance(found, Gap)
    assert (found.what, found.reason, is_of_count(found)) == ("s3://objects", reason, True)
    assert ("cloudwatch:GetMetricStatistics" in found.hint) is (reason is Reason.ACCESS_DENIED)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ({"status": 403}, Reason.ACCESS_DENIED),
        ({"status": 429}, Reason.THROTTLED),
        ({"status": 200, "body": b'{"kind": "storage#bucket"}'}, Reason.MALFORMED),
        ({"status": 200, "body": b'{"timeSeries": [{}]}'}, Reason.MALFORMED),
        ({"status": 200, "body": b'{"timeSeries": [], "executionErrors": [{"code": 4}]}'}, Reason.MALFORMED),
        ({"status": 200, "body": b'{"nextPageToken": "again"}'}, Reason.MALFORMED),
        ({"drop": True}, Reason.TIMEOUT),
    ],
    ids=lambda one: str(one)[:60],
)
def test_why_cloud_monitoring_told_nothing_is_told(google: GoogleCloud, fault: dict[str, Any], reason: Reason) -> None:
    google.traffic.fail("monitoring ", **fault)
    found = of_gcs(google)
    assert isinstance(found, Gap)
    assert (found.what, found.reason, is_of_count(found)) == ("gs://data", reason, True)
    assert ("monitoring.timeSeries.list" in found.hint) is (reason is Reason.ACCESS_DENIED)


def test_where_nobody_told_whose_bucket_it_is_nobody_can_be_asked(google: GoogleCloud) -> None:
    found = of_gcs(google, None)
    assert isinstance(found, Gap)
    assert (found.reason, is_of_count(found)) == (Reason.NOT_VISIBLE, True)
    assert google.traffic.requests == ()


@pytest.mark.parametrize("count", [-1.0, float("nan"), float("inf")])
def test_what_is_no_number_of_objects_is_no_count(count: float) -> None:
    with pytest.raises(ValueError, match="no number"):
        parse_s3({"Label": "NumberOfObjects", "Datapoints": [{"Timestamp": NOW, "Average": count}]})
    with pytest.raises(ValueError, match="no number"):
        parse_gcs([a_series(value={"doubleValue": count})], "data")


def a_series(bucket: str = "data", value: dict[str, Any] | None = None, at: str = "2026-11-24T11:00:00Z") -> Any:
    return {
        "metric": {"type": TYPE, "labels": {"type": "live-object", "storage_class": "STANDARD"}},
        "resource": {"labels": {"bucket_name": bucket}},
        "points": [{"interval": {"endTime": at}, "value": value or {"int64Value": "3"}}],
    }


@pytest.mark.parametrize(
    "series",
    [a_series("other"), a_series(at="2026-11-24T11:00:00"), a_series(value={"stringValue": "3"})],
    ids=["of another bucket", "a time without its zone", "a text"],
)
def test_a_series_that_says_something_else_is_none(series: Any) -> None:
    with pytest.raises((ValueError, KeyError)):
        parse_gcs([series], "data")


def test_an_unknown_type_is_in_the_whole_alone() -> None:
    series = a_series()
    series["metric"]["labels"]["type"] = "of-tomorrow"
    found = parse_gcs([series, a_series(value={"doubleValue": 4.0})], "data")
    assert found is not None
    assert (found[1][Population.LIVE], found[2]) == (4, 7)
    assert replace(CloudCount(NOW, *found[::2]), populations=found[1]).total == 7
