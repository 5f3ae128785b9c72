"""Judgements in, what changed kept; the newest judgement out, whole."""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import chain, groupby
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from sqlalchemy import Connection, delete

from auditor.errors import BusyError, LedgerError
from auditor.findings import Assessed, Finding, Judgement, Member, Run, Status, member_of, worst_first
from auditor.garbage import unsearched
from auditor.ledger import codec, history, journal, past
from auditor.ledger.chain import Chain
from auditor.ledger.codec import KeptContext, KeptKey, KeptPoll, KeptWhole
from auditor.ledger.database import Database
from auditor.ledger.following import Following
from auditor.ledger.journal import Effects, Journal
from auditor.ledger.link import canonical
from auditor.ledger.tables import CURRENT, DAMAGED
from auditor.model import (
    DECRYPT,
    DENIALS,
    AwsKey,
    Gap,
    GcpKey,
    Grant,
    KeyGone,
    KeyMemory,
    KeyName,
    KeyReading,
    KeyUnread,
    Probe,
    ProbeOutcome,
    Reason,
    Sweep,
    is_being_made,
    resting,
    told_use,
    use_changes,
)
from auditor.overruling import CLOCKS_APART, overrules
from auditor.ports import Made, PollRecord, Stood
from auditor.principals import role_of
from auditor.questions.diff.answer import Between
from auditor.questions.period.answer import Chronicle
from auditor.questions.period.scans import Scanned
from auditor.questions.period.stretches import Stretch

_WITHOUT_A_BREAK: Final = timedelta(minutes=15)
"""Between two answers of a key that is heard of all the time; in longer ones anything may be done and undone."""
_BY_A_BUNDLE: Final = '"is_told":true'
"""Stands in an assessment of data that an operator's bundle tells of; no text in it can have it, of which each quote is
behind a backslash."""
_WAIT_SECONDS: Final = 1800.0
"""As long as a poll of thousands of keys may take inside the share of the quota."""


