"""One run told on one page: sweep the buckets, poll the keys, judge, keep."""

from collections import defaultdict
from collections.abc import Collection, Container, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import islice

from auditor import gaps, lifecycle, probing
from auditor.attribution import silent_logs, who
from auditor.attribution.tracing import traced
from auditor.engine import ABOUT_LOGS, Facts, Judged, judge, judge_logs, judge_waivers, last_read
from auditor.errors import LedgerError
from auditor.feeds.silence import Ear
from auditor.findings import (
    Assessed,
    Basis,
    BucketCoverage,
    Coverage,
    Finding,
    Judgement,
    Member,
    Readability,
    Run,
    Status,
    SubjectKind,
    Tally,
    member_of,
    spaces_of,
    worst_first,
)
from auditor.handover import lacking
from auditor.model import (
    AwsKey,
    BucketFacts,
    Cloud,
    Encryption,
    Evidence,
    Gap,
    GcpKey,
    Holding,
    KeyGone,
    KeyManager,
    KeyMemory,
    KeyName,
    KeyReading,
    KeyUnread,
    Population,
    Probe,
    ProbeKind,
    ProbeOutcome,
    Sample,
    Sweep,
    is_being_made,
    told_use,
)
from auditor.overruling import CLOCKS_APART
from auditor.overtaking import Lane
from auditor.ownership import twofold
from auditor.ownership.answering import answered_by_any_name, needed_by_any_name, remembered_by_any_name
from auditor.ownership.calling import as_called, spoken_of_besides
from auditor.ownership.owning import Sayings
from auditor.ownership.registered import Registered
from auditor.ownership.registering import (
    Heard,
    declared_by,
    hear,
    keys_of,
    parted_over,
    ready,
    spelt_anew,
    tenants_of,
)
from auditor.ownership.said import parted, revoked
from auditor.ownership.spelling import NamesOfKeys, Spelling, spelling_by, spelling_of
from auditor.policy import Policy
from auditor.ports import (
    KeyNeed,
    ObjectSource,
    OpenInventory,
    PollRecord,
)
from auditor.questions.retire.retiring import not_among, retiring
from auditor.readability import KeyView, continued, is_early, is_over_for_good, next_to
from auditor.rule import Excepted
from auditor.run import Parts, Progress, new_id
from auditor.skew import plausible
from auditor.sweeping import sweep_all
from auditor.waiving import Sight, waive

_HOUR = timedelta(hours=1)
_MAY_READ = frozenset({Readability.READABLE, Readability.EXPIRING, Readability.UNKNOWN})


def scan(parts: Parts, progress: Progress, only: frozenset[str] = frozenset()) -> Judgement:
    """Sweep every bucket (or those named), then poll every needed key and judge.

    Raises:
        LedgerError: the ledger can be neither read nor written.
        UsageError: a registry cannot be asked by this config.
    """
    ready(parts)
    unconfigured = sweep_all(parts, progress, only)
    probe(parts, progress)
    return poll(parts, progress, unconfigured=unconfigured)


def wanting(parts: Parts) -> frozenset[str]:
    """Buckets that were never swept to their end, or not as the config asks now; without any, registries never asked.

    Raises:
        LedgerError: the ledger cannot be read.
    """
    if parts.is_keys_only:
        return frozenset(one.name for one in parts.services if one.recalled() is None)
    sweeps, _ = usable(parts)
    never = {source.url for source in parts.sources}.difference(one.bucket for one in sweeps)
    return frozenset(never.union(gap.what for gap in _swept_otherwise(parts, sweeps)))


def _swept_otherwise(parts: Parts, sweeps: Iterable[Sweep]) -> Iterator[Gap]:
    """What sweeps in force lack because the config was another one when they began."""
    asked = {source.url: source.left_out for source in parts.sources}
    endpoints = {source.url: source.endpoint for source in parts.sources}
    for one in sweeps:
        lacking = set(one.left_out or ()).difference(asked[one.bucket])
        yield from gaps.of_populations(one.bucket, [each for each in Population if each in lacking])
        yield from gaps.of_layout_then(one.bucket, one.layout, parts.inventory.layout(one.bucket))
        yield from gaps.of_endpoint_then(one.bucket, one.made_by, endpoints[one.bucket])


def probe(parts: Parts, progress: Progress, at_once: frozenset[KeyName] = frozenset()) -> None:
    """Make one round of probes, where the config asks for them: the next poll judges with them.

    `at_once` are keys that are tried now, and no other, whether that is due or not.

    Raises:
        LedgerError: the ledger can be neither read nor written.
    """
    if not (parts.probing.reads or parts.probing.dry_runs):
        return
    sweeps, _ = usable(parts)
    agents = {one.bucket: agents_of(parts, one.facts) for one in sweeps}
    samples: dict[probing.Place, list[Sample]] = defaultdict(list)
    for one in parts.inventory.samples(sweeps):
        samples[one.bucket, one.key, one.key_version].append(one)
    holdings = parts.inventory.open(sweeps).holdings()
    now = parts.clock() + plausible(parts.skew())
    at = probing.Situation(
        holdings=holdings,
        readable=frozenset(samples),
        made=parts.ledger.probes(),
        dead=_dead(parts.ledger.judgement()),
        spent=parts.ledger.probes_between(now - _HOUR, now),
        memory=parts.ledger.memory(),
        now=now,
        at_once=at_once,
    )
    due = probing.due(at, parts.probing, parts.policy)
    left = parts.probing.per_hour - at.spent
    for number, target in enumerate(due):
        progress.probed(number, len(due))
        for found in islice(_probed(parts, target, samples[target.place], agents.get(target.bucket, ())), max(0, left)):
            parts.ledger.keep_probe(_with_told(found, at.memory.get(target.key), parts.policy))
            left -= 1
    progress.probed(len(due), len(due))


