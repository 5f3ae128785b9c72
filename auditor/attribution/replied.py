"""What a finding says of who did it once its audit log has replied."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from auditor.attribution.explaining import Wanted, explaining
from auditor.attribution.logged import REACHES, Change, Inquiry, Reply
from auditor.attribution.who import seen_so
from auditor.findings import Actor, Finding, Sought
from auditor.model import Reason
from auditor.moments import day, minute

_PASSING: Final = frozenset({Reason.THROTTLED, Reason.TIMEOUT})
_MOST_NAMED: Final = 3


@dataclass(frozen=True, slots=True)
class Moment:
    """When a log has replied, which one that was, and how late its entries may come."""

    now: datetime
    log: str
    lag: timedelta


def with_reply(one: Finding, what: Wanted, asked: Inquiry, reply: Reply, at: Moment) -> Finding:
    """What a finding says once the log has replied; `asked`: what was to be asked for it alone."""
    before = one.sought or Sought(None)
    over = at.now >= seen_so(one) + at.lag
    sought = replace(before, first=before.first or at.now, last=at.now, unread=None, log=at.log)
    unread = reply.unread or (None if reply.whole else Reason.TIMEOUT)
    # What cannot be read may be the newest of all.
    found = explaining(reply, what, asked, sought.after, seen_so(one)) if unread is not Reason.MALFORMED else ()
    if one.actor is not None and not found and all(each.event_id != one.actor.event_id for each in reply.changes):
        # The log tells nothing new.
        return replace(one, sought=replace(sought, settled=over and unread not in _PASSING))
    named = {each.principal for each in found}
    newest = found[-1] if found else None
    if newest is not None and newest.principal is not None and len(named) == 1:
        return _done_by(one, what, newest, newest.principal, replace(sought, settled=over))
    one = _done_by_nobody(one)
    if newest is not None and len(named) > 1:
        why = f"calls of several may have led to it: {_each_of(found)}"
        return replace(one, unattributed=why, sought=replace(sought, settled=over))
    if newest is not None:
        why = f"its audit log names nobody for {newest.call} of {minute(newest.at)} (entry {newest.event_id})"
        return replace(one, unattributed=why, sought=replace(sought, settled=True))
    if unread is not None:
        why = f"its audit log could not be read ({unread.replace('_', ' ')})"
        return replace(one, unattributed=why, sought=replace(sought, unread=unread))
    if not over:
        why = f"no entry of its audit log explains it yet; one may come up to {_span(at.lag)} late"
        return replace(one, unattributed=why, sought=sought)
    since = asked.since or at.now - REACHES[what.key.cloud]
    if sought.after is not None:
        why = f"no entry of its audit log from {minute(since)} on explains it, and none may come late any more"
        return replace(one, unattributed=why, sought=replace(sought, settled=True, vain=True))
    why = f"no entry of its audit log, which reaches back to {day(since)}, explains it; nobody saw it change"
    return replace(one, unattributed=why, sought=replace(sought, settled=True))


def _done_by(one: Finding, what: Wanted, entry: Change, principal: str, sought: Sought) -> Finding:
    if one.actor is not None and one.actor.event_id == entry.event_id:
        return replace(one, sought=sought)
    one = _done_by_nobody(one)
    actor = Actor(principal, entry.call, entry.at, entry.source, entry.via, entry.event_id)
    done = replace(one, actor=actor, unattributed=None, sought=sought)
    # What went before may have stopped the data already, and what comes by itself comes later than the call.
    if what.old or entry.at > one.since:
        return done
    return replace(done, since=entry.at, since_source="audit_log")


def _done_by_nobody(one: Finding) -> Finding:
    """The finding without whom it named, and without the time of that call."""
    if one.actor is None or one.since_source != "audit_log" or one.since != one.actor.time:
        return replace(one, actor=None)
    source = "between_polls" if one.sought is not None and one.sought.after is not None else "first_read"
    return replace(one, actor=None, since=seen_so(one), since_source=source)


def _each_of(found: tuple[Change, ...]) -> str:
    """Whoever may have been it, each with the newest call."""
    last = {each.principal: each for each in found}
    told = [f"{one.principal or 'nobody named'} by {one.call} of {minute(one.at)}" for one in last.values()]
    more = f", and {len(told) - _MOST_NAMED} more" if len(told) > _MOST_NAMED else ""
    return ", ".join(told[-_MOST_NAMED:]) + more


def _span(length: timedelta) -> str:
    minutes = int(length.total_seconds()) // 60
    return f"{minutes // 60} h" if minutes % 60 == 0 else f"{minutes} min"
