"""Keys as others name them: a registry is to give the full name, and what it gives instead is told."""

from auditor.model import KeyName
from auditor.ownership.registered import Mismatch


def why_no_key(text: str) -> tuple[str, Mismatch | None] | None:
    """Why a text names no key, and where it is one by another kind of name, which; None where it names one."""
    try:
        KeyName.parse(text)
    except ValueError:
        if "alias/" in text:
            return "its key is an alias, which moves: a registry names the key behind it", Mismatch.ALIAS
        if "/cryptoKeyVersions/" in text:
            return "its key is a key version: a registry names the key without it", Mismatch.VERSION
        return "its key is not the full name of a key", None
    return None
