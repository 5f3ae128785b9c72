"""Whatever the auditor is refused, the answer says so, and nothing becomes readable by it."""

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from auditor import cli, readonly
from auditor.embedded.aws import AwsCloud
from tests.clouds import GOOGLE_KEY, RING, an_aws_cloud
from tests.small import Small, a_small_cloud

AWS_KEY = "arn:aws:kms:us-east-1:111122223333:key/1f3c0f5e-0000-4000-8000-000000000001"
IMPORTED = "arn:aws:kms:us-east-1:111122223333:key/1f3c0f5e-0000-4000-8000-000000000009"
COUNTS = "\n[sweep]\ncloud_counts = true\n"
PLATFORM = '\n[platform]\naws_principals = ["arn:aws:iam::111122223333:role/storage"]\n'
AWS_CONFIG = '\n[[bucket]]\nurl = "s3://objects"\nregion = "us-east-1"\nlayout = "{org}/{namespace}/"\n'

# Operation -> the text that such a request holds.
REQUESTS = {
    ("storage", "buckets.get"): "storage GET /storage/v1/b/data?",
    ("storage", "buckets.list"): "storage GET /storage/v1/b?",
    ("storage", "objects.list"): "storage GET /storage/v1/b/data/o?",
    ("storage", "projects.serviceAccount.get"): "serviceAccount",
    ("storage", "multipartUploads.list"): "?uploads=",
    ("cloudkms", "GetCryptoKey"): "kms GetCryptoKey ",
    ("cloudkms", "ListCryptoKeys"): "kms ListCryptoKeys ",
    ("cloudkms", "ListCryptoKeyVersions"): "kms ListCryptoKeyVersions",
    ("cloudkms", "GetIamPolicy"): "kms GetIamPolicy",
    ("s3", "ListBuckets"): "s3 GET / ",
    ("s3", "HeadBucket"): "s3 HEAD /objects ",
    ("s3", "GetBucketVersioning"): "?versioning",
    ("s3", "GetBucketEncryption"): "?encryption",
    ("s3", "ListObjectVersions"): "?versions",
    ("s3", "ListMultipartUploads"): "?uploads",
    ("s3", "HeadObject"): "s3 HEAD /objects/",
    ("kms", "DescribeKey"): "kms DescribeKey",
    ("kms", "GetKeyPolicy"): "kms GetKeyPolicy",
    ("kms", "ListGrants"): "kms ListGrants",
    ("kms", "ListKeyRotations"): "kms ListKeyRotations",
    ("kms", "GetKeyRotationStatus"): "kms GetKeyRotationStatus",
    ("kms", "DescribeCustomKeyStores"): "kms DescribeCustomKeyStores",
    ("cloudtrail", "LookupEvents"): "cloudtrail LookupEvents",
    ("cloudwatch", "GetMetricStatistics"): "cloudwatch GetMetricStatistics",
    ("monitoring", "timeSeries.list"): "monitoring GET",
    ("logging", "entries.list"): "logging POST /v2/entries:list",
}
# Not part of this scan: live listings, other accounts, tables, what is asked only after another answer, or only by
# `retire`.
ELSEWHERE = {
    ("kms", "GetKeyLastUsage"),
    ("s3", "GetBucketInventoryConfiguration"),
    ("s3", "GetBucketMetadataConfiguration"),
    ("s3tables", "GetTableMetadataLocation"),
    ("s3", "ListObjectsV2"),
    ("pubsub", "subscriptions.acknowledge"),
    ("pubsub", "subscriptions.get"),
    ("pubsub", "subscriptions.pull"),
    ("sqs", "ReceiveMessage"),
    ("sqs", "DeleteMessageBatch"),
    ("sqs", "GetQueueAttributes"),
    ("sts", "GetCallerIdentity"),
    ("sts", "AssumeRole"),
    ("cloudkms", "ListRetiredResources"),
    ("cloudkms", "GetSingleTenantHsmInstance"),
    ("cloudkms", "VerifyConnectivity"),
    ("cloudresourcemanager", "projects.getIamPolicy"),
    ("cloudresourcemanager", "projects.testIamPermissions"),
    ("turbopuffer", "namespaces.list"),
    ("turbopuffer", "namespaces.metadata"),
}


