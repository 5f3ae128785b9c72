"""What an object holds, as it comes over the wire; what hardly comes is given up."""

from collections.abc import Callable, Iterator
from typing import Final, Protocol

from auditor.errors import CollectError
from auditor.model import Reason

_CHUNK: Final = 1 << 20
_WINDOW: Final = 60.0
"""Seconds over which it is looked at how fast it comes."""
_SLOWEST: Final = 16 << 10
"""Bytes a second, below which it is given up."""


class Body(Protocol):
    """What is being read."""

    def read1(self, amt: int, /) -> bytes:
        """Whatever is there, as soon as something is."""


def flowing(body: Body, due: int | None, what: str, ticks: Callable[[], float]) -> Iterator[bytes]:
    """Yield what comes: the client's own timeout begins anew with each byte.

    `due`: how many bytes there are, where anybody said so. `ticks`: seconds since whenever.

    Raises:
        CollectError: it breaks off, or comes too slowly.
    """
    had, since, looked = 0, 0, ticks()
    # No `read`: that waits until it has all that it was asked for.
    while some := body.read1(_CHUNK):
        had, since = had + len(some), since + len(some)
        yield some
        if (now := ticks()) - looked >= _WINDOW:
            if since < _SLOWEST * (now - looked) and had != due:
                raise _stopped(f"{what} comes too slowly")
            since, looked = 0, now
    if due is not None and had != due:
        raise _stopped(f"{what} breaks off")


def _stopped(why: str) -> CollectError:
    hint = "look at the network between the auditor and the cloud, and try again"
    return CollectError(why, hint, reason=Reason.TIMEOUT)
