"""What an object on S3 holds, as it comes over the wire."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from urllib3.exceptions import HTTPError

from auditor.connectors import flowing as wire
from auditor.connectors.aws.errors import FAULTS as OF_ANSWERS

FAULTS: Final = (*OF_ANSWERS, HTTPError)
"""Everything that can be raised instead of an answer, or of the rest of one."""


def flowing(told: Mapping[str, Any], what: str, ticks: Callable[[], float]) -> Iterator[bytes]:
    """Yield what comes of the answer to `GetObject`.

    Raises:
        CollectError: it breaks off, or comes too slowly; others of `FAULTS` are the client's.
    """
    with told["Body"] as body:
        yield from wire.flowing(body, told["ContentLength"], what, ticks)
