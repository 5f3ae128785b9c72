"""What the daemon's log tells of each judgement: every event once, as a line for people and an object for machines."""

import logging
from collections import Counter
from collections.abc import Iterable
from typing import Final

from auditor import log
from auditor.findings import BucketCoverage, Finding, Severity, Status
from auditor.model import Gap, Reason
from auditor.outputs import diff_words, event_json, words
from auditor.questions.diff.answer import KeyChange
from auditor.telling.events import Action, Event, Turn, events_of

_log = logging.getLogger(__name__)

_ALARMING = frozenset({Action.FINDING_OPENED, Action.GAP_OPENED})
_MOST_GAPS: Final = 5
"""Lines for people about gaps that came, and about those that went: a cloud that fails leaves one for each key."""


def tell(turns: Iterable[Turn]) -> None:
    """Log what judgements found otherwise: no line for what is as it was."""
    for turn in turns:
        gaps = Counter[Action]()
        for one in events_of(turn):
            gaps[one.action] += isinstance(one.about, Gap)
            plain = _is_for_people(one) and gaps[one.action] <= _MOST_GAPS
            level = logging.WARNING if alarms(one) else logging.INFO
            _log.log(level, "%s", line(one), extra=log.also(event_json.event(one), plain=plain))
        for action, count in gaps.items():
            if count > _MOST_GAPS:
                did = "opened" if action is Action.GAP_OPENED else "closed"
                _log.info("and %s %s", words.counted(count - _MOST_GAPS, "more gap"), did)


def alarms(one: Event) -> bool:
    """Whether it tells of something worse, or of a judgement of findings that changed."""
    if isinstance(one.about, Gap) and one.about.reason is Reason.NOT_VISIBLE:
        return False  # by the nature of things
    if one.action is Action.FINDING_ATTRIBUTED:
        return bool(one.changes)  # somebody else was named before
    return one.action in _ALARMING or (one.action is Action.FINDING_CHANGED and _is_for_people(one))


def _is_for_people(one: Event) -> bool:
    """How much data there is changes with every sweep: that is no line, but in the objects for machines."""
    if one.action is Action.FINDING_CHANGED:
        return not {each.what for each in one.changes} <= {"objects", "namespaces"}
    return True


def line(one: Event) -> str:
    """One event in one sentence of printable characters."""
    return log.visible(_line(one))


def _line(one: Event) -> str:
    match one.about:
        case Finding() as about:
            return f"{_did(one)}: {_finding(about, one)}"
        case KeyChange() as about:
            by = f", by {one.actor.principal}" if one.actor is not None else ""
            return f"key changed: {words.short(about.key.text)}, {diff_words.key_change(about)}{by}"
        case Gap() as about:
            opened = one.action is Action.GAP_OPENED
            return f"gap {'opened' if opened else 'closed'}: {about.what}: {about.reason}, {about.effect}"
        case BucketCoverage() as about:
            return f"coverage changed: {about.bucket}, {_changes(one)}"
        case None:
            return f"coverage changed: {_changes(one)}"


_FINDING = {
    Action.FINDING_OPENED: "finding opened",
    Action.FINDING_CHANGED: "finding changed",
    Action.FINDING_ATTRIBUTED: "finding attributed",
    Action.FINDING_CLOSED: "finding resolved",
}


def _did(one: Event) -> str:
    was = {each.what: each.before for each in one.changes}
    if one.action is Action.FINDING_ATTRIBUTED and was:
        return f"finding not led to by {was['actor']} after all"
    if one.action is not Action.FINDING_CHANGED or not isinstance(one.about, Finding):
        return _FINDING[one.action]
    before = f"{was.get('status', one.about.status.value)} {was.get('severity', one.about.severity.value)}"
    return f"{_FINDING[one.action]} from {before}"


def _changes(one: Event) -> str:
    return ", ".join(f"{each.what} {each.before or 'none'} -> {each.after or 'none'}" for each in one.changes)


def _finding(one: Finding, event: Event) -> str:
    status = f" ({one.status})" if one.status is Status.WAIVED else ""
    hangs = words.counted(one.extent.objects, "object") if one.extent.objects is not None else words.amount(one.extent)
    # Who led to it need not be who ended it.
    ended = event.action is Action.FINDING_CLOSED
    who = f", {'opened ' if ended else ''}by {one.actor.principal}" if one.actor is not None else ""
    who += f", ended by {event.actor.principal}" if ended and event.actor is not None else ""
    return f"{one.severity}{status} {one.rule}, {words.short(one.subject.id)}, {hangs}{who}, id {one.id}"


GRADES = {Severity.CRITICAL: "CRITICAL", Severity.HIGH: "ERROR", Severity.MEDIUM: "WARNING", Severity.LOW: "NOTICE"}
"""Of a finding, in the words of logs."""


def grade(one: Event) -> str:
    """How bad it is, as Cloud Logging grades entries."""
    opened = one.action in {Action.FINDING_OPENED, Action.FINDING_CHANGED}
    if isinstance(one.about, Finding) and opened and one.about.status is Status.OPEN:
        return GRADES[one.about.severity]
    return "WARNING" if one.action is Action.GAP_OPENED else "NOTICE"
