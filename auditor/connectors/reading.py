"""Reads many keys at once; what goes wrong with one of them says nothing of the others."""

import logging
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Final

from auditor.errors import ReadOnlyError, UsageError
from auditor.model import KeyName, KeyReading, KeyUnread, Reason
from auditor.ports import KeyNeed

_log = logging.getLogger(__name__)

_CALLS_AT_ONCE: Final = 8
"""In one location; each has its own endpoint, and its own workers."""
_STALL: Final = 30.0
"""Seconds without any answer after which the rest counts as not answered; longer than one call may take by itself."""
_AGAIN: Final = 60.0
"""Seconds after which a key whose call hangs is asked again: that one answer never ends says nothing of the next."""
_HANGING: Final = 3
"""Calls for one key that may hang before it is not asked any more."""
_LEFT_OVER: Final = 64
"""Calls that may hang from earlier polls before keys that were silent are not asked again."""
_HINT: Final = "look at the endpoint, and at the network"


class Reader:
    """Reads keys, poll after poll; safe to use from several threads.

    It remembers which keys were asked and did not answer: those are asked last, and after a while where a call hangs.
    """

    def __init__(self, stall: float = _STALL, clock: Callable[[], float] = time.monotonic) -> None:
        self._stall = stall
        self._clock = clock
        self._silent: set[KeyName] = set()
        self._hanging: dict[KeyName, list[Future[KeyReading]]] = {}
        self._given_up_at: dict[KeyName, float] = {}

    def each(self, needs: Iterable[KeyNeed], read: Callable[[KeyNeed], KeyReading]) -> Iterator[KeyReading]:
        """Yield one reading for each need; a failure of ours becomes a `KeyUnread` too.

        Those that come first are asked first.

        Raises:
            ReadOnlyError: a request was about to leave that must not; nothing excuses that.
        """
        for name, calls in list(self._hanging.items()):
            if left := [one for one in calls if not one.done()]:
                self._hanging[name] = left
            else:
                self._hanging.pop(name, None)
        pools: dict[str, ThreadPoolExecutor] = {}
        asked: dict[Future[KeyReading], KeyNeed] = {}
        try:
            for need in sorted(needs, key=lambda one: one.name in self._silent):
                hanging = sum(len(calls) for calls in list(self._hanging.values()))
                if self._hangs(need.name) or (hanging >= _LEFT_OVER and need.name in self._silent):
                    yield KeyUnread(need.name, Reason.TIMEOUT, "an earlier call has no answer yet", _HINT)
                    continue
                where = _location(need)
                if where not in pools:
                    pools[where] = ThreadPoolExecutor(_CALLS_AT_ONCE)
                asked[pools[where].submit(_safely, need, read)] = need
            yield from self._answers(asked)
        finally:
            # Whoever hangs does not keep the poll waiting. The client's own timeouts count from byte to byte.
            for pool in pools.values():
                pool.shutdown(wait=False, cancel_futures=True)

    def _answers(self, asked: dict[Future[KeyReading], KeyNeed]) -> Iterator[KeyReading]:
        """Take what comes, location by location: that one is silent says nothing of another."""
        answered_at: defaultdict[str, float] = defaultdict(self._clock)
        waiting = set(asked)
        while waiting:
            for one in waiting:
                answered_at[_location(asked[one])]
            patient = {one for one in waiting if self._left(answered_at[_location(asked[one])]) > 0}
            for one in waiting - patient:
                yield self._given_up(one, asked[one])
            if not patient:
                return
            left = min(self._left(answered_at[_location(asked[one])]) for one in patient)
            done, waiting = wait(patient, timeout=left, return_when=FIRST_COMPLETED)
            for one in done:
                found = one.result()
                if isinstance(found, KeyUnread) and found.reason is Reason.TIMEOUT:
                    self._silent.add(found.name)
                else:
                    self._silent.discard(found.name)
                    answered_at[_location(asked[one])] = self._clock()
                yield found

    def _hangs(self, name: KeyName) -> bool:
        calls = self._hanging.get(name, [])
        return len(calls) >= _HANGING or (bool(calls) and self._clock() - self._given_up_at[name] < _AGAIN)

    def _left(self, answered_at: float) -> float:
        return answered_at + self._stall - self._clock()

    def _given_up(self, call: Future[KeyReading], need: KeyNeed) -> KeyUnread:
        if not call.cancel() and not call.done():
            self._silent.add(need.name)
            self._hanging.setdefault(need.name, []).append(call)
            self._given_up_at[need.name] = self._clock()
        return KeyUnread(need.name, Reason.TIMEOUT, f"no key was answered for {self._stall:.0f} s", _HINT)


def _location(need: KeyNeed) -> str:
    return f"{need.name.cloud}/{need.name.location}"


def _safely(need: KeyNeed, read: Callable[[KeyNeed], KeyReading]) -> KeyReading:
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
