"""One run told on one page: sweep the buckets, poll the keys, judge, keep."""

import json
import logging
import uuid
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import islice
from typing import Protocol

import pyarrow as pa

from auditor import gaps, lifecycle, probing
from auditor.engine import Facts, judge, last_read
from auditor.errors import AuditorError, CollectError, DiskError, LedgerError, OrderError, UsageError
from auditor.findings import (
    Assessed,
    Assessment,
    Basis,
    BucketCoverage,
    Coverage,
    Finding,
    Judgement,
    Readability,
    Run,
    Subject,
    SubjectKind,
    member_of,
)
from auditor.model import (
    AwsKey,
    BucketFacts,
    Cloud,
    Gap,
    GcpKey,
    Holding,
    KeyGone,
    KeyManager,
    KeyMemory,
    KeyName,
    KeyReading,
    KeyUnread,
    Listing,
    Population,
    Probe,
    ProbeKind,
    ProbeOutcome,
    Reason,
    Requests,
    Sample,
    Sweep,
)
from auditor.policy import Policy
from auditor.ports import (
    Begun,
    BucketLister,
    Coming,
    Inventory,
    KeyNeed,
    KeySource,
    Known,
    Ledger,
    ObjectSource,
    PollRecord,
    Prober,
    Same,
    Shard,
    Written,
)
from auditor.readability import KeyView, continued
from auditor.rule import Rule

_log = logging.getLogger(__name__)

_BUCKETS_AT_ONCE = 4
_MOST_SKEW = timedelta(days=1)
_HOUR = timedelta(hours=1)
_LONGEST_SWEEP = timedelta(days=7)
"""Nobody goes on with one that began longer ago."""
_MAY_READ = frozenset({Readability.READABLE, Readability.EXPIRING, Readability.UNKNOWN})


@dataclass(frozen=True, slots=True)
class Headway:
    """How far the sweep of one bucket has got."""

    bucket: str
    listed: int
    kept: int
    """How many of them an attempt before had listed, which it goes on with."""
    unresolved: int
    """Of the others, those whose encryption could not be learnt."""
    requests: int
    """As it has made itself, each retry counted."""
    expected: int | None
    """Objects that the last complete sweep had; None before the first."""


class Progress(Protocol):
    """Is told how a run gets on."""

    def sweeping(self, at: Headway) -> None:
        """One bucket is being swept, and has got so far."""

    def swept(self, sweep: Sweep) -> None:
        """One bucket is done, well or not."""

    def polled(self, read: int, needed: int) -> None:
        """The keys were asked."""

    def probed(self, made: int, chosen: int) -> None:
        """So many of the chosen probes are made."""


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything that a run works with; `wiring.py` makes it."""

    sources: tuple[ObjectSource, ...]
    listers: tuple[BucketLister, ...]
    keys: Mapping[Cloud, KeySource]
    inventory: Inventory
    ledger: Ledger
    rules: tuple[Rule, ...]
    policy: Policy
    watched: tuple[KeyName, ...]
    """Keys that the config names, whether data depends on them or not."""
    agents: Mapping[Cloud, tuple[str, ...] | None]
    """Who must be able to decrypt; None on Google Cloud = the storage service agent of each bucket's project."""
    probing: probing.Budget
    probers: Mapping[Cloud, Prober]
    clock: Callable[[], datetime]
    skew: Callable[[], timedelta]
    sent: Callable[[str], Requests]
    """The requests about one bucket that this process has made so far."""
    identity: Callable[[], tuple[str, ...]]
    version: str
    rules_version: str
    config_digest: str
    by_sdk: bool = False
    """Buckets are listed through the SDKs, which ask for everything anew."""


def scan(parts: Parts, progress: Progress, only: frozenset[str] = frozenset()) -> Judgement:
    """Sweep every bucket (or those named), then poll every needed key and judge.

    Raises:
        LedgerError: the ledger can be neither read nor written.
    """
    unconfigured = sweep_all(parts, progress, only)
    probe(parts, progress)
    return poll(parts, progress, unconfigured=unconfigured)


