"""Events about keys as EventBridge sends them, and the queues that they are put into."""

import json
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

_LOOKS_APART: Final = 0.02
"""Seconds between two looks of somebody who waits: messages become visible by the cloud's clock, which tests move."""


@dataclass
class Message:
    """One message of a queue."""

    id: str
    body: str
    visible_at: datetime
    receipt: str | None = None
    """Of who was given it last."""
    received: int = 0


class Queue:
    """One queue; safe to use from many threads. Time comes from `clock`: aware, UTC."""

    def __init__(self, name: str, region: str, account: str, clock: Callable[[], datetime]) -> None:
        self.name, self.region, self.account = name, region, account
        self.hears_of = account
        """The account whose keys it is told of."""
        self.key: str | None = None
        """What its messages are encrypted with, as whoever made it named that key; None: a key of SQS."""
        self.copies = 1
        """How often each event is delivered."""
        self.late = timedelta(0)
        """How long after it was sent an event is there."""
        self.backwards = False
        """The newest come first."""
        self._clock = clock
        self._lock = threading.Lock()
        self._messages: list[Message] = []

    @property
    def url(self) -> str:
        """How requests name it."""
        return f"https://sqs.{self.region}.amazonaws.com/{self.account}/{self.name}"

    @property
    def messages(self) -> tuple[Message, ...]:
        """Those that nobody has deleted."""
        with self._lock:
            return tuple(self._messages)

    def put(self, event: Mapping[str, Any]) -> None:
        """Put an event into it, as EventBridge would."""
        self.put_text(json.dumps(event))

    def put_text(self, body: str) -> None:
        """Put any text into it, as whoever may send to it can."""
        with self._lock:
            for _ in range(self.copies):
                self._messages.append(Message(str(uuid.uuid4()), body, self._clock() + self.late))

    def receive(self, most: int, wait: float, hidden: timedelta) -> list[Message]:
        """Hand out what is visible, and hide it; wait for something at most so many seconds."""
        until = time.monotonic() + wait
        while not (found := self._take(most, hidden)) and time.monotonic() < until:
            time.sleep(_LOOKS_APART)
        return found

    def _take(self, most: int, hidden: timedelta) -> list[Message]:
        with self._lock:
            now = self._clock()
            visible = [one for one in self._messages if one.visible_at <= now]
            found = (visible[::-1] if self.backwards else visible)[:most]
            for one in found:
                one.receipt, one.visible_at, one.received = uuid.uuid4().hex, now + hidden, one.received + 1
            return found

    def delete(self, receipt: str) -> None:
        """Delete a message by the newest receipt for it; another one deletes nothing."""
        with self._lock:
            self._messages = [one for one in self._messages if one.receipt != receipt]


def as_event(record: Mapping[str, Any]) -> dict[str, Any]:
    """What EventBridge sends of a record of CloudTrail."""
    by_service = record["eventType"] == "AwsServiceEvent"
    return {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": "AWS Service Event via CloudTrail" if by_service else "AWS API Call via CloudTrail",
        "source": "aws.kms",
        "account": record["recipientAccountId"],
        "time": record["eventTime"],
        "region": record["awsRegion"],
        "resources": [],
        "detail": {name: value for name, value in record.items() if name != "raw"},
    }
