"""Probes over the wire: what each answer of the clouds is taken for."""

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from auditor.connectors.aws.probes import AwsProbes
from auditor.connectors.gcp.keys import GcpKeys
from auditor.connectors.gcp.probes import GcpProbes, why
from auditor.connectors.pace import Pace
from auditor.connectors.wire import Wire
from auditor.embedded.aws import AwsCloud
from auditor.embedded.google import GoogleCloud
from auditor.errors import ReadOnlyError
from auditor.model import (
    NO_RIGHT,
    Cloud,
    EkmConnection,
    GcpKey,
    KeyName,
    Probe,
    ProbeKind,
    ProbeOutcome,
    Reason,
    Sample,
)
from auditor.ports import KeyNeed
from tests.clouds import (
    ACCESS_KEY,
    GOOGLE_KEY,
    RING,
    Clock,
    a_google_store,
    an_aws_cloud,
    aws_clients,
    google_clients,
)
from tests.hostile import NAMES

KEY = "arn:aws:kms:us-east-1:111122223333:key/1f3c0f5e-0000-4000-8000-000000000001"
ROLE = "arn:aws:iam::111122223333:role/storage"
AGENT = "service-123456@gs-project-accounts.iam.gserviceaccount.com"
PASSED, REFUSED, INCONCLUSIVE = ProbeOutcome.PASSED, ProbeOutcome.REFUSED, ProbeOutcome.INCONCLUSIVE


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[AwsCloud]:
    with an_aws_cloud(monkeypatch) as running:
        running.store.add_bucket("data")
        running.store.principals[ACCESS_KEY] = ROLE
        running.store.by_iam.add(ROLE)
        yield running


@pytest.fixture
def google() -> Iterator[GoogleCloud]:
    with GoogleCloud(a_google_store()) as running:
        running.store.add_bucket("data", "acme", "us-east1")
        yield running


def aws_probes(wire: Wire | None = None) -> AwsProbes:
    return AwsProbes(aws_clients(wire), {"s3://data": ("us-east-1", None)}, Clock())


def read(cloud: AwsCloud, *, name: str = "a", **how: Any) -> Probe:
    cloud.store.put("data", name, size=how.pop("size", 10), sse="aws:kms", key=KEY, **how)
    return aws_probes().read(Sample("s3://data", KEY, None, name, None), (ROLE,))


def test_a_read_that_passes_is_told_with_whose_it_was(aws: AwsCloud) -> None:
    aws.store.add_key(KEY)
    found = read(aws)
    assert (found.outcome, found.code, found.cached, found.kind) == (PASSED, "ok", False, ProbeKind.READ)
    assert found.reason is None
    assert found.principal == "arn:aws:sts::111122223333:assumed-role/storage/session"
    assert found.evidence[0].call == "s3:GetObject"
    assert "a" not in {found.bucket, found.key}, "no object's name is kept"


NOBODY = {
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"AWS": "arn:aws:iam::111122223333:role/nobody"},
            "Action": "kms:*",
            "Resource": "*",
        }
    ]
}
STATES: dict[str, tuple[dict[str, Any], tuple[ProbeOutcome, str]]] = {
    "Disabled": ({"state": "Disabled"}, (REFUSED, "DisabledException")),
    "PendingDeletion": ({"state": "PendingDeletion"}, (REFUSED, "KMSInvalidStateException")),
    "PendingImport": ({"state": "PendingImport"}, (REFUSED, "KMSInvalidStateException")),
    "still spreading": ({"reads_as": "Disabled"}, (REFUSED, "DisabledException")),
    "no right": ({"policy": NOBODY}, (REFUSED, NO_RIGHT)),
}


@pytest.mark.parametrize(("how", "expected"), STATES.values(), ids=STATES)
def test_a_read_that_the_key_stops_is_refused(
    aws: AwsCloud, how: dict[str, Any], expected: tuple[ProbeOutcome, str]
) -> None:
    aws.store.add_key(KEY, **how)
    found = read(aws)
    assert (found.outcome, found.code) == expected


def test_of_a_caller_that_nobody_names_a_missing_right_tells_nothing(aws: AwsCloud) -> None:
    aws.store.add_key(KEY, policy=NOBODY)
    aws.traffic.fail("sts ", status=503, code="ServiceUnavailable")
    found = read(aws)
    assert (found.outcome, found.code, found.reason, found.principal) == (
        INCONCLUSIVE,
        "UnknownCaller",
        Reason.TIMEOUT,
        None,
    )


OF_THE_KEY = ("DisabledException", "KMSInvalidStateException", "NotFoundException", "KeyUnavailableException")