def sweep_all(parts: Parts, progress: Progress, only: frozenset[str] = frozenset()) -> int | Gap:
    """Sweep the buckets and publish each when it is done; return how many buckets nobody configured.

    Raises:
        LedgerError: the ledger can be neither read nor written.
    """
    chosen = [source for source in parts.sources if not only or source.url in only]
    # What an earlier scan had listed and the ledger did not hear of is no news of today.
    whole_before = _sweep_some(parts, chosen, progress)
    _sweep_some(parts, whole_before, progress)
    return _unconfigured(parts)


def _sweep_some(parts: Parts, sources: list[ObjectSource], progress: Progress) -> list[ObjectSource]:
    """Sweep some buckets and publish each; return those of which only an earlier sweep was published so far.

    Raises:
        LedgerError: the ledger can be neither read nor written.
    """
    expected = {sweep.bucket: sweep.listed for sweep in parts.ledger.sweeps()}
    failed: LedgerError | None = None
    whole_before: list[ObjectSource] = []
    pool = ThreadPoolExecutor(_BUCKETS_AT_ONCE)
    try:
        running = {pool.submit(sweep, parts, one, progress, expected.get(one.url)): one for one in sources}
        for ended in as_completed(running):
            done, is_new = ended.result()
            try:
                in_force = parts.ledger.publish(done)
            except LedgerError as error:
                # What others have listed meanwhile is kept all the same, if it can be.
                failed = failed or error
                continue
            parts.inventory.settle(done)
            if in_force:
                parts.inventory.prune(done.bucket, parts.ledger.needed(done.bucket))
            elif done.complete:
                # Another one that began later is in force already.
                parts.inventory.remove(done)
            if is_new:
                progress.swept(done)
            else:
                whole_before.append(running[ended])
    finally:
        # Whoever interrupts does not wait for sweeps that may have hours to go.
        pool.shutdown(wait=False, cancel_futures=True)
    if failed is not None:
        raise failed
    return whole_before


def sweep(parts: Parts, source: ObjectSource, progress: Progress, expected: int | None) -> tuple[Sweep, bool]:
    """List one bucket into a new snapshot; a listing that breaks off leaves the last whole one in force.

    False: it was listed to its end by an earlier scan, which could not publish it.
    """
    begun = _begun(parts, source)
    before = parts.sent(source.url)
    cloud = Cloud.AWS if source.url.startswith("s3://") else Cloud.GCP
    facts: BucketFacts | Gap = BucketFacts(source.url, cloud)
    uploads: int | Gap | None = None
    written = Written({}, 0, 0, 0, None, ())
    failed: Gap | None = None

    def write(begun: Begun, known: Known | None, *, split: bool = True) -> Written:
        at = Headway(source.url, begun.kept, begun.kept, 0, 0, expected)
        told = _Told(source, progress, at, known, lambda: (parts.sent(source.url) - before).total, split=split)
        return parts.inventory.write(source.url, begun, told)

    try:
        facts = source.facts()
        uploads = source.uploads_in_progress()
        known = learnt(parts, source)
        try:
            written = write(begun, known)
        except (CollectError, LedgerError) as error:
            plainly = not (begun.kept or known) and not isinstance(error, OrderError)
            if plainly or not _begins_anew(error):
                raise
            begun = _anew(parts, source)
            # What is known is no reason for another process to go on with the sweep.
            known = None if isinstance(error, CollectError) else learnt(parts, source)
            written = write(begun, known, split=not isinstance(error, OrderError))
    except CollectError as error:
        failed = gaps.listing_stopped(source.url, error)
    except LedgerError as error:
        # Of the inventory, which has one bucket's folder; the ledger itself is spoken to by nobody in here.
        failed = gaps.not_written(source.url, error)
    except AuditorError:
        raise
    except Exception as error:  # noqa: BLE001 - one bucket's defect must not blind the others
        _log.debug("sweep of %s", source.url, exc_info=True)
        failed = gaps.defect(source.url, error)
    unresolved = (gaps.unresolved(source.url, reason, count) for reason, count in written.unresolved)
    found = (*(one for one in (facts, uploads) if isinstance(one, Gap)), *unresolved)
    now = parts.clock()
    done = Sweep(
        id=begun.id,
        bucket=source.url,
        started=begun.started,
        ended=now if written.ended is None else max(begun.started, min(now, written.ended)),
        complete=failed is None,
        listed=written.listed,
        resolved=written.resolved,
        outside=written.outside,
        uploads_in_progress=uploads if isinstance(uploads, int) else None,
        oldest_verified=written.oldest_verified,
        facts=facts if isinstance(facts, BucketFacts) else _facts_before(parts, source.url, cloud),
        # What made it fail stands last: that is what outputs show as its cause.
        gaps=found if failed is None else (*found, failed),
        files=written.files if failed is None else None,
        after=begun.after,
        left_out=source.left_out,
        layout=parts.inventory.layout(source.url),
        made_by=_made_by(parts, source),
        sent=parts.sent(source.url) - before,
        kept=begun.kept,
    )
    return done, written.ended is None


