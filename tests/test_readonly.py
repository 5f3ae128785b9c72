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
    ("storage", "objects.rewrite"),
    ("cloudkms", "UpdateCryptoKeyVersion"),
    ("cloudkms", "DestroyCryptoKeyVersion"),
    ("cloudkms", "SetIamPolicy"),
    ("cloudkms", "Decrypt"),
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
