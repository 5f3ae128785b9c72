"""What a judgement says of controls, by the rules that relate to them: docs/adr/0030-what-a-control-says.md."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from auditor.controls.answer import ControlStanding, Excused, FrameworkStanding, RuleStanding, State
from auditor.controls.framework import Control, Framework
from auditor.findings import Basis, Counted, Finding, Judgement, Readability, Status, Subject, SubjectKind, Verdict
from auditor.gaps import CLOCKS, OBJECTS, REGISTRIES, is_narrow, is_of_probe, view_of
from auditor.model import Cloud, Encryption, Gap, KeyName, Population, cloud_of
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
_BEHIND: Final = ("/ekmConnections/", "/singleTenantHsmInstances/")
"""What is in the name of what stands behind keys on Google Cloud, which their own state does not tell of."""
_BY_NO_POLICY: Final = frozenset({Basis.REGISTRY, Basis.BUNDLE, Basis.STATE})
_PROBED: Final = "probe-disagrees"
_REVOKED: Final = "data-revoked"
_WHYS: Final = 3
_GAPS: Final = 5
"""As many are told one by one."""


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
    alone = _Sight(judgement, cloud)
    bare = {one.id: _of_rule(one, alone) for one in every}
    blocked = tuple(
        f"{name} found an exception" for name in BLOCKING if name in bare and bare[name].state is State.EXCEPTION
    )
    return {one.id: _of_rule(one, alone, () if one.id in BLOCKING else blocked) for one in every}


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


@dataclass(frozen=True, slots=True)
class _Sight:
    """A judgement, as far as it is about one cloud; None: all of it."""

    judgement: Judgement
    cloud: Cloud | None

    def has(self, subject: Subject) -> bool:
        """Whether something is, or may be, of the cloud."""
        return self.cloud is None or subject.cloud in {None, self.cloud}

    def findings(self, rule: str) -> tuple[Finding, ...]:
        """What a rule finds that still stands."""
        return tuple(
            one
            for one in self.judgement.findings
            if one.rule == rule and one.status is not Status.RESOLVED and self.has(one.subject)
        )

    def counted(self, rule: str) -> tuple[Counted, ...] | None:
        """How often a rule gave each outcome; None where nobody told that of each cloud, or it was not put at all."""
        parts = next((one.parts for one in self.judgement.tallies if one.rule == rule), None)
        if parts is None:
            return None
        return tuple(one for one in parts if self.cloud is None or one.cloud in {None, self.cloud})

    @property
    def buckets(self) -> frozenset[str]:
        """The config's."""
        urls = (one.bucket for one in self.judgement.coverage.buckets)
        return frozenset(one for one in urls if self.has(Subject(SubjectKind.BUCKET, one)))

    def of_data(self) -> tuple[str, ...]:
        """What of the data nobody saw."""
        told = [*self._of_buckets(), *_listed(self._gaps(self.buckets)), *_listed(self._gaps({CLOCKS}))]
        if self.judgement.view is not None:
            told += _listed(self._gaps({view_of(self.judgement.view.tenant)}))
        if self.judgement.is_keys_only:
            told += [*_listed(self._gaps({OBJECTS})), *self.of_registries()]
        return tuple(dict.fromkeys(told))

    def of_keys(self) -> tuple[str, ...]:
        """What may name more keys, and was not seen: without buckets those are all that config and registries name."""
        if not self.judgement.is_keys_only:
            return self.of_data()
        return tuple(dict.fromkeys((*_listed(self._gaps({CLOCKS})), *self.of_registries())))

    def of_registries(self) -> tuple[str, ...]:
        """What registries did not say, or cannot be believed in."""
        names = {one.name for one in self.judgement.registered.registries}
        return _listed(self._gaps({*names, REGISTRIES}))

    def behind_keys(self) -> tuple[str, ...]:
        """What stands behind keys and was not looked at."""
        if self.cloud is Cloud.AWS:
            return ()
        return _listed(one for one in self.judgement.gaps if any(name in one.what for name in _BEHIND))

    def of_probes(self) -> tuple[str, ...]:
        """Probes that told nothing, or may not be as it is now."""
        return _listed(
            one for one in self.judgement.gaps if is_of_probe(one) and self.has(Subject(SubjectKind.KEY, one.what))
        )

    def by_no_policy(self) -> int:
        """How many keys their data counts as readable under, although nobody asked a policy who may decrypt."""
        return len(
            {
                one.holding.key
                for one in self.judgement.assessed
                if one.holding.key is not None
                and self.cloud in {None, _cloud_of(one.holding.bucket, one.holding.key)}
                and one.encryption is Encryption.CMEK
                and one.assessment.readability in {Readability.READABLE, Readability.EXPIRING}
                and one.assessment.basis in _BY_NO_POLICY
            }
        )

    def unknown_causes(self) -> tuple[str, ...]:
        """Why it is unknown whether data can be read, the most frequent first."""
        return _most(
            one.assessment.cause
            for one in self.judgement.assessed
            if one.assessment.readability is Readability.UNKNOWN
            and one.holding.key is not None
            and self.has(one.assessment.subject)
        )

    def _gaps(self, names: Iterable[str]) -> Iterator[Gap]:
        about = set(names)
        return (one for one in self.judgement.gaps if one.what in about and not is_narrow(one))

    def _of_buckets(self) -> Iterator[str]:
        told = {one.what for one in self._gaps(self.buckets)}
        for one in self.judgement.coverage.buckets:
            if one.bucket not in self.buckets:
                continue
            if not one.complete and one.bucket not in told:
                yield f"{one.bucket}: no whole sweep is in force"
            if one.unresolved and one.bucket not in told:
                yield f"{one.bucket}: the encryption of {one.unresolved} objects is not known"
            if one.left_out:
                which = " and ".join(each.replace("_", "-") for each in Population if each in one.left_out)
                yield f"{one.bucket}: the config leaves out its {which} objects"


