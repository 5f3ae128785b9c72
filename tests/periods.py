"""Ledgers with a history that was made by hand: judgements as they are kept, and what keys answered."""

import hashlib
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from auditor import lifecycle
from auditor.findings import (
    Assessed,
    Assessment,
    Basis,
    BucketCoverage,
    Confidence,
    Coverage,
    Finding,
    Judgement,
    Member,
    Readability,
    Run,
    Severity,
    Status,
    Subject,
    SubjectKind,
)
from auditor.ledger.store import LedgerStore
from auditor.model import BucketFacts, Cloud, Encryption, Extent, Gap, Holding, KeyName, KeyReading, Sweep
from auditor.ports import PollRecord
from auditor.questions.period.answer import Chronicle
from auditor.questions.period.stretches import Stretch
from tests.core_builders import AWS_KEY, NOW, an_aws_key

MINUTE = timedelta(minutes=1)
RULES = {
    Readability.UNREADABLE: ("data-unreadable", Severity.CRITICAL),
    Readability.DOOMED: ("data-doomed", Severity.CRITICAL),
    Readability.LOST: ("data-lost", Severity.CRITICAL),
    Readability.EXPIRING: ("data-expiring", Severity.HIGH),
    Readability.UNKNOWN: ("key-state-unknown", Severity.MEDIUM),
    None: ("rotation-off", Severity.LOW),
}


def key(number: int) -> KeyName:
    """One of several keys."""
    return KeyName(f"{AWS_KEY.text[:-1]}{number}")


def member(name: KeyName) -> Member:
    """What hangs on it."""
    return "s3://data", Encryption.CMEK, name.text, None


def data(
    name: KeyName, readability: Readability, objects: int | None = 10, size: int | None = 1000, namespaces: int = 2
) -> Assessed:
    """The same, judged."""
    holding = Holding("s3://data", Encryption.CMEK, name.text, None, objects, size, 0, namespaces, NOW, NOW)
    subject = Subject(SubjectKind.KEY, name.text)
    return Assessed(holding, Encryption.CMEK, Assessment(readability, Basis.STATE, "so it is", subject))


def finding(
    name: KeyName,
    readability: Readability | None,
    since: datetime,
    objects: int = 10,
    *,
    waived: bool = False,
    **more: Any,
) -> Finding:
    """A finding on a key, first told now; what it was before `Story` knows."""
    rule, severity = RULES[readability]
    facts: dict[str, Any] = {
        "id": hashlib.sha256(f"{rule} {name}".encode()).hexdigest()[:16],
        "rule": rule,
        "severity": severity,
        "status": Status.WAIVED if waived else Status.OPEN,
        "subject": Subject(SubjectKind.KEY, name.text),
        "readability": readability,
        "cause": f"the key is {readability}",
        "confidence": Confidence.PROVEN,
        "extent": Extent(objects, 100 * objects, 2),
        "members": (member(name),),
        "final_at": None,
        "since": since,
        "since_source": "between_polls",
        "evidence": (),
        "undo": (),
        "first_seen": since,
        "last_seen": since,
        "waived_until": since + timedelta(days=30) if waived else None,
        **more,
    }
    return Finding(**facts)


class Story:
    """A ledger that is told on judgement by judgement; all moments are so many times `unit` after `NOW`."""

    def __init__(self, where: Path | str, unit: timedelta = MINUTE) -> None:
        self.unit = unit
        self.ledger = LedgerStore(where)
        self.judgements: list[Judgement] = []

    def poll(
        self,
        at: float,
        *findings: Finding,
        assessed: Iterable[Assessed] | None = None,
        readings: Iterable[KeyReading] | None = None,
        interval: timedelta | None = MINUTE,
        whole: bool = True,
        needed: Iterable[KeyName] = (),
        gaps: tuple[Gap, ...] = (),
        buckets: tuple[BucketCoverage, ...] | None = None,
        digest: str = "c" * 64,
        sweeps: tuple[str, ...] = ("s1",),
    ) -> Judgement:
        """Keep a poll and what was judged; data is as findings say where nothing else is told."""
        now = NOW + at * self.unit
        before = self.ledger.judgement()
        fresh = [replace(one, first_seen=now, last_seen=now) for one in findings]
        asked = tuple((an_aws_key(),) if readings is None else readings)
        of_findings = [data(KeyName(one.subject.id), one.readability) for one in findings if one.readability]
        some = of_findings or [data(AWS_KEY, Readability.READABLE)]
        judgement = Judgement(
            run=Run(f"poll-{len(self.judgements)}", now, now, "0.1.0", ("me",), digest, "r1", timedelta(0)),
            now=now,
            coverage=Coverage((a_bucket(),) if buckets is None else buckets, len(asked), len(asked), None),
            assessed=tuple(some if assessed is None else assessed),
            findings=lifecycle.carry_on(fresh, before.findings if before is not None else (), now),
            gaps=gaps,
            tallies=(),
            sweeps=sweeps,
            poll_interval=interval,
            whole_poll=now,
            oldest_key_read=now,
        )
        names = frozenset(one.name for one in asked).union(needed)
        record = PollRecord(judgement.run.id, now, now, asked, timedelta(0), digest, whole, names)
        self.ledger.keep(record, judgement)
        self.judgements.append(judgement)
        return judgement

    def polls(self, *moments: float, **more: Any) -> None:
        """Polls in which all is well."""
        for one in moments:
            self.poll(one, **more)

    def sweep(self, at: float, *, complete: bool = True, bucket: str = "s3://data") -> None:
        """Keep the end of a sweep."""
        ended = NOW + at * self.unit
        facts = BucketFacts(bucket, Cloud.AWS, "us-east-1")
        self.ledger.publish(Sweep(f"s{at}", bucket, ended, ended, complete, 10, 10, 0, 0, ended, facts, after=int(at)))

    def told(self, begin: float, end: float, asked: float | None = None) -> Chronicle:
        """What the ledger tells of a time."""
        period = between(begin, end, self.unit)
        return self.ledger.chronicle(period, NOW + (1_000_000 if asked is None else asked) * self.unit)


def a_bucket(name: str = "s3://data", *, complete: bool = True, listed: int = 10, resolved: int = 10) -> BucketCoverage:
    """How much of a bucket is known."""
    return BucketCoverage(name, complete, listed, resolved, listed - resolved, 0, 0, NOW, NOW, NOW)


def between(begin: float, end: float, unit: timedelta = MINUTE) -> Stretch:
    """A time, by so many times `unit` after `NOW`."""
    return Stretch(NOW + begin * unit, NOW + end * unit)


def spans(some: Iterable[Stretch], unit: timedelta = MINUTE) -> list[tuple[float, float]]:
    """The same of times."""
    return [((one.begin - NOW) / unit, (one.end - NOW) / unit) for one in some]
