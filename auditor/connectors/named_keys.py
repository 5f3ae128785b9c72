"""Keys as others name them: a registry is to give the full name, and what it gives instead is told."""

from auditor.model import KeyName


def why_no_key(text: str) -> str | None:
    """Why a text names no key; None where it does."""
    try:
        KeyName.parse(text)
    except ValueError:
        if "alias/" in text:
            return "its key is an alias, which moves: a registry names the key behind it"
        if "/cryptoKeyVersions/" in text:
            return "its key is a key version: a registry names the key without it"
        return "its key is not the full name of a key"
    return None
