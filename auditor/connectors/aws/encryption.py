"""What S3 says of one version's encryption -> what it is encrypted with.

Source: Amazon S3 API Reference, HeadObject.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from auditor.model import Encryption, KeyName, Reason

_ARCHIVED: Final = frozenset({"GLACIER", "DEEP_ARCHIVE"})
_RESTORED: Final = 'ongoing-request="false"'
_KMS: Final = frozenset({"aws:kms", "aws:kms:dsse"})
_LINES: Final = re.compile(
    rb"^(etag|x-amz-server-side-encryption(?:-aws-kms-key-id)?|x-amz-restore|x-amz-archive-status):[ \t]*([^\r\n]*)",
    re.IGNORECASE | re.MULTILINE,
)


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


def is_archive(storage_class: str) -> bool:
    """Whether objects of this class need a restore before a read."""
    return storage_class in _ARCHIVED


def parse_head(told: Mapping[str, Any]) -> Told:
    """Read what the SDK made of a HEAD's answer."""
    return _told(
        told.get("ServerSideEncryption"), told.get("SSEKMSKeyId"), told.get("Restore"), told.get("ArchiveStatus")
    )


def parse_headers(raw: bytes) -> Told | None:
    """Read the header lines of a HEAD's answer; None where they are not those of an object."""
    found = {name.lower(): value for name, value in _LINES.findall(raw)}
    if b"etag" not in found:
        return None
    del found[b"etag"]
    return _parsed(tuple(found.items()))


@lru_cache(maxsize=4096)
def _parsed(found: tuple[tuple[bytes, bytes], ...]) -> Told:
    texts = {name: value.strip().decode("latin-1") for name, value in found}
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
    if kind is None:
        return Encryption.NONE, None, None
    if kind == "AES256":
        return Encryption.PROVIDER, None, None
    if kind not in _KMS:
        return Encryption.UNKNOWN, None, Reason.UNSUPPORTED
    try:
        return Encryption.CMEK, KeyName.parse(key or "").text, None
    except ValueError:
        return Encryption.UNKNOWN, None, Reason.MALFORMED
