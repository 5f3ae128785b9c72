"""One link of the ledger's chain, and its hash: what anybody can compute again without a database."""

import hashlib
import json
import re
from dataclasses import dataclass
from typing import Final

FIRST: Final = "0" * 64
"""What the first link names as the hash before it."""

# An escaped backslash is stepped over, then a whole pair, so that only a surrogate by itself is left to be replaced.
_HALF: Final = re.compile(
    r"(\\\\|\\ud[89ab][0-9a-f]{2}\\ud[c-f][0-9a-f]{2})|\\ud[89a-f][0-9a-f]{2}",
)
_ENCODER: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":"))
_quoted: Final = json.encoder.encode_basestring_ascii


@dataclass(frozen=True, slots=True)
class Event:
    """One link of the chain."""

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
        texts = map(_quoted, (self.at, self.kind, self.subject, self.body))
        told = _without_halves(f"[{_quoted(self.previous)},{self.seq},{','.join(texts)}]")
        return hashlib.sha256(told.encode()).hexdigest()


def canonical(value: object) -> str:
    """One text for equal values: sorted keys, no spaces, ASCII; half a character, which is no text, becomes a mark."""
    return _without_halves(_ENCODER.encode(value))


def _without_halves(text: str) -> str:
    """JSON in which half a character has become a mark; nearly every text has none."""
    return _HALF.sub(lambda hit: hit[1] or r"\ufffd", text) if r"\ud" in text else text
