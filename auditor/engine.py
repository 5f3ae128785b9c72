"""The judge: holdings, key states and their memory, policy and the moment in; assessments and findings out."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from itertools import chain
from typing import Final

from auditor.attribution.who import attributable, unreadable
from auditor.feeds.silence import Ear, untold
from auditor.findings import (
    Assessed,
    Assessment,
    BucketCoverage,
    Confidence,
    Counted,
    Finding,
    Member,
    Outcome,
    Readability,
    Severity,
    Status,
    Subject,
    SubjectKind,
    Tally,
    Verdict,
    in_order,
    member_of,
)
from auditor.model import (
    AwsKey,
    Cloud,
    Encryption,
    Evidence,
    Extent,
    GcpKey,
    Holding,
    KeyGone,
    KeyName,
    KeyUnread,
    Probe,
    Reason,
    is_being_made,
)
from auditor.ownership import owning
from auditor.ownership.owned import HeardRegistry, OwnedBucket, OwnedKey, PlacedKey
from auditor.ownership.owning import NOBODY_SAYS, Sayings
from auditor.ownership.registered import Portion
from auditor.policy import Policy
from auditor.ports import Holdings, Portions
from auditor.questions.retire.standing import Candidate
from auditor.readability import (
    Claim,
    KeyView,
    Stores,
    as_told,
    assess,
    assess_claim,
    beside_others,
    is_gone,
    probes_of,
    rights_of,
)
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
    not_applicable,
    unknown,
)
from auditor.supposing import NOTHING_SUPPOSED, Supposed
from auditor.waiver import GivenWaiver


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that is judged; the same facts give the same answer on any machine."""

    holdings: Holdings
    keys: Mapping[KeyName, KeyView]
    """One view for every key that a holding names, and for any other that is watched."""
    agents: Mapping[str, tuple[str, ...]]
    """Bucket -> the principals that decrypt for it, where they are known."""
    buckets: tuple[BucketCoverage, ...]
    policy: Policy
    now: datetime
    """Aware, UTC, by the clouds' clocks."""
    probes: tuple[Probe, ...] = ()
    """The newest of each kind for each bucket, key and version."""
    unseen: Mapping[KeyName, KeyView] = field(default_factory=dict)
    """Views of keys whose data is hidden for a time: not judged, but what they refused tells of their stores."""
    others: Mapping[KeyName, KeyView] = field(default_factory=dict)
    """Views of keys that nothing needs any more: not judged, but what they said tells of what stands behind them."""
    said: Sayings = NOBODY_SAYS
    candidates: tuple[Candidate, ...] = ()
    """What key versions were there for, by the judgement before."""
    platform: Mapping[Cloud, tuple[str, ...]] = field(default_factory=dict)
    """The principals that decrypt for data which nobody saw in any bucket, where they are known."""
    spoken: Mapping[str, tuple[Evidence, ...]] = field(default_factory=dict)
    """Bucket, or what stands for it -> which registries say what is in it."""
    handed: Mapping[str, tuple[Evidence, ...]] = field(default_factory=dict)
    """Bucket -> which operators' bundles say what is in it."""
    ears: tuple[Ear, ...] = ()
    """How the feeds of the config are listened to."""


@dataclass(frozen=True, slots=True)
class Judged:
    """What the rules made of the facts."""

    assessed: tuple[Assessed, ...]
    findings: tuple[Finding, ...]
    """Fresh: their past is not known here."""
    tallies: tuple[Tally, ...]
    undecided: frozenset[str] = frozenset()
    """Ids of findings about whole keys, or what principals may do, that could neither be upheld nor refuted."""
    failing: frozenset[Subject] = frozenset()
    """Custom key stores that are known to fail a key."""
    supposed: Supposed = field(default=NOTHING_SUPPOSED, compare=False)
    """What its data would come to under names that may be its key's, as far as anybody knows."""


