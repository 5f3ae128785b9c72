"""key-access-withdrawn: a key that answered the auditor before still answers.

Source: AWS KMS Developer Guide, Key policies (deleting the statement withdraws DescribeKey with it).
"""

from auditor.findings import Outcome, Readability, Severity, SubjectKind
from auditor.model import AwsKey, GcpKey
from auditor.rule import MEANT, Cause, Context, Rule, as_meant, failed, not_applicable, passed


def check(cause: Cause, at: Context) -> Outcome:
    """Fail when the service's last word is a denial and an older one was a state."""
    if cause.subject.kind is not SubjectKind.KEY or not cause.keys:
        return not_applicable("judged for each key as a whole")
    view = at.keys[cause.keys[0]]
    if isinstance(view.reading, AwsKey | GcpKey) or (view.reading is None and not view.denied):
        return passed("the key answers")
    if not view.denied:
        return not_applicable("the key is not denied")
    if view.memory is None or view.memory.last is None:
        return not_applicable("the key never answered before")
    if cause.readability is not Readability.UNKNOWN:
        return not_applicable("the denial follows a proven deletion")
    return as_meant(failed(cause.text), cause, at)


RULE = Rule(
    id="key-access-withdrawn",
    title="Keys that answered before still answer",
    subject=Cause,
    severity=Severity.CRITICAL,
    source="AWS KMS Developer Guide, Key policies in AWS KMS; Cloud KMS docs, Permissions and roles",
    remedy="Ask the key's owner whether access was withdrawn on purpose; if not, restore the key policy's statement.",
    otherwise=MEANT,
    check=check,
)
