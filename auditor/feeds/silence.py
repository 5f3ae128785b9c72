"""How feeds of events are listened to, and which changes of keys they have not told of."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from auditor.findings import Finding, SubjectKind
from auditor.model import Cloud, KeyName, split_version
from auditor.ownership.spelling import EACH_ITS_OWN, Owned, Spelling

GRACE: Final = timedelta(minutes=15)
"""How long a feed may take to tell of a change. Both clouds deliver within minutes, and promise nothing."""
_APART: Final = timedelta(minutes=1)
"""By how much a log and a feed may date one change differently."""


@dataclass(frozen=True, slots=True)
class Ear:
    """One feed of the config, as the process that judges listens to it.

    All times are aware, UTC, by the clouds' clocks.
    """

    feed: str
    owner: str
    """The account or project whose keys it tells of."""
    since: datetime | None = None
    """Since when this process listens to it; None: it does not, because only the daemon does."""
    answered: datetime | None = None
    """When its service answered last, be it that nothing came."""
    newest: datetime | None = None
    """When the newest thing that it told of happened."""
    told: Mapping[str, datetime] = field(default_factory=dict)
    """Location -> when the newest change of one of the owner's keys there happened that it told of."""
    told_of: Mapping[tuple[str, str], datetime] = field(default_factory=dict)
    """(project, location) -> the same of projects that may be the owner by its other name: logs know them by the id."""
    fault: str | None = None
    """Why the last try to listen failed; None: it did not."""
    messages: Mapping[str, int] = field(default_factory=dict)
    """What became of messages -> how many there were."""

    def newest_of(self, location: str, owned: Owned) -> datetime | None:
        """When the newest change of one of the owner's keys at a location happened that it told of, by any name."""
        of_others = (at for (owner, where), at in self.told_of.items() if where == location and owned.is_called(owner))
        return max(filter(None, (self.told.get(location), *of_others)), default=None)

    @property
    def cloud(self) -> Cloud:
        """Whose keys it tells of: accounts of AWS, and some projects, are called by numbers."""
        return Cloud.GCP if self.feed.startswith("projects/") or not self.owner.isdigit() else Cloud.AWS


@dataclass(frozen=True, slots=True)
class Untold:
    """A change of a key that a poll found, that the audit log dates, and that the feed has not told of."""

    key: KeyName
    at: datetime
    """By the log."""
    is_its: bool = True
    """The key is of the feed's own project; else that is not known."""


def alone(keys: Iterable[KeyName], ears: Collection[Ear], spelling: Spelling) -> int | None:
    """How many keys are of no account or project that a feed tells of; None where nobody knows that of one."""
    owned = [spelling.of_owner(owner, cloud) for owner, cloud in {(one.owner, one.cloud) for one in ears}]
    each = [{one.has(key) for one in owned} for key in keys]
    return None if any(None in has and True not in has for has in each) else sum(True not in has for has in each)


def untold(
    ear: Ear, findings: Iterable[Finding], now: datetime, spelling: Spelling = EACH_ITS_OWN
) -> tuple[Untold, ...]:
    """The changes that it should have told of by now, the oldest first; none where it told of a later one there.

    Those of keys that may be of another project come last.
    """
    return tuple(sorted(_untold(ear, findings, now, spelling), key=lambda one: (not one.is_its, one.at, one.key)))


def _untold(ear: Ear, findings: Iterable[Finding], now: datetime, spelling: Spelling) -> Iterator[Untold]:
    if ear.since is None:
        return
    owned = spelling.of_owner(ear.owner, ear.cloud)
    for one in findings:
        actor, key = one.actor, _key_of(one)
        if actor is None or key is None or (is_its := owned.has(key)) is False:
            continue
        newest = ear.newest_of(key.location, owned)
        if ear.since <= actor.time <= now - GRACE and (newest is None or newest < actor.time - _APART):
            yield Untold(key, actor.time, is_its is True)


def _key_of(one: Finding) -> KeyName | None:
    if one.subject.kind in {SubjectKind.KEY, SubjectKind.KEY_VERSION}:
        return split_version(one.subject.id)[0]
    if one.subject.kind is SubjectKind.PRINCIPAL:
        return split_version(one.subject.id.rpartition(" -> ")[2])[0]
    return None
