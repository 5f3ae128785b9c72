"""What the audit logs of clouds are asked, and what they tell: values."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from auditor.model import Cloud, KeyName, Reason

REACHES: Final = {Cloud.AWS: timedelta(days=90), Cloud.GCP: timedelta(days=400)}
"""How far back each log is kept. Source: CloudTrail API Reference, LookupEvents; Cloud Logging docs, Quotas (the bucket
`_Required`, which nobody can shorten)."""


@dataclass(frozen=True, slots=True)
class Inquiry:
    """What is to be known of one key."""

    key: KeyName
    calls: frozenset[str]
    """Names of the operations that matter."""
    since: datetime | None
    """Aware, UTC; None: as far back as the log reaches."""
    until: datetime
    """Aware, UTC."""
    at: datetime
    """Aware, UTC: when it is asked."""
    behind: frozenset[str] = frozenset()
    """What stands behind the key and matters as well: a custom key store's id, an EKM connection's name."""


@dataclass(frozen=True, slots=True)
class Change:
    """One call that succeeded and was to change something, as a log tells it; its texts are printable and short."""

    call: str
    about: str
    """What it changed: full name of a key, key version, ring, project or connection, or a custom key store's id."""
    at: datetime
    """Aware, UTC."""
    event_id: str
    principal: str | None
    """None: the log names nobody."""
    source: str | None = None
    via: str | None = None
    lands_in: str | None = None
    """The state that it asked for, where that tells one use of a call from another."""
    deprived: frozenset[str] | None = None
    """Whom a change of a policy took something from; None where the log does not tell."""
    given: frozenset[str] | None = None
    """Whom it gave something; None where the log does not tell."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What a log told about one inquiry."""

    inquiry: Inquiry
    changes: tuple[Change, ...] = ()
    whole: bool = True
    """All of the time that was asked about was looked through, as far as the log reaches."""
    unread: Reason | None = None
    """Why it told nothing; what it told before that may be here all the same."""
    back_to: datetime | None = None
    """Aware, UTC: from when on all was looked through; None where nothing before what is told can speak against it."""
