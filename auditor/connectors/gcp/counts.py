"""How many objects Cloud Storage counts in a bucket itself, by the metric that Cloud Monitoring has of it.

Needs `monitoring.timeSeries.list` on the bucket's project. Source: Google Cloud metrics, storage/v2/total_count; Cloud
Monitoring API v3, projects.timeSeries.list, monitoring filters.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import requests

from auditor.connectors.gcp.errors import FAULTS, code_of, hint_for, reason_of
from auditor.connectors.trail import Trail
from auditor.model import CloudCount, Gap, Population, Reason

PERMISSION: Final = "monitoring.timeSeries.list"
Page = Callable[[str, Mapping[str, str]], Mapping[str, Any]]
"""Reads one page of the time series of a project."""

_NOT_COMPARED: Final = "its objects are not compared with the cloud's own count"
_METRIC: Final = "storage.googleapis.com/storage/v2/total_count"
_BACK: Final = timedelta(days=1)
"""The value is told again and again between two measurements."""
_TOGETHER: Final = timedelta(hours=1)
"""A series that ended so long before the newest value has no objects any more: of a class that all of them left."""
_OF_TYPES: Final = {
    "live-object": Population.LIVE,
    "noncurrent-object": Population.NONCURRENT,
    "soft-deleted-object": Population.SOFT_DELETED,
}
_MOST_PAGES: Final = 50


class GcsCounts:
    """Asks for one bucket's count, in the bucket's project."""

    def __init__(self, page: Page, url: str, clock: Callable[[], datetime]) -> None:
        self._page = page
        self._url = url
        self._clock = clock

    def read(self, project: str | None) -> CloudCount | Gap:
        """Ask once, to the last page; a Gap where nothing was told. `project`: id or number; None: nobody knows it."""
        if project is None:
            told = f"{_NOT_COMPARED} (whose bucket it is was not told)"
            return Gap(self._url, Reason.NOT_VISIBLE, told, "grant what its other gap asks for")
        try:
            return self.ask(project)
        except FAULTS as error:
            told = f"{_NOT_COMPARED} ({code_of(error)})"
            return Gap(self._url, reason_of(error), told, hint_for(reason_of(error), PERMISSION))

    def ask(self, project: str) -> CloudCount:
        """Ask once, to the last page.

        Raises:
            requests.RequestException: no answer, or none that can be read.
            google.api_core.exceptions.GoogleAPICallError, RetryError: an answer that is an error.
            google.auth.exceptions.GoogleAuthError: no credentials.
        """
        now, bucket = self._clock(), self._url.removeprefix("gs://")
        try:
            found = parse_counts(self._series(project, bucket, now), bucket)
        except requests.RequestException:
            raise  # one of them is a ValueError as well
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError):
            raise requests.JSONDecodeError("no answer to that question", "", 0) from None
        if found is None:
            return CloudCount(now)
        at, counts, total = found
        return CloudCount(now, at, total, counts)

    def _series(self, project: str, bucket: str, now: datetime) -> Iterable[Mapping[str, Any]]:
        asked = query(bucket, now)
        trail = Trail()
        for _ in range(_MOST_PAGES):
            page = self._page(project, asked)
            yield from page.get("timeSeries", [])
            token = page.get("nextPageToken")
            if not token:
                return
            if not trail.leads_on(token):
                break
            asked = {**asked, "pageToken": token}
        raise requests.JSONDecodeError("the pages never end", "", 0)


def query(bucket: str, now: datetime) -> dict[str, str]:
    """The question about one bucket; its name has no character that a filter would read."""
    return {
        "filter": f'metric.type = "{_METRIC}" AND resource.labels.bucket_name = "{bucket}"',
        "interval.startTime": _stamp(now - _BACK),
        "interval.endTime": _stamp(now),
    }


def parse_counts(
    series: Iterable[Mapping[str, Any]], bucket: str
) -> tuple[datetime, Mapping[Population, int], int] | None:
    """(moment of the newest values, objects of each population, all that is counted); None where there are no values.

    Raises:
        ValueError, TypeError, KeyError, AttributeError, OverflowError: it is no answer to that question.
    """
    found: list[tuple[datetime, str, int]] = []
    for one in series:
        if (one["metric"]["type"], one["resource"]["labels"]["bucket_name"]) != (_METRIC, bucket):
            raise ValueError("another metric, or another bucket")
        kind = one["metric"]["labels"]["type"]
        newest = max(((_moment(each["interval"]["endTime"]), each) for each in one["points"]), key=lambda pair: pair[0])
        found.append((newest[0], str(kind), _number(newest[1]["value"])))
    if not found:
        return None
    at = max(moment for moment, _, _ in found)
    counts = dict.fromkeys(Population, 0)
    total = 0
    for moment, kind, number in found:
        if moment < at - _TOGETHER:
            continue
        total += number
        if kind in _OF_TYPES:
            counts[_OF_TYPES[kind]] += number
    return at, counts, total


def _number(value: Mapping[str, Any]) -> int:
    """What a point says; whole numbers come as text."""
    told = float(value["doubleValue"]) if "doubleValue" in value else int(value["int64Value"])
    if not math.isfinite(told) or told < 0:
        raise ValueError("no number of objects")
    return round(told)


def _moment(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError("a moment without a zone")
    return at.astimezone(UTC)


def _stamp(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
