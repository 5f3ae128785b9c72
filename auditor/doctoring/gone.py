"""What is told of a key that its service does not know: whether it is lost, or was never there."""

from collections.abc import Mapping
from typing import Final

from auditor.checkup import Answer, Gone, Told
from auditor.model import KeyMemory, KeyName, Reason
from auditor.outputs import words

_LOOK: Final = "look at its name in [[key]]; if it was deleted, data under it is lost, and `scan` tells how much"


def teller(configured: frozenset[KeyName], memory: Mapping[KeyName, KeyMemory]) -> Gone:
    """Tell it by what the config names, and by what is remembered of each key.

    The service answered, so that no right lacks: a deleted key is for a scan to find, a wrong name for the config.
    """

    def gone(name: KeyName) -> Told:
        known = memory.get(name)
        if known is not None and known.last_at is not None:
            until = words.instant(known.last_at)
            return Told(None, f"answered: the key is gone; it was there until {until}, and `scan` tells what is lost")
        if name in configured:
            text = "answered: there is no such key, nor was there one when it was asked before"
            first = known is None or known.missing_since is None
            told = "answered: there is no such key" if first else text
            return Told(Reason.NOT_FOUND, told, _LOOK, Answer.MISSING)
        if known is not None and known.missing_since is not None:
            since = words.instant(known.missing_since)
            return Told(None, f"answered: the key is gone, as is known since {since}; `scan` tells what is lost")
        return Told(None, "answered: there is no such key, though data names it; `scan` tells what is lost")

    return gone
