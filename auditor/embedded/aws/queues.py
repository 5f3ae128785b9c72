"""Amazon SQS over JSON 1.0, as far as somebody who reads a queue needs it."""

import hashlib
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from auditor.embedded.aws.events import Queue
from auditor.embedded.aws.store import RefusedError, Store

_MOST: Final = 10
_LONGEST_WAIT: Final = 20
_USUALLY_HIDDEN: Final = 30
"""Seconds for which a message is hidden where nobody says how long."""


class QueueService:
    """Answers from a store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def answer(self, operation: str, asked: Mapping[str, Any]) -> dict[str, Any]:
        """Answer one call.

        Raises:
            RefusedError: in the words of SQS.
        """
        queue = self._store.queues.get(str(asked.get("QueueUrl")))
        if queue is None:
            raise RefusedError(400, "com.amazonaws.sqs#QueueDoesNotExist", "The specified queue does not exist.")
        match operation:
            case "ReceiveMessage":
                return _received(queue, asked)
            case "DeleteMessage":
                queue.delete(asked["ReceiptHandle"])
                return {}
            case "DeleteMessageBatch":
                return _deleted(queue, asked["Entries"])
            case "GetQueueAttributes":
                return _attributes(queue, asked.get("AttributeNames", ()))
        raise RefusedError(400, "UnknownOperationException", f"{operation} is not part of this embedded cloud")


def _received(queue: Queue, asked: Mapping[str, Any]) -> dict[str, Any]:
    most, wait = int(asked.get("MaxNumberOfMessages", 1)), int(asked.get("WaitTimeSeconds", 0))
    if not 1 <= most <= _MOST or not 0 <= wait <= _LONGEST_WAIT:
        text = "Value for parameter MaxNumberOfMessages or WaitTimeSeconds is invalid."
        raise RefusedError(400, "InvalidParameterValue", text)
    hidden = timedelta(seconds=int(asked.get("VisibilityTimeout", _USUALLY_HIDDEN)))
    told = [
        {
            "MessageId": one.id,
            "ReceiptHandle": one.receipt,
            "MD5OfBody": hashlib.md5(one.body.encode(), usedforsecurity=False).hexdigest(),
            "Body": one.body,
        }
        for one in queue.receive(most, wait, hidden)
    ]
    return {"Messages": told} if told else {}


def _deleted(queue: Queue, entries: list[Mapping[str, str]]) -> dict[str, Any]:
    if not entries:
        raise RefusedError(400, "com.amazonaws.sqs#EmptyBatchRequest", "There should be at least one entry.")
    if len(entries) > _MOST:
        raise RefusedError(400, "com.amazonaws.sqs#TooManyEntriesInBatchRequest", "10 entries at most.")
    if len({one["Id"] for one in entries}) < len(entries):
        raise RefusedError(400, "com.amazonaws.sqs#BatchEntryIdsNotDistinct", "Id is not distinct.")
    for one in entries:
        queue.delete(one["ReceiptHandle"])
    return {"Successful": [{"Id": one["Id"]} for one in entries]}


def _attributes(queue: Queue, names: list[str]) -> dict[str, Any]:
    known = {
        "QueueArn": f"arn:aws:sqs:{queue.region}:{queue.account}:{queue.name}",
        "ApproximateNumberOfMessages": str(len(queue.messages)),
        "VisibilityTimeout": str(_USUALLY_HIDDEN),
        **({"KmsMasterKeyId": queue.key} if queue.key is not None else {}),
    }
    return {"Attributes": {name: value for name, value in known.items() if "All" in names or name in names}}
