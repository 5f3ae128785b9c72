"""The auditor's own log in Cloud Logging.

Needs `logging.logEntries.create` on the project, and nothing else there. Source: Cloud Logging docs, `entries.write`,
Quotas and limits.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from google.api_core import exceptions as api

from auditor.connectors.gcp.errors import FAULTS, hint_for, reason_of, status_of
from auditor.connectors.gcp.session import GcpClients
from auditor.model import Reason
from auditor.ports import Unwritten

_PERMISSION: Final = "logging.logEntries.create"


class GcpOwnLog:
    """`ports.LogSink`."""

    def __init__(self, clients: GcpClients, name: str) -> None:
        """`name`: projects/PROJECT/logs/NAME."""
        self._clients = clients
        self.name = name

    def write(self, entries: Sequence[Mapping[str, Any]]) -> Unwritten | None:
        """Write some entries, all or none; None: they are written, else why not."""
        project = self.name.split("/")[1]
        resource = {"type": "global", "labels": {"project_id": project}}
        asked = {"logName": self.name, "resource": resource, "entries": list(entries), "partialSuccess": False}
        try:
            self._clients.write_log(project, asked)
        except FAULTS as error:
            # A page of somebody on the way may say 400 as well, and ends one day.
            refused = isinstance(error, api.BadRequest) and status_of(error) == "INVALID_ARGUMENT"
            return Unwritten(reason_of(error), for_good=refused)
        return None

    def hint(self, reason: Reason) -> str:
        """What would let it be written."""
        return hint_for(reason, _PERMISSION)
