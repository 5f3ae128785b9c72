"""Who did it: what is asked of an audit log for a finding, and when."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

from auditor.attribution.explaining import ANY_STATE, UNDONE_BY, UNSURE, Calls, Wanted
from auditor.attribution.logged import Inquiry, Reply
from auditor.findings import Finding, Sought, Status, SubjectKind
from auditor.model import (
    AwsKey,
    Cloud,
    GcpKey,
    KeyName,
    Reason,
    concerns,
    is_being_made,
    split_version,
    use_changes,
)
from auditor.overruling import CLOCKS_APART
from auditor.readability import KeyView
from auditor.readability.access import ANY_PRINCIPAL

LAG: Final = {Cloud.AWS: timedelta(hours=2), Cloud.GCP: timedelta(minutes=10)}
"""How late an entry may come. CloudTrail promises nothing and mostly takes minutes; 85 were seen. Admin Activity
entries of Google Cloud are there within seconds, unless Logging itself is in trouble."""
_OFTEN: Final = timedelta(minutes=5)
_AGAIN: Final = timedelta(minutes=15)
"""After so long nearly all entries are there: who was found before is looked at again, and when the lag is over."""
_SELDOM: Final = timedelta(hours=1)
"""A log that cannot be read, or explains nothing yet, is asked with each poll for some minutes, after ever longer
times then, and at last so often."""

EXPIRES: Final = "EXPIRES"
"""What an import of material lands in that has a date at which it goes away."""
_DISABLED: Final = frozenset({"DISABLED"})
_ANY: Final = ANY_STATE

_AWS_DISABLE: Final[Calls] = {"DisableKey": _ANY, "CancelKeyDeletion": _ANY}
_AWS_DELETE: Final[Calls] = {"ScheduleKeyDeletion": _ANY}
_AWS_IMPORT: Final[Calls] = {"ImportKeyMaterial": frozenset({EXPIRES})}
_AWS_MATERIAL: Final[Calls] = {"DeleteImportedKeyMaterial": _ANY, **_AWS_IMPORT}
_AWS_STORE: Final[Calls] = {"DisconnectCustomKeyStore": _ANY, "UpdateCustomKeyStore": _ANY}
_AWS_POLICY: Final[Calls] = {"PutKeyPolicy": _ANY, "RevokeGrant": _ANY, "RetireGrant": _ANY}
_AWS_GIVEN: Final[Calls] = {"PutKeyPolicy": _ANY, "CreateKey": _ANY}
_AWS_STATES: Final[Mapping[str, Calls]] = {
    "Disabled": _AWS_DISABLE,
    "PendingImport": _AWS_MATERIAL,
    "PendingDeletion": _AWS_DELETE,
    "PendingReplicaDeletion": _AWS_DELETE,
    "Unavailable": _AWS_STORE,
}
_GCP_DISABLE: Final[Calls] = {"UpdateCryptoKeyVersion": _DISABLED, "RestoreCryptoKeyVersion": _ANY}
_GCP_DESTROY: Final[Calls] = {"DestroyCryptoKeyVersion": _ANY}
_GCP_POLICY: Final[Calls] = {"SetIamPolicy": _ANY}
_GCP_STATES: Final[Mapping[str, Calls]] = {
    "DISABLED": _GCP_DISABLE,
    "DESTROY_SCHEDULED": _GCP_DESTROY,
    "DESTROYED": _GCP_DESTROY,
    "IMPORT_FAILED": {"ImportCryptoKeyVersion": _ANY},
}

_BY_RULE: Final[Mapping[str, Mapping[Cloud, Calls]]] = {
    "data-lost": {Cloud.AWS: _AWS_DELETE, Cloud.GCP: _GCP_DESTROY},  # only what is destroyed can be deleted
    "data-doomed": {Cloud.AWS: _AWS_DELETE, Cloud.GCP: _GCP_DESTROY},
    "data-unreadable": {Cloud.AWS: {}, Cloud.GCP: {}},  # by the key's state
    "data-unreachable": {Cloud.AWS: _AWS_STORE, Cloud.GCP: {"UpdateEkmConnection": _ANY}},
    "data-expiring": {Cloud.AWS: _AWS_IMPORT, Cloud.GCP: {}},
    "data-revoked": {Cloud.AWS: _AWS_POLICY, Cloud.GCP: _GCP_POLICY},
    "key-access-withdrawn": {Cloud.AWS: _AWS_POLICY, Cloud.GCP: _GCP_POLICY},
    "grant-missing": {Cloud.AWS: {**_AWS_POLICY, "CreateKey": _ANY}, Cloud.GCP: _GCP_POLICY},
    "key-public": {Cloud.AWS: _AWS_GIVEN, Cloud.GCP: _GCP_POLICY},
    "no-key-administrator": {Cloud.AWS: _AWS_GIVEN, Cloud.GCP: _GCP_POLICY},
    "primary-unusable": {Cloud.AWS: {}, Cloud.GCP: {"UpdateCryptoKeyPrimaryVersion": _ANY}},  # and by its state
}
"""The rules whose findings somebody's call has led to, and which calls do. `grant-too-wide` is none of them: it speaks
of what stands, mostly as the platform prescribes it."""
_TAKEN_OFF: Final = frozenset({"DISCONNECTED", "DISCONNECTING"})
_BY_STATE: Final = frozenset({"data-unreadable", "primary-unusable"})
_MAY_BE_OLD: Final = frozenset({"data-lost", "data-expiring"})
"""What comes by itself, long after the call that has led to it."""


def attributable(one: Finding) -> bool:
    """Whether a finding is about a key's state or about who may use it, so that somebody's call has led to it."""
    return one.rule in _BY_RULE and one.status is not Status.RESOLVED


def wanted(one: Finding, views: Mapping[KeyName, KeyView]) -> Wanted | None:
    """Tell which entries would explain a finding; None where they would be about no key that is known."""
    principal, arrow, named = one.subject.id.rpartition(" -> ")
    keys = sorted({KeyName(member[2]) for member in one.members if member[2] is not None})
    version: str | None = None
    if one.subject.kind in {SubjectKind.KEY, SubjectKind.KEY_VERSION, SubjectKind.PRINCIPAL}:
        try:
            key, version = split_version(named)
        except ValueError:
            return None
    elif keys:
        key = keys[0]
    else:
        return None
    find = _of_aws if key.cloud is Cloud.AWS else _of_google
    found = find(one, key, version, views.get(key))
    return replace(found, deprived=principal) if arrow and key.cloud is Cloud.GCP else found


def called(what: Wanted, name: KeyName) -> Wanted:
    """The same of a Google key that its log calls by another name of its project."""
    old, new = f"projects/{what.key.owner}", f"projects/{name.owner}"
    about = (f"{new}{one.removeprefix(old)}" if f"{one}/".startswith(f"{old}/") else one for one in what.about)
    return replace(what, key=name, about=frozenset(about))


def _of_aws(one: Finding, key: KeyName, _version: str | None, view: KeyView | None) -> Wanted:
    known = view.known if view is not None else None
    state = known.state if isinstance(known, AwsKey) else ""
    calls = _AWS_STATES.get(state, {}) if one.rule in _BY_STATE else _BY_RULE[one.rule][Cloud.AWS]
    about, behind = frozenset({key.text}), frozenset[str]()
    store = known.store if isinstance(known, AwsKey) else None
    if "DisconnectCustomKeyStore" in calls and store is not None:
        about = behind = frozenset({store.id})
        if store.connection_state in _TAKEN_OFF:
            calls = {"DisconnectCustomKeyStore": _ANY}  # what is changed while it is off did not take it off
    # Material that expires goes by itself, and so does a replica's primary key.
    old = one.rule in _MAY_BE_OLD or state in {"PendingImport", "PendingReplicaDeletion"}
    return Wanted(key, calls, about, behind, state=state if one.rule in _BY_STATE else "", old=old)


def _of_google(one: Finding, key: KeyName, version: str | None, view: KeyView | None) -> Wanted:
    known = view.known if view is not None else None
    versions = {each.number: each.state for each in known.versions} if isinstance(known, GcpKey) else {}
    if one.rule == "primary-unusable" and isinstance(known, GcpKey):
        version = known.primary
    mine = [version] if version is not None else sorted(versions)
    calls = dict(_BY_RULE[one.rule][Cloud.GCP])
    states = {versions.get(number, "") for number in mine}
    if one.rule in _BY_STATE:
        for state in sorted(states):
            calls |= _GCP_STATES.get(state, {})
    about = {key.text, *(f"{key}/cryptoKeyVersions/{number}" for number in mine)}
    behind = frozenset[str]()
    if one.rule == "data-revoked" and one.subject.id.startswith(f"{ANY_PRINCIPAL} -> "):
        calls = {"UpdateCryptoKey": _ANY}  # its policy for Key Access Justifications
    elif "SetIamPolicy" in calls:
        about |= {key.ring, f"projects/{key.owner}"}
    elif one.subject.kind is SubjectKind.EKM_CONNECTION:
        behind = frozenset({one.subject.id})
        about = {one.subject.id}
    elif one.subject.kind is SubjectKind.HSM_INSTANCE:
        calls = {}
    old = one.rule in _MAY_BE_OLD or (one.rule in _BY_STATE and "DESTROYED" in states)
    # Which version is the primary one may change under the same finding.
    state = f"{version} {versions[version]}" if one.rule in _BY_STATE and version in versions else ""
    opened = one.rule == "key-public"
    return Wanted(key, calls, frozenset(about), behind, state=state, opened=opened, old=old)


def last_otherwise(one: Finding, what: Wanted, views: Mapping[KeyName, KeyView]) -> datetime | None:
    """When what a finding says was last read to be otherwise; None where nobody saw it change."""
    view = views.get(what.key)
    memory = view.memory if view is not None else None
    if view is None or memory is None or memory.last is None or memory.last_at is None or view.reading is None:
        return None
    if isinstance(view.reading, AwsKey | GcpKey) and not is_being_made(view.reading):
        _, version = split_version(one.subject.id) if one.subject.kind is SubjectKind.KEY_VERSION else (None, None)
        principal = one.subject.id.rpartition(" -> ")[0]
        # That a key was enabled uncovers a right that was taken away long before, and the other way round.
        rights = bool(principal) or what.calls.keys() <= UNSURE
        changed = use_changes(memory.told, view.reading)
        if not any(_is_of_a_right(fact) == rights and concerns(fact, version, (principal,)) for fact in changed):
            return None
    elif memory.denied_since is not None or memory.missing_since is not None:
        return None
    return memory.last_at


def _is_of_a_right(fact: str) -> bool:
    return fact == "reasons" or fact.startswith("right ")


def seen_so(one: Finding) -> datetime:
    """When what somebody is looked for was first seen: what has led to it was done before."""
    return one.sought.seen if one.sought is not None and one.sought.seen is not None else one.first_seen


def is_due(one: Finding, now: datetime, lag: timedelta) -> bool:
    """Whether the log is to be asked now: at first with each poll, then ever more seldom, and when its lag is over.

    Who was found meanwhile is looked at again, as entries do not come in their order.
    """
    sought = one.sought
    if sought is None or sought.settled:
        return False
    if sought.first is None or sought.last is None or not sought.last <= now:
        return True
    over, passed, rested = seen_so(one) + lag, sought.last - sought.first, now - sought.last
    if now >= over > sought.last:
        return True
    if one.actor is not None:
        again = seen_so(one) + _AGAIN
        return now >= again > sought.last or (now >= over and rested >= _SELDOM)
    return passed < _OFTEN or rested >= min(_SELDOM, passed)


def inquiry(one: Finding, what: Wanted, now: datetime, overlap: timedelta) -> Inquiry:
    """What is asked of the log for a finding; `overlap`: how long after a call the state before it may be read."""
    after = one.sought.after if one.sought is not None and not what.old else None
    until = min(now, seen_so(one)) + CLOCKS_APART
    calls = frozenset(what.calls).union(*(UNDONE_BY.get(call, {}) for call in what.calls))
    return Inquiry(what.key, calls, after - overlap if after else None, until, now, what.behind)


def together(inquiries: Iterable[Inquiry]) -> tuple[Inquiry, ...]:
    """One inquiry for each key, wide enough for all of its findings, in the order of the first of each."""
    found: dict[KeyName, Inquiry] = {}
    for one in inquiries:
        other = found.get(one.key)
        if other is not None:
            since = None if one.since is None or other.since is None else min(one.since, other.since)
            until = max(one.until, other.until)
            one = Inquiry(one.key, one.calls | other.calls, since, until, one.at, one.behind | other.behind)  # noqa: PLW2901 - grown
        found[one.key] = one
    return tuple(found.values())


def covers(reply: Reply, asked: Inquiry) -> bool:
    """Whether a reply, which may be to what an earlier poll has asked, is to all that is asked now."""
    was = reply.inquiry
    early = was.since is None or (asked.since is not None and was.since <= asked.since)
    # A key may have been switched on and off again since it was asked about.
    return asked.calls <= was.calls and asked.behind <= was.behind and early and was.until >= asked.until


def begun(one: Finding, what: Wanted | None, views: Mapping[KeyName, KeyView], now: datetime) -> Finding:
    """The finding with its search begun: anew where its key is in another state than the one that was looked for."""
    sought, state = one.sought, what.state if what is not None else ""
    if sought is not None and (not state or sought.state in {None, state}):
        return one if not state else replace(one, sought=replace(sought, state=state))
    after = last_otherwise(one, what, views) if what is not None else None
    if sought is None:
        return replace(one, sought=Sought(after, state=state or None))
    return replace(one, actor=None, unattributed=None, sought=Sought(after, state=state, seen=now))


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A log that told nothing when it was asked, and for which findings."""

    log: str
    reason: Reason
    findings: tuple[Finding, ...] = field(default=())


def unreadable(findings: Iterable[Finding]) -> Iterator[Unreadable]:
    """Yield each log that told nothing of some finding when it was asked last, with why."""
    silent: dict[tuple[str, Reason], list[Finding]] = {}
    for one in findings:
        sought = one.sought
        if attributable(one) and one.actor is None and sought is not None and sought.unread and sought.log:
            silent.setdefault((sought.log, sought.unread), []).append(one)
    for (log, reason), found in sorted(silent.items()):
        yield Unreadable(log, reason, tuple(found))
