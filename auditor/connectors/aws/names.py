"""Names of S3 objects that somebody on the way may refuse, whatever is stored under them."""

import re
import uuid
from typing import Final

_PLAIN: Final = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,199}(?:/[A-Za-z0-9_-][A-Za-z0-9_.-]{0,199})*")
_LONGEST: Final = 1024
_LONG: Final = 512
"""Bytes: half of what a name may have. Source: Amazon S3 User Guide, Object key naming guidelines."""


def is_plain(name: str) -> bool:
    """Whether nobody has a reason to refuse it: no odd character, no odd segment, no great length."""
    return len(name) <= _LONG and _PLAIN.fullmatch(name) is not None


def sibling(name: str) -> str:
    """A name with the same oddities and no longer than a name may be, under which nothing is stored."""
    new = uuid.uuid4().hex
    room = _LONGEST - len(new)
    return name.encode()[:room].decode(errors="ignore") + new
