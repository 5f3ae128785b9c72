"""A key that signs and never leaves where it is, a cloud's KMS or an HSM, named by a URI.

Needs the extra `sign`. securesystemslib speaks to the service with clients of its own, so that what it sends does not
pass the table of read-only requests: it sends a digest to be signed, and nothing else.
"""

import logging
import re
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final

import boto3

from auditor.errors import UsageError
from auditor.signing import envelope
from auditor.signing.envelope import PublicKey

SCHEMES: Final = ("awskms", "gcpkms", "azurekms", "hsm", "hv")
"""URIs that are taken; what signs with a file, a program or an identity is none of these keys."""
_URI: Final = re.compile(r"([a-z][a-z0-9]*):.+", re.DOTALL)
_ARN: Final = re.compile(r"awskms:arn:aws[a-z-]*:kms:([a-z0-9-]+):[0-9]{12}:.+")
_INSTALL: Final = "pip install 'cmek-auditor[sign]'"


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """`envelope.Signer` by a service."""

    uri: str
    _public: PublicKey
    _signer: Any

    def public_key(self) -> PublicKey:
        """The public key that was given: what is signed is verified with it before anybody gets it."""
        return self._public

    def sign(self, data: bytes, /) -> bytes:
        """Have it signed.

        Raises:
            UsageError: it was not, or by another key.
        """
        try:
            found = bytes.fromhex(self._signer.sign(data).signature)
        except Exception as error:  # noqa: BLE001 - whatever a service's library raises; securesystemslib, Signer
            raise _failed(self.uri, error) from None
        if not envelope.is_signed(data, found, self._public):
            raise UsageError(
                f"nothing is signed: {self.uri} has another key than --public-key says",
                "give the public key that the service itself shows for this key",
            )
        return found


def is_uri(given: str) -> bool:
    """Whether it names a key by a URI, and not a file; a drive's letter is none."""
    hit = _URI.fullmatch(given)
    return hit is not None and hit[1] in SCHEMES


def signer_at(uri: str, public: PublicKey) -> Elsewhere:
    """Make who signs with the key behind a URI; nothing is signed yet.

    Raises:
        UsageError: the extra is not installed, or there is no such key, or it is of a kind that the service has not.
    """
    try:
        theirs: Any = import_module("securesystemslib.signer")
    except ImportError:
        raise UsageError(f"{uri}: keys that are elsewhere need an extra", _INSTALL) from None
    # It tells each fault itself as well, before it raises.
    logging.getLogger("securesystemslib").setLevel(logging.CRITICAL)
    try:
        if hit := _ARN.fullmatch(uri):
            boto3.setup_default_session(region_name=hit[1])
        return Elsewhere(uri, public, theirs.Signer.from_priv_key_uri(uri, theirs.SSlibKey.from_crypto(public)))
    except Exception as error:  # noqa: BLE001 - as above
        raise _failed(uri, error) from None


def _failed(uri: str, error: Exception) -> UsageError:
    told = " ".join(str(error).split())[:200] or "it does not say why"
    hint = "look at its credentials and rights, and whether it is a key of the kind that --public-key is"
    return UsageError(f"nothing is signed by {uri}: {type(error).__name__}: {told}", hint)
