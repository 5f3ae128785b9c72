"""Who changed Cloud KMS keys, by the Admin Activity log of their project, which nobody can switch off.

Needs `logging.logEntries.list` on the project. Source: Cloud KMS docs, Audit logging; Cloud Logging docs, Logging query
language, Quotas and limits; the reference of `AuditLog`.
"""

import re
from collections.abc import Callable, Container, Generator, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from auditor.attribution.logged import REACHES, Change, Inquiry, Reply
from auditor.connectors.gcp.errors import FAULTS, reason_of
from auditor.connectors.gcp.log_entry import ACTIVITY, KMS, PROJECTS, has_failed, moment, quoted, stamp, table
from auditor.connectors.gcp.log_pages import LogPages
from auditor.connectors.gcp.policy import NEVER
from auditor.connectors.gcp.session import GcpClients
from auditor.connectors.printable import printable
from auditor.model import Cloud, KeyName, Reason

_SHARE: Final = 0.5
_BURST: Final = 10
_MOST_PAGES: Final = 10
"""Of one question: what is behind them is told as not looked through."""
_AT_ONCE: Final = 50
"""Keys in one question: a filter has 20,000 characters at most."""
_POLICY: Final = "SetIamPolicy"
_WHOSE: Final = re.compile(r"projects/([^/]+)(/.+)?")


class GcpAuditLog:
    """`ports.AuditLog`; safe to use from many threads."""

    def __init__(self, clients: GcpClients, clock: Callable[[], datetime], silent: str | None = None) -> None:
        self._pages = LogPages(clients, _SHARE, _BURST)
        self._clock = clock
        self.silent = silent

    def place(self, key: KeyName) -> str:
        """The project."""
        return key.owner

    def name(self, key: KeyName) -> str:
        """The Admin Activity log of the project."""
        return f"projects/{key.owner}/logs/cloudaudit.googleapis.com%2Factivity"

    def read(self, inquiries: Sequence[Inquiry]) -> Iterator[tuple[Reply, ...]]:
        """Yield replies to inquiries about one project, for some keys at a time."""
        for start in range(0, len(inquiries), _AT_ONCE):
            yield (yield from self._read(inquiries[start : start + _AT_ONCE]))

    def _read(self, some: Sequence[Inquiry]) -> Generator[tuple[Reply, ...], None, tuple[Reply, ...]]:
        project = some[0].key.owner
        found: dict[tuple[str, str], Change] = {}
        whole = sound = True
        try:
            for page in self._pages.found(project, filter_of(some, self._clock()), _MOST_PAGES):
                if page is None:
                    whole = False
                    break
                for entry in page:
                    change = parse_entry(entry, project)
                    if change is not None:
                        found[change.event_id, change.call] = change
                    else:
                        sound = sound and not is_odd(entry)
                yield ()
        except ImportError:
            return _silent(some, Reason.UNSUPPORTED)
        except FAULTS as error:
            return _silent(some, reason_of(error))
        changes = tuple(found.values())
        unread = None if sound else Reason.MALFORMED
        # What is missing is older than all of these: the newest entries come first.
        return tuple(Reply(one, changes, whole, unread) for one in some)


def _silent(some: Iterable[Inquiry], reason: Reason) -> tuple[Reply, ...]:
    return tuple(Reply(one, unread=reason) for one in some)


def filter_of(some: Iterable[Inquiry], now: datetime) -> str:
    """What finds the changes of some keys of one project; without a time it would find those of the last day alone."""
    every = tuple(some)
    oldest = now - REACHES[Cloud.GCP]
    since = min(one.since or oldest for one in every)
    until = max(one.until for one in every)
    calls = sorted({call for one in every for call in one.calls})
    named = r"(^|\.)(" + "|".join(calls) + ")$"
    names = [*(_under(one.key) for one in every), *(_ending(each) for one in every for each in sorted(one.behind))]
    about = " OR ".join(f"protoPayload.resourceName=~{quoted(one)}" for one in dict.fromkeys(names))
    parts = [
        f"log_id({quoted(ACTIVITY)})",
        f'timestamp>="{stamp(since)}"',
        f'timestamp<="{stamp(until)}"',
        # Short names today; others of Google's services have the service's before them.
        f"protoPayload.methodName=~{quoted(named)}",
    ]
    if _POLICY not in calls:
        return " AND ".join((*parts, f"({about})"))
    rings = dict.fromkeys(_ending(one.key.ring) for one in every)
    of_rings = " OR ".join(f"protoPayload.resourceName=~{quoted(one)}" for one in rings)
    return " AND ".join((*parts, f"({about} OR {of_rings} OR protoPayload.serviceName={quoted(PROJECTS)})"))


