"""What the rules about logs, feeds and exceptions are asked about, and how often each rule said what."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from auditor.engine import Facts, Judged, judge, judge_logs, judge_waivers
from auditor.feeds.silence import Ear, Untold
from auditor.findings import (
    Actor,
    Counted,
    Finding,
    Member,
    Outcome,
    Severity,
    Sought,
    Status,
    Subject,
    SubjectKind,
    Verdict,
)
from auditor.model import Cloud, Encryption, Extent, KeyGone, KeyName, Reason
from auditor.ownership.owning import Sayings
from auditor.ownership.registered import Portion
from auditor.ownership.spelling import Spelling
from auditor.policy import Policy
from auditor.ports import Portions
from auditor.readability import KeyView
from auditor.rule import (
    AskedLog,
    Cause,
    Caused,
    ConfiguredFeed,
    Context,
    Excepted,
    HeldKey,
    Rule,
    RuleSubject,
    SweptBucket,
    failed,
    not_applicable,
    not_told,
    passed,
    unknown,
)
from auditor.rules import load
from auditor.waiver import GivenWaiver, Waiver
from tests.attribution.test_attribution_table import a_finding
from tests.core_builders import AWS_KEY, GCP_KEY, NOW, FixedHoldings, a_holding, an_aws_key, days, remembered
from tests.test_engine import a_bucket

KEY = Subject(SubjectKind.KEY, AWS_KEY.text)
VERSION = Subject(SubjectKind.KEY_VERSION, f"{GCP_KEY}/cryptoKeyVersions/1")
BUCKET = Subject(SubjectKind.BUCKET, "s3://data")


def facts(**more: Any) -> Facts:
    told: dict[str, Any] = {"holdings": FixedHoldings(), "keys": {}, **more}
    return Facts(agents={}, buckets=told.pop("buckets", ()), policy=Policy(), now=NOW, **told)


class Seen(list[Any]):
    """All that a rule was asked about."""

    def rule(self, of: type[RuleSubject], outcome: Outcome = passed("")) -> Rule:  # noqa: B008 - an immutable value
        def check(subject: RuleSubject, _at: Context) -> Outcome:
            self.append(subject)
            return outcome

        return Rule("a-rule", "t", of, Severity.LOW, "s", "r", check)


def of_logs(of: type[RuleSubject], *findings: Finding, **more: Any) -> list[Any]:
    seen = Seen()
    judge_logs(facts(**more), [seen.rule(of)], findings)
    return seen


def test_all_that_stands_on_one_subject_is_one_change() -> None:
    off = a_finding("data-unreadable", KEY)
    public = a_finding("key-public", KEY)
    doomed = a_finding("data-doomed", VERSION)
    others = [
        a_finding("rotation-overdue", KEY),
        a_finding("sweep-stale", BUCKET),
        a_finding("data-lost", Subject(SubjectKind.KEY, f"{AWS_KEY}0"), status=Status.RESOLVED),
    ]
    found = of_logs(Caused, doomed, off, *others, public)
    assert found == [Caused((off, public)), Caused((doomed,))], "nobody did the others, or they stand no more"


def a_search(log: str | None, unread: Reason | None = None) -> Sought:
    return Sought(None, log=log, unread=unread)


def test_a_log_is_judged_by_what_was_asked_of_it_for_findings_that_stand() -> None:
    silent = a_finding("data-unreadable", KEY, sought=a_search("b", Reason.ACCESS_DENIED))
    slow = a_finding("key-public", KEY, sought=a_search("b", Reason.THROTTLED))
    told = a_finding("data-doomed", VERSION, sought=a_search("a"))
    nowhere = a_finding("data-lost", KEY, sought=a_search(None, Reason.TIMEOUT))
    never = a_finding("data-revoked", KEY, sought=None)
    of_none = a_finding("sweep-stale", BUCKET, sought=a_search("c", Reason.TIMEOUT))
    assert of_logs(AskedLog, silent, told, nowhere, never, of_none, slow) == [
        AskedLog("a", (), (told,)),
        AskedLog("b", (Reason.ACCESS_DENIED, Reason.THROTTLED), (silent, slow)),
    ]


def test_each_feed_is_judged_by_the_changes_that_it_should_have_told_of() -> None:
    actor = Actor("alice", "DisableKey", NOW - timedelta(minutes=20), None, None, "e-1")
    number = KeyName(GCP_KEY.text.replace("projects/acme-keys", "projects/123"))
    mine = a_finding("data-unreadable", KEY, actor=actor)
    by_number = a_finding("data-unreadable", Subject(SubjectKind.KEY, number.text), actor=actor)
    since = NOW - days(1)
    ears = (Ear("q", AWS_KEY.owner, since), Ear("projects/p/subscriptions/s", GCP_KEY.owner, since))
    spelling = Spelling({number: "one", GCP_KEY: "one"})
    found = of_logs(ConfiguredFeed, mine, by_number, ears=ears, said=Sayings(spelling=spelling))
    assert found == [
        ConfiguredFeed(ears[0], (Untold(AWS_KEY, actor.time),)),
        ConfiguredFeed(ears[1], (Untold(number, actor.time),)),
    ]
    (_, unsure) = of_logs(ConfiguredFeed, by_number, ears=ears)
    assert unsure.untold == (Untold(number, actor.time, is_its=False),), "nobody knows whose number that is"


def test_each_rule_is_put_once_what_it_is_about_is_there() -> None:
    at_once = {one.rule for one in judge(facts(), load()).tallies}
    of_waivers = {one.rule for one in judge_waivers(facts(), load(), (), ()).tallies}
    of_logs_ = {one.rule for one in judge_logs(facts(), load(), ()).tallies}
    assert of_logs_ == {"audit-log-off", "feed-silent", "unattributed-change"}
    assert of_waivers == {"waiver-ending", "waiver-expired"}
    assert at_once == {one.id for one in load()} - of_logs_ - of_waivers


def test_a_log_or_a_feed_that_cannot_be_judged_resolves_nothing() -> None:
    silent = a_finding("data-unreadable", KEY, sought=a_search("b", Reason.THROTTLED))
    told = judge_logs(facts(ears=(Ear("q", AWS_KEY.owner),)), load(), [silent])
    rules = {one.id: one for one in load()}
    assert told.undecided == {
        rules["audit-log-off"].finding_id(Subject(SubjectKind.AUDIT_LOG, "b")),
        rules["feed-silent"].finding_id(Subject(SubjectKind.FEED, "q")),
    }, "what only a call explains, another poll will tell"


WAIVER = Waiver(
    "data-unreadable", NOW + days(100), "security@acme.example", "the board", "a migration", bucket="s3://*"
)
FIRST: Member = ("s3://data", Encryption.CMEK, AWS_KEY.text, None)
SECOND: Member = ("s3://a", Encryption.CMEK, AWS_KEY.text, None)
W, U = Portion.WRONG_KEY, Portion.UNREGISTERED
TOGETHER: dict[str, tuple[list[Portions], Portions]] = {
    "nothing": ([], ()),
    "of one": ([(U,)], (U,)),
    "of two, each once": ([(U,), (W, U)], (W, U)),
    "one is about all": ([(U,), ()], ()),
}


def excepted(*covered: Finding) -> Excepted:
    """What the rules about exceptions are asked, where one waives these and there is one finding more."""
    seen = Seen()
    other = a_finding("key-public", KEY, id="other")
    given = GivenWaiver(WAIVER, tuple(one.id for one in covered))
    judge_waivers(facts(), [seen.rule(Excepted)], [given], [other, *covered])
    (one,) = seen
    assert isinstance(one, Excepted)
    return one


@pytest.mark.parametrize(("each", "together"), TOGETHER.values(), ids=TOGETHER)
def test_an_exception_is_about_all_data_of_what_it_waives(each: Sequence[Portions], together: Portions) -> None:
    findings = [
        a_finding("data-unreadable", KEY, id=str(number), portions=some, members=(FIRST, SECOND))
        for number, some in enumerate(each)
    ]
    found = excepted(*findings)
    assert found.portions == together
    assert found.members == ((SECOND, FIRST) if each else ())


def test_of_what_an_exception_is_about_that_is_open_which_nothing_waives() -> None:
    waived = a_finding("data-unreadable", KEY, id="1", status=Status.WAIVED)
    again = a_finding("data-unreadable", KEY, id="2")
    assert excepted(waived, again).open == (again,)


class InPart(FixedHoldings):
    """Holdings of which somebody tells how much data a portion is."""

    def extents_of(self, wanted: Sequence[tuple[Sequence[Member], Portions]]) -> tuple[Extent, ...]:
        return tuple(Extent(len(portions), len(members), 1) for members, portions in wanted)


def test_how_much_data_each_failure_is_about_is_told_of_that_failure() -> None:
    parted = replace(failed(""), members=(FIRST, SECOND), portions=(W,))
    both = replace(parted, members=(FIRST,), portions=(W, U))
    outcomes = dict(zip(("b", "a", "c"), (parted, failed(""), both), strict=True))

    def check(bucket: SweptBucket, _at: Context) -> Outcome:
        return outcomes[bucket.coverage.bucket]

    rule = Rule("a-rule", "t", SweptBucket, Severity.LOW, "s", "r", check)
    holdings = InPart(a_holding(bucket="a"))
    views = {AWS_KEY: KeyView(AWS_KEY, an_aws_key(), None)}
    told = judge(facts(holdings=holdings, keys=views, buckets=tuple(map(a_bucket, outcomes))), [rule])
    assert [(one.subject.id, one.extent.objects, one.extent.size) for one in told.findings] == [
        ("b", 1, 2),
        ("a", 10, 1_000),
        ("c", 2, 1),
    ]
    assert [one.portions for one in told.findings] == [(W,), (), (W, U)]
    assert [len(one.members) for one in told.findings] == [2, 1, 1]


def test_a_finding_on_an_exception_is_about_the_portions_that_it_waives() -> None:
    covered = a_finding("wrong-key", KEY, id="1", portions=(W, U), members=(FIRST,))
    given = GivenWaiver(WAIVER, ("1",))
    rule = Seen().rule(Excepted, failed(""))
    (found,) = judge_waivers(facts(holdings=InPart()), [rule], [given], [covered]).findings
    assert (found.portions, found.extent.objects, found.members) == ((W, U), 2, (FIRST,))
    assert found.subject == Subject(SubjectKind.WAIVER, WAIVER.name)


def told_of_each(of: type[RuleSubject], outcomes: dict[str, Outcome], **more: Any) -> tuple[Counted, ...]:
    """What is counted where a rule says this of so many buckets, or of all keys."""

    def check(subject: RuleSubject, _at: Context) -> Outcome:
        return outcomes[subject.subject.id]

    rule = Rule("a-rule", "t", of, Severity.LOW, "s", "r", check)
    (tally,) = judge(facts(**more), [rule]).tallies
    assert tally.parts is not None
    assert tally.counts == {one: sum(part.counts[one] for part in tally.parts) for one in Verdict}
    return tally.parts


def test_outcomes_are_counted_cloud_by_cloud() -> None:
    outcomes = {
        "gs://1": passed("p"),
        "gs://2": not_told("nobody says"),
        "s3://1": failed("f"),
        "s3://2": unknown("u"),
        "s3://3": unknown("u"),
        "elsewhere": not_applicable("n"),
    }
    none, aws, google = told_of_each(SweptBucket, outcomes, buckets=tuple(map(a_bucket, outcomes)))
    nothing = dict.fromkeys(Verdict, 0)
    assert none == Counted(None, {**nothing, Verdict.NOT_APPLICABLE: 1})
    assert aws == Counted(Cloud.AWS, {**nothing, Verdict.FAILED: 1, Verdict.UNKNOWN: 2}, 0, ("u",))
    assert google == Counted(Cloud.GCP, {**nothing, Verdict.PASSED: 1, Verdict.NOT_APPLICABLE: 1}, 1, ("nobody says",))


def test_the_three_most_frequent_reasons_are_told_why_a_rule_could_not_judge() -> None:
    texts = ["d", "c", "b", "b", "a", "c", "e"]
    outcomes: dict[str, Outcome] = {f"s3://{number}": unknown(text) for number, text in enumerate(texts)}
    outcomes |= {f"s3://p{number}": passed("well") for number in range(3)}
    (part,) = told_of_each(SweptBucket, outcomes, buckets=tuple(map(a_bucket, outcomes)))
    assert part.whys == ("b", "c", "a"), "and of those that are as frequent the first by its text"


def test_why_causes_are_unknown_is_not_told_twice() -> None:
    outcomes: dict[str, Outcome] = {AWS_KEY.text: unknown("until tomorrow"), VERSION.id: unknown("u")}
    views = {AWS_KEY: KeyView(AWS_KEY, an_aws_key(), None)}
    more: dict[str, Any] = {"holdings": FixedHoldings(a_holding()), "keys": views}
    (of_causes,) = told_of_each(Cause, outcomes, **more)
    (of_keys,) = told_of_each(HeldKey, outcomes, **more)
    assert (of_causes.whys, of_keys.whys) == ((), ("until tomorrow",))

    seen = Seen()
    (tally,) = judge_logs(facts(), [seen.rule(Caused, unknown("u"))], [a_finding("key-public", KEY)]).tallies
    assert tally.parts is not None
    assert (tally.counts[Verdict.UNKNOWN], [one.whys for one in tally.parts]) == (1, [()])


V = Verdict
LATE = KeyView(AWS_KEY, None, remembered(an_aws_key(), days(1)))
GONE = KeyView(AWS_KEY, KeyGone(AWS_KEY, proven=True), LATE.memory)
SAYS: dict[str, tuple[KeyView, Outcome, bool, V, str]] = {
    "it answers": (KeyView(AWS_KEY, an_aws_key(), None), passed("p"), False, V.PASSED, "p"),
    "well, by what is old": (LATE, passed("p"), False, V.UNKNOWN, "the key said last is too old"),
    "not well, by what is old": (LATE, failed("f"), False, V.UNKNOWN, "the key said last is too old"),
    "not concerned, whatever is old": (LATE, not_applicable("n"), False, V.NOT_APPLICABLE, "n"),
    "not well, and it does not exist any more": (GONE, failed("f"), False, V.NOT_APPLICABLE, "not exist any more"),
    "unknown for another reason": (LATE, unknown("u"), False, V.UNKNOWN, "u"),
    "of a rule that speaks of silence": (LATE, failed("f"), True, V.FAILED, "f"),
}


def judged_key(view: KeyView, outcome: Outcome, **more: Any) -> Judged:
    rule = replace(Seen().rule(HeldKey, outcome), **more)
    return judge(facts(holdings=FixedHoldings(a_holding(view.name)), keys={view.name: view}), [rule])


@pytest.mark.parametrize(("view", "outcome", "of_silence", "verdict", "text"), SAYS.values(), ids=SAYS)
def test_a_rule_about_keys_says_nothing_by_what_is_too_old(
    view: KeyView, outcome: Outcome, verdict: V, text: str, *, of_silence: bool
) -> None:
    told = judged_key(view, outcome, of_silence=of_silence)
    (tally,) = told.tallies
    assert tally.parts is not None
    assert tally.counts == {**dict.fromkeys(V, 0), verdict: 1}
    assert [one.cause for one in told.findings] == ([text] if verdict is V.FAILED else [])
    if verdict is V.UNKNOWN:
        assert text in tally.parts[0].whys[0]
    assert bool(told.undecided) is (verdict is V.UNKNOWN)
