"""The buckets of one run: swept from their beginning or from where an earlier sweep broke off, and published."""

import logging
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final

from auditor import gaps
from auditor.attempting import Attempt, Told, anew, lent, made_by
from auditor.completeness import handed_on
from auditor.errors import AuditorError, CollectError, DiskError, LedgerError, OrderError
from auditor.model import BucketFacts, Cloud, CloudCount, EarlierSweep, Gap, Reason, Requests, Sweep, cloud_of
from auditor.ownership.registering import ask, ask_all, refresh
from auditor.ports import Begun, ObjectSource, Written
from auditor.run import Headway, Parts, Progress
from auditor.skew import plausible
from auditor.spreading import spread
from auditor.taking import refuse_overtaken, taken
from auditor.warehouse.reported import Reported
from auditor.warehouse.source import AddedUp

_log = logging.getLogger(__name__)

_BUCKETS_AT_ONCE: Final = 4
_LONGEST_SWEEP: Final = timedelta(days=7)
"""Nobody goes on with one that began longer ago."""


def sweep_all(
    parts: Parts,
    progress: Progress,
    only: frozenset[str] = frozenset(),
    gathered: Mapping[str, Begun] = MappingProxyType({}),
) -> int | Gap | None:
    """Sweep the buckets and publish each when it is done; return how many buckets nobody configured.

    None where no bucket is configured: then registries alone are asked. `only`: those that are named, an empty one for
    all that are not left to others. `gathered`: by bucket, the sweep that is gone on with, where it is not to be looked
    for.

    Raises:
        LedgerError: the ledger can be neither read nor written.
    """
    if parts.is_keys_only:
        ask_all(parts, progress)
        return None
    chosen = [source for source in parts.sources if (source.url in only if only else source.url not in parts.left)]
    # What an earlier scan had listed and the ledger did not hear of is no news of today.
    with parts.crew.at_work() if parts.crew is not None else nullcontext():
        whole_before = _sweep_some(parts, chosen, progress, gathered)
        _sweep_some(parts, whole_before, progress)
    # Nothing of the sweeps waits for this: it may take as long as they did.
    ask(parts, progress, [one.url for one in chosen])
    return elsewhere(parts)


def _sweep_some(
    parts: Parts,
    sources: list[ObjectSource],
    progress: Progress,
    gathered: Mapping[str, Begun] = MappingProxyType({}),
) -> list[ObjectSource]:
    """Sweep some buckets and publish each; return those of which only an earlier sweep was published so far.

    Raises:
        LedgerError: the ledger can be neither read nor written.
    """
    expected = {sweep.bucket: sweep.listed for sweep in parts.ledger.sweeps()}
    failed: LedgerError | None = None
    whole_before: list[ObjectSource] = []
    pool = ThreadPoolExecutor(_BUCKETS_AT_ONCE)
    try:
        running = {
            pool.submit(_sweep, parts, one, progress, expected.get(one.url), gathered.get(one.url)): one
            for one in sources
        }
        for ended in as_completed(running):
            done = ended.result()
            with done.held:
                if done.sweep is None:
                    continue
                try:
                    _publish(parts, done.sweep)
                except LedgerError as error:
                    # What others have listed meanwhile is kept all the same, if it can be.
                    failed = failed or error
                    continue
            if done.is_new:
                progress.swept(done.sweep)
            else:
                whole_before.append(running[ended])
    finally:
        # Whoever interrupts does not wait for sweeps that may have hours to go.
        pool.shutdown(wait=False, cancel_futures=True)
    if failed is not None:
        raise failed
    return whole_before


def _publish(parts: Parts, done: Sweep) -> None:
    in_force = parts.ledger.publish(done)
    # One that could not be copied is whole all the same, and the next one publishes it.
    if done.complete:
        parts.inventory.settle(done)
    if in_force:
        parts.inventory.prune(done.bucket, parts.ledger.needed(done.bucket))
    elif done.complete and not _was_in_force(parts, done):
        # Another one that began later is in force already, and this one nobody has judged by.
        parts.inventory.remove(done)


@dataclass(frozen=True, slots=True)
class _Swept:
    sweep: Sweep | None
    """None: another process has ended the sweep that this one took part in."""
    is_new: bool
    held: ExitStack
    """What nobody else may do before it is published."""


