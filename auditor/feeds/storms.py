"""How soon a key may be read again that is hinted at again and again: a storm of hints is to be no storm of polls."""

from collections.abc import Iterable
from typing import Final

from auditor.model import KeyName

_FIRST: Final = 1.0
"""Seconds between the first two readings; each further one doubles them."""
LONGEST: Final = 8.0
"""Seconds at most, so that whatever happens in a storm is in a judgement within ten."""
_CALM: Final = 10.0
"""Seconds without a hint behind that time, after which a storm is over."""


class Storms:
    """When each key was read for a hint, and how long it rests then; None stands for all keys."""

    def __init__(self) -> None:
        self._read: dict[KeyName | None, tuple[float, float]] = {}

    def due(self, key: KeyName | None, now: float) -> float:
        """From when on it may be read for a hint: at once, unless it was a moment ago."""
        at, rest = self._read.get(key, (now, 0.0))
        return at + rest

    def read(self, keys: Iterable[KeyName | None], now: float) -> None:
        """Note that these were read; the sooner after the time before, the longer they rest."""
        # Of what is calm nothing needs to be known.
        self._read = {key: (at, rest) for key, (at, rest) in self._read.items() if now - at < rest + _CALM}
        for key in keys:
            _, rest = self._read.get(key, (now, 0.0))
            self._read[key] = now, min(LONGEST, 2 * rest) or _FIRST
