"""Files with keys: read within bounds, and refused where others may read what is secret."""

import os
import shlex
import stat
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from auditor.errors import UsageError
from auditor.signing import envelope
from auditor.signing.envelope import PublicKey, Signer

LARGEST: Final = 64 * 1024
"""Bytes of a file with a key, of which no more are read; it has a hundred."""
_MAKE: Final = "make one: openssl genpkey -algorithm ed25519 -out KEY.pem"
_PUBLIC: Final = "name the public key of who signed it: `openssl pkey -in KEY.pem -pubout` writes it"


def signing_key(path: Path) -> Ed25519PrivateKey:
    """Read the key that is signed with.

    Raises:
        UsageError: it cannot be read, is no such key, or everybody on this machine may read it.
    """
    try:
        with path.open("rb") as file:
            key = envelope.private_key(file.read(LARGEST))
            rights = os.fstat(file.fileno()).st_mode
    except OSError as error:
        raise UsageError(f"the key {path} cannot be read: {error.strerror}", _MAKE) from None
    except ValueError as error:
        raise UsageError(f"nothing can be signed with {path}: {error}", _MAKE) from None
    if rights & stat.S_IROTH:
        raise UsageError(
            f"nothing is signed with {path}: everybody on this machine may read it, and sign in your name",
            f"chmod 600 {shlex.quote(str(path))}; where somebody else may have read it, make another one",
        )
    return key


def verifying_key(path: Path) -> PublicKey:
    """Read the key that is verified with.

    Raises:
        UsageError: it cannot be read, or is no such key.
    """
    try:
        with path.open("rb") as file:
            return envelope.any_public_key(file.read(LARGEST))
    except OSError as error:
        raise UsageError(f"the key {path} cannot be read: {error.strerror}", _PUBLIC) from None
    except ValueError as error:
        raise UsageError(f"nothing can be verified with {path}: {error}", _PUBLIC) from None


def fingerprint_of(key: Signer) -> str:
    """By which others know that what is signed with it is yours."""
    return envelope.fingerprint(key.public_key())
