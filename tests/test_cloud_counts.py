"""Both clouds' own counts beside what sweeps list, from the request to the exit code."""

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from auditor import cli, sweeping
from auditor.embedded.aws import AwsCloud
from auditor.ports import Begun, ObjectSource, Written
from tests.clouds import an_aws_cloud
from tests.core_builders import NOW
from tests.small import Small, a_small_cloud

AWS_KEY = "arn:aws:kms:eu-west-1:111122223333:key/1f3c0f5e-0000-4000-8000-000000000001"
CONFIG = """
[sweep]
cloud_counts = true
[platform]
aws_principals = ["arn:aws:iam::111122223333:role/storage"]
[[bucket]]
url = "s3://objects"
layout = "{org}/{namespace}/"
"""
URLS = ("gs://data", "s3://objects")


@pytest.fixture
def both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Small, AwsCloud]]:
    with a_small_cloud(tmp_path) as small, an_aws_cloud(monkeypatch) as aws:
        # Not in the Region that clients take without being told: where the bucket is, the bucket says.
        aws.store.add_bucket("objects", "eu-west-1", versioned=True)
        aws.store.add_key(AWS_KEY)
        for number in range(5):
            aws.store.put("objects", f"acme/s3/{number}", size=100, sse="aws:kms", key=AWS_KEY)
        small.config.write_text(small.config.read_text() + CONFIG)
        yield small, aws


def scan(small: Small, capsys: pytest.CaptureFixture[str], *more: str) -> tuple[int, dict[str, Any]]:
    code = cli._run(small.argv("scan", "-q", "--format", "json", *more))  # noqa: SLF001 - as a user would
    out, err = capsys.readouterr()
    assert err == ""
    return code, json.loads(out)


def counted(told: dict[str, Any]) -> dict[str, tuple[int | None, str | None, int | None]]:
    """Bucket -> the cloud's count, what it says, the difference."""
    found = {}
    for one in told["coverage"]["buckets"]:
        compared = one["cloud_comparison"] or {"agreement": None, "difference": None}
        found[one["bucket"]] = (one["cloud_count"], compared["agreement"], compared["difference"])
    return found


def measure(both: tuple[Small, AwsCloud], google: int | None = None, aws: int | None = None) -> None:
    """Let both clouds count, or find so many: on Google Cloud, live objects."""
    counts = {} if google is None else {"live_object": google}
    both[0].cloud.store.measure("data", timedelta(hours=20), **counts)
    both[1].store.measure("objects", count=aws)


def test_counts_that_agree_are_told_and_are_no_gap(
    both: tuple[Small, AwsCloud], capsys: pytest.CaptureFixture[str]
) -> None:
    small, aws = both
    aws.store.delete("objects", "acme/s3/0", None)
    aws.store.buckets["objects"].uploads.append(("acme/s3/big", "u1"))
    measure(both)
    code, told = scan(small, capsys)
    assert (code, told["gaps"]) == (0, [])
    assert counted(told) == {"gs://data": (20, "agrees", 0), "s3://objects": (6, "agrees", 1)}
    assert {one["cloud_comparison"]["allowed"] for one in told["coverage"]["buckets"]} == {1_000, 11_001}
    of_metrics = [one for one in (*small.cloud.traffic.requests, *aws.traffic.requests) if _is_of_metrics(one.service)]
    assert sorted(one.service for one in of_metrics) == ["cloudwatch", "monitoring"], "once a bucket and sweep"


def _is_of_metrics(service: str) -> bool:
    return service in {"cloudwatch", "monitoring"}


def test_what_the_clouds_count_beyond_the_tolerance_is_a_gap_and_nothing_else(
    both: tuple[Small, AwsCloud], capsys: pytest.CaptureFixture[str]
) -> None:
    measure(both, 1_021, aws=1_006)
    code, told = scan(both[0], capsys)
    assert code == 3
    assert counted(told) == {"gs://data": (1_021, "unexplained", 1_001), "s3://objects": (1_006, "unexplained", 1_001)}
    assert [(one["what"], one["reason"]) for one in told["gaps"]] == [(url, "not_visible") for url in URLS]
    for one in told["gaps"]:
        assert one["effect"].startswith("the cloud counts 1,001 objects more than the sweep listed: 1,0")
    assert all(one["complete"] and one["unresolved"] == 0 for one in told["coverage"]["buckets"])
    opened = {(one["rule"], one["subject"]["id"], one["severity"]) for one in told["findings"]}
    assert opened == {("sweep-incomplete", url, "medium") for url in URLS}
    assert told["totals"]["by_readability"]["readable"]["objects"] == 25, "what was listed is judged all the same"


