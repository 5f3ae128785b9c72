"""What is to be granted follows from the config and the keys that are known, and pastes as it stands."""

import json
import subprocess
from collections.abc import Mapping
from io import StringIO
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from auditor import doctoring
from auditor.config import load
from auditor.grants import AwsGrants, GcpGrants
from auditor.model import KeyName
from auditor.outputs import grants
from tests.clouds import GOOGLE_KEY
from tests.visits import run

FOREIGN = "arn:aws:kms:us-east-1:444455556666:key/1f3c0f5e-0000-4000-8000-000000000001"


def aws_of(folder: Path, text: str, keys: tuple[str, ...] = ()) -> AwsGrants:
    path = folder / "auditor.toml"
    path.write_text(text)
    return doctoring.aws_grants(load(path), map(KeyName, keys))


def allowed(document: Mapping[str, Any], action: str) -> list[str]:
    return [
        each
        for one in document["Statement"]
        if one["Effect"] == "Allow" and action in one["Action"]
        for each in one["Resource"]
    ]


BUCKET = '[[bucket]]\nurl = "s3://{}"\nlayout = "{{org}}/"\nregion = "{}"\n'


WHOLE = (
    BUCKET.format("one", "us-east-1")
    + BUCKET.format("two", "us-east-1")
    + 'populations = ["live"]\n'
    + '[platform]\naws_principals = ["arn:aws:iam::111122223333:role/storage"]\n[probe]\ndry_runs = true\n'
)
BUCKETS = ["arn:aws:s3:::one", "arn:aws:s3:::two"]
KEYS = ["arn:aws:kms:eu-west-1:444455556666:key/*", "arn:aws:kms:us-east-1:*:key/*"]
SETTINGS = [
    *("s3:GetBucketVersioning", "s3:GetEncryptionConfiguration", "s3:ListBucket", "s3:ListBucketMultipartUploads"),
]
WHO = ["kms:GetKeyPolicy", "kms:GetKeyRotationStatus", "kms:ListGrants", "kms:ListKeyRotations"]


def test_a_whole_policy_says_this_and_no_more(tmp_path: Path) -> None:
    elsewhere = FOREIGN.replace("us-east-1", "eu-west-1")
    found = aws_of(tmp_path, WHOLE, (FOREIGN, elsewhere))
    (policy,) = found.policies
    assert policy.identity == "the identity whose credentials the SDK finds"
    assert policy.document["Version"] == "2012-10-17"
    assert {one["Effect"] for one in policy.document["Statement"]} == {"Allow"}
    assert {one["Sid"]: (one["Action"], one["Resource"]) for one in policy.document["Statement"]} == {
        "ReadBucketSettings": (SETTINGS, BUCKETS),
        "ReadWhoChangedKeys": (["cloudtrail:LookupEvents"], ["*"]),
        "ListVersions": (["s3:ListBucketVersions"], ["arn:aws:s3:::one"]),
        "HeadVersions": (["s3:GetObjectVersion"], ["arn:aws:s3:::one/*"]),
        "HeadLiveObjects": (["s3:GetObject"], ["arn:aws:s3:::two/*"]),
        "CountBucketsThatNobodyConfigured": (["s3:ListAllMyBuckets"], ["*"]),
        "ReadKeyStates": (["kms:DescribeKey"], KEYS),
        "ReadWhoMayUseKeysAndRotation": (WHO, KEYS),
        "ReadCustomKeyStores": (["kms:DescribeCustomKeyStores"], ["*"]),
        "ReadLastUseForRetire": (["kms:GetKeyLastUsage"], KEYS),
        "ProbeDryRuns": (["kms:Decrypt"], KEYS),
    }
    (other,) = found.key_statements
    assert other.keys == (elsewhere, FOREIGN)
    assert other.statement == {
        "Sid": "LetTheAuditorSeeTheState",
        "Effect": "Allow",
        "Principal": {"AWS": "arn:aws:iam::AUDITOR_ACCOUNT:role/AUDITOR_ROLE"},
        "Action": ["kms:DescribeKey"],
        "Resource": "*",
    }