class LedgerStore:
    """`ports.Ledger` on a SQLite file, or a database of PostgreSQL by its URL.

    It is safe to use from many threads and processes.

    `looking`: it is only read, and stays as it is, also where it is none.
    """

    def __init__(self, where: Path | str, *, looking: bool = False) -> None:
        self._database = Database(where, looking=looking)
        # What was read up to one event, by its number and its hash: a copy that was put back has others of that number.
        self._read: tuple[tuple[int, str], Judgement | None] | None = None
        self._remembered: tuple[tuple[int, str], Mapping[KeyName, KeyMemory]] | None = None
        self._then: Judgement | None = None
        self._recent = past.Recent()
        self._whole_before: KeptWhole | None = None
        """The newest poll of all keys when this process came to hold the ledger for one; None while it does not."""

    @property
    def name(self) -> str:
        """What errors call it: a file, or a URL without a password."""
        return self._database.name

    def close(self) -> None:
        """Let go of the file."""
        self._database.close()

    def publish(self, sweep: Sweep) -> bool:
        """Keep one sweep attempt, complete or not; tell whether it is in force now.

        One that began before another of its bucket says nothing that the other does not know better.

        Raises:
            LedgerError: the ledger cannot be written.
        """
        with self._database.writing() as connection, Journal(connection) as log:
            in_force, attempt = (_of_bucket(connection, kind, sweep.bucket) for kind in ("sweep", "attempt"))
            if _began_later(in_force, sweep) or (not sweep.complete and _began_later(attempt, sweep)):
                log.add(sweep.ended, "sweep_overtaken", sweep.bucket, codec.dump(sweep))
                return False
            kind = "sweep_published" if sweep.complete else "sweep_failed"
            log.add(sweep.ended, kind, sweep.bucket, codec.dump(sweep))
            if sweep.complete and attempt is not None and not _began_later(attempt, sweep):
                log.add(sweep.ended, "attempt_replaced", sweep.bucket, "{}")
            return sweep.complete

    def sweeps(self) -> tuple[Sweep, ...]:
        """The complete sweep of each bucket that began last, by bucket."""
        return self._sweeps("sweep")

    def published(self, ids: Iterable[str]) -> tuple[Sweep, ...]:
        """The complete sweeps of these ids, also where a newer one has replaced them since.

        Raises:
            LedgerError: the ledger knows of no such sweep.
        """
        left = dict.fromkeys(ids)
        found: dict[str, Sweep] = {}
        with self._database.reading() as connection:
            in_force = (row.body for row in journal.current(connection, "sweep").values())
            for body in chain(in_force, journal.bodies(connection, "sweep_published")):
                if not left.keys() - found.keys():
                    break
                one = codec.load(Sweep, body)
                found[one.id] = one
        if lost := left.keys() - found.keys():
            raise LedgerError(
                f"the ledger knows nothing of sweep {min(lost)}, which its newest judgement stands on",
                "it was changed; restore it from a copy",
            )
        return tuple(found[one] for one in left)

    def needed(self, bucket: str) -> frozenset[str]:
        """Ids of the bucket's sweep in force and of all sweeps that the newest judgement stands on."""
        with self._database.reading() as connection:
            in_force = _of_bucket(connection, "sweep", bucket)
            context = _context(connection)
        return frozenset({in_force.id} if in_force else ()).union(context.sweeps if context else ())

    def failed_attempts(self) -> tuple[Sweep, ...]:
        """For each bucket whose newest attempt is not complete: that attempt."""
        return self._sweeps("attempt")

    def memory(self, about: KeyName | None = None) -> Mapping[KeyName, KeyMemory]:
        """What is remembered of every key ever read; or of all names at least that may be of one key (`about`)."""
        part = about.common if about is not None else ""
        with self._database.reading() as connection:
            head = journal.head(connection)
            known = self._remembered
            if known is not None and known[0] == head:
                return known[1]
            poll = _newest_poll(connection)
            kept = journal.current(connection, "key", part) if poll is not None else {}
        whole = poll.whole.now if poll is not None else None
        with unsearched():
            found = {KeyName(name): codec.load(KeptKey, row.body).memory(whole) for name, row in kept.items()}
        memory = MappingProxyType(found)
        if about is None:
            self._remembered = head, memory
        return memory

    def key_names(self) -> frozenset[KeyName]:
        """Every key ever read, and all that data of the newest judgement is under."""
        with self._database.reading() as connection:
            if _newest_poll(connection) is None:
                return frozenset()
            names, under = journal.ids(connection, "key"), journal.ids(connection, "assessment")
        return frozenset(map(KeyName, {*names, *filter(None, map(codec.key_of, under))}))

    def probes(self) -> tuple[Probe, ...]:
        """The newest telling, cached and inconclusive probe of each kind and principal, for each place."""
        with self._database.reading() as connection:
            kept = journal.current(connection, "probe")
        return tuple(codec.load(Probe, kept[name].body) for name in sorted(kept))

    def probes_between(self, since: datetime, until: datetime) -> int:
        """How many probes were made between two moments."""
        with self._database.reading() as connection:
            return journal.count(connection, "probe_made", since, until)

    def keep_probe(self, probe: Probe) -> None:
        """Keep one probe, beside the last of others: one that told nothing, or what a bucket key knew, replaces none.

        Each reason why something was refused stands by itself, until something passes that tells otherwise: what came
        later is known here, whatever the clocks said.

        Raises:
            LedgerError: the ledger cannot be written.
        """
        with self._database.writing() as connection, Journal(connection) as log:
            kept = journal.current(connection, "probe")
            for name, row in sorted(kept.items()):
                # No other key's probe can be meant: those are not even read.
                if probe.key in name and overrules(probe, codec.load(Probe, row.body)):
                    log.add(probe.at, "probe_overruled", name, "{}")
            name = _probe_name(probe)
            if probe.early and name in kept:
                # It was refused so before that change as well.
                probe = replace(probe, early=codec.load(Probe, kept[name].body).early)
            log.add(probe.at, "probe_made", name, codec.dump(probe))

    def forget_probes(self, probes: Iterable[Probe]) -> None:
        """Let probes that were dated by a wrong clock count no more, also not when their time comes.

        Raises:
            LedgerError: the ledger cannot be written.
        """
        with self._database.writing() as connection, Journal(connection) as log:
            for one in probes:
                log.add(one.at, "probe_overruled", _probe_name(one), "{}")

    def keep_told(self, probes: Iterable[tuple[Probe, Probe]]) -> None:
        """Keep what keys told next to refusals that are kept already: each as it was, and as it is now.

        Raises:
            LedgerError: the ledger cannot be written.
        """
        changed = tuple(probes)
        if not changed:
            return
        with self._database.writing() as connection, Journal(connection) as log:
            kept = journal.current(connection, "probe")
            for old, new in changed:
                log.add(new.at, "probe_overruled", _probe_name(old), "{}")
                name = _probe_name(new)
                # One that was made too soon takes nothing from one that counts.
                if not (new.early and name in kept and not codec.load(Probe, kept[name].body).early):
                    log.add(new.at, "probe_told", name, codec.dump(new))

    @contextmanager
    def judging(self) -> Iterator[Callable[[], bool]]:
        """Hold while keys are read and judged; wait for whoever holds it, in this process or another.

        It gives how to ask whether it is held still.

        Raises:
            LedgerError: another one holds it for too long.
        """
        busy = LedgerError(
            f"another poll with this ledger did not end within {_WAIT_SECONDS:.0f} s",
            "look what the other one waits for, or stop it; then poll again",
        )
        with self._database.held("poll", busy, _WAIT_SECONDS) as still:
            with self._database.reading() as connection:
                self._whole_before = _newest_whole(connection)
            try:
                yield still
            finally:
                self._whole_before = None

    @contextmanager
    def leading(self) -> Iterator[Callable[[], bool]]:
        """Hold what only one daemon may hold; it gives how to ask whether it is held still.

        Raises:
            BusyError: another daemon holds it.
            LedgerError: whether one does cannot be told.
        """
        busy = BusyError(
            "another daemon works with this ledger",
            "stop it first, let this one wait with --standby, or give it a `state` of its own",
        )
        with self._database.held("daemon", busy, 0.0) as still:
            yield still

    def findings(self) -> tuple[Finding, ...]:
        """Findings of the newest judgement that are not resolved."""
        judgement = self.judgement()
        return tuple(one for one in judgement.findings if one.status is not Status.RESOLVED) if judgement else ()

    def stood(self, key: str) -> Iterator[Stood]:
        """How much stood under each version of a key whenever that changed, the oldest first.

        Raises:
            LedgerError: the ledger cannot be read.
        """
        held: dict[Member, tuple[int, int]] = {}
        last: dict[str | None, tuple[int, int]] = {}
        with self._database.reading() as connection:
            told = journal.told_of(connection, ("assessment_changed", "assessment_gone"), canonical(key))
            for at, some in groupby(told, lambda row: row.at):
                for row in some:
                    member = codec.member(row.subject)
                    if member[2] != key:
                        continue
                    holding = codec.load(Assessed, row.body).holding if row.kind == "assessment_changed" else None
                    # What registries alone say stands nowhere that anybody saw.
                    held[member] = (holding.objects or 0, holding.size or 0) if holding is not None else (0, 0)
                for version in sorted({one[3] for one in held}, key=str):
                    mine = [count for one, count in held.items() if one[3] == version]
                    objects, size = (sum(one) for one in zip(*mine, strict=True))
                    if last.get(version) != (objects, size):
                        last[version] = objects, size
                        yield Stood(journal.moment(at), version, objects, size)

    def ended(self, beginning: str = "", *, since: datetime | None = None) -> tuple[Finding, ...]:
        """Findings whose id begins so, each as it was when it ended last; also those that have come back since.

        `since`: aware; those that ended before are left out.

        Raises:
            LedgerError: the ledger cannot be read.
        """
        with self._database.reading() as connection:
            found = journal.newest(connection, "finding_closed", beginning, since)
        every = (codec.load(Finding, found[one]) for one in sorted(found))
        return tuple(one for one in every if since is None or one.last_seen >= since)

    def keep(self, poll: PollRecord, judgement: Judgement) -> None:
        """Keep a poll and the judgement made from it: what changed, and one small record.

        Raises:
            LedgerError: the ledger cannot be written; or somebody else kept a poll of all keys since this process came
                to hold it for one, as after a machine was frozen for longer than its lock lasts.
        """
        with self._database.writing() as connection, Journal(connection) as log:
            now = judgement.now
            whole = _newest_whole(connection)
            if self._whole_before not in {None, whole}:
                raise LedgerError(
                    "another process has kept a poll while keys were asked, so that this one is not kept",
                    "look whether this machine stood still, or who takes files out of the state folder; poll again",
                )
            log.add(now, "poll_made", poll.id, codec.dump(_kept_poll(poll, judgement, whole)))
            _keep_context(connection, log, judgement)
            _keep_keys(connection, log, poll, now, whole.now)
            _keep_assessed(connection, log, judgement)
            _keep_findings(connection, log, judgement)
            _keep_gaps(connection, log, judgement)

    def judgement(self) -> Judgement | None:
        """The newest judgement, whole; None before the first.

        Raises:
            LedgerError: the ledger cannot be read.
        """
        with self._database.reading() as connection:
            head = journal.head(connection)
            known = self._read
            if known is not None and known[0] == head:
                return known[1]
            found = _judgement(connection)
        self._read = head, found
        return found

    def judgement_about(self, key: KeyName | None) -> Judgement | None:
        """The newest judgement without findings, and of no other data than may be under one key by any of its names.

        None before the first. It is read in the same time however many keys there are. `key`: None for no data at all.

        Raises:
            LedgerError: the ledger cannot be read.
        """
        with self._database.reading() as connection:
            stands = {thing: journal.current(connection, thing) for thing in ("poll", "context", "gap")}
            if key is not None:
                stands["assessment"] = journal.current(connection, "assessment", canonical(key.common)[1:-1])
            found = _told({thing: [row.body for row in rows.values()] for thing, rows in stands.items()})
            besides = journal.says(connection, "assessment", _BY_A_BUNDLE)
        return replace(found, besides=besides) if found is not None else None

    def made(self) -> Iterator[Made]:
        """Yield every judgement, the newest first."""
        with self._database.reading() as connection:
            yield from history.made(connection)

    def named(self, prefix: str) -> tuple[Made, ...]:
        """The first two judgements, oldest first, whose ids begin so."""
        with self._database.reading() as connection:
            return tuple(history.named(connection, prefix))

    def then(self, one: Made) -> Judgement:
        """A judgement of before, whole: made again from the events up to its own; the newest as it stands.

        Raises:
            LedgerError: these are not what was kept.
        """
        newest = self.judgement()
        if newest is not None and newest.run.id == one.id:
            return newest
        known = self._then
        if known is None or known.run.id != one.id:
            with self._database.reading() as connection:
                journal.unbroken(connection)
                known = _told(history.standing(connection, one.number))
            if known is None:
                raise LedgerError(f"the ledger does not hold judgement {one.id} any more", DAMAGED)
            # The daemon's report asks for the same one with every poll, until the next sweep.
            self._then = known
        return known

    def between(self, first: int, last: int) -> Between:
        """What became of keys and findings from one judgement to another.

        Raises:
            LedgerError: the events are not what was kept.
        """
        with self._database.reading() as connection:
            journal.unbroken(connection)
            return history.between(connection, first, last)

    def chronicle(self, period: Stretch, asked: datetime) -> Chronicle:
        """What was unreadable when in a period, and how much of the time anybody looked.

        Raises:
            LedgerError: the events are not what was kept.
        """
        with self._database.reading() as connection:
            return past.chronicle(connection, period, asked)

    def scans(self) -> tuple[Scanned, ...]:
        """How much could not be read since each of the last scans, the oldest first.

        Raises:
            LedgerError: the events are not what was kept.
        """
        with self._database.reading() as connection:
            return self._recent.scans(connection)

    def head(self) -> tuple[int, str]:
        """Number and hash of the newest event: they stand for the whole ledger."""
        with self._database.reading() as connection:
            return journal.head(connection)

    def has(self, number: int, hash_: str) -> bool:
        """Whether an event of this ledger has this number and hash, or was the newest before the first."""
        with self._database.reading() as connection:
            return journal.has(connection, number, hash_)

    def follow(self, number: int | None = None, *, anew: bool = False) -> Following:
        """Tell on behind event `number`, or behind the newest; `anew`: first of all that stood there.

        Raises:
            LedgerError: the ledger cannot be read.
        """
        return Following(self._database, number, anew=anew)

    def chain(self) -> Chain:
        """What the chain proves to somebody who has no ledger."""
        return Chain(self._database)

    def hash_of(self, number: int) -> str:
        """Hash of one event; of none, what stands before the first."""
        with self._database.reading() as connection:
            return journal.hash_of(connection, number)

    def verify(self) -> int:
        """Walk the whole chain, compare what it adds up to with the current state, and count the links.

        Reads every event and everything that stands: for a start or a report, not for a poll.

        Raises:
            LedgerError: a link is missing or was changed, or the current state is not what the events give.
        """
        standing: dict[tuple[str, str], tuple[str, bytes]] = {}
        links = 0
        with self._database.reading() as connection:
            for one in journal.events(connection):
                links += 1
                thing, name, stands = journal.effect(one.kind, one.subject)
                if stands:
                    # A digest each: the bodies of a large fleet would not fit.
                    standing[thing, name] = one.kind, _digest(one.body)
                else:
                    standing.pop((thing, name), None)
            for row in journal.everything(connection):
                kind, digest = standing.pop((row.kind, row.id), ("", b""))
                if digest != _digest(row.body) or row.facts != _facts_of(kind, row.body):
                    raise _not_of_its_events(row.kind, row.id)
        for thing, name in standing:
            raise _not_of_its_events(thing, name)
        return links

    def rebuild(self) -> None:
        """Make the current state anew from the events.

        Raises:
            LedgerError: the chain does not hold.
        """
        with self._database.writing() as connection:
            connection.execute(delete(CURRENT))
            effects = Effects()
            for one in journal.events(connection):
                effects.add(one.kind, one.subject, one.body, _facts_of(one.kind, one.body))
            effects.apply(connection)

    def _sweeps(self, kind: str) -> tuple[Sweep, ...]:
        with self._database.reading() as connection:
            kept = journal.current(connection, kind)
        return tuple(codec.load(Sweep, kept[bucket].body) for bucket in sorted(kept))


