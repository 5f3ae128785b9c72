"""What S3 says of one version's encryption -> what it is encrypted with.

Source: Amazon S3 API Reference, HeadObject.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from auditor.connectors.headers import last_answer
from auditor.model import Encryption, KeyName, Reason

ARCHIVES: Final = frozenset({"GLACIER", "DEEP_ARCHIVE"})
_RESTORED: Final = 'ongoing-request="false"'
_KMS: Final = frozenset({"aws:kms", "aws:kms:dsse"})
# Possessive, which is quicker: nothing that one part takes could be the next one's.
_TOKEN: Final = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]++"
_WHOLE: Final = re.compile(rb"HTTP/[^\n]*+\n(?:%b:[^\n]*+\n)*+\r?\n" % _TOKEN)
"""A status line, header lines, and the empty line that says that there are no more."""
_BARE_RETURN: Final = re.compile(rb"\r(?!\n)")
_LINES: Final = re.compile(
    rb"\n(etag|content-length|x-amz-(?:version-id|server-side-encryption(?:-aws-kms-key-id|-customer-algorithm)?|restore"
    rb"|archive-status|delete-marker)):([^\n]*+)",
    re.IGNORECASE,
)
_LONGEST_SIZE: Final = 18
"""Digits of a size; with more it is none."""
_ALL_ENCRYPTED: Final = "2023-02-01"
"""Since then Amazon S3 encrypts all that is stored, and says so. Source: S3 User Guide, Default bucket encryption."""
_AMAZON: Final = (".amazonaws.com", ".amazonaws.com.cn")


@dataclass(frozen=True, slots=True)
class Told:
    """One HEAD's answer, as far as it matters."""

    encryption: Encryption
    key: str | None = None
    problem: Reason | None = None
    """Why the encryption could not be learnt; set exactly when it is unknown."""
    restored: bool = False
    """A copy of an archived object is there."""
    archived: bool = False
    """An access tier of the object needs a restore."""

    def is_archived(self, storage_class: str) -> bool:
        """Whether a read of an object of this class needs a restore first."""
        return self.archived or (is_archive(storage_class) and not self.restored)


_STATUSES: Final[Mapping[str, Encryption]] = {
    "SSE-S3": Encryption.PROVIDER,
    "SSE-C": Encryption.CUSTOMER_SUPPLIED,
    "NOT-SSE": Encryption.NONE,
}
CONTRADICTORY: Final = Told(Encryption.UNKNOWN, None, Reason.MALFORMED)
"""An answer that cannot be one about this version."""


class Asked(NamedTuple):
    """The version that a HEAD asks for, as the listing has it."""

    etag: str | None
    version: str | None
    """None or `null`: whatever is there, which may have been overwritten since it was listed."""
    size: int | None = None
    """Bytes; None where it does not matter."""
    encrypted: bool = False
    """The service would have encrypted it by itself, and would say so."""

    @property
    def lasts(self) -> bool:
        """Whether nobody can overwrite it."""
        return self.version not in {None, "null"}


class Head(NamedTuple):
    """One HEAD's answer: of which version it is, and what it tells."""

    told: Told
    etag: str | None
    version: str | None
    size: int | None = None
    """Bytes; None where it does not say, or says none: some on the way make that of every HEAD."""

    def about(self, asked: Asked) -> Told | None:
        """What it tells of a version; nothing where it is an answer about another, or one that cannot be.

        None: either somebody has overwritten the object since it was listed, or it is an answer about another.
        """
        if asked.version is not None and self.version not in {None, asked.version}:
            return CONTRADICTORY
        if asked.encrypted and self.told.encryption is Encryption.NONE:
            return CONTRADICTORY
        if asked.etag not in {None, self.etag}:
            return CONTRADICTORY if asked.lasts else None
        if None not in {asked.size, self.size} and asked.size != self.size:
            return CONTRADICTORY if asked.lasts else None
        return self.told


