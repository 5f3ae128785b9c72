"""What the judge makes of what others tell: registries, operators' bundles, other keys, and other names of one key."""

from dataclasses import replace
from typing import Any

import pytest

from auditor.engine import Facts, judge
from auditor.findings import Assessed, Basis, Confidence, Finding, Member, Outcome, Readability, Severity, member_of
from auditor.model import (
    Cloud,
    CustomKeyStore,
    Evidence,
    Grant,
    Holding,
    KeyGone,
    KeyName,
    Reason,
)
from auditor.ownership.owned import OwnedBucket, OwnedKey
from auditor.ownership.owning import Sayings
from auditor.ownership.registered import Portion
from auditor.ownership.spelling import Spelling
from auditor.policy import Policy
from auditor.questions.retire.standing import Candidate, Next, Standing, Step, Use
from auditor.readability import KeyView
from auditor.rule import Cause, Context, HeldKey, Rule, RuleSubject, SweptBucket, failed, passed, unknown
from tests.core_builders import (
    AGENT,
    AWS_KEY,
    GCP_KEY,
    NOW,
    ROLE,
    FixedHoldings,
    a_gcp_key,
    a_holding,
    a_version,
    access,
    an_aws_key,
    denied,
    remembered,
)
from tests.test_engine import a_bucket

R = Readability
SAID = Evidence("registry", "own.csv", NOW, None, "e" * 64)
HANDED = Evidence("bundle", "of acme", NOW, None, "d" * 64)
OTHER = KeyName(f"{AWS_KEY.text[:-1]}f")
NUMBER = KeyName(GCP_KEY.text.replace("projects/acme-keys", "projects/123"))
BY_ID = Spelling({GCP_KEY: "one", NUMBER: "one"})
BY_NUMBER = replace(BY_ID, called={"one": NUMBER})


def claimed(key: KeyName | None = GCP_KEY, **more: Any) -> Holding:
    """What a registry says."""
    return a_holding(key, objects=None, size=None, oldest=None, newest=None, **more)


def told(key: KeyName | None = GCP_KEY, version: str | None = None, **more: Any) -> Holding:
    """What an operator's bundle says."""
    return a_holding(key, version, is_told=True, **more)


def facts(*holdings: Holding, **more: Any) -> Facts:
    """Facts on keys that all work."""
    keys = more.pop("keys", {GCP_KEY: a_gcp_key(a_version("1"), a_version("2"), primary="2"), AWS_KEY: an_aws_key()})
    views = {name: one if isinstance(one, KeyView) else KeyView(name, one, None) for name, one in keys.items()}
    rest: dict[str, Any] = {"agents": {}, "buckets": (), "policy": Policy(), "now": NOW, **more}
    return Facts(FixedHoldings(*holdings, portions=rest.pop("portions", None)), views, **rest)


def subjects(of: type[RuleSubject], some: Facts) -> list[Any]:
    """All that rules on one kind of subject are asked about."""
    seen: list[Any] = []

    def check(subject: RuleSubject, _at: Context) -> Outcome:
        seen.append(subject)
        return passed("")

    judge(some, [Rule("a-rule", "t", of, Severity.LOW, "s", "r", check)])
    return seen


def assessed(some: Facts) -> tuple[Assessed, ...]:
    return judge(some, ()).assessed


def on_store(state: str, name: KeyName = AWS_KEY) -> Any:
    return an_aws_key(name=name, store=CustomKeyStore("cks-1", state))


def test_a_key_that_nothing_needs_tells_of_the_store_and_is_not_judged_itself() -> None:
    silent = KeyView(AWS_KEY, denied(reason=Reason.THROTTLED), remembered(on_store("CONNECTED")))
    other = KeyView(OTHER, on_store("DISCONNECTED", OTHER), None)
    for others, readability in (({}, R.READABLE), ({OTHER: other}, R.UNREACHABLE)):
        some = facts(a_holding(), keys={AWS_KEY: silent}, others=others)
        (one,) = assessed(some)
        assert one.assessment.readability is readability
        (key,) = subjects(HeldKey, some)
        assert key.name == AWS_KEY
        assert [each.readability for each in key.assessments] == [readability]