def _begun(parts: Parts, source: ObjectSource) -> Begun:
    """The sweep that was killed or broke off, where nobody has begun one since that is in force; else a new one."""
    fresh = _anew(parts, source)
    before = parts.inventory.begun(source.url, fresh.settings)
    if before is None or not timedelta(0) <= fresh.started - before.started <= _LONGEST_SWEEP:
        return fresh
    if not parts.ledger.has(before.after, before.head):
        return fresh  # it began by another ledger, or by what was lost of this one
    in_force = ((one.after, one.started) for one in parts.ledger.sweeps() if one.bucket == source.url)
    return before if all(one < (before.after, before.started) for one in in_force) else fresh


def _anew(parts: Parts, source: ObjectSource) -> Begun:
    after, head = parts.ledger.head()
    started = parts.clock()
    layout = parts.inventory.layout(source.url)
    settings = [parts.version, parts.config_digest, source.endpoint, source.left_out, layout, parts.by_sdk]
    return Begun(_new_id(started), started, json.dumps(settings), after, head)


def _begins_anew(error: CollectError | LedgerError) -> bool:
    """Whether a sweep that builds on others may do better from the beginning."""
    if isinstance(error, CollectError):
        return error.reason is Reason.MALFORMED
    return not isinstance(error, DiskError)


def learnt(parts: Parts, source: ObjectSource) -> Known | None:
    """What the sweep in force learnt, if by the same words: what they meant then may have been wrong."""
    if source.url.startswith("gs://"):
        return None  # every page tells the keys
    in_force = next((one for one in parts.ledger.sweeps() if one.bucket == source.url), None)
    if in_force is None or in_force.made_by != _made_by(parts, source):
        return None
    same = (in_force.layout, in_force.left_out) == (parts.inventory.layout(source.url), source.left_out)
    return parts.inventory.known(in_force, as_is=same)


def _made_by(parts: Parts, source: ObjectSource) -> str:
    """Whose words, and whose answers: a copy of a bucket at another endpoint keeps ids and dates, and not the keys."""
    return f"{parts.version} {source.endpoint}"


def wanting(parts: Parts) -> frozenset[str]:
    """Buckets that were never swept to their end, or not as the config asks now.

    Raises:
        LedgerError: the ledger cannot be read.
    """
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


def _facts_before(parts: Parts, bucket: str, cloud: Cloud) -> BucketFacts:
    """What an earlier sweep learnt: that a bucket does not tell it now changes nothing of who decrypts for it."""
    known = (one.facts for one in parts.ledger.sweeps() if one.bucket == bucket)
    return next(known, BucketFacts(bucket, cloud))


def plausible(skew: timedelta) -> timedelta:
    """The difference of the clocks as far as it is believed: none where it would be more than a day.

    A cloud refuses who is far off, so that such dates are rather somebody else's than the cloud's.
    """
    return skew if abs(skew) <= _MOST_SKEW else timedelta(0)