def test_where_nothing_is_on_aws_nothing_is_to_be_granted_there(tmp_path: Path) -> None:
    text = '[[bucket]]\nurl = "gs://one"\nlayout = "{org}/"\n'
    assert aws_of(tmp_path, text, ()) == AwsGrants((), ())
    role = '[[account]]\nid = "444455556666"\nrole_arn = "arn:aws:iam::444455556666:role/a"\n'
    assert aws_of(tmp_path, text + role) == AwsGrants((), ())


def test_a_key_alone_is_let_be_seen_where_it_is(tmp_path: Path) -> None:
    found = aws_of(tmp_path, '[[bucket]]\nurl = "gs://one"\nlayout = "{org}/"\n', (FOREIGN,))
    (policy,) = found.policies
    assert allowed(policy.document, "kms:DescribeKey") == ["arn:aws:kms:us-east-1:444455556666:key/*"]
    assert allowed(policy.document, "s3:ListAllMyBuckets") == []


def test_a_profile_is_an_identity_and_what_it_assumes_is_its_own_to_assume(tmp_path: Path) -> None:
    role = "arn:aws:iam::444455556666:role/a"
    account = f'[[account]]\nid = "444455556666"\nrole_arn = "{role}"\nprofile = "audit"\n'
    other = '[[account]]\nid = "777788889999"\nprofile = "audit"\n'
    text = BUCKET.format("one", "us-east-1") + account + other
    policies = {one.identity: one.document for one in aws_of(tmp_path, text).policies}
    assert set(policies) == {"the identity whose credentials the SDK finds", role, "audit"}
    assert allowed(policies["audit"], "sts:AssumeRole") == [role]
    assert allowed(policies["the identity whose credentials the SDK finds"], "sts:AssumeRole") == []


FEED = 'feed = "https://sqs.{}.amazonaws.com/{}/cmek"\n'


def test_who_listens_to_a_queue_may_read_that_one_and_no_other(tmp_path: Path) -> None:
    role = "arn:aws:iam::444455556666:role/a"
    own = '[[account]]\nid = "111122223333"\n' + FEED.format("us-east-1", "111122223333")
    other = f'[[account]]\nid = "444455556666"\nrole_arn = "{role}"\n' + FEED.format("cn-north-1", "444455556666")
    found = aws_of(tmp_path, BUCKET.format("one", "us-east-1") + own + other)
    policies = {one.identity: one.document for one in found.policies}
    for identity, queue in {
        "the identity whose credentials the SDK finds": "arn:aws:sqs:us-east-1:111122223333:cmek",
        role: "arn:aws-cn:sqs:cn-north-1:444455556666:cmek",
    }.items():
        assert [one for one in policies[identity]["Statement"] if "sqs" in str(one)] == [
            {
                "Sid": "ListenToFeeds",
                "Effect": "Allow",
                "Action": ["sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage"],
                "Resource": [queue],
            }
        ]


def test_who_reads_tables_may_find_and_read_those_and_no_object(tmp_path: Path) -> None:
    text = BUCKET.format("one", "us-east-1") + "s3_metadata = true\n" + BUCKET.format("two", "us-east-1")
    (policy,) = aws_of(tmp_path, text).policies
    assert allowed(policy.document, "s3:GetBucketMetadataTableConfiguration") == ["arn:aws:s3:::one"]
    tables = ["arn:aws:s3tables:us-east-1:*:bucket/aws-s3/table/*"]
    for action in ("s3tables:GetTableData", "s3tables:GetTableMetadataLocation"):
        assert allowed(policy.document, action) == tables
    assert allowed(policy.document, "s3:GetObjectVersion") == ["arn:aws:s3:::two/*"]


def test_who_lists_by_reports_may_find_them(tmp_path: Path) -> None:
    text = BUCKET.format("one", "us-east-1") + 's3_inventory = "daily"\n' + BUCKET.format("two", "us-east-1")
    (policy,) = aws_of(tmp_path, text).policies
    assert allowed(policy.document, "s3:GetInventoryConfiguration") == ["arn:aws:s3:::one"]
    # What is under a KMS key is HEADed all the same.
    assert allowed(policy.document, "s3:GetObjectVersion") == ["arn:aws:s3:::one/*", "arn:aws:s3:::two/*"]


