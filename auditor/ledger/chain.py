"""What the chain proves to somebody who has no ledger: its hashes, events to be shown, and heads that were given."""

from collections.abc import Collection, Iterator
from datetime import datetime
from typing import Final

import msgspec
from sqlalchemy import Connection, func, select

from auditor.errors import LedgerError
from auditor.evidence.statement import Head
from auditor.ledger import journal
from auditor.ledger.database import Database
from auditor.ledger.journal import Journal
from auditor.ledger.link import Event
from auditor.ledger.tables import DAMAGED, EVENT

KEPT_WITH_A_POLL: Final = (
    "context_changed",
    "key_changed",
    "assessment_changed",
    "assessment_gone",
    "finding_opened",
    "finding_changed",
    "finding_closed",
    "finding_ended",
    "closed_passed",
    "gap_opened",
    "gap_closed",
)
"""Kinds of events that a judgement is kept as, all at once behind its poll."""
_CONTEXTS: Final = 200
"""As many changes of what judged are shown, the newest."""
_AT_ONCE: Final = 500


class _Judge(msgspec.Struct, frozen=True):
    """What of a context says who judged and by what."""

    version: str
    identity: tuple[str, ...]
    config_digest: str
    rules_version: str
    config_file_digest: str | None = None


class Chain:
    """The events of one ledger; safe to use from many threads and processes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def end_of(self, judgement: str) -> tuple[int, str]:
        """Number and hash of the last event that a judgement was kept as: what came later changes nothing of it.

        Raises:
            LedgerError: there is no such judgement.
        """
        with self._database.reading() as connection:
            poll = _poll(connection, judgement)
            others = select(EVENT.c.seq).where(EVENT.c.seq > poll, EVENT.c.kind.not_in(KEPT_WITH_A_POLL))
            following = connection.execute(others.order_by(EVENT.c.seq).limit(1)).scalar()
            number = following - 1 if following is not None else journal.head(connection)[0]
            return number, journal.hash_of(connection, number)

    def hashes(self, until: int) -> Iterator[str]:
        """Yield the hash of each event up to one, the first one first.

        Raises:
            LedgerError: one of them is missing.
        """
        number = 0
        with self._database.reading() as connection:
            chosen = select(EVENT.c.seq, EVENT.c.hash).where(EVENT.c.seq <= until).order_by(EVENT.c.seq)
            for number, row in enumerate(journal.streamed(connection, chosen), 1):
                if row.seq != number:
                    break
                yield row.hash
            else:
                if number == until:
                    return
        raise LedgerError(f"the ledger lacks event {number:,}", DAMAGED)

    def judging(self, judgement: str, until: int) -> tuple[int, ...]:
        """Numbers of the events that say who made a judgement, by what and when: its poll, its context.

        Beside them those in which another config, version or identity had begun to judge.
        """
        with self._database.reading() as connection:
            contexts = select(EVENT.c.seq, EVENT.c.body).where(EVENT.c.kind == "context_changed", EVENT.c.seq <= until)
            changes: list[int] = []
            newest: list[int] = []
            before: _Judge | None = None
            for row in journal.streamed(connection, contexts.order_by(EVENT.c.seq)):
                newest = [row.seq]
                if (now := _judge(row.body)) != before:
                    changes.append(row.seq)
                before = now
            return tuple(sorted({*changes[-_CONTEXTS:], *newest, _poll(connection, judgement)}))

    def poll(self, judgement: str) -> int:
        """Number of the event that says when a judgement was made, and nothing else.

        Raises:
            LedgerError: there is no such judgement.
        """
        with self._database.reading() as connection:
            return _poll(connection, judgement)

    def readings(self, until: int) -> dict[str, int]:
        """Key -> number of the event that says what was heard of it when that last changed."""
        newest = select(EVENT.c.subject, func.max(EVENT.c.seq).label("seq"))
        mine = newest.where(EVENT.c.kind == "key_changed", EVENT.c.seq <= until).group_by(EVENT.c.subject)
        with self._database.reading() as connection:
            return {row.subject: row.seq for row in connection.execute(mine)}

    def given(self, until: int) -> dict[int, Head]:
        """The heads that were handed out before an event, by the numbers of the events that say so."""
        mine = select(EVENT.c.seq, EVENT.c.body).where(EVENT.c.kind == "head_given", EVENT.c.seq <= until)
        with self._database.reading() as connection:
            return {row.seq: _given(row.body) for row in connection.execute(mine.order_by(EVENT.c.seq))}

    def events(self, numbers: Collection[int]) -> Iterator[Event]:
        """Yield some events, by their numbers.

        Raises:
            LedgerError: one of them was changed.
        """
        with self._database.reading() as connection:
            asked = sorted(numbers)
            for first in range(0, len(asked), _AT_ONCE):
                some = asked[first : first + _AT_ONCE]
                chosen = select(EVENT).where(EVENT.c.seq.in_(some)).order_by(EVENT.c.seq)
                for row in connection.execute(chosen):
                    one = Event(row.seq, row.at, row.kind, row.subject, row.body, row.previous)
                    if one.hash != row.hash:
                        raise journal.broken(row.seq, row.at)
                    yield one

    def give(self, judgement: str, head: Head, at: datetime) -> bool:
        """Keep that a head is handed out with a judgement, once; False where a newer judgement was kept meanwhile.

        Raises:
            LedgerError: it cannot be kept, or another head was given with the same judgement before.
        """
        with self._database.writing() as connection, Journal(connection) as log:
            if _newest(connection) != judgement:
                return False
            body = msgspec.json.encode(head, order="sorted").decode()
            said = select(EVENT.c.body).where(EVENT.c.kind == "head_given", EVENT.c.subject == judgement)
            before = connection.execute(said.limit(1)).scalar()
            if before is None:
                log.add(at, "head_given", judgement, body)
            elif before != body:
                raise LedgerError(
                    f"the ledger's chain is another one than was given with judgement {judgement}", DAMAGED
                )
            return True


def _poll(connection: Connection, judgement: str) -> int:
    mine = select(EVENT.c.seq).where(EVENT.c.kind == "poll_made", EVENT.c.subject == judgement)
    found = connection.execute(mine.order_by(EVENT.c.seq.desc()).limit(1)).scalar()
    if found is None:
        raise LedgerError(f"the ledger does not hold judgement {judgement} any more", DAMAGED)
    return int(found)


def _newest(connection: Connection) -> str | None:
    newest = select(EVENT.c.subject).where(EVENT.c.kind == "poll_made").order_by(EVENT.c.seq.desc()).limit(1)
    found = connection.execute(newest).scalar()
    return str(found) if found is not None else None


def _judge(body: str) -> _Judge:
    try:
        return msgspec.json.decode(body, type=_Judge)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise LedgerError("a context in the ledger cannot be read", DAMAGED) from None


def _given(body: str) -> Head:
    try:
        return msgspec.json.decode(body, type=Head)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise LedgerError("a head in the ledger cannot be read", DAMAGED) from None