def _of_bucket(connection: Connection, kind: str, bucket: str) -> Sweep | None:
    body = journal.body_of(connection, kind, bucket)
    return codec.load(Sweep, body) if body is not None else None


def _began_later(known: Sweep | None, sweep: Sweep) -> bool:
    if known is None:
        return False
    if known.as_of or sweep.as_of:
        # When it was made says nothing of when it is of.
        return known.started > sweep.started
    return (known.after, known.started) > (sweep.after, sweep.started)


def _newest_poll(connection: Connection) -> KeptPoll | None:
    kept = journal.current(connection, "poll")
    return next((codec.load(KeptPoll, row.body) for row in kept.values()), None)


def _newest_whole(connection: Connection) -> KeptWhole:
    newest = _newest_poll(connection)
    return newest.whole if newest is not None else KeptWhole(None, None)


def _context(connection: Connection) -> KeptContext | None:
    kept = journal.current(connection, "context")
    return next((codec.load(KeptContext, row.body) for row in kept.values()), None)


def _kept_poll(poll: PollRecord, judgement: Judgement, whole: KeptWhole) -> KeptPoll:
    return KeptPoll(
        id=poll.id,
        started=judgement.run.started,
        ended=judgement.run.ended,
        now=judgement.now,
        skew=judgement.run.skew,
        interval=judgement.poll_interval,
        oldest_key_read=judgement.oldest_key_read,
        keys=len(poll.readings),
        root=codec.merkle_root(poll.readings),
        before=None if poll.whole else whole,
    )