PARTITIONS = {
    "us-gov-west-1": "aws-us-gov",
    "cn-north-1": "aws-cn",
    "eu-central-1": "aws",
}


@pytest.mark.parametrize(("region", "partition"), PARTITIONS.items())
def test_names_are_of_the_partition_of_the_region(tmp_path: Path, region: str, partition: str) -> None:
    (policy,) = aws_of(tmp_path, BUCKET.format("one", region)).policies
    assert allowed(policy.document, "s3:ListBucket") == [f"arn:{partition}:s3:::one"]
    assert allowed(policy.document, "kms:DescribeKey") == [f"arn:{partition}:kms:{region}:*:key/*"]


def test_a_bucket_without_a_region_may_have_its_keys_anywhere(tmp_path: Path) -> None:
    (policy,) = aws_of(tmp_path, '[[bucket]]\nurl = "s3://one"\nlayout = "{org}/"\n').policies
    assert allowed(policy.document, "kms:DescribeKey") == ["arn:aws:kms:*:*:key/*"]


def test_each_identity_gets_a_policy_of_its_own(tmp_path: Path) -> None:
    role = "arn:aws:iam::444455556666:role/cmek-auditor"
    account = f'[[account]]\nid = "444455556666"\nrole_arn = "{role}"\n'
    text = (
        BUCKET.format("one", "us-east-1") + BUCKET.format("two", "eu-west-1") + 'account = "444455556666"\n' + account
    )
    found = aws_of(tmp_path, text, (FOREIGN,))
    out, notes = StringIO(), StringIO()
    grants.write_aws(found, out, notes)
    assert out.getvalue() == "".join(json.dumps(one.document, indent=2) + "\n" for one in found.policies)
    assert notes.getvalue().splitlines() == [f"# IAM policy of {one.identity}" for one in found.policies]
    first, second = found.policies
    assert (second.identity, found.key_statements) == (role, ())
    assert allowed(first.document, "s3:ListBucketVersions") == ["arn:aws:s3:::one"]
    assert allowed(second.document, "s3:ListBucketVersions") == ["arn:aws:s3:::two"]
    assert allowed(first.document, "sts:AssumeRole") == [role]
    assert allowed(second.document, "sts:AssumeRole") == []
    assert allowed(first.document, "kms:DescribeKey") == ["arn:aws:kms:us-east-1:*:key/*"]
    assert "arn:aws:kms:us-east-1:444455556666:key/*" in allowed(second.document, "kms:DescribeKey")


def test_an_account_without_buckets_is_let_see_its_keys_in_the_regions_of_the_buckets(tmp_path: Path) -> None:
    account = '[[account]]\nid = "444455556666"\nrole_arn = "arn:aws:iam::444455556666:role/a"\n'
    _, second = aws_of(tmp_path, BUCKET.format("one", "eu-west-1") + account).policies
    assert allowed(second.document, "kms:DescribeKey") == ["arn:aws:kms:eu-west-1:444455556666:key/*"]
    assert allowed(second.document, "s3:ListAllMyBuckets") == []


def test_what_is_off_is_not_granted(tmp_path: Path) -> None:
    (plain,) = aws_of(tmp_path, BUCKET.format("one", "cn-north-1")).policies
    assert allowed(plain.document, "s3:ListBucket") == ["arn:aws-cn:s3:::one"]
    for action in ("kms:ListGrants", "kms:Decrypt", "s3:GetObject"):
        assert allowed(plain.document, action) == []
    assert plain.document["Statement"][-1] == {
        "Sid": "NeverDecrypt",
        "Effect": "Deny",
        "Action": "kms:Decrypt",
        "Resource": "*",
    }
    live = 'populations = ["live"]\n'
    (probing,) = aws_of(tmp_path, BUCKET.format("one", "us-east-1") + live + "[probe]\nreads = true\n").policies
    assert allowed(probing.document, "s3:GetObject") == ["arn:aws:s3:::one/*"]
    assert allowed(probing.document, "s3:ListBucketVersions") == []
    (read,) = (one for one in probing.document["Statement"] if "kms:Decrypt" in one["Action"])
    assert read["Condition"] == {"StringLike": {"kms:ViaService": ["s3.us-east-1.amazonaws.com"]}}
    assert read["Effect"] == "Allow"


