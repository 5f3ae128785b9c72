"""The embedded Google Cloud refuses what the real one refuses, and only then."""

import http.client
import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from google.api_core import exceptions
from google.auth.credentials import AnonymousCredentials
from google.cloud import kms_v1 as kms
from google.cloud import logging as cloud_logging
from google.cloud import storage
from google.cloud.kms_v1.services.key_management_service import transports

from auditor.embedded.google import GoogleCloud, rpc
from tests.clouds import GOOGLE_KEY, RING, Clock, a_google_store

VERSION = f"{GOOGLE_KEY}/cryptoKeyVersions/1"


@pytest.fixture
def cloud() -> Iterator[GoogleCloud]:
    store = a_google_store()
    store.add_bucket("data", "acme", "us-east1")
    store.add_key(GOOGLE_KEY)
    store.put("data", "a/b ü", size=100, key=GOOGLE_KEY)
    with GoogleCloud(store) as running:
        yield running


def client(cloud: GoogleCloud) -> kms.KeyManagementServiceClient:
    transport = transports.KeyManagementServiceRestTransport(
        host=cloud.endpoint.removeprefix("http://"), url_scheme="http", credentials=AnonymousCredentials()
    )
    return kms.KeyManagementServiceClient(transport=transport)


def read(cloud: GoogleCloud, name: str = "a/b ü", **headers: str) -> tuple[int, Any]:
    connection = http.client.HTTPConnection(urlsplit(cloud.endpoint).netloc)
    connection.request("GET", f"/storage/v1/b/data/o/{quote(name, safe='')}?alt=media", headers=headers)
    answer = connection.getresponse()
    body = answer.read()
    return answer.status, json.loads(body)["error"]["errors"][0]["reason"] if answer.status >= 400 else body


def buckets(cloud: GoogleCloud) -> Any:
    return storage.Client("acme", AnonymousCredentials(), client_options={"api_endpoint": cloud.endpoint})


def key_of(cloud: GoogleCloud) -> Any:
    return cloud.store.key(GOOGLE_KEY)


def test_the_client_librarys_methods_are_those_that_this_was_written_for() -> None:
    """An update of the library that changes its private tables fails here, and only here."""
    services = [one.service for one in rpc.table()]
    assert services.count("google.cloud.kms.v1.KeyManagementService") == 35
    assert services.count("google.cloud.kms.v1.HsmManagement") == 9
    assert services.count("google.iam.v1.IAMPolicy") == 3
    assert services.count("google.cloud.kms.v1.EkmService") == 7
    assert len(rpc.routes()) == 66


_ALL: Any = kms.CryptoKeyVersion.CryptoKeyVersionState
STATES = [one.name for one in _ALL if one.value]


@pytest.mark.parametrize("state", STATES)
def test_only_an_enabled_version_reads(cloud: GoogleCloud, state: str) -> None:
    key_of(cloud).versions[1].state = state
    expected = (200, None) if state == "ENABLED" else (400, "cloudKmsDisabledKey")
    status, told = read(cloud)
    assert (status, told if status >= 400 else None) == expected


def test_bytes_are_the_same_each_time_and_ranges_are_parts_of_them(cloud: GoogleCloud) -> None:
    status, whole = read(cloud)
    assert (status, len(whole)) == (200, 100)
    assert read(cloud) == (200, whole)
    assert read(cloud, Range="bytes=37-59") == (206, whole[37:60])
    assert read(cloud, Range="bytes=100-")[0] == 416


def test_a_deleted_version_a_lost_grant_and_a_policy_each_stop_a_read(cloud: GoogleCloud) -> None:
    key_of(cloud).access_reasons = []
    assert read(cloud) == (403, "forbidden")
    key_of(cloud).access_reasons = ["CUSTOMER_INITIATED_ACCESS"]
    assert read(cloud)[0] == 200
    cloud.store.revoke(RING, f"serviceAccount:{cloud.store.agent('acme')}")
    assert read(cloud) == (403, "forbidden")
    del key_of(cloud).versions[1]
    assert read(cloud) == (400, "cloudKmsDecryptionKeyNotFound")


