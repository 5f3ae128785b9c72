"""sweep-incomplete: the key of at least `min_coverage` of a bucket's objects is known, and the cloud counts no more.

Source: NIST SP 800-53 Rev. 5, CM-8.
"""

from dataclasses import replace

from auditor.findings import Agreement, Compared, Outcome, Severity
from auditor.plurals import agreed, counted
from auditor.rule import Context, Rule, SweptBucket, failed, passed


def check(bucket: SweptBucket, at: Context) -> Outcome:
    """Judge the share of listed objects whose encryption was learnt, and what the cloud itself counts beyond those."""
    coverage = bucket.coverage
    if not coverage.complete:
        why = f": {coverage.last_attempt_failed}" if coverage.last_attempt_failed else ""
        return failed(f"no whole sweep of {coverage.bucket} is in force{why}")
    is_, listed = agreed(coverage.resolved, "is", "are"), counted(coverage.listed, "object")
    beyond = _beyond(coverage.compared)
    text = f"{coverage.resolved} of {listed} of {coverage.bucket} {is_} known{beyond}"
    if coverage.last_attempt_failed:
        return failed(f"{text}, by an older sweep; the newest attempt failed: {coverage.last_attempt_failed}")
    if coverage.ratio < at.policy.min_coverage:
        return replace(failed(text), members=bucket.unresolved)
    return failed(text) if beyond else passed(text)


def _beyond(compared: Compared | None) -> str:
    if compared is None or compared.agreement is not Agreement.UNEXPLAINED or compared.difference is None:
        return ""
    return f", and the cloud counts {counted(compared.difference, 'object')} more than were listed"


RULE = Rule(
    id="sweep-incomplete",
    title="Every object of every bucket is known",
    subject=SweptBucket,
    severity=Severity.MEDIUM,
    source="NIST SP 800-53 Rev. 5, CM-8",
    remedy="Close the gaps that name this bucket; until then their objects count as unknown.",
    check=check,
)
