"""A bucket whose objects a warehouse has added up, taken over as if it were a sweep of the time when that was asked."""

import logging
from datetime import datetime
from pathlib import Path
from typing import Final

from auditor import gaps
from auditor.errors import CollectError, LedgerError
from auditor.model import BucketFacts, Gap, Reason, Sweep
from auditor.moments import minute
from auditor.ports import Begun, Taken, Written
from auditor.run import Parts, new_id
from auditor.skew import plausible
from auditor.warehouse.source import AddedUp

_log = logging.getLogger(__name__)
_NOTHING: Final = Written({}, 0, 0, 0, None, ())


def taken(parts: Parts, source: AddedUp, facts_before: BucketFacts) -> Sweep:
    """Take what was added up; what cannot be used leaves the last whole sweep in force.

    `facts_before`: what the bucket said of itself before, where it says nothing now.

    It counts as begun and ended when the warehouse was asked. What came since it does not know, nor what the table had
    not heard of by then: a gap says so each time.
    """
    now = parts.clock()
    after, head = parts.ledger.head()
    begun = Begun(new_id(now), now, "", after, head)
    before = parts.sent(source.url)
    written, failed = _NOTHING, None
    facts = source.facts()
    skew = parts.skew()

    def put(folder: Path, target: Path) -> Taken:
        found = source.put(folder, target, now + plausible(skew))
        refuse_overtaken(parts, source.url, found.asked, now + plausible(skew), "ask the warehouse again")
        return found

    try:
        written = parts.inventory.take(source.url, begun, put)
    except CollectError as error:
        failed = gaps.listing_stopped(source.url, error)
    except LedgerError as error:
        failed = gaps.not_written(source.url, error)
    except Exception as error:  # noqa: BLE001 - one bucket's defect must not blind the others
        _log.debug("what was added up of %s", source.url, exc_info=True)
        failed = gaps.defect(source.url, error)
    asked = written.oldest_verified or now + plausible(skew)
    # As of a listing, the moments of a sweep are by our own clock, and the warehouse's goes with the cloud's.
    moment = asked - plausible(skew)
    found = [
        *([facts] if isinstance(facts, Gap) else []),
        *(gaps.unresolved(source.url, reason, count) for reason, count in written.unresolved),
        # What made it fail stands last: that is what outputs show as its cause.
        failed or gaps.added_up_elsewhere(source.url, asked, source.told_by),
    ]
    return Sweep(
        id=begun.id,
        bucket=source.url,
        started=moment,
        ended=moment,
        complete=failed is None,
        listed=written.listed,
        resolved=written.resolved,
        outside=written.outside,
        uploads_in_progress=None,
        oldest_verified=written.oldest_verified,
        facts=facts if isinstance(facts, BucketFacts) else facts_before,
        gaps=tuple(found),
        files=written.files if failed is None else None,
        after=after,
        left_out=source.left_out,
        layout=parts.inventory.layout(source.url),
        made_by=f"{parts.version} {source.endpoint}",
        sent=parts.sent(source.url) - before,
        skew=skew,
        as_of=True,
    )


def refuse_overtaken(parts: Parts, bucket: str, told: datetime, now: datetime, hint: str) -> None:
    """See that no sweep in force knows better than what was `told` then; moments are by the clouds' clock.

    Raises:
        CollectError: one began after that.
    """
    in_force = next((one for one in parts.ledger.sweeps() if one.bucket == bucket), None)
    if in_force is None:
        return
    known = in_force.started + plausible(in_force.skew)
    # One that began in the time to come did so by a clock that was wrong.
    if told < known <= now:
        raise CollectError(
            f"what tells of its objects is of {minute(told)}, and what is known is of {minute(known)}",
            hint,
            reason=Reason.MALFORMED,
        )
