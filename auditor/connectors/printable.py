"""Texts of audit logs, which whoever made a call has partly written: printable, on one line, and not too long."""

from typing import Final

_MOST: Final = 300
"""An ARN may be longer, and no name in one is."""
_MARK: Final = "\N{REPLACEMENT CHARACTER}"


def printable(told: object) -> str | None:
    """The text with a mark for each character that cannot be printed; None where it is none, or empty."""
    if not isinstance(told, str) or not told.strip():
        return None
    clipped = told if len(told) <= _MOST else f"{told[:_MOST]}..."
    return "".join(char if char.isprintable() else _MARK for char in clipped)
