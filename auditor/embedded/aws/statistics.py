"""CloudWatch, as far as it has the daily metrics of buckets: GetMetricStatistics over JSON 1.0.

Source: CloudWatch API Reference, GetMetricStatistics; Amazon S3 User Guide, Metrics and dimensions.
"""

from collections.abc import Mapping
from typing import Any, Final

from auditor.embedded.aws.kms import Caller
from auditor.embedded.aws.store import RefusedError, Store

_DAY: Final = 86_400
_WHOLE: Final = "AllStorageTypes"


class StatisticsService:
    """Answers from a store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def answer(self, operation: str, asked: Mapping[str, Any], caller: Caller) -> dict[str, Any]:
        """Answer one call.

        Raises:
            RefusedError: in the words of CloudWatch.
        """
        if operation != "GetMetricStatistics":
            raise RefusedError(400, "InvalidAction", f"{operation} is not part of this embedded cloud")
        since, until, period = (asked.get(one) for one in ("StartTime", "EndTime", "Period"))
        if not (isinstance(since, int | float) and isinstance(until, int | float)):
            raise RefusedError(400, "MissingParameter", "StartTime and EndTime are required")
        if since >= until or not isinstance(period, int) or period % 60:
            raise RefusedError(400, "InvalidParameterValue", "the start is behind the end, or the period is no minutes")
        label = str(asked.get("MetricName", ""))
        about = {one["Name"]: one["Value"] for one in asked.get("Dimensions", [])}
        is_known = (asked.get("Namespace"), label, period) == ("AWS/S3", "NumberOfObjects", _DAY)
        points = []
        # Metrics that nobody has are no error: there are no values of them.
        bucket = self._store.buckets.get(about.get("BucketName", "")) if is_known else None
        if bucket is not None and bucket.region == caller.region and about.get("StorageType") == _WHOLE:
            with self._store.lock:
                told = [(at, count) for at, count in bucket.measured if since <= at.timestamp() < until]
            wanted = asked.get("Statistics", [])
            # In no order, as the service says.
            points = [
                {"Timestamp": at.timestamp(), "Unit": "Count", **dict.fromkeys(wanted, float(n))}
                for at, n in told[::-1]
            ]
        return {"Label": label, "Datapoints": points}
