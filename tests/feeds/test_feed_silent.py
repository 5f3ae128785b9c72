"""feed-silent: which feeds count as silent, and by what."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from auditor.feeds.silence import Ear, Untold, alone, untold
from auditor.findings import Actor, Finding, Subject, SubjectKind, Verdict
from auditor.model import GcpKey, KeyName
from auditor.ownership.spelling import EACH_ITS_OWN, Spelling, spelling_of
from auditor.policy import Policy
from auditor.rule import ConfiguredFeed, Context
from auditor.rules import feed_silent
from tests.attribution.test_attribution_table import a_finding
from tests.core_builders import AWS_KEY, GCP_KEY, NOW

MINUTE = timedelta(minutes=1)
EAR = Ear("q", AWS_KEY.owner, since=NOW - 600 * MINUTE, answered=NOW)
LIMIT = Policy().feed_max_silence


def an_ear(**more: Any) -> Ear:
    return replace(EAR, **more)


def changed(minutes: float = 20, subject: Subject | None = None, **more: Any) -> Finding:
    """A finding whose cause somebody did so many minutes ago, as the audit log tells."""
    actor = Actor("alice", "DisableKey", NOW - minutes * MINUTE, None, None, "e-1")
    return a_finding("data-unreadable", subject or Subject(SubjectKind.KEY, AWS_KEY.text), actor=actor, **more)


ON_GOOGLE = changed(subject=Subject(SubjectKind.KEY_VERSION, f"{GCP_KEY}/cryptoKeyVersions/1"))
SHARED = Subject(SubjectKind.KEY_STORE, "111122223333/us-east-1/cks-1")
FINDINGS: dict[str, tuple[Ear, Finding, bool]] = {
    "a change it did not tell of": (EAR, changed(), True),
    "one that it may still tell of": (EAR, changed(minutes=14.9), False),
    "just no more": (EAR, changed(minutes=15), True),
    "one from before it was listened to": (EAR, changed(minutes=601), False),
    "one of the moment at which that began": (EAR, changed(minutes=600), True),
    "one that it told of": (an_ear(told={AWS_KEY.location: NOW - 20 * MINUTE}), changed(), False),
    "one that the log dates a little later": (an_ear(told={AWS_KEY.location: NOW - 20.9 * MINUTE}), changed(), False),
    "one that the log dates later by as much as it may": (
        an_ear(told={AWS_KEY.location: NOW - 21 * MINUTE}),
        changed(),
        False,
    ),
    "only earlier ones": (an_ear(told={AWS_KEY.location: NOW - 22 * MINUTE}), changed(), True),
    "a later one": (an_ear(told={AWS_KEY.location: NOW}), changed(), False),
    "a later one elsewhere": (an_ear(told={"eu-west-1": NOW}), changed(), True),
    "one of another account": (an_ear(owner="999999999999"), changed(), False),
    "one of a project": (an_ear(owner=GCP_KEY.owner), ON_GOOGLE, True),
    "who may use a key": (EAR, changed(subject=Subject(SubjectKind.PRINCIPAL, f"role -> {AWS_KEY}")), True),
    "what stands behind several keys": (EAR, changed(subject=SHARED), False),
    "nobody knows who": (EAR, a_finding("data-unreadable", Subject(SubjectKind.KEY, AWS_KEY.text)), False),
    "nobody listens": (an_ear(since=None), changed(), False),
}


@pytest.mark.parametrize(("ear", "finding", "is_silent"), FINDINGS.values(), ids=FINDINGS)
def test_a_change_that_a_poll_found_proves_silence_where_the_feed_should_have_told(
    ear: Ear,
    finding: Finding,
    is_silent: bool,  # noqa: FBT001 - a column of the table above
) -> None:
    found = untold(ear, [finding], NOW)
    assert bool(found) is is_silent
    expected = Verdict.FAILED if is_silent else Verdict.UNKNOWN if ear.since is None else Verdict.PASSED
    outcome = feed_silent.RULE.check(ConfiguredFeed(ear, found), Context(NOW, Policy(), {}))
    assert outcome.verdict is expected


def test_the_oldest_change_is_named() -> None:
    feed = ConfiguredFeed(EAR, untold(EAR, [changed(minutes=20), changed(minutes=90)], NOW))
    assert feed.untold[0] == Untold(AWS_KEY, NOW - 90 * MINUTE)
    text = feed_silent.RULE.check(feed, Context(NOW, Policy(), {})).text
    assert (
        text
        == f"key {AWS_KEY} was changed at {NOW - 90 * MINUTE:%Y-%m-%d %H:%M:%S UTC}, and the feed has not told of it"
    )


ANSWERS = {
    "now": (EAR, Verdict.PASSED),
    "just often enough": (an_ear(answered=NOW - LIMIT), Verdict.PASSED),
    "too long ago": (an_ear(answered=NOW - LIMIT - timedelta(seconds=1)), Verdict.FAILED),
    "as long ahead, by a clock that was set": (an_ear(answered=NOW + 2 * LIMIT), Verdict.FAILED),
    "never, for too long": (an_ear(answered=None), Verdict.FAILED),
    "not yet": (an_ear(answered=None, since=NOW - MINUTE), Verdict.UNKNOWN),
    "to nobody here": (Ear("q", AWS_KEY.owner), Verdict.UNKNOWN),
}


@pytest.mark.parametrize(("ear", "verdict"), ANSWERS.values(), ids=ANSWERS)
def test_a_queue_that_answers_is_no_silence_be_it_empty(ear: Ear, verdict: Verdict) -> None:
    assert feed_silent.RULE.check(ConfiguredFeed(ear), Context(NOW, Policy(), {})).verdict is verdict


def test_how_long_it_may_be_silent_is_the_policys() -> None:
    ear = an_ear(answered=NOW - 6 * MINUTE)
    strict = Context(NOW, Policy(feed_max_silence=5 * MINUTE), {})
    assert feed_silent.RULE.check(ConfiguredFeed(ear), strict).verdict is Verdict.FAILED


BY_NUMBER = KeyName(GCP_KEY.text.replace(f"projects/{GCP_KEY.owner}/", "projects/123456/"))
OTHERS = KeyName(GCP_KEY.text.replace(f"projects/{GCP_KEY.owner}/", "projects/zeta/"))
ANOTHER = KeyName(f"{BY_NUMBER}-2")
"""A key of the same project, of which nothing is known but its name."""


def made_with(name: KeyName, owner: KeyName) -> Spelling:
    """What is known where a project's key was read by both of its names."""
    return spelling_of(GcpKey(one, (), created=NOW) for one in (name, owner))