@pytest.mark.parametrize("state", ["DISABLING", "DISABLED", "DELETING", "DELETED", "FAILED"])
def test_a_single_tenant_hsm_that_is_not_active_stops_a_read(cloud: GoogleCloud, state: str) -> None:
    cloud.store.add_instance("projects/acme/locations/us-east1/singleTenantHsmInstances/one", state)
    key_of(cloud).backend = "projects/acme/locations/us-east1/singleTenantHsmInstances/one"
    assert read(cloud)[0] == 400


def test_a_destruction_takes_its_way_through_the_clock_and_a_restore_lands_in_disabled(cloud: GoogleCloud) -> None:
    calls = client(cloud)
    scheduled = calls.destroy_crypto_key_version(name=VERSION)
    assert scheduled.state.name == "DESTROY_SCHEDULED"
    assert scheduled.destroy_time
    assert read(cloud)[0] == 400
    assert calls.restore_crypto_key_version(name=VERSION).state.name == "DISABLED"
    off = kms.CryptoKeyVersion(name=VERSION, state=kms.CryptoKeyVersion.CryptoKeyVersionState.ENABLED)
    update = {"crypto_key_version": off, "update_mask": {"paths": ["state"]}}
    assert calls.update_crypto_key_version(request=update).state.name == "ENABLED"
    calls.destroy_crypto_key_version(name=VERSION)
    assert isinstance(cloud.store.clock, Clock)
    cloud.store.clock.ahead = timedelta(days=31)
    assert calls.get_crypto_key_version(name=VERSION).state.name == "DESTROYED"
    with pytest.raises(exceptions.BadRequest):
        calls.restore_crypto_key_version(name=VERSION)


def test_encrypt_and_decrypt_go_by_the_versions_state(cloud: GoogleCloud) -> None:
    calls = client(cloud)
    hidden = calls.encrypt(name=GOOGLE_KEY, plaintext=b"secret").ciphertext
    assert calls.decrypt(name=GOOGLE_KEY, ciphertext=hidden).plaintext == b"secret"
    key_of(cloud).versions[1].state = "DISABLED"
    with pytest.raises(exceptions.BadRequest, match="is not enabled, current state is: DISABLED"):
        calls.decrypt(name=GOOGLE_KEY, ciphertext=hidden)


def test_lists_page_and_what_is_not_built_says_so(cloud: GoogleCloud) -> None:
    for number in range(130):
        cloud.store.add_key(f"{RING}/cryptoKeys/k{number:03}")
    calls = client(cloud)
    assert len(list(calls.list_crypto_keys(parent=RING))) == 131
    assert [one.name for one in calls.list_key_rings(parent="projects/acme/locations/us-east1")] == [RING]
    with pytest.raises(exceptions.MethodNotImplemented):
        calls.create_import_job(parent=RING, import_job_id="x", import_job=kms.ImportJob())


def test_admin_activity_is_logged_as_the_logging_client_reads_it(cloud: GoogleCloud) -> None:
    client(cloud).destroy_crypto_key_version(name=VERSION)
    logs = cloud_logging.Client(
        project="acme",
        credentials=AnonymousCredentials(),
        _use_grpc=False,
        client_options={"api_endpoint": cloud.endpoint},
    )
    (entry,) = logs.list_entries()
    assert entry.payload["methodName"] == "DestroyCryptoKeyVersion"
    assert entry.payload["resourceName"] == VERSION


def test_it_listens_on_loopback_only(cloud: GoogleCloud) -> None:
    assert urlsplit(cloud.endpoint).hostname == "127.0.0.1"
    assert cloud.grpc_address.startswith("127.0.0.1:")


