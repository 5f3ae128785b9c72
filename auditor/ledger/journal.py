"""The chain of events and the state that they add up to."""

from collections.abc import Collection, Generator, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Self, TypeVar

from sqlalchemy import Connection, Row, Select, bindparam, delete, func, insert, select
from sqlalchemy.dialects import postgresql, sqlite

from auditor.errors import LedgerError
from auditor.ledger.link import FIRST, Event
from auditor.ledger.tables import CURRENT, DAMAGED, EVENT

# What an event does to the current state: (which kind of thing, whether it stands afterwards).
EFFECTS: Final = {
    "sweep_published": ("sweep", True),
    "sweep_failed": ("attempt", True),
    "sweep_overtaken": ("overtaken", False),
    "attempt_replaced": ("attempt", False),
    "poll_made": ("poll", True),
    "context_changed": ("context", True),
    "key_changed": ("key", True),
    "assessment_changed": ("assessment", True),
    "assessment_gone": ("assessment", False),
    "finding_opened": ("finding", True),
    "finding_changed": ("finding", True),
    "finding_closed": ("closed", True),
    "finding_ended": ("finding", False),
    "closed_passed": ("closed", False),
    "gap_opened": ("gap", True),
    "gap_closed": ("gap", False),
    "probe_made": ("probe", True),
    "probe_told": ("probe", True),
    "probe_overruled": ("probe", False),
    "head_given": ("head", True),
}
_NEWEST: Final = "newest"
_ALONE: Final = frozenset({"poll", "context", "head"})
"""Kinds of which only the newest stands, whatever its subject."""


