"""Events of AWS KMS that EventBridge puts into an SQS queue: hints that a key was changed, in any order.

Needs `sqs:ReceiveMessage` and `sqs:DeleteMessage` on that queue. Source: Amazon SQS API Reference; Amazon EventBridge
User Guide, events from AWS services via CloudTrail; AWS KMS Developer Guide, Automate with EventBridge; Amazon SNS
Developer Guide, Amazon SNS message and JSON formats.
"""

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from auditor.connectors.aws.errors import FAULTS, hint_for, reason_of
from auditor.connectors.aws.event import moment, table
from auditor.connectors.aws.queue import Queue
from auditor.connectors.aws.session import LONGEST_WAIT, AwsClients
from auditor.connectors.documents import parse_once
from auditor.connectors.printable import printable
from auditor.errors import CollectError
from auditor.model import KeyName, Reason
from auditor.ports import Heard, Hint

_BATCH: Final = 10
_HIDDEN: Final = 120
"""Seconds for which nobody else is given a message: a poll of the keys that it names has to end meanwhile."""
_LONGEST: Final = 1_048_576
"""Characters; no message has more bytes."""
_MOST_KEYS: Final = 20
"""Keys that one event may name; a whole poll reads what names more."""
_KEY_ID: Final = re.compile(r"(?:mrk-)?[0-9a-f-]{32,36}")
_CALLS: Final = frozenset({"AWS API Call via CloudTrail", "AWS Service Event via CloudTrail"})
_FAILED: Final = Reason.TIMEOUT
_KMS: Final = "kms.amazonaws.com"


