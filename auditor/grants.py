"""What is to be granted to the auditor, so that it can do what a config asks of it, as values."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class IamPolicy:
    """The IAM policy of one identity of the auditor."""

    identity: str
    """The role of the config, or whose credentials the SDK finds."""
    document: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class KeyStatement:
    """What the owner of keys in another account adds to their policies."""

    account: str
    keys: tuple[str, ...]
    statement: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class AwsGrants:
    """All of it on AWS."""

    policies: tuple[IamPolicy, ...]
    key_statements: tuple[KeyStatement, ...]


@dataclass(frozen=True, slots=True)
class ProjectRole:
    """One custom role, for one project and one identity."""

    project: str | None
    """None: the config does not say which."""
    of: tuple[str, ...]
    """The buckets that it is for; none where it is for keys alone."""
    member: str | None
    """Who gets it; None: whose credentials the SDK finds."""
    permissions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class QuotaProject:
    """A project that requests of one identity count against."""

    project: str
    member: str | None
    """As of a `ProjectRole`."""


@dataclass(frozen=True, slots=True)
class Subscription:
    """A subscription that one identity hears and acknowledges."""

    name: str
    """projects/P/subscriptions/S."""
    member: str | None
    """As of a `ProjectRole`."""


@dataclass(frozen=True, slots=True)
class UploadBucket:
    """A bucket of our own that one identity puts files into."""

    url: str
    """gs://NAME."""
    member: str | None
    """As of a `ProjectRole`."""
    is_read: bool = False
    """They are read again."""


@dataclass(frozen=True, slots=True)
class GcpGrants:
    """All of it on Google Cloud."""

    roles: tuple[ProjectRole, ...]
    impersonated: tuple[str, ...] = ()
    """Service accounts that whoever the SDK finds credentials of acts as."""
    quota_projects: tuple[QuotaProject, ...] = ()
    subscriptions: tuple[Subscription, ...] = ()
    uploads: tuple[UploadBucket, ...] = ()
