"""The words of the gaps that audit logs leave: whom they do not tell of, and what would make them tell."""

from collections.abc import Iterable, Iterator
from typing import Final

from auditor.attribution.who import Unreadable
from auditor.model import Gap, Reason

_AWS: Final = "cloudtrail/"
"""How the name of an account's log begins."""
_RIGHT: Final = {True: "cloudtrail:LookupEvents", False: "logging.logEntries.list"}
_HINTS: Final = {
    Reason.NOT_VISIBLE: "only the account's own identities see its log; give [[account]] a role there",
    Reason.EXPIRED_CREDENTIALS: "give the auditor credentials, or renew them",
    Reason.THROTTLED: "nothing: the next polls ask again, at their own slow pace",
    Reason.TIMEOUT: "nothing, if it passes; else look at the network between the auditor and the log",
    Reason.MALFORMED: "look at the endpoint: it answers something else",
    Reason.NOT_FOUND: "look at the name of the key's project in the config",
}


def right_on(log: str) -> str:
    """The permission that a log is read with."""
    return _RIGHT[log.startswith(_AWS)]


def of_logs(silent: Iterable[Unreadable]) -> Iterator[Gap]:
    """Tell of each log that told nothing, and of how many findings nobody knows who did it."""
    for one in silent:
        count = len(one.findings)
        which = "a finding" if count == 1 else f"{count} findings"
        yield Gap(one.log, one.reason, f"who did what led to {which} is not known", _hint(one))


def _hint(one: Unreadable) -> str:
    if one.reason is Reason.ACCESS_DENIED:
        if one.log.startswith(_AWS):
            return f"grant {right_on(one.log)} to the auditor in that account"
        return f"grant {right_on(one.log)} to the auditor in that project, and see that Cloud Logging's API is enabled"
    if one.reason is Reason.UNSUPPORTED:
        if one.log.startswith(_AWS):
            return "look at the endpoint: it does not know LookupEvents"
        return "pip install 'cmek-auditor[logging]'; where that is done, look at the endpoint"
    return _HINTS.get(one.reason, "look at the network between the auditor and the log")
