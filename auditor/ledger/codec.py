"""Values to canonical JSON and back, strictly; and the digest of what counts as a change."""

import hashlib
import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar

import msgspec
from pydantic import TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError

from auditor.errors import LedgerError
from auditor.findings import Coverage, Member, Spaces, Tally
from auditor.ledger.link import canonical
from auditor.model import AwsKey, Encryption, GcpKey, KeyGone, KeyMemory, KeyReading, KeyUnread
from auditor.ownership.registered import NOTHING_SAID, Registered
from auditor.waiver import GivenWaiver

T = TypeVar("T")

_PASSING: Final = frozenset({"at", "request_id"})
"""Fields of an evidence that differ from call to call although nothing has changed."""


@dataclass(frozen=True, slots=True)
class KeptKey:
    """What the ledger keeps of one key."""

    answered: bool
    """It gave its state when it was asked last."""
    asked: bool = True
    """The newest poll found it needed: data hangs on it, or the config watches it."""
    aws: AwsKey | None = None
    gcp: GcpKey | None = None
    last_at: datetime | None = None
    """When it gave its state last; None where that was in the newest poll of all keys, or never."""
    missing_since: datetime | None = None
    missing_until: datetime | None = None
    """When it was told last that it is not there, unless the newest poll of all keys told it too."""
    missing_proven: bool = False
    granted: tuple[str, ...] = ()
    above: tuple[str, ...] = ()
    """Google: whom the project let decrypt as well, or might have, when its policy was last read."""
    barred: tuple[str, ...] = ()
    changed: dict[str, datetime] = field(default_factory=dict)
    """Fact of its use -> when it last changed."""
    told: dict[str, str] = field(default_factory=dict)
    """Fact of its use -> what it was when it was last told."""
    denied_since: datetime | None = None
    highest_version: int = 0
    resting: dict[str, datetime] = field(default_factory=dict)
    """Version, or nothing for a key of AWS -> since when every answer said that it takes no new data."""
    first_at: datetime | None = None
    """When it gave its state first."""
    gone: bool = False
    """It was not there when it was asked last. A key that is gone for years is no event each minute: the moment is that
    of the newest poll of all keys, or `missing_until` where that is later."""
    silence: KeyGone | KeyUnread | None = None
    """The service's last word, where that is no state; of a key that never gave one, any reason why not."""

    def answered_at(self, whole_poll: datetime | None) -> datetime | None:
        """When it gave its state last; `whole_poll`: the moment of the newest poll of all keys."""
        return self.last_at or (whole_poll if self.answered else None)

    def missing_at(self, whole_poll: datetime | None) -> datetime | None:
        """When it was told last that it is not there; `whole_poll`: the moment of the newest poll of all keys."""
        told = (self.missing_until, whole_poll if self.gone else None)
        return max((one for one in told if one is not None), default=None)

    def memory(self, whole_poll: datetime | None) -> KeyMemory:
        """Tell the judge."""
        last = self.aws or self.gcp
        last_at = self.answered_at(whole_poll)
        return KeyMemory(
            last=last,
            last_at=last_at if last else None,
            missing_since=self.missing_since,
            missing_until=self.missing_at(whole_poll),
            missing_proven=self.missing_proven,
            granted=self.granted,
            barred=self.barred,
            changed=self.changed,
            told=self.told,
            denied_since=self.denied_since,
            highest_version=self.highest_version,
            resting=self.resting,
            first_at=self.first_at,
            silence=self.silence,
        )


@dataclass(frozen=True, slots=True)
class KeptWhole:
    """The newest poll of all keys, as one of a few keys found it."""

    now: datetime | None
    ended: datetime | None
    """None: there was none yet."""


