"""Who may log in with a password: a file with one `name:hash` a line.

The hash is scrypt in the PHC string format, `$scrypt$ln=15,r=8,p=3$SALT$HASH` with unpadded base64. Source: RFC 7914;
OWASP Password Storage Cheat Sheet, scrypt.
"""

import base64
import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from stat import S_ISREG
from typing import Final

from auditor.errors import UsageError

LEAST: Final = 12
"""Characters of a password."""
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
_LINE: Final = re.compile(rf"(?P<name>{_NAME.pattern}):(?P<hash>\S+)")
_HASH: Final = re.compile(r"\$scrypt\$ln=(1[4-7]),r=8,p=([1-4])\$([A-Za-z0-9+/]{22,86})\$([A-Za-z0-9+/]{43})", re.ASCII)
_COST: Final = 15
_BLOCKS: Final = 8
_PASSES: Final = 3
_SALT: Final = 16
_LENGTH: Final = 32
_MEMORY: Final = 192 * 2**20
"""Bytes that scrypt may take: what the dearest cost that is accepted needs, and some."""
_LARGEST: Final = 2**20
_HINT: Final = "make a line with `cmek-auditor password NAME`"


@dataclass(frozen=True, slots=True)
class Hashed:
    """What is kept of a password."""

    cost: int
    passes: int
    salt: bytes = field(repr=False)
    digest: bytes = field(repr=False)

    def fits(self, password: bytes) -> bool:
        """Whether it is of this password; it takes a good part of a second, and as long for any."""
        return hmac.compare_digest(_scrypt(password, self.salt, self.cost, self.passes), self.digest)

    def __str__(self) -> str:
        return f"$scrypt$ln={self.cost},r={_BLOCKS},p={self.passes}${_encoded(self.salt)}${_encoded(self.digest)}"


def hashed(password: str) -> Hashed:
    """Hash a password anew, with a salt of its own."""
    salt = secrets.token_bytes(_SALT)
    return Hashed(_COST, _PASSES, salt, _scrypt(password.encode(), salt, _COST, _PASSES))


def line_for(name: str, password: str) -> str:
    """A line of the file.

    Raises:
        UsageError: the name or the password cannot be one.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(
            "the name is not one that a user can have",
            "take up to 64 letters, digits and ., _, @, -, a letter or digit first",
        )
    if len(password) < LEAST:
        raise UsageError(f"the password has fewer than {LEAST} characters", "take a longer one")
    return f"{name}:{hashed(password)}"


def read_users(path: Path) -> Mapping[str, Hashed]:
    """Read the file. What is told of it tells nothing that stands in it.

    Raises:
        UsageError: it cannot be read, or a line of it is none.
    """
    try:
        looks = path.stat()
        # A pipe would be waited for, at each reload anew.
        if not S_ISREG(looks.st_mode):
            raise UsageError(f"[web] users_file {path} is no file", "name the file with the users")
        if looks.st_size > _LARGEST:
            raise UsageError(f"[web] users_file {path} is larger than 1 MiB", "name the file with the users")
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise UsageError(f"[web] users_file {path} cannot be read: {error.strerror}", _HINT) from None
    except UnicodeDecodeError:
        raise UsageError(f"[web] users_file {path} is not UTF-8 text", _HINT) from None
    found: dict[str, Hashed] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        told = _LINE.fullmatch(line.strip())
        one = _parsed(told["hash"]) if told else None
        if told is None or one is None:
            raise UsageError(f"[web] users_file {path}, line {number} is no name:hash of scrypt", _HINT)
        if told["name"] in found:
            raise UsageError(f"[web] users_file {path}, line {number} names a user twice", "leave one of the lines")
        found[told["name"]] = one
    if not found:
        raise UsageError(f"[web] users_file {path} names nobody", _HINT)
    return found


def _parsed(text: str) -> Hashed | None:
    told = _HASH.fullmatch(text)
    if told is None:
        return None
    try:
        return Hashed(int(told[1]), int(told[2]), _decoded(told[3]), _decoded(told[4]))
    except ValueError:
        return None


def _scrypt(password: bytes, salt: bytes, cost: int, passes: int) -> bytes:
    return hashlib.scrypt(password, salt=salt, n=2**cost, r=_BLOCKS, p=passes, maxmem=_MEMORY, dklen=_LENGTH)


def _encoded(some: bytes) -> str:
    return base64.b64encode(some).decode().rstrip("=")


def _decoded(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