def _keep_context(connection: Connection, log: Journal, judgement: Judgement) -> None:
    run = judgement.run
    context = KeptContext(
        version=run.version,
        identity=run.identity,
        config_digest=run.config_digest,
        rules_version=run.rules_version,
        coverage=judgement.coverage,
        tallies=judgement.tallies,
        sweeps=judgement.sweeps,
        waivers=judgement.waivers,
        registered=judgement.registered,
        config_file_digest=run.config_file_digest,
        spaces=judgement.spaces,
    )
    body = codec.dump(context)
    kept = journal.current(connection, "context")
    if not any(row.body == body for row in kept.values()):
        log.add(judgement.now, "context_changed", run.id, body)


def _keep_keys(connection: Connection, log: Journal, poll: PollRecord, now: datetime, whole: datetime | None) -> None:
    """Keep keys whose facts changed, that began or ceased to answer, or that are needed no more.

    `whole`: the moment of the newest poll of all keys before this one.
    """
    asked = {one.name.text: one for one in poll.readings}
    left = {one.text for one in poll.needed}.difference(asked)
    rows = journal.current(connection, "key")
    kept = {name: codec.load(KeptKey, row.body) for name, row in rows.items() if poll.whole or name not in left}
    for name in sorted(kept.keys() | asked.keys()):
        old = kept.get(name)
        reading = asked.get(name)
        if old is not None and name in left:
            # A poll that overtook this one has read it, and later: this one's moment is not its.
            new = replace(old, last_at=old.answered_at(whole), missing_until=old.missing_at(whole), gone=False)
        else:
            new = replace(_kept_key(reading, old, now, whole), asked=reading is not None)
            if new.answered and not poll.whole:
                new = replace(new, last_at=now)
            if new.gone and not poll.whole:
                new = replace(new, missing_until=now)
        if old is None or codec.facts(new) != codec.facts(old):
            log.add(now, "key_changed", name, codec.dump(new), codec.facts(new))