def _dead(judgement: Judgement | None) -> frozenset[probing.Place]:
    """Places whose key says of itself that nothing can be read, so that a refused probe only agrees."""
    return frozenset(
        (one.holding.bucket, one.holding.key or "", one.holding.key_version)
        for one in (judgement.assessed if judgement is not None else ())
        if one.assessment.basis is not Basis.PROBE and one.assessment.readability not in _MAY_READ
    )


def _probed(
    parts: Parts, target: probing.Target, samples: Iterable[Sample], agents: tuple[str, ...]
) -> Iterator[Probe]:
    """Try one key, through another object where one tells nothing; each try is a probe of its own."""
    prober = parts.probers[target.key.cloud]
    if target.kind is ProbeKind.DRY_RUN:
        one = prober.dry_run(target.bucket, target.key, agents)
        if one is not None:
            yield one
        return
    for sample in samples:
        found = prober.read(sample, agents)
        yield found
        if found.outcome is not ProbeOutcome.INCONCLUSIVE:
            return


def poll(
    parts: Parts,
    progress: Progress,
    only: frozenset[KeyName] = frozenset(),
    unconfigured: int | Gap | None = None,
    interval: timedelta | None = None,
    *,
    ears: tuple[Ear, ...] | None = None,
    strict: bool = True,
    lane: Lane | None = None,
    overtakes: bool = False,
) -> Judgement:
    """Read the state of every needed key (or of those named, by all their names), judge, and keep both; one at a time.

    `unconfigured` is what a sweep of the bucket lists just found (None: as before), `interval` the effective time
    between two polls (None: no daemon), `ears` how feeds are listened to (None: as `parts` say). Where it is not
    `strict`, keys that nothing needs are left out of `only`. While a poll of all keys reads, those that are given the
    same `lane` may overtake it; one that `overtakes` is made while this process holds the ledger for such a poll.

    Raises:
        LedgerError: the ledger can be neither read nor written, or another poll does not end.
        UsageError: `only` names a key that neither data nor the config names.
    """
    listened = parts.ears if ears is None else ears
    mine = Lane() if lane is None or only else lane
    with nullcontext(lane.still) if overtakes and lane is not None else parts.ledger.judging() as still:
        mine.still = still
        record, judgement, before = _poll(
            parts, progress, only, unconfigured, interval, ears=listened, strict=strict, lane=mine
        )
        if not still():
            # Somebody else may have asked the keys later, and kept that.
            raise LedgerError(
                "the ledger's lock was lost while keys were asked, so that this poll is not kept",
                "look why the ledger's server was out of reach, or who takes files out of the state folder; poll again",
            )
        parts.ledger.keep(record, judgement)
        if overtakes and lane is not None:
            lane.has_read(one.name for one in record.readings)
        needed = [one for one in (before, judgement) if one is not None]
        if not overtakes:  # the poll that it overtakes may stand on more
            parts.registry.prune(
                [one.registered.digest for one in needed], [each for one in needed for each in one.sweeps]
            )
        return parts.ledger.judgement() or judgement


