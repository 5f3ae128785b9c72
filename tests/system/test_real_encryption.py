"""The auditor beside a store that really encrypts: what it says of a key is what a read over the wire says.

SeaweedFS keeps objects under SSE-KMS and asks MiniStack's KMS for every data key, at each read again. AWS would refuse
such a read with a KMS code; SeaweedFS refuses it with a bare 500. With `pytest --log-cli-level=INFO` each step
tells what was read and what was told.
"""

import json
import logging
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.system.conftest import free_ports, running, tool

if TYPE_CHECKING:
    from mypy_boto3_kms.client import KMSClient
    from mypy_boto3_s3.client import S3Client

LOG = logging.getLogger(__name__)
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
WEED_PORTS = (
    "master.port",
    "master.port.grpc",
    "volume.port",
    "volume.port.grpc",
    "filer.port",
    "filer.port.grpc",
    "s3.port",
    "s3.port.grpc",
)


@dataclass(frozen=True)
class Servers:
    s3: str
    kms: str
    disk: Path


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    folder = tmp_path_factory.mktemp("servers")
    disk = folder / "disk"
    disk.mkdir()
    kms_port, *others = free_ports(1 + len(WEED_PORTS))
    ports = dict(zip(WEED_PORTS, others, strict=True))
    kms, s3 = f"http://127.0.0.1:{kms_port}", f"http://127.0.0.1:{ports['s3.port']}"
    provider = {"type": "aws", "region": "us-east-1", "access_key": "test", "secret_key": "test", "endpoint": kms}
    admin = {
        "name": "admin",
        "credentials": [{"accessKey": "test", "secretKey": "test"}],
        "actions": ["Admin", "Read", "Write", "List"],
    }
    settings = folder / "s3.json"
    # Without a cache every read asks the KMS again.
    providers = {"aws": {**provider, "cache_enabled": False}}
    settings.write_text(json.dumps({"identities": [admin], "kms": {"default_provider": "aws", "providers": providers}}))
    env = {"PATH": os.environ["PATH"], "HOME": str(folder), "TMPDIR": str(folder)}
    own = {"SERVICES": "kms,sts", "BIND_HOST": "127.0.0.1", "GATEWAY_PORT": str(kms_port), "IOT_MTLS_ENABLED": "0"}
    try:
        with (
            running(tool("ministack"), ready=f"{kms}/_ministack/health", env={**env, **own}),
            running(
                tool("weed"),
                "server",
                f"-dir={disk}",
                "-ip=127.0.0.1",
                "-ip.bind=127.0.0.1",
                "-master.telemetry=false",
                *(f"-{name}={port}" for name, port in ports.items()),
                "-filer",
                "-s3",
                "-s3.port.iceberg=0",
                "-s3.port.lance=0",
                f"-s3.config={settings}",
                "-master.volumeSizeLimitMB=64",
                "-volume.max=500",
                ready=f"{s3}/healthz",
                env=env,
            ),
        ):
            yield Servers(s3, kms, disk)
    finally:
        for port in ports.values():
            # SeaweedFS makes them there whatever TMPDIR says.
            for path in Path("/tmp").glob(f"seaweedfs-*-{port}.sock"):  # noqa: S108 - see above
                path.unlink()


@dataclass(frozen=True)
class Stored:
    name: str
    version: str
    key: str | None
    body: bytes


@dataclass(frozen=True)
class World:
    """One bucket with objects under two keys and under none, and the auditor's config for it."""

    servers: Servers
    s3: "S3Client"
    kms: "KMSClient"
    bucket: str
    main: str
    other: str
    stored: tuple[Stored, ...]
    config: Path

    def under(self, key: str | None) -> set[Stored]:
        return {one for one in self.stored if one.key == key}

    def refused(self) -> set[Stored]:
        """Read every version over the wire; what is given out must be what was put in."""
        found = set()
        for one in self.stored:
            try:
                answer = self.s3.get_object(Bucket=self.bucket, Key=one.name, VersionId=one.version)
            except ClientError as error:
                if error.response["ResponseMetadata"]["HTTPStatusCode"] != 500:
                    raise
                found.add(one)
            else:
                assert answer["Body"].read() == one.body
        LOG.info("read all %d objects over the wire: %d refused", len(self.stored), len(found))
        return found

    def scan(self) -> tuple[int, Any]:
        command = [str(Path(sys.executable).with_name("cmek-auditor")), "scan", "--config", str(self.config)]
        env = {
            "PATH": os.environ["PATH"],
            **CREDENTIALS,
            "AWS_CONFIG_FILE": "/nonexistent",
            "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent",
            "AWS_ENDPOINT_URL_S3": self.servers.s3,
            "AWS_ENDPOINT_URL_KMS": self.servers.kms,
            "AWS_ENDPOINT_URL_STS": self.servers.kms,
        }
        # MiniStack knows no ListKeyRotations, whose answer no verdict about data hangs on.
        command += ["--format", "json", "--quiet", "--allow-gaps", "timeout"]
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)
        assert done.stderr == ""
        told = json.loads(done.stdout)
        (bucket,) = told["coverage"]["buckets"]
        gaps = {one["effect"] for one in told["gaps"]} - {"since when its current material is in use is not known"}
        assert (bucket["complete"], bucket["resolved"], gaps) == (True, len(self.stored), set())
        # One namespace is under two keys on purpose, whatever becomes of them.
        mixed = [one for one in told["findings"] if one["rule"] == "mixed-keys"]
        assert [one["status"] for one in mixed] == ["open"]
        others = [f"{one['rule']} {one['status']}" for one in told["findings"] if one not in mixed]
        LOG.info("cmek-auditor scan: exit code %d, %s, %s", done.returncode, objects(told), others or "no findings")
        return done.returncode, {**told, "findings": [one for one in told["findings"] if one not in mixed]}


