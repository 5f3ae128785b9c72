"""Random histories of calls by several people, whose entries come late: whoever is named at the end did it."""

import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

import pytest

from auditor.attribution.inquiring import Inquirer
from auditor.attribution.logged import Inquiry, Reply
from auditor.attribution.tracing import traced
from auditor.connectors.aws import audit_log
from auditor.connectors.aws.audit_log import AwsAuditLog
from auditor.connectors.gcp.audit_log import GcpAuditLog
from auditor.embedded.aws import Store as AwsStore
from auditor.embedded.aws.history import HistoryService
from auditor.embedded.aws.kms import Caller
from auditor.embedded.google import Store as GoogleStore
from auditor.embedded.google.logs import LogService
from auditor.findings import Confidence, Finding, Readability, Severity, Status, Subject, SubjectKind
from auditor.ledger import codec
from auditor.lifecycle import carry_on
from auditor.model import Encryption, Extent, KeyMemory, KeyName, told_use
from auditor.readability import KeyView
from tests.core_builders import AWS_KEY, GCP_KEY, NOW, a_gcp_key, a_version, an_aws_key

HISTORIES: Final = 300
WHO: Final = ("alice", "bob", "carol")
AFTER: Final[Mapping[str, str]] = {"disable": "off", "enable": "on", "doom": "doomed", "save": "off"}
FROM: Final[Mapping[str, frozenset[str]]] = {
    "disable": frozenset({"on", "off"}),
    "enable": frozenset({"on", "off"}),
    "doom": frozenset({"on", "off"}),
    "save": frozenset({"doomed"}),
}
"""What a key can be in for a call to succeed: what is disabled may be disabled again."""
RULES: Final = {"off": ("data-unreadable", Readability.UNREADABLE), "doomed": ("data-doomed", Readability.DOOMED)}
VERSION: Final = f"{GCP_KEY}/cryptoKeyVersions/1"


class Aws:
    """CloudTrail's history of an account, as a client in the auditor's own process asks it."""

    key = AWS_KEY
    states: Final = {"on": "Enabled", "off": "Disabled", "doomed": "PendingDeletion"}
    calls: Final = {
        "disable": "DisableKey",
        "enable": "EnableKey",
        "doom": "ScheduleKeyDeletion",
        "save": "CancelKeyDeletion",
    }
    late: Final = (0, 0, 60, 300, 900, 2400, 5000)
    subject = Subject(SubjectKind.KEY, AWS_KEY.text)

    def __init__(self, life: "Life") -> None:
        self._store = AwsStore(life.clock)
        self.entries: list[dict[str, Any]] = self._store.history
        self.log = AwsAuditLog(self, life.clock)  # type: ignore[arg-type] # it asks for no more than is here
        self._service = HistoryService(self._store)

    def caller(self, account: str) -> tuple[str, str]:
        return account, "arn:aws:iam::111122223333:role/auditor"

    def cloudtrail(self, _region: str, _account: str) -> "Aws":
        return self

    def lookup_events(self, **asked: Any) -> dict[str, Any]:
        moments = {name: asked[name].timestamp() for name in ("StartTime", "EndTime") if name in asked}
        return self._service.answer("LookupEvents", asked | moments, Caller("111122223333", "us-east-1"))

    def note(self, what: str, who: str, *, failed: bool, other: bool) -> dict[str, Any]:
        arn = f"{AWS_KEY.text}2" if other else AWS_KEY.text
        more: dict[str, Any] = {"errorCode": "AccessDenied"} if failed else {}
        return self._store.note(self.calls[what], arn, principal=who, **more)

    def reading(self, state: str) -> Any:
        return an_aws_key(self.states[state])


class Google:
    """The Admin Activity log of a project."""

    key = GCP_KEY
    states: Final = {"on": "ENABLED", "off": "DISABLED", "doomed": "DESTROY_SCHEDULED"}
    calls: Final = {
        "disable": "UpdateCryptoKeyVersion",
        "enable": "UpdateCryptoKeyVersion",
        "doom": "DestroyCryptoKeyVersion",
        "save": "RestoreCryptoKeyVersion",
    }
    late: Final = (0, 0, 0, 30, 90, 300, 580)
    subject = Subject(SubjectKind.KEY_VERSION, VERSION)

    def __init__(self, life: "Life") -> None:
        self._store = GoogleStore(life.clock)
        self.entries: list[dict[str, Any]] = self._store.log
        self.log = GcpAuditLog(self, life.clock)  # type: ignore[arg-type] # it asks for no more than is here
        self._service = LogService(self._store)

    def log_entries(self, project: str, asked: Mapping[str, Any]) -> Mapping[str, Any]:
        return self._service.list({"resourceNames": [f"projects/{project}"], **asked})

    def note(self, what: str, who: str, *, failed: bool, other: bool) -> dict[str, Any]:
        self._store.caller = who
        wanted = {"disable": "DISABLED", "enable": "ENABLED"}.get(what)
        request = {"cryptoKeyVersion": {"state": wanted}} if wanted is not None else None
        name = f"{VERSION}0" if other else VERSION
        more: Any = {"status": {"code": 7}} if failed else {}
        return self._store.note(self.calls[what], name, request, **more)

    def reading(self, state: str) -> Any:
        return a_gcp_key(a_version("1", self.states[state]), primary="1")


