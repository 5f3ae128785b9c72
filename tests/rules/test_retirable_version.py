"""When a key version counts as one that may go, and in which words; never while anything may be under it."""

from dataclasses import replace

import pytest

from auditor.findings import Outcome, Severity, Verdict, member_of
from auditor.model import AwsKey, GcpKey, KeyManager
from auditor.policy import Policy
from auditor.questions.retire.standing import Candidate, Next, Standing, Step, Use
from auditor.readability import KeyView
from auditor.rule import Context, HeldKey
from auditor.rules.retirable_version import RULE
from tests.core_builders import AWS_KEY, GCP_KEY, NOW, a_gcp_key, a_holding, a_version, an_aws_key, days, denied

V = Verdict
AT = Context(NOW, Policy(), {})
GOOGLE = a_gcp_key(a_version("1", "DISABLED"), a_version("2"), a_version("3"), primary="3")


def may_go(version: str | None, step: Step, *, use: Use = Use.UNUSED, month: float | None = 0.06) -> Candidate:
    until = NOW + days(int(version or 4)) if step is Step.WAIT else None
    key = GCP_KEY if version is not None else AWS_KEY
    return Candidate(key, Standing(version, "DISABLED", use), Next(step, until), None, month)


def judged(key: AwsKey | GcpKey | None, *candidates: Candidate, under: tuple[str | None, ...] = ()) -> Outcome:
    name = AWS_KEY if isinstance(key, AwsKey) else GCP_KEY
    holdings = tuple(a_holding(name, version) for version in under)
    held = HeldKey(
        KeyView(name, key if key is not None else denied(name), None),
        NOW,
        (),
        (),
        tuple(map(member_of, holdings)),
        holdings,
        candidates,
    )
    return RULE.check(held, AT)


def told(
    key: AwsKey | GcpKey | None, *candidates: Candidate, under: tuple[str | None, ...] = ()
) -> tuple[Verdict, str]:
    outcome = judged(key, *candidates, under=under)
    return outcome.verdict, outcome.text


SEEN = "and everything was seen since data could have come"
UNTIL = f"; disabled, and to be left so until {(NOW + days(1)).date()}"
MISSED = "; nobody has missed it for the quarantine"
NOT_ASKED = "whether it was used lately was not asked: `retire KEY --last-usage` asks AWS, before anything is done"
CASES = {
    "one that is to be disabled": (
        (may_go("2", Step.DISABLE),),
        f"nothing is under version 2 of key {GCP_KEY}, {SEEN}; $0.06 a month by list price",
    ),
    "two of which one waits": (
        (may_go("1", Step.WAIT), may_go("2", Step.DISABLE)),
        f"nothing is under versions 1, 2 of key {GCP_KEY}, {SEEN}{UNTIL}; $0.12 a month by list price",
    ),
    "two that wait, the sooner of which is told": (
        (may_go("2", Step.WAIT), may_go("1", Step.WAIT, month=None)),
        f"nothing is under versions 2, 1 of key {GCP_KEY}, {SEEN}{UNTIL}; $0.06 a month by list price",
    ),
    "one of two that nobody has missed": (
        (may_go("1", Step.DESTROY), may_go("2", Step.DISABLE, month=1200.0)),
        f"nothing is under versions 1, 2 of key {GCP_KEY}, {SEEN}{MISSED}; $1,200.06 a month by list price",
    ),
    "one beside another of which it is not proven": (
        (may_go("1", Step.NONE, use=Use.NOT_PROVEN), may_go("2", Step.DISABLE)),
        f"nothing is under version 2 of key {GCP_KEY}, {SEEN}; $0.06 a month by list price",
    ),
}


@pytest.mark.parametrize(("candidates", "cause"), CASES.values(), ids=CASES)
def test_versions_that_may_go_are_named_with_how_far_they_are(candidates: tuple[Candidate, ...], cause: str) -> None:
    assert told(GOOGLE, *candidates) == (V.FAILED, cause)


def test_of_a_key_of_aws_it_is_said_that_its_last_use_was_not_asked() -> None:
    assert told(an_aws_key("Disabled"), may_go(None, Step.DESTROY, month=1.0)) == (
        V.FAILED,
        f"nothing is under key {AWS_KEY}, {SEEN}{MISSED}; $1.00 a month by list price; {NOT_ASKED}",
    )


def test_what_data_is_under_or_new_data_may_come_under_may_not_go() -> None:
    passed = (V.PASSED, "each of its versions holds data, takes new data, or is on its way out")
    assert told(GOOGLE, may_go("1", Step.DISABLE), under=("1",)) == passed
    assert told(GOOGLE, may_go("3", Step.DISABLE)) == passed, "the primary one"
    assert told(GOOGLE, may_go("9", Step.DISABLE)) == passed, "one that the key does not list"
    assert told(GOOGLE, may_go("1", Step.NONE)) == passed, "its destruction is scheduled"
    assert told(an_aws_key(), may_go(None, Step.DISABLE)) == passed
    assert told(GOOGLE, may_go("1", Step.NONE, use=Use.NOT_PROVEN), under=("1",)) == passed
    assert told(GOOGLE) == passed


def test_what_is_not_proven_is_not_said_to_be_met() -> None:
    found = judged(GOOGLE, may_go("1", Step.NONE, use=Use.NOT_PROVEN), may_go("2", Step.NONE))
    assert (found.untold, "of none is it proven that nothing is under it" in found.text) == (True, True)
    found = judged(GOOGLE, may_go("1", Step.DISABLE), under=(None,))
    assert (found.untold, "may be under any of them" in found.text) == (True, True)
    assert judged(None, may_go("1", Step.DISABLE)).verdict is V.UNKNOWN
    assert judged(an_aws_key("Disabled"), may_go(None, Step.DISABLE), under=(None,)).verdict is V.PASSED


def test_keys_of_the_provider_are_not_concerned() -> None:
    key = replace(an_aws_key("Disabled"), manager=KeyManager.PROVIDER)
    assert told(key, may_go(None, Step.DISABLE)) == (V.NOT_APPLICABLE, "the provider manages it")


def test_only_what_waits_says_until_when() -> None:
    disable = replace(may_go("1", Step.DISABLE), next=Next(Step.DISABLE, NOW + days(1)))
    wait = replace(may_go("2", Step.WAIT), next=Next(Step.WAIT, None))
    for one in (disable, wait):
        assert "left so until" not in told(GOOGLE, one)[1]


def test_it_is_a_low_one_that_is_told_of_silent_keys_too_and_in_its_own_words() -> None:
    assert (RULE.severity, RULE.of_silence, RULE.quotable) == (Severity.LOW, True, True)
