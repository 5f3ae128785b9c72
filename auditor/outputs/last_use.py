"""When keys of AWS were used last, on a terminal: what was recorded, and what that does not tell."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final

from auditor.model import Cloud
from auditor.outputs import words
from auditor.questions.retire.standing import Candidate, LastUse, Recorded, Retiring, Use

CAVEATS: Final = (
    "Recorded is the last success of an operation with this one key, up to an hour late, whoever asked: reads of",
    "[probe] count, and a replica in another Region has its own record. Data that nobody reads leaves no record, nor",
    "do reads through an S3 bucket key, data keys that are in use elsewhere already, or a disk that stays attached.",
)
"""Source: AWS KMS Developer Guide, Determine past usage of a KMS key; Amazon S3 User Guide, S3 Bucket Keys."""


def lines(one: Retiring) -> Iterator[str]:
    """Tell it of each that was asked; that none was, where one might be, or where somebody wanted to know."""
    mine = [each for each in one.candidates if each.key.cloud is Cloud.AWS]
    asked = [each for each in mine if each.recorded is not Recorded.NOT_ASKED]
    if not asked and one.last_uses_asked:
        yield f"Last use: nobody was asked: {_nobody(mine)}."
    elif not asked and any(each.standing.use is not Use.IN_USE for each in mine):
        yield "Last use: not asked. --last-usage asks AWS when its keys were used last."
    if not asked:
        return
    yield "Last use, as AWS recorded it; that there is none proves nothing:"
    yield from (f"{words.short(each.name)}: {told(each, one.now)}" for each in asked)
    if len(asked) < len(mine):
        yield f"and {words.number(len(mine) - len(asked))} that hold data, not asked; retire KEY --last-usage asks"
    yield from CAVEATS


def _nobody(mine: Sequence[Candidate]) -> str:
    """Why there was nothing to ask."""
    if not mine:
        return "only AWS tells it, and none of these is a key of AWS that gave a state"
    return f"{words.counted(len(mine), 'key')} of AWS known here, and data is under each; retire KEY --last-usage asks"


def told(one: Candidate, now: datetime) -> str:
    """What is known of one key's last use."""
    found = one.last_use
    if not isinstance(found, LastUse):
        return f"not known [{found}]" if found is not None else "not asked"
    if found.at is not None:
        event = f", CloudTrail event {found.event}" if found.event else ""
        when = f"{words.instant(found.at)}, {words.until(found.at, now)}"
        return f"{found.operation or 'an operation that is not told'} at {when}{event}"
    if found.recorded is Recorded.NEVER_USED:
        return f"no use since it was made, {words.instant(found.created or found.since)}"
    return f"no use since recording began, {words.instant(found.since)}; whether it was used before is not known"