def test_what_went_away_since_the_clouds_counted_is_no_alarm(
    both: tuple[Small, AwsCloud], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("auditor.completeness._FLOOR", 0)
    small, aws = both
    assert {one[1] for one in counted(scan(small, capsys)[1]).values()} == {"not_known"}
    measure(both, 20)
    for number in range(3):
        aws.store.delete("objects", f"acme/s3/{number}", f"v{number + 1:08}")
    aws.store.measure("objects", 0, 5)
    small.cloud.store.buckets["data"].objects = small.cloud.store.buckets["data"].objects[:9]
    code, told = scan(small, capsys)
    assert (code, told["gaps"]) == (0, [])
    assert counted(told) == {"gs://data": (20, "explained", 11), "s3://objects": (5, "explained", 3)}


def test_a_bucket_without_a_value_yet_is_told_as_not_known_and_is_no_gap(
    both: tuple[Small, AwsCloud], capsys: pytest.CaptureFixture[str]
) -> None:
    code, told = scan(both[0], capsys)
    assert (code, told["gaps"]) == (0, [])
    assert counted(told) == dict.fromkeys(URLS, (None, "not_known", None))


def _deny(small: Small, aws: AwsCloud) -> None:
    small.cloud.store.deny("monitoring.timeSeries.list", "projects/acme")
    aws.store.permits = lambda _account, action, _resource: action != "cloudwatch:GetMetricStatistics"


def test_a_count_that_may_not_be_read_is_a_gap_and_changes_no_verdict(
    both: tuple[Small, AwsCloud], capsys: pytest.CaptureFixture[str]
) -> None:
    measure(both)
    _deny(*both)
    code, told = scan(both[0], capsys)
    assert code == 3
    assert counted(told) == dict.fromkeys(URLS, (None, "not_read", None))
    assert [(one["what"], one["reason"]) for one in told["gaps"]] == [(url, "access_denied") for url in URLS]
    hints = [one["hint"] for one in told["gaps"]]
    assert "monitoring.timeSeries.list" in hints[0]
    assert "cloudwatch:GetMetricStatistics" in hints[1]
    assert told["totals"]["by_readability"]["readable"]["objects"] == 25
    assert told["findings"] == []
    assert all(one["complete"] and one["resolved"] == one["listed"] for one in told["coverage"]["buckets"])


def test_nobody_is_asked_unless_the_config_says_so(
    both: tuple[Small, AwsCloud], capsys: pytest.CaptureFixture[str]
) -> None:
    small, aws = both
    small.config.write_text(small.config.read_text().replace("cloud_counts = true", "cloud_counts = false"))
    _deny(small, aws)
    code, told = scan(small, capsys)
    assert (code, told["gaps"]) == (0, [])
    assert counted(told) == dict.fromkeys(URLS, (None, None, None))
    assert not [one for one in (*small.cloud.traffic.requests, *aws.traffic.requests) if _is_of_metrics(one.service)]


def _defect(*_: object) -> None:
    raise KeyError("a defect")


def test_a_defect_of_the_comparison_takes_nothing_from_the_sweep(
    both: tuple[Small, AwsCloud], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("auditor.connectors.aws.counts.asked", _defect)
    measure(both)
    code, told = scan(both[0], capsys)
    (gap,) = told["gaps"]
    assert (code, gap["what"], gap["reason"]) == (3, "s3://objects", "unsupported")
    assert counted(told) == {"gs://data": (20, "agrees", 0), "s3://objects": (None, "not_read", None)}
    assert all(one["complete"] for one in told["coverage"]["buckets"])


@pytest.mark.parametrize(
    ("kept", "ended", "markers"), [(0, None, 7), (1, None, None), (0, NOW, None)], ids=["anew", "goes on", "was whole"]
)
def test_a_sweep_that_goes_on_with_another_has_not_seen_all_delete_markers(
    kept: int, ended: datetime | None, markers: int | None
) -> None:
    source = cast("ObjectSource", SimpleNamespace(markers=7))
    written = Written({}, 0, 0, 0, None, (), ended=ended)
    assert sweeping._markers(source, Begun("s1", NOW, "", kept=kept), written) == markers  # noqa: SLF001 - what it keeps
