"""Entries of audit logs -> hints that a key may have changed.

An entry is believed as far as a doorbell is: it names a key that is to be read now. Whoever could forge one could make
us read a key, and nothing else.

Source: Cloud KMS docs, Audit logging; the reference of `AuditLog`; Cloud Logging docs, Route logs to Pub/Sub.
"""

import base64
import re
from collections.abc import Mapping
from typing import Any, Final

from auditor.connectors.documents import parse_once
from auditor.connectors.gcp.log_entry import ACTIVITY, KMS, PROJECTS, SYSTEM_EVENT, has_failed, moment, quoted, table
from auditor.connectors.printable import printable
from auditor.model import KeyName
from auditor.ports import Hint

_MOST: Final = 2 * 1024 * 1024
"""Characters of one message: an audit entry has 512 KiB at most, and four thirds of that as Base64."""
_READS: Final = re.compile(
    r"(Get|List|Search|Show)([A-Z].*)?|TestIamPermissions|VerifyConnectivity|(Raw)?(En|De)crypt|Asymmetric(Sign|Decrypt)"
    r"|Mac(Sign|Verify)|Decapsulate|GenerateRandomBytes"
)
"""Calls of Cloud KMS that change nothing; one that nobody knows yet may change something."""
_BESIDE: Final[Mapping[str, frozenset[str]]] = {
    PROJECTS: frozenset(
        {"SetIamPolicy", "DeleteProject", "UndeleteProject", "MoveProject", "SetOrgPolicy", "ClearOrgPolicy"}
    ),
    "iam.googleapis.com": frozenset(
        {
            *("CreatePolicy", "UpdatePolicy", "DeletePolicy", "UpdateRole", "DeleteRole", "UndeleteRole"),
            *("DisableServiceAccount", "EnableServiceAccount", "DeleteServiceAccount", "UndeleteServiceAccount"),
        }
    ),
    "orgpolicy.googleapis.com": frozenset({"CreatePolicy", "UpdatePolicy", "DeletePolicy"}),
    "serviceusage.googleapis.com": frozenset({"DisableService", "EnableService", "BatchEnableServices"}),
}
"""What takes access to keys away, or gives it back, without Cloud KMS being called: service -> calls."""
_KEY: Final = re.compile(r"projects/([^/]+)(/locations/[^/]+/keyRings/[^/]+/cryptoKeys/[^/]+)(?:/.*)?")
_LOG_OF: Final = re.compile(r"projects/([^/]+)/logs/.*")


def _watched() -> str:
    calls = sorted({call for some in _BESIDE.values() for call in some})
    services = " OR ".join(map(quoted, sorted(_BESIDE)))
    named = quoted(rf"(^|\.)({'|'.join(calls)})$")
    return (
        f"(log_id({quoted(ACTIVITY)}) OR log_id({quoted(SYSTEM_EVENT)})) AND (protoPayload.serviceName={quoted(KMS)} "
        f"OR (protoPayload.serviceName=({services}) AND protoPayload.methodName=~{named}))"
    )


WATCHED: Final = _watched()
"""The filter that finds every entry which may be a hint, in Cloud Logging's query language."""


def parse_message(message: Mapping[str, Any]) -> Hint | None:
    """Read a message of Pub/Sub that a log sink has written; None where it is no hint.

    Raises:
        ValueError: nobody can understand it; the text says why, in our words alone.
    """
    data = message.get("data")
    if not isinstance(data, str) or not data:
        raise ValueError("it has no data")
    if len(data) > _MOST:
        raise ValueError("it is longer than any entry of a log")
    try:
        entry = parse_once(base64.b64decode(data, validate=True))
    except (ValueError, RecursionError):
        raise ValueError("its data are no JSON") from None
    return parse_entry(entry)


def parse_entry(entry: object) -> Hint | None:
    """Read one entry; None where it is no hint.

    Raises:
        ValueError: nobody can understand it; the text says why, in our words alone.
    """
    told = table(entry)
    if not told:
        raise ValueError("it is no entry of a log")
    if "protoPayload" not in told:
        return None
    payload = table(told["protoPayload"])
    service, method = payload.get("serviceName"), payload.get("methodName")
    call = printable(method.rpartition(".")[2]) if isinstance(method, str) else None
    if not isinstance(service, str) or call is None:
        raise ValueError("it does not say what was called")
    if service != KMS and service not in _BESIDE:
        return None
    at = moment(told.get("timestamp")) or moment(told.get("receiveTimestamp"))
    if at is None:
        raise ValueError("it does not say when")
    is_read = _READS.fullmatch(call) is not None if service == KMS else call not in _BESIDE[service]
    if is_read or has_failed(payload):
        return None
    key = _key(payload.get("resourceName"), told) if service == KMS else None
    return Hint(key, call, at, printable(told.get("insertId")))


def _key(name: object, entry: Mapping[str, Any]) -> KeyName | None:
    """The key that an entry is about, its project called by the id; None where it is about none, or about more."""
    hit = _KEY.fullmatch(name) if isinstance(name, str) else None
    if hit is None:
        return None
    project = hit[1]
    if project.isdigit():
        log = entry.get("logName")
        home = _LOG_OF.fullmatch(log) if isinstance(log, str) else None
        project = home[1] if home is not None else project
    try:
        return KeyName.parse(f"projects/{project}{hit[2]}")
    except ValueError:
        return None