def _poll(
    parts: Parts,
    progress: Progress,
    only: frozenset[KeyName],
    unconfigured: int | Gap | None,
    interval: timedelta | None,
    *,
    ears: tuple[Ear, ...],
    strict: bool,
    lane: Lane,
) -> tuple[PollRecord, Judgement, Judgement | None]:
    """A poll, the judgement made from it, and the one before; nothing is kept yet."""
    started = parts.clock()
    configured = frozenset(source.url for source in parts.sources)
    sweeps, unusable = usable(parts)
    failed = tuple(one for one in parts.ledger.failed_attempts() if one.bucket in configured)
    before = parts.ledger.judgement()
    memory = parts.ledger.memory()
    known_names = as_called(spelling_by(memory), _findings_of(before))
    heard, holdings = _beside(parts, sweeps, hear(parts, _for_registries(parts, known_names)))
    agents = {one.bucket: agents_of(parts, one.facts) for one in sweeps}
    needed = frozenset((*parts.watched, *keys_of(parts, heard), *_spoken_of(heard, before), *_held(holdings)))
    watched = needed | spoken_of_besides(needed, _findings_of(before), known_names)
    needs = needed_by_any_name(_needs(parts, watched, holdings.holdings(), agents, unusable), known_names)
    only = NamesOfKeys((need.name for need in needs), known_names).every(only)
    _see_that_they_are_needed(only if strict else frozenset(), needs, NamesOfKeys(_held(holdings), known_names))
    progress.polling(len(needs))
    asked, before, memory = _read_beside_others(parts, lane, needs, only, (before, memory))
    progress.polled(*_counted(needs, memory, asked), [need.name for need in needs])

    # Asked once: what comes after it may find another difference, and what is told with this moment is read by it.
    skew = parts.skew()
    now = parts.clock() + plausible(skew)
    spelling = as_called(_spelt(memory, asked), _findings_of(before), {need.name for need in needs})
    needs = _of_one_key_with(needed, needs, spelling)
    asked, memory = answered_by_any_name(asked, spelling), remembered_by_any_name(memory, spelling)
    readings = {name: continued(one, memory.get(name), now) for name, one in asked.items()}
    keys = {need.name: KeyView(need.name, readings.get(need.name), memory.get(need.name)) for need in needs}
    if spelling != known_names:
        # Keys tell more of their names than they did before: what is said beside the data is put there anew.
        heard, holdings = _beside(parts, sweeps, spelt_anew(parts, heard, _for_registries(parts, spelling)))
    buckets = _coverage(parts, sweeps, failed, unusable)
    probes = _probes_that_count(parts, readings, before.now if before is not None else None, now)
    beforehand = _findings_of(before)
    claimed = _claimed(before)
    unheard = frozenset(unusable) | _unheard(parts, heard, before, {one.bucket for one in sweeps})
    hidden = lifecycle.hidden_keys(beforehand, holdings.holdings(), unheard)
    # By another config other buckets were elsewhere, and perhaps other accounts were asked.
    if unconfigured is None and before is not None and before.run.config_digest == parts.config_digest:
        unconfigured = before.coverage.buckets_not_configured
    said = _sayings(parts, heard, spelling, sweeps, beforehand)
    # What stands in the way of a proof is known once all is judged: it comes from the judgement before.
    candidates = retiring(parts, before, None).candidates if before is not None else ()
    facts = Facts(
        holdings,
        keys,
        agents,
        buckets,
        replace(parts.policy, revoked=revoked(parts.said, spelling)),
        now,
        probes,
        unseen={name: KeyView(name, None, memory.get(name)) for name in hidden},
        others={name: KeyView(name, None, one) for name, one in memory.items() if name not in keys},
        said=said,
        platform={cloud: some for cloud, some in parts.agents.items() if some},
        spoken=_spoken(heard.registered, bundles=False),
        handed=_spoken(heard.registered, bundles=True),
        candidates=candidates,
        ears=ears,
    )
    judged = judge(facts, parts.rules)
    about_waivers = {one.id for one in parts.rules if one.subject is Excepted}
    of_others = tuple(one for one in beforehand if one.rule not in about_waivers)
    attributed, of_logs = _attributed(parts, facts, judged, of_others, unheard)
    of_data = {one.id for one in parts.rules if one.is_about_data}
    waived, given = waive(
        attributed,
        parts.waivers,
        now,
        Sight(
            of_data,
            _not_all_seen(holdings, heard, unheard),
            holdings.beyond,
            frozenset(_of_unknown_tenants(said, buckets, holdings)),
            NamesOfKeys(spelling.ones, spelling),
        ),
    )
    excepted = judge_waivers(facts, parts.rules, given, waived)
    ending = lifecycle.carry_on(excepted.findings, (one for one in beforehand if one.rule in about_waivers), now)
    findings = tuple(sorted((*waived, *ending), key=worst_first))
    last_reads = {name: last_read(view, now) for name, view in keys.items()}
    poll_id, ended = new_id(started), parts.clock()
    judgement = Judgement(
        run=Run(
            id=poll_id,
            started=started,
            ended=ended,
            version=parts.version,
            identity=parts.identity(),
            config_digest=parts.config_digest,
            rules_version=parts.rules_version,
            skew=skew,
            config_file_digest=parts.config_file_digest,
        ),
        now=now,
        coverage=Coverage(
            buckets=buckets,
            buckets_not_configured=unconfigured if isinstance(unconfigured, int) else None,
            **_keys_covered(keys, last_reads, spelling),
        ),
        assessed=judged.assessed,
        findings=findings,
        gaps=_all_gaps(
            (*sweeps, *failed),
            configured.difference(unusable),
            unconfigured,
            before,
            keys_only=parts.is_keys_only,
            more=(
                *(gaps.not_usable(bucket, error) for bucket, error in unusable.items()),
                *heard.gaps,
                *([gaps.nobody_looked()] if parts.is_keys_only and not _is_all_by_bundles(heard) else ()),
                *lacking.written_since(
                    (one.bundle for one in heard.registered.bundles if one.bundle is not None),
                    keys,
                    ((one.key, one.key_version) for one in holdings.holdings() if one.is_told and one.key is not None),
                ),
                *gaps.of_new_objects(
                    one.facts for one in sweeps if one.bucket in said.declared.of_buckets or said.tenants
                ),
                *lacking.not_compared(heard.registered, said.declared),
                *_key_gaps(needs, keys, judged.assessed, before),
                *gaps.of_probes(_latest(probes, judged.assessed, now), agents),
                *gaps.of_refusals(
                    _by_refusal(probes, judged.assessed), parts.probing.wants, now - parts.policy.probe_max_age, now
                ),
                *_not_sampled(parts, sweeps),
                *gaps.of_layouts(buckets),
                *gaps.of_namesakes(holdings.portions()),
                *twofold.of_parted(parted(parts.said, said.spelling)),
                *twofold.of_doubtful(_held(holdings), said, parts.said),
                *gaps.of_registries_that_left(
                    findings,
                    _named(before.registered) if before is not None else (),
                    _named(heard.registered),
                    claimed if parts.is_keys_only else (),
                ),
                *gaps.of_what_left_the_config(
                    findings,
                    configured | _spoken_for(heard, holdings, claimed).difference(_looked_at(before)),
                    _narrowed(before, buckets),
                ),
                *([] if parts.is_keys_only else gaps.of_claims_that_ended(findings, claimed.difference(configured))),
                *_swept_otherwise(parts, sweeps),
                *gaps.of_clock(skew - plausible(skew)),
                *_of_principals(parts, needs, keys, spelling),
                *silent_logs.of_logs(who.unreadable(attributed)),
            ),
        ),
        tallies=tuple(sorted((*judged.tallies, *of_logs, *excepted.tallies), key=lambda one: one.rule)),
        waivers=given,
        registered=heard.registered,
        sweeps=tuple(one.id for one in sweeps),
        poll_interval=interval,
        whole_poll=ended if not only else before.whole_poll if before is not None else None,
        oldest_key_read=min((date for date in last_reads.values() if date is not None), default=None),
        spaces=spaces_of(judged.assessed, holdings.count_namespaces) if parts.is_keys_only else None,
    )
    return (
        PollRecord(
            id=poll_id,
            started=started,
            ended=judgement.run.ended,
            readings=tuple(readings[name] for name in sorted(readings)),
            skew=judgement.run.skew,
            config_digest=parts.config_digest,
            whole=not only,
            needed=frozenset(keys),
        ),
        judgement,
        before,
    )


