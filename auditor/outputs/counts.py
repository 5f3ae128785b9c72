"""The cloud's own count of a bucket beside what was listed, in words."""

from typing import Final

from auditor.findings import Agreement, Compared
from auditor.moments import day
from auditor.outputs import words

NOT_COMPARED: Final = "not compared"
_SAY: Final = {
    Agreement.AGREES: "it agrees",
    Agreement.FEWER_COUNTED: "fewer than listed: more came since",
    Agreement.EXPLAINED: "more than listed, which uploads, delete markers or what went away since can explain",
    Agreement.UNEXPLAINED: "more than listed, unexplained",
    Agreement.NOT_COMPARABLE: "not comparable: what was left out, or not counted, is in it",
    Agreement.NOT_KNOWN: "no value yet",
    Agreement.NOT_READ: "not read",
}


def told(one: Compared | None) -> str:
    """Tell it on one line."""
    if one is None:
        return NOT_COMPARED
    if one.count is None or one.measured_at is None:
        return _SAY[one.agreement]
    return f"{words.number(one.count)} on {day(one.measured_at)}: {_SAY[one.agreement]}"