@pytest.fixture
def both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Small, AwsCloud]]:
    with a_small_cloud(tmp_path) as small, an_aws_cloud(monkeypatch) as aws:
        aws.store.add_bucket("objects")
        aws.store.add_key_store("cks-1", "us-east-1")
        aws.store.add_key(AWS_KEY, store="cks-1")
        aws.store.add_key(IMPORTED, origin="EXTERNAL")
        aws.store.put("objects", "acme/imported/0", size=100, sse="aws:kms", key=IMPORTED)
        for number in range(5):
            aws.store.put("objects", f"acme/s3/{number}", size=100, sse="aws:kms", key=AWS_KEY)
        small.config.write_text(small.config.read_text() + AWS_CONFIG + PLATFORM + COUNTS)
        yield small, aws


def scan(small: Small, capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[str, Any]]:
    code = cli._run(small.argv("scan", "-q", "--format", "json", "--fail-on", "critical"))  # noqa: SLF001 - as a user would
    out, err = capsys.readouterr()
    assert err == ""
    return code, json.loads(out)


def test_the_table_of_requests_is_covered() -> None:
    dry = {place for place, row in readonly.TABLE.items() if not row.when({})}
    assert set(readonly.TABLE) == set(REQUESTS) | ELSEWHERE | dry


def test_without_a_refusal_all_is_readable_and_there_is_no_gap(
    both: tuple[Small, AwsCloud], capsys: pytest.CaptureFixture[str]
) -> None:
    code, told = scan(both[0], capsys)
    assert (code, told["gaps"], told["totals"]["by_readability"]["readable"]["objects"]) == (0, [], 26)


@pytest.mark.parametrize(("operation", "match"), REQUESTS.items(), ids=[f"{s} {o}" for s, o in REQUESTS])
def test_every_refusal_is_told_and_makes_nothing_readable(
    both: tuple[Small, AwsCloud], capsys: pytest.CaptureFixture[str], operation: tuple[str, str], match: str
) -> None:
    small, aws = both
    small.set_state(1, "DISABLED")
    if operation == ("cloudkms", "GetIamPolicy"):
        small.set_state(1, "ENABLED")
    if operation == ("cloudtrail", "LookupEvents"):
        key = aws.store.key(IMPORTED)
        assert key is not None
        key.state = "Disabled"
    _, before = scan(small, capsys)
    aws.traffic.fail(match, status=403, code="AccessDenied" if operation[0] == "s3" else "AccessDeniedException")
    small.cloud.traffic.fail(match, status=403, message="no")
    (small.config.parent / "state").rename(small.config.parent / "before")
    _, after = scan(small, capsys)
    seen = sum(match in f"{one.service} {one.verb} {one.target} " for one in _requests(small, aws))
    assert seen, "the refusal was really met"
    assert after["gaps"], "the refusal is told"
    assert {gap["reason"] for gap in after["gaps"]} <= {"access_denied", "not_visible"}
    for name in ("readable", "expiring"):
        sums = [one["totals"]["by_readability"][name]["objects"] for one in (before, after)]
        assert sums[1] <= sums[0]
    total = sum(one["listed"] for one in after["coverage"]["buckets"])
    assert total == after["totals"]["objects"]


def _requests(small: Small, aws: AwsCloud) -> list[Any]:
    return [*small.cloud.traffic.requests, *aws.traffic.requests]