def _attributed(
    parts: Parts, facts: Facts, judged: Judged, before: Iterable[Finding], unheard: Collection[str]
) -> tuple[tuple[Finding, ...], tuple[Tally, ...]]:
    """What findings of `before` and now come to, with who did it as far as logs tell, and those on the logs."""
    beforehand = tuple(before)
    undecided = judged.undecided | lifecycle.undecided(
        beforehand,
        judged.assessed,
        unheard,
        facts.keys,
        judged.failing,
        of_data={one.id for one in parts.rules if one.of_data},
    )
    fresh = lifecycle.with_what_is_hidden(judged.findings, beforehand, judged.assessed, unheard)
    about_logs = {one.id for one in parts.rules if one.subject in ABOUT_LOGS}
    of_others = (one for one in beforehand if one.rule not in about_logs)
    carried = lifecycle.carry_on(fresh, of_others, facts.now, undecided)
    found = traced(carried, facts.keys, parts.inquirer, facts.now, parts.policy.propagation)
    on_logs = judge_logs(facts, parts.rules, found)
    of_logs = (one for one in beforehand if one.rule in about_logs)
    return (*found, *lifecycle.carry_on(on_logs.findings, of_logs, facts.now, on_logs.undecided)), on_logs.tallies


def _sayings(
    parts: Parts, heard: Heard, spelling: Spelling, sweeps: Iterable[Sweep], before: Iterable[Finding]
) -> Sayings:
    """What others than data and KMS say, for the judge."""
    return Sayings(
        registered=heard.registered,
        declared=declared_by(parts, heard),
        tenants=tenants_of(parts, heard),
        buckets={one.bucket: one.facts for one in parts.ledger.sweeps()},
        spoken_of=frozenset(KeyName(one.subject.id) for one in before if one.subject.kind is SubjectKind.KEY),
        otherwise_cut=frozenset(
            one.bucket for one in sweeps if one.layout not in {None, parts.inventory.layout(one.bucket)}
        ),
        spelling=spelling,
        parted=parted_over(parts, heard),
    )


def _keys_covered(
    keys: Mapping[KeyName, KeyView], last_reads: Mapping[KeyName, datetime | None], spelling: Spelling
) -> Mapping[str, int]:
    """Count keys, whatever they are called: one that was read by any of its names is read."""
    ever = _ones((name for name, at in last_reads.items() if at is not None), spelling)
    now = _ones((name for name, view in keys.items() if _told_now(view)), spelling)
    return {"keys_needed": len(_ones(keys, spelling)), "keys_read": len(ever), "keys_from_before": len(ever - now)}


def _held(holdings: OpenInventory) -> frozenset[KeyName]:
    """The keys of all data."""
    return frozenset(KeyName(one.key) for one in holdings.holdings() if one.key is not None)


def _for_registries(parts: Parts, spelling: Spelling) -> Spelling:
    """The same as registries are put beside data: what is there keeps its names, by whatever findings speak of it."""
    return spelling if parts.is_keys_only else replace(spelling, called={})


def _findings_of(before: Judgement | None) -> tuple[Finding, ...]:
    return before.findings if before is not None else ()


def _spelt(memory: Mapping[KeyName, KeyMemory], asked: Mapping[KeyName, KeyReading]) -> Spelling:
    """Which names are of one key by what keys have just said, or else said last."""
    known = {name: one.last for name, one in memory.items()}
    told = {name: one for name, one in asked.items() if isinstance(one, GcpKey)}
    return spelling_of((known | told).values())


def _beside(parts: Parts, sweeps: Iterable[Sweep], heard: Heard) -> tuple[Heard, OpenInventory]:
    """The dependencies of some sweeps beside what registries say; alone where that cannot be.

    Raises:
        LedgerError: they are not there any more, or are not what the sweeps wrote.
    """
    if parts.is_keys_only:
        return heard, parts.inventory.claimed(heard.registered.digest)
    try:
        holdings = parts.inventory.open(sweeps, heard.registered.digest)
        holdings.portions()
    except LedgerError as error:
        if not heard.registered.digest:
            raise
        # Whether data can be read is judged all the same.
        return heard.not_beside(error), parts.inventory.open(sweeps)
    return heard, holdings


def _of_unknown_tenants(said: Sayings, buckets: Iterable[BucketCoverage], holdings: OpenInventory) -> Iterator[str]:
    """Buckets of some of whose data registries may say another tenant than is known now."""
    if said.registered.conflicts:
        yield from _claims(holdings)
    for one in buckets:
        parted = said.registered.conflicts and said.registered.knows(one.bucket)
        if said.knows(one.bucket) is None or not said.registered.is_sound(one.bucket) or parted:
            yield one.bucket


def _claimed(before: Judgement | None) -> frozenset[str]:
    """Where the data is of which registries alone told, as findings of before speak of it: no config named it."""
    named = {one.bucket for one in before.coverage.buckets} if before is not None else set()
    return _places(before).difference(named)


