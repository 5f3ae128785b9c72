"""The buckets of one run: swept from their beginning or from where an earlier sweep broke off, and published."""

import json
import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

import pyarrow as pa

from auditor import gaps, rows
from auditor.completeness import handed_on
from auditor.errors import AuditorError, CollectError, DiskError, LedgerError, OrderError
from auditor.model import BucketFacts, Cloud, CloudCount, EarlierSweep, Gap, Listing, Reason, Requests, Sweep, cloud_of
from auditor.ownership.registering import ask, ask_all, refresh
from auditor.ports import Begun, Coming, Known, ObjectSource, Same, Shard, Stretch, Written
from auditor.run import Headway, Parts, Progress, new_id
from auditor.taking import taken
from auditor.warehouse.source import AddedUp

_log = logging.getLogger(__name__)

_BUCKETS_AT_ONCE: Final = 4
_NOTHING: Final = rows.batch([[] for _ in rows.SCHEMA])
"""Says that a shard was listed further, and that no row of it came."""
_LONGEST_SWEEP: Final = timedelta(days=7)
"""Nobody goes on with one that began longer ago."""


def sweep_all(parts: Parts, progress: Progress, only: frozenset[str] = frozenset()) -> int | Gap | None:
    """Sweep the buckets and publish each when it is done; return how many buckets nobody configured.

    None where no bucket is configured: then registries alone are asked.

    Raises:
        LedgerError: the ledger can be neither read nor written.
    """
    if parts.is_keys_only:
        ask_all(parts, progress)
        return None
    chosen = [source for source in parts.sources if not only or source.url in only]
    # What an earlier scan had listed and the ledger did not hear of is no news of today.
    whole_before = _sweep_some(parts, chosen, progress)
    _sweep_some(parts, whole_before, progress)
    # Nothing of the sweeps waits for this: it may take as long as they did.
    ask(parts, progress, [one.url for one in chosen])
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
        running = {pool.submit(_sweep, parts, one, progress, expected.get(one.url)): one for one in sources}
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
            elif done.complete and not _was_in_force(parts, done):
                # Another one that began later is in force already, and this one nobody has judged by.
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


def _sweep(parts: Parts, source: ObjectSource, progress: Progress, expected: int | None) -> tuple[Sweep, bool]:
    if isinstance(source, AddedUp):
        done, is_new = taken(parts, source, _facts_before(parts, source.url, cloud_of(source.url))), True
    else:
        done, is_new = sweep(parts, source, progress, expected)
    if is_new:
        # Also where the bucket itself may not be listed: the keys that its registries name are watched all the same.
        refresh(parts, progress, source.url)
    return done, is_new


def sweep(parts: Parts, source: ObjectSource, progress: Progress, expected: int | None) -> tuple[Sweep, bool]:
    """List one bucket into a new snapshot; a listing that breaks off leaves the last whole one in force.

    False: it was listed to its end by an earlier scan, which could not publish it.
    """
    begun = _begun(parts, source)
    before = parts.sent(source.url)
    cloud = cloud_of(source.url)
    facts: BucketFacts | Gap = BucketFacts(source.url, cloud)
    uploads: int | Gap | None = None
    written = Written({}, 0, 0, 0, None, ())
    failed: Gap | None = None

    def write(attempt: _Attempt) -> Written:
        at = Headway(source.url, begun.kept, begun.kept, 0, 0, expected)
        told = _Told(source, progress, at, attempt, lambda: parts.sent(source.url) - before)
        return parts.inventory.write(source.url, begun, told)

    try:
        facts = source.facts()
        uploads = source.uploads_in_progress()
        attempt = _Attempt(begun, _lent(parts, source))
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
    found = (*(one for one in (facts, uploads, counted) if isinstance(one, Gap)), *unresolved)
    now = parts.clock()
    ended = now if written.ended is None else max(begun.started, min(now, written.ended))
    done = Sweep(
        id=begun.id,
        bucket=source.url,
        # Where the clock was set back meanwhile it began at the latest when it ended.
        started=min(begun.started, ended),
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
        made_by=_made_by(parts, source),
        sent=parts.sent(source.url) - before,
        kept=begun.kept,
        skew=parts.skew(),
        counted=_kept_count(counted, now),
        markers=_markers(source, begun, written) if counted is not None else None,
        earlier=_earlier(parts, source, now) if counted is not None else (),
    )
    return done, written.ended is None


def _counted(source: ObjectSource) -> CloudCount | Gap | None:
    """The cloud's own count; that it cannot be read, whatever for, takes nothing from what was listed."""
    try:
        return source.cloud_count()
    except Exception as error:  # noqa: BLE001 - as said above
        _log.debug("the cloud's count of %s", source.url, exc_info=True)
        return gaps.not_compared(source.url, error)


def _markers(source: ObjectSource, begun: Begun, written: Written) -> int | None:
    """Delete markers of the whole listing; None where an attempt before had listed some of it, with its own."""
    return source.markers if not begun.kept and written.ended is None else None


def _kept_count(counted: CloudCount | Gap | None, now: datetime) -> CloudCount | None:
    return CloudCount(now, unread=counted.reason) if isinstance(counted, Gap) else counted


def _earlier(parts: Parts, source: ObjectSource, now: datetime) -> tuple[EarlierSweep, ...]:
    """What sweeps before listed, which may have been there when the cloud counted."""
    before = next((one for one in parts.ledger.sweeps() if one.bucket == source.url), None)
    return handed_on(before, source.left_out, now)


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
    return Begun(new_id(started), started, json.dumps(settings), after, head)


