"""poll-stale: every needed key gave its state within `poll_max_age_minutes`.

Source: FINOS Common Cloud Controls, CCC.KeyMgmt.CN01.AR01; NIST SP 800-53 Rev. 5, CA-7.
"""

from auditor.findings import Outcome, Severity
from auditor.model import KeyGone
from auditor.moments import second
from auditor.rule import Context, HeldKey, Rule, failed, not_applicable, passed


def check(key: HeldKey, at: Context) -> Outcome:
    """Judge the age of the last answer that gave a state; one from the future is as old as it is far away."""
    if isinstance(key.view.word, KeyGone) or key.view.denied or key.is_gone(at):
        return not_applicable("the service answered: the key is gone or denied, which other rules speak of")
    if key.last_read is None:
        return not_applicable("it never gave a state: key-state-unknown speaks of it")
    text = f"key {key.name} last gave its state at {second(key.last_read)}"
    return passed(text) if abs(at.now - key.last_read) <= at.policy.poll_max_age else failed(text)


RULE = Rule(
    id="poll-stale",
    title="Every needed key was read lately",
    subject=HeldKey,
    severity=Severity.HIGH,
    source="FINOS CCC.KeyMgmt.CN01.AR01; NIST SP 800-53 Rev. 5, CA-7",
    remedy="Look at the gap that names this key; a state change since then would not have been seen.",
    check=check,
    of_silence=True,
    quotable=True,
)