def _looked_at(before: Judgement | None) -> frozenset[str]:
    return frozenset(one.bucket for one in (before.coverage.buckets if before is not None else ()))


def _places(before: Judgement | None) -> frozenset[str]:
    """Where the data is that findings of before speak of."""
    return frozenset(bucket for one in (before.findings if before is not None else ()) for bucket, *_ in one.members)


def _unheard(parts: Parts, heard: Heard, before: Judgement | None, swept: Collection[str]) -> frozenset[str]:
    """Where data may be that findings speak of and nobody tells of now, though some may know it.

    Beside buckets, what registries alone told counts no more once all of them were looked at.
    """
    if parts.is_keys_only:
        return frozenset() if _is_all_told(heard) else _places(before)
    configured = {one.url for one in parts.sources}
    if before is None or configured.issubset(swept):
        return frozenset()
    known = {one.bucket for one in before.coverage.buckets if one.complete or one.bucket not in configured}
    return _places(before).difference(known)


def _is_all_told(heard: Heard) -> bool:
    """Whether registries tell all that there is, and which key each of it is under."""
    told = heard.registered
    return told.is_whole and heard.is_told and not any(one.unusable for one in told.registries)


def _is_all_by_bundles(heard: Heard) -> bool:
    """Whether all that is told of data operators' bundles tell, who looked; each says so in a gap of its own."""
    every = heard.registered.registries
    return bool(every) and all(one.bundle is not None for one in every)


def _claims(holdings: OpenInventory) -> frozenset[str]:
    """Where registries or bundles tell of data that nobody looks for."""
    return frozenset(one.bucket for one in holdings.holdings() if not one.is_seen)


def _spoken_for(heard: Heard, holdings: OpenInventory, claimed: frozenset[str]) -> frozenset[str]:
    """Where registries tell of data that nobody looks for, or did before: no config ever named it."""
    told = claimed | _claims(holdings)
    return told.union(*(one.buckets for one in heard.registered.registries)) if told else told


def _spoken(registered: Registered, *, bundles: bool) -> Mapping[str, tuple[Evidence, ...]]:
    """Which registries, or which `bundles`, say what is in each bucket, or in what stands for it; and when they did."""
    spoken: dict[str, tuple[Evidence, ...]] = defaultdict(tuple)
    for one in registered.registries:
        if one.bundle is not None:
            word = Evidence(
                "bundle", f"{one.name} signed by sha256:{one.bundle.signer}", one.bundle.made, None, one.bundle.digest
            )
        elif one.read_at is not None:
            word = Evidence("registry", one.name, one.read_at, None, registered.digest)
        else:
            continue
        for bucket in one.buckets if (one.bundle is not None) is bundles else ():
            spoken[bucket] += (word,)
    return spoken


def _named(registered: Registered) -> frozenset[str]:
    return frozenset(one.name for one in registered.registries)


def _spoken_of(heard: Heard, before: Judgement | None) -> Iterator[KeyName]:
    """Keys that findings speak of, while registries that may name them cannot be heard: they are needed still."""
    if before is not None and not heard.registered.is_whole:
        for one in before.findings:
            if one.subject.kind is SubjectKind.KEY and one.status is not Status.RESOLVED:
                yield KeyName(one.subject.id)


def _not_all_seen(holdings: OpenInventory, heard: Heard, unusable: Iterable[str]) -> frozenset[str]:
    """Buckets whose inventory cannot be used, or of some of whose data nobody knows the encryption.

    Where registries alone tell of data, what they do not tell may be anywhere.
    """
    found = {one.bucket for one in holdings.holdings() if one.encryption is Encryption.UNKNOWN}
    return frozenset(found).union(unusable, () if _is_all_told(heard) else _claims(holdings))


def _probes_that_count(
    parts: Parts, readings: Mapping[KeyName, KeyReading], since: datetime | None, now: datetime
) -> tuple[Probe, ...]:
    """What probes have told and stands still; what is over by these readings is forgotten for good."""
    kept = parts.ledger.probes()
    if ahead := {one for one in kept if one.outcome is ProbeOutcome.PASSED and one.at > now + CLOCKS_APART}:
        parts.ledger.forget_probes(ahead)
        kept = tuple(one for one in kept if one not in ahead)
    told = tuple(_told_since(one, readings, since, now) for one in kept)
    parts.ledger.keep_told((old, new) for old, new in zip(kept, told, strict=True) if new != old)
    # What is over stays over, also when the key says one day again what it said then.
    if over := {one for one in told if _is_over(one, readings.get(KeyName(one.key)))}:
        parts.ledger.forget_probes(over)
        told = tuple(one for one in told if one not in over)
    # That nobody tries any more makes no refusal a success, and gives nobody a bar back that a read has lifted.
    return tuple(one for one in told if parts.probing.wants(one.kind) or one.outcome is not ProbeOutcome.INCONCLUSIVE)


def _is_over(probe: Probe, reading: KeyReading | None) -> bool:
    """Whether the key tells now that what it was refused for is well."""
    if probe.outcome is not ProbeOutcome.REFUSED or not isinstance(reading, AwsKey | GcpKey) or is_being_made(reading):
        return False
    return is_over_for_good(probe, told_use(reading))