CLOUDS: Final = {"aws": Aws, "google": Google}


class AtOnce(Inquirer):
    """Asks in the thread that wants to know, so that a test waits for nothing."""

    def ask(self, inquiries: Any) -> Mapping[KeyName, Reply]:
        every: Sequence[Inquiry] = tuple(inquiries)
        log = self.log_of(every[0].key)
        assert log is not None
        return {one.inquiry.key: one for replies in log.read(every) for one in replies}


@dataclass
class Life:
    """One key, whoever calls for it, and what polls see and find."""

    kind: type[Any]
    random: random.Random
    now: datetime = NOW
    state: str = "on"
    by: str | None = None
    was: tuple[str, datetime] = ("on", NOW)
    told: str | None = None
    """Who had led to the state when a poll first saw it."""
    findings: tuple[Finding, ...] = ()
    held: list[tuple[datetime, dict[str, Any]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.cloud = self.kind(self)
        self.inquirer = AtOnce(lambda _: self.cloud.log)

    def clock(self) -> datetime:
        return self.now

    def later(self, **length: float) -> None:
        self.now += timedelta(**length)

    def call(self, what: str, who: str) -> None:
        failed, other = self.random.random() < 0.15, self.random.random() < 0.15
        failed = failed or self.state not in FROM[what]
        self.cloud.note(what, who, failed=failed, other=other)
        self.held.append((self.now + timedelta(seconds=self.random.choice(self.cloud.late)), self.cloud.entries.pop()))
        name = "eventID" if self.kind is Aws else "insertId"
        self.held[-1][1][name] = f"{self.random.random()}"
        if not failed and not other and AFTER[what] != self.state:
            self.state, self.by = AFTER[what], who

    def poll(self) -> None:
        for one in [each for each in self.held if each[0] <= self.now]:
            self.held.remove(one)
            self.cloud.entries.append(one[1])
        (was, at), reading = self.was, self.cloud.reading(self.state)
        before = self.cloud.reading(was)
        view = KeyView(self.cloud.key, reading, KeyMemory(before, at, told=told_use(before)))
        fresh = [self.finding(*RULES[self.state])] if self.state in RULES else []
        carried = carry_on(fresh, self.findings, self.now)
        found = traced(carried, {self.cloud.key: view}, self.inquirer, self.now, timedelta(minutes=10))
        # As a ledger keeps them: a daemon may be started anew between two polls.
        self.findings = tuple(codec.load(Finding, codec.dump(one)) for one in found)
        if self.state != was:
            self.told = self.by
        self.was = (self.state, self.now)

    def finding(self, rule: str, readability: Readability) -> Finding:
        version = "1" if self.kind is Google else None
        return Finding(
            id=rule,
            rule=rule,
            subject=self.cloud.subject,
            severity=Severity.CRITICAL,
            status=Status.OPEN,
            readability=readability,
            cause="it is so",
            confidence=Confidence.PROVEN,
            extent=Extent(1, 1, 1),
            members=(("b", Encryption.CMEK, self.cloud.key.text, version),),
            final_at=None,
            since=self.now,
            since_source="between_polls",
            evidence=(),
            undo=(),
            first_seen=self.now,
            last_seen=self.now,
        )

    @property
    def open(self) -> Finding:
        (one,) = [each for each in self.findings if each.status is Status.OPEN]
        return one

    def go_by(self) -> Iterator[str]:
        """Let it happen, with some polls in between; yield how each names whoever led to what it sees."""
        self.poll()
        for _ in range(self.random.randrange(2, 7)):
            for _ in range(self.random.randrange(4)):
                self.later(seconds=self.random.choice((0.1, 1, 2, 7, 20)))
                self.call(self.random.choice(tuple(AFTER)), self.random.choice(WHO))
            self.later(seconds=self.random.choice((3, 30)))
            self.poll()
            yield from self.answer()
            self.later(minutes=self.random.choice((1, 1, 3, 20)))
        for _ in range(8):
            self.later(minutes=25)
            self.poll()

    def answer(self) -> Iterator[str]:
        if self.state in RULES:
            who = self.open.actor.principal if self.open.actor is not None else None
            yield "nobody" if who is None else "right" if who == self.told else "wrong"


@pytest.fixture(autouse=True)
def _at_any_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("auditor.connectors.pace.Pace.wait", lambda _: None)
    monkeypatch.setattr(audit_log, "_AT_ONCE", 2)


@pytest.mark.parametrize("cloud", CLOUDS)
def test_whoever_is_named_once_all_entries_are_there_did_it(cloud: str) -> None:
    early, last = Counter[str](), Counter[str]()
    for seed in range(HISTORIES):
        life = Life(CLOUDS[cloud], random.Random(seed))  # noqa: S311 - the same ones each time
        early.update(life.go_by())
        for answer in life.answer():
            last[answer] += 1
            doubt = "calls of several may have led to it: "
            assert answer == "right" or (life.open.unattributed or "").startswith(doubt), (seed, life.open, life.told)
    assert last["right"] > 50 * last["nobody"], (early, last)
