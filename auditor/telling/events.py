"""What became of findings, keys, gaps and coverage from one judgement to the next, as events."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from typing import Final

from auditor.findings import Actor, BucketCoverage, Coverage, Finding, Status
from auditor.model import Gap, split_version
from auditor.questions.diff.answer import KeyChange

SCHEMA: Final = "cmek-auditor/event/1"
_NOBODY_ASKED: Final = "no finding began with this change, and audit logs are asked about findings alone"
_NOBODY_ASKED_WHO_ENDED: Final = "audit logs are asked who led to a finding, and not who ended it"
_NEVER_ANYBODY: Final = "it is about nothing that a call changes"


class Action(StrEnum):
    """What an event tells: a public name each, which is never reused."""

    FINDING_OPENED = "finding.opened"
    FINDING_CHANGED = "finding.changed"
    FINDING_ATTRIBUTED = "finding.attributed"
    FINDING_CLOSED = "finding.closed"
    KEY_CHANGED = "key.changed"
    GAP_OPENED = "gap.opened"
    GAP_CLOSED = "gap.closed"
    COVERAGE_CHANGED = "coverage.changed"


@dataclass(frozen=True, slots=True)
class Judged:
    """Which judgement saw it."""

    id: str
    now: datetime
    """Aware, UTC: the moment that was judged."""
    version: str
    config_digest: str


@dataclass(frozen=True, slots=True)
class Turn:
    """One judgement, and what is otherwise than in the one before."""

    judged: Judged
    number: int
    """Of its last event in the ledger."""
    findings: tuple[tuple[Finding | None, Finding | None], ...]
    """Each as it was and as it is; None where it did not stand, or does not any more."""
    ended: tuple[Finding, ...]
    """Of those that do not: as they were when they ended."""
    keys: tuple[KeyChange, ...]
    opened: tuple[Gap, ...]
    closed: tuple[Gap, ...]
    coverage: tuple[Coverage | None, Coverage]
    """As it was and as it is; None before the first judgement."""


@dataclass(frozen=True, slots=True)
class Differing:
    """One thing that is otherwise, in words; None where there is none."""

    what: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened."""

    action: Action
    judged: Judged
    occurred_at: datetime
    """Aware, UTC: by the audit log where that tells it, else the moment that was judged."""
    about: Finding | KeyChange | Gap | BucketCoverage | None
    """None: all keys together."""
    changes: tuple[Differing, ...] = ()
    actor: Actor | None = None
    unattributed: str | None = None
    """Why no actor is told; None where one is."""

    @property
    def id(self) -> str:
        """Hexadecimal: the same whenever and by whomever the same event of the same judgement is told."""
        told = f"{SCHEMA}\x00{self.action}\x00{self._subject()}\x00{self.judged.id}"
        return sha256(told.encode(errors="surrogatepass")).hexdigest()[:40]

    def _subject(self) -> str:
        match self.about:
            case Finding(id=id_):
                return id_
            case KeyChange(key=key, fact=fact):
                return f"{key.text}\x00{fact}"
            case Gap() as gap:
                return "\x00".join((gap.what, gap.reason, gap.effect, gap.hint, str(gap.objects)))
            case BucketCoverage(bucket=bucket):
                return bucket
            case _:
                return ""


def events_of(turn: Turn) -> tuple[Event, ...]:
    """Tell what one judgement saw: keys first, then what follows from them."""
    return (
        *(_of_key(turn, one) for one in turn.keys),
        *(event for was, now in turn.findings for event in _of_finding(turn, was, now)),
        *(_of_gap(turn, Action.GAP_OPENED, one) for one in turn.opened),
        *(_of_gap(turn, Action.GAP_CLOSED, one) for one in turn.closed),
        *_of_coverage(turn),
    )


def _of_finding(turn: Turn, was: Finding | None, now: Finding | None) -> Iterator[Event]:
    if now is None:
        if was is not None:
            last = next((one for one in turn.ended if one.id == was.id), was)
            actor, why = _ended_by(turn, last)
            occurred = actor.time if actor is not None else turn.judged.now
            yield Event(Action.FINDING_CLOSED, turn.judged, occurred, last, (), actor, why)
        return
    if was is None:
        occurred = now.since if now.since_source == "audit_log" else turn.judged.now
        yield Event(Action.FINDING_OPENED, turn.judged, occurred, now, *_done_by(now))
        return
    if changes := tuple(_differing(_facts(was), _facts(now))):
        yield Event(Action.FINDING_CHANGED, turn.judged, turn.judged.now, now, changes, *_done_by(now)[1:])
    if (was.actor and was.actor.event_id) != (now.actor and now.actor.event_id):
        by = now.actor.principal if now.actor is not None else None
        others = (Differing("actor", was.actor.principal, by),) if was.actor and was.actor.principal != by else ()
        at = now.actor.time if now.actor is not None else turn.judged.now
        yield Event(Action.FINDING_ATTRIBUTED, turn.judged, at, now, others, *_done_by(now)[1:])


