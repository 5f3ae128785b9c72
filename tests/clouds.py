"""Embedded clouds for tests, with a clock that tests move."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pyarrow as pa
import pytest

from auditor.connectors.aws.session import AwsClients, AwsIdentity
from auditor.connectors.gcp.session import Endpoints, GcpClients
from auditor.connectors.wire import Wire
from auditor.embedded.aws import AwsCloud
from auditor.embedded.aws import Store as AwsStore
from auditor.embedded.google import GoogleCloud
from auditor.embedded.google import Store as GoogleStore
from auditor.model import Encryption, Population, Reason, StoredObject
from auditor.ports import Coming

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
        for service in ("S3", "KMS", "STS", "CLOUDTRAIL", "SQS", "CLOUDWATCH", "S3TABLES"):
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


def a_google_store() -> GoogleStore:
    """A store with one project, `acme`, whose service agent may decrypt with every key of its ring."""
    store = GoogleStore(Clock())
    agent = store.add_project("acme", 123456)
    store.grant(RING, "roles/cloudkms.cryptoKeyEncrypterDecrypter", f"serviceAccount:{agent}")
    return store


RING = "projects/acme/locations/us-east1/keyRings/tpuf"
GOOGLE_KEY = f"{RING}/cryptoKeys/main"


def google_clients(
    cloud: GoogleCloud, wire: Wire | None = None, *, over_grpc: bool = False, own_log: str | None = None
) -> GcpClients:
    channel = grpc.insecure_channel(cloud.grpc_address) if over_grpc else None
    at = cloud.endpoint
    endpoints = Endpoints(at, at, at, at, monitoring=at)
    return GcpClients({}, endpoints, wire or Wire(Clock()), grpc_channel=channel, own_log=own_log)


def objects_of(coming: Iterable[Coming]) -> list[StoredObject]:
    """What a source handed on, one by one."""
    return [object_of(row) for some in coming if isinstance(some, pa.RecordBatch) for row in some.to_pylist()]


def object_of(row: dict[str, Any]) -> StoredObject:
    """What stands in a row."""
    typed = {"population": Population(row["population"]), "encryption": Encryption(row["encryption"])}
    return StoredObject(**{**row, **typed, "problem": Reason(row["problem"]) if row["problem"] else None})
