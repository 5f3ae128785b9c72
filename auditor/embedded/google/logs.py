"""Cloud Logging, as far as it tells what was done and takes what is told: entries over JSON.

Source: the reference of `entries.write` and `LogEntry`; Cloud Logging docs, Quotas and limits.
"""

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from auditor.embedded.google.kms import FailedRpcError
from auditor.embedded.google.log_filter import FilterError, compiled
from auditor.embedded.google.store import Store

_USUAL: Final = 50
_MOST: Final = 1000
_LARGEST: Final = 256 * 1024
_MOST_BYTES: Final = 10_000_000
_SEVERITIES: Final = frozenset(
    {"DEFAULT", "DEBUG", "INFO", "NOTICE", "WARNING", "ERROR", "CRITICAL", "ALERT", "EMERGENCY"}
)
_LABELS: Final = 64
_AHEAD: Final = timedelta(days=1)
_KEPT: Final = timedelta(days=30)
_ORDERS: Final = frozenset({"timestamp asc", "timestamp desc"})


class LogService:
    """Answers from a store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def list(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """One page of the entries that fit.

        Raises:
            FailedRpcError: in the words of Cloud Logging.
        """
        names = asked.get("resourceNames") or []
        size, order = int(asked.get("pageSize") or _USUAL), asked.get("orderBy") or "timestamp asc"
        if not names or size > _MOST or order not in _ORDERS:
            raise FailedRpcError("INVALID_ARGUMENT", "resource_names, page_size or order_by cannot be so")
        if any(self._store.denied("logging.logEntries.list", name) for name in names):
            raise FailedRpcError("PERMISSION_DENIED", "Permission denied for all log views")
        try:
            fits = compiled(str(asked.get("filter", "")))
        except FilterError as error:
            raise FailedRpcError("INVALID_ARGUMENT", f"Unparseable filter: {error}") from None
        with self._store.lock:
            seen = [one for one in self._store.log if self._is_visible(one)]
        mine = [one for one in seen if str(one.get("logName", "")).startswith(tuple(f"{name}/" for name in names))]
        found = [one for one in mine if fits(one)]
        # Entries of one moment stay in the order in which they came.
        found.sort(key=_at, reverse=order.endswith("desc"))
        start = int(asked.get("pageToken") or 0)
        end = start + size
        page = {"entries": found[start:end]} if found[start:end] else {}
        return {**page, **({"nextPageToken": str(end)} if end < len(found) else {})}

    def write(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """Take entries, all or none; one of the same log, time and insert id as another is the same one.

        Raises:
            FailedRpcError: in the words of Cloud Logging.
        """
        if len(json.dumps(asked).encode()) > _MOST_BYTES:
            raise FailedRpcError("INVALID_ARGUMENT", "Request payload size exceeds the limit")
        usual = {name: asked[name] for name in ("logName", "resource", "labels") if name in asked}
        entries = [{**usual, **one} for one in asked.get("entries", ())]
        for one in entries:
            name = str(one.get("logName", ""))
            project = "/".join(name.split("/")[:2])
            if not name.startswith("projects/") or "/logs/" not in name:
                raise FailedRpcError("INVALID_ARGUMENT", "Name is not a log's")
            if project.removeprefix("projects/") not in self._store.projects:
                raise FailedRpcError("NOT_FOUND", "Project does not exist")
            if self._store.denied("logging.logEntries.create", project):
                raise FailedRpcError("PERMISSION_DENIED", "Permission 'logging.logEntries.create' denied on resource")
            self._demand_sound(one)
        with self._store.lock:
            known = {_same(one) for one in self._store.log}
            for one in entries:
                # Too old for what the log keeps: it is taken, and nobody sees it.
                if _same(one) not in known and _at(one) >= self._store.clock() - _KEPT:
                    known.add(_same(one))
                    self._store.log.append(one)
        return {}

    def _demand_sound(self, one: Mapping[str, Any]) -> None:
        kinds = [name for name in ("jsonPayload", "textPayload", "protoPayload") if name in one]
        labels = one.get("labels", {})
        wrong = (
            "resource" not in one
            or len(kinds) != 1
            or one.get("severity", "DEFAULT") not in _SEVERITIES
            or len(labels) > _LABELS
            or not all(isinstance(value, str) for value in labels.values())
            or _at(one) > self._store.clock() + _AHEAD
        )
        if wrong:
            raise FailedRpcError("INVALID_ARGUMENT", "Log entry is invalid")
        if len(json.dumps(one, ensure_ascii=False).encode()) > _LARGEST:
            raise FailedRpcError("INVALID_ARGUMENT", "Log entry with size exceeds maximum size of 256.0K")

    def _is_visible(self, entry: Mapping[str, Any]) -> bool:
        return _at(entry) + self._store.log_lag <= self._store.clock()


def _at(entry: Mapping[str, Any]) -> datetime:
    return datetime.fromisoformat(str(entry["timestamp"]))


def _same(entry: Mapping[str, Any]) -> tuple[str, str, str]:
    return str(entry.get("logName")), str(entry["timestamp"]), str(entry.get("insertId"))