@pytest.mark.parametrize("code", OF_THE_KEY)
def test_each_code_by_which_kms_stops_a_read_is_a_refusal(aws: AwsCloud, code: str) -> None:
    aws.store.add_key(KEY)
    aws.traffic.fail("s3 GET /data/a", status=400, code=f"KMS.{code}")
    found = read(aws)
    assert (found.outcome, found.code, found.reason, found.cached) == (REFUSED, code, None, False)


def test_the_very_version_of_the_sample_is_read(aws: AwsCloud) -> None:
    dead = f"{KEY[:-1]}2"
    aws.store.add_bucket("versioned", versioned=True)
    for key, version, state in ((dead, "old", "Disabled"), (KEY, "new", "Enabled")):
        aws.store.add_key(key, state=state)
        aws.store.put("versioned", "a", sse="aws:kms", key=key, version_id=version)
    probes = AwsProbes(aws_clients(), {"s3://versioned": ("us-east-1", None)}, Clock())
    samples = (Sample("s3://versioned", key, None, "a", version) for key, version in ((dead, "old"), (KEY, "new")))
    assert [probes.read(one, (ROLE,)).code for one in samples] == ["DisabledException", "ok"]


def test_a_store_that_says_connected_and_does_not_work_is_found_by_a_read(aws: AwsCloud) -> None:
    aws.store.add_key_store("cks-1", "us-east-1", works=False)
    aws.store.add_key(KEY, store="cks-1")
    assert read(aws).code == "KMSInvalidStateException"


def test_a_key_that_is_gone_reads_like_one_without_a_right(aws: AwsCloud) -> None:
    assert (read(aws).outcome, read(aws).code) == (REFUSED, NO_RIGHT)


ELSE: dict[str, tuple[dict[str, Any], str, Reason]] = {
    "archived": ({"storage_class": "GLACIER"}, "InvalidObjectState", Reason.UNSUPPORTED),
    "no right on the object": ({"head_denied": True}, "AccessDenied", Reason.ACCESS_DENIED),
}


@pytest.mark.parametrize(("how", "code", "reason"), ELSE.values(), ids=ELSE)
def test_what_something_else_stops_says_nothing_of_the_key(
    aws: AwsCloud, how: dict[str, Any], code: str, reason: Reason
) -> None:
    aws.store.add_key(KEY)
    found = read(aws, **how)
    assert (found.outcome, found.code, found.reason) == (INCONCLUSIVE, code, reason)


FAULTS: dict[str, tuple[dict[str, Any], Reason]] = {
    "throttled": ({"status": 503, "code": "SlowDown"}, Reason.THROTTLED),
    "dropped": ({"drop": True}, Reason.TIMEOUT),
    "expired": ({"status": 400, "code": "ExpiredToken"}, Reason.EXPIRED_CREDENTIALS),
    "gone meanwhile": ({"status": 404, "code": "NoSuchKey"}, Reason.NOT_FOUND),
    "a code of the future": ({"status": 400, "code": "KMS.NewException"}, Reason.TIMEOUT),
}


@pytest.mark.parametrize(("how", "reason"), FAULTS.values(), ids=FAULTS)
def test_a_fault_on_the_way_says_nothing_of_the_key_and_why(aws: AwsCloud, how: dict[str, Any], reason: Reason) -> None:
    aws.store.add_key(KEY)
    aws.traffic.fail("s3 GET /data/a", **how)
    found = read(aws)
    assert (found.outcome, found.reason) == (INCONCLUSIVE, reason)


def test_a_bucket_key_goes_on_after_its_key_is_dead_and_the_probe_says_so(aws: AwsCloud) -> None:
    key = aws.store.add_key(KEY)
    assert read(aws, bucket_key=True).cached
    key.state = "Disabled"
    after = aws_probes().read(Sample("s3://data", KEY, None, "a", None), (ROLE,))
    assert (after.outcome, after.cached) == (PASSED, True)
    clock = aws.store.clock
    assert isinstance(clock, Clock)
    clock.ahead = timedelta(minutes=6)
    assert read(aws, bucket_key=True).code == "DisabledException"


def test_one_byte_is_all_that_is_ever_asked_for(aws: AwsCloud) -> None:
    aws.store.add_key(KEY)
    wire = Wire(Clock())
    aws.store.put("data", "big", size=50_000_000, sse="aws:kms", key=KEY)
    assert aws_probes(wire).read(Sample("s3://data", KEY, None, "big", None), ()).outcome is PASSED
    with pytest.raises(ReadOnlyError):
        wire.allow("s3", "GetObject", {"Bucket": "data", "Key": "big"})
    with pytest.raises(ReadOnlyError):
        wire.allow("storage", "objects.get", {"Range": None})


