import re
import shlex
from dataclasses import replace

import botocore.session
import pytest
from botocore import xform_name

from auditor.findings import Undo
from auditor.model import AwsKey, CustomKeyStore, GcpKey, Grant, KeyName
from auditor.policy import Policy
from auditor.readability import KeyView, assess
from tests.core_builders import (
    AGENT,
    AWS_KEY,
    GCP_KEY,
    NOW,
    ROLE,
    a_gcp_key,
    a_holding,
    a_version,
    access,
    an_aws_key,
    days,
)
from tests.hostile import NAMES

PLACE = "--project=acme-keys --location=us-east1 --keyring=tpuf --key=main"
REVIEW = "google-initiated-review"
GRANT = "--role=roles/cloudkms.cryptoKeyEncrypterDecrypter --condition=None"

COMMANDS: dict[str, tuple[AwsKey | GcpKey, list[str]]] = {
    "disabled on AWS": (
        an_aws_key("Disabled"),
        [f"aws kms enable-key --region us-east-1 --key-id {AWS_KEY}"],
    ),
    "to be deleted on AWS": (
        an_aws_key("PendingDeletion", deletion_date=NOW + days(3)),
        [
            f"aws kms cancel-key-deletion --region us-east-1 --key-id {AWS_KEY}",
            f"aws kms enable-key --region us-east-1 --key-id {AWS_KEY}",
        ],
    ),
    "a store that is not connected": (
        an_aws_key(store=CustomKeyStore("cks-1", "DISCONNECTED")),
        ["aws kms connect-custom-key-store --region us-east-1 --custom-key-store-id cks-1"],
    ),
    "a store that failed": (
        an_aws_key(store=CustomKeyStore("cks-1", "FAILED", "XKS_PROXY_NOT_REACHABLE")),
        [
            "aws kms disconnect-custom-key-store --region us-east-1 --custom-key-store-id cks-1",
            "aws kms connect-custom-key-store --region us-east-1 --custom-key-store-id cks-1",
        ],
    ),
    "disabled on Google Cloud": (
        a_gcp_key(a_version(state="DISABLED")),
        [f"gcloud kms keys versions enable 1 {PLACE}"],
    ),
    "to be destroyed on Google Cloud": (
        a_gcp_key(a_version(state="DESTROY_SCHEDULED", destroy_time=NOW + days(3))),
        [f"gcloud kms keys versions restore 1 {PLACE}", f"gcloud kms keys versions enable 1 {PLACE}"],
    ),
    "revoked on Google Cloud": (
        a_gcp_key(access=access(GCP_KEY, Grant.ABSENT)),
        [f"gcloud kms keys add-iam-policy-binding {GCP_KEY} --member=serviceAccount:{AGENT} {GRANT}"],
    ),
    "no access reason": (
        a_gcp_key(access_reasons=()),
        [f"gcloud kms keys update {GCP_KEY} --allowed-access-reasons=customer-initiated-access"],
    ),
    "other access reasons, which stay allowed": (
        a_gcp_key(access_reasons=("GOOGLE_INITIATED_REVIEW",)),
        [f"gcloud kms keys update {GCP_KEY} --allowed-access-reasons={REVIEW},customer-initiated-access"],
    ),
}


def undo_of(key: AwsKey | GcpKey, agent: str | None = None) -> tuple[Undo, ...]:
    version = None if isinstance(key, AwsKey) else "1"
    agents = (agent or (ROLE if version is None else AGENT),)
    holding = replace(a_holding(AWS_KEY if version is None else GCP_KEY, version), key=key.name.text)
    return assess(holding, KeyView(key.name, key, None), agents, Policy(), NOW).assessment.undo


@pytest.mark.parametrize(("key", "lines"), COMMANDS.values(), ids=COMMANDS)
def test_an_undo_is_a_command_that_can_be_pasted(key: AwsKey | GcpKey, lines: list[str]) -> None:
    assert [one.call for one in undo_of(key)] == lines


def test_where_no_command_does_it_a_sentence_says_what_to_call() -> None:
    keys = (
        an_aws_key("PendingImport"),
        an_aws_key(valid_to=NOW + days(3)),
        an_aws_key(access=access(AWS_KEY, Grant.ABSENT)),
        a_gcp_key(a_version(state="IMPORT_FAILED")),
    )
    for key in keys:
        (step,) = undo_of(key)
        assert re.match(r"call (kms:ImportKeyMaterial|kms:PutKeyPolicy|cloudkms ImportCryptoKeyVersion) on ", step.call)


def test_the_commands_of_aws_have_the_names_that_its_cli_makes_from_the_model() -> None:
    model = botocore.session.get_session().get_service_model("kms")
    known = {xform_name(one, "-"): model.operation_model(one).input_shape for one in model.operation_names}
    for key, lines in COMMANDS.values():
        for line in lines if isinstance(key, AwsKey) else ():
            _, _, operation, *arguments = shlex.split(line)
            shape = known[operation]
            assert shape is not None
            flags = {f"--{xform_name(one, '-')}" for one in shape.members}
            assert {one for one in arguments if one.startswith("--")} == {"--region"} | flags


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_a_hostile_principal_stays_one_argument(name: str) -> None:
    (step,) = undo_of(a_gcp_key(access=access(GCP_KEY, Grant.ABSENT, principal=name)), name)
    assert shlex.split(step.call)[5] == f"--member=serviceAccount:{name}"
    assert len(shlex.split(step.call)) == 8


def test_a_key_whose_names_look_like_flags_stays_a_key() -> None:
    name = KeyName("projects/acme-keys/locations/us-east1/keyRings/--help/cryptoKeys/-k")
    (step,) = undo_of(replace(a_gcp_key(a_version(state="DISABLED")), name=name))
    assert shlex.split(step.call)[6:] == ["--project=acme-keys", "--location=us-east1", "--keyring=--help", "--key=-k"]
