"""What an entry of an audit log hints at, however it is named, and that no text of it can do harm."""

import base64
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.connectors.gcp import audit_log
from auditor.connectors.gcp.log_hints import WATCHED, parse_entry, parse_message
from auditor.embedded.google.log_filter import compiled
from auditor.model import KeyName
from auditor.ports import Hint
from tests.clouds import GOOGLE_KEY, RING

KEY = KeyName(GOOGLE_KEY)
VERSION = f"{GOOGLE_KEY}/cryptoKeyVersions/3"
BY_NUMBER = VERSION.replace("projects/acme/", "projects/123456/")
IAM, PROJECTS = "iam.googleapis.com", "cloudresourcemanager.googleapis.com"
POLICIES, SERVICES = "orgpolicy.googleapis.com", "serviceusage.googleapis.com"
AT = datetime(2026, 11, 27, 12, tzinfo=UTC)


def an_entry(method: object = "UpdateCryptoKeyVersion", name: object = VERSION, **payload: Any) -> dict[str, Any]:
    return {
        "logName": "projects/acme/logs/cloudaudit.googleapis.com%2Factivity",
        "insertId": "one",
        "timestamp": "2026-11-27T12:00:00.000000001Z",
        "receiveTimestamp": "2026-11-27T12:00:01Z",
        "protoPayload": {
            "serviceName": "cloudkms.googleapis.com",
            "methodName": method,
            "resourceName": name,
            **payload,
        },
    }


def a_message(entry: object) -> dict[str, Any]:
    data = entry if isinstance(entry, bytes) else json.dumps(entry).encode()
    return {"data": base64.b64encode(data).decode(), "messageId": "1", "publishTime": "2026-11-27T12:00:02Z"}


HINTS: dict[str, tuple[dict[str, Any], KeyName | None]] = {
    "a version": (an_entry(), KEY),
    "a key": (an_entry("UpdateCryptoKey", GOOGLE_KEY), KEY),
    "a long name": (an_entry("google.cloud.kms.v1.KeyManagementService.DestroyCryptoKeyVersion"), KEY),
    "a project by its number": (an_entry(name=BY_NUMBER), KEY),
    "a name that is in vogue elsewhere": (an_entry(name=f"//cloudkms.googleapis.com/{VERSION}"), None),
    "a policy of a key": (an_entry("SetIamPolicy", GOOGLE_KEY), KEY),
    "a policy of a ring": (an_entry("SetIamPolicy", RING), None),
    "a policy of a project": (an_entry("SetIamPolicy", "projects/acme", serviceName=PROJECTS), None),
    "a policy that denies": (an_entry("google.iam.v2.Policies.UpdatePolicy", "policies/x", serviceName=IAM), None),
    "a service account": (an_entry("google.iam.admin.v1.DisableServiceAccount", "x", serviceName=IAM), None),
    "an organisation's policy": (an_entry("UpdatePolicy", "organizations/1", serviceName=POLICIES), None),
    "an API": (an_entry("google.api.serviceusage.v1.ServiceUsage.DisableService", "x", serviceName=SERVICES), None),
    "an EKM connection": (an_entry("UpdateEkmConnection", "projects/acme/locations/l/ekmConnections/c"), None),
    "justifications of a project": (an_entry("UpdateKeyAccessJustificationsPolicyConfig", "projects/acme"), None),
    "Autokey": (an_entry("google.cloud.kms.v1.Autokey.CreateKeyHandle", "projects/acme/locations/l"), None),
    "a call that nobody knows yet": (an_entry("FreezeCryptoKeyVersion"), KEY),
    "a destruction on its day": (an_entry("CryptoKeyVersionDestroyed", status={}, authenticationInfo={}), KEY),
    "a name that is none": (an_entry(name="projects/acme/locations/l/keyRings/r/cryptoKeys/" + "k" * 400), None),
    "no name": (an_entry(name=None), None),
    "an outcome of another kind": (an_entry(status={"code": None}), KEY),
    "one half of a long operation": (an_entry("DeleteCryptoKey", GOOGLE_KEY, status={"code": 0}), KEY),
}


@pytest.mark.parametrize(("entry", "key"), HINTS.values(), ids=HINTS)
def test_what_may_change_whether_a_key_works_is_a_hint(entry: dict[str, Any], key: KeyName | None) -> None:
    call = entry["protoPayload"]["methodName"].rpartition(".")[2]
    assert parse_entry(entry) == Hint(key, call, AT, "one")
    assert parse_message(a_message(entry)) == parse_entry(entry)
    assert compiled(WATCHED)(entry), "the sink hands it on"


NO_HINTS = {
    "refused": an_entry(status={"code": 7, "message": "denied"}),
    "a reading": an_entry("GetCryptoKeyVersion"),
    "a listing": an_entry("ListCryptoKeys", RING),
    "a use": an_entry("Decrypt", GOOGLE_KEY),
    "a trial": an_entry("google.iam.v1.IAMPolicy.TestIamPermissions", GOOGLE_KEY),
    "a connection that was tried": an_entry("VerifyConnectivity", "projects/acme/locations/l/ekmConnections/c"),
    "a key of a service account": an_entry("google.iam.admin.v1.CreateServiceAccountKey", "x", serviceName=IAM),
    "another service": an_entry("storage.buckets.update", "projects/_/buckets/b", serviceName="storage.googleapis.com"),
    "another kind of log": {"logName": "projects/acme/logs/app", "textPayload": "hello", "insertId": "1"},
}