RANGE = {"Content-Range": "bytes 0-0/10", "ETag": '"0"'}
NO_BYTES: dict[str, dict[str, Any]] = {
    "the whole of something": {"status": 200, "headers": RANGE},
    "a part of no range": {"status": 206, "headers": {"ETag": '"0"'}},
    "another part": {"status": 206, "headers": {**RANGE, "Content-Range": "bytes 0-9/10"}},
}


@pytest.mark.parametrize("how", NO_BYTES.values(), ids=NO_BYTES)
def test_an_answer_that_is_not_the_one_byte_says_nothing(
    aws: AwsCloud, google: GoogleCloud, how: dict[str, Any]
) -> None:
    aws.store.add_key(KEY)
    aws.traffic.fail("s3 GET /data/a", body=b"x", **how)
    google.store.add_key(GOOGLE_KEY)
    google.traffic.fail("/o/a?", body=b"x", **how)
    for found in (read(aws), read_google(google)):
        assert (found.outcome, found.reason) == (INCONCLUSIVE, Reason.MALFORMED)


def test_a_byte_of_nothing_that_s3_stores_says_nothing(aws: AwsCloud) -> None:
    aws.store.add_key(KEY)
    aws.traffic.fail("s3 GET /data/a", status=206, body=b"x", headers={"Content-Range": "bytes 0-0/10"})
    assert read(aws).outcome is INCONCLUSIVE


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_any_name_can_be_probed(aws: AwsCloud, google: GoogleCloud, name: str) -> None:
    aws.store.add_key(KEY)
    assert read(aws, name=name).outcome is PASSED
    if name in {".", ".."}:
        return  # clients take it for a step in the path; the inventory never offers such a sample
    google.store.add_key(GOOGLE_KEY)
    assert read_google(google, name=name).outcome is PASSED


def dry(cloud: AwsCloud, agents: tuple[str, ...] = (ROLE,)) -> Probe | None:
    assert cloud.store.buckets
    return aws_probes().dry_run("s3://data", KeyName(KEY), agents)


def test_a_dry_run_passes_by_the_exception_that_says_so(aws: AwsCloud) -> None:
    aws.store.add_key(KEY)
    found = dry(aws)
    assert found is not None
    assert (found.outcome, found.kind, found.principal) == (
        PASSED,
        ProbeKind.DRY_RUN,
        "arn:aws:sts::111122223333:assumed-role/storage/session",
    )
    aws.store.add_key(KEY, policy=NOBODY)
    refused = dry(aws)
    assert refused is not None
    assert (refused.outcome, refused.code) == (REFUSED, NO_RIGHT)
    assert dry(aws, agents=()) is None


def test_a_dry_run_asks_for_what_s3_would_ask_and_is_never_called_cached(aws: AwsCloud) -> None:
    aws.store.add_key(KEY)
    found = dry(aws)
    assert found is not None
    assert (found.cached, found.evidence[0].call) == (False, "kms:Decrypt DryRun")
    asked = next(json.loads(one.body) for one in aws.traffic.requests if one.verb == "Decrypt")
    assert asked == {
        "KeyId": KEY,
        "EncryptionContext": {"aws:s3:arn": "arn:aws:s3:::data"},
        "DryRun": True,
        "DryRunModifiers": ["IGNORE_CIPHERTEXT"],
    }


def test_a_dry_run_that_is_answered_as_if_it_were_none_proves_nothing(aws: AwsCloud) -> None:
    aws.store.add_key(KEY)
    aws.traffic.fail("kms Decrypt", status=200, body=b"{}")
    found = dry(aws)
    assert found is not None
    assert (found.outcome, found.reason) == (INCONCLUSIVE, Reason.MALFORMED)


def read_google(cloud: GoogleCloud, *, name: str = "a", version: int = 1) -> Probe:
    one = cloud.store.put("data", name, size=10, key=GOOGLE_KEY, version=version)
    probes = GcpProbes(google_clients(cloud), {"gs://data": None}, Clock())
    return probes.read(Sample("gs://data", GOOGLE_KEY, str(version), name, str(one.generation)), (AGENT,))