def _kept_key(reading: KeyReading | None, old: KeptKey | None, now: datetime, whole: datetime | None) -> KeptKey:
    was = old or KeptKey(answered=False)
    # What has just ceased to answer was last confirmed by the poll that it answered last.
    before = was.answered_at(whole)
    ceased = replace(was, answered=False, last_at=before, missing_until=was.missing_at(whole), gone=False)
    match reading:
        case AwsKey() as key if is_being_made(key) and was.aws is not None and not is_being_made(was.aws):
            if was.denied_since is None and was.missing_since is None:
                return ceased
            # It exists, and whatever it was before it was denied or gone, it is not that any more.
            return replace(ceased, aws=None, last_at=None, **_FOUND)
        case AwsKey() | GcpKey() as key:
            aws, gcp = (key, None) if isinstance(key, AwsKey) else (None, key)
            return replace(
                was,
                answered=True,
                aws=aws,
                gcp=gcp,
                last_at=None,
                granted=tuple(sorted(_granted(key, frozenset(was.granted)).difference(_above(key, was)))),
                above=tuple(sorted(_above(key, was))),
                barred=_barred(key, was),
                # What a clock that was ahead has dated was seen to change now, as far as anybody knows.
                changed={
                    **{fact: min(date, now) for fact, date in was.changed.items()},
                    **dict.fromkeys(sorted(use_changes(was.told, key)), now),
                },
                told={**was.told, **told_use(key)},
                highest_version=max(was.highest_version, _highest(key)),
                resting=_resting(key, was, now, before),
                first_at=now if _was_silent(was, now) else min(was.first_at or now, now),
                **_FOUND,
            )
        case KeyGone(proven=proven):
            # One that a clock in the future has dated begins anew.
            since = min(was.missing_since or now, now)
            return replace(
                ceased,
                gone=True,
                missing_since=since,
                missing_until=min(was.missing_until or since, now),
                missing_proven=was.missing_proven or proven,
                denied_since=None,
                silence=reading,
            )
        case KeyUnread(reason=reason) if reason in DENIALS:
            return replace(ceased, denied_since=was.denied_since or now, silence=reading)
        case KeyUnread(reason=Reason.NOT_FOUND) if not was.missing_proven:
            # It is not among the deleted keys: whoever did not find it before was not asked rightly.
            return replace(ceased, missing_since=None, missing_until=None, silence=_silence(reading, was))
        case KeyUnread():
            return replace(ceased, silence=_silence(reading, was))
        case _:
            return ceased