def _sweep(
    parts: Parts, source: ObjectSource, progress: Progress, expected: int | None, gathered: Begun | None
) -> _Swept:
    if isinstance(source, AddedUp):
        done = taken(parts, source, _facts_before(parts, source.url, cloud_of(source.url)))
        return _Swept(_refreshed(parts, progress, done), is_new=True, held=ExitStack())
    if isinstance(source, Reported):
        _look(parts, source)
    with ExitStack() as held:
        # Of a report nothing is listed that others could help with.
        is_alone = gathered is not None or isinstance(source, Reported)
        shared = spread(parts, source, progress, expected, held) if not is_alone else None
        if shared is not None and shared.begun is None:
            return _Swept(None, is_new=False, held=held.pop_all())
        done, is_new = sweep(parts, source, progress, expected, gathered if shared is None else shared.begun)
        if is_new and (shared is None or shared.is_new):
            return _Swept(_refreshed(parts, progress, done), is_new=True, held=held.pop_all())
        return _Swept(done, is_new=False, held=held.pop_all())


def _look(parts: Parts, source: Reported) -> None:
    """Choose the report by which a bucket is listed, unless what is known is newer."""
    report = source.look()
    if report is not None:
        now = parts.clock() + plausible(parts.skew())
        try:
            refuse_overtaken(parts, source.url, report.created, now, "wait for the next report, and sweep again")
        except CollectError as error:
            source.refuse(error)


def _refreshed(parts: Parts, progress: Progress, done: Sweep) -> Sweep:
    # Also where the bucket itself may not be listed: the keys that its registries name are watched all the same.
    refresh(parts, progress, done.bucket)
    return done


def sweep(
    parts: Parts, source: ObjectSource, progress: Progress, expected: int | None, gathered: Begun | None = None
) -> tuple[Sweep, bool]:
    """List one bucket into a new snapshot; a listing that breaks off leaves the last whole one in force.

    `gathered`: the sweep that is gone on with, where it is not to be looked for. False: it was listed to its end by an
    earlier scan, which could not publish it.
    """
    begun = gathered or _begun(parts, source)
    before = parts.sent(source.url)
    cloud = cloud_of(source.url)
    facts: BucketFacts | Gap = BucketFacts(source.url, cloud)
    uploads: int | Gap | None = None
    written = Written({}, 0, 0, 0, None, ())
    failed: Gap | None = None

    def write(attempt: Attempt) -> Written:
        at = Headway(source.url, begun.kept, begun.kept, 0, 0, expected)
        told = Told(source, progress, at, attempt, lambda: parts.sent(source.url) - before)
        return parts.inventory.write(source.url, begun, told)

    try:
        facts = source.facts()
        uploads = source.uploads_in_progress()
        attempt = Attempt(begun, lent(parts, source))
        while True:
            begun = attempt.begun
            try:
                written = write(attempt)
                break
            except (CollectError, LedgerError) as error:
                better = _better(parts, source, attempt, error)
                if better is None:
                    raise
                attempt = better
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
    counted = _counted(source) if failed is None else None
    by_report = _of_report(source) if failed is None else ()
    found = (*(one for one in (facts, uploads, counted) if isinstance(one, Gap)), *unresolved, *by_report)
    now = parts.clock()
    ended = now if written.ended is None else max(begun.started, min(now, written.ended))
    done = Sweep(
        id=begun.id,
        bucket=source.url,
        # Where the clock was set back meanwhile it began at the latest when it ended.
        started=min((_as_of(parts, source) if failed is None else None) or begun.started, begun.started, ended),
        ended=ended,
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
        made_by=made_by(parts, source),
        sent=parts.sent(source.url) - before + (Requests() if begun.shared is None else begun.shared.sent),
        # What workers have listed for this very sweep is no attempt before it: what they sent is counted.
        kept=begun.kept if begun.shared is None else max(0, begun.kept - begun.shared.rows),
        skew=parts.skew(),
        counted=_kept_count(counted, now),
        markers=_markers(source, begun, written) if counted is not None else None,
        earlier=_earlier(parts, source, now) if counted is not None else (),
        as_of=failed is None and isinstance(source, Reported),
    )
    return done, written.ended is None


def _of_report(source: ObjectSource) -> Iterator[Gap]:
    if isinstance(source, Reported) and source.report is not None:
        yield gaps.listed_by_report(source.url, source.report, source.gone)


def _as_of(parts: Parts, source: ObjectSource) -> datetime | None:
    """Since when nothing is known of a bucket, by our own clock, where that is not since its sweep began."""
    if not isinstance(source, Reported) or source.report is None:
        return None
    return source.report.created - plausible(parts.skew())


