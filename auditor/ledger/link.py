"""One link of the ledger's chain, and its hash: what anybody can compute again without a database."""

import hashlib
import json
import re
from typing import Final, NamedTuple

FIRST: Final = "0" * 64
"""What the first link names as the hash before it."""

# An escaped backslash is stepped over, then a whole pair, so that only a surrogate by itself is left to be replaced.
_HALF: Final = re.compile(
    r"(\\\\|\\ud[89ab][0-9a-f]{2}\\ud[c-f][0-9a-f]{2})|\\ud[89a-f][0-9a-f]{2}",
)
_ENCODER: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":"))
_quoted: Final = json.encoder.encode_basestring_ascii


class Event(NamedTuple):
    """One link of the chain, in the order of the table's columns; a tuple, because millions of them are read."""

    seq: int
    at: str
    kind: str
    subject: str
    body: str
    previous: str

    @property
    def hash(self) -> str:
        """SHA-256 over everything in the link, the hash of the one before included."""
        # As `canonical` writes a list of them, piece by piece: a year of polls has half a million links.
        previous, seq, at, kind = _quoted(self.previous), self.seq, _quoted(self.at), _quoted(self.kind)
        told = _without_halves(f"[{previous},{seq},{at},{kind},{_quoted(self.subject)},{_quoted(self.body)}]")
        return hashlib.sha256(told.encode()).hexdigest()


def canonical(value: object) -> str:
    """One text for equal values: sorted keys, no spaces, ASCII; half a character, which is no text, becomes a mark."""
    return _without_halves(_ENCODER.encode(value))


def _without_halves(text: str) -> str:
    """JSON in which half a character has become a mark; nearly every text has none."""
    return _HALF.sub(lambda hit: hit[1] or r"\ufffd", text) if r"\ud" in text else text
