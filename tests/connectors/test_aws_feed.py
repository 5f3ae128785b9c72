"""The queue of AWS events: what a message hints at, over the wire with the real client."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import botocore.session
import pytest
from moto import mock_aws

from auditor.connectors.aws.errors import _CODES
from auditor.connectors.aws.feed import AwsFeed, hints_of
from auditor.connectors.aws.queue import queue_of
from auditor.connectors.aws.session import AwsClients
from auditor.connectors.wire import Wire
from auditor.embedded.aws import AwsCloud
from auditor.embedded.aws.events import Queue
from auditor.errors import CollectError, ReadOnlyError
from auditor.model import KeyName, Reason
from auditor.ports import Hint
from tests.clouds import Clock, an_aws_cloud

KEY = "arn:aws:kms:us-east-1:111122223333:key/1f3c0f5e-0000-4000-8000-000000000001"
OTHER = "arn:aws:kms:us-east-1:111122223333:key/1f3c0f5e-0000-4000-8000-000000000002"
SQS: Any = botocore.session.get_session().get_service_model("sqs")
AT = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[AwsCloud]:
    with an_aws_cloud(monkeypatch) as running:
        running.store.add_key(KEY)
        yield running


def the_clients(url: str) -> AwsClients:
    return AwsClients({}, Wire(Clock()), "cmek-auditor/test", connections=4, queues=[url])


def the_feed(queue: Queue) -> AwsFeed:
    return AwsFeed(the_clients(queue.url), queue_of(queue.url), None)


def left_in(queue: Queue) -> int:
    return len(queue.messages)


def kms() -> Any:
    return boto3.client("kms", region_name="us-east-1")


def an_event(kind: str = "AWS API Call via CloudTrail", **more: Any) -> dict[str, Any]:
    record = {
        "eventSource": "kms.amazonaws.com",
        "eventName": "DisableKey",
        "eventTime": "2026-11-01T12:00:00Z",
        "eventID": "e-1",
        "awsRegion": "us-east-1",
        "recipientAccountId": "111122223333",
        "userIdentity": {"accountId": "111122223333"},
        "requestParameters": {"keyId": KEY},
        "resources": [{"ARN": KEY, "type": "AWS::KMS::Key"}],
        "readOnly": False,
    }
    event = {"id": "b-1", "source": "aws.kms", "detail-type": kind, "time": "2026-11-01T12:00:07Z", "resources": []}
    return {**event, "account": "111122223333", "region": "us-east-1", "detail": record, **more}


def a_call(**more: Any) -> dict[str, Any]:
    event = an_event()
    return {**event, "detail": {**event["detail"], **more}}


def hint(key: str | None = KEY, call: str = "DisableKey") -> Hint:
    return Hint(KeyName(key) if key else None, call, AT, "e-1")


BARE = {"keyId": KEY.rpartition("/")[2]}
CALLS: dict[str, tuple[dict[str, Any], tuple[Hint, ...]]] = {
    "of a caller": (a_call(), (hint(),)),
    "of the service": (
        {**a_call(eventName="DeleteKey"), "detail-type": "AWS Service Event via CloudTrail"},
        (hint(call="DeleteKey"),),
    ),
    "that failed": (a_call(errorCode="AccessDenied"), ()),
    "that only reads": (a_call(readOnly=True), ()),
    "of another service": (a_call(eventSource="s3.amazonaws.com"), ()),
    "with the bare id of the key": (a_call(requestParameters=BARE, resources=[]), (hint(),)),
    "with a bare id and two accounts": (
        a_call(requestParameters=BARE, resources=[], userIdentity={"accountId": "444455556666"}),
        (hint(None),),
    ),
    "with a bare id and no Region": (a_call(requestParameters=BARE, resources=[], awsRegion=None), (hint(None),)),
    "with an alias": (a_call(requestParameters={"keyId": "alias/prod"}, resources=[]), (hint(None),)),
    "with an alias that is to be of a key": (
        a_call(requestParameters={"aliasName": "alias/prod", "targetKeyId": OTHER}, resources=[]),
        (hint(OTHER),),
    ),
    "of a key store": (a_call(requestParameters={"customKeyStoreId": "cks-1"}, resources=[]), (hint(None),)),
    "of two keys": (a_call(resources=[{"ARN": OTHER}]), (hint(OTHER), hint(KEY))),
    "of more keys than are told apart": (
        a_call(resources=[{"ARN": f"{KEY[:-2]}{number}"} for number in range(10, 40)]),
        (hint(None),),
    ),
    "whose parts are of no use": (
        a_call(resources="x", requestParameters=[1], userIdentity=7, recipientAccountId=[]),
        (hint(None),),
    ),
}


@pytest.mark.parametrize(("event", "expected"), CALLS.values(), ids=CALLS)
def test_a_call_hints_at_the_keys_that_it_changed(event: dict[str, Any], expected: tuple[Hint, ...]) -> None:
    assert hints_of(json.dumps(event), "aws") == expected


def over_sns(message: object, **more: Any) -> str:
    """A message as SNS puts it into a queue without raw delivery."""
    return json.dumps(
        {
            "Type": "Notification",
            "MessageId": "b3f1",
            "TopicArn": "arn:aws:sns:us-east-1:111122223333:keys",
            "Message": message,
            "Timestamp": "2026-11-01T12:00:08.000Z",
            "SignatureVersion": "1",
            "Signature": "x",
            "SigningCertURL": "https://sns.us-east-1.amazonaws.com/x.pem",
            "UnsubscribeURL": "https://sns.us-east-1.amazonaws.com/?Action=Unsubscribe",
            **more,
        }
    )


@pytest.mark.parametrize(("event", "expected"), CALLS.values(), ids=CALLS)
def test_an_event_that_came_over_a_topic_hints_at_the_same(event: dict[str, Any], expected: tuple[Hint, ...]) -> None:
    assert hints_of(over_sns(json.dumps(event)), "aws") == expected


NO_EVENTS = {
    "a notification in a notification": over_sns(over_sns(json.dumps(an_event()))),
    "an object for a text": over_sns(an_event()),
    "no JSON": over_sns("hello"),
    "a list": over_sns("[]"),
    "nothing": over_sns(None),
    "deeply nested": over_sns("[" * 100_000 + "]" * 100_000),
    "long": over_sns(json.dumps(a_call(requestID="x" * 1_100_000))),
    "told twice": over_sns(json.dumps(an_event()).replace('"id": "b-1"', '"id": "b-1", "source": "aws.kms"')),
    "to be confirmed": over_sns(json.dumps(an_event()), Type="SubscriptionConfirmation", SubscribeURL="https://x/"),
    "of another type": over_sns(json.dumps(an_event()), Type=["Notification"]),
}


@pytest.mark.parametrize("body", NO_EVENTS.values(), ids=NO_EVENTS)
def test_what_came_over_a_topic_and_is_no_event_is_poison(body: str) -> None:
    assert hints_of(body, "aws") is None


def test_an_event_is_no_notification_whatever_is_written_into_it() -> None:
    told = {**an_event(), "Type": "Notification", "Message": json.dumps(a_call(resources=[{"ARN": OTHER}]))}
    assert hints_of(json.dumps(told), "aws") == (hint(KEY),)


NATIVE = {
    "by its resources": {"resources": [KEY], "detail": {}},
    "by the id in it": {"detail": {"key-id": KEY.rpartition("/")[2]}},
    "by the ARN in it": {"detail": {"key-id": KEY}},
}


@pytest.mark.parametrize("more", NATIVE.values(), ids=NATIVE)
@pytest.mark.parametrize("kind", ["KMS CMK Deletion", "KMS CMK Rotation", "KMS Imported Key Material Expiration"])
def test_an_event_that_kms_sends_by_itself_names_its_key(kind: str, more: dict[str, Any]) -> None:
    found = hints_of(json.dumps(an_event(kind, **more)), "aws")
    assert found == (Hint(KeyName(KEY), kind, AT + timedelta(seconds=7), "b-1"),)


POISON = {
    "no text": None,
    "nothing": "",
    "no JSON": "hello \x1b[31m",
    "a list": "[]",
    "deeply nested": "[" * 100_000 + "]" * 100_000,
    "deep in an event": json.dumps(an_event()).replace('"e-1"', "[" * 50_000 + "]" * 50_000),
    "long": json.dumps(a_call(requestID="x" * 1_100_000)),
    "told twice": json.dumps(an_event()).replace('"id": "b-1"', '"id": "b-1", "source": "aws.kms"'),
    "without a detail": json.dumps(an_event(detail="x")),
    "without a time": json.dumps(an_event(time=None)),
    "at no time": json.dumps(an_event(time="yesterday")),
    "without a kind": json.dumps({**an_event(), "detail-type": 7}),
    "without a call": json.dumps(a_call(eventName=None)),
    "a number too long": '{"detail": {}, "time": ' + "9" * 5_000 + "}",
}


@pytest.mark.parametrize("body", POISON.values(), ids=POISON)
def test_what_is_no_event_is_told_from_what_hints_at_nothing(body: object) -> None:
    assert hints_of(body, "aws") is None
    assert hints_of(json.dumps(an_event(source="aws.s3")), "aws") == ()


def test_a_change_in_the_cloud_is_heard_and_stays_until_it_is_handled(cloud: AwsCloud) -> None:
    queue = cloud.store.add_queue("cmek")
    feed = the_feed(queue)
    assert feed.name == "arn:aws:sqs:us-east-1:111122223333:cmek"
    assert feed.hear(0).receipts == ()
    kms().disable_key(KeyId=KEY)
    heard = feed.hear(4)
    (one,) = heard.hints
    assert (one.key, one.call, heard.poison, len(heard.receipts)) == (KeyName(KEY), "DisableKey", 0, 1)
    assert one.event == cloud.store.history[-1]["eventID"]
    assert left_in(queue) == 1
    assert feed.hear(0).receipts == (), "it is hidden while its keys are read"
    feed.handled(heard)
    assert left_in(queue) == 0


def test_what_was_not_handled_comes_again(cloud: AwsCloud) -> None:
    queue = cloud.store.add_queue("cmek")
    feed = the_feed(queue)
    kms().disable_key(KeyId=KEY)
    first = feed.hear(1)
    cloud.store.clock.ahead += timedelta(seconds=110)  # type: ignore[attr-defined] # it is a Clock of the tests
    assert feed.hear(0).receipts == (), "a poll may take so long"
    cloud.store.clock.ahead += timedelta(seconds=11)  # type: ignore[attr-defined] # it is a Clock of the tests
    assert feed.hear(0).hints == first.hints


def test_copies_that_come_late_and_backwards_name_the_same_events(cloud: AwsCloud) -> None:
    queue = cloud.store.add_queue("cmek")
    queue.copies, queue.backwards, queue.late = 2, True, timedelta(minutes=3)
    feed = the_feed(queue)
    kms().disable_key(KeyId=KEY)
    kms().enable_key(KeyId=KEY)
    assert feed.hear(0).receipts == ()
    cloud.store.clock.ahead += timedelta(minutes=3)  # type: ignore[attr-defined] # it is a Clock of the tests
    heard = feed.hear(0)
    assert [one.call for one in heard.hints] == ["EnableKey", "EnableKey", "DisableKey", "DisableKey"]
    assert len({one.event for one in heard.hints}) == 2
    feed.handled(heard)
    assert left_in(queue) == 0


def test_poison_has_receipts_and_is_handled_like_the_rest(cloud: AwsCloud) -> None:
    queue = cloud.store.add_queue("cmek")
    feed = the_feed(queue)
    for body in ("hello", "[" * 100_000, json.dumps(an_event()), json.dumps(an_event(source="aws.s3"))):
        queue.put_text(body)
    heard = feed.hear(0)
    assert (len(heard.receipts), heard.poison, heard.hints) == (4, 2, (hint(),))
    feed.handled(heard)
    assert left_in(queue) == 0


def test_a_queue_is_not_asked_again_and_again_for_a_part_of_a_second(cloud: AwsCloud) -> None:
    queue, slept = cloud.store.add_queue("cmek"), list[float]()
    feed = AwsFeed(the_clients(queue.url), queue_of(queue.url), None, slept.append)
    for wait in (0.0, 0.7):
        feed.hear(wait)
    assert slept == [0.7], "the service waits for whole seconds alone"


def test_a_queue_that_refuses_is_one_error_that_names_the_right(cloud: AwsCloud) -> None:
    queue = cloud.store.add_queue("cmek")
    cloud.store.permits = lambda _account, action, _resource: action != "sqs:ReceiveMessage"
    with pytest.raises(CollectError, match=r"cannot listen to arn:aws:sqs:.*:cmek: access denied") as refused:
        the_feed(queue).hear(0)
    assert refused.value.hint == "grant sqs:ReceiveMessage on the queue to the auditor"
    cloud.store.permits = lambda _account, action, _resource: action != "sqs:DeleteMessage"
    kms().disable_key(KeyId=KEY)
    feed = the_feed(queue)
    with pytest.raises(CollectError) as refused:
        feed.handled(feed.hear(0))
    assert refused.value.hint == "grant sqs:DeleteMessage on the queue to the auditor"


FAULTS: dict[str, tuple[dict[str, Any], Reason]] = {
    "hangs up": ({"drop": True}, Reason.TIMEOUT),
    "breaks": ({"status": 500, "code": "InternalFailure"}, Reason.TIMEOUT),
    "answers half": ({"cut": True}, Reason.MALFORMED),
    "answers a page": ({"status": 200, "body": b"<html>please log in</html>"}, Reason.MALFORMED),
    "answers something else": ({"status": 200, "body": b'{"hello": 1}'}, Reason.MALFORMED),
    "answers messages that are none": ({"status": 200, "body": b'{"Messages": [{"Body": 7}]}'}, Reason.MALFORMED),
    "has too many who ask": ({"status": 400, "code": "RequestThrottled"}, Reason.THROTTLED),
}


@pytest.mark.parametrize(("fault", "reason"), FAULTS.values(), ids=FAULTS)
def test_a_queue_that_does_not_answer_is_no_silence(cloud: AwsCloud, fault: dict[str, Any], reason: Reason) -> None:
    queue = cloud.store.add_queue("cmek")
    cloud.traffic.fail("ReceiveMessage", **fault)
    with pytest.raises(CollectError) as told:
        the_feed(queue).hear(0)
    assert told.value.reason is reason


def test_a_queue_that_is_gone_is_told_as_such(cloud: AwsCloud) -> None:
    queue = cloud.store.add_queue("cmek")
    cloud.store.queues.clear()
    with pytest.raises(CollectError) as told:
        the_feed(queue).hear(0)
    assert told.value.reason is Reason.NOT_FOUND


def test_only_queues_of_the_config_are_read_and_nothing_is_sent_to_them(cloud: AwsCloud) -> None:
    queue, other = cloud.store.add_queue("cmek"), cloud.store.add_queue("other")
    client = the_clients(queue.url).sqs("us-east-1", None)
    before = len(cloud.traffic.requests)
    asks: tuple[Callable[[], Any], ...] = (
        lambda: client.receive_message(QueueUrl=other.url),
        lambda: client.delete_message_batch(QueueUrl=other.url, Entries=[{"Id": "1", "ReceiptHandle": "x"}]),
        lambda: client.get_queue_attributes(QueueUrl=other.url),
        lambda: client.send_message(QueueUrl=queue.url, MessageBody="x"),
        lambda: client.purge_queue(QueueUrl=queue.url),
        lambda: client.delete_queue(QueueUrl=queue.url),
        lambda: client.change_message_visibility(QueueUrl=queue.url, ReceiptHandle="x", VisibilityTimeout=1),
        lambda: client.set_queue_attributes(QueueUrl=queue.url, Attributes={}),
    )
    for ask in asks:
        with pytest.raises(ReadOnlyError):
            ask()
    assert len(cloud.traffic.requests) == before


@pytest.mark.parametrize("operation", ["ReceiveMessage", "DeleteMessageBatch", "GetQueueAttributes"])
def test_every_refusal_of_a_queue_has_its_reason(operation: str) -> None:
    model = SQS.operation_model(operation)
    errors = {one.name for one in model.error_shapes}
    # What the auditor never does, and what the queue's own key makes of it: no word that anything hangs on.
    others = {"UnsupportedOperation", "InvalidSecurity", "InvalidAddress", "InvalidAttributeName"}
    others |= {"TooManyEntriesInBatchRequest", "EmptyBatchRequest", "BatchEntryIdsNotDistinct", "InvalidBatchEntryId"}
    others |= {one for one in errors if one.startswith("Kms")} - {"KmsAccessDenied"}
    assert errors <= set(_CODES) | others


def test_moto_plays_the_same_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.delenv("AWS_ENDPOINT_URL_SQS", raising=False)
    with mock_aws():
        sqs = boto3.client("sqs", region_name="us-east-1")
        url = sqs.create_queue(QueueName="cmek")["QueueUrl"]
        feed = AwsFeed(the_clients(url), queue_of(url), None)
        assert feed.hear(0).receipts == ()
        for number in range(11):
            sqs.send_message(QueueUrl=url, MessageBody=json.dumps(an_event()) if number else "poison")
        found = [feed.hear(0), feed.hear(0)]
        assert [len(one.receipts) for one in found] == [10, 1]
        assert [one.poison for one in found] == [1, 0]
        assert {one for each in found for one in each.hints} == {hint()}
        for one in found:
            feed.handled(one)
        told = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        assert told["ApproximateNumberOfMessages"] == told["ApproximateNumberOfMessagesNotVisible"] == "0"
