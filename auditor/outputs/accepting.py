"""What somebody writes into the config to accept a finding for a time."""

import json
from datetime import datetime, timedelta
from typing import Final

from auditor.findings import Finding, Status, SubjectKind
from auditor.waiver import last_day

_FOR: Final = timedelta(days=14)
_FIELDS: Final = {
    SubjectKind.KEY: "key",
    SubjectKind.KEY_VERSION: "key",
    SubjectKind.PRINCIPAL: "key",
    SubjectKind.BUCKET: "bucket",
}
"""What of a waiver names all that a finding on such a subject is about."""


def waiver_of(one: Finding, now: datetime) -> tuple[str, ...]:
    """Lines of TOML that waive an open finding for two weeks once somebody has filled in who and why.

    As they are the config is refused: nobody answers for it. None are told where no single name has all of it.
    `now`: aware, UTC.
    """
    field = _FIELDS.get(one.subject.kind)
    if field is None or one.status is not Status.OPEN:
        return ()
    name = one.subject.id.rpartition(" -> ")[2]
    return (
        "[[waiver]]",
        f"rule = {json.dumps(one.rule)}",
        f"match = {{ {field} = {json.dumps(name)} }}",
        f"until = {last_day(now + _FOR).isoformat()}",
        'owner = ""',
        'approved_by = ""',
        'reason = ""',
    )
