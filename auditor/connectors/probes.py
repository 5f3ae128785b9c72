"""Probes at a pace: however many are due, production never feels them."""

from auditor.connectors.pace import Pace
from auditor.model import KeyName, Probe, Sample
from auditor.ports import Prober


class Paced:
    """A prober that waits its turn before each probe."""

    def __init__(self, prober: Prober, pace: Pace) -> None:
        self._prober = prober
        self._pace = pace

    def read(self, sample: Sample, agents: tuple[str, ...]) -> Probe:
        """Read one byte of one stored version."""
        self._pace.wait()
        return self._prober.read(sample, agents)

    def dry_run(self, bucket: str, name: KeyName, agents: tuple[str, ...]) -> Probe | None:
        """Check a right without using it."""
        self._pace.wait()
        return self._prober.dry_run(bucket, name, agents)