def _facts(one: Finding) -> dict[str, str | None]:
    """What of a finding counts as a change."""
    return {
        "status": one.status.value,
        "severity": one.severity.value,
        "readability": one.readability.value if one.readability is not None else None,
        "objects": str(one.extent.objects) if one.extent.objects is not None else None,
        "namespaces": str(one.extent.namespaces),
        "final_at": _stamp(one.final_at),
        "waived_until": _stamp(one.waived_until),
    }


def _done_by(one: Finding) -> tuple[tuple[Differing, ...], Actor | None, str | None]:
    return (), one.actor, None if one.actor is not None else one.unattributed or _NEVER_ANYBODY


def _ended_by(turn: Turn, last: Finding) -> tuple[Actor | None, str | None]:
    """Who ended a finding, or why nobody is named: whoever led to it is somebody else, as a rule.

    A call is known only where it led to another finding, which took the place of this one.
    """
    if last.actor is None and last.unattributed is None:
        return None, _NEVER_ANYBODY
    heirs = (now for was, now in turn.findings if was is None and now is not None and now.succeeds == last.id)
    heir = next(heirs, None)
    if heir is None:
        return None, _NOBODY_ASKED_WHO_ENDED
    if heir.actor is None:
        return None, heir.unattributed or _NEVER_ANYBODY
    # What was scheduled comes by itself: by a call of before this one stood.
    if heir.actor.time < last.first_seen:
        return None, f"it became {heir.rule} by itself: the call that led to that was made before"
    return heir.actor, None


def _of_key(turn: Turn, one: KeyChange) -> Event:
    changes = (Differing(one.fact, one.before, one.after),)
    began = [now for was, now in turn.findings if was is None and now is not None and _began_with(one, now)]
    known = next((each for each in began if each.actor is not None), None)
    if known is not None and known.actor is not None:
        return Event(Action.KEY_CHANGED, turn.judged, known.actor.time, one, changes, known.actor)
    why = next((each.unattributed for each in began if each.unattributed), _NOBODY_ASKED)
    return Event(Action.KEY_CHANGED, turn.judged, turn.judged.now, one, changes, None, why)


def _began_with(change: KeyChange, one: Finding) -> bool:
    """Whether a finding is about the very thing that changed, so that who did the one did the other."""
    if one.status is Status.RESOLVED:
        return False
    principal, _, named = one.subject.id.rpartition(" -> ")
    try:
        key, version = split_version(named)
    except ValueError:
        return False
    fact = f"right {principal}" if principal else "state" if version is None else f"version {version}"
    return key == change.key and fact == change.fact


def _of_gap(turn: Turn, action: Action, one: Gap) -> Event:
    return Event(action, turn.judged, turn.judged.now, one, unattributed=_NEVER_ANYBODY)


def _of_coverage(turn: Turn) -> Iterator[Event]:
    before, after = turn.coverage
    known = {one.bucket: one for one in before.buckets} if before is not None else {}

    def event(about: BucketCoverage | None, changes: tuple[Differing, ...]) -> Event:
        judged = turn.judged
        return Event(Action.COVERAGE_CHANGED, judged, judged.now, about, changes, unattributed=_NEVER_ANYBODY)

    for one in after.buckets:
        if changes := tuple(_differing(_seen(known.get(one.bucket)), _seen(one))):
            yield event(one, changes)
    was = {"keys_unknown": str(before.keys_unknown) if before is not None else None}
    if changes := tuple(_differing(was, {"keys_unknown": str(after.keys_unknown)})):
        yield event(None, changes)


def _seen(one: BucketCoverage | None) -> dict[str, str | None]:
    if one is None:
        return {}
    return {
        "complete": "yes" if one.complete else "no",
        "ratio": f"{one.ratio:.6f}",
        "last_attempt_failed": one.last_attempt_failed,
    }


def _differing(before: dict[str, str | None], after: dict[str, str | None]) -> Iterable[Differing]:
    for what, now in after.items():
        if before.get(what) != now:
            yield Differing(what, before.get(what), now)


def _stamp(moment: datetime | None) -> str | None:
    return moment.isoformat().replace("+00:00", "Z") if moment is not None else None