def judge(facts: Facts, rules: Iterable[Rule]) -> Judged:
    """Assess every holding, put every rule to every subject, and measure what hangs on each failure."""
    views = beside_others({**facts.others, **facts.keys}, facts.now)
    facts = replace(facts, keys={name: views[name] for name in facts.keys})
    held = {KeyName(one.key) for one in facts.holdings.holdings() if one.key}
    depended_on = {**facts.unseen, **{name: view for name, view in facts.keys.items() if name in held}}
    stores = Stores(facts.probes, depended_on, facts.policy, facts.now)
    claims = tuple(_claims(facts))
    assessed = tuple(stores.beside((*_assess(facts), *(one.assessed for one in claims)), facts.keys))
    subjects: tuple[RuleSubject, ...] = (
        *_causes(facts, (one for one in assessed if one.holding.is_seen)),
        *_causes_by_others(facts, claims, [one for one in assessed if one.holding.is_told]),
        *_keys(facts, assessed),
        *_buckets(facts, assessed),
        *owning.subjects(facts.said, _ground(facts, assessed)),
    )
    at_once = [one for one in rules if one.subject not in {Excepted, *ABOUT_LOGS}]
    supposed = Supposed((one.holding for one in assessed), facts.said.spelling, partial(_supposed, facts))
    return replace(_put_all(at_once, subjects, facts), assessed=assessed, failing=stores.failing, supposed=supposed)


_WHYS: Final = 3
"""As many reasons of a rule that could not judge are kept."""
ABOUT_LOGS: Final = (Caused, AskedLog, ConfiguredFeed)
"""Subjects that are there once the findings on all others are, and the logs were asked about those: these tell also of
what feeds should have told."""


def judge_logs(facts: Facts, rules: Iterable[Rule], findings: Iterable[Finding]) -> Judged:
    """Put the rules about audit logs and feeds to what these tell, and do not tell, of the findings that stand now."""
    findings = tuple(findings)
    caused: dict[Subject, list[Finding]] = defaultdict(list)
    logs: dict[str, list[Finding]] = defaultdict(list)
    for one in findings:
        if attributable(one):
            caused[one.subject].append(one)
            if one.sought is not None and one.sought.log is not None:
                logs[one.sought.log].append(one)
    silent: dict[str, list[Reason]] = defaultdict(list)
    for each in unreadable(one for some in logs.values() for one in some):
        silent[each.log].append(each.reason)
    subjects: tuple[RuleSubject, ...] = (
        *(Caused(tuple(some)) for _, some in sorted(caused.items())),
        *(AskedLog(name, tuple(silent[name]), tuple(some)) for name, some in sorted(logs.items())),
        *(ConfiguredFeed(one, untold(one, findings, facts.now, facts.said.spelling)) for one in facts.ears),
    )
    return _put_all([one for one in rules if one.subject in ABOUT_LOGS], subjects, facts)


def judge_waivers(
    facts: Facts, rules: Iterable[Rule], given: Iterable[GivenWaiver], findings: Iterable[Finding]
) -> Judged:
    """Put the rules about exceptions to each exception, by the findings that stand now."""
    by_id = {one.id: one for one in findings}
    subjects = [
        Excepted(
            one,
            tuple(by_id[name] for name in one.covers if by_id[name].status is Status.OPEN),
            in_order({member for name in one.covers for member in by_id[name].members}),
            _together(by_id[name].portions for name in one.covers),
        )
        for one in given
    ]
    return _put_all([one for one in rules if one.subject is Excepted], subjects, facts)


def _put_all(rules: Iterable[Rule], subjects: Sequence[RuleSubject], facts: Facts) -> Judged:
    """Put every rule to every subject of its kind, and measure what hangs on each failure."""
    context = Context(facts.now, facts.policy, facts.keys)
    failures: list[tuple[Rule, RuleSubject, Outcome]] = []
    tallies: list[Tally] = []
    undecided: set[str] = set()
    for rule in rules:
        outcomes: list[tuple[Cloud | None, Outcome]] = []
        for subject in subjects:
            if not isinstance(subject, rule.subject):
                continue
            outcome = _put(rule, subject, context)
            outcomes.append((subject.subject.cloud, outcome))
            if outcome.verdict is Verdict.FAILED:
                failures.append((rule, subject, outcome))
            elif outcome.verdict is Verdict.UNKNOWN and _outlives_silence(subject, facts.keys):
                undecided.add(rule.finding_id(subject.subject))
        tallies.append(_tally(rule, outcomes))
    # All at once: a fleet may have a finding for each of its keys.
    extents = _extents(
        facts.holdings, [(_concerned(one, outcome), _portions(one, outcome)) for _, one, outcome in failures]
    )
    findings = tuple(_finding(*one, extent, facts) for one, extent in zip(failures, extents, strict=True))
    return Judged((), findings, tuple(tallies), frozenset(undecided))


