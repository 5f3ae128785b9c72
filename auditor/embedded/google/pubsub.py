"""Pub/Sub, as far as a log sink fills a subscription and somebody pulls: over REST, at least once, in no order."""

import base64
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from auditor.embedded.google.kms import FailedRpcError
from auditor.embedded.google.log_filter import compiled
from auditor.embedded.google.store import Store

_LONGEST: Final = 90.0
"""Seconds that a pull is held back at most, whatever its header says."""
_STEP: Final = 0.5
"""Seconds after which whoever waits looks whether something was lent out long enough."""


@dataclass
class _Message:
    id: str
    data: bytes
    attributes: dict[str, str]
    published: datetime
    lent_until: datetime
    receipts: set[str] = field(default_factory=set)


@dataclass
class Subscription:
    """One subscription with the sink and the topic before it."""

    name: str
    taken: int
    """How many entries of the log the sink has looked at."""
    filter: str = ""
    acknowledge_within: timedelta = timedelta(seconds=10)
    copies: int = 1
    """How often each message comes in one answer."""
    backwards: bool = False
    """The newest comes first."""
    messages: list[_Message] = field(default_factory=list)
    made: int = 0
    """Messages and receipts so far."""


class PubSubService:
    """Answers from a store; time comes from the store's clock, but for how long a pull is held back."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.subscriptions: dict[str, Subscription] = {}

    def subscribe(self, name: str, **more: Any) -> Subscription:
        """Make a subscription that gets every entry of the log from now on which fits its `filter`."""
        with self._store.lock:
            self.subscriptions[name] = Subscription(name, len(self._store.log), **more)
            return self.subscriptions[name]

    def publish(self, name: str, data: bytes, attributes: Mapping[str, str] | None = None) -> None:
        """Put a message into a subscription by hand."""
        with self._store.changed:
            self._put(self.subscriptions[name], data, attributes or {})
            self._store.changed.notify_all()

    def answer(self, verb: str, path: str, headers: Mapping[str, str], body: bytes) -> dict[str, Any]:
        """Answer one request.

        Raises:
            FailedRpcError: in the words of Pub/Sub.
        """
        name, _, call = path.removeprefix("/v1/").partition(":")
        asked = json.loads(body or b"{}")
        if (verb, call) == ("PUT", ""):
            within = timedelta(seconds=int(asked.get("ackDeadlineSeconds") or 10))
            self.subscribe(name, acknowledge_within=within)
            return {"name": name, "topic": asked.get("topic", ""), "ackDeadlineSeconds": int(within.total_seconds())}
        is_look = (verb, call) == ("GET", "")
        if not is_look and (verb != "POST" or call not in {"pull", "acknowledge"}):
            raise FailedRpcError("UNIMPLEMENTED", f"{verb} {call} is not part of this embedded cloud")
        if self._store.denied(f"pubsub.subscriptions.{'get' if is_look else 'consume'}", name):
            raise FailedRpcError("PERMISSION_DENIED", "User not authorized to perform this action.")
        if name not in self.subscriptions:
            raise FailedRpcError("NOT_FOUND", f"Resource not found (resource={name.rpartition('/')[2]}).")
        one = self.subscriptions[name]
        if is_look:
            return {"name": name, "ackDeadlineSeconds": int(one.acknowledge_within.total_seconds())}
        return self._pull(one, asked, headers) if call == "pull" else self._acknowledge(one, asked)

    def _pull(self, one: Subscription, asked: Mapping[str, Any], headers: Mapping[str, str]) -> dict[str, Any]:
        most = asked.get("maxMessages")
        if not isinstance(most, int) or most < 1:
            raise FailedRpcError("INVALID_ARGUMENT", "max_messages must be positive.")
        until = time.monotonic() + _held(asked, headers)
        with self._store.changed:
            while not (free := self._free(one)) and (left := until - time.monotonic()) > 0:
                self._store.changed.wait(min(left, _STEP))
            free = free[::-1] if one.backwards else free
            lent = [self._lend(one, message) for message in free[:most] for _ in range(one.copies)]
        return {"receivedMessages": lent} if lent else {}

    def _free(self, one: Subscription) -> list[_Message]:
        """Those that are lent to nobody, with what the log has got since."""
        fits = compiled(one.filter)
        for entry in self._store.log[one.taken :]:
            if fits(entry):
                attributes = {"logging.googleapis.com/timestamp": str(entry.get("timestamp"))}
                self._put(one, json.dumps(entry).encode(), attributes)
        one.taken = len(self._store.log)
        return [message for message in one.messages if message.lent_until <= self._store.clock()]

    def _put(self, one: Subscription, data: bytes, attributes: Mapping[str, str]) -> None:
        one.made += 1
        now = self._store.clock()
        one.messages.append(_Message(f"{one.made:016}", data, dict(attributes), now, now))

    def _lend(self, one: Subscription, message: _Message) -> dict[str, Any]:
        one.made += 1
        receipt = f"{message.id}:{one.made}"
        message.receipts.add(receipt)
        message.lent_until = self._store.clock() + one.acknowledge_within
        return {
            "ackId": receipt,
            "message": {
                "data": base64.b64encode(message.data).decode(),
                "attributes": message.attributes,
                "messageId": message.id,
                "publishTime": message.published.isoformat().replace("+00:00", "Z"),
            },
        }

    def _acknowledge(self, one: Subscription, asked: Mapping[str, Any]) -> dict[str, Any]:
        receipts = asked.get("ackIds")
        if not isinstance(receipts, list) or not receipts:
            raise FailedRpcError("INVALID_ARGUMENT", "No ack ids specified.")
        with self._store.lock:
            now = self._store.clock()
            # The service may take one that is late; this one never does.
            in_time = set(receipts)
            one.messages = [each for each in one.messages if each.lent_until <= now or not each.receipts & in_time]
        return {}


def _held(asked: Mapping[str, Any], headers: Mapping[str, str]) -> float:
    """Seconds for which a pull is held back while there is nothing."""
    if asked.get("returnImmediately"):
        return 0.0
    return min(_LONGEST, float(headers.get("x-server-timeout", _LONGEST)))
