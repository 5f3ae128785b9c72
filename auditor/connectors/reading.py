"""Reads many keys at once; what goes wrong with one of them says nothing of the others."""

import logging
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from auditor.errors import ReadOnlyError, UsageError
from auditor.model import KeyReading, KeyUnread, Reason
from auditor.ports import KeyNeed

_log = logging.getLogger(__name__)

_CALLS_AT_ONCE: Final = 8


def each(needs: Iterable[KeyNeed], read: Callable[[KeyNeed], KeyReading]) -> Iterator[KeyReading]:
    """Yield one reading for each need, in their order; a failure of ours becomes a `KeyUnread` too.

    Raises:
        ReadOnlyError: a request was about to leave that must not; nothing excuses that.
    """

    def safely(need: KeyNeed) -> KeyReading:
        try:
            return read(need)
        except ReadOnlyError:
            raise
        except UsageError as error:
            return KeyUnread(need.name, Reason.EXPIRED_CREDENTIALS, str(error), error.hint or "look at the config")
        except Exception as error:  # noqa: BLE001 - one key's defect must not blind the others
            _log.debug("reading %s", need.name, exc_info=True)
            detail = f"a defect of the auditor: {type(error).__name__}"
            return KeyUnread(need.name, Reason.UNSUPPORTED, detail, "poll this key with --verbose and report it")

    with ThreadPoolExecutor(_CALLS_AT_ONCE) as pool:
        yield from pool.map(safely, needs)
