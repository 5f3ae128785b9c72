"""A registry that is a file which an operator has signed: only what its key has signed is read."""

import hashlib
import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from stat import S_ISREG
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from auditor.connectors.documents import parse_once
from auditor.errors import CollectError
from auditor.handover.bundle import LARGEST, PAYLOAD_TYPE, Believed, Shown, unpack
from auditor.model import Reason
from auditor.signing import envelope
from auditor.signing.keys import LARGEST as _LARGEST_KEY

_MOST_PARTS: Final = 100
"""Of an envelope, told by its commas; it has three, and some more where somebody calls a key so."""
_ANOTHER: Final = "get it from whoever sees the buckets, who makes it with `cmek-auditor bundle`"
_OTHER_KEY: Final = (
    f"{_ANOTHER}; if they sign with another key now, have them give you the public one on a way that you trust"
)
_KEY: Final = "name the public key that the operator has given you: `openssl pkey -in KEY.pem -pubout` writes it"


class BundleFile:
    """One file, verified anew whenever it or the key is another."""

    def __init__(
        self, path: Path, signer: Path, given: str, clock: Callable[[], datetime], tenant: str | None = None
    ) -> None:
        """`clock`: aware, UTC; `tenant`: whose it must be."""
        self._path = path
        self._signer = signer
        self._clock = clock
        self.name = f"registry {given}"
        self.tenant = tenant

    def signer(self) -> str | None:
        """Fingerprint of the key that must have signed it; None where that cannot be read now."""
        try:
            return envelope.fingerprint(self._key())
        except CollectError:
            return None

    def version(self) -> str:
        """Text that changes when the file does, the key, or whose it must be.

        Raises:
            CollectError: one of them cannot be read.
        """
        told = f"{hashlib.sha256(_read(self._path, LARGEST, _ANOTHER)).hexdigest()} {envelope.fingerprint(self._key())}"
        return told if self.tenant is None else f"{told} {self.tenant}"

    def read(self) -> Believed:
        """What is signed.

        Raises:
            CollectError: the file cannot be read, is not signed by the key, of another tenant, or says what cannot be.
        """
        key = self._key()
        one = _opened(self._path, key, self._clock())
        found = one.bundle
        if self.tenant not in {None, found.tenant}:
            told = f"{self._path} is not believed: it is of tenant {found.tenant}, and the config says {self.tenant}"
            raise _malformed(told, "have the operator make one for this tenant, or mend `tenant` of the registry")
        return Believed(found, envelope.fingerprint(key), one.digest)

    def _key(self) -> Ed25519PublicKey:
        return _public_key(self._signer)


def look(path: Path, signer: Path | None, now: datetime) -> Shown:
    """What a file says, for people; only with `signer` its signature is verified.

    Raises:
        CollectError: it cannot be read, is no bundle, is not signed by that key, or says what cannot be.
    """
    return _opened(path, _public_key(signer) if signer is not None else None, now)


def _opened(path: Path, key: Ed25519PublicKey | None, now: datetime) -> Shown:
    content = _read(path, LARGEST, _ANOTHER)
    # Whoever wrote it is not known yet, and each part that is taken apart costs many times its bytes.
    if content.count(b",") > _MOST_PARTS:
        raise _malformed(f"{path} is not believed: it has too many parts for an envelope", _ANOTHER)
    try:
        cover = _parsed(content)
        payload, named = envelope.unsealed(cover, PAYLOAD_TYPE)
        if key is not None:
            payload = envelope.unseal(cover, PAYLOAD_TYPE, key)
        found = unpack(payload, now)
    except RecursionError:
        raise _malformed(f"{path} cannot be understood: it is too deep", _ANOTHER) from None
    except envelope.NotSignedError as error:
        raise _malformed(f"{path} is not believed: {error}", _OTHER_KEY) from None
    except ValueError as error:
        raise _malformed(f"{path} is not believed: {error}", _ANOTHER) from None
    signer = envelope.fingerprint(key) if key is not None else None
    return Shown(found, hashlib.sha256(payload).hexdigest(), named, signer)


def _public_key(path: Path) -> Ed25519PublicKey:
    try:
        return envelope.public_key(_read(path, _LARGEST_KEY, _KEY))
    except ValueError as error:
        raise _malformed(f"nothing can be verified with {path}: {error}", _KEY) from None


def _parsed(content: bytes) -> Any:
    """An envelope as JSON; what is none is told so that one sees what became of the file.

    Raises:
        ValueError: it is none.
        RecursionError: it is too deep.
    """
    if not content.strip():
        raise ValueError("it is empty")
    try:
        return parse_once(content)
    except UnicodeDecodeError:
        raise ValueError("it is no text, and a bundle is JSON: it was damaged, packed or is another file") from None
    except json.JSONDecodeError as error:
        if content.lstrip().startswith(b"{") and not content.rstrip().endswith(b"}"):
            raise ValueError(f"it is cut off: it ends after {len(content):,} bytes within its JSON") from None
        place = f"line {error.lineno} column {error.colno}"
        raise ValueError(f"it is no JSON, as from {place}: it was damaged or is another file") from None


def _read(path: Path, most: int, hint: str) -> bytes:
    try:
        # A pipe would be waited for, and whoever waits polls no keys.
        if not S_ISREG(path.stat().st_mode):
            raise _malformed(f"{path} is no file", "name a file")
        with path.open("rb") as file:
            content = file.read(most + 1)
    except OSError as error:
        reason = Reason.ACCESS_DENIED if isinstance(error, PermissionError) else Reason.NOT_FOUND
        raise CollectError(
            f"{path} cannot be read: {error.strerror}", "look at path and rights", reason=reason
        ) from None
    if len(content) > most:
        raise _malformed(f"{path} has more than {most:,} bytes", hint)
    return content


def _malformed(what: str, hint: str) -> CollectError:
    return CollectError(what, hint, reason=Reason.MALFORMED)