def _silence(unread: KeyUnread, was: KeptKey) -> KeyGone | KeyUnread | None:
    """What is kept as the last word of a key that was not read for another reason than a denial.

    A fault on the way is no word, but where there never was one it is all that is known.
    """
    if isinstance(was.silence, KeyGone) and unread.reason is not Reason.NOT_FOUND:
        return was.silence
    if isinstance(was.silence, KeyUnread) and was.silence.reason in DENIALS:
        return was.silence
    return unread if (was.aws or was.gcp) is None else None


_FOUND: Final[Mapping[str, Any]] = {
    "gone": False,
    "missing_since": None,
    "missing_until": None,
    "missing_proven": False,
    "denied_since": None,
    "silence": None,
}
"""What ends when the service says that the key is there."""


def _probe_name(probe: Probe) -> str:
    word = "cached" if probe.cached else probe.outcome.value
    why = [probe.code, dict(probe.told)] if probe.outcome is ProbeOutcome.REFUSED else []
    who = role_of(probe.principal) if probe.principal is not None else None
    return canonical([probe.bucket, probe.key, probe.key_version, probe.kind, word, who, *why])


def _barred(key: AwsKey | GcpKey, was: KeptKey) -> tuple[str, ...]:
    """Who provably cannot decrypt; where this reading does not tell, it stays as it was.

    Of somebody who is not asked for any more, policies that were read whole bar nobody: they may let them again.
    """
    told = {
        one.principal: one.grant
        for one in (key.access.rights if key.access is not None else ())
        if one.action == DECRYPT[key.name.cloud]
    }
    is_whole = key.access is not None and not key.access.unread
    stands = {Grant.UNREAD, Grant.WITHDRAWN}
    otherwise = None if is_whole else Grant.UNREAD
    barred = {one for one in was.barred if told.get(one, otherwise) in stands}
    barred.update(one for one, grant in told.items() if grant in {Grant.ABSENT, Grant.DENIED})
    barred.update(one for one, grant in told.items() if grant is Grant.WITHDRAWN and one in was.granted)
    return tuple(sorted(barred))