def is_encrypted_by_amazon(endpoint: str, modified: str) -> bool:
    """Whether Amazon S3 stored it at a time (ISO 8601) when it encrypts everything."""
    return modified >= _ALL_ENCRYPTED and is_amazons(endpoint)


@lru_cache(maxsize=64)
def is_amazons(endpoint: str) -> bool:
    """Whether an endpoint is one of Amazon's own."""
    return (urlsplit(endpoint).hostname or "").endswith(_AMAZON)


def is_archive(storage_class: str) -> bool:
    """Whether objects of this class need a restore before a read."""
    return storage_class in ARCHIVES


def told_by_status(status: str | None, *, archived: bool) -> Told | None:
    """Read what S3 Inventory says of an object; None where it is under a KMS key, or where nobody knows what it means.

    Source: Amazon S3 User Guide, "Amazon S3 Inventory list", Encryption status.
    """
    encryption = _STATUSES.get(status or "")
    return None if encryption is None else Told(encryption, archived=archived)


def parse_head(told: Mapping[str, Any]) -> Head:
    """Read what the SDK made of a HEAD's answer."""
    if told.get("SSECustomerAlgorithm") is not None or told.get("DeleteMarker"):
        found = CONTRADICTORY
    else:
        found = _told(
            told.get("ServerSideEncryption"), told.get("SSEKMSKeyId"), told.get("Restore"), told.get("ArchiveStatus")
        )
    return Head(found, _bare(told.get("ETag")), told.get("VersionId") or None, told.get("ContentLength") or None)


def parse_headers(raw: bytes) -> Head | None:
    """Read the header lines of a HEAD's answer; None where they are not those of an object, or not all of them."""
    last = last_answer(raw)
    if not _WHOLE.fullmatch(last) or _BARE_RETURN.search(last):
        return None
    lines = _LINES.findall(last)
    found = {name.lower(): value.strip() for name, value in lines}
    if len(found) != len(lines) and any(found[name.lower()] != value.strip() for name, value in lines):
        return None
    etag = found.pop(b"etag", None)
    if etag is None:
        return None
    version = found.pop(b"x-amz-version-id", None)
    length = found.pop(b"content-length", b"")
    size = int(length) if length.isdigit() and len(length) <= _LONGEST_SIZE else None
    told = _parsed(tuple(found.items()))
    return Head(told, _bare(etag.decode("latin-1")), version.decode("latin-1") if version else None, size or None)


def _bare(etag: str | None) -> str | None:
    """Without its quotes, and without the mark of those who compress on the way."""
    return etag.removeprefix("W/").strip('"') or None if etag is not None else None


@lru_cache(maxsize=4096)
def _parsed(found: tuple[tuple[bytes, bytes], ...]) -> Told:
    texts = {name: value.decode("latin-1") for name, value in found}
    marker = texts.get(b"x-amz-delete-marker", "false").lower() != "false"
    if marker or b"x-amz-server-side-encryption-customer-algorithm" in texts:
        return CONTRADICTORY
    return _told(
        texts.get(b"x-amz-server-side-encryption"),
        texts.get(b"x-amz-server-side-encryption-aws-kms-key-id"),
        texts.get(b"x-amz-restore"),
        texts.get(b"x-amz-archive-status"),
    )


def _told(kind: str | None, key: str | None, restore: str | None, archive: str | None) -> Told:
    encryption, name, problem = _encryption(kind, key)
    return Told(encryption, name, problem, restored=_RESTORED in (restore or ""), archived=bool(archive))


def _encryption(kind: str | None, key: str | None) -> tuple[Encryption, str | None, Reason | None]:
    if kind in {None, "AES256"}:
        if key:
            return Encryption.UNKNOWN, None, Reason.MALFORMED
        return (Encryption.NONE if kind is None else Encryption.PROVIDER), None, None
    if kind not in _KMS:
        return Encryption.UNKNOWN, None, Reason.UNSUPPORTED
    try:
        return Encryption.CMEK, KeyName.parse(key or "").text, None
    except ValueError:
        return Encryption.UNKNOWN, None, Reason.MALFORMED
