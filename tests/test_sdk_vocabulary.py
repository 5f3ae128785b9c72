"""Every word that the SDKs know and a verdict hangs on is one that we know: a new release fails here, not the user."""

from typing import Any

import botocore.session
import google.api_core.exceptions as api
import pytest
from google.cloud import kms_v1

from auditor.connectors.aws.errors import _CODES as AWS_CODES
from auditor.connectors.gcp.errors import _STATUS as GOOGLE_STATUS
from auditor.connectors.gcp.errors import reason_of
from auditor.model import CUSTOMER_INITIATED, GcpKeyVersion, Material, Reason
from auditor.readability.probe import CODES as PROBE_CODES

KMS: Any = botocore.session.get_session().get_service_model("kms")
# Errors of KMS that say "try again", or concern requests that the auditor never makes: no word on the key.
NO_ANSWER = {
    "DependencyTimeoutException",
    "KMSInternalException",
    "InvalidMarkerException",
    "InvalidGrantIdException",
    "InvalidGrantTokenException",
    "CustomKeyStoreNotFoundException",
}
# Errors of a Decrypt that a probe must tell apart, besides those that settle something.
NO_WORD_ON_THE_KEY = {
    *("InvalidCiphertextException", "IncorrectKeyException", "InvalidKeyUsageException", "InvalidGrantTokenException"),
    *("DependencyTimeoutException", "KMSInternalException", "DryRunOperationException"),
}


@pytest.mark.parametrize(
    "operation",
    [
        *("DescribeKey", "DescribeCustomKeyStores", "GetKeyPolicy", "ListGrants", "ListKeyRotations"),
        *("GetKeyRotationStatus", "GetKeyLastUsage"),
    ],
)
def test_every_error_of_every_kms_call_has_its_reason(operation: str) -> None:
    errors = {one.name for one in KMS.operation_model(operation).error_shapes}
    # Asked of a key that has just described itself, a wrong state only says that it has changed meanwhile.
    known = set(AWS_CODES) | NO_ANSWER | {"KMSInvalidStateException"}
    assert errors <= known


def test_every_error_of_a_decrypt_is_sorted() -> None:
    errors = {one.name for one in KMS.operation_model("Decrypt").error_shapes}
    assert errors == (set(PROBE_CODES) & errors) | NO_WORD_ON_THE_KEY
    assert {"DisabledException", "KMSInvalidStateException", "NotFoundException"} <= set(PROBE_CODES)


def test_every_origin_manager_and_expiry_of_aws_is_known() -> None:
    assert set(KMS.shape_for("OriginType").enum) == {"AWS_KMS", "EXTERNAL", "AWS_CLOUDHSM", "EXTERNAL_KEY_STORE"}
    assert set(KMS.shape_for("KeyManagerType").enum) == {"AWS", "CUSTOMER"}
    assert set(KMS.shape_for("ExpirationModelType").enum) == {"KEY_MATERIAL_EXPIRES", "KEY_MATERIAL_DOES_NOT_EXPIRE"}


def test_every_material_state_is_permanent_or_pending() -> None:
    states = {state: Material("a", state, imported=True).permanent for state in KMS.shape_for("KeyMaterialState").enum}
    assert states == {
        "CURRENT": True,
        "NON_CURRENT": True,
        "PENDING_ROTATION": False,
        "PENDING_MULTI_REGION_IMPORT_AND_ROTATION": False,
    }
    assert set(KMS.shape_for("ImportState").enum) == {"IMPORTED", "PENDING_IMPORT"}


def test_every_way_to_ignore_a_ciphertext_is_known() -> None:
    assert set(KMS.shape_for("DryRunModifierType").enum) == {"IGNORE_CIPHERTEXT"}


def names(enum: Any) -> set[str]:
    return {one.name for one in enum}


def test_every_protection_level_of_google_is_ours_or_an_external_managers() -> None:
    external = {one for one in names(kms_v1.ProtectionLevel) if GcpKeyVersion("1", "ENABLED", one).external}
    assert external == {"EXTERNAL", "EXTERNAL_VPC"}
    assert names(kms_v1.ProtectionLevel) - external == {
        *("PROTECTION_LEVEL_UNSPECIFIED", "SOFTWARE", "HSM", "HSM_SINGLE_TENANT"),
    }


def test_the_reason_of_ordinary_reads_is_one_that_google_knows() -> None:
    assert CUSTOMER_INITIATED in names(kms_v1.AccessReason)


def test_every_status_of_google_has_its_reason_and_faults_of_the_service_are_no_answer() -> None:
    def concrete(kind: Any) -> list[Any]:
        return [kind, *(more for one in kind.__subclasses__() for more in concrete(one))]

    for kind in concrete(api.GoogleAPICallError):
        code = getattr(kind, "code", None)
        if code is None or not isinstance(code, int):
            continue
        expected = GOOGLE_STATUS.get(code, Reason.TIMEOUT)
        assert reason_of(kind("told")) is expected, kind
        assert code >= 500 or code in {*GOOGLE_STATUS, 301, 304, 307, 308, 405, 409, 411, 412, 416, 499}, kind