def test_the_owner_of_a_key_in_an_account_that_nobody_configured_gets_a_statement(tmp_path: Path) -> None:
    found = aws_of(tmp_path, BUCKET.format("one", "us-east-1"), (FOREIGN,))
    (other,) = found.key_statements
    assert (other.account, other.keys, other.statement["Action"]) == ("444455556666", (FOREIGN,), ["kms:DescribeKey"])
    out, notes = StringIO(), StringIO()
    grants.write_aws(found, out, notes)
    assert json.loads(out.getvalue()) == found.policies[0].document, "it can be piped as it is"
    assert f"\n#   {FOREIGN}\n" in notes.getvalue()
    assert "account 444455556666 is the auditor's own" in notes.getvalue()
    assert json.loads(notes.getvalue().partition(FOREIGN)[2]) == other.statement


def test_one_policy_alone_is_printed_as_the_file_that_aws_takes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    aws_of(tmp_path, BUCKET.format("one", "us-east-1"))
    argv = ["doctor", "--grants", "aws", "--config", str(tmp_path / "auditor.toml")]
    code, out, _ = run(capsys, argv)
    assert (code, json.loads(out)["Version"]) == (0, "2012-10-17")
    assert run(capsys, argv)[1] == out
    code, _, err = run(capsys, [*argv[:2], "gcp", *argv[3:]])
    assert (code, "names no bucket and no key there" in err) == (2, True)


@pytest.mark.parametrize("project", ["acme", "it's; touch pwned", "$(touch pwned)", "two\ntouch pwned", "-p"])
def test_the_script_for_google_cloud_runs_nothing_but_gcloud(tmp_path: Path, project: str) -> None:
    path = tmp_path / "auditor.toml"
    bucket = '[[bucket]]\nurl = "gs://one"\nlayout = "{org}/"\n'
    given = json.dumps(project)
    path.write_text(
        f"{bucket}account = {given}\n[[account]]\nproject = {given}\nimpersonate = {given}\nquota_project = {given}\n"
    )
    lines = "\n".join(grants.gcp_text(doctoring.gcp_grants(load(path), ())))
    (tmp_path / "gcloud").write_text('#!/bin/sh\nprintf "%s\\n" "$@" >> said\n')
    (tmp_path / "gcloud").chmod(0o700)
    env = {"PATH": f"{tmp_path}:/usr/bin:/bin", "MEMBER": "user:me"}
    subprocess.run(["/bin/sh", "-e"], input=lines, text=True, check=True, cwd=tmp_path, env=env)
    said = (tmp_path / "said").read_text()
    assert not (tmp_path / "pwned").exists()
    shown = project.replace("\n", "\\n")
    assert f"--project={shown}\n" in said
    assert said.count(f"--member=serviceAccount:{shown}\n") == 2
    assert f"add-iam-policy-binding\n{shown}\n--member=user:me\n--role=roles/iam.serviceAccountTokenCreator\n" in said


def test_the_script_for_google_cloud_makes_a_role_once_and_then_brings_it_up_to_date(tmp_path: Path) -> None:
    path = tmp_path / "auditor.toml"
    path.write_text('[[bucket]]\nurl = "gs://one"\nlayout = "{org}/"\naccount = "b"\n[[account]]\nproject = "b"\n')
    lines = "\n".join(grants.gcp_text(doctoring.gcp_grants(load(path), ())))
    gcloud = (
        *("#!/bin/sh", 'case "$3" in', "describe) test -e made ;;", "create) test ! -e made && touch made ;;", "esac"),
        *("code=$?", 'echo "$3 $4" >> said', "exit $code"),
    )
    (tmp_path / "gcloud").write_text("\n".join(gcloud))
    (tmp_path / "gcloud").chmod(0o700)
    env = {"PATH": f"{tmp_path}:/usr/bin:/bin", "MEMBER": "user:me"}
    for verb in ("create", "update"):
        subprocess.run(["/bin/sh", "-e"], input=lines, text=True, check=True, cwd=tmp_path, env=env)
        said = (tmp_path / "said").read_text().splitlines()
        assert said[-3:] == ["describe cmekAuditor", f"{verb} cmekAuditor", "b --member=user:me"]