def _tally(rule: Rule, outcomes: Sequence[tuple[Cloud | None, Outcome]]) -> Tally:
    """How often a rule gave each outcome, for all and cloud by cloud."""
    clouds = sorted({cloud for cloud, _ in outcomes}, key=lambda one: one or "")
    each = {one: [outcome for cloud, outcome in outcomes if cloud is one] for one in clouds}
    parts = tuple(
        Counted(
            cloud,
            _counts(some),
            sum(one.untold for one in some),
            # What is unknown of causes stands in the judgement, with dates that pass.
            () if rule.subject in {Cause, Caused} else _whys(some),
        )
        for cloud, some in each.items()
    )
    return Tally(rule.id, _counts([outcome for _, outcome in outcomes]), parts)


def _counts(outcomes: Iterable[Outcome]) -> Mapping[Verdict, int]:
    return {**dict.fromkeys(Verdict, 0), **Counter(one.verdict for one in outcomes)}


def _whys(outcomes: Iterable[Outcome]) -> tuple[str, ...]:
    """The most frequent reasons why a rule could not judge."""
    texts = Counter(one.text for one in outcomes if one.untold or one.verdict is Verdict.UNKNOWN)
    return tuple(text for text, _ in sorted(texts.items(), key=lambda item: (-item[1], item[0]))[:_WHYS])


def _extents(holdings: Holdings, wanted: Sequence[tuple[tuple[Member, ...], Portions]]) -> list[Extent]:
    """How much data each failure is about, in their order."""
    whole = holdings.extents(members for members, portions in wanted if not portions)
    parts = holdings.extents_of([one for one in wanted if one[1]])
    places = sorted(range(len(wanted)), key=lambda place: bool(wanted[place][1]))
    found = dict(zip(places, (*whole, *parts), strict=True))
    return [found[place] for place in range(len(wanted))]


def _together(portions: Iterable[Portions]) -> Portions:
    """Which portions some findings are about together; none where one of them is about all."""
    each = list(portions)
    return tuple(one for one in Portion if any(one in some for some in each)) if all(each) else ()


def _outlives_silence(subject: RuleSubject, keys: Mapping[KeyName, KeyView]) -> bool:
    """Whether a finding stays open that cannot be decided any more.

    Data under a key that tells nothing has a finding of its own. For a principal whose policies are hidden there is
    none that says as much, and that a key is not found yet is no reason to think better of it.
    """
    if isinstance(subject, Cause):
        not_found = any(isinstance(keys[name].word, KeyGone) for name in subject.keys)
        return subject.subject.kind is SubjectKind.PRINCIPAL or not_found
    return isinstance(subject, HeldKey | OwnedKey | OwnedBucket | PlacedKey | HeardRegistry | AskedLog | ConfiguredFeed)


def _put(rule: Rule, subject: RuleSubject, context: Context) -> Outcome:
    try:
        outcome = rule.check(subject, context)
    except Exception as error:  # noqa: BLE001 - a rule that crashes judges nothing; the others still must
        return unknown(f"the rule itself failed: {type(error).__name__}")
    if not isinstance(subject, HeldKey) or rule.of_silence or outcome.verdict not in {Verdict.PASSED, Verdict.FAILED}:
        return outcome
    if subject.is_told(context):
        return outcome
    # What it said last is neither upheld by that, nor refuted.
    if subject.is_lost(context):
        return not_applicable("the key does not exist any more")
    return unknown("what the key said last is too old to tell")


def _assess(facts: Facts) -> Iterable[Assessed]:
    probes: dict[tuple[str | None, str | None], list[Probe]] = defaultdict(list)
    on_google: dict[str | None, list[Probe]] = defaultdict(list)
    for one in facts.probes:
        probes[one.key, one.key_version].append(one)
        if KeyName(one.key).cloud is Cloud.GCP:
            on_google[one.key].append(one)
    for holding in facts.holdings.holdings():
        if holding.is_claimed:
            continue
        view = facts.keys.get(KeyName(holding.key)) if holding.key else None
        agents = _agents(facts, holding)
        # Data on Google Cloud that names no version may hang on any.
        unnamed = on_google[holding.key] if holding.key_version is None else ()
        versions = dict.fromkeys([holding.key_version, *(one.key_version for one in unnamed)])
        groups = (probes_of(holding.bucket, probes[holding.key, one], facts.now) for one in versions)
        mine = tuple(chain.from_iterable(groups))
        more = (one for one in rights_of(holding.bucket, on_google[holding.key], agents, facts.now) if one not in mine)
        found = assess(holding, view, agents, facts.policy, facts.now, probes=(*mine, *more))
        yield as_told(found, facts.handed.get(holding.bucket, ())) if holding.is_told else found


