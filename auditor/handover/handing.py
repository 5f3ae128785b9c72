"""The file that an operator hands to a tenant: signed, and put in place whole."""

import json
import os
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from auditor.errors import AuditorError, UsageError
from auditor.handover import envelope
from auditor.handover.bundle import LARGEST, PAYLOAD_TYPE, Bundle, pack, unpack

_LARGEST_KEY: Final = 64 * 1024
"""Bytes of a file with a private key, of which no more are read; it has a hundred."""
_MAKE: Final = "make one: openssl genpkey -algorithm ed25519 -out KEY.pem"


def schema() -> dict[str, Any]:
    """The JSON Schema of what is signed."""
    text = files("auditor.schemas").joinpath("bundle-1.schema.json").read_text(encoding="utf-8")
    told: dict[str, Any] = json.loads(text)
    return told


def signing_key(path: Path) -> Ed25519PrivateKey:
    """Read the key that bundles are signed with.

    Raises:
        UsageError: it cannot be read, or is no such key.
    """
    try:
        with path.open("rb") as file:
            return envelope.private_key(file.read(_LARGEST_KEY))
    except OSError as error:
        raise UsageError(f"the key {path} cannot be read: {error.strerror}", _MAKE) from None
    except ValueError as error:
        raise UsageError(f"nothing can be signed with {path}: {error}", _MAKE) from None


def fingerprint_of(key: Ed25519PrivateKey) -> str:
    """By which a tenant knows that what is signed with it is yours."""
    return envelope.fingerprint(key.public_key())


def hand_over(bundle: Bundle, key: Ed25519PrivateKey, target: Path) -> None:
    """Sign a bundle and write it; nobody but the owner of the file may read it.

    Raises:
        AuditorError: it cannot be written.
        UsageError: nobody could read it: it is too large, or what was seen cannot be.
    """
    payload = pack(bundle)
    try:
        unpack(payload, bundle.made)
    except ValueError as error:
        raise UsageError(f"nobody could read the bundle: {error}", "scan again, and look what is odd there") from None
    sealed = envelope.seal(payload, PAYLOAD_TYPE, key)
    if len(sealed) > LARGEST:
        raise UsageError(
            f"the bundle of tenant {bundle.tenant!r} has {len(sealed):,} bytes, and no more than {LARGEST:,} are read",
            "let a registry tell several tenants in its place",
        )
    writing = target.with_name(f".writing-{os.getpid()}-{target.name}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            # What another process left there is none of ours, whoever may read it.
            writing.unlink(missing_ok=True)
            with os.fdopen(os.open(writing, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(sealed)
                file.flush()
                os.fsync(file.fileno())
            writing.replace(target)
        finally:
            writing.unlink(missing_ok=True)
    except OSError as error:
        raise AuditorError(f"cannot write {target}: {error.strerror}", "choose another --output") from None