def probe(parts: Parts, progress: Progress) -> None:
    """Make one round of probes, where the config asks for them: the next poll judges with them.

    Raises:
        LedgerError: the ledger can be neither read nor written.
    """
    if not (parts.probing.reads or parts.probing.dry_runs):
        return
    sweeps, _ = usable(parts)
    agents = {one.bucket: _agents(parts, one.facts) for one in sweeps}
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
    )
    due = probing.due(at, parts.probing, parts.policy)
    left = parts.probing.per_hour - at.spent
    for number, target in enumerate(due):
        progress.probed(number, len(due))
        for found in islice(_probed(parts, target, samples[target.place], agents.get(target.bucket, ())), max(0, left)):
            parts.ledger.keep_probe(found)
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
) -> Judgement:
    """Read the state of every needed key (or of those named), judge, and keep both; one poll at a time.

    `unconfigured` is what a sweep of the bucket lists just found (None: as before), `interval` the effective time
    between two polls (None: no daemon).

    Raises:
        LedgerError: the ledger can be neither read nor written, or another poll does not end.
        UsageError: `only` names a key that neither data nor the config names.
    """
    with parts.ledger.judging():
        return _poll(parts, progress, only, unconfigured, interval)


def _poll(
    parts: Parts,
    progress: Progress,
    only: frozenset[KeyName],
    unconfigured: int | Gap | None,
    interval: timedelta | None,
) -> Judgement:
    started = parts.clock()
    configured = frozenset(source.url for source in parts.sources)
    sweeps, unusable = usable(parts)
    failed = tuple(one for one in parts.ledger.failed_attempts() if one.bucket in configured)
    before = parts.ledger.judgement()
    holdings = parts.inventory.open(sweeps)
    memory = parts.ledger.memory()
    agents = {one.bucket: _agents(parts, one.facts) for one in sweeps}
    needs = tuple(_needs(parts, holdings.holdings(), agents))
    if strangers := only.difference(need.name for need in needs):
        raise UsageError(
            f"no data depends on key {min(strangers)}, and the config does not watch it",
            "name a key that `scan --format json` shows, or add it as [[key]]",
        )
    asked = _read(parts, _by_hope((need for need in needs if not only or need.name in only), memory))
    progress.polled(sum(not isinstance(one, KeyUnread) for one in asked.values()), len(needs))

    now = parts.clock() + plausible(parts.skew())
    readings = {name: continued(one, memory.get(name), now) for name, one in asked.items()}
    keys = {need.name: KeyView(need.name, readings.get(need.name), memory.get(need.name)) for need in needs}
    buckets = _coverage(parts, sweeps, failed, unusable)
    # That nobody tries any more makes no refusal a success.
    probes = tuple(
        one for one in parts.ledger.probes() if parts.probing.wants(one.kind) or one.outcome is ProbeOutcome.REFUSED
    )
    judged = judge(Facts(holdings, keys, agents, buckets, parts.policy, now, probes), parts.rules)
    if unconfigured is None and before is not None:
        unconfigured = before.coverage.buckets_not_configured
    beforehand = before.findings if before is not None else ()
    undecided = judged.undecided | _out_of_sight(beforehand, unusable, judged.assessed, keys)
    undecided |= _out_of_reach(beforehand, judged.assessed, keys)
    last_reads = {name: last_read(view, now) for name, view in keys.items()}
    poll_id = _new_id(started)
    judgement = Judgement(
        run=Run(
            id=poll_id,
            started=started,
            ended=parts.clock(),
            version=parts.version,
            identity=parts.identity(),
            config_digest=parts.config_digest,
            rules_version=parts.rules_version,
            skew=parts.skew(),
        ),
        now=now,
        coverage=Coverage(
            buckets=buckets,
            keys_needed=len(needs),
            keys_read=sum(date is not None for date in last_reads.values()),
            buckets_not_configured=unconfigured if isinstance(unconfigured, int) else None,
            keys_from_before=sum(
                last_reads[name] is not None and not isinstance(keys[name].reading, AwsKey | GcpKey | KeyGone)
                for name in keys
            ),
        ),
        assessed=judged.assessed,
        findings=lifecycle.carry_on(judged.findings, beforehand, now, undecided),
        gaps=_all_gaps(
            (*sweeps, *failed),
            configured.difference(unusable),
            unconfigured,
            before,
            more=(
                *(gaps.not_usable(bucket, error) for bucket, error in unusable.items()),
                *_key_gaps(needs, keys, judged.assessed),
                *gaps.of_probes(_latest(probes, judged.assessed, now), agents),
                *gaps.of_refusals(_by_refusal(probes, judged.assessed), parts.probing.wants),
                *_not_sampled(parts, sweeps),
                *gaps.of_layouts(buckets),
                *_swept_otherwise(parts, sweeps),
                *gaps.of_clock(parts.skew() - plausible(parts.skew())),
                *gaps.of_principals(_nobody_asked(needs, keys)),
            ),
        ),
        tallies=judged.tallies,
        sweeps=tuple(one.id for one in sweeps),
        poll_interval=interval,
        oldest_key_read=min((date for date in last_reads.values() if date is not None), default=None),
    )
    record = PollRecord(
        id=poll_id,
        started=started,
        ended=judgement.run.ended,
        readings=tuple(readings[name] for name in sorted(readings)),
        skew=judgement.run.skew,
        config_digest=parts.config_digest,
    )
    parts.ledger.keep(record, judgement)
    return parts.ledger.judgement() or judgement