class Journal:
    """Adds events inside one write transaction and keeps the current state in step, when it is left without an error.

    All at once then: a poll of a large fleet changes thousands of things.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._seq, self._head = head(connection)
        self._rows: list[dict[str, object]] = []
        self._effects = Effects()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None and self._rows:
            self._connection.execute(insert(EVENT), self._rows)
            self._effects.apply(self._connection)

    def add(self, at: datetime, kind: str, subject: str, body: str, facts: str = "") -> None:
        """Append one event."""
        one = Event(self._seq + 1, at.isoformat(), kind, subject, body, self._head)
        self._seq, self._head = one.seq, one.hash
        self._rows.append({**one._asdict(), "hash": self._head})
        self._effects.add(kind, subject, body, facts)


class Effects:
    """What some events do to the current state, the last word on each thing counting."""

    def __init__(self) -> None:
        self._left: dict[tuple[str, str], tuple[str, str] | None] = {}

    def add(self, kind: str, subject: str, body: str, facts: str) -> None:
        """Take one event in."""
        thing, name, stands = effect(kind, subject)
        self._left[thing, name] = (facts, body) if stands else None

    def apply(self, connection: Connection) -> None:
        """Bring the current state to where it is after all of them."""
        gone = [{"thing": thing, "name": name} for (thing, name), left in self._left.items() if left is None]
        if gone:
            connection.execute(_GONE, gone)
        standing = [
            {"kind": thing, "id": name, "facts": left[0], "body": left[1]}
            for (thing, name), left in self._left.items()
            if left is not None
        ]
        if standing:
            connection.execute(_STANDS[connection.dialect.name], standing)


_GONE: Final = delete(CURRENT).where(CURRENT.c.kind == bindparam("thing"), CURRENT.c.id == bindparam("name"))
# Each poll asks these many times: to put a statement together takes longer than a small ledger's answer.
_OF_KIND: Final = select(CURRENT.c.id, CURRENT.c.facts, CURRENT.c.body).where(CURRENT.c.kind == bindparam("thing"))
_IDS: Final = select(CURRENT.c.id).where(CURRENT.c.kind == bindparam("thing"))
_OF_NAME: Final = select(CURRENT.c.body).where(CURRENT.c.kind == bindparam("thing"), CURRENT.c.id == bindparam("name"))
_HEAD: Final = select(EVENT.c.seq, EVENT.c.hash).order_by(EVENT.c.seq.desc()).limit(1)
_Insert = TypeVar("_Insert", postgresql.Insert, sqlite.Insert)


def _stands(new: _Insert) -> _Insert:
    """Put rows in the place of those of the same name."""
    changed = {"facts": new.excluded.facts, "body": new.excluded.body}
    return new.on_conflict_do_update(index_elements=["kind", "id"], set_=changed)


_STANDS: Final = {"sqlite": _stands(sqlite.insert(CURRENT)), "postgresql": _stands(postgresql.insert(CURRENT))}


def effect(kind: str, subject: str) -> tuple[str, str, bool]:
    """What one event is about, as (kind of thing, id), and whether it stands afterwards.

    Raises:
        LedgerError: it is of no kind that is known here.
    """
    if kind not in EFFECTS:
        raise LedgerError("the ledger holds an event of a kind that this version does not know", DAMAGED)
    thing, stands = EFFECTS[kind]
    return thing, _NEWEST if thing in _ALONE else subject, stands


def streamed(connection: Connection, rows: Select[Any]) -> Iterator[Any]:
    """Yield what one statement gives, some rows at a time; the connection itself stays as it was."""
    yield from connection.execute(rows, execution_options={"yield_per": 1000})


def everything(connection: Connection) -> Iterator[Row[Any, Any, Any, Any]]:
    """Yield all that stands: (kind, id, facts, body)."""
    yield from streamed(connection, select(CURRENT.c.kind, CURRENT.c.id, CURRENT.c.facts, CURRENT.c.body))


def current(connection: Connection, thing: str, part: str = "") -> dict[str, Row[Any, Any, Any]]:
    """Everything of one kind that stands, in the order of the ids: id -> (id, facts, body).

    `part`: at least everything with that text in its id, and little else.
    """
    asked = _OF_KIND.where(CURRENT.c.id.contains(part, autoescape=True)) if part else _OF_KIND
    # Databases sort texts in ways of their own.
    return {row.id: row for row in sorted(connection.execute(asked, {"thing": thing}), key=lambda row: row.id)}


def ids(connection: Connection, thing: str) -> list[str]:
    """Of everything of one kind that stands."""
    return list(connection.execute(_IDS, {"thing": thing}).scalars())


def says(connection: Connection, thing: str, part: str) -> frozenset[bool]:
    """Whether what stands of one kind has a text in it: each answer that some of it gives; empty where nothing does."""
    has = CURRENT.c.body.contains(part, autoescape=True)
    some = ((one, select(CURRENT.c.id).where(CURRENT.c.kind == thing, has.is_(one)).limit(1)) for one in (True, False))
    return frozenset(one for one, asked in some if connection.execute(asked).first() is not None)


def body_of(connection: Connection, thing: str, name: str) -> str | None:
    """What one thing of one kind says; None where it does not stand."""
    return connection.execute(_OF_NAME, {"thing": thing, "name": name}).scalar()


def head(connection: Connection) -> tuple[int, str]:
    """Number and hash of the newest event; (0, zeros) before the first."""
    found = connection.execute(_HEAD).first()
    return (found.seq, found.hash) if found else (0, FIRST)


def has(connection: Connection, number: int, hash_: str) -> bool:
    """Whether there is an event of this number with this hash, or is meant what stands before the first."""
    return hash_ == hash_of(connection, number)


def hash_of(connection: Connection, number: int) -> str:
    """Hash of one event; of number 0 what stands before the first, and nothing where there is no such event."""
    found = connection.execute(select(EVENT.c.hash).where(EVENT.c.seq == number)).scalar()
    return str(found or "") if number else FIRST


def count(connection: Connection, kind: str, since: datetime, until: datetime) -> int:
    """How many events of one kind there are between two moments, by when they say that they happened."""
    newest_first = select(EVENT.c.at).where(EVENT.c.kind == kind).order_by(EVENT.c.seq.desc())
    found = 0
    for row in streamed(connection, newest_first):
        at = moment(row.at)
        if at < since:
            break
        found += at <= until
    return found


def moments(connection: Connection, kind: str) -> Generator[Row[Any, Any], None, None]:
    """Yield when each event of one kind says that it happened, the newest first: (seq, at)."""
    newest_first = select(EVENT.c.seq, EVENT.c.at).where(EVENT.c.kind == kind).order_by(EVENT.c.seq.desc())
    yield from streamed(connection, newest_first)


def first_of(connection: Connection, kind: str, after: int) -> Row[Any, Any] | None:
    """The first event of one kind behind a number: (seq, at); None where there is none."""
    behind = select(EVENT.c.seq, EVENT.c.at).where(EVENT.c.kind == kind, EVENT.c.seq > after)
    return connection.execute(behind.order_by(EVENT.c.seq).limit(1)).first()


def moment(text: str) -> datetime:
    """When an event says that it happened.

    Raises:
        LedgerError: it does not say so.
    """
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise LedgerError("the ledger holds an event without a date", DAMAGED)
    return found


def bodies(connection: Connection, kind: str) -> Iterator[str]:
    """Yield what the events of one kind say, the newest first."""
    newest_first = select(EVENT.c.body).where(EVENT.c.kind == kind).order_by(EVENT.c.seq.desc())
    for row in streamed(connection, newest_first):
        yield row.body


def told_of(connection: Connection, kinds: Collection[str], part: str) -> Iterator[Row[Any, Any, Any, Any]]:
    """Yield the events of some kinds in whose subject a text stands, the oldest first: (at, kind, subject, body)."""
    columns = (EVENT.c.at, EVENT.c.kind, EVENT.c.subject, EVENT.c.body)
    mine = select(*columns).where(EVENT.c.kind.in_(kinds), EVENT.c.subject.contains(part, autoescape=True))
    yield from streamed(connection, mine.order_by(EVENT.c.seq))


def newest(connection: Connection, kind: str, beginning: str, since: datetime | None = None) -> dict[str, str]:
    """What the newest event of one kind says of each subject that begins so: subject -> body.

    `since`: aware; what was told before is left out.
    """
    begins = EVENT.c.subject.startswith(beginning, autoescape=True)
    mine = select(EVENT.c.subject, EVENT.c.body).where(EVENT.c.kind == kind, begins)
    if since is not None:
        # Times of one second may stand in another order as text, with a fraction or without: the second before is in.
        mine = mine.where(EVENT.c.at >= (since.astimezone(UTC) - timedelta(seconds=1)).isoformat(timespec="seconds"))
    return {row.subject: row.body for row in connection.execute(mine.order_by(EVENT.c.seq))}


def of_kinds(connection: Connection, kinds: Iterable[str], after: int, until: int) -> Iterator[Event]:
    """Yield the events of some kinds behind one number and up to another, each as its hash says.

    That no link is missing `unbroken` tells: together they prove what they yield, and read no other event.

    Raises:
        LedgerError: one of them was changed.
    """
    chosen = select(EVENT).where(EVENT.c.kind.in_(tuple(kinds)), EVENT.c.seq > after, EVENT.c.seq <= until)
    for row in streamed(connection, chosen.order_by(EVENT.c.seq)):
        one = Event(*row[:-1])
        if row.hash != one.hash:
            raise broken(row.seq, row.at)
        yield one


def unbroken(connection: Connection) -> None:
    """Check that each link names the one before it.

    Raises:
        LedgerError: one does not, or is missing.
    """
    before = EVENT.alias()
    named = func.coalesce(before.c.hash, FIRST)
    joined = EVENT.outerjoin(before, before.c.seq == EVENT.c.seq - 1)
    wrong = select(EVENT.c.seq, EVENT.c.at).select_from(joined).where(EVENT.c.previous != named)
    if (first := connection.execute(wrong.order_by(EVENT.c.seq).limit(1)).first()) is not None:
        raise broken(first.seq, first.at)


def events(connection: Connection) -> Iterator[Event]:
    """Walk the chain from its first link and check each.

    Raises:
        LedgerError: a link is missing or was changed.
    """
    seq, previous = 0, FIRST
    for row in streamed(connection, select(EVENT).order_by(EVENT.c.seq)):
        one = Event(*row[:-1])
        if row.seq != seq + 1 or row.previous != previous or row.hash != one.hash:
            raise broken(seq + 1, row.at)
        seq, previous = row.seq, row.hash
        yield one


def broken(seq: int, at: str) -> LedgerError:
    """What is said of a link that is missing or was changed."""
    return LedgerError(
        f"the ledger's chain breaks at event {seq} of {at}",
        "somebody changed it; nothing after that event is proven; restore it from a copy",
    )