@pytest.fixture
def world(servers: Servers, tmp_path: Path) -> World:
    session = boto3.session.Session("test", "test", region_name="us-east-1")
    once = Config(retries={"total_max_attempts": 1})
    kms = session.client("kms", endpoint_url=servers.kms, config=once)
    s3 = session.client("s3", endpoint_url=servers.s3, config=once)
    main, other = (kms.create_key()["KeyMetadata"]["Arn"] for _ in range(2))
    for made in (main, other):
        kms.enable_key_rotation(KeyId=made)
    bucket = f"data-{uuid.uuid4()}"
    s3.create_bucket(Bucket=bucket)
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    stored = []
    # Of the first five names the older version is under the one key and the newer under the other.
    wanted = [
        *((f"acme/mixed/{number}", main) for number in range(20)),
        *((f"acme/mixed/{number}", other) for number in range(5)),
        *((f"acme/other/{number}", other) for number in range(10)),
        *((f"acme/plain/{number}", None) for number in range(10)),
    ]
    for number, (name, key) in enumerate(wanted):
        body = os.urandom(1_000 + number)
        how: Any = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key} if key else {}
        put = s3.put_object(Bucket=bucket, Key=name, Body=body, **how)
        stored.append(Stored(name, put["VersionId"], key, body))
    config = tmp_path / "auditor.toml"
    config.write_text(
        f'state = "state"\n[platform]\naws_principals = ["arn:aws:iam::000000000000:role/storage"]\n'
        f'[[bucket]]\nurl = "s3://{bucket}"\nregion = "us-east-1"\nlayout = "{{org}}/{{namespace}}/"\n'
    )
    return World(servers, s3, kms, bucket, main, other, tuple(stored), config)


def objects(told: Any) -> dict[str, int]:
    """Readability -> objects, where there are any."""
    sums = {name: one["objects"] for name, one in told["totals"]["by_readability"].items()}
    return {name: number for name, number in sums.items() if number}


def assert_names(found: dict[str, Any], world: World, key: str) -> None:
    """A finding names the key and counts all that is stored under it."""
    lost = world.under(key)
    spaces = {one.name.rpartition("/")[0] for one in lost}
    assert found["subject"] == {"kind": "key", "id": key}
    assert (found["objects"], found["bytes"]) == (len(lost), sum(len(one.body) for one in lost))
    assert sorted(found["sample_namespaces"]) == sorted(f"s3://{world.bucket}/{one}" for one in spaces)


def test_the_store_keeps_only_ciphertext_of_what_is_under_a_key(world: World) -> None:
    disk = b"".join(path.read_bytes() for path in sorted(world.servers.disk.rglob("*")) if path.is_file())
    assert {one for one in world.stored if one.body in disk} == world.under(None)


def test_with_both_keys_enabled_all_is_read_and_all_is_told_readable(world: World) -> None:
    assert world.refused() == set()
    code, told = world.scan()
    assert (code, told["findings"], objects(told)) == (0, [], {"readable": 45})
    rows = {(one["namespace"], one["population"], one["key"]): one["objects"] for one in told["dependencies"]}
    assert rows == {
        ("acme/mixed", "live", world.main): 15,
        ("acme/mixed", "live", world.other): 5,
        ("acme/mixed", "noncurrent", world.main): 5,
        ("acme/other", "live", world.other): 10,
        ("acme/plain", "live", None): 10,
    }


def test_data_under_a_disabled_key_is_unreadable_until_it_is_enabled(world: World) -> None:
    assert world.refused() == set()
    assert world.scan()[0] == 0
    LOG.info("kms disable-key")
    world.kms.disable_key(KeyId=world.main)
    assert world.refused() == world.under(world.main)
    code, told = world.scan()
    assert (code, objects(told)) == (1, {"readable": 25, "unreadable": 20})
    (found,) = told["findings"]
    assert (found["rule"], found["status"]) == ("data-unreadable", "open")
    assert_names(found, world, world.main)
    assert f"aws kms enable-key --region us-east-1 --key-id {world.main}" in {one["call"] for one in found["undo"]}

    LOG.info("kms enable-key")
    world.kms.enable_key(KeyId=world.main)
    assert world.refused() == set()
    code, told = world.scan()
    assert (code, objects(told)) == (0, {"readable": 45})
    assert [(one["id"], one["status"]) for one in told["findings"]] == [(found["id"], "resolved")]


def test_data_under_a_key_that_waits_for_its_deletion_is_doomed(world: World) -> None:
    LOG.info("kms schedule-key-deletion")
    date = world.kms.schedule_key_deletion(KeyId=world.other, PendingWindowInDays=7)["DeletionDate"]
    assert world.refused() == world.under(world.other)
    code, told = world.scan()
    assert (code, objects(told)) == (1, {"readable": 30, "doomed": 15})
    (found,) = told["findings"]
    assert (found["rule"], found["status"]) == ("data-doomed", "open")
    assert_names(found, world, world.other)
    assert abs((datetime.fromisoformat(found["final_at"]) - date).total_seconds()) < 1

    # Cancelling leaves the key disabled; the second call of the undo makes the data readable.
    LOG.info("kms cancel-key-deletion")
    world.kms.cancel_key_deletion(KeyId=world.other)
    assert world.refused() == world.under(world.other)
    code, told = world.scan()
    assert (code, objects(told)) == (1, {"readable": 30, "unreadable": 15})
    LOG.info("kms enable-key")
    world.kms.enable_key(KeyId=world.other)
    assert world.refused() == set()
    code, told = world.scan()
    assert (code, objects(told)) == (0, {"readable": 45})
    assert {one["status"] for one in told["findings"]} == {"resolved"}