SPELLINGS: dict[str, tuple[Spelling, Verdict, int | None]] = {
    "nobody knows whose number it is": (EACH_ITS_OWN, Verdict.UNKNOWN, None),
    "it is that of the feed's project": (made_with(BY_NUMBER, GCP_KEY), Verdict.FAILED, 0),
    "it is another project's": (made_with(BY_NUMBER, OTHERS), Verdict.PASSED, 1),
    "the feed's project has another one": (
        made_with(KeyName(BY_NUMBER.text.replace("123456", "777")), GCP_KEY),
        Verdict.PASSED,
        1,
    ),
}


@pytest.mark.parametrize(("spelling", "verdict", "count"), SPELLINGS.values(), ids=SPELLINGS)
@pytest.mark.parametrize("key", [BY_NUMBER, ANOTHER])
def test_a_key_that_names_its_project_by_the_number_is_heard_of_where_it_is_the_feeds(
    key: KeyName, spelling: Spelling, verdict: Verdict, count: int | None
) -> None:
    ear = an_ear(owner=GCP_KEY.owner)
    found = untold(ear, [changed(subject=Subject(SubjectKind.KEY, key.text))], NOW, spelling)
    assert feed_silent.RULE.check(ConfiguredFeed(ear, found), Context(NOW, Policy(), {})).verdict is verdict
    assert alone([key, GCP_KEY], [ear], spelling) == count
    assert alone([AWS_KEY], [ear], spelling) == alone([key], (), spelling) == 1


@pytest.mark.parametrize(("spelling", "verdict", "count"), SPELLINGS.values(), ids=SPELLINGS)
@pytest.mark.parametrize("key", [GCP_KEY, KeyName(f"{GCP_KEY}-2")])
def test_a_feed_of_a_project_by_its_number_hears_of_keys_by_its_id(
    key: KeyName, spelling: Spelling, verdict: Verdict, count: int | None
) -> None:
    ear = an_ear(feed="projects/123456", owner="123456")
    found = untold(ear, [changed(subject=Subject(SubjectKind.KEY, key.text))], NOW, spelling)
    assert feed_silent.RULE.check(ConfiguredFeed(ear, found), Context(NOW, Policy(), {})).verdict is verdict
    assert alone([key, BY_NUMBER], [ear], spelling) == count
    heard = replace(ear, told_of={(GCP_KEY.owner, key.location): NOW})
    assert not untold(heard, [changed(subject=Subject(SubjectKind.KEY, key.text))], NOW, spelling) or count is None
    assert alone([key], [EAR], spelling) == 1, "an account of AWS is called by a number, and has no key of Google's"


def test_what_is_certainly_the_feeds_is_told_first() -> None:
    ear = an_ear(owner=GCP_KEY.owner)
    found = untold(ear, [changed(90, Subject(SubjectKind.KEY, BY_NUMBER.text)), ON_GOOGLE], NOW)
    assert [one.key for one in found] == [GCP_KEY, BY_NUMBER]


def test_changes_of_one_moment_stand_in_the_order_of_their_keys() -> None:
    keys = [Subject(SubjectKind.KEY, f"{GCP_KEY}-{number}") for number in (2, 1)]
    found = untold(an_ear(owner=GCP_KEY.owner), [changed(90, one) for one in keys], NOW)
    assert [str(one.key) for one in found] == [f"{GCP_KEY}-1", f"{GCP_KEY}-2"]


def test_by_whatever_name_of_the_project_the_newest_that_a_feed_told_of_counts() -> None:
    key = Subject(SubjectKind.KEY, GCP_KEY.text)
    spelling = made_with(BY_NUMBER, GCP_KEY)
    ear = an_ear(feed="projects/123456", owner="123456")

    def is_silent(told: float, told_of: float, owner: str = GCP_KEY.owner, where: str = GCP_KEY.location) -> bool:
        heard = replace(
            ear,
            told={GCP_KEY.location: NOW - told * MINUTE},
            told_of={(owner, where): NOW - told_of * MINUTE},
        )
        return bool(untold(heard, [changed(60, key)], NOW, spelling))

    assert not is_silent(told=90, told_of=30)
    assert not is_silent(told=30, told_of=90)
    assert is_silent(told=90, told_of=90)
    assert is_silent(told=90, told_of=30, owner="zeta"), "of another project"
    assert is_silent(told=90, told_of=30, where="europe-west1"), "of another location"


def test_a_key_that_may_be_one_of_two_feeds_is_nobodys_for_certain() -> None:
    ears = [an_ear(owner=GCP_KEY.owner), an_ear(owner="999999999999")]
    assert alone([BY_NUMBER], ears, EACH_ITS_OWN) is None
    assert alone([GCP_KEY, AWS_KEY], ears, EACH_ITS_OWN) == 1
    assert alone([BY_NUMBER], [*ears, an_ear(feed="projects/123456", owner="123456")], EACH_ITS_OWN) == 0