def usable(parts: Parts) -> tuple[tuple[Sweep, ...], Mapping[str, LedgerError]]:
    """The newest complete sweep of each configured bucket; and why one cannot be judged by, so that it counts as none.

    What somebody changed is not judged by, and the others are judged all the same.

    Raises:
        LedgerError: the ledger cannot be read.
    """
    configured = frozenset(source.url for source in parts.sources)
    in_force = tuple(one for one in parts.ledger.sweeps() if one.bucket in configured)
    unusable = parts.inventory.unusable(in_force)
    return tuple(one for one in in_force if one.bucket not in unusable), unusable


def _out_of_sight(
    before: Iterable[Finding],
    unusable: Collection[str],
    assessed: Iterable[Assessed],
    keys: Collection[KeyName],
) -> frozenset[str]:
    """Findings about data that nobody sees any more, and about nothing that is judged now: that is no all-clear."""
    judged = {one.assessment.subject for one in assessed}.union(Subject(SubjectKind.KEY, name.text) for name in keys)
    return frozenset(
        one.id
        for one in before
        if any(bucket in unusable for bucket, *_ in one.members)
        and one.subject.kind is not SubjectKind.BUCKET
        and one.subject not in judged
    )


def _out_of_reach(
    before: Iterable[Finding], assessed: Iterable[Assessed], keys: Mapping[KeyName, KeyView]
) -> frozenset[str]:
    """Findings on data whose key tells nothing now, or is not found for the first time: silence heals nothing."""
    silent = {name.text for name, view in keys.items() if isinstance(view.reading, KeyUnread | KeyGone | None)}
    unknown = {
        member_of(one.holding)
        for one in assessed
        if one.assessment.readability is Readability.UNKNOWN and one.holding.key in silent
    }
    return frozenset(
        one.id
        for one in before
        if one.readability not in {None, Readability.UNKNOWN} and not unknown.isdisjoint(one.members)
    )


class _Told:
    """A source whose progress is told."""

    def __init__(
        self,
        source: ObjectSource,
        progress: Progress,
        at: Headway,
        known: Known | None,
        sent: Callable[[], int],
        *,
        split: bool,
    ) -> None:
        self._known = known
        self._split = split
        self._source = source
        self._progress = progress
        self._at = at
        self._sent = sent
        self.listings = source.listings

    def shards(self, listing: Listing, shards: Sequence[Shard]) -> Iterator[tuple[Shard, Coming]]:
        """Hand on what the source lists."""
        self._tell()
        for shard, some in self._source.shards(listing, shards, self._known, split=self._split):
            match some:
                case pa.RecordBatch():
                    self._saw(some.num_rows, some.num_rows - some.column("problem").null_count)
                case Same(stretch):
                    self._saw(stretch.rows, 0)
            yield shard, some
        if listing is self.listings[-1]:
            self._at = replace(self._at, expected=self._at.listed)
            self._tell()

    def _saw(self, listed: int, unresolved: int) -> None:
        at = self._at
        self._at = replace(at, listed=at.listed + listed, unresolved=at.unresolved + unresolved)
        self._tell()

    def _tell(self) -> None:
        self._progress.sweeping(replace(self._at, requests=self._sent()))


