"""The bytes of a ZIP file in the one form that an evidence bundle has: nothing packed, no time, one right for all.

Every byte that is no file's content follows from names, sizes and checksums. So an archive is not parsed: what it must
be is computed and compared, and nothing can be hidden in what a parser would skip.

Source: PKWARE APPNOTE.TXT 6.3.10, 4.3.7 (local file header), 4.3.12 (central directory), 4.3.16 (its end).
"""

import struct
from dataclasses import dataclass
from typing import Final

LARGEST: Final = 2**32 - 2
"""Bytes of a whole archive, as far as the format reaches without extensions. Source: APPNOTE.TXT, 4.4.8."""
LOCAL: Final = struct.Struct("<4sHHHHHLLLHH")
_CENTRAL: Final = struct.Struct("<4sHHHHHHLLLHHHHHLL")
_END: Final = struct.Struct("<4sHHHHLLH")
_VERSION: Final = 10
"""1.0: nothing is packed."""
_MADE_BY: Final = (3 << 8) | _VERSION
"""On a UNIX, so that the rights below count."""
_RIGHTS: Final = 0o100644 << 16
_MIDNIGHT: Final = 0
_FIRST_DAY: Final = (1 << 5) | 1
"""1980-01-01, the first that the format knows."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of an archive."""

    name: str
    size: int
    crc: int
    """CRC-32 of the content."""


@dataclass(frozen=True, slots=True)
class Found:
    """What stands where a file is to begin, as far as anybody can read it."""

    name_bytes: int
    size: int
    crc: int
    is_packed: bool
    """It is compressed, encrypted, or written as a stream: somebody else's tool wrote it."""
    has_more: bool
    """It has fields that ours never has."""


def local(one: Entry) -> bytes:
    """What stands before a file."""
    name = one.name.encode("ascii")
    told = (b"PK\3\4", _VERSION, 0, 0, _MIDNIGHT, _FIRST_DAY, one.crc, one.size, one.size, len(name), 0)
    return LOCAL.pack(*told) + name


def looked_at(header: bytes) -> Found | None:
    """What a header says; None: it is none."""
    if len(header) < LOCAL.size:
        return None
    mark, _, flags, method, _, _, crc, _, size, name, more = LOCAL.unpack(header[: LOCAL.size])
    return Found(name, size, crc, bool(flags or method), bool(more)) if mark == b"PK\3\4" else None


def directory(entries: tuple[Entry, ...]) -> bytes:
    """What stands behind all files, to the end of the archive."""
    at, told = 0, b""
    for one in entries:
        name = one.name.encode("ascii")
        fields = (_VERSION, 0, 0, _MIDNIGHT, _FIRST_DAY, one.crc, one.size, one.size, len(name))
        told += _CENTRAL.pack(b"PK\1\2", _MADE_BY, *fields, 0, 0, 0, 0, _RIGHTS, at) + name
        at += LOCAL.size + len(name) + one.size
    return told + _END.pack(b"PK\5\6", 0, 0, len(entries), len(entries), len(told), at, 0)


def size_of(entries: tuple[Entry, ...]) -> int:
    """Bytes of the whole archive."""
    return sum(LOCAL.size + _CENTRAL.size + 2 * len(one.name) + one.size for one in entries) + _END.size
