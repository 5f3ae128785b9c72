"""Judgements of before, made again from the events that led to them."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, select

from auditor.findings import Finding, Status
from auditor.ledger import codec, journal
from auditor.ledger.codec import KeptContext, KeptKey
from auditor.ledger.tables import EVENT
from auditor.model import GcpKey, KeyName
from auditor.ports import Made
from auditor.questions.diff.answer import Between, KeyChange

_ANSWER: Final = "answer"
_JUDGED: Final = frozenset({"context", "assessment", "finding", "closed", "gap"})
"""Kinds of things that a judgement is read from, beside its own poll."""
_KINDS: Final = tuple(kind for kind, (thing, _) in journal.EFFECTS.items() if thing in _JUDGED)


def made(connection: Connection) -> Iterator[Made]:
    """Yield every judgement, the newest first."""
    chosen = select(EVENT.c.seq, EVENT.c.kind, EVENT.c.subject, EVENT.c.body).where(
        EVENT.c.kind.in_(("poll_made", "context_changed"))
    )
    waiting: list[tuple[int, str]] = []
    sweeps: tuple[str, ...] | None = None
    for row in journal.streamed(connection, chosen.order_by(EVENT.c.seq.desc())):
        if row.kind == "context_changed":
            sweeps = codec.load(KeptContext, row.body).sweeps
            # Those that came behind it, and were told without a change.
            yield from (Made(*one, sweeps) for one in waiting)
            waiting = []
            continue
        told = row.seq, row.subject
        if sweeps is None:
            waiting.append(told)
            continue
        # A context is kept behind the poll that it came with.
        yield Made(*told, sweeps)
        sweeps = None


def named(connection: Connection, prefix: str) -> list[Made]:
    """The first two judgements, oldest first, whose ids begin so; what they stand on is not told."""
    chosen = select(EVENT.c.seq, EVENT.c.subject).where(
        EVENT.c.kind == "poll_made", EVENT.c.subject.startswith(prefix, autoescape=True)
    )
    found = connection.execute(chosen.order_by(EVENT.c.seq).limit(2))
    return [Made(row.seq, row.subject, ()) for row in found]


def standing(connection: Connection, number: int) -> Mapping[str, list[str]]:
    """What a judgement is read from, as it stood when that poll had been kept: kind of thing -> what is said."""
    left: dict[tuple[str, str], str] = {}
    for one in journal.of_kinds(connection, _KINDS, 0, end_of(connection, number)):
        thing, name, stands = journal.effect(one.kind, one.subject)
        if stands:
            left[thing, name] = one.body
        else:
            left.pop((thing, name), None)
    found: dict[str, list[str]] = defaultdict(list)
    found["poll"].extend(one.body for one in journal.of_kinds(connection, ("poll_made",), number - 1, number))
    for (thing, _), body in left.items():
        found[thing].append(body)
    return found


def between(connection: Connection, first: int, last: int) -> Between:
    """What became of keys from one judgement to another, and which findings opened and ended in between."""
    begin, end = end_of(connection, first), end_of(connection, last)
    known: dict[str, dict[str, str]] = {}
    changes: dict[tuple[str, str], _Seen] = {}
    for one in journal.of_kinds(connection, ("key_changed",), 0, end):
        now = facts(codec.load(KeptKey, one.body), known.get(one.subject, {}))
        if one.seq > begin:
            for fact, (was, is_) in changed(known.get(one.subject), now).items():
                seen = _Seen(was, was_read=was_read(known.get(one.subject)))
                changes.setdefault((one.subject, fact), seen).see(is_, journal.moment(one.at))
        known[one.subject] = now
    keys = tuple(
        KeyChange(KeyName(name), fact, seen.before, seen.after, seen.at[-1], len(seen.at), seen.was_read)
        for (name, fact), seen in sorted(changes.items())
    )
    return Between(keys, tuple(_passed(connection, begin, end)))


@dataclass(slots=True)
class _Seen:
    """What was seen to become of one fact."""

    before: str | None
    was_read: bool
    """The key had told of itself before."""
    after: str | None = None
    at: list[datetime] = field(default_factory=list)

    def see(self, after: str | None, at: datetime) -> None:
        """Take a change in."""
        self.after = after
        self.at.append(at)


def _passed(connection: Connection, begin: int, end: int) -> Iterator[Finding]:
    """Findings that opened behind one event and had ended at another."""
    opened: dict[str, Finding] = {}
    for one in journal.of_kinds(connection, ("finding_opened", "finding_closed", "finding_ended"), begin, end):
        if one.kind == "finding_opened" or (one.kind == "finding_closed" and one.subject in opened):
            opened[one.subject] = codec.load(Finding, one.body)
    yield from (one for _, one in sorted(opened.items()) if one.status is Status.RESOLVED)


def end_of(connection: Connection, number: int) -> int:
    """Number of the last event of a judgement: the next poll's is behind it."""
    following = select(EVENT.c.seq).where(EVENT.c.kind == "poll_made", EVENT.c.seq > number)
    found = connection.execute(following.order_by(EVENT.c.seq).limit(1)).scalar()
    return found - 1 if found is not None else journal.head(connection)[0]


def facts(kept: KeptKey, before: Mapping[str, str]) -> dict[str, str]:
    """What is known of how a key can be used: what a fault hides is as it was."""
    last = kept.aws or kept.gcp
    # That nobody asked, as after `poll KEY`, is no change of the key.
    if not kept.asked and _ANSWER in before:
        answer = before[_ANSWER]
    elif kept.answered:
        answer = "answered"
    elif kept.denied_since is not None:
        answer = "denied"
    elif kept.missing_since is not None:
        answer = "not found"
    else:
        answer = "silent"
    now = {fact: _text(value) for fact, value in (last.use if last is not None else {}).items() if value is not None}
    if isinstance(last, GcpKey) and last.primary is not None:
        now["primary"] = last.primary
    gone = {fact for fact in before if fact.startswith("version ") and fact not in now}
    return {**{fact: value for fact, value in before.items() if fact not in gone}, **now, _ANSWER: answer}


def was_read(facts: Mapping[str, str] | None) -> bool:
    """Whether a key had told of itself: of one that was denied or silent from the first nobody knows how it was."""
    return facts is not None and facts.keys() != {_ANSWER}


def _text(value: object) -> str:
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)


def changed(before: Mapping[str, str] | None, now: Mapping[str, str]) -> Mapping[str, tuple[str | None, str | None]]:
    """Facts that are otherwise; of a key that was never heard of before, that it was heard of."""
    if before is None:
        return {_ANSWER: (None, now[_ANSWER])}
    is_new = {fact for fact in now if fact not in before and not fact.startswith(("version ", "primary"))}
    pairs = {fact: (before.get(fact), now.get(fact)) for fact in before.keys() | now.keys() if fact not in is_new}
    return {fact: pair for fact, pair in pairs.items() if pair[0] != pair[1]}
