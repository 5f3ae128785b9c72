"""Which probes count beside what keys tell now."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime

from auditor.findings import Assessed, Basis, Readability
from auditor.model import (
    AwsKey,
    GcpKey,
    KeyMemory,
    KeyName,
    KeyReading,
    Probe,
    ProbeOutcome,
    is_being_made,
    told_use,
)
from auditor.overruling import CLOCKS_APART
from auditor.policy import Policy
from auditor.readability import is_early, is_over_for_good, next_to
from auditor.run import Parts

_MAY_READ = frozenset({Readability.READABLE, Readability.EXPIRING, Readability.UNKNOWN})


def probes_that_count(
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


def by_refusal(probes: Iterable[Probe], assessed: Iterable[Assessed]) -> Iterator[Probe]:
    """The refusals by which data is judged, also those through another bucket than its own."""
    refused: dict[str | None, list[Probe]] = defaultdict(list)
    for one in probes:
        if one.outcome is ProbeOutcome.REFUSED:
            refused[one.key].append(one)
    for each in assessed:
        if each.assessment.basis is Basis.PROBE and each.assessment.readability not in _MAY_READ:
            grounds = set(each.assessment.evidence)
            yield from (one for one in refused[each.holding.key] if not grounds.isdisjoint(one.evidence))


def with_told(probe: Probe, memory: KeyMemory | None, policy: Policy) -> Probe:
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


def latest_probes(probes: Iterable[Probe], assessed: Iterable[Assessed], now: datetime) -> Iterator[Probe]:
    """The newest probe of each kind of data that is still there, and not lost already; the future's come first."""
    places = {
        (one.holding.bucket, one.holding.key, one.holding.key_version)
        for one in assessed
        if one.assessment.readability is not Readability.LOST
    }
    newest = {
        ((one.bucket, one.key, one.key_version), one.kind): one
        for one in sorted(probes, key=lambda probe: (probe.at <= now, probe.at))
    }
    return (one for (place, _), one in newest.items() if place in places)


def _is_over(probe: Probe, reading: KeyReading | None) -> bool:
    """Whether the key tells now that what it was refused for is well."""
    if probe.outcome is not ProbeOutcome.REFUSED or not isinstance(reading, AwsKey | GcpKey) or is_being_made(reading):
        return False
    return is_over_for_good(probe, told_use(reading))


def _told_since(probe: Probe, readings: Mapping[KeyName, KeyReading], since: datetime | None, now: datetime) -> Probe:
    """Put what its key tells now beside a refusal that was made since the poll before this one.

    Nobody knows on which side of a change that is seen now it was made.
    """
    reading = readings.get(KeyName(probe.key))
    is_fresh = (since is None or since < probe.at) and probe.at <= now and probe.outcome is ProbeOutcome.REFUSED
    if not is_fresh or not isinstance(reading, AwsKey | GcpKey) or is_being_made(reading):
        return probe
    return next_to(probe, told_use(reading))