@dataclass(frozen=True, slots=True)
class KeptPoll:
    """The small record of one poll."""

    id: str
    started: datetime
    ended: datetime
    now: datetime
    skew: timedelta
    interval: timedelta | None
    oldest_key_read: datetime | None
    keys: int
    root: str
    """Merkle root of all readings' facts."""
    before: KeptWhole | None = None
    """The newest poll of all keys, where this is one of a few; None: it is one of all."""

    @property
    def whole(self) -> KeptWhole:
        """The newest poll of all keys."""
        return self.before or KeptWhole(self.now, self.ended)


@dataclass(frozen=True, slots=True)
class KeptContext:
    """What a judgement says besides assessments, findings and gaps, and that seldom changes."""

    version: str
    identity: tuple[str, ...]
    config_digest: str
    rules_version: str
    coverage: Coverage
    tallies: tuple[Tally, ...]
    sweeps: tuple[str, ...]
    waivers: tuple[GivenWaiver, ...] = ()
    registered: Registered = NOTHING_SAID
    config_file_digest: str | None = None
    spaces: Spaces | None = None


_ADAPTERS: Final[dict[type[Any], TypeAdapter[Any]]] = {}
_GLANCES: Final[dict[type[Any], msgspec.json.Decoder[Any]]] = {}


def _adapter(kind: type[Any]) -> TypeAdapter[Any]:
    if kind not in _ADAPTERS:
        _ADAPTERS[kind] = TypeAdapter(kind)
    return _ADAPTERS[kind]


def plain(value: object) -> Any:
    """Turn a value into what JSON knows.

    Raises:
        LedgerError: something in it is of another kind than it says, so that nobody could read it back.
    """
    try:
        return _adapter(type(value)).dump_python(value, mode="json", warnings="error")
    except PydanticSerializationError:
        raise LedgerError(
            f"a {type(value).__name__} cannot be kept: something that was answered is of another kind",
            "look who answers in the clouds' place; nothing of this run was kept",
        ) from None


def dump(value: object) -> str:
    """Write a value as canonical JSON."""
    return canonical(plain(value))


def load(kind: type[T], text: str) -> T:
    """Read a value back.

    Raises:
        LedgerError: the text is not such a value.
    """
    try:
        value: T = _adapter(kind).validate_json(text)
    except ValidationError as error:
        raise LedgerError(
            f"a {kind.__name__} in the ledger cannot be read ({error.error_count()} faults)",
            "the ledger was changed or belongs to another version; restore it from a copy",
        ) from None
    return value


def glance(kind: type[T], text: str) -> T:
    """Read a part of a value back, as `load` does and many times as fast: for whoever reads half a million of them.

    Raises:
        LedgerError: the text is not such a value.
    """
    if kind not in _GLANCES:
        _GLANCES[kind] = msgspec.json.Decoder(kind)
    try:
        value: T = _GLANCES[kind].decode(text)
    except msgspec.MsgspecError:
        return load(kind, text)
    return value


def member(text: str) -> Member:
    """Which holding a canonical text names."""
    bucket, encryption, key, version = json.loads(text)
    return bucket, Encryption(encryption), key, version


def key_of(text: str) -> str | None:
    """The key of the holding that a canonical text names."""
    key: str | None = msgspec.json.decode(text)[2]
    return key


def facts(value: object) -> str:
    """Digest of a value without what differs from call to call."""
    return hashlib.sha256(canonical(_lasting(plain(value))).encode()).hexdigest()


def merkle_root(readings: tuple[KeyReading, ...]) -> str:
    """Root over the facts of all readings, in their order."""
    level = [bytes.fromhex(facts(one)) for one in readings] or [hashlib.sha256(b"").digest()]
    while len(level) > 1:
        if len(level) % 2:
            level.append(level[-1])
        level = [hashlib.sha256(left + right).digest() for left, right in zip(level[::2], level[1::2], strict=True)]
    return level[0].hex()


def _lasting(value: Any) -> Any:
    if isinstance(value, dict):
        passing = _PASSING if "answer_digest" in value else frozenset()
        return {name: _lasting(one) for name, one in value.items() if name not in passing}
    if isinstance(value, list):
        return [_lasting(one) for one in value]
    return value
