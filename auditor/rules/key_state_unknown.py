"""key-state-unknown: the state of every key that data depends on is known.

Source: README.md (what was not seen is unknown, never fine).
"""

from auditor.findings import Outcome, Readability, Severity
from auditor.rule import Cause, Context, Rule, failed, not_applicable, passed


def check(cause: Cause, at: Context) -> Outcome:
    """Fail when data names a key and nothing proves its state, unless the access to it was withdrawn."""
    if not cause.keys:
        return not_applicable(cause.text)
    if cause.readability is not Readability.UNKNOWN:
        return passed("the state is known")
    for name in cause.keys:
        view = at.keys[name]
        answered_before = view.memory is not None and view.memory.last is not None
        if answered_before and view.denied:
            return not_applicable("the key answered before: key-access-withdrawn speaks of it")
    return failed(cause.text)


RULE = Rule(
    id="key-state-unknown",
    title="The state of every key that data depends on is known",
    subject=Cause,
    severity=Severity.MEDIUM,
    source="NIST SP 800-53 Rev. 5, SC-12 and CM-8",
    remedy="The gap that names the key says what is missing: a right of the auditor's, an answer, or a meaning.",
    check=check,
    quotable=True,
)
