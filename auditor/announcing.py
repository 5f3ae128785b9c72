"""What the daemon's log tells of what judgements stand on: each bundle that is another, each gap that came or went."""

import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Final

from auditor import lacking
from auditor.findings import Judgement
from auditor.model import Gap, Reason
from auditor.outputs import words
from auditor.registered import Handed

_log = logging.getLogger(__name__)

_MOST: Final = 5
"""Lines about gaps that came, and about those that went; a cloud that fails leaves one for each key."""


def announce(before: Judgement | None, after: Judgement, bundles: Collection[str]) -> None:
    """Log what two judgements differ in; `bundles`: names of the registries that are operators' bundles."""
    told = before.gaps if before is not None else ()
    taken = set(_of_bundles(_handed(before) if before is not None else {}, after))
    _of_refusals(_refusals(told, bundles), _refusals(after.gaps, bundles), taken)
    _of_gaps(_others(told, bundles), _others(after.gaps, bundles))


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


def _others(told: Sequence[Gap], bundles: Collection[str]) -> Mapping[tuple[str, Reason], Gap]:
    """By what makes two of them the same: counts and ages in their words move with each poll."""
    return {(one.what, one.reason): one for one in told if not (one.what in bundles and lacking.is_refusal(one))}


def _of_gaps(before: Mapping[tuple[str, Reason], Gap], after: Mapping[tuple[str, Reason], Gap]) -> None:
    # What nobody can see by the nature of things comes last.
    came = sorted(
        (one for place, one in after.items() if place not in before), key=lambda one: one.reason is Reason.NOT_VISIBLE
    )
    for one in came[:_MOST]:
        level = logging.INFO if one.reason is Reason.NOT_VISIBLE else logging.WARNING
        _log.log(level, "gap opened: %s [%s]: %s", words.short(one.what), one.reason, one.effect)
    if len(came) > _MOST:
        _log.warning("and %s opened", words.counted(len(came) - _MOST, "more gap"))
    went = [one for place, one in before.items() if place not in after]
    for one in went[:_MOST]:
        _log.info("gap closed: %s [%s]", words.short(one.what), one.reason)
    if len(went) > _MOST:
        _log.info("and %s closed", words.counted(len(went) - _MOST, "more gap"))