@pytest.mark.parametrize("entry", NO_HINTS.values(), ids=NO_HINTS)
def test_what_changes_nothing_is_none(entry: dict[str, Any]) -> None:
    assert parse_message(a_message(entry)) is None


def test_where_nothing_tells_the_projects_id_its_number_stays() -> None:
    entry = {**an_entry(name=BY_NUMBER), "logName": "folders/77/logs/cloudaudit.googleapis.com%2Factivity"}
    hint = parse_entry(entry)
    assert hint is not None
    assert hint.key == KeyName(GOOGLE_KEY.replace("projects/acme/", "projects/123456/"))


def test_an_entry_without_a_time_of_its_own_is_dated_by_when_it_was_received() -> None:
    hint = parse_entry({**an_entry(), "timestamp": "never"})
    assert hint is not None
    assert hint.occurred == datetime(2026, 11, 27, 12, 0, 1, tzinfo=UTC)


DEEP = b'{"protoPayload":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
POISON = {
    "no data": ({"attributes": {"a": "b"}}, "it has no data"),
    "empty data": ({"data": ""}, "it has no data"),
    "a number": ({"data": 7}, "it has no data"),
    "no Base64": ({"data": "***"}, "its data are no JSON"),
    "no text": (a_message(b"\xff\xfe"), "its data are no JSON"),
    "no JSON": (a_message(b"hello"), "its data are no JSON"),
    "half an entry": (a_message(json.dumps(an_entry()).encode()[:80]), "its data are no JSON"),
    "a name twice": (a_message(b'{"insertId":"a","insertId":"b"}'), "its data are no JSON"),
    "too deep": (a_message(DEEP), "its data are no JSON"),
    "a number that never ends": (a_message(b'{"a":' + b"9" * 10_000 + b"}"), "its data are no JSON"),
    "too long": ({"data": "A" * (2 * 1024 * 1024 + 1)}, "it is longer than any entry of a log"),
    "a list": (a_message([an_entry()]), "it is no entry of a log"),
    "nothing": (a_message({}), "it is no entry of a log"),
    "a payload of another kind": (a_message({"protoPayload": "hello"}), "it does not say what was called"),
    "a call of another kind": (a_message(an_entry(method={"a": 1})), "it does not say what was called"),
    "a service of another kind": (a_message(an_entry(serviceName=["x"])), "it does not say what was called"),
    "no time": (
        a_message({**an_entry(), "timestamp": "0000-00-00T99Z", "receiveTimestamp": None}),
        "it does not say when",
    ),
}


@pytest.mark.parametrize(("message", "why"), POISON.values(), ids=POISON)
def test_what_nobody_can_understand_is_told_in_our_own_words(message: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=f"^{why}$"):
        parse_message(message)


def test_texts_of_callers_are_printable_and_short() -> None:
    hint = parse_entry({**an_entry("Up\x1b[31mdate\n" + "x" * 5000), "insertId": "a\x00b"})
    assert hint is not None
    assert hint.event == "a\N{REPLACEMENT CHARACTER}b"
    assert hint.call.isprintable()
    assert len(hint.call) < 400


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
FIELDS = ("insertId", "timestamp", "receiveTimestamp", "logName", "protoPayload")
OF_PAYLOAD = ("serviceName", "methodName", "resourceName", "status", "request")


@pytest.mark.parametrize("odd", [[], {}, "x", 7.5])
def test_a_field_of_another_kind_is_no_error_of_ours(odd: object) -> None:
    assert parse_entry(an_entry(status={"code": odd})) is None
    for field in OF_PAYLOAD:
        entry = an_entry()
        entry["protoPayload"][field] = odd
        audit_log.parse_entry(entry, "acme")
        assert field == "resourceName" or parses(entry) in {None, "it does not say what was called"}


def parses(entry: dict[str, Any]) -> str | None:
    """Why an entry cannot be read; None: it can."""
    try:
        hint = parse_message(a_message(entry))
    except ValueError as error:
        return str(error)
    return None if hint is None or (hint.call.isprintable() and hint.occurred.tzinfo is UTC) else "badly"


@given(
    st.fixed_dictionaries({}, optional=dict.fromkeys(FIELDS, ANY)),
    st.fixed_dictionaries({}, optional=dict.fromkeys(OF_PAYLOAD, ANY)),
)
def test_no_entry_breaks_the_reading_of_others(entry: dict[str, Any], payload: dict[str, Any]) -> None:
    base = an_entry()
    for told in (entry, {**base, **entry}, {**base, "protoPayload": {**base["protoPayload"], **payload}}):
        audit_log.parse_entry(told, "acme")
        assert (parses(told) or "it").startswith("it")
