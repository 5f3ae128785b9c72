"""All buckets of the projects in use, to tell how many nobody configured."""

from collections.abc import Iterable
from typing import Final

from google.cloud.storage.retry import DEFAULT_RETRY

from auditor.connectors.gcp.errors import FAULTS, code_of, hint_for, reason_of
from auditor.connectors.gcp.session import GcpClients
from auditor.connectors.trail import Trail
from auditor.model import Gap, Reason

_TIMEOUT: Final = 60
_RETRY: Final = DEFAULT_RETRY.with_timeout(60.0)
"""As for a bucket's listing."""


class GcsBuckets:
    """Lists by `storage.buckets.list` in each project that the config names."""

    def __init__(self, clients: GcpClients, projects: Iterable[str]) -> None:
        self._clients = clients
        self._projects = tuple(projects)

    def buckets(self) -> frozenset[str] | Gap:
        """URLs of all buckets, or the Gap when listing is not allowed or no project is known."""
        if not self._projects:
            return Gap(
                "Cloud Storage buckets",
                Reason.UNSUPPORTED,
                "not listed: the config names no Google project",
                "add an [[account]] with the project of the buckets",
            )
        found: set[str] = set()
        for project in self._projects:
            try:
                listed = self._clients.storage(project).list_buckets(project=project, timeout=_TIMEOUT, retry=_RETRY)
                trail = Trail()
                for page in listed.pages:
                    found.update(f"gs://{one.name}" for one in page)
                    if listed.next_page_token and not trail.leads_on(listed.next_page_token):
                        return _not_listed(project, Reason.MALFORMED, "the pages go round in a circle")
            except FAULTS as error:
                return _not_listed(project, reason_of(error), code_of(error))
        return frozenset(found)


def _not_listed(project: str, reason: Reason, code: str) -> Gap:
    return Gap(
        f"buckets of project {project}", reason, f"not listed ({code})", hint_for(reason, "storage.buckets.list")
    )