def test_a_customer_makes_rings_and_keys_once(cloud: GoogleCloud) -> None:
    calls = client(cloud)
    ring = calls.create_key_ring(parent="projects/acme/locations/us-east1", key_ring_id="new", key_ring=kms.KeyRing())
    wanted = kms.CryptoKey(
        purpose=kms.CryptoKey.CryptoKeyPurpose.ENCRYPT_DECRYPT,
        labels={"a": "b"},
        destroy_scheduled_duration=timedelta(days=1),
    )
    made = calls.create_crypto_key(parent=ring.name, crypto_key_id="one", crypto_key=wanted)
    assert (made.primary.state.name, made.labels) == ("ENABLED", {"a": "b"})
    assert made.destroy_scheduled_duration == timedelta(days=1)
    for again in (
        lambda: calls.create_key_ring(parent="projects/acme/locations/us-east1", key_ring_id="new"),
        lambda: calls.create_crypto_key(parent=ring.name, crypto_key_id="one", crypto_key=wanted),
    ):
        with pytest.raises(exceptions.Conflict):
            again()


def test_a_customer_makes_and_deletes_buckets_and_objects(cloud: GoogleCloud) -> None:
    new = buckets(cloud).bucket("new")
    new.labels = {"a": "b"}
    new.soft_delete_policy.retention_duration_seconds = 0
    buckets(cloud).create_bucket(new, location="us-east1")
    assert cloud.store.buckets["new"].labels == {"a": "b"}
    assert not cloud.store.buckets["new"].soft_delete
    blob = new.blob("a/b ü", kms_key_name=GOOGLE_KEY)
    blob.upload_from_string(b"one\r\n\r\ntwo\r\n")
    assert blob.kms_key_name == VERSION
    assert new.blob("a/b ü").download_as_bytes() == b"one\r\n\r\ntwo\r\n"
    with pytest.raises(exceptions.Conflict):
        new.delete()
    blob.delete()
    new.delete()
    assert "new" not in cloud.store.buckets


def test_a_deleted_object_goes_by_versioning_and_soft_deletion(cloud: GoogleCloud) -> None:
    blob = buckets(cloud).bucket("data").blob("a/b ü")
    blob.delete()
    (soft,) = buckets(cloud).list_blobs("data", soft_deleted=True)
    assert soft.kms_key_name == VERSION
    with pytest.raises(exceptions.NotFound):
        blob.delete()
    cloud.store.buckets["data"].versioned = True
    blob.upload_from_string(b"one")
    blob.upload_from_string(b"two")
    assert [one.time_deleted is None for one in buckets(cloud).list_blobs("data", versions=True)] == [False, True]


def test_a_noncurrent_generation_that_is_deleted_is_told_among_what_can_be_restored(cloud: GoogleCloud) -> None:
    cloud.store.buckets["data"].versioned = True
    blob = buckets(cloud).bucket("data").blob("a/b ü")
    blob.upload_from_string(b"two")
    (old, _) = buckets(cloud).list_blobs("data", versions=True)
    old.delete()
    assert [one.generation for one in buckets(cloud).list_blobs("data", soft_deleted=True)] == [old.generation]
    assert [one.time_deleted for one in buckets(cloud).list_blobs("data", versions=True)] == [None]


def test_a_write_needs_a_usable_key_its_grant_and_a_name_without_version(cloud: GoogleCloud) -> None:
    def refusal(key: str) -> tuple[int, str]:
        name = f"/upload/storage/v1/b/data/o?uploadType=media&name=x&kmsKeyName={key}"
        connection = http.client.HTTPConnection(urlsplit(cloud.endpoint).netloc)
        connection.request("POST", name, body=b"x")
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())["error"]["errors"][0]["reason"]

    assert refusal(VERSION) == (400, "invalid")
    assert refusal(f"{GOOGLE_KEY}-made-up") == (400, "cloudKmsEncryptionKeyNotFound")
    key_of(cloud).versions[1].state = "DISABLED"
    assert refusal(GOOGLE_KEY) == (400, "cloudKmsDisabledKey")
    key_of(cloud).versions[1].state = "ENABLED"
    cloud.store.revoke(RING, f"serviceAccount:{cloud.store.agent('acme')}")
    assert refusal(GOOGLE_KEY) == (403, "forbidden")