def test_what_a_registry_says_is_judged_by_its_word() -> None:
    (one,) = assessed(facts(claimed(), spoken={"gs://data": (SAID,)}))
    assert one.holding == claimed()
    assert (one.assessment.readability, one.assessment.basis) == (R.READABLE, Basis.REGISTRY)
    assert (one.assessment.confidence, one.assessment.evidence) == (Confidence.INFERRED, (SAID,))
    (one,) = assessed(facts(claimed(), spoken={"gs://else": (SAID,)}))
    assert one.assessment.evidence == ()
    assert assessed(facts(claimed(None))) == (), "that no key is named says nothing of any"


def test_what_an_operator_saw_is_judged_by_its_word() -> None:
    seen = a_holding(GCP_KEY, "1")
    hidden, mine = assessed(facts(told(version="1", bucket="gs://a"), seen, handed={"gs://a": (HANDED,)}))
    assert (hidden.assessment.basis, hidden.assessment.confidence) == (Basis.BUNDLE, Confidence.INFERRED)
    assert hidden.assessment.evidence == (HANDED,)
    assert (mine.assessment.basis, mine.assessment.confidence) == (Basis.STATE, Confidence.PROVEN)


OLD = f"{GCP_KEY}/cryptoKeyVersions/1"
BARS: dict[str, tuple[list[Holding], list[tuple[str, bool, int]]]] = {
    "a registry, and the version is not its primary one": ([claimed()], [(OLD, True, 1)]),
    "a bundle, which names it": ([told(version="1")], [(OLD, False, 1)]),
    "a registry, and a bundle that names it": ([claimed(), told(version="1", bucket="gs://b")], [(OLD, False, 2)]),
    "the auditor saw it": ([a_holding(GCP_KEY, "1")], [(OLD, False, 1)]),
    "the auditor saw it elsewhere": (
        [a_holding(GCP_KEY, "1", bucket="gs://b"), claimed()],
        [(OLD, False, 1), (OLD, True, 1)],
    ),
}


@pytest.mark.parametrize(("holdings", "causes"), BARS.values(), ids=BARS)
def test_that_data_is_under_a_version_is_possible_only_where_nobody_names_it(
    holdings: list[Holding], causes: list[tuple[str, bool, int]]
) -> None:
    off = a_gcp_key(a_version("1", "DISABLED"), a_version("2"), primary="2")
    found = subjects(Cause, facts(*holdings, keys={GCP_KEY: off}))
    assert [(one.subject.id, one.possible, len(one.members)) for one in found] == causes
    assert {one.readability for one in found} == {R.UNREADABLE}


def test_whoever_decrypts_for_data_that_nobody_saw_is_of_the_platform() -> None:
    platform = {Cloud.GCP: (AGENT,), Cloud.AWS: (ROLE,)}
    agents: dict[str, tuple[str, ...]] = {"gs://data": ("of the bucket",)}
    for one, expected in (
        (claimed(), (AGENT,)),
        (told(version="1"), (AGENT,)),
        (claimed(AWS_KEY), (ROLE,)),
        (a_holding(GCP_KEY, "1"), ("of the bucket",)),
    ):
        key = KeyName(one.key or "")
        (held,) = (each for each in subjects(HeldKey, facts(one, platform=platform, agents=agents)) if each.members)
        assert (held.name, held.platform) == (key, expected)
        assert all(cause.users_known for cause in subjects(Cause, facts(one, platform=platform, agents=agents)))
        assert not any(cause.users_known for cause in subjects(Cause, facts(one)))
    plain = told(None, bucket="gs://data")
    (cause,) = subjects(Cause, facts(plain, agents=agents, platform=platform))
    assert cause.users_known, "data under no key is of its bucket's principals"


def test_a_right_that_the_platform_lacks_bars_what_a_registry_says() -> None:
    barred = an_aws_key(access=access(AWS_KEY, Grant.ABSENT))
    for platform, readability in (({Cloud.AWS: (ROLE,)}, R.REVOKED), ({Cloud.GCP: (AGENT,)}, R.READABLE)):
        (one,) = assessed(facts(claimed(AWS_KEY), keys={AWS_KEY: barred}, platform=platform))
        assert one.assessment.readability is readability


