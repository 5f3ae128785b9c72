"""key-access-withdrawn: a key that answered the auditor before still answers.

Source: AWS KMS Developer Guide, Key policies (deleting the statement withdraws DescribeKey with it).
"""

from dataclasses import replace

from auditor.findings import Outcome, Readability, Severity
from auditor.model import AwsKey, GcpKey
from auditor.readability import withdrawn
from auditor.rule import MEANT, Context, HeldKey, Rule, as_meant, failed, not_applicable, passed


def check(key: HeldKey, at: Context) -> Outcome:
    """Fail when the service's last word is a denial and an older one was a state.

    What reads find beside it says how bad that is, and never that the key answers.
    """
    view = key.view
    if not key.assessments:
        return not_applicable("no data needs the key")
    if isinstance(view.reading, AwsKey | GcpKey) or (view.word is None and not view.denied):
        return passed("the key answers")
    if not view.denied:
        return not_applicable("the key is not denied")
    if view.memory is None or view.memory.last is None:
        return not_applicable("the key never answered before")
    if all(one.readability is Readability.LOST for one in key.assessments):
        return not_applicable("the denial follows a proven deletion")
    untold = (one.cause for one in key.assessments if one.readability is Readability.UNKNOWN)
    final_at = min((one.final_at for one in key.assessments if one.final_at is not None), default=None)
    told = replace(failed(next(untold, withdrawn(view))), final_at=final_at)
    return as_meant(told, at, (key.name,), Readability.UNKNOWN, key.members)


RULE = Rule(
    id="key-access-withdrawn",
    title="Keys that answered before still answer",
    subject=HeldKey,
    severity=Severity.CRITICAL,
    source="AWS KMS Developer Guide, Key policies in AWS KMS; Cloud KMS docs, Permissions and roles",
    remedy="Ask the key's owner whether access was withdrawn on purpose; if not, restore the key policy's statement.",
    otherwise=MEANT,
    check=check,
    of_silence=True,
    quotable=True,
)
