import pytest

from auditor import readonly
from auditor.errors import ReadOnlyError

CHANGING = [
    ("kms", "DisableKey"),
    ("kms", "ScheduleKeyDeletion"),
    ("kms", "PutKeyPolicy"),
    ("kms", "CreateGrant"),
    ("s3", "PutObject"),
    ("s3", "GetObject"),
    ("s3", "DeleteObject"),
    ("storage", "objects.get"),
    ("storage", "objects.insert"),
    ("storage", "objects.rewrite"),
    ("cloudkms", "UpdateCryptoKeyVersion"),
    ("cloudkms", "DestroyCryptoKeyVersion"),
    ("cloudkms", "SetIamPolicy"),
    ("cloudkms", "Decrypt"),
    ("pubsub", "subscriptions.pull"),
    ("pubsub", "subscriptions.acknowledge"),
    ("pubsub", "subscriptions.modifyAckDeadline"),
    ("sqs", "ReceiveMessage"),
    ("sqs", "DeleteMessageBatch"),
    ("sqs", "SendMessage"),
    ("sqs", "PurgeQueue"),
    ("anything", "else"),
]
DRY = ["Decrypt", "GenerateDataKey", "GenerateDataKeyWithoutPlaintext"]


@pytest.mark.parametrize(("service", "operation"), CHANGING)
def test_what_changes_or_reads_contents_is_refused(service: str, operation: str) -> None:
    with pytest.raises(ReadOnlyError):
        readonly.check(service, operation, {"DryRun": True} if service == "kms" else {})


def test_a_feed_is_read_and_acknowledged_where_the_config_names_it() -> None:
    for operation in ("ReceiveMessage", "DeleteMessageBatch", "GetQueueAttributes"):
        readonly.check("sqs", operation, {"QueueUrl": "q"}, {"q"})
        for params in ({}, {"QueueUrl": "other"}, {"QueueUrl": None}):
            with pytest.raises(ReadOnlyError):
                readonly.check("sqs", operation, params, {"q"})


@pytest.mark.parametrize("operation", DRY)
def test_cryptographic_calls_pass_only_as_dry_runs(operation: str) -> None:
    readonly.check("kms", operation, {"DryRun": True})
    for params in ({}, {"DryRun": False}, {"DryRun": "true"}, {"DryRun": 1}):
        with pytest.raises(ReadOnlyError):
            readonly.check("kms", operation, params)


OWN = "projects/acme/logs/cmek-auditor"
OTHER_LOGS: dict[str, dict[str, object]] = {
    "nothing is configured": {"own_log": None, "logs": (OWN,)},
    "another log": {"own_log": OWN, "logs": ("projects/acme/logs/other",)},
    "another log besides": {"own_log": OWN, "logs": (OWN, "projects/acme/logs/other")},
    "no log": {"own_log": OWN, "logs": ()},
    "nobody says which": {},
}


@pytest.mark.parametrize("params", OTHER_LOGS.values(), ids=OTHER_LOGS)
def test_only_the_log_of_the_config_can_be_written(params: dict[str, object]) -> None:
    readonly.check("logging", "entries.write", {"own_log": OWN, "logs": (OWN,)})
    with pytest.raises(ReadOnlyError):
        readonly.check("logging", "entries.write", params)


NEW: dict[str, object] = {
    "own_uploads": ("own/audit",),
    "Bucket": "own",
    "Key": "audit/report.html",
    "IfNoneMatch": "*",
}
OTHER_PLACES: dict[str, dict[str, object]] = {
    "nothing is configured": {"own_uploads": ()},
    "another bucket": {"Bucket": "data"},
    "a bucket whose name begins so": {"Bucket": "owner"},
    "another folder": {"Key": "other/report.html"},
    "a folder whose name begins so": {"Key": "audits/report.html"},
    "the folder itself": {"Key": "audit"},
    "in the place of another": {"IfNoneMatch": None},
    "in the place of this one": {"IfNoneMatch": "etag"},
}


@pytest.mark.parametrize("place", [("s3", "PutObject"), ("storage", "objects.insert")])
@pytest.mark.parametrize("more", OTHER_PLACES.values(), ids=OTHER_PLACES)
def test_only_something_new_is_put_and_only_where_the_config_says(
    place: tuple[str, str], more: dict[str, object]
) -> None:
    readonly.check(*place, NEW)
    with pytest.raises(ReadOnlyError):
        readonly.check(*place, {**NEW, **more})


@pytest.mark.parametrize("place", [("s3", "GetObject"), ("storage", "objects.get")])
def test_only_own_copies_are_read_whole(place: tuple[str, str]) -> None:
    mine = {"own_copies": ("own/copies",), "Bucket": "own", "Key": "copies/inventory/1"}
    readonly.check(*place, mine)
    for more in (
        {"own_copies": ()},
        {"Bucket": "data"},
        {"Key": "copies"},
        {"Key": "other/copies/1"},
        {"Key": None},
        {"Key": "copies/../1"},
    ):
        with pytest.raises(ReadOnlyError):
            readonly.check(*place, {**mine, **more})


def test_no_bucket_of_google_is_one_of_tables() -> None:
    with pytest.raises(ReadOnlyError):
        readonly.check("storage", "objects.get", {"Bucket": "x--table-s3", "Key": "1"})


@pytest.mark.parametrize("operation", ["subscriptions.pull", "subscriptions.acknowledge"])
def test_a_subscription_is_heard_and_acknowledged_only_where_the_config_makes_it_a_feed(operation: str) -> None:
    mine, other = "projects/acme/subscriptions/mine", "projects/acme/subscriptions/other"
    readonly.check("pubsub", operation, {"name": mine}, {mine})
    for name, feeds in ((other, {mine}), (mine, ()), (None, {mine})):
        with pytest.raises(ReadOnlyError):
            readonly.check("pubsub", operation, {"name": name}, feeds)
