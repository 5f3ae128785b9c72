"""What an account of a long time costs: python -m bench.period POLLS prints one line of JSON.

A ledger of so many polls a minute apart is made by the ledger's own journal, with as much in between as a fleet of
1,000 keys has in a year: four sweeps a day that change what hangs on keys, findings that open and end, keys that do not
answer for a time. A process of its own then asks for all of it, as `report --period` does.
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from auditor.findings import (
    Assessed,
    Assessment,
    Basis,
    BucketCoverage,
    Confidence,
    Coverage,
    Finding,
    Member,
    Readability,
    Severity,
    Status,
    Subject,
    SubjectKind,
)
from auditor.ledger import codec
from auditor.ledger.codec import KeptContext, KeptKey, KeptPoll
from auditor.ledger.database import Database
from auditor.ledger.journal import Journal
from auditor.ledger.link import canonical
from auditor.ledger.store import LedgerStore
from auditor.model import AwsKey, BucketFacts, Cloud, Encryption, Extent, Holding, KeyManager, KeyName, Sweep
from auditor.questions.period.stretches import Stretch

START: Final = datetime(2026, 1, 1, tzinfo=UTC)
KEYS: Final = 1_000
EACH: Final = 10_000
"""Polls kept in one transaction."""
APART: Final = 360
"""Minutes from one sweep to the next."""
SILENT, TELLS, OFF, ON = 60, 120, 180, 240
"""Minutes after a sweep at which a key does not answer, does again, is disabled and enabled."""


def name(number: int) -> KeyName:
    """One key."""
    return KeyName(f"arn:aws:kms:us-east-1:111122223333:key/1f3c0f5e-0000-4000-8000-{number:012}")


def assessed(number: int, objects: int, readability: Readability) -> Assessed:
    """What hangs on one key."""
    holding = Holding(
        "s3://data", Encryption.CMEK, name(number).text, None, objects, 1000 * objects, 0, 2, START, START
    )
    subject = Subject(SubjectKind.KEY, name(number).text)
    return Assessed(holding, Encryption.CMEK, Assessment(readability, Basis.STATE, "it is so", subject))


def finding(number: int, at: datetime) -> Finding:
    """The finding on one key."""
    member: Member = ("s3://data", Encryption.CMEK, name(number).text, None)
    return Finding(
        id=f"{number:016x}",
        rule="data-unreadable",
        severity=Severity.CRITICAL,
        status=Status.OPEN,
        subject=Subject(SubjectKind.KEY, name(number).text),
        readability=Readability.UNREADABLE,
        cause="the key is Disabled",
        confidence=Confidence.PROVEN,
        extent=Extent(10, 10_000, 2),
        members=(member,),
        final_at=None,
        since=at,
        since_source="between_polls",
        evidence=(),
        undo=(),
        first_seen=at,
        last_seen=at,
    )


def make(ledger: Path, polls: int) -> int:
    """Make the ledger; how many events it has."""
    LedgerStore(ledger).close()
    database = Database(ledger)
    for first in range(0, polls, EACH):
        with database.writing() as connection, Journal(connection) as log:
            for number in range(first, min(first + EACH, polls)):
                poll(log, number)
    database.close()
    return LedgerStore(ledger, looking=True).head()[0]


def poll(log: Journal, number: int) -> None:
    """Keep one poll, and what came with it."""
    at = START + timedelta(minutes=number)
    minute = timedelta(minutes=1)
    log.add(
        at,
        "poll_made",
        f"poll-{number}",
        codec.dump(KeptPoll(f"poll-{number}", at, at, at, timedelta(0), minute, at, KEYS, "0" * 64)),
    )
    turn, late = divmod(number, APART)
    if late == 0:
        sweep(log, turn, at)
    one = turn % KEYS
    if late in {SILENT, TELLS}:
        tells = late == TELLS
        silent = KeptKey(answered=tells, aws=an_aws_key(one), last_at=None if tells else at - minute)
        log.add(at, "key_changed", name(one).text, codec.dump(silent))
    if late in {OFF, ON}:
        is_off = late == OFF
        told = assessed(one, 10, Readability.UNREADABLE if is_off else Readability.READABLE)
        log.add(at, "assessment_changed", canonical(["s3://data", "cmek", name(one).text, None]), codec.dump(told))
        found = finding(one, at)
        if is_off:
            log.add(at, "finding_opened", found.id, codec.dump(found))
        else:
            log.add(at, "finding_closed", found.id, codec.dump(replace(found, status=Status.RESOLVED)))
            log.add(at, "finding_ended", found.id, "{}")


def sweep(log: Journal, turn: int, at: datetime) -> None:
    """Keep one sweep, and what it changed: a tenth of all data, and all of it at first."""
    swept = Sweep(
        f"s{turn}",
        "s3://data",
        at,
        at,
        True,
        10 * KEYS,
        10 * KEYS,
        0,
        0,
        at,
        BucketFacts("s3://data", Cloud.AWS, "us-east-1"),
        files={},
    )
    log.add(at, "sweep_published", "s3://data", codec.dump(swept))
    coverage = Coverage(
        (BucketCoverage("s3://data", True, 10 * KEYS, 10 * KEYS, 0, 0, 0, at, at, at),), KEYS, KEYS, None
    )
    log.add(
        at,
        "context_changed",
        f"poll-{turn}",
        codec.dump(KeptContext("0.1.0", ("me",), "c" * 64, "r", coverage, (), (f"s{turn}",))),
    )
    for number in range(KEYS) if not turn else range(turn % 10, KEYS, 10):
        told = assessed(number, 10 + turn, Readability.READABLE)
        log.add(at, "assessment_changed", canonical(["s3://data", "cmek", name(number).text, None]), codec.dump(told))
        if not turn:
            log.add(at, "key_changed", name(number).text, codec.dump(KeptKey(answered=True, aws=an_aws_key(number))))


def an_aws_key(number: int) -> AwsKey:
    """One key as it answers."""
    return AwsKey(name(number), "Enabled", KeyManager.CUSTOMER, "AWS_KMS")


def ask(ledger: Path, polls: int) -> None:
    """Ask for all of it, and tell what it took."""
    period = Stretch(START, START + timedelta(minutes=polls))
    began = time.perf_counter()
    store = LedgerStore(ledger, looking=True)
    told = store.chronicle(period, period.end)
    took = time.perf_counter() - began
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    said = {
        "seconds": round(took, 1),
        "MiB": memory,
        "polls": told.polls.whole,
        "incidents": len(told.incidents),
        "blind": len(told.polls.blind),
    }
    sys.stdout.write(json.dumps(said) + "\n")


def main(polls: int) -> None:
    """Make a ledger, and ask for it in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        ledger = Path(folder) / "ledger.db"
        events = make(ledger, polls)
        size = ledger.stat().st_size // 1_000_000
        done = subprocess.run(
            [sys.executable, "-m", "bench.period", str(polls), str(ledger)], check=True, capture_output=True, text=True
        )
    sys.stdout.write(json.dumps({"events": events, "MB": size, **json.loads(done.stdout)}) + "\n")


if __name__ == "__main__":
    _, count, *made = sys.argv
    if made:
        ask(Path(made[0]), int(count))
    else:
        main(int(count))
