"""The file that an operator hands to a tenant: signed, and put in place whole."""

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from auditor.errors import UsageError
from auditor.handover.bundle import LARGEST, PAYLOAD_TYPE, Bundle, pack, unpack
from auditor.private_file import private_file
from auditor.signing import envelope


def schema() -> dict[str, Any]:
    """The JSON Schema of what is signed."""
    text = files("auditor.schemas").joinpath("bundle-1.schema.json").read_text(encoding="utf-8")
    told: dict[str, Any] = json.loads(text)
    return told


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
    with private_file(target) as file:
        file.write(sealed)