def _needs(parts: Parts, holdings: Iterable[Holding], agents: Mapping[str, tuple[str, ...]]) -> Iterator[KeyNeed]:
    """Every key that data names or the config watches, with everybody who must decrypt with it."""
    principals: dict[KeyName, set[str]] = defaultdict(set)
    for name in parts.watched:
        principals[name].update(())
    for holding in holdings:
        if holding.key is not None:
            principals[KeyName(holding.key)].update(agents.get(holding.bucket, ()))
    for name in sorted(principals):
        yield KeyNeed(name, tuple(sorted(principals[name])))


def _agents(parts: Parts, facts: BucketFacts) -> tuple[str, ...]:
    if (named := parts.agents[facts.cloud]) is not None:
        return named
    return (facts.service_agent,) if facts.service_agent else ()


def _by_hope(needs: Iterable[KeyNeed], memory: Mapping[KeyName, KeyMemory]) -> list[KeyNeed]:
    """Those that answered lately first: keys behind an endpoint that hangs must not keep the others waiting."""

    def last(need: KeyNeed) -> float:
        known = memory.get(need.name)
        return -known.last_at.timestamp() if known is not None and known.last_at is not None else 0.0

    return sorted(needs, key=last)


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
        sweep_started=done.started if done else None,
        sweep_ended=done.ended if done else None,
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
    more: Iterable[Gap],
) -> tuple[Gap, ...]:
    found = [*(gap for one in sweeps for gap in one.gaps), *more]
    found.extend(gaps.never_swept(url) for url in configured.difference(one.bucket for one in sweeps))
    if isinstance(unconfigured, Gap):
        found.append(unconfigured)
    elif unconfigured is None and before is not None:
        found.extend(gap for gap in before.gaps if gap.what == gaps.BUCKET_LISTS)
    return tuple(sorted(dict.fromkeys(found), key=lambda gap: (gap.what, gap.reason, gap.effect)))


def _unconfigured(parts: Parts) -> int | Gap:
    configured = {source.url for source in parts.sources}
    seen: set[str] = set()
    for lister in parts.listers:
        listed = lister.buckets()
        if isinstance(listed, Gap):
            return gaps.buckets_not_listed(listed)
        seen |= listed
    return len(seen - configured)


def _key_gaps(needs: Iterable[KeyNeed], keys: Mapping[KeyName, KeyView], assessed: Iterable[Assessed]) -> Iterator[Gap]:
    judged: dict[str | None, list[Assessment]] = defaultdict(list)
    for one in assessed:
        judged[one.holding.key].append(one.assessment)
    for need in needs:
        yield from gaps.of_key(keys[need.name], need.principals, judged[need.name.text])


def _nobody_asked(needs: Iterable[KeyNeed], keys: Mapping[KeyName, KeyView]) -> int:
    """How many AWS keys there are of which the config does not say who must be able to decrypt with them."""
    told = (keys[need.name].known for need in needs if not need.principals)
    return sum(isinstance(one, AwsKey) and one.manager is KeyManager.CUSTOMER for one in told)


def _by_refusal(probes: Iterable[Probe], assessed: Iterable[Assessed]) -> Iterator[Probe]:
    """The refusals by which data is judged."""
    places = {
        (one.holding.bucket, one.holding.key, one.holding.key_version)
        for one in assessed
        if one.assessment.basis is Basis.PROBE and one.assessment.readability not in _MAY_READ
    }
    for one in probes:
        if one.outcome is ProbeOutcome.REFUSED and (one.bucket, one.key, one.key_version) in places:
            yield one


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


def _new_id(moment: datetime) -> str:
    """Sortable by time, unique without one."""
    return f"{moment:%Y%m%dT%H%M%S.%fZ}-{uuid.uuid4().hex[:8]}"
