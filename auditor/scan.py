"""One run told on one page: sweep the buckets, poll the keys, judge, keep."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
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
from auditor.findings import Basis, Coverage, Finding, Judgement, Readability, Run, Tally, spaces_of, worst_first
from auditor.handover import lacking
from auditor.model import Gap, KeyName, Population, Probe, ProbeKind, ProbeOutcome, Sample, Sweep
from auditor.overtaking import Lane
from auditor.ownership import twofold
from auditor.ownership.answering import answered_by_any_name, needed_by_any_name, remembered_by_any_name
from auditor.ownership.calling import as_called, spoken_of_besides
from auditor.ownership.registering import hear, keys_of, ready, spelt_anew
from auditor.ownership.said import parted, revoked
from auditor.ownership.spelling import NamesOfKeys, spelling_by
from auditor.polling.asking import (
    agents_of,
    keys_told,
    needs_of,
    of_one_key_with,
    read_beside_others,
    see_that_they_are_needed,
    spelt,
)
from auditor.polling.covering import coverage_of, keys_covered
from auditor.polling.hearing import (
    beside,
    claimed_before,
    for_registries,
    is_all_by_bundles,
    keys_held,
    looked_at,
    names_of_registries,
    not_all_seen,
    of_unknown_tenants,
    sayings,
    spoken_for,
    spoken_of,
    unheard_places,
    words_of,
)
from auditor.polling.left_open import every_gap, gaps_of_keys, narrowed, not_sampled, of_principals
from auditor.polling.probes import by_refusal, latest_probes, probes_that_count, with_told
from auditor.ports import PollRecord
from auditor.questions.retire.retiring import retiring
from auditor.readability import KeyView, continued
from auditor.rule import Excepted
from auditor.run import Parts, Progress, new_id
from auditor.skew import plausible
from auditor.sweeping import elsewhere, sweep_all
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
    """Buckets of ours that were never swept to their end, or not as the config asks; without any, registries not asked.

    Raises:
        LedgerError: the ledger cannot be read.
    """
    if parts.is_keys_only:
        return frozenset(one.name for one in parts.services if one.recalled() is None)
    sweeps, _ = usable(parts)
    never = {source.url for source in parts.sources}.difference(one.bucket for one in sweeps)
    return frozenset(never.union(gap.what for gap in _swept_otherwise(parts, sweeps))) - parts.left


def tried(parts: Parts, until: datetime) -> datetime | None:
    """When the bucket of ours that waits longest was swept last, to its end or not; None: nobody knows of any.

    That is when that sweep ended: what comes due while one runs is left out, and one that was gone on with began long
    ago. A moment later than `until` is of a clock that was ahead, and tells nothing.

    Raises:
        LedgerError: the ledger cannot be read.
    """
    newest: dict[str, datetime] = {}
    for one in (*parts.ledger.sweeps(), *parts.ledger.failed_attempts()):
        for at in (one.started, one.ended):
            if one.bucket in parts.buckets and one.bucket not in parts.left and at <= until:
                newest[one.bucket] = max(at, newest.get(one.bucket, at))
    return min(newest.values(), default=None)


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
            parts.ledger.keep_probe(with_told(found, at.memory.get(target.key), parts.policy))
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


def _elsewhere(parts: Parts, sweeps: Iterable[Sweep], before: Judgement | None) -> int | Gap | None:
    """How many buckets nobody configured, where no sweep of this process has just counted them."""
    # Of other places other buckets were elsewhere, and perhaps other accounts were asked.
    if before is not None and before.coverage.places_digest == parts.places_digest:
        known = before.coverage.buckets_not_configured
        if known is not None:
            return known
    judged = before.sweeps if before is not None else ()
    # Workers have swept, of whom each knows its own buckets alone.
    return elsewhere(parts) if {one.id for one in sweeps}.difference(judged) else None


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
    heard, holdings = beside(parts, sweeps, hear(parts, for_registries(parts, known_names)))
    agents = {one.bucket: agents_of(parts, one.facts) for one in sweeps}
    needed = frozenset((*parts.watched, *keys_of(parts, heard), *spoken_of(heard, before), *keys_held(holdings)))
    watched = needed | spoken_of_besides(needed, _findings_of(before), known_names)
    needs = needed_by_any_name(needs_of(parts, watched, holdings.holdings(), agents, unusable), known_names)
    only = NamesOfKeys((need.name for need in needs), known_names).every(only)
    see_that_they_are_needed(only if strict else frozenset(), needs, NamesOfKeys(keys_held(holdings), known_names))
    progress.polling(len(needs))
    asked, before, memory = read_beside_others(parts, lane, needs, only, (before, memory))
    progress.polled(*keys_told(needs, memory, asked), [need.name for need in needs])

    # Asked once: what comes after it may find another difference, and what is told with this moment is read by it.
    skew = parts.skew()
    now = parts.clock() + plausible(skew)
    spelling = as_called(spelt(memory, asked), _findings_of(before), {need.name for need in needs})
    needs = of_one_key_with(needed, needs, spelling)
    asked, memory = answered_by_any_name(asked, spelling), remembered_by_any_name(memory, spelling)
    readings = {name: continued(one, memory.get(name), now) for name, one in asked.items()}
    keys = {need.name: KeyView(need.name, readings.get(need.name), memory.get(need.name)) for need in needs}
    if spelling != known_names:
        # Keys tell more of their names than they did before: what is said beside the data is put there anew.
        heard, holdings = beside(parts, sweeps, spelt_anew(parts, heard, for_registries(parts, spelling)))
    buckets = coverage_of(parts, sweeps, failed, unusable)
    probes = probes_that_count(parts, readings, before.now if before is not None else None, now)
    beforehand = _findings_of(before)
    claimed = claimed_before(before)
    unheard = frozenset(unusable) | unheard_places(parts, heard, before, {one.bucket for one in sweeps})
    hidden = lifecycle.hidden_keys(beforehand, holdings.holdings(), unheard)
    unconfigured = _elsewhere(parts, sweeps, before) if unconfigured is None else unconfigured
    said = sayings(parts, heard, spelling, sweeps, beforehand)
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
        spoken=words_of(heard.registered, bundles=False),
        handed=words_of(heard.registered, bundles=True),
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
            not_all_seen(holdings, heard, unheard),
            holdings.beyond,
            frozenset(of_unknown_tenants(said, buckets, holdings)),
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
            places_digest=parts.places_digest,
            **keys_covered(keys, last_reads, spelling),
        ),
        assessed=judged.assessed,
        findings=findings,
        gaps=every_gap(
            (*sweeps, *failed),
            configured.difference(unusable),
            unconfigured,
            before,
            keys_only=parts.is_keys_only,
            left=parts.left,
            more=(
                *(gaps.not_usable(bucket, error) for bucket, error in unusable.items()),
                *heard.gaps,
                *([gaps.nobody_looked()] if parts.is_keys_only and not is_all_by_bundles(heard) else ()),
                *lacking.written_since(
                    (one.bundle for one in heard.registered.bundles if one.bundle is not None),
                    keys,
                    ((one.key, one.key_version) for one in holdings.holdings() if one.is_told and one.key is not None),
                ),
                *gaps.of_new_objects(
                    one.facts for one in sweeps if one.bucket in said.declared.of_buckets or said.tenants
                ),
                *lacking.not_compared(heard.registered, said.declared),
                *gaps_of_keys(needs, keys, judged.assessed, before),
                *gaps.of_probes(latest_probes(probes, judged.assessed, now), agents),
                *gaps.of_refusals(
                    by_refusal(probes, judged.assessed), parts.probing.wants, now - parts.policy.probe_max_age, now
                ),
                *not_sampled(parts, sweeps),
                *gaps.of_layouts(buckets),
                *gaps.of_counts(buckets),
                *gaps.of_namesakes(holdings.portions()),
                *twofold.of_parted(parted(parts.said, said.spelling)),
                *twofold.of_doubtful(keys_held(holdings), said, parts.said),
                *gaps.of_registries_that_left(
                    findings,
                    names_of_registries(before.registered) if before is not None else (),
                    names_of_registries(heard.registered),
                    claimed if parts.is_keys_only else (),
                ),
                *gaps.of_what_left_the_config(
                    findings,
                    configured | spoken_for(heard, holdings, claimed).difference(looked_at(before)),
                    narrowed(before, buckets),
                ),
                *([] if parts.is_keys_only else gaps.of_claims_that_ended(findings, claimed.difference(configured))),
                *_swept_otherwise(parts, sweeps),
                *gaps.of_clock(skew - plausible(skew)),
                *of_principals(parts, needs, keys, spelling),
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
        supposed=judged.supposed,
    )
    fresh = lifecycle.with_what_is_hidden(judged.findings, beforehand, judged.assessed, unheard, judged.supposed)
    about_logs = {one.id for one in parts.rules if one.subject in ABOUT_LOGS}
    of_others = (one for one in beforehand if one.rule not in about_logs)
    carried = lifecycle.carry_on(fresh, of_others, facts.now, undecided)
    found = traced(carried, facts.keys, parts.inquirer, facts.now, parts.policy.propagation)
    on_logs = judge_logs(facts, parts.rules, found)
    of_logs = (one for one in beforehand if one.rule in about_logs)
    return (*found, *lifecycle.carry_on(on_logs.findings, of_logs, facts.now, on_logs.undecided)), on_logs.tallies


def _findings_of(before: Judgement | None) -> tuple[Finding, ...]:
    return before.findings if before is not None else ()


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
