"""What a proven obstacle is worth once nobody has told of it for a while."""

from dataclasses import replace
from datetime import datetime
from typing import Final

from auditor.findings import Assessment, Confidence, Readability, Subject, SubjectKind
from auditor.model import AwsKey, GcpKey
from auditor.moments import second
from auditor.policy import Policy

BEHIND: Final = frozenset({SubjectKind.KEY_STORE, SubjectKind.HSM_INSTANCE, SubjectKind.EKM_CONNECTION})
"""What stands behind keys, and is shared by several."""

_NEVER_AGES: Final = frozenset({Readability.READABLE, Readability.EXPIRING, Readability.UNKNOWN, Readability.LOST})
"""No obstacles, and the one that nobody can lift."""


def is_fresh(told: datetime | None, policy: Policy, now: datetime) -> bool:
    """Whether what was told then still counts for now; what is from the future is as old as it is far away."""
    return told is not None and abs(now - told) <= policy.poll_max_age


def aged(found: Assessment, key: AwsKey | GcpKey, said: datetime, policy: Policy, now: datetime) -> Assessment:
    """Call an obstacle inferred of which nobody has told for `poll_max_age`; `said` is when the key told all this.

    It stands, because nothing refutes it, but somebody may have lifted it since. What is destroyed stays proven.
    """
    told = _told_at(found.subject, key, said)
    if found.readability in _NEVER_AGES or is_fresh(told, policy, now):
        return found
    cause = f"{found.cause}; this was told at {second(told)}, and whether it is still so is not known"
    return replace(found, cause=cause, confidence=Confidence.INFERRED)


def _told_at(subject: Subject, key: AwsKey | GcpKey, said: datetime) -> datetime:
    """When an obstacle was told: what stands behind a key may have been read long before it, or after."""
    if subject.kind not in BEHIND:
        return said
    if isinstance(key, AwsKey):
        store = key.store.at if key.store is not None else None
        # That its state is Unavailable tells as much of the store.
        return max(store or said, said) if key.state == "Unavailable" else store or said
    behind = (*key.connections, *((key.hsm_instance,) if key.hsm_instance is not None else ()))
    return next((one.at for one in behind if one.name == subject.id and one.at is not None), said)
