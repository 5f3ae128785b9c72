"""The embedded turbopuffer, asked by turbopuffer's own client."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
import turbopuffer

from auditor.embedded.turbopuffer import Platform, Turbopuffer, customer_managed

KEY = "projects/acme/locations/us-east1/keyRings/tpuf/cryptoKeys/main"


@pytest.fixture
def cloud() -> Iterator[Turbopuffer]:
    platform = Platform(lambda: datetime(2026, 11, 1, tzinfo=UTC), "tpuf_test")
    with Turbopuffer(platform) as running:
        yield running


def client(cloud: Turbopuffer, key: str = "tpuf_test") -> turbopuffer.Turbopuffer:
    return turbopuffer.Turbopuffer(api_key=key, base_url=cloud.endpoint, max_retries=0, telemetry=False)


def test_the_client_pages_through_all_namespaces(cloud: Turbopuffer) -> None:
    for number in range(250):
        cloud.platform.put(f"ns-{number:03}")
    names = [one.id for one in client(cloud).namespaces()]
    assert names == [f"ns-{number:03}" for number in range(250)]
    assert len(cloud.traffic.requests) == 3
    assert [one.id for one in client(cloud).namespaces(prefix="ns-24", page_size=3)] == names[240:]


def test_the_client_understands_metadata(cloud: Turbopuffer) -> None:
    cloud.platform.put("mine", customer_managed(KEY))
    cloud.platform.put("plain")
    told = client(cloud).namespace("mine").metadata()
    assert (told.encryption.mode, told.created_at) == ("customer-managed", datetime(2026, 11, 1, tzinfo=UTC))
    assert told.to_dict()["encryption"] == customer_managed(KEY)
    assert client(cloud).namespace("plain").metadata().encryption.mode == "default"


def test_older_clients_find_metadata_where_they_look(cloud: Turbopuffer) -> None:
    cloud.platform.put("mine", customer_managed(KEY))
    told = client(cloud).get("/v1/namespaces/mine/metadata", cast_to=dict[str, object])
    assert told["encryption"] == customer_managed(KEY)


def test_what_is_not_there_and_who_may_not_ask_get_the_clients_own_errors(cloud: Turbopuffer) -> None:
    cloud.platform.put("gone")
    cloud.platform.delete("gone")
    with pytest.raises(turbopuffer.NotFoundError, match="namespace not found"):
        client(cloud).namespace("gone").metadata()
    with pytest.raises(turbopuffer.AuthenticationError):
        client(cloud, "tpuf_other").namespaces()
    with pytest.raises(turbopuffer.NotFoundError, match="not part of this embedded platform"):
        client(cloud).namespace("gone").delete_all()


@pytest.mark.parametrize(
    ("how", "error"),
    [
        ({"status": 429}, turbopuffer.RateLimitError),
        ({"status": 500}, turbopuffer.InternalServerError),
        ({"drop": True}, turbopuffer.APIConnectionError),
        ({"reset": True}, turbopuffer.APIConnectionError),
        ({"cut": True}, turbopuffer.APIConnectionError),
    ],
)
def test_faults_reach_the_client_as_what_they_are(
    cloud: Turbopuffer, how: dict[str, object], error: type[Exception]
) -> None:
    cloud.traffic.fail("/v1/namespaces", **how)
    with pytest.raises(error):
        client(cloud).namespaces()
