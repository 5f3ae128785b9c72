"""Reads many keys at once; what goes wrong with one of them says nothing of the others."""

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from typing import Final

from auditor.errors import ReadOnlyError, UsageError
from auditor.model import KeyReading, KeyUnread, Reason
from auditor.ports import KeyNeed

_log = logging.getLogger(__name__)

_CALLS_AT_ONCE: Final = 8
_STALL: Final = 30.0
"""Longer than one call may take by itself."""


def each(
    needs: Iterable[KeyNeed],
    read: Callable[[KeyNeed], KeyReading],
    stall: float = _STALL,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[KeyReading]:
    """Yield one reading for each need; a failure of ours becomes a `KeyUnread` too.

    Those that come first are asked first. When for `stall` seconds none of the open ones was answered, all of them
    count as not answered.

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

    pool = ThreadPoolExecutor(_CALLS_AT_ONCE)
    asked = {pool.submit(safely, need): need for need in needs}
    try:
        waiting = set(asked)
        answered_at = clock()
        while waiting and (left := answered_at + stall - clock()) > 0:
            done, waiting = wait(waiting, timeout=left, return_when=FIRST_COMPLETED)
            for one in done:
                found = one.result()
                if not isinstance(found, KeyUnread) or found.reason is not Reason.TIMEOUT:
                    answered_at = clock()
                yield found
        for one in waiting:
            detail = f"no key was answered for {stall:.0f} s"
            yield KeyUnread(asked[one].name, Reason.TIMEOUT, detail, "look at the endpoint, and at the network")
    finally:
        # Whoever hangs does not keep the poll waiting; the client's own timeouts end it.
        pool.shutdown(wait=False, cancel_futures=True)
