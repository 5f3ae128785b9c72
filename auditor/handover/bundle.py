"""What an operator tells one tenant of its data: the document, to bytes and back."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from auditor.model import Cloud, Encryption, KeyName, Population, Reason

SCHEMA: Final = "cmek-auditor/bundle/1"
PAYLOAD_TYPE: Final = "application/vnd.cmek-auditor.handover.bundle.v1+json"
LARGEST: Final = 64 * 1024 * 1024
"""Bytes of a bundle with its signature; it stands in memory whole."""
CLOCKS_APART: Final = timedelta(minutes=5)
"""As far as the clocks of an operator, a cloud and a customer may differ."""
LONGEST_NAME: Final = 1_024
"""Bytes of an object's name, which is longer than any namespace in it. Source: S3 and Cloud Storage, object names."""
_MOST: Final = 2**63 - 1

_Word = Annotated[str, Meta(min_length=1, max_length=200)]
_Name = Annotated[str, Meta(min_length=1, max_length=LONGEST_NAME)]
_Bucket = Annotated[str, Meta(pattern=r"^(s3|gs)://[a-z0-9][a-z0-9._-]{1,221}[a-z0-9]$", max_length=230)]
_Count = Annotated[int, Meta(ge=0, le=_MOST)]
_Moment = Annotated[datetime, Meta(tz=True)]
_VERSION: Final = re.compile(r"[1-9][0-9]{0,17}")

NamespaceSums = tuple[_Name, Annotated[int, Meta(ge=1, le=_MOST)], _Count, _Count, _Moment, _Moment]
"""Namespace, objects, bytes, archived objects, when the oldest was written, and the newest."""


