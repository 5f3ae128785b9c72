"""What the config's `[[key]]` says of keys, by whatever name of theirs."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from auditor.model import KeyName
from auditor.moments import day
from auditor.ownership.spelling import Spelling

_STATE: Final = "intended_state"


@dataclass(frozen=True, slots=True)
class Said:
    """What one `[[key]]` says."""

    name: KeyName
    tenant: str | None = None
    """Whose the key is; None: nothing is said of that."""
    owner: str | None = None
    """Who answers for data under it; None likewise."""
    team: str | None = None
    """In which team; None likewise."""
    revoked: bool | None = None
    """It is meant to be unusable, or to work; None likewise."""
    since: datetime | None = None
    """Aware, UTC: from when on it is meant to be unusable; None: for ever since."""

    @property
    def words(self) -> Mapping[str, str]:
        """Setting -> what it says, in words."""
        state = None
        if self.revoked is not None:
            since = f" since {day(self.since)}" if self.since is not None else ""
            state = f"revoked{since}" if self.revoked else "enabled"
        told = {"tenant": self.tenant, "owner": self.owner, "team": self.team, _STATE: state}
        return {setting: word for setting, word in told.items() if word is not None}


@dataclass(frozen=True, slots=True)
class Parted:
    """One setting of which two tables say different things of one key."""

    setting: str
    words: tuple[tuple[KeyName, str], ...]
    """What is said by each name, sorted."""


def parted(said: Iterable[Said], spelling: Spelling) -> Iterator[Parted]:
    """Tell where tables about one key part."""
    words: dict[tuple[str, str], list[tuple[KeyName, str]]] = defaultdict(list)
    for one in sorted(said, key=lambda one: one.name):
        for setting, word in one.words.items():
            # Each replica has a state of its own, and nothing else.
            name = spelling.one(one.name) if setting == _STATE else spelling.one_of_all(one.name)
            words[name, setting].append((one.name, word))
    for (_, setting), told in words.items():
        if len({word for _, word in told}) > 1:
            yield Parted(setting, tuple(told))


def revoked(said: Iterable[Said], spelling: Spelling) -> Mapping[KeyName, datetime | None]:
    """Tell which keys are meant to be unusable, by all their names, and since when; None for ever since.

    One of which tables say different things is meant to be neither.
    """
    meant: dict[str, list[Said]] = defaultdict(list)
    for one in said:
        if one.revoked is not None:
            meant[spelling.one(one.name)].append(one)
    since = {
        name: same[0].since
        for name, same in meant.items()
        if same[0].revoked and len({(one.revoked, one.since) for one in same}) == 1
    }
    names = {*(one.name for same in meant.values() for one in same), *spelling.ones}
    return {name: since[spelling.one(name)] for name in sorted(names) if spelling.one(name) in since}
