"""What the daemon's log tells of findings: each that opened, changed or was resolved, once."""

import logging
from collections.abc import Iterable

from auditor.findings import Finding, Status
from auditor.outputs import words

_log = logging.getLogger(__name__)


def tell(before: Iterable[Finding], after: Iterable[Finding]) -> None:
    """Log what two judgements' findings differ in: one line each, no line for what is as it was.

    What was resolved is told by its absence too: a judgement made in between may have been the one that said so.
    """
    old = {one.id: one for one in before if one.status is not Status.RESOLVED}
    new = {one.id: one for one in after if one.status is not Status.RESOLVED}
    for one in new.values():
        was = old.get(one.id)
        if was is None:
            _log.warning("finding opened: %s", _line(one))
        elif (was.severity, was.status) != (one.severity, one.status):
            _log.warning("finding changed from %s %s: %s", was.status, was.severity, _line(one))
        elif was.actor is None and one.actor is not None:
            _log.info("finding attributed: %s", _line(one))
        elif was.actor is not None and (one.actor is None or one.actor.event_id != was.actor.event_id):
            _log.warning("finding not led to by %s after all: %s", was.actor.principal, _line(one))
    for one in old.values():
        if one.id not in new:
            _log.info("finding resolved: %s", _line(one))


def _line(one: Finding) -> str:
    status = "" if one.status is Status.OPEN else f" ({one.status})"
    hangs = words.counted(one.extent.objects, "object") if one.extent.objects is not None else words.amount(one.extent)
    who = f", by {one.actor.principal}" if one.actor is not None else ""
    return f"{one.severity}{status} {one.rule}, {words.short(one.subject.id)}, {hangs}{who}, id {one.id}"