def test_what_the_config_does_not_say_the_script_asks_for(tmp_path: Path) -> None:
    path = tmp_path / "auditor.toml"
    path.write_text(
        '[[bucket]]\nurl = "gs://one"\nlayout = "{org}/"\n[probe]\nreads = true\nverify_connectivity = true\n'
    )
    found = doctoring.gcp_grants(load(path), ())
    (role,) = found.roles
    assert {"storage.objects.get", "cloudkms.ekmConnections.verifyConnectivity"} < set(role.permissions)
    lines = "\n".join(grants.gcp_text(found))
    for asked in ("MEMBER", "PROJECT"):
        done = subprocess.run(
            ["/bin/sh", "-e"],
            input=lines,
            text=True,
            check=False,
            capture_output=True,
            env={"MEMBER": "x"} if asked == "PROJECT" else {},
        )
        assert (done.returncode != 0, f"{asked}: set it" in done.stderr) == (True, True)


def test_keys_in_other_projects_are_granted_there(tmp_path: Path) -> None:
    path = tmp_path / "auditor.toml"
    path.write_text('[[bucket]]\nurl = "gs://one"\nlayout = "{org}/"\naccount = "b"\n[[account]]\nproject = "b"\n')
    found = doctoring.gcp_grants(load(path), [KeyName(GOOGLE_KEY)])
    roles = {one.project: set(one.permissions) for one in found.roles}
    assert set(roles) == {"acme", "b"}
    assert not roles["acme"] & roles["b"]
    assert "cloudkms.cryptoKeys.get" in roles["acme"]


def test_acting_as_somebody_and_counting_against_another_project_are_granted_where_they_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "auditor.toml"
    reader = "reader@platform.iam.gserviceaccount.com"
    accounts = (
        f'[[account]]\nproject = "b"\nimpersonate = "{reader}"\nquota_project = "pays"\n',
        '[[account]]\nproject = "c"\nquota_project = "pays"\n',
        f'[[account]]\nproject = "d"\nimpersonate = "{reader}"\nquota_project = "pays"\n',
    )
    path.write_text('[[bucket]]\nurl = "gs://one"\nlayout = "{org}/"\naccount = "b"\n' + "".join(accounts))
    argv = ["doctor", "--grants", "gcp", "--config", str(path)]
    lines = [one for one in run(capsys, argv)[1].splitlines() if "=roles/" in one]
    to_act = "gcloud iam service-accounts add-iam-policy-binding"
    to_pay = "gcloud projects add-iam-policy-binding pays"
    assert lines == [
        f'{to_act} {reader} --member="$MEMBER" --role=roles/iam.serviceAccountTokenCreator --condition=None',
        f'{to_pay} --member="$MEMBER" --role=roles/serviceusage.serviceUsageConsumer --condition=None',
        f"{to_pay} --member=serviceAccount:{reader} --role=roles/serviceusage.serviceUsageConsumer --condition=None",
    ]
    told = json.loads(run(capsys, [*argv, "--format", "json"])[1])
    jsonschema.validate(told, grants.schema())
    assert [(one["service_account"], one["permissions"]) for one in told["gcp"]["impersonated"]] == [
        (reader, ["iam.serviceAccounts.getAccessToken"])
    ]
    assert [(one["project"], one["member"], one["permissions"]) for one in told["gcp"]["quota_projects"]] == [
        ("pays", None, ["serviceusage.services.use"]),
        ("pays", reader, ["serviceusage.services.use"]),
    ]


