"""What an object on S3 holds, as it comes over the wire; what hardly comes is given up."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from urllib3.exceptions import HTTPError

from auditor.connectors.aws.errors import FAULTS as OF_ANSWERS
from auditor.errors import CollectError
from auditor.model import Reason

FAULTS: Final = (*OF_ANSWERS, HTTPError)
"""Everything that can be raised instead of an answer, or of the rest of one."""
_CHUNK: Final = 1 << 20
_WINDOW: Final = 60.0
"""Seconds over which it is looked at how fast it comes."""
_SLOWEST: Final = 16 << 10
"""Bytes a second, below which it is given up."""


def flowing(told: Mapping[str, Any], what: str, ticks: Callable[[], float]) -> Iterator[bytes]:
    """Yield what comes of the answer to `GetObject`: the client's own timeout begins anew with each byte.

    `ticks`: seconds since whenever.

    Raises:
        CollectError: it breaks off, or comes too slowly; others of `FAULTS` are the client's.
    """
    had, since, looked = 0, 0, ticks()
    due = told["ContentLength"]
    with told["Body"] as body:
        # No `read`: that waits until it has all that it was asked for.
        while some := body.read1(_CHUNK):
            had, since = had + len(some), since + len(some)
            yield some
            if (now := ticks()) - looked >= _WINDOW:
                if since < _SLOWEST * (now - looked) and had < due:
                    raise _stopped(f"{what} comes too slowly")
                since, looked = 0, now
    if had != due:
        raise _stopped(f"{what} breaks off")


def _stopped(why: str) -> CollectError:
    return CollectError(why, "look at the network between the auditor and AWS, and try again", reason=Reason.TIMEOUT)
