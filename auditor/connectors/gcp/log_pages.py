"""What a filter finds in the logs of Google projects, page by page, at a share of their quota."""

import threading
from collections import defaultdict
from collections.abc import Iterator
from typing import Any, Final

from auditor.connectors.gcp.session import GcpClients
from auditor.connectors.pace import Pace
from auditor.connectors.trail import Trail

_QUOTA: Final = 60 / 60
"""entries.list requests a second, a project; nobody can raise it. Source: Cloud Logging docs, Quotas and limits."""
_PAGE: Final = 1000


class LogPages:
    """Safe to use from many threads.

    `share`: how much of the quota of each project; `burst`: requests that may go at once after a rest.
    """

    def __init__(self, clients: GcpClients, share: float, burst: int) -> None:
        self._clients = clients
        self._paces: defaultdict[str, Pace] = defaultdict(lambda: Pace(_QUOTA * share, burst=burst))
        self._lock = threading.Lock()

    def found(self, project: str, asked: str, most: int) -> Iterator[list[Any] | None]:
        """Yield each page of what a filter finds, the newest first; at last None where not all were asked for.

        Raises:
            ImportError: the library is not installed.
            FAULTS: a page could not be read.
        """
        trail, token = Trail(), ""
        with self._lock:
            pace = self._paces[project]
        for _ in range(most):
            pace.wait()
            request = {"filter": asked, "orderBy": "timestamp desc", "pageSize": _PAGE}
            told = self._clients.log_entries(project, {**request, "pageToken": token} if token else request)
            yield list(told.get("entries", ()))
            # An empty page may have another one behind it: the search was not finished.
            token = told.get("nextPageToken") or ""
            if not token:
                return
            if not trail.leads_on(token):
                break
        yield None