def _claims(facts: Facts) -> Iterable[Claim]:
    """What registries say is under keys, judged by these."""
    for holding in facts.holdings.holdings():
        if holding.is_claimed and holding.key is not None:
            name = KeyName(holding.key)
            said = facts.spoken.get(holding.bucket, ())
            yield assess_claim(
                holding, facts.keys[name], facts.platform.get(name.cloud, ()), facts.policy, facts.now, said=said
            )


def _supposed(facts: Facts, holding: Holding) -> Iterable[Assessment]:
    """What some data would come to under a key of which no data may be seen, by what that tells alone."""
    name = KeyName(holding.key or "")
    view = facts.keys.get(name) or facts.others.get(name) or KeyView(name, None, None)
    agents = _agents(facts, holding)
    if holding.is_claimed:
        return (one for one, _ in assess_claim(holding, view, agents, facts.policy, facts.now).bars)
    return (assess(holding, view, agents, facts.policy, facts.now).assessment,)


def _causes_by_others(facts: Facts, claims: Iterable[Claim], told: Iterable[Assessed]) -> Iterable[Cause]:
    """Each cause by itself: of two versions of a key either may be the one that data is under.

    What somebody has seen under a version is no mere possibility, whatever else may be under it.
    """
    every = [(one, False) for one in told]
    every += [(replace(one.assessed, assessment=bar), possible) for one in claims for bar, possible in one.bars]
    certain = {one.assessment.subject for one, is_possible in every if not is_possible}
    for cause in _causes(facts, (one for one, _ in every)):
        yield replace(cause, possible=cause.subject not in certain)


def _causes(facts: Facts, assessed: Iterable[Assessed]) -> Iterable[Cause]:
    probed = {(one.bucket, one.key, one.key_version) for one in facts.probes}
    groups: dict[tuple[Subject, Readability], list[Assessed]] = defaultdict(list)
    for one in assessed:
        groups[one.assessment.subject, one.assessment.readability].append(one)
    for (subject, readability), group in sorted(groups.items()):
        first = group[0].assessment
        yield Cause(
            subject=subject,
            readability=readability,
            basis=first.basis,
            text=first.cause,
            confidence=(
                Confidence.PROVEN
                if all(one.assessment.confidence is Confidence.PROVEN for one in group)
                else Confidence.INFERRED
            ),
            keys=tuple(sorted({KeyName(one.holding.key) for one in group if one.holding.key})),
            members=_members(group),
            final_at=min((one.assessment.final_at for one in group if one.assessment.final_at), default=None),
            since=first.since,
            undo=first.undo,
            contradictions=tuple(
                dict.fromkeys(one.assessment.contradiction for one in group if one.assessment.contradiction)
            ),
            evidence=tuple(dict.fromkeys(evidence for one in group for evidence in one.assessment.evidence)),
            probed=any((one.holding.bucket, one.holding.key, one.holding.key_version) in probed for one in group),
            users_known=all(_agents(facts, one.holding) for one in group),
        )


def _agents(facts: Facts, holding: Holding) -> tuple[str, ...]:
    """Who must be able to decrypt some data, as far as known."""
    if not holding.is_seen and holding.key is not None:
        return facts.platform.get(KeyName(holding.key).cloud, ())
    return facts.agents.get(holding.bucket, ())


def _keys(facts: Facts, assessed: tuple[Assessed, ...]) -> Iterable[HeldKey]:
    by_key: dict[KeyName, list[Assessed]] = {name: [] for name in facts.keys}
    for one in assessed:
        if one.holding.key:
            by_key[KeyName(one.holding.key)].append(one)
    candidates: dict[KeyName, list[Candidate]] = defaultdict(list)
    for each in facts.candidates:
        candidates[each.key].append(each)
    held = {name for name, group in by_key.items() if group}
    # What a key tells by one of its names, it tells by all.
    for called, names in sorted(facts.said.spelling.each(by_key, held).items()):
        name = called if called in facts.keys else names[0]
        group = [one for each in names for one in by_key[each]]
        agents = {agent for one in group for agent in _agents(facts, one.holding)}
        yield HeldKey(
            view=facts.keys[name],
            last_read=last_read(facts.keys[name], facts.now),
            platform=tuple(sorted(agents)),
            assessments=tuple(one.assessment for one in group),
            members=_members(group),
            holdings=tuple(one.holding for one in group),
            candidates=tuple({one.standing.version: one for each in names for one in candidates[each]}.values()),
        )