def test_a_read_on_google_cloud_is_the_storage_agents(google: GoogleCloud) -> None:
    google.store.add_key(GOOGLE_KEY)
    found = read_google(google)
    assert (found.outcome, found.key_version, found.principal) == (PASSED, "1", AGENT)
    assert (found.kind, found.reason) == (ProbeKind.READ, None)
    assert [(one.call, one.resource) for one in found.evidence] == [("storage.objects.get media", GOOGLE_KEY)]
    google.store.revoke(RING, f"serviceAccount:{AGENT}")
    found = read_google(google)
    assert (found.outcome, found.code) == (REFUSED, NO_RIGHT)


def test_the_very_generation_of_the_sample_is_read(google: GoogleCloud) -> None:
    key = google.store.add_key(GOOGLE_KEY, versions=2)
    key.versions[1].state = "DISABLED"
    old, new = (google.store.put("data", "a", size=10, key=GOOGLE_KEY, version=version) for version in (1, 2))
    probes = GcpProbes(google_clients(google), {"gs://data": None}, Clock())
    samples = (Sample("gs://data", GOOGLE_KEY, None, "a", str(one.generation)) for one in (old, new))
    assert [probes.read(one, (AGENT,)).code for one in samples] == ["cloudKmsDisabledKey", "ok"]


@pytest.mark.parametrize("reason", ["cloudKmsDisabledKey", "cloudKmsDecryptionKeyNotFound"])
def test_each_reason_by_which_a_key_stops_a_read_is_a_refusal(reason: str) -> None:
    told = {"error": {"errors": [{"reason": reason}]}}
    assert why(400, told) == (REFUSED, reason)
    assert why(403, told) == (INCONCLUSIVE, "HTTP 403"), "another status is another error"


def test_a_dead_version_refuses_and_a_missing_right_on_the_object_says_nothing(google: GoogleCloud) -> None:
    key = google.store.add_key(GOOGLE_KEY, versions=2)
    key.versions[1].state = "DISABLED"
    assert read_google(google).code == "cloudKmsDisabledKey"
    del key.versions[1]
    assert read_google(google).code == "cloudKmsDecryptionKeyNotFound"
    google.store.deny("storage.objects.get", "data")
    assert (read_google(google, version=2).outcome, read_google(google, version=2).code) == (INCONCLUSIVE, "HTTP 403")


ON_GOOGLE: list[tuple[dict[str, Any], Reason]] = [
    ({"status": 503}, Reason.TIMEOUT),
    ({"status": 429}, Reason.THROTTLED),
    ({"drop": True}, Reason.TIMEOUT),
    ({"status": 400, "body": b"<html>"}, Reason.MALFORMED),
    ({"status": 401}, Reason.EXPIRED_CREDENTIALS),
    ({"status": 404}, Reason.NOT_FOUND),
]


@pytest.mark.parametrize(("how", "reason"), ON_GOOGLE)
def test_a_fault_on_googles_way_says_nothing_of_the_key(
    google: GoogleCloud, how: dict[str, Any], reason: Reason
) -> None:
    google.store.add_key(GOOGLE_KEY)
    google.traffic.fail("alt=media", **how)
    found = read_google(google)
    assert (found.outcome, found.reason) == (INCONCLUSIVE, reason)


@pytest.mark.parametrize("how", [{"status": 200, "body": b"<html>log in</html>"}, {"status": 204, "body": b""}])
def test_a_page_in_the_place_of_the_byte_proves_nothing(
    aws: AwsCloud, google: GoogleCloud, how: dict[str, Any]
) -> None:
    aws.store.add_key(KEY)
    google.store.add_key(GOOGLE_KEY)
    aws.traffic.fail("s3 GET /data/a", **how)
    google.traffic.fail("alt=media", **how)
    for found in (read(aws), read_google(google)):
        assert (found.outcome, found.reason) == (INCONCLUSIVE, Reason.MALFORMED)


def test_only_the_services_own_words_speak_of_the_right_on_the_key() -> None:
    text = "Permission denied on Cloud KMS key. Please ensure that your service account may use it."
    assert why(403, {"error": {"message": text}}) == (REFUSED, NO_RIGHT)
    named = "caller does not have storage.objects.get access to Cloud KMS key.txt"
    assert why(403, {"error": {"message": named}})[0] is INCONCLUSIVE


@pytest.mark.parametrize("told", [{}, {"error": 7}, {"error": {"errors": "x"}}, {"error": {"errors": [7]}}])
def test_an_answer_of_any_shape_is_no_proof(told: dict[str, Any]) -> None:
    assert why(400, told)[0] is INCONCLUSIVE
    assert why(403, told)[0] is INCONCLUSIVE


CONNECTION = "projects/acme/locations/us-east1/ekmConnections/one"
OTHER = "projects/acme/locations/us-east1/ekmConnections/two"