def test_nothing_to_grant_is_nothing() -> None:
    out = StringIO()
    grants.write_aws(AwsGrants((), ()), out, out)
    assert out.getvalue() == ""
    assert list(grants.gcp_text(GcpGrants(()))) == []


SCHEDULE = '[schedule]\nreport = "0 6 * * *"\n'


def test_who_uploads_may_put_and_look_in_that_folder_and_no_other(tmp_path: Path) -> None:
    role = "arn:aws:iam::444455556666:role/a"
    account = f'[[account]]\nid = "444455556666"\nrole_arn = "{role}"\n'
    report = '[report]\nupload = "s3://own/audit"\nupload_region = "cn-north-1"\nupload_account = "444455556666"\n'
    text = BUCKET.format("one", "us-east-1") + account + SCHEDULE + report
    policies = {one.identity: one.document for one in aws_of(tmp_path, text).policies}
    assert allowed(policies[role], "s3:PutObject") == ["arn:aws-cn:s3:::own/audit/*"]
    assert "arn:aws-cn:s3:::own/audit/*" in allowed(policies[role], "s3:GetObject")
    assert allowed(policies["the identity whose credentials the SDK finds"], "s3:PutObject") == []
    alone = SCHEDULE + '[report]\nupload = "s3://own"\n[[bucket]]\nurl = "gs://one"\nlayout = "{org}/"\n'
    (policy,) = aws_of(tmp_path, alone, ()).policies
    assert allowed(policy.document, "s3:PutObject") == ["arn:aws:s3:::own/*"]


def test_who_shares_an_inventory_may_put_and_read_in_that_folder_and_no_other(tmp_path: Path) -> None:
    given = 'inventory = "s3://own/copies"\ninventory_region = "cn-north-1"\n'
    (policy,) = aws_of(tmp_path, given + '[[bucket]]\nurl = "gs://one"\nlayout = "{org}/"\n', ()).policies
    assert allowed(policy.document, "s3:PutObject") == ["arn:aws-cn:s3:::own/copies/*"]
    assert allowed(policy.document, "s3:GetObject") == ["arn:aws-cn:s3:::own/copies/*"]
    path = tmp_path / "auditor.toml"
    path.write_text('inventory = "gs://own/copies"\n[[bucket]]\nurl = "gs://one"\nlayout = "{org}/"\n')
    found = doctoring.gcp_grants(load(path), ())
    lines = [line for line in grants.gcp_text(found) if "storage buckets" in line]
    assert [line.rpartition("=")[2] for line in lines] == ["roles/storage.objectCreator", "roles/storage.objectViewer"]
    out = StringIO()
    grants.write_json(None, found, out)
    jsonschema.validate(json.loads(out.getvalue()), grants.schema())


def test_on_google_cloud_it_is_given_two_roles_on_the_bucket_that_replace_and_read_nothing(tmp_path: Path) -> None:
    path = tmp_path / "auditor.toml"
    account = '[[account]]\nproject = "b"\nimpersonate = "writer@b.iam.gserviceaccount.com"\n'
    report = '[report]\nupload = "gs://own/audit"\nupload_account = "b"\n'
    path.write_text('[[bucket]]\nurl = "gs://one"\nlayout = "{org}/"\n' + account + SCHEDULE + report)
    found = doctoring.gcp_grants(load(path), ())
    lines = [line for line in grants.gcp_text(found) if "storage buckets" in line]
    assert lines == [
        "gcloud storage buckets add-iam-policy-binding gs://own "
        f"--member=serviceAccount:writer@b.iam.gserviceaccount.com --role=roles/storage.{one}"
        for one in ("objectCreator", "legacyBucketReader")
    ]
    out = StringIO()
    grants.write_json(None, found, out)
    told = json.loads(out.getvalue())
    jsonschema.validate(told, grants.schema())
    assert {one["bucket"] for one in told["gcp"]["uploads"]} == {"gs://own"}
    assert not any("storage.objects.create" in role["permissions"] for role in told["gcp"]["roles"])
