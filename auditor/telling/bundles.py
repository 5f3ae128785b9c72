"""What the daemon's log tells of operators' bundles: each that is another, is refused or is missing."""

import logging
from collections.abc import Collection, Iterator, Mapping, Sequence

from auditor.findings import Judgement
from auditor.handover import lacking
from auditor.model import Gap, Reason
from auditor.outputs import words
from auditor.ownership.registered import Handed

_log = logging.getLogger(__name__)


def announce(before: Judgement | None, after: Judgement, bundles: Collection[str]) -> None:
    """Log what two judgements differ in; `bundles`: names of the registries that are operators' bundles."""
    told = before.gaps if before is not None else ()
    taken = set(_of_bundles(_handed(before) if before is not None else {}, after))
    _of_refusals(_refusals(told, bundles), _refusals(after.gaps, bundles), taken)


def _handed(judgement: Judgement) -> Mapping[str, Handed]:
    return {one.name: one.bundle for one in judgement.registered.bundles if one.bundle is not None}


def _of_bundles(before: Mapping[str, Handed], after: Judgement) -> Iterator[str]:
    """Log those that are others than before, and name them."""
    for name, now in _handed(after).items():
        was = before.get(name)
        if was is None or was.digest != now.digest:
            who = f" by {now.operator} (as it says)" if now.operator is not None else ""
            _log.info(
                "bundle taken: %s of tenant %s, made %s%s from sweeps since %s, signed by sha256:%s",
                name,
                now.tenant,
                words.until(now.made, after.now),
                who,
                words.until(now.swept, after.now),
                now.signer,
            )
            yield name


def _refusals(told: Sequence[Gap], bundles: Collection[str]) -> Mapping[str, Gap]:
    return {one.what: one for one in told if one.what in bundles and lacking.is_refusal(one)}


def _of_refusals(before: Mapping[str, Gap], after: Mapping[str, Gap], taken: Collection[str]) -> None:
    for name, gap in after.items():
        was = before.get(name)
        if was is None or was.effect != gap.effect:
            kind = "missing" if gap.reason is Reason.NOT_FOUND else "refused"
            _log.warning("bundle %s: %s: %s; %s", kind, name, gap.effect, gap.hint)
    for name in before:
        if name not in after and name not in taken:
            _log.info("bundle believed again: %s", name)
