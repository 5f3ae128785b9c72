"""What a log that tells nothing leaves open, and what would make it tell."""

import pytest

from auditor.attribution.silent_logs import of_logs, right_on
from auditor.attribution.who import Unreadable
from auditor.model import Gap, Reason
from tests.test_engine import a_finding

AWS, GOOGLE = "cloudtrail/111122223333/us-east-1", "projects/acme"
HINTS = {
    (AWS, Reason.ACCESS_DENIED): "grant cloudtrail:LookupEvents to the auditor in that account",
    (GOOGLE, Reason.ACCESS_DENIED): (
        "grant logging.logEntries.list to the auditor in that project, and see that Cloud Logging's API is enabled"
    ),
    (AWS, Reason.UNSUPPORTED): "look at the endpoint: it does not know LookupEvents",
    (GOOGLE, Reason.UNSUPPORTED): ("pip install 'cmek-auditor[logging]'; where that is done, look at the endpoint"),
    (AWS, Reason.NOT_VISIBLE): "only the account's own identities see its log; give [[account]] a role there",
    (GOOGLE, Reason.EXPIRED_CREDENTIALS): "give the auditor credentials, or renew them",
    (AWS, Reason.THROTTLED): "nothing: the next polls ask again, at their own slow pace",
    (AWS, Reason.TIMEOUT): "nothing, if it passes; else look at the network between the auditor and the log",
    (GOOGLE, Reason.MALFORMED): "look at the endpoint: it answers something else",
    (GOOGLE, Reason.NOT_FOUND): "look at the name of the key's project in the config",
}


def unreadable(log: str, reason: Reason, findings: int) -> Unreadable:
    return Unreadable(log, reason, (a_finding(),) * findings)


@pytest.mark.parametrize(("asked", "hint"), HINTS.items(), ids=map(str, HINTS))
def test_a_silent_log_is_a_gap_with_what_would_make_it_tell(asked: tuple[str, Reason], hint: str) -> None:
    log, reason = asked
    assert list(of_logs([unreadable(log, reason, 1)])) == [
        Gap(log, reason, "who did what led to a finding is not known", hint)
    ]


def test_every_reason_has_a_hint_and_each_log_tells_how_many_findings_it_is_about() -> None:
    logs = [unreadable(log, reason, 2) for log in (AWS, GOOGLE) for reason in Reason]
    found = list(of_logs(logs))
    assert [(one.what, one.reason) for one in found] == [(one.log, one.reason) for one in logs]
    assert {one.effect for one in found} == {"who did what led to 2 findings is not known"}
    assert all(one.hint for one in found)


def test_the_right_is_that_of_the_logs_cloud() -> None:
    assert (right_on(AWS), right_on(GOOGLE)) == ("cloudtrail:LookupEvents", "logging.logEntries.list")
