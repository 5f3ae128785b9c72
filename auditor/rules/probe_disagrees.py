"""probe-disagrees: what a read or dry run finds is what the key says of itself.

Source: AWS KMS Developer Guide, Eventual consistency; Cloud KMS docs, Resource consistency.
"""

from dataclasses import replace

from auditor.findings import Outcome, Severity
from auditor.rule import Cause, Context, Rule, failed, not_applicable, not_told, passed


def check(cause: Cause, _at: Context) -> Outcome:
    """Fail for a contradiction outside propagation and bucket-key caching; critical where the read was refused."""
    if not cause.keys:
        return not_applicable(cause.text)
    if not cause.contradictions:
        return passed("no probe says otherwise") if cause.probed else not_told("nothing of it was probed")
    worst = next((one for one in cause.contradictions if one.probe_failed), cause.contradictions[0])
    return replace(failed(worst.text), severity=Severity.CRITICAL if worst.probe_failed else Severity.HIGH)


RULE = Rule(
    id="probe-disagrees",
    title="Reads find what the keys say of themselves",
    subject=Cause,
    severity=Severity.HIGH,
    source="AWS KMS Developer Guide, Eventual consistency; Cloud KMS docs, Resource consistency",
    remedy="Believe the refused read; where one passes that should not, find what still holds the key.",
    otherwise="critical where a read was refused",
    check=check,
    quotable=True,
)