def standing(version: str, key: KeyName = GCP_KEY) -> Candidate:
    return Candidate(key, Standing(version, "ENABLED", Use.UNUSED), Next(Step.DISABLE), None)


def test_a_key_is_judged_with_what_its_versions_were_there_for() -> None:
    mine, second, other = standing("1"), standing("2"), standing("1", KeyName(f"{GCP_KEY}-2"))
    held = {one.name: one for one in subjects(HeldKey, facts(candidates=(mine, other, second)))}
    assert (held[GCP_KEY].candidates, held[AWS_KEY].candidates) == ((mine, second), ())


NAMES: dict[str, tuple[Spelling, list[Holding], KeyName, int]] = {
    "each by its own name": (Spelling(), [a_holding(NUMBER, "1")], NUMBER, 1),
    "the name of the data": (BY_ID, [a_holding(NUMBER, "1")], NUMBER, 1),
    "the id, of two names": (BY_ID, [a_holding(NUMBER, "1"), a_holding(GCP_KEY, "1")], GCP_KEY, 2),
    "as findings call it": (BY_NUMBER, [a_holding(GCP_KEY, "1")], NUMBER, 1),
    "as findings call it, of two names": (BY_NUMBER, [a_holding(NUMBER, "1"), a_holding(GCP_KEY, "1")], NUMBER, 2),
}


@pytest.mark.parametrize(("spelling", "holdings", "name", "count"), NAMES.values(), ids=NAMES)
def test_a_key_of_two_names_is_judged_once_with_all_that_is_told_of_either(
    spelling: Spelling, holdings: list[Holding], name: KeyName, count: int
) -> None:
    keys = {GCP_KEY: a_gcp_key(), NUMBER: replace(a_gcp_key(), name=NUMBER)}
    by_number, by_id = standing("1", NUMBER), standing("2")
    again = replace(standing("1"), call="disable")
    some = facts(*holdings, keys=keys, candidates=(by_number, by_id, again), said=Sayings(spelling=spelling))
    held = [one for one in subjects(HeldKey, some) if one.members]
    assert [(one.name, len(one.members), one.last_read) for one in held] == [(name, count, NOW)]
    if spelling.ones:
        assert len(subjects(HeldKey, some)) == 1
        assert sorted(one.standing.version or "" for one in held[0].candidates) == ["1", "2"], "each once"


def test_a_name_that_findings_call_a_key_by_counts_without_a_view_of_its_own() -> None:
    """Nobody asked by that name: what the key is known to be is told by the other."""
    some = facts(
        a_holding(GCP_KEY, "1"),
        keys={GCP_KEY: a_gcp_key()},
        said=Sayings(spelling=BY_NUMBER),
        candidates=(standing("1"), standing("2", NUMBER)),
    )
    (held,) = subjects(HeldKey, some)
    assert (held.name, len(held.members)) == (GCP_KEY, 1)
    assert [one.standing.version for one in held.candidates] == ["1"]


SEEN: Member = member_of(a_holding(GCP_KEY, "1"))
CUT: Member = member_of(a_holding(GCP_KEY, "1", bucket="gs://cut"))


def test_ownership_is_judged_by_what_was_seen_and_not_of_buckets_that_were_cut_otherwise() -> None:
    portions = {SEEN: (Portion.WRONG_KEY,), CUT: (Portion.UNREGISTERED,)}
    holdings = a_holding(GCP_KEY, "1"), a_holding(GCP_KEY, "1", bucket="gs://cut"), claimed(bucket="gs://claimed")
    said = Sayings(otherwise_cut=frozenset({"gs://cut"}))
    (key,) = subjects(OwnedKey, facts(*holdings, portions=portions, said=said))
    assert key.portions == {SEEN: (Portion.WRONG_KEY,)}
    assert set(key.members) == {SEEN, CUT}, "what a registry says cannot part from what it says"
    handed = facts(told(version="1", bucket="gs://told"), portions=portions, said=said)
    (bucket,) = subjects(OwnedBucket, handed)
    assert bucket.bucket == "gs://told", "what an operator saw can"


