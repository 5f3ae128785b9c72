"""The ledger told on as it grows: what each judgement found otherwise than the one before."""

import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from sqlalchemy import Connection

from auditor.findings import Coverage, Finding
from auditor.ledger import codec, history, journal
from auditor.ledger.codec import KeptContext, KeptKey, KeptPoll
from auditor.ledger.database import Database
from auditor.ledger.link import Event
from auditor.model import Gap, KeyName
from auditor.questions.diff.answer import KeyChange
from auditor.telling.events import Judged, Turn

_KINDS: Final = (
    "poll_made",
    "context_changed",
    "key_changed",
    "finding_opened",
    "finding_changed",
    "finding_closed",
    "finding_ended",
    "gap_opened",
    "gap_closed",
)
_ENOUGH: Final = 2000
"""Things that are otherwise: no more turns are taken in at once when there are so many."""


@dataclass(slots=True)
class _Turn:
    """A turn that is being read."""

    poll: KeptPoll
    coverage: Coverage | None
    number: int = 0
    findings: dict[str, tuple[Finding | None, Finding | None]] = field(default_factory=dict)
    ended: list[Finding] = field(default_factory=list)
    keys: list[KeyChange] = field(default_factory=list)
    opened: list[Gap] = field(default_factory=list)
    closed: list[Gap] = field(default_factory=list)

    @property
    def size(self) -> int:
        return len(self.findings) + len(self.keys) + len(self.opened) + len(self.closed)


class Following:
    """What stood at one event of the ledger, and so what is otherwise behind it; safe to use from many threads."""

    def __init__(self, database: Database, number: int | None = None, *, anew: bool = False) -> None:
        """Begin behind event `number`, or behind the newest. `anew`: all that stood there is not told yet.

        Raises:
            LedgerError: the ledger cannot be read.
        """
        self._database = database
        self._taking = threading.Lock()
        with database.reading() as connection:
            newest, _ = journal.head(connection)
            self.number = newest if number is None else number
            """Of the event behind which all is still to be told."""
            self._place(connection, newest)
        self._anew = anew
        self._broken_off = False

    def turns(self) -> tuple[Turn, ...]:
        """Take in what was kept since, or some of it; turns in which nothing is otherwise are left out.

        Raises:
            LedgerError: the ledger cannot be read, or is not what was kept; nothing of it was taken in.
        """
        with self._taking:
            if self._anew:
                self._anew = False
                whole = self._whole()
                return (whole,) if whole is not None else ()
            return self._taken()

    def _taken(self) -> tuple[Turn, ...]:
        found: list[Turn] = []
        size, number = 0, self.number
        with self._database.reading() as connection:
            newest, _ = journal.head(connection)
            if self._broken_off:
                # Half of a turn was taken in before: what it made of things is no change to whoever reads it again.
                self._place(connection, newest)
            self._broken_off = True
            for one in self._read(connection, self.number, newest):
                number = one.number
                told = self._told(one)
                if one.size or told.coverage[0] != told.coverage[1]:
                    found.append(told)
                    size += one.size
                if size >= _ENOUGH:
                    break
            else:
                number = newest
        self.number, self._broken_off = number, False
        return tuple(found)

    def _place(self, connection: Connection, newest: int) -> None:
        """Take what stood at the event behind which all is to be told."""
        self._findings: dict[str, Finding] = {}
        self._keys: dict[str, Mapping[str, str]] = {}
        self._gaps: dict[str, Gap] = {}
        self._context: KeptContext | None = None
        self._poll: KeptPoll | None = None
        if self.number == newest:
            self._stand(connection)
            return
        for _ in self._read(connection, 0, self.number):
            pass

    def _stand(self, connection: Connection) -> None:
        """Take what stands now: the same as all events up to here add up to."""

        def bodies(thing: str) -> Mapping[str, str]:
            return {name: row.body for name, row in journal.current(connection, thing).items()}

        self._findings = {name: codec.load(Finding, body) for name, body in bodies("finding").items()}
        self._keys = {name: history.facts(codec.load(KeptKey, body), {}) for name, body in bodies("key").items()}
        self._gaps = {name: codec.load(Gap, body) for name, body in bodies("gap").items()}
        self._context = next((codec.load(KeptContext, body) for body in bodies("context").values()), None)
        self._poll = next((codec.load(KeptPoll, body) for body in bodies("poll").values()), None)

    def _whole(self) -> Turn | None:
        """All that stands, as if nothing had stood before; None before the first judgement."""
        if self._poll is None or self._context is None:
            return None
        turn = _Turn(self._poll, None, self.number)
        turn.findings = {name: (None, one) for name, one in sorted(self._findings.items())}
        turn.opened = [one for _, one in sorted(self._gaps.items())]
        return self._told(turn)

    def _told(self, turn: _Turn) -> Turn:
        context = self._context
        if context is None:
            raise AssertionError("no judgement is kept without its context")
        return Turn(
            Judged(turn.poll.id, turn.poll.now, context.version, context.config_digest),
            turn.number,
            tuple(turn.findings.values()),
            tuple(turn.ended),
            tuple(turn.keys),
            tuple(turn.opened),
            tuple(turn.closed),
            (turn.coverage, context.coverage),
        )

    def _read(self, connection: Connection, after: int, until: int) -> Iterator[_Turn]:
        """Walk the events behind one number, and yield each judgement that they add up to, with all that is in it."""
        turn: _Turn | None = None
        for one in journal.of_kinds(connection, _KINDS, after, until):
            if one.kind == "poll_made":
                if turn is not None:
                    yield turn
                self._poll = codec.load(KeptPoll, one.body)
                turn = _Turn(self._poll, self._context.coverage if self._context is not None else None)
            if turn is not None:
                turn.number = one.seq
                self._take(one, turn)
        if turn is not None:
            yield turn

    def _take(self, one: Event, turn: _Turn) -> None:
        match one.kind:
            case "context_changed":
                self._context = codec.load(KeptContext, one.body)
            case "key_changed":
                self._take_key(one, turn)
            case "finding_opened" | "finding_changed":
                now = codec.load(Finding, one.body)
                seen = now if now.is_held else replace(now, last_seen=turn.poll.now)
                turn.findings[one.subject] = self._findings.get(one.subject), seen
                self._findings[one.subject] = now
            case "finding_closed":
                turn.ended.append(codec.load(Finding, one.body))
            case "finding_ended":
                turn.findings[one.subject] = self._findings.pop(one.subject, None), None
            case "gap_opened":
                self._gaps[one.subject] = codec.load(Gap, one.body)
                turn.opened.append(self._gaps[one.subject])
            case "gap_closed" if one.subject in self._gaps:
                turn.closed.append(self._gaps.pop(one.subject))

    def _take_key(self, one: Event, turn: _Turn) -> None:
        before = self._keys.get(one.subject)
        now = history.facts(codec.load(KeptKey, one.body), before or {})
        self._keys[one.subject] = now
        if before is None:
            return  # that it is heard of for the first time is no change of it
        was_read = history.was_read(before)
        for fact, (was, is_) in sorted(history.changed(before, now).items()):
            turn.keys.append(KeyChange(KeyName(one.subject), fact, was, is_, turn.poll.now, 1, was_read))