def _was_silent(was: KeptKey, now: datetime) -> bool:
    """Whether it was asked for a time until now and did not tell: it may have been used, and be again what it was."""
    is_long = not was.answered and was.last_at is not None and now - was.last_at > _WITHOUT_A_BREAK
    return is_long or was.denied_since is not None or was.missing_since is not None


def _resting(key: AwsKey | GcpKey, was: KeptKey, now: datetime, before: datetime | None) -> dict[str, datetime]:
    """Since when nothing new is stored under what of the key: nobody knows what happened while nobody heard of it."""
    heard = before is not None and -CLOCKS_APART <= now - before <= _WITHOUT_A_BREAK
    known = was.resting if heard and was.denied_since is None and was.missing_since is None else {}
    return {one: min(known.get(one, now), now) for one in sorted(resting(key))}


def _highest(key: AwsKey | GcpKey) -> int:
    return max((int(one.number) for one in key.versions), default=0) if isinstance(key, GcpKey) else 0


def _granted(key: AwsKey | GcpKey, before: frozenset[str]) -> frozenset[str]:
    """Who was ever seen with a direct grant on key or ring."""
    rights = key.access.rights if key.access is not None else ()
    direct = [one for one in rights if one.grant is Grant.DIRECT and one.action == DECRYPT[key.name.cloud]]
    return before.union(one.principal for one in direct)


def _above(key: AwsKey | GcpKey, was: KeptKey) -> frozenset[str]:
    """Whom the project let as well when its policy was last read: what is gone below takes no right from them."""
    rights = key.access.rights if key.access is not None else ()
    told = {one.principal: one.above for one in rights if one.action == DECRYPT[key.name.cloud]}
    kept = {one for one in was.above if told.get(one) is None}
    return frozenset(kept.union(one for one, above in told.items() if above))


def _keep_assessed(connection: Connection, log: Journal, judgement: Judgement) -> None:
    kept = journal.current(connection, "assessment")
    for one in judgement.assessed:
        name = _member_id(member_of(one.holding))
        facts = codec.facts(one)
        if name not in kept or kept[name].facts != facts:
            log.add(judgement.now, "assessment_changed", name, codec.dump(one), facts)
        kept.pop(name, None)
    for name in sorted(kept):
        log.add(judgement.now, "assessment_gone", name, "{}")