def usable(parts: Parts) -> tuple[tuple[Sweep, ...], Mapping[str, LedgerError]]:
    """The newest complete sweep of each configured bucket; and why one cannot be judged by, so that it counts as none.

    What somebody changed is not judged by, and the others are judged all the same.

    Raises:
        LedgerError: the ledger cannot be read.
    """
    configured = frozenset(parts.buckets)
    in_force = tuple(one for one in parts.ledger.sweeps() if one.bucket in configured)
    unusable = parts.inventory.unusable(in_force)
    return tuple(one for one in in_force if one.bucket not in unusable), unusable


def _needs(
    parts: Parts,
    watched: Iterable[KeyName],
    holdings: Iterable[Holding],
    agents: Mapping[str, tuple[str, ...]],
    unusable: Container[str],
) -> Iterator[KeyNeed]:
    """Every key that data names or that is watched, with everybody who must decrypt with it.

    Those of a bucket whose inventory is damaged are no strangers, though nobody sees what it has under which key.
    """
    hidden = [one.facts for one in parts.ledger.sweeps() if one.bucket in unusable]
    principals: dict[KeyName, set[str]] = defaultdict(set)
    for name in watched:
        principals[name].update(())
    for holding in holdings:
        if holding.key is not None:
            name = KeyName(holding.key)
            if not holding.is_seen:
                principals[name].update(parts.agents[name.cloud] or ())
            principals[name].update(agents.get(holding.bucket, ()))
            principals[name].update(*(agents_of(parts, one) for one in hidden if one.cloud is name.cloud))
    for name in sorted(principals):
        yield KeyNeed(name, tuple(sorted(principals[name])))


def _see_that_they_are_needed(only: frozenset[KeyName], needs: Iterable[KeyNeed], of_data: NamesOfKeys) -> None:
    """See that a poll of some keys is one of keys that are needed; `of_data`: what the keys of data are called.

    Raises:
        UsageError: one of them is not.
    """
    if strangers := only.difference(need.name for need in needs):
        raise not_among(min(strangers), of_data)


def _of_one_key_with(needed: Collection[KeyName], needs: Iterable[KeyNeed], spelling: Spelling) -> tuple[KeyNeed, ...]:
    """Those of `needs` that are proven to be names of keys that are needed: others were asked only to learn that."""
    names = NamesOfKeys(needed, spelling)
    return tuple(one for one in needs if one.name in needed or names.same(one.name))


def agents_of(parts: Parts, facts: BucketFacts) -> tuple[str, ...]:
    """Who must be able to decrypt for a bucket, as far as config and bucket tell."""
    if (named := parts.agents[facts.cloud]) is not None:
        return named
    return (facts.service_agent,) if facts.service_agent else ()


def _by_hope(needs: Iterable[KeyNeed], memory: Mapping[KeyName, KeyMemory]) -> list[KeyNeed]:
    """Those that answered lately first: keys behind an endpoint that hangs must not keep the others waiting."""

    def last(need: KeyNeed) -> float:
        known = memory.get(need.name)
        return -known.last_at.timestamp() if known is not None and known.last_at is not None else 0.0

    return sorted(needs, key=last)


def _with_who_is_barred(need: KeyNeed, memory: Mapping[KeyName, KeyMemory]) -> KeyNeed:
    """Ask for those as well who are barred as far as anybody knows: while their data is hidden nobody needs them.

    Else what is read meanwhile tells nothing of them, and they would not be barred any more when it is seen again.
    """
    kept = memory.get(need.name)
    return replace(need, principals=tuple(sorted({*need.principals, *(kept.barred if kept is not None else ())})))


def _read_beside_others(
    parts: Parts,
    lane: Lane,
    needs: Collection[KeyNeed],
    only: frozenset[KeyName],
    known: tuple[Judgement | None, Mapping[KeyName, KeyMemory]],
) -> tuple[Mapping[KeyName, KeyReading], Judgement | None, Mapping[KeyName, KeyMemory]]:
    """The readings, the judgement before and what is remembered, as both are once all is read; `known`: as they were.

    What others have read and kept meanwhile is newer than what was read here before.
    """
    _, memory = known
    needs = _by_hope((_with_who_is_barred(need, memory) for need in needs), memory)
    with lane.reading() as overtaken:
        asked = _read(parts, [need for need in needs if not only or need.name in only])
        if only and (others := _called_otherwise(needs, only, memory, asked)):
            asked = {**asked, **_read(parts, others)}
        asked = {**asked, **_read(parts, _to_answer_for_more(needs, memory, asked))}
    if not overtaken:
        return asked, *known
    newest = {name: one for name, one in asked.items() if name not in overtaken}
    return newest, parts.ledger.judgement(), parts.ledger.memory()


def _ones(names: Iterable[KeyName], spelling: Spelling) -> frozenset[str]:
    """What stands for keys, each once, whatever it is called."""
    return frozenset(map(spelling.one, names))


def _told_now(view: KeyView) -> bool:
    return isinstance(view.reading, AwsKey | GcpKey | KeyGone)


def _counted(
    needs: Iterable[KeyNeed], memory: Mapping[KeyName, KeyMemory], asked: Mapping[KeyName, KeyReading]
) -> tuple[int, int]:
    """How many keys told something when they were asked by any of their names, and how many are needed."""
    spelling = _spelt(memory, asked)
    read = _ones((name for name, one in asked.items() if not isinstance(one, KeyUnread)), spelling)
    return len(read), len(_ones((need.name for need in needs), spelling))


def _called_otherwise(
    needs: Iterable[KeyNeed],
    only: frozenset[KeyName],
    memory: Mapping[KeyName, KeyMemory],
    asked: Mapping[KeyName, KeyReading],
) -> Collection[KeyNeed]:
    """Those of `needs` that are, as is known only since they were `asked`, other names of these keys."""
    every = NamesOfKeys((need.name for need in needs), _spelt(memory, asked)).every(only)
    return [need for need in needs if need.name in every and need.name not in asked]


