"""How much of each bucket, and of how many keys, a judgement knows."""

from collections.abc import Iterable, Mapping
from datetime import datetime

from auditor import completeness
from auditor.errors import LedgerError
from auditor.findings import BucketCoverage
from auditor.model import AwsKey, GcpKey, KeyGone, KeyName, Sweep
from auditor.ownership.spelling import Spelling
from auditor.ports import ObjectSource
from auditor.readability import KeyView
from auditor.run import Parts
from auditor.skew import plausible


def keys_covered(
    keys: Mapping[KeyName, KeyView], last_reads: Mapping[KeyName, datetime | None], spelling: Spelling
) -> Mapping[str, int]:
    """Count keys, whatever they are called: one that was read by any of its names is read."""
    ever = each_once((name for name, at in last_reads.items() if at is not None), spelling)
    now = each_once((name for name, view in keys.items() if _told_now(view)), spelling)
    return {"keys_needed": len(each_once(keys, spelling)), "keys_read": len(ever), "keys_from_before": len(ever - now)}


def each_once(names: Iterable[KeyName], spelling: Spelling) -> frozenset[str]:
    """What stands for keys, each once, whatever it is called."""
    return frozenset(map(spelling.one, names))


def coverage_of(
    parts: Parts, sweeps: tuple[Sweep, ...], failed: tuple[Sweep, ...], unusable: Mapping[str, LedgerError]
) -> tuple[BucketCoverage, ...]:
    """How much of each bucket of the config its newest complete sweep knows; `unusable`: why one counts as none."""
    done = {one.bucket: one for one in sweeps}
    why = {bucket: str(error) for bucket, error in unusable.items()}
    why.update((one.bucket, one.gaps[-1].effect) for one in failed if one.gaps)
    newest = {**done, **{one.bucket: one for one in failed}}
    return tuple(
        _bucket_coverage(source, done.get(source.url), newest.get(source.url), why.get(source.url))
        for source in parts.sources
    )


def _told_now(view: KeyView) -> bool:
    return isinstance(view.reading, AwsKey | GcpKey | KeyGone)


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
        compared=completeness.compare(done) if done else None,
    )
