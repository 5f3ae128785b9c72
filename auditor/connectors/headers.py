"""The raw header lines of HTTP answers, as libcurl hands them over."""

from typing import Final

_STATUS: Final = b"HTTP/"
_BORDERS: Final = (b"\n\r\n" + _STATUS, b"\n\n" + _STATUS)


def last_answer(raw: bytes) -> bytes:
    """Cut off interim answers, and those of a proxy, that stand before the answer itself.

    Each begins behind an empty line: within an answer a line that begins like a status line is no other answer.
    """
    for border in _BORDERS:
        found = raw.rfind(border)
        if found >= 0:
            raw = raw[found + len(border) - len(_STATUS) :]
    return raw


def header(raw: bytes, name: bytes) -> str | None:
    """Look up one header of the last answer; `name` in lower case."""
    for line in last_answer(raw).split(b"\r\n"):
        key, colon, value = line.partition(b":")
        if colon and key.strip().lower() == name:
            return value.strip().decode("latin-1")
    return None
