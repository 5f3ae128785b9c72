"""Of a key that is not dead yet it is told what is still to be done, in calls that can be undone."""

from dataclasses import replace

import pytest

from auditor.model import AwsKey, GcpKey, KeyManager, KeyName
from auditor.questions.prove_revoked.left_to_do import left_to_do
from tests.core_builders import AWS_KEY, GCP_KEY, NOW, a_gcp_key, a_version, an_aws_key, remembered

OFF = ("DISABLED", "DESTROY_SCHEDULED", "DESTROYED", "IMPORT_FAILED", "77")
REPLICATED = KeyName("arn:aws:kms:us-east-1:111122223333:key/mrk-0000")
REPLICA = KeyName("arn:aws:kms:eu-west-1:111122223333:key/mrk-0000")


def calls(key: AwsKey | GcpKey) -> list[str]:
    return [one.call for one in left_to_do(key.name, {key.name: remembered(key)})]


def test_each_version_that_works_is_to_be_disabled_and_no_other() -> None:
    versions = [a_version(str(number), state) for number, state in enumerate(("ENABLED", *OFF, "ENABLED"), 1)]
    assert calls(a_gcp_key(*versions)) == [
        f"gcloud kms keys versions disable {number} --project=acme-keys --location=us-east1 --keyring=tpuf --key=main"
        for number in (1, 7)
    ]
    assert calls(a_gcp_key(a_version(unlisted_since=NOW))) == [], "it is not there to be disabled"


@pytest.mark.parametrize(
    ("state", "number"), [("Enabled", 1), ("Updating", 1), ("Unavailable", 1), ("Disabled", 0), ("PendingDeletion", 0)]
)
def test_a_key_of_aws_is_to_be_disabled_where_it_can_be(state: str, number: int) -> None:
    assert calls(an_aws_key(state)) == [f"aws kms disable-key --region us-east-1 --key-id {AWS_KEY}"] * number


def test_a_key_that_aws_manages_cannot_be_and_that_is_said() -> None:
    (call,) = calls(an_aws_key(manager=KeyManager.PROVIDER))
    assert call.startswith(f"delete the data under {AWS_KEY}, or move it")


def test_replicas_that_work_are_to_be_disabled_each_in_its_region() -> None:
    keys = [an_aws_key("Disabled", name=REPLICATED), an_aws_key(name=REPLICA), an_aws_key(name=AWS_KEY)]
    (step,) = left_to_do(REPLICATED, {one.name: remembered(one) for one in keys})
    assert step.call == f"aws kms disable-key --region eu-west-1 --key-id {REPLICA}"


def test_of_a_key_that_is_gone_or_never_told_its_state_nothing_is_known_to_work() -> None:
    gone = replace(remembered(a_gcp_key()), missing_since=NOW)
    assert left_to_do(GCP_KEY, {GCP_KEY: gone}) == left_to_do(GCP_KEY, {}) == ()
