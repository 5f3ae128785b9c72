"""CloudTrail's event history: LookupEvents over JSON 1.1."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from auditor.embedded.aws.kms import Caller
from auditor.embedded.aws.store import RefusedError, Store

_REACHES: Final = timedelta(days=90)
_MOST: Final = 50


class HistoryService:
    """Answers from a store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def answer(self, operation: str, asked: Mapping[str, Any], caller: Caller) -> dict[str, Any]:
        """Answer one call.

        Raises:
            RefusedError: in the words of CloudTrail.
        """
        if operation != "LookupEvents":
            raise RefusedError(400, "UnknownOperationException", f"{operation} is not part of this embedded cloud")
        if ("LookupEvents", caller.account) in self._store.denied:
            raise RefusedError(400, "AccessDeniedException", "not authorized to perform: cloudtrail:LookupEvents")
        attributes, size = asked.get("LookupAttributes", []), int(asked.get("MaxResults") or _MOST)
        if len(attributes) > 1:
            raise RefusedError(400, "InvalidLookupAttributesException", "one attribute at most")
        if not 1 <= size <= _MOST:
            raise RefusedError(400, "InvalidMaxResultsException", f"from 1 to {_MOST}")
        now = self._store.clock()
        since, until = _moment(asked.get("StartTime"), now - _REACHES), _moment(asked.get("EndTime"), now)
        if since > until:
            raise RefusedError(400, "InvalidTimeRangeException", "the start is behind the end")
        with self._store.lock:
            seen = [one for one in self._store.history if _at(one) + self._store.history_lag <= now]
        found = [
            one
            for one in seen
            if max(since, now - _REACHES) <= _at(one) <= until
            and (one["recipientAccountId"], one["awsRegion"]) == (caller.account, caller.region)
            and all(_fits(one, each, by_arn=self._store.history_by_arn) for each in attributes)
        ]
        found.sort(key=_at, reverse=True)
        start = int(asked.get("NextToken") or 0)
        told: dict[str, Any] = {"Events": [_event(one) for one in found[start : start + size]]}
        return told | ({"NextToken": str(start + size)} if start + size < len(found) else {})


def _fits(record: Mapping[str, Any], attribute: Mapping[str, Any], *, by_arn: bool) -> bool:
    wanted = attribute["AttributeValue"]
    match attribute["AttributeKey"]:
        case "EventName":
            return bool(record["eventName"] == wanted)
        case "EventId":
            return bool(record["eventID"] == wanted)
        case "EventSource":
            return bool(record["eventSource"] == wanted)
        case "ResourceName":
            return by_arn and any(one.get("ARN") == wanted for one in _resources(record))
        case name:
            raise RefusedError(400, "InvalidLookupAttributesException", f"{name} is not part of this embedded cloud")


def _event(record: Mapping[str, Any]) -> dict[str, Any]:
    raw = record.get("raw")  # what a test wants to be told in the record's place
    return {
        "EventId": record["eventID"],
        "EventName": record["eventName"],
        "EventTime": _at(record).timestamp(),
        "EventSource": record["eventSource"],
        "ReadOnly": str(record.get("readOnly", False)).lower(),
        "Resources": [{"ResourceType": one.get("type"), "ResourceName": one.get("ARN")} for one in _resources(record)],
        "CloudTrailEvent": raw if raw is not None else json.dumps(record),
    }


def _resources(record: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Those that are of the kind that a record has; a test may have put others in."""
    told = record.get("resources")
    return [one for one in told if isinstance(one, dict)] if isinstance(told, list) else []


def _at(record: Mapping[str, Any]) -> datetime:
    return datetime.fromisoformat(record["eventTime"])


def _moment(told: float | None, otherwise: datetime) -> datetime:
    return datetime.fromtimestamp(told, UTC) if told is not None else otherwise
