"""The keys of a cloud that is made when the first of them is to be read: nobody knows before whether it is used."""

import threading
from collections.abc import Callable, Iterable, Iterator

from auditor.model import Cloud, KeyReading
from auditor.ports import KeyNeed, KeySource


class Late:
    """A `KeySource` that imports no SDK and needs no credentials until then."""

    def __init__(self, cloud: Cloud, make: Callable[[], KeySource]) -> None:
        self.cloud = cloud
        self._make = make
        self._made: KeySource | None = None
        self._lock = threading.Lock()

    def read(self, needs: Iterable[KeyNeed]) -> Iterator[KeyReading]:
        """Yield one reading for each need.

        Raises:
            UsageError: there are no credentials where the config needs them.
        """
        with self._lock:
            self._made = self._made or self._make()
        return self._made.read(needs)