def _cloud_of(bucket: str, key: str) -> Cloud:
    """Whose the data is: by its bucket, and where nobody saw that, by the key that is named for it."""
    return cloud_of(bucket) if "://" in bucket else KeyName(key).cloud


def _listed(gaps: Iterable[Gap]) -> tuple[str, ...]:
    """Gaps as reasons: a few one by one."""
    told = list(dict.fromkeys(f"{one.what}: {one.effect}" for one in gaps))
    more = len(told) - _GAPS
    return (*told[:_GAPS], *([f"{more} more gaps of this kind"] if more > 0 else []))


def _most(texts: Iterable[str]) -> tuple[str, ...]:
    counts = Counter(texts)
    return tuple(text for text, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:_WHYS])


def _of_rule(rule: Rule, sight: _Sight, blocked: tuple[str, ...] = ()) -> RuleStanding:
    counted = sight.counted(rule.id)
    counts = Counter[Verdict]()
    for one in counted or ():
        counts.update(one.counts)
    passed, failed = counts[Verdict.PASSED], counts[Verdict.FAILED]
    reasons = tuple(_reasons(rule, sight, counted, counts))
    unseen = () if rule.subject in _BY_CONFIG else (*_unseen(rule, sight), *blocked)
    findings = sight.findings(rule.id)
    is_whole, is_counted = not (reasons or unseen), sight.judgement.view is None
    state = State.EXCEPTION if findings or failed else State.NONE if passed and is_whole else State.OPEN
    return RuleStanding(
        rule=rule.id,
        state=state,
        passed=passed if is_counted else None,
        failed=failed,
        unknown=counts[Verdict.UNKNOWN] if is_counted else None,
        apart=counts[Verdict.NOT_APPLICABLE] if is_counted else None,
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


def _unseen(rule: Rule, sight: _Sight) -> tuple[str, ...]:
    return sight.of_keys() if rule.subject is HeldKey and not rule.of_data else sight.of_data()


def _reasons(
    rule: Rule, sight: _Sight, counted: tuple[Counted, ...] | None, counts: Mapping[Verdict, int]
) -> Iterator[str]:
    """What a rule could not judge of what there is."""
    if counted is None and sight.judgement.view is not None:
        yield "what it is about is the operator's, and in no tenant's view"
        return
    if counted is None:
        yield "what it found was not told cloud by cloud, or it was not put at all: poll again"
        return
    yield from _not_judged(rule, sight, counted, counts)
    if rule.subject is HeardRegistry and not sight.judgement.registered.registries:
        yield "no registry is configured"
    if rule.subject is AskedLog:
        yield "an audit log is asked only for who did what was found: of any other nobody knows whether it tells"
    if rule.subject in _OWNED and not sight.judgement.is_keys_only:
        yield from sight.of_registries()
    if rule.subject is Cause:
        yield from sight.behind_keys()
    if rule.id == _PROBED:
        yield from sight.of_probes()
    if rule.id == _REVOKED and (keys := sight.by_no_policy()):
        yield f"under {keys} keys data counts as readable by their state: no policy was evaluated for it"


def _not_judged(
    rule: Rule, sight: _Sight, counted: tuple[Counted, ...], counts: Mapping[Verdict, int]
) -> Iterator[str]:
    total, noun = sum(counts.values()), _NOUNS[rule.subject]
    unknown, untold = counts[Verdict.UNKNOWN], sum(one.untold for one in counted)
    if not unknown and not untold:
        return
    if rule.subject is Cause and unknown:
        whys = sight.unknown_causes()
    elif rule.subject is Caused:
        whys = _most(one.unattributed for one in sight.judgement.findings if one.unattributed is not None)
    else:
        whys = tuple(dict.fromkeys(why for one in counted for why in one.whys))[:_WHYS]
    if sight.judgement.view is not None:
        yield f"not known for all {noun}: how many of those are this tenant's is not counted"
        yield from whys
        return
    parts = [f"not known for {unknown} of {total} {noun}"] if unknown else []
    if untold:
        parts.append(f"nobody says, or looked, what to judge {untold} of {total} {noun} by")
    yield " and ".join(parts)
    yield from whys
