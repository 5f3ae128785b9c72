"""The audit log of a project, asked again and again, where no sink hands its entries on.

Needs `logging.logEntries.list` on the project. Source: Cloud Logging docs, Quotas and limits, Logging query language.
"""

import hashlib
import json
import logging
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final

from auditor.connectors.gcp.errors import FAULTS, code_of, hint_for, reason_of
from auditor.connectors.gcp.log_entry import stamp
from auditor.connectors.gcp.log_hints import WATCHED, parse_entry
from auditor.connectors.gcp.log_pages import LogPages
from auditor.connectors.gcp.session import GcpClients
from auditor.errors import CollectError, UsageError
from auditor.model import Reason
from auditor.ports import Heard, Hint

_log = logging.getLogger(__name__)

PERMISSION: Final = "logging.logEntries.list"
_EVERY: Final = 6.0
"""Seconds between two looks: a sixth of the project's quota of 60 a minute, which others share."""
_SHARE: Final = 0.25
_BURST: Final = 3
_MOST_PAGES: Final = 3
_OVERLAP: Final = timedelta(minutes=10)
"""How long after it was received an entry may come to be found."""
_OLDEST: Final = timedelta(hours=1)
"""What is older was not heard in time; the polls since have read the keys."""
_LATE: Final = timedelta(days=1)
"""How long after its own time an entry may be received."""


class LogFeed:
    """`ports.Feed`; of one thread.

    Each look goes back over what earlier ones have seen, because entries come late; each of them is heard once.
    """

    def __init__(
        self,
        clients: GcpClients,
        project: str,
        clock: Callable[[], datetime],
        ticks: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._pages = LogPages(clients, _SHARE, _BURST)
        self._project = project
        self.name = f"projects/{project}"
        self._clock = clock
        self._ticks = ticks
        self._sleep = sleep
        self._asked = float("-inf")
        self._seen_until: datetime | None = None
        self._handled: set[str] = set()

    def hear(self, wait: float) -> Heard:
        """Look at the log as `ports.Feed` says; where it is not yet time for that, nothing is heard.

        Raises:
            CollectError: Cloud Logging does not answer, or refuses.
        """
        due = self._asked + _EVERY - self._ticks()
        if due > 0:
            self._sleep(min(due, wait))
            if due > wait:
                return Heard()
        self._asked = self._ticks()
        try:
            return self._look(self._clock())
        except ImportError:
            hint = "pip install 'cmek-auditor[logging]'"
            raise self._failed("google-cloud-logging is not installed", hint, Reason.UNSUPPORTED) from None
        except UsageError as error:
            raise self._failed(str(error), error.hint, Reason.EXPIRED_CREDENTIALS) from None
        except FAULTS as error:
            reason = reason_of(error)
            raise self._failed(code_of(error), hint_for(reason, PERMISSION), reason) from None

    def handled(self, heard: Heard) -> None:
        """Remember what was heard, so that it is not heard again; nothing is sent."""
        self._handled.update(heard.receipts)

    def _look(self, now: datetime) -> Heard:
        # Our clock may have been ahead before the first answer told that: no look begins later than it is now.
        self._seen_until = min(self._seen_until or now, now)
        since = max(self._seen_until - _OVERLAP, now - _OLDEST)
        seen: set[str] = set()
        hints: list[Hint] = []
        fresh: list[str] = []
        poison: list[str] = []
        is_new = False
        for page in self._pages.found(self._project, filter_of(since), _MOST_PAGES):
            if page is None:
                # Whoever changes so much at once has changed more; where the last page was known, so is the rest.
                hints += [Hint(None, "more than is looked through", now, None)] if is_new else []
                break
            is_new = False
            for entry in page:
                receipt = _receipt(entry)
                if receipt in self._handled or receipt in seen:
                    seen.add(receipt)
                    continue
                seen.add(receipt)
                fresh.append(receipt)
                is_new = True
                try:
                    hint = parse_entry(entry)
                except ValueError as error:
                    poison.append(str(error))
                else:
                    hints += [hint] if hint is not None else []
        if poison:
            _log.debug(
                "feed %s: left out %d that nobody can understand, the first because %s",
                self.name,
                len(poison),
                poison[0],
            )
        self._handled &= seen
        self._seen_until = now
        return Heard(tuple(hints), tuple(fresh), len(poison))

    def _failed(self, told: str, hint: str | None, reason: Reason) -> CollectError:
        return CollectError(f"cannot hear the audit log of {self.name}: {told}", hint, reason=reason)


def filter_of(since: datetime) -> str:
    """What finds the entries that were received since; without a time of its own it would find the last day's alone."""
    return f'{WATCHED} AND receiveTimestamp>="{stamp(since)}" AND timestamp>="{stamp(since - _LATE)}"'


def _receipt(entry: Any) -> str:
    """The same for each copy of an entry. Source: the reference of `LogEntry`, insertId."""
    told = [entry.get(name) for name in ("logName", "timestamp", "insertId")]
    whole = told if all(isinstance(one, str) for one in told) else entry
    return hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()[:32]