def test_a_finding_is_about_what_its_rule_says_and_of_what_portions() -> None:
    wrong = replace(failed("f"), members=(CUT,), portions=(Portion.WRONG_KEY,))

    def check(one: OwnedKey | SweptBucket, _at: Context) -> Outcome:
        return wrong if isinstance(one, OwnedKey) else failed("f")

    rules = [Rule("a-rule", "t", of, Severity.LOW, "s", "r", check) for of in (OwnedKey, SweptBucket)]
    some = facts(a_holding(GCP_KEY, "1"), buckets=(a_bucket("gs://data"),))
    owned, swept = judge(some, rules).findings
    assert (owned.members, owned.portions) == ((CUT,), (Portion.WRONG_KEY,))
    assert (swept.members, swept.portions) == ((SEEN,), ())


def found_on_key(*holdings: Holding, of_data: bool, **more: Any) -> Finding:
    def check(_key: HeldKey, _at: Context) -> Outcome:
        return failed("f")

    key = a_gcp_key(evidence=(Evidence("cloudkms.cryptoKeys.get", "k", NOW, None, "0" * 64),))
    rule = Rule("a-rule", "t", HeldKey, Severity.LOW, "s", "r", check, of_data=of_data)
    (one,) = judge(facts(*holdings, keys={GCP_KEY: key}, **more), [rule]).findings
    return one


def test_what_fails_by_data_of_which_others_tell_is_inferred_from_their_word() -> None:
    handed = {"gs://a": (HANDED,), "gs://data": (SAID,)}
    there = told(version="1", bucket="gs://a")
    one = found_on_key(there, there, a_holding(GCP_KEY, "1"), of_data=True, handed=handed)
    assert (one.confidence, [each.call for each in one.evidence]) == (
        Confidence.INFERRED,
        ["cloudkms.cryptoKeys.get", HANDED.call],
    ), "each word once, and none of what was seen here"
    one = found_on_key(there, of_data=False, handed=handed)
    assert (one.confidence, len(one.evidence)) == (Confidence.PROVEN, 1), "what is under it decides nothing"
    one = found_on_key(a_holding(GCP_KEY, "1"), of_data=True, handed=handed)
    assert (one.confidence, len(one.evidence)) == (Confidence.PROVEN, 1)


def test_who_owns_data_of_which_others_tell_is_inferred_from_their_word() -> None:
    def check(_one: OwnedKey | OwnedBucket, _at: Context) -> Outcome:
        return replace(failed("f"), members=(member_of(told(version="1", bucket="gs://a")),))

    for of in (OwnedKey, OwnedBucket):
        rule = Rule("a-rule", "t", of, Severity.LOW, "s", "r", check)
        holdings = told(version="1", bucket="gs://a"), told(version="1", bucket="gs://b")
        handed = {"gs://a": (HANDED,), "gs://b": (SAID,)}
        one, *_ = judge(facts(*holdings, handed=handed), [rule]).findings
        assert (one.confidence, one.evidence) == (Confidence.INFERRED, (HANDED,))


def test_what_no_rule_can_tell_of_data_under_no_key_stays_open_for_no_key() -> None:
    def check(_cause: Cause, _at: Context) -> Outcome:
        return unknown("u")

    rule = Rule("a-rule", "t", Cause, Severity.LOW, "s", "r", check)
    lost = KeyView(AWS_KEY, KeyGone(AWS_KEY, proven=False), remembered(an_aws_key()))
    assert judge(facts(a_holding(None, bucket="s3://data")), [rule]).undecided == frozenset()
    found = judge(facts(a_holding(), keys={AWS_KEY: lost}), [rule])
    assert found.undecided == {rule.finding_id(found.assessed[0].assessment.subject)}


def test_a_finding_on_a_key_that_was_read_before_came_up_between_polls() -> None:
    view = KeyView(AWS_KEY, an_aws_key(), remembered(an_aws_key()))
    rule = Rule("a-rule", "t", HeldKey, Severity.LOW, "s", "r", lambda _key, _at: failed("f"))
    for each, source in ((view, "between_polls"), (replace(view, memory=None), "first_read")):
        (one,) = judge(facts(a_holding(), keys={AWS_KEY: each}), [rule]).findings
        assert (one.since, one.since_source) == (NOW, source)
