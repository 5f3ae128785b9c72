"""Buckets that several list together, and what is told of them."""

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from auditor.cli import _run as run
from auditor.embedded.aws import AwsCloud
from auditor.embedded.traffic import Request
from tests.clouds import an_aws_cloud

KEY = "arn:aws:kms:us-east-1:111122223333:key/1f3c0f5e-0000-4000-8000-000000000001"
OTHER = "arn:aws:kms:us-east-1:111122223333:key/1f3c0f5e-0000-4000-8000-000000000002"
OBJECTS = 900
ON_AWS = """
state = "{state}"
[limits]
requests_per_second = 4000
streams = 4
[platform]
aws_principals = ["arn:aws:iam::111122223333:role/storage"]
[[bucket]]
url = "s3://data"
region = "us-east-1"
layout = "{{org}}/{{namespace}}/"
"""
ON_GOOGLE = """
state = "{state}"
[limits]
streams = 4
[[account]]
project = "acme"
[gcp]
storage_endpoint = "{endpoint}"
kms_endpoint = "{endpoint}"
logging_endpoint = "{endpoint}"
iam_endpoint = "{endpoint}"
monitoring_endpoint = "{endpoint}"
[[bucket]]
url = "gs://data"
layout = "{{org}}/{{namespace}}/"
account = "acme"
"""


@contextmanager
def on_aws(folder: Path, monkeypatch: pytest.MonkeyPatch, objects: int = OBJECTS) -> Iterator[AwsCloud]:
    monkeypatch.setattr("auditor.embedded.aws.s3._PAGE", 15)
    with an_aws_cloud(monkeypatch) as cloud:
        cloud.store.add_bucket("data", versioned=True)
        cloud.store.add_key(KEY)
        cloud.store.add_key(OTHER)
        for number in range(objects):
            name = f"org-{number % 7}/ns-{number * 2654435761 % 997:03}/{number:05}"
            cloud.store.put("data", name, sse="aws:kms", key=KEY if number % 3 else OTHER, size=number)
        for state in ("state", "alone"):
            (folder / f"{state}.toml").write_text(ON_AWS.format(state=state))
        yield cloud


def told(folder: Path, command: str, state: str, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    assert run([command, "-q", "--format", "json", "--config", str(folder / f"{state}.toml")]) in {0, 1, 3}
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def of_data(judgement: Mapping[str, Any]) -> dict[str, Any]:
    """What a judgement says of the data, whenever that was listed."""
    coverage = [
        {name: one[name] for name in ("bucket", "complete", "listed", "resolved", "unresolved", "outside")}
        for one in judgement["coverage"]["buckets"]
    ]
    return {"coverage": coverage, "totals": judgement["totals"], "dependencies": judgement["dependencies"]}


def headed(requests: Iterable[Request]) -> list[str]:
    """What HEADs asked about: name and version."""
    return [one.target for one in requests if one.verb == "HEAD" and one.target.startswith("/data/")]


def left_over(folder: Path) -> list[Path]:
    """What stays of a sweep that several have listed."""
    return [
        one for one in (folder / "state" / "inventory" / ".shared").rglob("*") if one.suffix in {".json", ".parquet"}
    ]