class AwsFeed:
    """`ports.Feed` of one queue, read with the identity of one account; of one thread."""

    def __init__(
        self,
        clients: AwsClients,
        queue: Queue,
        account: str | None,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._clients = clients
        self._queue = queue
        self._account = account
        self._sleep = sleep

    @property
    def name(self) -> str:
        """The queue's ARN."""
        return self._queue.arn

    def hear(self, wait: float) -> Heard:
        """Wait at most so many seconds for ten messages at most; the service waits whole ones alone.

        Raises:
            CollectError: the queue does not answer, or refuses.
        """
        told = self._asked(
            "sqs:ReceiveMessage",
            lambda sqs: sqs.receive_message(
                QueueUrl=self._queue.url,
                MaxNumberOfMessages=_BATCH,
                WaitTimeSeconds=min(LONGEST_WAIT, int(wait)),
                VisibilityTimeout=_HIDDEN,
            ),
        )
        messages = told.get("Messages") or ()
        if not messages and 0 < wait < 1:
            self._sleep(wait)  # or else it would be asked again and again until something is due
        read = [hints_of(one["Body"], self._queue.partition) for one in messages]
        return Heard(
            hints=tuple(hint for some in read for hint in some or ()),
            receipts=tuple(one["ReceiptHandle"] for one in messages),
            poison=sum(one is None for one in read),
        )

    def handled(self, heard: Heard) -> None:
        """Delete what was heard from the queue.

        Raises:
            CollectError: some of it could not be.
        """
        for start in range(0, len(heard.receipts), _BATCH):
            some = enumerate(heard.receipts[start : start + _BATCH])
            entries = [{"Id": str(place), "ReceiptHandle": receipt} for place, receipt in some]

            def delete(sqs: Any, entries: Sequence[Mapping[str, str]] = entries) -> Any:
                return sqs.delete_message_batch(QueueUrl=self._queue.url, Entries=entries)

            if failed := self._asked("sqs:DeleteMessage", delete).get("Failed"):
                # Of one that is hidden no more, or deleted already, the service says so; it comes again, or does not.
                raise CollectError(
                    f"{len(failed)} of {len(entries)} messages of {self.name} could not be deleted: they come again",
                    hint_for(_FAILED, "sqs:DeleteMessage"),
                    reason=_FAILED,
                )

    def _asked(self, permission: str, ask: Callable[[Any], Any]) -> Mapping[str, Any]:
        try:
            told: Mapping[str, Any] = ask(self._clients.sqs(self._queue.region, self._account))
        except FAULTS as error:
            reason = reason_of(error)
            raise CollectError(
                f"cannot listen to {self.name}: {reason.replace('_', ' ')}",
                hint_for(reason, f"{permission} on the queue"),
                reason=reason,
            ) from None
        return told


def hints_of(body: object, partition: str) -> tuple[Hint, ...] | None:
    """What a message hints at: nothing where its event changes no key; None where it is no event at all.

    An event that came over a topic of SNS without raw delivery stands as a text in a notification, once: topics send to
    no topics. Who signed that is not looked at, because an event is no more than a hint.
    """
    event = _parsed(body)
    if event.get("Type") == "Notification" and "detail" not in event:
        event = _parsed(event.get("Message"))
    if not isinstance(event.get("detail"), dict):
        return None
    source, kind, at = event.get("source"), printable(event.get("detail-type")), moment(event.get("time"))
    if not isinstance(source, str) or kind is None or at is None:
        return None
    if source != "aws.kms":
        return ()
    return _of_call(event, at, partition) if kind in _CALLS else _of_service(event, kind, at, partition)


def _parsed(body: object) -> Mapping[str, Any]:
    """What should be an object of JSON, or an empty one."""
    if not isinstance(body, str) or len(body) > _LONGEST:
        return {}
    try:
        return table(parse_once(body))
    except (ValueError, RecursionError):
        return {}


def _of_call(event: Mapping[str, Any], at: datetime, partition: str) -> tuple[Hint, ...] | None:
    """By the record of CloudTrail in an event."""
    record = event["detail"]
    call = printable(record.get("eventName"))
    if call is None:
        return None
    if record.get("eventSource") != _KMS or record.get("errorCode") or record.get("readOnly") is True:
        return ()
    given = table(record.get("requestParameters"))
    caller = table(record.get("userIdentity")).get("accountId")
    owner = record.get("recipientAccountId")
    # A bare id is of the caller's own account; whose that is must be told, and not twice differently.
    place = (partition, record.get("awsRegion"), owner if caller is None or caller == owner else None)
    resources = [table(one).get("ARN") for one in _list(record.get("resources"))]
    named = [*resources, given.get("keyId"), given.get("targetKeyId")]
    event_id = printable(record.get("eventID")) or printable(event.get("id"))
    return _hints(_keys(named, place), call, moment(record.get("eventTime")) or at, event_id)


def _of_service(event: Mapping[str, Any], kind: str, at: datetime, partition: str) -> tuple[Hint, ...]:
    """By an event that KMS sends by itself."""
    place = (partition, event.get("region"), event.get("account"))
    keys = _keys([*_list(event.get("resources")), event["detail"].get("key-id")], place)
    return _hints(keys, kind, at, printable(event.get("id")))


def _hints(keys: Iterator[KeyName], call: str, at: datetime, event: str | None) -> tuple[Hint, ...]:
    found = tuple(dict.fromkeys(keys))
    named: tuple[KeyName | None, ...] = found if 0 < len(found) <= _MOST_KEYS else (None,)
    return tuple(Hint(one, call, at, event) for one in named)


def _keys(named: Sequence[object], place: tuple[str, object, object]) -> Iterator[KeyName]:
    """The keys among some names; a bare id is one where its account and Region are told. An alias names none."""
    for name in named:
        if not isinstance(name, str):
            continue
        whole = f"arn:{':'.join((place[0], 'kms', str(place[1]), str(place[2])))}:key/{name}"
        try:
            yield KeyName.parse(whole if _KEY_ID.fullmatch(name) else name)
        except ValueError:
            continue


def _list(told: object) -> Sequence[Any]:
    return told if isinstance(told, list) else ()
