"""Cloud Monitoring, as far as it has the object counts of buckets: timeSeries.list, page by page.

Source: Cloud Monitoring API v3, projects.timeSeries.list; Google Cloud metrics, storage/v2/total_count.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import parse_qsl

from auditor.embedded.google.kms import FailedRpcError
from auditor.embedded.google.store import Bucket, Store

_METRIC: Final = "storage.googleapis.com/storage/v2/total_count"
_TERM: Final = re.compile(r'\s*(metric\.type|resource\.type|resource\.labels?\.bucket_name)\s*=\s*"([^"]*)"\s*')
_EVERY: Final = timedelta(hours=4)
"""How often a value is repeated; by the service, every five minutes."""
_PAGE: Final = 2
"""Series on a page; by the service, as many as have 100,000 points."""


class MonitoringService:
    """Answers from a store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def list(self, project: str, query: str) -> dict[str, Any]:
        """One page of the series that fit.

        Raises:
            FailedRpcError: in the words of Cloud Monitoring.
        """
        asked = dict(parse_qsl(query))
        named = {project, self._store.by_id(f"projects/{project}").removeprefix("projects/")}
        if not named.intersection(self._store.projects) or self._store.denied(
            "monitoring.timeSeries.list", f"projects/{project}"
        ):
            raise FailedRpcError(
                "PERMISSION_DENIED", "Permission monitoring.timeSeries.list denied (or it may not exist)."
            )
        wanted = _filter(asked.get("filter", ""))
        try:
            since, until = (datetime.fromisoformat(asked[f"interval.{one}Time"]) for one in ("start", "end"))
        except (KeyError, ValueError):
            raise FailedRpcError("INVALID_ARGUMENT", "Field interval had an invalid value") from None
        if since > until:
            raise FailedRpcError("INVALID_ARGUMENT", "The start time must be before the end time")
        with self._store.lock:
            mine = [one for one in self._store.buckets.values() if one.project in named]
            found = [each for one in mine if _fits(one, wanted) for each in _series(one, since, until)]
        start = int(asked.get("pageToken") or 0)
        told: dict[str, Any] = {"timeSeries": found[start : start + _PAGE]} if found[start:] else {}
        return told | ({"nextPageToken": str(start + _PAGE)} if start + _PAGE < len(found) else {})


def _filter(text: str) -> Mapping[str, str]:
    """What must be so.

    Raises:
        FailedRpcError: it is no filter, or one that this cloud does not know.
    """
    terms = [_TERM.fullmatch(one) for one in re.split(r"\bAND\b", text)]
    found = {one[1].replace("labels", "label"): one[2] for one in terms if one is not None}
    if None in terms or "metric.type" not in found:
        raise FailedRpcError("INVALID_ARGUMENT", "Field filter had an invalid value: it must name one metric.type")
    return found


def _fits(bucket: Bucket, wanted: Mapping[str, str]) -> bool:
    told = {"metric.type": _METRIC, "resource.type": "gcs_bucket", "resource.label.bucket_name": bucket.name}
    return all(told[name] == value for name, value in wanted.items())


def _series(bucket: Bucket, since: datetime, until: datetime) -> Iterator[dict[str, Any]]:
    """One series of each type and class, its newest point first."""
    for (kind, storage_class), values in bucket.measured.items():
        points = []
        at = until
        while at >= since:
            known = [number for moment, number in values if moment <= at]
            if known and known[-1] is not None:
                stamp = at.astimezone(UTC).isoformat().replace("+00:00", "Z")
                value = {"int64Value": str(known[-1])}
                points.append({"interval": {"startTime": stamp, "endTime": stamp}, "value": value})
            at -= _EVERY
        if points:
            labels = {"bucket_name": bucket.name, "location": bucket.location, "project_id": bucket.project}
            yield {
                "metric": {"type": _METRIC, "labels": {"type": kind, "storage_class": storage_class}},
                "resource": {"type": "gcs_bucket", "labels": labels},
                "metricKind": "GAUGE",
                "valueType": "INT64",
                "points": points,
            }
