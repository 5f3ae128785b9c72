"""Whom logs are asked about in one poll, in which order, and what a finding says of which nobody is asked."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from auditor.attribution.logged import Change, Inquiry, Reply
from auditor.attribution.tracing import traced
from auditor.findings import Finding, Severity, Sought, Status, Subject, SubjectKind
from auditor.model import KeyName, Reason
from auditor.readability import KeyView
from tests.attribution.test_attribution_table import (
    CONNECTION,
    KEY,
    OVERLAP,
    VERSION,
    a_finding,
    aws,
    change,
    google,
)
from tests.core_builders import AWS_KEY, GCP_KEY, NOW, a_gcp_key, a_version, days

if TYPE_CHECKING:
    from auditor.attribution.inquiring import Inquirer

MINUTE = timedelta(minutes=1)
OFF, ON = aws("Disabled"), aws("Enabled")
DISABLED = a_finding("data-unreadable", KEY)
DONE = change("DisableKey", AWS_KEY.text)
NOT_YET = "its audit log was not read in the time that a poll has; the next one goes on"
NO_CALL = "no call that an audit log records leads to it"
NO_KEY = "it names no key whose audit log could be asked"
SWITCHED_OFF = "[audit_log] attribute is off"


@dataclass
class Logs:
    """Logs that tell the same of each key: changes, or why they tell nothing."""

    changes: tuple[Change, ...] = ()
    silent: str | None = None
    """Why a log of the key's cloud can tell nothing of it."""
    is_known: bool = True
    replies: Mapping[KeyName, Reply] | None = None
    """In place of what is asked."""
    asked: list[Inquiry] = field(default_factory=list)
    rounds: int = 0

    def log_of(self, _key: KeyName) -> Any:
        return SimpleNamespace(silent=self.silent, name=lambda key: f"log of {key.owner}") if self.is_known else None

    def ask(self, inquiries: Iterable[Inquiry]) -> Mapping[KeyName, Reply]:
        self.rounds += 1
        self.asked.extend(inquiries)
        return self.replies if self.replies is not None else {one.key: Reply(one, self.changes) for one in self.asked}

    def told(self, *findings: Finding, views: Mapping[KeyName, KeyView] = OFF, minutes: float = 0) -> list[Finding]:
        now = NOW + timedelta(minutes=minutes)
        return list(traced(iter(findings), views, cast("Inquirer", self), now, OVERLAP))


def test_who_did_it_is_put_beside_each_finding_in_its_place() -> None:
    other = a_finding("stale-version", VERSION, id="b2" * 8)
    over = replace(DISABLED, id="c3" * 8, status=Status.RESOLVED)
    logs = Logs((DONE,))
    first, second, third = logs.told(other, DISABLED, over)
    assert (first, third) == (other, over), "nobody is looked for, and nothing said of that"
    assert second.actor is not None
    assert (second.actor.principal, second.sought.log if second.sought else None) == ("alice", "log of 111122223333")
    assert [one.key for one in logs.asked] == [AWS_KEY]


def test_where_nobody_wants_to_know_that_is_said_and_nothing_asked() -> None:
    for views, why in ((OFF, SWITCHED_OFF), (ON, NO_CALL)):
        (found,) = traced([DISABLED], views, None, NOW, OVERLAP)
        assert (found.unattributed, found.sought.settled if found.sought else None) == (why, False)
    assert traced([], OFF, None, NOW, OVERLAP) == ()


def nobody(logs: Logs, one: Finding = DISABLED, views: Mapping[KeyName, KeyView] = OFF) -> tuple[str | None, bool]:
    """Why nobody is told, and whether that stays so."""
    (found,) = logs.told(one, views=views)
    assert found.sought is not None
    assert (logs.asked, found.sought.unread) == ([], None)
    return found.unattributed, found.sought.settled


NAMELESS = Subject(SubjectKind.EKM_CONNECTION, CONNECTION)


def test_why_nobody_is_asked_is_said_and_whether_that_stays_so() -> None:
    unreadable = replace(DISABLED, sought=Sought(None, unread=Reason.ACCESS_DENIED, settled=True))
    assert nobody(Logs(), a_finding("data-unreachable", NAMELESS, members=())) == (NO_KEY, True)
    assert nobody(Logs(), unreadable, views=ON) == (NO_CALL, False)
    assert nobody(Logs(is_known=False), unreadable) == (NO_KEY, False)
    assert nobody(Logs(silent="nobody may read it"), unreadable) == ("nobody may read it", False)


def test_a_search_that_nobody_goes_on_with_keeps_what_it_found_out() -> None:
    sought = Sought(NOW - days(1), first=NOW - days(1), last=NOW - MINUTE, unread=Reason.TIMEOUT, log="log")
    (found,) = Logs(silent="off").told(replace(DISABLED, sought=sought))
    assert found.sought == replace(sought, unread=None, state="Disabled")
    (found,) = Logs(silent="off").told(replace(DISABLED, sought=None))
    assert found.sought == Sought(None, state="Disabled")


def test_who_was_named_stays_named_where_nobody_is_asked_any_more() -> None:
    (named,) = Logs((DONE,)).told(DISABLED)
    for logs in (Logs(silent="off"), Logs(is_known=False)):
        (found,) = logs.told(named, minutes=30)
        assert (found.actor, found.unattributed, logs.asked) == (named.actor, None, [])