def _was_in_force(parts: Parts, done: Sweep) -> bool:
    """Whether another process has published the same sweep meanwhile: somebody may be about to judge by it.

    That is so where one found it whole before the other, which had written it, could publish it.
    """
    try:
        return bool(parts.ledger.published([done.id]))
    except LedgerError:
        return False


def _better(
    parts: Parts, source: ObjectSource, last: "_Attempt", error: CollectError | LedgerError
) -> "_Attempt | None":
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
    begun = _begun(parts, source) if kept and isinstance(error, CollectError) else _anew(parts, source)
    if begun.id == last.begun.id and not differs:
        return None
    return _Attempt(begun, _lent(parts, source, in_bytes=in_bytes), in_bytes=in_bytes, split=split)


def learnt(parts: Parts, source: ObjectSource, *, in_bytes: bool = True) -> Known | None:
    """What the sweep in force learnt, if by the same words: what they meant then may have been wrong.

    `in_bytes`: stretches of a listing are compared as well, and not only its rows.
    """
    if cloud_of(source.url) is Cloud.GCP:
        return None  # every page tells the keys
    in_force = next((one for one in parts.ledger.sweeps() if one.bucket == source.url), None)
    if in_force is None or in_force.made_by != _made_by(parts, source):
        return None
    same = (in_force.layout, in_force.left_out) == (parts.inventory.layout(source.url), source.left_out)
    return parts.inventory.known(in_force, as_is=in_bytes and same)


def _made_by(parts: Parts, source: ObjectSource) -> str:
    """Whose words, and whose answers: a copy of a bucket at another endpoint keeps ids and dates, and not the keys."""
    return f"{parts.version} {source.endpoint}"


def _facts_before(parts: Parts, bucket: str, cloud: Cloud) -> BucketFacts:
    """What an earlier sweep learnt: that a bucket does not tell it now changes nothing of who decrypts for it."""
    known = (one.facts for one in parts.ledger.sweeps() if one.bucket == bucket)
    return next(known, BucketFacts(bucket, cloud))


def _lent(parts: Parts, source: ObjectSource, *, in_bytes: bool = True) -> "_Lent | None":
    known = learnt(parts, source, in_bytes=in_bytes)
    return None if known is None else _Lent(known)


class _Lent:
    """What is known, as a source is given it: whether that took any stretches is noted."""

    def __init__(self, known: Known, taken: threading.Event | None = None) -> None:
        self._known = known
        self._taken = taken or threading.Event()

    @property
    def offered(self) -> bool:
        """Somebody took stretches; whoever takes none does the same without them."""
        return self._taken.is_set()

    @property
    def stretches(self) -> tuple[Stretch, ...]:
        found = self._known.stretches
        if found:
            self._taken.set()
        return found

    def of(self, names: Sequence[str], versions: Sequence[str | None], newest: str) -> pa.Table:
        return self._known.of(names, versions, newest)

    def anew(self) -> "_Lent":
        return _Lent(self._known.anew(), self._taken)

    @property
    def newest(self) -> datetime | None:
        return self._known.newest

    def answered(self) -> Sequence[tuple[str, str | None]]:
        return self._known.answered()

    def rest(self) -> Iterator[pa.Table]:
        return self._known.rest()


@dataclass(frozen=True, slots=True)
class _Attempt:
    """One way to list a bucket."""

    begun: Begun
    known: _Lent | None
    in_bytes: bool = True
    """Stretches of the listing are compared as well, where they are known."""
    split: bool = True
    """It may be listed in shards."""


class _Told:
    """A source whose progress is told."""

    def __init__(
        self,
        source: ObjectSource,
        progress: Progress,
        at: Headway,
        attempt: _Attempt,
        sent: Callable[[], Requests],
    ) -> None:
        self._attempt = attempt
        self._source = source
        self._progress = progress
        self._at = at
        self._sent = sent
        self.listings = source.listings

    def shards(self, listing: Listing, shards: Sequence[Shard]) -> Iterator[tuple[Shard, Coming]]:
        """Hand on what the source lists."""
        self._tell()
        heads = self._sent().heads
        try:
            yield from self._listed(listing, shards)
        except CollectError:
            known = self._attempt.known
            # Something may have been listed that was held back: it was to be compared, or its HEADs were under way.
            compared = known is not None and known.offered
            if compared or (len(shards) == 1 and self._sent().heads > heads):
                yield from ((shard, _NOTHING) for shard in shards)
            raise
        if listing is self.listings[-1]:
            self._at = replace(self._at, expected=self._at.listed)
            self._tell()

    def _listed(self, listing: Listing, shards: Sequence[Shard]) -> Iterator[tuple[Shard, Coming]]:
        how = self._attempt
        for shard, some in self._source.shards(listing, shards, how.known, split=how.split):
            match some:
                case pa.RecordBatch():
                    self._saw(some.num_rows, some.num_rows - some.column("problem").null_count)
                case Same(stretch):
                    self._saw(stretch.rows, 0)
            yield shard, some

    def _saw(self, listed: int, unresolved: int) -> None:
        at = self._at
        self._at = replace(at, listed=at.listed + listed, unresolved=at.unresolved + unresolved)
        self._tell()

    def _tell(self) -> None:
        self._progress.sweeping(replace(self._at, requests=self._sent().total))


def _unconfigured(parts: Parts) -> int | Gap:
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
