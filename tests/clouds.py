"""Embedded clouds for tests, with a clock that tests move."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest

from auditor.connectors.aws.session import AwsClients, AwsIdentity
from auditor.connectors.wire import Wire
from auditor.embedded.aws import AwsCloud
from auditor.embedded.aws import Store as AwsStore

ACCESS_KEY = "AKIA111122223333TEST"


class Clock:
    """Now, plus what a test adds."""

    def __init__(self) -> None:
        self.ahead = timedelta(0)

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


@contextmanager
def an_aws_cloud(monkeypatch: pytest.MonkeyPatch, access_key: str = ACCESS_KEY) -> Iterator[AwsCloud]:
    """Run an embedded AWS and point the SDK's own variables at it."""
    with AwsCloud(AwsStore(Clock())) as cloud:
        for service in ("S3", "KMS", "STS"):
            monkeypatch.setenv(f"AWS_ENDPOINT_URL_{service}", cloud.endpoint)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", access_key)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
        monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
        monkeypatch.delenv("AWS_SESSION_TOKEN", raising=False)
        monkeypatch.delenv("AWS_PROFILE", raising=False)
        yield cloud


def aws_clients(wire: Wire | None = None, attempts: int = 1, **identities: AwsIdentity) -> AwsClients:
    named = {name.removeprefix("a"): one for name, one in identities.items()}
    return AwsClients(named, wire or Wire(Clock()), "cmek-auditor/test", connections=16, attempts=attempts)
