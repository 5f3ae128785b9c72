"""The SDK's clients: for the real clouds with the SDK's usual credentials, for an embedded one without any."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Final

import boto3
import google.auth
import grpc
import requests
from google.auth.credentials import AnonymousCredentials
from google.auth.transport.requests import AuthorizedSession
from google.cloud import kms_v1 as kms
from google.cloud.kms_v1.services.key_management_service.transports import KeyManagementServiceGrpcTransport
from google.cloud.storage import Client

from auditor.embedded.aws import AwsCloud
from auditor.embedded.aws import Store as AwsStore
from auditor.embedded.google import GoogleCloud
from auditor.embedded.google import Store as GoogleStore
from tests.live.aws import Aws
from tests.live.gcp import Clients, Google
from tests.live.kit import Run

_SCOPE: Final = "https://www.googleapis.com/auth/cloud-platform"


def embedded_aws(cloud: AwsCloud, region: str, run: Run, account: str = "999988887777") -> Aws:
    """An embedded AWS, called by an administrator of an account."""
    access_key, administrator = f"AKIA{account}LIVE", f"arn:aws:iam::{account}:role/administrator"
    cloud.store.principals[access_key] = administrator
    cloud.store.by_iam.add(administrator)
    session = boto3.session.Session(aws_access_key_id=access_key, aws_secret_access_key="none")
    return Aws(session, region, run, cloud.endpoint)


def embedded_gcp(cloud: GoogleCloud, project: str, location: str, run: Run) -> Google:
    """An embedded Google Cloud."""
    transport = KeyManagementServiceGrpcTransport(channel=grpc.insecure_channel(cloud.grpc_address))
    options = {"api_endpoint": cloud.endpoint}
    clients = Clients(
        keys=kms.KeyManagementServiceClient(transport=transport),
        storage=Client(project, AnonymousCredentials(), client_options=options),
        session=requests.Session(),
        address=cloud.endpoint,
    )
    return Google(clients, project, location, run)


@contextmanager
def aws(region: str, run: Run, *, rehearse: bool) -> Iterator[Aws]:
    """AWS itself, or an embedded one for a rehearsal."""
    if not rehearse:
        yield Aws(boto3.session.Session(), region, run)
        return
    with AwsCloud(AwsStore(lambda: datetime.now(UTC))) as cloud:
        yield embedded_aws(cloud, region, run)


@contextmanager
def gcp(project: str, location: str, run: Run, *, rehearse: bool) -> Iterator[Google]:
    """Google Cloud itself, or an embedded one with this one project for a rehearsal."""
    if not rehearse:
        credentials, _ = google.auth.default(scopes=[_SCOPE])
        clients = Clients(
            keys=kms.KeyManagementServiceClient(credentials=credentials),
            storage=Client(project=project, credentials=credentials),
            session=AuthorizedSession(credentials),
        )
        yield Google(clients, project, location, run)
        return
    store = GoogleStore(lambda: datetime.now(UTC))
    store.add_project(project, 555566667777)
    with GoogleCloud(store) as cloud:
        yield embedded_gcp(cloud, project, location, run)
