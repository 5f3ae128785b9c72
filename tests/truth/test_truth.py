"""The verdict on every object of generated worlds equals what a read over the wire does."""

import http.client
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import boto3
import duckdb
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from google.cloud.storage.retry import DEFAULT_RETRY
from hypothesis import HealthCheck, Phase, given, note, seed, settings
from hypothesis import strategies as st

from auditor import scan
from auditor.config import load
from auditor.embedded.aws import AwsCloud
from auditor.embedded.google import GoogleCloud
from auditor.findings import Assessed, Basis, Confidence, Judgement, Readability, member_of
from auditor.model import Encryption
from auditor.wiring import Assembly, assemble
from tests.clouds import ACCESS_KEY
from tests.small import CONFIG
from tests.test_denied import AWS_CONFIG, PLATFORM
from tests.test_fleet import NoProgress
from tests.truth.matrix import MATRIX
from tests.truth.worlds import CUSTOMER_KEY, READER_KEY, World, a_step, a_world

WORLDS = int(os.environ.get("TRUTH_WORLDS", "100"))
PARTS = 10
"""Parts with seeds of their own, which workers share."""
READS = {Readability.READABLE, Readability.EXPIRING}


@contextmanager
def running(world: World, patch: pytest.MonkeyPatch) -> Iterator[tuple[Assembly, GoogleCloud, AwsCloud, Path]]:
    with tempfile.TemporaryDirectory() as folder, GoogleCloud(world.google) as google, AwsCloud(world.aws) as aws:
        for service in ("S3", "KMS", "STS"):
            patch.setenv(f"AWS_ENDPOINT_URL_{service}", aws.endpoint)
        config = Path(folder) / "auditor.toml"
        config.write_text(CONFIG.format(endpoint=google.endpoint) + AWS_CONFIG + PLATFORM + world.probes)
        assembly = assemble(load(config), world.clock)
        yield assembly, google, aws, Path(folder)
        assembly.close()


@pytest.mark.parametrize("part", range(PARTS))
def test_every_verdict_is_what_a_read_does(part: int) -> None:
    @seed(part)
    @given(data=st.data())
    @settings(
        max_examples=max(1, WORLDS // PARTS),
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.explicit, Phase.generate],
        print_blob=False,
    )
    def one_world(data: Any) -> None:
        live(data.draw)

    one_world()


def live(draw: Any) -> None:
    """Let one world happen and compare after each step."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY)
        patch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        patch.setattr("auditor.connectors.gcp.calls._FIRST_WAIT", 0.001)
        patch.setattr("auditor.connectors.gcp.objects._RETRY", DEFAULT_RETRY.with_delay(0.001, 0.01).with_timeout(0.2))
        patch.setattr("auditor.connectors.aws.session._ATTEMPTS", 1)
        # A bucket that stays throttled is asked for minutes, of which no world has any.
        patch.setattr("auditor.connectors.transfers._ATTEMPTS_WHEN_THROTTLED", 2)
        world = a_world(draw)
        with running(world, patch) as (assembly, google, aws, folder):
            MATRIX["worlds", ""] += 1
            check(scan.scan(assembly.parts, NoProgress()), world, google, folder)
            for _ in range(draw(st.integers(0, 3))):
                a_step(draw, world)
                note(" | ".join(world.story))
                for service, match, how in world.faults:
                    cloud = google if service in {"cloudkms", "storage"} else aws
                    cloud.traffic.fail(match, **how)
                again = draw(st.booleans())
                scan.probe(assembly.parts, NoProgress())
                judgement = (scan.scan if again else scan.poll)(assembly.parts, NoProgress())
                for cloud in (google, aws):
                    cloud.traffic.heal()
                check(judgement, world, google, folder, faulty=bool(world.faults))
                world.faults.clear()


def check(judgement: Judgement, world: World, google: GoogleCloud, folder: Path, *, faulty: bool = False) -> None:
    """Compare each claim with a read; what is only remembered or unread must stand among the gaps."""
    by_member = {member_of(one.holding): one for one in judgement.assessed}
    rows = snapshot_rows(folder, judgement)
    reader = boto3.client(
        "s3",
        region_name="us-east-1",
        aws_access_key_id=READER_KEY,
        aws_secret_access_key="secret",
        config=Config(retries={"total_max_attempts": 1}),
    )
    told = " ".join(f"{gap.what} {gap.effect}" for gap in judgement.gaps)
    for bucket, name, version, size, population, encryption, key, key_version in rows:
        found = by_member[bucket, Encryption(encryption), key, key_version]
        claim = found.assessment.readability
        refusal = refused(world, google, reader, (bucket, name, version, size, population))
        can = refusal is None
        what = f"{bucket}/{name}#{version} under {key} {key_version}: called {claim}, read: {refusal}; gaps: {told}"
        excused = left_open(judgement, found, world, refusal)
        MATRIX[label(claim, found, excused=excused), "can" if can else "cannot"] += 1
        if claim is Readability.UNKNOWN:
            assert justified(found, world, key, told), what
        elif (claim in READS) is not can:
            assert excused, what
            # A read that passed may be up to two hours old.
            assert faulty or found.assessment.basis is not Basis.POLICY, what
    if judgement.coverage.buckets and not any("cannot list" in gap.effect for gap in judgement.gaps):
        assert len(rows) == stored(world)


def label(claim: Readability, found: Assessed, *, excused: bool) -> str:
    """The row of the matrix: `readable` by its basis, and apart where a gap or another account's IAM leaves it open.

    What bars a read stands apart where nobody has told of it for long.
    """
    if claim not in READS:
        is_proven = claim is Readability.UNKNOWN or found.assessment.confidence is Confidence.PROVEN
        return claim.value if is_proven else f"{claim} (inferred)"
    return f"{claim} ({'open' if excused else found.assessment.basis})"


def left_open(judgement: Judgement, found: Assessed, world: World, refusal: str | None) -> bool:
    """Whether what the read told is just what a gap, or another account's IAM, left open.

    That nobody knows who may decrypt excuses no read that the key's state refuses, and that nobody knows of a store
    only what the store refuses.
    """
    key = found.holding.key
    if key is None:
        return False
    of_key = [gap.effect for gap in judgement.gaps if gap.what == key]
    access = hangs_on_iam(world, key) or any("may decrypt is not known" in one for one in of_key)
    if found.holding.bucket.startswith("gs://"):
        access = access or any("who must be able to decrypt" in gap.effect for gap in judgement.gaps)
    state = any("its state is not known" in one for one in of_key)
    store = any("whether its custom key store is connected is not known" in one for one in of_key)
    if found.assessment.readability in READS:
        if refusal is None:
            return state or access or store
        return state or (access and "access" in refusal) or (store and "custom key store" in refusal)
    # What was refused once stands until a read is seen to pass.
    asked = any("told nothing" in one for one in of_key)
    return state or (found.assessment.basis is Basis.PROBE and asked)


def hangs_on_iam(world: World, key: str) -> bool:
    """Whether the key's policy leaves the decision to what nobody but its account can read."""
    one = world.aws.key(key) if key.startswith("arn:") else None
    return one is not None and any(word in str(one.policies) for word in ("root", "Condition", "NotPrincipal", "${"))