def connections(cloud: GoogleCloud, *, over_grpc: bool, verify: bool = True) -> tuple[EkmConnection, ...]:
    clients = google_clients(cloud, over_grpc=over_grpc)
    keys = GcpKeys(clients, Pace(1000), Clock(), verify_connectivity=verify)
    (found,) = keys.read([KeyNeed(KeyName(GOOGLE_KEY), (AGENT,))])
    assert isinstance(found, GcpKey)
    return found.connections


@pytest.mark.parametrize("over_grpc", [False, True], ids=["REST", "gRPC"])
def test_the_external_managers_behind_versions_are_tried_where_that_is_asked_for(
    google: GoogleCloud,
    over_grpc: bool,  # noqa: FBT001 - drawn
) -> None:
    google.store.connections.update({CONNECTION: True, OTHER: False})
    key = google.store.add_key(GOOGLE_KEY, versions=3, backend=CONNECTION)
    for version in key.versions.values():
        version.protection = "EXTERNAL_VPC"
    key.versions[2].ekm_connection = OTHER
    key.versions[3].state = "DISABLED"
    assert connections(google, over_grpc=over_grpc) == (
        EkmConnection(CONNECTION, reachable=True),
        EkmConnection(OTHER, reachable=False, detail="EXTERNAL_UNREACHABLE"),
    )
    google.store.deny("cloudkms.ekmConnections.verifyConnectivity", OTHER)
    assert connections(google, over_grpc=over_grpc)[1] == EkmConnection(OTHER, None, Reason.ACCESS_DENIED.value)
    assert connections(google, over_grpc=over_grpc, verify=False) == ()


REFUSALS: dict[str, dict[str, Any]] = {
    "a page of a proxy": {"status": 400, "body": b"<html>bad gateway</html>"},
    "a bad request": {"status": 400, "body": b'{"error": {"code": 400, "status": "INVALID_ARGUMENT", "message": "x"}}'},
    "an answer that is none": {"status": 200, "body": b"<html>log in</html>"},
}


@pytest.mark.parametrize("how", REFUSALS.values(), ids=REFUSALS)
def test_only_a_failed_precondition_says_that_a_manager_is_not_reached(
    google: GoogleCloud, how: dict[str, Any]
) -> None:
    google.store.connections[CONNECTION] = True
    key = google.store.add_key(GOOGLE_KEY, backend=CONNECTION)
    key.versions[1].protection = "EXTERNAL_VPC"
    google.traffic.fail("verifyConnectivity", **how)
    assert connections(google, over_grpc=False) == (EkmConnection(CONNECTION, None, Reason.MALFORMED.value),)


def test_connections_are_tried_only_where_asked_for_and_where_a_version_could_be_used(google: GoogleCloud) -> None:
    google.store.connections[CONNECTION] = True
    key = google.store.add_key(GOOGLE_KEY, backend=CONNECTION)
    key.versions[1].protection = "EXTERNAL_VPC"
    need = KeyNeed(KeyName(GOOGLE_KEY), (AGENT,))
    clients = google_clients(google)
    (by_default,) = GcpKeys(clients, Pace(1000), Clock()).read([need])
    (tried,) = GcpKeys(clients, Pace(1000), Clock(), verify_connectivity=True).read([need])
    assert isinstance(by_default, GcpKey)
    assert isinstance(tried, GcpKey)
    assert (by_default.connections, tried.connections) == ((), (EkmConnection(CONNECTION, reachable=True),))
    assert ["cloudkms:VerifyConnectivity" in {one.call for one in each.evidence} for each in (by_default, tried)] == [
        False,
        True,
    ]
    key.versions[1].state = "DISABLED"
    assert connections(google, over_grpc=False) == ()


def test_a_connection_is_verified_as_its_own_project_and_each_connector_names_its_cloud(
    google: GoogleCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    google.store.connections[CONNECTION] = True
    google.store.add_key(GOOGLE_KEY, backend=CONNECTION).versions[1].protection = "EXTERNAL_VPC"
    clients = google_clients(google)
    ekm, asked = clients.ekm, list[str]()

    def noted(project: str) -> Any:
        asked.append(project)
        return ekm(project)

    monkeypatch.setattr(clients, "ekm", noted)
    keys = GcpKeys(clients, Pace(1000), Clock(), verify_connectivity=True)
    assert len(list(keys.read([KeyNeed(KeyName(GOOGLE_KEY), (AGENT,))]))) == 1
    assert (asked, keys.cloud) == (["acme"], Cloud.GCP)