def parse_entry(entry: Any, project: str) -> Change | None:
    """Read one entry of a project's log; None where it is no change that succeeded, or cannot be read."""
    payload = table(table(entry).get("protoPayload"))
    call, name = payload.get("methodName"), payload.get("resourceName")
    at, event = moment(table(entry).get("timestamp")), printable(table(entry).get("insertId"))
    service = payload.get("serviceName")
    if has_failed(payload) or not isinstance(service, str) or service not in {KMS, PROJECTS}:
        return None
    if not isinstance(call, str) or at is None or event is None:
        return None
    about = _about(name, project, service)
    if about is None:
        return None
    who = table(payload.get("authenticationInfo"))
    return Change(
        call=printable(call.rpartition(".")[2]) or "",
        about=about,
        at=at,
        event_id=event,
        principal=printable(who.get("principalEmail")) or printable(who.get("principalSubject")),
        source=printable(table(payload.get("requestMetadata")).get("callerIp")),
        via=_via(who),
        lands_in=_state(payload),
        deprived=_members(payload, "REMOVE", idle=NEVER) if call.endswith(_POLICY) else None,
        given=_members(payload, "ADD") if call.endswith(_POLICY) else None,
    )


def is_odd(entry: Any) -> bool:
    """Whether an entry lacks what every one has, so that it may be the one that is looked for."""
    payload = table(table(entry).get("protoPayload"))
    texts = (payload.get("methodName"), payload.get("resourceName"), payload.get("serviceName"))
    named = all(isinstance(one, str) for one in texts) and printable(table(entry).get("insertId"))
    return not named or moment(table(entry).get("timestamp")) is None


def _about(name: object, project: str, service: object) -> str | None:
    """The name of what was changed, with the project called as we call it: by its id here, by its number there."""
    if service == PROJECTS:
        return f"projects/{project}"
    hit = _WHOSE.fullmatch(name) if isinstance(name, str) else None
    if hit is None or hit[2] is None or not (hit[1] == project or hit[1].isdigit() or project.isdigit()):
        return None
    return f"projects/{project}{hit[2]}"


def _state(payload: Mapping[str, Any]) -> str | None:
    """The state that a version was to be in, or is in since."""
    version = table(table(payload.get("request")).get("cryptoKeyVersion"))
    for told in (version.get("state"), table(payload.get("response")).get("state")):
        if isinstance(told, str):
            return printable(told)
    return None


def _members(payload: Mapping[str, Any], action: str, idle: Container[str] = ()) -> frozenset[str] | None:
    """Members that lost, or got, a role that is none of the idle ones; None where the entry does not tell."""
    told = table(table(payload.get("serviceData")).get("policyDelta")).get("bindingDeltas")
    if not isinstance(told, list):
        return None
    changed = [one for one in map(table, told) if one.get("action") == action and str(one.get("role")) not in idle]
    return frozenset(one["member"] for one in changed if isinstance(one.get("member"), str))


def _via(who: Mapping[str, Any]) -> str | None:
    """Whose rights the caller used, where it was given those of somebody else."""
    told = who.get("serviceAccountDelegationInfo")
    names = []
    for one in told if isinstance(told, list) else ():
        first = table(table(one).get("firstPartyPrincipal")).get("principalEmail")
        names.append(printable(first) or printable(table(one).get("principalSubject")))
    return printable(" by ".join(one for one in names if one))


def _under(key: KeyName) -> str:
    """Fits a key and its versions, however its project is called."""
    return f"{_bare(key.text)}(/cryptoKeyVersions/[0-9]+)?$"


def _ending(name: str) -> str:
    return f"{_bare(name)}$"


def _bare(name: str) -> str:
    return re.escape("/" + name.split("/", 2)[2]).replace("\\-", "-").replace("\\/", "/")
