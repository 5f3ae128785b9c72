"""How many objects Amazon S3 counts in a bucket itself, by the metric that CloudWatch has of it once a day.

Needs `cloudwatch:GetMetricStatistics` in the bucket's account. Source: Amazon S3 User Guide, Metrics and dimensions;
CloudWatch API Reference, GetMetricStatistics.
"""

import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from botocore.parsers import ResponseParserError

from auditor.connectors.aws.errors import FAULTS, code_of, hint_for, reason_of
from auditor.connectors.aws.session import AwsClients
from auditor.model import CloudCount, Gap

PERMISSION: Final = "cloudwatch:GetMetricStatistics"
_DAY: Final = 86_400
_BACK: Final = timedelta(days=4)
"""A value is published a day after its own, or later: an older one than this is of another bucket, as it were."""


class S3Counts:
    """Asks for one bucket's count, in the bucket's Region."""

    def __init__(self, clients: AwsClients, url: str, account: str | None, clock: Callable[[], datetime]) -> None:
        self._clients = clients
        self._url = url
        self._account = account
        self._clock = clock

    def read(self, region: str | None) -> CloudCount | Gap:
        """Ask once; a Gap where nothing was told."""
        try:
            return self.ask(region)
        except FAULTS as error:
            effect = f"its objects are not compared with the cloud's own count ({code_of(error)})"
            return Gap(self._url, reason_of(error), effect, hint_for(reason_of(error), PERMISSION))

    def ask(self, region: str | None) -> CloudCount:
        """Ask once.

        Raises:
            botocore.exceptions.ClientError, BotoCoreError, botocore.parsers.ResponseParserError: nothing was told.
        """
        now = self._clock()
        told = self._clients.cloudwatch(region, self._account).get_metric_statistics(
            **asked(self._url.removeprefix("s3://"), now)
        )
        try:
            found = parse_count(told)
        except (ValueError, TypeError, KeyError, OverflowError):
            raise ResponseParserError("no answer to that question") from None
        return CloudCount(now) if found is None else CloudCount(now, *found)


def asked(bucket: str, now: datetime) -> dict[str, Any]:
    """The question about one bucket."""
    return {
        "Namespace": "AWS/S3",
        "MetricName": "NumberOfObjects",
        "Dimensions": [
            {"Name": "BucketName", "Value": bucket},
            {"Name": "StorageType", "Value": "AllStorageTypes"},
        ],
        "StartTime": now - _BACK,
        "EndTime": now,
        "Period": _DAY,
        "Statistics": ["Average"],
    }


def parse_count(told: dict[str, Any]) -> tuple[datetime, int] | None:
    """The newest value; None where there is none.

    Raises:
        ValueError, TypeError, KeyError, OverflowError: it is no answer to that question.
    """
    if told["Label"] != "NumberOfObjects":
        raise ValueError("another metric")
    points = told.get("Datapoints", [])
    if not points:
        return None
    newest = max(points, key=lambda one: one["Timestamp"])
    count, at = newest["Average"], newest["Timestamp"]
    if not math.isfinite(count) or count < 0:
        raise ValueError("no number of objects")
    return at.astimezone(UTC), round(count)