def _keep_findings(connection: Connection, log: Journal, judgement: Judgement) -> None:
    for name in sorted(journal.current(connection, "closed")):
        log.add(judgement.now, "closed_passed", name, "{}")
    kept = journal.current(connection, "finding")
    for one in sorted(judgement.findings, key=lambda finding: finding.id):
        if one.status is Status.RESOLVED:
            log.add(judgement.now, "finding_closed", one.id, codec.dump(one), _finding_facts(one))
        else:
            facts = _finding_facts(one)
            if one.id not in kept:
                log.add(judgement.now, "finding_opened", one.id, codec.dump(one), facts)
            elif kept[one.id].facts != facts:
                log.add(judgement.now, "finding_changed", one.id, codec.dump(one), facts)
            kept.pop(one.id, None)
    for name in sorted(kept):
        log.add(judgement.now, "finding_ended", name, "{}")


def _finding_facts(one: Finding) -> str:
    """Digest without `last_seen`, which every judgement moves that upholds it."""
    return codec.facts(replace(one, last_seen=one.first_seen))


def _keep_gaps(connection: Connection, log: Journal, judgement: Judgement) -> None:
    kept = journal.current(connection, "gap")
    for gap in judgement.gaps:
        name = codec.facts(gap)
        if name not in kept:
            log.add(judgement.now, "gap_opened", name, codec.dump(gap), name)
        kept.pop(name, None)
    for name in sorted(kept):
        log.add(judgement.now, "gap_closed", name, "{}")


def _member_id(member: Member) -> str:
    return canonical(member)


def _facts_of(kind: str, body: str) -> str:
    """Compute again what `facts` was when the event was added, from the text: another version may have written it."""
    match kind:
        case "key_changed" | "assessment_changed" | "gap_opened":
            return codec.facts(json.loads(body))
        case "finding_opened" | "finding_changed" | "finding_closed":
            told = json.loads(body)
            return codec.facts({**told, "last_seen": told["first_seen"]})
        case _:
            return ""


def _digest(body: str) -> bytes:
    return hashlib.sha256(body.encode()).digest()


def _not_of_its_events(thing: str, name: str) -> LedgerError:
    return LedgerError(
        f"the ledger's current state is not what its events give: {thing} {name}",
        "somebody changed it; no output of it is proven; restore it from a copy",
    )


def _judgement(connection: Connection) -> Judgement | None:
    things = ("poll", "context", "assessment", "finding", "closed", "gap")
    return _told({thing: [row.body for row in journal.current(connection, thing).values()] for thing in things})


@unsearched()
def _told(stands: Mapping[str, Iterable[str]]) -> Judgement | None:
    """Read a judgement from all that stands: kind of thing -> what is said; None where nothing was judged yet."""
    poll = next((codec.load(KeptPoll, body) for body in stands.get("poll", ())), None)
    context = next((codec.load(KeptContext, body) for body in stands.get("context", ())), None)
    if poll is None or context is None:
        return None
    assessed = [codec.load(Assessed, body) for body in stands.get("assessment", ())]
    standing = [codec.load(Finding, body) for body in stands.get("finding", ())]
    closed = [codec.load(Finding, body) for body in stands.get("closed", ())]
    gaps = [codec.load(Gap, body) for body in stands.get("gap", ())]
    seen = [one if one.is_held else replace(one, last_seen=poll.now) for one in standing]
    return Judgement(
        run=Run(
            id=poll.id,
            started=poll.started,
            ended=poll.ended,
            version=context.version,
            identity=context.identity,
            config_digest=context.config_digest,
            rules_version=context.rules_version,
            skew=poll.skew,
            config_file_digest=context.config_file_digest,
        ),
        now=poll.now,
        coverage=context.coverage,
        assessed=tuple(sorted(assessed, key=lambda one: _order(member_of(one.holding)))),
        findings=tuple(sorted([*seen, *closed], key=worst_first)),
        gaps=tuple(sorted(gaps, key=lambda gap: (gap.what, gap.reason, gap.effect))),
        tallies=context.tallies,
        sweeps=context.sweeps,
        waivers=context.waivers,
        registered=context.registered,
        poll_interval=poll.interval,
        oldest_key_read=poll.oldest_key_read,
        whole_poll=poll.whole.ended,
        spaces=context.spaces,
    )


def _order(member: Member) -> tuple[bytes, str, bytes, str]:
    bucket, encryption, key, version = member
    return bucket.encode(), encryption, (key or "").encode(), version or ""
