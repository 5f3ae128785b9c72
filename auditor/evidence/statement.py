"""What is signed of an evidence bundle: an in-toto statement about its files, to bytes and back.

Source: in-toto Attestation Framework, spec v1 (Statement, ResourceDescriptor, TypeURI; a type of one's own needs no
registration, and its URI need not resolve).
"""

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from itertools import pairwise
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

STATEMENT: Final = "https://in-toto.io/Statement/v1"
PREDICATE: Final = "https://cmek-auditor.example/evidence/v1"
PAYLOAD_TYPE: Final = "application/vnd.in-toto+json"
LARGEST: Final = 1024 * 1024
"""Bytes of what is signed, with its signature; it tells of some ten files."""
MOST_FILES: Final = 64
SEAL: Final = "attestation.intoto.json"
"""The envelope: the first file of an archive."""
MANIFEST: Final = "manifest.json"
"""What is signed, once more for people: the second file."""
TREE: Final = "ledger-tree.txt"
EVENTS: Final = "ledger-events.jsonl"
READINGS: Final = "key-readings.jsonl"
_MOST: Final = 2**53 - 1
"""The largest whole number that every reader of JSON understands. Source: RFC 8259, 6."""
_NAME: Final = re.compile(r"[a-z0-9]+(?:[.-][a-z0-9]+)*")

_Word = Annotated[str, Meta(min_length=1, max_length=300)]
_Text = Annotated[str, Meta(max_length=4_000)]
_Digest = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$")]
_Name = Annotated[str, Meta(min_length=1, max_length=80)]
_Tenant = Annotated[str, Meta(min_length=1, max_length=4_000)]
_Count = Annotated[int, Meta(ge=0, le=_MOST)]
_Moment = Annotated[datetime, Meta(tz=True)]


class DigestSet(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The one digest of a file that is looked at."""

    sha256: _Digest


class Subject(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One file."""

    digest: DigestSet
    name: _Name


class File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What more there is to say of a file."""

    bytes: _Count
    name: _Name
    what: _Text
    """What is in it, for people."""


class Tool(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What judged, and what made the archive, which may be newer."""

    name: Literal["cmek-auditor"]
    judged_by: _Word
    made_by: _Word
    rules: _Word


class Judged(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The judgement that it is about."""

    at: _Moment
    """By the clouds' clocks."""
    findings: _Count
    """That are not resolved."""
    gaps: _Count
    id: _Word
    verdict: _Text
    """As the report says it first."""
    tenant: _Tenant | None = None
    """Of a bundle for one tenant: whose, so that nothing else is in it."""


class Head(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The ledger as it was when the judgement had been kept."""

    events: Annotated[int, Meta(ge=1, le=_MOST)]
    head: _Digest
    """Hash of the newest event."""
    root: _Digest
    """Of the tree over the hashes of all events."""


class Evidence(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The predicate."""

    config: DigestSet
    """Of the settings in force when it was judged, without waivers."""
    files: tuple[File, ...]
    judgement: Judged
    ledger: Head
    tool: Tool


class Statement(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All that is signed."""

    predicate: Evidence
    subject: tuple[Subject, ...]
    predicate_type: Literal["https://cmek-auditor.example/evidence/v1"] = msgspec.field(name="predicateType")
    type: Literal["https://in-toto.io/Statement/v1"] = msgspec.field(name="_type")

    @property
    def files(self) -> Iterator[tuple[str, int, str]]:
        """Name, bytes and digest of each file, in the order in which they stand."""
        for one, more in zip(self.subject, self.predicate.files, strict=True):
            yield one.name, more.bytes, one.digest.sha256


def pack(one: Statement) -> bytes:
    """Write it as canonical JSON: names sorted, no spaces; the same statement gives the same bytes."""
    return msgspec.json.encode(one, order="sorted")


def unpack(payload: bytes) -> Statement:
    """Read what `pack` wrote, whoever signed it, and whether anybody did.

    Raises:
        ValueError: it is none, or says what cannot be.
    """
    try:
        found = msgspec.json.decode(payload, type=Statement)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"what is signed is no statement about evidence of this version: {_plain(error)}") from None
    # Whatever is told twice, or in another form than it was written in, nobody knows how to read.
    if pack(found) != payload:
        raise ValueError("what is signed is not written as a statement is")
    for wrong in _wrongs(found):
        raise ValueError(f"what is signed cannot be: {wrong}")
    return found


def _wrongs(one: Statement) -> Iterator[str]:
    about = one.predicate
    names = [each.name for each in one.subject]
    if names != [each.name for each in about.files]:
        yield "its subjects and its files are not the same"
    if not _is_rising(names):
        yield "its files are not in order, or named twice"
    if len(names) > MOST_FILES:
        yield f"it has more than {MOST_FILES} files"
    for name in names:
        if not _NAME.fullmatch(name) or name in {SEAL, MANIFEST}:
            yield f"no file of an archive is called {name[:80]!r}"
    for needed in (TREE, EVENTS, READINGS):
        if needed not in names:
            yield f"it has no {needed}"
    if about.judgement.at.tzinfo is not UTC:
        yield "a time of it is not told in UTC"
    # What a pattern calls the end may stand before a line break.
    digests = (about.ledger.head, about.ledger.root, about.config.sha256, *(each.digest.sha256 for each in one.subject))
    tenant = () if about.judgement.tenant is None else (about.judgement.tenant,)
    words = (*tenant, about.judgement.id, about.tool.judged_by, about.tool.made_by, about.tool.rules)
    for text in (*digests, *words, about.judgement.verdict, *(each.what for each in about.files)):
        if not text.isprintable():
            yield "a text of it has control characters"


def _is_rising(some: Iterable[str]) -> bool:
    return all(one < other for one, other in pairwise(some))


def _plain(error: Exception) -> str:
    return "".join(char if char.isprintable() else "?" for char in str(error))[:200]
