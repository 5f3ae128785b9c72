"""Who changed AWS KMS keys, by CloudTrail's event history of their account and Region, which is there without a trail.

Needs `cloudtrail:LookupEvents` in the key's own account. Source: CloudTrail API Reference, LookupEvents; CloudTrail
User Guide, record contents and userIdentity element; AWS KMS Developer Guide, Logging KMS API calls.
"""

import threading
from collections import defaultdict
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from auditor.attribution.logged import REACHES, Change, Inquiry, Reply
from auditor.connectors.aws.errors import FAULTS, reason_of
from auditor.connectors.aws.event import moment, table
from auditor.connectors.aws.session import AwsClients
from auditor.connectors.documents import parse_once
from auditor.connectors.pace import Pace
from auditor.connectors.printable import printable
from auditor.connectors.trail import Trail
from auditor.model import Cloud, KeyName, Reason

_QUOTA: Final = 2.0
"""LookupEvents requests a second, account and Region."""
_SHARE: Final = 0.75
_BURST: Final = 1
"""With more at once there were three in the first second, and whoever else asks has none left."""
_PAGE: Final = 50
_PAGES_OF_A_KEY: Final = 2
"""What a busy key is used for stands in the same history: its changes are rather found by their names then."""
_PAGES_OF_A_NAME: Final = 4
_AT_ONCE: Final = 8
"""Keys whose calls are looked for by their names together."""
_LONGEST: Final = 300_000
"""Characters; a record has 256 kB at most."""
_SECOND: Final = timedelta(seconds=1)
_STORES: Final = frozenset({"ConnectCustomKeyStore", "DisconnectCustomKeyStore", "UpdateCustomKeyStore"})


@dataclass(slots=True)
class _Found:
    """What was found for one inquiry so far, by the id of its event."""

    changes: dict[str, Change] = field(default_factory=dict)
    odd: bool = False
    """Something could not be read that may be one of them."""
    whole: bool = True
    back_to: datetime | None = None
    """From when on all was looked through, where not all was."""

    def add(self, events: Iterable[Any], asked: Inquiry) -> None:
        """Take what is about the key out of a page."""
        for event in events:
            record = record_of(event)
            if record is None:
                name = table(event).get("EventName")
                self.odd = self.odd or not isinstance(name, str) or name in asked.calls
            elif (change := parse_record(record, asked)) is not None:
                self.changes[change.event_id] = change

    def cut(self, oldest: datetime) -> None:
        """Note that nothing before a moment was looked through for some of the calls."""
        self.whole = False
        self.back_to = oldest if self.back_to is None else max(self.back_to, oldest)


class AwsAuditLog:
    """`ports.AuditLog`; safe to use from many threads."""

    def __init__(self, clients: AwsClients, clock: Callable[[], datetime], silent: str | None = None) -> None:
        self._clients = clients
        self._clock = clock
        self.silent = silent
        self._paces: defaultdict[str, Pace] = defaultdict(lambda: Pace(_QUOTA * _SHARE, burst=_BURST))
        self._lock = threading.Lock()

    def place(self, key: KeyName) -> str:
        """Account and Region."""
        return f"{key.owner}/{key.location}"

    def name(self, key: KeyName) -> str:
        """The history of the account."""
        return f"cloudtrail/{key.owner}"

    def read(self, inquiries: Sequence[Inquiry]) -> Iterator[tuple[Reply, ...]]:
        """Yield replies to inquiries about one account and Region: some by their keys, what is left of them by name."""
        key = inquiries[0].key
        caller = self._clients.caller(key.owner)
        if isinstance(caller, Reason) or caller[0] != key.owner:
            # Nobody else is told of an account's calls: their own history would have none of them.
            yield _silent(inquiries, caller if isinstance(caller, Reason) else Reason.NOT_VISIBLE)
            return
        for start in range(0, len(inquiries), _AT_ONCE):
            yield from self._some(inquiries[start : start + _AT_ONCE])

    def _some(self, some: Sequence[Inquiry]) -> Iterator[tuple[Reply, ...]]:
        left = list(some)
        try:
            for one in some:
                found = yield from self._by_key(one)
                # A part of a key's history may lack the very call that undid, or repeated, what the rest tells.
                if found.changes and found.whole:
                    left.remove(one)
                    yield (_reply(one, found),)
            if left:
                yield (yield from self._by_name(left))
        except FAULTS as error:
            yield _silent(left, reason_of(error))

    def _by_key(self, one: Inquiry) -> Generator[tuple[Reply, ...], None, _Found]:
        """What the history has under the key's ARN; events about what stands behind the key are not."""
        found = _Found()
        if one.behind or one.calls <= _STORES:
            return found
        for page in self._pages(one.key, ("ResourceName", one.key.text), (one.since, one.until), _PAGES_OF_A_KEY):
            found.whole = page is not None
            found.add(page or (), one)
            yield ()
        return found

    def _by_name(self, left: Sequence[Inquiry]) -> Generator[tuple[Reply, ...], None, tuple[Reply, ...]]:
        """Look for the calls by their names, once for all keys: under which name a key stands is not promised."""
        found = {one.key: _Found() for one in left}
        every = [one.since for one in left]
        known = [one for one in every if one is not None]
        since = min(known) if len(known) == len(every) else None
        until = max(one.until for one in left)
        for call in sorted({call for one in left for call in one.calls}):
            asking = [one for one in left if call in one.calls]
            oldest = until
            for page in self._pages(left[0].key, ("EventName", call), (since, until), _PAGES_OF_A_NAME):
                for one in asking:
                    if page is None:
                        found[one.key].cut(oldest)
                    else:
                        found[one.key].add(page, one)
                oldest = min((oldest, *_times(page or ())))
                yield ()
        return tuple(_reply(one, found[one.key]) for one in left)

    def _pages(
        self, key: KeyName, by: tuple[str, str], window: tuple[datetime | None, datetime], most: int
    ) -> Iterator[list[Any] | None]:
        """Yield some pages, the newest events first; at last None where there are more."""
        client = self._clients.cloudtrail(key.location, key.owner)
        now, (since, until) = self._clock(), window
        with self._lock:
            pace = self._paces[self.place(key)]
        asked: dict[str, Any] = {
            "LookupAttributes": [{"AttributeKey": by[0], "AttributeValue": by[1]}],
            "MaxResults": _PAGE,
        }
        if since is not None and since > now - REACHES[Cloud.AWS]:
            asked["StartTime"] = since - _SECOND  # it tells whole seconds
        if until < now:
            asked["EndTime"] = until + _SECOND
        trail = Trail()
        for _ in range(most):
            pace.wait()
            told: Mapping[str, Any] = client.lookup_events(**asked)
            yield list(told.get("Events", ()))
            if not told.get("NextToken"):
                return
            if not trail.leads_on(told["NextToken"]):
                break
            asked["NextToken"] = told["NextToken"]
        yield None


