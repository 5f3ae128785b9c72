"""How far the data of each bucket can be compared, and why no further: what one side did not see has not changed."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from auditor.errors import GoneError, LedgerError
from auditor.findings import BucketCoverage, Judgement
from auditor.model import Gap, Population, Reason, Sweep
from auditor.ports import SweepRows
from auditor.questions.diff.answer import ComparedBucket, How

_NOTHING: Final = "what became of its data is not known"
_SUMS: Final = "only how much is under each key version is compared, and not which namespaces' data moved or went"
_NAME_IT: Final = "name it in the config and scan, before what is to be compared next"
_KEEP_MORE: Final = "[retention] snapshots and weekly_snapshots say how long inventories are kept"


@dataclass(frozen=True, slots=True)
class Side:
    """One of two judgements."""

    judgement: Judgement
    sweeps: Mapping[str, Sweep]
    """Bucket -> the sweep that it stands on."""
    lacking: Mapping[str, LedgerError]
    """Bucket -> why the dependencies of that sweep cannot be read."""

    def coverage(self, bucket: str) -> BucketCoverage | None:
        """What it knows of a bucket; None where its config did not name it."""
        return next((one for one in self.judgement.coverage.buckets if one.bucket == bucket), None)


def side(judgement: Judgement, sweeps: tuple[Sweep, ...], inventory: SweepRows) -> Side:
    """Put beside a judgement what is left of the sweeps that it stands on."""
    return Side(judgement, {one.bucket: one for one in sweeps}, inventory.unusable(sweeps))


def compared(before: Side, after: Side) -> Iterator[tuple[ComparedBucket, tuple[Gap, ...]]]:
    """Tell of each bucket that either side's config named how far it is compared, with the gaps that this leaves."""
    both = ("the earlier", before), ("the later", after)
    for bucket in sorted({one.bucket for _, each in both for one in each.judgement.coverage.buckets}):
        how = How.NOT
        left_out = _left_out_once(bucket, before, after)
        gaps = [gap for which, each in both if (gap := _not_seen(bucket, which, each)) is not None]
        if not gaps:
            gaps = [gap for which, each in both if (gap := _sums_only(bucket, which, each)) is not None]
            gaps.extend(_otherwise_cut(bucket, before, after))
            if not gaps:
                is_same = before.sweeps[bucket].id == after.sweeps[bucket].id
                how = How.SAME_SWEEP if is_same else How.NAMESPACES
            elif not left_out:
                how = How.SUMS  # which are of all populations together
            gaps.extend(_populations(bucket, left_out))
        was, now = (_began(each.coverage(bucket)) for each in (before, after))
        why = "; ".join(one.effect for one in gaps)
        yield ComparedBucket(bucket, how, was, now, why, left_out if how is How.NAMESPACES else ()), tuple(gaps)


def _began(coverage: BucketCoverage | None) -> datetime | None:
    return coverage.sweep_started if coverage is not None else None


def _not_seen(bucket: str, which: str, one: Side) -> Gap | None:
    if one.coverage(bucket) is None:
        effect = f"{_NOTHING}: the config of {which} judgement did not name it"
        return Gap(bucket, Reason.NOT_VISIBLE, effect, _NAME_IT)
    if bucket not in one.sweeps:
        effect = f"{_NOTHING}: {which} judgement stands on no sweep of it that could be used"
        return Gap(bucket, Reason.NOT_VISIBLE, effect, "compare with a judgement that does; `scan` makes one")
    return None


def _sums_only(bucket: str, which: str, one: Side) -> Gap | None:
    error = one.lacking.get(bucket)
    if error is None:
        return None
    if isinstance(error, GoneError):
        return Gap(bucket, Reason.NOT_FOUND, f"{which} inventory is not kept any more: {_SUMS}", _KEEP_MORE)
    return Gap(bucket, Reason.UNSUPPORTED, f"{which} inventory is damaged, so that {_SUMS}", error.hint or "scan again")


def _otherwise_cut(bucket: str, before: Side, after: Side) -> Iterator[Gap]:
    was, now = (each.sweeps[bucket].layout for each in (before, after))
    if was != now:
        effect = f"its layout was {was} and is {now}, so that its namespaces are others: {_SUMS}"
        yield Gap(bucket, Reason.UNSUPPORTED, effect, "compare judgements by one layout")


def _left_out_once(bucket: str, before: Side, after: Side) -> tuple[Population, ...]:
    """Populations that one of the two sweeps left out, and the other did not."""
    left = [set(found.left_out) for each in (before, after) if (found := each.coverage(bucket)) is not None]
    return tuple(one for one in Population if len({one in each for each in left}) > 1)


def _populations(bucket: str, left_out: tuple[Population, ...]) -> Iterator[Gap]:
    if left_out:
        which = " and ".join(one.replace("_", "-") for one in left_out)
        effect = f"what became of its {which} objects is not known: one of the two sweeps left them out"
        yield Gap(bucket, Reason.NOT_VISIBLE, effect, "compare judgements by one choice of populations")