def last_read(view: KeyView, now: datetime) -> datetime | None:
    """When the key last gave a state, or was not there when it was asked: now, or what is remembered."""
    memory = view.memory
    if is_being_made(view.reading) and memory is not None and memory.last is not None:
        return now if is_being_made(memory.last) else memory.last_at
    match view.reading:
        case AwsKey() | GcpKey() | KeyGone():
            return now
        case KeyUnread(reason=Reason.NOT_FOUND) if memory is not None and not memory.missing_proven:
            # Whoever did not find it before was not asked rightly.
            return memory.last_at
        case KeyUnread() | None:
            told = (memory.last_at, memory.missing_until) if memory is not None else ()
            return max((one for one in told if one is not None), default=None)


def _buckets(facts: Facts, assessed: tuple[Assessed, ...]) -> Iterable[SweptBucket]:
    for coverage in facts.buckets:
        mine = [one for one in assessed if one.holding.bucket == coverage.bucket]
        yield SweptBucket(coverage, _members(mine), _members(_unresolved(mine)))


def _ground(facts: Facts, assessed: tuple[Assessed, ...]) -> owning.Ground:
    gone = partial(is_gone, policy=facts.policy, now=facts.now)
    cut = facts.said.otherwise_cut
    portions = {member: some for member, some in facts.holdings.portions().items() if member[0] not in cut}
    # What registries say cannot part from what they say; what an operator saw can.
    seen = tuple(one for one in assessed if not one.holding.is_claimed)
    return owning.Ground(seen, portions, facts.buckets, facts.keys, gone)


def _unresolved(group: Iterable[Assessed]) -> list[Assessed]:
    return [one for one in group if one.holding.encryption is Encryption.UNKNOWN]


def _members(group: Iterable[Assessed]) -> tuple[Member, ...]:
    return in_order(member_of(one.holding) for one in group)


def _concerned(subject: RuleSubject, outcome: Outcome) -> tuple[Member, ...]:
    return outcome.members if outcome.members is not None else subject.members


def _portions(subject: RuleSubject, outcome: Outcome) -> Portions:
    return outcome.portions or (subject.portions if isinstance(subject, Excepted) else ())


def _finding(rule: Rule, subject: RuleSubject, outcome: Outcome, extent: Extent, facts: Facts) -> Finding:
    cause = subject if isinstance(subject, Cause) else None
    told = _told_of(rule, subject, outcome, facts)
    # Severity follows what is lost: with no data under a key there is nothing to lose yet.
    idle = isinstance(subject, HeldKey) and not subject.members
    return Finding(
        id=rule.finding_id(subject.subject),
        rule=rule.id,
        severity=Severity.LOW if idle else outcome.severity or rule.severity,
        status=Status.OPEN,
        subject=subject.subject,
        readability=cause.readability if cause else None,
        cause=outcome.text,
        confidence=cause.confidence if cause else Confidence.INFERRED if told else outcome.confidence,
        extent=extent,
        members=_concerned(subject, outcome),
        final_at=cause.final_at if cause else outcome.final_at,
        since=cause.since if cause and cause.since else facts.now,
        since_source=_since_source(subject, facts),
        evidence=cause.evidence if cause else (*subject.evidence, *told) if isinstance(subject, HeldKey) else told,
        undo=cause.undo if cause and not outcome.meant else (),
        first_seen=facts.now,
        last_seen=facts.now,
        meant=outcome.meant,
        portions=_portions(subject, outcome),
    )


def _told_of(rule: Rule, subject: RuleSubject, outcome: Outcome, facts: Facts) -> tuple[Evidence, ...]:
    """Who told of the data by which a rule passes or fails, where that was somebody else."""
    holdings = subject.holdings if isinstance(subject, HeldKey) and rule.of_data else ()
    buckets = [one.bucket for one in holdings if one.is_told]
    if isinstance(subject, OwnedKey | OwnedBucket):
        buckets.extend(bucket for bucket, _, _, _ in _concerned(subject, outcome))
    said = (facts.handed.get(one, ()) for one in buckets)
    return tuple(dict.fromkeys(chain.from_iterable(said)))


def _since_source(subject: RuleSubject, facts: Facts) -> str:
    if isinstance(subject, Cause) and subject.since is not None:
        return "key_state"
    keys = subject.keys if isinstance(subject, Cause) else (subject.name,) if isinstance(subject, HeldKey) else ()
    seen_before = any((memory := facts.keys[name].memory) is not None and memory.last is not None for name in keys)
    return "between_polls" if seen_before else "first_read"
