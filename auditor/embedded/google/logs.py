"""Cloud Logging, as far as it tells what was done: `entries:list` over JSON."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from auditor.embedded.google.kms import FailedRpcError
from auditor.embedded.google.log_filter import FilterError, compiled
from auditor.embedded.google.store import Store

_USUAL: Final = 50
_MOST: Final = 1000
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

    def _is_visible(self, entry: Mapping[str, Any]) -> bool:
        return _at(entry) + self._store.log_lag <= self._store.clock()


def _at(entry: Mapping[str, Any]) -> datetime:
    return datetime.fromisoformat(str(entry["timestamp"]))