def _silent(some: Iterable[Inquiry], reason: Reason) -> tuple[Reply, ...]:
    return tuple(Reply(one, unread=reason) for one in some)


def _reply(one: Inquiry, found: _Found) -> Reply:
    unread = Reason.MALFORMED if found.odd else None
    return Reply(one, tuple(found.changes.values()), found.whole, unread, found.back_to)


def _times(events: Iterable[Any]) -> Iterator[datetime]:
    """When the calls of a page were made; of one that cannot be read nobody knows."""
    for event in events:
        at = moment((record_of(event) or {}).get("eventTime"))
        if at is not None:
            yield at


def record_of(event: object) -> Mapping[str, Any] | None:
    """The record in an entry of the history; None where it is none."""
    text = table(event).get("CloudTrailEvent")
    if not isinstance(text, str) or len(text) > _LONGEST:
        return None
    try:
        found = parse_once(text)
    except (ValueError, RecursionError):
        return None
    is_one = isinstance(found, dict) and isinstance(found.get("eventName"), str) and printable(found.get("eventID"))
    return found if is_one and moment(found.get("eventTime")) is not None else None


def parse_record(record: Mapping[str, Any], asked: Inquiry) -> Change | None:
    """Read a record as a change that is asked for; None where it is no such one, or did not succeed."""
    call, at, event = record["eventName"], moment(record["eventTime"]), printable(record["eventID"])
    who = table(record.get("userIdentity"))
    if call not in asked.calls or at is None or event is None or record.get("eventSource") != "kms.amazonaws.com":
        return None
    # What a service did by itself has no caller: who caused it called earlier.
    if record.get("errorCode") or record.get("readOnly") is True or record.get("eventType") == "AwsServiceEvent":
        return None
    about = _about(record, asked)
    if about is None:
        return None
    return Change(
        call=call,
        about=about,
        at=at,
        event_id=event,
        principal=printable(who.get("arn")) or printable(who.get("principalId")) or printable(who.get("invokedBy")),
        source=printable(record.get("sourceIPAddress")),
        via=_via(who),
        lands_in=_lands_in(table(record.get("requestParameters"))),
    )


def _about(record: Mapping[str, Any], asked: Inquiry) -> str | None:
    """What of that which is asked about a record is about: the key, or what stands behind it."""
    key, told = asked.key, table(record.get("requestParameters"))
    if record.get("awsRegion") != key.location or record.get("recipientAccountId") not in (None, key.owner):
        return None
    store = told.get("customKeyStoreId")
    if isinstance(store, str) and store in asked.behind:
        return store
    resources = record.get("resources")
    names = {one.get("ARN") for one in map(table, resources if isinstance(resources, list) else ()) if _is_text(one)}
    named = told.get("keyId")
    if isinstance(named, str):
        names.add(named if named.startswith("arn:") else f"{key.text.rpartition('/')[0]}/{named}")
    return key.text if key.text in names else None


def _is_text(resource: Mapping[str, Any]) -> bool:
    return isinstance(resource.get("ARN"), str)


def _lands_in(told: Mapping[str, Any]) -> str | None:
    """That imported material has a date at which it goes away."""
    expires = told.get("expirationModel") == "KEY_MATERIAL_EXPIRES" or told.get("validTo") is not None
    return "EXPIRES" if expires else None


def _via(who: Mapping[str, Any]) -> str | None:
    """The role whose session it was, and the service that made the call for it."""
    issuer = table(table(who.get("sessionContext")).get("sessionIssuer"))
    names = (printable(issuer.get("arn")), printable(who.get("invokedBy")))
    return printable(" by ".join(one for one in names if one))
