"""What exactly is asked for the clouds' own counts, and what each answer comes to."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
import requests
from botocore.exceptions import ClientError
from google.api_core.exceptions import Forbidden

from auditor.connectors.aws import counts as aws
from auditor.connectors.gcp import counts as gcp
from auditor.model import CloudCount, Gap, Population, Reason
from tests.core_builders import NOW

if TYPE_CHECKING:
    from auditor.connectors.aws.session import AwsClients

EAST = timezone(timedelta(hours=5))
YESTERDAY = NOW - timedelta(days=1)
HOUR = timedelta(hours=1)


class CloudWatch:
    """Answers once; tells where and what it was asked."""

    def __init__(self, answer: Any) -> None:
        self._answer = answer
        self.asked: list[Any] = []

    def client(self, region: str | None, account: str | None) -> Any:
        self.asked += [region, account]
        return SimpleNamespace(get_metric_statistics=self._get)

    def _get(self, **asked: Any) -> Any:
        self.asked.append(asked)
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer

    def read(self) -> CloudCount | Gap:
        clients = cast("AwsClients", SimpleNamespace(cloudwatch=self.client))
        return aws.S3Counts(clients, "s3://data", "111122223333", lambda: NOW).read("eu-west-1")


def points(*values: tuple[datetime, Any]) -> dict[str, Any]:
    return {"Label": "NumberOfObjects", "Datapoints": [{"Timestamp": at, "Average": value} for at, value in values]}


def test_cloudwatch_is_asked_for_four_days_of_the_number_of_all_objects_of_one_bucket() -> None:
    watch = CloudWatch(points())
    assert watch.read() == CloudCount(NOW)
    where, who, asked = watch.asked
    assert (where, who) == ("eu-west-1", "111122223333")
    assert asked == {
        "Namespace": "AWS/S3",
        "MetricName": "NumberOfObjects",
        "Dimensions": [
            {"Name": "BucketName", "Value": "data"},
            {"Name": "StorageType", "Value": "AllStorageTypes"},
        ],
        "StartTime": NOW - timedelta(days=4),
        "EndTime": NOW,
        "Period": 86_400,
        "Statistics": ["Average"],
    }


def test_the_newest_value_of_cloudwatch_counts_whatever_stands_first() -> None:
    told = points((YESTERDAY - HOUR, 9.0), (YESTERDAY.astimezone(EAST), 6.6), (YESTERDAY - 2 * HOUR, 8.0))
    found = aws.parse_count(told)
    assert found == (YESTERDAY, 7)
    assert found[0].tzinfo is UTC
    assert CloudWatch(told).read() == CloudCount(NOW, YESTERDAY, 7)
    assert aws.parse_count(points((YESTERDAY, 0.0))) == (YESTERDAY, 0), "none is a number"
    assert aws.parse_count({"Label": "NumberOfObjects"}) is None


NO_ANSWER: dict[str, tuple[Any, Reason, str]] = {
    "below nothing": (points((YESTERDAY, -1.0)), Reason.MALFORMED, "ResponseParserError"),
    "another metric": ({**points(), "Label": "BucketSizeBytes"}, Reason.MALFORMED, "ResponseParserError"),
    "no label": ({}, Reason.MALFORMED, "ResponseParserError"),
    "a text": (points((YESTERDAY, "7")), Reason.MALFORMED, "ResponseParserError"),
    "no moment": ({"Label": "NumberOfObjects", "Datapoints": [{"Average": 1.0}]}, Reason.MALFORMED, "Error"),
    "denied": (ClientError({"Error": {"Code": "AccessDenied"}}, "x"), Reason.ACCESS_DENIED, "AccessDenied"),
}


@pytest.mark.parametrize(("answer", "reason", "code"), NO_ANSWER.values(), ids=NO_ANSWER)
def test_why_no_count_is_known_of_a_bucket_on_amazon_is_a_gap(answer: Any, reason: Reason, code: str) -> None:
    found = CloudWatch(answer).read()
    assert isinstance(found, Gap)
    assert (found.what, found.reason) == ("s3://data", reason)
    assert found.effect.startswith("its objects are not compared with the cloud's own count (")
    assert code in found.effect
    if reason is Reason.ACCESS_DENIED:
        assert found.hint == "grant cloudwatch:GetMetricStatistics to the auditor"


METRIC = "storage.googleapis.com/storage/v2/total_count"


def series(count: Any, kind: str = "live-object", *, at: datetime = YESTERDAY, bucket: str = "data") -> dict[str, Any]:
    value = {"doubleValue": count} if isinstance(count, float) else {"int64Value": str(count)}
    return {
        "metric": {"type": METRIC, "labels": {"type": kind}},
        "resource": {"labels": {"bucket_name": bucket}},
        "points": [{"interval": {"endTime": at.isoformat()}, "value": value}],
    }


class Pages:
    """The pages of Cloud Monitoring, one after the other; tells how each was asked for."""

    def __init__(self, *pages: Mapping[str, Any]) -> None:
        self._pages = pages
        self.asked: list[tuple[str, Mapping[str, str]]] = []

    def __call__(self, project: str, asked: Mapping[str, str]) -> Mapping[str, Any]:
        self.asked.append((project, asked))
        return self._pages[min(len(self.asked), len(self._pages)) - 1]

    def read(self, project: str | None = "acme") -> CloudCount | Gap:
        return gcp.GcsCounts(self, "gs://data", lambda: NOW.astimezone(EAST)).read(project)


ASKED = {
    "filter": f'metric.type = "{METRIC}" AND resource.labels.bucket_name = "data"',
    "interval.startTime": "2026-11-23T12:00:00Z",
    "interval.endTime": "2026-11-24T12:00:00Z",
}


def test_cloud_monitoring_is_asked_for_a_day_of_one_bucket_page_by_page() -> None:
    pages = Pages({"timeSeries": [series(1)], "nextPageToken": "2"}, {"timeSeries": [series(2, "noncurrent-object")]})
    found = pages.read()
    assert pages.asked == [("acme", ASKED), ("acme", {**ASKED, "pageToken": "2"})]
    counts = {Population.LIVE: 1, Population.NONCURRENT: 2, Population.SOFT_DELETED: 0}
    assert found == CloudCount(NOW, YESTERDAY, 3, counts)
    assert Pages({}).read() == CloudCount(NOW)


def test_pages_of_cloud_monitoring_that_never_end_are_no_answer() -> None:
    many = [{"timeSeries": [series(1)], "nextPageToken": str(number)} for number in range(60)]
    pages = Pages(*many)
    found = pages.read()
    assert isinstance(found, Gap)
    assert (found.reason, len(pages.asked)) == (Reason.MALFORMED, 50)
    last: list[dict[str, Any]] = [*many[:49], {"timeSeries": [series(1)]}]
    assert isinstance(Pages(*last).read(), CloudCount), "as many as there may be"
    again = Pages(many[0])
    assert isinstance(again.read(), Gap)
    assert len(again.asked) == 2, "a page that leads to itself"


def test_each_type_counts_with_its_own_and_all_of_them_in_the_whole() -> None:
    told = [
        series(1),
        series(2.0),
        series(10, "noncurrent-object"),
        series(100, "soft-deleted-object"),
        series(1_000, "multipart-upload"),
    ]
    counts = {Population.LIVE: 3, Population.NONCURRENT: 10, Population.SOFT_DELETED: 100}
    assert gcp.parse_counts(told, "data") == (YESTERDAY, counts, 1_113)
    assert gcp.parse_counts([], "data") is None


def test_what_ended_an_hour_before_the_newest_value_is_over() -> None:
    told = [
        series(5, at=YESTERDAY.astimezone(EAST)),
        series(70, at=YESTERDAY - HOUR),
        series(900, at=YESTERDAY - HOUR - timedelta(seconds=1)),
    ]
    found = gcp.parse_counts(told, "data")
    assert found is not None
    assert (found[0], found[2]) == (YESTERDAY, 75)
    assert found[0].tzinfo is UTC


def test_the_newest_point_of_a_series_counts_whatever_stands_first() -> None:
    one = series(1)
    one["points"] = [*series(2, at=YESTERDAY - HOUR)["points"], *one["points"], *series(3, at=NOW - 2 * HOUR)["points"]]
    found = gcp.parse_counts([one], "data")
    assert found is not None
    assert (found[0], found[2]) == (NOW - 2 * HOUR, 3)


WRONG: dict[str, dict[str, Any]] = {
    "another bucket": series(1, bucket="other"),
    "another metric": {**series(1), "metric": {"type": "x", "labels": {"type": "live-object"}}},
    "no points": {**series(1), "points": []},
    "a moment without its zone": series(1, at=YESTERDAY.replace(tzinfo=None)),
    "below nothing": series(-1),
    "no number": series(float("nan")),
    "a list": {**series(1), "resource": []},
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_a_series_that_tells_something_else_is_no_answer(wrong: dict[str, Any]) -> None:
    found = Pages({"timeSeries": [series(1), wrong]}).read()
    assert isinstance(found, Gap)
    assert (found.what, found.reason) == ("gs://data", Reason.MALFORMED)
    assert found.effect.startswith("its objects are not compared with the cloud's own count (")


def test_none_is_a_number_of_objects() -> None:
    found = gcp.parse_counts([series(0)], "data")
    assert found is not None
    assert found[2] == 0


def test_a_fault_on_the_way_is_told_as_it_is() -> None:
    def page(_project: str, _asked: Mapping[str, str]) -> Mapping[str, Any]:
        raise requests.exceptions.InvalidURL("no url")  # a ValueError as well

    found = gcp.GcsCounts(page, "gs://data", lambda: NOW).read("acme")
    assert isinstance(found, Gap)
    assert "InvalidURL" in found.effect


def test_the_right_to_ask_cloud_monitoring_is_named_where_it_lacks() -> None:
    def page(_project: str, _asked: Mapping[str, str]) -> Mapping[str, Any]:
        raise Forbidden("no")

    found = gcp.GcsCounts(page, "gs://data", lambda: NOW).read("acme")
    assert isinstance(found, Gap)
    assert found.reason is Reason.ACCESS_DENIED
    assert found.hint.startswith("grant monitoring.timeSeries.list to the auditor")


def test_of_nobodys_bucket_nothing_is_asked() -> None:
    pages = Pages({})
    found = pages.read(None)
    assert isinstance(found, Gap)
    assert (found.what, found.reason, pages.asked) == ("gs://data", Reason.NOT_VISIBLE, [])