def _to_answer_for_more(
    needs: Iterable[KeyNeed], memory: Mapping[KeyName, KeyMemory], asked: Mapping[KeyName, KeyReading]
) -> Collection[KeyNeed]:
    """Those that answer for a silent name which, as is known only since they were `asked`, is of the same key.

    They were not asked about all who must decrypt by that name.
    """
    if not any(isinstance(one, KeyUnread) and one.name.cloud is Cloud.GCP for one in asked.values()):
        return ()
    spelling = _spelt(memory, asked)
    silent = {spelling.one(name) for name, one in asked.items() if isinstance(one, KeyUnread)}
    then = tuple(needs)
    return [
        now
        for before, now in zip(then, needed_by_any_name(then, spelling), strict=True)
        if now != before and isinstance(asked.get(now.name), GcpKey) and spelling.one(now.name) in silent
    ]


def _read(parts: Parts, needs: Iterable[KeyNeed]) -> Mapping[KeyName, KeyReading]:
    """One reading for each need: what a source leaves out is unread, never absent."""
    by_cloud: dict[Cloud, list[KeyNeed]] = defaultdict(list)
    for need in needs:
        by_cloud[need.name.cloud].append(need)
    readings: dict[KeyName, KeyReading] = {}
    with ThreadPoolExecutor(max(1, len(by_cloud))) as pool:
        asked = [(parts.keys[cloud], group) for cloud, group in by_cloud.items() if cloud in parts.keys]
        for found in pool.map(lambda item: list(item[0].read(item[1])), asked):
            readings.update({reading.name: reading for reading in found})
    for group in by_cloud.values():
        for need in group:
            readings.setdefault(need.name, gaps.no_answer(need.name))
    return readings


def _coverage(
    parts: Parts, sweeps: tuple[Sweep, ...], failed: tuple[Sweep, ...], unusable: Mapping[str, LedgerError]
) -> tuple[BucketCoverage, ...]:
    done = {one.bucket: one for one in sweeps}
    why = {bucket: str(error) for bucket, error in unusable.items()}
    why.update((one.bucket, one.gaps[-1].effect) for one in failed if one.gaps)
    newest = {**done, **{one.bucket: one for one in failed}}
    return tuple(
        _bucket_coverage(source, done.get(source.url), newest.get(source.url), why.get(source.url))
        for source in parts.sources
    )


def _bucket_coverage(source: ObjectSource, done: Sweep | None, newest: Sweep | None, why: str | None) -> BucketCoverage:
    return BucketCoverage(
        bucket=source.url,
        complete=done is not None,
        listed=done.listed if done else 0,
        resolved=done.resolved if done else 0,
        unresolved=done.unresolved if done else 0,
        outside=done.outside if done else 0,
        uploads_in_progress=done.uploads_in_progress if done else None,
        # Its moments are by our own clock, and what is judged with them is by the clouds'.
        sweep_started=done.started + plausible(done.skew) if done else None,
        sweep_ended=done.ended + plausible(done.skew) if done else None,
        oldest_verified=done.oldest_verified if done else None,
        last_attempt_failed=why,
        left_out=done.left_out if done is not None and done.left_out is not None else source.left_out,
        sent=newest.sent if newest else None,
        kept=newest.kept if newest else 0,
    )


def _all_gaps(
    sweeps: tuple[Sweep, ...],
    configured: frozenset[str],
    unconfigured: int | Gap | None,
    before: Judgement | None,
    *,
    keys_only: bool,
    more: Iterable[Gap],
) -> tuple[Gap, ...]:
    found = [*(gap for one in sweeps for gap in one.gaps), *more]
    found.extend(gaps.never_swept(url) for url in configured.difference(one.bucket for one in sweeps))
    if isinstance(unconfigured, Gap):
        found.append(unconfigured)
    elif unconfigured is None and not keys_only:
        kept = [gap for gap in before.gaps if gap.what == gaps.BUCKET_LISTS] if before is not None else []
        found.extend(kept or [gaps.nobody_listed()])
    return tuple(sorted(dict.fromkeys(found), key=lambda gap: (gap.what, gap.reason, gap.effect)))


def _key_gaps(
    needs: Iterable[KeyNeed], keys: Mapping[KeyName, KeyView], assessed: Iterable[Assessed], before: Judgement | None
) -> Iterator[Gap]:
    """What each key leaves open; of one that was not asked this time, what it left open when it was, and what is new.

    What has become unknown since then no gap of before speaks of.
    """
    judged: dict[str | None, list[Assessed]] = defaultdict(list)
    for one in assessed:
        judged[one.holding.key].append(one)
    kept: dict[str, list[Gap]] = defaultdict(list)
    for gap in before.gaps if before is not None else ():
        kept[gap.what].append(gap)
    unknown = _unknown_of_keys(before.assessed if before is not None else ())
    for need in needs:
        view = keys[need.name]
        mine = [one.assessment for one in judged[need.name.text]]
        known: list[Gap] = []
        if view.reading is None:
            names = dict.fromkeys((*gaps.names_of(view), *gaps.names_of_unknown(mine)))
            past = {cause for _, cause in unknown[need.name.text]}.difference(gaps.causes_of_unknown(mine))
            told = (gap for name in names for gap in kept[name] if gap.effect not in past)
            known = [gaps.again(gap, view, need.principals, mine) for gap in told]
            if view.word is not None and not gaps.tells_of_silence(view, known):
                # What the service said last stands until it is asked again.
                view, known = replace(view, reading=view.word), []
        if not known:
            yield from gaps.of_key(view, need.principals, mine)
            continue
        if gaps.is_told(view, known):
            yield from known
            continue
        left = tuple(gaps.of_unasked(view, need.principals))
        # Of what it shares with others, those may have told that it is well.
        still = (*(gap.what for gap in left), *gaps.names_of_unknown(mine))
        over = {*gaps.names_of_shared(view)}.difference(still)
        yield from dict.fromkeys((*(gap for gap in known if gap.what not in over), *left))
        if gaps.tells_of_silence(view, known):
            continue
        every = ((member_of(one.holding), one.assessment) for one in judged[need.name.text])
        were = unknown[need.name.text]
        yield from gaps.of_unknown(view, [found for member, found in every if (member, found.cause) not in were])


