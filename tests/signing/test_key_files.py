"""Which keys are read from files: Ed25519 to sign with, and whatever a service signs with to verify."""

from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from auditor.signing.envelope import any_public_key, fingerprint, private_key, public_key

ED25519 = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
KEYS: dict[str, Any] = {
    "Ed25519": ED25519,
    "P-256": ec.generate_private_key(ec.SECP256R1()),
    "P-384": ec.generate_private_key(ec.SECP384R1()),
    "P-521": ec.generate_private_key(ec.SECP521R1()),
    "RSA": rsa.generate_private_key(65537, 2048),
}
TO_VERIFY = {"Ed25519", "P-256", "P-384"}


def secret(name: str, passphrase: bytes | None = None) -> bytes:
    how = BestAvailableEncryption(passphrase) if passphrase else NoEncryption()
    told: bytes = KEYS[name].private_bytes(Encoding.PEM, PrivateFormat.PKCS8, how)
    return told


def public(name: str) -> bytes:
    told: bytes = KEYS[name].public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return told


def test_what_was_written_is_read() -> None:
    read = private_key(secret("Ed25519"))
    assert read.private_bytes_raw() == ED25519.private_bytes_raw()
    assert public_key(public("Ed25519")).public_bytes_raw() == ED25519.public_key().public_bytes_raw()


@pytest.mark.parametrize("name", KEYS)
def test_a_key_of_another_kind_signs_nothing(name: str) -> None:
    if name != "Ed25519":
        with pytest.raises(ValueError, match=r"^it is no Ed25519 key$"):
            private_key(secret(name))
        with pytest.raises(ValueError, match=r"^it is no Ed25519 key$"):
            public_key(public(name))
    if name in TO_VERIFY:
        assert fingerprint(any_public_key(public(name))) == fingerprint(KEYS[name].public_key())
    else:
        with pytest.raises(ValueError, match=r"^it is neither an Ed25519 key nor one on the curves P-256 or P-384$"):
            any_public_key(public(name))


NO_KEYS: dict[str, tuple[Callable[[bytes], object], bytes, str]] = {
    "a passphrase": (private_key, secret("Ed25519", b"open"), "it is encrypted with a passphrase"),
    "a public key to sign with": (private_key, public("Ed25519"), "it is no private key in PEM form"),
    "nothing to sign with": (private_key, b"", "it is no private key in PEM form"),
    "a private key to verify with": (public_key, secret("Ed25519"), "it is no public key in PEM form"),
    "nothing to verify with": (any_public_key, b"\xff", "it is no public key in PEM form"),
}


@pytest.mark.parametrize(("read", "pem", "because"), NO_KEYS.values(), ids=NO_KEYS)
def test_what_is_no_such_key_says_what_it_is(read: Callable[[bytes], object], pem: bytes, because: str) -> None:
    with pytest.raises(ValueError, match=f"^{because}$"):
        read(pem)
