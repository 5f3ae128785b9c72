"""A Pub/Sub subscription that a log sink fills: who changed a key is heard seconds later.

Needs `pubsub.subscriptions.consume` on the subscription. Source: Pub/Sub's REST reference, subscriptions.pull,
subscriptions.acknowledge and subscriptions.get.
"""

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

import requests
from google.api_core import exceptions as api

from auditor.connectors.gcp.errors import FAULTS, code_of, hint_for, reason_of, status_of
from auditor.connectors.gcp.log_hints import parse_message
from auditor.connectors.gcp.session import GcpClients
from auditor.connectors.printable import printable
from auditor.errors import CollectError, UsageError
from auditor.model import Reason
from auditor.ports import Heard, Hint

_log = logging.getLogger(__name__)

PERMISSION: Final = "pubsub.subscriptions.consume"
_AT_ONCE: Final = 100
"""Messages in one answer at most."""
_DEADLINE: Final = "X-Server-Timeout"
"""The header that tells a service of Google how many seconds it may take."""
_GRACE: Final = 2
"""Seconds by which the service is to give up waiting before we do: what it sends to nobody is lent out until its
acknowledgement is overdue, and nobody hears it before."""
_TIMEOUT: Final = 5
"""Seconds for an answer that is not to be waited for."""
_EVERY: Final = 2.0
"""Seconds between two looks at a service that does not give up in time."""
_IMPATIENT_FOR: Final = 3600.0
"""Seconds after which it is tried again."""


class PubSubFeed:
    """`ports.Feed`; of one thread.

    The service holds a pull back until there is a message, and gives up when our deadline has come. One that keeps
    waiting beyond it is asked again and again without waiting.
    """

    def __init__(
        self,
        clients: GcpClients,
        subscription: str,
        project: str | None,
        ticks: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._clients = clients
        self._project = project
        self.name = subscription
        self._ticks = ticks
        self._sleep = sleep
        self._impatient_until = float("-inf")

    def hear(self, wait: float) -> Heard:
        """Wait for messages as `ports.Feed` says.

        Raises:
            CollectError: Pub/Sub does not answer, or refuses.
        """
        waits = int(wait) - _GRACE if self._ticks() >= self._impatient_until else 0
        try:
            heard = self._heard(self._pull(waits))
        except requests.ReadTimeout as error:
            if waits <= 0:
                raise self._failed("hear", error) from None
            self._impatient_until = self._ticks() + _IMPATIENT_FOR
            return Heard()
        except (*FAULTS, UsageError) as error:
            if isinstance(error, api.GatewayTimeout) and waits > 0 and status_of(error) == "DEADLINE_EXCEEDED":
                return Heard()
            raise self._failed("hear", error) from None
        if not heard.receipts and waits <= 0:
            self._sleep(min(wait, _EVERY))
        return heard

    def waits(self) -> bool:
        """Whether a message waits, without waiting for one; it comes again when its acknowledgement is overdue.

        Raises:
            CollectError: as `hear` says.
        """
        try:
            return bool(self._pull(0, most=1))
        except (*FAULTS, UsageError) as error:
            raise self._failed("hear", error) from None

    def deadline(self) -> int | None:
        """Seconds until a message comes again that was not acknowledged; None where Pub/Sub does not say so.

        Needs `pubsub.subscriptions.get`, which whoever may hear need not have.

        Raises:
            CollectError: as `hear` says.
        """
        try:
            session, url = self._clients.feeds(self._project), f"{self._clients.at('pubsub')}/v1/{self.name}"
            answer = session.get(url, timeout=_TIMEOUT)
            if not answer.ok:
                raise api.from_http_response(answer)
        except (*FAULTS, UsageError) as error:
            raise self._failed("look at", error) from None
        told: int | None = answer.json().get("ackDeadlineSeconds")
        return told

    def handled(self, heard: Heard) -> None:
        """Acknowledge what was heard.

        Raises:
            CollectError: it could not be; the messages will come again.
        """
        if not heard.receipts:
            return
        try:
            self._asked("acknowledge", {"ackIds": list(heard.receipts)}, {}, _TIMEOUT)
        except (*FAULTS, UsageError) as error:
            raise self._failed("acknowledge what was heard of", error) from None

    def _pull(self, waits: int, most: int = _AT_ONCE) -> Sequence[Mapping[str, Any]]:
        asked: dict[str, Any] = {"maxMessages": most}
        if waits > 0:
            told = self._asked("pull", asked, {_DEADLINE: str(waits)}, waits + _GRACE)
        else:
            told = self._asked("pull", {**asked, "returnImmediately": True}, {}, _TIMEOUT)
        messages: Sequence[Mapping[str, Any]] = told.get("receivedMessages", ())
        return messages

    def _asked(self, call: str, body: Mapping[str, Any], headers: Mapping[str, str], timeout: float) -> Any:
        """Ask once; whoever hears goes on hearing, and what is not acknowledged comes again."""
        session, url = self._clients.feeds(self._project), f"{self._clients.at('pubsub')}/v1/{self.name}:{call}"
        answer = session.post(url, json=body, headers=headers, timeout=(_TIMEOUT, timeout))
        if not answer.ok:
            raise api.from_http_response(answer)
        return answer.json()

    def _heard(self, received: Iterable[Mapping[str, Any]]) -> Heard:
        hints: list[Hint] = []
        receipts: list[str] = []
        poison: list[str] = []
        for one in received:
            receipts.append(one["ackId"])
            message = one.get("message", {})
            try:
                hint = parse_message(message)
            except ValueError as error:
                poison.append(f"{printable(message.get('messageId'))}: {error}")
            else:
                hints += [hint] if hint is not None else []
        if poison:
            # Whoever listens warns once an hour: a flood of them must not fill the log.
            _log.debug(
                "feed %s: left out %d that nobody can understand, the first %s", self.name, len(poison), poison[0]
            )
        return Heard(tuple(hints), tuple(receipts), len(poison))

    def _failed(self, what: str, error: Exception) -> CollectError:
        if isinstance(error, UsageError):
            return CollectError(f"cannot {what} {self.name}: {error}", error.hint, reason=Reason.EXPIRED_CREDENTIALS)
        reason = reason_of(error)
        return CollectError(f"cannot {what} {self.name}: {code_of(error)}", hint_of(reason), reason=reason)


def hint_of(reason: Reason) -> str:
    """What would let the feed be heard again."""
    if reason is Reason.ACCESS_DENIED:
        return f"grant {PERMISSION} on the subscription to the auditor: `cmek-auditor doctor --grants gcp` prints how"
    if reason is Reason.NOT_FOUND:
        return "look at the name in [[account]] feed; if somebody deleted the subscription, make it again"
    if reason is Reason.THROTTLED:
        return "look at the quota of Pub/Sub in the subscription's project"
    return hint_for(reason, PERMISSION)