def _unknown_of_keys(assessed: Iterable[Assessed]) -> Mapping[str | None, set[tuple[Member, str]]]:
    """Key -> what of its data is unknown, and why."""
    found: dict[str | None, set[tuple[Member, str]]] = defaultdict(set)
    for one in assessed:
        if one.assessment.readability is Readability.UNKNOWN:
            found[one.holding.key].add((member_of(one.holding), one.assessment.cause))
    return found


def _narrowed(before: Judgement | None, buckets: Iterable[BucketCoverage]) -> Mapping[str, frozenset[Population]]:
    """Populations of each bucket that its newest sweep leaves out, and the one before did not."""
    then = {one.bucket: one.left_out for one in before.coverage.buckets} if before is not None else {}
    return {one.bucket: frozenset(one.left_out).difference(then.get(one.bucket, one.left_out)) for one in buckets}


def _of_principals(
    parts: Parts, needs: Iterable[KeyNeed], keys: Mapping[KeyName, KeyView], spelling: Spelling
) -> Iterator[Gap]:
    """Keys that are there, and of which the config does not say who must be able to decrypt with them."""
    views = [keys[need.name] for need in needs if not need.principals]
    told = [one.known for one in views if not isinstance(one.reading, KeyGone)]
    if not parts.agents.get(Cloud.AWS):
        count = sum(isinstance(one, AwsKey) and one.manager is KeyManager.CUSTOMER for one in told)
        yield from gaps.of_principals(Cloud.AWS, count)
    # Each bucket tells its own service agent, or has a gap that it does not.
    agents = parts.agents.get(Cloud.GCP)
    if agents == () or (agents is None and parts.is_keys_only):
        yield from gaps.of_principals(
            Cloud.GCP, len(_ones((one.name for one in told if isinstance(one, GcpKey)), spelling))
        )


def _by_refusal(probes: Iterable[Probe], assessed: Iterable[Assessed]) -> Iterator[Probe]:
    """The refusals by which data is judged, also those through another bucket than its own."""
    refused: dict[str | None, list[Probe]] = defaultdict(list)
    for one in probes:
        if one.outcome is ProbeOutcome.REFUSED:
            refused[one.key].append(one)
    for each in assessed:
        if each.assessment.basis is Basis.PROBE and each.assessment.readability not in _MAY_READ:
            grounds = set(each.assessment.evidence)
            yield from (one for one in refused[each.holding.key] if not grounds.isdisjoint(one.evidence))


def _with_told(probe: Probe, memory: KeyMemory | None, policy: Policy) -> Probe:
    """Put beside a refusal what the key told just before, and whether that is so only since lately."""
    if probe.outcome is not ProbeOutcome.REFUSED or memory is None:
        return probe
    early = is_early(probe, memory.changed, policy.propagation)
    last, last_at = memory.last, memory.last_at
    is_silent = memory.denied_since is not None or memory.missing_since is not None or is_being_made(last)
    if last is None or last_at is None or is_silent:
        return replace(probe, early=early)
    is_fresh = abs(probe.at - last_at) <= policy.poll_max_age
    return replace(next_to(probe, told_use(last)) if is_fresh else probe, early=early)


def _told_since(probe: Probe, readings: Mapping[KeyName, KeyReading], since: datetime | None, now: datetime) -> Probe:
    """Put what its key tells now beside a refusal that was made since the poll before this one.

    Nobody knows on which side of a change that is seen now it was made.
    """
    reading = readings.get(KeyName(probe.key))
    is_fresh = (since is None or since < probe.at) and probe.at <= now and probe.outcome is ProbeOutcome.REFUSED
    if not is_fresh or not isinstance(reading, AwsKey | GcpKey) or is_being_made(reading):
        return probe
    return next_to(probe, told_use(reading))


def _not_sampled(parts: Parts, sweeps: Iterable[Sweep]) -> Iterator[Gap]:
    """Buckets whose objects no probe can be chosen from."""
    if parts.probing.reads:
        yield from (gaps.not_sampled(bucket, error) for bucket, error in parts.inventory.damaged(sweeps).items())


def _latest(probes: Iterable[Probe], assessed: Iterable[Assessed], now: datetime) -> Iterator[Probe]:
    """The newest probe of each kind of data that is still there, and not lost already; the future's come first."""
    places = {
        (one.holding.bucket, one.holding.key, one.holding.key_version)
        for one in assessed
        if one.assessment.readability is not Readability.LOST
    }
    newest: dict[tuple[probing.Place, ProbeKind], Probe] = {}
    for one in sorted(probes, key=lambda probe: (probe.at <= now, probe.at)):
        newest[(one.bucket, one.key, one.key_version), one.kind] = one
    return (one for (place, _), one in newest.items() if place in places)