def justified(found: Assessed, world: World, key: str | None, told: str) -> bool:
    """Whether the auditor could not know: the service itself does not tell, or a gap stands for it."""
    if found.holding.encryption in {Encryption.CUSTOMER_SUPPLIED, Encryption.UNKNOWN}:
        return True
    if key is None:
        return False
    if key in told:
        return True
    if key.startswith("arn:"):
        one = world.aws.key(key)
        return one is None or one.state in {"Creating", "AStateOfTheFuture"}
    google_key = world.google.key(key)
    if google_key is None:
        return False
    instance = world.google.instances.get(google_key.backend or "")
    if instance is not None and instance.state in {"CREATING", "PENDING_TWO_FACTOR_AUTH_REGISTRATION"}:
        return True
    if found.holding.key_version is None:
        if deleted_some(world, google_key.name, set(google_key.versions)):
            return True
        kinds = {(str(version.state), version.reimport_eligible) for version in google_key.versions.values()}
        return len(kinds) != 1 or kinds <= {(state, False) for state in ("PENDING_GENERATION", "PENDING_IMPORT", "77")}
    version = google_key.versions.get(int(found.holding.key_version))
    return version is not None and version.state in {"PENDING_GENERATION", "PENDING_IMPORT", 77}


def deleted_some(world: World, key: str, listed: set[int]) -> bool:
    """Whether a version of a key is gone, which data that names none may hang on."""
    gap = listed != set(range(1, max(listed, default=0) + 1))
    return gap or any(line.startswith(f"{key} version") and line.endswith("-> deleted") for line in world.story)


def snapshot_rows(folder: Path, judgement: Judgement) -> list[tuple[Any, ...]]:
    files = [str(path) for one in judgement.sweeps for path in folder.glob(f"state/inventory/*/{one}/*.rows.parquet")]
    if not files:
        return []
    with duckdb.connect() as database:
        return database.execute(
            "SELECT bucket, name, version, size, population, encryption, key, key_version FROM read_parquet($files)",
            {"files": files},
        ).fetchall()


def stored(world: World) -> int:
    aws = sum(len(versions) for versions in world.aws.buckets["objects"].objects.values())
    return aws + len(world.google.buckets["data"].objects)


def refused(world: World, google: GoogleCloud, reader: Any, place: tuple[str, str, str | None, int, str]) -> str | None:
    """Read one byte over the wire; archived objects are restored first, customers' keys supplied.

    Returns: nothing where it passed; what the service said where not, with `access` before it where it spoke of rights.
    """
    bucket, name, version, size, population = place
    if bucket.startswith("gs://"):
        connection = http.client.HTTPConnection(urlsplit(google.endpoint).netloc)
        soft = "&softDeleted=true" if population == "soft_deleted" else ""
        headers = {"x-goog-encryption-key": "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="}
        if size:
            headers["Range"] = "bytes=0-0"
        target = f"/storage/v1/b/data/o/{quote(name, safe='')}?alt=media&generation={version}{soft}"
        connection.request("GET", target, headers=headers)
        answer = connection.getresponse()
        status, said = answer.status, answer.read().decode(errors="replace")
        connection.close()
        return None if status < 300 else f"{'access: ' * (status == 403)}{said}"
    one = world.aws.find("objects", name, version)
    assert one is not None
    one.restored, one.head_denied = True, False
    more: dict[str, Any] = {"Range": "bytes=0-0"} if size else {}
    if one.customer_key:
        more |= {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": CUSTOMER_KEY.decode()}
    if version:
        more["VersionId"] = version
    try:
        reader.get_object(Bucket="objects", Key=name, **more)["Body"].read()
    except ClientError as error:
        return f"{'access: ' * ('AccessDenied' in str(error))}{error}"
    return None
