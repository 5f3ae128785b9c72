"""How findings live on from judgement to judgement: first seen, since, succession, resolution."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime

from auditor.findings import Finding, Readability, Status, Subject, worst_first

_NOT_STOPPED = frozenset({Readability.EXPIRING, Readability.UNKNOWN})
"""What a finding may say and tells nothing of how long the data has not been readable."""


def carry_on(
    fresh: Iterable[Finding], before: Iterable[Finding], now: datetime, undecided: frozenset[str] = frozenset()
) -> tuple[Finding, ...]:
    """Give fresh findings their past, and add those of `before` that nothing upholds any more as resolved.

    What is `undecided`, by its id, stays as it was: that a rule cannot tell any more is no all-clear.

    A finding about the same subject under another rule takes over from the one that ended; where the data could not be
    read under that one either, it inherits its `since`.
    """
    old: Mapping[str, Finding] = {one.id: one for one in before if one.status is not Status.RESOLVED}
    current = {one.id: one for one in fresh}
    ended: dict[Subject, Finding] = {
        one.subject: one for one in old.values() if one.id not in current and one.readability is not None
    }
    standing = [one for one in old.values() if one.id not in current and one.id in undecided]
    carried = [_with_past(one, old.get(one.id), ended) for one in current.values()]
    resolved = [
        replace(one, status=Status.RESOLVED, last_seen=now)
        for one in old.values()
        if one.id not in current.keys() | undecided
    ]
    return tuple(sorted([*carried, *standing, *resolved], key=worst_first))


def _with_past(one: Finding, same: Finding | None, ended: Mapping[Subject, Finding]) -> Finding:
    if same is not None:
        return replace(
            one, first_seen=same.first_seen, since=same.since, since_source=same.since_source, succeeds=same.succeeds
        )
    heir_of = ended.get(one.subject) if one.readability is not None else None
    if heir_of is None:
        return one
    if heir_of.readability in _NOT_STOPPED:
        return replace(one, succeeds=heir_of.id)
    return replace(one, since=heir_of.since, since_source=heir_of.since_source, succeeds=heir_of.id)
