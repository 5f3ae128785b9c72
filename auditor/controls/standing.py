"""What a judgement says of controls, by the rules that relate to them: docs/adr/0030-what-a-control-says.md."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from auditor.controls.answer import ControlStanding, Excused, FrameworkStanding, RuleStanding, State
from auditor.controls.framework import Control, Framework
from auditor.controls.sight import WHYS, Sight, most
from auditor.findings import Counted, Finding, Judgement, Status, Verdict
from auditor.model import Cloud
from auditor.ownership.owned import HeardRegistry, OwnedBucket, OwnedKey, PlacedKey
from auditor.rule import (
    AskedLog,
    Cause,
    Caused,
    ConfiguredFeed,
    Excepted,
    HeldKey,
    Rule,
    RuleSubject,
    SweptBucket,
)
from auditor.waiver import Waiver

BLOCKING: Final = ("feed-silent", "key-state-unknown", "poll-stale", "sweep-incomplete", "sweep-stale")
"""While one of these fails, excused or not, what the others pass on is not all there is, or not as it is now."""

_BY_CONFIG: Final = (SweptBucket, ConfiguredFeed)
"""Subjects that the config names, so that all of them are known whatever was seen."""
_OWNED: Final = (OwnedKey, OwnedBucket, PlacedKey, HeardRegistry)
"""Subjects that registries are put beside."""
_NOUNS: Final[Mapping[type[RuleSubject], str]] = {
    Cause: "parts of the data",
    HeldKey: "keys",
    SweptBucket: "buckets",
    OwnedKey: "keys",
    OwnedBucket: "buckets",
    PlacedKey: "keys",
    HeardRegistry: "checks of registries",
    Excepted: "waivers",
    Caused: "changes",
    AskedLog: "audit logs",
    ConfiguredFeed: "feeds",
}
_PROBED: Final = "probe-disagrees"
_REVOKED: Final = "data-revoked"


def standings(
    judgement: Judgement, rules: Iterable[Rule], frameworks: Iterable[Framework]
) -> tuple[FrameworkStanding, ...]:
    """Say of each control of each framework whether its rules found an exception, none, or could not tell."""
    every = tuple(rules)
    found: dict[Cloud | None, Mapping[str, RuleStanding]] = {}
    told = []
    for one in frameworks:
        if one.cloud not in found:
            found[one.cloud] = of_rules(judgement, every, one.cloud)
        told.append(_of_framework(one, found[one.cloud]))
    return tuple(told)


def of_rules(judgement: Judgement, rules: Iterable[Rule], cloud: Cloud | None = None) -> Mapping[str, RuleStanding]:
    """Say of each rule what it found, in all or in what is of one cloud."""
    every = tuple(rules)
    sight = Sight(judgement, cloud)
    first = {one.id: _of_rule(one, sight) for one in every if one.id in BLOCKING}
    blocked = tuple(f"{name} found an exception" for name, one in first.items() if one.state is State.EXCEPTION)
    return {one.id: first.get(one.id) or _of_rule(one, sight, blocked) for one in every}


def _of_framework(framework: Framework, rules: Mapping[str, RuleStanding]) -> FrameworkStanding:
    controls = framework.controls
    return FrameworkStanding(
        framework,
        tuple(
            _of_control(one, tuple(rules.get(name) or _never_put(name) for name in one.rules))
            for one in controls
            if one.rules
        ),
        tuple(one for one in controls if not one.rules),
    )


def _never_put(rule: str) -> RuleStanding:
    return RuleStanding(rule, State.OPEN, 0, 0, 0, 0, reasons=("no such rule judged here",))


def _of_control(control: Control, rules: tuple[RuleStanding, ...]) -> ControlStanding:
    """A rule that applies to nothing here stands in the way of no other, and proves nothing by itself."""
    if any(one.state is State.EXCEPTION for one in rules):
        state = State.EXCEPTION
    elif any(one.state is State.NONE for one in rules) and all(one.state is State.NONE or one.is_idle for one in rules):
        state = State.NONE
    else:
        state = State.OPEN
    return ControlStanding(control, state, rules)


def _of_rule(rule: Rule, sight: Sight, blocked: tuple[str, ...] = ()) -> RuleStanding:
    counted = sight.counted(rule.id)
    counts = Counter[Verdict]()
    for one in counted or ():
        counts.update(one.counts)
    passed, failed = counts[Verdict.PASSED], counts[Verdict.FAILED]
    reasons = tuple(_reasons(rule, sight, counted, counts))
    unseen = () if rule.subject in _BY_CONFIG else (*_unseen(rule, sight), *blocked)
    findings = sight.findings.get(rule.id, ())
    is_whole = not (reasons or unseen)
    state = State.EXCEPTION if findings or failed else State.NONE if passed and is_whole else State.OPEN
    return RuleStanding(
        rule=rule.id,
        state=state,
        passed=passed,
        failed=failed,
        unknown=counts[Verdict.UNKNOWN],
        apart=counts[Verdict.NOT_APPLICABLE],
        reasons=reasons,
        unseen=unseen,
        is_idle=state is State.OPEN and is_whole,
        findings=tuple(one for one in findings if one.status is Status.OPEN),
        excused=tuple(Excused(one, _waivers(one, sight.judgement)) for one in findings if one.status is Status.WAIVED),
    )


def _waivers(finding: Finding, judgement: Judgement) -> tuple[Waiver, ...]:
    """Those that excuse it now: one that is over excuses nothing any more."""
    return tuple(
        one.waiver for one in judgement.waivers if finding.id in one.covers and one.waiver.until > judgement.now
    )


def _unseen(rule: Rule, sight: Sight) -> tuple[str, ...]:
    return sight.keys if rule.subject is HeldKey and not rule.of_data else sight.data


def _reasons(
    rule: Rule, sight: Sight, counted: tuple[Counted, ...] | None, counts: Mapping[Verdict, int]
) -> Iterator[str]:
    """What a rule could not judge of what there is."""
    if counted is None:
        yield "what it found was not told cloud by cloud, or it was not put at all: poll again"
        return
    yield from _not_judged(rule, sight, counted, counts)
    if rule.subject is HeardRegistry and not sight.judgement.registered.registries:
        yield "no registry is configured"
    if rule.subject is AskedLog:
        yield "an audit log is asked only for who did what was found: of any other nobody knows whether it tells"
    if rule.subject in _OWNED and not sight.judgement.is_keys_only:
        yield from sight.registries
    if rule.subject is Cause:
        yield from sight.behind_keys()
    if rule.id == _PROBED:
        yield from sight.of_probes()
    if rule.id == _REVOKED and (keys := sight.by_no_policy()):
        yield f"under {keys} keys data counts as readable by their state: no policy was evaluated for it"


def _not_judged(rule: Rule, sight: Sight, counted: tuple[Counted, ...], counts: Mapping[Verdict, int]) -> Iterator[str]:
    total, noun = sum(counts.values()), _NOUNS[rule.subject]
    unknown, untold = counts[Verdict.UNKNOWN], sum(one.untold for one in counted)
    if not unknown and not untold:
        return
    if rule.subject is Cause and unknown:
        whys = sight.unknown
    elif rule.subject is Caused:
        whys = most(one.unattributed for one in sight.judgement.findings if one.unattributed is not None)
    else:
        whys = tuple(dict.fromkeys(why for one in counted for why in one.whys))[:WHYS]
    parts = [f"not known for {unknown} of {total} {noun}"] if unknown else []
    if untold:
        parts.append(f"nobody says, or looked, what to judge {untold} of {total} {noun} by")
    yield " and ".join(parts)
    yield from whys