class SweptBucket(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One bucket in which the tenant has data, and the sweep that tells of it."""

    bucket: _Bucket
    started: _Moment
    ended: _Moment
    verified: _Moment
    """Since when the key of each of its objects was read, of the one that was read longest ago."""
    left_out: tuple[Population, ...]
    """Populations at which nobody looked."""
    outside: bool
    """It has objects whose names tell no namespace: they are in no bundle."""
    uploads: bool | None
    """It has unfinished uploads, of which nobody tells the key; None where that is not known."""


class Open(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the operator could not read of a bucket or a key of the tenant."""

    about: _Name
    reason: Reason


class Seen(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How much of what there may be of the tenant the operator looked at; no name of another's is in it."""

    elsewhere: _Count | None
    """Buckets of the operator's accounts in no config; None where nobody knows."""
    registries: bool
    """All that says whose a namespace is could be read and used."""
    unclear: _Count
    """Namespaces of which nobody says for certain whose they are: they are in no bundle."""
    unswept: _Count
    """Buckets without a whole sweep that can be used: of the operator's config, or swept before they left it."""


class Data(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What of the tenant's data in a bucket hangs on the same."""

    bucket: _Bucket
    encryption: Encryption
    key: _Name | None
    """Full name without a version; None of what is `cmek`: the operator keeps it back, as it may be another's."""
    namespaces: tuple[NamespaceSums, ...]
    population: Population
    version: _Word | None

    @property
    def place(self) -> tuple[str, ...]:
        """By which it is told from others, and sorted."""
        return self.bucket, self.population.value, self.encryption.value, self.key or "", self.version or ""


@dataclass(frozen=True, slots=True)
class Held:
    """What of all data hangs on the same, wherever it is."""

    encryption: Encryption
    key: str | None
    version: str | None
    namespaces: int
    objects: int
    size: int
    """Bytes."""

    @property
    def is_withheld(self) -> bool:
        """It is under a key that the operator does not name, as it may be another's."""
        return self.encryption is Encryption.CMEK and self.key is None


class Bundle(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="schema", tag=SCHEMA):
    """All that is told one tenant at one time."""

    buckets: tuple[SweptBucket, ...]
    data: tuple[Data, ...]
    gaps: tuple[Open, ...]
    judgement: _Word
    """Id of the judgement that it was made from."""
    made: _Moment
    operator: _Word | None
    """What the operator calls itself; nobody proves that."""
    seen: Seen
    tenant: _Name
    version: _Word
    """Of the program that made it."""

    @property
    def swept(self) -> datetime:
        """Since when what came or went may not be in it: when the oldest of its sweeps began."""
        return min((one.started for one in self.buckets), default=self.made)

    @property
    def verified(self) -> datetime:
        """Since when an object may have come under another key than is told: when one was read longest ago."""
        return min((min(one.started, one.verified) for one in self.buckets), default=self.made)

    @property
    def amounts(self) -> tuple[int, int, int]:
        """Namespaces, objects and bytes."""
        each = [one for some in self.data for one in some.namespaces]
        names = {(some.bucket, one[0]) for some in self.data for one in some.namespaces}
        return len(names), min(_MOST, sum(one[1] for one in each)), min(_MOST, sum(one[2] for one in each))

    @property
    def held(self) -> tuple[Held, ...]:
        """What the data hangs on, sorted."""
        names: dict[tuple[str, str, str], set[tuple[str, str]]] = defaultdict(set)
        sums: dict[tuple[str, str, str], list[tuple[int, int]]] = defaultdict(list)
        for some in self.data:
            place = some.key or "", some.version or "", some.encryption.value
            names[place].update((some.bucket, one[0]) for one in some.namespaces)
            sums[place].append((sum(one[1] for one in some.namespaces), sum(one[2] for one in some.namespaces)))
        return tuple(
            Held(
                Encryption(place[2]),
                place[0] or None,
                place[1] or None,
                len(names[place]),
                *(min(_MOST, sum(column)) for column in zip(*sums[place], strict=True)),
            )
            for place in sorted(sums)
        )


@dataclass(frozen=True, slots=True)
class Believed:
    """A bundle whose signature was verified."""

    bundle: Bundle
    signer: str
    """Fingerprint of the key that it is signed with."""
    digest: str
    """SHA-256 of what is signed, hexadecimal."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A bundle that somebody looks at, whether its signature was verified or not."""

    bundle: Bundle
    digest: str
    """As of `Believed`."""
    named: str | None
    """Fingerprint of the key that the file names; nobody vouches for that. None: it names none."""
    signer: str | None
    """Fingerprint of the key that the signature was verified with; None: it was not."""


def pack(bundle: Bundle) -> bytes:
    """Write it as canonical JSON: names sorted, no spaces; the same bundle gives the same bytes."""
    return msgspec.json.encode(bundle, order="sorted")


def unpack(payload: bytes, now: datetime) -> Bundle:
    """Read what `pack` wrote. Whoever signed it is known; what it says is looked at all the same.

    Raises:
        ValueError: it is none, or says what cannot be.
    """
    try:
        found = msgspec.json.decode(payload, type=Bundle)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"what is signed is no bundle of this version: {_plain(str(error))}") from None
    # Whatever is told twice, or in another form than it was written in, nobody knows how to read.
    if pack(found) != payload:
        raise ValueError("what is signed is not written as a bundle is")
    for wrong in _wrongs(found, now):
        raise ValueError(f"what is signed cannot be: {wrong}")
    return found


def _wrongs(one: Bundle, now: datetime) -> Iterator[str]:
    latest = now + CLOCKS_APART
    if not _is_utc(one.made, *(moment for each in one.buckets for moment in (each.started, each.ended, each.verified))):
        yield "a time of it is not told in UTC"
    if one.made > latest:
        yield "it was made in the future"
    # What a pattern calls the end may stand before a line break.
    for words in (one.operator or "", one.version, one.judgement, *(each.bucket for each in one.buckets)):
        if not words.isprintable():
            yield "a name of it has control characters"
    yield from _of_buckets(one)
    swept = {each.bucket for each in one.buckets}
    if not _is_rising(each.place for each in one.data):
        yield "its data is not in order, or told twice"
    if not _is_rising((each.about, each.reason.value) for each in one.gaps):
        yield "its gaps are not in order, or told twice"
    for each in one.data:
        if each.bucket not in swept:
            yield f"it has data of {each.bucket}, and no sweep of it"
        yield from _of_key(each)
        yield from _of_namespaces(each.namespaces, latest)


def _of_buckets(one: Bundle) -> Iterator[str]:
    if not _is_rising(each.bucket for each in one.buckets):
        yield "its buckets are not in order, or told twice"
    for each in one.buckets:
        if len(set(each.left_out)) != len(each.left_out):
            yield f"populations that were left out of {each.bucket} are told twice"
        if not each.started <= each.ended <= one.made + CLOCKS_APART:
            yield f"the sweep of {each.bucket} ended before it began, or after the bundle was made"
        if each.verified > each.ended + CLOCKS_APART:
            yield f"the objects of {each.bucket} were looked at after its sweep"


def _of_key(one: Data) -> Iterator[str]:
    if one.encryption is not Encryption.CMEK:
        if one.key is not None or one.version is not None:
            yield f"data that is {one.encryption.value} names a key"
        return
    if one.key is None:
        if one.version is not None:
            yield "data names a version of no key"
        return
    try:
        name = KeyName.parse(one.key)
    except ValueError:
        yield "data names what is no key"
        return
    # What is not told of a key of Google Cloud is its version, and a key of AWS has none.
    if one.version is not None and (name.cloud is Cloud.AWS or not _VERSION.fullmatch(one.version)):
        yield "data names what is no version of its key"
    if name.cloud is not (Cloud.AWS if one.bucket.startswith("s3://") else Cloud.GCP):
        yield "data is under a key of another cloud"


def _of_namespaces(every: tuple[NamespaceSums, ...], latest: datetime) -> Iterator[str]:
    if not every:
        yield "it tells of data without a namespace"
    if not _is_rising(name for name, *_ in every):
        yield "its namespaces are not in order, or told twice"
    for name, objects, _, archived, oldest, newest in every:
        if len(name.encode()) > LONGEST_NAME:
            yield f"a namespace is longer than {LONGEST_NAME} bytes"
        if not _is_utc(oldest, newest):
            yield "a time of its objects is not told in UTC"
        if archived > objects:
            yield "more objects are archived than there are"
        if not oldest <= newest <= latest:
            yield "objects were written in the future, or the newest before the oldest"


def _is_utc(*moments: datetime) -> bool:
    """Whether all are as `pack` writes them: others are told wrongly, and some are none once they are moved to UTC."""
    return all(one.tzinfo is UTC for one in moments)


def _is_rising(some: Iterable[Any]) -> bool:
    return all(one < other for one, other in pairwise(some))


def _plain(text: str) -> str:
    return "".join(char if char.isprintable() else "?" for char in text)[:200]