def _counted(source: ObjectSource) -> CloudCount | Gap | None:
    """The cloud's own count; that it cannot be read, whatever for, takes nothing from what was listed."""
    try:
        return source.cloud_count()
    except Exception as error:  # noqa: BLE001 - as said above
        _log.debug("the cloud's count of %s", source.url, exc_info=True)
        return gaps.not_compared(source.url, error)


def _markers(source: ObjectSource, begun: Begun, written: Written) -> int | None:
    """Delete markers of the whole listing; None where an attempt before had listed some of it, with its own."""
    if begun.shared is not None:
        # Nobody has listed anything beside what workers had.
        return begun.shared.markers if begun.kept == begun.shared.rows == written.listed else None
    return source.markers if not begun.kept and written.ended is None else None


def _kept_count(counted: CloudCount | Gap | None, now: datetime) -> CloudCount | None:
    return CloudCount(now, unread=counted.reason) if isinstance(counted, Gap) else counted


def _earlier(parts: Parts, source: ObjectSource, now: datetime) -> tuple[EarlierSweep, ...]:
    """What sweeps before listed, which may have been there when the cloud counted."""
    before = next((one for one in parts.ledger.sweeps() if one.bucket == source.url), None)
    return handed_on(before, source.left_out, now)


def _begun(parts: Parts, source: ObjectSource) -> Begun:
    """The sweep that was killed or broke off, where nobody has begun one since that is in force; else a new one."""
    fresh = anew(parts, source)
    before = parts.inventory.begun(source.url, fresh.settings)
    if before is None or not timedelta(0) <= fresh.started - before.started <= _LONGEST_SWEEP:
        return fresh
    if not parts.ledger.has(before.after, before.head):
        return fresh  # it began by another ledger, or by what was lost of this one
    in_force = ((one.after, one.started) for one in parts.ledger.sweeps() if one.bucket == source.url)
    return before if all(one < (before.after, before.started) for one in in_force) else fresh


def _was_in_force(parts: Parts, done: Sweep) -> bool:
    """Whether another process has published the same sweep meanwhile: somebody may be about to judge by it.

    That is so where one found it whole before the other, which had written it, could publish it.
    """
    try:
        return bool(parts.ledger.published([done.id]))
    except LedgerError:
        return False


def _better(parts: Parts, source: ObjectSource, last: "Attempt", error: CollectError | LedgerError) -> "Attempt | None":
    """What may do better than an attempt that failed so; None: nothing would."""
    split, in_bytes, kept = last.split, False, last.begun.kept
    # Stretches may be what was at fault. Rows are not: each is compared with what is listed.
    if isinstance(error, CollectError):
        possible = error.reason is Reason.MALFORMED
        split = split and not isinstance(error, OrderError)
        offered = last.in_bytes and last.known is not None and last.known.offered
        differs = offered or split is not last.split
    else:
        possible = not isinstance(error, DiskError)
        in_bytes = last.in_bytes and kept > 0
        differs = last.in_bytes and last.known is not None
    if not (possible and (kept or differs)):
        return None
    # What stands still of the one that was gone on with broke off so from its beginning, too.
    begun = _begun(parts, source) if kept and isinstance(error, CollectError) else anew(parts, source)
    if begun.id == last.begun.id and not differs:
        return None
    return Attempt(begun, lent(parts, source, in_bytes=in_bytes), in_bytes=in_bytes, split=split)


def _facts_before(parts: Parts, bucket: str, cloud: Cloud) -> BucketFacts:
    """What an earlier sweep learnt: that a bucket does not tell it now changes nothing of who decrypts for it."""
    known = (one.facts for one in parts.ledger.sweeps() if one.bucket == bucket)
    return next(known, BucketFacts(bucket, cloud))


def elsewhere(parts: Parts) -> int | Gap:
    """List the buckets of the accounts in use, and count those that nobody configured."""
    configured = {source.url for source in parts.sources}
    seen: set[str] = set()
    for lister in parts.listers:
        try:
            listed = lister.buckets()
        except Exception as error:  # noqa: BLE001 - a count hangs on it, and whoever answers must not end the scan
            listed = gaps.list_defect(error)
        if isinstance(listed, Gap):
            return gaps.buckets_not_listed(listed)
        seen |= listed
    if lacking := configured - seen:
        return gaps.not_among_listed(lacking)
    return len(seen - configured)