def test_until_a_log_has_replied_that_is_said_once() -> None:
    nothing = Logs(replies={})
    (first,) = nothing.told(DISABLED)
    assert (first.unattributed, first.actor, len(nothing.asked)) == (NOT_YET, None, 1)
    (second,) = nothing.told(replace(first, unattributed="why not, by the last poll"))
    assert second.unattributed == "why not, by the last poll"
    (named,) = Logs((DONE,)).told(DISABLED)
    (again,) = nothing.told(named, minutes=15)
    assert (again.actor, again.unattributed, len(nothing.asked)) == (named.actor, None, 3)


def test_a_log_is_asked_only_when_that_is_due() -> None:
    settled = replace(DISABLED, sought=Sought(None, settled=True, state="Disabled"), unattributed="so it is")
    logs = Logs((DONE,))
    assert logs.told(settled) == [settled]
    assert logs.rounds == 0, "no log is asked nothing"


def test_a_reply_to_less_than_is_asked_now_tells_nothing() -> None:
    narrow = Inquiry(AWS_KEY, frozenset(), NOW, NOW, NOW)
    (found,) = Logs(replies={AWS_KEY: Reply(narrow, (DONE,))}).told(DISABLED)
    assert (found.actor, found.unattributed) == (None, NOT_YET)
    (found,) = Logs(replies={GCP_KEY: Reply(narrow, (DONE,))}).told(DISABLED)
    assert (found.actor, found.unattributed) == (None, NOT_YET)


def test_a_log_that_is_gone_when_it_was_to_reply_tells_nothing() -> None:
    class Vanishing(Logs):
        def ask(self, inquiries: Iterable[Inquiry]) -> Mapping[KeyName, Reply]:
            self.is_known = False
            return super().ask(inquiries)

    (found,) = Vanishing((DONE,)).told(DISABLED)
    assert (found.actor, found.unattributed) == (None, NOT_YET)


def test_when_a_log_was_asked_is_the_moment_of_its_inquiry() -> None:
    logs = Logs()
    logs.told(DISABLED)
    early = replace(logs.asked[0], at=NOW - MINUTE)
    (found,) = Logs(replies={AWS_KEY: Reply(early)}).told(DISABLED)
    assert found.sought is not None
    assert found.sought.last == NOW - MINUTE


def test_who_was_never_asked_for_comes_first_and_then_the_worst() -> None:
    def of_key(number: int, severity: Severity, last: Any) -> tuple[Finding, KeyName]:
        key = KeyName(f"{AWS_KEY.text[:-1]}{number}")
        asked = Sought(None, first=NOW - days(1), last=last, state="Disabled")
        members = tuple((*one[:2], key.text, *one[3:]) for one in DISABLED.members)
        subject = Subject(SubjectKind.KEY, key.text)
        return (
            replace(DISABLED, id=f"{number}" * 16, subject=subject, severity=severity, sought=asked, members=members),
            key,
        )

    asked = NOW - days(1) + MINUTE
    found = [
        of_key(1, Severity.CRITICAL, asked),
        of_key(2, Severity.LOW, None),
        of_key(3, Severity.HIGH, None),
        of_key(4, Severity.MEDIUM, asked),
    ]
    (off,) = OFF.values()
    assert off.reading is not None
    views = {key: KeyView(key, replace(off.reading, name=key), None) for _, key in found}
    logs = Logs()
    logs.told(*(one for one, _ in found), views=views)
    assert [one.key.text[-1] for one in logs.asked] == ["3", "2", "1", "4"]


def test_a_log_is_asked_by_the_id_of_a_project_that_data_calls_by_its_number() -> None:
    number = KeyName(GCP_KEY.text.replace("acme-keys", "123456"))
    key = a_gcp_key(a_version("1", "DISABLED"), created=NOW - days(9))
    views = {name: KeyView(name, replace(key, name=name), None) for name in (GCP_KEY, number)}
    version = f"{number}/cryptoKeyVersions/1"
    one = a_finding("data-unreadable", Subject(SubjectKind.KEY_VERSION, version))
    done = change("UpdateCryptoKeyVersion", VERSION.id, lands_in="DISABLED")
    logs = Logs((done,))
    (found,) = logs.told(one, views=views)
    assert [asked.key for asked in logs.asked] == [GCP_KEY]
    assert found.actor is not None
    assert found.sought is not None
    assert (found.actor.principal, found.sought.log) == ("alice", "log of acme-keys")
    alone = Logs((done,))
    (unknown,) = alone.told(one, views={number: views[number]})
    assert ([asked.key for asked in alone.asked], unknown.actor) == ([number], None), "whose number it is nobody knows"


@pytest.mark.parametrize("views", [google("DISABLED"), OFF])
def test_each_cloud_has_its_own_lag(views: Mapping[KeyName, KeyView]) -> None:
    one = DISABLED if AWS_KEY in views else a_finding("data-unreadable", VERSION)
    (found,) = Logs().told(one, views=views, minutes=10)
    late = "none may come late any more" in (found.unattributed or "")
    assert late is (GCP_KEY in views)