@pytest.mark.parametrize("status", [429, 503])
def test_a_cloud_that_only_throttles_is_a_gap_and_keeps_the_last_proven_state(
    both: tuple[Small, AwsCloud], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    monkeypatch.setattr("auditor.connectors.gcp.calls._FIRST_WAIT", 0.001)
    small, _ = both
    small.set_state(1, "DISABLED")
    _, before = scan(small, capsys)
    small.cloud.traffic.fail("kms ", status=status)
    code = cli._run(small.argv("poll", "-q", "--format", "json"))  # noqa: SLF001 - as above
    after = json.loads(capsys.readouterr().out)
    assert code == 1
    assert after["totals"]["by_readability"] == before["totals"]["by_readability"]
    assert [gap["reason"] for gap in after["gaps"]] == ["throttled" if status == 429 else "timeout"]


def test_that_nobody_is_named_for_the_keys_of_aws_is_a_gap(
    both: tuple[Small, AwsCloud], capsys: pytest.CaptureFixture[str]
) -> None:
    small = both[0]
    small.config.write_text(small.config.read_text().replace(PLATFORM, ""))
    assert cli._run(small.argv("scan", "--format", "json")) == 3  # noqa: SLF001 - the command without the process' end
    (gap,) = json.loads(capsys.readouterr().out)["gaps"]
    assert (gap["what"], gap["reason"], "2 AWS keys" in gap["effect"]) == (
        "[platform] aws_principals",
        "not_visible",
        True,
    )
    assert cli._run([*small.argv("poll", "--format", "json"), GOOGLE_KEY]) == 3, "not asked now is no answer"  # noqa: SLF001 - as above
    assert json.loads(capsys.readouterr().out)["gaps"] == [gap]


@pytest.mark.parametrize("silent", ["denied", "gone"])
def test_a_poll_of_one_key_tells_of_the_silent_others_what_was_told_before(
    both: tuple[Small, AwsCloud], capsys: pytest.CaptureFixture[str], silent: str
) -> None:
    small, aws = both
    if silent == "denied":
        aws.traffic.fail("kms DescribeKey", status=403, code="AccessDeniedException")
    else:
        aws.store.remove_key(AWS_KEY)
    _, before = scan(small, capsys)
    cli._run([*small.argv("poll", "-q", "--format", "json"), GOOGLE_KEY])  # noqa: SLF001 - as a user would
    after = json.loads(capsys.readouterr().out)
    assert bool(before["gaps"]) is (silent == "denied"), "by a command, a key that is gone is lost and no gap"
    assert after["gaps"] == before["gaps"], "they were asked, and nothing is new of them"
    assert after["coverage"]["keys"]["unknown"] == before["coverage"]["keys"]["unknown"]
    causes = [one["cause"] for one in after["findings"] if one["rule"] == "key-state-unknown"]
    assert causes == [one["cause"] for one in before["findings"] if one["rule"] == "key-state-unknown"]
    assert bool(causes) is (silent == "denied")


def test_a_date_beyond_the_horizon_is_the_next_loss_where_none_is_nearer(
    both: tuple[Small, AwsCloud], capsys: pytest.CaptureFixture[str]
) -> None:
    small, aws = both
    key = aws.store.key(IMPORTED)
    assert key is not None
    assert cli._run(small.argv("scan")) == 0  # noqa: SLF001 - as above
    assert "No date of a next loss is known." in capsys.readouterr().out
    key.valid_to = aws.store.clock() + timedelta(days=200)
    assert cli._run(small.argv("poll")) == 0  # noqa: SLF001 - as above
    out = capsys.readouterr().out
    assert f"Next loss: {key.valid_to:%Y-%m-%d %H:%M} UTC" in out
    key.valid_to = None
    assert cli._run(small.argv("poll")) == 0  # noqa: SLF001 - as above
    assert "No date of a next loss is known." in capsys.readouterr().out, "what is resolved has no date any more"


def test_a_bucket_that_hides_who_decrypts_gives_no_right_back(
    both: tuple[Small, AwsCloud], capsys: pytest.CaptureFixture[str]
) -> None:
    small = both[0]
    small.cloud.store.set_policy(RING, [])
    code, before = scan(small, capsys)
    assert (code, before["totals"]["by_readability"]["revoked"]["objects"]) == (1, 20)
    small.cloud.traffic.fail("/b/data?", status=403)
    code, after = scan(small, capsys)
    assert (code, after["totals"]["by_readability"]["revoked"]["objects"]) == (1, 20)
    assert [one["status"] for one in after["findings"] if one["rule"] == "data-revoked"] == ["open"]
    assert "gs://data" in {gap["what"] for gap in after["gaps"]}


def test_dates_that_are_years_off_move_no_deadline(
    both: tuple[Small, AwsCloud], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    small, aws = both
    key = aws.store.key(IMPORTED)
    assert key is not None
    key.valid_to = aws.store.clock() + timedelta(days=10)
    _, before = scan(small, capsys)
    expiring = before["totals"]["by_readability"]["expiring"]["objects"]
    assert expiring == 1
    monkeypatch.setattr("auditor.connectors.wire.Wire.skew", lambda _self: timedelta(days=-9_000))
    code, after = scan(small, capsys)
    assert after["totals"]["by_readability"]["expiring"]["objects"] == expiring
    assert (code, [gap["reason"] for gap in after["gaps"] if gap["what"] == "clocks"]) == (3, ["malformed"])
