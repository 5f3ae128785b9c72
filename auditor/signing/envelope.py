"""A signed envelope: one payload, its type, one signature over both.

Source: DSSE 1.0.2 (https://github.com/secure-systems-lab/dsse), protocol.md and envelope.md; RFC 8032 for Ed25519.
"""

import hashlib
import json
import re
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from typing import Any, Final, Protocol, TypeAlias

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256, SHA384
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

_FINGERPRINT: Final = re.compile(r"[0-9a-f]{64}")
_URL_SAFE: Final = str.maketrans("-_", "+/")


_HASHES: Final = {"secp256r1": SHA256(), "secp384r1": SHA384()}
"""The curve of a key -> the hash that is signed, of the same strength. Source: FIPS 186-5, 6.1.1, and RFC 5480."""

PublicKey: TypeAlias = Ed25519PublicKey | EllipticCurvePublicKey


class Signer(Protocol):
    """A private key, wherever it is."""

    def public_key(self) -> PublicKey:
        """What is verified with."""

    def sign(self, data: bytes, /) -> bytes:
        """Sign it."""


class NotSignedError(ValueError):
    """An envelope is not signed by the key that was expected, or was changed since."""


def private_key(pem: bytes) -> Ed25519PrivateKey:
    """Read a key to sign with.

    Raises:
        ValueError: it is none, or another kind of key, or encrypted.
    """
    try:
        key = load_pem_private_key(pem, password=None)
    except TypeError:
        raise ValueError("it is encrypted with a passphrase") from None
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError("it is no private key in PEM form") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise ValueError("it is no Ed25519 key")  # noqa: TRY004 - what a file holds is a value
    return key


def public_key(pem: bytes) -> Ed25519PublicKey:
    """Read a key to verify with.

    Raises:
        ValueError: it is none, or another kind of key.
    """
    try:
        key = load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError("it is no public key in PEM form") from None
    if not isinstance(key, Ed25519PublicKey):
        raise ValueError("it is no Ed25519 key")  # noqa: TRY004 - as above
    return key


def any_public_key(pem: bytes) -> PublicKey:
    """Read a key to verify with, of any kind that a service may sign evidence with.

    Raises:
        ValueError: it is none, or another kind of key.
    """
    try:
        key = load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError("it is no public key in PEM form") from None
    if isinstance(key, Ed25519PublicKey):
        return key
    if isinstance(key, EllipticCurvePublicKey) and key.curve.name in _HASHES:
        return key
    raise ValueError("it is neither an Ed25519 key nor one on the curves P-256 or P-384")


def fingerprint(key: PublicKey) -> str:
    """SHA-256 of the public key as DER, hexadecimal: `openssl pkey -pubin -outform DER | sha256sum` says the same."""
    return hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


def seal(payload: bytes, kind: str, key: Signer) -> bytes:
    """Sign a payload; `kind` is its type. The same payload and Ed25519 key give the same bytes."""
    return _written(payload, kind, key.sign(_signed(kind, payload)), fingerprint(key.public_key()))


def rewritten(envelope: Any, kind: str) -> bytes:
    """The bytes in which `seal` writes an envelope that was read: another form of the same was not written by it.

    Raises:
        ValueError: it is no envelope, or holds another type.
    """
    payload, signature, named = _opened(envelope, kind)
    return _written(payload, kind, signature, named)


def unsealed(envelope: Any, kind: str) -> tuple[bytes, str | None]:
    """The payload of an envelope whose signature nobody verifies, and the fingerprint of the key that it names.

    For people who look at it; nothing may be believed of it.

    Raises:
        ValueError: it is no envelope, or holds another type.
    """
    payload, _, named = _opened(envelope, kind)
    return payload, _fingerprint_in(named)


def unseal(envelope: Any, kind: str, key: PublicKey) -> bytes:
    """Give the payload of an envelope, which is JSON that was read, once its signature is verified.

    Nothing of the payload is looked at before that. `keyid` decides nothing: nobody has signed it.

    Raises:
        NotSignedError: it is not signed by this key.
        ValueError: it is no envelope, or holds another type.
    """
    payload, signature, named = _opened(envelope, kind)
    if not is_signed(_signed(kind, payload), signature, key):
        raise NotSignedError(_why(named, fingerprint(key)))
    return payload


def is_signed(data: bytes, signature: bytes, key: PublicKey) -> bool:
    """Whether a key has signed this; the key alone decides by which algorithm."""
    try:
        if isinstance(key, Ed25519PublicKey):
            key.verify(signature, data)
        else:
            key.verify(signature, data, ECDSA(_HASHES[key.curve.name]))
    except InvalidSignature:
        return False
    return True


def _written(payload: bytes, kind: str, signature: bytes, named: object) -> bytes:
    told = {"payload": _text(payload), "payloadType": kind, "signatures": [{"keyid": named, "sig": _text(signature)}]}
    return json.dumps(told, sort_keys=True, separators=(",", ":")).encode() + b"\n"


def _opened(envelope: Any, kind: str) -> tuple[bytes, bytes, object]:
    """Payload, signature and what it calls its key; none of it is verified."""
    fields = {"payload", "payloadType", "signatures"}
    if not isinstance(envelope, dict) or envelope.keys() != fields:
        raise ValueError("it is JSON, and no signed envelope: it has not exactly payload, payloadType and signatures")
    if envelope["payloadType"] != kind:
        raise ValueError(f"its payloadType is another than {kind}")
    payload = _bytes(envelope["payload"], "payload")
    signatures = envelope["signatures"]
    if not isinstance(signatures, list) or len(signatures) != 1:
        raise ValueError("it has not exactly one signature")
    (one,) = signatures
    if not isinstance(one, dict) or not {"sig"} <= one.keys() <= {"sig", "keyid"}:
        raise ValueError("its signature is none")
    signature = _bytes(one["sig"], "signature")
    return payload, signature, one.get("keyid")


def _fingerprint_in(named: object) -> str | None:
    return named if isinstance(named, str) and _FINGERPRINT.fullmatch(named) else None


def _why(named: object, expected: str) -> str:
    """Why a signature may not fit; which key it is of only the envelope says, for whom nobody vouches."""
    if named == expected:
        return f"it names the expected key sha256:{expected}, and was changed or damaged after that had signed it"
    if told := _fingerprint_in(named):
        return f"it is not signed by the expected key sha256:{expected}; it names sha256:{told}"
    return f"it is not signed by the expected key sha256:{expected}, or was changed since; it names no key"


def _signed(kind: str, payload: bytes) -> bytes:
    """What a signature is over. Source: DSSE, protocol.md, PAE."""
    name = kind.encode()
    return b"DSSEv1 %d %b %d %b" % (len(name), name, len(payload), payload)


def _text(content: bytes) -> str:
    return b64encode(content).decode("ascii")


def _bytes(text: object, what: str) -> bytes:
    """Both alphabets are allowed. Source: DSSE, envelope.md."""
    if not isinstance(text, str):
        raise ValueError(f"its {what} is no text")  # noqa: TRY004 - as above
    try:
        return b64decode(text.translate(_URL_SAFE), validate=True)
    except (Base64Error, ValueError):
        raise ValueError(f"its {what} is no base64, so that it was damaged") from None
