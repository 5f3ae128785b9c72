"""Looks in audit logs for who did what findings say: once for each, while the log may still tell."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from auditor.attribution.explaining import Wanted
from auditor.attribution.inquiring import Inquirer
from auditor.attribution.replied import Moment, with_reply
from auditor.attribution.who import (
    LAG,
    attributable,
    begun,
    called,
    covers,
    inquiry,
    is_due,
    together,
    wanted,
)
from auditor.findings import Finding, Sought
from auditor.model import KeyName
from auditor.ownership.spelling import spelling_of
from auditor.readability import KeyView

_OFF: Final = "[audit_log] attribute is off"
_NOT_YET: Final = "its audit log was not read in the time that a poll has; the next one goes on"
_NO_CALL: Final = "no call that an audit log records leads to it"
_NO_KEY: Final = "it names no key whose audit log could be asked"


def traced(
    findings: Iterable[Finding],
    views: Mapping[KeyName, KeyView],
    inquirer: Inquirer | None,
    now: datetime,
    overlap: timedelta,
) -> tuple[Finding, ...]:
    """Put beside each finding who did it, or why nobody is told; `inquirer` None: nobody wants to know.

    Raises:
        ReadOnlyError: a request was about to leave that must not.
    """
    every = tuple(findings)
    sought: dict[str, Wanted] = {}
    told: dict[str, Finding] = {}
    # Logs are of projects by their ids, whatever a key is called here.
    by_id = spelling_of(one.known for one in views.values()).by_id()
    for one in every:
        if not attributable(one):
            continue
        what = wanted(one, views)
        ready = begun(one, what, views, now)
        if what is not None and what.key in by_id:
            what = called(what, by_id[what.key])
        told[one.id] = ready
        why, settled = _why_not(what, inquirer)
        if why is not None and ready.actor is None:
            told[one.id] = replace(ready, unattributed=why, sought=_not_asked(ready, settled=settled))
        elif why is None and what is not None:
            if ready.actor is None and ready.unattributed is None:
                told[one.id] = replace(ready, unattributed=_NOT_YET)
            if is_due(ready, now, LAG[what.key.cloud]):
                sought[one.id] = what
    if inquirer is None or not sought:
        return tuple(told.get(one.id, one) for one in every)
    # Who was never asked for comes first, then the worst.
    due = sorted((told[name] for name in sought), key=lambda one: (_asked(one) is not None, -one.severity.rank))
    asked = {one.id: inquiry(one, sought[one.id], now, overlap) for one in due}
    replies = inquirer.ask(together(asked.values()))
    for name, what in sought.items():
        reply, log = replies.get(what.key), inquirer.log_of(what.key)
        if reply is not None and log is not None and covers(reply, asked[name]):
            at = Moment(reply.inquiry.at, log.name(what.key), LAG[what.key.cloud])
            told[name] = with_reply(told[name], what, asked[name], reply, at)
    return tuple(told.get(one.id, one) for one in every)


def _not_asked(one: Finding, *, settled: bool) -> Sought:
    """What is left of a search that nobody goes on with: that a log could not be read says nothing any more."""
    return replace(one.sought or Sought(None), unread=None, settled=settled)


def _why_not(what: Wanted | None, inquirer: Inquirer | None) -> tuple[str | None, bool]:
    """Why nobody is asked who did it, and whether that stays so."""
    if what is None:
        return _NO_KEY, True
    if not what.calls:
        return _NO_CALL, False  # its key may be in another state by the next poll
    if inquirer is None:
        return _OFF, False
    log = inquirer.log_of(what.key)
    if log is None:
        return _NO_KEY, False
    return log.silent, False


def _asked(one: Finding) -> datetime | None:
    return one.sought.last if one.sought is not None else None
