"""What the events of a ledger tell of a period: one walk over them, in the order in which they were kept."""

import threading
from contextlib import closing
from datetime import datetime
from itertools import groupby
from typing import Final

from sqlalchemy import Connection

from auditor.ledger import codec, history, journal
from auditor.ledger.link import Event
from auditor.model import Gap
from auditor.questions.period.answer import Chain, Chronicle
from auditor.questions.period.folding import Fold
from auditor.questions.period.scans import Scanned, Scans
from auditor.questions.period.stretches import Stretch
from auditor.questions.period.told import (
    AssessedTold,
    ContextTold,
    FindingTold,
    KeyTold,
    PollTold,
    SweepsTold,
    SweepTold,
)

_OF_KEYS: Final = ("poll_made", "context_changed", "key_changed")
_OF_DATA: Final = ("context_changed", "assessment_changed", "assessment_gone")
_KINDS: Final = (
    *_OF_KEYS,
    "assessment_changed",
    "assessment_gone",
    "finding_opened",
    "finding_changed",
    "finding_ended",
    "gap_opened",
    "gap_closed",
    "sweep_published",
    "sweep_failed",
)


def chronicle(connection: Connection, period: Stretch, asked: datetime) -> Chronicle:
    """What was unreadable when in a period, and how much of the time anybody looked, as far as was known when asked.

    Events have an order of their own: what a clock says goes back where it was set back. What counts is all up to the
    last judgement that says that it was made before the period ended, and when the next one was made.

    Raises:
        LedgerError: the events are not what was kept.
    """
    journal.unbroken(connection)
    events, head = journal.head(connection)
    fold = Fold(period, asked)
    last = _last_before(connection, period.end)
    following = None
    if last is not None:
        end = history.end_of(connection, last)
        for one in journal.of_kinds(connection, _KINDS, 0, end):
            _take(fold, one)
        following = journal.first_of(connection, "poll_made", after=end)
        for _ in journal.of_kinds(connection, ("poll_made",), end, events):
            pass  # by its moment alone each of them is left out: it has to be what was kept
    fold.close(journal.moment(following.at) if following is not None else None)
    if following is not None:
        for one in journal.of_kinds(connection, _OF_KEYS, following.seq - 1, history.end_of(connection, following.seq)):
            _take(fold, one)
    first = journal.first_of(connection, "poll_made", after=0)
    return fold.chronicle(Chain(events, head, journal.moment(first.at) if first is not None else None))


class Recent:
    """The last scans, read on as the ledger grows; safe to use from many threads."""

    def __init__(self) -> None:
        self._taking = threading.Lock()
        self._scans = Scans()
        self._number = 0

    def scans(self, connection: Connection) -> tuple[Scanned, ...]:
        """Read what was kept since, and tell of the last ones.

        Raises:
            LedgerError: the events are not what was kept.
        """
        with self._taking:
            newest, _ = journal.head(connection)
            try:
                self._read(connection, newest)
            except BaseException:
                # Half of a judgement was taken in: all of it is read anew.
                self._scans, self._number = Scans(), 0
                raise
            self._number = newest
            return self._scans.told()

    def _read(self, connection: Connection, newest: int) -> None:
        # All that one judgement tells has its moment.
        events = journal.of_kinds(connection, _OF_DATA, self._number, newest)
        for at, some in groupby(events, key=lambda one: one.at):
            for one in some:
                match one.kind:
                    case "context_changed":
                        self._scans.swept(codec.glance(SweepsTold, one.body).sweeps)
                    case "assessment_changed":
                        self._scans.data(codec.member(one.subject), codec.glance(AssessedTold, one.body))
                    case _:
                        self._scans.data(codec.member(one.subject), None)
            self._scans.judged(journal.moment(at))


def _last_before(connection: Connection, end: datetime) -> int | None:
    """Number of the last poll that says that it was made before a moment."""
    with closing(journal.moments(connection, "poll_made")) as newest_first:
        return next((row.seq for row in newest_first if journal.moment(row.at) < end), None)


def _take(fold: Fold, one: Event) -> None:
    match one.kind:
        case "poll_made":
            fold.poll(journal.moment(one.at), codec.glance(PollTold, one.body))
        case "context_changed":
            fold.context(codec.glance(ContextTold, one.body))
        case "key_changed":
            fold.key(one.subject, codec.glance(KeyTold, one.body))
        case "assessment_changed":
            fold.data(codec.member(one.subject), codec.glance(AssessedTold, one.body))
        case "assessment_gone":
            fold.data(codec.member(one.subject), None)
        case "finding_opened" | "finding_changed":
            fold.finding(one.subject, codec.glance(FindingTold, one.body))
        case "finding_ended":
            fold.finding(one.subject, None)
        case "gap_opened":
            fold.gap(one.subject, codec.load(Gap, one.body))
        case "gap_closed":
            fold.gap(one.subject, None)
        case _:
            fold.swept(codec.glance(SweepTold, one.body))
